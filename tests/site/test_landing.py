"""What the landing page of the built site promises, and what a link to any page shows."""

import re
from pathlib import Path

import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import Image

from nnweek import checks
from nnweek.checks import progress_store
from nnweek.commands import catalogue
from support import ROOT, text_of
from support.contents import CONFIG, DAYS, PAGES, REPOSITORY
from support.site import SITE, article, html_of

INDEX = article("index")
CARD = "_static/social-card.png"


def words(tag):
    return " ".join(tag.get_text().split())


def test_one_button_leads_to_the_first_day_and_one_link_to_colab():
    day, colab = INDEX.select(".start a")
    assert day["href"] == f"{DAYS[0]}.html"
    place = f"https://colab.research.google.com/github/{REPOSITORY}/blob/main/{DAYS[0]}.ipynb"
    assert colab["href"] == place


def wrong_backward(X, y, W1, b1, W2, b2):
    """A learner's answer that forgets the average over the batch."""
    z1 = X @ W1 + b1
    a1 = np.maximum(0, z1)
    scores = a1 @ W2 + b2
    probs = np.exp(scores - scores.max(axis=1, keepdims=True))
    probs /= probs.sum(axis=1, keepdims=True)
    probs[np.arange(len(y)), y] -= 1
    dz1 = probs @ W2.T * (z1 > 0)
    return (
        X.T @ dz1, dz1.sum(axis=0, keepdims=True), a1.T @ probs, probs.sum(axis=0, keepdims=True)
    )  # fmt: skip


def test_verdict_is_what_the_check_says(monkeypatch):
    monkeypatch.setattr("nnweek.checks.verdict._BUILT", Path("nowhere"))  # no link for a clone
    progress_store.forget("backward")
    expected = checks.backward(wrong_backward)
    progress_store.forget("backward")
    assert expected.mistake == "no-batch-average"
    shown = INDEX.select_one(".demo [role=status]")
    assert words(shown) == words(BeautifulSoup(expected._repr_html_(), "html.parser"))
    page, _, anchor = shown.a["href"].partition("#")
    assert page == "what-went-wrong.html"
    assert article("what-went-wrong").find(id=anchor)


def test_facts_are_counted():
    mistakes, exercises, questions, hours = (
        int(re.match(r"\d+", term.get_text())[0]) for term in INDEX.select(".counted dt")
    )
    assert mistakes == len(catalogue.mistake_names())
    assert exercises == len(checks.EXERCISES)
    answers = [
        fold for day in DAYS for fold in article(day).select("summary") if words(fold) == "Answer"
    ]
    assert questions == len(answers)
    minutes = [int(re.match(r"\d+", words(p))[0]) for p in INDEX.select(".day-length")]
    assert hours == round(sum(minutes) / 60)
    accuracy = re.search(r"[\d.]+%", words(INDEX.select_one(".counted")))[0]
    assert f"{accuracy} of" in words(article(DAYS[0])), "not what Day 29 measured"


def test_card_of_every_day_shows_what_the_day_says():
    for page, card in zip(DAYS, INDEX.select(".day"), strict=True):
        day, own = article(page), page.split("-")[1]
        title = day.h1.find(string=True)
        assert f"{words(card.select_one('.day-number'))} – {words(card.a)}" == title
        assert card.a["href"] == f"{page}.html"
        minutes, count, kind = re.fullmatch(
            r"(\d+) minutes · (\d+) (exercise|question)s?", words(card.select_one(".day-length"))
        ).groups()
        assert f"about {minutes} minutes" in words(day)
        if kind == "exercise":
            assert int(count) == sum(e.day == int(own) for e in checks.EXERCISES.values())
        figure = card.select_one(".day-figure :is(img, svg)")
        alt = figure.get("alt") or figure["aria-label"]
        shown = day.select(":is(img, svg[role=img])")
        assert alt in [one.get("alt") or one.get("aria-label") for one in shown]


@pytest.mark.parametrize("page", [*PAGES, "search", "genindex"])
def test_shared_link_shows_title_description_and_picture(page):
    soup = html_of(page)
    tags = {tag["property"]: tag["content"] for tag in soup.select("meta[property]")}
    assert tags["og:title"] in soup.title.get_text()
    assert tags["og:url"] == f"{CONFIG['html']['baseurl']}{page}.html"
    if page in PAGES:
        (description,) = soup.select("meta[name=description]")
        assert tags["og:description"] == description["content"]
    assert tags["og:image"] == CONFIG["html"]["baseurl"] + CARD
    with Image.open(SITE / CARD) as picture:
        assert picture.size == (int(tags["og:image:width"]), int(tags["og:image:height"]))
    assert tags["og:image:alt"]
    assert soup.select_one("meta[name='twitter:card']")["content"] == "summary_large_image"


def test_picture_of_a_shared_link_shows_the_page_as_it_is():
    shown = " ".join(words(tag) for tag in INDEX.select(".rubric, .rubric + p, .demo"))
    with Image.open(ROOT / "book" / CARD) as picture:
        taken = picture.text["Description"]
    assert taken == shown, "Take it again: `make book`, then `python .ci/pictures.py card`"
    assert f"(book/{CARD})" in text_of("README.md")
