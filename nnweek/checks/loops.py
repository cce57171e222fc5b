"""What the exercises on training loops share (Days 31 and 32): steps, log readers, mistakes.

A loop's right answer is written once per exercise; its steps, such as `clear=` or
`average_loss=`, are replaced by functions from here. What a loop did is read from the
`LoopLog` of `instrumented_loops`, which needs PyTorch and is imported when a trial runs.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from nnweek.checks.exercise import Mistake
from nnweek.checks.steps import both_or_one, none


@dataclass(frozen=True)
class LoopSetup:
    """What a loop is tried on: the sizes of the batches, and how the steps are taken."""

    seed: int
    batches: tuple  # sizes; all but the last are equal
    lr: float = 0.2
    momentum: float = 0.8
    smoothing: float = 0.0  # label smoothing, which a loop with a criterion of its own lacks


def run_trial(name, function, setup):
    """Run one of the trials in `instrumented_loops`."""
    from nnweek.checks import instrumented_loops

    return getattr(instrumented_loops, name)(function, setup)


def train_mode(model):
    model.train()


def eval_mode(model):
    model.eval()


def clear(optimizer):
    optimizer.zero_grad()


def softmax_rows(logits):
    return logits.softmax(dim=1)


def plain_cross_entropy(logits, labels):
    return -logits.log_softmax(dim=1)[range(len(labels)), labels].mean()


# How many of a batch's answers are right: what a loop collects per batch.


def share_right(logits, labels):
    return float((logits.argmax(dim=1) == labels).float().mean())


def _table(logits, labels):
    """Compare (B, 1) with (B,): a table (B, B) of every answer with every label."""
    return (logits.argmax(dim=1, keepdim=True) == labels).float()


def _table_mean(logits, labels):
    return float(_table(logits, labels).mean())


def _table_sum(logits, labels):
    return float(_table(logits, labels).sum()) / len(labels)


def _answers_and_labels(logits, labels):
    """Return both, to be compared at the end for all batches at once."""
    return logits.argmax(dim=1).tolist(), labels.tolist()


# How a loop averages what it collected: (value per batch, size per batch) → number.


def weighted_mean(values, sizes):
    return float(np.average(values, weights=sizes))


def _plain_mean(values, sizes):
    return float(np.mean(values))


def _last(values, sizes):
    return values[-1]


def _last_over_samples(values, sizes):
    return values[-1] * sizes[-1] / sum(sizes)


def _whole_table_mean(values, sizes):
    answers, labels = (np.concatenate(part) for part in zip(*values, strict=True))
    return float((answers[:, None] == labels).mean())


def _whole_table_sum(values, sizes):
    return _whole_table_mean(values, sizes) * sum(sizes)


def _in_percent(average):
    return lambda values, sizes: 100 * average(values, sizes)


def _averages(*wrong):
    """Return variants that average the loss, the accuracy or both in these wrong ways.

    `_averages(_last)` is ({"average_loss": _last, "average_accuracy": _last},
    {"average_loss": _last}, {"average_accuracy": _last}).
    """
    return tuple(
        variant
        for average in wrong
        for variant in both_or_one(average_loss=average, average_accuracy=average)
    )


def _broadcast_variants():
    """Return variants that compare every answer with every label, per batch or at the end."""
    per_batch = itertools.product((_table_mean, _table_sum), (weighted_mean, _plain_mean))
    at_the_end = itertools.product((_answers_and_labels,), (_whole_table_mean, _whole_table_sum))
    for share, average in (*per_batch, *at_the_end):
        yield {"right_share": share, "average_accuracy": average}
        yield {"right_share": share, "average_accuracy": _in_percent(average)}


def in_log(condition, even_raised=False):
    """Make a `detect` from a condition on the log of a trial whose outputs are not right.

    A trial that ended in an exception is left out, unless the mistake may have caused it.
    """

    def detect(observations):
        logs = [o.log for o in observations if o.wrong and o.log is not None]
        logs = [log for log in logs if (even_raised or not log.raised) and condition(log)]
        return logs and {"story": _story(logs[0].calls[0])}

    return detect


def only_batch(number):
    """Make a `detect`: every forward pass was of one batch, 0 for the first, −1 for the last."""

    def detect(observations):
        logs = [o.log for o in observations if o.wrong and o.log is not None]
        return bool(logs) and all(
            {batch for *_, batch in log.events("forward")} == {number % len(log.sizes)}
            for log in logs
        )

    return detect


def _story(call):
    """List what happened with the first batch of a call, in order."""
    events = []
    for name, *details in call:
        if name == "forward" and "forward" in events:
            break
        name += " without a gradient" if name == "step" and not details[0] else ""
        events += [name] if name != "scored" else []
    return ", ".join(events)


def never_backward(log):
    return log.events("forward") and not log.events("backward")


def _never_stepped(log):
    return log.events("backward") and not log.events("step") and not any(log.moved)


def _stepped_too_early(log):
    """Return whether every call steps before its own gradient is computed."""
    for call in log.calls:
        names = [name for name, *_ in call]
        if "step" not in names or "backward" in names[: names.index("step")]:
            return False
    return True


def _stepped_without_gradient(log):
    """Return whether every gradient was computed but gone when the optimizer stepped."""
    steps = log.events("step")
    return bool(steps) and not any(has_gradient for _, has_gradient in steps)


def _never_cleared(log):
    """Return whether an old gradient was still in `.grad` when the next one was computed."""
    return any(old for _, old in log.events("backward"))


def not_in_train_mode(log):
    """Return whether a gradient came from a forward pass that was not in train mode."""
    for call in log.calls:
        in_train_mode = True
        for name, *details in call:
            if name == "forward":
                in_train_mode = details[0]
            if name == "backward" and not in_train_mode:
                return True
    return False


def sums_to_one(rows):
    """Return whether these are probabilities over the classes, or by mistake over the batch."""
    rows = np.asarray(rows)
    if rows.ndim != 2 or not np.isfinite(rows).all() or rows.min() < -1e-6:
        return False
    return any(np.allclose(rows.sum(axis=axis), 1, atol=1e-4) for axis in (1, 0))


def _softmax_scored(log):
    return any(sums_to_one(rows) for _, rows in log.events("scored"))


# An exercise whose contract has no name for one takes `replace(MISTAKE, id="wrong")`.

_STORY = "{first} What happened with the first batch, in order: {story}."

NO_BACKWARD = Mistake(
    "no-backward",
    "No gradient was computed: `backward()` was never called on the loss, so the optimizer has "
    "nothing to follow.",
    "What fills `.grad`, and when?",
    "Call `backward()` on the loss, with its parentheses, before the optimizer steps.",
    detect=in_log(never_backward),
    finding=_STORY,
)
NO_STEP = Mistake(
    "no-step",
    "Gradients were computed and never used: the parameters have not changed.",
    "`backward()` fills `.grad`. What moves the parameters?",
    "Call `optimizer.step()`, with its parentheses, after the gradients are computed.",
    detect=in_log(_never_stepped),
    finding=_STORY,
)
STEP_BEFORE_BACKWARD = Mistake(
    "step-before-backward",
    "The optimizer stepped before the gradient of this batch was computed: it followed no "
    "gradient, or that of the batch before.",
    "In which order do the gradient and the step that follows it come?",
    "First `backward()`, then `step()`.",
    detect=in_log(_stepped_too_early, even_raised=True),
    finding=_STORY,
)
ZERO_GRAD_AFTER_BACKWARD = Mistake(
    "zero-grad-after-backward",
    "A gradient was computed, but `.grad` was empty when the optimizer stepped.",
    "What happens to the gradients between `backward()` and `step()`?",
    "Clear them before `backward()` or after `step()`, never between the two.",
    detect=in_log(_stepped_without_gradient),
    finding=_STORY,
)
NO_ZERO_GRAD = Mistake(
    "no-zero-grad",
    "PyTorch adds each new gradient to `.grad`: this step followed the sum of all gradients so "
    "far.",
    "What is in `.grad` when the second batch comes?",
    "Call `optimizer.zero_grad()`, with its parentheses, once per batch: before "
    "`backward()`, or after `step()`.",
    variants=({"clear": none},),
    detect=in_log(_never_cleared),
)
SOFTMAX_BEFORE_LOSS = Mistake(
    "softmax-before-loss",
    "The criterion was given probabilities. `nn.CrossEntropyLoss` applies the softmax itself, and "
    "applying it twice is wrong.",
    "What does the criterion expect, scores or probabilities?",
    "Pass it what the model returns, unchanged.",
    variants=({"squash": softmax_rows},),
    detect=in_log(_softmax_scored),
)
OTHER_CRITERION = Mistake(
    "wrong",
    "This is the loss of a plain cross-entropy; the criterion that your function was given "
    "smooths its labels.",
    "Which criterion does your function use: the one that it is given?",
    "Call `criterion` itself.",
    variants=({"score": plain_cross_entropy},),
)


_WITH_BATCHES = "With batches of {batches}: {where} is {got}, where {expected} was expected."

FIRST_BATCH_ONLY = Mistake(
    "first-batch-only",
    "Only the first batch was used.",
    "Where does your loop end: after how many batches?",
    "A `return` or a `break` inside the loop ends it, and `next(iter(loader))` starts again "
    "at the first batch each time.",
    variants=(
        {"batches": lambda loader: list(loader)[:1]},
        *_averages(lambda values, sizes: values[0]),
    ),
    detect=only_batch(0),
    finding=_WITH_BATCHES,
)
LAST_BATCH_ONLY = Mistake(
    "last-batch-only",
    "The result belongs only to the last batch.",
    "Which lines run once per batch, and which once at the end? What happens there to the "
    "results of the earlier batches?",
    "Add up inside the loop, starting from 0 before it, and divide after it.",
    variants=(
        *_averages(_last, _last_over_samples, lambda values, sizes: values[-1] / len(sizes)),
        {"average_loss": _last, "average_accuracy": _last_over_samples},
        {"average_loss": _last_over_samples, "average_accuracy": _last},
    ),
    detect=only_batch(-1),
    finding=_WITH_BATCHES,
)
UNWEIGHTED_MEAN = Mistake(
    "unweighted-mean",
    "Every batch counted the same, but the last one is smaller: its examples weigh too much.",
    "If the last batch contained a single image, how much of the mean would that image decide?",
    "Multiply each batch's mean by the size of that batch, add up, and divide by the number "
    "of all examples.",
    variants=_averages(
        _plain_mean,
        lambda values, sizes: np.sum(values) / np.sum(sizes),
        lambda values, sizes: np.sum(values) * sizes[0] / np.sum(sizes),
    ),
    finding=_WITH_BATCHES,
)
ACCURACY_IN_PERCENT = Mistake(
    "accuracy-in-percent",
    "The accuracy is a share between 0 and 1; this one is in percent.",
    "Between which two numbers does an accuracy lie?",
    "Return the share itself, and convert it to percent where you print it.",
    variants=tuple(
        {"average_accuracy": _in_percent(average)}
        for average in (weighted_mean, _plain_mean, _last)
    ),
    finding=_WITH_BATCHES,
)
ACCURACY_BROADCAST = Mistake(
    "accuracy-broadcast",
    "Answers of shape (B, 1) were compared with labels of shape (B,): broadcasting turns that "
    "into a table (B, B) of every answer with every label.",
    "What is the shape of the result of your `==`, and how many comparisons should there be?",
    "Both sides must be (B,): take the argmax without `keepdim`, and keep the labels flat.",
    variants=tuple(_broadcast_variants()),
    finding=_WITH_BATCHES,
)
NOT_AVERAGED = Mistake(
    "wrong",
    "Sums, averages and counts do not match: a sum over examples was divided by the number of "
    "batches, or not at all.",
    "Is what you add up for each batch a sum over its examples, or a mean?",
    "Add up sums over examples, and divide once by the number of examples.",
    variants=_averages(
        lambda values, sizes: np.dot(values, sizes) / len(sizes),
        lambda values, sizes: np.dot(values, sizes),
    ),
    finding=_WITH_BATCHES,
)
