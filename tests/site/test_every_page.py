"""Every page of the built site, read as a file; test_browser.py shows it to a browser."""

import ast
import functools
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from nnweek.checks import EXERCISES
from nnweek.checks.verdict import GENERIC, anchor
from support import ROOT
from support.contents import CONFIG, DAYS, PAGES, REPOSITORY, day_page
from support.notebooks import code_cells, every_day, is_hidden
from support.site import SITE, article, html_of, parsed, read

every_page = pytest.mark.parametrize("page", PAGES)


def visible_cells(day):
    return [cell for cell in code_cells(day) if not is_hidden(cell)]


@every_page
def test_page_of_the_contents_has_its_language_and_title(page):
    soup = html_of(page)
    assert soup.html["lang"] == "en"
    (heading,) = soup.select("article h1")
    assert heading.find(string=True).strip() in soup.title.get_text()
    assert CONFIG["title"] in soup.title.get_text()


def test_titles_and_descriptions_are_unique_and_short():
    assert len({html_of(page).title.get_text().strip() for page in PAGES}) == len(PAGES)
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
    tags = parsed(file).select(
        ":is(a, link, use)[href], :is(img, script, source, iframe, embed)[src]"
    )
    for address in [tag.get("href") or tag.get("src", "") for tag in tags]:
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            continue
        target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
        if target.is_dir():
            target /= "index.html"
        place = unquote(parts.fragment)
        if not target.is_relative_to(SITE) or not target.is_file():
            yield f"{address}: no such file"
        elif place and target.suffix == ".html" and place not in anchors(target):
            yield f"{address}: no such place on that page"


def test_no_internal_link_or_anchor_is_broken():
    files = [file for file in SITE.rglob("*.html") if "_static" not in file.parts]
    assert len(files) >= len(PAGES)
    found = {str(file.relative_to(SITE)): list(broken(file)) for file in files}
    assert not {name: links for name, links in found.items() if links}


@every_page
def test_page_links_to_its_repository_and_a_notebook_to_colab(page):
    links = {link["href"] for link in html_of(page).select("a[href]")}
    assert f"https://github.com/{REPOSITORY}" in links
    colab = "https://colab.research.google.com/github/"
    offered = {"index": DAYS[0]}.get(page, page)  # the landing page offers the first day
    opened = {f"{colab}{REPOSITORY}/blob/main/{offered}.ipynb"} if offered in DAYS else set()
    assert {link for link in links if link.startswith(colab)} == opened
    assert offered not in DAYS or (ROOT / f"{offered}.ipynb").is_file()


def fetched_by_css(text):
    """The addresses in styles; those of data and of places on the page are not fetched."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return re.findall(r"""(?:@import\s+|url\(\s*)["']?((?!data:|#)[^"')]+)""", text)


@every_page
def test_page_fetches_one_stylesheet_and_nothing_from_another_server(page):
    soup = html_of(page)
    loading = ("src", "srcset", "poster", "data", "href")
    tags = soup.select("[src], [srcset], [poster], object[data], link[href]:not([rel=canonical])")
    addresses = [tag[name] for tag in tags for name in loading if tag.has_attr(name)]
    (sheet,) = soup.select("link[rel=stylesheet]")  # no page waits for a second one
    styles = [read(f"_static/{Path(sheet['href']).name}")]
    styles += [tag.get_text() for tag in soup.select("style")]
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
        (mathml,), (drawing,) = formula.select("math"), formula.select(":scope > svg")
        assert mathml["alttext"].strip()
        assert mathml.select("mi, mn, mo, mtext"), mathml["alttext"]
        assert drawing["aria-hidden"] == "true", "a screen reader would read the formula twice"
        assert drawing.select("use"), mathml["alttext"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_code_has_no_tags_without_a_colour_of_their_own(theme):
    assert not [
        page for page in PAGES if html_of(page).select(".highlight span:is(.n, .nn, .p, .w)")
    ]
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


@every_page
def test_pictures_have_alt_text(page):
    for image in html_of(page).select("img:not(.brand img)"):  # the title is beside the logo
        alt = image.get("alt", "").strip()
        assert alt, f"no alt text: {image}"
        assert not re.search(r"_images/|\.(png|svg|jpe?g|gif)$", alt), "the alt text is a path"


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


@every_day
def test_page_shows_exactly_the_visible_cells(day):
    on_page = html_of(day_page(day)).select("div.cell")
    shown = [cell.select_one(".cell_input").get_text().strip() for cell in on_page]
    assert shown == [cell.source.strip() for cell in visible_cells(day)]


def shows_something(cell):
    """Whether a cell prints, draws or ends in a value, definitions aside."""
    tree = ast.parse(cell.source)
    definitions = (ast.FunctionDef, ast.ClassDef)
    tree.body = [node for node in tree.body if not isinstance(node, definitions)]
    calls = [getattr(n.func, "id", "") for n in ast.walk(tree) if isinstance(n, ast.Call)]
    if any(name == "print" or name.startswith("plot_") for name in calls):
        return True
    return "Markdown" in calls and isinstance(tree.body[-1], ast.Expr)


@every_day
def test_every_measuring_cell_shows_its_output(day):
    cells = zip(html_of(day_page(day)).select("div.cell"), visible_cells(day), strict=True)
    measuring = [(shown, cell.source) for shown, cell in cells if shows_something(cell)]
    assert measuring
    for shown, source in measuring:
        output = shown.select_one(".cell_output")
        assert output, f"no output of:\n{source}"
        seen = output.get_text().strip() or output.select("img, svg")
        assert seen, f"empty output of:\n{source}"


WHAT_WENT_WRONG = "what-went-wrong"


def place(id_):
    """The words of the section at `#id_`, without those of its subsections."""
    section = html_of(WHAT_WENT_WRONG).find("section", id=id_)
    assert section, f"there is no section #{id_}"
    own = [child for child in section.find_all(recursive=False) if child.name != "section"]
    return plain(" ".join(child.get_text() for child in own))


def plain(text):
    """The words without quotation marks and backticks, which the page typesets."""
    return " ".join(re.sub("[`'\"‘’“”]", "", text).split())


@pytest.mark.parametrize("name", EXERCISES)
def test_every_mistake_has_a_section_with_its_first_hint_only(name):
    page = plain(article(WHAT_WENT_WRONG).get_text())
    assert plain(EXERCISES[name].signature) in place(name)
    for mistake in EXERCISES[name].mistakes:
        if mistake.id not in GENERIC:
            said = place(anchor(name, mistake.id))
            assert plain(mistake.explanation) in said
            assert plain(mistake.hints[0]) in said
            assert not [hint for hint in mistake.hints[1:] if plain(hint) in page]


def test_generic_ids_have_sections_and_no_id_is_used_twice():
    for id_, explanation in GENERIC.items():
        assert plain(explanation) in place(id_)
    ids = [tag["id"] for tag in html_of(WHAT_WENT_WRONG).select("[id]")]
    assert len(ids) == len(set(ids))


PROVOKED = ("symptom-", "error-")  # how the ids of the sections begin that make a mistake


def rows_of_symptoms():
    return article(WHAT_WENT_WRONG).select("#from-the-symptom-to-its-cause table tbody tr")


def test_every_row_links_to_its_demonstration():
    targets = [row.td.a["href"][1:] for row in rows_of_symptoms()]
    sections = article(WHAT_WENT_WRONG).select("section[id]")
    ids = {span["id"] for section in sections for span in section.select(":scope > span[id]")}
    ids |= {section["id"] for section in sections}
    assert len(targets) >= 30
    assert sorted(targets) == sorted(id_ for id_ in ids if id_.startswith(PROVOKED))
    for target in targets:
        place = html_of(WHAT_WENT_WRONG).find(id=target)
        section = place if place.name == "section" else place.find_parent("section")
        assert not section.select("section"), f"#{target} has subsections"
        assert section.select(".cell_output"), f"no cell is run at #{target}"
        assert "What to do:" in section.get_text(), target


def test_every_error_is_raised_on_the_page():
    for row in rows_of_symptoms():
        target = row.td.a["href"][1:]
        if target.startswith("error-"):
            place = html_of(WHAT_WENT_WRONG).find(id=target)
            section = place if place.name == "section" else place.find_parent("section")
            raised = section.select_one(".cell_output").get_text()
            assert re.match(r"\w*Error: ", raised.strip()), target


def test_numbers_of_the_table_are_printed_by_cells():
    page = article(WHAT_WENT_WRONG)
    printed = " ".join(cell.get_text() for cell in page.select(".cell_output"))
    table = " ".join(row.get_text() for row in rows_of_symptoms())
    for number in re.findall(r"\d+\.\d{4}|\d+\.\d\d%", table):
        assert number in printed, number
    if "MNIST: 2,000 training" in printed:
        headings = " ".join(heading.get_text() for heading in page.select("h3"))
        for number in (
            "11.35%", "11.25%", "9.80%", "10.07%", "10.04%", "10.05%", "2.3026", "1.4612"
        ):  # fmt: skip
            assert number in table, number
            assert number in headings, number


def test_verdict_on_a_page_links_within_the_book():
    for page in DAYS:
        for link in html_of(page).select(f'a[href*="{WHAT_WENT_WRONG}.html#"]'):
            assert not urlsplit(link["href"]).netloc, f"{page}: {link['href']}"
