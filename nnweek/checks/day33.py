"""The exercises of Day 33: three optimizers' steps, a fair search, and two tests of a difference.

The keyword-only arguments of a right answer are the steps that its mistakes replace.
"""

import contextlib
import copy
import math
import sys
import types
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from nnweek.checks.exercise import Exercise, Mistake, Probe, Question
from nnweek.checks.steps import both_or_one, identity, one, zero
from nnweek.checks.wording import SOME_RIGHT


def _reversed(returned):
    return returned[::-1]


# The probes are matrices, so that a flattened result shows. A function may be written for tensors,
# or for vectors only; single numbers are not enough, because a layer has many weights.


def _on_tensors(function):
    """Adapt a function that takes tensors; they share the memory of the arrays."""
    torch = sys.modules.get("torch")

    def converted(*args):
        try:
            return function(*(torch.from_numpy(a) if _is_array(a) else a for a in args))
        except (ValueError, NotImplementedError) as error:
            # math.sqrt and ^ are no reason to report tensors to a learner who has arrays.
            if "converted to Python scalars" in str(error) or "bitwise" in str(error):
                raise TypeError(str(error)) from None
            raise

    return torch and converted


def _on_vectors(function):
    """Adapt a function that takes vectors and raises for matrices."""

    def converted(*args):
        with contextlib.suppress(Exception):
            return function(*copy.deepcopy(args))
        value = function(*(a.reshape(-1) if _is_array(a) else a for a in args))
        shape = next(a.shape for a in args if _is_array(a))
        if not isinstance(value, (list, tuple)):
            return value
        return tuple(np.reshape(v, shape) if np.size(v) == math.prod(shape) else v for v in value)

    return converted


def _is_array(value):
    return isinstance(value, np.ndarray)


_ADAPTERS = (_on_tensors, _on_vectors)


def _velocity(v, g, lr, mu):
    return mu * v + g


def _momentum_step(
    w,
    g,
    v,
    lr,
    mu,
    *,
    factor=identity,
    rate=identity,
    gain=one,
    velocity=_velocity,
    along=lambda new, v, g, lr, mu: new,
    scale=identity,
    sign=-1,
    keeps=lambda new, v: new,
    start=identity,
    finish=identity,
):
    lr, mu = rate(lr), factor(mu)
    new = velocity(v, gain(mu) * g, lr, mu)
    return finish((start(w) + sign * scale(lr) * along(new, v, g, lr, mu), keeps(new, v)))


def _momentum_probes():
    rng = np.random.default_rng(36)
    for shape, lr, mu in (((2, 3), 0.3, 0.8), ((3, 2), 0.45, 0.6), ((2, 4), 0.15, 0.7)):
        w, g, v = rng.standard_normal((3, *shape)) + 0.1
        yield Probe((w, g, v, lr, mu), {"lr": lr, "mu": mu})
    w, g = rng.standard_normal((2, 2, 3))
    yield Probe((w, g, np.zeros((2, 3)), 0.3, 0.9), {"lr": 0.3, "mu": 0.9, "v": 0})


def _along_the_gradient(observations):
    """Return whether every step, even with a velocity, is a multiple of the gradient."""
    for observation in observations:
        w, g, *_ = observation.probe.args
        got = observation.outputs.get("w")
        if "w" not in observation.wrong and "v" not in observation.probe.context:
            return False
        if got is None or got.shape != w.shape or not np.isfinite(got).all():
            return False
        factor = ((w - got) * g).sum() / (g * g).sum()
        if np.abs(w - got - factor * g).max() > 1e-4 or factor < 1e-3:
            return False
    return True


def _same_factor(pair):
    """Make a `detect`: of the two arrays in `pair`, the second is the first times a constant.

    lr and μ differ between the probes, so a factor that does not is a number in the function.
    """

    def detect(observations):
        factors = []
        for observation in observations:
            shapes = {name: array.shape for name, array in observation.outputs.items()}
            if shapes != {name: array.shape for name, array in observation.right.items()}:
                return False
            if "v" in observation.probe.context:  # v = 0 shows no factor
                continue
            x, y = pair(observation)
            factors.append((x * y).sum() / (x * x).sum())
            if not np.abs(y - factors[-1] * x).max() < 1e-4:
                return False
        # 0 and ±1 are other mistakes or conventions.
        return np.ptp(factors) < 1e-4 and min(abs(factors[0]), abs(abs(factors[0]) - 1)) > 1e-4

    return detect


# The learning rate is part of the velocity, added to it or, as in many books, subtracted.
def _with_rate(v, g, lr, mu):
    return mu * v + lr * g


def _as_step(v, g, lr, mu):
    return mu * v - lr * g


def _all_by_rate(v, g, lr, mu):
    return lr * (mu * v + g)


_RATE_IN_VELOCITY = {"velocity": _with_rate, "scale": one}
_STEP_AS_VELOCITY = {"velocity": _as_step, "scale": one}

_OTHER_CONVENTION = Mistake(
    "other-convention",
    "Your idea is right, but the bookkeeping differs: your velocity is the step itself, with its "
    "sign and learning rate, as many books define it. PyTorch's velocity is a sum of gradients, "
    "and the learning rate is applied when the weight moves.",
    "If the learning rate changes later, what should happen to the velocity collected so far? "
    "Yours still contains the old rate.",
    "Leave lr and the minus sign out of the velocity: v ← μv + g, and only then w ← w − lr·v.",
    variants=({**_STEP_AS_VELOCITY, "sign": 1},),
    slip=(
        "return w - lr * new_v, new_v",
        "new_v = mu * v - lr * g; return w + new_v, new_v",
    ),
)
_OTHER_CONVENTIONS = (
    # First, because the others with a learning rate of 1 are this one without a rate.
    replace(
        _OTHER_CONVENTION,
        explanation="Your idea is right, but the bookkeeping differs: your velocity has the "
        "opposite sign, and points downhill. PyTorch's velocity is a sum of gradients, and the "
        "minus comes when the weight moves.",
        question="If v = 0 and the gradient is positive, what is the sign of your new velocity?",
        advice="Leave the minus sign out of the velocity: v ← μv + g, and only then w ← w − lr·v.",
        variants=({"velocity": lambda v, g, lr, mu: mu * v - g, "sign": 1},),
        slip=(
            "return w - lr * new_v, new_v",
            "new_v = mu * v - g; return w + lr * new_v, new_v",
        ),
    ),
    _OTHER_CONVENTION,
    replace(
        _OTHER_CONVENTION,
        explanation="Your idea is right, but the bookkeeping differs: your velocity contains the "
        "learning rate, as in many books. PyTorch's velocity is a sum of gradients, and the "
        "learning rate is applied when the weight moves.",
        advice="Leave lr out of the velocity: v ← μv + g, and only then w ← w − lr·v.",
        variants=(_RATE_IN_VELOCITY,),
        slip=(
            "return w - lr * new_v, new_v",
            "new_v = mu * v + lr * g; return w - new_v, new_v",
        ),
    ),
)
_ASCENT = Mistake(
    "ascent",
    "The step followed the sum of the gradients, which points uphill: the loss grows.",
    "If v = 0 and the gradient is positive, should the weight become larger or smaller?",
    "The step is subtracted from the weight.",
    variants=({"sign": 1},),
    finding=SOME_RIGHT,
    slip=("w - lr", "w + lr"),
)

_FACTOR = Mistake(
    "wrong",
    "A factor is in the wrong place: μ belongs to the old velocity only, and lr to the step.",
    "Two lines, two factors: which factor belongs to which line, and to what in it?",
    "In the velocity, only the old v is multiplied, by μ; in the step, lr multiplies the new v.",
    finding=SOME_RIGHT,
)
_FACTORS = (
    replace(
        _FACTOR,
        variants=(
            {"velocity": lambda v, g, lr, mu: v + mu * g},
            {"velocity": lambda v, g, lr, mu: mu * (v + g)},
            {"velocity": lambda v, g, lr, mu: (1 - mu) * v + mu * g},
        ),
        slip=("mu * v + g", "v + mu * g"),
    ),
    replace(
        _FACTOR,
        variants=(
            {"velocity": lambda v, g, lr, mu: lr * v + g},
            {
                "velocity": lambda v, g, lr, mu: lr * v + g,
                "along": lambda new, v, g, lr, mu: mu * new,
                "scale": one,
            },
        ),
        slip=("mu * v + g", "lr * v + g"),
    ),
    replace(
        _FACTOR,
        variants=(
            {"along": lambda new, v, g, lr, mu: mu * new},
            {"along": lambda new, v, g, lr, mu: mu * new, "scale": one},
        ),
        slip=("lr * new_v", "lr * mu * new_v"),
    ),
)

_RETURNS_CHANGE = Mistake(
    "wrong",
    "This is the change of the weight, not the weight after the change.",
    "If lr is 0, what should the first output be?",
    "Return the old weight minus the step.",
    variants=({"start": zero}, {"start": zero, "sign": 1}),
    slip=("w - lr", "-lr"),
)

# The learning rates that a function may contain in place of the one that is passed in.
_IGNORED_RATES = tuple({"rate": lambda lr, typed=typed: typed} for typed in (1, 0.1, 0.01))

momentum_step = Exercise(
    name="momentum_step",
    day=33,
    signature="momentum_step(w, g, v, lr, mu)",
    task="returns (w, v) after one step of SGD with momentum, v ← μv + g and w ← w − lr·v",
    right=_momentum_step,
    outputs=("w", "v"),
    probes=_momentum_probes,
    may_change=("w", "v"),
    adapters=_ADAPTERS,
    mistakes=(
        Mistake(
            "old-velocity",
            "The weight stepped along the old velocity, without this gradient, so every gradient "
            "acts one step late.",
            "In the very first step, v is 0. How far does your weight move then?",
            "Update the velocity first, then step along the updated velocity.",
            variants=({"along": lambda new, v, g, lr, mu: v},),
            finding=SOME_RIGHT,
            slip=("lr * new_v", "lr * v"),
        ),
        _ASCENT,
        Mistake(
            "velocity-lost",
            "The step is right, but the velocity that you return is not the one that the step used: "
            "the memory of this gradient is lost.",
            "Which v would the next call get?",
            "Return the new velocity, μ times the old one plus the gradient.",
            variants=({"keeps": lambda new, v: v}, {"keeps": lambda new, v: 0 * v}),
            finding=SOME_RIGHT,
            slip=("lr * new_v, new_v", "lr * new_v, v"),
        ),
        Mistake(
            "velocity-lost",
            "The velocity is the memory of earlier gradients. Here it is lost: either the step does "
            "not use it, or it is not passed on to the next step.",
            "If the gradient were 0 from now on, would the weight keep moving for a while? "
            "Which v would the next call get?",
            "The new velocity is μ times the old one plus the gradient. The weight steps "
            "along the new velocity, and the new velocity is returned.",
            variants=(
                {"velocity": lambda v, g, lr, mu: g},
                {"along": lambda new, v, g, lr, mu: g},
                {"along": lambda new, v, g, lr, mu: g, "keeps": lambda new, v: v},
                {"along": lambda new, v, g, lr, mu: g, "keeps": lambda new, v: 0 * v},
                {"velocity": lambda v, g, lr, mu: lr * g, "scale": one},
            ),
            detect=_along_the_gradient,
            finding=SOME_RIGHT,
            slip=("lr * new_v", "lr * g"),
        ),
        # These come before the other ways uphill, which share their velocities.
        *_OTHER_CONVENTIONS,
        Mistake(
            "wrong",
            "The velocity that you return contains the learning rate, which the next call would apply "
            "once more.",
            "If lr were 0, what should the velocity be?",
            "Leave lr out of the velocity: v ← μv + g, and only then w ← w − lr·v.",
            variants=(
                {"velocity": _all_by_rate, "rate": identity, "scale": one},
                {
                    "velocity": lambda v, g, lr, mu: -_all_by_rate(v, g, lr, mu),
                    "rate": identity,
                    "scale": one,
                    "sign": 1,
                },
            ),
            finding=SOME_RIGHT,
            slip=(
                "return w - lr * new_v, new_v",
                "new_v = lr * (mu * v + g); return w - new_v, new_v",
            ),
        ),
        Mistake(
            "wrong",
            "The learning rate is applied twice: it is in the velocity and again in the step.",
            "If lr were half as large, how much shorter would the first step be?",
            "Leave lr out of the velocity: v ← μv + g, and only then w ← w − lr·v.",
            variants=(
                # No typed rate is added to these: a rate of 1 is not applied twice.
                {"velocity": _with_rate, "rate": identity},
                {"velocity": _as_step, "rate": identity, "sign": 1},
                {"velocity": _all_by_rate, "rate": identity},
                {
                    "velocity": lambda v, g, lr, mu: -_all_by_rate(v, g, lr, mu),
                    "rate": identity,
                    "sign": 1,
                },
            ),
            finding=SOME_RIGHT,
            slip=("mu * v + g", "mu * v + lr * g"),
        ),
        replace(
            _ASCENT,
            explanation="The gradient entered the velocity with a minus, and the velocity was "
            "subtracted: from v = 0, that goes uphill.",
            advice="Add the gradient to the velocity, and subtract lr times the velocity.",
            variants=({"velocity": lambda v, g, lr, mu: mu * v - g},),
            slip=("mu * v + g", "mu * v - g"),
        ),
        replace(
            _ASCENT,
            explanation="Your velocity is already the step, with its minus, and it was subtracted: "
            "from v = 0, that goes uphill.",
            advice="Leave lr and the minus out of the velocity: v ← μv + g, and only then "
            "w ← w − lr·v.",
            variants=(_STEP_AS_VELOCITY, {"velocity": _as_step}),
            slip=(
                "return w - lr * new_v, new_v",
                "new_v = mu * v - lr * g; return w - new_v, new_v",
            ),
        ),
        replace(
            _ASCENT,
            variants=({**_RATE_IN_VELOCITY, "sign": 1},),
            slip=(
                "return w - lr * new_v, new_v",
                "new_v = mu * v + lr * g; return w + new_v, new_v",
            ),
        ),
        Mistake(
            "damped",
            "The gradient was weighted by 1 − μ: that gives a running mean, as in Adam. Momentum "
            "needs a sum, whose steps are 1/(1 − μ) times as long.",
            "If the gradient were the same g forever, where would your velocity settle: at g, "
            "or at g/(1 − μ)?",
            "The gradient is added as it is, without a factor.",
            variants=({"gain": lambda mu: 1 - mu},),
            finding=SOME_RIGHT,
            slip=("mu * v + g", "mu * v + (1 - mu) * g"),
        ),
        Mistake(
            "nesterov",
            "This is Nesterov's variant, which looks one step ahead: it moves along g + μv, whereas "
            "plain momentum moves along v.",
            "How often does μ appear in your step, and how often in the two formulas?",
            "Once the velocity is updated, the weight moves by exactly lr times that velocity.",
            variants=(
                {"along": lambda new, v, g, lr, mu: g + mu * new},
                {
                    **_STEP_AS_VELOCITY,
                    "sign": 1,
                    "along": lambda new, v, g, lr, mu: mu * new - lr * g,
                },
            ),
            finding=SOME_RIGHT,
            slip=("lr * new_v", "lr * (g + mu * new_v)"),
        ),
        Mistake(
            "wrong",
            "The old velocity was added without the factor μ, so it never fades.",
            "Where do you use μ? What does it do to the velocity of ten steps ago?",
            "The old velocity is multiplied by μ before the gradient is added.",
            variants=({"velocity": lambda v, g, lr, mu: v + g},),
            slip=("mu * v + g", "v + g"),
        ),
        *_FACTORS,
        Mistake(
            "wrong",
            "The gradient is missing: the velocity only fades.",
            "From v = 0, would your weight ever move?",
            "The gradient is added to μ times the old velocity.",
            variants=({"velocity": lambda v, g, lr, mu: mu * v},),
            slip=("mu * v + g", "mu * v"),
        ),
        Mistake(
            "ignores-lr",
            "The length of the step does not depend on the learning rate.",
            "Where does your function use `lr`?",
            "The weight moves by lr times the new velocity.",
            variants=_IGNORED_RATES,
            detect=_same_factor(lambda o: (o.right["v"], o.probe.args[0] - o.outputs["w"])),
            finding=SOME_RIGHT,
            slip=("lr * new_v", "new_v"),
        ),
        Mistake(
            "typed-mu",
            "The velocity fades by the same factor whatever μ is passed in: the factor is a number "
            "typed into your function.",
            "Where does your function use `mu`?",
            "The old velocity is multiplied by the argument `mu`, not by a number such as 0.9.",
            variants=({"factor": lambda mu: 0.9},),
            detect=_same_factor(lambda o: (o.probe.args[2], o.outputs["v"] - o.probe.args[1])),
            finding=SOME_RIGHT,
            slip=("mu * v + g", "0.9 * v + g"),
        ),
        Mistake(
            "wrong",
            "Both arrays are right, but their order is reversed.",
            "Which of the two should come first?",
            "Return the weight first, then the velocity.",
            variants=({"finish": _reversed},),
            slip=("w - lr * new_v, new_v", "new_v, w - lr * new_v"),
        ),
        _RETURNS_CHANGE,
    ),
    hints=(
        "Two lines: first the velocity, from the old one and the gradient; then the weight.",
        "The new velocity is μv + g, and the weight moves downhill by lr times it. Return both.",
    ),
)


def _average(old, new, beta, other):
    """Average with `beta`; `other` is the β of the other average."""
    return beta * old + (1 - beta) * new


def _sum(old, new, beta, other):
    return beta * old + new


def _swapped_average(old, new, beta, other):
    return (1 - beta) * old + beta * new


# One of the two places of β has the other average's.
_MIXED_AVERAGES = (
    lambda old, new, beta, other: other * old + (1 - beta) * new,
    lambda old, new, beta, other: beta * old + (1 - other) * new,
)


def _correction(beta, t):
    return 1 - beta**t


def _both_averages(average):
    """Return variants with a wrong average for m and v, or for only one of them."""
    return both_or_one(average_m=average, average_v=average)


def _adam_step(
    w,
    g,
    m,
    v,
    t,
    lr,
    beta1,
    beta2,
    eps,
    *,
    time=identity,
    betas=identity,
    average_betas=identity,
    correction_betas=identity,
    average_m=_average,
    average_v=_average,
    of_v=np.square,
    correct_m=_correction,
    correct_v=_correction,
    corrected=lambda new, old: new,
    below_root=lambda v, betas: v,
    denominator=lambda v, eps, c: v**0.5 + eps,
    start=identity,
    sign=-1,
    rate=identity,
    shift=zero,
    keeps=lambda m, v, m_hat, v_hat: (m, v),
    finish=identity,
):
    given = betas((beta1, beta2))
    t, old = time(t), (m, v)
    beta1, beta2 = average_betas(given)
    m, v = average_m(m, g, beta1, beta2), average_v(v, of_v(g), beta2, beta1)
    beta1, beta2 = correction_betas(given)
    c = correct_v(beta2, t)
    first, second = corrected((m, v), old)
    m_hat, v_hat = first / correct_m(beta1, t), second / c
    below = denominator(below_root(v_hat, (beta1, beta2)), eps, c)
    w = start(w) + sign * rate(lr) * m_hat / below + shift(eps)
    return finish((w, *keeps(m, v, m_hat, v_hat)))


def _adam_probes():
    rng = np.random.default_rng(37)

    def probe(shape, t, lr, beta1, beta2, eps, **more):
        w, g = rng.standard_normal((2, *shape))
        g = g + np.sign(g) / 2  # none near 0
        # v is so large that it stays positive even if g is averaged instead of its square.
        m, v = rng.standard_normal(shape), rng.uniform(2, 4, shape)
        if t == 1:
            m, v = np.zeros((2, *shape))
        context = {"t": t, "lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps}
        return Probe((w, g, m, v, t, lr, beta1, beta2, eps), context, **more)

    # No β is 0.9 or 0.999, the numbers that a function may contain in place of its arguments.
    yield probe((2, 3), 3, 0.3, 0.8, 0.95, 1e-8)
    yield probe((3, 2), 2, 0.2, 0.85, 0.7, 1e-8)
    # So late that the corrections are 1: eps can be large here, and an answer that folds them into
    # the learning rate, as Kingma and Ba propose, still gives the same result.
    yield probe((2, 3), 2000, 0.3, 0.8, 0.95, 0.5)
    # At the first step, t − 1 divides by zero: all that comes of it says nothing if more is wrong.
    yield probe((2, 3), 1, 0.3, 0.7, 0.85, 1e-8, targets="the first step")


def _without_memory(observations):
    """Return whether m is a line in g, or v one in g², whatever the old averages are."""
    for name, power in (("m", 1), ("v", 2)):
        failing = [o for o in observations if name in o.wrong and o.probe.context["t"] > 1]
        if len(failing) > 1 and all(
            _is_line(o.probe.args[1] ** power, o.outputs.get(name)) for o in failing
        ):
            return True
    return False


def _is_line(x, y):
    """Return whether y = slope · x + offset, with a slope that is not 0."""
    if y is None or y.shape != x.shape or not np.isfinite(y).all():
        return False
    slope, offset = np.polyfit(x.ravel(), y.ravel(), 1)
    return abs(slope) > 1e-6 and np.abs(slope * x + offset - y).max() < 1e-4 * np.abs(y).max()


_WEIGHTS = "The old value is weighted by β, the new one by 1 − β."

adam_step = Exercise(
    name="adam_step",
    day=33,
    signature="adam_step(w, g, m, v, t, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8)",
    task="returns (w, m, v) after step t of Adam, where the first step is t = 1",
    right=_adam_step,
    outputs=("w", "m", "v"),
    probes=_adam_probes,
    may_change=("w", "m", "v"),
    adapters=_ADAPTERS,
    mistakes=(
        Mistake(
            "no-bias-correction",
            "m and v start at 0, so both are too small in the first steps; without the "
            "correction, those steps have the wrong length.",
            "After one step from 0, how do m and v compare with the gradient and its square? "
            "What does the division by 1 − βᵗ do to them?",
            "The step uses m̂ and v̂: m divided by 1 − β₁ᵗ, and v divided by 1 − β₂ᵗ.",
            variants=({"correct_m": one, "correct_v": one},),
            finding=SOME_RIGHT,
            slip=("w - lr * m_hat / (v_hat**0.5 + eps)", "w - lr * m / (v**0.5 + eps)"),
        ),
        Mistake(
            "only-m-corrected",
            "The mean was corrected for its start at 0, but the mean square was not: in the first "
            "steps the denominator is too small, so the steps are too long.",
            "Both averages start at 0. Which of the two enters your step uncorrected?",
            "Divide v by 1 − β₂ᵗ before you take the root.",
            variants=({"correct_v": one},),
            finding=SOME_RIGHT,
            slip=("v / (1 - beta2**t)", "v"),
        ),
        Mistake(
            "only-v-corrected",
            "The mean square was corrected for its start at 0, but the mean was not: the first "
            "steps are too short.",
            "Both averages start at 0. Which of the two enters your step uncorrected?",
            "Divide m by 1 − β₁ᵗ in the step.",
            variants=({"correct_m": one},),
            finding=SOME_RIGHT,
            slip=("m / (1 - beta1**t)", "m"),
        ),
        Mistake(
            "off-by-one-t",
            "The correction is that of the step before or after: t is the number of this step, and "
            "the first step has number 1.",
            "After the first step, by what factor is m too small? Put t = 1 into your "
            "correction: is it that factor?",
            "Use t as it is passed in: it is 1 in the first step, and the formulas contain "
            "neither t + 1 nor t − 1.",
            variants=(
                {"time": lambda t: t + 1},
                {"time": lambda t: t - 1},
                {"time": lambda t: max(t - 1, 1)},
            ),
            finding="{first} {agreement}.",
            slip=("m_hat = m /", "t += 1; m_hat = m /"),
        ),
        Mistake(
            "corrects-stored-moments",
            "The step is right, but the corrected averages were returned. The next step would "
            "correct them again, and they would no longer be averages.",
            "The next call gets the m and v that you return. Should it get the running averages, "
            "or the values corrected for this one step?",
            "Give m̂ and v̂ names of their own, and return m and v.",
            variants=(
                {"keeps": lambda m, v, m_hat, v_hat: (m_hat, v_hat)},
                {"keeps": lambda m, v, m_hat, v_hat: (m_hat, v)},
                {"keeps": lambda m, v, m_hat, v_hat: (m, v_hat)},
            ),
            finding=SOME_RIGHT,
            slip=("+ eps), m, v", "+ eps), m_hat, v_hat"),
        ),
        Mistake(
            "v-of-g",
            "v averages g instead of g², so it may even become negative, and its root NaN.",
            "m is the mean of g. What is v the mean of?",
            "Square the gradient before you average it into v.",
            variants=({"of_v": identity},),
            finding=SOME_RIGHT,
            slip=("g**2", "g"),
        ),
        Mistake(
            "v-of-g",
            "v averages |g| instead of g², so its root is not the size of a gradient.",
            "m is the mean of g. What is v the mean of?",
            "Square the gradient before you average it into v.",
            variants=({"of_v": np.abs},),
            finding=SOME_RIGHT,
            slip=("g**2", "abs(g)"),
        ),
        Mistake(
            "no-root",
            "The step was divided by v̂ itself. The root of v̂ has the size of a gradient, so the "
            "size cancels; v̂ has the size of a squared gradient.",
            "If every gradient were ten times as large, how much longer would Adam's step be, "
            "and how much longer would yours be?",
            "The denominator is the root of v̂, plus ε.",
            variants=(
                {"denominator": lambda v, eps, c: v + eps},
                {"denominator": lambda v, eps, c: v * c**0.5 + eps},  # folded into the rate
            ),
            finding=SOME_RIGHT,
            slip=("v_hat**0.5", "v_hat"),
        ),
        Mistake(
            "eps-inside-root",
            "ε was added to v̂ before the root was taken. There it acts as √ε, which for ε = 1e-8 "
            "is ten thousand times as much.",
            "If v̂ = 0, what is your denominator: ε, or its root?",
            "Take the root first, then add ε.",
            variants=({"denominator": lambda v, eps, c: (v + eps) ** 0.5},),
            finding=SOME_RIGHT,
            slip=("(v_hat**0.5 + eps)", "(v_hat + eps) ** 0.5"),
        ),
        Mistake(
            "swapped-betas",
            "v was averaged with β₁, at least in one place; β₁ belongs to the mean m, β₂ to the mean "
            "square v.",
            "Which β is in the line of v? Is it the same one in both places?",
            "The line of v contains beta2 twice, and no beta1.",
            variants=(
                {"average_betas": lambda betas: (betas[0], betas[0])},
                {"betas": lambda betas: (betas[0], betas[0])},
                *({"average_v": average} for average in _MIXED_AVERAGES),
            ),
            finding=SOME_RIGHT,
            slip=("beta2 * v + (1 - beta2) * g**2", "beta1 * v + (1 - beta1) * g**2"),
        ),
        Mistake(
            "swapped-betas",
            "The averages are right, but their corrections mix up β₁ and β₂: β₁ belongs to the mean "
            "m, β₂ to the mean square v.",
            "Which β is in the correction of m, and which in that of v?",
            "m is divided by 1 − β₁ᵗ, and v by 1 − β₂ᵗ.",
            variants=(
                {"correction_betas": lambda betas: (betas[0], betas[0])},
                {"correction_betas": lambda betas: (betas[1], betas[1])},
                {"correction_betas": _reversed},
            ),
            finding=SOME_RIGHT,
            slip=("v / (1 - beta2**t)", "v / (1 - beta1**t)"),
        ),
        Mistake(
            "swapped-betas",
            "β₁ and β₂ are mixed up: β₁ belongs to the mean m, β₂ to the mean square v.",
            "By default β₁ is the smaller one. Which of the two averages should forget faster?",
            "Go through each line: m uses beta1 and v uses beta2, even in the corrections.",
            variants=(
                {"betas": _reversed},
                {"average_betas": _reversed},
                {"average_betas": lambda betas: (betas[1], betas[1])},
                {"betas": lambda betas: (betas[1], betas[1])},
                *({"average_m": average} for average in _MIXED_AVERAGES),
            ),
            finding=SOME_RIGHT,
            slip=("beta1 * m + (1 - beta1) * g", "beta2 * m + (1 - beta2) * g"),
        ),
        Mistake(
            "old-moment-lost",
            "The old average is lost: what earlier steps have collected plays no part.",
            "If the gradient were 0 from now on, what should the averages be after this step?",
            _WEIGHTS,
            detect=_without_memory,
            finding=SOME_RIGHT,
            slip=("beta1 * m + (1 - beta1) * g", "(1 - beta1) * g"),
        ),
        Mistake(
            "root-of-beta",
            "The step was divided by the root of a β, which is the same for every weight, instead "
            "of the root of v̂.",
            "What makes Adam's step different for each weight, and where is that in your "
            "denominator?",
            "The denominator is the root of v̂, plus ε.",
            variants=(
                {"below_root": lambda v, betas: betas[0]},
                {"below_root": lambda v, betas: betas[1]},
            ),
            finding=SOME_RIGHT,
            slip=("v_hat**0.5", "beta2**0.5"),
        ),
        Mistake(
            "ascent",
            "The step went along the gradient, which is uphill: the loss grows.",
            "If the gradient is positive, should the weight become larger or smaller?",
            "The step is subtracted from the weight.",
            variants=({"sign": 1},),
            finding=SOME_RIGHT,
            slip=("w - lr", "w + lr"),
        ),
        Mistake(
            "wrong",
            "ε was added to the weight, not to the denominator: a division comes before an addition.",
            "In which order does Python compute `a / b + c`?",
            "Put the entire denominator, √v̂ + ε, in brackets.",
            variants=({"denominator": lambda v, eps, c: v**0.5, "shift": identity},),
            finding=SOME_RIGHT,
            slip=("(v_hat**0.5 + eps)", "v_hat**0.5 + eps"),
        ),
        Mistake(
            "wrong",
            "ε has no effect, or it is in the wrong place: it is added to the root of v̂, so that "
            "the step never divides by 0.",
            "For a weight whose gradients were all 0, what is the denominator of your step?",
            "The denominator is √v̂ + ε, with the ε that is passed in.",
            variants=(
                {"denominator": lambda v, eps, c: v**0.5},
                {"denominator": lambda v, eps, c: v**0.5 + 1e-8},
            ),
            finding=SOME_RIGHT,
            slip=("v_hat**0.5 + eps", "v_hat**0.5"),
        ),
        Mistake(
            "wrong",
            "β₁ and β₂ are numbers typed into your function, whatever is passed in.",
            "Where does your function use `beta1` and `beta2`?",
            "Use the arguments `beta1` and `beta2`; 0.9 and 0.999 are their defaults only.",
            variants=({"betas": lambda betas: (0.9, 0.999)},),
            finding=SOME_RIGHT,
            slip=("m = beta1", "beta1, beta2 = 0.9, 0.999; m = beta1"),
        ),
        Mistake(
            "wrong",
            "The correction has β·t where it should have βᵗ, the product of t factors β.",
            "If each step leaves a fraction β of the start at 0, how much is left after t steps?",
            "The corrections are 1 − β₁ᵗ and 1 − β₂ᵗ: β to the power of t.",
            variants=(
                {
                    "correct_m": lambda beta, t: 1 - beta * t,
                    "correct_v": lambda beta, t: 1 - beta * t,
                },
            ),
            finding=SOME_RIGHT,
            slip=(
                "return w - lr",
                "m_hat, v_hat = m / (1 - beta1 * t), v / (1 - beta2 * t); return w - lr",
            ),
        ),
        Mistake(
            "wrong",
            "The correction is the same in every step: t is missing from it.",
            "After a thousand steps, how much does the start at 0 still matter? By what does your "
            "function divide then?",
            "The corrections are 1 − β₁ᵗ and 1 − β₂ᵗ: β to the power of t.",
            variants=both_or_one(
                correct_m=lambda beta, t: 1 - beta, correct_v=lambda beta, t: 1 - beta
            ),
            finding=SOME_RIGHT,
            slip=("m / (1 - beta1**t)", "m / (1 - beta1)"),
        ),
        Mistake(
            "wrong",
            "The averages were corrected before this gradient was added: the step uses the old m or "
            "the old v.",
            "Which m and v enter your step: those of this call, or those of the call before?",
            "Update m and v first, then correct the new values.",
            variants=(
                {"corrected": lambda new, old: old},
                {"corrected": lambda new, old: (old[0], new[1])},
                {"corrected": lambda new, old: (new[0], old[1])},
            ),
            finding=SOME_RIGHT,
        ),
        Mistake(
            "wrong",
            "The new gradient was added without its weight 1 − β: these are sums, not averages.",
            "If the gradient were the same g forever, where should m settle?",
            _WEIGHTS,
            variants=_both_averages(_sum),
            slip=("(1 - beta1) * g", "g"),
        ),
        Mistake(
            "wrong",
            "The weights of old and new are swapped: β belongs to the old value.",
            "With β = 0.9, is the average meant to remember or to forget?",
            _WEIGHTS,
            variants=_both_averages(_swapped_average),
            slip=("beta1 * m + (1 - beta1) * g", "(1 - beta1) * m + beta1 * g"),
        ),
        Mistake(
            "wrong",
            "All three arrays are right, but in the wrong order.",
            "In which order does the task ask for the three?",
            "Return the weight first, then m, then v.",
            variants=(
                {"finish": lambda r: (r[1], r[2], r[0])},
                {"finish": lambda r: (r[0], r[2], r[1])},
                {"finish": _reversed},
            ),
            slip=(
                "w - lr * m_hat / (v_hat**0.5 + eps), m, v",
                "m, v, w - lr * m_hat / (v_hat**0.5 + eps)",
            ),
        ),
        replace(_RETURNS_CHANGE, finding=SOME_RIGHT),
        Mistake(
            "wrong",
            "The length of the step does not depend on the learning rate.",
            "Where does your function use `lr`?",
            "The step is lr times the corrected mean, divided by the denominator.",
            variants=({"rate": one}, {"rate": lambda lr: 0.001}),
            finding=SOME_RIGHT,
            slip=("lr * m_hat", "m_hat"),
        ),
    ),
    hints=(
        "Five lines: two running averages, two corrections, one step. Write them one by one, and "
        "compare each with its formula.",
        "m averages g with β₁, v averages g² with β₂; both are divided by 1 − βᵗ for the step "
        "only; the weight moves downhill by lr · m̂ / (√v̂ + ε). Return w, m, v.",
    ),
)


# AdamW is Adam with one more line, so it shares Adam's mistakes. Their example lines are those of
# another solution, and left out.
_ADAM_MISTAKES = tuple(
    replace(mistake, slip=()) for mistake in adam_step.mistakes if mistake.id != "wrong"
)


def _shrink(w, lr, decay):
    return w - lr * decay * w


def _unchanged(w, lr, decay):
    return w


def _adamw_step(
    w,
    g,
    m,
    v,
    t,
    lr,
    beta1,
    beta2,
    eps,
    weight_decay,
    *,
    shrink=_shrink,
    gradient=lambda g, w, decay: g,
    after=lambda new, w, lr, decay, below: new,
    **adam,
):
    g = gradient(g, w, weight_decay)
    shrunk = shrink(w, lr, weight_decay)
    new, m, v = _adam_step(shrunk, g, m, v, t, lr, beta1, beta2, eps, **adam)
    below = (v / (1 - beta2**t)) ** 0.5 + eps
    return after(new, w, lr, weight_decay, below), m, v


def _adamw_probes():
    # A decay of 0.01 is what a function may contain in place of its argument.
    for probe, decay in zip(_adam_probes(), (0.5, 0.7, 0.6, 0.4), strict=True):
        args = (*probe.args, decay)
        yield replace(probe, args=args, context=probe.context | {"weight_decay": decay})


_DECAY = "w = w - lr * weight_decay * w"
_USUAL_SETTINGS = {
    "betas": lambda betas: (0.9, 0.999),
    "denominator": lambda v, eps, c: v**0.5 + 1e-8,
}

adamw_step = Exercise(
    name="adamw_step",
    day=33,
    signature="adamw_step(w, g, m, v, t, lr, beta1, beta2, eps, weight_decay)",
    task="returns (w, m, v) after step t of AdamW: the weight shrinks by the fraction "
    "lr · weight_decay, and then takes Adam's step with the gradient g",
    right=_adamw_step,
    outputs=("w", "m", "v"),
    probes=_adamw_probes,
    may_change=("w", "m", "v"),
    adapters=_ADAPTERS,
    mistakes=(
        Mistake(
            "coupled",
            "The decay was added to the gradient, so it went into m and v and was divided by √v̂. "
            "That is Adam with an L2 penalty. AdamW *decouples* the two.",
            "A weight has large gradients. By what is its decay divided in your function?",
            "Leave g as it is. Subtract lr · weight_decay · w from the weight itself.",
            variants=(
                {"shrink": _unchanged, "gradient": lambda g, w, decay: g + decay * w},
                {"gradient": lambda g, w, decay: g + decay * w},  # and decoupled as well
            ),
            finding=SOME_RIGHT,
            slip=(_DECAY, "g = g + weight_decay * w"),
        ),
        Mistake(
            "coupled",
            "The decay was added to m̂, so it was divided by √v̂ with it: a weight with large "
            "gradients is hardly decayed at all.",
            "Two weights are equal, and one has gradients ten times as large. Do both shrink by "
            "the same fraction in your function?",
            "The decay stands outside of the quotient: subtract lr · weight_decay · w from the "
            "weight itself.",
            variants=(
                {
                    "shrink": _unchanged,
                    "after": lambda new, w, lr, decay, below: new - lr * decay * w / below,
                },
            ),
            finding=SOME_RIGHT,
        ),
        Mistake(
            "no-decay",
            "This is Adam's step: the weight has not been decayed.",
            "If every gradient were 0, what should happen to a weight?",
            "Shrink the weight first, by the fraction lr · weight_decay.",
            variants=({"shrink": _unchanged},),
            finding=SOME_RIGHT,
            slip=(_DECAY, "pass"),
        ),
        Mistake(
            "decay-without-lr",
            "The weight shrank by weight_decay alone. PyTorch's AdamW multiplies the decay by the "
            "learning rate, so that a schedule reduces both.",
            "If lr were 0, should this step change the weight?",
            "The fraction is the product of the two: lr · weight_decay.",
            variants=({"shrink": lambda w, lr, decay: w - decay * w},),
            finding=SOME_RIGHT,
            slip=("w - lr * weight_decay * w", "w - weight_decay * w"),
        ),
        Mistake(
            "lr-twice",
            "The learning rate is applied to the decay twice.",
            "If lr were half as large, by what factor should the decay of one step become smaller?",
            "The fraction is lr · weight_decay, with one lr.",
            variants=({"shrink": lambda w, lr, decay: w - lr * lr * decay * w},),
            finding=SOME_RIGHT,
            slip=("w - lr * weight_decay * w", "w - lr * lr * weight_decay * w"),
        ),
        Mistake(
            "decays-after",
            "The decay came last, so it shrank Adam's step as well. AdamW decays the weight that "
            "it was given.",
            "Which w should be multiplied by 1 − lr · weight_decay: the one before Adam's step, or "
            "the one after it?",
            "Shrink w first, then call Adam's step with the shrunk weight.",
            variants=(
                {
                    "shrink": _unchanged,
                    "after": lambda new, w, lr, decay, below: new - lr * decay * new,
                },
            ),
            finding=SOME_RIGHT,
        ),
        Mistake(
            "grows",
            "The decay was added: at each step the weight grows.",
            "If every gradient were 0, should a weight of 1 become larger or smaller?",
            "Subtract lr · weight_decay · w.",
            variants=({"shrink": lambda w, lr, decay: w + lr * decay * w},),
            finding=SOME_RIGHT,
            slip=("w - lr * weight_decay * w", "w + lr * weight_decay * w"),
        ),
        Mistake(
            "not-proportional",
            "The same amount was subtracted from every weight, whatever its size; negative "
            "weights then grow.",
            "By how much should a weight of 0 decay?",
            "Subtract a fraction of the weight: lr · weight_decay · w.",
            variants=(
                {"shrink": lambda w, lr, decay: w - lr * decay},
                {"shrink": lambda w, lr, decay: w - lr * decay * np.sign(w)},
            ),
            finding=SOME_RIGHT,
            slip=("w - lr * weight_decay * w", "w - lr * weight_decay"),
        ),
        Mistake(
            "typed-decay",
            "The weight shrinks by the same fraction whatever weight_decay is passed in: the "
            "decay is a number typed into your function.",
            "Where does your function use `weight_decay`?",
            "Use the argument `weight_decay`, not a number such as 0.01.",
            variants=(
                {"shrink": lambda w, lr, decay: w - lr * 0.01 * w},
                {"shrink": lambda w, lr, decay: w - lr * w},
            ),
            finding=SOME_RIGHT,
            slip=("w - lr * weight_decay * w", "w - lr * 0.01 * w"),
        ),
        Mistake(
            "wrong",
            "The shrinking is right, but Adam's step ran with its usual settings instead of those "
            "that were passed in.",
            "Which arguments do you hand on to `adam_step`? What does it use for the others?",
            "Hand on all of them: `adam_step(w, g, m, v, t, lr, beta1, beta2, eps)`.",
            variants=(
                _USUAL_SETTINGS,
                {**_USUAL_SETTINGS, "rate": lambda lr: 0.001},
                {"denominator": lambda v, eps, c: v**0.5 + 1e-8},
            ),
            slip=("t, lr, beta1, beta2, eps)", "t, lr)"),
        ),
        *_ADAM_MISTAKES,
    ),
    hints=(
        "Two lines: the weight shrinks a little, then your `adam_step` does the rest.",
        "The weight shrinks to w − lr · weight_decay · w. Call `adam_step` with it, and with the "
        "gradient as it is.",
    ),
)


def _student(share, degrees):
    from scipy.special import stdtrit  # comes with scikit-learn

    return stdtrit(degrees, share)


def _deviation(a, b, ddof):
    return np.std(a - b, ddof=ddof)


def _two_deviations(a, b, ddof):
    return np.hypot(np.std(a, ddof=ddof), np.std(b, ddof=ddof))


def _welch(n, a, b):
    va, vb = np.var(a, ddof=1), np.var(b, ddof=1)
    return (va + vb) ** 2 / (va**2 + vb**2) * (n - 1)


def _paired_interval(
    a,
    b,
    *,
    difference=np.subtract,
    deviation=_deviation,
    ddof=1,
    degrees=lambda n, a, b: n - 1,
    share=0.975,
    quantile=_student,
    divisor=np.sqrt,
    order=identity,
):
    n = len(a)
    mean = difference(a, b).mean()
    half = quantile(share, degrees(n, a, b)) * deviation(a, b, ddof) / divisor(n)
    return order((mean, mean - half, mean + half))


def _paired_probes():
    rng = np.random.default_rng(38)
    # Not five pairs: a quantile that is typed into the function would be right.
    for n, gap in ((3, 2.5), (8, 2.0), (12, 1.5), (2, 3.0)):
        luck = rng.standard_normal(n)
        a = gap + luck + 0.5 * rng.standard_normal(n)
        yield Probe((a, luck + 0.3 * rng.standard_normal(n)), {"n": n})


paired_interval = Exercise(
    name="paired_interval",
    day=33,
    signature="paired_interval(a, b)",
    task="returns (mean, low, high): the mean of the differences a − b over n pairs, and its 95 % "
    "interval by Student's t",
    right=_paired_interval,
    outputs=("mean", "low", "high"),
    probes=_paired_probes,
    mistakes=(
        Mistake(
            "unpaired",
            "The width is that of two independent groups: the pairs were not used. What both runs "
            "of a pair share has not cancelled.",
            "Whose standard deviation is in your formula: that of the differences, or those of a "
            "and of b?",
            "Compute d = a − b first. Everything else comes from d alone.",
            variants=(
                {"deviation": _two_deviations},
                {"deviation": _two_deviations, "degrees": lambda n, a, b: 2 * n - 2},
                {"deviation": _two_deviations, "degrees": _welch},
                {"deviation": lambda a, b, ddof: np.std(a, ddof=ddof) + np.std(b, ddof=ddof)},
            ),
            finding=SOME_RIGHT,
            slip=("d.std(ddof=1)", "np.hypot(np.std(a, ddof=1), np.std(b, ddof=1))"),
        ),
        Mistake(
            "normal-quantile",
            "The quantile is that of the normal distribution, about 2 for any number of pairs. It "
            "would be right if the deviation were known; from few pairs it is only estimated, and "
            "the interval comes out too narrow.",
            "From how many differences was the standard deviation estimated? Does your quantile "
            "know?",
            "Take Student's quantile with n − 1 degrees of freedom: `stdtrit(n - 1, 0.975)`.",
            variants=(
                {"quantile": lambda share, degrees: 1.959964},
                {"quantile": lambda share, degrees: 1.96},
                {"quantile": lambda share, degrees: 2},
            ),
            finding=SOME_RIGHT,
            slip=("stdtrit(n - 1, 0.975)", "1.96"),
        ),
        Mistake(
            "typed-quantile",
            "The quantile is that of five pairs, whatever n is.",
            "Where does 2.776 come from, and for how many pairs is it right?",
            "Student's quantile depends on n: `stdtrit(n - 1, 0.975)`.",
            variants=tuple(
                {"quantile": lambda share, degrees, typed=typed: typed}
                for typed in (2.7764451, 2.776, 2.78)
            ),
            finding=SOME_RIGHT,
            slip=("stdtrit(n - 1, 0.975)", "2.776"),
        ),
        Mistake(
            "n-degrees",
            "Student's t was taken with n degrees of freedom. One of the n is used up, because the "
            "deviation is measured from the mean of the same n differences.",
            "From a single difference, how much can you learn about the spread?",
            "n pairs have n − 1 degrees of freedom.",
            variants=(
                {"degrees": lambda n, a, b: n},
                {"degrees": lambda n, a, b: 2 * n - 2},
            ),
            finding=SOME_RIGHT,
            slip=("stdtrit(n - 1, 0.975)", "stdtrit(n, 0.975)"),
        ),
        Mistake(
            "divides-by-n",
            "The standard deviation divides the squares by n, NumPy's default. That is too small "
            "on average, because the mean comes from the same differences.",
            "What is `ddof` in NumPy's `std`, and what is its default?",
            "Use `ddof=1`, which divides by n − 1.",
            variants=({"ddof": 0},),
            finding=SOME_RIGHT,
            slip=("d.std(ddof=1)", "d.std()"),
        ),
        Mistake(
            "no-root",
            "The width does not shrink with √n: it says how far single differences are apart, not "
            "how uncertain their mean is.",
            "With four times as many pairs, how much narrower should the interval become?",
            "Divide the standard deviation by the root of n.",
            variants=({"divisor": one}, {"divisor": identity}),
            finding=SOME_RIGHT,
            slip=("np.sqrt(n)", "1"),
        ),
        Mistake(
            "one-sided",
            "This leaves 5 % on each side, so it is a 90 % interval.",
            "If 95 % is to be inside, how much is left for each side?",
            "Half of the 5 % lies above the interval: take the quantile at 0.975.",
            variants=({"share": 0.95},),
            finding=SOME_RIGHT,
            slip=("0.975", "0.95"),
        ),
        Mistake(
            "sign",
            "The differences are b − a.",
            "If a is higher in every pair, should the mean be positive or negative?",
            "Subtract b from a.",
            variants=({"difference": lambda a, b: b - a},),
            slip=("np.asarray(a) - np.asarray(b)", "np.asarray(b) - np.asarray(a)"),
        ),
        Mistake(
            "wrong",
            "n − 1 is used twice: `std(ddof=1)` divides by it already, and the root in the formula is "
            "that of n.",
            "Which of your divisions makes up for the mean being taken from the same numbers, and "
            "which one says that the mean of n numbers varies less than one number?",
            "Divide `d.std(ddof=1)` by the root of n, not of n − 1.",
            variants=({"divisor": lambda n: np.sqrt(n - 1)},),
            finding=SOME_RIGHT,
            slip=("np.sqrt(n)", "np.sqrt(n - 1)"),
        ),
        Mistake(
            "wrong",
            "The variance stands where the standard deviation should: it has another unit, squared "
            "points.",
            "If all numbers were ten times as large, how much wider should the interval become?",
            "Take the root of the variance.",
            variants=({"deviation": lambda a, b, ddof: np.var(a - b, ddof=ddof)},),
            finding=SOME_RIGHT,
            slip=("d.std(ddof=1)", "d.var(ddof=1)"),
        ),
        Mistake(
            "wrong",
            "All three numbers are right, but in the wrong order.",
            "In which order does the task ask for the three?",
            "Return the mean first, then the lower end, then the upper one.",
            variants=(
                {"order": lambda r: (r[1], r[0], r[2])},
                {"order": lambda r: (r[0], r[2], r[1])},
                {"order": lambda r: (r[1], r[2], r[0])},
            ),
        ),
        Mistake(
            "wrong",
            "You returned the half width, not the two ends of the interval.",
            "Between which two numbers does the interval lie?",
            "The ends are mean − half width and mean + half width.",
            variants=(
                {"order": lambda r: (r[0], r[0] - r[1], r[2] - r[0])},
                {"order": lambda r: (r[0], r[1] - r[0], r[2] - r[0])},
            ),
        ),
    ),
    hints=(
        "Everything comes from the differences d = a − b: their mean, their standard deviation "
        "and their number.",
        "The half width is Student's quantile with n − 1 degrees of freedom, times the standard "
        "deviation of d, divided by the root of n. Return the mean, and the mean minus and plus "
        "the half width.",
    ),
)


def _disagreements(a, b):
    return (a & ~b).sum(), (b & ~a).sum()


def _at_most(k, n):
    return sum(math.comb(int(n), i) for i in range(int(k) + 1)) / 2 ** int(n)


def _by_chi_square(correction):
    def p(x, y):
        n = max(1, x + y)
        statistic = max(0, abs(int(x) - int(y)) - correction) ** 2 / n
        return math.erfc(math.sqrt(statistic / 2))

    return p


def _mcnemar(
    hits_a,
    hits_b,
    *,
    counts=_disagreements,
    compared=lambda counts, a, b: counts,
    trials=lambda x, y, a: x + y,
    fewer=min,
    tail=_at_most,
    sides=2,
    p_value=None,
    cap=lambda p: min(1.0, p),
    order=identity,
):
    a, b = np.asarray(hits_a, dtype=bool), np.asarray(hits_b, dtype=bool)
    found = counts(a, b)
    x, y = compared(found, a, b)
    p = p_value(x, y) if p_value else sides * tail(fewer(x, y), trials(x, y, a))
    return order((*found, cap(p)))


def _mcnemar_probes():
    rng = np.random.default_rng(39)

    def probe(both, only_a, only_b, neither, **more):
        a = np.repeat([True, True, False, False], [both, only_a, only_b, neither])
        b = np.repeat([True, False, True, False], [both, only_a, only_b, neither])
        mixed = rng.permutation(len(a))
        return Probe((a[mixed], b[mixed]), {"only_a": only_a, "only_b": only_b}, **more)

    yield probe(30, 9, 3, 8)
    yield probe(41, 4, 11, 7)
    yield probe(25, 2, 8, 14)
    # 2ⁿ is too large for NumPy's integers, which the counts are if they come from `sum`.
    yield probe(60, 42, 70, 8, targets="wrong")
    yield probe(40, 6, 6, 9, targets="over-one")
    yield probe(20, 0, 0, 5, targets="over-one")


_LARGER_TAIL = Mistake(
    "larger-tail",
    "The sum ran up to the larger count, which covers most of what can happen.",
    "The two counts are 1 and 9. Which results are at least as far from equal?",
    "Sum up to the smaller of the two counts.",
    finding=SOME_RIGHT,
    slip=("min(only_a, only_b)", "max(only_a, only_b)"),
)

mcnemar = Exercise(
    name="mcnemar",
    day=33,
    signature="mcnemar(hits_a, hits_b)",
    task="returns (only_a, only_b, p): how many images only the one network reads, how many only "
    "the other, and McNemar's exact two-sided p",
    right=_mcnemar,
    outputs=("only_a", "only_b", "p"),
    probes=_mcnemar_probes,
    mistakes=(
        Mistake(
            "agreements",
            "You counted the images on which the networks agree. These say nothing about which of "
            "the two is better.",
            "If both networks read an image, which of them does it speak for?",
            "Count where one is right and the other wrong: `hits_a & ~hits_b`, and the reverse.",
            variants=(
                {"counts": lambda a, b: ((a & b).sum(), (~a & ~b).sum())},
                {"counts": lambda a, b: ((a == b).sum(), (a != b).sum())},
            ),
            finding=SOME_RIGHT,
            slip=("(hits_a & ~hits_b).sum()", "(hits_a & hits_b).sum()"),
        ),
        Mistake(
            "uses-accuracies",
            "These are the numbers of right answers of each network, or p was computed from them. "
            "Most images are read by both, and count for neither.",
            "Of the images that network a reads, how many does b read as well?",
            "Count the images that only one of the two reads; p comes from these two counts alone.",
            variants=(
                {"counts": lambda a, b: (a.sum(), b.sum())},
                {"counts": lambda a, b: ((~a).sum(), (~b).sum())},
                {"compared": lambda counts, a, b: (a.sum(), b.sum())},
                {"compared": lambda counts, a, b: ((~a).sum(), (~b).sum())},
            ),
            finding=SOME_RIGHT,
        ),
        Mistake(
            "one-sided",
            "p counts only one side: results at least as far from equal in *this* direction.",
            "Before you looked, could the other network have been ahead as well?",
            "Double the probability of the smaller count or fewer.",
            variants=({"sides": 1},),
            finding=SOME_RIGHT,
            slip=("2 * at_most", "at_most"),
        ),
        Mistake(
            "chi-square",
            "This p comes from the χ² approximation of McNemar's test. With many disagreements it "
            "is close to the exact one; here the exact p was asked for, which needs no such "
            "condition.",
            "With 12 disagreements, how many values can the smaller count have? Is a smooth curve "
            "a good description of it?",
            "Add up the probabilities of a fair coin: `math.comb(n, k) / 2**n` for every k up to "
            "the smaller count.",
            variants=({"p_value": _by_chi_square(0)}, {"p_value": _by_chi_square(1)}),
            finding=SOME_RIGHT,
        ),
        Mistake(
            "not-the-tail",
            "This is the probability of exactly these counts. p is the probability of a result at "
            "least as far from equal.",
            "With many images every single result is improbable. Which other results would have "
            "been even stronger evidence?",
            "Sum over every k from 0 to the smaller count.",
            variants=({"tail": lambda k, n: math.comb(int(n), int(k)) / 2 ** int(n)},),
            finding=SOME_RIGHT,
            slip=(
                "sum(math.comb(n, k) for k in range(min(only_a, only_b) + 1))",
                "math.comb(n, min(only_a, only_b))",
            ),
        ),
        Mistake(
            "not-the-tail",
            "The sum stops one term too early: the smaller count itself is missing.",
            "What is the last k in `range(3)`?",
            "Sum over every k from 0 to the smaller count, and include it.",
            variants=({"tail": lambda k, n: _at_most(k - 1, n)},),
            finding=SOME_RIGHT,
            slip=("min(only_a, only_b) + 1", "min(only_a, only_b)"),
        ),
        Mistake(
            "all-images",
            "The coin was tossed once per image. It is tossed only where the networks disagree.",
            "For which images does the question *which of the two is right?* have an answer?",
            "The number of tosses is only_a + only_b.",
            variants=({"trials": lambda x, y, a: len(a)},),
            finding=SOME_RIGHT,
            slip=("n = only_a + only_b", "n = len(hits_a)"),
        ),
        replace(
            _LARGER_TAIL,
            explanation="Your p is always 1. Either the sum ran up to the larger count, which "
            "covers most of what can happen, or it was not divided by 2ⁿ.",
            advice="Sum up to the smaller of the two counts, and divide the sum by 2ⁿ.",
            variants=(
                {"fewer": max},
                {"tail": lambda k, n: _at_most(k, n) * 2.0 ** int(n)},
            ),
        ),
        replace(_LARGER_TAIL, variants=({"fewer": lambda x, y: x}, {"fewer": lambda x, y: y})),
        Mistake(
            "over-one",
            "If the two counts are equal, both sides contain the middle, and their sum exceeds 1. "
            "p is a probability.",
            "What should p be if both networks win equally often?",
            "Return at most 1: `min(1, …)`.",
            variants=({"cap": identity},),
            slip=("min(1, 2 * at_most)", "2 * at_most"),
        ),
        Mistake(
            "wrong",
            "With few disagreements p is right, with many it is not. NumPy's integers have 64 bits: "
            "`2**n` overflows from n = 63 on, without an error, and becomes 0. Python's own integers "
            "have no limit.",
            "What is the type of your n? What is `2**n` for n = 100?",
            "Make the counts Python's integers: `int((hits_a & ~hits_b).sum())`.",
            variants=({"tail": lambda k, n: _at_most(k, n) if n < 63 else math.inf},),
            slip=("n = only_a + only_b", "n = np.int64(only_a + only_b)"),
        ),
        Mistake(
            "swapped",
            "The two counts are swapped.",
            "Which images does the first count contain: those that only a reads, or only b?",
            "`only_a` counts where hits_a is True and hits_b is False.",
            variants=({"order": lambda r: (r[1], r[0], r[2])},),
            finding=SOME_RIGHT,
        ),
    ),
    hints=(
        "Count the images on which exactly one of the two is right. If the networks were equally "
        "good, each of these would be like a toss of a fair coin.",
        "only_a = (hits_a & ~hits_b).sum(). With n = only_a + only_b tosses, k heads have the "
        "probability math.comb(n, k) / 2**n. Sum up to the smaller count, double it, and return "
        "at most 1.",
    ),
)


def _number(value):
    """Return `value` as a float, or None if it is not a number."""
    if isinstance(value, (str, bytes, bool, np.bool_, list, tuple)):
        return None
    try:
        return float(np.reshape(value, ()) if np.ndim(value) else value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return None


def _accuracies(value):
    """Return (validation, test or None) from an accuracy or a pair of them, or None."""
    if isinstance(value, Mapping):  # such as {"validation": 0.95, "test": 0.94}
        value = [value[key] for key in sorted(value, key=str, reverse=True)]
    parts = [_number(part) for part in (value if np.ndim(value) == 1 else [value])]
    return None if None in parts or len(parts) > 2 else (*parts, None)[:2]


def _table(by_rate):
    """Return {rate: (validation, test)} in ascending order of the rates, or None."""
    if not isinstance(by_rate, Mapping):
        return None
    table = {_number(rate): _accuracies(value) for rate, value in by_rate.items()}
    if None in table or None in table.values():
        return None
    # A run that diverged may have scored NaN.
    return {
        rate: (validation if math.isfinite(validation) else -math.inf, test)
        for rate, (validation, test) in sorted(table.items())
    }


def _same(a, b, rel_tol=1e-3):
    """Return whether two rates are the same except for rounding."""
    return math.isclose(a, b, rel_tol=rel_tol)


def _luck(accuracy):
    """Return how far two accuracies may be apart and still be a tie.

    That is one standard error on 6,000 images, the week's validation set, and at least what
    a table with one decimal hides.
    """
    return max(0.001, math.sqrt(max(0, accuracy * (1 - accuracy)) / 6000))


def _judge_sweep(best_lr_by_optimizer, scores=None):
    """Return None if the answer is right, or (id, finding); see `lr_sweep`."""
    best = best_lr_by_optimizer
    if not isinstance(best, Mapping):
        return "wrong-type", (
            "The answer should be a dictionary, {optimizer: the rate that you chose}; got "
            f"{type(best).__name__}."
        )
    open_ = _open(best)
    chosen = {name: _number(lr) for name, lr in best.items() if name not in open_}
    for name, lr in chosen.items():
        if lr is None:
            value = best[name]
            return "wrong-type", f"The rate for {name} should be one number; got {value!r:.60}."
    tables = {}
    if isinstance(scores, Mapping):
        tables = {name: _table(by_rate) for name, by_rate in scores.items()}
    if not tables or None in tables.values():
        return "wrong-type", (
            "The check also needs the scores of your search: a dictionary {optimizer: {rate: "
            "validation accuracy}}."
        )
    for name, lr in chosen.items():
        if not math.isfinite(lr):
            return "not-finite", f"The rate for {name} is {lr}. Did you choose a run that diverged?"
    for name, table in tables.items():
        if not all(map(math.isfinite, table)):
            return "not-finite", f"A rate of {name} is infinite or NaN."
        if table and max(table.values())[0] == -math.inf:
            return "not-finite", f"No score of {name} is finite, so none is the best."

    missing = [str(name) for name in tables if name not in best]
    unknown = [str(name) for name in best if name not in tables]
    if missing or unknown:
        text = [f"There is no rate for {', '.join(missing)}."] if missing else []
        text += [f"There are no scores for {', '.join(unknown)}."] if unknown else []
        return "wrong", " ".join(text)
    if len(best) < 2:
        return "wrong", (
            f"There is a rate for {next(iter(best))} only. A comparison needs two or more "
            "optimizers, each at its own best rate."
        )
    nearest = {name: _nearest(lr, tables[name]) for name, lr in chosen.items()}
    if None in nearest.values():
        if _is_one_rate(chosen) and set(nearest.values()) != {None}:
            return _one_rate(chosen)
        return "wrong", _never_ran(chosen, nearest, tables)
    if not open_:
        return _judge_choices(nearest, tables)
    each = {name: _judge_choices({name: lr}, tables) for name, lr in nearest.items()}
    wrong = [judged for judged in each.values() if judged and judged[0]]
    count = f"{len(each) - len(wrong)} of {len(best)} right, {len(open_)} not answered yet."
    mistake, finding = wrong[0] if wrong else ("wrong", "")
    return mistake, f"{count}\n{finding}"


def _open(best):
    """Return the optimizers that have no rate yet."""
    return [name for name, lr in best.items() if lr is None or lr is Ellipsis]


def _nearest(lr, table):
    """Return the rate of the table that this is, or None; 0.03 means 10**-1.5."""
    near = min(table, key=lambda rate: abs(rate - lr), default=None)
    return near if near is not None and _same(lr, near, rel_tol=0.06) else None


def _is_one_rate(chosen):
    return len(chosen) > 1 and len({f"{lr:.4g}" for lr in chosen.values()}) == 1


def _never_ran(chosen, nearest, tables):
    """Describe the first choice that is not in its table."""
    name = next(name for name in chosen if nearest[name] is None)
    lr, table = chosen[name], tables[name]
    text = (
        f"The rate for {name}, {lr:.4g}, is not one of those that you tried: {_listed(table)}. A "
        "rate that never ran cannot be the best."
    )
    if lr in range(len(table)):
        text += f" Is {lr:.4g} the position in the list?"
    elif any(lr == accuracy for accuracy, _ in table.values()):
        text += f" Is {lr:.4g} the accuracy, instead of the rate that reached it?"
    return text


def _judge_choices(chosen, tables):
    """Judge rates that are all in the tables; like `_judge_sweep`."""
    highest = {name: max(accuracy for accuracy, _ in tables[name].values()) for name in tables}
    scored = {name: tables[name][lr][0] for name, lr in chosen.items()}
    worse = [name for name in chosen if scored[name] < highest[name] - _luck(highest[name])]

    if worse and _is_one_rate(chosen):
        return _one_rate(chosen)
    for name in worse:
        higher = sum(accuracy > scored[name] for accuracy, _ in tables[name].values())
        finding = (
            f"For {name} you chose {chosen[name]:.4g}. Of the {len(tables[name])} rates, {higher} "
            f"{'has' if higher == 1 else 'have'} a higher validation accuracy."
        )
        tests = [test for _, test in tables[name].values()]
        if None not in tests and tables[name][chosen[name]][1] == max(tests):
            return "chosen-by-test", finding
        return "not-the-best", finding
    for name, lr in chosen.items():
        smallest, *_, largest = tables[name] if len(tables[name]) > 1 else (lr, lr)
        if lr in (smallest, largest):
            end = "largest" if lr == largest else "smallest"
            return "edge-of-grid", (
                f"For {name} you chose {lr:.4g}, the {end} of the rates that you tried: "
                f"{_listed(tables[name])}."
            )
    close = [name for name in chosen if scored[name] < highest[name]]
    return close and (None, _too_close(close[0], scored, highest))


def _one_rate(chosen):
    names = ", ".join(map(str, chosen))
    return "shared-lr", f"You chose the same rate, {next(iter(chosen.values())):.4g}, for {names}."


def _too_close(name, scored, highest):
    """Say that a choice is as good as the best score."""
    return (
        f"For {name}, one rate scored slightly higher than yours: {highest[name]:.2%} against "
        f"{scored[name]:.2%}. On 6,000 images that is within the luck of the draw, so either is a "
        "fair choice."
    )


def _listed(rates):
    return ", ".join(f"{rate:.3g}" for rate in rates) or "none"


class _Sweep(Question):
    """A `Question` whose answer may be half filled in, which is judged as far as it goes."""

    def _judged(self, best_lr_by_optimizer=None, scores=None):
        best = best_lr_by_optimizer
        if isinstance(best, Mapping) and 0 < len(_open(best)) < len(best):
            best = types.MappingProxyType(dict(best))  # not a dictionary with blanks
        return super()._judged(best, scores)


lr_sweep = _Sweep(
    name="lr_sweep",
    day=33,
    signature="lr_sweep(best_lr_by_optimizer, scores)",
    task="takes {optimizer: the learning rate that you chose} and the scores of the search, "
    "{optimizer: {rate: validation accuracy}}",
    judge=_judge_sweep,
    mistakes=(
        Mistake(
            "edge-of-grid",
            "You tried nothing beyond the end of the grid, so the best rate may be out there: "
            "the sweep has shown a direction, not a best rate.",
            "Along the grid, does the score rise up to your rate and fall again after it? On "
            "one side of it there is nothing to compare with.",
            "Add rates beyond that end, run them, and choose again. You know that a rate is the "
            "best only if you tried neighbours on both sides.",
        ),
        Mistake(
            "shared-lr",
            "The same rate for all is not a fair comparison: in SGD the rate is a factor on the "
            "gradient, in Adam it is about the length of a step.",
            "Did you look for the best rate of each optimizer in its own runs, or use the best "
            "rate of one optimizer for the other as well?",
            "For each optimizer separately, take the rate with the best validation score.",
        ),
        Mistake(
            "chosen-by-test",
            "Your rate has the highest test accuracy. A choice made on the test set uses it up: its "
            "accuracy is then too good to report.",
            "Which set is for choosing, and which is for the one number at the end?",
            "Compare the validation accuracies only, and take the rate with the highest.",
        ),
        Mistake(
            "not-the-best",
            "An optimizer that runs at a worse rate than it could is at a disadvantage, and the "
            "comparison measures your choice of the rate.",
            "In the row of this optimizer, which validation accuracy is the highest? Which rate "
            "does it belong to?",
            "`max(scores[name], key=scores[name].get)` is the rate with the highest score.",
        ),
    ),
    hints=(
        "For each optimizer: at which rate was its validation score best, and did you try rates on "
        "both sides of it?",
        "Take the best rate of each optimizer from its own runs. If it is the first or the last "
        "rate of the grid, widen the grid before you choose.",
    ),
)

EXERCISES = (momentum_step, adam_step, adamw_step, lr_sweep, paired_interval, mcnemar)
