"""One epoch of the week's network in JAX, compiled as a whole, beside this course's.

The course does not require JAX, so the page *Where the time goes* shows recorded measurements,
from `speed-jax.csv`. This program adds one of your machine, in an environment that has the
course and JAX:

    python book/speed-jax.py
"""

import csv
import datetime
import os
import platform
import re
import statistics
import time
from pathlib import Path

if hasattr(os, "sched_setaffinity"):  # before XLA counts the cores: one core, so one thread
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import jax
import numpy as np
import torch
from jax import numpy as jnp

from nnweek.loaders import BatchLoader, make_loaders
from nnweek.mnist import load_mnist
from nnweek.models import MNISTMLP
from nnweek.optimizers import make_optimizer
from nnweek.training import evaluate, train_one_epoch

BATCH, STEPS, ROUNDS, LR = 128, 400, 7, 0.1


def scores(parameters, images):
    for weight, bias in parameters[:-1]:
        images = jax.nn.relu(images @ weight.T + bias)
    weight, bias = parameters[-1]
    return images @ weight.T + bias


def mean_loss(parameters, images, labels):
    logits = jax.nn.log_softmax(scores(parameters, images))
    return -jnp.take_along_axis(logits, labels[:, None], axis=1).mean()


@jax.jit
def epoch(parameters, images, labels, order):
    def step(parameters, chosen):
        loss, gradients = jax.value_and_grad(mean_loss)(parameters, images[chosen], labels[chosen])
        return jax.tree.map(lambda w, g: w - LR * g, parameters, gradients), loss

    return jax.lax.scan(step, parameters, order)


def cpu_seconds(work):
    start = time.process_time()  # other programs on the machine do not count
    work()
    return time.process_time() - start


def main():
    """Measure both in turn and record the median of the ratios."""
    torch.set_num_threads(1)
    train_loader, val_loader, _ = make_loaders(load_mnist(), BATCH, device="cpu")
    images, labels = train_loader.dataset[: BATCH * STEPS]
    model = MNISTMLP(seed=42)
    layers = [layer for layer in model.net if hasattr(layer, "weight")]
    parameters = [
        tuple(jnp.array(p.detach().numpy()) for p in (layer.weight, layer.bias)) for layer in layers
    ]
    loader = BatchLoader(images, labels, BATCH, shuffle_seed=42)
    optimizer = make_optimizer("SGD", model, LR)
    pixels, digits = jnp.array(images.flatten(1).numpy()), jnp.array(labels.numpy())
    done = 0

    def with_jax():
        nonlocal parameters, done
        order = np.random.default_rng([42, done]).permutation(len(images)).reshape(STEPS, BATCH)
        parameters, losses = epoch(parameters, pixels, digits, order)
        losses.mean().block_until_ready()
        done += 1

    def with_nnweek():
        train_one_epoch(model, loader, optimizer, torch.nn.CrossEntropyLoss())

    compiling = cpu_seconds(with_jax)
    with_nnweek()
    pairs = [(cpu_seconds(with_jax), cpu_seconds(with_nnweek)) for _ in range(ROUNDS)]

    x, y = (tensor.numpy() for tensor in val_loader.dataset.tensors)
    answers = np.asarray(scores(parameters, jnp.array(x.reshape(len(x), -1)))).argmax(axis=1)
    info = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.+)", info.read_text()) if info.exists() else []
    ratios = [one / other for one, other in pairs]
    ours = evaluate(model, val_loader, torch.nn.CrossEntropyLoss())[1]
    start = compiling / statistics.median(pair[1] for pair in pairs)
    row = [
        f"{(names or [platform.processor()])[0]}, {torch.backends.cpu.get_cpu_capability()}",
        datetime.date.today().isoformat(),
        f"JAX {jax.__version__}, PyTorch {torch.__version__.split('+')[0]}",
        f"{statistics.median(ratios):.2f}",
        f"{ROUNDS} pairs, {min(ratios):.2f} to {max(ratios):.2f}",
        f"{start:.1f} epochs",
        f"{(answers == y).mean():.1%} and {ours:.1%}",
    ]
    with Path(__file__).with_suffix(".csv").open("a", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerow(row)
    print(row)


if __name__ == "__main__":
    main()
