"""Submissions that several test modules check, and how to write them in several styles."""

import functools
import math

import numpy as np
import torch

from nnweek import checks
from nnweek.checks import progress_store, solutions
from nnweek.checks.exercise import Question

# Questions ask for an answer instead of a function; their day's module tests them.
NAMES = [name for name, e in checks.EXERCISES.items() if not isinstance(e, Question)]


def solution_of(name):
    """Return the reference solution of an exercise."""
    return getattr(solutions, name)


def first_verdict(name, submission):
    """Check a submission as if it were the first attempt at the exercise."""
    progress_store.forget(name)
    return checks.EXERCISES[name](submission)


def style(function):
    """Turn `function(bugs, …)` into a style: it takes the bugs and returns the submission."""

    @functools.wraps(function)
    def with_bugs(bugs):
        submission = functools.partial(function, bugs)
        submission.__name__ = function.__name__
        return submission

    return with_bugs


def in_float32(function):
    """Return the same function, computing in float32 from the first line on."""

    def convert(value):
        if isinstance(value, list):
            return [convert(item) for item in value]
        if isinstance(value, torch.Tensor):
            return value.float()
        is_float = isinstance(value, np.ndarray) and value.dtype.kind == "f"
        return value.astype(np.float32) if is_float else value

    return lambda *args: function(*map(convert, args))


@style
def forward_arrays(bugs, X, W1, b1, W2, b2):
    h = np.dot(X, W1)
    if "missing-b1" not in bugs:
        h = h + b1.reshape(1, -1)
    if "sigmoid-instead" in bugs:
        h = 1 / (1 + np.exp(-h))
    elif "missing-relu" not in bugs:
        h[h < 0] = 0
    s = np.dot(h, W2)
    if "missing-b2" not in bugs:
        s += b2
    if "relu-on-scores" in bugs:
        s = s * (s > 0)
    if "softmax-included" in bugs:
        s = np.exp(s) / np.exp(s).sum(1, keepdims=True)
    return s


@style
def backward_arrays(bugs, X, y, W1, b1, W2, b2):
    N, C = X.shape[0], W2.shape[1]
    z1 = X.dot(W1) + b1
    a1 = np.where(z1 > 0, z1, 0)
    s = a1.dot(W2) + b2
    p = np.exp(s - s.max(axis=1, keepdims=True))
    p = p / p.sum(axis=1, keepdims=True)
    if "probs-not-softmaxed" in bugs:
        p = s.copy()
    d = p
    if "one-hot-not-subtracted" not in bugs:
        d[range(N), y] -= 1
    if "sign" in bugs:
        d = -d
    if "no-batch-average" not in bugs:
        d = d / N
    if "mean-over-classes" in bugs:
        d = d / C
    h = z1 if "uses-input-for-dW2" in bugs else a1
    axis = 1 if "bias-wrong-axis" in bugs else 0
    reduce = np.mean if "bias-mean" in bugs else np.sum
    dh = d.dot(W2.T)
    if "mask-from-gradient" in bugs:
        dh = dh * (dh > 0)
    elif "missing-relu-mask" not in bugs:
        dh = dh * (z1 > 0)
    out = X.T.dot(dh), reduce(dh, axis=axis), h.T.dot(d), reduce(d, axis=axis)
    return (out[2], out[3], out[0], out[1]) if "swapped-order" in bugs else out


@style
def backward_loops(bugs, X, y, W1, b1, W2, b2):
    N, D = X.shape
    H, C = W2.shape
    dW1, dW2 = np.zeros((D, H)), np.zeros((H, C))
    errors, slopes = [], []
    for n in range(N):
        z = [sum(X[n, d] * W1[d, h] for d in range(D)) + b1[h] for h in range(H)]
        a = [v if v > 0 else 0.0 for v in z]
        s = [sum(a[h] * W2[h, c] for h in range(H)) + b2[c] for c in range(C)]
        e = [math.exp(v) for v in s]
        p = s if "probs-not-softmaxed" in bugs else [v / sum(e) for v in e]
        g = []
        for c in range(C):
            error = p[c]
            if c == y[n] and "one-hot-not-subtracted" not in bugs:
                error -= 1
            error *= -1 if "sign" in bugs else 1
            error /= 1 if "no-batch-average" in bugs else N
            error /= C if "mean-over-classes" in bugs else 1
            g.append(error)
        back = [sum(g[c] * W2[h, c] for c in range(C)) for h in range(H)]
        for h in range(H):
            alive = z[h] > 0
            if "mask-from-gradient" in bugs:
                alive = back[h] > 0
            if "missing-relu-mask" in bugs:
                alive = True
            back[h] = back[h] if alive else 0.0
            for c in range(C):
                dW2[h, c] += (z if "uses-input-for-dW2" in bugs else a)[h] * g[c]
            for d in range(D):
                dW1[d, h] += X[n, d] * back[h]
        errors.append(g)
        slopes.append(back)

    def collect(rows):
        columns = rows if "bias-wrong-axis" in bugs else list(zip(*rows, strict=True))
        sums = [sum(column) for column in columns]
        return [v / N for v in sums] if "bias-mean" in bugs else sums

    if "swapped-order" in bugs:
        return [dW1, dW2, collect(slopes), collect(errors)]
    return [dW1, collect(slopes), dW2, collect(errors)]


@style
def backward_sums(bugs, X, y, W1, b1, W2, b2):
    """Sums first and one division at the end, with einsum; biases as rows."""
    N, C = len(y), len(b2)
    z1 = np.einsum("nd,dh->nh", X, W1) + b1[None]
    a1 = np.maximum(z1, 0)
    s = np.einsum("nh,hc->nc", a1, W2) + b2[None]
    Y = np.zeros_like(s)
    Y[np.arange(N), y] = 0 if "one-hot-not-subtracted" in bugs else 1
    logs = s - np.log(np.exp(s).sum(axis=1, keepdims=True))
    error = (s if "probs-not-softmaxed" in bugs else np.exp(logs)) - Y
    back = error @ W2.T
    if "mask-from-gradient" in bugs:
        back[back <= 0] = 0
    elif "missing-relu-mask" not in bugs:
        back[a1 <= 0] = 0
    scale = 1.0 if "no-batch-average" in bugs else 1 / N
    scale = -scale if "sign" in bugs else scale
    scale = scale / C if "mean-over-classes" in bugs else scale
    letters = "n" if "bias-wrong-axis" in bugs else "k"
    db1, db2 = (scale * np.einsum(f"nk->{letters}", e) for e in (back, error))
    if "bias-mean" in bugs:
        db1, db2 = db1 / N, db2 / N
    hidden = z1 if "uses-input-for-dW2" in bugs else a1
    dW1 = scale * np.einsum("nd,nh->dh", X, back)
    dW2 = scale * np.einsum("nh,nc->hc", hidden, error)
    if "swapped-order" in bugs:
        return db1[None], dW1, db2[None], dW2
    return dW1, db1[None], dW2, db2[None]


@style
def numerical_steps(bugs, f, x, eps=1e-5):
    """One array of steps per entry; x itself never changes, unless that is the bug."""
    dtype = x.dtype if "integer-truncation" in bugs else float
    rows = []
    for i in range(len(x) if "only-first-axis" in bugs else x.size):
        step = np.zeros(x.shape)
        if "only-first-axis" in bugs:
            step[i] = eps
        elif "all-at-once" in bugs:
            step[...] = eps
        else:
            step.flat[i] = eps
        if "not-restored" in bugs:
            x += step.astype(x.dtype)
            a, b = f(x), f(x - 2 * step)
        else:
            a = f((x + step).astype(dtype))
            b = f(x.astype(dtype)) if "one-sided" in bugs else f((x - step).astype(dtype))
        a, b = (b, a) if "sign" in bugs else (a, b)
        rows.append((a - b) / (eps if {"one-sided", "missing-factor-two"} & bugs else 2 * eps))
    if "only-first-axis" in bugs:
        return np.array(rows)
    return np.array(rows).reshape(x.shape)
