"""Seeding, the device to train on, and the data folder (from Day 29 on)."""

import os
import random
import sys
import tempfile
from pathlib import Path

import numpy as np

from nnweek._validate import random_seed


def set_seed(seed=42):
    """Seed the generators of Python, NumPy and, if it is loaded, PyTorch. Introduced on Day 31.

    PyTorch is seeded only if it has been imported, because the NumPy days run without it.
    So import torch first, then call this function.

    Args:
        seed: an integer from 0 to 2³² − 1 (NumPy's range).

    Raises:
        TypeError, ValueError: if `seed` is not such a number.
    """
    seed = random_seed("seed", seed)
    random.seed(seed)
    np.random.seed(seed)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed)  # seeds the CPU and all GPUs


def get_device():
    """Return the `torch.device` to train on, CUDA if available. Introduced on Day 31."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def data_folder():
    """Return the folder for MNIST and the results; it may not exist yet. Introduced on Day 29.

    It is `NNWEEK_DATA` if that is set, else `nnweek` in the user's cache folder
    (`XDG_CACHE_HOME`, by default `~/.cache`), or in the folder for temporary files if the
    user has no home folder.
    """
    chosen = os.environ.get("NNWEEK_DATA")
    if chosen:
        return Path(os.path.expanduser(chosen))
    cache = os.environ.get("XDG_CACHE_HOME")
    if cache:
        return Path(cache) / "nnweek"
    try:
        return Path.home() / ".cache" / "nnweek"
    except RuntimeError:  # no home folder
        return Path(tempfile.gettempdir()) / "nnweek"
