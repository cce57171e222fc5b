"""The exercises of Day 29: a two-layer network by hand.

Shapes, throughout: N examples, D features, H hidden units, C classes. The keyword-only
arguments of a right answer, such as `_softmax`, are the steps that its mistakes replace.
"""

import functools

import numpy as np

from nnweek.checks.comparing import as_numbers
from nnweek.checks.exercise import Exercise, Mistake, Probe
from nnweek.checks.steps import both_or_one, identity, one, zero
from nnweek.checks.wording import SOME_RIGHT

_RATIO = "{outputs} came out {ratio} times what they should be"
_BATCH_RATIO = _RATIO + ", and your batch has {N} rows."


_row_max, _column_max = (functools.partial(np.max, axis=i, keepdims=True) for i in (1, 0))
_row_sum, _column_sum = (functools.partial(np.sum, axis=i, keepdims=True) for i in (1, 0))


def _softmax(logits, *, shift=_row_max, total=_row_sum, finish=identity):
    exponentials = np.exp(logits - shift(logits))
    return finish(exponentials / total(exponentials))


def _softmax_probes():
    rng = np.random.default_rng(29)
    for N, C in ((4, 3), (3, 5), (4, 4)):
        yield Probe((2 * rng.standard_normal((N, C)),), {"N": N, "C": C})
    large = np.array([[1000.0, 999.0, 997.0], [998.0, 1000.0, 1000.0]])
    # Far apart within one row, so that nothing but the row's maximum works.
    wide = np.array([[0.0, 1000.0, -1000.0], [1000.0, 999.0, -1000.0]])
    rows_far_apart = np.array([[2000.0, 1999.0, 1998.0], [1.0, 0.0, 2.0]])
    for logits in (large, -large, wide):
        yield Probe((logits,), {"N": 2, "C": 3}, targets="no-max-subtraction")
    yield Probe((rows_far_apart,), {"N": 2, "C": 3}, targets="global-max")


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
            variants=both_or_one(total=_column_sum, shift=_column_max),
        ),
        Mistake(
            "global-normalisation",
            "The sum runs over the entire array, so all rows together sum to 1.",
            "What should each row of the result sum to, and what does it sum to?",
            "A sum without an axis is one number for the entire batch. Each row needs its own.",
            variants=({"total": np.sum}, {"total": np.sum, "shift": np.max}),
        ),
        Mistake(
            "no-normalisation",
            "These are exponentials: they are positive, but they do not sum to 1.",
            "What is the second half of the softmax formula?",
            "Each exponential still has to be divided by the sum of its row.",
            variants=({"total": one}, {"total": one, "shift": zero}),
        ),
        Mistake(
            "log-softmax",
            "These are logarithms of probabilities: none of them is above 0.",
            "Can a probability be negative?",
            "Return the probabilities; the logarithm comes later, in the cross-entropy.",
            variants=({"finish": np.log},),
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
        ),
        Mistake(
            "global-max",
            "One maximum was subtracted from the entire batch. In a row far below it, every "
            "exponential is 0, and 0/0 is NaN.",
            "If one row has scores near 2000 and another near 1, what is left of the second "
            "row after your subtraction?",
            "Each row needs its own maximum, kept as a column so that the shapes broadcast.",
            variants=({"shift": np.max},),
        ),
    ),
    hints=(
        "Work out one row by hand first: the exponentials, their sum, then the quotients.",
        "Over which axis do you sum, so that every row sums to 1? Does it work for scores of 1000?",
    ),
)


def _true_class(logs, y):
    return logs[np.arange(len(y)), y]


def _cross_entropy(
    probs,
    y,
    *,
    floor=1e-12,
    log=np.log,
    pick=_true_class,
    reduce=np.mean,
    classes=one,
    sign=-1,
):
    picked = pick(log(np.maximum(probs, floor)), y)
    return sign * reduce(picked) / classes(probs.shape[1])


def _cross_entropy_probes():
    rng = np.random.default_rng(30)
    for N, C in ((7, 3), (4, 5), (5, 5), (6, 2)):
        # Every probability is at least 0.02, where all ways to set a floor give the same loss.
        probs = 0.02 + rng.dirichlet(np.ones(C), size=N) * (1 - 0.02 * C)
        y = rng.integers(0, C, size=N)
        yield Probe((probs, y), {"N": N, "C": C})
    # Certain and right: a product with one-hot labels computes 0 · log 0 here, which is NaN.
    certain = np.array([[0.0, 1.0, 0.0], [0.5, 0.25, 0.25]])
    yield Probe((certain, np.array([1, 0])), {"N": 2, "C": 3}, targets="log-of-zero")

    def has_a_small_floor(loss, _):
        loss_of_the_zero = 2 * float(loss) - np.log(4)
        return bool(16.0 <= loss_of_the_zero <= 1000)  # 16 is −log of 1e-7

    args = certain, np.array([0, 1])
    yield Probe(args, {"N": 2, "C": 3}, targets="log-of-zero", accept=has_a_small_floor)


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
        ),
        Mistake(
            "all-classes",
            "The loss uses the logarithms of all classes, not only that of the true class.",
            "Of the C probabilities in a row, how many does the loss of that example use?",
            "From row n, take only the probability of class y[n].",
            variants=({"pick": lambda logs, y: logs}, {"pick": lambda logs, y: logs.sum(axis=1)}),
        ),
        Mistake(
            "sum-not-mean",
            "This is the sum over the batch: it grows with the number of examples.",
            "Would a batch twice as large have a loss twice as large? Should it?",
            "Average over the N examples.",
            variants=({"reduce": np.sum},),
            finding="{first} That is {ratio} times as large, and the batch has {N} rows.",
        ),
        Mistake(
            "mean-over-classes",
            "The average was taken over N·C numbers, but only N of them are losses.",
            "How many examples are in the batch, and what did you divide by?",
            "Divide by N only: each example contributes one number.",
            variants=({"classes": identity},),
            finding="{first} That is {ratio} times as large, and there are {C} classes.",
        ),
        Mistake(
            "log-base",
            "The logarithm has a different base: the loss is in bits or in decimal digits.",
            "Which logarithm has the derivative 1/p?",
            "This course measures the cross-entropy in nats: use the natural logarithm.",
            variants=({"log": np.log2}, {"log": np.log10}),
            finding="{first} That is {ratio} times as large; 1/ln 2 is 1.4427, and 1/ln 10 is 0.4343.",
        ),
        Mistake(
            "log-of-zero",
            "A network may give the true class a probability that rounds to 0, and the logarithm "
            "of 0 is minus infinity.",
            "What should the loss of a confident wrong answer be: large, or infinite?",
            "Put a small floor, 1e-7 or less, under the probabilities before the logarithm.",
            variants=({"floor": 0.0},),
            finding="With a probability of exactly 0 in the batch, the loss is {got}. {problem}",
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


def _forward(
    X, W1, b1, W2, b2, *, first=1, second=1, activation=_relu, output=identity, finish=identity
):
    """Return the scores; `first` and `second` multiply the biases, `output` is an activation."""
    a1 = activation(X @ W1 + first * b1)
    return finish(output(a1 @ W2 + second * b2))


def _network(rng, N, D, H, C):
    """Draw X, W1, b1, W2, b2 so that every part of the network matters."""
    shapes = (N, D), (D, H), (H,), (H, C), (C,)
    return tuple(rng.standard_normal(shape) for shape in shapes)


# The last one has all sizes equal: there, no mistake is given away by a shape or an exception.
_SIZES = (
    {"N": 8, "D": 5, "H": 6, "C": 4},
    {"N": 5, "D": 3, "H": 7, "C": 2},
    {"N": 4, "D": 4, "H": 4, "C": 4},
)


def _forward_probes():
    rng = np.random.default_rng(31)
    for sizes in _SIZES:
        yield Probe(_network(rng, **sizes), sizes)


forward = Exercise(
    name="forward",
    day=29,
    signature="forward(X, W1, b1, W2, b2)",
    task="returns the scores (N, C) of a two-layer network with a ReLU between the layers",
    right=_forward,
    outputs=("scores",),
    probes=_forward_probes,
    mistakes=(
        Mistake(
            "missing-relu",
            "Without a nonlinearity between them, two linear layers amount to one.",
            "What happens between the first product and the second?",
            "Negative hidden values must become 0 before they are multiplied by W2.",
            variants=({"activation": identity},),
        ),
        Mistake(
            "sigmoid-instead",
            "The hidden values went through a sigmoid, which squeezes them between 0 and 1.",
            "Which activation does this network use? What does it do to a hidden value of 3?",
            "ReLU leaves positive values unchanged and sets all others to 0.",
            variants=({"activation": _sigmoid},),
        ),
        Mistake(
            "relu-on-scores",
            "The scores themselves went through a ReLU: none is negative, and all classes whose "
            "scores should be negative look the same.",
            "What is the smallest score that you return? May a score be negative?",
            "Only the hidden layer has an activation; the last layer is linear.",
            variants=({"output": _relu},),
        ),
        Mistake(
            "softmax-included",
            "These are probabilities, not scores: each row sums to 1.",
            "What do the rows of your result sum to?",
            "The scores come before the softmax; the loss applies it afterwards.",
            variants=({"finish": _softmax},),
        ),
        Mistake(
            "missing-b1",
            "These are the scores of a network whose first layer has no bias.",
            "If X is all zeros, which hidden values should come out?",
            "`b1` is part of z1, before the ReLU.",
            variants=({"first": 0},),
        ),
        Mistake(
            "missing-b2",
            "These are the scores of a network whose second layer has no bias.",
            "If every hidden unit is 0, which scores should come out?",
            "`b2` is added to the scores, in every row.",
            variants=({"second": 0},),
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
    probabilities=_softmax,
    target=_one_hot,
    sign=1,
    examples=lambda N: 1 / N,
    classes=one,
    hidden=lambda X, z1, a1: a1,
    mask=lambda z1, da1: z1 > 0,
    bias=lambda d: d.sum(axis=0),
):
    X, y = np.asarray(X, dtype=float), np.asarray(y)
    z1 = X @ W1 + b1
    a1 = np.maximum(0, z1)
    scores = a1 @ W2 + b2
    N, C = scores.shape
    error = sign * (probabilities(scores) - target(y, C))
    dscores = error * examples(N) * classes(C)
    da1 = dscores @ np.transpose(W2)
    dz1 = da1 * mask(z1, da1)
    return X.T @ dz1, bias(dz1), hidden(X, z1, a1).T @ dscores, bias(dscores)


def _backward_probes():
    rng = np.random.default_rng(32)
    for sizes in _SIZES:
        X, *parameters = _network(rng, **sizes)
        y = rng.integers(0, sizes["C"], size=sizes["N"])
        yield Probe((X, y, *parameters), sizes)


def _with_flat_biases(function, X, y, W1, b1, W2, b2):
    """Call `backward`; a bias gradient may have the shape (1, H) instead of (H,)."""
    value = function(X, y, W1, b1, W2, b2)
    if not isinstance(value, (list, tuple)):
        return value
    return [_flat(gradient, len(b1), len(b2)) for gradient in value]


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


backward = Exercise(
    name="backward",
    day=29,
    signature="backward(X, y, W1, b1, W2, b2)",
    task="returns (dW1, db1, dW2, db2), the gradients of the mean cross-entropy",
    right=_backward,
    outputs=("dW1", "db1", "dW2", "db2"),
    probes=_backward_probes,
    trial=_with_flat_biases,
    mistakes=(
        Mistake(
            "probs-not-softmaxed",
            "The error at the scores is p − one-hot, but this one uses raw scores in place of the "
            "probabilities p.",
            "What has to happen to the scores before the one-hot labels are subtracted?",
            "The gradient starts from softmax(scores), as the loss does.",
            variants=({"probabilities": identity},),
            finding=SOME_RIGHT,
        ),
        Mistake(
            "one-hot-not-subtracted",
            "The error at the scores is p − one-hot. Here it is only p, so every class is pushed "
            "down, even the true one.",
            "The error is the prediction minus the target: where is the target in your code?",
            "Subtract 1 from the probability of the true class in every row.",
            variants=({"target": zero},),
            finding=SOME_RIGHT,
        ),
        Mistake(
            "sign",
            "The sign is flipped: a step against this gradient goes uphill.",
            "Should the score of the true class have a negative or a positive gradient?",
            "It is p − one-hot, not one-hot − p.",
            variants=({"sign": -1},),
            finding="{outputs} came out with the wrong sign: {where} is {got}, not {expected}.",
        ),
        Mistake(
            "no-batch-average",
            "The loss is a mean over the batch, and so is its gradient. A factor of N is left.",
            "What in your loss is divided by the number of rows? How does that change its gradient?",
            "Divide by N once, at the scores; everything after it inherits the factor.",
            variants=({"examples": one},),
            finding="{outputs} came out {ratio} times too large, and your batch has {N} rows.",
        ),
        Mistake(
            "mean-over-classes",
            "The error was averaged over the classes as well, but a loss sums over them.",
            "What did you divide by: the number of rows, or the number of entries in (N, C)?",
            "Divide by N only. A mean without an axis, or `.size`, also counts the classes.",
            variants=({"classes": lambda C: 1 / C},),
            finding=_RATIO + ", and there are {C} classes.",
        ),
        Mistake(
            "missing-relu-mask",
            "The gradient went through hidden units that were off: the slope of ReLU is 0 where "
            "z1 is negative.",
            "If a hidden unit is 0 because z1 < 0, does a small change of z1 change the loss?",
            "Between da1 and dz1, set to 0 every entry where z1 ≤ 0.",
            variants=({"mask": lambda z1, da1: 1},),
            finding=SOME_RIGHT,
        ),
        Mistake(
            "mask-from-gradient",
            "The mask was taken from the gradient da1, but in the forward pass it was the value z1 "
            "that switched the unit on or off.",
            "In the forward pass, which array decided whether the ReLU let a value through?",
            "The mask is where z1 > 0, regardless of the sign of da1.",
            variants=({"mask": lambda z1, da1: da1 > 0},),
            finding=SOME_RIGHT,
        ),
        Mistake(
            "uses-input-for-dW2",
            "The gradient of a weight is the input of its layer times the error at its output. "
            "The input of the second layer is a1, after the activation.",
            "What is W2 multiplied by in the forward pass?",
            "dW2 is a1ᵀ times the error at the scores, not z1ᵀ or Xᵀ.",
            variants=({"hidden": lambda X, z1, a1: z1}, {"hidden": lambda X, z1, a1: X}),
            finding=SOME_RIGHT,
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
            ),
            finding=SOME_RIGHT,
        ),
        Mistake(
            "bias-mean",
            "The bias gradients were averaged over the batch, but they should be summed: the "
            "division by N has already happened at the scores.",
            "How often is your bias gradient divided by N, and how often your weight gradient?",
            "After the division at the scores, bias gradients are plain sums over the rows.",
            variants=({"bias": lambda d: d.mean(axis=0)},),
            finding=_BATCH_RATIO,
        ),
        Mistake(
            "swapped-order",
            "All four gradients seem to be there, but not in the order that the task asks for.",
            "Compare the shape of each gradient with the shape of its parameter.",
            "Return dW1, db1, dW2, db2: first layer first, weights before biases.",
            detect=_swapped,
            finding="By their shapes, you returned `{order}`.",
        ),
        Mistake(
            "wrong",
            "Something was divided by N twice: what was already averaged was averaged again.",
            "How often does N, or a mean, occur on the way from the loss to this gradient?",
            "Divide by N once, at the scores; after that there are only sums.",
            variants=({"examples": lambda N: 1 / N**2},),
            finding=_BATCH_RATIO,
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

    return implementations | {"swapped-order": swapped}


def _entry_by_entry(x):
    """Return pairs: the index to move, and the index where its slope belongs."""
    return [(index, index) for index in np.ndindex(x.shape)]


def _row_by_row(x):
    return [(i, i) for i in range(len(x))]


def _numerical_gradient(
    f,
    x,
    eps=1e-5,
    *,
    sides=(1, -1),
    order=(0, 1),
    width=2,
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
        gradient[place] = sign * (values[0] - values[1]) / (width * eps)
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
        yield Probe((f, rng.standard_normal(shape), 0.1), {"x.shape": shape, "eps": 0.1})
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
    probe that passes no `eps` has a curvature per entry; one h must explain all entries.
    """
    steep = next(observation for observation in observations if len(observation.probe.args) == 2)
    got, right = steep.outputs.get("gradient"), steep.right["gradient"]
    if not steep.wrong or got is None or got.shape != right.shape or not np.isfinite(got).all():
        return None
    excess, curvature = got - right, steep.probe.args[0].curvature
    h = 2 * (excess * curvature).sum() / (curvature**2).sum()  # least squares
    unexplained = np.abs(excess - h / 2 * curvature).max()
    return abs(h) > 1e-8 and unexplained < 1e-2 * np.abs(excess).max()


def _not_restored(observations):
    changes = [o.changed.get("x", 0) for o in observations if o.probe.targets is None]
    return max(changes) > 1e-9


numerical_gradient = Exercise(
    name="numerical_gradient",
    day=29,
    signature="numerical_gradient(f, x, eps=1e-5)",
    task="estimates the gradient of f at x by centred differences, as an array like x",
    right=_numerical_gradient,
    outputs=("gradient",),
    probes=_numerical_probes,
    may_change=("x",),  # by rounding; if by more, that is `not-restored`
    mistakes=(
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
        ),
        Mistake(
            "sign",
            "The difference is the wrong way round.",
            "If f grows with x, which of the two values is larger?",
            "The value above x comes first: f(x + ε) − f(x − ε).",
            variants=({"sign": -1},),
            finding="{first} Every entry has the wrong sign.",
        ),
        Mistake(
            "missing-factor-two",
            "The points x − ε and x + ε are two steps apart, but the difference was divided by one.",
            "How far apart are the two points at which you evaluate f?",
            "Divide by 2ε.",
            variants=({"width": 1},),
            finding="{first} That is {ratio} times as large.",
        ),
        Mistake(
            "one-sided",
            "The slope was measured on one side of x only: its error shrinks with ε, not with ε².",
            "At which points do you evaluate f? Is x halfway between them?",
            "Use f(x + ε) and f(x − ε), not f(x).",
            variants=(
                {"sides": (1, 0), "width": 1},
                {"sides": (0, -1), "width": 1},
                {"sides": (1, 0)},
                {"sides": (0, -1)},
            ),
            detect=_one_sided,
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
        ),
        Mistake(
            "integer-truncation",
            "An array of integers cannot store x + ε: either the step or the result is truncated.",
            "What is `x[0] + 1e-5` once it is stored in an array of integers?",
            "Work on a float copy of x, and store the result in a float array too.",
            variants=({"dtype": lambda x: x.dtype},),
            finding="For a floating-point `x` your gradient is right; for an `x` of integers, "
            "{where} is {got}, where {expected} was expected. {problem}",
        ),
    ),
    hints=(
        "For one entry: save it, move it up, evaluate f, move it down, evaluate f, restore it.",
        "Loop over all indices with `np.ndindex(x.shape)`, on a float copy of x.",
    ),
)


def _every(i, n):
    return True


def _sgd_step(
    params, grads, lr, *, sign=-1, rate=identity, start=identity, moves=_every, finish=identity
):
    updated = [
        start(p) + sign * rate(lr) * g if moves(i, len(params)) else p
        for i, (p, g) in enumerate(zip(params, grads, strict=True))
    ]
    return finish(updated)


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


_UNCHANGED = "A parameter came back unchanged: {where} is {got}, where {expected} was expected."

sgd_step = Exercise(
    name="sgd_step",
    day=29,
    signature="sgd_step(params, grads, lr)",
    task="returns the list of parameters after one step of gradient descent",
    right=_sgd_step,
    outputs=("params[{}]",),
    probes=_sgd_probes,
    may_change=("params",),
    mistakes=(
        Mistake(
            "returns-step",
            "This is the change of the parameter, not the parameter after the change.",
            "The list should contain the new parameters. What should you return if lr is 0?",
            "Return the old parameter minus the step.",
            variants=({"start": zero}, {"start": zero, "sign": 1}),
            detect=_multiple_of_gradient,
        ),
        Mistake(
            "ascent",
            "The step went along the gradient, which is uphill: the loss grows.",
            "The gradient points to where the loss grows. Which way do you want to go?",
            "Subtract the gradient.",
            variants=({"sign": 1},),
        ),
        Mistake(
            "ignores-lr",
            "The length of the step does not depend on the learning rate.",
            "Where does your function use `lr`?",
            "The step is lr times the gradient.",
            variants=({"rate": one},),
            detect=_same_rate_for_every_lr,
        ),
        Mistake(
            "scaled-twice",
            "The learning rate was applied twice: the step is lr² times the gradient.",
            "How often is the gradient multiplied by `lr` on its way to the parameter?",
            "Multiply once.",
            variants=({"rate": lambda lr: lr * lr},),
            finding="{first} The step is {lr} times as long as it should be, and lr is {lr}.",
        ),
        Mistake(
            "first-only",
            "Only the first parameter was updated.",
            "How many of the arrays in the list changed, and how many came back?",
            "Every parameter takes its step; a `return` inside the loop ends it too early.",
            variants=({"moves": lambda i, n: i == 0}, {"finish": lambda updated: updated[:1]}),
            finding=SOME_RIGHT,
        ),
        Mistake(
            "wrong",
            "No parameter moved. Assigning to the loop variable does not change the list.",
            "After `p = p - …` inside a loop, what does the list contain?",
            "Collect the new arrays in a new list and return that.",
            variants=({"moves": lambda i, n: False},),
            finding=_UNCHANGED,
        ),
        Mistake(
            "wrong",
            "Only the last parameter was updated.",
            "Which lines are inside the loop, and which come after it?",
            "Each parameter has to be updated and kept inside the loop.",
            variants=({"moves": lambda i, n: i == n - 1},),
            finding=_UNCHANGED,
        ),
    ),
    hints=(
        "Take one parameter and its gradient: which way is downhill, and how far do you go?",
        "For each pair: the parameter minus lr times the gradient. Return them as a list.",
    ),
)

EXERCISES = (softmax, cross_entropy, forward, backward, numerical_gradient, sgd_step)
