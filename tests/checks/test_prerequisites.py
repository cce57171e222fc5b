"""Each exercise is judged alone, although it calls the learner's answers to others."""

import textwrap

import pytest

from nnweek import checks
from nnweek.checks import progress_store, solutions

BACKWARD = checks.solution("backward").text
SOFTMAX = checks.solution("softmax").text


def notebook(*cells):
    """Define what cells of a learner's notebook define."""
    names = {}
    exec("import numpy as np", names)
    for cell in cells:
        exec(textwrap.dedent(cell), names)
    return names


UNSOLVED = {
    "unsolved": "def softmax(logits):\n    ...",
    "raises": "def softmax(logits):\n    return missing",
    "wrong": SOFTMAX.replace("axis=1", "axis=0"),
}


@pytest.mark.parametrize("softmax", UNSOLVED.values(), ids=list(UNSOLVED))
def test_right_backward_is_told_to_fix_softmax(softmax):
    progress_store.forget("backward")
    names = notebook(softmax, BACKWARD)
    own = names["softmax"]
    verdict = checks.backward(names["backward"])
    assert not verdict.passed, "what it returns is not right yet"
    first = verdict.hint.splitlines()[0]
    assert first == "Your `softmax` does not pass yet; with a right one, `backward` passes."
    assert names["softmax"] is own, "the learner's own function is back"
    assert not checks.softmax(own).passed


@pytest.mark.parametrize("softmax", UNSOLVED.values(), ids=list(UNSOLVED))
def test_mistake_in_backward_is_named_whatever_softmax_does(softmax):
    progress_store.forget("backward")
    function = notebook(softmax, BACKWARD.replace("dscores /= N", "pass"))["backward"]
    first, second = checks.backward(function), checks.backward(function)
    assert first.mistake == second.mistake == "no-batch-average"
    assert "`softmax`" in first.hint.splitlines()[0]
    assert first.hint != second.hint, "the hints go on"


def test_helper_that_calls_softmax_is_found():
    helper = "def probabilities(scores):\n    return softmax(scores)"
    function = BACKWARD.replace("softmax(", "probabilities(")
    names = notebook(UNSOLVED["unsolved"], helper, function)
    assert "with a right one, `backward` passes" in checks.backward(names["backward"]).hint


def test_verdict_stays_if_the_other_answer_is_not_the_reason():
    progress_store.forget("backward")
    function = notebook(UNSOLVED["unsolved"], "def backward(*args):\n    return undefined")
    verdict = checks.backward(function["backward"])
    assert verdict.mistake == "raised"
    assert "NameError" in verdict.hint
    assert "`softmax`" not in verdict.hint


def test_own_forward_that_returns_more_is_kept():
    """It fails its own check, and a right one would break the `backward` that relies on it."""
    forward = """
        def forward(X, W1, b1, W2, b2):
            z1 = X @ W1 + b1
            a1 = np.maximum(0, z1)
            return a1 @ W2 + b2, (z1, a1)
        """
    backward = """
        def backward(X, y, W1, b1, W2, b2):
            scores, (z1, a1) = forward(X, W1, b1, W2, b2)
            d = softmax(scores)
            d[np.arange(len(y)), y] -= 1
            d {division}
            dz1 = (d @ W2.T) * (z1 > 0)
            return X.T @ dz1, dz1.sum(axis=0), a1.T @ d, d.sum(axis=0)
        """
    right = notebook(SOFTMAX, forward, backward.format(division="/= len(y)"))
    assert not checks.forward(right["forward"]).passed
    assert checks.backward(right["backward"]).passed
    wrong = notebook(SOFTMAX, forward, backward.format(division="*= 1"))
    assert checks.backward(wrong["backward"]).mistake == "no-batch-average"


def test_checks_of_other_answers_leave_their_hints_alone():
    progress_store.forget("softmax")
    names = notebook(UNSOLVED["wrong"], BACKWARD)
    first = checks.softmax(names["softmax"]).hint
    checks.backward(names["backward"])
    second = checks.softmax(names["softmax"]).hint
    progress_store.forget("softmax")
    assert checks.softmax(names["softmax"]).hint == first
    assert checks.softmax(names["softmax"]).hint == second


def test_function_that_calls_itself_ends():
    names = notebook("def softmax(logits):\n    return softmax(logits)")
    assert checks.softmax(names["softmax"]).mistake == "raised"


def test_solutions_are_not_replaced():
    """They live in a module of their own, not in the learner's notebook."""
    assert checks.backward(solutions.backward).passed


CELL = """
import numpy as np
from nnweek import checks
verdict = checks.{exercise}
{after}
"""


@pytest.mark.parametrize("after", ["print('after')", "verdict"], ids=["in the middle", "last line"])
@pytest.mark.parametrize("exercise", ["softmax(lambda z: z)", "lr_sweep(None, None)"])
def test_notebook_shows_a_verdict_once_wherever_the_check_stands(exercise, after, tmp_path):
    import nbformat
    from nbclient import NotebookClient

    cell = nbformat.v4.new_code_cell(CELL.format(exercise=exercise, after=after))
    again = nbformat.v4.new_code_cell("verdict")
    notebook = nbformat.v4.new_notebook(cells=[cell, again])
    NotebookClient(notebook, kernel_name="python3", timeout=600).execute(cwd=tmp_path)
    for executed in notebook.cells:
        shown = [o for o in executed.outputs if "text/html" in o.get("data", {})]
        assert len(shown) == 1, executed.outputs
        assert exercise.partition("(")[0] in shown[0]["data"]["text/plain"]


def test_check_inside_a_function_displays_nothing(capsys):
    checks.softmax(lambda z: z)
    assert capsys.readouterr().out == ""
