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

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nnweek import checks
from nnweek.checks import loops, solutions
from nnweek.checks.instrumented_loops import TrainingFixture
from nnweek.models import MNISTMLP
from support.promises import cases, promises, right_answers
from support.submissions import first_verdict, style

IDS = {
    "mlp": "softmax-output log-softmax-output relu-on-logits no-nonlinearity unregistered-layers "
    "wrong-width missing-hidden-layer no-flatten one-network swapped-sizes dropout-on-logits",
    "train_step": "no-zero-grad no-backward no-step step-before-backward zero-grad-after-backward "
    "returns-graph softmax-before-loss eval-mode swapped-arguments criterion-class "
    "argmax-before-loss times-batch-size not-called",
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


STYLES = {
    "mlp": [mlp_sequential, mlp_functional, mlp_matrices],
    "train_step": [step_plain, step_closure, step_by_hand],
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
RIGHT = right_answers(STYLES, {"mlp": RIGHT_NETWORKS, "train_step": RIGHT_STEPS})
NOT_BOTH = [
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
