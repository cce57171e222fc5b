"""The exercises of Day 32: split, normalisation, the two loops, interval and calibration.

Nothing here imports torch at the top; only the loops and `fit_temperature` need it.
"""

import copy
from dataclasses import replace
from functools import partial

import numpy as np

from nnweek.checks import loops
from nnweek.checks.comparing import as_numbers, kind, largest_change
from nnweek.checks.exercise import Exercise, Mistake, Probe
from nnweek.checks.running import TrialRun
from nnweek.checks.sandbox import Problem
from nnweek.checks.steps import both_or_one, identity, none, one, zero
from nnweek.checks.wording import SOME_RIGHT


def _loop_probes():
    for batches, smoothing in (((9, 9, 4), 0.0), ((6, 6, 6, 3), 0.2)):
        setup = loops.LoopSetup(38, batches, smoothing=smoothing)
        yield Probe((setup,), {"batches": ", ".join(map(str, batches))})


def _train_one_epoch(
    model,
    loader,
    optimizer,
    criterion,
    *,
    mode=loops.train_mode,
    batches=identity,
    squash=identity,
    score=None,
    right_share=loops.share_right,
    after_step=lambda model, images, logits: logits,
    loss_too=False,
    at_the_end=None,
):
    """Train for one epoch. Each keyword argument is a part that a mistake can replace.

    The accuracy is that of the logits from `after_step` or, for all batches, `at_the_end`.
    """
    score = score or criterion
    mode(model)
    losses, shares, sizes = [], [], []
    for images, labels in batches(loader):
        optimizer.zero_grad()
        logits = model(images)
        loss = score(squash(logits), labels)
        loss.backward()
        optimizer.step()
        logits = after_step(model, images, logits)
        losses.append(float(score(logits, labels) if loss_too else loss.detach()))
        shares.append(right_share(logits, labels))
        sizes.append(len(labels))
    for number, (images, labels) in enumerate(loader if at_the_end else ()):
        shares[number] = right_share(at_the_end(model, images), labels)
    return losses, shares, sizes


def _in_train_mode(model, images, *_):
    """Compute the logits once more."""
    import torch

    with torch.no_grad():
        return model(images)


def _in_eval_mode(model, images, *_):
    """Compute the logits once more, in eval mode."""
    model.eval()
    logits = _in_train_mode(model, images)
    model.train()
    return logits


_AGAIN = (_in_train_mode, _in_eval_mode)
_right_epoch, _try_epochs = loops.averaged(_train_one_epoch, "try_epochs")


def _does_not_train(log):
    """Return whether it passes over the batches without computing a gradient or moving anything."""
    return loops.never_backward(log) and not log.events("step") and not any(log.moved)


def _stepped_once(log):
    """Return whether it took fewer steps than there are batches but used every batch."""
    steps = len(log.events("step"))
    return 0 < steps < len(log.calls) * len(log.sizes) <= len(log.events("forward"))


_MEAN_OF_BATCH = ".sum().item()", ".float().mean().item()"
_MEAN_TIMES_SIZE = ".sum().item()", ".float().mean().item() * loader.batch_size"
_BACKWARD_STEP = "loss.backward()\n        optimizer.step()"

train_one_epoch = Exercise(
    name="train_one_epoch",
    day=32,
    signature="train_one_epoch(model, loader, optimizer, criterion)",
    task="trains for one pass over the loader and returns (loss, accuracy), averaged over the "
    "examples",
    right=_right_epoch,
    outputs=("the loss", "the accuracy"),
    probes=_loop_probes,
    trial=_try_epochs,
    max_simultaneous=1,
    mistakes=(
        loops.FIRST_BATCH_ONLY,
        Mistake(
            "not-train-mode",
            "The model was in eval mode while it trained: dropout is off, and batch norm uses its "
            "running statistics. An evaluation before this epoch leaves it in eval mode.",
            "In which mode is a model that has just been evaluated?",
            "Switch with `model.train()`, with its parentheses, before the loop.",
            variants=({"mode": none}, {"mode": loops.eval_mode}),
            detect=loops.in_log(loops.not_in_train_mode),
            slip=("model.train()", "model.train"),
        ),
        loops.ZERO_GRAD_NOT_CALLED,
        loops.STEP_NOT_CALLED,
        loops.NO_STEP,
        loops.BACKWARD_REACHED_NOTHING,
        replace(
            loops.NO_BACKWARD,
            id="no-step",
            detect=loops.in_log(_does_not_train),
            slip=(_BACKWARD_STEP, "# loss.backward()\n        # optimizer.step()"),
        ),
        replace(loops.NO_BACKWARD, id="wrong"),
        replace(
            loops.STEP_BEFORE_BACKWARD,
            id="wrong",
            slip=(_BACKWARD_STEP, "optimizer.step()\n        loss.backward()"),
        ),
        replace(
            loops.ZERO_GRAD_AFTER_BACKWARD,
            id="wrong",
            slip=(
                _BACKWARD_STEP,
                "loss.backward()\n        optimizer.zero_grad()\n        optimizer.step()",
            ),
        ),
        loops.NO_ZERO_GRAD,
        *loops.with_accuracy(loops.LAST_BATCH_ONLY, "total_correct +=", "total_correct ="),
        *loops.with_accuracy(loops.SUM_OF_MEANS_OVER_EXAMPLES, *_MEAN_OF_BATCH),
        *loops.with_accuracy(loops.UNWEIGHTED_MEAN, *_MEAN_TIMES_SIZE),
        loops.LOSS_TWICE,
        loops.ACCURACY_TWICE,
        loops.SWAPPED_RETURN,
        loops.ACCURACY_IN_PERCENT,
        Mistake(
            "accuracy-after-step",
            "The accuracy was computed after the step, from logits of the parameters that had "
            "just learnt this batch. The loss is that of the parameters before.",
            "Which forward pass do the loss and the accuracy of a batch come from?",
            "Compute the accuracy from the logits that the loss was computed from.",
            variants=tuple({"after_step": again} for again in _AGAIN),
            finding=loops.WITH_BATCHES,
            slip=("logits.argmax(dim=1)", "model(images).argmax(dim=1)"),
        ),
        Mistake(
            "accuracy-after-step",
            "The loss and the accuracy were computed after the step, from logits of the parameters "
            "that had just learnt this batch.",
            "Which forward pass do the loss and the accuracy of a batch come from?",
            "Compute both from the logits on which the step is based.",
            variants=tuple({"after_step": again, "loss_too": True} for again in _AGAIN),
            finding=loops.WITH_BATCHES,
        ),
        Mistake(
            "wrong",
            "The accuracy is that of the network at the end of the epoch. A running value scores "
            "each batch before its step.",
            "Which parameters gave the answers that you count?",
            "Compute the accuracy inside the loop, from the logits that the loss was computed "
            "from.",
            variants=tuple({"at_the_end": again} for again in _AGAIN),
            finding=loops.WITH_BATCHES,
        ),
        replace(
            loops.ACCURACY_BROADCAST,
            variants=tuple(
                {**variant, **after}
                for variant in loops.ACCURACY_BROADCAST.variants
                for after in ({}, *({"after_step": again} for again in _AGAIN))
            ),
        ),
        replace(loops.DIVIDES_BY_LAST_INDEX, id="wrong"),
        replace(loops.RUNNING_MEAN, id="wrong"),
        replace(loops.TOP_TWO, id="wrong"),
        loops.TOP_FEW,
        loops.ERROR_RATE,
        *loops.with_accuracy(loops.NOT_AVERAGED, "total_correct / total_count", "total_correct"),
        replace(loops.SOFTMAX_BEFORE_LOSS, id="wrong"),
        loops.OTHER_CRITERION,
        Mistake(
            "no-step",
            "The optimizer took fewer steps than there are batches.",
            "Which lines run once per batch, and which once at the end?",
            "`optimizer.step()` belongs inside the loop, once per batch.",
            detect=loops.in_log(_stepped_once),
        ),
        loops.LEAVES_OUT_BATCHES,
        loops.ACCURACY_ONLY,
    ),
    hints=(
        "Switch to train mode; then, for each batch: clear, forward, score, backward, step, and "
        "add up.",
        "Each batch's loss is a mean: multiply it by the batch's size before you add it up, and "
        "divide by the number of all examples at the end.",
    ),
)


def _evaluate(
    model,
    loader,
    criterion,
    *,
    mode=loops.eval_mode,
    batches=identity,
    squash=identity,
    score=None,
    right_share=loops.share_right,
):
    """Evaluate a model. Each keyword argument is a part that a mistake can replace."""
    import torch

    mode(model)
    losses, shares, sizes = [], [], []
    with torch.no_grad():
        for images, labels in batches(loader):
            logits = model(images)
            losses.append(float((score or criterion)(squash(logits), labels)))
            shares.append(right_share(logits, labels))
            sizes.append(len(labels))
    return losses, shares, sizes


def _in_any_log(condition):
    """Make a `detect` from a condition on the log of a trial, even if its numbers are right."""

    def detect(observations):
        logs = [observation.log for observation in observations]
        return any(log is not None and not log.raised and condition(log) for log in logs)

    return detect


def _all_right_but(condition):
    """Make a `detect` from a condition on the logs of trials that are right."""

    def detect(observations):
        flawless = not any(o.wrong or o.problem or o.changed for o in observations)
        return flawless and any(condition(observation.log) for observation in observations)

    return detect


def _computes_gradients(log):
    return log.events("backward")


def _tracks_gradients(log):
    return any(tracked for _, _, tracked, _ in log.events("forward"))


def _was_in_train_mode(log):
    return any(event[1] is not False for event in log.events("forward"))


_right_evaluation, _try_evaluation = loops.averaged(_evaluate, "try_evaluation")


def _freezes_parameters(observations):
    return any(o.wrong == ["the number of trainable parameters"] for o in observations)


evaluate = Exercise(
    name="evaluate",
    day=32,
    signature="evaluate(model, loader, criterion)",
    task="scores a model without changing it and returns (loss, accuracy), averaged over the "
    "examples",
    right=_right_evaluation,
    outputs=("the loss", "the accuracy"),
    probes=_loop_probes,
    trial=_try_evaluation,
    max_simultaneous=1,
    mistakes=(
        Mistake(
            "trains",
            "An evaluation that moves the parameters learns from the images "
            "that should only test the model.",
            "Compare a parameter before and after the call. Which line moved it?",
            "An evaluation has no `backward()`, no step and no optimizer.",
            detect=_in_any_log(lambda log: any(log.moved)),
            finding="After the call, the model's parameters have changed.",
        ),
        Mistake(
            "not-eval-mode",
            "The model was in train mode while it was scored: dropout was on, and batch norm used "
            "this batch's statistics.",
            "Would the same images get the same logits if you evaluated twice?",
            "Switch with `model.eval()`, with its parentheses, before the loop.",
            variants=({"mode": none},),
            detect=loops.in_log(_was_in_train_mode),
            slip=("model.eval()", "model.eval"),
        ),
        *loops.with_accuracy(loops.LAST_BATCH_ONLY, "total_correct +=", "total_correct ="),
        replace(loops.FIRST_BATCH_ONLY, id="wrong"),
        *loops.with_accuracy(loops.SUM_OF_MEANS_OVER_EXAMPLES, *_MEAN_OF_BATCH),
        *loops.with_accuracy(loops.UNWEIGHTED_MEAN, *_MEAN_TIMES_SIZE),
        loops.LOSS_TWICE,
        loops.ACCURACY_TWICE,
        loops.SWAPPED_RETURN,
        loops.ACCURACY_IN_PERCENT,
        loops.DIVIDES_BY_LAST_INDEX,
        loops.RUNNING_MEAN,
        loops.TOP_TWO,
        loops.TOP_FEW,
        loops.ERROR_RATE,
        replace(loops.ACCURACY_BROADCAST, id="wrong"),
        *loops.with_accuracy(loops.NOT_AVERAGED, "total_correct / total_count", "total_correct"),
        replace(loops.SOFTMAX_BEFORE_LOSS, id="wrong"),
        loops.OTHER_CRITERION,
        loops.LEAVES_OUT_BATCHES,
        loops.ACCURACY_ONLY,
        Mistake(
            "tracks-gradients",
            "A backward pass belongs to training. No step followed, but the gradients stay in "
            "`.grad`, and the next training adds its own to them.",
            "Which line of an evaluation needs a gradient?",
            "Leave out `backward()`, and put the loop under `torch.no_grad()`.",
            detect=_in_any_log(_computes_gradients),
            finding="Your evaluation computes gradients: there is a backward pass in it.",
        ),
        Mistake(
            "tracks-gradients",
            "Autograd recorded the forward pass for a backward pass that never comes. The numbers "
            "are right, but time and memory are wasted.",
            "Does the output of the model, inside your loop, require a gradient?",
            "Put the loop under `torch.no_grad()`. `model.eval()` does not do that.",
            detect=_in_any_log(_tracks_gradients),
            finding="The logits that the model returned still require a gradient.",
            slip=("@torch.no_grad()", "@torch.enable_grad()"),
        ),
        Mistake(
            "wrong",
            "After the call, some parameters no longer require a gradient, and will never be "
            "trained again.",
            "What did your function change in the model, and did it change it back?",
            "`torch.no_grad()` stops the recording without touching the parameters.",
            detect=_freezes_parameters,
            slip=("model.eval()", "model.eval().requires_grad_(False)"),
        ),
        Mistake(
            "wrong",
            "The answer is accepted, but the next training fails. Use `torch.no_grad()` in a "
            "`with`, or as a decorator, so that it ends with your function.",
            "Until when does `torch.set_grad_enabled(False)` hold?",
            "Use `torch.no_grad()` in a `with`, or as a decorator, so that it ends with your "
            "function.",
            detect=_all_right_but(lambda log: not log.records_after),
            finding="After your function, autograd no longer records.",
            forgiven=True,
        ),
        Mistake(
            "leaves-eval-mode",
            "That is conventional and accepted: `train_one_epoch` switches back. If you write "
            "your own loop, remember `model.train()`.",
            "In which mode is the model after your function?",
            "Remember `model.training` at the start, and restore it at the end.",
            detect=_all_right_but(lambda log: not log.train_mode_after),
            finding="Your function leaves the model in eval mode.",
            forgiven=True,
        ),
    ),
    hints=(
        "Switch to eval mode and stop autograd from recording; then, for each batch: forward, "
        "score, add up.",
        "`model.eval()` and `torch.no_grad()`; each batch's mean loss times its size, divided by "
        "the number of all examples at the end.",
    ),
)


def _split(n, val_ratio, seed):
    shuffled = np.random.default_rng(seed).permutation(n)
    n_val = round(n * val_ratio)
    return shuffled[n_val:], shuffled[:n_val]


# The outputs of a trial: what is counted, and what is 1 for yes and 0 for no.
_IN_BOTH_PARTS = "the number of indices that are in both parts"
_IN_NO_PART = "the number of indices that are in neither part"
_OUT_OF_RANGE = "the number of indices below 0 or above n − 1"
_REPEATED = "the number of indices that are repeated in the same part"
_TOO_MANY = "the number of validation indices beyond n · val_ratio"
_TOO_FEW = "the number of validation indices short of n · val_ratio"
_SHUFFLED = "whether the samples are shuffled (1 for yes)"
_REPRODUCIBLE = "whether the same seed gives the same split (1 for yes)"
_USES_SEED = "whether a different seed gives a different split (1 for yes)"


def _read_parts(value):
    """Return ((train, val) as arrays, None), or (None, the problem with them)."""
    if not isinstance(value, (list, tuple)):
        text = f"It returned {kind(value)}, where (train_idx, val_idx) was expected."
        return None, Problem("wrong-type", text)
    if len(value) != 2:
        text = f"It returned {len(value)} values, where two were expected: train_idx and val_idx."
        return None, Problem("wrong-shape", text)
    parts = []
    for name, part in zip(("train_idx", "val_idx"), value, strict=True):
        if part is None or part is Ellipsis:
            return None, Problem("not-attempted", f"`{name}` is still empty.")
        numbers = as_numbers(part)
        if numbers is None or numbers.ndim == 0:
            text = f"`{name}` is {kind(part)}, where an array of indices was expected."
            return None, Problem("wrong-type", text)
        if not np.isfinite(numbers).all():
            return None, Problem("not-finite", f"`{name}` contains numbers that are not finite.")
        if numbers.ndim != 1:
            text = f"`{name}` has shape {numbers.shape}, where one row of indices was expected."
            return None, Problem("wrong-shape", text)
        dtype = str(part.dtype if hasattr(part, "dtype") else np.asarray(part).dtype)
        if "int" not in dtype:
            text = f"`{name}` contains {dtype} numbers, where indices (integers) were expected."
            if "bool" in dtype:
                text = f"`{name}` is a mask. The indices where it is true were expected."
            return None, Problem("wrong-type", text)
        parts.append(numbers)
    return parts, None


def _evenly_spaced(indices):
    return len(indices) > 3 and len(set(np.diff(np.sort(indices)))) <= 1


def _try_split(function, n, val_ratio, seed, other):
    """Split three times: with a seed, with another one, and with the first again."""
    splits = []
    for each in (seed, other, seed):
        value = function(n, val_ratio, each)
        if value is None or value is Ellipsis:
            return TrialRun(value)
        parts, problem = _read_parts(value)
        if problem:
            return TrialRun(problem=problem)
        splits.append(parts)
    (train, val), (_, other_val), (train_again, val_again) = splits
    valid = set(range(n))
    least, most = np.floor(n * val_ratio + 1e-9), np.ceil(n * val_ratio - 1e-9)
    same = np.array_equal(train, train_again) and np.array_equal(val, val_again)
    # If a part is empty, the other one has all indices, and nothing shows an order.
    shuffled = not all(
        len(val) and len(train) and (_evenly_spaced(train) or _evenly_spaced(val))
        for train, val in splits
    )
    observed = {
        _IN_BOTH_PARTS: len(set(train) & set(val)),
        _IN_NO_PART: len(valid - set(train) - set(val)),
        _OUT_OF_RANGE: len((set(train) | set(val)) - valid),
        _REPEATED: len(train) - len(set(train)) + len(val) - len(set(val)),
        _TOO_MANY: max(0, len(val) - most),
        _TOO_FEW: max(0, least - len(val)),
        _SHUFFLED: shuffled,
        _REPRODUCIBLE: same,
        _USES_SEED: set(val) != set(other_val),
    }
    observed = {name: float(number) for name, number in observed.items()}
    swapped = least <= len(train) <= most and not least <= len(val) <= most
    out = sorted((set(train) | set(val)) - valid)
    log = {
        "n_train": len(train),
        "n_val": len(val),
        "swapped": swapped,
        "share": f"{n * val_ratio:g}",
        "out": f"{out[-1]:.0f}" if out else "",
        "last": n - 1,
    }
    return TrialRun((), observed, log)


def _reports(name, value=None, also=None):
    """Make a `detect`: this output (and `also`) has that value; without a value, it is not 0."""

    def detect(observations):
        for observation in observations:
            got = observation.outputs.get(name)
            if got is None or (also and not observation.outputs[also]):
                continue
            if got == value if value is not None else got > 0:
                count = f"{int(got)} {'index is' if got == 1 else 'indices are'}"
                return {"count": count, **observation.probe.context, **observation.log}
        return None

    return detect


def _sizes_swapped(observations):
    logs = [observation.log for observation in observations]
    if not all(log and log["swapped"] for log in logs):
        return None
    return {**observations[0].probe.context, **logs[0]}


def _one_part_empty(observations):
    """Return the sizes if one part is empty and the other contains every index once."""
    for observation in observations:
        log, got = observation.log, observation.outputs
        if log and 0 in (log["n_train"], log["n_val"]) and not got[_IN_NO_PART]:
            empty = "val_idx" if log["n_val"] == 0 else "train_idx"
            return {"empty": empty, **observation.probe.context, **log}
    return None


def _split_probes():
    for n, val_ratio, seed, other in ((61, 0.2, 42, 7), (50, 0.1, 0, 1), (40, 0.25, 3, 12345)):
        yield Probe((n, val_ratio, seed, other), {"n": n, "val_ratio": val_ratio, "seed": seed})


_PART_SIZES = (
    "With n = {n} and val_ratio = {val_ratio}, `train_idx` has {n_train} indices and `val_idx` "
    "has {n_val}"
)

_OUTSIDE = Mistake(
    "wrong",
    "The indices of n samples are 0 to n − 1, as in every array.",
    "What is the first index of an array, and what is the last one of an array of n?",
    "`permutation(n)` contains each index from 0 to n − 1 once.",
    detect=_reports(_OUT_OF_RANGE),
    finding="With n = {n}, index {out} does not exist: the indices are 0 to {last}.",
    slip=("permutation(n)", "permutation(n) + 1"),
)

split = Exercise(
    name="split",
    day=32,
    signature="split(n, val_ratio, seed)",
    task="splits the indices 0 … n − 1 at random into (train_idx, val_idx), the same way for the "
    "same seed",
    right=_split,
    outputs=("the split",),
    probes=_split_probes,
    trial=_try_split,
    mistakes=(
        Mistake(
            "wrong",
            "One part got everything, so there is nothing left for the other.",
            "What number do n and `val_ratio` give for the size of the validation part in your "
            "function, and which number should it be?",
            "The size of the validation part is n · val_ratio as a whole number; the rest belongs to "
            "the training part.",
            detect=_one_part_empty,
            finding="With n = {n} and val_ratio = {val_ratio}, `{empty}` is empty; n · val_ratio is "
            "{share}.",
            slip=("round(n * val_ratio)", "round(n * val_ratio / 100)"),
        ),
        replace(_OUTSIDE, id="drops-samples", detect=_reports(_OUT_OF_RANGE, also=_IN_NO_PART)),
        replace(_OUTSIDE, slip=()),
        Mistake(
            "swapped",
            "The two parts were returned in the wrong order, or the ratio was applied to the "
            "other part.",
            "Which part should be the larger one, and which do you return first?",
            "`val_ratio` is the share of the second part, the validation set.",
            detect=_sizes_swapped,
            finding=_PART_SIZES + ".",
            slip=("shuffled[n_val:], shuffled[:n_val]", "shuffled[:n_val], shuffled[n_val:]"),
        ),
        Mistake(
            "overlap",
            "An image that is in both parts is trained on and then used for validation: the "
            "validation accuracy comes out too good.",
            "Can one index end up in both of your parts?",
            "Shuffle all indices once, then cut the array in two: everything before the cut, "
            "and everything from it on.",
            detect=_reports(_IN_BOTH_PARTS),
            finding="With n = {n}, {count} in both parts.",
            slip=("shuffled[n_val:]", "shuffled[n_val - 1 :]"),
        ),
        Mistake(
            "drops-samples",
            "Some samples are in neither part: they are never used.",
            "Do the lengths of your two parts add up to n, and is every index there?",
            "Compute one of the two sizes, and put all the rest into the other part.",
            detect=_reports(_IN_NO_PART),
            finding="With n = {n}, {count} in neither part.",
            slip=("shuffled[n_val:]", "shuffled[n_val + 1 :]"),
        ),
        Mistake(
            "not-reproducible",
            "The same seed gave two different splits. After a restart, images that were trained "
            "on may be in the validation set.",
            "Where do your random numbers come from, and how was that generator seeded?",
            "Make a generator from `seed` inside the function, and draw only from it.",
            detect=_reports(_REPRODUCIBLE, 0),
            finding="Called twice with seed = {seed}, your function gave two different splits.",
            slip=("default_rng(seed)", "default_rng()"),
        ),
        Mistake(
            "not-shuffled",
            "The samples were split in their original order. Data is often sorted, by class or by "
            "date, and then one part contains examples unlike any in the other.",
            "If the first half of the data were all zeros and ones, what would your parts contain?",
            "Put the indices into a random order before you cut.",
            detect=_reports(_SHUFFLED, 0),
            finding=_PART_SIZES + "; one of them is a run of neighbours or evenly spaced.",
            slip=("np.random.default_rng(seed).permutation(n)", "np.arange(n)"),
        ),
        Mistake(
            "ignores-seed",
            "Every seed gives the same split, so you cannot measure how much a result depends on "
            "the luck of one split.",
            "Where do you use `seed`?",
            "Seed the generator with the argument, not with a number of your own.",
            detect=_reports(_USES_SEED, 0),
            finding="With a different seed, your function gave the same split.",
            slip=("default_rng(seed)", "default_rng(42)"),
        ),
        Mistake(
            "wrong",
            "An index that is repeated in one part counts twice.",
            "Can your function draw the same index more than once?",
            "Shuffle all indices once, then cut the array in two.",
            detect=_reports(_REPEATED),
            finding="With n = {n}, {count} repeated in the same part.",
        ),
        Mistake(
            "wrong",
            "The validation part should contain n · val_ratio of the samples, rounded up or down.",
            "How many samples is that share of n, and how many did you take?",
            "Compute the size of the validation part from n and `val_ratio`, and put all the "
            "rest into the training part.",
            detect=lambda observations: (
                _reports(_TOO_MANY)(observations) or _reports(_TOO_FEW)(observations)
            ),
            finding=_PART_SIZES + ".",
            slip=("round(n * val_ratio)", "round(n * val_ratio) + 1"),
        ),
    ),
    hints=(
        "First a random order of all indices, from a generator that is seeded with `seed`; then one "
        "cut.",
        "`np.random.default_rng(seed).permutation(n)`, and the size of the validation part is "
        "n · val_ratio, rounded.",
    ),
)


def _of_train(x, train, test):
    return train


def _own(x, train, test):
    return x


def _of_both(x, train, test):
    return np.concatenate([train, test])


_image_mean, _image_std = (
    partial(statistic, axis=(1, 2), keepdims=True) for statistic in (np.mean, np.std)
)
_pixel_mean, _pixel_std = (partial(statistic, axis=0) for statistic in (np.mean, np.std))


def _subtract_bytes(rounded):
    """Subtract as uint8 does, where 3 − 5 is 254."""
    return lambda x, mean: (np.uint8(x) - np.uint8(rounded(mean))).astype(float)


def _normalize(
    train,
    test,
    *,
    unit=255,
    test_unit=None,
    test_mean=None,
    test_std=None,
    statistics_unit=None,
    read=identity,
    center=_of_train,
    spread=_of_train,
    mean=np.mean,
    std=np.std,
    power=identity,
    subtract=np.subtract,
    again=False,
):
    """Normalise both sets. Each keyword argument is a part that a mistake can replace."""
    train, test = read(train) / unit, read(test) / (test_unit or unit)
    scale = unit / (statistics_unit or unit)

    def normalized(x, mean, std):
        shifted = subtract(x, scale * mean(center(x, train, test)))
        return shifted / power(scale * std(spread(x, train, test)))

    new_train = normalized(train, mean, std)
    if again:  # the statistics of a training set that is normalised already
        train = new_train
    return new_train, normalized(test, test_mean or mean, test_std or std)


def _try_normalize(function, train, test):
    """Normalise bytes, and log the result for the same numbers as floats."""
    if getattr(function, "func", None) is _normalize:
        return function(train, test)  # one of the mistaken variants, of which there are many
    floats = train.astype(float), test.astype(float)
    before = copy.deepcopy(floats)
    value = function(train, test)
    try:
        as_floats = function(*floats)
    except Exception:
        as_floats = None
    remark = ""
    if largest_change(before, floats):
        remark = (
            "These images are bytes, which your function converts. Images that are floats already "
            "would be changed in place: use `astype`, which copies."
        )
    return TrialRun(value, log=as_floats, remark=remark)


def _normalize_probes():
    rng = np.random.default_rng(32)

    def digits(n, ink, share, least, most):
        """Images with a uniform background, each with its own brightness."""
        strength = rng.uniform(0.5, 1, size=(n, 1, 1)) * ink
        inked = rng.random((n, 28, 28)) < share * rng.uniform(0.7, 1.3, size=(n, 1, 1))
        pixels = inked * strength * rng.uniform(0.6, 1, size=(n, 28, 28))
        pixels = np.clip(pixels, least, most)
        pixels[0, 0, :2] = least, most
        return pixels.astype(np.uint8)

    # The second images have no pixel of 0 or 255, and so much ink that their median is ink.
    for n, m, share, least, most in ((12, 5, 0.2, 0, 255), (8, 8, 0.6, 10, 240)):
        train, test = digits(n, 255, share, least, most), digits(m, 180, 0.35, least, most)
        yield Probe((train, test), {"N": n, "M": m}, accept=_nearly)


def _nearly(got, wanted):
    """Return whether these agree; the deviation may use N or N − 1, and an epsilon.

    Where a mistake divides by 0, anything may come out: it depends on the epsilon.
    """

    def agree(got, wanted):
        known = np.isfinite(wanted)
        if known.mean() < 0.5:  # too little is left to compare
            return False
        scale = min(1, np.abs(wanted[known]).max(initial=0))
        return np.allclose(got[known], wanted[known], rtol=1e-3, atol=1e-3 * scale)

    # Most comparisons with a mistake are settled by the first image, which is 20 times faster.
    return agree(got[0], wanted[0]) and agree(got, wanted)


def _on_a_line(condition):
    """Make a `detect` from a condition on lines, new = slope · old + offset.

    It gets the slopes, the offsets, and the means, minima and maxima of the new images: one of each
    per probe, and each probe has other statistics.
    """

    def detect(observations):
        lines = []
        for observation in observations:
            old, new = observation.probe.args[0].astype(float), observation.outputs.get("train")
            if new is None or new.shape != old.shape or not np.isfinite(new).all():
                return False
            slope, offset = np.polyfit(old.ravel(), new.ravel(), 1)
            if slope <= 0 or np.abs(slope * old + offset - new).max() > 1e-4 * np.abs(new).max():
                return False
            lines.append((slope, offset, new.mean(), new.min(), new.max()))
        return bool(condition(*np.transpose(lines)))

    return detect


def _without_offset(slopes, offsets, *_):
    return (abs(offsets) < 1e-4 * slopes).all()


def _are(slopes, *units):
    """Return whether all slopes are 1 / unit, for one of these units."""
    return any(abs(unit * slopes - 1).max() < 1e-4 for unit in units)


def _only_divided(slopes, offsets, means, least, most):
    """Return whether the images were divided by 255, or by their largest pixel."""
    return _without_offset(slopes, offsets) and (_are(slopes, 255, 256) or _are(most, 1))


def _same(numbers):
    return np.ptp(numbers) <= 1e-4 * np.abs(numbers).max()


def _overflowed(observations):
    """Return whether the result is nearly right for float images, and far off for bytes."""

    def nearly_right(values, right):
        pairs = list(zip(map(as_numbers, values), right.values(), strict=True))
        return all(
            got is not None and got.shape == wanted.shape and np.abs(got - wanted).max() < 0.05
            for got, wanted in pairs
        )

    for observation in observations:
        as_floats, as_bytes = observation.log, list(observation.outputs.values())
        if (
            observation.wrong
            and isinstance(as_floats, (list, tuple))
            and len(as_floats) == len(as_bytes) == 2
            and nearly_right(as_floats, observation.right)
            and not nearly_right(as_bytes, observation.right)
        ):
            return True
    return False


def _are_whole_numbers(observations):
    pairs = [(got, o.right[name]) for o in observations if o.wrong
             for name, got in o.outputs.items() if name in o.right]  # fmt: skip
    if any(o.changed for o in observations):
        return False  # the bytes that took the result are the caller's
    return bool(pairs) and all(
        got.shape == right.shape and (got == np.round(got)).all() for got, right in pairs
    )


def _everywhere(**steps):
    """Variants that take wrong statistics: mean and deviation, or only one of them."""
    return tuple(
        {name: steps[name] for name in names if name in steps}
        for names in (steps, ("center", "mean"), ("spread", "std"))
    )


_TEST_STATISTICS = Mistake(
    "test-statistics",
    "The test set was normalised by its own statistics. Its scale then differs from that of the "
    "training set, and a single image could not be normalised at all.",
    "When a single new image arrives, which mean do you subtract?",
    "Compute mean and deviation once, on the training set, and use them for both.",
    variants=({"center": _own, "spread": _own},),
    finding=SOME_RIGHT,
    slip=("(test - mean) / std", "(test - test.mean()) / test.std()"),
)
_ONE_SET_SCALED = Mistake(
    "wrong",
    "`test` was normalised on another scale than `train`: one was divided by 255, the other was not.",
    "What is the largest pixel of each set at the moment when you subtract the mean?",
    "Do the same steps, in the same order, to both.",
    finding=SOME_RIGHT,
)

normalize = Exercise(
    name="normalize",
    day=32,
    signature="normalize(train, test)",
    task="normalises images to mean 0 and standard deviation 1 with the statistics of the training "
    "set, and returns (train, test)",
    right=_normalize,
    outputs=("train", "test"),
    probes=_normalize_probes,
    trial=_try_normalize,
    matches=_nearly,
    mistakes=(
        _TEST_STATISTICS,
        replace(
            _TEST_STATISTICS,
            explanation="The test set was divided by the deviation of the training set, but its own "
            "mean was subtracted. The two sets then have different zeros.",
            variants=({"center": _own},),
            slip=("(test - mean) / std", "(test - test.mean()) / std"),
        ),
        replace(
            _TEST_STATISTICS,
            explanation="The mean of the training set was subtracted from the test set, but the test "
            "set was divided by its own deviation. The two sets then have different scales.",
            question="When a single new image arrives, which deviation do you divide by?",
            variants=({"spread": _own},),
            slip=("(test - mean) / std", "(test - mean) / test.std()"),
        ),
        replace(
            _ONE_SET_SCALED,
            variants=({"test_unit": 1},),
            slip=("train / 255, test / 255", "train / 255, test"),
        ),
        replace(
            _ONE_SET_SCALED,
            variants=({"unit": 1, "test_unit": 255},),
            slip=("train / 255, test / 255", "train.astype(float), test / 255"),
        ),
        Mistake(
            "wrong",
            "The images and the statistics are on different scales: one is on 0–255, the other on "
            "0–1.",
            "Is the mean that you subtract between the smallest and the largest pixel of the images "
            "at that moment?",
            "Divide by 255 first, then take mean and deviation, or do not divide by 255 at all.",
            variants=({"unit": 1, "statistics_unit": 255},),
            finding="{agreement}: {where} is {got}, where {expected} was expected. Your mean and std "
            "are on 0–1, the images on 0–255.",
        ),
        Mistake(
            "wrong",
            "The statistics were taken before the division by 255, and then used after it.",
            "Is the mean that you subtract between the smallest and the largest pixel of the images "
            "at that moment?",
            "Divide by 255 first, then take mean and deviation, or do not divide by 255 at all.",
            variants=({"statistics_unit": 1},),
            finding="{agreement}: {where} is {got}, where {expected} was expected. Your mean and std "
            "are on 0–255, the images on 0–1.",
        ),
        Mistake(
            "no-scaling",
            "`train` is right; `test` is not: the mean was subtracted from the test images, but they "
            "were not divided by the deviation of the training set.",
            "Do both sets go through the same two steps?",
            "Divide `test` by the same `std` as `train`.",
            variants=({"test_std": one}, {"test_std": one, "unit": 1}),
            slip=("(test - mean) / std", "test - mean"),
        ),
        Mistake(
            "no-centering",
            "`train` is right; `test` is not: the test images were divided by the deviation of the "
            "training set, but no mean was subtracted from them.",
            "Do both sets go through the same two steps?",
            "Subtract the same `mean` from `test` as from `train`.",
            variants=({"test_mean": zero},),
            slip=("(test - mean) / std", "test / std"),
        ),
        Mistake(
            "joint-statistics",
            "The statistics were taken over both sets together, so the test images have leaked "
            "into the training data.",
            "Would the training images change if the test set did? Should they?",
            "Compute mean and deviation on the training set only.",
            variants=_everywhere(center=_of_both, spread=_of_both),
            slip=(
                "train.mean(), train.std()",
                "np.r_[train, test].mean(), np.r_[train, test].std()",
            ),
        ),
        Mistake(
            "wrong",
            "The test images were returned unchanged, or only divided by 255. Either nothing was "
            "done to them, or the statistics were taken after the training set was normalised: "
            "mean 0 and deviation 1 change nothing.",
            "When you normalise the test set, what does `train` contain?",
            "Keep mean and deviation in variables before you change anything.",
            variants=({"again": True}, {"again": True, "unit": 1}),
            finding=SOME_RIGHT,
            slip=(
                "return (train - mean) / std, (test - mean) / std",
                "train = (train - mean) / std; return train, (test - train.mean()) / train.std()",
            ),
        ),
        Mistake(
            "only-divides",
            "This is a division by 255, or by the largest pixel, and no more. The images are between "
            "0 and 1, but their mean is not 0 and their standard deviation is not 1.",
            "What are the mean and the standard deviation of what you return for the training set?",
            "Subtract the mean of the training set, then divide by its standard deviation.",
            variants=({"mean": zero, "std": one},),
            detect=_on_a_line(_only_divided),
            slip=("(train - mean) / std, (test - mean) / std", "train, test"),
        ),
        Mistake(
            "no-centering",
            "The mean of the training images is not 0: no mean was subtracted.",
            "What is the mean of what you return for the training set?",
            "Subtract the mean before you divide.",
            variants=({"mean": zero}, {"mean": zero, "std": one, "unit": 1}),
            detect=_on_a_line(_without_offset),
            slip=("(train - mean) / std, (test - mean) / std", "train / std, test / std"),
        ),
        Mistake(
            "no-scaling",
            "The standard deviation of the training images is not 1: the mean was subtracted, but "
            "nothing was divided by the deviation.",
            "What is the standard deviation of what you return for the training set?",
            "Divide by the standard deviation after you subtract the mean.",
            variants=({"std": one}, {"std": one, "unit": 1}),
            detect=_on_a_line(
                lambda slopes, _, means, *__: _are(slopes, 1, 255) and abs(means).max() < 1e-4
            ),
            finding="{first} The standard deviation of your {output} is {std}.",
            slip=("(train - mean) / std, (test - mean) / std", "train - mean, test - mean"),
        ),
        Mistake(
            "variance-not-std",
            "The images were divided by the variance instead of its square root, the standard "
            "deviation.",
            "Which of the two has the unit of a pixel: the variance, or its square root?",
            "Divide by the standard deviation.",
            variants=({"power": np.square}, {"power": np.square, "unit": 1}),
            slip=("train.std()", "train.var()"),
        ),
        Mistake(
            "per-image",
            "Every image was normalised by its own statistics: a faint digit and a bold one come "
            "out the same, and the information in their brightness is lost.",
            "How many means do you compute: one, or one per image?",
            "A mean without an axis, over the entire training set, is one number.",
            variants=_everywhere(center=_own, spread=_own, mean=_image_mean, std=_image_std),
            slip=(
                "return (train - mean) / std, (test - mean) / std",
                "return [(x - x.mean((1, 2), keepdims=True)) / x.std((1, 2), keepdims=True) "
                "for x in (train, test)]",
            ),
        ),
        Mistake(
            "integer-overflow",
            "The images are bytes, and bytes cannot go below 0 or above 255: 3 − 5 is 254, and "
            "16 · 16 is 0. The same steps on floats give the right numbers, or nearly.",
            "What is the `dtype` of the images when you begin to compute, and of the array that "
            "takes the result?",
            "Convert the images to floating point first, then subtract, square or divide.",
            variants=(
                {"unit": 1, "subtract": _subtract_bytes(np.floor)},
                {"unit": 1, "subtract": _subtract_bytes(np.round)},
                {"read": lambda x: x.astype(np.int8)},
            ),
            detect=_overflowed,
            slip=("train / 255, test / 255", "(x - np.uint8(train.mean()) for x in (train, test))"),
        ),
        Mistake(
            "per-pixel",
            "Every pixel position was normalised by its own statistics, instead of one mean and "
            "one deviation for all. A pixel that is always black has deviation 0.",
            "How many means do you compute: one, or one per pixel?",
            "A mean without an axis, over the entire training set, is one number.",
            variants=(
                *both_or_one(mean=_pixel_mean, std=_pixel_std),
                *both_or_one(mean=_pixel_mean, std=partial(_pixel_std, ddof=1))[::2],
                {"mean": _pixel_mean, "spread": lambda x, train, test: train - train.mean(axis=0)},
            ),
            slip=(
                "train.mean(), train.std()",
                "train.mean(axis=0), train.std(axis=0) + 1e-8",
            ),
        ),
        Mistake(
            "typed-constants",
            "The same constants were used whatever the images are, such as the 0.1307 and 0.3081 of "
            "many tutorials. Those are the statistics of all of MNIST, and these images are different.",
            "Would your function bring images that are twice as dark to mean 0 and deviation 1?",
            "Compute both numbers from the training set that is passed in.",
            variants=(
                *both_or_one(mean=lambda x: 0.1307, std=lambda x: 0.3081),
                {"mean": lambda x: 0.1307, "std": lambda x: 0.3081, "unit": 1},
            ),
            detect=_on_a_line(lambda slopes, offsets, *_: _same(slopes) and _same(offsets)),
            slip=("train.mean(), train.std()", "0.1307, 0.3081"),
        ),
        Mistake(
            "wrong",
            "The images were scaled to a range: from their smallest and largest pixel to two fixed "
            "numbers. That depends on two pixels alone, and gives neither mean 0 nor deviation 1.",
            "What are the mean and the standard deviation of what you return for the training set?",
            "Subtract the mean of the training set, then divide by its standard deviation.",
            detect=_on_a_line(lambda slopes, offsets, _, least, most: _same(least) and _same(most)),
            slip=("train.mean(), train.std()", "train.min(), train.max() - train.min()"),
        ),
        Mistake(
            "wrong",
            "Only the mean was divided by the standard deviation: a division comes before a "
            "subtraction.",
            "In which order does Python compute `a - b / c`?",
            "Put the subtraction in brackets.",
            variants=tuple(
                {"mean": lambda x: x.mean() / x.std(), "std": one, "unit": unit}
                for unit in (1, 255)
            ),
            slip=(
                "(train - mean) / std, (test - mean) / std",
                "train - mean / std, test - mean / std",
            ),
        ),
        Mistake(
            "wrong",
            "The fractions are lost: the results were truncated to whole numbers.",
            "What is the `dtype` of your return value?",
            "Return floating-point arrays.",
            detect=_are_whole_numbers,
            slip=(
                "(train - mean) / std, (test - mean) / std",
                "((train - mean) / std).astype(int), ((test - mean) / std).astype(int)",
            ),
        ),
    ),
    hints=(
        "Two numbers, computed from the training set only, are used for both sets.",
        "Convert to float, subtract the mean of `train`, divide by the standard deviation of "
        "`train`.",
    ),
)


def _wilson(
    share, n, z, *, centre=True, root=np.sqrt, shrink=True, factor=True, half_n=None, quarter_n=None
):
    widened = 1 + z**2 / n if factor else 1.0
    middle = share + z**2 / (2 * n) if half_n is None else share + half_n(n, z)
    middle = middle / widened if centre else share
    term = z**2 / (4 * n**2) if quarter_n is None else quarter_n(n, z)
    half = z * root(share * (1 - share) / n + term)
    half = half / widened if shrink else half
    return middle, half


def _term_outside_the_root(share, n, z):
    middle, _ = _wilson(share, n, z)
    half = z * np.sqrt(share * (1 - share) / n) + z**2 / (4 * n**2)
    return middle, half / (1 + z**2 / n)


_PRECEDENCE = {"half_n": lambda n, z: z**2 / 2 * n, "quarter_n": lambda n, z: z**2 / 4 * n**2}


def _wald(share, n, z):
    return share, z * np.sqrt(share * (1 - share) / n)


def _agresti_coull(share, n, z):
    middle, _ = _wilson(share, n, z)
    return middle, z * np.sqrt(middle * (1 - middle) / (n + z**2))


def _between(middle, half):
    return middle - half, middle + half


def _clipped(middle, half):
    return tuple(np.clip(_between(middle, half), 0, 1))


def _accuracy_interval(
    hits, n, *, method=_wilson, z=1.959963984540054, size=identity, ends=_between, finish=identity
):
    return finish(ends(*method(hits / n, size(n), z)))


def _interval_probes():
    for hits, n in ((47, 60), (3, 12), (0, 20), (25, 25), (970, 1000)):
        yield Probe((hits, n), {"hits": hits, "n": n})


def _in_percent(interval):
    return tuple(100 * end for end in interval)


accuracy_interval = Exercise(
    name="accuracy_interval",
    day=32,
    signature="accuracy_interval(hits, n)",
    task="returns (low, high), the ends of Wilson's 95 % interval for `hits` right answers to `n` "
    "images",
    right=_accuracy_interval,
    outputs=("low", "high"),
    probes=_interval_probes,
    mistakes=(
        Mistake(
            "wald",
            "This is the share ± z times its own deviation, called Wald's interval. If no answer is "
            "wrong, it has no width at all, as if 20 images could prove that a network is perfect.",
            "What does your formula give if all answers are right?",
            "Use Wilson's formula: the centre moves towards one half, and a term z²/(4n²) stays "
            "under the root even if the share is 0 or 1.",
            variants=({"method": _wald}, {"method": _wald, "ends": _clipped}),
        ),
        Mistake(
            "one-sided",
            "The z is that of 90 %: outside 1.645 deviations lie 5 % on each side.",
            "How much of a normal distribution lies outside your z, on both sides together?",
            "For 95 %, 2.5 % lie outside on each side: z = 1.96.",
            variants=({"z": 1.6448536}, {"z": 1.64}, {"z": 1.65}),
            slip=("z = 1.96", "z = 1.645"),
        ),
        Mistake(
            "other-level",
            "The z is not that of 95 %: 1 gives 68 %, 2 gives 95.4 %, 2.576 gives 99 %.",
            "How much of a normal distribution lies within your z?",
            "For 95 %, z = 1.96.",
            variants=tuple({"z": z} for z in (1.0, 2.0, 2.5758293, 2.58, 3.0)),
            slip=("z = 1.96", "z = 2.576"),
        ),
        Mistake(
            "percent",
            "Both ends are 100 times too large: they are percentages.",
            "Between which two numbers is a share?",
            "Return shares from 0 to 1; a page may format them as percentages.",
            variants=({"finish": _in_percent},),
            slip=(
                "return centre - half, centre + half",
                "return 100 * (centre - half), 100 * (centre + half)",
            ),
        ),
        Mistake(
            "n-minus-1",
            "The formula was used with n − 1. The n − 1 of a standard deviation stands for a mean "
            "that was estimated; the spread of a count of hits follows from the share.",
            "Which n is in the formula?",
            "Use the number of images, n.",
            variants=({"size": lambda n: n - 1},),
        ),
        Mistake(
            "centre-at-share",
            "The interval lies symmetrically around the measured share. Wilson's does not: its "
            "centre is pulled towards one half, so that neither end leaves 0 to 1.",
            "Where is the middle of your interval if all answers are right?",
            "The centre is (p + z²/(2n)) / (1 + z²/n), with the share p.",
            variants=(
                {"method": partial(_wilson, centre=False)},
                {"method": partial(_wilson, centre=False), "ends": _clipped},
            ),
            slip=("return centre - half, centre + half", "return share - half, share + half"),
        ),
        Mistake(
            "no-root",
            "The half-width has no square root: it is far too small.",
            "What happens to the width of an interval if you take four times as many images?",
            "z multiplies the square root of the bracket.",
            variants=({"method": partial(_wilson, root=identity)},),
            slip=(
                "np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))",
                "(share * (1 - share) / n + z**2 / (4 * n**2))",
            ),
        ),
        Mistake(
            "half-not-divided",
            "The half-width was not divided by 1 + z²/n; only the centre was.",
            "Which parts of Wilson's formula does the factor in front multiply?",
            "Divide both the centre and the half-width by 1 + z²/n.",
            variants=({"method": partial(_wilson, shrink=False)},),
            slip=("half = half / (1 + z**2 / n)", "pass"),
        ),
        Mistake(
            "wrong",
            "The fraction in front is missing: nothing was divided by 1 + z²/n.",
            "Which part of Wilson's formula does your function not use?",
            "Divide both the centre and the half-width by 1 + z²/n.",
            variants=({"method": partial(_wilson, factor=False)},),
        ),
        Mistake(
            "wrong",
            "In Python, `z**2 / 2 * n` is (z² / 2) · n: it multiplies by n.",
            "In which order does Python compute `6 / 2 * 3`?",
            "Put a denominator in parentheses: `z**2 / (2 * n)` and `z**2 / (4 * n**2)`.",
            variants=tuple(
                {"method": partial(_wilson, **{key: _PRECEDENCE[key] for key in keys})}
                for keys in (("half_n",), ("quarter_n",), ("half_n", "quarter_n"))
            ),
            slip=("z**2 / (4 * n**2)", "z**2 / 4 * n**2"),
        ),
        Mistake(
            "wrong",
            "The root ends too early: z²/(4n²) belongs under it.",
            "How far does the root in Wilson's formula reach?",
            "Take the root of the sum of p(1 − p)/n and z²/(4n²), with the share p.",
            variants=({"method": _term_outside_the_root},),
        ),
        Mistake(
            "agresti-coull",
            "This is the interval of Agresti and Coull: Wilson's centre with a simpler and slightly "
            "larger width. It is a fair interval, but not Wilson's.",
            "Which share is under the root in Wilson's formula?",
            "Under the root are the measured share and z²/(4n²).",
            variants=({"method": _agresti_coull}, {"method": _agresti_coull, "ends": _clipped}),
        ),
        Mistake(
            "swapped-return",
            "The two ends were returned in each other's place.",
            "Which of your two numbers is smaller?",
            "Return the lower end first.",
            variants=({"finish": lambda interval: interval[::-1]},),
            slip=("return centre - half, centre + half", "return centre + half, centre - half"),
        ),
        Mistake(
            "not-the-ends",
            "The two numbers are the centre and the half-width, not the ends of the interval.",
            "How do you get the two ends from the centre and the half-width?",
            "Return centre − half-width and centre + half-width.",
            variants=({"ends": lambda middle, half: (middle, half)},),
            slip=("return centre - half, centre + half", "return centre, half"),
        ),
    ),
    hints=(
        "Write the formula in three lines: the share, the centre, the half-width.",
        "Both the centre and the half-width are divided by 1 + z²/n, and z = 1.96.",
    ),
)


def _equal_width(confidences, bins):
    """Return the number of each confidence's bin, 0 to bins − 1."""
    return np.clip((confidences * bins).astype(int), 0, bins - 1)


def _without_the_top(confidences, bins):
    """Bins that leave out 1.0, whose number comes out as `bins`."""
    return (confidences * bins).astype(int)


def _from_the_data(confidences, bins):
    """Bins from the smallest confidence to the largest."""
    low, high = confidences.min(), confidences.max()
    return _equal_width((confidences - low) / (high - low), bins)


def _equal_mass(confidences, bins):
    """Bins that hold equally many."""
    number = np.empty(len(confidences), dtype=int)
    for k, members in enumerate(np.array_split(np.argsort(confidences), bins)):
        number[members] = k
    return number


def _by_quantiles(confidences, bins):
    edges = np.quantile(confidences, np.arange(1, bins) / bins)
    return np.digitize(confidences, edges)


def _weighted_mean(gaps, counts, bins, n):
    return (gaps * counts).sum() / n


def _calibration_error(
    confidences,
    hits,
    bins,
    *,
    bin_of=_equal_width,
    count=identity,
    level=lambda inside, k, bins: inside.mean(),
    gap=np.abs,
    combine=_weighted_mean,
    finish=identity,
):
    bins = count(bins)
    number = bin_of(confidences, bins)
    gaps, counts = [], []
    for k in range(bins):
        inside = number == k
        if inside.any():
            gaps.append(gap(hits[inside].mean() - level(confidences[inside], k, bins)))
            counts.append(inside.sum())
    return finish(combine(np.array(gaps), np.array(counts), bins, len(hits)))


def _calibration_probes():
    rng = np.random.default_rng(32)
    # Of the first, the lowest bin is empty and one confidence is 1; the second fills all bins.
    for n, bins, low, high in ((40, 5, 0.24, 0.98), (60, 4, 0.02, 0.98), (50, 8, 0.4, 0.97)):
        confidences = rng.uniform(low, high, n)
        near_an_edge = np.abs(confidences * bins - np.round(confidences * bins)) < 0.02
        confidences[near_an_edge] += 0.04 / bins
        if bins != 4:
            confidences[:3] = 1.0
        hits = rng.random(n) < confidences**2 + 0.1 * (confidences < 0.5)
        hits[:2] = False
        yield Probe((confidences, hits, bins), {"N": n, "bins": bins})


def _nan_from_empty_bins(observations):
    """Return whether the result is NaN exactly where a bin is empty, and right elsewhere."""
    with_empty = [o.probe.args[2] != 4 for o in observations]
    is_nan = [bool(np.isnan(o.outputs.get("the ECE", 0.0)).any()) for o in observations]
    return with_empty == is_nan


def _all_gaps(gaps, counts, bins, n):
    return gaps.sum() / bins


calibration_error = Exercise(
    name="calibration_error",
    day=32,
    signature="calibration_error(confidences, hits, bins)",
    task="returns the expected calibration error: the mean gap between confidence and accuracy "
    "over bins of equal width from 0 to 1, each weighted by its share of the answers",
    right=_calibration_error,
    outputs=("the ECE",),
    probes=_calibration_probes,
    mistakes=(
        Mistake(
            "empty-bins",
            "The mean of an empty bin is NaN, and one NaN makes the whole sum NaN.",
            "What is the mean of no numbers at all?",
            "Skip a bin without answers: its weight is 0.",
            detect=_nan_from_empty_bins,
            finding="With {bins} bins, one of which is empty, your function returned NaN.",
            slip=("if inside.any():", "if True:"),
        ),
        Mistake(
            "unweighted",
            "All bins count equally, so that a bin with one answer weighs as much as a bin with a "
            "thousand.",
            "How many of the answers does each bin hold?",
            "Multiply each gap by the share of all answers that its bin holds, and add up.",
            variants=(
                {"combine": lambda gaps, counts, bins, n: gaps.mean()},
                {"combine": _all_gaps},
            ),
            slip=("total += inside.mean() * gap", "total += gap / bins"),
        ),
        Mistake(
            "not-averaged",
            "The gaps were added up without a weight, or each times the number of answers in its "
            "bin: the result grows with the number of bins or of answers.",
            "Can your result be larger than 1? Should it?",
            "The weight of a bin is its share: the number of its answers, divided by the number of "
            "all.",
            variants=(
                {"combine": lambda gaps, counts, bins, n: gaps.sum()},
                {"combine": lambda gaps, counts, bins, n: (gaps * counts).sum()},
            ),
            slip=("inside.mean() * gap", "inside.sum() * gap"),
        ),
        Mistake(
            "largest-gap",
            "This is the largest gap, the *maximum* calibration error. It depends on one bin, often "
            "on one with few answers.",
            "Which of the bins does your result depend on?",
            "Take the mean of the gaps, weighted by the shares of the bins.",
            variants=({"combine": lambda gaps, counts, bins, n: gaps.max()},),
        ),
        Mistake(
            "signed",
            "Gaps of opposite signs cancel: all that is left is the mean confidence minus the "
            "accuracy, for which no bins are needed.",
            "What is your result if one half of the answers is overconfident, and the other "
            "half just as much underconfident?",
            "Take the absolute value of the gap of each bin, before the mean.",
            variants=(
                {"gap": identity},
                {"gap": np.negative},
                {"gap": identity, "finish": abs},
            ),
            slip=(
                "abs(hits[inside].mean() - confidences[inside].mean())",
                "hits[inside].mean() - confidences[inside].mean()",
            ),
        ),
        Mistake(
            "squared",
            "The gaps were squared. That gives the large gaps more weight and is another measure.",
            "What does a gap of a tenth add to your result, if all answers are in its bin?",
            "Take the absolute value of a gap, not its square.",
            variants=({"gap": np.square}, {"gap": np.square, "finish": np.sqrt}),
            slip=(
                "abs(hits[inside].mean() - confidences[inside].mean())",
                "(hits[inside].mean() - confidences[inside].mean()) ** 2",
            ),
        ),
        Mistake(
            "last-edge",
            "Answers with a confidence of exactly 1 are in no bin. A network that is very sure has "
            "many of those.",
            "In which bin is a confidence of exactly 1?",
            "The last bin includes its upper end.",
            variants=({"bin_of": _without_the_top},),
        ),
        Mistake(
            "equal-mass",
            "Your bins hold equally many answers each. That is a fair choice, but here the bins "
            "have equal width.",
            "Where are the edges of your bins?",
            "The edges are 0, 1 / bins, 2 / bins, and so on to 1.",
            variants=({"bin_of": _equal_mass}, {"bin_of": _by_quantiles}),
        ),
        Mistake(
            "bins-from-data",
            "Your bins go from the smallest confidence to the largest, so that every network gets "
            "bins of its own.",
            "Where does your first bin begin, and where does the last one end?",
            "Divide the range from 0 to 1, whatever the data. `np.histogram` needs `range=(0, 1)`.",
            variants=({"bin_of": _from_the_data},),
        ),
        Mistake(
            "midpoints",
            "The accuracy of each bin was compared with the middle of the bin instead of with the "
            "mean confidence of its answers.",
            "What was the mean confidence of the answers in a bin?",
            "Take the mean of the confidences in the bin.",
            variants=({"level": lambda inside, k, bins: (k + 0.5) / bins},),
        ),
        Mistake(
            "fixed-bins",
            "The number of bins is always the same, whatever `bins` is.",
            "Where do you use `bins`?",
            "Take the number of bins from the argument.",
            variants=tuple({"count": lambda _, fixed=fixed: fixed} for fixed in (10, 15, 20)),
        ),
        Mistake(
            "percent",
            "The result is 100 times too large: it is a percentage.",
            "Between which two numbers is a gap between two shares?",
            "Return the share; a page may format it as a percentage.",
            variants=({"finish": lambda error: 100 * error},),
            slip=("return total", "return 100 * total"),
        ),
    ),
    hints=(
        "For each bin: which answers are in it, how confident were they on average, and how many "
        "were right?",
        "Weight each gap by `inside.mean()`, the share of the answers that are inside, and skip "
        "a bin that is empty.",
    ),
)


def _log_softmax(logits):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def _mean_cross_entropy(logits, labels):
    return -_log_softmax(logits)[np.arange(len(labels)), labels].mean()


def _brier(logits, labels):
    probs = np.exp(_log_softmax(logits))
    return ((probs - np.eye(logits.shape[1])[labels]) ** 2).sum(axis=1).mean()


def _cross_entropy_of_softmax(logits, labels):
    return _mean_cross_entropy(np.exp(_log_softmax(logits)), labels)


def _distance_of_means(logits, labels):
    accuracy = (logits.argmax(axis=1) == labels).mean()
    return abs(np.exp(_log_softmax(logits)).max(axis=1).mean() - accuracy)


def _fit_temperature(
    logits, labels, *, loss=_mean_cross_entropy, start=identity, result=identity, finish=identity
):
    candidates = np.geomspace(0.02, 50, 60)
    for _ in range(2):  # coarse, then fine around the best
        losses = [loss(start(logits) / T, labels) for T in candidates]
        best = int(np.clip(np.argmin(losses), 1, len(candidates) - 2))
        candidates = np.geomspace(candidates[best - 1], candidates[best + 1], 60)
    return finish(
        result(candidates[np.argmin([loss(start(logits) / T, labels) for T in candidates])])
    )


def _try_temperature(function, logits, labels):
    """Fit on tensors, as the page has them; the reference is computed with arrays."""
    if getattr(function, "func", None) is _fit_temperature:
        return function(logits, labels)
    import torch

    return TrialRun(function(torch.from_numpy(logits), torch.from_numpy(labels)))


def _on_arrays(function):
    """Adapt a function that takes arrays."""
    return lambda logits, labels: function(logits.numpy(), labels.numpy())


def _about_as_large(got, wanted):
    """Return whether two temperatures agree within 8 %: a search may be coarse."""
    got, wanted = float(got), float(wanted)
    if wanted <= 0 or got <= 0:
        return abs(got - wanted) < 0.08
    return abs(np.log(got / wanted)) < 0.08


def _temperature_probes():
    rng = np.random.default_rng(32)
    for n, classes, truth in ((300, 4, 2.0), (400, 3, 0.4), (350, 5, 1.5)):
        logits = rng.normal(0, 2, (n, classes))
        # A third of the images gets logits that are too large even after scaling, so that
        # confidence and cross-entropy ask for different temperatures.
        exaggerated = np.where(np.arange(n) % 3 == 0, 4, 1)[:, None]
        noise = rng.gumbel(0, 1, logits.shape)
        labels = (logits + noise).argmax(axis=1)
        logits = (truth * exaggerated * logits).astype(np.float32)
        yield Probe((logits, labels), {"N": n, "C": classes}, accept=_about_as_large)


def _the_same_for_all(observations):
    """Return the temperature, if it is the same for all probes and not 1."""
    got = [o.outputs.get("T") for o in observations]
    if any(T is None or T.ndim or not np.isfinite(T) for T in got) or abs(got[0] - 1) < 1e-6:
        return None
    if np.ptp(got) > 1e-3 * abs(got[0]):
        return None
    return {"T": f"{float(got[0]):.4g}"}


def _of_probabilities(observations):
    """Return whether each T is the one for cross-entropy of probabilities, or the least tried."""
    for observation in observations:
        got = observation.outputs.get("T")
        if got is None or got.ndim or not got > 0:
            return False
        least = _fit_temperature(*observation.probe.args, loss=_cross_entropy_of_softmax)
        if abs(np.log(got / least)) > 0.15 and not (least < 0.1 and got < 0.4):
            return False
    return True


def _temperatures(observations):
    """Return pairs (returned, right), if a returned one is wrong and all are numbers above 0."""
    pairs = [(o.outputs.get("T"), _fit_temperature(*o.probe.args)) for o in observations]
    if any(T is None or T.ndim or not np.isfinite(T) or T <= 0 for T, _ in pairs):
        return []
    pairs = [(float(T), float(right)) for T, right in pairs]
    return [] if all(_about_as_large(T, right) for T, right in pairs) else pairs


def _the_lowest_loss(observations):
    """Return whether it is the lowest cross-entropy itself."""
    pairs = _temperatures(observations)
    lowest = [
        _mean_cross_entropy(o.probe.args[0] / right, o.probe.args[1])
        for o, (_, right) in zip(observations, pairs, strict=False)
    ]
    return bool(pairs) and np.allclose([T for T, _ in pairs], lowest, rtol=0.02)


def _an_index(observations):
    """Return whether all are integers, and far too large where the right ones are large."""
    pairs = _temperatures(observations)
    got, right = np.array(pairs).reshape(-1, 2).T
    return (
        bool(pairs)
        and (got % 1 == 0).all()
        and (np.argsort(got) == np.argsort(right)).all()
        and got.max() > 10
    )


def _never_below_one(observations):
    """Return whether T is right where it is above 1, and about 1 elsewhere."""
    pairs = _temperatures(observations)
    return bool(pairs) and all(
        _about_as_large(T, right) if right > 1 else 1 <= T < 1.2 for T, right in pairs
    )


def _near_the_best(observations):
    """Return whether each is within a factor of 1.5, but not near enough."""
    pairs = _temperatures(observations)
    return bool(pairs) and all(abs(np.log(T / right)) < 0.4 for T, right in pairs)


fit_temperature = Exercise(
    name="fit_temperature",
    day=32,
    signature="fit_temperature(logits, labels)",
    task="returns the T above 0 for which softmax(logits / T) has the lowest mean cross-entropy",
    right=_fit_temperature,
    outputs=("T",),
    probes=_temperature_probes,
    trial=_try_temperature,
    matches=_about_as_large,
    max_simultaneous=1,
    adapters=(_on_arrays,),
    mistakes=(
        Mistake(
            "always-one",
            "T = 1 leaves every probability as it was.",
            "Print the loss for T = 1 and for T = 2. Is it the same?",
            "Try many values of T, and return the one with the lowest loss.",
            variants=({"finish": one},),
        ),
        Mistake(
            "inverse",
            "This is 1 / T: with it, the logits would have to be multiplied.",
            "Which T makes a network less confident, one above 1 or one below 1?",
            "Divide the logits by T in the loss that you minimise.",
            variants=({"finish": lambda T: 1 / T},),
            slip=("logits / T", "logits * T"),
        ),
        Mistake(
            "log-temperature",
            "This is the logarithm of T. A search over the logarithm keeps T above 0, but what "
            "divides the logits is T itself.",
            "Can your result be negative?",
            "Return the exponential of what you searched for.",
            variants=({"finish": np.log}, {"finish": np.log10}),
        ),
        Mistake(
            "softmax-twice",
            "The cross-entropy got probabilities, where it expects scores: it applies a softmax of "
            "its own.",
            "Which of your lines contains a softmax, and which one contains another?",
            "Give `logits / T` to the cross-entropy: the softmax is inside it.",
            detect=_of_probabilities,
            slip=(
                "cross_entropy(logits / T, labels)",
                "cross_entropy((logits / T).softmax(1), labels)",
            ),
        ),
        Mistake(
            "matches-confidence",
            "With this T the mean confidence equals the accuracy. The lowest cross-entropy is "
            "elsewhere: it looks at each answer, not only at two means.",
            "What do you minimise?",
            "Minimise the mean cross-entropy of `logits / T` and the labels.",
            variants=({"loss": _distance_of_means},),
        ),
        Mistake(
            "squared-error",
            "This T minimises the squared error between probabilities and labels.",
            "What do you minimise?",
            "Minimise the mean cross-entropy of `logits / T` and the labels.",
            variants=({"loss": _brier},),
        ),
        Mistake(
            "same-for-all",
            "The data play no part. Perhaps what you minimise does not change with T, as the "
            "accuracy does not, or is lowest at the end of your candidates.",
            "Print what you minimise for T = 0.5, 1, 2 and 4. Where is it lowest?",
            "Minimise the mean cross-entropy of `logits / T` and the labels.",
            detect=_the_same_for_all,
            finding="For different networks your function returns the same T, {T}.",
        ),
        Mistake(
            "wrong",
            "This is the lowest cross-entropy itself, not the T that gives it.",
            "Which of your numbers divides the logits, and which one measures how good that is?",
            "Return the T of the lowest loss: `argmin` finds its place among your candidates.",
            detect=_the_lowest_loss,
        ),
        Mistake(
            "wrong",
            "This looks like the position of the best T among your candidates, not like T itself.",
            "What does `argmin` return: a value or a position?",
            "Use the position as an index into your candidates.",
            detect=_an_index,
            slip=("candidates[torch.stack(losses).argmin()]", "torch.stack(losses).argmin()"),
        ),
        Mistake(
            "wrong",
            "Your T is right where it is above 1, and stops at 1 where it should be below: a "
            "network can also be less confident than it should be.",
            "Which is the smallest T that you try?",
            "Try values below 1, too, from a tenth on.",
            detect=_never_below_one,
        ),
        Mistake(
            "wrong",
            "Your T is near the best one, but not near enough: the candidates are too far apart, "
            "or the descent stopped too early.",
            "What is the loss at a T a little larger than yours, and a little smaller?",
            "Try more values, no more than 5 % apart, or take more steps.",
            detect=_near_the_best,
        ),
    ),
    hints=(
        "You can try many values of T: it is only one number.",
        "For each T, compute the mean cross-entropy of `logits / T` and the labels; return the T "
        "for which it is lowest. Values from a tenth to ten, equally spaced in their logarithm, "
        "are a good start.",
    ),
)

EXERCISES = (
    train_one_epoch,
    evaluate,
    split,
    normalize,
    accuracy_interval,
    calibration_error,
    fit_temperature,
)
