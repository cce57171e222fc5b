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
    """Run the command in an empty folder, compare its status, and return what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLAB_RELEASE_TAG", raising=False)

    def run(*arguments, status=0):
        assert start.main([str(argument) for argument in arguments]) == status
        return capsys.readouterr().out

    return run


@pytest.fixture
def week(tmp_path):
    """The folder that the command creates by default."""
    return tmp_path / "my-week"


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


def failing(error):
    """A function that raises the operating system's error, whatever it is called with."""

    def fail(*arguments):
        raise OSError(error, os.strerror(error))

    return fail


def test_days_are_copied_to_my_week(run, week):
    said = run()
    assert listing(week) == {name: (ROOT / "notebooks" / name).read_bytes() for name in DAYS}
    assert all(name in said for name in [*DAYS, f'jupyter lab "{week}"'])


@pytest.mark.parametrize("name", ["a/b/c", "with 'quotes' & [brackets]"])
def test_any_folder_can_be_named(name, run, tmp_path):
    run(name)
    assert sorted(listing(tmp_path / name)) == DAYS


def test_second_run_overwrites_no_answer_and_brings_back_a_missing_day(run, week):
    run()
    answered, deleted = week / DAYS[0], week / DAYS[1]
    text = answered.read_text(encoding="utf-8").replace("your code", "my code")
    answered.write_text(text, encoding="utf-8")
    deleted.unlink()
    said = run()
    assert answered.read_text(encoding="utf-8") == text
    assert deleted.exists()
    assert "Left as they are" in said
    assert "newer" not in said


def test_newer_version_is_reported_and_kept_beside_the_answers(run, course, week):
    run()
    own = week / DAYS[0]
    before = own.read_bytes()
    notebook = json.loads((course / DAYS[0]).read_text(encoding="utf-8"))
    notebook["metadata"]["nnweek"]["source"] = "another"
    (course / DAYS[0]).write_text(json.dumps(notebook), encoding="utf-8")
    said = run()
    news = said.partition("newer version of:")[2].partition("To get it")[0]
    assert news.split() == [DAYS[0]]
    assert "rename your notebook" in said
    assert own.read_bytes() == before
    own.rename(own.with_name("mine.ipynb"))
    run()
    assert own.read_bytes() == (course / DAYS[0]).read_bytes()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"cells": []}', b"\xff", pytest.param(b"[" * 100_000, id="deep")],
)
def test_damaged_copy_is_named_and_left_alone(content, run, week):
    run()
    (week / DAYS[0]).write_bytes(content)
    assert f"{week / DAYS[0]} is damaged. Rename it" in run(status=1)
    assert (week / DAYS[0]).read_bytes() == content


def test_damaged_original_is_named_and_not_copied(run, course, week):
    (course / DAYS[0]).write_bytes(b"")
    assert f"{course / DAYS[0]} is damaged" in run(status=1)
    assert sorted(listing(week)) == DAYS[1:]


def test_strays_beside_the_notebooks_are_not_copied(run, course, week):
    for name in ("Untitled.ipynb", "day-30 (copy).ipynb", DAYS[1].replace(".", "-Copy1.")):
        (course / name).write_bytes(b"")
    run()
    assert sorted(listing(week)) == DAYS


def test_the_courses_own_folder_is_refused(run, course):
    before = listing(course)
    assert "the course's own folder" in run(course, status=1)
    assert listing(course) == before


def test_file_in_the_folders_place_is_named(run, week):
    week.write_text("mine", encoding="utf-8")
    assert "my-week cannot be used" in run(status=1)
    assert week.read_text(encoding="utf-8") == "mine"


def test_home_of_an_unknown_user_is_named(run):
    assert "~nosuchuser/week cannot be used" in run("~nosuchuser/week", status=1)


def test_deleted_folder_is_a_sentence(run, monkeypatch):
    monkeypatch.setattr(start.Path, "cwd", failing(errno.ENOENT))
    assert f"The current folder cannot be used: {os.strerror(errno.ENOENT)}" in run(status=1)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_reader_that_ends_early_is_no_error(unbuffered, tmp_path):
    env = {**os.environ, "PYTHONUNBUFFERED": unbuffered, "PYTHONPATH": str(ROOT)}
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "nnweek", "start"]
    with open(writer, "wb") as pipe:
        ran = subprocess.run(command, cwd=tmp_path, env=env, stdout=pipe, stderr=subprocess.PIPE)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert sorted(listing(tmp_path / "my-week")) == DAYS


@pytest.mark.parametrize("error", [errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_full_or_read_only_disk_is_a_sentence(error, run, week, monkeypatch):
    monkeypatch.setattr(type(week), "write_bytes", failing(error))
    assert os.strerror(error) in run(status=1)
    assert listing(week) == {}


def test_disk_without_hard_links_gets_the_days_too(run, week, monkeypatch):
    monkeypatch.setattr(os, "link", failing(errno.EPERM))
    run()
    (week / DAYS[0]).write_bytes(b"mine")
    run(status=1)
    assert (week / DAYS[0]).read_bytes() == b"mine"
    assert sorted(listing(week)) == DAYS


def test_colab_is_warned_that_its_folder_does_not_last(run, monkeypatch):
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release")
    assert "/content/drive/MyDrive" in run()


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
