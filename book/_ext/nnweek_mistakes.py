"""The page *What went wrong?* is written from what the checks know: the two cannot differ.

A verdict on a page of the book links to its place there.
"""

from docutils import nodes
from docutils.parsers.rst import Directive

from nnweek.checks import EXERCISES
from nnweek.checks.verdict import GENERIC, anchor


def setup(app):
    app.add_directive("mistakes-of-any-exercise", MistakesOfAnyExercise)
    app.add_directive("mistakes-by-exercise", MistakesByExercise)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class MistakesOfAnyExercise(Directive):
    """What every check can say: a section for each of the ids that no exercise owns."""

    def run(self):
        return [
            section(id_, [nodes.literal(id_, id_)], [paragraph(means)])
            for id_, means in GENERIC.items()
        ]


class MistakesByExercise(Directive):
    """Every exercise with every mistake that its check names: what it means, the first hint."""

    def run(self):
        return [exercise_section(exercise) for exercise in EXERCISES.values()]


def exercise_section(exercise):
    mistakes = {}
    for mistake in exercise.mistakes:
        if mistake.id not in GENERIC:
            # One mistake may be known by several patterns, each with its explanation.
            mistakes.setdefault(mistake.id, []).extend(
                [paragraph(mistake.explanation), paragraph(mistake.hints[0], "First hint: ")]
            )
    content = [paragraph(f"`{exercise.signature}` {exercise.task}.")]
    for id_, explained in mistakes.items():
        content.append(section(anchor(exercise.name, id_), [nodes.literal(id_, id_)], explained))
    title = [nodes.literal(exercise.name, exercise.name), nodes.Text(f", Day {exercise.day}")]
    return section(exercise.name, title, content)


def section(id_, title, content):
    """A section whose address on the page is `#id_`, exactly."""
    return nodes.section("", nodes.title("", "", *title), *content, ids=[id_], names=[id_])


def paragraph(text, before=""):
    """A paragraph of `text`, which may begin with emphasised words."""
    result = nodes.paragraph()
    if before:
        result += nodes.emphasis(before, before)
    result += with_code(text)
    return result


def with_code(text):
    """Nodes of a text: what stands between backticks becomes code, as it does in a verdict."""
    return [
        nodes.literal(part, part) if number % 2 else nodes.Text(part)
        for number, part in enumerate(text.split("`"))
    ]
