"""The NumPy network (Days 29 and 30) against PyTorch and SciPy."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, log_softmax

from nnweek.gradcheck import grad_check
from nnweek.scratch import (
    ACTIVATIONS,
    TwoLayerMLP,
    relu,
    relu_grad,
    sigmoid,
    sigmoid_grad,
    tanh,
    tanh_grad,
    train_numpy,
)
from nnweek.toy import make_toy_data

PARAMETERS = ("W1", "b1", "W2", "b2")
every_activation = pytest.mark.parametrize("activation", sorted(ACTIVATIONS))


def random_case(activation="tanh", N=7, D=4, H=5, C=3, seed=0):
    """A network with random weights and biases, and a batch for it."""
    rng = np.random.default_rng(seed)
    model = TwoLayerMLP(D, H, C, activation)
    for name in PARAMETERS:
        setattr(model, name, rng.standard_normal(getattr(model, name).shape))
    return model, rng.standard_normal((N, D)), rng.integers(0, C, size=N)


sizes = st.integers(1, 6)
random_cases = st.builds(
    random_case,
    st.sampled_from(sorted(ACTIVATIONS)),
    N=sizes, D=sizes, H=sizes, C=sizes,
    seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
logits = arrays(
    float,
    array_shapes(min_dims=2, max_dims=2, max_side=6),
    elements=st.floats(-1e3, 1e3),
)


def gradients(model, X, y):
    _, probs, cache = model.loss(X, y)
    return model.backward(probs, cache, y)


def flat(parts):
    return np.concatenate([np.ravel(part) for part in parts])


@given(random_cases)
def test_loss_scores_and_gradients_match_autograd(case):
    model, X, y = case
    W1, b1, W2, b2 = (torch.tensor(getattr(model, n), requires_grad=True) for n in PARAMETERS)
    activate = {"relu": torch.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh}
    expected_scores = activate[model.activation](torch.tensor(X) @ W1 + b1) @ W2 + b2
    expected_loss = torch.nn.functional.cross_entropy(expected_scores, torch.tensor(y))
    expected_loss.backward()

    L, probs, cache = model.loss(X, y)

    assert_allclose(model.forward(X)[0], expected_scores.detach(), rtol=0, atol=1e-12)
    assert_allclose(probs, expected_scores.softmax(1).detach(), rtol=0, atol=1e-12)
    assert_allclose(L, expected_loss.item(), rtol=0, atol=1e-12)
    assert model.cross_entropy(probs, y) == L
    assert_array_equal(model.predict(X), expected_scores.argmax(1))
    for got, parameter in zip(model.backward(probs, cache, y), (W1, b1, W2, b2), strict=True):
        assert got.shape == tuple(parameter.shape)
        assert_allclose(got, parameter.grad, rtol=0, atol=1e-12)


def test_confident_wrong_answer_has_a_finite_loss():
    certain = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert TwoLayerMLP.cross_entropy(certain, [0, 1]) == 0
    assert TwoLayerMLP.cross_entropy(certain, [1, 0]) == pytest.approx(-np.log(1e-12))


def test_arguments_are_not_changed():
    model, X, y = random_case()
    _, probs, cache = model.loss(X, y)
    given_arrays = [X, y, probs, *cache, *(getattr(model, n) for n in PARAMETERS)]
    before = [array.copy() for array in given_arrays]

    model.backward(probs, cache, y)
    train_numpy(model, X, y, lr=0.5, epochs=3, verbose=False)

    for array, original in zip(given_arrays, before, strict=True):
        assert_array_equal(array, original)


@given(logits)
@example(np.array([[1e4, 1e4], [-1e4, -1e4]]))  # one maximum for both rows would give 0/0
def test_softmax_matches_scipy_and_rows_sum_to_one(z):
    probs = TwoLayerMLP.softmax(z)
    assert (probs >= 0).all()
    assert_allclose(probs.sum(axis=1), 1, rtol=0, atol=1e-14)
    assert_allclose(probs, np.exp(log_softmax(z, axis=1)), rtol=0, atol=1e-12)


@given(arrays(float, 5, elements=st.floats(-1000, 1000)))
def test_sigmoid_is_stable_up_to_1000(z):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        s, ds = sigmoid(z), sigmoid_grad(z)
    assert_allclose(s, expit(z), rtol=1e-12, atol=1e-300)
    assert_allclose(ds, expit(z) * expit(-z), rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize(
    ("function", "derivative", "oracle"),
    [
        (relu, relu_grad, torch.relu),
        (sigmoid, sigmoid_grad, torch.sigmoid),
        (tanh, tanh_grad, torch.tanh),
    ],
)
def test_activations_and_derivatives_match_torch(function, derivative, oracle):
    z = torch.linspace(-5, 5, 101, dtype=torch.float64, requires_grad=True)
    a = oracle(z)
    a.sum().backward()
    assert_allclose(function(z.detach().numpy()), a.detach(), rtol=0, atol=1e-15)
    assert_allclose(derivative(z.detach().numpy()), z.grad, rtol=0, atol=1e-15)


def test_relu_gradient_at_zero_is_zero():
    assert_array_equal(relu_grad(np.array([-1e-300, -0.0, 0.0, 1e-300])), [0, 0, 0, 1])


def read_only(values):
    values = values.copy()
    values.flags.writeable = False
    return values


# Types of a parameter, with a step size and the agreement of finite differences with backward:
# float32 has a spacing of 1e-7, so its step must be larger and its agreement is worse.
FORMS = {
    "biases without the 1": (lambda v: v[0] if len(v) == 1 else v, 1e-5, 1e-7),
    "nested lists": (lambda v: v.tolist(), 1e-5, 1e-7),
    "integers": (lambda v: v.astype(int), 1e-5, 1e-7),
    "float32": (lambda v: v.astype(np.float32), 1e-2, 1e-3),
    "read-only arrays": (read_only, 1e-5, 1e-7),
    "column-major arrays": (np.asfortranarray, 1e-5, 1e-7),
}


@pytest.mark.parametrize(("form", "eps", "tolerance"), FORMS.values(), ids=FORMS)
def test_parameters_may_be_assigned_in_any_form(form, eps, tolerance):
    """A float64 network and one with the same values in this form compute the same."""
    plain, X, y = random_case("tanh")
    X, rng, other = X / 2, np.random.default_rng(1), TwoLayerMLP(4, 5, 3, "tanh")
    for name in PARAMETERS:
        # Small integers, which every form represents exactly.
        values = rng.integers(-2, 3, size=getattr(plain, name).shape).astype(float)
        setattr(plain, name, values)
        setattr(other, name, form(values))
    shapes = [np.shape(getattr(other, name)) for name in PARAMETERS]

    assert_allclose(other.forward(X)[0], plain.forward(X)[0], rtol=0, atol=1e-12)
    assert_array_equal(other.predict(X), plain.predict(X))
    got, expected = gradients(other, X, y), gradients(plain, X, y)
    assert [np.shape(gradient) for gradient in got] == shapes
    assert_allclose(flat(got), flat(expected), rtol=0, atol=1e-12)
    assert grad_check(other, X, y, eps)[0] < tolerance

    losses = train_numpy(other, X, y, lr=0.5, epochs=5, verbose=False)
    # The parameters may be float32, so closer agreement cannot be expected.
    assert_allclose(losses, train_numpy(plain, X, y, lr=0.5, epochs=5, verbose=False), rtol=1e-6)
    assert [np.shape(getattr(other, name)) for name in PARAMETERS] == shapes


def test_assigned_activation_is_validated_when_used():
    model, X, _ = random_case("relu")
    model.activation = "tanh"
    assert_array_equal(model.forward(X)[1][2], np.tanh(X @ model.W1 + model.b1))
    model.activation = "ReLU"
    with pytest.raises(ValueError, match="^activation must be one of .* got 'ReLU'"):
        model.forward(X)


def test_integers_and_lists_are_accepted_as_data():
    model, _, y = random_case()
    X = np.arange(28).reshape(7, 4) % 5
    expected = flat(gradients(model, X.astype(float), y))

    assert_array_equal(flat(gradients(model, X, y)), expected)
    assert_array_equal(flat(gradients(model, X.tolist(), y.tolist())), expected)
    assert_array_equal(flat(gradients(model, X.astype(np.uint8), y.astype(np.uint8))), expected)


@every_activation
def test_small_integer_types_do_not_overflow(activation):
    """Pixels and weights of one byte each: 200 · 100 does not fit in a byte."""
    model, _, y = random_case(activation)
    X = np.full((7, 4), 200, dtype=np.uint8)
    model.W1 = np.full((4, 5), 100, dtype=np.uint8)
    got = model.forward(X)[0], *gradients(model, X, y)
    model.W1 = model.W1.astype(float)
    expected = model.forward(X)[0], *gradients(model, X.astype(float), y)
    assert_allclose(flat(got), flat(expected), rtol=1e-12)


@every_activation
def test_single_precision_stays_single_precision(activation):
    model, X, y = random_case(activation)
    for name in PARAMETERS:
        setattr(model, name, getattr(model, name).astype(np.float32))
    X = X.astype(np.float32)

    assert model.forward(X)[0].dtype == np.float32
    assert {gradient.dtype for gradient in gradients(model, X, y)} == {np.dtype(np.float32)}


def test_weights_depend_only_on_the_seed():
    def weights(seed):
        model = TwoLayerMLP(3, 4, 2, seed=seed)
        return model.W1.tobytes() + model.W2.tobytes()

    np.random.seed(1)
    first = weights(42)
    np.random.seed(2)
    assert weights(42) == first
    assert weights(43) != first


def test_weights_have_the_given_scale_and_biases_are_zero():
    model = TwoLayerMLP(100, 200, 50, weight_scale=0.3)
    assert model.W1.std() == pytest.approx(0.3, rel=0.05)
    assert model.W2.std() == pytest.approx(0.3, rel=0.05)
    assert_array_equal(model.b1, np.zeros((1, 200)))
    assert_array_equal(model.b2, np.zeros((1, 50)))


def test_defaults_are_those_of_the_signatures():
    X, y = make_toy_data(5)
    short, long = TwoLayerMLP(2, 4, 2), TwoLayerMLP(2, 4, 2, "relu", 0.01, 42)
    losses = train_numpy(short, X, y, verbose=False)

    assert losses == train_numpy(long, X, y, lr=1.0, epochs=200, verbose=False)
    assert all(np.array_equal(getattr(short, n), getattr(long, n)) for n in PARAMETERS)


@every_activation
def test_training_separates_the_toy_data(activation):
    X, y = make_toy_data(80)
    model = TwoLayerMLP(2, 8, 2, activation, weight_scale=0.1)

    losses = train_numpy(model, X, y, lr=0.5, epochs=200, verbose=False)

    assert losses[-1] < 0.1 < 0.6 < losses[0]
    assert (model.predict(X) == y).mean() > 0.98


def test_each_step_is_the_gradient_times_the_learning_rate():
    model, X, y = random_case()
    before = [getattr(model, name) for name in PARAMETERS]
    steps = gradients(model, X, y)
    first_loss = model.loss(X, y)[0]

    losses = train_numpy(model, X, y, lr=0.25, epochs=1, verbose=False)

    assert losses == [first_loss]
    for name, old, step in zip(PARAMETERS, before, steps, strict=True):
        assert_array_equal(getattr(model, name), old - 0.25 * step)


@pytest.mark.parametrize(
    ("epochs", "reported"),
    [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (11, [2, 4, 6, 8, 10]), (200, [50, 100, 150, 200])],
)
def test_training_prints_every_quarter_or_never(epochs, reported, capsys):
    """A quarter is rounded down, but with fewer than four epochs it is one."""
    model, X, y = random_case()

    losses = train_numpy(model, X, y, lr=0.1, epochs=epochs)

    assert len(losses) == epochs
    assert all(type(L) is float for L in losses)
    printed = [line.split(" | ") for line in capsys.readouterr().out.splitlines()]
    assert printed == [[f"Epoch {k}/{epochs}", f"Loss: {losses[k - 1]:.4f}"] for k in reported]

    train_numpy(model, X, y, lr=0.1, epochs=epochs, verbose=False)
    assert capsys.readouterr().out == ""
