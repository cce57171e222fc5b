"""A copy of the repository to try its scripts on."""

import os
import shutil
import subprocess
import sys

import pytest

from support import ROOT


def git(*arguments, cwd):
    # Without git's own variables: in a hook they would point at the real repository.
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        ["git", *arguments], cwd=cwd, env=env, check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture(scope="session")
def files_of():
    """A function that reads all files that belong to a working tree, except links: {name: bytes}."""

    def read(tree):
        listed = git("ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=tree)
        return {
            name: (tree / name).read_bytes()
            for name in listed.split("\0")
            if (tree / name).is_file() and not (tree / name).is_symlink()
        }

    return read


@pytest.fixture(scope="session")
def files(files_of):
    """The files of this repository: {name: bytes}."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so it is unknown which files belong to the repository")
    return files_of(ROOT)


@pytest.fixture
def fork(files, tmp_path):
    """A new git repository with the files of this one, including uncommitted changes."""
    tree = tmp_path / "fork"
    for name in files:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tree / name)
    git("init", "--quiet", cwd=tree)
    git("add", "--all", cwd=tree)
    return tree


@pytest.fixture
def run_script(fork):
    """A function that runs a script of the fork's .ci folder."""

    def run(script, *arguments):
        return subprocess.run(
            [sys.executable, fork / ".ci" / script, *arguments],
            cwd=fork.parent,  # the scripts must find their tree themselves
            capture_output=True,
            text=True,
        )

    return run
