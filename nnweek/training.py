"""Training and evaluation loops (Days 31 and 32)."""

import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from nnweek._validate import positive_int
from nnweek.checkpoints import load_checkpoint, save_checkpoint
from nnweek.tracking import read_scalars

CURVES = {  # the names under which TensorBoard shows what `History` holds
    "Loss/train": "train_loss",
    "Loss/val": "val_loss",
    "Accuracy/train": "train_acc",
    "Accuracy/val": "val_acc",
}


def accuracy(pred_logits, targets):
    """Share of rows whose largest logit is the target. Introduced on Day 31.

    Args:
        pred_logits: (N, C) tensor.
        targets: (N,) tensor of whole numbers.

    Returns:
        A float between 0 and 1.

    Raises:
        ValueError: if the shapes do not fit or there are no rows.
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
    """Train for one pass over the data. Introduced on Day 31.

    Loss and accuracy are running values: each batch is scored before its step.

    Args:
        model: an `nn.Module` that maps images (B, …) to logits (B, C).
        loader: yields (images, labels), not empty; they are moved to the model's device.
        optimizer: of the model's parameters.
        criterion: maps (logits, labels) to the mean loss of a batch.

    Returns:
        loss, acc: averages over the examples, as floats.

    Raises:
        ValueError: if the loader yields nothing.
    """
    model.train()
    return _one_pass(model, loader, criterion, optimizer)


@torch.no_grad()
def evaluate(model, loader, criterion):
    """Score a model without changing it. Introduced on Day 31.

    Args:
        model: an `nn.Module`; it is left in eval mode.
        loader: yields (images, labels), not empty; they are moved to the model's device.
        criterion: maps (logits, labels) to the mean loss of a batch.

    Returns:
        loss, acc: averages over the examples, as floats.

    Raises:
        ValueError: if the loader yields nothing.
    """
    model.eval()
    return _one_pass(model, loader, criterion)


def _one_pass(model, loader, criterion, optimizer=None):
    parameter = next(model.parameters(), None)  # None: a baseline that has none
    # What each batch gives stays on the device until the end: reading it at once would make
    # the CPU wait for a GPU at every step.
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
        raise ValueError("loader yielded no batch: there is nothing to train on or to score")
    weights = torch.tensor(sizes, dtype=torch.float64)  # the last batch may be smaller
    sums = torch.stack(
        [torch.stack(losses).cpu().double() @ weights, torch.stack(hits).sum().cpu(), weights.sum()]
    )
    if hasattr(loader, "total"):  # a share of each batch; `total` adds up what all shares gave
        sums = loader.total(sums)
    loss, hit, size = sums.tolist()
    return loss / size, hit / size


@dataclass
class History:
    """What `fit` measured, one entry an epoch. Introduced on Day 32.

    Attributes:
        train_loss, train_acc: running values over the epoch.
        val_loss, val_acc: at the end of the epoch.
        seconds: of training, without the validation.
    """

    train_loss: list[float] = field(default_factory=list)
    train_acc: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_acc: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def __len__(self):
        return len(self.train_loss)


def fit(
    model,
    train_loader,
    val_loader,
    optimizer,
    *,
    epochs,
    criterion=None,
    writer=None,
    checkpoint=None,
    progress=None,
):
    """Train for some epochs, validating after each. Introduced on Day 32.

    On one machine with one number of threads, the same seeds give the same history and the
    same weights, bit for bit: in another process, with a writer, a progress bar or a
    checkpoint or without, and also if training was killed at any moment, even while the
    checkpoint was being written, and goes on from the checkpoint. (The seconds differ.) That
    holds for a `BatchLoader`, whose order follows from its seed, and on the CPU; a GPU may
    add in another order.

    A checkpoint is refused, and nothing is changed, if the file is damaged or not a checkpoint,
    or if it was written with another model, with other settings of the optimizer, such as its
    learning rate, or with another loader: a history must not mix two trainings. What is
    outside of these, such as a learning-rate scheduler, is not kept.

    Args:
        model: an `nn.Module`, changed in place.
        train_loader: a `nnweek.mnist.BatchLoader`, or anything that yields (images, labels); in
            each of several processes, its `nnweek.distributed.Share`.
        val_loader: likewise.
        optimizer: of the model's parameters.
        epochs: how many in all, at least 1; epochs already in the checkpoint count.
        criterion: `nn.CrossEntropyLoss()` by default.
        writer: a TensorBoard `SummaryWriter`; both losses and accuracies are logged against
            the number of steps taken, so that all curves share one x-axis. Where training goes
            on from a checkpoint, the epochs that the log lacks are logged first.
        checkpoint: a file, or None. It is rewritten after every epoch; if it exists, training
            goes on where it stopped.
        progress: show a progress bar; by default only in a terminal or a notebook, and not
            for runs in parallel, which would write over each other's.

    Returns:
        `History`, of all epochs.

    Raises:
        TypeError, ValueError: if `epochs` is not a whole number of at least 1, a loader is
            empty or the checkpoint is refused.
        OSError: if the checkpoint cannot be written; what the file held before is still whole.
    """
    from tqdm import tqdm

    epochs = positive_int("epochs", epochs)
    criterion = nn.CrossEntropyLoss() if criterion is None else criterion
    history = History()
    if checkpoint is not None and Path(checkpoint).exists():
        history = load_checkpoint(checkpoint, model, optimizer, train_loader, History)
        if writer is not None:
            writer.flush()
            logged = read_scalars(writer.log_dir)  # nothing, if the run was opened anew
            for epoch in range(1, len(history) + 1):
                _log(writer, history, epoch, epoch * len(train_loader), logged)

    if progress is None:
        alone = threading.current_thread() is threading.main_thread()
        progress = alone and (sys.stdout.isatty() or "ipykernel" in sys.modules)
    shown = {} if progress else {"disable": True}  # {} leaves TQDM_DISABLE its say
    remaining = range(len(history) + 1, epochs + 1)
    with tqdm(remaining, desc="epochs", leave=False, file=sys.stdout, **shown) as bar:
        for epoch in bar:
            start = time.perf_counter()
            train_loss, train_acc = train_one_epoch(model, train_loader, optimizer, criterion)
            seconds = time.perf_counter() - start
            val_loss, val_acc = evaluate(model, val_loader, criterion)

            history.train_loss.append(train_loss)
            history.train_acc.append(train_acc)
            history.val_loss.append(val_loss)
            history.val_acc.append(val_acc)
            history.seconds.append(seconds)
            bar.set_postfix_str(f"val loss {val_loss:.4f}, val acc {val_acc:.4f}")

            # The log comes last: whatever it shows, the checkpoint holds.
            if checkpoint is not None:
                save_checkpoint(checkpoint, model, optimizer, train_loader, history)
            if writer is not None:
                _log(writer, history, epoch, epoch * len(train_loader))
    return history


def _log(writer, history, epoch, step, logged=None):
    """Log an epoch of a history at a step, but for what `read_scalars` has found there."""
    for tag, curve in CURVES.items():
        steps, _ = (logged or {}).get(tag, ([], []))
        if step not in steps:
            writer.add_scalar(tag, getattr(history, curve)[epoch - 1], step)
