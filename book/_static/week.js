// Tab reaches what can be scrolled, and nothing else of these. Their sizes are read as they come
// to be known: when they are near the screen, when <details> opens, when the window changes.
const scrollable = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const wide = target.scrollWidth > target.clientWidth || target.scrollHeight > target.clientHeight;
    target.tabIndex = wide ? 0 : -1;
  }
});
for (const box of document.querySelectorAll("pre, .cell_output > .output, .pst-scrollable-table-container")) {
  scrollable.observe(box);
}

// A page from the disk may not read the others: there, what is found is shown without its context.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
