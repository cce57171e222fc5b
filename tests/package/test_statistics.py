"""Confidence intervals against SciPy (Days 32 and 33)."""

import numpy as np
import pytest
from scipy import stats
from scipy.stats import binomtest

from nnweek.statistics import accuracy_interval, mean_interval, paired_difference


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
