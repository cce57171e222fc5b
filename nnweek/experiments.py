"""Whole runs, and how sure their numbers are (Days 32 to 35)."""

import copy
import functools
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

from nnweek._validate import number, one_of, positive_float, positive_int
from nnweek.mnist import load_mnist, make_loaders
from nnweek.models import MNISTMLP
from nnweek.training import History, evaluate, fit

OPTIMIZERS = {
    "SGD": torch.optim.SGD,
    "Momentum": functools.partial(torch.optim.SGD, momentum=0.9),
    "Adam": torch.optim.Adam,
    "AdamW": torch.optim.AdamW,
}


@dataclass(frozen=True)
class Run:
    """A finished training run. Introduced on Day 32.

    Attributes:
        model: the trained network.
        history: its `nnweek.training.History`.
        test_loss, test_acc: on the test set, after the last epoch.
        test_size: how many test images that is.
    """

    model: nn.Module
    history: History
    test_loss: float
    test_acc: float
    test_size: int


def train_baseline(data, *, epochs=5, lr=0.1, batch_size=128, seed=42, device=None):
    """Train the week's baseline: `MNISTMLP` with plain SGD. Introduced on Day 32.

    Args:
        data: `nnweek.mnist.Digits`.
        epochs: passes over the training data, at least 1.
        lr: the learning rate, above 0.
        batch_size: examples in a batch, at least 1.
        seed: of the weights, the split and the order of the batches.
        device: `nnweek.runtime.get_device()` by default.

    Returns:
        `Run`.

    Raises:
        TypeError, ValueError: if an argument is not as said.
    """
    train_loader, val_loader, test_loader = make_loaders(data, batch_size, seed=seed, device=device)
    model = _fresh_model(train_loader, seed)
    optimizer = make_optimizer("SGD", model, lr)
    history = fit(model, train_loader, val_loader, optimizer, epochs=epochs)
    test_loss, test_acc = evaluate(model, test_loader, nn.CrossEntropyLoss())
    return Run(model, history, test_loss, test_acc, len(test_loader.dataset))


def train_model_with_optimizer(
    optimizer_name="SGD",
    epochs=5,
    lr=0.001,
    *,
    train_loader=None,
    val_loader=None,
    seed=42,
    device=None,
):
    """Train `MNISTMLP` with one optimizer. Introduced on Day 33.

    Two calls with one seed and the default loaders start from the same weights and see
    the same batches in the same order, whatever the optimizer: what differs is the
    optimizer alone. Loaders that are passed in are started from their first epoch.

    Args:
        optimizer_name: "SGD", "Momentum", "Adam" or "AdamW", in upper or lower case.
        epochs: passes over the training data, at least 1.
        lr: the learning rate, above 0.
        train_loader, val_loader: from `make_loaders`; both or neither.
        seed: of the weights and, without loaders, of the split and the batches.
        device: without loaders, where to train; `get_device()` by default.

    Returns:
        train_losses, val_losses, val_accs: lists of one float an epoch.

    Raises:
        TypeError, ValueError: if an argument is not as said.
    """
    _known_optimizer("optimizer_name", optimizer_name)
    epochs = positive_int("epochs", epochs)
    lr = positive_float("lr", lr)
    if (train_loader is None) != (val_loader is None):
        raise ValueError("train_loader and val_loader must be given together, or neither")
    if train_loader is None:
        train_loader, val_loader, _ = make_loaders(load_mnist(), seed=seed, device=device)
    if hasattr(train_loader, "epoch"):
        train_loader.epoch = 0
    model = _fresh_model(train_loader, seed)
    optimizer = make_optimizer(optimizer_name, model, lr)
    history = fit(model, train_loader, val_loader, optimizer, epochs=epochs)
    return history.train_loss, history.val_loss, history.val_acc


def make_optimizer(name, model, lr):
    """Make an optimizer of PyTorch's for a model's parameters. Introduced on Day 33.

    Args:
        name: "SGD", "Momentum" (SGD with momentum 0.9), "Adam" or "AdamW".
        model: an `nn.Module`.
        lr: the learning rate, above 0; everything else is as PyTorch has it.

    Raises:
        TypeError, ValueError: if the name is unknown or `lr` is not above 0.
    """
    make = OPTIMIZERS[_known_optimizer("name", name)]
    return make(model.parameters(), lr=positive_float("lr", lr))


def in_parallel(train, *arguments):
    """Call a function for each of many runs, several at a time. Introduced on Day 32.

    Several cores at work on one small network mostly wait for each other; as many networks,
    a core each, do not. So as many runs go at once as there are cores, each with one thread.
    On a GPU, which they would have to share, they go one after the other.

    Args:
        train: called with one of each of `arguments`, like the function of `map`. It draws
            only from generators of its own, as `MNISTMLP(seed=…)` and `BatchLoader` do.
        arguments: iterables of equal length.

    Returns:
        A list of what `train` returned, in the order of the arguments.

    Raises:
        ValueError: if the iterables differ in length.
        RuntimeError: if a run drew from PyTorch's shared generator, as dropout does and layers
            without a seed: with several runs at once, nobody could repeat that.
        Exception: whatever `train` raises first.
    """
    jobs = list(zip(*arguments, strict=True))
    threads, before = torch.get_num_threads(), torch.get_rng_state()
    try:
        with ThreadPoolExecutor(
            _runs_at_once(), initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            results = [run.result() for run in [pool.submit(train, *job) for job in jobs]]
    finally:
        torch.set_num_threads(threads)
    if not torch.equal(before, torch.get_rng_state()):
        raise RuntimeError(
            "a run drew from PyTorch's shared generator (dropout, or a network without a seed): "
            "in parallel, its numbers would differ from call to call. Make the networks before, "
            "or run these one after the other"
        )
    return results


def _runs_at_once():
    if torch.cuda.is_available():
        return 1
    from joblib import cpu_count  # knows the limits of containers; scikit-learn brings it

    return cpu_count()


# --- One step, written out ------------------------------------------------------------------
# For numbers, arrays and tensors alike. With one more axis in front of w, one entry a model,
# and `lr` of shape (K, 1, …), each function steps K models at once, each at its own rate.


def momentum_step(w, g, v, lr, mu=0.9):
    """One step of SGD with momentum, in PyTorch's convention. Introduced on Day 33.

    Args:
        w: the weights.
        g: their gradient, like w.
        v: the velocity so far, like w; zeros before the first step.
        lr: the learning rate.
        mu: how much of the velocity stays.

    Returns:
        w, v: after the step.
    """
    v = mu * v + g
    return w - lr * v, v


def adam_step(w, g, m, v, t, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    """One step of Adam. Introduced on Day 33.

    Args:
        w: the weights.
        g: their gradient, like w.
        m, v: running means of g and of g², like w; zeros before the first step.
        t: the number of this step, from 1.
        lr: the learning rate.
        beta1, beta2: how much of m and v stays.
        eps: keeps the quotient finite where all gradients were 0.

    Returns:
        w, m, v: after the step.

    Source: Kingma and Ba (2015), *Adam: a method for stochastic optimization*, algorithm 1.
    """
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return w - lr * m_hat / (v_hat**0.5 + eps), m, v


def adamw_step(w, g, m, v, t, lr=0.001, weight_decay=0.01):
    """One step of AdamW: shrink the weights, then step as Adam. Introduced on Day 33.

    Args:
        w, g, m, v, t, lr: as in `adam_step`.
        weight_decay: the share of w that is taken away, times lr.

    Returns:
        w, m, v: after the step.

    Source: Loshchilov and Hutter (2019), *Decoupled weight decay regularization*.
    """
    return adam_step(w - lr * weight_decay * w, g, m, v, t, lr)


# How many memories an optimizer keeps of each parameter, and its step:
# (w, g, *memories, t, lr) → (w, *memories).
STEPS = {
    "SGD": (0, lambda w, g, t, lr: (w - lr * g,)),
    "Momentum": (1, lambda w, g, v, t, lr: momentum_step(w, g, v, lr)),
    "Adam": (2, adam_step),
    "AdamW": (2, adamw_step),
}


def train_together(models, train_loader, val_loader, optimizer_name, lr, *, epochs=1, every=None):
    """Train several models of one shape at once, each as `fit` would. Introduced on Day 33.

    The models may differ in their weights, their learning rates and their batches, not in
    the optimizer. One whose loss overflows does not disturb the others.

    Args:
        models: K modules of one class and shape, without buffers (so without BatchNorm) and
            all on the loaders' device; they are changed in place.
        train_loader: one loader for all, or a list of K whose batches are of equal sizes.
            A `BatchLoader` is started from its first epoch.
        val_loader: one loader for all.
        optimizer_name: "SGD", "Momentum", "Adam" or "AdamW", in upper or lower case.
        lr: one learning rate for all, or K of them, or an array (K, steps) with the rate of
            each model at each step. Not below 0, and for no model always 0.
        epochs: passes over the training data, at least 1.
        every: steps between two entries of the histories; an epoch by default.

    Returns:
        A list of K `History`, one a model, with an entry after every `every` steps and after
        the last. `seconds` are those of all models that shared a core, or the GPU.

    Raises:
        TypeError, ValueError: if an argument is not as said.
        RuntimeError: if the models draw random numbers while they train, as dropout does.
    """
    models = list(models)
    K = len(models)
    memories, step = STEPS[_known_optimizer("optimizer_name", optimizer_name)]
    epochs = positive_int("epochs", epochs)
    if not models:
        raise ValueError("models is empty: there is nothing to train")
    if any(True for _ in models[0].buffers()):
        raise ValueError(
            "models must have no buffers (such as BatchNorm's): they would not be kept"
        )
    several = isinstance(train_loader, (list, tuple))
    loaders = list(train_loader) if several else [train_loader]
    if several and len(loaders) != K:
        raise ValueError(f"train_loader must be one loader or {K}, one a model; got {len(loaders)}")
    every = len(loaders[0]) if every is None else positive_int("every", every)
    rates = _rates(lr, K, epochs * len(loaders[0]))

    def train(share):
        # Copies, because a loader counts its passes; the images are shared.
        own = [copy.copy(loader) for loader in (loaders[share] if several else loaders)]
        return _train_stacked(
            models[share], own, val_loader, memories, step, rates[share], epochs, every
        )

    # On a CPU each core takes a share of the models; a GPU takes them all.
    shares = min(K, _runs_at_once())
    ends = [round(k * K / shares) for k in range(shares + 1)]
    groups = in_parallel(train, map(slice, ends[:-1], ends[1:]))
    return [history for group in groups for history in group]


def _train_stacked(models, loaders, val_loader, memories, step, rates, epochs, every):
    """Train K models at once, their parameters stacked; `rates` is (K, steps)."""
    K = len(models)
    stacked, _ = stack_module_state(models)  # each parameter (K, …)
    params = {name: p.detach() for name, p in stacked.items()}
    kept = {name: [torch.zeros_like(p) for _ in range(memories)] for name, p in params.items()}
    rates = rates.to(next(iter(params.values())).device)

    def score(params, images, labels):
        logits = functional_call(models[0], params, (images,))
        hits = (logits.argmax(dim=1) == labels).sum()
        return nn.functional.cross_entropy(logits, labels), hits

    several = len(loaders) > 1
    own = 0 if several else None  # has each model its own batch, or do all share one?
    backward = vmap(
        grad_and_value(score, has_aux=True), in_dims=(0, own, own), randomness="different"
    )
    validate = vmap(score, in_dims=(0, None, None))

    histories = [History() for _ in models]
    losses, hits, sizes = [], [], []
    models[0].train()
    start = time.perf_counter()
    for t, (images, labels) in enumerate(_batches(loaders, epochs, several), start=1):
        grads, (loss, hit) = backward(params, images, labels)
        for name, w in params.items():
            rate = rates[:, t - 1].view(K, *[1] * (w.ndim - 1))  # (K, 1, …)
            params[name], *kept[name] = step(w, grads[name], *kept[name], t, rate)
        losses.append(loss)
        hits.append(hit)
        sizes.append(labels.shape[-1])
        if t % every == 0 or t == rates.shape[1]:
            train_loss, train_acc = _means(losses, hits, sizes)  # waits until all is computed
            seconds = time.perf_counter() - start
            models[0].eval()
            with torch.no_grad():
                scores = [(*validate(params, x, y), len(y)) for x, y in val_loader]
            if not scores:
                raise ValueError("val_loader yielded no batch: there is nothing to score")
            val_loss, val_acc = _means(*zip(*scores, strict=True))
            for k, history in enumerate(histories):
                history.train_loss.append(train_loss[k])
                history.train_acc.append(train_acc[k])
                history.val_loss.append(val_loss[k])
                history.val_acc.append(val_acc[k])
                history.seconds.append(seconds)
            losses, hits, sizes = [], [], []
            models[0].train()
            start = time.perf_counter()

    with torch.no_grad():
        for k, model in enumerate(models):
            for name, p in model.named_parameters():
                p.copy_(params[name][k])
            model.eval()
    return histories


def best_rate(rates, scores):
    """The learning rate with the highest score; warns if it is at an end of the grid.

    Introduced on Day 33. A best at the end says that the grid was too narrow: the best
    of all rates may lie outside.

    Args:
        rates: the grid, at least 3 rates in ascending order.
        scores: what each of them led to, such as a validation accuracy; NaN counts as the
            lowest, and of equal scores the one with the lowest rate is the best.

    Returns:
        The rate, a float.

    Warns:
        UserWarning: if the best is the first or the last rate.

    Raises:
        ValueError: if there is not one score a rate, the rates do not ascend, or all scores
            are NaN.
    """
    rates, scores = np.asarray(rates, dtype=float), np.asarray(scores, dtype=float)
    if rates.ndim != 1 or len(rates) < 3 or not (np.diff(rates) > 0).all():
        raise ValueError(f"rates must be at least 3 rates in ascending order, got {rates}")
    if scores.shape != rates.shape:
        raise ValueError(f"scores must have shape {rates.shape}, one a rate; got {scores.shape}")
    if np.isnan(scores).all():
        raise ValueError(f"scores must hold a number, got {scores}")
    best = int(np.nanargmax(scores))
    if best in (0, len(rates) - 1):
        warnings.warn(
            f"the best rate, {rates[best]:g}, is at the end of the grid from {rates[0]:g} to "
            f"{rates[-1]:g}: widen the grid before you call it the best",
            stacklevel=2,
        )
    return float(rates[best])


# --- How sure the numbers are -----------------------------------------------------------------


@dataclass(frozen=True)
class Difference:
    """A mean difference over paired runs, with its 95 % interval. Introduced on Day 33.

    Attributes:
        mean: of first − second.
        low, high: the ends of the interval.
        n: how many pairs it was measured on.
    """

    mean: float
    low: float
    high: float
    n: int

    @property
    def verdict(self):
        """ "first higher", "second higher" or "no difference shown"."""
        if self.low > 0:
            return "first higher"
        return "second higher" if self.high < 0 else "no difference shown"


def mean_interval(values):
    """Mean over the first axis, with Student's 95 % interval. Introduced on Day 33.

    Where the mean of further runs of the same kind is expected to lie; it takes the values
    for independent and roughly normal.

    Args:
        values: (S,) or (S, …), one row a run (a seed), at least 2 rows.

    Returns:
        mean, low, high: arrays of the shape of one row; floats if that is a number.

    Raises:
        ValueError: if there are fewer than 2 rows.

    Source: Student (1908), *The probable error of a mean*, Biometrika 6, 1–25.
    """
    from scipy.special import stdtrit  # the quantiles of Student's t; scikit-learn brings it

    values = np.asarray(values, dtype=float)
    if values.ndim == 0 or len(values) < 2:
        raise ValueError(f"values must have at least 2 rows, one a run; got shape {values.shape}")
    n = len(values)
    mean = values.mean(axis=0)
    half = stdtrit(n - 1, 0.975) * values.std(axis=0, ddof=1) / np.sqrt(n)
    return mean, mean - half, mean + half


def paired_difference(first, second):
    """The mean of first − second over paired runs, with its interval. Introduced on Day 33.

    Pairs share everything but what is compared: the seed, the weights, the batches. What
    moves both runs of a pair alike cancels in their difference.

    Args:
        first, second: one number a run, in the same order of the pairs; at least 2, finite.

    Returns:
        `Difference`, whose `.verdict` may be "no difference shown".

    Raises:
        ValueError: if the two differ in length, are too short or not finite.
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(
            f"first and second must be lists of one length, one number a pair; "
            f"got shapes {first.shape} and {second.shape}"
        )
    if len(first) < 2:
        raise ValueError(
            f"first must hold at least 2 runs, got {len(first)}: one pair shows no spread"
        )
    if not np.isfinite(first - second).all():
        raise ValueError(f"first and second must be finite, got {first} and {second}")
    return Difference(*map(float, mean_interval(first - second)), len(first))


def accuracy_interval(acc, n):
    """Wilson's 95 % interval for an accuracy measured on n examples. Introduced on Day 32.

    How far the accuracy would move if other examples of the same kind had been drawn.
    It says nothing of how it would move with another seed.

    Args:
        acc: the measured accuracy, 0 to 1.
        n: how many examples it was measured on, at least 1.

    Returns:
        low, high: floats, 0 ≤ low ≤ acc ≤ high ≤ 1.

    Raises:
        TypeError, ValueError: if an argument is not as said.

    Source: Wilson (1927), *Probable inference, the law of succession, and statistical
    inference*, Journal of the American Statistical Association 22, 209–212.
    """
    n = positive_int("n", n)
    acc = number("acc", acc)
    if not 0 <= acc <= 1:
        raise ValueError(f"acc must lie in 0 … 1, got {acc!r}; divide a percentage by 100")
    z = 1.959963984540054  # the 97.5 % point of the standard normal distribution
    centre = (acc + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * (acc * (1 - acc) / n + z**2 / (4 * n**2)) ** 0.5 / (1 + z**2 / n)
    return max(0.0, min(acc, centre - half)), min(1.0, max(acc, centre + half))


def _known_optimizer(argument, name):
    """Return an optimizer's name as `OPTIMIZERS` spells it, or raise if it is unknown."""
    spelled = {known.lower(): known for known in OPTIMIZERS}
    name = spelled.get(name.lower(), name) if isinstance(name, str) else name
    return one_of(argument, name, OPTIMIZERS)


def _rates(lr, K, steps):
    """Bring `lr`, a number, (K,) or (K, steps), to a float32 tensor (K, steps)."""
    rates = np.asarray(lr)
    if rates.dtype.kind not in "fiu":
        raise TypeError(f"lr must be a number or an array of numbers, got {lr!r}")
    if rates.shape not in ((), (K,), (K, steps)):
        raise ValueError(
            f"lr must be a number or have shape ({K},) or ({K}, {steps}), got {rates.shape}"
        )
    rates = np.broadcast_to(rates[:, None] if rates.ndim == 1 else rates, (K, steps))
    if not (np.isfinite(rates).all() and (rates >= 0).all() and (rates.max(axis=1) > 0).all()):
        raise ValueError(f"lr must be finite, never below 0 and not always 0, got {lr!r}")
    return torch.tensor(rates, dtype=torch.float32)


def _batches(loaders, epochs, several):
    """Yield the batches of all epochs; of several loaders, stacked to (K, B, …)."""
    for loader in loaders:
        if hasattr(loader, "epoch"):
            loader.epoch = 0
    for _ in range(epochs):
        for batches in zip(*loaders, strict=True):
            if not several:
                yield batches[0]
                continue
            images, labels = zip(*batches, strict=True)
            yield torch.stack(images), torch.stack(labels)


def _means(losses, hits, sizes):
    """Average over the examples: batches' (K,) losses and hits to K losses, K accuracies."""
    weights = torch.tensor(sizes, dtype=torch.float64)  # the last batch may be smaller
    loss = weights @ torch.stack(losses).detach().cpu().double() / weights.sum()
    acc = torch.stack(hits).sum(dim=0).cpu().double() / weights.sum()
    return loss.tolist(), acc.tolist()


def _fresh_model(train_loader, seed):
    """`MNISTMLP` on the device of the loader's images, its weights drawn from `seed`."""
    batches = [train_loader.dataset[:1]] if hasattr(train_loader, "epoch") else train_loader
    for images, _ in batches:
        return MNISTMLP(seed=seed).to(images.device)
    raise ValueError("train_loader yielded no batch: there is nothing to train on")
