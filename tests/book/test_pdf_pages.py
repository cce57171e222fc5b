"""How .ci/pdf.py joins the pages of the site into one book, without a browser."""

import re
import runpy
from types import SimpleNamespace

import pytest
from bs4 import BeautifulSoup

from support import ROOT, text_of
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


def test_folds_are_open_and_parts_for_the_screen_left_out(tool, tmp_path):
    body = (
        '<h1>Setup<a class="headerlink" href="#setup">#</a></h1><script>go()</script>'
        "<details><summary>A hint</summary><p>Sum over the rows.</p></details>"
        '<details class="hide below-input"><summary>Show code cell output</summary>42</details>'
    )
    chapter = chapter_of(tool, tmp_path, "setup", body)
    assert not chapter.select("details, summary")
    assert chapter.get_text() == "SetupA hintSum over the rows.42"


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


def test_pages_share_their_pictures_and_no_id(tool, tmp_path):
    body = '<h2 id="summary">Summary</h2><img src="../_images/a.png">'
    chapters = [chapter_of(tool, tmp_path, page, body) for page in DAYS[:2]]
    assert len({chapter.h2["id"] for chapter in chapters}) == 2
    assert {chapter.img["src"] for chapter in chapters} == {"_images/a.png"}


def test_landing_page_links_to_the_latest_pdf_only(tool, tmp_path):
    source = text_of("book/index.md")
    assert source.count('<span id="as-pdf"></span>') == 1
    assert ".pdf" not in source
    landing = tmp_path / "index.html"
    landing.write_text('<li>On paper.<span id="as-pdf"></span></li>')
    tool.offer(tmp_path, 200, "9 MB")
    tool.offer(tmp_path, 241, "12 MB")
    soup = BeautifulSoup(landing.read_text(), "html.parser")
    assert [link["href"] for link in soup.select("a")] == [tool.NAME]
    assert "241 pages, 12 MB" in soup.get_text()
    assert "200 pages" not in soup.get_text()


def test_missing_browser_is_named_with_how_to_install_it(tool, tmp_path, monkeypatch):
    (tmp_path / "index.html").touch()
    monkeypatch.setitem(tool.main.__globals__, "SITE", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit) as stopped:
        tool.main()
    assert re.fullmatch(r"none of chromium.* is installed; `.*` installs one", stopped.value.code)
