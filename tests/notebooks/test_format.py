"""The files of the days, and Markdown that every viewer shows alike."""

import re

import jupytext
import pytest

from support import ROOT
from support.notebooks import (
    DAYS,
    NOTEBOOKS,
    SOURCES,
    cells,
    code_cells,
    every_day,
    is_hidden,
    markdown_cells,
    without_code,
    without_formulas,
)


def test_days_are_consecutive():
    assert list(DAYS) == list(range(DAYS[0], DAYS[-1] + 1))


@pytest.mark.parametrize("suffix", [".py", ".ipynb"])
def test_every_day_is_one_py_and_one_ipynb(suffix):
    names = sorted(path.stem for path in NOTEBOOKS.glob(f"*{suffix}") if path.name != "conftest.py")
    assert names == sorted(path.stem for path in SOURCES.values())


@every_day
def test_first_code_cell_is_the_hidden_colab_cell(day):
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    repository = re.search(r'^Repository = "([^"]+)"', pyproject, re.MULTILINE)[1]
    cell = code_cells(day)[0]
    assert '"google.colab" in sys.modules' in cell.source
    assert f'repository = "{repository}"\n' in cell.source
    assert is_hidden(cell)
    assert cell.source == code_cells(DAYS[0])[0].source, "the cell differs between days"


@every_day
def test_the_only_title_names_the_day(day):
    assert re.fullmatch(rf"# Day {day} – \S.*", cells(day)[0].source.splitlines()[0])
    text = "\n\n".join(without_code(cell.source) for cell in markdown_cells(day))
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1


@every_day
def test_markdown_is_plain_enough_for_jupyter_and_colab(day):
    """Markdown, formulas and `<details>` only: no MyST and no other HTML."""
    for cell in markdown_cells(day):
        fenced = re.findall(r"^\s*(?:```+|~~~+|:::+)\{.*|^:::.*", cell.source, re.MULTILINE)
        assert not fenced, "a MyST directive"
        assert not re.findall(r"\{[\w:+-]+\}`", cell.source), "a MyST role"
        assert not re.findall(r"^\([\w-]+\)=$", cell.source, re.MULTILINE), "a MyST target"
        text = without_formulas(without_code(cell.source))
        assert not re.findall(r"\{\{|\}\}", text), "a MyST substitution"
        tags = set(re.findall(r"</?([a-zA-Z][\w-]*)(?=[\s/>])", text))
        assert tags <= {"details", "summary"}
        assert text.count("<details>") == text.count("</details>")


def cells_of_ipynb(day):
    return zip(cells(day), jupytext.read(SOURCES[day].with_suffix(".ipynb")).cells, strict=True)


@every_day
def test_jupyter_folds_the_code_that_the_page_hides(day):
    for cell, in_jupyter in cells_of_ipynb(day):
        hidden = {"remove-cell", "hide-input"} & set(cell.metadata.get("tags", []))
        folded = in_jupyter.metadata.get("jupyter", {}).get("source_hidden", False)
        assert folded == bool(hidden), cell.source


@every_day
def test_figures_have_their_alt_text_in_jupyter_too(day):
    """nbconvert takes it from there."""
    for cell, in_jupyter in cells_of_ipynb(day):
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt")
        assert in_jupyter.metadata.get("alt") == alt
