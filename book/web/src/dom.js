// Elements, made short.

/** Return an element with properties, attributes (names with a dash, role, for) and content. */
export function make(tag, given = {}, ...content) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name in element && !name.includes("-")) element[name] = value;
    else if (value !== null) element.setAttribute(name, value);
  }
  element.append(...content);
  return element;
}

/** The day that a page is about, such as "day-29"; null elsewhere. */
export const dayOf = (address) => /\/(day-\d+)[^/]*$/.exec(address)?.[1] ?? null;

/** The words of an element, with its formulas in TeX. */
export function words(element) {
  const copy = element.cloneNode(true);
  for (const formula of copy.querySelectorAll(".math")) {
    formula.replaceWith(formula.querySelector("math").getAttribute("alttext"));
  }
  return copy.textContent.replace(/\s+/g, " ").trim();
}

/** A choice: a radio button and its label, which gets the content of a row. */
export function choice(row, name) {
  const letter = row.dataset.option;
  const input = make("input", { type: "radio", name, value: letter });
  if (row.querySelector(".math")) input.ariaLabel = words(row); // the label's text is a drawing
  const label = make("label", { "data-option": letter }, input, make("span", {}, ...row.childNodes));
  row.append(label);
  return { letter, input, label };
}

/** A short name for a text, the same however its lines are broken. */
export function fingerprint(text) {
  let hash = 5381;
  for (const letter of text.replace(/\s+/g, " ").trim()) hash = (hash * 33 + letter.codePointAt(0)) >>> 0;
  return hash.toString(36);
}
