"""The source files of the days, taken apart for tests."""

import ast
import functools
import itertools
import re

import jupytext
import pytest

from support import ROOT

NOTEBOOKS = ROOT / "notebooks"
SOURCES = {
    int(re.match(r"day-(\d+)-", path.name)[1]): path for path in sorted(NOTEBOOKS.glob("day-*.py"))
}
DAYS = tuple(SOURCES)
SUMMARY = next(day for day in DAYS if SOURCES[day].stem.endswith("weekly-summary"))

every_day = pytest.mark.parametrize("day", DAYS)


@functools.cache
def cells(day):
    return jupytext.read(SOURCES[day]).cells


def code_cells(day):
    return [cell for cell in cells(day) if cell.cell_type == "code"]


def markdown_cells(day):
    return [cell for cell in cells(day) if cell.cell_type == "markdown"]


def is_hidden(cell):
    return "remove-cell" in cell.metadata.get("tags", [])


def tree(day):
    """The syntax tree of all code of a day."""
    return ast.parse("\n\n".join(cell.source for cell in code_cells(day)))


@functools.cache
def sections(day):
    """[(heading, parts)]: a part is a stretch of Markdown or a code cell; the title comes first."""
    found = []
    for cell in cells(day):
        if cell.cell_type == "code":
            found[-1][1].append(cell)
            continue
        for stretch in re.split(r"^(?=##? )", cell.source, flags=re.MULTILINE):
            heading = re.match(r"##? (.*)\n?", stretch)
            if heading:
                found.append((heading[1].strip(), []))
                stretch = stretch[heading.end() :]
            if stretch.strip():
                assert found, f"{SOURCES[day].name} does not begin with its title"
                found[-1][1].append(stretch.strip())
    return found


def headings(day):
    return [heading for heading, _ in sections(day)]


def section_text(day, heading):
    """The Markdown of one section."""
    found = [parts for name, parts in sections(day) if name == heading]
    assert len(found) == 1, f"Day {day} must have one section {heading!r}"
    return "\n\n".join(part for part in found[0] if isinstance(part, str))


def introduction(day):
    return section_text(day, headings(day)[0])


def without_code(markdown):
    markdown = re.sub(r"^```.*?^```", "", markdown, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", markdown)


def without_formulas(markdown):
    return re.sub(r"\$\$.*?\$\$|\$[^$]*\$", "", markdown, flags=re.DOTALL)


def prose(day):
    """The running text: no code, no formulas, no addresses, single spaces."""
    markdown = "\n\n".join(cell.source for cell in markdown_cells(day))
    markdown = without_formulas(without_code(markdown))
    markdown = re.sub(r"\]\([^)]*\)|<https?:[^>]*>", "", markdown)
    return re.sub(r"\s+", " ", markdown)


def exercises(day):
    """[(exercise, its cell, the Markdown below it)]"""
    found = []
    for cell, below in itertools.pairwise(cells(day)):
        call = re.search(r"^checks\.(?!progress\b)(\w+)\(", cell.source, re.MULTILINE)
        if cell.cell_type == "code" and call:
            found.append((call[1], cell, below.source))
    return found


def written_out(day, *names, **given):
    """Run only the definitions of `names` from a day's notebook, and return them.

    If an exercise has a stub of the same name, the later definition wins.
    """
    found = [node for node in tree(day).body if getattr(node, "name", None) in names]
    assert {node.name for node in found} == set(names), f"Day {day} defines {found}"
    exec(compile(ast.Module(found, []), SOURCES[day].name, "exec"), given)
    return [given[name] for name in names]
