"""Two-dimensional data sets on which a network's decisions can be seen (Days 29 and 30)."""

import numpy as np

from nnweek._validate import positive_float, positive_int


def make_toy_data(n_per_class=100, *, seed=42):
    """Draw two Gaussian clusters around (−1, −1) and (1, 1). Introduced on Day 29.

    Args:
        n_per_class: points in each class, at least 1.
        seed: the same seed gives the same points.

    Returns:
        X: (2 · n_per_class, 2) float64, the points; class 0 first.
        y: (2 · n_per_class,) int64, the labels 0 and 1.

    Raises:
        TypeError, ValueError: if `n_per_class` is not an integer of at least 1.
    """
    n_per_class = positive_int("n_per_class", n_per_class)
    rng = np.random.default_rng(seed)
    covariance = 0.3 * np.eye(2)
    X0 = rng.multivariate_normal([-1.0, -1.0], covariance, size=n_per_class)
    X1 = rng.multivariate_normal([1.0, 1.0], covariance, size=n_per_class)
    X = np.vstack([X0, X1])
    y = np.repeat(np.arange(2), n_per_class)
    return X, y


def make_spirals(n_per_class=100, *, turns=1.25, seed=42):
    """Draw two interleaved spirals, which are not linearly separable. Introduced on Day 29.

    The spirals end at radius 1; the points scatter around them with standard deviation 0.02.

    Args:
        n_per_class, seed: as for `make_toy_data`.
        turns: number of turns of each spiral around the origin, above 0.

    Returns:
        X, y: as from `make_toy_data`.

    Raises:
        TypeError, ValueError: if `n_per_class` is not an integer of at least 1, or
            `turns` is not above 0.
    """
    n_per_class = positive_int("n_per_class", n_per_class)
    turns = positive_float("turns", turns)
    rng = np.random.default_rng(seed)
    radius = np.linspace(0.1, 1.0, n_per_class)
    angle = 2 * np.pi * turns * radius
    arm = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    X = np.vstack([arm, -arm])  # the second arm is the first, rotated by half a turn
    X += 0.02 * rng.standard_normal(X.shape)
    y = np.repeat(np.arange(2), n_per_class)
    return X, y
