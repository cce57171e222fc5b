"""Instrumented training: a fixture that records what a loop does to it (Days 31 and 32).

A loop is tried on a *fixture*: a small network, an optimizer, a criterion and batches, all of
them PyTorch's own and each noting in one log what happens to it. Nothing here asks how the
learner's code is written: a step is a step, whether it came with a closure or not.

This module needs PyTorch; the days' modules import it when an exercise is played.
"""

import contextlib
import functools
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nnweek.checks.exercise import TrialRun
from nnweek.checks.sandbox import Problem, described
from nnweek.runtime import get_device


@dataclass(frozen=True)
class Setup:
    """What a loop is tried on: sizes of the batches, and how the steps are taken."""

    seed: int
    batches: tuple  # sizes; all but the last are equal
    lr: float = 0.2
    momentum: float = 0.8
    smoothing: float = 0.0  # of the labels: a criterion of one's own would leave it out


@dataclass
class Log:
    """What happened on a stage, one list of events for each call of the learner's function.

    An event is a tuple that begins with its name: ("forward", is it in train mode (None: in
    part), does autograd record, number of the batch or None), ("scored", what the criterion
    got), ("backward", is an old gradient still there), ("step", is there any gradient).
    """

    calls: list = field(default_factory=list)
    values: list = field(default_factory=list)  # what each call returned
    moved: list = field(default_factory=list)  # whether each call changed the parameters
    sizes: tuple = ()
    train_mode_after: bool = True
    records_after: bool = True  # whether autograd does
    raised: Problem | None = None  # what ended the last call early

    def note(self, *event):
        self.calls[-1].append(event)

    def events(self, name):
        return [event for call in self.calls for event in call if event[0] == name]

    def __deepcopy__(self, memo):
        return self  # a copy of the network writes into the same log


class _FixedDropout(nn.Dropout):
    """Dropout that drops the same units every time, so that its numbers can be compared."""

    def forward(self, x):
        kept = torch.arange(x.shape[-1], device=x.device) % 3 > 0
        return x * kept * 1.5 if self.training else x


class _FixedNorm(nn.BatchNorm1d):
    """A batch norm whose running statistics stay: one pass does not change the next."""

    def forward(self, x):
        running = (None, None) if self.training else (self.running_mean, self.running_var)
        return nn.functional.batch_norm(x, *running, self.weight, self.bias, self.training)


class _Network(nn.Module):
    """784-12-10 with what differs between train and eval mode: dropout and a batch norm."""

    def __init__(self, log):
        super().__init__()
        self.hidden = nn.Linear(28 * 28, 12)
        self.norm = _FixedNorm(12)
        self.dropout = _FixedDropout(1 / 3)
        self.scores = nn.Linear(12, 10)
        self.log, self.fingerprints = log, []

    def forward(self, x):
        x = x.flatten(1)
        logits = self.scores(self.dropout(torch.tanh(self.norm(self.hidden(x)))))
        modes = {module.training for module in self.modules()}
        in_train_mode = modes.pop() if len(modes) == 1 else None
        self.log.note("forward", in_train_mode, logits.requires_grad, self._batch(x))
        if logits.requires_grad:
            logits.register_hook(self._backward)
        return logits

    def _batch(self, x):
        """Return which batch this is, or None for anything else."""
        found = [
            number
            for number, images in enumerate(self.fingerprints)
            if images.shape == x.shape and torch.equal(images, x)
        ]
        return found[0] if found else None

    def _backward(self, gradient):
        old = any(p.grad is not None and bool(p.grad.any()) for p in self.parameters())
        self.log.note("backward", old)


class _Criterion(nn.CrossEntropyLoss):
    def forward(self, input, target):
        with contextlib.suppress(RuntimeError):  # inside torch.func no numbers can be had
            self.log.note("scored", input.detach().cpu().double().numpy())
        return super().forward(input, target)


class _Optimizer(torch.optim.SGD):
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        gradients = [p.grad for group in self.param_groups for p in group["params"]]
        self.log.note("step", any(g is not None and bool(g.any()) for g in gradients))
        super().step()
        return loss


class _Ended(Exception):
    """The learner's function raised; the stage's log says what."""


class Fixture:
    """A network, its optimizer, a criterion and batches, made from a `Setup`, and their log."""

    def __init__(self, setup):
        device = get_device()
        generator = torch.Generator().manual_seed(setup.seed)

        def draw(*shape):
            return torch.randn(shape, generator=generator, dtype=torch.float32)

        count, size = sum(setup.batches), setup.batches[0]
        images = draw(count, 1, 28, 28)
        self.log = Log(sizes=setup.batches)
        with torch.random.fork_rng(devices=[]):
            self.model = _Network(self.log).to(torch.float32)
        with torch.no_grad():
            for parameter in self.model.parameters():
                scale = 1.5 / parameter.shape[-1] ** 0.5 if parameter.ndim > 1 else 0.5
                parameter.copy_(scale * draw(*parameter.shape))
            self.model.norm.weight.add_(1)
            self.model.norm.running_var.add_(draw(12).abs())
            # About half of the labels are what the network says, so that it is often right.
            self.log.calls.append([])
            answers = self.model.eval()(images).argmax(dim=1)
            self.log.calls.clear()
        guesses = torch.randint(10, (count,), generator=generator)
        labels = torch.where(torch.arange(count) % 5 < 3, answers, guesses)

        images, labels = images.to(device), labels.to(device)
        self.model.to(device)
        self.batches = list(zip(images.split(size), labels.split(size), strict=True))
        self.model.fingerprints = [batch.flatten(1) for batch, _ in self.batches]
        self.loader = DataLoader(TensorDataset(images, labels), batch_size=size)
        self.criterion = _Criterion(label_smoothing=setup.smoothing).to(device)
        self.optimizer = _Optimizer(self.model.parameters(), lr=setup.lr, momentum=setup.momentum)
        self.criterion.log = self.optimizer.log = self.log

    def call(self, function, *arguments):
        """Call the learner's function, and note what it returns and whether it moved."""
        before = self.parameters()
        self.log.calls.append([])
        try:
            with torch.enable_grad():
                value = function(*arguments)
                self.log.records_after = torch.is_grad_enabled()
        except Exception as error:
            self.log.raised = described(error)
            raise _Ended from error
        self.log.values.append(value)
        self.log.moved.append(bool(np.abs(self.parameters() - before).max() > 1e-7))
        self.log.train_mode_after = self.model.training
        return value

    def parameters(self):
        """Return all parameters as one vector."""
        return _vector(self.model.parameters())


def _vector(tensors):
    return np.concatenate([t.detach().cpu().double().numpy().ravel() for t in tensors])


def _nothing(value):
    return value is None or value is Ellipsis


def _with_fixture(trial):
    """Give a play its stage, and end it where the learner's function raises."""

    @functools.wraps(trial)
    def run(function, setup):
        fixture = Fixture(setup)
        try:
            return trial(function, setup, fixture)
        except _Ended:
            return TrialRun(problem=fixture.log.raised, log=fixture.log)

    return run


@_with_fixture
def try_steps(function, setup, fixture):
    """Play `train_step` on one batch after the other."""
    fixture.model.train()
    values, observed, changed = [], {}, {}
    for number, (images, labels) in enumerate(fixture.batches, start=1):
        given = images.clone(), labels.clone()
        value = fixture.call(function, fixture.model, *given, fixture.optimizer, fixture.criterion)
        if _nothing(value):
            return TrialRun(value)
        values.append(value)
        observed[f"the parameters after step {number}"] = fixture.parameters()
        for name, now, before in zip(("images", "labels"), given, (images, labels), strict=True):
            if now.shape != before.shape or not torch.equal(now, before):
                changed[name] = 1.0
    return TrialRun(values, observed, fixture.log, changed)


@_with_fixture
def try_epochs(function, setup, fixture):
    """Play `train_one_epoch`: a model that comes in eval mode."""
    fixture.model.eval()
    value = fixture.call(
        function, fixture.model, fixture.loader, fixture.optimizer, fixture.criterion
    )
    return TrialRun(value, {"the parameters": fixture.parameters()}, fixture.log)


@_with_fixture
def try_evaluation(function, setup, fixture):
    """Play `evaluate`: a model that comes in train mode."""
    fixture.model.train()
    value = fixture.call(function, fixture.model, fixture.loader, fixture.criterion)
    observed = {
        "the parameters": fixture.parameters(),
        "how many parameters can be trained": sum(
            p.requires_grad for p in fixture.model.parameters()
        ),
    }
    return TrialRun(value, observed, fixture.log)
