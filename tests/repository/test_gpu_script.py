"""`.ci/gpu` goes on after a failed part, keeps to its time and ends with one table."""

import importlib.machinery
import importlib.util
import subprocess
import sys

import pytest
import torch

from support import ROOT


@pytest.fixture
def script():
    loader = importlib.machinery.SourceFileLoader("gpu", str(ROOT / ".ci" / "gpu"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("gpu", loader))
    loader.exec_module(module)
    return module


def python(code):
    return [sys.executable, "-c", code]


def table_of(printed):
    return {row.split("|")[1].strip(): row for row in printed.splitlines() if row.startswith("|")}


def test_failed_part_is_named_and_the_next_one_runs(script, capsys):
    parts = {
        "broken": python("raise SystemExit('no such thing')"),
        "good": python("print('| 5 baseline epochs | 0.70 s | reached |')\nprint('other')"),
    }
    assert script.main(["--device", "cpu"], parts.items) == 1
    printed, errors = capsys.readouterr()
    table = table_of(printed)
    assert "**failed** (exit status 1)" in table["broken"]
    assert "passed" in table["good"]
    assert table["5 baseline epochs"] == "| 5 baseline epochs | 0.70 s | reached |"
    assert "1 part(s) failed" in table["all"]
    assert "CPU only" in table["device"]
    assert "other" not in printed
    assert "no such thing" in errors


def test_part_is_stopped_when_the_time_is_over(script, capsys, monkeypatch):
    monkeypatch.setattr(script, "MINUTES", 1 / 60)
    parts = {"slow": python("import time; time.sleep(60)"), "late": python("1")}
    assert script.main(["--device", "cpu"], parts.items) == 1
    table = table_of(capsys.readouterr().out)
    assert "are over" in table["slow"]
    assert "are over" in table["late"]


def test_status_is_0_if_every_part_passes(script, capsys):
    assert script.main(["--device", "cpu"], {"good": python("1")}.items) == 0
    assert "0 part(s) failed" in capsys.readouterr().out


def test_missing_gpu_is_an_error(script, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as stopped:
        script.main([], list)
    assert stopped.value.code == 2
    assert "sees no GPU" in capsys.readouterr().err


def test_parts_are_the_notebooks_the_gpu_tests_and_the_benchmark(script):
    commands = dict(script.parts())
    days = sorted(path.stem for path in (ROOT / "notebooks").glob("day-*.ipynb"))
    assert list(commands) == ["speed", "tests for a GPU", *days]
    assert all((ROOT / command[-1]).exists() for command in list(commands.values())[1:])


def test_speed_is_measured_with_its_goals(script, capsys, monkeypatch, digits):
    import nnweek.mnist
    from nnweek.commands import bench

    monkeypatch.setattr(nnweek.mnist, "load_mnist", lambda: digits)
    monkeypatch.setattr(bench, "load_mnist", lambda: digits)
    monkeypatch.setattr(bench, "startup_times", lambda rounds: {})
    script.main(["--measure"])
    table = table_of(capsys.readouterr().out)
    assert "below 1 s" in table["5 baseline epochs"]
    assert "below 4 ×" in table["2 seeds at once / one"]
    assert digits.name in table["data"]


@pytest.mark.slow
def test_script_starts_from_any_folder(tmp_path):
    command = [sys.executable, ROOT / ".ci" / "gpu", "--help"]
    assert "--device" in subprocess.check_output(command, cwd=tmp_path, text=True)
