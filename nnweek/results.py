"""The one file in which the days leave their numbers (Days 29 to 35).

The file holds one result a line (JSON). A result is appended, never rewritten, so
that two notebooks may record at once and a crash can cost a line at most; the
newest line of a name counts.
"""

import errno
import json
import os
import sys
from datetime import datetime, timezone
from pathlib import Path

from nnweek.runtime import data_folder


def results_file():
    """Return the path of the results file; it need not exist yet. Introduced on Day 29.

    It is `NNWEEK_RESULTS` where that is set, else `results.jsonl` in the data folder
    (`nnweek.runtime.data_folder`), which is the same wherever a notebook is started.
    """
    chosen = os.environ.get("NNWEEK_RESULTS")
    return Path(os.path.expanduser(chosen)) if chosen else data_folder() / "results.jsonl"


def record(name, value, *, dataset, day):
    """Keep a result for Day 35. Introduced on Day 29.

    Where the file cannot be written, that is said and the notebook goes on.

    Args:
        name: what was measured, such as "baseline_test_accuracy".
        value: a number, a string, or lists and dictionaries of them (JSON).
        dataset: what it was measured on; results of another data set stay apart.
        day: the day that measured it, 29 to 35.

    Raises:
        TypeError, ValueError: if the value cannot be written as JSON.
    """
    entry = {
        "name": name,
        "value": value,
        "dataset": dataset,
        "day": day,
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    try:
        line = json.dumps(entry, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise type(error)(f"the value of {name!r} cannot be written as JSON: {error}") from None
    path = results_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab", buffering=0) as file:
            # One write, so that lines of two writers do not mix; the newline in front
            # ends a line that a crash may have left half-written.
            content = f"\n{line}\n".encode()
            if file.write(content) < len(content):  # the last bytes of a disk are no error to it
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        print(f"The result {name!r} could not be kept in {path}: {error}", file=sys.stderr)


def recorded(dataset):
    """Read the newest result of each name for one data set. Introduced on Day 35.

    Lines that are not whole, and lines of other data sets, are passed over.

    Returns:
        {name: {"value": …, "day": …, "time": …}}, empty where nothing was recorded.

    Raises:
        OSError: if the file is there and cannot be read.
    """
    try:
        lines = results_file().read_bytes().splitlines()
    except FileNotFoundError:
        return {}
    found = {}
    for line in lines:
        try:
            entry = json.loads(line)
            if entry["dataset"] == dataset:
                found[entry["name"]] = {key: entry[key] for key in ("value", "day", "time")}
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return found
