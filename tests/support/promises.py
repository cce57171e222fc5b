"""The promises that the check of every exercise keeps, as tests over a day's submissions.

A day's test module provides submissions that are independent of the checks' own variants:

    (
        test_every_mistake_is_named,
        test_right_answers_pass,
        test_one_of_two_mistakes_is_named,
        test_ids_are_those_of_the_contract,
    ) = promises(IDS, STYLES, RIGHT)
"""

import itertools

import pytest

from nnweek import checks
from support.submissions import first_verdict, in_float32

PRECISIONS = {"float64": lambda function: function, "float32": in_float32}
AS_WRITTEN = {"": lambda function: function}


def promises(ids, styles, right=None, not_both=(), numeric=False):
    """Return four tests: mistakes are named, right answers pass, one of two is named, ids.

    Args:
        ids: {exercise: ids of its mistakes in the contract}.
        styles: {exercise: functions that take the bugs to inject and return a submission}.
        right: {exercise: {label: submission}}; by default the styles without a bug.
        not_both: sets of two mistakes that a style cannot make at once.
        numeric: whether the submissions compute with arrays of floats: then each is also tried
            in float32, and the hints quote numbers.
    """
    casts = PRECISIONS if numeric else AS_WRITTEN
    every_cast = pytest.mark.parametrize("cast", casts.values(), ids=casts)
    all_styles = [(name, style) for name in styles for style in styles[name]]
    if right is None:
        right = {n: {style.__name__: style(set()) for style in styles[n]} for n in styles}

    @every_cast
    @pytest.mark.parametrize(
        ("name", "style", "bug"), [(name, style, bug) for name, style in all_styles for bug in ids[name]]
    )  # fmt: skip
    def names_the_mistake(name, style, bug, cast):
        verdict = first_verdict(name, cast(style({bug})))
        assert (verdict.passed, verdict.mistake) == (False, bug), verdict
        if numeric:
            assert any(character.isdigit() for character in verdict.hint), "it quotes no number"
            assert "That is not all" not in verdict.hint

    @every_cast
    @pytest.mark.parametrize(
        ("name", "label"), [(name, label) for name in right for label in right[name]]
    )
    def passes(name, label, cast):
        verdict = first_verdict(name, cast(right[name][label]))
        assert verdict.passed, verdict

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
        known = {mistake.id for mistake in checks.EXERCISES[name].mistakes}
        assert set(ids[name]) == known - {"wrong"}

    return names_the_mistake, passes, names_one_of_two, has_the_ids
