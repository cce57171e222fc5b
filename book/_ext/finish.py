"""The last step of the build: it makes the theme's pages light, offline and accessible.

While Sphinx writes a page, Thebe and other pages' Colab button are left out, and the page gets
a description. Once Sphinx has written the site, every text file of it is read once, changed in
memory and written once, in the steps of `finished`. A second run changes nothing, because
Sphinx leaves the pages of unchanged sources as an earlier build finished them.
"""

import hashlib
import html
import json
import posixpath
import re
from pathlib import Path
from textwrap import shorten

import pydata_sphinx_theme
import web
from docutils import nodes
from figures import place_figures, prepare_figures
from sphinx.errors import ExtensionError

from nnweek import _tokens

THEME = Path(pydata_sphinx_theme.__file__).parent / "theme/pydata_sphinx_theme/static"
VIEWPORT = '<meta name="viewport" content="width=device-width, initial-scale=1" />'  # docutils'
TOKENS = "_static/tokens.css"  # imported by week.css, so it becomes part of the one stylesheet


def setup(app):
    app.connect("html-page-context", remove_thebe)
    app.connect("html-page-context", describe_page, priority=900)  # after the theme
    app.connect("build-finished", finish, priority=900)  # after the theme wrote pygments.css
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def remove_thebe(app, pagename, templatename, context, doctree):
    """Remove Thebe, which no page uses; its second copy raises an error in the browser."""
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "thebe" not in f"{script.filename} {script.attributes.get('body')}".lower()
    ]


def describe_page(app, pagename, templatename, context, doctree):
    """Replace docutils' second viewport by a description; remove Colab where there is no notebook."""
    if not pagename.startswith("notebooks/"):
        buttons = context.get("header_buttons", [])
        buttons[:] = [b for b in buttons if b.get("label") != "launch-buttons"]
    first = doctree and next(doctree.findall(nodes.paragraph), None)
    context["metatags"] = context.get("metatags", "").replace(VIEWPORT, "")
    if first:
        text = html.escape(shorten(first.astext(), 300, placeholder=" …"))
        context["metatags"] += f'<meta name="description" content="{text}">'


def finish(app, exception):
    """Run all steps on the site in the output folder, unless the build failed."""
    if exception is not None or app.builder.format != "html":
        return
    site = Path(app.outdir)
    (site / TOKENS).write_text(_tokens.css(), encoding="utf-8")
    figures = prepare_figures(site / "_images")
    before = {
        path.relative_to(site).as_posix(): path.read_text(encoding="utf-8")
        for suffix in ("html", "js", "css")
        for path in site.rglob(f"*.{suffix}")
    }
    for name, text in finished(before, figures, site).items():
        if text != before.get(name):
            (site / name).write_text(text, encoding="utf-8")


def finished(files, figures, site):
    """Return the site's text files after all steps, {path from the site's root: text}."""
    files = dict(files)
    for name in select(files, ".html"):
        files[name] = repair_labels(place_figures(files[name], figures))
    keep_used_icons(files)
    stop_measuring(files)
    join_styles(files, site)
    return files


def select(files, suffix, folder=""):
    return [name for name in files if name.endswith(suffix) and name.startswith(folder)]


REPAIRS = [
    # A deferred script does not delay the first paint.
    (r"<script(?= [^>]*\bsrc=)(?! [^>]*\bdefer\b)", "<script defer"),
    # Names and brackets have the colour of code anyway; their tags were half of all tags.
    (r'<span class="(?:n|nn|p|w)">([^<]*)</span>', r"\1"),
]


def repair_labels(page):
    """Fix what axe-core and Lighthouse find in the theme's own HTML."""
    for wrong, right in REPAIRS:
        page = re.sub(wrong, right, page)
    return page


ICON_SCRIPT = "_static/scripts/fontawesome.js"
ICON_STYLES = "_static/styles/pydata-sphinx-theme.css"
# "arrow-up":[width, height, [other names], "letter in the font", "path" or ["path", "path"]],
ICON = re.compile(
    r'(?P<name>"[\w-]+"|\w+):\[\d+,\d+,\[(?P<others>[^\]]*)\],"[0-9a-f]+",(?:"[^"]*"|\[[^\]]*\])\],?'
)
FA_NAME = re.compile(r"(?<![\w-])fa-([\w-]+)")


def keep_used_icons(files):
    """Remove the icons that no page shows from the theme's script.

    It starts from the installed theme, so a later build can bring an icon back.
    """
    if ICON_SCRIPT not in files:  # the theme for Python 3.10 has its icons in a font only
        return
    styles, script = (
        (THEME / name.removeprefix("_static/")).read_text(encoding="utf-8")
        for name in (ICON_STYLES, ICON_SCRIPT)
    )
    files[ICON_SCRIPT] = with_icons(script, used_icons(files), style_names(styles))


def used_icons(files):
    """Return {name: page or script} for every fa-name in a page's classes or in a script."""
    names = {}
    for page in select(files, ".html"):
        for classes in CLASSES.findall(files[page]):
            names |= dict.fromkeys(FA_NAME.findall(classes), page)
    for script in select(files, ".js", "_static/"):
        if script != ICON_SCRIPT:
            names |= dict.fromkeys(FA_NAME.findall(files[script]), script)
    return names


def style_names(styles):
    """Return the fa-names that are styles, not icons: sizes (fa-lg) and families (fa-solid)."""
    return set(re.findall(r"\.fa-([\w-]+)(?![\w:-])", styles))


def with_icons(script, used, known=()):
    """Return Font Awesome's script with only the icons in use, {name: where}; refuse unknown ones."""
    all_names = set(known)

    def keep_used(icon):
        names = {icon["name"].strip('"'), *re.findall(r'"([\w-]+)"', icon["others"])}
        all_names.update(names)
        return icon[0] if names & used.keys() else ""

    thin = ICON.sub(keep_used, script)
    missing = [
        f"fa-{name} ({where})" for name, where in sorted(used.items()) if name not in all_names
    ]
    if missing:
        raise ExtensionError(f"The theme has no such icon: {', '.join(missing)}")
    return thin


def stop_measuring(files):
    """Let the theme's script find nothing to measure: it would lay out the page before it reacts.

    `week.js` measures what is near the screen instead.
    """
    script = "_static/scripts/pydata-sphinx-theme.js"
    if script in files:  # it measures document.querySelectorAll(["pre",…].join()…)
        files[script] = re.sub(r'\["pre",[^\]]*\](?=\.join\()', '["template"]', files[script])


CLASSES = re.compile(r'class="([^"]*)"')
DRAWN = "svg-inline--fa"  # what the script for icons adds to the classes of an icon
STYLESHEET = re.compile(r'<link [^>]*href="([^"?]+\.css)(?:\?[^"]*)?"[^>]*>\s*')
# Jupyter Book lists the files of _static in the file system's order; the later of two rules wins.
OWN_STYLES = [
    f"_static/{name}.css" for name in ("week", "figures", "tasks", "answers", "web", "landing")
]


def join_styles(files, site):
    """Replace all stylesheets of a page by one, without the rules that match nothing on the site.

    Nine tenths of the rules are for classes that are on no page and in no script.
    """
    pages = {}  # {page: its stylesheets}, without pages that an earlier build finished
    for page in select(files, ".html"):
        links = STYLESHEET.findall(files[page])
        styles = [posixpath.normpath(posixpath.join(posixpath.dirname(page), one)) for one in links]
        ours = [style for style in OWN_STYLES if style in styles]
        if len(styles) > 1 and all(style in files for style in styles):
            pages[page] = (*(style for style in styles if style not in ours), *ours)
    joined = {}  # {stylesheets: the one that replaces them}
    content = [files[page] for page in select(files, ".html")]
    content += [files[name] for name in select(files, ".js", "_static/") if name != ICON_SCRIPT]
    for styles, text in rules_in_use(site, set(pages.values()), [*content, DRAWN]).items():
        joined[styles] = f"_static/styles-{hashlib.sha256(text.encode()).hexdigest()[:12]}.css"
        files[joined[styles]] = text
    for page, styles in pages.items():
        address = posixpath.relpath(joined[styles], posixpath.dirname(page) or ".")
        start = STYLESHEET.search(files[page]).start()
        text = STYLESHEET.sub("", files[page])
        files[page] = text[:start] + f'<link rel="stylesheet" href="{address}">\n' + text[start:]


def rules_in_use(site, groups, content):
    """Return {group of stylesheets: one stylesheet with the rules for words of the content}."""
    groups = list(groups)
    names = [[style.removeprefix("_static/") for style in group] for group in groups]
    try:
        printed = web.run(
            web.tool("node"), "styles.js", str(site / "_static"),
            input=json.dumps({"styles": names, "content": content}),
        )  # fmt: skip
    except web.Unavailable as reason:
        raise ExtensionError(f"The stylesheets were not joined: {reason}") from None
    return {
        group: f"/* The rules in use of {', '.join(own)} */\n{rules}"
        for group, own, rules in zip(groups, names, json.loads(printed), strict=True)
    }
