"""What other pages and Anki get of a day's questions."""

import contextlib
import sqlite3
import zipfile

import pytest
import questions
from bs4 import BeautifulSoup

from nnweek.checks import EXERCISES

MATH = '<span class="math"><math alttext="{0}"><mi>{0}</mi></math><svg aria-hidden="true"></svg></span>'
CARD = f"""
<div class="question" data-answer="b" id="question-1">
<p>Is it {MATH.format("x_1")}? See <a href="#loss">the loss</a> or a <a href="../glossary.html#term-loss">loss</a>.</p>
<ol class="options"><li data-option="a">No.</li><li data-option="b">Yes.</li></ol>
<details class="answer"><summary>Answer</summary>
<ol class="reasons"><li class="right" data-option="b"><p>It is.</p></li><li data-option="a">It is {MATH.format("y")}.</li></ol>
</details></div>
"""
PAGE = f"""<html><body><div class="question">of the sidebar</div><article>
<div class="prediction"><p>Predict: where is {MATH.format("z")}?</p></div>{CARD}</article></body></html>"""


@pytest.fixture
def facts():
    return questions.facts_of("notebooks/day-29-two-layer-network", "Day 29 – A network", PAGE)


def test_day_is_known_by_its_questions_predictions_exercises_and_imports(facts):
    assert facts["page"] == "notebooks/day-29-two-layer-network.html"
    assert facts["predictions"] == ["Predict: where is $z$?"]
    assert facts["exercises"] == [n for n, one in EXERCISES.items() if one.day == 29]
    assert "softmax" in facts["solutions"]
    assert "import numpy as np" in facts["imports"].splitlines()


def test_question_works_on_another_page(facts):
    (card,) = facts["questions"]
    card = BeautifulSoup(card, "html.parser")
    assert [link["href"] for link in card.select("a")] == [
        "day-29-two-layer-network.html#loss",
        "../glossary.html#term-loss",
    ]
    assert not card.select("svg"), "a drawing uses glyphs of its own page"
    assert len(card.select("math")) == 2


def test_card_for_anki_has_options_in_front_and_reasons_behind(facts, tmp_path):
    deck = tmp_path / "deck.apkg"
    questions.deck({"day-29": facts}, "https://example.org/book/").write_to_file(deck)
    with zipfile.ZipFile(deck) as archive:
        archive.extract("collection.anki2", tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "collection.anki2")) as base:
        ((fields, tags),) = base.execute("SELECT flds, tags FROM notes").fetchall()
    front, back, source = fields.split("\x1f")
    assert r"Is it \(x_1\)?" in front
    assert "It is" not in front, "the answer is in sight of the question"
    assert "✓ It is." in back
    assert r"It is \(y\)." in back
    assert (
        'href="https://example.org/book/notebooks/day-29-two-layer-network.html#question-1"'
        in source
    )
    assert tags.strip() == "day-29"


def test_a_newer_deck_updates_the_cards_of_an_older_one(facts, tmp_path):
    def guids():
        return [note.guid for note in questions.deck({"day-29": facts}, "").decks[0].notes]

    before = guids()
    facts["questions"][0] = facts["questions"][0].replace("Is it", "Was it")
    assert guids() == before
