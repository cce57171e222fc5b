"""The results file, to which days record and from which later days recall."""

import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnweek import results
from nnweek.results import recall, record, recorded


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A results file for this test, in a folder that does not exist yet."""
    path = tmp_path / "folder" / "results.jsonl"
    monkeypatch.setenv("NNWEEK_RESULTS", str(path))
    return path


def values(dataset="MNIST"):
    return {name: entry["value"] for name, entry in recorded(dataset).items()}


def test_missing_file_means_no_results(file):
    assert recorded("MNIST") == {}
    assert not file.exists(), "reading must not create the file"


@pytest.mark.parametrize(
    "value",
    [0.9765, 5, -1e-300, "97.65 % – fünf Epochen\n", True, None, [1, [2.5]], {"SGD": [0.1, 0.2]}],
    ids=repr,
)
def test_result_is_read_back_as_recorded(value, file):
    record("result", value, dataset="MNIST", day=32)
    entry = recorded("MNIST")["result"]
    assert entry["value"] == value
    assert entry["day"] == 32
    assert datetime.fromisoformat(entry["time"]).tzinfo is not None


def test_data_sets_have_separate_results(file):
    record("accuracy", 0.98, dataset="MNIST", day=32)
    record("accuracy", 0.93, dataset="the stand-in", day=32)
    assert values("MNIST") == {"accuracy": 0.98}
    assert values("the stand-in") == {"accuracy": 0.93}
    assert values("another") == {}


INCOMPLETE = [
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


@pytest.mark.parametrize("line", INCOMPLETE, ids=lambda line: repr(line[:20]))
def test_incomplete_last_line_is_skipped(line, file):
    record("before", 1, dataset="MNIST", day=29)
    with open(file, "ab") as stream:
        stream.write(line)
    assert values() == {"before": 1}

    record("after", 2, dataset="MNIST", day=29)
    assert values() == {"before": 1, "after": 2}


def test_concurrent_writers_lose_nothing(file, tmp_path):
    """The lines are long, so lines written in several parts would mix."""
    writers, each = 4, 40
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
    for process in processes:  # all are ready, so start them
        process.stdin.close()
    for process in processes:
        process.stdout.close()
        assert process.wait() == 0

    assert values() == {f"{w}-{i}": str(w) * 20_000 for w in range(writers) for i in range(each)}
    assert sum(1 for line in file.read_bytes().splitlines() if line) == writers * each


@given(st.binary(max_size=200))
def test_results_around_junk_are_read(junk):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder, "results.jsonl")
        patch.setenv("NNWEEK_RESULTS", str(path))
        record("before", 1, dataset="MNIST", day=29)
        with open(path, "ab") as stream:
            stream.write(junk)
        record("after", 2, dataset="MNIST", day=29)
        assert values() == {"before": 1, "after": 2}


def test_latest_result_counts_even_if_the_clock_went_back(file, monkeypatch):
    """The order in the file decides, not the recorded time."""

    class Clock(datetime):
        @classmethod
        def now(cls, zone=None):
            return datetime(1999, 1, 1, tzinfo=zone)

    for value in (1, 2, 3):
        record("a", value, dataset="MNIST", day=29)
        record("b", -value, dataset="MNIST", day=30)
        monkeypatch.setattr(results, "datetime", Clock)
    assert values() == {"a": 3, "b": -3}
    assert recorded("MNIST")["a"]["time"].startswith("1999")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1.0, float("nan")], {1, 2}, open])
def test_value_that_is_not_json_is_refused(value, file):
    record("before", 1, dataset="MNIST", day=29)
    before = file.read_bytes()
    with pytest.raises((TypeError, ValueError), match=r"value .*'bad'"):
        record("bad", value, dataset="MNIST", day=29)
    assert file.read_bytes() == before


@pytest.mark.parametrize("where", ["a-file/results.jsonl", "", "/dev/full"])
def test_write_error_is_reported_without_an_exception(where, tmp_path, monkeypatch, capsys):
    (tmp_path / "a-file").touch()
    path = tmp_path / where  # `/dev/full` replaces the folder; "" is the folder itself
    if where == "/dev/full" and not path.exists():
        pytest.skip("this system has no /dev/full")
    monkeypatch.setenv("NNWEEK_RESULTS", str(path))
    record("accuracy", 0.98, dataset="MNIST", day=32)
    message = capsys.readouterr().err
    assert "'accuracy' could not be saved" in message
    assert str(path) in message


def test_recall_returns_the_recorded_result(file, capsys):
    record("accuracy", 0.9, dataset="MNIST", day=32)

    def measure():
        raise AssertionError("measured, although a result was recorded")

    assert recall("accuracy", measure, dataset="MNIST", day=32) == 0.9
    time = recorded("MNIST")["accuracy"]["time"]
    assert capsys.readouterr().out == f"Day 32: accuracy was recorded on {time[:10]}\n"


def test_recall_measures_and_records_a_missing_result(file, capsys):
    record("accuracy", 0.9, dataset="the stand-in", day=32)
    assert recall("accuracy", lambda: [0.95], dataset="MNIST", day=32) == [0.95]
    assert "Day 32: accuracy measured now" in capsys.readouterr().out
    entry = recorded("MNIST")["accuracy"]
    assert (entry["value"], entry["day"]) == ([0.95], 32)
    assert values("the stand-in") == {"accuracy": 0.9}


def test_result_of_other_settings_is_not_recalled(file, capsys):
    """An experiment with one epoch must not become the published number of five."""
    published = {"epochs": 5, "seeds": [1, 2]}
    record("accuracy", 0.98, dataset="MNIST", day=32, settings=published)
    record("accuracy", 0.93, dataset="MNIST", day=32, settings={"epochs": 1, "seeds": [1, 2]})
    record("accuracy", 0.5, dataset="MNIST", day=32)

    def get(settings):
        return recall("accuracy", lambda: 0.1, dataset="MNIST", day=32, settings=settings)

    assert get(published) == 0.98
    assert get({"epochs": 5, "seeds": (1, 2)}) == 0.98, "JSON has no tuples"
    assert get({"epochs": 1, "seeds": [1, 2]}) == 0.93
    assert "was recorded" in capsys.readouterr().out
    assert get({"epochs": 2, "seeds": [1, 2]}) == 0.1
    assert "measured now (recorded with other settings)" in capsys.readouterr().out
    assert get({"epochs": 2, "seeds": [1, 2]}) == 0.1
    assert "was recorded" in capsys.readouterr().out
    assert recorded("MNIST")["accuracy"]["settings"] == {"epochs": 2, "seeds": [1, 2]}


def test_line_of_an_earlier_version_has_no_settings(file):
    file.parent.mkdir()
    file.write_text('{"name": "a", "value": 1, "dataset": "MNIST", "day": 29, "time": "2026"}\n')
    assert recorded("MNIST")["a"]["settings"] == {}
    assert recall("a", lambda: 2, dataset="MNIST", day=29) == 1
    assert recall("a", lambda: 2, dataset="MNIST", day=29, settings={"epochs": 5}) == 2
