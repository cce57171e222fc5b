"""Run by torchrun in the tests of `nnweek.distributed`: several trainings in two processes.

    torchrun --nproc-per-node 2 -m support.two_processes FOLDER EPOCHS BATCH_SIZE

Rank 0 saves checkpoints in the folder: `baseline.pt`, which has that many epochs and the usual
batch size, and `exact.pt` and `unweighted.pt`, one epoch in float64 with batches of this size.
"""

import sys
from pathlib import Path

import torch
import torch.distributed as dist

from nnweek import distributed
from nnweek.mnist import load_mnist
from support.double import float64


def main(folder, epochs, batch_size):
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    data = load_mnist()
    distributed.train(data, epochs=int(epochs), checkpoint=Path(folder, "baseline.pt"))
    options = {"batch_size": int(batch_size), "epochs": 1}
    with float64(distributed):
        distributed.train(data, **options, checkpoint=Path(folder, "exact.pt"))
        # PyTorch's default: every process has the same weight, whatever the size of its share.
        distributed.Share.weight = property(lambda share: 1 / share.processes, lambda *_: None)
        distributed.train(data, **options, checkpoint=Path(folder, "unweighted.pt"))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
