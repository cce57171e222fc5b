"""What the theme needs mending, done to the pages and files that it has written.

1. Labels and a region are repaired for those who do not see the page, and no script keeps
   a page from showing; code has no tags without a colour (`REPAIRS`).
2. The theme brings Thebe to every page, twice; no page uses it, so no page gets it.
3. A page that is no notebook has no button for Colab.
4. Of Font Awesome's two thousand icons a reader downloads those that a page shows.
5. The theme's script measures all code of a page before the page reacts; `week.js` does that
   where the reader is.
6. A page's first paragraph is also the description that search engines show.
"""

import html
import re
from pathlib import Path
from textwrap import shorten

import pydata_sphinx_theme
from docutils import nodes
from sphinx.errors import ExtensionError

ORIGINALS = Path(pydata_sphinx_theme.__file__).parent / "theme/pydata_sphinx_theme/static"
ICON_SCRIPT = "scripts/fontawesome.js"
STYLES = "styles/pydata-sphinx-theme.css"


def setup(app):
    app.connect("html-page-context", only_the_days_open_in_colab, priority=900)
    app.connect("html-page-context", without_thebe)
    app.connect("html-page-context", describe_the_page)
    app.connect("build-finished", repair_the_themes_labels)
    app.connect("build-finished", keep_the_icons_in_use)
    app.connect("build-finished", leave_scrolling_to_the_weeks_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


# A label must hold the words that are seen (WCAG 2.5.3): without one, the words themselves
# are the name. And all that is on a page belongs to some region of it, also the logo.
# A script that waits until the page is read runs as well, and the page shows before it.
# Half the tags of a page stood around names and brackets in code, which have code's own colour.
REPAIRS = [
    (r'(<button class="btn search-button-field[^>]*?) title="Search" aria-label="Search"', r"\1"),
    (r'(<i class="theme-switch [^>]*?) title="[^"]*"', r"\1"),
    (r'<summary aria-label="Toggle hidden content">', "<summary>"),
    (r'(<div id="pst-primary-sidebar")(?= class)', r'\1 role="region" aria-label="Site"'),
    (r"<script(?= [^>]*\bsrc=)(?! [^>]*\bdefer\b)", "<script defer"),
    (r'<span class="(?:n|nn|p|w)">([^<]*)</span>', r"\1"),
]


def repair_the_themes_labels(app, exception):
    """Rewrite what axe-core and Lighthouse find in the theme's own HTML."""
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


def describe_the_page(app, pagename, templatename, context, doctree):
    """Add the description that search engines show: the page's first paragraph."""
    first = doctree and next(doctree.findall(nodes.paragraph), None)
    if first:
        text = html.escape(shorten(first.astext(), 300, placeholder=" …"))
        context["metatags"] += f'<meta name="description" content="{text}">'


# What the theme lets Tab reach if it can be scrolled: document.querySelectorAll(["pre",…]…
SCROLLED = re.compile(r'\["pre",[^\]]*\](?=\.join\()')


def leave_scrolling_to_the_weeks_script(app, exception):
    """Let the theme's script find nothing to measure: reading all sizes lays out all of a page."""
    script = Path(app.outdir) / "_static" / "scripts" / "pydata-sphinx-theme.js"
    if exception is None and script.is_file():
        text = script.read_text(encoding="utf-8")
        script.write_text(SCROLLED.sub('["template"]', text), encoding="utf-8")


# --- Icons ---------------------------------------------------------------------------------

# "arrow-up":[width, height, [other names], "letter in the font", "path" or ["path", "path"]],
ICON = re.compile(
    r'(?P<name>"[\w-]+"|\w+):\[\d+,\d+,\[(?P<others>[^\]]*)\],"[0-9a-f]+",(?:"[^"]*"|\[[^\]]*\])\],?'
)
# The same icon as a letter: .fa-arrow-up:before{content:"\f062"}
LETTER = re.compile(r'(?:\.fa-[\w-]+:before,?)+\{content:"[^"]*"\}')


def keep_the_icons_in_use(app, exception):
    """Write the theme's icon script and styles anew, without the icons that no page shows.

    Both are read from the installed theme, so that a second build knows all icons again.
    """
    site = Path(app.outdir)
    target = site / "_static" / ICON_SCRIPT
    if exception is not None or not target.is_file():
        return
    styles = (ORIGINALS / STYLES).read_text(encoding="utf-8")
    script = (ORIGINALS / ICON_SCRIPT).read_text(encoding="utf-8")
    script = with_icons(script, icons_in_use(site, ignoring=target), classes(styles))
    target.write_text(script, encoding="utf-8")
    # The script draws them: no reader needs the same icons as letters of a font.
    (site / "_static" / STYLES).write_text(LETTER.sub("", styles), encoding="utf-8")


def icons_in_use(site, ignoring):
    """Return {name: where}, for every fa-name in a page's classes or in a script of the site."""
    found = {}
    for page in site.rglob("*.html"):
        for classes in re.findall(r'class="([^"]*)"', page.read_text(encoding="utf-8")):
            found |= dict.fromkeys(re.findall(r"(?<![\w-])fa-([\w-]+)", classes), page.name)
    for script in (site / "_static").rglob("*.js"):
        if script != ignoring:
            names = re.findall(r"(?<![\w-])fa-([\w-]+)", script.read_text(encoding="utf-8"))
            found |= dict.fromkeys(names, script.name)
    return found


def classes(styles):
    """The fa-names that the styles explain: sizes such as fa-lg, families such as fa-solid."""
    return set(re.findall(r"\.fa-([\w-]+)(?![\w:-])", styles))


def with_icons(script, used, known=()):
    """Return Font Awesome's script with those icons alone that are in use, {name: where}.

    Raises:
        ExtensionError: if a name is neither one of its icons nor known otherwise.
    """
    found = set(known)

    def kept(icon):
        names = {icon["name"].strip('"'), *re.findall(r'"([\w-]+)"', icon["others"])}
        found.update(names)
        return icon[0] if names & used.keys() else ""

    thin = ICON.sub(kept, script)
    missing = [f"fa-{name} ({where})" for name, where in sorted(used.items()) if name not in found]
    if missing:
        raise ExtensionError(f"the theme's {ICON_SCRIPT} has no such icon: {', '.join(missing)}")
    return thin
