"""The checks of Day 31: every mistake is named in several styles, every right answer passes.

The submissions are written independently of the checks' own variants. Each exercise has three
styles; a style takes the bugs to inject.
"""

import functools
import itertools
import re
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nnweek import checks
from nnweek.checks import loops, solutions
from nnweek.checks.faulty_ladder import second_ladder
from nnweek.checks.instrumented_loops import TrainingFixture
from nnweek.models import MNISTMLP
from support.notebooks import SOURCES
from support.promises import cases, promises, right_answers
from support.submissions import first_verdict, style

IDS = {
    "mlp": "softmax-output log-softmax-output relu-on-logits no-nonlinearity unregistered-layers "
    "wrong-width missing-hidden-layer no-flatten one-network swapped-sizes dropout-on-logits",
    "train_step": "no-zero-grad no-backward no-step step-before-backward zero-grad-after-backward "
    "returns-graph softmax-before-loss eval-mode swapped-arguments criterion-class "
    "argmax-before-loss times-batch-size not-called",
    "accumulate": "no-zero-grad no-backward no-step step-in-loop cleared-in-loop last-batch-only "
    "first-batch-only unweighted not-divided sum-of-means-over-examples returns-graph eval-mode "
    "one-large-batch",
    "to_tensors": "double-images integer-images not-scaled integer-division no-channel-axis "
    "float-labels labels-not-long one-hot-labels not-moved left-behind swapped-pair normalised",
    "seeded_loader": "swapped-pair labels-separated drops-last wrong-size batch-size-ignored "
    "one-epoch-only wrong-length not-shuffled global-seed unseeded same-order ignores-seed",
    "read_autograd": "ignores-detach one-path missing-inner-slope records-without-recording "
    "overwrites grad-of-an-input grad-of-a-result first-operation",
    "wrong_rung": "rung-is-right loss-would-differ one-step-would-show-it needs-unequal-batches "
    "gradients-would-be-right",
}
IDS = {name: ids.split() for name, ids in IDS.items()}


def widths(bugs):
    hidden = [256] if "missing-hidden-layer" in bugs else [256, 256]
    if "wrong-width" in bugs:
        hidden[-1] = 128
    return [784, *hidden, 10]


class InAList(nn.Module):
    """Layers in a container that a module does not search."""

    def __init__(self, layers, kind):
        super().__init__()
        if kind == "dict":
            self.layers = dict(enumerate(layers))
        elif kind == "some":
            self.first, self.layers = layers[0], layers[1:]
        else:
            self.layers = kind(layers)

    def forward(self, x):
        layers = self.layers.values() if isinstance(self.layers, dict) else self.layers
        if hasattr(self, "first"):
            x = self.first(x)
        for layer in layers:
            x = layer(x)
        return x


def made_once(make):
    """Return a style whose networks, with the bug "one-network", share some of their weights."""

    @functools.wraps(make)
    def with_bugs(bugs):
        return functools.cache(make(bugs)) if "one-network" in bugs else make(bugs)

    return with_bugs


@made_once
@style
def mlp_sequential(bugs):
    sizes = widths(bugs)
    layers = [] if "no-flatten" in bugs else [nn.Flatten()]
    for i, o in itertools.pairwise(sizes[:-1]):
        layers.append(nn.Linear(*((o, i) if "swapped-sizes" in bugs else (i, o))))
        if "no-nonlinearity" not in bugs:
            layers.append(nn.ReLU(inplace=True))
    layers.append(nn.Linear(sizes[-2], sizes[-1]))
    if "relu-on-logits" in bugs:
        layers.append(nn.ReLU())
    if "softmax-output" in bugs:
        layers.append(nn.Softmax(dim=-1))
    if "log-softmax-output" in bugs:
        layers.append(nn.LogSoftmax(dim=1))
    if "dropout-on-logits" in bugs:
        layers.append(nn.Dropout())
    return InAList(layers, list) if "unregistered-layers" in bugs else nn.Sequential(*layers)


last_layer = functools.cache(lambda size: nn.Linear(size, 10))


@style
def mlp_functional(bugs):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            sizes = widths(bugs)
            self.fc1 = nn.Linear(784, sizes[1])
            self.fc2 = nn.Linear(sizes[1], sizes[-2])
            self.fc3 = nn.Linear(sizes[-2], 10)
            if "swapped-sizes" in bugs:
                self.fc3 = nn.Linear(10, sizes[-2])
            if "one-network" in bugs:
                self.fc3 = last_layer(sizes[-2])
            if "unregistered-layers" in bugs:
                self.hidden = (self.__dict__["_modules"].pop("fc2"),)

        def forward(self, x):
            nonlinearity = (lambda z: z) if "no-nonlinearity" in bugs else F.relu
            if "no-flatten" not in bugs:
                x = x.view(x.size(0), -1)
            x = nonlinearity(self.fc1(x))
            if "unregistered-layers" in bugs:
                x = nonlinearity(self.hidden[0](x))
            elif "missing-hidden-layer" not in bugs:
                x = nonlinearity(self.fc2(x))
            x = self.fc3(x)
            if "dropout-on-logits" in bugs:
                x = F.dropout(x, 0.2, training=self.training)
            if "relu-on-logits" in bugs:
                x = x.clamp(min=0)
            if "softmax-output" in bugs:
                return F.softmax(x, dim=1)
            return F.log_softmax(x, dim=1) if "log-softmax-output" in bugs else x

    return Net()


shared_bias = nn.Parameter(torch.zeros(1, 10))


@style
def mlp_matrices(bugs):
    """Weights as plain parameters, stored as (in, out)."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            own = (lambda t: t) if "unregistered-layers" in bugs else nn.Parameter
            sizes = list(itertools.pairwise(widths(bugs)))
            for n, (i, o) in enumerate(sizes):
                shape = (o, i) if "swapped-sizes" in bugs else (i, o)
                setattr(self, f"W{n}", own(torch.randn(shape) * (2 / i) ** 0.5))
                setattr(self, f"b{n}", own(torch.zeros(1, o)))
            if "one-network" in bugs:
                setattr(self, f"b{n}", shared_bias)
            self.count = len(sizes)

        def forward(self, x):
            if "no-flatten" not in bugs:
                x = x.reshape(-1, 28 * 28)
            for n in range(self.count):
                x = x @ getattr(self, f"W{n}") + getattr(self, f"b{n}")
                last = n == self.count - 1
                if "relu-on-logits" in bugs or not (last or "no-nonlinearity" in bugs):
                    x = torch.maximum(x, torch.zeros_like(x))
            if {"softmax-output", "log-softmax-output"} & bugs:
                x = torch.exp(x) / torch.exp(x).sum(dim=1, keepdim=True)
            if "dropout-on-logits" in bugs and self.training:
                x = x * (torch.rand_like(x) < 0.8)
            return x.log() if "log-softmax-output" in bugs else x

    return Net()


class Deep(nn.Module):
    """Sizes and functions are arguments; the middle is a `ModuleList`."""

    def __init__(
        self,
        sizes=(784, 256, 256, 10),
        nonlinearity=torch.relu,
        finish=lambda z: z,
        flat=True,
        bias=True,
    ):
        super().__init__()
        layers = (nn.Linear(i, o, bias=bias) for i, o in itertools.pairwise(sizes))
        self.layers = nn.ModuleList(layers)
        self.nonlinearity, self.finish, self.flat = nonlinearity, finish, flat

    def forward(self, x):
        x = torch.flatten(x, start_dim=1) if self.flat else x
        for layer in self.layers[:-1]:
            x = self.nonlinearity(layer(x))
        return self.finish(self.layers[-1](x))


class Einsum(nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = nn.ParameterList(
            nn.Parameter(torch.randn(o, i) / i**0.5) for i, o in [(784, 256), (256, 256), (256, 10)]
        )
        sizes = {"first": 256, "second": 256, "last": 10}
        self.biases = nn.ParameterDict({name: torch.zeros(n) for name, n in sizes.items()})

    def forward(self, x):
        x = x.reshape(len(x), -1)
        x = torch.einsum("bi,oi->bo", x, self.weights[0]) + self.biases["first"]
        x = torch.einsum("bi,oi->bo", x * (x > 0), self.weights[1]) + self.biases["second"]
        x = torch.where(x > 0, x, 0.0)
        return torch.einsum("bi,oi->bo", x, self.weights[2]) + self.biases["last"]


def normalised(make):
    """Return a network with a normalisation before its first ReLU."""
    return lambda: nn.Sequential(*solutions.mlp()[:2], make(), *solutions.mlp()[2:])


def without_biases():
    """Batch norm has a bias of its own."""
    layers = [nn.Flatten()]
    for i, o in ((784, 256), (256, 256)):
        layers += [nn.Linear(i, o, bias=False), nn.BatchNorm1d(o), nn.Dropout(0.1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(256, 10))


class Lazy(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.LazyLinear(256), nn.ReLU(), nn.LazyLinear(256), nn.ReLU())
        self.head = nn.LazyLinear(10)

    def forward(self, x):
        return self.head(self.body(x.flatten(1)))


class Convolution(nn.Module):
    """The first layer as a convolution with a kernel as large as the image."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 256, 28)
        self.rest = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(256, 256), nn.ReLU(),
                                  nn.Linear(256, 10))  # fmt: skip

    def forward(self, x):
        return self.rest(self.first(x))


def with_dropout():
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, 256),
        nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, 10),
    )  # fmt: skip


def all_zero():
    model = solutions.mlp()
    for p in model.parameters():
        nn.init.zeros_(p)
    return model


@style
def step_plain(bugs, model, images, labels, optimizer, criterion):
    if "eval-mode" in bugs:
        model.eval()
    if "not-called" in bugs:
        optimizer.zero_grad  # noqa: B018
    elif not {"no-zero-grad", "zero-grad-after-backward"} & bugs:
        optimizer.zero_grad()
    logits = model(images)
    if "softmax-before-loss" in bugs:
        logits = F.softmax(logits, dim=1)
    if "argmax-before-loss" in bugs:
        logits = logits.argmax(dim=1)
    if "criterion-class" in bugs:
        criterion = nn.CrossEntropyLoss
    loss = criterion(labels, logits) if "swapped-arguments" in bugs else criterion(logits, labels)
    if "times-batch-size" in bugs:
        loss = loss * len(images)
    if "step-before-backward" in bugs:
        optimizer.step()
    if "no-backward" not in bugs:
        loss.backward()
    if "zero-grad-after-backward" in bugs:
        optimizer.zero_grad()
    if not {"no-step", "step-before-backward"} & bugs:
        optimizer.step()
    return loss if "returns-graph" in bugs else loss.item()


@style
def step_closure(bugs, model, images, labels, optimizer, criterion):
    """Everything in a closure; gradients are cleared to zeros through the model."""
    model.train("eval-mode" not in bugs)

    def closure():
        if "no-zero-grad" not in bugs and "zero-grad-after-backward" not in bugs:
            model.zero_grad(set_to_none=False)
        scores = model(images)
        if "softmax-before-loss" in bugs:
            scores = torch.softmax(scores, -1)
        if "argmax-before-loss" in bugs:
            scores = F.one_hot(scores.max(1)[1], 10).float()
        if "criterion-class" in bugs:
            return nn.CrossEntropyLoss(scores, labels)
        if "swapped-arguments" in bugs:
            scores, labels_ = labels.float(), scores
        else:
            labels_ = labels
        loss = criterion(scores, target=labels_)
        if not {"no-backward", "step-before-backward"} & bugs:
            loss.backward()
        if "zero-grad-after-backward" in bugs:
            model.zero_grad(set_to_none=False)
        return loss

    if "not-called" in bugs:
        loss, _ = closure(), optimizer.step
    else:
        loss = closure() if "no-step" in bugs else optimizer.step(closure)
    if "step-before-backward" in bugs:
        loss.backward()
    if "times-batch-size" in bugs:
        loss = loss * labels.shape[0]
    return loss.clone() if "returns-graph" in bugs else loss.detach()


@style
def step_by_hand(bugs, model, images, labels, optimizer, criterion):
    """Gradients from `torch.autograd.grad`, assigned to `.grad` and cleared at the end."""
    if "eval-mode" in bugs:
        for module in model.modules():
            module.training = False
    parameters = list(model.parameters())
    output = model.forward(images)
    if "softmax-before-loss" in bugs:
        output = nn.Softmax(dim=1)(output)
    if "argmax-before-loss" in bugs:
        output, labels = output.argmax(1).float().requires_grad_(), labels.float()
    if "criterion-class" in bugs:
        loss = type(criterion)(output, labels)
    elif "swapped-arguments" in bugs:
        loss = criterion(input=labels, target=output)
    else:
        loss = criterion(output, labels)
    if "step-before-backward" in bugs:
        optimizer.step()
    if "no-backward" not in bugs:
        for p, g in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            if "no-zero-grad" in bugs:
                p.grad = g if p.grad is None else p.grad + g
            else:
                p.grad = g
    if "zero-grad-after-backward" in bugs:
        for p in parameters:
            p.grad = None
    if "not-called" in bugs:
        optimizer.step  # noqa: B018
    elif not {"no-step", "step-before-backward"} & bugs:
        optimizer.step()
    if not {"no-zero-grad", "no-step", "step-before-backward"} & bugs:
        for p in parameters:
            p.grad = None
    if "times-batch-size" in bugs:
        loss = loss * labels.numel()
    return loss * 1 if "returns-graph" in bugs else float(loss.detach())


def cleared_at_the_end(model, images, labels, optimizer, criterion, *, verbose=False):
    loss = criterion(model(images), labels)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    return np.float64(loss.item())


def cleared_in_between(model, images, labels, optimizer, criterion):
    model.train()
    prediction = model(images)
    optimizer.zero_grad()
    loss = criterion(prediction, labels)
    torch.autograd.backward([loss])
    optimizer.step()
    return loss.detach().cpu().numpy()


def moved_to_the_models_device(model, images, labels, optimizer, criterion):
    device = next(model.parameters()).device
    images, labels = images.to(device), labels.to(device)
    for group in optimizer.param_groups:
        for p in group["params"]:
            p.grad = None
    loss = criterion(model(images.view(images.size(0), -1)), labels)
    loss.backward()
    optimizer.step()
    return loss.data


def log_softmax_is_harmless(model, *rest):
    """The log-probabilities have the same cross-entropy as the logits."""
    return solutions.train_step(nn.Sequential(model, nn.LogSoftmax(dim=1)), *rest)


def evaluates_on_the_way(model, images, labels, optimizer, criterion):
    model.eval()
    with torch.no_grad():
        model(images[:1])
    model.train()
    return solutions.train_step(model, images, labels, optimizer, criterion)


def weight_of(bugs, size, count, batches):
    if "unweighted" in bugs:
        return 1 / batches
    if "not-divided" in bugs:
        return 1.0
    return 1 / count if "sum-of-means-over-examples" in bugs else size / count


def chosen(bugs, batches):
    batches = list(batches)
    if "one-large-batch" in bugs:
        batches = [tuple(torch.cat(part) for part in zip(*batches, strict=True))]
    if "first-batch-only" in bugs:
        batches = batches[:1]
    return batches[-1:] if "last-batch-only" in bugs else batches


@style
def accumulate_plain(bugs, model, batches, optimizer, criterion):
    if "eval-mode" in bugs:
        model.eval()
    batches = chosen(bugs, batches)
    count = sum(len(y) for _, y in batches)
    if not {"no-zero-grad", "cleared-in-loop"} & bugs:
        optimizer.zero_grad()
    total = 0
    for x, y in batches:
        if "cleared-in-loop" in bugs:
            optimizer.zero_grad()
        loss = criterion(model(x), y) * weight_of(bugs, len(y), count, len(batches))
        if "no-backward" not in bugs:
            loss.backward(retain_graph="returns-graph" in bugs)
        if "step-in-loop" in bugs:
            optimizer.step()
        total = total + (loss if "returns-graph" in bugs else loss.item())
    if not {"no-step", "step-in-loop"} & bugs:
        optimizer.step()
    return total


@style
def accumulate_scaled_later(bugs, model, batches, optimizer, criterion):
    """Sums of losses first; each gradient is divided at the end."""
    model.train("eval-mode" not in bugs)
    batches = chosen(bugs, batches)
    sizes = [y.shape[0] for _, y in batches]
    losses = []
    if "no-zero-grad" not in bugs:
        model.zero_grad()
    for number, (x, y) in enumerate(batches):
        if "cleared-in-loop" in bugs and number:
            model.zero_grad(set_to_none=False)
        loss = criterion(model(x), y)
        share = weight_of(bugs, sizes[number], sum(sizes), len(sizes))
        if "no-backward" not in bugs:
            (share * sum(sizes) * loss / sum(sizes)).backward()
        losses.append(share * (loss if "returns-graph" in bugs else loss.detach()))
        if "step-in-loop" in bugs and "no-step" not in bugs:
            optimizer.step()
    if not {"no-step", "step-in-loop"} & bugs:
        optimizer.step()
    return sum(losses)


@style
def accumulate_by_hand(bugs, model, batches, optimizer, criterion):
    """Gradients from `torch.autograd.grad`, added up in a list; cleared at the end."""
    if "eval-mode" in bugs:
        model.eval()
    batches, parameters = chosen(bugs, batches), list(model.parameters())
    count, total = sum(len(y) for _, y in batches), 0.0
    gathered = [torch.zeros_like(p) for p in parameters]
    if "no-zero-grad" in bugs:
        gathered = [g if p.grad is None else p.grad for p, g in zip(parameters, gathered)]  # noqa: B905
    for x, y in batches:
        loss = criterion(model(x), y) * weight_of(bugs, len(y), count, len(batches))
        if "no-backward" not in bugs:
            found = torch.autograd.grad(loss, parameters, retain_graph=True)
            if "cleared-in-loop" in bugs:
                gathered = [torch.zeros_like(p) for p in parameters]
            gathered = [g + f for g, f in zip(gathered, found, strict=True)]
            for p, g in zip(parameters, gathered, strict=True):
                p.grad = g
        if "step-in-loop" in bugs:
            optimizer.step()
        total = total + (loss if "returns-graph" in bugs else float(loss.detach()))
    if not {"no-step", "step-in-loop"} & bugs:
        optimizer.step()
    if "no-zero-grad" not in bugs:
        for p in parameters:
            p.grad = None
    return total


def one_backward(model, batches, optimizer, criterion):
    count = sum(len(y) for _, y in batches)
    loss = sum(criterion(model(x), y) * len(y) / count for x, y in batches)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@style
def tensors_plain(bugs, images, labels, device):
    if "integer-division" in bugs:
        images = images // 255
    elif "not-scaled" not in bugs:
        images = images / 255  # 64 bits
    if "normalised" in bugs:
        images = (images - 0.1307) / 0.3081
    dtype = torch.float64 if "double-images" in bugs else torch.float32
    x = torch.tensor(images, dtype=torch.int32 if "integer-images" in bugs else dtype)
    if "no-channel-axis" not in bugs:
        x = x[:, None]
    y = torch.tensor(labels)
    if "float-labels" in bugs:
        y = y.float()
    elif "labels-not-long" not in bugs:
        y = y.long()
    if "one-hot-labels" in bugs:
        y = F.one_hot(y.long(), 10)
    if "not-moved" in bugs:
        x.to(device), y.to(device)
        return x, y
    x, y = x.to(device), y if "left-behind" in bugs else y.to(device)
    return (y, x) if "swapped-pair" in bugs else (x, y)


@style
def tensors_made_there(bugs, images, labels, device):
    """Made on the device; a list is returned."""
    there = "cpu" if "not-moved" in bugs else device
    shape = (-1, 28, 28) if "no-channel-axis" in bugs else (-1, 1, 28, 28)
    pixels = images.reshape(shape)
    x = torch.as_tensor(pixels, device="cpu" if "left-behind" in bugs else there)
    if "integer-division" in bugs:
        x = torch.div(x, 255, rounding_mode="floor")
        x = x.float()
    elif "integer-images" in bugs:
        x = (x / 255).to(torch.uint8)
    else:
        x = x.to(torch.float32) / (1 if "not-scaled" in bugs else 255)
    x = (x - 0.5) / 0.5 if "normalised" in bugs else x
    x = x.double() if "double-images" in bugs else x
    kind = torch.int16 if "labels-not-long" in bugs else torch.int64
    kind = torch.float64 if "float-labels" in bugs else kind
    y = torch.as_tensor(labels.tolist(), dtype=kind, device=there)
    if "one-hot-labels" in bugs:
        y = torch.eye(10, device=there)[y.long()]
    return [y, x] if "swapped-pair" in bugs else [x, y]


@style
def tensors_from_numpy(bugs, images, labels, device):
    """Everything in NumPy first."""
    x = images.astype(np.float64 if "double-images" in bugs else np.float32)
    x = np.floor(x / 255) if "integer-division" in bugs else x
    x = x if {"not-scaled", "integer-division"} & bugs else x / x.dtype.type(255)
    x = (x - x.dtype.type(0.2)) * 4 if "normalised" in bugs else x
    x = x if "no-channel-axis" in bugs else np.expand_dims(x, 1)
    x = (x * 255).astype(np.int64) if "integer-images" in bugs else x
    y = labels.astype(np.int32 if "labels-not-long" in bugs else np.int64)
    y = y.astype(np.float32) if "float-labels" in bugs else y
    y = np.eye(10, dtype=np.int64)[y.astype(int)] if "one-hot-labels" in bugs else y
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    if "not-moved" not in bugs:
        x = x.to(device)
        y = y if "left-behind" in bugs else y.to(device)
    return (y, x) if "swapped-pair" in bugs else (x, y)


def reads_numbers_at_the_end(images, labels, device):
    x, y = solutions.to_tensors(images, labels, device)
    assert x.max().item() <= 1
    return x, y


class Pairs(torch.utils.data.Dataset):
    def __init__(self, bugs, images, labels):
        self.bugs, self.images, self.labels = bugs, images, labels
        if "labels-separated" in bugs:
            self.labels = labels.roll(1)

    def __len__(self):
        return len(self.images) - (9 if "wrong-size" in self.bugs else 0)

    def __getitem__(self, i):
        pair = self.images[i], self.labels[i]
        return pair[::-1] if "swapped-pair" in self.bugs else pair


class WithoutLength:
    def __init__(self, loader):
        self.loader = loader

    def __iter__(self):
        return iter(self.loader)


@style
def loader_of_a_dataset(bugs, images, labels, batch_size, seed):
    generator = torch.Generator()
    generator.manual_seed(3 if "ignores-seed" in bugs else seed)
    if {"global-seed", "unseeded"} & bugs:
        generator = None
    if "global-seed" in bugs:
        torch.manual_seed(seed)
    loader = torch.utils.data.DataLoader(
        Pairs(bugs, images, labels),
        batch_size=2 if "batch-size-ignored" in bugs else batch_size,
        shuffle="not-shuffled" not in bugs,
        drop_last="drops-last" in bugs,
        generator=generator,
    )
    if "same-order" in bugs:
        loader = list(loader)
    if "wrong-length" in bugs:
        loader = WithoutLength(loader)
    return iter(loader) if "one-epoch-only" in bugs else loader


class Own:
    """No `DataLoader`: an object that permutes indices."""

    def __init__(self, bugs, images, labels, batch_size, seed):
        self.bugs, self.images, self.labels = bugs, images, labels
        self.batch_size = 4 if "batch-size-ignored" in bugs else batch_size
        self.epoch, self.seed = 0, 0 if "ignores-seed" in bugs else seed
        if "wrong-size" in bugs:
            self.images, self.labels = images[:-7], labels[:-7]

    def __len__(self):
        return len(self.images) // (1 if "wrong-length" in self.bugs else self.batch_size) + (
            len(self.images) % self.batch_size > 0
        )

    def __iter__(self):
        n, bugs = len(self.images), self.bugs
        if "one-epoch-only" in bugs and self.epoch:
            return
        if "global-seed" in bugs:
            np.random.seed(self.seed + self.epoch)
            order = np.random.permutation(n)
        elif "unseeded" in bugs:
            order = np.random.permutation(n)
        else:
            epoch = 0 if "same-order" in bugs else self.epoch
            order = np.random.default_rng([self.seed, epoch]).permutation(n)
        order = np.arange(n) if "not-shuffled" in bugs else order
        self.epoch += 1
        for start in range(0, n, self.batch_size):
            chosen = order[start : start + self.batch_size]
            if "drops-last" in bugs and start + self.batch_size >= n:
                return
            of_labels = chosen + ("labels-separated" in bugs)
            pair = self.images[chosen], self.labels[of_labels % n]
            yield pair[::-1] if "swapped-pair" in bugs else pair


@style
def loader_of_its_own(bugs, images, labels, batch_size, seed):
    return Own(bugs, images, labels, batch_size, seed)


def sampler_with_generator(images, labels, batch_size, seed):
    """The loader itself draws a number from the global generator, which does not change the order."""
    dataset = torch.utils.data.TensorDataset(images, labels)
    generator = torch.Generator().manual_seed(seed)
    sampler = torch.utils.data.RandomSampler(dataset, generator=generator)
    return torch.utils.data.DataLoader(dataset, batch_size, sampler=sampler)


def ready_made(images, labels, batch_size, seed):
    own = torch.Generator().manual_seed(seed)
    dataset = torch.utils.data.TensorDataset(images, labels)
    return torch.utils.data.DataLoader(dataset, batch_size, shuffle=True, generator=own)


def a_pair_as_dataset(images, labels, batch_size, seed):
    return torch.utils.data.DataLoader((images, labels), batch_size, shuffle=True)


def collated(images, labels, batch_size, seed):
    """A list of pairs as dataset, and a function that joins them."""
    return torch.utils.data.DataLoader(
        list(zip(images, labels, strict=True)),
        batch_size=batch_size,
        shuffle=True,
        generator=torch.Generator().manual_seed(seed),
        collate_fn=lambda pairs: tuple(torch.stack(part) for part in zip(*pairs, strict=True)),
    )


def in_forms(make):
    """Make three styles of a form's answers: a dictionary, a function, and with blanks filled later."""

    def a_function(bugs):
        return lambda: make(bugs)

    def partly_open(bugs):
        answers = make(bugs)
        right = make(set())
        changed = [key for key in answers if answers[key] != right[key]]
        return {key: value for key, value in answers.items() if not bugs or key in changed}

    return [make, a_function, partly_open]


def autograd_answers(bugs):
    w, b = 35.0, 14.0
    if "ignores-detach" in bugs:
        w, b = 41, 17
    if "one-path" in bugs:
        w, b = 28, 3
    if "missing-inner-slope" in bugs:
        w = 21
    leaves = {"w", "b"}
    leaves |= {"x"} if "grad-of-an-input" in bugs else set()
    leaves |= {"y"} if "grad-of-a-result" in bugs else set()
    return {
        "w.grad": w,
        "b.grad": b,
        "w.grad after a second pass": 35 if "overwrites" in bugs else 2 * w,
        "d.requires_grad": "records-without-recording" in bugs,
        "have a .grad": ", ".join(sorted(leaves)),
        "y.grad_fn": "MulBackward0" if "first-operation" in bugs else "AddBackward0",
    }


def rung_answers(bugs):
    causes = {
        "loss-would-differ": "softmax applied twice",
        "one-step-would-show-it": "computed in 32 bits",
        "needs-unequal-batches": "batches weighed equally",
        "gradients-would-be-right": "optimizer remembers earlier steps",
    }
    cause = next((causes[bug] for bug in causes if bug in bugs), "gradients were not cleared")
    return {"rung": 7 if "rung-is-right" in bugs else 6, "cause": cause}


STYLES = {
    "mlp": [mlp_sequential, mlp_functional, mlp_matrices],
    "train_step": [step_plain, step_closure, step_by_hand],
    "accumulate": [accumulate_plain, accumulate_scaled_later, accumulate_by_hand],
    "to_tensors": [tensors_plain, tensors_made_there, tensors_from_numpy],
    "seeded_loader": [loader_of_a_dataset, loader_of_its_own],
    "read_autograd": in_forms(autograd_answers),
    "wrong_rung": in_forms(rung_answers),
}
RIGHT_NETWORKS = [
    MNISTMLP,
    Deep,
    Einsum,
    Lazy,
    Convolution,
    with_dropout,
    *(
        normalised(make)
        for make in (
            lambda: nn.BatchNorm1d(256),
            lambda: nn.LayerNorm(256),
            lambda: nn.GroupNorm(8, 256, affine=False),
            lambda: nn.RMSNorm(256),
        )
    ),
    without_biases,
    lambda: nn.Sequential(*solutions.mlp()[:2], nn.PReLU(256), *solutions.mlp()[3:]),
    all_zero,
    lambda: solutions.mlp().double(),
    lambda: MNISTMLP().eval(),
    lambda: nn.Sequential(nn.Sequential(nn.Flatten(1)), solutions.mlp()[1:]),
    lambda seed=3: MNISTMLP(seed=seed),
]
RIGHT_STEPS = [
    cleared_at_the_end,
    cleared_in_between,
    moved_to_the_models_device,
    log_softmax_is_harmless,
    evaluates_on_the_way,
]
RIGHT = right_answers(
    STYLES,
    {
        "mlp": RIGHT_NETWORKS,
        "train_step": RIGHT_STEPS,
        "accumulate": [one_backward],
        "to_tensors": [reads_numbers_at_the_end],
        "seeded_loader": [sampler_with_generator, ready_made, collated],
    },
)
WEIGHTS = ["unweighted", "not-divided", "sum-of-means-over-examples", "one-large-batch"]
ONE_BATCH = [
    "first-batch-only",
    "last-batch-only",
    "one-large-batch",
    "step-in-loop",
    "cleared-in-loop",
]
NO_ORDER = [
    "not-shuffled",
    "global-seed",
    "unseeded",
    "same-order",
    "ignores-seed",
    "one-epoch-only",
]
NOT_BOTH = [
    *map(set, itertools.combinations(WEIGHTS, 2)),
    *map(set, itertools.combinations(ONE_BATCH, 2)),
    *map(set, itertools.product(ONE_BATCH[:3], WEIGHTS)),
    *map(set, itertools.combinations(NO_ORDER, 2)),
    {"no-zero-grad", "cleared-in-loop"},
    {"no-step", "step-in-loop"},
    {"normalised", "integer-images"},
    {"normalised", "integer-division"},
    {"normalised", "not-scaled"},
    {"integer-images", "double-images"},
    {"integer-images", "integer-division"},
    {"integer-images", "not-scaled"},
    {"not-scaled", "integer-division"},
    {"float-labels", "labels-not-long"},
    {"not-moved", "left-behind"},
    {"wrong-length", "one-epoch-only"},
    {"wrong-length", "same-order"},
    {"no-step", "step-before-backward"},
    {"no-step", "zero-grad-after-backward"},
    {"no-step", "no-zero-grad"},
]
(
    test_every_mistake_is_named,
    test_right_answers_pass,
    test_one_of_two_mistakes_is_named,
    test_ids_are_those_of_the_contract,
) = promises(IDS, STYLES, RIGHT, NOT_BOTH)


@pytest.mark.parametrize(
    ("network", "says"),
    [
        (mlp_matrices(set()), "(in, out)"),
        (with_dropout, "with dropout between"),
        (normalised(lambda: nn.BatchNorm1d(256)), "with normalisation between"),
        (without_biases, "with dropout and normalisation between"),
        (lambda: solutions.mlp().double(), "stop at the first batch"),
    ],
)
def test_unusual_network_passes_with_a_remark(network, says):
    verdict = first_verdict("mlp", network)
    assert verdict.passed
    assert says in verdict.hint


def test_remark_on_double_precision_quotes_the_error_that_will_come():
    hint = first_verdict("mlp", lambda: solutions.mlp().double()).hint
    with pytest.raises(RuntimeError) as raised:
        solutions.mlp().double()(torch.zeros(1, 1, 28, 28))
    (quoted,) = re.findall(r'"(.*)"', hint)
    assert quoted in str(raised.value)


class ConvertsItsImages(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = solutions.mlp().double()

    def forward(self, x):
        return self.net(x.double())


@pytest.mark.parametrize("network", [solutions.mlp, MNISTMLP, Deep, Lazy, ConvertsItsImages])
def test_ordinary_network_gets_no_remark(network):
    assert first_verdict("mlp", network).hint == ""


@pytest.mark.parametrize(
    ("nonlinearity", "says"),
    [
        (torch.sigmoid, "sigmoid"),
        (torch.tanh, "tanh"),
        (F.gelu, "GELU"),
        (F.silu, "SiLU"),
        (F.elu, "ELU"),
        (F.leaky_relu, "leaky ReLU with slope 0.01"),
        (lambda z: F.leaky_relu(z, 0.25), "leaky ReLU with slope 0.25"),
        (nn.Softplus(), "softplus"),
    ],
)
def test_other_activation_passes_with_a_remark(nonlinearity, says):
    verdict = first_verdict("mlp", lambda: Deep(nonlinearity=nonlinearity))
    assert verdict.passed, verdict
    assert says in verdict.hint


@pytest.mark.parametrize(
    ("finish", "mistake"),
    [
        (nn.Softmax(dim=1), "softmax-output"),
        (nn.LogSoftmax(dim=1), "log-softmax-output"),
        (nn.ReLU(), "relu-on-logits"),
    ],
)
@pytest.mark.parametrize("nonlinearity", [torch.tanh, F.gelu, torch.sigmoid])
def test_mistake_is_named_with_any_activation(nonlinearity, finish, mistake):
    verdict = first_verdict("mlp", lambda: Deep(nonlinearity=nonlinearity, finish=finish))
    assert verdict.mistake == mistake, verdict


@pytest.mark.parametrize("sizes", [(784, 256, 10), (784, 10), (784, 100, 10)])
def test_too_few_layers_are_named(sizes):
    verdict = first_verdict("mlp", lambda: Deep(sizes))
    assert verdict.mistake == "missing-hidden-layer"
    assert "-".join(map(str, sizes)) in verdict.hint


class NeverSetUp(nn.Module):
    """A forgotten `super().__init__()`."""

    def __init__(self, layers):
        self.layers = layers

    def forward(self, x):
        return x


@pytest.mark.parametrize("layers", [list(solutions.mlp()), solutions.mlp()])
def test_forgotten_super_init_is_reported(layers):
    verdict = first_verdict("mlp", lambda: NeverSetUp(layers))
    assert verdict.mistake == "raised"
    assert "__init__()" in verdict.hint


@pytest.mark.parametrize("sizes", [(784, 128, 128), (784, 10, 256), (28, 256, 256), (784, 256, 10)])
def test_sizes_that_do_not_match_are_raised(sizes):
    a, b, c = sizes
    verdict = first_verdict("mlp", lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(a, b), nn.ReLU(), nn.Linear(256, c), nn.ReLU(), nn.Linear(256, 10)
    ))  # fmt: skip
    assert verdict.mistake == "raised", verdict
    assert "cannot be multiplied" in verdict.hint


def undefined_before(model, images, labels, optimizer, criterion):
    optimiser.zero_grad()  # noqa: F821


def undefined_after(*arguments):
    solutions.train_step(*arguments)
    return lost  # noqa: F821


def undefined_after_an_early_step(model, images, labels, optimizer, criterion):
    optimizer.step()
    loss = criterion(model(images), labels)
    loss.backwards()


def items(model, images, labels, optimizer, criterion):
    loss = criterion(model(images), labels)
    loss.backward()
    return loss.items()


def labels_as_floats(model, images, labels, optimizer, criterion):
    return criterion(model(images), labels.float())


def second_batch_only(model, images, labels, optimizer, criterion):
    if optimizer.state:
        raise KeyError("the second batch")
    return solutions.train_step(model, images, labels, optimizer, criterion)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (undefined_before, "`optimiser.zero_grad()"),
        (undefined_after, "`return lost"),
        (undefined_after_an_early_step, "`loss.backwards()`"),
        (items, "`return loss.items()`"),
        (labels_as_floats, "`return criterion(model(images), labels.float())`"),
        (second_batch_only, "KeyError: 'the second batch'"),
    ],
)
def test_exception_is_reported_as_itself(function, says):
    verdict = first_verdict("train_step", function)
    assert verdict.mistake == "raised", verdict
    assert says in verdict.hint


def test_forward_without_return_has_the_wrong_type():
    class Silent(Deep):
        def forward(self, x):
            super().forward(x)

    verdict = first_verdict("mlp", Silent)
    assert verdict.mistake == "wrong-type"
    assert "forward" in verdict.hint


def test_exception_in_forward_quotes_its_line():
    class Broken(Deep):
        def forward(self, x):
            return self.layer(x)  # the culprit

    verdict = first_verdict("mlp", Broken)
    assert verdict.mistake == "raised"
    assert "the culprit" in verdict.hint


def test_existing_network_keeps_its_weights_and_mode():
    model = without_biases()
    model[2].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert first_verdict("mlp", lambda: model).mistake == "one-network"
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert model.training
    assert not model[2].training


def without_parentheses(missing):
    def train_step(model, images, labels, optimizer, criterion):
        optimizer.zero_grad if missing == "zero_grad" else optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward if missing == "backward" else loss.backward()
        optimizer.step if missing == "step" else optimizer.step()
        return loss.item()

    return train_step


def step_first(model, images, labels, optimizer, criterion):
    """Steps with the gradients of the batch before."""
    optimizer.step()
    optimizer.zero_grad()
    loss = criterion(model(images), labels)
    loss.backward()
    return loss.item()


def eval_at_the_end(model, images, labels, optimizer, criterion):
    loss = solutions.train_step(model, images, labels, optimizer, criterion)
    model.eval()
    return loss


def dropout_off(model, images, labels, optimizer, criterion):
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    return solutions.train_step(model, images, labels, optimizer, criterion)


def softmax_over_the_batch(model, *rest):
    return solutions.train_step(nn.Sequential(model, nn.Softmax(0)), *rest)


def own_criterion(model, images, labels, optimizer, criterion):
    return solutions.train_step(model, images, labels, optimizer, nn.CrossEntropyLoss())


def own_update(model, images, labels, optimizer, criterion):
    loss = criterion(model(images), labels)
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    with torch.no_grad():
        for p, g in zip(model.parameters(), gradients, strict=True):
            p -= optimizer.param_groups[0]["lr"] * g
    return loss.item()


def loss_afterwards(model, images, labels, optimizer, criterion):
    solutions.train_step(model, images, labels, optimizer, criterion)
    return criterion(model(images), labels).item()


def twice(model, images, labels, optimizer, criterion):
    solutions.train_step(model, images, labels, optimizer, criterion)
    return solutions.train_step(model, images, labels, optimizer, criterion)


def clipped(model, images, labels, optimizer, criterion):
    optimizer.zero_grad()
    loss = criterion(model(images), labels)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 0.1)
    optimizer.step()
    return loss.item()


def summed(model, images, labels, optimizer, criterion):
    return solutions.train_step(model, images, labels, optimizer, criterion) * len(labels)


def summed_gradients(model, images, labels, optimizer, criterion):
    optimizer.zero_grad()
    loss = criterion(model(images), labels)
    (loss * len(labels)).backward()
    optimizer.step()
    return loss.item()


def divided(model, images, labels, optimizer, criterion):
    return solutions.train_step(model, images, labels, optimizer, criterion) / len(labels)


def backward_twice(model, images, labels, optimizer, criterion):
    """The old gradient is of the same batch: nothing was left from the one before."""
    optimizer.zero_grad()
    loss = criterion(model(images), labels)
    loss.backward(retain_graph=True)
    loss.backward()
    optimizer.step()
    return loss.item()


def model_zero_grad_not_called(model, images, labels, optimizer, criterion):
    loss = criterion(model(images), labels)
    model.zero_grad  # noqa: B018
    loss.backward()
    optimizer.step()
    return loss.item()


def scores_of(change):
    def train_step(model, images, labels, optimizer, criterion):
        optimizer.zero_grad()
        loss = criterion(change(model(images)), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return train_step


def labels_first(model, images, labels, optimizer, criterion):
    one_hot = F.one_hot(labels, 10)
    optimizer.zero_grad()
    loss = criterion(one_hot, model(images))
    loss.backward()
    optimizer.step()
    return loss.item()


def ascent(model, images, labels, optimizer, criterion):
    def negated(logits, labels):
        return -criterion(logits, labels)

    return -solutions.train_step(model, images, labels, optimizer, negated)


class MadeInForward(nn.Module):
    def forward(self, x):
        for i, o in ((784, 256), (256, 256)):
            x = torch.relu(nn.Linear(i, o)(x.flatten(1)))
        return nn.Linear(256, 10)(x)


class TensorOfAClosure(nn.Module):
    def __init__(self, W):
        super().__init__()
        self.product = lambda x: x.flatten(1) @ W
        self.rest = nn.Sequential(*solutions.mlp()[2:])

    def forward(self, x):
        return self.rest(self.product(x))


class UnusedLayer(Deep):
    def forward(self, x):
        return self.layers[2](torch.relu(self.layers[0](x.flatten(1))))


def in_a_container(kind):
    return lambda: nn.Sequential(nn.Flatten(), InAList(tuple(solutions.mlp()[1:]), kind))


def without(*indices):
    """Return `mlp` without some of its modules."""
    return lambda: nn.Sequential(*(m for i, m in enumerate(solutions.mlp()) if i not in indices))


class OneHot(MNISTMLP):
    """Returns numbers that sum to 1 and are 0 or 1, which no softmax returns."""

    def forward(self, x):
        return nn.functional.one_hot(super().forward(x).argmax(1), 10).float()


class UsesOneLayerTwice(nn.Module):
    """The first layer again, where the hidden units meet it: the images are flat."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(784, 256), nn.Linear(256, 10)

    def forward(self, x):
        x = self.first(x.flatten(1)).relu()
        return self.last(self.first(x).relu())


UNUSUAL = {
    ("mlp", "unregistered-layers"): [
        *(in_a_container(kind) for kind in (list, tuple, "dict", "some")),
        MadeInForward,
        lambda: TensorOfAClosure(torch.randn(784, 256)),
    ],
    ("mlp", "missing-hidden-layer"): [UnusedLayer],
    ("mlp", "wrong-width"): [
        lambda: Deep((784, 128, 256, 10)),
        lambda: Deep((784, 256, 128, 10)),
        lambda: Deep((784, 512, 512, 10)),
        lambda: Deep((784, 256, 256, 9)),
        lambda: Deep((784, 256, 256, 1)),
        lambda: Deep((784, 256, 1, 10)),
    ],
    ("mlp", "raised"): [UsesOneLayerTwice],
    ("mlp", "no-nonlinearity"): [without(2, 4), without(2), without(4)],
    ("mlp", "no-flatten"): [
        without(0),
        lambda: nn.Sequential(nn.Flatten(0), *solutions.mlp()[1:]),
        lambda: nn.Sequential(nn.Flatten(1, 2), *solutions.mlp()[1:]),
        lambda: Deep((28, 256, 256, 10), flat=False),
    ],
    ("mlp", "one-network"): [lambda net=MNISTMLP(): net],  # noqa: B008
    ("mlp", "swapped-sizes"): [
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(256, 784), *solutions.mlp()[2:]),
        lambda: nn.Sequential(*solutions.mlp()[:-1], nn.Linear(10, 256)),
    ],
    ("mlp", "dropout-on-logits"): [
        lambda: nn.Sequential(*with_dropout(), nn.Dropout(0.05)),
        lambda: nn.Sequential(*solutions.mlp(), nn.AlphaDropout(0.5)),
        lambda: Deep(finish=F.dropout),
    ],
    ("mlp", "relu-on-logits"): [lambda: nn.Sequential(*with_dropout(), nn.ReLU())],
    ("mlp", "wrong"): [
        OneHot,
        lambda: nn.Sequential(*solutions.mlp(), nn.Hardtanh(0, 1)),
        lambda: Deep(nonlinearity=lambda z: F.dropout(z.relu())),
        lambda: nn.Sequential(*solutions.mlp(), nn.BatchNorm1d(10)),
        lambda: Deep(nonlinearity=lambda z: z.softmax(1)),
        lambda: Deep((784, 256, 256, 256, 10)),
        lambda: Deep(finish=torch.sigmoid),
        lambda: Deep(finish=torch.tanh),
        lambda: Deep(finish=lambda z: z / 2),
        lambda: Deep(nonlinearity=lambda z: z + torch.relu(z)),
        lambda: Deep(finish=lambda z: -z),
        lambda: Deep(bias=False),
        lambda: solutions.mlp().requires_grad_(False),
        lambda: nn.Sequential(nn.ReLU(), solutions.mlp()),
    ],
    ("mlp", "wrong-type"): [
        lambda: Deep,
        lambda: solutions.mlp,
        lambda: lambda x: x,
        lambda: [nn.Linear(2, 3)],
        lambda: "MLP",
    ],
    ("train_step", "no-backward"): [without_parentheses("backward")],
    ("train_step", "not-called"): [
        without_parentheses("zero_grad"),
        without_parentheses("step"),
        model_zero_grad_not_called,
    ],
    ("train_step", "swapped-arguments"): [labels_first],
    ("train_step", "argmax-before-loss"): [
        scores_of(lambda z: z.argmax(1).float()),
        scores_of(lambda z: z.argmax(1, keepdim=True)),
        scores_of(lambda z: z.max(dim=1).indices.double()),
    ],
    ("train_step", "times-batch-size"): [summed, summed_gradients],
    ("train_step", "step-before-backward"): [step_first],
    ("train_step", "eval-mode"): [eval_at_the_end, dropout_off],
    ("train_step", "softmax-before-loss"): [softmax_over_the_batch],
    ("train_step", "wrong"): [
        own_criterion,
        own_update,
        loss_afterwards,
        twice,
        clipped,
        ascent,
        divided,
        backward_twice,
    ],
    ("train_step", "wrong-type"): [lambda *args: (solutions.train_step(*args), 0.5)],
}


@pytest.mark.parametrize(("name", "mistake", "function"), cases(UNUSUAL))
def test_unusual_answer_gets_the_right_id(name, mistake, function):
    verdict = first_verdict(name, function)
    assert (verdict.passed, verdict.mistake) == (False, mistake), verdict


def test_optimizer_of_the_trial_steps_like_pytorchs_own():
    setup = loops.LoopSetup(1, (4, 4, 4), lr=0.3, momentum=0.8)
    ours, theirs = (TrainingFixture(setup) for _ in range(2))
    theirs.optimizer = torch.optim.SGD(theirs.model.parameters(), lr=0.3, momentum=0.8)
    for fixture in (ours, theirs):
        for images, labels in fixture.batches:
            fixture.call(
                solutions.train_step, fixture.model, images, labels, fixture.optimizer,
                fixture.criterion,
            )  # fmt: skip
    np.testing.assert_allclose(ours.parameters(), theirs.parameters(), atol=1e-6)


@pytest.mark.slow
def test_first_verdict_does_not_wait_for_pytorchs_compiler():
    code = """
        import sys
        from nnweek import checks
        from nnweek.checks import solutions
        for name in ("mlp", "train_step", "train_one_epoch", "evaluate"):
            assert checks.EXERCISES[name](getattr(solutions, name)), name
        print("torch._dynamo" in sys.modules, "sympy" in sys.modules)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    assert subprocess.run(command, check=True, capture_output=True).stdout.split() == [b"False"] * 2


def test_images_changed_in_place_are_reported():
    def train_step(model, images, labels, optimizer, criterion):
        images.mul_(0.5)
        return solutions.train_step(model, images, labels, optimizer, criterion)

    verdict = first_verdict("train_step", train_step)
    assert verdict.mistake == "modifies-input"
    assert "`images`" in verdict.hint


@pytest.mark.slow
@given(st.floats(-100, 100), st.sampled_from([float, torch.tensor, np.float32]))
def test_random_losses_fail(value, kind):
    def train_step(*args):
        solutions.train_step(*args)
        return kind(value)

    assert not checks.train_step(train_step)


@pytest.mark.slow
@settings(max_examples=25)  # each initialises a network
@given(st.lists(st.sampled_from([10, 28, 100, 256, 784]), max_size=3))
def test_random_widths_pass_only_if_right(hidden):
    verdict = checks.mlp(lambda: Deep((784, *hidden, 10)))
    assert verdict.passed == (hidden == [256, 256])


ORDER = ["clear", "forward", "backward", "step"]


@pytest.mark.slow
@given(st.lists(st.sampled_from(ORDER), min_size=1, max_size=6))
def test_random_orders_pass_only_if_right(order):
    """An order is right if it is forward, backward, step and clears outside backward … step."""

    def train_step(model, images, labels, optimizer, criterion):
        loss = None
        for part in order:
            if part == "clear":
                optimizer.zero_grad()
            elif part == "step":
                optimizer.step()
            elif part == "forward":
                loss = criterion(model(images), labels)
            else:
                loss.backward()
        return loss.item()

    essential = [part for part in order if part != "clear"]
    clears = [i for i, part in enumerate(order) if part == "clear"]
    right = essential == ["forward", "backward", "step"] and clears and not any(
        order.index("backward") < i < order.index("step") for i in clears
    )  # fmt: skip
    if essential.count("forward") > 1 and essential[-3:] == ["forward", "backward", "step"]:
        right = None  # a useless forward pass: it may pass or fail
    verdict = checks.train_step(train_step)
    assert right is None or verdict.passed == bool(right), (order, verdict)


def test_hint_lists_shapes_of_unregistered_layers():
    hint = first_verdict("mlp", mlp_functional({"unregistered-layers"})).hint
    assert "(256, 256)" in hint
    assert "(256, 784)" not in hint


def test_checks_do_not_influence_each_other():
    first = first_verdict("train_step", step_plain({"no-zero-grad"})).hint
    assert first_verdict("train_step", step_plain({"no-zero-grad"})).hint == first


def unrecorded(net, x):
    with torch.no_grad():
        return net(x)


@pytest.mark.parametrize(
    ("cut", "says"),
    [
        (lambda net, x: net(x).detach(), "none of"),
        (unrecorded, "none of"),
        (lambda net, x: net[3:](net[:3](x).detach()), "some of"),
    ],
)
def test_network_with_a_cut_graph_fails(cut, says):
    class Cut(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = checks.solutions.mlp()

        def forward(self, x):
            return cut(self.net, x)

    verdict = checks.mlp(Cut)
    assert verdict.mistake == "wrong"
    assert says in verdict.hint


class Steps(nn.Module):
    """The right layers, with a `forward` that is given."""

    def __init__(self, forward):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(784, 256), nn.Linear(256, 256), nn.Linear(256, 10)
        self.steps = forward

    def forward(self, x):
        return self.steps(self, x)


def drops_the_second_layer(net, x):
    x = torch.relu(net.fc1(x.flatten(1)))
    torch.relu(net.fc2(x))
    return net.fc3(x)


def computes_the_first_layer_again(net, x):
    x = x.flatten(1)
    h = torch.relu(net.fc2(torch.relu(net.fc1(x))))
    h = torch.relu(net.fc1(x))
    return net.fc3(h)


def usual(net, x):
    return net.fc3(torch.relu(net.fc2(torch.relu(net.fc1(x)))))


@pytest.mark.parametrize(
    ("make", "mistake", "says"),
    [
        (lambda: Steps(drops_the_second_layer), "missing-hidden-layer", "never reaches the output"),
        (
            lambda: Steps(computes_the_first_layer_again),
            "missing-hidden-layer",
            "never reaches the output",
        ),
        (
            lambda: Steps(lambda net, x: usual(net, x.flatten(1)).argmax(1)),
            "wrong-shape",
            "one class per image, shape (7,), not ten logits",
        ),
        (lambda: Steps(lambda net, x: usual(net, x.flatten())), "no-flatten", "a single row"),
        (lambda: Steps(lambda net, x: usual(net, x.view(784, -1))), "no-flatten", "(784, 7)"),
        (
            lambda: Steps(lambda net, x: usual(net, x.squeeze().flatten(-2))),
            "wrong",
            "With a single image, B = 1: `logits` has shape (10,), where (1, 10) was expected.",
        ),
        (
            lambda: Steps(lambda net, x: usual(net, x.squeeze().flatten(1))),
            "wrong",
            "With a single image, B = 1: RuntimeError",
        ),
        (
            lambda: nn.Sequential(
                nn.Linear(28, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Flatten(),
                nn.Linear(28 * 256, 10),
            ),
            "no-flatten",
            "28 numbers of one row",
        ),
        (lambda: Deep(finish=nn.Softmax(dim=0)), "softmax-output", "each column sums to 1"),
        (lambda: Deep(finish=nn.Softmax(dim=1)), "softmax-output", "each row sums to 1"),
        (lambda: solutions.mlp()[:-1], "wrong", "The output layer is missing"),
        (MadeInForward, "unregistered-layers", "again in each pass"),
        (in_a_container(list), "unregistered-layers", "inside a plain Python list"),
        (
            lambda: nn.Sequential(nn.Flatten(), nn.Linear(256, 784), *solutions.mlp()[2:]),
            "swapped-sizes",
            "takes 256 numbers and got 784",
        ),
        (mlp_matrices({"swapped-sizes"}), "swapped-sizes", "takes 256 numbers and got 784"),
    ],
)  # fmt: skip
def test_verdict_on_a_network_says_what_is_true(make, mistake, says):
    verdict = first_verdict("mlp", make)
    assert verdict.mistake == mistake, verdict
    assert says in verdict.hint
    assert "graph" not in verdict.hint


def loss_wrapped(model, images, labels, optimizer, criterion):
    optimizer.zero_grad()
    loss = torch.tensor(criterion(model(images), labels).item(), requires_grad=True)
    loss.backward()
    optimizer.step()
    return loss.item()


def never_cleared_with_graph(model, images, labels, optimizer, criterion):
    loss = criterion(model(images), labels)
    loss.backward()
    optimizer.step()
    return loss


def criterion_of(*names):
    def train_step(model, images, labels, optimizer, criterion):
        optimizer.zero_grad()
        values = {"images": images, "labels": labels, "logits": model(images)}
        loss = criterion(*(values[name] for name in names))
        loss.backward()
        optimizer.step()
        return loss.item()

    return train_step


def steps_again(model, images, labels, optimizer, criterion):
    loss = solutions.train_step(model, images, labels, optimizer, criterion)
    optimizer.step()
    return loss


@pytest.mark.parametrize(
    ("step", "mistake", "says", "never"),
    [
        (twice, "wrong", "stepped twice in one call", "after the step"),
        (steps_again, "wrong", "stepped twice in one call", "after the step"),
        (loss_wrapped, "wrong", "it reached no parameter", "never called"),
        (never_cleared_with_graph, "no-zero-grad", "still held the gradient", "first step is"),
        (criterion_of("labels", "images"), "wrong", "was given images", "exchanged"),
        (criterion_of("images", "labels"), "wrong", "was given images", "exchanged"),
        (criterion_of("labels", "logits"), "swapped-arguments", "exchanged", "Are they swapped"),
        (step_plain({"criterion-class"}), "criterion-class", "passed to the class", "only makes"),
        (step_plain({"argmax-before-loss"}), "argmax-before-loss", "classes", "scores come first"),
        (clipped, "wrong", "in order: forward, backward, step.", "the parameters after step"),
        (clipped, "wrong", "Only the first loss is right", "are not"),
        (backward_twice, "wrong", "forward, backward, backward, step.", "are not"),
        (
            lambda *args: (solutions.train_step(*args), 0.5),
            "wrong-type",
            "return only its first item",
            "the loss of step 1",
        ),
        (
            lambda model, images, labels, *rest: solutions.train_step(
                model, images[0], labels[:1], *rest
            ),
            "raised",
            "One example is not a batch",
            "What happened",
        ),
    ],
)
def test_verdict_on_a_step_says_what_is_true(step, mistake, says, never):
    verdict = first_verdict("train_step", step)
    assert verdict.mistake == mistake, verdict
    assert says in verdict.hint
    assert never not in verdict.hint


def test_error_names_no_private_class():
    hint = first_verdict("train_step", lambda model, *rest: model.forwards()).hint
    assert "'Network' object" in hint


GRAPH_NAMES = ("x", "w", "b", "y", "c", "d", "loss")


def graph():
    """Run the code of Exercise `read_autograd` as it stands on the page."""
    page = SOURCES[31].read_text(encoding="utf-8").replace("\n# ", "\n").replace("\n#\n", "\n\n")
    (code,) = re.findall(r"```python\n(x = torch.tensor.*?)```", page, re.DOTALL)
    variables = {"torch": torch}
    exec(code, variables)
    again = code[code.index("y = ") :]
    return variables, again


def test_answers_on_autograd_are_those_of_the_page():
    variables, again = graph()
    answers = solutions.read_autograd()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of reading .grad of a tensor that is no leaf
        have = {name for name in GRAPH_NAMES if variables[name].grad is not None}
    assert have == set(answers["have a .grad"].split(", "))
    assert variables["w"].grad == answers["w.grad"]
    assert variables["b"].grad == answers["b.grad"]
    assert variables["d"].requires_grad is answers["d.requires_grad"]
    assert variables["y"].grad_fn.name() == answers["y.grad_fn"]
    exec(again, variables)
    assert variables["w"].grad == answers["w.grad after a second pass"]


@pytest.mark.parametrize(
    ("change", "mistake", "says"),
    [
        ({"w.grad": 41}, "ignores-detach", "you gave 41"),
        ({"w.grad": 36}, "wrong", "0 of 6 right, 5 not answered yet"),
        ({"w.grad": "x"}, "wrong-type", "should be a number"),
        ({"have a .grad": ["w", "b"]}, "not-attempted", "So far all right: “have a .grad”"),
        ({"have a .grad": "w and b"}, "not-attempted", "So far all right: “have a .grad”"),
        ({"have a .grad": "w b c"}, "records-without-recording", "you gave w, b, c"),
        ({"have a .grad": "all"}, "wrong-type", "some of x, w, b"),
        ({"have a .grad": 5}, "wrong-type", "some of x, w, b"),
        ({"y.grad_fn": "<AddBackward0 object at 0x7f>"}, "not-attempted", "“y.grad_fn”"),
        ({"y.grad_fn": "+"}, "not-attempted", "“y.grad_fn”"),
        ({"y.grad_fn": "w * x"}, "first-operation", "Multiplication binds"),
        ({"d.requires_grad": "False"}, "not-attempted", "“d.requires_grad”"),
        ({"d.requires_grad": 2}, "wrong-type", "True or False"),
        ({"z": 1}, "wrong", "no question “z”"),
    ],
)
def test_verdict_on_predicted_gradients(change, mistake, says):
    verdict = first_verdict("read_autograd", change)
    hints = [verdict.hint, checks.read_autograd(change).hint]
    assert (verdict.passed, verdict.mistake) == (False, mistake), verdict
    assert says in "\n".join(hints)


@pytest.mark.parametrize(
    ("change", "mistake", "says"),
    [
        ({"rung": "6 optimizer"}, "not-attempted", "“rung”"),
        ({"rung": 0}, "rung-is-right", "you gave 0"),
        ({"rung": 3}, "wrong-type", "one of 0, 2, 5, 6, 7"),
        ({"cause": "no zero_grad"}, "wrong-type", "The causes are: gradients were not cleared;"),
        ({"rung": 6, "cause": "Gradients were not cleared"}, None, ""),
    ],
)
def test_verdict_on_the_wrong_rung(change, mistake, says):
    verdict = first_verdict("wrong_rung", change)
    assert verdict.mistake == mistake, verdict
    assert says in verdict.hint


@pytest.mark.parametrize("settings", [{}, {"examples": 7}, {"seed": 3}, {"steps": 2}, {"steps": 3}])
def test_second_ladder_has_one_wrong_rung_from_the_second_step_on(settings):
    lowest, *others = (ladder := second_ladder(**settings)).values()
    wrong = set()
    for name, (loss, *arrays) in list(ladder.items())[1:]:
        for mine, right in zip(arrays, lowest[1:], strict=True):
            if not all(np.allclose(a, b, atol=1e-10) for a, b in zip(mine, right, strict=True)):
                wrong.add(name)
        assert settings.get("steps", 1) > 2 or loss == pytest.approx(lowest[0], abs=1e-10)
    assert len(others) == 4
    assert wrong == ({"6 optimizer"} if settings.get("steps", 1) > 1 else set())


def leaves_at_the_first_batch(model, batches, optimizer, criterion):
    optimizer.zero_grad()
    for x, y in batches:
        loss = criterion(model(x), y) * len(y) / 10
        loss.backward()
        optimizer.step()
        return loss.item()


def never_ends(images, labels, batch_size, seed):
    while True:
        yield images, labels


def images_only(images, labels, batch_size, seed):
    return torch.utils.data.DataLoader(images, batch_size, shuffle=True)


def prepared_by_workers(images, labels, batch_size, seed):
    own = torch.Generator().manual_seed(seed)
    return torch.utils.data.DataLoader(
        Pairs(set(), images, labels), batch_size, shuffle=True, generator=own, num_workers=1
    )


@pytest.mark.parametrize(
    ("name", "function", "mistake", "says"),
    [
        ("accumulate", leaves_at_the_first_batch, "first-batch-only", "The result belongs only"),
        ("accumulate", one_backward, None, "in memory at the same time"),
        ("to_tensors", reads_numbers_at_the_end, None, "could not be tried"),
        ("to_tensors", lambda x, y, d: (x, y), "wrong-type", "where a tensor was expected"),
        ("seeded_loader", never_ends, "wrong-type", "does it ever end?"),
        ("seeded_loader", images_only, "wrong-type", "where (images, labels) was expected"),
        ("seeded_loader", lambda x, y, b, s: 3, "wrong-type", "cannot be used in a `for` loop"),
        ("seeded_loader", a_pair_as_dataset, "wrong-type", "element 0 is all the images"),
        ("seeded_loader", ready_made, None, "`TensorDataset` is PyTorch's own class"),
        ("seeded_loader", sampler_with_generator, None, "global generator as well"),
        ("seeded_loader", loader_of_a_dataset({"same-order"}), "same-order", "begins with the ex"),
        pytest.param(
            "seeded_loader", prepared_by_workers, None, "", marks=pytest.mark.slow, id="workers"
        ),
    ],
)
def test_verdict_on_data_and_batches(name, function, mistake, says):
    verdict = first_verdict(name, function)
    assert verdict.mistake == mistake, verdict
    assert says in verdict.hint
