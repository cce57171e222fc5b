"""README, CONTRIBUTING and SECURITY name files, commands and targets that exist."""

import re

import pytest
import yaml

from nnweek.commands import COMMANDS
from nnweek.plots import COLORS
from support import ROOT

GUIDES = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "book/setup.md", "book/teachers.md"]
FOLDERS = r"(?:\.ci|\.github|book|nnweek|notebooks|tests)/"
# Names in them that stand for other names: NN for a day, X for whatever the reader adds.
PLACEHOLDERS = {"NN": "[0-9][0-9]", "NAME": "*", "…": "*"}
GENERATED = ("book/_build", "build")

every_guide = pytest.mark.parametrize("guide", GUIDES)


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8")


def code(text):
    """All code in a Markdown text, inline and in blocks."""
    return re.findall(r"^```\w*\n(.*?)^```|`([^`\n]+)`", text, re.MULTILINE | re.DOTALL)


@every_guide
def test_files_that_the_guides_name_exist(guide):
    snippets = " ".join(block + inline for block, inline in code(text_of(guide)))
    for path in set(re.findall(rf"(?<![\w/.]){FOLDERS}[\w./*…-]*", snippets)):
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
    targets = set(re.findall(r"^([a-z-]+):.*## ", text_of("Makefile"), re.MULTILINE))
    snippets = "\n".join(block + inline for block, inline in code(text_of(guide)))
    for target in re.findall(r"^make ([a-z][a-z-]*)", snippets, re.MULTILINE):
        assert target in targets, f"{guide} names make {target}"
    for command in re.findall(r"(?:^|-m )nnweek ([a-z]+)", snippets, re.MULTILINE):
        assert command in COMMANDS, f"{guide} names nnweek {command}"


def test_readme_names_every_script_of_the_ci_folder():
    (row,) = re.findall(r"^\| `\.ci/` \| (.*) \|$", text_of("README.md"), re.MULTILINE)
    hidden = {"node_modules", "__pycache__", "package-lock.json"}
    names = {path.name for path in (ROOT / ".ci").iterdir()} - hidden
    assert not names - set(re.findall(r"`([\w.-]+)`", row))


def test_contributing_names_every_make_target():
    targets = re.findall(r"^([a-z-]+):.*## ", text_of("Makefile"), re.MULTILINE)
    guides = text_of("CONTRIBUTING.md") + text_of("README.md")
    missing = [target for target in targets if f"make {target}" not in guides]
    assert set(missing) <= {"help", "clean", "serve"}


def test_contents_list_every_page_of_the_book():
    """A page that is not in _toc.yml would silently be missing from the site."""
    toc = yaml.safe_load(text_of("_toc.yml"))
    listed = {toc["root"], *(entry["file"] for part in toc["parts"] for entry in part["chapters"])}
    pages = {path.stem for path in (ROOT / "book").glob("*.md")}
    days = {f"notebooks/{path.stem}" for path in (ROOT / "notebooks").glob("day-*.py")}
    assert listed == pages | days


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
