"""Argument validation: report a bad argument at the call that passed it.

Every message names the argument, what was expected and what was passed.
"""

import contextlib

import numpy as np


def positive_int(name, value):
    """Return `value` as an int, or raise if it is not an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an integer, got {value!r} ({type(value).__name__})")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
    return int(value)


def number(name, value):
    """Return `value` as a float, or raise if it is not one; strings and booleans are rejected."""
    if not isinstance(value, (bool, np.bool_, str, bytes)):
        with contextlib.suppress(TypeError, ValueError):
            return float(value)
    raise TypeError(f"{name} must be a number, got {value!r}")


def positive_float(name, value):
    """Return `value` as a float, or raise if it is not a finite number above 0."""
    result = number(name, value)
    if not (np.isfinite(result) and result > 0):
        raise ValueError(f"{name} must be a finite number above 0, got {value}")
    return result


def random_seed(name, value):
    """Return `value` as an int, or raise if it is not in NumPy's range of seeds."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an integer, got {value!r} ({type(value).__name__})")
    if not 0 <= value < 2**32:
        raise ValueError(f"{name} must be in 0 … 2**32 - 1, got {value}")
    return int(value)


def one_of(name, value, choices):
    """Return `value`, or raise if it is not one of `choices`, a collection of strings."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}; got {value!r}")
    return value


def matrix(name, values, columns=None):
    """Return `values` as a float array of shape (N, columns) with finite entries.

    Integers become floats, because a gradient step on integers would lose its
    fractional part; float32 stays float32.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must contain numbers, got dtype {array.dtype}")
    if array.dtype.kind != "f":
        array = array.astype(float)
    wanted = "(N, features)" if columns is None else f"(N, {columns})"
    if array.ndim != 2 or (columns is not None and array.shape[1] != columns):
        raise ValueError(f"{name} must have shape {wanted}, got {array.shape}")
    if len(array) == 0:
        raise ValueError(f"{name} is empty: it must have at least one row")
    if not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        raise ValueError(
            f"{name} must be finite, but {name}[{row}, {column}] is {array[row, column]}"
        )
    return array


def labels(name, values, rows, classes):
    """Return `values` as an int array of shape (rows,) with entries in 0 … classes − 1."""
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must contain integers (class labels), got dtype {array.dtype}")
    if array.shape != (rows,):
        raise ValueError(f"{name} must have shape ({rows},), one label per row; got {array.shape}")
    if rows == 0:
        raise ValueError(f"{name} is empty: it must have at least one label")
    if array.min() < 0 or array.max() >= classes:
        wrong = array[(array < 0) | (array >= classes)][0]
        raise ValueError(f"{name} must be in 0 … {classes - 1}, but contains {wrong}")
    return array
