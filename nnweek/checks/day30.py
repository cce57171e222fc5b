"""The exercises of Day 30: activations, initial weights, and tests that find mistakes.

The keyword-only arguments of a right answer are the steps that its mistakes replace.
"""

import numpy as np

from nnweek.checks.day29 import mistaken_backwards, softmax
from nnweek.checks.exercise import Exercise, Mistake, Probe, close
from nnweek.checks.running import TrialRun
from nnweek.checks.sandbox import described
from nnweek.scratch import sigmoid as _stable_sigmoid


def _relu_grad(z, *, slope=lambda z: np.heaviside(z, 0.5)):
    return slope(z)


def _any_slope_at_kink(got, wanted):
    """Accept any slope from 0 to 1 at the kink (z = 0), which `wanted` marks by ½."""
    kink = wanted == 0.5
    in_range = (got[kink] >= 0) & (got[kink] <= 1)
    return bool(in_range.all()) and close(np.where(kink, 0, got), np.where(kink, 0, wanted))


def _relu_grad_probes():
    rng = np.random.default_rng(35)
    for shape in ((4, 5), (6, 3)):
        z = rng.uniform(0.1, 3, size=shape) * np.where(rng.random(shape) < 0.5, -1, 1)
        yield Probe((z,), {"z.shape": shape})
    with_zeros = np.array([[0.0, 1.5, -2.0], [-0.5, 0.0, 3.0]])
    yield Probe((with_zeros,), {"z.shape": (2, 3)}, accept=_any_slope_at_kink)


def _by_sign(observations):
    """Return (positive z, their slopes, negative z, their slopes), or None if one is unusable."""
    pairs = [(o.probe.args[0], o.outputs.get("slope")) for o in observations]
    if any(got is None or got.shape != z.shape or not np.isfinite(got).all() for z, got in pairs):
        return None
    z, slope = (
        np.concatenate([array.ravel() for array in arrays]) for arrays in zip(*pairs, strict=True)
    )
    return z[z > 0], slope[z > 0], z[z < 0], slope[z < 0]


def _leaks(observations):
    """Return the slope for z < 0 if it is never 0 there and right for z > 0, else None."""
    if parts := _by_sign(observations):
        _, above, _, below = parts
        if close(above, np.ones_like(above)) and below.all():
            return {"leak": f"{below[0]:.4g}"}
    return None


def _returns_values(observations):
    """Return whether these are values of a (perhaps leaky) ReLU: z for z > 0 but not for z < 0."""
    if parts := _by_sign(observations):
        positive, above, negative, below = parts
        return close(above, positive) and not close(below, negative)
    return False


relu_grad = Exercise(
    name="relu_grad",
    day=30,
    signature="relu_grad(z)",
    task="returns the derivative of ReLU at every entry of z, an array like z",
    right=_relu_grad,
    outputs=("slope",),
    probes=_relu_grad_probes,
    mistakes=(
        Mistake(
            "all-ones",
            "A slope of 1 everywhere belongs to the identity; ReLU is flat for z < 0.",
            "What does ReLU return for −2, and for −3? What is the slope in between?",
            "The slope is 1 where z > 0 and 0 where z < 0.",
            variants=({"slope": np.ones_like},),
        ),
        Mistake(
            "returns-relu",
            "These are the values of ReLU, not its slope.",
            "How steep is ReLU at z = 3, and how steep is it at z = 5?",
            "For every z > 0 the slope is 1, however large z is.",
            variants=({"slope": lambda z: np.maximum(0, z)},),
            detect=_returns_values,
        ),
        Mistake(
            "sign-function",
            "This is the sign of z, which is −1 for z < 0. ReLU is flat there; it does not fall.",
            "What does ReLU return for −2, and for −3? What is the slope in between?",
            "Where z < 0 the slope is 0, not −1.",
            variants=(
                {"slope": np.sign},
                {"slope": lambda z: np.where(z > 0, 1, -1)},
                {"slope": lambda z: np.where(z < 0, -1, 1)},
            ),
        ),
        Mistake(
            "leaky",
            "For z < 0 some slope is left, as in a leaky ReLU. The plain ReLU is flat there.",
            "What does ReLU return for −2, and for −3?",
            "Where z < 0 the slope is exactly 0.",
            detect=_leaks,
            finding="For z > 0 the slope is right; for z < 0 it is {leak}, where 0 was expected.",
        ),
    ),
    hints=(
        "Sketch ReLU: how steep is it to the left of 0, and how steep to the right?",
        "Comparing z with 0 gives the answer at once; at 0 itself, both slopes are fine.",
    ),
)


# A clip matters only for |z| < 30: beyond that, 0 and 1 are good enough, as in float32.
_TAIL = np.array([[-2.0, -4, -7, -10, -13, -16, -19, -22], [-25, -27, -29, -29.9, 4, 7, 10, 13]])
_EXTREME = np.array([[-1000.0, -800, -400, -120], [120, 400, 800, 1000]])


def _activation_probes():
    rng = np.random.default_rng(36)
    yield Probe((rng.uniform(-1.5, 1.5, size=(3, 4)),), {"z.shape": (3, 4)})
    yield Probe((rng.uniform(-3, 3, size=(5, 2)),), {"z.shape": (5, 2)})
    yield Probe((_TAIL,), {"z between": "−30 and 13"})
    yield Probe((_EXTREME,), {"z between": "−1000 and 1000"}, targets="overflow")


def _overflows(observations):
    """Return what a large |z| caused: an overflow warning or error, or infinities or NaNs."""
    for observation in observations:
        for warning in observation.warnings:
            if "overflow" in warning:
                return {"symptom": f"NumPy warned: “{warning}”."}
        if observation is observations[-1]:
            for name in observation.right:
                got = observation.outputs.get(name, np.zeros(()))
                if not np.isfinite(got).all():
                    return {"symptom": f"The result contains {got[~np.isfinite(got)][0]:g}."}
        if observation.problem and "OverflowError" in observation.problem.text:
            return {"symptom": observation.problem.text}
    return None


def _clipped(observations):
    """Return where the sigmoid stops falling, some z = −c above −30, as if z were clipped to ±c.

    The value where it stops, the floor, gives c = ln(1/floor − 1). Example: a floor of 4.54e-5
    gives c = 10. It is a clip if σ is right for |z| < c and stays at the floor for z < −c.
    """
    got = observations[2].outputs.get("sigmoid")  # on _TAIL
    if got is None or got.shape != _TAIL.shape:
        return None
    floor = got[1, 3]  # at z = −29.9
    if not 1.1 * _stable_sigmoid(-29.9) < floor < 0.45:
        return None
    c = float(np.log(1 / floor - 1))
    for observation in observations[:3]:
        (z,) = observation.probe.args
        inside, got = np.abs(z) < c - 1e-3, observation.outputs.get("sigmoid")
        if got is None or not close(got[inside], _stable_sigmoid(z[inside])):
            return None
        if not np.allclose(got[z < -c], floor, rtol=1e-2, atol=0):
            return None
    return {"clip": f"{c:.3g}", "floor": f"{floor:.3g}"}


_OVERFLOW = Mistake(
    "overflow",
    "The exponential of a large number does not fit into a float.",
    "What is exp(1000)? For which sign of z does your exponential grow? Could you write it so "
    "that its argument is never positive?",
    "For z ≥ 0 use exp(−z), for z < 0 the equivalent form with exp(z); `np.where` computes both "
    "branches everywhere. Or use `np.logaddexp`, or clip z at ±500.",
    detect=_overflows,
    finding="For |z| up to 1000: {symptom}",
)


def _sigmoid(z, *, argument=lambda z: z, function=_stable_sigmoid):
    return function(argument(z))


sigmoid = Exercise(
    name="sigmoid",
    day=30,
    signature="sigmoid(z)",
    task="returns 1 / (1 + exp(−z)) for every entry of z, up to |z| = 1000 without a warning",
    right=_sigmoid,
    outputs=("sigmoid",),
    probes=_activation_probes,
    mistakes=(
        Mistake(
            "missing-minus",
            "This function falls where the sigmoid rises: it is the sigmoid of −z.",
            "Should a large z give a value near 1 or near 0? What do you get?",
            "In 1 / (1 + exp(−z)) the exponent has a minus sign.",
            variants=({"argument": np.negative},),
        ),
        Mistake(
            "tanh-instead",
            "This is the hyperbolic tangent, which goes from −1 to 1. The sigmoid goes from 0 to 1.",
            "What should the value at z = 0 be?",
            "The sigmoid is never negative. It is ½ (1 + tanh(z/2)), if you want to use tanh.",
            variants=({"function": np.tanh},),
        ),
        _OVERFLOW,
        Mistake(
            "clipped-too-tight",
            "The input or the result was clipped so tightly that the sigmoid stops falling.",
            "What are σ(−25) and σ(−29)? Do your two values differ?",
            "Overflow starts near |z| = 709 in float64; a clip at ±500 is wide enough.",
            detect=_clipped,
            finding="Below z = −{clip}, your values stay at {floor}; σ(−29.9) is 1e-13.",
        ),
    ),
    hints=(
        "Write the formula, then ask what happens at z = −1000.",
        "For each sign of z, choose the form whose exponential stays below 1.",
    ),
)


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
    outputs=("slope",),
    probes=_activation_probes,
    mistakes=(
        Mistake(
            "derivative-in-z",
            "s(1 − s) is right for s = σ(z), but here z itself was used as s.",
            "In σ′ = σ(1 − σ), is σ the input or the output of the sigmoid?",
            "Compute s = σ(z) first.",
            variants=({"slope": _logistic_slope},),
        ),
        Mistake(
            "applied-twice",
            "The sigmoid was applied twice: this is the slope at σ(z), not at z.",
            "Is your argument z or σ(z)? How often does a sigmoid occur in your code?",
            "Take s = σ(z) once, then s(1 − s).",
            variants=({"slope": lambda z: _logistic_slope(_stable_sigmoid(_stable_sigmoid(z)))},),
        ),
        Mistake(
            "no-complement",
            "This is the sigmoid, not its slope: the factor 1 − σ is missing.",
            "How steep is the sigmoid far to the right, and what do you return there?",
            "Multiply by 1 − σ(z).",
            variants=({"slope": _stable_sigmoid},),
        ),
        Mistake(
            "tanh-derivative",
            "1 − s² is the slope of tanh; the slope of the sigmoid is s(1 − s).",
            "The sigmoid is steepest at z = 0: is your value there 0.25?",
            "The rule 1 − s² belongs to tanh; for the sigmoid it is s − s².",
            variants=(
                {"slope": lambda z: 1 - _stable_sigmoid(z) ** 2},
                {"slope": lambda z: 1 - np.tanh(z) ** 2},
            ),
        ),
        _OVERFLOW,
    ),
    hints=(
        "Write the derivative in terms of the value of the sigmoid.",
        "σ′(z) = σ(z)(1 − σ(z)): with a sigmoid that is safe for large |z|, this is safe too.",
    ),
)


def _init_weights(fan_in, fan_out, rng, *, std=lambda i, o: np.sqrt(2 / i)):
    return std(fan_in, fan_out) * rng.standard_normal((fan_in, fan_out))


def _init_probes():
    # 24,000 draws determine the standard deviation to 0.5 % and the fourth moment to 0.03.
    for fan_in, fan_out, seed in ((300, 80, 1), (80, 300, 2), (300, 80, 1), (300, 80, 3)):
        yield Probe(
            (fan_in, fan_out, np.random.default_rng(seed)),
            {"fan_in": fan_in, "fan_out": fan_out},
            accept=_he_normal,
        )


def _same_spread(got, wanted):
    """Return whether `got` has the standard deviation of `wanted` and a mean near 0."""
    return bool(
        np.isfinite(got).all()
        and abs(got.std() - wanted.std()) < 0.03 * wanted.std()
        and abs(got.mean()) < 8 * wanted.std() / np.sqrt(got.size)
    )


def _he_normal(got, wanted):
    """Return whether `got` could be He normal, truncated or not: spread, mean, kurtosis, repeats.

    Each band is at least six standard errors wide, so a right answer never fails by chance.
    """
    if not _same_spread(got, wanted):
        return False
    kurtosis = ((got / got.std()) ** 4).mean()  # normal 3, truncated 2.4, uniform 1.8
    return bool(2.1 < kurtosis < 3.5 and np.unique(got).size > 0.9 * got.size)


def _draws(observations):
    """Return the weights of all probes, or None if one has a wrong shape or is not finite."""
    draws = [observation.outputs.get("weights") for observation in observations]
    for draw, observation in zip(draws, observations, strict=True):
        if draw is None or draw.shape != observation.probe.args[:2] or not np.isfinite(draw).all():
            return None
    return draws


def _when(condition):
    """Make a `Mistake.detect` of a condition on the draws; it describes the first draw."""

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


def _ignores_rng(draws):
    first, _, same_seed, other_seed = draws
    return np.array_equal(first, other_seed) or not np.array_equal(first, same_seed)


_SPREAD = (
    "With fan_in = {fan_in} and fan_out = {fan_out}, your weights have mean {mean} and standard "
    "deviation {std}, where 0 and {right_std} were expected."
)


def _wrong_scale(id_, explanation, question, advice, *formulas):
    variants = tuple({"std": formula} for formula in formulas)
    return Mistake(id_, explanation, question, advice, variants, finding=_SPREAD)


_EQUAL_UNITS = "If two hidden units start out equal, what could ever make them different?"

init_weights = Exercise(
    name="init_weights",
    day=30,
    signature="init_weights(fan_in, fan_out, rng)",
    task="draws weights (fan_in, fan_out) from a normal distribution, by He's rule for ReLU",
    right=_init_weights,
    outputs=("weights",),
    probes=_init_probes,
    matches=_same_spread,
    mistakes=(
        Mistake(
            "zeros",
            "If every weight is 0, all hidden units compute the same and get the same gradient.",
            _EQUAL_UNITS,
            "The weights must be random numbers, drawn from `rng`.",
            detect=_when(lambda draws: not any(d.any() for d in draws)),
            finding="All weights are 0.",
        ),
        Mistake(
            "constant",
            "All entries are equal, so all hidden units compute the same and stay the same.",
            _EQUAL_UNITS,
            "Draw one number per entry: the draw needs a size.",
            detect=_when(lambda draws: all(np.ptp(d) == 0 for d in draws)),
            finding="All weights are {mean}.",
        ),
        Mistake(
            "ignores-rng",
            "The numbers do not depend on the generator that was passed in: either they cannot be "
            "reproduced, or no seed changes them.",
            "Call it with two generators of the same seed, then with two of different seeds. "
            "Which results should agree?",
            "Draw only from `rng` itself.",
            detect=_when(_ignores_rng),
            finding="Generators with equal seeds gave different weights, or generators with "
            "different seeds gave equal ones.",
        ),
        Mistake(
            "all-positive",
            "No weight is negative, so all hidden units respond in much the same way.",
            "What is the mean of your weights, and what should it be?",
            "A normal distribution around 0 gives both signs.",
            detect=_when(lambda draws: all(d.min() >= 0 for d in draws)),
            finding="The weights are between {least} and {most}.",
        ),
        _wrong_scale(
            "unit-std",
            "The draws are not scaled: with many inputs, the sums explode, and so do the activations.",
            "What is the variance of a sum of fan_in independent terms?",
            "Multiply the draws by a factor that depends on fan_in.",
            lambda i, o: 1.0,
        ),
        _wrong_scale(
            "xavier",
            "This is Xavier's (Glorot's) rule, which was made for tanh. ReLU halves the variance, "
            "and He's rule makes up for that.",
            "A ReLU sets half of the hidden values to 0. What does that do to the variance?",
            "The variance is 2 / fan_in.",
            lambda i, o: np.sqrt(1 / i),
            lambda i, o: np.sqrt(2 / (i + o)),
        ),
        _wrong_scale(
            "fan-out",
            "The scale depends on the number of outputs instead of the number of inputs.",
            "How many terms does the sum in one hidden unit have?",
            "What counts is fan_in, the number of rows.",
            lambda i, o: np.sqrt(2 / o),
            lambda i, o: np.sqrt(1 / o),
        ),
        _wrong_scale(
            "variance-not-std",
            "The draws were multiplied by the variance instead of the standard deviation, its root.",
            "If x has variance 1, what is the variance of 3x?",
            "Multiply by the square root of 2 / fan_in.",
            lambda i, o: 2 / i,
            lambda i, o: 1 / i,
            lambda i, o: 2 / (i + o),
            lambda i, o: 2 / o,
        ),
        Mistake(
            "wrong",
            "Many entries are equal, and units with equal weights compute the same.",
            "How many numbers do you draw, and how many entries does the array have?",
            "Draw (fan_in, fan_out) numbers, one per entry.",
            detect=_when(lambda draws: np.unique(draws[0]).size <= 0.9 * draws[0].size),
            finding="Only {distinct} of the entries are distinct.",
        ),
        Mistake(
            "wrong",
            "This is not a normal distribution with He's variance.",
            "Plot a histogram of your weights: is it a bell around 0, and how wide?",
            "The mean is 0, the variance 2 / fan_in, and the distribution normal.",
            detect=lambda observations: _draws(observations) and any(o.wrong for o in observations),
            finding=_SPREAD,
        ),
    ),
    hints=(
        "Which variance preserves the size of the activations through a layer with a ReLU?",
        "Draw standard normal numbers of the right shape from `rng`, and scale them.",
    ),
)


def _of_arrays(implementation):
    """Let an implementation accept lists too: a suite may pass what it likes."""

    def backward(X, y, W1, b1, W2, b2):
        return implementation(*map(np.asarray, (X, y, W1, b1, W2, b2)))

    return backward


@_of_arrays
def _right_vectorised(X, y, W1, b1, W2, b2):
    z1 = X @ W1 + b1
    a1 = z1 * (z1 > 0)
    dscores = softmax.right(a1 @ W2 + b2)
    dscores[np.arange(len(y)), y] -= 1
    dscores /= len(y)
    dz1 = (dscores @ W2.T) * (z1 > 0)
    return X.T @ dz1, dz1.sum(axis=0), a1.T @ dscores, dscores.sum(axis=0)


def _right_with_rows(X, y, W1, b1, W2, b2):
    """The same, with bias gradients of shape (1, H) and (1, C)."""
    dW1, db1, dW2, db2 = _right_vectorised(X, y, W1, b1, W2, b2)
    return dW1, db1[None, :], dW2, db2[None, :]


@_of_arrays
def _right_example_by_example(X, y, W1, b1, W2, b2):
    """The mean of the gradients of single examples, which are outer products."""
    totals = [np.zeros(np.shape(p)) for p in (W1, np.ravel(b1), W2, np.ravel(b2))]
    for x, label in zip(X, y, strict=True):
        z1 = x @ W1 + np.ravel(b1)
        a1 = np.maximum(z1, 0)
        ds = softmax.right((a1 @ W2 + np.ravel(b2))[None, :])[0]
        ds[label] -= 1
        dz1 = np.where(z1 > 0, W2 @ ds, 0)
        gradients = np.outer(x, dz1), dz1, np.outer(a1, ds), ds
        for total, gradient in zip(totals, gradients, strict=True):
            total += gradient / len(X)
    return tuple(totals)


@_of_arrays
def _right_averaged_last(X, y, W1, b1, W2, b2):
    """Sums over the batch, divided by N at the very end."""
    z1 = X @ W1 + b1
    ds = softmax.right(np.maximum(z1, 0) @ W2 + b2) - np.eye(W2.shape[1])[y]
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


def _try_suite(function, implementation):
    """Call a suite; an exception counts as the answer False and is kept in the log."""
    try:
        return function(implementation)
    except (Exception, SystemExit) as error:
        problem = described(error)
        if problem.id != "raised":
            raise
        return TrialRun(False, log=problem.text)


def _suite_probes():
    for name, implementation in (_RIGHT | mistaken_backwards()).items():
        yield Probe((implementation,), {"implementation": name})


def _answers(observations):
    """Return {implementation: the suite's answer} for the right and for the mistaken ones."""
    answers = {o.probe.context["implementation"]: bool(o.outputs["the answer"])
               for o in observations if "the answer" in o.outputs}  # fmt: skip
    return {name: answers.pop(name) for name in _RIGHT if name in answers}, answers


def _always(answer):
    def detect(observations):
        right, mistaken = _answers(observations)
        return {*right.values(), *mistaken.values()} == {answer} and {
            "errors": _errors(observations)
        }

    return detect


def _errors(observations):
    """Return a sentence on the first exception that a right implementation caused, or ""."""
    errors = [o.log for o in observations if o.log and o.probe.context["implementation"] in _RIGHT]
    return f"It raised {errors[0]}" if errors else ""


def _false_alarm(observations):
    right, _ = _answers(observations)
    rejected = [name for name, answer in right.items() if not answer]
    return rejected and {"rejected": ", ".join(rejected), "errors": _errors(observations)}


def _survivors(observations):
    _, mistaken = _answers(observations)
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
    trial=_try_suite,
    mistakes=(
        Mistake(
            "always-true",
            "A test that cannot fail is worth nothing: every mistaken implementation passed too.",
            "What does your suite compare the gradients with?",
            "Compare all four gradients with finite differences of the loss.",
            detect=_always(True),
            finding="Your suite called every implementation right.",
        ),
        Mistake(
            "always-false",
            "A test that nothing can pass is worth nothing: it rejected right implementations too.",
            "Run your suite on an implementation that you trust. Which comparison fails?",
            "Is the loss in your suite the mean cross-entropy, and is the tolerance larger than "
            "rounding errors? Does it accept a bias gradient of shape (H,) as well as (1, H)?",
            detect=_always(False),
            finding="Your suite called every implementation wrong. {errors}",
        ),
        Mistake(
            "false-alarm",
            "A right implementation may sum in any order, and return a bias gradient as (H,) or "
            "(1, H).",
            "Do you compare floats with ==, or check shapes more strictly than the task does?",
            "Compare with a tolerance, and flatten the bias gradients before you compare.",
            detect=_false_alarm,
            finding="Your suite rejected right implementations: {rejected}. {errors}",
        ),
        Mistake(
            "survivors",
            "On the inputs that your suite tries, they give the same numbers as a right one, or "
            "your suite does not compare the output that is wrong.",
            "On what kind of input would such a mistake change a number?",
            "Use several rows, hidden values above and below 0, biases that are not 0 and "
            "sizes that all differ, and compare all four gradients.",
            detect=_survivors,
            finding="{how_many} of {of} mistaken implementations survived your suite: {alive}.",
        ),
    ),
    hints=(
        "You need no right implementation: compare with finite differences of the loss.",
        "Make a small network of random numbers, and compare each of its four gradients with "
        "centred differences, up to a tolerance.",
    ),
)

EXERCISES = (relu_grad, sigmoid, sigmoid_grad, init_weights, test_suite)
