"""The checks of Day 32: every mistake is named in several styles, every right answer passes.

The submissions are written independently of the checks' own variants. Each exercise has three
styles; a style takes the bugs to inject.
"""

import functools
import math
import random
import textwrap
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from scipy.stats import binomtest
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn

from nnweek import checks, training
from nnweek.checks import solutions
from nnweek.loaders import BatchLoader
from nnweek.statistics import accuracy_interval as package_interval
from support.promises import promises, right_answers
from support.submissions import first_verdict, style

IDS = {
    "train_one_epoch": "no-zero-grad no-step unweighted-mean last-batch-only not-train-mode "
    "accuracy-in-percent accuracy-broadcast first-batch-only sum-of-means-over-examples "
    "swapped-return accuracy-after-step",
    "evaluate": "not-eval-mode tracks-gradients trains unweighted-mean last-batch-only "
    "accuracy-in-percent swapped-return sum-of-means-over-examples top-two divides-by-last-index "
    "running-mean",
    "split": "overlap not-shuffled swapped drops-samples not-reproducible ignores-seed",
    "normalize": "per-pixel typed-constants only-divides test-statistics joint-statistics no-centering no-scaling per-image "
    "integer-overflow variance-not-std",
}
IDS = {name: ids.split() for name, ids in IDS.items()}


@style
def epoch_running(bugs, model, loader, optimizer, criterion):
    """Running sums, as in the lesson."""
    if "not-train-mode" not in bugs:
        model.train()
    loss_sum = correct = count = 0
    for images, labels in loader:
        if "no-zero-grad" not in bugs:
            optimizer.zero_grad()
        outputs = model(images)
        loss = criterion(outputs, labels)
        loss.backward()
        if "no-step" not in bugs:
            optimizer.step()
        n = len(labels)
        if "accuracy-after-step" in bugs:
            outputs = model(images)
        answers = outputs.argmax(1, keepdim="accuracy-broadcast" in bugs)
        hits = (answers == labels).sum().item()
        if "last-batch-only" in bugs:
            loss_sum = correct = count = 0
        size = 1 if "unweighted-mean" in bugs else n
        loss_sum += loss.item() * (1 if "sum-of-means-over-examples" in bugs else size)
        correct += hits * size / n
        count += size
        if "first-batch-only" in bugs:
            break
    percent = 100 if "accuracy-in-percent" in bugs else 1
    if "swapped-return" in bugs:
        return correct / count * percent, loss_sum / count
    return loss_sum / count, correct / count * percent


@style
def epoch_lists(bugs, model, loader, optimizer, criterion):
    """Everything is collected and averaged at the end; a closure takes the step."""
    model.train(mode="not-train-mode" not in bugs)
    optimizer.zero_grad()
    losses, all_logits, all_labels = [], [], []
    for number, (images, labels) in enumerate(loader):

        def closure(images=images, labels=labels):
            if "no-zero-grad" not in bugs:
                model.zero_grad(set_to_none=False)
            logits = model(images)
            loss = criterion(logits, labels)
            loss.backward()
            all_logits.append(logits.detach())
            all_labels.append(labels)
            return loss

        loss = closure() if "no-step" in bugs else optimizer.step(closure)
        losses.append(loss.detach())
        if "accuracy-after-step" in bugs:
            with torch.no_grad():
                all_logits[-1] = model(images)
        if number == 0 and "first-batch-only" in bugs:
            break
    if "last-batch-only" in bugs:
        losses, all_logits, all_labels = losses[-1:], all_logits[-1:], all_labels[-1:]
    sizes = torch.tensor([len(labels) for labels in all_labels])
    losses = torch.stack(losses)
    weights = torch.ones(len(sizes)) if "unweighted-mean" in bugs else sizes
    loss = (losses * weights).sum() / weights.sum()
    if "sum-of-means-over-examples" in bugs:
        loss = losses.sum() / sizes.sum()
    answers, labels = torch.cat(all_logits).max(dim=1).indices, torch.cat(all_labels)
    if "accuracy-broadcast" in bugs:
        labels = labels.unsqueeze(1)
    accuracy = (answers == labels).float().mean()
    result = [loss, 100 * accuracy if "accuracy-in-percent" in bugs else accuracy]
    return result[::-1] if "swapped-return" in bugs else result


@style
def epoch_iterator(bugs, model, loader, optimizer, criterion):
    """`iter` and `next`, gradients cleared at the end, accuracy by NumPy."""
    if "not-train-mode" in bugs:
        model.eval()
    else:
        for module in model.modules():
            module.training = True
    batches = iter(loader)
    loss_mean, accuracy = 0.0, 0.0
    for _ in range(len(loader)):
        images, labels = next(iter(loader)) if "first-batch-only" in bugs else next(batches)
        logits = model.forward(images)
        loss = criterion(logits, labels)
        loss.backward()
        if "no-step" not in bugs:
            optimizer.step()
        if "no-zero-grad" not in bugs:
            for p in model.parameters():
                p.grad = None
        if "accuracy-after-step" in bugs:
            model.eval()
            logits = model(images)
            model.train("not-train-mode" not in bugs)
        answers = logits.detach().cpu().numpy().argmax(axis=1)
        truth = labels.cpu().numpy()
        if "accuracy-broadcast" in bugs:
            truth = truth[:, None]
        right = np.sum(answers == truth) / len(labels)
        weight = len(images) / len(loader.dataset)
        if "sum-of-means-over-examples" in bugs:
            weight = 1 / len(loader.dataset)
        if "unweighted-mean" in bugs or "first-batch-only" in bugs:
            weight = 1 / len(loader)
        if "last-batch-only" in bugs:
            loss_mean, accuracy, weight = 0, 0, 1
        loss_mean += weight * loss.item()
        accuracy += weight * right
    accuracy *= 100.0 if "accuracy-in-percent" in bugs else 1.0
    return (accuracy, loss_mean) if "swapped-return" in bugs else (loss_mean, accuracy)


def epoch_on_tensors(model, loader, optimizer, criterion, *, log=None):
    model.train()
    total = torch.zeros(2)
    for images, labels in loader:
        logits = model(images)
        loss = criterion(logits, labels)
        optimizer.zero_grad(set_to_none=False)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            total += torch.stack([loss * images.size(0), logits.argmax(-1).eq(labels).sum()])
    loss, accuracy = total / len(loader.dataset)
    return loss, accuracy


def epoch_by_steps(model, loader, optimizer, criterion):
    """One `train_step` per batch; the accuracy is from a forward pass before it."""
    model.train()
    sums = [0.0, 0.0, 0]
    for images, labels in loader:
        with torch.inference_mode():
            sums[1] += int((model(images).argmax(1) == labels).sum())
        sums[0] += labels.numel() * solutions.train_step(
            model, images, labels, optimizer, criterion
        )
        sums[2] += labels.numel()
    return sums[0] / sums[2], sums[1] / sums[2]


def train_a_little(model, loader, criterion):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for images, labels in loader:
        optimizer.zero_grad()
        criterion(model(images), labels).backward()
        optimizer.step()


@style
def evaluate_running(bugs, model, loader, criterion):
    if "not-eval-mode" not in bugs:
        model.eval()
    total, correct, count, running = 0.0, 0, 0, 0.0
    of_means = {"unweighted-mean", "sum-of-means-over-examples", "divides-by-last-index"} & bugs
    with torch.set_grad_enabled("tracks-gradients" in bugs):
        for i, (images, labels) in enumerate(loader):
            logits = model(images)
            loss = criterion(logits, labels).item()
            n = images.shape[0]
            if "last-batch-only" in bugs:
                total, correct, count = 0.0, 0, 0
            total += loss if of_means else loss * n
            running += (loss - running) * (0.1 if i else 1)
            k = 2 if "top-two" in bugs else 1
            correct += (logits.topk(k)[1] == labels.view(-1, 1)).sum().item()
            count += n
    if "trains" in bugs:
        train_a_little(model, loader, criterion)
    accuracy = correct / count * (100 if "accuracy-in-percent" in bugs else 1)
    if "divides-by-last-index" in bugs:
        loss = total / i
    elif "running-mean" in bugs:
        loss = running
    else:
        loss = total / (len(loader) if "unweighted-mean" in bugs else count)
    return (accuracy, loss) if "swapped-return" in bugs else (loss, accuracy)


@style
def evaluate_at_once(bugs, model, loader, criterion):
    """All logits are collected, and scored once."""
    before = model.training
    model.train("not-eval-mode" in bugs)
    if "trains" in bugs:
        train_a_little(model, loader, criterion)
    grad = torch.enable_grad if "tracks-gradients" in bugs else torch.inference_mode
    with grad():
        pairs = [(model(images), labels) for images, labels in loader]
        if "last-batch-only" in bugs:
            pairs = pairs[-1:]
        losses = [criterion(*pair).item() for pair in pairs]
        logits, labels = map(torch.cat, zip(*pairs, strict=True))
        top = labels == (logits.sort(1, descending=True)[1][:, : 2 if "top-two" in bugs else 1]).T
        loss, accuracy = criterion(logits, labels), torch.mean(top.any(0) * 1.0).item()
        if "unweighted-mean" in bugs:
            shares = [(z.argmax(1) == y).double().mean().item() for z, y in pairs]
            loss, accuracy = sum(losses) / len(losses), sum(shares) / len(shares)
        if "sum-of-means-over-examples" in bugs:
            loss = sum(losses) / len(labels)
        if "divides-by-last-index" in bugs:
            loss = sum(losses) / (len(losses) - 1 or 1)
        if "running-mean" in bugs:
            loss = functools.reduce(lambda old, new: (old + new) / 2, losses)
    model.train(before)
    accuracy = round(100 * accuracy, 4) if "accuracy-in-percent" in bugs else accuracy
    return (accuracy, float(loss)) if "swapped-return" in bugs else (float(loss), accuracy)


def evaluate_decorated(bugs):
    def evaluate(model, loader, criterion):
        for module in model.modules():
            module.training = "not-eval-mode" in bugs
        losses, hits, sizes = [], [], []
        for batch in loader:
            logits = model(batch[0])
            loss = criterion(input=logits, target=batch[1])
            if "trains" in bugs:
                with torch.enable_grad():
                    criterion(model(batch[0]), batch[1]).backward()
                with torch.no_grad():
                    for p in model.parameters():
                        p -= 0.1 * p.grad
            losses.append(loss.detach().numpy())
            ranks = (logits > logits[range(len(logits)), batch[1], None]).sum(1)
            hits.append((ranks < (2 if "top-two" in bugs else 1)).tolist())
            sizes.append(len(batch[1]))
        if "last-batch-only" in bugs:
            losses, hits, sizes = losses[-1:], hits[-1:], sizes[-1:]
        loss, accuracy = np.average(losses, weights=sizes), np.mean(sum(hits, []))
        if "unweighted-mean" in bugs:
            loss, accuracy = np.mean(losses), np.mean([np.mean(h) for h in hits])
        if "sum-of-means-over-examples" in bugs:
            loss, accuracy = np.sum(losses) / sum(sizes), sum(map(np.mean, hits)) / sum(sizes)
        if "divides-by-last-index" in bugs:
            last = len(losses) - 1 or 1
            loss, accuracy = np.sum(losses) / last, sum(map(np.mean, hits)) / last
        if "running-mean" in bugs:
            loss = 0.0
            for value in losses:
                loss += 0.02 * (value - loss)
        accuracy *= 100 if "accuracy-in-percent" in bugs else 1
        return (accuracy, loss) if "swapped-return" in bugs else (loss, accuracy)

    return evaluate if "tracks-gradients" in bugs else torch.no_grad()(evaluate)


def evaluate_with_frozen_parameters(model, loader, criterion):
    """Autograd records nothing if no parameter requires a gradient."""
    model.eval()
    model.requires_grad_(False)
    result = solutions.evaluate(model, loader, criterion)
    model.requires_grad_(True)
    return result


def evaluate_image_by_image(model, loader, criterion):
    model.eval()
    losses, right = [], []
    with torch.no_grad():
        for images, labels in loader:
            for image, label in zip(images, labels, strict=True):
                logits = model(image[None])
                losses.append(criterion(logits, label[None]).item())
                right.append(logits[0].argmax() == label)
    return sum(losses) / len(losses), sum(right) / len(right)


@style
def split_permutation(bugs, n, val_ratio, seed):
    rng = np.random.default_rng(
        None if "not-reproducible" in bugs else 0 if "ignores-seed" in bugs else seed
    )
    order = np.arange(n) if "not-shuffled" in bugs else rng.permutation(n)
    cut = int(n * val_ratio)
    val, train = order[:cut], order[cut:]
    if "overlap" in bugs:
        train = order
    if "drops-samples" in bugs:
        train = train[1:]
    return (val, train) if "swapped" in bugs else (train, val)


@style
def split_shuffle(bugs, n, val_ratio, seed):
    """Python's own shuffle of a list; the validation part at the end; lists."""
    indices = list(range(n))
    if "not-reproducible" in bugs:
        random.shuffle(indices)
    elif "not-shuffled" not in bugs:
        random.Random(42 if "ignores-seed" in bugs else seed).shuffle(indices)
    n_train = n - int(np.ceil(n * val_ratio))
    if "swapped" in bugs:
        n_train = int(n * val_ratio)
    if "overlap" in bugs:
        return indices[: n_train + 1], indices[n_train:]
    return indices[:n_train], indices[n_train + ("drops-samples" in bugs) :]


@style
def split_mask(bugs, n, val_ratio, seed):
    """Torch draws the validation samples, a mask selects the others; sorted tensors."""
    generator = torch.Generator()
    if "not-reproducible" in bugs:
        generator.seed()
    else:
        generator.manual_seed(1 if "ignores-seed" in bugs else seed)
    n_val = round(val_ratio * n)
    val = torch.randperm(n, generator=generator)[:n_val]
    if "not-shuffled" in bugs:
        val = torch.arange(n - n_val, n)
    if "overlap" in bugs:
        train = torch.randperm(n, generator=generator)[: n - n_val]
    else:
        mask = torch.ones(n, dtype=torch.bool)
        mask[val] = False
        train = mask.nonzero().squeeze(1)
    if "drops-samples" in bugs:
        train = train[: n - n_val - 1]
    val = val.sort().values
    return (val, train) if "swapped" in bugs else (train, val)


def split_by_choice(n, val_ratio, seed, shuffle=True):
    state = np.random.RandomState(seed)
    val = state.choice(n, size=int(n * val_ratio), replace=False)
    return np.setdiff1d(np.arange(n), val), val


def split_by_global_seed(n, val_ratio, seed):
    np.random.seed(seed)
    indices = np.arange(n)
    np.random.shuffle(indices)
    n_train = int((1 - val_ratio) * n)
    return tuple(np.split(indices, [n_train]))


def split_by_torch(n, val_ratio, seed):
    n_val = int(n * val_ratio)
    train, val = torch.utils.data.random_split(
        range(n), [n - n_val, n_val], generator=torch.Generator().manual_seed(seed)
    )
    return train.indices, val.indices


def split_by_sorting(n, val_ratio, seed):
    keys = np.random.default_rng(seed).random(n)
    order = sorted(range(n), key=lambda i: keys[i])
    n_val = max(1, round(n * val_ratio))
    return sorted(order[n_val:]), order[:n_val]


def split_by_scikit_learn(n, val_ratio, seed):
    return train_test_split(range(n), test_size=val_ratio, random_state=seed)


@style
def normalize_arrays(bugs, train, test):
    if "integer-overflow" in bugs:
        mean = train.mean().astype(np.uint8)
        std = train.std()
        return (train - mean) / std, (test - mean) / std
    train, test = train.astype(np.float32) / 255, test.astype(np.float32) / 255
    base = np.concatenate([train, test]) if "joint-statistics" in bugs else train
    if "only-divides" in bugs:
        return train, test
    out = []
    for x in (train, test):
        ref = x if "test-statistics" in bugs else base
        axis, keep = ((1, 2), True) if "per-image" in bugs else (None, False)
        ref = x if "per-image" in bugs else ref
        axis = 0 if "per-pixel" in bugs else axis
        mean, std = ref.mean(axis=axis, keepdims=keep), ref.std(axis=axis, keepdims=keep)
        if "per-pixel" in bugs:
            std = std + 1e-7
        if "typed-constants" in bugs:
            mean, std = 0.1307, 0.3081
        mean = 0 if "no-centering" in bugs else mean
        std = 1 if "no-scaling" in bugs else std**2 if "variance-not-std" in bugs else std
        out.append((x - mean) / std)
    return tuple(out)


@style
def normalize_loops(bugs, train, test):
    """Image by image, on the scale from 0 to 255, with N − 1 and a tiny epsilon."""

    if "only-divides" in bugs:
        return [np.array([image / 255 for image in images]) for images in (train, test)]
    if "per-pixel" in bugs:
        out = np.zeros(train.shape), np.zeros(test.shape)
        for i, j in np.ndindex(28, 28):
            pixel = train[:, i, j].astype(float)
            for images, new in zip((train, test), out, strict=True):
                new[:, i, j] = (images[:, i, j] - pixel.mean()) / max(pixel.std(ddof=1), 1e-3)
        return out

    def statistics(*sets):
        if "typed-constants" in bugs:
            return 33.3, 78.6
        values = [float(v) for images in sets for v in np.asarray(images, dtype=float).ravel()]
        mean = sum(values) / len(values)
        variance = sum((v - mean) ** 2 for v in values) / (len(values) - 1)
        root = variance if "variance-not-std" in bugs else variance**0.5
        return (0.0 if "no-centering" in bugs else mean), (1.0 if "no-scaling" in bugs else root)

    mean, std = statistics(*([train, test] if "joint-statistics" in bugs else [train]))
    if "integer-overflow" in bugs:
        square = sum(int((image**2).sum()) for image in train) / train.size
        std = abs(square - mean**2) ** 0.5
    result = []
    for images in (train, test):
        if "test-statistics" in bugs and images is test:
            mean, std = statistics(test)
        rows = []
        for image in images:
            if "per-image" in bugs:
                mean, std = statistics(image)
            rows.append((image.astype(np.float64) - mean) / (std + 1e-8))
        result.append(np.stack(rows))
    return result


@style
def normalize_tensors(bugs, train, test):
    if "integer-overflow" in bugs:
        train, test = torch.from_numpy(train), torch.from_numpy(test)
        mean, std = train.double().mean(), train.double().std()
        centre = mean.round().to(torch.uint8)
        return (train - centre) / std, (test - centre) / std
    train, test = torch.tensor(train).double(), torch.tensor(test).double()
    base = torch.cat([train, test]) if "joint-statistics" in bugs else train

    if "only-divides" in bugs:
        return train / 256, test / 256
    if "typed-constants" in bugs:
        return (train / 255 - 0.1307) / 0.3081, (test / 255 - 0.1307) / 0.3081

    def scaled(x):
        source = x if "test-statistics" in bugs else base
        mean, std = source.mean(), source.std()
        if "per-pixel" in bugs:
            mean, std = source.mean(dim=0), source.std(dim=0)
            std = torch.where(std > 0, std, torch.ones(()).double())
        if "per-image" in bugs:
            mean = x.flatten(1).mean(dim=1).view(-1, 1, 1)
            std = x.flatten(1).std(dim=1, unbiased=False).view(-1, 1, 1)
        if "variance-not-std" in bugs:
            std = std.square()
        if "no-scaling" not in bugs:
            x, mean = x / std, mean / std
        return x if "no-centering" in bugs else x - mean

    return scaled(train), scaled(test)


def normalize_in_place(train, test):
    train, test = train.astype("float32"), test.astype("float32")
    mean, std = train.mean(), train.std()
    for x in (train, test):
        x -= mean
        x /= std
    return train, test


def normalize_with_epsilon(train, test):
    mean, std = np.mean(train, dtype="float64"), np.std(train, dtype="float64", ddof=1)
    return tuple(np.divide(np.subtract(x, mean), std + 1e-5) for x in (train, test))


def normalize_without_a_copy(train, test):
    """Bytes are converted, so a copy is made; floats would be changed."""
    train, test = np.asarray(train, dtype=float), np.asarray(test, dtype=float)
    mean, std = train.mean(), train.std()
    for x in (train, test):
        x -= mean
        x /= std
    return train, test


def normalize_by_scikit_learn(train, test):
    scaler = StandardScaler().fit(train.reshape(-1, 1))
    return tuple(scaler.transform(x.reshape(-1, 1)).reshape(x.shape) for x in (train, test))


def normalize_by_moments(train, test):
    as_floats = train.astype(float)
    mean = as_floats.sum() / train.size
    std = ((as_floats**2).sum() / train.size - mean**2) ** 0.5
    return [x / std - mean / std for x in (train, test)]


STYLES = {
    "train_one_epoch": [epoch_running, epoch_lists, epoch_iterator],
    "evaluate": [evaluate_running, evaluate_at_once, evaluate_decorated],
    "split": [split_permutation, split_shuffle, split_mask],
    "normalize": [normalize_arrays, normalize_loops, normalize_tensors],
}
OTHER_STYLES = {
    "train_one_epoch": [training.train_one_epoch, epoch_on_tensors, epoch_by_steps],
    "evaluate": [training.evaluate, evaluate_with_frozen_parameters, evaluate_image_by_image],
    "split": [
        split_by_choice,
        split_by_global_seed,
        split_by_torch,
        split_by_sorting,
        split_by_scikit_learn,
    ],
    "normalize": [
        normalize_in_place,
        normalize_with_epsilon,
        normalize_without_a_copy,
        normalize_by_scikit_learn,
        normalize_by_moments,
        lambda *sets: [x.tolist() for x in solutions.normalize(*sets)],
    ],
}
RIGHT = right_answers(STYLES, OTHER_STYLES)
NOT_BOTH = (
    {"per-pixel", "per-image"},
    {"no-centering", "no-scaling"},  # both at once are only-divides
)
(
    test_every_mistake_is_named,
    test_right_answers_pass,
    # Two bugs in one style may hide one another; the one that shows is named.
    test_one_of_two_mistakes_is_named,
    test_ids_are_those_of_the_contract,
) = promises(IDS, STYLES, RIGHT, NOT_BOTH)


def epoch_with(
    loss_of=None,
    share_of=None,
    finish=None,
    mode="train",
    order="clear backward step",
    last="",
    stop=False,
    start_over=False,
):
    """Return an epoch with other sums, another order of its steps, or an early end.

    Args:
        loss_of, share_of: (loss or logits, labels, loader) → a summand.
        finish: (sum of losses, sum of shares) → the result.
        order: what is done for each batch; last: what is done after the loop.
        stop: whether the loop ends after the first batch.
        start_over: whether the sums start from 0 for each batch.
    """

    def train_one_epoch(model, loader, optimizer, criterion):
        getattr(model, mode)()
        total, right, n = 0.0, 0.0, len(loader.dataset)
        for images, labels in loader:
            logits = model(images)
            loss = criterion(logits, labels)
            actions = {
                "clear": optimizer.zero_grad,
                "backward": loss.backward,
                "step": optimizer.step,
            }
            for action in order.split():
                actions[action]()
            hits = (logits.argmax(1) == labels).sum().item() / n
            if start_over:
                total, right = 0.0, 0.0
            total += loss_of(loss, labels, loader) if loss_of else loss.item() * len(labels) / n
            right += share_of(logits.detach(), labels, loader) if share_of else hits
            if stop:
                break
        for action in last.split():
            actions[action]()
        return finish(total, right) if finish else (total, right)

    return train_one_epoch


def share_of_batch(logits, labels, loader):
    return (logits.argmax(1) == labels).float().mean().item()


def mean_loss(loss, labels, loader):
    return loss.item()


def only_scores(model, loader, optimizer, criterion):
    model.train()
    return score(model, loader, criterion)


def same_size(loss, labels, loader):
    return loss.item() * loader.batch_size / len(loader.dataset)


def per_batch(loss, labels, loader):
    return loss.item() / len(loader)


def mean_of_a_table(logits, labels, loader):
    table = logits.max(1, keepdim=True)[1] == labels
    return table.float().mean().item() * len(labels) / len(loader.dataset)


def table_of_columns(logits, labels, loader):
    return (logits.argmax(1) == labels.reshape(-1, 1)).sum().item() / len(loader.dataset)


def share_per_batch(logits, labels, loader):
    return share_of_batch(logits, labels, loader) / len(loader)


def percent_of_a_batch(logits, labels, loader):
    return 100 * share_per_batch(logits, labels, loader)


def dropout_still_on(model, loader, criterion):
    for module in model.modules():
        if not isinstance(module, nn.Dropout):
            module.training = False
    with torch.no_grad():
        return score(model, loader, criterion)


def score(model, loader, criterion):
    total = correct = count = 0
    for images, labels in loader:
        logits = model(images)
        total += criterion(logits, labels).item() * len(labels)
        correct += (logits.argmax(dim=1) == labels).sum().item()
        count += len(labels)
    return total / count, correct / count


def eval_without_parentheses(model, loader, criterion):
    model.eval  # noqa: B018
    with torch.no_grad():
        return score(model, loader, criterion)


def eval_comes_too_late(model, loader, criterion):
    with torch.no_grad():
        result = score(model, loader, criterion)
    model.eval()
    return result


def recorded(model, loader, criterion):
    model.eval()
    return score(model, loader, criterion)


def recorded_and_detached(model, loader, criterion):
    model.eval()
    total = right = 0
    for images, labels in loader:
        logits = model(images).detach()
        with torch.no_grad():
            total += criterion(logits, labels) * len(labels)
            right += (logits.argmax(1) == labels).sum()
    return total / len(loader.dataset), right / len(loader.dataset)


def trains_on_the_way(model, loader, criterion):
    return solutions.train_one_epoch(
        model, loader, torch.optim.Adam(model.parameters(), lr=1e-3), criterion
    )


def only_the_loss_unweighted(model, loader, criterion):
    loss, accuracy = evaluate_running({"unweighted-mean"})(model, loader, criterion)
    return loss, solutions.evaluate(model, loader, criterion)[1]


def values_of_the_last_batch(model, loader, criterion):
    model.eval()
    with torch.no_grad():
        for images, labels in loader:  # noqa: B007
            logits = model(images)
    loss = criterion(logits, labels)
    return loss.item(), (logits.argmax(1) == labels).float().mean().item()


def drawn_apart(n, val_ratio, seed):
    rng = np.random.default_rng(seed)
    n_val = int(n * val_ratio)
    return rng.choice(n, n - n_val, replace=False), rng.choice(n, n_val, replace=False)


def everything_and_a_part(n, val_ratio, seed):
    order = np.random.default_rng(seed).permutation(n)
    return order, order[: int(n * val_ratio)]


def last_part_both_times(n, val_ratio, seed):
    order = np.random.default_rng(seed).permutation(n).tolist()
    cut = int(n * (1 - val_ratio))
    return order[:cut], order[cut - 1 :]


def both_rounded_down(n, val_ratio, seed):
    order = np.random.default_rng(seed).permutation(n - 1)
    return order[int(n * val_ratio) :], order[: int(n * val_ratio)]


def one_between(n, val_ratio, seed):
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    cut = round(n * val_ratio)
    return order[cut + 1 :], order[:cut]


def every_fifth(n, val_ratio, seed):
    step = round(1 / val_ratio)
    return [i for i in range(n) if i % step], list(range(0, n, step))


def cut_first_shuffled_later(n, val_ratio, seed):
    rng = np.random.default_rng(seed)
    cut = n - int(n * val_ratio)
    return rng.permutation(np.arange(cut)), rng.permutation(np.arange(cut, n))


def shuffle_is_thrown_away(n, val_ratio, seed):
    indices = np.arange(n)
    np.random.default_rng(seed).permutation(indices)
    return indices[int(n * val_ratio) :], indices[: int(n * val_ratio)]


once = np.random.default_rng(5)


def seeded_once(n, val_ratio, seed):
    order = once.permutation(n)
    return order[int(n * val_ratio) :], order[: int(n * val_ratio)]


def normalize_by(mean=None, std=None):
    """Statistics from functions of (train, test, x), all on the scale of bytes."""

    def normalize(train, test):
        sets = train.astype(float), test.astype(float)
        return tuple(
            (x - (mean(*sets, x) if mean else sets[0].mean()))
            / (std(*sets, x) if std else sets[0].std())
            for x in sets
        )

    return normalize


def result_into_bytes(train, test):
    out = np.zeros_like(train), np.zeros_like(test)
    for o, x in zip(out, (train, test), strict=True):
        o[...] = (x - train.mean()) / train.std()
    return out


def squares_of_bytes(train, test):
    std = np.sqrt((train**2).mean() - train.mean() ** 2)  # of a negative number
    return (train - train.mean()) / std, (test - train.mean()) / std


def bytes_minus_byte(train, test):
    train, test = (x - np.uint8(train.mean()) for x in (train, test))
    return train / train.std(), test / train.std()


def scored_after_the_step(model, loader, optimizer, criterion):
    model.train()
    total = right = 0
    for images, labels in loader:
        solutions.train_step(model, images, labels, optimizer, criterion)
        with torch.no_grad():
            logits = model(images)
        total += criterion(logits, labels).item() * len(labels) / len(loader.dataset)
        right += (logits.argmax(1) == labels).sum().item() / len(loader.dataset)
    return total, right


def full_batches_only(model, loader, optimizer, criterion):
    batches = [batch for batch in loader if len(batch[1]) == loader.batch_size]
    return solutions.train_one_epoch(model, batches, optimizer, criterion)


def scored_again_at_the_end(model, loader, optimizer, criterion):
    loss, _ = solutions.train_one_epoch(model, loader, optimizer, criterion)
    return loss, solutions.evaluate(model, loader, criterion)[1]


def own_optimizer(model, loader, optimizer, criterion):
    other = torch.optim.SGD(model.parameters(), lr=0.2)
    return solutions.train_one_epoch(model, loader, other, criterion)


def freezes(model, loader, criterion):
    model.requires_grad_(False)
    return solutions.evaluate(model, loader, criterion)


def softmax_scored(model, loader, criterion):
    return solutions.evaluate(nn.Sequential(model, nn.Softmax(1)), loader, criterion)


def repeats_samples(n, val_ratio, seed):
    train, val = solutions.split(n, val_ratio, seed)
    return train.repeat(2), val


def per_pixel(train, test):
    mean, std = train.mean(axis=0), train.std(axis=0) + 1e-8
    return (train - mean) / std, (test - mean) / std


def after_the_training_set(train, test):
    train = (train - train.mean()) / train.std()
    test = (test - train.mean()) / train.std()
    return train, test


def blackens_an_image(train, test):
    result = solutions.normalize(train, test)
    train[0] = 0
    return result


def thresholds_the_test_set(train, test):
    result = solutions.normalize(train, test)
    np.minimum(test, 254, out=test)
    return result


def sorts_a_view(train, test):
    """The statistics do not depend on the order."""
    result = solutions.normalize(train, test)
    torch.from_numpy(train).view(-1).copy_(torch.from_numpy(train).view(-1).sort().values)
    return result


def back_into_the_bytes(train, test):
    mean, std = train.mean(), train.std()
    train[:] = (train - mean) / std
    test[:] = (test - mean) / std
    return train, test


def per_pixel_by_scikit_learn(train, test):
    scaler = StandardScaler().fit(train.reshape(len(train), -1))
    return [scaler.transform(x.reshape(len(x), -1)).reshape(x.shape) for x in (train, test)]


def scaled_to(low, high):
    """Scale from the smallest and largest pixel of the training set to a range."""

    def normalize(train, test):
        least, most = float(train.min()), float(train.max())
        return [low + (high - low) * (x - least) / (most - least) for x in (train, test)]

    return normalize


UNUSUAL = [
    ("train_one_epoch", epoch_with(stop=True), "first-batch-only"),
    ("train_one_epoch", epoch_with(mean_loss, share_of_batch, stop=True), "first-batch-only"),
    ("train_one_epoch", epoch_with(per_batch, share_per_batch, stop=True), "first-batch-only"),
    ("train_one_epoch", epoch_with(mean_loss, share_of_batch, start_over=True),
     "last-batch-only"),
    ("train_one_epoch",
     epoch_with(mean_loss, share_of_batch, order="clear backward", last="step", start_over=True),
     "last-batch-only no-step"),
    ("train_one_epoch", epoch_with(order="clear backward", last="step"), "no-step"),
    ("train_one_epoch", only_scores, "no-step"),
    ("train_one_epoch", epoch_with(mode="eval"), "not-train-mode"),
    ("train_one_epoch", epoch_with(loss_of=same_size), "unweighted-mean"),
    ("train_one_epoch", epoch_with(loss_of=per_batch), "unweighted-mean"),
    ("train_one_epoch", epoch_with(share_of=mean_of_a_table), "accuracy-broadcast"),
    ("train_one_epoch", epoch_with(share_of=table_of_columns), "accuracy-broadcast"),
    ("train_one_epoch", epoch_with(share_of=percent_of_a_batch),
     "accuracy-in-percent unweighted-mean"),
    ("train_one_epoch", epoch_with(same_size, percent_of_a_batch, mode="eval"),
     "accuracy-in-percent unweighted-mean not-train-mode"),
    ("evaluate", dropout_still_on, "not-eval-mode"),
    ("evaluate", eval_without_parentheses, "not-eval-mode"),
    ("evaluate", eval_comes_too_late, "not-eval-mode"),
    ("evaluate", recorded, "tracks-gradients"),
    ("evaluate", recorded_and_detached, "tracks-gradients"),
    ("evaluate", trains_on_the_way, "trains not-eval-mode"),
    ("evaluate", only_the_loss_unweighted, "unweighted-mean"),
    ("evaluate", values_of_the_last_batch, "last-batch-only"),
    ("split", drawn_apart, "overlap drops-samples"),
    ("split", everything_and_a_part, "overlap"),
    ("split", last_part_both_times, "overlap"),
    ("split", both_rounded_down, "drops-samples"),
    ("split", one_between, "drops-samples"),
    ("split", every_fifth, "not-shuffled"),
    ("split", cut_first_shuffled_later, "not-shuffled"),
    ("split", shuffle_is_thrown_away, "not-shuffled"),
    ("split", lambda n, r, seed: solutions.split(n, r, seed or None), "not-reproducible"),
    ("split", seeded_once, "not-reproducible"),
    ("split", lambda n, r, seed: solutions.split(n, 1 - r, seed), "swapped"),
    ("normalize", normalize_by(mean=lambda a, b, x: x.mean()), "test-statistics"),
    ("normalize", normalize_by(std=lambda a, b, x: x.std()), "test-statistics"),
    ("normalize", normalize_by(mean=lambda a, b, x: np.concatenate([a, b]).mean()),
     "joint-statistics"),
    ("normalize", normalize_by(std=lambda a, b, x: np.concatenate([a, b]).std()),
     "joint-statistics"),
    ("normalize", normalize_by(mean=lambda a, b, x: 0), "no-centering"),
    ("normalize", normalize_by(std=lambda a, b, x: 255), "no-scaling"),
    ("normalize", normalize_by(std=lambda a, b, x: 1), "no-scaling"),
    ("normalize", normalize_by(std=lambda a, b, x: a.var()), "variance-not-std"),
    ("normalize", normalize_by(mean=lambda a, b, x: x.mean((1, 2), keepdims=True)), "per-image"),
    ("normalize", normalize_by(
        lambda a, b, x: x.mean((1, 2), keepdims=True),
        lambda a, b, x: x.std((1, 2), keepdims=True, ddof=1) + 1e-8), "per-image"),
    ("normalize", per_pixel, "per-pixel"),
    ("normalize", per_pixel_by_scikit_learn, "per-pixel"),
    ("normalize", normalize_by(mean=lambda a, b, x: a.mean(axis=0)), "per-pixel"),
    ("normalize", lambda a, b: [(x - a.mean(0)) / a.std(0) for x in (a, b)], "per-pixel"),
    ("normalize", lambda a, b: (a - a.mean(0), b - a.mean(0)), "per-pixel no-scaling"),
    ("normalize", lambda a, b: ((a - 0.1307) / 0.3081, (b - 0.1307) / 0.3081), "typed-constants"),
    ("normalize", lambda a, b: (a / 127.5 - 1, b / 127.5 - 1), "typed-constants"),
    ("normalize", normalize_by(lambda a, b, x: 72.9, lambda a, b, x: 90.0), "typed-constants"),
    ("normalize", normalize_by(mean=lambda a, b, x: 0.1307 * 255), "typed-constants"),
    ("normalize", normalize_by(std=lambda a, b, x: 0.3081 * 255), "typed-constants"),
    ("normalize", lambda a, b: (np.float32(a) / a.max(), np.float32(b) / b.max()), "only-divides"),
    ("normalize", lambda a, b: (a.astype(float), b.astype(float)), "no-centering"),
    ("normalize", back_into_the_bytes, "integer-overflow modifies-input"),
    ("normalize", lambda a, b: ((a - 0.1307 * 255) / a.std(), (b - b.mean()) / a.std()),
     "typed-constants test-statistics"),
    ("normalize", lambda a, b: ((a - 0.1307 * 255) / a.var(), (b - 0.1307 * 255) / a.var()),
     "typed-constants variance-not-std wrong"),
    ("normalize", result_into_bytes, "integer-overflow"),
    ("normalize", lambda a, b: (a - a.mean() / a.std(), b - a.mean() / a.std()), "wrong"),
    ("normalize", lambda a, b: ((a - a.mean(0)) / (a - a.mean(0)).std(),
                                (b - a.mean(0)) / (a - a.mean(0)).std()), "per-pixel"),
    ("normalize", squares_of_bytes, "integer-overflow"),
    ("normalize", bytes_minus_byte, "integer-overflow"),
    # These have no name.
    ("train_one_epoch", scored_after_the_step, "accuracy-after-step"),
    ("train_one_epoch", full_batches_only, "wrong"),
    ("train_one_epoch", scored_again_at_the_end, "wrong"),
    ("train_one_epoch", own_optimizer, "wrong"),
    ("train_one_epoch", epoch_with(order="backward clear step"), "wrong"),
    ("train_one_epoch", epoch_with(finish=lambda loss, right: (right, loss)), "swapped-return"),
    ("train_one_epoch", epoch_with(finish=lambda loss, right: (loss, round(right, 1))), "wrong"),
    ("train_one_epoch", epoch_with(loss_of=lambda loss, labels, _: loss.item() * len(labels)), "wrong"),
    ("evaluate", freezes, "wrong"),
    ("evaluate", softmax_scored, "wrong"),
    ("evaluate", lambda m, ld, c: solutions.evaluate(m, ld, nn.CrossEntropyLoss()), "wrong"),
    ("evaluate", lambda m, ld, c: solutions.evaluate(m, list(ld)[:1], c), "wrong"),
    ("evaluate", lambda *a: (solutions.evaluate(*a)[0], 100 * solutions.evaluate(*a)[1]),
     "accuracy-in-percent"),
    ("split", lambda n, r, seed: solutions.split(n, r / 2, seed), "wrong"),
    ("split", repeats_samples, "wrong"),
    ("normalize", after_the_training_set, "wrong"),
    ("normalize", scaled_to(-1, 1), "wrong"),
    ("normalize", scaled_to(0, 1), "wrong"),
    ("normalize", normalize_by(mean=lambda a, b, x: np.median(a)), "wrong"),
    ("normalize", normalize_by(mean=lambda a, b, x: a.min()), "wrong"),
    # These are not what the exercise asks for.
    ("train_one_epoch", epoch_with(loss_of=lambda loss, y, ld: loss), "wrong-type"),
    ("train_one_epoch", lambda *a: solutions.train_one_epoch(*a)[0], "wrong-type"),
    ("train_one_epoch", lambda *a: (*solutions.train_one_epoch(*a), 1), "wrong-shape"),
    ("train_one_epoch", epoch_with(finish=lambda *a: None), "not-attempted"),
    ("evaluate", lambda m, ld, c: {"loss": 1.0, "accuracy": 0.5}, "wrong-type"),
    ("split", lambda n, r, seed: np.arange(n), "wrong-type"),
    ("split", lambda n, r, seed: (np.arange(n) > 9, np.arange(n) <= 9), "wrong-type"),
    ("split", lambda n, r, seed: [p.astype(float) for p in solutions.split(n, r, seed)],
     "wrong-type"),
    ("split", lambda n, r, seed: [p[:, None] for p in solutions.split(n, r, seed)],
     "wrong-shape"),
    ("split", lambda n, r, seed: (*solutions.split(n, r, seed), n), "wrong-shape"),
    ("split", lambda n, r, seed: (solutions.split(n, r, seed)[0], None), "not-attempted"),
    ("normalize", lambda a, b: solutions.normalize(a, b)[0], "wrong-type"),
    ("normalize", lambda a, b: [x.reshape(len(x), -1) for x in solutions.normalize(a, b)],
     "wrong-shape"),
    ("normalize", lambda a, b: solutions.normalize(a, b)[::-1], "wrong-shape"),
    ("normalize", blackens_an_image, "modifies-input"),
    ("normalize", thresholds_the_test_set, "modifies-input"),
    ("normalize", sorts_a_view, "modifies-input"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "submission", "mistakes"), UNUSUAL)
def test_unusual_answer_gets_the_right_id(name, submission, mistakes):
    verdict = first_verdict(name, submission)
    assert verdict.mistake in mistakes.split(), verdict
    assert verdict.hint


PER_BATCH = """
for images, labels in loader:
    logits = model(images)
    loss = criterion(logits, labels)
    {training}
    total += loss.item() * len(labels)
    correct += (logits.argmax(dim=1) == labels).sum().item()
    count += len(labels)
"""
TRAINING = "optimizer.zero_grad(); loss.backward(); optimizer.step()"
LOOPS = {
    "train_one_epoch": "model, loader, optimizer, criterion",
    "evaluate": "model, loader, criterion",
}


def loop_with(name, right="", wrong="", mode=None):
    """Return a plain loop with one piece of its code replaced, or with those of a dictionary."""
    training = name == "train_one_epoch"
    mode = mode or ("model.train()" if training else "model.eval()")
    body = PER_BATCH.format(training=TRAINING if training else "pass")
    source = f"{mode}\ntotal = correct = count = 0\n{body}\nreturn total / count, correct / count"
    for piece, other in (right if isinstance(right, dict) else {right: wrong}).items():
        assert piece in source
        source = source.replace(piece, other) if piece else source
    names = {"torch": torch, "F": F, "np": np, "nn": nn}
    exec(f"def loop({LOOPS[name]}):\n" + textwrap.indent(source, "    "), names)
    return names["loop"] if training else torch.no_grad()(names["loop"])


ERRORS = [
    ("logits = model(images)", "logits = net(images)", "NameError: name 'net'"),
    ("loss = criterion(logits", "loss = criterion(logit", "name 'logit' is not defined"),
    ("total = correct = count = 0", "correct = count = 0", "UnboundLocalError"),
    ("argmax(dim=1)", "argmax(0)", "must match"),
    ("argmax(dim=1)", "argmax(axis=2)", "IndexError"),
    (".sum().item()", ".sum.item()", "no attribute 'item'"),
    ("loss.item()", "loss.items()", "no attribute 'items'"),
    ("(logits.argmax(dim=1) == labels).sum().item()", "accuracy(logits, labels)", "'accuracy'"),
    ("    count += len(labels)", "    count += len(labels); assert count < 10", "AssertionError"),
    ("return total / count", "return total / len(loaders)", "name 'loaders'"),
    ("criterion(logits, labels)", "criterion(labels, logits)", "Error"),
    ("criterion(logits, labels)", "nn.CrossEntropyLoss(logits, labels)", "Boolean value"),
]


@pytest.mark.parametrize(("right", "wrong", "says"), ERRORS)
@pytest.mark.parametrize("name", LOOPS)
def test_exception_is_reported_as_itself(name, right, wrong, says):
    verdict = first_verdict(name, loop_with(name, right, wrong))
    assert verdict.mistake == "raised", verdict
    assert says in verdict.hint
    assert "line " in verdict.hint


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("train_one_epoch", "loss.item()", "loss.numpy()"),
        ("train_one_epoch", "optimizer.step()", "optimiser.step()"),
        ("train_one_epoch", "optimizer.zero_grad()", "optimizer.step(); optimizer.zero_grads()"),
        ("train_one_epoch", "loss.backward()", "loss.backward(); loss.backward()"),
    ],
)
def test_exception_around_the_step_is_reported_as_itself(name, right, wrong):
    assert first_verdict(name, loop_with(name, right, wrong)).mistake == "raised"


def test_exception_without_no_grad_is_reported_as_itself():
    def evaluate(model, loader, criterion):
        model.eval()
        return np.mean([criterion(model(x), y).numpy() for x, y in loader]), 0.5

    verdict = first_verdict("evaluate", evaluate)
    assert verdict.mistake == "raised"
    assert "requires grad" in verdict.hint


RIGHT_CODE = [
    ("for images, labels in loader:", "for _, (images, labels) in enumerate(iter(loader)):"),
    ("for images, labels in loader:", "for images, labels in (batch for batch in loader):"),
    ("logits = model(images)", "logits = model(images.to('cpu', non_blocking=True).float())"),
    ("logits = model(images)", "logits = model.forward(images.reshape(images.shape[0], -1))"),
    ("logits = model(images)", "with torch.autocast('cpu'): logits = model(images)"),
    ("(logits.argmax(dim=1) == labels).sum().item()",
     "(logits.argmax(1) == labels).float().mean() * len(labels)"),
    ("(logits.argmax(dim=1) == labels).sum().item()",
     "logits.topk(1)[1].view(-1).eq(labels).sum()"),
    ("(logits.argmax(dim=1) == labels).sum().item()",
     "(logits.max(1)[1] == labels).double().sum().numpy()"),
    ("(logits.argmax(dim=1) == labels).sum().item()",
     "(F.softmax(logits, 1).argmax(1) == labels).sum().item()"),
    ("total += loss.item() * len(labels)", "total += loss.double().item() * labels.size(0)"),
    ("return total / count", "return torch.tensor(total / len(loader.dataset))"),
    ("return total / count, correct / count", "return [total / count, np.float32(correct / count)]"),
]  # fmt: skip


@pytest.mark.parametrize(("right", "other"), RIGHT_CODE)
@pytest.mark.parametrize("name", LOOPS)
def test_other_right_code_passes(name, right, other):
    verdict = first_verdict(name, loop_with(name, right, other))
    assert verdict.passed, verdict


SCALER = "scaler = torch.amp.GradScaler('cpu', enabled=False)"


@pytest.mark.parametrize(
    "training",
    [
        "model.zero_grad(); loss.backward(); optimizer.step()",
        "optimizer.zero_grad(set_to_none=False); loss.backward(); optimizer.step()",
        "loss.backward(); optimizer.step(); optimizer.zero_grad()",
        "clear = optimizer.zero_grad; clear(); loss.backward(); optimizer.step()",
        f"{SCALER}; optimizer.zero_grad(); scaler.scale(loss).backward(); scaler.step(optimizer)",
        "optimizer.zero_grad(); loss.backward()\n    with torch.no_grad(): optimizer.step()",
    ],
)
def test_other_right_training_passes(training):
    verdict = first_verdict("train_one_epoch", loop_with("train_one_epoch", TRAINING, training))
    assert verdict.passed, verdict


NAMED = [
    ("train_one_epoch", "optimizer.zero_grad()", "optimizer.zero_grad", "no-zero-grad"),
    ("train_one_epoch", "optimizer.zero_grad()", "model.zero_grad", "no-zero-grad"),
    ("train_one_epoch", "optimizer.step()", "optimizer.step", "no-step"),
    ("train_one_epoch", "loss.backward()", "loss.backward(retain_graph=True); loss.backward()",
     "wrong"),
    ("train_one_epoch", "loss.item() * len(labels)", "loss.item()", "sum-of-means-over-examples"),
    ("evaluate", "loss.item() * len(labels)", "loss.item()", "sum-of-means-over-examples"),
    ("evaluate", "(logits.argmax(dim=1) == labels)",
     "(logits.topk(3)[1] == labels[:, None]).any(1)", "wrong"),
    ("evaluate", "correct / count", "100 * correct / count", "accuracy-in-percent"),
    ("evaluate", "correct / count", "correct", "wrong"),
    ("evaluate", "correct / count", "correct / len(labels)", "wrong"),
    ("evaluate", "correct / count", "correct / len(loader)", "wrong"),
    ("evaluate", "correct / count", "correct / (len(loader) * loader.batch_size)", "wrong"),
    ("evaluate", "in loader:", "in list(loader)[:-1]:", "wrong"),
    ("evaluate", "logits = model(images)", "logits = model(images).softmax(1)", "wrong"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "right", "wrong", "mistake"), NAMED)
def test_replaced_piece_is_named(name, right, wrong, mistake):
    verdict = first_verdict(name, loop_with(name, right, wrong))
    assert verdict.mistake == mistake, verdict


@pytest.mark.parametrize("name", LOOPS)
def test_no_two_mistakes_give_the_same_numbers(name):
    exercise = checks.EXERCISES[name]
    outcomes = {}
    for mistake in exercise.mistakes:
        for steps in mistake.variants:
            answers = exercise.answers(tuple(steps.items()))
            numbers = [round(float(v), 4) for a in answers for v in a.values() if v.ndim == 0]
            vectors = [round(float(v.sum()), 3) for a in answers for v in a.values() if v.ndim]
            first = outcomes.setdefault((*numbers, *vectors), mistake)
            assert first.explanation == mistake.explanation


@pytest.mark.parametrize("method", ["zero_grad", "step"])
def test_method_without_parentheses_is_said_to_be_read(method):
    loop = loop_with("train_one_epoch", f"optimizer.{method}()", f"optimizer.{method}")
    assert f"`{method}` was read but never called" in first_verdict("train_one_epoch", loop).hint


def test_sum_of_means_is_said_to_be_too_small():
    loop = loop_with("evaluate", "loss.item() * len(labels)", "loss.item()")
    hint = first_verdict("evaluate", loop).hint
    assert "too small" in hint
    assert "0.1475 times" in hint


def test_backward_in_an_evaluation_is_described():
    def evaluate(model, loader, criterion):
        model.eval()
        for images, labels in loader:
            criterion(model(images), labels).backward()
        return solutions.evaluate(model, loader, criterion)

    verdict = first_verdict("evaluate", evaluate)
    assert verdict.mistake == "tracks-gradients"
    assert "backward pass" in verdict.hint
    assert "never comes" not in verdict.hint


def test_percent_quotes_the_accuracy():
    def evaluate(model, loader, criterion):
        loss, accuracy = evaluate_running({"sum-of-means-over-examples"})(model, loader, criterion)
        return loss, 100 * accuracy

    verdict = first_verdict("evaluate", evaluate)
    assert verdict.mistake == "accuracy-in-percent", verdict
    assert "the accuracy is 63.6" in verdict.hint, "not the loss, which is wrong as well"


def test_batches_left_out_are_listed():
    verdict = first_verdict("evaluate", loop_with("evaluate", "in loader:", "in list(loader)[1:]:"))
    assert "were not used: 1." in verdict.hint


def test_eval_mode_may_stay_on_with_a_remark():
    verdict = first_verdict("evaluate", solutions.evaluate)
    assert verdict.passed
    assert "eval mode" in verdict.hint


def test_restored_mode_gets_no_remark():
    assert first_verdict("evaluate", evaluate_at_once(set())).hint == ""


def test_gradients_left_off_get_a_remark():
    def evaluate(model, loader, criterion):
        torch.set_grad_enabled(False)
        return solutions.evaluate(model, loader, criterion)

    verdict = first_verdict("evaluate", evaluate)
    assert verdict.passed
    assert "no_grad" in verdict.hint
    assert torch.is_grad_enabled()


def normalize_written(*lines):
    """Return a `normalize` that runs these lines."""

    def normalize(train, test):
        names = {"train": train, "test": test}
        for line in lines:
            exec(line, names)
        return names["train"], names["test"]

    return normalize


STATISTICS = "mean, std = train.mean(), train.std()"
BOTH_SCALED = "train, test = train / 255, test / 255"
TRAIN = "train = (train - mean) / std"


@pytest.mark.parametrize(
    ("lines", "mistake", "phrase"),
    [
        (["train = train / 255", STATISTICS, "test = (test - mean) / std", TRAIN],
         "wrong", "on another scale than `train`"),
        (["test = test / 255", STATISTICS, "test = (test - mean) / std", TRAIN],
         "wrong", "on another scale than `train`"),
        ([STATISTICS, BOTH_SCALED, "test = (test - mean) / std", TRAIN],
         "wrong", "mean and std are on 0–255, the images on 0–1"),
        (["mean, std = (train / 255).mean(), (train / 255).std()", TRAIN,
          "test = (test - mean) / std"], "wrong", "mean and std are on 0–1, the images on 0–255"),
        ([BOTH_SCALED, STATISTICS, TRAIN, "test = test - mean"],
         "no-scaling", "`train` is right; `test` is not"),
        ([BOTH_SCALED, STATISTICS, TRAIN, "test = test / std"],
         "no-centering", "`train` is right; `test` is not"),
        ([BOTH_SCALED, STATISTICS, TRAIN, "test = (test - test.mean()) / std"],
         "test-statistics", "its own mean was subtracted"),
        ([BOTH_SCALED, STATISTICS, TRAIN, "test = (test - mean) / test.std()"],
         "test-statistics", "divided by its own deviation"),
        ([BOTH_SCALED, STATISTICS, TRAIN], "wrong", "returned unchanged, or only divided by 255"),
    ],
)  # fmt: skip
def test_normalize_says_which_set_is_wrong_and_how(lines, mistake, phrase):
    verdict = first_verdict("normalize", normalize_written(*lines))
    assert verdict.mistake == mistake, verdict
    assert phrase in verdict.hint
    assert "That is not all" not in verdict.hint


def test_test_set_that_was_changed_is_not_called_unchanged():
    twice = ["test = (test - mean) / std"] * 2
    verdict = first_verdict("normalize", normalize_written(BOTH_SCALED, STATISTICS, *twice, TRAIN))
    assert verdict.mistake == "wrong"
    assert "unchanged" not in verdict.hint


@pytest.mark.parametrize(
    ("order", "size", "mistake", "phrase"),
    [
        (
            "rng.permutation(n)",
            "n * r / 100",
            "wrong",
            "`val_idx` is empty; n · val_ratio is 12.2.",
        ),
        ("rng.permutation(n)", "n", "wrong", "`train_idx` is empty"),
        ("rng.permutation(n) + 1", "n * r", "drops-samples", "index 61 does not exist"),
        ("np.arange(n)", "n * r", "not-shuffled", "evenly spaced"),
    ],
)
def test_split_says_what_is_wrong(order, size, mistake, phrase):
    def split(n, r, seed):
        names = {"n": n, "r": r, "np": np, "rng": np.random.default_rng(seed)}
        indices, n_val = eval(order, names), int(eval(size, names))
        return indices[n_val:], indices[:n_val]

    verdict = first_verdict("split", split)
    assert verdict.mistake == mistake, verdict
    assert phrase in " ".join(verdict.hint.split())


def test_split_counts_shared_indices():
    def split(n, r, seed, more=0):
        train, val = solutions.split(n, r, seed)
        return np.r_[train, val[: more or None]], val

    assert "With n = 61, 12 indices are in both parts." in first_verdict("split", split).hint
    one = partial(split, more=1)
    assert "With n = 61, 1 index is in both parts." in first_verdict("split", one).hint


@pytest.mark.parametrize("limits", [(0, 1), (-1, 1)])
def test_scaling_to_a_range_is_explained(limits):
    verdict = first_verdict("normalize", scaled_to(*limits))
    assert "scaled to a range" in verdict.hint


def test_conversion_without_a_copy_gets_a_remark():
    verdict = first_verdict("normalize", normalize_without_a_copy)
    assert verdict.passed
    assert "`astype`, which copies" in verdict.hint
    assert first_verdict("normalize", solutions.normalize).hint == ""


def test_mask_in_place_of_indices_is_explained():
    hint = first_verdict("split", lambda n, r, seed: (np.arange(n) > 9, np.arange(n) <= 9)).hint
    assert "`train_idx` is a mask" in hint


@pytest.mark.slow
@given(st.permutations(range(61)), st.integers(0, 60), st.integers(0, 60))
def test_random_cuts_pass_only_if_right(order, start, stop):
    """The first probe has 61 samples, 12 or 13 of them for validation."""

    def split(n, val_ratio, seed):
        if n != 61:
            return solutions.split(n, val_ratio, seed)
        own = np.random.default_rng(seed).permutation(order)
        return own[start:], own[:stop]

    verdict = checks.split(split)
    assert verdict.passed == (start == stop and stop in (12, 13)), verdict


@pytest.mark.slow
@settings(max_examples=25)  # each is a check of 80 images
@given(st.floats(-1, 2), st.floats(0.2, 3), st.sampled_from([1, 255]))
def test_random_lines_pass_only_if_right(share, power, unit):
    """(x − share · mean) / std^power is right where both are 1."""

    def normalize(train, test):
        a, b = train / unit, test / unit
        mean, std = a.mean(), a.std()
        return (a - share * mean) / std**power, (b - share * mean) / std**power

    verdict = checks.normalize(normalize)
    off = max(abs(share - 1), abs(power - 1))
    assert verdict.passed if off < 1e-6 else not verdict.passed or off < 1e-2


@pytest.mark.slow
@given(st.lists(st.sampled_from([0.0, 1.0, 9.0, 4.0]), min_size=3, max_size=3))
def test_random_batch_weights_pass_only_if_right(weights):
    def evaluate(model, loader, criterion):
        model.eval()
        if len(loader.dataset) != 22:
            return solutions.evaluate(model, loader, criterion)
        with torch.no_grad():
            logits = [model(images) for images, _ in loader]
        losses = [criterion(z, y).item() for z, (_, y) in zip(logits, loader, strict=True)]
        hits = [(z.argmax(1) == y).float().mean().item()
                for z, (_, y) in zip(logits, loader, strict=True)]  # fmt: skip
        w = np.array(weights) / (sum(weights) or 1)
        return w @ losses, w @ hits

    verdict = checks.evaluate(evaluate)
    assert verdict.passed == (weights[0] == weights[1] != 0 and weights[2] * 9 == weights[0] * 4)


def test_right_answers_work_on_the_weeks_loaders():
    images, labels = torch.randn(10, 1, 28, 28), torch.arange(10)
    loader = BatchLoader(images, labels, 4)
    model = solutions.mlp()
    criterion = nn.CrossEntropyLoss()
    expected = F.cross_entropy(model(images), labels).item()
    for evaluate in RIGHT["evaluate"]:
        assert evaluate(model, loader, criterion)[0] == pytest.approx(expected, rel=1e-5)
    for train_one_epoch in RIGHT["train_one_epoch"]:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        loss, accuracy = train_one_epoch(model, loader, optimizer, criterion)
        assert 0 < float(loss) < 5
        assert 0 <= float(accuracy) <= 1


@pytest.mark.parametrize("name", ["mlp", "train_step", "train_one_epoch", "evaluate"])
def test_checks_work_in_any_global_state(name):
    """Autograd is off and float64 is the default, from an earlier cell."""
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad():
            assert first_verdict(name, getattr(solutions, name)).passed
            assert not torch.is_grad_enabled()
    finally:
        torch.set_default_dtype(torch.float32)


ACCURACY = "(logits.argmax(dim=1) == labels).sum().item()"


@pytest.mark.parametrize(
    ("right", "wrong", "mistake", "says"),
    [
        ("correct / count", "total / count", "wrong", "Both of your numbers are the loss"),
        ("return total / count", "return correct / count", "wrong", "are the accuracy"),
        ("correct / count", "correct // count", "wrong", "The loss is right; the accuracy is not"),
        ("dim=1", "", "wrong", "The loss is right; the accuracy is not"),
        ("argmax(dim=1)", "max(dim=1)[0]", "wrong", "The loss is right; the accuracy is not"),
        ("==", "!=", "wrong", "the share of wrong answers"),
        ("return total / count, correct / count", "return correct / count, total / count",
         "swapped-return", "in each other's place"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", LOOPS)
def test_wrong_number_is_described(name, right, wrong, mistake, says):
    body = loop_with(name, ACCURACY, ACCURACY.replace(right, wrong)) if right in ACCURACY else None
    verdict = first_verdict(name, body or loop_with(name, right, wrong))
    assert verdict.mistake == mistake, verdict
    assert says in verdict.hint
    assert "trainable" not in verdict.hint


MEAN = ACCURACY.replace("sum()", "float().mean()")


@pytest.mark.parametrize(
    ("wrong", "slip"),
    [
        ({ACCURACY: MEAN}, ".float().mean().item()` instead"),
        (
            {ACCURACY: MEAN, "correct / count": "correct / len(loader)"},
            ".float().mean().item() * loader.batch_size` instead",
        ),
        ({"correct / count": "correct"}, "with `total_correct` instead"),
        (
            {"loss.item() * len(labels)": "loss.item()", "total / count": "total / len(loader)"},
            "return total_loss / len(loader)",
        ),
    ],
)
@pytest.mark.parametrize("name", LOOPS)
def test_third_attempt_shows_the_slip_that_was_made(name, wrong, slip):
    first_verdict(name, loop_with(name, wrong))
    exercise = checks.EXERCISES[name]
    exercise(loop_with(name, wrong))
    assert slip in exercise(loop_with(name, wrong)).hint


def test_tensor_in_the_sum_is_to_be_a_number():
    loop = loop_with("train_one_epoch", "total += loss.item() *", "total += loss *")
    verdict = first_verdict("train_one_epoch", loop)
    assert verdict.mistake == "wrong-type"
    assert "`loss.item()`" in verdict.hint


def test_single_examples_are_no_batch():
    loop = loop_with("train_one_epoch", "in loader:", "in loader.dataset:")
    verdict = first_verdict("train_one_epoch", loop)
    assert verdict.mistake == "raised"
    assert "One example is not a batch" in verdict.hint


def test_evaluation_that_trains_is_said_once_to_change_parameters():
    def evaluate(model, loader, criterion):
        with torch.no_grad():
            next(model.parameters()).mul_(2)
        return solutions.evaluate(model, loader, criterion)

    verdict = first_verdict("evaluate", evaluate)
    assert verdict.mistake == "trains"
    assert verdict.hint.count("have changed") == 1


# Interval, calibration error and temperature. A style takes one bug.


def interval_in_steps(bug, hits, n):
    z = {"one-sided": 1.645, "other-level": 2.576}.get(bug, 1.96)
    m = n - 1 if bug == "n-minus-1" else n
    p = hits / n
    if bug == "wald":
        half = z * (p * (1 - p) / m) ** 0.5
        return max(0, p - half), min(1, p + half)
    centre, spread = p + z * z / (2 * m), p * (1 - p) / m + z * z / (4 * m * m)
    if bug == "agresti-coull":
        middle = centre / (1 + z * z / m)
        half = z * (middle * (1 - middle) / (m + z * z)) ** 0.5
        return middle - half, middle + half
    half = z * (spread if bug == "no-root" else spread**0.5)
    scale = 1 + z * z / m
    centre, half = centre / scale, half if bug == "half-not-divided" else half / scale
    if bug == "centre-at-share":
        centre = p
    if bug == "not-the-ends":
        return centre, half
    ends = [centre - half, centre + half]
    if bug == "percent":
        ends = [100 * end for end in ends]
    return ends[::-1] if bug == "swapped-return" else ends


def interval_as_roots(bug, hits, n):
    """Both ends solve (p − x)² = z² x (1 − x) / n, a quadratic equation."""
    z2 = {"one-sided": 1.645, "other-level": 1.0}.get(bug, 1.959964) ** 2
    m = n - 1 if bug == "n-minus-1" else n
    p = np.float64(hits) / n
    if bug in ("wald", "agresti-coull", "no-root", "half-not-divided"):
        return list(map(np.float64, interval_in_steps(bug, hits, n)))
    low, high = np.sort(np.roots([1 + z2 / m, -2 * p - z2 / m, p * p]).real)
    half = (high - low) / 2
    if bug == "centre-at-share":
        return p - half, p + half
    if bug == "not-the-ends":
        return [torch.tensor(low + half), torch.tensor(half)]
    ends = torch.tensor([low, high], dtype=torch.float64)
    ends = 100 * ends if bug == "percent" else ends
    return tuple(ends.flip(0) if bug == "swapped-return" else ends)


def ece_in_masks(bug, confidences, hits, bins):
    bins = 10 if bug == "fixed-bins" else bins
    edges = np.linspace(0, 1, bins + 1)
    if bug == "bins-from-data":
        edges = np.linspace(confidences.min(), confidences.max(), bins + 1)
    if bug == "equal-mass":
        edges = np.quantile(confidences, edges)
    gaps, weights = [], []
    for k, (low, high) in enumerate(zip(edges, edges[1:], strict=False)):
        inside = (confidences >= low) & (confidences < high)
        if k == bins - 1 and bug != "last-edge":
            inside = confidences >= low
        if inside.any() or bug == "empty-bins":
            middle = (low + high) / 2 if bug == "midpoints" else confidences[inside].mean()
            gap = hits[inside].mean() - middle
            gaps.append(gap if bug == "signed" else gap**2 if bug == "squared" else abs(gap))
            weights.append(inside.mean())
    gaps, weights = np.array(gaps), np.array(weights)
    if bug == "unweighted":
        return gaps.mean()
    if bug == "largest-gap":
        return gaps.max()
    if bug == "not-averaged":
        return gaps.sum()
    return (gaps * weights).sum() * (100 if bug == "percent" else 1)


def ece_in_sums(bug, confidences, hits, bins):
    """Plain Python: sums of hits and of confidences per bin, with a dictionary."""
    bins = 15 if bug == "fixed-bins" else bins
    if bug in ("bins-from-data", "equal-mass", "midpoints", "empty-bins"):
        return ece_in_masks(bug, confidences, hits, bins)
    sums = {}
    for confidence, hit in zip(confidences.tolist(), hits.tolist(), strict=True):
        k = int(confidence * bins)
        if k == bins:
            if bug == "last-edge":
                continue
            k -= 1
        count, right, sure = sums.get(k, (0, 0, 0.0))
        sums[k] = count + 1, right + hit, sure + confidence
    gaps = {k: right / count - sure / count for k, (count, right, sure) in sums.items()}
    if bug == "signed":
        return abs(sum(gaps[k] * sums[k][0] for k in gaps)) / len(hits)
    gaps = {k: abs(gap) for k, gap in gaps.items()}
    if bug == "largest-gap":
        return max(gaps.values())
    if bug == "unweighted":
        return sum(gaps.values()) / bins
    if bug == "squared":
        return (sum(gaps[k] ** 2 * sums[k][0] for k in gaps) / len(hits)) ** 0.5
    total = sum(gaps[k] * sums[k][0] for k in gaps)
    return total if bug == "not-averaged" else total / len(hits) * (100 if bug == "percent" else 1)


def temperature_from_grid(bug, logits, labels):
    candidates = np.arange(0.02, 6, 0.04)
    losses = []
    for T in candidates:
        scaled = logits * T if bug == "inverse" else logits / T
        probs = scaled.softmax(1)
        loss = F.cross_entropy(probs if bug == "softmax-twice" else scaled, labels)
        if bug == "matches-confidence":
            hits = (logits.argmax(1) == labels).float()
            loss = abs(hits.mean() - probs.max(1).values.mean())
        if bug == "squared-error":
            loss = ((probs - F.one_hot(labels, logits.shape[1])) ** 2).mean()
        if bug == "same-for-all":
            loss = (scaled.argmax(1) != labels).float().mean()
        losses.append(loss.item())
    T = candidates[np.argmin(losses)]
    if bug == "always-one":
        return 1.0
    return np.log(T) if bug == "log-temperature" else T


def temperature_by_newton(bug, logits, labels):
    """Newton's method on 1 / T, in which the loss is convex, in float64."""
    if bug in ("softmax-twice", "matches-confidence", "squared-error", "same-for-all"):
        return temperature_from_grid(bug, logits.double(), labels)
    factor = torch.full((), 0.1, dtype=torch.float64, requires_grad=True)
    for _ in range(20):
        loss = F.cross_entropy(logits.double() * factor, labels)
        (slope,) = torch.autograd.grad(loss, factor, create_graph=True)
        (curvature,) = torch.autograd.grad(slope, factor)
        with torch.no_grad():
            factor -= slope / curvature
    if bug == "always-one":
        return 1
    T = 1 / factor.item()
    if bug == "log-temperature":
        return math.log(T)
    return factor.item() if bug == "inverse" else T


def temperature_with_arrays(bug, logits, labels):
    """NumPy and SciPy, which take arrays only."""
    if bug not in (None, "inverse", "log-temperature", "always-one"):
        return temperature_from_grid(bug, torch.from_numpy(logits), torch.from_numpy(labels))

    def loss(log_T):
        scaled = logits.astype(float) / np.exp(log_T)
        return (logsumexp(scaled, axis=1) - scaled[np.arange(len(labels)), labels]).mean()

    log_T = minimize_scalar(loss, bounds=(-4, 4), method="bounded").x
    if bug == "always-one":
        return 1.0
    if bug == "log-temperature":
        return log_T
    return np.exp(-log_T if bug == "inverse" else log_T)


NEW_STYLES = {
    "accuracy_interval": [interval_in_steps, interval_as_roots],
    "calibration_error": [ece_in_masks, ece_in_sums],
    "fit_temperature": [temperature_from_grid, temperature_by_newton, temperature_with_arrays],
}
NEW_BUGS = [
    pytest.param(name, style, mistake, id=f"{name}-{style.__name__}-{mistake}")
    for name, styles in NEW_STYLES.items()
    for style in styles
    for mistake in sorted({m.id for m in checks.EXERCISES[name].mistakes} - {"wrong"})
]


@pytest.mark.parametrize(("name", "style", "bug"), NEW_BUGS)
def test_mistake_in_a_new_style_is_named(name, style, bug):
    verdict = first_verdict(name, partial(style, bug))
    assert (verdict.passed, verdict.mistake) == (False, bug), verdict
    assert any(character.isdigit() for character in verdict.hint), "it quotes no number"


@pytest.mark.parametrize(
    ("name", "function"),
    [
        *((name, partial(style, None)) for name, styles in NEW_STYLES.items() for style in styles),
        ("accuracy_interval", lambda hits, n: tuple(
            binomtest(hits, n).proportion_ci(method="wilson"))),
        ("accuracy_interval", lambda hits, n: package_interval(hits / n, n)),
        ("calibration_error", lambda c, hits, bins: np.float32(
            ece_in_masks(None, c.astype(np.float32), hits, bins))),
        ("calibration_error", lambda c, hits, bins: torch.tensor(
            ece_in_sums(None, c, hits.astype(int), bins))),
        ("fit_temperature", lambda z, y: temperature_from_grid(None, z, y) + 0.02),
    ],
)  # fmt: skip
def test_right_answer_of_a_new_style_passes(name, function):
    verdict = first_verdict(name, function)
    assert verdict.passed, verdict


def interval_with(
    half_n=lambda n, z: z**2 / (2 * n),
    root=lambda variance, n, z: (variance + z**2 / (4 * n**2)) ** 0.5,
    divided=True,
):
    """Return Wilson's interval with a term in another form."""

    def interval(hits, n):
        z, p = 1.96, hits / n
        scale = 1 + z**2 / n if divided else 1
        centre, half = p + half_n(n, z), z * root(p * (1 - p) / n, n, z)
        return (centre - half) / scale, (centre + half) / scale

    return interval


def times_n(n, z):
    return z**2 / 2 * n


def root_times_n(variance, n, z):
    return (variance + z**2 / 4 * n**2) ** 0.5


def short_root(variance, n, z):
    return variance**0.5 + z / (4 * n**2)  # z² / (4n²), once it is multiplied by z


@pytest.mark.parametrize(
    ("interval", "says"),
    [
        (interval_with(divided=False), "fraction in front is missing"),
        (interval_with(times_n), "multiplies by n"),
        (interval_with(root=root_times_n), "multiplies by n"),
        (interval_with(times_n, root_times_n), "multiplies by n"),
        (interval_with(root=short_root), "root ends"),
    ],
)
def test_slip_in_wilsons_formula_is_explained(interval, says):
    verdict = first_verdict("accuracy_interval", interval)
    assert verdict.mistake == "wrong"
    assert says in verdict.hint


@pytest.mark.parametrize(
    ("fit", "says"),
    [
        (lambda losses, tried: min(losses), "lowest cross-entropy itself"),
        (lambda losses, tried: int(np.argmin(losses)), "looks like the position"),
        (lambda losses, tried: max(1.0, tried[np.argmin(losses)]), "stops at 1"),
        (lambda losses, tried: 1.2 * tried[np.argmin(losses)], "not near enough"),
        (lambda losses, tried: 3 * tried[np.argmin(losses)], "expected"),
    ],
)
def test_temperature_that_is_not_the_best_is_explained(fit, says):
    def fit_temperature(logits, labels):
        tried = np.geomspace(0.1, 10, 201)
        return fit([F.cross_entropy(logits / T, labels).item() for T in tried], tried)

    verdict = first_verdict("fit_temperature", fit_temperature)
    assert verdict.mistake == "wrong"
    assert says in verdict.hint


def test_exact_interval_is_caught_without_a_name():
    verdict = checks.accuracy_interval(lambda hits, n: tuple(binomtest(hits, n).proportion_ci()))
    assert verdict.mistake == "wrong"
    assert "hits = 47" in verdict.hint


@pytest.mark.slow
@given(st.floats(-0.5, 0.5), st.floats(0.3, 3))
def test_random_temperature_passes_only_near_the_right_one(offset, factor):
    def fit(logits, labels):
        return factor * solutions.fit_temperature(logits, labels) + offset

    off = abs(np.log(factor))
    verdict = first_verdict("fit_temperature", fit)
    if verdict.passed:
        assert off < 0.8
    if abs(offset) < 0.01 and off < 0.01:
        assert verdict.passed


def test_temperature_may_not_change_the_logits():
    def fit(logits, labels):
        logits /= 2
        return 2 * solutions.fit_temperature(logits, labels)

    assert first_verdict("fit_temperature", fit).mistake == "modifies-input"
