"""`nnweek start`: a learner's own folder, which no update and no second run overwrites."""

import errno
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from nnweek.commands import start
from support import ROOT

DAYS = sorted(path.name for path in (ROOT / "notebooks").glob("day-*.ipynb"))


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run the command in an empty folder and return its status and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLAB_RELEASE_TAG", raising=False)

    def run(*arguments):
        status = start.main([str(argument) for argument in arguments])
        return status, capsys.readouterr().out

    return run


@pytest.fixture
def course(tmp_path, monkeypatch):
    """Copies of the course's notebooks that a test may change."""
    folder = tmp_path / "clone" / "notebooks"
    folder.mkdir(parents=True)
    for name in DAYS:
        (folder / name).write_bytes((ROOT / "notebooks" / name).read_bytes())
    monkeypatch.setattr(start, "_notebooks", lambda: folder)
    return folder


def listing(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_days_are_copied_to_my_week(run, tmp_path):
    status, said = run()
    assert status == 0
    folder = tmp_path / "my-week"
    assert listing(folder) == {n: (ROOT / "notebooks" / n).read_bytes() for n in DAYS}
    assert f'jupyter lab "{folder}"' in said
    for name in DAYS:
        assert name in said


@pytest.mark.parametrize("name", ["my own wöche", "a/b/c", "with 'quotes' & [brackets]"])
def test_any_folder_can_be_named(name, run, tmp_path):
    assert run(name)[0] == 0
    assert sorted(listing(tmp_path / name)) == DAYS


def test_in_a_clone_the_folder_is_beside_the_notebooks(run, course, monkeypatch):
    monkeypatch.chdir(course)
    assert run()[0] == 0
    assert sorted(listing(course.parent / "my-week")) == DAYS
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "/my-week/" in ignored


def test_second_run_overwrites_no_answer_and_brings_back_a_missing_day(run, tmp_path):
    run()
    answered, deleted = tmp_path / "my-week" / DAYS[0], tmp_path / "my-week" / DAYS[1]
    text = answered.read_text(encoding="utf-8").replace("your code", "my code")
    answered.write_text(text, encoding="utf-8")
    deleted.unlink()
    status, said = run()
    assert status == 0
    assert answered.read_text(encoding="utf-8") == text
    assert deleted.exists()
    assert "Left as they are" in said
    assert "newer" not in said


def test_newer_version_is_reported_and_kept_beside_the_answers(run, course, tmp_path):
    run()
    own = tmp_path / "my-week" / DAYS[0]
    before = own.read_bytes()
    notebook = json.loads((course / DAYS[0]).read_text(encoding="utf-8"))
    notebook["metadata"]["nnweek"]["source"] = "another"
    (course / DAYS[0]).write_text(json.dumps(notebook), encoding="utf-8")
    status, said = run()
    assert status == 0
    news = said.partition("newer version of:")[2].partition("To get it")[0]
    assert news.split() == [DAYS[0]]
    assert "rename your notebook" in said
    assert own.read_bytes() == before
    own.rename(own.with_name("mine.ipynb"))
    run()
    assert own.read_bytes() == (course / DAYS[0]).read_bytes()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"cells": []}', b"\xff"])
def test_damaged_copy_is_named_and_left_alone(content, run, tmp_path):
    run()
    damaged = tmp_path / "my-week" / DAYS[0]
    damaged.write_bytes(content)
    status, said = run()
    assert status == 1
    assert f"{damaged} is damaged. Rename it" in said
    assert damaged.read_bytes() == content


def test_damaged_original_is_named_and_not_copied(run, course, tmp_path):
    (course / DAYS[0]).write_bytes(b"")
    status, said = run()
    assert status == 1
    assert f"{course / DAYS[0]} is damaged" in said
    assert sorted(listing(tmp_path / "my-week")) == DAYS[1:]


def test_strays_beside_the_notebooks_are_not_copied(run, course, tmp_path):
    for name in ("Untitled.ipynb", "day-30 (copy).ipynb", DAYS[1].replace(".", "-Copy1.")):
        (course / name).write_bytes(b"")
    assert run()[0] == 0
    assert sorted(listing(tmp_path / "my-week")) == DAYS


def test_the_courses_own_folder_is_refused(run, course):
    before = listing(course)
    status, said = run(course)
    assert status == 1
    assert "the course's own folder" in said
    assert listing(course) == before


def test_file_in_the_folders_place_is_named(run, tmp_path):
    (tmp_path / "my-week").write_text("mine", encoding="utf-8")
    status, said = run()
    assert status == 1
    assert "my-week cannot be used" in said
    assert (tmp_path / "my-week").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("error", [errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_full_or_read_only_disk_is_a_sentence(error, run, tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(type(tmp_path), "write_bytes", fail)
    status, said = run()
    assert status == 1
    assert os.strerror(error) in said
    assert listing(tmp_path / "my-week") == {}


def test_disk_without_hard_links_gets_the_days_too(run, tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", fail)
    assert run()[0] == 0
    (tmp_path / "my-week" / DAYS[0]).write_bytes(b"mine")
    run()
    assert (tmp_path / "my-week" / DAYS[0]).read_bytes() == b"mine"
    assert sorted(listing(tmp_path / "my-week")) == DAYS


def test_colab_is_warned_that_its_folder_does_not_last(run, monkeypatch):
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release")
    assert "/content/drive/MyDrive" in run()[1]


def test_two_at_once_on_an_old_console(tmp_path):
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "nnweek", "start", "wöche"]
    options = {"cwd": tmp_path, "env": env, "capture_output": True}
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda _: subprocess.run(command, **options), range(2)))
    for ran in runs:
        assert ran.returncode == 0, ran.stderr
        assert b"Traceback" not in ran.stderr
    assert sorted(listing(tmp_path / "wöche")) == DAYS
