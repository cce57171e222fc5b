"""The exercises of Day 34: how far a step went, and *Diagnose this run*."""

import difflib
import re
from collections.abc import Mapping

import numpy as np

from nnweek.checks import faulty_runs, progress_store, sandbox
from nnweek.checks.exercise import Exercise, Mistake, Probe, Question

# --- update_ratio --------------------------------------------------------------------------------


def _update_ratio(
    before,
    after,
    *,
    change=np.subtract,
    size=np.linalg.norm,
    compared=np.divide,
):
    return compared(size(change(after, before)), size(before))


def _update_ratio_probes():
    rng = np.random.default_rng(40)
    for shape in ((6, 4), (5,), (3, 7)):
        before = rng.normal(0.2, 1, shape)
        yield Probe((before, before + rng.normal(0.03, 0.2, shape)), {"shape": shape})


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
            "This is how long the step was. Whether that is much depends on how large the "
            "weights are.",
            (
                "A step of length 1 is nothing for weights of norm 1,000. What is it compared with?",
                "Divide by the norm of the weights before the step.",
            ),
            variants=({"compared": lambda change, weights: change},),
        ),
        Mistake(
            "upside-down",
            "The weights are divided by the change: a small step gives a large number.",
            (
                "A step of 0 should give 0. What does yours give?",
                "The change is above the line, the weights are below.",
            ),
            variants=({"compared": lambda change, weights: weights / change},),
        ),
        Mistake(
            "difference-of-norms",
            "The two norms are compared, not the weights. A step that only turns the weights "
            "leaves their norm as it was, however far it went.",
            (
                "Weights that go from (1, 0) to (0, 1) have moved. What does yours say?",
                "Subtract first, then take the norm.",
            ),
            variants=(
                {"change": lambda after, before: np.linalg.norm(after) - np.linalg.norm(before)},
                {
                    "change": lambda after, before: np.linalg.norm(before) - np.linalg.norm(after),
                    "size": lambda x: x if np.ndim(x) == 0 else np.linalg.norm(x),
                },
                {
                    "change": lambda after, before: np.linalg.norm(after) - np.linalg.norm(before),
                    "size": lambda x: x if np.ndim(x) == 0 else np.linalg.norm(x),
                },
            ),
        ),
        Mistake(
            "no-root",
            "The squares were added up and divided, without the root: this is the square of "
            "the ratio.",
            (
                "What has the unit of a weight: a sum of squares, or its root?",
                "The norm is the root of the sum of squares; `np.linalg.norm` takes it.",
            ),
            variants=({"size": lambda x: (np.asarray(x) ** 2).sum()},),
        ),
        Mistake(
            "mean-of-ratios",
            "Each weight's change was divided by that weight and the results were averaged. "
            "Weights near 0 then decide alone.",
            (
                "A weight of 0.000001 that moves by 0.01: how much does it add to your mean?",
                "Two norms over the whole array first, one division at the end.",
            ),
            variants=(
                {"compared": lambda c, w: c, "change": lambda a, b: (a - b) / b,
                 "size": lambda x: np.abs(x).mean()},
                {"compared": lambda c, w: c, "change": lambda a, b: (a - b) / b,
                 "size": np.mean},
            ),
        ),
    ),
    hints=(
        "Three steps: subtract, take two norms, divide.",
        "`np.linalg.norm(array)` is the root of the sum of all squares of an array of any shape.",
    ),
)  # fmt: skip


# --- diagnose ------------------------------------------------------------------------------------

# What a cause would look like: said of an answer that is wrong, to compare with the curves.
_WOULD_BE = {
    "dead-at-start": "no gradient would reach any weight, not even in the first step",
    "healthy": "both losses would fall and stay together, and no other curve would look odd",
    "labels-shuffled": "the training images would be learnt, and validation would be guessing "
    "to the end",
    "learning-rate-too-high": "the first step would be about as long as the weights themselves, "
    "and the loss would shoot up before it falls",
    "learning-rate-too-low": "every step would be tiny beside the weights, and the loss would "
    "creep down in nearly a straight line",
    "no-shuffle": "the batch's loss would rise and fall with the class that is being shown",
    "overfitting": "training would reach its best, and the validation loss would turn and rise, "
    "with a validation accuracy well above guessing",
    "relu-on-logits": "some class would never be predicted, and training and validation would "
    "stop together at the same height",
}

# Where to look in a run that has a cause, from general to direct.
_LOOK = {
    "dead-at-start": (
        "Look at `Gradient/layer 1` and `Dead units`, at step 0.",
        "What is the gradient of a unit that is 0 for every image? What can change, then?",
    ),
    "healthy": (
        "Go through its curves one after the other: does any of them look odd?",
        "Each fault leaves a mark in at least one curve. Compare this run's losses, `Dead units` "
        "and `Predicted/rarest` with those of the other runs: where is its mark?",
    ),
    "labels-shuffled": (
        "Look at `Accuracy/val` beside `Accuracy/train`. What would guessing give?",
        "What it learnt holds for the images that it has seen, and for no others, not a bit. What "
        "must be wrong with the lesson?",
    ),
    "learning-rate-too-high": (
        "Look at `Update ratio/layer 1` at step 0, and at the first twenty values of `Loss/step`.",
        "A step as long as the weights leaves nothing of them. What sets the length of a step?",
    ),
    "learning-rate-too-low": (
        "Look at `Update ratio/layer 1` and compare it with the other runs.",
        "The direction is right and the gradient is there. Then what keeps the steps so short?",
    ),
    "no-shuffle": (
        "Look at `Loss/step` closely: does it go up and down at random, or in a pattern?",
        "Between two jumps the loss of the batch falls to almost nothing, and `Predicted/commonest` "
        "moves with it. What may the images of one such stretch have in common?",
    ),
    "overfitting": (
        "Find the lowest point of `Loss/val`. What does `Accuracy/train` do from there on?",
        "Validation is well above guessing, so something true was learnt, and early. What is left "
        "to learn from a few images that have been seen many times?",
    ),
    "relu-on-logits": (
        "Look at `Predicted/rarest`, from its first value to its last.",
        "Training and validation are equally far from good, so it is nothing about new images. "
        "What could keep a class from ever having the largest logit?",
    ),
}


class _Diagnosis(Question):
    """A `Question` that counts what is right, and points at the next run."""

    def __call__(self, answers=None):
        with sandbox.undisturbed():
            mistake, lines, hints = self.judge(answers)
        if mistake is None:
            return self._verdict(None, "")
        if mistake == "not-attempted":
            lines = [f"Your turn: `{self.signature}` {self.task}."]
        key = mistake, *lines[1:]
        lines = [*lines, progress_store.next_hint(self.name, key, hints or self.hints)]
        return self._verdict(mistake, "\n".join(lines))


def _judge(answers):
    """Return (mistake or None, lines, hints)."""
    if answers is None or answers is Ellipsis:
        return "not-attempted", [], ()
    if not isinstance(answers, Mapping):
        return (
            "wrong-type",
            [
                "The answer should be a dictionary, {run: cause}, such as "
                f'{{"{faulty_runs.RUNS[0]}": "healthy"}}; it is of type {type(answers).__name__}.'
            ],
            (),
        )
    given, lines = {}, []
    for run, cause in answers.items():
        if cause is None or cause is Ellipsis or (isinstance(cause, str) and not cause.strip()):
            continue
        name = _known(str(run).replace("\\", "/").rstrip("/").rpartition("/")[2], faulty_runs.RUNS)
        if name not in faulty_runs.RUNS:
            lines.append(f"There is no run `{run}`{_meant(name, faulty_runs.RUNS)}")
            continue
        if not isinstance(cause, str):
            return (
                "wrong-type",
                [
                    f"The cause of `{name}` should be a string, it is of type {type(cause).__name__}."
                ],
                (),
            )
        given[name] = _known(cause, faulty_runs.CAUSES)
        if given[name] not in faulty_runs.CAUSES:
            lines.append(
                f"`{cause}` is not on the list of causes{_meant(given[name], faulty_runs.CAUSES)}"
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
            lines.append(f"`{cause}` stands {len(twice)} times; each cause was planted once.")
    if wrong:
        run = wrong[0]
        lines.append(f"Look at `{run}` next.")
        if given[run] in _WOULD_BE:
            lines[-1] += f" If it were `{given[run]}`, {_WOULD_BE[given[run]]}. Is that so?"
    elif open_:
        run = open_[0]
        praise = "" if lines else "What you gave is right. "
        lines.append(f"{praise}Look at `{run}` next.")
    else:
        return "wrong", [count, *lines], ("All eight runs have their cause; mend the names.",)
    return "wrong", [count, *lines], _LOOK[truth[run]]


def _known(name, names):
    """Return the one of `names` with the same letters, or `name` as it came."""
    letters = {re.sub(r"[^a-z]", "", known): known for known in names}
    return letters.get(re.sub(r"[^a-z]", "", name.lower()), name)


def _meant(name, names):
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
        "Three questions part the runs: does the training loss fall? Does the validation loss "
        "follow it? And if both stop, is every class still predicted?",
    ),
)

EXERCISES = (update_ratio, diagnose)
