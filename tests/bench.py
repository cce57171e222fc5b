"""How fast is training, measured against the usual code in one run: `make bench`.

A is the code that most MNIST tutorials use: torchvision's data set with
transforms, a `DataLoader`, and `.item()` at every step. B is `nnweek`. C is the
floor: the bare matrix products of the same steps on freshly gathered batches.
They take turns, so that a busy machine slows them alike, and what counts is the
ratio within a round.
"""

import argparse
import json
import os
import platform
import statistics
import time

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from nnweek.mnist import load_mnist, make_loaders, split
from nnweek.models import MNISTMLP
from nnweek.training import evaluate, train_one_epoch


class AsTorchvision(Dataset):
    """Digits as torchvision's MNIST hands them out: one PIL image at a time, transformed."""

    def __init__(self, images, labels):
        from PIL import Image

        self.images, self.labels, self.to_image = images, labels, Image.fromarray
        self.transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
        )

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.transform(self.to_image(self.images[index])), int(self.labels[index])


def usual_epoch(model, loader, optimizer, criterion, device):
    model.train()
    total_loss, total_correct, total_count = 0.0, 0, 0
    for xb, yb in loader:
        xb, yb = xb.to(device), yb.to(device)
        optimizer.zero_grad()
        logits = model(xb)
        loss = criterion(logits, yb)
        loss.backward()
        optimizer.step()
        total_loss += loss.item() * xb.size(0)
        total_correct += (logits.argmax(1) == yb).sum().item()
        total_count += xb.size(0)
    return total_loss / total_count, total_correct / total_count


def floor_epoch(model, loader):
    """The matrix products of forward and backward pass, and the gather; nothing else."""
    weights = [m.weight.detach() for m in model.net if isinstance(m, nn.Linear)]
    for images, _ in loader:
        inputs = [images.flatten(1)]
        for weight in weights:
            inputs.append(inputs[-1] @ weight.T)
        gradient = inputs.pop()
        for weight, value in zip(reversed(weights), reversed(inputs), strict=True):
            gradient.T @ value
            if value is not inputs[0]:  # nobody asks for the gradient of the images
                gradient = gradient @ weight


def seconds(function, *args):
    start = time.perf_counter()
    function(*args)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def measure(rounds):
    data = load_mnist()
    train_loader, val_loader, _ = make_loaders(data, seed=42)
    device = train_loader.dataset.tensors[0].device
    train_idx, val_idx = split(len(data.train_images), 0.1, 42)
    usual = [
        DataLoader(
            AsTorchvision(data.train_images[part], data.train_labels[part]), 128, shuffle=shuffle
        )
        for part, shuffle in [(train_idx, True), (val_idx, False)]
    ]
    criterion = nn.CrossEntropyLoss()

    def fresh():
        model = MNISTMLP(seed=42).to(device)
        return model, torch.optim.SGD(model.parameters(), lr=0.1)

    model, optimizer = fresh()
    train_one_epoch(model, train_loader, optimizer, criterion)  # warm-up
    times = {"usual": [], "nnweek": [], "floor": []}
    for _ in range(rounds):
        model, optimizer = fresh()
        times["usual"].append(seconds(usual_epoch, model, usual[0], optimizer, criterion, device))
        model, optimizer = fresh()
        times["nnweek"].append(seconds(train_one_epoch, model, train_loader, optimizer, criterion))
        times["floor"].append(seconds(floor_epoch, model, train_loader))
    scoring = {
        "usual": [seconds(evaluate, model, usual[1], criterion) for _ in range(rounds)],
        "nnweek": [seconds(evaluate, model, val_loader, criterion) for _ in range(rounds)],
    }

    def ratio(table, a, b):
        return statistics.median(np.divide(table[a], table[b]))

    return {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {device}",
        "torch": torch.__version__,
        "dataset": data.name,
        "rounds": rounds,
        "train_seconds_per_epoch": {k: statistics.median(v) for k, v in times.items()},
        "validate_seconds": {k: statistics.median(v) for k, v in scoring.items()},
        "train_usual_over_nnweek": ratio(times, "usual", "nnweek"),
        "train_nnweek_over_floor": ratio(times, "nnweek", "floor"),
        "validate_usual_over_nnweek": ratio(scoring, "usual", "nnweek"),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    print(json.dumps(measure(parser.parse_args().rounds), indent=2))
