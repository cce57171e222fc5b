"""The two-dimensional data sets (Days 29 and 30)."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression

from nnweek.toy import make_spirals, make_toy_data


def test_spirals_are_two_arms_half_a_turn_apart():
    X, y = make_spirals(60)
    scatter = 0.1  # five standard deviations
    assert_array_equal(np.bincount(y), [60, 60])
    assert_allclose(X[y == 1], -X[y == 0], atol=1.5 * scatter)
    assert_allclose(np.linalg.norm(X[y == 0], axis=1), np.linspace(0.1, 1, 60), atol=scatter)
    assert_array_equal(make_spirals(60)[0], make_spirals(60)[0])
    assert not np.array_equal(make_spirals(60)[0], make_spirals(60, seed=1)[0])


def test_linear_model_is_near_chance_on_the_spirals():
    X, y = make_spirals(200)
    linear = LogisticRegression(C=1e6).fit(X, y)
    assert linear.score(*make_spirals(200, seed=1)) < 0.65


def test_toy_data_is_two_clusters_determined_by_the_seed():
    np.random.seed(1)
    X, y = make_toy_data(500)
    np.random.seed(2)
    again, _ = make_toy_data(500)

    assert_array_equal(X, again)
    assert not np.array_equal(X, make_toy_data(500, seed=7)[0])
    assert (X.shape, X.dtype, y.dtype) == ((1000, 2), np.float64, np.int64)
    assert_array_equal(y, [0] * 500 + [1] * 500)
    for k, centre in enumerate([-1, 1]):
        assert_allclose(X[y == k].mean(axis=0), centre, atol=0.1)
        assert_allclose(np.cov(X[y == k].T), 0.3 * np.eye(2), atol=0.06)
