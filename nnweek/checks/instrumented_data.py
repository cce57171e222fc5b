"""Trials of what turns arrays into tensors and tensors into batches (Day 31).

This module needs PyTorch; `day31` imports it when a trial runs.
"""

import itertools
import random
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from nnweek.checks.comparing import as_numbers, kind
from nnweek.checks.running import TrialRun
from nnweek.checks.sandbox import Problem

_NOT_TRIED = (
    "Accepted, but whether it moves the tensors could not be tried: it reads numbers after they "
    "were moved, and those on the device `meta` have none."
)


def try_tensors(function, images, labels):
    """Try `to_tensors` on the CPU, for the numbers, and on `meta`, for the device."""
    value = function(images, labels, torch.device("cpu"))
    if value is None or value is Ellipsis:
        return TrialRun(value)
    problem = _no_pair_of_tensors(value)
    if problem:
        return TrialRun(problem=problem)
    x, y = value
    devices, remark = ["meta", "meta"], ""
    try:
        moved = function(images.copy(), labels.copy(), torch.device("meta"))
        devices = [tensor.device.type for tensor in moved]
    except (RuntimeError, NotImplementedError) as error:
        if "meta" not in str(error):
            raise
        remark = _NOT_TRIED
    log = {
        "images": _name(x.dtype),
        "labels": _name(y.dtype),
        "devices": devices,
        "swapped": x.ndim < y.ndim,
    }
    observed = {
        "whether the images are float32": x.dtype == torch.float32,
        "whether the labels are int64": y.dtype == torch.int64,
        "whether both are on the device": devices == ["meta", "meta"],
    }
    return TrialRun((x, y), observed, log, remark=remark)


def _no_pair_of_tensors(value):
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        return Problem(
            "wrong-type",
            f"It returned {kind(value)}, where two tensors were expected: images, labels.",
        )
    others = [item for item in value if not isinstance(item, torch.Tensor)]
    if others:
        return Problem(
            "wrong-type",
            f"It returned {kind(others[0])}, where a tensor was expected. `torch.tensor(…)` or "
            "`torch.from_numpy(…)` makes one of an array.",
        )
    return None


def _name(dtype):
    return str(dtype).removeprefix("torch.")


def to_tensors(images, labels, device, divisor=255):
    """Return what Exercise `to_tensors` asks for.

    The first arithmetic on `meta` imports PyTorch's compiler. That may take seconds, and an import
    that is interrupted cannot be repeated, so it happens here and not in the learner's time.
    """
    torch.ones(1, device="meta") / 2
    x = torch.tensor(images, dtype=torch.float32).unsqueeze(1) / divisor
    return x.to(device), torch.tensor(labels, dtype=torch.int64).to(device)


@dataclass
class LoaderLog:
    """What a loader did: in each epoch, the numbers of the examples in their order.

    Attributes:
        n: how many examples there are.
        epochs: two epochs of the first loader.
        again: two epochs of a loader with the same seed, made in another global state.
        other: two epochs of a loader with another seed.
        sizes: the sizes of the batches of the first epoch.
        expected_sizes: what they should be.
        length: what `len` says, or None.
        swapped: whether the labels came first.
        paired: whether each image came with its own label.
        seeds_globally: whether the global generators were set, wherever they were before.
        touches_globally: whether the global generators were used at all.
        ready_made: whether the dataset is a `TensorDataset` instead of a class of the learner's.
    """

    n: int
    epochs: list = field(default_factory=list)
    again: list = field(default_factory=list)
    other: list = field(default_factory=list)
    sizes: list = field(default_factory=list)
    expected_sizes: list = field(default_factory=list)
    length: int | None = None
    swapped: bool = False
    paired: bool = True
    seeds_globally: bool = False
    touches_globally: bool = False
    ready_made: bool = False


_REMARK = (
    "Accepted, but the loader uses PyTorch's global generator as well, though not for the order. "
    "What other code draws from it then depends on how many epochs you ran; "
    "`DataLoader(…, generator=…)` avoids that."
)
_ALL_AT_ONCE = (
    "The dataset is a pair of tensors, so its element 0 is all the images. Element `i` of a dataset "
    "is one example: an image and its label."
)
_READY_MADE = (
    "Accepted, but `TensorDataset` is PyTorch's own class, and holds only what fits into memory. For "
    "other data you need a class with `__len__` and `__getitem__`; try to write one here."
)


def try_loader(function, n, batch_size, seed):
    """Try `seeded_loader` on numbered examples, in two global states and with two seeds."""
    labels = torch.arange(n) * 3 % 10
    images = torch.arange(n, dtype=torch.float32).reshape(n, 1, 1, 1).repeat(1, 1, 2, 2)
    full, rest = divmod(n, batch_size)
    log = LoaderLog(n, expected_sizes=[batch_size] * full + [rest] * (rest > 0))

    def epochs_of(state, its_seed):
        _set_global_state(state)
        loader = function(images.clone(), labels.clone(), batch_size, its_seed)
        if loader is None or loader is Ellipsis:
            return loader, None, []
        dataset = getattr(loader, "dataset", None)
        if isinstance(dataset, (tuple, list)) and all(map(torch.is_tensor, dataset)):
            raise _NoBatches(_ALL_AT_ONCE)
        log.ready_made |= isinstance(dataset, TensorDataset)
        made = _global_state()
        _set_global_state(state + 10)  # the order must not depend on what happens in between
        epochs = [_epoch(loader, images, labels, log) for _ in range(2)]
        return loader, (made, _global_state()), epochs

    try:
        before = [(_states(1)), (_states(2))]
        loader, after, log.epochs = epochs_of(1, seed)
        if after is None:
            return TrialRun(loader)
        _, after_again, log.again = epochs_of(2, seed)
        _, _, log.other = epochs_of(1, seed + 1)
    except _NoBatches as error:
        return TrialRun(problem=Problem("wrong-type", str(error)))
    untouched = [pair == states for pair, states in zip((after, after_again), before, strict=True)]
    log.touches_globally = not all(untouched)
    log.seeds_globally = any(
        mine == other and mine != state
        for mine, other, state in zip(
            _each(after), _each(after_again), _each(before[0]), strict=True
        )
    )
    try:
        log.length = len(loader)
    except TypeError:
        log.length = None
    first, second = log.epochs
    observed = {
        "whether each image has its own label": log.paired and not log.swapped,
        "whether the batches have the right sizes": log.sizes == log.expected_sizes,
        "whether `len` counts the batches": log.length == len(log.expected_sizes),
        "whether a second epoch has all examples": sorted(second) == list(range(n)),
        "whether the order is shuffled": first != list(range(n)),
        "whether the second epoch has another order": first != second,
        "whether the order follows from the seed": log.epochs == log.again,
        "whether another seed gives another order": log.other != log.epochs,
        "whether the global generators are left alone": not log.seeds_globally,
    }
    remark = _REMARK if log.touches_globally else _READY_MADE if log.ready_made else ""
    return TrialRun(np.array(sorted(first)), observed, log, remark=remark)


def seeded_loader(images, labels, batch_size, seed):
    """Return what Exercise `seeded_loader` asks for."""
    generator = torch.Generator().manual_seed(seed)
    dataset = TensorDataset(images, labels)
    return DataLoader(dataset, batch_size=batch_size, shuffle=True, generator=generator)


class _NoBatches(Exception):
    """What was returned yields no pairs of images and labels; the message says so."""


def _epoch(loader, images, labels, log):
    """Return the numbers of the examples of one epoch, in order; write what else is seen into the log."""
    try:
        batches = list(itertools.islice(loader, log.n + 1))
    except TypeError as error:
        if hasattr(loader, "__iter__"):
            raise
        text = f"It returned {kind(loader)}, which cannot be used in a `for` loop."
        raise _NoBatches(text) from error
    if len(batches) > log.n:
        raise _NoBatches(
            "Your loader yields more batches than there are examples: does it ever end?"
        )
    if not batches and not log.epochs and not log.sizes:
        raise _NoBatches("Your loader yields no batch at all, not even in its first epoch.")
    order, sizes = [], []
    for batch in batches:
        pair = [as_numbers(part) for part in batch] if isinstance(batch, (tuple, list)) else []
        if len(pair) != 2 or any(part is None or not part.ndim for part in pair):
            text = f"Your loader yields {kind(batch)}, where (images, labels) was expected."
            raise _NoBatches(text)
        if pair[0].ndim == 1 and pair[1].ndim == 4:
            log.swapped = True
            pair.reverse()
        if pair[0].shape[1:] != images.shape[1:]:
            shapes = tuple(map(int, pair[0].shape)), tuple(map(int, images.shape[1:]))
            text = f"A batch of images has shape {shapes[0]}, where (B, {', '.join(map(str, shapes[1]))}) was expected."
            raise _NoBatches(text)
        numbers = pair[0].reshape(len(pair[0]), -1)[:, 0].astype(int)
        right = labels.numpy()[np.clip(numbers, 0, log.n - 1)]
        log.paired &= pair[1].shape == right.shape and bool((pair[1] == right).all())
        order += numbers.tolist()
        sizes.append(len(numbers))
    log.sizes = log.sizes or sizes
    return order


def _set_global_state(number):
    torch.manual_seed(number)
    np.random.seed(number)
    random.seed(number)


def _global_state():
    return (
        torch.get_rng_state().numpy().tobytes(),
        np.random.get_state()[1].tobytes() + bytes(str(np.random.get_state()[2]), "ascii"),
        str(random.getstate()),
    )


def _states(number):
    """Return the global states after seeding with `number`, and with `number` + 10."""
    found = []
    for seed in (number, number + 10):
        _set_global_state(seed)
        found.append(_global_state())
    return tuple(found)


def _each(states):
    """Return the states of all generators, after the loader was made and after its epochs."""
    return [state for moment in states for state in moment]
