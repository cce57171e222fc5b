"""Many models at once, the written-out steps, and how sure a difference is (Day 33)."""

import sys
import threading
import time
import warnings

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from nnweek.experiments import best_rate, in_parallel, train_together
from nnweek.loaders import BatchLoader, make_loaders
from nnweek.models import MNISTMLP
from nnweek.optimizers import STEPS, adam_step, adamw_step, make_optimizer, momentum_step
from nnweek.statistics import mean_interval, paired_difference
from nnweek.training import evaluate, fit

RATES = {"SGD": [0.03, 0.1, 0.3], "Momentum": [0.003, 0.01, 0.03], "Adam": [3e-4, 1e-3, 3e-3]}
RATES["AdamW"] = RATES["Adam"]


def small(seed):
    return MNISTMLP(hidden=16, seed=seed)


def curves(history):
    return np.array([history.train_loss, history.train_acc, history.val_loss, history.val_acc])


# --- The steps -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STEPS)
def test_a_hundred_written_out_steps_are_torchs_to_1e_12(name):
    generator = torch.Generator().manual_seed(3)
    w = torch.randn(6, dtype=torch.float64, generator=generator)
    theirs = nn.Parameter(w.clone())
    optimizer = make_optimizer(name, nn.ParameterList([theirs]), 0.01)
    memories, step = STEPS[name]
    kept = [torch.zeros_like(w) for _ in range(memories)]
    for t in range(1, 101):
        g = torch.randn(6, dtype=torch.float64, generator=generator) * 10.0 ** (t % 7 - 3)
        w, *kept = step(w, g, *kept, t, 0.01)
        theirs.grad = g.clone()
        optimizer.step()
        assert torch.allclose(w, theirs.detach(), rtol=0, atol=1e-12), f"step {t}"


def test_the_other_settings_of_the_steps_are_torchs_too():
    w, g = torch.tensor([1.0, -2.0]).double(), torch.tensor([0.5, 3.0]).double()
    zero = torch.zeros(2).double()
    for ours, theirs in [
        (
            lambda *a: adam_step(*a, lr=0.05, beta1=0.7, beta2=0.9, eps=1e-4),
            lambda p: torch.optim.Adam(p, lr=0.05, betas=(0.7, 0.9), eps=1e-4),
        ),
        (
            lambda *a: adamw_step(*a, lr=0.05, weight_decay=0.3),
            lambda p: torch.optim.AdamW(p, lr=0.05, weight_decay=0.3),
        ),
    ]:
        parameter = nn.Parameter(w.clone())
        optimizer, ours_w, m, v = theirs([parameter]), w, zero, zero
        for t in (1, 2, 3):
            ours_w, m, v = ours(ours_w, g, m, v, t)
            parameter.grad = g.clone()
            optimizer.step()
        assert torch.allclose(ours_w, parameter.detach(), rtol=0, atol=1e-14)
    assert momentum_step(1.0, 2.0, 3.0, 0.1, 0.5) == (1 - 0.1 * 3.5, 3.5)


# --- Several runs at a time ------------------------------------------------------------------------


@pytest.fixture(params=[1, 2])
def cores(request, monkeypatch):
    """How many cores `in_parallel` finds."""
    monkeypatch.setattr("joblib.cpu_count", lambda: request.param)
    return request.param


def a_run(digits):
    """A function that trains from a seed and returns the history and the weights."""

    def run(seed, lr):
        train_loader, val_loader, _ = make_loaders(digits, 32, seed=seed, device="cpu")
        model = small(seed)
        optimizer = make_optimizer("Adam", model, lr)
        history = fit(model, train_loader, val_loader, optimizer, epochs=2)
        return curves(history), [p.detach() for p in model.parameters()]

    return run


def test_in_parallel_gives_bit_for_bit_what_one_after_the_other_gives(digits, cores):
    run, seeds, rates = a_run(digits), range(4), [0.01, 0.003, 0.01, 0.001]
    results = in_parallel(run, seeds, rates)
    for (history, weights), seed, lr in zip(results, seeds, rates, strict=True):
        expected_history, expected_weights = run(seed, lr)
        assert np.array_equal(history, expected_history)
        assert all(map(torch.equal, weights, expected_weights))


def test_as_many_runs_go_at_once_as_there_are_cores_each_with_one_thread(cores):
    meeting = threading.Barrier(cores)

    def meets_the_others(_):
        meeting.wait(timeout=60)  # breaks unless that many are here at once
        return torch.get_num_threads()

    torch.set_num_threads(2)
    try:
        assert in_parallel(meets_the_others, range(6)) == [1] * 6
        assert torch.get_num_threads() == 2, "the caller's threads are the caller's again"
        with pytest.raises(ZeroDivisionError):
            in_parallel(lambda x: 1 / x, [1, 0, 2])
        assert torch.get_num_threads() == 2, "also after an error"
    finally:
        torch.set_num_threads(1)


def test_on_a_gpu_the_runs_take_turns(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    alone = threading.Lock()

    def finds_nobody(_):
        with_nobody = alone.acquire(blocking=False)
        time.sleep(0.01)
        alone.release()
        return with_nobody

    assert all(in_parallel(finds_nobody, range(4)))


def test_networks_made_at_the_same_time_have_the_weights_of_their_seeds(cores):
    together = in_parallel(lambda seed: MNISTMLP(hidden=4, seed=seed), range(60))
    for seed, network in enumerate(together):
        expected = MNISTMLP(hidden=4, seed=seed).parameters()
        assert all(map(torch.equal, network.parameters(), expected)), f"seed {seed}"


@pytest.mark.parametrize("draw", [lambda _: torch.rand(1), lambda _: nn.Linear(2, 2)])
def test_a_run_that_draws_from_the_shared_generator_is_refused(draw):
    with pytest.raises(RuntimeError, match="shared generator"):
        in_parallel(draw, range(3))


def test_runs_in_parallel_show_no_bars_over_each_other(digits, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ipykernel", sys)  # where one run would show its bar
    in_parallel(a_run(digits), [0, 1], [0.1, 0.1])
    assert capsys.readouterr().out == ""


def test_every_run_needs_all_of_its_arguments():
    with pytest.raises(ValueError, match="shorter"):
        in_parallel(max, [1, 2], [3])


# --- Many models at once ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", STEPS)
def test_together_each_model_does_what_it_does_alone_with_torchs_optimizer(name, digits):
    """Seeds and rates both differ; the last batch of an epoch is smaller than the others."""
    train_loader, val_loader, _ = make_loaders(digits, 32, device="cpu")
    models = [small(seed) for seed in range(3)]
    histories = train_together(models, train_loader, val_loader, name, RATES[name], epochs=3)

    for seed, (model, history, lr) in enumerate(zip(models, histories, RATES[name], strict=True)):
        alone = small(seed)
        train_loader.epoch = 0
        optimizer = make_optimizer(name, alone, lr)
        expected = fit(alone, train_loader, val_loader, optimizer, epochs=3)
        assert np.allclose(curves(history), curves(expected), rtol=1e-4, atol=1e-6)
        for ours, theirs in zip(model.parameters(), alone.parameters(), strict=True):
            assert torch.allclose(ours, theirs, atol=1e-5)
        scores = evaluate(model, val_loader, nn.CrossEntropyLoss())
        assert scores == pytest.approx((history.val_loss[-1], history.val_acc[-1]), rel=1e-5)


def test_each_model_may_have_batches_of_its_own(digits):
    train_loader, val_loader, _ = make_loaders(digits, 32, device="cpu")
    loaders = [
        BatchLoader(*train_loader.dataset.tensors, 32, shuffle_seed=seed) for seed in range(2)
    ]
    models = [small(0), small(0)]
    histories = train_together(models, loaders, val_loader, "SGD", 0.1, epochs=2)
    for loader, history in zip(loaders, histories, strict=True):
        alone = small(0)
        loader.epoch = 0
        expected = fit(alone, loader, val_loader, make_optimizer("SGD", alone, 0.1), epochs=2)
        assert np.allclose(curves(history), curves(expected), rtol=1e-4, atol=1e-6)
    assert histories[0].train_loss != histories[1].train_loss


def test_calling_it_again_with_the_same_loader_repeats_the_same_batches(digits):
    train_loader, val_loader, _ = make_loaders(digits, 32, device="cpu")
    first, second = (
        train_together([small(0)], train_loader, val_loader, "Adam", 0.001) for _ in range(2)
    )
    assert np.array_equal(curves(first[0]), curves(second[0]))


def test_a_rate_for_each_step_is_what_torchs_scheduler_gives(digits):
    train_loader, val_loader, _ = make_loaders(digits, 32, device="cpu")
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
    pairs = list(zip(models[0].parameters(), alone.parameters(), strict=True))
    assert all(torch.allclose(ours, theirs, atol=1e-5) for ours, theirs in pairs)
    assert not all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*(m.parameters() for m in models), strict=True))  # fmt: skip


def test_a_model_that_diverges_leaves_the_others_alone(digits):
    train_loader, val_loader, _ = make_loaders(digits, 32, device="cpu")
    with_it = train_together([small(0), small(1)], train_loader, val_loader, "SGD", [1e8, 0.1])
    without = train_together([small(1)], train_loader, val_loader, "SGD", 0.1)
    assert not np.isfinite(with_it[0].val_loss[-1])
    assert np.allclose(curves(with_it[1]), curves(without[0]), rtol=1e-5)


def test_entries_come_as_often_as_asked_and_after_the_last_step(digits):
    train_loader, val_loader, _ = make_loaders(digits, 10, device="cpu")  # 9 batches an epoch
    often = train_together([small(0)], train_loader, val_loader, "SGD", 0.1, every=4)[0]
    once = train_together([small(0)], train_loader, val_loader, "SGD", 0.1)[0]
    assert len(often) == 3
    assert len(once) == 1
    assert often.val_loss[-1] == once.val_loss[-1], "validating must not disturb the training"
    assert np.average(often.train_loss, weights=[4, 4, 1]) == pytest.approx(once.train_loss[0])


def test_shared_among_the_cores_each_model_still_does_what_it_does_alone(digits, cores):
    """Three models on two cores: one core has two of them, the other one."""
    train_loader, val_loader, _ = make_loaders(digits, 32, device="cpu")
    own = [BatchLoader(*train_loader.dataset.tensors, 32, shuffle_seed=s) for s in range(3)]
    for loaders in (train_loader, own):
        models = [small(seed) for seed in range(3)]
        histories = train_together(models, loaders, val_loader, "Adam", RATES["Adam"], epochs=2)
        for k, history in enumerate(histories):
            alone = small(k)
            loader = own[k] if loaders is own else train_loader
            loader.epoch = 0
            optimizer = make_optimizer("Adam", alone, RATES["Adam"][k])
            expected = fit(alone, loader, val_loader, optimizer, epochs=2)
            assert np.allclose(curves(history), curves(expected), rtol=1e-4, atol=1e-6)


def test_models_that_draw_while_they_train_are_refused(digits):
    train_loader, val_loader, _ = make_loaders(digits, 32, device="cpu")
    models = [nn.Sequential(small(0), nn.Dropout(0.5)) for _ in range(2)]
    with pytest.raises(RuntimeError, match="dropout"):
        train_together(models, train_loader, val_loader, "SGD", 0.1)


@pytest.mark.parametrize(
    ("wrong", "exception", "said"),
    [
        ({"models": []}, ValueError, "models is empty"),
        ({"models": [nn.Sequential(nn.Flatten(), nn.BatchNorm1d(784))]}, ValueError, "BatchNorm"),
        ({"train_loader": "two"}, ValueError, "train_loader must be one loader or 1"),
        ({"val_loader": []}, ValueError, "val_loader yielded no batch"),
        ({"optimizer_name": "RMSprop"}, ValueError, "optimizer_name must be one of"),
        ({"lr": 0}, ValueError, "lr must be finite"),
        ({"lr": -0.1}, ValueError, "lr must be finite"),
        ({"lr": float("nan")}, ValueError, "lr must be finite"),
        ({"lr": [0.1, 0.2]}, ValueError, r"got \(2,\)"),
        ({"lr": "0.1"}, TypeError, "lr must be a number"),
        ({"epochs": 0}, ValueError, "epochs must be at least 1"),
        ({"every": 0.5}, TypeError, "every must be a whole number"),
    ],
)
def test_a_wrong_argument_is_named(wrong, exception, said, digits):
    train_loader, val_loader, _ = make_loaders(digits, 32, device="cpu")
    if wrong.get("train_loader") == "two":
        wrong = {"train_loader": [train_loader, train_loader]}
    given = {
        "models": [small(0)],
        "train_loader": train_loader,
        "val_loader": val_loader,
        "optimizer_name": "SGD",
        "lr": 0.1,
    }
    with pytest.raises(exception, match=said):
        train_together(**given | wrong)


# --- The best rate -------------------------------------------------------------------------------


def test_a_best_rate_inside_the_grid_is_returned_without_a_word():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert best_rate([0.01, 0.1, 1.0], [0.5, 0.9, float("nan")]) == 0.1


@pytest.mark.parametrize("scores", [[0.9, 0.8, 0.1], [0.1, 0.8, 0.9], [float("nan"), 0.8, 0.9]])
def test_a_best_rate_at_the_end_of_the_grid_is_warned_of(scores):
    with pytest.warns(UserWarning, match=r"end of the grid from 0\.01 to 1"):
        best_rate([0.01, 0.1, 1.0], scores)


@pytest.mark.parametrize(
    ("rates", "scores", "said"),
    [
        ([0.1, 1.0], [1.0, 2.0], "at least 3"),
        ([1.0, 0.1, 0.01], [1.0, 2.0, 3.0], "ascending"),
        ([0.01, 0.1, 1.0], [1.0, 2.0], "scores must have shape"),
        ([0.01, 0.1, 1.0], [float("nan")] * 3, "a number"),
    ],
)
def test_best_rate_names_a_wrong_argument(rates, scores, said):
    with pytest.raises(ValueError, match=said):
        best_rate(rates, scores)


# --- Differences -----------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 5, 30])
def test_the_intervals_are_scipys(n):
    rng = np.random.default_rng(n)
    first, second = rng.normal(0.97, 0.01, n), rng.normal(0.96, 0.01, n)
    oracle = stats.ttest_rel(first, second).confidence_interval(0.95)
    found = paired_difference(first, second)
    assert (found.low, found.high) == pytest.approx((oracle.low, oracle.high), abs=1e-12)
    assert found.mean == pytest.approx((first - second).mean())
    assert found.n == n

    mean, low, high = mean_interval(np.stack([first, second], axis=1))
    oracle = stats.ttest_1samp(np.stack([first, second], axis=1), 0).confidence_interval(0.95)
    assert np.allclose([low, high], [oracle.low, oracle.high])
    assert np.allclose(mean, [first.mean(), second.mean()])


def test_the_verdict_may_be_no_difference():
    assert paired_difference([0.9, 0.8, 0.7], [0.8, 0.7, 0.59]).verdict == "first higher"
    assert paired_difference([0.8, 0.7, 0.59], [0.9, 0.8, 0.7]).verdict == "second higher"
    assert paired_difference([0.9, 0.8, 0.7], [0.8, 0.9, 0.6]).verdict == "no difference shown"
    assert paired_difference([0.9, 0.8], [0.9, 0.8]).verdict == "no difference shown"


def test_pairing_takes_out_what_moves_both_runs_alike():
    """Unpaired, the seeds' spread of a tenth would drown a difference of a hundredth."""
    seeds = np.array([0.5, 0.6, 0.7, 0.8, 0.9])
    better = seeds + np.array([0.011, 0.009, 0.01, 0.012, 0.008])
    assert paired_difference(better, seeds).verdict == "first higher"
    assert paired_difference(better, seeds[::-1]).verdict == "no difference shown"


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ([0.9, 0.8], [0.9], "one length"),
        ([0.9], [0.8], "at least 2 runs"),
        ([[0.9, 0.8]], [[0.9, 0.8]], "one number a pair"),
        ([0.9, float("nan")], [0.9, 0.8], "finite"),
    ],
)
def test_paired_difference_names_what_is_wrong(first, second, said):
    with pytest.raises(ValueError, match=said):
        paired_difference(first, second)


def test_mean_interval_needs_two_runs():
    with pytest.raises(ValueError, match="at least 2 rows"):
        mean_interval([0.9])
