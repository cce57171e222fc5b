"""Splitting, normalising and batching (Days 31 and 32), against torchvision's pipeline."""

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Subset
from torchvision import transforms
from torchvision.datasets import MNIST

from nnweek.checks import solutions
from nnweek.loaders import BatchLoader, make_loaders, pixel_statistics, split
from support.small_mnist import CHECKSUMS, FILES, SMALL, UNPACKED, put


@given(st.integers(2, 300), st.floats(0, 1, exclude_min=True, exclude_max=True), st.integers(0, 9))
@example(60_000, 0.1, 42)
def test_split_contains_every_index_once_and_is_reproducible(n, val_ratio, seed):
    train, val = split(n, val_ratio, seed)
    assert sorted([*train, *val]) == list(range(n))
    assert len(train) >= 1
    assert len(val) >= 1
    assert abs(len(val) - n * val_ratio) <= 0.5 or 1 in (len(train), len(val))
    np.testing.assert_array_equal(np.concatenate(split(n, val_ratio, seed)), [*train, *val])


@given(st.integers(2, 300), st.floats(0.01, 0.99), st.integers(0, 9))
def test_split_equals_the_solution_of_the_exercise(n, val_ratio, seed):
    """The exercise of Day 32 does not promise both parts an example; the package does."""
    train, val = solutions.split(n, val_ratio, seed)
    assume(len(train) > 0 and len(val) > 0)
    np.testing.assert_array_equal(split(n, val_ratio, seed)[0], train)
    np.testing.assert_array_equal(split(n, val_ratio, seed)[1], val)


def numbers(n, batch_size, seed):
    """A loader whose examples are 0 … n − 1 and whose labels are their negatives."""
    return BatchLoader(torch.arange(n), -torch.arange(n), batch_size, shuffle_seed=seed)


def order(loader):
    return torch.cat([images for images, _ in loader]).tolist()


@given(st.integers(1, 50), st.integers(1, 60), st.none() | st.integers(0, 9))
def test_epoch_contains_every_example_once_with_its_label(n, batch_size, seed):
    loader = numbers(n, batch_size, seed)
    batches = list(loader)
    examples = torch.cat([images for images, _ in batches]).tolist()
    assert (examples if seed is None else sorted(examples)) == list(range(n))
    assert all(torch.equal(images, -labels) for images, labels in batches)
    *full, last = [len(images) for images, _ in batches]
    assert set(full) <= {batch_size}, "only the last batch may be smaller"
    assert 1 <= last <= batch_size
    assert (len(loader), len(loader.dataset)) == (len(batches), n)


def test_order_depends_only_on_seed_and_epoch():
    loader, twin = numbers(50, 8, seed=1), numbers(50, 20, seed=1)
    first, second, third = (order(loader) for _ in range(3))
    assert [first, second, third] == [order(twin) for _ in range(3)], "one seed, one order"
    assert first != second != third != first, "every epoch is reshuffled"
    assert first != order(numbers(50, 8, seed=2)), "another seed, another order"
    assert loader.epoch == 3
    loader.epoch = 0
    next(iter(loader))  # an interrupted epoch counts as started
    assert order(loader) == second, "an interrupted epoch does not affect the next"
    loader.epoch = 0
    assert order(loader) == first, "setting the epoch back repeats it"


@pytest.mark.parametrize("batch_size", [1, 7, 36, 100])
def test_batches_equal_those_of_torchvision(batch_size, tmp_path, monkeypatch):
    monkeypatch.setattr(MNIST, "resources", CHECKSUMS)
    put(tmp_path / "data" / "MNIST" / "raw", FILES | UNPACKED)
    mean, std = pixel_statistics(SMALL.train_images)
    usual = transforms.Compose([transforms.ToTensor(), transforms.Normalize((mean,), (std,))])
    train, test = (MNIST(tmp_path / "data", part, usual, download=True) for part in (True, False))
    train_idx, val_idx = split(len(train), 0.1, 42)
    train_idx = train_idx[order(numbers(len(train_idx), batch_size, seed=42))]
    subsets = Subset(train, train_idx), Subset(train, val_idx), test
    for loader, subset in zip(make_loaders(SMALL, batch_size), subsets, strict=True):
        for batch, wanted in zip(loader, DataLoader(subset, batch_size), strict=True):
            for got, expected in zip(batch, wanted, strict=True):
                torch.testing.assert_close(got.cpu(), expected)


def test_batches_are_on_the_requested_device():
    """`meta` is a device without memory, which is never the default."""
    for loader in make_loaders(SMALL, device="meta"):
        assert loader.batch_size == 128
        for part in (*loader.dataset.tensors, *next(iter(loader))):
            assert part.device.type == "meta"


@given(st.binary(max_size=200).map(lambda pixels: b"01" + pixels))
def test_pixel_statistics_match_numpy(pixels):
    images = np.frombuffer(pixels, np.uint8)
    expected = (images / 255).mean(), (images / 255).std()
    np.testing.assert_allclose(pixel_statistics(images), expected, rtol=1e-9)


WRONG = [
    (ValueError, "n ", lambda: split(1, 0.5, 0)),
    (TypeError, "n ", lambda: split(2.5, 0.5, 0)),
    (ValueError, "val_ratio", lambda: split(9, 0, 0)),
    (ValueError, "val_ratio", lambda: split(9, 1.0, 0)),
    (ValueError, "val_ratio", lambda: split(9, float("nan"), 0)),
    (TypeError, "seed", lambda: make_loaders(SMALL, seed=None)),
    (ValueError, "seed", lambda: make_loaders(SMALL, seed=-1)),
    (ValueError, "images and labels", lambda: BatchLoader(torch.ones(3), torch.ones(2), 1)),
    (ValueError, "images", lambda: BatchLoader(torch.ones(0), torch.ones(0), 1)),
    (ValueError, "batch_size", lambda: BatchLoader(torch.ones(2), torch.ones(2), 0)),
    (TypeError, "images", lambda: pixel_statistics(np.ones(3))),
    (ValueError, "images", lambda: pixel_statistics(np.ones(0, np.uint8))),
    (ValueError, "images", lambda: pixel_statistics(np.ones(3, np.uint8))),
]


@pytest.mark.parametrize(("error", "names", "call"), WRONG)
def test_error_names_the_argument(error, names, call):
    with pytest.raises(error, match=f"^{names}"):
        call()
