"""Seeds, the device, and where files are kept."""

import contextlib
import glob
import os
import random
import sys
import tempfile
import uuid
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


@contextlib.contextmanager
def whole_file(path):
    """Open a binary file that will stand under `path` whole, or not at all.

    What is written goes to a temporary file beside it, which takes the name only
    when it is complete: nobody ever reads half a file, whoever else writes it too.
    A writer that was killed leaves its temporary file; one that is older than an hour
    is deleted. Introduced on Day 32.

    Raises:
        OSError: if the folder cannot be made or written to, or the disk is full.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not by mkstemp: that would keep the file from all who share the folder.
    temporary = path.parent / f".{path.name}-{uuid.uuid4().hex}.part"
    try:
        with open(temporary, "xb") as file:
            _delete_leftovers(path, os.fstat(file.fileno()).st_mtime)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _delete_leftovers(path, now):
    """Delete the temporary files of killed writers: the disk would fill up with them.

    `now` is the disk's own time, not this machine's, which may be another.
    """
    for left in path.parent.glob(f".{glob.escape(path.name)}-*.part"):
        with contextlib.suppress(OSError):
            if now - left.stat().st_mtime > 3600:  # no living writer takes that long
                left.unlink()
