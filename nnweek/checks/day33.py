"""The exercises of Day 33: two optimizers' steps by hand, and a fair search for learning rates.

The keyword-only arguments of a right answer are the steps that its mistakes replace.
"""

import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from nnweek.checks.exercise import Exercise, Mistake, Probe, Question
from nnweek.checks.steps import both_or_one, identity, one, zero
from nnweek.checks.wording import SOME_RIGHT


def _reversed(returned):
    return returned[::-1]


# The formulas describe a single weight, so a function may work for NumPy arrays, for tensors,
# for matrices or for single numbers only.


def _on_tensors(function):
    """Adapt a function that takes tensors; they share the memory of the arrays."""
    torch = sys.modules.get("torch")
    return torch and _converting(function, torch.from_numpy, identity)


def _on_matrices(function):
    """Adapt a function that takes matrices; they contain an array's numbers in two rows."""
    return _converting(function, lambda x: x.reshape(2, -1), np.ravel)


def _converting(function, convert, back):
    def converted(*args):
        value = function(*(convert(a) if isinstance(a, np.ndarray) else a for a in args))
        return tuple(map(back, value)) if isinstance(value, (list, tuple)) else value

    return converted


def _on_numbers(function):
    """Adapt a function that takes single numbers; it is called once per entry."""

    def entry_by_entry(*args):
        size = next(a.size for a in args if isinstance(a, np.ndarray))
        values = [
            function(*(float(a.flat[i]) if isinstance(a, np.ndarray) else a for a in args))
            for i in range(size)
        ]
        if not all(isinstance(value, (list, tuple)) for value in values):
            return values[0]
        return tuple(list(entries) for entries in zip(*values, strict=True))

    return entry_by_entry


_ADAPTERS = (_on_tensors, _on_numbers, _on_matrices)


def _velocity(v, g, lr, mu):
    return mu * v + g


def _momentum_step(
    w,
    g,
    v,
    lr,
    mu,
    *,
    velocity=_velocity,
    along=lambda new, v, g, lr, mu: new,
    rate=identity,
    sign=-1,
    keeps=lambda new, v: new,
    start=identity,
    finish=identity,
):
    new = velocity(v, g, lr, mu)
    return finish((start(w) + sign * rate(lr) * along(new, v, g, lr, mu), keeps(new, v)))


def _momentum_probes():
    rng = np.random.default_rng(36)
    for size, lr, mu in ((6, 0.3, 0.8), (4, 0.5, 0.6), (8, 0.2, 0.9)):
        w, g, v = rng.standard_normal((3, size)) + 0.1
        yield Probe((w, g, v, lr, mu), {"lr": lr, "mu": mu})
    w, g = rng.standard_normal((2, 6))
    yield Probe((w, g, np.zeros(6), 0.3, 0.9), {"lr": 0.3, "mu": 0.9, "v": 0})


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


# The learning rate is part of the velocity, added to it or, as in many books, subtracted.
_RATE_IN_VELOCITY = {"velocity": lambda v, g, lr, mu: mu * v + lr * g, "rate": one}
_STEP_AS_VELOCITY = {"velocity": lambda v, g, lr, mu: mu * v - lr * g, "rate": one}

_RETURNS_CHANGE = Mistake(
    "wrong",
    "This is the change of the weight, not the weight after the change.",
    "If lr is 0, what should the first output be?",
    "Return the old weight minus the step.",
    variants=({"start": zero}, {"start": zero, "sign": 1}),
)

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
            "ascent",
            "The step followed the sum of the gradients, which points uphill: the loss grows.",
            "If v = 0 and the gradient is positive, should the weight become larger or smaller?",
            "The step is subtracted from the weight.",
            variants=(
                {"sign": 1},
                {"velocity": lambda v, g, lr, mu: mu * v - g},
                _STEP_AS_VELOCITY,
                {**_RATE_IN_VELOCITY, "sign": 1},
            ),
            finding=SOME_RIGHT,
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
                {"keeps": lambda new, v: v},
                {"along": lambda new, v, g, lr, mu: g, "keeps": lambda new, v: 0 * v},
                {"keeps": lambda new, v: 0 * v},
                {"velocity": lambda v, g, lr, mu: lr * g, "rate": one},
            ),
            detect=_along_the_gradient,
            finding=SOME_RIGHT,
        ),
        Mistake(
            "other-convention",
            "Your idea is right, but the bookkeeping differs: your velocity is the step itself, "
            "with its sign and learning rate, as many books define it. PyTorch's velocity is a "
            "sum of gradients, and the learning rate is applied when the weight moves.",
            "If the learning rate changes later, what should happen to the velocity collected "
            "so far? Yours still contains the old rate.",
            "Leave lr and the minus sign out of the velocity: v ← μv + g, and only then "
            "w ← w − lr·v.",
            variants=(
                {**_STEP_AS_VELOCITY, "sign": 1},
                _RATE_IN_VELOCITY,
                {"velocity": lambda v, g, lr, mu: mu * v - g, "sign": 1},
            ),
        ),
        Mistake(
            "damped",
            "The gradient was weighted by 1 − μ: that gives a running mean, as in Adam. Momentum "
            "needs a sum, whose steps are 1/(1 − μ) times as long.",
            "If the gradient were the same g forever, where would your velocity settle: at g, "
            "or at g/(1 − μ)?",
            "The gradient is added as it is, without a factor.",
            variants=({"velocity": lambda v, g, lr, mu: mu * v + (1 - mu) * g},),
            finding=SOME_RIGHT,
        ),
        Mistake(
            "old-velocity",
            "The weight stepped along the old velocity, without this gradient, so every gradient "
            "acts one step late.",
            "In the very first step, v is 0. How far does your weight move then?",
            "Update the velocity first, then step along the updated velocity.",
            variants=({"along": lambda new, v, g, lr, mu: v},),
            finding=SOME_RIGHT,
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
        ),
        Mistake(
            "wrong",
            "The old velocity was added without the factor μ, so it never fades.",
            "Where do you use μ? What does it do to the velocity of ten steps ago?",
            "The old velocity is multiplied by μ before the gradient is added.",
            variants=({"velocity": lambda v, g, lr, mu: v + g},),
        ),
        Mistake(
            "wrong",
            "The gradient is missing: the velocity only fades.",
            "From v = 0, would your weight ever move?",
            "The gradient is added to μ times the old velocity.",
            variants=({"velocity": lambda v, g, lr, mu: mu * v},),
        ),
        Mistake(
            "wrong",
            "The velocity is right, but the length of the step does not depend on the learning "
            "rate.",
            "Where does your function use `lr`?",
            "The weight moves by lr times the new velocity.",
            variants=({"rate": one},),
            finding=SOME_RIGHT,
        ),
        Mistake(
            "wrong",
            "Both arrays are right, but their order is reversed.",
            "Which of the two should come first?",
            "Return the weight first, then the velocity.",
            variants=({"finish": _reversed},),
        ),
        _RETURNS_CHANGE,
    ),
    hints=(
        "Two lines: first the velocity, from the old one and the gradient; then the weight.",
        "The new velocity is μv + g, and the weight moves downhill by lr times it. Return both.",
    ),
)


def _average(old, new, beta):
    return beta * old + (1 - beta) * new


def _sum(old, new, beta):
    return beta * old + new


def _swapped_average(old, new, beta):
    return (1 - beta) * old + beta * new


def _correction(beta, t):
    return 1 - beta**t


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
    betas=identity,
    correction_betas=identity,
    average_m=_average,
    average_v=_average,
    of_v=np.square,
    time=identity,
    correct_m=_correction,
    correct_v=_correction,
    denominator=lambda v, eps, c: v**0.5 + eps,
    start=identity,
    sign=-1,
    rate=identity,
    keeps=lambda m, v, m_hat, v_hat: (m, v),
    finish=identity,
):
    beta1, beta2 = betas((beta1, beta2))
    m, v = average_m(m, g, beta1), average_v(v, of_v(g), beta2)
    beta1, beta2 = correction_betas((beta1, beta2))
    c = correct_v(beta2, time(t))
    m_hat, v_hat = m / correct_m(beta1, time(t)), v / c
    w = start(w) + sign * rate(lr) * m_hat / denominator(v_hat, eps, c)
    return finish((w, *keeps(m, v, m_hat, v_hat)))


def _adam_probes():
    rng = np.random.default_rng(37)

    def probe(size, t, lr, beta1, beta2, eps, **more):
        w, g = rng.standard_normal((2, size))
        g = g + np.sign(g) / 2  # none near 0
        # v is so large that it stays positive even if g is averaged instead of its square.
        m, v = rng.standard_normal(size), rng.uniform(2, 4, size)
        if t == 1:
            m, v = np.zeros((2, size))
        context = {"t": t, "lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps}
        return Probe((w, g, m, v, t, lr, beta1, beta2, eps), context, **more)

    yield probe(6, 3, 0.3, 0.8, 0.9, 1e-8)
    yield probe(4, 2, 0.2, 0.9, 0.7, 1e-8)
    yield probe(8, 7, 0.4, 0.6, 0.8, 1e-8)
    # So late that the corrections are 1: eps can be large here, and an answer that folds them into
    # the learning rate, as Kingma and Ba propose, still gives the same result.
    yield probe(6, 2000, 0.3, 0.8, 0.9, 0.5)
    # At the first step, t − 1 divides by zero.
    yield probe(6, 1, 0.3, 0.9, 0.8, 1e-8, targets="off-by-one-t")


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
        ),
        Mistake(
            "only-m-corrected",
            "The mean was corrected for its start at 0, but the mean square was not: in the first "
            "steps the denominator is too small, so the steps are too long.",
            "Both averages start at 0. Which of the two enters your step uncorrected?",
            "Divide v by 1 − β₂ᵗ before you take the root.",
            variants=({"correct_v": one},),
            finding=SOME_RIGHT,
        ),
        Mistake(
            "only-v-corrected",
            "The mean square was corrected for its start at 0, but the mean was not: the first "
            "steps are too short.",
            "Both averages start at 0. Which of the two enters your step uncorrected?",
            "Divide m by 1 − β₁ᵗ in the step.",
            variants=({"correct_m": one},),
            finding=SOME_RIGHT,
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
        ),
        Mistake(
            "v-of-g",
            "v averages g instead of g², so it may even become negative, and its root NaN.",
            "m is the mean of g. What is v the mean of?",
            "Square the gradient before you average it into v.",
            variants=({"of_v": identity}, {"of_v": np.abs}),
            finding=SOME_RIGHT,
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
        ),
        Mistake(
            "eps-inside-root",
            "ε was added to v̂ before the root was taken. There it acts as √ε, which for ε = 1e-8 "
            "is ten thousand times as much.",
            "If v̂ = 0, what is your denominator: ε, or its root?",
            "Take the root first, then add ε.",
            variants=({"denominator": lambda v, eps, c: (v + eps) ** 0.5},),
            finding=SOME_RIGHT,
        ),
        Mistake(
            "swapped-betas",
            "β₁ and β₂ are swapped: β₁ belongs to the mean m, β₂ to the mean square v.",
            "By default β₁ is the smaller one. Which of the two averages should forget faster?",
            "Go through each line: m uses beta1 and v uses beta2, even in the corrections.",
            variants=both_or_one(betas=_reversed, correction_betas=_reversed),
            finding=SOME_RIGHT,
        ),
        Mistake(
            "ascent",
            "The step went along the gradient, which is uphill: the loss grows.",
            "If the gradient is positive, should the weight become larger or smaller?",
            "The step is subtracted from the weight.",
            variants=({"sign": 1},),
            finding=SOME_RIGHT,
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
        ),
        Mistake(
            "wrong",
            "The new gradient was added without its weight 1 − β: these are sums, not averages.",
            "If the gradient were the same g forever, where should m settle?",
            _WEIGHTS,
            variants=both_or_one(average_m=_sum, average_v=_sum),
        ),
        Mistake(
            "wrong",
            "The weights of old and new are swapped: β belongs to the old value.",
            "With β = 0.9, is the average meant to remember or to forget?",
            _WEIGHTS,
            variants=both_or_one(average_m=_swapped_average, average_v=_swapped_average),
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
        ),
        replace(_RETURNS_CHANGE, finding=SOME_RIGHT),
        Mistake(
            "wrong",
            "The length of the step does not depend on the learning rate.",
            "Where does your function use `lr`?",
            "The step is lr times the corrected mean, divided by the denominator.",
            variants=({"rate": one},),
            finding=SOME_RIGHT,
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
    if isinstance(value, (str, bytes, bool, np.bool_)):
        return None
    try:
        return float(np.reshape(value, ()) if np.ndim(value) else value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return None


def _rates(grid):
    """Return a grid as a sorted list of floats, or None if it is not a grid."""
    if isinstance(grid, (str, bytes)) or not isinstance(grid, Iterable):
        return None
    rates = [_number(rate) for rate in grid]
    return None if None in rates else sorted(rates)


def _same(a, b, rel_tol=1e-3):
    """Return whether two rates are the same except for rounding."""
    return math.isclose(a, b, rel_tol=rel_tol)


def _judge_sweep(best_lr_by_optimizer, grid=None):
    """Return None if the answer is right, or (id, finding); see `lr_sweep`."""
    best = best_lr_by_optimizer
    if not isinstance(best, Mapping):
        return "wrong-type", (
            "The answer should be a dictionary, {optimizer: the rate that you chose}; got "
            f"{type(best).__name__}."
        )
    by_optimizer = isinstance(grid, Mapping) and any(isinstance(key, str) for key in grid)
    if by_optimizer:
        grids = {name: _rates(rates) for name, rates in grid.items()}
    else:
        grids = dict.fromkeys(best, _rates(grid))
    chosen = {name: _number(lr) for name, lr in best.items()}

    for name, lr in chosen.items():
        if lr is None:
            value = best[name]
            return "wrong-type", f"The rate for {name} should be one number; got {value!r:.60}."
    if not grids or None in grids.values():
        return "wrong-type", (
            "The check also needs the grid that you searched: a list of rates, or a dictionary "
            "{optimizer: list of rates}."
        )
    for name, lr in chosen.items():
        if not math.isfinite(lr):
            return "not-finite", f"The rate for {name} is {lr}. Did you choose a run that diverged?"
    if not all(math.isfinite(rate) for rates in grids.values() for rate in rates):
        return "not-finite", "A rate in the grid is infinite or NaN."

    missing = [str(name) for name in grids if name not in chosen]
    unknown = [str(name) for name in chosen if name not in grids]
    if missing or unknown:
        text = [f"There is no rate for {', '.join(missing)}."] if missing else []
        text += [f"There is no grid for {', '.join(unknown)}."] if unknown else []
        return "wrong", " ".join(text)
    if len(chosen) < 2:
        return "wrong", (
            f"There is a rate for {next(iter(chosen))} only. A comparison needs two or more "
            "optimizers, each at its own best rate."
        )

    on_grid = {}
    for name, lr in chosen.items():
        near = min(grids[name], key=lambda rate: abs(rate - lr), default=None)
        # One digit is enough to identify a rate: 0.03 means 10**-1.5.
        if near is None or not _same(lr, near, rel_tol=0.06):
            return "wrong", (
                f"The rate for {name}, {lr:.4g}, is not one of those that you tried: "
                f"{_listed(grids[name])}. A rate that never ran cannot be the best."
            )
        on_grid[name] = near

    for name, lr in on_grid.items():
        if _same(lr, grids[name][0]) or _same(lr, grids[name][-1]):
            end = "largest" if _same(lr, grids[name][-1]) else "smallest"
            return "edge-of-grid", (
                f"For {name} you chose {lr:.4g}, the {end} of the rates that you tried: "
                f"{_listed(grids[name])}."
            )
    first = next(iter(on_grid.values()))
    if all(_same(lr, first) for lr in on_grid.values()):
        names = " and ".join(map(str, on_grid))
        return "shared-lr", f"You chose the same rate, {first:.4g}, for {names}."
    return None


def _listed(rates):
    return ", ".join(f"{rate:.3g}" for rate in rates) or "none"


lr_sweep = Question(
    name="lr_sweep",
    day=33,
    signature="lr_sweep(best_lr_by_optimizer, grid)",
    task="takes {optimizer: the learning rate that you chose} and the grid that was searched",
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
    ),
    hints=(
        "For each optimizer: at which rate was its validation score best, and did you try rates on "
        "both sides of it?",
        "Take the best rate of each optimizer from its own runs. If it is the first or the last "
        "rate of the grid, widen the grid before you choose.",
    ),
)

EXERCISES = (momentum_step, adam_step, lr_sweep)
