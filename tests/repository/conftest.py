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


def files_of(tree):
    """All files that belong to a working tree, except links: {name: bytes}."""
    listed = git("ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=tree)
    return {
        name: (tree / name).read_bytes()
        for name in listed.split("\0")
        if (tree / name).is_file() and not (tree / name).is_symlink()
    }


@pytest.fixture(scope="session")
def files():
    """The files of this repository: {name: bytes}."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so it is unknown which files belong to the repository")
    return files_of(ROOT)


@pytest.fixture
def limited():
    """Make a Python whose files cannot exceed some kilobytes, as on a full disk."""
    return lambda size: ("sh", "-c", f'ulimit -f {size}; exec "$@"', "sh", sys.executable)


class Fork:
    """A git repository and the scripts in its .ci folder."""

    def __init__(self, tree):
        self.tree = tree

    def files(self):
        return files_of(self.tree)

    def git(self, *arguments):
        return git(*arguments, cwd=self.tree)

    def run(self, script, *arguments, fails=False, python=(sys.executable,)):
        """Run a script; return what it prints, of a failure the error."""
        ran = subprocess.run(
            [*python, self.tree / ".ci" / script, *arguments],
            cwd=self.tree.parent,  # the scripts must find their tree themselves
            capture_output=True,
            text=True,
        )
        assert bool(ran.returncode) == fails, ran.stdout + ran.stderr
        return ran.stderr if fails else ran.stdout


@pytest.fixture
def fork(files, tmp_path):
    """A new git repository with the files of this one, including uncommitted changes."""
    tree = tmp_path / "fork"
    for name in files:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tree / name)
    git("init", "--quiet", cwd=tree)
    git("add", "--all", cwd=tree)
    return Fork(tree)
