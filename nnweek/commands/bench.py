"""Benchmarks of the week's work on this computer: `make bench`, or `nnweek bench`.

Alternatives are timed in turn, within one run, so that other load on the computer affects
all of them equally. Each result is the median of the ratios within a round. It is printed as
soon as it is known; in the end, all results are written as JSON.

Training is done by several programs: the *usual* code of most MNIST tutorials (torchvision's
data set with transforms, a `DataLoader`, `.item()` at every step); *nnweek*, also with bfloat16
products; scikit-learn's `MLPClassifier`; and the *floor*, the bare matrix products of the same
steps on freshly gathered batches. Code that calls PyTorch's products one by one cannot be faster
than the floor.
"""

import argparse
import datetime
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
from torch.utils.data import DataLoader
from torchvision.datasets import MNIST
from torchvision.transforms import Compose, Normalize, ToTensor

from nnweek.experiments import in_parallel, train_together
from nnweek.loaders import BatchLoader, make_loaders, pixel_statistics
from nnweek.mnist import load_mnist
from nnweek.models import MNISTMLP
from nnweek.optimizers import make_optimizer
from nnweek.runtime import get_device
from nnweek.training import evaluate, train_one_epoch

BATCH = 128
CRITERION = nn.CrossEntropyLoss()


class TorchvisionDigits(MNIST):
    """torchvision's MNIST: one transformed PIL image at a time. Introduced on Day 32."""

    def __init__(self, images, labels, mean, std):  # torchvision's own would need its files
        self.data, self.targets = torch.from_numpy(images), torch.from_numpy(labels)
        self.transform = Compose([ToTensor(), Normalize((mean,), (std,))])
        self.target_transform = None


def usual_epoch(model, loader, device, optimizer=None):
    """Run one epoch of the usual loop; train if an optimizer is given. Introduced on Day 32.

    Returns:
        (mean loss, accuracy).
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


def gemm_floor(model, loader, *, backward):
    """Only gather an epoch's batches and multiply its matrices. Introduced on Day 32."""
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
            if value is not inputs[0]:  # the gradient with respect to the images is not needed
                gradient = gradient @ weight


def interleaved(works, rounds, clock=time.perf_counter):
    """Time functions in turn, {name: [seconds per round]}. Introduced on Day 32.

    The time includes a function's work on a GPU. One more round comes first, to warm up. With
    the clock `time.process_time`, other programs on the computer do not count.
    """
    wait = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    times = {name: [] for name in works}
    for _ in range(rounds + 1):
        for name, work in works.items():
            wait()
            start = clock()
            work()
            wait()
            times[name].append(clock() - start)
    return {name: spent[1:] for name, spent in times.items()}


def ratio(times, one, other):
    """Return the median ratio of two times in the same round. Introduced on Day 32."""
    return statistics.median(a / b for a, b in zip(times[one], times[other], strict=True))


def medians(times):
    """Return {name: median seconds} of interleaved times. Introduced on Day 32."""
    return {name: statistics.median(spent) for name, spent in times.items()}


def compare_programs(data, *, images=None, rounds=5):
    """Time epochs of the same network in several programs. Introduced on Day 32.

    All train on the same images, in batches of the same size, with the same rate: the usual
    code; nnweek; nnweek with bfloat16 products (`torch.set_float32_matmul_precision("medium")`,
    which changes something only if the processor has instructions for them); the floor; and
    scikit-learn's `MLPClassifier`.

    Args:
        data: `nnweek.mnist.Digits`.
        images: the number of training images per epoch; all by default.
        rounds: the number of timed rounds, at least 1.

    Returns:
        {"clock": …, "training": …, "evaluation": …}. The clock is "CPU seconds", or "seconds"
        on a GPU and on Windows. Each part has "images", median "seconds" per epoch and
        "over_nnweek", the ratios of these times to nnweek's. Training also has "val_acc", the
        accuracies on the validation images in the end.
    """
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    device = get_device()
    # Windows updates the processor's time only every 16 milliseconds.
    on_cpu = device.type == "cpu" and os.name == "posix"
    clock = time.process_time if on_cpu else time.perf_counter
    mean, std = pixel_statistics(data.train_images)
    train_loader, val_loader, _ = make_loaders(data, BATCH, seed=42)
    images, labels = train_loader.dataset[:images]
    names = ("usual", "nnweek", "nnweek, bfloat16")
    networks = {name: MNISTMLP(seed=42).to(device) for name in names}

    def usual(count, optimizer=None):
        digits = TorchvisionDigits(data.train_images[:count], data.train_labels[:count], mean, std)
        loader = DataLoader(digits, BATCH, shuffle=optimizer is not None)
        return lambda: usual_epoch(networks["usual"], loader, device, optimizer)

    def epochs(name):
        loader = BatchLoader(images, labels, BATCH, shuffle_seed=42)
        optimizer = make_optimizer("SGD", networks[name], 0.1)
        return lambda: train_one_epoch(networks[name], loader, optimizer, CRITERION)

    in_full, in_bfloat16 = epochs("nnweek"), epochs("nnweek, bfloat16")

    def with_bfloat16():
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("medium")
        try:
            in_bfloat16()
        finally:
            torch.set_float32_matmul_precision(before)

    theirs = MLPClassifier((256, 256), solver="sgd", alpha=0, batch_size=min(BATCH, len(images)),
                           learning_rate_init=0.1, momentum=0, random_state=42)  # fmt: skip
    pixels, digits = images.flatten(1).cpu().numpy(), labels.cpu().numpy()
    part = BatchLoader(images, labels, BATCH, shuffle_seed=42)
    works = {
        "usual": usual(len(images), make_optimizer("SGD", networks["usual"], 0.1)),
        "nnweek": in_full,
        "nnweek, bfloat16": with_bfloat16,
        "floor": lambda: gemm_floor(networks["nnweek"], part, backward=True),
        "scikit-learn": lambda: theirs.partial_fit(pixels, digits, classes=range(10)),
    }
    with threadpool_limits(torch.get_num_threads(), "blas"):  # of NumPy, for scikit-learn
        training = _relative_to_nnweek(interleaved(works, rounds, clock), len(images))
    training["val_acc"] = {n: evaluate(m, val_loader, CRITERION)[1] for n, m in networks.items()}
    x, y = (tensor.cpu().numpy() for tensor in val_loader.dataset.tensors)
    training["val_acc"]["scikit-learn"] = float(theirs.score(x.reshape(len(x), -1), y))

    network = networks["nnweek"]
    works = {
        "usual": usual(len(val_loader.dataset)),
        "nnweek": lambda: evaluate(network, val_loader, CRITERION),
        "floor": lambda: gemm_floor(network, val_loader, backward=False),
    }
    times = interleaved(works, rounds, clock)
    evaluation = _relative_to_nnweek(times, len(val_loader.dataset))
    name = "CPU seconds" if on_cpu else "seconds"
    return {"clock": name, "training": training, "evaluation": evaluation}


def _relative_to_nnweek(times, images):
    return {
        "images": images,
        "seconds": medians(times),
        "over_nnweek": {name: ratio(times, name, "nnweek") for name in times},
    }


def compare_many_models(data, *, models=8, images=12_800, rounds=3):
    """Time an epoch of models one by one, in parallel and stacked. Introduced on Day 33."""
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

    works = {
        "one by one": lambda: [one(seed) for seed in range(models)],
        "in_parallel": lambda: in_parallel(one, range(models)),
        "train_together": stacked,
    }
    times = interleaved(works, rounds)
    return {
        "models": models,
        "images": len(part[0]),
        "seconds_per_model": {name: s / models for name, s in medians(times).items()},
        "one_by_one_over_in_parallel": ratio(times, "one by one", "in_parallel"),
        "one_by_one_over_train_together": ratio(times, "one by one", "train_together"),
    }


def lenet():
    """Return LeNet-5 (LeCun et al., 1998) with ReLU and max-pooling. Introduced on Day 35."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def compare_with_lenet(data, *, images=12_800, rounds=3):
    """Time an epoch of LeNet-5 and one of `MNISTMLP`. Introduced on Day 35."""
    train_loader, _, _ = make_loaders(data, BATCH, seed=42)
    part = BatchLoader(*train_loader.dataset[:images], BATCH, shuffle_seed=42)
    works = {}
    for name, model in {"MNISTMLP": MNISTMLP(seed=42), "LeNet-5": lenet()}.items():
        model.to(get_device())
        optimizer = make_optimizer("SGD", model, 0.1)
        works[name] = lambda m=model, o=optimizer: train_one_epoch(m, part, o, CRITERION)
    times = interleaved(works, rounds)
    return {
        "images": len(part.dataset),
        "seconds": medians(times),
        "lenet_over_mlp": ratio(times, "LeNet-5", "MNISTMLP"),
    }


def startup_times(rounds=3):
    """Time imports, loading MNIST and the first batch in new processes. Introduced on Day 32.

    Raises:
        RuntimeError: if a process fails; the message quotes its error.
    """
    clock = "import time; start = time.perf_counter()\n{}\nprint(time.perf_counter() - start)"
    work = {
        "import nnweek": clock.format("import nnweek"),
        "import torch": clock.format("import torch"),
        # Only the loading itself, without the imports.
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
            raise RuntimeError(f"a new Python process failed:\n{ran.stderr}")
        return float(ran.stdout.split()[-1])

    return {
        name: statistics.median(measured(code) for _ in range(rounds))
        for name, code in work.items()
    }


def notebooks(folder):
    """Run a folder's notebooks; return the seconds and memory of each. Introduced on Day 35.

    Raises:
        RuntimeError: if a notebook fails.
    """
    import nbformat
    import psutil  # comes with ipykernel
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
            kernel = psutil.Process(client.km.provisioner.pid)
            peak, cpu = _peak_memory(kernel.pid), kernel.cpu_times()
        measured[path.stem] = {
            "seconds": seconds,
            "cpu_seconds": cpu.user + cpu.system,
            "peak_mib": peak and round(peak / 2**20),
        }
    return measured


def _peak_memory(pid):
    """Return a process's peak memory: resident bytes, or None except on Linux."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return None
    # ru_maxrss would start from what the parent occupied when it forked.
    return 1024 * int(re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.M)[1])


def _measure(quick, folder):
    """Yield (title, result) per benchmark, last for the notebooks of a folder if there is one."""
    data = load_mnist()
    small = {"images": 1_280, "rounds": 1} if quick else {}
    machine = {
        "date": datetime.date.today().isoformat(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "dataset": data.name,
    }
    yield "machine", machine
    yield "programs", compare_programs(data, **small)
    models = 2 if quick else 32 if torch.cuda.is_available() else 8
    yield "many models", compare_many_models(data, **small, models=models)
    yield "LeNet-5", compare_with_lenet(data, **small)
    yield "startup", startup_times(1 if quick else 3)
    if folder is not None:
        yield "notebooks", notebooks(folder)


def main(arguments=None):
    """Run the benchmarks, print them and write them as JSON. Introduced on Day 35."""
    parser = argparse.ArgumentParser(prog="nnweek bench", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="use fewer images and rounds")
    parser.add_argument("--notebooks", metavar="FOLDER", help="also run the notebooks in a folder")
    parser.add_argument("--output", metavar="FILE", default="bench.json", help="the JSON file")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)  # as in the notebooks
    results = {}
    for title, result in _measure(chosen.quick, chosen.notebooks):
        results[title] = result
        print(f"{title}: {json.dumps(result, indent=2)}", flush=True)
    Path(chosen.output).write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(f"Written: {chosen.output}")
    return 0
