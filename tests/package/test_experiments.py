"""Training runs: one optimizer, the baseline, runs in parallel, stacked models (Days 32 and 33)."""

import copy
import sys
import threading
import time
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from nnweek import experiments
from nnweek.experiments import (
    best_rate,
    in_parallel,
    train_baseline,
    train_model_with_optimizer,
    train_together,
)
from nnweek.loaders import BatchLoader, make_loaders
from nnweek.models import MNISTMLP
from nnweek.optimizers import STEPS, make_optimizer
from nnweek.training import evaluate, fit
from support.double import float64
from support.training import curves, sgd, snapshot


@pytest.fixture
def recorded_runs(monkeypatch):
    """Records the initial weights and all batches of each training run."""
    runs = []

    def recording_fit(model, train_loader, val_loader, optimizer, **options):
        batches = []
        runs.append((snapshot(model.state_dict()), batches))
        handle = model.register_forward_pre_hook(
            lambda module, inputs: batches.append(inputs[0].cpu().numpy().tobytes())
        )
        history = fit(model, train_loader, val_loader, optimizer, **options)
        handle.remove()
        return history

    monkeypatch.setattr(experiments, "fit", recording_fit)
    return runs


@pytest.fixture
def pretend_mnist(digits, monkeypatch):
    monkeypatch.setattr(experiments, "load_mnist", lambda: digits)
    return digits


def test_two_calls_give_the_same_results(pretend_mnist):
    torch.manual_seed(1)
    first = train_model_with_optimizer("SGD", 2, 0.1, device="cpu")
    torch.manual_seed(2)
    assert train_model_with_optimizer("SGD", 2, 0.1, device="cpu") == first
    assert train_model_with_optimizer("SGD", 2, 0.1, device="cpu", seed=7) != first
    assert all(type(value) is float for curve in first for value in curve)


@pytest.mark.parametrize("loaders", ["default", "passed in"])
def test_optimizers_get_the_same_weights_and_batches(loaders, pretend_mnist, recorded_runs):
    """Otherwise the optimizer would not be the only difference between them."""
    options = {"device": "cpu"}
    if loaders == "passed in":
        train_loader, val_loader, _ = make_loaders(pretend_mnist, 32, device="cpu")
        next(iter(train_loader))  # an epoch has started already
        options = {"train_loader": train_loader, "val_loader": val_loader}

    results = [
        train_model_with_optimizer(name, 2, lr, **options)
        for name, lr in [("SGD", 0.1), ("Adam", 0.001)]
    ]

    (sgd_weights, sgd_batches), (adam_weights, adam_batches) = recorded_runs
    assert sgd_weights == adam_weights
    assert sgd_batches == adam_batches
    train_batches = -(-90 // (32 if loaders == "passed in" else 128))
    first, second = sgd_batches[:train_batches], sgd_batches[train_batches + 1 :][:train_batches]
    assert first != second, "the data is reshuffled in each epoch"
    assert results[0] != results[1]


def test_baseline_is_plain_sgd_evaluated_on_the_test_set(digits):
    torch.manual_seed(1)
    run = train_baseline(digits, epochs=2, batch_size=32, device="cpu")

    train_loader, val_loader, test_loader = make_loaders(digits, 32, device="cpu")
    model = MNISTMLP(seed=42)
    history = fit(model, train_loader, val_loader, sgd(model), epochs=2)
    assert curves(run.history) == curves(history)
    assert snapshot(run.model.state_dict()) == snapshot(model.state_dict())
    assert (run.test_loss, run.test_acc) == evaluate(model, test_loader, nn.CrossEntropyLoss())
    assert run.test_size == 30


def test_training_does_not_change_the_data(digits):
    data = copy.deepcopy(digits)
    train_baseline(digits, epochs=1, device="cpu")
    for name in ("train_images", "train_labels", "test_images", "test_labels"):
        np.testing.assert_array_equal(getattr(digits, name), getattr(data, name))


RATES = {"SGD": [0.03, 0.1, 0.3], "Momentum": [0.003, 0.01, 0.03], "Adam": [3e-4, 1e-3, 3e-3]}
RATES["AdamW"] = RATES["Adam"]


def curve_array(history):
    return np.array(list(curves(history).values()))


def small(seed):
    return MNISTMLP(hidden=16, seed=seed)


@pytest.fixture(params=[1, 2])
def cores(request, monkeypatch):
    """The number of cores that `in_parallel` finds."""
    monkeypatch.setattr("joblib.cpu_count", lambda: request.param)
    return request.param


def a_run(digits):
    """A function that trains from a seed and returns the history and the weights."""

    def run(seed, lr):
        train_loader, val_loader, _ = make_loaders(digits, 32, seed=seed, device="cpu")
        model = small(seed)
        optimizer = make_optimizer("Adam", model, lr)
        history = fit(model, train_loader, val_loader, optimizer, epochs=2)
        return curve_array(history), [p.detach() for p in model.parameters()]

    return run


def test_parallel_runs_equal_sequential_runs_bit_for_bit(digits, cores):
    run, seeds, rates = a_run(digits), range(4), [0.01, 0.003, 0.01, 0.001]
    results = in_parallel(run, seeds, rates)
    for (history, weights), seed, lr in zip(results, seeds, rates, strict=True):
        expected_history, expected_weights = run(seed, lr)
        assert np.array_equal(history, expected_history)
        assert all(map(torch.equal, weights, expected_weights))


def test_there_is_one_single_threaded_run_per_core(cores):
    barrier = threading.Barrier(cores)

    def wait_for_the_others(_):
        barrier.wait(timeout=60)  # raises unless that many runs arrive at the same time
        return torch.get_num_threads()

    torch.set_num_threads(2)
    try:
        assert in_parallel(wait_for_the_others, range(6)) == [1] * 6
        assert torch.get_num_threads() == 2, "the number of threads is restored"
        with pytest.raises(ZeroDivisionError):
            in_parallel(lambda x: 1 / x, [1, 0, 2])
        assert torch.get_num_threads() == 2, "it is restored after an error, too"
    finally:
        torch.set_num_threads(1)


def test_runs_on_a_gpu_are_sequential(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    lock = threading.Lock()

    def is_alone(_):
        acquired = lock.acquire(blocking=False)
        time.sleep(0.01)
        lock.release()
        return acquired

    assert all(in_parallel(is_alone, range(4)))


def test_networks_created_in_parallel_have_the_weights_of_their_seeds(cores):
    networks = in_parallel(lambda seed: MNISTMLP(hidden=4, seed=seed), range(60))
    for seed, network in enumerate(networks):
        expected = MNISTMLP(hidden=4, seed=seed).parameters()
        assert all(map(torch.equal, network.parameters(), expected)), f"seed {seed}"


@pytest.mark.parametrize("draw", [lambda _: torch.rand(1), lambda _: nn.Linear(2, 2)])
def test_run_that_draws_from_the_shared_generator_is_refused(draw):
    with pytest.raises(RuntimeError, match="shared generator"):
        in_parallel(draw, range(3))


def test_parallel_runs_share_one_progress_bar(digits, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ipykernel", sys)  # a single run would show its bar here
    in_parallel(a_run(digits), [0, 1], [0.1, 0.1])
    out = capsys.readouterr().out
    assert "epochs" not in out, "the bars of the runs would overwrite each other"
    assert "0/2" in out, "it shows itself before the first run is done"
    assert out.rsplit("\r", 2)[-2].strip() == "", "it disappears at the end"


def test_arguments_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        in_parallel(max, [1, 2], [3])


@pytest.fixture
def loaders(digits):
    """Training and validation loaders in float64, in which every model is computed, too.

    A model of many and a model alone round differently, and in float32 that can grow.
    """
    with float64(experiments):
        yield experiments.make_loaders(digits, 32, device="cpu")[:2]


def train_alone(seed, loader, val_loader, name, lr, epochs):
    model, loader.epoch = small(seed), 0
    optimizer = make_optimizer(name, model, lr)
    return model, fit(model, loader, val_loader, optimizer, epochs=epochs)


def assert_same(model, history, alone, expected):
    np.testing.assert_allclose(curve_array(history), curve_array(expected), rtol=1e-9)
    for ours, theirs in zip(model.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", STEPS)
def test_stacked_models_train_as_they_do_alone_with_torch(name, loaders):
    """Seeds and rates differ; the last batch of an epoch is smaller than the others."""
    models = [small(seed) for seed in range(3)]
    histories = train_together(models, *loaders, name, RATES[name], epochs=3)
    for seed, (model, history, lr) in enumerate(zip(models, histories, RATES[name], strict=True)):
        assert_same(model, history, *train_alone(seed, *loaders, name, lr, epochs=3))
        scores = evaluate(model, loaders[1], nn.CrossEntropyLoss())
        assert scores == pytest.approx((history.val_loss[-1], history.val_acc[-1]), rel=1e-9)


def test_rates_per_step_match_a_torch_scheduler(loaders):
    train_loader, val_loader = loaders
    steps = 2 * len(train_loader)
    cosine = 0.05 * (1 + np.cos(np.pi * np.arange(steps) / steps))
    models = [small(0), small(0)]
    rates = np.stack([cosine, np.full(steps, 0.1)])
    train_together(models, train_loader, val_loader, "SGD", rates, epochs=2)

    alone = small(0)
    optimizer = torch.optim.SGD(alone.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    train_loader.epoch = 0
    for _ in range(2):
        for images, labels in train_loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(alone(images), labels).backward()
            optimizer.step()
            scheduler.step()
    for ours, theirs, other in zip(
        *(m.parameters() for m in (models[0], alone, models[1])), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)
        assert not torch.allclose(ours, other, rtol=0, atol=1e-5)


def test_diverging_model_does_not_affect_the_others(loaders):
    with_it = train_together([small(0), small(1)], *loaders, "SGD", [1e300, 0.1])
    without = train_together([small(1)], *loaders, "SGD", 0.1)
    assert not np.isfinite(with_it[0].val_loss[-1])
    assert np.allclose(curve_array(with_it[1]), curve_array(without[0]), rtol=1e-9)


def test_history_has_an_entry_every_n_steps_and_last(digits):
    train_loader, val_loader, _ = make_loaders(digits, 10, device="cpu")  # 9 batches an epoch
    often = train_together([small(0)], train_loader, val_loader, "SGD", 0.1, every=4)[0]
    once = train_together([small(0)], train_loader, val_loader, "SGD", 0.1)[0]
    assert len(often) == 3
    assert len(once) == 1
    # The second call repeats the batches, and validation must not affect training.
    assert often.val_loss[-1] == once.val_loss[-1]
    assert np.average(often.train_loss, weights=[4, 4, 1]) == pytest.approx(once.train_loss[0])


def test_models_divided_among_cores_train_as_they_do_alone(loaders, cores):
    """They may share the batches, or have their own. Two cores get two models and one."""
    train_loader, val_loader = loaders
    own = [BatchLoader(*train_loader.dataset.tensors, 32, shuffle_seed=s) for s in range(3)]
    for given in (train_loader, own):
        models = [small(seed) for seed in range(3)]
        histories = train_together(models, given, val_loader, "Adam", RATES["Adam"], epochs=2)
        for k, (model, history) in enumerate(zip(models, histories, strict=True)):
            loader = own[k] if given is own else train_loader
            alone = train_alone(k, loader, val_loader, "Adam", RATES["Adam"][k], epochs=2)
            assert_same(model, history, *alone)


def test_models_with_dropout_are_refused(digits):
    train_loader, val_loader, _ = make_loaders(digits, 32, device="cpu")
    models = [nn.Sequential(small(0), nn.Dropout(0.5)) for _ in range(2)]
    with pytest.raises(RuntimeError, match="dropout"):
        train_together(models, train_loader, val_loader, "SGD", 0.1)


@pytest.mark.parametrize("scores", [[0.9, 0.8, 0.1], [0.1, 0.8, 0.9], [float("nan"), 0.8, 0.9]])
def test_best_rate_at_the_edge_gives_a_warning(scores):
    with pytest.warns(UserWarning, match="edge of the grid"):
        best_rate([0.01, 0.1, 1.0], scores)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert best_rate([0.01, 0.1, 1.0], [0.5, 0.9, float("nan")]) == 0.1


@pytest.mark.parametrize(
    ("rates", "scores", "message"),
    [
        ([0.1, 1.0], [1.0, 2.0], "at least 3"),
        ([1.0, 0.1, 0.01], [1.0, 2.0, 3.0], "ascending"),
        ([0.01, 0.1, 1.0], [1.0, 2.0], "scores must have shape"),
        ([0.01, 0.1, 1.0], [float("nan")] * 3, "a number"),
    ],
)
def test_best_rate_names_the_argument(rates, scores, message):
    with pytest.raises(ValueError, match=message):
        best_rate(rates, scores)
