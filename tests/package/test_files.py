"""Atomic writes: a file is complete or untouched."""

import os
import subprocess
import sys
import time

import pytest

from nnweek.files import atomic_write


def test_file_appears_only_when_complete(tmp_path):
    path = tmp_path / "new" / "file.bin"
    with atomic_write(path) as file:
        file.write(b"all of it")
        assert not path.exists()
    assert path.read_bytes() == b"all of it"
    assert list(path.parent.iterdir()) == [path]


def test_interrupted_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), atomic_write(path) as file:  # noqa: PT012
        file.write(b"ne")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_only_old_leftovers_of_killed_writers_are_deleted(tmp_path):
    """The file of a running writer is new, or dated in the future if a clock was changed."""
    path = tmp_path / "state[1].pt"
    code = "import os, sys; from nnweek.files import atomic_write\nwith atomic_write(sys.argv[1]): os._exit(9)"
    for _ in range(3):
        assert subprocess.run([sys.executable, "-c", code, str(path)]).returncode == 9
    old, young, future = tmp_path.iterdir()
    for left, age in [(old, 4000), (young, 60), (future, -1e6)]:
        os.utime(left, (time.time() - age, time.time() - age))
    others = [tmp_path / ".other.pt-0123.part", tmp_path / ".state1.pt-0123.part"]
    for other in others:
        other.touch()
        os.utime(other, (0, 0))

    with atomic_write(path) as file:
        file.write(b"new")

    assert path.read_bytes() == b"new"
    assert set(tmp_path.iterdir()) == {path, young, future, *others}


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
def test_file_has_the_usual_permissions(tmp_path):
    """A class that shares a data folder must be able to read what the teacher downloaded."""
    with atomic_write(tmp_path / "atomic") as file:
        file.write(b"data")
    (tmp_path / "ordinary").write_bytes(b"data")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "ordinary").stat().st_mode
