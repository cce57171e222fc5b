"""The week printed as one PDF, read by pypdf; `NNWEEK_PDF` names the file after `make pdf`."""

import os
import re
import unicodedata
from itertools import pairwise
from pathlib import Path

import pypdf
import pytest

from support import text_of
from support.contents import CONFIG, PAGES
from support.notebooks import DAYS, cells, every_day, markdown_cells


@pytest.fixture(scope="module")
def pdf():
    if not os.environ.get("NNWEEK_PDF"):
        pytest.skip("NNWEEK_PDF is not set; after `make pdf`, set it to the file that was printed.")
    return pypdf.PdfReader(Path(os.environ["NNWEEK_PDF"]).expanduser())


@pytest.fixture(scope="module")
def texts(pdf):
    """The letters and digits of each page, without spaces and punctuation."""
    return [squeezed(page.extract_text()) for page in pdf.pages]


def squeezed(text):
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text))  # no ligatures


@pytest.fixture(scope="module")
def tags(pdf):
    """(tag, alt text) of every element of the book, in reading order."""
    found, waiting = [], [pdf.trailer["/Root"]["/StructTreeRoot"]]
    while waiting:
        part = waiting.pop().get_object()
        if isinstance(part, list):
            waiting.extend(reversed([kid for kid in part if not isinstance(kid, int)]))
        elif isinstance(part, dict):
            if "/S" in part:
                found.append((part["/S"], part.get("/Alt")))
            if not isinstance(part.get("/K", 0), int):
                waiting.append(part.raw_get("/K"))
    return found


def bookmarks(pdf):
    """(title, page number) of the top-level bookmarks."""
    return [
        (mark.title, pdf.get_destination_page_number(mark) + 1)
        for mark in pdf.outline
        if not isinstance(mark, list)
    ]


def test_book_is_a4_with_tags_a_language_and_a_title(pdf, tags):
    root = pdf.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"] == "en"
    assert pdf.metadata.title == CONFIG["title"]
    assert {"/H1", "/H2", "/P", "/L", "/LI", "/Table", "/TH", "/Code", "/Link"} <= {
        tag for tag, _ in tags
    }
    assert {tuple(round(side) for side in page.mediabox[2:]) for page in pdf.pages} == {(595, 842)}


def test_bookmarks_name_the_days_in_order_on_new_pages(pdf, texts):
    marks = bookmarks(pdf)
    days = [mark for mark in marks if mark[0].startswith("Day ")]
    titles = [cells(day)[0].source.splitlines()[0].removeprefix("# ") for day in DAYS]
    assert [title for title, _ in days] == titles
    pages = [number for _, number in marks]
    assert pages == sorted(set(pages))
    head = squeezed(CONFIG["title"])
    for title, number in days:
        # The title is in the page's header and then the beginning of its text.
        begin = f"{head}{squeezed(title)}{number}{squeezed(title)}"
        assert texts[number - 1].startswith(begin), f"page {number} begins differently"


def test_contents_and_bookmarks_give_the_same_pages(pdf, texts):
    marks = bookmarks(pdf)
    contents = "".join(texts[1 : marks[0][1] - 1])
    for title, number in marks:
        assert f"{squeezed(title)}{number}" in contents, f"{title} is not on page {number}"


def test_no_heading_level_is_skipped(tags):
    levels = [int(tag[2]) for tag, _ in tags if re.fullmatch(r"/H\d", tag)]
    assert levels.count(1) == len(PAGES)
    assert levels[0] == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))


@every_day
def test_folded_text_of_the_site_is_in_the_book(day, texts):
    everything = "".join(texts)
    text = "\n".join(cell.source for cell in markdown_cells(day))
    folds = re.findall(r"<details>.*?</details>", text, re.DOTALL)
    code = re.findall(r"```python\n(.*?)```", "\n".join(folds), re.DOTALL)
    lines = "".join(code).splitlines()
    # Only the first words of prose, since later ones may be split by the end of a page.
    first = [block.partition("</summary>")[2].strip()[:25] for block in folds]
    lines += [words for words in first if not re.search(r"[$`|\[]", words)]
    assert len(lines) > 3
    assert not [line for line in lines if squeezed(line) not in everything]


@every_day
def test_figures_of_a_day_are_in_the_book(day, tags):
    images = [cell.metadata.get("mystnb", {}).get("image") for cell in cells(day)]
    wanted = {image["alt"] for image in images if image}
    assert wanted
    assert wanted <= {alt for tag, alt in tags if tag == "/Figure"}


def test_every_figure_and_formula_has_alt_text(tags):
    figures = [alt for tag, alt in tags if tag == "/Figure"]
    assert all(alt and alt.strip() for alt in figures)
    formulas = re.findall(r"(?<!\$)\$([^$\n]+)\$(?!\$)", text_of("book/cheat-sheet.md"))
    assert len(formulas) > 50
    assert not {formula.strip() for formula in formulas} - set(figures), "formulas without alt text"


def test_no_page_is_blank_or_tells_the_reader_to_click(pdf, texts):
    assert not [number for number, text in enumerate(texts, 1) if "Showcodecell" in text]
    header = len(squeezed(CONFIG["title"])) + 60  # with the page number
    blank = [
        number
        for number, (page, text) in enumerate(zip(pdf.pages, texts, strict=True), 1)
        if len(text) < header and not page.images
    ]
    assert not blank


def test_every_font_is_embedded(pdf):
    fonts = {
        font.indirect_reference.idnum: font.get_object()
        for page in pdf.pages
        for font in page["/Resources"].get("/Font", {}).values()
    }
    assert fonts
    for font in fonts.values():
        if font["/Subtype"] != "/Type3":  # its glyphs are drawings in the file
            inner = font.get("/DescendantFonts", [font])[0].get_object()
            files = {"/FontFile", "/FontFile2", "/FontFile3"}
            assert files & set(inner["/FontDescriptor"]), f"{font['/BaseFont']} is not embedded"


def links(pdf):
    """(page number, annotation) of every link of the book."""
    for number, page in enumerate(pdf.pages, 1):
        for note in page.get("/Annots", []):
            if note.get_object()["/Subtype"] == "/Link":
                yield number, note.get_object()


def test_no_link_within_the_book_is_broken(pdf):
    names = {name.removeprefix("/") for name in pdf.named_destinations}
    inside = [(number, str(link["/Dest"])) for number, link in links(pdf) if "/Dest" in link]
    assert len(inside) > 150
    assert not [place for place in inside if place[1].removeprefix("/") not in names]
    for place in pdf.named_destinations.values():
        assert 0 <= pdf.get_destination_page_number(place) < len(pdf.pages)


def test_no_link_leads_to_the_machine_that_printed(pdf):
    outside = [link["/A"]["/URI"] for _, link in links(pdf) if "/A" in link]
    assert len(outside) > 20
    elsewhere = re.compile(r"https?://(?!localhost|127\.)|mailto:")
    assert not [uri for uri in outside if not elsewhere.match(uri)]
    assert not [uri for uri in outside if uri.endswith(".pdf") and CONFIG["html"]["baseurl"] in uri]
