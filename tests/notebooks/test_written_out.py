"""Code that a notebook writes out computes what the package computes."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from scipy.special import stdtrit
from sklearn.calibration import calibration_curve
from torch import nn

from nnweek import experiments, gradcheck, models, optimizers, scratch, training
from nnweek.checks import solutions
from nnweek.loaders import make_loaders
from nnweek.statistics import accuracy_interval
from support.notebooks import SOURCES, code_cells, written_out


@pytest.fixture
def batch():
    rng = np.random.default_rng(7)
    return rng.standard_normal((9, 3)), rng.integers(0, 4, size=9)


def close(a, b):
    """Equal up to rounding, also array by array in two sequences."""
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(close, a, b))
    return np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=0, atol=1e-12)


def parameters(network):
    return [getattr(network, name) for name in gradcheck.PARAMETERS]


def test_day_29_network_matches_the_package(batch):
    (Network,) = written_out(29, "TwoLayerMLP", np=np)
    X, y = batch
    for scale in (0.01, 1.0, 100.0):
        one, other = (
            M(3, 5, 4, weight_scale=scale, seed=3) for M in (Network, scratch.TwoLayerMLP)
        )
        assert all(map(np.array_equal, parameters(one), parameters(other)))
        loss, probs, cache = one.loss(X, y)
        expected_loss, expected_probs, expected_cache = other.loss(X, y)
        assert close(loss, expected_loss)
        assert close(probs, expected_probs)
        assert close(cache, expected_cache)
        assert close(one.backward(probs, cache, y), other.backward(probs, cache, y))
    assert np.array_equal(Network(2, 3, 2).W1, scratch.TwoLayerMLP(2, 3, 2).W1)


def test_day_29_gradient_check_matches_the_package():
    """Also for three layers, and for a wrong gradient."""
    given = {"np": np, "numerical_gradient": gradcheck.numerical_gradient}
    _, check = written_out(29, "norm_ratio", "check_gradients", **given)
    shapes = {"W1": (3, 5), "b1": (1, 5), "W2": (5, 4), "b2": (1, 4), "W3": (4, 2), "b3": (1, 2)}
    params = gradcheck.draw_parameters(shapes)
    X = np.random.default_rng(1).standard_normal((6, 3))

    def loss(p):
        hidden = np.tanh(np.tanh(X @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"])
        return (hidden @ p["W3"] + p["b3"]).sum()

    grads = [np.ones_like(values) for values in params.values()]
    report = gradcheck.gradient_report(loss, params, grads)
    ratios = {line.name: line.norm_ratio for line in report.lines}
    assert check(loss, params, grads) == pytest.approx(ratios)
    assert max(ratios.values()) > 0.1


def test_day_29_training_matches_the_package(batch, capsys):
    (train,) = written_out(29, "train_numpy")
    runs = []
    for function in (train, scratch.train_numpy):
        model = scratch.TwoLayerMLP(3, 5, 4, weight_scale=0.5)
        losses = function(model, *batch, lr=0.3, epochs=21)
        printed = capsys.readouterr().out
        by_default = function(scratch.TwoLayerMLP(3, 5, 4), *batch)
        capsys.readouterr()
        runs.append((losses, by_default, parameters(model), printed))
    (*numbers, printed), (*expected, expected_printed) = runs
    assert close(numbers, expected)
    assert printed == expected_printed


def test_day_30_activations_match_the_package():
    names = ("relu", "relu_grad", "sigmoid", "sigmoid_grad", "tanh", "tanh_grad")
    z = np.concatenate([np.random.default_rng(1).normal(0, 5, 200), [0.0, -1000.0, 1000.0]])
    for name, function in zip(names, written_out(30, *names, np=np), strict=True):
        with np.errstate(all="raise", under="ignore"):
            assert np.array_equal(function(z), getattr(scratch, name)(z)), name


def test_day_31_network_matches_the_package():
    (Network,) = written_out(31, "MNISTMLP", nn=nn)
    for sizes in ((), (12, 7, 3)):
        torch.manual_seed(5)
        one = Network(*sizes)
        torch.manual_seed(5)
        other = models.MNISTMLP(*sizes)
        assert list(one.state_dict()) == list(other.state_dict())
        assert all(map(torch.equal, one.parameters(), other.parameters()))
        images = torch.randn(4, 1, *((28, 28) if not sizes else (3, 4)))
        assert torch.equal(one(images), other(images))


@pytest.fixture(scope="module")
def ladder():
    """(the variables of Day 31 before the cell that asserts its ladder, that cell)"""
    runs_up_to = next(
        number for number, cell in enumerate(code_cells(31)) if "len(ladder) == 8" in cell.source
    )
    given = {}
    for cell in code_cells(31)[1:runs_up_to]:  # all but the Colab cell
        exec(compile(cell.source, SOURCES[31].name, "exec"), given)
    plt.close("all")
    return given, code_cells(31)[runs_up_to]


def test_day_31_ladder_computes_the_same_step_eight_times(ladder):
    given, _ = ladder
    X, y, lr = (given[name] for name in ("X", "y", "LR"))
    network = scratch.TwoLayerMLP(3, 5, 4)
    network.W1, network.b1, network.W2, network.b2 = given["start"]
    loss, probs, cache = network.loss(X, y)
    gradients = network.backward(probs, cache, y)
    after = [start - lr * g for start, g in zip(given["start"], gradients, strict=True)]
    assert [rung[0] for rung in given["ladder"]] == list("01234567")
    for rung, (its_loss, its_gradients, stepped) in given["ladder"].items():
        assert its_loss == pytest.approx(loss, abs=1e-10), rung
        for ours, theirs in ((its_gradients, gradients), (stepped, after)):
            for a, b in zip(ours, theirs, strict=True):
                assert a.shape == b.shape
                assert np.abs(a - b).max() < 1e-10, rung


def test_day_31_rejects_a_rung_with_other_numbers(ladder, monkeypatch):
    monkeypatch.setenv("NNWEEK_STRICT", "1")
    given, asserts = ladder
    exec(asserts.source, given)
    for rung, (loss, gradients, stepped) in given["ladder"].items():
        if rung.startswith("0"):
            continue  # the reference
        for tampered in (
            (loss + 1e-9, gradients, stepped),
            (loss, [*gradients[:3], gradients[3] + 1e-9], stepped),
            (loss, gradients, [stepped[0] + 1e-9, *stepped[1:]]),
        ):
            other = given | {"ladder": given["ladder"] | {rung: tampered}}
            with pytest.raises(AssertionError):
                exec(asserts.source, other)


def test_day_31_walk_finds_every_node_with_its_depth():
    (walk,) = written_out(31, "walk")
    w = torch.ones(3, requires_grad=True)
    twice = w * 2  # reached both directly and through exp
    nodes = walk((twice + twice.exp()).sum().grad_fn)
    assert {node.name().split("::")[-1]: depth for node, depth in nodes.items()} == {
        "SumBackward0": 0, "AddBackward0": 1, "ExpBackward0": 2, "MulBackward0": 3, "AccumulateGrad": 4,
    }  # fmt: skip
    model = models.MNISTMLP(12, 7, 3)
    nodes = walk(model(torch.randn(4, 12)).sum().grad_fn)
    leaves = {id(node.variable) for node in nodes if hasattr(node, "variable")}
    assert leaves == {id(p) for p in model.parameters()}


def test_day_31_planted_bug_is_in_the_gradient_only():
    right, wrong = written_out(31, "ReLU", "ForgetsTheMask", torch=torch)
    z = torch.tensor([1.5, -0.5, 0.2], dtype=torch.float64, requires_grad=True)
    assert torch.equal(right.apply(z), torch.relu(z))
    assert torch.equal(wrong.apply(z), torch.relu(z))
    for function, slopes in ((right, [1, 0, 1]), (wrong, [1, 1, 1])):
        assert torch.autograd.grad(function.apply(z).sum(), z)[0].tolist() == slopes


def test_day_31_loops_match_the_package(digits):
    names = ("accuracy", "train_one_epoch", "evaluate")
    accuracy, train_one_epoch, evaluate = written_out(31, *names, torch=torch)
    torch.manual_seed(0)
    logits, targets = torch.randn(50, 4), torch.randint(0, 4, (50,))
    assert accuracy(logits, targets) == training.accuracy(logits, targets)

    runs = []
    package = (training.train_one_epoch, training.evaluate)
    for train, score in ((train_one_epoch, evaluate), package):
        train_loader, val_loader, _ = make_loaders(digits, batch_size=32, device="cpu")
        model = nn.Sequential(models.MNISTMLP(seed=1), nn.Dropout(0.5))  # train() and eval() differ
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        criterion = nn.CrossEntropyLoss()
        torch.manual_seed(2)
        numbers = [train(model, train_loader, optimizer, criterion) for _ in range(2)]
        was_training = model.training
        numbers.append(score(model, val_loader, criterion))
        runs.append((numbers, was_training, model.training, list(model.parameters())))
    (numbers, *modes, parameters), (expected, *expected_modes, expected_parameters) = runs
    assert np.allclose(numbers, expected, rtol=1e-6, atol=0)
    assert modes == expected_modes == [True, False]
    assert all(map(torch.equal, parameters, expected_parameters))


def test_day_32_interval_matches_the_package():
    for hits, n in ((0, 7), (7, 7), (3, 12), (9771, 10_000)):
        ours, exact = solutions.accuracy_interval(hits, n), accuracy_interval(hits / n, n)
        assert np.allclose(ours, exact, atol=1e-4), "it uses 1.96"


def test_day_32_calibration_matches_scikit_learn():
    calibration_error = solutions.calibration_error
    _, reliability = written_out(
        32, "with_interval", "reliability", np=np, n_test=0,
        accuracy_interval=solutions.accuracy_interval,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    confidence = rng.beta(5, 1, 3000)
    right = rng.random(3000) < confidence**2
    share, sure = calibration_curve(right, confidence, n_bins=15)
    held, _ = np.histogram(confidence, bins=15, range=(0, 1))
    error = calibration_error(confidence, right, 15)
    assert close(error, held[held > 0] @ abs(share - sure) / 3000)
    intervals = map(accuracy_interval, share, held[held > 0].tolist())
    for got, wanted in zip(
        reliability(confidence, right),
        (sure, share, *zip(*intervals, strict=True)),
        strict=True,
    ):
        assert np.allclose(got, wanted, atol=1e-5)

    nine_tenths = np.full(100, 0.9)
    assert calibration_error(nine_tenths, np.arange(100) < 90, 15) == pytest.approx(0)
    assert calibration_error(nine_tenths, np.arange(100) < 80, 15) == pytest.approx(0.1)
    assert calibration_error(np.ones(4), np.ones(4, dtype=bool), 15) == 0, "1.0 belongs to a bin"


@pytest.mark.parametrize("T", [0.5, 1.0, 3.0])
def test_day_32_temperature_recovers_the_scale_of_the_logits(T):
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(5_000, 10, generator=generator)
    labels = torch.multinomial(logits.softmax(dim=1), 1, generator=generator).squeeze(1)
    assert solutions.fit_temperature(T * logits, labels) == pytest.approx(T, rel=0.1)


def test_day_33_solutions_match_the_package():
    """The page shows the solutions; the package's tests compare its steps with torch's."""
    w, g, m = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    v = m**2
    for name, state, options in (
        ("momentum_step", (m,), (0.3, 0.8)),
        ("adam_step", (m, v, 2), ()),
        ("adam_step", (m, v, 2), (0.3, 0.8, 0.99, 1e-3)),
        ("adamw_step", (m, v, 2), (0.3, 0.8, 0.99, 1e-3, 0.5)),
    ):
        shown = getattr(solutions, name)(w, g, *state, *options)
        packaged = getattr(optimizers, name)(w, g, *state, *options)
        assert all(torch.equal(a, b) for a, b in zip(shown, packaged, strict=True)), name


def test_day_33_schedules_end_where_they_should():
    half_wave, one_cycle = written_out(33, "half_wave", "one_cycle", np=np)
    assert close(half_wave(1, 0, np.array([0, 0.5, 1])), [1, 0.5, 0])
    factors = one_cycle(200)
    assert factors.argmax() == 59
    assert close(factors[[0, 59, -1]], [1 / 25, 1, 1 / 250_000])


def test_day_33_number_of_pairs_shows_the_difference_in_four_of_five_experiments():
    (pairs_needed,) = written_out(33, "pairs_needed", math=math, stdtrit=stdtrit)
    rng = np.random.default_rng(0)
    for spread, difference in ((1.1, 1.2), (1.0, 0.5)):
        n = pairs_needed(spread, difference)
        d = rng.normal(difference, spread, (4000, n))
        half = stdtrit(n - 1, 0.975) * d.std(axis=1, ddof=1) / np.sqrt(n)
        assert 0.77 < (d.mean(axis=1) > half).mean() < 0.86


@pytest.mark.parametrize("optimizer", optimizers.STEPS)
def test_day_33_side_by_side_matches_train_together(optimizer, digits):
    names = ("functional_call", "grad_and_value", "stack_module_state", "vmap")
    imported = {name: getattr(torch.func, name) for name in names}
    (side_by_side,) = written_out(
        33, "side_by_side", torch=torch, nn=nn, STEPS=optimizers.STEPS, **imported
    )
    train_loader, val_loader, _ = make_loaders(digits, 32, device="cpu")
    rates = torch.tensor([0.001, 0.003])
    group = [models.MNISTMLP(hidden=8, seed=seed) for seed in range(2)]
    params, losses = side_by_side(group, train_loader, optimizer, rates)
    histories = experiments.train_together(group, train_loader, val_loader, optimizer, rates)
    for k, model in enumerate(group):
        for name, p in model.named_parameters():
            assert torch.allclose(params[name][k], p, atol=1e-6)
        sizes = [32.0, 32.0, 26.0]
        mean = np.average(losses[:, k].detach().numpy(), weights=sizes)
        assert mean == pytest.approx(histories[k].train_loss[0], rel=1e-5)


@pytest.mark.parametrize(("optimizer", "lr"), [("SGD", 0.1), ("Adam", 0.001)])
def test_day_33_run_matches_the_package(optimizer, lr, digits):
    given = {"torch": torch, "nn": nn, "data": digits, "device": "cpu"}
    given |= {"SEED": 42, "BATCH_SIZE": 128}
    given |= {"make_loaders": make_loaders, "MNISTMLP": models.MNISTMLP}
    given |= {name: getattr(training, name) for name in ("train_one_epoch", "evaluate")}
    (run,) = written_out(33, "run", **given)
    train_loader, val_loader, _ = make_loaders(digits, seed=42, device="cpu")
    expected = experiments.train_model_with_optimizer(
        optimizer, 3, lr, train_loader=train_loader, val_loader=val_loader, seed=42
    )
    assert run(optimizer, 3, lr) == expected
