"""The network that the week trains, in PyTorch (from Day 31 on)."""

import threading

import torch
from torch import nn

from nnweek._validate import positive_int

# All threads share one generator: hold this lock from seeding until the weights are drawn.
_DRAWING = threading.Lock()


class MNISTMLP(nn.Module):
    """Multilayer perceptron with two hidden ReLU layers of equal width. Introduced on Day 31.

    By default 784-256-256-10, 269,322 parameters.

    Args:
        in_dim: number of features of a flattened example.
        hidden: number of units in each hidden layer.
        num_classes: number of classes, and of logits.
        seed: draw the weights from this seed and leave PyTorch's generator unchanged;
            None draws from that generator.

    Raises:
        TypeError, ValueError: if a size is not an integer of at least 1.
    """

    def __init__(self, in_dim=28 * 28, hidden=256, num_classes=10, *, seed=None):
        super().__init__()
        in_dim = positive_int("in_dim", in_dim)
        hidden = positive_int("hidden", hidden)
        num_classes = positive_int("num_classes", num_classes)
        with _DRAWING, torch.random.fork_rng(devices=[], enabled=seed is not None):
            if seed is not None:
                # torch.manual_seed would also seed the generators of the GPUs.
                torch.default_generator.manual_seed(seed)
            self.net = nn.Sequential(
                nn.Flatten(),
                nn.Linear(in_dim, hidden),
                nn.ReLU(),
                nn.Linear(hidden, hidden),
                nn.ReLU(),
                nn.Linear(hidden, num_classes),
            )

    def forward(self, x):
        """Map images (B, 1, 28, 28), or anything that flattens to (B, in_dim), to logits (B, C)."""
        return self.net(x)
