"""Small data sets in two dimensions, for seeing what a network does (Day 29)."""

import numpy as np

from nnweek._validate import positive_int


def make_toy_data(n_per_class=100, *, seed=42):
    """Draw two Gaussian clusters around (−1, −1) and (1, 1). Introduced on Day 29.

    Args:
        n_per_class: points in each class, at least 1.
        seed: the same seed gives the same points.

    Returns:
        X: (2 · n_per_class, 2) float64, the points; class 0 first.
        y: (2 · n_per_class,) int64, the labels 0 and 1.

    Raises:
        TypeError, ValueError: if `n_per_class` is not a whole number of at least 1.
    """
    n_per_class = positive_int("n_per_class", n_per_class)
    rng = np.random.default_rng(seed)
    covariance = 0.3 * np.eye(2)
    X0 = rng.multivariate_normal([-1.0, -1.0], covariance, size=n_per_class)
    X1 = rng.multivariate_normal([1.0, 1.0], covariance, size=n_per_class)
    X = np.vstack([X0, X1])
    y = np.repeat(np.arange(2), n_per_class)
    return X, y
