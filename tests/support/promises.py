"""The promises that the check of every exercise keeps, as tests over a day's submissions.

A day's test module provides submissions that are independent of the checks' own variants:

    (
        test_every_mistake_is_named,
        test_right_answers_pass,
        test_one_of_two_mistakes_is_named,
        test_ids_are_those_of_the_contract,
    ) = promises(IDS, STYLES, RIGHT)
    test_random_answer_passes_only_if_it_is_right = only_right_answers_pass(STYLES)
"""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnweek import checks
from support.submissions import first_verdict, in_float32

PRECISIONS = {"float64": lambda function: function, "float32": in_float32}
AS_WRITTEN = {"": lambda function: function}


def cases(table):
    """Return a `pytest.param` (name, …, function) for each of {name or (name, …): functions}."""
    params = []
    for key, functions in table.items():
        key = key if isinstance(key, tuple) else (key,)
        for i, function in enumerate(functions):
            label = getattr(function, "__name__", "").replace("<lambda>", "") or i
            params.append(pytest.param(*key, function, id="-".join(map(str, (*key, label)))))
    return params


def right_answers(styles, more=None):
    """Return {exercise: submissions} with the styles without a bug, and then `more`."""
    more = more or {}
    return {name: [style(set()) for style in styles[name]] + more.get(name, []) for name in styles}


def promises(ids, styles, right=None, not_both=(), numeric=False):
    """Return four tests: mistakes are named, right answers pass, one of two is named, ids.

    Args:
        ids: {exercise: ids of its mistakes in the contract}.
        styles: {exercise: functions that take the bugs to inject and return a submission}.
        right: {exercise: submissions}; by default the styles without a bug.
        not_both: sets of two mistakes that a style cannot make at once.
        numeric: whether the submissions compute with arrays of floats: then each is also tried
            in float32, and the hints quote numbers.

    Pairs of mistakes, mistakes in float32 and all styles but the first are `slow`.
    """
    casts = PRECISIONS if numeric else AS_WRITTEN
    every_cast = pytest.mark.parametrize("cast", casts.values(), ids=casts)
    slowly = [
        pytest.param(cast, id=name, marks=[pytest.mark.slow] * (name == "float32"))
        for name, cast in casts.items()
    ]
    all_styles = [(name, style) for name in styles for style in styles[name]]

    each_bug = [
        pytest.param(name, style, bug, marks=[pytest.mark.slow] * (style is not styles[name][0]))
        for name, style in all_styles
        for bug in ids[name]
    ]

    @pytest.mark.parametrize("cast", slowly)
    @pytest.mark.parametrize(("name", "style", "bug"), each_bug)
    def names_the_mistake(name, style, bug, cast):
        verdict = first_verdict(name, cast(style({bug})))
        assert (verdict.passed, verdict.mistake) == (False, bug), verdict
        if numeric:
            assert any(character.isdigit() for character in verdict.hint), "it quotes no number"
            assert "That is not all" not in verdict.hint

    @every_cast
    @pytest.mark.parametrize(("name", "function"), cases(right or right_answers(styles)))
    def passes(name, function, cast):
        verdict = first_verdict(name, cast(function))
        assert verdict.passed, verdict

    @pytest.mark.slow
    @pytest.mark.parametrize(("name", "style"), all_styles)
    def names_one_of_two(name, style):
        turn = itertools.cycle(casts.values())
        for _ in range(styles[name].index(style)):
            next(turn)  # so that every pair is tried in both precisions
        for two in itertools.combinations(ids[name], 2):
            cast = next(turn)
            if set(two) not in not_both:
                verdict = first_verdict(name, cast(style(set(two))))
                assert verdict.mistake in two, (two, verdict)

    @pytest.mark.parametrize("name", ids)
    def has_the_ids(name):
        known = {m.id for m in checks.EXERCISES[name].mistakes if not m.forgiven}
        assert set(ids[name]) == known - {"wrong"}

    return names_the_mistake, passes, names_one_of_two, has_the_ids


def only_right_answers_pass(styles):
    """Return a test: a right answer passes, and fails if one of its outputs is spoiled."""

    @pytest.mark.slow
    @settings(deadline=None)
    @given(
        named_style=st.sampled_from([(name, style) for name in styles for style in styles[name]]),
        cast=st.sampled_from(list(PRECISIONS.values())),
        spoil=st.sampled_from([None, "add", "scale", "entry", "zero"]),
        output=st.integers(0, 3),
        amount=st.floats(0.02, 5),
        seed=st.integers(0, 99),
    )
    def test(named_style, cast, spoil, output, amount, seed):
        name, style = named_style
        right, outputs = cast(style(set())), checks.EXERCISES[name].outputs

        def submission(*args):
            rng, value = np.random.default_rng(seed), right(*args)
            if len(outputs) == 1 and "{}" not in outputs[0]:
                return _spoiled(value, spoil, amount, rng)
            values = list(value)
            i = output % len(values)
            values[i] = _spoiled(values[i], spoil, amount, rng)
            return values

        verdict = first_verdict(name, submission)
        assert verdict.passed == (spoil is None), verdict

    return test


def _spoiled(value, spoil, amount, rng):
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
