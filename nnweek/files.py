"""File writes that lose nothing: atomic ones, and a generated block in a person's file."""

import contextlib
import glob
import os
import shutil
import uuid
from pathlib import Path

BLOCK = (
    "<!-- Day 35 writes from here to the end mark; the text around it is yours. -->",
    "<!-- The end mark. -->",
)


@contextlib.contextmanager
def atomic_write(path):
    """Write a file atomically: `path` ends up complete or untouched. Introduced on Day 32.

    The content goes to a temporary file in the same folder, which takes the name `path`
    once it is complete. So no reader ever sees half a file, even if several processes
    write it at once. A writer that is killed leaves its temporary file behind; the next
    writer deletes those that are older than an hour. An existing file keeps its permissions.

    Args:
        path: the file, or a link to it, which stays a link; its folder is created if necessary.

    Yields:
        A binary file object to write to.

    Raises:
        OSError: if the folder cannot be created or written to, or the disk is full.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp would create the file with owner-only permissions.
    temporary = path.parent / f".{path.name}-{uuid.uuid4().hex}.part"
    try:
        with open(temporary, "xb") as file:
            with contextlib.suppress(OSError):  # a new file, or a disk without permissions
                shutil.copymode(path, temporary)
            _delete_leftovers(path, os.fstat(file.fileno()).st_mtime)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def write_block(path, text, after=""):
    """Write a generated block into a text file; keep the text around it. Introduced on Day 35.

    The block lies between two comment lines, by which it is found and replaced the next time.
    A file without them was written by somebody else and is not touched, nor is one with a start
    mark before the end mark of the first block: the block goes to a new file beside it, such as
    `report-2.md`.

    Args:
        path: the file; it is created if it does not exist.
        text: the block, without the comment lines.
        after: what follows the block in a new file.

    Returns:
        The path of the file that was written.

    Raises:
        OSError: if the file cannot be read or written.
    """
    path = Path(path)
    start, end = BLOCK
    block, number = f"{start}\n{text.rstrip()}\n{end}", 2
    target, content = path, f"{block}\n{after}"
    while target.exists():
        # Bytes that are not UTF-8 and all line ends come back as they were.
        old = b"" if target.is_dir() else target.read_bytes()
        before, found, rest = old.decode("utf-8", "surrogateescape").partition(start)
        inside, closed, rest = rest.partition(end)
        if found and closed and start not in inside:
            content = f"{before}{block}{rest}"
            break
        target, number = path.with_stem(f"{path.stem}-{number}"), number + 1
    with atomic_write(target) as file:
        file.write(content.encode("utf-8", "surrogateescape"))
    return target


def _delete_leftovers(path, now):
    """Delete the temporary files of killed writers, which would fill up the disk.

    `now` is the time of the file system, which may differ from this machine's.
    """
    for leftover in path.parent.glob(f".{glob.escape(path.name)}-*.part"):
        with contextlib.suppress(OSError):
            if now - leftover.stat().st_mtime > 3600:  # no running writer takes an hour
                leftover.unlink()
