"""The form of a day: objectives, time, recap, quiz and summary, and numbers that were measured."""

import ast
import itertools
import re

from support import ROOT
from support.notebooks import (
    DAYS,
    SOURCES,
    SUMMARY,
    cells,
    code_cells,
    every_day,
    exercises,
    headings,
    introduction,
    is_hidden,
    prose,
    section_text,
)


def list_items(markdown):
    return re.findall(r"^- (.+(?:\n  .+)*)", markdown, re.MULTILINE)


@every_day
def test_day_lists_prerequisites_and_what_you_will_be_able_to_do(day):
    assert re.search(r"^\*\*You need\*\* \w+", introduction(day), re.MULTILINE)
    found = re.search(r"^\*\*You will be able to\*\*\n\n((?:[- ] .+\n)+)", introduction(day), re.M)
    assert found, "no list under **You will be able to**"
    items = list_items(found[1])
    assert len(items) >= 3
    assert all(item.endswith(";") for item in items[:-1])
    assert items[-1].endswith(".")


@every_day
def test_minutes_add_up_and_the_landing_page_has_a_card(day):
    time = re.search(r"^\*\*Time\*\* about (\d+) minutes: ([^.]+)\.", introduction(day), re.M)
    assert time, "no line **Time** about N minutes: part n, part n."
    parts = re.findall(r"\S (\d+)(?:,|$)", time[2])
    assert len(parts) == time[2].count(",") + 1, f"a part without its minutes: {time[2]}"
    assert sum(map(int, parts)) == int(time[1])

    landing_page = (ROOT / "book" / "index.md").read_text(encoding="utf-8")
    card = f":::{{day-card}} notebooks/{SOURCES[day].stem}\n:figure: "
    assert card in landing_page, f"book/index.md has no card for Day {day}"


@every_day
def test_day_begins_with_three_lines_about_yesterday(day):
    recap = "Where we start" if day == DAYS[0] else "Yesterday in three lines"
    assert headings(day)[1] == recap
    lines, *_ = section_text(day, recap).split("\n\n")  # the numbers to change come below
    assert len(re.findall(r"^- ", lines, re.MULTILINE)) == 3
    assert re.fullmatch(r"(?:(?:- |  ).+(?:\n|$))+", lines), "only the three bullet points"


@every_day
def test_day_ends_with_quiz_summary_and_further_reading(day):
    summary = "The week" if day == SUMMARY else "Summary"
    assert headings(day)[-3:] == ["Check yourself", summary, "Read more"]
    assert re.search(r"^\|(?:---\|){2,}$", section_text(day, summary), re.MULTILINE), "no table"
    items = list_items(section_text(day, "Read more"))
    assert items
    for item in items:
        assert re.search(r"\]\(https?://[^)]+\)", item), f"no link in: {item}"


@every_day
def test_every_answer_gives_a_reason_for_every_option(day):
    _, *questions = re.split(
        r"^\*\*(?=\d+\.\*\* )", section_text(day, "Check yourself"), flags=re.MULTILINE
    )
    assert len(questions) >= 2
    for number, question in enumerate(questions, start=1):
        assert question.startswith(f"{number}.**")
        found = re.search(
            r"((?:^[- ] .+\n)+)\n<details>\n<summary>Answer</summary>\n\n(.+)\n</details>\s*\Z",
            question,
            re.MULTILINE | re.DOTALL,
        )
        assert found, f"question {number} is not options, then <details> with the answer"
        options = re.findall(r"^- ([a-z])\) \S", found[1], re.MULTILINE)
        assert len(options) >= 2
        assert options == list("abcdefgh"[: len(options)])

        answer = found[2]
        right = re.match(r"\*\*([a-z])\.\*\* \S", answer)
        assert right, f"the answer to question {number} does not begin with **letter.**"
        assert right[1] in options
        for wrong in set(options) - {right[1]}:
            reason = re.search(rf"(?<!\w){wrong}\)(.*)", answer, re.DOTALL)
            assert reason, f"question {number}: option {wrong}) is not mentioned"
            text = re.sub(r"(?<!\w)[a-z]\)", "", reason[1].split("\n")[0])
            assert len(re.findall(r"\w+", text)) >= 3, f"question {number}: no reason for {wrong})"


# Decimals and percentages in the running text that are no measurements, and why.
SETTINGS = {
    29: {"[section 6.5": "a section of a book"},
    30: {"95 % interval": "a confidence level"},
    31: {"of 0.7, 0.2 and 0.1 it makes 0.46, 0.28 and 0.25": "the softmax of invented numbers"},
    32: {
        "Is 95 % good? Against what, on which images, and would it be 95 % again": "a question",
        "A **95 % interval** is": "a confidence level",
        "1.96 of its standard deviations": "a quantile",
        "between which 95 % of": "a share of the normal distribution",
        "what 95 % promises": "a confidence level",
        'What does the "95 %" of': "a confidence level",
        "95 % interval: covers the truth": "a confidence level",
    },
    33: {
        "at a learning rate of 0.001": "a learning rate, in a question",
        "| usual first guess | 0.1 | 0.01 | 0.001 |": "learning rates",
        "a 95 % interval still excludes zero": "a confidence level",
        "one pair per seed, with its 95 % interval": "a confidence level",
        "the band its 95 % interval": "a confidence level",
        "the 97.5 % quantile": "a quantile",
        "replaces the 1.96 of": "a quantile",
        "the two ends of its 95 % interval": "a confidence level",
    },
    34: {
        "*Smoothing* starts at 0.6": "a default of TensorBoard",
        "more than 1,000 points, TensorBoard shows a random 1,000 of them": "another default",
        "a random 1,000 of the 20,000 points": "an invented run, in an answer",
    },
    35: {
        "Seven intervals of 95 %": "a confidence level",
        "the 95 % interval of one idea": "a confidence level",
        "0.1 points above yours": "an invented difference, in a question",
        "is 0.002 for the first and 0.53 for the second": "of invented counts, in a question",
        '"99 % sure"': "an invented confidence, in a question",
        "Adam minus SGD is +0.1 points, interval −0.1 to +0.3.": "invented, in a question",
        "Adam is better by 0.1 points": "an answer to it",
        "it likely lies between −0.1 and +0.3 points": "an answer to it",
    },
}


@every_day
def test_no_measured_number_is_typed_by_hand(day):
    """The cell that measures a result prints it; other numbers are listed above."""
    text = prose(day)
    for phrase, why in SETTINGS.get(day, {}).items():
        assert phrase in text, f"{phrase!r} ({why}) is gone: remove it from SETTINGS"
        text = text.replace(phrase, "")
    found = re.findall(r".{0,40}(?:\d\.\d|\d\s?%|\d(?:-| )points?\b|\bper ?cent\b).{0,40}", text)
    assert not found, "If it was measured, let its cell print it; else list it in SETTINGS."


@every_day
def test_claims_of_the_text_are_asserted_in_hidden_cells(day):
    hidden = [cell for cell in code_cells(day)[1:] if is_hidden(cell)]
    assert hidden
    for cell in hidden:
        assert any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(cell.source))), (
            f"a hidden cell that asserts nothing:\n{cell.source}"
        )


EXERCISE = re.compile(
    r"^\*\*Exercise (\d+)\.\*\* \*\(about (\d+) minutes?, (?:easy|medium|hard)\)\* \S", re.MULTILINE
)


@every_day
def test_every_exercise_has_its_effort_stub_hints_and_solution(day):
    """The build makes a card of it (book/_ext/tasks.py), and of nothing else."""
    posed = [
        (match, cell, *cells(day)[i + 1 : i + 3])
        for i, cell in enumerate(cells(day))
        if cell.cell_type == "markdown"
        for match in re.finditer(r"^\*\*Exercise \d.*", cell.source, re.MULTILINE)
    ]
    assert len(posed) == len(exercises(day))
    minutes = 0
    for number, (found, cell, code, below) in enumerate(posed, start=1):
        effort = EXERCISE.match(cell.source, found.start())
        assert effort, f"not **Exercise N.** *(about N minutes, medium)* …: {found[0]}"
        assert int(effort[1]) == number
        minutes += int(effort[2])
        task = cell.source[found.start() :]
        assert not re.search(r"^#|<details>", task, re.MULTILINE), "the task ends its cell"
        assert code.cell_type == "code"
        assert re.search(r"^checks\.\w+\(.*\)\Z", code.source, re.MULTILINE), code.source
        assert "..." in code.source or "None" in code.source, f"no stub: {code.source}"
        folds = re.match(r"(?:<details>\n(?s:.*?)</details>\s*)+", below.source)
        assert folds, f"no <details> begins the cell below exercise {number}"
        first, *others, last = re.findall("<summary>(.+)</summary>", folds[0])
        assert (first, last) == ("A hint", "A solution")
        assert set(others) <= {"Another hint"}
    time = re.search(r"^\*\*Time\*\* about (\d+) minutes", introduction(day), re.MULTILINE)
    assert minutes < int(time[1]), "the exercises alone take longer than the day"


@every_day
def test_every_prediction_is_a_paragraph_above_its_answering_cell(day):
    for i, cell in enumerate(cells(day)):
        if cell.cell_type == "markdown" and (
            parts := re.findall(r"(.*)\*Predict(.*)", cell.source)
        ):
            (before, after), *others = parts
            assert not others, "two predictions before one cell"
            assert not before, f"a prediction begins a paragraph, not after: {before}"
            assert re.match(r" before you run:\* \S", after), f"*Predict{after}"
            below = cells(day)[i + 1]
            assert below.cell_type == "code", "no cell answers it"
            assert not is_hidden(below), "no cell answers it"


@every_day
def test_how_to_read_a_figure_begins_the_text_below_it(day):
    for i, cell in enumerate(cells(day)):
        assert cell.cell_type == "markdown" or "How to read" not in cell.source
        if "*How to read" in cell.source:
            assert re.match(r"\*How to read (?:it|them):\* \S", cell.source), cell.source[:200]
            assert cell.source.count("*How to read") == 1
            above = itertools.takewhile(
                lambda one: one.cell_type == "code", cells(day)[i - 1 :: -1]
            )
            assert any(
                "image" in one.metadata.get("mystnb", {}) or "<svg" in one.source for one in above
            ), cell.source
