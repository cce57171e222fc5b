"""The exercises of Day 33: two optimizers' steps by hand, and a fair search for learning rates.

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
        except ValueError as error:
            # math.sqrt is no reason to report tensors to a learner who has arrays.
            if "converted to Python scalars" in str(error):
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

EXERCISES = (momentum_step, adam_step, lr_sweep)
