"""The checks of Day 30 name every mistake in several styles and pass every right answer."""

import contextlib
import copy
import itertools
import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nnweek import checks
from nnweek.checks import day30, solutions
from nnweek.gradcheck import grad_check
from nnweek.scratch import TwoLayerMLP, train_numpy
from support import ROOT
from support.promises import cases, promises
from support.submissions import (
    backward_arrays,
    backward_loops,
    backward_sums,
    first_verdict,
    forward_arrays,
    in_float32,
    numerical_steps,
    style,
)

IDS = {
    "relu_grad": "all-ones returns-relu leaky sign-function",
    "sigmoid": "overflow missing-minus tanh-instead clipped-too-tight precedence absolute-value",
    "sigmoid_grad": "derivative-in-z applied-twice no-complement tanh-derivative precedence "
    "overflow",
    "init_weights": "zeros constant unit-std fan-out xavier missing-two fixed-scale "
    "integer-division variance-not-std ignores-rng all-positive",
    "test_suite": "false-alarm survivors always-true always-false",
}
IDS = {name: ids.split() for name, ids in IDS.items()}


def elementwise(f):
    """Apply a function of one number in loops over rows and columns."""

    def function(z):
        out = np.zeros(z.shape)
        for index in np.ndindex(z.shape):
            out[index] = f(float(z[index]))
        return out

    return function


def quietly(f):
    def function(z):
        with np.errstate(all="ignore"):
            return f(z)

    return function


def safe(v):
    return 1 / (1 + math.exp(-v)) if v > -700 else 0.0


def naive(z):
    return 1 / (1 + np.exp(-z))


def stable(z):
    return 0.5 * (1 + np.tanh(0.5 * z))


def truncated(i, o, rng):
    """He normal as in TensorFlow: truncated at two standard deviations, then rescaled."""
    draws = rng.standard_normal(2 * i * o)
    return draws[np.abs(draws) < 2][: i * o].reshape(i, o) * np.sqrt(2 / i) / 0.87962566


RIGHT = {
    "relu_grad": [
        lambda z: (z > 0) * 1.0,
        lambda z: z >= 0,
        elementwise(lambda v: 1 if v > 0 else 0),
        lambda z: np.where(z > 0, 1, 0),
        lambda z: np.heaviside(z, 0.5),
        lambda z: [[float(v > 0) for v in row] for row in z.tolist()],
        lambda z, leak=0.0: np.where(z < 0, leak, 1.0),
        lambda z: torch.gt(torch.as_tensor(z), 0).float(),
        lambda z: np.maximum(0, np.sign(z)),
        lambda z: np.ma.masked_array((z > 0).astype(np.float16)),
        lambda z: np.divide(np.maximum(z, 0), z, out=np.zeros_like(z), where=z != 0),
    ],
    "sigmoid": [
        lambda z: np.exp(-np.logaddexp(0, -z)),
        stable,
        elementwise(safe),
        lambda z: naive(np.clip(z, -80, 80)),
        lambda z: naive(np.clip(z, -500, 500, dtype=float)),
        lambda z: torch.sigmoid(torch.as_tensor(z)),
        lambda z: torch.sigmoid(torch.as_tensor(z, dtype=torch.float32)),
        quietly(naive),
        lambda z: naive(np.maximum(z, -60)),
        lambda z: np.piecewise(
            z, [z >= 0, z < 0], [lambda v: naive(v), lambda v: np.exp(v) / (1 + np.exp(v))]
        ),
        lambda z: (naive(np.abs(z)) * (z >= 0) + (1 - naive(np.abs(z))) * (z < 0)).tolist(),
        lambda z: stable(z.astype(np.float32)),
    ],
    "sigmoid_grad": [
        lambda z: stable(z) * (1 - stable(z)),
        lambda z: 0.25 * (1 - np.tanh(z / 2) ** 2),
        elementwise(lambda v: safe(v) - safe(v) ** 2),
        lambda z: np.exp(-np.abs(z)) / (1 + np.exp(-np.abs(z))) ** 2,
        lambda z: 0.25 / np.cosh(np.clip(z, -80, 80) / 2) ** 2,
        lambda z: (stable(np.float64(z) + 1e-4) - stable(np.float64(z) - 1e-4)) / 2e-4,
        lambda z: torch.sigmoid(torch.as_tensor(z)) * torch.sigmoid(-torch.as_tensor(z)),
        lambda z: (lambda s: s * (1 - s))(stable(z.astype(np.float32))),
    ],
    "init_weights": [
        truncated,
        lambda i, o, rng: rng.normal(0.0, math.sqrt(2 / i), (i, o)),
        lambda i, o, rng: rng.standard_normal((i, o), dtype=np.float32) * (2 / i) ** 0.5,
        lambda i, o, rng: [[rng.normal() * math.sqrt(2.0 / i) for _ in range(o)] for _ in range(i)],
        lambda i, o, rng: np.column_stack([rng.normal(0, (2 / i) ** 0.5, i) for _ in range(o)]),
        lambda i, o, rng: torch.from_numpy(rng.standard_normal((o, i)).T / np.sqrt(i / 2)),
        lambda i, o, rng, gain=1.4142135: gain / np.sqrt(i) * rng.standard_normal(i * o).reshape(
            i, o),
        lambda i, o, rng: rng.multivariate_normal(np.zeros(2), np.eye(2) * 2 / i, i * o // 2).reshape(
            i, o),
        lambda i, o, rng: np.random.default_rng(rng.integers(2**32)).normal(0, (2 / i) ** 0.5, (i, o)),
    ],
}  # fmt: skip

WRONG = {
    ("relu_grad", "all-ones"): [
        np.ones_like,
        elementwise(lambda v: 1),
        lambda z: z / z if (z != 0).all() else np.ones(z.shape),
        lambda z: np.full(z.shape, True),
    ],
    ("relu_grad", "returns-relu"): [
        lambda z: np.maximum(z, 0),
        elementwise(lambda v: v if v > 0 else 0),
        lambda z: z * (z > 0),
        lambda z: np.where(z > 0, z, 0.01 * z),
    ],
    ("relu_grad", "leaky"): [
        lambda z: np.where(z > 0, 1, 0.01),
        elementwise(lambda v: 1 if v >= 0 else 0.2),
        lambda z: np.clip(np.sign(z), 0.1, None),
        lambda z: (z > 0) + 1e-3 * (z <= 0),
    ],
    ("relu_grad", "sign-function"): [
        np.sign,
        elementwise(lambda v: 1 if v > 0 else -1),
        lambda z: np.divide(z, np.abs(z), out=np.zeros_like(z), where=z != 0),
        lambda z: 2 * (z >= 0) - 1,
    ],
    ("sigmoid", "overflow"): [
        naive,
        elementwise(lambda v: 1 / (1 + math.exp(-v))),
        lambda z: np.exp(z) / (1 + np.exp(z)),
        lambda z: np.where(z >= 0, naive(z), np.exp(z) / (1 + np.exp(z))),
        quietly(lambda z: np.exp(z) / (np.exp(z) + 1)),
        lambda z: naive(np.clip(z, -500, 500).astype(np.float32)),
        lambda z: 1 / (1 + np.power(np.e, -z)),
    ],
    ("sigmoid", "missing-minus"): [
        lambda z: stable(-z),
        elementwise(lambda v: safe(-v)),
        quietly(lambda z: 1 / (1 + np.exp(z))),
        lambda z: 1 / (1 + np.exp(z)),
        lambda z: 1 - stable(z),
    ],
    ("sigmoid", "tanh-instead"): [
        np.tanh,
        elementwise(math.tanh),
        lambda z: 2 * stable(2 * z) - 1,
        lambda z: (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z)),
    ],
    ("sigmoid", "clipped-too-tight"): [
        lambda z: naive(np.clip(z, -10, 10)),
        elementwise(lambda v: 1 / (1 + math.exp(-max(-20, min(20, v))))),
        lambda z: np.clip(stable(z), 1e-7, 1 - 1e-7),
        lambda z: naive(np.maximum(z, -25)),
        lambda z: naive(np.clip(z, -6, 6)),
        lambda z: naive(np.clip(z, -2, 2)),
        lambda z: stable(np.minimum(z, 6)),
        lambda z: np.minimum(stable(z), 0.999),
    ],
    ("sigmoid", "precedence"): [
        lambda z: 1 / 1 + np.exp(-z),
        elementwise(lambda v: 1 / 1 + math.exp(-v)),
        lambda z: np.exp(z) / 1 + np.exp(z),
        lambda z: np.where(z >= 0, 1, np.exp(-abs(z))) / 1 + np.exp(-abs(z)),
        lambda z: np.where(z >= 0, naive(abs(z)), np.exp(-abs(z)) / 1 + np.exp(-abs(z))),
        lambda z: 1 / 1 + np.exp(-np.clip(z, -500, 500)),
        lambda z: (1 / 1 + torch.exp(-torch.as_tensor(z))).tolist(),
    ],
    ("sigmoid", "absolute-value"): [
        lambda z: 1 / (1 + np.exp(-np.abs(z))),
        elementwise(lambda v: 1 / (1 + math.exp(-abs(v)))),
        lambda z: np.exp(-np.abs(z)) / (1 + np.exp(-np.abs(z))),
        lambda z: np.exp(-np.logaddexp(0, -np.sqrt(z * z))),
        lambda z: np.maximum(stable(z), stable(-z)),
    ],
    ("sigmoid_grad", "derivative-in-z"): [
        lambda z: z * (1 - z),
        elementwise(lambda v: v - v * v),
        lambda z: -z * (z - 1),
        lambda z: stable(z) * (1 - z),
    ],
    ("sigmoid_grad", "precedence"): [
        lambda z: stable(z) * 1 - stable(z),
        elementwise(lambda v: (1 / 1 + math.exp(-v)) * (1 - (1 / 1 + math.exp(-v)))),
        lambda z: np.exp(-z) / 1 + np.exp(-z) ** 2,
        lambda z: np.exp(-z) / (1 + np.exp(-z) ** 2),
        lambda z: naive(z) * 1 - naive(z),
        lambda z: (lambda s: s * (1 - s))(np.exp(z) / 1 + np.exp(z)),
        elementwise(lambda v: (lambda s: s * 1 - s)(1 / (1 + np.exp(-v)))),
    ],
    ("sigmoid_grad", "applied-twice"): [
        lambda z: stable(stable(z)) * (1 - stable(stable(z))),
        elementwise(lambda v: safe(safe(v)) * safe(-safe(v))),
        lambda z: 0.25 / np.cosh(stable(z) / 2) ** 2,
    ],
    ("sigmoid_grad", "no-complement"): [
        stable,
        elementwise(safe),
        lambda z: np.exp(-np.logaddexp(0, -z)),
    ],
    ("sigmoid_grad", "tanh-derivative"): [
        lambda z: 1 - stable(z) ** 2,
        elementwise(lambda v: (1 - safe(v)) * (1 + safe(v))),
        lambda z: 1 - np.tanh(z) ** 2,
        lambda z: 1 - z * z,
    ],
    ("sigmoid_grad", "overflow"): [
        lambda z: naive(z) * (1 - naive(z)),
        elementwise(lambda v: math.exp(-v) / (1 + math.exp(-v)) ** 2),
        lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2,
        lambda z: 0.25 / np.cosh(z / 2) ** 2,
        quietly(lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
    ],
    ("init_weights", "zeros"): [
        lambda i, o, rng: np.zeros((i, o)),
        lambda i, o, rng: [[0] * o for _ in range(i)],
        lambda i, o, rng: 0 * rng.standard_normal((i, o)),
    ],
    ("init_weights", "constant"): [
        lambda i, o, rng: np.full((i, o), 0.01),
        lambda i, o, rng: np.ones((i, o)) * rng.normal(0, (2 / i) ** 0.5),
        lambda i, o, rng: [[math.sqrt(2 / i)] * o] * i,
    ],
    ("init_weights", "unit-std"): [
        lambda i, o, rng: rng.standard_normal((i, o)),
        lambda i, o, rng: [[rng.normal() for _ in range(o)] for _ in range(i)],
        lambda i, o, rng: rng.normal(size=i * o).reshape(i, o).astype(np.float32),
    ],
    ("init_weights", "fan-out"): [
        lambda i, o, rng: rng.normal(0, np.sqrt(2 / o), (i, o)),
        lambda i, o, rng: rng.standard_normal((i, o)) / math.sqrt(o / 2),
        lambda i, o, rng: np.stack([rng.normal(0, (2 / o) ** 0.5, o) for _ in range(i)]),
    ],
    ("init_weights", "xavier"): [
        lambda i, o, rng: rng.standard_normal((i, o)) * math.sqrt(2 / (i + o)),
        lambda i, o, rng: rng.uniform(-1, 1, (i, o)) * math.sqrt(6 / (i + o)),
        lambda i, o, rng: [rng.normal(0, ((i + o) / 2) ** -0.5, o) for _ in range(i)],
    ],
    ("init_weights", "missing-two"): [
        lambda i, o, rng: rng.normal(0, np.sqrt(1 / i), (i, o)),
        lambda i, o, rng: [rng.standard_normal(o) / i**0.5 for _ in range(i)],
        lambda i, o, rng: rng.normal(size=i * o).reshape(i, o).astype(np.float32) * i**-0.5,
        lambda i, o, rng: rng.uniform(-1, 1, (i, o)) * math.sqrt(3 / i),
    ],
    ("init_weights", "fixed-scale"): [
        lambda i, o, rng: 0.01 * rng.standard_normal((i, o)),
        lambda i, o, rng: [[rng.normal(0, 0.1) for _ in range(o)] for _ in range(i)],
        lambda i, o, rng: rng.standard_normal((i, o)) * 10,
        lambda i, o, rng: rng.normal(0, np.sqrt(2), (i, o)),
        lambda i, o, rng: rng.uniform(-0.05, 0.05, (i, o)),
        lambda i, o, rng: rng.normal(0, np.sqrt(2 / 300), (i, o)),  # right for one probe's size
    ],
    ("init_weights", "integer-division"): [
        lambda i, o, rng: rng.normal(0, np.sqrt(2 // i), (i, o)),
        lambda i, o, rng: rng.standard_normal((i, o)) * math.sqrt(2 // i),
        lambda i, o, rng: [[rng.normal() * (1 // i) ** 0.5 for _ in range(o)] for _ in range(i)],
        lambda i, o, rng: rng.normal(0, int(np.sqrt(2 / i)), (i, o)),
    ],
    ("init_weights", "variance-not-std"): [
        lambda i, o, rng: rng.normal(0, 2 / i, (i, o)),
        lambda i, o, rng: rng.standard_normal((i, o)) * 2 / i,
        lambda i, o, rng: [[rng.normal() / (i / 2) for _ in range(o)] for _ in range(i)],
    ],
    ("init_weights", "ignores-rng"): [
        lambda i, o, rng: np.random.default_rng(0).normal(0, (2 / i) ** 0.5, (i, o)),
        lambda i, o, rng: np.random.randn(i, o) * np.sqrt(2 / i),
        lambda i, o, rng: np.random.default_rng().standard_normal((i, o)) * np.sqrt(2 / i),
        lambda i, o, rng: (np.random.seed(1), np.random.randn(i, o) * np.sqrt(2 / i))[1],
    ],
    ("init_weights", "all-positive"): [
        lambda i, o, rng: np.abs(rng.normal(0, np.sqrt(2 / i), (i, o))),
        lambda i, o, rng: rng.random((i, o)) * np.sqrt(2 / i),
        lambda i, o, rng: rng.uniform(0, 2 * np.sqrt(6 / i), (i, o)),
        lambda i, o, rng: rng.normal(0, np.sqrt(2 / i), (i, o)) ** 2,
    ],
}


def loss_of(X, y, params):
    scores = forward_arrays(set())(X, *params)
    logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return -logs[np.arange(len(y)), y].mean()


def network(N=6, D=4, H=5, C=3, seed=1):
    rng = np.random.default_rng(seed)
    params = [rng.normal(size=s) for s in ((D, H), (H,), (H, C), (C,))]
    return rng.normal(size=(N, D)), rng.integers(0, C, N), params


def unchanged(backward, *arguments):
    """Call an implementation; assert that it left its arguments alone."""
    before = copy.deepcopy(arguments)
    gradients = backward(*arguments)
    assert all(np.array_equal(a, b) for a, b in zip(arguments, before, strict=True))
    return gradients


def suite_by_differences(backward):
    X, y, params = network()
    backward(X, y, *params)
    for k, gradient in enumerate(backward(X, y, *params)):

        def f(p, k=k):
            return loss_of(X, y, [*params[:k], p, *params[k + 1 :]])

        expected = numerical_steps(set())(f, params[k])
        if gradient.size != expected.size:
            return False
        if not np.allclose(gradient.ravel(), expected.ravel(), atol=1e-6):
            return False
    return True


def suite_by_autograd(backward):
    for seed in range(3):
        X, y, params = network(7, 3, 8, 4, seed)
        leaves = [torch.tensor(p, requires_grad=True) for p in params]
        scores = torch.relu(torch.tensor(X) @ leaves[0] + leaves[1]) @ leaves[2] + leaves[3]
        torch.nn.functional.cross_entropy(scores, torch.tensor(y)).backward()
        for got, leaf in zip(unchanged(backward, X, y, *params), leaves, strict=True):
            np.testing.assert_allclose(np.squeeze(got), leaf.grad.numpy(), rtol=1e-6)
    return True


def suite_by_reference(backward):
    ok = True
    for seed in (1, 2):
        X, y, params = network(9, 2, 6, 5, seed)
        names = dict(zip(("X", "y", "W1", "b1", "W2", "b2"), (X, y, *params), strict=True))
        got = unchanged(lambda *_, names=names: backward(**names), X, y, *params)
        expected = backward_loops(set())(X, y, *params)
        ok &= np.all([np.allclose(np.ravel(g), np.ravel(e)) for g, e in zip(got, expected)])  # noqa: B905
    return ok


def suite_with_lists(backward):
    X, y, params = network()
    arguments = [X.tolist(), y.tolist(), *(p.tolist() for p in params)]
    once = unchanged(backward, *arguments)
    twice = backward(*arguments)
    same = all(np.array_equal(a, b) for a, b in zip(once, twice, strict=True))
    return same and suite_by_differences(lambda *_: twice)


def suite_by_grad_check(backward):
    """With the class and the tool of the page."""
    model = adapted(backward)(3, 7, 4, weight_scale=0.5)
    rng = np.random.default_rng(0)
    model.b1, model.b2 = rng.normal(size=(1, 7)), rng.normal(size=(1, 4))
    X, y = rng.normal(size=(6, 3)), np.arange(6) % 4
    return grad_check(model, X, y)[0] < 1e-6 and grad_check(model, X, y)[0] < 1e-6


def adapted(backward):
    class Model(TwoLayerMLP):
        def backward(self, probs, cache, y):
            if self.activation != "relu":
                return super().backward(probs, cache, y)
            return backward(cache[0], y, self.W1, self.b1, self.W2, self.b2)

    return Model


def suite_of_the_page(backward):
    page = (ROOT / "notebooks/day-30-activations-and-testing.py").read_text()
    functions = re.findall(
        r"^def (?:gradients|test_\w+)\(.*?(?=^\S)", page, re.MULTILINE | re.DOTALL
    )
    names = {"np": np, "grad_check": grad_check, "train_numpy": train_numpy}
    exec("".join(functions), names)
    tests = [function for name, function in names.items() if name.startswith("test_")]
    assert len(tests) == 5
    for test in tests:
        try:
            test(adapted(backward))
        except (AssertionError, ValueError):
            return False
    return True


def shapes_of_the_parameters(backward):
    X, y, params = network()
    same = all(g.shape == p.shape for g, p in zip(backward(X, y, *params), params, strict=True))
    return same and suite_by_autograd(backward)


def compares(backward, expected, N=6, gradients=slice(None)):
    """Whether some of the gradients on N examples equal those of another implementation."""
    X, y, params = network(N)
    pairs = zip(backward(X, y, *params), expected(X, y, *params), strict=True)
    return all(np.allclose(g, e) for g, e in list(pairs)[gradients])


def first_weights_only(backward):
    return compares(backward, backward_arrays(set()), gradients=slice(1))


def one_row_only(backward):
    return compares(backward, backward_sums(set()), N=1)


def shapes_only(backward):
    X, y, params = network()
    return all(np.size(g) == p.size for g, p in zip(backward(X, y, *params), params, strict=True))


def strict_shapes(backward):
    X, y, params = network()
    pairs = zip(backward(X, y, *params), backward_arrays(set())(X, y, *params), strict=True)
    return all(np.array_equal(g, e) for g, e in pairs)


def wants_rows(backward):
    X, y, params = network()
    assert backward(X, y, *params)[1].shape == (1, 5)
    return suite_by_differences(backward)


def always_raises(backward):
    raise AssertionError("no gradient is good enough")


def careless(
    labels=None,
    ones=False,
    tolerance=1e-8,
    scale=1.0,
    biases=1.0,
    calls=2,
    which=slice(None),
    look=True,
    **sizes,
):
    """Make a suite that compares with right gradients, on inputs that may hide a mistake."""

    def suite(backward):
        for seed in range(calls):
            X, y, params = network(**({"N": 6, "D": 3, "H": 5, "C": 4} | sizes), seed=seed + 5)
            y = y if labels is None else np.full_like(y, labels)
            X, y = (np.ones_like(X), np.full_like(y, y[0])) if ones else (X, y)
            params = [p * scale * (biases if p.ndim == 1 else 1) for p in params]
            expected = backward_arrays(set())(X, y, *params)
            got = (unchanged if look else lambda f, *a: f(*a))(backward, X, y, *params)
            pairs = list(zip(got, expected, strict=True))[which]
            if not all(np.allclose(np.ravel(g), np.ravel(e), atol=tolerance) for g, e in pairs):
                return False
        return True

    return suite


CARELESS = {
    "tolerance": (careless(tolerance=1e-2), "off-by-a-thousandth", "how large a difference"),
    "small weights": (careless(tolerance=5e-2, scale=0.1), "off-by-a-thousandth", "how large"),
    "equal sizes": (careless(N=4, D=4, H=4, C=4), "divides-by-features", "N = D = H = C"),
    "two equal sizes": (careless(N=3), "divides-by-features", "N = D."),
    "class 0": (careless(labels=0), "labels-ignored", "all labels are of one class"),
    "class 2": (careless(labels=2), "indexes-columns", "all labels are of one class"),
    "no biases": (careless(biases=0), "biases-ignored", "`b1` is 0 and `b2` is 0"),
    "all ones": (careless(ones=True), "first-example-only", "all examples are equal"),
    "one example": (careless(N=1), "first-example-only", "only one example"),
    "one call": (careless(calls=1), "keeps-state", "calls it only once"),
    "does not look": (careless(look=False), "changes-inputs", "changes your arrays"),
    "not db2": (careless(which=slice(3)), "db2-all-zero", "as `db2["),
    "not dW1": (careless(which=slice(1, 4)), "dW1-all-zero", "as `dW1["),
    "shapes": (careless(tolerance=np.inf), "off-by-a-thousandth", "how large a difference"),
}

RIGHT["test_suite"] = [
    careless(),
    suite_by_grad_check,
    suite_of_the_page,
    shapes_of_the_parameters,
    suite_by_differences,
    suite_by_autograd,
    suite_by_reference,
    suite_with_lists,
    solutions.suite,
    lambda backward: int(suite_by_differences(backward)),
    lambda backward: torch.tensor(suite_by_reference(backward)),
]
WRONG |= {
    ("test_suite", "survivors"): [
        shapes_only,
        one_row_only,
        first_weights_only,
        *(suite for suite, _, _ in CARELESS.values()),
    ],
    ("test_suite", "false-alarm"): [
        strict_shapes,
        wants_rows,
        lambda b: compares(b, backward_arrays({"no-batch-average"})),  # of the summed loss
        lambda b: not careless()(b),
    ],
    ("test_suite", "always-true"): [lambda b: True, lambda b: 1, lambda b: len("ok") == 2],
    ("test_suite", "always-false"): [
        lambda b: False,
        always_raises,
        lambda b: suite_by_reference(b) and not suite_by_reference(b),
    ],
}


@pytest.mark.parametrize(("name", "function"), cases(RIGHT))
def test_right_answer_passes_in_every_style(name, function):
    casts = [lambda f: f] if name == "test_suite" else [lambda f: f, in_float32]
    for cast in casts:
        verdict = checks.EXERCISES[name](cast(function))
        assert verdict.passed, verdict


@pytest.mark.parametrize(("name", "bug", "function"), cases(WRONG))
def test_every_mistake_is_named_in_every_style(name, bug, function):
    verdict = checks.EXERCISES[name](function)
    assert verdict.mistake == bug, verdict
    if name in ("relu_grad", "sigmoid", "sigmoid_grad"):
        verdict = checks.EXERCISES[name](in_float32(function))
        assert verdict.mistake == bug, f"in float32: {verdict}"


@pytest.mark.parametrize(
    "exercise", [e for e in day30.EXERCISES if e.name in IDS], ids=lambda e: e.name
)
def test_every_id_and_five_right_answers_are_covered(exercise):
    ids = {id_ for name, id_ in WRONG if name == exercise.name}
    named = {m.id for m in exercise.mistakes if not m.forgiven} - {"wrong"}
    assert named == set(IDS[exercise.name]) == ids
    assert all(len(WRONG[exercise.name, id_]) >= 3 for id_ in ids)
    assert len(RIGHT[exercise.name]) >= 5


@pytest.mark.parametrize(
    "seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 20))]
)
@pytest.mark.parametrize("draw", range(len(RIGHT["init_weights"])))
def test_chance_does_not_fail_a_right_draw(draw, seed):
    """The check's generator only seeds another one, so the numbers are not those of the check."""

    def submission(fan_in, fan_out, rng):
        rng = np.random.default_rng([seed, int(rng.integers(2**40))])
        return RIGHT["init_weights"][draw](fan_in, fan_out, rng)

    assert checks.init_weights(submission).passed


TWO = {
    "sigmoid": {
        ("missing-minus", "overflow"): lambda z: 1 / (1 + np.exp(z)),
        ("precedence", "missing-minus"): lambda z: 1 / 1 + np.exp(z),
        ("precedence", "clipped-too-tight"): lambda z: 1 / 1 + np.exp(-np.clip(z, -10, 10)),
        ("precedence", "absolute-value"): lambda z: 1 / 1 + np.exp(-np.abs(z)),
        ("absolute-value", "clipped-too-tight"): lambda z: naive(np.clip(np.abs(z), 0, 6)),
        ("clipped-too-tight", "absolute-value"): lambda z: naive(-np.minimum(np.abs(z), 10)),
        ("precedence", "modifies-input"): lambda z: np.add(np.exp(-z), 1, out=z),
        ("absolute-value", "tanh-instead"): lambda z: np.tanh(np.abs(z)),
        ("missing-minus", "clipped-too-tight"): lambda z: naive(-np.clip(z, -10, 10)),
        ("tanh-instead", "overflow"): lambda z: 1 - 2 / (np.exp(2 * z) + 1),
        ("clipped-too-tight", "overflow"): lambda z: np.maximum(naive(z), 1e-6),
        ("missing-minus", "modifies-input"): lambda z: stable(np.negative(z, out=z)),
    },
    "sigmoid_grad": {
        ("applied-twice", "overflow"): lambda z: naive(naive(z)) * (1 - naive(naive(z))),
        ("no-complement", "overflow"): naive,
        ("tanh-derivative", "overflow"): lambda z: 1 - naive(z) ** 2,
        ("derivative-in-z", "modifies-input"): lambda z: np.multiply(z, 1 - z, out=z),
    },
    "relu_grad": {
        ("returns-relu", "leaky"): lambda z: np.where(z > 0, z, 0.05 * z),
        ("returns-relu", "modifies-input"): lambda z: np.maximum(z, 0, out=z),
        ("all-ones", "modifies-input"): lambda z: (z.fill(1), z)[1],
    },
    "init_weights": {
        ("unit-std", "ignores-rng"): lambda i, o, rng: np.random.randn(i, o),
        ("fan-out", "missing-two"): lambda i, o, rng: rng.normal(0, (1 / o) ** 0.5, (i, o)),
        ("fixed-scale", "ignores-rng"): lambda i, o, rng: 0.01 * np.random.randn(i, o),
        ("fixed-scale", "all-positive"): lambda i, o, rng: rng.random((i, o)),
        ("integer-division", "ignores-rng"): lambda i, o, rng: np.random.randn(i, o) * (2 // i),
        ("zeros", "integer-division"): lambda i, o, rng: rng.normal(0, 2 // (i + o), (i, o)),
        ("fan-out", "variance-not-std"): lambda i, o, rng: rng.normal(0, 2 / o, (i, o)),
        ("missing-two", "variance-not-std"): lambda i, o, rng: rng.normal(0, 1 / i, (i, o)),
        ("all-positive", "ignores-rng"): lambda i, o, rng: np.random.rand(i, o),
        ("all-positive", "unit-std"): lambda i, o, rng: np.abs(rng.standard_normal((i, o))),
        ("constant", "ignores-rng"): lambda i, o, rng: np.ones((i, o)) * np.random.randn(),
    },
}


@pytest.mark.parametrize(
    ("name", "pair", "function"),
    [(name, pair, function) for name in TWO for pair, function in TWO[name].items()],
)
def test_one_of_two_mistakes_is_named(name, pair, function):
    verdict = checks.EXERCISES[name](function)
    assert verdict.mistake in pair, verdict


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("relu_grad", lambda z: z < 0),
        ("relu_grad", lambda z: z),
        ("relu_grad", np.zeros_like),
        ("relu_grad", lambda z: 0.5 * (z > 0)),
        # Values of other functions, and slopes that change for z < 0, are not those of a ReLU.
        ("relu_grad", np.abs),
        ("relu_grad", lambda z: np.where(z > 0, z, np.expm1(z))),
        ("relu_grad", lambda z: np.where(z > 0, 1, np.exp(z))),
        ("relu_grad", lambda z: np.where(z > 0, 1, 0.1 * z)),
        ("sigmoid", lambda z: stable(2 * z)),
        ("sigmoid", lambda z: np.clip(0.2 * z + 0.5, 0, 1)),
        ("sigmoid", lambda z: 1 / (1 - np.exp(-z))),
        ("sigmoid", lambda z: 3 * naive(z)),
        ("sigmoid", lambda z: stable(z - 1)),
        ("sigmoid_grad", lambda z: 2 * stable(z) * stable(-z)),
        ("sigmoid_grad", np.zeros_like),
        ("sigmoid_grad", lambda z: 0 * z),
        ("sigmoid_grad", lambda z: np.zeros(z.shape, dtype=int)),
        ("sigmoid_grad", lambda z: stable(z) * (stable(z) - 1)),
        ("init_weights", lambda i, o, rng: rng.uniform(-1, 1, (i, o)) * np.sqrt(6 / i)),
        ("init_weights", lambda i, o, rng: np.tile(rng.normal(0, (2 / i) ** 0.5, (i, 1)), (1, o))),
        ("init_weights", lambda i, o, rng: rng.choice([-1, 1], (i, o)) * np.sqrt(2 / i)),
        # The spread is that of another rule, but not the distribution.
        ("init_weights", lambda i, o, rng: rng.choice([-1, 1], (i, o)) / np.sqrt(i)),
        ("init_weights", lambda i, o, rng: rng.laplace(0, np.sqrt(0.5 / i), (i, o))),
        ("init_weights", lambda i, o, rng: np.sqrt(2 / i) * rng.normal(size=(i, o)).clip(-1, 1)),
        (
            "init_weights",
            lambda i, o, rng: np.sqrt(2 / i) * rng.normal(size=(i, o)) * (rng.random((i, o)) < 0.5),
        ),
        ("init_weights", lambda i, o, rng: rng.normal(0, (i + o) ** -0.5, (i, o))),
        ("init_weights", lambda i, o, rng: 0.1 + rng.normal(0, (2 / i) ** 0.5, (i, o))),
    ],
)
def test_mistake_without_an_id_is_caught(name, function):
    verdict = checks.EXERCISES[name](function)
    assert verdict.mistake == "wrong", verdict
    assert any(c.isdigit() for c in verdict.hint)


@pytest.mark.slow
@given(
    name=st.sampled_from(["relu_grad", "sigmoid", "sigmoid_grad"]),
    which=st.integers(0, 7),
    a=st.floats(-3, 3),
    b=st.floats(-3, 3),
)
def test_random_answer_passes_only_if_it_is_right(name, which, a, b):
    right = RIGHT[name][which]
    harmless = abs(a - 1) < 1e-12 and abs(b) < 1e-12
    assert checks.EXERCISES[name](right)
    if not harmless and abs(a - 1) + abs(b) > 0.01:
        verdict = checks.EXERCISES[name](lambda z: a * np.asarray(right(z), dtype=float) + b)
        assert not verdict, verdict


@pytest.mark.parametrize(
    ("name", "function", "explanation"),
    [
        ("relu_grad", lambda z: z < 0, "where ReLU is flat"),
        ("sigmoid", lambda z: naive(z - z.max()), "A maximum or minimum was subtracted"),
        ("sigmoid", lambda z: naive(z - z.max(axis=1, keepdims=True)), "A maximum or minimum"),
        ("sigmoid", lambda z: stable(z) * stable(-z), "slope of the sigmoid"),
        ("sigmoid", lambda z: (1 + np.tanh(z)) / 2, "sigmoid of 2z"),
        ("sigmoid_grad", lambda z: np.exp(-z) / (1 + np.exp(-z)), "1 − σ(z)"),
        ("init_weights", lambda i, o, rng: rng.uniform(-1, 1, (i, o)) * (6 / i) ** 0.5, "no tails"),
        ("init_weights", lambda i, o, rng: rng.uniform(-1, 1, (i, o)) * (2 / i) ** 0.5, "a / √3"),
        ("init_weights", lambda i, o, rng: rng.normal(0, np.sqrt(2) / i, (i, o)), "root"),
        ("init_weights", lambda i, o, rng: rng.normal(0, 2 / np.sqrt(i), (i, o)), "root"),
        ("init_weights", lambda i, o, rng: rng.normal(0, np.sqrt(i / 2), (i, o)), "upside down"),
        ("init_weights", lambda i, o, rng: rng.normal(0, 2 / i**2, (i, o)), "deviation 2"),
        ("init_weights", lambda i, o, rng: rng.normal(0, (i + o) ** -0.5, (i, o)), "has a 2 in it"),
    ],
)
def test_mistake_without_an_id_is_explained(name, function, explanation):
    verdict = checks.EXERCISES[name](function)
    assert verdict.mistake == "wrong", verdict
    assert explanation in verdict.hint


def half_precision(function):
    return lambda *args: function(*(np.float16(a) if np.ndim(a) else a for a in args)).astype("f2")


@pytest.mark.parametrize(
    ("name", "function", "mistakes"),
    [
        ("sigmoid", stable, {None, "wrong"}),
        ("sigmoid_grad", lambda z: stable(z) * (1 - stable(z)), {None, "wrong"}),
        ("init_weights", lambda i, o, rng: rng.normal(0, (2 / i) ** 0.5, (i, o)), {None}),
        ("init_weights", lambda i, o, rng: rng.normal(0, (1 / i) ** 0.5, (i, o)), {"missing-two"}),
    ],
)
def test_half_precision_gets_no_wrong_name(name, function, mistakes):
    verdict = checks.EXERCISES[name](half_precision(function))
    assert verdict.mistake in mistakes, verdict
    assert "equal" not in verdict.hint


def test_finding_without_a_symptom_ends_without_a_space():
    hint = checks.test_suite(lambda backward: False).hint
    assert hint.splitlines() == [line.rstrip() for line in hint.splitlines()]


@pytest.mark.parametrize("name", ["sigmoid", "sigmoid_grad"])
def test_overflow_is_named_only_if_ordinary_numbers_are_right(name):
    verdict = checks.EXERCISES[name](
        lambda z: 1.01 * naive(z) * (1 if name == "sigmoid" else 1 - naive(z))
    )
    assert verdict.mistake == "wrong", verdict


def test_verdict_says_where_the_sigmoid_stops():
    assert (
        "Below z = −10, your values stay at"
        in checks.sigmoid(lambda z: naive(np.clip(z, -10, 10))).hint
    )
    assert (
        "Above z = 6, your values stay at"
        in checks.sigmoid(lambda z: stable(np.minimum(z, 6))).hint
    )


def test_one_at_the_kink_passes_with_a_remark():
    verdict = checks.relu_grad(lambda z: z >= 0)
    assert verdict.passed
    assert "At z = 0 your slope is 1." in verdict.hint
    assert checks.relu_grad(lambda z: z > 0).hint == ""


def test_one_at_the_kink_does_not_hide_a_changed_input():
    def in_place(z):
        on = z >= 0
        z[on], z[~on] = 1, 0
        return z

    assert checks.relu_grad(in_place).mistake == "modifies-input"


def test_suite_that_insists_on_the_shape_of_the_bias_passes_with_a_remark():
    verdict = checks.test_suite(shapes_of_the_parameters)
    assert verdict.passed
    assert "exactly the shape of its bias" in verdict.hint
    assert checks.test_suite(suite_by_differences).hint == ""


@pytest.mark.parametrize(("suite", "survivor", "why"), CARELESS.values(), ids=CARELESS)
def test_verdict_says_what_lets_a_mistake_survive(suite, survivor, why):
    verdict = checks.test_suite(suite)
    assert verdict.mistake == "survivors", verdict
    assert f"`{survivor}`" in verdict.hint or "more." in verdict.hint
    assert why in verdict.hint


def test_implementations_start_afresh_in_each_check():
    first, second = (checks.test_suite(careless(calls=1)) for _ in range(2))
    assert first.mistake == second.mistake == "survivors"


@pytest.mark.parametrize("sizes", [(6, 3, 5, 4), (1, 3, 5, 4), (2, 2, 2, 2), (3, 1, 1, 2)])
@pytest.mark.parametrize("row", [False, True])
def test_implementations_work_with_any_sizes(sizes, row):
    X, y, (W1, b1, W2, b2) = network(*sizes)
    b1, b2 = (b1[None], b2[None]) if row else (b1, b2)
    expected = backward_arrays(set())(X, y, W1, b1.ravel(), W2, b2.ravel())
    for implementation in day30._RIGHT.values():
        got = implementation(X, y, W1, b1, W2, b2)
        assert [g.shape for g in got] == [p.shape for p in (W1, b1, W2, b2)]
        assert all(
            np.allclose(np.ravel(g), np.ravel(e)) for g, e in zip(got, expected, strict=True)
        )
    for implementation in copy.deepcopy(day30._MISTAKEN).values():
        assert len(implementation(X, y, W1, b1, W2, b2)) == 4


def test_survivors_are_listed():
    hint = checks.test_suite(first_weights_only).hint
    assert {"bias-mean", "uses-input-for-dW2"} <= set(re.findall(r"[\w-]+", hint))
    assert "missing-relu-mask" not in hint


def test_one_row_lets_a_missing_average_survive():
    assert "no-batch-average" in checks.test_suite(one_row_only).hint


def test_reason_of_a_false_alarm_is_quoted():
    assert "AssertionError" in checks.test_suite(wants_rows).hint


def test_suite_with_labels_out_of_range_gets_a_verdict():
    def suite(backward):
        X, y, params = network()
        with contextlib.suppress(IndexError):  # a test of its own, which right answers pass
            backward(X, y + 1, *params)
        return careless(labels=0)(backward)

    verdict = checks.test_suite(suite)
    assert verdict.mistake == "survivors"
    assert "all labels are of one class" in verdict.hint


def test_suite_that_never_calls_is_told_so():
    calls = itertools.count()
    verdict = checks.test_suite(lambda backward: next(calls) != 5)
    assert "never gets a gradient" in verdict.hint


def unwritten(backward):
    raise NotImplementedError


@pytest.mark.parametrize(
    ("suite", "mistake"),
    [
        (unwritten, "not-attempted"),
        (lambda backward: None, "not-attempted"),
        (lambda backward: "fine", "wrong-type"),
        (lambda backward: (True, "fine"), "wrong-type"),
        (lambda backward: 1e-9, "wrong-type"),
        (lambda backward: np.array([True, False]), "wrong-type"),
    ],
)
def test_suite_must_answer_true_or_false(suite, mistake):
    assert checks.test_suite(suite).mistake == mistake


def test_mistakes_of_the_backward_pass_are_among_the_implementations():
    named = {m.id for m in checks.backward.mistakes if not m.forgiven} - {"wrong"}
    assert set(day30.mistaken_backwards()) <= set(day30._MISTAKEN)
    assert set(day30.mistaken_backwards()) <= named


def test_mistaken_implementations_give_different_gradients():
    alike = {"changes-inputs", "keeps-state"}  # a right answer, the first time
    implementations = {id_: each for id_, each in day30._MISTAKEN.items() if id_ not in alike}
    for (a, one), (b, other) in itertools.combinations(implementations.items(), 2):
        X, y, params = network()
        pairs = list(zip(one(X, y, *params), other(X, y, *params), strict=True))
        assert not all(g.shape == h.shape and np.allclose(g, h) for g, h in pairs), (a, b)


def only_asserts(backward):
    X, y, params = network()
    for got, expected in zip(
        backward(X, y, *params), backward_arrays(set())(X, y, *params), strict=True
    ):
        assert np.allclose(np.ravel(got), np.ravel(expected))


def inverted(backward):
    X, y, params = network()
    got, expected = backward(X, y, *params), backward_arrays(set())(X, y, *params)
    return not any(
        np.allclose(np.ravel(g), np.ravel(e)) for g, e in zip(got, expected, strict=True)
    )


def misspelt(backward):
    return backward(X, y)  # noqa: F821


def calls_once(backward):
    return compares(backward, backward_arrays(set()))


def zero_at_zero(function):
    return lambda z: np.where(z == 0, 0, function(z))


WITH_A_REASON = {
    ("relu_grad", "wrong", "you return z itself"): [
        lambda z: np.where(z > 0, 1, z),
        lambda z: np.minimum(z, 1) * (z < 0) + (z > 0),
    ],
    ("relu_grad", "all-ones", "belongs to the identity"): [lambda z: np.where(z, 1, 0)],
    ("sigmoid", "wrong", "exactly 0"): [
        zero_at_zero(stable),
        lambda z: stable(z) * (1 + (z == 0)),
    ],
    ("sigmoid", "missing-minus", "two branches are swapped"): [
        lambda z: np.where(z < 0, 1, np.exp(-np.abs(z))) / (1 + np.exp(-np.abs(z))),
    ],
    ("sigmoid", "precedence", "as if `1 /` were missing"): [lambda z: 1 + np.exp(-z)],
    ("sigmoid", "overflow", "warned"): [
        lambda z: np.where(z >= 0, 1 / (1 + np.exp(-z)), np.exp(z) / (1 + np.exp(z))),
    ],
    ("sigmoid_grad", "wrong", "exactly 0"): [zero_at_zero(lambda z: stable(z) * stable(-z))],
    ("sigmoid_grad", "wrong", "Beyond |z| = 5, your slope stays at 0.00665"): [
        lambda z: stable(np.clip(z, -5, 5)) * stable(-np.clip(z, -5, 5)),
    ],
    ("sigmoid_grad", "wrong", "With z.shape = (3, 4)"): [lambda z: 0.9 * stable(z) * stable(-z)],
    ("init_weights", "ignores-rng", "equal seeds gave different weights"): [
        lambda i, o, rng: np.random.default_rng().normal(0, np.sqrt(2 / i), (i, o)),
    ],
    ("init_weights", "ignores-rng", "different seeds gave the same weights"): [
        lambda i, o, rng: np.random.default_rng(0).normal(0, np.sqrt(2 / i), (i, o)),
    ],
    ("init_weights", "wrong-shape", "Name the others: `scale=` and `size=`"): [
        lambda i, o, rng: rng.normal((i, o)) * np.sqrt(2 / i),
        lambda i, o, rng: rng.normal(np.sqrt(2 / i), (i, o)),
    ],
    ("init_weights", "wrong", "The mean of your weights is √(2 / fan_in)"): [
        lambda i, o, rng: rng.normal(np.sqrt(2 / i), size=(i, o)),
        lambda i, o, rng: rng.normal(size=(i, o)) + np.sqrt(2 / i),
    ],
    ("init_weights", "missing-two", "0 and 0.0816 were expected"): [
        lambda i, o, rng: rng.normal(0, np.sqrt(1 / i), (i, o)),
    ],
    ("test_suite", "false-alarm", "the wrong way round"): [inverted, lambda b: not careless()(b)],
    ("test_suite", "false-alarm", "“vectorised”"): [wants_rows],
    ("test_suite", "always-false", "NameError: name 'X' is not defined"): [misspelt],
    ("test_suite", "not-attempted", "end it with `return True`"): [only_asserts],
    ("test_suite", "survivors", "what may the first call leave behind"): [calls_once],
    ("test_suite", "survivors", " more."): [shapes_only],
}


@pytest.mark.parametrize(("name", "mistake", "phrase", "function"), cases(WITH_A_REASON))
def test_verdict_says_what_happened(name, mistake, phrase, function):
    verdict = first_verdict(name, function)
    assert (verdict.mistake, phrase in verdict.hint) == (mistake, True), verdict


def test_suite_that_raises_is_told_only_that():
    assert "nothing can pass" not in first_verdict("test_suite", misspelt).hint


def test_tail_of_the_sigmoid_is_described_by_its_ends():
    hint = first_verdict("sigmoid_grad", lambda z: stable(z) * stable(-z) + 0.01 * (z < -5)).hint
    assert "With z.min() = -29.9, z.max() = 13.0: at z = -7, `slope" in hint


FUNCTION_IDS = {
    "tanh_slope": "tanh-again sigmoid-derivative missing-square no-complement sign",
    "backward_deep": "reversed-order sign one-hot-not-subtracted no-batch-average "
    "divides-in-every-layer missing-relu-mask mask-not-passed-on relu-on-scores mask-on-scores "
    "uses-z-for-dW bias-mean first-layer-missing",
    "suite_inputs": "one-example equal-sizes one-class zero-biases tiny-weights large-weights "
    "no-unit-off ignores-rng",
}
QUESTION_IDS = {
    "variance": "std-for-variance std-not-variance inputs-forgotten no-halving layers-added",
    "bound": "value-for-slope slope-of-another upside-down slopes-added wrong-count squared-factor",
    "hypotheses": "blames-the-learning-rate blames-the-labels blames-the-slope mixed-up",
}
FUNCTION_IDS = {name: ids.split() for name, ids in FUNCTION_IDS.items()}
QUESTION_IDS = {name: ids.split() for name, ids in QUESTION_IDS.items()}


@style
def tanh_arrays(bugs, a):
    a = np.tanh(a) if "tanh-again" in bugs else a
    if "sigmoid-derivative" in bugs:
        return a * (1 - a)
    squared = a if "missing-square" in bugs else np.square(a)
    if "no-complement" in bugs:
        return squared
    return squared - 1 if "sign" in bugs else 1 - squared


@style
def tanh_loops(bugs, a):
    out = np.empty_like(a)
    for index, v in np.ndenumerate(a):
        v = math.tanh(v) if "tanh-again" in bugs else v
        if "sigmoid-derivative" in bugs:
            out[index] = v - v * v
            continue
        power = v if "missing-square" in bugs else v**2
        complement = power if "no-complement" in bugs else 1 - power
        out[index] = -complement if {"sign"} == bugs & {"sign", "no-complement"} else complement
    return out


@style
def tanh_product(bugs, a):
    """(1 + a)(1 − a), as a list."""
    a = torch.tanh(torch.tensor(a)).numpy() if "tanh-again" in bugs else a
    if "sigmoid-derivative" in bugs:
        return (a - a**2).tolist()
    if "no-complement" in bugs:
        return (a if "missing-square" in bugs else a * a).tolist()
    slope = (1 - a) if "missing-square" in bugs else (1 + a) * (1 - a)
    return (-slope if "sign" in bugs else slope).tolist()


@style
def deep_lists(bugs, X, y, Ws, bs):
    """Append, then reverse; a one-hot matrix; bias gradients (H,)."""
    N, L = len(y), len(Ws)
    a, z = [X], []
    for W, b in zip(Ws, bs, strict=True):
        z.append(a[-1] @ W + b)
        a.append(np.maximum(z[-1], 0))
    p = np.exp(a[-1] if "relu-on-scores" in bugs else z[-1])
    d = p / p.sum(axis=1, keepdims=True)
    if "one-hot-not-subtracted" not in bugs:
        d = d - np.eye(d.shape[1])[y]
    d = -d if "sign" in bugs else d
    d = d if "no-batch-average" in bugs else d / N
    d = np.where(z[-1] > 0, d, 0) if "mask-on-scores" in bugs else d
    unmasked = d
    dWs, dbs = [], []
    for i in range(L - 1, -1, -1):
        below = z[i - 1] if "uses-z-for-dW" in bugs and i else a[i]
        dWs.append(np.dot(below.T, d))
        dbs.append(d.mean(0) if "bias-mean" in bugs else d.sum(0))
        if i:
            unmasked = (unmasked if "mask-not-passed-on" in bugs else d) @ Ws[i].T
            d = unmasked if "missing-relu-mask" in bugs else unmasked * (z[i - 1] > 0)
            d = d / N if "divides-in-every-layer" in bugs else d
    if "first-layer-missing" in bugs:
        dWs[-1], dbs[-1] = np.zeros_like(dWs[-1]), np.zeros_like(dbs[-1])
    return (dWs, dbs) if "reversed-order" in bugs else (dWs[::-1], dbs[::-1])


@style
def deep_recursion(bugs, X, y, Ws, bs):
    """From the input down to the scores and back, in one recursive function; tuples."""

    def down(i, a):
        z = a @ Ws[i] + bs[i]
        if i == len(Ws) - 1:
            z = np.clip(z, 0, None) if "relu-on-scores" in bugs else z
            logs = z - np.log(np.exp(z).sum(1, keepdims=True))
            d = np.exp(logs)
            if "one-hot-not-subtracted" not in bugs:
                d[range(len(y)), y] -= 1
            if bugs & {"mask-on-scores", "relu-on-scores"}:
                d[z <= 0] = 0
            d = full = d * (1 if "no-batch-average" in bugs else 1 / len(y))
        else:
            above, full, dWs, dbs = down(i + 1, np.clip(z, 0, None))
            full = (full if "mask-not-passed-on" in bugs else above) @ Ws[i + 1].T
            d = full * (1 if "missing-relu-mask" in bugs else z > 0)
            d = d / (len(y) if "divides-in-every-layer" in bugs else 1)
        inputs = zs[-1] if "uses-z-for-dW" in bugs and i else a
        zs.append(z)
        gone = 0 if "first-layer-missing" in bugs and i == 0 else 1
        flip = -1 if "sign" in bugs else 1
        db = d.sum(axis=0, keepdims=True) / (len(y) if "bias-mean" in bugs else 1)
        mine = [gone * flip * inputs.T @ d], [gone * flip * db]
        if i == len(Ws) - 1:
            return d, full, *mine
        return d, full, mine[0] + dWs, mine[1] + dbs

    zs = []
    if "uses-z-for-dW" in bugs:  # the z of the layer below, known before the way back
        return deep_lists(bugs)(X, y, Ws, bs)
    _, _, dWs, dbs = down(0, X)
    order = slice(None, None, -1 if "reversed-order" in bugs else 1)
    return tuple(dWs[order]), tuple(dbs[order])


@style
def deep_examples(bugs, X, y, Ws, bs):
    """Example by example, with sums; biases may come in any shape."""
    L, N = len(Ws), len(X)
    dWs, dbs = [np.zeros(W.shape) for W in Ws], [np.zeros(np.size(b)) for b in bs]
    for x, label in zip(X, y, strict=True):
        a, z = [x], []
        for W, b in zip(Ws, bs, strict=True):
            z.append(a[-1] @ W + np.ravel(b))
            a.append(z[-1] * (z[-1] > 0))
        p = np.exp((a if "relu-on-scores" in bugs else z)[-1])
        d = p / p.sum()
        d[label] -= 0 if "one-hot-not-subtracted" in bugs else 1
        d = d * (-1 if "sign" in bugs else 1) / (1 if "no-batch-average" in bugs else N)
        if "mask-on-scores" in bugs:
            d = d * (z[-1] > 0)
        full = d
        for i in range(L)[::-1]:
            if not (i == 0 and "first-layer-missing" in bugs):
                dWs[i] += np.outer(z[i - 1] if "uses-z-for-dW" in bugs and i else a[i], d)
                dbs[i] += d / (N if "bias-mean" in bugs else 1)
            if i == 0:
                break
            full = Ws[i] @ (full if "mask-not-passed-on" in bugs else d)
            d = full * (z[i - 1] > 0) if "missing-relu-mask" not in bugs else full
            d = d / N if "divides-in-every-layer" in bugs else d
    return [dWs[::-1], dbs[::-1]] if "reversed-order" in bugs else [dWs, dbs]


@style
def inputs_drawn(bugs, rng):
    rng = np.random.default_rng(0 if "ignores-rng" in bugs else rng)
    N, D, H, C = (1 if "one-example" in bugs else 7), 4, 6, (6 if "equal-sizes" in bugs else 3)
    X, y = rng.standard_normal((N, D)), rng.integers(0, C, N)
    y[0] = 0 if "one-class" in bugs else 1
    y[1:] = 0
    scale = 0.01 if "tiny-weights" in bugs else 0.7
    W1, W2 = scale * rng.standard_normal((D, H)), rng.standard_normal((H, C))
    W2 = W2 * (20 if "large-weights" in bugs else 1)
    b1 = np.zeros(H) if "zero-biases" in bugs else 0.1 * rng.standard_normal(H)
    if "no-unit-off" in bugs:
        X, W1 = np.abs(X) + 1, np.abs(W1)
        b1 = np.abs(b1)
    return X, y, W1, b1, W2, rng.standard_normal(C)


@style
def inputs_as_lists(bugs, rng):
    N, D, H, C = 9, 2, 5, 4
    N = 1 if "one-example" in bugs else 5 if "equal-sizes" in bugs else N
    y = [2 if "one-class" in bugs else n % C for n in range(N)]
    rng = np.random.default_rng(None if "ignores-rng" in bugs else rng)
    X = rng.normal(size=(N, D)).tolist()
    W1 = rng.normal(size=(D, H)) * (1e-3 if "tiny-weights" in bugs else 1)
    b1 = rng.normal(size=(1, H)) - (50 if "no-unit-off" in bugs else 0)
    b2 = np.zeros((1, C)) if "zero-biases" in bugs else rng.normal(size=(1, C))
    W2 = rng.normal(0, 5 if "large-weights" in bugs else 1, size=(H, C))
    return [X, y, W1.tolist(), b1.tolist(), W2.tolist(), b2.tolist()]


@style
def inputs_uniform(bugs, rng):
    D, H, C = (5, 5, 3) if "equal-sizes" in bugs else (5, 6, 3)
    N = 1 if "one-example" in bugs else 8
    rng = np.random.RandomState(3) if "ignores-rng" in bugs else rng
    X = rng.uniform(-1, 1, (N, D))
    y = np.zeros(N, int) if "one-class" in bugs else rng.permutation(np.arange(N) % C)
    low = 0.5 if "no-unit-off" in bugs else -1
    X = X + (3 if "no-unit-off" in bugs else 0)
    W1, W2 = rng.uniform(low, 1, (D, H)), rng.uniform(-1, 1, (H, C))
    b1, b2 = (0 if "zero-biases" in bugs else 1) * rng.uniform(low, 1, (2, H))[:, :H]
    scale = 0.02 if "tiny-weights" in bugs else 1
    W1 = W1 * (15 if "large-weights" in bugs else 1)
    return X, y, W1, b1, W2 * scale, b2[:C]


def in_forms(make):
    """Make three styles of a question's answers: numbers, NumPy's, and a function as solutions are."""

    def one(bugs):
        return make(bugs)

    def of_numpy(bugs):
        return {k: np.float64(v) if isinstance(v, float) else v for k, v in make(bugs).items()}

    def from_function(bugs):
        return lambda: make(bugs)

    return [one, of_numpy, from_function]


def variances(bugs):
    w = 0.1 if "std-for-variance" in bugs else 0.01
    z = w * (1 if "inputs-forgotten" in bugs else 50)
    a = z * (1 if "no-halving" in bugs else 0.5)
    level = (1 if "no-halving" in bugs else 2) / (1 if "inputs-forgotten" in bugs else 50)
    ten = 10 * a if "layers-added" in bugs else a**10
    level = level**0.5 if "std-not-variance" in bugs else level
    return {"z": z, "a": a, "after ten layers": ten, "variance that keeps it": level}


def bounds(bugs):
    slope = 0.5 if "value-for-slope" in bugs else 1.0 if "slope-of-another" in bugs else 0.25
    n = 7 if "wrong-count" in bugs else 6
    shrink = n * slope if "slopes-added" in bugs else slope**n
    factors = [slope, shrink, n / slope if "slopes-added" in bugs else 1 / shrink, 1 / slope]
    factors[3] **= 2 if "squared-factor" in bugs else 1
    factors = [1 / f for f in factors] if "upside-down" in bugs else factors
    names = "one sigmoid", "six sigmoids", "last over first", "factor to make up for one"
    return dict(zip(names, factors, strict=True))


def causes(bugs):
    found = dict(solutions.hypotheses())
    if "mixed-up" in bugs:
        found |= {"bug 3": found["bug 4"], "bug 4": found["bug 3"]}
    if "blames-the-learning-rate" in bugs:
        found["bug 2"] = "Learning rate too high"
    if "blames-the-labels" in bugs:
        found["bug 5"] = "labels do not belong to their images"
    if "blames-the-slope" in bugs:
        found["bug 6"] = "slope of the activation missing"
    return found


FUNCTION_STYLES = {
    "tanh_slope": [tanh_arrays, tanh_loops, tanh_product],
    "backward_deep": [deep_lists, deep_recursion, deep_examples],
    "suite_inputs": [inputs_drawn, inputs_as_lists, inputs_uniform],
}
QUESTION_STYLES = {
    "variance": in_forms(variances),
    "bound": in_forms(bounds),
    "hypotheses": in_forms(causes),
}
WITH_NO_TRACE = [
    {"missing-relu-mask", "mask-not-passed-on"},  # without any mask, nothing is lost on the way
    {"first-layer-missing", "reversed-order"},
    {"one-example", "one-class"},
    {"value-for-slope", "slope-of-another"},
]
(
    test_new_mistakes_of_functions_are_named,
    test_right_functions_pass,
    test_one_of_two_mistakes_in_a_function_is_named,
    test_ids_of_new_functions,
) = promises(FUNCTION_IDS, FUNCTION_STYLES, not_both=WITH_NO_TRACE, numeric=True)
(
    test_new_mistakes_in_answers_are_named,
    test_right_answers_to_questions_pass,
    test_one_of_two_mistakes_in_an_answer_is_named,
    test_ids_of_new_questions,
) = promises(QUESTION_IDS, QUESTION_STYLES, not_both=WITH_NO_TRACE)


@pytest.mark.parametrize(
    ("answers", "mistake", "phrase"),
    [
        ({**solutions.bound(), "one sigmoid": ...}, "not-attempted", "Still open: “one sigmoid”."),
        (
            {"one sigmoid": 0.25, "six sigmoids": 1, "last over first": None},
            "wrong",
            "1 of 4 right, 2",
        ),
        (
            {**solutions.bound(), "one sigmoid": "a"},
            "wrong-type",
            "“one sigmoid” should be a number",
        ),
        ({**solutions.bound(), "six sigmoids": np.nan}, "not-finite", "“six sigmoids” is nan."),
        ({**solutions.bound(), "six sigmoids": 0.3}, "wrong", "you gave 0.3."),
        ({"one sigmoid": 0.25}, "not-attempted", "So far all right: “one sigmoid”. Still open:"),
        ({"one": 0.25}, "wrong", "no answer for “one sigmoid, six sigmoids, last over first"),
        ({**solutions.bound(), "factor to make up for one": 16}, "squared-factor", "two sigmoids"),
        ({**solutions.bound(), "more": 1}, "wrong", "There is no question “more”."),
        ([0.25], "wrong-type", "should be a dictionary; got list."),
        ({"one sigmoid": None}, "not-attempted", "Your turn"),
    ],
)
def test_form_says_what_is_wrong_with_an_answer(answers, mistake, phrase):
    verdict = first_verdict("bound", answers)
    assert (verdict.passed, verdict.mistake) == (False, mistake)
    assert phrase in verdict.hint


@pytest.mark.parametrize("name", ["variance", "bound", "hypotheses"])
def test_gaps_use_up_no_hint(name):
    solution = getattr(solutions, name)()
    last = list(solution)[-1]
    wrong = {**solution, last: "learning rate too high" if name == "hypotheses" else 0.123}
    first, second = first_verdict(name, wrong).hint, checks.EXERCISES[name](wrong).hint
    assert first != second
    verdicts = [first_verdict(name, {**solution, last: ...})]
    verdicts += [checks.EXERCISES[name]({**solution, last: ...}) for _ in range(2)]
    assert {v.mistake for v in verdicts} == {"not-attempted"}
    assert len({v.hint for v in verdicts}) == 1
    assert checks.EXERCISES[name](wrong).hint == first
    checks.EXERCISES[name]({**solution, last: ...})
    assert checks.EXERCISES[name](wrong).hint == second


@pytest.mark.parametrize(
    ("change", "mistake", "phrase"),
    [
        ({"variance that keeps it": 0.2}, "std-not-variance", "the variance is its square"),
        ({"after ten layers": 1e-6}, None, ""),
        ({"after ten layers": 2**-20}, None, ""),
        ({"after ten layers": 2e-6}, "wrong", "you gave 2e-06"),
        ({"a": 0.2}, "wrong", "you gave 0.2"),
        ({"a": 0.3}, "wrong", "you gave 0.3"),
    ],
)
def test_variance_accepts_rounded_numbers_only(change, mistake, phrase):
    verdict = first_verdict("variance", solutions.variance() | change)
    assert verdict.mistake == mistake, verdict
    assert phrase in verdict.hint


def test_blaming_the_rate_is_refuted_bug_by_bug():
    def blamed(bug):
        return checks.hypotheses({**solutions.hypotheses(), bug: "learning rate too high"}).hint

    checks.hypotheses(solutions.hypotheses())
    assert "before the first step" in blamed("bug 1")
    assert "No step had been taken." in blamed("bug 1")
    first, second = blamed("bug 2"), blamed("bug 2")
    assert "the right network would suffer at the same rate. Does it?" in first
    assert "Why does the same rate do no harm with 10 examples?" in first
    assert first != second
    assert "both lines" not in first + second
    for bug in ("bug 3", "bug 4", "bug 5", "bug 6"):
        hint = blamed(bug)
        assert "harm the right code as well" in hint
        assert "before the first step" not in hint


def test_unknown_cause_lists_the_causes():
    verdict = first_verdict("hypotheses", {**solutions.hypotheses(), "bug 1": "gremlins"})
    assert verdict.mistake == "wrong-type"
    assert all(cause in verdict.hint for cause in day30.CAUSES)


def test_verdict_on_hypotheses_gives_no_cause_away():
    wrong = dict.fromkeys(solutions.hypotheses(), "learning rate too high")
    for _ in range(4):
        hint = checks.hypotheses(wrong).hint
        assert "0 of 6 right" in hint
        assert "weights too large" not in hint


@pytest.mark.parametrize(
    ("function", "mistake", "phrase"),
    [
        (
            lambda *a: list(zip(*solutions.backward_deep(*a), strict=True)),
            "wrong-shape",
            "one pair",
        ),
        (lambda *a: solutions.backward_deep(*a)[0], "wrong-shape", "two lists of 3 arrays"),
        (lambda *a: [g[1:] for g in solutions.backward_deep(*a)], "wrong-shape", "2 and 2"),
        (lambda *a: np.zeros(3), "wrong-type", "ndarray"),
        (lambda *a: ([None] * len(a[2]), solutions.backward_deep(*a)[1]), "not-attempted", "empty"),
        (lambda X, y, Ws, bs: solutions.backward_deep(X, y, Ws[::-1], bs), "raised", "matmul"),
    ],
)
def test_deep_gradients_in_another_form_are_explained(function, mistake, phrase):
    verdict = first_verdict("backward_deep", function)
    assert (verdict.passed, verdict.mistake) == (False, mistake), verdict
    assert phrase in verdict.hint


def test_mask_of_the_wrong_layer_is_explained():
    def submission(X, y, Ws, bs):
        zs, activations = [], [X]
        for W, b in zip(Ws, bs, strict=True):
            zs.append(activations[-1] @ W + b)
            activations.append(np.maximum(0, zs[-1]))
        dz = solutions.softmax(zs[-1])
        dz[np.arange(len(y)), y] -= 1
        for layer in reversed(range(len(Ws))):
            dz = dz @ Ws[layer].T
            dz = dz * (zs[layer] > 0)

    verdict = first_verdict("backward_deep", submission)
    assert verdict.mistake == "raised"
    assert "Which layer's z belongs to the gradient that you have just sent down?" in verdict.hint
    assert "`dz = dz * (zs[layer] > 0)`" in verdict.hint
    assert "classes" not in verdict.hint


def test_other_errors_of_shapes_are_explained_as_usual():
    hint = first_verdict("backward_deep", lambda X, y, Ws, bs: X @ Ws[0] + np.zeros(7)).hint
    assert "just sent down" not in hint
    assert "Shapes are compared from the right" in hint


def test_deep_gradients_may_be_written_for_flat_biases():
    def submission(X, y, Ws, bs):
        assert all(b.shape == (W.shape[1],) for W, b in zip(Ws, bs, strict=True))
        return solutions.backward_deep(X, y, Ws, bs)

    assert first_verdict("backward_deep", submission).passed


@pytest.mark.parametrize(
    ("value", "mistake"),
    [
        ((1, 2, 3), "wrong-shape"),
        ((None,) * 6, "not-attempted"),
        ([*solutions.suite_inputs(np.random.default_rng(0))][::-1], "wrong-shape"),
        ("x" * 6, "wrong-type"),
    ],
)
def test_inputs_that_are_none_are_explained(value, mistake):
    assert first_verdict("suite_inputs", lambda rng: value).mistake == mistake


def test_labels_out_of_range_are_explained():
    def submission(rng):
        X, y, *rest = solutions.suite_inputs(rng)
        return X, y + 1, *rest

    verdict = first_verdict("suite_inputs", submission)
    assert verdict.mistake == "wrong-type"
    assert "0 to C − 1" in verdict.hint


@pytest.mark.parametrize("cast", [np.float64, np.float32, torch.tensor, list, bool])
def test_labels_that_are_no_integers_are_explained(cast):
    def submission(rng):
        X, y, *rest = solutions.suite_inputs(rng)
        y = (y % 2).astype(bool) if cast is bool else cast(y.astype(float))
        return X, y, *rest

    verdict = first_verdict("suite_inputs", submission)
    assert verdict.mistake == "wrong-type"
    assert "indices must be integers" in verdict.hint


@pytest.mark.parametrize("cast", [np.int8, np.uint64, torch.tensor, list])
def test_labels_may_be_integers_of_any_type(cast):
    def submission(rng):
        X, y, *rest = solutions.suite_inputs(rng)
        return X, cast(y), *rest

    assert first_verdict("suite_inputs", submission).passed


@pytest.mark.parametrize("factor", [3, 5, 20])
def test_large_weights_are_refused(factor):
    def submission(rng):
        X, y, W1, b1, W2, b2 = solutions.suite_inputs(rng)
        return X, y, factor * W1, b1, factor * W2, b2

    verdict = first_verdict("suite_inputs", submission)
    assert verdict.mistake == "large-weights"
    assert "finite differences see no slope" in verdict.hint


def test_lost_minus_in_the_slope_is_named_in_the_second_hint():
    def submission(z):
        return stable(z) * (1 + stable(z))

    first, second = first_verdict("sigmoid_grad", submission), checks.sigmoid_grad(submission)
    assert "σ(1 + σ)" in first.hint
    assert "A minus sign" not in first.hint
    assert "A minus sign got lost: (u − 1)/u is 1 − 1/u." in second.hint
