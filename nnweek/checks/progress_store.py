"""What the checks remember about the learner: what has passed, which hints were given (Day 29).

Passes are kept between sessions beside the days' results (`nnweek.results`), under the
data set "checks". Where that file cannot be written they last as long as the session.
"""

import contextlib
import io

from nnweek import results

_passed = set()
_shown = {}  # exercise → (its last mistake, how many hints on it were given, its hints)


def keep_pass(exercise, day):
    """Remember that an exercise has passed; the file is touched once per session."""
    if exercise in _passed:
        return
    _passed.add(exercise)
    # Progress is a courtesy: a folder that cannot be written deserves no message here.
    with contextlib.redirect_stderr(io.StringIO()):
        results.record(exercise, "passed", dataset="checks", day=day)


def passes():
    """Return the names of all exercises that have passed, in this session or before."""
    try:
        return _passed | set(results.recorded("checks"))
    except OSError:
        return set(_passed)


def next_hint(exercise, mistake, hints):
    """Return the first of `hints`, and each time the same mistake comes again the next."""
    last, count, _ = _shown.get(exercise, (None, 0, ()))
    count = count + 1 if last == mistake else 1
    _shown[exercise] = (mistake, count, hints)
    return hints[min(count, len(hints)) - 1]


def last_hints(exercise):
    """Return (mistake, hints) of the exercise's last hint, or None."""
    shown = _shown.get(exercise)
    return shown and (shown[0], shown[2])


def forget(exercise):
    """Start the hints of an exercise from the first again."""
    _shown.pop(exercise, None)
