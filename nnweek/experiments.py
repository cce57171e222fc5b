"""Training runs: the baseline, one optimizer, many models at once (Days 32 to 35)."""

import copy
import ctypes
import itertools
import threading
import time
import warnings
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

from nnweek._validate import positive_float, positive_int
from nnweek.loaders import make_loaders
from nnweek.mnist import load_mnist
from nnweek.models import MNISTMLP
from nnweek.notebook import progress_bar
from nnweek.optimizers import STEPS, known_optimizer, make_optimizer
from nnweek.training import History, evaluate, fit


@dataclass(frozen=True)
class Run:
    """A finished training run. Introduced on Day 32.

    Attributes:
        model: the trained network.
        history: its `nnweek.training.History`.
        test_loss, test_acc: on the test set, after the last epoch.
        test_size: number of test images.
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
        epochs: number of epochs, at least 1.
        lr: learning rate, above 0.
        batch_size: examples per batch, at least 1.
        seed: determines the weights, the split and the order of the batches.
        device: `nnweek.runtime.get_device()` by default.

    Returns:
        `Run`.

    Raises:
        TypeError, ValueError: if an argument is not as described.
    """
    train_loader, val_loader, test_loader = make_loaders(data, batch_size, seed=seed, device=device)
    model = _fresh_model(train_loader, seed)
    optimizer = make_optimizer("SGD", model, lr)
    history = fit(model, train_loader, val_loader, optimizer, epochs=epochs)
    test_loss, test_acc = evaluate(model, test_loader, nn.CrossEntropyLoss())
    return Run(model, history, test_loss, test_acc, len(test_loader.dataset))


def train_model_with_optimizer(
    optimizer_name="SGD", epochs=5, lr=0.001, *,
    train_loader=None, val_loader=None, seed=42, device=None,
):  # fmt: skip
    """Train `MNISTMLP` with one optimizer. Introduced on Day 33.

    Two calls with the same seed and the default loaders start from the same weights and see
    the same batches in the same order, so that only the optimizer differs. Loaders that are
    passed in start from their first epoch.

    Args:
        optimizer_name: "SGD", "Momentum", "Adam" or "AdamW", in upper or lower case.
        epochs, lr: as for `train_baseline`.
        train_loader, val_loader: from `make_loaders`; both or neither.
        seed: determines the weights and, without loaders, the split and the batches.
        device: as for `train_baseline`, without loaders.

    Returns:
        train_losses, val_losses, val_accs: lists of floats, one per epoch.

    Raises:
        TypeError, ValueError: if an argument is not as described.
    """
    known_optimizer("optimizer_name", optimizer_name)
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


def in_parallel(train, *arguments):
    """Call a function for each of many runs, several at a time. Introduced on Day 32.

    There are as many runs at a time as cores, with one thread each, because several cores that
    work on one small network mostly wait for each other. On a GPU, the runs are sequential.

    Args:
        train: called with one item of each of `arguments`, like the function of `map`. It
            must use its own random generators, as `MNISTMLP(seed=…)` and `BatchLoader` do.
        arguments: iterables of equal length.

    Returns:
        A list of the return values of `train`, in the order of the arguments.

    Raises:
        ValueError: if the iterables differ in length.
        RuntimeError: if a run drew from PyTorch's shared generator, as dropout and layers
            without a seed do: with parallel runs, that is not reproducible.
        Exception: the first exception raised by `train`. It ends the other runs, and so does
            an interrupt.
    """
    jobs = list(zip(*arguments, strict=True))
    done = [0] * len(jobs)

    def run(i, *job):
        result = train(*job)
        done[i] = 1
        return result

    return _in_parallel(run, jobs, done, total=len(jobs), desc="runs", unit="run")


def _in_parallel(train, jobs, done, **options):
    """Call `train(i, *job)` for every job, with a bar that shows the sum of `done`."""
    threads, before = torch.get_num_threads(), torch.get_rng_state()
    stoppable = _Stoppable()
    pool = ThreadPoolExecutor(_runs_at_once(), initializer=torch.set_num_threads, initargs=[1])
    try:
        futures = [pool.submit(stoppable.call, train, i, *job) for i, job in enumerate(jobs)]
        with progress_bar(**options) as bar:
            remaining = set(futures)
            while remaining:
                ended, remaining = wait(remaining, timeout=0.2, return_when=FIRST_EXCEPTION)
                for future in ended:
                    future.result()  # raises what the run raised
                bar.n = sum(done)
                bar.refresh()  # also if nothing is done yet: the seconds show that it runs
        results = [future.result() for future in futures]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        stoppable.stop()
        pool.shutdown()
        torch.set_num_threads(threads)
    if not torch.equal(before, torch.get_rng_state()):
        raise RuntimeError(
            "A run drew from PyTorch's shared generator (dropout, or a network without a seed). "
            "In parallel, its results would differ from call to call. Create the networks "
            "beforehand, or run these one after the other"
        )
    return results


class _Stoppable:
    """Calls in threads that `stop` ends at their next line of Python."""

    def __init__(self):
        self._threads, self._stopped = set(), False

    def call(self, function, *arguments):
        self._threads.add(threading.current_thread())
        try:
            if self._stopped:
                raise KeyboardInterrupt
            return function(*arguments)
        finally:
            self._threads.discard(threading.current_thread())
            for _ in range(1000):  # an interrupt that is on its way arrives here
                pass

    def stop(self):
        """End the calls; their threads must end with them, as those of a closed pool do."""
        self._stopped = True
        while running := [thread for thread in self._threads.copy() if thread.is_alive()]:
            for thread in running:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(thread.ident), ctypes.py_object(KeyboardInterrupt)
                )
            for thread in running:
                thread.join(timeout=1)  # then again, in case the call swallowed the interrupt


def _runs_at_once():
    if torch.cuda.is_available():
        return 1
    from joblib import cpu_count  # respects the limits of containers; comes with scikit-learn

    return cpu_count()


def train_together(models, train_loader, val_loader, optimizer_name, lr, *, epochs=1, every=None):
    """Train several models of the same shape at once, each as `fit` would. Introduced on Day 33.

    The models may differ in their weights, learning rates and batches, but not in the
    optimizer. A model whose loss overflows does not affect the others.

    Args:
        models: K modules of the same class and shape, without buffers (so without BatchNorm),
            all on the loaders' device; they are changed in place.
        train_loader: one loader for all models, or a list of K loaders with equal batch sizes.
            A `BatchLoader` starts from its first epoch.
        val_loader: one loader for all models.
        optimizer_name: "SGD", "Momentum", "Adam" or "AdamW", in upper or lower case.
        lr: one learning rate for all models, K rates, or an array (K, steps) with the rate of
            each model at each step. At least 0 everywhere, and not 0 at every step of a model.
        epochs: number of epochs, at least 1.
        every: steps between two entries of the histories; by default one epoch.

    Returns:
        A list of K `History`, one per model, with an entry after every `every` steps and after
        the last. `seconds` is the time of all models that shared a core, or the GPU.

    Raises:
        TypeError, ValueError: if an argument is not as described.
        RuntimeError: if the models draw random numbers in training, as dropout does.
    """
    models = list(models)
    K = len(models)
    n_state, step = STEPS[known_optimizer("optimizer_name", optimizer_name)]
    epochs = positive_int("epochs", epochs)
    if not models:
        raise ValueError("models is empty: there is nothing to train")
    if any(True for _ in models[0].buffers()):
        raise ValueError(
            "models must have no buffers (such as BatchNorm's), which would not be updated"
        )
    several = isinstance(train_loader, (list, tuple))
    loaders = list(train_loader) if several else [train_loader]
    if several and len(loaders) != K:
        raise ValueError(
            f"train_loader must be one loader or {K}, one per model; got {len(loaders)}"
        )
    every = len(loaders[0]) if every is None else positive_int("every", every)
    rates = _rates(lr, K, epochs * len(loaders[0]))

    # Each CPU core takes a share of the models; a GPU takes all of them.
    shares = min(K, _runs_at_once())
    ends = [round(k * K / shares) for k in range(shares + 1)]
    done = [0] * shares  # steps

    def train(i, share):
        # Copies, because a loader counts its epochs; the images are shared.
        own = [copy.copy(loader) for loader in (loaders[share] if several else loaders)]
        batches = _counted(_batches(own, epochs, len(own) > 1), done, i)
        return _train_stacked(
            models[share], batches, len(own) > 1, val_loader, n_state, step, rates[share], every
        )

    jobs = [(slice(*pair),) for pair in itertools.pairwise(ends)]
    steps = shares * rates.shape[1]
    groups = _in_parallel(train, jobs, done, total=steps, desc="steps", unit="step")
    return [history for group in groups for history in group]


def _counted(batches, done, i):
    """Yield the batches and keep their number in `done[i]`."""
    for number, batch in enumerate(batches, start=1):
        yield batch
        done[i] = number


def _train_stacked(models, batches, several, val_loader, n_state, step, rates, every):
    """Train K models at once, with their parameters stacked along a first axis of length K.

    For example, the first weights of K `MNISTMLP` become one tensor (K, 256, 784). `vmap` maps
    the gradient of one model over that axis and, if each model has its own loader, over the
    first axis of images (K, B, …) and labels (K, B). `rates` is (K, steps).
    """
    K = len(models)
    stacked, _ = stack_module_state(models)  # each parameter (K, …)
    params = {name: p.detach() for name, p in stacked.items()}
    state = {name: [torch.zeros_like(p) for _ in range(n_state)] for name, p in params.items()}
    rates = rates.to(next(iter(params.values())))  # device and dtype of the models

    def loss_and_hits(params, images, labels):
        logits = functional_call(models[0], params, (images,))
        hits = (logits.argmax(dim=1) == labels).sum()
        return nn.functional.cross_entropy(logits, labels), hits

    own = 0 if several else None  # each model has its own batch, or all share one
    backward = vmap(
        grad_and_value(loss_and_hits, has_aux=True), in_dims=(0, own, own), randomness="different"
    )
    validate = vmap(loss_and_hits, in_dims=(0, None, None))

    histories = [History() for _ in models]
    losses, hits, sizes = [], [], []
    models[0].train()
    start = time.perf_counter()
    for t, (images, labels) in enumerate(batches, start=1):
        grads, (loss, hit) = backward(params, images, labels)
        for name, w in params.items():
            rate = rates[:, t - 1].view(K, *[1] * (w.ndim - 1))  # (K, 1, …)
            params[name], *state[name] = step(w, grads[name], *state[name], t, rate)
        losses.append(loss)
        hits.append(hit)
        sizes.append(labels.shape[-1])
        if t % every == 0 or t == rates.shape[1]:
            train_loss, train_acc = _means(losses, hits, sizes)  # waits for the device
            seconds = time.perf_counter() - start
            models[0].eval()
            with torch.no_grad():
                scores = [(*validate(params, x, y), len(y)) for x, y in val_loader]
            if not scores:
                raise ValueError("val_loader yielded no batch: there is nothing to evaluate")
            val_loss, val_acc = _means(*zip(*scores, strict=True))
            for k, history in enumerate(histories):
                history.append(train_loss[k], train_acc[k], val_loss[k], val_acc[k], seconds)
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
    """Return the best-scoring learning rate; warn if it is at the edge of the grid.

    Introduced on Day 33. If the best rate is the first or the last, the grid was too narrow:
    a better rate may be outside it.

    Args:
        rates: the grid, at least 3 rates in ascending order.
        scores: one score per rate, such as a validation accuracy. NaN counts as the lowest;
            of equal scores, that of the lowest rate wins.

    Returns:
        The rate, a float.

    Raises:
        ValueError: if there is not one score per rate, the rates are not ascending, or all
            scores are NaN.
    """
    rates, scores = np.asarray(rates, dtype=float), np.asarray(scores, dtype=float)
    if rates.ndim != 1 or len(rates) < 3 or not (np.diff(rates) > 0).all():
        raise ValueError(f"rates must be at least 3 rates in ascending order, got {rates}")
    if scores.shape != rates.shape:
        raise ValueError(f"scores must have shape {rates.shape}, one per rate; got {scores.shape}")
    if np.isnan(scores).all():
        raise ValueError(f"scores must contain a number, got {scores}")
    best = int(np.nanargmax(scores))
    if best in (0, len(rates) - 1):
        warnings.warn(
            f"the best rate, {rates[best]:g}, is at the edge of the grid from {rates[0]:g} to "
            f"{rates[-1]:g}: widen the grid before you call it the best",
            stacklevel=2,
        )
    return float(rates[best])


def _rates(lr, K, steps):
    """Broadcast `lr`, a number, (K,) or (K, steps), to a float64 tensor (K, steps)."""
    rates = np.asarray(lr)
    if rates.dtype.kind not in "fiu":
        raise TypeError(f"lr must be a number or an array of numbers, got {lr!r}")
    if rates.shape not in ((), (K,), (K, steps)):
        raise ValueError(
            f"lr must be a number or have shape ({K},) or ({K}, {steps}), got {rates.shape}"
        )
    rates = np.broadcast_to(rates[:, None] if rates.ndim == 1 else rates, (K, steps))
    if not (np.isfinite(rates).all() and (rates >= 0).all() and (rates.max(axis=1) > 0).all()):
        raise ValueError(
            f"lr must be finite, at least 0 everywhere and not 0 at every step; got {lr!r}"
        )
    return torch.tensor(rates, dtype=torch.float64)


def _batches(loaders, epochs, several):
    """Yield the batches of all epochs; those of several loaders stacked to (K, B, …)."""
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
    """Average the batches' losses and hits, each (K,), over the examples; return two lists."""
    weights = torch.tensor(sizes, dtype=torch.float64)  # the last batch may be smaller
    loss = weights @ torch.stack(losses).detach().cpu().double() / weights.sum()
    acc = torch.stack(hits).sum(dim=0).cpu().double() / weights.sum()
    return loss.tolist(), acc.tolist()


def _fresh_model(train_loader, seed):
    """Create `MNISTMLP` with this seed on the device of the loader's images."""
    batches = [train_loader.dataset[:1]] if hasattr(train_loader, "epoch") else train_loader
    for images, _ in batches:
        return MNISTMLP(seed=seed).to(images.device)
    raise ValueError("train_loader yielded no batch: there is nothing to train on")
