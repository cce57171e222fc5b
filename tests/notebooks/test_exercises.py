"""The exercises of the days: each is asked once, starts unsolved, and shows hints and a solution."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from nnweek import checks
from support.notebooks import DAYS, SUMMARY, code_cells, every_day, exercises, is_hidden

ASKED = [(day, *exercise) for day in DAYS for exercise in exercises(day)]
every_exercise = pytest.mark.parametrize(
    ("name", "cell", "below"), [asked[1:] for asked in ASKED], ids=[asked[1] for asked in ASKED]
)


def test_every_exercise_is_asked_once_on_its_day_and_each_day_has_two():
    asked = sorted((name, day) for day, name, *_ in ASKED)
    assert asked == sorted((name, exercise.day) for name, exercise in checks.EXERCISES.items())
    assert [day for day in DAYS if len(exercises(day)) < 2 and day != SUMMARY] == []


@every_exercise
def test_unsolved_stub_lets_the_notebook_continue(name, cell, below):
    verdicts = []

    def check(*args):
        verdicts.append(getattr(checks, name)(*args))

    given = {"checks": SimpleNamespace(**{name: check}), "np": np, "scores": {}}
    exec(compile(cell.source, name, "exec"), given)
    (verdict,) = verdicts
    assert not verdict
    assert verdict.mistake == "not-attempted"


@every_exercise
def test_hints_precede_the_solution_of_the_package(name, cell, below):
    folds = re.findall(r"<details>\n<summary>(.+?)</summary>\n(.+?)</details>", below, re.DOTALL)
    titles = [title for title, _ in folds]
    assert titles.count("A solution") == 1
    assert titles.index("A solution") >= 1, "no hint before the solution"
    shown = re.search(r"```python\n(.+?)\n```", dict(folds)["A solution"], re.DOTALL)[1]
    assert shown == checks.solution(name).text


@every_day
def test_no_hidden_cell_passes_an_exercise(day):
    names = "|".join(checks.EXERCISES)
    for cell in code_cells(day):
        assert not (is_hidden(cell) and re.search(rf"checks\.({names})\(", cell.source))
