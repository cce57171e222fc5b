"""A bad argument is refused by a message that names it and shows its value.

Every row of the tables holds a bad value of an argument, its exception and a part of the message.
"""

import inspect
import re

import numpy as np
import pytest
import torch
from torch import nn

from nnweek.experiments import train_baseline, train_model_with_optimizer, train_together
from nnweek.gradcheck import draw_parameters, grad_check, gradient_report, numerical_gradient
from nnweek.loaders import BatchLoader, make_loaders
from nnweek.models import MNISTMLP
from nnweek.optimizers import make_optimizer
from nnweek.plots import plot_points
from nnweek.runtime import set_seed
from nnweek.scratch import TwoLayerMLP, train_numpy
from nnweek.statistics import accuracy_interval
from nnweek.toy import make_toy_data
from nnweek.training import accuracy, evaluate, fit, train_one_epoch

X = np.linspace(-1, 1, 12).reshape(4, 3)
Y = np.array([0, 1, 1, 0])


def network():
    return {"self": TwoLayerMLP(3, 5, 2)}


def numpy_training():
    return {"model": TwoLayerMLP(3, 5, 2), "X": X, "y": Y}


def backward():
    model = TwoLayerMLP(3, 5, 2)
    _, probs, cache = model.loss(X, Y)
    return {"self": model, "probs": probs, "cache": cache, "y": Y}


def torch_training():
    model = MNISTMLP(784, 2, 10)
    loader = BatchLoader(torch.zeros(4, 1, 28, 28), torch.arange(4), 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return model, loader, optimizer


def one_pass():
    names = "model", "loader", "optimizer", "criterion"
    return dict(zip(names, [*torch_training(), nn.CrossEntropyLoss()], strict=True))


def training_run():
    model, loader, optimizer = torch_training()
    loaders = {"train_loader": loader, "val_loader": loader}
    return {"model": model, **loaders, "optimizer": optimizer, "epochs": 1}


def comparison():
    _, loader, _ = torch_training()
    loaders = {"train_loader": loader, "val_loader": loader}
    return {"optimizer_name": "SGD", "epochs": 1, "lr": 0.1, **loaders}


GOOD = {
    set_seed: lambda: {"seed": 1},
    make_toy_data: lambda: {"n_per_class": 2},
    TwoLayerMLP: lambda: {
        **{"input_dim": 3, "hidden_dim": 5, "output_dim": 2},
        **{"activation": "tanh", "weight_scale": 0.1},
    },
    TwoLayerMLP.forward: lambda: {**network(), "X": X},
    TwoLayerMLP.predict: lambda: {**network(), "X": X},
    TwoLayerMLP.loss: lambda: {**network(), "X": X, "y": Y},
    TwoLayerMLP.backward: backward,
    TwoLayerMLP.softmax: lambda: {"logits": X},
    TwoLayerMLP.cross_entropy: lambda: {"probs": np.full((4, 2), 0.5), "y": Y},
    train_numpy: lambda: {**numpy_training(), "lr": 0.1, "epochs": 2, "verbose": False},
    grad_check: lambda: {**numpy_training(), "eps": 1e-5, "samples": 2},
    draw_parameters: lambda: {"shapes": {"W1": (3, 5)}, "scale": 0.5},
    gradient_report: lambda: {
        **{
            "loss": lambda params: params["W1"].sum(),
            "params": {"W1": X},
            "grads": [np.ones((4, 3))],
        },
        "eps": 1e-5,
    },
    numerical_gradient: lambda: {"f": np.sum, "x": X, "eps": 1e-5},
    MNISTMLP: lambda: {"in_dim": 3, "hidden": 2, "num_classes": 2},
    accuracy: lambda: {"pred_logits": torch.zeros(4, 2), "targets": torch.tensor(Y)},
    train_one_epoch: one_pass,
    evaluate: lambda: {k: v for k, v in one_pass().items() if k != "optimizer"},
    fit: training_run,
    train_model_with_optimizer: comparison,
    train_together: lambda: {"models": [MNISTMLP(784, 2, 10)], "every": 1, **comparison()},
    make_optimizer: lambda: {"name": "SGD", "model": MNISTMLP(3, 2, 2), "lr": 0.1},
    accuracy_interval: lambda: {"acc": 0.9, "n": 10},
    make_loaders: lambda: {"batch_size": 8, "val_ratio": 0.1, "device": "cpu"},
    train_baseline: lambda: {"epochs": 1, "lr": 0.1, "batch_size": 32, "device": "cpu"},
    plot_points: lambda: {"X": X[:, :2], "y": Y, "title": "t"},
}
NEEDS_DIGITS = {make_loaders, train_baseline}


NAN, INF = float("nan"), float("inf")
COUNTS = [
    (0, ValueError, "0"),
    (-3, ValueError, "-3"),
    (2.5, TypeError, "2.5"),
    (2.0, TypeError, "2.0"),
    (True, TypeError, "True"),
    ("3", TypeError, "'3'"),
    (None, TypeError, "None"),
]
RATES = [
    (0, ValueError, "0"),
    (-0.1, ValueError, "-0.1"),
    (NAN, ValueError, "nan"),
    (INF, ValueError, "inf"),
    ("0.1", TypeError, "'0.1'"),
    ("fast", TypeError, "'fast'"),
    (True, TypeError, "True"),
    (None, TypeError, "None"),
    ([0.1], TypeError, "[0.1]"),
]
MATRICES = [
    (X[:, :2], ValueError, "(4, 2)"),
    (X.T, ValueError, "(3, 4)"),
    (X[0], ValueError, "(3,)"),
    (X[None], ValueError, "(1, 4, 3)"),
    (X[:0], ValueError, "empty"),
    (np.where(X[1, 2] == X, NAN, X), ValueError, "X[1, 2] is nan"),
    (np.where(X[3, 0] == X, INF, X), ValueError, "X[3, 0] is inf"),
    (X.astype(str), TypeError, "<U"),
    (X.astype(complex), TypeError, "complex128"),
    (None, TypeError, "object"),
]
LABELS = [
    (np.array([0, 1, 2, 0]), ValueError, "contains 2"),
    (np.array([0, 1, -1, 0]), ValueError, "contains -1"),
    (Y[:3], ValueError, "(3,)"),
    (Y[:, None], ValueError, "(4, 1)"),
    (np.eye(2, dtype=int)[Y], ValueError, "(4, 2)"),
    (Y.astype(float), TypeError, "float64"),
    (Y == 1, TypeError, "bool"),
    (Y.astype(str), TypeError, "<U"),
    (None, TypeError, "object"),
]
ACTIVATIONS = [
    ("ReLU", ValueError, "'ReLU'"),
    ("softmax", ValueError, "'softmax'"),
    (None, ValueError, "None"),
    (["relu"], ValueError, "['relu']"),
]
OPTIMIZERS = [
    ("RMSprop", ValueError, "'RMSprop'"),
    ("", ValueError, "''"),
    (None, ValueError, "None"),
    (torch.optim.SGD, ValueError, "torch.optim.sgd.SGD"),
]
SEEDS = [
    (-1, ValueError, "-1"),
    (2**32, ValueError, "4294967296"),
    (1.0, TypeError, "1.0"),
    (True, TypeError, "True"),
    ("42", TypeError, "'42'"),
    (None, TypeError, "None"),
]
SHARES = [
    (97.65, ValueError, "97.65"),
    (-0.1, ValueError, "-0.1"),
    (NAN, ValueError, "nan"),
    ("0.9", TypeError, "'0.9'"),
    (None, TypeError, "None"),
]
TABLE = [
    (set_seed, "seed", SEEDS),
    (make_toy_data, "n_per_class", COUNTS),
    (TwoLayerMLP, "input_dim", COUNTS),
    (TwoLayerMLP, "hidden_dim", COUNTS),
    (TwoLayerMLP, "output_dim", COUNTS),
    (TwoLayerMLP, "weight_scale", RATES),
    (TwoLayerMLP, "activation", ACTIVATIONS),
    (TwoLayerMLP.forward, "X", MATRICES),
    (TwoLayerMLP.predict, "X", MATRICES),
    (TwoLayerMLP.loss, "X", MATRICES),
    (TwoLayerMLP.loss, "y", LABELS),
    (TwoLayerMLP.backward, "y", LABELS),
    (TwoLayerMLP.softmax, "logits", [(X[0], ValueError, "(3,)"), (X[None], ValueError, "(1, 4, 3)")]),
    (TwoLayerMLP.cross_entropy, "y", LABELS),
    (TwoLayerMLP.cross_entropy, "probs", [(X[0], ValueError, "(3,)"), (0.5, ValueError, "()")]),
    (train_numpy, "X", MATRICES),
    (train_numpy, "y", LABELS),
    (train_numpy, "lr", RATES),
    (train_numpy, "epochs", COUNTS),
    (grad_check, "X", MATRICES),
    (grad_check, "y", LABELS),
    (grad_check, "eps", RATES),
    (grad_check, "samples", COUNTS),
    (draw_parameters, "scale", RATES),
    (gradient_report, "grads", [([], ValueError, "grads must have one gradient")]),
    (gradient_report, "eps", RATES),
    (numerical_gradient, "eps", RATES),
    (MNISTMLP, "in_dim", COUNTS),
    (MNISTMLP, "hidden", COUNTS),
    (MNISTMLP, "num_classes", COUNTS),
    (
        accuracy,
        "pred_logits",
        [(torch.zeros(3, 2), ValueError, "(3, 2)"), (torch.zeros(4), ValueError, "(4,)")],
    ),
    (
        accuracy,
        "targets",
        # Comparing (N, 1) with (N,) would broadcast to (N, N).
        [(torch.tensor(Y)[:, None], ValueError, "(4, 1)"), (torch.tensor(Y)[:2], ValueError, "(2,)")],
    ),
    (train_one_epoch, "loader", [([], ValueError, "no batch")]),
    (evaluate, "loader", [([], ValueError, "no batch")]),
    (fit, "epochs", COUNTS),
    (fit, "train_loader", [([], ValueError, "no batch")]),
    (fit, "val_loader", [([], ValueError, "no batch")]),
    (train_model_with_optimizer, "optimizer_name", OPTIMIZERS),
    (train_model_with_optimizer, "epochs", COUNTS),
    (train_model_with_optimizer, "lr", RATES),
    (
        train_model_with_optimizer,
        "train_loader",
        [(None, ValueError, "together"), ([], ValueError, "no batch")],
    ),
    (train_model_with_optimizer, "val_loader", [(None, ValueError, "together")]),
    (
        train_together,
        "models",
        [
            ([], ValueError, "models is empty"),
            ([nn.Sequential(nn.Flatten(), nn.BatchNorm1d(784))], ValueError, "BatchNorm"),
        ],
    ),
    (train_together, "train_loader", [([[], []], ValueError, "must be one loader or 1")]),
    (train_together, "val_loader", [([], ValueError, "val_loader yielded no batch")]),
    (train_together, "optimizer_name", OPTIMIZERS),
    (train_together, "lr", [*RATES[:6], ([0.1, 0.2], ValueError, "(2,)")]),
    (train_together, "epochs", COUNTS),
    (train_together, "every", [row for row in COUNTS if row[0] is not None]),
    (make_optimizer, "name", OPTIMIZERS),
    (make_optimizer, "lr", RATES),
    (accuracy_interval, "acc", SHARES),
    (accuracy_interval, "n", COUNTS),
    (make_loaders, "batch_size", COUNTS),
    (make_loaders, "val_ratio", [*SHARES, (0, ValueError, "0"), (1, ValueError, "1")]),
    (train_baseline, "epochs", COUNTS),
    (train_baseline, "lr", RATES),
    (train_baseline, "batch_size", COUNTS),
    (plot_points, "X", [(X, ValueError, "(4, 3)")]),
    (plot_points, "y", [(Y[:3], ValueError, "(3,)"), (Y + 6, ValueError, "contains 6"), (Y / 2, TypeError, "float64")]),
]  # fmt: skip


@pytest.fixture
def good(digits):
    """Makes the arguments of a valid call."""
    return lambda function: (
        GOOD[function]() | ({"data": digits} if function in NEEDS_DIGITS else {})
    )


@pytest.mark.parametrize("function", GOOD, ids=lambda function: function.__qualname__)
def test_valid_arguments_are_accepted(function, good, shown):
    function(**good(function))


@pytest.mark.parametrize(
    ("function", "argument", "rows"),
    TABLE,
    ids=[f"{function.__qualname__}-{argument}" for function, argument, _ in TABLE],
)
def test_error_names_the_argument_and_shows_its_value(function, argument, rows, good, shown):
    for value, exception, expected in rows:
        arguments = good(function)
        assert argument in arguments

        with pytest.raises(exception, match=re.escape(expected)) as refusal:
            function(**arguments | {argument: value})

        assert re.search(rf"\b{argument}\b", str(refusal.value)) or expected == "no batch"
        assert type(refusal.value) is exception


@pytest.mark.parametrize(
    "function", dict.fromkeys(row[0] for row in TABLE), ids=lambda function: function.__qualname__
)
def test_docstring_lists_the_errors(function):
    raised = {row[1] for other, _, rows in TABLE if other is function for row in rows}
    section = (inspect.getdoc(function) or "").partition("\nRaises:\n")[2]
    missing = {exception.__name__ for exception in raised if exception.__name__ not in section}
    assert not missing
