"""Gradients checked against finite differences (Day 29)."""

import numpy as np

from nnweek._validate import number, positive_float, positive_int

PARAMETERS = ("W1", "b1", "W2", "b2")


def numerical_gradient(f, x, eps=1e-5):
    """Estimate the gradient of f at x by centred differences. Introduced on Day 29.

    (f(x + ε) − f(x − ε)) / 2ε, one entry at a time: the error falls with ε², while
    a one-sided difference's falls with ε only.

    Args:
        f: a function of an array like x that returns one number.
        x: an array of any shape; it is copied, never changed.
        eps: the step, above 0, in the units of x.

    Returns:
        The estimate, a float64 array shaped like x.

    Raises:
        TypeError, ValueError: if `eps` is not a number above 0 or f does not return a
            single number.
    """
    eps = positive_float("eps", eps)
    x = np.array(x, dtype=float)
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        gradient[index] = _centred_difference(f, x, index, eps)
    return gradient


def grad_check(model, X, y, eps=1e-5, *, samples=10, seed=0):
    """Compare a model's `backward` with finite differences. Introduced on Day 29.

    For up to `samples` randomly chosen entries of W1, b1, W2 and b2 each, the relative
    error |numerical − analytic| / max(1e-8, |numerical| + |analytic|) is computed.
    On the scale of Stanford's CS231n notes, above 1e-2 the gradient is probably wrong
    and below 1e-7 one may be happy.

    Args:
        model: a `TwoLayerMLP`; its parameters are left as they were.
        X: (N, D) numbers; a handful of rows is enough.
        y: (N,) labels.
        eps: the step of the finite differences, above 0.
        samples: entries tried in each parameter, at least 1.
        seed: which entries are tried.

    Returns:
        max_error, mean_error: over all entries tried, as floats; NaN where a gradient is NaN.

    Raises:
        TypeError, ValueError: if X, y, `eps` or `samples` is not as said, or a gradient's
            shape is not its parameter's.
    """
    eps = positive_float("eps", eps)
    samples = positive_int("samples", samples)
    rng = np.random.default_rng(seed)

    _, probs, cache = model.loss(X, y)
    analytic = dict(zip(PARAMETERS, model.backward(probs, cache, y), strict=True))

    errors = []
    for name in PARAMETERS:
        original = getattr(model, name)
        # A float copy: an integer parameter would swallow the step.
        parameter = np.array(original, dtype=np.result_type(np.asarray(original), np.float32))
        if np.shape(analytic[name]) != parameter.shape:
            raise ValueError(
                f"the gradient of {name} must have {name}'s shape {parameter.shape}, "
                f"got {np.shape(analytic[name])}"
            )

        def loss_of(values, name=name):
            setattr(model, name, values)
            return model.loss(X, y)[0]

        tried = rng.choice(parameter.size, size=min(samples, parameter.size), replace=False)
        try:
            for flat in tried:
                index = np.unravel_index(flat, parameter.shape)
                numerical = _centred_difference(loss_of, parameter, index, eps)
                errors.append(_relative_error(numerical, analytic[name][index]))
        finally:
            setattr(model, name, original)
    return float(np.max(errors)), float(np.mean(errors))


def _centred_difference(f, x, index, eps):
    """(f(x + ε) − f(x − ε)) / 2ε with ε added to x[index] alone; x is restored."""
    kept = x[index]
    x[index] = kept + eps
    above = _single_number(f(x))
    x[index] = kept - eps
    below = _single_number(f(x))
    x[index] = kept
    return (above - below) / (2 * eps)


def _single_number(value):
    """A number, or whatever array or tensor holds exactly one, as a float."""
    try:
        return number("f's value", value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError, RuntimeError):  # torch raises the last of them
        raise ValueError(f"f must return a single number, got {value!r}") from None


def _relative_error(a, b):
    return abs(a - b) / max(1e-8, abs(a) + abs(b))
