"""Handed-in exercises, checked file by file, for whoever sets them as homework (Day 29).

`nnweek grade homework/*.ipynb` prints one line for each file and exercise (CSV):
passed, or the mistake. Each file is run by a process of its own, with a limit of time. That
is no protection: what is run is somebody else's code, with your rights.
"""

import argparse
import ast
import contextlib
import csv
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from nnweek import checks

SECONDS = 300  # for one file; a check stops a function that takes longer than some seconds


def main(arguments=None):
    """Check every file, print the table and what went wrong most often. Introduced on Day 29.

    Args:
        arguments: of the command line, by default the real ones.

    Returns:
        0; that somebody's exercise has not passed is no failure of the command.
    """
    parser = argparse.ArgumentParser(prog="nnweek grade", description=main.__doc__)
    parser.add_argument("files", nargs="+", type=Path, help="notebooks (.ipynb) or .py files")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.one:
        return _one(*chosen.files)

    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["file", "day", "exercise", "result"])
    mistakes = Counter()
    for path in chosen.files:
        for name, result in _apart(path).items():
            day = checks.EXERCISES[name].day if name in checks.EXERCISES else ""
            table.writerow([path.name, day, name, result])
            if result not in ("passed", "not-attempted"):
                mistakes[f"{name}: {result}" if name else result] += 1
    for mistake, count in mistakes.most_common(10):
        print(f"{count:4} × {mistake}", file=sys.stderr)
    return 0


def grade(path):
    """Check what a file answers. Introduced on Day 29.

    Imports, definitions, plain values (`answers = {…}`) and the calls of the checks are run
    in the file's order, and nothing else: nothing is trained or drawn. Where a file calls no
    check at all, each function with an exercise's name is checked.

    Args:
        path: a notebook (.ipynb) or a Python file, also in jupytext's percent format.

    Returns:
        {exercise: `Verdict`}, of the last call for each exercise.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is neither a notebook nor Python.
    """
    verdicts, names = {}, {"__name__": "homework", "checks": checks}
    own = {}  # the functions of the file itself; what it imports is somebody else's
    for statement in _statements(Path(path)):
        asked = _asked(statement)
        if asked is not None:
            verdicts[asked.func.attr] = _verdict(asked, names)
        elif _is_kept(statement):
            # What it lacks shows itself where it is used.
            with contextlib.suppress(Exception):
                exec(compile(ast.Module([statement], []), str(path), "exec"), names)
            if isinstance(statement, ast.FunctionDef):
                own[statement.name] = names.get(statement.name)
    if not verdicts:
        verdicts = {
            name: checks.EXERCISES[name](own[name]) for name in own if name in checks.EXERCISES
        }
    return {name: verdicts[name] for name in checks.EXERCISES if name in verdicts}


def _statements(path):
    """Yield the statements of a file's cells; a cell that is no Python is passed over."""
    text = path.read_text(encoding="utf-8-sig")
    cells = [text]
    if path.suffix == ".ipynb":
        try:
            cells = [
                "".join(cell["source"])
                for cell in json.loads(text)["cells"]
                if cell["cell_type"] == "code"
            ]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path.name} is no notebook: {error!r}") from None
    for cell in cells:
        try:
            # Lines for the notebook (%matplotlib, !pip) are no Python.
            yield from ast.parse(re.sub(r"^\s*[%!].*$", "", cell, flags=re.MULTILINE)).body
        except SyntaxError as error:
            if path.suffix != ".ipynb":
                raise ValueError(f"{path.name} is no Python: {error}") from None


def _asked(statement):
    """Return the call, where a statement is `checks.<exercise>(…)`, else None."""
    call = getattr(statement, "value", None)
    if not (isinstance(statement, (ast.Expr, ast.Assign)) and isinstance(call, ast.Call)):
        return None
    named = isinstance(call.func, ast.Attribute) and call.func.attr in checks.EXERCISES
    return call if named and getattr(call.func.value, "id", "") == "checks" else None


def _is_kept(statement):
    """Whether a statement is an import, a definition or a plain value."""
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    if isinstance(statement, ast.Assign):
        with contextlib.suppress(ValueError, TypeError, SyntaxError):
            ast.literal_eval(statement.value)
            return True
    return isinstance(statement, kinds)


def _verdict(call, names):
    name = call.func.attr
    try:
        return eval(compile(ast.Expression(call), name, "eval"), names)
    except Exception as error:  # such as a name that only a whole run would define
        return checks.Verdict(name, False, "raised", f"{type(error).__name__}: {error}")


def _one(path):
    """In the process of one file: print its results as JSON, alone on the last line."""
    with contextlib.redirect_stdout(sys.stderr):
        try:
            found = {
                name: "passed" if verdict.passed else verdict.mistake
                for name, verdict in grade(path).items()
            }
        except (OSError, ValueError) as error:
            found = {"": f"cannot be read: {error}"}
    print("\n" + json.dumps(found), flush=True)
    return 0


def _apart(path):
    """Grade a file in a process of its own, which keeps no progress of yours."""
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "nnweek", "grade", "--one", str(path)],
            env={**os.environ, "NNWEEK_RESULTS": os.devnull},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return {"": f"stopped after {SECONDS:g} seconds"}
    try:
        return json.loads(ran.stdout.decode("utf-8", "replace").splitlines()[-1])
    except (ValueError, IndexError):
        return {"": f"ended the process with code {ran.returncode}"}
