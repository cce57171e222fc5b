"""Settings and fixtures that several folders of tests share."""

import numpy as np
import pytest
from hypothesis import settings

from nnweek.mnist import Digits

# Derandomized: every run tests the same examples, so that a pull request cannot fail on a case
# unrelated to it. No deadline, because machines may be busy.
settings.register_profile("course", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("course")


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Small networks gain nothing from several threads, and lose much on a busy machine."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def digits():
    """A few generated digits in MNIST's format, easy to learn: the bright row encodes the label."""
    rng = np.random.default_rng(0)

    def draw(n):
        labels = np.arange(n, dtype=np.int64) % 10
        images = rng.integers(0, 64, size=(n, 28, 28), dtype=np.uint8)
        images[np.arange(n), 2 * labels] = 255
        return images, labels

    return Digits(*draw(100), *draw(30), name="generated digits", is_stand_in=True)


@pytest.fixture
def shown(monkeypatch):
    """The list of figures shown so far, drawn in memory and closed after the test."""
    import matplotlib.pyplot as plt

    plt.switch_backend("agg")
    plt.close("all")
    figures = []
    monkeypatch.setattr(plt, "show", lambda: figures.append(plt.gcf()))
    with plt.rc_context():  # restores settings that a test changes
        yield figures
    plt.close("all")
