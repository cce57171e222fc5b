"""Small data sets in two dimensions, for seeing what a network does (Day 29)."""

import numpy as np

from nnweek._validate import number, positive_float, positive_int


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


def make_spirals(n_per_class=100, *, turns=1.25, noise=0.02, seed=42):
    """Draw two spirals wound into each other, which no straight line can part. Introduced on Day 29.

    Args:
        n_per_class: points in each class, at least 1.
        turns: how often each spiral winds around the origin, above 0.
        noise: standard deviation of the points around their spiral; 0 or more. The
            spirals end at radius 1.
        seed: the same seed gives the same points.

    Returns:
        X: (2 · n_per_class, 2) float64, the points; class 0 first.
        y: (2 · n_per_class,) int64, the labels 0 and 1.

    Raises:
        TypeError, ValueError: if `n_per_class` is not a whole number of at least 1, `turns`
            is not above 0 or `noise` is below 0.
    """
    n_per_class = positive_int("n_per_class", n_per_class)
    turns = positive_float("turns", turns)
    noise = number("noise", noise)
    if not noise >= 0:
        raise ValueError(f"noise must be 0 or more, got {noise}")
    rng = np.random.default_rng(seed)
    radius = np.linspace(0.1, 1.0, n_per_class)
    angle = 2 * np.pi * turns * radius
    arm = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    X = np.vstack([arm, -arm])  # the second arm is the first, turned by half a circle
    X += noise * rng.standard_normal(X.shape)
    y = np.repeat(np.arange(2), n_per_class)
    return X, y
