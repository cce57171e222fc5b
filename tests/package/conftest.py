"""Fixtures of the package's tests."""

import pytest

from support.training import make_data


@pytest.fixture
def data():
    """Twenty images (N, 1, 3, 4) and their labels."""
    return make_data()
