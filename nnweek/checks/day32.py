"""The exercises of Day 32: the two loops, the split and the normalisation.

Nothing here imports torch at the top; the last two exercises need only NumPy.
"""

from dataclasses import replace
from functools import partial

import numpy as np

from nnweek.checks import loops
from nnweek.checks.comparing import as_numbers, kind
from nnweek.checks.exercise import Exercise, Mistake, Probe
from nnweek.checks.running import TrialRun
from nnweek.checks.sandbox import Problem
from nnweek.checks.steps import identity, none, one, zero
from nnweek.checks.wording import SOME_RIGHT


def _loop_probes():
    for batches, smoothing in (((9, 9, 4), 0.0), ((6, 6, 3), 0.2)):
        setup = loops.LoopSetup(32, batches, smoothing=smoothing)
        yield Probe((setup,), {"batches": ", ".join(map(str, batches))})


def _train_one_epoch(
    model,
    loader,
    optimizer,
    criterion,
    *,
    mode=loops.train_mode,
    batches=identity,
    start=none,
    clear=loops.clear,
    squash=identity,
    score=None,
    right_share=loops.share_right,
    average_loss=loops.weighted_mean,
    average_accuracy=loops.weighted_mean,
):
    """Train for one epoch. Each keyword argument is a part that a mistake can replace."""
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


def _does_not_train(log):
    """Return whether it passes over the batches without computing a gradient or moving anything."""
    return loops.never_backward(log) and not log.events("step") and not any(log.moved)


def _stepped_once(log):
    """Return whether it took fewer steps than there are batches but used every batch."""
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
    probes=_loop_probes,
    trial=partial(loops.run_trial, "try_epochs"),
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
        ),
        loops.NO_STEP,
        replace(loops.NO_BACKWARD, id="no-step", detect=loops.in_log(_does_not_train)),
        replace(loops.NO_BACKWARD, id="wrong"),
        replace(loops.STEP_BEFORE_BACKWARD, id="wrong"),
        replace(loops.ZERO_GRAD_AFTER_BACKWARD, id="wrong"),
        replace(
            loops.NO_ZERO_GRAD, variants=({"clear": none}, {"clear": none, "start": loops.clear})
        ),
        loops.LAST_BATCH_ONLY,
        loops.UNWEIGHTED_MEAN,
        loops.ACCURACY_IN_PERCENT,
        loops.ACCURACY_BROADCAST,
        loops.NOT_AVERAGED,
        replace(loops.SOFTMAX_BEFORE_LOSS, id="wrong"),
        loops.OTHER_CRITERION,
        Mistake(
            "no-step",
            "The optimizer took fewer steps than there are batches.",
            "Which lines run once per batch, and which once at the end?",
            "`optimizer.step()` belongs inside the loop, once per batch.",
            detect=loops.in_log(_stepped_once),
        ),
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
    average_loss=loops.weighted_mean,
    average_accuracy=loops.weighted_mean,
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
    return average_loss(losses, sizes), average_accuracy(shares, sizes)


def _try_evaluation(function, setup):
    run = loops.run_trial("try_evaluation", function, setup)
    if run.log is not None and not run.log.records_after:
        run.remark = (
            "After your function, autograd no longer records, and the next training fails. Use "
            "`torch.no_grad()` in a `with`, or as a decorator, so that it ends with your function."
        )
    elif run.log is not None and not run.log.train_mode_after:
        run.remark = (
            "Your function leaves the model in eval mode. That is conventional and accepted: "
            "`train_one_epoch` switches back. If you write your own loop, remember "
            "`model.train()`."
        )
    return run


def _logs(observations):
    return [observation.log for observation in observations if observation.log is not None]


def _moves_parameters(observations):
    return any(any(log.moved) for log in _logs(observations))


def _tracks_gradients(observations):
    return any(tracked for log in _logs(observations) for _, _, tracked, _ in log.events("forward"))


def _in_train_mode(log):
    return any(event[1] is not False for event in log.events("forward"))


def _freezes_parameters(observations):
    return any(o.wrong == ["the number of trainable parameters"] for o in observations)


evaluate = Exercise(
    name="evaluate",
    day=32,
    signature="evaluate(model, loader, criterion)",
    task="scores a model without changing it and returns (loss, accuracy), averaged over the "
    "examples",
    right=_evaluate,
    outputs=("the loss", "the accuracy"),
    probes=_loop_probes,
    trial=_try_evaluation,
    max_simultaneous=1,
    mistakes=(
        Mistake(
            "trains",
            "The parameters have changed. An evaluation that moves them learns from the images "
            "that should only test the model.",
            "Compare a parameter before and after the call. Which line moved it?",
            "An evaluation has no `backward()`, no step and no optimizer.",
            detect=_moves_parameters,
            finding="After the call, the model's parameters have changed.",
        ),
        Mistake(
            "not-eval-mode",
            "The model was in train mode while it was scored: dropout was on, and batch norm used "
            "this batch's statistics.",
            "Would the same images get the same logits if you evaluated twice?",
            "Switch with `model.eval()`, with its parentheses, before the loop.",
            variants=({"mode": none},),
            detect=loops.in_log(_in_train_mode),
        ),
        loops.LAST_BATCH_ONLY,
        replace(loops.FIRST_BATCH_ONLY, id="wrong"),
        loops.UNWEIGHTED_MEAN,
        replace(loops.ACCURACY_IN_PERCENT, id="wrong"),
        replace(loops.ACCURACY_BROADCAST, id="wrong"),
        loops.NOT_AVERAGED,
        replace(loops.SOFTMAX_BEFORE_LOSS, id="wrong"),
        loops.OTHER_CRITERION,
        Mistake(
            "tracks-gradients",
            "Autograd recorded the forward pass for a backward pass that never comes. The numbers "
            "are right, but time and memory are wasted.",
            "Does the output of the model, inside your loop, require a gradient?",
            "Put the loop under `torch.no_grad()`. `model.eval()` does not do that.",
            detect=_tracks_gradients,
            finding="The logits that the model returned still require a gradient.",
        ),
        Mistake(
            "wrong",
            "After the call, some parameters no longer require a gradient, and will never be "
            "trained again.",
            "What did your function change in the model, and did it change it back?",
            "`torch.no_grad()` stops the recording without touching the parameters.",
            detect=_freezes_parameters,
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
    shuffled = not all(_evenly_spaced(train) or _evenly_spaced(val) for train, val in splits)
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
    log = {"n_train": len(train), "n_val": len(val), "swapped": swapped}
    return TrialRun((), observed, log)


def _reports(name, value=None):
    """Make a `detect`: this output has that value; without a value, it is not 0."""

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
        yield Probe((n, val_ratio, seed, other), {"n": n, "val_ratio": val_ratio, "seed": seed})


_PART_SIZES = (
    "With n = {n} and val_ratio = {val_ratio}, `train_idx` has {n_train} indices and `val_idx` "
    "has {n_val}"
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
            "swapped",
            "The two parts were returned in the wrong order, or the ratio was applied to the "
            "other part.",
            "Which part should be the larger one, and which do you return first?",
            "`val_ratio` is the share of the second part, the validation set.",
            detect=_sizes_swapped,
            finding=_PART_SIZES + ".",
        ),
        Mistake(
            "overlap",
            "An image that is in both parts is trained on and then used for validation: the "
            "validation accuracy comes out too good.",
            "Can one index end up in both of your parts?",
            "Shuffle all indices once, then cut the array in two: everything before the cut, "
            "and everything from it on.",
            detect=_reports(_IN_BOTH_PARTS),
            finding="With n = {n}, indices in both parts: {count}.",
        ),
        Mistake(
            "drops-samples",
            "Some samples are in neither part: they are never used.",
            "Do the lengths of your two parts add up to n, and is every index there?",
            "Compute one of the two sizes, and put all the rest into the other part.",
            detect=_reports(_IN_NO_PART),
            finding="With n = {n}, indices in neither part: {count}.",
        ),
        Mistake(
            "not-reproducible",
            "The same seed gave two different splits. After a restart, images that were trained "
            "on may be in the validation set.",
            "Where do your random numbers come from, and how was that generator seeded?",
            "Make a generator from `seed` inside the function, and draw only from it.",
            detect=_reports(_REPRODUCIBLE, 0),
            finding="Called twice with seed = {seed}, your function gave two different splits.",
        ),
        Mistake(
            "not-shuffled",
            "The samples were split in their original order. Data is often sorted, by class or by "
            "date, and then one part contains examples unlike any in the other.",
            "If the first half of the data were all zeros and ones, what would your parts contain?",
            "Put the indices into a random order before you cut.",
            detect=_reports(_SHUFFLED, 0),
            finding=_PART_SIZES + "; one of them is a run of neighbours or evenly spaced.",
        ),
        Mistake(
            "ignores-seed",
            "Every seed gives the same split, so you cannot measure how much a result depends on "
            "the luck of one split.",
            "Where do you use `seed`?",
            "Seed the generator with the argument, not with a number of your own.",
            detect=_reports(_USES_SEED, 0),
            finding="With a different seed, your function gave the same split.",
        ),
        Mistake(
            "wrong",
            "An index that is repeated in one part counts twice.",
            "Can your function draw the same index more than once?",
            "Shuffle all indices once, then cut the array in two.",
            detect=_reports(_REPEATED),
            finding="Indices repeated in the same part: {count}.",
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


_image_mean, _image_std, _image_var = (
    partial(statistic, axis=(1, 2), keepdims=True) for statistic in (np.mean, np.std, np.var)
)


def _subtract_bytes(rounded):
    """Subtract as uint8 does, where 3 − 5 is 254."""
    return lambda x, mean: (np.uint8(x) - np.uint8(rounded(mean))).astype(float)


def _normalize(
    train,
    test,
    *,
    unit=255,
    read=identity,
    center=_of_train,
    spread=_of_train,
    mean=np.mean,
    std=np.std,
    subtract=np.subtract,
    again=False,
):
    """Normalise both sets. Each keyword argument is a part that a mistake can replace."""
    train, test = read(train) / unit, read(test) / unit

    def normalized(x):
        shifted = subtract(x, mean(center(x, train, test)))
        return shifted / std(spread(x, train, test))

    new_train = normalized(train)
    if again:  # the statistics of a training set that is normalised already
        train = new_train
    return new_train, normalized(test)


def _try_normalize(function, train, test):
    """Normalise bytes, and log the result for the same numbers as floats."""
    value = function(train, test)
    try:
        as_floats = function(train.astype(float), test.astype(float))
    except Exception:
        as_floats = None
    return TrialRun(value, log=as_floats)


def _normalize_probes():
    rng = np.random.default_rng(32)

    def digits(n, ink, share):
        """Images with a dark background, each with its own brightness."""
        strength = rng.uniform(0.5, 1, size=(n, 1, 1)) * ink
        inked = rng.random((n, 28, 28)) < share * rng.uniform(0.7, 1.3, size=(n, 1, 1))
        pixels = inked * strength * rng.uniform(0.6, 1, size=(n, 28, 28))
        pixels[0, 0, :2] = 0, 255
        return pixels.astype(np.uint8)

    for n, m in ((30, 12), (20, 20)):
        train, test = digits(n, 255, 0.2), digits(m, 180, 0.35)
        yield Probe((train, test), {"N": n, "M": m}, accept=_nearly)


def _nearly(got, wanted):
    """Return whether these agree; the deviation may use N or N − 1, and an epsilon."""
    # Most comparisons with a mistake are settled by the first image, which is 20 times faster.
    parts = (got[0], wanted[0]), (got, wanted)
    return all(np.allclose(*part, rtol=1e-3, atol=1e-3) for part in parts)


def _on_a_line(condition):
    """Make a `detect` from a condition on (slope, offset), if new pixels = slope · old + offset."""

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


def _overflowed(observations):
    """Return whether the result would have been right, or nearly right, for float images."""
    for observation in observations:
        as_floats = observation.log
        if not observation.wrong or not isinstance(as_floats, (list, tuple)) or len(as_floats) != 2:
            continue
        pairs = list(zip(map(as_numbers, as_floats), observation.right.values(), strict=True))
        if all(
            got is not None and got.shape == wanted.shape and np.abs(got - wanted).max() < 0.05
            for got, wanted in pairs
        ):
            return True
    return False


def _are_whole_numbers(observations):
    pairs = [(got, o.right[name]) for o in observations if o.wrong
             for name, got in o.outputs.items() if name in o.right]  # fmt: skip
    return bool(pairs) and all(
        got.shape == right.shape and (got == np.round(got)).all() for got, right in pairs
    )


def _everywhere(**steps):
    """Variants that take wrong statistics: mean and deviation, or only one of them."""
    return tuple(
        {name: steps[name] for name in names if name in steps}
        for names in (steps, ("center", "mean"), ("spread", "std"))
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
        Mistake(
            "test-statistics",
            "The test set was normalised by its own statistics. Its scale then differs from that "
            "of the training set, and a single image could not be normalised at all.",
            "When a single new image arrives, which mean do you subtract?",
            "Compute mean and deviation once, on the training set, and use them for both.",
            variants=_everywhere(center=_own, spread=_own),
            finding=SOME_RIGHT,
        ),
        Mistake(
            "joint-statistics",
            "The statistics were taken over both sets together, so the test images have leaked "
            "into the training data.",
            "Would the training images change if the test set did? Should they?",
            "Compute mean and deviation on the training set only.",
            variants=_everywhere(center=_of_both, spread=_of_both),
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
        ),
        Mistake(
            "no-centering",
            "The mean of the training images is not 0: no mean was subtracted.",
            "What is the mean of what you return for the training set?",
            "Subtract the mean before you divide.",
            variants=(
                {"mean": zero},
                {"mean": zero, "std": one},
                {"mean": zero, "std": one, "unit": 1},
            ),
            detect=_on_a_line(lambda slope, offset: abs(offset) < 1e-4 * slope),
        ),
        Mistake(
            "no-scaling",
            "The standard deviation of the training images is not 1: the mean was subtracted, but "
            "nothing was divided by the deviation.",
            "What is the standard deviation of what you return for the training set?",
            "Divide by the standard deviation after you subtract the mean.",
            variants=({"std": one}, {"std": one, "unit": 1}),
            detect=_on_a_line(
                lambda slope, offset: min(abs(slope - 1), abs(255 * slope - 1)) < 1e-4
            ),
            finding="{first} The standard deviation of your {output} is {std}.",
        ),
        Mistake(
            "variance-not-std",
            "The images were divided by the variance instead of its square root, the standard "
            "deviation.",
            "Which of the two has the unit of a pixel: the variance, or its square root?",
            "Divide by the standard deviation.",
            variants=({"std": np.var}, {"std": np.var, "unit": 1}),
        ),
        Mistake(
            "per-image",
            "Every image was normalised by its own statistics: a faint digit and a bold one come "
            "out the same, and the information in their brightness is lost.",
            "How many means do you compute: one, or one per image?",
            "A mean without an axis, over the entire training set, is one number.",
            variants=(
                *_everywhere(center=_own, spread=_own, mean=_image_mean, std=_image_std),
                *(
                    {"center": _own, "spread": _own, "mean": mean, "std": std, "unit": unit}
                    for mean, std in (
                        (_image_mean, _image_var),
                        (_image_mean, one),
                        (zero, _image_std),
                    )
                    for unit in (1, 255)
                ),
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
        ),
        Mistake(
            "wrong",
            "Every pixel position was normalised by its own statistics, instead of one mean and "
            "one deviation for all. A pixel that is always black has deviation 0.",
            "How many means do you compute: one, or one per pixel?",
            "A mean without an axis, over the entire training set, is one number.",
            variants=_everywhere(
                center=_of_train,
                spread=_of_train,
                mean=partial(np.mean, axis=0),
                std=partial(np.std, axis=0),
            ),
        ),
        Mistake(
            "wrong",
            "The fractions are lost: the results were truncated to whole numbers.",
            "What is the `dtype` of your return value?",
            "Return floating-point arrays.",
            detect=_are_whole_numbers,
        ),
    ),
    hints=(
        "Two numbers, computed from the training set only, are used for both sets.",
        "Convert to float, subtract the mean of `train`, divide by the standard deviation of "
        "`train`.",
    ),
)

EXERCISES = (train_one_epoch, evaluate, split, normalize)
