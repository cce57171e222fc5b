"""`nnweek catalogue` writes data that others can use without this package."""

import dataclasses
import functools
import json
import os
import subprocess
import sys
import types

import jsonschema
import numpy as np
import pytest

from nnweek import checks
from nnweek.checks.exercise import Mistake, Probe, Question
from nnweek.checks.verdict import GENERIC
from nnweek.commands import _source, catalogue
from support import ROOT
from support.submissions import first_verdict

FUNCTIONS = [name for name, e in checks.EXERCISES.items() if not isinstance(e, Question)]
SCHEMA = json.loads(catalogue.SCHEMA.read_text(encoding="utf-8"))
every_function = pytest.mark.parametrize("name", FUNCTIONS)


@functools.cache
def text():
    """The catalogue as the command writes it, made once: that takes seconds."""
    return catalogue.as_json(catalogue.catalogue())


@functools.cache
def data():
    return json.loads(text())


@functools.cache
def exercises():
    return {exercise["name"]: exercise for exercise in data()["exercises"]}


def mistakes():
    return [(name, m) for name, exercise in exercises().items() for m in exercise["mistakes"]]


@pytest.fixture(autouse=True)
def own_results(tmp_path, monkeypatch):
    """Keep passes out of the results file of the person who runs the tests."""
    monkeypatch.setenv("NNWEEK_RESULTS", str(tmp_path / "results.jsonl"))


def run(program):
    """Run a program of the catalogue; return the function that it defines."""
    names = {"__name__": "program"}
    exec(program["source"], names)
    return names[program["name"]]


def in_new_process(code, *arguments, **environment):
    """Run code in a new interpreter; return what it printed, as bytes."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run([sys.executable, "-c", code, *arguments], env=env, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_catalogue_follows_its_schema():
    validator = jsonschema.Draft202012Validator
    validator.check_schema(SCHEMA)
    errors = [f"{e.json_path}: {e.message[:200]}" for e in validator(SCHEMA).iter_errors(data())]
    assert not errors


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.pop("licence"),
        lambda data: data["exercises"][0].pop("solution"),
        lambda data: data["exercises"][0]["mistakes"][0].update(more=1),
        lambda data: data["exercises"][0]["mistakes"][0].update(id="two words"),
        lambda data: data["exercises"][0]["probes"][0]["arguments"].append({"type": "array"}),
    ],
)
def test_schema_refuses_a_damaged_catalogue(damage):
    one = json.loads(json.dumps({**data(), "exercises": [exercises()["softmax"]]}))
    validator = jsonschema.Draft202012Validator(SCHEMA)
    assert validator.is_valid(one)
    damage(one)
    assert not validator.is_valid(one)


@pytest.mark.slow
def test_two_processes_write_the_same_bytes_and_need_only_numpy():
    code = """
import sys
class Guard:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in sys.stdlib_module_names | {"numpy", "nnweek"}:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Guard())
from nnweek.commands import main
sys.exit(main(["catalogue"]))
"""
    environment = {"SOURCE_DATE_EPOCH": "86400", "PYTHONIOENCODING": "ascii"}
    first, second = (in_new_process(code, PYTHONHASHSEED=seed, **environment) for seed in "12")
    assert first == second
    assert json.loads(first) == {**data(), "date": "1970-01-02"}


def test_file_and_its_summary(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(catalogue, "catalogue", data)
    path = tmp_path / "new" / "catalogue.json"
    assert catalogue.main(["--out", str(path)]) == 0
    assert json.loads(path.read_text(encoding="utf-8"))["exercises"] == data()["exercises"]
    assert f"{data()['counts']['mistakes']} mistakes" in capsys.readouterr().out


def test_unwritable_file_and_missing_library_are_reported(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(catalogue, "catalogue", data)
    assert catalogue.main(["--out", str(tmp_path)]) == 1
    assert f"{tmp_path} cannot be written" in capsys.readouterr().err

    def needs_a_library():
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(catalogue, "catalogue", needs_a_library)
    assert catalogue.main([]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "pip install torch" in printed.err


def test_every_mistake_is_counted_once():
    named = [(name, m["id"]) for name, m in mistakes() if m["named"]]
    names = catalogue.mistake_names()
    assert len(names) == len(set(names)) == len(set(named)) == data()["counts"]["mistakes"]
    assert set(names) == set(named)
    assert not {id_ for _, id_ in names} & set(GENERIC)
    assert data()["counts"]["patterns"] == len(mistakes()) > len(names)


def test_catalogue_contains_every_exercise_and_sentence():
    assert list(exercises()) == list(checks.EXERCISES)
    for name, exercise in checks.EXERCISES.items():
        assert exercises()[name]["hints"] == list(exercise.hints)
        assert (exercises()[name]["kind"] == "question") == isinstance(exercise, Question)
        for record, mistake in zip(exercises()[name]["mistakes"], exercise.mistakes, strict=True):
            for field in ("id", "explanation", "question", "advice", "forgiven"):
                assert record[field] == getattr(mistake, field)
            assert bool(record["slip"]) == bool(mistake.slip)
            assert len(record["variants"]) == len(mistake.variants)


def test_rows_of_numbers_are_written_on_one_line():
    json.loads(text(), parse_constant=pytest.fail)  # NaN and Infinity are strings
    written = catalogue.as_json(
        {"rows": [[1, 2], [3.5, None]], "text": "a [\n1,\n 2] b", "empty": []}
    )
    assert json.loads(written) == {
        "rows": [[1, 2], [3.5, None]],
        "text": "a [\n1,\n 2] b",
        "empty": [],
    }
    assert "[ 3.5, null ]" in written


@pytest.mark.slow
@every_function
def test_solution_and_reference_run_on_their_own_and_pass(name):
    for part in ("solution", "reference"):
        program = exercises()[name][part]
        if part == "reference" and name == "test_suite":
            continue  # it knows the right implementations, which are other objects here
        assert first_verdict(name, run(program)).passed, program["source"]


@pytest.mark.slow
@every_function
def test_programs_with_a_slip_make_the_mistake(name):
    for mistake in exercises()[name]["mistakes"]:
        if mistake["slip"]:
            verdict = first_verdict(name, run(mistake["slip"]["program"]))
            assert verdict.passed == mistake["forgiven"]
            assert verdict.mistake == (None if mistake["forgiven"] else mistake["id"])


@pytest.mark.slow
@every_function
def test_program_of_a_variant_gets_the_verdict_of_the_variant(name):
    exercise = checks.EXERCISES[name]
    for record, mistake in zip(exercises()[name]["mistakes"], exercise.mistakes, strict=True):
        for variant, steps in list(zip(record["variants"], mistake.variants, strict=True))[:2]:
            assert variant["steps"] == sorted(steps)
            if variant["program"] is None:
                continue
            expected = first_verdict(name, functools.partial(exercise.right, **steps))
            verdict = first_verdict(name, run(variant["program"]))
            assert (verdict.passed, verdict.mistake) == (expected.passed, expected.mistake)


def test_nearly_every_variant_has_a_program():
    """Before Python 3.11, two functions that begin on the same line cannot be told apart."""
    programs = [v["program"] is not None for _, m in mistakes() for v in m["variants"]]
    assert np.mean(programs) > (0.98 if sys.version_info >= (3, 11) else 0.8)
    arguments = [
        a for name in FUNCTIONS for p in exercises()[name]["probes"] for a in p["arguments"]
    ]
    functions = [
        a["program"] is not None
        for a in arguments
        if isinstance(a, dict) and a["type"] == "function"
    ]
    assert np.mean(functions) > 0.8, "only an object with a state of its own has none"


# Somebody with the JSON file alone, and nothing of this package.
ALONE = """
import json, sys
import numpy as np

class Guard:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "nnweek":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Guard())

def run(program):
    names = {}
    exec(program["source"], names)
    return names[program["name"]]

def rebuilt(value):
    if isinstance(value, list):
        return [rebuilt(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value["type"] == "array":
        return np.array(value["values"], dtype=value["dtype"]).reshape(value["shape"])
    if value["type"] == "function":
        return run(value["program"])
    if value["type"] == "generator":
        return np.random.default_rng(value["seed"])
    raise NotImplementedError(value["type"])

def numbers(value):
    if isinstance(value, (list, tuple)):
        return np.concatenate([numbers(item) for item in value])
    return np.ravel(value).astype(float)

def outputs(program, exercise):
    function, found = run(program), []
    for probe in exercise["probes"]:
        with np.errstate(all="ignore"):
            try:
                found.append(numbers(function(*map(rebuilt, probe["arguments"]))))
            except (ValueError, IndexError):
                found.append(np.zeros(0))
    return found

def same(ones, others):
    return all(a.shape == b.shape and np.allclose(a, b, equal_nan=True)
               for a, b in zip(ones, others, strict=True))

tried = []
for exercise in json.load(open(sys.argv[1], encoding="utf-8"))["exercises"]:
    if exercise["kind"] != "function" or set(exercise["solution"]["requires"]) - {"numpy"}:
        continue
    try:
        right = outputs(exercise["solution"], exercise)
    except (TypeError, NotImplementedError):  # the trial takes other arguments than the function
        continue
    for mistake in exercise["mistakes"]:
        for variant in mistake["variants"]:
            program = variant["program"]
            if program is None or set(program["requires"]) - {"numpy"} or mistake["forgiven"]:
                continue
            assert not same(outputs(program, exercise), right), (exercise["name"], mistake["id"])
            tried.append((exercise["name"], mistake["id"]))
print(len(set(tried)), *sorted({name for name, _ in tried}))
"""


@pytest.mark.slow
def test_reader_with_the_file_alone_gets_wrong_numbers_from_every_variant(tmp_path):
    path = tmp_path / "catalogue.json"
    path.write_text(text(), encoding="utf-8")
    count, *names = in_new_process(ALONE, str(path), PYTHONPATH="").decode().split()
    assert int(count) > data()["counts"]["mistakes"] / 3
    assert {"softmax", "backward", "numerical_gradient", "init_weights", "sigmoid"} <= set(names)


@dataclasses.dataclass
class Setup:
    seed: int
    rate: float


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, None, "x", True), [1, None, "x", True]),
        ([np.inf, -np.inf, np.nan, np.float32(0.5)], ["Infinity", "-Infinity", "NaN", 0.5]),
        (np.array([[1, 2]], dtype=np.uint8),
         {"type": "array", "dtype": "uint8", "shape": [1, 2], "values": [[1, 2]]}),
        (np.random.default_rng(7),
         {"type": "generator", "seed": 7, "source": "np.random.default_rng(7)"}),
        ({1: (2,)}, {"type": "dictionary", "items": [[1, [2]]]}),
        (Setup(3, np.inf), {"type": "record", "class": f"{__name__}.Setup",
                            "fields": {"seed": 3, "rate": "Infinity"}}),
        (os.getpid, {"type": "function", "program": None}),
        (object(), {"type": "other", "class": "builtins.object"}),
    ],
)  # fmt: skip
def test_values_become_what_json_can_hold(value, expected):
    assert catalogue.encode(value) == expected
    json.dumps(catalogue.encode(value), allow_nan=False)


def test_tensor_becomes_an_array():
    torch = pytest.importorskip("torch")
    encoded = catalogue.encode(torch.tensor([1.0, 2.0]))
    assert (encoded["dtype"], encoded["values"]) == ("float32", [1.0, 2.0])


def test_program_contains_what_a_function_uses_and_nothing_else():
    program = _source.function_program("nnweek.checks.solutions", "backward")
    assert program["requires"] == ["numpy"]
    assert program["source"].count("def ") == 2, "backward and the softmax that it calls"
    assert program["source"].index("def softmax") < program["source"].index("def backward")
    assert "nnweek" not in program["source"]


def test_function_imported_under_another_name_is_copied_under_both():
    program = exercises()["sigmoid"]["reference"]
    assert program["requires"] == ["numpy"]
    assert run(program)(np.zeros(1)) == [0.5]


def test_functions_keep_the_values_that_they_were_made_with(monkeypatch, tmp_path):
    """As closures, as defaults, in dictionaries; two functions may begin on one line."""
    path = tmp_path / "made_up.py"
    path.write_text(
        "def scaled(by):\n"
        "    def function(x):\n"
        "        return by * x\n"
        "    return function\n"
        "five = [lambda x, n=n: {'n': n}[x] for n in (5,)]\n"
        "both = (lambda x: x + 1), (lambda x: x + 2)\n",
        encoding="utf-8",
    )
    module = types.ModuleType("nnweek.made_up")
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), vars(module))
    monkeypatch.setitem(sys.modules, "nnweek.made_up", module)
    monkeypatch.setattr(_source, "_file", lambda name: path if name == "nnweek.made_up" else None)
    made = [module.scaled(3), module.five[0], {"max": max}]
    scaled, five, names = run(_source.program(made, "made"))
    assert scaled(2) == 6
    assert five("n") == 5
    assert names == {"max": max}
    second = _source.program(module.both[1], "second")
    if sys.version_info >= (3, 11):
        assert run(second)(1) == 3
    else:
        assert second is None


def test_what_cannot_be_written_as_source_has_no_program():
    assert _source.program(object(), "thing") is None
    assert _source.program(lambda: 1, "thing") is None, "it is not a function of the package"
    assert run(_source.program([1.5, (np.nan,), np.arange(2)], "values"))[0] == 1.5


def test_naming_rate_counts_what_the_check_says(tmp_path):
    def doubled(x):
        return 2 * x

    def right(x, *, first=lambda x: x, second=lambda x: x):
        return second(first(x))

    texts = ("An explanation.", "A question?", "Advice.")
    exercise = dataclasses.replace(
        checks.softmax,
        right=right,
        probes=lambda: [Probe((np.array([[1.0, 2.0]]),)), Probe((np.array([[3.0]]),))],
        mistakes=(
            Mistake("doubled", *texts, variants=({"first": doubled},)),
            Mistake("the-same", *texts, variants=({"second": doubled},)),
            Mistake("harmless", *texts, variants=({"second": lambda x: x},)),
        ),
    )
    single, pairs = catalogue.naming_rate(exercises=[exercise])["softmax"]
    assert single == {"named": 1, "other": 1, "passed": 1}
    assert sum(pairs.values()) == 2, "the last two replace the same step"
    assert os.environ["NNWEEK_RESULTS"] == str(tmp_path / "results.jsonl")
    assert not (tmp_path / "results.jsonl").exists(), "nothing was recorded"


@pytest.mark.slow
def test_every_variant_of_an_exercise_is_named():
    rates = catalogue.naming_rate(pairs=5, exercises=[checks.softmax, checks.backward])
    for single, pairs in rates.values():
        assert single == {"named": sum(single.values())}
        assert sum(pairs.values()) == 5
        assert not pairs["passed"]
