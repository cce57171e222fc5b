"""The exercises of Day 32: the two loops, the split and the normalisation.

As in `day31.py`, nothing here imports torch; the last two exercises need NumPy alone.
"""

import numpy as np

from nnweek.checks.day31 import (
    NO_BACKWARD,
    NO_STEP,
    NO_ZERO_GRAD,
    OTHER_CRITERION,
    SOFTMAX_BEFORE_LOSS,
    STEP_BEFORE_BACKWARD,
    WHAT_HAPPENED,
    ZERO_GRAD_AFTER_BACKWARD,
    clear,
    eval_mode,
    in_log,
    keep,
    never_backward,
    never_cleared,
    never_stepped,
    not_in_train_mode,
    nothing,
    plain_cross_entropy,
    softmax_rows,
    softmax_scored,
    stepped_on_nothing,
    stepped_too_early,
)
from nnweek.checks.exercise import Exercise, Mistake, Probe, TrialRun, as_numbers, kind
from nnweek.checks.sandbox import Problem

# --- What both loops share: batches, averages, and the mistakes that one can make with them ------


def train_mode(model):
    model.train()


def _all_batches(loader):
    return loader


def _first_batch(loader):
    return list(loader)[:1]


def _last_batch(loader):
    return list(loader)[-1:]


def _hits(logits, labels):
    """The share of a batch that is right."""
    return float((logits.argmax(dim=1) == labels).float().mean())


def _crossed(logits, labels):
    """(B, 1) compared with (B,) gives (B, B): every answer with every label."""
    return (logits.argmax(dim=1, keepdim=True) == labels).float()


def _mean_crossed(logits, labels):
    return float(_crossed(logits, labels).mean())


def _sum_crossed(logits, labels):
    return float(_crossed(logits, labels).sum()) / len(labels)


def _both(logits, labels):
    """Answers and labels, to be compared at the end, all batches at once."""
    return logits.argmax(dim=1).tolist(), labels.tolist()


def _all_crossed(values, sizes):
    answers, labels = (np.concatenate(part) for part in zip(*values, strict=True))
    return float((answers[:, None] == labels).mean())


def _all_crossed_over_samples(values, sizes):
    return _all_crossed(values, sizes) * sum(sizes)


def _weighted(values, sizes):
    return float(np.average(values, weights=sizes))


def _unweighted(values, sizes):
    return float(np.mean(values))


def _unweighted_over_samples(values, sizes):
    return float(np.sum(values) / np.sum(sizes))


def _as_if_equal(values, sizes):
    return float(np.sum(values) * sizes[0] / np.sum(sizes))


def _last(values, sizes):
    return values[-1]


def _last_over_samples(values, sizes):
    return values[-1] * sizes[-1] / sum(sizes)


def _last_over_batches(values, sizes):
    return values[-1] / len(sizes)


def _first(values, sizes):
    return values[0]


def _weighted_over_batches(values, sizes):
    return float(np.dot(values, sizes)) / len(sizes)


def _sum(values, sizes):
    return float(np.dot(values, sizes))


def _averages(*how):
    """Ways to average the loss, the accuracy, or both of them wrongly."""
    return tuple(
        way
        for average in how
        for way in (
            {"average_loss": average, "average_accuracy": average},
            {"average_loss": average},
            {"average_accuracy": average},
        )
    )


UNWEIGHTED_MEAN = (
    "Every batch counted the same, but the last one is smaller: its examples weigh too much.",
    (
        "If the last batch held a single image, how much of the mean would that image decide?",
        "Multiply each batch's mean by the size of that batch, add up, and divide by the number "
        "of all examples.",
    ),
)
_UNWEIGHTED = _averages(_unweighted, _unweighted_over_samples, _as_if_equal)
LAST_BATCH_ONLY = (
    "What came back belongs to the last batch alone.",
    (
        "Which lines run once for each batch, and which once at the end? What happens there to "
        "what the batches before gave?",
        "Add up inside the loop, starting from 0 before it, and divide after it.",
    ),
)
_LAST = (
    *_averages(_last, _last_over_samples, _last_over_batches),
    {"average_loss": _last, "average_accuracy": _last_over_samples},
    {"average_loss": _last_over_samples, "average_accuracy": _last},
)
FIRST_BATCH_ONLY = (
    "Only the first batch was seen.",
    (
        "Where does your loop end: after how many batches?",
        "A `return` or a `break` inside the loop ends it; and `next(iter(loader))` starts anew "
        "each time.",
    ),
)
_SEEN_SIZES = "With batches of {batches}: {where} is {got}, where {expected} was expected."


def _batch_seen(which):
    """Make a `tells`: every forward pass was of one batch, the first or the last."""

    def detect(observations):
        logs = [
            observation.log
            for observation in observations
            if observation.wrong and observation.log is not None
        ]
        return bool(logs) and all(
            {number for _, _, _, number in log.events("forward")} == {which % len(log.sizes)}
            for log in logs
        )

    return detect


def _in_percent(average_accuracy):
    return lambda values, sizes: 100 * average_accuracy(values, sizes)


PERCENT = (
    "The accuracy is a share between 0 and 1; this one is in percent.",
    (
        "Between which two numbers does an accuracy lie?",
        "Return the share itself, and turn it into percent where you print it.",
    ),
)
_PERCENT = tuple(
    {"average_accuracy": _in_percent(average)} for average in (_weighted, _unweighted, _last)
)
BROADCAST = (
    "Answers of shape (B, 1) were compared with labels of shape (B,): broadcasting makes that a "
    "table (B, B), of every answer with every label.",
    (
        "Which shape has the result of your `==`, and how many comparisons should there be?",
        "Both sides must be (B,): take the argmax without `keepdim`, and leave the labels flat.",
    ),
)
_BROADCAST = tuple(
    {"right_share": share, "average_accuracy": average}
    for shares, averages in (
        ((_mean_crossed, _sum_crossed), (_weighted, _unweighted)),
        ((_both,), (_all_crossed, _all_crossed_over_samples)),
    )
    for share in shares
    for each in averages
    for average in (each, _in_percent(each))
)
_NOT_AVERAGED = (
    "Sums, averages and counts do not fit together: one divides by batches what belongs to "
    "examples, or not at all.",
    (
        "Is what you add up for each batch a sum over its examples, or a mean?",
        "Add up sums over examples, and divide once by the number of examples.",
    ),
)
_SUMS = _averages(_weighted_over_batches, _sum)


def _loop_probes(*setups):
    def probes():
        from nnweek.checks.instrumented_loops import Setup

        for batches, smoothing in setups:
            setup = Setup(32, batches, smoothing=smoothing)
            yield Probe((setup,), {"batches": ", ".join(map(str, batches))})

    return probes


# --- train_one_epoch -----------------------------------------------------------------------------


def _train_one_epoch(
    model,
    loader,
    optimizer,
    criterion,
    *,
    mode=train_mode,
    batches=_all_batches,
    start=nothing,
    clear=clear,
    squash=keep,
    score=None,
    right_share=_hits,
    average_loss=_weighted,
    average_accuracy=_weighted,
):
    """One epoch; every keyword is a part of it that a mistake may replace."""
    mode(model)
    start(optimizer)
    losses, shares, sizes = [], [], []
    for images, labels in batches(loader):
        clear(optimizer)
        logits = model(images)
        loss = (score or criterion)(squash(logits), labels)
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
        shares.append(right_share(logits, labels))
        sizes.append(len(labels))
    return average_loss(losses, sizes), average_accuracy(shares, sizes)


def _try_epochs(function, setup):
    from nnweek.checks import instrumented_loops

    return instrumented_loops.try_epochs(function, setup)


def _only_looks(log):
    """Whether it goes through the batches and neither asks for gradients nor moves anything."""
    return never_backward(log) and not log.events("step") and not any(log.moved)


def _stepped_once(log):
    """Fewer steps than batches, though every batch was seen."""
    steps = len(log.events("step"))
    return 0 < steps < len(log.calls) * len(log.sizes) <= len(log.events("forward"))


train_one_epoch = Exercise(
    name="train_one_epoch",
    day=32,
    signature="train_one_epoch(model, loader, optimizer, criterion)",
    task="trains for one pass over the loader and returns (loss, accuracy), averaged over the "
    "examples",
    right=_train_one_epoch,
    outputs=("the loss", "the accuracy"),
    probes=_loop_probes(((9, 9, 4), 0.0), ((6, 6, 3), 0.2)),
    trial=_try_epochs,
    max_simultaneous=1,
    mistakes=(
        Mistake(
            "first-batch-only",
            *FIRST_BATCH_ONLY,
            variants=({"batches": _first_batch}, *_averages(_first)),
            detect=_batch_seen(0),
            finding=_SEEN_SIZES,
        ),
        Mistake(
            "not-train-mode",
            "The model was in eval mode while it trained: dropout is off, and a batch norm uses "
            "old statistics. An evaluation before this epoch leaves it so.",
            (
                "In which mode is a model that has just been evaluated?",
                "Switch with `model.train()`, with its parentheses, before the loop.",
            ),
            variants=({"mode": nothing}, {"mode": eval_mode}),
            detect=in_log(not_in_train_mode),
        ),
        Mistake("no-step", *NO_STEP, detect=in_log(never_stepped), finding=WHAT_HAPPENED),
        Mistake("no-step", *NO_BACKWARD, detect=in_log(_only_looks), finding=WHAT_HAPPENED),
        Mistake("wrong", *NO_BACKWARD, detect=in_log(never_backward), finding=WHAT_HAPPENED),
        Mistake("wrong", *STEP_BEFORE_BACKWARD, detect=in_log(stepped_too_early, even_raised=True), finding=WHAT_HAPPENED),
        Mistake("wrong", *ZERO_GRAD_AFTER_BACKWARD, detect=in_log(stepped_on_nothing), finding=WHAT_HAPPENED),
        Mistake(
            "no-zero-grad",
            *NO_ZERO_GRAD,
            variants=({"clear": nothing}, {"clear": nothing, "start": clear}),
            detect=in_log(never_cleared),
        ),
        Mistake("last-batch-only", *LAST_BATCH_ONLY, variants=_LAST, detect=_batch_seen(-1),
                finding=_SEEN_SIZES),
        Mistake("unweighted-mean", *UNWEIGHTED_MEAN, variants=_UNWEIGHTED, finding=_SEEN_SIZES),
        Mistake("accuracy-in-percent", *PERCENT, variants=_PERCENT, finding=_SEEN_SIZES),
        Mistake("accuracy-broadcast", *BROADCAST, variants=_BROADCAST, finding=_SEEN_SIZES),
        Mistake("wrong", *_NOT_AVERAGED, variants=_SUMS, finding=_SEEN_SIZES),
        Mistake(
            "wrong", *SOFTMAX_BEFORE_LOSS, variants=({"squash": softmax_rows},),
            detect=in_log(softmax_scored),
        ),
        Mistake("wrong", *OTHER_CRITERION, variants=({"score": plain_cross_entropy},)),
        Mistake(
            "no-step",
            "The optimizer took fewer steps than there are batches.",
            (
                "Which lines run once for each batch, and which once at the end?",
                "`optimizer.step()` belongs into the loop, once for each batch.",
            ),
            detect=in_log(_stepped_once),
        ),
    ),
    hints=(
        "Switch to train mode; then, for each batch: forget, forward, score, backward, step, and "
        "add up.",
        "Each batch's loss is a mean: multiply it by the batch's size before you add it up, and "
        "divide by the number of all examples at the end.",
    ),
)  # fmt: skip


# --- evaluate ------------------------------------------------------------------------------------


def _evaluate(
    model,
    loader,
    criterion,
    *,
    mode=eval_mode,
    batches=_all_batches,
    squash=keep,
    score=None,
    right_share=_hits,
    average_loss=_weighted,
    average_accuracy=_weighted,
):
    """An evaluation; every keyword is a part of it that a mistake may replace."""
    import torch

    mode(model)
    losses, shares, sizes = [], [], []
    with torch.no_grad():
        for images, labels in batches(loader):
            logits = model(images)
            losses.append(float((score or criterion)(squash(logits), labels)))
            shares.append(right_share(logits, labels))
            sizes.append(len(labels))
    return average_loss(losses, sizes), average_accuracy(shares, sizes)


def _try_evaluation(function, setup):
    from nnweek.checks import instrumented_loops

    return instrumented_loops.try_evaluation(function, setup)


def _logs(observations):
    return [observation.log for observation in observations if observation.log is not None]


def _trains(observations):
    return any(any(log.moved) for log in _logs(observations))


def _tracks(observations):
    return any(tracked for log in _logs(observations) for _, _, tracked, _ in log.events("forward"))


def _in_train_mode(log):
    return any(event[1] is not False for event in log.events("forward"))


def _left_in_eval_mode(observations):
    return not any(log.train_mode_after for log in _logs(observations)) and (
        "Your function leaves the model in eval mode. That is the custom, and it is accepted: "
        "`train_one_epoch` switches back. Who trains by hand has to think of `model.train()`."
    )


def _left_without_gradients(observations):
    return any(not log.records_after for log in _logs(observations)) and (
        "After your function, autograd no longer records, and whatever is trained next fails. Use "
        "`torch.no_grad()` in a `with`, or as a decorator, so that it ends with your function."
    )


evaluate = Exercise(
    name="evaluate",
    day=32,
    signature="evaluate(model, loader, criterion)",
    task="scores a model without changing it and returns (loss, accuracy), averaged over the "
    "examples",
    right=_evaluate,
    outputs=("the loss", "the accuracy"),
    probes=_loop_probes(((9, 9, 4), 0.0), ((6, 6, 3), 0.2)),
    trial=_try_evaluation,
    max_simultaneous=1,
    remarks=(_left_without_gradients, _left_in_eval_mode),
    mistakes=(
        Mistake(
            "trains",
            "The parameters are no longer what they were. An evaluation that moves them learns "
            "from the images that it should only judge by.",
            (
                "Compare a parameter before and after the call. Which line moved it?",
                "No `backward()`, no step, no optimizer: look, and touch nothing.",
            ),
            detect=_trains,
            finding="After the call, the model's parameters have changed.",
        ),
        Mistake(
            "not-eval-mode",
            "The model was in train mode while it was scored: dropout was on, and a batch norm "
            "used this batch's statistics.",
            (
                "Would the same images get the same logits if you evaluated twice?",
                "Switch with `model.eval()`, with its parentheses, before the loop.",
            ),
            variants=({"mode": nothing},),
            detect=in_log(_in_train_mode),
        ),
        Mistake("last-batch-only", *LAST_BATCH_ONLY, variants=_LAST, detect=_batch_seen(-1),
                finding=_SEEN_SIZES),
        Mistake("wrong", *FIRST_BATCH_ONLY, variants=({"batches": _first_batch}, *_averages(_first)),
                detect=_batch_seen(0), finding=_SEEN_SIZES),
        Mistake("unweighted-mean", *UNWEIGHTED_MEAN, variants=_UNWEIGHTED, finding=_SEEN_SIZES),
        Mistake("wrong", *PERCENT, variants=_PERCENT, finding=_SEEN_SIZES),
        Mistake("wrong", *BROADCAST, variants=_BROADCAST, finding=_SEEN_SIZES),
        Mistake("wrong", *_NOT_AVERAGED, variants=_SUMS, finding=_SEEN_SIZES),
        Mistake(
            "wrong", *SOFTMAX_BEFORE_LOSS, variants=({"squash": softmax_rows},),
            detect=in_log(softmax_scored),
        ),
        Mistake("wrong", *OTHER_CRITERION, variants=({"score": plain_cross_entropy},)),
        Mistake(
            "tracks-gradients",
            "Autograd recorded the forward pass, for a backward pass that never comes. The numbers "
            "are right; the time and the memory are wasted.",
            (
                "Does the output of the model, inside your loop, require a gradient?",
                "Put the loop under `torch.no_grad()`. `model.eval()` does not do that.",
            ),
            detect=_tracks,
            finding="The logits that the model returned still require a gradient.",
        ),
        Mistake(
            "wrong",
            "After the call, some parameters no longer ask for a gradient, and will never be "
            "trained again.",
            (
                "What did your function change in the model, and did it change it back?",
                "`torch.no_grad()` stops the recording without touching the parameters.",
            ),
            detect=lambda observations: any(
                observation.wrong == ["how many parameters can be trained"] for observation in observations
            ),
        ),
    ),
    hints=(
        "Switch to eval mode, stop autograd from recording; then, for each batch: forward, score, "
        "add up.",
        "`model.eval()` and `torch.no_grad()`; each batch's mean loss times its size, divided by "
        "the number of all examples at the end.",
    ),
)  # fmt: skip


# --- split ---------------------------------------------------------------------------------------


def _split(n, val_ratio, seed):
    shuffled = np.random.default_rng(seed).permutation(n)
    n_val = round(n * val_ratio)
    return shuffled[n_val:], shuffled[:n_val]


_BOTH = "the number of indices that are in both parts"
_NEITHER = "the number of indices that are in neither part"
_STRANGE = "the number of indices below 0 or above n − 1"
_TWICE = "the number of indices that come again in the same part"
_SURPLUS = "the number of validation indices beyond n · val_ratio"
_LACK = "the number of validation indices short of n · val_ratio"
_SHUFFLED = "whether the samples are mixed (1 for yes)"
_SAME = "whether the same seed gives the same split (1 for yes)"
_OTHER = "whether another seed gives another split (1 for yes)"


def _two_parts(value):
    """Return (train, val) as arrays, and a problem where they are none."""
    if not isinstance(value, (list, tuple)):
        text = f"It returned {kind(value)}, where (train_idx, val_idx) was expected."
        return None, Problem("wrong-type", text)
    if len(value) != 2:
        text = f"It returned {len(value)} things, where two were expected: train_idx and val_idx."
        return None, Problem("wrong-shape", text)
    parts = []
    for name, part in zip(("train_idx", "val_idx"), value, strict=True):
        if part is None or part is Ellipsis:
            return None, Problem("not-attempted", f"{name} came back empty.")
        numbers = as_numbers(part)
        if numbers is None or numbers.ndim == 0:
            text = f"{name} is {kind(part)}, where an array of indices was expected."
            return None, Problem("wrong-type", text)
        if not np.isfinite(numbers).all():
            return None, Problem("not-finite", f"{name} holds numbers that are not finite.")
        if numbers.ndim != 1:
            text = f"{name} has shape {numbers.shape}, where one row of indices was expected."
            return None, Problem("wrong-shape", text)
        dtype = str(part.dtype if hasattr(part, "dtype") else np.asarray(part).dtype)
        if "int" not in dtype:
            text = f"{name} holds {dtype} numbers, where indices, whole numbers, were expected."
            return None, Problem("wrong-type", text)
        parts.append(numbers)
    return parts, None


def _evenly_spaced(indices):
    return len(indices) > 3 and len(set(np.diff(np.sort(indices)))) <= 1


def _play_split(function, n, val_ratio, seed, other):
    """Split three times: with a seed, with another one, and with the first again."""
    splits = []
    for each in (seed, other, seed):
        value = function(n, val_ratio, each)
        if value is None or value is Ellipsis:
            return TrialRun(value)
        parts, problem = _two_parts(value)
        if problem:
            return TrialRun(problem=problem)
        splits.append(parts)
    (train, val), (_, other_val), (train_again, val_again) = splits
    inside = set(range(n))
    least, most = np.floor(n * val_ratio + 1e-9), np.ceil(n * val_ratio - 1e-9)
    same = np.array_equal(train, train_again) and np.array_equal(val, val_again)
    mixed = not all(_evenly_spaced(train) or _evenly_spaced(val) for train, val in splits)
    observed = {
        _BOTH: len(set(train) & set(val)),
        _NEITHER: len(inside - set(train) - set(val)),
        _STRANGE: len((set(train) | set(val)) - inside),
        _TWICE: len(train) - len(set(train)) + len(val) - len(set(val)),
        _SURPLUS: max(0, len(val) - most),
        _LACK: max(0, least - len(val)),
        _SHUFFLED: mixed,
        _SAME: same,
        _OTHER: set(val) != set(other_val),
    }
    observed = {name: float(number) for name, number in observed.items()}
    swapped = least <= len(train) <= most and not least <= len(val) <= most
    log = {"n_train": len(train), "n_val": len(val), "swapped": swapped}
    return TrialRun((), observed, log)


def _found(name, value=None):
    """Make a `tells`: one of the numbers is not as it should be."""

    def detect(observations):
        for observation in observations:
            got = observation.outputs.get(name)
            if got is not None and (got == value if value is not None else got > 0):
                return {"count": int(got), **observation.probe.context, **observation.log}
        return None

    return detect


def _sizes_swapped(observations):
    logs = [observation.log for observation in observations]
    if not all(log and log["swapped"] for log in logs):
        return None
    return {**observations[0].probe.context, **logs[0]}


def _split_probes():
    for n, val_ratio, seed, other in ((61, 0.2, 42, 7), (50, 0.1, 0, 1), (40, 0.25, 3, 12345)):
        about = {"n": n, "val_ratio": val_ratio, "seed": seed}
        yield Probe((n, val_ratio, seed, other), about)


_SIZES = "With n = {n} and val_ratio = {val_ratio}, train_idx has {n_train} and val_idx {n_val} "

split = Exercise(
    name="split",
    day=32,
    signature="split(n, val_ratio, seed)",
    task="deals the indices 0 … n − 1 at random into (train_idx, val_idx), the same way for the "
    "same seed",
    right=_split,
    outputs=("the split",),
    probes=_split_probes,
    trial=_play_split,
    mistakes=(
        Mistake(
            "swapped",
            "The two parts came back in the wrong places, or the ratio was taken for the other "
            "part.",
            (
                "Which part should be the larger one, and which do you return first?",
                "`val_ratio` is the share of the second part, the validation set.",
            ),
            detect=_sizes_swapped,
            finding=_SIZES + "indices.",
        ),
        Mistake(
            "overlap",
            "An image that is in both parts is trained on and then used to judge by: the "
            "validation accuracy comes out too good.",
            (
                "Can one index land in both of your parts?",
                "Shuffle all indices once, then cut the row in two: everything before the cut, "
                "and everything from it on.",
            ),
            detect=_found(_BOTH),
            finding="With n = {n}, {count} of the indices are in both parts.",
        ),
        Mistake(
            "drops-samples",
            "Some samples are in neither part: nobody will ever see them.",
            (
                "Do the lengths of your two parts add up to n, and is every index there?",
                "Compute one of the two sizes, and let the other part be all the rest.",
            ),
            detect=_found(_NEITHER),
            finding="With n = {n}, {count} of the indices are in neither part.",
        ),
        Mistake(
            "not-reproducible",
            "The same seed gave two different splits. After a restart, images that were trained "
            "on may be among those to judge by.",
            (
                "Where do your random numbers come from, and who seeded that generator?",
                "Make a generator from `seed` inside the function, and draw from it alone.",
            ),
            detect=_found(_SAME, 0),
            finding="Called twice with seed = {seed}, your function gave two different splits.",
        ),
        Mistake(
            "not-shuffled",
            "The samples were dealt in the order in which they came. Data are often sorted, by "
            "class or by date, and then one part holds what the other has never seen.",
            (
                "If the first half of the data were all zeros and ones, what would your parts "
                "hold?",
                "Put the indices into a random order before you cut.",
            ),
            detect=_found(_SHUFFLED, 0),
            finding=_SIZES + "indices, and one of them is a row of neighbours or evenly spaced.",
        ),
        Mistake(
            "ignores-seed",
            "Every seed gives the same split. Nobody can then ask how much a result owes to the "
            "luck of one split.",
            (
                "Where does `seed` come in?",
                "Seed the generator with the argument, not with a number of your own.",
            ),
            detect=_found(_OTHER, 0),
            finding="With another seed, your function gave the same split.",
        ),
        Mistake(
            "wrong",
            "An index that comes twice in one part counts twice.",
            (
                "Can your function draw the same index more than once?",
                "Shuffle all indices once, then cut the row in two.",
            ),
            detect=_found(_TWICE),
            finding="{count} of the indices come again in the same part.",
        ),
        Mistake(
            "wrong",
            "The validation part should hold n · val_ratio of the samples, rounded up or down.",
            (
                "How many samples is that share of n, and how many did you take?",
                "Compute the size of the validation part from n and `val_ratio`, and give all the "
                "rest to the training part.",
            ),
            detect=lambda observations: (
                _found(_SURPLUS)(observations) or _found(_LACK)(observations)
            ),
            finding=_SIZES + "indices.",
        ),
    ),
    hints=(
        "First a random order of all indices, from a generator made of the seed; then one cut.",
        "`np.random.default_rng(seed).permutation(n)`, and the size of the validation part is "
        "n · val_ratio, rounded.",
    ),
)


# --- normalize -----------------------------------------------------------------------------------


def _of_train(x, train, test):
    return train


def _own(x, train, test):
    return x


def _of_both(x, train, test):
    return np.concatenate([train, test])


def _image_mean(x):
    return x.mean(axis=(1, 2), keepdims=True)


def _image_std(x):
    return x.std(axis=(1, 2), keepdims=True)


def _image_var(x):
    return x.var(axis=(1, 2), keepdims=True)


def _pixel_mean(x):
    return x.mean(axis=0)


def _pixel_std(x):
    return x.std(axis=0)


def _zero(x):
    return 0.0


def _one(x):
    return 1.0


def _wrapping(whole):
    """Subtract as uint8 does, where 3 − 5 is 254."""
    return lambda x, mean: (np.uint8(x) - np.uint8(whole(mean))).astype(float)


def _normalize(
    train,
    test,
    *,
    unit=255,
    read=keep,
    center=_of_train,
    spread=_of_train,
    mean=np.mean,
    std=np.std,
    subtract=np.subtract,
    again=False,
):
    """Every keyword is a part that a mistake may replace."""
    train, test = read(train) / unit, read(test) / unit

    def normalized(x):
        shifted = subtract(x, mean(center(x, train, test)))
        return shifted / std(spread(x, train, test))

    new_train = normalized(train)
    if again:  # the statistics of what is normalised already
        train = new_train
    return new_train, normalized(test)


def _play_normalize(function, train, test):
    """Normalise, and note what would have come of the same numbers as floats."""
    value = function(train, test)
    try:
        as_floats = function(train.astype(float), test.astype(float))
    except Exception:
        as_floats = None
    return TrialRun(value, log=as_floats)


def _normalize_probes():
    rng = np.random.default_rng(32)

    def digits(n, ink, share):
        """Images with a dark background, each with ink of its own."""
        strength = rng.uniform(0.5, 1, size=(n, 1, 1)) * ink
        inked = rng.random((n, 28, 28)) < share * rng.uniform(0.7, 1.3, size=(n, 1, 1))
        pixels = inked * strength * rng.uniform(0.6, 1, size=(n, 28, 28))
        pixels[0, 0, :2] = 0, 255
        return pixels.astype(np.uint8)

    for n, m in ((30, 12), (20, 20)):
        train, test = digits(n, 255, 0.2), digits(m, 180, 0.35)
        yield Probe((train, test), {"N": n, "M": m}, accept=_nearly)


def _nearly(got, wanted):
    """Whether these agree, with N or N − 1, and with a tiny number added to the deviation."""
    return bool(np.allclose(got, wanted, rtol=1e-3, atol=1e-3))


def _on_a_line(condition):
    """Make a `tells`: the new training pixels are slope · old + offset, and these fulfil it."""

    def detect(observations):
        lines = []
        for observation in observations:
            old, new = observation.probe.args[0].astype(float), observation.outputs.get("train")
            if new is None or new.shape != old.shape or not np.isfinite(new).all():
                return False
            slope, offset = np.polyfit(old.ravel(), new.ravel(), 1)
            if np.abs(slope * old + offset - new).max() > 1e-4 * np.abs(new).max():
                return False
            lines.append((slope, offset))
        return all(slope > 0 and condition(slope, offset) for slope, offset in lines)

    return detect


def _overflows(observations):
    """Whether the numbers would have been right, or nearly so, if they had come as floats."""
    for observation in observations:
        if (
            not observation.wrong
            or not isinstance(observation.log, (list, tuple))
            or len(observation.log) != 2
        ):
            continue
        pairs = list(zip(map(as_numbers, observation.log), observation.right.values(), strict=True))
        if all(
            got is not None and got.shape == wanted.shape and np.abs(got - wanted).max() < 0.05
            for got, wanted in pairs
        ):
            return True
    return False


def _whole_numbers(observations):
    pairs = [(got, observation.right[name]) for observation in observations if observation.wrong
             for name, got in observation.outputs.items() if name in observation.right]  # fmt: skip
    return bool(pairs) and all(
        got.shape == right.shape and (got == np.round(got)).all() for got, right in pairs
    )


def _everywhere(**steps):
    """Ways to take statistics from the wrong place: mean and deviation, or one of them."""
    return tuple(
        {name: steps[name] for name in names if name in steps}
        for names in (steps, ("center", "mean"), ("spread", "std"))
    )


normalize = Exercise(
    name="normalize",
    day=32,
    signature="normalize(train, test)",
    task="brings images to mean 0 and standard deviation 1 by the statistics of the training set, "
    "and returns (train, test)",
    right=_normalize,
    outputs=("train", "test"),
    probes=_normalize_probes,
    trial=_play_normalize,
    matches=_nearly,
    mistakes=(
        Mistake(
            "test-statistics",
            "The test set was normalised by its own statistics. The network then sees it on "
            "another scale than what it was trained on, and a single image could not be "
            "normalised at all.",
            (
                "When a single new image arrives, which mean do you subtract?",
                "Compute mean and deviation on the training set, once, and use them for both.",
            ),
            variants=_everywhere(center=_own, spread=_own),
            finding="{agree} came out right; {outputs} did not: {where} is {got}, not {expected}.",
        ),
        Mistake(
            "joint-statistics",
            "The statistics were taken over both sets together, so the test images have leaked "
            "into the training data.",
            (
                "Would the training images change if the test set were another one? Should they?",
                "Compute mean and deviation on the training set alone.",
            ),
            variants=_everywhere(center=_of_both, spread=_of_both),
        ),
        Mistake(
            "wrong",
            "The test images came back as they were, or by a factor 1/255: either nothing was done "
            "to them, or their statistics were taken after the training set was normalised, and "
            "mean 0 and deviation 1 change nothing.",
            (
                "At the moment when you normalise the test set, what does `train` hold?",
                "Keep mean and deviation in variables before you change anything.",
            ),
            variants=({"again": True}, {"again": True, "unit": 1}),
            finding="{agree} came out right; {outputs} did not: {where} is {got}, not {expected}.",
        ),
        Mistake(
            "no-centering",
            "The mean of the training images is not 0: nothing was subtracted.",
            (
                "What is the mean of what you return for the training set?",
                "Subtract the mean before you divide.",
            ),
            variants=(
                {"mean": _zero},
                {"mean": _zero, "std": _one},
                {"mean": _zero, "std": _one, "unit": 1},
            ),
            detect=_on_a_line(lambda slope, offset: abs(offset) < 1e-4 * slope),
        ),
        Mistake(
            "no-scaling",
            "The standard deviation of the training images is not 1: the mean was subtracted, and "
            "nothing was divided by the deviation.",
            (
                "What is the standard deviation of what you return for the training set?",
                "Divide by the standard deviation after the mean is subtracted.",
            ),
            variants=({"std": _one}, {"std": _one, "unit": 1}),
            detect=_on_a_line(
                lambda slope, offset: min(abs(slope - 1), abs(255 * slope - 1)) < 1e-4
            ),
            finding="{first} The standard deviation of your {output} is {std}.",
        ),
        Mistake(
            "variance-not-std",
            "The images were divided by the variance; it takes its square root, the standard "
            "deviation.",
            (
                "Which of the two has the unit of a pixel: the variance, or its square root?",
                "Divide by the standard deviation.",
            ),
            variants=({"std": np.var}, {"std": np.var, "unit": 1}),
        ),
        Mistake(
            "per-image",
            "Every image was normalised by its own statistics: a faint digit and a bold one come "
            "out alike, and what their brightness said is lost.",
            (
                "How many means do you compute: one, or one for each image?",
                "A mean without an axis, over the whole training set, is one number.",
            ),
            variants=(
                *_everywhere(center=_own, spread=_own, mean=_image_mean, std=_image_std),
                *(
                    {"center": _own, "spread": _own, "mean": mean, "std": std, "unit": unit}
                    for mean, std in (
                        (_image_mean, _image_var),
                        (_image_mean, _one),
                        (_zero, _image_std),
                    )
                    for unit in (1, 255)
                ),
            ),
        ),
        Mistake(
            "integer-overflow",
            "The images are bytes, and bytes cannot go below 0 or above 255: 3 − 5 is 254, and "
            "16 · 16 is 0. The same steps on floats give the right numbers, or nearly.",
            (
                "Which `dtype` have the images when you begin to compute, and the array that "
                "takes the result?",
                "Convert the images to floating point first, then subtract, square or divide.",
            ),
            variants=(
                {"unit": 1, "subtract": _wrapping(np.floor)},
                {"unit": 1, "subtract": _wrapping(np.round)},
                {"read": lambda x: x.astype(np.int8)},
            ),
            detect=_overflows,
        ),
        Mistake(
            "wrong",
            "Every pixel position was normalised by statistics of its own; one mean and one "
            "deviation for all are asked for. A pixel that is always black has deviation 0.",
            (
                "How many means do you compute: one, or one for each pixel?",
                "A mean without an axis, over the whole training set, is one number.",
            ),
            variants=_everywhere(
                center=_of_train, spread=_of_train, mean=_pixel_mean, std=_pixel_std
            ),
        ),
        Mistake(
            "wrong",
            "The fractions are gone: the results were cut to whole numbers.",
            (
                "Which `dtype` has what you return?",
                "Return floating-point arrays.",
            ),
            detect=_whole_numbers,
        ),
    ),
    hints=(
        "Two numbers, computed from the training set alone, are used for both sets.",
        "Convert to float, subtract the mean of `train`, divide by the standard deviation of "
        "`train`.",
    ),
)

EXERCISES = (train_one_epoch, evaluate, split, normalize)
