"""Print the built site as one book: `make pdf`.

The pages of the site are joined into one page in the order of `_toc.yml`, with every solution
unfolded, and Chromium prints it with tags and bookmarks. No notebook runs again, and the book
contains only what is on the site. The PDF is saved beside the pages, and the landing page links
to it. `python .ci/pdf.py` prints the latest build of the site.

Needs Chromium and its driver, which `bash .ci/browser-tools` installs.
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
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from nnweek import _tokens  # noqa: E402
from support import browser  # noqa: E402
from support.contents import CONFIG, PAGES  # noqa: E402

STYLE = Path(__file__).with_suffix(".css")
SITE = ROOT / "book" / "_build" / "html"
NAME = "week-5-neural-networks.pdf"

# Elements that are useless on paper.
SCREEN_ONLY = (
    ".headerlink, .toctree-wrapper, script, details.hide summary, .start, .week-line, .letters"
)
# These fonts come with matplotlib, so the book looks the same on every machine.
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
    """Return the id of a page in the book."""
    return page.rpartition("/")[2]


def chapter(site, page):
    """Return the content of a page as a section whose ids and links work within one book."""
    text = (site / f"{page}.html").read_text(encoding="utf-8")
    article = BeautifulSoup(text, "html.parser").select_one("article")
    for tag in article.select(SCREEN_ONLY):
        tag.decompose()
    for tag in article.select("#as-pdf"):  # the link to this book
        tag.clear()
    for tag in article.select("code .pre"):  # these tags only make the file larger
        tag.unwrap()
    for tag in article.select(".math"):  # in a PDF, a drawing has alt text: the formula's TeX
        tag.svg.attrs |= {"role": "img", "aria-label": tag.math["alttext"]}
        del tag.svg["aria-hidden"]
        tag.math.decompose()
    for tag in article.select("details"):
        tag.name, tag["class"] = "div", "unfolded"
    for tag in article.select("summary"):
        tag.name, tag["class"] = "p", "label"
    for tag in article.select("figure"):  # in a PDF, what needs alt text is the drawing in it
        tag["role"] = "group"
    # Formulas share the paths of their glyphs, and a figure's ids are its own anywhere.
    for tag in article.select("[id]:not(path, svg.drawn *)"):
        tag["id"] = f"{slug(page)}--{tag['id']}"
    for tag in article.select("[aria-labelledby]"):
        tag["aria-labelledby"] = f"{slug(page)}--{tag['aria-labelledby']}"
    for tag in article.select("a[href]"):
        tag["href"] = within_the_book(tag["href"], page)
    for tag in article.select("img[src]"):
        if not urlsplit(tag["src"]).scheme:
            tag["src"] = relative(page, tag["src"])
    for tag in article.select("pre"):
        if tag.get_text().count("\n") > 16:
            tag["class"] = [*tag.get("class", []), "long"]
    if page == PAGES[0]:  # the title is on the title page
        article.h1.string = "About this book"
    article.name, article["class"], article["id"] = "section", "chapter", slug(page)
    return article


def relative(page, address):
    """Convert an address relative to a page into one relative to the site's first page."""
    path = os.path.normpath(os.path.join(os.path.dirname(page), address))
    return path.replace(os.sep, "/")


def within_the_book(address, page):
    """Return the target of a link: in the book if possible, otherwise on the published site."""
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
    """Return the table of contents, with placeholders for the page numbers."""
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
    """Return the book as one HTML page, to be saved beside the site's first page."""
    chapters = [chapter(site, page) for page in PAGES]
    # Override the fonts' metrics so that glyphs fit in the line box: ink that overflows it is
    # also drawn on the previous page, invisible but present in the tags.
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
<style>{_tokens.css("light")}{faces}\n{STYLE.read_text(encoding="utf-8")}\n{heads}</style>
</head>
<body>
<div id="title-page">
<img src="{CONFIG["logo"]}" alt="">
<p class="title">{title}</p>
<p>{html.escape(chapters[0].p.get_text())}</p>
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
    """Open an HTML page from a file in the browser and print it; return the PDF's bytes."""
    file.write_text(text, encoding="utf-8")
    page.open(file.as_uri())
    page.evaluate("document.fonts.ready")
    options = {
        "preferCSSPageSize": True,
        "printBackground": True,
        "generateTaggedPDF": True,
        "generateDocumentOutline": True,
    }
    return base64.b64decode(page.execute_cdp_cmd("Page.printToPDF", options)["data"])


def pages_of_places(pdf):
    """Return {name of a destination in the book: page number}."""
    reader = pypdf.PdfReader(io.BytesIO(pdf))
    return {
        name.removeprefix("/"): reader.get_destination_page_number(place) + 1
        for name, place in reader.named_destinations.items()
    }


def with_numbers(text, numbers):
    """Replace each {target} in the contents with its page number, or with 100 if none is known."""
    return re.sub(
        r'(?<=<span class="page">)\{(.*?)\}',
        lambda found: str(numbers[found[1]] if numbers else 100),
        text,
    )


def make(site):
    """Print the site; return the PDF's bytes."""
    file = site / "as-one-page.html"
    text = book(site)
    try:
        with browser.browser(patience=600) as page:  # seconds: the week is one long page
            # Browsers cannot number a table of contents yet, so print once to learn the page numbers.
            numbers = pages_of_places(printed(page, file, with_numbers(text, {})))
            return printed(page, file, with_numbers(text, numbers))
    finally:
        file.unlink(missing_ok=True)


def offer(site, pages, size):
    """Link to the PDF from the landing page. The next `make book` removes the link again."""
    landing = site / "index.html"
    link = f' The whole week is also <a href="{NAME}">one PDF</a>, {pages} pages, {size}.'
    text = landing.read_text(encoding="utf-8")
    text, found = re.subn(
        r'(?s)(<span id="as-pdf">).*?(</span>)', lambda span: span[1] + link + span[2], text
    )
    if not found:
        raise ValueError(f'{landing} has no <span id="as-pdf"></span> for the link')
    landing.write_text(text, encoding="utf-8")


def main():
    if not (SITE / "index.html").is_file():
        sys.exit("There is no site to print yet: run `make pdf`, which builds it first.")
    if browser.missing():
        sys.exit(browser.missing())
    pdf = make(SITE)
    (SITE / NAME).write_bytes(pdf)
    pages, size = len(pypdf.PdfReader(io.BytesIO(pdf)).pages), f"{len(pdf) / 1e6:.0f} MB"
    offer(SITE, pages, size)
    print(f"{(SITE / NAME).relative_to(ROOT)}: {pages} pages, {size}")


if __name__ == "__main__":
    main()
