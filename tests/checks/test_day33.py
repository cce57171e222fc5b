"""The checks of Day 33 name every mistake in several styles and pass every right answer.

The submissions are independent of the variants in the checks. A style takes the set of bugs to
inject; the styles are arrays, loops over numbers, PyTorch's in-place calls and another algebra.
"""

import decimal
import fractions
import itertools
import math
import statistics

import numpy as np
import pytest
import torch
import torch._dynamo  # else the first optimizer's step imports it, which may take seconds
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nnweek import checks
from nnweek.checks import solutions
from nnweek.statistics import mcnemar as package_mcnemar
from nnweek.statistics import paired_difference
from support.promises import cases, only_right_answers_pass, promises
from support.submissions import first_verdict, style

IDS = {
    "momentum_step": "velocity-lost other-convention ascent damped old-velocity nesterov "
    "ignores-lr typed-mu",
    "adam_step": "no-bias-correction v-of-g no-root eps-inside-root swapped-betas ascent "
    "corrects-stored-moments only-m-corrected only-v-corrected off-by-one-t old-moment-lost "
    "root-of-beta",
    "adamw_step": "coupled no-decay decay-without-lr lr-twice decays-after grows not-proportional "
    "typed-decay no-bias-correction v-of-g no-root eps-inside-root swapped-betas ascent "
    "corrects-stored-moments only-m-corrected only-v-corrected off-by-one-t old-moment-lost "
    "root-of-beta",
    "lr_sweep": "edge-of-grid shared-lr not-the-best chosen-by-test",
    "paired_interval": "unpaired normal-quantile typed-quantile n-degrees divides-by-n no-root "
    "one-sided sign",
    "mcnemar": "agreements uses-accuracies one-sided chi-square not-the-tail all-images "
    "larger-tail over-one swapped",
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


def decayed(bugs, w, g, lr, decay):
    """Return the weight and the gradient that Adam's step gets."""
    decay = 0.01 if "typed-decay" in bugs else decay
    rate = {"decay-without-lr": 1, "lr-twice": lr * lr}.get(
        next(iter(bugs & {"decay-without-lr", "lr-twice"}), ""), lr
    )
    if "coupled" in bugs:
        return w, g + decay * w
    if bugs & {"no-decay", "decays-after"}:
        return w, g
    amount = rate * decay * (1 if "not-proportional" in bugs else w)
    return (w + amount if "grows" in bugs else w - amount), g


@style
def adamw_shrinks_first(bugs, w, g, m, v, t, lr, beta1, beta2, eps, weight_decay):
    w, g = decayed(bugs, w, g, lr, weight_decay)
    w, m, v = adam_arrays(bugs)(w, g, m, v, t, lr, beta1, beta2, eps)
    return (w - lr * weight_decay * w if "decays-after" in bugs else w), m, v


@style
def adamw_in_one_sum(bugs, w, g, m, v, t, lr, beta1, beta2, eps, weight_decay):
    """As in the paper: Adam's step and the decay of the old weight are subtracted together."""
    shrunk, g = decayed(bugs, w, g, lr, weight_decay)
    moved, m, v = adam_folded(bugs)(w, g, m, v, t, lr, beta1, beta2, eps)
    if "decays-after" in bugs:
        return moved * (1 - lr * weight_decay), m, v
    return moved + (shrunk - w), m, v


@style
def adamw_tensors(bugs, w, g, m, v, t, lr, beta1, beta2, eps, weight_decay):
    """In place, as PyTorch does it."""
    shrunk, g = decayed(bugs, w.clone(), g, lr, weight_decay)
    w.copy_(shrunk)
    w, m, v = adam_tensors(bugs)(w, g, m, v, t, lr, beta1, beta2, eps)
    return (w.mul_(1 - lr * weight_decay) if "decays-after" in bugs else w), m, v


@style
def paired_arrays(bugs, a, b):
    d = b - a if "sign" in bugs else a - b
    n = len(d)
    ddof = 0 if "divides-by-n" in bugs else 1
    s = np.std(d, ddof=ddof)
    if "unpaired" in bugs:
        s = (np.var(a, ddof=ddof) + np.var(b, ddof=ddof)) ** 0.5
    share = 0.95 if "one-sided" in bugs else 0.975
    t = stats.t.ppf(share, n if "n-degrees" in bugs else n - 1)
    if "normal-quantile" in bugs:
        t = stats.norm.ppf(share)
    if "typed-quantile" in bugs:
        t = 2.776
    half = t * s / (1 if "no-root" in bugs else math.sqrt(n))
    return d.mean(), d.mean() - half, d.mean() + half


@style
def paired_lists(bugs, a, b):
    """Numbers and the standard library, and a table of Student's t."""
    first, second = a.tolist(), b.tolist()
    if "sign" in bugs:
        first, second = second, first
    d = [x - y for x, y in zip(first, second, strict=True)]
    n = len(d)
    deviation = statistics.pstdev if "divides-by-n" in bugs else statistics.stdev
    error = deviation(d) / (1 if "no-root" in bugs else n**0.5)
    if "unpaired" in bugs:
        error = math.hypot(deviation(first), deviation(second))
        error /= 1 if "no-root" in bugs else n**0.5
    table = {1: 12.7062, 2: 4.30265, 3: 3.18245, 7: 2.36462, 8: 2.306, 11: 2.20099, 12: 2.17881}
    if "one-sided" in bugs:
        table = {
            1: 6.31375,
            2: 2.91999,
            3: 2.35336,
            7: 1.89458,
            8: 1.85955,
            11: 1.79588,
            12: 1.78229,
        }
    t = table[n if "n-degrees" in bugs else n - 1]
    if "normal-quantile" in bugs:
        t = 1.96 if "one-sided" not in bugs else 1.645
    t = 2.7764 if "typed-quantile" in bugs else t
    mean = sum(d) / n
    return [mean, mean - t * error, mean + t * error]


@style
def paired_by_scipy(bugs, a, b):
    d = np.subtract(b, a) if "sign" in bugs else np.subtract(a, b)
    n = d.shape[0]
    scale = d.std() / (n - (0 if "divides-by-n" in bugs else 1)) ** 0.5
    if "unpaired" in bugs:
        scale = math.hypot(stats.sem(a), stats.sem(b))
        scale *= ((n - 1) / n) ** 0.5 if "divides-by-n" in bugs else 1
    scale *= n**0.5 if "no-root" in bugs else 1
    level = 0.9 if "one-sided" in bugs else 0.95
    if "normal-quantile" in bugs:
        return (d.mean(), *stats.norm.interval(level, loc=d.mean(), scale=scale))
    df = 4 if "typed-quantile" in bugs else n if "n-degrees" in bugs else n - 1
    return (d.mean(), *stats.t.interval(level, df, loc=d.mean(), scale=scale))


@style
def mcnemar_masks(bugs, hits_a, hits_b):
    only_a, only_b = np.sum(hits_a & ~hits_b), np.sum(hits_b & ~hits_a)
    if "agreements" in bugs:
        only_a, only_b = np.sum(hits_a & hits_b), np.sum(~hits_a & ~hits_b)
    if "uses-accuracies" in bugs:
        only_a, only_b = hits_a.sum(), hits_b.sum()
    n = len(hits_a) if "all-images" in bugs else only_a + only_b
    k = max(only_a, only_b) if "larger-tail" in bugs else min(only_a, only_b)
    p = stats.binom.pmf(k, n, 0.5) if "not-the-tail" in bugs else stats.binom.cdf(k, n, 0.5)
    p *= 1 if "one-sided" in bugs else 2
    if "chi-square" in bugs:
        p = stats.chi2.sf((only_a - only_b) ** 2 / max(1, n), 1)
    p = p if "over-one" in bugs else min(p, 1.0)
    return (only_b, only_a, p) if "swapped" in bugs else (only_a, only_b, p)


@style
def mcnemar_loop(bugs, hits_a, hits_b):
    x = y = 0
    for a, b in zip(hits_a.tolist(), hits_b.tolist(), strict=True):
        if "agreements" in bugs:
            x, y = x + (a == b), y + (a != b)
        elif "uses-accuracies" in bugs:
            x, y = x + (not a), y + (not b)
        elif a != b:
            x, y = x + a, y + b
    n = len(hits_b) if "all-images" in bugs else x + y
    up_to = max(x, y) if "larger-tail" in bugs else min(x, y)
    first = up_to if "not-the-tail" in bugs else 0
    p = sum(math.comb(n, k) for k in range(first, up_to + 1)) * 0.5**n
    if "chi-square" in bugs:
        p = stats.chi2.sf((abs(x - y) - 1) ** 2 / n if x != y else 0, 1)
    elif "one-sided" not in bugs:
        p = 2 * p
    p = p if "over-one" in bugs or p < 1 else 1
    return [y, x, p] if "swapped" in bugs else [x, y, p]


@style
def mcnemar_differences(bugs, hits_a, hits_b):
    """Signed differences, and SciPy's test."""
    difference = hits_a.astype(int) - hits_b.astype(int)
    x, y = int((difference > 0).sum()), int((difference < 0).sum())
    if "agreements" in bugs:
        x, y = int((hits_a * hits_b).sum()), int((~(hits_a | hits_b)).sum())
    if "uses-accuracies" in bugs:
        x, y = np.count_nonzero(hits_a), np.count_nonzero(hits_b)
    n = hits_a.size if "all-images" in bugs else x + y
    k = max(x, y) if "larger-tail" in bugs else min(x, y)
    side = "less" if "one-sided" in bugs else "two-sided"
    p = stats.binomtest(k, n, alternative=side).pvalue if n else 1.0
    if "larger-tail" in bugs:
        p = min(1.0, 2 * stats.binom.cdf(k, n, 0.5))
    if "not-the-tail" in bugs:
        p = min(1, 2 * stats.binom.cdf(k - 1, n, 0.5))
    if "chi-square" in bugs:
        p = stats.chi2.sf((x - y) ** 2 / n, 1) if n else 1.0
    if "over-one" in bugs:
        p = 2 * stats.binom.cdf(k, n, 0.5)
    return (y, x, p) if "swapped" in bugs else (x, y, p)


STYLES = {
    "momentum_step": (momentum_arrays, momentum_in_place, momentum_loops, momentum_tensors),
    "adam_step": (adam_arrays, adam_loops, adam_tensors, adam_folded),
    "adamw_step": (adamw_shrinks_first, adamw_in_one_sum, adamw_tensors),
    "paired_interval": (paired_arrays, paired_lists, paired_by_scipy),
    "mcnemar": (mcnemar_masks, mcnemar_loop, mcnemar_differences),
}
# These contradict each other, or undo each other, within one style.
_DECAYS = IDS["adamw_step"][:8]
_QUANTILES = "normal-quantile", "typed-quantile", "n-degrees", "one-sided"
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
    {"coupled", "old-moment-lost"},  # m is no multiple of g
    # There is one decay, and it is in one place.
    *map(set, itertools.combinations(_DECAYS, 2)),
    # There is one quantile.
    *map(set, itertools.combinations(_QUANTILES, 2)),
    # p, or the counts that it comes from, is replaced.
    *map(set, itertools.combinations(IDS["mcnemar"], 2)),
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
    names = {"np": np, "math": math, "torch": torch, "adam_step": solutions.adam_step}
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


def adamw_by_torch(Optimizer):
    def adamw_step(w, g, m, v, t, lr, beta1, beta2, eps, weight_decay):
        p = torch.nn.Parameter(torch.tensor(w))
        p.grad = torch.tensor(g)
        optimizer = Optimizer([p], lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=weight_decay)
        optimizer.state[p] = {
            "step": torch.tensor(float(t - 1)),
            "exp_avg": torch.tensor(m),
            "exp_avg_sq": torch.tensor(v),
        }
        optimizer.step()
        return p, optimizer.state[p]["exp_avg"], optimizer.state[p]["exp_avg_sq"]

    return adamw_step


def adamw(first, after="w"):
    """AdamW with its decay written in another way, before or after Adam's step."""
    return written(
        "w, g, m, v, t, lr, b1, b2, eps, decay",
        first,
        "w, m, v = adam_step(w, g, m, v, t, lr, b1, b2, eps)",
        f"return {after}, m, v",
    )


def paired_difference_as_tuple(a, b):
    found = paired_difference(a, b)
    return found.mean, found.low, found.high


def interval(a, b, df=None, s=None, t=None, root=None):
    """A paired interval with some of its parts replaced."""
    d = np.asarray(a - b, dtype=float)
    t = stats.t.ppf(0.975, df or len(d) - 1) if t is None else t
    half = t * (d.std(ddof=1) if s is None else s) / (root or len(d) ** 0.5)
    return d.mean(), d.mean() - half, d.mean() + half


def welch(a, b):
    low, high = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    return (a - b).mean(), low, high


def by_ttest(a, b):
    low, high = stats.ttest_rel(a, b).confidence_interval()
    return np.mean(a) - np.mean(b), low, high


def by_counts(x, y):
    return x, y, min(1.0, 2 * stats.binom.cdf(min(x, y), x + y, 0.5))


def mcnemar_by_chi_square(correction):
    def mcnemar(a, b):
        x, y = sum(a & ~b), sum(b & ~a)
        statistic = max(0, abs(int(x) - int(y)) - correction) ** 2 / max(1, x + y)
        return x, y, stats.chi2.sf(statistic, 1)

    return mcnemar


@np.errstate(all="ignore")
def mcnemar_in_64_bits(hits_a, hits_b):
    only_a, only_b = (hits_a & ~hits_b).sum(), (hits_b & ~hits_a).sum()
    n = only_a + only_b
    at_most = sum(math.comb(n, k) for k in range(min(only_a, only_b) + 1)) / 2**n
    return only_a, only_b, min(1, 2 * at_most)


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
    ("adamw_step", None): [
        adamw_by_torch(torch.optim.AdamW),
        adamw("w -= lr * decay * w"),
        adamw("w = w * (1 - lr * decay)"),
        adamw("old = w", after="w - lr * decay * old"),
    ],
    ("adamw_step", "coupled"): [
        adamw_by_torch(torch.optim.Adam),
        adamw("g = g + decay * w"),
        adamw("old = w", after="w - lr * decay * old / (np.sqrt(v / (1 - b2**t)) + eps)"),
        adamw("g = g + decay * w; w = w - lr * decay * w"),
    ],
    ("adamw_step", "no-decay"): [adamw("pass")],
    ("adamw_step", "decays-after"): [adamw("pass", after="w * (1 - lr * decay)")],
    ("adamw_step", "not-proportional"): [adamw("w = w - lr * decay * np.sign(w)")],
    ("adamw_step", "typed-decay"): [adamw("w = w * (1 - lr * 0.01)"), adamw("w = w - lr * w")],
    ("adamw_step", "modifies-input"): [adamw("w = w - lr * decay * w", after="(w, g.fill(0))[0]")],
    ("adamw_step", "wrong-shape"): [adamw("w = w - lr * decay * w", after="w.ravel()")],
    ("adamw_step", "wrong-type"): [adamw("return w - lr * decay * w")],
    ("adamw_step", "wrong"): [
        adamw("w = w - lr * decay * w / 2"),
        adamw("w = w - decay"),
        adamw("w = w - lr * decay * w; b1, b2, eps = 0.9, 0.999, 1e-8"),
        adamw("w = w - lr * decay * w; lr, b1, b2, eps = 0.001, 0.9, 0.999, 1e-8"),
    ],
    ("paired_interval", None): [
        lambda a, b: paired_difference_as_tuple(a, b),
        lambda a, b: tuple(map(torch.tensor, paired_difference_as_tuple(a, b))),
        by_ttest,
    ],
    ("paired_interval", "unpaired"): [
        welch,
        lambda a, b: interval(a, b, s=a.std(ddof=1) + b.std(ddof=1)),
        lambda a, b: interval(a, b, df=2 * len(a) - 2, s=np.hypot(a.std(ddof=1), b.std(ddof=1))),
    ],
    ("paired_interval", "normal-quantile"): [lambda a, b: interval(a, b, t=2)],
    ("paired_interval", "no-root"): [
        lambda a, b: interval(a, b, root=1),
        lambda a, b: interval(a, b, root=len(a)),
    ],
    ("paired_interval", "n-degrees"): [lambda a, b: interval(a, b, df=2 * len(a) - 2)],
    ("paired_interval", "wrong"): [
        lambda a, b: interval(a, b, s=np.var(a - b, ddof=1)),
        lambda a, b: interval(a, b, root=(len(a) - 1) ** 0.5),
        lambda a, b: [interval(a, b)[i] for i in (1, 0, 2)],
        lambda a, b: [interval(a, b)[i] for i in (0, 2, 1)],
        lambda a, b: (np.mean(a - b), *2 * [interval(a, b)[2] - np.mean(a - b)]),
        lambda a, b: ((a - b).mean(), (a - b).min(), (a - b).max()),
        lambda a, b: interval(a, b, t=3),
    ],
    ("paired_interval", "wrong-shape"): [
        lambda a, b: ((a - b).mean(), 1.0),
        lambda a, b: (a - b, a - b, a - b),
    ],
    ("paired_interval", "wrong-type"): [lambda a, b: (a - b).mean()],
    ("paired_interval", "not-finite"): [lambda a, b: (np.nan,) * 3],
    ("paired_interval", "modifies-input"): [
        lambda a, b: interval(np.array(a), np.array(b)) + (a.fill(0), ())[1],
    ],
    ("mcnemar", None): [
        lambda a, b: tuple(vars(package_mcnemar(a, b)).values()),
        lambda a, b: (x := sum(a & ~b), y := sum(~a & b), stats.binomtest(int(x), int(x + y)).pvalue
                      if x + y else 1),
    ],
    ("mcnemar", "chi-square"): [mcnemar_by_chi_square(0), mcnemar_by_chi_square(1)],
    ("mcnemar", "uses-accuracies"): [
        lambda a, b: (*by_counts(a.sum(), b.sum()),),
        lambda a, b: (sum(a & ~b), sum(b & ~a), by_counts(a.sum(), b.sum())[2]),
    ],
    ("mcnemar", "agreements"): [lambda a, b: by_counts((a == b).sum(), (a != b).sum())],
    ("mcnemar", "not-the-tail"): [
        lambda a, b: (x := sum(a & ~b), y := sum(b & ~a),
                      min(1, 2 * stats.binom.cdf(min(x, y) - 1, x + y, 0.5))),
    ],
    ("mcnemar", "larger-tail"): [
        lambda a, b: (x := int(sum(a & ~b)), y := int(sum(b & ~a)),
                      min(1, 2 * sum(math.comb(x + y, k) for k in range(min(x, y) + 1)))),
        lambda a, b: (x := sum(a & ~b), y := sum(b & ~a), min(1, 2 * stats.binom.cdf(x, x + y, 0.5))),
    ],
    ("mcnemar", "raised"): [lambda a, b: by_counts((a - b > 0).sum(), (a - b < 0).sum())],
    ("mcnemar", "wrong"): [
        mcnemar_in_64_bits,
        lambda a, b: (sum(a & ~b), sum(b & ~a), 0.05),
        lambda a, b: (sum(a & ~b), sum(b & ~a), stats.ttest_rel(a * 1.0, b * 1.0).pvalue if any(a != b) else 1),
    ],
    ("mcnemar", "wrong-shape"): [lambda a, b: (sum(a & ~b), sum(b & ~a))],
    ("mcnemar", "wrong-type"): [lambda a, b: 0.04],
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
        ("adam_step", adam(v="b2 * v + (1 - b2) * g ^ 2"), "raised", ["TypeError", "bitwise_xor"]),
        (
            "adamw_step",
            adamw("w = w - lr * decay * w; b1, b2, eps = 0.9, 0.999, 1e-8"),
            "wrong",
            ["usual settings"],
        ),
        (
            "paired_interval",
            lambda a, b: interval(a, b, root=(len(a) - 1) ** 0.5),
            "wrong",
            ["used twice"],
        ),
        ("mcnemar", mcnemar_in_64_bits, "wrong", ["2**n overflows"]),
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


def test_adamw_that_calls_an_unsolved_adam_is_judged_alone():
    names = {}
    exec("def adam_step(*args): ...\n" + checks.solution("adamw_step").text, names)
    verdict = first_verdict("adamw_step", names["adamw_step"])
    assert not verdict.passed
    assert "with a right one, `adamw_step` passes" in verdict.hint


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
