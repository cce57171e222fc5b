"""The results file and the folder that keeps it (from Day 29 on)."""

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnweek import results
from nnweek.files import atomic_write
from nnweek.results import record, recorded, results_file
from nnweek.runtime import data_folder

# --- The results file ---------------------------------------------------------------------


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A results file of the test's own, in a folder that does not exist yet."""
    path = tmp_path / "folder" / "results.jsonl"
    monkeypatch.setenv("NNWEEK_RESULTS", str(path))
    return path


def values(dataset="MNIST"):
    return {name: entry["value"] for name, entry in recorded(dataset).items()}


def test_before_the_first_result_there_is_none(file):
    assert recorded("MNIST") == {}
    assert not file.exists(), "reading must not make the file"


@pytest.mark.parametrize(
    "value",
    [0.9765, 5, -1e-300, "97.65 % – fünf Epochen\n", True, None, [1, [2.5]], {"SGD": [0.1, 0.2]}],
    ids=repr,
)
def test_a_result_comes_back_as_it_was_recorded(value, file):
    record("result", value, dataset="MNIST", day=32)
    entry = recorded("MNIST")["result"]
    assert entry["value"] == value
    assert entry["day"] == 32
    assert datetime.fromisoformat(entry["time"]).tzinfo is not None


def test_the_newest_result_of_a_name_counts(file):
    for value in (1, 2, 3):
        record("a", value, dataset="MNIST", day=29)
        record("b", -value, dataset="MNIST", day=30)
    assert values() == {"a": 3, "b": -3}


def test_data_sets_are_kept_apart(file):
    record("accuracy", 0.98, dataset="MNIST", day=32)
    record("accuracy", 0.93, dataset="the stand-in", day=32)
    assert values("MNIST") == {"accuracy": 0.98}
    assert values("the stand-in") == {"accuracy": 0.93}
    assert values("another") == {}


TORN = [
    b'{"name": "torn", "value": 1, "dataset": "MN',
    b'{"name": "torn", "value": 1, "dataset": "MNIST", "day": 29}',
    b"\x00" * 100,
    b"\xff\xfe half a character \xc3",
    b"[1, 2, 3]",
    b'"MNIST"',
    b'{"dataset": "MNIST", "name": ["torn"], "value": 1, "day": 29, "time": ""}',
    b"[" * 100_000,
    b"9" * 10_000,
]


@pytest.mark.parametrize("torn", TORN, ids=lambda torn: repr(torn[:20]))
def test_a_torn_last_line_is_passed_over_and_does_not_swallow_the_next_result(torn, file):
    record("before", 1, dataset="MNIST", day=29)
    with open(file, "ab") as stream:
        stream.write(torn)
    assert values() == {"before": 1}

    record("after", 2, dataset="MNIST", day=29)
    assert values() == {"before": 1, "after": 2}


def test_writers_in_several_processes_lose_nothing(file, tmp_path):
    """Long lines, so that lines written in pieces would mix."""
    writers, each = 4, 100
    code = (
        "import sys; from nnweek.results import record\n"
        "print('ready', flush=True); sys.stdin.read()\n"
        f"for i in range({each}):\n"
        "    record(f'{sys.argv[1]}-{i}', sys.argv[1] * 20_000, dataset='MNIST', day=35)"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(w)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=tmp_path,
        )
        for w in range(writers)
    ]
    for process in processes:
        process.stdout.readline()
    for process in processes:  # all are ready: go
        process.stdin.close()
    for process in processes:
        process.stdout.close()
        assert process.wait() == 0

    assert values() == {f"{w}-{i}": str(w) * 20_000 for w in range(writers) for i in range(each)}
    assert sum(1 for line in file.read_bytes().splitlines() if line) == writers * each


@given(st.binary(max_size=200))
def test_whatever_stands_between_them_the_results_before_and_after_are_read(junk):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder, "results.jsonl")
        patch.setenv("NNWEEK_RESULTS", str(path))
        record("before", 1, dataset="MNIST", day=29)
        with open(path, "ab") as stream:
            stream.write(junk)
        record("after", 2, dataset="MNIST", day=29)
        assert values() == {"before": 1, "after": 2}


def test_after_a_clock_was_set_back_the_newest_result_still_counts(file, monkeypatch):
    """What was written last is the newest, whatever time it says."""

    class Clock(datetime):
        @classmethod
        def now(cls, zone=None):
            return datetime(1999, 1, 1, tzinfo=zone)

    record("accuracy", 0.9, dataset="MNIST", day=32)
    monkeypatch.setattr(results, "datetime", Clock)
    record("accuracy", 0.95, dataset="MNIST", day=32)
    entry = recorded("MNIST")["accuracy"]
    assert entry["value"] == 0.95
    assert entry["time"].startswith("1999")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1.0, float("nan")], {1, 2}, open])
def test_what_json_cannot_hold_is_refused_and_not_written(value, file):
    record("before", 1, dataset="MNIST", day=29)
    kept = file.read_bytes()
    with pytest.raises((TypeError, ValueError), match=r"value .*'bad'"):
        record("bad", value, dataset="MNIST", day=29)
    assert file.read_bytes() == kept


def blocked_by_a_file(tmp_path):
    (tmp_path / "file").touch()
    return tmp_path / "file" / "results.jsonl"


def blocked_by_a_folder(tmp_path):
    return tmp_path


def on_a_full_disk(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    return Path("/dev/full")


@pytest.mark.parametrize("path", [blocked_by_a_file, blocked_by_a_folder, on_a_full_disk])
def test_where_the_file_cannot_be_written_that_is_said_and_the_notebook_goes_on(
    path, tmp_path, monkeypatch, capsys
):
    path = path(tmp_path)
    monkeypatch.setenv("NNWEEK_RESULTS", str(path))
    record("accuracy", 0.98, dataset="MNIST", day=32)
    said = capsys.readouterr().err
    assert "'accuracy' could not be kept" in said
    assert str(path) in said


def test_the_file_is_one_json_object_a_line(file):
    """So that anything can read it."""
    record("a", "two\nlines", dataset="MNIST", day=29)
    record("b", 2, dataset="MNIST", day=29)
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line]
    assert [line["name"] for line in lines] == ["a", "b"]


# --- Where files are kept ------------------------------------------------------------------


@pytest.fixture
def bare_environment(monkeypatch):
    for name in ("NNWEEK_DATA", "NNWEEK_RESULTS", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_the_data_folder_is_the_users_cache_unless_said_otherwise(bare_environment, monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: Path("/home/reader"))
    assert data_folder() == Path("/home/reader/.cache/nnweek")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert data_folder() == Path("/cache/nnweek")
    monkeypatch.setenv("NNWEEK_DATA", "/data")
    assert data_folder() == Path("/data")
    assert results_file() == Path("/data/results.jsonl")
    monkeypatch.setenv("NNWEEK_RESULTS", "/results/mine.jsonl")
    assert results_file() == Path("/results/mine.jsonl")


def test_a_tilde_stands_for_the_home_folder(bare_environment, monkeypatch):
    monkeypatch.setenv("NNWEEK_DATA", "~/week5")
    monkeypatch.setenv("NNWEEK_RESULTS", "~/week5.jsonl")
    assert data_folder() == Path.home() / "week5"
    assert results_file() == Path.home() / "week5.jsonl"


def test_a_user_without_a_home_gets_a_temporary_folder(bare_environment, monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    assert data_folder() == Path(tempfile.gettempdir()) / "nnweek"


def test_a_whole_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "file.bin"
    with atomic_write(path) as file:
        file.write(b"all of it")
        assert not path.exists()
    assert path.read_bytes() == b"all of it"
    assert list(path.parent.iterdir()) == [path]


def test_a_whole_file_that_breaks_off_leaves_what_was_there(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), atomic_write(path) as file:  # noqa: PT012
        file.write(b"ne")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_killed_writers_have_left_is_deleted_when_it_is_old_and_nothing_else_is(tmp_path):
    """A living writer's file is young, unless a clock jumps; then it may also be of the future."""
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


@pytest.mark.skipif(os.name != "posix", reason="permissions of this kind are POSIX's")
def test_a_whole_file_may_be_read_by_whoever_may_read_other_new_files(tmp_path):
    """A class that shares one data folder must be able to read what the teacher fetched."""
    with atomic_write(tmp_path / "whole") as file:
        file.write(b"data")
    (tmp_path / "ordinary").write_bytes(b"data")
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "ordinary").stat().st_mode
