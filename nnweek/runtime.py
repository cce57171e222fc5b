"""Seeds, the device, and where files are kept."""

import os
import random
import sys
import tempfile
from pathlib import Path

import numpy as np

from nnweek._validate import random_seed


def set_seed(seed=42):
    """Seed Python, NumPy and, where it is loaded, PyTorch. Introduced on Day 31.

    PyTorch is left out while nobody has imported it, so that the NumPy days
    need not have it; import torch first, then call this.

    Args:
        seed: a whole number from 0 to 2³² − 1 (NumPy's range).

    Raises:
        TypeError, ValueError: if `seed` is not such a number.
    """
    seed = random_seed("seed", seed)
    random.seed(seed)
    np.random.seed(seed)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed)  # the CPU's generator and every GPU's


def get_device():
    """Return the `torch.device` to train on: a CUDA GPU if there is one, else the CPU.

    Introduced on Day 31.
    """
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def data_folder():
    """Return the folder that keeps MNIST and the results; it need not exist yet.

    Introduced on Day 29.

    It is `NNWEEK_DATA` where that is set, else `nnweek` in the user's cache folder
    (`XDG_CACHE_HOME`, by default `~/.cache`), else, for a user without a home, in the
    folder for temporary files.
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
