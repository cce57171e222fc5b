"""The Colab cell installs exactly the package, and only in Colab."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

from support import ROOT
from support.days import git
from support.notebooks import DAYS, code_cells

PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
# The files of the package, under their installed names: where they are in this tree.
PACKAGE = {
    path.relative_to(ROOT).as_posix(): path
    for path in (ROOT / "nnweek").rglob("*")
    if path.suffix in (".py", ".png", ".json")
} | {
    f"nnweek/notebooks/{path.name}": path
    for path in (ROOT / "notebooks").iterdir()
    if path.suffix in (".py", ".ipynb")
}


@pytest.fixture(scope="module")
def cell():
    """The first code cell of Day 29, as Colab gets it."""
    return code_cells(DAYS[0])[0].source


@pytest.mark.parametrize(
    ("in_colab", "installed", "starts"),
    [(False, False, False), (True, True, False), (True, False, True)],
)
def test_cell_starts_a_process_only_in_colab_without_the_package(
    in_colab, installed, starts, cell, monkeypatch
):
    started = []
    find_spec = importlib.util.find_spec

    def find(name, *more):
        return None if name == "nnweek" and not installed else find_spec(name, *more)

    monkeypatch.setattr(importlib.util, "find_spec", find)
    for function in ("run", "Popen"):
        monkeypatch.setattr(subprocess, function, lambda *args, **kwargs: started.append(args))
    monkeypatch.delitem(sys.modules, "google.colab", raising=False)
    if in_colab:
        monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    exec(cell, {})
    assert bool(started) == starts


@pytest.fixture
def repository(tmp_path):
    """A git repository with the current working tree, uncommitted changes included."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so its own files are unknown")
    copy = tmp_path / "repository"
    listed = git("ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    for name in filter(None, listed.split("\0")):
        if os.path.lexists(ROOT / name):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name, follow_symlinks=False)
    git("init", "--quiet", "--initial-branch=main", cwd=copy)
    git("add", "--all", cwd=copy)
    git("commit", "--quiet", "--no-verify", "--message=working tree", cwd=copy)
    return copy


@pytest.fixture
def fresh_python(tmp_path):
    """The interpreter of a new environment that contains only pip."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "fresh"], check=True)
    return tmp_path / "fresh" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


@pytest.fixture
def wheels_only(fresh_python, tmp_path):
    """Settings that let pip find the requirements in a folder, without an index.

    Only this fixture uses the index, so later failures are not the network's.
    """
    folder = tmp_path / "wheels"
    needed = re.findall(r'^(?:requires|dependencies) = \["(.+)"\]$', PYPROJECT, re.MULTILINE)
    assert len(needed) == 2, "the build backend and the dependencies"
    command = [fresh_python, "-m", "pip", "download", "--quiet", "--dest", folder, *needed]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=180)
    except subprocess.TimeoutExpired:
        pytest.skip("the package index did not answer within three minutes")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no package index is reachable: {error.stderr.strip()[-200:]}")
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": folder.as_uri()}


COLAB = """\
import sys, types
sys.modules["google"] = types.ModuleType("google")
sys.modules["google.colab"] = types.ModuleType("google.colab")
exec(open(sys.argv[1], encoding="utf-8").read(), {})

import importlib.metadata, json
import nnweek.scratch
files = [file.as_posix() for file in importlib.metadata.files("nnweek")]
print(json.dumps([nnweek.__file__, files]))
"""


def test_cell_installs_exactly_this_package_in_colab(
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
    options = {"cwd": tmp_path, "env": {**os.environ, **wheels_only, **settings}}
    command = [fresh_python, "colab.py", "cell.py"]
    ran = subprocess.run(command, capture_output=True, text=True, **options)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    module, files = json.loads(ran.stdout.splitlines()[-1])
    installed = Path(module).parent
    assert installed.is_relative_to(fresh_python.parents[1]), "imported from somewhere else"
    for name, path in PACKAGE.items():
        assert (installed.parent / name).read_bytes() == path.read_bytes(), name
    by_pip = re.compile(r"\.dist-info/|/__pycache__/|^\.\./")  # "../": the command nnweek
    assert sorted(file for file in files if not by_pip.search(file)) == sorted(PACKAGE)
