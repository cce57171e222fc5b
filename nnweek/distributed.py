"""The week's baseline, trained by several processes at once (*Beyond one machine*).

On one machine with two cores or two GPUs:

    torchrun --standalone --nproc-per-node 2 -m nnweek.distributed --epochs 2

Every process has the whole network and takes its share of every batch. After the backward
pass the gradients of all are put together, so that each takes the same step, which is the
step that one process would have taken with the whole batch. So two processes end with the
weights of one, but for rounding.
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
    """One process's share of every batch of a loader.

    The shares of all processes, one after the other, are the batch. Where it cannot be
    divided evenly, the first shares have an image more.

    Introduced on the page *Beyond one machine*.

    Args:
        loader: a `nnweek.mnist.BatchLoader`, the same in every process.
        rank: which process this is, from 0.
        processes: how many there are.

    Attributes:
        weight: how much of the present batch the share is, from 0 to 1.

    Raises:
        ValueError: if a batch has fewer images than there are processes.
    """

    def __init__(self, loader, rank, processes):
        smallest = len(loader.dataset) % loader.batch_size or loader.batch_size
        if smallest < processes:
            raise ValueError(
                f"loader has a batch of {smallest} image(s), which cannot be shared by "
                f"{processes} processes: take fewer processes, or another batch size"
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
        """How many passes have begun."""
        return self.loader.epoch

    @epoch.setter
    def epoch(self, value):
        self.loader.epoch = value

    def total(self, sums):
        """Add up a tensor over all processes; every process gets the result."""
        dist.all_reduce(sums)
        return sums


class Parallel(DistributedDataParallel):
    """A network of which every process has a copy. Introduced on the page *Beyond one machine*.

    Its checkpoints are those of the network alone, so any number of processes can go on.

    Args:
        model: an `nn.Module` on this process's device; the copies start as that of process 0.
        share: the `Share` that it is trained on.
    """

    def __init__(self, model, share):
        super().__init__(model)
        self.register_comm_hook(share, weighted_sum)

    def state_dict(self, *args, **kwargs):
        """Return the state of the network alone."""
        return self.module.state_dict(*args, **kwargs)

    def load_state_dict(self, *args, **kwargs):
        """Load the state of the network alone."""
        return self.module.load_state_dict(*args, **kwargs)


def weighted_sum(share, bucket):
    """Put the gradients of all processes together. Introduced on the page *Beyond one machine*.

    Each process has the mean gradient of its own share. Their plain mean, which is
    PyTorch's default, is that of the whole batch only where all shares are of one size. In
    a batch of 13 an image of the share of 6 would count for more than one of the share of
    7. So each mean counts by how much of the batch it is the mean of.

    Args:
        share: the `Share` of this process.
        bucket: gradients, as `DistributedDataParallel` hands them out during the backward pass.

    Returns:
        A future of the gradients of the whole batch.
    """
    own = bucket.buffer().mul_(share.weight)
    return dist.all_reduce(own, async_op=True).get_future().then(lambda done: done.value()[0])


def train(data, *, epochs=5, lr=0.1, batch_size=128, seed=42, device="cpu", checkpoint=None):
    """Train the baseline in all processes. Introduced on the page *Beyond one machine*.

    It is `nnweek.experiments.train_baseline` but for three lines: the loaders give a share,
    the network is `Parallel`, and only the first process keeps the checkpoint. Every process
    calls it, with the same arguments but for the device.

    Args:
        data: `nnweek.mnist.Digits`.
        epochs: passes over the training data, at least 1.
        lr: the learning rate, above 0.
        batch_size: examples in a batch of all processes together.
        seed: of the weights, the split and the order of the batches.
        device: of this process.
        checkpoint: a file of the first process; the other processes need not see it. If it
            is there, training goes on where it stopped.

    Returns:
        `Run`, the same in every process but for the seconds.

    Raises:
        TypeError, ValueError: if an argument is not as said.
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
    """The first process's file; for each other a copy, which is thrown away at the end.

    `fit` reads and writes a checkpoint in every process, and all must go on from the same.
    """
    if path is None or dist.get_world_size() == 1:
        yield path
        return
    first = dist.get_rank() == 0
    content = [Path(path).read_bytes() if first and Path(path).exists() else None]
    dist.broadcast_object_list(content)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.pt"
        if content[0] is not None:
            copy.write_bytes(content[0])
        yield path if first else copy


def main(arguments=None):
    """Train in this process, one of those that torchrun started; the first one speaks.

    Introduced on the page *Beyond one machine*.

    Args:
        arguments: of the command line, by default the real ones.
    """
    parser = argparse.ArgumentParser(prog="nnweek.distributed", description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=5, help="in all, with those before a break")
    parser.add_argument("--lr", type=float, default=0.1, help="the learning rate")
    parser.add_argument("--batch-size", type=int, default=128, help="of all processes together")
    parser.add_argument("--seed", type=int, default=42, help="of weights, split and batches")
    parser.add_argument("--checkpoint", help="a file to go on from after a break")
    chosen = vars(parser.parse_args(arguments))
    if not os.environ.keys() >= FROM_TORCHRUN:
        sys.exit(
            "This is started by torchrun, which tells each process which one it is:\n"
            "torchrun --standalone --nproc-per-node 2 -m nnweek.distributed"
        )
    first = os.environ["RANK"] == "0"
    try:
        with contextlib.nullcontext() if first else contextlib.redirect_stdout(io.StringIO()):
            _train_and_say(chosen)
    except (TypeError, ValueError, OSError) as error:
        sys.exit(f"Process {os.environ['RANK']}: {error}")


def _train_and_say(chosen):
    device = _device_of_this_process()
    dist.init_process_group("gloo" if device.type == "cpu" else "cpu:gloo,cuda:nccl")
    processes, threads = dist.get_world_size(), torch.get_num_threads()
    means = "NCCL" if device.type == "cuda" else f"gloo, {threads} thread(s) each"
    print(f"{processes} process(es) on {device.type} ({means})", flush=True)

    if os.environ["LOCAL_RANK"] != "0":
        dist.barrier()  # the first process of each machine fetches the data for all
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
    """A GPU of its own where the machine has one for each of its processes, else the CPU."""
    if dist.is_nccl_available() and torch.cuda.device_count() >= int(
        os.environ["LOCAL_WORLD_SIZE"]
    ):
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


if __name__ == "__main__":
    main()
