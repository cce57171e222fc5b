"""Intervals for an accuracy, a paired test (Day 32), and differences between runs (Day 33)."""

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


@dataclass(frozen=True)
class PairedTest:
    """The images on which two networks differ, and what luck explains. Introduced on Day 32.

    Attributes:
        only_first, only_second: number of examples that only this one answers correctly.
        p: two-sided p-value; how often differences at least this uneven occur if both are
            equally likely to be the one that is right.
    """

    only_first: int
    only_second: int
    p: float


def mcnemar(first_correct, second_correct):
    """McNemar's exact test for two networks on the same examples. Introduced on Day 32.

    Examples that both answer correctly, or neither, say nothing about which is better. If the
    two are equally good, each of the others is won by either with probability 1/2.

    It compares two trained networks, not two methods: how much a network varies with its
    seed is not covered.

    Args:
        first_correct, second_correct: (N,) booleans, or 0 and 1: whether each network's answer
            to each example is right, in the same order.

    Returns:
        `PairedTest`.

    Raises:
        ValueError: if they differ in length, are empty or contain anything but 0 and 1.

    Source: McNemar (1947), *Note on the sampling error of the difference between correlated
    proportions or percentages*, Psychometrika 12, 153–157; exact binomial form.
    """
    from scipy.special import bdtr  # the binomial distribution; SciPy comes with scikit-learn

    first, second = np.asarray(first_correct), np.asarray(second_correct)
    if first.ndim != 1 or first.shape != second.shape or first.size == 0:
        raise ValueError(
            f"first_correct and second_correct must have equal length, one entry per example; "
            f"got shapes {first.shape} and {second.shape}"
        )
    for name, values in ("first_correct", first), ("second_correct", second):
        if not np.isin(values, (0, 1)).all():
            raise ValueError(f"{name} must contain only True and False (or 1 and 0)")
    only_first = int(((first == 1) & (second == 0)).sum())
    only_second = int(((first == 0) & (second == 1)).sum())
    fewer, both = min(only_first, only_second), only_first + only_second
    p = min(1.0, 2 * float(bdtr(fewer, both, 0.5))) if both else 1.0
    return PairedTest(only_first, only_second, p)
