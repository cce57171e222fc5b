"""What several test files share."""

import numpy as np
import pytest
from hypothesis import settings

from nnweek.mnist import Digits

# The same examples on every machine and in every run: a contributor's pull request
# does not fail over a case that it has nothing to do with. No deadline, since tests
# may share a busy machine.
settings.register_profile("course", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("course")


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Networks this small gain nothing from several, and lose much on a busy machine."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def digits():
    """A handful of pretend digits in MNIST's form, easy to learn: a bright row says which."""
    rng = np.random.default_rng(0)

    def draw(n):
        labels = np.arange(n, dtype=np.int64) % 10
        images = rng.integers(0, 64, size=(n, 28, 28), dtype=np.uint8)
        images[np.arange(n), 2 * labels] = 255
        return images, labels

    return Digits(*draw(100), *draw(30), name="pretend digits", is_stand_in=True)


@pytest.fixture
def shown(monkeypatch):
    """The list of figures shown so far; they are drawn in memory and closed after the test."""
    import matplotlib.pyplot as plt

    plt.switch_backend("agg")
    plt.close("all")
    figures = []
    monkeypatch.setattr(plt, "show", lambda: figures.append(plt.gcf()))
    with plt.rc_context():  # what a test leaves changed does not reach the next
        yield figures
    plt.close("all")
