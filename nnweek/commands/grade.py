"""Grading of exercises that learners handed in, file by file (Day 29).

Each file runs in a process of its own, with a time limit. This does not protect you: a file
is other people's code, and it runs with your permissions.
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

HELP = """
Check the exercises in notebooks or Python files that learners handed in, for example

    nnweek grade homework/*.ipynb > grades.csv

The table (CSV) has one row per file and exercise: the file as you named it, the day, the
exercise, and 'passed' or the id of the mistake. In a file or a pipe it is encoded in UTF-8.
The most frequent mistakes follow on standard error.

Only imports, definitions, constants and the calls of the checks are run. Even so, this is
other people's code, and it runs with your permissions.
"""
SECONDS = 300  # per file; a check stops a function after a few seconds
# The current folder comes last, where a file may have the name of a library.
_CHILD = """
import sys
sys.path.append(sys.path.pop(0))
from nnweek.commands import grade
grade._print_results(sys.argv[1])
"""


def main(arguments=None):
    """Grade every file; print the table and the most frequent mistakes. Introduced on Day 29.

    The exit status is 0, even if an exercise has not passed or a file cannot be read.
    """
    parser = argparse.ArgumentParser(prog="nnweek grade", description=HELP)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("files", metavar="FILE", nargs="+", help="a notebook or a .py file")
    files = parser.parse_args(arguments).files

    if not sys.stdout.isatty() and hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["file", "day", "exercise", "result"])
    mistakes = Counter()
    for path in files:
        for name, result in _grade_apart(path).items():
            day = checks.EXERCISES[name].day if name in checks.EXERCISES else ""
            table.writerow([_readable(path), day, name, result])
            if result not in ("passed", "not-attempted"):
                mistakes[f"{name}: {result}" if name else result] += 1
    for mistake, count in mistakes.most_common(10):
        print(f"{count:4} × {mistake}", file=sys.stderr)
    return 0


def grade(path):
    """Check the answers in one file. Introduced on Day 29.

    Only imports, definitions, constants (`answers = {…}`) and the calls of the checks are run,
    in the file's order: nothing is trained or drawn. If a file does not call any check, each
    function with an exercise's name is checked.

    Args:
        path: a notebook (.ipynb) or a Python file, also in jupytext's percent format.

    Returns:
        {exercise: `Verdict`} of the last call per exercise.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is neither a notebook nor Python.
    """
    verdicts, names = {}, {"__name__": "homework", "checks": checks}
    own = {}  # the functions defined in the file, without those it imports
    for statement in _statements(Path(path)):
        call = _check_call(statement)
        if call is not None:
            verdicts[call.func.attr] = _verdict(call, names)
        elif _is_definition(statement):
            # If this fails, the error shows up where the name is used.
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
    """Yield the statements of a file's cells; skip a cell that is not valid Python."""
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
            raise ValueError(f"{path.name} is not a notebook: {error!r}") from None
    else:
        try:
            _parsed(text)
        except SyntaxError as error:  # perhaps in one cell of several
            cells = re.split(r"^# %%.*$", text, flags=re.MULTILINE)
            if len(cells) == 1:
                raise ValueError(f"{path.name} is not valid Python: {error}") from None
    for cell in cells:
        with contextlib.suppress(SyntaxError):
            yield from _parsed(cell)


def _parsed(cell):
    """Return the statements of a cell; magics and shell commands (%matplotlib, !pip) are none."""
    return ast.parse(re.sub(r"^\s*[%!].*$", "", cell, flags=re.MULTILINE)).body


def _check_call(statement):
    """Return the call if a statement is `checks.<exercise>(…)`, else None."""
    call = getattr(statement, "value", None)
    if not (isinstance(statement, (ast.Expr, ast.Assign)) and isinstance(call, ast.Call)):
        return None
    is_check = isinstance(call.func, ast.Attribute) and call.func.attr in checks.EXERCISES
    return call if is_check and getattr(call.func.value, "id", "") == "checks" else None


def _is_definition(statement):
    """Return whether a statement is an import, a definition or a constant's assignment."""
    if isinstance(statement, ast.Assign):
        with contextlib.suppress(ValueError, TypeError, SyntaxError):
            ast.literal_eval(statement.value)
            return True
    return isinstance(statement, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef))


def _verdict(call, names):
    name = call.func.attr
    try:
        return eval(compile(ast.Expression(call), name, "eval"), names)
    except Exception as error:  # such as a name that only a complete run would define
        return checks.Verdict(name, False, "raised", f"{type(error).__name__}: {error}")


def _print_results(path):
    """Grade one file, in its own process; print {exercise: result} as JSON on the last line."""
    with contextlib.redirect_stdout(sys.stderr):
        try:
            results = {
                name: "passed" if verdict.passed else verdict.mistake
                for name, verdict in grade(path).items()
            }
        except (OSError, ValueError) as error:
            results = {"": f"cannot be read: {error}"}
    print("\n" + json.dumps(results), flush=True)


def _grade_apart(path):
    """Grade a file in a process of its own, which leaves your own progress alone."""
    try:
        ran = subprocess.run(
            [sys.executable, "-c", _CHILD, path],
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


def _readable(path):
    """Return a file's name, even if it is UTF-8 and the locale is not."""
    try:
        return os.fsencode(path).decode("utf-8")
    except UnicodeError:
        return path
