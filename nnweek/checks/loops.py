"""What the exercises on training loops share (Days 31 and 32): steps, log readers, mistakes.

A loop's right answer is written once per exercise; its steps, such as `clear=` or
`average_loss=`, are replaced by functions from here. What a loop did is read from the
`LoopLog` of `instrumented_loops`, which needs PyTorch and is imported when a trial runs.
"""

import functools
import itertools
from dataclasses import dataclass, replace

import numpy as np

from nnweek.checks.comparing import close
from nnweek.checks.exercise import Mistake
from nnweek.checks.steps import identity


@dataclass(frozen=True)
class LoopSetup:
    """What a loop is tried on: the sizes of the batches, and how the steps are taken."""

    seed: int
    batches: tuple  # sizes; for a loader, all but the last are equal
    lr: float = 0.2
    momentum: float = 0.8
    smoothing: float = 0.0  # label smoothing, which a loop with a criterion of its own lacks
    norm: bool = True  # whether the network has batch norm


def run_trial(name, function, setup):
    """Run one of the trials in `instrumented_loops`."""
    from nnweek.checks import instrumented_loops

    return getattr(instrumented_loops, name)(function, setup)


_AVERAGING = ("average_loss", "average_accuracy", "finish")


def averaged(collect, trial):
    """Return the right answer and the trial of a loop that averages what it collects per batch.

    Mistakes that differ only in how they average share one run.

    Args:
        collect: the loop, whose keyword-only arguments are its steps; it returns (losses,
            shares of right answers, sizes), one of each per batch.
        trial: the name of its trial in `instrumented_loops`.
    """

    def right(*arguments, **steps):
        averaging = {name: steps.pop(name) for name in _AVERAGING if name in steps}
        return _averages_of(*collect(*arguments, **steps), **averaging)

    @functools.cache
    def collected(setup, steps):
        return run_trial(trial, functools.partial(collect, **dict(steps)), setup)

    def run(function, setup):
        if getattr(function, "func", None) is not right:
            return run_trial(trial, function, setup)
        steps = dict(function.keywords)
        averaging = {name: steps.pop(name) for name in _AVERAGING if name in steps}
        result = collected(setup, tuple(steps.items()))
        return replace(result, value=_averages_of(*result.value, **averaging))

    return right, run


def _averages_of(losses, shares, sizes, average_loss=None, average_accuracy=None, finish=identity):
    """Return (loss, accuracy)."""
    loss = (average_loss or weighted_mean)(losses, sizes)
    return finish((loss, (average_accuracy or weighted_mean)(shares, sizes)))


def train_mode(model):
    model.train()


def eval_mode(model):
    model.eval()


def softmax_rows(logits):
    return logits.softmax(dim=1)


def plain_cross_entropy(logits, labels):
    return -logits.log_softmax(dim=1)[range(len(labels)), labels].mean()


def _summed_cross_entropy(logits, labels):
    return plain_cross_entropy(logits, labels) * len(labels)


# How many of a batch's answers are right: what a loop collects per batch.


def share_right(logits, labels):
    return float((logits.argmax(dim=1) == labels).float().mean())


def _share_in_top(k):
    def share(logits, labels):
        best = logits.topk(k, dim=1).indices
        return float((best == labels[:, None]).any(dim=1).float().mean())

    return share


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


def _sum_of_means(values, sizes):
    return float(np.sum(values))


def _sum_over_examples(values, sizes):
    return float(np.dot(values, sizes))


def _last_index(sizes):
    return len(sizes) - 1


def _divided(total, divisor):
    """Return an average: total(values, sizes) / divisor(sizes)."""
    return lambda values, sizes: total(values, sizes) / divisor(sizes)


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
    """Return variants that average the loss, the accuracy or both in one of these wrong ways.

    `_averages(_last)` is ({"average_loss": _last, "average_accuracy": _last},
    {"average_loss": _last}, {"average_accuracy": _last}).
    """
    pairs = itertools.product((*wrong, None), repeat=2)
    steps = ({"average_loss": loss, "average_accuracy": accuracy} for loss, accuracy in pairs)
    return tuple({name: step for name, step in each.items() if step} for each in steps)[:-1]


def with_accuracy(mistake, *slip):
    """Return a mistake in the accuracy only, with its own slip, and all its other variants."""
    alone = [steps for steps in mistake.variants if set(steps) == {"average_accuracy"}]
    others = tuple(steps for steps in mistake.variants if steps not in alone)
    # That in the accuracy comes first: the others may produce the same accuracy.
    return (
        replace(mistake, variants=tuple(alone), detect=None, slip=slip),
        replace(mistake, variants=others),
    )


def _broadcast_variants():
    """Return variants that compare every answer with every label, per batch or at the end."""
    per_batch = itertools.product((_table_mean, _table_sum), (weighted_mean, _plain_mean))
    at_the_end = itertools.product((_answers_and_labels,), (_whole_table_mean, _whole_table_sum))
    for share, average in (*per_batch, *at_the_end):
        yield {"right_share": share, "average_accuracy": average}
        yield {"right_share": share, "average_accuracy": _in_percent(average)}


def in_log(condition, causes=None):
    """Make a `detect` from a condition on the log of a trial whose outputs are not right.

    A trial that ended in an exception is left out: the exception is what the verdict reports.

    Args:
        condition: (log) → whether it shows the mistake, perhaps as numbers for the finding.
        causes: part of the message of exceptions that the mistake causes, "" for any.
    """

    def may_explain(observation):
        log = observation.log
        return (
            observation.wrong
            and log is not None
            and (not log.raised or (causes is not None and causes in log.raised.text))
        )

    def detect(observations):
        for log in (o.log for o in observations if may_explain(o)):
            found = condition(log)
            if found:
                numbers = {"story": _story(log.calls[0])}
                if log.raised:
                    numbers["first"] = _without_meaning(log.raised.text)
                return numbers | (found if isinstance(found, dict) else {})
        return None

    return detect


def _without_meaning(text):
    """Leave out of a problem's text what the error means: the mistake's explanation says it."""
    return "\n".join(text.splitlines()[:2])


def _batches_used(log):
    return {batch for *_, batch in log.events("forward")}


def _only_batch(number):
    """Make a condition: every forward pass was of one batch, 0 for the first, −1 for the last."""
    return lambda log: _batches_used(log) == {number % len(log.sizes)}


def _leaves_out_batches(log):
    used, missing = _batches_used(log), []
    if used and None not in used:  # every forward pass was of one of the batches
        missing = [str(number + 1) for number in range(len(log.sizes)) if number not in used]
    return missing and {"missing": ", ".join(missing)}


def _story(call):
    """List what happened with the first batch of a call, in order."""
    events = []
    for name, *details in call:
        if name == "forward" and "forward" in events:
            break
        name += " without a gradient" if name == "step" and not details[0] else ""
        events += [name] if name.split()[0] in ("forward", "backward", "step") else []
    return ", ".join(events)


def misused(what):
    """Make a condition: the criterion was given something else than logits and labels."""
    return lambda log: ("misused", what) in log.events("misused")


def _not_called(name, condition):
    """Make a condition: a method was read but never called, and the log shows the effect."""

    def shows(log):
        read, called = (("read", name), ("called", name))
        is_read = read in log.events("read") and called not in log.events("called")
        return is_read and condition(log) and {"method": name}

    return shows


def zero_grad_not_called(log):
    return _not_called("zero_grad", _never_cleared)(log)


def step_not_called(log):
    return _not_called("step", lambda log: not log.events("step"))(log)


def _in_percent_of_all(observations):
    """Return whether each wrong accuracy is a percentage of the examples, whatever it counts."""
    numbers = []
    for observation in (o for o in observations if "the accuracy" in o.wrong):
        got = observation.outputs.get("the accuracy")
        if got is None or got.size != 1 or not 1 < got <= 100:
            return None
        hits = float(got) / 100 * sum(observation.log.sizes)
        if abs(hits - round(hits)) > 1e-3:
            return None
        expected = float(observation.right["the accuracy"])
        numbers.append(
            {"where": "the accuracy", "got": f"{got:.5g}", "expected": f"{expected:.5g}"}
        )
    return numbers[0] if len(numbers) > 1 else None


def _is_running_mean(observations):
    """Return whether the losses are an exponential running mean, and with which factor."""
    cases = []
    for observation in (o for o in observations if "the loss" in o.wrong):
        log, got = observation.log, observation.outputs.get("the loss")
        scored = log.events("scored")[: len(log.sizes)] if log is not None else []
        if got is None or tuple(len(rows) for _, rows, _ in scored) != log.sizes:
            return None
        cases.append((got, [loss for *_, loss in scored]))
    for factor, from_zero in itertools.product(_FACTORS, (False, True)):
        if cases and all(
            close(got, np.array(_running_mean(losses, factor, from_zero))) for got, losses in cases
        ):
            return {"factor": factor, "rest": round(1 - factor, 3)}
    return None


_FACTORS = (*(round(0.05 * i, 2) for i in range(1, 20)), 0.01, 0.02, 0.98, 0.99, 0.999)


def _running_mean(values, factor, from_zero):
    mean = 0.0 if from_zero else values[0]
    for value in values if from_zero else values[1:]:
        mean = factor * mean + (1 - factor) * value
    return mean


def never_backward(log):
    return log.events("forward") and not log.events("backward")


def _reached_nothing(log):
    """Return whether `backward()` was called but never reached the model."""
    return never_backward(log) and ("called", "backward") in log.events("called")


def _stepped_repeatedly(log):
    """Return how often the optimizer stepped in the first call with several steps."""
    counts = [sum(name == "step" for name, *_ in call) for call in log.calls]
    times = next((count for count in counts if count > 1), 0)
    return times and {"times": "twice" if times == 2 else f"{times} times"}


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
    """Return whether each row consists of probabilities."""
    rows = np.asarray(rows)
    if rows.ndim != 2 or not np.isfinite(rows).all() or rows.min() < -1e-6:
        return False
    return np.allclose(rows.sum(axis=1), 1, atol=1e-4)


def _softmax_scored(log):
    """Return whether the criterion got probabilities, over the classes or over the batch."""
    return any(sums_to_one(rows) or sums_to_one(rows.T) for _, rows, _ in log.events("scored"))


# An exercise whose contract has no name for one takes `replace(MISTAKE, id="wrong")`.

STORY = "{first} What happened with the first batch, in order: {story}."

BACKWARD_REACHED_NOTHING = Mistake(
    "wrong",
    "`backward()` was called, but it reached no parameter: `torch.tensor(…)` makes a new tensor "
    "without the graph, and so do `.item()` and `.detach()`.",
    "What happens to the loss between the criterion and `backward()`?",
    "Call `backward()` on what the criterion returns, unchanged.",
    detect=in_log(_reached_nothing),
    finding=STORY,
    slip=("loss.backward()", "torch.tensor(loss.item(), requires_grad=True).backward()"),
)
NO_BACKWARD = Mistake(
    "no-backward",
    "No gradient was computed: `backward()` was never called on the loss, so the optimizer has "
    "nothing to follow.",
    "What fills `.grad`, and when?",
    "Call `backward()` on the loss, with its parentheses, before the optimizer steps.",
    detect=in_log(never_backward),
    finding=STORY,
    slip=("loss.backward()", "# loss.backward()"),
)
NO_STEP = Mistake(
    "no-step",
    "Gradients were computed and never used: the parameters have not changed.",
    "`backward()` fills `.grad`. What moves the parameters?",
    "Call `optimizer.step()`, with its parentheses, after the gradients are computed.",
    detect=in_log(_never_stepped),
    finding=STORY,
    slip=("optimizer.step()", "# optimizer.step()"),
)
STEP_BEFORE_BACKWARD = Mistake(
    "step-before-backward",
    "The optimizer stepped before the gradient of this batch was computed: it followed no "
    "gradient, or that of the batch before.",
    "In which order do the gradient and the step that follows it come?",
    "First `backward()`, then `step()`.",
    detect=in_log(_stepped_too_early, causes="modified by an inplace operation"),
    finding=STORY,
)
ZERO_GRAD_AFTER_BACKWARD = Mistake(
    "zero-grad-after-backward",
    "A gradient was computed, but `.grad` was empty when the optimizer stepped.",
    "What happens to the gradients between `backward()` and `step()`?",
    "Clear them before `backward()` or after `step()`, never between the two.",
    detect=in_log(_stepped_without_gradient),
    finding=STORY,
)
NO_ZERO_GRAD = Mistake(
    "no-zero-grad",
    "PyTorch adds each new gradient to `.grad`: this step followed the sum of all gradients so "
    "far.",
    "What is in `.grad` when the second batch comes?",
    "Call `optimizer.zero_grad()`, with its parentheses, once per batch: before "
    "`backward()`, or after `step()`.",
    detect=in_log(_never_cleared),
    slip=("optimizer.zero_grad()", "# optimizer.zero_grad()"),
)
ZERO_GRAD_NOT_CALLED = Mistake(
    "no-zero-grad",
    "Without parentheses, `optimizer.zero_grad` only names the method. Nothing is cleared, and "
    "PyTorch adds each new gradient to the old ones.",
    "What does Python do with a method that has no parentheses?",
    "Add the parentheses: `optimizer.zero_grad()`.",
    detect=in_log(zero_grad_not_called),
    finding="{first} `zero_grad` was read but never called.",
    slip=("optimizer.zero_grad()", "optimizer.zero_grad"),
)
STEP_NOT_CALLED = Mistake(
    "no-step",
    "Without parentheses, `optimizer.step` only names the method, and no parameter moves.",
    "What does Python do with a method that has no parentheses?",
    "Add the parentheses: `optimizer.step()`.",
    detect=in_log(step_not_called),
    finding="{first} `step` was read but never called.",
    slip=("optimizer.step()", "optimizer.step"),
)
STEPS_REPEATEDLY = Mistake(
    "wrong",
    "One call takes one step: forward, backward and step happen once each.",
    "How often do `backward()` and `step()` run in one call of your function?",
    "Call `optimizer.step()` once, after `loss.backward()`.",
    detect=in_log(_stepped_repeatedly),
    finding="{first} The optimizer stepped {times} in one call.",
    slip=("optimizer.step()", "optimizer.step(); optimizer.step()"),
)
SOFTMAX_BEFORE_LOSS = Mistake(
    "softmax-before-loss",
    "The criterion was given probabilities. `nn.CrossEntropyLoss` applies the softmax itself, and "
    "applying it twice is wrong.",
    "What does the criterion expect, scores or probabilities?",
    "Pass it what the model returns, unchanged.",
    variants=({"squash": softmax_rows},),
    detect=in_log(_softmax_scored),
    slip=("criterion(logits, labels)", "criterion(logits.softmax(dim=1), labels)"),
)
OTHER_CRITERION = Mistake(
    "wrong",
    "This is the loss of a plain cross-entropy; the criterion that your function was given "
    "smooths its labels.",
    "Which criterion does your function use: the one that it is given?",
    "Call `criterion` itself.",
    variants=({"score": plain_cross_entropy}, {"score": _summed_cross_entropy}),
    slip=("criterion(logits, labels)", "nn.functional.cross_entropy(logits, labels)"),
)


_LOSS_SUM = "total_loss += loss.item() * len(labels)"
WITH_BATCHES = "With batches of {batches}: {where} is {got}, where {expected} was expected."

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
    detect=in_log(_only_batch(0)),
    finding=WITH_BATCHES,
    slip=(_LOSS_SUM, f"{_LOSS_SUM}\n        break"),
)
LAST_BATCH_ONLY = Mistake(
    "last-batch-only",
    "The result belongs only to the last batch.",
    "Which lines run once per batch, and which once at the end? What happens there to the "
    "results of the earlier batches?",
    "Add up inside the loop, starting from 0 before it, and divide after it.",
    variants=(
        *_averages(
            _last,
            _last_over_samples,
            lambda values, sizes: values[-1] / len(sizes),
            lambda values, sizes: values[-1] / sizes[-1],
        ),
    ),
    detect=in_log(_only_batch(-1)),
    finding=WITH_BATCHES,
    slip=("total_loss += loss", "total_loss = loss"),
)
SUM_OF_MEANS_OVER_EXAMPLES = Mistake(
    "sum-of-means-over-examples",
    "The means of the batches were added up, and the sum was divided by the number of examples. "
    "The result is about as many times too small as a batch has examples.",
    "Is what you add up for each batch a mean or a sum? How many of them do you add?",
    "Multiply each batch's mean by the size of that batch before you add it up.",
    variants=_averages(_divided(_sum_of_means, np.sum)),
    finding="With batches of {batches}: {where} is {got}, {ratio} times the {expected} that was "
    "expected.",
    slip=("loss.item() * len(labels)", "loss.item()"),
)
DIVIDES_BY_LAST_INDEX = Mistake(
    "divides-by-last-index",
    "The sum was divided by the last index of the loop. `enumerate` counts from 0, so that is "
    "one less than the number of batches.",
    "After a loop over three batches with `enumerate`, what is the index?",
    "Count what you add up, and divide by that count.",
    variants=_averages(
        _divided(_sum_of_means, _last_index),
        _divided(_sum_over_examples, _last_index),
        _divided(_sum_over_examples, lambda sizes: (len(sizes) - 1) * sizes[0]),
    ),
    finding=WITH_BATCHES,
)
RUNNING_MEAN = Mistake(
    "running-mean",
    "This is an exponential running mean: it forgets the first batches and depends on their order.",
    "How much does the first batch count in the result, and how much the last?",
    "Add up each batch's mean loss times its size, and divide by the number of all examples.",
    detect=_is_running_mean,
    finding="With batches of {batches}: the loss is {factor} · (the old value) + {rest} · (the "
    "loss of the batch), from batch to batch.",
)
TOP_TWO = Mistake(
    "top-two",
    "An answer counted as right if the label was among the two highest logits. Accuracy counts "
    "only the highest.",
    "How many classes may the network name per image?",
    "Compare the label with the `argmax` of the logits.",
    variants=({"right_share": _share_in_top(2)},),
    finding=WITH_BATCHES,
    slip=("(logits.argmax(dim=1) == labels)", "(logits.topk(2).indices == labels[:, None])"),
)
TOP_FEW = replace(
    TOP_TWO,
    id="wrong",
    explanation="An answer counted as right if the label was among the few highest logits. "
    "Accuracy counts only the highest.",
    variants=tuple({"right_share": _share_in_top(k)} for k in (3, 4, 5)),
    slip=("(logits.argmax(dim=1) == labels)", "(logits.topk(3).indices == labels[:, None])"),
)
# Before SWAPPED_RETURN, which would explain the one number that is wrong.
LOSS_TWICE = Mistake(
    "wrong",
    "Both of your numbers are the loss.",
    "What is divided by the number of examples, the first time and the second?",
    "The accuracy is the number of right answers, divided by the number of examples.",
    variants=({"finish": lambda pair: (pair[0], pair[0])},),
    finding=WITH_BATCHES,
    slip=("total_correct / total_count", "total_loss / total_count"),
)
ACCURACY_TWICE = Mistake(
    "wrong",
    "Both of your numbers are the accuracy.",
    "What is divided by the number of examples, the first time and the second?",
    "The loss is the sum of all examples' losses, divided by the number of examples.",
    variants=({"finish": lambda pair: (pair[1], pair[1])},),
    finding=WITH_BATCHES,
    slip=("total_loss / total_count", "total_correct / total_count"),
)
SWAPPED_RETURN = Mistake(
    "swapped-return",
    "The accuracy and the loss are in each other's place.",
    "In which order are the two results returned?",
    "Return the loss first, then the accuracy.",
    variants=tuple(
        {"finish": finish, **averages}
        for finish in (lambda pair: pair[::-1], lambda pair: (100 * pair[1], pair[0]))
        for averages in (
            {},
            *_averages(
                _plain_mean,
                _last,
                _divided(_sum_of_means, np.sum),
                _divided(_sum_of_means, _last_index),
            ),
        )
    ),
    finding=WITH_BATCHES,
    slip=(
        "return total_loss / total_count, total_correct / total_count",
        "return total_correct / total_count, total_loss / total_count",
    ),
)
LEAVES_OUT_BATCHES = Mistake(
    "wrong",
    "Not every batch reached the network. The last batch is smaller than the others, and belongs "
    "to the data like them.",
    "How many batches are there, and how many does your loop use?",
    "`for images, labels in loader:` visits each batch once.",
    detect=in_log(_leaves_out_batches),
    finding="{first} These batches, counted from 1, were not used: {missing}.",
    slip=("in loader:", "in list(loader)[:-1]:"),
)
UNWEIGHTED_MEAN = Mistake(
    "unweighted-mean",
    "Every batch counted the same, but the last one is smaller: its examples weigh too much.",
    "If the last batch contained a single image, how much of the mean would that image decide?",
    "Multiply each batch's mean by the size of that batch, add up, and divide by the number "
    "of all examples.",
    variants=_averages(
        _plain_mean,
        lambda values, sizes: np.sum(values) * sizes[0] / np.sum(sizes),
    ),
    finding=WITH_BATCHES,
    slip=(
        f"{_LOSS_SUM}\n    return total_loss / total_count",
        "total_loss += loss.item()\n    return total_loss / len(loader)",
    ),
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
    detect=_in_percent_of_all,
    finding=WITH_BATCHES,
    slip=("total_correct / total_count", "100 * total_correct / total_count"),
)
ACCURACY_BROADCAST = Mistake(
    "accuracy-broadcast",
    "Answers of shape (B, 1) were compared with labels of shape (B,): broadcasting turns that "
    "into a table (B, B) of every answer with every label.",
    "What is the shape of the result of your `==`, and how many comparisons should there be?",
    "Both sides must be (B,): take the argmax without `keepdim`, and keep the labels flat.",
    variants=tuple(_broadcast_variants()),
    finding=WITH_BATCHES,
    slip=("argmax(dim=1)", "argmax(dim=1, keepdim=True)"),
)
NOT_AVERAGED = Mistake(
    "wrong",
    "Sums and counts do not match: what was added up was not divided by the number of all "
    "examples.",
    "Is what you add up for each batch a sum over its examples, or a mean?",
    "Add up sums over examples, and divide once by the number of examples.",
    variants=_averages(
        _sum_of_means,
        _sum_over_examples,
        _divided(_sum_over_examples, len),
        _divided(_sum_over_examples, lambda sizes: sizes[-1]),
        _divided(_sum_over_examples, lambda sizes: len(sizes) * sizes[0]),
    ),
    finding=WITH_BATCHES,
    slip=("total_loss / total_count", "total_loss / len(loader)"),
)
ERROR_RATE = Mistake(
    "wrong",
    "This is the share of wrong answers; the accuracy is the share of right ones.",
    "Which answers do you count?",
    "Count with `==`, not with `!=`.",
    variants=({"right_share": lambda logits, labels: 1 - share_right(logits, labels)},),
    finding=WITH_BATCHES,
    slip=("argmax(dim=1) == labels", "argmax(dim=1) != labels"),
)
# Listed last: whatever else is wrong with the accuracy.
ACCURACY_ONLY = Mistake(
    "wrong",
    "The loss is right; the accuracy is not.",
    "For one batch, what are the shapes and the values of your answers, and which of them equal "
    "the labels?",
    "`argmax(dim=1)` gives one class per image. Count where it equals the label, and divide that "
    "count with `/` by the number of examples.",
    detect=lambda observations: (
        all(o.wrong in ([], ["the accuracy"]) for o in observations)
        and any(o.wrong and not o.problem for o in observations)
    ),
    finding=WITH_BATCHES,
    slip=("argmax(dim=1)", "max(dim=1).values"),
)
