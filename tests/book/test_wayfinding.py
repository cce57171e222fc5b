"""Where a reader is in the week, what a day holds, the letters of the glossary, the missing page."""

import re
import types

import pytest
import wayfinding
from bs4 import BeautifulSoup
from docutils import nodes

from support.contents import DAYS, day_page
from support.notebooks import code_cells, section_text

PAGES = ["index", *reversed(DAYS)]


@pytest.fixture
def app():
    def title(page):
        return nodes.title("", f"Day {page.split('-')[1]} – A “title”")

    return types.SimpleNamespace(
        env=types.SimpleNamespace(
            found_docs=PAGES, titles={page: title(page) for page in PAGES[1:]}
        ),
        builder=types.SimpleNamespace(
            format="html",
            get_relative_uri=lambda one, other: "" if one == other else f"{other}.html",
        ),
        config=types.SimpleNamespace(html_baseurl="https://example.org/"),
    )


def document(*children):
    doctree = nodes.document(None, None)
    section = nodes.section("", nodes.title("", "Day"), *children)
    doctree.append(section)
    return doctree


def html_of(doctree):
    return BeautifulSoup("".join(raw.astext() for raw in doctree.findall(nodes.raw)), "html.parser")


def test_day_shows_its_place_in_the_week(app):
    doctree = document(nodes.paragraph("", "First."), nodes.paragraph("", "Second."))
    wayfinding.show_the_week(app, doctree, day_page(31))
    week = html_of(doctree).select_one("nav.week-line")
    links = week.select("a")
    assert len(links) == 7
    assert [link["href"] for link in links] == [
        "#" if page == day_page(31) else f"{page}.html" for page in DAYS
    ]
    assert [link.get("aria-current") for link in links] == [None, None, "page", *[None] * 4]
    assert [link.get("class") for link in links] == [["before"], ["before"], *[None] * 5]
    assert all(link["aria-label"].startswith("Day ") for link in links)
    assert week.span.get_text() == "3 of 7"
    kinds = [type(child).__name__ for child in doctree[1]]
    assert kinds == ["title", "paragraph", "raw", "paragraph"], "facts below the first paragraph"


def test_other_pages_show_no_week(app):
    doctree = document(nodes.paragraph("", "First."))
    wayfinding.show_the_week(app, doctree, "index")
    assert not list(doctree.findall(nodes.raw))


@pytest.mark.parametrize("page", DAYS)
def test_facts_are_those_of_the_notebook(page):
    counted, library = wayfinding.facts(page)
    day = int(page.split("-")[1])
    checked = [
        cell
        for cell in code_cells(day)
        if re.search(r"^checks\.(?!progress)\w+\(", cell.source, re.M)
    ]
    assert counted["exercises"] == len(checked)
    quiz = section_text(day, "Check yourself")
    assert counted["questions"] == len(re.findall(r"^\*\*\d+\.\*\*", quiz, re.MULTILINE))
    assert counted["minutes"] >= 60
    assert library == ("NumPy" if page in DAYS[:2] else "PyTorch")


def test_each_letter_leads_to_its_first_term(app):
    terms = [nodes.term("", word, ids=[f"term-{word}"]) for word in ("Adam", "axis", "CI", "batch")]
    items = [nodes.definition_list_item("", term, nodes.definition()) for term in terms]
    doctree = document(nodes.definition_list("", *items, classes=["glossary"]))
    wayfinding.show_letters(app, doctree, "glossary")
    links = {link.get_text(): link["href"] for link in html_of(doctree).select("nav.letters a")}
    assert links == {"A": "#term-Adam", "B": "#term-batch", "C": "#term-CI"}


def test_missing_page_lists_the_days(app):
    ((name, context, template),) = wayfinding.page_not_found(app)
    assert (name, template) == ("404", "404.html")
    assert [page for page, _ in context["days"]] == DAYS
