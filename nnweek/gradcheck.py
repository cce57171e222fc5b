"""Checking analytic gradients with finite differences (Days 29 and 30)."""

import copy
from dataclasses import dataclass

import numpy as np

from nnweek._validate import number, positive_float, positive_int

PARAMETERS = ("W1", "b1", "W2", "b2")


def numerical_gradient(f, x, eps=1e-5):
    """Estimate the gradient of f at x by centred differences. Introduced on Day 29.

    (f(x + ε) − f(x − ε)) / 2ε, one entry at a time. Its error is proportional to ε², that of
    a one-sided difference to ε.

    Args:
        f: a function of an array like x that returns one number.
        x: an array of any shape; it is not changed.
        eps: step size, above 0, in the units of x.

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

    It computes the relative error `|numerical − analytic| / max(1e-8, |numerical| + |analytic|)`
    for up to `samples` randomly chosen entries of each of W1, b1, W2 and b2. According to
    Stanford's CS231n notes, a gradient with an error above 1e-2 is probably wrong, and one
    below 1e-7 is right.

    Args:
        model: a `TwoLayerMLP`; it is not changed.
        X: (N, D) numbers; a few rows are enough.
        y: (N,) labels.
        eps: step size of the finite differences, above 0.
        samples: number of entries checked per parameter, at least 1.
        seed: determines which entries are checked.

    Returns:
        max_error, mean_error: over all checked entries, as floats; NaN if a gradient is NaN.

    Raises:
        TypeError, ValueError: if X, y, `eps` or `samples` is not as described, or a gradient's
            shape differs from its parameter's.
    """
    eps = positive_float("eps", eps)
    samples = positive_int("samples", samples)
    rng = np.random.default_rng(seed)
    errors = []
    loss, params, grads = _of_model(model, X, y)
    for name, parameter, analytic in _pairs(params, grads):

        def loss_of(values, name=name):
            return loss({**params, name: values})

        count = min(samples, parameter.size)
        # NumPy treats None as False here.
        for flat in rng.choice(parameter.size, size=count, replace=False):  # pragma: no mutate
            index = np.unravel_index(flat, parameter.shape)
            numerical = _centred_difference(loss_of, parameter, index, eps)
            errors.append(_relative_error(numerical, analytic[index]))
    return float(np.max(errors)), float(np.mean(errors))


@dataclass(frozen=True)
class ParameterCheck:
    """One row of a `GradientReport`. Introduced on Day 29.

    Attributes:
        name: of the parameter, such as "W1".
        norm_ratio: ‖numerical − analytic‖ / (‖numerical‖ + ‖analytic‖), over all entries.
        max_error: the largest relative error of a single entry.
        where: the index of that entry.
        analytic, numerical: the two gradients there.
    """

    name: str
    norm_ratio: float
    max_error: float
    where: tuple[int, ...]
    analytic: float
    numerical: float


@dataclass(frozen=True)
class GradientReport:
    """The result of `gradient_report`, a table with one row per parameter. Introduced on Day 29.

    Attributes:
        lines: one `ParameterCheck` per parameter.
        warnings: what this check could not have noticed, because of the parameters it was made
            with; sentences.
    """

    lines: tuple[ParameterCheck, ...]
    warnings: tuple[str, ...] = ()

    @property
    def norm_ratio(self):
        """The largest norm ratio of any parameter."""
        return float(np.max([line.norm_ratio for line in self.lines]))

    def _rows(self):
        yield "parameter", "norm ratio", "largest entry error", "at", "analytic", "numerical"
        for line in self.lines:
            yield (
                line.name,
                f"{line.norm_ratio:.1e}",
                f"{line.max_error:.1e}",
                str(list(line.where)),
                f"{line.analytic:+.3e}",
                f"{line.numerical:+.3e}",
            )

    def __repr__(self):
        rows = list(self._rows())
        widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
        table = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        return "\n".join([*table, *self.warnings])

    def _repr_markdown_(self):
        head, *body = ("| " + " | ".join(row) + " |" for row in self._rows())
        table = "\n".join([head, "|---" * 6 + "|", *body])
        return "\n\n".join([table, *self.warnings])


def draw_parameters(shapes, *, scale=0.5, seed=0):
    """Draw weights and biases that are good for a gradient check. Introduced on Day 29.

    All are float64 and about 0.5 in size. With small weights a forgotten slope may not show, and
    with biases of 0 neither does a forgotten bias.

    Args:
        shapes: {name: shape}.
        scale: standard deviation, above 0.
        seed: the same seed gives the same numbers.

    Returns:
        {name: array}.

    Raises:
        TypeError, ValueError: if `scale` is not a number above 0.
    """
    scale = positive_float("scale", scale)
    rng = np.random.default_rng(seed)
    return {name: scale * rng.standard_normal(shape) for name, shape in shapes.items()}


def gradient_report(loss, params, grads, eps=1e-5):
    """Compare every entry of all gradients with centred differences. Introduced on Day 29.

    The norm ratio summarises a parameter and is robust to tiny single gradients; the largest
    elementwise error shows where to look. The report warns if the parameters are not fit for a
    check: weights of about 0.5, biases that are not 0, and float64 (see `draw_parameters`)::

        params = draw_parameters({"W1": (3, 5), "b1": (1, 5), "W2": (5, 2), "b2": (1, 2)})
        loss = lambda params: cross_entropy(softmax(forward(X, **params)), y)
        gradient_report(loss, params, backward(X, y, **params))

    Args:
        loss: a function of `params` that returns one number.
        params: {name: array}; they are not changed.
        grads: the gradients: {name: array}, or a sequence in the order of `params`.
        eps: step size of the finite differences, above 0.

    For a `TwoLayerMLP`, `gradient_report(model, X, y)` does the same.

    Returns:
        `GradientReport`.

    Raises:
        TypeError, ValueError: if `eps` is not above 0, or there is not one gradient of the same
            shape for each parameter.
    """
    eps = positive_float("eps", eps)
    if hasattr(loss, "backward"):
        loss, params, grads = _of_model(loss, params, grads)
    lines = []
    for name, parameter, analytic in _pairs(params, grads):

        def loss_of(values, name=name):
            return loss({**params, name: values})

        numerical = numerical_gradient(loss_of, parameter, eps)
        errors = _relative_error(numerical, analytic)
        worst = np.unravel_index(np.argmax(errors), errors.shape)  # a NaN counts as largest
        lines.append(
            ParameterCheck(
                name=name,
                norm_ratio=norm_ratio(numerical, analytic),
                max_error=float(errors[worst]),
                where=tuple(map(int, worst)),
                analytic=float(analytic[worst]),
                numerical=float(numerical[worst]),
            )
        )
    return GradientReport(tuple(lines), _blind_spots(params))


def _blind_spots(params):
    """Return at most one sentence: why a check with these parameters may miss bugs."""
    arrays = {name: np.asarray(values) for name, values in params.items()}
    zero = [name for name, values in arrays.items() if not values.any()]
    small = [
        name
        for name, values in arrays.items()
        if name not in zero and min(values.shape, default=0) > 1 and np.std(values) < 0.05
    ]
    imprecise = [name for name, values in arrays.items() if values.dtype == np.float32]
    reasons = [
        f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} {what}"
        for names, what in ((small, "small"), (zero, "0"), (imprecise, "float32"))
        if names
    ]
    if not reasons:
        return ()
    return (
        f"This check may mislead: {'; '.join(reasons)}. Use weights and biases of about 0.5, "
        "in float64.",
    )


def norm_ratio(a, b):
    """Compute ‖a − b‖ / (‖a‖ + ‖b‖), or 0 if both are zero. Introduced on Day 29."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    scale = np.linalg.norm(a) + np.linalg.norm(b)
    return float(np.linalg.norm(a - b) / scale) if scale != 0 else 0.0


def step_size_sweep(f, x, gradient, steps):
    """Measure the error of finite differences at each step size. Introduced on Day 29.

    f is evaluated in the precision of x, so a float32 array shows the rounding of float32.

    Args:
        f: a function of an array like x that returns one number.
        x: a float32 or float64 array; it is not changed.
        gradient: the exact gradient of f at x.
        steps: step sizes, each above 0.

    Returns:
        {"centred": errors, "one-sided": errors}, the norm ratio to `gradient` for each step.

    Raises:
        TypeError, ValueError: if x is not of a float type or a step is not above 0.
    """
    x = np.array(x)
    if x.dtype.kind != "f":
        raise TypeError(f"x must be float32 or float64, got {x.dtype}")
    here = _single_number(f(x))
    errors = {"centred": [], "one-sided": []}
    for step in steps:
        step = positive_float("steps", step)
        centred, one_sided = np.zeros(x.shape), np.zeros(x.shape)
        for index in np.ndindex(x.shape):
            above, below = _two_sides(f, x, index, step)
            centred[index] = (above - below) / (2 * step)
            one_sided[index] = (above - here) / step
        errors["centred"].append(norm_ratio(centred, gradient))
        errors["one-sided"].append(norm_ratio(one_sided, gradient))
    return {kind: np.array(values) for kind, values in errors.items()}


def _of_model(model, X, y):
    """Return a model's loss as a function of its parameters, the parameters, and the gradients.

    The parameters are float copies: in an integer array the step would be rounded away.
    """
    model = copy.copy(model)  # whose parameters may be replaced
    _, probs, cache = model.loss(X, y)
    grads = model.backward(probs, cache, y)
    params = {}  # read now, so that the gradients do not fit if `backward` changed a parameter
    for name in PARAMETERS:
        values = np.asarray(getattr(model, name))
        params[name] = np.array(values, dtype=np.result_type(values, np.float32))

    def loss(params):
        vars(model).update(params)
        return model.loss(X, y)[0]

    return loss, params, grads


def _pairs(params, grads):
    """Return (name, parameter, its gradient) for each parameter; the shapes must be equal.

    For a parameter with one row, (1, H), the gradient may have the shape (H,).
    """
    grads = [grads[name] for name in params] if hasattr(grads, "keys") else list(grads)
    if len(grads) != len(params):
        raise ValueError(
            f"grads must have one gradient per parameter, {', '.join(params)}; got {len(grads)}"
        )
    pairs = []
    for (name, parameter), gradient in zip(params.items(), grads, strict=True):
        shape, gradient = np.shape(parameter), np.asarray(gradient)
        if shape == (1, *gradient.shape):
            gradient = gradient[None]
        if gradient.shape != shape:
            raise ValueError(
                f"the gradient of {name} must have {name}'s shape {shape}, got {gradient.shape}"
            )
        pairs.append((name, parameter, gradient))
    return pairs


def _two_sides(f, x, index, step):
    """Evaluate f with x[index] moved up and down by `step`; x is restored."""
    original = x[index]
    x[index] = original + step
    above = _single_number(f(x))
    x[index] = original - step
    below = _single_number(f(x))
    x[index] = original
    return above, below


def _centred_difference(f, x, index, eps):
    above, below = _two_sides(f, x, index, eps)
    return (above - below) / (2 * eps)


def _single_number(value):
    """Convert a number, or an array or tensor with exactly one, to a float."""
    try:
        single = value.item() if hasattr(value, "item") else value
        return number("f", single)  # pragma: no mutate (the message is replaced below)
    except (TypeError, ValueError, RuntimeError):  # torch raises the last of them
        raise ValueError(f"f must return a single number, got {value!r}") from None


def _relative_error(a, b):
    return np.abs(a - b) / np.maximum(1e-8, np.abs(a) + np.abs(b))
