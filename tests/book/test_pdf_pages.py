"""How .ci/pdf.py joins the pages of the site into one book, without a browser."""

import re
import runpy
from types import SimpleNamespace

import pytest
from bs4 import BeautifulSoup

from support import ROOT
from support.contents import CONFIG, DAYS


@pytest.fixture(scope="module")
def tool():
    return SimpleNamespace(**runpy.run_path(str(ROOT / ".ci" / "pdf.py")))


def chapter_of(tool, folder, page, body):
    """The chapter made from a page with this body."""
    file = folder / f"{page}.html"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"<nav>around</nav><article><section>{body}</section></article>")
    return tool.chapter(folder, page)


def test_folds_of_the_site_are_open_in_the_book(tool, tmp_path):
    body = "<details><summary>A hint</summary><p>Sum over the rows.</p></details>"
    chapter = chapter_of(tool, tmp_path, "setup", body)
    assert not chapter.select("details, summary")
    assert chapter.get_text() == "A hintSum over the rows."


def test_parts_for_the_screen_are_left_out(tool, tmp_path):
    body = (
        '<h1>Setup<a class="headerlink" href="#setup">#</a></h1><script>go()</script>'
        '<details class="hide below-input"><summary>Show code cell output</summary>42</details>'
    )
    assert chapter_of(tool, tmp_path, "setup", body).get_text() == "Setup42"


def test_link_leads_within_the_book_or_to_the_site(tool):
    day, name, other = DAYS[0], tool.slug(DAYS[0]), tool.slug(DAYS[1])
    published = CONFIG["html"]["baseurl"]
    for address, target in {
        "#summary": f"#{name}--summary",
        "../glossary.html": "#glossary",
        "../what-went-wrong.html#bias-mean": "#what-went-wrong--bias-mean",
        f"{other}.html#summary": f"#{other}--summary",
        "../genindex.html": f"{published}genindex.html",
        "https://example.org/a#b": "https://example.org/a#b",
    }.items():
        assert tool.within_the_book(address, day) == target


def test_same_id_on_two_pages_stays_two_places(tool, tmp_path):
    ids = [
        chapter_of(tool, tmp_path, page, '<h2 id="summary">Summary</h2>').h2["id"]
        for page in DAYS[:2]
    ]
    assert len(set(ids)) == 2


def test_pictures_are_found_from_the_first_page(tool, tmp_path):
    chapter = chapter_of(tool, tmp_path, DAYS[0], '<img src="../_images/a.png">')
    assert chapter.img["src"] == "_images/a.png"


def test_landing_page_links_to_the_latest_pdf_only(tool, tmp_path):
    landing = tmp_path / "index.html"
    landing.write_text('<li>On paper.<span id="as-pdf"></span></li>')
    tool.offer(tmp_path, 200, "9 MB")
    tool.offer(tmp_path, 241, "12 MB")
    soup = BeautifulSoup(landing.read_text(), "html.parser")
    assert [link["href"] for link in soup.select("a")] == [tool.NAME]
    assert "241 pages, 12 MB" in soup.get_text()
    assert "200 pages" not in soup.get_text()


def test_landing_page_has_a_place_for_the_link():
    text = (ROOT / "book" / "index.md").read_text(encoding="utf-8")
    assert text.count('<span id="as-pdf"></span>') == 1
    assert ".pdf" not in text


def test_missing_browser_is_named_with_how_to_install_it(tool, tmp_path, monkeypatch):
    (tmp_path / "index.html").touch()
    monkeypatch.setitem(tool.main.__globals__, "SITE", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit) as stopped:
        tool.main()
    assert re.fullmatch(r"none of chromium.* is installed; `.*` installs one", stopped.value.code)
