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
import torch._dynamo  # else the first optimizer's step imports it, which may take seconds
from hypothesis import given
from hypothesis import strategies as st

from nnweek import checks
from nnweek.checks import solutions
from support.promises import cases, only_right_answers_pass, promises
from support.submissions import first_verdict, style

IDS = {
    "momentum_step": "velocity-lost other-convention ascent damped old-velocity nesterov "
    "ignores-lr typed-mu",
    "adam_step": "no-bias-correction v-of-g no-root eps-inside-root swapped-betas ascent "
    "corrects-stored-moments only-m-corrected only-v-corrected off-by-one-t old-moment-lost "
    "root-of-beta",
    "lr_sweep": "edge-of-grid shared-lr not-the-best chosen-by-test",
}
IDS = {name: ids.split() for name, ids in IDS.items()}


@style
def momentum_arrays(bugs, w, g, v, lr, mu):
    mu = 0.9 if "typed-mu" in bugs else mu
    lr = 1 if "ignores-lr" in bugs else lr
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
    if "typed-mu" in bugs:
        mu = 0.9
    if "ignores-lr" in bugs:
        lr = 0.01
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
    mu = 0.9 if "typed-mu" in bugs else mu
    lr = 1.0 if "ignores-lr" in bugs else lr
    for wi, gi, vi in zip(w, g, v, strict=True):
        vn = mu * vi + (gi - mu * gi if "damped" in bugs else gi)
        if "other-convention" in bugs:
            vn = mu * vi + lr * gi
        move = vi if "old-velocity" in bugs else vn
        if "nesterov" in bugs:
            move = mu * vn + gi
        if "other-convention" in bugs:
            move = move / lr
        new_w.append(wi + lr * move if "ascent" in bugs else wi - lr * move)
        new_v.append(vi if "velocity-lost" in bugs else vn)
    return new_w, new_v


@style
def momentum_tensors(bugs, w, g, v, lr, mu):
    """For tensors only: arrays do not have these methods."""
    mu, lr = 0.9 if "typed-mu" in bugs else mu, 0.1 if "ignores-lr" in bugs else lr
    alpha = 1 - mu if "damped" in bugs else 1
    alpha = -lr if "other-convention" in bugs else alpha
    sign = 1 if "ascent" in bugs else -1
    old = v.clone()
    if "velocity-lost" in bugs:
        v = v.new_zeros(v.shape)
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
    if "old-moment-lost" in bugs:
        m = beta1 + (1 - beta1) * g
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
        denominator = np.sqrt(beta1 if "root-of-beta" in bugs else v_hat) + eps
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
        if "old-moment-lost" in bugs:
            m[i] = v[i] = 0
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
            size = math.sqrt(b2 if "root-of-beta" in bugs else vh) + eps
        w[i] += (1 if "ascent" in bugs else -1) * lr * mh / size
        if "corrects-stored-moments" in bugs:
            m[i], v[i] = mh, vh
    return w, m, v


@style
def adam_tensors(bugs, w, g, m, v, t, lr, beta1, beta2, eps):
    """In place, as in PyTorch's own loop, with methods that arrays do not have."""
    first, second = (beta2, beta1) if "swapped-betas" in bugs else (beta1, beta2)
    if "old-moment-lost" in bugs:
        m.zero_()
        v.zero_()
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
    if "root-of-beta" in bugs:
        denom = (one * beta2).sqrt().add_(eps)
    w.addcdiv_(m / c1, denom, value=lr if "ascent" in bugs else -lr)
    return w, m, v


@style
def adam_folded(bugs, w, g, m, v, t, lr, beta1, beta2, eps):
    """Folds the corrections into the rate, as at the end of section 2 of the paper."""
    if "swapped-betas" in bugs:
        beta2, beta1 = beta1, beta2
    if "old-moment-lost" in bugs:
        m, v = np.zeros((2, *np.shape(g)))
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
    if "root-of-beta" in bugs:
        rate, below = lr / c1, beta2**0.5 + eps
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
    {"velocity-lost", "typed-mu"},  # no velocity that μ could scale
    # the root of a negative number
    {"v-of-g", "old-moment-lost"},
    {"v-of-g", "swapped-betas"},
    # What the denominator contains does not matter if it is not used.
    {"root-of-beta", "only-v-corrected"},
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
    names = {"np": np, "math": math, "torch": torch}
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


def adam_with_math_sqrt(w, g, m, v, t, lr, beta1, beta2, eps):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    return w - lr * m / (1 - beta1**t) / (math.sqrt(v / (1 - beta2**t)) + eps), m, v


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
    ("momentum_step", "ascent"): [
        momentum_by_torch(maximize=True),
        momentum(v="mu * v - g"),
        momentum(v="mu * v - lr * g", w="w - v"),
        momentum(v="mu * v + lr * g", w="w + v"),
    ],
    ("momentum_step", "velocity-lost"): [
        momentum_by_torch(fresh=True),
        momentum(v="mu * g + g"),
        momentum(first="old = v", answer="w, old"),
    ],
    ("momentum_step", "old-velocity"): [momentum(first="w = w - lr * v", w="w")],
    ("momentum_step", "other-convention"): [momentum(v="mu * v - g", w="w + lr * v")],
    ("momentum_step", "wrong"): [
        # From v = 0, these go downhill.
        momentum(v="mu * v + lr * g"),
        momentum(v="mu * v - lr * g", w="w + lr * v"),
        momentum(v="lr * (mu * v + g)"),
        momentum(v="lr * (mu * v + g)", w="w - v"),
        momentum(v="lr * v + g", w="w - mu * v"),
        momentum(v="v + mu * g"),
        momentum(v="mu * (v + g)"),
        momentum(w="w - lr * mu * v"),
        momentum(v="lr * v + g"),
        momentum(v="mu * v + lr * v + g"),
        momentum(v="(1 - mu) * v + mu * g"),
        momentum(w="w - 0.5 * lr * v"),
        momentum(w="w - lr * v / 2", answer="w, lr * v"),
        momentum(v="2 * mu * v + g"),
        momentum(v="v + g"),
        momentum(v="mu * v"),
        momentum(answer="w, lr * v"),
    ],
    ("momentum_step", "ignores-lr"): [momentum(w="w - v"), momentum(w="w - 0.05 * v")],
    ("momentum_step", "typed-mu"): [
        momentum(v="0.9 * v + g"),
        momentum(first="mu = 0.95"),
        momentum(v="0.8 * v + g"),  # one of the probes' own
        momentum(v="v - 0.1 * v + g"),
    ],
    ("momentum_step", "raised"): [momentum(v="float(mu * v + g)"), momentum(w="w - lr * undefined")],
    ("momentum_step", "wrong-shape"): [
        momentum(answer="w.ravel(), v.ravel()"),
        momentum(answer="list(w.flat), v"),
        momentum(first="w, g, v = (torch.tensor(x).flatten() for x in (w, g, v))"),
        momentum(answer="w.T, v.T"),
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
        adam_for_matrices,
        adam_in_the_arguments,
        lambda *a: tuple(x.tolist() for x in solutions.adam_step(*a)),
        lambda *a: tuple(torch.tensor(x, requires_grad=True) for x in solutions.adam_step(*a)),
        lambda w, *rest: solutions.adam_step(w.astype(np.longdouble), *rest),
    ],
    ("adam_step", "no-root"): [adam(step=FOLDED.replace("np.sqrt(v)", "v"))],
    ("adam_step", "only-v-corrected"): [adam(step=FOLDED.replace("(1 - b1**t)", "1"))],
    ("adam_step", "only-m-corrected"): [adam(step=FOLDED.replace("math.sqrt(1 - b2**t)", "1"))],
    ("adam_step", "off-by-one-t"): [
        adam(first="t = max(t - 1, 1)"),
        adam_that_divides_by_zero,
    ],
    ("adam_step", "swapped-betas"): [
        adam(first="b1, b2 = b2, b1"),
        adam(hats="m / (1 - b2**t), v / (1 - b1**t)"),
        adam(hats="m / (1 - b2**t), v / (1 - b2**t)"),
        adam(v="b1 * v + (1 - b1) * g**2"),
        adam(v="b1 * v + (1 - b2) * g**2"),
        adam(v="b2 * v + (1 - b1) * g**2"),
        adam(m="b1 * m + (1 - b2) * g"),
        adam(hats="m / (1 - b1**t), v / (1 - b1**t)"),
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
        adam(first="b1, b2 = 0.9, 0.999"),
        adam(first="b1 = 0.9"),
        adam(v="b2 * v + (1 - b2) * (g**2).mean()"),
        adam(step="w - lr * g / (np.sqrt(vh) + eps)"),
        adam(answer="w, v, m"),
        # Right on large numbers, and wrong in the first step at least.
        adam(hats="m / (1 - b1**t), np.maximum(v, 1.0) / (1 - b2**t)"),
        adam(hats="m / (1 - b1**t), np.maximum(v, 0.1) / (1 - b2**t)"),
    ],
    ("adam_step", "old-moment-lost"): [
        adam(m="b1 + (1 - b1) * g"),
        adam(v="b2 + (1 - b2) * g**2"),
        adam(m="(1 - b1) * g"),
        adam(m="g", v="g**2"),
    ],
    ("adam_step", "root-of-beta"): [
        adam(step="w - lr * mh / (np.sqrt(b1) + eps)"),
        adam(step="w - lr * mh / (b2**0.5 + eps)"),
    ],
    ("adam_step", "raised"): [adam_with_math_sqrt, adam_for_one_number, adam(v="float(v)")],
    ("adam_step", "wrong-shape"): [
        adam(answer="w, m"),
        adam(answer="w.ravel(), m.ravel(), v.ravel()"),
    ],
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
        *(
            ("momentum_step", momentum(v=v, w=w), "wrong", ["applied twice"])
            for v, w in (
                ("mu * v + lr * g", "w - lr * v"),
                ("mu * v - lr * g", "w + lr * v"),
                ("lr * (mu * v + g)", "w - lr * v"),
            )
        ),
        ("momentum_step", momentum(v="lr * (mu * v + g)", w="w - v"), "wrong", ["would apply once more"]),
        ("momentum_step", momentum(v="mu * v - g", w="w + lr * v"), "other-convention", ["opposite sign"]),
        ("momentum_step", momentum(v="mu * v - g", w="w + v"), "other-convention", ["opposite sign"]),
        ("momentum_step", momentum(v="-(mu * v + g)", w="w + lr * v"), "wrong", ["sign of v is flipped"]),
        ("momentum_step", momentum(v="-lr * (mu * v + g)", w="w + v"), "wrong", ["would apply once more"]),
        ("momentum_step", momentum(v="mu * v - lr * g"), "ascent", ["goes uphill"]),
        ("momentum_step", momentum(v="lr * v + g", w="w - mu * v"), "wrong", ["which factor belongs"]),
        ("momentum_step", momentum(v="v + mu * g"), "wrong", ["which factor belongs"]),
        ("momentum_step", momentum(v="mu * (v + g)"), "wrong", ["which factor belongs"]),
        ("adam_step", adam(v="b2 * v + (1 - b2) * abs(g)"), "v-of-g", ["averages |g|"]),
        ("adam_step", adam(step="w - lr * mh / np.sqrt(vh) + eps"), "wrong", ["a / b + c"]),
        ("adam_step", adam(hats="m / (1 - b1), v / (1 - b2)"), "wrong", ["t is missing"]),
        ("adam_step", adam(hats="m / (1 - b1**t), v / (1 - b2)"), "wrong", ["t is missing"]),
        (
            "adam_step",
            adam(first="old = m / (1 - b1**t), v / (1 - b2**t)", hats="old"),
            "wrong",
            ["before this gradient"],
        ),
        # Works for tensors only up to its own error, which is the one to quote.
        ("momentum_step", momentum(v="v.mul(mu).add(g)", w="undefined"), "raised", ["undefined"]),
        ("adam_step", adam(first="eps = 0.0"), "wrong", ["ε has no effect"]),
        ("adam_step", adam(first="eps = 1e-8"), "wrong", ["ε has no effect"]),
        ("adam_step", adam(first="lr = 1.0"), "wrong", ["does not depend on the learning rate"]),
        # The error is the one that the learner sees with an array, not one of our tensors.
        ("adam_step", adam_with_math_sqrt, "raised", ["TypeError", "arrays", "(math.sqrt(v /"]),
    ],
)  # fmt: skip
def test_verdict_says_what_is_wrong(name, function, mistake, phrases):
    verdict = first_verdict(name, function)
    assert verdict.mistake == mistake, verdict
    assert all(phrase in verdict.hint.replace("`", "") for phrase in phrases), verdict


@pytest.mark.parametrize(
    ("name", "function", "line"),
    [
        ("momentum_step", momentum(first="old = v", answer="w, old"), "`lr * new_v, v`"),
        ("momentum_step", momentum(v="mu * v - g"), "`mu * v - g`"),
        ("momentum_step", momentum(v="mu * v - lr * g", w="w - v"), "w - new_v"),
        ("adam_step", adam(hats="m / (1 - b1**t), v / (1 - b1**t)"), "`v / (1 - beta1**t)`"),
        ("adam_step", adam(v="b1 * v + (1 - b1) * g**2"), "beta1 * v + (1 - beta1) * g**2"),
        ("adam_step", adam(m="(1 - b1) * g"), "`(1 - beta1) * g`"),
    ],
)
def test_third_hint_shows_the_line_that_is_wrong(name, function, line):
    first = first_verdict(name, function)
    checks.EXERCISES[name](function)
    third = checks.EXERCISES[name](function)
    assert first.mistake == third.mistake
    assert line in " ".join(third.hint.split()), third


def test_copied_beta_explains_everything():
    for v in ("b1 * v + (1 - b1) * g**2", "b1 * v + (1 - b2) * g**2"):
        assert "That is not all" not in first_verdict("adam_step", adam(v=v)).hint


SGD, MOMENTUM, ADAM = "SGD", "momentum", "Adam"
RATES = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0]


def bowl(best, rates=RATES):
    """Return {rate: accuracy} with the highest, 0.95, at one rate."""
    return {rate: 0.95 - 0.08 * abs(math.log10(rate / best)) for rate in rates}


SCORES = {SGD: bowl(0.1), ADAM: bowl(0.003)}
GOOD = {SGD: 0.1, ADAM: 0.003}
HALF_POWERS = [10 ** (k / 2) for k in range(-8, 1)]


def with_test(best_by_test, by_rate):
    """Return {rate: (validation, test)}."""
    return {lr: (acc, bowl(best_by_test)[lr]) for lr, acc in by_rate.items()}


NEAR = {**bowl(0.003), 0.01: 0.9499}
TESTED = {SGD: with_test(0.03, bowl(0.1)), ADAM: with_test(0.003, bowl(0.003))}

SWEEPS = {
    None: {
        "plain": (GOOD, SCORES),
        "unsorted": (GOOD, {name: dict(reversed(s.items())) for name, s in SCORES.items()}),
        "half powers": ({SGD: 0.032, ADAM: 0.00316}, {SGD: bowl(10**-1.5, HALF_POWERS),
                                                      ADAM: bowl(10**-2.5, HALF_POWERS)}),
        "float32": (
            {SGD: np.float32(0.1), ADAM: np.float64(0.003)},
            {name: {np.float32(lr): np.float32(a) for lr, a in s.items()}
             for name, s in SCORES.items()},
        ),
        "tensors": (
            {SGD: torch.tensor(0.1), ADAM: torch.tensor([0.003])},
            {name: {lr: torch.tensor(a) for lr, a in s.items()} for name, s in SCORES.items()},
        ),
        "own grids": (GOOD, {SGD: bowl(0.1, RATES[2:]), ADAM: bowl(0.003, RATES[:4])}),
        "three": ({**GOOD, MOMENTUM: 0.03}, {**SCORES, MOMENTUM: bowl(0.03)}),
        "exact": ({SGD: fractions.Fraction(1, 10), ADAM: decimal.Decimal("0.003")}, SCORES),
        "rounded": ({SGD: 0.1 + 1e-17, ADAM: 3 * 0.001}, SCORES),
        "in percent": (GOOD, {name: {lr: 100 * a for lr, a in s.items()}
                              for name, s in SCORES.items()}),
        "one rate is the best for both": ({SGD: 0.1, ADAM: 0.1}, {SGD: bowl(0.1), ADAM: bowl(0.1)}),
        "tie": ({SGD: 0.03, ADAM: 0.003}, {SGD: {0.01: 0.9, 0.03: 0.95, 0.1: 0.95, 0.3: 0.9},
                                           ADAM: bowl(0.003)}),
        "near tie": ({SGD: 0.1, ADAM: 0.01}, {SGD: bowl(0.1), ADAM: NEAR}),
        "one run diverged": (GOOD, {SGD: bowl(0.1) | {1.0: float("nan")}, ADAM: bowl(0.003)}),
        "tested, chosen by validation": (GOOD, TESTED),
    },
    "edge-of-grid": {
        "largest": ({SGD: 1.0, ADAM: 0.003}, {SGD: bowl(1.0), ADAM: bowl(0.003)}),
        "smallest": ({SGD: 0.1, ADAM: 0.001}, {SGD: bowl(0.1), ADAM: bowl(0.001)}),
        "own grid": (GOOD, {SGD: bowl(0.1, [0.01, 0.03, 0.1]), ADAM: bowl(0.003)}),
        "two rates": (GOOD, {SGD: {0.01: 0.8, 0.1: 0.9}, ADAM: bowl(0.003)}),
        "one rate": (GOOD, {SGD: {0.1: 0.9}, ADAM: bowl(0.003)}),
        "rounded": ({SGD: 0.316, ADAM: 0.003}, {SGD: bowl(10**-0.5, HALF_POWERS[:-1]), ADAM: bowl(0.003)}),
        "near tie": ({SGD: 0.1, ADAM: 0.001}, {SGD: bowl(0.1), ADAM: bowl(0.003) | {0.001: 0.9499}}),
    },
    "shared-lr": {
        "neither is the best": ({SGD: 0.03, ADAM: 0.03}, SCORES),
        "best of one": ({SGD: 0.1, ADAM: 0.1}, SCORES),
        "types": ({SGD: np.float32(0.1), ADAM: torch.tensor(0.1)}, SCORES),
        "not on every grid": ({SGD: 0.1, ADAM: 0.1}, {SGD: bowl(0.1), ADAM: bowl(0.003, RATES[:4])}),
        "three": ({SGD: 0.01, MOMENTUM: 0.01, ADAM: 0.01}, {**SCORES, MOMENTUM: bowl(0.03)}),
        "own grids": ({SGD: 0.03, ADAM: 0.03}, {SGD: bowl(0.1, RATES[2:]), ADAM: bowl(0.01)}),
    },
    "not-the-best": {
        "the page's figure": ({SGD: 1.0, MOMENTUM: 0.3, ADAM: 0.01},
                              {**SCORES, MOMENTUM: bowl(0.03)}),
        "too small": ({SGD: 0.01, ADAM: 0.003}, SCORES),
        "one of three": ({**GOOD, MOMENTUM: 0.1}, {**SCORES, MOMENTUM: bowl(0.03)}),
        "inside, where the end is the best": ({SGD: 0.3, ADAM: 0.003},
                                              {SGD: bowl(1.0), ADAM: bowl(0.003)}),
        "one point worse": ({SGD: 0.03, ADAM: 0.003},
                            {SGD: bowl(0.1) | {0.03: 0.94}, ADAM: bowl(0.003)}),
        "diverged": ({SGD: 1.0, ADAM: 0.003},
                     {SGD: bowl(0.1) | {1.0: float("nan")}, ADAM: bowl(0.003)}),
        "half": ({SGD: 0.01, ADAM: None}, SCORES),
        "same in two of three": ({SGD: 0.01, ADAM: 0.01, MOMENTUM: None}, {**SCORES, MOMENTUM: bowl(0.03)}),
        "also on the test set": ({SGD: 0.01, ADAM: 0.003}, TESTED),
    },
    "chosen-by-test": {
        "tuples": ({SGD: 0.03, ADAM: 0.003}, TESTED),
        "lists": ({SGD: 0.03, ADAM: 0.003},
                  {name: {lr: list(both) for lr, both in s.items()} for name, s in TESTED.items()}),
        "dictionaries": (
            {SGD: 0.03, ADAM: 0.003},
            {name: {lr: {"test": test, "validation": val} for lr, (val, test) in s.items()}
             for name, s in TESTED.items()},
        ),
        "one of two tested": ({SGD: 0.03, ADAM: 0.003}, {SGD: TESTED[SGD], ADAM: bowl(0.003)}),
    },
    "not-attempted": {
        "nothing": (None, SCORES),
        "ellipsis": (..., SCORES),
        "empty": ({}, SCORES),
        "blank": ({SGD: None, ADAM: None}, SCORES),
    },
    "wrong-type": {
        "number": (0.1, SCORES),
        "pairs": ([(SGD, 0.1), (ADAM, 0.01)], SCORES),
        "function": (lambda: {SGD: 0.1}, SCORES),
        "text": ({SGD: "0.1", ADAM: 0.01}, SCORES),
        "list": ({SGD: [0.1, 0.2], ADAM: 0.01}, SCORES),
        "lists of one": ({SGD: [0.1], ADAM: [0.003]}, SCORES),
        "tuple of one": ({SGD: (0.1,), ADAM: 0.003}, SCORES),
        "no scores": (GOOD, None),
        "rates only": (GOOD, RATES),
        "rates of each": (GOOD, {SGD: RATES, ADAM: RATES}),
        "of one only": (GOOD, bowl(0.1)),
        "text for a score": (GOOD, {SGD: {0.1: "95 %"}, ADAM: bowl(0.003)}),
        "three accuracies": (GOOD, {SGD: {0.1: (0.9, 0.9, 0.9)}, ADAM: bowl(0.003)}),
    },
    "not-finite": {
        "nan": ({SGD: float("nan"), ADAM: 0.01}, SCORES),
        "infinite": ({SGD: 0.1, ADAM: np.inf}, SCORES),
        "infinite rate": (GOOD, {SGD: bowl(0.1) | {np.inf: 0.1}, ADAM: bowl(0.003)}),
        "no score": (GOOD, {SGD: dict.fromkeys(RATES, np.nan), ADAM: bowl(0.003)}),
    },
    "wrong": {
        "half": ({SGD: 0.1, ADAM: ...}, SCORES),
        "half, None": ({SGD: None, ADAM: 0.003}, SCORES),
        "positions": ({SGD: 4, ADAM: 4}, SCORES),
        "different positions": ({SGD: 4, ADAM: 5}, SCORES),
        "accuracies": ({SGD: 0.95, ADAM: 0.95}, {SGD: bowl(0.1, RATES[:-1]), ADAM: bowl(0.003, RATES[:-1])}),
        "never tried": ({SGD: 0.05, ADAM: 0.01}, SCORES),
        "beyond": ({SGD: 10.0, ADAM: 0.01}, SCORES),
        "negative": ({SGD: -0.1, ADAM: 0.01}, SCORES),
        "one only": ({SGD: 0.1}, {SGD: bowl(0.1)}),
        "one missing": ({SGD: 0.1}, SCORES),
        "one unknown": ({**GOOD, "RMSprop": 0.01}, SCORES),
        "no runs": (GOOD, {SGD: {}, ADAM: bowl(0.003)}),
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("mistake", "best", "scores"),
    [
        pytest.param(mistake, *sweep, id=f"{mistake}-{label}")
        for mistake, sweeps in SWEEPS.items()
        for label, sweep in sweeps.items()
    ],
)
def test_sweep_in_any_form_gets_the_right_verdict(mistake, best, scores):
    verdict = checks.lr_sweep(best, scores)
    assert (verdict.passed, verdict.mistake) == (mistake is None, mistake), verdict
    assert verdict.hint or mistake is None
    if mistake in IDS["lr_sweep"]:
        assert any(c.isdigit() for c in verdict.hint)


def test_sweep_may_be_passed_by_keyword():
    assert checks.lr_sweep(best_lr_by_optimizer=GOOD, scores=SCORES)


def test_near_tie_passes_with_a_remark():
    verdict = checks.lr_sweep({SGD: 0.1, ADAM: 0.01}, {SGD: bowl(0.1), ADAM: NEAR})
    assert verdict.passed
    assert "95.00% against 94.99%" in verdict.hint
    assert checks.lr_sweep(GOOD, SCORES).hint == ""


@pytest.mark.parametrize(
    ("best", "phrase"),
    [
        ({SGD: 0.1, ADAM: ...}, "1 of 2 right, 1 not answered yet."),
        ({SGD: 0.01, ADAM: None}, "0 of 2 right, 1 not answered yet.\nFor SGD you chose 0.01."),
        ({SGD: 0.1, ADAM: 0.001}, "2 have a higher"),
        ({SGD: 0.1, ADAM: 0.01}, "1 has a higher"),
        ({SGD: 4, ADAM: 4}, "Is 4 the position in the list?"),
        ({SGD: 5, ADAM: 2}, "Is 5 the position in the list?"),
        ({SGD: 0.1, ADAM: 0.87}, "Is 0.87 the accuracy"),
    ],
)
def test_sweep_says_what_is_wrong(best, phrase):
    scores = {SGD: bowl(0.1), ADAM: {**bowl(0.003), 0.01: 0.93, 0.001: 0.87}}
    hint = checks.lr_sweep(best, scores).hint
    assert phrase in hint


def test_first_hint_on_a_worse_rate_does_not_name_the_best():
    checks.lr_sweep(GOOD, SCORES)  # a pass starts the hints again
    hint = checks.lr_sweep({SGD: 0.01, ADAM: 0.003}, SCORES).hint
    assert "For SGD you chose 0.01. Of the 7 rates, 3 have a higher" in hint
    assert "0.1" not in hint


@pytest.mark.slow
@given(
    exponents=st.lists(st.integers(-12, 3), min_size=4, max_size=9, unique=True),
    data=st.data(),
    float32=st.booleans(),
)
def test_random_sweep_is_judged_by_scores_edges_and_equal_rates(exponents, data, float32):
    def rate(k):
        return np.float32(10 ** (k / 3)) if float32 else 10 ** (k / 3)

    each = st.tuples(st.sampled_from(exponents), st.sampled_from(exponents))
    chosen_and_best = data.draw(st.lists(each, min_size=2, max_size=3))
    chosen, best, tables = {}, {}, {}
    for i, (k, best_k) in enumerate(chosen_and_best):
        chosen[i], best[i] = k, best_k
        tables[i] = {rate(other): 0.95 - 0.02 * abs(other - best_k) for other in exponents}
    verdict = checks.lr_sweep({i: 10 ** (k / 3) for i, k in chosen.items()}, tables)
    if chosen != best:
        same = len(set(chosen.values())) == 1
        assert verdict.mistake == ("shared-lr" if same else "not-the-best"), verdict
    else:
        at_the_end = {min(exponents), max(exponents)} & set(chosen.values())
        assert verdict.mistake == ("edge-of-grid" if at_the_end else None), verdict


def test_second_attempt_at_the_sweep_gets_a_more_direct_hint():
    checks.lr_sweep(GOOD, SCORES)  # a pass starts the hints again
    first = checks.lr_sweep({SGD: 1.0, ADAM: 0.003}, {SGD: bowl(1.0), ADAM: bowl(0.003)}).hint
    second = checks.lr_sweep({SGD: 0.1, ADAM: 0.001}, {SGD: bowl(0.1), ADAM: bowl(0.001)}).hint
    assert "Add rates beyond that end" not in first
    assert "Add rates beyond that end" in second
    assert "For SGD you chose 1" in first
    assert "For Adam you chose 0.001" in second


def test_solution_of_the_sweep_passes():
    assert checks.lr_sweep(solutions.lr_sweep(SCORES), SCORES).passed
    assert "max(" in checks.solution("lr_sweep").text


def test_question_gives_hints_and_counts_in_the_progress():
    checks.lr_sweep(None, None)
    assert "own runs" in checks.hint("lr_sweep")
    checks.lr_sweep(GOOD, SCORES)
    assert checks.progress().passed["lr_sweep"]
    assert "Day 33" in repr(checks.lr_sweep)
