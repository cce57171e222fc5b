"""What is to be done, on the days' pages: all of it, each part in its element."""

import re

from nnweek.checks import EXERCISES
from support.contents import DAYS, day_page
from support.notebooks import cells, code_cells, every_day, exercises, markdown_cells
from support.site import html_of


def words(text):
    return " ".join(text.split())


@every_day
def test_every_exercise_is_one_card_with_cell_verdict_hints_and_solution(day):
    page = html_of(day_page(day))
    cards = page.select("section.exercise")
    posed = exercises(day)
    assert [card["data-exercise"] for card in cards] == [name for name, *_ in posed]
    assert {name for name, *_ in posed} == {e.name for e in EXERCISES.values() if e.day == day}
    for number, (card, (name, cell, below)) in enumerate(zip(cards, posed, strict=True), start=1):
        assert card["id"] == f"exercise-{name}"
        label = page.find(id=card["aria-labelledby"])
        assert label.get_text().startswith(f"Exercise {number} of {len(posed)}")
        assert label.find_parent("section") == card
        (shown,) = card.select("div.cell")
        assert shown.select_one(".cell_input pre").get_text().strip() == cell.source.strip()
        assert cell.source.strip().endswith(card["data-check"])
        assert shown.select_one(".cell_output [role=status] strong"), "no verdict"
        folds = card.find_all("details", recursive=False)
        titles = re.findall("<summary>(.+)</summary>", below.split("</details>\n\n")[0])
        assert titles[0] == words(folds[0].summary.get_text())
        assert [fold["class"] for fold in folds[:-1]] == [["hint"]] * (len(folds) - 1)
        assert folds[-1]["class"] == ["solution"]


@every_day
def test_no_exercise_prediction_or_reading_aid_is_left_outside_its_element(day):
    for paragraph in html_of(day_page(day)).select("article section > p"):
        first = paragraph.find()
        begins = first and paragraph.get_text().startswith(first.get_text()) and first.get_text()
        assert not re.match(r"Exercise \d|Predict before|How to read", begins or ""), begins


@every_day
def test_every_prediction_names_a_cell_with_an_output(day):
    page = html_of(day_page(day))
    text = "\n\n".join(cell.source for cell in markdown_cells(day))
    blocks = page.select(".prediction")
    assert len(blocks) == len(re.findall(r"^\*Predict before you run:", text, re.MULTILINE))
    for block in blocks:
        answer = page.find(id=block["data-answered-by"])
        assert answer.select_one(".cell_output").find(), words(block.get_text())
        assert block.sourceline < answer.sourceline


@every_day
def test_every_question_has_its_options_and_a_reason_for_each(day):
    page = html_of(day_page(day))
    quiz = next(c.source for c in cells(day) if "## Check yourself" in c.source)
    keys = re.findall(r"<summary>Answer</summary>\n\n\*\*([a-h])\.", quiz)
    cards = page.select(".question")
    assert [card["data-answer"] for card in cards] == keys
    for card in cards:
        options = [one["data-option"] for one in card.select(".options > li")]
        reasons = {one["data-option"]: one for one in card.select(".answer .reasons > li")}
        assert options == sorted(reasons)
        assert [name for name in reasons if reasons[name].get("class")] == [card["data-answer"]]
        assert not card.select_one(".answer").has_attr("open"), "the answer is in sight"


@every_day
def test_every_figure_with_a_reading_aid_has_it_as_its_caption(day):
    text = "\n\n".join(cell.source for cell in markdown_cells(day))
    output = ":is(.cell_output, .cell_output > details.result)"
    captions = html_of(day_page(day)).select(f"{output} > figure > figcaption:last-child")
    assert len(captions) == len(re.findall(r"^\*How to read (?:it|them):\*", text, re.MULTILINE))
    for caption in captions:
        assert caption.find_previous_sibling(), "a caption of nothing"


@every_day
def test_every_folded_cell_says_code(day):
    folds = html_of(day_page(day)).select("details.hide")
    assert len(folds) == sum("hide-input" in c.metadata.get("tags", []) for c in code_cells(day))
    assert {words(fold.summary.get_text()) for fold in folds} == {"Code"}


def test_captions_are_running_text_in_which_a_new_term_is_a_link():
    assert any(html_of(page).select("figcaption a.glossary-word") for page in DAYS)
