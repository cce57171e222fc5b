"""What a training loop or a network does, watched (Days 31 and 32).

A loop is tried on a *stage*: a small network, an optimizer, a criterion and batches, all of
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
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode
from torch.utils.data import DataLoader, TensorDataset

from nnweek.checks.exercise import Played, close, kind
from nnweek.checks.guard import Problem, described
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


class Stage:
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


def _on_stage(play):
    """Give a play its stage, and end it where the learner's function raises."""

    @functools.wraps(play)
    def played(function, setup):
        stage = Stage(setup)
        try:
            return play(function, setup, stage)
        except _Ended:
            return Played(problem=stage.log.raised, log=stage.log)

    return played


@_on_stage
def play_steps(function, setup, stage):
    """Play `train_step` on one batch after the other."""
    stage.model.train()
    values, observed, changed = [], {}, {}
    for number, (images, labels) in enumerate(stage.batches, start=1):
        given = images.clone(), labels.clone()
        value = stage.call(function, stage.model, *given, stage.optimizer, stage.criterion)
        if _nothing(value):
            return Played(value)
        values.append(value)
        observed[f"the parameters after step {number}"] = stage.parameters()
        for name, now, before in zip(("images", "labels"), given, (images, labels), strict=True):
            if now.shape != before.shape or not torch.equal(now, before):
                changed[name] = 1.0
    return Played(values, observed, stage.log, changed)


@_on_stage
def play_epochs(function, setup, stage):
    """Play `train_one_epoch`: a model that comes in eval mode."""
    stage.model.eval()
    value = stage.call(function, stage.model, stage.loader, stage.optimizer, stage.criterion)
    return Played(value, {"the parameters": stage.parameters()}, stage.log)


@_on_stage
def play_evaluation(function, setup, stage):
    """Play `evaluate`: a model that comes in train mode."""
    stage.model.train()
    value = stage.call(function, stage.model, stage.loader, stage.criterion)
    observed = {
        "the parameters": stage.parameters(),
        "how many parameters can be trained": sum(
            p.requires_grad for p in stage.model.parameters()
        ),
    }
    return Played(value, observed, stage.log)


# --- Networks ------------------------------------------------------------------------------------

SIZES = (28 * 28, 256, 256, 10)


@dataclass
class NetworkLog:
    """What is known of a network after some images went through it.

    Attributes:
        layers: how many matrices it multiplied with; 0 where that is not known.
        widths: of these, as text.
        wide_enough: whether they are the widths that are asked for.
        biases: how many of its vectors could be biases.
        unregistered: weights that it uses and does not list as its parameters, as text.
        frozen: whether a parameter that it uses asks for no gradient.
        cut: whether a parameter that it uses gets no gradient through the graph.
        transposed: whether a matrix is stored as (in, out), or otherwise than `nn.Linear` does.
        not_flat: what met the first layer where that is no row of pixels, as text.
        is_affine: whether the whole network is one affine map.
    """

    layers: int = 0
    widths: str = ""
    wide_enough: bool = True
    biases: int = 3
    unregistered: str = ""
    frozen: bool = False
    cut: bool = False
    transposed: bool = False
    not_flat: str = ""
    is_affine: bool = False


class _Uses(TorchFunctionMode):
    """Notes every tensor that PyTorch's functions are handed and that none of them made."""

    def __init__(self, images):
        super().__init__()
        self.made = {id(images): images}  # kept, so that no other tensor gets its id
        self.used = {}
        self.last = ()  # the shapes of the last call's tensors

    def __torch_function__(self, function, types, args=(), kwargs=None):
        given = [t for t in _flat((args, kwargs or {})) if isinstance(t, torch.Tensor)]
        # Not every call concerns numbers: `x.shape` is one, too.
        getter = getattr(function, "__name__", "") == "__get__"
        if not getter:
            self.last = [tuple(t.shape) for t in given]
        for tensor in given:
            if id(tensor) not in self.made and tensor.is_floating_point():
                self.used[id(tensor)] = tensor
        result = function(*args, **(kwargs or {}))
        for tensor in _flat(result):
            if isinstance(tensor, torch.Tensor) and id(tensor) not in self.used:
                self.made[id(tensor)] = tensor
        return result


def _flat(thing):
    if isinstance(thing, dict):
        thing = tuple(thing.values())
    if isinstance(thing, (list, tuple)):
        for item in thing:
            yield from _flat(item)
    else:
        yield thing


def _probe_weights(seed):
    """Draw weights for 784-256-256-10 by size, such that it does not matter which is which.

    Both hidden biases are equal and the square matrix is symmetric: no layout needs guessing.
    """
    draw = np.random.default_rng(seed)
    inputs, hidden, _, classes = SIZES
    first = draw.standard_normal((hidden, inputs)) * 1.3 / inputs**0.5
    square = draw.standard_normal((hidden, hidden)) / hidden**0.5
    last = draw.standard_normal((classes, hidden)) * 2 / hidden**0.5
    return {
        inputs * hidden: first,
        hidden * hidden: square + square.T,
        hidden * classes: last,
        hidden: 0.7 * draw.standard_normal(hidden),
        classes: 0.7 * draw.standard_normal(classes),
    }


def _images(seed, count=7):
    return torch.tensor(np.random.default_rng(seed).standard_normal((count, 1, 28, 28)))


class _Reference(nn.Module):
    def __init__(self, first, second, finish):
        super().__init__()
        self.linear = nn.ModuleList(nn.Linear(i, o) for i, o in zip(SIZES, SIZES[1:], strict=False))
        self.between = first, second, finish

    def forward(self, x):
        x = x.flatten(1)
        for linear, bend in zip(self.linear, self.between, strict=True):
            x = bend(linear(x))
        return x


def network(first, second, finish):
    """Return 784-256-256-10 with these functions behind its three layers."""
    return _Reference(first, second, finish)


def play_network(function, seed):
    """Play `mlp`: give the network known weights, and send images through it."""
    module = function()
    if _nothing(module):
        return Played(module)
    if not isinstance(module, nn.Module):
        what = "a class and not an object of it" if isinstance(module, type) else kind(module)
        text = f"It returned {what}, where a network, an `nn.Module`, was expected."
        return Played(problem=Problem("wrong-type", text))

    modes = [(part, part.training) for part in module.modules()]
    tensors, log = [], NetworkLog()
    try:
        module.eval()
        parameter = next(module.parameters(), torch.empty(0, dtype=torch.float32))
        images = _images(seed).to(parameter)
        if any(is_lazy(p) for p in module.parameters()):
            module(images)  # lazy layers learn their sizes
        uses = _Uses(images)
        try:
            with torch.enable_grad(), uses:
                logits = module(images)
        except (RuntimeError, ValueError, IndexError) as error:
            log.not_flat = _met(uses.last)
            if not log.not_flat:
                raise
            return Played(log=log, problem=described(error))
        if not isinstance(logits, torch.Tensor):
            text = f"Its `forward` returned {kind(logits)}, where logits were expected."
            return Played(log=log, problem=Problem("wrong-type", text))
        if logits.ndim == 4:
            log.not_flat = f"Images of shape (7, 1, 28, 28) came out as {tuple(logits.shape)}."

        used = list(uses.used.values())
        _describe(log, module, used)
        asking = [t for t in used if t.requires_grad]
        if asking:
            log.cut = not logits.requires_grad or None in torch.autograd.grad(
                logits, asking, torch.ones_like(logits), allow_unused=True
            )
        statistics = {id(buffer) for buffer in module.buffers()}
        tensors = [(t, t.detach().clone()) for t in used if id(t) not in statistics]
        weights = _probe_weights(seed)
        with torch.no_grad():
            for tensor, _ in tensors:
                _deal(tensor, weights)
            logits, *moved, none = (module(scale * images) for scale in (1, 2, -1, 0))
            # On a line through 0, an affine map is as straight to the left as to the right.
            log.is_affine = all(
                torch.allclose(there - none, scale * (logits - none), atol=1e-3)
                for there, scale in zip(moved, (2, -1), strict=True)
            )
        return Played(logits, log=log)
    finally:
        with torch.no_grad():
            for tensor, before in tensors:
                tensor.copy_(before)
        for part, training in modes:
            part.training = training


def _met(shapes):
    """Say what met the first layer, where that is not rows of pixels; else nothing."""
    expects_pixels = [s for s in shapes if len(s) == 2 and SIZES[0] in s]
    others = [s for s in shapes if len(s) != 2 or SIZES[0] not in s]
    if not expects_pixels or not others or others[0][-1:] == SIZES[:1]:
        return ""
    return f"The first layer expects rows of 784 numbers, and was given the shape {others[0]}."


def _as_matrix(tensor):
    """Return a tensor's shape as that of a matrix, or None for what is a vector at most."""
    shape = tensor.shape[0] if tensor.ndim else 1, tensor[:1].numel() if tensor.ndim else 1
    return shape if min(shape) > 1 else None


def _describe(log, module, used):
    """Write into the log what the tensors tell that a network uses."""
    own = {id(parameter) for parameter in module.parameters()}
    weights = [t for t in used if _as_matrix(t)]
    vectors = [t for t in used if not _as_matrix(t) and t.numel() > 1]
    statistics = {id(buffer) for buffer in module.buffers() if not _as_matrix(buffer)}
    lost = [
        str(tuple(t.shape))
        for t in weights + vectors
        if id(t) not in own and id(t) not in statistics
    ]
    log.unregistered = ", ".join(lost)
    log.frozen = any(id(t) in own and not t.requires_grad for t in used)
    log.layers, log.biases = len(weights), len(vectors)

    shapes = [_as_matrix(t) for t in weights]
    wanted = list(zip(SIZES[1:], SIZES, strict=False))
    log.wide_enough = sorted(map(sorted, shapes)) == sorted(map(sorted, wanted))
    log.transposed = log.wide_enough and any(s not in wanted for s in shapes)
    chain = [SIZES[0]]
    for shape in shapes:
        chain.append(shape[0] if shape[1] == chain[-1] else shape[1])
    log.widths = "-".join(map(str, chain))


def _deal(tensor, weights):
    """Give a tensor its known weights, whatever its layout; leave any other as it is."""
    values = weights.get(tensor.numel())
    if values is not None:
        if values.ndim == 2 and tensor.shape[0] == values.shape[1] != values.shape[0]:
            values = values.T
        tensor.copy_(torch.tensor(values).reshape(tensor.shape).to(tensor))


_ACTIVATIONS = {
    "ReLU": torch.relu,
    "none": lambda z: z,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "GELU": nn.functional.gelu,
    "GELU, by tanh": lambda z: nn.functional.gelu(z, approximate="tanh"),
    "SiLU": nn.functional.silu,
    "ELU": nn.functional.elu,
    "SELU": nn.functional.selu,
    "softplus": nn.functional.softplus,
    "softsign": nn.functional.softsign,
    "Mish": nn.functional.mish,
    "hard tanh": nn.functional.hardtanh,
    "hard sigmoid": nn.functional.hardsigmoid,
    "hard swish": nn.functional.hardswish,
    "ReLU6": nn.functional.relu6,
    "log-sigmoid": nn.functional.logsigmoid,
    "arctan": torch.atan,
    "erf": torch.erf,
    "sine": torch.sin,
} | {
    f"leaky ReLU with slope {slope:.3g}": lambda z, slope=slope: nn.functional.leaky_relu(z, slope)
    for slope in (0.01, 0.02, 0.03, 0.05, 0.1, 0.15, 0.2, 11 / 48, 0.25, 0.3, 0.4, 0.5)
}


@functools.cache
def _by_activations(seed):
    """Return {(first activation, second): the logits} with the known weights."""
    inputs, hidden, _, classes = SIZES
    weights = {size: torch.tensor(values) for size, values in _probe_weights(seed).items()}
    bias = weights[hidden]
    z1 = _images(seed).double().flatten(1) @ weights[inputs * hidden].T + bias
    found = {}
    for first, bend in _ACTIVATIONS.items():
        z2 = bend(z1) @ weights[hidden * hidden].T + bias
        for second, bend_again in _ACTIVATIONS.items():
            logits = bend_again(z2) @ weights[hidden * classes].T + weights[classes]
            found[first, second] = logits.numpy()
    return found


def activations(got, seed=31):
    """Return the names of the two activations that give these logits, or None."""
    for names, logits in _by_activations(seed).items():
        if got.shape == logits.shape and close(got, logits):
            return names
    return None
