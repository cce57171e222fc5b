"""The form of a day: objectives, time, recap, quiz and summary, and numbers that were measured."""

import ast
import re

from support import ROOT
from support.notebooks import (
    DAYS,
    SOURCES,
    SUMMARY,
    code_cells,
    every_day,
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
def test_minutes_add_up_and_match_the_landing_page(day):
    time = re.search(r"^\*\*Time\*\* about (\d+) minutes: ([^.]+)\.", introduction(day), re.M)
    assert time, "no line **Time** about N minutes: part n, part n."
    parts = re.findall(r"\S (\d+)(?:,|$)", time[2])
    assert len(parts) == time[2].count(",") + 1, f"a part without its minutes: {time[2]}"
    assert sum(map(int, parts)) == int(time[1])

    landing_page = (ROOT / "book" / "index.md").read_text(encoding="utf-8")
    _, *cards = re.split(r"\{grid-item-card\} Day ", landing_page)
    card = next((card for card in cards if card.startswith(f"{day}\n")), None)
    assert card, f"book/index.md has no card for Day {day}"
    assert f":link: notebooks/{SOURCES[day].stem}\n" in card
    assert f"{{figure-of}} notebooks/{SOURCES[day].stem}\n" in card
    assert re.search(r"^(\d+) minutes$", card, re.MULTILINE)[1] == time[1]


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
    30: {"half the width of its 95 % interval": "a confidence level"},
    32: {
        "Is 95 % good? Against what, on which images, and would it be 95 % again": "a question",
        "95 % *interval*": "a confidence level",
        "95 % interval over images": "a confidence level",
        "whose 95 % intervals overlap": "a confidence level",
        "near 100 %": "a bound",
    },
    33: {
        "at a learning rate of 0.001": "a learning rate, in a question",
        "| usual first guess | 0.1 | 0.01 | 0.001 |": "learning rates",
        "the band its 95 % interval": "a confidence level",
        "seed by seed, with its 95 % interval": "a confidence level",
    },
    35: {
        "0.1 points above yours": "an invented difference, in a question",
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
