"""Cells that are run again show the same, and other numbers are experiments, not errors."""

import ast
import contextlib
import re

import pytest

from support.notebooks import DAYS, code_cells, every_day
from support.playing import printed, run, shortened

TIMED = re.compile(r"perf_counter|timeit|\btime\.|seconds|\bms\b|profile|time_total")
# Hints go on from run to run, and what was recorded is not measured again.
GOES_ON = re.compile(r"checks\.|results\.")


def depend_on_the_clock(sources):
    """Which cells measure or show a time, or compare one with what the text says about it."""
    by_clock, others = set(), set()
    for source in sources:
        with contextlib.suppress(SyntaxError):  # a magic command
            names = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)]
            found = by_clock if TIMED.search(source) else others
            found |= {name.id for name in names if isinstance(name.ctx, ast.Store)}
    claims = re.compile(rf"text_says(?s:.*)\b({'|'.join(by_clock - others) or '(?!)'})\b")
    return [bool(TIMED.search(source) or claims.search(source)) for source in sources]


def is_tagged(cell):
    """Whether papermill finds the numbers to change in this cell."""
    return "parameters" in cell.metadata.get("tags", [])


def changed(source):
    """Change every number of a cell of parameters as a curious learner would."""
    changes = [
        ("EPOCHS", lambda value: 1),
        ("SEED", lambda value: value + 1),
        ("LR", lambda value: 3 * value),
        ("BATCH_SIZE", lambda value: value // 2),
    ]
    lines = []
    for node in ast.parse(source).body:
        (name,) = node.targets
        value = ast.literal_eval(node.value)
        change = next((change for part, change in changes if part in name.id), None)
        lines.append(f"{name.id} = {change(value) if change else value!r}")
    return "\n".join(lines)


@every_day
def test_numbers_to_change_stand_in_one_cell(day):
    (cell,) = filter(is_tagged, code_cells(day))
    assert "SEED = " in cell.source
    assert changed(cell.source) != cell.source


@pytest.mark.parametrize("day", [day for day in DAYS if day >= 31])
def test_quick_run_takes_part_of_the_images(day):
    """SMALL is a parameter, and the data set is made small before anything is done with it."""
    cells = [cell.source for cell in code_cells(day)]
    (at,) = (i for i, source in enumerate(cells) if re.search(r"^SMALL = False", source, re.M))
    (load,) = (i for i, source in enumerate(cells) if "load_mnist()" in source)
    assert load > at, "papermill writes its cell below the parameters"
    assert "data = load_mnist()\nif SMALL:\n    data = data.small()\n" in cells[load] + "\n"


@pytest.mark.slow
@every_day
def test_day_can_be_played_with(day, tmp_path):
    """In one kernel: the day with other numbers, then once more, with each cell twice in a row."""
    cells = code_cells(day)
    sources = [
        shortened(changed(cell.source) if is_tagged(cell) else cell.source) for cell in cells
    ]
    ran = run(sources + [source for source in sources for _ in range(2)], tmp_path)
    day_once, day_again = ran[: len(sources)], ran[len(sources) :]
    pairs = zip(day_again[::2], day_again[1::2], strict=True)
    clock = depend_on_the_clock(sources)
    for first, (again, twice), skip in zip(day_once, pairs, clock, strict=True):
        if skip:
            continue
        for cell, when in ((again, "in the day's second run"), (twice, "twice in a row")):
            if not GOES_ON.search(first.source):
                assert printed(cell) == printed(first), f"{when}:\n{first.source}"
            remarks = ["In your run" in printed(c) for c in (cell, first)]
            assert remarks[0] == remarks[1], f"{when}: {printed(cell)}\n{first.source}"
