"""What `python -m nnweek` promises: whatever is wrong, one sentence says so.

The faults are real: libraries that are missing, crash or hang, folders that take no file,
damaged data. Where a library only has to be there, a small module with its name stands in.
"""

import ast
import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
import textwrap
import venv
from importlib import metadata
from pathlib import Path

import pytest
from torchvision.datasets import MNIST

from nnweek import checks, mnist, results
from nnweek.commands import report
from support import ROOT

NOTHING_WRONG = "Nothing that this report can see."

# Four small files in MNIST's place.
FILES = {name: gzip.compress(name.encode(), mtime=0) for name in report.MNIST_FILES}
CHECKSUMS = [(name, hashlib.md5(FILES[name]).hexdigest()) for name in FILES]

STANDING_IN = {
    "torch": """
        __version__ = "2.9.0"
        get_num_threads = lambda: 4
        class cuda: is_available = staticmethod(lambda: False)
        class version: cuda = None
    """,
    "torchvision": '__version__ = "0.24.0"',
    "torchvision.datasets": f"class MNIST: resources = {CHECKSUMS}",
    "matplotlib": '__version__ = "3.10"',
    "matplotlib.pyplot": "",
    "sklearn": '__version__ = "1.7"',
    "tqdm": '__version__ = "4.67"',
    "tensorboard": '__version__ = "2.21"',
    # Everything that the report starts comes through here, and nothing may ask a server.
    "sitecustomize": """
        import pathlib, socket
        def connect(self, address):
            pathlib.Path(__file__).with_name("asked").write_text(str(address))
            raise OSError("no network in this test")
        socket.socket.connect = connect
    """,
}


class SetUp:
    """A set-up in which nothing is wrong, until a test breaks it."""

    def __init__(self, folder):
        self.modules, self.home = folder / "modules", folder / "home"
        self.data = self.home / ".cache" / "nnweek"
        self.raw = self.data / "MNIST" / "raw"
        self.raw.mkdir(parents=True)
        self.python, self.variables = sys.executable, {}
        for name, content in FILES.items():
            (self.raw / name).write_bytes(content)
        for name, code in STANDING_IN.items():
            self.module(name, code)
        self.kernel(sys.executable)

    def module(self, name, code):
        """Put a module in front of whatever is installed under its name."""
        path = self.modules.joinpath(*name.split("."), "__init__.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(code), encoding="utf-8")

    def kernel(self, python):
        """Let Jupyter's kernel `python3` be this Python."""
        folder = self.modules / "kernels" / "python3"
        folder.mkdir(parents=True, exist_ok=True)
        spec = {"argv": [str(python), "-m", "ipykernel_launcher"], "display_name": "Python"}
        (folder / "kernel.json").write_text(json.dumps(spec))

    def run(self, **variables):
        """Run `python -m nnweek`; return its exit status and what it printed."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("NNWEEK_", "PYTHON", "JUPYTER", "VIRTUAL_ENV", "XDG_"))
        }
        environment = {
            **kept,
            "HOME": str(self.home),
            "USERPROFILE": str(self.home),
            "JUPYTER_PATH": str(self.modules),
            "PYTHONPATH": os.pathsep.join([str(self.modules), str(ROOT)]),
            "PYTHONIOENCODING": "utf-8",
            **{name: str(value) for name, value in variables.items()},
        }
        ran = subprocess.run(
            [self.python, "-m", "nnweek"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            timeout=300,
        )
        assert "Traceback" not in ran.stdout + ran.stderr
        assert not (self.modules / "sitecustomize" / "asked").exists(), "a server was asked"
        assert str(self.home) not in ran.stdout
        return ran.returncode, ran.stdout

    def fault(self, **variables):
        """Run it and return what is wrong, which must be a single sentence, on one line."""
        status, printed = self.run(**variables)
        assert status == 1
        (fault,) = faults(printed)
        return fault


def faults(printed):
    """The sentences under "What is wrong", each on one line."""
    part = printed.partition("What is wrong\n")[2].partition("\n\nWorth knowing")[0]
    return [" ".join(item.split()) for item in re.split(r"^- ", part, flags=re.M)[1:]]


def notes(printed):
    return " ".join(printed.partition("Worth knowing\n")[2].split())


@pytest.fixture
def set_up(tmp_path):
    return SetUp(tmp_path)


# --- Where nothing is wrong ----------------------------------------------------------------


def test_where_nothing_is_wrong_it_says_so_and_ends_with_0(set_up):
    status, printed = set_up.run()
    assert faults(printed) == [NOTHING_WRONG]
    assert status == 0
    for line in (
        f"numpy +{re.escape(metadata.version('numpy'))}",
        r"torch +2\.9\.0",
        "device +CPU, threads: 4",
        r"MNIST +all 4 files are there and verified",
        r"data folder +~[/\\]\.cache[/\\]nnweek",
        "settings +none",
    ):
        assert re.search(f"^{line}", printed, re.M), line


def test_of_the_real_environment_every_version_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("NNWEEK_DATA", str(tmp_path))
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    damaged = MNIST.resources[0][0]
    (raw / damaged).write_bytes(b"half of it")

    found = report.report()
    facts = dict(found.facts)
    for library in report.LIBRARIES:
        assert facts[library].partition("+")[0] == metadata.version(library).partition("+")[0]
    assert facts["device"].startswith(("CPU", "cuda"))
    assert [fault for fault in found.faults if damaged in fault and "damaged" in fault]
    assert not [fault for fault in found.faults if "import" in fault and "nnweek" not in fault]


def test_results_and_passed_exercises_are_counted(set_up):
    set_up.data.mkdir(exist_ok=True)
    entries = [
        {"dataset": "MNIST", "name": "a", "value": 1},
        {"dataset": "MNIST", "name": "a", "value": 2},
        {"dataset": "MNIST", "name": "b", "value": 3},
        {"dataset": "another", "name": "a", "value": 4},
        {"dataset": "checks", "name": "softmax", "value": "passed", "day": 29, "time": ""},
    ]
    lines = [json.dumps(entry) for entry in entries] + ['{"dataset": "MNI']
    (set_up.data / "results.jsonl").write_text("\n".join(lines))
    status, printed = set_up.run()
    assert status == 0
    assert "2 of MNIST and 1 of another" in printed
    assert f"1 of {len(checks.EXERCISES)} exercises passed" in printed
    assert "✓ softmax" in printed
    assert "1 line(s) of the results file are not whole" in notes(printed)


def test_what_is_recorded_is_what_is_counted(set_up, monkeypatch):
    path = set_up.home / "mine.jsonl"
    monkeypatch.setenv("NNWEEK_RESULTS", str(path))
    results.record("accuracy", 0.9, dataset="MNIST", day=32)
    assert "1 of MNIST" in set_up.run(NNWEEK_RESULTS=path)[1]


def test_absent_mnist_is_no_fault_and_the_way_to_it_is_told(set_up):
    for file in set_up.raw.iterdir():
        file.unlink()
    status, printed = set_up.run()
    assert status == 0
    assert "0 of 4 files are there" in printed
    assert "NNWEEK_MNIST_MIRROR" in notes(printed)
    assert not list(set_up.raw.iterdir()), "something was fetched"


# --- Libraries -------------------------------------------------------------------------------


def without(set_up, *libraries):
    """From now on, these libraries cannot be imported, by whatever the report starts."""
    set_up.module(
        "sitecustomize",
        f"""
        import sys
        class Guard:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in {libraries}:
                    raise ModuleNotFoundError("No module named " + name, name=name)
        sys.meta_path.insert(0, Guard())
        """,
    )


def test_with_numpy_and_matplotlib_alone_it_says_what_the_later_days_need(set_up):
    without(set_up, "torch", "torchvision", "sklearn", "tqdm", "tensorboard", "scipy")
    status, printed = set_up.run()
    assert status == 1
    torch, tensorboard = faults(printed)
    assert "`pip install torch torchvision scikit-learn tqdm`" in torch
    assert "needed from Day 31 on" in torch
    assert "tensorboard is not installed, and needed from Day 34 on" in tensorboard
    assert "4 of 4 files are there; only torchvision can verify them" in printed
    assert "exercises passed" in printed


def test_with_python_alone_it_still_reports(set_up, tmp_path):
    venv.create(tmp_path / "bare", with_pip=False, symlinks=os.name != "nt")
    set_up.python = tmp_path / "bare" / ("Scripts" if os.name == "nt" else "bin") / "python"
    status, printed = set_up.run(PYTHONPATH="")
    assert status == 1
    found = " ".join(faults(printed))
    assert "numpy and matplotlib are not installed, and needed from Day 29 on" in found
    assert "a notebook says that there is no module of that name" in found
    assert "ipykernel is not installed" in found
    assert "failed" not in found


def test_a_mixed_pair_of_torch_and_torchvision_is_named(set_up):
    set_up.module("torchvision", 'raise RuntimeError("operator torchvision::nms does not exist")')
    assert "do not belong together: uninstall both" in set_up.fault()


def test_a_library_that_does_not_import_is_told_with_its_reason(set_up):
    set_up.module("tensorboard", 'raise ImportError("libsomething.so.7: no such file")')
    assert (
        "tensorboard is installed and does not import: ImportError: libsomething.so.7"
        in set_up.fault()
    )


def test_a_library_that_lacks_another_is_not_taken_for_missing(set_up):
    set_up.module("sklearn", "import something_else")
    assert "scikit-learn is installed and does not import: No module named" in set_up.fault()


def test_a_library_that_is_too_old_is_named_with_what_is_needed(set_up):
    set_up.module("tqdm", '__version__ = "4.9.1"')
    assert "tqdm 4.9.1 is too old: at least 4.66 is needed" in set_up.fault()


def test_a_library_that_crashes_does_not_take_the_report_with_it(set_up):
    set_up.module("tqdm", "import os; os.abort()")
    fault = set_up.fault()
    assert "Trying tqdm ended the process with code" in fault


def test_a_library_that_hangs_does_not_hold_the_report_up(set_up, monkeypatch):
    set_up.module("numpy", "import time; time.sleep(600)")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(set_up.modules), str(ROOT)]))
    monkeypatch.setattr(report, "PATIENCE", 1)
    found = report.report()
    assert [fault for fault in found.faults if "Trying numpy had not ended after 1 s" in fault]


def test_a_python_that_is_too_old_is_said_before_anything_else(monkeypatch, capsys):
    monkeypatch.setattr(report, "PYTHON", (9, 9))
    assert report.main() == 1
    (fault,) = faults(capsys.readouterr().out)
    assert "too old: the course needs 9.9 or newer" in fault


@pytest.mark.parametrize(
    "file", ["__init__.py", "__main__.py", "commands/__init__.py", "commands/report.py"]
)
def test_an_old_python_understands_the_files_that_tell_it_that_it_is_old(file):
    ast.parse((ROOT / "nnweek" / file).read_text(encoding="utf-8"), feature_version=(3, 8))


# --- Which Python, which copy -------------------------------------------------------------------


def test_a_kernel_of_another_python_is_named(set_up):
    set_up.kernel(set_up.home / "other" / "bin" / "python")
    fault = set_up.fault()
    assert "kernel `python3` starts another Python" in fault
    assert "python -m ipykernel install --sys-prefix" in fault


def test_another_copy_of_nnweek_is_named(set_up):
    (set_up.modules / "nnweek").mkdir()
    (set_up.modules / "nnweek" / "__init__.py").write_text("")
    assert "A notebook imports another copy of nnweek" in set_up.fault()


def test_another_active_environment_is_worth_knowing(set_up):
    status, printed = set_up.run(VIRTUAL_ENV=set_up.home / "other")
    assert status == 0
    assert "other is active, and this Python is another" in notes(printed)


# --- Settings, data and results ---------------------------------------------------------------


def test_an_unknown_data_set_is_named(set_up):
    fault = set_up.fault(NNWEEK_DATASET="MNIST")
    assert "NNWEEK_DATASET is 'MNIST': it must be mnist, stand-in or not set" in fault


def test_a_misspelt_setting_is_named_with_the_right_one(set_up):
    fault = set_up.fault(NNWEEK_DATASETS="mnist")
    assert "NNWEEK_DATASETS is set" in fault
    assert "is NNWEEK_DATASET meant?" in fault


def test_a_data_folder_that_is_a_file_is_named(set_up):
    (set_up.home / "file").write_text("")
    fault = set_up.fault(NNWEEK_DATA=set_up.home / "file")
    assert "No file can be kept in the data folder" in fault
    assert "file is no folder" in fault


@pytest.fixture
def read_only(set_up):
    """A folder that takes no file, also from root."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        if not Path("/sys/kernel").is_dir():
            pytest.skip("root may write everywhere here")
        return Path("/sys/kernel")
    if os.name == "nt":
        pytest.skip("on Windows a folder cannot be made read-only")
    folder = set_up.home / "read-only"
    folder.mkdir()
    folder.chmod(0o500)
    return folder


def test_a_data_folder_that_cannot_be_written_is_named(set_up, read_only):
    fault = set_up.fault(NNWEEK_DATA=read_only / "nnweek", NNWEEK_RESULTS=set_up.home / "r.jsonl")
    assert "No file can be kept in the data folder" in fault
    assert "Set NNWEEK_DATA to a folder that you may write to" in fault


def test_a_whole_copy_of_mnist_that_may_only_be_read_is_no_fault(set_up, monkeypatch):
    """As a class shares it; its results go elsewhere."""
    monkeypatch.setenv("NNWEEK_DATA", str(set_up.data))
    monkeypatch.setattr(report, "_obstacle", lambda folder: f"{folder}: Read-only file system")
    tried, faults = {"checksums": dict(CHECKSUMS)}, []
    report._data(tried, [], faults, [])
    assert faults == []

    (set_up.raw / report.MNIST_FILES[0]).unlink()
    report._data(tried, [], faults, [])
    assert "Read-only file system" in faults[0]


def test_results_that_cannot_be_kept_are_named(set_up, read_only):
    assert "No result can be kept" in set_up.fault(NNWEEK_RESULTS=read_only / "results.jsonl")


def test_a_results_file_that_is_a_folder_is_named(set_up):
    assert "cannot be read" in set_up.fault(NNWEEK_RESULTS=set_up.home)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "is empty"), (b"<html>Log in</html>", "is a web page"), (b"half", "is damaged")],
)
def test_a_damaged_file_of_mnist_is_named_with_its_fault(content, said, set_up):
    (set_up.raw / report.MNIST_FILES[2]).write_bytes(content)
    fault = set_up.fault()
    assert report.MNIST_FILES[2] in fault
    assert said in fault


def test_unpacked_files_that_are_whole_make_the_packed_ones_needless(set_up, monkeypatch):
    """No load reads those again, so a fault in them is no fault of the set-up."""
    sums = {}
    for name in mnist.UNPACKED:
        (set_up.raw / name).write_bytes(name.encode())
        sums[name] = hashlib.sha256(name.encode()).hexdigest()
    monkeypatch.setattr(mnist, "UNPACKED", sums)
    monkeypatch.setenv("NNWEEK_DATA", str(set_up.data))
    (set_up.raw / report.MNIST_FILES[2]).write_bytes(b"half")

    facts, faults = [], []
    report._data({}, facts, faults, [])

    assert dict(facts)["MNIST"] == "all 4 files are there and verified"
    assert faults == []


def test_a_mirror_that_is_no_folder_is_named(set_up):
    mirror = set_up.home / "gone"
    assert "NNWEEK_MNIST_MIRROR names ~" in set_up.fault(NNWEEK_MNIST_MIRROR=mirror)


def test_a_mirror_that_lacks_a_file_is_named(set_up):
    (set_up.raw / report.MNIST_FILES[3]).unlink()
    fault = set_up.fault(NNWEEK_MNIST_MIRROR=set_up.raw)
    assert f"lacks {report.MNIST_FILES[3]}" in fault


def test_a_password_in_a_mirrors_address_is_not_told(set_up):
    _, printed = set_up.run(NNWEEK_MNIST_MIRROR="https://me:secret@example.org/mnist")
    assert "secret" not in printed
    assert "//…@example.org/mnist" in printed


# --- What is told of the reader -----------------------------------------------------------------


def test_only_the_home_folder_itself_becomes_a_tilde(monkeypatch):
    monkeypatch.setattr(os.path, "expanduser", lambda path: path.replace("~", "/home/ann"))
    told = report._without_home("/home/ann/a /home/anna/b /home/ann-2 (/home/ann)")
    assert told == "~/a /home/anna/b /home/ann-2 (~)"


def test_a_user_without_a_home_gets_a_report(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    for name in ("NNWEEK_DATA", "NNWEEK_RESULTS", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(report, "_probe", dict)
    found = report.report()
    assert not [fault for fault in found.faults if "failed" in fault]
    assert "data folder" in repr(found)


def test_a_section_that_fails_does_not_take_the_report_with_it(monkeypatch):
    def broken():
        raise OSError("the disk is on fire")

    monkeypatch.setattr(report, "_probe", broken)
    found = report.report()
    assert "Looking at the libraries failed: OSError: the disk is on fire." in found.faults
    assert "exercises" in dict(found.facts)


# --- The lists in the report ---------------------------------------------------------------------


def test_the_oldest_versions_are_those_of_the_project():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    floors = dict(re.findall(r'"([\w-]+)>=([\d.]+)"', text.partition("[project]")[2]))
    assert {name: oldest for name, (_, oldest, _) in report.LIBRARIES.items()} == floors
    oldest = re.search(r'requires-python = ">=([\d.]+)"', text)[1]
    assert ".".join(map(str, report.PYTHON)) == oldest


def test_the_files_are_those_of_mnist():
    assert set(report.MNIST_FILES) == {name for name, _ in MNIST.resources}


def test_every_setting_that_the_course_reads_is_known_to_the_report():
    folders = [ROOT / "nnweek", ROOT / "tests", ROOT / "book"]
    files = [file for folder in folders for file in folder.rglob("*.py") if file != Path(__file__)]
    read = set()
    for file in files:
        text = file.read_text(encoding="utf-8")
        read |= set(re.findall(r"environ(?:\.get\(|\[)\"(NNWEEK_\w+)", text))
    assert read <= set(report.SETTINGS)
    assert len(read) >= 4
