"""Instrumented networks: record which weights a network uses and what it computes (Day 31).

A learner's network may be written in any way, so its layers are not looked up by name:

1. `_UsedTensors` watches every PyTorch function during one forward pass and records the tensors
   that no function made: these are the weights, listed in `parameters()` or not.
2. Each of them is overwritten by known values, chosen by its *size*: 784·256 numbers are the
   first matrix, whatever its layout. The square matrix is symmetric and both hidden biases are
   equal, so it does not matter which is which, nor whether a matrix is transposed.
3. The logits then depend on the two activations only, and are compared with those of every
   pair of known activations.

Afterwards the network gets its own weights back. This module needs PyTorch; `day31` imports it
when a trial runs.
"""

import contextlib
import functools
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

from nnweek.checks.comparing import close, kind
from nnweek.checks.instrumented_loops import one_thread
from nnweek.checks.running import TrialRun
from nnweek.checks.sandbox import Problem, described

SIZES = (28 * 28, 256, 256, 10)
# Their second argument is a matrix, also one with a single row or column.
_PRODUCTS = {
    nn.functional.linear,
    torch.matmul,
    torch.mm,
    torch.Tensor.matmul,
    torch.Tensor.mm,
    torch.Tensor.__matmul__,
}
_NORMALISATIONS = {
    nn.functional.batch_norm,
    nn.functional.layer_norm,
    nn.functional.group_norm,
    nn.functional.instance_norm,
    nn.functional.rms_norm,
}


@dataclass
class NetworkLog:
    """What is known about a network after a forward pass.

    Attributes:
        layers: how many matrices it multiplied with; 0 if that is not known.
        passes: a sentence on the widths of these layers.
        wide_enough: whether these are the expected widths.
        biases: how many of its vectors could be biases.
        unregistered: the shapes of weights that it uses but does not list as parameters.
        frozen: whether a parameter that it uses does not require a gradient.
        cut: "none" or "some" of its parameters get a gradient through the graph, or "" if all do.
        dropped: the shapes of matrices whose products do not reach the logits, as text.
        remade: whether the unregistered weights are new ones in each forward pass.
        single: what goes wrong with a single image.
        transposed: whether a matrix is stored as (in, out), unlike in `nn.Linear`.
        not_flat: a sentence on the first layer's input if that is not rows of pixels.
        swapped: (how many numbers it takes, how many it got) of a layer that expects its own
            number of outputs as input.
        flat_batch: whether the images of the batch became a single row.
        is_affine: whether the network as a whole is one affine map.
        normalised: the widths of the layers that it normalises.
        random: "" if the network computes the same again, or the mode in which it does not:
            "train" or "eval".
        random_logits: whether it does something random, such as dropout, to the logits.
        shared: whether two calls of the function return the same weights.
        only_double: whether it accepts float64 images only.
    """

    layers: int = 0
    passes: str = ""
    wide_enough: bool = True
    biases: int = 3
    unregistered: str = ""
    frozen: bool = False
    cut: str = ""
    dropped: str = ""
    remade: bool = False
    single: str = ""
    transposed: bool = False
    not_flat: str = ""
    swapped: tuple = ()
    flat_batch: bool = False
    is_affine: bool = False
    normalised: set = field(default_factory=set)
    random: str = ""
    random_logits: bool = False
    shared: bool = False
    only_double: bool = False


class _UsedTensors(TorchFunctionMode):
    """Records every tensor that PyTorch's functions are given and that none of them made.

    What belongs to a normalisation or a PReLU is left out.
    """

    def __init__(self, images):
        super().__init__()
        self.made = {id(images): images}  # a reference, so that no other tensor gets its id
        self.used = {}
        self.normalised, self.shifts = set(), []
        self.factors = set()  # the ids of second factors
        self.last = ()  # the shapes of the last call's tensors

    def __torch_function__(self, function, types, args=(), kwargs=None):
        inputs = [t for t in _flat((args, kwargs or {})) if isinstance(t, torch.Tensor)]
        if function in _NORMALISATIONS:
            self.normalised.add(inputs[0].shape[-1])
            self.shifts += _shift(inputs)
        if function in _PRODUCTS and len(inputs) > 1 and inputs[1].ndim == 2:
            self.factors.add(id(inputs[1]))
        if function in _NORMALISATIONS | {torch.prelu}:
            inputs = inputs[:1]
        # Reading an attribute, such as `x.shape`, is a call as well.
        if getattr(function, "__name__", "") != "__get__":
            self.last = [tuple(t.shape) for t in inputs]
        for tensor in inputs:
            if id(tensor) not in self.made and tensor.is_floating_point():
                self.used[id(tensor)] = tensor
        result = function(*args, **(kwargs or {}))
        for tensor in _flat(result):
            if isinstance(tensor, torch.Tensor) and id(tensor) not in self.used:
                self.made[id(tensor)] = tensor
        return result


class _NoNormalisation(TorchFunctionMode):
    """Turns every normalisation into the identity, or into a layer's only bias."""

    def __init__(self, shifts):
        super().__init__()
        self.shifts = {id(shift) for shift in shifts}

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function not in _NORMALISATIONS:
            return function(*args, **(kwargs or {}))
        inputs = [t for t in _flat((args, kwargs or {})) if isinstance(t, torch.Tensor)]
        shift = sum(t for t in _shift(inputs) if id(t) in self.shifts)
        return inputs[0] + shift


def _shift(inputs):
    """Return a list with the bias of a normalisation, if it has one, given its tensors."""
    learnt = [t for t in inputs[1:] if isinstance(t, nn.Parameter)]
    return learnt[1:]


def _flat(thing):
    """Yield the items of nested dictionaries, lists and tuples."""
    if isinstance(thing, dict):
        thing = tuple(thing.values())
    if isinstance(thing, (list, tuple)):
        for item in thing:
            yield from _flat(item)
    else:
        yield thing


def _probe_weights(seed):
    """Draw weights for 784-256-256-10: {how many numbers: values of that tensor}."""
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


class ReferenceNetwork(nn.Module):
    """784-256-256-10 with given functions after its three layers."""

    def __init__(self, first, second, finish):
        super().__init__()
        self.linear = nn.ModuleList(nn.Linear(i, o) for i, o in zip(SIZES, SIZES[1:], strict=False))
        self.functions = first, second, finish

    def forward(self, x):
        x = x.flatten(1)
        for linear, function in zip(self.linear, self.functions, strict=True):
            x = function(linear(x))
        return x


def try_network(function, seed):
    """Try `mlp`: give the network known weights, and send images through it."""
    module = function()
    if module is None or module is Ellipsis:
        return TrialRun(module)
    if not isinstance(module, nn.Module):
        what = "a class instead of an instance" if isinstance(module, type) else kind(module)
        text = f"It returned {what}, where a network (an `nn.Module`) was expected."
        return TrialRun(problem=Problem("wrong-type", text))
    if "_modules" not in vars(module):
        text = (
            "the network that it returned was never set up: its `__init__` does not call "
            "`super().__init__()`."
        )
        return TrialRun(problem=Problem("raised", text))

    log, problem = NetworkLog(), None
    with one_thread(), _restored(module) as tensors:
        parameter = next(module.parameters(), torch.empty(0, dtype=torch.float32))
        images = _images(seed).to(parameter)
        if any(is_lazy(p) for p in module.parameters()):
            module(images)  # lazy layers get their sizes
        uses = _UsedTensors(images)
        try:
            with torch.enable_grad(), uses:
                logits = module(images)
        except (RuntimeError, ValueError, IndexError) as error:
            log.not_flat, log.swapped = _wrong_input(uses.last), _swapped_sizes(uses.last)
            log.flat_batch = (7 * SIZES[0],) in uses.last
            if not (log.not_flat or log.swapped):
                raise
            return TrialRun(log=log, problem=described(error))
        if not isinstance(logits, torch.Tensor):
            text = f"its `forward` returned {kind(logits)}, where logits were expected."
            return TrialRun(log=log, problem=Problem("wrong-type", text))
        shape = tuple(logits.shape)
        if shape in ((7,), (7, 1)) and not logits.is_floating_point():
            text = f"`forward` returned one class per image, shape {shape}, not ten logits."
            problem = Problem("wrong-shape", text)

        used = list(uses.used.values())
        if logits.ndim == 4:
            log.not_flat = f"Images of shape (7, 1, 28, 28) became {shape}."
        elif used and 28 in (_as_matrix(used[0]) or ()):
            log.not_flat = "The first layer gets the 28 numbers of one row of the image at a time."
        log.normalised = uses.normalised
        # A linear layer without a bias may leave it to the normalisation that follows.
        shifts = uses.shifts if sum(not _as_matrix(t) for t in used) < 3 else []
        used += shifts
        _describe(log, module, used, uses.factors)
        log.remade = bool(log.unregistered) and _are_remade(module, images, uses.used)
        trainable = [t for t in used if t.requires_grad]
        without_gradient = _without_gradient(logits, trainable)
        if without_gradient:
            log.cut = "some" if len(without_gradient) < len(trainable) else "none"
        statistics = {id(buffer) for buffer in module.buffers()}
        tensors += [(t, t.detach().clone()) for t in used if id(t) not in statistics]
        weights = _probe_weights(seed)
        with torch.no_grad(), _NoNormalisation(shifts):
            for tensor, _ in tensors:
                _overwrite(tensor, weights)
            logits, doubled, negated, at_0 = (module(scale * images) for scale in (1, 2, -1, 0))
            # For an affine f, f(s·x) − f(0) = s · (f(x) − f(0)), also for a negative s.
            log.is_affine = all(
                torch.allclose(scaled - at_0, scale * (logits - at_0), atol=1e-3)
                for scaled, scale in ((doubled, 2), (negated, -1))
            )
            dropped = [t for t in without_gradient if not _matters(t, module, images)]
            log.dropped = ", ".join(str(tuple(t.shape)) for t in dropped if _as_matrix(t))
            log.single = _with_a_single_image(module, images)
            log.random = next((m for m in ("eval", "train") if _is_random(module, images, m)), "")
            for tensor, _ in tensors:
                if tensor.numel() == SIZES[2] * SIZES[3]:
                    tensor.zero_()  # the logits are the biases, whatever happens to hidden units
            log.random_logits = _is_random(module, images, "train")
        log.only_double = images.dtype == torch.float64 and not _accepts(module, images.float())
    other = function()
    log.shared = other is module or not _parameters_of(module).isdisjoint(_parameters_of(other))
    return TrialRun(logits, log=log, problem=problem)


def _without_gradient(logits, tensors):
    """Return those of the tensors that get no gradient from the logits."""
    if not tensors or not logits.requires_grad:
        return tensors
    with torch.enable_grad():
        gradients = torch.autograd.grad(logits.sum(), tensors, allow_unused=True)
    return [t for t, gradient in zip(tensors, gradients, strict=True) if gradient is None]


def _matters(tensor, module, images):
    """Return whether the network's output depends on a tensor's values."""
    before, values = module(images), tensor.clone()
    tensor.mul_(-2)
    after = module(images)
    tensor.copy_(values)
    return not torch.equal(before, after)


def _are_remade(module, images, used):
    """Return whether another forward pass uses none of the unregistered weights of the first."""
    again = _UsedTensors(images)
    with again:
        module(images)
    own = _parameters_of(module) | {id(buffer) for buffer in module.buffers()}
    return not (set(used) & set(again.used)) - own


def _with_a_single_image(module, images):
    """Say what goes wrong if the batch is a single image, else return ""."""
    try:
        one = module(images[:1])
    except (RuntimeError, ValueError, IndexError) as error:
        return described(error).text
    expected = (1, *module(images).shape[1:])
    if tuple(one.shape) == expected:
        return ""
    return f"`logits` has shape {tuple(one.shape)}, where {expected} was expected."


@contextlib.contextmanager
def _restored(module):
    """Put a network into eval mode; afterwards, restore its modes, buffers and weights.

    Yields:
        a list for pairs (tensor, its values to restore).
    """
    modes = [(part, part.training) for part in module.modules()]
    buffers = [(buffer, buffer.clone()) for buffer in module.buffers() if not is_lazy(buffer)]
    tensors = []
    try:
        module.eval()
        yield tensors
    finally:
        with torch.no_grad():
            for tensor, before in tensors + buffers:
                tensor.copy_(before)
        for part, training in modes:
            part.training = training


def _parameters_of(module):
    return {id(p) for p in module.parameters()} if isinstance(module, nn.Module) else set()


def _accepts(module, images):
    """Return whether a network computes with these images without an error."""
    try:
        with torch.no_grad():
            module(images)
    except (RuntimeError, ValueError, TypeError):
        return False
    return True


def _is_random(module, images, mode):
    """Return whether the same images get different logits in each pass, as with dropout."""
    module.train(mode == "train")
    images = images.repeat(40, 1, 1, 1)
    first, *others = (module(images) for _ in range(3))
    # In train mode, a network may return something else for its own purposes.
    return isinstance(first, torch.Tensor) and not all(
        torch.allclose(logits, first, equal_nan=True) for logits in others
    )


def _wrong_input(shapes):
    """Describe the first layer's input if it is not rows of pixels, else return ""."""
    pixels = [s for s in shapes if np.prod(s) == 7 * SIZES[0]]  # else another layer made them
    expects_pixels = any(len(s) == 2 and SIZES[0] in s for s in shapes if s not in pixels)
    if not pixels or not expects_pixels or pixels[0][-1:] == SIZES[:1]:
        return ""
    return f"The first layer expects rows of 784 numbers, but got the shape {pixels[0]}."


def _swapped_sizes(shapes):
    """Return (how many numbers a layer takes, how many it got) if these are swapped, else ()."""
    matrices = [shape for shape in shapes if len(shape) == 2]
    if len(matrices) != 2:
        return ()
    rows, weight = matrices
    fits = rows[0] == 7 and rows[1] in weight
    is_first_or_last = rows[1] == SIZES[0] or SIZES[-1] in weight and rows[1] != SIZES[-1]
    return (weight[weight[0] == rows[1]], rows[1]) if fits and is_first_or_last else ()


def _as_matrix(tensor):
    """Return a tensor's shape as that of a matrix, or None for vectors and scalars."""
    shape = tensor.shape[0] if tensor.ndim else 1, tensor[:1].numel() if tensor.ndim else 1
    return shape if min(shape) > 1 else None


def _describe(log, module, used, factors):
    """Record in the log what the used tensors say about the network."""
    own = {id(parameter) for parameter in module.parameters()}
    weights = [t for t in used if _as_matrix(t) or id(t) in factors]
    vectors = [t for t in used if not _as_matrix(t) and id(t) not in factors and t.numel() > 1]
    statistics = {id(buffer) for buffer in module.buffers() if not _as_matrix(buffer)}
    unregistered = (t for t in weights + vectors if id(t) not in own | statistics)
    log.unregistered = ", ".join(str(tuple(t.shape)) for t in unregistered)
    log.frozen = any(id(t) in own and not t.requires_grad for t in used)
    log.layers, log.biases = len(weights), len(vectors)

    shapes = [_as_matrix(t) or tuple(t.shape) for t in weights]
    expected = list(zip(SIZES[1:], SIZES, strict=False))
    log.wide_enough = sorted(map(sorted, shapes)) == sorted(map(sorted, expected))
    log.transposed = log.wide_enough and any(s not in expected for s in shapes)
    chain = [SIZES[0]]
    for shape in shapes:
        if chain[-1] not in shape:
            written = ", ".join(map(str, shapes))
            log.passes = f"The weights of the network's layers have the shapes {written}."
            return
        chain.append(shape[0] if shape[1] == chain[-1] else shape[1])
    written = "-".join(map(str, chain))
    log.passes = f"The image passes through layers of these widths: {written}."


def _overwrite(tensor, weights):
    """Give a tensor the known values of its size, in either layout; leave others unchanged."""
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
    """Return the pairs of activations and their logits with the known weights, one per pair."""
    inputs, hidden, _, classes = SIZES
    weights = {size: torch.tensor(values) for size, values in _probe_weights(seed).items()}
    bias = weights[hidden]
    z1 = _images(seed).double().flatten(1) @ weights[inputs * hidden].T + bias
    names, logits = [], []
    for first, activation1 in _ACTIVATIONS.items():
        z2 = activation1(z1) @ weights[hidden * hidden].T + bias
        for second, activation2 in _ACTIVATIONS.items():
            z3 = activation2(z2) @ weights[hidden * classes].T + weights[classes]
            names.append((first, second))
            logits.append(z3.numpy())
    return names, np.stack(logits)


def activations(got, seed=31):
    """Return the names of the two activations that give these logits, or None."""
    names, logits = _by_activations(seed)
    if got.shape != logits.shape[1:]:
        return None
    nearest = np.abs(logits - got).max(axis=(1, 2)).argmin()
    return names[nearest] if close(got, logits[nearest]) else None
