"""`nnweek grade` checks handed-in files, whatever is in them."""

import csv
import io
import json
import os
import subprocess
import sys

import pytest

from nnweek import checks
from nnweek.checks import progress_store
from nnweek.commands import grade
from support import ROOT

RIGHT = "import numpy as np\n\n\n" + checks.solution("softmax").text
WRONG = """
import numpy as np

def softmax(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=0)
"""


@pytest.fixture(autouse=True)
def separate_progress(monkeypatch, tmp_path):
    monkeypatch.setenv("NNWEEK_RESULTS", str(tmp_path / "results.jsonl"))


def hand_in(path, *cells):
    """Write a file with these cells; a notebook if its name says so."""
    path.parent.mkdir(exist_ok=True)
    text = "\n\n".join(cells)
    if path.suffix == ".ipynb":
        cells = [{"cell_type": "code", "source": cell.splitlines(keepends=True)} for cell in cells]
        text = json.dumps({"cells": cells, "nbformat": 4})
    path.write_text(text, encoding="utf-8")
    return path


def results(path):
    return {name: verdict.mistake or "passed" for name, verdict in grade.grade(path).items()}


def test_files_are_graded_and_mistakes_are_counted(tmp_path, monkeypatch):
    """As on Windows, where a redirected table would be in code page 1252."""
    monkeypatch.chdir(tmp_path)
    files = {
        "ann/day-29.ipynb": (WRONG, "checks.softmax(softmax)"),
        "ben/day-29.ipynb": (RIGHT, "checks.softmax(softmax)"),
        "Łukasz ✓.py": (WRONG,),
        "dee.py": ("import os\ndef softmax(x): os._exit(3)",),
        "eva.py": ("no Python",),
    }
    for name, cells in files.items():
        hand_in(tmp_path / name, *cells)
    hand_in(tmp_path / "random.py", "raise SystemExit('not the library')")
    ran = subprocess.run(
        [sys.executable, "-m", "nnweek", "grade", *files],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "cp1252"},
    )
    assert ran.returncode == 0, ran.stderr
    header, *rows = csv.reader(io.StringIO(ran.stdout.decode("utf-8")))
    assert header == ["file", "day", "exercise", "result"]
    assert rows[:3] == [
        ["ann/day-29.ipynb", "29", "softmax", "wrong-axis"],
        ["ben/day-29.ipynb", "29", "softmax", "passed"],
        ["Łukasz ✓.py", "29", "softmax", "wrong-axis"],
    ]
    assert rows[3] == ["dee.py", "", "", "ended the process with code 3"]
    assert rows[4][0] == "eva.py"
    assert "is not valid Python" in rows[4][3]
    assert "2 × softmax: wrong-axis" in ran.stderr.decode("cp1252")
    assert not (tmp_path / "results.jsonl").exists(), "the teacher's own progress has changed"


def test_file_that_never_ends_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(grade, "SECONDS", 1)
    path = hand_in(tmp_path / "ann.py", "def softmax(x, y=exec('while True: pass')): pass")
    assert grade._grade_apart(str(path)) == {"": "stopped after 1 seconds"}


@pytest.mark.parametrize("day", sorted({e.day for e in checks.EXERCISES.values()}))
def test_each_day_passes_once_the_solutions_are_put_in(day, tmp_path):
    (source,) = (ROOT / "notebooks").glob(f"day-{day}-*.ipynb")
    for name, result in results(source).items():
        assert result == "not-attempted" or (name, result) == ("lr_sweep", "raised")

    notebook = json.loads(source.read_text(encoding="utf-8"))
    expected = {}
    for cell in notebook["cells"]:
        code = "".join(cell["source"])
        for name in checks.EXERCISES:
            # A stub ends with "..."; the call stays as it is.
            if f"\nchecks.{name}(" in code and "..." in code:
                call = next(line for line in code.splitlines() if line.startswith("checks."))
                for answers in ("answers", "nine_rows"):  # the page has a dictionary
                    call = call.replace(f"({answers})", f"({answers}())")
                cell["source"] = [f"{checks.solution(name).text}\n\n{call}"]
                expected[name] = "passed"
    path = tmp_path / "ann.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    found = results(path)
    assert expected
    if found.get("lr_sweep") == "raised":  # it needs results that only a complete run has
        expected.pop("lr_sweep", None)
    assert {name: found[name] for name in expected} == expected


def test_only_definitions_and_checks_are_run(tmp_path):
    marker = tmp_path / "ran"
    path = hand_in(
        tmp_path / "ann.ipynb",
        "%matplotlib inline\n!touch nothing",
        f"open({str(marker)!r}, 'w').close()",
        f"trained = open({str(marker)!r}, 'w')",
        "for x in (",  # an unfinished cell
        "answers = {'run': ...}",
        RIGHT,
        "checks.softmax(softmax)",
    )
    assert results(path) == {"softmax": "passed"}
    assert not marker.exists()


HELPER = "def total(x):\n    return x.sum(axis=1, keepdims=True)"
USES_HELPER = WRONG.replace("e.sum(axis=0)", "total(e)")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([HELPER, USES_HELPER, "checks.softmax(softmax)"], {"softmax": "passed"}),
        ([RIGHT, "checks.softmax(softmax)", WRONG], {"softmax": "passed"}),
        (["from nnweek.checks.solutions import softmax"], {}),
        (
            [RIGHT, "checks.softmax(softmax)\nchecks.forward(never_defined)"],
            {"softmax": "passed", "forward": "raised"},
        ),
    ],
    ids=["own helper", "function as of its check", "import is no answer", "error in a call"],
)
def test_what_counts_as_an_answer(cells, expected, tmp_path):
    assert results(hand_in(tmp_path / "ann.ipynb", *cells)) == expected


def test_file_that_is_not_a_notebook_is_named(tmp_path):
    (tmp_path / "ann.ipynb").write_text("[]")
    with pytest.raises(ValueError, match="ann.ipynb is not a notebook"):
        grade.grade(tmp_path / "ann.ipynb")


def test_handed_in_results_file_shows_what_has_passed(tmp_path, monkeypatch):
    exec(RIGHT, names := {})
    monkeypatch.setattr(progress_store, "_passed", set())
    assert checks.softmax(names["softmax"])
    monkeypatch.setattr(progress_store, "_passed", set())
    printed = repr(checks.progress())
    assert "✓\N{NO-BREAK SPACE}softmax" in printed
    assert printed.startswith("1 of ")


def test_invalid_cell_of_a_python_file_leaves_the_others(tmp_path):
    cells = (
        f"# %%\n{RIGHT}",
        "# %%\ndef forward(:",
        "# %% [markdown]\n# Done.",
        "# %%\nchecks.softmax(softmax)",
    )
    assert results(hand_in(tmp_path / "day-29.py", *cells)) == {"softmax": "passed"}
