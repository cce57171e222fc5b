"""Questions with several blanks, filled in one by one: what Days 29 to 31 share.

A `Form` takes a dictionary of answers and may be checked while some of them are still open. Its
`judge` goes through them with the `judge` or the `numbers` of this module, or on its own.
"""

import math
from collections.abc import Mapping

from nnweek.checks.exercise import Question
from nnweek.checks.wording import in_words


class Form(Question):
    """A `Question` with several blanks, which is judged as far as it is filled in."""

    def _judged(self, answers=None):
        if callable(answers):  # a solution is a function that returns the answers
            answers = answers()
        if isinstance(answers, Mapping):
            answers = {key: value for key, value in answers.items() if not is_open(value)}
        return super()._judged(answers)

    def _next_hint(self, mistake):
        # Answers that are right so far are no attempt that failed, and use up no hint.
        return "" if mistake == "not-attempted" else super()._next_hint(mistake)


def is_open(value):
    """Return whether an answer, or a part of it, is still a blank."""
    if isinstance(value, (list, tuple)):
        return any(map(is_open, value))
    return value is None or value is Ellipsis


def judge(right, answers, read, find):
    """Judge a dictionary of answers: None if all are right, or (id, finding).

    Args:
        right: {question: right answer}.
        answers: what the learner gave.
        read: (question, answer) → (what it means, "") or (id, what is wrong with it).
        find: (question, answer, all answers) → None if it is right, or (id, sentence).
    """
    if not isinstance(answers, Mapping):
        return "wrong-type", f"The answer should be a dictionary; got {type(answers).__name__}."
    missing, unknown = (
        [k for k in a if k not in b] for a, b in ((right, answers), (answers, right))
    )
    if unknown:
        text = [f"There is no question “{', '.join(map(str, unknown))}”."]
        text += [f"There is no answer for “{', '.join(missing)}”."] if missing else []
        return "wrong", " ".join(text)
    values = {}
    for key in right:
        if key in answers:
            values[key], trouble = read(key, answers[key])
            if trouble:
                return values[key], trouble
    found = {key: find(key, value, values) for key, value in values.items()}
    wrong = [each for each in found.values() if each]
    open_ = [key for key in right if key not in values]
    if wrong:
        id_, finding = wrong[0]
        count = f"{len(values) - len(wrong)} of {len(right)} right"
        count += f", {len(open_)} not answered yet." if open_ else "."
        return id_, f"{count}\n{finding}"
    if open_:
        so_far, rest = (in_words([f"“{key}”" for key in keys]) for keys in (values, open_))
        return "not-attempted", f"So far all right: {so_far}. Still open: {rest}."
    return None


def number(key, value):
    try:
        value = float(value)
    except (TypeError, ValueError):
        return "wrong-type", f"“{key}” should be a number; got {value!r:.60}."
    return (value, "") if math.isfinite(value) else ("not-finite", f"“{key}” is {value}.")


def numbers(right, slips):
    """Make the `judge` of a question about numbers.

    Args:
        right: {question: number}; two per cent more or less count as right, and so does a number
            rounded to one digit that is not more than five per cent off, such as 1e-6 for 9.54e-7.
        slips: {question: {id: numbers that this mistake gives}}.
    """

    def same(a, b):
        return math.isclose(a, b, rel_tol=0.02)

    def rounded(a, b):
        return a == float(f"{b:.0e}") and math.isclose(a, b, rel_tol=0.05)

    def find(key, value, _):
        if same(value, right[key]) or rounded(value, right[key]):
            return None
        named = (
            id_ for id_, slip in slips.get(key, {}).items() if any(same(value, n) for n in slip)
        )
        return next(named, "wrong"), f"“{key}”: you gave {value:.4g}."

    return lambda answers: judge(right, answers, number, find)
