"""Exercises whose checks name the mistake (from Day 29 on).

`checks.backward(backward)` compares your function with the right answer, and with what
each known mistake would have produced. The `Verdict` says whether it passed, and which
mistake it looks like if not. Ask again, and the hint becomes more direct.

To add an exercise, write it as an `Exercise` into its day's module (`day29.py` shows how),
its solution into `solutions.py` (or `solutions_torch.py`) under the same name, and its name
into the list below.
"""

import inspect

from nnweek._console import printable
from nnweek.checks import day29, day30, day31, day32, day33, day34, progress_store, solutions
from nnweek.checks.day29 import (
    backward,
    cross_entropy,
    forward,
    numerical_gradient,
    sgd_step,
    softmax,
)
from nnweek.checks.day30 import init_weights, relu_grad, sigmoid, sigmoid_grad, test_suite
from nnweek.checks.day31 import mlp, train_step
from nnweek.checks.day32 import evaluate, normalize, split, train_one_epoch
from nnweek.checks.day33 import adam_step, lr_sweep, momentum_step
from nnweek.checks.day34 import diagnose, update_ratio
from nnweek.checks.verdict import Listing, Progress, Verdict

__all__ = [
    "EXERCISES",
    "Verdict",
    "adam_step",
    "backward",
    "cross_entropy",
    "diagnose",
    "evaluate",
    "forward",
    "hint",
    "init_weights",
    "lr_sweep",
    "mlp",
    "momentum_step",
    "normalize",
    "numerical_gradient",
    "progress",
    "relu_grad",
    "sgd_step",
    "sigmoid",
    "sigmoid_grad",
    "softmax",
    "solution",
    "split",
    "test_suite",
    "train_one_epoch",
    "train_step",
    "update_ratio",
]

_DAYS = (day29, day30, day31, day32, day33, day34)
EXERCISES = {exercise.name: exercise for day in _DAYS for exercise in day.EXERCISES}

_SOLUTIONS = {
    "test_suite": "suite",
    "diagnose": "answers",
}  # where the function's name is not the exercise's


def solution(name):
    """Show a reference solution. Introduced on Day 29.

    Args:
        name: an exercise's name, such as "backward".

    Returns:
        Its source code, which displays itself; `.text` is the plain string.

    Raises:
        ValueError: if there is no such exercise.
    """
    _known(name)
    source = inspect.getsource(getattr(solutions, _SOLUTIONS.get(name, name)))
    return Listing(source.rstrip())


def hint(name):
    """Return the next hint, without another attempt. Introduced on Day 29.

    It takes up the mistake that the last check named, or the exercise itself.

    Args:
        name: an exercise's name, such as "backward".

    Raises:
        ValueError: if there is no such exercise.
    """
    return printable(_known(name).hint())


def progress():
    """Show which exercises have passed, now or in an earlier session. Introduced on Day 29."""
    passed = progress_store.passes()
    return Progress(
        {name: name in passed for name in EXERCISES},
        {name: exercise.day for name, exercise in EXERCISES.items()},
    )


def _known(name):
    """Return the exercise of that name, or raise with the list of names."""
    name = getattr(name, "name", name)  # checks.hint(checks.backward) is as clear
    if name not in EXERCISES:
        raise ValueError(f"name must be one of {', '.join(EXERCISES)}; got {name!r}")
    return EXERCISES[name]
