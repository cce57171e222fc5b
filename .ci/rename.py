"""Change the repository's name everywhere, after a fork: `python .ci/rename.py owner/name`.

The name is defined in pyproject.toml. The links that repeat it (Colab, Pages, the first
cell of each notebook) are rewritten, and the notebooks are generated again. Nothing else
changes.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def current_name(root=ROOT):
    """Read owner/name from pyproject.toml."""
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    return re.search(r'^Repository = "https://github\.com/([^"]+)"', text, re.MULTILINE)[1]


def links(name):
    """Return the links that contain the name: on GitHub, on Colab, and the site's address."""
    owner, repository = name.split("/")
    return f"github.com/{name}", f"/github/{name}", f"{owner.lower()}.github.io/{repository}"


def rename(new, root=ROOT):
    """Rewrite the name in every tracked text file; return the files that changed."""
    old_links, new_links = links(current_name(root)), links(new)
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, check=True, capture_output=True, text=True
    ).stdout
    changed = []
    for name in filter(None, tracked.split("\0")):
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
            path.write_bytes(after.encode("utf-8"))
            changed.append(name)
    return changed


if __name__ == "__main__":
    if len(sys.argv) != 2 or not re.fullmatch(
        r"[A-Za-z0-9-]+/(?!\.+$)[A-Za-z0-9._-]+", sys.argv[1]
    ):
        sys.exit("usage: python .ci/rename.py owner/name")
    for name in rename(sys.argv[1]):
        print("rewritten:", name)
    if subprocess.run([sys.executable, ROOT / ".ci" / "sync.py"]).returncode:
        sys.exit(
            "The notebooks still contain the old name: run `make sync` once its errors are fixed."
        )
