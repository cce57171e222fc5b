"""Compare what a function returned with what was expected (Day 29).

Pure functions of values and arrays: nothing here calls a submission or knows an exercise.
"""

import numpy as np


def close(got, wanted):
    """Return whether two arrays of one shape agree to float32 accuracy, NaN and infinity included."""
    if wanted.size:  # for most arrays, the largest difference alone decides
        wanted = wanted.astype(float, copy=False)
        with np.errstate(invalid="ignore", over="ignore"):
            gap, size = np.abs(got - wanted).max(), np.abs(wanted).max()
        if size < np.inf and gap <= 1e-5 * max(0.1, size):
            return True
        if size < np.inf and gap > 1e-5 * max(0.1, size) + 1e-4 * size:
            return False
    return bool(entries_close(got, wanted).all())


def entries_close(got, wanted):
    """Return a Boolean array: where two arrays of one shape agree to float32 accuracy."""
    wanted = wanted.astype(float, copy=False)
    size, finite = np.abs(wanted), np.isfinite(wanted)
    # The absolute tolerance scales with the array: a sum of terms that cancel is not 0 in
    # floating point, only small compared with the terms.
    scale = max(0.1, float(size[finite].max())) if finite.any() else 0.1
    # The same as np.isclose, which takes twice as long for arrays this small.
    with np.errstate(invalid="ignore", over="ignore"):
        near = finite & (np.abs(got - wanted) <= 1e-5 * scale + 1e-4 * size)
    return near | (got == wanted) | (np.isnan(got) & np.isnan(wanted))


def wrong_outputs(probe, outputs, right):
    """Return the names of the outputs that are missing, not right or superfluous."""
    accept = probe.accept or close
    wrong = []
    for name, wanted in right.items():
        got = outputs.get(name)
        if got is None or got.shape != wanted.shape or not accept(got, wanted):
            wrong.append(name)
    return wrong + [name for name in outputs if name not in right]


def as_numbers(value):
    """Return a new float64 array, or None if `value` does not contain real numbers."""
    if hasattr(value, "detach"):  # a torch tensor, without importing torch
        value = value.detach().cpu()
        return None if value.is_complex() else value.double().numpy().copy()
    try:
        array = np.ma.asarray(value) if isinstance(value, np.ma.MaskedArray) else np.asarray(value)
    except (ValueError, TypeError, RuntimeError):
        array = None
    if isinstance(value, (list, tuple)) and (array is None or array.dtype == object):
        parts = [as_numbers(item) for item in value]
        if any(part is None for part in parts) or len({part.shape for part in parts}) != 1:
            return None
        return np.array(parts)
    if array is None or array.dtype.kind not in "biufO":
        return None
    try:
        array = array.astype(np.float64)
    except (ValueError, TypeError):
        return None
    return array.filled(np.nan) if isinstance(array, np.ma.MaskedArray) else array


def largest_change(before, after):
    """Return the largest change in an argument, 0 if only rounding changed it.

    Lists are compared item by item; what is not an array counts as unchanged.
    """
    if isinstance(before, (list, tuple)):
        if len(before) != len(after):
            return np.inf
        changes = (largest_change(b, a) for b, a in zip(before, after, strict=True))
        return max(changes, default=0)
    if not isinstance(before, np.ndarray):
        return 0
    if before.shape != np.shape(after):
        return np.inf
    change = np.abs(np.subtract(after, before, dtype=float)).max()
    rounding = 4 * np.finfo(float).eps * np.abs(before).max()
    return 0 if change <= rounding else float(change)


def kind(value):
    """Name a value's type, with its length or shape: "a list of 3"."""
    name = type(value).__name__
    article = "an" if name[0] in "aeioAEIO" or name == "ndarray" else "a"  # "a uint8"
    if isinstance(value, (list, tuple, dict)):
        return f"{article} {name} of {len(value)}"
    shape = getattr(value, "shape", None)
    if getattr(value, "requires_grad", False):
        return f"{article} {name} that is still attached to its graph"
    return f"{article} {name} of shape {tuple(shape)}" if shape else f"{article} {name}"
