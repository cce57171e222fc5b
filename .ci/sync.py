"""Keep every notebooks/day-NN-….py and the .ipynb beside it in step (`make sync`).

The *content* of a cell is its type, source, tags, `mystnb` and attachments; outputs, ids and all
other metadata do not count. A generated notebook records the content that it was generated from
(`nnweek.source` in its metadata), which tells which side of a pair has changed since:

- only the .py: the .ipynb is generated again; cells with the same source keep their outputs.
- only the .ipynb: the .py is written from it. The notebook may be open in an editor, so it is left
  as it is, with the old record; `.last-sync.json` remembers what both files then contained.
- both, or one that cannot be read: nothing is written, and the status is 1.

`--build` (for `make book` and the like) writes no .py, and no notebook that somebody has run or
saved. `--clean` also drops the outputs of notebooks that are in step, to commit them. `--check`
writes nothing and fails if a notebook is not exactly what its .py gives.
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
KEPT = ("tags", "mystnb")  # the metadata of a cell that is written to the .py


class Refused(Exception):
    """A pair is left as it is; the message says why and what to do."""


def content(cell):
    """Return what a cell has in both files of a pair: type, source, metadata and attachments."""
    source = cell.source.replace("\r\n", "\n")
    source = source.strip("\n") if source.strip() else ""  # as jupytext gives it back
    metadata = {key: cell.metadata[key] for key in KEPT if cell.metadata.get(key)}
    return [cell.cell_type, source, metadata, cell.get("attachments") or {}]


def digest(cells):
    """Return a short hash of the content of cells."""
    contents = json.dumps([content(cell) for cell in cells], sort_keys=True)
    return hashlib.sha256(contents.encode()).hexdigest()[:16]


def bare(cell):
    """Return a new cell with only the content of a cell."""
    kind, source, metadata, attachments = content(cell)
    new = getattr(nbformat.v4, f"new_{kind}_cell")(source, metadata=metadata)
    if attachments:
        new.attachments = attachments
    return new


def read(path):
    r"""Return a file's bytes, with \n as line ends, or None if it does not exist."""
    return path.read_bytes().replace(b"\r\n", b"\n") if path.exists() else None


def parse(name, raw):
    """Return the notebook of a .py's or .ipynb's bytes."""
    if re.search(rb"^(<<<<<<<|>>>>>>>) ", raw, re.MULTILINE):
        raise Refused(f"{name} holds an unfinished git merge: finish it, then run `make sync`.")
    try:
        text = raw.decode("utf-8-sig")
        if name.endswith(".py"):
            notebook = jupytext.reads(text, "py:percent")
        elif json.loads(text)["nbformat"] == 4:
            notebook = nbformat.v4.reads(text)
        else:
            raise ValueError("an old notebook format")
        if not any(bare(cell).source for cell in notebook.cells):
            raise ValueError("no cells")
    except Exception as error:  # whatever a damaged file causes
        if name.endswith(".py"):
            fix = "save it as UTF-8 text, or restore it with `git checkout`"
        else:
            fix = "rename it, then `make sync` writes a new one"
        raise Refused(f"{name} cannot be read ({error}): {fix}.") from error
    return notebook


def carry(cells, old_cells, keys):
    """Copy `keys` and the other metadata from the old cells with the same type and source."""
    spare = collections.defaultdict(list)
    for old in old_cells:
        spare[tuple(content(old)[:2])].append(old)
    for cell in cells:
        if same := spare[tuple(content(cell)[:2])]:
            old = same.pop(0)
            merged = {**old.metadata, **cell.metadata}.items()  # in the old order
            cell.metadata = {k: v for k, v in merged if k in cell.metadata or k not in KEPT}
            cell.update({key: old[key] for key in keys if key in old})


def generate(source, old=None):
    """Return the bytes of the notebook that a .py gives; `old` is the notebook as it was."""
    cells = [bare(cell) for cell in source.cells]
    counts = collections.Counter()
    for cell in cells:  # ids from the content: a cell inserted above changes none of them
        name = digest([cell])[:8]
        counts[name] += 1
        cell.id = name if counts[name] == 1 else f"{name}-{counts[name]}"
    metadata = {k: v for k, v in source.metadata.items() if k == "kernelspec"}
    if old:
        carry(cells, old.cells, ("outputs", "execution_count"))
        metadata.update({k: v for k, v in old.metadata.items() if k != "jupytext"})
    # The line of "version" keeps git from a conflict with metadata that an editor adds below.
    metadata["nnweek"] = {"source": digest(cells), "version": 1}
    parts = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return (nbformat.v4.writes(nbformat.from_dict(parts)) + "\n").encode()


def write_back(notebook, old, name):
    """Return the bytes of the .py that gives this notebook; `old` is the .py as it was."""
    cells = [bare(cell) for cell in notebook.cells]
    carry(cells, old.cells, ("source",))
    filters = {"cell_metadata_filter": "all", "notebook_metadata_filter": "all,-jupytext"}
    metadata = {**old.metadata, "jupytext": filters}
    text = jupytext.writes(nbformat.v4.new_notebook(cells=cells, metadata=metadata), "py:percent")
    got = [content(cell) for cell in jupytext.reads(text, "py:percent").cells]
    for number, cell in enumerate(map(content, notebook.cells)):
        if got[number : number + 1] != [cell]:
            why = "has an attached image" if cell[3] else "cannot be written to a .py as it is"
            start = next(iter(cell[1].splitlines()), "")
            raise Refused(f"{name}: the cell that begins with {start!r} {why}; change that cell.")
    return text.encode()


def base_in_git(paths):
    """Return the digest of a pair in git's HEAD, or None if it is not there or not in step."""
    try:
        found = set()
        for path in paths:
            command = ["git", "show", f"HEAD:./{path.name}"]
            ran = subprocess.run(command, cwd=path.parent, check=True, capture_output=True)
            found.add(digest(parse(path.name, ran.stdout).cells))
    except (OSError, Refused, subprocess.CalledProcessError):
        return None
    return found.pop() if len(found) == 1 else None


def side_that_changed(paths, digests, origin, last):
    """Return which file of a pair must be written to the other: 0 for the .py, 1 for the .ipynb.

    A file is unchanged if it is what the notebook was generated from (`origin`), or what both
    were after the last sync of this notebook. If that settles nothing, git does: a file that
    is as in HEAD can be overwritten, because git keeps it.
    """
    unchanged = [found == origin or last == [origin, found] for found in digests]
    if sum(unchanged) != 1:
        base = base_in_git(paths)
        unchanged = [found == base for found in digests]
    if sum(unchanged) == 1:
        return unchanged.index(False)
    py, ipynb = (path.name for path in paths)
    raise Refused(
        f"{py} and {ipynb} differ, and both have changed since they were last the same, so neither "
        "was written. Rename the notebook: `make sync` then writes a new one, into which you can "
        f"copy your cells. To drop the changes of the .py instead: `git checkout {py}`."
    )


def replace(path, new, old):
    """Write a file, unless somebody has saved it since it was read as `old`."""
    windows = path.suffix == ".py" and b"\r\n" in path.read_bytes()
    with atomic_write(path) as file:
        file.write(new.replace(b"\n", b"\r\n") if windows else new)
        if read(path) != old:
            raise Refused(f"{path.name} was saved just now: run `make sync` again.")


def sync(py, last_sync, build=False):
    """Bring one .py and its .ipynb in step; return what was done, in words, or None.

    `last_sync` has [origin, content of both files] of each notebook, as digests.
    """
    ipynb = py.with_suffix(".ipynb")
    raw, old_raw = read(py), read(ipynb)
    source = parse(py.name, raw)
    if old_raw is None:
        replace(ipynb, generate(source), None)
        return f"{ipynb.name}: written from the .py"
    old = parse(ipynb.name, old_raw)
    ours, theirs, done = digest(source.cells), digest(old.cells), None
    record = old.metadata.get("nnweek")
    origin = record.get("source") if isinstance(record, dict) else None
    if ours != theirs:
        last = last_sync.get(ipynb.name)
        if side_that_changed((py, ipynb), (ours, theirs), origin, last) == 0:
            if build and old_raw != generate(old):
                raise Refused(
                    f"{py.name} is newer than {ipynb.name}, which somebody has run or saved. "
                    "`make sync` updates it and keeps the outputs of cells that did not change."
                )
            replace(ipynb, generate(source, old), old_raw)
            origin, theirs = ours, ours
            done = f"{ipynb.name}: written from the .py"
        elif build:
            return f"{ipynb.name}: edited, used as it is (`make sync` carries it to the .py)"
        else:
            replace(py, write_back(old, source, ipynb.name), raw)
            done = f"{py.name}: written from the notebook"
    if not build:
        last_sync[ipynb.name] = [origin, theirs]
    return done


def clean(py):
    """Drop the outputs of a notebook that is in step with its .py."""
    ipynb = py.with_suffix(".ipynb")
    raw = read(ipynb)
    source, old = parse(py.name, read(py)), parse(ipynb.name, raw)
    if raw != generate(source) and digest(source.cells) == digest(old.cells):
        replace(ipynb, generate(source), raw)
        return f"{ipynb.name}: written without outputs"
    return None


def check(py):
    """Refuse a notebook that is not exactly what its .py gives."""
    ipynb = py.with_suffix(".ipynb")
    if read(ipynb) != generate(parse(py.name, read(py))):
        raise Refused(
            f"{ipynb.name} is not exactly what {py.name} gives. `make sync` loses nothing; "
            "CONTRIBUTING.md, *Change a page*, says more."
        )


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    modes = parser.add_mutually_exclusive_group()
    for mode, purpose in {
        "check": "write nothing; fail if a notebook is not exactly what its .py gives",
        "build": "write only notebooks that nobody has run or saved",
        "clean": "also drop the outputs of notebooks that are in step",
    }.items():
        modes.add_argument(f"--{mode}", action="store_true", help=purpose)
    parser.add_argument("folder", nargs="?", type=Path, default=NOTEBOOKS)
    chosen = parser.parse_args(arguments)
    memory = chosen.folder / ".last-sync.json"
    last_sync, status, said = {}, 0, False
    with contextlib.suppress(OSError, TypeError, ValueError):
        last_sync.update(json.loads(memory.read_text(encoding="utf-8")))
    before = dict(last_sync)
    for py in sorted(chosen.folder.glob("day-[0-9][0-9]-*.py")):
        try:
            if chosen.check:
                check(py)
                continue
            done = sync(py, last_sync, chosen.build)
            if chosen.clean:
                done = clean(py) or done
        except (Refused, OSError) as error:
            done, status = f"Not synced: {error}", 1
        if done:
            print(done)
            said = True
    if last_sync != before:
        # Without this memory, a notebook that is edited again after a sync stops the next one.
        with contextlib.suppress(OSError), atomic_write(memory) as file:
            file.write(json.dumps(last_sync, indent=1).encode())
    for stray in sorted(chosen.folder.glob("*.ipynb")):
        if not stray.with_suffix(".py").exists():
            print(f"{stray.name}: passed over, because it has no .py")
    if not said:
        print("Every day's notebook is in step with its .py.")
    return status


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")  # the console may lack a character
    sys.exit(main())
