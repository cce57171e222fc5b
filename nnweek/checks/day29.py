"""The exercises of Day 29: a two-layer network by hand.

Shapes, throughout: N examples, D features, H hidden units, C classes. The keyword-only
arguments of a right answer, such as `_softmax`, are the steps that its mistakes replace.
"""

import copy
import dataclasses
import functools
import itertools
from collections.abc import Mapping

import numpy as np

from nnweek.checks import progress_store
from nnweek.checks.comparing import as_numbers, close
from nnweek.checks.exercise import Exercise, Mistake, Probe
from nnweek.checks.forms import Form, is_open
from nnweek.checks.running import TrialRun
from nnweek.checks.steps import both_or_one, identity, one, zero
from nnweek.checks.wording import SOME_RIGHT, in_words, lines

_RATIO = "{agreement}. {output} came out {ratio} times as large as expected"
_BATCH_RATIO = _RATIO + ", and your batch has {N} rows."


_row_max, _column_max = (functools.partial(np.max, axis=i, keepdims=True) for i in (1, 0))
_row_sum, _column_sum = (functools.partial(np.sum, axis=i, keepdims=True) for i in (1, 0))


def _softmax(logits, *, shift=_row_max, total=_row_sum, finish=identity, rows=identity):
    exponentials = np.exp(logits - shift(logits))
    return rows(finish(exponentials / total(exponentials)))


def _softmax_probes():
    rng = np.random.default_rng(29)
    for N, C in ((5, 3), (3, 5), (4, 4)):
        yield Probe((2 * rng.standard_normal((N, C)),), {"N": N, "C": C})
    large = np.array([[1000.0, 999.0, 997.0], [998.0, 1000.0, 1000.0]])
    # Far apart within one row, so that nothing but the row's maximum works.
    wide = np.array([[0.0, 1000.0, -1000.0], [1000.0, 999.0, -1000.0]])
    rows_far_apart = np.array([[2000.0, 1999.0, 1998.0], [1.0, 0.0, 2.0]])
    for logits in (large, -large, wide):
        yield Probe((logits,), {"N": 2, "C": 3}, targets="no-max-subtraction")
    yield Probe((rows_far_apart,), {"N": 2, "C": 3}, targets="global-max")


def _first_row_only(observations):
    """Return whether the first row is right and the others were never filled.

    Such rows hold zeros, the exponentials, or whatever was in memory. A row that is a multiple
    of the right one, or another distribution, was computed, so it is another mistake.
    """
    for observation in observations:
        if observation.probe.targets:
            continue
        got, right = observation.outputs.get("probs"), observation.right["probs"]
        if got is None or got.shape != right.shape or not close(got[:1], right[:1]):
            return False
        sums = got[1:].sum(axis=1)
        if ((np.abs(sums) > 1e-6) & (got[1:] >= 0).all(axis=1) & (sums < 1.0001)).any():
            return False
    return True


def _equal_beyond_a_clip(observations):
    """Return whether only large scores are wrong, as finite rows in which some came out equal.

    A clip on one side only leaves large negative scores as they are, which then give 0/0.
    """
    failing = [o for o in observations if o.wrong]
    finite = [o for o in failing if not o.problem and np.isfinite(o.outputs["probs"]).all()]
    if not finite or any(o.is_ordinary for o in failing):
        return False
    for observation in finite:
        got, (logits,) = observation.outputs["probs"], observation.probe.args
        if got.shape != logits.shape or not close(got.sum(axis=1), np.ones(len(got))):
            return False
        pairs = zip(np.diff(got), np.diff(logits), strict=True)
        if not any((abs(g) < 1e-9)[np.abs(z) > 0].any() for g, z in pairs):
            return False
    return True


def _fixed_shift(observations):
    """Return whether ordinary scores give NaN in every row, and scores near 1000 the right rows.

    That is what a large number does if it is subtracted from all scores: all exponentials of
    ordinary scores underflow to 0.
    """
    ordinary = [o.outputs.get("probs") for o in observations if o.is_ordinary]
    near_1000 = [o for o in observations if o.probe.args[0].min() > 900]
    return all(got is not None and np.isnan(got).all() for got in ordinary) and not any(
        o.wrong for o in near_1000
    )


softmax = Exercise(
    name="softmax",
    day=29,
    signature="softmax(logits)",
    task="turns scores (N, C) into probabilities (N, C), row by row",
    right=_softmax,
    outputs=("probs",),
    probes=_softmax_probes,
    mistakes=(
        Mistake(
            "wrong-axis",
            "These are normalised over the batch: each column sums to 1, but each row should.",
            "Which axis of (N, C) runs over the classes of one example?",
            "The maximum and the sum both belong to one row. Check every `axis=`, and keep the "
            "summed axis so that the shapes broadcast.",
            variants=({"total": _column_sum, "shift": _column_max}, {"total": _column_sum}),
            slip=("exponentials.sum(axis=1, keepdims=True)", "exponentials.sum(axis=0)"),
        ),
        Mistake(
            "wrong-axis",
            "The maximum was taken over the batch, axis 0: one per class. Each row needs its own.",
            "How many maxima does your function subtract, and how many rows are there?",
            "Take the maximum over axis 1, and keep that axis so that the shapes broadcast.",
            variants=({"shift": _column_max},),
            slip=("logits.max(axis=1, keepdims=True)", "logits.max(axis=0)"),
        ),
        Mistake(
            "global-normalisation",
            "The sum runs over the entire array, so all rows together sum to 1.",
            "What should each row of the result sum to, and what does it sum to?",
            "A sum without an axis is one number for the entire batch. Each row needs its own.",
            variants=({"total": np.sum}, {"total": np.sum, "shift": np.max}),
            slip=("exponentials.sum(axis=1, keepdims=True)", "exponentials.sum()"),
        ),
        Mistake(
            "no-normalisation",
            "These are exponentials: they are positive, but they do not sum to 1.",
            "What is the second half of the softmax formula?",
            "Each exponential still has to be divided by the sum of its row.",
            variants=({"total": one}, {"total": one, "shift": zero}),
            slip=("exponentials / total", "exponentials"),
        ),
        Mistake(
            "log-softmax",
            "These are logarithms of probabilities, or their negatives: the rows do not sum to 1.",
            "What should each row sum to? What was done to the probabilities after that?",
            "Return the probabilities; the logarithm comes later, in the cross-entropy.",
            variants=({"finish": np.log}, {"finish": lambda p: -np.log(p)}),
            slip=("return exponentials / total", "return np.log(exponentials / total)"),
        ),
        Mistake(
            "first-row-only",
            "Only the first row came back as probabilities; the other rows are missing or were "
            "never filled.",
            "How many rows has the input? In which line does your function end?",
            "A `return` inside the loop ends the function after one row. It belongs after the "
            "loop, one level further to the left.",
            variants=({"rows": lambda p: p[:1]}, {"rows": lambda p: np.vstack([p[:1], 0 * p[1:]])}),
            detect=_first_row_only,
            slip=(
                "return exponentials / total",
                "for row in exponentials / total:\n        return row",
            ),
        ),
        Mistake(
            "no-max-subtraction",
            "The exponential of a large score overflows (or all exponentials of very negative "
            "scores underflow to 0), and the division then gives NaN.",
            "What is exp(1000) in floating point? Adding the same number to every score in a "
            "row does not change the softmax: which number would help?",
            "Subtract each row's maximum before you take the exponential, so that the largest "
            "one is exp(0).",
            variants=({"shift": zero},),
            slip=("np.exp(shifted)", "np.exp(logits)"),
        ),
        Mistake(
            "no-max-subtraction",
            "The scores were clipped: all scores beyond the clip come out equal. Cutting scores off "
            "changes their differences.",
            "What are the probabilities for scores of 1000 and 999, and what do you return?",
            "Shift the row instead: leave its differences as they are and subtract its maximum.",
            detect=_equal_beyond_a_clip,
            slip=(
                "np.exp(shifted)",
                "np.exp(np.clip(logits, -50, 50))",
            ),
        ),
        Mistake(
            "global-max",
            "One maximum was subtracted from the entire batch. In a row far below it, every "
            "exponential is 0, and 0/0 is NaN.",
            "If one row has scores near 2000 and another near 1, what is left of the second "
            "row after your subtraction?",
            "Each row needs its own maximum, kept as a column so that the shapes broadcast.",
            variants=({"shift": np.max},),
            slip=("logits.max(axis=1, keepdims=True)", "logits.max()"),
        ),
        Mistake(
            "wrong",
            "All exponentials of a row came out as 0, and 0/0 is NaN. Scores near 1000 come out right, "
            "so a fixed number seems to have been subtracted. A fixed shift fits some rows only.",
            "Which number fits each row?",
            "The largest score of the row: then its exponential is exp(0), and the sum is never 0.",
            detect=_fixed_shift,
            slip=("logits.max(axis=1, keepdims=True)", "1000"),
        ),
    ),
    hints=(
        "Work out one row by hand first: the exponentials, their sum, then the quotients.",
        "Over which axis do you sum, so that every row sums to 1? Does it work for scores of 1000?",
    ),
)


def _true_class(probs, y):
    return probs[np.arange(len(y)), y]


def _true_or_not(probs, y):
    """Return p for the true class and 1 − p for each other class."""
    return np.maximum(np.where(_one_hot(y, probs.shape[1]) > 0, probs, 1 - probs), 1e-12)


def _cross_entropy(
    probs,
    y,
    *,
    prepare=identity,
    floor=1e-12,
    pick=_true_class,
    log=np.log,
    reduce=np.mean,
    combine=lambda p, log, reduce: reduce(log(p)),
    classes=one,
    sign=-1,
):
    picked = pick(np.maximum(prepare(probs), floor), y)
    return sign * combine(picked, log, reduce) / classes(probs.shape[1])


def _cross_entropy_probes():
    rng = np.random.default_rng(30)
    # The first batch has no example of the last class.
    for (N, C), highest in (((7, 3), 2), ((6, 5), 5), ((5, 5), 5), ((6, 2), 2)):
        # Every probability is at least 0.02, where all ways to set a floor give the same loss.
        probs = 0.02 + rng.dirichlet(np.ones(C), size=N) * (1 - 0.02 * C)
        y = rng.integers(0, highest, size=N).astype(np.intp)  # an index, also in a browser
        yield Probe((probs, y), {"N": N, "C": C})
    # Nearly certain, so that the loss is small, and so is what may be rounded away.
    rest = rng.uniform(0.001, 0.004, size=(5, 1))
    y = np.array([1, 0, 3, 1, 2])
    probs = np.where(np.eye(4)[y], 1 - rest, rest / 3)
    yield Probe((probs, y), {"N": 5, "C": 4})
    # Certain and right: a product with one-hot labels computes 0 · log 0 here, which is NaN.
    certain = np.array([[0.0, 1.0, 0.0], [0.5, 0.25, 0.25]])
    yield Probe((certain, np.array([1, 0])), {"N": 2, "C": 3}, targets="log-of-zero")

    def has_a_small_floor(loss, _):
        loss_of_the_zero = 2 * float(loss) - np.log(4)
        return bool(15.9 <= loss_of_the_zero <= 1000)  # 15.94 is −log of float32's 1.2e-7

    yield Probe(
        (certain, np.array([0, 1])),
        {"N": 2, "C": 3, "true-class probabilities": "0 and 0.25"},
        targets="log-of-zero",
        accept=has_a_small_floor,
    )


def _loss_with_a_zero(observations):
    """Return the loss of two examples whose true classes have the probabilities 0 and ¼."""
    loss = observations[-1].outputs.get("the loss", np.zeros(0))
    return float(loss) if loss.shape == () and observations[-1].wrong else np.nan


def _large_floor(observations):
    return bool(2 < _loss_with_a_zero(observations) < 9)


def _drops_zeros(observations):
    """Return whether the example with probability 0 adds no loss, whether it is counted or not."""
    return bool(np.isclose(_loss_with_a_zero(observations), np.log([2, 4])).any())


cross_entropy = Exercise(
    name="cross_entropy",
    day=29,
    signature="cross_entropy(probs, y)",
    task="returns the mean over the batch of minus the log-probability of the true class",
    right=_cross_entropy,
    outputs=("the loss",),
    probes=_cross_entropy_probes,
    mistakes=(
        Mistake(
            "sign",
            "This is the mean log-probability itself, which is negative. A loss should become "
            "small as the network improves.",
            "Probabilities are below 1: what is the sign of their logarithm?",
            "A loss of 0 means certainty about the right class, and every other loss is above "
            "0. One minus sign is missing.",
            variants=({"sign": 1},),
            slip=("return -logs.mean()", "return logs.mean()"),
        ),
        Mistake(
            "all-classes",
            "The loss uses the logarithms of all classes, not only that of the true class.",
            "Of the C probabilities in a row, how many does the loss of that example use?",
            "From row n, take only the probability of class y[n].",
            variants=({"pick": lambda p, y: p}, {"pick": lambda p, y: p.prod(axis=1)}),
            slip=("probs[np.arange(len(y)), y]", "probs"),
        ),
        Mistake(
            "indexes-columns",
            "Indexing with `:` and the labels takes entire columns: N numbers for each label, from "
            "all rows, not one number from each row.",
            "What is the shape of the array that you pick with the labels? Which shape should it "
            "have?",
            "Pair each row with its label: the row indices 0, 1, …, N − 1 belong in front of y.",
            variants=(
                {"pick": lambda p, y: p[:, y]},
                {"pick": lambda p, y: p[:, y].prod(axis=1)},  # the sum of its logarithms
            ),
            slip=("probs[np.arange(len(y)), y]", "probs[:, y]"),
        ),
        Mistake(
            "wrong",
            "These are entire rows, chosen by label; you need one number from every row.",
            "What is the shape of the array that you pick with the labels? Which shape should it "
            "have?",
            "Pair each row with its label: the row indices 0, 1, …, N − 1 belong in front of y.",
            variants=(
                {"pick": lambda p, y: p[y]},
                {"pick": lambda p, y: p[y].prod(axis=1)},  # the sum of its logarithms
            ),
            slip=("probs[np.arange(len(y)), y]", "probs[y]"),
        ),
        Mistake(
            "softmax-again",
            "A softmax was applied to what are probabilities already. That makes them nearly "
            "equal, and the loss can no longer come near 0.",
            "What does each row of `probs` sum to before your function does anything?",
            "`probs` are the output of a softmax: use them as they are. Library functions that "
            "expect scores apply a softmax of their own.",
            variants=({"prepare": _softmax},),
            slip=("probs[np.arange(len(y)), y]", "softmax(probs)[np.arange(len(y)), y]"),
        ),
        Mistake(
            "log-of-mean",
            "The logarithm was taken once, of the average (or the sum) of the probabilities. The "
            "loss is the average of the logarithms.",
            "How many logarithms does your function take, and how many examples are there?",
            "Each example has a loss of its own. Take the logarithm first, then the average.",
            variants=(
                {"combine": lambda p, log, reduce: log(reduce(p))},
                {"combine": lambda p, log, reduce: log(p.sum()) / len(p)},
            ),
            slip=("return -logs.mean()", "return -np.log(of_true_class.mean())"),
        ),
        Mistake(
            "last-example-only",
            "Only the last example counts.",
            "What happens to the loss of the first example when the loop comes to the second?",
            "Start the total at 0 before the loop, and let every example add its loss to it.",
            variants=(
                {"reduce": lambda logs: np.mean(logs[-1])},
                {"reduce": lambda logs: np.mean(logs[-1]) / len(logs)},
            ),
            slip=(
                "return -logs.mean()",
                "for n in range(len(y)):\n        loss = -logs[n]\n    return loss",
            ),
        ),
        Mistake(
            "sum-not-mean",
            "This is the sum over the batch: it grows with the number of examples.",
            "Would a batch twice as large have a loss twice as large? Should it?",
            "Average over the N examples.",
            variants=({"reduce": np.sum},),
            finding="{first} That is {ratio} times as large, and the batch has {N} rows.",
            slip=("logs.mean()", "logs.sum()"),
        ),
        Mistake(
            "mean-over-classes",
            "The average was taken over N·C numbers, but only N of them are losses.",
            "How many examples are in the batch, and what did you divide by?",
            "Divide by N only: each example contributes one number.",
            variants=({"classes": identity},),
            finding="{first} That is {ratio} times as large, and there are {C} classes.",
            slip=("logs.mean()", "logs.sum() / probs.size"),
        ),
        Mistake(
            "log-base",
            "The logarithm has a different base: the loss is in bits or in decimal digits.",
            "Which logarithm has the derivative 1/p?",
            "This course measures the cross-entropy in nats: use the natural logarithm.",
            variants=({"log": np.log2}, {"log": np.log10}),
            finding="{first} That is {ratio} times as large; 1/ln 2 is 1.4427, and 1/ln 10 is 0.4343.",
            slip=("np.log(", "np.log2("),
        ),
        Mistake(
            "mean-over-classes",
            "The sum was divided by the number of classes, not by the number of examples: that is "
            "a factor of N/C.",
            "How many losses do you add up, and what did you divide by?",
            "Divide by N, the number of rows.",
            variants=({"reduce": np.sum, "classes": identity},),
            finding="{first} That is {ratio} times as large, for {N} rows and {C} classes.",
            slip=("logs.mean()", "logs.sum() / probs.shape[1]"),
        ),
        Mistake(
            "wrong",
            "This is the binary cross-entropy: a yes or no for each class, with log(1 − p) for the "
            "classes that are not the true one. The softmax has already tied the classes together.",
            "Of the C probabilities in a row, how many does the loss of that example use?",
            "From row n, take only the probability of class y[n]; there is no second term.",
            variants=(
                {
                    "pick": lambda p, y: _true_or_not(p, y),
                    "reduce": lambda logs: logs.sum() / len(logs),
                },
                {"pick": lambda p, y: _true_or_not(p, y)},
            ),
        ),
        Mistake(
            "log-of-zero",
            "A network may give the true class a probability that rounds to 0, and the logarithm "
            "of 0 is minus infinity.",
            "What should the loss of a confident wrong answer be: large, or infinite?",
            "Put a small floor, 1e-7 or less, under the probabilities before the logarithm.",
            variants=({"floor": 0.0},),
            finding="With a probability of exactly 0 in the batch, the loss is {got}. {problem}",
            slip=("np.maximum(of_true_class, 1e-12)", "of_true_class"),
        ),
        Mistake(
            "log-of-zero",
            "The floor is too large: if the true class has the probability 0, the loss should be at "
            "least −log 1e-7, about 16.",
            "How large is minus the logarithm of your floor?",
            "Use a floor of 1e-7 or less. It only has to keep the logarithm finite.",
            variants=tuple(
                {"prepare": lambda p, c=c: p + c} for c in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
            ),
            detect=_large_floor,
            slip=("1e-12", "1e-3"),
        ),
        Mistake(
            "log-of-zero",
            "The example whose true class has the probability 0 adds nothing to your loss, but it is "
            "the worst of all.",
            "What should the loss of a confident wrong answer be: large, or 0?",
            "Do not leave out or replace the logarithm of 0: put a floor of 1e-7 or less under the "
            "probability.",
            detect=_drops_zeros,
            slip=(
                "np.log(np.maximum(of_true_class, 1e-12))",
                "np.log(of_true_class[of_true_class > 0])",
            ),
        ),
        Mistake(
            "wrong",
            "Only the first example counts.",
            "In which line does your function end? How many examples has it seen by then?",
            "A `return` inside the loop ends the function after one example. It belongs after "
            "the loop.",
            variants=(
                {"reduce": lambda logs: logs[0]},
                {"reduce": lambda logs: logs[0] / len(logs)},
            ),
            slip=("return -logs.mean()", "for log in logs:\n        return -log"),
        ),
    ),
    hints=(
        "For one example: which of its probabilities matters, and what is its negative logarithm?",
        "Pick with `y`, take the natural logarithm above a tiny floor, average over the batch.",
    ),
)


def _relu(z):
    return np.maximum(0, z)


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


def _leaky(slope):
    return lambda z: np.where(z > 0, z, slope * z), lambda z: np.where(z > 0, 1, slope)


# Activations that learners know from elsewhere, each with its slope; the sigmoid comes first.
_OTHER_ACTIVATIONS = (
    (_sigmoid, lambda z: _sigmoid(z) * (1 - _sigmoid(z))),
    (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    *map(_leaky, (0.01, 0.1, 0.2)),
)


def _forward(
    X,
    W1,
    b1,
    W2,
    b2,
    *,
    first=1,
    second=1,
    activation=_relu,
    output=identity,
    finish=identity,
    shift=zero,
):
    """Return the scores; `first` and `second` multiply the biases, `output` is an activation."""
    a1 = activation(X @ W1 + first * b1)
    scores = finish(output(a1 @ W2 + second * b2))
    return scores - shift(scores)


def _network(rng, N, D, H, C):
    """Draw X, W1, b1, W2, b2 so that every part of the network matters."""
    shapes = (N, D), (D, H), (1, H), (H, C), (1, C)
    return tuple(rng.standard_normal(shape) for shape in shapes)


# In the first two, N, C, H, D, N/C, 1/C, 2 and ½ are all different, so that a factor says where it
# comes from. The last has all sizes equal, so that no shape and no exception gives a mistake away.
_SIZES = (
    {"N": 7, "D": 4, "H": 5, "C": 3},
    {"N": 6, "D": 4, "H": 7, "C": 5},
    {"N": 4, "D": 4, "H": 4, "C": 4},
)


def _with_flat_biases(function):
    """Return the function for biases of shape (H,) and (C,), which learners also write it for."""
    return lambda *args: function(*(np.ravel(a) if len(a) == 1 else a for a in args))


def _row_by_row_with_flat_biases(function):
    """Return the function for flat biases, with a remark if (1, H) turns its rows into matrices."""
    flat = _with_flat_biases(function)

    def forward(*args):
        value = flat(*args)
        try:
            shape = np.shape(function(*copy.deepcopy(args)))
        except Exception:
            shape = ()
        remark = (
            f"For biases of shape (1, H) and (1, C), your scores have the shape {shape}: each row of X "
            "became a matrix of its own. `X @ W1 + b1`, without a loop, is right for either shape."
        )
        return TrialRun(value, remark=remark if len(shape) == 3 else "")

    return forward


def _forward_probes():
    rng = np.random.default_rng(31)
    for sizes in _SIZES:
        yield Probe(_network(rng, **sizes), sizes)


forward = Exercise(
    name="forward",
    day=29,
    signature="forward(X, W1, b1, W2, b2)",
    task="returns the scores (N, C) of a two-layer network with a ReLU between the layers; the "
    "biases come as (1, H) and (1, C)",
    right=_forward,
    outputs=("scores",),
    probes=_forward_probes,
    adapters=(_row_by_row_with_flat_biases,),
    mistakes=(
        Mistake(
            "missing-relu",
            "Without a nonlinearity between them, two linear layers amount to one.",
            "What happens between the first product and the second?",
            "Negative hidden values must become 0 before they are multiplied by W2.",
            variants=({"activation": identity},),
            slip=("np.maximum(0, z1)", "z1"),
        ),
        Mistake(
            "sigmoid-instead",
            "The hidden values went through a sigmoid, which squeezes them between 0 and 1.",
            "Which activation does this network use? What does it do to a hidden value of 3?",
            "ReLU leaves positive values unchanged and sets all others to 0.",
            variants=({"activation": _sigmoid},),
            slip=("np.maximum(0, z1)", "1 / (1 + np.exp(-z1))"),
        ),
        Mistake(
            "wrong",
            "The hidden values went through another activation, a tanh or a leaky ReLU.",
            "Which activation does this network use? What does it do to a hidden value of −3?",
            "ReLU leaves positive values unchanged and sets all others to 0.",
            variants=tuple({"activation": f} for f, _ in _OTHER_ACTIVATIONS[1:]),
            slip=("np.maximum(0, z1)", "np.tanh(z1)"),
        ),
        Mistake(
            "relu-on-scores",
            "The scores themselves went through a ReLU: none is negative, and all classes whose "
            "scores should be negative look the same.",
            "What is the smallest score that you return? May a score be negative?",
            "Only the hidden layer has an activation; the last layer is linear.",
            variants=({"output": _relu},),
            slip=("return a1 @ W2 + b2", "return np.maximum(0, a1 @ W2 + b2)"),
        ),
        Mistake(
            "softmax-included",
            "These are probabilities, not scores: each row sums to 1.",
            "What do the rows of your result sum to?",
            "The scores come before the softmax; the loss applies it afterwards.",
            variants=({"finish": _softmax},),
            slip=("return a1 @ W2 + b2", "return softmax(a1 @ W2 + b2)"),
        ),
        Mistake(
            "shifted-scores",
            "The maximum was subtracted from the scores. That is how softmax avoids overflow, but "
            "this function should return the scores themselves.",
            "What is the largest score in each row of your result?",
            "Return the scores as they are. The softmax shifts a copy of them for itself.",
            variants=({"shift": _row_max}, {"shift": np.max}),
            slip=(
                "return a1 @ W2 + b2",
                "scores = a1 @ W2 + b2\n    return scores - scores.max(axis=1, keepdims=True)",
            ),
        ),
        Mistake(
            "missing-b1",
            "These are the scores of a network whose first layer has no bias.",
            "If X is all zeros, which hidden values should come out?",
            "`b1` is part of z1, before the ReLU.",
            variants=({"first": 0},),
            slip=("X @ W1 + b1", "X @ W1"),
        ),
        Mistake(
            "missing-b2",
            "These are the scores of a network whose second layer has no bias.",
            "If every hidden unit is 0, which scores should come out?",
            "`b2` is added to the scores, in every row.",
            variants=({"second": 0},),
            slip=("a1 @ W2 + b2", "a1 @ W2"),
        ),
    ),
    hints=(
        "Three steps: a linear map, a nonlinearity, a linear map. Write the shape after each.",
        "z1 = X W1 + b1, a1 = max(0, z1), scores = a1 W2 + b2.",
    ),
)


def _one_hot(y, C):
    return np.eye(C)[y]


def _backward(
    X,
    y,
    W1,
    b1,
    W2,
    b2,
    *,
    activation=_relu,
    output=identity,
    output_slope=one,
    probabilities=_softmax,
    target=_one_hot,
    through=lambda error, p: error,
    sign=1,
    factor=1,
    examples=lambda N: 1 / N,
    classes=one,
    hidden=lambda X, z1, a1: a1,
    mask=lambda z1, da1, b1: z1 > 0,
    weights=lambda inputs, d: inputs.T @ d,
    bias=lambda d: d.sum(axis=0),
    bias_examples=one,
    bias_mask=None,
):
    """Return the gradients; `output` is an activation of the scores, which has no place there."""
    X, y = np.asarray(X, dtype=float), np.asarray(y)
    z1 = X @ W1 + b1
    a1 = activation(z1)
    scores = a1 @ W2 + b2
    N, C = scores.shape
    p = probabilities(output(scores))
    error = sign * factor * through(p - target(y, C), p) * output_slope(scores)
    dscores = error * examples(N) * classes(C)
    da1 = dscores @ np.transpose(W2)
    dW1 = weights(X, da1 * mask(z1, da1, b1))
    db1 = bias(da1 * (bias_mask or mask)(z1, da1, b1)) * bias_examples(N)
    return dW1, db1, weights(hidden(X, z1, a1), dscores), bias(dscores) * bias_examples(N)


def _slope_of(slope):
    return lambda z1, da1, b1: slope(z1)


def _one_hot_added(y, C):
    return -_one_hot(y, C)


# Errors at the scores that have something to do with p and the labels Y, but are not p − Y.
def _slope_of_the_logarithm(error, p):
    return -np.round(p - error) / p


def _slope_of_the_logarithm_in_p(error, p):
    Y = np.round(p - error)
    return np.where(Y > 0, -1 / p, p)


def _only_the_true_class(error, p):
    return error * np.round(p - error)


def _through_softmax(error, p):
    """Multiply by softmax's Jacobian, diag(p) − p pᵀ."""
    return p * (error - _row_sum(p * error))


def _first_outer(inputs, d):
    return np.outer(inputs[0], d[0])


def _first(d):
    return d[0]


def _last_outer(inputs, d):
    return np.outer(inputs[-1], d[-1])


def _last(d):
    return d[-1]


def _backward_probes():
    rng = np.random.default_rng(32)
    # The first batch has no example of the last class, the second has one of every class.
    for sizes, labels in zip(
        _SIZES, ([1, 0, 0, 1, 1, 0, 1], [3, 1, 4, 0, 2, 1], [2, 0, 3, 2]), strict=True
    ):
        X, *parameters = _network(rng, **sizes)
        yield Probe((X, np.array(labels), *parameters), sizes)


def _with_flat_gradients(function, *args):
    """Call `backward`; a bias gradient may have the shape (1, H) or (H,)."""
    return _flattened(function(*args), *(np.size(b) for b in args[3::2]))


def _flattened(value, *lengths):
    """Return a tuple of gradients with each row of one of these lengths as a flat array."""
    if not isinstance(value, (list, tuple)):
        return value
    return [_flat(gradient, *lengths) for gradient in value]


def _flat(gradient, *lengths):
    numbers = None if isinstance(gradient, tuple) else as_numbers(gradient)
    is_row = numbers is not None and numbers.shape in [(1, length) for length in lengths]
    return numbers[0] if is_row else gradient


def _swapped(observations):
    """Return the order of the gradients if some have the shapes of each other.

    Example: shapes (6,), (5, 6), (6, 4), (4,), where (5, 6), (6,), (6, 4), (4,) were expected,
    give "db1, dW1, dW2, db2".
    """
    for observation in observations:
        right = {name: array.shape for name, array in observation.right.items()}
        got = {name: np.squeeze(array).shape for name, array in observation.outputs.items()}
        if len(set(right.values())) < len(right) or list(got) != list(right):
            continue
        misplaced = {name for name in right if got[name] != right[name]}
        if {got[name] for name in misplaced} & {right[name] for name in misplaced}:
            owner = {shape: name for name, shape in right.items()}
            return {"order": ", ".join(owner.get(shape, "?") for shape in got.values())}
    return None


def _updated(observations):
    """Return whether the outputs are the parameters plus one multiple of their gradients.

    The gradients may have another mistake. Outputs that are such a multiple themselves are gradients,
    next to which the parameters are small.
    """
    moves = []
    for observation in observations:
        outputs, parameters = map(
            _one_row, (observation.outputs.values(), observation.probe.args[2:])
        )
        if not observation.wrong or outputs.shape != parameters.shape:
            return False
        moves.append(outputs - parameters)
    variants = [{}, *(steps for mistake in backward.mistakes for steps in mistake.variants)]
    return any(
        all(
            _is_multiple(move, _one_row(gradients.values()))
            for move, gradients in zip(moves, backward.answers(tuple(steps.items())), strict=True)
        )
        and not all(
            _is_multiple(_one_row(observation.outputs.values()), _one_row(gradients.values()))
            for observation, gradients in zip(
                observations, backward.answers(tuple(steps.items())), strict=True
            )
        )
        for steps in variants
    )


def _one_row(arrays):
    return np.concatenate([np.zeros(0), *map(np.ravel, arrays)])


def _is_multiple(move, gradient):
    """Return whether `move` is a multiple of `gradient`, up to the rounding of a sum in float32."""
    if move.shape != gradient.shape:
        return False
    lr = move @ gradient / (gradient @ gradient)
    return abs(lr) > 1e-6 and bool(np.abs(move - lr * gradient).max() < 0.02 * np.abs(move).max())


backward = Exercise(
    name="backward",
    day=29,
    signature="backward(X, y, W1, b1, W2, b2)",
    task="returns (dW1, db1, dW2, db2), the gradients of the mean cross-entropy; the biases come as "
    "(1, H) and (1, C), and their gradients may also be (H,) and (C,)",
    right=_backward,
    outputs=("dW1", "db1", "dW2", "db2"),
    probes=_backward_probes,
    trial=_with_flat_gradients,
    adapters=(_with_flat_biases,),
    mistakes=(
        Mistake(
            "probs-not-softmaxed",
            "The error at the scores is p − one-hot, but this one uses raw scores in place of the "
            "probabilities p.",
            "What has to happen to the scores before the one-hot labels are subtracted?",
            "The gradient starts from softmax(scores), as the loss does.",
            variants=({"probabilities": identity},),
            finding=SOME_RIGHT,
            slip=("softmax(a1 @ W2 + b2)", "a1 @ W2 + b2"),
        ),
        Mistake(
            "one-hot-not-subtracted",
            "The error at the scores is p − one-hot. Here it is only p, so every class is pushed "
            "down, even the true one.",
            "The error is the prediction minus the target: where is the target in your code?",
            "Subtract 1 from the probability of the true class in every row.",
            variants=({"target": zero},),
            finding=SOME_RIGHT,
            slip=("dscores[np.arange(N), y] -= 1", "pass"),
        ),
        Mistake(
            "sign",
            "The sign is flipped: a step against this gradient goes uphill.",
            "Should the score of the true class have a negative or a positive gradient?",
            "It is p − one-hot, not one-hot − p.",
            variants=({"sign": -1},),
            finding=SOME_RIGHT,
            slip=(
                "dscores = probs.copy()\n    dscores[np.arange(N), y] -= 1",
                "dscores = -probs\n    dscores[np.arange(N), y] += 1",
            ),
        ),
        Mistake(
            "wrong",
            "All four are wrong, so look at what they share: `dscores`.",
            "In one row of `dscores`, what should be in the column of the true class, and what in each "
            "of the other columns? What is in yours?",
            "It is p − Y, over N: p in every column, 1 less at the true class.",
            variants=(
                {"target": _one_hot_added},
                # They read Y off the error, so no other target may be combined with them.
                {"target": _one_hot, "through": _slope_of_the_logarithm},
                {"target": _one_hot, "through": _slope_of_the_logarithm_in_p},
                {"target": _one_hot, "through": _only_the_true_class},
            ),
            finding=SOME_RIGHT,
            slip=("dscores[np.arange(N), y] -= 1", "dscores[np.arange(N), y] += 1"),
        ),
        Mistake(
            "no-batch-average",
            "The loss is a mean over the batch, and so is its gradient. A factor of N is left.",
            "What in your loss is divided by the number of rows? How does that change its gradient?",
            "Divide by N once, at the scores; everything after it inherits the factor.",
            variants=({"examples": one},),
            finding=_BATCH_RATIO,
            slip=("dscores /= N", "pass"),
        ),
        Mistake(
            "mean-over-classes",
            "The error was divided by the number of classes, not by the number of examples: that is "
            "a factor of N/C.",
            "What did you divide by: the number of rows, or the number of columns of the scores?",
            "The loss is a mean over the N rows, so divide by N.",
            variants=({"examples": one, "classes": lambda C: 1 / C},),
            finding=_RATIO + ", for {N} rows and {C} classes.",
            slip=("dscores /= N", "dscores /= dscores.shape[1]"),
        ),
        Mistake(
            "mean-over-classes",
            "The error was averaged over the classes as well, but a loss sums over them.",
            "What did you divide by: the number of rows, or the number of entries in (N, C)?",
            "Divide by N only. A mean without an axis, or `.size`, also counts the classes.",
            variants=({"classes": lambda C: 1 / C},),
            finding=_RATIO + ", and there are {C} classes.",
            slip=("dscores /= N", "dscores /= dscores.size"),
        ),
        Mistake(
            "factor-two",
            "Everything is twice too large. Squared error has a 2 in its derivative; the "
            "cross-entropy has none.",
            "Which power does the 2 in your code come from? Is there one in this loss?",
            "The error at the scores is (p − one-hot)/N, without a further factor.",
            variants=({"factor": 2},),
            finding=_RATIO + ".",
            slip=("dscores /= N", "dscores *= 2 / N"),
        ),
        Mistake(
            "factor-half",
            "Everything is half as large as it should be. Some define squared error with a ½; the "
            "cross-entropy has none.",
            "Where does the ½, or the division by 2, in your code come from?",
            "The error at the scores is (p − one-hot)/N, without a further factor.",
            variants=({"factor": 0.5},),
            finding=_RATIO + ".",
            slip=("dscores /= N", "dscores /= 2 * N"),
        ),
        Mistake(
            "indexes-columns",
            "The 1 was subtracted in entire columns: in every row, from every class that occurs "
            "among the labels.",
            "How many of the entries of (N, C) should change when the labels are subtracted, and "
            "how many do?",
            "One entry per row: index with the pairs (row, label of that row), not with `:`.",
            variants=(
                {"target": lambda y, C: np.isin(np.arange(C), y)},
                {"target": lambda y, C: np.bincount(y, minlength=C)},
            ),
            finding=SOME_RIGHT,
            slip=("dscores[np.arange(N), y] -= 1", "dscores[:, y] -= 1"),
        ),
        Mistake(
            "one-hot-per-class",
            "The 1 weighs N or C times too much: it was subtracted after the division by N, or once in "
            "every round of a loop.",
            "Which comes first, the subtraction or the division? How often does each of them run?",
            "Subtract the 1 once, and before the division by N.",
            variants=(
                {"target": lambda y, C: C * _one_hot(y, C)},
                {"target": lambda y, C: len(y) * _one_hot(y, C)},
            ),
            finding=SOME_RIGHT,
            slip=(
                "dscores[np.arange(N), y] -= 1\n    dscores /= N",
                "dscores /= N\n    dscores[np.arange(N), y] -= 1",
            ),
        ),
        Mistake(
            "relu-on-scores",
            "This is the gradient of a network whose scores also go through a ReLU.",
            "What does your forward pass do between the second layer and the softmax?",
            "Only the hidden layer has an activation; the softmax takes the scores as they are.",
            variants=({"output": _relu}, {"output": _relu, "output_slope": lambda s: s > 0}),
            finding=SOME_RIGHT,
            slip=("softmax(a1 @ W2 + b2)", "softmax(np.maximum(0, a1 @ W2 + b2))"),
        ),
        Mistake(
            "no-relu-anywhere",
            "This is the gradient of a linear network: the ReLU is missing in the forward pass, and "
            "its slope in the backward pass.",
            "What happens to a negative hidden value in your forward pass?",
            "a1 is max(0, z1), and the gradient passes only where z1 > 0.",
            variants=({"activation": identity, "mask": one},),
            finding=SOME_RIGHT,
        ),
        Mistake(
            "wrong",
            "This is the gradient of a network with another activation in the hidden layer, such as "
            "a sigmoid, a tanh or a leaky ReLU. This network has a ReLU.",
            "Which activation does the forward pass of this network have, and what is its slope?",
            "a1 is max(0, z1), and its slope is 1 where z1 > 0 and 0 elsewhere.",
            variants=(
                *({"activation": f, "mask": _slope_of(slope)} for f, slope in _OTHER_ACTIVATIONS),
                {"activation": _sigmoid},
            ),
            finding=SOME_RIGHT,
            slip=("np.maximum(0, z1)", "1 / (1 + np.exp(-z1))"),
        ),
        Mistake(
            "missing-relu-mask",
            "One of `dW1` and `db1` is right, so the mask is there, but the other one is computed from "
            "da1, before the mask.",
            "From which array do you compute `dW1`, and from which `db1`?",
            "Both need the masked gradient: dz1, not da1.",
            variants=(
                {"mask": one, "bias_mask": lambda z1, da1, b1: z1 > 0},
                {"bias_mask": one},
            ),
            finding=SOME_RIGHT,
            slip=("X.T @ dz1", "X.T @ da1"),
        ),
        Mistake(
            "missing-relu-mask",
            "The gradient went through hidden units that were off: the slope of ReLU is 0 where "
            "z1 is negative.",
            "If a hidden unit is 0 because z1 < 0, does a small change of z1 change the loss?",
            "Between da1 and dz1, set to 0 every entry where z1 ≤ 0. If you have a mask, print it: a "
            "condition such as a1 ≥ 0 is always true.",
            variants=({"mask": one},),
            finding=SOME_RIGHT,
            slip=("da1 * (z1 > 0)", "da1"),
        ),
        Mistake(
            "mask-from-gradient",
            "The mask was taken from the gradient da1, but in the forward pass it was the value z1 "
            "that switched the unit on or off.",
            "In the forward pass, which array decided whether the ReLU let a value through?",
            "The mask is where z1 > 0, regardless of the sign of da1.",
            variants=({"mask": lambda z1, da1, b1: da1 > 0},),
            finding=SOME_RIGHT,
            slip=("z1 > 0", "da1 > 0"),
        ),
        Mistake(
            "mask-without-bias",
            "The mask was taken from X W1 alone, but the ReLU saw X W1 + b1.",
            "Which array went into the ReLU in the forward pass? Is it the one in your mask?",
            "Keep z1, with its bias, from the forward pass, and take the mask from it.",
            variants=({"mask": lambda z1, da1, b1: z1 - b1 > 0},),
            finding=SOME_RIGHT,
            slip=("(z1 > 0)", "(X @ W1 > 0)"),
        ),
        Mistake(
            "wrong",
            "The gradient was multiplied by the hidden values. ReLU's slope is 1 where a unit was "
            "on and 0 where it was off.",
            "What is the derivative of max(0, z) at z = 3?",
            "Multiply by the mask, which is 0 or 1, not by a1 or z1.",
            variants=({"mask": lambda z1, da1, b1: _relu(z1)}, {"mask": lambda z1, da1, b1: z1}),
            finding=SOME_RIGHT,
            slip=("(z1 > 0)", "a1"),
        ),
        Mistake(
            "assigns-in-loop",
            "Only the last example counts, as if each round of a loop had replaced what the one before "
            "it had computed.",
            "After the second example, what is left of the gradient of the first?",
            "Start each gradient with zeros before the loop, and add to it with `+=` inside.",
            variants=(
                *both_or_one(weights=_last_outer, bias=_last),
                {"weights": _last_outer, "bias": _last, "examples": one},
            ),
            finding=SOME_RIGHT,
            slip=(
                "dW2 = a1.T @ dscores",
                "for n in range(N):\n        dW2 = np.outer(a1[n], dscores[n])",
            ),
        ),
        Mistake(
            "wrong",
            "The gradient went through the softmax twice: p − one-hot is already the gradient with "
            "respect to the scores.",
            "With respect to what is p − one-hot the gradient: to the scores, or to p?",
            "Softmax and cross-entropy together give p − one-hot; no Jacobian is left to apply.",
            variants=({"through": _through_softmax}, {"through": _through_softmax, "factor": 2}),
            finding=SOME_RIGHT,
            slip=(
                "dscores /= N",
                "dscores = probs * (dscores - (probs * dscores).sum(axis=1, keepdims=True)) / N",
            ),
        ),
        Mistake(
            "uses-input-for-dW2",
            "The gradient of a weight is the input of its layer times the error at its output. "
            "The input of the second layer is a1, after the activation.",
            "What is W2 multiplied by in the forward pass?",
            "dW2 is a1ᵀ times the error at the scores, not z1ᵀ or Xᵀ.",
            variants=({"hidden": lambda X, z1, a1: z1}, {"hidden": lambda X, z1, a1: X}),
            finding=SOME_RIGHT,
            slip=("a1.T @ dscores", "z1.T @ dscores"),
        ),
        Mistake(
            "bias-wrong-axis",
            "A bias is added in every row, so its gradient is a sum over rows: one number per unit.",
            "Which of the two axes, examples or units, should be gone in a bias gradient?",
            "Sum over the batch, axis 0.",
            variants=(
                {"bias": lambda d: d.sum(axis=1)},
                {"bias": lambda d: d.mean(axis=1)},
                {"bias": np.sum},
                {"bias": np.mean},
            ),
            finding=SOME_RIGHT,
            slip=("dscores.sum(axis=0, keepdims=True)", "dscores.sum(axis=1)"),
        ),
        Mistake(
            "bias-mean",
            "The bias gradients were averaged over the batch, but they should be summed: the "
            "division by N has already happened at the scores.",
            "How often is your bias gradient divided by N, and how often your weight gradient?",
            "After the division at the scores, bias gradients are plain sums over the rows.",
            variants=({"bias_examples": lambda N: 1 / N},),
            finding=_BATCH_RATIO,
            slip=("dscores.sum(axis=0, keepdims=True)", "dscores.mean(axis=0)"),
        ),
        Mistake(
            "swapped-order",
            "All four gradients seem to be there, but not in the order that the task asks for.",
            "Compare the shape of each gradient with the shape of its parameter.",
            "Return dW1, db1, dW2, db2: first layer first, weights before biases.",
            detect=_swapped,
            finding="By their shapes, you returned `{order}`.",
            slip=("return dW1, db1, dW2, db2", "return dW1, dW2, db1, db2"),
        ),
        Mistake(
            "wrong",
            "Something was divided by N twice: what was already averaged was averaged again.",
            "How often does N, or a mean, occur on the way from the loss to this gradient?",
            "Divide by N once, at the scores; after that there are only sums.",
            variants=({"examples": lambda N: 1 / N**2},),
            finding=_BATCH_RATIO,
            slip=("dscores /= N", "dscores /= N**2"),
        ),
        Mistake(
            "wrong",
            "The mask is there, but the forward pass inside your function has no ReLU.",
            "What happens to a negative hidden value in your forward pass?",
            "a1 is max(0, z1).",
            variants=({"activation": identity},),
            finding=SOME_RIGHT,
            slip=("np.maximum(0, z1)", "z1"),
        ),
        Mistake(
            "wrong",
            "Only the first example counts, as if there were no others.",
            "Where does your code take a single row? If there is a loop, in which round does it end?",
            "Sum over all rows. If there is a loop, `return` belongs after it.",
            variants=(
                *both_or_one(weights=_first_outer, bias=_first),
                {"weights": _first_outer, "bias": _first, "examples": one},
            ),
            finding=SOME_RIGHT,
            slip=(
                "return dW1, db1, dW2, db2",
                "for n in range(N):\n        return np.outer(X[n], dz1[n]), dz1[n], "
                "np.outer(a1[n], dscores[n]), dscores[n]",
            ),
        ),
        Mistake(
            "returns-updated-weights",
            "These are the parameters after a step, not the gradients.",
            "Which of the two does the task ask for, and which does your last line return?",
            "Return the gradients. The step is `sgd_step`'s task.",
            detect=_updated,
            finding="{first} Each output is its parameter plus the same multiple of the gradient.",
            slip=(
                "return dW1, db1, dW2, db2",
                "return W1 - 0.1 * dW1, b1 - 0.1 * db1, W2 - 0.1 * dW2, b2 - 0.1 * db2",
            ),
        ),
    ),
    hints=(
        "Walk through the forward pass backwards: scores, second layer, ReLU, first layer.",
        "Start with (p − one-hot)/N at the scores. Each weight gradient is the layer's inputᵀ "
        "times the error at its output; each bias gradient is that error summed over the rows.",
    ),
)


def mistaken_backwards():
    """Return {id: an implementation of `backward` with that mistake}, for Day 30's exercise."""
    implementations = {
        m.id: functools.partial(_backward, **m.variants[0])
        for m in backward.mistakes
        if m.variants and m.id != "wrong"
    }

    def swapped(X, y, W1, b1, W2, b2):
        dW1, db1, dW2, db2 = _backward(X, y, W1, b1, W2, b2)
        return dW2, db2, dW1, db1

    def updated(X, y, W1, b1, W2, b2):
        parameters = (np.asarray(p, dtype=float) for p in (W1, b1, W2, b2))
        gradients = _backward(X, y, W1, b1, W2, b2)
        return tuple(
            p - 0.1 * np.reshape(g, p.shape) for p, g in zip(parameters, gradients, strict=True)
        )

    return implementations | {"swapped-order": swapped, "returns-updated-weights": updated}


def _entry_by_entry(x):
    """Return pairs: the index to move, and the index where its slope belongs."""
    return [(index, index) for index in np.ndindex(x.shape)]


def _divided_by_eps(above, below, eps):
    return (above - below) / eps


def _row_by_row(x):
    return [(i, i) for i in range(len(x))]


def _numerical_gradient(
    f,
    x,
    eps=1e-5,
    *,
    sides=(1, -1),
    order=(0, 1),
    quotient=lambda above, below, eps: (above - below) / (2 * eps),
    sign=1,
    moves=_entry_by_entry,
    save=np.array,
    restore=True,
    dtype=lambda x: float,
    finish=identity,
):
    x = np.array(x, dtype=dtype(x))
    gradient = np.zeros(x.shape)
    for index, place in moves(x):
        old = save(x[index])
        values = [0, 0]
        for i in order:
            x[index] = old + sides[i] * eps
            values[i] = f(x)
        if restore:
            x[index] = old
        gradient[place] = sign * quotient(*values, eps)
    return finish(gradient)


def _quadratic(A, b, shape):
    """Return f(x) = ½ xᵀAx + bᵀx: centred differences of it are exact for every step size."""

    def f(x):
        x = np.asarray(x, dtype=float).reshape(-1)
        if x.size != b.size:
            raise ValueError(f"f takes an array of shape {shape}, got {x.size} numbers")
        return float(0.5 * x @ A @ x + b @ x)

    f.curvature = np.diag(A).reshape(shape)
    return f


def _exponential(x):
    return float(np.exp(50 * np.asarray(x, dtype=float)).sum())


def _numerical_probes():
    rng = np.random.default_rng(33)
    for shape in ((5,), (3, 4), (4, 2)):
        size = int(np.prod(shape))
        A = rng.standard_normal((size, size))
        A = A + A.T + np.diag(rng.uniform(3, 6, size))
        f = _quadratic(A, rng.standard_normal(size), shape)
        x = rng.standard_normal(shape)
        x.flat[2] = 0  # whose slope is not 0
        yield Probe((f, x, 0.1), {"x.shape": shape, "eps": 0.1})
    # The curvature is so large, and the minimum so near, that even a tiny one-sided step shows,
    # in float32 too.
    size = 6
    A = np.diag(rng.uniform(1e4, 3e4, size))
    f = _quadratic(A, rng.standard_normal(size), (2, 3))
    yield Probe((f, 1e-4 * rng.standard_normal((2, 3))), {"x.shape": (2, 3)})
    # A quadratic allows any step; this function needs a step as small as `eps`. x is near 0,
    # where float32 can represent such a step.
    near_zero = 1e-4 * rng.standard_normal((2, 3))
    yield Probe((_exponential, near_zero, 1e-5), {"x.shape": (2, 3)})
    A = rng.standard_normal((size, size))
    f = _quadratic(A + A.T + 4 * np.eye(size), rng.standard_normal(size), (2, 3))
    integers = np.array([[3, -1, 2], [1, 4, -2]])
    yield Probe((f, integers, 1e-2), {"x.dtype": integers.dtype.name}, targets="integer-truncation")


def _one_sided(observations):
    """Return whether the differences are one-sided, for any step h that the learner chose.

    On a quadratic, (f(x + h) − f(x)) / h exceeds the slope by exactly h/2 times the curvature.
    Example: for f(x) = x² at x = 1, h = 0.1 gives 2.1, and 0.1/2 · 2 is the excess of 0.1. The
    probe that passes no `eps` has a curvature per entry; one h must explain all entries. A second
    derivative, which is the curvature itself, looks like a step of 2.
    """
    steep = next(o for o in observations if len(o.probe.args) == 2)
    got, right = steep.outputs.get("gradient"), steep.right["gradient"]
    if not steep.wrong or got is None or got.shape != right.shape or not np.isfinite(got).all():
        return None
    excess, curvature = got - right, steep.probe.args[0].curvature
    h = 2 * (excess * curvature).sum() / (curvature**2).sum()  # least squares
    unexplained = np.abs(excess - h / 2 * curvature).max()
    return 1e-8 < abs(h) < 0.3 and unexplained < 1e-2 * np.abs(excess).max()


def _not_restored(observations):
    """Return whether x is changed by more than rounding; an exception explains itself."""
    ordinary = [o for o in observations if o.probe.targets is None]
    changes = [o.changed.get("x", 0) for o in ordinary]
    return not any(o.problem for o in ordinary) and max(changes) > 1e-9


def _recorded(function, f, x, *eps):
    """Call `numerical_gradient` and log the points at which it evaluates f."""
    points = []

    def recorded(x):
        value = f(x)
        points.append(np.array(x, dtype=float).ravel())
        return value

    return TrialRun(function(recorded, x, *eps), log=points)


def _both_at_the_same_point(observations):
    """Return whether f saw each point twice in a row, so that all differences are 0."""
    for observation in observations:
        if observation.probe.targets:
            continue
        points, got = observation.log or (), observation.outputs.get("gradient")
        same = [(a == b).all() for a, b in itertools.pairwise(points)]
        if got is None or got.any() or not same:
            return False
        if not all(a or b for a, b in itertools.pairwise([False, *same, False])):
            return False
    return True


def _own_step(observations):
    """Return the step by which x is moved if it is the same for every `eps` that is passed."""
    steps = []
    for observation in observations:
        if observation.is_ordinary and len(observation.probe.args) == 3:
            x = observation.probe.args[1].ravel()
            points = [p for p in observation.log or () if p.size == x.size]
            steps += [np.abs(point - x).max() for point in points]
    steps = [step for step in steps if step > 1e-9]  # f(x) itself is no step
    same = steps and max(steps) < 1.01 * min(steps)
    return same and any(o.wrong for o in observations) and {"step": f"{min(steps):.2g}"}


def _ends_early(observations):
    """Return whether f was evaluated only for steps in the first entry, or the first row of x."""
    for observation in observations:
        if observation.probe.targets:
            continue
        x = observation.probe.args[1]
        shifts = [np.abs(point - x.ravel()) > 1e-6 for point in observation.log or ()]
        moved = np.any(shifts, axis=0).reshape(x.shape) if shifts else np.zeros(0)
        if not observation.wrong or not moved.any():
            return False
        if moved[1:].any() and (moved.ndim == 1 or moved[:, 1:].any()):
            return False
    return True


numerical_gradient = Exercise(
    name="numerical_gradient",
    day=29,
    signature="numerical_gradient(f, x, eps=1e-5)",
    task="estimates the gradient of f at x by centred differences, as an array like x",
    right=_numerical_gradient,
    outputs=("gradient",),
    probes=_numerical_probes,
    trial=_recorded,
    may_change=("x",),  # by rounding; if by more, that is `not-restored`
    mistakes=(
        Mistake(
            "aliased-copies",
            "Both evaluations of f saw the same point, so every difference is 0: either both points are "
            "the same array (`a = x` makes no copy), or the array that you moved is a copy that f never "
            "sees.",
            "How many arrays are there, which of them do you move, and which does f get?",
            "Copy x for each of the two points, or move one entry of x and restore it. Pass to f what "
            "you moved.",
            detect=_both_at_the_same_point,
            slip=(
                "x[index] = old + eps\n        above = f(x)\n        x[index] = old - eps\n"
                "        below = f(x)",
                "a = x\n        b = x\n        a[index] += eps\n        b[index] -= eps\n"
                "        above, below = f(a), f(b)",
            ),
        ),
        Mistake(
            "not-restored",
            "If an entry is not restored, all later entries, and whatever the caller does next, "
            "are measured at a shifted point.",
            "After the two evaluations of f, what is in the entry of x that you moved?",
            "Save the entry's old value before you move it, and write it back before the next.",
            variants=({"restore": False}, {"restore": False, "order": (1, 0)}),
            detect=_not_restored,
            finding="After the call, `x` is not what it was, or earlier entries were still moved: "
            "{where} is {got}, where {expected} was expected.",
            slip=("below = f(x)\n        x[index] = old", "below = f(x)"),
        ),
        Mistake(
            "sign",
            "The sign is flipped: the difference was taken the other way.",
            "If f grows with x, which of the two values is larger?",
            "The value above x comes first: f(x + ε) − f(x − ε).",
            variants=({"sign": -1},),
            finding="{first} Every entry has the wrong sign.",
            slip=("(above - below)", "(below - above)"),
        ),
        Mistake(
            "missing-factor-two",
            "The points x − ε and x + ε are two steps apart, but the difference was divided by one.",
            "How far apart are the two points at which you evaluate f?",
            "Divide by 2ε.",
            variants=({"quotient": _divided_by_eps},),
            finding="{first} That is {ratio} times as large.",
            slip=("/ (2 * eps)", "/ eps"),
        ),
        Mistake(
            "precedence",
            "A bracket is missing. Python works through `/` and `*` from left to right, and before "
            "`+` and `-`: a / 2 * b is (a / 2) * b.",
            "If eps is 0.1, what is 1 / 2 * eps, and what is 1 / (2 * eps)?",
            "Put brackets around the difference, and around the 2ε by which it is divided.",
            variants=(
                {"quotient": lambda above, below, eps: (above - below) / 2 * eps},
                {"quotient": lambda above, below, eps: above - below / (2 * eps)},
            ),
            finding="{first} That is {ratio} times as large.",
            slip=("/ (2 * eps)", "/ 2 * eps"),
        ),
        Mistake(
            "first-entry-only",
            "Only the first entry of x, or its first row or column, was moved; the slopes of the "
            "others were never measured.",
            "How often should f be evaluated for an x of 12 numbers? In which line does your function "
            "end?",
            "A `return` inside the loop ends the function too early. It belongs after the loop.",
            detect=_ends_early,
            slip=(
                "gradient[index] = (above - below) / (2 * eps)",
                "return (above - below) / (2 * eps)",
            ),
        ),
        Mistake(
            "one-sided",
            "The slope was measured on one side of x only: its error shrinks with ε, not with ε².",
            "At which points do you evaluate f? Is x halfway between them?",
            "Use f(x + ε) and f(x − ε), not f(x).",
            variants=(
                {"sides": (1, 0), "quotient": _divided_by_eps},
                {"sides": (0, -1), "quotient": _divided_by_eps},
            ),
            detect=_one_sided,
            slip=(
                "x[index] = old - eps\n        below = f(x)\n        x[index] = old\n"
                "        gradient[index] = (above - below) / (2 * eps)",
                "x[index] = old\n        below = f(x)\n"
                "        gradient[index] = (above - below) / eps",
            ),
        ),
        Mistake(
            "one-sided",
            "The slope was measured on one side of x only: one of the two points is x itself. The two "
            "are only ε apart but were divided by 2ε, so about half of the slope is left.",
            "At which two points do you evaluate f? How far apart are they, and is x halfway between "
            "them?",
            "From x + ε, go down by 2ε to x − ε before the second evaluation. Then dividing by 2ε is "
            "right.",
            variants=({"sides": (1, 0)}, {"sides": (0, -1)}),
            slip=("x[index] = old - eps", "x[index] = old"),
        ),
        Mistake(
            "only-first-axis",
            "Entire rows were moved at once: each number is the sum of a row's gradient.",
            "If x has shape (3, 4), how many numbers have to be moved, one at a time?",
            "Loop over every index of x, for example with `np.ndindex`.",
            variants=(
                {"moves": _row_by_row},
                {"moves": _row_by_row, "save": identity},  # a view of a row, which moves along
                {"moves": _row_by_row, "finish": lambda g: g.reshape(len(g), -1)[:, 0]},
            ),
            slip=("np.ndindex(x.shape)", "range(len(x))"),
        ),
        Mistake(
            "all-at-once",
            "All entries were moved together: that gives the slope in one direction, the same "
            "number for every entry.",
            "A partial derivative says what happens if one entry moves. How many did you move?",
            "Move one entry, evaluate, restore it; then the next.",
            variants=(
                {"moves": lambda x: [(..., place) for place in np.ndindex(x.shape)]},
                {"moves": lambda x: [(..., ...)], "finish": lambda g: g.flat[0]},
            ),
            slip=(
                "x[index] = old + eps\n        above = f(x)\n        x[index] = old - eps\n"
                "        below = f(x)",
                "above = f(x + eps)\n        below = f(x - eps)",
            ),
        ),
        Mistake(
            "wrong",
            "The step is the same for every `eps`, and it is too large for an f that curves strongly.",
            "Where does your function use `eps`?",
            "Move the entry by `eps`, and divide by 2ε: do not choose a step of your own.",
            detect=_own_step,
            finding="Your result does not depend on `eps`: for 0.1 and for 1e-5, you move x by {step}.",
            slip=("for index in", "eps = 1e-2\n    for index in"),
        ),
        Mistake(
            "integer-truncation",
            "An array of integers cannot store x + ε: either the step or the result is truncated.",
            "What is `x[0] + 1e-5` once it is stored in an array of integers?",
            "Work on a float copy of x, and store the result in a float array too.",
            variants=({"dtype": lambda x: x.dtype},),
            finding="Not asked for here: for an `x` of integers, "
            "{where} is {got}, where {expected} was expected. {problem}",
            slip=("np.array(x, dtype=float)", "np.array(x)"),
            forgiven=True,
        ),
    ),
    hints=(
        "For one entry: save it, move it up, evaluate f, move it down, evaluate f, restore it.",
        "Loop over all indices with `np.ndindex(x.shape)`, on a float copy of x.",
    ),
)


def _sgd_step(params, grads, lr, *, sign=-1, rate=identity, start=identity, finish=identity):
    return finish([start(p) + sign * rate(lr) * g for p, g in zip(params, grads, strict=True)])


def _sgd_probes():
    rng = np.random.default_rng(34)
    for lr, shapes in (
        (0.3, ((3, 4), (4,), (4, 2), (2,))),
        (0.6, ((2, 5), (5,), (5, 3))),
        (0.07, ((4, 3), (1, 3))),
    ):
        params = [rng.standard_normal(shape) for shape in shapes]
        grads = [rng.standard_normal(shape) for shape in shapes]
        yield Probe((params, grads, lr), {"lr": lr, "parameters": len(shapes)})


def _as_list(function, params, grads, lr):
    """Call `sgd_step`; an array instead of a list counts as a list of one."""
    value = function(params, grads, lr)
    if isinstance(value, np.ndarray) and value.dtype == object:
        return list(value)
    return [value] if isinstance(value, np.ndarray) or hasattr(value, "detach") else value


def _updates(observations):
    """Return (parameter, gradient, result) for every array; nothing if one is unusable."""
    triples = []
    for observation in observations:
        for i, (p, g) in enumerate(zip(*observation.probe.args[:2], strict=True)):
            got = observation.outputs.get(f"params[{i}]")
            if got is None or got.shape != p.shape or not np.isfinite(got).all():
                return []
            triples.append((p, g, got))
    return triples


def _same_rate_for_every_lr(observations):
    """Return whether every step is the same multiple of the gradient, although lr differs."""
    rates = []
    for p, g, got in _updates(observations):
        rates.append(float(((p - got) * g).sum() / (g * g).sum()))
        if np.abs(p - rates[-1] * g - got).max() > 1e-5:
            return False
    return bool(rates) and max(rates) - min(rates) < 1e-3 * abs(rates[0])


def _multiple_of_gradient(observations):
    """Return whether every returned array is a multiple of the gradient."""
    updates = _updates(observations)
    for _, g, got in updates:
        factor = (got * g).sum() / (g * g).sum()
        if np.abs(got - factor * g).max() > 1e-5 or abs(factor) < 1e-6:
            return False
    return bool(updates)


def _moved(condition):
    """Make a `detect` from a condition on a list per probe.

    The list says of each parameter whether it moved; None if it is missing.
    """

    def detect(observations):
        for observation in observations:
            got = [observation.outputs.get(name) for name in observation.right]
            first, *_, last = observation.probe.args[0]
            if len(observation.outputs) == 1 and np.shape(got[0]) == last.shape != first.shape:
                got = [*got[1:], got[0]]  # the last one alone
            pairs = [*zip(got, observation.probe.args[0], strict=True)]
            if len(observation.outputs) > len(got) or not observation.outputs:
                return False
            if any(a is not None and a.shape != p.shape for a, p in pairs):
                return False
            if not condition([None if a is None else not close(a, p) for a, p in pairs]):
                return False
        return any(observation.wrong for observation in observations)

    return detect


_UNCHANGED = "A parameter came back unchanged: {where} is {got}, where {expected} was expected."

sgd_step = Exercise(
    name="sgd_step",
    day=29,
    signature="sgd_step(params, grads, lr)",
    task="returns the list of parameters after one step of gradient descent",
    right=_sgd_step,
    outputs=("params[{}]",),
    probes=_sgd_probes,
    trial=_as_list,
    may_change=("params",),
    mistakes=(
        Mistake(
            "returns-step",
            "This is the change of the parameter, not the parameter after the change.",
            "The list should contain the new parameters. What should you return if lr is 0?",
            "Return the old parameter minus the step.",
            variants=({"start": zero}, {"start": zero, "sign": 1}),
            detect=_multiple_of_gradient,
            slip=("p - lr * g", "-lr * g"),
        ),
        Mistake(
            "ascent",
            "The step went along the gradient, which is uphill: the loss grows.",
            "The gradient points to where the loss grows. Which way do you want to go?",
            "Subtract the gradient.",
            variants=({"sign": 1},),
            slip=("p - lr * g", "p + lr * g"),
        ),
        Mistake(
            "ignores-lr",
            "The length of the step does not depend on the learning rate.",
            "Where does your function use `lr`?",
            "The step is lr times the gradient.",
            variants=({"rate": one},),
            detect=_same_rate_for_every_lr,
            slip=("p - lr * g", "p - g"),
        ),
        Mistake(
            "scaled-twice",
            "The learning rate was applied twice: the step is lr² times the gradient.",
            "How often is the gradient multiplied by `lr` on its way to the parameter?",
            "Multiply once.",
            variants=({"rate": lambda lr: lr * lr},),
            finding="{first} The step is {lr} times as long as it should be, and lr is {lr}.",
            slip=("p - lr * g", "p - lr * lr * g"),
        ),
        Mistake(
            "first-only",
            "Only the first parameter was updated.",
            "How many of the arrays in the list changed, and how many came back?",
            "Every parameter takes its step; a `return` inside the loop ends it too early.",
            detect=_moved(lambda moved: moved[0] and not any(moved[1:])),
            finding=SOME_RIGHT,
            slip=(
                "return [p - lr * g for p, g in zip(params, grads, strict=True)]",
                "for p, g in zip(params, grads, strict=True):\n        return [p - lr * g]",
            ),
        ),
        Mistake(
            "wrong",
            "No parameter moved. If there is a loop, assigning to its variable does not change the "
            "list.",
            "After `p = p - …` inside a loop, what does the list contain?",
            "Collect the new arrays in a new list and return that.",
            detect=_moved(lambda moved: not any(each is not False for each in moved)),
            finding=_UNCHANGED,
            slip=(
                "return [p - lr * g for p, g in zip(params, grads, strict=True)]",
                "for p, g in zip(params, grads, strict=True):\n        p = p - lr * g\n    return params",
            ),
        ),
        Mistake(
            "wrong",
            "Only the last parameter was updated.",
            "Which lines are inside the loop, and which come after it?",
            "Each parameter has to be updated and kept inside the loop.",
            detect=_moved(lambda moved: moved[-1] and not any(moved[:-1])),
            slip=(
                "return [p - lr * g for p, g in zip(params, grads, strict=True)]",
                "for p, g in zip(params, grads, strict=True):\n        new = [p - lr * g]\n    return new",
            ),
        ),
        Mistake(
            "wrong",
            "Some of the parameters were not updated, or are missing.",
            "Which indices does your loop visit? Are the first and the last among them?",
            "Every parameter takes its step, and every one comes back.",
            detect=_moved(lambda moved: any(moved) and not all(moved)),
            finding=SOME_RIGHT,
            slip=("zip(params, grads, strict=True)", "zip(params[:-1], grads[:-1], strict=True)"),
        ),
    ),
    hints=(
        "Take one parameter and its gradient: which way is downhill, and how far do you go?",
        "For each pair: the parameter minus lr times the gradient. Return them as a list.",
    ),
)


def _layer_backward(
    inputs,
    W,
    dz,
    *,
    weights=lambda inputs, dz: inputs.T @ dz,
    bias=lambda dz: dz.sum(axis=0),
    back=lambda W, dz: dz @ W.T,
    mask=one,
    average=one,
):
    scale = average(len(dz))
    return weights(inputs, dz) * scale, bias(dz) * scale, back(W, dz) * mask(inputs)


def _layer_probes():
    rng = np.random.default_rng(35)
    for N, n_in, n_out in ((7, 4, 3), (5, 3, 6), (4, 4, 4)):
        shapes = (N, n_in), (n_in, n_out), (N, n_out)
        yield Probe(
            tuple(rng.standard_normal(shape) for shape in shapes),
            {"N": N, "n_in": n_in, "n_out": n_out},
        )


def _with_flat_bias(function, inputs, W, dz):
    """Call `layer_backward`; the bias gradient may have the shape (1, n_out) or (n_out,)."""
    return _flattened(function(inputs, W, dz), np.shape(W)[1])


class _WithReturn(Exercise):
    """An `Exercise` whose stub has a `return` already: an output left open needs no hint on that."""

    def _generic(self, id_, text):
        if id_ == "not-attempted" and "still empty" in text:
            return id_, lines(text, self._your_turn(), self._next_hint(id_))
        return super()._generic(id_, text)


layer_backward = _WithReturn(
    name="layer_backward",
    day=29,
    signature="layer_backward(inputs, W, dz)",
    task="returns (dW, db, d_in) of the layer z = inputs @ W + b, given dz, the gradient of the loss "
    "with respect to z",
    right=_layer_backward,
    outputs=("dW", "db", "d_in"),
    probes=_layer_probes,
    trial=_with_flat_bias,
    mistakes=(
        Mistake(
            "bias-mean",
            "The bias gradient was averaged over the batch, but it should be summed.",
            "A bias is added in each of the N rows. What does the loss feel if it grows a little?",
            "Sum dz over the rows, without a division.",
            variants=({"bias": lambda dz: dz.mean(axis=0)},),
            finding=_BATCH_RATIO,
            slip=("dz.sum(axis=0, keepdims=True)", "dz.mean(axis=0)"),
        ),
        Mistake(
            "averaged-again",
            "The gradients were averaged over the batch. The division by N is part of dz already.",
            "If dz holds a 1/N already, how often does yours divide by N?",
            "A layer only sums over the examples. The loss has done the averaging.",
            variants=({"average": lambda N: 1 / N},),
            finding=_BATCH_RATIO,
            slip=("return dW, db, d_in", "return dW / len(dz), db / len(dz), d_in"),
        ),
        Mistake(
            "bias-wrong-axis",
            "The bias gradient needs one number per output of the layer, so the examples are what "
            "has to be summed away.",
            "Which of the two axes of dz, examples or outputs, should be gone in db?",
            "Sum over axis 0.",
            variants=(
                {"bias": lambda dz: dz.sum(axis=1)},
                {"bias": lambda dz: dz.mean(axis=1)},
                {"bias": np.sum},
                {"bias": np.mean},
            ),
            finding=SOME_RIGHT,
            slip=("dz.sum(axis=0, keepdims=True)", "dz.sum(axis=1)"),
        ),
        Mistake(
            "wrong",
            "One row per example is left: sum over them.",
            "In how many examples does one bias appear? How many numbers does its gradient have?",
            "Add up dz over the examples, so that one number per output is left.",
            variants=({"bias": identity},),
            finding=SOME_RIGHT,
            slip=("dz.sum(axis=0, keepdims=True)", "dz"),
        ),
        Mistake(
            "transposed",
            "This is the transpose of dW: its rows and columns are exchanged.",
            "Which shape does W have, and which shape does your dW have?",
            "Row i of dW belongs to input i: (n_in, N) times (N, n_out).",
            variants=({"weights": lambda inputs, dz: dz.T @ inputs},),
            finding=SOME_RIGHT,
            slip=("inputs.T @ dz", "dz.T @ inputs"),
        ),
        Mistake(
            "masked",
            "d_in was masked by the sign of the inputs. ReLU's mask belongs to the activation, "
            "which is a step of its own; this layer is linear.",
            "Which of the two decides what passes backward here: the weights, or the sign of the input?",
            "d_in is dz times the transposed weights, and nothing else.",
            variants=({"mask": lambda inputs: inputs > 0},),
            finding=SOME_RIGHT,
            slip=("dz @ W.T", "dz @ W.T * (inputs > 0)"),
        ),
        Mistake(
            "masked",
            "d_in was multiplied by the inputs. They are what dz meets on its way to dW, not on its way "
            "to the layer below.",
            "If an input grows a little, by what does that change z: by the input, or by a weight?",
            "d_in is dz times the transposed weights, and nothing else.",
            variants=({"mask": identity},),
            finding=SOME_RIGHT,
            slip=("dz @ W.T", "dz @ W.T * inputs"),
        ),
        Mistake(
            "one-path",
            "Only one path back was followed. An input reaches the loss through every output of the "
            "layer.",
            "How many outputs does one input take part in? How many of them does your d_in use?",
            "Add up over all outputs c: dz for c, times the weight from this input to c.",
            variants=(
                {"back": lambda W, dz: np.outer(dz[:, 0], W[:, 0])},
                {"back": lambda W, dz: np.outer(dz[:, -1], W[:, -1])},
            ),
            finding=SOME_RIGHT,
            slip=("dz @ W.T", "np.outer(dz[:, 0], W[:, 0])"),
        ),
        Mistake(
            "swapped-order",
            "All three gradients seem to be there, but not in the order that the task asks for.",
            "Compare the shape of each with what it belongs to.",
            "Return dW, db, d_in.",
            detect=_swapped,
            finding="With N = {N}, the shapes say that you returned `{order}`.",
            slip=("return dW, db, d_in", "return d_in, dW, db"),
        ),
    ),
    hints=(
        "Write down the shapes of the three results. Which products of inputs, dz and W have them?",
        "An input reaches the loss through all outputs, each time with a weight: that is a row of dz "
        "times a column of the transposed W.",
    ),
)


def _backward_mse(
    X,
    T,
    W1,
    b1,
    W2,
    b2,
    *,
    activation=np.tanh,
    slope=lambda z1, a1, da1: 1 - a1**2,
    output=identity,
    output_slope=one,
    sign=1,
    factor=1,
    examples=lambda N: 1 / N,
    classes=one,
    bias_examples=one,
):
    """Return the gradients of ½ (s − T)², summed over the outputs and averaged over the examples."""
    z1 = X @ W1 + b1
    a1 = activation(z1)
    scores = a1 @ W2 + b2
    N, C = scores.shape
    error = sign * factor * (output(scores) - T) * output_slope(scores)
    dscores = error * examples(N) * classes(C)
    dW2, db2, da1 = _layer_backward(a1, W2, dscores)
    dW1, db1, _ = _layer_backward(X, W1, da1 * slope(z1, a1, da1))
    return dW1, db1 * bias_examples(N), dW2, db2 * bias_examples(N)


def _backward_mse_probes():
    rng = np.random.default_rng(36)
    for sizes in _SIZES:
        X, *parameters = _network(rng, **sizes)
        targets = rng.standard_normal((sizes["N"], sizes["C"]))
        yield Probe((X, targets, *parameters), sizes)


_MSE_SEED = "dscores = (scores - T) / N"
_MSE_RETURN = "return dW1, db1, dW2, db2"
_MSE_FORWARD = "a1 = np.tanh(X @ W1 + b1)"
backward_mse = Exercise(
    name="backward_mse",
    day=29,
    signature="backward_mse(X, T, W1, b1, W2, b2)",
    task="returns (dW1, db1, dW2, db2) for tanh in the hidden layer and half the squared error, "
    "summed over the outputs and averaged over the examples",
    right=_backward_mse,
    outputs=("dW1", "db1", "dW2", "db2"),
    probes=_backward_mse_probes,
    trial=_with_flat_gradients,
    adapters=(_with_flat_biases,),
    mistakes=(
        Mistake(
            "softmax-kept",
            "The scores went through a softmax. Squared error compares the scores themselves with "
            "the targets.",
            "Which function of the scores does this loss contain?",
            "This loss has no probabilities in it: its last step is a difference and a square.",
            variants=({"output": _softmax},),
            finding=SOME_RIGHT,
            slip=(_MSE_SEED, "dscores = (softmax(scores) - T) / N"),
        ),
        Mistake(
            "sign",
            "The sign is flipped: a step against this gradient goes uphill.",
            "If a score is above its target, should its gradient be positive or negative?",
            "It is the score minus the target, not the target minus the score.",
            variants=({"sign": -1},),
            finding=SOME_RIGHT,
            slip=("(scores - T)", "(T - scores)"),
        ),
        Mistake(
            "no-batch-average",
            "The loss is a mean over the batch, and so is its gradient. A factor of N is left.",
            "What in this loss is divided by the number of rows?",
            "Divide by N once, at the scores; everything after it inherits the factor.",
            variants=({"examples": one},),
            finding=_BATCH_RATIO,
            slip=(_MSE_SEED, "dscores = scores - T"),
        ),
        Mistake(
            "mean-over-entries",
            "The error was averaged over the outputs as well, but this loss sums over them.",
            "What did you divide by: the number of rows, or the number of entries in (N, C)?",
            "Divide by N only. A mean without an axis, or `.size`, also counts the outputs.",
            variants=({"classes": lambda C: 1 / C}, {"classes": lambda C: 2 / C}),
            finding=_RATIO + ", and there are {C} outputs.",
            slip=(_MSE_SEED, "dscores = (scores - T) / scores.size"),
        ),
        Mistake(
            "factor-two",
            "Everything is twice too large: the ½ of this loss cancels the 2 of the square.",
            "What is the derivative of u²/2?",
            "Differentiate ½ (s − t)² with respect to s; no factor is left.",
            variants=({"factor": 2},),
            finding=_RATIO + ".",
            slip=(_MSE_SEED, "dscores = 2 * (scores - T) / N"),
        ),
        Mistake(
            "relu-kept",
            "The hidden layer still has a ReLU, with its mask. Here the activation is tanh.",
            "Which function does the first layer apply in this exercise?",
            "Both places change: the value in the forward pass and the slope in the backward pass.",
            variants=({"activation": _relu, "slope": lambda z1, a1, da1: z1 > 0},),
            finding=SOME_RIGHT,
            slip=(
                "a1 = np.tanh(X @ W1 + b1)\n    scores = a1 @ W2 + b2\n\n"
                "    dscores = (scores - T) / N  # the first change\n"
                "    dW2, db2, da1 = layer_backward(a1, W2, dscores)\n"
                "    dz1 = da1 * (1 - a1**2)",
                "a1 = np.maximum(0, X @ W1 + b1)\n    scores = a1 @ W2 + b2\n\n"
                "    dscores = (scores - T) / N\n"
                "    dW2, db2, da1 = layer_backward(a1, W2, dscores)\n"
                "    dz1 = da1 * (a1 > 0)",
            ),
        ),
        Mistake(
            "mask-kept",
            "The forward pass has a tanh, but the backward pass still uses ReLU's mask.",
            "How steep is tanh at z = 3, and how steep is ReLU?",
            "The slope of tanh is 1 − tanh²(z), and tanh(z) is already there: it is a1.",
            variants=({"slope": lambda z1, a1, da1: z1 > 0},),
            finding=SOME_RIGHT,
            slip=("(1 - a1**2)", "(a1 > 0)"),
        ),
        Mistake(
            "missing-slope",
            "The gradient went through the tanh as if it were not there.",
            "By what does the chain rule multiply when you go from a1 back to z1?",
            "Between da1 and dz1, multiply by the slope of tanh.",
            variants=({"slope": one},),
            finding=SOME_RIGHT,
            slip=("da1 * (1 - a1**2)", "da1"),
        ),
        Mistake(
            "slope-of-a",
            "The slope of tanh was taken at a1, but tanh was applied to z1: one tanh too many.",
            "1 − tanh²(z) at z = z1: what is tanh(z1), and have you already computed it?",
            "The slope is 1 − a1², with the a1 from the forward pass.",
            variants=({"slope": lambda z1, a1, da1: 1 - np.tanh(a1) ** 2},),
            finding=SOME_RIGHT,
            slip=("a1**2", "np.tanh(a1) ** 2"),
        ),
        Mistake(
            "slope-of-z",
            "The slope has z1² where tanh²(z1) belongs.",
            "What is the slope of tanh far from 0? Can 1 − z1² be that?",
            "The slope is 1 − a1², not 1 − z1².",
            variants=({"slope": lambda z1, a1, da1: 1 - z1**2},),
            finding=SOME_RIGHT,
            slip=("a1**2", "(X @ W1 + b1) ** 2"),
        ),
        Mistake(
            "no-square",
            "A square is missing in the slope of tanh.",
            "The slope of tanh is the same at z and at −z. Is yours?",
            "The slope is 1 − a1², not 1 − a1.",
            variants=({"slope": lambda z1, a1, da1: 1 - a1},),
            finding=SOME_RIGHT,
            slip=("1 - a1**2", "1 - a1"),
        ),
        Mistake(
            "wrong",
            "That is the slope of the sigmoid, a1 · (1 − a1). The activation here is tanh.",
            "What does the quotient rule give for tanh, which is (eᶻ − e⁻ᶻ) / (eᶻ + e⁻ᶻ)?",
            "The derivative of the numerator is the denominator, and the other way round. Divide by the "
            "square of the denominator: each of the two terms is then 1 or a power of tanh.",
            variants=({"slope": lambda z1, a1, da1: a1 * (1 - a1)},),
            finding=SOME_RIGHT,
            slip=("(1 - a1**2)", "a1 * (1 - a1)"),
        ),
        Mistake(
            "tanh-on-scores",
            "The scores went through a tanh as well, but the last layer is linear: a target may be 5.",
            "Which is the largest score that your network can give?",
            "Only the hidden layer has an activation.",
            variants=(
                {"output": np.tanh},
                {"output": np.tanh, "output_slope": lambda s: 1 - np.tanh(s) ** 2},
            ),
            finding=SOME_RIGHT,
            slip=("scores = a1 @ W2 + b2", "scores = np.tanh(a1 @ W2 + b2)"),
        ),
        Mistake(
            "bias-mean",
            "The bias gradients were averaged over the batch, but they should be summed: the "
            "division by N has already happened at the scores.",
            "How often is your bias gradient divided by N, and how often your weight gradient?",
            "After the division at the scores, bias gradients are plain sums over the rows.",
            variants=({"bias_examples": lambda N: 1 / N},),
            finding=_BATCH_RATIO,
            slip=(_MSE_RETURN, "return dW1, db1 / N, dW2, db2 / N"),
        ),
    ),
    hints=(
        "Two lines of `backward` change: the one that starts at the scores, and the one that goes "
        "through the activation.",
        "What is the derivative of ½ (s − t)² with respect to s? And what does the quotient rule give "
        "for tanh, which is (eᶻ − e⁻ᶻ) / (eᶻ + e⁻ᶻ)? Write the result with tanh itself.",
    ),
)


def _backward3(
    X,
    y,
    W1,
    b1,
    W2,
    b2,
    W3,
    b3,
    *,
    activation2=_relu,
    mask2=lambda z, da: z > 0,
    mask1=lambda z, da: z > 0,
    target=_one_hot,
    sign=1,
    examples=lambda N: 1 / N,
    passed=lambda da2, dz2: dz2,
    hidden=lambda z, a: a,
    bias_examples=one,
):
    z1 = X @ W1 + b1
    a1 = _relu(z1)
    z2 = a1 @ W2 + b2
    a2 = activation2(z2)
    p = _softmax(a2 @ W3 + b3)
    N, C = p.shape
    dscores = sign * (p - target(y, C)) * examples(N)
    dW3, db3, da2 = _layer_backward(hidden(z2, a2), W3, dscores)
    dz2 = da2 * mask2(z2, da2)
    dW2, db2, _ = _layer_backward(hidden(z1, a1), W2, dz2)
    _, _, da1 = _layer_backward(a1, W2, passed(da2, dz2))
    dW1, db1, _ = _layer_backward(X, W1, da1 * mask1(z1, da1))
    scale = bias_examples(N)
    return dW1, db1 * scale, dW2, db2 * scale, dW3, db3 * scale


def _backward3_probes():
    rng = np.random.default_rng(37)
    for N, *widths in ((7, 4, 6, 5, 3), (6, 3, 4, 7, 5), (4, 4, 4, 4, 4)):
        X = rng.standard_normal((N, widths[0]))
        parameters = []
        for n_in, n_out in itertools.pairwise(widths):
            parameters += [rng.standard_normal((n_in, n_out)), rng.standard_normal((1, n_out))]
        y = rng.permutation(np.arange(N) % (widths[-1] - 1))  # the last class does not occur
        yield Probe((X, y, *parameters), dict(zip("NDHKC", (N, *widths), strict=True)))


_RETURN3 = "return dW1, db1, dW2, db2, dW3, db3"
backward3 = Exercise(
    name="backward3",
    day=29,
    signature="backward3(X, y, W1, b1, W2, b2, W3, b3)",
    task="returns (dW1, db1, dW2, db2, dW3, db3) of the mean cross-entropy of a network with two "
    "hidden layers, each with a ReLU",
    right=_backward3,
    outputs=("dW1", "db1", "dW2", "db2", "dW3", "db3"),
    probes=_backward3_probes,
    trial=_with_flat_gradients,
    adapters=(_with_flat_biases,),
    mistakes=(
        Mistake(
            "one-hot-not-subtracted",
            "The error at the scores is p − one-hot. Here it is only p, so every class is pushed "
            "down, even the true one.",
            "Where are the labels in your code?",
            "Subtract 1 from the probability of the true class in every row.",
            variants=({"target": zero},),
            finding=SOME_RIGHT,
            slip=("dscores[np.arange(N), y] -= 1", "pass"),
        ),
        Mistake(
            "no-batch-average",
            "The loss is a mean over the batch, and so is its gradient. A factor of N is left.",
            "What in the loss is divided by the number of rows?",
            "Divide by N once, at the scores; everything after it inherits the factor.",
            variants=({"examples": one},),
            finding=_BATCH_RATIO,
            slip=("dscores /= N", "pass"),
        ),
        Mistake(
            "sign",
            "The sign is flipped: a step against this gradient goes uphill.",
            "Should the score of the true class have a negative or a positive gradient?",
            "It is p − one-hot, not one-hot − p.",
            variants=({"sign": -1},),
            finding=SOME_RIGHT,
            slip=("dscores /= N", "dscores /= -N"),
        ),
        Mistake(
            "skips-the-mask",
            "The second layer's own gradients are right, but what it hands down to the first was "
            "computed from da2, before the mask.",
            "From which array do you compute dW2, and from which da1?",
            "All three results of a layer come from the same gradient, dz2.",
            variants=({"passed": lambda da2, dz2: da2},),
            finding=SOME_RIGHT,
            slip=(
                "dz1 = da1 * (z1 > 0)",
                "da1 = da2 @ W2.T\n    dz1 = da1 * (z1 > 0)",
            ),
        ),
        Mistake(
            "missing-relu-mask",
            "A gradient went through hidden units that were off.",
            "How many ReLUs are in the forward pass, and how many masks are in your backward pass?",
            "Each hidden layer has its own mask: z2 > 0 between da2 and dz2, z1 > 0 between da1 and dz1.",
            variants=both_or_one(mask1=one, mask2=one),
            finding=SOME_RIGHT,
            slip=("da2 * (z2 > 0)", "da2"),
        ),
        Mistake(
            "mask-from-gradient",
            "A mask was taken from the gradient, but in the forward pass it was the value z that "
            "switched the unit on or off.",
            "In the forward pass, which array decided whether the ReLU let a value through?",
            "The masks are z2 > 0 and z1 > 0, regardless of the sign of the gradient.",
            variants=both_or_one(mask1=lambda z, da: da > 0, mask2=lambda z, da: da > 0),
            finding=SOME_RIGHT,
            slip=("(z2 > 0)", "(da2 > 0)"),
        ),
        Mistake(
            "wrong",
            "The gradient was multiplied by the hidden values. ReLU's slope is 1 where a unit was "
            "on and 0 where it was off.",
            "What is the derivative of max(0, z) at z = 3?",
            "Multiply by the mask, which is 0 or 1, not by a1 or a2, and not by z1 or z2.",
            variants=(
                *both_or_one(mask1=lambda z, da: _relu(z), mask2=lambda z, da: _relu(z)),
                *both_or_one(mask1=lambda z, da: z, mask2=lambda z, da: z),
            ),
            finding=SOME_RIGHT,
            slip=("(z2 > 0)", "a2"),
        ),
        Mistake(
            "missing-relu",
            "This is the gradient of a network whose second hidden layer has no ReLU.",
            "What happens to a negative value in the second hidden layer?",
            "Both hidden layers apply max(0, z), and both have a mask on the way back.",
            variants=({"activation2": identity, "mask2": one}, {"activation2": identity}),
            finding=SOME_RIGHT,
            slip=("a2 = np.maximum(0, z2)", "a2 = z2"),
        ),
        Mistake(
            "uses-z-for-inputs",
            "The gradient of a weight is the input of its layer times the gradient of its output. "
            "The inputs of the upper layers are a1 and a2, after the activation.",
            "What is W2 (or W3) multiplied by in the forward pass?",
            "Use a2 for dW3 and a1 for dW2.",
            variants=({"hidden": lambda z, a: z},),
            finding=SOME_RIGHT,
            slip=(
                "dz1 = da1 * (z1 > 0)",
                "dW3, dW2 = z2.T @ dscores, z1.T @ dz2\n    dz1 = da1 * (z1 > 0)",
            ),
        ),
        Mistake(
            "bias-mean",
            "The bias gradients were averaged over the batch, but they should be summed: the "
            "division by N has already happened at the scores.",
            "How often is your bias gradient divided by N, and how often your weight gradient?",
            "After the division at the scores, bias gradients are plain sums over the rows.",
            variants=({"bias_examples": lambda N: 1 / N},),
            finding=_BATCH_RATIO,
            slip=(_RETURN3, "return dW1, db1 / N, dW2, db2 / N, dW3, db3 / N"),
        ),
        Mistake(
            "swapped-order",
            "All gradients seem to be there, but not in the order that the task asks for.",
            "Compare the shape of each gradient with the shape of its parameter.",
            "Return dW1, db1, dW2, db2, dW3, db3: first layer first, weights before biases.",
            detect=_swapped,
            finding="By their shapes, you returned `{order}`.",
            slip=(_RETURN3, "return dW3, db3, dW2, db2, dW1, db1"),
        ),
    ),
    hints=(
        "Draw the three layers and two ReLUs in a row, and walk back from the scores: layer, ReLU, "
        "layer, ReLU, layer.",
        "`layer_backward` gives you a layer's two gradients and what the ReLU below it receives.",
    ),
)


# The second example of the pass by hand, and what each number is computed from.
_W1, _B1 = np.array([[0.5, -1.0], [0.25, 0.25]]), np.array([1.0, -0.5])
_W2, _B2 = np.array([[1.0, -1.0], [2.0, 0.5]]), np.array([0.0, 1.0])
_X, _TRUE = np.array([-2.0, -1.0]), np.array([1.0, 0.0])
_FOLLOWS_FROM = {
    "z1": "x, W1 and b1",
    "a1": "z1",
    "scores": "a1, W2 and b2",
    "probs": "scores",
    "loss": "probs and the true class",
    "dscores": "probs and the true class",
    "da1": "dscores and W2",
    "dz1": "da1 and z1",
    "dW1": "x and dz1",
}


# Hints on each row, from a question to what to compute.
_HINTS_BY_HAND = {
    "z1": (
        "Which column of W1 belongs to the first hidden unit, and which to the second?",
        "Each hidden unit has one column of W1, and a bias: multiply x by the column, add up, add the "
        "bias.",
        "z1[0] is x[0] · W1[0, 0] + x[1] · W1[1, 0] + b1[0]. Mind the signs: both inputs are negative.",
    ),
    "a1": (
        "What does ReLU do to each of the two numbers in z1?",
        "It leaves a positive number as it is and stops a negative one.",
        "a1[0] is max(0, z1[0]), and a1[1] is max(0, z1[1]).",
    ),
    "scores": (
        "What are the inputs of the second layer: z1 or a1?",
        "Each score has one column of W2, and a bias: multiply a1 by the column, add up, add the bias.",
        "scores[0] is a1[0] · W2[0, 0] + a1[1] · W2[1, 0] + b2[0].",
    ),
    "probs": (
        "What do the two probabilities add up to? Do yours?",
        "Take the exponential of each score, then divide each by the sum of both.",
        "probs[0] is exp(scores[0]) / (exp(scores[0]) + exp(scores[1])), and probs[1] is the rest.",
    ),
    "loss": (
        "Which class is the true one in this example, and how probable is it to the network?",
        "The loss is minus the natural logarithm of one of the two probabilities.",
        "It is −ln(probs[0]), since the first class is the true one.",
    ),
    "dscores": (
        "What is the label of this example, as two numbers? It is another one than in the first.",
        "The probabilities minus the one-hot label: one number is negative, and they add up to 0.",
        "dscores[0] is probs[0] − 1, and dscores[1] is probs[1] − 0.",
    ),
    "da1": (
        "Through how many scores does a hidden unit reach the loss, and with which weights?",
        "Unit i reaches both scores: row i of W2 times dscores, added up.",
        "da1[0] is W2[0, 0] · dscores[0] + W2[0, 1] · dscores[1].",
    ),
    "dz1": (
        "Which unit did ReLU stop in the forward pass?",
        "The gradient passes where z1 is positive, whatever its own sign, and is 0 elsewhere.",
        "Compare z1 with 0: where it is negative, dz1 is 0; where it is positive, dz1 is da1.",
    ),
    "dW1": (
        "What is each weight of W1 multiplied by in the forward pass?",
        "The gradient of a weight is its input times dz1 of its unit.",
        "The first row is x[0] · dz1, and the second row is x[1] · dz1.",
    ),
}


def _rows_by_hand():
    """Return {row: (right value, {id: values that this mistake would give})}."""
    z1 = _X @ _W1 + _B1
    a1 = _relu(z1)
    scores = a1 @ _W2 + _B2
    p = _softmax(scores[None])[0]
    loss = -np.log(p @ _TRUE)
    ds = p - _TRUE
    da1 = _W2 @ ds
    dz1 = da1 * (z1 > 0)
    other = 1 - _TRUE
    return {
        "z1": (z1, {"missing-bias": [_X @ _W1], "transposed-weights": [_W1 @ _X + _B1]}),
        "a1": (a1, {"missing-relu": [z1]}),
        "scores": (scores, {"missing-bias": [a1 @ _W2], "transposed-weights": [_W2 @ a1 + _B2]}),
        "probs": (p, {"no-exponential": [scores / scores.sum()], "wrong-class": [p[::-1]]}),
        "loss": (
            loss,
            {
                "wrong-class": [-np.log(p @ other)],
                "sign": [-loss],
                "log-base": [loss / np.log(2), loss / np.log(10)],
            },
        ),
        "dscores": (
            ds,
            {"sign": [-ds], "wrong-class": [p - other], "one-hot-not-subtracted": [p]},
        ),
        "da1": (
            da1,
            {
                "one-path": [_W2[:, 0] * ds[0], _W2[:, 1] * ds[1]],
                "transposed-weights": [ds @ _W2],
                "sign": [-da1],
            },
        ),
        "dz1": (
            dz1,
            {
                "missing-relu-mask": [da1, da1 * (z1 <= 0)],  # both units, or the wrong one
                "mask-from-gradient": [da1 * (da1 > 0)],
            },
        ),
        "dW1": (
            np.outer(_X, dz1),
            {
                "transposed": [np.outer(dz1, _X)],
                "missing-relu-mask": [np.outer(_X, da1), np.outer(_X, da1 * (z1 <= 0))],
                "wrong-input": [np.outer(a1, dz1), np.outer(z1, dz1)],
                "sign": [np.outer(-_X, dz1)],
            },
        ),
    }


def _numbers_of(answer):
    """Return a flat array of numbers, or None."""
    numbers = as_numbers(answer)
    return None if numbers is None else np.ravel(numbers)


def _judge_by_hand(answers):
    """Return (id, finding) for the first row that is not right, or None."""
    if not isinstance(answers, Mapping):
        return "wrong-type", (
            "The answer should be a dictionary {row: numbers}; got " + type(answers).__name__ + "."
        )
    rows = _rows_by_hand()
    unknown = [name for name in answers if name not in rows]
    if unknown:
        return "wrong", f"There is no row {unknown[0]!r}; the rows are {', '.join(rows)}."
    so_far = []
    for name, (right, slips) in rows.items():
        if name not in answers:
            continue
        got, expected = _numbers_of(answers[name]), np.ravel(right)
        if got is None:
            return "wrong-type", f"`{name}` should be {expected.size} numbers."
        if got.shape != expected.shape:
            return (
                "wrong-shape",
                f"`{name}` has {got.size} numbers, where {expected.size} were expected.",
            )
        if not np.isfinite(got).all():
            return "not-finite", f"`{name}` holds a number that is not finite."
        if _rounded_alike(name, got, expected):
            so_far.append(name)
            continue
        finding = f"`{name}` is not right yet; it follows from {_FOLLOWS_FROM[name]}."
        if so_far:
            finding = f"Right: {in_words(so_far)}. {finding}"
        for id_, values in slips.items():
            if any(_rounded_alike(name, got, np.ravel(value)) for value in values):
                return id_, finding
        return "wrong", finding
    open_ = [name for name in rows if name not in answers]
    if open_:
        return "not-attempted", f"Right so far: {in_words(so_far)}. Next: `{open_[0]}`."
    return None


def _rounded_alike(name, got, expected):
    """Return whether the numbers agree if all rows are rounded to two digits after the point.

    Rows that are computed from rounded rows carry their errors on, multiplied by weights or inputs.
    Examples: −0.29 in dscores for −0.2942 gives 0.87 in dW1 for 0.8827; 0.71 in probs for 0.7058
    gives 0.34 in the loss for 0.3484.
    """
    allowed = 0.012 if name == "loss" else 0.0075
    if name in ("da1", "dz1", "dW1"):
        allowed = np.maximum(0.016, 0.035 * np.abs(expected))
    return bool((np.abs(got - expected) < allowed).all())


class _RowByRow(Form):
    """A `Question` that gives hints on the row which is to be done next, or done again."""

    def _judged(self, answers=None):
        about = dataclasses.replace(self, hints=_HINTS_BY_HAND[_row_to_do(answers)])
        return super(_RowByRow, about)._judged(answers)

    def _next_hint(self, mistake):
        # The hints on a row start from the first one, even after a mistake in another row.
        asked = (mistake, self.hints)
        at_first = () if mistake == "wrong" else ("",)
        return progress_store.next_hint(
            self.name, asked, (*at_first, *self.hints, *self._last_hint)
        )


def _row_to_do(answers):
    """Return the first row that is filled in but not right, else the first that is open."""
    rows = _rows_by_hand()
    if not isinstance(answers, Mapping):
        return next(iter(rows))
    filled = {name: answers[name] for name in rows if not is_open(answers.get(name))}
    for name, answer in filled.items():
        got, expected = _numbers_of(answer), np.ravel(rows[name][0])
        if got is None or got.shape != expected.shape or not _rounded_alike(name, got, expected):
            return name
    return next((name for name in rows if name not in filled), "dW1")


by_hand = _RowByRow(
    name="by_hand",
    day=29,
    signature="by_hand(answers)",
    task="takes a dictionary with the nine rows of your pass by hand; two digits after the point are "
    "enough, and rows may stay open",
    judge=_judge_by_hand,
    mistakes=(
        Mistake(
            "missing-bias",
            "The bias of this layer is missing.",
            "What should come out of this layer if all its inputs are 0?",
            "After the products, add the layer's bias.",
        ),
        Mistake(
            "transposed-weights",
            "Rows and columns of the matrix are exchanged. A row of W belongs to an input, a column to "
            "an output.",
            "Which weights does the first unit meet: those in the first row, or in the first column?",
            "Forward, unit j uses column j. Backward, unit i uses row i.",
        ),
        Mistake(
            "missing-relu",
            "A negative value was not stopped.",
            "What is max(0, z) for a negative z?",
            "Replace what is below 0 by 0.",
        ),
        Mistake(
            "no-exponential",
            "The scores were divided by their sum. The softmax divides their exponentials.",
            "What would your formula give for the scores 1 and −1?",
            "Take the exponential of each score first.",
        ),
        Mistake(
            "wrong-class",
            "The two classes are exchanged somewhere.",
            "Which class is the true one in this example? It is another one than in the first.",
            "The first number of each pair belongs to the first class, which is the true one here.",
        ),
        Mistake(
            "log-base",
            "The logarithm has another base.",
            "Which of the keys on a calculator, log or ln, is the natural logarithm?",
            "Use the natural logarithm.",
        ),
        Mistake(
            "sign",
            "A sign is flipped.",
            "If this number grows a little, does the loss grow or fall? Does your sign say so?",
            "A gradient is positive if the loss grows. The score of the true class should grow.",
        ),
        Mistake(
            "one-hot-not-subtracted",
            "These are the probabilities; the label is missing.",
            "What is the label of the true class, as two numbers?",
            "Subtract the one-hot label (1, 0) from the probabilities.",
        ),
        Mistake(
            "one-path",
            "Only one of the two paths was counted.",
            "Through how many scores does a hidden value reach the loss?",
            "Multiply along each path, then add up the two products.",
        ),
        Mistake(
            "missing-relu-mask",
            "The gradient went through the unit that was off.",
            "Which of the two hidden units was stopped by the ReLU in this example?",
            "Where z1 is negative, dz1 is 0.",
        ),
        Mistake(
            "mask-from-gradient",
            "The sign of the gradient was used as the mask.",
            "In the forward pass, which number decided whether the ReLU let a value through?",
            "The mask is where z1 is positive.",
        ),
        Mistake(
            "transposed",
            "Rows and columns are exchanged: row i of dW1 belongs to input i.",
            "How many inputs are there, and which of them does the first row of W1 belong to?",
            "The first row is the first input times dz1.",
        ),
        Mistake(
            "wrong-input",
            "The gradient was multiplied by the hidden values. The input of the first layer is x.",
            "What is W1 multiplied by in the forward pass?",
            "Row i of dW1 is input i times dz1.",
        ),
    ),
    hints=_HINTS_BY_HAND["z1"],
)


def suspects():
    """Return {"A", "B", "C": a wrong `backward3`} for `bug_hunt`. Introduced on Day 29.

    They take the parameters by name.
    """
    return {
        "A": _with_wrong_bias,
        "B": functools.partial(_backward3, examples=one),
        "C": functools.partial(_backward3, mask2=one),
    }


def _with_wrong_bias(X, y, **parameters):
    dW1, db1, dW2, db2, dW3, db3 = _backward3(X, y, **parameters)
    return dW1, db1, dW2, db2 / len(X), dW3, db3


# Which gradients a wrong line spoils: its own, and all that are computed from it.
_SPOILS = {
    "dscores": "W1 b1 W2 b2 W3 b3",
    "dW3": "W3",
    "db3": "b3",
    "da2": "W1 b1 W2 b2",
    "dz2": "W1 b1 W2 b2",
    "dW2": "W2",
    "db2": "b2",
    "da1": "W1 b1",
    "dz1": "W1 b1",
    "dW1": "W1",
    "db1": "b1",
}
_CULPRITS = {"A": ("db2",), "B": ("dscores",), "C": ("dz2", "da2")}


def _judge_bug_hunt(answers):
    """Return (id, finding) for the first line that does not fit its report, or None."""
    if not isinstance(answers, Mapping):
        return "wrong-type", (
            "The answer should be a dictionary {suspect: line}; got " + type(answers).__name__ + "."
        )
    unknown = [name for name in answers if name not in _CULPRITS]
    if unknown:
        return "wrong", f"There is no suspect {unknown[0]!r}; they are A, B and C."
    so_far = []
    for name, culprits in _CULPRITS.items():
        if name not in answers:
            continue
        line = str(answers[name]).partition("=")[0].strip().strip("`")
        if line not in _SPOILS:
            return "wrong", (
                f"{name}: there is no line that computes {line!r}; the lines are {', '.join(_SPOILS)}."
            )
        if line in culprits:
            so_far.append(name)
            continue
        finding = f"{name}: a wrong `{line}` would spoil {in_words(_SPOILS[line].split())}."
        if so_far:
            finding = f"Right: {' and '.join(so_far)}. {finding}"
        own, wrong = (set(_SPOILS[each].split()) for each in (line, culprits[0]))
        if own > wrong:
            return "spoils-too-much", finding
        if own < wrong:
            return "spoils-too-little", finding
        return "spoils-others", finding
    open_ = [name for name in _CULPRITS if name not in answers]
    if open_:
        return "not-attempted", f"Right so far: {' and '.join(so_far)}. Next: {open_[0]}."
    if answers["C"].strip().startswith("da2"):
        return None, (
            "By the pattern of right and wrong, `da2` fits too. But b2 has a gradient where the true "
            "one is 0: it went through a unit that was off. So the mask in `dz2` is missing."
        )
    return None


bug_hunt = Form(
    name="bug_hunt",
    day=29,
    signature="bug_hunt(answers)",
    task='takes a dictionary {suspect: line}, such as {"A": "dW3"}, which says for each suspect '
    "which line of `backward3` is wrong",
    judge=_judge_bug_hunt,
    mistakes=(
        Mistake(
            "spoils-too-much",
            "Some of these parameters are right in the report, so the bug sits further along.",
            "Which parameters in the report are right? Are they computed from that line?",
            "Look for the line from which all wrong parameters follow, and no right one.",
        ),
        Mistake(
            "spoils-too-little",
            "More than that is wrong in the report, so the bug sits before this line.",
            "Which wrong parameters does that line not reach? What do they have in common?",
            "Look for the first line from which all wrong parameters follow.",
        ),
        Mistake(
            "spoils-others",
            "The report shows other parameters as wrong.",
            "Which parameters have a large norm ratio? Which lines reach exactly those?",
            "Mark the wrong parameters in the list of lines, and go back to where they meet.",
        ),
    ),
    hints=(
        "For each suspect, which parameters are right, and which are wrong? A bug spoils its own line "
        "and everything computed from it.",
        "Divide the analytic gradient by the numerical one. Is it the same factor everywhere, and "
        "which number of this problem is it?",
    ),
)

EXERCISES = (
    forward,
    softmax,
    cross_entropy,
    by_hand,
    layer_backward,
    backward,
    numerical_gradient,
    sgd_step,
    backward_mse,
    backward3,
    bug_hunt,
)
