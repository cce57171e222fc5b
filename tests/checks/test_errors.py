"""What an exception means, tried on exceptions of the installed NumPy and PyTorch."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from nnweek import checks
from nnweek.checks import errors, solutions
from support.submissions import first_verdict

A = np.ones((4, 3))
T = torch.ones(4, 3)
LAYER = nn.Linear(3, 2)
PAIR, HALF = [1, 2], 0.5
RNG = np.random.default_rng(0)
LABELS = torch.zeros(4, dtype=torch.long)
cross_entropy = nn.CrossEntropyLoss()


def changes(array, change):
    change(array)


def subtract_half(x):
    x -= 0.5


def add_matrix(x):
    x += A


def assign_row(x):
    x[:] = np.ones(4)


def used_before_assignment():
    for _ in []:
        total = 0
    return total


def lacks_return(x):
    x.sum()


def backward_twice():
    loss = LAYER(T).sum()
    loss.backward()
    loss.backward()


def changed_before_backward():
    a = torch.ones(2, requires_grad=True).exp()
    a += 1
    a.sum().backward()


def assign_more_than_masked(x):
    x[x > 0] = np.ones((4, 3)) * 2


def lacks_arguments():
    return 0


def unpacked(values):
    a, b = values
    return a, b


class WithoutSuper(nn.Module):
    def __init__(self):
        self.layer = nn.Linear(2, 2)


class WithoutSelf(nn.Module):
    def forward(x):
        return x


EXCEPTIONS = [
    # (code that raises, what the sentence says)
    (lambda: A / A.sum(axis=1), "To fit (4, 3), the shape must be (4, 1), not (4,)."),
    (lambda: A - np.ones((3, 4)), "transposed"),
    (lambda: A - np.ones((4, 2)), "`y.max() + 1` is too small"),
    (lambda: A + np.ones((2, 2)), "the sizes 3 and 2 are neither equal nor 1"),
    (lambda: A @ np.ones((4, 2)), "A has 3 and B has 4"),
    (lambda: A.dot(np.ones((4, 2))), "the sizes 3 and 4"),
    (lambda: A @ 2, "use `*`"),
    (lambda: A.reshape(5, 2), "12 numbers do not fill the shape (5,2)"),
    (lambda: np.concatenate([A, np.ones((2, 2))]), "agree in all sizes"),
    (lambda: np.array([[1, 2], [3]]), "different lengths"),
    (lambda: changes(np.zeros((4, 3)), assign_row), "the shape (4,3), but the right side has (4,)"),
    (lambda: changes(np.zeros(3), add_matrix), "it is (3,), and the result would be (4,3)"),
    (lambda: changes(np.arange(3), subtract_half), "type float64, into an array of type int64"),
    (lambda: changes(np.broadcast_to(1.0, 3), subtract_half), "`.copy()`"),
    (lambda: max(A, 0), "`np.maximum`"),
    (
        lambda: changes(np.arange(12.0).reshape(4, 3), assign_more_than_masked),
        "The mask on the left",
    ),
    (
        lambda: changes(np.arange(4.0), lambda x: x.__setitem__(x > 1, np.ones(3))),
        "The mask on the",
    ),
    (lambda: 1 if T > 0 else 0, "one True or False"),
    (lambda: A[1.0], "whole number"),
    (lambda: A[np.ones(2)], "whole number"),
    (lambda: T[torch.ones(2)], "`.long()`"),
    (lambda: A[0, 3], "Axis 1 has 3 entries, with the indices 0 to 2, and 3 is not"),
    (lambda: A[0, -9], "-9 is not the index"),
    (lambda: np.ones(3)[0, 1], "shape of this array"),
    (lambda: torch.ones(3)[0, 1], "shape of this tensor"),
    (lambda: np.ones(3).sum(axis=1), "A 1-dimensional array has no axis 1"),
    (lambda: torch.ones(3).sum(dim=1), "no dimension 1"),
    (lambda: [1, 2][2], "0 to n − 1"),
    (lambda: PAIR[0, 1], "`a[i][j]`"),
    (lambda: PAIR[1.0], "this one is a `float`"),
    (lambda: math.sqrt(A), "`np.sqrt`"),
    (lambda: math.exp(T), "`math` take only numbers"),
    (lambda: T.item(), "this tensor has 12"),
    (lambda: T @ torch.ones(4, 2), "the first (3) and the rows of the second (4)"),
    (lambda: LAYER(torch.ones(2, 5)), "it was made for 3 inputs and got 5"),
    (lambda: T + torch.ones(4), "In dimension 1 the sizes 3 and 4"),
    (lambda: T.view(5, 2), "12 numbers do not fill the shape [5, 2]"),
    (lambda: T.T.view(12), "`reshape`"),
    (lambda: LAYER(T.double()), "`.float()`"),
    (lambda: T @ torch.ones(3, 2).double(), "float and double"),
    (lambda: LAYER(A), "`torch.as_tensor(…)`"),
    (lambda: cross_entropy(T, torch.ones(4)), "these are Float: `.long()`"),
    (lambda: cross_entropy(LABELS, T), "Are they swapped?"),
    (lambda: cross_entropy(T, LABELS[:, None]), "of shape (N,)"),
    (lambda: cross_entropy(T, LABELS[:2]), "4 rows of scores and 2 labels"),
    (lambda: cross_entropy(T, LABELS + 3), "The label 3 has no column"),
    (lambda: cross_entropy(T, torch.zeros(4, 3, dtype=torch.long)), "The scores come first"),
    (lambda: nn.CrossEntropyLoss(T, torch.ones(4)), "only makes a criterion"),
    (lambda: torch.tensor([1], requires_grad=True), "`1.0` instead of `1`"),
    (lambda: changes(torch.tensor([1]), subtract_half), "type Float into a tensor of type Long"),
    (lambda: torch.ones(()).backward(), "`no_grad`"),
    (lambda: LAYER(T).backward(), "a single number"),
    (lambda: LAYER(T).numpy(), "`.detach()`"),
    (lambda: changes(torch.ones(2, requires_grad=True), subtract_half), "`with torch.no_grad():`"),
    (backward_twice, "frees the graph"),
    (changed_before_backward, "changed in place"),
    (WithoutSuper, "`super().__init__()`"),
    (lambda: WithoutSelf()(T), "`self`"),
    (lambda: torch.optim.SGD([], lr=0.1), "no parameters"),
    (lambda: undefined, "Nothing named `undefined` exists"),  # noqa: F821
    (lambda: plt.plot([]), "`import matplotlib.pyplot as plt`"),  # noqa: F821
    (used_before_assignment, "assigns to `total`"),
    (lambda: lacks_return(A) + 1, "lack a `return`"),
    (lambda: lacks_return(A).shape, "lack a `return`"),
    (lambda: A.sum / 2, "call it with (…)"),
    (lambda: A.sum.shape, "call it with (…)"),
    (lambda: np.zeros[3], "call it with (…)"),
    (lambda: math(3), "`module.function(…)`"),
    (lambda: HALF(3), "Is a `*` missing"),
    (lambda: T.items(), "Did you mean `item`?"),
    (lambda: np.matmult(A, A), "Did you mean `matmul`?"),
    (lambda: [1].shape, "`np.array(…)`"),
    (lambda: (1.5).backward(), "plain number"),
    (lambda: A.unsqueeze(0), "belongs to PyTorch's tensors"),
    (lambda: unpacked(), "nothing was passed for 'values'"),
    (lambda: unpacked(1, 2), "passes 2 arguments, and its `def` line names 1"),
    (lambda: lacks_arguments(1), "passes 1 argument, and its `def` line names 0"),
    (
        lambda: A.sum(keepdim=True),
        "`sum` has no argument named `keepdim`; did you mean `keepdims`?",
    ),
    (lambda: RNG.normal(shape=3), "`normal` has no argument named `shape`; did you mean `size`?"),
    (lambda: np.exp(A, axis=1), "`exp` has no argument named `axis`."),
    (lambda: RNG.randn(4, 3), "Did you mean `standard_normal`?"),
    (lambda: RNG((4, 3)), "not a function"),
    (lambda: A[np.arange(3), np.arange(4) % 3], "have 3 and 4 entries"),
    (lambda: np.sum(A, A), "one whole number is needed"),
    (lambda: A @ np.ones(4), "for a vector, its length counts"),
    (lambda: unpacked(value=1), "no argument named `value`"),
    (lambda: unpacked((1, 2, 3)), "There are 2 names"),
    (lambda: unpacked((1,)), "only 1 on the right"),
    (lambda: unpacked(3), "single number"),
    (lambda: [i for i in 3], "`range(…)`"),  # noqa: C416
    (lambda: HALF[0], "no entries"),
    (lambda: [1, 2] * 0.5, "`np.array(…)`"),
    (lambda: [1, 2] - [1], "no arithmetic"),
    (lambda: {}["W1"], "There is no key 'W1'"),
    (lambda: 1 / 0, "The divisor is 0"),
    (lambda: math.exp(1000), "exp(710)"),
    (lambda: math.log(0), "logarithm of 0"),
    (lambda: __import__("nummpy"), "no module `nummpy`"),
]


@pytest.mark.parametrize(("code", "said"), EXCEPTIONS, ids=[said[:40] for _, said in EXCEPTIONS])
def test_exception_is_explained(code, said):
    line = "nn.CrossEntropyLoss(out, y)" if "criterion" in said else ""
    sentence = errors.meaning(exception_of(code), line)
    assert said in sentence
    assert "{" not in sentence
    assert sentence[0].isupper() or sentence[0] in "`1"
    assert sentence.rstrip().endswith((".", "?"))


def exception_of(code):
    try:
        code()
    except Exception as error:
        return error
    raise AssertionError("it should raise")


def test_unknown_exception_gets_no_sentence():
    assert errors.meaning(ValueError("my own {message}")) == ""


def test_verdict_contains_the_sentence_after_the_learners_line():
    def submission(logits):
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        return e / e.sum(axis=1)

    verdict = first_verdict("softmax", submission)
    lines = verdict.hint.splitlines()
    assert verdict.mistake == "raised"
    assert "`return e / e.sum(axis=1)`" in lines[1]
    assert "the shape must be (5, 1), not (5,): after a sum, mean or maximum" in lines[2]


def adds_to_a_list(params, grads, lr):
    out = []
    for p, g in zip(params, grads, strict=True):
        out += p - lr * g
    return out


def divides_by_the_sum(logits):
    e = np.exp(logits)
    total = e.sum(axis=1)
    return e / total


def multiplies_by_the_labels(probs, y):
    return -np.mean(y * np.log(probs))


@pytest.mark.parametrize(
    ("name", "function", "said", "unsaid"),
    [
        ("init_weights", lambda i, o, rng: rng.standard_normal(i, o), "`size=(i, o)`", ""),
        ("init_weights", lambda i, o, rng: rng.normal(0, 0.1, i, o), "`size=(i, o)`", ""),
        (
            "init_weights",
            lambda i, o, rng: rng.normal(0, np.sqrt(2 / i), i, o),
            "`size=(i, o)`",
            "",
        ),
        ("init_weights", lambda i, o, rng: np.zeros(i, o), "one argument: `(i, o)`", ""),
        ("softmax", lambda z: np.max(0, z), "takes `z` for the axis; `np.maximum`", ""),
        ("sgd_step", lambda p, g, lr: p - lr * g, "`p` is a list of arrays", "np.array"),
        ("sgd_step", lambda p, g, lr: np.array(p) - lr, "`p` is a list of arrays", "One entry"),
        ("sgd_step", lambda p, g, lr: [a - lr * b for a, b in (p, g)], "Do you want `zip(…)`?", ""),
        ("sgd_step", adds_to_a_list, "`out` is a list", "Shapes are compared"),
        ("forward", lambda X, W1, *rest: X * W1, "the matrix product is `@`", ""),
        ("forward", lambda X, W1, b1, W2, b2: X @ W1 + b2, "the sizes 5 and 3", "classes"),
        ("softmax", divides_by_the_sum, "not (5,). If it is a sum", ""),
        ("cross_entropy", multiplies_by_the_labels, "must be (7, 1), not (7,).", "keepdims"),
        ("cross_entropy", lambda p, y: p[y, np.arange(len(y))], "wrong order?", "y.max"),
        ("cross_entropy", lambda p, y: p[:, :2][np.arange(len(y)), y], "`y.max() + 1`", "order?"),
        ("numerical_gradient", lambda f, x, eps: np.zeros(x.shape[1]), "has no axis 1.", "list of"),
    ],
)
def test_advice_fits_the_line_and_its_variables(name, function, said, unsaid):
    hint = first_verdict(name, function).hint
    assert "of your code: `" in hint, "the line of the learner, not of compiled code"
    assert said in hint
    assert not unsaid or unsaid not in hint.split("of your code: `")[1].split("`\n")[1]


def test_advice_copes_with_tensors_and_ragged_lists():
    def submission(logits):
        tensor, ragged = torch.tensor(logits), [[1, [2]], [3]]
        return logits / (tensor.sum(dim=1), ragged, logits.sum(axis=1))[2]

    assert first_verdict("softmax", submission).mistake == "raised"


def test_classes_counted_from_the_labels_are_explained():
    def submission(X, y, W1, b1, W2, b2):
        z = X @ W1 + b1
        p = solutions.softmax(np.maximum(z, 0) @ W2 + b2)
        d = p - np.eye(y.max() + 1)[y]
        return d, d, d, d

    assert "`y.max() + 1`" in first_verdict("backward", submission).hint


def test_other_arguments_are_compared_with_the_signature():
    hint = first_verdict("forward", lambda X, W1, W2: X).hint
    assert f"`{checks.forward.signature}`" in hint


NAMED = ("dW1", "db1", "dW2", "db2")


@pytest.mark.parametrize(
    ("name", "function", "advice"),
    [
        (
            "backward",
            lambda *g: (0.5, g),
            "Return only the second of your 2 items, with the 4 arrays.",
        ),
        (
            "backward",
            lambda *g: (0.5, list(g)),
            "Return only the second of your 2 items, with the 4 arrays.",
        ),
        (
            "backward",
            lambda *g: (0.5, *g),
            "only the second, third, fourth and fifth of your 5 items",
        ),
        (
            "backward",
            lambda *g: (*g, 0.5),
            "only the first, second, third and fourth of your 5 items",
        ),
        ("backward", lambda *g: dict(zip(NAMED, g, strict=True)), "return `d['dW1'], d['db1'], "),
        (
            "backward",
            lambda *g: (0.5, {name[1:]: array for name, array in zip(NAMED, g, strict=True)}),
            "Return only the second of your 2 items. If your dictionary is `d`, return `d['W1'], ",
        ),
        ("backward", lambda *g: {"a": g[0]}, ""),
        ("backward", lambda *g: g[:3], "By the shapes, `db2` is missing."),
        ("backward", lambda *g: g[1:3], "By the shapes, `dW1` and `db2` are missing."),
        ("backward", lambda *g: g[:1], "returned 1 array, where 4 were expected"),
        ("sgd_step", lambda *p: iter(p), "where a list of arrays was expected: `list(…)`"),
        ("softmax", lambda p: p.astype(str).tolist(), "an array of text"),
        ("forward", lambda s: (s, ("a", "cache")), "Return only the first of your 2 items"),
        ("forward", lambda s: ({"cache": 1}, s), "Return only the second of your 2 items"),
        ("forward", lambda s: {"scores": s}, "return `d['scores']`"),
        ("softmax", lambda p: (p, p), "Return only `probs`"),
        ("cross_entropy", lambda loss: (loss, np.ones(3)), "Return only the first of your 2 items"),
        ("cross_entropy", lambda loss: {"loss": loss}, "return `d['loss']`"),
        ("evaluate", lambda *pair: (*pair, [1, 2, 3]), "only the first and second of your 3 items"),
    ],
)
def test_part_to_return_is_named(name, function, advice):
    def submission(*args):
        value = getattr(solutions, name)(*args)
        return function(*value) if isinstance(value, tuple) else function(value)

    verdict = first_verdict(name, submission)
    assert verdict.mistake in ("wrong-type", "wrong-shape")
    assert advice in verdict.hint
    assert advice or "eturn only" not in verdict.hint


@pytest.mark.parametrize(
    ("gradients", "said"),
    [
        (lambda dW1, db1, dW2, db2: (None, None, dW2, db2), "empty; `dW2` and `db2` are right."),
        (lambda dW1, db1, dW2, db2: (None, None, dW2, 2 * db2), "empty; `dW2` is right."),
        (lambda dW1, db1, dW2, db2: (None, None, -dW2, -db2), "`dW1` and `db1` are still empty."),
    ],
)
def test_first_right_gradients_are_confirmed(gradients, said):
    hint = first_verdict("backward", lambda *a: gradients(*solutions.backward(*a))).hint
    assert said in hint


@pytest.mark.parametrize("kind", [float, np.float32, np.array, torch.tensor])
def test_whatever_float_takes_is_a_number(kind):
    assert first_verdict("cross_entropy", lambda p, y: kind(solutions.cross_entropy(p, y))).passed
