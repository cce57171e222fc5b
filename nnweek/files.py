"""Atomic file writes, for checkpoints (Day 32), MNIST's files and a learner's progress."""

import contextlib
import glob
import os
import uuid
from pathlib import Path


@contextlib.contextmanager
def atomic_write(path):
    """Write a file atomically: `path` ends up complete or untouched. Introduced on Day 32.

    The content goes to a temporary file in the same folder, which takes the name `path`
    once it is complete. So no reader ever sees half a file, even if several processes
    write it at once. A writer that is killed leaves its temporary file behind; the next
    writer deletes those that are older than an hour.

    Args:
        path: the file; its folder is created if necessary.

    Yields:
        A binary file object to write to.

    Raises:
        OSError: if the folder cannot be created or written to, or the disk is full.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp would create the file with owner-only permissions.
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
    """Delete the temporary files of killed writers, which would fill up the disk.

    `now` is the time of the file system, which may differ from this machine's.
    """
    for leftover in path.parent.glob(f".{glob.escape(path.name)}-*.part"):
        with contextlib.suppress(OSError):
            if now - leftover.stat().st_mtime > 3600:  # no running writer takes an hour
                leftover.unlink()
