"""The built site, wherever `NNWEEK_SITE` says that it lies.

These tests read the files as they are; tests/test_browser.py shows them to a browser.
"""

import ast
import functools
import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup

from nnweek.checks import EXERCISES
from nnweek.checks.verdict import GENERIC, anchor
from support import ROOT

if not os.environ.get("NNWEEK_SITE"):
    pytest.skip(
        "NNWEEK_SITE is not set; after `make book`: NNWEEK_SITE=book/_build/html pytest tests",
        allow_module_level=True,
    )

SITE = Path(os.environ["NNWEEK_SITE"]).expanduser().resolve()

BOOK = {
    **yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8")),
    **yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8")),
}
PAGES = [
    BOOK["root"],
    *(chapter["file"] for part in BOOK["parts"] for chapter in part["chapters"]),
]
DAYS = [page for page in PAGES if page.startswith("notebooks/")]
REPOSITORY = re.search(
    r'^Repository = "https://github\.com/([^"]+)"$',
    (ROOT / "pyproject.toml").read_text(encoding="utf-8"),
    re.MULTILINE,
)[1]

every_page = pytest.mark.parametrize("page", PAGES)
every_day = pytest.mark.parametrize("page", DAYS)


@functools.cache
def parsed(file):
    return BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")


def html_of(page):
    file = SITE / f"{page}.html"
    assert file.is_file(), f"{file} is missing"
    return parsed(file)


@functools.cache
def notebook(page):
    return nbformat.read(ROOT / f"{page}.ipynb", as_version=4)


def code_cells(page, hidden):
    cells = [cell for cell in notebook(page).cells if cell.cell_type == "code"]
    return [c for c in cells if ("remove-cell" in c.metadata.get("tags", [])) == hidden]


def is_external(address):
    return bool(urlsplit(address).netloc)


# --- Pages and links ---------------------------------------------------------------------


def test_the_site_is_there():
    assert SITE.is_dir(), f"NNWEEK_SITE is {SITE}, where no folder is"
    assert len(DAYS) == 7


@every_page
def test_every_page_of_the_contents_is_built_and_says_its_language_and_title(page):
    soup = html_of(page)
    assert soup.html["lang"] == "en"
    (heading,) = soup.select("article h1")
    assert heading.find(string=True).strip() in soup.title.get_text()
    assert BOOK["title"] in soup.title.get_text()


def test_no_two_pages_share_a_title():
    titles = [html_of(page).title.get_text().strip() for page in PAGES]
    assert len(set(titles)) == len(titles)


def test_every_page_describes_itself_to_search_engines():
    found = [html_of(page).select("meta[name=description]") for page in PAGES]
    descriptions = [one["content"] for (one,) in found]
    assert all(30 < len(text) <= 300 for text in descriptions)
    assert len(set(descriptions)) == len(PAGES)


@functools.cache
def anchors(file):
    soup = parsed(file)
    return {tag["id"] for tag in soup.select("[id]")} | {
        tag["name"] for tag in soup.select("a[name]")
    }


def broken(file):
    """The addresses in an HTML file that lead nowhere within the site."""
    attributes = [("href", "a, link, use"), ("src", "img, script, source, iframe, embed")]
    for attribute, tags in attributes:
        for tag in parsed(file).select(tags):
            parts = urlsplit(tag.get(attribute, ""))
            if parts.scheme or parts.netloc:
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            if target.is_dir():
                target /= "index.html"
            if not target.is_relative_to(SITE) or not target.is_file():
                yield f"{tag[attribute]}: no such file"
                continue
            place = unquote(parts.fragment)
            if place and target.suffix == ".html" and place not in anchors(target):
                yield f"{tag[attribute]}: no such place on that page"


def test_every_internal_link_and_every_anchor_leads_somewhere():
    files = [file for file in SITE.rglob("*.html") if "_static" not in file.parts]
    assert len(files) >= len(PAGES)
    found = {str(file.relative_to(SITE)): list(broken(file)) for file in files}
    assert not {name: links for name, links in found.items() if links}


@every_day
def test_the_colab_button_opens_this_repositorys_notebook(page):
    addresses = {
        link["href"] for link in html_of(page).select('a[href*="colab.research.google.com"]')
    }
    assert addresses == {
        f"https://colab.research.google.com/github/{REPOSITORY}/blob/main/{page}.ipynb"
    }
    assert (ROOT / f"{page}.ipynb").is_file()


def test_a_page_that_is_no_notebook_has_no_colab_button():
    for page in set(PAGES) - set(DAYS):
        assert not html_of(page).select('a[href*="colab.research.google.com/github/"]'), page


@every_page
def test_the_page_links_to_its_repository(page):
    links = {link["href"] for link in html_of(page).select('a[href^="https://github.com/"]')}
    assert f"https://github.com/{REPOSITORY}" in links


# --- Nothing is fetched from elsewhere -----------------------------------------------------


def styles(file):
    """Addresses that a style sheet fetches, and those of the sheets that it imports."""
    text = re.sub(r"/\*.*?\*/", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
    for address in fetched_by_css(text):
        yield address
        path = (file.parent / unquote(urlsplit(address).path)).resolve()
        if path.suffix == ".css" and not is_external(address) and path.is_file():
            yield from styles(path)


def fetched_by_css(text):
    addresses = re.findall(r"@import\s+[\"']([^\"']+)", text)
    addresses += re.findall(r"url\(\s*[\"']?([^\"')]+)", text)
    return [address for address in addresses if not address.startswith(("data:", "#"))]


LOADED_LINKS = {
    "stylesheet", "icon", "apple-touch-icon", "mask-icon", "preload", "modulepreload", "prefetch",
    "preconnect", "dns-prefetch", "prerender", "manifest",
}  # fmt: skip


def loaded(page):
    """Every address that a browser fetches when it opens the page, without running scripts."""
    soup = html_of(page)
    for tag in soup.select("[src]"):
        yield tag["src"]
    for tag in soup.select("[srcset]"):
        yield from (part.split()[0] for part in tag["srcset"].split(",") if part.strip())
    for tag in soup.select("object[data], video[poster]"):
        yield tag.get("data") or tag.get("poster")
    for tag in soup.select("link[href]"):
        if LOADED_LINKS & {rel.lower() for rel in tag.get("rel", [])}:
            yield tag["href"]
            sheet = (SITE / page).parent / unquote(urlsplit(tag["href"]).path)
            if "stylesheet" in tag["rel"] and not is_external(tag["href"]) and sheet.is_file():
                yield from styles(sheet.resolve())
    for tag in soup.select("style"):
        yield from fetched_by_css(tag.get_text())
    for tag in soup.select("[style]"):
        yield from fetched_by_css(tag["style"])


@every_page
def test_opening_the_page_asks_no_other_server(page):
    addresses = set(loaded(page))
    assert any(urlsplit(address).path.endswith(".css") for address in addresses)
    assert not {address for address in addresses if is_external(address)}
    assert not html_of(page).select("iframe, base, meta[http-equiv=refresh]")


@every_page
def test_formulas_are_set_by_the_build_for_the_eye_and_for_the_ear(page):
    html = html_of(page)
    assert not html.select("script[src*=mathjax i]"), "what is set need not be set again"
    signs = [path["id"] for path in html.select("svg.signs path[d]")]
    assert len(signs) == len(set(signs))
    used = {use["href"].removeprefix("#") for use in html.select(".math svg use")}
    assert used == set(signs), "a sign that is nowhere, or for nothing"
    for formula in html.select(".math"):
        (spoken,), (drawn,) = formula.select("math"), formula.select("svg")
        assert spoken["alttext"].strip()
        assert spoken.select("mi, mn, mo, mtext"), spoken["alttext"]
        assert drawn["aria-hidden"] == "true", "read aloud twice"
        assert drawn.select("use"), spoken["alttext"]


def test_some_pages_have_formulas():
    assert len([page for page in PAGES if html_of(page).select(".math")]) >= 3


# --- What a page costs before it shows -------------------------------------------------------


@every_page
def test_a_page_waits_for_one_stylesheet(page):
    assert len(html_of(page).select("link[rel=stylesheet]")) == 1


@every_page
def test_code_has_no_tags_but_those_with_a_colour_of_their_own(page):
    bare = html_of(page).select(".highlight span:is(.n, .nn, .p, .w)")
    assert not bare


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_has_no_tags_in_code_has_the_colour_of_code(theme):
    style = (SITE / "_static" / "pygments.css").read_text(encoding="utf-8")

    def colour(of):
        rule = rf'^html\[data-theme="{theme}"\] {re.escape(of)} \{{[^}}]*?(?<!-)color: (#\w+)'
        return re.search(rule, style, re.MULTILINE)[1]

    assert {colour(f".highlight .{name}") for name in ("n", "nn", "p", "w")} == {
        colour(".highlight")
    }


def test_the_themes_script_measures_nothing_when_a_page_opens():
    script = (SITE / "_static" / "scripts" / "pydata-sphinx-theme.js").read_text(encoding="utf-8")
    assert ".tabIndex=" in script, "the theme does it no more: week.js need not either"
    assert '["pre",' not in script


# --- What stands on a page -------------------------------------------------------------------


@every_page
def test_every_picture_has_alt_text(page):
    for image in html_of(page).select("img"):
        alt = image.get("alt", "").strip()
        assert alt, f"no alt text: {image}"
        assert not re.search(r"_images/|\.(png|svg|jpe?g|gif)$", alt), f"a path for alt text: {alt}"


@every_page
def test_no_page_shows_an_error_or_raw_markup(page):
    article = html_of(page).select_one("article")
    assert not article.select(".traceback, .stderr, .system-message, .problematic")
    assert "Traceback (most recent call last)" not in article.get_text()
    text = " ".join(
        string
        for string in article.find_all(string=True)
        if not string.find_parent(["code", "pre", "script", "style"])
        and not string.find_parent(class_=["math", "sig"])  # nor a signature with **kwargs
    )
    raw = re.findall(
        r".{0,30}(?:\$\$|\{[\w:+-]+\}`|\{doc\}|:::|```|\*\*|\\\(|\\\[|\|\s*[-–—]+\s*\|).{0,30}",
        text,
    )
    assert not raw


def shown_code(cell):
    return cell.select_one(".cell_input").get_text().strip()


@every_day
def test_the_page_shows_the_notebooks_visible_cells_and_not_the_hidden_ones(page):
    shown = [shown_code(cell) for cell in html_of(page).select("div.cell")]
    assert shown == [cell.source.strip() for cell in code_cells(page, hidden=False)]
    for cell in code_cells(page, hidden=True):
        assert cell.source.strip() not in shown


def shows_something(cell):
    """Whether a cell prints, draws or ends in a value, outside definitions."""
    statements = [
        node
        for node in ast.parse(cell.source).body
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef))
    ]
    calls = [
        getattr(node.func, "id", "")
        for statement in statements
        for node in ast.walk(statement)
        if isinstance(node, ast.Call)
    ]
    return (
        "print" in calls
        or any(name.startswith("plot_") for name in calls)
        or (bool(statements) and isinstance(statements[-1], ast.Expr) and "Markdown" in calls)
    )


@every_day
def test_every_cell_that_measures_shows_what_it_measured(page):
    measuring = 0
    cells = zip(html_of(page).select("div.cell"), code_cells(page, hidden=False), strict=True)
    for on_page, cell in cells:
        if shows_something(cell):
            measuring += 1
            output = on_page.select_one(".cell_output")
            assert output, f"no output of:\n{cell.source}"
            assert output.get_text().strip() or output.select("img"), f"empty:\n{cell.source}"
    assert measuring > 0


@every_day
def test_every_figure_is_on_the_page_with_its_alt_text(page):
    figures = html_of(page).select(".cell_output img")
    expected = [
        cell.metadata["mystnb"]["image"]["alt"]
        for cell in code_cells(page, hidden=False)
        if "mystnb" in cell.metadata
    ]
    assert [figure["alt"] for figure in figures] == expected
    for figure in figures:
        file = ((SITE / page).parent / figure["src"]).resolve()
        assert file.read_bytes().startswith((b"\x89PNG", b"GIF8")), file


# --- What went wrong? ------------------------------------------------------------------------

WHAT_WENT_WRONG = "what-went-wrong"
MISTAKES = [
    (exercise.name, mistake)
    for exercise in EXERCISES.values()
    for mistake in exercise.mistakes
    if mistake.id not in GENERIC
]


def place(id_):
    """The section of the page at `#id_`, without the sections inside it."""
    (section,) = html_of(WHAT_WENT_WRONG).select(f'[id="{id_}"]')
    assert section.name == "section", f"#{id_} is a {section.name}"
    own = [child for child in section.find_all(recursive=False) if child.name != "section"]
    return plain(" ".join(child.get_text() for child in own))


def plain(text):
    """The words, without the marks that the page sets in its own way."""
    return " ".join(re.sub("[`'\"‘’“”]", "", text).split())


@pytest.mark.parametrize(
    ("exercise", "mistake"),
    [pytest.param(name, mistake, id=anchor(name, mistake.id)) for name, mistake in MISTAKES],
)
def test_every_mistake_has_its_place_with_what_it_means_and_its_first_hint(exercise, mistake):
    said = place(anchor(exercise, mistake.id))
    assert plain(mistake.explanation) in said
    assert plain(mistake.hints[0]) in said


def test_every_exercise_and_every_generic_id_has_its_place():
    for name, exercise in EXERCISES.items():
        assert plain(exercise.signature) in place(name)
    for id_, means in GENERIC.items():
        assert plain(means) in place(id_)


def test_no_two_places_of_that_page_share_a_name():
    ids = [tag["id"] for tag in html_of(WHAT_WENT_WRONG).select("[id]")]
    assert len(ids) == len(set(ids))


def test_the_page_gives_no_second_hint_away():
    page = plain(html_of(WHAT_WENT_WRONG).select_one("article").get_text())
    for name, mistake in MISTAKES:
        for hint in mistake.hints[1:]:
            assert plain(hint) not in page, anchor(name, mistake.id)


def test_every_symptom_of_the_table_leads_to_its_demonstration():
    article = html_of(WHAT_WENT_WRONG).select_one("article")
    rows = article.select_one("table").select("tbody tr")
    assert len(rows) >= 9
    targets = [row.select_one('a[href^="#symptom-"]')["href"][1:] for row in rows]
    assert len(set(targets)) == len(targets)
    for target in targets:
        place = html_of(WHAT_WENT_WRONG).find(id=target)
        section = place if place.name == "section" else place.find_parent("section")
        assert not section.select("section"), f"#{target} is no row of its own"
        assert section.select(".cell_output"), f"nothing is run at #{target}"
        assert "What to do:" in section.get_text(), target


def test_the_numbers_of_the_table_are_those_of_the_cells():
    article = html_of(WHAT_WENT_WRONG).select_one("article")
    printed = " ".join(cell.get_text() for cell in article.select(".cell_output"))
    table = article.select_one("table").get_text()
    for number in re.findall(r"\d+\.\d{4}|\d+\.\d\d%", table):
        assert number in printed, number
    if "MNIST: 2,000 training" in printed:
        for number in ("11.35%", "9.80%", "10.04%", "2.3026", "1.4612"):
            assert number in table, number


def test_a_verdict_on_a_page_links_within_the_book():
    for page in DAYS:
        for link in html_of(page).select(f'a[href*="{WHAT_WENT_WRONG}.html#"]'):
            assert not is_external(link["href"]), f"{page}: {link['href']}"
