"""Run the cells of a day as a learner does who plays with it, on the stand-in and not strict.

The text's claims may fail then, but only with one line that says so.
"""

import os
import re

import nbformat
from nbclient import NotebookClient

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
