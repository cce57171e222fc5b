"""Training and evaluation, and the loop of the seed notebook as their oracle (Days 31 and 32)."""

import os
import sys

import numpy as np
import pytest
import torch
from torch import nn

from nnweek.distributed import Share
from nnweek.tracking import read_scalars
from nnweek.training import accuracy, evaluate, fit, train_one_epoch
from support.training import (
    CLASSES,
    N,
    adam,
    batch_loader,
    curves,
    in_order,
    make,
    momentum,
    on_each_batch,
    plain,
    run_fit,
    sgd,
    snapshot,
    torch_loader,
    with_dropout,
)


@pytest.fixture(params=[torch_loader, batch_loader], ids=["DataLoader", "BatchLoader"])
def make_loader(request, data):
    """Makes loaders that all yield the same batches in the same order."""
    return lambda: request.param(data)


@pytest.mark.parametrize(
    ("targets", "expected"), [([0, 1, 2], 1.0), ([0, 1, 0], 2 / 3), ([2, 2, 1], 0.0), ([0], 1.0)]
)
def test_accuracy_is_the_share_of_correct_rows(targets, expected):
    logits = torch.tensor([[0.0, -1, -2], [-5, 1, 0], [1, 2, 3]])
    result = accuracy(logits[: len(targets)], torch.tensor(targets))
    assert type(result) is float
    assert result == pytest.approx(expected)
    with pytest.raises(ValueError, match="^targets is empty"):
        accuracy(logits[:0], torch.tensor([], dtype=torch.int64))


def seeds_train_one_epoch(model, loader, optimizer, criterion):
    """The loop of the notebook that this course started from."""
    model.train()
    total_loss, total_correct, total_count = 0.0, 0, 0
    for xb, yb in loader:
        optimizer.zero_grad()
        logits = model(xb)
        loss = criterion(logits, yb)
        loss.backward()
        optimizer.step()
        total_loss += loss.item() * xb.size(0)
        total_correct += (logits.argmax(1) == yb).sum().item()
        total_count += xb.size(0)
    return total_loss / total_count, total_correct / total_count


@torch.no_grad()
def seeds_evaluate(model, loader, criterion):
    model.eval()
    total_loss, total_correct, total_count = 0.0, 0, 0
    for xb, yb in loader:
        logits = model(xb)
        loss = criterion(logits, yb)
        total_loss += loss.item() * xb.size(0)
        total_correct += (logits.argmax(1) == yb).sum().item()
        total_count += xb.size(0)
    return total_loss / total_count, total_correct / total_count


@pytest.mark.parametrize("network", [plain, with_dropout])
@pytest.mark.parametrize("optimizer", [sgd, momentum, adam])
def test_three_epochs_match_the_loop_of_the_seed_notebook(network, optimizer, make_loader):
    criterion = nn.CrossEntropyLoss()

    def run(train, score):
        model = make(network)
        steps, loader, results = optimizer(model), make_loader(), []
        for _ in range(3):
            results += [train(model, loader, steps, criterion), score(model, loader, criterion)]
        return np.array(results), snapshot(model.state_dict())

    expected, expected_weights = run(seeds_train_one_epoch, seeds_evaluate)
    got, weights = run(train_one_epoch, evaluate)

    assert weights == expected_weights
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_shares_of_several_processes_are_evaluated_as_one(data, monkeypatch):
    """Here a single process plays the parts of three."""
    given = []

    def all_reduce(sums):
        given.append(sums.clone())
        sums.copy_(sum(given))

    monkeypatch.setattr(torch.distributed, "all_reduce", all_reduce)
    model, criterion = make(plain), nn.CrossEntropyLoss()

    first, _, last = (
        evaluate(model, Share(in_order(data), rank, 3), criterion) for rank in range(3)
    )

    full = evaluate(model, in_order(data), criterion)
    assert first != pytest.approx(full, rel=1e-3), "a single share has another loss"
    assert last == pytest.approx(full, rel=1e-6)


def test_batches_are_moved_to_the_device_of_the_model(data):
    class Elsewhere:
        """A tensor on a device that this machine does not have: it can only be moved."""

        def __init__(self, tensor):
            self.tensor = tensor

        def to(self, device):
            assert device == torch.device("cpu")
            return self.tensor

    model, criterion = make(plain), nn.CrossEntropyLoss()
    far = [tuple(map(Elsewhere, batch)) for batch in in_order(data)]
    assert evaluate(model, far, criterion) == evaluate(model, in_order(data), criterion)


class Recorder(nn.Module):
    """A layer that changes nothing and records how it was called."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def forward(self, x):
        self.calls.append((self.training, torch.is_grad_enabled()))
        return x


def test_train_and_eval_modes_are_set(data):
    recorder = Recorder()
    model = nn.Sequential(recorder, make(plain))
    criterion, loader = nn.CrossEntropyLoss(), batch_loader(data)

    model.eval()
    train_one_epoch(model, loader, sgd(model), criterion)
    assert recorder.calls == [(True, True)] * 3

    recorder.calls.clear()
    model.train()
    evaluate(model, loader, criterion)
    assert recorder.calls == [(False, False)] * 3
    assert not model.training


def test_evaluation_changes_nothing(data):
    model, loader, criterion = make(with_dropout), batch_loader(data), nn.CrossEntropyLoss()
    before, generator = snapshot(model.state_dict()), torch.get_rng_state()

    first = evaluate(model, loader, criterion)

    assert evaluate(model, loader, criterion) == pytest.approx(first, rel=1e-6)
    assert snapshot(model.state_dict()) == before
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), generator)

    criterion(model(data[0]), data[1]).backward()
    gradients = [p.grad.clone() for p in model.parameters()]
    evaluate(model, loader, criterion)
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))


def test_model_without_parameters_can_be_evaluated(data):
    """Such as a baseline that always gives the same answer."""

    class AlwaysOne(nn.Module):
        def forward(self, x):
            return nn.functional.one_hot(torch.ones(len(x), dtype=torch.int64), CLASSES).float()

    _, acc = evaluate(AlwaysOne(), batch_loader(data), nn.CrossEntropyLoss())
    assert acc == (data[1] == 1).sum().item() / N


def test_fit_alternates_training_and_evaluation(data):
    model = make(plain)
    steps, train, val = sgd(model), batch_loader(data), in_order(data)
    criterion = nn.CrossEntropyLoss()
    expected = {"train_loss": [], "train_acc": [], "val_loss": [], "val_acc": []}
    for _ in range(3):
        for part, (loss, acc) in (
            ("train", train_one_epoch(model, train, steps, criterion)),
            ("val", evaluate(model, val, criterion)),
        ):
            expected[f"{part}_loss"].append(loss)
            expected[f"{part}_acc"].append(acc)

    history, weights, _ = run_fit(data)

    assert curves(history) == expected
    assert weights == snapshot(model.state_dict())
    assert len(history) == len(history.seconds) == 3
    assert all(seconds > 0 for seconds in history.seconds)


@pytest.mark.parametrize("extra", ["log", "progress", "no progress", "checkpoint"])
def test_logging_progress_and_checkpoints_do_not_change_training(extra, data, tmp_path):
    without = run_fit(data, with_dropout)
    options = {
        "log": {"log_dir": tmp_path / "run"},
        "progress": {"progress": True},
        "no progress": {"progress": False},
        "checkpoint": {"checkpoint": tmp_path / "state.pt"},
    }
    result = run_fit(data, with_dropout, **options[extra])
    assert curves(result[0]) == curves(without[0])
    assert result[1:] == without[1:]


def test_logged_curves_share_a_tag_and_the_step_axis(data, tmp_path):
    """TensorBoard draws runs into one chart, but never tags."""
    history, _, _ = run_fit(data, log_dir=tmp_path)

    logged = read_scalars(tmp_path)

    expected = {
        "train/Loss": history.train_loss,
        "val/Loss": history.val_loss,
        "train/Accuracy": history.train_acc,
        "val/Accuracy": history.val_acc,
    }
    assert logged.keys() == expected.keys()
    for tag, (steps, values) in logged.items():
        assert steps == [3, 6, 9], tag
        assert values == pytest.approx(expected[tag], rel=1e-6), tag
    assert read_scalars(tmp_path / "train").keys() == read_scalars(tmp_path / "val").keys()


@pytest.mark.skipif("TQDM_DISABLE" in os.environ, reason="TQDM_DISABLE hides every bar")
@pytest.mark.parametrize(
    ("progress", "in_a_notebook", "expected"),
    [(True, False, True), (False, True, False), (None, False, False), (None, True, True)],
)
def test_progress_bar_is_shown_on_request_or_in_a_notebook(
    progress, in_a_notebook, expected, data, monkeypatch, capsys
):
    """The output captured by pytest is not a terminal."""
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    if in_a_notebook:
        monkeypatch.setitem(sys.modules, "ipykernel", sys)
    run_fit(data, progress=progress)
    printed = capsys.readouterr()
    assert ("epochs" in printed.out) is expected
    assert printed.err == ""


@pytest.mark.skipif("TQDM_DISABLE" in os.environ, reason="TQDM_DISABLE hides every bar")
def test_progress_bar_shows_the_last_epoch_and_disappears(data, capsys):
    history, _, _ = run_fit(data, progress=True)
    *shown, last = capsys.readouterr().out.split("\r")
    scores = f"val loss {history.val_loss[-1]:.4f}, val acc {history.val_acc[-1]:.4f}"
    assert any(text.startswith("epochs: ") and scores in text for text in shown)
    assert last == ""


def test_seconds_exclude_the_validation(data, monkeypatch):
    """Every batch takes a second of this clock."""
    model, now = make(plain), [0]
    on_each_batch(model, lambda batch: now.__setitem__(0, batch))
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    history = fit(model, batch_loader(data), in_order(data), sgd(model), epochs=3)
    assert history.seconds == [3, 3, 3]
