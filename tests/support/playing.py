"""Run the cells of a day as a learner does who plays with it, on few digits and not strict.

The text's claims may fail then, but only with one line that says so.
"""

import ast
import os
import re

import nbformat
from nbclient import NotebookClient

ADDRESS = re.compile(r"0x[0-9a-f]+|/tmp/\S+")
OVERWRITTEN = re.compile(r"[^\n]*\r")  # of a progress bar, which is blank in the end
COUNT = re.compile(r"(epochs|steps|passes|batches)(?![a-z0-9])", re.IGNORECASE)

# The stand-in with fewer digits, shorter runs to diagnose, and figures with fewer pixels.
SMALL = """
import warnings
from unittest import mock
import sklearn.datasets
import nnweek.mnist
from nnweek.checks import faulty_runs

_digits = sklearn.datasets.load_digits()  # the scripts of the days read them all
_digits.update({name: _digits[name][:700] for name in ("data", "images", "target")})
_load_all = nnweek.mnist._load_stand_in

def _load_few():
    with mock.patch("sklearn.datasets.load_digits", lambda: _digits):
        return _load_all()

nnweek.mnist._load_stand_in = _load_few
faulty_runs.STEPS = 40
warnings.filterwarnings("always", category=RuntimeWarning)  # not only the first time
%config InlineBackend.print_figure_kwargs = {"bbox_inches": None, "dpi": 30}
"""


def run(sources, folder, **settings):
    """Execute code cells in one kernel, on few digits; return the cells with their outputs."""
    cells = [nbformat.v4.new_code_cell(source) for source in (SMALL, *sources)]
    notebook = nbformat.v4.new_notebook(cells=cells)
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
    return notebook.cells[1:]


def printed(cell):
    """The text that a cell shows, without addresses in memory and temporary folders."""
    parts = []
    for output in cell.outputs:
        data = output.get("data", {})
        parts.append(
            output.get("text") or data.get("text/markdown") or data.get("text/plain") or ""
        )
    return OVERWRITTEN.sub("", ADDRESS.sub("", "".join(parts)))  # a line may come in parts


def shortened(source):
    """The code of a cell, with about a tenth of the epochs and steps, and measured only twice."""
    try:
        return ast.unparse(_Shorten().visit(ast.parse(source)))
    except SyntaxError:  # a cell with a magic command
        return source


class _Shorten(ast.NodeTransformer):
    """Reduce the numbers in `for _ in range(…)` and in what gets a name as `epochs` or `STEPS`."""

    def visit_For(self, node):
        self.generic_visit(node)
        if ast.unparse(node.target) == "_":
            node.iter = _Reduce(3).visit(node.iter)
        return node

    def visit_Assign(self, node):
        table = isinstance(node.value, ast.Dict)
        node.value = self._value("" if table else ast.unparse(node.targets[0]), node.value)
        return node

    def visit_arguments(self, node):
        names = [argument.arg for argument in node.args][-len(node.defaults) :]
        node.defaults = [self._value(*pair) for pair in zip(names, node.defaults, strict=False)]
        return node

    def visit_keyword(self, node):
        node.value = self._value(node.arg or "", node.value)
        return node

    def visit_Dict(self, node):
        names = [str(getattr(key, "value", "")) for key in node.keys]
        node.values = [self._value(*pair) for pair in zip(names, node.values, strict=True)]
        return node

    def _value(self, name, value):
        return (_Reduce(5) if COUNT.search(name) else self).visit(value)


class _Reduce(ast.NodeTransformer):
    def __init__(self, large):
        self.large = large

    def visit_Constant(self, node):
        is_large = type(node.value) is int and node.value >= self.large
        return ast.Constant(max(2, node.value // 10)) if is_large else node
