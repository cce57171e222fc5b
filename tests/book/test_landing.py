"""The landing page shows a real verdict and counts its facts."""

import re

import directives
import landing
import pytest

from nnweek import checks
from nnweek.checks import progress_store
from support import text_of
from support.notebooks import DAYS, markdown_cells

INDEX = text_of("book/index.md")
SHOWN = re.search(r":::\{verdict-on\} backward no-batch-average\n(.*?)\n:::", INDEX, re.S)[1]


def test_verdict_is_that_of_a_first_attempt_and_leaves_no_trace():
    before = progress_store.given_hints()
    verdict = landing.verdict_on("backward", "no-batch-average", SHOWN.splitlines())
    mistake = next(m for m in checks.EXERCISES["backward"].mistakes if m.id == verdict.mistake)
    assert mistake.question in verdict.hint
    assert mistake.advice not in verdict.hint
    assert landing.verdict_on("backward", "no-batch-average", SHOWN.splitlines()) == verdict
    assert progress_store.given_hints() == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("probs.copy()", "probs"),
        ("    ...\n    dscores", "    dscores"),
        ("    dW2 =", "    dscores /= N\n    dW2 ="),
        ("checks.backward(backward)", "checks.forward(forward)"),
    ],
)
def test_lines_that_the_program_lacks_are_refused(old, new):
    assert old in SHOWN
    with pytest.raises(ValueError, match="not lines of the solution of backward"):
        landing.verdict_on("backward", "no-batch-average", SHOWN.replace(old, new, 1).splitlines())


def test_mistake_without_a_program_is_refused_by_name():
    with pytest.raises(KeyError, match="dark-magic"):
        landing.verdict_on("backward", "dark-magic", SHOWN.splitlines())


def test_facts_are_those_of_the_checks_and_the_notebooks():
    found = landing.week_facts()
    assert found["exercises"] == len(checks.EXERCISES)
    text = "\n".join(cell.source for day in DAYS for cell in markdown_cells(day))
    assert found["questions"] == text.count("<summary>Answer</summary>")
    minutes = sum(sum(parts.values()) for _, parts in directives.times().values())
    assert found["hours"] == round(minutes / 60)


def test_no_measured_or_counted_number_is_typed_on_the_page():
    text = re.sub(r"^(?:\(?http\S*|:::\{.*|\[.*\]\(.*)$", "", INDEX, flags=re.MULTILINE)
    text = re.sub(
        r":::\{verdict-on\}.*?\n:::|\b[Dd]ay 29\b|\*Week 5\*|Week 5 –", "", text, flags=re.S
    )
    text = text.replace(SHOWN, "")
    assert re.findall(r"\d+", text) == ["1", "4"], "only weeks 1 to 4"
