"""Tell readers where they are: the week above each day, what the day holds, letters of the glossary.

The numbers are counted in the notebooks, so that no page states them by hand. The page for
addresses that do not exist also lists the days.
"""

import html
import json
import re
from pathlib import Path

from docutils import nodes

import nnweek
from nnweek import _tokens

ROOT = Path(__file__).resolve().parents[2]


def setup(app):
    app.connect("doctree-resolved", show_the_week)
    app.connect("doctree-resolved", show_letters)
    app.connect("html-page-context", hand_over_tokens)
    app.connect("html-collect-pages", page_not_found)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def days(env):
    """Return (page, title) of each day, in the order of the week."""
    pages = sorted(page for page in env.found_docs if page.startswith("notebooks/day-"))
    return [(page, env.titles[page].astext()) for page in pages]


def facts(page):
    """Return what a day holds: {"minutes": 205, "exercises": 6, …}, and the library it needs."""
    cells = json.loads((ROOT / f"{page}.ipynb").read_text(encoding="utf-8"))["cells"]
    text, code = (
        "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == kind)
        for kind in ("markdown", "code")
    )
    counted = {
        "minutes": int(re.search(r"^\*\*Time\*\* about (\d+) minutes", text, re.M)[1]),
        "exercises": len(re.findall(r"^\*\*Exercise \d+\.\*\*", text, re.M)),
        "predictions": len(re.findall(r"\*Predict before you \w+", text)),
        "questions": len(re.findall(r"^<summary>Answer</summary>", text, re.M)),
    }
    return counted, "PyTorch" if re.search(r"^(?:import|from) torch\b", code, re.M) else "NumPy"


def show_the_week(app, doctree, docname):
    """Put the seven days above the title of a day, and its facts below the first paragraph."""
    week = days(app.env)
    pages = [page for page, _ in week]
    if docname not in pages:
        return
    today = pages.index(docname)
    links = "".join(
        f'<a href="{app.builder.get_relative_uri(docname, page) or "#"}"'
        f' aria-label="{html.escape(title)}" title="{html.escape(title)}"'
        + (' aria-current="page"' if i == today else ' class="before"' if i < today else "")
        + "></a>"
        for i, (page, title) in enumerate(week)
    )
    counted, library = facts(docname)
    items = [
        f"<span><b>{number}</b> {name if number > 1 else name.removesuffix('s')}</span>"
        for name, number in counted.items()
        if number
    ]
    items.append(f"<span>needs <b>{library}</b></span>")
    section = next(doctree.findall(nodes.section))
    place = next(section.findall(nodes.paragraph))
    place.parent.insert(
        place.parent.index(place) + 1, raw(f'<p class="facts">{"".join(items)}</p>')
    )
    nav = f'<nav class="week-line" aria-label="The week">{links}<span>{today + 1} of {len(week)}</span></nav>'
    doctree.insert(0, raw(nav))


def show_letters(app, doctree, docname):
    """Put a row of letters above the glossary, each linked to its first term."""
    if docname != "glossary":
        return
    (terms,) = (
        one for one in doctree.findall(nodes.definition_list) if "glossary" in one["classes"]
    )
    first = {}  # {letter: address of its first term}
    for term in terms.findall(nodes.term):
        first.setdefault(term.astext()[0].upper(), term["ids"][0])
    links = "".join(f'<a href="#{first[letter]}">{letter}</a>' for letter in sorted(first))
    row = raw(f'<nav class="letters" aria-label="Letters">{links}</nav>')
    terms.parent.insert(terms.parent.index(terms), row)


def raw(text):
    return nodes.raw("", text, format="html")


def hand_over_tokens(app, pagename, templatename, context, doctree):
    context["tokens"] = _tokens
    context["html_baseurl"] = app.config.html_baseurl
    context["nnweek_version"] = nnweek.__version__


def page_not_found(app):
    if app.builder.format == "html":
        yield "404", {"days": days(app.env)}, "404.html"
