// The search page: results while the reader types. The build writes SECTIONS, a script beside this one,
// so that a copy of the book on the disk finds as much as a served one.
import { make } from "./dom.js";
import { excerpt, finder } from "./finder.js";

const MOST = 20; // results shown
const field = document.querySelector(".bd-search-container input[name=q]");
const place = document.querySelector("#search-results");
const summary = make("p", { className: "search-summary", role: "status" });
const list = make("ul", { className: "search" });
const find = finder(SECTIONS);
place.append(summary, list);

function result({ section, words }) {
  const { title, page, url, text } = section;
  const pieces = excerpt(text, words).flatMap(([piece, isFound]) => [isFound ? make("mark", {}, piece) : piece, " "]);
  const where = page === title ? [] : [make("span", { className: "search-page" }, page)];
  return make("li", {}, make("a", { href: url }, title), ...where, make("p", { className: "context" }, ...pieces));
}

function show() {
  const query = field.value.trim();
  const found = query ? find(query) : [];
  list.replaceChildren(...found.slice(0, MOST).map(result));
  const number = found.length > MOST ? `The best ${MOST} of ${found.length}` : `${found.length || "No"}`;
  summary.textContent = query && `${number} ${found.length === 1 ? "section" : "sections"} for “${query}”.`;
  if (query && !found.length) summary.append(" Try fewer words, or the number that you see.");
  if (location.protocol !== "file:") history.replaceState(null, "", query ? `?q=${encodeURIComponent(query)}` : "?");
}

field.value = new URLSearchParams(location.search).get("q") ?? "";
field.focus();
field.select(); // the theme's page would focus the field of its closed dialog
field.addEventListener("input", show);
field.form.addEventListener("submit", (event) => {
  event.preventDefault();
  list.querySelector("a")?.focus();
});
// The arrows move between the field and the results.
document.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const stops = [field, ...list.querySelectorAll("a")];
  const next = stops[stops.indexOf(document.activeElement) + step];
  if (!step || !next || !stops.includes(document.activeElement)) return;
  event.preventDefault();
  next.focus();
});
show();
