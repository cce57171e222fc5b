"""The exercises of Day 34: the length of a step, a chart to read, and *Diagnose this run*."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from nnweek.checks import faulty_runs, progress_store, sandbox
from nnweek.checks.exercise import Exercise, Mistake, Probe, Question
from nnweek.checks.steps import identity


def _update_ratio(
    before,
    after,
    *,
    size=np.linalg.norm,
    moved=lambda size, before, after: size(after - before),
    reference=lambda size, before, after: size(before),
    compared=np.divide,
    power=identity,
    scale=identity,
    finish=identity,
):
    ratio = compared(moved(size, before, after), reference(size, before, after))
    return finish(scale(power(ratio)))


def _update_ratio_probes():
    rng = np.random.default_rng(40)
    # Matrices, because some write loops over rows. They grow, shrink and grow.
    for shape, growth in (((6, 4), 0.1), ((3, 7), -0.2), ((5, 2), 0.05)):
        before = rng.normal(0.5, 1, shape)
        after = (1 + growth) * before + rng.normal(0.03, 0.1, shape)
        yield Probe((before, after), {"shape": shape})


def _measured(size):
    """Return variants with another size: of both arrays, or only of the change or of the weights."""
    return (
        {"size": size},
        {"moved": lambda _, before, after: size(after - before)},
        {"reference": lambda _, before, after: size(before)},
    )


def _norm(order):
    """Return another norm than the root of the sum of squares."""
    return lambda x: np.linalg.norm(x, order)


# The two lines of the reference solution.
_CHANGE = "np.linalg.norm(after - before)"
_RATIO = "change / np.linalg.norm(before)"
_LOGARITHM = Mistake(
    "log10",
    "This is the logarithm of the ratio. It is handy for a plot, but the exercise asks for the ratio "
    "itself.",
    "A ratio of two lengths cannot be negative. Is yours?",
    "Return the ratio; take its logarithm when you plot it.",
    variants=({"finish": np.log10},),
    slip=(_RATIO, f"np.log10({_RATIO})"),
)
update_ratio = Exercise(
    name="update_ratio",
    day=34,
    signature="update_ratio(before, after)",
    task="returns the norm of the change of the weights, divided by the norm of the weights "
    "before it, a number",
    right=_update_ratio,
    outputs=("the ratio",),
    probes=_update_ratio_probes,
    mistakes=(
        Mistake(
            "not-a-ratio",
            "This is the length of the step. Whether that is large depends on the size of the "
            "weights.",
            "A step of length 1 is tiny for weights of norm 1,000. What is it compared with?",
            "Divide by the norm of the weights before the step.",
            variants=(
                {"reference": lambda size, before, after: 1},
                {
                    "size": lambda x: np.sqrt((x**2).mean()),
                    "reference": lambda size, before, after: 1,
                },
            ),
            slip=(_RATIO, "change"),
        ),
        Mistake(
            "upside-down",
            "The weights are divided by the change: a small step gives a large number.",
            "A step of 0 should give 0. What does yours give?",
            "The change is the numerator, the weights are the denominator.",
            variants=({"compared": lambda change, weights: weights / change},),
            slip=(_RATIO, "np.linalg.norm(before) / change"),
        ),
        Mistake(
            "difference-of-norms",
            "The two norms are compared, not the weights. A step that only rotates the weights "
            "does not change their norm, however long it is.",
            "Weights that go from (1, 0) to (0, 1) have moved. What does your function return?",
            "Subtract first, then take the norm.",
            variants=(
                {"moved": lambda size, before, after: size(after) - size(before)},
                {"moved": lambda size, before, after: size(before) - size(after)},
                {"moved": lambda size, before, after: abs(size(after) - size(before))},
            ),
            slip=(
                "np.linalg.norm(after - before)",
                "abs(np.linalg.norm(after) - np.linalg.norm(before))",
            ),
        ),
        Mistake(
            "no-root",
            "A root is missing: a sum of squares is in a place where a norm should be.",
            "Which of the two has the unit of a weight: a sum of squares, or its root?",
            "The norm is the root of the sum of squares; `np.linalg.norm` takes it.",
            variants=(
                {"power": np.square},
                {"size": lambda x: (x**2).sum()},
                {"compared": lambda change, weights: change**2 / weights},
                {"compared": lambda change, weights: change / weights**2},
            ),
            slip=(_CHANGE, "np.sum((after - before) ** 2)"),
        ),
        Mistake(
            "divided-by-after",
            "The change was divided by the norm of the weights after the step. A step from small "
            "weights to large ones then looks short.",
            "If a step makes the weights a thousand times as large, what does your function return?",
            "The denominator is the norm of `before`. Does your `def` line read `(before, after)`?",
            variants=({"reference": lambda size, before, after: size(after)},),
            slip=("/ np.linalg.norm(before)", "/ np.linalg.norm(after)"),
        ),
        Mistake(
            "norm-ratio",
            "Both norms are in the denominator, as in Day 29's comparison of two gradients. There, "
            "neither of the two came first; here, `before` is what the step is compared with.",
            "If the weights were 0 after the step, how far would they have moved, compared with what "
            "they were? What does your function return?",
            "Divide by the norm of `before` only.",
            variants=tuple(
                {
                    "reference": lambda size, before, after, both=both: both(
                        size(before), size(after)
                    )
                }
                for both in (np.add, np.maximum, np.multiply, lambda a, b: (a + b) / 2)
            ),
            slip=("/ np.linalg.norm(before)", "/ (np.linalg.norm(before) + np.linalg.norm(after))"),
        ),
        Mistake(
            "spectral-norm",
            "For a matrix, `np.linalg.norm(x, 2)` is the spectral norm, which is the largest singular "
            "value, not the root of the sum of squares. Only for a vector are they the same.",
            "Which norm does your function take of a matrix, and what does it take of a vector?",
            "Leave out the second argument of the norm, or flatten the array before.",
            variants=_measured(_norm(2)),
            slip=(_CHANGE, "np.linalg.norm(after - before, 2)"),
        ),
        Mistake(
            "mean-absolute",
            "Absolute values were added or averaged. The norm squares the entries first, so the large "
            "ones count for more.",
            "Is the norm of (3, 4) seven, or five?",
            "The norm is the root of the sum of squares; `np.linalg.norm` takes it.",
            variants=(
                *_measured(lambda x: np.abs(x).mean()),
                *_measured(lambda x: np.abs(x).sum()),
            ),
            slip=(_CHANGE, "np.abs(after - before).sum()"),
        ),
        Mistake(
            "std-ratio",
            "Standard deviations were compared. They do not see the mean: a step that adds the same "
            "number to every weight would count as no step.",
            "If every weight grows by 1, what is the standard deviation of the change?",
            "Take norms, which do not subtract a mean.",
            variants=_measured(np.std),
            slip=(_CHANGE, "(after - before).std()"),
        ),
        Mistake(
            "percent",
            "This is the ratio in percent, a hundred times the ratio.",
            "A step as long as the weights themselves should give 1. What does yours give?",
            "Leave out the factor 100.",
            variants=({"scale": lambda ratio: 100 * ratio},),
            slip=(_RATIO, "100 * " + _RATIO),
        ),
        _LOGARITHM,
        replace(
            _LOGARITHM,
            id="wrong",
            variants=({"finish": np.log},),
            slip=(_RATIO, f"np.log({_RATIO})"),
        ),
        Mistake(
            "mean-of-ratios",
            "Each weight's change was divided by that weight, and the results were averaged. The "
            "weights near 0 then dominate the mean.",
            "A weight of 0.000001 that moves by 0.01: how much does it add to your mean?",
            "First two norms over the entire array, then one division.",
            variants=tuple(
                {
                    "moved": lambda size, b, a, sign=sign: sign((a - b) / b).mean(),
                    "reference": lambda size, before, after: 1,
                }
                for sign in (identity, np.abs)
            ),
            slip=(_RATIO, "np.abs((after - before) / before).mean()"),
        ),
        Mistake(
            "wrong",
            "The two norms were divided, and nothing was subtracted: this is how much longer the "
            "weights became.",
            "A step of 0 should give 0. What does yours give?",
            "The numerator is the norm of the change, `after - before`.",
            variants=(
                {
                    "moved": lambda size, before, after: size(after),
                    # Said again, so that no other mistake in the denominator is added to it.
                    "reference": lambda size, before, after: size(before),
                },
                {
                    "moved": lambda size, before, after: size(before),
                    "reference": lambda size, before, after: size(after),
                },
            ),
            slip=("after - before", "after"),
        ),
        Mistake(
            "wrong",
            "Not all of the difference was divided: a division comes before a subtraction.",
            "In which order does Python compute `a - b / c`?",
            "Subtract inside the brackets of the norm, and divide the norm of the difference.",
            variants=tuple(
                {"moved": moved, "reference": lambda size, before, after: 1}
                for moved in (
                    lambda size, before, after: size(after) - 1,
                    lambda size, before, after: size(after - 1),
                    lambda size, before, after: size(after - before / size(before)),
                )
            ),
            slip=(
                _RATIO,
                "np.linalg.norm(after) - np.linalg.norm(before) / np.linalg.norm(before)",
            ),
        ),
        Mistake(
            "wrong",
            "The ratio was rounded.",
            "A typical step has a ratio of about 0.001. What is left of that after your rounding?",
            "Return the ratio as it is, and round it when you print it.",
            variants=tuple(
                # A 0 may have any reason, so it does not show a rounding.
                {"finish": lambda ratio, digits=digits: np.round(ratio, digits) or np.nan}
                for digits in (2, 3, 4)
            ),
            slip=(_RATIO, f"round({_RATIO}, 3)"),
        ),
        Mistake(
            "wrong",
            "The sizes were measured by a different norm than the exercise's, which is the root of the "
            "sum of all squares.",
            "Which norm of an array does your function take?",
            "`np.linalg.norm(array)` without a second argument is the root of the sum of all squares.",
            variants=(
                *(each for order in (1, np.inf, "nuc") for each in _measured(_norm(order))),
                *_measured(lambda x: np.abs(x).max()),
            ),
            slip=(_CHANGE, "np.abs(after - before).max()"),
        ),
    ),
    hints=(
        "Three steps: subtract, take two norms, divide.",
        "`np.linalg.norm(array)` is the root of the sum of all squares of an array of any shape.",
    ),
)


# What a cause would look like: for a wrong answer, to compare with the curves.
_LOOKS_LIKE = {
    "dead-at-start": "no gradient would reach any weight, not even in the first step",
    "healthy": "both losses would fall and stay together, and no other curve would look odd",
    "labels-shuffled": "the training images would be memorised, and validation would stay at "
    "guessing",
    "learning-rate-too-high": "the first step would be about as long as the weights themselves, "
    "and the loss would shoot up before it falls",
    "learning-rate-too-low": "every step would be tiny compared with the weights, and the loss "
    "would creep down in nearly a straight line",
    "no-shuffle": "the batch's loss would rise and fall with the class in the batch",
    "overfitting": "training accuracy would reach its maximum, while the validation loss would "
    "first fall and then rise, with a validation accuracy well above guessing",
    "relu-on-logits": "some class would never be predicted, and training and validation would "
    "stop together at the same height",
}

# Hints on a run with that cause, from general to direct.
_RUN_HINTS = {
    "dead-at-start": (
        "Look at `train/Gradient/layer 1` and `val/Dead units`, at step 0.",
        "What is the gradient of a unit that is 0 for every image? What can change, then?",
    ),
    "healthy": (
        "Go through its curves one by one: does any of them look odd?",
        "Each fault shows in at least one curve. Compare this run's losses, `val/Dead units` and "
        "`val/Predicted/rarest` with those of the other runs: where does it show?",
    ),
    "labels-shuffled": (
        "Compare `val/Accuracy` with `train/Accuracy`. What would guessing give?",
        "What it learnt works only on the images that it has seen. What must be wrong with the data "
        "it learnt from?",
    ),
    "learning-rate-too-high": (
        "Look at `train/Update ratio/layer 1` at step 0, and at the first twenty values of `train/Batch loss`.",
        "A step as long as the weights wipes them out. What sets the length of a step?",
    ),
    "learning-rate-too-low": (
        "Look at `train/Update ratio/layer 1` and compare it with the other runs.",
        "The gradient is there and its direction is right. What keeps the steps so short?",
    ),
    "no-shuffle": (
        "Look at `train/Batch loss` closely: does it go up and down at random, or in a pattern?",
        "Between two jumps the batch's loss falls to almost 0, and `val/Predicted/commonest` moves with "
        "it. What may the images between two jumps have in common?",
    ),
    "overfitting": (
        "Find the lowest point of `val/Loss`. What does `train/Accuracy` do from there on?",
        "Validation is well above guessing, so the network learnt something true, and early. What "
        "is left to learn from a few images that it has seen many times?",
    ),
    "relu-on-logits": (
        "Look at `val/Predicted/rarest`, from its first value to its last.",
        "Training and validation are equally bad, so new images are not the problem. What could "
        "prevent a class from ever having the largest logit?",
    ),
}


class _Diagnosis(Question):
    """A `Question` that counts the right causes, and points at the next run to look at."""

    def _judged(self, answers=None):
        with sandbox.undisturbed():
            mistake, lines, hints = self.judge(answers)
        if mistake is None:
            return self._verdict(None, "")
        if mistake == "not-attempted":
            lines = [self._your_turn()]
        key = mistake, *lines[1:]
        hint = progress_store.next_hint(self.name, key, hints or self.hints)
        return self._verdict(mistake, "\n".join([*lines, hint]))


def _judge(answers):
    """Return (mistake or None, lines, hints)."""
    if answers is None or answers is Ellipsis:
        return "not-attempted", [], ()
    if not isinstance(answers, Mapping):
        line = (
            "The answer should be a dictionary {run: cause}, such as "
            f'{{"{faulty_runs.RUNS[0]}": "healthy"}}, but its type is {type(answers).__name__}.'
        )
        return "wrong-type", [line], ()
    filled = {
        _spelled(str(key), faulty_runs.CAUSES): _spelled(str(value), faulty_runs.RUNS)
        for key, value in answers.items()
    }
    if (
        filled
        and filled.keys() <= set(faulty_runs.CAUSES)
        and set(filled.values()) & set(faulty_runs.RUNS)
    ):
        hint = (
            f'Each run is a key, and its cause the value: {{"{faulty_runs.RUNS[0]}": "healthy"}}.'
        )
        return "wrong", ["Your dictionary is the other way round."], (hint,)
    given, lines = {}, []
    for run, cause in answers.items():
        if cause is None or cause is Ellipsis or (isinstance(cause, str) and not cause.strip()):
            continue
        folder = str(run).replace("\\", "/").rstrip("/").rpartition("/")[2]
        name = _spelled(folder, faulty_runs.RUNS)
        if name not in faulty_runs.RUNS:
            lines.append(f"There is no run `{run}`{_suggestion(name, faulty_runs.RUNS)}")
            continue
        if not isinstance(cause, str):
            line = f"The cause of `{name}` should be a string, but its type is "
            return "wrong-type", [f"{line}{type(cause).__name__}."], ()
        given[name] = _spelled(cause, faulty_runs.CAUSES)
        if given[name] not in faulty_runs.CAUSES:
            lines.append(
                f"`{cause}` is not on the list of causes{_suggestion(given[name], faulty_runs.CAUSES)}"
            )
    if not given and not lines:
        return "not-attempted", [], ()

    truth = faulty_runs.true_causes()
    wrong = [run for run in truth if run in given and given[run] != truth[run]]
    open_ = [run for run in truth if run not in given]
    right = len(truth) - len(wrong) - len(open_)
    if right == len(truth) and not lines:
        return None, [], ()
    count = f"{right} of {len(truth)} right" + (
        f", {len(open_)} not answered yet." if open_ else "."
    )
    for cause in faulty_runs.CAUSES:
        twice = [run for run in truth if given.get(run) == cause]
        if len(twice) > 1:
            often = "twice" if len(twice) == 2 else f"{len(twice)} times"
            lines.append(f"You gave `{cause}` {often}; each cause occurs once.")
    if wrong:
        run = wrong[0]
        lines.append(f"Look at `{run}` next.")
        if given[run] in _LOOKS_LIKE:
            lines[-1] += f" If it were `{given[run]}`, {_LOOKS_LIKE[given[run]]}. Is that so?"
    elif open_:
        run = open_[0]
        praise = "" if lines else "Your answers so far are right. "
        lines.append(f"{praise}Look at `{run}` next.")
    else:
        return (
            "wrong",
            [count, *lines],
            ("All eight causes are right; correct the names that are not on the list.",),
        )
    return "wrong", [count, *lines], _RUN_HINTS[truth[run]]


def _spelled(name, names):
    """Return the one of `names` that has the same letters, or `name` unchanged."""
    letters = {re.sub(r"[^a-z]", "", known): known for known in names}
    return letters.get(re.sub(r"[^a-z]", "", name.lower()), name)


def _suggestion(name, names):
    """Suggest the most similar name, or list them all."""
    near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    return f"; did you mean `{near[0]}`?" if near else f". They are: {', '.join(names)}."


diagnose = _Diagnosis(
    name="diagnose",
    day=34,
    signature="diagnose(answers)",
    task="takes a dictionary {run: cause} with one of the eight causes for each of the eight runs",
    judge=_judge,
    mistakes=(),
    hints=(
        "Begin with the run that differs most from the others, and with the curves at step 0.",
        "Three questions tell the runs apart: does the training loss fall? Does the validation loss "
        "follow it? And if both stop, is every class still predicted?",
    ),
)

_CHART_CAUSES = ("bad-batch", "learning-rate-too-high", "no-shuffle", "overfitting")
_NEAR = 10  # steps: as exactly as the axis of a chart can be read


def _judge_chart(answers):
    """Return None, or (id, what the answer shows)."""
    if not isinstance(answers, Mapping):
        return "wrong-type", (
            'The answer should be a dictionary such as {"step": 100, "cause": "overfitting"}, but its '
            f"type is {type(answers).__name__}."
        )
    missing = [f"`{key}`" for key in ("step", "cause") if key not in answers]
    if missing:
        return "wrong-type", f"The dictionary has no {' and no '.join(missing)}."
    step, cause = answers["step"], answers["cause"]
    if not isinstance(step, (int, float, np.number)) or isinstance(step, bool):
        return "wrong-type", f"`step` should be a number, but its type is {type(step).__name__}."
    if not isinstance(cause, str):
        return "wrong-type", f"`cause` should be a string, but its type is {type(cause).__name__}."
    distance = abs(step - faulty_runs.SPOILED_STEP)
    if not distance <= _NEAR:  # also if it is NaN
        found = f"You gave step {step:g}."
        if step <= 2 * faulty_runs.EVERY:
            return "start-of-the-run", found
        if step > faulty_runs.STEPS:
            return "off-the-axis", found
        if distance <= 5 * _NEAR:
            return "nearby", found
        return "wrong", f"{found} The loss of that batch is like those before and after it."
    known = _spelled(cause, _CHART_CAUSES)
    if known not in _CHART_CAUSES:
        return "wrong", f"`{cause}` is not on the list of causes{_suggestion(known, _CHART_CAUSES)}"
    return None if known == "bad-batch" else (known, f"Step {step:g} is right.")


class _Reading(Question):
    """A `Question` whose answer may also be a function that returns it, as in the solution."""

    def _judged(self, answers=None):
        return super()._judged(answers() if callable(answers) else answers)


read_chart = _Reading(
    name="read_chart",
    day=34,
    signature="read_chart(answers)",
    task='takes a dictionary with the keys "step" (at which the loss leaps) and "cause" (one of '
    f"{', '.join(_CHART_CAUSES)})",
    judge=_judge_chart,
    mistakes=(
        Mistake(
            "start-of-the-run",
            "There the network has hardly learnt anything, so every run has a high loss. The leap "
            "comes later, when the loss is already low.",
            "Is *Ignore outliers in chart scaling* off, and the smoothing 0? Does one point later "
            "in the run then stand above all others?",
            "Look for the highest point of `Batch loss` in the second half of the run.",
        ),
        Mistake(
            "off-the-axis",
            "The run has fewer steps than that.",
            "What does the x-axis of the chart show: *Step*, *Relative* or *Wall*?",
            "Set *Horizontal Axis* to *Step*, and read the axis below the leap.",
        ),
        Mistake(
            "nearby",
            "That is close, but more than ten steps away from the leap.",
            "Are you reading the chart of `Batch loss`, which has a point for every step? `Loss` has "
            "one every twenty steps.",
            "Drag the mouse across the leap to enlarge that part of the chart; point at it, and "
            "TensorBoard shows the step.",
        ),
        Mistake(
            "learning-rate-too-high",
            "Steps that are too long would damage the network, so the batches after the leap would be "
            "bad as well, and so would the validation loss.",
            "How high is the loss of the next batch? And `Loss` of `oak/val`, at the next point?",
            "The loss of a batch is computed before the step on it. So what is unusual at the leap: "
            "the network, or the batch?",
        ),
        Mistake(
            "no-shuffle",
            "Without shuffling, the loss would leap whenever the next class begins, again and again.",
            "How many leaps are there in the run?",
            "There is one. What happened once, and only in that step?",
        ),
        Mistake(
            "overfitting",
            "Overfitting comes on slowly, and shows in the validation loss while the training loss "
            "falls.",
            "Does the validation loss turn? And how many steps does the leap last?",
            "It lasts one step and is in the training loss. What is different in every step?",
        ),
    ),
    hints=(
        "Set the smoothing to 0 and switch *Ignore outliers in chart scaling* off: what appears in "
        "`Batch loss`?",
        "For the cause, compare the leap with what follows: is the next batch bad, too? Did the "
        "validation loss change?",
    ),
)

EXERCISES = (update_ratio, read_chart, diagnose)
