"""The week's baseline, trained by several processes at once (page *Beyond one machine*).

On one machine with two cores or two GPUs:

    torchrun --standalone --nproc-per-node 2 -m nnweek.distributed --epochs 2

Every process has a full copy of the network and takes its share of every batch. After the
backward pass the gradients of all processes are averaged, so that each process takes the step
that a single process would have taken on the full batch. So two processes end with the same
weights as one, except for rounding.
"""

import argparse
import contextlib
import io
import os
import sys
import tempfile
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from nnweek.experiments import Run
from nnweek.loaders import make_loaders
from nnweek.mnist import load_mnist
from nnweek.models import MNISTMLP
from nnweek.optimizers import make_optimizer
from nnweek.training import evaluate, fit

FROM_TORCHRUN = {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"}


class Share:
    """One process's share of every batch. Introduced on the page *Beyond one machine*.

    The concatenated shares of all processes are the batch. If it cannot be divided evenly,
    the first shares have one image more.

    Args:
        loader: a `nnweek.loaders.BatchLoader`, the same in every process.
        rank: number of this process, from 0.
        processes: number of processes.

    Attributes:
        weight: size of the current share divided by that of its batch.

    Raises:
        ValueError: if a batch has fewer images than there are processes.
    """

    def __init__(self, loader, rank, processes):
        smallest = len(loader.dataset) % loader.batch_size or loader.batch_size
        if smallest < processes:
            raise ValueError(
                f"loader has a batch of {smallest} image(s), which cannot be divided among "
                f"{processes} processes: use fewer processes or another batch size"
            )
        self.loader, self.rank, self.processes = loader, rank, processes

    def __len__(self):
        return len(self.loader)

    def __iter__(self):
        for images, labels in self.loader:
            own = labels.tensor_split(self.processes)[self.rank]
            self.weight = len(own) / len(labels)
            yield images.tensor_split(self.processes)[self.rank], own

    @property
    def epoch(self):
        """Number of epochs started."""
        return self.loader.epoch

    @epoch.setter
    def epoch(self, value):
        self.loader.epoch = value

    def total(self, sums):
        """Add up a tensor over all processes; every process gets the result."""
        dist.all_reduce(sums)
        return sums


class Parallel(DistributedDataParallel):
    """A network with a copy in every process. Introduced on the page *Beyond one machine*.

    Its state is that of the network only, so that any number of processes can resume.

    Args:
        model: an `nn.Module` on this process's device; all copies start as that of process 0.
        share: the `Share` it is trained on.
    """

    def __init__(self, model, share):
        super().__init__(model)
        self.register_comm_hook(share, weighted_sum)

    def state_dict(self, *args, **kwargs):
        """Return the state of the network."""
        return self.module.state_dict(*args, **kwargs)

    def load_state_dict(self, *args, **kwargs):
        """Load a state of the network."""
        return self.module.load_state_dict(*args, **kwargs)


def weighted_sum(share, bucket):
    """Average the gradients of all processes. Introduced on the page *Beyond one machine*.

    Each process has the mean gradient of its own share. The unweighted mean of these, which
    is PyTorch's default, is the gradient of the batch only if all shares have equal size: in
    a batch of 13, an image in the share of 6 would count for more than one in the share of 7.
    So each mean is weighted by its share of the batch.

    Args:
        share: the `Share` of this process.
        bucket: gradients, as `DistributedDataParallel` passes them during the backward pass.

    Returns:
        A future of the gradients of the full batch.
    """
    own = bucket.buffer().mul_(share.weight)
    return dist.all_reduce(own, async_op=True).get_future().then(lambda done: done.value()[0])


def train(data, *, epochs=5, lr=0.1, batch_size=128, seed=42, device="cpu", checkpoint=None):
    """Train the baseline in all processes. Introduced on the page *Beyond one machine*.

    It differs from `nnweek.experiments.train_baseline` in three lines: each loader yields a
    share, the network is `Parallel`, and only process 0 writes the checkpoint. Every process
    calls it with the same arguments, except for the device.

    Args:
        data, epochs, lr, seed: as for `train_baseline`.
        batch_size: examples per batch, over all processes.
        device: device of this process.
        checkpoint: a file of process 0, which the other processes need not see. If it
            exists, training resumes from it.

    Returns:
        `Run`, the same in every process except for the seconds.

    Raises:
        TypeError, ValueError: if an argument is not as described.
    """
    rank, processes = dist.get_rank(), dist.get_world_size()
    loaders = make_loaders(data, batch_size, seed=seed, device=device)
    train_loader, val_loader, test_loader = (Share(each, rank, processes) for each in loaders)
    model = Parallel(MNISTMLP(seed=seed).to(device), train_loader)
    optimizer = make_optimizer("SGD", model, lr)
    with _checkpoint_of_this_process(checkpoint) as path:
        history = fit(model, train_loader, val_loader, optimizer, epochs=epochs, checkpoint=path)
    test_loss, test_acc = evaluate(model, test_loader, nn.CrossEntropyLoss())
    return Run(model.module, history, test_loss, test_acc, len(data.test_labels))


@contextlib.contextmanager
def _checkpoint_of_this_process(path):
    """Yield the file in process 0, and a temporary copy of it in every other process.

    `fit` reads and writes a checkpoint in every process, and all must resume from the same one.
    """
    if path is None or dist.get_world_size() == 1:
        yield path
        return
    is_first = dist.get_rank() == 0
    content = [Path(path).read_bytes() if is_first and Path(path).exists() else None]
    dist.broadcast_object_list(content)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.pt"
        if content[0] is not None:
            copy.write_bytes(content[0])
        yield path if is_first else copy


def main(arguments=None):
    """Train in a process of torchrun's. Introduced on the page *Beyond one machine*."""
    parser = argparse.ArgumentParser(prog="nnweek.distributed", description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=5, help="total, including the checkpoint's")
    parser.add_argument("--lr", type=float, default=0.1, help="the learning rate")
    parser.add_argument("--batch-size", type=int, default=128, help="over all processes")
    parser.add_argument("--seed", type=int, default=42, help="for weights, split and batches")
    parser.add_argument("--checkpoint", help="file to write, and to resume from")
    chosen = vars(parser.parse_args(arguments))
    if not os.environ.keys() >= FROM_TORCHRUN:
        sys.exit(
            "Start this with torchrun, which gives each process its number:\n"
            "torchrun --standalone --nproc-per-node 2 -m nnweek.distributed"
        )
    is_first = os.environ["RANK"] == "0"
    try:
        with contextlib.nullcontext() if is_first else contextlib.redirect_stdout(io.StringIO()):
            _train_and_report(chosen)
    except (TypeError, ValueError, OSError) as error:
        sys.exit(f"Process {os.environ['RANK']}: {error}")


def _train_and_report(chosen):
    device = _device_of_this_process()
    dist.init_process_group("gloo" if device.type == "cpu" else "cpu:gloo,cuda:nccl")
    processes, threads = dist.get_world_size(), torch.get_num_threads()
    backend = "NCCL" if device.type == "cuda" else f"gloo, {threads} thread(s) each"
    print(f"{processes} process(es) on {device.type} ({backend})", flush=True)

    if os.environ["LOCAL_RANK"] != "0":
        dist.barrier()  # the first process of each machine downloads the data
    data = load_mnist()
    if os.environ["LOCAL_RANK"] == "0":
        dist.barrier()
    run = train(data, **chosen, device=device)

    print("epoch  train loss  val loss  val accuracy  seconds")
    history = run.history
    for epoch in range(len(history)):
        print(
            f"{epoch + 1:5}  {history.train_loss[epoch]:10.4f}  {history.val_loss[epoch]:8.4f}"
            f"  {history.val_acc[epoch]:12.2%}  {history.seconds[epoch]:7.2f}"
        )
    print(f"test accuracy: {run.test_acc:.2%} of {run.test_size:,} images ({data.name})")
    dist.destroy_process_group()


def _device_of_this_process():
    """Return a GPU for this process if the machine has one per process, else the CPU."""
    needed = int(os.environ["LOCAL_WORLD_SIZE"])
    if dist.is_nccl_available() and torch.cuda.device_count() >= needed:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


if __name__ == "__main__":
    main()
