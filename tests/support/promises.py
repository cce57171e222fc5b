"""The promises that the check of every exercise keeps, as tests over a day's submissions.

A day's test module provides independent submissions: `styles` are functions that take the bugs
to inject and return a submission, `right` are submissions that must pass.

    NAMED, PASSED, PAIRED = promises(IDS, STYLES, RIGHT)
    test_every_mistake_is_named = NAMED
"""

import itertools

import pytest

from nnweek import checks
from support.submissions import first_verdict


def promises(ids, styles, right, not_both=()):
    """Return three tests: every mistake is named, right answers pass, one of two is named.

    Args:
        ids: {exercise: ids of its mistakes}.
        styles: {exercise: list of styles}.
        right: {exercise: {label: submission}}.
        not_both: sets of two mistakes that a style cannot make at once.
    """

    @pytest.mark.parametrize(
        ("name", "style", "bug"),
        [(name, style, bug) for name in styles for style in styles[name] for bug in ids[name]],
    )
    def names_the_mistake(name, style, bug):
        verdict = first_verdict(name, style({bug}))
        assert (verdict.passed, verdict.mistake) == (False, bug), verdict

    @pytest.mark.parametrize(
        ("name", "label"), [(name, label) for name in right for label in right[name]]
    )
    def passes(name, label):
        verdict = first_verdict(name, right[name][label])
        assert verdict.passed, verdict

    @pytest.mark.parametrize(
        ("name", "style"), [(name, style) for name in styles for style in styles[name]]
    )
    def names_one_of_two(name, style):
        for two in itertools.combinations(ids[name], 2):
            if set(two) not in not_both:
                verdict = first_verdict(name, style(set(two)))
                assert verdict.mistake in two, (two, verdict)

    for name in ids:
        known = {mistake.id for mistake in checks.EXERCISES[name].mistakes}
        assert set(ids[name]) == known - {"wrong"}, f"ids of {name}"
    return names_the_mistake, passes, names_one_of_two
