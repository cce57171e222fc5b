"""Confidence intervals for an accuracy (Day 32) and for differences between runs (Day 33)."""

from dataclasses import dataclass

import numpy as np

from nnweek._validate import number, positive_int


@dataclass(frozen=True)
class Difference:
    """A mean difference over paired runs, with its 95 % interval. Introduced on Day 33.

    Attributes:
        mean: mean of first − second.
        low, high: ends of the interval.
        n: number of pairs.
    """

    mean: float
    low: float
    high: float
    n: int

    @property
    def verdict(self):
        """ "first higher", "second higher" or "no difference shown"."""
        if self.low > 0:
            return "first higher"
        return "second higher" if self.high < 0 else "no difference shown"


def mean_interval(values):
    """Mean over the first axis, with its 95 % confidence interval. Introduced on Day 33.

    Student's t interval; it assumes that the values are independent and roughly normal.

    Args:
        values: (S,) or (S, …), one row per run (per seed), at least 2 rows.

    Returns:
        mean, low, high: arrays with the shape of one row; floats if a row is a number.

    Raises:
        ValueError: if there are fewer than 2 rows.

    Source: Student (1908), *The probable error of a mean*, Biometrika 6, 1–25.
    """
    from scipy.special import stdtrit  # quantiles of Student's t; SciPy comes with scikit-learn

    values = np.asarray(values, dtype=float)
    if values.ndim == 0 or len(values) < 2:
        raise ValueError(f"values must have at least 2 rows, one per run; got shape {values.shape}")
    n = len(values)
    mean = values.mean(axis=0)
    half = stdtrit(n - 1, 0.975) * values.std(axis=0, ddof=1) / np.sqrt(n)
    return mean, mean - half, mean + half


def paired_difference(first, second):
    """The mean of first − second over paired runs, with its interval. Introduced on Day 33.

    The two runs of a pair share everything except what is compared: seed, initial weights
    and batches. What affects both runs equally cancels in their difference.

    Args:
        first, second: one number per run, paired by position; at least 2, finite.

    Returns:
        `Difference`, whose `.verdict` may be "no difference shown".

    Raises:
        ValueError: if they differ in length, are too short or not finite.
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(
            f"first and second must have equal length, one number per pair; "
            f"got shapes {first.shape} and {second.shape}"
        )
    if len(first) < 2:
        raise ValueError(
            f"first must contain at least 2 runs, got {len(first)}: one pair has no spread"
        )
    if not np.isfinite(first - second).all():
        raise ValueError(f"first and second must be finite, got {first} and {second}")
    return Difference(*map(float, mean_interval(first - second)), len(first))


def accuracy_interval(acc, n):
    """Wilson's 95 % interval for an accuracy measured on n examples. Introduced on Day 32.

    It covers the choice of examples: how much the accuracy would vary on other samples
    of n examples. It does not cover how the accuracy varies with the training seed.

    Args:
        acc: the measured accuracy, 0 to 1.
        n: number of examples it was measured on, at least 1.

    Returns:
        low, high: floats, 0 ≤ low ≤ acc ≤ high ≤ 1.

    Raises:
        TypeError, ValueError: if an argument is not as described.

    Source: Wilson (1927), *Probable inference, the law of succession, and statistical
    inference*, Journal of the American Statistical Association 22, 209–212.
    """
    n = positive_int("n", n)
    acc = number("acc", acc)
    if not 0 <= acc <= 1:
        raise ValueError(f"acc must be in 0 … 1, got {acc!r}; divide a percentage by 100")
    z = 1.959963984540054  # the 97.5 % point of the standard normal distribution
    centre = (acc + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * (acc * (1 - acc) / n + z**2 / (4 * n**2)) ** 0.5 / (1 + z**2 / n)
    return max(0.0, min(acc, centre - half)), min(1.0, max(acc, centre + half))
