"""The checks of Day 29 name every mistake in several styles and pass every right answer.

The submissions are independent of the variants in the checks. Each exercise has three styles
(arrays, loops, another algebra); a style takes the set of bugs to inject.
"""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from nnweek import checks
from support.promises import cases, only_right_answers_pass, promises
from support.submissions import (
    backward_arrays,
    backward_loops,
    backward_sums,
    first_verdict,
    forward_arrays,
    numerical_steps,
    style,
)

IDS = {
    "softmax": "no-max-subtraction wrong-axis global-normalisation global-max no-normalisation "
    "log-softmax",
    "cross_entropy": "sum-not-mean mean-over-classes sign log-of-zero log-base all-classes",
    "forward": "missing-relu relu-on-scores missing-b1 missing-b2 softmax-included sigmoid-instead",
    "backward": "no-batch-average mean-over-classes sign one-hot-not-subtracted bias-mean "
    "bias-wrong-axis missing-relu-mask mask-from-gradient uses-input-for-dW2 "
    "probs-not-softmaxed swapped-order",
    "numerical_gradient": "one-sided missing-factor-two sign not-restored all-at-once "
    "integer-truncation only-first-axis",
    "sgd_step": "ascent ignores-lr first-only scaled-twice returns-step",
}
IDS = {name: ids.split() for name, ids in IDS.items()}


@style
def softmax_arrays(bugs, logits):
    z = logits
    if "global-max" in bugs:
        z = z - z.max()
    elif "no-max-subtraction" not in bugs:
        z = z - np.amax(z, axis=-1)[:, np.newaxis]
    e = np.exp(z)
    if "global-normalisation" in bugs:
        p = e / e.sum()
    elif "no-normalisation" in bugs:
        p = e
    elif "wrong-axis" in bugs:
        p = e / e.sum(axis=0)
    else:
        p = e / e.sum(axis=1).reshape(-1, 1)
    return np.log(p) if "log-softmax" in bugs else p


@style
def softmax_loops(bugs, logits):
    table = logits.tolist()
    N, C = len(table), len(table[0])
    highest = max(max(row) for row in table)
    exps = []
    for row in table:
        top = highest if "global-max" in bugs else max(row)
        top = 0 if "no-max-subtraction" in bugs else top
        exps.append([math.exp(v - top) for v in row])
    out = [[0.0] * C for _ in range(N)]
    for n in range(N):
        for c in range(C):
            total = sum(exps[n])
            if "wrong-axis" in bugs:
                total = sum(exps[k][c] for k in range(N))
            if "global-normalisation" in bugs:
                total = sum(map(sum, exps))
            if "no-normalisation" in bugs:
                total = 1
            out[n][c] = exps[n][c] / total if total else math.nan
            if "log-softmax" in bugs:
                out[n][c] = math.log(out[n][c]) if out[n][c] else -math.inf
    return out


@style
def softmax_by_logarithms(bugs, logits):
    axis = 0 if "wrong-axis" in bugs else 1
    shift = np.max(logits, axis=axis, keepdims=True)
    if "global-max" in bugs:
        shift = np.full_like(shift, logits.max())
    if "no-max-subtraction" in bugs:
        shift = np.zeros_like(shift)
    z = logits - shift
    if "no-normalisation" in bugs:
        logs = z
    elif "global-normalisation" in bugs:
        logs = z - np.log(np.exp(z).sum())
    else:
        logs = z - np.log(np.exp(z).sum(axis=axis, keepdims=True))
    return logs if "log-softmax" in bugs else np.exp(logs)


@style
def cross_entropy_arrays(bugs, probs, y):
    p = probs if "log-of-zero" in bugs else np.clip(probs, 1e-9, None)
    logs = np.log10(p) if "log-base" in bugs else np.log(p)
    if "all-classes" not in bugs:
        logs = np.take_along_axis(logs, y[:, None], axis=1)
    total = np.sum(logs) if "sum-not-mean" in bugs else np.mean(logs)
    if "mean-over-classes" in bugs:
        total = total / probs.shape[1]
    return total if "sign" in bugs else -total


@style
def cross_entropy_loops(bugs, probs, y):
    log = math.log2 if "log-base" in bugs else math.log
    total, count = 0.0, 0
    for n in range(len(y)):
        classes = range(probs.shape[1]) if "all-classes" in bugs else [int(y[n])]
        for c in classes:
            p = float(probs[n][c])
            total += log(p if "log-of-zero" in bugs else p + 1e-12)
            count += 1
    if "mean-over-classes" in bugs:
        total /= len(probs[0])
    if "sum-not-mean" not in bugs:
        total /= count
    return total if "sign" in bugs else -total


@style
def cross_entropy_one_hot(bugs, probs, y):
    N, C = probs.shape
    Y = np.ones((N, C)) if "all-classes" in bugs else (np.arange(C) == y[:, None])
    logs = np.log(probs + (0 if "log-of-zero" in bugs else 1e-10))
    if "log-base" in bugs:
        logs = logs / np.log(2)
    per_example = (Y * logs).sum(axis=1)
    loss = per_example.sum() if "sum-not-mean" in bugs else per_example.sum() / N
    if "mean-over-classes" in bugs:
        loss = loss / C
    return loss * (1 if "sign" in bugs else -1)


@style
def forward_loops(bugs, X, W1, b1, W2, b2):
    result = []
    for x in X:
        hidden = []
        for j in range(W1.shape[1]):
            z = sum(x[d] * W1[d, j] for d in range(len(x)))
            z += 0 if "missing-b1" in bugs else b1[j]
            if "sigmoid-instead" in bugs:
                z = 1 / (1 + math.exp(-z))
            elif "missing-relu" not in bugs:
                z = max(z, 0)
            hidden.append(z)
        row = []
        for c in range(W2.shape[1]):
            s = 0 if "missing-b2" in bugs else b2[c]
            for j, h in enumerate(hidden):
                s += h * W2[j, c]
            row.append(max(0, s) if "relu-on-scores" in bugs else s)
        if "softmax-included" in bugs:
            total = sum(math.exp(s) for s in row)
            row = [math.exp(s) / total for s in row]
        result.append(row)
    return np.array(result)


@style
def forward_augmented(bugs, X, W1, b1, W2, b2):
    """Biases as an extra row of the weights, with an extra column of ones in the input."""
    ones = np.ones((X.shape[0], 1), dtype=X.dtype)
    first = np.vstack([W1, 0 * b1 if "missing-b1" in bugs else b1])
    second = np.vstack([W2, 0 * b2 if "missing-b2" in bugs else b2])
    z = np.hstack([X, ones]) @ first
    a = (np.abs(z) + z) / 2
    if "missing-relu" in bugs:
        a = z
    if "sigmoid-instead" in bugs:
        a = np.exp(-np.logaddexp(0, -z))
    s = np.hstack([a, ones]) @ second
    if "relu-on-scores" in bugs:
        s = np.clip(s, 0, np.inf)
    if "softmax-included" in bugs:
        s = s - s.max(axis=1, keepdims=True)
        s = np.exp(s - np.log(np.exp(s).sum(axis=1, keepdims=True)))
    return s


@style
def numerical_arrays(bugs, f, x, eps=1e-5):
    in_place = "not-restored" in bugs or "integer-truncation" in bugs
    x = x if in_place else x.astype(float)
    g = np.zeros(x.shape)
    places = list(np.ndindex(x.shape))
    if "only-first-axis" in bugs:
        places = range(x.shape[0])
    if "all-at-once" in bugs:
        places = [slice(None)]
    for place in places:
        old = np.copy(x[place])
        x[place] = old + eps
        up = f(x)
        x[place] = old if "one-sided" in bugs else old - eps
        down = f(x)
        if "not-restored" not in bugs:
            x[place] = old
        slope = (up - down) / (eps if {"one-sided", "missing-factor-two"} & bugs else 2 * eps)
        g[place] = -slope if "sign" in bugs else slope
    return g


@style
def numerical_recursive(bugs, f, x, eps=1e-5):
    x = np.array(x) if "integer-truncation" in bugs else np.array(x, dtype=np.float64)
    if "all-at-once" in bugs:
        return (f(x + eps) - f(x - eps)) / (2 * eps)

    def slope(index):
        old = x[index].copy()
        x[index] += eps
        above = f(x)
        x[index] -= eps if "one-sided" in bugs else 2 * eps
        below = f(x)
        x[index] = x[index] if "not-restored" in bugs else old
        width = eps if {"one-sided", "missing-factor-two"} & bugs else 2 * eps
        return (below - above) / width if "sign" in bugs else (above - below) / width

    def walk(index):
        if len(index) == (1 if "only-first-axis" in bugs else x.ndim):
            return slope(index)
        return [walk((*index, i)) for i in range(x.shape[len(index)])]

    g = np.array(walk(()))
    return g if g.shape == x.shape else g[:, None] * np.ones(x.shape)


@style
def sgd_new_list(bugs, params, grads, lr):
    new = []
    for p, g in zip(params, grads, strict=True):
        step = g if "ignores-lr" in bugs else lr * g
        step = lr * step if "scaled-twice" in bugs else step
        p = p + step if "ascent" in bugs else p - step
        new.append(step if "returns-step" in bugs else p)
        if "first-only" in bugs:
            return new
    return new


@style
def sgd_in_place(bugs, params, grads, lr):
    lr = 0.01 if "ignores-lr" in bugs else lr
    lr = lr**2 if "scaled-twice" in bugs else lr
    for i in range(1 if "first-only" in bugs else len(params)):
        if "returns-step" in bugs:
            params[i] = -lr * grads[i]
        elif "ascent" in bugs:
            params[i] += lr * grads[i]
        else:
            params[i] -= lr * grads[i]
    return params


@style
def sgd_entry_by_entry(bugs, params, grads, lr):
    out = []
    for k in range(len(params)):
        new = np.empty(params[k].shape)
        for index, value in np.ndenumerate(params[k]):
            move = float(grads[k][index]) * (0.3 if "ignores-lr" in bugs else lr)
            move *= lr if "scaled-twice" in bugs else 1
            move *= -1 if "ascent" in bugs else 1
            start = 0 if "returns-step" in bugs else value
            new[index] = value if "first-only" in bugs and k else start - move
        out.append(new)
    return tuple(out)


STYLES = {
    "softmax": (softmax_arrays, softmax_loops, softmax_by_logarithms),
    "cross_entropy": (cross_entropy_arrays, cross_entropy_loops, cross_entropy_one_hot),
    "forward": (forward_arrays, forward_loops, forward_augmented),
    "backward": (backward_arrays, backward_loops, backward_sums),
    "numerical_gradient": (numerical_arrays, numerical_steps, numerical_recursive),
    "sgd_step": (sgd_new_list, sgd_in_place, sgd_entry_by_entry),
}
NOT_BOTH = ({"ignores-lr", "scaled-twice"},)  # they cancel: no lr, then times lr


(
    test_every_mistake_is_named,
    test_right_answers_pass,
    test_one_of_two_mistakes_is_named,
    test_ids_are_those_of_the_contract,
) = promises(IDS, STYLES, not_both=NOT_BOTH, numeric=True)
test_random_answer_passes_only_if_it_is_right = only_right_answers_pass(STYLES)


def autograd_backward(X, y, *parameters):
    leaves = [torch.tensor(p, requires_grad=True) for p in parameters]
    W1, b1, W2, b2 = leaves
    scores = torch.relu(torch.tensor(X) @ W1 + b1) @ W2 + b2
    torch.nn.functional.cross_entropy(scores, torch.tensor(y)).backward()
    return tuple(p.grad for p in leaves)


def numerical_backward(X, y, *parameters):
    def loss(k, value):
        network = [value if i == k else p for i, p in enumerate(parameters)]
        return right_cross_entropy(right_softmax(forward_arrays(set())(X, *network)), y)

    return [right_gradient(lambda p, k=k: loss(k, p), p) for k, p in enumerate(parameters)]


def restored_by_arithmetic(f, x, eps=1e-5):
    x = x if x.dtype.kind == "f" else x.astype(float)
    g = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        x[i] += eps
        g[i] = f(x)
        x[i] -= 2 * eps
        g[i] -= f(x)
        x[i] += eps
    return g / (2 * eps)


right_softmax, right_cross_entropy = softmax_arrays(set()), cross_entropy_arrays(set())
right_backward, right_gradient = backward_arrays(set()), numerical_arrays(set())
RIGHT = {
    "softmax": [
        lambda z: torch.softmax(torch.as_tensor(z), dim=1),
        lambda z, axis=1: np.exp(z - np.logaddexp.reduce(z, axis=axis, keepdims=True)),
        lambda z: [np.exp(row - row.max()) / np.exp(row - row.max()).sum() for row in z],
        lambda z: 1 / np.exp(z[:, None, :] - z[:, :, None]).sum(axis=2),
        lambda z: np.apply_along_axis(lambda r: np.exp(r - max(r)) / sum(np.exp(r - max(r))), 1, z),
        lambda z: np.asmatrix(right_softmax(z)),
        lambda z: np.ma.masked_array(right_softmax(z)),
        lambda z: torch.as_tensor(z, dtype=torch.float32).requires_grad_().softmax(-1),
    ],
    "cross_entropy": [
        lambda p, y: torch.nn.functional.nll_loss(
            torch.as_tensor(p).clamp_min(1e-30).log(), torch.as_tensor(y)
        ),
        lambda p, y: np.float32(right_cross_entropy(p, y)),
        lambda p, y: Fraction(right_cross_entropy(p, y)),
        lambda p, y: np.array([right_cross_entropy(p, y)]),
        lambda p, y: np.log(1 / (p[range(len(y)), y] + 1e-300)).mean(),
        lambda p, y: np.mean([-math.log(max(row[k], 1e-7)) for row, k in zip(p, y, strict=True)]),
        lambda p, y: -np.trace(np.log(p[:, y] + 1e-15)) / len(y),
    ],
    "forward": [
        lambda X, W1, b1, W2, b2: np.fmax(X @ W1 + b1, 0) @ W2 + b2,
        lambda X, W1, b1, W2, b2: torch.relu(torch.tensor(X @ W1 + b1)) @ torch.tensor(W2) + b2,
        lambda X, W1, b1, W2, b2: [np.maximum(0, x @ W1 + b1) @ W2 + b2 for x in X],
        lambda X, W1, b1, W2, b2: (W2.T @ np.maximum(0, W1.T @ X.T + b1[:, None]) + b2[:, None]).T,
        lambda X, W1, b1, W2, b2, slope=0: np.maximum(slope, X @ W1 + b1) @ W2 + b2,
    ],
    "backward": [
        lambda *a: [g.tolist() for g in right_backward(*a)],
        lambda *a: tuple(torch.tensor(g) for g in right_backward(*a)),
        lambda *a: tuple(np.asfortranarray(g, dtype=np.float32) for g in right_backward(*a)),
        lambda *a: tuple(np.asmatrix(g) for g in right_backward(*a)),
        autograd_backward,
        numerical_backward,
    ],
    "numerical_gradient": [
        lambda f, x, eps=1e-6: right_gradient(f, x, eps).tolist(),
        lambda f, x, eps=1e-4, *, verbose=False: torch.tensor(numerical_steps(set())(f, x, eps)),
        lambda f, x, eps=1e-5: np.reshape(
            [(f(x + e.reshape(x.shape)) - f(x - e.reshape(x.shape))) / (2 * eps)
             for e in eps * np.eye(x.size)], x.shape),
        lambda f, x, eps=1e-5: (
            (4 * right_gradient(f, x, eps) - right_gradient(f, x, 2 * eps)) / 3),
        restored_by_arithmetic,
    ],
    "sgd_step": [
        lambda params, grads, lr: [torch.tensor(p - lr * g) for p, g in zip(params, grads)],  # noqa: B905
        lambda params, grads, lr: list(map(lambda p, g: p - lr * g, params, grads)),
        lambda params, grads, lr: [(p - lr * g).tolist() for p, g in zip(params, grads)],  # noqa: B905
        lambda p, g, lr, momentum=0.0: [np.add(w, np.multiply(-lr, d)) for w, d in zip(p, g)],  # noqa: B905
    ],
}  # fmt: skip


@pytest.mark.parametrize(("name", "function"), cases(RIGHT))
def test_right_answer_passes_in_unusual_forms(name, function):
    verdict = first_verdict(name, function)
    assert verdict.passed, verdict


def test_every_exercise_has_five_right_answers():
    assert all(len(RIGHT[name]) + len(STYLES[name]) >= 5 for name in IDS)


def test_missing_average_quotes_the_factor_and_the_rows():
    hint = checks.backward(backward_arrays({"no-batch-average"})).hint
    assert "8 times too large" in hint
    assert "8 rows" in hint


@pytest.mark.parametrize("right_ones", [(0, 2), (1, 3), (0, 1), (3,)])
@pytest.mark.parametrize("bug", ["no-batch-average", "mean-over-classes", "sign"])
def test_mistake_in_some_of_the_gradients_is_named(bug, right_ones):
    right, wrong = right_backward, backward_loops({bug})

    def submission(*args):
        return [(right if i in right_ones else wrong)(*args)[i] for i in range(4)]

    assert checks.backward(submission).mistake == bug


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[1:])
def test_every_wrong_order_of_gradients_is_named(order):
    def submission(*args):
        gradients = backward_sums(set())(*args)
        return tuple(gradients[i] for i in order)

    assert checks.backward(submission).mistake == "swapped-order"


@pytest.mark.parametrize("step", [1e-3, 1e-4, 1e-6, 1e-7])
@pytest.mark.parametrize("side", [1, -1])
def test_one_sided_difference_is_named_for_any_step(step, side):
    one_sided = numerical_arrays({"one-sided"})
    verdict = checks.numerical_gradient(lambda f, x, eps=None: one_sided(f, x, side * step))
    assert verdict.mistake == "one-sided"


@pytest.mark.parametrize(
    ("step", "passed"), [(1e-6, True), (1e-5, True), (1e-4, True), (0.01, False), (1.0, False)]
)
def test_own_step_size_passes_if_it_is_small(step, passed):
    verdict = checks.numerical_gradient(lambda f, x, eps=None: right_gradient(f, x, step))
    assert verdict.passed == passed


def integers_that_raise(f, x, eps=1e-5):
    g = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[index] = eps
        x += step
        g[index] = f(x)
        x -= 2 * step
        g[index] -= f(x)
        x += step
    return g / (2 * eps)


def row_saved_as_a_view(f, x, eps=1e-5):
    x = x.astype(float)
    g = np.zeros_like(x)
    for i in range(len(x)):
        old = x[i]  # it moves along
        x[i] = old + eps
        above = f(x)
        x[i] = old - eps
        g[i] = (above - f(x)) / (2 * eps)
        x[i] = old
    return g


def bias_that_raises_unless_all_sizes_are_equal(*args):
    dW1, *_ = gradients = list(right_backward(*args))
    for i in (1, 3):
        gradients[i] = np.zeros(gradients[i].shape)
        gradients[i] += backward_arrays({"bias-wrong-axis"})(*args)[i]
    return gradients


def only_the_loop_variable(params, grads, lr):
    for p, g in zip(params, grads, strict=True):
        p = p - lr * g
    return params


def shifted_by(shift):
    def softmax(logits):
        exponentials = np.exp(logits - np.reshape(shift(logits), (-1, 1)))
        return exponentials / exponentials.sum(axis=1, keepdims=True)

    return softmax


UNUSUAL = {
    ("numerical_gradient", "integer-truncation"): [integers_that_raise],
    ("numerical_gradient", "only-first-axis"): [row_saved_as_a_view],
    ("backward", "bias-wrong-axis"): [bias_that_raises_unless_all_sizes_are_equal],
    # These fail only on probes that were built for one mistake.
    ("softmax", "no-max-subtraction"): [
        lambda z: softmax_arrays({"no-max-subtraction"})(np.clip(z, -500, 500)),
        lambda z: np.nan_to_num(softmax_arrays({"no-max-subtraction"})(z)),
        shifted_by(lambda z: z.min(axis=1)),
        shifted_by(lambda z: z.mean(axis=1)),
        shifted_by(lambda z: z[:, 0]),
        shifted_by(lambda z: np.median(z, axis=1)),
    ],
    ("cross_entropy", "log-of-zero"): [lambda p, y: -np.log(p[range(len(y)), y] + 1e-5).mean()],
    # These write into their arguments.
    ("softmax", "modifies-input"): [
        lambda z: right_softmax(np.subtract(z, z.max(1, keepdims=True), out=z)),
    ],
    ("cross_entropy", "modifies-input"): [
        lambda p, y: -np.log(np.maximum(p, 1e-12, out=p)[range(len(y)), y]).mean(),
    ],
    ("backward", "modifies-input"): [
        lambda X, y, W1, *p: (right_backward(X, y, W1, *p), np.negative(W1, out=W1))[0],
    ],
    ("sgd_step", "modifies-input"): [
        lambda p, g, lr: [w - np.multiply(d, lr, out=d) for w, d in zip(p, g)],  # noqa: B905
    ],
    # These have no name.
    ("softmax", "wrong"): [
        lambda z: np.zeros_like(z),
        lambda z: right_softmax(-z),
        lambda z: 1 / (1 + np.exp(-np.clip(z, -50, 50))),
    ],
    ("cross_entropy", "wrong"): [
        lambda p, y: 1.0,
        lambda p, y: -np.log(p[range(len(y)), y].mean()),
        lambda p, y: -(p * np.log(p + 1e-12)).sum(axis=1).mean(),
    ],
    ("forward", "wrong"): [
        lambda X, W1, b1, W2, b2: np.tanh(X @ W1 + b1) @ W2 + b2,
        lambda X, W1, b1, W2, b2: (np.maximum(X @ W1, 0) + b1) @ W2 + b2,
    ],
    ("backward", "wrong"): [
        lambda *a: [0 * g for g in right_backward(*a)],
        lambda X, y, *p: right_backward(X, np.roll(y, 1), *p),
    ],
    ("numerical_gradient", "wrong"): [
        lambda f, x, eps=1e-5: np.zeros(x.shape),
        lambda f, x, eps=1e-5: right_gradient(f, x, eps) * eps,
    ],
    ("sgd_step", "wrong"): [
        lambda params, grads, lr: params,
        lambda params, grads, lr: [p - lr * p for p in params],
    ],
}


@pytest.mark.parametrize(("name", "mistake", "function"), cases(UNUSUAL))
def test_unusual_mistake_gets_the_right_id(name, mistake, function):
    verdict = first_verdict(name, function)
    assert verdict.mistake == mistake, verdict
    assert mistake == "modifies-input" or any(c.isdigit() for c in verdict.hint), verdict


@pytest.mark.parametrize(
    ("name", "function", "phrase"),
    [
        ("backward", lambda *a: [g / len(a[0]) for g in right_backward(*a)], "divided by N twice"),
        ("sgd_step", only_the_loop_variable, "No parameter moved"),
    ],
)
def test_mistake_without_an_id_is_explained(name, function, phrase):
    verdict = first_verdict(name, function)
    assert verdict.mistake == "wrong"
    assert phrase in verdict.hint
