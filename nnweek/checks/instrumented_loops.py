"""Instrumented training: a fixture that records what a loop does to it (Days 31 and 32).

A loop is tried on a *fixture*: a small network, an optimizer, a criterion and batches. They are
subclasses of PyTorch's own, and each records in one log what happens to it. How the learner's
code is written does not matter: a step is a step, with or without a closure.

This module needs PyTorch; `loops.run_trial` imports it when a trial runs.
"""

import contextlib
import copy
import functools
import inspect
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils.data import DataLoader, TensorDataset

from nnweek.checks.comparing import as_numbers, kind
from nnweek.checks.running import TrialRun
from nnweek.checks.sandbox import Problem, described
from nnweek.runtime import get_device


@contextlib.contextmanager
def one_thread():
    """Compute with one thread: for tensors as small as these, waiting for others takes longer."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@dataclass
class LoopLog:
    """What happened to a fixture.

    Attributes:
        calls: a list of events per call of the learner's function. An event is a tuple:
            ("forward", in train mode (None if only in part), autograd records, number of the
            batch or None), ("scored", the criterion's input, its loss), ("misused", what the
            criterion was given instead of logits and labels), ("backward", the gradient of an
            earlier batch was still there), ("step", there is any gradient), or ("read" or
            "called", name of a method). "backward" is recorded if it reaches the logits.
        values: what each call returned.
        moved: whether each call changed the parameters.
        sizes: the sizes of the batches.
        train_mode_after: whether the model is in train mode after the call.
        records_after: whether autograd records after the call.
        raised: what ended the last call early.
        in_constructor: whether that happened while a criterion was constructed.
        answers: the classes that the network's last logits say.
    """

    calls: list = field(default_factory=list)
    values: list = field(default_factory=list)
    moved: list = field(default_factory=list)
    sizes: tuple = ()
    train_mode_after: bool = True
    records_after: bool = True
    raised: Problem | None = None
    in_constructor: bool = False
    answers: object = None

    def record(self, *event):
        self.calls[-1].append(event)

    def events(self, name):
        return [event for call in self.calls for event in call if event[0] == name]

    def __deepcopy__(self, memo):
        return self  # a copy of the network writes into the same log


class _RecordsReads:
    """Records which methods are read; a method without its parentheses is read, not called."""

    def __getattribute__(self, name):
        log = object.__getattribute__(self, "__dict__").get("log")
        if log is not None and log.calls and name in ("zero_grad", "step"):
            log.record("read", name)
        return super().__getattribute__(name)


class _RecordsBackward(TorchFunctionMode):
    """Records each call of a tensor's `backward`, whatever it reaches."""

    def __init__(self, log):
        super().__init__()
        self.log = log

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is torch.Tensor.backward:
            self.log.record("called", "backward")
        return function(*args, **(kwargs or {}))


class _FixedDropout(nn.Dropout):
    """Dropout that drops the same units every time, so that its numbers can be compared."""

    def forward(self, x):
        mask = torch.arange(x.shape[-1], device=x.device) % 3 > 0
        return x * mask * 1.5 if self.training else x


class _FixedNorm(nn.BatchNorm1d):
    """Batch norm with constant running statistics: one pass does not change the next."""

    def forward(self, x):
        running = (None, None) if self.training else (self.running_mean, self.running_var)
        return nn.functional.batch_norm(x, *running, self.weight, self.bias, self.training)


class Network(_RecordsReads, nn.Module):
    """784-12-10, with batch norm, if any, and dropout, which differ between train and eval mode."""

    def __init__(self, log, norm):
        super().__init__()
        self.hidden = nn.Linear(28 * 28, 12)
        self.norm = _FixedNorm(12) if norm else nn.Identity()
        self.dropout = _FixedDropout(1 / 3)
        self.scores = nn.Linear(12, 10)
        self.log, self.batches = log, []

    def forward(self, x):
        x = x.flatten(1)
        with torch.autocast(x.device.type, enabled=False):  # its numbers are too coarse to compare
            logits = self.scores(self.dropout(torch.tanh(self.norm(self.hidden(x)))))
        self.log.answers = logits.detach().argmax(dim=1)
        modes = {module.training for module in self.modules()}
        in_train_mode = modes.pop() if len(modes) == 1 else None
        self.log.record("forward", in_train_mode, logits.requires_grad, self._batch(x))
        if logits.requires_grad:
            logits.register_hook(functools.partial(self._backward, []))
        return logits

    def zero_grad(self, *args, **kwargs):
        self.log.record("called", "zero_grad")
        super().zero_grad(*args, **kwargs)

    def _batch(self, x):
        """Return the number of the batch, or None for any other images."""
        for number, images in enumerate(self.batches):
            if images.shape == x.shape and torch.equal(images, x):
                return number
        return None

    def _backward(self, earlier, gradient):
        """Record a backward pass through the same logits; not the first if there are earlier."""
        gradients = [p.grad for p in self.parameters() if not earlier and p.grad is not None]
        self.log.record("backward", any(bool(gradient.any()) for gradient in gradients))
        earlier.append(True)


class Criterion(nn.CrossEntropyLoss):
    def forward(self, input, target):
        with contextlib.suppress(RuntimeError, AttributeError, TypeError):
            self._record_misuse(input, target)
        loss = super().forward(input, target)
        with contextlib.suppress(RuntimeError):  # inside torch.func there are no numbers
            self.log.record("scored", input.detach().cpu().double().numpy(), float(loss.detach()))
        return loss

    def _record_misuse(self, input, target):
        if target.shape[1:] == (1, 28, 28) or input.shape[1:] == (1, 28, 28):
            self.log.record("misused", "images")
        elif target.is_floating_point() > input.is_floating_point() or target.ndim > input.ndim:
            self.log.record("misused", "swapped")
        for tensor in (input,) if input.is_floating_point() and input.ndim > 1 else (input, target):
            one_hot = tensor.ndim == 2 and bool(((tensor == 0) | (tensor == 1)).all())
            classes = tensor.argmax(dim=1) if one_hot else tensor.flatten()
            if torch.equal(classes.long(), self.log.answers):
                self.log.record("misused", "argmax")


class Optimizer(_RecordsReads, torch.optim.SGD):
    """SGD with momentum.

    The methods of PyTorch's own import its compiler, which takes a second.
    """

    add_param_group = inspect.unwrap(torch.optim.SGD.add_param_group)

    def zero_grad(self, set_to_none=True):
        self.log.record("called", "zero_grad")
        inspect.unwrap(torch.optim.SGD.zero_grad)(self, set_to_none)

    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self.log.record("called", "step")
        gradients = [p.grad for group in self.param_groups for p in group["params"]]
        self.log.record("step", any(g is not None and bool(g.any()) for g in gradients))
        with torch.no_grad():
            for group in self.param_groups:
                for p in (p for p in group["params"] if p.grad is not None):
                    velocity = self.state[p].get("momentum_buffer", 0)
                    velocity = group["momentum"] * velocity + p.grad
                    self.state[p]["momentum_buffer"] = velocity
                    p -= group["lr"] * velocity
        return loss


class _FunctionRaised(Exception):
    """The learner's function raised; the log contains the error."""


_ONE_EXAMPLE = (
    "One example is not a batch: in train mode, batch norm needs several. Give the model all "
    "images of a batch, and loop over `loader`, not over `loader.dataset`."
)


class TrainingFixture:
    """A network, its optimizer, a criterion and batches for a `LoopSetup`, and their log."""

    def __init__(self, setup):
        device = get_device()
        generator = torch.Generator().manual_seed(setup.seed)

        def draw(*shape):
            return torch.randn(shape, generator=generator, dtype=torch.float32)

        count, size = sum(setup.batches), setup.batches[0]
        images = draw(count, 1, 28, 28)
        self.log = LoopLog(sizes=setup.batches)
        with torch.random.fork_rng(devices=[]):
            self.model = Network(self.log, setup.norm).to(torch.float32)
        with torch.no_grad():
            for parameter in self.model.parameters():
                scale = 1.5 / parameter.shape[-1] ** 0.5 if parameter.ndim > 1 else 0.5
                parameter.copy_(scale * draw(*parameter.shape))
            if setup.norm:
                self.model.norm.weight.add_(1)
                self.model.norm.running_var.add_(draw(12).abs())
            self.log.calls.append([])
            ranked = self.model.eval()(images).argsort(dim=1, descending=True)
            self.log.calls.clear()
        # Of five labels three are the network's answers, so that it is often right, one is its
        # second best, and one is any of the others.
        rank = torch.tensor([0, 0, 0, 1, 0]).repeat(count)[:count]
        rank[4::5] = torch.randint(2, 10, rank[4::5].shape, generator=generator)
        labels = ranked[torch.arange(count), rank]

        images, labels = images.to(device), labels.to(device)
        self.model.to(device)
        sizes = list(setup.batches)
        self.batches = list(zip(images.split(sizes), labels.split(sizes), strict=True))
        self.model.batches = [batch.flatten(1) for batch, _ in self.batches]
        self.loader = DataLoader(TensorDataset(images, labels), batch_size=size)
        self.criterion = Criterion(label_smoothing=setup.smoothing).to(device)
        self.optimizer = Optimizer(self.model.parameters(), lr=setup.lr, momentum=setup.momentum)
        self.criterion.log = self.optimizer.log = self.log

    def call(self, function, *arguments):
        """Call the learner's function; record its value and whether the parameters changed."""
        before = self.parameters()
        self.log.calls.append([])
        try:
            with torch.enable_grad(), _RecordsBackward(self.log):
                value = function(*arguments)
                self.log.records_after = torch.is_grad_enabled()
        except Exception as error:
            self.log.raised = described(error)
            if "more than 1 value per channel" in str(error):
                text = f"{self.log.raised.text}\n{_ONE_EXAMPLE}"
                self.log.raised = replace(self.log.raised, text=text)
            self.log.in_constructor = _in_constructor(error.__traceback__)
            raise _FunctionRaised from error
        self.log.values.append(value)
        self.log.moved.append(bool(np.abs(self.parameters() - before).max() > 1e-7))
        self.log.train_mode_after = self.model.training
        return value

    def parameters(self):
        """Return all parameters as one vector."""
        return _vector(self.model.parameters())


def _in_constructor(trace):
    """Return whether an exception comes from the constructor of one of PyTorch's criteria."""
    while trace is not None:
        frame = trace.tb_frame
        own = frame.f_locals.get("self")
        if frame.f_code.co_name == "__init__" and isinstance(own, nn.modules.loss._Loss):
            return True
        trace = trace.tb_next
    return False


def _vector(tensors):
    return np.concatenate([t.detach().cpu().double().numpy().ravel() for t in tensors])


def _with_fixture(trial):
    """Turn (function, fixture) → `TrialRun` into a trial, which ends if the function raises."""

    @functools.wraps(trial)
    def run(function, setup):
        with one_thread():
            fixture = TrainingFixture(setup)
            try:
                return trial(function, fixture)
            except _FunctionRaised:
                return TrialRun(problem=fixture.log.raised, log=fixture.log)

    return run


@_with_fixture
def try_steps(function, fixture):
    """Try `train_step` on one batch after the other."""
    return _try_calls(function, fixture, fixture.batches)


@_with_fixture
def try_accumulation(function, fixture):
    """Try `accumulate` on the first half of the batches, and then on the second."""
    half = len(fixture.batches) // 2
    run = _try_calls(function, fixture, [(fixture.batches[:half],), (fixture.batches[half:],)])
    names = [name for name, *_ in fixture.log.calls[0] if name in ("forward", "backward")]
    if half > 1 and names[:half] == ["forward"] * half:
        run.remark = (
            "Accepted, but the graphs of all batches are in memory at the same time. Call "
            "`backward()` inside the loop, and each graph is released before the next batch."
        )
    return run


def _try_calls(function, fixture, inputs):
    """Call the function with each of the inputs; each call should take one step."""
    fixture.model.train()
    values, observed, changed = [], {}, {}
    for number, arguments in enumerate(inputs, start=1):
        given = copy.deepcopy(arguments)
        value = fixture.call(function, fixture.model, *given, fixture.optimizer, fixture.criterion)
        if value is None or value is Ellipsis:
            return TrialRun(value)
        values.append(value)
        observed[f"the parameters after step {number}"] = fixture.parameters()
        for i, (now, before) in enumerate(zip(_tensors(given), _tensors(arguments), strict=False)):
            if now.shape != before.shape or not torch.equal(now, before):
                changed["labels" if i % 2 else "images"] = 1.0
    problem = None
    if isinstance(value, (tuple, list)) and len(value) > 1 and np.size(as_numbers(value[0])) == 1:
        text = f"it returned {kind(value)}, where only the loss was expected: return only its first item."
        problem = Problem("wrong-type", text)
    return TrialRun(values, observed, fixture.log, changed, problem)


def _tensors(arguments):
    """Return the tensors in nested tuples and lists, in order."""
    if isinstance(arguments, torch.Tensor):
        return [arguments]
    return [tensor for each in arguments for tensor in _tensors(each)]


@_with_fixture
def try_epochs(function, fixture):
    """Try `train_one_epoch` on a model in eval mode."""
    fixture.model.eval()
    value = fixture.call(
        function, fixture.model, fixture.loader, fixture.optimizer, fixture.criterion
    )
    problem = None
    if any(getattr(number, "requires_grad", False) for number in _pair(value)):
        problem = Problem("wrong-type", _WITH_GRAPH)
    return TrialRun(value, {"the parameters": fixture.parameters()}, fixture.log, {}, problem)


_WITH_GRAPH = (
    "one of the two results is a Tensor that is still attached to its graph, where a number was "
    "expected.\nAdd up numbers: `loss.item()` is one, and the graph of each batch can go."
)


def _pair(value):
    return value if isinstance(value, (tuple, list)) else ()


@_with_fixture
def try_evaluation(function, fixture):
    """Try `evaluate` on a model in train mode."""
    fixture.model.train()
    value = fixture.call(function, fixture.model, fixture.loader, fixture.criterion)
    trainable = sum(p.requires_grad for p in fixture.model.parameters())
    observed = {
        "the parameters": fixture.parameters(),
        "the number of trainable parameters": trainable,
    }
    return TrialRun(value, observed, fixture.log)
