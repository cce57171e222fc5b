"""Seeds, the device, and where files are kept."""

import contextlib
import os
import random
import sys
import tempfile
from pathlib import Path

import numpy as np


def set_seed(seed=42):
    """Seed Python, NumPy and, where it is loaded, PyTorch. Introduced on Day 31.

    PyTorch is left out while nobody has imported it, so that the NumPy days
    need not have it; import torch first, then call this.

    Args:
        seed: a whole number from 0 to 2³² − 1 (NumPy's range).

    Raises:
        TypeError, ValueError: if `seed` is not such a number.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"seed must be a whole number, got {seed!r} ({type(seed).__name__})")
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed must lie in 0 … 2**32 - 1, got {seed}")
    seed = int(seed)
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

    It is `NNWEEK_DATA` where that is set, else `nnweek` in the user's cache folder
    (`XDG_CACHE_HOME`, by default `~/.cache`), else, for a user without a home, in the
    folder for temporary files.
    """
    chosen = os.environ.get("NNWEEK_DATA")
    if chosen:
        return Path(chosen).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    if cache:
        return Path(cache) / "nnweek"
    try:
        return Path.home() / ".cache" / "nnweek"
    except RuntimeError:  # no home folder
        return Path(tempfile.gettempdir()) / "nnweek"


@contextlib.contextmanager
def whole_file(path):
    """Open a binary file that will stand under `path` whole, or not at all.

    What is written goes to a temporary file beside it, which takes the name only
    when it is complete: nobody ever reads half a file, whoever else writes it too.

    Raises:
        OSError: if the folder cannot be made or written to, or the disk is full.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
