"""A small training run on CPU, for the tests of training, checkpoints and experiments."""

from dataclasses import asdict

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nnweek.loaders import BatchLoader
from nnweek.models import MNISTMLP
from nnweek.training import fit

N, FEATURES, CLASSES = 20, 12, 3
BATCH_SIZE = 8  # 20 examples make batches of 8, 8 and 4


def make_data():
    images = torch.randn(N, 1, 3, 4, generator=torch.Generator().manual_seed(0))
    return images, torch.arange(N) % CLASSES


def batch_loader(data):
    return BatchLoader(*data, BATCH_SIZE, shuffle_seed=5)


def in_order(data):
    return BatchLoader(*data, BATCH_SIZE)


def torch_loader(data):
    generator = torch.Generator().manual_seed(5)
    return DataLoader(TensorDataset(*data), BATCH_SIZE, shuffle=True, generator=generator)


def plain():
    return MNISTMLP(FEATURES, 8, CLASSES)


def with_dropout():
    """Dropout draws random numbers at every step; batch norm keeps running averages."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(FEATURES, 8),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(8, CLASSES),
    )


def make(network, seed=0):
    torch.manual_seed(seed)
    return network()


def sgd(model, lr=0.1):
    return torch.optim.SGD(model.parameters(), lr=lr)


def momentum(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def adam(model):
    return torch.optim.Adam(model.parameters(), lr=0.01)


def snapshot(state):
    """A `state_dict` as plain values that can be compared with ==, bit for bit."""
    if isinstance(state, torch.Tensor):
        return state.dtype, state.shape, state.numpy().tobytes()
    if isinstance(state, dict):
        return {key: snapshot(value) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return [snapshot(value) for value in state]
    return state


def curves(history):
    """A `History` without its seconds, which differ from run to run."""
    return {name: values for name, values in asdict(history).items() if name != "seconds"}


def on_each_batch(model, action):
    """Call `action(k)` before the model sees its k-th batch, in training or validation."""
    calls = iter(range(1, 10_000))
    model.register_forward_pre_hook(lambda *_: action(next(calls)))


def run_fit(data, network=plain, optimizer=sgd, *, epochs=3, seed=0, stop_at=None, **options):
    """Train from scratch; return the history, the model's state and the optimizer's.

    `stop_at` presses Ctrl-C at that batch. An epoch has three batches of training, then three
    of validation.
    """

    def press_ctrl_c(batch):
        if batch == stop_at:
            raise KeyboardInterrupt

    model = make(network, seed)
    steps = optimizer(model)
    on_each_batch(model, press_ctrl_c)
    history = fit(model, batch_loader(data), in_order(data), steps, epochs=epochs, **options)
    return history, snapshot(model.state_dict()), snapshot(steps.state_dict())
