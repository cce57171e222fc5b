"""The execution cache: no output on a page is older than the code, data and libraries behind it.

Jupyter Book's cache only knows the code cells of one notebook, so it would keep outputs that
a change of the package, the data, a library or another day's notebook has made stale. This
extension names the cache's folder after all of these: if one of them changes, the cache
starts empty and every notebook runs again.
"""

import hashlib
import json
import os
import re
import shutil
import sys
from importlib import metadata
from pathlib import Path

from sphinx.errors import ExtensionError
from sphinx_external_toc.parsing import parse_toc_yaml

from nnweek.mnist import load_mnist
from nnweek.runtime import get_device

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = ("numpy", "torch", "torchvision", "scikit-learn", "matplotlib", "tensorboard")
CODE_CELL = re.compile(r"^```\{code-cell\}.*?^```", re.M | re.S)  # of a page in Markdown


def setup(app):
    app.connect("config-inited", name_cache)
    app.connect("builder-inited", skip_execution_for_linkcheck, priority=400)  # before MyST-NB
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def name_cache(app, config):
    """Use the cache folder of exactly this code, data and machine; delete all others."""
    # Loading the data here also keeps the download's messages off the pages.
    caches = Path(app.outdir).parent / ".jupyter_cache"
    cache = caches / fingerprint(load_mnist().name)
    cache.mkdir(parents=True, exist_ok=True)
    for old in caches.iterdir():
        if old != cache:
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    config.nb_execution_cache_path = str(cache)
    # The days pass their results on within this cache, not through the reader's own file.
    os.environ["NNWEEK_RESULTS"] = str(cache / "results.jsonl")
    os.environ["NNWEEK_STRICT"] = "1"  # what the text says must hold
    os.environ["TQDM_DISABLE"] = "1"  # a finished progress bar tells a reader nothing
    os.environ["NNWEEK_BOOK"] = ".."  # from a day's page to the others


def skip_execution_for_linkcheck(app):
    """Run no notebook for `--builder linkcheck`, which only reads their text."""
    if app.builder.name == "linkcheck":
        app.config.nb_execution_mode = "off"


def fingerprint(dataset):
    """Return a short name for everything that the outputs of the pages depend on.

    Only files that the table of contents lists count, so another notebook in the folder
    neither stops a build nor starts the cache over.
    """
    digest = hashlib.sha256()
    package = (ROOT / "nnweek").rglob("*")
    for path in sorted(path for path in package if path.suffix in (".py", ".png")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(ROOT)} {len(content)}\n".encode() + content)
    for page in parse_toc_yaml(ROOT / "_toc.yml"):
        text = ROOT / "book" / f"{page}.md"
        code = CODE_CELL.findall(text.read_text("utf-8")) if text.exists() else code_cells(page)
        digest.update(json.dumps([page, code]).encode())
    versions = [metadata.version(library) for library in LIBRARIES]
    digest.update(repr((sys.version, versions, dataset, str(get_device()))).encode())
    return digest.hexdigest()[:16]


def code_cells(page):
    """Return (source, metadata) of a notebook's code cells; stop the build if it is damaged."""
    file = f"{page}.ipynb"
    try:
        cells = json.loads((ROOT / file).read_text(encoding="utf-8"))["cells"]
        return [(c["source"], c["metadata"]) for c in cells if c["cell_type"] == "code"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ExtensionError(
            f"{file} cannot be read as a notebook ({reason}); if it holds work of yours, copy it"
            f" elsewhere, then restore it with `git restore {file}`."
        ) from None
