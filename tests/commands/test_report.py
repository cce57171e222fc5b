"""`python -m nnweek` names what is wrong with a setup, in one sentence with the fix.

Most tests give the report the findings of a healthy setup and spoil one of them. The probe,
which makes those findings, and the command itself are tested in processes of their own.
"""

import ast
import errno
import gzip
import hashlib
import os
import re
import subprocess
import sys
import textwrap
import venv
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from nnweek import checks, mnist, results
from nnweek.checks import progress_store
from nnweek.commands import report
from support import ROOT, text_of

# Four small files in MNIST's place.
FILES = {f"{name}.gz": gzip.compress(name.encode(), mtime=0) for name in mnist.UNPACKED}
CHECKSUMS = {name: hashlib.md5(content).hexdigest() for name, content in FILES.items()}
FIRST, *_, LAST = FILES


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
    return folder


HEALTHY = {
    **{module: [None, "99.0"] for module, _ in report.LIBRARIES.values()},
    "nnweek": str(ROOT / "nnweek" / "__init__.py"),
    "device": "CPU, threads: 4",
    "cuda": None,
    "checksums": CHECKSUMS,
    "kernel": sys.executable,
    "own files": {},
    "trying": None,
    "end": "ended the process with code 0",
}


@pytest.fixture
def set_up(tmp_path, monkeypatch):
    """A setup without problems: its folders, and what the probe finds."""
    for name in os.environ:
        if name.startswith(("NNWEEK_", "VIRTUAL_ENV", "XDG_")):
            monkeypatch.delenv(name)
    home, course = tmp_path / "home", tmp_path / "course"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    raw = home / ".cache" / "nnweek" / "MNIST" / "raw"
    for folder in (raw, course / "book", course / "notebooks"):
        folder.mkdir(parents=True)
    for name, content in FILES.items():
        (raw / name).write_bytes(content)
    (course / "pyproject.toml").write_text(text_of("pyproject.toml"), encoding="utf-8")
    probed = dict(HEALTHY)
    monkeypatch.setattr(report, "COURSE", course)
    monkeypatch.setattr(report, "_probe", lambda: probed)
    monkeypatch.setattr(progress_store, "_passed", set())
    return SimpleNamespace(home=home, course=course, raw=raw, probed=probed)


def the_problem():
    """Return the only problem that the report finds, as it is printed but on one line."""
    found = report.report()
    assert len(found.problems) == 1, found.problems
    printed = " ".join(repr(found).split())
    return printed.partition("What is wrong and how to fix it - ")[2]


def test_a_healthy_set_up_has_no_problem(set_up):
    found = report.report()
    assert found.problems == []
    for line in (
        "torch +99.0", "device +CPU, threads: 4", "MNIST +4 of 4 files present and verified",
        r"data folder +~[/\\]\.cache[/\\]nnweek", "settings +none", "- This report found no problem",
    ):  # fmt: skip
        assert re.search(f"^{line}", repr(found), re.M), line


FINDINGS = {
    "torch 99.0 and torchvision 0.24 do not match": {"torchvision": ["torchvision::nms", "0.24"]},
    "tensorboard is installed but cannot be imported: OSError": {
        "tensorboard": ["OSError", "2.21"]
    },
    "tqdm 4.9.1 is too old, since the course needs 4.66": {"tqdm": [None, "4.9.1"]},
    "Checking tqdm crashed": {"trying": "tqdm", "end": "crashed"},
    "run `pip install --no-deps -e .`": {"nnweek": None},
    "imports another copy of nnweek": {"nnweek": str(ROOT / "tests" / "__init__.py")},
    "ipykernel install --sys-prefix": {"kernel": os.path.abspath(os.path.join("other", "python"))},
    # The errors that follow from it are not reported.
    "Your own t.py hides the library `torch`": {"own files": {"torch": "t.py"}, "tqdm": ["!", ""]},
}


@pytest.mark.parametrize("phrase", FINDINGS)
def test_each_finding_becomes_one_problem(phrase, set_up):
    set_up.probed.update(FINDINGS[phrase])
    assert phrase in the_problem()


def test_missing_libraries_are_named_with_their_first_day(set_up):
    for name in ("torch", "torchvision", "sklearn", "tqdm", "tensorboard"):
        set_up.probed[name] = ["missing", ""]
    set_up.probed["checksums"] = None
    found = report.report()
    torch, tensorboard = found.problems
    assert "`pip install torch torchvision scikit-learn tqdm`" in torch
    assert "needed from Day 31 on" in torch
    assert "tensorboard: not installed, and needed from Day 34 on" in tensorboard
    assert "4 of 4 files present; only torchvision can verify them" in repr(found)
    assert "exercises passed" in repr(found)


def test_an_old_python_is_the_first_and_only_problem(monkeypatch, capsys):
    monkeypatch.setattr(report, "_floors", lambda: {"requires-python": "9.9"})
    assert report.main([]) == 1
    assert "too old: the course needs 9.9 or newer" in capsys.readouterr().out


def test_an_old_python_can_read_the_files_of_the_report():
    for name in ("__init__", "__main__", "_console", "commands/__init__", "commands/report"):
        ast.parse(text_of(f"nnweek/{name}.py"), feature_version=(3, 8))


def test_missing_links_and_unusable_notebooks_are_named(set_up):
    """As in a ZIP in which someone has worked."""
    for name in ("_config.yml", "_toc.yml", "notebooks"):
        (set_up.course / name).touch()
        (set_up.course / "book" / name).write_text(f"../{name}")
    mine, cut, old = '{"cells": []}', '{"cells', '{"worksheets": []}'
    notebooks = {"cut.ipynb": cut, "day-29.ipynb": "", "day-30.ipynb": mine, "mine.ipynb": mine}
    notebooks |= {"old.ipynb": old, "day-29.py": "", "day-30.py": ""}
    write(set_up.course / "notebooks", notebooks)
    found = report.report()
    links, cut, day_29, old = found.problems
    assert "book/_config.yml, book/_toc.yml, book/notebooks are not symbolic links" in links
    assert "git clone -c core.symlinks=true" in links
    assert "cut.ipynb is damaged: move it to another folder." in cut
    assert "day-29.ipynb is empty" in day_29
    assert "writes the course's again" in day_29
    assert "old.ipynb has the format of 2014" in old
    (stray,) = found.notes
    assert "mine.ipynb is not part of the course" in stray


@pytest.mark.parametrize(
    ("name", "value", "phrase"),
    [
        ("NNWEEK_DATASET", "MNIST", "NNWEEK_DATASET is 'MNIST': set it to mnist or stand-in"),
        ("NNWEEK_DATASETS", "mnist", "NNWEEK_DATASETS is set, but"),
        ("NNWEEK_DATASETS", "mnist", "did you mean NNWEEK_DATASET?"),
        ("NNWEEK_DATA", "{home}/file", "The data folder is not writable"),
        ("NNWEEK_DATA", "{home}/file", "file is not a folder"),
        ("NNWEEK_RESULTS", "{home}", "cannot be read"),
        ("NNWEEK_MNIST_MIRROR", "{home}/gone", f"lacks {', '.join(FILES)}"),
    ],
)
def test_a_wrong_setting_is_named(name, value, phrase, set_up, monkeypatch):
    (set_up.home / "file").write_text("")
    monkeypatch.setenv(name, value.format(home=set_up.home))
    assert phrase in the_problem()


def test_read_only_folders_are_named_unless_mnist_is_complete(set_up, monkeypatch):
    def refuse(dir):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(report.tempfile, "TemporaryFile", refuse)
    assert re.search(r"Results cannot be saved \(.*: Read-only file system\)", the_problem())
    (set_up.raw / FIRST).unlink()
    data, result = report.report().problems
    assert re.search(
        r"data folder is not writable \(.*: Read-only file system\): set NNWEEK_DATA", data
    )


@pytest.mark.parametrize(
    ("content", "damage"),
    [(b"", "is empty"), (b"<html>Log in</html>", "is a web page"), (b"half", "is damaged")],
)
def test_a_damaged_file_of_mnist_is_named(content, damage, set_up):
    (set_up.raw / LAST).write_bytes(content)
    assert re.search(f"{re.escape(LAST)} {damage}", the_problem())


def test_packed_files_are_ignored_if_the_unpacked_ones_are_intact(set_up, monkeypatch):
    sums = {name: hashlib.sha256(name.encode()).hexdigest() for name in mnist.UNPACKED}
    for name in sums:
        (set_up.raw / name).write_bytes(name.encode())
    monkeypatch.setattr(mnist, "UNPACKED", sums)
    (set_up.raw / LAST).write_bytes(b"half")
    found = report.report()
    assert found.problems == []
    assert found.facts["MNIST"] == "4 of 4 files present and verified"


def test_notes_leave_the_status_at_0(set_up, monkeypatch, capsys):
    for file in set_up.raw.iterdir():
        file.unlink()
    monkeypatch.setenv("VIRTUAL_ENV", str(set_up.home / "other"))
    monkeypatch.setenv("NNWEEK_DATASET", "stand-in")
    assert report.main([]) == 0
    notes = " ".join(capsys.readouterr().out.partition("Worth knowing")[2].split())
    assert "MNIST is not complete yet" in notes
    assert "other is active, but this Python belongs to a different one" in notes
    assert "NNWEEK_DATASET forces the stand-in" in notes
    assert not list(set_up.raw.iterdir()), "something was downloaded"


def test_results_and_passed_exercises_are_counted(set_up, monkeypatch):
    path = set_up.home / "mine.jsonl"
    monkeypatch.setenv("NNWEEK_RESULTS", str(path))
    for name, dataset in [("a", "MNIST"), ("a", "MNIST"), ("b", "MNIST"), ("a", "another")]:
        results.record(name, 1, dataset=dataset, day=32)
    results.record("softmax", "passed", dataset="checks", day=29)
    with path.open("a") as file:
        file.write('{"dataset": "MNI')
    found = report.report()
    assert found.problems == []
    assert "2 of MNIST, 1 of another" in found.facts["results"]
    assert f"1 of {len(checks.EXERCISES)} exercises passed" in found.facts["exercises"]
    assert "✓\N{NO-BREAK SPACE}softmax" in found.facts["exercises"]
    assert "Incomplete lines of the results file, skipped: 1." in found.notes


def test_every_setting_of_the_course_is_known():
    files = [file for name in ("nnweek", "tests", "book") for file in (ROOT / name).rglob("*.py")]
    text = "".join(file.read_text(encoding="utf-8") for file in files if file != Path(__file__))
    read = set(re.findall(r"environ(?:\.get\(|\[)\"(NNWEEK_\w+)", text))
    assert len(read) >= 4
    assert read <= report.SETTINGS


def test_a_password_in_a_url_is_not_printed(set_up, monkeypatch):
    monkeypatch.setenv("NNWEEK_MNIST_MIRROR", "https://me:secret@example.org/mnist")
    printed = repr(report.report())
    assert "secret" not in printed
    assert "//…@example.org/mnist" in printed


def test_only_the_home_folder_becomes_a_tilde(monkeypatch):
    monkeypatch.setattr(os.path, "expanduser", lambda path: path.replace("~", "/home/ann"))
    text = report._without_home("/home/ann/a /home/anna/b /home/ann-2 (/home/ann)")
    assert text == "~/a /home/anna/b /home/ann-2 (~)"


def test_a_user_without_a_home_gets_a_report(set_up, monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    found = report.report()
    assert not [problem for problem in found.problems if "failed" in problem]
    assert "data folder" in found.facts


def test_the_report_continues_if_a_section_fails(set_up, monkeypatch):
    monkeypatch.setattr(report, "_probe", lambda: 1 / 0)
    found = report.report()
    assert "The section libraries failed: ZeroDivisionError: division by zero." in found.problems
    assert "exercises" in found.facts


LIGHT = {  # in front of the installed libraries, for speed
    "torch.py": """
        __version__ = "99.0"
        get_num_threads = lambda: 4
        class cuda: is_available = staticmethod(lambda: False)
        class version: cuda = None
        class Tensor: pass  # scikit-learn compares types with it
    """,
    "torchvision/__init__.py": '__version__ = "99.0"',
    "torchvision/datasets.py": f"class MNIST: resources = {list(CHECKSUMS.items())}",
}


@pytest.fixture
def probe(tmp_path, monkeypatch):
    """Run the probe in a new current folder, with modules in it or in front of the installed."""

    def run(libraries, *, current=(), installed=()):
        monkeypatch.setattr(report, "LIBRARIES", {name: (name, 29) for name in libraries})
        (tmp_path / "current").mkdir()
        monkeypatch.chdir(write(tmp_path / "current", dict(current)))
        folder = write(tmp_path / "installed", dict(installed))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(ROOT)]))
        return report._probe()

    return run


def test_the_probe_finds_versions_errors_and_missing_libraries(probe):
    broken = {"a.py": "import never_there", "b.py": "raise OSError('no')", "c.py": "exit(3)"}
    light = {**LIGHT, "jupyter_client.py": ""}
    found = probe(["torch", "a", "b", "c", "d"], installed={**light, **broken})
    assert found["torch"] == [None, "99.0"]
    assert found["a"] == ["No module named 'never_there'", ""]
    assert found["b"] == ["OSError: no", ""]
    assert found["c"][0].startswith("SystemExit")
    assert found["d"] == ["missing", ""]
    assert found["device"] == "CPU, threads: 4"
    assert found["checksums"] == CHECKSUMS
    assert found["nnweek"] == str(ROOT / "nnweek" / "__init__.py")
    assert found["trying"] is None


@pytest.mark.parametrize(
    ("code", "patience", "end"),
    [
        ("import os; os.abort()", 60, "ended the process with code"),
        ("import time; time.sleep(600)", 1, "took more than 1 seconds"),
    ],
)
def test_a_library_that_crashes_or_hangs_is_named(code, patience, end, probe, monkeypatch):
    monkeypatch.setattr(report, "PATIENCE", patience)
    found = probe(["a", "b"], installed={"a.py": code})
    assert found["trying"] == "a"
    assert end in found["end"]


def test_files_that_hide_a_library_are_found_as_in_a_kernel(probe):
    """A kernel searches the current folder after the standard library, before site-packages."""
    mine = dict.fromkeys(("torch.py", "matplotlib.py", "tqdm/__init__.py", "nnweek.py"), "")
    mine |= {"notes.py": "", "random.py": "raise SystemExit", "json.py": "raise SystemExit"}
    found = probe(["numpy", "torch", "matplotlib.pyplot", "tqdm"], current=mine)
    assert set(found["own files"]) == {"torch", "matplotlib", "tqdm", "nnweek"}
    assert found["numpy"][0] is None
    assert found["torch"] == [None, ""]
    assert "'matplotlib' is not a package" in found["matplotlib.pyplot"][0]


def run(python, folder, cwd=None, **variables):
    """Run `python -m nnweek` with a new home; return its exit status and what it prints."""
    own = ("NNWEEK_", "PYTHON", "JUPYTER", "VIRTUAL_ENV", "XDG_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    env |= dict.fromkeys(["HOME", "USERPROFILE"], str(folder / "home"))
    env |= {"PYTHONIOENCODING": "utf-8", "PYTHONPATH": str(ROOT), **variables}
    command, cwd = [python, "-m", "nnweek"], cwd or folder
    ran = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, encoding="utf-8", timeout=300
    )
    assert "Traceback" not in ran.stdout + ran.stderr
    assert str(folder / "home") not in ran.stdout
    return ran.returncode, " ".join(ran.stdout.split())


@pytest.mark.slow
def test_report_works_offline_and_beside_a_shadowing_module(tmp_path):
    modules = {
        **LIGHT,
        "sitecustomize.py": """
            import pathlib, socket
            def connect(self, address):
                pathlib.Path(__file__).with_name("contacted").write_text(str(address))
                raise OSError("no network in this test")
            socket.socket.connect = connect
        """,
    }
    offline = write(tmp_path / "offline", modules)
    (tmp_path / "random.py").write_text("raise SystemExit('my own random.py')")
    raw = tmp_path / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / FIRST).write_bytes(b"half of it")
    path = os.pathsep.join([str(offline), str(ROOT)])
    status, printed = run(
        sys.executable, tmp_path, PATH="", PYTHONPATH=path, NNWEEK_DATA=str(raw.parents[1])
    )
    assert status == 1
    for library in report.LIBRARIES:
        version = "99.0" if "torch" in library else metadata.version(library)
        assert f"{library} {version}" in printed
    problems = printed.partition("What is wrong")[2]
    assert f"{FIRST} is damaged" in problems
    assert "random" not in problems  # a kernel finds the standard library's
    assert "cannot be imported" not in problems
    assert "failed" not in problems
    assert not (offline / "contacted").exists()


def test_command_reports_with_nothing_but_python(tmp_path):
    venv.create(tmp_path / "bare", with_pip=False, symlinks=os.name != "nt")
    python = tmp_path / "bare" / ("Scripts" if os.name == "nt" else "bin") / "python"
    status, printed = run(python, tmp_path, cwd=ROOT, PYTHONPATH="")
    assert status == 1
    assert "numpy, matplotlib: not installed, and needed from Day 29 on" in printed
    assert "nnweek can be imported only from this folder" in printed
    assert "ipykernel is not installed" in printed
    assert "failed" not in printed


def test_floors_come_from_the_metadata_outside_a_checkout(tmp_path, monkeypatch):
    in_checkout = report._floors()
    assert in_checkout.keys() > {"requires-python", *report.LIBRARIES}
    monkeypatch.setattr(report, "COURSE", tmp_path)
    installed = report._floors()
    assert installed == {name: in_checkout[name] for name in installed}
    assert installed.keys() == {"requires-python", *report.LIBRARIES}
