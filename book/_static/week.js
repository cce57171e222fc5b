// Let Tab reach those of these boxes that can be scrolled. The observer reports a box's size once
// it is near the screen, when its <details> opens, and when the window changes.
const scrollable = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const wide = target.scrollWidth > target.clientWidth || target.scrollHeight > target.clientHeight;
    target.tabIndex = wide ? 0 : -1;
  }
});
for (const box of document.querySelectorAll("pre, .cell_output > .output, .pst-scrollable-table-container")) {
  scrollable.observe(box);
}

// A page opened from the disk may not read other pages, so search shows its results without context.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
