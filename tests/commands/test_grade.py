"""What `python -m nnweek.commands.grade` promises: handed-in files are checked, whatever is in them."""

import csv
import json
import os
import subprocess
import sys

import pytest

from nnweek import checks
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
def no_progress_of_mine(monkeypatch, tmp_path):
    monkeypatch.setenv("NNWEEK_RESULTS", str(tmp_path / "results.jsonl"))


def hand_in(folder, name, *cells):
    """A file with these cells; text cells begin with a #."""
    path = folder / name
    if path.suffix == ".ipynb":
        made = [
            {
                "cell_type": "markdown" if cell.startswith("# ") else "code",
                "source": cell.splitlines(keepends=True),
            }
            for cell in cells
        ]
        path.write_text(json.dumps({"cells": made, "nbformat": 4}), encoding="utf-8")
    else:
        path.write_text("\n\n".join(cells), encoding="utf-8")
    return path


def run(*files):
    """Run the command; return its rows without the header, and what it says of all."""
    ran = subprocess.run(
        [sys.executable, "-m", "nnweek", "grade", *map(str, files)],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    assert ran.returncode == 0, ran.stderr
    rows = list(csv.reader(ran.stdout.splitlines()))
    assert rows[0] == ["file", "day", "exercise", "result"]
    return rows[1:], ran.stderr


def results(path):
    return {name: verdict.mistake or "passed" for name, verdict in grade.grade(path).items()}


def test_a_class_is_graded_and_its_mistakes_are_counted(tmp_path):
    files = [
        hand_in(tmp_path, "ann.py", RIGHT),
        hand_in(tmp_path, "ben.py", WRONG),
        hand_in(tmp_path, "cho.ipynb", WRONG, "checks.softmax(softmax)"),
        hand_in(tmp_path, "dee.py", "import os; os._exit(3)\ndef softmax(x): os._exit(3)"),
        hand_in(tmp_path, "eva.py", "this is no Python"),
    ]
    rows, said = run(*files)
    assert rows[:3] == [
        ["ann.py", "29", "softmax", "passed"],
        ["ben.py", "29", "softmax", "wrong-axis"],
        ["cho.ipynb", "29", "softmax", "wrong-axis"],
    ]
    assert rows[3][0] == "dee.py"
    assert rows[3][3].startswith("ended the process with code")
    assert rows[4][0] == "eva.py"
    assert "is no Python" in rows[4][3]
    assert "2 × softmax: wrong-axis" in said


def test_grading_leaves_the_teachers_own_progress_alone(tmp_path):
    run(hand_in(tmp_path, "ann.py", RIGHT))
    assert not (tmp_path / "results.jsonl").exists()


def test_a_file_that_never_ends_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(grade, "SECONDS", 1)
    path = hand_in(tmp_path, "ann.py", "def softmax(x, y=exec('while True: pass')):\n    return x")
    assert grade._apart(path) == {"": "stopped after 1 seconds"}


@pytest.mark.parametrize("day", sorted({e.day for e in checks.EXERCISES.values()}))
def test_a_days_notebook_with_the_solutions_put_in_passes(day, tmp_path):
    (source,) = (ROOT / "notebooks").glob(f"day-{day}-*.ipynb")
    notebook = json.loads(source.read_text(encoding="utf-8"))
    expected = {}
    for cell in notebook["cells"]:
        code = "".join(cell["source"])
        for name in checks.EXERCISES:
            # Stubs end with "..."; what a call needs besides is left as it stands.
            if f"\nchecks.{name}(" in code and "..." in code:
                call = next(line for line in code.splitlines() if line.startswith("checks."))
                call = call.replace("diagnose(answers)", "diagnose(answers())")
                cell["source"] = [f"{checks.solution(name).text}\n\n{call}"]
                expected[name] = "passed"
    path = tmp_path / "ann.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    found = results(path)
    assert expected
    # What a whole run would have measured, the command does not have.
    unknown = {name for name, result in found.items() if result == "raised"}
    assert unknown <= {"lr_sweep"}
    assert {name: found[name] for name in expected.keys() - unknown} == dict.fromkeys(
        expected.keys() - unknown, "passed"
    )


def test_a_days_notebook_that_nobody_touched_is_not_attempted():
    for source in (ROOT / "notebooks").glob("day-*.ipynb"):
        for name, result in results(source).items():
            assert result in ("not-attempted", "raised"), (source.name, name)
            assert result == "not-attempted" or name == "lr_sweep"


def test_nothing_but_definitions_and_checks_is_run(tmp_path):
    marker = tmp_path / "ran"
    path = hand_in(
        tmp_path,
        "ann.ipynb",
        "%matplotlib inline\n!touch nothing",
        f"open({str(marker)!r}, 'w').close()",
        f"trained = open({str(marker)!r}, 'w')",
        "for x in (",  # a cell that was given up
        "answers = {'run': ...}",
        RIGHT,
        "checks.softmax(softmax)",
    )
    assert results(path) == {"softmax": "passed"}
    assert not marker.exists()


def test_a_helper_of_the_learners_own_is_there(tmp_path):
    path = hand_in(
        tmp_path,
        "ann.ipynb",
        "import numpy as np",
        "def largest(x):\n    return x.max(axis=1, keepdims=True)",
        "def softmax(logits):\n    e = np.exp(logits - largest(logits))\n"
        "    return e / e.sum(axis=1, keepdims=True)\n\nchecks.softmax(softmax)",
    )
    assert results(path) == {"softmax": "passed"}


def test_the_function_as_it_is_when_the_check_is_called_counts(tmp_path):
    path = hand_in(tmp_path, "ann.ipynb", RIGHT, "checks.softmax(softmax)", WRONG)
    assert results(path) == {"softmax": "passed"}


def test_what_is_imported_is_not_taken_for_an_answer(tmp_path):
    path = hand_in(tmp_path, "ann.py", "from nnweek.checks.solutions import softmax")
    assert results(path) == {}


def test_an_error_in_a_call_is_told_and_the_others_count(tmp_path):
    calls = "checks.softmax(softmax)\nchecks.forward(never_defined)"
    path = hand_in(tmp_path, "ann.py", RIGHT, calls)
    assert results(path) == {"softmax": "passed", "forward": "raised"}


def test_what_is_no_notebook_is_named(tmp_path):
    path = tmp_path / "ann.ipynb"
    path.write_text("[]")
    with pytest.raises(ValueError, match="ann.ipynb is no notebook"):
        grade.grade(path)


def test_a_results_file_that_is_handed_in_tells_what_has_passed(tmp_path, monkeypatch):
    exec(RIGHT, names := {})
    with monkeypatch.context() as theirs:
        theirs.setenv("NNWEEK_RESULTS", str(tmp_path / "ann.jsonl"))
        theirs.setattr(checks.progress_store, "_passed", set())
        assert checks.softmax(names["softmax"])
    told = subprocess.run(
        [sys.executable, "-c", "from nnweek import checks; print(checks.progress())"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        env={
            **os.environ,
            "NNWEEK_RESULTS": str(tmp_path / "ann.jsonl"),
            "PYTHONIOENCODING": "utf-8",
        },
    ).stdout
    assert "✓ softmax" in told
    assert told.startswith("1 of ")
