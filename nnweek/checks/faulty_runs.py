"""Training runs with injected faults, logged for *Diagnose this run* (Day 34)."""

import contextlib
import random
import time
from pathlib import Path

import numpy as np

from nnweek.notebook import progress_bar

RUNS = ("alder", "birch", "cedar", "elder", "hazel", "maple", "rowan", "willow")
STEPS, EVERY, BATCH = 300, 20, 32
TRAIN, VAL, SCORED = 5_000, 500, 1_000  # images; fewer where the data set is smaller
HIDDEN, LEARNING_RATE = 64, 1e-3
SEED = 3

# How each cause changes the healthy run: keyword arguments of `_run`.
FAULTS = {
    "dead-at-start": {"hidden_bias": -10.0},
    "healthy": {},
    "labels-shuffled": {"images": 200, "shuffle_labels": True},
    "learning-rate-too-high": {"lr": 30 * LEARNING_RATE},
    "learning-rate-too-low": {"lr": LEARNING_RATE / 100},
    "no-shuffle": {"in_order_of_class": True},
    "overfitting": {"images": 50},
    "relu-on-logits": {"relu_on_logits": True},
}
CAUSES = tuple(FAULTS)
SPOILED_STEP = 263  # of `log_spoiled_run`: the step whose batch has wrong labels


def true_causes():
    """Return {run: cause} for the runs of `log_faulty_runs`. Introduced on Day 34."""
    return dict(zip(RUNS, random.Random(34).sample(CAUSES, len(CAUSES)), strict=True))


def log_faulty_runs(data, log_dir="runs/diagnose"):
    """Train eight small networks, seven of them with an injected fault, and log them.

    Each run trains 784-64-64-10 for 300 batches of 32 with Adam, on the CPU. The name of its
    folder does not reveal the cause. Every folder contains two runs with the same tags in all
    eight, `train` and `val`, so that TensorBoard draws both into one chart:

    - in `train`, at every step: `Batch loss`;
    - in both, before the first step and then every 20 steps, with the weights at that moment:
      `Loss` and `Accuracy`, on up to 1,000 of the training images and on the validation images;
    - in `train`, as often: `Gradient/layer …`, the norm of each weight matrix's gradient in the
      next step; and `Update ratio/layer …`, the norm of that step divided by the norm of the
      weights;
    - in `val`, as often: `Dead units`, the share of hidden units that are 0 for every validation
      image; and `Predicted/rarest`, `Predicted/commonest`, the share of the validation images
      that get the class predicted least and most often.

    Introduced on Day 34.

    Args:
        data: `nnweek.mnist.Digits`.
        log_dir: the folder for the eight runs; earlier runs with these names are replaced.

    Returns:
        The names of the runs, which are folders in `log_dir`.
    """
    with _one_thread():
        train, val = _images(data)
        for name, cause in progress_bar(true_causes().items(), desc="runs"):
            _run(train, val, Path(log_dir) / name, **FAULTS[cause])
    return list(RUNS)


@contextlib.contextmanager
def _one_thread():
    """Compute with one thread: networks this small gain nothing from more."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def log_spoiled_run(data, log_dir="runs/oak"):
    """Train the healthy network once more, with wrong labels in a single batch, and log it.

    Introduced on Day 34. It is logged with the tags of `log_faulty_runs`.

    Args:
        data: `nnweek.mnist.Digits`.
        log_dir: the run's folder; an earlier run there is replaced.
    """
    with _one_thread():
        _run(*_images(data), Path(log_dir), spoiled_step=SPOILED_STEP)


def relative_change(before, after):
    """Return the norm of the change of a tensor, divided by its norm before. Introduced on Day 34."""
    return ((after - before).norm() / before.norm()).item()


def _run(
    train,
    val,
    log_dir,
    *,
    images=TRAIN,
    lr=LEARNING_RATE,
    hidden_bias=None,
    shuffle_labels=False,
    in_order_of_class=False,
    relu_on_logits=False,
    spoiled_step=None,
):
    """Train one network and log it; each keyword is a fault."""
    import torch
    from torch import nn

    from nnweek.models import MNISTMLP
    from nnweek.tracking import open_run

    rng = np.random.default_rng(SEED)
    pixels, labels = (part[:images] for part in train)
    if shuffle_labels:
        labels = labels[rng.permutation(len(labels))]
    scored = pixels[:SCORED], labels[:SCORED]
    in_order = torch.argsort(labels, stable=True)

    model = MNISTMLP(hidden=HIDDEN, seed=SEED)
    layers = [module for module in model.net if isinstance(module, nn.Linear)]
    if hidden_bias is not None:
        with torch.no_grad():
            for layer in layers[:-1]:
                layer.bias.fill_(hidden_bias)
            layers[-1].bias.zero_()
    if relu_on_logits:
        model.net.append(nn.ReLU())
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, fused=True)

    def batches():
        while True:
            order = torch.from_numpy(rng.permutation(len(labels)))
            yield from (in_order if in_order_of_class else order).split(BATCH)

    points = []  # written at the end: waking the writer's thread takes longer than a step

    def log(part, tag, value):
        points.append((part, tag, value, step, time.time()))

    # The last round only logs and does not take a step.
    for step, batch in zip(range(STEPS + 1), batches(), strict=False):
        log_all = step % EVERY == 0
        if log_all:
            for part, scores in _scores(model, scored, val).items():
                for tag, value in scores.items():
                    log(part, tag, value)
        targets = (labels[batch] + 1) % 10 if step == spoiled_step else labels[batch]
        loss = nn.functional.cross_entropy(model(pixels[batch]), targets)
        log("train", "Batch loss", loss.item())
        model.zero_grad()
        loss.backward()
        if step == STEPS:
            break
        before = [layer.weight.detach().clone() for layer in layers] if log_all else []
        optimizer.step()
        for number, (layer, old) in enumerate(zip(layers, before, strict=False), start=1):
            log("train", f"Gradient/layer {number}", layer.weight.grad.norm().item())
            change = relative_change(old, layer.weight.detach())
            log("train", f"Update ratio/layer {number}", change)

    with open_run(log_dir / "train") as train_log, open_run(log_dir / "val") as val_log:
        writers = {"train": train_log, "val": val_log}
        for part, *point in points:
            writers[part].add_scalar(*point)


def _images(data):
    """Return (images, labels) for training and for validation, as normalised, flat tensors."""
    import torch

    from nnweek.loaders import pixel_statistics

    order = np.random.default_rng(SEED).permutation(len(data.train_images))
    n_val = min(VAL, len(order) // 5)
    val, rest = order[:n_val], order[n_val:]
    # The first image of every class, then the second of every class, and so on: even the
    # first 50 images contain all classes.
    rank = np.zeros(len(rest), dtype=int)
    for digit in range(10):
        of_class = data.train_labels[rest] == digit
        rank[of_class] = np.arange(of_class.sum())
    train = rest[np.argsort(rank, kind="stable")][:TRAIN]
    mean, std = pixel_statistics(data.train_images[train])
    parts = []
    for chosen in (train, val):
        pixels = torch.tensor(data.train_images[chosen], dtype=torch.float32).flatten(1)
        pixels.div_(255).sub_(mean).div_(std)
        parts.append((pixels, torch.tensor(data.train_labels[chosen])))
    return parts


def _scores(model, train, val):
    """Return {"train": {tag: value}, "val": {tag: value}} of a model in its current state."""
    import torch
    from torch import nn

    parts = {}
    with torch.no_grad():
        for part, (pixels, labels) in (("train", train), ("val", val)):
            x, alive = pixels, []
            for module in model.net:
                x = module(x)
                if isinstance(module, nn.ReLU) and x.shape[1] == HIDDEN:
                    alive.append((x > 0).any(dim=0))
            loss = nn.functional.cross_entropy(x, labels).item()
            correct = (x.argmax(dim=1) == labels).float().mean().item()
            parts[part] = {"Loss": loss, "Accuracy": correct}
    shares = torch.bincount(x.argmax(dim=1), minlength=10) / len(x)
    parts["val"]["Dead units"] = 1 - torch.cat(alive).float().mean().item()
    parts["val"]["Predicted/rarest"] = shares.min().item()
    parts["val"]["Predicted/commonest"] = shares.max().item()
    return parts
