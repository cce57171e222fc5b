"""The exercises of Day 30: activations, initial weights, and tests that find mistakes."""

import numpy as np

from nnweek.checks.day29 import mistaken_backwards
from nnweek.checks.exercise import Exercise, Mistake, Probe, close
from nnweek.scratch import sigmoid as _stable_sigmoid

# --- relu_grad -----------------------------------------------------------------------------------


def _relu_grad(z, *, slope=lambda z: np.heaviside(z, 0.5)):
    return slope(z)


def _either_at_zero(got, wanted):
    """Right where z ≠ 0; at the kink, which `wanted` marks by ½, anything from 0 to 1."""
    kink = wanted == 0.5
    at_kink = got[kink]
    return close(np.where(kink, 0, got), np.where(kink, 0, wanted)) and bool(
        ((at_kink >= 0) & (at_kink <= 1)).all()
    )


def _relu_grad_probes():
    rng = np.random.default_rng(35)
    for shape in ((4, 5), (6, 3)):
        z = rng.uniform(0.1, 3, size=shape) * np.where(rng.random(shape) < 0.5, -1, 1)
        yield Probe((z,), {"z.shape": shape})
    with_zeros = np.array([[0.0, 1.5, -2.0], [-0.5, 0.0, 3.0]])
    yield Probe((with_zeros,), {"z.shape": (2, 3)}, accept=_either_at_zero)


def _parts(observations):
    """Yield (z, the slope that came) for z > 0 and z < 0; nothing if one is unusable."""
    pairs = [(s.probe.args[0], s.outputs.get("the slope")) for s in observations]
    if all(got is not None and got.shape == z.shape and np.isfinite(got).all() for z, got in pairs):
        for z, got in pairs:
            yield (z[z > 0], got[z > 0]), (z[z < 0], got[z < 0])


def _leaks(observations):
    """Right for z > 0, and a slope of its own for z < 0."""
    parts = list(_parts(observations))
    if parts and all(close(up, np.ones_like(z)) and down.all() for (z, up), (_, down) in parts):
        return {"leak": f"{parts[0][1][1][0]:.4g}"}
    return None


def _grows(observations):
    """The value of a (perhaps leaky) ReLU: z for z > 0, and something else for z < 0."""
    parts = list(_parts(observations))
    return bool(parts) and all(
        close(up, z) and not close(down, below) for (z, up), (below, down) in parts
    )


relu_grad = Exercise(
    name="relu_grad",
    day=30,
    signature="relu_grad(z)",
    task="returns the derivative of ReLU at every entry of z, an array like z",
    right=_relu_grad,
    outputs=("the slope",),
    probes=_relu_grad_probes,
    mistakes=(
        Mistake(
            "all-ones",
            "A slope of 1 everywhere is that of the identity; ReLU is flat for z < 0.",
            (
                "What does ReLU return for −2, and for −3? What is the slope between?",
                "The slope is 1 where z > 0 and 0 where z < 0.",
            ),
            variants=({"slope": np.ones_like},),
        ),
        Mistake(
            "returns-relu",
            "These are ReLU's values, not its slope.",
            (
                "How steep is ReLU at z = 3, and how steep at z = 5?",
                "For every z > 0 the slope is 1, however large z is.",
            ),
            variants=({"slope": lambda z: np.maximum(0, z)},),
            detect=_grows,
        ),
        Mistake(
            "sign-function",
            "This is the sign of z, with −1 for z < 0; ReLU is flat there, it does not fall.",
            (
                "What does ReLU return for −2, and for −3? What is the slope between?",
                "Where z < 0 the slope is 0, not −1.",
            ),
            variants=({"slope": np.sign}, {"slope": lambda z: np.where(z > 0, 1, -1)},
                  {"slope": lambda z: np.where(z < 0, -1, 1)}),
        ),
        Mistake(
            "leaky",
            "For z < 0 some slope is left, as in a leaky ReLU; the plain one is flat there.",
            (
                "What does ReLU return for −2, and for −3?",
                "Where z < 0 the slope is exactly 0.",
            ),
            detect=_leaks,
            finding="For z > 0 the slope is right; for z < 0 it is {leak}, where 0 was expected.",
        ),
    ),
    hints=(
        "Draw ReLU: how steep is it left of 0, how steep right of it?",
        "A comparison of z with 0 gives the answer at once; at 0 itself both are fine.",
    ),
)  # fmt: skip


# --- sigmoid -------------------------------------------------------------------------------------

# Beyond this, float32 cannot tell 1 + exp(z) from 1, and a sigmoid of 0 is as good.
_TAIL = np.array([[-2.0, -4, -7, -10, -13, -16, -19, -22], [-25, -27, -29, -29.9, 4, 7, 10, 13]])
_EXTREME = np.array([[-1000.0, -800, -400, -120], [120, 400, 800, 1000]])


def _activation_probes():
    rng = np.random.default_rng(36)
    yield Probe((rng.uniform(-1.5, 1.5, size=(3, 4)),), {"z.shape": (3, 4)})
    yield Probe((rng.uniform(-3, 3, size=(5, 2)),), {"z.shape": (5, 2)})
    yield Probe((_TAIL,), {"z between": "−30 and 13"})
    yield Probe((_EXTREME,), {"z between": "−1000 and 1000"}, targets="overflow")


def _overflows(observations):
    """Whether a large |z| brought NumPy's overflow warning, or something not finite."""
    for observation in observations:
        for warning in observation.warnings:
            if "overflow" in warning:
                return {"seen": f"NumPy warned: “{warning}”."}
        for name, got in observation.outputs.items():
            if (
                name in observation.right
                and not np.isfinite(got).all()
                and observation is observations[-1]
            ):
                value = got[~np.isfinite(got)][0]
                return {"seen": f"The result holds {value:g}."}
        if observation.problem and "OverflowError" in observation.problem.text:
            return {"seen": observation.problem.text}
    return None


def _clip(observations):
    """Whether the tail stays where it is from some c < 30 on, as if z had been clipped."""
    tail = observations[2]
    got = tail.outputs.get("the sigmoid")
    if got is None or got.shape != _TAIL.shape:
        return None
    floor = got[1, 3]
    if not 1.1 * _stable_sigmoid(-29.9) < floor < 0.45:
        return None
    c = float(np.log(1 / floor - 1))
    for observation in observations[:3]:
        (z,) = observation.probe.args
        inside, got = np.abs(z) < c - 1e-3, observation.outputs.get("the sigmoid")
        if got is None or not close(got[inside], _stable_sigmoid(z[inside])):
            return None
        below = got[z < -c]
        if not np.allclose(below, floor, rtol=1e-2, atol=0):
            return None
    return {"clip": f"{c:.3g}", "floor": f"{floor:.3g}"}


_OVERFLOW_HINTS = (
    "What is exp(1000)? For which sign of z does your exponential grow, and could you write "
    "it so that its argument is never positive?",
    "For z ≥ 0 use exp(−z), for z < 0 the equal form with exp(z); `np.where` computes both "
    "branches everywhere. Or use `np.logaddexp`, or clip z at ±500.",
)


def _sigmoid(z, *, argument=lambda z: z, function=_stable_sigmoid):
    return function(argument(z))


sigmoid = Exercise(
    name="sigmoid",
    day=30,
    signature="sigmoid(z)",
    task="returns 1 / (1 + exp(−z)) for every entry of z, up to |z| = 1000 without a warning",
    right=_sigmoid,
    outputs=("the sigmoid",),
    probes=_activation_probes,
    mistakes=(
        Mistake(
            "missing-minus",
            "This falls where the sigmoid rises: it is the sigmoid of −z.",
            (
                "Should a large z give a value near 1 or near 0? What do you get?",
                "In 1 / (1 + exp(−z)) the exponent has a minus.",
            ),
            variants=({"argument": np.negative},),
        ),
        Mistake(
            "tanh-instead",
            "This is the hyperbolic tangent, which runs from −1 to 1; the sigmoid runs from 0 to "
            "1.",
            (
                "What should the value at z = 0 be?",
                "The sigmoid is never negative. It is ½ (1 + tanh(z/2)), if you want to use tanh.",
            ),
            variants=({"function": np.tanh},),
        ),
        Mistake(
            "overflow",
            "The exponential of a large number does not fit into a float.",
            _OVERFLOW_HINTS,
            detect=_overflows,
            finding="At |z| up to 1000: {seen}",
        ),
        Mistake(
            "clipped-too-tight",
            "The input or the result was clipped so early that the sigmoid stops falling.",
            (
                "What are σ(−25) and σ(−29)? Are yours different from each other?",
                "Overflow starts near |z| = 709 in float64; a clip at ±500 is wide enough.",
            ),
            detect=_clip,
            finding="From z = −{clip} down, your values stay at {floor}; σ(−29.9) is 1e-13.",
        ),
    ),
    hints=(
        "Write the formula, then ask what happens at z = −1000.",
        "Choose, for each sign of z, the form whose exponential stays below 1.",
    ),
)


# --- sigmoid_grad --------------------------------------------------------------------------------


def _sigmoid_grad(z, *, slope=lambda z: _stable_sigmoid(z) * _stable_sigmoid(-z)):
    return slope(z)


def _logistic_slope(s):
    return s * (1 - s)


sigmoid_grad = Exercise(
    name="sigmoid_grad",
    day=30,
    signature="sigmoid_grad(z)",
    task="returns the derivative of the sigmoid at the pre-activation z, an array like z",
    right=_sigmoid_grad,
    outputs=("the slope",),
    probes=_activation_probes,
    mistakes=(
        Mistake(
            "derivative-in-z",
            "s(1 − s) is right for s = σ(z), but z itself was put in for s.",
            (
                "In σ′ = σ(1 − σ), is σ the input or the output of the sigmoid?",
                "Compute s = σ(z) first.",
            ),
            variants=({"slope": _logistic_slope},),
        ),
        Mistake(
            "applied-twice",
            "The sigmoid was applied twice: this is the slope at σ(z), not at z.",
            (
                "What is handed to you, z or σ(z)? How often does a sigmoid occur in your code?",
                "Take s = σ(z) once, then s(1 − s).",
            ),
            variants=({"slope": lambda z: _logistic_slope(_stable_sigmoid(_stable_sigmoid(z)))},),
        ),
        Mistake(
            "no-complement",
            "This is the sigmoid, not its slope: the factor 1 − σ is missing.",
            (
                "How steep is the sigmoid far to the right, and what do you return there?",
                "Multiply by 1 − σ(z).",
            ),
            variants=({"slope": _stable_sigmoid},),
        ),
        Mistake(
            "tanh-derivative",
            "1 − s² is the slope of tanh; the sigmoid's is s(1 − s).",
            (
                "At z = 0 the sigmoid is steepest: is your value there 0.25?",
                "The rule 1 − s² belongs to tanh; for the sigmoid it is s − s².",
            ),
            variants=(
                {"slope": lambda z: 1 - _stable_sigmoid(z) ** 2},
                {"slope": lambda z: 1 - np.tanh(z) ** 2},
            ),
        ),
        Mistake(
            "overflow",
            "The exponential of a large number does not fit into a float.",
            _OVERFLOW_HINTS,
            detect=_overflows,
            finding="At |z| up to 1000: {seen}",
        ),
    ),
    hints=(
        "Write the derivative with the sigmoid's own value in it.",
        "σ′(z) = σ(z)(1 − σ(z)): with a sigmoid that is safe for large |z|, this is safe too.",
    ),
)


# --- init_weights --------------------------------------------------------------------------------


def _init_weights(fan_in, fan_out, rng, *, std=lambda i, o: np.sqrt(2 / i)):
    return std(fan_in, fan_out) * rng.standard_normal((fan_in, fan_out))


def _init_probes():
    # 24,000 draws: the spread is known to 0.5 %, the shape's fourth moment to 0.03.
    for fan_in, fan_out, seed in ((300, 80, 1), (80, 300, 2), (300, 80, 1), (300, 80, 3)):
        yield Probe(
            (fan_in, fan_out, np.random.default_rng(seed)),
            {"fan_in": fan_in, "fan_out": fan_out},
            accept=_he_normal,
        )


def _same_spread(got, wanted):
    """Whether two draws have the same standard deviation, and the first is centred like it."""
    return bool(
        np.isfinite(got).all()
        and abs(got.std() - wanted.std()) < 0.03 * wanted.std()
        and abs(got.mean()) < 8 * wanted.std() / np.sqrt(got.size)
    )


def _he_normal(got, wanted):
    """Whether a draw could be He normal, truncated or not: spread, centre, shape, no repeats.

    Each band is at least six standard errors wide, so that chance never fails a right answer.
    """
    if not _same_spread(got, wanted):
        return False
    bell = 2.1 < ((got / got.std()) ** 4).mean() < 3.5  # normal 3, truncated 2.4, uniform 1.8
    return bool(bell and np.unique(got).size > 0.9 * got.size)


def _draws(observations):
    """Return the arrays that came, or None if they are not all arrays of the right shape."""
    draws = [observation.outputs.get("the weights") for observation in observations]
    for draw, observation in zip(draws, observations, strict=True):
        if draw is None or draw.shape != observation.probe.args[:2] or not np.isfinite(draw).all():
            return None
    return draws


def _when(condition):
    """Make a `tells` from a condition on the draws and the numbers that it shows."""

    def detect(observations):
        draws = _draws(observations)
        if draws is None or not condition(draws):
            return None
        first = draws[0]
        return {
            "mean": f"{first.mean():.3g}",
            "least": f"{first.min():.3g}",
            "most": f"{first.max():.3g}",
            "distinct": np.unique(first).size,
        }

    return detect


def _ignores(draws):
    first, _, again, other = draws
    return np.array_equal(first, other) or not np.array_equal(first, again)


_SPREAD = (
    "With fan_in = {fan_in} and fan_out = {fan_out} your weights have mean {mean} and standard "
    "deviation {std}, where 0 and {right_std} were expected."
)


def _wrong_scale(id_, explanation, hints, *formulas):
    return Mistake(
        id_,
        explanation,
        hints,
        variants=tuple({"std": formula} for formula in formulas),
        finding=_SPREAD,
    )


init_weights = Exercise(
    name="init_weights",
    day=30,
    signature="init_weights(fan_in, fan_out, rng)",
    task="draws weights (fan_in, fan_out) by He's rule for ReLU, from a normal distribution",
    right=_init_weights,
    outputs=("the weights",),
    probes=_init_probes,
    matches=_same_spread,
    mistakes=(
        Mistake(
            "zeros",
            "With every weight 0, all hidden units compute the same and get the same gradient.",
            (
                "If two hidden units start out equal, what could ever make them different?",
                "The weights must be random numbers, drawn from `rng`.",
            ),
            detect=_when(lambda draws: not any(d.any() for d in draws)),
            finding="All weights are 0.",
        ),
        Mistake(
            "constant",
            "All entries are equal, so all hidden units compute the same and stay the same.",
            (
                "If two hidden units start out equal, what could ever make them different?",
                "Draw one number for each entry: the draw needs a size.",
            ),
            detect=_when(lambda draws: all(np.ptp(d) == 0 for d in draws)),
            finding="All weights are {mean}.",
        ),
        Mistake(
            "ignores-rng",
            "The numbers do not depend on the generator that was handed over: nobody can repeat "
            "them, or nobody can get others.",
            (
                "Call it twice with generators of the same seed, and with those of two seeds. What "
                "should agree?",
                "Draw from `rng` itself, and from nothing else.",
            ),
            detect=_when(_ignores),
            finding="Generators with equal seeds gave different weights, or those with different "
            "seeds equal ones.",
        ),
        Mistake(
            "all-positive",
            "No weight is negative, so every hidden unit leans the same way.",
            (
                "What is the mean of your weights, and what should it be?",
                "A normal distribution around 0 gives both signs.",
            ),
            detect=_when(lambda draws: all(d.min() >= 0 for d in draws)),
            finding="The weights lie between {least} and {most}.",
        ),
        _wrong_scale(
            "unit-std",
            "There is no scaling: with many inputs the sums, and then the activations, explode.",
            (
                "What is the variance of a sum of fan_in independent terms?",
                "Multiply the draws by a factor that depends on fan_in.",
            ),
            lambda i, o: 1.0,
        ),
        _wrong_scale(
            "xavier",
            "This is Xavier's (Glorot's) rule, made for tanh; ReLU loses half of the variance, "
            "which He's rule makes up for.",
            (
                "Half of the hidden values become 0 in a ReLU. What does that do to the variance?",
                "The variance is 2 / fan_in.",
            ),
            lambda i, o: np.sqrt(1 / i),
            lambda i, o: np.sqrt(2 / (i + o)),
        ),
        _wrong_scale(
            "fan-out",
            "The scale comes from the number of outputs, not of inputs.",
            (
                "Over how many terms does the sum in one hidden unit run?",
                "It is fan_in that counts: the number of rows.",
            ),
            lambda i, o: np.sqrt(2 / o),
            lambda i, o: np.sqrt(1 / o),
        ),
        _wrong_scale(
            "variance-not-std",
            "The draws were multiplied by the variance; it takes its square root, the standard "
            "deviation.",
            (
                "If x has variance 1, which variance has 3x?",
                "Multiply by the square root of 2 / fan_in.",
            ),
            lambda i, o: 2 / i,
            lambda i, o: 1 / i,
            lambda i, o: 2 / (i + o),
            lambda i, o: 2 / o,
        ),
        Mistake(
            "wrong",
            "Many entries are equal; units with equal weights compute the same.",
            (
                "How many numbers do you draw, and how many entries has the array?",
                "Draw (fan_in, fan_out) numbers, one for each entry.",
            ),
            detect=_when(lambda draws: np.unique(draws[0]).size <= 0.9 * draws[0].size),
            finding="Of the entries only {distinct} are different from each other.",
        ),
        Mistake(
            "wrong",
            "That is not a normal distribution with He's variance.",
            (
                "Plot a histogram of your weights: is it a bell around 0, and how wide?",
                "The mean is 0, the variance 2 / fan_in, and the distribution normal.",
            ),
            detect=lambda observations: _draws(observations) and any(s.wrong for s in observations),
            finding=_SPREAD,
        ),
    ),
    hints=(
        "Which variance keeps the size of the activations through a layer with a ReLU?",
        "Draw standard normal numbers of the right shape from `rng`, and scale them.",
    ),
)


# --- test_suite ----------------------------------------------------------------------------------


def _softmax(scores):
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def _of_arrays(implementation):
    """Let an implementation take lists, too: a suite may hand over what it likes."""

    def backward(X, y, W1, b1, W2, b2):
        return implementation(*map(np.asarray, (X, y, W1, b1, W2, b2)))

    return backward


@_of_arrays
def _right_vectorised(X, y, W1, b1, W2, b2):
    z1 = X @ W1 + b1
    a1 = z1 * (z1 > 0)
    dscores = _softmax(a1 @ W2 + b2)
    dscores[np.arange(len(y)), y] -= 1
    dscores /= len(y)
    dz1 = (dscores @ W2.T) * (z1 > 0)
    return X.T @ dz1, dz1.sum(axis=0), a1.T @ dscores, dscores.sum(axis=0)


def _right_with_rows(X, y, W1, b1, W2, b2):
    """The same, with biases as (1, H) and (1, C)."""
    dW1, db1, dW2, db2 = _right_vectorised(X, y, W1, b1, W2, b2)
    return dW1, db1[None, :], dW2, db2[None, :]


@_of_arrays
def _right_example_by_example(X, y, W1, b1, W2, b2):
    """The mean of the gradients of single examples, each an outer product."""
    totals = [np.zeros(np.shape(p)) for p in (W1, np.ravel(b1), W2, np.ravel(b2))]
    for x, label in zip(X, y, strict=True):
        z1 = x @ W1 + np.ravel(b1)
        a1 = np.maximum(z1, 0)
        ds = _softmax((a1 @ W2 + np.ravel(b2))[None, :])[0]
        ds[label] -= 1
        dz1 = np.where(z1 > 0, W2 @ ds, 0)
        for total, gradient in zip(
            totals, (np.outer(x, dz1), dz1, np.outer(a1, ds), ds), strict=True
        ):
            total += gradient / len(X)
    return tuple(totals)


@_of_arrays
def _right_averaged_last(X, y, W1, b1, W2, b2):
    """Sums over the batch, divided by N at the very end."""
    z1 = X @ W1 + b1
    ds = _softmax(np.maximum(z1, 0) @ W2 + b2) - np.eye(W2.shape[1])[y]
    dz1 = np.einsum("nc,hc->nh", ds, W2) * np.heaviside(z1, 0)
    sums = (
        np.einsum("nd,nh->dh", X, dz1),
        np.einsum("nh->h", dz1),
        np.einsum("nh,nc->hc", np.maximum(z1, 0), ds),
        np.einsum("nc->c", ds),
    )
    return tuple(total / len(y) for total in sums)


_RIGHT = {
    "vectorised": _right_vectorised,
    "biases as rows": _right_with_rows,
    "example by example": _right_example_by_example,
    "averaged last": _right_averaged_last,
}


def _suite_probes():
    for name, implementation in (_RIGHT | mistaken_backwards()).items():
        yield Probe((implementation,), {"implementation": name})


def _said(observations):
    """Return two dictionaries: what was said of the right ones, and of the mistaken ones."""
    said = {s.probe.context["implementation"]: bool(s.outputs["the answer"]) for s in observations
            if "the answer" in s.outputs}  # fmt: skip
    return {n: said.pop(n) for n in _RIGHT if n in said}, said


def _always(answer):
    def detect(observations):
        right, mistaken = _said(observations)
        return {*right.values(), *mistaken.values()} == {answer} and {
            "errors": _errors(observations)
        }

    return detect


def _errors(observations):
    texts = [text for s in observations for text in s.warnings if s.probe.context["implementation"]
             in _RIGHT and text.startswith("raised ")]  # fmt: skip
    return f"It {texts[0]}" if texts else ""


def _false_alarm(observations):
    right, _ = _said(observations)
    condemned = [name for name, answer in right.items() if not answer]
    return condemned and {"condemned": ", ".join(condemned), "errors": _errors(observations)}


def _survivors(observations):
    _, mistaken = _said(observations)
    alive = [id_ for id_, answer in mistaken.items() if answer]
    return alive and {"alive": ", ".join(alive), "how_many": len(alive), "of": len(mistaken)}


test_suite = Exercise(
    name="test_suite",
    day=30,
    signature="suite(backward)",
    task="says whether an implementation of backward is right (True) or not (False)",
    right=lambda implementation: np.bool_(implementation in _RIGHT.values()),
    outputs=("the answer",),
    probes=_suite_probes,
    when_raised=False,
    mistakes=(
        Mistake(
            "always-true",
            "A test that cannot fail is worth nothing: every mistaken implementation passed, too.",
            (
                "What does your suite compare the gradients with?",
                "Compare all four gradients with finite differences of the loss.",
            ),
            detect=_always(True),
            finding="Your suite called every implementation right.",
        ),
        Mistake(
            "always-false",
            "A test that nothing passes tells nothing: right implementations were condemned, too.",
            (
                "Run your suite on an implementation that you trust. Which comparison fails?",
                "Is the loss in your suite the mean cross-entropy, and the tolerance above "
                "rounding? May a bias gradient be (H,) as well as (1, H)?",
            ),
            detect=_always(False),
            finding="Your suite called every implementation wrong. {errors}",
        ),
        Mistake(
            "false-alarm",
            "A right implementation may sum in another order, and return a bias gradient as (H,) "
            "or (1, H).",
            (
                "Do you compare floats with ==, or the shapes more strictly than the task says?",
                "Compare with a tolerance, and flatten the bias gradients before you compare.",
            ),
            detect=_false_alarm,
            finding="Your suite condemned right implementations: {condemned}. {errors}",
        ),
        Mistake(
            "survivors",
            "On the inputs that your suite tries, these give the same numbers as a right one, or "
            "the output that they spoil is not compared.",
            (
                "What would an input look like on which such a mistake changes a number?",
                "Several rows, some hidden values above and some below 0, biases that are not 0, "
                "all sizes different, and all four gradients compared.",
            ),
            detect=_survivors,
            finding="{how_many} of {of} mistaken implementations survived your suite: {alive}.",
        ),
    ),
    hints=(
        "You need no right implementation: finite differences of the loss are the judge.",
        "Make a small network with random numbers, and compare each of the four gradients with "
        "centred differences, with a tolerance.",
    ),
)

EXERCISES = (relu_grad, sigmoid, sigmoid_grad, init_weights, test_suite)
