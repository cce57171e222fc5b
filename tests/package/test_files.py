"""Atomic writes: a file is complete or untouched."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nnweek.files import BLOCK, atomic_write, write_block


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


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
def test_link_stays_a_link_and_its_file_keeps_its_permissions(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_bytes(b"old")
    (tmp_path / "there" / "file").chmod(0o600)
    (tmp_path / "link").symlink_to(Path("there", "file"))
    with atomic_write(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "file").read_bytes() == b"new"
    assert (tmp_path / "there" / "file").stat().st_mode & 0o777 == 0o600


def test_generated_block_is_replaced_and_own_text_kept(tmp_path):
    path = tmp_path / "report.md"
    assert write_block(path, "accuracy 1", after="\nMy words:\n") == path
    own = path.read_bytes().replace(b"My words:", "My wörds: caf\xe9\r\n".encode("latin-1"))
    path.write_bytes(b"# My week\r\n" + own)
    assert write_block(path, "accuracy 2") == path
    assert path.read_bytes() == (b"# My week\r\n" + own).replace(b"accuracy 1", b"accuracy 2")


@pytest.mark.parametrize("lost", [slice(2), slice(1), slice(1, 2)], ids=["both", "start", "end"])
def test_file_without_its_marks_is_not_touched(tmp_path, lost):
    path = tmp_path / "report.md"
    write_block(path, "accuracy 1")
    own = path.read_text(encoding="utf-8")
    for mark in BLOCK[lost]:
        own = own.replace(mark, "")
    path.write_text(own, encoding="utf-8")
    for _ in range(2):
        assert write_block(path, "accuracy 2").name == "report-2.md"
    assert path.read_text(encoding="utf-8") == own
    assert "accuracy 2" in (tmp_path / "report-2.md").read_text(encoding="utf-8")


def test_own_text_between_two_start_marks_is_not_touched(tmp_path):
    """The end mark of the first block was deleted, and text was written after it."""
    path = tmp_path / "report.md"
    own = f"{BLOCK[0]}\naccuracy 1\nmy comparison\n{BLOCK[0]}\naccuracy 0\n{BLOCK[1]}\n"
    path.write_text(own, encoding="utf-8")
    assert write_block(path, "accuracy 2").name == "report-2.md"
    assert path.read_text(encoding="utf-8") == own


def test_block_goes_beside_a_folder_of_that_name(tmp_path):
    (tmp_path / "report.md").mkdir()
    assert write_block(tmp_path / "report.md", "accuracy 1").name == "report-2.md"
