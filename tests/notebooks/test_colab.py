"""The Colab cell installs the package, and the wheel contains exactly the package."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import pytest

from support import ROOT
from support.notebooks import DAYS, code_cells

PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
# The files of the package, under their installed names: where they are in this tree.
PACKAGE = {
    path.relative_to(ROOT).as_posix(): path
    for path in (ROOT / "nnweek").rglob("*")
    if path.suffix in (".py", ".png")
} | {
    f"nnweek/notebooks/{path.name}": path
    for path in (ROOT / "notebooks").glob("day-*")
    if path.suffix in (".py", ".ipynb")
}


@pytest.fixture(scope="module")
def cell():
    """The first code cell of Day 29, as Colab gets it."""
    return code_cells(DAYS[0])[0].source


# --- The cell without an installation --------------------------------------------------------


@pytest.fixture
def no_processes(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError(f"the cell started a process: {args}")

    monkeypatch.setattr(subprocess, "run", refuse)
    monkeypatch.setattr(subprocess, "Popen", refuse)


@pytest.fixture
def without_nnweek(monkeypatch):
    """Pretend that the package is not installed."""
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "nnweek" else real(name)
    )


def test_cell_does_nothing_outside_colab(cell, no_processes, without_nnweek, monkeypatch):
    monkeypatch.delitem(sys.modules, "google.colab", raising=False)
    exec(cell, {})


def test_cell_does_nothing_if_the_package_is_installed(cell, no_processes, monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    exec(cell, {})


def test_cell_starts_a_process_in_colab(cell, no_processes, without_nnweek, monkeypatch):
    """Otherwise the two tests above could not fail."""
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    with pytest.raises(AssertionError, match="the cell started a process"):
        exec(cell, {})


# --- Installation in a fresh environment ------------------------------------------------------


def git(*arguments, cwd):
    # In a hook, git's own variables would point to the real repository.
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        ["git", *arguments], cwd=cwd, env=env, check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A git repository with the current working tree, uncommitted changes included."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so its own files are unknown")
    copy = tmp_path_factory.mktemp("repository") / "copy"
    listed = git("ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    for name in filter(None, listed.split("\0")):
        if os.path.lexists(ROOT / name):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name, follow_symlinks=False)
    git("init", "--quiet", "--initial-branch=main", cwd=copy)
    git("add", "--all", cwd=copy)
    author = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    git(*author, "commit", "--quiet", "--no-verify", "--message=working tree", cwd=copy)
    return copy


@pytest.fixture(scope="module")
def fresh_python(tmp_path_factory):
    """The interpreter of a new environment that contains only pip."""
    folder = tmp_path_factory.mktemp("fresh")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


@pytest.fixture(scope="module")
def wheels_only(fresh_python, tmp_path_factory):
    """Settings that let pip find the requirements in a folder, without an index.

    Only this fixture uses the index, so later failures are not the network's.
    """
    folder = tmp_path_factory.mktemp("wheels")
    needed = re.findall(r'^(?:requires|dependencies) = \["(.+)"\]$', PYPROJECT, re.MULTILINE)
    assert len(needed) == 2, "the build backend and the dependencies"
    try:
        asked = subprocess.run(
            [fresh_python, "-m", "pip", "download", "--quiet", "--dest", folder, *needed],
            capture_output=True,
            text=True,
            timeout=180,
        )
    except subprocess.TimeoutExpired:
        pytest.skip("the package index did not answer within three minutes")
    if asked.returncode:
        why = (asked.stderr.strip().splitlines() or ["no reason given"])[-1]
        pytest.skip(f"no package index is reachable: {why}")
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": folder.as_uri()}


COLAB = """\
import sys, types
sys.modules["google"] = types.ModuleType("google")
sys.modules["google.colab"] = types.ModuleType("google.colab")
exec(open(sys.argv[1], encoding="utf-8").read(), {})

import nnweek.scratch
print(nnweek.__file__)
"""


def test_cell_installs_this_package_in_colab(
    cell, repository, fresh_python, wheels_only, tmp_path, monkeypatch
):
    """In a fresh environment; git fetches this working tree instead of the address on GitHub."""
    address = re.search(r'^Repository = "([^"]+)"', PYPROJECT, re.MULTILINE)[1]
    (tmp_path / "cell.py").write_text(cell, encoding="utf-8")
    (tmp_path / "colab.py").write_text(COLAB, encoding="utf-8")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    settings = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{repository.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": address,
        "GIT_ALLOW_PROTOCOL": "file",  # any other address fails without a request
    }
    ran = subprocess.run(
        [fresh_python, "colab.py", "cell.py"],
        cwd=tmp_path,
        env={**os.environ, **wheels_only, **settings},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    installed = Path(ran.stdout.splitlines()[-1]).parent
    assert installed.is_relative_to(fresh_python.parents[1]), "imported from somewhere else"
    for name, path in PACKAGE.items():
        assert (installed.parent / name).read_bytes() == path.read_bytes(), name


def test_wheel_contains_only_the_package(repository, fresh_python, wheels_only, tmp_path):
    built = subprocess.run(
        [fresh_python, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, "."],
        cwd=repository,
        env={**os.environ, **wheels_only},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert sorted(name for name in names if ".dist-info/" not in name) == sorted(PACKAGE)
