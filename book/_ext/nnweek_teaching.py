"""What the teachers' page takes from elsewhere, so that nothing is written twice.

The minutes stand in the notebooks' Time lines, the mistakes in the checks. A part or a
mistake that is not there any more stops the build.
"""

import math
import re
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from nnweek_mistakes import with_code

from nnweek.checks import EXERCISES

ROOT = Path(__file__).resolve().parents[2]
LESSON = 90  # minutes


def setup(app):
    app.add_directive("minutes-of-the-week", Minutes)
    app.add_directive("lesson-plan", Plan)
    app.add_directive("stumbling-blocks", StumblingBlocks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


# --- What is looked up -------------------------------------------------------------------


def times(root=ROOT):
    """Return {day: (file, {part: minutes})}, read from the notebooks' sources."""
    found = {}
    for path in sorted((root / "notebooks").glob("day-*.py")):
        text = path.read_text(encoding="utf-8").replace("\n# ", " ")
        line = re.search(r"\*\*Time\*\* about (\d+) minutes: ([^.]+)\.", text)
        parts = {
            part: int(minutes) for part, minutes in re.findall(r" ?([^,]+?) (\d+)(?:,|$)", line[2])
        }
        assert sum(parts.values()) == int(line[1]), f"{path.name}: the parts do not add up"
        found[int(path.name[4:6])] = (path.stem, parts)
    return found


def plan(lines, root=ROOT):
    """Turn lines of a plan, "29: forward, loss" or "break 15", into (text, minutes).

    Raises:
        ValueError: if a day has no such part.
    """
    known = times(root)
    for line in lines:
        if line.startswith("break "):
            yield "*break*", int(line.removeprefix("break "))
            continue
        day, _, names = line.partition(": ")
        parts = known[int(day)][1]
        minutes = 0
        for name in names.split(", "):
            if name not in parts:
                raise ValueError(f"Day {day} has no part {name!r}; it has {', '.join(parts)}")
            minutes += parts[name]
        yield f"Day {day}: {names}", minutes


def stumbling_block(line):
    """Turn "backward bias-mean: a question" into (exercise, id, meaning, question).

    Raises:
        ValueError: if there is no such exercise or mistake.
    """
    where, _, question = line.partition(": ")
    name, id_ = where.split(" ")
    mistakes = EXERCISES[name].mistakes if name in EXERCISES else ()
    for mistake in mistakes:
        if mistake.id == id_:
            return EXERCISES[name], id_, mistake.explanation, question
    raise ValueError(f"the checks know no mistake {id_!r} of an exercise {name!r}")


# --- How it is shown -----------------------------------------------------------------------


class _FromMarkdown(Directive):
    """A directive that writes Markdown and lets the page's own parser read it."""

    has_content = True

    def run(self):
        environment = self.state.document.settings.env
        for path in (ROOT / "notebooks").glob("day-*.py"):
            environment.note_dependency(str(path))
        try:
            lines = self.markdown([line for line in self.content if line.strip()])
        except (ValueError, KeyError) as error:
            raise self.error(str(error)) from None
        holder = nodes.container()
        self.state.nested_parse(StringList(lines, source=""), self.content_offset, holder)
        return holder.children


class Minutes(_FromMarkdown):
    """A table of the days: minutes, lessons, parts."""

    def markdown(self, _):
        lines = [f"| day | minutes | lessons of {LESSON} | its parts |", "|---|---|---|---|"]
        total = lessons = 0
        for day, (file, parts) in times().items():
            minutes = sum(parts.values())
            needed = math.ceil(minutes / LESSON)
            total, lessons = total + minutes, lessons + needed
            listed = ", ".join(f"{part} {count}" for part, count in parts.items())
            lines.append(f"| [{day}](notebooks/{file}.ipynb) | {minutes} | {needed} | {listed} |")
        return [*lines, f"| all | {total} | {lessons} | {total / 60:.0f} hours |"]


class Plan(_FromMarkdown):
    """A table of what happens when, with the minutes from the notebooks."""

    def markdown(self, content):
        lines = ["| from | what | minutes |", "|---|---|---|"]
        now = 0
        for text, minutes in plan(content):
            lines.append(f"| {now // 60}:{now % 60:02} | {text} | {minutes} |")
            now += minutes
        return [*lines, f"| {now // 60}:{now % 60:02} | *end* | {now} |"]


class StumblingBlocks(Directive):
    """A list of mistakes: what they mean according to the checks, and a question to ask."""

    has_content = True

    def run(self):
        documents = self.state.document.settings.env.found_docs
        result = nodes.bullet_list()
        for line in filter(str.strip, self.content):
            try:
                exercise, id_, means, question = stumbling_block(line)
            except ValueError as error:
                raise self.error(str(error)) from None
            name = nodes.literal(id_, id_)
            if "what-went-wrong" in documents:
                place = f"what-went-wrong.html#{exercise.name}-{id_}"
                name = nodes.reference("", "", name, refuri=place, internal=True)
            paragraph = nodes.paragraph("", "", nodes.strong("", f"Day {exercise.day}, "))
            paragraph += [nodes.literal(exercise.name, exercise.name), nodes.Text(": "), name]
            paragraph += [nodes.Text(". "), *with_code(f"{means} "), nodes.emphasis("", "Ask: ")]
            paragraph += with_code(question)
            result += nodes.list_item("", paragraph)
        return [result]
