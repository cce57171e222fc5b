"""The exercises of Day 33: two optimizers' steps by hand, and a fair search for their rates."""

import math
import sys
from collections.abc import Iterable, Mapping

import numpy as np

from nnweek.checks.exercise import Exercise, Mistake, Probe, Question


def _keep(x):
    return x


def _nothing(_):
    return 0


def _other_way_round(returned):
    return returned[::-1]


# --- Arrays, tensors or numbers --------------------------------------------------------------------
# The formulas speak of one weight, so a function that works for NumPy arrays only is as right
# as one for tensors only, for matrices only, or for single numbers.


def _on_tensors(function):
    """The function, given tensors that share the arrays' memory."""
    torch = sys.modules.get("torch")
    return torch and _converting(function, torch.from_numpy, _keep)


def _on_matrices(function):
    """The function, given the same numbers in two rows."""
    return _converting(function, lambda x: x.reshape(2, -1), np.ravel)


def _converting(function, convert, back):
    def converted(*args):
        value = function(*(convert(a) if isinstance(a, np.ndarray) else a for a in args))
        return tuple(map(back, value)) if isinstance(value, (list, tuple)) else value

    return converted


def _on_numbers(function):
    """The function, given one number of each array after the other."""

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


_FORMS = (_on_tensors, _on_numbers, _on_matrices)


# --- momentum_step -------------------------------------------------------------------------------


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
    rate=_keep,
    sign=-1,
    keeps=lambda new, v: new,
    start=_keep,
    finish=_keep,
):
    new = velocity(v, g, lr, mu)
    return finish((start(w) + sign * rate(lr) * along(new, v, g, lr, mu), keeps(new, v)))


def _without_rate(lr):
    return 1


def _momentum_probes():
    rng = np.random.default_rng(36)
    for size, lr, mu in ((6, 0.3, 0.8), (4, 0.5, 0.6), (8, 0.2, 0.9)):
        w, g, v = rng.standard_normal((3, size)) + 0.1
        yield Probe((w, g, v, lr, mu), {"lr": lr, "mu": mu})
    w, g = rng.standard_normal((2, 6))
    yield Probe((w, g, np.zeros(6), 0.3, 0.9), {"lr": 0.3, "mu": 0.9, "v": 0})


def _along_the_gradient(observations):
    """Whether every step, also where there was a velocity, is a multiple of the gradient."""
    for observation in observations:
        w, g, *_ = observation.probe.args
        got = observation.outputs.get("w")
        if "w" not in observation.wrong and "v" not in observation.probe.context:
            return False
        if got is None or got.shape != w.shape or not np.isfinite(got).all():
            return False
        times = ((w - got) * g).sum() / (g * g).sum()
        if np.abs(w - got - times * g).max() > 1e-4 or times < 1e-3:
            return False
    return True


_BOTH = (
    "{agree} came out right; {outputs} did not: {where} is {got}, where {expected} was expected."
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
    adapters=_FORMS,
    mistakes=(
        Mistake(
            "ascent",
            "The step went along the velocity of the gradients, which is uphill: the loss grows.",
            (
                "With v = 0 and a positive gradient, should the weight become larger or smaller?",
                "The step is subtracted from the weight.",
            ),
            variants=(
                {"sign": 1},
                {"velocity": lambda v, g, lr, mu: mu * v - g},
                {"velocity": lambda v, g, lr, mu: mu * v - lr * g, "rate": _without_rate},
                {"velocity": lambda v, g, lr, mu: mu * v + lr * g, "rate": _without_rate,
                 "sign": 1},
            ),
            finding=_BOTH,
        ),
        Mistake(
            "velocity-lost",
            "The velocity is the memory of the earlier gradients, and here it is lost: it plays "
            "no part in the step, or it is not handed on to the next one.",
            (
                "If the gradient were 0 from now on, would the weight roll on for a while? What "
                "would the next call get as its v?",
                "The new velocity is μ times the old one plus the gradient. The weight steps "
                "along the new velocity, and that one is returned.",
            ),
            variants=(
                {"velocity": lambda v, g, lr, mu: g},
                {"along": lambda new, v, g, lr, mu: g},
                {"along": lambda new, v, g, lr, mu: g, "keeps": lambda new, v: v},
                {"keeps": lambda new, v: v},
                {"along": lambda new, v, g, lr, mu: g, "keeps": lambda new, v: 0 * v},
                {"keeps": lambda new, v: 0 * v},
                {"velocity": lambda v, g, lr, mu: lr * g, "rate": _without_rate},
            ),
            detect=_along_the_gradient,
            finding=_BOTH,
        ),
        Mistake(
            "other-convention",
            "The idea is right and the bookkeeping another: your velocity holds the step itself, "
            "sign and learning rate included, as many books write it. PyTorch's holds a sum of "
            "gradients, and the rate comes in when the weight moves.",
            (
                "With a new learning rate tomorrow, what should become of the velocity collected "
                "so far? In your version the old rate is still in it.",
                "Leave lr and the minus out of the velocity: v ← μv + g, and only then "
                "w ← w − lr·v.",
            ),
            variants=(
                {"velocity": lambda v, g, lr, mu: mu * v - lr * g, "rate": _without_rate,
                 "sign": 1},
                {"velocity": lambda v, g, lr, mu: mu * v + lr * g, "rate": _without_rate},
                {"velocity": lambda v, g, lr, mu: mu * v - g, "sign": 1},
            ),
        ),
        Mistake(
            "damped",
            "The gradient came in weighed by 1 − μ: that is a running mean, as Adam keeps it. "
            "Here the velocity is a sum, so its steps are 1/(1 − μ) times as long.",
            (
                "If the gradient were the same g for ever, where would your velocity settle: at g, "
                "or at g/(1 − μ)?",
                "The gradient is added whole, with no factor in front of it.",
            ),
            variants=({"velocity": lambda v, g, lr, mu: mu * v + (1 - mu) * g},),
            finding=_BOTH,
        ),
        Mistake(
            "old-velocity",
            "The weight stepped along the velocity from before this gradient, so every gradient "
            "acts one step late.",
            (
                "In the first step of all, v is 0. How far does your weight move then?",
                "Update the velocity first, then step along the updated one.",
            ),
            variants=({"along": lambda new, v, g, lr, mu: v},),
            finding=_BOTH,
        ),
        Mistake(
            "nesterov",
            "This is Nesterov's variant, which looks one step ahead: it moves along g + μv where "
            "plain momentum moves along v.",
            (
                "How often does μ come into your step, and how often into the two formulas?",
                "Once the velocity is updated, the weight moves by lr times it and nothing else.",
            ),
            variants=(
                {"along": lambda new, v, g, lr, mu: g + mu * new},
                {"velocity": lambda v, g, lr, mu: mu * v - lr * g, "rate": _without_rate,
                 "sign": 1, "along": lambda new, v, g, lr, mu: mu * new - lr * g},
            ),
            finding=_BOTH,
        ),
        Mistake(
            "wrong",
            "The old velocity came in whole: without the factor μ it never fades.",
            (
                "Where does μ come in? What does it do to the velocity of ten steps ago?",
                "The old velocity is multiplied by μ before the gradient is added.",
            ),
            variants=({"velocity": lambda v, g, lr, mu: v + g},),
        ),
        Mistake(
            "wrong",
            "The gradient never came in: the velocity only fades.",
            (
                "From v = 0, would your weight ever move?",
                "The gradient is added to μ times the old velocity.",
            ),
            variants=({"velocity": lambda v, g, lr, mu: mu * v},),
        ),
        Mistake(
            "wrong",
            "The velocity is right, but the step has the same length whatever the learning rate.",
            (
                "Where does `lr` come in?",
                "The weight moves by lr times the new velocity.",
            ),
            variants=({"rate": _without_rate},),
            finding=_BOTH,
        ),
        Mistake(
            "wrong",
            "Both arrays are there, but in the other order.",
            (
                "Which of the two comes first in what is asked for?",
                "Return the weight first, then the velocity.",
            ),
            variants=({"finish": _other_way_round},),
        ),
        Mistake(
            "wrong",
            "This is the change of the weight, not the weight after the change.",
            (
                "What should come back first when lr is 0?",
                "Return the old weight minus the step.",
            ),
            variants=({"start": _nothing}, {"start": _nothing, "sign": 1}),
        ),
    ),
    hints=(
        "Two lines: first the velocity, from the old one and the gradient; then the weight.",
        "The new velocity is μv + g, and the weight moves by lr times it, downhill. Return both.",
    ),
)  # fmt: skip


# --- adam_step -----------------------------------------------------------------------------------


def _weighed(old, new, beta):
    return beta * old + (1 - beta) * new


def _summed(old, new, beta):
    return beta * old + new


def _weighed_the_other_way(old, new, beta):
    return (1 - beta) * old + beta * new


def _correction(beta, t):
    return 1 - beta**t


def _none(beta, t):
    return 1


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
    betas=_keep,
    for_corrections=_keep,
    average_m=_weighed,
    average_v=_weighed,
    of_v=np.square,
    time=_keep,
    correct_m=_correction,
    correct_v=_correction,
    denominator=lambda v, eps, c: v**0.5 + eps,
    start=_keep,
    sign=-1,
    rate=_keep,
    keeps=lambda m, v, m_hat, v_hat: (m, v),
    finish=_keep,
):
    beta1, beta2 = betas((beta1, beta2))
    m, v = average_m(m, g, beta1), average_v(v, of_v(g), beta2)
    beta1, beta2 = for_corrections((beta1, beta2))
    c = correct_v(beta2, time(t))
    m_hat, v_hat = m / correct_m(beta1, time(t)), v / c
    w = start(w) + sign * rate(lr) * m_hat / denominator(v_hat, eps, c)
    return finish((w, *keeps(m, v, m_hat, v_hat)))


def _adam_probes():
    rng = np.random.default_rng(37)

    def probe(size, t, lr, beta1, beta2, eps, **more):
        w, g = rng.standard_normal((2, size))
        g = g + np.sign(g) / 2  # none near 0
        # Large beside g, so that v stays positive even where g itself went into it.
        m, v = rng.standard_normal(size), rng.uniform(2, 4, size)
        if t == 1:
            m, v = np.zeros((2, size))
        about = {"t": t, "lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps}
        return Probe((w, g, m, v, t, lr, beta1, beta2, eps), about, **more)

    yield probe(6, 3, 0.3, 0.8, 0.9, 1e-8)
    yield probe(4, 2, 0.2, 0.9, 0.7, 1e-8)
    yield probe(8, 7, 0.4, 0.6, 0.8, 1e-8)
    # So late that the corrections are over: here eps can be large, and yet it makes no
    # difference whether they were folded into the learning rate, as Kingma and Ba propose.
    yield probe(6, 2000, 0.3, 0.8, 0.9, 0.5)
    # At the first step, t − 1 divides by zero.
    yield probe(6, 1, 0.3, 0.9, 0.8, 1e-8, targets="off-by-one-t")


adam_step = Exercise(
    name="adam_step",
    day=33,
    signature="adam_step(w, g, m, v, t, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8)",
    task="returns (w, m, v) after Adam's step number t, the first of which is t = 1",
    right=_adam_step,
    outputs=("w", "m", "v"),
    probes=_adam_probes,
    may_change=("w", "m", "v"),
    adapters=_FORMS,
    mistakes=(
        Mistake(
            "no-bias-correction",
            "m and v start at 0, so in the first steps both are too small; without the "
            "correction, those steps have a wrong length.",
            (
                "After one step from m = 0, how large is m beside the gradient, and v beside its "
                "square? What does the division by 1 − βᵗ do to them?",
                "The weight moves by m̂ and v̂: m divided by 1 − β₁ᵗ, v divided by 1 − β₂ᵗ.",
            ),
            variants=({"correct_m": _none, "correct_v": _none},),
            finding=_BOTH,
        ),
        Mistake(
            "only-m-corrected",
            "The mean was corrected for its start at 0, and the mean square was not: in the first "
            "steps the denominator is too small, and the steps are too long.",
            (
                "Both averages start at 0. Which of the two enters your step as it is?",
                "Divide v by 1 − β₂ᵗ before the root.",
            ),
            variants=({"correct_v": _none},),
            finding=_BOTH,
        ),
        Mistake(
            "only-v-corrected",
            "The mean square was corrected for its start at 0, and the mean was not: the first "
            "steps are too short.",
            (
                "Both averages start at 0. Which of the two enters your step as it is?",
                "Divide m by 1 − β₁ᵗ in the step.",
            ),
            variants=({"correct_m": _none},),
            finding=_BOTH,
        ),
        Mistake(
            "off-by-one-t",
            "The correction was made for the step before or after: t is the number of this step, "
            "and the first step is number 1.",
            (
                "After the first step, by which factor is m too small? Put t = 1 into your "
                "correction: is it that factor?",
                "Use t as it comes in: it is 1 in the first step, and neither t + 1 nor t − 1 "
                "stands in the formulas.",
            ),
            variants=(
                {"time": lambda t: t + 1},
                {"time": lambda t: t - 1},
                {"time": lambda t: max(t - 1, 1)},
            ),
            finding="{first} {agree} came out right.",
        ),
        Mistake(
            "corrects-stored-moments",
            "The step is right, but the corrected averages were handed on. The next step would "
            "correct them again, and the averages would no longer be averages.",
            (
                "The next call gets the m and v that you return. Which of them should it get: the "
                "running averages, or what was made of them for this one step?",
                "Keep m̂ and v̂ under names of their own, and return m and v.",
            ),
            variants=(
                {"keeps": lambda m, v, m_hat, v_hat: (m_hat, v_hat)},
                {"keeps": lambda m, v, m_hat, v_hat: (m_hat, v)},
                {"keeps": lambda m, v, m_hat, v_hat: (m, v_hat)},
            ),
            finding=_BOTH,
        ),
        Mistake(
            "v-of-g",
            "v averaged the gradient where it should average its square, so it may even become "
            "negative, and its root NaN.",
            (
                "m is the mean of g. Of what is v the mean?",
                "Square the gradient before it goes into v.",
            ),
            variants=({"of_v": _keep}, {"of_v": np.abs}),
            finding=_BOTH,
        ),
        Mistake(
            "no-root",
            "The step was divided by v̂ itself. Its root has the size of a gradient, so that the "
            "size cancels; v̂ has the size of a gradient squared.",
            (
                "If every gradient were ten times as large, how much longer would Adam's step be, "
                "and how much longer is yours?",
                "The denominator is the root of v̂, plus ε.",
            ),
            variants=(
                {"denominator": lambda v, eps, c: v + eps},
                {"denominator": lambda v, eps, c: v * c**0.5 + eps},  # folded into the rate
            ),
            finding=_BOTH,
        ),
        Mistake(
            "eps-inside-root",
            "ε was added to v̂ before the root was taken; there it counts as √ε, which for 1e-8 "
            "is ten thousand times as much.",
            (
                "For v̂ = 0, what is your denominator: ε, or its root?",
                "Take the root first, then add ε.",
            ),
            variants=({"denominator": lambda v, eps, c: (v + eps) ** 0.5},),
            finding=_BOTH,
        ),
        Mistake(
            "swapped-betas",
            "β₁ and β₂ have changed places: β₁ belongs to the mean m, β₂ to the mean square v.",
            (
                "By default β₁ is the smaller one. Which of the two averages should forget faster?",
                "Go through each line: with m stands beta1, with v stands beta2, also in the "
                "corrections.",
            ),
            variants=(
                {"betas": _other_way_round},
                {"betas": _other_way_round, "for_corrections": _other_way_round},
                {"for_corrections": _other_way_round},
            ),
            finding=_BOTH,
        ),
        Mistake(
            "ascent",
            "The step went along the gradient, which is uphill: the loss grows.",
            (
                "With a positive gradient, should the weight become larger or smaller?",
                "The step is subtracted from the weight.",
            ),
            variants=({"sign": 1},),
            finding=_BOTH,
        ),
        Mistake(
            "wrong",
            "ε plays no part, or it does not stand where it should: it is added to the root of "
            "v̂, so that the division is never by 0.",
            (
                "For a weight whose gradients were all 0, what is the denominator of your step?",
                "The whole denominator is √v̂ + ε, with the ε that comes in.",
            ),
            variants=(
                {"denominator": lambda v, eps, c: v**0.5},
                {"denominator": lambda v, eps, c: v**0.5 + 1e-8},
            ),
            finding=_BOTH,
        ),
        Mistake(
            "wrong",
            "The correction has β·t where it should have βᵗ, t times as a factor.",
            (
                "How much of the start at 0 is left after t steps, if each step leaves the "
                "fraction β of it?",
                "The corrections are 1 − β₁ᵗ and 1 − β₂ᵗ: β to the power of t.",
            ),
            variants=(
                {"correct_m": lambda beta, t: 1 - beta * t,
                 "correct_v": lambda beta, t: 1 - beta * t},
            ),
            finding=_BOTH,
        ),
        Mistake(
            "wrong",
            "The new gradient came in whole, without its weight 1 − β: these are sums that grow, "
            "not averages.",
            (
                "If the gradient were the same g for ever, where should m settle?",
                "The old value is weighed by β, the new one by 1 − β.",
            ),
            variants=(
                {"average_m": _summed, "average_v": _summed},
                {"average_m": _summed},
                {"average_v": _summed},
            ),
        ),
        Mistake(
            "wrong",
            "The weights of old and new have changed places: β belongs to the old value.",
            (
                "With β = 0.9, is the average meant to remember, or to forget?",
                "The old value is weighed by β, the new one by 1 − β.",
            ),
            variants=(
                {"average_m": _weighed_the_other_way, "average_v": _weighed_the_other_way},
                {"average_m": _weighed_the_other_way},
                {"average_v": _weighed_the_other_way},
            ),
        ),
        Mistake(
            "wrong",
            "All three are there, but in another order.",
            (
                "In which order are the three asked for?",
                "Return the weight first, then m, then v.",
            ),
            variants=(
                {"finish": lambda r: (r[1], r[2], r[0])},
                {"finish": lambda r: (r[0], r[2], r[1])},
                {"finish": _other_way_round},
            ),
        ),
        Mistake(
            "wrong",
            "This is the change of the weight, not the weight after the change.",
            (
                "What should come back first when lr is 0?",
                "Return the old weight minus the step.",
            ),
            variants=({"start": _nothing}, {"start": _nothing, "sign": 1}),
            finding=_BOTH,
        ),
        Mistake(
            "wrong",
            "The step has the same length whatever the learning rate is.",
            (
                "Where does `lr` come in?",
                "The step is lr times the corrected mean, over the denominator.",
            ),
            variants=({"rate": _without_rate},),
            finding=_BOTH,
        ),
    ),
    hints=(
        "Five lines: the two running averages, the two corrections, the step. Write one after "
        "the other and compare each with its formula.",
        "m averages g with β₁, v averages g² with β₂; both are divided by 1 − βᵗ for the step "
        "only; the weight moves by lr · m̂ / (√v̂ + ε), downhill. Return w, m, v.",
    ),
)  # fmt: skip


# --- lr_sweep ------------------------------------------------------------------------------------


def _number(value):
    """Return a float, or None where `value` is no number."""
    if isinstance(value, (str, bytes, bool, np.bool_)):
        return None
    try:
        return float(np.reshape(value, ()) if np.ndim(value) else value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return None


def _rates(grid):
    """Return a grid as a list of floats in order, or None where it is none."""
    if isinstance(grid, (str, bytes)) or not isinstance(grid, Iterable):
        return None
    rates = [_number(rate) for rate in grid]
    return None if None in rates else sorted(rates)


def _same(a, b, rel_tol=1e-3):
    """Whether two rates are the same but for rounding."""
    return math.isclose(a, b, rel_tol=rel_tol)


def _judge_sweep(best_lr_by_optimizer, grid=None):
    """Return None, or (id, what was seen), for {optimizer: chosen rate} and the grid."""
    best = best_lr_by_optimizer
    if not isinstance(best, Mapping):
        return "wrong-type", (
            "The answer should be a dictionary, {optimizer: the rate you chose}; it is of type "
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
            return "wrong-type", f"For {name} one number is asked, got {value!r:.60}."
    if not grids or None in grids.values():
        return "wrong-type", (
            "The check also wants the grid that was searched: a list of rates, or a dictionary "
            "{optimizer: list of rates}."
        )
    for name, lr in chosen.items():
        if not math.isfinite(lr):
            return "not-finite", f"The rate for {name} is {lr}. Was a run that diverged chosen?"
    if not all(math.isfinite(rate) for rates in grids.values() for rate in rates):
        return "not-finite", "A rate of the grid is infinite or NaN."

    missing = [str(name) for name in grids if name not in chosen]
    unknown = [str(name) for name in chosen if name not in grids]
    if missing or unknown:
        text = [f"{', '.join(missing)}: no rate was chosen."] if missing else []
        text += [f"{', '.join(unknown)}: there is no grid of that name."] if unknown else []
        return "wrong", " ".join(text)
    if len(chosen) < 2:
        return "wrong", (
            f"There is a rate for {next(iter(chosen))} only. A comparison needs each optimizer "
            "at its own best."
        )

    on_grid = {}
    for name, lr in chosen.items():
        near = min(grids[name], key=lambda rate: abs(rate - lr), default=None)
        # One digit is enough to say which is meant: 0.03 for 10**-1.5.
        if near is None or not _same(lr, near, rel_tol=0.06):
            return "wrong", (
                f"The rate for {name}, {lr:.4g}, is none of those that were tried: "
                f"{_listed(grids[name])}. What was never run cannot have been the best."
            )
        on_grid[name] = near

    for name, lr in on_grid.items():
        if _same(lr, grids[name][0]) or _same(lr, grids[name][-1]):
            end = "largest" if _same(lr, grids[name][-1]) else "smallest"
            return "edge-of-grid", (
                f"For {name} you chose {lr:.4g}, the {end} of the rates that were tried: "
                f"{_listed(grids[name])}."
            )
    first = next(iter(on_grid.values()))
    if all(_same(lr, first) for lr in on_grid.values()):
        names = " and ".join(map(str, on_grid))
        return "shared-lr", f"One rate, {first:.4g}, was chosen for {names} alike."
    return None


def _listed(rates):
    return ", ".join(f"{rate:.3g}" for rate in rates)


lr_sweep = Question(
    name="lr_sweep",
    day=33,
    signature="lr_sweep(best_lr_by_optimizer, grid)",
    task="takes {optimizer: the learning rate that you chose} and the grid that was searched",
    judge=_judge_sweep,
    mistakes=(
        Mistake(
            "edge-of-grid",
            "Beyond the end of the grid nothing was tried, so the best rate may lie out there: "
            "the sweep has shown a direction, not a best rate.",
            (
                "Along the grid, does the score rise up to your rate and fall again after it? On "
                "one side of it there is nothing to compare with.",
                "Add rates beyond that end, run them, and choose again. A best rate has tried "
                "neighbours on both sides.",
            ),
        ),
        Mistake(
            "shared-lr",
            "One rate for all is an equal number, not an equal chance: for SGD the rate is a "
            "factor on the gradient, for Adam about the length of a step.",
            (
                "Did you look for the best rate of each optimizer in its own runs, or take one "
                "optimizer's best for the other as well?",
                "For each optimizer on its own: of all its rates, take the one with the best "
                "validation score.",
            ),
        ),
    ),
    hints=(
        "For each optimizer: at which rate was its validation score best, and were rates on both "
        "sides of it tried?",
        "Take the best rate of each optimizer from its own runs. If it is the first or last of "
        "the grid, widen the grid before you choose.",
    ),
)

EXERCISES = (momentum_step, adam_step, lr_sweep)
