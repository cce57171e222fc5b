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
            "Each of the three linear layers has a bias: 269,322 parameters in all.",
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
        Mistake(
            "eval-mode",
            "The model was in eval mode while it trained: dropout is off, and batch norm uses its "
            "running statistics.",
            "In which mode does the model arrive, and in which does it compute?",
            "Do not change the mode, or call `model.train()`.",
            variants=({"mode": loops.eval_mode},),
            detect=loops.in_log(loops.not_in_train_mode),
            slip=("model(images)", "model.eval()(images)"),
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

EXERCISES = (mlp, train_step)
