"""The checks of Day 33 name every mistake in several styles and pass every right answer.

The submissions are independent of the variants in the checks. A style takes the set of bugs to
inject; the styles are arrays, loops over numbers, PyTorch's in-place calls and another algebra.
"""

import decimal
import fractions
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nnweek import checks
from nnweek.checks import solutions
from support.promises import cases, only_right_answers_pass, promises
from support.submissions import first_verdict, style

IDS = {
    "momentum_step": "velocity-lost other-convention ascent damped old-velocity nesterov",
    "adam_step": "no-bias-correction v-of-g no-root eps-inside-root swapped-betas ascent "
    "corrects-stored-moments only-m-corrected only-v-corrected off-by-one-t",
    "lr_sweep": "edge-of-grid shared-lr",
}
IDS = {name: ids.split() for name, ids in IDS.items()}


@style
def momentum_arrays(bugs, w, g, v, lr, mu):
    sign = 1 if "ascent" in bugs else -1
    if "other-convention" in bugs:
        new = mu * v - lr * g
        return w - sign * new, new
    if "velocity-lost" in bugs:
        v = np.zeros_like(v)
    new = mu * v + ((1 - mu) * g if "damped" in bugs else g)
    step = new
    if "nesterov" in bugs:
        step = g + mu * new
    if "old-velocity" in bugs:
        step = v
    return w + sign * lr * step, new


@style
def momentum_in_place(bugs, w, g, v, lr, mu):
    before = v.copy()
    v *= mu
    if "other-convention" in bugs:
        v += lr * g
        w += v if "ascent" in bugs else -v
        return w, v
    v += g * (1 - mu) if "damped" in bugs else g
    if "ascent" in bugs:
        lr = -lr
    if "nesterov" in bugs:
        w -= lr * g
        w -= lr * mu * v
    elif "old-velocity" in bugs:
        w -= lr * before
    elif "velocity-lost" in bugs:
        w -= lr * g
    else:
        w -= lr * v
    return w, v


@style
def momentum_loops(bugs, w, g, v, lr, mu):
    new_w, new_v = [], []
    for wi, gi, vi in zip(w, g, v, strict=True):
        vn = mu * vi + (gi - mu * gi if "damped" in bugs else gi)
        if "other-convention" in bugs:
            vn = mu * vi + lr * gi
        move = vi if "old-velocity" in bugs else vn
        if "nesterov" in bugs:
            move = mu * vn + gi
        if "other-convention" in bugs:
            move /= lr
        new_w.append(wi + lr * move if "ascent" in bugs else wi - lr * move)
        new_v.append(vi if "velocity-lost" in bugs else vn)
    return new_w, new_v


@style
def momentum_tensors(bugs, w, g, v, lr, mu):
    """For tensors only: arrays do not have these methods."""
    alpha = 1 - mu if "damped" in bugs else 1
    alpha = -lr if "other-convention" in bugs else alpha
    sign = 1 if "ascent" in bugs else -1
    old = v.clone()
    if "velocity-lost" in bugs:
        v = v.new_zeros(len(v))
    v = v.mul(mu).add(g, alpha=alpha)
    if "other-convention" in bugs:
        return w.sub(v, alpha=sign), v
    if "nesterov" in bugs:
        return w.add(g.add(v, alpha=mu), alpha=sign * lr), v
    return w.add_(old if "old-velocity" in bugs else v, alpha=sign * lr), v


@style
def adam_arrays(bugs, w, g, m, v, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    if "swapped-betas" in bugs:
        beta1, beta2 = beta2, beta1
    if "off-by-one-t" in bugs:
        t = t + 1
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * (g if "v-of-g" in bugs else g**2)
    m_hat, v_hat = m, v
    if not {"no-bias-correction", "only-v-corrected"} & bugs:
        m_hat = m / (1 - beta1**t)
    if not {"no-bias-correction", "only-m-corrected"} & bugs:
        v_hat = v / (1 - beta2**t)
    if "no-root" in bugs:
        denominator = v_hat + eps
    elif "eps-inside-root" in bugs:
        denominator = np.sqrt(v_hat + eps)
    else:
        denominator = np.sqrt(v_hat) + eps
    if "corrects-stored-moments" in bugs:
        m, v = m_hat, v_hat
    step = lr * m_hat / denominator
    return (w + step if "ascent" in bugs else w - step), m, v


@style
def adam_loops(bugs, w, g, m, v, t, lr, beta1, beta2, eps):
    """One number at a time, with the root of the standard library."""
    b1, b2 = (beta2, beta1) if "swapped-betas" in bugs else (beta1, beta2)
    k = t - 1 if "off-by-one-t" in bugs else t
    w, m, v = list(w), list(m), list(v)
    for i in range(len(w)):
        m[i] = b1 * m[i] + (1 - b1) * g[i]
        v[i] = b2 * v[i] + (1 - b2) * (g[i] if "v-of-g" in bugs else g[i] * g[i])
        mh, vh = float(m[i]), float(v[i])
        if not {"no-bias-correction", "only-v-corrected"} & bugs:
            mh = mh / (1 - math.pow(b1, k))
        if not {"no-bias-correction", "only-m-corrected"} & bugs:
            vh = vh / (1 - math.pow(b2, k))
        if "no-root" in bugs:
            size = vh + eps
        elif "eps-inside-root" in bugs:
            size = math.sqrt(vh + eps)
        else:
            size = math.sqrt(vh) + eps
        w[i] += (1 if "ascent" in bugs else -1) * lr * mh / size
        if "corrects-stored-moments" in bugs:
            m[i], v[i] = mh, vh
    return w, m, v


@style
def adam_tensors(bugs, w, g, m, v, t, lr, beta1, beta2, eps):
    """In place, as in PyTorch's own loop, with methods that arrays do not have."""
    first, second = (beta2, beta1) if "swapped-betas" in bugs else (beta1, beta2)
    m.mul_(first).add_(g, alpha=1 - first)
    if "v-of-g" in bugs:
        v.mul_(second).add_(g, alpha=1 - second)
    else:
        v.mul_(second).addcmul_(g, g, value=1 - second)
    t = t - 1 if "off-by-one-t" in bugs else t
    # Tensors divide by 0 without an exception.
    one = torch.ones((), dtype=w.dtype)
    c1 = one if {"no-bias-correction", "only-v-corrected"} & bugs else one - beta1**t
    c2 = one if {"no-bias-correction", "only-m-corrected"} & bugs else one - beta2**t
    if "corrects-stored-moments" in bugs:
        m, v = m / c1, v / c2
        c1 = c2 = one
    if "no-root" in bugs:
        denom = (v / c2).add_(eps)
    elif "eps-inside-root" in bugs:
        denom = (v / c2).add_(eps).sqrt_()
    else:
        denom = (v.sqrt() / c2.sqrt()).add_(eps)
    w.addcdiv_(m / c1, denom, value=lr if "ascent" in bugs else -lr)
    return w, m, v


@style
def adam_folded(bugs, w, g, m, v, t, lr, beta1, beta2, eps):
    """Folds the corrections into the rate, as at the end of section 2 of the paper."""
    if "swapped-betas" in bugs:
        beta2, beta1 = beta1, beta2
    m = m + (1 - beta1) * (g - m)
    v = v + (1 - beta2) * ((g if "v-of-g" in bugs else g * g) - v)
    t += 1 if "off-by-one-t" in bugs else 0
    c1, c2 = 1 - np.power(beta1, t), 1 - np.power(beta2, t)
    if {"no-bias-correction", "only-v-corrected"} & bugs:
        c1 = 1
    if {"no-bias-correction", "only-m-corrected"} & bugs:
        c2 = 1
    if "no-root" in bugs:
        rate, below = lr * c2 / c1, v + eps
    elif "eps-inside-root" in bugs:
        rate, below = lr * np.sqrt(c2) / c1, (v + eps) ** 0.5
    else:
        rate, below = lr * np.sqrt(c2) / c1, v**0.5 + eps
    w = np.add(w, (rate if "ascent" in bugs else -rate) * m / below)
    return (w, m / c1, v / c2) if "corrects-stored-moments" in bugs else (w, m, v)


STYLES = {
    "momentum_step": (momentum_arrays, momentum_in_place, momentum_loops, momentum_tensors),
    "adam_step": (adam_arrays, adam_loops, adam_tensors, adam_folded),
}
# These contradict each other, or undo each other, within one style.
NOT_BOTH = (
    {"only-m-corrected", "only-v-corrected"},
    {"no-bias-correction", "off-by-one-t"},  # no correction that could be off by one
    {"no-bias-correction", "corrects-stored-moments"},
)


(
    test_every_mistake_is_named,
    test_right_answers_pass,
    test_one_of_two_mistakes_is_named,
    test_ids_are_those_of_the_contract,
) = promises(IDS, STYLES, not_both=NOT_BOTH, numeric=True)
test_random_answer_passes_only_if_it_is_right = only_right_answers_pass(STYLES)


@pytest.mark.parametrize("name", sorted(STYLES))
def test_no_two_mistakes_leave_the_same_numbers(name):
    """Otherwise, the mistake that is listed later could never be named."""
    exercise = checks.EXERCISES[name]
    variants = [(mistake, steps) for mistake in exercise.mistakes for steps in mistake.variants]
    for mistake, steps in variants:
        verdict = exercise(lambda *args, steps=steps: exercise.right(*args, **steps))
        assert verdict.mistake == mistake.id
        assert mistake.explanation in verdict.hint


def momentum_by_torch(fresh=False, mu_option=None, **options):
    """A step of torch.optim.SGD; `fresh` drops v, and `mu_option` also gets the value of mu."""

    def momentum_step(w, g, v, lr, mu):
        p = torch.nn.Parameter(torch.tensor(w))
        p.grad = torch.tensor(g)
        more = {mu_option: mu} if mu_option else {}
        optimizer = torch.optim.SGD([p], lr=lr, momentum=mu, **more, **options)
        if not fresh:
            optimizer.state[p]["momentum_buffer"] = torch.tensor(v)
        optimizer.step()
        return p.detach(), optimizer.state[p]["momentum_buffer"]

    return momentum_step


def momentum(v="mu * v + g", w="w - lr * v", first="pass", answer="w, v"):
    """Momentum with one of its lines written in another way."""
    return written("w, g, v, lr, mu", first, f"v = {v}", f"w = {w}", f"return {answer}")


def adam(
    m="b1 * m + (1 - b1) * g",
    v="b2 * v + (1 - b2) * g**2",
    hats="m / (1 - b1**t), v / (1 - b2**t)",
    step="w - lr * mh / (np.sqrt(vh) + eps)",
    first="pass",
    answer="w, m, v",
):
    """Adam with one of its lines written in another way."""
    lines = first, f"m = {m}", f"v = {v}", f"mh, vh = {hats}", f"w = {step}", f"return {answer}"
    return written("w, g, m, v, t, lr, b1, b2, eps", *lines)


def written(arguments, *lines):
    """Return a function made of these arguments and lines."""
    names = {"np": np, "math": math}
    exec(f"def step({arguments}):\n " + "\n ".join(lines), names)
    return names["step"]


def look_ahead(w, g, v, lr, mu):
    before = v.copy()
    v *= mu
    v -= lr * g
    w += (1 + mu) * v - mu * before
    return w, v


def adam_by_torch(w, g, m, v, t, lr, beta1, beta2, eps):
    p = torch.nn.Parameter(torch.tensor(w))
    p.grad = torch.tensor(g)
    optimizer = torch.optim.Adam([p], lr=lr, betas=(beta1, beta2), eps=eps)
    optimizer.state[p] = {
        "step": torch.tensor(float(t - 1)),
        "exp_avg": torch.tensor(m),
        "exp_avg_sq": torch.tensor(v),
    }
    optimizer.step()
    return p, optimizer.state[p]["exp_avg"], optimizer.state[p]["exp_avg_sq"]


def adam_for_one_number(w, g, m, v, t, lr, beta1, beta2, eps):
    if g == 0:  # an array has no single truth value
        return w, beta1 * m, beta2 * v
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    return w - lr * (m / (1 - beta1**t)) / (math.sqrt(v / (1 - beta2**t)) + eps), m, v


def adam_for_matrices(w, g, m, v, *settings):
    new = np.empty((3, *w.shape))
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            new[:, i, j] = adam_for_one_number(w[i, j], g[i, j], m[i, j], v[i, j], *settings)
    return new[0], new[1], new[2]


def adam_that_divides_by_zero(w, g, m, v, t, *settings):
    entries = zip(*(x.tolist() for x in (w, g, m, v)), strict=True)
    return tuple(zip(*(adam_for_one_number(*e, t - 1, *settings) for e in entries), strict=True))


def adam_in_the_arguments(w, g, m, v, t, lr, b1, b2, eps=1e-8):
    m[...] = b1 * m + (1 - b1) * g
    v[:] = b2 * v + (1 - b2) * np.square(g)
    w -= lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
    return [w, m, v]


FOLDED = "w - lr * math.sqrt(1 - b2**t) / (1 - b1**t) * m / (np.sqrt(v) + eps)"

UNUSUAL = {
    ("momentum_step", None): [
        momentum_by_torch(),
        lambda w, g, v, lr, mu: (w - lr * mu * v - lr * g, g + v * mu),
        lambda w, g, v, lr, mu: ((w - lr * (mu * v + g)).tolist(), (mu * v + g).tolist()),
        lambda w, g, v, lr, mu: np.stack([w - lr * (mu * v + g), mu * v + g]).tolist(),
        lambda weights, gradient, velocity, rate, momentum=0.9: [
            torch.as_tensor(weights)
            - rate * (v := momentum * torch.as_tensor(velocity) + gradient), v],
    ],
    ("momentum_step", "nesterov"): [momentum_by_torch(nesterov=True), look_ahead],
    ("momentum_step", "damped"): [
        momentum_by_torch(mu_option="dampening"),
        momentum(v="mu * v + (1 - mu) * g", w="w - lr * v / (1 - mu)"),
    ],
    ("momentum_step", "ascent"): [momentum_by_torch(maximize=True)],
    ("momentum_step", "velocity-lost"): [
        momentum_by_torch(fresh=True),
        momentum(v="mu * g + g"),
        momentum(first="old = v", answer="w, old"),
    ],
    ("momentum_step", "old-velocity"): [momentum(first="w = w - lr * v", w="w")],
    ("momentum_step", "other-convention"): [momentum(v="mu * v - g", w="w + lr * v")],
    ("momentum_step", "wrong"): [
        momentum(v="v + g"),
        momentum(v="mu * v"),
        momentum(answer="w, lr * v"),
    ],
    ("momentum_step", "wrong-type"): [momentum(answer="w")],
    ("momentum_step", "modifies-input"): [
        momentum(first="before = g.copy()", v="mu * v + before", answer="w, (v, g.fill(0))[0]"),
    ],
    ("adam_step", None): [
        adam(),
        adam(step=FOLDED),
        adam(step=FOLDED.replace("+ eps", "+ eps * math.sqrt(1 - b2**t)")),
        adam_by_torch,
        adam_for_one_number,
        adam_for_matrices,
        adam_in_the_arguments,
        lambda *a: tuple(x.tolist() for x in solutions.adam_step(*a)),
        lambda *a: tuple(torch.tensor(x, requires_grad=True) for x in solutions.adam_step(*a)),
        lambda w, *rest: solutions.adam_step(w.astype(np.longdouble), *rest),
    ],
    ("adam_step", "no-root"): [adam(step=FOLDED.replace("np.sqrt(v)", "v"))],
    ("adam_step", "only-v-corrected"): [adam(step=FOLDED.replace("(1 - b1**t)", "1"))],
    ("adam_step", "only-m-corrected"): [adam(step=FOLDED.replace("math.sqrt(1 - b2**t)", "1"))],
    ("adam_step", "off-by-one-t"): [adam(first="t = max(t - 1, 1)"), adam_that_divides_by_zero],
    ("adam_step", "swapped-betas"): [
        adam(first="b1, b2 = b2, b1"),
        adam(hats="m / (1 - b2**t), v / (1 - b1**t)"),
    ],
    ("adam_step", "v-of-g"): [
        adam(v="b2 * v + (1 - b2) * abs(g)"),
        adam(v="b2 * v + (1 - b2) * g", step="w - lr * mh / (abs(vh)**0.5 + eps)"),
    ],
    ("adam_step", "corrects-stored-moments"): [
        adam(hats="np.divide(m, 1 - b1**t, m), np.divide(v, 1 - b2**t, v)"),
        adam(answer="w, mh, v"),
        adam(answer="w, m, vh"),
    ],
    ("adam_step", "eps-inside-root"): [adam(step="w - lr * mh * (vh + eps)**-0.5")],
    ("adam_step", "wrong"): [
        adam(step="w - lr * mh / np.sqrt(vh) + eps"),
        adam(hats="m * (1 - b1**t), v * (1 - b2**t)"),
        adam(m="b1 * m + g"),
        adam(v="b2 * v + (1 - b2) * (g**2).mean()"),
        adam(step="w - lr * g / (np.sqrt(vh) + eps)"),
        adam(answer="w, v, m"),
    ],
    ("adam_step", "wrong-shape"): [adam(answer="w, m")],
    ("adam_step", "wrong-type"): [adam(answer="w")],
    ("adam_step", "modifies-input"): [adam(answer="w, m, (v, g.fill(0))[0]")],
}  # fmt: skip


@pytest.mark.parametrize(("name", "mistake", "function"), cases(UNUSUAL))
def test_unusual_answer_gets_the_right_verdict(name, mistake, function):
    verdict = first_verdict(name, function)
    assert (verdict.passed, verdict.mistake) == (mistake is None, mistake), verdict


@pytest.mark.parametrize(
    ("name", "function", "mistake", "phrases"),
    [
        ("momentum_step", momentum_arrays({"other-convention"}), "other-convention", ["Your idea is right"]),
        ("momentum_step", momentum(first="old = v", answer="w, old"), "velocity-lost", ["right; v"]),
        ("momentum_step", momentum(answer="w"), "wrong-type", ["(w, v)"]),
        # Works for tensors only up to its own error, which is the one to quote.
        ("momentum_step", momentum(v="v.mul(mu).add(g)", w="undefined"), "raised", ["undefined"]),
        ("adam_step", adam(first="eps = 0.0"), "wrong", ["ε has no effect"]),
        ("adam_step", adam(first="eps = 1e-8"), "wrong", ["ε has no effect"]),
        ("adam_step", adam(first="lr = 1.0"), "wrong", ["does not depend on the learning rate"]),
    ],
)  # fmt: skip
def test_verdict_says_what_is_wrong(name, function, mistake, phrases):
    verdict = first_verdict(name, function)
    assert verdict.mistake == mistake, verdict
    assert all(phrase in verdict.hint.replace("`", "") for phrase in phrases), verdict


GRID = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0]
SGD, ADAM = "SGD", "Adam"

GOOD = {SGD: 0.1, ADAM: 0.003}
PLAIN = {SGD: 0.1, ADAM: 0.01}

SWEEPS = {
    None: {
        "plain": (GOOD, GRID),
        "unsorted": (GOOD, GRID[3:] + GRID[:3]),
        "logspace": ({SGD: 10**-0.5, ADAM: 0.00316}, np.logspace(-4, 1, 11)),
        "float32": ({SGD: np.float32(0.1), ADAM: np.float32(0.003)}, GRID),
        "tensor": ({SGD: torch.tensor(0.1), ADAM: torch.tensor([0.003])}, torch.tensor(GRID)),
        "grids": (GOOD, {SGD: GRID[2:], ADAM: GRID[:4]}),
        "scores": (GOOD, {SGD: dict.fromkeys(GRID, 0.9), ADAM: (0.001, 0.003, 1)}),
        "three": ({SGD: 0.1, "momentum": 0.03, ADAM: 0.03}, tuple(GRID)),
        "exact": ({SGD: fractions.Fraction(1, 10), ADAM: decimal.Decimal("0.003")}, GRID),
        "powers": ({SGD: 2**-3, ADAM: 2**-9}, (2.0**k for k in range(-12, 1))),
        "rounded": ({SGD: 0.1 + 1e-17, ADAM: 3 * 0.001}, GRID),
    },
    "edge-of-grid": {
        "largest": ({SGD: 1.0, ADAM: 0.003}, GRID),
        "smallest": ({SGD: 0.1, ADAM: 0.001}, GRID),
        "unsorted": ({SGD: 0.1, ADAM: 0.001}, GRID[3:] + GRID[:3]),
        "rounded": ({SGD: 0.316, ADAM: 0.003}, 10 ** np.linspace(-4, -0.5, 8)),
        "own grid": ({SGD: 0.03, ADAM: 0.003}, {SGD: [0.03, 0.1, 0.3], ADAM: GRID}),
        "two rates": (PLAIN, [0.1, 0.01]),
        "tensor": ({SGD: torch.tensor(1.0), ADAM: 0.01}, np.float32(GRID)),
    },
    "shared-lr": {
        "plain": ({SGD: 0.01, ADAM: 0.01}, GRID),
        "rounded": ({SGD: 0.0316, ADAM: 10**-1.5}, np.logspace(-4, 0, 9)),
        "types": ({SGD: np.float32(0.1), ADAM: torch.tensor(0.1)}, GRID),
        "three": ({SGD: 0.01, "momentum": 0.01, ADAM: 0.01}, GRID),
        "own grids": ({SGD: 0.03, ADAM: 0.03}, {SGD: GRID[2:], ADAM: GRID[:5]}),
    },
    "not-attempted": {
        "nothing": (None, GRID),
        "ellipsis": (..., GRID),
        "empty": ({}, GRID),
        "blank": ({SGD: None, ADAM: None}, GRID),
        "half": ({SGD: 0.1, ADAM: ...}, GRID),
    },
    "wrong-type": {
        "number": (0.1, GRID),
        "pairs": ([(SGD, 0.1), (ADAM, 0.01)], GRID),
        "function": (lambda: {SGD: 0.1}, GRID),
        "text": ({SGD: "0.1", ADAM: 0.01}, GRID),
        "list": ({SGD: [0.1, 0.2], ADAM: 0.01}, GRID),
        "no grid": (PLAIN, None),
        "text for a grid": (PLAIN, "0.1, 0.01"),
        "table for a grid": (PLAIN, [GRID, GRID]),
    },
    "not-finite": {
        "nan": ({SGD: float("nan"), ADAM: 0.01}, GRID),
        "infinite": ({SGD: 0.1, ADAM: np.inf}, GRID),
        "infinite grid": (PLAIN, [*GRID, np.inf]),
    },
    "wrong": {
        "never tried": ({SGD: 0.05, ADAM: 0.01}, GRID),
        "beyond": ({SGD: 10.0, ADAM: 0.01}, GRID),
        "negative": ({SGD: -0.1, ADAM: 0.01}, GRID),
        "one only": ({SGD: 0.1}, GRID),
        "one missing": ({SGD: 0.1}, {SGD: GRID, ADAM: GRID}),
        "one unknown": ({**PLAIN, "RMSprop": 0.01}, {SGD: GRID, ADAM: GRID}),
        "empty grid": (PLAIN, []),
    },
}


@pytest.mark.parametrize(
    ("mistake", "best", "grid"),
    [
        pytest.param(mistake, *sweep, id=f"{mistake}-{label}")
        for mistake, sweeps in SWEEPS.items()
        for label, sweep in sweeps.items()
    ],
)
def test_sweep_in_any_form_gets_the_right_verdict(mistake, best, grid):
    verdict = checks.lr_sweep(best, grid)
    assert (verdict.passed, verdict.mistake) == (mistake is None, mistake), verdict
    assert verdict.hint or mistake is None
    if mistake in IDS["lr_sweep"]:
        assert any(c.isdigit() for c in verdict.hint)


def test_sweep_may_be_passed_by_keyword():
    assert checks.lr_sweep(best_lr_by_optimizer=GOOD, grid=GRID)


@given(
    exponents=st.lists(st.integers(-12, 3), min_size=4, max_size=9, unique=True),
    data=st.data(),
    float32=st.booleans(),
)
def test_random_sweep_is_judged_by_edges_and_equal_rates(exponents, data, float32):
    grid = [10.0 ** (k / 3) for k in exponents]
    grid = np.float32(grid) if float32 else grid
    chosen = data.draw(st.lists(st.sampled_from(exponents), min_size=2, max_size=3))
    best = {f"optimizer {i}": 10 ** (k / 3) for i, k in enumerate(chosen)}
    verdict = checks.lr_sweep(best, grid)
    ends = {min(exponents), max(exponents)}
    expected = {"edge-of-grid"} if ends & set(chosen) else set()
    expected |= {"shared-lr"} if len(set(chosen)) == 1 else set()
    assert verdict.mistake in (expected or {None}), verdict


def test_second_attempt_at_the_sweep_gets_a_more_direct_hint():
    checks.lr_sweep(GOOD, GRID)  # a pass starts the hints again
    first = checks.lr_sweep({SGD: 1.0, ADAM: 0.003}, GRID).hint
    second = checks.lr_sweep({SGD: 0.1, ADAM: 0.001}, GRID).hint
    assert "Add rates beyond that end" not in first
    assert "Add rates beyond that end" in second
    assert "For SGD you chose 1" in first
    assert "For Adam you chose 0.001" in second


def test_solution_of_the_sweep_passes():
    scores = {
        SGD: dict(zip(GRID, [0.2, 0.4, 0.6, 0.8, 0.9, 0.7, 0.1], strict=True)),
        ADAM: dict(zip(GRID, [0.8, 0.9, 0.7, 0.5, 0.3, 0.1, 0.1], strict=True)),
    }
    assert checks.lr_sweep(solutions.lr_sweep(scores), GRID).passed
    assert "max(" in checks.solution("lr_sweep").text


def test_question_gives_hints_and_counts_in_the_progress():
    checks.lr_sweep(None, None)
    assert "own runs" in checks.hint("lr_sweep")
    checks.lr_sweep(GOOD, GRID)
    assert checks.progress().passed["lr_sweep"]
    assert "Day 33" in repr(checks.lr_sweep)
