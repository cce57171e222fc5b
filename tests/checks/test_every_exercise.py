"""The checks themselves: what holds for every exercise, whatever is handed in."""

import inspect
import os
import random
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import nnweek
from nnweek import checks, results
from nnweek.checks import progress_store, sandbox, solutions
from nnweek.checks import verdict as verdict_module
from nnweek.checks.exercise import Question
from support.submissions import backward_arrays

# What asks for an answer, and not for a function, is tested with its day.
names = [n for n, e in checks.EXERCISES.items() if not isinstance(e, Question)]
every_exercise = pytest.mark.parametrize("name", names)
returns_arrays = pytest.mark.parametrize("name", [n for n in names if n != "test_suite"])
needs_torch = ["mlp", "train_step", "train_one_epoch", "evaluate"]


def solved(name):
    return getattr(solutions, "suite" if name == "test_suite" else name)


def fresh(name):
    progress_store.forget(name)
    return checks.EXERCISES[name]


# --- The generic ids -------------------------------------------------------------------------------


@every_exercise
@pytest.mark.parametrize(
    "nothing",
    [None, ..., lambda *a, **k: None, lambda *a: ...],
    ids=["None", "...", "returns None", "returns ..."],
)
def test_nothing_yet_is_not_attempted(name, nothing):
    verdict = fresh(name)(nothing)
    assert (verdict.passed, verdict.mistake) == (False, "not-attempted")


def test_a_forgotten_return_is_thought_of():
    assert "return" in fresh("softmax")(lambda logits: None).hint


@every_exercise
def test_a_placeholder_that_raises_is_not_attempted(name):
    def submission(*args):
        raise NotImplementedError("your turn")

    assert checks.EXERCISES[name](submission).mistake == "not-attempted"


def test_a_placeholder_in_a_helper_of_ones_own_is_not_attempted():
    def helper():
        raise NotImplementedError

    assert checks.softmax(lambda logits: helper()).mistake == "not-attempted"


def test_not_implemented_out_of_a_library_is_raised():
    class Halfway(torch.nn.Module):
        pass

    def without_data(logits):
        return torch.empty(2, 2, device="meta").tolist()

    for function in (without_data, lambda logits: Halfway()(logits)):
        verdict = checks.softmax(function)
        assert verdict.mistake == "raised", verdict
        assert "NotImplementedError" in verdict.hint


def test_a_part_that_is_missing_is_not_attempted():
    def submission(*args):
        dW1, db1, dW2, db2 = backward_arrays(set())(*args)
        return None, ..., dW2, db2

    verdict = checks.backward(submission)
    assert verdict.mistake == "not-attempted"
    assert "dW1 and db1" in verdict.hint


@returns_arrays
def test_an_exception_is_reported_with_type_message_and_line(name):
    def submission(*args):
        scale = 3
        return scale / len([])  # the culprit

    verdict = fresh(name)(submission)
    line = inspect.getsourcelines(submission)[1] + 2
    assert verdict.mistake == "raised"
    assert "ZeroDivisionError: division by zero" in verdict.hint
    assert f"line {line}: `return scale / len([])  # the culprit`" in verdict.hint


def test_an_exception_inside_numpy_is_reported_with_the_learners_line():
    def submission(logits):
        return np.linalg.inv(logits)

    hint = fresh("softmax")(submission).hint
    assert "LinAlgError" in hint
    assert "`return np.linalg.inv(logits)`" in hint


@every_exercise
def test_leaving_python_is_no_way_out(name):
    verdict = checks.EXERCISES[name](lambda *a: sys.exit("bye"))
    assert verdict.mistake in ("raised", "always-false")


def test_a_wrong_number_of_arguments_is_raised():
    assert "argument" in checks.backward(lambda X, y: X).hint


def test_an_interrupt_stops_the_check_as_it_stops_a_cell():
    def submission(logits):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checks.softmax(submission)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this platform")
@pytest.mark.parametrize("swallow", [False, True])
def test_an_endless_loop_ends_with_a_message(monkeypatch, swallow):
    monkeypatch.setattr(sandbox, "SECONDS", 0.3)

    def submission(logits):
        while True:
            try:
                time.sleep(0.01)
            except:  # noqa: E722
                if not swallow:
                    raise

    def stubborn(logits):
        for _ in range(3):  # a bare except swallows a few, then the next one comes through
            try:
                time.sleep(60)
            except:  # noqa: E722
                continue
        time.sleep(60)

    before = signal.getsignal(signal.SIGALRM)
    verdict = fresh("softmax")(stubborn if swallow else submission)
    assert verdict.mistake == "raised"
    assert "0.3 seconds" in verdict.hint
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this platform")
def test_somebody_elses_alarm_still_rings():
    rang = []
    before = signal.signal(signal.SIGALRM, lambda *_: rang.append(True))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        checks.forward(solutions.forward)
        time.sleep(0.4)
        assert rang
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_check_works_in_another_thread():
    verdicts = []
    thread = threading.Thread(target=lambda: verdicts.append(checks.softmax(solutions.softmax)))
    thread.start()
    thread.join()
    assert verdicts[0].passed


@pytest.mark.parametrize("size", [2**34, 2**45])
def test_a_huge_allocation_is_reported(size):
    if size < 2**40 and not sys.platform.startswith("linux"):
        pytest.skip("only Linux limits the memory of a process")
    verdict = checks.forward(lambda X, *rest: np.ones(size) + X[0, 0])
    assert verdict.mistake == "raised"
    assert "memory" in verdict.hint.lower()


def test_endless_recursion_is_reported():
    def submission(logits):
        return submission(logits)

    assert "RecursionError" in checks.softmax(submission).hint


@returns_arrays
@pytest.mark.parametrize(
    "junk",
    ["0.5", {"a": 1}, {1.0, 2.0}, len, 1 + 2j, b"x", (x for x in "abc"), [[1], [2, 3]], object()],
    ids=lambda junk: type(junk).__name__,  # a repr may tell an address, new in each process
)
def test_junk_is_of_the_wrong_type(name, junk):
    if name == "split" and isinstance(junk, list):
        pytest.skip("two lists of indices are what it asks for")
    verdict = checks.EXERCISES[name](lambda *a: junk)
    assert verdict.mistake in ("wrong-type", "wrong-shape"), verdict
    if not isinstance(junk, list):
        assert verdict.mistake == "wrong-type"


def test_more_than_was_asked_for_is_of_the_wrong_type():
    for function in (
        lambda *a: (solutions.forward(*a), a[0]),
        lambda *a: (a[0] @ a[1] @ a[3],) * 2,
    ):
        assert checks.forward(function).mistake == "wrong-type"


@every_exercise
def test_a_result_in_place_of_the_function_is_explained(name):
    verdict = checks.EXERCISES[name](np.ones(3))
    assert verdict.mistake == "wrong-type"
    assert "without calling it" in verdict.hint


def test_a_number_with_a_graph_is_no_number():
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
def test_a_wrong_shape_is_named(name, function):
    verdict = checks.EXERCISES[name](function)
    assert verdict.mistake == "wrong-shape", verdict


@pytest.mark.parametrize("name", [n for n in names if n not in ("test_suite", "mlp")])
def test_nan_is_not_finite(name):
    def submission(*args):
        value = solved(name)(*args)
        spoil = lambda v: np.asarray(v, dtype=float) * np.nan  # noqa: E731
        return [spoil(v) for v in value] if isinstance(value, (list, tuple)) else spoil(value)

    verdict = checks.EXERCISES[name](submission)
    expected = "overflow" if name.startswith("sigmoid") else "not-finite"
    assert verdict.mistake == expected, verdict


# --- Verdicts ----------------------------------------------------------------------------------------


def test_a_verdict_is_a_truth_value_and_cannot_be_changed():
    good, bad = checks.forward(solutions.forward), checks.forward(lambda *a: 0)
    assert good
    assert not bad
    assert good.mistake is None
    with pytest.raises(AttributeError):
        bad.passed = True


def test_a_verdict_reads_well_in_a_terminal():
    assert repr(checks.forward(solutions.forward)) == "✓ forward: passed"
    lines = repr(checks.backward(backward_arrays({"sign"}))).splitlines()
    assert lines[0] == "✗ backward: not yet – sign"
    assert max(map(len, lines)) <= 90


def test_a_verdict_in_a_notebook_needs_no_colour_and_escapes_what_came():
    def submission(logits):
        raise ValueError("<script>alert(1)</script> & more")

    page = fresh("softmax")(submission)._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "✗ softmax: not yet – raised" in page
    assert "currentColor" in page
    assert not re.search(r"#[0-9a-f]{3,6}\b|rgb\(|class=|<style", page)
    assert page.count("<p") == page.count("</p>")


def test_a_verdict_links_to_its_explanation_in_the_published_book(monkeypatch):
    monkeypatch.delenv("NNWEEK_BOOK", raising=False)
    verdict = checks.backward(backward_arrays({"sign"}))
    assert re.fullmatch(r"https://.*/what-went-wrong\.html#backward-sign", verdict.address)
    assert verdict.address in repr(verdict)
    (link,) = re.findall(r"<a (.*?)</a>", verdict._repr_html_())
    assert f'href="{verdict.address}"' in link
    assert "sign</code> on the page" in link, "the text of the link says where it leads"
    assert 'target="_blank"' in link, "the notebook stays open"


def test_a_verdict_in_the_book_links_within_the_book(monkeypatch):
    monkeypatch.setenv("NNWEEK_BOOK", "..")
    page = checks.backward(backward_arrays({"sign"}))._repr_html_()
    assert '<a href="../what-went-wrong.html#backward-sign">' in page


def test_a_mistake_of_any_exercise_links_to_the_one_place_for_all():
    assert fresh("softmax")(lambda z: z * np.nan).address.endswith("#not-finite")
    assert fresh("softmax")(lambda z: z + 7).address.endswith("#wrong")


def test_where_there_is_nothing_to_explain_there_is_no_link():
    for verdict in (checks.forward(solutions.forward), checks.forward(None)):
        assert verdict.address is None
        assert "<a " not in verdict._repr_html_()


def test_every_generic_id_is_explained_and_no_exercise_takes_its_name():
    assert set(verdict_module.GENERIC) == {
        "not-attempted", "raised", "wrong-shape", "wrong-type", "not-finite", "modifies-input",
        "wrong",
    }  # fmt: skip
    assert not set(verdict_module.GENERIC) & set(checks.EXERCISES)
    for exercise in checks.EXERCISES.values():
        for mistake in exercise.mistakes:
            assert re.fullmatch(r"[A-Za-z0-9-]+", mistake.id), mistake.id
            assert "{" not in mistake.explanation + mistake.hints[0], mistake.id


def test_asking_again_gives_a_more_direct_hint():
    fresh("backward")
    wrong = backward_arrays({"no-batch-average"})
    first, second, third = (checks.backward(wrong).hint for _ in range(3))
    assert first != second
    assert "Divide by N" not in first
    assert "Divide by N" in second
    assert third == second, "after the last hint it stays"
    checks.backward(solutions.backward)
    assert checks.backward(wrong).hint == first, "after a pass it starts again"


def test_the_hints_of_different_mistakes_are_counted_apart():
    fresh("backward")
    first = checks.backward(backward_arrays({"sign"})).hint
    checks.backward(backward_arrays({"bias-mean"}))
    assert checks.backward(backward_arrays({"sign"})).hint == first


@every_exercise
def test_hints_without_an_attempt(name):
    fresh(name)
    first, second = checks.hint(name), checks.hint(name)
    assert first != second
    assert checks.hint(name) == second


def test_a_hint_after_an_attempt_takes_up_its_mistake():
    fresh("backward")
    observation = checks.backward(backward_arrays({"bias-wrong-axis"})).hint
    following = checks.hint("backward")
    assert "axis 0" in following
    assert following not in observation


@every_exercise
def test_no_first_hint_gives_code_away(name):
    exercise = checks.EXERCISES[name]
    for mistake in exercise.mistakes:
        assert len(mistake.hints) >= 2, mistake.id
        assert mistake.explanation.endswith("."), mistake.id
        first = mistake.hints[0]
        assert not re.search(r"\bnp\.|=\s*\w+\[|\.sum\(|\.T\b", first.replace("`axis=`", "")), first
        assert all(hint and hint == hint.strip() for hint in mistake.hints)


def test_an_unknown_name_is_an_error_that_lists_the_names():
    for function in (checks.hint, checks.solution):
        with pytest.raises(ValueError, match=r"softmax, cross_entropy.*; got 'sofmax'"):
            function("sofmax")


# --- Solutions and progress --------------------------------------------------------------------------


@every_exercise
def test_every_exercise_has_a_solution_that_passes_and_is_shown(name):
    verdict = checks.EXERCISES[name](solved(name))
    assert verdict.passed, verdict
    shown = checks.solution(name)
    assert shown.text == inspect.getsource(solved(name)).rstrip()
    assert repr(shown) == shown.text
    assert re.match(r"```python\n(@.+\n)?def ", shown._repr_markdown_())
    assert max(map(len, shown.text.splitlines())) <= 84


@every_exercise
def test_the_signature_is_that_of_the_solution(name):
    parameters = str(inspect.signature(solved(name)))
    parameters = re.sub(r"e-0(?=\d)", "e-", parameters)  # as one writes 1e-05
    assert checks.EXERCISES[name].signature.endswith(parameters)


def in_a_new_process(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, **environment},
        cwd=os.path.dirname(os.path.dirname(nnweek.__file__)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_progress_lasts_from_one_session_to_the_next(tmp_path):
    file = str(tmp_path / "folder" / "results.jsonl")
    passing = """
        from nnweek import checks
        from nnweek.checks import solutions
        for _ in range(3):
            checks.softmax(solutions.softmax)
        checks.forward(lambda *a: None)
        print(checks.progress())
    """
    out = in_a_new_process(passing, NNWEEK_RESULTS=file)
    assert f"1 of {len(checks.EXERCISES)}" in out
    assert "✓ softmax" in out
    assert "· forward" in out
    again = "from nnweek import checks; print(checks.progress().passed['softmax'])"
    assert in_a_new_process(again, NNWEEK_RESULTS=file).strip() == "True"
    assert Path(file).read_text().count("softmax") == 1


def test_progress_works_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    code = """
        from nnweek import checks
        from nnweek.checks import solutions
        checks.softmax(solutions.softmax)
        print(checks.progress().passed["softmax"])
    """
    for path in (tmp_path / "file" / "results.jsonl", tmp_path):
        assert in_a_new_process(code, NNWEEK_RESULTS=str(path)).strip() == "True"


def test_progress_reads_well_in_a_notebook():
    page = checks.progress()._repr_html_()
    assert "Day 29" in page
    assert "currentColor" in page


def test_passes_do_not_mix_with_the_days_results(monkeypatch):
    monkeypatch.setattr(progress_store, "_passed", set())
    checks.softmax(solutions.softmax)
    assert "softmax" in results.recorded("checks")
    assert results.recorded("mnist") == {}


# --- Good manners --------------------------------------------------------------------------------------


@every_exercise
def test_a_check_leaves_the_notebook_as_it_was(name):
    def rude(*args):
        random.seed(0)
        np.random.seed(0)
        torch.manual_seed(0)
        np.seterr(all="raise")
        np.set_printoptions(precision=1)
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        warnings.simplefilter("error")
        for arg in args:
            if isinstance(arg, np.ndarray):
                arg[...] = 0
        return solved(name)(*args)

    def state():
        return (
            random.getstate(),
            str(np.random.get_state()),
            torch.get_rng_state().tolist(),
            np.geterr(),
            str(np.get_printoptions()),
            torch.get_default_dtype(),
            torch.is_grad_enabled(),
            list(warnings.filters),
        )

    random.random(), np.random.rand(), torch.rand(1)
    before = state()
    checks.EXERCISES[name](rude)
    assert state() == before
    assert checks.EXERCISES[name](solved(name)), "nor does it spoil the next check"


@every_exercise
def test_a_check_prints_nothing_and_warns_of_nothing(name, capfd):
    def noisy(*args):
        warnings.warn("look out", stacklevel=1)
        np.log(np.zeros(2)), np.ones(1) / np.zeros(1)
        return solved(name)(*args)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert checks.EXERCISES[name](noisy).passed
        checks.EXERCISES[name](lambda *a: np.full((2, 2), np.inf))
    assert capfd.readouterr() == ("", "")


@every_exercise
def test_a_strict_learner_is_not_punished(name):
    with np.errstate(all="raise"), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert checks.EXERCISES[name](solved(name)).passed


def test_numpy_alone_is_enough_for_what_does_not_ask_for_a_network():
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
        from nnweek.checks.exercise import Question
        passed = 0
        for name, exercise in checks.EXERCISES.items():
            if name not in {needs_torch} and not isinstance(exercise, Question):
                solution = getattr(solutions, "suite" if name == "test_suite" else name)
                assert exercise(solution), name
                passed += 1
        print(passed, checks.progress()._repr_html_()[:4])
    """
    assert in_a_new_process(code).split() == [str(len(names) - len(needs_torch)), "<div"]


def test_every_exercise_says_what_it_asks_for():
    for exercise in checks.EXERCISES.values():
        assert exercise.signature in repr(exercise)
        assert f"Day {exercise.day}" in repr(exercise)
