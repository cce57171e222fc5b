"""A report on this set-up, and what is wrong with it, for `python -m nnweek` (Day 29).

What is missing or broken is what the report is there to find. So it starts with Python
alone, imports every library in a process of its own, which may crash or hang, and goes
on where one of its sections fails. It asks no server, downloads nothing and changes
nothing, and it writes the home folder as `~`.
"""

import argparse
import collections
import contextlib
import difflib
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path

PYTHON = (3, 10)  # the oldest that will do

# Each library: what is imported, the oldest version that will do, the first day that needs it.
LIBRARIES = {
    "numpy": ("numpy", "1.26", 29),
    "matplotlib": ("matplotlib.pyplot", "3.8", 29),
    "torch": ("torch", "2.6", 31),
    "torchvision": ("torchvision", "0.21", 31),
    "scikit-learn": ("sklearn", "1.4", 31),
    "tqdm": ("tqdm", "4.66", 31),
    "tensorboard": ("tensorboard", "2.21", 34),
}
LAST_OF_29 = " (the last section of Day 29 as well)"  # it loads MNIST
JUPYTER = ("ipykernel", "jupyterlab", "notebook", "jupytext", "nbclient", "jupyter-book")
MNIST_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
SETTINGS = (
    "NNWEEK_DATA",
    "NNWEEK_DATASET",
    "NNWEEK_MNIST_MIRROR",
    "NNWEEK_RESULTS",
    "NNWEEK_SITE",  # of the tests: where the built site lies
    "NNWEEK_PDF",  # of the tests: where the printed book lies
    "NNWEEK_BOOK",  # of the book's build
)
PATIENCE = 180  # seconds for all imports together; a cold disk is slow


@dataclass(frozen=True)
class Report:
    """What the set-up is, and what is wrong with it. Introduced on Day 29.

    Attributes:
        facts: pairs of a label and what there is to say.
        faults: one sentence each on what is wrong and what mends it.
        notes: one sentence each on what is no fault and worth knowing.
    """

    facts: tuple
    faults: tuple
    notes: tuple

    def __repr__(self):
        lines = []
        for label, value in self.facts:
            first, *more = str(value).splitlines() or [""]
            lines += [f"{label:<13} {first}".rstrip(), *(" " * 14 + line for line in more)]
        for title, sentences in (
            ("What is wrong", self.faults or ("Nothing that this report can see.",)),
            ("Worth knowing", self.notes),
        ):
            if sentences:
                lines += ["", title]
            for sentence in sentences:
                sentence = " ".join(sentence.split())  # an error's message may have many lines
                lines += textwrap.wrap(
                    sentence,
                    92,
                    initial_indent="- ",
                    subsequent_indent="  ",
                    break_long_words=False,
                    break_on_hyphens=False,
                )
        return _without_home("\n".join(lines))


def main(arguments=None):
    """Print the report; return 0 if nothing is wrong and 1 otherwise. Introduced on Day 29.

    Args:
        arguments: the command line; it takes no argument but --help.
    """
    parser = argparse.ArgumentParser(
        prog="nnweek report", description=main.__doc__.partition("\n")[0]
    )
    parser.parse_args(arguments)
    print("One moment: every library is tried …", file=sys.stderr, flush=True)
    found = report()
    print(found)
    return 1 if found.faults else 0


def report():
    """Look at this set-up. Introduced on Day 29.

    In a notebook, a cell `from nnweek.commands.report import report; report()` looks at the
    notebook's kernel, `python -m nnweek` in a terminal at that terminal's Python.

    Returns:
        A `Report`, which displays itself.
    """
    facts, faults, notes = [], [], []
    python = f"{platform.python_version()} ({platform.python_implementation()}), {sys.executable}"
    facts.append(("Python", python))
    facts.append(("system", f"{platform.platform()}, {os.cpu_count()} CPU cores"))
    if sys.version_info < PYTHON:
        wanted = ".".join(map(str, PYTHON))
        faults.append(
            f"This Python is too old: the course needs {wanted} or newer. Install one, and make "
            "the environment anew with it."
        )
        return Report(tuple(facts), tuple(faults), ())

    tried = {}  # what the first section finds and the others use
    for look in (_libraries, _environment, _settings, _data, _results):
        try:
            look(tried, facts, faults, notes)
        except Exception as error:  # a report on what is broken must not break
            name = look.__name__.strip("_")
            faults.append(f"Looking at the {name} failed: {type(error).__name__}: {error}.")
    return Report(tuple(facts), tuple(faults), tuple(notes))


# --- Libraries ---------------------------------------------------------------------------

# Runs elsewhere, as a kernel does: without the current folder, where everything is found.
# Each news is a line, so that what came before a crash is known.
_PROBE = """
import importlib, importlib.util, json, sys
sys.path[:] = [folder for folder in sys.path if folder]

def tell(**news):
    print("\\n@" + json.dumps(news), flush=True)

spec = importlib.util.find_spec("nnweek")
tell(key="nnweek", value=spec and spec.origin)
for name in sys.argv[1:]:
    tell(key="trying", value=name)
    top = name.partition(".")[0]
    try:
        importlib.import_module(name)
        error = None
    except ModuleNotFoundError as failed:
        error = "missing" if failed.name == top else str(failed)
    except BaseException as failed:
        error = type(failed).__name__ + ": " + str(failed)
    version = getattr(sys.modules.get(top), "__version__", "")
    tell(key=name, value=[error, str(version)])
tell(key="trying", value="the device")
try:
    import torch
    device = "CPU, threads: {}".format(torch.get_num_threads())
    if torch.cuda.is_available():
        device = "cuda, " + torch.cuda.get_device_name()
    tell(key="device", value=device)
    tell(key="cuda", value=torch.version.cuda)
except BaseException as failed:
    tell(key="device", value=None)
tell(key="trying", value="the checksums")
try:
    from torchvision.datasets import MNIST
    tell(key="checksums", value=dict(MNIST.resources))
except BaseException as failed:
    pass
tell(key="trying", value="the kernel")
try:
    from jupyter_client.kernelspec import KernelSpecManager
    tell(key="kernel", value=KernelSpecManager().get_kernel_spec("python3").argv[0])
except BaseException as failed:
    pass
tell(key="trying", value=None)
"""


def _probe():
    """Try everything in a process of its own; return what it told, by key."""
    modules = [module for module, _, _ in LIBRARIES.values()]
    try:
        ran = subprocess.run(
            [sys.executable, "-c", _PROBE, *modules],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE,
        )
        output, end = ran.stdout, f"ended the process with code {ran.returncode}"
    except subprocess.TimeoutExpired as error:
        output, end = error.stdout or b"", f"had not ended after {PATIENCE:g} seconds"
    told = {"end": end}
    for line in output.decode("utf-8", "replace").splitlines():
        if line.startswith("@"):
            news = json.loads(line[1:])
            told[news["key"]] = news["value"]
    return told


def _libraries(tried, facts, faults, notes):
    """Versions, what does not import, and the device."""
    tried.update(_probe())
    missing = {}
    for library, (module, oldest, day) in LIBRARIES.items():
        error, version = tried.get(module, (None, ""))
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            version = version or importlib.metadata.version(library)
        facts.append((library, version or ("–" if error else "?")))
        if error == "missing":
            facts[-1] = (library, "not installed")
            missing.setdefault(day, []).append(library)
        elif error and "torchvision::nms" in error:
            faults.append(
                f"torch {tried['torch'][1]} and torchvision {version} do not belong together: "
                "uninstall both, and install them in one command from one place."
            )
        elif error:
            faults.append(f"{library} is installed and does not import: {error}.")
        elif version and _parts(version) < _parts(oldest):
            faults.append(
                f"{library} {version} is too old: at least {oldest} is needed "
                f"(`pip install --upgrade {library}`)."
            )
    for day, names in missing.items():
        faults.append(
            f"{_and(names)} {'is' if len(names) == 1 else 'are'} not installed, and needed from "
            f"Day {day} on{LAST_OF_29 if day == 31 else ''}: `pip install {' '.join(names)}`."
        )
    if tried.get("trying"):
        faults.append(f"Trying {tried['trying']} {tried['end']}; what comes after it is unknown.")
    if tried.get("device"):
        build = f"built for CUDA {tried['cuda']}" if tried.get("cuda") else "built for CPUs alone"
        facts.append(("device", f"{tried['device']} (torch is {build})"))

    for package in JUPYTER:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            facts.append((package, importlib.metadata.version(package)))
    if "ipykernel" not in dict(facts):
        faults.append(
            "ipykernel is not installed, so no notebook can run on this Python: "
            "`pip install ipykernel`."
        )


def _environment(tried, facts, faults, notes):
    """Whether a notebook would meet this Python, and this copy of nnweek."""
    here = Path(__file__).parents[1]
    facts.append(("nnweek", f"{sys.modules['nnweek'].__version__}, {here}"))
    elsewhere = tried.get("nnweek", str(here / "__init__.py"))
    if elsewhere is None:
        faults.append(
            "nnweek is found in this folder alone, so a notebook says that there is no module "
            "of that name: install it, from the course's folder, with "
            "`pip install --no-deps -e .`."
        )
    elif not os.path.samefile(Path(elsewhere).parent, here):
        faults.append(
            f"A notebook imports another copy of nnweek, {Path(elsewhere).parent}: install this "
            "one, from the course's folder, with `pip install --no-deps -e .`."
        )

    kernel = tried.get("kernel")
    if kernel and os.path.isabs(kernel):
        # Of a virtual environment only the folder tells: its Python is a link to another's.
        theirs, ours = Path(kernel).parent, Path(sys.executable).parent
        if theirs.resolve() != ours.resolve():
            faults.append(
                f"Jupyter's kernel `python3` starts another Python, {kernel}: notebooks do not "
                "see what is installed here. `python -m ipykernel install --sys-prefix` makes "
                "a kernel of this one."
            )
    active = os.environ.get("VIRTUAL_ENV")
    if active and Path(active).resolve() != Path(sys.prefix).resolve():
        notes.append(f"The environment {active} is active, and this Python is another.")


# --- Settings, data and results ----------------------------------------------------------


def _settings(tried, facts, faults, notes):
    """The variables of the course that are set."""
    found = sorted(name for name in os.environ if name.startswith("NNWEEK_"))
    lines = [f"{name}={os.environ[name]}" for name in found]
    # A mirror's address may hold a password.
    facts.append(("settings", re.sub(r"//[^/@\n]*@", "//…@", "\n".join(lines)) or "none"))
    for name in found:
        if name not in SETTINGS:
            close = difflib.get_close_matches(name, SETTINGS, n=1)
            meant = f"; is {close[0]} meant?" if close else "."
            faults.append(f"{name} is set, and the course knows no such variable{meant}")
    chosen = os.environ.get("NNWEEK_DATASET", "")
    if chosen not in ("", "mnist", "stand-in"):
        faults.append(
            f"NNWEEK_DATASET is {chosen!r}: it must be mnist, stand-in or not set at all."
        )
    mirror = os.environ.get("NNWEEK_MNIST_MIRROR", "")
    if mirror and "://" not in mirror:
        folder = Path(os.path.expanduser(mirror))
        lacking = [name for name in MNIST_FILES if not (folder / name).is_file()]
        if not folder.is_dir():
            faults.append(f"NNWEEK_MNIST_MIRROR names {folder}, where no folder is.")
        elif lacking:
            faults.append(f"The folder of NNWEEK_MNIST_MIRROR lacks {_and(lacking)}.")


def _data(tried, facts, faults, notes):
    """Where MNIST lies, and whether it is whole."""
    if tried.get("numpy", ("",))[0]:
        notes.append("Data and results are looked at once NumPy can be imported.")
        return
    from nnweek.mnist import _fault, _find_unpacked
    from nnweek.runtime import data_folder

    folder = data_folder()
    facts.append(("data folder", folder))
    raw, checksums = folder / "MNIST" / "raw", tried.get("checksums", {})
    there, whole = [], []
    if _find_unpacked(raw) is not None:  # then nobody asks for the others
        there = whole = list(MNIST_FILES)
    for name in MNIST_FILES if not whole else ():
        try:
            content = (raw / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            faults.append(f"{raw / name} cannot be read: {error.strerror}.")
            continue
        there.append(name)
        wrong = _fault(content, checksums[name]) if name in checksums else None
        if wrong:
            faults.append(
                f"{raw / name} {wrong}. The next load fetches it again; without a network, "
                "put the original in its place."
            )
        elif name in checksums:
            whole.append(name)
    count = len(MNIST_FILES)
    # A class may share a whole copy, read-only.
    if len(whole) < count and (obstacle := _obstacle(folder)):
        faults.append(
            f"No file can be kept in the data folder: {obstacle}. Set NNWEEK_DATA to a "
            "folder that you may write to."
        )
    if len(whole) == count:
        state = f"all {count} files are there and verified"
    elif there and not checksums:
        state = f"{len(there)} of {count} files are there; only torchvision can verify them"
    else:
        state = f"{len(whole)} of {count} files are there and verified"
        notes.append(
            "MNIST is not whole yet: the first notebook that needs it fetches it (12 MB). "
            "Without a network, put the four original .gz files into a folder and name it in "
            "NNWEEK_MNIST_MIRROR, or work on with the stand-in."
        )
    facts.append(("MNIST", state))
    if os.environ.get("NNWEEK_DATASET") == "stand-in":
        notes.append("NNWEEK_DATASET forces the stand-in, so no number is MNIST's.")


def _results(tried, facts, faults, notes):
    """What the days have left so far, and which exercises have passed."""
    if tried.get("numpy", ("",))[0]:
        return
    from nnweek import checks
    from nnweek.results import results_file

    path = results_file()
    names, broken = collections.defaultdict(set), 0
    try:
        lines = path.read_bytes().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        lines = []
    except OSError as error:
        lines = []
        faults.append(f"The results file {path} cannot be read: {error.strerror}.")
    for line in filter(None, lines):
        try:
            entry = json.loads(line)
            names[entry["dataset"]].add(entry["name"])
        except (ValueError, KeyError, TypeError):
            broken += 1
    names.pop("checks", None)  # the exercises, below
    counts = [f"{len(found)} of {dataset}" for dataset, found in sorted(names.items())]
    facts.append(("results", f"{path}\n{_and(counts) or 'none yet'}"))
    if broken:
        notes.append(f"{broken} line(s) of the results file are not whole, and passed over.")
    if path.parent.is_dir() and (obstacle := _obstacle(path.parent)):
        faults.append(f"No result can be kept: {obstacle}.")
    facts.append(("exercises", "\n".join(map(str.strip, repr(checks.progress()).splitlines()))))


# --- Small things ------------------------------------------------------------------------


def _obstacle(folder):
    """Say why a folder, which need not exist yet, cannot take a file; None where it can."""
    folder = Path(folder).absolute()
    while not os.path.lexists(folder):
        folder = folder.parent
    if not folder.is_dir():
        return f"{folder} is no folder"
    try:
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return f"{folder}: {error.strerror}"


def _without_home(text):
    """Write `~` for the home folder, under both of its names where it is a link."""
    home = os.path.expanduser("~")
    for name in {home, os.path.realpath(home)}:
        if len(name) > 1:  # no home at all is "~", and some services have "/"
            text = re.sub(re.escape(name) + r"(?![\w.-])", "~", text)
    return text


def _parts(version):
    """The numbers of a version, to compare by: "2.6.0+cpu" → (2, 6, 0)."""
    return tuple(map(int, re.match(r"[\d.]*", version).group().strip(".").split(".")))


def _and(names):
    names = list(names)
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)
