"""Results that a day records are read by a later day, and are the same if that day measures them."""

import ast
import contextlib
import json
import os
from collections import defaultdict
from pathlib import Path

import pytest

from support.notebooks import DAYS, tree


def described(day, function):
    """[(name, data set, day)] as a day's calls of `results.<function>` write them."""
    found = []
    for node in ast.walk(tree(day)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == f"results.{function}":
            written = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            found.append((ast.literal_eval(node.args[0]), written["dataset"], written["day"]))
    return found


UNKNOWN = object()
RECORDED = [(day, *call) for day in DAYS for call in described(day, "record")]
RECALLED = [(day, *call) for day in DAYS for call in described(day, "recall")]


def looked_up(day):
    """The names in `results.recorded(…).get(name)`."""
    return [
        ast.literal_eval(node.args[0])
        for node in ast.walk(tree(day))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).startswith("results.recorded(")
        and node.func.attr == "get"
    ]


def settings(day):
    """{name: settings} of the results that a day records or reads.

    A setting that depends on more than the numbers in the notebook is `UNKNOWN`.
    """
    known = {"__builtins__": {"float": float, "list": list, "range": range}}
    found = {}
    for statement in tree(day).body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Call):
                stated = [keyword.value for keyword in node.keywords if keyword.arg == "settings"]
                if stated and ast.unparse(node.func) in ("results.record", "results.recall"):
                    found[ast.literal_eval(node.args[0])] = evaluate(stated[0], known)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                known.pop(node.id, None)
        if isinstance(statement, ast.Assign):
            with contextlib.suppress(Exception):
                exec(ast.unparse(statement), known)
    return found | {name: known[f"{name}_settings"] for name in looked_up(day)}


def evaluate(expression, known):
    if isinstance(expression, ast.Dict):
        pairs = zip(expression.keys, expression.values, strict=True)
        return {ast.literal_eval(key): evaluate(value, known) for key, value in pairs}
    try:
        return eval(ast.unparse(expression), known)
    except Exception:
        return UNKNOWN


def test_results_are_read_with_the_settings_of_their_day():
    stated = {day: settings(day) for day in DAYS}
    recorded = {name: stated[day].get(name) for day, name, *_ in RECORDED}
    read = [(day, name) for day, name, *_ in RECALLED]
    read += [(day, name) for day in DAYS for name in looked_up(day)]
    for day, name in read:
        one, other = recorded[name], stated[day].get(name)
        assert one, f"{name} is recorded without its settings"
        assert other, f"{name} is read on Day {day} whatever its settings are"
        assert one.keys() == other.keys(), f"{name} is read with other settings on Day {day}"
        for key in one:
            same = one[key] == other[key] or UNKNOWN in (one[key], other[key])
            assert same, f"{name}: {key} is {one[key]}, but {other[key]} on Day {day}"


def test_every_recorded_result_is_read_by_a_later_day():
    recorded = {name: day for day, name, *_ in RECORDED}
    read = {name: day for day in DAYS for name in looked_up(day)}
    read |= {name: day for day, name, *_ in RECALLED}
    assert len(RECORDED) == len(recorded), "a name is recorded twice"
    assert recorded.keys() == read.keys()
    assert all(recorded[name] < read[name] for name in recorded)


def test_results_state_the_data_set_and_day_recorded():
    assert all(str(day) == stated for day, _, _, stated in RECORDED)
    assert {call[1:] for call in RECALLED} <= {call[1:] for call in RECORDED}


@pytest.mark.skipif(
    "NNWEEK_TEST_RESULTS" not in os.environ,
    reason="needs the results file of the days and of Day 35 alone, which .ci/run makes",
)
def test_day_35_measures_what_the_days_measured():
    """The file holds each result twice: measured by Day 35, which ran first, and recorded."""
    values = defaultdict(list)  # each with its settings
    for line in Path(os.environ["NNWEEK_TEST_RESULTS"]).read_text(encoding="utf-8").splitlines():
        if line:
            entry = json.loads(line)
            values[entry["name"]].append((entry["value"], entry["settings"]))
    for _, name, *_ in RECALLED:
        first, second = values[name]
        assert first == second, f"{name}: {first} on Day 35, {second} on its own day"
