"""Exercises, predictions, questions and captions get elements of their own; a wrong form warns.

Sphinx builds small notebooks, each with its source beside it. Their cells are not run: what a
cell shows depends on the first words of its code.
"""

import io
import re
import runpy

import jupytext
import pytest
from bs4 import BeautifulSoup
from nbformat import v4
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from nnweek.checks import solution
from support import ROOT

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
OUTPUTS = {
    "def ": v4.new_output("display_data", {"text/html": '<div class="verdict">not yet</div>'}),
    "HTML": v4.new_output("display_data", {"text/html": "<figure><svg></svg></figure>"}),
    "losses": v4.new_output("display_data", {"image/png": PNG}),
    "plot": v4.new_output("display_data", {"image/png": PNG}),
    "print": v4.new_output("stream", text="0.42"),
    "Markdown": v4.new_output("display_data", {"text/markdown": "*How to read it:* a result."}),
}
STUB = """
# %%
def softmax(logits):
    ...  # your code

checks.softmax(softmax)

# %% [markdown]
"""
FOLDS = """
# <details>
# <summary>A hint</summary>
#
# Subtract.
# </details>
#
# <details>
# <summary>Another hint</summary>
#
# Divide.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def softmax(logits): return logits
# ```
# </details>
#
# Next, the loss.
"""
EXERCISE = "**Exercise 1.** *(about 10 minutes, medium)* Write $p$, the softmax."
QUESTION = """
# ## Check yourself
#
# **1.** Is the loss `8`?
#
# ```python
# loss
# ```
#
# - a) It is $8$.
# - b) **No.**
# - c) Never.
#
# <details>
# <summary>Answer</summary>
#
# **b.** It is
# $2.3$.
# c) `Never` is long.
# a) The weights, then, are large.
# </details>
"""
PREDICTION = "*Predict before you run:* where does it start?"
HOW_TO_READ = "*How to read it:* lower is better."

PAGES = {
    "good": f"# {EXERCISE}\n#\n# Any number of rows.\n{STUB}{FOLDS}#\n# {PREDICTION}\n\n# %%\nimport numpy\n\n"
    '# %% tags=["hide-input"]\nplot()\n\n# %%\nMarkdown("x")\n\n'
    f"# %% [markdown]\n# {HOW_TO_READ}\n#\n# The text goes on.\n#\n# {EXERCISE.replace('1', '2', 1)}\n"
    f"{STUB.replace('softmax', 'backward')}{FOLDS}{QUESTION}",
    "drawing": f"# %%\nHTML()\n\n# %% [markdown]\n# {HOW_TO_READ}",
    "exercise-without-minutes": f"# **Exercise 1.** Write it.\n{STUB}{FOLDS}",
    "new-day": runpy.run_path(str(ROOT / ".ci" / "new_day.py"))["TEMPLATE"].format(
        day=77, title="Attention", colab_cell=""
    ),
    "not-run": f"# {PREDICTION}\n\n# %%\nx = 1",
    "choice": f"# {PREDICTION}\n#\n# - a) At $1$.\n# - b) **Below.**\n\n# %%\nprint(1)",
    "number-asked": f"# {PREDICTION} *(a number)*\n\n# %%\nprint(1)",
    "cases": f"# {PREDICTION}\n#\n# - A: above\n# - B: below\n\n# %%\nprint(1)",
}
WRONG = {  # {name: (source, line of the warning, the warning)}
    "minutes": (
        f"# {EXERCISE.replace('medium', 'tough')}\n{STUB}{FOLDS}",
        3,
        "Exercise 1 says *(about 10 minutes, tough)*, not *(about 10 minutes, medium)*; instead of "
        "medium there may be easy or hard.",
    ),
    "number": (
        f"# {EXERCISE.replace('1', '3', 1)}\n{STUB}{FOLDS}", 3,
        "Exercise 3 is number 1 on its page.",
    ),
    "cell": (f"# Text.\n#\n# {EXERCISE}", 5, "Exercise 1 has no code cell below it."),
    "check": (
        f"# {EXERCISE}\n\n# %%\nsoftmax = ...\n\n# %% [markdown]\n{FOLDS}", 3,
        "The cell of exercise 1 calls no check: checks.NAME(NAME).",
    ),
    "unknown-check": (
        f"# {EXERCISE}\n{STUB.replace('checks.softmax', 'checks.hardmax')}{FOLDS}", 3,
        "The cell of exercise 1 calls no check: checks.NAME(NAME).",
    ),
    "solution": (
        f"# {EXERCISE}\n{STUB}{FOLDS.replace('A solution', 'More')}", 3,
        "Below exercise 1 there are no hints that end in “A solution”.",
    ),
    "prediction": (
        f"# %%\nprint(1)\n\n# %% [markdown]\n# {PREDICTION}\n#\n# {PREDICTION}\n\n# %%\nprint(2)", 7,
        "Nothing answers this prediction: no cell with an output is below it.",
    ),
    "prediction-of-nothing": (
        f"# %%\nprint(1)\n\n# %% [markdown]\n# {PREDICTION}\n\n# %%\nx = 2", 7,
        "Nothing answers this prediction: no cell with an output is below it.",
    ),
    "letters": (
        f"# {PREDICTION}\n#\n# - a) Here.\n# - c) There.\n\n# %%\nprint(2)", 3,
        "The options of a prediction must begin with a), b), c) …",
    ),
    "caption": (
        f"# %%\nplot()\n\n# %% [markdown]\n# Text between.\n#\n# {HOW_TO_READ}", 9,
        "“How to read it:” must stand directly below a figure's cell.",
    ),
    "key": (
        QUESTION.replace("**b.** ", ""), 6,
        "Question 1 has no key: the answer begins with **letter.**",
    ),
    "other-key": (
        QUESTION.replace("**b.** ", "**d.** "), 6,
        "Question 1 has no key: the answer begins with **letter.**",
    ),
    "reason": (
        QUESTION.replace("# c) `Never`", "# `Never`"), 6,
        "The answer to question 1 has no line that begins with c)",
    ),
    "options": (
        QUESTION.replace("- b)", "- d)"), 6,
        "The options of question 1 must begin with a), b), c) …",
    ),
    "answer": (
        QUESTION.partition("# <details>")[0], 6,
        "Question 1 is not “**1.**”, then a list of options, then <details> with the summary “Answer”.",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """({page: HTML}, the lines of warnings) of a build of all pages."""
    folder = tmp_path_factory.mktemp("book")
    for name, text in (PAGES | {name: text for name, (text, *_) in WRONG.items()}).items():
        if name != "new-day":  # the text begins with line 3; a question, with an empty line
            text = f"# %% [markdown]\n# # {name}\n{text}"
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
        notebook = jupytext.reads(text, fmt="py:percent")
        notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "python"}
        for cell in notebook.cells:
            for begin, output in OUTPUTS.items():
                if cell.cell_type == "code" and cell.source.startswith(begin):
                    cell.outputs = [output]
        jupytext.write(notebook, folder / f"{name}.ipynb")
    settings = {
        "extensions": ["myst_nb", "tasks"],
        "myst_enable_extensions": ["dollarmath"],
        "nb_execution_mode": "off",
        "nb_code_prompt_show": "Code",
        "root_doc": "good",
        "html_theme": "basic",
    }
    warnings = io.StringIO()
    with docutils_namespace():
        Sphinx(
            folder, None, folder / "html", folder / "doctrees", "html", settings,
            status=None, warning=warnings,
        ).build()  # fmt: skip
    pages = {
        file.stem: BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")
        for file in (folder / "html").glob("*.html")
    }
    said = re.sub(r"\x1b\[[\d;]+m", "", warnings.getvalue()).replace(f"{folder}/", "")
    return pages, [line for line in said.splitlines() if "toctree" not in line]


@pytest.fixture(scope="module")
def page(built):
    return built[0]["good"]


def words(tag):
    return " ".join(tag.get_text().split())


def test_exercise_is_one_card_with_all_its_parts(page):
    first, second = page.select("section.exercise")
    assert first["id"] == "exercise-softmax"
    facts = {name: value for name, value in first.attrs.items() if name.startswith("data-")}
    assert facts == {
        "data-exercise": "softmax",
        "data-check": "checks.softmax(softmax)",
        "data-minutes": "10",
        "data-difficulty": "medium",
    }
    label, *task, cell, hint, another, solution = first.find_all(recursive=False)
    assert (label.name, words(label)) == ("h2", "Exercise 1 of 2 · about 10 min · medium")
    assert first["aria-labelledby"] == label["id"]
    assert [words(one)[:13] for one in task] == ["Write \\(p\\), ", "Any number of"]
    assert cell.pre.get_text().startswith("def softmax(logits):\n")
    assert cell.select_one(".cell_output .verdict")
    assert [fold["class"] for fold in (hint, another, solution)] == [
        ["hint"],
        ["hint"],
        ["solution"],
    ]
    assert "return logits" in solution.get_text()
    assert words(first.find_next_sibling()) == "Next, the loss."
    assert second["data-exercise"] == "backward"


def test_exercise_without_minutes_is_a_card_without_them(built):
    (card,) = built[0]["exercise-without-minutes"].select(".exercise")
    assert words(card.h2) == "Exercise 1 of 1"
    assert not card.has_attr("data-minutes")


def test_prediction_names_the_cell_that_answers_it(page):
    (block,) = page.select("div.prediction#prediction-1")
    assert words(block) == "Predict before you run: where does it start?"
    answer = page.find(id=block["data-answered-by"])
    assert answer.select("img"), "the cell of imports, which shows nothing, answers it"


def test_prediction_asks_for_a_choice_a_number_or_a_text(built):
    choice, number, cases = (
        built[0][name].select_one(".prediction") for name in ("choice", "number-asked", "cases")
    )
    options = choice.select("ol.options > li")
    assert {one["data-option"]: words(one) for one in options} == {"a": r"At \(1\).", "b": "Below."}
    assert number["data-asks"] == "number"
    assert words(number) == "Predict before you run: where does it start?"
    assert not cases.select("li, .options")
    assert not [one for one in (choice, cases) if one.has_attr("data-asks")]


def test_how_to_read_it_is_the_caption_of_the_figure_above(page):
    (figure,) = page.select("figure")
    assert [one.name for one in figure.find_all(recursive=False)] == ["img", "figcaption"]
    assert words(figure.figcaption) == "How to read it: lower is better."
    assert figure.find_parent("div", class_="cell_output")
    assert "How to read it: a result." in page.get_text(), "what a cell printed is no caption"


def test_drawing_in_html_gets_its_caption_too(built):
    (outer,) = built[0]["drawing"].select("figure:has(figure)")
    assert words(outer.find_all(recursive=False)[-1]) == "How to read it: lower is better."


def test_code_that_is_folded_looks_like_every_fold(page):
    (fold,) = page.select("details.hide")
    assert [one.name for one in fold.find_all(recursive=False)] == ["summary", "div"]
    assert words(fold.summary) == "Code"


def test_question_has_rows_of_options_and_a_reason_for_each(page):
    (card,) = page.select("div.question#question-1")
    assert card["data-answer"] == "b"
    assert words(page.find(id=card["aria-labelledby"])) == "1. Is the loss 8?"
    options = card.select("ol.options > li")
    assert [(one["data-option"], words(one)) for one in options] == [
        ("a", "It is \\(8\\)."), ("b", "No."), ("c", "Never."),
    ]  # fmt: skip
    assert card.select_one("pre").find_next("ol") == card.select_one(".options")
    reasons = card.select("details.answer > ol.reasons > li")
    assert [(one["data-option"], one["value"], words(one)) for one in reasons] == [
        ("b", "2", "It is \\(2.3\\)."),
        ("c", "3", "Never is long."),
        ("a", "1", "The weights, then, are large."),
    ]
    assert [one.get("class") for one in reasons] == [["right"], None, None]


def test_new_day_begins_with_every_form(built):
    page = built[0]["new-day"]
    for part, number in ((".exercise", 1), (".prediction", 1), (".question", 2), ("figcaption", 1)):
        assert len(page.select(part)) == number, part
    stub = page.select_one(".exercise .cell_input pre").get_text()
    assert stub.endswith("checks.relu_grad(relu_grad)\n")
    assert page.select_one(".solution pre").get_text().strip() == solution("relu_grad").text


@pytest.mark.parametrize("name", WRONG)
def test_wrong_form_warns_with_file_and_line(name, built):
    pages, warnings = built
    _, line, text = WRONG[name]
    assert f"{name}.py:{line}: WARNING: {text}" in warnings
    assert not pages[name].select("section.exercise, div.question, figure")


def test_nothing_else_warns(built):
    assert [line for line in built[1] if not line.startswith(tuple(WRONG))] == []
    assert len(built[1]) == len(WRONG)
