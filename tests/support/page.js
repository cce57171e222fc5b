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

  // Formulas without ink, except in a closed <details>.
  const invisibleFormulas = () => all(".math")
    .filter((formula) => !formula.closest("details:not([open])"))
    .filter((formula) => {
      const ink = formula.querySelector("svg > g").getBoundingClientRect();
      return !(ink.width > 1 && ink.height > 1);
    })
    .map((formula) => formula.querySelector("math").getAttribute("alttext"));

  // The computed styles of every element and of what is drawn before and after it.
  const styles = () => [...document.body.querySelectorAll(":not(svg *)")].flatMap((element) =>
    ["", "::before", "::after"].flatMap((part) => {
      const style = getComputedStyle(element, part);
      if (part && style.content === "none") return [];
      const name = `${element.tagName} ${element.className}${part}`;
      return [...style].map((property) => `${name} ${property}: ${style.getPropertyValue(property)}`);
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

  const reachable = () => all("a[href], button, input, select, textarea, summary, [tabindex]")
    .filter((element) => element.tabIndex >= 0 && !element.disabled && visible(element));

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
  const missed = () => reachable().filter((element) => !walk.reached.has(element)).map(describe);
  const notReached = (selectors) =>
    selectors.filter((selector) => ![...walk.reached].some((element) => element.matches(selector)));

  return {
    visible, settled, resting, addStyle, loadPictures, invisibleFormulas, styles,
    useOriginalStylesheets, longestTransition, walk, startWalk, missed, notReached,
  };
})();
