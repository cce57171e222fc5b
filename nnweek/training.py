"""Training and evaluation: one epoch (Day 31), or several with a history (Day 32)."""

import contextlib
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from nnweek._validate import positive_int
from nnweek.checkpoints import load_checkpoint, save_checkpoint
from nnweek.notebook import progress_bar
from nnweek.tracking import open_run

CURVES = {"Loss": "loss", "Accuracy": "acc"}  # TensorBoard tags, and names in `History`


def accuracy(pred_logits, targets):
    """Compute the share of rows whose largest logit is the target. Introduced on Day 31.

    Args:
        pred_logits: (N, C) tensor.
        targets: (N,) tensor of integers.

    Returns:
        A float between 0 and 1.

    Raises:
        ValueError: if the shapes do not match or there are no rows.
    """
    if pred_logits.ndim != 2 or targets.shape != pred_logits.shape[:1]:
        raise ValueError(
            f"pred_logits must have shape (N, C) and targets (N,), "
            f"got {tuple(pred_logits.shape)} and {tuple(targets.shape)}"
        )
    if len(targets) == 0:
        raise ValueError("targets is empty: the accuracy of no examples is not defined")
    return (pred_logits.argmax(dim=1) == targets).float().mean().item()


def train_one_epoch(model, loader, optimizer, criterion):
    """Train for one epoch. Introduced on Day 31.

    Loss and accuracy are running values: each batch is evaluated before its step.

    Args:
        model: an `nn.Module` that maps images (B, …) to logits (B, C).
        loader: yields (images, labels), not empty; they are moved to the model's device.
        optimizer: of the model's parameters.
        criterion: maps (logits, labels) to the mean loss of a batch.

    Returns:
        loss, acc: means over the examples, as floats.

    Raises:
        ValueError: if the loader yields nothing.
    """
    model.train()
    return _one_pass(model, loader, criterion, optimizer)


@torch.no_grad()
def evaluate(model, loader, criterion):
    """Compute a model's loss and accuracy without changing it. Introduced on Day 31.

    Args:
        model, loader, criterion: as for `train_one_epoch`; the model is left in eval mode.

    Returns:
        loss, acc: means over the examples, as floats.

    Raises:
        ValueError: if the loader yields nothing.
    """
    model.eval()
    return _one_pass(model, loader, criterion)


def _one_pass(model, loader, criterion, optimizer=None):
    parameter = next(model.parameters(), None)  # None for a baseline without parameters
    # Losses and hits stay on the device until the end: reading them after each batch would
    # make the CPU wait for the GPU at every step.
    losses, hits, sizes = [], [], []
    for images, labels in loader:
        if parameter is not None:
            images, labels = images.to(parameter.device), labels.to(parameter.device)
        logits = model(images)
        loss = criterion(logits, labels)
        if optimizer is not None:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses.append(loss.detach())
        hits.append((logits.detach().argmax(dim=1) == labels).sum())
        sizes.append(len(labels))
    if not sizes:
        raise ValueError("loader yielded no batch: there is nothing to train on or to evaluate")
    weights = torch.tensor(sizes, dtype=torch.float64)  # the last batch may be smaller
    sums = torch.stack(
        [torch.stack(losses).cpu().double() @ weights, torch.stack(hits).sum().cpu(), weights.sum()]
    )
    if hasattr(loader, "total"):  # a share of each batch: `total` adds up all shares
        sums = loader.total(sums)
    loss, hit, size = sums.tolist()
    return loss / size, hit / size


@dataclass
class History:
    """What `fit` measured, one entry per epoch. Introduced on Day 32.

    Attributes:
        train_loss, train_acc: running values over the epoch.
        val_loss, val_acc: at the end of the epoch.
        seconds: time of training, without validation.
    """

    train_loss: list[float] = field(default_factory=list)
    train_acc: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_acc: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def __len__(self):
        return len(self.train_loss)

    def append(self, *values):
        """Add one epoch, with a value for each attribute in their order."""
        for curve, value in zip(vars(self).values(), values, strict=True):
            curve.append(value)


def fit(
    model,
    train_loader,
    val_loader,
    optimizer,
    *,
    epochs,
    log_dir=None,
    checkpoint=None,
    progress=None,
):
    """Train for several epochs, validating after each. Introduced on Day 32.

    The loss is the cross-entropy. With a `BatchLoader` on the CPU, the same seeds and number of
    threads give the same history (except for the seconds) and the same weights, bit for bit,
    even if training was killed at any moment and then resumed. A GPU may sum in a different order.

    A history must not mix two runs, so a checkpoint is refused if it was written with another
    model, loader or setting of the optimizer, such as its learning rate. Other state, such as
    a scheduler's, is not saved.

    Args:
        model: an `nn.Module`, changed in place.
        train_loader: a `nnweek.loaders.BatchLoader`, or any iterable of (images, labels); with
            several processes, a `nnweek.distributed.Share`.
        val_loader: likewise.
        optimizer: of the model's parameters.
        epochs: total number of epochs, at least 1, including those in the checkpoint.
        log_dir: a folder for TensorBoard, or None. `Loss` and `Accuracy` are logged against the
            number of steps in two runs, `train` and `val`, because TensorBoard draws different
            runs into one chart, but never different tags. Earlier logs in these two folders
            are replaced; when training resumes from a checkpoint, they start with the epochs
            that it contains.
        checkpoint: a file, or None. It is rewritten after every epoch; if it exists, training
            resumes from it.
        progress: show a progress bar; by default only in a terminal or a notebook, and not
            for parallel runs, whose bars would overwrite each other.

    Returns:
        `History` of all epochs.

    Raises:
        TypeError, ValueError: if `epochs` is not an integer of at least 1, a loader is
            empty or the checkpoint is refused, which changes nothing.
        OSError: if the checkpoint cannot be written; an earlier checkpoint stays intact.
    """
    epochs = positive_int("epochs", epochs)
    criterion, history = nn.CrossEntropyLoss(), History()
    if checkpoint is not None and Path(checkpoint).exists():
        load_checkpoint(checkpoint, model, optimizer, train_loader, history)

    remaining = range(len(history) + 1, epochs + 1)
    with contextlib.ExitStack() as stack:
        logs = {}
        if log_dir is not None:
            for part in ("train", "val"):
                logs[part] = stack.enter_context(open_run(Path(log_dir) / part))
            for epoch in range(1, len(history) + 1):
                _log(logs, history, epoch, epoch * len(train_loader))

        bar = stack.enter_context(progress_bar(remaining, show=progress, desc="epochs"))
        for epoch in bar:
            start = time.perf_counter()
            train_loss, train_acc = train_one_epoch(model, train_loader, optimizer, criterion)
            seconds = time.perf_counter() - start
            val_loss, val_acc = evaluate(model, val_loader, criterion)

            history.append(train_loss, train_acc, val_loss, val_acc, seconds)
            bar.set_postfix_str(f"val loss {val_loss:.4f}, val acc {val_acc:.4f}")

            if checkpoint is not None:
                save_checkpoint(checkpoint, model, optimizer, train_loader, history)
            if logs:
                _log(logs, history, epoch, epoch * len(train_loader))
    return history


def _log(logs, history, epoch, step):
    """Log one epoch, and write it to disk so that a running TensorBoard can show it."""
    for part, writer in logs.items():
        for tag, curve in CURVES.items():
            writer.add_scalar(tag, getattr(history, f"{part}_{curve}")[epoch - 1], step)
        writer.flush()
