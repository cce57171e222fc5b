"""Tests and test cases from tables of submissions, for exercises about arrays of numbers."""

import itertools

import numpy as np
import pytest
from hypothesis import strategies as st

from nnweek import checks
from support.submissions import in_float32

CASTS = {"float64": lambda f: f, "float32": in_float32}


def cases(table):
    """Return a `pytest.param` (name, …, function) for each of {name or (name, …): functions}."""
    params = []
    for key, functions in table.items():
        key = key if isinstance(key, tuple) else (key,)
        for i, function in enumerate(functions):
            label = getattr(function, "__name__", "").replace("<lambda>", "") or i
            params.append(pytest.param(*key, function, id="-".join(map(str, (*key, label)))))
    return params


def numeric_promises(ids, styles, not_both=()):
    """Return three tests: right answers pass, every mistake is named, and so is one of two.

    Args:
        ids: {exercise: ids of its mistakes}.
        styles: {exercise: functions that take the bugs to inject and return a submission}.
        not_both: sets of two mistakes that a style cannot make at once.
    """
    precision = pytest.mark.parametrize("cast", CASTS.values(), ids=CASTS)
    with_bug = {(name, bug): styles[name] for name in styles for bug in ids[name]}

    @precision
    @pytest.mark.parametrize(("name", "style"), cases(styles))
    def passes(name, style, cast):
        verdict = checks.EXERCISES[name](cast(style(set())))
        assert verdict.passed, verdict

    @precision
    @pytest.mark.parametrize(("name", "bug", "style"), cases(with_bug))
    def names_the_mistake(name, bug, style, cast):
        verdict = checks.EXERCISES[name](cast(style({bug})))
        assert verdict.mistake == bug, verdict
        assert any(c.isdigit() for c in verdict.hint), "the hint quotes numbers"
        assert "That is not all" not in verdict.hint

    @pytest.mark.parametrize(("name", "style"), cases(styles))
    def names_one_of_two(name, style):
        """Every style and every pair are tried in both precisions, which alternate."""
        for i, pair in enumerate(itertools.combinations(ids[name], 2)):
            if set(pair) not in not_both:
                cast = [*CASTS.values()][(i + styles[name].index(style)) % 2]
                verdict = checks.EXERCISES[name](cast(style(set(pair))))
                assert verdict.mistake in pair, (pair, verdict)

    return passes, names_the_mistake, names_one_of_two


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
