"""Training in float64, so that two ways of computing the same thing can be compared."""

import contextlib

import torch

from nnweek.loaders import BatchLoader, make_loaders


def make_double_loaders(data, batch_size=128, **options):
    """`make_loaders`, but with float64 images."""
    return tuple(
        BatchLoader(
            loader.dataset.tensors[0].double(),
            loader.dataset.tensors[1],
            loader.batch_size,
            shuffle_seed=loader.shuffle_seed,
        )
        for loader in make_loaders(data, batch_size, **options)
    )


@contextlib.contextmanager
def float64(module):
    """Let a module's trainings run in float64.

    In float32, rounding differs between processors, and a unit near the kink of its ReLU may be
    active in one run and inactive in another; from there the runs diverge by 1e-3 within a few
    epochs. In float64 the rounding is 5e8 times smaller, and no unit is that close to its kink.
    """
    module.make_loaders = make_double_loaders
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)
        module.make_loaders = make_loaders
