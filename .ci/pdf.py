"""Print the built site as one book: `make pdf`.

The pages of the site, in the order of `_toc.yml`, are joined into one page, with every
solution unfolded, and Chromium prints that with tags and bookmarks. Nothing runs a second
time, and nothing is in the book that is not on the site. The PDF is put beside the pages,
and the landing page then says so. `python .ci/pdf.py` takes the site that is there.

Needed besides the requirements: Chromium and its driver, which `bash .ci/browser-tools`
installs.
"""

import base64
import html
import io
import json
import os
import re
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import matplotlib
import pypdf
import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from support import browser  # noqa: E402

STYLE = Path(__file__).with_suffix(".css")
SITE = ROOT / "book" / "_build" / "html"
NAME = "week-5-neural-networks.pdf"
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
PAGES = [TOC["root"], *(entry["file"] for part in TOC["parts"] for entry in part["chapters"])]

# What has no use on paper.
OF_THE_SCREEN = ".headerlink, .toctree-wrapper, script, details.hide summary, .sd-card-title"
# These fonts come with matplotlib, so the book looks the same wherever it is printed.
FONTS = {
    "STIXGeneral.ttf": ("Book", "normal", "normal"),
    "STIXGeneralItalic.ttf": ("Book", "normal", "italic"),
    "STIXGeneralBol.ttf": ("Book", "bold", "normal"),
    "STIXGeneralBolIta.ttf": ("Book", "bold", "italic"),
    "DejaVuSans.ttf": ("Book Signs", "normal", "normal"),
    "DejaVuSansMono.ttf": ("Book Mono", "normal", "normal"),
    "DejaVuSansMono-Bold.ttf": ("Book Mono", "bold", "normal"),
    "DejaVuSansMono-Oblique.ttf": ("Book Mono", "normal", "italic"),
}


def slug(page):
    """The name of a page within the book."""
    return page.rpartition("/")[2]


def chapter(site, page):
    """Return what a page holds, as a section whose names and links are right within one book."""
    text = (site / f"{page}.html").read_text(encoding="utf-8")
    article = BeautifulSoup(text, "html.parser").select_one("article")
    for tag in article.select(OF_THE_SCREEN):
        tag.decompose()
    for tag in article.select("#as-pdf"):  # where the landing page offers this very book
        tag.clear()
    for tag in article.select("code .pre"):  # it only makes the file large
        tag.unwrap()
    for tag in article.select(".math"):  # a drawing takes alt text in a PDF: the formula's TeX
        tag.svg.attrs |= {"role": "img", "aria-label": tag.math["alttext"]}
        del tag.svg["aria-hidden"]
        tag.math.decompose()
    for tag in article.select("details"):
        tag.name, tag["class"] = "div", "unfolded"
    for tag in article.select("summary"):
        tag.name, tag["class"] = "p", "label"
    for tag in article.select("[id]:not(path)"):  # formulas share the paths of their signs
        tag["id"] = f"{slug(page)}--{tag['id']}"
    for tag in article.select("a[href]"):
        tag["href"] = within_the_book(tag["href"], page)
    for tag in article.select("img[src]"):
        if not urlsplit(tag["src"]).scheme:
            tag["src"] = relative(page, tag["src"])
    for tag in article.select("pre"):
        if tag.get_text().count("\n") > 16:
            tag["class"] = [*tag.get("class", []), "long"]
    if page == TOC["root"]:  # the title page says the title
        article.h1.string = "About this book"
    article.name, article["class"], article["id"] = "section", "chapter", slug(page)
    return article


def relative(page, address):
    """An address on a page, as it reads from the site's first page."""
    path = os.path.normpath(os.path.join(os.path.dirname(page), address))
    return path.replace(os.sep, "/")


def within_the_book(address, page):
    """Where a link leads: to a place in the book if that holds it, else to the published site."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return address
    target = relative(page, unquote(parts.path)).removesuffix(".html") if parts.path else page
    if target not in PAGES:
        return CONFIG["html"]["baseurl"] + relative(page, address)
    return f"#{slug(target)}--{parts.fragment}" if parts.fragment else f"#{slug(target)}"


def title_of(heading):
    return html.escape(" ".join(heading.get_text().split()))


def contents(chapters):
    """The list of the chapters and their sections, with room for the numbers of their pages."""
    entries = []
    for section in chapters:
        entries.append(("of-chapter", section["id"], title_of(section.h1)))
        for heading in section.select("h2"):
            entries.append(("of-section", heading.parent["id"], title_of(heading)))
    return "\n".join(
        f'<li class="{kind}"><a href="#{target}"><span>{title}</span>'
        f'<span class="page">{{{target}}}</span></a></li>'
        for kind, target, title in entries
    )


def book(site):
    """Return the whole book as one HTML page, to be opened beside the site's first page."""
    chapters = [chapter(site, page) for page in PAGES]
    # Said smaller than these fonts say, their height fits into a line: ink that reaches out of
    # it is drawn on the page before as well, where nobody sees it but who reads the tags.
    metrics = "ascent-override: 85%; descent-override: 25%;"
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    faces = "\n".join(
        f'@font-face {{ font-family: "{family}"; font-weight: {weight}; font-style: {style};'
        f' src: url("{(fonts / file).as_uri()}"); {metrics} }}'
        for file, (family, weight, style) in FONTS.items()
    )
    heads = "\n".join(
        f"#{one['id']} {{ page: {one['id']}; }}"
        f"@page {one['id']} {{ @top-right {{ content: {json.dumps(one.h1.get_text(), ensure_ascii=False)}; }} }}"
        for one in chapters
    )
    made = {
        term.get_text().rstrip(":"): term.find_next("dd").get_text().strip()
        for term in chapters[PAGES.index("status")].select("dt")
    }
    title, address = html.escape(CONFIG["title"]), CONFIG["html"]["baseurl"]
    return f"""<!DOCTYPE html>
<html lang="{CONFIG["sphinx"]["config"]["language"]}" data-theme="light">
<head>
<meta charset="utf-8">
<title>{title}</title>
<meta name="author" content="{html.escape(CONFIG["author"])}">
<link rel="stylesheet" href="_static/pygments.css">
<style>{faces}\n{STYLE.read_text(encoding="utf-8")}\n{heads}</style>
</head>
<body>
<div id="title-page">
<img src="{CONFIG["logo"]}" alt="">
<p class="title">{title}</p>
<p>Seven days, from a network written in NumPy to a classifier whose accuracy you can defend</p>
<p class="author">{html.escape(CONFIG["author"])}</p>
<p class="made">Printed from <a href="{address}">{address}</a><br>
Built: {made["Built"]}. Commit: {made["Commit"]}. Numbers measured on {made["Data set"]}.<br>
{html.escape(CONFIG["html"]["extra_footer"])}</p>
</div>
<nav id="contents" aria-label="Contents"><p class="title">Contents</p>
<ul>{contents(chapters)}</ul></nav>
<main>{"".join(map(str, chapters))}</main>
</body>
</html>"""


def printed(page, file, text):
    """Let a browser show an HTML page from a file and print it; return the PDF's bytes."""
    file.write_text(text, encoding="utf-8")
    page.open(file.as_uri())
    page.run("return document.fonts.ready;")
    answer = page.devtools(
        "Page.printToPDF",
        preferCSSPageSize=True,
        printBackground=True,
        generateTaggedPDF=True,
        generateDocumentOutline=True,
    )
    return base64.b64decode(answer["data"])


def pages_of_places(pdf):
    """Return {name of a place in the book: number of its page}."""
    reader = pypdf.PdfReader(io.BytesIO(pdf))
    return {
        name.removeprefix("/"): reader.get_destination_page_number(place) + 1
        for name, place in reader.named_destinations.items()
    }


def with_numbers(text, numbers):
    """Replace each {place} of the contents by its page; by a number as long if none are known."""
    return re.sub(
        r'(?<=<span class="page">)\{(.*?)\}',
        lambda found: str(numbers[found[1]] if numbers else 100),
        text,
    )


def make(site):
    """Print the site; return the PDF's bytes."""
    whole = site / "as-one-page.html"
    text = book(site)
    try:
        with browser.browser() as page:
            # A browser cannot yet number a table of contents: what it printed says the pages.
            numbers = pages_of_places(printed(page, whole, with_numbers(text, {})))
            return printed(page, whole, with_numbers(text, numbers))
    finally:
        whole.unlink(missing_ok=True)


def offer(site, pages, size):
    """Let the landing page link to the PDF beside it; the next `make book` takes that back."""
    landing = site / "index.html"
    link = f' The whole week is also <a href="{NAME}">one PDF</a>, {pages} pages, {size}.'
    text = landing.read_text(encoding="utf-8")
    text, found = re.subn(
        r'(?s)(<span id="as-pdf">).*?(</span>)', lambda span: span[1] + link + span[2], text
    )
    if not found:
        raise ValueError(f'{landing} has no <span id="as-pdf"></span>, where the link belongs')
    landing.write_text(text, encoding="utf-8")


def main():
    if not (SITE / "index.html").is_file():
        sys.exit("There is no site to print yet: `make pdf` builds it first.")
    if browser.missing():
        sys.exit(browser.missing())
    browser.PATIENCE = 600  # seconds, since the whole week is one long page
    pdf = make(SITE)
    (SITE / NAME).write_bytes(pdf)
    pages, size = len(pypdf.PdfReader(io.BytesIO(pdf)).pages), f"{len(pdf) / 1e6:.0f} MB"
    offer(SITE, pages, size)
    print(f"{(SITE / NAME).relative_to(ROOT)}: {pages} pages, {size}")


if __name__ == "__main__":
    main()
