"""Splitting, normalising and batching images (from Day 31 on)."""

import numpy as np

from nnweek._validate import positive_float, positive_int, random_seed
from nnweek.runtime import get_device


def split(n, val_ratio, seed):
    """Split 0 … n − 1 at random into training and validation indices. Introduced on Day 32.

    Args:
        n: number of examples, at least 2.
        val_ratio: fraction used for validation, above 0 and below 1. The number of
            validation examples is rounded, and each part gets at least one example.
        seed: from 0 to 2³² − 1; the same seed gives the same split.

    Returns:
        train_idx, val_idx: int64 arrays that together contain every index once.

    Raises:
        TypeError, ValueError: if an argument is not as described.
    """
    n = positive_int("n", n)
    if n < 2:
        raise ValueError(f"n must be at least 2, so that each part gets an example; got {n}")
    val_ratio = positive_float("val_ratio", val_ratio)
    if val_ratio >= 1:
        raise ValueError(f"val_ratio must be above 0 and below 1, got {val_ratio!r}")
    n_val = min(max(round(n * val_ratio), 1), n - 1)
    order = np.random.default_rng(random_seed("seed", seed)).permutation(n)
    return order[n_val:], order[:n_val]


def make_loaders(data, batch_size=128, val_ratio=0.1, seed=42, device=None):
    """Split, normalise and batch the digits. Introduced on Day 31.

    All pixels are normalised once, with the mean and standard deviation of the full
    training set, and stay on the device; each batch is then a single gather.

    Args:
        data: `Digits`, from `load_mnist`.
        batch_size: examples per batch, at least 1; the last batch of an epoch may be smaller.
        val_ratio: fraction of the training set that is held out for validation.
        seed: from 0 to 2³² − 1; determines the split and the order of the batches. Loaders
            made with the same seed yield the same batches in the same order, epoch by epoch.
        device: where the batches are; `nnweek.runtime.get_device()` by default.

    Returns:
        train, val, test: three `BatchLoader`s of
        (images (B, 1, 28, 28) float32, labels (B,) int64). Only `train` is shuffled.

    Raises:
        TypeError, ValueError: if an argument is not as described.
    """
    import torch

    batch_size = positive_int("batch_size", batch_size)
    device = get_device() if device is None else torch.device(device)
    train_idx, val_idx = split(len(data.train_images), val_ratio, seed)
    mean, std = pixel_statistics(data.train_images)

    def loader(images, labels, shuffle_seed=None):
        pixels = torch.tensor(images, device=device).unsqueeze(1).to(torch.float32)
        pixels.div_(255).sub_(mean).div_(std)
        return BatchLoader(
            pixels, torch.tensor(labels, device=device), batch_size, shuffle_seed=shuffle_seed
        )

    return (
        loader(data.train_images[train_idx], data.train_labels[train_idx], shuffle_seed=seed),
        loader(data.train_images[val_idx], data.train_labels[val_idx]),
        loader(data.test_images, data.test_labels),
    )


def pixel_statistics(images):
    """Compute the mean and standard deviation of all pixels, scaled to 0 … 1.

    For MNIST's training images these are the 0.1307 and 0.3081 found in most MNIST code.
    Introduced on Day 31.

    Args:
        images: uint8 array of any shape, not empty and not constant.

    Returns:
        mean, std: floats.

    Raises:
        TypeError, ValueError: if `images` is not such an array.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8:
        raise TypeError(f"images must be uint8, got {images.dtype}")
    if images.size == 0:
        raise ValueError("images is empty")
    # Counting the 256 grey values is exact and needs no floating-point copy.
    counts = np.bincount(images.ravel(), minlength=256)
    values = np.arange(256) / 255
    mean = float(np.average(values, weights=counts))
    std = float(np.average((values - mean) ** 2, weights=counts) ** 0.5)
    if std == 0:
        raise ValueError("images are all the same value, so their standard deviation is 0")
    return mean, std


class BatchLoader:
    """Batches of tensors that are already on the device. Introduced on Day 31.

    It does what `torch.utils.data.DataLoader` does, for data that fits in memory and
    without handling examples one at a time: each batch is one `index_select`.

    Args:
        images: (N, …) tensor.
        labels: (N,) tensor on the same device.
        batch_size: examples per batch, at least 1.
        shuffle_seed: reshuffle in every epoch, in an order that depends only on this
            seed and on `epoch`; None keeps the original order.

    Attributes:
        dataset: the `TensorDataset` of all examples.
        epoch: number of epochs started; set it to repeat an epoch or to resume after one.

    Raises:
        TypeError, ValueError: if the tensors differ in length or are empty, or `batch_size`
            is not an integer of at least 1.
    """

    def __init__(self, images, labels, batch_size, *, shuffle_seed=None):
        from torch.utils.data import TensorDataset

        if len(images) != len(labels):
            raise ValueError(f"images and labels differ in length: {len(images)} and {len(labels)}")
        if len(images) == 0:
            raise ValueError("images is empty: there is nothing to batch")
        self.dataset = TensorDataset(images, labels)
        self.batch_size = positive_int("batch_size", batch_size)
        self.shuffle_seed = shuffle_seed
        self.epoch = 0

    def __len__(self):
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self):
        epoch, self.epoch = self.epoch, self.epoch + 1
        return self._batches(epoch)

    def _batches(self, epoch):
        import torch

        images, labels = self.dataset.tensors
        if self.shuffle_seed is None:
            batches = images.split(self.batch_size), labels.split(self.batch_size)
            yield from zip(*batches, strict=True)  # pragma: no mutate (their lengths are equal)
            return
        order = np.random.default_rng([self.shuffle_seed, epoch]).permutation(len(images))
        order = torch.from_numpy(order).to(images.device)  # pragma: no mutate (needs a GPU)
        for chosen in order.split(self.batch_size):
            yield images.index_select(0, chosen), labels.index_select(0, chosen)
