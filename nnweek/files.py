"""Atomic writes (Day 32)."""

import contextlib
import glob
import os
import uuid
from pathlib import Path


@contextlib.contextmanager
def atomic_write(path):
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
