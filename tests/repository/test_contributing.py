"""README, CONTRIBUTING and SECURITY name files, commands and targets that exist."""

import re

import pytest

from nnweek.commands import COMMANDS
from nnweek.plots import COLORS
from support import ROOT, text_of
from support.contents import PAGES

GUIDES = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "book/setup.md", "book/teachers.md"]
FOLDERS = r"(?:\.ci|\.github|book|nnweek|notebooks|tests)/"
# Names in them that stand for other names: NN for a day, X for whatever the reader adds.
PLACEHOLDERS = {"NN": "[0-9][0-9]", "NAME": "*", "…": "*"}
GENERATED = ("book/_build", "build")

every_guide = pytest.mark.parametrize("guide", GUIDES)


TARGETS = re.findall(r"^([a-z-]+):.*## ", text_of("Makefile"), re.MULTILINE)


def code(guide):
    """All code in a guide, inline and in blocks, one piece per line."""
    found = re.findall(r"^```\w*\n(.*?)^```|`([^`\n]+)`", text_of(guide), re.MULTILINE | re.DOTALL)
    return "\n".join(block + inline for block, inline in found)


@every_guide
def test_files_that_the_guides_name_exist(guide):
    for path in set(re.findall(rf"(?<![\w/.]){FOLDERS}[\w./*…-]*", code(guide))):
        if path.startswith(GENERATED):
            continue
        pattern = path.rstrip("/.")
        for placeholder, wildcard in PLACEHOLDERS.items():
            pattern = pattern.replace(placeholder, wildcard)
        assert list(ROOT.glob(pattern)), f"{guide} names {path}"


@every_guide
def test_relative_links_of_the_guides_lead_to_files(guide):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)[^)]*\)", text_of(guide)):
        assert ((ROOT / guide).parent / target).exists(), f"{guide} links to {target}"


@every_guide
def test_make_targets_and_commands_of_the_guides_exist(guide):
    for target in re.findall(r"^make ([a-z][a-z-]*)", code(guide), re.MULTILINE):
        assert target in TARGETS, f"{guide} names make {target}"
    for command in re.findall(r"(?:^|-m )nnweek ([a-z]+)", code(guide), re.MULTILINE):
        assert command in COMMANDS, f"{guide} names nnweek {command}"


def test_guides_name_every_script_and_every_make_target():
    (row,) = re.findall(r"^\| `\.ci/` \| (.*) \|$", text_of("README.md"), re.MULTILINE)
    hidden = {"node_modules", "__pycache__", "package-lock.json"}
    names = {path.name for path in (ROOT / ".ci").iterdir()} - hidden
    assert not names - set(re.findall(r"`([\w.-]+)`", row))
    guides = text_of("CONTRIBUTING.md") + text_of("README.md")
    missing = [target for target in TARGETS if f"make {target}" not in guides]
    assert set(missing) <= {"help", "clean", "serve"}


def test_contents_list_every_page_of_the_book():
    """A page that is not in _toc.yml would silently be missing from the site."""
    pages = {path.stem for path in (ROOT / "book").glob("*.md")}
    days = {f"notebooks/{path.stem}" for path in (ROOT / "notebooks").glob("day-*.py")}
    assert set(PAGES) == pages | days


def test_reference_lists_every_module_in_the_order_of_the_table():
    """A module that is not on the API page has no documentation on the site."""
    table = re.findall(r"^`([a-z]+)` {2,}", text_of("nnweek/__init__.py"), re.MULTILINE)
    listed = re.findall(r"^\.\. automodule:: nnweek\.(\w+)$", text_of("book/api.md"), re.MULTILINE)
    assert listed == table
    commands = re.findall(r"automodule:: nnweek\.commands\.(\w+)", text_of("book/api.md"))
    assert set(commands) == set(COMMANDS)


def test_logo_has_the_colours_of_the_figures():
    logo = text_of("book/_static/logo.svg")
    assert set(re.findall(r'<g fill="(#\w+)"', logo)) <= set(COLORS)
