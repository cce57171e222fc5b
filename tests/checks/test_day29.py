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
from nnweek.checks import day29, solutions
from nnweek.gradcheck import draw_parameters
from support.promises import cases, only_right_answers_pass, promises
from support.submissions import (
    backward_arrays,
    backward_loops,
    backward_sums,
    first_verdict,
    forward_arrays,
    in_float32,
    numerical_steps,
    style,
)

IDS = {
    "softmax": "no-max-subtraction wrong-axis global-normalisation global-max no-normalisation "
    "log-softmax first-row-only",
    "cross_entropy": "sum-not-mean mean-over-classes sign log-of-zero log-base all-classes "
    "indexes-columns log-of-mean softmax-again last-example-only",
    "forward": "missing-relu relu-on-scores missing-b1 missing-b2 softmax-included sigmoid-instead "
    "shifted-scores",
    "backward": "no-batch-average mean-over-classes sign one-hot-not-subtracted bias-mean "
    "bias-wrong-axis missing-relu-mask mask-from-gradient uses-input-for-dW2 "
    "probs-not-softmaxed swapped-order factor-two factor-half relu-on-scores no-relu-anywhere "
    "indexes-columns one-hot-per-class assigns-in-loop mask-without-bias returns-updated-weights",
    "numerical_gradient": "one-sided missing-factor-two sign not-restored all-at-once "
    "only-first-axis precedence aliased-copies first-entry-only",
    "sgd_step": "ascent ignores-lr first-only scaled-twice returns-step",
    "layer_backward": "averaged-again bias-mean bias-wrong-axis transposed masked one-path "
    "swapped-order",
    "backward_mse": "softmax-kept sign no-batch-average mean-over-entries factor-two relu-kept "
    "mask-kept missing-slope slope-of-a slope-of-z no-square tanh-on-scores bias-mean",
    "backward3": "one-hot-not-subtracted no-batch-average sign missing-relu-mask skips-the-mask "
    "mask-from-gradient missing-relu uses-z-for-inputs bias-mean swapped-order",
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
    p = np.log(p) if "log-softmax" in bugs else p
    return p[0] if "first-row-only" in bugs else p


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
        if "first-row-only" in bugs:
            return out
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
    rows = []
    for row in logs:
        rows.append(row if "log-softmax" in bugs else np.exp(row))
        if "first-row-only" in bugs:
            break
    return rows


@style
def cross_entropy_arrays(bugs, probs, y):
    if "softmax-again" in bugs:
        probs = np.exp(probs) / np.exp(probs).sum(axis=1, keepdims=True)
    p = probs if "log-of-zero" in bugs else np.clip(probs, 1e-9, None)
    if "indexes-columns" in bugs:
        p = p[:, y]
    elif "all-classes" not in bugs:
        p = np.take_along_axis(p, y[:, None], axis=1)
    reduce = np.sum if "sum-not-mean" in bugs else np.mean
    log = np.log10 if "log-base" in bugs else np.log
    if "last-example-only" in bugs:
        p = p[-1]
    total = log(reduce(p)) if "log-of-mean" in bugs else reduce(log(p))
    if "mean-over-classes" in bugs:
        total = total / probs.shape[1]
    return total if "sign" in bugs else -total


@style
def cross_entropy_loops(bugs, probs, y):
    log = math.log2 if "log-base" in bugs else math.log
    total, mean, count = 0.0, 0.0, 0
    for n in range(len(y)):
        row = [float(p) for p in probs[n]]
        if "softmax-again" in bugs:
            row = [math.exp(p) / sum(map(math.exp, row)) for p in row]
        picked = [row[int(y[n])]]
        if "indexes-columns" in bugs:
            picked = [row[k] for k in y]
        if "all-classes" in bugs:
            picked = row
        if "last-example-only" in bugs:
            total, mean = 0.0, 0.0
        for p in picked:
            p = p if "log-of-zero" in bugs else p + 1e-12
            total += log(p)
            mean += p
            count += 1
    if "log-of-mean" in bugs:
        total = log(mean / (1 if "sum-not-mean" in bugs else count))
    elif "sum-not-mean" not in bugs:
        total /= count
    if "mean-over-classes" in bugs:
        total /= len(probs[0])
    return total if "sign" in bugs else -total


@style
def cross_entropy_one_hot(bugs, probs, y):
    N, C = probs.shape
    Y = np.ones((N, C)) if "all-classes" in bugs else (np.arange(C) == y[:, None])
    if "indexes-columns" in bugs:
        Y = np.zeros((N, C)) + np.bincount(y, minlength=C)
    if "softmax-again" in bugs:
        probs = right_softmax(probs)
    floor = 0 if "log-of-zero" in bugs else 1e-10
    if "log-of-mean" in bugs:
        mean = (Y * probs).sum() / (1 if "sum-not-mean" in bugs else N) + floor
        loss = np.log(mean) / np.log(2 if "log-base" in bugs else np.e)
        loss = loss / (C if "mean-over-classes" in bugs else 1)
        return loss * (1 if "sign" in bugs else -1)
    logs = np.log(probs + floor)
    if "log-base" in bugs:
        logs = logs / np.log(2)
    per_example = (Y * logs).sum(axis=1)
    loss = per_example.sum() if "sum-not-mean" in bugs else per_example.sum() / N
    if "last-example-only" in bugs:
        for row in Y * logs:
            loss = row.sum()
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
        if "shifted-scores" in bugs:
            row = [s - max(row) for s in row]
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
    return s - np.amax(s) if "shifted-scores" in bugs else s


@style
def forward_in_columns(bugs, X, W1, b1, W2, b2):
    """One example per column; the biases as columns."""
    z = W1.T @ X.T
    if "missing-b1" not in bugs:
        z += b1.T
    a = np.where(z < 0, 0, z)
    if "missing-relu" in bugs:
        a = z
    if "sigmoid-instead" in bugs:
        a = (1 + np.tanh(z / 2)) / 2
    s = W2.T @ a
    if "missing-b2" not in bugs:
        s += b2.T
    if "relu-on-scores" in bugs:
        s[s < 0] = 0
    if "softmax-included" in bugs:
        s = np.exp(s) / np.exp(s).sum(axis=0)
    if "shifted-scores" in bugs:
        s = s - s.max(axis=0)
    return s.T


@style
def backward_vectorised(bugs, X, y, W1, b1, W2, b2):
    """Biases of shape (1, H), gradients too."""
    N, C = len(X), W2.shape[1]
    z1 = X @ W1 + b1
    a1 = z1 if "no-relu-anywhere" in bugs else np.maximum(z1, 0)
    s = a1 @ W2 + b2
    if "relu-on-scores" in bugs:
        s = np.maximum(s, 0)
    e = np.exp(s - s.max(axis=1, keepdims=True))
    d = s.copy() if "probs-not-softmaxed" in bugs else e / e.sum(axis=1, keepdims=True)
    if "indexes-columns" in bugs:
        d[:, y] -= 1
    elif "one-hot-not-subtracted" not in bugs:
        for _ in range(C if "one-hot-per-class" in bugs else 1):
            d[np.arange(N), y] -= 1
    if "relu-on-scores" in bugs:
        d[s <= 0] = 0
    if "no-batch-average" not in bugs:
        d /= N
    d /= C if "mean-over-classes" in bugs else 1
    d *= 2 if "factor-two" in bugs else 1
    d /= 2 if "factor-half" in bugs else 1
    d *= -1 if "sign" in bugs else 1
    da = d @ W2.T
    mask = z1 > 0
    if "mask-without-bias" in bugs:
        mask = X @ W1 > 0
    if "mask-from-gradient" in bugs:
        mask = da > 0
    if {"missing-relu-mask", "no-relu-anywhere"} & bugs:
        mask = mask | True
    dz = da * mask
    h = z1 if "uses-input-for-dW2" in bugs else a1
    rows = [N - 1] if "assigns-in-loop" in bugs else range(N)
    dW1, dW2 = X[rows].T @ dz[rows], h[rows].T @ d[rows]
    db1, db2 = (
        each.sum(axis=1) if "bias-wrong-axis" in bugs else each[rows].sum(axis=0, keepdims=True)
        for each in (dz, d)
    )
    if "bias-mean" in bugs:
        db1, db2 = db1 / N, db2 / N
    if "returns-updated-weights" in bugs:
        dW1, db1, dW2, db2 = W1 - 0.5 * dW1, b1 - 0.5 * db1, W2 - 0.5 * dW2, b2 - 0.5 * db2
    return (db1, dW1, db2, dW2) if "swapped-order" in bugs else (dW1, db1, dW2, db2)


@style
def backward_by_examples(bugs, X, y, W1, b1, W2, b2):
    """One example after the other; biases of shape (H,)."""
    (N, D), (H, C) = X.shape, W2.shape
    dW1, db1, dW2, db2 = np.zeros((D, H)), np.zeros(H), np.zeros((H, C)), np.zeros(C)
    counts = [int((y == c).sum()) for c in range(C)]
    db1_of_rows, db2_of_rows = [], []
    for x, label in zip(X, y, strict=True):
        z = [x @ W1[:, j] + b1[j] for j in range(H)]
        linear = "no-relu-anywhere" in bugs
        a = np.array([v if v > 0 or linear else 0.0 for v in z])
        s = np.array([a @ W2[:, c] + b2[c] for c in range(C)])
        if "relu-on-scores" in bugs:
            s = np.clip(s, 0, None)
        p = s if "probs-not-softmaxed" in bugs else np.exp(s) / sum(np.exp(s))
        d = np.array(p)
        for c in range(C):
            if "indexes-columns" in bugs:
                d[c] -= counts[c]
            elif "one-hot-per-class" in bugs:
                d[label] -= 1
            elif c == label and "one-hot-not-subtracted" not in bugs:
                d[c] -= 1
        scale = 1 if "no-batch-average" in bugs else 1 / N
        scale *= 1 / C if "mean-over-classes" in bugs else 1
        scale *= {(True, False): 2, (False, True): 0.5}.get(
            ("factor-two" in bugs, "factor-half" in bugs), 1
        )
        d = d * (-scale if "sign" in bugs else scale)
        dz = np.zeros(H)
        for j in range(H):
            back = W2[j] @ d
            alive = z[j] > 0 or linear or "missing-relu-mask" in bugs
            if "mask-without-bias" in bugs:
                alive = z[j] - b1[j] > 0
            if "mask-from-gradient" in bugs:
                alive = back > 0
            dz[j] = back if alive else 0
        h = np.array(z) if "uses-input-for-dW2" in bugs else a
        if "assigns-in-loop" in bugs:
            dW1, db1, dW2, db2 = np.outer(x, dz), dz, np.outer(h, d), d
        else:
            dW1 += np.outer(x, dz)
            dW2 += np.outer(h, d)
            db1, db2 = db1 + dz, db2 + d
        db1_of_rows.append(sum(dz))
        db2_of_rows.append(sum(d))
    if "bias-wrong-axis" in bugs:
        db1, db2 = np.array(db1_of_rows), np.array(db2_of_rows)
    if "bias-mean" in bugs:
        db1, db2 = db1 / N, db2 / N
    grads = {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
    if "returns-updated-weights" in bugs:
        for key, p in zip(grads, (W1, b1, W2, b2), strict=True):
            grads[key] = p - 0.01 * grads[key]
    if "swapped-order" in bugs:
        return grads["dW2"], grads["db2"], grads["dW1"], grads["db1"]
    return list(grads.values())


@style
def backward_einsum(bugs, X, y, W1, b1, W2, b2):
    """One-hot labels, einsum, a column of ones for the biases."""
    N, C = X.shape[0], b2.size
    b1, b2 = b1.reshape(-1), b2.reshape(-1)
    z = np.einsum("nd,dh->nh", X, W1) + b1
    on = (z > 0).astype(float)
    a = z if "no-relu-anywhere" in bugs else z * on
    s = np.einsum("nh,hc->nc", a, W2) + b2
    s = (abs(s) + s) / 2 if "relu-on-scores" in bugs else s
    Y = np.eye(C)[y]
    if "indexes-columns" in bugs:
        Y[:, y] = 1
    elif "one-hot-per-class" in bugs:
        Y *= C
    elif "one-hot-not-subtracted" in bugs:
        Y *= 0
    p = s if "probs-not-softmaxed" in bugs else 1 / np.exp(s[:, None, :] - s[:, :, None]).sum(2)
    error = (Y - p) if "sign" in bugs else (p - Y)
    error = error * (2 if "factor-two" in bugs else 1) / (2 if "factor-half" in bugs else 1)
    back = np.einsum("nc,hc->nh", error, W2)
    if "mask-from-gradient" in bugs:
        on = np.sign(back) > 0
    elif "mask-without-bias" in bugs:
        on = z > b1
    elif {"missing-relu-mask", "no-relu-anywhere"} & bugs:
        on = a**2 >= 0
    back = back * on
    h = z if "uses-input-for-dW2" in bugs else a
    take = np.ones(N)
    if "assigns-in-loop" in bugs:
        take = np.eye(N)[-1]
    dW1 = np.einsum("n,nd,nh->dh", take, X, back)
    dW2 = np.einsum("n,nh,nc->hc", take, h, error)
    db1, db2 = np.einsum("n,nh->h", take, back), np.einsum("n,nc->c", take, error)
    if "bias-wrong-axis" in bugs:
        db1, db2 = np.einsum("nh->n", back), np.einsum("nc->n", error)
    if "bias-mean" in bugs:
        db1, db2 = db1 / N, db2 / N
    size = (1 if "no-batch-average" in bugs else N) * (C if "mean-over-classes" in bugs else 1)
    out = [g / size for g in (dW1, db1, dW2, db2)]
    if "returns-updated-weights" in bugs:
        out = [p + g for p, g in zip((W1, b1, W2, b2), out, strict=True)]
    return [out[0], out[2], out[1], out[3]] if "swapped-order" in bugs else out


def quotient(bugs, above, below, eps):
    """Return the slope; `precedence` in one of its two forms."""
    difference = below - above if "sign" in bugs else above - below
    if "precedence" in bugs:
        return difference / 2 * eps
    return difference / (eps if {"one-sided", "missing-factor-two"} & bugs else 2 * eps)


@style
def numerical_arrays(bugs, f, x, eps=1e-5):
    x = x if "not-restored" in bugs else x.astype(float)
    g = np.zeros(x.shape)
    places = list(np.ndindex(x.shape))
    if "only-first-axis" in bugs:
        places = range(x.shape[0])
    if "all-at-once" in bugs:
        places = [slice(None)]
    for place in places:
        old = np.copy(x[place])
        if "aliased-copies" in bugs:
            plus, minus = x, x
            plus[place] += eps
            minus[place] -= eps
            up, down = f(plus), f(minus)
        else:
            x[place] = old + eps
            up = f(x)
            x[place] = old if "one-sided" in bugs else old - eps
            down = f(x)
        if "not-restored" not in bugs:
            x[place] = old
        g[place] = quotient(bugs, up, down, eps)
        if "first-entry-only" in bugs:
            return g
    return g


@style
def numerical_recursive(bugs, f, x, eps=1e-5):
    x = np.array(x, dtype=np.float64)
    if "all-at-once" in bugs:
        return quotient(bugs, f(x + eps), f(x if "one-sided" in bugs else x - eps), eps)

    def slope(index):
        old = x[index].copy()
        plus = minus = x
        plus[index] += eps
        if "aliased-copies" not in bugs:
            above = f(plus)
        minus[index] -= eps if {"one-sided", "aliased-copies"} & bugs else 2 * eps
        if "aliased-copies" in bugs:
            above = f(plus)
        below = f(minus)
        x[index] = x[index] if "not-restored" in bugs else old
        return quotient(bugs, above, below, eps)

    def walk(index):
        if len(index) == (1 if "only-first-axis" in bugs else x.ndim):
            return slope(index)
        values = []
        for i in range(x.shape[len(index)]):
            values.append(walk((*index, i)))
            if "first-entry-only" in bugs:
                break
        return values

    g = np.array(walk(()))
    if "first-entry-only" in bugs:
        return g.item()
    return g if g.shape == x.shape else g[:, None] * np.ones(x.shape)


@style
def numerical_copies(bugs, f, x, eps=1e-5):
    """Two copies for every entry, on a flat copy of x."""
    flat = np.asarray(x, dtype=float).flatten()
    width = x[0].size if "only-first-axis" in bugs else 1
    width = x.size if "all-at-once" in bugs else width
    g = []
    for i in range(0, x.size, width):
        plus, minus = flat.copy(), flat.copy()
        if "aliased-copies" in bugs:
            plus = minus = flat
        if "not-restored" in bugs:
            plus = flat
        saved = plus[i : i + width].copy()
        plus[i : i + width] = saved + eps
        if "one-sided" not in bugs:
            minus[i : i + width] -= eps
        a, b = f(plus.reshape(x.shape)), f(minus.reshape(x.shape))
        g += [quotient(bugs, a, b, eps)] * width
        if "first-entry-only" in bugs:
            return np.array(g + [0.0] * (x.size - len(g))).reshape(x.shape)
    return np.array(g).reshape(x.shape)


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


@style
def layer_arrays(bugs, inputs, W, dz):
    N = len(dz)
    dW = np.dot(np.transpose(inputs), dz)
    db = dz.sum(1 if "bias-wrong-axis" in bugs else 0)
    db = db / N if "bias-mean" in bugs else db
    d_in = np.dot(dz, W.T)
    if "one-path" in bugs:
        d_in = dz[:, :1] * W[:, 0]
    if "masked" in bugs:
        d_in = d_in * (inputs > 0)
    if "averaged-again" in bugs:
        dW, db = dW / N, db / N
    dW = dW.T if "transposed" in bugs else dW
    return (d_in, dW, db) if "swapped-order" in bugs else (dW, db, d_in)


@style
def layer_loops(bugs, inputs, W, dz):
    N, n_in = inputs.shape
    n_out = dz.shape[1]
    scale = 1 / N if "averaged-again" in bugs else 1.0
    dW, db, d_in = np.zeros((n_in, n_out)), np.zeros((1, n_out)), np.zeros((N, n_in))
    per_example = np.zeros(N)
    for n in range(N):
        for j in range(n_out):
            db[0, j] += dz[n, j] * scale / (N if "bias-mean" in bugs else 1)
            per_example[n] += dz[n, j] * scale / (N if "bias-mean" in bugs else 1)
            for i in range(n_in):
                dW[i, j] += inputs[n, i] * dz[n, j] * scale
                if "masked" in bugs and inputs[n, i] <= 0:
                    continue
                if "one-path" in bugs and j > 0:
                    continue
                d_in[n, i] += W[i, j] * dz[n, j]
    db = per_example if "bias-wrong-axis" in bugs else db
    dW = dW.T if "transposed" in bugs else dW
    return [db, dW, d_in] if "swapped-order" in bugs else [dW, db, d_in]


@style
def layer_einsum(bugs, inputs, W, dz):
    scale = 1 / len(dz) if "averaged-again" in bugs else 1.0
    letters = "ji" if "transposed" in bugs else "ij"
    dW = scale * np.einsum(f"ni,nj->{letters}", inputs, dz)
    reduce = np.mean if "bias-mean" in bugs else np.sum
    db = scale * reduce(dz, axis=-1 if "bias-wrong-axis" in bugs else 0)
    weights = W.copy()
    if "one-path" in bugs:
        weights[:, :-1] = 0
    d_in = np.einsum("nj,ij->ni", dz, weights)
    if "masked" in bugs:
        d_in[inputs <= 0] = 0
    return (dW, d_in, db) if "swapped-order" in bugs else (dW, db, d_in)


# Mistakes of the hidden activation in `backward_mse`: a submission makes one of them.
SLOPES = ("relu-kept", "mask-kept", "missing-slope", "slope-of-a", "slope-of-z", "no-square")


def slope_with(bugs, z, a):
    """The slope of the hidden layer, entry by entry, with the mistakes in it."""
    if {"relu-kept", "mask-kept"} & bugs:
        return (z > 0) * 1.0
    if "missing-slope" in bugs:
        return np.ones_like(z)
    if "slope-of-a" in bugs:
        return 1 - np.tanh(a) ** 2
    if "slope-of-z" in bugs:
        return 1 - z * z
    return 1 - a if "no-square" in bugs else 1 - a * a


def error_with(bugs, s, T):
    """The gradient at the scores of one example or many, before any division."""
    if "softmax-kept" in bugs:
        s = np.exp(s) / np.exp(s).sum(axis=-1, keepdims=True)
    if "tanh-on-scores" in bugs:
        s = np.tanh(s)
    error = T - s if "sign" in bugs else s - T
    return 2 * error if "factor-two" in bugs else error


@style
def mse_arrays(bugs, X, T, W1, b1, W2, b2):
    N, C = T.shape
    z = np.dot(X, W1) + b1
    a = np.where(z > 0, z, 0) if "relu-kept" in bugs else np.tanh(z)
    d = error_with(bugs, np.dot(a, W2) + b2, T)
    d = d if "no-batch-average" in bugs else d / N
    d = d / C if "mean-over-entries" in bugs else d
    dz = np.dot(d, W2.T) * slope_with(bugs, z, a)
    reduce = np.mean if "bias-mean" in bugs else np.sum
    return np.dot(X.T, dz), reduce(dz, axis=0), np.dot(a.T, d), reduce(d, axis=0)


@style
def mse_loops(bugs, X, T, W1, b1, W2, b2):
    N, C = T.shape
    grads = [np.zeros(np.shape(p)) for p in (W1, b1, W2, b2)]
    for x, t in zip(X, T, strict=True):
        z = x @ W1 + np.ravel(b1)
        a = np.maximum(z, 0) if "relu-kept" in bugs else np.tanh(z)
        d = error_with(bugs, a @ W2 + np.ravel(b2), t)
        d = d / (1 if "no-batch-average" in bugs else N)
        d = d / (C if "mean-over-entries" in bugs else 1)
        dz = (W2 @ d) * slope_with(bugs, z, a)
        for k, (inputs, back) in enumerate(((x, dz), (a, d))):
            grads[2 * k] += np.outer(inputs, back)
            grads[2 * k + 1] += back / (N if "bias-mean" in bugs else 1)
    return grads


@style
def mse_by_layers(bugs, X, T, W1, b1, W2, b2):
    N = len(X)
    z = X @ W1 + b1
    a = z * (z > 0) if "relu-kept" in bugs else 2 / (1 + np.exp(-2 * z)) - 1
    d = error_with(bugs, a @ W2 + b2, T)
    scale = 1.0 if "no-batch-average" in bugs else 1 / N
    scale = scale / T.shape[1] if "mean-over-entries" in bugs else scale
    dW2, db2, da = solutions.layer_backward(a, W2, d * scale)
    dW1, db1, _ = solutions.layer_backward(X, W1, da * slope_with(bugs, z, a))
    if "bias-mean" in bugs:
        db1, db2 = db1 / N, db2 / N
    return dW1, db1, dW2, db2


@style
def three_arrays(bugs, X, y, W1, b1, W2, b2, W3, b3):
    N = len(X)
    z1 = X @ W1 + b1
    a1 = np.clip(z1, 0, None)
    z2 = a1 @ W2 + b2
    a2 = z2 if "missing-relu" in bugs else np.clip(z2, 0, None)
    p = right_softmax(a2 @ W3 + b3)
    if "one-hot-not-subtracted" not in bugs:
        p[np.arange(N), y] -= 1
    d = -p if "sign" in bugs else p
    d = d if "no-batch-average" in bugs else d / N
    da2 = d @ W3.T
    dz2 = da2 * (da2 > 0 if "mask-from-gradient" in bugs else z2 > 0)
    if {"missing-relu", "missing-relu-mask"} & bugs:
        dz2 = da2
    da1 = (da2 if "skips-the-mask" in bugs else dz2) @ W2.T
    dz1 = da1 * (da1 > 0 if "mask-from-gradient" in bugs else z1 > 0)
    h1, h2 = (z1, z2) if "uses-z-for-inputs" in bugs else (a1, a2)
    reduce = np.mean if "bias-mean" in bugs else np.sum
    out = [
        (X.T @ dz1, reduce(dz1, axis=0)),
        (h1.T @ dz2, reduce(dz2, axis=0)),
        (h2.T @ d, reduce(d, axis=0)),
    ]
    out = out[::-1] if "swapped-order" in bugs else out
    return tuple(itertools.chain(*out))


@style
def three_loops(bugs, X, y, *parameters):
    """One example after the other, and a loop over the layers."""
    N, weights, biases = len(X), parameters[::2], parameters[1::2]
    grads = [np.zeros(np.shape(p)) for p in parameters]
    for n in range(N):
        before, after = [], [X[n]]
        for k in range(3):
            before.append(after[-1] @ weights[k] + np.ravel(biases[k]))
            rectified = k < 2 and not (k == 1 and "missing-relu" in bugs)
            after.append(np.maximum(before[-1], 0) if rectified else before[-1])
        d = np.exp(after[-1]) / np.exp(after[-1]).sum()
        if "one-hot-not-subtracted" not in bugs:
            d[y[n]] -= 1
        d = d * (-1 if "sign" in bugs else 1) / (1 if "no-batch-average" in bugs else N)
        unmasked = None
        for k in (2, 1, 0):
            h = before[k - 1] if k and "uses-z-for-inputs" in bugs else after[k]
            grads[2 * k] += np.outer(h, d)
            grads[2 * k + 1] += d / (N if "bias-mean" in bugs else 1)
            if k == 0:
                continue
            down = weights[k] @ (unmasked if k == 1 and "skips-the-mask" in bugs else d)
            unmasked = down  # what the next round may use in place of d
            mask = down > 0 if "mask-from-gradient" in bugs else before[k - 1] > 0
            if "missing-relu-mask" in bugs or (k == 2 and "missing-relu" in bugs):
                mask = 1
            d = down * mask
    return grads[::-1] if "swapped-order" in bugs else grads


@style
def three_by_layers(bugs, X, y, W1, b1, W2, b2, W3, b3):
    N, C = len(X), W3.shape[1]
    z1 = X @ W1 + b1
    a1 = (np.abs(z1) + z1) / 2
    z2 = a1 @ W2 + b2
    a2 = z2 if "missing-relu" in bugs else (np.abs(z2) + z2) / 2
    Y = np.zeros((N, C)) if "one-hot-not-subtracted" in bugs else np.eye(C)[y]
    d = (right_softmax(a2 @ W3 + b3) - Y) / (1 if "no-batch-average" in bugs else N)
    d = -d if "sign" in bugs else d
    masks = [z1 > 0, z2 > 0]
    if "missing-relu-mask" in bugs:
        masks[0] = True
    if "missing-relu" in bugs:
        masks[1] = True
    h1, h2 = (z1, z2) if "uses-z-for-inputs" in bugs else (a1, a2)
    dW3, db3, da2 = solutions.layer_backward(h2, W3, d)
    dz2 = da2 * (da2 > 0 if "mask-from-gradient" in bugs else masks[1])
    dW2, db2, da1 = solutions.layer_backward(h1, W2, dz2)
    da1 = da2 @ W2.T if "skips-the-mask" in bugs else da1
    dW1, db1, _ = solutions.layer_backward(X, W1, da1 * masks[0])
    if "bias-mean" in bugs:
        db1, db2, db3 = db1 / N, db2 / N, db3 / N
    if "swapped-order" in bugs:
        return db1, dW1, db2, dW2, db3, dW3
    return dW1, db1, dW2, db2, dW3, db3


STYLES = {
    "softmax": (softmax_arrays, softmax_loops, softmax_by_logarithms),
    "cross_entropy": (cross_entropy_arrays, cross_entropy_loops, cross_entropy_one_hot),
    "forward": (forward_loops, forward_augmented, forward_in_columns),
    "backward": (backward_vectorised, backward_by_examples, backward_einsum),
    "numerical_gradient": (numerical_arrays, numerical_recursive, numerical_copies),
    "sgd_step": (sgd_new_list, sgd_in_place, sgd_entry_by_entry),
    "layer_backward": (layer_arrays, layer_loops, layer_einsum),
    "backward_mse": (mse_arrays, mse_loops, mse_by_layers),
    "backward3": (three_arrays, three_loops, three_by_layers),
}
NOT_BOTH = (
    {"ignores-lr", "scaled-twice"},  # they cancel: no lr, then times lr
    {"factor-two", "factor-half"},
    {"sum-not-mean", "mean-over-classes"},  # the sum divided by C, which has its own explanation
    {"no-batch-average", "mean-over-classes"},
    {"all-classes", "log-of-mean"},  # the probabilities of a row sum to 1
    {"indexes-columns", "log-of-mean"},
    {"bias-wrong-axis", "returns-updated-weights"},  # the shapes do not fit
    {"bias-mean", "bias-wrong-axis"},
    *(set(pair) for pair in itertools.combinations(SLOPES, 2)),
    {"factor-two", "mean-over-entries"},  # with two outputs they would cancel
    {"softmax-kept", "tanh-on-scores"},
    {"missing-relu-mask", "mask-from-gradient"},
    {"missing-relu-mask", "skips-the-mask"},  # without a mask, nothing skips it
)


(
    test_every_mistake_is_named,
    test_right_answers_pass,
    test_one_of_two_mistakes_is_named,
    _,
) = promises(IDS, STYLES, not_both=NOT_BOTH, numeric=True)
test_random_answer_passes_only_if_it_is_right = only_right_answers_pass(STYLES)


@pytest.mark.parametrize("name", IDS)
def test_ids_are_those_of_the_contract(name):
    mistakes = checks.EXERCISES[name].mistakes
    assert set(IDS[name]) == {m.id for m in mistakes if not m.forgiven} - {"wrong"}


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


def with_error(error):
    """Return a `backward` with another error at the scores: (p, one-hot) → array."""

    def backward(X, y, W1, b1, W2, b2):
        z1 = X @ W1 + b1
        a1 = np.maximum(0, z1)
        p = right_softmax(a1 @ W2 + b2)
        d = error(p, np.eye(p.shape[1])[y]) / len(y)
        dz1 = d @ W2.T * (z1 > 0)
        return X.T @ dz1, dz1.sum(axis=0), a1.T @ d, d.sum(axis=0)

    return backward


def with_mask(mask):
    """Return a `backward` with another slope of ReLU: (z1, a1) → array."""

    def backward(X, y, W1, b1, W2, b2):
        z1 = X @ W1 + b1
        a1 = np.maximum(0, z1)
        d = (right_softmax(a1 @ W2 + b2) - np.eye(W2.shape[1])[y]) / len(y)
        dz1 = d @ W2.T * mask(z1, a1)
        return X.T @ dz1, dz1.sum(axis=0), a1.T @ d, d.sum(axis=0)

    return backward


def with_loop(assigned):
    """Return a `backward` that loops over the examples and forgets the `+` in `+=` for some."""

    def backward(X, y, W1, b1, W2, b2):
        grads = dict.fromkeys(("W1", "b1", "W2", "b2"), 0)
        for x, label in zip(X, y, strict=True):
            one = right_backward(x[None], np.array([label]), W1, b1, W2, b2)
            for name, gradient in zip(grads, one, strict=True):
                grads[name] = gradient if name in assigned else grads[name] + gradient
        return [gradient / len(X) for gradient in grads.values()]

    return backward


def updated(lr):
    return lambda *a: [p - lr * np.reshape(g, p.shape) for p, g in zip(a[2:], right_backward(*a))]  # noqa: B905


right_softmax, right_cross_entropy = softmax_arrays(set()), cross_entropy_arrays(set())
right_backward, right_gradient = backward_arrays(set()), numerical_arrays(set())
right_forward = forward_arrays(set())
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
        lambda p, y: -np.log(p[range(len(y)), y] + np.finfo(np.float32).eps).mean(),
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
        with_mask(lambda z1, a1: z1 >= 0),
        with_mask(lambda z1, a1: np.sign(a1)),
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
    assert all(len(RIGHT[name]) + len(STYLES[name]) >= 5 for name in RIGHT)


def test_missing_average_quotes_the_factor_and_the_rows():
    hint = checks.backward(backward_arrays({"no-batch-average"})).hint
    assert "7 times as large as expected" in hint
    assert "7 rows" in hint


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


@pytest.mark.parametrize("divisor", [lambda e: e**2, lambda e: 2 * e**2, lambda e: e])
def test_second_difference_is_not_called_one_sided(divisor):
    def submission(f, x, eps=1e-5):
        g = np.zeros(x.shape)
        for i in np.ndindex(x.shape):
            step = np.zeros(x.shape)
            step[i] = eps
            g[i] = (f(x + step) - 2 * f(x) + f(x - step)) / divisor(eps)
        return g

    assert checks.numerical_gradient(submission).mistake == "wrong"


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


def first_hint_word_for_word(f, x, eps=1e-5):
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        saved = x[index]
        x[index] = saved + eps
        above = f(x)
        x[index] = saved - eps
        below = f(x)
        x[index] = saved
        gradient[index] = (above - below) / (2 * eps)
    return gradient


def float_copy_in_an_integer_result(f, x, eps=1e-5):
    return right_gradient(f, x, eps).astype(x.dtype)


@pytest.mark.parametrize(
    "function", [first_hint_word_for_word, integers_that_raise, float_copy_in_an_integer_result]
)
@pytest.mark.parametrize("cast", [lambda f: f, in_float32])
def test_gradient_that_is_wrong_only_for_integers_passes_with_a_remark(function, cast):
    verdict = first_verdict("numerical_gradient", cast(function))
    assert verdict.passed, verdict
    assert verdict.hint.startswith("Not asked for here: for an `x` of integers")


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


def moved_in_place_then_raises(f, x, eps=1e-5):
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        x[index] += eps
        above = f(x).copy()  # f returns a float
        x[index] -= eps
        gradient[index] = above
    return gradient


def same_array_twice(f, x, eps=1e-5):
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        old, a, b = x[index], x, x
        a[index] = old + eps
        b[index] = old - eps
        gradient[index] = (f(a) - f(b)) / (2 * eps)
    return gradient


def names_of_one_copy(f, x, eps=1e-5):
    gradient, plus = np.zeros(x.shape), x.astype(float)
    minus = plus
    for index in np.ndindex(x.shape):
        plus[index] = x[index] + eps
        minus[index] = x[index] - eps
        gradient[index] = (f(plus) - f(minus)) / (2 * eps)
        plus[index] = x[index]
    return gradient


def slope_not_stored(f, x, eps=1e-5):
    right_gradient(f, x, eps)
    return np.zeros(x.shape)


def all_but_the_last_entry(f, x, eps=1e-5):
    gradient = right_gradient(f, x, eps)
    gradient.flat[-1] = 0
    return gradient


def first_row_of_the_inner_loop(f, x, eps=1e-5):
    gradient = np.empty(x.shape)
    for i in range(len(x)):
        for j in np.ndindex(x.shape[1:]):
            step = np.zeros(x.shape)
            step[(i, *j)] = eps
            gradient[(i, *j)] = (f(x + step) - f(x - step)) / (2 * eps)
        return gradient


def brackets_of_the_difference(f, x, eps=1e-5):
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[index] = eps
        gradient[index] = f(x + step) - f(x - step) / (2 * eps)
    return gradient


def first_row_of(start):
    def softmax(z):
        p = start(z)
        for n in range(len(z)):
            p[n] = np.exp(z[n] - z[n].max())
            p[n] /= p[n].sum()
            return p

    return softmax


def total_of_all_rows_so_far(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / np.cumsum(e.sum(axis=1))[:, None]


def first_example_in_the_loop(p, y):
    for row, label in zip(p, y, strict=True):
        return -np.log(row[label] + 1e-12)


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
    ("numerical_gradient", "only-first-axis"): [row_saved_as_a_view],
    # These fail only on probes that were built for one mistake.
    ("softmax", "no-max-subtraction"): [
        lambda z: softmax_arrays({"no-max-subtraction"})(np.clip(z, -500, 500)),
        lambda z: np.nan_to_num(softmax_arrays({"no-max-subtraction"})(z)),
        shifted_by(lambda z: z.min(axis=1)),
        shifted_by(lambda z: z.mean(axis=1)),
        shifted_by(lambda z: z[:, 0]),
        shifted_by(lambda z: np.median(z, axis=1)),
    ],
    ("cross_entropy", "log-of-zero"): [
        lambda p, y: -np.log(p[range(len(y)), y] + 1e-5).mean(),
        lambda p, y: -np.log(p[range(len(y)), y] + 1e-6).mean(),
        lambda p, y: -np.nan_to_num(np.log(p[range(len(y)), y])).mean(),
    ],
    ("softmax", "log-softmax"): [
        lambda z: -np.log(right_softmax(z)),
        lambda z: -torch.log_softmax(torch.tensor(z), dim=1),
        lambda z: np.logaddexp.reduce(z, axis=1, keepdims=True) - z,
    ],
    ("softmax", "first-row-only"): [
        first_row_of(np.zeros_like),
        first_row_of(np.ones_like),
        first_row_of(np.copy),
        first_row_of(lambda z: z),
        first_row_of(lambda z: np.exp(z - z.max(axis=1, keepdims=True))),
        first_row_of(lambda z: np.full(z.shape, np.nan)),
        lambda z: right_softmax(z)[0],
        lambda z: right_softmax(z[:1]).tolist(),
    ],
    ("cross_entropy", "indexes-columns"): [
        lambda p, y: -np.log(p[:, y]).mean(),
        lambda p, y: -np.log(p[:, y] + 1e-12).mean(),
        lambda p, y: -np.log(np.clip(p[:, y], 1e-9, 1)).sum() / len(y),
        lambda p, y: -np.log(np.take(p, y, axis=1)).sum(axis=1).mean(),
        lambda p, y: np.mean([-np.log(p[:, k] + 1e-12).mean() for k in y]),
        lambda p, y: -torch.tensor(p)[:, torch.tensor(y)].log().mean().item(),
    ],
    ("cross_entropy", "log-of-mean"): [
        lambda p, y: -np.log(p[range(len(y)), y].mean()),
        lambda p, y: -np.log((np.eye(p.shape[1])[y] * p).sum() / len(y) + 1e-12),
        lambda p, y: -math.log(sum(p[range(len(y)), y])) / len(y),
    ],
    ("cross_entropy", "softmax-again"): [
        lambda p, y: torch.nn.functional.cross_entropy(torch.tensor(p), torch.tensor(y)),
        lambda p, y: -np.log(right_softmax(p)[range(len(y)), y]).mean(),
    ],
    ("cross_entropy", "last-example-only"): [
        lambda p, y: -np.log(p[-1, y[-1]] + 1e-12),
        lambda p, y: [-np.log(p[n, y[n]] + 1e-12) / len(y) for n in range(len(y))][-1],
    ],
    ("forward", "shifted-scores"): [
        lambda *a: right_forward(*a) - right_forward(*a).max(axis=1, keepdims=True),
        lambda *a: right_forward(*a) - right_forward(*a).max(),
    ],
    ("backward", "factor-two"): [
        with_error(lambda p, Y: 2 * (p - Y)),
        lambda *a: [2 * g for g in right_backward(*a)],
    ],
    ("backward", "factor-half"): [with_error(lambda p, Y: (p - Y) / 2)],
    ("backward", "indexes-columns"): [
        with_error(lambda p, Y: p - Y.max(axis=0)),
        with_error(lambda p, Y: p - Y.sum(axis=0)),
    ],
    ("backward", "one-hot-per-class"): [
        with_error(lambda p, Y: p - Y.shape[1] * Y),
        with_error(lambda p, Y: p - len(Y) * Y),
    ],
    ("backward", "assigns-in-loop"): [
        with_loop(assigned)
        for assigned in (["W1", "b1", "W2", "b2"], ["W1"], ["b2"], ["W1", "W2"], ["b1", "b2"])
    ],
    ("backward", "missing-relu-mask"): [
        with_mask(lambda z1, a1: a1 >= 0),
        with_mask(lambda z1, a1: z1 != 0),
        with_mask(lambda z1, a1: 1),
    ],
    ("backward", "returns-updated-weights"): [updated(lr) for lr in (1, 0.1, 0.01, 1e-3, -0.5)],
    ("numerical_gradient", "precedence"): [brackets_of_the_difference],
    ("numerical_gradient", "aliased-copies"): [same_array_twice, names_of_one_copy],
    ("numerical_gradient", "first-entry-only"): [
        first_row_of_the_inner_loop,
        lambda f, x, eps=1e-5: [
            (f(x + d.reshape(x.shape)) - f(x - d.reshape(x.shape))) / (2 * eps)
            for d in eps * np.eye(x.size)[:1]
        ],
    ],
    ("sgd_step", "first-only"): [
        lambda p, g, lr: p[0] - lr * g[0],
        lambda p, g, lr: [p[0] - lr * g[0]],
    ],
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
        total_of_all_rows_so_far,
        lambda z: right_softmax(z) * np.linspace(1, 0.5, len(z))[:, None],
        lambda z: np.repeat(right_softmax(z)[:1], len(z), axis=0),
    ],
    ("cross_entropy", "wrong"): [
        lambda p, y: 1.0,
        lambda p, y: -(p * np.log(p + 1e-12)).sum(axis=1).mean(),
    ],
    ("forward", "wrong"): [
        lambda X, W1, b1, W2, b2: np.tanh(X @ W1 + b1) @ W2 + b2,
        lambda X, W1, b1, W2, b2: (np.maximum(X @ W1, 0) + b1) @ W2 + b2,
    ],
    ("backward", "wrong"): [
        lambda *a: [0 * g for g in right_backward(*a)],
        lambda X, y, *p: right_backward(X, np.roll(y, 1), *p),
        *[lambda *a, k=k: [k * g for g in right_backward(*a)] for k in (3, 1 / 3, 4, 1.5, 0.1)],
        with_error(lambda p, Y: p * (p - Y)),
        with_mask(lambda z1, a1: np.where(z1 > 0, 1, 0.01)),
        lambda *a: [0.5 * p for p in a[2:]],
    ],
    ("numerical_gradient", "wrong"): [
        lambda f, x, eps=1e-5: np.zeros(x.shape),
        lambda f, x, eps=1e-5: right_gradient(f, x, eps) * eps,
        slope_not_stored,
        all_but_the_last_entry,
    ],
    ("numerical_gradient", "raised"): [moved_in_place_then_raises],
    ("sgd_step", "wrong"): [
        lambda params, grads, lr: params,
        lambda params, grads, lr: [p - lr * p for p in params],
        # These parameters move, and others do not.
        lambda params, grads, lr: [*solutions.sgd_step(params, grads, lr)[:-1], params[-1]],
        lambda params, grads, lr: [*solutions.sgd_step(params, grads, lr)[:2], *params[2:]],
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
        ("backward", with_mask(lambda z1, a1: a1), "multiplied by the hidden values"),
        (
            "backward",
            with_error(lambda p, Y: p * (p - Y - (p * (p - Y)).sum(1, keepdims=True))),
            "went through the softmax twice",
        ),
        (
            "backward",
            lambda X, y, *p: [g / len(X) for g in right_backward(X[:1], y[:1], *p)],
            "Only the first example counts",
        ),
        ("cross_entropy", first_example_in_the_loop, "Only the first example counts"),
        ("sgd_step", lambda p, g, lr: p[-1] - lr * g[-1], "Only the last parameter"),
        ("sgd_step", only_the_loop_variable, "No parameter moved"),
        (
            "sgd_step",
            lambda p, g, lr: [*p[:-1], p[-1] - lr * g[-1]],
            "Only the last parameter",
        ),
        (
            "sgd_step",
            lambda p, g, lr: [*solutions.sgd_step(p, g, lr)[:-1], p[-1]],
            "Some of the parameters were not updated",
        ),
        (
            "backward",
            with_error(lambda p, Y: 2 * p * (p - Y - (p * (p - Y)).sum(1, keepdims=True))),
            "went through the softmax twice",
        ),
    ],
)
def test_mistake_without_an_id_is_explained(name, function, phrase):
    verdict = first_verdict(name, function)
    assert verdict.mistake == "wrong"
    assert phrase in verdict.hint


def one_hot_of_the_largest_label(y):
    return np.eye(y.max() + 1)[y]


def one_hot_in_zeros(y):
    Y = np.zeros((len(y), max(y) + 1))
    Y[np.arange(len(y)), y] = 1
    return Y


def one_hot_of_the_labels_that_occur(y):
    return np.eye(len(np.unique(y)))[y]


@pytest.mark.parametrize(
    "one_hot", [one_hot_of_the_largest_label, one_hot_in_zeros, one_hot_of_the_labels_that_occur]
)
def test_classes_counted_from_the_labels_are_explained(one_hot):
    def backward(X, y, W1, b1, W2, b2):
        return with_error(lambda p, Y: p - one_hot(y))(X, y, W1, b1, W2, b2)

    def cross_entropy(p, y):
        return -(one_hot(y) * np.log(p + 1e-12)).sum() / len(y)

    for name, function in {"backward": backward, "cross_entropy": cross_entropy}.items():
        verdict = first_verdict(name, function)
        assert verdict.mistake == "raised", verdict
        assert "ValueError" in verdict.hint
        assert "labels" in verdict.hint


def test_labels_of_a_batch_are_varied():
    for name in ("backward", "cross_entropy"):
        batches = [(probe.args[1], probe.context["C"]) for probe in checks.EXERCISES[name]._probes]
        assert any(max(y) < C - 1 for y, C in batches), "one lacks the last class"
        assert any(len(set(y)) == C for y, C in batches), "one has all classes"


@pytest.mark.parametrize("name", ["cross_entropy", "forward", "backward"])
def test_factors_that_come_from_sizes_are_all_different(name):
    different = 0
    for probe in checks.EXERCISES[name]._probes:
        N, C = probe.context["N"], probe.context["C"]
        factors = [N, C, N / C, 1 / N, 1 / C, N / 2, C / 2, 2, 0.5, 1]
        different += len({round(factor, 6) for factor in factors}) == len(factors)
    assert different >= 2


# Code that is written for biases of one shape; `relu` and `scale` take a mistake.
def indexes_flat_biases(X, W1, b1, W2, b2, relu=lambda z: max(0, z)):
    N, H, C = len(X), W1.shape[1], W2.shape[1]
    a = [[relu(X[n] @ W1[:, j] + b1[j]) for j in range(H)] for n in range(N)]
    return [[np.dot(a[n], W2[:, c]) + b2[c] for c in range(C)] for n in range(N)]


def counts_units_by_length(X, W1, b1, W2, b2, relu=lambda z: max(0, z)):
    scores = np.zeros((len(X), len(b2)))
    for n, x in enumerate(X):
        hidden = np.zeros(len(b1))
        for j in range(len(b1)):
            hidden[j] = relu((x @ W1 + b1)[j])
        for c in range(len(b2)):
            scores[n, c] = hidden @ W2[: len(b1), c] + b2[c]
    return scores


def counts_units_by_shape(X, W1, b1, W2, b2, relu=lambda z: max(0, z)):
    z1 = np.zeros((X.shape[0], b1.shape[0]))
    for n in range(X.shape[0]):
        for j in range(b1.shape[0]):
            z1[n, j] = np.sum(X[n] * W1[:, j]) + b1[j]
    return np.vectorize(relu, otypes=[float])(z1) @ W2 + b2


def zips_biases(X, W1, b1, W2, b2, relu=lambda z: np.maximum(0, z)):
    rows = []
    for x in X:
        hidden = [relu(x @ w + b) for w, b in zip(W1.T, b1)]  # noqa: B905
        rows.append([sum(h * w for h, w in zip(hidden, W2.T[c])) + b for c, b in enumerate(b2)])  # noqa: B905
    return rows


def row_by_row(X, W1, b1, W2, b2, relu=lambda z: np.maximum(0, z)):
    return [relu(x @ W1 + b1) @ W2 + b2 for x in X]


def indexes_rows_of_biases(X, W1, b1, W2, b2, relu=lambda z: max(0, z)):
    H, C = b1.shape[1], b2.shape[1]
    a = [[relu(x @ W1[:, j] + b1[0, j]) for j in range(H)] for x in X]
    return np.array([[np.dot(row, W2[:, c]) + b2[0][c] for c in range(C)] for row in a])


FORWARDS = [
    indexes_flat_biases,
    counts_units_by_length,
    counts_units_by_shape,
    zips_biases,
    row_by_row,
    indexes_rows_of_biases,
]


@pytest.mark.parametrize("function", FORWARDS)
def test_forward_for_either_shape_of_biases_passes(function):
    verdict = first_verdict("forward", function)
    assert verdict.passed, verdict


@pytest.mark.parametrize("function", FORWARDS)
def test_mistake_is_named_for_either_shape_of_biases(function):
    verdict = first_verdict("forward", lambda *a: function(*a, relu=lambda z: z))
    assert verdict.mistake == "missing-relu", verdict


def adds_up_flat_biases(X, y, W1, b1, W2, b2, scale=1):
    dW1, dW2 = np.zeros_like(W1), np.zeros_like(W2)
    db1, db2 = np.zeros(len(b1)), np.zeros(len(b2))
    for x, label in zip(X, y, strict=True):
        z = np.array([x @ W1[:, j] + b1[j] for j in range(len(b1))])
        s = np.maximum(0, z) @ W2[: len(b1)] + b2
        d = right_softmax(s[None])[0]
        d[label] -= 1
        d *= scale / len(X)
        dz = (W2[: len(b1)] @ d) * (z > 0)
        for j in range(len(b1)):
            db1[j] += dz[j]
            dW1[:, j] += x * dz[j]
            dW2[j] += np.maximum(0, z[j]) * d
        for c in range(b2.shape[0]):
            db2[c] += d[c]
    return dW1, db1, dW2, db2


def adds_up_rows_of_biases(X, y, W1, b1, W2, b2, scale=1):
    grads = [np.zeros_like(p) for p in (W1, b1, W2, b2)]
    for n in range(len(y)):
        x = X[n : n + 1]
        a = np.maximum(0, x @ W1 + b1)
        d = right_softmax(a @ W2 + b2)
        d[0, y[n]] -= 1
        d = d * scale / len(y)
        dz = d @ W2.T * (a > 0)
        for k in range(b1.shape[1]):
            grads[1][0, k] += dz[0, k]
        grads[0] += x.T @ dz
        grads[2] += a.T @ d
        grads[3] += d
    return grads


BACKWARDS = [adds_up_flat_biases, adds_up_rows_of_biases]


@pytest.mark.parametrize("function", BACKWARDS)
def test_backward_for_either_shape_of_biases_passes(function):
    verdict = first_verdict("backward", function)
    assert verdict.passed, verdict


@pytest.mark.parametrize("function", BACKWARDS)
@pytest.mark.parametrize(
    ("scale", "mistake"), [(2, "factor-two"), (-1, "sign"), (0.5, "factor-half")]
)
def test_mistake_in_backward_is_named_for_either_shape_of_biases(function, scale, mistake):
    verdict = first_verdict("backward", lambda *a: function(*a, scale=scale))
    assert verdict.mistake == mistake, verdict


def flat_copy(f, x, eps=1e-5):
    flat, gradient = x.flatten(), np.zeros(x.size)
    for i in range(x.size):
        values = []
        for side in (1, -1):
            flat[i] += side * eps
            values.append(f(x))
            flat[i] -= side * eps
        gradient[i] = (values[0] - values[1]) / (2 * eps)
    return gradient.reshape(x.shape)


def own_step(step):
    return lambda f, x, eps=1e-5: solutions.numerical_gradient(f, x, step)


def skips_zeros(f, x, eps=1e-5):
    return np.where(x == 0, 0, solutions.numerical_gradient(f, x, eps))


def with_scores(change):
    """Make a `backward` from (p, y, Y) → the error at the scores."""

    def backward(X, y, W1, b1, W2, b2):
        z1 = X @ W1 + b1
        a1 = np.maximum(0, z1)
        p = solutions.softmax(a1 @ W2 + b2)
        d = change(p, np.eye(p.shape[1])[y])
        dz1 = d @ W2.T * (z1 > 0)
        return X.T @ dz1, dz1.sum(0), a1.T @ d, d.sum(0)

    return backward


def activated(activation):
    """A `backward` by autograd through another activation of the hidden layer."""

    def backward(X, y, *parameters):
        W1, b1, W2, b2 = (torch.tensor(p, requires_grad=True) for p in parameters)
        scores = activation(torch.tensor(X) @ W1 + b1) @ W2 + b2
        torch.nn.functional.cross_entropy(scores, torch.tensor(y)).backward()
        return [p.grad for p in (W1, b1, W2, b2)]

    return backward


def half_masked(masked):
    """Make a `backward` that applies ReLU's mask to only one of dW1 and db1."""

    def backward(X, y, *parameters):
        right = right_backward(X, y, *parameters)
        without = backward_arrays({"missing-relu-mask"})(X, y, *parameters)
        return [(right if i in (masked, 2, 3) else without)[i] for i in range(4)]

    return backward


def with_slope(slope):
    """Make a `backward_mse` from the slope of the hidden layer: (z1, a1) → array."""

    def backward_mse(X, T, W1, b1, W2, b2):
        z1 = X @ W1 + b1
        a1 = np.tanh(z1)
        d = (a1 @ W2 + b2 - T) / len(X)
        dz1 = d @ W2.T * slope(z1, a1)
        return X.T @ dz1, dz1.sum(0), a1.T @ d, d.sum(0)

    return backward_mse


def with_masks(mask2, mask1):
    """Make a `backward3` from the slopes of its two ReLUs: (z, a) → array."""

    def backward3(X, y, W1, b1, W2, b2, W3, b3):
        z1 = X @ W1 + b1
        a1 = np.maximum(0, z1)
        z2 = a1 @ W2 + b2
        a2 = np.maximum(0, z2)
        d = (solutions.softmax(a2 @ W3 + b3) - np.eye(W3.shape[1])[y]) / len(X)
        dz2 = d @ W3.T * mask2(z2, a2)
        dz1 = dz2 @ W2.T * mask1(z1, a1)
        return X.T @ dz1, dz1.sum(0), a1.T @ dz2, dz2.sum(0), a2.T @ d, d.sum(0)

    return backward3


def halved_one_sided(f, x, eps=1e-5):
    """Move an entry up and back again, and divide by 2ε nevertheless."""
    x = np.array(x, dtype=float)
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        x[index] += eps
        above = f(x)
        x[index] -= eps
        gradient[index] = (above - f(x)) / (2 * eps)
    return gradient


def naive_softmax(z):
    e = np.exp(z)
    return e / e.sum(axis=1, keepdims=True)


def losses(probs, y):
    return -np.log(np.maximum(probs[np.arange(len(y)), y], 1e-12))


def updates(*indices):
    """Make an `sgd_step` that updates the parameters with these indices, in place."""

    def sgd_step(params, grads, lr):
        for i in range(len(params))[slice(*indices)]:
            params[i] = params[i] - lr * grads[i]
        return params

    return sgd_step


def steps_back_to_front(params, grads, lr):
    return solutions.sgd_step(params, grads, lr)[:-1]


WITH_A_REASON = {
    ("softmax", "wrong-axis", "The maximum was taken over the batch"): [
        lambda z: np.exp(z - z.max(axis=0)) / np.exp(z - z.max(axis=0)).sum(axis=1, keepdims=True),
    ],
    ("softmax", "no-max-subtraction", "The scores were clipped"): [
        lambda z: naive_softmax(np.clip(z, -50, 50)),
        lambda z: naive_softmax(np.clip(z, -700, 700)),
        lambda z: naive_softmax(np.minimum(z, 700)),
    ],
    ("softmax", "wrong", "A fixed shift fits some rows only"): [
        lambda z: naive_softmax(z - 1000),
    ],
    ("softmax", "no-max-subtraction", "overflows"): [
        lambda z: naive_softmax(z),
        lambda z: naive_softmax(z + z.max(axis=1, keepdims=True)),
    ],
    ("cross_entropy", "log-of-zero", "the logarithm of 0 is minus infinity"): [
        lambda p, y: -np.log(p[np.arange(len(y)), y]).mean(),
    ],
    ("cross_entropy", "log-of-zero", "The floor is too large"): [
        lambda p, y: losses(p + 1e-3, y).mean(),
        lambda p, y: losses(p + 1e-5, y).mean(),
        lambda p, y: losses(np.maximum(p, 1e-3), y).mean(),
        lambda p, y: losses(np.maximum(p, 2e-6), y).mean(),
    ],
    ("cross_entropy", "log-of-zero", "adds nothing to your loss"): [
        lambda p, y: losses(np.where(p > 0, p, 1), y).mean(),
        lambda p, y: losses(p, y)[losses(p, y) < 20].mean(),
    ],
    ("cross_entropy", "wrong", "entire rows, chosen by label"): [
        lambda p, y: -np.log(p[y]).mean(),
        lambda p, y: -np.log(np.maximum(p[y], 1e-12)).mean(),
        lambda p, y: -np.log(p[y] + 1e-12).sum() / len(y),
    ],
    ("cross_entropy", "wrong", "binary cross-entropy"): [
        lambda p, y: (
            -np.sum(np.log(np.where(np.eye(p.shape[1])[y] == 1, p, 1 - p) + 1e-12)) / len(y)
        ),
        lambda p, y: (
            -np.mean(
                np.eye(p.shape[1])[y] * np.log(p + 1e-12)
                + (1 - np.eye(p.shape[1])[y]) * np.log(1 - p + 1e-12)
            )
        ),
    ],
    ("forward", "wrong", "another activation"): [
        lambda X, W1, b1, W2, b2: np.tanh(X @ W1 + b1) @ W2 + b2,
        lambda X, W1, b1, W2, b2: np.maximum(X @ W1 + b1, 0.1 * (X @ W1 + b1)) @ W2 + b2,
    ],
    ("backward", "wrong", "another activation in the hidden layer"): [
        activated(lambda z: torch.sigmoid(z)),
        activated(lambda z: torch.tanh(z)),
        activated(lambda z: torch.nn.functional.leaky_relu(z, 0.01)),
    ],
    ("cross_entropy", "mean-over-classes", "2.333 times as large, for 7 rows and 3 classes"): [
        lambda p, y: losses(p, y).sum() / p.shape[1],
    ],
    ("cross_entropy", "wrong", "0.0029, where 0.002869"): [
        lambda p, y: round(float(losses(p, y).mean()), 4),
    ],
    (
        "backward",
        "mean-over-classes",
        "2.333 times as large as expected, for 7 rows and 3 classes",
    ): [
        with_scores(lambda p, Y: (p - Y) / p.shape[1]),
    ],
    ("backward", "one-hot-per-class", "after the division by N"): [
        with_scores(lambda p, Y: p / len(p) - Y),
        with_scores(lambda p, Y: (p - p.shape[1] * Y) / len(p)),
    ],
    ("backward", "wrong", "look at what they share: `dscores`"): [
        with_error(lambda p, Y: p + Y),
        with_error(lambda p, Y: -Y / p),
        with_error(lambda p, Y: np.where(Y, -1 / p, p)),
        with_error(lambda p, Y: (p - 1) * Y),
        with_scores(lambda p, Y: -Y / p),  # without 1/N
    ],
    ("backward_mse", "wrong", "the slope of the sigmoid"): [with_slope(lambda z, a: a * (1 - a))],
    ("backward3", "wrong", "multiplied by the hidden values"): [
        with_masks(lambda z, a: a, lambda z, a: z > 0),
        with_masks(lambda z, a: z > 0, lambda z, a: a),
        with_masks(lambda z, a: a, lambda z, a: a),
    ],
    ("backward3", "uses-z-for-inputs", "What is W2 (or W3) multiplied by"): [
        three_arrays({"uses-z-for-inputs"}),
    ],
    ("layer_backward", "masked", "was multiplied by the inputs"): [
        lambda inputs, W, dz: (inputs.T @ dz, dz.sum(axis=0), dz @ W.T * inputs),
    ],
    ("layer_backward", "masked", "by the sign of the inputs"): [layer_arrays({"masked"})],
    ("layer_backward", "wrong", "One row per example is left: sum over them."): [
        lambda inputs, W, dz: (inputs.T @ dz, dz, dz @ W.T),
    ],
    ("numerical_gradient", "one-sided", "divided by 2ε, so about half"): [halved_one_sided],
    ("numerical_gradient", "one-sided", "its error shrinks with ε, not with ε²"): [
        numerical_arrays({"one-sided"}),
    ],
    ("backward", "missing-relu-mask", "so the mask is there"): [half_masked(0), half_masked(1)],
    ("backward", "wrong", "Only the first example counts"): [
        lambda X, y, *p: right_backward(X[:1], y[:1], *p),
    ],
    ("backward", "assigns-in-loop", "Only the last example counts"): [
        lambda X, y, *p: right_backward(X[-1:], y[-1:], *p),
    ],
    ("numerical_gradient", "wrong", "does not depend on `eps`"): [own_step(1e-3), own_step(1e-2)],
    ("numerical_gradient", "wrong", "`gradient[2]` is 0"): [skips_zeros],
    ("numerical_gradient", "aliased-copies", "a copy that f never sees"): [flat_copy],
    ("sgd_step", "first-only", "Only the first"): [
        updates(0, 1),
        lambda p, g, lr: [p[0] - lr * g[0]],
    ],
    ("sgd_step", "wrong", "`params[3]` is not: "): [updates(0, -1), steps_back_to_front],
    ("sgd_step", "wrong", "`params[0]` is not: "): [updates(1, None)],
    ("sgd_step", "wrong-type", "params[0]"): [
        lambda p, g, lr: (p, g),
        lambda p, g, lr: (solutions.sgd_step(p, g, lr), lr),
    ],
    ("sgd_step", "wrong", "Only the last parameter"): [updates(-1, None)],
}


@pytest.mark.parametrize(("name", "mistake", "phrase", "function"), cases(WITH_A_REASON))
def test_verdict_says_what_happened(name, mistake, phrase, function):
    verdict = first_verdict(name, function)
    assert (verdict.mistake, phrase in verdict.hint) == (mistake, True), verdict


def test_cut_off_scores_are_not_said_to_give_nan():
    verdict = first_verdict("softmax", lambda z: naive_softmax(np.minimum(z, 700)))
    assert "NaN" not in verdict.hint
    assert "0.33333" in verdict.hint


def test_first_verdict_on_a_wrong_error_does_not_give_it_away():
    wrong = with_error(lambda p, Y: p + Y)
    assert "p − Y" not in first_verdict("backward", wrong).hint
    assert "It is p − Y, over N: p in every column" in checks.backward(wrong).hint


def test_general_hints_on_squared_error_keep_the_slope_of_tanh():
    assert not any("1 − a1²" in hint for hint in checks.backward_mse.hints)


def test_layer_left_open_is_not_asked_for_its_return():
    verdict = first_verdict("layer_backward", lambda inputs, W, dz: (inputs.T @ dz, ..., ...))
    assert verdict.mistake == "not-attempted"
    assert "`db` and `d_in` are still empty" in verdict.hint
    assert "`return`" not in verdict.hint


def test_no_factor_is_quoted_that_is_not_exact():
    function = with_scores(lambda p, Y: (p - Y) * np.linspace(1, 2, len(p))[:, None])
    assert "times as large" not in first_verdict("backward", function).hint
    both = backward_arrays({"no-batch-average", "one-hot-not-subtracted"})
    assert "times as large" not in first_verdict("backward", both).hint


def test_rows_that_become_matrices_are_remarked_on():
    assert "your scores have the shape (7, 1, 3)" in first_verdict("forward", row_by_row).hint
    assert first_verdict("forward", counts_units_by_length).hint == ""


def autograd(loss):
    """Return a right answer that differentiates `loss(X, targets, *parameters)` with torch."""

    def gradients(X, targets, *parameters):
        leaves = [torch.tensor(p, requires_grad=True) for p in parameters]
        loss(torch.tensor(X), torch.tensor(targets), *leaves).backward()
        return [leaf.grad for leaf in leaves]

    return gradients


def torch_mse(X, T, W1, b1, W2, b2):
    return ((torch.tanh(X @ W1 + b1) @ W2 + b2 - T) ** 2).sum() / (2 * len(X))


def torch_three(X, y, W1, b1, W2, b2, W3, b3):
    scores = torch.relu(torch.relu(X @ W1 + b1) @ W2 + b2) @ W3 + b3
    return torch.nn.functional.cross_entropy(scores, y)


@pytest.mark.parametrize(
    ("name", "function"),
    [("backward_mse", autograd(torch_mse)), ("backward3", autograd(torch_three))],
)
def test_transfer_agrees_with_autograd(name, function):
    verdict = first_verdict(name, function)
    assert verdict.passed, verdict


NINE = solutions.by_hand()


def test_rows_by_hand_are_those_of_the_network():
    """The answers on the page are checked against the reference functions, not against each other."""
    X, y = np.array([[-2.0, -1.0]]), np.array([0])
    parameters = day29._W1, day29._B1[None], day29._W2, day29._B2[None]
    dW1, db1, _, db2 = solutions.backward(X, y, *parameters)
    probs = solutions.softmax(solutions.forward(X, *parameters))
    for row, right in {
        "dW1": dW1,
        "dz1": db1[0],
        "dscores": db2[0],
        "probs": probs[0],
        "loss": solutions.cross_entropy(probs, y),
    }.items():
        assert np.allclose(NINE[row], right, atol=5e-5), row


def test_rows_by_hand_pass_in_any_form():
    for form in (np.array, lambda row: np.round(row, 2), lambda row: np.ravel(row).tolist()):
        verdict = first_verdict("by_hand", {name: form(row) for name, row in NINE.items()})
        assert verdict.passed, verdict


ROUNDED = {  # each row from the row before it, rounded to two digits
    "probs": (0.71, 0.29),
    "loss": 0.34,
    "dscores": (-0.29, 0.29),
    "da1": (-0.58, -0.435),
    "dz1": (0, -0.435),
    "dW1": ((0, 0.87), (0, 0.435)),
}


@pytest.mark.parametrize(
    "rows",
    [
        ROUNDED,
        {**ROUNDED, "da1": (-0.58, -0.43), "dz1": (0, -0.43), "dW1": ((0, 0.86), (0, 0.43))},
        {**ROUNDED, "da1": (-0.58, -0.44), "dz1": (0, -0.44), "dW1": ((0, 0.88), (0, 0.44))},
    ],
)
def test_rows_by_hand_may_carry_rounding_on(rows):
    verdict = first_verdict("by_hand", {**NINE, **rows})
    assert verdict.passed, verdict


@pytest.mark.parametrize(
    ("row", "value"),
    [
        ("da1", (-0.55, -0.44)),
        ("da1", (-0.59, -0.41)),
        ("dz1", (0, -0.48)),
        ("dz1", (0.05, -0.44)),
        ("dW1", ((0, 0.92), (0, 0.44))),
        ("dW1", ((0, 0.88), (0, 0.47))),
    ],
)
def test_rows_by_hand_beyond_rounding_are_wrong(row, value):
    assert first_verdict("by_hand", {**NINE, row: value}).mistake == "wrong"


@pytest.mark.parametrize("row", NINE)
def test_hints_by_hand_are_on_the_row_that_is_wrong(row):
    wrong = {**NINE, row: np.ravel(NINE[row]) + 7}
    verdicts = [first_verdict("by_hand", wrong), *(checks.by_hand(wrong) for _ in range(3))]
    *hints, last = (verdict.hint.splitlines()[-1] for verdict in verdicts)
    assert tuple(hints) == day29._HINTS_BY_HAND[row]
    assert "checks.solution" in last


def test_hints_by_hand_begin_again_at_each_row():
    first = first_verdict("by_hand", {**NINE, "z1": (7, 7)})
    assert checks.by_hand({**NINE, "z1": (7, 7)}).hint != first.hint
    other = checks.by_hand({**NINE, "da1": (7, 7)}).hint
    assert other.endswith(day29._HINTS_BY_HAND["da1"][0])
    so_far = {"z1": NINE["z1"], "a1": (..., ...)}
    checks.by_hand(so_far)
    assert checks.hint("by_hand") == day29._HINTS_BY_HAND["a1"][0], "on the row that is next"


def test_rows_by_hand_may_stay_open():
    assert first_verdict("by_hand", {}).mistake == "not-attempted"
    assert first_verdict("by_hand", dict.fromkeys(NINE, ...)).mistake == "not-attempted"
    some = {**NINE, "loss": ..., "dW1": ((..., 1), (2, 3))}
    verdict = first_verdict("by_hand", some)
    assert verdict.mistake == "not-attempted"
    assert "Next: `loss`" in verdict.hint


SLIPS_BY_HAND = [
    (row, id_, value)
    for row, (_, slips) in day29._rows_by_hand().items()
    for id_, values in slips.items()
    for value in values
]


@pytest.mark.parametrize(
    ("row", "id_", "value"), SLIPS_BY_HAND, ids=[f"{row}-{id_}" for row, id_, _ in SLIPS_BY_HAND]
)
def test_slip_by_hand_is_named_and_the_answer_is_not_given_away(row, id_, value):
    verdict = first_verdict("by_hand", {**NINE, row: value})
    assert verdict.mistake == id_
    assert f"`{row}` is not right yet" in verdict.hint
    for number in np.ravel(NINE[row]):
        assert number in (0, 1) or f"{abs(number):.4g}" not in verdict.hint


@pytest.mark.parametrize(
    ("answers", "mistake", "phrase"),
    [
        ({"z1": (-0.25, 2)}, "wrong", "it follows from x, W1 and b1"),
        ({"z1": (1, 2, 3)}, "wrong-shape", "3 numbers, where 2"),
        ({"z1": "two"}, "wrong-type", "`z1`"),
        ({"loss": np.nan}, "not-finite", "`loss`"),
        ({"z3": (1, 2)}, "wrong", "There is no row 'z3'"),
        ((1, 2), "wrong-type", "dictionary"),
    ],
)
def test_other_rows_by_hand_are_explained(answers, mistake, phrase):
    verdict = first_verdict("by_hand", answers)
    assert verdict.mistake == mistake
    assert phrase in verdict.hint


@pytest.mark.parametrize(
    ("answers", "mistake"),
    [
        ({"A": "db2", "B": "dscores", "C": "dz2"}, None),
        ({"A": "db2 = …", "B": "`dscores`", "C": "da2"}, None),
        ({"A": "db2", "B": ..., "C": ...}, "not-attempted"),
        ({"A": "dscores"}, "spoils-too-much"),
        ({"A": "dz2"}, "spoils-too-much"),
        ({"B": "dz2"}, "spoils-too-little"),
        ({"C": "db1"}, "spoils-too-little"),
        ({"C": "dW3"}, "spoils-others"),
        ({"D": "dW3"}, "wrong"),
        ({"A": "b2"}, "wrong"),
        (["db2"], "wrong-type"),
        (None, "not-attempted"),
    ],
)
def test_lines_of_the_bug_hunt(answers, mistake):
    verdict = first_verdict("bug_hunt", answers)
    assert verdict.mistake == mistake, verdict
    assert verdict.passed == (mistake is None)


def test_remark_on_the_missing_mask_is_true_of_the_report():
    assert (
        "`da2` fits too" in first_verdict("bug_hunt", {"A": "db2", "B": "dscores", "C": "da2"}).hint
    )
    # The report on the page: its inputs, and its parameters.
    X = np.random.default_rng(42).standard_normal((6, 3))
    shapes = {"W1": (3, 5), "b1": (1, 5), "W2": (5, 7), "b2": (1, 7), "W3": (7, 4), "b3": (1, 4)}
    args = X, np.array([0, 2, 1, 3, 1, 0])
    parameters = draw_parameters(shapes)
    right = solutions.backward3(*args, **parameters)[3].ravel()
    without_mask = np.ravel(day29.suspects()["C"](*args, **parameters)[3])
    assert (np.abs(without_mask[right == 0]) > 0.01).any()


def test_suspects_spoil_what_their_line_reaches():
    probe = checks.backward3.answers()
    args = checks.backward3._probes[0].args
    names = ("W1", "b1", "W2", "b2", "W3", "b3")
    parameters = dict(zip(names, args[2:], strict=True))
    for name, suspect in day29.suspects().items():
        right = probe[0].values()
        pairs = zip(names, suspect(*args[:2], **parameters), right, strict=True)
        wrong = {p for p, got, wanted in pairs if not np.allclose(got, wanted)}
        (line, *_) = day29._CULPRITS[name]
        assert wrong == set(day29._SPOILS[line].split())


def test_solution_takes_the_place_of_what_does_not_pass(capsys):
    def softmax(logits): ...

    def forward(X, W1, b1, W2, b2):
        return np.maximum(X @ W1 + b1, 0) @ W2 + b2

    assert checks.or_solution(softmax, forward) == [solutions.softmax, forward]
    assert capsys.readouterr().out.count("softmax") == 1
    assert checks.or_solution(forward) == [forward]
    assert capsys.readouterr().out == ""
    with pytest.raises(ValueError, match="name must be one of"):
        checks.or_solution(np.sum)


def test_answer_for_flat_biases_only_is_replaced():
    """The rest of the page calls it with rows."""

    def forward(X, W1, b1, W2, b2):
        hidden = [[max(0, x @ W1[:, h] + b1[h]) for h in range(len(b1))] for x in X]
        return np.array(hidden) @ W2 + b2

    assert first_verdict("forward", forward).passed
    assert checks.or_solution(forward) == [solutions.forward]


def test_hints_are_not_used_up_by_or_solution():
    def softmax(logits):
        return np.exp(logits)

    first = first_verdict("softmax", lambda z: z + 7).hint
    checks.or_solution(softmax)
    assert checks.softmax(lambda z: z + 7).hint != first
