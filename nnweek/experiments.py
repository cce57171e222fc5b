"""Whole runs, and how sure their numbers are (Days 32 to 35)."""

from dataclasses import dataclass

import torch
from torch import nn

from nnweek._validate import number, one_of, positive_float, positive_int
from nnweek.mnist import load_mnist, make_loaders
from nnweek.models import MNISTMLP
from nnweek.training import History, evaluate, fit

OPTIMIZERS = {"SGD": torch.optim.SGD, "Adam": torch.optim.Adam}


@dataclass(frozen=True)
class Run:
    """A finished training run. Introduced on Day 32.

    Attributes:
        model: the trained network.
        history: its `nnweek.training.History`.
        test_loss, test_acc: on the test set, after the last epoch.
        test_size: how many test images that is.
    """

    model: nn.Module
    history: History
    test_loss: float
    test_acc: float
    test_size: int


def train_baseline(data, *, epochs=5, lr=0.1, batch_size=128, seed=42, device=None):
    """Train the week's baseline: `MNISTMLP` with plain SGD. Introduced on Day 32.

    Args:
        data: `nnweek.mnist.Digits`.
        epochs: passes over the training data, at least 1.
        lr: the learning rate, above 0.
        batch_size: examples in a batch, at least 1.
        seed: of the weights, the split and the order of the batches.
        device: `nnweek.runtime.get_device()` by default.

    Returns:
        `Run`.

    Raises:
        TypeError, ValueError: if an argument is not as said.
    """
    train_loader, val_loader, test_loader = make_loaders(data, batch_size, seed=seed, device=device)
    model = _fresh_model(train_loader, seed)
    optimizer = make_optimizer("SGD", model, lr)
    history = fit(model, train_loader, val_loader, optimizer, epochs=epochs)
    test_loss, test_acc = evaluate(model, test_loader, nn.CrossEntropyLoss())
    return Run(model, history, test_loss, test_acc, len(test_loader.dataset))


def train_model_with_optimizer(
    optimizer_name="SGD",
    epochs=5,
    lr=0.001,
    *,
    train_loader=None,
    val_loader=None,
    seed=42,
    device=None,
):
    """Train `MNISTMLP` with one optimizer. Introduced on Day 33.

    Two calls with one seed and the default loaders start from the same weights and see
    the same batches in the same order, whatever the optimizer: what differs is the
    optimizer alone. Loaders that are passed in are started from their first epoch.

    Args:
        optimizer_name: "SGD" or "Adam", in upper or lower case.
        epochs: passes over the training data, at least 1.
        lr: the learning rate, above 0.
        train_loader, val_loader: from `make_loaders`; both or neither.
        seed: of the weights and, without loaders, of the split and the batches.
        device: without loaders, where to train; `get_device()` by default.

    Returns:
        train_losses, val_losses, val_accs: lists of one float an epoch.

    Raises:
        TypeError, ValueError: if an argument is not as said.
    """
    _optimizer_class("optimizer_name", optimizer_name)
    epochs = positive_int("epochs", epochs)
    lr = positive_float("lr", lr)
    if (train_loader is None) != (val_loader is None):
        raise ValueError("train_loader and val_loader must be given together, or neither")
    if train_loader is None:
        train_loader, val_loader, _ = make_loaders(load_mnist(), seed=seed, device=device)
    if hasattr(train_loader, "epoch"):
        train_loader.epoch = 0
    model = _fresh_model(train_loader, seed)
    optimizer = make_optimizer(optimizer_name, model, lr)
    history = fit(model, train_loader, val_loader, optimizer, epochs=epochs)
    return history.train_loss, history.val_loss, history.val_acc


def make_optimizer(name, model, lr):
    """Make the optimizer called `name` ("SGD" or "Adam") for a model's parameters.

    Introduced on Day 33.

    Raises:
        TypeError, ValueError: if the name is unknown or `lr` is not above 0.
    """
    return _optimizer_class("name", name)(model.parameters(), lr=positive_float("lr", lr))


def accuracy_interval(acc, n):
    """Wilson's 95 % interval for an accuracy measured on n examples. Introduced on Day 32.

    How far the accuracy would move if other examples of the same kind had been drawn.
    It says nothing of how it would move with another seed.

    Args:
        acc: the measured accuracy, 0 to 1.
        n: how many examples it was measured on, at least 1.

    Returns:
        low, high: floats, 0 ≤ low ≤ acc ≤ high ≤ 1.

    Raises:
        TypeError, ValueError: if an argument is not as said.

    Source: Wilson (1927), *Probable inference, the law of succession, and statistical
    inference*, Journal of the American Statistical Association 22, 209–212.
    """
    n = positive_int("n", n)
    acc = number("acc", acc)
    if not 0 <= acc <= 1:
        raise ValueError(f"acc must lie in 0 … 1, got {acc!r}; divide a percentage by 100")
    z = 1.959963984540054  # the 97.5 % point of the standard normal distribution
    centre = (acc + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * (acc * (1 - acc) / n + z**2 / (4 * n**2)) ** 0.5 / (1 + z**2 / n)
    return max(0.0, min(acc, centre - half)), min(1.0, max(acc, centre + half))


def _optimizer_class(argument, name):
    """Look an optimizer up by its name, in upper or lower case."""
    spelled = {known.lower(): known for known in OPTIMIZERS}
    name = spelled.get(name.lower(), name) if isinstance(name, str) else name
    return OPTIMIZERS[one_of(argument, name, OPTIMIZERS)]


def _fresh_model(train_loader, seed):
    """`MNISTMLP` on the device of the loader's images, its weights drawn from `seed`."""
    batches = [train_loader.dataset[:1]] if hasattr(train_loader, "epoch") else train_loader
    for images, _ in batches:
        return MNISTMLP(seed=seed).to(images.device)
    raise ValueError("train_loader yielded no batch: there is nothing to train on")
