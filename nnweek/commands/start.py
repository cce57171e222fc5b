"""A learner's own copies of the seven days (Day 29).

`nnweek start` copies the notebooks into a folder of the learner's own, so that an update of the
course cannot collide with an answer. It creates files and never overwrites one.
"""

import argparse
import contextlib
import json
import os
import re
import sys
import uuid
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
DAY = r"day-\d\d-[a-z0-9-]+\.ipynb"  # not "day-30-….ipynb" with "-Copy1" or " (1)"


def main(arguments=None):
    """Copy the seven notebooks into a folder of your own. Introduced on Day 29.

    Args:
        arguments: the command line without the program's name; by default the real one.

    Returns:
        The exit status: 0 if every day is in the folder, 1 if something could not be copied.
    """
    parser = argparse.ArgumentParser(prog="nnweek start", description=main.__doc__.split(".")[0])
    parser.add_argument(
        "folder", nargs="?", type=Path, help="a new or an existing folder (default: my-week)"
    )
    folder = parser.parse_args(arguments).folder
    source = _notebooks()
    days = sorted(path for path in source.glob("*.ipynb") if re.fullmatch(DAY, path.name))
    if not days:
        print(f"There are no notebooks in {source}: install nnweek again.")
        return 1
    copied, kept, newer, problems = [], [], [], []
    try:
        folder = (folder or _default_folder()).expanduser().absolute()
        if folder.exists() and folder.samefile(source):
            print(f"{folder} is the course's own folder. Choose another one.")
            return 1
        folder.mkdir(parents=True, exist_ok=True)
        for path in days:
            target = folder / path.name
            content, version = _read(path)
            if version is None:
                problems.append(f"{path} is damaged. Restore it, then run this command again.")
            elif _create(target, content):
                copied.append(path.name)
            else:
                kept.append(path.name)
                own = _read(target)[1]
                if own is None:
                    problems.append(f"{target} is damaged. Rename it, then run this command again.")
                elif own and version and own != version:
                    newer.append(path.name)
    except (OSError, RuntimeError) as error:  # the latter for the home of an unknown user
        reason = getattr(error, "strerror", None) or error
        print(f"{folder or 'The current folder'} cannot be used: {reason}.")
        print('Choose another folder: python -m nnweek start "FOLDER"')
        return 1
    try:
        _report(folder, copied, kept, newer, problems)
        print(end="", flush=True)
    except BrokenPipeError:  # a reader such as `head` has ended; Python flushes once more at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1 if problems else 0


def _report(folder, copied, kept, newer, problems):
    print(f"Your folder: {folder}")
    if copied:
        print("Copied:", *copied, sep="\n  ")
    if kept:
        print("Left as they are, because you have them already:", *kept, sep="\n  ")
    if newer:
        print("The course has a newer version of:", *newer, sep="\n  ")
        print("To get it, rename your notebook and run this command again.")
    for problem in problems:
        print(problem)
    print("Open the folder in Jupyter's file browser or in VS Code, or type:")
    print(f'  jupyter lab "{folder}"')
    if "COLAB_RELEASE_TAG" in os.environ and "drive" not in folder.parts:
        print("Colab deletes this folder with its machine. To keep your work, mount your Drive and")
        print("name a folder there: python -m nnweek start /content/drive/MyDrive/my-week")


def _notebooks():
    """Return the folder with the course's notebooks: of the clone, or of the installed package."""
    installed = PACKAGE / "notebooks"
    return installed if installed.is_dir() else PACKAGE.parent / "notebooks"


def _default_folder():
    """Return my-week in the clone if the command is run there, else in the current folder."""
    clone, here = _notebooks().parent, Path.cwd()
    return (clone if clone != PACKAGE and here.is_relative_to(clone) else here) / "my-week"


def _read(path):
    """Return a notebook's bytes and its version, "" if it names none and None if it is damaged."""
    content = path.read_bytes() if path.is_file() else b""
    try:
        notebook = json.loads(content.decode("utf-8-sig"))
        notebook["cells"]
        return content, notebook["metadata"].get("nnweek", {}).get("source", "")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return content, None


def _create(target, content):
    """Write a file that is not there yet, atomically; return whether it was written."""
    if os.path.lexists(target):
        return False
    temporary = target.parent / f".{target.name}-{uuid.uuid4().hex}.part"
    try:
        temporary.write_bytes(content)
        try:
            os.link(temporary, target)  # unlike a renaming, this never replaces a file
        except FileExistsError:
            return False
        except OSError:  # a disk without hard links
            if os.path.lexists(target):
                return False
            os.rename(temporary, target)
        return True
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
