"""What the book needs from Sphinx beyond its configuration.

1. Outputs are never older than what made them. Jupyter Book's cache knows the
   code cells of one notebook only, so a change in the package, the data, a
   library or another day's notebook would leave stale outputs on the page.
   Here the folder of the cache is named after all of these: where one of them
   changes, the cache starts empty and every notebook runs again.
2. Formulas need no network: MathJax is copied from an installed package into the
   site.
"""

import hashlib
import json
import os
import shutil
import sys
from importlib import metadata
from pathlib import Path

from nnweek.mnist import load_mnist
from nnweek.runtime import get_device

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = ("numpy", "torch", "torchvision", "scikit-learn", "matplotlib", "tensorboard")
MATHJAX_SCRIPT = "tex-chtml.js"
MATHJAX_FONTS = "output/chtml/fonts/woff-v2"


def setup(app):
    app.connect("config-inited", name_the_cache)
    app.connect("build-finished", copy_mathjax)
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


def fingerprint(dataset):
    """A short name for everything that the outputs of the notebooks depend on."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "nnweek").rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(ROOT)} {len(content)}\n".encode() + content)
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = [(c["source"], c["metadata"]) for c in cells if c["cell_type"] == "code"]
        digest.update(json.dumps([path.name, code]).encode())
    versions = [metadata.version(library) for library in LIBRARIES]
    digest.update(repr((sys.version, versions, dataset, str(get_device()))).encode())
    return digest.hexdigest()[:16]


def copy_mathjax(app, exception):
    """Copy the parts of MathJax that the pages load into the built site."""
    if exception is not None or app.builder.format != "html":
        return
    package = metadata.distribution("sphinx-mathjax-offline")
    source = Path(package.locate_file("sphinx-mathjax-offline/static/mathjax"))
    target = Path(app.outdir) / "mathjax"
    shutil.copytree(source / MATHJAX_FONTS, target / MATHJAX_FONTS, dirs_exist_ok=True)
    shutil.copyfile(source / MATHJAX_SCRIPT, target / MATHJAX_SCRIPT)
