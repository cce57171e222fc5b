"""What the book needs from Sphinx beyond its configuration.

1. Outputs are never older than what made them. Jupyter Book's cache knows the
   code cells of one notebook only, so a change in the package, the data, a
   library or another day's notebook would leave stale outputs on the page.
   Here the folder of the cache is named after all of these: where one of them
   changes, the cache starts empty and every notebook runs again.
2. Formulas need no network: MathJax is copied from an installed package into the
   site.
3. The page *What went wrong?* is written from what the checks know, so that the two
   cannot differ, and a verdict on a page of the book links to its place there.
4. The page *Status* says what this copy of the book was made from, and with what.
5. The landing page shows a figure of each day, the same that the day's page shows.
6. Three labels and a region of the theme's are repaired for those who do not see the page.
7. The theme brings Thebe to every page, twice; no page uses it, so no page gets it.
8. Where only links are checked, no notebook runs.
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
from docutils.parsers.rst import Directive
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from nnweek.checks import EXERCISES
from nnweek.checks.verdict import GENERIC, anchor
from nnweek.mnist import load_mnist
from nnweek.runtime import get_device

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = ("numpy", "torch", "torchvision", "scikit-learn", "matplotlib", "tensorboard")
MATHJAX_SCRIPT = "tex-chtml.js"
MATHJAX_FONTS = "output/chtml/fonts/woff-v2"


def setup(app):
    app.connect("config-inited", name_the_cache)
    app.connect("builder-inited", run_nothing_for_links, priority=400)  # before MyST-NB looks
    app.connect("build-finished", copy_mathjax)
    app.connect("build-finished", repair_the_themes_labels)
    app.connect("html-page-context", only_the_days_open_in_colab, priority=900)
    app.connect("html-page-context", without_thebe)
    app.connect("doctree-resolved", fill_in_figures)
    app.add_node(figure_of)
    app.add_directive("figure-of", FigureOf)
    app.add_directive("build-status", BuildStatus)
    app.add_directive("mistakes-of-any-exercise", MistakesOfAnyExercise)
    app.add_directive("mistakes-by-exercise", MistakesByExercise)
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


def copy_mathjax(app, exception):
    """Copy the parts of MathJax that the pages load into the built site."""
    if exception is not None or app.builder.format != "html":
        return
    package = metadata.distribution("sphinx-mathjax-offline")
    source = Path(package.locate_file("sphinx-mathjax-offline/static/mathjax"))
    target = Path(app.outdir) / "mathjax"
    shutil.copytree(source / MATHJAX_FONTS, target / MATHJAX_FONTS, dirs_exist_ok=True)
    shutil.copyfile(source / MATHJAX_SCRIPT, target / MATHJAX_SCRIPT)


# A label must hold the words that are seen (WCAG 2.5.3): without one, the words themselves
# are the name. And all that is on a page belongs to some region of it, also the logo.
REPAIRS = [
    (r'(<button class="btn search-button-field[^>]*?) title="Search" aria-label="Search"', r"\1"),
    (r'(<i class="theme-switch [^>]*?) title="[^"]*"', r"\1"),
    (r'<summary aria-label="Toggle hidden content">', "<summary>"),
    (r'(<div id="pst-primary-sidebar")(?= class)', r'\1 role="region" aria-label="Site"'),
]


def repair_the_themes_labels(app, exception):
    """Rewrite what axe-core finds in the theme's own HTML."""
    if exception is not None or app.builder.format != "html":
        return
    for path in Path(app.outdir).rglob("*.html"):
        path.write_text(repaired(path.read_text(encoding="utf-8")), encoding="utf-8")


def repaired(text):
    """Return the HTML with all repairs; a page that an earlier build repaired stays as it is."""
    for wrong, right in REPAIRS:
        text = re.sub(wrong, right, text)
    return text


def only_the_days_open_in_colab(app, pagename, templatename, context, doctree):
    """A page of the book that has cells is no notebook of the repository: no such button."""
    if not pagename.startswith("notebooks/"):
        buttons = context.get("header_buttons", [])
        buttons[:] = [b for b in buttons if b.get("label") != "launch-buttons"]


def without_thebe(app, pagename, templatename, context, doctree):
    """Take Thebe's scripts off a page: the second copy of one is an error in the browser."""
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "thebe" not in f"{script.filename} {script.attributes.get('body')}".lower()
    ]


class figure_of(nodes.General, nodes.Element):
    """The place of a figure that another page will have made."""


class FigureOf(SphinxDirective):
    """A figure of another page; the content says how its alt text begins."""

    required_arguments = 1
    has_content = True

    def run(self):
        self.env.note_reread()  # the other page may have made its figure anew
        return [figure_of(page=self.arguments[0], alt=" ".join(self.content))]


def fill_in_figures(app, doctree, docname):
    for place in list(doctree.findall(figure_of)):
        images = app.env.get_doctree(place["page"]).findall(nodes.image)
        found = [image for image in images if image.get("alt", "").startswith(place["alt"])]
        if found:
            place.replace_self(found[0].deepcopy())
        else:
            text = f"{place['page']} has no figure whose alt text begins with {place['alt']!r}"
            logging.getLogger(__name__).warning(text, location=docname)
            place.parent.remove(place)


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


class MistakesOfAnyExercise(Directive):
    """What every check can say: a section for each of the ids that no exercise owns."""

    def run(self):
        return [
            section(id_, [nodes.literal(id_, id_)], [paragraph(means)])
            for id_, means in GENERIC.items()
        ]


class MistakesByExercise(Directive):
    """Every exercise with every mistake that its check names: what it means, the first hint."""

    def run(self):
        return [exercise_section(exercise) for exercise in EXERCISES.values()]


def exercise_section(exercise):
    mistakes = {}
    for mistake in exercise.mistakes:
        if mistake.id not in GENERIC:
            # One mistake may be known by several patterns, each with its explanation.
            mistakes.setdefault(mistake.id, []).extend(
                [paragraph(mistake.means), paragraph(mistake.hints[0], "First hint: ")]
            )
    content = [paragraph(f"`{exercise.signature}` {exercise.task}.")]
    for id_, explained in mistakes.items():
        content.append(section(anchor(exercise.name, id_), [nodes.literal(id_, id_)], explained))
    title = [nodes.literal(exercise.name, exercise.name), nodes.Text(f", Day {exercise.day}")]
    return section(exercise.name, title, content)


def section(id_, title, content):
    """A section whose address on the page is `#id_`, exactly."""
    return nodes.section("", nodes.title("", "", *title), *content, ids=[id_], names=[id_])


def paragraph(text, before=""):
    """A paragraph; what stands between backticks becomes code, as it does in a verdict."""
    result = nodes.paragraph()
    if before:
        result += nodes.emphasis(before, before)
    for i, part in enumerate(text.split("`")):
        result += nodes.literal(part, part) if i % 2 else nodes.Text(part)
    return result
