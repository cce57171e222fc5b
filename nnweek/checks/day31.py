"""The exercises of Day 31: a network and one training step, in PyTorch.

Nothing here imports torch: the functions are given tensors and models, and what needs more than
their methods is in `instrumented_networks` and `instrumented_loops`, which a trial imports.
"""

from dataclasses import replace
from functools import partial

import numpy as np

from nnweek.checks import loops
from nnweek.checks.comparing import as_numbers
from nnweek.checks.exercise import Exercise, Mistake, Probe
from nnweek.checks.steps import both_or_one, identity, none


def _try_mlp(function, seed):
    from nnweek.checks import instrumented_networks

    run = instrumented_networks.try_network(function, seed)
    if run.log is not None:
        run.remark = _remark(as_numbers(run.value), run.log)
    return run


def _remark(logits, log):
    """Name an activation other than ReLU, or an unusual layout of the weights, if any."""
    activations = set(_activations(logits) if logits is not None else ()) - {"ReLU"}
    if activations:
        return (
            f"Accepted, with an activation other than ReLU ({', '.join(sorted(activations))}). "
            "The numbers of this week are those of ReLU."
        )
    if log.transposed:
        return (
            "Accepted, with weights stored as (in, out). `nn.Linear` stores them as (out, in); a "
            "state dict of one does not fit the other."
        )
    return ""


def _activations(logits):
    """Return the names of the network's two activations, () if they are not recognised."""
    from nnweek.checks import instrumented_networks

    return instrumented_networks.activations(logits) or ()


def _mlp(*, first=lambda z: z.relu(), second=lambda z: z.relu(), finish=identity):
    from nnweek.checks import instrumented_networks

    return instrumented_networks.ReferenceNetwork(first, second, finish)


def _mlp_probes():
    yield Probe((31,), {"B": 7}, accept=_uses_activations)


def _uses_activations(got, right):
    """Return whether the logits are right for some activation, perhaps a different one per layer."""
    names = _activations(got)
    return bool(names) and "none" not in names


def _of_logits(condition):
    """Make a `detect` from a condition on logits that exist but are wrong."""

    def detect(observations):
        logits = observations[0].outputs.get("logits")
        usable = logits is not None and np.isfinite(logits).all()
        return usable and observations[0].wrong and condition(logits)

    return detect


def _of_network(condition):
    """Make a `detect` from a condition on the network's log."""

    def detect(observations):
        log = observations[0].log
        return log is not None and condition(log)

    return detect


def _is_linear(observations):
    log = observations[0].log
    return _of_logits(lambda logits: log.is_affine or "none" in _activations(logits))(observations)


def _widths(log):
    return {"widths": log.widths}


_PASSES_WIDTHS = "The image passes through layers of these widths: {widths}."
_LAST_IS_LINEAR = "The last layer is linear, with nothing after it."

mlp = Exercise(
    name="mlp",
    day=31,
    signature="mlp()",
    task="returns an nn.Module that maps images (B, 1, 28, 28) to logits (B, 10) through two "
    "hidden layers of 256 ReLUs",
    right=_mlp,
    outputs=("logits",),
    probes=_mlp_probes,
    trial=_try_mlp,
    mistakes=(
        Mistake(
            "unregistered-layers",
            "A module finds the layers and `nn.Parameter`s that are its own attributes, and "
            "nothing inside a plain Python list, tuple or dictionary. The optimizer never moves "
            "what the module does not find.",
            "How many parameters does `sum(p.numel() for p in model.parameters())` count, "
            "and how many should there be?",
            "Put the layers into `nn.Sequential` or `nn.ModuleList`, or make each an attribute "
            "of its own; a bare tensor becomes a parameter through `nn.Parameter`.",
            detect=_of_network(lambda log: log.unregistered and {"lost": log.unregistered}),
            finding="The network computes with weights that `model.parameters()` does not list: "
            "{lost}.",
        ),
        Mistake(
            "no-flatten",
            "A linear layer works on the last axis only. The image has to become one row of 784 "
            "numbers first.",
            "What is the shape of a batch of images, and which shape does the first layer expect?",
            "Flatten everything except for the batch axis: `nn.Flatten()`, or a reshape to "
            "(B, 784).",
            detect=_of_network(lambda log: log.not_flat and {"met": log.not_flat}),
            finding="{met}",
        ),
        Mistake(
            "missing-hidden-layer",
            "Two hidden layers take three linear layers: into the first, from the first into the "
            "second, and out of it.",
            "Count the layers that an image passes on its way: are there two of 256 units?",
            "The widths are 784, 256, 256, 10. Is every layer that you made used in `forward`?",
            detect=_of_network(lambda log: log.layers and log.layers < 3 and _widths(log)),
            finding=_PASSES_WIDTHS,
        ),
        Mistake(
            "wrong-width",
            "The network should be 784-256-256-10.",
            "Read the widths of your layers one after the other, from the pixels to the classes.",
            "784 pixels, twice 256 hidden units, 10 classes.",
            detect=_of_network(
                lambda log: log.layers == 3 and not log.wide_enough and _widths(log)
            ),
            finding=_PASSES_WIDTHS,
        ),
        Mistake(
            "wrong",
            "These are more than two hidden layers.",
            "Count the layers that an image passes on its way.",
            "The widths are 784, 256, 256, 10.",
            detect=_of_network(lambda log: log.layers > 3 and _widths(log)),
            finding=_PASSES_WIDTHS,
        ),
        Mistake(
            "softmax-output",
            "These are probabilities: each row sums to 1. `nn.CrossEntropyLoss` applies the "
            "softmax itself, and applying it twice is wrong.",
            "What do the rows of your output sum to? May a logit be negative?",
            _LAST_IS_LINEAR,
            variants=({"finish": loops.softmax_rows},),
            detect=_of_logits(loops.sums_to_one),
        ),
        Mistake(
            "log-softmax-output",
            "These are logarithms of probabilities: none is above 0. The loss that expects them is "
            "`nn.NLLLoss`; the network should return logits.",
            "Is any of your outputs positive? What do their exponentials sum to?",
            _LAST_IS_LINEAR,
            variants=({"finish": lambda z: z.log_softmax(dim=1)},),
            detect=_of_logits(lambda got: got.max() < 1e-6 and loops.sums_to_one(np.exp(got))),
        ),
        Mistake(
            "relu-on-logits",
            "No output is negative, and some are exactly 0: there is a ReLU after the last layer. "
            "A class whose logit is cut off gets no gradient.",
            "What is the smallest of your outputs? May a logit be negative?",
            "A ReLU belongs after each hidden layer, not after the last layer.",
            variants=({"finish": lambda z: z.relu()},),
            detect=_of_logits(lambda got: got.min() == 0 and (got == 0).mean() > 0.1),
        ),
        Mistake(
            "no-nonlinearity",
            "Without a nonlinearity between them, several linear layers amount to one.",
            "What comes between one linear layer and the next?",
            "A ReLU belongs after each of the two hidden layers.",
            variants=both_or_one(first=identity, second=identity),
            detect=_is_linear,
        ),
        Mistake(
            "wrong",
            "A function that squeezes or cuts its input comes after the last layer; a logit may "
            "be any number.",
            "What happens to the output of the last linear layer?",
            _LAST_IS_LINEAR,
            variants=({"finish": lambda z: z.sigmoid()}, {"finish": lambda z: z.tanh()}),
            detect=_of_logits(lambda got: np.abs(got).max() <= 1 and np.abs(got).max() > 0.9),
        ),
        Mistake(
            "wrong",
            "Each of the three linear layers has a bias: 269,322 parameters in all.",
            "How many parameters does a layer with 784 inputs and 256 units have?",
            "`nn.Linear` has a bias unless you pass `bias=False`.",
            detect=_of_network(lambda log: log.layers == 3 and log.biases < 3),
            finding="Some of the three layers have no bias.",
        ),
        Mistake(
            "wrong",
            "A parameter with `requires_grad=False` is never trained.",
            "For which parameters will `loss.backward()` compute a gradient?",
            "Leave `requires_grad` as PyTorch sets it.",
            detect=_of_network(lambda log: log.frozen),
            finding="Some of the network's parameters do not require a gradient.",
        ),
        Mistake(
            "wrong",
            "Somewhere between these weights and the logits the graph is cut, so no gradient "
            "reaches them and they are never trained.",
            "Which call in `forward` takes a tensor out of the graph?",
            "`forward` needs no `detach()`, no `.data` and no `no_grad()`; the evaluation loop "
            "turns recording off, not the network.",
            detect=_of_network(lambda log: log.cut),
            finding="The logits are right, but some of the network's weights get no gradient from "
            "them.",
        ),
    ),
    hints=(
        "Write down the shape after each step, from (B, 1, 28, 28) to (B, 10).",
        "Flatten, linear, ReLU, linear, ReLU, linear: `nn.Sequential` takes them in this order.",
    ),
)


def _train_step(
    model,
    images,
    labels,
    optimizer,
    criterion,
    *,
    mode=none,
    clear=loops.clear,
    squash=identity,
    score=None,
    after=False,
):
    """Take one step. Each keyword argument is a part that a mistake can replace."""
    score = score or criterion
    mode(model)
    clear(optimizer)
    loss = score(squash(model(images)), labels)
    loss.backward()
    optimizer.step()
    return float(score(squash(model(images)), labels) if after else loss)


def _train_step_probes():
    for setup in (
        loops.LoopSetup(1, (6, 6, 6), lr=0.3),
        loops.LoopSetup(2, (5, 5, 3), lr=0.1, smoothing=0.2),
    ):
        yield Probe((setup,), {"optimizer": f"SGD(lr={setup.lr}, momentum={setup.momentum})"})


def _returns_graph(observations):
    """Return whether a returned tensor is still attached to its graph."""
    logs = [observation.log for observation in observations if observation.log is not None]
    return any(getattr(value, "requires_grad", False) for log in logs for value in log.values)


train_step = Exercise(
    name="train_step",
    day=31,
    signature="train_step(model, images, labels, optimizer, criterion)",
    task="takes one training step on a batch and returns its loss, a plain number",
    right=_train_step,
    outputs=("the loss of step 1", "the loss of step 2", "the loss of step 3"),
    probes=_train_step_probes,
    trial=partial(loops.run_trial, "try_steps"),
    mistakes=(
        loops.NO_BACKWARD,
        loops.NO_STEP,
        loops.STEP_BEFORE_BACKWARD,
        loops.ZERO_GRAD_AFTER_BACKWARD,
        replace(
            loops.NO_ZERO_GRAD,
            finding="The first step is right, and the later ones are not. {first}",
        ),
        Mistake(
            "eval-mode",
            "The model was in eval mode while it trained: dropout is off, and batch norm uses its "
            "running statistics.",
            "In which mode does the model arrive, and in which does it compute?",
            "Do not change the mode, or call `model.train()`.",
            variants=({"mode": loops.eval_mode},),
            detect=loops.in_log(loops.not_in_train_mode),
        ),
        loops.SOFTMAX_BEFORE_LOSS,
        Mistake(
            "returns-graph",
            "The returned tensor is still attached to its graph. If you keep it, for example in a "
            "list of losses, you keep every activation of that batch in memory.",
            "What is the type of your return value, and what does it contain besides a number?",
            "`.item()` returns only the number.",
            detect=_returns_graph,
            finding="It returned a tensor that requires a gradient.",
        ),
        loops.OTHER_CRITERION,
        Mistake(
            "wrong",
            "This is the loss after the step; return the loss from which the step was computed.",
            "At which moment is the loss that you return computed?",
            "Return the loss on which you called `backward()`.",
            variants=({"after": True},),
        ),
        Mistake(
            "wrong",
            "The parameters moved, but the optimizer did not move them. It may do more than "
            "subtract a multiple of the gradient: this one has momentum.",
            "What moves the parameters in your function?",
            "Call `optimizer.step()`.",
            detect=loops.in_log(lambda log: not log.events("step") and any(log.moved)),
        ),
    ),
    hints=(
        "Five things in this order: clear, forward, score, backward, step.",
        "`optimizer.zero_grad()`, the model, the criterion, `loss.backward()`, `optimizer.step()`; "
        "and return the number inside the loss.",
    ),
)

EXERCISES = (mlp, train_step)
