"""The open catalogue: all exercises and their mistakes as one JSON file (Day 29).

It is made from the source, so that other courses, graders and researchers can use the
exercises without this package. `catalogue.schema.json` beside this module describes the file.
"""

import argparse
import contextlib
import dataclasses
import functools
import itertools
import json
import math
import os
import random
import re
import sys
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from nnweek import __version__, checks
from nnweek.checks.exercise import Question
from nnweek.checks.verdict import GENERIC
from nnweek.commands import _source
from nnweek.files import atomic_write

HELP = """
Write all exercises with their mistakes as one JSON file, for other courses, graders and
researchers: tasks, reference solutions, probes, mistakes with their sentences, and programs
that make each mistake. For example

    nnweek catalogue --out catalogue.json

Without --out, the JSON goes to standard output, in UTF-8. Infinite numbers and NaN are the
strings "Infinity", "-Infinity" and "NaN". The date is that of today (UTC), or of
SOURCE_DATE_EPOCH if that is set; nothing else changes between two calls.
"""
SCHEMA = Path(__file__).with_suffix(".schema.json")
SCHEMA_VERSION = 1
_SOLUTIONS = ("nnweek.checks.solutions", "nnweek.checks.solutions_torch")


def main(arguments=None):
    """Write the catalogue to a file or to standard output. Introduced on the page *The open catalogue*.

    The exit status is 0, or 1 if the file cannot be written or a library is missing.
    """
    parser = argparse.ArgumentParser(prog="nnweek catalogue", description=HELP)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--out", metavar="FILE", help="the file to write or replace")
    path = parser.parse_args(arguments).out
    try:
        made = catalogue()
    except ModuleNotFoundError as error:
        print(f"The catalogue needs {error.name}: pip install {error.name}", file=sys.stderr)
        return 1
    text = as_json(made)
    if path is None:
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(encoding="utf-8")
        print(text, end="")
        return 0
    try:
        with atomic_write(path) as file:
            file.write(text.encode())
    except OSError as error:
        print(f"{path} cannot be written: {error}", file=sys.stderr)
        return 1
    counts = made["counts"]
    print(f"{path}: {counts['exercises']} exercises, {counts['mistakes']} mistakes with a name")
    return 0


def mistake_names():
    """Return the mistakes that the checks name, as (exercise, id). Introduced on the page *The open catalogue*.

    Each pair counts once, even if several patterns in the numbers lead to the same id. The ids
    that every exercise shares, such as "raised" and "wrong", are not among them.
    """
    return [
        (name, id_)
        for name, exercise in checks.EXERCISES.items()
        for id_ in dict.fromkeys(mistake.id for mistake in exercise.mistakes)
        if id_ not in GENERIC
    ]


def catalogue():
    """Return the catalogue as dictionaries and lists that JSON can hold. Introduced on the page *The open catalogue*."""
    exercises = [_exercise(exercise) for exercise in checks.EXERCISES.values()]
    mistakes = [mistake for exercise in exercises for mistake in exercise["mistakes"]]
    return {
        "title": "The exercises of Week 5 – Neural Networks, and the mistakes that their checks name",
        "schema_version": SCHEMA_VERSION,
        "version": __version__,
        "date": _date(),
        "licence": "MIT",
        "authors": "The nnweek authors",
        "counts": {
            "exercises": len(exercises),
            "mistakes": len(mistake_names()),
            "patterns": len(mistakes),
            "variants": sum(len(mistake["variants"]) for mistake in mistakes),
            "slips": sum(mistake["slip"] is not None for mistake in mistakes),
        },
        "generic": [
            {"id": id_, "explanation": explanation} for id_, explanation in GENERIC.items()
        ],
        "exercises": exercises,
    }


def as_json(made):
    """Return a catalogue as text: indented, but with the numbers of a row in one line.

    Introduced on the page *The open catalogue*.
    """
    text = json.dumps(made, indent=1, ensure_ascii=False, allow_nan=False)
    # A line break is never part of a JSON string, and quotes are excluded: only numbers are moved.
    return re.sub(r'\[\n[^][{}"]*\]', lambda row: " ".join(row[0].split()), text) + "\n"


def _date():
    seconds = os.environ.get("SOURCE_DATE_EPOCH")
    now = datetime.fromtimestamp(int(seconds), timezone.utc) if seconds else None
    return (now or datetime.now(timezone.utc)).date().isoformat()


def _exercise(exercise):
    """Return the record of an exercise or of a question."""
    record = {
        "name": exercise.name,
        "kind": "question" if isinstance(exercise, Question) else "function",
        "day": exercise.day,
        "signature": exercise.signature,
        "task": exercise.task,
        "hints": list(exercise.hints),
        "solution": _source.function_program(*_solution(exercise)),
    }
    if record["kind"] == "function":
        record |= {
            "outputs": list(exercise.outputs),
            "may_change": list(exercise.may_change),
            "reference": _source.program(exercise.right, "reference"),
            "trial": _trial(exercise.trial),
            "probes": [_probe(probe) for probe in exercise.probes()],
        }
    return record | {"mistakes": [_mistake(exercise, each) for each in exercise.mistakes]}


def _solution(exercise):
    """Return (module, name of the function) of an exercise's solution."""
    for module in _SOLUTIONS:
        name = _source.aliased(module, exercise.name)
        if name:
            return module, name
    raise LookupError(f"There is no solution of {exercise.name}.")


def _trial(trial):
    """Return the name of the trial and the first sentence on it; None if there is no trial."""
    if trial is None:
        return None
    given = ""
    if isinstance(trial, functools.partial):
        trial, given = trial.func, f" with {', '.join(map(repr, trial.args))}"
    about = (trial.__doc__ or "").split("\n\n")[0]
    return f"{trial.__module__}.{trial.__name__}{given}. {about}".strip()


def _probe(probe):
    return {
        "arguments": [encode(argument) for argument in probe.args],
        "context": {name: encode(value) for name, value in probe.context.items()},
        "targets": probe.targets,
        "accept": probe.accept and _source.program(probe.accept, "accept"),
    }


def _mistake(exercise, mistake):
    slip = None
    if mistake.slip:
        right, wrong = mistake.slip
        program = _source.function_program(*_solution(exercise), replace=mistake.slip)
        slip = {"right": right, "wrong": wrong, "program": program}
    return {
        "id": mistake.id,
        "named": mistake.id not in GENERIC,
        "explanation": mistake.explanation,
        "question": mistake.question,
        "advice": mistake.advice,
        "forgiven": mistake.forgiven,
        "detected_by_behaviour": mistake.detect is not None,
        "slip": slip,
        "variants": [_variant(exercise, steps) for steps in mistake.variants],
    }


def _variant(exercise, steps):
    wrong = functools.partial(exercise.right, **steps)
    return {"steps": sorted(steps), "program": _source.program(wrong, "variant")}


def encode(value):
    """Turn an argument of a probe into what JSON can hold. Introduced on the page *The open catalogue*.

    Numbers, texts, None and lists (also for tuples) stay as they are, except for infinite numbers
    and NaN, which become texts. Everything else becomes a dictionary with a "type": an "array",
    a "generator", a "function", a "record" of fields, a "dictionary", or "other".
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        pairs = [[encode(key), encode(item)] for key, item in value.items()]
        return {"type": "dictionary", "items": pairs}
    if hasattr(value, "detach"):  # a tensor
        value = value.detach().cpu().numpy()
    if isinstance(value, np.generic):
        return encode(value.item())
    if isinstance(value, np.ndarray):
        values = encode(value.tolist())
        return {
            "type": "array",
            "dtype": value.dtype.name,
            "shape": list(value.shape),
            "values": values,
        }
    if isinstance(value, np.random.Generator):
        seed = value.bit_generator.seed_seq.entropy
        return {"type": "generator", "seed": seed, "source": f"np.random.default_rng({seed})"}
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if dataclasses.is_dataclass(value):
        fields = {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"type": "record", "class": kind, "fields": fields}
    if callable(value):
        return {"type": "function", "program": _source.program(value, "function")}
    return {"type": "other", "class": kind}


def naming_rate(pairs=10, exercises=None):
    """Check every variant of every mistake as a submission. Introduced on the page *The open catalogue*.

    Args:
        pairs: how many pairs of mistakes, made at once, to draw per exercise.
        exercises: a list of exercises; by default all of them.

    Returns:
        {exercise: (outcomes of single mistakes, outcomes of pairs)}, each a `Counter` of
        "named" (by an id that was made, or explained if the pattern has no name), "other" (by
        another id), "wrong" (without a name) and "passed". A forgiven mistake should pass; with
        its remark, it counts as named.
    """
    rates = {}
    for exercise in checks.EXERCISES.values() if exercises is None else exercises:
        if isinstance(exercise, Question):
            continue
        single = [((m,), steps) for m in exercise.mistakes for steps in m.variants]
        double = [
            ((one, other), {**steps, **more})
            for ((one,), steps), ((other,), more) in itertools.combinations(single, 2)
            if one.id != other.id and not steps.keys() & more.keys()
        ]
        double = random.Random(exercise.name).sample(double, min(pairs, len(double)))
        with _no_progress():
            rates[exercise.name] = tuple(
                Counter(_outcome(exercise, *submission) for submission in submissions)
                for submissions in (single, double)
            )
    return rates


def _outcome(exercise, mistakes, steps):
    verdict = exercise(functools.partial(exercise.right, **steps))
    for mistake in mistakes:
        as_expected = verdict.passed if mistake.forgiven else verdict.mistake == mistake.id
        has_own_name = mistake.id not in GENERIC and not mistake.forgiven
        if as_expected and (has_own_name or mistake.explanation in verdict.hint):
            return "named"
    return "passed" if verdict.passed else "wrong" if verdict.mistake == "wrong" else "other"


@contextlib.contextmanager
def _no_progress():
    """Record no pass in the results file of the person who runs this."""
    before = os.environ.get("NNWEEK_RESULTS")
    os.environ["NNWEEK_RESULTS"] = os.devnull
    try:
        yield
    finally:
        del os.environ["NNWEEK_RESULTS"]
        if before is not None:
            os.environ["NNWEEK_RESULTS"] = before
