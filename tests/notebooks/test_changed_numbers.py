"""Other seeds, epochs, rates and batch sizes are experiments, not errors."""

import ast
import re

import pytest

from support.notebooks import DAYS, code_cells, every_day
from support.playing import run

pytestmark = pytest.mark.slow


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
def test_other_seeds_epochs_and_rates_cause_no_error(day, tmp_path):
    """The numbers stand in cells that papermill finds by their tag."""
    cells = code_cells(day)
    tagged = ["parameters" in cell.metadata.get("tags", []) for cell in cells]
    assert any(tagged), "no cell is tagged `parameters`"
    sources = [changed(c.source) if tag else c.source for c, tag in zip(cells, tagged, strict=True)]
    run(sources, tmp_path)


@pytest.mark.parametrize("day", [day for day in DAYS if day >= 31])
def test_quick_run_takes_part_of_the_images(day):
    """SMALL is a parameter, and the data set is made small before anything is done with it."""
    cells = [cell.source for cell in code_cells(day)]
    (at,) = (i for i, source in enumerate(cells) if re.search(r"^SMALL = False", source, re.M))
    (load,) = (i for i, source in enumerate(cells) if "load_mnist()" in source)
    assert load > at, "papermill writes its cell below the parameters"
    assert "data = load_mnist()\nif SMALL:\n    data = data.small()\n" in cells[load] + "\n"
