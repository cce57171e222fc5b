"""The exercises of Day 29: a two-layer network by hand.

Shapes, throughout: N examples, D features, H hidden units, C classes.
"""

import functools

import numpy as np

from nnweek.checks.exercise import Exercise, Mistake, Probe


def _keep(x):
    return x


def _nothing(*_):
    return 0


# --- softmax -------------------------------------------------------------------------------------


def _row_max(z):
    return z.max(axis=1, keepdims=True)


def _column_max(z):
    return z.max(axis=0, keepdims=True)


def _softmax(
    logits,
    *,
    shift=_row_max,
    total=lambda e: e.sum(axis=1, keepdims=True),
    finish=_keep,
):
    exponentials = np.exp(logits - shift(logits))
    return finish(exponentials / total(exponentials))


def _column_sum(e):
    return e.sum(axis=0, keepdims=True)


def _softmax_probes():
    rng = np.random.default_rng(29)
    for N, C in ((4, 3), (3, 5), (4, 4)):
        yield Probe((2 * rng.standard_normal((N, C)),), {"N": N, "C": C})
    large = np.array([[1000.0, 999.0, 997.0], [998.0, 1000.0, 1000.0]])
    yield Probe((large,), {"N": 2, "C": 3}, targets="no-max-subtraction")
    yield Probe((-large,), {"N": 2, "C": 3}, targets="no-max-subtraction")
    # Within one row, too, so that only the row's maximum will do.
    wide = np.array([[0.0, 1000.0, -1000.0], [1000.0, 999.0, -1000.0]])
    yield Probe((wide,), {"N": 2, "C": 3}, targets="no-max-subtraction")
    apart = np.array([[2000.0, 1999.0, 1998.0], [1.0, 0.0, 2.0]])
    yield Probe((apart,), {"N": 2, "C": 3}, targets="global-max")


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
            "These are probabilities over the batch: each column sums to 1 where each row should.",
            (
                "Which axis of (N, C) runs over the classes of one example?",
                "Both the maximum and the sum belong to one row. Look at each `axis=`, and keep "
                "the summed axis so that the shapes fit.",
            ),
            variants=({"total": _column_sum}, {"total": _column_sum, "shift": _column_max},
                  {"shift": _column_max}),
        ),
        Mistake(
            "global-normalisation",
            "The sum ran over the whole array, so all rows together sum to 1.",
            (
                "What should each row of the result sum to, and what does it sum to?",
                "A sum without an axis is one number for the whole batch. Each row needs its own.",
            ),
            variants=({"total": np.sum}, {"total": np.sum, "shift": np.max}),
        ),
        Mistake(
            "no-normalisation",
            "These are exponentials: positive, but they do not sum to 1.",
            (
                "What is the second half of the formula of the softmax?",
                "Each exponential still has to be divided by the sum of its row.",
            ),
            variants=({"total": lambda e: 1}, {"total": lambda e: 1, "shift": _nothing}),
        ),
        Mistake(
            "log-softmax",
            "These are logarithms of probabilities: none is above 0.",
            (
                "Can a probability be negative?",
                "The probabilities themselves are asked for; the logarithm comes later, in the "
                "cross-entropy.",
            ),
            variants=({"finish": np.log},),
        ),
        Mistake(
            "no-max-subtraction",
            "The exponential of a large score overflows (or, of very negative ones, all "
            "underflow), and the division then gives NaN.",
            (
                "What is exp(1000) in floating point? Adding the same number to all scores of a "
                "row does not change the softmax: which number would help?",
                "Subtract each row's maximum before the exponential, so that the largest is "
                "exp(0).",
            ),
            variants=({"shift": _nothing},),
        ),
        Mistake(
            "global-max",
            "One maximum was subtracted from the whole batch. In a row far below it every "
            "exponential is 0, and 0/0 is NaN.",
            (
                "With one row of scores near 2000 and one near 1, what is left of the second "
                "row after your subtraction?",
                "Each row needs its own maximum, kept as a column so that the shapes fit.",
            ),
            variants=({"shift": np.max},),
        ),
    ),
    hints=(
        "Write one row by hand first: exponentials, their sum, then the quotient.",
        "Over which axis do you sum, so that every row sums to 1? Does it hold for scores of 1000?",
    ),
)  # fmt: skip


# --- cross_entropy -------------------------------------------------------------------------------


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
    classes=lambda C: 1,
    sign=-1,
):
    picked = pick(log(np.maximum(probs, floor)), y)
    return sign * reduce(picked) / classes(probs.shape[1])


def _cross_entropy_probes():
    rng = np.random.default_rng(30)
    for N, C in ((7, 3), (4, 5), (5, 5), (6, 2)):
        # No probability below 0.02, where one way to put a floor differs from another.
        probs = 0.02 + rng.dirichlet(np.ones(C), size=N) * (1 - 0.02 * C)
        y = rng.integers(0, C, size=N)
        yield Probe((probs, y), {"N": N, "C": C})
    # Confident and right: 0 · log 0 shows where a one-hot product stands for the picking.
    sure = np.array([[0.0, 1.0, 0.0], [0.5, 0.25, 0.25]])
    yield Probe((sure, np.array([1, 0])), {"N": 2, "C": 3}, targets="log-of-zero")

    def floored(got, _):
        of_the_zero = 2 * float(got) - np.log(4)
        return bool(16.0 <= of_the_zero <= 1000)

    yield Probe((sure, np.array([0, 1])), {"N": 2, "C": 3}, targets="log-of-zero", accept=floored)


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
            "This is the mean log-probability itself, which is negative; a loss is what should "
            "become small.",
            (
                "Probabilities are below 1: which sign has their logarithm?",
                "A loss of 0 means certainty in the right class, and everything else lies above. "
                "One minus is missing.",
            ),
            variants=({"sign": 1},),
        ),
        Mistake(
            "all-classes",
            "The logarithms of all classes went in, not only that of the true one.",
            (
                "Of the C probabilities in a row, how many does the loss of that example look at?",
                "From row n it takes the probability of class y[n] and no other.",
            ),
            variants=({"pick": lambda logs, y: logs}, {"pick": lambda logs, y: logs.sum(axis=1)}),
        ),
        Mistake(
            "sum-not-mean",
            "This is the sum over the batch: it grows with the number of examples.",
            (
                "Would a batch twice as large have a loss twice as large? Should it?",
                "Average over the {N} examples.".replace("{N}", "N"),
            ),
            variants=({"reduce": np.sum},),
            finding="{first} That is {ratio} times as large, and the batch has {N} rows.",
        ),
        Mistake(
            "mean-over-classes",
            "The average ran over N·C numbers, but only N of them are losses.",
            (
                "How many examples are in the batch, and by what did you divide?",
                "Divide by N alone: each example contributes one number.",
            ),
            variants=({"classes": _keep},),
            finding="{first} That is {ratio} times as large, and there are {C} classes.",
        ),
        Mistake(
            "log-base",
            "The logarithm has another base: the loss comes out in bits or in decimal digits.",
            (
                "Which logarithm has the derivative 1/p?",
                "The cross-entropy of this course is in nats: the natural logarithm.",
            ),
            variants=({"log": np.log2}, {"log": np.log10}),
            finding="{first} That is {ratio} times as large; 1/ln 2 is 1.4427, and 1/ln 10 is 0.4343.",
        ),
        Mistake(
            "log-of-zero",
            "A network may give the true class a probability that rounds to 0, and the logarithm "
            "of 0 is minus infinity.",
            (
                "What should the loss be for a confident wrong answer: large, or infinite?",
                "Put a small floor, 1e-7 or less, under the probabilities before the logarithm.",
            ),
            variants=({"floor": 0.0},),
            finding="With a probability of exactly 0 in the batch, the loss is {got}. {problem}",
        ),
    ),
    hints=(
        "For one example: which of its probabilities matters, and what is its minus log?",
        "Pick with `y`, take the natural logarithm above a tiny floor, average over the batch.",
    ),
)


# --- forward -------------------------------------------------------------------------------------


def _relu(z):
    return np.maximum(0, z)


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


def _forward(X, W1, b1, W2, b2, *, first=1, second=1, activation=_relu, bend=_keep, finish=_keep):
    a1 = activation(X @ W1 + first * b1)
    return finish(bend(a1 @ W2 + second * b2))


def _network(rng, N, D, H, C):
    """Draw X, W1, b1, W2, b2 so that every part of the network matters."""
    shapes = (N, D), (D, H), (H,), (H, C), (C,)
    return tuple(rng.standard_normal(shape) for shape in shapes)


_SIZES = ({"N": 8, "D": 5, "H": 6, "C": 4}, {"N": 5, "D": 3, "H": 7, "C": 2})
# Where all sizes agree, nothing is caught by its shape and some mistakes no longer raise.
_SQUARE = {"N": 4, "D": 4, "H": 4, "C": 4}


def _forward_probes():
    rng = np.random.default_rng(31)
    for sizes in (*_SIZES, _SQUARE):
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
            "Without a bend between them, two linear layers are one linear layer.",
            (
                "What stands between the first product and the second?",
                "Negative hidden values must become 0 before they meet W2.",
            ),
            variants=({"activation": _keep},),
        ),
        Mistake(
            "sigmoid-instead",
            "The hidden values went through a sigmoid, which squeezes them between 0 and 1.",
            (
                "Which activation does this network use, and what does it do to a hidden value of "
                "3?",
                "ReLU leaves positive values alone and makes the others 0.",
            ),
            variants=({"activation": _sigmoid},),
        ),
        Mistake(
            "relu-on-scores",
            "The scores themselves went through a ReLU: none is negative, and a class whose score "
            "should be negative can no longer be told from others.",
            (
                "What is the smallest score that you return? May a score be negative?",
                "Only the hidden layer is bent; the last layer is linear.",
            ),
            variants=({"bend": _relu},),
        ),
        Mistake(
            "softmax-included",
            "These are probabilities, not scores: each row sums to 1.",
            (
                "What do the rows of your result sum to?",
                "The scores come before the softmax; the loss applies it afterwards.",
            ),
            variants=({"finish": _softmax},),
        ),
        Mistake(
            "missing-b1",
            "The numbers are those of a network whose first layer has no bias.",
            (
                "With X all zeros, which hidden values should come out?",
                "`b1` belongs to z1, before the ReLU.",
            ),
            variants=({"first": 0},),
        ),
        Mistake(
            "missing-b2",
            "The numbers are those of a network whose second layer has no bias.",
            (
                "With every hidden unit at 0, which scores should come out?",
                "`b2` is added to the scores, in every row.",
            ),
            variants=({"second": 0},),
        ),
    ),
    hints=(
        "Three steps: a linear map, a bend, a linear map. Write the shape after each.",
        "z1 = X W1 + b1, a1 = max(0, z1), scores = a1 W2 + b2.",
    ),
)


# --- backward ------------------------------------------------------------------------------------


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
    classes=lambda C: 1,
    hidden=lambda X, z1, a1: a1,
    mask=lambda z1, da1: z1 > 0,
    bias=lambda d: d.sum(axis=0),
):
    """Return (dW1, db1, dW2, db2); every keyword is a step that a mistake may replace."""
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
    for sizes in (*_SIZES, _SQUARE):
        X, *parameters = _network(rng, **sizes)
        y = rng.integers(0, sizes["C"], size=sizes["N"])
        yield Probe((X, y, *parameters), sizes)


def _swapped(observations):
    """Whether an output has the shape of another one, whose own place is taken as well."""
    for observation in observations:
        right = {name: array.shape for name, array in observation.right.items()}
        got = {name: np.squeeze(array).shape for name, array in observation.outputs.items()}
        if len(set(right.values())) < len(right) or list(got) != list(right):
            continue
        astray = {name for name in right if got[name] != right[name]}
        owner = {right[name]: name for name in astray}
        if any(got[name] in owner for name in astray):
            owner |= {right[name]: name for name in right}
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
    row_or_flat=True,
    mistakes=(
        Mistake(
            "probs-not-softmaxed",
            "The error at the scores is p − one-hot, and here raw scores stood where the "
            "probabilities p belong.",
            (
                "What has to happen to the scores before the one-hot labels are subtracted?",
                "The gradient starts from softmax(scores), as the loss does.",
            ),
            variants=({"probabilities": _keep},),
            finding="{outputs} differ from what they should be: {where} is {got}, not {expected}.",
        ),
        Mistake(
            "one-hot-not-subtracted",
            "The error at the scores is p − one-hot; here it is p alone, so every class is pushed "
            "down, also the true one.",
            (
                "What the network said, minus what it should have said: where is the second half?",
                "Subtract 1 from the probability of the true class in every row.",
            ),
            variants=({"target": _nothing},),
            finding="{outputs} differ from what they should be: {where} is {got}, not {expected}.",
        ),
        Mistake(
            "sign",
            "The sign is turned round: a step against this gradient goes uphill.",
            (
                "Should the score of the true class get a negative or a positive gradient?",
                "It is p − one-hot, not one-hot − p.",
            ),
            variants=({"sign": -1},),
            finding="{outputs} came out {ratio} times what they should be: {where} is {got}, not "
            "{expected}.",
        ),
        Mistake(
            "no-batch-average",
            "The loss is a mean over the batch, so its gradient is one too; a factor N is left.",
            (
                "In your loss, what is divided by the number of rows? What does that do to its "
                "derivative?",
                "Divide by N once, at the scores; everything after it inherits the factor.",
            ),
            variants=({"examples": lambda N: 1},),
            finding="{outputs} came out {ratio} times too large, and your batch has {N} rows.",
        ),
        Mistake(
            "mean-over-classes",
            "The error was averaged over the classes as well, but a loss sums over them.",
            (
                "By how many numbers did you divide: by the rows, or by all entries of (N, C)?",
                "Divide by N only. A mean without an axis, or `.size`, also counts the classes.",
            ),
            variants=({"classes": lambda C: 1 / C},),
            finding="{outputs} came out {ratio} times what they should be, and there are {C} classes.",
        ),
        Mistake(
            "missing-relu-mask",
            "The gradient went through hidden units that were off: ReLU's slope is 0 where z1 is "
            "negative.",
            (
                "A hidden unit that is 0 because z1 < 0: does a small change of z1 change the "
                "loss?",
                "Between da1 and dz1, set to 0 what belongs to z1 ≤ 0.",
            ),
            variants=({"mask": lambda z1, da1: 1},),
            finding="{agree} came out right; {outputs} did not: {where} is {got}, not {expected}.",
        ),
        Mistake(
            "mask-from-gradient",
            "The mask was taken from the gradient da1, but it was the value z1 that opened or "
            "closed the unit on the way forward.",
            (
                "Which array decided, on the way forward, whether the ReLU let a value through?",
                "The mask is where z1 > 0, whatever sign da1 has.",
            ),
            variants=({"mask": lambda z1, da1: da1 > 0},),
            finding="{agree} came out right; {outputs} did not: {where} is {got}, not {expected}.",
        ),
        Mistake(
            "uses-input-for-dW2",
            "A weight's gradient is what flowed into it times the error behind it. What flowed "
            "into W2 is a1, after the activation.",
            (
                "What is W2 multiplied with on the way forward?",
                "dW2 is a1ᵀ times the error at the scores: not z1ᵀ, nor Xᵀ.",
            ),
            variants=({"hidden": lambda X, z1, a1: z1}, {"hidden": lambda X, z1, a1: X}),
            finding="{agree} came out right; {outputs} did not: {where} is {got}, not {expected}.",
        ),
        Mistake(
            "bias-wrong-axis",
            "A bias is added in every row, so its gradient is a sum over the rows, one number for "
            "each unit.",
            (
                "Which of the two axes, examples or units, should be gone in a bias gradient?",
                "Sum over the batch, axis 0.",
            ),
            variants=(
                {"bias": lambda d: d.sum(axis=1)},
                {"bias": lambda d: d.mean(axis=1)},
                {"bias": np.sum},
            ),
            finding="{agree} came out right; {outputs} did not: {where} is {got}, not {expected}.",
        ),
        Mistake(
            "bias-mean",
            "The bias gradients were averaged over the batch where they are summed: the division "
            "by N has already happened at the scores.",
            (
                "How often is your bias gradient divided by N, and how often your weight gradient?",
                "After the division at the scores, bias gradients are plain sums over the rows.",
            ),
            variants=({"bias": lambda d: d.mean(axis=0)},),
            finding="{outputs} came out {ratio} times what they should be, and your batch has {N} "
            "rows.",
        ),
        Mistake(
            "swapped-order",
            "The four gradients seem to be there, but not in the order that is asked for.",
            (
                "Compare the shape of each gradient with its parameter's.",
                "Return dW1, db1, dW2, db2: first layer first, weights before biases.",
            ),
            detect=_swapped,
            finding="By their shapes, you returned {order}.",
        ),
        Mistake(
            "wrong",
            "Something was divided by N twice: a mean of what was averaged already.",
            (
                "How often does N, or a mean, occur on the way from the loss to this gradient?",
                "Divide by N once, at the scores; after that there are only sums.",
            ),
            variants=({"examples": lambda N: 1 / N**2},),
            finding="{outputs} came out {ratio} times what they should be, and your batch has {N} "
            "rows.",
        ),
    ),
    hints=(
        "Walk the forward pass backwards: scores, second layer, ReLU, first layer.",
        "Start with (p − one-hot)/N at the scores. Each weight gradient is its inputᵀ times the "
        "error behind it, each bias gradient that error summed over the rows.",
    ),
)


def mistaken_backwards():
    """Return {id: an implementation of `backward` with that mistake}, for Day 30's exercise."""
    found = {
        m.id: functools.partial(_backward, **m.variants[0])
        for m in backward.mistakes
        if m.variants and m.id != "wrong"
    }

    def swapped(X, y, W1, b1, W2, b2):
        dW1, db1, dW2, db2 = _backward(X, y, W1, b1, W2, b2)
        return dW2, db2, dW1, db1

    return found | {"swapped-order": swapped}


# --- numerical_gradient --------------------------------------------------------------------------


def _all_entries(x):
    """Pairs of what to move and where the slope belongs; here both are one entry."""
    return [(index, index) for index in np.ndindex(x.shape)]


def _rows(x):
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
    moves=_all_entries,
    keep=np.array,
    restore=True,
    dtype=lambda x: float,
    finish=_keep,
):
    x = np.array(x, dtype=dtype(x))
    gradient = np.zeros(x.shape)
    for index, place in moves(x):
        kept = keep(x[index])
        values = [0, 0]
        for i in order:
            x[index] = kept + sides[i] * eps
            values[i] = f(x)
        if restore:
            x[index] = kept
        gradient[place] = sign * (values[0] - values[1]) / (width * eps)
    return finish(gradient)


def _quadratic(A, b, shape):
    """½ xᵀAx + bᵀx: centred differences are exact on it, whatever the step."""

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
    # So curved, and so near the bottom, that a one-sided step shows even where it is tiny,
    # and in float32 too.
    size = 6
    A = np.diag(rng.uniform(1e4, 3e4, size))
    f = _quadratic(A, rng.standard_normal(size), (2, 3))
    yield Probe((f, 1e-4 * rng.standard_normal((2, 3))), {"x.shape": (2, 3)})
    # A quadratic forgives any step; this one asks for a small one, as `eps` is. Near 0, where
    # float32 can take it.
    near = 1e-4 * rng.standard_normal((2, 3))
    yield Probe((_exponential, near, 1e-5), {"x.shape": (2, 3)})
    A = rng.standard_normal((size, size))
    f = _quadratic(A + A.T + 4 * np.eye(size), rng.standard_normal(size), (2, 3))
    whole = np.array([[3, -1, 2], [1, 4, -2]])
    yield Probe((f, whole, 1e-2), {"x.dtype": whole.dtype.name}, targets="integer-truncation")


def _one_sided(observations):
    """Whether what is too much is the curvature times half of some step of the learner's own."""
    stiff = next(observation for observation in observations if len(observation.probe.args) == 2)
    got, right = stiff.outputs.get("the gradient"), stiff.right["the gradient"]
    if not stiff.wrong or got is None or got.shape != right.shape or not np.isfinite(got).all():
        return None
    curvature = stiff.probe.args[0].curvature
    step = 2 * ((got - right) * curvature).sum() / (curvature**2).sum()
    off = np.abs(got - right - step / 2 * curvature).max()
    return abs(step) > 1e-8 and off < 1e-2 * np.abs(got - right).max()


def _not_restored(observations):
    left = [s.changed.get("x", 0) for s in observations if s.probe.targets is None]
    return max(left) > 1e-9 and {"left": f"{max(left):.3g}"}


numerical_gradient = Exercise(
    name="numerical_gradient",
    day=29,
    signature="numerical_gradient(f, x, eps=1e-5)",
    task="estimates the gradient of f at x by centred differences, an array like x",
    right=_numerical_gradient,
    outputs=("the gradient",),
    probes=_numerical_probes,
    may_change=("x",),  # by rounding; more than that is `not-restored`
    mistakes=(
        Mistake(
            "not-restored",
            "An entry that is not put back shifts the point at which all later entries, and "
            "whatever the caller does next, are measured.",
            (
                "After the two values of f, what stands in the entry of x that you moved?",
                "Keep the entry's old value before you move it, and write it back before the next.",
            ),
            variants=({"restore": False}, {"restore": False, "order": (1, 0)}),
            detect=_not_restored,
            finding="After the call x is not what it was, or the entries before were still moved: "
            "{where} is {got}, where {expected} was expected.",
        ),
        Mistake(
            "sign",
            "The difference is the wrong way round.",
            (
                "If f grows with x, which of the two values is the larger?",
                "The value above comes first: f(x + ε) − f(x − ε).",
            ),
            variants=({"sign": -1},),
            finding="{first} Every entry has the wrong sign.",
        ),
        Mistake(
            "missing-factor-two",
            "From x − ε to x + ε it is two steps, and the difference was divided by one.",
            (
                "How far apart are the two points at which you evaluate f?",
                "Divide by 2ε.",
            ),
            variants=({"width": 1},),
            finding="{first} That is {ratio} times as large.",
        ),
        Mistake(
            "one-sided",
            "The slope was measured to one side of x only: its error shrinks with ε, not with ε².",
            (
                "At which points do you evaluate f? Is x in the middle of them?",
                "Use f(x + ε) and f(x − ε), not f(x).",
            ),
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
            "Whole rows were moved at once: each number is the sum of a row's gradient.",
            (
                "For x of shape (3, 4), how many numbers have to be moved, one at a time?",
                "Walk over every index of x, for example with `np.ndindex`.",
            ),
            variants=(
                {"moves": _rows},
                {"moves": _rows, "keep": _keep},  # a view of a row, which moves along
                {"moves": _rows, "finish": lambda g: g.reshape(len(g), -1)[:, 0]},
            ),
        ),
        Mistake(
            "all-at-once",
            "All entries were moved together: that is the slope in one direction, the same number "
            "for every entry.",
            (
                "A partial derivative asks what happens when one entry moves. How many did you "
                "move?",
                "Move one entry, evaluate, put it back; then the next.",
            ),
            variants=(
                {"moves": lambda x: [(..., place) for place in np.ndindex(x.shape)]},
                {"moves": lambda x: [(..., ...)], "finish": lambda g: g.flat[0]},
            ),
        ),
        Mistake(
            "integer-truncation",
            "An array of integers cannot hold x + ε: the step is cut off, or the result is.",
            (
                "What is `x[0] + 1e-5` once it is stored in an array of integers?",
                "Work on a copy of x with floating-point numbers, and keep the result in one too.",
            ),
            variants=({"dtype": lambda x: x.dtype},),
            finding="With floating-point x your gradient is right; with x of integers, {where} is "
            "{got} where {expected} was expected. {problem}",
        ),
    ),
    hints=(
        "For one entry: keep it, move it up, evaluate f, move it down, evaluate f, put it back.",
        "Loop over all indices with `np.ndindex(x.shape)`, on a float copy of x.",
    ),
)


# --- sgd_step ------------------------------------------------------------------------------------


def _sgd_step(
    params, grads, lr, *, sign=-1, rate=_keep, start=_keep, moves=lambda i, n: True, count=_keep
):
    return count(
        [
            start(p) + sign * rate(lr) * g if moves(i, len(params)) else p
            for i, (p, g) in enumerate(zip(params, grads, strict=True))
        ]
    )


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


def _own_rate(observations):
    """Whether the step is one and the same multiple of the gradient, whatever lr is."""
    rates = []
    for observation in observations:
        params, grads, _ = observation.probe.args
        for i, (p, g) in enumerate(zip(params, grads, strict=True)):
            got = observation.outputs.get(f"params[{i}]")
            if got is None or got.shape != p.shape or not np.isfinite(got).all():
                return None
            rate = float(((p - got) * g).sum() / (g * g).sum())
            if np.abs(p - rate * g - got).max() > 1e-5:
                return None
            rates.append(rate)
    same = max(rates) - min(rates) < 1e-3 * abs(rates[0])
    return same and {"rate": f"{rates[0]:.4g}"}


def _multiple_of_gradient(observations):
    """Whether every array that came back is the gradient times a number."""
    for observation in observations:
        for i, g in enumerate(observation.probe.args[1]):
            got = observation.outputs.get(f"params[{i}]")
            if got is None or got.shape != g.shape or not np.isfinite(got).all():
                return False
            times = (got * g).sum() / (g * g).sum()
            if np.abs(got - times * g).max() > 1e-5 or abs(times) < 1e-6:
                return False
    return True


_UNMOVED = "A parameter came back as it was: {where} is {got}, where {expected} was expected."

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
            (
                "The list should hold parameters. What is left when lr is 0?",
                "Return the old parameter minus the step.",
            ),
            variants=({"start": _nothing}, {"start": _nothing, "sign": 1}),
            detect=_multiple_of_gradient,
        ),
        Mistake(
            "ascent",
            "The step went along the gradient, which is uphill: the loss grows.",
            (
                "The gradient points where the loss grows. Which way do you want to go?",
                "Subtract the gradient.",
            ),
            variants=({"sign": 1},),
        ),
        Mistake(
            "ignores-lr",
            "The step has the same length whatever the learning rate is.",
            (
                "Where does `lr` come in?",
                "The step is lr times the gradient.",
            ),
            variants=({"rate": lambda lr: 1},),
            detect=_own_rate,
        ),
        Mistake(
            "scaled-twice",
            "The learning rate went in twice: the step is lr² times the gradient.",
            (
                "How often is the gradient multiplied by `lr` on its way to the parameter?",
                "Multiply once.",
            ),
            variants=({"rate": lambda lr: lr * lr},),
            finding="{first} The step is {lr} times as long as it should be, and lr is {lr}.",
        ),
        Mistake(
            "first-only",
            "Only the first parameter was updated.",
            (
                "How many of the arrays in the list changed, and how many came back?",
                "Every parameter takes its step; a `return` inside the loop ends it too early.",
            ),
            variants=({"moves": lambda i, n: i == 0}, {"count": lambda updated: updated[:1]}),
            finding="{agree} came out right; {outputs} did not: {where} is {got}, not {expected}.",
        ),
        Mistake(
            "wrong",
            "No parameter moved. Giving a loop's variable a new value does not put it into the "
            "list.",
            (
                "After `p = p - …` inside a loop, what does the list hold?",
                "Collect the new arrays in a new list and return that.",
            ),
            variants=({"moves": lambda i, n: False},),
            finding=_UNMOVED,
        ),
        Mistake(
            "wrong",
            "Only the last parameter was updated.",
            (
                "Which lines are inside the loop, and which come after it?",
                "Each parameter has to be updated and kept inside the loop.",
            ),
            variants=({"moves": lambda i, n: i == n - 1},),
            finding=_UNMOVED,
        ),
    ),
    hints=(
        "One parameter and its gradient: which way is downhill, and how far do you go?",
        "For each pair: the parameter minus lr times the gradient. Return them as a list.",
    ),
)

EXERCISES = (softmax, cross_entropy, forward, backward, numerical_gradient, sgd_step)
