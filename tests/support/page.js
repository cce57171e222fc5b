// What the browser tests ask a page; evaluated in the page, as `week`.
window.week = (() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const visible = (element) => element.checkVisibility({ visibilityProperty: true });
  const describe = (element) => element.outerHTML.slice(0, 150);

  // Resolves once everything that a change of the page causes in turn, such as a new tab
  // order, has happened.
  const settled = () => new Promise((resolve) =>
    requestAnimationFrame(() => requestAnimationFrame(() => resolve())));

  // Resolves with an element's distance from the top once it has not moved for `frames` frames.
  const resting = (element, frames = 30) => new Promise((resolve) => {
    let last, still = 0;
    const look = () => {
      const { top } = element.getBoundingClientRect();
      still = top === last ? still + 1 : 0;
      last = top;
      still < frames ? requestAnimationFrame(look) : resolve(top);
    };
    look();
  });

  const addStyle = (text) => {
    const style = document.createElement("style");
    style.textContent = text;
    document.head.append(style);
    return document.fonts.ready.then(settled);
  };

  // Load lazy pictures too. Resolves with one entry per picture: null, or its address if it fails.
  const loadPictures = () => Promise.all([...document.images].map((image) => {
    image.loading = "eager";
    return image.decode().then(() => null, () => image.src);
  }));

  // Formulas without ink, except in a closed <details> and what is hidden until an answer.
  const invisibleFormulas = () => all(".math")
    .filter((formula) => !formula.closest("details:not([open]), [hidden]"))
    .filter((formula) => {
      const ink = formula.querySelector("svg > g").getBoundingClientRect();
      return !(ink.width > 1 && ink.height > 1);
    })
    .map((formula) => formula.querySelector("math").getAttribute("alttext"));

  // The computed styles of every element and of what is drawn before and after it; not the
  // variables, whose text is shortened in the joined stylesheet, but all that is made of them.
  const styles = () => [...document.body.querySelectorAll(":not(svg *)")].flatMap((element) =>
    ["", "::before", "::after"].flatMap((part) => {
      const style = getComputedStyle(element, part);
      if (part && style.content === "none") return [];
      // The theme's script marks a table that scrolls, at another moment with other stylesheets.
      const classes = (element.getAttribute("class") ?? "").replace(/ ?more-(left|right)/g, "");
      const name = `${element.tagName} ${classes}${part}`;
      const properties = [...style].filter((property) => !property.startsWith("--"));
      return properties.map((property) => `${name} ${property}: ${style.getPropertyValue(property)}`);
    }));

  // Replace the joined stylesheet by those that it was made of, which its first line names.
  const useOriginalStylesheets = async () => {
    const link = document.querySelector("link[rel=stylesheet]");
    const text = await (await fetch(link.href)).text();
    const names = text.split("\n")[0].match(/[\w./-]+\.css/g);
    const tag = (name) => `<link rel="stylesheet" href="${new URL(name, link.href)}">`;
    link.outerHTML = names.map(tag).join("");
    await Promise.all(all("link[rel=stylesheet]").map((other) => new Promise((resolve, reject) =>
      Object.assign(other, { onload: resolve, onerror: reject }))));
    return document.styleSheets.length;
  };

  const longestTransition = () => Math.max(...all("*").flatMap((element) =>
    getComputedStyle(element).transitionDuration.split(",").map(parseFloat)));

  // What shows that an element has the focus: its outline and its shadow, or those of its
  // ::after, as on the cards. A transparent shadow shows nothing.
  const ring = (element, part) => {
    const style = getComputedStyle(element, part);
    const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
    const shadow = style.boxShadow.replace(/(none|rgba\([^)]*, 0\)( 0px)+)/g, "");
    return (outlined ? style.outline : "") + shadow;
  };
  const indicator = (element) => ring(element) + ring(element, "::after");

  // Of radio buttons with one name, Tab reaches the chosen one or, before a choice, the first.
  const isStop = (element) => {
    if (element.type !== "radio") return true;
    const group = all(`[name="${element.name}"]`);
    return element === (group.find((one) => one.checked) ?? group[0]);
  };

  const reachable = () => all("a[href], button, input, select, textarea, summary, [tabindex]")
    .filter((element) => element.tabIndex >= 0 && !element.disabled && visible(element) && isStop(element));

  // Record every element that gets the focus from now on, until one gets it twice.
  const walk = { reached: new Set(), withoutRing: [], done: false };
  const startWalk = () => {
    const before = new Map(reachable().map((element) => [element, indicator(element)]));
    document.addEventListener("focusin", ({ target }) => {
      walk.done ||= walk.reached.has(target);
      walk.reached.add(target);
      const now = indicator(target);
      if (!visible(target) || !now || now === before.get(target)) {
        walk.withoutRing.push(`${describe(target)}: ${before.get(target)} -> ${now}`);
      }
    });
  };
  // Of the contents beside the page, only the section that is read shows what is in it.
  const missed = () => reachable()
    .filter((element) => !walk.reached.has(element) && !element.closest(".page-toc ul ul"))
    .map(describe);
  const notReached = (selectors) =>
    selectors.filter((selector) => ![...walk.reached].some((element) => element.matches(selector)));

  // [red, green, blue, alpha] of a computed colour.
  const channels = (colour) => {
    const numbers = colour.match(/[\d.]+/g).map(Number);
    return colour.startsWith("rgb") ? [...numbers.slice(0, 3), numbers[3] ?? 1] : [0, 0, 0, 1];
  };
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const [red, green, blue, alpha] = channels(getComputedStyle(one).backgroundColor);
      if (alpha === 1) return [red, green, blue];
    }
    return [255, 255, 255];
  };
  const luminance = (colour) => {
    const [red, green, blue] = colour.map((c) =>
      c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const hasText = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  const withText = () => all("body *:not(svg, svg *, script, style, noscript)")
    .filter((element) => hasText(element) && visible(element));

  // The lowest contrast of text with its ground, and where.
  const lowestContrast = () => withText()
    .map((element) => [contrast(channels(getComputedStyle(element).color).slice(0, 3), ground(element)), describe(element)])
    .reduce((lowest, one) => (one[0] < lowest[0] ? one : lowest), [21, ""]);

  // The colours of text, grounds and borders, each with one place; without figures and coloured code.
  const colours = () => {
    const found = new Map();
    for (const element of all("body, body *:not(svg, svg *, math, math *, img, script, style, noscript, .highlight *)")) {
      if (!visible(element)) continue;
      const style = getComputedStyle(element);
      const used = [style.backgroundColor];
      if (hasText(element)) used.push(style.color);
      for (const side of ["Top", "Right", "Bottom", "Left"]) {
        if (parseFloat(style[`border${side}Width`]) > 0) used.push(style[`border${side}Color`]);
      }
      for (const colour of used) {
        const [red, green, blue, alpha] = channels(colour);
        if (alpha > 0 && !found.has(colour)) found.set(colour, [[red, green, blue], describe(element)]);
      }
    }
    return [...found.values()];
  };

  // How many characters of its own text fit in a full line of each paragraph, in Arial's metrics.
  const charactersPerLine = (selector) => {
    const pen = document.createElement("canvas").getContext("2d");
    return all(selector).filter((p) => visible(p) && p.textContent.length > 120 && !p.querySelector(".math, code"))
      .map((p) => {
        const style = getComputedStyle(p);
        pen.font = `${style.fontSize} "Liberation Sans", Arial`;
        return p.clientWidth / (pen.measureText(p.textContent).width / p.textContent.length);
      });
  };

  return {
    lowestContrast, colours, charactersPerLine, visible, settled, resting, addStyle, loadPictures, invisibleFormulas, styles,
    useOriginalStylesheets, longestTransition, walk, startWalk, missed, notReached,
  };
})();
