// The theme lets Tab reach what can be scrolled, and looks for it again when the window's size
// changes. What is inside <details> can only be found when it is open.
document.addEventListener("toggle", () => window.dispatchEvent(new Event("resize")), true);

// A page from the disk may not read the others: there, what is found is shown without its context.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
