"""No verdict names a mistake that was not made."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnweek import checks
from nnweek.checks import solutions
from nnweek.checks.comparing import close, entries_close
from support.submissions import NAMES, first_verdict

FACTORS = {
    "2": lambda N, C: 2,
    "1/2": lambda N, C: 1 / 2,
    "3": lambda N, C: 3,
    "1/3": lambda N, C: 1 / 3,
    "N/2": lambda N, C: N / 2,
    "2/N": lambda N, C: 2 / N,
    "2/C": lambda N, C: 2 / C,
    "sqrt(N)": lambda N, C: N**0.5,
    "C/N": lambda N, C: C / N,
    "N+1": lambda N, C: N + 1,
    "-2": lambda N, C: -2,
}
# The names that such a factor may have, at most: those that are part of it.
MAY_BE_NAMED = {
    "2": {"factor-two"},
    "1/2": {"factor-half"},
    "N/2": {"no-batch-average", "factor-half"},
    "2/N": {"factor-two"},
    "2/C": {"mean-over-classes", "factor-two"},
    "C/N": set(),
    "-2": {"sign", "factor-two"},
}


@pytest.mark.parametrize("label", FACTORS)
def test_factor_is_not_taken_for_another(label):
    def submission(X, y, W1, b1, W2, b2):
        factor = FACTORS[label](len(y), len(b2))
        return [factor * gradient for gradient in solutions.backward(X, y, W1, b1, W2, b2)]

    verdict = first_verdict("backward", submission)
    assert verdict.mistake in {"wrong"} | MAY_BE_NAMED.get(label, set()), verdict


@pytest.mark.parametrize("name", NAMES)
def test_sizes_make_coincidences_impossible(name):
    """No two factors that a mistake may leave are equal on every ordinary probe."""
    contexts = [probe.context for probe in checks.EXERCISES[name].probes() if not probe.targets]
    sizes = {key for key in "NDHC" if all(isinstance(c.get(key), int) for c in contexts)}
    factors = {"2": lambda c: 2, "1/2": lambda c: 1 / 2}
    for key in sizes:
        factors[key] = lambda c, key=key: c[key]
        factors[f"1/{key}"] = lambda c, key=key: 1 / c[key]
    for one, other in itertools.permutations(sizes, 2):
        factors[f"{one}/{other}"] = lambda c, one=one, other=other: c[one] / c[other]
    values = {label: tuple(factor(c) for c in contexts) for label, factor in factors.items()}
    for one, other in itertools.combinations(values, 2):
        assert values[one] != values[other], (one, other)


def test_ordinary_probes_speak_first():
    def euclidean(logits):
        e = np.exp(logits)
        return e / np.sqrt((e**2).sum(axis=1, keepdims=True))

    verdict = first_verdict("softmax", euclidean)
    assert verdict.mistake == "wrong"
    assert verdict.hint.startswith("With N = 5, C = 3: `probs[0, 0]` is ")


def test_missing_brackets_are_no_overflow():
    assert first_verdict("sigmoid", lambda z: 1 / 1 + np.exp(-z)).mistake != "overflow"
    assert first_verdict("sigmoid", lambda z: 1 / (1 + np.exp(-z))).mistake == "overflow"


def copies_the_value(f, x, eps=1e-5):
    gradient = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        x[i] += eps
        above = f(x).copy()
        x[i] -= 2 * eps
        gradient[i] = (above - f(x)) / (2 * eps)
        x[i] += eps
    return gradient


def misspells_a_name(logits):
    if np.abs(logits).max() > 100:
        logits = logits - maximum  # noqa: F821
    return solutions.softmax(logits)


@pytest.mark.parametrize(
    ("name", "function", "error"),
    [
        ("numerical_gradient", copies_the_value, "AttributeError: 'float' object has no"),
        # An exception on a probe that was built for one mistake has to do with the numbers.
        ("softmax", misspells_a_name, "NameError: name 'maximum' is not defined"),
        ("sgd_step", lambda p, g, lr: [p[0] - lr * g[0]] + [undefined], "NameError"),  # noqa: F821
    ],
)
def test_exception_is_reported_as_itself(name, function, error):
    verdict = first_verdict(name, function)
    assert verdict.mistake == "raised", verdict
    assert error in verdict.hint


def test_exception_for_extreme_numbers_may_be_the_mistake():
    def softmax(logits):
        rows = [[math.exp(v) for v in row] for row in logits]
        return [[v / sum(row) for v in row] for row in rows]

    assert first_verdict("softmax", softmax).mistake == "no-max-subtraction"


def test_first_adapted_form_that_is_right_counts():
    """A function for tensors may not raise for arrays, and be wrong there."""

    def adam_step(w, g, m, v, t, lr, beta1, beta2, eps):
        if isinstance(w, np.ndarray):
            return w, m, v
        m = m.mul(beta1).add(g, alpha=1 - beta1)
        v = v.mul(beta2).addcmul(g, g, value=1 - beta2)
        step = lr * m / (1 - beta1**t) / ((v / (1 - beta2**t)).sqrt() + eps)
        return w - step, m, v

    assert first_verdict("adam_step", adam_step).passed


@pytest.mark.parametrize(
    ("name", "function", "said"),
    [
        ("softmax", lambda z: solutions.softmax(z) / 3, "All of `probs` is 1/3 of what it should"),
        ("softmax", lambda z: 1e4 * solutions.softmax(z), "All of `probs` is 10,000 times what"),
        ("softmax", lambda z: -solutions.softmax(z), "The sign of `probs` is flipped."),
        ("softmax", lambda z: 0 * z, "All of `probs` is 0."),
        ("softmax", lambda z: 1.5, "`probs` is a single number, where an array of shape (5, 3)"),
        ("cross_entropy", lambda p, y: -np.log(p[:, 0]), "where a single number was expected"),
        ("sigmoid", lambda z: 1.1 * solutions.sigmoid(z), "at z = "),
        # Any slope from 0 to 1 is right at 0, so the first entry of that example is right.
        (
            "relu_grad",
            lambda z: np.where((z == 3) | (z == 0), 0, z > 0),
            "at z = 3, `slope[1, 2]` is 0, where 1 was expected",
        ),
        (
            "relu_grad",
            lambda z: np.where(z == 0, 7, z > 0),
            "at z = 0, `slope[0, 0]` is 7, where 0.5 (for example) was expected",
        ),
    ],
)
def test_first_disagreement_is_true_and_easy_to_read(name, function, said):
    hint = first_verdict(name, function).hint
    assert said in hint
    assert "e+0" not in hint


def test_no_input_is_quoted_if_an_output_depends_on_others():
    assert " at logits" not in first_verdict("softmax", np.exp).hint


@pytest.mark.parametrize(
    ("factors", "said"),
    [
        ((1.2, 1.2, 1, 0.1), "All of `dW1` and `db1` is 1.2 times what it should be."),
        ((1.2, 1.3, 0, 1.2), "All of `dW1` and `db2` is 1.2 times what it should be."),
    ],
)
def test_every_output_with_the_factor_is_named(factors, said):
    def submission(*args):
        return [f * g for f, g in zip(factors, solutions.backward(*args), strict=True)]

    assert said in first_verdict("backward", submission).hint


def test_factor_is_claimed_only_of_exact_multiples():
    def no_average_and_a_shift(X, *args):
        dW1, db1, dW2, db2 = solutions.backward(X, *args)
        return len(X) * dW1, len(X) * db1, len(X) * dW2, db2 + 3

    def shifted(*args):
        return [g + 1e-3 for g in solutions.backward(*args)]

    hint = first_verdict("backward", no_average_and_a_shift).hint
    assert "`dW1` came out 7 times as large" in hint
    assert "what it should be" not in first_verdict("backward", shifted).hint


def test_no_factor_is_quoted_if_there_is_none():
    def first_row_undivided(X, y, *parameters):
        return solutions.backward(X[:1], y[:1], *parameters)

    verdict = first_verdict("backward", first_row_undivided)
    assert not verdict.passed
    assert "times as large" not in verdict.hint
    assert "`dW1[0, 0]` is -1.0592, where -0.59896 was expected" in verdict.hint


VALUES = st.sampled_from([0, 1, -1, 1e-6, 1 + 1e-5, 1 + 1e-4, 1e300, np.inf, -np.inf, np.nan])


@given(st.lists(st.tuples(VALUES, VALUES), max_size=4), st.sampled_from([1, 1e-3, 1 + 1e-4]))
def test_arrays_are_close_if_all_their_entries_are(pairs, factor):
    got, wanted = np.array(pairs, dtype=float).reshape(-1, 2).T
    for other in (got * factor, wanted * factor):
        assert close(other, wanted) == entries_close(other, wanted).all()
