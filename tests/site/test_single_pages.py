"""What single pages of the built site promise: cheat sheet, glossary and others."""

import base64
import importlib
import inspect
import io
import itertools
import pkgutil
import re

import pypdf
import pytest

import nnweek
from nnweek._tokens import DARK, LIGHT
from support import browser
from support.contents import CONFIG, DAYS
from support.site import SITE, article, html_of, parsed, read


@pytest.mark.skipif(browser.missing() is not None, reason=str(browser.missing()))
def test_cheat_sheet_prints_on_two_sides_of_a4():
    with browser.browser() as window:
        window.open((SITE / "cheat-sheet.html").as_uri())
        window.evaluate("document.fonts.ready")
        pdf = window.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    pages = pypdf.PdfReader(io.BytesIO(base64.b64decode(pdf["data"]))).pages
    assert [tuple(map(round, page.mediabox)) for page in pages] == [(0, 0, 595, 842)] * 2


def test_print_rules_of_the_cheat_sheet_concern_no_other_page():
    style = re.sub(r"/\*.*?\*/", "", read("_static/week.css"), flags=re.DOTALL)
    blocks = re.findall(r"^@media print \{(.*?)^\}", style, re.DOTALL | re.MULTILINE)
    (block,) = [block for block in blocks if "cheat-sheet" in block]
    selectors = re.findall(r"^  ([^ }].*?)\s*\{", block, re.DOTALL | re.MULTILINE)
    assert len(selectors) > 5
    assert not [selector for selector in selectors if "section#cheat-sheet" not in selector]


def test_cheat_sheet_has_formulas_tables_and_the_loop():
    page = article("cheat-sheet")
    assert len(page.select(".math")) > 60
    assert len(page.select("table")) >= 8
    assert "loss.backward()" in page.get_text()
    assert all(cell.get_text().strip() for cell in page.select("th")), "an empty table head"


def test_teachers_page_links_to_every_day_and_to_mistakes():
    links = {link["href"] for link in article("teachers").select("table a[href]")}
    assert links == {f"{day}.html" for day in DAYS}
    assert len(article("teachers").select('a[href^="what-went-wrong.html#"]')) >= 12


def test_reference_has_every_public_name_of_the_package():
    documented = {name["id"] for name in article("api").select("dt[id]")}
    names = [name for _, name, *_ in pkgutil.iter_modules(nnweek.__path__)]
    for name in [name for name in names if not name.startswith("_")]:
        module = importlib.import_module(f"nnweek.{name}")
        for attribute, value in vars(module).items():
            own = getattr(value, "__module__", None) == module.__name__
            if own and callable(value) and not attribute.startswith("_"):
                assert f"{module.__name__}.{attribute}" in documented


def test_status_says_what_the_book_was_built_from():
    fields = {
        name.get_text(strip=True).rstrip(":"): name.find_next("dd").get_text(strip=True)
        for name in article("status").select("dl.field-list dt")
    }
    assert {"Built", "Commit", "Data set", "Device", "Python", "nnweek", "torch"} <= fields.keys()
    assert all(fields.values())
    rows = article("status").select("table tbody tr")
    seconds = {row.select("td")[0].get_text(strip=True): row.select("td")[3] for row in rows}
    assert set(DAYS) <= seconds.keys()
    assert all(float(seconds[day].get_text()) > 0 for day in DAYS)


@pytest.mark.parametrize("page", ["index", DAYS[0], "api", "search"])
def test_head_has_one_viewport_one_title_and_the_icons(page):
    head = html_of(page).head
    assert len(head.select("meta[name=viewport]")) == 1
    assert len(head.select("meta[name=description]")) == (page != "search")
    title = head.title.get_text()
    assert title.count("Week 5") == 1
    colours = {tag["media"]: tag["content"] for tag in head.select("meta[name=theme-color]")}
    assert set(colours.values()) == {LIGHT["bg"], DARK["bg"]}
    for icon in head.select("link[rel=icon], link[rel=apple-touch-icon]"):
        assert (SITE / page).parent.joinpath(icon["href"]).is_file()


def test_reading_path_leads_from_setup_to_the_first_day():
    def following(page):
        link = html_of(page).select_one("link[rel=next]")
        return (SITE / page).parent.joinpath(link["href"]).resolve().relative_to(SITE).as_posix()

    assert following("index") == "setup.html"
    assert following("setup") == f"{DAYS[0]}.html"


def test_missing_page_needs_no_other_file_and_links_to_every_day():
    page = parsed(SITE / "404.html")
    assert not page.select("script, img, link[rel=stylesheet]")
    base = CONFIG["html"]["baseurl"]
    links = [link["href"] for link in page.select("li a")]
    assert links == [f"{base}{day}.html" for day in DAYS]
    assert page.form["action"] == f"{base}search.html"
    assert "--accent:" in page.style.get_text()


def test_letters_lead_to_terms():
    terms = {
        term["id"]: term.find(string=True).strip() for term in article("glossary").select("dt")
    }
    letters = article("glossary").select("nav.letters a")
    assert len(letters) > 15
    for link in letters:
        assert terms[link["href"][1:]][0].upper() == link.get_text()


def test_no_page_loads_thebe():
    assert not [path for path in SITE.rglob("*.html") if "THEBE_JS_URL" in path.read_text("utf-8")]


def test_every_definition_ends_with_a_link_to_its_day():
    for definition in article("glossary").select("dl.glossary dd"):
        last = definition.select("a")[-1]
        assert definition.get_text().strip().endswith(f"{last.get_text()}.")
        assert last["href"].startswith(f"notebooks/day-{last.get_text().removeprefix('Day ')}-")


@pytest.mark.parametrize("day", DAYS)
def test_terms_are_linked_once_and_in_running_text_only(day):
    links = article(day).select("a.glossary-word")
    assert 10 < len(links) < 35
    assert len({link["href"] for link in links}) == len(links)
    excluded = "h1, h2, h3, h4, code, pre, thead, details:not(.result)"
    assert not article(day).select(f":is({excluded}) a.glossary-word")
    assert not [link for link in links if link.find_parent(class_="math")]
    in_cells = [link for link in links if link.find_parent(class_="cell")]
    assert all(link.find_parent("figcaption") for link in in_cells)


def test_every_term_is_used_by_a_day():
    linked = {link["href"].partition("#")[2] for day in DAYS for link in article(day).select("a")}
    text = " ".join(article(day).get_text().lower().replace("_", " ") for day in DAYS)
    entries = article("glossary").select("dl.glossary dt")
    for _, same in itertools.groupby(entries, lambda entry: id(entry.find_next("dd"))):
        terms = {entry["id"]: entry.find(string=True).strip() for entry in same}
        for term in terms.values():
            assert terms.keys() & linked or term.lower() in text, term


def test_page_for_a_class_shows_the_needs_of_every_kernel():
    page = article("for-a-class")
    rows = [row.select("td") for row in page.select_one("table").select("tbody tr")]
    assert [day.a["href"] for day, *_ in rows] == [f"{day}.html" for day in DAYS]
    for day, peak, cpu in rows:
        missing = f"{day.get_text()} is not in book/kernels.json: run `make bench` on Linux"
        assert re.fullmatch(r"[\d,]{3,} MiB", peak.get_text()), missing
        assert re.fullmatch(r"[\d,]+ s", cpu.get_text()), missing
    assert "needs the most memory" in page.get_text()


def test_page_shows_the_training_script_that_runs():
    from nnweek.distributed import train

    body = inspect.getsource(train).split('"""')[2].strip().splitlines()
    shown = article("beyond-one-machine").get_text()
    assert len(body) >= 8
    assert not [line for line in body if line.strip() not in shown]
