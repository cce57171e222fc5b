"""Learners play with the notebooks: they run cells again, and change seeds, epochs and rates.

These runs are on the stand-in and, as in a learner's Jupyter, not strict: the text's claims may
fail, but only with one line that says so.
"""

import ast
import os
import re

import nbformat
import pytest
from nbclient import NotebookClient

from support.notebooks import code_cells, every_day

pytestmark = pytest.mark.slow

# Cells whose output differs from run to run: times, hints that go on, and what was recorded.
DIFFERS = re.compile(
    r"perf_counter|timeit|\btime\.|seconds|\bms\b|profile|time_total|checks\.|results\."
)
ADDRESS = re.compile(r"0x[0-9a-f]+|/tmp/\S+")
OVERWRITTEN = re.compile(r"[^\n]*\r")  # of a progress bar, which is blank in the end


def run(sources, folder, **settings):
    """Execute code cells in one kernel, on the stand-in; return the cells with their outputs."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources])
    env = {name: value for name, value in os.environ.items() if not name.startswith("NNWEEK_")}
    env |= {
        "NNWEEK_DATASET": "stand-in",
        "NNWEEK_DATA": str(folder / "data"),
        "NNWEEK_RESULTS": str(folder / "results.jsonl"),
        "OMP_NUM_THREADS": "1",
        **settings,
    }
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources)
    client.execute(env=env)
    return notebook.cells


def printed(cell):
    """The text that a cell shows, without addresses in memory and temporary folders."""
    parts = []
    for output in cell.outputs:
        data = output.get("data", {})
        parts.append(
            output.get("text") or data.get("text/markdown") or data.get("text/plain") or ""
        )
    return OVERWRITTEN.sub("", ADDRESS.sub("", "".join(parts)))  # a line may come in parts


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
