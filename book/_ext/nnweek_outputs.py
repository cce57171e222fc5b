"""Outputs are never older than what made them, and the page *Status* says what that was.

Jupyter Book's cache knows the code cells of one notebook only, so a change in the
package, the data, a library or another day's notebook would leave stale outputs on the
page. Here the folder of the cache is named after all of these: where one of them changes,
the cache starts empty and every notebook runs again.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

from docutils import nodes
from nnweek_mistakes import paragraph
from sphinx.util.docutils import SphinxDirective

from nnweek.mnist import load_mnist
from nnweek.runtime import get_device

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = ("numpy", "torch", "torchvision", "scikit-learn", "matplotlib", "tensorboard")


def setup(app):
    app.connect("config-inited", name_the_cache)
    app.connect("builder-inited", run_nothing_for_links, priority=400)  # before MyST-NB looks
    app.add_directive("build-status", BuildStatus)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def name_the_cache(app, config):
    """Point the execution cache at the folder for exactly this code, data and machine."""
    # Fetching the data here also keeps the download's messages off the pages.
    caches = Path(app.outdir).parent / ".jupyter_cache"
    cache = caches / fingerprint(load_mnist().name)
    if caches.exists():
        for old in caches.iterdir():
            if old != cache:
                shutil.rmtree(old) if old.is_dir() else old.unlink()
    cache.mkdir(parents=True, exist_ok=True)
    config.nb_execution_cache_path = str(cache)
    # The days hand their results on within this cache, not through the reader's own file.
    os.environ["NNWEEK_RESULTS"] = str(cache / "results.jsonl")
    os.environ["TQDM_DISABLE"] = "1"  # a progress bar is nothing to read afterwards
    os.environ["NNWEEK_BOOK"] = ".."  # from a day's page to the others


def run_nothing_for_links(app):
    """Leave the notebooks alone where `--builder linkcheck` reads their text only."""
    if app.builder.name == "linkcheck":
        app.config.nb_execution_mode = "off"


def fingerprint(dataset):
    """A short name for everything that the outputs of the notebooks depend on."""
    digest = hashlib.sha256()
    package = (ROOT / "nnweek").rglob("*")
    for path in sorted(path for path in package if path.suffix in (".py", ".png")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(ROOT)} {len(content)}\n".encode() + content)
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = [(c["source"], c["metadata"]) for c in cells if c["cell_type"] == "code"]
        digest.update(json.dumps([path.name, code]).encode())
    for path in sorted((ROOT / "book").glob("*.md")):
        blocks = re.findall(r"^```\{code-cell\}.*?^```", path.read_text("utf-8"), re.M | re.S)
        if blocks:
            digest.update(json.dumps([path.name, blocks]).encode())
    versions = [metadata.version(library) for library in LIBRARIES]
    digest.update(repr((sys.version, versions, dataset, str(get_device()))).encode())
    return digest.hexdigest()[:16]


class BuildStatus(SphinxDirective):
    """A list of what the book was built from, with what, and when."""

    def run(self):
        self.env.note_reread()  # it is news at every build
        fields = nodes.field_list()
        for name, value in build_status().items():
            fields += nodes.field(
                "", nodes.field_name("", name), nodes.field_body("", paragraph(value))
            )
        return [fields]


def build_status():
    """Return {what: value}, all of it text."""
    asked = subprocess.run(
        ["git", "log", "-1", "--format=%h, %cs"], cwd=ROOT, capture_output=True, text=True
    )
    return {
        "Built": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "Commit": asked.stdout.strip() or "not known: this is no git checkout",
        "Data set": load_mnist().name,
        "Device": str(get_device()),
        "Python": sys.version.split()[0],
        **{library: metadata.version(library) for library in ("nnweek", *LIBRARIES)},
    }
