"""Generate notebooks/*.ipynb from the .py beside each of them.

`python .ci/sync.py` writes the notebooks; with `--check` it writes nothing and
fails if one of them is not what its source gives.
"""

import sys
from pathlib import Path

import jupytext
import nbformat

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


def generate(source):
    """Return the notebook of a py:percent file as text, the same at every call."""
    notebook = jupytext.read(source)
    notebook.metadata.pop("jupytext", None)  # says which jupytext wrote it, which is nobody's news
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:03}"  # jupytext draws ids at random
    nbformat.validate(notebook)
    return nbformat.writes(notebook, version=4) + "\n"


def main(check):
    stale = []
    for source in sorted(NOTEBOOKS.glob("day-*.py")):
        target, text = source.with_suffix(".ipynb"), generate(source)
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            stale.append(target.name)
            if not check:
                target.write_text(text, encoding="utf-8", newline="\n")
    if stale and check:
        sys.exit(f"not what their .py gives: {', '.join(stale)}; run `make sync`")
    print("written: " + ", ".join(stale) if stale else "every notebook is what its .py gives")


if __name__ == "__main__":
    main(check="--check" in sys.argv[1:])
