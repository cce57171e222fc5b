"""The exercises of Day 30: activations, initial weights, and tests that find mistakes.

The keyword-only arguments of a right answer are the steps that its mistakes replace.
"""

import copy
import math
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from nnweek.checks import progress_store
from nnweek.checks.comparing import as_numbers, close
from nnweek.checks.day29 import mistaken_backwards, softmax
from nnweek.checks.exercise import Exercise, Mistake, Probe
from nnweek.checks.forms import Form, judge, numbers
from nnweek.checks.running import TrialRun
from nnweek.checks.sandbox import Problem, described
from nnweek.checks.steps import identity, one, zero
from nnweek.checks.wording import SOME_RIGHT, in_words
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
    """Return the slope for z < 0 if it is one number other than 0, and right for z > 0."""
    if parts := _by_sign(observations):
        _, above, _, below = parts
        if close(above, np.ones_like(above)) and below.all() and close(below, below[:1]):
            return {"leak": f"{below[0]:.4g}"}
    return None


def _returns_values(observations):
    """Return whether these are values of a ReLU, or of a leaky one: z for z > 0, else 0 or c·z."""
    if parts := _by_sign(observations):
        positive, above, negative, below = parts
        leak = (below / negative).mean()
        return close(above, positive) and 0 <= leak < 0.9 and close(below, leak * negative)
    return False


def _one_at_zero(observations):
    """Return whether everything is right, and the slope at the kink is 1."""
    if any(o.wrong or o.problem or o.changed for o in observations):
        return False
    (z,) = observations[-1].probe.args
    return bool((observations[-1].outputs["slope"][z == 0] == 1).all())


_SLOPE = "(z > 0).astype(z.dtype)"  # in the solution

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
            variants=({"slope": np.ones_like}, {"slope": lambda z: z != 0}),
            slip=(_SLOPE, "np.ones_like(z)"),
        ),
        Mistake(
            "returns-relu",
            "These are the values of ReLU, not its slope.",
            "How steep is ReLU at z = 3, and how steep is it at z = 5?",
            "For every z > 0 the slope is 1, however large z is.",
            variants=({"slope": lambda z: np.maximum(0, z)},),
            detect=_returns_values,
            slip=(_SLOPE, "np.maximum(0, z)"),
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
            slip=(_SLOPE, "np.sign(z)"),
        ),
        Mistake(
            "wrong",
            "The slope is 1 where ReLU is flat, and 0 where it rises.",
            "What does ReLU return for 2, and for 3? What is the slope in between?",
            "The comparison with 0 is the wrong way round.",
            variants=({"slope": lambda z: z < 0}, {"slope": lambda z: z <= 0}),
            slip=("z > 0", "z < 0"),
        ),
        Mistake(
            "wrong",
            "For z > 0 the slope is right; for z < 0 you return z itself. ReLU is flat there.",
            "What does your function return for −2, and how steep is ReLU at −2?",
            "Where z < 0 the slope is 0.",
            variants=(
                {"slope": lambda z: np.where(z > 0, 1, z)},
                {"slope": lambda z: np.where(z >= 0, 1, z)},
            ),
            slip=(_SLOPE, "np.where(z > 0, 1, z)"),
        ),
        Mistake(
            "leaky",
            "For z < 0 some slope is left, as in a leaky ReLU. The plain ReLU is flat there.",
            "What does ReLU return for −2, and for −3?",
            "Where z < 0 the slope is exactly 0.",
            detect=_leaks,
            finding="For z > 0 the slope is right; for z < 0 it is {leak}, where 0 was expected.",
            slip=(_SLOPE, "np.where(z > 0, 1, 0.01)"),
        ),
        Mistake(
            "one-at-zero",
            "ReLU has no derivative there, and both 0 and 1 are accepted. `TwoLayerMLP` and PyTorch "
            "use 0.",
            "Which slope does your function return at z = 0?",
            "With a strict comparison, the slope at 0 is 0.",
            detect=_one_at_zero,
            finding="At z = 0 your slope is 1.",
            slip=("z > 0", "z >= 0"),
            forgiven=True,
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
    z = rng.uniform(-1.5, 1.5, size=(3, 4))
    z[1, 2] = 0
    yield Probe((z,), {"z.shape": (3, 4)})
    yield Probe((rng.uniform(-3, 3, size=(5, 2)),), {"z.shape": (5, 2)})
    yield Probe((_TAIL,), {"z.min()": _TAIL.min(), "z.max()": _TAIL.max()})
    yield Probe(
        (_EXTREME,), {"z.min()": _EXTREME.min(), "z.max()": _EXTREME.max()}, targets="overflow"
    )


def _overflows(observations):
    """Return what a large |z| caused: an overflow warning or error, or infinities or NaNs.

    It is the mistake only if everything else is right.
    """
    *ordinary, extreme = observations
    if any(observation.wrong for observation in ordinary):
        return None
    for observation in observations:
        for warning in observation.warnings:
            if "overflow" in warning:
                return {"symptom": f"NumPy warned: “{warning}”."}
    if extreme.problem and "overflow" in extreme.problem.text.lower():
        return {"symptom": extreme.problem.text}
    for got in extreme.outputs.values():
        if not np.isfinite(got).all():
            return {"symptom": f"The result contains {got[~np.isfinite(got)][0]:g}."}
    return None


def _clipped(observations):
    """Return where the sigmoid stops changing, as if z were clipped to ±c.

    The sigmoid of −z, one without brackets, 1 + exp(−z), and those of |z| and −|z| are tried too.
    """
    if any(o.outputs.get("sigmoid", np.zeros(0)).shape != o.right["sigmoid"].shape
           for o in observations[:3]):  # fmt: skip
        return None
    z = np.concatenate([o.probe.args[0].ravel() for o in observations[:3]])
    got = np.concatenate([o.outputs["sigmoid"].ravel() for o in observations[:3]])
    of_size = np.where(z < 0, 1 - got, got)  # σ(z) if `got` is σ(|z|)
    for farthest in (np.argmin(z), np.argmax(z)):
        for values in (got, 1 - got, 1 / got, of_size, 1 - of_size):
            if c := _clip(z, values, farthest):
                beyond = f"{'Below' if c < 0 else 'Above'} z = {c:.3g}".replace("-", "−")
                far = f"{z[farthest]:.3g}".replace("-", "−")
                right = f"σ({far}) is {_stable_sigmoid(z[farthest]):.6g}"
                return {"first": f"{beyond}, your values stay at {got[farthest]:.6g}; {right}."}
    return None


def _clip(z, values, farthest):
    """Return the z beyond which these values of the sigmoid no longer change, or None.

    The distance from 0 or 1 at which they stop, the gap, gives c = ln(1/gap − 1). Example: a gap
    of 4.54e-5 gives c = 10. It is a clip if σ is right for |z| < c and stays there beyond c.
    """
    side = np.sign(z[farthest])
    gaps = 1 - values if side > 0 else values
    gap = gaps[farthest]
    if not 1.1 * _stable_sigmoid(-abs(z[farthest])) < gap < 0.45:
        return None
    c = float(np.log(1 / gap - 1))
    inside = np.abs(z) < c - 1e-3
    right = close(values[inside], _stable_sigmoid(z[inside]))
    stays = np.allclose(gaps[side * z > c], gap, rtol=1e-2, atol=0)
    return side * c if right and stays else None


_OVERFLOW = Mistake(
    "overflow",
    "The exponential of a large number does not fit into a float.",
    "What is exp(1000)? For which sign of z does your exponential grow? Could you write it so "
    "that its argument is never positive?",
    "For z ≥ 0 use exp(−z), for z < 0 the equivalent form with exp(z), but not with `np.where` on two "
    "finished formulas: it needs both everywhere. Or use `np.logaddexp`, or clip z at ±500.",
    detect=_overflows,
    finding="For |z| up to 1000: {symptom}",
)


def _except_at_zero(name, function):
    """Describe the mistake of a value at z = 0 that belongs to no branch, or to both."""
    return Mistake(
        "wrong",
        "Everything is right except where z is exactly 0. The conditions z > 0 and z < 0 both leave "
        "out 0; z >= 0 and z <= 0 both include it.",
        "Which branch of your function computes the value at z = 0?",
        "Let exactly one of the two conditions include 0: z >= 0 and z < 0.",
        variants=tuple(
            {name: lambda z, value=value: np.where(z == 0, value, function(z))}
            for value in (0, 2 * function(0.0))
        ),
    )


_BINDING = "Multiplication and division come before addition and subtraction. Without brackets, "

# Sigmoids without the brackets around a denominator.
_WITHOUT_BRACKETS = (
    lambda z: 1 / 1 + np.exp(-z),
    lambda z: np.exp(z) / 1 + np.exp(z),
    lambda z: np.where(z >= 0, 1 / 1 + np.exp(-z), np.exp(z) / 1 + np.exp(z)),
    lambda z: np.where(z >= 0, 1 / 1 + np.exp(-z), _stable_sigmoid(z)),
    lambda z: np.where(z >= 0, _stable_sigmoid(z), np.exp(z) / 1 + np.exp(z)),
)
_SIGMOID = "np.where(z >= 0, 1, small) / (1 + small)"  # in the solution


def _minus(extreme, **axis):
    return lambda z: z - extreme(z, **axis)


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
            "This function falls where the sigmoid rises: it is the sigmoid of −z. A minus sign is "
            "missing, or two branches are swapped.",
            "Should a large z give a value near 1 or near 0? What do you get?",
            "In 1 / (1 + exp(−z)) the exponent has a minus sign. With a branch for each sign of z, check "
            "which of them belongs to z ≥ 0.",
            variants=({"argument": np.negative},),
            slip=("z >= 0", "z < 0"),
        ),
        Mistake(
            "tanh-instead",
            "This is the hyperbolic tangent, which goes from −1 to 1. The sigmoid goes from 0 to 1.",
            "What should the value at z = 0 be?",
            "The sigmoid is never negative. It is ½ (1 + tanh(z/2)), if you want to use tanh.",
            variants=({"function": np.tanh}, {"function": lambda z: np.tanh(z / 2)}),
            slip=(_SIGMOID, "np.tanh(z)"),
        ),
        Mistake(
            "precedence",
            _BINDING + "`1 / 1 + x` is `1 + x`, as if `1 /` were missing.",
            "What do you get at z = 0, where the sigmoid is ½? In which order is your expression "
            "evaluated?",
            "Write `1 /` before the sum, and put brackets around the entire denominator.",
            variants=tuple({"function": function} for function in _WITHOUT_BRACKETS),
            slip=("/ (1 + small)", "/ 1 + small"),
        ),
        Mistake(
            "absolute-value",
            "The result is the same for z and −z, but the sigmoid of −z should be 1 − σ(z).",
            "What should the sigmoid of −2 be, and what of 2? Where does the sign of z get lost?",
            "exp(−|z|) is safe for both signs, but the formula around it depends on the sign of z.",
            variants=({"argument": np.abs}, {"argument": lambda z: -np.abs(z)}),
            slip=("np.where(z >= 0, 1, small)", "1"),
        ),
        Mistake(
            "wrong",
            "A maximum or minimum was subtracted first, so each value depends on the other entries. "
            "That leaves a softmax unchanged, but not a sigmoid.",
            "What does your function return for a single z? Does that change if you add a second?",
            "Leave z as it is, and choose a form of the formula whose exponential is never large.",
            variants=tuple(
                {"argument": argument}
                for extreme in (np.max, np.min)
                for argument in (_minus(extreme), _minus(extreme, axis=1, keepdims=True))
            ),
        ),
        Mistake(
            "wrong",
            "This is the sigmoid of 2z, as if ½ (1 + tanh(z/2)) were written with z in place of z/2.",
            "At which z should the value be 0.731? Where is it in yours?",
            "Compare your formula with the definition at z = 1.",
            variants=({"argument": lambda z: 2 * z},),
        ),
        Mistake(
            "wrong",
            "This is the slope of the sigmoid, not its value.",
            "What should the value at z = 0 be, and what far to the right?",
            "Return σ(z) itself; the product with 1 − σ(z) is its derivative.",
            variants=({"function": lambda z: _stable_sigmoid(z) * _stable_sigmoid(-z)},),
        ),
        _except_at_zero("function", _stable_sigmoid),
        Mistake(
            "wrong",
            "This is 1 / (1 − exp(−z)): the denominator of the sigmoid is a sum.",
            "What is your denominator at z = 0?",
            "Add the exponential to 1.",
            variants=({"function": lambda z: 1 / (1 - np.exp(-z))},),
        ),
        replace(_OVERFLOW, slip=(_SIGMOID, "1 / (1 + np.exp(-z))")),
        Mistake(
            "clipped-too-tight",
            "The input or the result was clipped so tightly that the sigmoid stops changing.",
            "Far from 0, the sigmoids of two different z still differ. Do your values?",
            "Overflow starts near |z| = 709 in float64; a clip at ±500 is wide enough.",
            detect=_clipped,
            slip=("np.abs(z)", "np.minimum(np.abs(z), 10)"),
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


def _with_nan(function, z):
    """Call `sigmoid_grad`; if it returns zeros only, log whether NaNs give NaNs.

    s * 1 − s is 0 as well, but unlike a constant 0 or 0 · z it is NaN for NaN and 0 for infinity.
    """
    value = function(z)
    slope = as_numbers(value)
    if slope is None or slope.any():
        return value
    try:
        at_nan, at_infinity = (as_numbers(function(np.full_like(z, x))) for x in (np.nan, np.inf))
        return TrialRun(value, log=np.isnan(at_nan).all() and not at_infinity.any())
    except Exception:
        return TrialRun(value)


def _cancels(observations):
    return all(observation.log for observation in observations[:3])


def _slope_of_clipped(observations):
    """Return the c that explains all slopes as those at z clipped to ±c, or None."""
    ordinary = observations[:3]
    if any(o.outputs.get("slope", np.zeros(0)).shape != o.right["slope"].shape for o in ordinary):
        return None
    slope = ordinary[-1].outputs["slope"].min()
    if not 0 < slope < 0.25:
        return None
    s = (1 - np.sqrt(1 - 4 * slope)) / 2  # s (1 − s) is the slope
    c = np.log(1 / s - 1)
    for observation in ordinary:
        z = np.clip(observation.probe.args[0], -c, c)
        if not close(observation.outputs["slope"], _stable_sigmoid(z) * _stable_sigmoid(-z)):
            return None
    wrong = any(o.wrong for o in ordinary)
    return wrong and {"clip": f"{c:.3g}", "slope": f"{slope:.3g}"}


sigmoid_grad = Exercise(
    name="sigmoid_grad",
    day=30,
    signature="sigmoid_grad(z)",
    task="returns the derivative of the sigmoid at the pre-activation z, an array like z",
    right=_sigmoid_grad,
    outputs=("slope",),
    probes=_activation_probes,
    trial=_with_nan,
    mistakes=(
        Mistake(
            "derivative-in-z",
            "s(1 − s) is right for s = σ(z), but here z itself was used in place of an s.",
            "In σ′ = σ(1 − σ), is σ the input or the output of the sigmoid?",
            "Compute s = σ(z) first.",
            variants=(
                {"slope": _logistic_slope},
                {"slope": lambda z: _stable_sigmoid(z) * (1 - z)},
                {"slope": lambda z: z * (1 - _stable_sigmoid(z))},
            ),
            slip=("s = sigmoid(z)", "s = z"),
        ),
        Mistake(
            "applied-twice",
            "The sigmoid was applied twice: this is the slope at σ(z), not at z.",
            "Is your argument z or σ(z)? How often does a sigmoid occur in your code?",
            "Take s = σ(z) once, then s(1 − s).",
            variants=({"slope": lambda z: _logistic_slope(_stable_sigmoid(_stable_sigmoid(z)))},),
            slip=("s = sigmoid(z)", "s = sigmoid(sigmoid(z))"),
        ),
        Mistake(
            "no-complement",
            "This is the sigmoid, not its slope: the factor 1 − σ is missing.",
            "How steep is the sigmoid far to the right, and what do you return there?",
            "Multiply by 1 − σ(z).",
            variants=({"slope": _stable_sigmoid},),
            slip=("s * (1 - s)", "s"),
        ),
        Mistake(
            "wrong",
            "This is 1 − σ(z): the factor σ(z) is missing, or a square in the denominator.",
            "How steep is the sigmoid far to the left, and what do you return there?",
            "Multiply by σ(z).",
            variants=({"slope": lambda z: _stable_sigmoid(-z)},),
            slip=("s * (1 - s)", "1 - s"),
        ),
        Mistake(
            "wrong",
            "This is σ(1 + σ), which is 2 far to the right.",
            "How steep is the sigmoid far to the right? Between which two lines of your derivation does "
            "that change?",
            "A minus sign got lost: (u − 1)/u is 1 − 1/u.",
            variants=({"slope": lambda z: _stable_sigmoid(z) * (1 + _stable_sigmoid(z))},),
            slip=("s * (1 - s)", "s * (1 + s)"),
        ),
        Mistake(
            "tanh-derivative",
            "1 − s² is the slope of tanh; the slope of the sigmoid is s(1 − s).",
            "The sigmoid is steepest at z = 0: is your value there 0.25?",
            "The rule 1 − s² belongs to tanh; for the sigmoid it is s − s².",
            variants=(
                {"slope": lambda z: 1 - _stable_sigmoid(z) ** 2},
                {"slope": lambda z: 1 - np.tanh(z) ** 2},
                {"slope": lambda z: 1 - z**2},
            ),
            slip=("s * (1 - s)", "1 - s**2"),
        ),
        Mistake(
            "precedence",
            _BINDING + "`s * 1 - s` is 0, and `1 / 1 + x` is `1 + x`.",
            "What do you get at z = 0, where the slope is ¼? In which order is your expression "
            "evaluated?",
            "Put brackets around 1 − s, or around the entire denominator.",
            variants=(
                *({"slope": lambda z, f=f: _logistic_slope(f(z))} for f in _WITHOUT_BRACKETS),
                *({"slope": lambda z, f=f: f(z) * f(-z)} for f in _WITHOUT_BRACKETS),
                {"slope": lambda z: np.exp(-z) / 1 + np.exp(-z) ** 2},
                {"slope": lambda z: np.exp(-z) / (1 + np.exp(-z) ** 2)},
                {"slope": lambda z: (np.exp(-z) / 1 + np.exp(-z)) ** 2},
            ),
            detect=_cancels,
            slip=("s * (1 - s)", "s * 1 - s"),
        ),
        _except_at_zero("slope", lambda z: _stable_sigmoid(z) * _stable_sigmoid(-z)),
        Mistake(
            "wrong",
            "z was clipped so tightly that the slope stops shrinking.",
            "Far from 0, the slopes at two different z still differ. Do your values?",
            "Overflow starts near |z| = 709 in float64; a clip at ±500 is wide enough.",
            detect=_slope_of_clipped,
            finding="Beyond |z| = {clip}, your slope stays at {slope}.",
        ),
        replace(_OVERFLOW, slip=("s = sigmoid(z)", "s = 1 / (1 + np.exp(-z))")),
    ),
    hints=(
        "Write the derivative in terms of the value of the sigmoid.",
        "σ′(z) = σ(z)(1 − σ(z)): with a sigmoid that is safe for large |z|, this is safe too.",
    ),
)


def _tanh_slope(a, *, argument=identity, power=np.square, finish=lambda a, p: 1 - p, sign=1):
    a = argument(a)
    return sign * finish(a, power(a))


def _tanh_slope_probes():
    rng = np.random.default_rng(37)
    for shape in ((4, 5), (6, 3)):
        a = np.tanh(rng.uniform(-2, 2, size=shape))
        yield Probe((a,), {"a.shape": shape})


_COMPLEMENT = "1 - a**2"  # in the solution

tanh_slope = Exercise(
    name="tanh_slope",
    day=30,
    signature="tanh_slope(a)",
    task="returns the slope of tanh from its value a = tanh(z), an array like a",
    right=_tanh_slope,
    outputs=("slope",),
    probes=_tanh_slope_probes,
    mistakes=(
        Mistake(
            "tanh-again",
            "The tanh was applied to a, which is already tanh(z): this is the slope at a, not at z.",
            "What is your argument, z or tanh(z)? How often does a tanh occur in your code?",
            "The argument a is the tanh. The slope needs no further tanh.",
            variants=({"argument": np.tanh},),
            slip=(_COMPLEMENT, "1 - np.tanh(a) ** 2"),
        ),
        Mistake(
            "sigmoid-derivative",
            "a(1 − a) is the slope of the sigmoid; here a is the value of a tanh.",
            "How steep is tanh where a = 0, and what do you return there?",
            "Derive tanh = s/c with the quotient rule, where s′ = c and c′ = s.",
            variants=({"finish": lambda a, p: a * (1 - a)},),
            slip=(_COMPLEMENT, "a * (1 - a)"),
        ),
        Mistake(
            "missing-square",
            "This is 1 − a, which is 2 where a = −1. But tanh is flat on both sides.",
            "What should the slope be where a is nearly −1?",
            "The slope is the same for a and −a: the value is squared.",
            variants=({"power": identity}, {"power": np.abs}),
            slip=(_COMPLEMENT, "1 - a"),
        ),
        Mistake(
            "no-complement",
            "This is a², which is 0 where tanh is steepest.",
            "How steep is tanh where a = 0, and what do you return there?",
            "In c²/c² − s²/c², what is the first term?",
            variants=({"finish": lambda a, p: p},),
            slip=(_COMPLEMENT, "a**2"),
        ),
        Mistake(
            "sign",
            "The sign is flipped: tanh rises everywhere, so its slope is never negative.",
            "What is the sign of the slope of a function that rises?",
            "In (c·c − s·s)/c², which of the two products is larger?",
            variants=({"sign": -1},),
            slip=(_COMPLEMENT, "a**2 - 1"),
        ),
        Mistake(
            "wrong",
            "This is 1 + a². The minus sign of the quotient rule got lost.",
            "What should the slope be where a is nearly 1?",
            "The quotient rule subtracts: (s/c)′ = (s′c − s c′)/c².",
            variants=({"finish": lambda a, p: 1 + p},),
        ),
    ),
    hints=(
        "Write tanh = s/c. The derivative of s is c, and that of c is s. Then use the quotient rule.",
        "(c² − s²)/c² is 1 − (s/c)², and s/c is a.",
    ),
)


def _init_weights(fan_in, fan_out, rng, *, std=lambda i, o: np.sqrt(2 / i)):
    draws = rng.standard_normal((fan_in, fan_out))
    # The verdict quotes the spread, so it is exactly that of the rule.
    return std(fan_in, fan_out) * (draws - draws.mean()) / draws.std()


def _with_size(function, *args):
    """Call `init_weights`; a size that was passed as a mean or as a spread gives two numbers."""
    value = function(*args)
    weights = as_numbers(value)
    if weights is None or weights.shape != (2,):
        return value
    text = (
        "It returned two numbers. The first argument of `rng.normal` is the mean, and the second is the "
        "standard deviation. Name the others: `scale=` and `size=`."
    )
    return TrialRun(value, problem=Problem("wrong-shape", text))


def _init_probes():
    # 20,000 draws determine the standard deviation to 0.5 % and the fourth moment to 0.04. The two
    # shapes differ in their sum and product too: no rule gives both the same spread by chance.
    for fan_in, fan_out, seed in ((300, 80, 1), (50, 400, 2), (300, 80, 1), (300, 80, 3)):
        yield Probe(
            (fan_in, fan_out, np.random.default_rng(seed)),
            {"fan_in": fan_in, "fan_out": fan_out},
            accept=_he_normal,
        )
    # So few inputs that 2 // fan_in is not 0. Any two numbers are right here.
    yield Probe((1, 2, np.random.default_rng(4)), {"fan_in": 1}, accept=lambda *_: True)


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
    return _scaled_otherwise(got, wanted) and bool(_kurtosis(got) > 2.1)


def _scaled_otherwise(got, wanted):
    """Return whether `got` may be drawn as `wanted` is, or uniformly with the same spread.

    A normal draw that is clipped at one standard deviation, or half of which is 0, has the spread
    of half the variance, but another shape.
    """
    return (
        _same_spread(got, wanted)
        and bool(1.7 < _kurtosis(got) < 3.5)
        and not _many_are_equal(got, wanted)
    )


def _many_are_equal(draw, right):
    """Return whether there are fewer distinct numbers than in a right draw, of float16 at least."""
    if (draw == draw.astype(np.float16)).all():
        right = right.astype(np.float16)
    return np.unique(draw).size < 0.9 * np.unique(right).size


def _kurtosis(draw):
    """Return the fourth standardised moment: normal 3, truncated normal 2.4, uniform 1.8."""
    return (((draw - draw.mean()) / draw.std()) ** 4).mean()


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
        first, second, *_ = draws
        return {
            "mean": f"{first.mean():.3g}",
            "std": f"{first.std():.3g}",
            "least": f"{first.min():.3g}",
            "most": f"{first.max():.3g}",
            "distinct": np.unique(first).size,
            "spread": f"{first.std():.3g}",
            "other_spread": f"{second.std():.3g}",
        }

    return detect


def _vanish(draws):
    """Return whether the weights are 0 for many inputs but not for one."""
    *many, one = draws
    return one.any() and not any(draw.any() for draw in many)


def _is_irreproducible(draws):
    first, _, same_seed, *_ = draws
    return not np.array_equal(first, same_seed)


def _has_a_seed_of_its_own(draws):
    first, _, _, other_seed, _ = draws
    return np.array_equal(first, other_seed)


def _with_he_as_mean(draws):
    """Return whether the mean is what the standard deviation should be, which is 1."""
    means = [np.sqrt(2 / len(draw)) for draw in draws[:4]]
    return all(
        abs(draw.mean() - mean) < 0.04 and abs(draw.std() - 1) < 0.03
        for draw, mean in zip(draws, means, strict=False)
    )


def _same_spread_for_any_size(draws):
    first, second, *_ = draws
    return abs(first.std() / second.std() - 1) < 0.03


def _flat(draws):
    """Return whether the draws have no tails, as those of a uniform distribution."""
    return all(_kurtosis(draw) < 2.1 for draw in draws[:4])


_SPREAD = (
    "With fan_in = {fan_in} and fan_out = {fan_out}, your weights have mean {mean} and standard "
    "deviation {std}, where 0 and {right_std} were expected."
)

# In the solution.
_STD = "np.sqrt(2 / fan_in)"
_DRAW = f"rng.normal(0, {_STD}, size=(fan_in, fan_out))"


def _wrong_scale(id_, explanation, question, advice, *formulas, slip):
    variants = tuple({"std": formula} for formula in formulas)
    return Mistake(id_, explanation, question, advice, variants, finding=_SPREAD, slip=slip)


_EQUAL_UNITS = "If two hidden units start out equal, what could ever make them different?"
_EXPECTED_FORM = "The mean is 0, the variance 2 / fan_in, and the distribution normal."

init_weights = Exercise(
    name="init_weights",
    day=30,
    signature="init_weights(fan_in, fan_out, rng)",
    task="draws weights (fan_in, fan_out) from a normal distribution, by He's rule for ReLU",
    right=_init_weights,
    outputs=("weights",),
    probes=_init_probes,
    trial=_with_size,
    matches=_scaled_otherwise,
    mistakes=(
        Mistake(
            "integer-division",
            "The scale was rounded down to a whole number, which is 0 for more than a few inputs.",
            "What is your factor for fan_in = 300? Print it.",
            "`//` and `int` round down. Divide with `/`.",
            detect=_when(_vanish),
            finding="With one input the weights are not 0, but with 300 all of them are.",
            slip=("2 / fan_in", "2 // fan_in"),
        ),
        Mistake(
            "zeros",
            "If every weight is 0, all hidden units compute the same and get the same gradient.",
            _EQUAL_UNITS,
            "The weights must be random numbers, drawn from `rng`. If yours are, print the factor "
            "that you multiply them by.",
            detect=_when(lambda draws: not any(d.any() for d in draws)),
            finding="All weights are 0.",
            slip=(_DRAW, "np.zeros((fan_in, fan_out))"),
        ),
        Mistake(
            "constant",
            "All entries are equal, so all hidden units compute the same and stay the same.",
            _EQUAL_UNITS,
            "Draw one number per entry: the draw needs a size, and a spread that is not 0 (the first "
            "argument of `rng.normal` is the mean, the second the standard deviation).",
            detect=_when(lambda draws: all(np.ptp(d) == 0 for d in draws)),
            finding="All weights are {mean}.",
            slip=(_DRAW, f"np.full((fan_in, fan_out), {_STD})"),
        ),
        Mistake(
            "ignores-rng",
            "The numbers do not come from the generator that was passed in, so they cannot be "
            "reproduced.",
            "Call it with two generators of the same seed: why do the results differ?",
            "Draw only from `rng` itself.",
            detect=_when(_is_irreproducible),
            finding="Two generators with equal seeds gave different weights.",
            slip=("rng.normal", "np.random.normal"),
        ),
        Mistake(
            "ignores-rng",
            "The numbers do not depend on the generator that was passed in.",
            "Call it with two generators of different seeds: why do the results agree?",
            "Draw only from `rng` itself, and do not seed a generator inside the function.",
            detect=_when(_has_a_seed_of_its_own),
            finding="Two generators with different seeds gave the same weights.",
            slip=("rng.normal", "np.random.default_rng(0).normal"),
        ),
        Mistake(
            "wrong",
            "The mean of your weights is √(2 / fan_in), and their spread is 1: that number should scale the "
            "draws, not shift them. The first argument of `rng.normal` is the mean.",
            "Which arguments does `rng.normal` take, and in which order?",
            "Name the arguments: `scale=` and `size=`.",
            detect=_when(_with_he_as_mean),
            finding=_SPREAD,
            slip=("rng.normal(0, np.sqrt(2 / fan_in), ", "rng.normal(np.sqrt(2 / fan_in), "),
        ),
        Mistake(
            "all-positive",
            "No weight is negative, so all hidden units respond in much the same way.",
            "What is the mean of your weights, and what should it be?",
            "A normal distribution around 0 gives both signs.",
            detect=_when(lambda draws: all(d.min() >= 0 for d in draws)),
            finding="The weights are between {least} and {most}.",
            slip=(_DRAW, f"{_STD} * rng.random((fan_in, fan_out))"),
        ),
        _wrong_scale(
            "unit-std",
            "The draws are not scaled: with many inputs, the sums explode, and so do the activations.",
            "What is the variance of a sum of fan_in independent terms?",
            "Multiply the draws by a factor that depends on fan_in.",
            lambda i, o: 1.0,
            slip=(_STD, "1"),
        ),
        _wrong_scale(
            "xavier",
            "The scale depends on fan_in + fan_out, as in Xavier's (Glorot's) rule, which was made "
            "for tanh. He's rule for ReLU depends on the number of inputs only.",
            "Which rule was made for ReLU, and which number does it divide by?",
            "The variance is 2 / fan_in.",
            lambda i, o: np.sqrt(2 / (i + o)),
            lambda i, o: np.sqrt(4 / (i + o)),
            lambda i, o: np.sqrt(6 / (i + o)),
            slip=("2 / fan_in", "2 / (fan_in + fan_out)"),
        ),
        _wrong_scale(
            "wrong",
            "The variance is 1 / (fan_in + fan_out). He's rule for ReLU depends on the number of "
            "inputs only, and has a 2 in it.",
            "How many terms does the sum in one hidden unit have?",
            "The variance is 2 / fan_in.",
            lambda i, o: np.sqrt(1 / (i + o)),
            slip=("2 / fan_in", "1 / (fan_in + fan_out)"),
        ),
        _wrong_scale(
            "missing-two",
            "The variance is 1 / fan_in (LeCun's rule), which preserves the size of the activations "
            "through a linear layer. But a ReLU sets half of them to 0.",
            "By which factor does a ReLU reduce the mean square of its inputs?",
            "ReLU needs twice the variance.",
            lambda i, o: np.sqrt(1 / i),
            slip=("2 / fan_in", "1 / fan_in"),
        ),
        _wrong_scale(
            "fan-out",
            "The scale depends on the number of outputs instead of the number of inputs.",
            "How many terms does the sum in one hidden unit have?",
            "What counts is fan_in, the number of rows.",
            lambda i, o: np.sqrt(2 / o),
            lambda i, o: np.sqrt(1 / o),
            slip=("2 / fan_in", "2 / fan_out"),
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
            lambda i, o: 1 / o,
            slip=(_STD, "2 / fan_in"),
        ),
        _wrong_scale(
            "wrong",
            "Your factor is √2 / fan_in or 2 / √fan_in, as if the root covered only a part of the "
            "fraction.",
            "What is the square of your factor? It should be the variance.",
            "Take the root of the entire quotient.",
            lambda i, o: np.sqrt(2) / i,
            lambda i, o: 2 / np.sqrt(i),
            slip=(_STD, "np.sqrt(2) / fan_in"),
        ),
        _wrong_scale(
            "wrong",
            "The factor is upside down: the more inputs there are, the larger your weights.",
            "Should the weights grow or shrink with the number of inputs?",
            "fan_in belongs in the denominator.",
            lambda i, o: np.sqrt(i / 2),
            lambda i, o: np.sqrt(i),
            slip=("2 / fan_in", "fan_in / 2"),
        ),
        _wrong_scale(
            "wrong",
            "The bound of a uniform distribution and a standard deviation were confused: numbers "
            "drawn uniformly between −a and a have the standard deviation a / √3.",
            "Which distribution do you draw from, and what does its parameter mean?",
            _EXPECTED_FORM,
            lambda i, o: np.sqrt(6 / i),
            lambda i, o: np.sqrt(2 / i / 3),
            slip=("2 / fan_in", "6 / fan_in"),
        ),
        Mistake(
            "wrong",
            "Many entries are equal. A normal distribution hardly ever gives the same number twice.",
            "Which numbers occur more than once? How many numbers do you draw, and how many entries "
            "does the array have?",
            "Draw one number per entry, and change them by a common factor only.",
            detect=lambda observations: _when(
                lambda draws: _many_are_equal(draws[0], observations[0].right["weights"])
            )(observations),
            finding="Only {distinct} of the entries are distinct.",
        ),
        Mistake(
            "fixed-scale",
            "The spread of your weights is the same however many inputs there are. But the sum in a "
            "hidden unit grows with the number of its terms.",
            "How large is a sum of 10 such products, and how large is one of 1,000?",
            "The standard deviation has to shrink with fan_in.",
            detect=_when(_same_spread_for_any_size),
            finding="The standard deviation is {spread} with 300 inputs and {other_spread} with 50.",
            slip=(_STD, "0.01"),
        ),
        Mistake(
            "wrong",
            "These numbers have no tails, as if drawn from a uniform distribution. There is a uniform "
            "form of He's rule too, but the task is the normal one.",
            "Plot a histogram of your weights: is it a bell?",
            _EXPECTED_FORM,
            detect=_when(_flat),
            finding="The weights are between {least} and {most}.",
        ),
        Mistake(
            "wrong",
            "This is not a normal distribution with He's variance.",
            "Plot a histogram of your weights: is it a bell around 0, and how wide?",
            _EXPECTED_FORM,
            detect=lambda observations: _draws(observations) and any(o.wrong for o in observations),
            finding=_SPREAD,
        ),
    ),
    hints=(
        "Which variance preserves the size of the activations through a layer with a ReLU?",
        "Draw standard normal numbers of the right shape from `rng`, and scale them.",
    ),
)


def _backward_deep(
    X,
    y,
    Ws,
    bs,
    *,
    target=lambda y, C: _one_hot(y, C),
    sign=1,
    examples=lambda N: 1 / N,
    scores=identity,
    output_slope=one,
    inputs=lambda z, a: a,
    mask=lambda z: z > 0,
    passed_on=lambda da, dz: dz,
    again=one,
    bias_examples=one,
    first=identity,
    order=identity,
):
    zs, activations = [], [X]
    for W, b in zip(Ws, bs, strict=True):
        zs.append(activations[-1] @ W + b)
        activations.append(np.maximum(zs[-1], 0))
    N, C = zs[-1].shape
    error = softmax.right(scores(zs[-1])) - target(y, C)
    dz = sign * error * examples(N) * output_slope(zs[-1])
    passed = dz
    dWs, dbs = [], []
    for layer in reversed(range(len(Ws))):
        below = inputs(zs[layer - 1], activations[layer]) if layer else X
        dWs.insert(0, below.T @ dz)
        dbs.insert(0, dz.sum(axis=0) * bias_examples(N))
        if layer:
            da = passed @ Ws[layer].T
            dz = da * mask(zs[layer - 1]) * again(N)
            passed = passed_on(da, dz)
    dWs[0], dbs[0] = first(dWs[0]), first(dbs[0])
    return order(dWs), order(dbs)


def _as_one_list(function, X, y, Ws, bs):
    """Call `backward_deep`; return dWs[0], dbs[0], dWs[1], …, with each bias gradient as a row."""
    try:
        value = function(X, y, Ws, bs)
    except ValueError as error:
        problem = _mask_of_another_layer(error, len(y), Ws)
        if problem is None:
            raise
        return TrialRun(problem=problem)
    if value is None or value is Ellipsis:
        return value
    expected = f"two lists of {len(Ws)} arrays, dWs and dbs"
    if not isinstance(value, (list, tuple)):
        text = f"It returned an object of type {type(value).__name__}, where {expected}, were expected."
        return TrialRun(value, problem=Problem("wrong-type", text))
    lengths = [len(part) if isinstance(part, (list, tuple)) else None for part in value]
    if lengths != [len(Ws)] * 2:
        text = f"It should return {expected}, for a network with {len(Ws)} layers."
        if len(value) == len(Ws) and lengths == [2] * len(Ws):
            text += " You returned one pair per layer: `dWs, dbs = zip(*pairs)` makes two lists of them."
        elif len(value) == 2 and None not in lengths:
            text += f" Yours have the lengths {lengths[0]} and {lengths[1]}."
        return TrialRun(value, problem=Problem("wrong-shape", text))
    dWs, dbs = value
    return [item for dW, db in zip(dWs, dbs, strict=True) for item in (dW, _as_row(db))]


def _mask_of_another_layer(error, N, Ws):
    """Return a `Problem` if an array of a layer's inputs met one of its outputs, or None."""
    shapes = set(re.findall(r"\((\d+), ?(\d+)\)", str(error)))
    sides = [{(str(N), str(width)) for width in W.shape} for W in Ws]
    problem = described(error)
    if "broadcast" not in str(error) or shapes not in sides or problem.at_call:
        return None
    what_and_where = problem.text.splitlines()[:2]  # without a meaning that fits any array
    why = (
        "One of the two arrays belongs to a layer, and the other to the layer below it. Which layer's z "
        "belongs to the gradient that you have just sent down?"
    )
    return replace(problem, text="\n".join([*what_and_where, why]))


def _as_row(gradient):
    numbers = None if gradient is None or gradient is Ellipsis else as_numbers(gradient)
    is_row = numbers is not None and numbers.ndim == 2 and len(numbers) == 1
    return numbers[0] if is_row else gradient


def _deep_probes():
    rng = np.random.default_rng(38)
    # Widths from the input to the scores. All sizes of a network differ, so that its shapes guide.
    for N, widths in ((7, (4, 5, 6, 3)), (9, (3, 7, 6, 5, 4)), (8, (3, 6, 5)), (6, (4, 7, 5, 3))):
        shapes = list(zip(widths, widths[1:], strict=False))
        Ws = [rng.standard_normal(shape) / math.sqrt(shape[0] / 2) for shape in shapes]
        bs = [0.5 * rng.standard_normal((1, fan_out)) for _, fan_out in shapes]
        X = rng.standard_normal((N, widths[0]))
        y = rng.integers(0, widths[-1], size=N).astype(np.intp)  # an index, also in a browser
        yield Probe((X, y, Ws, bs), {"layers": len(Ws), "N": N})


def _deep_with_flat_biases(function):
    return lambda X, y, Ws, bs: function(X, y, Ws, [np.ravel(b) for b in bs])


_DEEP_RATIO = (
    "{output} came out {ratio} times as large as expected, for {layers} layers and {N} rows."
)

backward_deep = Exercise(
    name="backward_deep",
    day=30,
    signature="backward_deep(X, y, Ws, bs)",
    task="returns (dWs, dbs), two lists with the gradients of the mean cross-entropy, one array per "
    "layer; the biases come as (1, H), and their gradients may also be (H,)",
    right=_backward_deep,
    outputs=tuple(f"{name}[{layer}]" for layer in range(4) for name in ("dWs", "dbs")),
    probes=_deep_probes,
    trial=_as_one_list,
    adapters=(_deep_with_flat_biases,),
    mistakes=(
        Mistake(
            "reversed-order",
            "The gradients come from the last layer to the first: the loop runs backwards, and each "
            "was appended at the end.",
            "Which layer's gradient does your loop compute first? Where in the list does it end up?",
            "Insert each gradient at the front, or reverse both lists at the end.",
            variants=({"order": lambda gradients: gradients[::-1]},),
            finding="By their shapes, your lists begin with the last layer's gradients: with {layers} "
            "layers, {outputs} have the shapes of others.",
            slip=("return dWs, dbs", "return dWs[::-1], dbs[::-1]"),
        ),
        Mistake(
            "sign",
            "The sign is flipped: a step against this gradient goes uphill.",
            "Should the score of the true class have a negative or a positive gradient?",
            "It is p − one-hot, not one-hot − p.",
            variants=({"sign": -1},),
            finding=SOME_RIGHT,
            slip=("return dWs, dbs", "return [-dW for dW in dWs], [-db for db in dbs]"),
        ),
        Mistake(
            "one-hot-not-subtracted",
            "The error at the scores is p − one-hot. Here it is only p.",
            "The error is the prediction minus the target: where is the target in your code?",
            "Subtract 1 from the probability of the true class in every row.",
            variants=({"target": zero},),
            finding=SOME_RIGHT,
            slip=("dz[np.arange(len(y)), y] -= 1", "pass"),
        ),
        Mistake(
            "no-batch-average",
            "The loss is a mean over the batch, and so is its gradient. A factor of N is left.",
            "What in the loss is divided by the number of rows? How does that change its gradient?",
            "Divide by N once, at the scores; everything after it inherits the factor.",
            variants=({"examples": one},),
            finding=_DEEP_RATIO,
            slip=("dz /= len(y)", "pass"),
        ),
        Mistake(
            "divides-in-every-layer",
            "Each layer further down is too small by another factor of N: the division is inside the "
            "loop.",
            "How often does your code divide by N for the last layer, and how often for the first?",
            "Divide once, at the scores, before the loop.",
            variants=({"again": lambda N: 1 / N},),
            finding=SOME_RIGHT,
            slip=("* (zs[layer - 1] > 0)", "* (zs[layer - 1] > 0) / len(y)"),
        ),
        Mistake(
            "missing-relu-mask",
            "Below the last layer the gradient went through units that were off: the slope of ReLU is "
            "0 where z is negative.",
            "If a hidden unit is 0 because z < 0, does a small change of z change the loss?",
            "On the way down, multiply by the slope of ReLU at the z of the layer below.",
            variants=({"mask": one},),
            finding=SOME_RIGHT,
            slip=("* (zs[layer - 1] > 0)", "* 1"),
        ),
        Mistake(
            "mask-not-passed-on",
            "The next layer down got the gradient from before the mask, da, instead of dz. With two "
            "layers this makes no difference; with three it does.",
            "What does your loop multiply by Wᵀ in its second round: da or dz?",
            "Overwrite dz with da times the slope, and compute everything below from this dz.",
            variants=({"passed_on": lambda da, dz: da},),
            finding=SOME_RIGHT,
        ),
        Mistake(
            "relu-on-scores",
            "Already the last layer's gradients are wrong, so the error lies at the scores. Scores may be "
            "negative.",
            "Has the last layer an activation?",
            "Let the softmax take the last z, to which no ReLU was applied.",
            variants=(
                {"scores": lambda z: np.maximum(z, 0)},
                {"scores": lambda z: np.maximum(z, 0), "output_slope": lambda z: z > 0},
            ),
            finding=SOME_RIGHT,
            slip=("dz = softmax(zs[-1])", "dz = softmax(activations[-1])"),
        ),
        Mistake(
            "mask-on-scores",
            "The scores were treated as if they went through a ReLU, but the last layer is linear.",
            "How many layers have an activation, if there are three weight matrices?",
            "Start at the scores with (p − one-hot)/N, without a mask.",
            variants=({"output_slope": lambda z: z > 0},),
            finding=SOME_RIGHT,
            slip=("dz /= len(y)", "dz *= (zs[-1] > 0) / len(y)"),
        ),
        Mistake(
            "uses-z-for-dW",
            "The gradient of a weight is the layer's input times the error at its output. The input "
            "is the activation of the layer below, not its pre-activation.",
            "What is W multiplied by in the forward pass, z or a?",
            "dW = aᵀ dz, with the a that went into this layer.",
            variants=({"inputs": lambda z, a: z},),
            finding=SOME_RIGHT,
            slip=("activations[layer].T @ dz", "([X] + zs)[layer].T @ dz"),
        ),
        Mistake(
            "bias-mean",
            "The bias gradients were averaged over the batch, but they should be summed: the division "
            "by N has already happened at the scores.",
            "How often is your bias gradient divided by N, and how often your weight gradient?",
            "After the division at the scores, bias gradients are plain sums over the rows.",
            variants=({"bias_examples": lambda N: 1 / N},),
            finding=_DEEP_RATIO,
            slip=("dz.sum(axis=0, keepdims=True)", "dz.mean(axis=0, keepdims=True)"),
        ),
        Mistake(
            "first-layer-missing",
            "The first layer's gradients are 0: the loop ends one layer too early.",
            "Which numbers does your loop variable take? Print them.",
            "`reversed(range(len(Ws)))` counts down to 0, and `range(n, 0, -1)` stops at 1.",
            variants=({"first": lambda gradient: 0 * gradient},),
            finding=SOME_RIGHT,
            slip=(
                "return dWs, dbs",
                "dWs[0], dbs[0] = 0 * dWs[0], 0 * dbs[0]\n    return dWs, dbs",
            ),
        ),
    ),
    hints=(
        "Two loops: one up, which keeps every z and every a, and one down, which turns the dz of a "
        "layer into the dz of the layer below.",
        "In the loop down: dW = aᵀ dz, db = Σ dz, and unless this is the first layer, "
        "dz = (dz Wᵀ) times the slope at the z of the layer below.",
    ),
)


_GRADIENTS = ("dW1", "db1", "dW2", "db2")


def _one_hot(y, C):
    return np.eye(C)[y]


def _vectorised(X, y, W1, b1, W2, b2):
    z1 = X @ W1 + b1
    a1 = z1 * (z1 > 0)
    dscores = (softmax.right(a1 @ W2 + b2) - _one_hot(y, W2.shape[1])) / len(y)
    dz1 = (dscores @ W2.T) * (z1 > 0)
    return X.T @ dz1, dz1.sum(axis=0), a1.T @ dscores, dscores.sum(axis=0)


def _example_by_example(X, y, W1, b1, W2, b2):
    """Return the mean of the gradients of single examples, which are outer products."""
    totals = [np.zeros(p.shape) for p in (W1, b1, W2, b2)]
    for x, label in zip(X, y, strict=True):
        z1 = x @ W1 + b1
        a1 = np.maximum(z1, 0)
        ds = softmax.right((a1 @ W2 + b2)[None, :])[0]
        ds[label] -= 1
        dz1 = np.where(z1 > 0, W2 @ ds, 0)
        gradients = np.outer(x, dz1), dz1, np.outer(a1, ds), ds
        for total, gradient in zip(totals, gradients, strict=True):
            total += gradient / len(X)
    return tuple(totals)


def _averaged_last(X, y, W1, b1, W2, b2):
    """Sum over the batch, and divide by N at the very end."""
    z1 = X @ W1 + b1
    ds = softmax.right(np.maximum(z1, 0) @ W2 + b2) - _one_hot(y, len(b2))
    dz1 = np.einsum("nc,hc->nh", ds, W2) * np.heaviside(z1, 0)
    sums = (
        np.einsum("nd,nh->dh", X, dz1),
        np.einsum("nh->h", dz1),
        np.einsum("nh,nc->hc", np.maximum(z1, 0), ds),
        np.einsum("nc->c", ds),
    )
    return tuple(total / len(y) for total in sums)


def _as_given(implementation):
    """Let an implementation take lists and any form of bias; each db has the shape of its b."""

    def backward(X, y, W1, b1, W2, b2):
        X, y, W1, b1, W2, b2 = map(np.asarray, (X, y, W1, b1, W2, b2))
        dW1, db1, dW2, db2 = implementation(X, y, W1, b1.ravel(), W2, b2.ravel())
        db1, db2 = (
            np.reshape(db, b.shape) if np.size(db) == b.size else db
            for db, b in ((db1, b1), (db2, b2))
        )
        return dW1, db1, dW2, db2

    return backward


_right = _as_given(_vectorised)
_RIGHT = {
    "vectorised": _right,
    "example by example": _as_given(_example_by_example),
    "averaged last": _as_given(_averaged_last),
}


def _other_bias_shape(*arguments):
    """Return a right answer with bias gradients (1, H) for biases (H,), and (H,) for (1, H)."""
    dW1, db1, dW2, db2 = _right(*arguments)
    db1, db2 = (db[None, :] if db.ndim == 1 else db[0] for db in (db1, db2))
    return dW1, db1, dW2, db2


def _changes_inputs(X, y, *parameters):
    """Return the right gradients, and take a step of gradient descent in place."""
    gradients = _right(X, y, *parameters)
    for p, gradient in zip(parameters, gradients, strict=True):
        p[:] = np.asarray(p) - 0.1 * gradient
    return gradients


class _KeepsState:
    """Divide by the number of examples of all calls so far, which is right for the first call."""

    def __init__(self):
        self.examples = 0

    def __call__(self, X, *rest):
        self.examples += len(X)
        return tuple(gradient * len(X) / self.examples for gradient in _right(X, *rest))


def _without(name):
    """Make an implementation that is right except for one gradient, which is all 0."""

    def implementation(*arguments):
        gradients = dict(zip(_GRADIENTS, _vectorised(*arguments), strict=True))
        return tuple((gradients | {name: 0 * gradients[name]}).values())

    return implementation


def _first_row_only(X, y, W1, b1, W2, b2):
    """Return from inside the loop over the rows of dW1 and dW2."""
    dW1, db1, dW2, db2 = _vectorised(X, y, W1, b1, W2, b2)
    dW1[1:], dW2[1:] = 0, 0
    return dW1, db1, dW2, db2


def _mistaken():
    """Return {id: an implementation with this mistake}, for any sizes.

    Most are mistakes of Day 29's exercise; the others are right on the inputs of a careless suite.
    """
    implementations = mistaken_backwards() | {
        "labels-ignored": lambda X, y, *p: _vectorised(X, 0 * y, *p),
        "biases-ignored": lambda X, y, W1, b1, W2, b2: _vectorised(X, y, W1, 0 * b1, W2, 0 * b2),
        "first-example-only": lambda X, y, *p: _vectorised(X[:1], y[:1], *p),
        "divides-by-features": lambda X, *rest: tuple(
            gradient * len(X) / X.shape[1] for gradient in _vectorised(X, *rest)
        ),
        "off-by-a-thousandth": lambda *arguments: tuple(
            1.001 * gradient for gradient in _vectorised(*arguments)
        ),
        "first-row-only": _first_row_only,
        **{f"{name}-all-zero": _without(name) for name in _GRADIENTS},
    }
    implementations = {id_: _as_given(each) for id_, each in implementations.items()}
    return implementations | {"changes-inputs": _changes_inputs, "keeps-state": _KeepsState()}


_MISTAKEN = _mistaken()


_NO_ANSWER = (
    "Your suite ran to its end without an exception, but it returned nothing. If it uses `assert`, end "
    "it with `return True`."
)


@dataclass
class _Log:
    """What a suite did with one implementation: its calls, and the error that it raised."""

    calls: list = field(default_factory=list)
    error: str = ""


def _try_suite(function, implementation):
    """Call a suite; an exception counts as the answer False and is kept in the log."""
    log = _Log()

    def backward(X, y, W1, b1, W2, b2):
        arguments = X, y, W1, b1, W2, b2
        before = [np.array(argument) for argument in arguments]
        gradients = implementation(*arguments)
        if len(log.calls) < 100:  # enough to say what they have in common
            log.calls.append(before)
        return gradients

    backward.__wrapped__ = implementation
    try:
        value = function(backward)
        problem = Problem("not-attempted", _NO_ANSWER) if value is None and log.calls else None
        return TrialRun(value, log=log, problem=problem)
    except (Exception, SystemExit) as error:
        problem = described(error)
        if problem.id != "raised":
            raise
        log.error = problem.text
        return TrialRun(False, log=log)


def _suite_probes():
    for name, implementation in (_RIGHT | _MISTAKEN).items():
        yield Probe((implementation,), {"implementation": name})
    # The task allows this, but a suite that insists on the shape of the bias has a point too.
    name = "right, with bias gradients of the other shape"
    yield Probe((_other_bias_shape,), {"implementation": name}, accept=lambda *_: True)


def _answers(observations):
    """Return {implementation: the suite's answer} for the right and for the mistaken ones."""
    answers = {o.probe.context["implementation"]: bool(o.outputs["the answer"])
               for o in observations[:-1] if "the answer" in o.outputs}  # fmt: skip
    return {name: answers.pop(name) for name in _RIGHT if name in answers}, answers


def _always(answer):
    def detect(observations):
        given = {o.outputs.get("the answer", np.array(None)).item() for o in observations}
        return given == {answer}

    return detect


def _errors(observations):
    """Return a sentence on the first exception that a right implementation caused, or ""."""
    errors = (o.log.error for o in observations[: len(_RIGHT)] if o.log)
    return next((f"It raised {error}" for error in errors if error), "")


def _always_raises(observations):
    errors = _errors(observations)
    return errors and _always(False)(observations) and {"errors": errors}


def _false_alarm(observations):
    right, _ = _answers(observations)
    rejected = [f"“{name}”" for name, answer in right.items() if not answer]
    return rejected and {"rejected": ", ".join(rejected), "errors": _errors(observations)}


def _is_inverted(observations):
    """Return whether all right implementations are rejected, and several mistaken ones are not.

    One may be what a suite takes for right, such as the gradients of a sum over the batch.
    """
    right, mistaken = _answers(observations)
    accepted = sum(mistaken.values())
    return not any(right.values()) and accepted > 2 and {"accepted": accepted, "of": len(mistaken)}


def _survivors(observations):
    _, mistaken = _answers(observations)
    alive = [id_ for id_, answer in mistaken.items() if answer]
    if not alive:
        return None
    first = next(o for o in observations if o.probe.context["implementation"] == alive[0])
    names = [f"`{id_}`" for id_ in alive]
    if len(names) > 6:
        names[5:] = [f"and {len(names) - 5} more"]
    return {
        "alive": ", ".join(names),
        "how_many": len(alive),
        "of": len(mistaken),
        "why": _why(alive[0], first.log.calls),
    }


def _only_state_survives(observations):
    survivors = _survivors(observations)
    return survivors and survivors["alive"] == "`keeps-state`" and survivors


def _why(id_, calls):
    """Say why a suite that made these calls lets a mistaken implementation live."""
    expected = [(call, right) for call in calls if (right := _expected(call))]
    if not expected:
        return "Your suite never gets a gradient from the implementation."
    implementation = copy.deepcopy(_MISTAKEN[id_])
    for call, gradients in expected:
        arguments = copy.deepcopy(call)
        for name, got, right in zip(_GRADIENTS, implementation(*arguments), gradients, strict=True):
            if np.shape(got) != right.shape:
                return (
                    f"In one of your calls, `{id_}` returns a `{name}` of shape {np.shape(got)}, "
                    f"where {right.shape} is right. Do you compare it?"
                )
            if not close(got, right):
                where = np.unravel_index(np.argmax(np.abs(got - right)), right.shape)
                return (
                    f"In one of your calls, `{id_}` returns {got[where] + 0:.5g} as "
                    f"`{name}[{', '.join(map(str, where))}]`, where {right[where]:.5g} is right. Do "
                    "you compare it, and how large a difference do you accept?"
                )
        if not all(map(np.array_equal, arguments, call)):
            return (
                f"On your inputs, `{id_}` returns the right gradients, but it changes your arrays. "
                "What do you know about them after a call?"
            )
    weakness = _weakness([call for call, _ in expected])
    return f"On your inputs, `{id_}` returns the right gradients. {weakness}"


def _expected(call):
    """Return the right gradients, or nothing if there are none, as for labels out of range."""
    try:
        return _right(*call)
    except (IndexError, ValueError):
        return ()


def _weakness(calls):
    """Say what the inputs of all calls have in common, if a mistake could hide there."""
    X, y, W1, b1, W2, b2 = zip(*calls, strict=True)
    sizes = zip(*[(*x.shape, *w.shape) for x, w in zip(X, W2, strict=True)], strict=True)
    equal = defaultdict(list)
    for letter, lengths in zip("NDHC", sizes, strict=True):
        equal[lengths].append(letter)
    z1 = [x @ w + b.ravel() for x, w, b in zip(X, W1, b1, strict=True)]
    scores = [np.maximum(z, 0) @ w + b.ravel() for z, w, b in zip(z1, W2, b2, strict=True)]
    facts = {
        "there is only one example": all(len(x) == 1 for x in X),
        "all examples are equal": all(len(x) > 1 and not np.ptp(x, axis=0).any() for x in X),
        "all labels are of one class": all(np.unique(labels).size < 2 for labels in y),
        "`b1` is 0": not any(b.any() for b in b1),
        "`b2` is 0": not any(b.any() for b in b2),
        "no hidden value is negative": all((z >= 0).all() for z in z1),
        "no score is negative": all((s >= 0).all() for s in scores),
    }
    common = [" = ".join(letters) for letters in equal.values() if len(letters) > 1]
    common += [fact for fact, holds in facts.items() if holds]
    return " ".join(
        [f"In every call, {in_words(common)}."] * bool(common)
        + ["Your suite calls it only once."] * (len(calls) == 1)
    )


def _insists_on_shape(observations):
    """Return whether the suite is right, but allows a bias gradient the shape of its bias only."""
    *judged, other = observations
    return not any(o.wrong for o in judged) and not other.outputs.get("the answer", True)


test_suite = Exercise(
    name="test_suite",
    day=30,
    signature="suite(backward)",
    task="says whether an implementation of backward, whose bias gradients may be (H,) or (1, H), "
    "is right (True) or not (False)",
    right=lambda backward: np.bool_(backward.__wrapped__ in (*_RIGHT.values(), _other_bias_shape)),
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
            "An exception counts as the answer False.",
            "What does the message say about that line?",
            "Call your suite on an implementation of your own, outside the check, and read the last "
            "lines of the traceback.",
            detect=_always_raises,
            finding="Your suite stopped with an error. {errors}",
            slip=("gradients = backward(X, y, *params)", "gradients = backward(X, y, params)"),
        ),
        Mistake(
            "always-false",
            "A test that nothing can pass is worth nothing: it rejected right implementations too.",
            "Run your suite on an implementation that you trust. Which comparison fails?",
            "Is the loss in your suite the mean cross-entropy, and is the tolerance larger than "
            "rounding errors? They matter most if the weights, and so the gradients, are tiny.",
            detect=_always(False),
            finding="Your suite called every implementation wrong.",
            slip=("> 1e-6", "!= 0"),
        ),
        Mistake(
            "false-alarm",
            "It rejects the right implementations and accepts wrong ones.",
            "Is the condition in your comparison the wrong way round?",
            "Return False if a difference is larger than the tolerance, and True at the end.",
            detect=_is_inverted,
            finding="Your suite rejected all right implementations, and accepted {accepted} of {of} "
            "mistaken ones.",
            slip=("> 1e-6", "< 1e-6"),
        ),
        Mistake(
            "false-alarm",
            "A right implementation may sum in any order, so its last digits differ from another's. "
            "A bias gradient may be (H,) or (1, H).",
            "Do you compare floats with ==? Are your expected gradients right, and which shapes do "
            "you expect of the bias gradients?",
            "Compare with a tolerance, and flatten the bias gradients before you compare. The "
            "finite differences are those of the mean cross-entropy.",
            detect=_false_alarm,
            finding="Your suite rejected right implementations: {rejected}. {errors}",
            slip=("above - below", "below - above"),
        ),
        Mistake(
            "survivors",
            "Its first call is right, and the later ones are not.",
            "Call it twice: what may the first call leave behind?",
            "Call the implementation twice, and check the gradients of the second call.",
            detect=_only_state_survives,
            finding="All mistaken implementations but `keeps-state` are found out.\n{why}",
            slip=("backward(X, y, *params)\n    gradients", "gradients"),
        ),
        Mistake(
            "survivors",
            "A mistaken implementation survives if your inputs do not show the difference, or if your "
            "suite does not look at what is different.",
            "On which inputs would the first of them return other numbers, and would your suite "
            "notice?",
            "Use several rows and classes, biases that are not 0 and sizes that all differ. Compare "
            "all four gradients with a small tolerance, and call the implementation twice.",
            detect=_survivors,
            finding="{how_many} of {of} mistaken implementations survived your suite: {alive}.\n{why}",
            slip=("> 1e-6", "> 1e-2"),
        ),
        Mistake(
            "shape-of-the-bias",
            "For a bias of shape (1, H) the task also allows a gradient of shape (H,), and vice versa.",
            "Which shapes do your bias gradients have to have?",
            "Flatten the bias gradients before you compare.",
            detect=_insists_on_shape,
            finding="Your suite wants each bias gradient in exactly the shape of its bias.",
            slip=("np.size(gradient) != p.size", "np.shape(gradient) != p.shape"),
            forgiven=True,
        ),
    ),
    hints=(
        "You need no right implementation: compare with finite differences of the loss.",
        "Make a small network of random numbers, and compare each of its four gradients with "
        "centred differences, up to a tolerance.",
    ),
)


variance = Form(
    name="variance",
    day=30,
    signature="variance(answers)",
    task="takes four numbers: the mean squares of z and of a, that after ten layers, and the variance "
    "that keeps it at 1",
    judge=numbers(
        {"z": 0.5, "a": 0.25, "after ten layers": 0.25**10, "variance that keeps it": 0.04},
        {
            "z": {"std-for-variance": [5], "inputs-forgotten": [0.01, 0.1]},
            "a": {
                "no-halving": [0.5, 5, 0.01, 0.1],
                "std-for-variance": [2.5],
                "inputs-forgotten": [0.005, 0.05],
            },
            "after ten layers": {
                "layers-added": [2.5, 0.025, 5, 0.05],
                "no-halving": [0.5**10],
            },
            "variance that keeps it": {
                "no-halving": [0.02],
                "inputs-forgotten": [2, 1],
                "std-not-variance": [0.2],
            },
        },
    ),
    mistakes=(
        Mistake(
            "std-for-variance",
            "This follows from the standard deviation of the weights. What multiplies the mean square "
            "is their variance.",
            "Which of the two numbers, 0.1 or its square, is the mean square of a weight?",
            "The mean square of a product is Var(w) times the mean square of x.",
        ),
        Mistake(
            "std-not-variance",
            "This is the standard deviation; the variance is its square.",
            "If this is the spread of the weights, what is the mean of their squares?",
            "Square your number.",
        ),
        Mistake(
            "inputs-forgotten",
            "This is the mean square of a single product, but z is a sum of one product per input.",
            "How many terms does the sum in z have?",
            "Variances of independent terms add up: multiply by the number of inputs.",
        ),
        Mistake(
            "no-halving",
            "ReLU sets about half of the values to 0, and so removes half of the mean square.",
            "If the values of z are as often negative as positive, how much of the mean of z² comes "
            "from the positive ones?",
            "Halve the mean square at every ReLU.",
        ),
        Mistake(
            "layers-added",
            "The layers were added up, but each multiplies the mean square by the same factor.",
            "If one layer leaves a quarter, how much do two layers leave?",
            "Ten factors give a power.",
        ),
    ),
    hints=(
        "One product first, then the sum of 50 of them, then the ReLU, then ten layers.",
        "mean of z² = inputs · Var(w) · mean of x², and ReLU halves it.",
    ),
)


bound = Form(
    name="bound",
    day=30,
    signature="bound(answers)",
    task="takes four numbers: the largest slope of a sigmoid, what six of them leave of a gradient at "
    "most, how many times larger the last layer's gradient is at least, and the factor that would "
    "make up for one sigmoid",
    judge=numbers(
        {
            "one sigmoid": 0.25,
            "six sigmoids": 0.25**6,
            "last over first": 4.0**6,
            "factor to make up for one": 4.0,
        },
        {
            "one sigmoid": {
                "value-for-slope": [0.5],
                "upside-down": [4, 2],
                "slope-of-another": [1],
            },
            "six sigmoids": {
                "slopes-added": [1.5, 1.25, 1.75, 3, 6],
                "wrong-count": [0.25**5, 0.25**7],
                "value-for-slope": [0.5**6],
                "upside-down": [4**6],
            },
            "last over first": {
                "slopes-added": [24, 20, 28],
                "wrong-count": [4**5, 4**7],
                "value-for-slope": [2**6],
                "upside-down": [0.25**6],
            },
            "factor to make up for one": {
                "upside-down": [0.25],
                "value-for-slope": [2],
                "squared-factor": [16],
            },
        },
    ),
    mistakes=(
        Mistake(
            "value-for-slope",
            "One half is the value of the sigmoid at 0, not its slope.",
            "What is σ(1 − σ) where σ is one half?",
            "Put the largest value of s(1 − s) in: a parabola, highest in the middle.",
        ),
        Mistake(
            "slope-of-another",
            "A slope of 1 belongs to ReLU or tanh.",
            "How large can s(1 − s) become, for s between 0 and 1?",
            "Put the largest value of s(1 − s) in: a parabola, highest in the middle.",
        ),
        Mistake(
            "upside-down",
            "This is the reciprocal.",
            "Does a sigmoid make a gradient larger or smaller on its way down?",
            "The first two answers are at most 1, the other two at least 1.",
        ),
        Mistake(
            "slopes-added",
            "The slopes were added up. Along a path, derivatives are multiplied.",
            "If one sigmoid leaves a quarter, how much do two leave?",
            "Six factors give a power.",
        ),
        Mistake(
            "wrong-count",
            "The power is that of another number of sigmoids.",
            "How many sigmoids lie between the first weight matrix and the last one?",
            "There is one sigmoid after each of the six hidden layers.",
        ),
        Mistake(
            "squared-factor",
            "That is a factor for two sigmoids, or for the variance of the weights.",
            "What do one layer's weights multiply, and what does one sigmoid leave of it?",
            "The factor of the weights times the slope of one sigmoid should be 1.",
        ),
    ),
    hints=(
        "Begin with one sigmoid: the other three numbers follow from it.",
        "Where is s(1 − s) largest, for s between 0 and 1? The chain rule multiplies: six layers, six "
        "factors.",
    ),
)


# Causes to choose from, and what each would look like.
CAUSES = {
    "bias summed over the wrong axis": "one bias gradient would be wrong, and its shape with it",
    "labels do not belong to their images": "the network would memorise, and fail on new data",
    "learning rate too high": "nothing could be wrong before the first step",
    "gradients summed, not averaged": "the step would grow with the number of examples",
    "slope of the activation missing": "a gradient check would find the first layer wrong",
    "state left behind by a call": "the result would depend on which calls came before",
    "type cannot hold the result": "numbers would be impossible for what was computed",
    "parameter updated before it was used": "the step would differ from what the gradients say",
    "weights too large": "the scores would be large, and the answers confident, before any training",
}

_BUGS = {
    "bug 1": "weights too large",
    "bug 2": "gradients summed, not averaged",
    "bug 3": "bias summed over the wrong axis",
    "bug 4": "state left behind by a call",
    "bug 5": "type cannot hold the result",
    "bug 6": "parameter updated before it was used",
}

_DISTRACTORS = {
    "learning rate too high": "blames-the-learning-rate",
    "labels do not belong to their images": "blames-the-labels",
    "slope of the activation missing": "blames-the-slope",
}


def _cause(key, value):
    spelled = " ".join(str(value).lower().replace("-", " ").split())
    return (spelled, "") if spelled in {cause.replace("-", " ") for cause in CAUSES} else (
        "wrong-type", f"“{value}” is not on the list. The causes are: {'; '.join(CAUSES)}."
    )  # fmt: skip


# What a learning rate that is too high would look like, where `CAUSES` says too little.
_IF_IT_WERE_THE_RATE = {
    "bug 2": "the right network would suffer at the same rate. Does it?",
    "bug 3": "numbers would be wrong, not shapes. Is that so?",
    "bug 4": "the right network would suffer at the same rate. Does it?",
    "bug 5": "there would have to be a step. Is there one?",
    "bug 6": "the steps with `backward` would suffer at the same rate. Do they?",
}


def _hypothesis(key, cause, _):
    if cause == _BUGS[key]:
        return None
    would = f"{CAUSES[cause]}. Is that so?"
    if cause == "learning rate too high":
        would = _IF_IT_WERE_THE_RATE.get(key, would)
    id_ = _DISTRACTORS.get(cause, "mixed-up")
    return id_, f"For {key} you wrote “{cause}”. If it were, {would}"


_BLAMES_THE_RATE = {
    "bug 1": Mistake(
        "blames-the-learning-rate",
        "A learning rate can only act through a step.",
        "How many steps came before this loss?",
        "No step had been taken. Ask what the loss is computed from before the first one.",
    ),
    "bug 2": Mistake(
        "blames-the-learning-rate",
        "Both networks are trained at the same rate, and only one of them fails.",
        "Why does the same rate do no harm with 10 examples?",
        "Half the rate would only hide the symptom. Ask what depends on the number of examples.",
    ),
}


_BLAMES_THE_RATE_ELSEWHERE = Mistake(
    "blames-the-learning-rate",
    "A learning rate can only act through a step, and it would harm the right code as well.",
    "Does the symptom need a step? If so, does the right code fail at the same rate?",
    "If there is a rate, it is the same in both lines of the symptom. Ask what differs between them.",
)


class _Hypotheses(Form):
    """A `Form` whose hints on the learning rate are those on the first bug that is not right."""

    def _judged(self, answers=None):
        if callable(answers):
            answers = answers()
        given = answers if isinstance(answers, Mapping) else {}
        wrong = (
            bug
            for bug, right in _BUGS.items()
            if given.get(bug) not in (None, ...) and _cause(bug, given[bug])[0] != right
        )
        rate = _BLAMES_THE_RATE.get(next(wrong, None), _BLAMES_THE_RATE_ELSEWHERE)
        last = progress_store.last_hints(self.name)
        if last and last[0] == rate.id and last[1][0] != rate.question:  # it was another bug
            progress_store.forget(self.name)
        others = (mistake for mistake in self.mistakes if mistake.id != rate.id)
        return super(_Hypotheses, replace(self, mistakes=(rate, *others)))._judged(answers)


hypotheses = _Hypotheses(
    name="hypotheses",
    day=30,
    signature="hypotheses(answers)",
    task="takes {bug: cause} for the six bugs, each cause as it is written in the list",
    judge=lambda answers: judge(_BUGS, answers, _cause, _hypothesis),
    mistakes=(
        *_BLAMES_THE_RATE.values(),
        _BLAMES_THE_RATE_ELSEWHERE,
        Mistake(
            "blames-the-labels",
            "Shuffled labels leave all gradients right; they hurt on new data only.",
            "Does the symptom need new data to show?",
            "The right network and the one with the bug get the same labels here.",
        ),
        Mistake(
            "blames-the-slope",
            "A missing slope is the same for every batch and every call.",
            "Would a missing slope depend on the batch, on other calls or on a type?",
            "Ask what the symptom depends on; the cause must depend on it, too.",
        ),
        Mistake(
            "mixed-up",
            "This cause belongs to another symptom.",
            "What does the symptom depend on: the number of examples, a size, another call, a type?",
            "Take the symptom's numbers one by one, and ask which cause would produce just these.",
        ),
    ),
    hints=(
        "Ask of each symptom: what must change for it to go away?",
        "Begin with the symptoms before any training: no step has happened yet.",
    ),
)


def _suite_inputs(rng):
    N, D, H, C = 6, 3, 5, 4
    X, y = rng.standard_normal((N, D)), np.arange(N) % C
    W1, W2 = rng.standard_normal((D, H)), rng.standard_normal((H, C))
    return X, y, W1, rng.standard_normal((1, H)), W2, rng.standard_normal((1, C))


_INPUTS = ("X", "y", "W1", "b1", "W2", "b2")


def _looked_over(function, rng):
    """Call `suite_inputs`, and note what a mistake could hide behind."""
    value = function(rng)
    if value is None or value is Ellipsis:
        return value
    expected = f"({', '.join(_INPUTS)})"
    if not isinstance(value, (list, tuple)):
        text = (
            f"It returned an object of type {type(value).__name__}, where {expected} was expected."
        )
        return TrialRun(value, problem=Problem("wrong-type", text))
    if any(item is None or item is Ellipsis for item in value):
        return TrialRun(value, problem=Problem("not-attempted", "Some of the six are still empty."))
    arrays = [as_numbers(item) for item in value]
    if len(arrays) != 6 or any(array is None for array in arrays):
        text = f"It should return six arrays, {expected}."
        return TrialRun(value, problem=Problem("wrong-shape", text))
    problem = _misfit(*arrays) or _no_indices(value[1])
    if problem:
        return TrialRun(value, problem=problem)
    X, y, W1, b1, W2, b2 = arrays
    z1 = X @ W1 + b1.ravel()
    sizes = dict(zip("NDHC", (*X.shape, *W2.shape), strict=True))
    facts = sizes | {
        "classes": np.unique(y).size,
        "zeros": sum(not b.all() for b in (b1, b2)),
        "spread": min(W1.std(), W2.std()),
        "largest": max(W1.std(), W2.std()),
        "drawn": sum(float(np.sum(a)) for a in (X, W1, b1, W2, b2)),
        "off": int((z1 < 0).sum()),
        "units": z1.size,
    }
    return TrialRun(float(not any(hides(facts) for hides in _HIDES.values())), log=facts)


def _misfit(X, y, W1, b1, W2, b2):
    """Return the `Problem` of six arrays that are no input of `backward`, or None."""
    shapes = {name: a.shape for name, a in zip(_INPUTS, (X, y, W1, b1, W2, b2), strict=True)}
    ranks = [a.ndim for a in (X, y, W1, W2)] == [2, 1, 2, 2]
    fits = ranks and (
        (len(y), W1.shape[0], W2.shape[0]) == (len(X), X.shape[1], W1.shape[1])
        and b1.shape in ((W1.shape[1],), (1, W1.shape[1]))
        and b2.shape in ((W2.shape[1],), (1, W2.shape[1]))
    )
    if not fits:
        listed = ", ".join(f"`{name}` {shape}" for name, shape in shapes.items())
        return Problem("wrong-shape", f"These six do not belong to one network: {listed}.")
    if not all(np.isfinite(a).all() for a in (X, y, W1, b1, W2, b2)):
        return Problem("not-finite", "Some of the numbers are infinite or NaN.")
    if (y != y.astype(int)).any() or y.min() < 0 or y.max() >= W2.shape[1]:
        return Problem("wrong-type", "The labels `y` should be whole numbers from 0 to C − 1.")
    return None


def _no_indices(y):
    """Return the `Problem` of labels that NumPy does not take as indices, or None."""
    labels = np.asarray(y.detach() if hasattr(y, "detach") else y)
    if labels.dtype.kind in "iu":
        return None
    return Problem(
        "wrong-type",
        f"The labels `y` have the type {labels.dtype}. They pick entries, as in "
        "`probs[np.arange(N), y]`, and indices must be integers: `rng.integers` draws them.",
    )


# Behind which inputs a mistake could hide, by the id of the exercise's mistake.
_HIDES = {
    "one-example": lambda f: f["N"] < 2,
    "equal-sizes": lambda f: len({f[size] for size in "NDHC"}) < 4,
    "one-class": lambda f: f["classes"] < 2,
    "zero-biases": lambda f: f["zeros"] > 0,
    "tiny-weights": lambda f: f["spread"] < 0.1,
    "large-weights": lambda f: f["largest"] > 2,
    "no-unit-off": lambda f: not 0 < f["off"] < f["units"],
}


def _hides(id_):
    """Make the `detect` of inputs behind which a mistake could hide."""

    def detect(observations):
        logs = [o.log for o in observations if o.log]
        return next(
            ({key: f"{value:.3g}" for key, value in facts.items()} for facts in logs
             if _HIDES[id_](facts)),
            None,
        )  # fmt: skip

    return detect


def _drawn_without_rng(observations):
    """Return what shows that the numbers do not come from `rng`; the last seed is the first again."""
    if not all(o.log for o in observations):
        return None
    *drawn, again = (o.log["drawn"] for o in observations)
    if len(set(drawn)) < len(drawn):
        return {"drawn": "Two generators, with seeds 0 and 1, give you the same numbers."}
    if again != drawn[0]:
        return {"drawn": "Two generators with the same seed, 0, give you different numbers."}
    return None


def _blind_spot(id_, explanation, question, advice, finding, slip):
    return Mistake(id_, explanation, question, advice, (), _hides(id_), finding, slip)


suite_inputs = Exercise(
    name="suite_inputs",
    day=30,
    signature="suite_inputs(rng)",
    task="returns random inputs (X, y, W1, b1, W2, b2) of `backward` behind which no bug can hide",
    right=_suite_inputs,
    outputs=("the inputs",),
    probes=lambda: [Probe((np.random.default_rng(seed),), {"seed": seed}) for seed in (0, 1, 2, 0)],
    trial=_looked_over,
    mistakes=(
        _blind_spot(
            "one-example",
            "With one example a mean over the batch is a sum, so a missing or a second division by N "
            "changes nothing.",
            "Which bugs are about the number of examples, and what do they change if it is 1?",
            "Take at least two examples.",
            "There is N = {N} example.",
            ("6, 3, 5, 4", "1, 3, 5, 4"),
        ),
        _blind_spot(
            "equal-sizes",
            "Where two sizes are equal, an array of one shape fits where the other belongs.",
            "Which wrong axis, or which missing transpose, would not raise an error here?",
            "Choose N, D, H and C all different.",
            "Your sizes are N = {N}, D = {D}, H = {H} and C = {C}.",
            ("6, 3, 5, 4", "5, 3, 5, 4"),
        ),
        _blind_spot(
            "one-class",
            "All labels are equal, so an implementation that ignores the labels, or picks entire "
            "columns with them, may be right by accident.",
            "What would change if every label were replaced by the first one?",
            "Let several classes occur among the labels.",
            "The labels are of {classes} class.",
            ("np.arange(N) % C", "np.zeros(N, dtype=int)"),
        ),
        _blind_spot(
            "zero-biases",
            "With a bias of 0, an implementation that forgets the bias is right by accident.",
            "Which line of the forward pass does nothing if the biases are 0?",
            "Draw the biases, too.",
            "Biases that contain a 0: {zeros} of 2.",
            ("rng.standard_normal((1, H)), rng", "np.zeros((1, H)), rng"),
        ),
        _blind_spot(
            "tiny-weights",
            "With tiny weights the first layer's gradient is tiny, so an absolute tolerance lets any "
            "error through; and a tanh or sigmoid is nearly linear, which hides its slope.",
            "How large is the gradient that you are going to compare, next to your tolerance?",
            "Use weights with a spread of about 0.5 to 1.",
            "The smaller spread of your two weight matrices is {spread}.",
            (
                "W1, W2 = rng.standard_normal((D, H))",
                "W1, W2 = 0.001 * rng.standard_normal((D, H))",
            ),
        ),
        _blind_spot(
            "large-weights",
            "With such weights the probabilities are 0 or 1: the floor under the logarithm makes the loss "
            "flat, and finite differences see no slope.",
            "How large are your scores, and what does the softmax make of them?",
            "Use weights with a spread of about 0.5 to 1.",
            "The larger spread of your two weight matrices is {largest}.",
            (
                "W1, W2 = rng.standard_normal((D, H))",
                "W1, W2 = 9 * rng.standard_normal((D, H))",
            ),
        ),
        _blind_spot(
            "no-unit-off",
            "Every hidden unit is on for every example, or off. Then a ReLU is a straight line, and a "
            "missing slope changes nothing.",
            "Of the values of z1, how many should be negative?",
            "Draw weights and biases of both signs, of about the same size.",
            "Of {units} hidden values, {off} are negative.",
            ("rng.standard_normal((1, H)), rng", "9 + rng.standard_normal((1, H)), rng"),
        ),
        Mistake(
            "ignores-rng",
            "The numbers do not come from `rng`. A test that fails should fail again with the same seed, "
            "and another seed should be another test.",
            "Where does each of your numbers come from?",
            "Draw everything with methods of `rng`, such as `rng.standard_normal(shape)`.",
            detect=_drawn_without_rng,
            finding="{drawn}",
            slip=("N, D, H, C =", "rng = np.random.default_rng(0)\n    N, D, H, C ="),
        ),
    ),
    hints=(
        "Go through the planted bugs: which inputs would hide each of them?",
        "Sizes that all differ, several classes, random biases, and weights of about 1.",
    ),
)

EXERCISES = (
    relu_grad,
    sigmoid,
    sigmoid_grad,
    tanh_slope,
    backward_deep,
    variance,
    init_weights,
    bound,
    hypotheses,
    suite_inputs,
    test_suite,
)
