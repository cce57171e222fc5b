"""Change the repository's name everywhere, after a fork: `python .ci/rename.py owner/name`.

The name is defined in pyproject.toml. The links that repeat it (Colab, Pages, the first
cell of each notebook) are rewritten, and the notebooks are generated again. Nothing else
changes.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # a new fork can be renamed before anything is installed

from nnweek import _console  # noqa: E402
from nnweek.files import atomic_write  # noqa: E402


def current_name(root=ROOT):
    """Read owner/name from pyproject.toml."""
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    return re.search(r'^Repository = "https://github\.com/([^"]+)"', text, re.MULTILINE)[1]


def links(name):
    """Return the links that contain the name: on GitHub, on Colab, and the site's address."""
    owner, repository = name.split("/")
    return f"github.com/{name}", f"/github/{name}", f"{owner.lower()}.github.io/{repository}"


def tracked(root):
    """Return the files that git tracks; `pyproject.toml`, which defines the name, is the last."""
    command = ["git", "ls-files", "-z"]
    try:
        listed = subprocess.run(command, cwd=root, check=True, capture_output=True).stdout
    except (OSError, subprocess.CalledProcessError):  # no git, or a ZIP
        listed = b""
    names = [os.fsdecode(name) for name in listed.split(b"\0") if name]
    if "pyproject.toml" not in names:  # as in a ZIP inside another repository
        sys.exit("Nothing was renamed: run this with git installed, in a clone of your fork.")
    return sorted(names, key="pyproject.toml".__eq__)


def rename(new, root=ROOT):
    """Rewrite the name in every tracked text file; yield the files that changed."""
    old_links, new_links = links(current_name(root)), links(new)
    for name in tracked(root):
        path = root / name
        if path.is_symlink() or not path.is_file() or path.suffix == ".ipynb":
            continue
        try:
            before = path.read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            continue
        after = before
        for old_link, new_link in zip(old_links, new_links, strict=True):
            # Complete names only: "me/week" must not match in "me/week-2".
            complete = re.escape(old_link) + r"(?![\w-]|\.(?!git\b)\w)"
            after = re.sub(complete, lambda _, link=new_link: link, after)
        if after != before:
            try:
                with atomic_write(path) as file:
                    file.write(after.encode("utf-8"))
            except OSError as error:
                sys.exit(
                    f"{name} could not be written ({error.strerror}), so some files contain the "
                    "old name. Solve this, then run the same command again."
                )
            yield name


if __name__ == "__main__":
    if len(sys.argv) != 2 or not re.fullmatch(
        r"[A-Za-z0-9-]+/(?!\.+$)[A-Za-z0-9._-]+", sys.argv[1]
    ):
        sys.exit("usage: python .ci/rename.py owner/name")
    _console.make_tolerant()
    for name in rename(sys.argv[1]):
        print("rewritten:", name)
    if subprocess.run([sys.executable, ROOT / ".ci" / "sync.py"]).returncode:
        sys.exit(
            "The notebooks still contain the old name: run `make sync` once its errors are fixed."
        )
