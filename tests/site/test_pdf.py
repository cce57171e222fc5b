"""The week as one PDF: how pages become a book, and the printed file, read by pypdf.

Where the file lies is said by `NNWEEK_PDF`, after `make pdf`.
"""

import os
import re
import runpy
import unicodedata
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pypdf
import pytest
import yaml
from bs4 import BeautifulSoup

from support import ROOT

BOOK = {
    **yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8")),
    **yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8")),
}
DAYS = [path.stem for path in sorted((ROOT / "notebooks").glob("day-*.ipynb"))]
every_day = pytest.mark.parametrize("day", DAYS)


# --- How pages become a book, without a browser -------------------------------------------


@pytest.fixture(scope="module")
def tool():
    return SimpleNamespace(**runpy.run_path(str(ROOT / ".ci" / "pdf.py")))


def chapter_of(tool, folder, page, body):
    """The chapter that a page with this body becomes."""
    file = folder / f"{page}.html"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"<nav>around</nav><article><section>{body}</section></article>")
    return tool.chapter(folder, page)


def test_what_is_behind_a_click_on_the_site_is_open_in_the_book(tool, tmp_path):
    body = "<details><summary>A hint</summary><p>Sum over the rows.</p></details>"
    chapter = chapter_of(tool, tmp_path, "setup", body)
    assert not chapter.select("details, summary")
    assert chapter.get_text() == "A hintSum over the rows."


def test_what_only_a_screen_needs_is_left_out(tool, tmp_path):
    body = (
        '<h1>Setup<a class="headerlink" href="#setup">#</a></h1><script>go()</script>'
        '<details class="hide below-input"><summary>Show code cell output</summary>42</details>'
    )
    assert chapter_of(tool, tmp_path, "setup", body).get_text() == "Setup42"


def test_a_link_leads_to_its_place_in_the_book_or_to_the_published_site(tool):
    day, published = f"notebooks/{DAYS[0]}", BOOK["html"]["baseurl"]
    for address, meant in {
        "#summary": f"#{DAYS[0]}--summary",
        "../glossary.html": "#glossary",
        "../what-went-wrong.html#bias-mean": "#what-went-wrong--bias-mean",
        f"{DAYS[1]}.html#summary": f"#{DAYS[1]}--summary",
        "../genindex.html": f"{published}genindex.html",
        "https://example.org/a#b": "https://example.org/a#b",
    }.items():
        assert tool.within_the_book(address, day) == meant


def test_places_of_one_name_on_two_pages_stay_two_places(tool, tmp_path):
    ids = [
        chapter_of(tool, tmp_path, page, '<h2 id="summary">Summary</h2>').h2["id"]
        for page in (f"notebooks/{DAYS[0]}", f"notebooks/{DAYS[1]}")
    ]
    assert len(set(ids)) == 2


def test_pictures_are_found_from_the_sites_first_page(tool, tmp_path):
    chapter = chapter_of(tool, tmp_path, f"notebooks/{DAYS[0]}", '<img src="../_images/a.png">')
    assert chapter.img["src"] == "_images/a.png"


def test_the_landing_page_offers_the_pdf_once_however_often_it_is_printed(tool, tmp_path):
    landing = tmp_path / "index.html"
    landing.write_text('<li>On paper.<span id="as-pdf"></span></li>')
    tool.offer(tmp_path, 200, "9 MB")
    tool.offer(tmp_path, 241, "12 MB")
    soup = BeautifulSoup(landing.read_text(), "html.parser")
    assert [link["href"] for link in soup.select("a")] == [tool.NAME]
    assert "241 pages, 12 MB" in soup.get_text()
    assert "200 pages" not in soup.get_text()


def test_the_landing_page_has_a_place_for_the_offer_and_no_dead_link():
    text = (ROOT / "book" / "index.md").read_text(encoding="utf-8")
    assert text.count('<span id="as-pdf"></span>') == 1
    assert ".pdf" not in text


def test_without_a_browser_one_sentence_says_what_to_install(tool, tmp_path, monkeypatch):
    (tmp_path / "index.html").touch()
    monkeypatch.setitem(tool.main.__globals__, "SITE", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit) as stopped:
        tool.main()
    assert re.fullmatch(r"none of chromium.* is installed; `.*` installs one", stopped.value.code)


# --- The printed book -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def pdf():
    if not os.environ.get("NNWEEK_PDF"):
        pytest.skip("NNWEEK_PDF is not set; after `make pdf` it is the path that was printed")
    return pypdf.PdfReader(Path(os.environ["NNWEEK_PDF"]).expanduser())


@pytest.fixture(scope="module")
def texts(pdf):
    """The letters and digits of each page: where a line ends, and with what, means nothing."""
    return [squeezed(page.extract_text()) for page in pdf.pages]


def squeezed(text):
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text))  # no ligatures


@pytest.fixture(scope="module")
def tags(pdf):
    """(tag, alt text) of all parts of the book, in reading order."""
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
    """(title, page number) of the bookmarks of the first level."""
    return [
        (mark.title, pdf.get_destination_page_number(mark) + 1)
        for mark in pdf.outline
        if not isinstance(mark, list)
    ]


def titles():
    """The seven titles as the notebooks have them."""
    for day in DAYS:
        first = nbformat.read(ROOT / "notebooks" / f"{day}.ipynb", as_version=4).cells[0]
        yield first.source.splitlines()[0].removeprefix("# ")


def test_the_book_is_tagged_and_says_its_language_and_its_title(pdf, tags):
    root = pdf.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"] == "en"
    assert pdf.metadata.title == BOOK["title"]
    assert {"/H1", "/H2", "/P", "/L", "/LI", "/Table", "/TH", "/Code", "/Link"} <= {
        tag for tag, _ in tags
    }


def test_every_page_is_a4(pdf):
    assert {tuple(round(side) for side in page.mediabox[2:]) for page in pdf.pages} == {(595, 842)}


def test_the_bookmarks_name_the_seven_days_in_order_each_on_a_new_page(pdf, texts):
    marks = bookmarks(pdf)
    days = [mark for mark in marks if mark[0].startswith("Day ")]
    assert [title for title, _ in days] == list(titles())
    pages = [number for _, number in marks]
    assert pages == sorted(set(pages))
    head = squeezed(BOOK["title"])
    for title, number in days:
        # The title stands at the top of the page, and then as the first words of its text.
        begin = f"{head}{squeezed(title)}{number}{squeezed(title)}"
        assert texts[number - 1].startswith(begin), f"page {number} begins otherwise"


def test_the_contents_give_each_chapter_the_page_that_its_bookmark_leads_to(pdf, texts):
    marks = bookmarks(pdf)
    contents = "".join(texts[1 : marks[0][1] - 1])
    for title, number in marks:
        assert f"{squeezed(title)}{number}" in contents, f"{title} is not on page {number}"


def test_no_level_of_headings_is_left_out(tags):
    levels = [int(tag[2]) for tag, _ in tags if re.fullmatch(r"/H\d", tag)]
    assert levels.count(1) == 1 + sum(len(part["chapters"]) for part in BOOK["parts"])
    assert levels[0] == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))


@every_day
def test_what_stands_behind_a_click_on_the_site_stands_in_the_book(day, texts):
    whole = "".join(texts)
    cells = nbformat.read(ROOT / "notebooks" / f"{day}.ipynb", as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    behind = re.findall(r"<details>.*?</details>", text, re.DOTALL)
    lines = [
        line
        for block in behind
        for code in re.findall(r"```python\n(.*?)```", block, re.DOTALL)
        for line in code.splitlines()
    ]
    # Of prose the first words: further on, the end of a page may come between.
    first = [block.partition("</summary>")[2].strip()[:25] for block in behind]
    lines += [words for words in first if not re.search(r"[$`|\[]", words)]
    assert len(lines) > 3
    assert not [line for line in lines if squeezed(line) not in whole]


def test_nothing_tells_a_reader_to_click(texts):
    assert not [number for number, text in enumerate(texts, 1) if "Showcodecell" in text]


@every_day
def test_every_figure_of_a_day_is_in_the_book_with_its_alt_text(day, tags):
    cells = nbformat.read(ROOT / "notebooks" / f"{day}.ipynb", as_version=4).cells
    wanted = {
        cell.metadata.mystnb.image.alt
        for cell in cells
        if "image" in cell.metadata.get("mystnb", {})
    }
    assert wanted
    assert wanted <= {alt for tag, alt in tags if tag == "/Figure"}


def test_every_figure_and_every_formula_has_alt_text(tags):
    figures = [alt for tag, alt in tags if tag == "/Figure"]
    assert all(alt and alt.strip() for alt in figures)
    sheet = (ROOT / "book" / "cheat-sheet.md").read_text(encoding="utf-8")
    formulas = re.findall(r"(?<!\$)\$([^$\n]+)\$(?!\$)", sheet)
    assert len(formulas) > 50
    assert not {formula.strip() for formula in formulas} - set(figures), "read aloud as nothing"


def test_no_page_is_blank(pdf, texts):
    around = len(squeezed(BOOK["title"])) + 60  # the head and the number of the page
    blank = [
        number
        for number, (page, text) in enumerate(zip(pdf.pages, texts, strict=True), 1)
        if len(text) < around and not page.images
    ]
    assert not blank


def test_every_font_is_in_the_file(pdf):
    fonts = {}
    for page in pdf.pages:
        for font in page["/Resources"].get("/Font", {}).values():
            fonts[font.indirect_reference.idnum] = font.get_object()
    assert fonts
    for font in fonts.values():
        if font["/Subtype"] != "/Type3":  # such a font is made of drawings in the file
            inner = font.get("/DescendantFonts", [font])[0].get_object()
            files = {"/FontFile", "/FontFile2", "/FontFile3"}
            assert files & set(inner["/FontDescriptor"]), f"{font['/BaseFont']} is not embedded"


def links(pdf):
    """(page number, what the link does) for every link of the book."""
    for number, page in enumerate(pdf.pages, 1):
        for note in page.get("/Annots", []):
            if note.get_object()["/Subtype"] == "/Link":
                yield number, note.get_object()


def test_every_link_within_the_book_leads_to_one_of_its_places(pdf):
    names = {name.removeprefix("/") for name in pdf.named_destinations}
    inside = [
        (number, str(link["/Dest"]).removeprefix("/"))
        for number, link in links(pdf)
        if "/Dest" in link
    ]
    assert len(inside) > 150
    assert not [(number, name) for number, name in inside if name not in names]
    for place in pdf.named_destinations.values():
        assert 0 <= pdf.get_destination_page_number(place) < len(pdf.pages)


def test_every_other_link_is_one_for_everybody(pdf):
    """None leads to a file or a server of the machine that printed the book."""
    outside = [link["/A"]["/URI"] for _, link in links(pdf) if "/A" in link]
    assert len(outside) > 20
    assert not [
        uri for uri in outside if not re.match(r"https?://(?!localhost|127\.)|mailto:", uri)
    ]
    assert not [uri for uri in outside if uri.endswith(".pdf") and BOOK["html"]["baseurl"] in uri]
