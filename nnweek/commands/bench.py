"""How fast is this machine at the week's work? `make bench`, or `nnweek bench`.

What is compared is measured in turns, in one run, so that whatever else the computer does
disturbs all alike; what counts is the ratio within a turn, and its median over the turns.
The result is printed as it comes and written as JSON.

For training and for evaluation three things take turns: the *usual* code of most MNIST
tutorials (torchvision's data set with transforms, a `DataLoader`, `.item()` at every
step); *nnweek*; and the *floor*, the bare matrix products of the same steps on freshly
gathered batches, below which no eager code for this network can come.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from nnweek.experiments import in_parallel, train_together
from nnweek.loaders import BatchLoader, make_loaders, pixel_statistics
from nnweek.mnist import load_mnist
from nnweek.models import MNISTMLP
from nnweek.optimizers import make_optimizer
from nnweek.runtime import get_device
from nnweek.training import evaluate, train_one_epoch

BATCH = 128
CRITERION = nn.CrossEntropyLoss()


class AsTorchvision(Dataset):
    """Digits as torchvision's MNIST hands them out: one PIL image at a time, transformed.

    Introduced on Day 32.
    """

    def __init__(self, images, labels, mean, std):
        from PIL import Image
        from torchvision import transforms

        self.images, self.labels, self.to_image = images, labels, Image.fromarray
        self.transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize((mean,), (std,))]
        )

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.transform(self.to_image(self.images[index])), int(self.labels[index])


def usual_pass(model, loader, device, optimizer=None):
    """One pass of the usual code: it trains with an optimizer, and scores without.

    Introduced on Day 32.
    """
    model.train(optimizer is not None)
    total_loss, total_correct, total_count = 0.0, 0, 0
    with torch.set_grad_enabled(optimizer is not None):
        for images, labels in loader:
            images, labels = images.to(device), labels.to(device)
            logits = model(images)
            loss = CRITERION(logits, labels)
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            total_loss += loss.item() * images.size(0)
            total_correct += (logits.argmax(1) == labels).sum().item()
            total_count += images.size(0)
    return total_loss / total_count, total_correct / total_count


def bare_products(model, loader, *, backward):
    """The matrix products of a pass, and its gathers; nothing else. Introduced on Day 32."""
    weights = [m.weight.detach() for m in model.net if isinstance(m, nn.Linear)]
    for images, _ in loader:
        inputs = [images.flatten(1)]
        for weight in weights:
            inputs.append(inputs[-1] @ weight.T)
        if not backward:
            continue
        gradient = inputs.pop()
        for weight, value in zip(reversed(weights), reversed(inputs), strict=True):
            gradient.T @ value
            if value is not inputs[0]:  # nobody asks for the gradient of the images
                gradient = gradient @ weight


def seconds(work):
    """How long a function without arguments takes; a GPU is waited for. Introduced on Day 32."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def in_turns(works, rounds):
    """Time functions in turns: {name: [seconds, one a round]}, after a first, uncounted turn.

    Introduced on Day 32.
    """
    times = {name: [] for name in works}
    for turn in range(rounds + 1):
        for name, work in works.items():
            spent = seconds(work)
            if turn:
                times[name].append(spent)
    return times


def ratio(times, one, other):
    """The median over the turns of how many times as long `one` took as `other`.

    Introduced on Day 32.
    """
    return statistics.median(a / b for a, b in zip(times[one], times[other], strict=True))


def medians(times):
    """Run the benchmark from the command line. Introduced on Day 32."""
    return {name: statistics.median(spent) for name, spent in times.items()}


def against_the_usual(data, *, images=None, rounds=5):
    """Training and evaluation: the usual code, nnweek and the floor in turns. Introduced on Day 32.

    Args:
        data: `nnweek.mnist.Digits`.
        images: how many of the training images make a pass; all by default.
        rounds: how many turns are counted, at least 1.

    Returns:
        {"training": …, "evaluation": …}, each with seconds per pass and ratios.
    """
    device = get_device()
    mean, std = pixel_statistics(data.train_images)
    train_loader, val_loader, _ = make_loaders(data, BATCH, seed=42)
    part = BatchLoader(*train_loader.dataset[:images], BATCH, shuffle_seed=42)
    n, n_val = len(part.dataset), len(val_loader.dataset)

    def usual(count, shuffle):
        digits = AsTorchvision(data.train_images[:count], data.train_labels[:count], mean, std)
        return DataLoader(digits, BATCH, shuffle=shuffle)

    usual_train, usual_val = usual(n, True), usual(n_val, False)
    model = MNISTMLP(seed=42).to(device)
    optimizer = make_optimizer("SGD", model, 0.1)
    training = in_turns(
        {
            "usual": lambda: usual_pass(model, usual_train, device, optimizer),
            "nnweek": lambda: train_one_epoch(model, part, optimizer, CRITERION),
            "floor": lambda: bare_products(model, part, backward=True),
        },
        rounds,
    )
    scoring = in_turns(
        {
            "usual": lambda: usual_pass(model, usual_val, device),
            "nnweek": lambda: evaluate(model, val_loader, CRITERION),
            "floor": lambda: bare_products(model, val_loader, backward=False),
        },
        rounds,
    )

    def summary(times, count):
        return {
            "images": count,
            "seconds": medians(times),
            "usual_over_nnweek": ratio(times, "usual", "nnweek"),
            "nnweek_over_floor": ratio(times, "nnweek", "floor"),
            "usual_over_floor": ratio(times, "usual", "floor"),
        }

    return {"training": summary(training, n), "evaluation": summary(scoring, n_val)}


def many_at_once(data, *, models=8, images=12_800, rounds=3):
    """The same models one by one, in parallel and stacked; seconds per model and pass.

    Introduced on Day 33.
    """
    device = get_device()
    train_loader, val_loader, _ = make_loaders(data, BATCH, seed=42)
    part = train_loader.dataset[:images]
    few = BatchLoader(*val_loader.dataset[:BATCH], BATCH)

    def one(seed):
        model = MNISTMLP(seed=seed).to(device)
        loader = BatchLoader(*part, BATCH, shuffle_seed=seed)
        train_one_epoch(model, loader, make_optimizer("SGD", model, 0.1), CRITERION)

    def stacked():
        loaders = [BatchLoader(*part, BATCH, shuffle_seed=seed) for seed in range(models)]
        networks = [MNISTMLP(seed=seed).to(device) for seed in range(models)]
        train_together(networks, loaders, few, "SGD", 0.1)

    times = in_turns(
        {
            "one by one": lambda: [one(seed) for seed in range(models)],
            "in_parallel": lambda: in_parallel(one, range(models)),
            "train_together": stacked,
        },
        rounds,
    )
    return {
        "models": models,
        "images": len(part[0]),
        "seconds_per_model": {name: s / models for name, s in medians(times).items()},
        "one_by_one_over_in_parallel": ratio(times, "one by one", "in_parallel"),
        "one_by_one_over_train_together": ratio(times, "one by one", "train_together"),
    }


def lenet():
    """LeNet-5 with ReLU and max-pooling: 61,706 parameters (LeCun et al., 1998).

    Introduced on Day 35.
    """
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def convolutions(data, *, images=12_800, rounds=3):
    """A pass of LeNet-5 beside one of the perceptron. Introduced on Day 35."""
    train_loader, _, _ = make_loaders(data, BATCH, seed=42)
    part = BatchLoader(*train_loader.dataset[:images], BATCH, shuffle_seed=42)
    works = {}
    for name, model in {"MNISTMLP": MNISTMLP(seed=42), "LeNet-5": lenet()}.items():
        model.to(get_device())
        optimizer = make_optimizer("SGD", model, 0.1)
        works[name] = lambda m=model, o=optimizer: train_one_epoch(m, part, o, CRITERION)
    times = in_turns(works, rounds)
    return {
        "images": len(part.dataset),
        "seconds": medians(times),
        "lenet_over_mlp": ratio(times, "LeNet-5", "MNISTMLP"),
    }


def starting(rounds=3):
    """Seconds in fresh processes: importing, the arrays of MNIST, the first batch.

    Introduced on Day 32.

    Raises:
        RuntimeError: if one of the processes fails; what it said is passed on.
    """
    clock = "import time; start = time.perf_counter()\n{}\nprint(time.perf_counter() - start)"
    work = {
        "import nnweek": clock.format("import nnweek"),
        "import torch": clock.format("import torch"),
        # From when the modules are there: what loading itself costs.
        "MNIST arrays": "from nnweek.mnist import load_mnist\n"
        + clock.format("load_mnist().train_images.sum()"),
        "first batch": clock.format(
            "from nnweek.mnist import load_mnist, make_loaders\n"
            "next(iter(make_loaders(load_mnist())[0]))"
        ),
    }

    def measured(code):
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        if ran.returncode:
            raise RuntimeError(f"a fresh Python failed:\n{ran.stderr}")
        return float(ran.stdout.split()[-1])

    return {
        name: statistics.median(measured(code) for _ in range(rounds))
        for name, code in work.items()
    }


def notebooks(folder):
    """Seconds and peak memory (MiB) of each notebook in a folder, one after the other.

    Introduced on Day 35.

    Raises:
        RuntimeError: if a notebook fails.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    measured = {}
    for path in sorted(Path(folder).glob("day-*.ipynb")):
        where = {"metadata": {"path": str(folder)}}
        client = NotebookClient(nbformat.read(path, as_version=4), resources=where)
        start = time.perf_counter()
        with client.setup_kernel():
            try:
                for index, cell in enumerate(client.nb.cells):
                    client.execute_cell(cell, index)
            except CellExecutionError as error:
                raise RuntimeError(f"{path.name} failed:\n{error}") from None
            seconds = time.perf_counter() - start
            peak = peak_memory(client.km.provisioner.pid)
        measured[path.stem] = {"seconds": seconds, "peak_mib": peak and round(peak / 2**20)}
    return measured


def peak_memory(pid):
    """The most memory that a process has held so far (bytes). Introduced on Day 35.

    Of its resident memory, as Linux counts it; None elsewhere.
    """
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return None
    # Not ru_maxrss: that begins with what the parent had held when it started the process.
    return 1024 * int(re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.M)[1])


def on_the_gpu(data, rounds=3):
    """Five passes of the baseline, and 32 seeds at once beside one seed. Introduced on Day 33."""
    train_loader, val_loader, _ = make_loaders(data, BATCH, seed=42)
    part = BatchLoader(*train_loader.dataset[:12_800], BATCH, shuffle_seed=42)
    few = BatchLoader(*val_loader.dataset[:BATCH], BATCH)
    model = MNISTMLP(seed=42).cuda()
    optimizer = make_optimizer("SGD", model, 0.1)

    def five_epochs():
        for _ in range(5):
            train_one_epoch(model, train_loader, optimizer, CRITERION)

    def seeds(count):
        networks = [MNISTMLP(seed=seed).cuda() for seed in range(count)]
        train_together(networks, part, few, "SGD", 0.1)

    times = in_turns(
        {"five epochs": five_epochs, "1 seed": lambda: seeds(1), "32 seeds": lambda: seeds(32)},
        rounds,
    )
    return {
        "name": torch.cuda.get_device_name(),
        "seconds": medians(times),
        "32_seeds_over_1": ratio(times, "32 seeds", "1 seed"),
    }


def measure(*, quick=False, folder=None):
    """Yield (what, result) for each part as it is done; `quick` takes seconds, not minutes.

    Introduced on Day 35.
    """
    data = load_mnist()
    small = {"images": 2_560, "rounds": 1} if quick else {}
    yield (
        "machine",
        {
            "system": f"{platform.system()} {platform.machine()}",
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "device": str(get_device()),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "dataset": data.name,
        },
    )
    yield "against the usual code", against_the_usual(data, **small)
    yield "many at once", many_at_once(data, **small, models=4 if quick else 8)
    yield "convolutions", convolutions(data, **small)
    yield "starting", starting(1 if quick else 3)
    if torch.cuda.is_available():
        yield "on the GPU", on_the_gpu(data)
    if folder is not None:
        yield "notebooks", notebooks(folder)


def main(arguments=None):
    """Run the benchmark from the command line. Introduced on Day 35."""
    parser = argparse.ArgumentParser(prog="nnweek bench", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="fewer images and turns")
    parser.add_argument("--notebooks", metavar="FOLDER", help="also run the notebooks in it")
    parser.add_argument("--output", default="bench.json", help="the JSON file (bench.json)")
    parser.add_argument("--threads", type=int, default=1, help="of one training step (1)")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    results = {}
    for what, result in measure(quick=chosen.quick, folder=chosen.notebooks):
        results[what] = result
        print(f"{what}: {json.dumps(result, indent=2)}", flush=True)
    Path(chosen.output).write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(f"written: {chosen.output}")
