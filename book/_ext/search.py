"""Search: every section of the book is one entry, found by its words in the reader's browser.

Once Sphinx has written the pages, this extension collects their sections and the terms of the
glossary, and gives the search page `book/web/src/search.js` in place of Sphinx's own search, which
finds no numbers and leads to the top of a page. Sections and script are plain scripts: a copy of
the book on the disk, which may fetch nothing, searches as a served one does. Without Node there
is no such script, and Sphinx's search remains.
"""

import hashlib
import json
import re
from pathlib import Path

from bs4 import BeautifulSoup

# How much a match counts, by the first pattern that fits the address; 1 where none fits.
WEIGHTS = [
    (r"what-went-wrong\.html#(symptom|error)-", 3),
    (r"glossary\.html#term-", 1.5),
    (r"setup\.html", 1.5),
    (r"(what-went-wrong|api|catalogue|teachers|for-a-class|status|references)\.html", 0.4),
]
# What no result may show: answers, and what only repeats or decorates.
UNSEARCHED = (
    "nav, svg, math, script, style, .headerlink, .facts, .exercise details, .question details, "
    "table:has(a[href^='#symptom-'], a[href^='#error-'])"
)
HEADING = re.compile("h[1-6]")
SCRIPTS = re.compile(
    r"<script [^>]*(?:searchtools|language_data|searchindex)\.js[^>]*></script>\s*"
)


def setup(app):
    app.connect("build-finished", replace_search, priority=850)  # after web, before finish
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def replace_search(app, exception):
    """Give the search page our script and the sections, if web.py has bundled that script."""
    site = Path(app.outdir)
    if exception is not None or app.builder.name != "html":
        return
    for old in site.glob("_static/sections-*.js"):
        old.unlink()
    if not (script := next(site.glob("_static/search-*.js"), None)):
        return
    pages = [site / f"{page}.html" for page in sorted(app.env.found_docs)]
    entries = [entry for page in pages for entry in sections(page, page.relative_to(site))]
    text = f"const SECTIONS = {json.dumps(entries, ensure_ascii=False, separators=(',', ':'))};\n"
    name = f"sections-{hashlib.sha256(text.encode()).hexdigest()[:10]}.js"
    (site / "_static" / name).write_text(text, encoding="utf-8")
    file = site / "search.html"
    tags = "".join(f'<script defer src="_static/{one}"></script>\n' for one in (name, script.name))
    page = SCRIPTS.sub("", file.read_text(encoding="utf-8"))
    file.write_text(page.replace("</head>", f"{tags}</head>", 1), encoding="utf-8")


def sections(file, address):
    """Return an entry for each section and each term of a page: its address, names and words."""
    article = BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser").article
    for tag in article.select(UNSEARCHED):
        tag.decompose()
    page = words(article.h1)
    found = []
    for section in article.select("section[id]"):
        if heading := section.find(HEADING, recursive=False):
            label = section.find("span", id=True, recursive=False)  # an address of its own
            others = heading.find_next_siblings(lambda tag: tag.name != "section")
            code = [one.extract() for other in others for one in other.select(".cell_input")]
            found.append(((label or section)["id"], heading, others, code))
    for term in article.select("dl.glossary dt[id]"):
        found.append((term["id"], term, [term.find_next("dd")], []))
    return [
        entry(f"{address.as_posix()}#{id_}", words(title), page, words(*text), words(*code))
        for id_, title, text, code in found
    ]


def entry(url, title, page, text, code):
    """Return an entry; its code is searched, but only its text is shown."""
    weight = next((weight for pattern, weight in WEIGHTS if re.match(pattern, url)), 1)
    return {"url": url, "title": title, "page": page, "text": text, "code": code, "weight": weight}


def words(*tags):
    return " ".join(" ".join(tag.get_text() for tag in tags).split())
