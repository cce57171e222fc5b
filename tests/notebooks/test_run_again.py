"""Cells that are run again show the same, or are an honest new run."""

import re

import pytest

from support.notebooks import code_cells, every_day
from support.playing import printed, run

pytestmark = pytest.mark.slow

# Cells whose output differs from run to run: times, hints that go on, and what was recorded.
DIFFERS = re.compile(
    r"perf_counter|timeit|\btime\.|seconds|\bms\b|profile|time_total|checks\.|results\."
)


@every_day
def test_cells_can_be_run_again(day, tmp_path):
    """Each code cell twice in a row, then the day once more in the same kernel."""
    sources = [cell.source for cell in code_cells(day)]
    cells = run([s for source in sources for s in (source, source)] + sources, tmp_path)
    twice, again = cells[: 2 * len(sources)], cells[2 * len(sources) :]
    for first, second, third in zip(twice[::2], twice[1::2], again, strict=True):
        for cell in (first, second, third):
            assert "In your run" not in printed(cell), cell.source
        if not DIFFERS.search(first.source):
            assert printed(second) == printed(first), f"a second time:\n{first.source}"
            assert printed(third) == printed(first), f"the day a second time:\n{first.source}"
