"""The learner's progress: which exercises have passed, which hints were given (Day 29).

Passes are kept between sessions in the shared results file (`nnweek.results`), under the data
set "checks". If that file cannot be written, they last as long as the session.
"""

import contextlib
import io

from nnweek import results

_passed = set()
_given_hints = {}  # exercise → (its last mistake, number of hints given on it, its hints)


def keep_pass(exercise, day):
    """Record that an exercise has passed; the file is written once per session."""
    if exercise in _passed:
        return
    _passed.add(exercise)
    # A folder that cannot be written is not worth a message here: the check itself worked.
    with contextlib.redirect_stderr(io.StringIO()):
        results.record(exercise, "passed", dataset="checks", day=day)


def passes():
    """Return the names of all exercises that have passed, in this session or an earlier one."""
    try:
        return _passed | set(results.recorded("checks"))
    except OSError:
        return set(_passed)


def next_hint(exercise, mistake, hints):
    """Return the first of `hints`, and the next one each time the mistake is repeated."""
    last, count, _ = _given_hints.get(exercise, (None, 0, ()))
    count = count + 1 if last == mistake else 1
    _given_hints[exercise] = (mistake, count, hints)
    return hints[min(count, len(hints)) - 1]


def last_hints(exercise):
    """Return (mistake, hints) of the exercise's last hint, or None."""
    given = _given_hints.get(exercise)
    return given and (given[0], given[2])


def forget(exercise):
    """Restart the hints of an exercise from the first one."""
    _given_hints.pop(exercise, None)


def given_hints():
    """Return which hints were given, for `set_given_hints`."""
    return dict(_given_hints)


def set_given_hints(given):
    """Take back the hints given since `given_hints` was called."""
    _given_hints.clear()
    _given_hints.update(given)
