// Let Tab reach those of these boxes that can be scrolled, and mark those that go on at the right.
// The observer reports a box's size once it is near the screen, when its <details> opens, and when
// the window changes; until then, a box counts as one that can be scrolled.
const measure = (box) => {
  const right = box.scrollWidth - box.clientWidth;
  if (right > 0 || box.scrollHeight > box.clientHeight) box.tabIndex = 0;
  else box.removeAttribute("tabindex");
  box.classList.toggle("more-right", right - box.scrollLeft > 4);
};
const scrollable = new ResizeObserver((entries) => entries.forEach(({ target }) => measure(target)));
for (const box of document.querySelectorAll("pre, .cell_output .output, .pst-scrollable-table-container")) {
  box.tabIndex = 0;
  scrollable.observe(box);
  box.addEventListener("scroll", () => measure(box), { passive: true });
}

// The list of a page's contents follows the reader.
document.addEventListener("activate.bs.scrollspy", ({ relatedTarget }) =>
  relatedTarget?.scrollIntoView({ block: "nearest" }));

// A long list of contents, such as that of all mistakes, gets a field that filters it.
const contents = document.querySelector("#pst-page-toc-nav");
const entries = contents ? [...contents.querySelectorAll("li")] : [];
if (entries.length > 40) {
  const field = document.createElement("input");
  Object.assign(field, { type: "search", className: "contents-filter", placeholder: "Filter this list" });
  field.setAttribute("aria-label", "Filter this list");
  field.addEventListener("input", () => {
    const wanted = field.value.trim().toLowerCase();
    contents.classList.toggle("filtered", wanted !== "");
    for (const entry of entries) entry.hidden = !entry.textContent.toLowerCase().includes(wanted);
  });
  contents.before(field);
}

// A page opened from the disk may not read other pages, so search shows its results without context.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
