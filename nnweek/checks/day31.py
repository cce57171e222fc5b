"""The exercises of Day 31: a network and one training step, in PyTorch.

Nothing here imports torch: the functions are handed tensors and models, and what needs more
than their methods is in `watched.py`, which is imported when an exercise is played.
"""

import numpy as np

from nnweek.checks.exercise import Exercise, Mistake, Probe


def keep(x):
    return x


def nothing(*_):
    return None


def softmax_rows(logits):
    return logits.softmax(dim=1)


def sums_to_one(rows):
    """Whether these are probabilities over the classes, or by mistake over the batch."""
    rows = np.asarray(rows)
    if rows.ndim != 2 or not np.isfinite(rows).all() or rows.min() < -1e-6:
        return False
    return any(np.allclose(rows.sum(axis=axis), 1, atol=1e-4) for axis in (1, 0))


# --- mlp -----------------------------------------------------------------------------------------


def _try_mlp(function, seed):
    from nnweek.checks import instrumented_networks

    return instrumented_networks.try_network(function, seed)


def _mlp(*, first=lambda z: z.relu(), second=lambda z: z.relu(), finish=keep):
    from nnweek.checks import instrumented_networks

    return instrumented_networks.network(first, second, finish)


def _mlp_probes():
    yield Probe((31,), {"B": 7}, accept=_some_activation)


def _some_activation(got, right):
    """Whether the logits are right for some activation, each hidden layer with its own."""
    from nnweek.checks import instrumented_networks

    pair = instrumented_networks.activations(got)
    return pair is not None and "none" not in pair


def _network(observations):
    """Return (the logits, or None, and the network's log, or None)."""
    observation = observations[0]
    got = observation.outputs.get("logits")
    usable = got is not None and np.isfinite(got).all()
    return (got if usable else None), observation.log


def _of_logits(condition):
    """Make a `tells` from a condition on logits that are there and not right."""

    def detect(observations):
        got, _ = _network(observations)
        return got is not None and observations[0].wrong and condition(got)

    return detect


def _of_network(condition):
    """Make a `tells` from a condition on what is known of the network."""

    def detect(observations):
        _, log = _network(observations)
        return log is not None and condition(log)

    return detect


def _no_bend(observations):
    from nnweek.checks import instrumented_networks

    got, log = _network(observations)
    if got is None or not observations[0].wrong:
        return False
    return log.is_affine or "none" in (instrumented_networks.activations(got) or ())


def _remark_on_activations(observations):
    from nnweek.checks import instrumented_networks

    names = set(instrumented_networks.activations(observations[0].outputs["logits"]) or ()) - {
        "ReLU"
    }
    return names and (
        f"Accepted, with another activation than ReLU ({', '.join(sorted(names))}). The numbers of "
        "this week are those of ReLU."
    )


def _remark_on_layout(observations):
    return observations[0].log.transposed and (
        "Accepted, with weights stored as (in, out). `nn.Linear` keeps them as (out, in); a state "
        "dict of one does not fit the other."
    )


def _widths(log):
    return {"widths": log.widths}


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
    remarks=(_remark_on_activations, _remark_on_layout),
    mistakes=(
        Mistake(
            "unregistered-layers",
            "A module finds the layers and `nn.Parameter`s that are its own attributes, and "
            "nothing inside a plain Python list, tuple or dictionary. What it does not find, the "
            "optimizer never moves.",
            (
                "How many parameters does `sum(p.numel() for p in model.parameters())` count, "
                "and how many should there be?",
                "Give the layers to `nn.Sequential` or `nn.ModuleList`, or make each an attribute "
                "of its own; a bare tensor becomes a parameter through `nn.Parameter`.",
            ),
            detect=_of_network(lambda log: log.unregistered and {"lost": log.unregistered}),
            finding="The network computes with weights that `model.parameters()` does not list: "
            "{lost}.",
        ),
        Mistake(
            "no-flatten",
            "A linear layer works on the last axis alone. The image has to become one row of 784 "
            "numbers first.",
            (
                "Which shape has a batch of images, and which shape does the first layer expect?",
                "Flatten everything but the batch axis: `nn.Flatten()`, or a reshape to (B, 784).",
            ),
            detect=_of_network(lambda log: log.not_flat and {"met": log.not_flat}),
            finding="{met}",
        ),
        Mistake(
            "missing-hidden-layer",
            "Two hidden layers take three linear layers: into the first, from the first into the "
            "second, and out of it.",
            (
                "Count the layers that an image passes on its way: are there two of 256 units?",
                "The widths are 784, 256, 256, 10. Is every layer that you made used in "
                "`forward`?",
            ),
            detect=_of_network(lambda log: log.layers and log.layers < 3 and _widths(log)),
            finding="The image goes through layers of these widths: {widths}.",
        ),
        Mistake(
            "wrong-width",
            "The network that is asked for is 784-256-256-10.",
            (
                "Read the widths of your layers one after the other, from the pixels to the "
                "classes.",
                "784 pixels, twice 256 hidden units, 10 classes.",
            ),
            detect=_of_network(lambda log: log.layers == 3 and not log.wide_enough and _widths(log)),
            finding="The image goes through layers of these widths: {widths}.",
        ),
        Mistake(
            "wrong",
            "That is a layer more than two hidden ones.",
            (
                "Count the layers that an image passes on its way.",
                "The widths are 784, 256, 256, 10.",
            ),
            detect=_of_network(lambda log: log.layers > 3 and _widths(log)),
            finding="The image goes through layers of these widths: {widths}.",
        ),
        Mistake(
            "softmax-output",
            "These are probabilities: each row sums to 1. `nn.CrossEntropyLoss` applies the "
            "softmax itself, and twice is once too often.",
            (
                "What do the rows of your output sum to? May a logit be negative?",
                "The last layer is linear, with nothing behind it.",
            ),
            variants=({"finish": softmax_rows},),
            detect=_of_logits(sums_to_one),
        ),
        Mistake(
            "log-softmax-output",
            "These are logarithms of probabilities: none is above 0. The loss that expects them is "
            "`nn.NLLLoss`; logits are what is asked for.",
            (
                "Is any of your outputs positive? What do their exponentials sum to?",
                "The last layer is linear, with nothing behind it.",
            ),
            variants=({"finish": lambda z: z.log_softmax(dim=1)},),
            detect=_of_logits(lambda got: got.max() < 1e-6 and sums_to_one(np.exp(got))),
        ),
        Mistake(
            "relu-on-logits",
            "No output is negative, and some are exactly 0: a ReLU stands behind the last layer. A "
            "class whose logit is cut off gets no gradient.",
            (
                "What is the smallest of your outputs? May a logit be negative?",
                "A ReLU belongs behind each hidden layer, not behind the last.",
            ),
            variants=({"finish": lambda z: z.relu()},),
            detect=_of_logits(lambda got: got.min() == 0 and (got == 0).mean() > 0.1),
        ),
        Mistake(
            "no-nonlinearity",
            "Without a bend between them, linear layers one after the other are one linear layer.",
            (
                "What stands between one linear layer and the next?",
                "A ReLU belongs behind each of the two hidden layers.",
            ),
            variants=({"first": keep, "second": keep}, {"first": keep}, {"second": keep}),
            detect=_no_bend,
        ),
        Mistake(
            "wrong",
            "A function that squeezes or cuts its input stands behind the last layer; a logit may "
            "be any number.",
            (
                "What happens to the output of the last linear layer?",
                "The last layer is linear, with nothing behind it.",
            ),
            variants=({"finish": lambda z: z.sigmoid()}, {"finish": lambda z: z.tanh()}),
            detect=_of_logits(lambda got: got.min() >= -1 and got.max() <= 1 and np.abs(got).max() > 0.9),
        ),
        Mistake(
            "wrong",
            "Each of the three linear layers has a bias: 269,322 parameters in all.",
            (
                "How many parameters has a layer with 784 inputs and 256 units?",
                "`nn.Linear` has a bias unless it is told otherwise.",
            ),
            detect=_of_network(lambda log: log.layers == 3 and log.biases < 3),
            finding="Of the three layers, some have no bias.",
        ),
        Mistake(
            "wrong",
            "A parameter with `requires_grad=False` is never trained.",
            (
                "For which parameters will `loss.backward()` compute a gradient?",
                "Leave `requires_grad` as PyTorch sets it.",
            ),
            detect=_of_network(lambda log: log.frozen),
            finding="Some of the network's parameters do not ask for a gradient.",
        ),
        Mistake(
            "wrong",
            "Somewhere between these weights and the logits the graph is cut, so no gradient "
            "reaches them and they are never trained.",
            (
                "Which call in `forward` takes a tensor out of the graph?",
                "`forward` needs no `detach()`, no `.data` and no `no_grad()`; the evaluation loop "
                "turns recording off, not the network.",
            ),
            detect=_of_network(lambda log: log.cut),
            finding="The logits are right, and some of the network's weights get no gradient from "
            "them.",
        ),
    ),
    hints=(
        "Write down the shape after each step, from (B, 1, 28, 28) to (B, 10).",
        "Flatten, linear, ReLU, linear, ReLU, linear: `nn.Sequential` takes them in this order.",
    ),
)  # fmt: skip


# --- train_step ----------------------------------------------------------------------------------


def clear(optimizer):
    optimizer.zero_grad()


def eval_mode(model):
    model.eval()


def plain_cross_entropy(logits, labels):
    return -logits.log_softmax(dim=1)[range(len(labels)), labels].mean()


def _train_step(
    model,
    images,
    labels,
    optimizer,
    criterion,
    *,
    mode=nothing,
    clear=clear,
    squash=keep,
    score=None,
    after=False,
):
    """One step; every keyword is a part of it that a mistake may replace."""
    score = score or criterion
    mode(model)
    clear(optimizer)
    loss = score(squash(model(images)), labels)
    loss.backward()
    optimizer.step()
    return float(score(squash(model(images)), labels) if after else loss)


def _train_step_probes():
    from nnweek.checks.instrumented_loops import Setup

    for setup in (Setup(1, (6, 6, 6), lr=0.3), Setup(2, (5, 5, 3), lr=0.1, smoothing=0.2)):
        yield Probe((setup,), {"optimizer": f"SGD(lr={setup.lr}, momentum={setup.momentum})"})


def _try_steps(function, setup):
    from nnweek.checks import instrumented_loops

    return instrumented_loops.try_steps(function, setup)


def in_log(condition, even_raised=False):
    """Make a `tells` from a condition on the log of a play whose outputs are not right.

    A play that ended in an exception says nothing, but where that may follow from the mistake.
    """

    def detect(observations):
        logs = [
            observation.log
            for observation in observations
            if observation.wrong and observation.log is not None
        ]
        found = [log for log in logs if (even_raised or not log.raised) and condition(log)]
        return found and {"story": _story(found[0].calls[0])}

    return detect


def _story(call):
    """Say what happened with the first batch of a call, in order."""
    told = []
    for name, *details in call:
        if name == "forward" and "forward" in told:
            break
        name += " without a gradient" if name == "step" and not details[0] else ""
        told += [name] if name != "scored" else []
    return ", ".join(told)


def _before_step(call):
    """Return the names of the events of a call before its first step, or None without one."""
    names = [event[0] for event in call]
    return names[: names.index("step")] if "step" in names else None


def never_backward(log):
    return log.events("forward") and not log.events("backward")


def never_stepped(log):
    return log.events("backward") and not log.events("step") and not any(log.moved)


def stepped_too_early(log):
    """Every call steps before its own gradient is there."""
    before = [_before_step(call) for call in log.calls]
    return all(names is not None and "backward" not in names for names in before)


def stepped_on_nothing(log):
    """Every gradient was there, and gone when the optimizer stepped."""
    steps = log.events("step")
    return bool(steps) and not any(there for _, there in steps)


def never_cleared(log):
    """An old gradient was still there when the next one came."""
    return any(old for _, old in log.events("backward"))


def not_in_train_mode(log):
    """A gradient came from a forward pass that was not in train mode."""
    for call in log.calls:
        in_train_mode = True
        for name, *details in call:
            if name == "forward":
                in_train_mode = details[0]
            if name == "backward" and not in_train_mode:
                return True
    return False


def softmax_scored(log):
    return any(sums_to_one(rows) for _, rows in log.events("scored"))


def _hands_out_graph(observations):
    """Whether what was returned still holds its graph, alone or in a list or tuple."""
    logs = [observation.log for observation in observations if observation.log is not None]
    return any(getattr(value, "requires_grad", False) for log in logs for value in log.values)


WHAT_HAPPENED = "{first} What happened with the first batch, in order: {story}."
NO_BACKWARD = (
    "No gradient was computed: the loss was never sent backwards, so there is nothing that the "
    "optimizer could follow.",
    (
        "Who fills `.grad`, and when?",
        "Call `backward()` on the loss, with its parentheses, before the optimizer steps.",
    ),
)
NO_STEP = (
    "Gradients were computed, and nobody used them: the parameters are what they were.",
    (
        "`backward()` fills `.grad`. Who moves the parameters?",
        "Call `optimizer.step()`, with its parentheses, after the gradients are there.",
    ),
)
STEP_BEFORE_BACKWARD = (
    "The optimizer stepped before the gradient of this batch was there: it followed nothing, or "
    "the batch before.",
    (
        "In which order do the gradient and the step that follows it come?",
        "First `backward()`, then `step()`.",
    ),
)
ZERO_GRAD_AFTER_BACKWARD = (
    "A gradient was computed, but none was left in `.grad` when the optimizer stepped.",
    (
        "What happens to the gradients between `backward()` and `step()`?",
        "Clear them before `backward()`, or after `step()`; never between the two.",
    ),
)
NO_ZERO_GRAD = (
    "PyTorch adds each new gradient to `.grad`: this step followed the sum of all gradients so "
    "far.",
    (
        "What is in `.grad` when the second batch comes?",
        "Call `optimizer.zero_grad()`, with its parentheses, once for every batch: before "
        "`backward()`, or after `step()`.",
    ),
)
SOFTMAX_BEFORE_LOSS = (
    "The criterion was given probabilities. `nn.CrossEntropyLoss` applies the softmax itself, and "
    "twice is once too often.",
    (
        "What does the criterion expect, scores or probabilities?",
        "Hand over what the model returns, as it is.",
    ),
)
OTHER_CRITERION = (
    "This is the loss of a plain cross-entropy; the criterion that was handed over smooths its "
    "labels.",
    (
        "Which criterion does your function use: the one that it is given?",
        "Call `criterion` itself.",
    ),
)


train_step = Exercise(
    name="train_step",
    day=31,
    signature="train_step(model, images, labels, optimizer, criterion)",
    task="takes one training step on a batch and returns its loss, a plain number",
    right=_train_step,
    outputs=("the loss of step 1", "the loss of step 2", "the loss of step 3"),
    probes=_train_step_probes,
    trial=_try_steps,
    mistakes=(
        Mistake(
            "no-backward",
            *NO_BACKWARD,
            detect=in_log(never_backward),
            finding=WHAT_HAPPENED,
        ),
        Mistake("no-step", *NO_STEP, detect=in_log(never_stepped), finding=WHAT_HAPPENED),
        Mistake(
            "step-before-backward",
            *STEP_BEFORE_BACKWARD,
            detect=in_log(stepped_too_early, even_raised=True),
            finding=WHAT_HAPPENED,
        ),
        Mistake(
            "zero-grad-after-backward",
            *ZERO_GRAD_AFTER_BACKWARD,
            detect=in_log(stepped_on_nothing),
            finding=WHAT_HAPPENED,
        ),
        Mistake(
            "no-zero-grad",
            *NO_ZERO_GRAD,
            variants=({"clear": nothing},),
            detect=in_log(never_cleared),
            finding="The first step is right, and from the second on they are not: {first}",
        ),
        Mistake(
            "eval-mode",
            "The model was in eval mode while it trained: dropout is off, and a batch norm uses "
            "old statistics.",
            (
                "In which mode does the model arrive, and in which does it compute?",
                "Leave the mode alone, or call `model.train()`.",
            ),
            variants=({"mode": eval_mode},),
            detect=in_log(not_in_train_mode),
        ),
        Mistake(
            "softmax-before-loss",
            *SOFTMAX_BEFORE_LOSS,
            variants=({"squash": softmax_rows},),
            detect=in_log(softmax_scored),
        ),
        Mistake(
            "returns-graph",
            "The tensor that came back still hangs on its graph. Whoever keeps it, say in a list "
            "of losses, keeps every activation of that batch in memory.",
            (
                "What type has what you return, and what does it hold besides a number?",
                "`.item()` gives the number alone.",
            ),
            detect=_hands_out_graph,
            finding="It returned a tensor that requires a gradient.",
        ),
        Mistake("wrong", *OTHER_CRITERION, variants=({"score": plain_cross_entropy},)),
        Mistake(
            "wrong",
            "This is the loss after the step; the one that the step was made from is asked for.",
            (
                "At which moment is the loss that you return computed?",
                "Return the loss that you called `backward()` on.",
            ),
            variants=({"after": True},),
        ),
        Mistake(
            "wrong",
            "The parameters moved, but not by the optimizer, which may do more than subtract a "
            "multiple of the gradient: this one has momentum.",
            (
                "Who moves the parameters in your function?",
                "Call `optimizer.step()`.",
            ),
            detect=in_log(lambda log: not log.events("step") and any(log.moved)),
        ),
    ),
    hints=(
        "Five things in this order: forget, forward, score, backward, step.",
        "`optimizer.zero_grad()`, the model, the criterion, `loss.backward()`, `optimizer.step()`; "
        "and return the number inside the loss.",
    ),
)

EXERCISES = (mlp, train_step)
