// The exercises of a page. The build says with `data-runs` where the check of each can run.
for (const card of document.querySelectorAll('.exercise[data-runs="browser"]')) card.dataset.live = "";
