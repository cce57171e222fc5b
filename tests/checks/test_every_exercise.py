"""The checks as such: what holds for every exercise, whatever submission it gets."""

import inspect
import os
import re
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from nnweek import checks, results
from nnweek.checks import progress_store, solutions
from nnweek.checks.exercise import Mistake
from nnweek.checks.verdict import GENERIC, Verdict
from nnweek.checks.wording import sentence
from support import ROOT
from support.submissions import NAMES, backward_arrays, first_verdict, solution_of

NEED_TORCH = [
    "mlp", "train_step", "accumulate", "to_tensors", "seeded_loader", "train_one_epoch", "evaluate",
    "fit_temperature",
]  # fmt: skip
every_exercise = pytest.mark.parametrize("name", NAMES)
# A suite's exception is an answer: it calls the implementation wrong.
every_array = pytest.mark.parametrize("name", [n for n in NAMES if n != "test_suite"])


@every_exercise
@pytest.mark.parametrize(
    "placeholder",
    [None, ..., lambda *a, **k: None, lambda *a: ...],
    ids=["None", "...", "returns None", "returns ..."],
)
def test_placeholder_is_not_attempted(name, placeholder):
    verdict = first_verdict(name, placeholder)
    assert (verdict.passed, verdict.mistake) == (False, "not-attempted")
    assert "`return`" in verdict.hint, "the return may be missing"


@every_exercise
def test_stub_that_raises_is_not_attempted(name):
    def submission(*args):
        raise NotImplementedError("your turn")

    assert checks.EXERCISES[name](submission).mistake == "not-attempted"


def test_stub_in_own_helper_is_not_attempted():
    def helper():
        raise NotImplementedError

    assert checks.softmax(lambda logits: helper()).mistake == "not-attempted"


@pytest.mark.parametrize(
    "function",
    [
        lambda logits: torch.empty(2, 2, device="meta").tolist(),
        lambda logits: torch.nn.Module()(logits),
    ],
)
def test_not_implemented_error_of_a_library_is_raised(function):
    verdict = checks.softmax(function)
    assert verdict.mistake == "raised", verdict
    assert "NotImplementedError" in verdict.hint


def test_missing_outputs_are_not_attempted():
    verdict = checks.backward(lambda *args: (None, ..., *solutions.backward(*args)[2:]))
    assert verdict.mistake == "not-attempted"
    assert "`dW1` and `db1`" in verdict.hint


@every_array
def test_exception_is_reported_with_message_and_line(name):
    def submission(*args):
        scale = 3
        return scale / len([])  # the culprit

    verdict = first_verdict(name, submission)
    line = inspect.getsourcelines(submission)[1] + 2
    assert verdict.mistake == "raised"
    assert "ZeroDivisionError: division by zero" in verdict.hint
    assert f"line {line} of your code: `return scale / len([])  # the culprit`" in verdict.hint


def test_exception_inside_numpy_quotes_the_learners_line():
    def submission(logits):
        return np.linalg.inv(logits)

    hint = first_verdict("softmax", submission).hint
    assert "LinAlgError" in hint
    assert "`return np.linalg.inv(logits)`" in hint


@every_exercise
def test_sys_exit_does_not_end_the_check(name):
    verdict = checks.EXERCISES[name](lambda *a: sys.exit("bye"))
    assert verdict.mistake in ("raised", "always-false")


def test_wrong_number_of_arguments_is_raised():
    assert "argument" in checks.backward(lambda X, y: X).hint


@every_array
@pytest.mark.parametrize(
    "junk",
    ["0.5", {"a": 1}, {1.0, 2.0}, len, 1 + 2j, b"x", (x for x in "abc"), [[1], [2, 3]], object()],
    ids=lambda junk: type(junk).__name__,  # a repr may contain an address
)
def test_junk_has_the_wrong_type(name, junk):
    if name == "split" and isinstance(junk, list):
        pytest.skip("two lists of indices are a split")
    verdict = checks.EXERCISES[name](lambda *a: junk)
    allowed = ("wrong-type", "wrong-shape") if isinstance(junk, list) else ("wrong-type",)
    assert verdict.mistake in allowed, verdict


@pytest.mark.parametrize(
    "function",
    [lambda *a: (solutions.forward(*a), a[0]), lambda *a: (a[0] @ a[1] @ a[3],) * 2],
)
def test_two_outputs_instead_of_one_have_the_wrong_type(function):
    assert checks.forward(function).mistake == "wrong-type"


@every_exercise
def test_result_instead_of_function_is_explained(name):
    verdict = checks.EXERCISES[name](np.ones(3))
    assert verdict.mistake == "wrong-type"
    assert "without calling it" in verdict.hint


def test_number_with_a_graph_has_the_wrong_type():
    def submission(probs, y):
        p = torch.tensor(probs, requires_grad=True)
        return -p[range(len(y)), y].clamp_min(1e-9).log().mean()

    assert checks.cross_entropy(submission).mistake == "wrong-type"


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("softmax", lambda z: solutions.softmax(z).T),
        ("softmax", lambda z: solutions.softmax(z).ravel()),
        ("cross_entropy", lambda p, y: -np.log(p[range(len(y)), y] + 1e-12)),
        ("forward", lambda *a: solutions.forward(*a).T),
        ("backward", lambda *a: solutions.backward(*a)[:3]),
        ("backward", lambda *a: [g.T for g in solutions.backward(*a)]),
        ("numerical_gradient", lambda f, x, e=1e-5: solutions.numerical_gradient(f, x, e).ravel()),
        ("sgd_step", lambda p, g, lr: [w[None] for w in solutions.sgd_step(p, g, lr)]),
        ("sgd_step", lambda p, g, lr: solutions.sgd_step(p, g, lr) * 2),
        ("relu_grad", lambda z: solutions.relu_grad(z).ravel()),
        ("sigmoid", lambda z: solutions.sigmoid(z).mean()),
        ("init_weights", lambda i, o, rng: solutions.init_weights(o, i, rng)),
    ],
)
def test_wrong_shape_is_named(name, function):
    verdict = checks.EXERCISES[name](function)
    assert verdict.mistake == "wrong-shape", verdict


# These return no numbers, or tensors only.
NO_NUMBERS = ("test_suite", "mlp", "to_tensors", "seeded_loader")


@pytest.mark.parametrize("name", [n for n in NAMES if n not in NO_NUMBERS])
def test_nan_is_not_finite(name):
    def spoiled(value):
        if isinstance(value, (list, tuple)):
            return [spoiled(item) for item in value]
        return np.asarray(value, dtype=float) * np.nan

    verdict = checks.EXERCISES[name](lambda *args: spoiled(solution_of(name)(*args)))
    assert verdict.mistake == "not-finite", verdict


def test_verdict_is_a_truth_value_and_immutable():
    right, wrong = checks.forward(solutions.forward), checks.forward(lambda *a: 0)
    assert right
    assert not wrong
    assert right.mistake is None
    with pytest.raises(AttributeError):
        wrong.passed = True


def test_verdict_reads_well_in_a_terminal():
    assert repr(checks.forward(solutions.forward)) == "✓ forward: passed"
    lines = repr(checks.backward(backward_arrays({"sign"}))).splitlines()
    assert lines[0] == "✗ backward: not yet – sign"
    assert max(map(len, lines)) <= 90


def test_html_verdict_is_escaped_and_needs_no_colour():
    def submission(logits):
        raise ValueError("<script>alert(1)</script> & more")

    page = first_verdict("softmax", submission)._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "✗ softmax: not yet – raised" in page
    assert "currentColor" in page
    assert not re.search(r"#[0-9a-f]{3,6}\b|rgb\(|<style", page)
    assert re.findall(r'class="(.*?)"', page) == ["verdict not-yet"], (
        "only the site has rules for it"
    )
    assert page.count("<p") == page.count("</p>")


def test_verdict_links_to_its_explanation_in_the_book(monkeypatch):
    monkeypatch.delenv("NNWEEK_BOOK", raising=False)
    monkeypatch.setattr("nnweek.checks.verdict._BUILT", Path("nowhere"))
    verdict = checks.backward(backward_arrays({"sign"}))
    assert re.fullmatch(r"https://.*/what-went-wrong\.html#backward-sign", verdict.address)
    assert verdict.address in repr(verdict)
    (link,) = re.findall(r"<a (.*?)</a>", verdict._repr_html_())
    assert f'href="{verdict.address}"' in link
    assert "sign</code> on the page" in link, "the text of the link says where it leads"
    assert 'target="_blank"' in link, "the notebook stays open"


def test_verdict_inside_the_book_links_within_it(monkeypatch):
    monkeypatch.setenv("NNWEEK_BOOK", "..")
    page = checks.backward(backward_arrays({"sign"}))._repr_html_()
    assert '<a href="../what-went-wrong.html#backward-sign">' in page


def test_generic_mistakes_link_to_one_common_place():
    assert first_verdict("softmax", lambda z: z * np.nan).address.endswith("#not-finite")
    assert first_verdict("softmax", lambda z: z + 7).address.endswith("#wrong")


@pytest.mark.parametrize("submission", [solutions.forward, None])
def test_verdict_without_a_mistake_has_no_link(submission):
    verdict = checks.forward(submission)
    assert verdict.address is None
    assert "<a " not in verdict._repr_html_()


def test_generic_ids_are_explained_and_distinct():
    assert set(GENERIC) == {
        "not-attempted", "raised", "wrong-shape", "wrong-type", "not-finite", "modifies-input",
        "wrong",
    }  # fmt: skip
    assert not set(GENERIC) & set(checks.EXERCISES)


@pytest.mark.parametrize("name", checks.EXERCISES)
def test_mistakes_and_hints_are_well_formed(name):
    exercise = checks.EXERCISES[name]
    assert exercise.signature in repr(exercise)
    assert f"Day {exercise.day}" in repr(exercise)
    for mistake in exercise.mistakes:
        assert re.fullmatch(r"[A-Za-z0-9-]+", mistake.id), mistake.id
        assert mistake.explanation.endswith("."), mistake.id
        for text in (mistake.explanation, *mistake.hints):
            assert text == sentence(text), "a sentence begins with a capital"
        assert len(mistake.hints) >= 2, mistake.id
        assert all(hint and hint == hint.strip() for hint in mistake.hints), mistake.id
        first = mistake.hints[0]
        assert "{" not in mistake.explanation + first, mistake.id
        code = r"\bnp\.|=\s*\w+\[|\.sum\(|\.T\b"
        assert not re.search(code, first.replace("`axis=`", "")), f"{first} gives code away"


def test_each_attempt_gets_a_more_direct_hint():
    wrong = backward_arrays({"no-batch-average"})
    first = first_verdict("backward", wrong).hint
    second, third, fourth = (checks.backward(wrong).hint for _ in range(3))
    assert first != second
    assert "Divide by N" not in first
    assert "Divide by N" in second
    assert "`dscores /= N`" not in first + second
    assert "`dscores /= N`" in third, "the right line is shown, and the wrong one"
    assert fourth == third, "the last hint stays"
    checks.backward(solutions.backward)
    assert checks.backward(wrong).hint == first, "a pass resets the hints"


@pytest.mark.parametrize(
    ("name", "function"),
    [("softmax", lambda z: z + 7), ("test_suite", lambda backward: True)],
)
def test_no_hint_is_repeated_before_the_last(name, function):
    first, *more = (
        first_verdict(name, function),
        *(checks.EXERCISES[name](function) for _ in range(3)),
    )
    hints = [verdict.hint.splitlines()[-1] for verdict in (first, *more)]
    assert len(set(hints)) >= 3
    assert f'`checks.solution("{name}")`' in hints[-1]


@pytest.mark.parametrize(
    ("function", "mistake"),
    [
        (lambda z: z[0, 99], "raised"),
        (lambda z: z[0], "wrong-shape"),
        (lambda z: [np.add(z, 1, out=z), solutions.softmax(z)][1], "modifies-input"),
    ],
)
def test_hints_on_the_exercise_wait_until_they_fit(function, mistake):
    first, second = first_verdict("softmax", function), checks.softmax(function)
    assert (first.mistake, second.hint) == (mistake, first.hint)
    assert checks.hint("softmax") == checks.EXERCISES["softmax"].hints[0]


def third_hint(right, wrong, variants=({},)):
    return Mistake("id", "Means.", "Look?", "Do.", variants=variants, slip=(right, wrong)).hints[2]


def test_slip_is_legible():
    assert third_hint("a / N", "a") == (
        "The solution has `a / N`; with `a` instead it would make this mistake."
    )
    assert third_hint("a / N", "a", ({}, {})).endswith(
        "with `a` instead, for example, it would make this mistake."
    )
    without = "Without the line `a /= N` it would make this mistake."
    assert third_hint("a /= N", "pass") == without
    assert third_hint("a = 1\n        a /= N", "a = 1") == without
    assert third_hint("return x", "for row in x:\n        y = row\n    return y") == (
        "The solution has\n    return x\nThis instead of it would make this mistake:\n"
        "    for row in x:\n        y = row\n    return y"
    )


def test_code_of_several_lines_keeps_its_indentation():
    verdict = Verdict(
        "softmax", False, "wrong", third_hint("x", "for a in b:\n        return a < 1")
    )
    assert "\n      for a in b:\n          return a < 1\n" in repr(verdict)
    page = verdict._repr_html_()
    assert "for a in b:\n    return a &lt; 1</pre>" in page
    assert page.count("<pre") == page.count("</pre>") == 2


def test_id_is_not_broken_at_a_hyphen():
    text = "It is the mistake `one-hot-not-subtracted`. " * 9
    shown = repr(Verdict("softmax", False, "wrong", text))
    assert shown.count("`one-hot-not-subtracted`") == 9


def test_hints_on_different_mistakes_are_counted_separately():
    first = first_verdict("backward", backward_arrays({"sign"})).hint
    checks.backward(backward_arrays({"bias-mean"}))
    assert checks.backward(backward_arrays({"sign"})).hint == first


@every_exercise
def test_hints_are_available_without_an_attempt(name):
    progress_store.forget(name)
    first, second = checks.hint(name), checks.hint(name)
    assert first != second
    assert checks.hint(name) == second


def test_hint_after_an_attempt_is_on_its_mistake():
    first = first_verdict("backward", backward_arrays({"bias-wrong-axis"})).hint
    following = checks.hint("backward")
    assert "axis 0" in following
    assert following not in first


@pytest.mark.parametrize("function", [checks.hint, checks.solution])
def test_unknown_name_raises_with_the_known_names(function):
    with pytest.raises(ValueError, match=r"softmax, cross_entropy.*; got 'sofmax'"):
        function("sofmax")


@every_exercise
def test_solution_passes_and_is_shown(name):
    verdict = checks.EXERCISES[name](solution_of(name))
    assert verdict.passed, verdict
    listing = checks.solution(name)
    assert listing.text == inspect.getsource(solution_of(name)).rstrip()
    assert repr(listing) == listing.text
    assert re.match(r"```python\n(@.+\n)?def ", listing._repr_markdown_())
    assert max(map(len, listing.text.splitlines())) <= 84


@every_exercise
def test_signature_is_that_of_the_solution(name):
    parameters = str(inspect.signature(solution_of(name)))
    parameters = re.sub(r"e-0(?=\d)", "e-", parameters)  # 1e-05 is usually written 1e-5
    assert checks.EXERCISES[name].signature.endswith(parameters)


def run_in_new_process(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.mark.slow
def test_progress_is_kept_between_sessions(tmp_path):
    file = str(tmp_path / "folder" / "results.jsonl")
    passing = """
        from nnweek import checks
        from nnweek.checks import solutions
        for _ in range(3):
            checks.softmax(solutions.softmax)
        checks.forward(lambda *a: None)
        print(checks.progress())
    """
    out = run_in_new_process(passing, NNWEEK_RESULTS=file)
    assert f"1 of {len(checks.EXERCISES)}" in out
    assert "✓\N{NO-BREAK SPACE}softmax, " in out
    assert "○\N{NO-BREAK SPACE}forward, " in out
    again = "from nnweek import checks; print(checks.progress().passed['softmax'])"
    assert run_in_new_process(again, NNWEEK_RESULTS=file).strip() == "True"
    assert Path(file).read_text().count("softmax") == 1


@pytest.mark.slow
def test_progress_works_if_nothing_can_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    code = """
        from nnweek import checks
        from nnweek.checks import solutions
        checks.softmax(solutions.softmax)
        print(checks.progress().passed["softmax"])
    """
    for path in (tmp_path / "file" / "results.jsonl", tmp_path):
        assert run_in_new_process(code, NNWEEK_RESULTS=str(path)).strip() == "True"


def test_progress_has_html():
    page = checks.progress()._repr_html_()
    assert "Day 29" in page
    assert "currentColor" in page


def test_passes_are_separate_from_the_days_results(monkeypatch):
    monkeypatch.setattr(progress_store, "_passed", set())
    checks.softmax(solutions.softmax)
    assert "softmax" in results.recorded("checks")
    assert results.recorded("mnist") == {}


@every_exercise
def test_check_prints_and_warns_nothing(name, capfd):
    def noisy(*args):
        warnings.warn("look out", stacklevel=1)
        np.log(np.zeros(2)), np.ones(1) / np.zeros(1)
        return solution_of(name)(*args)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert checks.EXERCISES[name](noisy).passed
        checks.EXERCISES[name](lambda *a: np.full((2, 2), np.inf))
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_numpy_exercises_need_only_numpy():
    code = f"""
        import sys
        class Guard:
            def find_spec(self, name, path=None, target=None):
                top = name.partition(".")[0]
                if top not in sys.stdlib_module_names | {{"numpy", "nnweek"}}:
                    raise ModuleNotFoundError(name, name=name)
        sys.meta_path.insert(0, Guard())
        from nnweek import checks
        from nnweek.checks import solutions
        for name in {[name for name in NAMES if name not in [*NEED_TORCH, "paired_interval"]]}:
            assert checks.EXERCISES[name](getattr(solutions, name)), name
        print(checks.progress()._repr_html_()[:4])
    """
    assert run_in_new_process(code).strip() == "<div"


SLIPS = [
    pytest.param(name, mistake, id=f"{name}-{mistake.id}-{number}")
    for name in NAMES
    for number, mistake in enumerate(checks.EXERCISES[name].mistakes)
    if mistake.slip
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "mistake"), SLIPS)
def test_solution_with_the_slip_makes_the_mistake(name, mistake):
    right, wrong = mistake.slip
    source = inspect.getsource(solution_of(name))
    assert source.count(right) == 1, f"the solution should have {right!r} once"
    module = vars(inspect.getmodule(solution_of(name))).copy()
    exec(source.replace(right, wrong), module)
    verdict = first_verdict(name, module[solution_of(name).__name__])
    if mistake.forgiven:
        assert verdict.passed, verdict
        assert verdict.hint, "a forgiven mistake deserves a remark"
    else:
        assert (verdict.passed, verdict.mistake) == (False, mistake.id), verdict
