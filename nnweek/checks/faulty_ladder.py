"""A ladder from NumPy to a loader with one wrong rung, to be found by measuring (Day 31).

Every rung takes the same steps with another part of PyTorch. This module needs PyTorch.
"""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nnweek.scratch import TwoLayerMLP

_D, _H, _C = 3, 5, 4
_LR = 0.5


def second_ladder(examples=8, steps=1, seed=1):
    """Climb a ladder of which one rung is wrong. Introduced on Day 31.

    Args:
        examples: how many examples each step uses.
        steps: how many steps are taken, at least 1.
        seed: of the examples.

    Returns:
        {rung: (loss, gradients, parameters)} of the last step, the parameters after it; both are
        lists of four arrays in the layout of Day 29.
    """
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((examples, _D))
    y = rng.integers(0, _C, size=examples)
    return {name: rung(X, y, steps) for name, rung in _RUNGS.items()}


def _numpy(X, y, steps):
    network = _start()
    for _ in range(steps):
        loss, probs, cache = network.loss(X, y)
        gradients = network.backward(probs, cache, y)
        for name, gradient in zip(("W1", "b1", "W2", "b2"), gradients, strict=True):
            setattr(network, name, getattr(network, name) - _LR * gradient)
    return loss, gradients, [network.W1, network.b1, network.W2, network.b2]


def _autograd(X, y, steps):
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    network = _start()
    parameters = [
        torch.tensor(p, requires_grad=True)
        for p in (network.W1, network.b1, network.W2, network.b2)
    ]
    for _ in range(steps):
        W1, b1, W2, b2 = parameters
        scores = torch.relu(X @ W1 + b1) @ W2 + b2
        loss = (scores.logsumexp(dim=1) - scores[torch.arange(len(y)), y]).mean()
        gradients = torch.autograd.grad(loss, parameters)
        parameters = [
            (p - _LR * g).detach().requires_grad_()
            for p, g in zip(parameters, gradients, strict=True)
        ]
    return _as_on_day_29(loss, gradients, parameters)


def _layers(X, y, steps):
    X, y, model = torch.from_numpy(X), torch.from_numpy(y), _model()
    for _ in range(steps):
        model.zero_grad()
        loss = nn.functional.cross_entropy(model(X), y)
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= _LR * p.grad
    return _as_on_day_29(loss, [p.grad for p in model.parameters()], model.parameters())


def _optimizer(X, y, steps):
    X, y, model = torch.from_numpy(X), torch.from_numpy(y), _model()
    criterion, optimizer = nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), lr=_LR)
    for _ in range(steps):  # the bug: nothing clears the gradients between two steps
        loss = criterion(model(X), y)
        loss.backward()
        optimizer.step()
    return _as_on_day_29(loss, [p.grad for p in model.parameters()], model.parameters())


def _loader(X, y, steps):
    dataset, model = TensorDataset(torch.from_numpy(X), torch.from_numpy(y)), _model()
    criterion, optimizer = nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), lr=_LR)
    loader = DataLoader(dataset, batch_size=3)
    for _ in range(steps):
        optimizer.zero_grad()
        total = 0.0
        for X_batch, y_batch in loader:
            loss = criterion(model(X_batch), y_batch) * len(y_batch) / len(dataset)
            loss.backward()
            total = total + loss.detach()
        optimizer.step()
    return _as_on_day_29(total, [p.grad for p in model.parameters()], model.parameters())


_RUNGS = {
    "0 NumPy": _numpy,
    "2 autograd": _autograd,
    "5 nn.Linear": _layers,
    "6 optimizer": _optimizer,
    "7 loader": _loader,
}


def _start():
    return TwoLayerMLP(_D, _H, _C, weight_scale=0.5, seed=0)


def _model():
    """Make the network of `_start` from layers, in 64 bits."""
    network, model = _start(), nn.Sequential(nn.Linear(_D, _H), nn.ReLU(), nn.Linear(_H, _C))
    model = model.double()
    with torch.no_grad():
        for layer, W, b in ((model[0], network.W1, network.b1), (model[2], network.W2, network.b2)):
            layer.weight.copy_(torch.from_numpy(W.T))
            layer.bias.copy_(torch.from_numpy(b[0]))
    return model


def _as_on_day_29(loss, gradients, parameters):
    """Return the numbers of a rung; what `nn.Linear` stores as (out, in) is transposed back."""

    def arrays(tensors):
        for shape, tensor in zip(((_D, _H), (1, _H), (_H, _C), (1, _C)), tensors, strict=True):
            array = tensor.detach().numpy().copy()
            yield array if array.shape == shape else array.T.reshape(shape)

    return loss.item(), list(arrays(gradients)), list(arrays(parameters))
