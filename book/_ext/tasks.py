"""What a reader is to do: exercises, predictions, questions, and captions that say how to read.

The notebooks are plain Markdown, which Jupyter and Colab show as it is. On the site, one
transform recognises the form of these parts and gives each an element of its own, which the
style sheet `tasks.css` and scripts can address:

    section.exercise#exercise-backward[data-exercise=backward][data-check="checks.backward(backward)"]
        [data-minutes="10"][data-difficulty=medium]
      h3.task-label        "Exercise 4 of 6 · about 10 min · medium"
      …                    the task
      div.cell             stub and check in `pre`, then the verdict
      details.hint, details.solution
    div.prediction#prediction-1[data-answered-by=answer-1]
      p                    what is to be predicted; `[data-asks=number]` if it ends in *(a number)*
      ol.options           li[data-option=a] …, if a list of a), b) … follows it
    details.result         the outputs of `answer-1`, the cell that answers, and of the next ones
    div.question#question-3[data-answer=b]
      p#question-3-text …  the question
      ol.options           li[data-option=a] …
      details.answer       ol.reasons of li[data-option=b].right, li[data-option=a] …
    figure                 the image, then figcaption

A part whose form is not complete stays as it is, and the build warns with file and line.
"""

import re
from itertools import takewhile
from pathlib import Path

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

from nnweek.checks import EXERCISES

EXERCISE = re.compile(r"Exercise (\d+)\.")
EFFORT = re.compile(r"\(about (\d+) minutes?, (easy|medium|hard)\)")
CHECK = re.compile(r"^checks\.(\w+)\(.*\)$", re.MULTILINE)
PREDICTION = re.compile(r"Predict before you run:")
NUMBER = re.compile(r"\(a number\)")
HOW_TO_READ = re.compile(r"How to read (?:it|them):")
QUESTION = re.compile(r"(\d+)\.")
OPTION = re.compile(r"([a-h])\) ")
KEY = re.compile(r"([a-h])\.")
REASON = re.compile(r"\n([a-h])\) ")  # begins a line of the answer
QUIZ = "Check yourself"


def setup(app):
    app.setup_extension("myst_nb")
    app.add_node(element, html=(open_element, close_element))
    app.add_node(HideCodeCellNode, override=True, html=(open_code, close_code))
    app.add_transform(Tasks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class element(nodes.General, nodes.Element):
    """An element of HTML for which docutils has no node: its name, attributes and content."""

    @classmethod
    def of(cls, tag, *content, ids=(), classes=(), **attributes):
        attributes = {name.replace("_", "-"): value for name, value in attributes.items()}
        return cls("", *content, tag=tag, html=attributes, ids=list(ids), classes=list(classes))


def open_element(writer, node):
    writer.body.append(writer.starttag(node, node["tag"], "", **node["html"]))


def close_element(writer, node):
    writer.body.append(f"</{node['tag']}>\n")


def open_code(writer, node):
    """Begin folded code like every other fold; MyST-NB would make an admonition of it."""
    summary = writer.encode(node["prompt_show"])
    writer.body.append(f'<details class="hide">\n<summary>{summary}</summary>\n')


def close_code(writer, node):
    writer.body.append("</details>\n")


class Malformed(Exception):
    """A part does not have its form; the message says what is missing."""


class Tasks(SphinxTransform):
    """Give the parts of a page that a reader works with elements of their own."""

    default_priority = 400

    def apply(self):
        for text in list(self.document.findall(nodes.Text)):
            if text == "":  # MyST puts one before **bold** words
                text.parent.remove(text)
        for form, build in (
            ((nodes.emphasis, HOW_TO_READ), self.caption),
            ((nodes.emphasis, PREDICTION), self.prediction),
            ((nodes.strong, EXERCISE), self.exercise),
            ((nodes.strong, QUESTION), self.question),
        ):
            paragraphs = [
                one
                for one in self.document.findall(nodes.paragraph)
                if begin(one, *form) and isinstance(one.parent, nodes.section)
            ]
            if build == self.question:
                paragraphs = [one for one in paragraphs if title(one.parent) == QUIZ]
            for number, paragraph in enumerate(paragraphs, start=1):
                try:
                    build(paragraph, number, len(paragraphs))
                except Malformed as problem:
                    place = self.place(paragraph)
                    logging.getLogger(__name__).warning(str(problem), location=place)

    def place(self, node):
        """Return file and line of a node; for a notebook, those of its source."""
        file, line = Path(self.env.doc2path(self.env.docname)), node.line or 0
        source = file.with_suffix(".py")
        if file.suffix == ".ipynb" and source.exists():
            cell, line = divmod(line, 10_000)  # MyST-NB's number of a cell's line 1: 10002, 20002 …
            lines = source.read_text(encoding="utf-8").splitlines()
            starts = [n for n, text in enumerate(lines, start=1) if text.startswith("# %%")]
            file, line = source, starts[cell - 1] + line - 1
        return f"{file}:{line}"

    def caption(self, paragraph, number, total):
        """Make the figure above, with the paragraph as its caption, one `figure`."""
        above = paragraph.parent[: paragraph.parent.index(paragraph)]
        for cell in takewhile(is_cell, reversed(above)):
            output = output_of(cell)
            images = [i for i, one in enumerate(output) if is_drawn(one)]
            if images:
                break
        else:
            raise Malformed(f"“{paragraph[0].astext()}” must stand directly below a figure's cell.")
        paragraph.parent.remove(paragraph)
        shown = output[images[0] : images[-1] + 1]
        caption = element.of("figcaption", paragraph)
        output[images[0] : images[-1] + 1] = [element.of("figure", *shown, caption)]

    def prediction(self, paragraph, number, total):
        """Wrap a prediction, and name the cell that answers it."""
        has_been_run = any(map(output_of, filter(is_cell, self.document.findall())))
        for below in siblings_below(paragraph):
            if begin(below, nodes.emphasis, PREDICTION) or begin(below, nodes.strong, EXERCISE):
                break
            if is_cell(below) and (output_of(below) or not has_been_run):
                below["ids"].append(f"answer-{number}")
                self.cover(below)
                card = element.of(
                    "div", ids=[f"prediction-{number}"], classes=["prediction"],
                    data_answered_by=f"answer-{number}",
                )  # fmt: skip
                options = next(iter(siblings_below(paragraph)), None)
                if is_lettered(options):
                    if not lettered(options):
                        raise Malformed("The options of a prediction must begin with a), b), c) …")
                    wrap([paragraph, options], card, [paragraph, rows(options)])
                else:
                    wrap([paragraph], card)
                    if isinstance(paragraph[-1], nodes.emphasis) and NUMBER.fullmatch(
                        paragraph[-1].astext()
                    ):
                        paragraph.pop()
                        card["html"]["data-asks"] = "number"
                return
        raise Malformed("Nothing answers this prediction: no cell with an output is below it.")

    def cover(self, cell):
        """Fold the outputs of adjacent cells, so that a reader can predict before seeing them."""
        for one in takewhile(is_cell, [cell, *siblings_below(cell)]):
            if output := output_of(one):
                summary = element.of("summary", nodes.Text("The result"))
                output.children = [element.of("details", summary, *output, classes=["result"])]
                output.children[0].parent = output

    def exercise(self, paragraph, number, total):
        """Wrap the task, its cell and the folds below it into one card."""
        stated = int(EXERCISE.match(paragraph[0].astext())[1])
        if stated != number:
            raise Malformed(f"Exercise {stated} is number {number} on its page.")
        below = siblings_below(paragraph)
        task = before(is_cell, below)
        if len(task) == len(below):
            raise Malformed(f"Exercise {number} has no code cell below it.")
        cell = below[len(task)]
        check = CHECK.search(next(cell.findall(nodes.literal_block)).astext())
        if not check or check[1] not in EXERCISES:
            raise Malformed(f"The cell of exercise {number} calls no check: checks.NAME(NAME).")
        folded = folds(below[len(task) + 1 :])
        if [kind for kind, _ in folded].count("A solution") != 1 or folded[-1][0] != "A solution":
            raise Malformed(f"Below exercise {number} there are no hints that end in “A solution”.")
        effort = take_effort(paragraph, number)
        label = [nodes.Text(f"Exercise {number} of {total}")]
        facts = {"data_exercise": check[1], "data_check": check[0]}
        if effort:
            facts |= {"data_minutes": effort[1], "data_difficulty": effort[2]}
            words = f" · about {effort[1]} min · {effort[2]}"
            label.append(nodes.inline("", words, classes=["effort"]))
        name = f"exercise-{check[1]}"
        card = element.of(
            "section", ids=[name], classes=["exercise"], aria_labelledby=f"{name}-label", **facts
        )
        level = 1 + sum(isinstance(one, nodes.section) for one in ancestors(paragraph))
        card += element.of(f"h{level}", *label, ids=[f"{name}-label"], classes=["task-label"])
        for kind, (opening, *_) in folded:
            mark(opening, "solution" if kind == "A solution" else "hint")
        wrap([paragraph, *task, cell, *(node for _, fold in folded for node in fold)], card)

    def question(self, paragraph, number, total):
        """Make rows of a question's options, and of the reasons in its answer."""
        below = siblings_below(paragraph)
        asked = before(lambda one: isinstance(one, nodes.bullet_list), below)
        folded = folds(below[len(asked) + 1 :])[:1]
        if int(QUESTION.match(paragraph[0].astext())[1]) != number or not folded:
            raise Malformed(
                f"Question {number} is not “**{number}.**”, then a list of options, then "
                "<details> with the summary “Answer”."
            )
        options, ((_, answer),) = below[len(asked)], folded
        letters = lettered(options)
        if not letters:
            raise Malformed(f"The options of question {number} must begin with a), b), c) …")
        right, reasons = split_answer(answer[1:-1])
        if right not in letters:
            raise Malformed(f"Question {number} has no key: the answer begins with **letter.**")
        if missing := sorted(set(letters) - reasons.keys()):
            raise Malformed(
                f"The answer to question {number} has no line that begins with {missing[0]})"
            )
        card = element.of(
            "div", ids=[f"question-{number}"], classes=["question"], data_answer=right,
            role="group", aria_labelledby=f"question-{number}-text",
        )  # fmt: skip
        paragraph["ids"].append(f"question-{number}-text")
        choices = rows(options)
        explained = [
            row(letter, [nodes.paragraph("", "", *text)], ["right"] * (letter == right))
            for letter, text in reasons.items()
        ]
        mark(answer[0], "answer")
        folded = [
            answer[0],
            element.of("ol", *explained, classes=["reasons"], type="a"),
            answer[-1],
        ]
        wrap([paragraph, *asked, options, *answer], card, [paragraph, *asked, choices, *folded])


def begin(node, kind, pattern):
    """Whether a paragraph begins with words in bold or in italics."""
    return (
        isinstance(node, nodes.paragraph)
        and isinstance(next(iter(node), None), kind)
        and pattern.fullmatch(" ".join(node[0].astext().split()))
    )


def title(section):
    return section[0].astext() if isinstance(next(iter(section), None), nodes.title) else ""


def is_cell(node):
    return isinstance(node, nodes.container) and node.get("nb_element") == "cell_code"


def output_of(cell):
    """Return the output of a cell, or an empty list."""
    shown = [one for one in cell if one.get("nb_element") == "cell_code_output"]
    return shown[0] if shown else []


def is_drawn(output):
    """Whether an output is a figure: an image, or a drawing in HTML."""
    drawings = (one for one in output.findall(nodes.raw) if "<svg" in one.astext())
    return any(output.findall(nodes.image)) or any(drawings)


def ancestors(node):
    while node := node.parent:
        yield node


def siblings_below(node):
    """Return what follows a node in its section, without subsections."""
    below = node.parent[node.parent.index(node) + 1 :]
    return before(lambda one: isinstance(one, nodes.section), below)


def before(condition, given):
    """Return the elements before the first one that meets a condition."""
    return given[: next((i for i, one in enumerate(given) if condition(one)), len(given))]


def folds(given):
    """Return [(summary, its nodes from <details> to </details>)] at the beginning of a list."""
    found = []
    while given and (
        summary := re.match(r"<details>\s*<summary>(.+)</summary>", given[0].astext())
    ):
        inner = before(lambda one: one.astext().strip() == "</details>", given)
        found.append((summary[1], given[: len(inner) + 1]))
        given = given[len(inner) + 1 :]
    return found


def mark(opening, name):
    """Give the raw tag <details> a class."""
    opening.children = [
        nodes.Text(opening.astext().replace("<details", f'<details class="{name}"'))
    ]


def wrap(given, card, content=None):
    """Put a card in the place of adjacent nodes; by default, these become its content."""
    parent, start = given[0].parent, given[0].parent.index(given[0])
    parent[start : start + len(given)] = [card]
    card += given if content is None else content


def take_effort(paragraph, number):
    """Remove **Exercise 4.** *(about 10 minutes, medium)* from the task; return the match."""
    stated = " ".join(paragraph[2].astext().split()) if len(paragraph) > 2 else ""
    effort = EFFORT.fullmatch(stated)
    if not effort and stated.startswith("(") and isinstance(paragraph[2], nodes.emphasis):
        raise Malformed(
            f"Exercise {number} says *{stated}*, not *(about 10 minutes, medium)*; instead of "
            "medium there may be easy or hard."
        )
    del paragraph[: 3 if effort else 1]
    paragraph[0] = nodes.Text(paragraph[0].lstrip())
    return effort


def split_answer(given):
    """Return the right letter and {letter: nodes of its reason}, in the order of the answer."""
    if len(given) != 1 or not begin(given[0], nodes.strong, KEY):
        return None, {}
    right = KEY.match(given[0][0].astext())[1]
    reasons, words = {right: []}, [nodes.Text(""), *given[0][1:]]
    for i in reversed(range(1, len(words))):  # MyST gives each end of a line a text of its own
        if isinstance(words[i - 1], nodes.Text) and isinstance(words[i], nodes.Text):
            words[i - 1 : i + 1] = [nodes.Text(words[i - 1] + words[i])]
    letter = right
    for word in words:
        if isinstance(word, nodes.Text):
            first, *others = REASON.split(word.lstrip(" ") if not reasons[letter] else word)
            reasons[letter].append(nodes.Text(first))
            for letter, text in zip(others[::2], others[1::2], strict=True):
                reasons[letter] = [nodes.Text(text)]
        else:
            reasons[letter].append(word)
    return right, reasons


def lettered(options):
    """Return the letters of a list whose items begin with a), b), c) …; else an empty list."""
    firsts = [next(item.findall(nodes.Text), "") for item in options]
    letters = [found and found[1] for found in map(OPTION.match, firsts)]
    return letters if letters == list("abcdefgh"[: len(letters)]) else []


def is_lettered(options):
    """Whether the first item of a list begins with a letter, so that the others must too."""
    return isinstance(options, nodes.bullet_list) and OPTION.match(options[0].astext())


def rows(options):
    """Return a list of options as rows, without the letters that they begin with."""
    made = []
    for letter, item in zip(lettered(options), options, strict=True):
        first = next(item.findall(nodes.Text))
        first.parent.replace(first, nodes.Text(first[len("a) ") :]))
        made.append(row(letter, item.children))
    return element.of("ol", *made, classes=["options"], type="a")


def row(letter, content, classes=()):
    """Return an option, or a reason, whose marker is its letter."""
    value = str("abcdefgh".index(letter) + 1)
    return element.of("li", *content, classes=classes, value=value, data_option=letter)
