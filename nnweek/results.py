"""The shared results file: days record measurements, and later days read them.

The file contains one JSON object per line. Results are appended, never rewritten, so two
notebooks may record at the same time and a crash costs at most one line. If a name occurs
more than once, its last line counts.
"""

import errno
import json
import os
import sys
from datetime import datetime, timezone
from pathlib import Path

from nnweek._console import printable
from nnweek.runtime import data_folder


def results_file():
    """Return the path of the results file; it need not exist yet. Introduced on Day 29.

    It is `NNWEEK_RESULTS` if that is set, else `results.jsonl` in the data folder
    (`nnweek.runtime.data_folder`), which does not depend on where a notebook is started.
    """
    chosen = os.environ.get("NNWEEK_RESULTS")
    return Path(os.path.expanduser(chosen)) if chosen else data_folder() / "results.jsonl"


def record(name, value, *, dataset, day, settings=None):
    """Save a result for a later day. Introduced on Day 29.

    Record a value once it is known to be what its name says.

    If the file cannot be written, a message on stderr says so and the notebook continues.

    Args:
        name: what was measured, such as "softmax_regression_test_accuracy".
        value: a number, a string, or lists and dictionaries of them (JSON).
        dataset: what it was measured on; each data set has its own results.
        day: the number of the day that measured it, such as 32.
        settings: what the value depends on, such as {"epochs": 5, "lr": 0.1} (JSON).

    Raises:
        TypeError, ValueError: if the value or the settings cannot be written as JSON.
    """
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    entry = {"name": name, "value": value, "settings": settings or {}}
    entry |= {"dataset": dataset, "day": day, "time": now}
    try:
        line = json.dumps(entry, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise type(error)(f"the value of {name!r} cannot be written as JSON: {error}") from None
    path = results_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab", buffering=0) as file:
            # A single write, so that the lines of two writers do not mix. The newline in
            # front ends a line that a crash may have left incomplete.
            content = f"\n{line}\n".encode()
            if file.write(content) < len(content):  # a nearly full disk raises no error
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        print(f"The result {name!r} could not be saved in {path}: {error}", file=sys.stderr)


def recorded(dataset):
    """Read the newest result of each name for one data set. Introduced on Day 32.

    Incomplete lines and lines of other data sets are skipped.

    Args:
        dataset: as passed to `record`.

    Returns:
        {name: {"value": …, "settings": …, "day": …, "time": …}}, empty if nothing was recorded.

    Raises:
        OSError: if the file exists but cannot be read.
    """
    return dict(_recorded(dataset))


def _recorded(dataset):
    """Yield (name, result) for each intact line of a data set, the oldest first."""
    try:
        lines = results_file().read_bytes().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            entry = json.loads(line)
            if entry["dataset"] == dataset:
                result = {key: entry[key] for key in ("value", "day", "time")}
                hash(entry["name"])
                yield entry["name"], result | {"settings": entry.get("settings") or {}}
        except (ValueError, KeyError, TypeError, RecursionError):
            continue


def recall(name, measure, *, dataset, day, settings=None):
    """Return a recorded result; if there is none, measure and record it. Introduced on Day 35.

    A result counts only if it was recorded with the same settings, so an experiment with other
    epochs or another seed is never taken for the published run. One printed line says whether
    the value was recorded or measured.

    Args:
        name, dataset, day, settings: as for `record`.
        measure: called without arguments if nothing was recorded; returns the value.

    Raises:
        OSError: if the file exists and cannot be read.
        TypeError, ValueError: if the measured value or the settings cannot be written as JSON.
    """
    wanted = json.loads(json.dumps(settings or {}))  # (1, 2) is read back as [1, 2]
    found = [result for recorded_name, result in _recorded(dataset) if recorded_name == name]
    fitting = [result for result in found if result["settings"] == wanted]
    if fitting:
        result = fitting[-1]
        print(printable(f"Day {day}: {name} was recorded on {result['time'][:10]}"))
        return result["value"]
    value = measure()
    record(name, value, dataset=dataset, day=day, settings=settings)
    other = " (recorded with other settings)" if found else ""
    print(printable(f"Day {day}: {name} measured now{other}"))
    return value
