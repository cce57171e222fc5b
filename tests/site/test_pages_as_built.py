"""The book's own pages as they are built; `NNWEEK_SITE` says where."""

import base64
import importlib
import inspect
import os
import pkgutil
import re
import sys
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup

import nnweek
from support import ROOT, browser

if not os.environ.get("NNWEEK_SITE"):
    pytest.skip(
        "NNWEEK_SITE is not set; after `make book`: NNWEEK_SITE=book/_build/html pytest tests",
        allow_module_level=True,
    )

SITE = Path(os.environ["NNWEEK_SITE"]).expanduser().resolve()


def article(page):
    text = (SITE / f"{page}.html").read_text(encoding="utf-8")
    return BeautifulSoup(text, "html.parser").select_one("article")


def printed(page):
    """The page as PDF, printed by a real browser from the file."""
    with browser.browser() as window:
        window.open((SITE / f"{page}.html").as_uri())
        window.run("return document.fonts.ready;")
        pdf = window.devtools("Page.printToPDF", preferCSSPageSize=True)
    return base64.b64decode(pdf["data"])


@pytest.mark.skipif(browser.missing() is not None, reason=str(browser.missing()))
def test_the_cheat_sheet_prints_on_the_two_sides_of_a_sheet_of_a4():
    pdf = printed("cheat-sheet")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 2
    sizes = {
        tuple(round(float(number)) for number in box.split())
        for box in re.findall(rb"/MediaBox\s*\[([^\]]+)\]", pdf)
    }
    assert sizes == {(0, 0, 595, 842)}


def test_the_sheets_print_rules_concern_no_other_page():
    style = (SITE / "_static" / "week.css").read_text(encoding="utf-8")
    style = re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL)
    blocks = re.findall(r"^@media print \{(.*?)^\}", style, re.DOTALL | re.MULTILINE)
    (block,) = [block for block in blocks if "cheat-sheet" in block]
    selectors = re.findall(r"^  ([^ }].*?)\s*\{", block, re.DOTALL | re.MULTILINE)
    assert len(selectors) > 5
    assert not [selector for selector in selectors if "section#cheat-sheet" not in selector]


def test_the_cheat_sheet_has_its_formulas_tables_and_the_loop():
    page = article("cheat-sheet")
    assert len(page.select(".math")) > 60
    assert len(page.select("table")) >= 8
    assert "loss.backward()" in page.get_text()
    assert all(cell.get_text().strip() for cell in page.select("th")), "a head without a name"


def test_the_teachers_page_lists_every_day_with_a_link_to_it():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    files = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    links = {link["href"] for link in article("teachers").select("table a[href]")}
    assert links == {f"{file}.html" for file in files if file.startswith("notebooks/")}


def test_every_stumbling_block_links_to_what_went_wrong():
    links = [a["href"] for a in article("teachers").select('a[href^="what-went-wrong.html#"]')]
    assert len(links) >= 12
    ids = {tag["id"] for tag in article("what-went-wrong").select("[id]")}
    assert {link.partition("#")[2] for link in links} <= ids


# --- The landing page, the package, the status ----------------------------------------------------


@pytest.mark.parametrize("day", range(29, 36))
def test_a_days_card_shows_one_of_its_figures_and_leads_to_it(day):
    cards = article("index").select(".sd-card.day")
    (card,) = [
        c for c in cards if c.select_one(".sd-card-title").get_text(strip=True).endswith(f"{day}")
    ]
    address = card.select_one("a.sd-stretched-link")["href"]
    assert address.startswith(f"notebooks/day-{day}-")
    image = card.select_one("img")
    assert (SITE / image["src"]).is_file()
    # The very file that the day's page shows, with the same words for those who do not see it.
    on_the_page = {Path(i["src"]).name: i["alt"] for i in article(address[:-5]).select("img")}
    assert on_the_page[Path(image["src"]).name] == image["alt"]


def test_every_public_name_of_every_room_is_in_the_reference():
    documented = {name["id"] for name in article("api").select("dt[id]")}
    for _, room, *_ in pkgutil.iter_modules(nnweek.__path__):
        if room.startswith("_"):
            continue
        module = importlib.import_module(f"nnweek.{room}")
        for name, thing in vars(module).items():
            own = getattr(thing, "__module__", None) == module.__name__
            if own and callable(thing) and not name.startswith("_"):
                assert f"nnweek.{room}.{name}" in documented


def test_the_status_says_what_the_book_was_made_from_and_how_long_it_took():
    fields = {
        name.get_text(strip=True).rstrip(":"): name.find_next("dd").get_text(strip=True)
        for name in article("status").select("dl.field-list dt")
    }
    assert {"Built", "Commit", "Data set", "Device", "Python", "nnweek", "torch"} <= fields.keys()
    assert all(fields.values())
    rows = article("status").select("table tbody tr")
    seconds = {row.select("td")[0].get_text(strip=True): row.select("td")[3] for row in rows}
    days = {f"notebooks/{path.stem}" for path in (ROOT / "notebooks").glob("day-*.py")}
    assert days <= seconds.keys()
    assert all(float(seconds[day].get_text()) > 0 for day in days)


def test_no_page_brings_thebe():
    for path in SITE.rglob("*.html"):
        assert "THEBE_JS_URL" not in path.read_text(encoding="utf-8"), path


# --- Words of the glossary ------------------------------------------------------------------------

DAYS = sorted(f"notebooks/{path.stem}" for path in (ROOT / "notebooks").glob("day-*.py"))


def test_every_definition_ends_with_a_link_to_the_day_that_introduces_the_word():
    for definition in article("glossary").select("dl.glossary dd"):
        last = definition.select("a")[-1]
        assert definition.get_text().strip().endswith(f"{last.get_text()}.")
        assert last["href"].startswith(f"notebooks/day-{last.get_text().removeprefix('Day ')}-")


@pytest.mark.parametrize("day", DAYS)
def test_a_word_is_a_link_once_and_in_running_text_only(day):
    links = article(day).select("a.glossary-word")
    assert 10 < len(links) < 35
    assert len({link["href"] for link in links}) == len(links)
    apart = ["h1", "h2", "h3", "h4", "code", "pre", "thead", "details"]
    assert not [link for link in links if link.find_parent(apart)]
    assert not [link for link in links if link.find_parent(class_=["math", "cell"])]


def test_every_word_is_linked_from_a_page_or_stands_there_as_code_or_output():
    linked = {link["href"].partition("#")[2] for day in DAYS for link in article(day).select("a")}
    text = " ".join(article(day).get_text().lower().replace("_", " ") for day in DAYS)
    for entry in article("glossary").select("dl.glossary dt"):
        others = [entry, *entry.find_next_siblings("dt"), *entry.find_previous_siblings("dt")]
        same = [other for other in others if other.find_next("dd") is entry.find_next("dd")]
        word = entry.find(string=True).strip()
        assert {one["id"] for one in same} & linked or word.lower() in text, word


# --- What a class and several processes need -------------------------------------------------------


def test_the_page_for_a_class_says_what_the_kernel_of_each_day_needed():
    page = article("for-a-class")
    rows = [row.select("td") for row in page.select_one("table").select("tbody tr")]
    days = {f"notebooks/{path.stem}.html" for path in (ROOT / "notebooks").glob("day-*.py")}
    assert {name.a["href"] for name, _, _ in rows} == days
    for name, peak, cores in rows:
        assert float(cores.get_text()) > 0, name.get_text()
        if sys.platform == "linux":
            assert re.fullmatch(r"[\d,]{3,} MB", peak.get_text()), name.get_text()
    if sys.platform == "linux":
        assert "The hungriest is Day" in page.get_text()


def test_the_script_that_the_page_shows_is_the_one_that_runs():
    from nnweek.distributed import train

    body = inspect.getsource(train).split('"""')[2].strip().splitlines()
    shown = article("beyond-one-machine").get_text()
    assert len(body) >= 8
    assert not [line for line in body if line.strip() not in shown]
