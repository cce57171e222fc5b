"""Keep every notebooks/day-NN-….py and the .ipynb beside it in step (`make sync`).

The *content* of a cell is its type, source, tags, `mystnb` and attachments; outputs, ids and all
other metadata do not count. A generated notebook records the content that it was generated from
(`nnweek.source` in its metadata), which tells which side of a pair has changed since:

- only the .py: the .ipynb is generated again; cells with the same source keep their outputs.
- only the .ipynb: the .py is written from it. The notebook may be open in an editor, so it is left
  as it is, with the old record; `.last-sync.json` remembers what both files then contained.
- both, or one that was set back, is older than the last commit or cannot be read: nothing is
  written, and the status is 1.

`--build` (for `make book` and the like) writes no .py, and no notebook that somebody has run or
saved. `--clean` also drops the outputs of notebooks that are in step, to commit them. `--check`
writes nothing and fails if a notebook is not exactly what its .py gives.
"""

import argparse
import collections
import contextlib
import difflib
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

# Importing nbformat would compile 38 grammars that check internationalised web addresses, for more
# than a second. No field of a notebook is such an address.
sys.modules.setdefault("rfc3987_syntax", None)

import jupytext  # noqa: E402
import nbformat  # noqa: E402

from nnweek._console import make_tolerant  # noqa: E402
from nnweek.files import atomic_write  # noqa: E402

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
KEPT = ("tags", "mystnb")  # the metadata of a cell that is written to the .py
HIDDEN = {"remove-cell", "hide-cell", "hide-input", "remove-input"}  # tags: no code on the page


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
    if re.search(rb"^<{7} .*^={7}$.*^>{7} ", raw, re.MULTILINE | re.DOTALL):
        raise Refused(f"{name} holds an unfinished git merge: finish it, then run `make sync`.")
    try:
        text = raw.decode("utf-8-sig")
        if name.endswith(".py"):
            notebook = jupytext.reads(text, "py:percent")
        elif json.loads(text)["nbformat"] == 4:
            notebook = nbformat.v4.reads(text)
        else:
            raise ValueError("its notebook format is not 4")
        json.dumps(notebook, ensure_ascii=False).encode()  # an error if UTF-8 cannot express it
        cells = [bare(cell) for cell in notebook.cells]
        if not any(cell.source for cell in cells):
            raise ValueError("no cells")
    except Exception as error:  # whatever a damaged file causes
        if name.endswith(".py"):
            fix = "save it as UTF-8 text, or restore an earlier version"
        else:
            fix = "rename it, then `make sync` writes a new one"
        raise Refused(f"{name} cannot be read ({error}): {fix}.") from error
    return notebook


def carry(cells, old_cells, keys):
    """Copy the other metadata of the cells as they were, and `keys` where the text is the same.

    The cell as it was is the one with the same text, or the most similar one in its place.
    """
    old_texts, texts = ([tuple(content(cell)[:2]) for cell in side] for side in (old_cells, cells))
    blocks = difflib.SequenceMatcher(None, old_texts, texts, autojunk=False).get_opcodes()
    before, left = {}, []  # `before` has the index of the old cell for that of the new one
    for kind, start, end, first, last in blocks:
        if kind == "equal":
            before.update(zip(range(first, last), range(start, end), strict=True))
        else:
            left += [(old, range(first, last)) for old in range(start, end)]
    for old, _ in left:  # moved cells
        for new, text in enumerate(texts):
            if text == old_texts[old] and new not in before:
                before[new] = old
                break
    for old, place in left:  # changed cells
        kind, source = old_texts[old]
        free = {texts[new][1]: new for new in place if new not in before and texts[new][0] == kind}
        if free and old not in before.values():
            before[free[difflib.get_close_matches(source, free, n=1, cutoff=0)[0]]] = old
    for new, old in before.items():
        cell, old_cell = cells[new], old_cells[old]
        merged = {**old_cell.metadata, **cell.metadata}.items()  # in the old order
        cell.metadata = {k: v for k, v in merged if k in cell.metadata or k not in KEPT}
        if texts[new] == old_texts[old]:
            cell.update({key: old_cell[key] for key in keys if key in old_cell})


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
    for cell in cells:  # what the page hides or describes, in the words of Jupyter and nbconvert
        if HIDDEN & set(cell.metadata.get("tags", ())) and "jupyter" not in cell.metadata:
            cell.metadata["jupyter"] = {"source_hidden": True}
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt")
        if alt:
            cell.metadata["alt"] = alt
    # The line of "version" keeps git from a conflict with metadata that an editor adds below.
    metadata["nnweek"] = {"source": digest(cells), "version": 1}
    parts = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return (nbformat.v4.writes(nbformat.from_dict(parts)) + "\n").encode()


def write_back(notebook, old, name):
    """Return the bytes of the .py that gives this notebook; `old` is the .py as it was."""
    cells = [bare(cell) for cell in notebook.cells]
    carry(cells, old.cells, ("source",))
    filters = {"cell_metadata_filter": "all", "notebook_metadata_filter": "all,-jupytext"}
    for key in {"executable", "encoding"} & set(old.metadata.get("jupytext", {})):  # first lines
        filters[key] = old.metadata["jupytext"][key]
    metadata = {**old.metadata, "jupytext": filters}
    text = jupytext.writes(nbformat.v4.new_notebook(cells=cells, metadata=metadata), "py:percent")
    got = [content(cell) for cell in jupytext.reads(text, "py:percent").cells]
    for number, cell in enumerate(map(content, notebook.cells)):
        if got[number : number + 1] != [cell]:
            why = "has an attached image" if cell[3] else "cannot be written to a .py as it is"
            start = next(iter(cell[1].splitlines()), "")
            raise Refused(f"{name}: the cell that begins with {start!r} {why}; change that cell.")
    return text.encode()


def origin_of(notebook):
    """Return the digest of what a notebook was generated from, or None if it has no record."""
    record = notebook.metadata.get("nnweek")
    return record.get("source") if isinstance(record, dict) else None


def in_git(path):
    """Return the digests of a file in git's HEAD and of its origin, each None if there is none."""
    command = ["git", "show", f"HEAD:./{path.name}"]
    try:
        ran = subprocess.run(command, cwd=path.parent, check=True, capture_output=True)
        notebook = parse(path.name, ran.stdout)
    except (OSError, Refused, subprocess.CalledProcessError):
        return None, None
    return digest(notebook.cells), origin_of(notebook)


def side_that_changed(paths, digests, origin, last):
    """Return which file of a pair must be written to the other: 0 for the .py, 1 for the .ipynb.

    A file is unchanged if it is what the notebook was generated from (`origin`), or what both
    were after the last sync of this notebook. If neither is, git decides: a file that is as in
    HEAD can be overwritten, because git keeps it. A file that was set back looks like one that
    was edited, but it must not replace what only the other one has.
    """
    names = [path.name for path in paths]
    (py_base, _), (base, base_origin) = map(in_git, paths)
    heads = (py_base, base)
    unchanged = [found == origin or last == [origin, found] for found in digests]
    why = "both have changed since they were last the same"
    if all(unchanged):
        why = "one of them is as it was before they were last the same"
    elif not any(unchanged) and base and base == py_base:
        if origin in (None, base, base_origin):
            unchanged = [found == base for found in digests]
        else:
            why = f"{names[1]} is older than the last commit"
    if sum(unchanged) == 1:
        side = unchanged.index(False)
        if digests[side] != heads[side] or digests[1 - side] == heads[1 - side]:
            return side
        why = f"{names[side]} is as in the last commit"
    edited = [names[side] for side in (0, 1) if digests[side] != heads[side]]
    advice = ""
    if None not in heads and edited and (len(edited) == 1 or origin == py_base):
        advice = f" To drop the changes of {edited[0]} instead: `git checkout {edited[0]}`."
    raise Refused(
        f"{names[0]} and {names[1]} differ, and {why}, so neither was written. Rename the "
        f"notebook: `make sync` then writes a new one, into which you can copy your cells.{advice}"
    )


def replace(path, new, old):
    """Write a file, unless somebody has saved it since it was read as `old`."""
    windows = path.suffix == ".py" and b"\r\n" in path.read_bytes()
    with atomic_write(path) as file:
        file.write(new.replace(b"\n", b"\r\n") if windows else new)
        file.flush()
        os.fsync(file.fileno())  # the slow part, before the comparison
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
    origin = origin_of(old)
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
            new = write_back(old, source, ipynb.name)
            parse(py.name, new)  # refuses what the next sync would refuse
            replace(py, new, raw)
            done = f"{py.name}: written from the notebook"
    if not build:
        last_sync[ipynb.name] = [origin, theirs]
    return done


def metadata_keys(notebook):
    """Return the keys of a notebook's metadata and of its cells'."""
    return set(notebook.metadata).union(*(cell.metadata for cell in notebook.cells))


def clean(py, last_sync):
    """Drop the outputs and the foreign metadata of a notebook that is in step with its .py."""
    ipynb = py.with_suffix(".ipynb")
    raw = read(ipynb)
    source, old = parse(py.name, read(py)), parse(ipynb.name, raw)
    new = generate(source)
    if raw != new and digest(source.cells) == digest(old.cells):
        replace(ipynb, new, raw)
        last_sync[ipynb.name] = [digest(source.cells)] * 2
        dropped = sorted(metadata_keys(old) - metadata_keys(parse(ipynb.name, new)))
        also = f" and this metadata: {', '.join(dropped)}" if dropped else ""
        return f"{ipynb.name}: written without outputs{also}"
    return None


def is_clean(py):
    """Return whether a notebook is exactly what its .py gives."""
    return read(py.with_suffix(".ipynb")) == generate(parse(py.name, read(py)))


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
    last_sync, status, said, unclean = {}, 0, False, []
    with contextlib.suppress(OSError, TypeError, ValueError):
        last_sync.update(json.loads(memory.read_text(encoding="utf-8")))
    before = dict(last_sync)
    for py in sorted(chosen.folder.glob("day-[0-9][0-9]-*.py")):
        try:
            if chosen.check and not is_clean(py):
                raise Refused(
                    f"{py.stem}.ipynb is not exactly what {py.name} gives. `make sync` loses "
                    "nothing, and `python .ci/sync.py --clean` then drops the outputs."
                )
            if chosen.check:
                continue
            done = sync(py, last_sync, chosen.build)
            if chosen.clean:
                done = clean(py, last_sync) or done
            elif not chosen.build and not is_clean(py):
                unclean.append(py.stem)
        except Refused as error:
            done, status = f"Not synced: {error}", 1
        except (OSError, ValueError) as error:
            done, status = f"Not synced: {py.stem}: {error}", 1
        if done:
            print(done)
            said = True
    if last_sync != before:
        # Without this memory, a notebook that is edited again after a sync stops the next one.
        with contextlib.suppress(OSError), atomic_write(memory) as file:
            file.write(json.dumps(last_sync, indent=1).encode())
    for stray in sorted(chosen.folder.glob("*.ipynb")):
        py = stray.with_suffix(".py")
        if not py.exists() and any(in_git(py)):
            print(f"Not synced: {py.name} is missing. To restore it: `git checkout {py.name}`.")
            said, status = True, 1
        elif not py.exists():
            print(f"{stray.name}: passed over, because it has no .py")
    if not said:
        print("Every day's notebook is in step with its .py.")
    if unclean:
        print(
            "To do before a commit: `python .ci/sync.py --clean`, which drops outputs and metadata. "
            f"It changes {', '.join(unclean)}."
        )
    return status


if __name__ == "__main__":
    make_tolerant()
    sys.exit(main())
