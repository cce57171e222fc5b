"""The directives of the book's own pages: what they show is looked up, never typed twice.

A name that does not exist (a part, a mistake, a day) fails the build. To measure
the kernels again: `make bench`, then copy `bench.json` to `book/kernels.json`; the directive
reads its parts `machine` and `notebooks`.
"""

import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from execution_cache import LIBRARIES, ROOT
from sphinx.util.docutils import SphinxDirective, SphinxRole
from sphinx_external_toc.parsing import parse_toc_yaml

from nnweek.checks import EXERCISES
from nnweek.checks.verdict import GENERIC, anchor
from nnweek.commands import catalogue
from nnweek.mnist import load_mnist
from nnweek.runtime import get_device


def setup(app):
    app.add_directive("mistakes-of-any-exercise", MistakesOfAnyExercise)
    app.add_directive("mistakes-by-exercise", MistakesByExercise)
    app.add_role("mistake-count", MistakeCount())
    app.add_directive("mistake-table", MistakeTable)
    app.add_directive("catalogue-files", CatalogueFiles)
    app.connect("build-finished", write_catalogue)
    app.add_directive("minutes-of-the-week", Minutes)
    app.add_directive("lesson-plan", LessonPlan)
    app.add_directive("stumbling-blocks", StumblingBlocks)
    app.add_directive("kernels-of-the-week", KernelsOfTheWeek)
    app.add_directive("build-status", BuildStatus)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class MistakesOfAnyExercise(SphinxDirective):
    """A section for each id that every check can report."""

    def run(self):
        return [
            section(id_, [nodes.literal(id_, id_)], [paragraph(explanation)])
            for id_, explanation in GENERIC.items()
        ]


class MistakesByExercise(SphinxDirective):
    """Every exercise with the mistakes that its check names: explanation and first hint."""

    def run(self):
        return [exercise_section(exercise) for exercise in EXERCISES.values()]


def exercise_section(exercise):
    mistakes = {}
    for mistake in exercise.mistakes:
        if mistake.id not in GENERIC:
            # One id may have several patterns, each with its own explanation.
            mistakes.setdefault(mistake.id, []).extend(
                [paragraph(mistake.explanation), paragraph(mistake.hints[0], "First hint: ")]
            )
    content = [paragraph(f"`{exercise.signature}` {exercise.task}.")]
    for id_, explained in mistakes.items():
        content.append(section(anchor(exercise.name, id_), [nodes.literal(id_, id_)], explained))
    title = [nodes.literal(exercise.name, exercise.name), nodes.Text(f", Day {exercise.day}")]
    return section(exercise.name, title, content)


def section(id_, title, content):
    """A section whose address on the page is exactly `#id_`; verdicts link to it."""
    return nodes.section("", nodes.title("", "", *title), *content, ids=[id_], names=[id_])


def paragraph(text, before=""):
    """A paragraph of `text`, which may begin with emphasised words."""
    result = nodes.paragraph()
    if before:
        result += nodes.emphasis(before, before)
    result += with_code(text)
    return result


def with_code(text):
    """Nodes of a text in which backticks enclose code, as in a verdict."""
    return [
        nodes.literal(part, part) if number % 2 else nodes.Text(part)
        for number, part in enumerate(text.split("`"))
    ]


def read_again_with_the_checks(env):
    """Make Sphinx read a page again if the exercises have changed."""
    for file in sorted((ROOT / "nnweek" / "checks").glob("*.py")):
        env.note_dependency(str(file))


class MistakeCount(SphinxRole):
    """The number of mistakes that the checks name; each counts once per exercise."""

    def run(self):
        read_again_with_the_checks(self.env)
        return [nodes.Text(str(len(catalogue.mistake_names())))], []


class MistakeTable(SphinxDirective):
    """A table of the exercises: the ids of their mistakes, each with its number of variants."""

    def run(self):
        read_again_with_the_checks(self.env)
        rows = [mistake_row(exercise) for exercise in EXERCISES.values()]
        return [table(("exercise, mistakes", "ids, with their numbers of variants"), rows)]


def mistake_row(exercise):
    """Return the two cells of an exercise; a question without mistakes has no ids."""
    variants = Counter()
    for mistake in exercise.mistakes:
        if mistake.id not in GENERIC:
            variants[mistake.id] += len(mistake.variants)
    ids = []
    for id_, count in variants.items():
        ids += [
            nodes.Text(", "),
            nodes.literal(id_, id_),
            nodes.Text(f"\N{NO-BREAK SPACE}{count}" if count else ""),
        ]
    place = f"what-went-wrong.html#{exercise.name}"
    name = nodes.literal("", exercise.name)
    link = nodes.reference("", "", name, refuri=place, internal=True)
    return [link, nodes.Text(f", {len(variants)}")], ids[1:] or [nodes.Text("–")]


def table(head, rows):
    """Return a table of a row of texts and rows of cells, each a list of nodes."""

    def row(cells):
        entries = (nodes.entry("", nodes.paragraph("", "", *cell)) for cell in cells)
        return nodes.row("", *entries)

    columns = [nodes.colspec(colwidth=1) for _ in head]
    body = nodes.tbody("", *map(row, rows))
    header = nodes.thead("", row([[nodes.Text(text)] for text in head]))
    return nodes.table("", nodes.tgroup("", *columns, header, body, cols=len(head)))


class CatalogueFiles(SphinxDirective):
    """Links to the catalogue and its schema, which `write_catalogue` puts beside the pages."""

    def run(self):
        data, schema = (
            nodes.reference("", "", nodes.literal("", name), refuri=name, internal=True)
            for name in (CATALOGUE, catalogue.SCHEMA.name)
        )
        before, between = nodes.Text("Download "), nodes.Text(" and its schema, ")
        return [nodes.paragraph("", "", before, data, between, schema, nodes.Text("."))]


CATALOGUE = "catalogue.json"


def write_catalogue(app, exception):
    """Write the catalogue and its schema into the site, unless the build failed."""
    if exception is None and app.builder.format == "html":
        text = catalogue.as_json(catalogue.catalogue())
        (Path(app.outdir) / CATALOGUE).write_text(text, encoding="utf-8")
        shutil.copy(catalogue.SCHEMA, app.outdir)


LESSON = 90  # minutes


def day_pages():
    """Return the pages of the days, in the order of the table of contents."""
    return [page for page in parse_toc_yaml(ROOT / "_toc.yml") if page.startswith("notebooks/")]


def times():
    """Return {day: (page, {part: minutes})}, read from the notebooks' sources."""
    by_day = {}
    for page in day_pages():
        text = (ROOT / f"{page}.py").read_text(encoding="utf-8").replace("\n# ", " ")
        line = re.search(r"\*\*Time\*\* about (\d+) minutes: ([^.]+)\.", text)
        parts = {
            part: int(minutes) for part, minutes in re.findall(r" ?([^,]+?) (\d+)(?:,|$)", line[2])
        }
        assert sum(parts.values()) == int(line[1]), f"{page}: the parts do not add up"
        by_day[int(page.split("-")[1])] = (page, parts)
    return by_day


def plan(lines):
    """Turn lines of a plan, "29: forward, loss" or "break 15", into (text, minutes)."""
    known = times()
    for line in lines:
        if line.startswith("break "):
            yield "*break*", int(line.removeprefix("break "))
            continue
        day, _, names = line.partition(": ")
        parts = known[int(day)][1]
        for name in names.split(", "):
            if name not in parts:
                raise ValueError(f"Day {day} has no part {name!r}; it has {', '.join(parts)}")
        yield f"Day {day}: {names}", sum(parts[name] for name in names.split(", "))


def stumbling_block(line):
    """Turn "backward bias-mean: a question" into (exercise, id, explanation, question)."""
    where, _, question = line.partition(": ")
    name, id_ = where.split(" ")
    mistakes = EXERCISES[name].mistakes if name in EXERCISES else ()
    for mistake in mistakes:
        if mistake.id == id_:
            return EXERCISES[name], id_, mistake.explanation, question
    raise ValueError(f"No check knows a mistake {id_!r} of an exercise {name!r}.")


class MarkdownDirective(SphinxDirective):
    """A directive that writes Markdown, which the page's own parser then reads."""

    has_content = True
    depends_on = tuple(f"{page}.py" for page in day_pages())  # files of the repository

    def run(self):
        for file in self.depends_on:
            self.env.note_dependency(str(ROOT / file))
        try:
            lines = self.markdown([line for line in self.content if line.strip()])
        except (ValueError, KeyError) as error:
            raise self.error(str(error)) from None
        holder = nodes.container()
        self.state.nested_parse(StringList(lines, source=""), self.content_offset, holder)
        return holder.children


class Minutes(MarkdownDirective):
    """A table of the days: minutes, lessons, parts."""

    def markdown(self, _):
        lines = [f"| day | minutes | lessons of {LESSON} | its parts |", "|---|---|---|---|"]
        total = lessons = 0
        for day, (page, parts) in times().items():
            minutes = sum(parts.values())
            needed = math.ceil(minutes / LESSON)
            total, lessons = total + minutes, lessons + needed
            listed = ", ".join(f"{part} {count}" for part, count in parts.items())
            lines.append(f"| [{day}]({page}.ipynb) | {minutes} | {needed} | {listed} |")
        return [*lines, f"| all | {total} | {lessons} | {total / 60:.0f} hours |"]


class LessonPlan(MarkdownDirective):
    """A table of what happens when, with the minutes from the notebooks."""

    def markdown(self, content):
        lines = ["| from | what | minutes |", "|---|---|---|"]
        now = 0
        for text, minutes in plan(content):
            lines.append(f"| {now // 60}:{now % 60:02} | {text} | {minutes} |")
            now += minutes
        return [*lines, f"| {now // 60}:{now % 60:02} | *end* | {now} |"]


class StumblingBlocks(SphinxDirective):
    """A list of mistakes: their explanation in the checks, and a question to ask."""

    has_content = True

    def run(self):
        result = nodes.bullet_list()
        for line in filter(str.strip, self.content):
            try:
                exercise, id_, explanation, question = stumbling_block(line)
            except ValueError as error:
                raise self.error(str(error)) from None
            place = f"what-went-wrong.html#{anchor(exercise.name, id_)}"
            name = nodes.reference("", "", nodes.literal(id_, id_), refuri=place, internal=True)
            entry = nodes.paragraph("", "", nodes.strong("", f"Day {exercise.day}, "))
            entry += [nodes.literal(exercise.name, exercise.name), nodes.Text(": "), name]
            entry += [nodes.Text(". "), *with_code(f"{explanation} "), nodes.emphasis("", "Ask: ")]
            entry += with_code(question)
            result += nodes.list_item("", entry)
        return [result]


LEARNERS = 30  # in the class of the last sentence


class KernelsOfTheWeek(MarkdownDirective):
    """A table of the days: peak memory and CPU time of their kernels, as recorded."""

    depends_on = ("book/kernels.json",)

    def markdown(self, _):
        return kernel_lines(json.loads((ROOT / self.depends_on[0]).read_text(encoding="utf-8")))


def kernel_lines(bench):
    """Return the table and its sentences, from what `nnweek bench --notebooks` wrote on Linux.

    A day that was not measured, such as a new one, has no numbers.
    """
    lines, peaks = ["| day | peak memory | CPU time |", "|---|---|---|"], {}
    for page in day_pages():
        cells = ("–", "–")
        if needs := bench["notebooks"].get(page.rpartition("/")[2]):
            peaks[page] = needs["peak_mib"]
            cells = f"{needs['peak_mib']:,} MiB", f"{needs['cpu_seconds']:.0f} s"
        lines.append(f"| []({page}.ipynb) | {' | '.join(cells)} |")
    page, peak = max(peaks.items(), key=lambda item: item[1])
    machine = bench["machine"]
    return [
        *lines,
        "",
        f"Day {page.split('-')[1]} needs the most memory. {LEARNERS} learners with one such kernel "
        f"each need {LEARNERS} × {peak:,} MiB, that is {LEARNERS * peak / 1024:.0f} GiB.",
        "",
        f"Measured on {machine['date']} with {machine['dataset']} on {machine['system']}, "
        f"{machine['cores']} cores, device `{machine['device']}`, Python {machine['python']}, "
        f"PyTorch {machine['torch']}.",
    ]


class BuildStatus(SphinxDirective):
    """A list of what the book was built from, with what, and when."""

    def run(self):
        self.env.note_reread()  # it changes with every build
        status = {
            "Built": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
            "Commit": commit(),
            "Data set": load_mnist().name,
            "Device": str(get_device()),
            "Python": sys.version.split()[0],
            **{library: metadata.version(library) for library in ("nnweek", *LIBRARIES)},
        }
        fields = nodes.field_list()
        for name, value in status.items():
            body = nodes.field_body("", paragraph(value))
            fields += nodes.field("", nodes.field_name("", name), body)
        return [fields]


def commit():
    """Return the commit that the book is built from, or why it is not known."""
    command = ["git", "log", "-1", "--format=%h, %cs"]
    environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(ROOT.parent)}  # no repository around
    try:
        log = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    except FileNotFoundError:
        return "not known: git is not installed"
    return log.stdout.strip() or "not known: this is not a git checkout"
