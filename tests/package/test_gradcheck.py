"""The gradient check (Day 29): correct gradients pass, wrong ones fail, nothing is changed."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.testing import assert_allclose, assert_array_equal

from nnweek.checks.solutions import backward, cross_entropy, forward, softmax
from nnweek.gradcheck import (
    GradientReport,
    ParameterCheck,
    draw_parameters,
    grad_check,
    gradient_report,
    norm_ratio,
    numerical_gradient,
    step_size_sweep,
)
from nnweek.scratch import ACTIVATIONS, TwoLayerMLP

PARAMETERS = ("W1", "b1", "W2", "b2")
N = 6


@pytest.fixture
def batch():
    rng = np.random.default_rng(3)
    return rng.standard_normal((N, 4)), rng.integers(0, 3, size=N)


def network(kind=TwoLayerMLP, activation="relu"):
    model = kind(4, 5, 3, activation, weight_scale=0.7)
    rng = np.random.default_rng(4)
    model.b1, model.b2 = rng.standard_normal((1, 5)), rng.standard_normal((1, 3))
    return model


def contents(model):
    return {name: getattr(model, name).tobytes() for name in PARAMETERS}


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("seed", range(3))
def test_correct_gradients_agree_to_1e_7(activation, seed, batch):
    model = network(activation=activation)
    max_error, mean_error = grad_check(model, *batch, samples=100, seed=seed)
    assert 0 <= mean_error <= max_error < 1e-7
    report = gradient_report(model, *batch)
    assert [line.name for line in report.lines] == list(PARAMETERS)
    assert report.norm_ratio == max(line.norm_ratio for line in report.lines) < 1e-7


def without_mask(self, probs, cache, y):
    X = cache[0]
    dscores = probs.copy()
    dscores[np.arange(len(y)), y] -= 1
    da1 = (dscores / len(y)) @ self.W2.T
    _, _, dW2, db2 = TwoLayerMLP.backward(self, probs, cache, y)
    return X.T @ da1, da1.sum(axis=0, keepdims=True), dW2, db2


def modified(change):
    """A `backward` whose four gradients are passed through `change`."""
    return lambda self, *args: change(*TwoLayerMLP.backward(self, *args))


def buggy(backward):
    return network(type("Buggy", (TwoLayerMLP,), {"backward": backward}))


def with_entry(position, entry, new):
    """A `backward` with new values, computed from the old ones, in part of one gradient."""

    def change(*four):
        four[position][entry] = new(four[position][entry])
        return four

    return modified(change)


BUGS = {
    "sign": modified(lambda *four: [-gradient for gradient in four]),
    "sign of one": modified(lambda dW1, db1, dW2, db2: (dW1, db1, -dW2, db2)),
    "not averaged": modified(lambda *four: [N * gradient for gradient in four]),
    "half": modified(lambda *four: [gradient / 2 for gradient in four]),
    "bias averaged": modified(lambda dW1, db1, dW2, db2: (dW1, db1 / N, dW2, db2 / N)),
    "missing ReLU mask": without_mask,
    "zero": modified(lambda dW1, db1, dW2, db2: (np.zeros_like(dW1), db1, dW2, db2)),
    "5 % off": modified(lambda dW1, db1, dW2, db2: (dW1, db1, dW2, 1.05 * db2)),
}


@pytest.mark.parametrize("bug", BUGS)
def test_wrong_gradients_are_detected(bug, batch):
    max_error, mean_error = grad_check(buggy(BUGS[bug]), *batch)
    assert max_error > 1e-2, f"the bug '{bug}' passes the check"
    assert mean_error > 1e-4


@pytest.mark.parametrize("position", range(4), ids=PARAMETERS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # of ∞ / ∞
def test_nan_gradient_makes_the_result_nan(position, value, batch):
    """Python's max() would ignore a NaN, and the check would pass."""
    model = buggy(with_entry(position, ..., lambda old: value))
    assert np.isnan(grad_check(model, *batch)).all()


@pytest.mark.parametrize("entry", list(np.ndindex(4, 5)), ids=str)
def test_enough_samples_check_every_entry(entry, batch):
    model = buggy(with_entry(0, entry, lambda old: old + 0.1))
    assert grad_check(model, *batch, samples=20)[0] > 1e-2


def test_checked_entries_depend_only_on_samples_and_seed(batch):
    model = network()
    assert grad_check(model, *batch) == grad_check(model, *batch, 1e-5, samples=10, seed=0)
    assert grad_check(model, *batch) != grad_check(model, *batch, samples=11)
    assert len({grad_check(model, *batch, samples=2, seed=seed) for seed in range(5)}) > 1


def test_float32_network_is_checked_in_float32(batch):
    """With the usual step, rounding in float32 looks like a wrong gradient (Day 29)."""
    X, y = batch
    model = network(activation="tanh")
    assert grad_check(model, X, y)[0] < 1e-6
    for name in PARAMETERS:
        setattr(model, name, getattr(model, name).astype(np.float32))
    assert grad_check(model, X.astype(np.float32), y)[0] > 1e-3


def test_relative_error_detects_wrong_small_gradients(batch):
    """An absolute error, or a large minimum, would hide a wrong sign if weights are tiny."""
    model = TwoLayerMLP(4, 5, 3, weight_scale=1e-3)
    assert grad_check(model, *batch)[0] < 1e-4
    _, probs, cache = model.loss(*batch)
    dW1, *others = model.backward(probs, cache, batch[1])
    assert np.abs(dW1).max() < 1e-2

    model.backward = lambda *args: (-dW1, *others)
    assert grad_check(model, *batch)[0] == pytest.approx(1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda *four: four[:3], "one gradient per parameter, W1, b1, W2, b2; got 3"),
        (lambda *four: (*four, four[0]), "one gradient per parameter.*got 5"),
        (
            lambda dW1, db1, dW2, db2: (dW1, db1, dW2.T, db2),
            r"gradient of W2 .*\(5, 3\), got \(3, 5\)",
        ),
    ],
    ids=["three gradients", "five gradients", "another shape"],
)
def test_gradients_must_have_the_number_and_shapes_of_the_parameters(change, message, batch):
    with pytest.raises(ValueError, match=message):
        grad_check(buggy(modified(change)), *batch)


@pytest.mark.parametrize("check", [grad_check, gradient_report])
def test_parameters_and_data_are_unchanged_afterwards(check, batch):
    model = network()
    X, y = batch
    objects = [getattr(model, name) for name in PARAMETERS]
    before = contents(model), X.tobytes(), y.tobytes()

    check(model, X, y)

    assert (contents(model), X.tobytes(), y.tobytes()) == before
    assert all(getattr(model, n) is o for n, o in zip(PARAMETERS, objects, strict=True))


@pytest.mark.parametrize("calls_that_work", [0, 1, 2, 25, 26, 50])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_parameters_are_restored_if_the_loss_raises(calls_that_work, error, batch):
    class Breaking(TwoLayerMLP):
        calls = 0

        def loss(self, X, y):
            self.calls += 1
            if self.calls > calls_that_work:
                raise error("the loss broke")
            return super().loss(X, y)

    model = network(Breaking)
    before = contents(model)
    with pytest.raises(error, match="the loss broke"):
        grad_check(model, *batch)
    assert contents(model) == before


@given(
    arrays(
        float,
        array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
        elements=st.floats(-2, 2),
    ),
    st.integers(0, 2**32 - 1),
)
def test_numerical_gradients_match_autograd(x, seed):
    rng = np.random.default_rng(seed)
    a, b, c = rng.standard_normal((3, *x.shape))
    k = rng.standard_normal()

    def f(x, sin=np.sin, tanh=np.tanh):
        return (c * tanh(a * x + b)).sum() + k * (x * x).sum() + sin(x.sum())

    original = x.copy()
    got = numerical_gradient(f, x)

    t = torch.tensor(x, requires_grad=True)
    a, b, c = torch.tensor(a), torch.tensor(b), torch.tensor(c)
    f(t, torch.sin, torch.tanh).backward()
    assert (got.shape, got.dtype) == (x.shape, np.float64)
    assert_allclose(got, t.grad, rtol=1e-7, atol=1e-8)
    assert_array_equal(x, original)


@pytest.mark.parametrize(
    "x", [np.array([1, 2, 3]), [1, 2, 3], (1, 2, 3), np.array([1, 2, 3], np.uint8)]
)
def test_integer_input_keeps_the_step(x):
    original = np.array(x)
    assert_allclose(numerical_gradient(lambda x: (x**2).sum(), x), [2, 4, 6], rtol=1e-9)
    assert_array_equal(x, original)


def test_x_is_restored_on_errors_and_may_be_read_only():
    x = np.array([1.0, 2.0, 3.0])
    x.flags.writeable = False
    assert_allclose(numerical_gradient(np.sum, x), 1)
    x.flags.writeable = True
    with pytest.raises(ZeroDivisionError):
        numerical_gradient(lambda x: 1 / 0, x)
    assert_array_equal(x, [1, 2, 3])


def test_each_entry_is_moved_separately_by_eps():
    points = []
    x = np.array([[1.0, 2.0], [3.0, 4.0]])

    numerical_gradient(lambda x: points.append(x.copy()) or 0.0, x, eps=0.5)

    moves = [point - x for point in points]
    assert all(np.count_nonzero(move) == 1 for move in moves)
    assert sorted(tuple(move.ravel()) for move in moves) == sorted(
        tuple(sign * 0.5 * np.eye(4)[i]) for i in range(4) for sign in (-1, 1)
    )


@pytest.mark.parametrize(
    "wrap",
    [float, np.float32, np.array, lambda v: np.array([v]), lambda v: np.array([[v]]), torch.tensor],
    ids=["float", "float32", "0-d array", "1-d array", "2-d array", "torch tensor"],
)
def test_f_may_return_anything_with_a_single_number(wrap):
    gradient = numerical_gradient(lambda x: wrap(3 * x.sum()), np.zeros(2), eps=0.5)
    assert_allclose(gradient, [3, 3], rtol=1e-6)


@pytest.mark.parametrize("value", [np.ones(2), None, "three", 1j, torch.ones(2)], ids=repr)
def test_other_return_values_of_f_are_refused(value):
    with pytest.raises(ValueError, match="f must return a single number, got"):
        numerical_gradient(lambda x: value, np.zeros(2))


@pytest.mark.parametrize("error", [0.25, np.nan])
def test_report_shows_the_wrong_entry_and_its_values(error, batch):
    model = buggy(with_entry(2, (3, 1), lambda old: old + error))
    _, probs, cache = model.loss(*batch)
    right = TwoLayerMLP.backward(model, probs, cache, batch[1])[2][3, 1]
    line = gradient_report(model, *batch).lines[2]
    assert tuple(line.where) == (3, 1)
    assert_allclose([line.analytic, line.numerical], [right + error, right], rtol=1e-6)
    assert np.isnan(line.max_error) == np.isnan(error)


def test_report_prints_as_text_and_as_markdown():
    report = GradientReport(
        (
            ParameterCheck("W1", 1.234e-10, 5.678e-8, (3, 1), 0.25, 0.2500001),
            ParameterCheck("b1", 1.0, 1.0, (0, 12), -1.5e-3, 1.5e-3),
        )
    )
    terminal = """
parameter  norm ratio  largest entry error  at       analytic    numerical
W1         1.2e-10     5.7e-08              [3, 1]   +2.500e-01  +2.500e-01
b1         1.0e+00     1.0e+00              [0, 12]  -1.500e-03  +1.500e-03"""
    notebook = """
| parameter | norm ratio | largest entry error | at | analytic | numerical |
|---|---|---|---|---|---|
| W1 | 1.2e-10 | 5.7e-08 | [3, 1] | +2.500e-01 | +2.500e-01 |
| b1 | 1.0e+00 | 1.0e+00 | [0, 12] | -1.500e-03 | +1.500e-03 |"""
    assert "\n" + repr(report) == terminal
    assert "\n" + report._repr_markdown_() == notebook


def test_report_uses_the_given_step(batch):
    """The error of centred differences is proportional to the squared step."""
    model = network(activation="tanh")
    errors = [gradient_report(model, *batch, eps=eps).norm_ratio for eps in (1e-1, 1e-2)]
    assert errors[0] / errors[1] == pytest.approx(100, rel=0.05)


@given(arrays(float, 4, elements=st.floats(-1e3, 1e3)), st.floats(1e-3, 1e3))
def test_norm_ratio_is_independent_of_scale(a, scale):
    b = a[::-1] + 1
    assert_allclose(norm_ratio(scale * a, scale * b), norm_ratio(a, b), rtol=1e-9)
    assert 0 <= norm_ratio(a, b) <= 1 + 1e-12


def test_norm_ratio_is_0_if_equal_and_1_if_opposite():
    g = np.array([[1.0, -2.0], [3.0, 0.5]])
    assert norm_ratio(g, g) == 0 == norm_ratio(0 * g, 0 * g)
    assert_allclose(norm_ratio(g, -g), 1)


@pytest.mark.parametrize(("dtype", "large"), [(np.float16, 300), (np.float32, 1e30)])
def test_norm_ratio_is_computed_in_double_precision(dtype, large):
    """In their own precision, the squares of these numbers overflow."""
    a, b = np.array([large, large], dtype), np.array([large, -large], dtype)
    for pair in [(a, b), (a, b.tolist()), (a.tolist(), b)]:
        assert norm_ratio(*pair) == pytest.approx(np.sqrt(0.5), rel=1e-6)


def test_errors_follow_taylor_in_the_step_size():
    x = np.linspace(0.3, 1.1, 5)
    steps = np.array([1e-1, 1e-2, 1e-3])
    errors = step_size_sweep(lambda v: np.exp(v).sum(), x, np.exp(x), steps)
    orders = {kind: np.diff(np.log10(e)) for kind, e in errors.items()}
    assert_allclose(orders["centred"], -2, atol=0.05)
    assert_allclose(orders["one-sided"], -1, atol=0.05)


def test_float32_rounding_dominates_at_small_steps():
    def error(dtype):
        x = np.linspace(0.3, 1.1, 5).astype(dtype)
        sweep = step_size_sweep(lambda v: np.exp(v).sum(), x, np.exp(x.astype(float)), [1e-5])
        return sweep["centred"][0]

    assert error(np.float64) < 1e-9
    assert error(np.float32) > 1e-4


def test_sweep_refuses_integers_and_invalid_steps():
    with pytest.raises(TypeError, match="x must be float32 or float64"):
        step_size_sweep(np.sum, np.arange(3), np.ones(3), [1e-5])
    with pytest.raises(ValueError, match="^steps must"):
        step_size_sweep(np.sum, np.ones(3), np.ones(3), [0])


SHAPES = {"W1": (4, 5), "b1": (1, 5), "W2": (5, 3), "b2": (1, 3)}


def of_functions(batch, change=lambda gradients: gradients):
    """A loss, parameters and gradients that were written without a class."""
    X, y = batch

    def loss(params):
        return cross_entropy(softmax(forward(X, **params)), y)

    params = draw_parameters(SHAPES)
    return loss, params, change(backward(X, y, **params))


def test_report_works_without_a_class_and_gives_the_same_numbers(batch):
    loss, params, gradients = of_functions(batch)
    model = network()
    vars(model).update(params)
    report = gradient_report(loss, params, gradients)
    assert report.norm_ratio < 1e-7
    by_name = dict(zip(SHAPES, gradients, strict=True))
    for same in (by_name, list(gradients)):
        assert gradient_report(loss, params, same) == report
    for one, other in zip(report.lines, gradient_report(model, *batch).lines, strict=True):
        assert (one.name, one.where) == (other.name, other.where) or one.max_error < 1e-7
        assert one.norm_ratio == pytest.approx(other.norm_ratio, abs=1e-8)


def test_flat_bias_gradients_are_compared_with_rows(batch):
    flat = of_functions(batch, lambda four: [g.ravel() if len(g) == 1 else g for g in four])
    assert gradient_report(*flat).norm_ratio < 1e-7


def test_parameters_are_unchanged_without_a_class(batch):
    loss, params, gradients = of_functions(batch)
    before = {name: values.tobytes() for name, values in params.items()}
    gradient_report(loss, params, gradients)
    assert {name: values.tobytes() for name, values in params.items()} == before


def test_drawn_parameters_are_fit_for_a_check(batch):
    params = draw_parameters(SHAPES)
    assert {name: values.shape for name, values in params.items()} == SHAPES
    assert {values.dtype for values in params.values()} == {np.dtype(float)}
    everything = np.concatenate([np.ravel(values) for values in params.values()])
    assert 0.3 < everything.std() < 0.7
    assert_array_equal(draw_parameters(SHAPES)["W1"], params["W1"])
    assert not np.array_equal(draw_parameters(SHAPES, seed=1)["W1"], params["W1"])
    assert gradient_report(*of_functions(batch)).warnings == ()


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        (lambda p: {**p, "W1": p["W1"] / 100, "W2": p["W2"] / 100}, "W1, W2 are small"),
        (lambda p: {**p, "b1": 0 * p["b1"]}, "b1 is 0"),
        (lambda p: {**p, "b2": p["b2"].astype(np.float32)}, "b2 is float32"),
    ],
)
def test_report_warns_of_parameters_that_hide_bugs(change, phrase, batch):
    loss, params, _ = of_functions(batch)
    params = change(params)
    report = gradient_report(loss, params, backward(*batch, **params))
    (warning,) = report.warnings
    assert phrase in warning
    assert repr(report).endswith(warning)
    assert report._repr_markdown_().endswith("\n\n" + warning)


def test_forgotten_slope_of_tanh_hides_behind_small_weights(batch):
    """Day 29 shows this: with tiny weights, a wrong gradient looks like a right one."""

    def without_slope(self, probs, cache, y):
        X, z1, a1, scores = cache
        self.activation = "relu"
        gradients = TwoLayerMLP.backward(self, probs, (X, np.ones_like(z1), a1, scores), y)
        self.activation = "tanh"
        return gradients

    forgetful = type("Forgetful", (TwoLayerMLP,), {"backward": without_slope})
    ratio = {
        (kind, scale): gradient_report(kind(4, 5, 3, "tanh", weight_scale=scale), *batch).norm_ratio
        for kind in (TwoLayerMLP, forgetful)
        for scale in (1e-4, 0.5)
    }
    assert ratio[forgetful, 1e-4] < 2 * ratio[TwoLayerMLP, 1e-4] < 1e-5
    assert ratio[forgetful, 0.5] > 1e-2
    assert ratio[TwoLayerMLP, 0.5] < 1e-7
