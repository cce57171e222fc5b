"""Confidence intervals against SciPy (Days 32 and 33)."""

import numpy as np
import pytest
from scipy import stats
from scipy.stats import binomtest

from nnweek.statistics import accuracy_interval, mcnemar, mean_interval, paired_difference


@pytest.mark.parametrize("n", [1, 2, 30, 500, 10_000])
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9765, 1])
def test_accuracy_interval_matches_scipy_wilson(share, n):
    k = round(share * n)
    oracle = binomtest(k, n).proportion_ci(0.95, method="wilson")
    low, high = accuracy_interval(k / n, n)
    assert (low, high) == pytest.approx((oracle.low, oracle.high), abs=1e-12)
    assert 0 <= low <= k / n <= high <= 1


@pytest.mark.parametrize("n", [2, 5, 30])
def test_t_intervals_match_scipy(n):
    rng = np.random.default_rng(n)
    first, second = rng.normal(0.97, 0.01, n), rng.normal(0.96, 0.01, n)
    oracle = stats.ttest_rel(first, second).confidence_interval(0.95)
    result = paired_difference(first, second)
    assert (result.low, result.high) == pytest.approx((oracle.low, oracle.high), abs=1e-12)
    assert result.mean == pytest.approx((first - second).mean())
    assert result.n == n

    mean, low, high = mean_interval(np.stack([first, second], axis=1))
    oracle = stats.ttest_1samp(np.stack([first, second], axis=1), 0).confidence_interval(0.95)
    assert np.allclose([low, high], [oracle.low, oracle.high])
    assert np.allclose(mean, [first.mean(), second.mean()])


def test_verdict_names_the_higher_run_or_no_difference():
    assert paired_difference([0.9, 0.8, 0.7], [0.8, 0.7, 0.59]).verdict == "first higher"
    assert paired_difference([0.8, 0.7, 0.59], [0.9, 0.8, 0.7]).verdict == "second higher"
    assert paired_difference([0.9, 0.8, 0.7], [0.8, 0.9, 0.6]).verdict == "no difference shown"
    assert paired_difference([0.9, 0.8], [0.9, 0.8]).verdict == "no difference shown"


def test_pairing_cancels_the_spread_of_the_seeds():
    """Without pairing, the spread of the seeds (0.1) would hide the difference (0.01)."""
    seeds = np.array([0.5, 0.6, 0.7, 0.8, 0.9])
    better = seeds + np.array([0.011, 0.009, 0.01, 0.012, 0.008])
    assert paired_difference(better, seeds).verdict == "first higher"
    assert paired_difference(better, seeds[::-1]).verdict == "no difference shown"


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ([0.9, 0.8], [0.9], "equal length"),
        ([0.9], [0.8], "at least 2 runs"),
        ([[0.9, 0.8]], [[0.9, 0.8]], "one number per pair"),
        ([0.9, float("nan")], [0.9, 0.8], "finite"),
    ],
)
def test_paired_difference_names_the_problem(first, second, message):
    with pytest.raises(ValueError, match=message):
        paired_difference(first, second)
    with pytest.raises(ValueError, match="at least 2 rows"):
        mean_interval([0.9])


@pytest.mark.parametrize(
    ("both", "only_first", "only_second", "neither"),
    [(40, 9, 1, 5), (40, 1, 9, 5), (0, 6, 6, 0), (9700, 91, 58, 151), (7, 0, 0, 3), (0, 0, 1, 0)],
)
def test_mcnemar_matches_the_exact_binomial_test(both, only_first, only_second, neither):
    counts = (both, only_first, only_second, neither)
    first = np.repeat([True, True, False, False], counts)
    second = np.repeat([True, False, True, False], counts)
    order = np.random.default_rng(0).permutation(len(first))

    result = mcnemar(first[order], second[order].astype(int))

    assert (result.only_first, result.only_second) == (only_first, only_second)
    differing = only_first + only_second
    wanted = binomtest(only_first, differing).pvalue if differing else 1
    assert result.p == pytest.approx(wanted)


def test_mcnemar_sees_what_two_intervals_hide():
    """Both networks miss the same 200 of 10,000 images; one misses 40 more."""
    first, second = np.arange(10_000) >= 200, np.arange(10_000) >= 240
    _, high = accuracy_interval(second.mean(), 10_000)
    low, _ = accuracy_interval(first.mean(), 10_000)
    assert low < high  # the intervals overlap
    assert mcnemar(first, second).p < 1e-9


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ([True, False], [True], "equal length"),
        ([], [], "equal length"),
        ([[True]], [[True]], "equal length"),
        ([3, 1], [1, 0], "first_correct must contain only True and False"),
        ([1, 0], [0.5, 1], "second_correct must contain only True and False"),
    ],
)
def test_mcnemar_names_the_problem(first, second, message):
    with pytest.raises(ValueError, match=message):
        mcnemar(first, second)
