"""Test cases from tables of submissions, and right answers that are spoiled at random."""

import numpy as np
import pytest
from hypothesis import strategies as st


def cases(table):
    """Return a `pytest.param` (name, …, function) for each of {name or (name, …): functions}."""
    params = []
    for key, functions in table.items():
        key = key if isinstance(key, tuple) else (key,)
        for i, function in enumerate(functions):
            label = getattr(function, "__name__", "").replace("<lambda>", "") or i
            params.append(pytest.param(*key, function, id="-".join(map(str, (*key, label)))))
    return params


SPOILS = st.sampled_from([None, "add", "scale", "entry", "zero"])


def spoiled(value, spoil, amount, rng):
    """Return a float copy of an array with an error of a relative size of about `amount`."""
    value = np.array(value, dtype=float)
    error = amount * max(1e-3, np.abs(value).max())
    if spoil == "add":
        value += error
    elif spoil == "scale":
        value *= 1 + amount
    elif spoil == "zero":
        value *= 0
    elif spoil == "entry":
        value[tuple(rng.integers(0, n) for n in value.shape)] += error
    return value
