// What the build knows of all days: week.json, fetched when a page first needs it.
let loaded = null;

/**
 * Resolves to {"day-29": {page, title, imports, exercises, solutions, questions, predictions}, …}.
 * Rejects if the file cannot be loaded; the next call tries again.
 */
export function week() {
  loaded ??= fetch(new URL("week.json", week.base), { cache: "no-cache" })
    .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(answer.statusText))))
    .catch((error) => {
      loaded = null;
      throw error;
    });
  return loaded;
}
week.base = new URL("../", import.meta.url); // the script lies in _static/
