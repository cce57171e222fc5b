"""Keep every notebooks/day-NN-….py and the .ipynb beside it in step (`make sync`).

The *content* of a day is the type, source, tags and `mystnb` of its cells; outputs, ids and all
other metadata do not count. A generated notebook records the content that it was generated from
(`nnweek.source` in its metadata), so it is clear which side of a pair has changed since:

- only the .py: the .ipynb is generated again; cells with the same source keep their outputs.
- only the .ipynb: the .py is written from it, and the notebook stays as it is.
- both, or one that cannot be read: nothing is written, and the status is 1.

`--build` (for `make book` and the like) writes no .py, and no notebook that somebody has run or
saved. `--clean` also removes the outputs of notebooks that are in step, before a commit. `--check`
writes nothing and fails if a notebook is not exactly what its .py generates.
"""

import argparse
import collections
import contextlib
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat

from nnweek.files import atomic_write

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
CELL_METADATA = ("tags", "mystnb")  # what is written to the .py of a cell's metadata


class Refused(Exception):
    """A pair stays as it is; the message says why and what to do."""


def metadata_of(cell):
    """Return the metadata that belongs to the content of a cell."""
    return {key: cell.metadata[key] for key in CELL_METADATA if cell.metadata.get(key)}


def text_of(cell):
    """Return the type and the source of a cell, as jupytext returns them after a round trip."""
    source = cell.source.replace("\r\n", "\n")
    return [cell.cell_type, source.strip("\n") if source.strip() else ""]


def content(cells):
    """Return what must be the same in both files of a pair."""
    return [[*text_of(cell), metadata_of(cell), cell.get("attachments") or {}] for cell in cells]


def digest(value):
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def parse(name, raw):
    """Parse the bytes of a .py or an .ipynb; return the notebook."""
    if re.search(rb"^(<<<<<<<|>>>>>>>) ", raw, re.MULTILINE):
        raise Refused(f"{name} holds an unfinished git merge: finish it, then run `make sync`.")
    try:
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
        if name.endswith(".py"):
            notebook = jupytext.reads(text, "py:percent")
        elif json.loads(text)["nbformat"] == 4:
            notebook = nbformat.v4.reads(text)
        else:
            raise ValueError("an old notebook format")
        if not any(cell.source for cell in bare(notebook)):
            raise ValueError("no cells")
    except Exception as error:  # whatever a damaged file causes
        if name.endswith(".py"):
            fix = "save it as UTF-8 text, or restore it with `git checkout`"
        else:
            fix = "rename it, and run `make sync` to write a new one"
        raise Refused(f"{name} cannot be read ({error}): {fix}.") from error
    return notebook


def carry(cells, old_cells, keys):
    """Copy `keys` and the other metadata from the old cells with the same type and source."""
    spare = collections.defaultdict(list)
    for old in old_cells:
        spare[digest(text_of(old))].append(old)
    for cell in cells:
        if same := spare[digest(text_of(cell))]:
            old = same.pop(0)
            merged = {**old.metadata, **cell.metadata}.items()  # in the old order
            cell.metadata = {
                k: v for k, v in merged if k in cell.metadata or k not in CELL_METADATA
            }
            cell.update({key: old[key] for key in keys if key in old})


def bare(notebook):
    """Return new cells with the content of a notebook's cells."""
    make = {kind: getattr(nbformat.v4, f"new_{kind}_cell") for kind in ("code", "markdown", "raw")}
    cells = []
    for kind, source, metadata, attachments in content(notebook.cells):
        cells.append(make[kind](source, metadata=nbformat.from_dict(metadata)))
        if attachments:
            cells[-1].attachments = attachments
    return cells


def generate(source, old=None):
    """Return the text of the notebook that a .py generates; `old` is the current notebook."""
    cells = bare(source)
    counts = collections.Counter()
    for cell in cells:  # ids depend on the content: inserting a cell above changes none of them
        name = digest(content([cell]))[:8]
        counts[name] += 1
        cell.id = name if counts[name] == 1 else f"{name}-{counts[name]}"
    metadata = {k: v for k, v in source.metadata.items() if k == "kernelspec"}
    if old:
        carry(cells, old.cells, ("outputs", "execution_count"))
        metadata.update({k: v for k, v in old.metadata.items() if k != "jupytext"})
    # The "version" line avoids a git conflict with metadata that an editor adds below.
    metadata["nnweek"] = {"source": digest(content(source.cells)), "version": 1}
    parts = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return nbformat.v4.writes(nbformat.from_dict(parts)) + "\n"


def write_back(notebook, old, name):
    """Return the text of the .py that generates this notebook; `old` is the current .py."""
    cells = bare(notebook)
    carry(cells, old.cells, ("source",))
    filters = {"cell_metadata_filter": "all", "notebook_metadata_filter": "all,-jupytext"}
    metadata = {**old.metadata, "jupytext": filters}
    new = nbformat.v4.new_notebook(cells=cells, metadata=nbformat.from_dict(metadata))
    text = jupytext.writes(new, "py:percent")
    got = content(jupytext.reads(text, "py:percent").cells)
    for number, cell in enumerate(content(notebook.cells)):
        if got[number : number + 1] != [cell]:
            why = "has an attached image" if cell[3] else "cannot be written to a .py as it is"
            start = next(iter(cell[1].splitlines()), "")
            raise Refused(f"{name}: the cell that begins with {start!r} {why}; change that cell.")
    return text


def base_in_git(folder, names):
    """Return the digest of a pair in git's HEAD, or None if it is not there or not in step."""
    found = []
    for name in names:
        with contextlib.suppress(OSError, Refused, subprocess.CalledProcessError):
            shown = ["git", "show", f"HEAD:./{name}"]
            raw = subprocess.run(shown, cwd=folder, check=True, capture_output=True).stdout
            found.append(digest(content(parse(name, raw).cells)))
    return found[0] if len(found) == 2 and found[0] == found[1] else None


def changed(folder, names, digests, origin, synced):
    """Return which side of a pair has changed, 0 for the .py and 1 for the .ipynb.

    `origin` is the content that the notebook was generated from. `synced` has [origin, content] of
    each notebook that was edited and in step with its .py at the last sync. If these do not
    decide, git does: a side that is the same in HEAD can be overwritten, because git has a copy.
    """

    def winners(bases):
        return {1 - side for side in (0, 1) if digests[side] in bases}

    last = synced.get(names[1], [])
    found = winners([origin, *(last[1:] if last[:1] == [origin] else [])])
    if len(found) != 1:
        found = winners([base_in_git(folder, names)])
    if len(found) == 1:
        return found.pop()
    py, ipynb = names
    raise Refused(
        f"{py} and {ipynb} differ, and both have changed since they last matched, so neither was "
        "written. Rename the notebook and run `make sync` to write a new one, then copy your cells "
        f"into it. To discard the changes in the .py instead: `git checkout {py}`."
    )


def replace(path, text, raw):
    """Write a file, unless somebody has saved it since it was read as `raw`."""
    newline = "\r\n" if path.suffix == ".py" and b"\r\n" in (raw or b"") else "\n"
    with atomic_write(path) as file:
        file.write(text.replace("\n", newline).encode())
        if (path.read_bytes() if path.exists() else None) != raw:
            raise Refused(f"{path.name} was saved just now. Run `make sync` again.")


def sync(path, mode, synced):
    """Bring one .py and its .ipynb in step; return a message that says what was done, or None."""
    target = path.with_suffix(".ipynb")
    raw, old_raw = path.read_bytes(), target.read_bytes() if target.exists() else None
    source = parse(path.name, raw)
    fresh, ours = generate(source), digest(content(source.cells))
    if mode == "check":
        if (old_raw or b"").replace(b"\r\n", b"\n") != fresh.encode():
            raise Refused(
                f"{target.name} is not exactly what {path.name} generates. Run `make sync`, which "
                "never loses an edit; see *Change a page* in CONTRIBUTING.md."
            )
        return None
    if old_raw is None:
        replace(target, fresh, None)
        return f"{target.name}: written from the .py"
    old = parse(target.name, old_raw)
    theirs, done = digest(content(old.cells)), None
    record = old.metadata.get("nnweek")
    origin = record.get("source") if isinstance(record, dict) else None
    if ours != theirs:
        side = changed(path.parent, (path.name, target.name), (ours, theirs), origin, synced)
        untouched = generate(old).encode() == old_raw.replace(b"\r\n", b"\n")
        if side == 0 and mode == "build" and not untouched:
            raise Refused(
                f"{path.name} is newer than {target.name}, which has been run or saved. "
                "Run `make sync`, which updates it and keeps the outputs of unchanged cells."
            )
        if side == 0:
            replace(target, generate(source, old), old_raw)
            synced.pop(target.name, None)
            return f"{target.name}: written from the .py"
        if mode == "build":
            return f"{target.name}: edited, used as it is (`make sync` copies the edits to the .py)"
        text = write_back(old, source, target.name)
        replace(path, text, raw)
        fresh = generate(parse(path.name, text.encode()))
        done = f"{path.name}: written from the notebook"
    if mode == "clean" and old_raw != fresh.encode():
        replace(target, fresh, old_raw)
        synced.pop(target.name, None)
        return f"{target.name}: written without outputs"
    if mode is None and origin != theirs:
        synced[target.name] = [origin, theirs]
    return done


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    modes = parser.add_mutually_exclusive_group()
    for mode, purpose in {
        "check": "write nothing; fail if a notebook is not exactly what its .py generates",
        "build": "write only notebooks that have not been run or saved",
        "clean": "also remove the outputs of notebooks that are in step",
    }.items():
        modes.add_argument(f"--{mode}", dest="mode", action="store_const", const=mode, help=purpose)
    parser.add_argument("folder", nargs="?", type=Path, default=NOTEBOOKS)
    chosen = parser.parse_args(arguments)
    record = chosen.folder / ".last-sync.json"
    synced = {}
    with contextlib.suppress(OSError, TypeError, ValueError):
        synced.update(json.loads(record.read_text(encoding="utf-8")))
    before, status, reported = dict(synced), 0, False
    for path in sorted(chosen.folder.glob("day-[0-9][0-9]-*.py")):
        try:
            done = sync(path, chosen.mode, synced)
        except (Refused, OSError) as error:
            done, status = f"Not synced: {error}", 1
        if done:
            print(done)
            reported = True
    if synced != before:
        # Without this record, sync would refuse a notebook that is edited again after a sync.
        with contextlib.suppress(OSError), atomic_write(record) as file:
            file.write(json.dumps(synced, indent=1).encode())
    for stray in sorted(chosen.folder.glob("*.ipynb")):
        if not stray.with_suffix(".py").exists():
            print(f"{stray.name}: passed over, because it has no .py")
    if not reported:
        print("Every day's notebook is in step with its .py.")
    return status


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")  # the console may not support every character
    sys.exit(main())
