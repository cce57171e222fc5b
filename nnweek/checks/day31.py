"""The exercises of Day 31: autograd, training steps, tensors, a loader and a network in PyTorch.

Nothing here imports torch: the functions are given tensors and models, and what needs more than
their methods is in `instrumented_networks`, `instrumented_loops` and `instrumented_data`, which a
trial imports.
"""

import re
from dataclasses import replace
from functools import partial

import numpy as np

from nnweek.checks import forms, loops
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
    """Say what is accepted although it is not what the week's networks do, one line each."""
    lines = []
    activations = set(_activations(logits) if logits is not None else ()) - {"ReLU"}
    if activations:
        lines.append(
            f"Accepted, with an activation other than ReLU ({', '.join(sorted(activations))}). "
            "The numbers of this week are those of ReLU."
        )
    extras = ["dropout"] * (log.random == "train") + ["normalisation"] * bool(log.normalised)
    if extras:
        lines.append(
            f"Accepted, with {' and '.join(extras)} between the layers. The numbers of this week "
            "are those of a network without."
        )
    if log.transposed:
        lines.append(
            "Accepted, with weights stored as (in, out). `nn.Linear` stores them as (out, in); a "
            "state dict of one does not fit the other."
        )
    if log.only_double:
        lines.append(
            "Accepted, in double precision. It will stop at the first batch of a loader: the "
            'images there are float32, and the error says "mat1 and mat2 must have the same '
            'dtype". Leave out `.double()`, or convert every batch.'
        )
    return "\n".join(lines)


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


def _passes(log):
    return {"passes": log.passes}


_GET_GRADIENTS = {
    "none": "none of the network's weights gets a gradient",
    "some": "some of the network's weights get no gradient",
}
_LOST = "The network computes with weights that `model.parameters()` does not list: {lost}."
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
            "`forward` makes these layers again in each pass, with new random weights. What a "
            "training changes in them is lost at once.",
            "How often does the line run that makes these layers?",
            "Make the layers in `__init__`, as attributes of the module, and only call them in "
            "`forward`.",
            detect=_of_network(lambda log: log.remade and {"lost": log.unregistered}),
            finding=_LOST,
        ),
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
            finding=_LOST,
        ),
        Mistake(
            "no-flatten",
            "The batch axis was flattened too: all images became a single row.",
            "Which axes of (B, 1, 28, 28) belong to one image?",
            "Flatten everything except for the batch axis: `nn.Flatten()`, or a reshape to "
            "(B, 784).",
            detect=_of_network(lambda log: log.flat_batch and {"met": log.not_flat}),
            finding="{met}",
            slip=("nn.Flatten()", "nn.Flatten(0)"),
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
            slip=("nn.Flatten()", "nn.Identity()"),
        ),
        Mistake(
            "swapped-sizes",
            "The two sizes of this layer are exchanged. `nn.Linear` is given the number of its "
            "inputs first, although it stores its weight as (out, in).",
            "How many numbers does that layer receive per image, and how many should it return?",
            "Inputs first, outputs second, such as `nn.Linear(784, 256)`. A matrix of your own "
            "in `x @ W` has the shape (in, out).",
            detect=_of_network(
                lambda log: log.swapped and {"takes": log.swapped[0], "given": log.swapped[1]}
            ),
            finding="One layer takes {takes} numbers and got {given}.",
            slip=("nn.Linear(28 * 28, 256)", "nn.Linear(256, 28 * 28)"),
        ),
        Mistake(
            "missing-hidden-layer",
            "The second layer is computed, but its result never reaches the output.",
            "Which variable does the last layer get?",
            "Give the last layer what the second hidden layer returned.",
            detect=_of_network(lambda log: log.dropped == "(256, 256)"),
        ),
        Mistake(
            "wrong",
            "A layer is computed, but its result never reaches the output.",
            "What happens in `forward` to the result of each layer?",
            "Give each layer what the one before it returned.",
            detect=_of_network(lambda log: log.dropped and {"dropped": log.dropped}),
            finding="The output does not depend on the weights of shape {dropped}.",
        ),
        Mistake(
            "wrong",
            "The output layer is missing: both hidden layers are there, and no layer makes ten "
            "logits of the second.",
            "What is the shape of the network's output?",
            _LAST_IS_LINEAR,
            detect=_of_network(lambda log: log.passes.endswith(" 784-256-256.") and _passes(log)),
            finding="{passes}",
        ),
        Mistake(
            "missing-hidden-layer",
            "Two hidden layers take three linear layers: into the first, from the first into the "
            "second, and out of it.",
            "Count the layers that an image passes on its way: are there two of 256 units?",
            "The widths are 784, 256, 256, 10. Is every layer that you made used in `forward`?",
            detect=_of_network(lambda log: log.layers and log.layers < 3 and _passes(log)),
            finding="{passes}",
            slip=(
                "nn.Linear(256, 256),\n        nn.ReLU(),\n        nn.Linear(256, 10)",
                "nn.Linear(256, 10)",
            ),
        ),
        Mistake(
            "wrong-width",
            "The network should be 784-256-256-10.",
            "Read the widths of your layers one after the other, from the pixels to the classes.",
            "784 pixels, twice 256 hidden units, 10 classes.",
            detect=_of_network(
                lambda log: log.layers == 3 and not log.wide_enough and _passes(log)
            ),
            finding="{passes}",
            slip=(
                "nn.Linear(256, 256),\n        nn.ReLU(),\n        nn.Linear(256, 10)",
                "nn.Linear(256, 128),\n        nn.ReLU(),\n        nn.Linear(128, 10)",
            ),
        ),
        Mistake(
            "wrong",
            "These are more than two hidden layers.",
            "Count the layers that an image passes on its way.",
            "The widths are 784, 256, 256, 10.",
            detect=_of_network(lambda log: log.layers > 3 and _passes(log)),
            finding="{passes}",
            slip=("nn.Linear(256, 256),", "nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 256),"),
        ),
        Mistake(
            "softmax-output",
            "The logits are normalised over the batch (`dim=0`): each column sums to 1. A logit "
            "needs no softmax at all; `nn.CrossEntropyLoss` applies it itself.",
            "What do the columns of your output sum to? May a logit be negative?",
            _LAST_IS_LINEAR,
            variants=({"finish": lambda z: z.softmax(dim=0)},),
            detect=_of_logits(
                lambda got: loops.sums_to_one(got.T) and 0 < got.min() < got.max() < 1
            ),
            slip=("nn.Linear(256, 10),", "nn.Linear(256, 10), nn.Softmax(dim=0),"),
        ),
        Mistake(
            "softmax-output",
            "These are probabilities: each row sums to 1. `nn.CrossEntropyLoss` applies the "
            "softmax itself, and applying it twice is wrong.",
            "What do the rows of your output sum to? May a logit be negative?",
            _LAST_IS_LINEAR,
            variants=({"finish": loops.softmax_rows},),
            detect=_of_logits(lambda got: loops.sums_to_one(got) and 0 < got.min() < got.max() < 1),
            slip=("nn.Linear(256, 10),", "nn.Linear(256, 10), nn.Softmax(dim=1),"),
        ),
        Mistake(
            "log-softmax-output",
            "These are logarithms of probabilities: none is above 0. The loss that expects them is "
            "`nn.NLLLoss`; the network should return logits.",
            "Is any of your outputs positive? What do their exponentials sum to?",
            _LAST_IS_LINEAR,
            variants=({"finish": lambda z: z.log_softmax(dim=1)},),
            detect=_of_logits(lambda got: got.max() < 1e-6 and loops.sums_to_one(np.exp(got))),
            slip=("nn.Linear(256, 10),", "nn.Linear(256, 10), nn.LogSoftmax(dim=1),"),
        ),
        Mistake(
            "relu-on-logits",
            "No output is negative, and some are exactly 0: there is a ReLU after the last layer. "
            "A class whose logit is cut off gets no gradient.",
            "What is the smallest of your outputs? May a logit be negative?",
            "A ReLU belongs after each hidden layer, not after the last layer.",
            variants=({"finish": lambda z: z.relu()},),
            detect=_of_logits(
                lambda got: (
                    # A clamp, or a one-hot vector, repeats its maximum as well.
                    got.min() == 0 and (got == 0).mean() > 0.1 and (got == got.max()).sum() == 1
                )
            ),
            slip=("nn.Linear(256, 10),", "nn.Linear(256, 10), nn.ReLU(),"),
        ),
        Mistake(
            "no-nonlinearity",
            "Without a nonlinearity between them, several linear layers amount to one.",
            "What comes between one linear layer and the next?",
            "A ReLU belongs after each of the two hidden layers.",
            variants=both_or_one(first=identity, second=identity),
            detect=_is_linear,
            slip=("nn.ReLU(),\n        nn.Linear(256, 256)", "nn.Linear(256, 256)"),
        ),
        Mistake(
            "dropout-on-logits",
            "A logit that dropout sets to 0 gets no gradient, and 0 may be the highest score of "
            "all. Dropout belongs after a hidden layer.",
            "In train mode, send the same images through the network twice. Which logits are 0?",
            _LAST_IS_LINEAR,
            detect=_of_network(lambda log: log.random_logits),
            finding="In train mode, something random comes after the last layer.",
            slip=("nn.Linear(256, 10),", "nn.Linear(256, 10), nn.Dropout(0.5),"),
        ),
        Mistake(
            "wrong",
            "In eval mode a network should give the same logits each time. `F.dropout` on its own "
            "does not know the mode.",
            "What does your dropout do in eval mode?",
            "Use `nn.Dropout`, or pass `training=self.training` to `F.dropout`.",
            detect=_of_network(lambda log: log.random == "eval"),
            finding="In eval mode, the same images get different logits in each pass.",
        ),
        Mistake(
            "wrong",
            "A normalisation comes after the last layer. It fixes the scale of the logits, and "
            "with it how confident the network can become.",
            "What happens to the output of the last linear layer?",
            _LAST_IS_LINEAR,
            detect=_of_network(lambda log: 10 in log.normalised),
            finding="The logits are normalised.",
            slip=("nn.Linear(256, 10),", "nn.Linear(256, 10), nn.BatchNorm1d(10),"),
        ),
        Mistake(
            "wrong",
            "A function that squeezes or cuts its input comes after the last layer; a logit may "
            "be any number.",
            "What happens to the output of the last linear layer?",
            _LAST_IS_LINEAR,
            variants=({"finish": lambda z: z.sigmoid()}, {"finish": lambda z: z.tanh()}),
            detect=_of_logits(lambda got: np.abs(got).max() <= 1 and np.abs(got).max() > 0.9),
            slip=("nn.Linear(256, 10),", "nn.Linear(256, 10), nn.Sigmoid(),"),
        ),
        Mistake(
            "wrong",
            "Each of the three linear layers has a bias, one number per unit.",
            "How many parameters does a layer with 784 inputs and 256 units have?",
            "`nn.Linear` has a bias unless you pass `bias=False`.",
            detect=_of_network(lambda log: log.layers == 3 and log.biases < 3),
            finding="Some of the three layers have no bias.",
            slip=("nn.Linear(28 * 28, 256)", "nn.Linear(28 * 28, 256, bias=False)"),
        ),
        Mistake(
            "wrong",
            "A parameter with `requires_grad=False` is never trained.",
            "For which parameters will `loss.backward()` compute a gradient?",
            "Leave `requires_grad` as PyTorch sets it.",
            detect=_of_network(lambda log: log.frozen),
            finding="Some of the network's parameters do not require a gradient.",
            slip=("nn.Linear(256, 10)", "nn.Linear(256, 10).requires_grad_(False)"),
        ),
        Mistake(
            "wrong",
            "A layer expects several images, or an axis of length 1 was removed together with the "
            "axes of the image.",
            "What does `x.squeeze()` do with the shape (1, 1, 28, 28)?",
            "Flatten everything except for the batch axis: `nn.Flatten()`, or a reshape to "
            "(B, 784).",
            detect=lambda observations: (
                not observations[0].wrong
                and _of_network(lambda log: log.single and {"single": log.single})(observations)
            ),
            finding="With a single image, B = 1: {single}",
        ),
        Mistake(
            "wrong",
            "Somewhere between these weights and the logits the graph is cut, so no gradient "
            "reaches them and they are never trained.",
            "Which call in `forward` takes a tensor out of the graph?",
            "`forward` needs no `detach()`, no `.data` and no `no_grad()`; the evaluation loop "
            "turns recording off, not the network.",
            detect=lambda observations: (
                not observations[0].wrong
                and _of_network(lambda log: log.cut and {"cut": _GET_GRADIENTS[log.cut]})(
                    observations
                )
            ),
            finding="The logits are right, but {cut} from them.",
        ),
        Mistake(
            "one-network",
            "A second call should return a new network, with weights of its own. Otherwise the "
            "next training continues where the last one ended.",
            "Call your function twice. What do the two networks share?",
            "Create the layers inside the function, each time that it is called.",
            detect=_of_network(lambda log: log.shared),
            finding="Two calls returned the same network, or networks with common weights.",
        ),
    ),
    hints=(
        "Write down the shape after each step, from (B, 1, 28, 28) to (B, 10).",
        "Flatten, linear, ReLU, linear, ReLU, linear: `nn.Sequential` takes them in this order.",
    ),
)


def _as_it_is(loss, labels):
    return loss


def _times_batch_size(loss, labels):
    return loss * len(labels)


def _over_batch_size(loss, labels):
    return loss / len(labels)


def _train_step(
    model,
    images,
    labels,
    optimizer,
    criterion,
    *,
    mode=none,
    squash=identity,
    score=None,
    scale=_as_it_is,
    after=False,
    report=_as_it_is,
):
    """Take one step. Each keyword argument is a part that a mistake can replace."""
    score = score or criterion
    mode(model)
    optimizer.zero_grad()
    loss = scale(score(squash(model(images)), labels), labels)
    loss.backward()
    optimizer.step()
    loss = score(squash(model(images)), labels) if after else loss
    return report(float(loss.detach()), labels)


def _train_step_probes():
    for setup in (
        loops.LoopSetup(1, (7, 7, 7), lr=0.3),
        loops.LoopSetup(2, (5, 5, 3), lr=0.1, smoothing=0.2),
    ):
        yield Probe((setup,), {"optimizer": f"SGD(lr={setup.lr}, momentum={setup.momentum})"})


_EVAL_MODE = Mistake(
    "eval-mode",
    "The model was in eval mode while it trained: dropout is off, and batch norm uses its "
    "running statistics.",
    "In which mode does the model arrive, and in which does it compute?",
    "Do not change the mode, or call `model.train()`.",
    variants=({"mode": loops.eval_mode},),
    detect=loops.in_log(loops.not_in_train_mode),
    slip=("model(images)", "model.eval()(images)"),
)

_BACKWARD_STEP = "loss.backward()\n    optimizer.step()"


def _returns_graph(observations):
    """Return whether a returned tensor is still attached to its graph."""
    logs = [observation.log for observation in observations if observation.log is not None]
    return any(getattr(value, "requires_grad", False) for log in logs for value in log.values)


def _only_the_first_loss_is_right(observations):
    """Return the log's numbers if every loss before the first step is right, but no later one."""
    first, *later = train_step.outputs
    if not all(first not in o.wrong and set(later) <= set(o.wrong) for o in observations):
        return None
    return loops.in_log(lambda log: True)(observations)


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
        Mistake(
            "wrong",
            "The criterion was given images. It compares what the model returns with the labels.",
            "What does the criterion take first, and what second?",
            "Call `criterion(logits, labels)`.",
            detect=loops.in_log(loops.misused("images"), causes=""),
            slip=("criterion(logits, labels)", "criterion(images, labels)"),
        ),
        Mistake(
            "swapped-arguments",
            "The criterion was called with its two arguments exchanged: the labels came first.",
            "Which of the two does a criterion take first, the scores or the labels?",
            "Call `criterion(logits, labels)`.",
            detect=loops.in_log(loops.misused("swapped"), causes=""),
            slip=("criterion(logits, labels)", "criterion(labels, logits)"),
        ),
        Mistake(
            "argmax-before-loss",
            "The criterion was given the predicted classes. They have no gradient, and a "
            "cross-entropy needs the score of every class.",
            "What does the criterion need for each image: one number or ten?",
            "Pass it what the model returns, unchanged. The `argmax` is for the accuracy.",
            detect=loops.in_log(loops.misused("argmax"), causes=""),
            slip=("criterion(logits, labels)", "criterion(logits.argmax(dim=1), labels)"),
        ),
        Mistake(
            "criterion-class",
            "The logits and the labels were passed to the class, which takes options and makes a "
            "criterion. Only the criterion takes logits and labels.",
            "What does `nn.CrossEntropyLoss` take in its parentheses, and what does it return?",
            "Call the `criterion` that your function is given: it exists already.",
            detect=loops.in_log(lambda log: log.in_constructor, causes=""),
            slip=("criterion(logits, labels)", "nn.CrossEntropyLoss(logits, labels)"),
        ),
        replace(loops.ZERO_GRAD_NOT_CALLED, id="not-called"),
        replace(loops.STEP_NOT_CALLED, id="not-called"),
        loops.BACKWARD_REACHED_NOTHING,
        loops.NO_BACKWARD,
        loops.NO_STEP,
        replace(
            loops.STEP_BEFORE_BACKWARD,
            slip=(_BACKWARD_STEP, "optimizer.step()\n    loss.backward()"),
        ),
        replace(
            loops.ZERO_GRAD_AFTER_BACKWARD,
            slip=(
                _BACKWARD_STEP,
                "loss.backward()\n    optimizer.zero_grad()\n    optimizer.step()",
            ),
        ),
        replace(
            loops.NO_ZERO_GRAD,
            finding="{first} `.grad` still held the gradient of the batch before when the next "
            "`backward()` was called.",
        ),
        Mistake(
            "times-batch-size",
            "The loss is as many times too large as the batch has examples. The criterion already "
            "returns the mean over the batch.",
            "What does the criterion return: a sum over the batch, or its mean?",
            "Return the number as the criterion gives it.",
            variants=(
                {"report": _times_batch_size},
                {"scale": _times_batch_size},
                {"scale": _times_batch_size, "report": _over_batch_size},
            ),
            slip=("loss.item()", "loss.item() * len(labels)"),
        ),
        Mistake(
            "wrong",
            "The loss was divided by the batch size. The criterion already returns the mean over "
            "the batch.",
            "What does the criterion return: a sum over the batch, or its mean?",
            "Return the number as the criterion gives it.",
            variants=(
                {"report": _over_batch_size},
                {"scale": _over_batch_size},
                {"scale": _over_batch_size, "report": _times_batch_size},
            ),
            slip=("loss.item()", "loss.item() / len(labels)"),
        ),
        _EVAL_MODE,
        loops.SOFTMAX_BEFORE_LOSS,
        Mistake(
            "returns-graph",
            "The returned tensor is still attached to its graph. If you keep it, for example in a "
            "list of losses, you keep every activation of that batch in memory.",
            "What is the type of your return value, and what does it contain besides a number?",
            "`.item()` returns only the number.",
            detect=_returns_graph,
            finding="It returned a tensor that requires a gradient.",
            slip=("return loss.item()", "return loss"),
        ),
        loops.OTHER_CRITERION,
        loops.STEPS_REPEATEDLY,
        Mistake(
            "wrong",
            "This is the loss after the step; return the loss from which the step was computed.",
            "At which moment is the loss that you return computed?",
            "Return the loss on which you called `backward()`.",
            variants=({"after": True},),
            slip=("loss.item()", "criterion(model(images), labels).item()"),
        ),
        Mistake(
            "wrong",
            "The parameters moved, but the optimizer did not move them. It may do more than "
            "subtract a multiple of the gradient: this one has momentum.",
            "What moves the parameters in your function?",
            "Call `optimizer.step()`.",
            detect=loops.in_log(lambda log: not log.events("step") and any(log.moved)),
            slip=("optimizer.step()", "for p in model.parameters(): p.data -= 0.1 * p.grad"),
        ),
        Mistake(
            "wrong",
            "Only the first loss is right: something is wrong with the gradient or with the step.",
            "What happens between the loss and the step: is something missing, repeated or "
            "changed?",
            "`optimizer.zero_grad()`, the model, the criterion, `loss.backward()`, "
            "`optimizer.step()`: each once, and nothing else.",
            detect=_only_the_first_loss_is_right,
            finding=loops.STORY,
        ),
    ),
    hints=(
        "Five things in this order: clear, forward, score, backward, step.",
        "`optimizer.zero_grad()`, the model, the criterion, `loss.backward()`, `optimizer.step()`; "
        "and return the number inside the loss.",
    ),
)


# The steps of `_accumulate`: which share of the gradient a batch gets, and what is reported.


def _share(size, sizes):
    return size / sum(sizes)


def _equal_share(size, sizes):
    return 1 / len(sizes)


def _undivided(size, sizes):
    return 1


def _summed_examples(size, sizes):
    return size


def _over_count(size, sizes):
    return 1 / sum(sizes)


def _as_if_all_were_full(size, sizes):
    return size / (len(sizes) * sizes[0])


def _accumulate(
    model,
    batches,
    optimizer,
    criterion,
    *,
    mode=none,
    select=list,
    clear=lambda optimizer: optimizer.zero_grad(),
    clear_each=none,
    share=_share,
    report=loops.weighted_mean,
):
    """Take one step from several batches. Each keyword argument is a part that a mistake replaces."""
    mode(model)
    batches = select(batches)
    sizes = [len(labels) for _, labels in batches]
    clear(optimizer)
    losses = []
    for images, labels in batches:
        clear_each(optimizer)
        loss = criterion(model(images), labels)
        (loss * share(len(labels), sizes)).backward()
        losses.append(float(loss.detach()))
    optimizer.step()
    return report(losses, sizes)


def _accumulate_probes():
    for setup in (
        loops.LoopSetup(1, (6, 3, 1, 6, 3, 1), lr=0.3, norm=False),
        loops.LoopSetup(2, (4, 5, 2, 2, 5, 4), lr=0.1, smoothing=0.2, norm=False),
    ):
        half = " and ".join(map(str, setup.batches[:3]))
        yield Probe((setup,), {"batches": half.replace(" and ", ", ", 1)})


def _both(share, *reports):
    """Return variants that weigh the gradients so, report so, or both."""
    shares = [{"share": share}]
    return (
        *({"share": share, "report": report} for report in reports),
        *shares,
        *({"report": report} for report in reports),
    )


def _uses_a_large_batch(observations):
    for log in (o.log for o in observations if o.log is not None):
        largest = max((len(rows) for _, rows, _ in log.events("scored")), default=0)
        if largest > max(log.sizes):
            return {"largest": largest, "given": max(log.sizes)}
    return None


def _steps_per_batch(log):
    return any(sum(name == "step" for name, *_ in call) > 1 for call in log.calls)


def _uses_the_first_only(log):
    """Return whether each call used the first of its batches, and no other."""
    half = len(log.sizes) // 2
    used = [{event[-1] for event in call if event[0] == "forward"} for call in log.calls]
    return used == [{0}, {half}]


def _clears_between(log):
    """Return whether `zero_grad` is called between two backward passes of one call."""
    for call in log.calls:
        names = [event[1] if event[0] == "called" else event[0] for event in call]
        names = [name for name in names if name in ("zero_grad", "backward")]
        while names and names[0] == "zero_grad":
            names.pop(0)
        while names and names[-1] == "zero_grad":
            names.pop()
        if "zero_grad" in names:
            return True
    return False


accumulate = Exercise(
    name="accumulate",
    day=31,
    signature="accumulate(model, batches, optimizer, criterion)",
    task="takes one step from several batches, the same as from one batch that holds all their "
    "examples, and returns the mean loss of these examples, a plain number",
    right=_accumulate,
    outputs=("the loss of step 1", "the loss of step 2"),
    probes=_accumulate_probes,
    trial=partial(loops.run_trial, "try_accumulation"),
    mistakes=(
        loops.ZERO_GRAD_NOT_CALLED,
        loops.STEP_NOT_CALLED,
        loops.BACKWARD_REACHED_NOTHING,
        loops.NO_BACKWARD,
        loops.NO_STEP,
        replace(loops.STEP_BEFORE_BACKWARD, id="wrong"),
        replace(loops.ZERO_GRAD_AFTER_BACKWARD, id="wrong"),
        Mistake(
            "step-in-loop",
            "Each of these steps follows the gradient of one batch, and the next batch meets "
            "parameters that have moved already. One step should follow the gradient of all.",
            "How often does the optimizer step in one call of your function, and when?",
            "Inside the loop, only gradients are gathered; `optimizer.step()` comes after it.",
            detect=loops.in_log(_steps_per_batch),
            finding="{first} The optimizer stepped more than once in one call.",
            slip=("total += loss.item()", "total += loss.item(); optimizer.step()"),
        ),
        Mistake(
            "cleared-in-loop",
            "Clearing the gradients inside the loop throws away what the batches before have "
            "added; only the last batch counts.",
            "What is in `.grad` when the last batch begins?",
            "Clear the gradients once, before the loop.",
            variants=({"clear_each": lambda optimizer: optimizer.zero_grad()},),
            detect=loops.in_log(_clears_between),
            slip=(
                "for images, labels in batches:",
                "for images, labels in batches:\n        optimizer.zero_grad()",
            ),
        ),
        Mistake(
            "no-zero-grad",
            "This step followed the gradients of an earlier call as well: nothing had cleared "
            "them.",
            "What is in `.grad` when your function is called for the second time?",
            "Call `optimizer.zero_grad()` once, before the loop.",
            variants=({"clear": none},),
            slip=("optimizer.zero_grad()", "# optimizer.zero_grad()"),
        ),
        Mistake(
            "last-batch-only",
            "The result belongs only to the last batch.",
            "Which lines run once per batch, and which once at the end?",
            "Call `backward()` inside the loop, and add up the losses there.",
            variants=(
                {"select": lambda batches: list(batches)[-1:]},
                {"report": lambda values, sizes: values[-1]},
                {"report": lambda values, sizes: values[-1] * sizes[-1] / sum(sizes)},
            ),
            slip=("total += loss", "total = loss"),
        ),
        Mistake(
            "first-batch-only",
            "The result belongs only to the first batch.",
            "Where does your loop end: after how many batches?",
            "A `return` or a `break` inside the loop ends it. Move it behind the loop.",
            variants=({"select": lambda batches: list(batches)[:1]},),
            detect=loops.in_log(_uses_the_first_only),
        ),
        Mistake(
            "unweighted",
            "Every batch counted the same, but they have different sizes: the examples of a small "
            "batch weigh too much.",
            "If a batch has a single example, how much of the step should that example decide?",
            "Weigh each batch's mean by its share of the examples: its size over the number of all.",
            variants=_both(_equal_share, lambda values, sizes: float(np.mean(values))),
            slip=("len(labels) / count", "1 / len(batches)"),
        ),
        Mistake(
            "not-divided",
            "What the batches contribute was added up and never divided, so the step is too long. "
            "The mean over all examples is a weighted mean of the batches' means.",
            "If you split the same examples into twice as many batches, should the step grow?",
            "Weigh each batch's mean by its share of the examples; the shares add up to 1.",
            variants=(
                *_both(_undivided, lambda values, sizes: float(np.sum(values))),
                *_both(_summed_examples, lambda values, sizes: float(np.dot(values, sizes))),
            ),
            slip=("labels) * len(labels) / count", "labels)"),
        ),
        Mistake(
            "wrong",
            "The number of all examples was taken to be the size of the first batch times the number of "
            "batches. Not all batches are as large as the first.",
            "How many examples are there in all your batches?",
            "Add up the sizes of the batches.",
            variants=_both(
                _as_if_all_were_full,
                lambda values, sizes: float(np.dot(values, sizes)) / (len(sizes) * sizes[0]),
            ),
            slip=("sum(len(labels) for _, labels in batches)", "len(batches) * len(batches[0][1])"),
        ),
        Mistake(
            "sum-of-means-over-examples",
            "Means of batches were added up, and the sum was divided by the number of examples. The "
            "result is several times too small.",
            "Is what the criterion returns for a batch a sum over its examples, or a mean?",
            "Multiply each batch's mean by the size of that batch before you divide.",
            variants=_both(
                _over_count, lambda values, sizes: float(np.sum(values) / np.sum(sizes))
            ),
            slip=("* len(labels) / count", "/ count"),
        ),
        _EVAL_MODE,
        replace(
            loops.SOFTMAX_BEFORE_LOSS,
            id="wrong",
            variants=(),
            slip=("model(images)", "model(images).softmax(dim=1)"),
        ),
        Mistake(
            "returns-graph",
            "The returned tensor is still attached to the graphs of all batches, and keeps their "
            "activations in memory. To need little memory was the point of small batches.",
            "What is the type of your return value, and what does it contain besides a number?",
            "Add up numbers: `loss.item()` is one.",
            detect=_returns_graph,
            finding="It returned a tensor that requires a gradient.",
            slip=("loss.item()", "loss"),
        ),
        Mistake(
            "one-large-batch",
            "The step is right, but the small batches were joined to a large one. They are small "
            "because a large one may not fit into memory.",
            "How many images pass through the network at once in your function?",
            "Call the model on one batch after the other.",
            detect=_uses_a_large_batch,
            finding="The network got {largest} images at once; the largest batch has {given}.",
        ),
    ),
    hints=(
        "Gradients add up in `.grad` until something clears them. What must each batch's loss be "
        "multiplied by, so that the sum is the gradient of the mean over all examples?",
        "Clear once. For each batch: `criterion(…)`, times the batch's share of all examples, and "
        "`backward()`. Step once. The weighted losses add up to the loss of all.",
    ),
)
# The graph of `read_autograd`; a test runs it.
GRAPH = """\
x = torch.tensor(2.0)
w = torch.tensor(3.0, requires_grad=True)
b = torch.tensor(1.0, requires_grad=True)

y = w * x + b
c = y.detach()
with torch.no_grad():
    d = w * b
loss = c * w + y**2

loss.backward()
"""
_TENSORS = ("x", "w", "b", "y", "c", "d", "loss")
_AUTOGRAD = {
    "w.grad": 35.0,
    "b.grad": 14.0,
    "w.grad after a second pass": 70.0,
    "d.requires_grad": False,
    "have a .grad": frozenset("wb"),
    "y.grad_fn": "add",
}
_AUTOGRAD_SLIPS = {
    "w.grad": {
        "ignores-detach": [41],  # c taken for y
        "one-path": [7, 28],
        "missing-inner-slope": [21],
    },
    "b.grad": {"ignores-detach": [17], "one-path": [3, 0], "missing-inner-slope": [7]},
    "w.grad after a second pass": {"overwrites": [35], "ignores-detach": [82, 41]},
}


def _read_answer(key, value):
    """Return (what an answer on autograd means, "") or (id, what is wrong with it)."""
    right = _AUTOGRAD[key]
    if right is False:
        value = {"true": True, "false": False}.get(str(value).lower(), value)
        is_one = isinstance(value, (bool, np.bool_))
        return (bool(value), "") if is_one else ("wrong-type", f"“{key}” should be True or False.")
    if isinstance(right, float):
        return forms.number(key, value)
    if isinstance(right, frozenset):
        names = value if isinstance(value, (list, tuple, set)) else [value]
        words = frozenset(re.findall(r"\w+", " ".join(map(str, names)))) - {"and"}
        if not words or words - set(_TENSORS):
            return (
                "wrong-type",
                f"“{key}” should be some of {', '.join(_TENSORS)}, separated by commas.",
            )
        return words, ""
    for name, spellings in {"add": ("add", "plus", "+"), "mul": ("mul", "times", "*")}.items():
        if any(spelling in str(value).lower() for spelling in spellings):
            return name, ""
    return str(value), ""


def _find_in_graph(key, value, _):
    right = _AUTOGRAD[key]
    if value == right or (isinstance(right, float) and abs(value - right) < 1e-6):
        return None
    if isinstance(right, float):
        slips = _AUTOGRAD_SLIPS[key].items()
        named = (id_ for id_, slip in slips if value in slip)
        return next(named, "wrong"), f"“{key}”: you gave {value:g}."
    if right is False:
        return "records-without-recording", f"“{key}”: you gave {value}."
    if isinstance(right, frozenset):
        more = value - right
        finding = f"“{key}”: you gave {', '.join(n for n in _TENSORS if n in value)}."
        for id_, names in (
            ("grad-of-an-input", "x"),
            ("records-without-recording", "cd"),
            ("grad-of-a-result", ("y", "loss")),
        ):
            if more & set(names):
                return id_, finding
        return "wrong", finding
    return ("first-operation" if value == "mul" else "wrong"), f"“{key}”: you gave {value}."


read_autograd = forms.Form(
    name="read_autograd",
    day=31,
    signature="read_autograd(answers)",
    task="takes your predictions for the small graph: gradients, a flag, the tensors that get a "
    "gradient, and the operation at the top of y; some may stay open",
    judge=lambda answers: forms.judge(_AUTOGRAD, answers, _read_answer, _find_in_graph),
    mistakes=(
        Mistake(
            "ignores-detach",
            "A gradient went through `detach()`. What it returns has the same numbers and no "
            "history.",
            "Is `c` a function of `w` to autograd, or a constant?",
            "Treat `c` as the number 7, whatever it was computed from.",
        ),
        Mistake(
            "one-path",
            "Only one of the ways from this parameter to the loss was counted.",
            "In how many terms of the loss does this parameter occur?",
            "Take the derivative of each term, and add them up.",
        ),
        Mistake(
            "missing-inner-slope",
            "A factor of the chain rule is missing.",
            "What is the derivative of y² with respect to y, and of y with respect to this "
            "parameter?",
            "The square contributes two factors: 2y, and the slope of y.",
        ),
        Mistake(
            "records-without-recording",
            "Inside `no_grad()`, and behind `detach()`, nothing is recorded: the result is a plain "
            "number to autograd.",
            "Which lines of the code does the graph not contain?",
            "`c` and `d` do not require a gradient, and get none.",
        ),
        Mistake(
            "overwrites",
            "That is the gradient of one pass.",
            "What does `backward()` do with what is in `.grad` already?",
            "`backward()` adds. Nothing was cleared between the two passes.",
        ),
        Mistake(
            "grad-of-an-input",
            "`x` was made without `requires_grad`, so it gets no gradient.",
            "Which of the tensors at the start were made with `requires_grad=True`?",
            "Only leaves that require a gradient get one.",
        ),
        Mistake(
            "grad-of-a-result",
            "The gradient passes through the results in between, and is not stored there.",
            "Where does the walk through the graph end?",
            "Only leaves keep their gradient: the tensors that no operation has made.",
        ),
        Mistake(
            "first-operation",
            "This operation was done first. `grad_fn` is the one that made the tensor, which was "
            "done last.",
            "Which operation comes last in `w * x + b`?",
            "Multiplication binds more tightly, so it is done before.",
        ),
    ),
    hints=(
        "Put the numbers in from the top: y is 7. Which terms of the loss does autograd know to "
        "depend on w?",
        "Write loss = 7 · w + (w · x + b)², where the 7 is a constant, and take its derivatives.",
    ),
)


# What the ladder with a wrong rung would show if another cause were at work.
_CAUSES = {
    "gradients were not cleared": None,
    "softmax applied twice": (
        "loss-would-differ",
        "the loss would be wrong from the first step on",
    ),
    "weights transposed": ("loss-would-differ", "the loss would be wrong from the first step on"),
    "computed in 32 bits": ("one-step-would-show-it", "one step would show differences of 1e-8"),
    "batches weighed equally": (
        "needs-unequal-batches",
        "the number of examples would matter, not the number of steps",
    ),
    "optimizer remembers earlier steps": (
        "gradients-would-be-right",
        "the gradients of step 2 would still be right: only the step from them would not",
    ),
}


def _read_rung(key, value):
    if key == "rung":
        found = re.search(r"\d", str(value))
        rungs = (0, 2, 5, 6, 7)
        if not found or int(found[0]) not in rungs:
            return "wrong-type", f"“rung” should be one of {', '.join(map(str, rungs))}."
        return int(found[0]), ""
    spelled = " ".join(str(value).lower().split())
    if spelled not in _CAUSES:
        return "wrong-type", f"“{value}” is not on the list. The causes are: {'; '.join(_CAUSES)}."
    return spelled, ""


def _find_rung(key, value, _):
    if key == "rung":
        wrong = f"“rung”: you gave {value}. Its numbers stay those of rung 0 however you measure."
        return None if value == 6 else ("rung-is-right", wrong)
    if _CAUSES[value] is None:
        return None
    id_, would = _CAUSES[value]
    return id_, f"“cause”: if it were “{value}”, {would}. Is that so?"


wrong_rung = forms.Form(
    name="wrong_rung",
    day=31,
    signature="wrong_rung(answers)",
    task="takes a dictionary with the number of the wrong rung and the cause, as it is written in "
    "the list",
    judge=lambda answers: forms.judge({"rung": 6, "cause": ""}, answers, _read_rung, _find_rung),
    mistakes=(
        Mistake(
            "rung-is-right",
            "Rungs are not wrong because they come later: each is computed from the same start.",
            "For which of your measurements does one row differ from the lowest?",
            "Change one argument of `second_ladder` at a time, from what the page's ladder had.",
        ),
        Mistake(
            "loss-would-differ",
            "This would change what the network computes, so the first loss would tell.",
            "Which columns differ in your measurement, and which do not?",
            "Look at the loss after one step and after two.",
        ),
        Mistake(
            "one-step-would-show-it",
            "Rounding to 32 bits shows at once, and in every column.",
            "How large are the differences after one step, and after two?",
            "After one step they are those of 64 bits.",
        ),
        Mistake(
            "needs-unequal-batches",
            "This depends on how the examples are divided, and only a loader divides them.",
            "Does the number of examples change the differences, or the number of steps?",
            "Take 7 examples and one step; then 8 examples and two steps.",
        ),
        Mistake(
            "gradients-would-be-right",
            "An optimizer with a memory is given the right gradient and takes another step.",
            "Is the gradient of the second step right in the wrong rung?",
            "Subtract the right gradient of step 2 from the wrong one. Do you know the difference?",
        ),
    ),
    hints=(
        "With the numbers of the page all rungs agree. Which of the three numbers makes a row "
        "differ? Change one at a time.",
        "When a row differs, ask which column differs first, and by how much: compare the "
        "difference with numbers that you know.",
    ),
)


def _try_tensors(function, images, labels):
    from nnweek.checks import instrumented_data

    return instrumented_data.try_tensors(function, images, labels)


def _to_tensors(images, labels, device, *, divisor=255):
    from nnweek.checks import instrumented_data

    return instrumented_data.to_tensors(images, labels, device, divisor)


def _tensor_probes():
    rng = np.random.default_rng(3)
    for n in (5, 3):
        images = rng.integers(0, 256, size=(n, 28, 28), dtype=np.uint8)
        images[0, 0, :2] = 0, 255
        labels = rng.permutation(10)[:n].astype(np.uint8)
        yield Probe((images, labels))


def _in_facts(condition):
    """Make a `detect` from a condition on the log of a trial that is not right."""

    def detect(observations):
        logs = [o.log for o in observations if o.wrong and o.log is not None]
        return logs and condition(logs[0])

    return detect


def _of_output(name, condition):
    """Make a `detect` from a condition on (got, right) of one output, wherever it is wrong."""

    def detect(observations):
        pairs = [(o.outputs.get(name), o.right[name]) for o in observations if name in o.wrong]
        return bool(pairs) and all(
            got is not None and condition(got, right) for got, right in pairs
        )

    return detect


def _is_affine(got, right):
    """Return whether an array is the right one times a number plus a number below 0."""
    if got.shape != right.shape or got.min() >= 0:
        return False
    low, high = got.min(), got.max()
    return np.allclose(got, low + (high - low) * right, atol=1e-4)


def _has_dtype(which, *names):
    return lambda log: log[which] in names and {"dtype": log[which]}


to_tensors = Exercise(
    name="to_tensors",
    day=31,
    signature="to_tensors(images, labels, device)",
    task="turns uint8 images (N, 28, 28) and whole-number labels (N,) into what a network and a "
    "criterion take: float32 images (N, 1, 28, 28) from 0 to 1 and int64 labels, on the device",
    right=_to_tensors,
    outputs=("images", "labels"),
    probes=_tensor_probes,
    trial=lambda function, images, labels: _try_tensors(function, images, labels),
    mistakes=(
        Mistake(
            "swapped-pair",
            "The labels came first.",
            "In which order does your function return the two?",
            "Return the images, then the labels.",
            detect=_in_facts(lambda log: log["swapped"]),
            finding="The first of your two tensors has fewer axes than the second.",
            slip=("return x.to(device), y.to(device)", "return y.to(device), x.to(device)"),
        ),
        Mistake(
            "one-hot-labels",
            "There is a row per label. `nn.CrossEntropyLoss` takes one whole number per image.",
            "How many numbers does the criterion need per image?",
            "Leave the labels as classes; only their dtype changes.",
            detect=_of_output("labels", lambda got, right: got.shape == (len(right), 10)),
        ),
        Mistake(
            "no-channel-axis",
            "A batch of images has four axes: images, channels, rows, columns. Grey images have one "
            "channel, but the axis is there.",
            "How many axes does your tensor have, and which one is missing?",
            "`unsqueeze(1)` or a reshape to (N, 1, 28, 28) adds an axis of length 1.",
            detect=_of_output("images", lambda got, right: got.shape == right[:, 0].shape),
            slip=(".unsqueeze(1) / 255", " / 255"),
        ),
        Mistake(
            "integer-images",
            "A layer multiplies the pixels by weights that are floats of 32 bits, so they must be the "
            "same.",
            "What is the dtype of your images, and what is the dtype of a layer's weight?",
            "`dtype=torch.float32`, or `.float()`, before you divide.",
            detect=_in_facts(_has_dtype("images", "uint8", "int8", "int16", "int32", "int64")),
            finding="The images are {dtype}.",
        ),
        Mistake(
            "integer-division",
            "A division of whole numbers lost everything between 0 and 1.",
            "Which values does a pixel of 100 get?",
            "Make floats first, then divide with `/`.",
            detect=_of_output(
                "images",
                lambda got, right: got.shape == right.shape and (got == (right >= 1)).all(),
            ),
            slip=("/ 255", "// 255"),
        ),
        Mistake(
            "not-scaled",
            "The pixels still run from 0 to 255.",
            "What are the smallest and the largest of your numbers?",
            "Divide by 255.",
            variants=({"divisor": 1},),
            slip=("unsqueeze(1) / 255", "unsqueeze(1)"),
        ),
        Mistake(
            "normalised",
            "The pixels were brought to another mean and spread. That is useful, but it takes "
            "statistics of the training set, which this function does not have.",
            "What are the smallest and the largest of your numbers?",
            "Only divide by 255.",
            detect=_of_output("images", _is_affine),
            slip=("/ 255", "/ 255 - 0.5"),
        ),
        Mistake(
            "double-images",
            "NumPy computes in 64 bits, and `torch.tensor` and `torch.from_numpy` keep what they "
            "get. The first layer would stop: its weights have 32 bits.",
            "Where in your function do the 64 bits come from?",
            "`dtype=torch.float32`, or `.float()` at the end.",
            detect=_in_facts(_has_dtype("images", "float64")),
            finding="The images are {dtype}.",
            slip=(
                "torch.tensor(images, dtype=torch.float32)",
                "torch.from_numpy(images.astype(float))",
            ),
        ),
        Mistake(
            "float-labels",
            "Labels are classes, not amounts: `nn.CrossEntropyLoss` uses them to pick a column.",
            "Can you use a float as an index?",
            "`dtype=torch.int64`, or `.long()`.",
            detect=_in_facts(_has_dtype("labels", "float16", "float32", "float64")),
            finding="The labels are {dtype}.",
            slip=("torch.int64", "torch.float32"),
        ),
        Mistake(
            "labels-not-long",
            "Whole numbers, but of another size: PyTorch's criteria expect 64 bits, called `long`.",
            "What is the dtype of your labels, and which one did they come with?",
            "`dtype=torch.int64`, or `.long()`.",
            detect=_in_facts(_has_dtype("labels", "uint8", "int8", "int16", "int32")),
            finding="The labels are {dtype}.",
            slip=("torch.int64", "torch.int32"),
        ),
        Mistake(
            "not-moved",
            "Neither tensor is on the device. A tensor's `.to(device)` moves nothing in place: it "
            "returns another tensor, which needs a name.",
            "What becomes of the tensor that `.to(device)` returns?",
            "`images = images.to(device)`, or `device=device` where the tensor is made.",
            detect=_in_facts(lambda log: "meta" not in log["devices"]),
            finding="With the device `meta`, both tensors are on another one.",
            slip=(
                "return x.to(device), y.to(device)",
                "x.to(device), y.to(device)\n    return x, y",
            ),
        ),
        Mistake(
            "left-behind",
            "Model, images and labels must be on the same device; here one of the two tensors was "
            "left behind.",
            "Which of the two tensors does your function move?",
            "Move both.",
            detect=_in_facts(
                lambda log: "meta" in log["devices"] and set(log["devices"]) != {"meta"}
            ),
            finding="With the device `meta`, only one of the two tensors is there.",
            slip=("y.to(device)", "y"),
        ),
        Mistake(
            "wrong",
            "The images have numbers of another size.",
            "What is the dtype of your images, and what is the dtype of a layer's weight?",
            "`dtype=torch.float32`, or `.float()`.",
            detect=_in_facts(lambda log: log["images"] != "float32" and {"dtype": log["images"]}),
            finding="The images are {dtype}.",
            slip=("torch.float32", "torch.float16"),
        ),
    ),
    hints=(
        "Three things to set: the dtype of each, the shape of the images, and the device of both.",
        "`torch.tensor(images, dtype=torch.float32)` and `torch.tensor(labels, dtype=torch.int64)`; "
        "then the channel axis, a division by 255, and `.to(device)` for both.",
    ),
)


def _try_loader(function, n, batch_size, seed):
    from nnweek.checks import instrumented_data

    return instrumented_data.try_loader(function, n, batch_size, seed)


def _seeded_loader(images, labels, batch_size, seed):
    from nnweek.checks import instrumented_data

    return instrumented_data.seeded_loader(images, labels, batch_size, seed)


def _loader_probes():
    for n, batch_size, seed in ((23, 5, 4), (24, 8, 11)):
        yield Probe((n, batch_size, seed), {"examples": n, "batch_size": batch_size})


def _firsts(one, other):
    return {"one": ", ".join(map(str, one[:4])), "other": ", ".join(map(str, other[:4]))}


def _counts(log):
    last = " and one of ".join(map(str, dict.fromkeys(log.sizes))) or "none"
    return {"sizes": f"batches of {last}"}


_LOADER = "DataLoader(Pairs(), batch_size, shuffle=True, generator=own)"

seeded_loader = Exercise(
    name="seeded_loader",
    day=31,
    signature="seeded_loader(images, labels, batch_size, seed)",
    task="returns a loader of batches (images, labels), shuffled again in each epoch, in an order "
    "that depends on the seed and on nothing else",
    right=_seeded_loader,
    outputs=("the examples of an epoch",),
    probes=_loader_probes,
    trial=lambda function, n, batch_size, seed: _try_loader(function, n, batch_size, seed),
    mistakes=(
        Mistake(
            "swapped-pair",
            "The labels come first. Every loop of this course expects images, then labels.",
            "In which order does your dataset return the two?",
            "`__getitem__` returns the image, then the label.",
            detect=_in_facts(lambda log: log.swapped),
            finding="A batch is (labels, images).",
            slip=("images[i], labels[i]", "labels[i], images[i]"),
        ),
        Mistake(
            "labels-separated",
            "Images and labels are not in the same order: most images come with the label of "
            "another one. The network would memorise nonsense.",
            "Are images and labels picked with the same index?",
            "One index picks both: `images[i]` and `labels[i]`.",
            detect=_in_facts(lambda log: not log.paired),
            finding="An image came with a label that is not its own.",
            slip=("images[i], labels[i]", "images[i], labels[-1 - i]"),
        ),
        Mistake(
            "drops-last",
            "The last batch is missing because it is smaller than the others: its examples are not "
            "used in that epoch.",
            "How many examples does an epoch of your loader have?",
            "Leave `drop_last` as it is, and let the last batch be smaller.",
            detect=_in_facts(
                lambda log: (
                    len(set(log.sizes)) == 1
                    and 0 < log.n - sum(log.sizes) < log.sizes[0]
                    and _counts(log)
                )
            ),
            finding="With {examples} examples: {sizes} in the first epoch.",
            slip=("shuffle=True", "shuffle=True, drop_last=True"),
        ),
        Mistake(
            "wrong-size",
            "The dataset's `__len__` says how many examples there are; the loader takes no others.",
            "What does `len` of your dataset return, and how many examples are there?",
            "`__len__` returns the number of images.",
            detect=_in_facts(lambda log: sum(log.sizes) != log.n and _counts(log)),
            finding="With {examples} examples: {sizes} in the first epoch.",
            slip=("return len(labels)", "return len(labels) // 2"),
        ),
        Mistake(
            "batch-size-ignored",
            "The batches have another size than the one that was given.",
            "Where does your function use `batch_size`?",
            "Pass `batch_size` to the loader.",
            detect=_in_facts(lambda log: log.sizes != log.expected_sizes and _counts(log)),
            finding="With batch_size = {batch_size}: {sizes}.",
            slip=("Pairs(), batch_size,", "Pairs(), 1,"),
        ),
        Mistake(
            "one-epoch-only",
            "The second epoch was empty. A generator function, `zip` or `iter(loader)` can be gone "
            "through once; a loader, once per epoch.",
            "What does a second `for` loop over your loader see?",
            "Return the loader itself, or an object whose `__iter__` starts again.",
            detect=_in_facts(lambda log: not log.epochs[1]),
            finding="The first epoch had batches, and the second had none.",
            slip=(_LOADER, f"iter({_LOADER})"),
        ),
        Mistake(
            "wrong-length",
            "`len` of a loader is the number of its batches; a progress bar and a schedule "
            "need it.",
            "What is `len` of what you return?",
            "A `DataLoader` has the right one. An object of your own needs a `__len__`.",
            detect=_in_facts(
                lambda log: (
                    log.length != len(log.sizes)
                    and {"length": log.length, "batches": len(log.sizes)}
                )
            ),
            finding="`len` of your loader is {length}; it yields {batches} batches.",
        ),
        Mistake(
            "not-shuffled",
            "The examples come in the order in which they are stored. If they are sorted, by class "
            "for example, each batch is one class.",
            "Which example comes first in your loader, and which second?",
            "`shuffle=True`.",
            detect=_in_facts(lambda log: log.epochs[0] == list(range(log.n)) == log.epochs[1]),
            finding="Two epochs in a row begin with the examples 0, 1, 2 and 3.",
            slip=("shuffle=True", "shuffle=False"),
        ),
        Mistake(
            "global-seed",
            "The function seeds the global generator. So it changes what all other code draws, such "
            "as first weights; and what other code draws changes its order.",
            "Who else uses the generator that `torch.manual_seed` sets?",
            "Give the loader a generator of its own: `torch.Generator()`, seeded.",
            detect=_in_facts(lambda log: log.seeds_globally),
            finding="After your function, the global generator is always in the same state, whatever it was "
            "before.",
            slip=("torch.Generator().manual_seed(seed)", "torch.manual_seed(seed)"),
        ),
        Mistake(
            "unseeded",
            "Two loaders with the same seed yield different orders: they shuffle with the global "
            "generator.",
            "Which generator does the loader use, and what does it know of the seed?",
            "Pass `generator=` to the loader: a `torch.Generator()`, seeded with `seed`.",
            detect=_in_facts(
                lambda log: log.epochs != log.again and _firsts(log.epochs[0], log.again[0])
            ),
            finding="Two loaders with the same seed begin with the examples {one} and {other}.",
            slip=("generator=own", "generator=None"),
        ),
        Mistake(
            "same-order",
            "Every epoch has the same order, so the same examples share a batch each time.",
            "How often does your function shuffle: once, or once per epoch?",
            "The order is drawn when an epoch starts, from a generator that goes on from epoch to "
            "epoch.",
            detect=_in_facts(lambda log: log.epochs[0] == log.epochs[1] and _firsts(*log.epochs)),
            finding="The first epoch begins with the examples {one}, and the second with {other}.",
            slip=(_LOADER, f"list({_LOADER})"),
        ),
        Mistake(
            "ignores-seed",
            "Two different seeds give the same order.",
            "Where does your function use `seed`?",
            "Seed the generator with the `seed` that your function is given.",
            detect=_in_facts(
                lambda log: log.epochs == log.other and _firsts(log.epochs[0], log.other[0])
            ),
            finding="Two loaders with different seeds begin with the examples {one} and {other}.",
            slip=("manual_seed(seed)", "manual_seed(0)"),
        ),
    ),
    hints=(
        "Two parts: a `Dataset` with `__len__` and `__getitem__`, and a `DataLoader` with a "
        "generator of its own.",
        "`DataLoader(dataset, batch_size, shuffle=True, generator=…)` with a `torch.Generator()` that "
        "was given the seed.",
    ),
)

EXERCISES = (read_autograd, train_step, accumulate, wrong_rung, to_tensors, seeded_loader, mlp)
