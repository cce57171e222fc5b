"""Splitting, normalising and batching images (Days 31 and 32)."""

import numpy as np

from nnweek._validate import positive_float, positive_int, random_seed
from nnweek.runtime import get_device


def split(n, val_ratio, seed):
    """Split 0 … n − 1 at random into training and validation indices. Introduced on Day 32.

    Args:
        n: how many examples there are, at least 2.
        val_ratio: the share for validation, above 0 and below 1; rounded down, but at
            least one example on either side.
        seed: from 0 to 2³² − 1; the same seed gives the same split.

    Returns:
        train_idx, val_idx: int64 arrays that together hold every index once.

    Raises:
        TypeError, ValueError: if an argument is not as said.
    """
    n = positive_int("n", n)
    if n < 2:
        raise ValueError(f"n must be at least 2, so that both parts get an example; got {n}")
    val_ratio = positive_float("val_ratio", val_ratio)
    if val_ratio >= 1:
        raise ValueError(f"val_ratio must lie above 0 and below 1, got {val_ratio!r}")
    n_val = max(1, int(n * val_ratio))
    order = np.random.default_rng(random_seed("seed", seed)).permutation(n)
    return order[n_val:], order[:n_val]


def make_loaders(data, batch_size=128, val_ratio=0.1, seed=42, device=None):
    """Split, normalise and batch the digits. Introduced on Day 31.

    All pixels are normalised once, with the mean and the standard deviation of the
    whole training set, and kept on the device; a batch is then one gather.

    Args:
        data: `Digits`, from `load_mnist`.
        batch_size: examples in a batch, at least 1; the last batch of a pass may be smaller.
        val_ratio: the share of the training set that is kept for validation.
        seed: from 0 to 2³² − 1, of the split and of the order of the batches. Two sets of loaders with one
            seed give the same batches in the same order, epoch by epoch.
        device: where the batches lie; `nnweek.runtime.get_device()` by default.

    Returns:
        train, val, test: three `BatchLoader`s of
        (images (B, 1, 28, 28) float32, labels (B,) int64). Only `train` is shuffled.

    Raises:
        TypeError, ValueError: if an argument is not as said.
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
    """Mean and standard deviation of all pixels, on the scale from 0 to 1.

    For MNIST's training images these are the 0.1307 and 0.3081 that one meets in
    most MNIST code. Introduced on Day 31.

    Args:
        images: uint8 of any shape, not empty and not all of one value.

    Raises:
        TypeError, ValueError: if `images` is not such an array.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8:
        raise TypeError(f"images must be uint8, got {images.dtype}")
    if images.size == 0:
        raise ValueError("images is empty")
    # Counting the 256 grey values is exact, and needs no floating-point copy.
    counts = np.bincount(images.ravel(), minlength=256)
    values = np.arange(256) / 255
    mean = float(np.average(values, weights=counts))
    std = float(np.average((values - mean) ** 2, weights=counts) ** 0.5)
    if std == 0:
        raise ValueError("images all hold one value, so they have no scale to normalise by")
    return mean, std


class BatchLoader:
    """Batches of tensors that already lie on their device. Introduced on Day 31.

    It does what `torch.utils.data.DataLoader` does for data that fit into memory,
    without touching examples one at a time: a batch is one `index_select`.

    Args:
        images: (N, …) tensor.
        labels: (N,) tensor on the same device.
        batch_size: examples in a batch, at least 1.
        shuffle_seed: reshuffle at every pass, in an order that follows from this seed and
            from `epoch` alone; None keeps the order as it is.

    Attributes:
        dataset: the whole data set, with a length.
        epoch: how many passes have begun; set it to repeat or to resume a pass.

    Raises:
        TypeError, ValueError: if the tensors differ in length or are empty, or `batch_size`
            is not a whole number of at least 1.
    """

    def __init__(self, images, labels, batch_size, *, shuffle_seed=None):
        from torch.utils.data import TensorDataset

        if len(images) != len(labels):
            raise ValueError(f"images and labels differ in length: {len(images)} and {len(labels)}")
        if len(images) == 0:
            raise ValueError("images is empty: there is nothing to make a batch of")
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
            yield from zip(
                images.split(self.batch_size), labels.split(self.batch_size), strict=True
            )
            return
        order = np.random.default_rng([self.shuffle_seed, epoch]).permutation(len(images))
        for chosen in torch.from_numpy(order).to(images.device).split(self.batch_size):
            yield images.index_select(0, chosen), labels.index_select(0, chosen)
