"""The command line, and text on consoles that lack some characters."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from nnweek import __version__, _console
from nnweek.commands import COMMANDS, main
from support import ROOT


@pytest.fixture
def call(capsys, monkeypatch):
    """Run the command line; return its exit status and what it prints."""
    monkeypatch.setattr(_console, "make_tolerant", lambda: None)

    def run(*arguments):
        try:
            status = main(arguments)
        except SystemExit as end:
            status = end.code
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return run


def test_help_names_every_command_and_each_explains_itself(call):
    assert call("--version") == (0, f"nnweek {__version__}\n")
    status, printed = call("--help")
    assert status == 0
    own = {name: call(name, "--help") for name in COMMANDS}
    for name, purpose in COMMANDS.items():
        assert f"{name} " in printed
        assert purpose.split()[0] in printed
        assert own[name][0] == 0
        assert own[name][1].startswith(f"usage: nnweek {name}")
    assert "UTF-8" in own["grade"][1], "the encoding of its table"


@pytest.mark.parametrize("arguments", [["gradee"], ["--quick"], ["report", "all"]])
def test_unknown_command_or_option_ends_with_2(arguments, call):
    status, printed = call(*arguments)
    assert status == 2
    assert arguments[-1] in printed


def test_without_a_command_the_report_decides_the_status(monkeypatch, call):
    calls = []
    monkeypatch.setattr("nnweek.commands.report.main", lambda rest: calls.append(rest) or 1)
    assert call() == (1, "")
    assert calls == [[]]


SCRIPT = """
from nnweek import checks
from nnweek.commands.report import Report
for answer in (lambda logits: logits, lambda logits: ..., checks.solutions.softmax):
    print(checks.softmax(answer))
print(checks.progress(), checks.solution("numerical_gradient"), checks.hint("numerical_gradient"))
print(Report({"name": "Łukasz – ✓"}, ["Łukasz ✓"], ["× ≤ …"]))
"""


@pytest.mark.parametrize(
    "console",
    [
        *({"PYTHONIOENCODING": name} for name in ("ascii", "cp1252", "latin-1", "utf-8")),
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=lambda console: "-".join(console.values()),
)
def test_verdicts_and_reports_print_on_every_console(console, tmp_path, monkeypatch):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    mine = {"PYTHONPATH": str(ROOT), "NNWEEK_RESULTS": str(tmp_path / "results.jsonl")}
    env = {**os.environ, **mine, **console}
    ran = subprocess.run([sys.executable, script], env=env, capture_output=True)
    assert ran.returncode == 0, ran.stderr
    encoding = console.get("PYTHONIOENCODING", "ascii")
    printed = ran.stdout.decode(encoding).replace("\N{NO-BREAK SPACE}", " ")
    sign, name = ("✓", "Łukasz") if encoding == "utf-8" else ("+", "?ukasz")
    assert f"{sign} softmax: passed" in printed
    assert f"{sign} softmax, " in printed
    assert name in printed


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [("ascii", "+ x 2 e ... - ?"), ("cp1252", "+ x ² é … – ?"), ("utf-8", "✓ ✗ ² é … – 🙂")],
)
def test_only_the_characters_that_are_missing_are_replaced(encoding, expected, monkeypatch):
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(encoding=encoding))
    text = _console.printable("✓ ✗ ² é … – 🙂")
    monkeypatch.undo()
    assert text == expected
