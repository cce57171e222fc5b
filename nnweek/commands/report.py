"""A report on your setup: any problems and how to fix them (Day 29).

The report looks for what is missing or broken, so it needs nothing but Python: it imports
each library in another process, which may crash or hang, and continues if one of its own
sections fails. It contacts no server, downloads nothing and changes nothing, and it writes
the home folder as `~`.
"""

import argparse
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
from dataclasses import dataclass, field
from pathlib import Path

import nnweek
from nnweek import _console

PACKAGE = Path(nnweek.__file__).parent
COURSE = PACKAGE.parent

# Each library: what is imported, and the first day that needs it.
LIBRARIES = {
    "numpy": ("numpy", 29),
    "matplotlib": ("matplotlib.pyplot", 29),
    "torch": ("torch", 31),
    "torchvision": ("torchvision", 31),
    "scikit-learn": ("sklearn", 31),
    "tqdm": ("tqdm", 31),
    "tensorboard": ("tensorboard", 34),
}
JUPYTER = ("ipykernel", "jupyterlab", "notebook", "jupytext", "nbclient", "jupyter-book")
SETTINGS = {"NNWEEK_DATA", "NNWEEK_DATASET", "NNWEEK_MNIST_MIRROR", "NNWEEK_RESULTS"}
SETTINGS |= {"NNWEEK_BOOK", "NNWEEK_PYODIDE_MIRROR", "NNWEEK_STRICT"}  # of the book's build
SETTINGS |= {"NNWEEK_SITE", "NNWEEK_PDF", "NNWEEK_TEST_RESULTS"}  # of the tests
_KEEP_PATHS = {"break_long_words": False, "break_on_hyphens": False}
PATIENCE = 180  # seconds for all imports together; a cold disk is slow


@dataclass
class Report:
    """A setup, its problems and how to fix them. Introduced on Day 29.

    Attributes:
        facts: {label: text}.
        problems: one sentence each, with the fix.
        notes: one sentence each on something that is not wrong.
    """

    facts: dict = field(default_factory=dict)
    problems: list = field(default_factory=list)
    notes: list = field(default_factory=list)

    def __repr__(self):
        indent = "\n" + " " * 14
        lines = [
            f"{label:<13} {indent.join(str(text).splitlines())}".rstrip()
            for label, text in self.facts.items()
        ]
        for title, sentences in (
            ("What is wrong and how to fix it", self.problems or ["This report found no problem."]),
            ("Worth knowing", self.notes),
        ):
            lines += ["", title] if sentences else []
            for sentence in sentences:  # an error's message may have several lines
                text = textwrap.fill(" ".join(sentence.split()), 92, **_KEEP_PATHS)
                lines.append("- " + text.replace("\n", "\n  "))
        return _console.printable(_without_home("\n".join(lines)))


def main(arguments=None):
    """Print the report; return 0 if nothing is wrong, else 1. Introduced on Day 29."""
    argparse.ArgumentParser(
        prog="nnweek report",
        description="Report your setup, any problems and how to fix them. The exit status is 0 "
        "if nothing is wrong, else 1. Nothing is downloaded or changed.",
    ).parse_args(arguments)
    print("Checking the libraries; this takes a moment …", file=sys.stderr, flush=True)
    result = report()
    print(result)
    return 1 if result.problems else 0


def report():
    """Examine this setup. Introduced on Day 29.

    In a notebook, a cell `from nnweek.commands.report import report; report()` examines the
    notebook's kernel; `nnweek report` in a terminal examines that terminal's Python.

    Returns:
        A `Report`, which displays itself.
    """
    result = Report()
    python = f"{platform.python_version()} ({platform.python_implementation()})"
    result.facts["Python"] = f"{python}, {sys.executable}"
    result.facts["system"] = f"{platform.platform()}, {os.cpu_count()} CPU cores"
    oldest = _floors().get("requires-python", "3")
    if sys.version_info < _numbers(oldest):
        result.problems.append(
            f"This Python is too old: the course needs {oldest} or newer. Install one, and "
            "create the environment again with it."
        )
        return result

    probed = {}  # findings of the first section, which the others use
    for section in (_libraries, _environment, _course, _settings, _data, _results):
        try:
            section(result, probed)
        except Exception as error:  # a report on what is broken must not break
            name = section.__name__.strip("_")
            result.problems.append(f"The section {name} failed: {type(error).__name__}: {error}.")
    return result


def _floors():
    """Return {library or "requires-python": the oldest version that the course supports}."""
    text, project = "", COURSE / "pyproject.toml"
    if project.is_file():  # newer than the metadata after a `git pull`
        text = project.read_text(encoding="utf-8", errors="replace")
    else:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            python = importlib.metadata.metadata("nnweek")["Requires-Python"]
            libraries = importlib.metadata.requires("nnweek") or []
            text = "\n".join([f"requires-python{python}", *libraries])
    return dict(re.findall(r'([\w-]+)(?: = ")?>=([\d.]+)', text))


def _probe():
    """Probe the libraries in a subprocess; return its findings by key."""
    modules = [module for module, _ in LIBRARIES.values()]
    try:
        ran = subprocess.run(
            [sys.executable, str(PACKAGE / "commands" / "_probe.py"), *modules],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE,
        )
        output, end = ran.stdout, f"ended the process with code {ran.returncode}"
    except subprocess.TimeoutExpired as error:
        output, end = error.stdout or b"", f"took more than {PATIENCE:g} seconds"
    lines = output.decode("utf-8", "replace").splitlines()
    return {"end": end, **dict(json.loads(line[1:]) for line in lines if line.startswith("@"))}


def _libraries(result, probed):
    """Versions, import errors, and the device."""
    problem = result.problems.append
    probed.update(_probe())
    floors = _floors()
    own = probed.get("own files", {})
    for name, path in own.items():
        problem(f"Your own {path} hides the library `{name}`: rename it.")
    missing = {}
    for library, (module, day) in LIBRARIES.items():
        error, version = probed.get(module, (None, ""))
        version = version or _installed(library)
        result.facts[library] = version or ("–" if error else "?")
        oldest = floors.get(library, "0")
        if error == "missing":
            result.facts[library] = "not installed"
            missing.setdefault(day, []).append(library)
        elif error and own:
            pass  # caused by the learner's own file
        elif error and "torchvision::nms" in error:
            problem(
                f"torch {probed['torch'][1]} and torchvision {version} do not match: uninstall "
                "both, and install them with one command from one package index."
            )
        elif error:
            problem(f"{library} is installed but cannot be imported: {error}.")
        elif version and _numbers(version) < _numbers(oldest):
            problem(
                f"{library} {version} is too old, since the course needs {oldest} or newer: "
                f"`pip install --upgrade {library}`."
            )
    for day, names in missing.items():
        mnist = " and in the last section of Day 29" if day == 31 else ""
        problem(
            f"{', '.join(names)}: not installed, and needed from Day {day} on{mnist}: "
            f"`pip install {' '.join(names)}`."
        )
    if probed.get("trying"):
        problem(
            f"Checking {probed['trying']} {probed['end']}, so the libraries after it were not "
            "checked."
        )
    if probed.get("device"):
        build = f"CUDA {probed['cuda']}" if probed.get("cuda") else "CPUs only"
        result.facts["device"] = f"{probed['device']} (torch is built for {build})"
    result.facts.update({name: _installed(name) for name in JUPYTER if _installed(name)})
    if "ipykernel" not in result.facts:
        problem("ipykernel is not installed, so no notebook can run: `pip install ipykernel`.")


def _environment(result, probed):
    """Whether notebooks use this Python and this copy of nnweek."""
    problem = result.problems.append
    result.facts["nnweek"] = f"{nnweek.__version__}, {PACKAGE}"
    origin = probed.get("nnweek", str(PACKAGE / "__init__.py"))
    if origin is None:
        problem(
            "nnweek can be imported only from this folder, so notebooks elsewhere fail with "
            "ModuleNotFoundError: in the course's folder, run `pip install --no-deps -e .`."
        )
    elif not os.path.samefile(Path(origin).parent, PACKAGE):
        problem(
            f"A notebook imports another copy of nnweek, {Path(origin).parent}: to install this "
            "one, run `pip install --no-deps -e .` in the course's folder."
        )
    kernel = probed.get("kernel") or ""
    # Compare folders: a virtual environment's Python is a symbolic link.
    ours = Path(sys.executable).parent.resolve()
    if os.path.isabs(kernel) and Path(kernel).parent.resolve() != ours:
        problem(
            f"Jupyter's kernel `python3` starts a different Python, {kernel}, without the "
            "packages installed here. To create a kernel for this Python, run "
            "`python -m ipykernel install --sys-prefix`."
        )
    active = os.environ.get("VIRTUAL_ENV")
    if active and Path(active).resolve() != Path(sys.prefix).resolve():
        result.notes.append(
            f"The environment {active} is active, but this Python belongs to a different one."
        )


def _course(result, probed):
    """The links and the notebooks of a copy of the course, if nnweek is in one."""
    problem = result.problems.append
    if not (COURSE / "_toc.yml").is_file():
        return
    broken = [
        f"book/{name}"
        for name in ("_config.yml", "_toc.yml", "notebooks")
        if not ((link := COURSE / "book" / name).exists() and link.samefile(COURSE / name))
    ]
    if broken:
        verb = "are not symbolic links" if len(broken) > 1 else "is not a symbolic link"
        problem(
            f"{', '.join(broken)} {verb}, which happens in a ZIP or a clone without links, so the "
            "book cannot be built: clone the course with `git clone -c core.symlinks=true` "
            "(on Windows, switch Developer Mode on first)."
        )
    for path in sorted((COURSE / "notebooks").glob("*.ipynb")):
        is_ours = path.with_suffix(".py").exists()
        damage = _notebook_damage(path)
        if damage:
            again = "; `python .ci/sync.py` writes the course's again" if is_ours else ""
            problem(f"{path} {damage}: move it to another folder{again}.")
        elif not is_ours:
            result.notes.append(f"{path} is not part of the course: keep it in another folder.")


def _settings(result, probed):
    """The course's environment variables."""
    problem = result.problems.append
    names = sorted(name for name in os.environ if name.startswith("NNWEEK_"))
    lines = "\n".join(f"{name}={os.environ[name]}" for name in names)
    # A mirror's address may contain a password.
    result.facts["settings"] = re.sub(r"//[^/@\n]*@", "//…@", lines) or "none"
    for name in sorted(set(names) - SETTINGS):
        close = difflib.get_close_matches(name, SETTINGS, n=1)
        advice = f"did you mean {close[0]}?" if close else "remove it."
        problem(f"{name} is set, but the course has no such variable: {advice}")
    dataset = os.environ.get("NNWEEK_DATASET", "")
    if dataset not in ("", "mnist", "stand-in"):
        problem(f"NNWEEK_DATASET is {dataset!r}: set it to mnist or stand-in, or not at all.")
    if dataset == "stand-in":
        result.notes.append(
            "NNWEEK_DATASET forces the stand-in, so no result is measured on MNIST."
        )


def _data(result, probed):
    """Where MNIST is, and whether its files are intact."""
    problem = result.problems.append
    if probed.get("numpy", ("",))[0]:
        result.notes.append("Without NumPy, this report cannot look at data and results.")
        return
    from nnweek.mnist import UNPACKED, _collect, _find_unpacked
    from nnweek.runtime import data_folder

    names = [f"{name}.gz" for name in UNPACKED]
    mirror = os.environ.get("NNWEEK_MNIST_MIRROR", "")
    if mirror and "://" not in mirror:
        lacking = [name for name in names if not Path(os.path.expanduser(mirror), name).is_file()]
        if lacking:
            problem(f"NNWEEK_MNIST_MIRROR is {mirror}, which lacks {', '.join(lacking)}: add them.")

    folder = result.facts["data folder"] = data_folder()
    raw, checksums = folder / "MNIST" / "raw", probed.get("checksums") or {}
    present = sum((raw / name).is_file() for name in names)
    packed, failures = {}, []
    unpacked = _find_unpacked(raw) or {}
    if present and not unpacked:  # else no load reads the packed files
        _collect(str(raw), checksums, packed, failures, report_missing=False)
    for failure in failures:
        problem(
            f"{failure}. The next load downloads it again. You can also put the original there "
            "yourself."
        )
    intact = len(unpacked or packed)
    is_complete = intact == len(UNPACKED)
    # A class may share a complete copy that is read-only.
    if not is_complete and (obstacle := _obstacle(folder)):
        problem(
            f"The data folder is not writable ({obstacle}): set NNWEEK_DATA to a folder that you "
            "can write to."
        )
    state = f"{intact} of {len(UNPACKED)} files present and verified"
    if present and not (checksums or unpacked):
        state = f"{present} of {len(UNPACKED)} files present; only torchvision can verify them"
    elif not is_complete:
        result.notes.append(
            "MNIST is not complete yet: the first notebook that needs it downloads it (12 MB). "
            "Without a network, put the four original .gz files into a folder and set "
            "NNWEEK_MNIST_MIRROR to it, or work with the stand-in."
        )
    result.facts["MNIST"] = state


def _results(result, probed):
    """What the days have recorded so far, and which exercises have passed."""
    problem = result.problems.append
    if probed.get("numpy", ("",))[0]:
        return
    from nnweek import checks
    from nnweek.results import results_file

    path, content = results_file(), b""
    names, incomplete = {}, 0
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        problem(f"{path} cannot be read ({error.strerror}): set NNWEEK_RESULTS to another file.")
    for line in filter(None, content.splitlines()):
        try:
            entry = json.loads(line)
            names.setdefault(entry["dataset"], set()).add(entry["name"])
        except (ValueError, KeyError, TypeError):
            incomplete += 1
    names.pop("checks", None)  # the exercises, below
    counts = ", ".join(f"{len(names[dataset])} of {dataset}" for dataset in sorted(names))
    result.facts["results"] = f"{path}\n{counts or 'none yet'}"
    if incomplete:
        result.notes.append(f"Incomplete lines of the results file, skipped: {incomplete}.")
    if path.parent.is_dir() and (obstacle := _obstacle(path.parent)):
        problem(
            f"Results cannot be saved ({obstacle}): set NNWEEK_RESULTS to a file that you can "
            "write to."
        )
    result.facts["exercises"] = "\n".join(map(str.strip, repr(checks.progress()).splitlines()))


def _installed(library):
    """Return the version in a library's metadata, or "" if it is not installed."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _notebook_damage(path):
    """Return why Jupyter and the book cannot read a notebook, or None if they can."""
    try:
        content = path.read_bytes()
        notebook = json.loads(content)
        if "cells" in notebook:
            return None
        if "worksheets" in notebook:
            return "has the format of 2014"
    except (OSError, ValueError, TypeError):
        pass
    return "is damaged" if content.strip() else "is empty"


def _obstacle(folder):
    """Return why a folder, which may not exist yet, is not writable, or None if it is."""
    folder = Path(folder).absolute()
    while not os.path.lexists(folder):
        folder = folder.parent
    if not folder.is_dir():
        return f"{folder} is not a folder"
    try:
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return f"{folder}: {error.strerror}"


def _without_home(text):
    """Write `~` for the home folder, including the folder that it may be a link to."""
    home = os.path.expanduser("~")
    for name in {home, os.path.realpath(home)}:
        if len(name) > 1:  # without a home it is "~", and some services have "/"
            text = re.sub(re.escape(name) + r"(?![\w.-])", "~", text)
    return text


def _numbers(version):
    """Return the numbers of a version, to compare by: "2.6.0+cpu" → (2, 6, 0)."""
    return tuple(map(int, re.findall(r"\d+", version.partition("+")[0])[:3]))
