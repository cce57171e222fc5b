"""Exercises whose checks name the mistake (from Day 29 on).

`checks.backward(backward)` compares your function with the right answer, and with what
each known mistake would have produced. The `Verdict` says whether it passed and, if not,
which mistake it looks like. Each further attempt gets a more direct hint.

To add an exercise, declare it as an `Exercise` in its day's module (`day29.py` shows how),
write its solution in `solutions.py` (or `solutions_torch.py`) under the same name, and add
its name to the lists below.

A check passes through these modules, none of which imports a later one: `errors` (what an
exception means), `global_state` (save it and put it back), `sandbox` (call a function safely),
`comparing` (numbers), `wording` (sentences), `running` (probes and observations),
`recognising` (which mistake it is), `prerequisites` (a function that uses other answers),
`exercise` (declarations). Then come
`forms` (questions with blanks), `loops` (what Days 31 and 32 share) and one module of exercises
per day. `instrumented_loops`, `instrumented_networks` and `instrumented_data` record what PyTorch
code does, `faulty_ladder` computes the ladder that Day 31 examines, `faulty_runs` logs the runs
that Day 34 diagnoses, and `progress_store` keeps what has passed.
"""

import inspect

from nnweek._console import printable
from nnweek.checks import day29, day30, day31, day32, day33, day34, day35, progress_store, solutions
from nnweek.checks.day29 import (
    backward,
    backward3,
    backward_mse,
    bug_hunt,
    by_hand,
    cross_entropy,
    forward,
    layer_backward,
    numerical_gradient,
    sgd_step,
    softmax,
)
from nnweek.checks.day30 import (
    backward_deep,
    bound,
    hypotheses,
    init_weights,
    relu_grad,
    sigmoid,
    sigmoid_grad,
    suite_inputs,
    tanh_slope,
    test_suite,
    variance,
)
from nnweek.checks.day31 import (
    accumulate,
    mlp,
    read_autograd,
    seeded_loader,
    to_tensors,
    train_step,
    wrong_rung,
)
from nnweek.checks.day32 import (
    accuracy_interval,
    calibration_error,
    evaluate,
    fit_temperature,
    normalize,
    split,
    train_one_epoch,
)
from nnweek.checks.day33 import (
    adam_step,
    adamw_step,
    lr_sweep,
    mcnemar,
    momentum_step,
    paired_interval,
)
from nnweek.checks.day34 import diagnose, read_chart, update_ratio
from nnweek.checks.day35 import my_idea
from nnweek.checks.verdict import Listing, Progress, Verdict

__all__ = [
    "EXERCISES",
    "Verdict",
    "accumulate",
    "accuracy_interval",
    "adam_step",
    "adamw_step",
    "backward",
    "backward3",
    "backward_deep",
    "backward_mse",
    "bound",
    "bug_hunt",
    "by_hand",
    "calibration_error",
    "cross_entropy",
    "diagnose",
    "evaluate",
    "fit_temperature",
    "forward",
    "hint",
    "hypotheses",
    "init_weights",
    "layer_backward",
    "lr_sweep",
    "mcnemar",
    "mlp",
    "momentum_step",
    "my_idea",
    "normalize",
    "numerical_gradient",
    "or_solution",
    "paired_interval",
    "progress",
    "read_autograd",
    "read_chart",
    "relu_grad",
    "seeded_loader",
    "sgd_step",
    "sigmoid",
    "sigmoid_grad",
    "softmax",
    "solution",
    "split",
    "suite_inputs",
    "tanh_slope",
    "test_suite",
    "to_tensors",
    "train_one_epoch",
    "train_step",
    "update_ratio",
    "variance",
    "wrong_rung",
]

_DAYS = (day29, day30, day31, day32, day33, day34, day35)
EXERCISES = {exercise.name: exercise for day in _DAYS for exercise in day.EXERCISES}


def solution(name):
    """Show a reference solution. Introduced on Day 29.

    Args:
        name: an exercise's name, such as "backward".

    Returns:
        A `Listing` of its source code; `.text` is the plain string.

    Raises:
        ValueError: if there is no such exercise.
    """
    source = inspect.getsource(getattr(solutions, _exercise(name).name))
    return Listing(source.rstrip())


def or_solution(*functions):
    """Return your functions, with a reference solution for each that does not pass. Introduced on Day 29.

    So the rest of a page computes with your code, and runs while exercises are still open. A
    function that is right for another form of the arguments, such as biases of shape (H,), is
    replaced as well.

    Args:
        functions: your answers to the exercises of the same names.

    Returns:
        A list of functions, in the same order. One printed line names the replaced ones.

    Raises:
        ValueError: if there is no such exercise.
    """
    given = progress_store.given_hints()
    result, replaced = [], []
    for function in functions:
        exercise = _exercise(getattr(function, "__name__", function))
        if not exercise(function) or not exercise.takes_the_probes(function):
            function = getattr(solutions, exercise.name)
            replaced.append(exercise.name)
        result.append(function)
    progress_store.set_given_hints(given)
    if replaced:
        print(f"The reference solutions are used for {', '.join(replaced)}.")
    return result


def hint(name):
    """Return the next hint, without another attempt. Introduced on Day 29.

    The hint is on the mistake that the last check named, or on the exercise itself.

    Args:
        name: an exercise's name, such as "backward".

    Raises:
        ValueError: if there is no such exercise.
    """
    return printable(_exercise(name).hint())


def progress():
    """Show which exercises have passed, now or in an earlier session. Introduced on Day 29."""
    passed = progress_store.passes()
    return Progress(
        {name: name in passed for name in EXERCISES},
        {name: exercise.day for name, exercise in EXERCISES.items()},
    )


def _exercise(name):
    """Return the exercise of that name; raise a ValueError that lists the names if there is none."""
    name = getattr(name, "name", name)  # checks.hint(checks.backward) works as well
    if name not in EXERCISES:
        raise ValueError(f"name must be one of {', '.join(EXERCISES)}; got {name!r}")
    return EXERCISES[name]
