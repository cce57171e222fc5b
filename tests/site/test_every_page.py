"""Every page of the built site, read as a file; test_browser.py shows it to a browser."""

import ast
import functools
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest

from nnweek.checks import EXERCISES
from nnweek.checks.verdict import GENERIC, anchor
from support import ROOT
from support.contents import CONFIG, DAYS, PAGES
from support.site import SITE, article, html_of, parsed, read

REPOSITORY = re.search(
    r'^Repository = "https://github\.com/([^"]+)"$',
    (ROOT / "pyproject.toml").read_text(encoding="utf-8"),
    re.MULTILINE,
)[1]

every_page = pytest.mark.parametrize("page", PAGES)
every_day = pytest.mark.parametrize("page", DAYS)


@functools.cache
def notebook(page):
    return nbformat.read(ROOT / f"{page}.ipynb", as_version=4)


def code_cells(page, hidden):
    cells = [cell for cell in notebook(page).cells if cell.cell_type == "code"]
    return [c for c in cells if ("remove-cell" in c.metadata.get("tags", [])) == hidden]


def is_external(address):
    return bool(urlsplit(address).netloc)


# --- Pages and links ---------------------------------------------------------------------


def test_site_exists_with_seven_days():
    assert SITE.is_dir(), f"NNWEEK_SITE is {SITE}, which is not a folder"
    assert len(DAYS) == 7


@every_page
def test_page_of_the_contents_has_its_language_and_title(page):
    soup = html_of(page)
    assert soup.html["lang"] == "en"
    (heading,) = soup.select("article h1")
    assert heading.find(string=True).strip() in soup.title.get_text()
    assert CONFIG["title"] in soup.title.get_text()


def test_titles_are_unique():
    titles = [html_of(page).title.get_text().strip() for page in PAGES]
    assert len(set(titles)) == len(titles)


def test_page_descriptions_are_unique_and_short():
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
    """The broken links within the site in an HTML file."""
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


def test_no_internal_link_or_anchor_is_broken():
    files = [file for file in SITE.rglob("*.html") if "_static" not in file.parts]
    assert len(files) >= len(PAGES)
    found = {str(file.relative_to(SITE)): list(broken(file)) for file in files}
    assert not {name: links for name, links in found.items() if links}


@every_day
def test_colab_button_opens_this_repositorys_notebook(page):
    addresses = {
        link["href"] for link in html_of(page).select('a[href*="colab.research.google.com"]')
    }
    assert addresses == {
        f"https://colab.research.google.com/github/{REPOSITORY}/blob/main/{page}.ipynb"
    }
    assert (ROOT / f"{page}.ipynb").is_file()


def test_only_notebooks_have_a_colab_button():
    for page in set(PAGES) - set(DAYS):
        assert not html_of(page).select('a[href*="colab.research.google.com/github/"]'), page


@every_page
def test_page_links_to_its_repository(page):
    links = {link["href"] for link in html_of(page).select('a[href^="https://github.com/"]')}
    assert f"https://github.com/{REPOSITORY}" in links


# --- Nothing is fetched from elsewhere -----------------------------------------------------


LOADING = ("src", "srcset", "poster", "data", "href")


def fetched_by_css(text):
    """The addresses in styles; those of data and of places on the page are not fetched."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return re.findall(r"""(?:@import\s+|url\(\s*)["']?((?!data:|#)[^"')]+)""", text)


@every_page
def test_page_fetches_nothing_from_another_server(page):
    soup = html_of(page)
    tags = soup.select("[src], [srcset], [poster], object[data], link[href]:not([rel=canonical])")
    addresses = [tag[name] for tag in tags for name in LOADING if tag.has_attr(name)]
    (sheet,) = (SITE / "_static").glob(Path(soup.select_one("link[rel=stylesheet]")["href"]).name)
    styles = [sheet.read_text(encoding="utf-8"), *(tag.get_text() for tag in soup.select("style"))]
    for style in [*styles, *(tag["style"] for tag in soup.select("[style]"))]:
        addresses += fetched_by_css(style)
    assert len(addresses) > 10
    assert not [address for address in addresses if re.search(r"(^|[\s,:])//", address)]
    assert not soup.select("iframe, base, meta[http-equiv=refresh]")


@every_page
def test_formulas_are_typeset_as_drawings_and_mathml(page):
    html = html_of(page)
    assert not html.select("script[src*=mathjax i]"), "formulas are already typeset"
    glyphs = [path["id"] for path in html.select("svg.signs path[d]")]
    assert len(glyphs) == len(set(glyphs))
    used = {use["href"].removeprefix("#") for use in html.select(".math svg use")}
    assert used == set(glyphs), "a glyph is missing or unused"
    for formula in html.select(".math"):
        (mathml,), (drawing,) = formula.select("math"), formula.select("svg")
        assert mathml["alttext"].strip()
        assert mathml.select("mi, mn, mo, mtext"), mathml["alttext"]
        assert drawing["aria-hidden"] == "true", "a screen reader would read the formula twice"
        assert drawing.select("use"), mathml["alttext"]


def test_several_pages_have_formulas():
    assert len([page for page in PAGES if html_of(page).select(".math")]) >= 3


# --- What a page costs before it shows -------------------------------------------------------


@every_page
def test_page_loads_one_stylesheet(page):
    assert len(html_of(page).select("link[rel=stylesheet]")) == 1


@every_page
def test_code_has_no_tags_without_a_colour(page):
    bare = html_of(page).select(".highlight span:is(.n, .nn, .p, .w)")
    assert not bare


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_untagged_code_has_the_colour_of_code(theme):
    style = read("_static/pygments.css")

    def colour(of):
        rule = rf'^html\[data-theme="{theme}"\] {re.escape(of)} \{{[^}}]*?(?<!-)color: (#\w+)'
        return re.search(rule, style, re.MULTILINE)[1]

    assert {colour(f".highlight .{name}") for name in ("n", "nn", "p", "w")} == {
        colour(".highlight")
    }


def test_theme_measures_nothing_when_a_page_opens():
    script = read("_static/scripts/pydata-sphinx-theme.js")
    assert ".tabIndex=" in script, "the theme no longer does this, so week.js need not either"
    assert '["pre",' not in script


# --- The content of a page -------------------------------------------------------------------


@every_page
def test_pictures_have_alt_text(page):
    for image in html_of(page).select("img"):
        alt = image.get("alt", "").strip()
        assert alt, f"no alt text: {image}"
        assert not re.search(r"_images/|\.(png|svg|jpe?g|gif)$", alt), (
            f"the alt text is a path: {alt}"
        )


@every_page
def test_page_shows_no_error_and_no_raw_markup(page):
    content = article(page)
    assert not content.select(".traceback, .stderr, .system-message, .problematic")
    assert "Traceback (most recent call last)" not in content.get_text()
    text = " ".join(
        string
        for string in content.find_all(string=True)
        if not string.find_parent(["code", "pre", "script", "style"])
        and not string.find_parent(class_=["math", "sig"])  # a signature has **kwargs
    )
    raw = re.findall(
        r".{0,30}(?:\$\$|\{[\w:+-]+\}`|\{doc\}|:::|```|\*\*|\\\(|\\\[|\|\s*[-–—]+\s*\|).{0,30}",
        text,
    )
    assert not raw


def shown_code(cell):
    return cell.select_one(".cell_input").get_text().strip()


@every_day
def test_page_shows_exactly_the_visible_cells(page):
    shown = [shown_code(cell) for cell in html_of(page).select("div.cell")]
    assert shown == [cell.source.strip() for cell in code_cells(page, hidden=False)]
    for cell in code_cells(page, hidden=True):
        assert cell.source.strip() not in shown


def shows_something(cell):
    """Whether a cell prints, draws or ends in a value, definitions aside."""
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
def test_every_measuring_cell_shows_its_output(page):
    measuring = 0
    cells = zip(html_of(page).select("div.cell"), code_cells(page, hidden=False), strict=True)
    for on_page, cell in cells:
        if shows_something(cell):
            measuring += 1
            output = on_page.select_one(".cell_output")
            assert output, f"no output of:\n{cell.source}"
            assert output.get_text().strip() or output.select("img"), (
                f"empty output of:\n{cell.source}"
            )
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
    """The words of the section at `#id_`, without those of its subsections."""
    (section,) = html_of(WHAT_WENT_WRONG).select(f'[id="{id_}"]')
    assert section.name == "section", f"#{id_} is a {section.name}"
    own = [child for child in section.find_all(recursive=False) if child.name != "section"]
    return plain(" ".join(child.get_text() for child in own))


def plain(text):
    """The words without quotation marks and backticks, which the page typesets."""
    return " ".join(re.sub("[`'\"‘’“”]", "", text).split())


@pytest.mark.parametrize(
    ("exercise", "mistake"),
    [pytest.param(name, mistake, id=anchor(name, mistake.id)) for name, mistake in MISTAKES],
)
def test_every_mistake_has_a_section_with_its_first_hint(exercise, mistake):
    said = place(anchor(exercise, mistake.id))
    assert plain(mistake.explanation) in said
    assert plain(mistake.hints[0]) in said


def test_every_exercise_and_generic_id_has_a_section():
    for name, exercise in EXERCISES.items():
        assert plain(exercise.signature) in place(name)
    for id_, explanation in GENERIC.items():
        assert plain(explanation) in place(id_)


def test_ids_on_the_page_of_mistakes_are_unique():
    ids = [tag["id"] for tag in html_of(WHAT_WENT_WRONG).select("[id]")]
    assert len(ids) == len(set(ids))


def test_page_of_mistakes_reveals_no_second_hint():
    page = plain(article(WHAT_WENT_WRONG).get_text())
    for name, mistake in MISTAKES:
        for hint in mistake.hints[1:]:
            assert plain(hint) not in page, anchor(name, mistake.id)


def test_every_symptom_links_to_its_demonstration():
    rows = article(WHAT_WENT_WRONG).select_one("table").select("tbody tr")
    assert len(rows) >= 9
    targets = [row.select_one('a[href^="#symptom-"]')["href"][1:] for row in rows]
    assert len(set(targets)) == len(targets)
    for target in targets:
        place = html_of(WHAT_WENT_WRONG).find(id=target)
        section = place if place.name == "section" else place.find_parent("section")
        assert not section.select("section"), f"#{target} has subsections"
        assert section.select(".cell_output"), f"no cell is run at #{target}"
        assert "What to do:" in section.get_text(), target


def test_numbers_of_the_table_are_printed_by_cells():
    page = article(WHAT_WENT_WRONG)
    printed = " ".join(cell.get_text() for cell in page.select(".cell_output"))
    table = page.select_one("table").get_text()
    for number in re.findall(r"\d+\.\d{4}|\d+\.\d\d%", table):
        assert number in printed, number
    if "MNIST: 2,000 training" in printed:
        for number in ("11.35%", "9.80%", "10.04%", "2.3026", "1.4612"):
            assert number in table, number


def test_verdict_on_a_page_links_within_the_book():
    for page in DAYS:
        for link in html_of(page).select(f'a[href*="{WHAT_WENT_WRONG}.html#"]'):
            assert not is_external(link["href"]), f"{page}: {link['href']}"
