"""The checks of Day 33: every mistake named in several styles, every right answer passed.

The submissions here are written apart from the checks' own variants. A style takes the bugs
to put in; styles are whole arrays, loops over numbers, PyTorch's calls in place, and another
algebra.
"""

import decimal
import fractions
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nnweek import checks
from nnweek.checks import day33, solutions

IDS = {
    "momentum_step": "velocity-lost other-convention ascent damped old-velocity nesterov",
    "adam_step": "no-bias-correction v-of-g no-root eps-inside-root swapped-betas ascent "
    "corrects-stored-moments only-m-corrected only-v-corrected off-by-one-t",
    "lr_sweep": "edge-of-grid shared-lr",
}
IDS = {name: ids.split() for name, ids in IDS.items()}


# --- momentum_step ---------------------------------------------------------------------------------


def momentum_arrays(bugs):
    def momentum_step(w, g, v, lr, mu):
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

    return momentum_step


def momentum_in_place(bugs):
    def momentum_step(w, g, v, lr, mu):
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

    return momentum_step


def momentum_loops(bugs):
    def momentum_step(w, g, v, lr, mu):
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

    return momentum_step


def momentum_tensors(bugs):
    """For tensors only: these methods an array does not have."""

    def momentum_step(w, g, v, lr, mu):
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

    return momentum_step


# --- adam_step -------------------------------------------------------------------------------------


def adam_arrays(bugs):
    def adam_step(w, g, m, v, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
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

    return adam_step


def adam_loops(bugs):
    """One number after the other, with the standard library's root."""

    def adam_step(w, g, m, v, t, lr, beta1, beta2, eps):
        b1, b2 = (beta2, beta1) if "swapped-betas" in bugs else (beta1, beta2)
        k = t - 1 if "off-by-one-t" in bugs else t
        w, m, v = list(w), list(m), list(v)
        for i in range(len(w)):
            m[i] = b1 * m[i] + (1 - b1) * g[i]
            v[i] = b2 * v[i] + (1 - b2) * (g[i] if "v-of-g" in bugs else g[i] * g[i])
            mh = float(m[i])
            vh = float(v[i])
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

    return adam_step


def adam_tensors(bugs):
    """In place, as PyTorch's own loop does it; an array has none of these methods."""

    def adam_step(w, g, m, v, t, lr, beta1, beta2, eps):
        first, second = (beta2, beta1) if "swapped-betas" in bugs else (beta1, beta2)
        m.mul_(first).add_(g, alpha=1 - first)
        if "v-of-g" in bugs:
            v.mul_(second).add_(g, alpha=1 - second)
        else:
            v.mul_(second).addcmul_(g, g, value=1 - second)
        t = t - 1 if "off-by-one-t" in bugs else t
        # A tensor divides by 0 without complaint.
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

    return adam_step


def adam_folded(bugs):
    """The corrections folded into the rate, as at the end of section 2 of the paper."""

    def adam_step(w, g, m, v, t, lr, beta1, beta2, eps):
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

    return adam_step


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


def in_float32(function):
    def cast(value):
        if isinstance(value, torch.Tensor):
            return value.float()
        return value.astype(np.float32) if isinstance(value, np.ndarray) else value

    return lambda *args: function(*map(cast, args))


every_style = pytest.mark.parametrize(
    "style", [style for styles in STYLES.values() for style in styles], ids=lambda s: s.__name__
)
precision = pytest.mark.parametrize("cast", [lambda f: f, in_float32], ids=["float64", "float32"])


def exercise_of(style):
    return next(name for name, styles in STYLES.items() if style in styles)


def check(name, function):
    return checks.EXERCISES[name](function)


# --- The three promises ------------------------------------------------------------------------------


@precision
@every_style
def test_no_false_alarm_in_any_style(style, cast):
    verdict = check(exercise_of(style), cast(style(set())))
    assert verdict.passed, verdict


@precision
@pytest.mark.parametrize(
    ("name", "bug", "style"),
    [
        pytest.param(name, bug, style, id=f"{style.__name__}-{bug}")
        for name, styles in STYLES.items()
        for bug in IDS[name]
        for style in styles
    ],
)
def test_every_mistake_is_named_in_every_style(name, bug, style, cast):
    verdict = check(name, cast(style({bug})))
    assert verdict.mistake == bug, verdict
    assert any(c.isdigit() for c in verdict.hint), "the hint quotes numbers"
    assert "That is not all" not in verdict.hint


@precision
@every_style
def test_of_two_mistakes_one_is_named(style, cast):
    name = exercise_of(style)
    for pair in itertools.combinations(IDS[name], 2):
        if set(pair) in NOT_BOTH:
            continue
        verdict = check(name, cast(style(set(pair))))
        assert verdict.mistake in pair, (pair, verdict)


def momentum_by_torch(w, g, v, lr, mu):
    p = torch.nn.Parameter(torch.tensor(w))
    p.grad = torch.tensor(g)
    optimizer = torch.optim.SGD([p], lr=lr, momentum=mu)
    optimizer.state[p]["momentum_buffer"] = torch.tensor(v)
    optimizer.step()
    return p.detach(), optimizer.state[p]["momentum_buffer"]


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
    if g == 0:  # an array has no single truth
        return w, beta1 * m, beta2 * v
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    return w - lr * (m / (1 - beta1**t)) / (math.sqrt(v / (1 - beta2**t)) + eps), m, v


def adam_for_matrices(w, g, m, v, t, lr, beta1, beta2, eps):
    new = np.empty((3, *w.shape))
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            new[:, i, j] = adam_for_one_number(
                w[i, j], g[i, j], m[i, j], v[i, j], t, lr, beta1, beta2, eps
            )
    return new[0], new[1], new[2]


def adam_written_into_what_came(w, g, m, v, t, lr, b1, b2, eps=1e-8):
    m[...] = b1 * m + (1 - b1) * g
    v[:] = b2 * v + (1 - b2) * np.square(g)
    w -= lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
    return [w, m, v]


RIGHT = {
    "momentum_step": [
        momentum_by_torch,
        lambda w, g, v, lr, mu: (
            (w - lr * mu * v - lr * g, np.fma(mu, v, g))
            if hasattr(np, "fma")
            else (w - lr * mu * v - lr * g, g + v * mu)
        ),
        lambda w, g, v, lr, mu: ((w - lr * (mu * v + g)).tolist(), (mu * v + g).tolist()),
        lambda w, g, v, lr, mu: np.stack([w - lr * (mu * v + g), mu * v + g]).tolist(),
        lambda weights, gradient, velocity, rate, momentum=0.9: [
            torch.as_tensor(weights)
            - rate * (v := momentum * torch.as_tensor(velocity) + gradient),
            v,
        ],
    ],
    "adam_step": [
        adam_by_torch,
        adam_for_one_number,
        adam_for_matrices,
        adam_written_into_what_came,
        lambda *a: tuple(x.tolist() for x in solutions.adam_step(*a)),
        lambda *a: tuple(torch.tensor(x, requires_grad=True) for x in solutions.adam_step(*a)),
        lambda w, *rest: solutions.adam_step(w.astype(np.longdouble), *rest),
    ],
}


@pytest.mark.parametrize(
    ("name", "function"),
    [
        pytest.param(name, function, id=f"{name}-{i}")
        for name, functions in RIGHT.items()
        for i, function in enumerate(functions)
    ],
)
def test_no_false_alarm_for_unusual_answers(name, function):
    verdict = check(name, function)
    assert verdict.passed, verdict


@pytest.mark.parametrize("exercise", day33.EXERCISES, ids=lambda e: e.name)
def test_the_ids_are_those_of_the_contract(exercise):
    assert {m.id for m in exercise.mistakes} - {"wrong"} == set(IDS[exercise.name])


@settings(deadline=None)
@given(
    name=st.sampled_from(sorted(STYLES)),
    which=st.integers(0, 3),
    float32=st.booleans(),
    spoil=st.sampled_from(["none", "add", "scale", "entry", "zero"]),
    output=st.integers(0, 2),
    amount=st.floats(0.02, 5),
    seed=st.integers(0, 99),
)
def test_random_right_and_wrong_answers_never_fool_it(
    name, which, float32, spoil, output, amount, seed
):
    right = STYLES[name][which](set())
    right = in_float32(right) if float32 else right

    def submission(*args):
        values = [np.array(value, dtype=float) for value in right(*args)]
        value = values[output % len(values)]
        rng = np.random.default_rng(seed)
        if spoil == "add":
            value += amount * np.abs(value).max()
        elif spoil == "scale":
            value *= 1 + amount
        elif spoil == "zero":
            value *= 0
        elif spoil == "entry":
            value[rng.integers(value.size)] += amount * np.abs(value).max()
        return values

    verdict = check(name, submission)
    assert verdict.passed == (spoil == "none"), verdict


@pytest.mark.parametrize("name", sorted(STYLES))
def test_no_two_mistakes_leave_the_same_numbers(name):
    """Or the one that is listed later could never be named."""
    exercise = checks.EXERCISES[name]
    variants = [(mistake, way) for mistake in exercise.mistakes for way in mistake.variants]
    for mistake, way in variants:
        verdict = exercise(lambda *args, way=way: exercise.right(*args, **way))
        assert verdict.mistake == mistake.id
        assert mistake.explanation in verdict.hint


# --- Scenes that learners meet ------------------------------------------------------------------------


def test_the_other_convention_is_told_that_its_idea_is_right():
    verdict = checks.momentum_step(momentum_arrays({"other-convention"}))
    assert not verdict.passed
    assert "The idea is right and the bookkeeping another" in verdict.hint


def lost_in_another_name(w, g, v, lr, mu):
    velocity = mu * v + g
    w = w - lr * velocity
    return w, v


def lost_for_want_of_a_return(w, g, v, lr, mu):
    v = mu * v + g
    return w - lr * v


def test_a_velocity_that_is_not_handed_on_is_lost():
    verdict = checks.momentum_step(lost_in_another_name)
    assert verdict.mistake == "velocity-lost"
    assert "w came out right; v did not" in verdict.hint


def test_one_array_where_two_are_asked_is_of_the_wrong_type():
    verdict = checks.momentum_step(lost_for_want_of_a_return)
    assert verdict.mistake == "wrong-type"
    assert "(w, v)" in verdict.hint


@pytest.mark.parametrize("name", sorted(STYLES))
def test_the_gradient_may_not_be_changed(name):
    def submission(w, g, *rest):
        out = check_free(w.copy(), g.copy(), *rest)
        g *= 0
        return out

    check_free = getattr(solutions, name)
    assert check(name, submission).mistake == "modifies-input"


def test_a_first_step_that_divides_by_zero_is_off_by_one():
    def submission(w, g, m, v, t, lr, beta1, beta2, eps):
        t -= 1
        w, g, m, v = (x.tolist() for x in (w, g, m, v))
        out = [
            adam_for_one_number(*entry, t, lr, beta1, beta2, eps)
            for entry in zip(w, g, m, v, strict=True)
        ]
        return tuple(zip(*out, strict=True))

    assert checks.adam_step(submission).mistake == "off-by-one-t"


@pytest.mark.parametrize("which", ["m", "v"])
def test_one_corrected_moment_is_enough_to_be_named(which):
    def submission(w, g, m, v, t, lr, beta1, beta2, eps):
        w, m, v = solutions.adam_step(w, g, m, v, t, lr, beta1, beta2, eps)
        m = m / (1 - beta1**t) if which == "m" else m
        v = v / (1 - beta2**t) if which == "v" else v
        return w, m, v

    verdict = checks.adam_step(submission)
    assert verdict.mistake == "corrects-stored-moments"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda a: (*a[:8], 0.0), "ε plays no part"),
        (lambda a: (*a[:8], 1e-8), "ε plays no part"),
        (lambda a: (*a[:5], 1.0, *a[6:]), "whatever the learning rate"),
    ],
)
def test_a_setting_that_plays_no_part_is_said(change, says):
    verdict = checks.adam_step(lambda *a: solutions.adam_step(*change(a)))
    assert verdict.mistake == "wrong"
    assert says in verdict.hint


def test_a_function_that_only_takes_tensors_is_read_with_its_own_error():
    def submission(w, g, v, lr, mu):
        v = v.mul(mu).add(g)
        return w.sub_(undefined_rate * v), v  # noqa: F821

    verdict = checks.momentum_step(submission)
    assert verdict.mistake == "raised"
    assert "undefined_rate" in verdict.hint


# --- Styles that the checks' variants were not built from ------------------------------------------------


def sgd_of_torch(fresh=False, **options):
    def momentum_step(w, g, v, lr, mu):
        options_of_this_call = {
            key: mu if value == "mu" else value for key, value in options.items()
        }
        p = torch.nn.Parameter(torch.tensor(w))
        p.grad = torch.tensor(g)
        optimizer = torch.optim.SGD([p], lr=lr, momentum=mu, **options_of_this_call)
        if not fresh:
            optimizer.state[p]["momentum_buffer"] = torch.tensor(v)
        optimizer.step()
        return p.detach(), optimizer.state[p]["momentum_buffer"]

    return momentum_step


def look_ahead(w, g, v, lr, mu):
    before = v.copy()
    v *= mu
    v -= lr * g
    w += (1 + mu) * v - mu * before
    return w, v


def step_then_update(w, g, v, lr, mu):
    w = w - lr * v
    v = mu * v + g
    return w, v


def divided_again(w, g, v, lr, mu):
    v = mu * v + (1 - mu) * g
    return w - lr * v / (1 - mu), v


@pytest.mark.parametrize(
    ("function", "mistake"),
    [
        (sgd_of_torch(), None),
        (sgd_of_torch(nesterov=True), "nesterov"),
        (sgd_of_torch(dampening="mu"), "damped"),
        (sgd_of_torch(maximize=True), "ascent"),
        (sgd_of_torch(fresh=True), "velocity-lost"),
        (look_ahead, "nesterov"),
        (step_then_update, "old-velocity"),
        (divided_again, "damped"),
        (lambda w, g, v, lr, mu: (w + lr * (mu * v - g), mu * v - g), "other-convention"),
        (lambda w, g, v, lr, mu: (w - lr * (mu * g + g), mu * g + g), "velocity-lost"),
        (lambda w, g, v, lr, mu: (w - lr * (v + g), v + g), "wrong"),
        (lambda w, g, v, lr, mu: (w - lr * mu * v, mu * v), "wrong"),
        (lambda w, g, v, lr, mu: (w - lr * (mu * v + g), lr * (mu * v + g)), "wrong"),
    ],
)
def test_momentum_in_other_hands(function, mistake):
    verdict = checks.momentum_step(function)
    assert verdict.mistake == mistake, verdict


def adam(
    m="b1 * m + (1 - b1) * g",
    v="b2 * v + (1 - b2) * g**2",
    hats="m / (1 - b1**t), v / (1 - b2**t)",
    step="w - lr * mh / (np.sqrt(vh) + eps)",
    before="pass",
    answer="w, m, v",
):
    """Adam with one of its lines written in another way."""
    lines = (before, f"m = {m}", f"v = {v}", f"mh, vh = {hats}", f"w = {step}", f"return {answer}")
    source = "def adam_step(w, g, m, v, t, lr, b1, b2, eps):\n " + "\n ".join(lines)
    names = {"np": np, "math": math}
    exec(source, names)
    return names["adam_step"]


FOLDED = "w - lr * math.sqrt(1 - b2**t) / (1 - b1**t) * m / (np.sqrt(v) + eps)"


@pytest.mark.parametrize(
    ("function", "mistake"),
    [
        (adam(), None),
        (adam(step=FOLDED), None),
        (adam(step=FOLDED.replace("+ eps", "+ eps * math.sqrt(1 - b2**t)")), None),
        (adam(step=FOLDED.replace("np.sqrt(v)", "v")), "no-root"),
        (adam(step=FOLDED.replace("(1 - b1**t)", "1")), "only-v-corrected"),
        (adam(step=FOLDED.replace("math.sqrt(1 - b2**t)", "1")), "only-m-corrected"),
        (adam(before="t = max(t - 1, 1)"), "off-by-one-t"),
        (adam(before="b1, b2 = b2, b1"), "swapped-betas"),
        (adam(hats="m / (1 - b2**t), v / (1 - b1**t)"), "swapped-betas"),
        (adam(v="b2 * v + (1 - b2) * abs(g)"), "v-of-g"),
        (adam(v="b2 * v + (1 - b2) * g", step="w - lr * mh / (abs(vh)**0.5 + eps)"), "v-of-g"),
        (adam(hats="np.divide(m, 1 - b1**t, m), np.divide(v, 1 - b2**t, v)"),
         "corrects-stored-moments"),
        (adam(step="w - lr * mh * (vh + eps)**-0.5"), "eps-inside-root"),
        (adam(step="w - lr * mh / np.sqrt(vh) + eps"), "wrong"),
        (adam(hats="m * (1 - b1**t), v * (1 - b2**t)"), "wrong"),
        (adam(m="b1 * m + g"), "wrong"),
        (adam(v="b2 * v + (1 - b2) * (g**2).mean()"), "wrong"),
        (adam(step="w - lr * g / (np.sqrt(vh) + eps)"), "wrong"),
        (adam(answer="w, v, m"), "wrong"),
        (adam(answer="w, m"), "wrong-shape"),
        (adam(answer="w"), "wrong-type"),
    ],
)  # fmt: skip
def test_adam_in_other_hands(function, mistake):
    verdict = checks.adam_step(function)
    assert verdict.mistake == mistake, verdict


# --- lr_sweep ------------------------------------------------------------------------------------------

GRID = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0]
SGD, ADAM = "SGD", "Adam"

RIGHT_SWEEPS = {
    "plain": ({SGD: 0.1, ADAM: 0.003}, GRID),
    "unsorted": ({SGD: 0.1, ADAM: 0.003}, GRID[3:] + GRID[:3]),
    "logspace": ({SGD: 10**-0.5, ADAM: 0.00316}, np.logspace(-4, 1, 11)),
    "float32": ({SGD: np.float32(0.1), ADAM: np.float32(0.003)}, GRID),
    "tensor": ({SGD: torch.tensor(0.1), ADAM: torch.tensor([0.003])}, torch.tensor(GRID)),
    "grids": ({SGD: 0.1, ADAM: 0.003}, {SGD: GRID[2:], ADAM: GRID[:4]}),
    "scores": ({SGD: 0.1, ADAM: 0.003}, {SGD: dict.fromkeys(GRID, 0.9), ADAM: (0.001, 0.003, 1)}),
    "three": ({SGD: 0.1, "momentum": 0.03, ADAM: 0.03}, tuple(GRID)),
    "exact": ({SGD: fractions.Fraction(1, 10), ADAM: decimal.Decimal("0.003")}, GRID),
    "powers": ({SGD: 2**-3, ADAM: 2**-9}, (2.0**k for k in range(-12, 1))),
    "rounded": ({SGD: 0.1 + 1e-17, ADAM: 3 * 0.001}, GRID),
}


@pytest.mark.parametrize("sweep", RIGHT_SWEEPS.values(), ids=RIGHT_SWEEPS)
def test_a_good_sweep_passes_in_any_form(sweep):
    verdict = checks.lr_sweep(*sweep)
    assert verdict.passed, verdict


def test_a_sweep_may_be_handed_over_by_name():
    assert checks.lr_sweep(best_lr_by_optimizer={SGD: 0.1, ADAM: 0.003}, grid=GRID)


EDGES = {
    "largest": ({SGD: 1.0, ADAM: 0.003}, GRID),
    "smallest": ({SGD: 0.1, ADAM: 0.001}, GRID),
    "unsorted": ({SGD: 0.1, ADAM: 0.001}, GRID[3:] + GRID[:3]),
    "rounded": ({SGD: 0.316, ADAM: 0.003}, 10 ** np.linspace(-4, -0.5, 8)),
    "own grid": ({SGD: 0.03, ADAM: 0.003}, {SGD: [0.03, 0.1, 0.3], ADAM: GRID}),
    "two rates": ({SGD: 0.1, ADAM: 0.01}, [0.1, 0.01]),
    "tensor": ({SGD: torch.tensor(1.0), ADAM: 0.01}, np.float32(GRID)),
}


@pytest.mark.parametrize("sweep", EDGES.values(), ids=EDGES)
def test_a_rate_at_the_end_of_its_grid_is_named(sweep):
    verdict = checks.lr_sweep(*sweep)
    assert verdict.mistake == "edge-of-grid", verdict
    assert any(c.isdigit() for c in verdict.hint)


SHARED = {
    "plain": ({SGD: 0.01, ADAM: 0.01}, GRID),
    "rounded": ({SGD: 0.0316, ADAM: 10**-1.5}, np.logspace(-4, 0, 9)),
    "types": ({SGD: np.float32(0.1), ADAM: torch.tensor(0.1)}, GRID),
    "three": ({SGD: 0.01, "momentum": 0.01, ADAM: 0.01}, GRID),
    "own grids": ({SGD: 0.03, ADAM: 0.03}, {SGD: GRID[2:], ADAM: GRID[:5]}),
}


@pytest.mark.parametrize("sweep", SHARED.values(), ids=SHARED)
def test_one_rate_for_all_is_named(sweep):
    verdict = checks.lr_sweep(*sweep)
    assert verdict.mistake == "shared-lr", verdict
    assert any(c.isdigit() for c in verdict.hint)


def test_of_an_edge_and_a_shared_rate_one_is_named():
    assert checks.lr_sweep({SGD: 1.0, ADAM: 1.0}, GRID).mistake in ("edge-of-grid", "shared-lr")


OTHERS = {
    "nothing": (None, GRID, "not-attempted"),
    "ellipsis": (..., GRID, "not-attempted"),
    "empty": ({}, GRID, "not-attempted"),
    "blank": ({SGD: None, ADAM: None}, GRID, "not-attempted"),
    "half": ({SGD: 0.1, ADAM: ...}, GRID, "not-attempted"),
    "number": (0.1, GRID, "wrong-type"),
    "pairs": ([(SGD, 0.1), (ADAM, 0.01)], GRID, "wrong-type"),
    "function": (lambda: {SGD: 0.1}, GRID, "wrong-type"),
    "text": ({SGD: "0.1", ADAM: 0.01}, GRID, "wrong-type"),
    "list": ({SGD: [0.1, 0.2], ADAM: 0.01}, GRID, "wrong-type"),
    "no grid": ({SGD: 0.1, ADAM: 0.01}, None, "wrong-type"),
    "text for a grid": ({SGD: 0.1, ADAM: 0.01}, "0.1, 0.01", "wrong-type"),
    "table for a grid": ({SGD: 0.1, ADAM: 0.01}, [GRID, GRID], "wrong-type"),
    "nan": ({SGD: float("nan"), ADAM: 0.01}, GRID, "not-finite"),
    "infinite": ({SGD: 0.1, ADAM: np.inf}, GRID, "not-finite"),
    "infinite grid": ({SGD: 0.1, ADAM: 0.01}, [*GRID, np.inf], "not-finite"),
    "never tried": ({SGD: 0.05, ADAM: 0.01}, GRID, "wrong"),
    "beyond": ({SGD: 10.0, ADAM: 0.01}, GRID, "wrong"),
    "negative": ({SGD: -0.1, ADAM: 0.01}, GRID, "wrong"),
    "one only": ({SGD: 0.1}, GRID, "wrong"),
    "one missing": ({SGD: 0.1}, {SGD: GRID, ADAM: GRID}, "wrong"),
    "one unknown": ({SGD: 0.1, ADAM: 0.01, "RMSprop": 0.01}, {SGD: GRID, ADAM: GRID}, "wrong"),
    "empty grid": ({SGD: 0.1, ADAM: 0.01}, [], "wrong"),
}


@pytest.mark.parametrize(("best", "grid", "mistake"), OTHERS.values(), ids=OTHERS)
def test_what_is_no_sweep_is_caught(best, grid, mistake):
    verdict = checks.lr_sweep(best, grid)
    assert (verdict.passed, verdict.mistake) == (False, mistake)
    assert verdict.hint


@given(
    exponents=st.lists(st.integers(-12, 3), min_size=4, max_size=9, unique=True),
    data=st.data(),
    float32=st.booleans(),
)
def test_random_sweeps_are_judged_by_where_the_rates_lie(exponents, data, float32):
    grid = [10.0 ** (k / 3) for k in exponents]
    grid = np.float32(grid) if float32 else grid
    chosen = data.draw(st.lists(st.sampled_from(exponents), min_size=2, max_size=3))
    best = {f"optimizer {i}": 10 ** (k / 3) for i, k in enumerate(chosen)}
    verdict = checks.lr_sweep(best, grid)
    ends = {min(exponents), max(exponents)}
    expected = {"edge-of-grid"} if ends & set(chosen) else set()
    expected |= {"shared-lr"} if len(set(chosen)) == 1 else set()
    assert verdict.mistake in (expected or {None}), verdict


def test_a_second_try_at_the_sweep_gets_a_more_direct_hint():
    checks.lr_sweep({SGD: 0.1, ADAM: 0.003}, GRID)  # a pass starts the hints again
    first = checks.lr_sweep({SGD: 1.0, ADAM: 0.003}, GRID).hint
    second = checks.lr_sweep({SGD: 0.1, ADAM: 0.001}, GRID).hint
    assert "Add rates beyond that end" not in first
    assert "Add rates beyond that end" in second
    assert "For SGD you chose 1" in first
    assert "For Adam you chose 0.001" in second


def test_the_solution_of_the_sweep_gives_an_answer_that_passes():
    scores = {
        SGD: dict(zip(GRID, [0.2, 0.4, 0.6, 0.8, 0.9, 0.7, 0.1], strict=True)),
        ADAM: dict(zip(GRID, [0.8, 0.9, 0.7, 0.5, 0.3, 0.1, 0.1], strict=True)),
    }
    assert checks.lr_sweep(solutions.lr_sweep(scores), GRID).passed
    assert "max(" in checks.solution("lr_sweep").text


def test_a_question_gives_hints_and_counts_in_the_progress():
    checks.lr_sweep(None, None)
    assert "own runs" in checks.hint("lr_sweep")
    checks.lr_sweep({SGD: 0.1, ADAM: 0.003}, GRID)
    assert checks.progress().passed["lr_sweep"]
    assert "Day 33" in repr(checks.lr_sweep)
