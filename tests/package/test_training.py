"""Networks, loops, checkpoints and experiments (Days 31 to 33)."""

import contextlib
import copy
import io
import itertools
import os
import re
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.tensorboard import SummaryWriter

from nnweek import checkpoints, experiments, training
from nnweek.distributed import Share
from nnweek.experiments import train_baseline, train_model_with_optimizer
from nnweek.loaders import BatchLoader, make_loaders
from nnweek.models import MNISTMLP
from nnweek.optimizers import make_optimizer
from nnweek.statistics import accuracy_interval
from nnweek.tracking import open_run, read_histograms, read_scalars
from nnweek.training import accuracy, evaluate, fit, train_one_epoch

N, FEATURES, CLASSES = 20, 12, 3
BATCH_SIZE = 8  # 20 examples make batches of 8, 8 and 4


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(N, 1, 3, 4, generator=generator)
    return images, torch.arange(N) % CLASSES


def batch_loader(data):
    return BatchLoader(*data, BATCH_SIZE, shuffle_seed=5)


def in_order(data):
    return BatchLoader(*data, BATCH_SIZE)


def torch_loader(data):
    generator = torch.Generator().manual_seed(5)
    return DataLoader(TensorDataset(*data), BATCH_SIZE, shuffle=True, generator=generator)


@pytest.fixture(params=[torch_loader, batch_loader], ids=["DataLoader", "BatchLoader"])
def make_loader(request, data):
    """Makes loaders that all yield the same batches in the same order."""
    return lambda: request.param(data)


def plain():
    return MNISTMLP(FEATURES, 8, CLASSES)


def with_dropout():
    """Dropout draws random numbers at every step; batch norm keeps running averages."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(FEATURES, 8),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(8, CLASSES),
    )


def make(network, seed=0):
    torch.manual_seed(seed)
    return network()


def sgd(model, lr=0.1):
    return torch.optim.SGD(model.parameters(), lr=lr)


def momentum(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def adam(model):
    return torch.optim.Adam(model.parameters(), lr=0.01)


def snapshot(state):
    """A `state_dict` as plain values that can be compared with ==, bit for bit."""
    if isinstance(state, torch.Tensor):
        return state.dtype, state.shape, state.numpy().tobytes()
    if isinstance(state, dict):
        return {key: snapshot(value) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return [snapshot(value) for value in state]
    return state


def curves(history):
    """A `History` without its seconds, which differ from run to run."""
    return {name: values for name, values in asdict(history).items() if name != "seconds"}


# --- Networks -----------------------------------------------------------------------------


def test_the_weeks_network_has_269_322_parameters_and_a_logit_for_each_class():
    model = MNISTMLP()
    assert sum(p.numel() for p in model.parameters()) == 269_322
    logits = model(torch.randn(5, 1, 28, 28))
    assert logits.shape == (5, 10)
    assert (logits < 0).any(), "logits of both signs: no ReLU after the last layer"
    assert (logits > 0).any(), "logits of both signs: no log-softmax after the last layer"


def test_a_network_made_from_a_seed_always_has_the_same_weights():
    torch.manual_seed(1)
    first = snapshot(MNISTMLP(seed=42).state_dict())
    torch.manual_seed(2)
    assert snapshot(MNISTMLP(seed=42).state_dict()) == first
    assert snapshot(MNISTMLP(seed=43).state_dict()) != first


def test_a_seed_gives_the_weights_that_torch_gives_after_manual_seed():
    torch.manual_seed(42)
    assert snapshot(MNISTMLP(seed=42).state_dict()) == snapshot(MNISTMLP().state_dict())


def test_a_network_made_from_a_seed_leaves_torchs_generators_alone(monkeypatch):
    seeded = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    before = torch.get_rng_state()

    MNISTMLP(4, 2, 2, seed=42)

    assert torch.equal(torch.get_rng_state(), before)
    assert seeded == [], "the generators of the GPUs were seeded and not set back"


def test_a_network_made_without_a_seed_draws_from_torchs_generator():
    torch.manual_seed(1)
    first = snapshot(MNISTMLP(4, 2, 2).state_dict())
    assert snapshot(MNISTMLP(4, 2, 2).state_dict()) != first
    torch.manual_seed(1)
    assert snapshot(MNISTMLP(4, 2, 2).state_dict()) == first


# --- accuracy, train_one_epoch, evaluate ---------------------------------------------------


@pytest.mark.parametrize(
    ("targets", "expected"), [([0, 1, 2], 1.0), ([0, 1, 0], 2 / 3), ([2, 2, 1], 0.0)]
)
def test_accuracy_is_the_share_of_rows_whose_largest_logit_is_the_target(targets, expected):
    logits = torch.tensor([[0.0, -1, -2], [-5, 1, 0], [1, 2, 3]])
    result = accuracy(logits, torch.tensor(targets))
    assert type(result) is float
    assert result == pytest.approx(expected)


def test_a_single_row_has_an_accuracy_and_no_row_has_none():
    logits = torch.tensor([[0.0, 1.0]])
    assert accuracy(logits, torch.tensor([1])) == 1
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
    """Likewise."""
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
def test_three_epochs_are_those_of_the_plain_loop(network, optimizer, make_loader):
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


def test_uneven_batches_count_by_their_examples(data):
    """A mean of the batches' means would give the last, smaller batch too much weight."""
    model, loader = make(plain), DataLoader(TensorDataset(*data), BATCH_SIZE)
    criterion = nn.CrossEntropyLoss()
    with torch.no_grad():
        logits = model(data[0])

    loss, acc = evaluate(model, loader, criterion)
    assert loss == pytest.approx(criterion(logits, data[1]).item(), rel=1e-6)
    assert acc == pytest.approx(accuracy(logits, data[1]))
    # Without steps worth the name, the running values are those of the whole set, too.
    assert train_one_epoch(model, loader, sgd(model, lr=1e-12), criterion) == pytest.approx(
        (loss, acc), rel=1e-6
    )


def test_the_shares_of_several_processes_are_scored_as_the_whole_batches_are(data, monkeypatch):
    """The three processes are one here that takes their parts in turn."""
    given = []

    def all_reduce(sums):
        given.append(sums.clone())
        sums.copy_(sum(given))

    monkeypatch.setattr(torch.distributed, "all_reduce", all_reduce)
    model, criterion = make(plain), nn.CrossEntropyLoss()

    first, _, last = (
        evaluate(model, Share(in_order(data), rank, 3), criterion) for rank in range(3)
    )

    whole = evaluate(model, in_order(data), criterion)
    assert first != pytest.approx(whole, rel=1e-3), "a share alone has other scores"
    assert last == pytest.approx(whole, rel=1e-6)


def test_batches_are_moved_to_the_models_device(data):
    class Elsewhere:
        """A tensor on a device that this machine does not have: it can only be fetched."""

        def __init__(self, tensor):
            self.tensor = tensor

        def to(self, device):
            assert device == torch.device("cpu")
            return self.tensor

    model, criterion = make(plain), nn.CrossEntropyLoss()
    far = [tuple(map(Elsewhere, batch)) for batch in in_order(data)]
    assert evaluate(model, far, criterion) == evaluate(model, in_order(data), criterion)


def test_a_loader_that_yields_nothing_is_refused():
    with pytest.raises(ValueError, match="^loader yielded no batch"):
        evaluate(make(plain), [], nn.CrossEntropyLoss())


class Witness(nn.Module):
    """A layer that changes nothing and notes how it was called."""

    def __init__(self):
        super().__init__()
        self.notes = []

    def forward(self, x):
        self.notes.append((self.training, torch.is_grad_enabled()))
        return x


def test_training_uses_train_mode_and_evaluation_uses_eval_mode_without_a_graph(data):
    witness = Witness()
    model = nn.Sequential(witness, make(plain))
    criterion, loader = nn.CrossEntropyLoss(), batch_loader(data)

    model.eval()
    train_one_epoch(model, loader, sgd(model), criterion)
    assert witness.notes == [(True, True)] * 3

    witness.notes.clear()
    model.train()
    evaluate(model, loader, criterion)
    assert witness.notes == [(False, False)] * 3
    assert not model.training


def test_evaluation_changes_nothing(data):
    model, loader, criterion = make(with_dropout), batch_loader(data), nn.CrossEntropyLoss()
    before, generator = snapshot(model.state_dict()), torch.get_rng_state()

    first = evaluate(model, loader, criterion)

    assert evaluate(model, loader, criterion) == pytest.approx(first, rel=1e-6)
    assert snapshot(model.state_dict()) == before
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), generator)


def test_evaluation_leaves_gradients_that_are_there(data):
    model, loader, criterion = make(plain), batch_loader(data), nn.CrossEntropyLoss()
    criterion(model(data[0]), data[1]).backward()
    before = [p.grad.clone() for p in model.parameters()]
    evaluate(model, loader, criterion)
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), before, strict=True))


def test_a_model_without_parameters_can_be_scored(data):
    """Such as the baseline that always gives the same answer."""

    class AlwaysOne(nn.Module):
        def forward(self, x):
            return nn.functional.one_hot(torch.ones(len(x), dtype=torch.int64), CLASSES).float()

    _, acc = evaluate(AlwaysOne(), batch_loader(data), nn.CrossEntropyLoss())
    assert acc == (data[1] == 1).sum().item() / N


# --- fit ------------------------------------------------------------------------------------


def run_fit(data, network=plain, optimizer=sgd, *, epochs=3, seed=0, **options):
    """Train from scratch; return the history, the model's state and the optimizer's."""
    model = make(network, seed)
    steps = optimizer(model)
    history = fit(model, batch_loader(data), in_order(data), steps, epochs=epochs, **options)
    return history, snapshot(model.state_dict()), snapshot(steps.state_dict())


def test_fit_is_training_and_evaluation_in_turn(data):
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


def test_fit_uses_the_criterion_that_it_is_given(data):
    doubled = nn.CrossEntropyLoss(weight=torch.full((CLASSES,), 2.0), reduction="sum")
    ordinary, _, _ = run_fit(data, epochs=1)
    other, _, _ = run_fit(data, epochs=1, criterion=doubled)
    assert other.train_loss[0] > 2 * ordinary.train_loss[0]


@pytest.mark.parametrize("extra", ["writer", "progress", "no progress", "checkpoint"])
def test_what_fit_shows_and_keeps_does_not_change_what_it_learns(extra, data, tmp_path):
    without = run_fit(data, with_dropout)
    if extra == "writer":
        with open_run(tmp_path) as writer:
            result = run_fit(data, with_dropout, writer=writer)
    else:
        options = {
            "progress": {"progress": True},
            "no progress": {"progress": False},
            "checkpoint": {"checkpoint": tmp_path / "state.pt"},
        }
        result = run_fit(data, with_dropout, **options[extra])
    assert curves(result[0]) == curves(without[0])
    assert result[1:] == without[1:]


def test_all_logged_curves_share_one_x_axis_the_steps_taken(data, tmp_path):
    with open_run(tmp_path) as writer:
        history, _, _ = run_fit(data, writer=writer)

    logged = read_scalars(tmp_path)

    expected = {
        "Loss/train": history.train_loss,
        "Loss/val": history.val_loss,
        "Accuracy/train": history.train_acc,
        "Accuracy/val": history.val_acc,
    }
    assert logged.keys() == expected.keys()
    for tag, (steps, values) in logged.items():
        assert steps == [3, 6, 9], tag
        assert values == pytest.approx(expected[tag], rel=1e-6), tag


@pytest.mark.skipif("TQDM_DISABLE" in os.environ, reason="TQDM_DISABLE hides every bar")
@pytest.mark.parametrize(
    ("progress", "in_a_notebook", "expected"),
    [(True, False, True), (False, True, False), (None, False, False), (None, True, True)],
)
def test_the_progress_bar_shows_on_demand_and_by_itself_only_to_a_reader(
    progress, in_a_notebook, expected, data, monkeypatch, capsys
):
    """pytest's captured output is no terminal."""
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    if in_a_notebook:
        monkeypatch.setitem(sys.modules, "ipykernel", sys)
    run_fit(data, progress=progress)
    printed = capsys.readouterr()
    assert ("epochs" in printed.out) is expected
    assert printed.err == ""


@pytest.mark.skipif("TQDM_DISABLE" in os.environ, reason="TQDM_DISABLE hides every bar")
def test_the_progress_bar_says_how_the_last_epoch_went_and_is_gone_at_the_end(data, capsys):
    history, _, _ = run_fit(data, progress=True)
    *shown, last = capsys.readouterr().out.split("\r")
    scores = f"val loss {history.val_loss[-1]:.4f}, val acc {history.val_acc[-1]:.4f}"
    assert any(text.startswith("epochs: ") and scores in text for text in shown)
    assert last == ""


def test_the_seconds_are_those_of_training_without_the_validation(data, monkeypatch):
    class Ticking(nn.CrossEntropyLoss):
        """Every batch takes a second, of a clock of its own."""

        now = 100

        def forward(self, *args):
            Ticking.now += 1
            return super().forward(*args)

    monkeypatch.setattr("time.perf_counter", lambda: Ticking.now)
    assert run_fit(data, criterion=Ticking())[0].seconds == [3, 3, 3]


# --- Checkpoints -------------------------------------------------------------------------------


class Interrupting(nn.CrossEntropyLoss):
    """A criterion at whose k-th call the user presses Ctrl-C."""

    def __init__(self, k):
        super().__init__()
        self.calls_left = k

    def forward(self, logits, labels):
        self.calls_left -= 1
        if self.calls_left == 0:
            raise KeyboardInterrupt
        return super().forward(logits, labels)


# An epoch has three batches of training, then three of validation.
@pytest.mark.parametrize("call", [7, 9, 11, 18], ids=lambda call: f"batch {call}")
@pytest.mark.parametrize("optimizer", [momentum, adam])
@pytest.mark.parametrize("network", [plain, with_dropout])
def test_interrupted_and_resumed_is_uninterrupted_bit_for_bit(
    network, optimizer, call, data, tmp_path
):
    path = tmp_path / "new folder" / "state.pt"
    expected = run_fit(data, network, optimizer, epochs=4)

    with pytest.raises(KeyboardInterrupt):
        run_fit(data, network, optimizer, epochs=4, checkpoint=path, criterion=Interrupting(call))
    # Another day: other weights, and the random numbers are somewhere else.
    resumed = run_fit(data, network, optimizer, epochs=4, checkpoint=path, seed=99)

    assert curves(resumed[0]) == curves(expected[0])
    assert resumed[1] == expected[1], "the weights differ"
    assert resumed[2] == expected[2], "the optimizer's state differs"
    assert len(resumed[0].seconds) == 4


def test_epochs_in_the_checkpoint_count(data, tmp_path):
    path = tmp_path / "state.pt"
    run_fit(data, with_dropout, adam, epochs=2, checkpoint=path)
    longer = run_fit(data, with_dropout, adam, epochs=5, checkpoint=path, seed=99)
    expected = run_fit(data, with_dropout, adam, epochs=5)
    assert curves(longer[0]) == curves(expected[0])
    assert longer[1:] == expected[1:]


def test_a_finished_training_is_read_back_and_not_repeated(data, tmp_path):
    path = tmp_path / "state.pt"
    finished = run_fit(data, checkpoint=path)
    kept = path.read_bytes()

    again = run_fit(data, checkpoint=path, seed=99, criterion=Interrupting(1))

    assert again == finished
    assert path.read_bytes() == kept


def test_a_checkpoint_works_with_torchs_loader(data, tmp_path):
    path = tmp_path / "state.pt"
    for epochs in (1, 2):
        model = make(plain)
        loader = torch_loader(data)
        history = fit(model, loader, loader, sgd(model), epochs=epochs, checkpoint=path)
    assert len(history) == 2


def test_the_generators_of_gpus_are_kept_and_set_back_where_there_are_gpus(
    data, tmp_path, monkeypatch
):
    """The GPUs are pretended, and nothing of them is used but their generators."""
    path, model, loader = tmp_path / "state.pt", make(plain), batch_loader(data)
    steps = sgd(model)
    history = fit(model, loader, loader, steps, epochs=1)
    kept, set_back = [torch.arange(5, dtype=torch.uint8)], []
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: kept)
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", set_back.extend)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    checkpoints.save_checkpoint(path, model, steps, loader, history)
    checkpoints.load_checkpoint(path, model, steps, loader, training.History)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    checkpoints.load_checkpoint(path, model, steps, loader, training.History)

    assert [state.tolist() for state in set_back] == [[0, 1, 2, 3, 4]]


def test_a_checkpoint_from_a_gpu_goes_on_where_there_is_none(data, tmp_path, monkeypatch):
    """The GPU is pretended: the file says of every tensor that it lay there."""
    path = tmp_path / "state.pt"
    with monkeypatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
        run_fit(data, with_dropout, adam, epochs=1, checkpoint=path)
    assert b"cuda:0" in path.read_bytes()

    resumed = run_fit(data, with_dropout, adam, epochs=2, checkpoint=path, seed=99)

    expected = run_fit(data, with_dropout, adam, epochs=2)
    assert curves(resumed[0]) == curves(expected[0])
    assert resumed[1:] == expected[1:]


class Trap:
    """An object that writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


NO_FILE_OF_TORCH = "a readable checkpoint (BadZipFile)"
WITH_CODE = "a readable checkpoint (UnpicklingError)"
NOT_OURS = "a checkpoint of this version of nnweek: expected version 2, found "
UNREADABLE = {
    "empty": (lambda good: b"", NO_FILE_OF_TORCH),
    "text": (lambda good: b"these are my notes on Day 32, and no checkpoint", NO_FILE_OF_TORCH),
    "cut short": (lambda good: good[: len(good) // 2], NO_FILE_OF_TORCH),
    "without its end": (lambda good: good[:-30], NO_FILE_OF_TORCH),
}
FOREIGN = {
    "weights alone": (lambda path: make(plain).state_dict(), NOT_OURS + "None"),
    "a whole model": (lambda path: make(plain), WITH_CODE),
    "a list": (lambda path: [1, 2, 3], NOT_OURS + "None"),
    "another version's": (lambda path: {"nnweek_checkpoint": 0}, NOT_OURS + "0"),
    "hollow": (lambda path: {"nnweek_checkpoint": 2}, NOT_OURS + "an incomplete one"),
    "a trap": (lambda path: Trap(path.with_name("trapped")), WITH_CODE),
}


@pytest.mark.parametrize("fault", [*UNREADABLE, *FOREIGN])
def test_a_damaged_or_foreign_checkpoint_is_refused_and_what_to_do_is_said(
    fault, data, tmp_path, monkeypatch
):
    # Left set by whoever once had to open a file that runs code; it must not open this one.
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    path = tmp_path / "state.pt"
    run_fit(data, epochs=1, checkpoint=path)
    if fault in UNREADABLE:
        damage, what = UNREADABLE[fault]
        path.write_bytes(damage(path.read_bytes()))
    else:
        foreign, what = FOREIGN[fault]
        torch.save(foreign(path), path)
    files = sorted(tmp_path.iterdir())
    model = make(plain)
    before = snapshot(model.state_dict())

    with pytest.raises(ValueError, match=r"state\.pt is not ") as refusal:
        fit(model, batch_loader(data), in_order(data), sgd(model), epochs=2, checkpoint=path)

    assert str(refusal.value) == f"{path} is not {what}. Delete it to train from the start."
    assert snapshot(model.state_dict()) == before
    assert sorted(tmp_path.iterdir()) == files, "the file was deleted, or its code was run"


def in_two_groups(model, lr=0.1, others_lr=0.1):
    first, *others = model.parameters()
    return torch.optim.SGD([{"params": [first]}, {"params": others, "lr": others_lr}], lr=lr)


@pytest.mark.parametrize(
    ("network", "optimizer"),
    [
        (lambda: MNISTMLP(FEATURES, 9, CLASSES), sgd),
        (with_dropout, sgd),
        (plain, adam),
        (plain, in_two_groups),
    ],
    ids=["other width", "other layers", "other optimizer", "other parameter groups"],
)
def test_the_checkpoint_of_another_model_or_optimizer_is_refused_and_nothing_is_changed(
    network, optimizer, data, tmp_path
):
    path = tmp_path / "state.pt"
    run_fit(data, epochs=1, checkpoint=path)
    model = make(network, seed=1)
    steps, loader = optimizer(model), batch_loader(data)
    before = snapshot(model.state_dict()), snapshot(steps.state_dict())

    with pytest.raises(
        ValueError, match=r"state\.pt belongs to another model, optimizer or loader"
    ):
        fit(model, loader, in_order(data), steps, epochs=2, checkpoint=path)

    assert (snapshot(model.state_dict()), snapshot(steps.state_dict())) == before
    assert loader.epoch == 0


def test_adams_checkpoint_is_not_adamws(data, tmp_path):
    """Their states look alike; taken for one another they would train a mixture of both."""
    path = tmp_path / "state.pt"
    run_fit(data, optimizer=adam, epochs=1, checkpoint=path)
    with pytest.raises(ValueError, match="optimizer=Adam,.* not with optimizer=AdamW"):
        run_fit(
            data,
            optimizer=lambda model: torch.optim.AdamW(model.parameters(), lr=0.01),
            epochs=2,
            checkpoint=path,
        )


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"optimizer": lambda model: sgd(model, lr=0.01)}, "lr=0.1, not with lr=0.01"),
        ({"optimizer": momentum}, "momentum=0, not with momentum=0.9"),
        ({"batch_size": 4}, "batch_size=8, not with batch_size=4"),
        ({"shuffle_seed": 6}, "shuffle_seed=5, not with shuffle_seed=6"),
        ({"examples": 19}, "examples=20, not with examples=19"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
@pytest.mark.parametrize("epochs", [1, 2], ids=["finished", "unfinished"])
def test_a_checkpoint_is_not_continued_with_other_settings_and_they_are_named(
    epochs, setting, said, data, tmp_path
):
    """Otherwise the learner reads the old rate's curve under the new rate's name."""
    path = tmp_path / "state.pt"
    run_fit(data, epochs=1, checkpoint=path)
    kept = path.read_bytes()
    given = {"optimizer": sgd, "batch_size": BATCH_SIZE, "shuffle_seed": 5, "examples": N} | setting
    images, labels = (part[: given["examples"]] for part in data)
    loader = BatchLoader(images, labels, given["batch_size"], shuffle_seed=given["shuffle_seed"])
    model = make(plain)
    optimizer = given["optimizer"](model)
    before = snapshot(model.state_dict()), snapshot(optimizer.state_dict())

    with pytest.raises(ValueError, match=f"it was written with {said}.*delete it to"):
        fit(model, loader, in_order(data), optimizer, epochs=epochs, checkpoint=path)

    assert (snapshot(model.state_dict()), snapshot(optimizer.state_dict())) == before
    assert path.read_bytes() == kept


@pytest.mark.parametrize(
    ("rates", "said"),
    [
        ((0.3, 0.2), "lr=0.1, not with lr=0.3"),
        ((0.1, 0.3), "lr of parameter group 1=0.2, not with lr of parameter group 1=0.3"),
    ],
    ids=["first", "second"],
)
def test_the_settings_of_every_parameter_group_must_stay(rates, said, data, tmp_path):
    path = tmp_path / "state.pt"
    run_fit(data, optimizer=lambda model: in_two_groups(model, 0.1, 0.2), epochs=1, checkpoint=path)
    with pytest.raises(ValueError, match=rf"it was written with {said}\. Go on"):
        run_fit(data, optimizer=lambda model: in_two_groups(model, *rates), checkpoint=path)


def test_numbers_of_numpy_in_the_settings_come_back(data, tmp_path):
    """As a rate from `np.logspace` is one."""
    path = tmp_path / "state.pt"

    def steps(model):
        return torch.optim.Adam(model.parameters(), lr=np.logspace(-2, -1, 2)[0], betas=(np.float64(0.5), 0.9))  # fmt: skip

    expected = run_fit(data, optimizer=steps, epochs=2)
    run_fit(data, optimizer=steps, epochs=1, checkpoint=path)
    resumed = run_fit(data, optimizer=steps, epochs=2, checkpoint=path, seed=99)
    assert curves(resumed[0]) == curves(expected[0])
    assert resumed[1] == expected[1]


def stopping_at(k):
    """In place of `os.fsync`: the user presses Ctrl-C when the k-th file is brought to the disk."""
    calls = itertools.count(1)

    def fsync(file):
        if next(calls) == k:
            raise KeyboardInterrupt

    return fsync


def points(log_dir):
    """Each curve's points by their steps: files of one second may be read in either order."""
    return {tag: sorted(zip(*curve, strict=True)) for tag, curve in read_scalars(log_dir).items()}


# Where training goes on, the log may have been opened anew, have been left open, or be opened
# in a second file beside the first.
@pytest.mark.parametrize("how", ["opened anew", "left open", "in a second file"])
@pytest.mark.parametrize("moment", ["in an epoch", "in the second write", "in the third epoch"])
def test_the_log_of_a_resumed_training_has_every_point_once(
    how, moment, data, tmp_path, monkeypatch
):
    with open_run(tmp_path / "whole") as writer:
        run_fit(data, epochs=4, writer=writer)
    expected = points(tmp_path / "whole")

    options = {"epochs": 4, "checkpoint": tmp_path / "state.pt"}
    writer = open_run(tmp_path / "resumed")
    writer.add_histogram("mine", np.arange(9), 1)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):  # noqa: PT012
        calls = {"in an epoch": 7, "in the third epoch": 16}.get(moment, 0)
        if moment == "in the second write":
            patch.setattr(os, "fsync", stopping_at(2))
        run_fit(data, writer=writer, criterion=Interrupting(calls), **options)
    if how != "left open":
        writer.close()
        writer = {"opened anew": open_run, "in a second file": SummaryWriter}[how](
            str(tmp_path / "resumed")
        )
    with writer:
        run_fit(data, writer=writer, seed=99, **options)

    assert points(tmp_path / "resumed") == expected
    assert bool(read_histograms(tmp_path / "resumed")) is (how != "opened anew")


def limit_to_files(stack):
    """To the operating system the same as a full disk."""
    resource = pytest.importorskip("resource", reason="Windows knows no such limit")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    stack.callback(resource.setrlimit, resource.RLIMIT_FSIZE, before)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, before[1]))


def an_error_without_a_number(stack):
    """Not the operating system's own, as from a file system that is a program."""

    def fsync(file):
        raise OSError("the quota is used up")

    stack.enter_context(pytest.MonkeyPatch.context()).setattr(os, "fsync", fsync)


def control_c(stack):
    stack.enter_context(pytest.MonkeyPatch.context()).setattr(os, "fsync", stopping_at(1))


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        (limit_to_files, OSError, r"state\.pt could not be .* epoch 2 \(File too .*still whole"),
        (an_error_without_a_number, OSError, r"epoch 2 \(the quota is used up\)"),
        (control_c, KeyboardInterrupt, None),
    ],
)
def test_a_write_that_breaks_off_leaves_the_old_checkpoint_whole(
    fault, error, said, data, tmp_path
):
    path = tmp_path / "state.pt"
    run_fit(data, epochs=1, checkpoint=path)
    kept = path.read_bytes()

    with contextlib.ExitStack() as stack:
        fault(stack)
        with pytest.raises(error, match=said):
            run_fit(data, epochs=3, checkpoint=path)

    assert path.read_bytes() == kept
    assert list(tmp_path.iterdir()) == [path], "a half-written file was left behind"
    assert curves(run_fit(data, checkpoint=path)[0]) == curves(run_fit(data)[0])


# --- Fuzzing what a checkpoint may hold ----------------------------------------------------------


def flipped(content, bit):
    changed = bytearray(content)
    changed[bit // 8 % len(content)] ^= 1 << bit % 8
    return bytes(changed)


DAMAGE = st.one_of(
    st.integers(0).map(lambda bit: lambda good: flipped(good, bit)),
    st.integers(0).map(lambda length: lambda good: good[: length % len(good)]),
    st.binary(max_size=300).map(lambda junk: lambda good: junk),
    st.binary(min_size=1, max_size=20).map(lambda junk: lambda good: good + junk),
    st.binary(min_size=1, max_size=20).map(lambda junk: lambda good: junk + good),
    st.tuples(st.integers(0), st.binary(min_size=1, max_size=64)).map(
        lambda pair: lambda good: splice(good, pair[0] % len(good), pair[1])
    ),
)


def splice(good, at, junk):
    return good[:at] + junk + good[at + len(junk) :]


@pytest.fixture(scope="module")
def written():
    """A finished training: its checkpoint's bytes, and what it came to."""
    data = torch.randn(N, 1, 3, 4, generator=torch.Generator().manual_seed(0)), torch.arange(N) % 3
    with tempfile.TemporaryDirectory() as folder:
        result = run_fit(data, with_dropout, adam, epochs=1, checkpoint=Path(folder, "state.pt"))
        return Path(folder, "state.pt").read_bytes(), data, result


def assert_right_or_refused(content, written):
    """Resume from some bytes: the result is the whole one, or nothing has changed."""
    _, data, (history, weights, steps) = written
    model = make(with_dropout, seed=1)
    optimizer, loader = adam(model), batch_loader(data)
    before = snapshot(model.state_dict()), snapshot(optimizer.state_dict())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "state.pt")
        path.write_bytes(content)
        refusal = None
        try:
            found = fit(model, loader, loader, optimizer, epochs=1, checkpoint=path)
        except ValueError as error:
            refusal = str(error)
    if refusal is not None:
        assert re.search(r"state\.pt (is not a|belongs to another) .*elete it", refusal, re.S)
        assert (snapshot(model.state_dict()), snapshot(optimizer.state_dict())) == before
        return False
    assert found == history
    assert (snapshot(model.state_dict()), snapshot(optimizer.state_dict())) == (weights, steps)
    return True


@settings(max_examples=150)
@given(DAMAGE)
def test_a_damaged_checkpoint_is_read_right_or_refused(written, damage):
    assert_right_or_refused(damage(written[0]), written)


@settings(max_examples=40)
@given(st.data())
def test_a_flipped_bit_in_a_weight_is_always_refused(written, data):
    """PyTorch alone would load it: it does not compare the sums that it writes."""
    content = written[0]
    weights = next(iter(make(with_dropout).state_dict().values()))
    _, bytes_of_weights = written[2][1]["1.weight"][1], written[2][1]["1.weight"][2]
    assert len(bytes_of_weights) == weights.numel() * 4
    at = content.index(bytes_of_weights)
    bit = data.draw(st.integers(0, 8 * len(bytes_of_weights) - 1))
    assert not assert_right_or_refused(flipped(content, 8 * at + bit), written)


def test_which_part_of_the_file_is_damaged_stands_above_the_refusal(written, data, tmp_path):
    """In the traceback, as the error that came first."""
    content, _, (_, weights, _) = written
    path = tmp_path / "state.pt"
    path.write_bytes(flipped(content, 8 * content.index(weights["1.weight"][2])))
    with pytest.raises(ValueError, match="is not a readable checkpoint") as refusal:
        run_fit(data, with_dropout, adam, checkpoint=path)
    assert re.fullmatch(r"\S+/data/\d+ fails its checksum", str(refusal.value.__cause__))


@pytest.mark.parametrize("name", ["train_loss", "seconds", "every curve"])
def test_a_checkpoint_whose_history_lacks_an_epoch_is_refused(name, written, data, tmp_path):
    """Its curves would be drawn against the wrong epochs."""
    path = tmp_path / "state.pt"
    state = torch.load(io.BytesIO(written[0]), weights_only=True)
    for curve in state["history"]:
        if name in (curve, "every curve"):
            state["history"][curve] = []
    torch.save(state, path)
    with pytest.raises(ValueError, match=r"or loader: its history is not whole\. Go on"):
        run_fit(data, with_dropout, adam, checkpoint=path)


JUNK = [None, 5, "text", [], {}, {"a": 1}, [[1]], torch.zeros(3), {"0": {"lr": {}}}, float("nan")]


@pytest.mark.parametrize("junk", JUNK, ids=repr)
@pytest.mark.parametrize("key", ["model", "optimizer", "settings", "history", "rng"])
def test_a_checkpoint_in_form_that_holds_something_else_is_refused(key, junk, written):
    state = torch.load(io.BytesIO(written[0]), weights_only=True)
    content = io.BytesIO()
    torch.save(state | {key: junk}, content)
    assert not assert_right_or_refused(content.getvalue(), written)


# --- Experiments ------------------------------------------------------------------------------


@pytest.fixture
def watched(monkeypatch):
    """Notes the weights that each training starts from and all the batches that it sees."""
    runs = []

    def watching_fit(model, train_loader, val_loader, optimizer, **options):
        batches = []
        runs.append((snapshot(model.state_dict()), batches))
        handle = model.register_forward_pre_hook(
            lambda module, inputs: batches.append(inputs[0].cpu().numpy().tobytes())
        )
        history = fit(model, train_loader, val_loader, optimizer, **options)
        handle.remove()
        return history

    monkeypatch.setattr(experiments, "fit", watching_fit)
    return runs


@pytest.fixture
def pretend_mnist(digits, monkeypatch):
    monkeypatch.setattr(experiments, "load_mnist", lambda: digits)
    return digits


def test_two_calls_give_the_same_bits(pretend_mnist):
    torch.manual_seed(1)
    first = train_model_with_optimizer("SGD", 2, 0.1, device="cpu")
    torch.manual_seed(2)
    assert train_model_with_optimizer("SGD", 2, 0.1, device="cpu") == first
    assert train_model_with_optimizer("SGD", 2, 0.1, device="cpu", seed=7) != first


def test_the_loss_falls_and_all_three_curves_have_an_entry_an_epoch(pretend_mnist):
    train_losses, val_losses, val_accs = train_model_with_optimizer("Adam", 4, 0.01, device="cpu")
    assert len(train_losses) == len(val_losses) == len(val_accs) == 4
    assert train_losses[-1] < train_losses[0]
    assert all(type(value) is float for value in train_losses + val_losses + val_accs)
    assert all(0 <= value <= 1 for value in val_accs)


@pytest.mark.parametrize("loaders", ["default", "passed in"])
def test_optimizers_start_from_the_same_weights_and_see_the_same_batches(
    loaders, pretend_mnist, watched
):
    """Otherwise a difference between them would not be the optimizer's."""
    options = {"device": "cpu"}
    if loaders == "passed in":
        train_loader, val_loader, _ = make_loaders(pretend_mnist, 32, device="cpu")
        next(iter(train_loader))  # a pass has begun already
        options = {"train_loader": train_loader, "val_loader": val_loader}

    results = [
        train_model_with_optimizer(name, 2, lr, **options)
        for name, lr in [("SGD", 0.1), ("Adam", 0.001)]
    ]

    (sgd_weights, sgd_batches), (adam_weights, adam_batches) = watched
    assert sgd_weights == adam_weights
    assert sgd_batches == adam_batches
    train_batches = -(-90 // (32 if loaders == "passed in" else 128))
    first, second = sgd_batches[:train_batches], sgd_batches[train_batches + 1 :][:train_batches]
    assert first != second, "the data are not reshuffled from epoch to epoch"
    assert results[0] != results[1]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("SGD", torch.optim.SGD),
        ("sgd", torch.optim.SGD),
        ("Adam", torch.optim.Adam),
        ("ADAM", torch.optim.Adam),
    ],
)
def test_make_optimizer_knows_both_optimizers_in_any_case(name, kind):
    model = make(plain)
    optimizer = make_optimizer(name, model, 0.25)
    assert type(optimizer) is kind
    assert optimizer.param_groups[0]["lr"] == 0.25
    assert [id(p) for p in optimizer.param_groups[0]["params"]] == [
        id(p) for p in model.parameters()
    ]


def test_the_baseline_is_plain_sgd_scored_on_the_test_set(digits):
    torch.manual_seed(1)
    run = train_baseline(digits, epochs=2, batch_size=32, device="cpu")

    train_loader, val_loader, test_loader = make_loaders(digits, 32, device="cpu")
    model = MNISTMLP(seed=42)
    history = fit(model, train_loader, val_loader, sgd(model), epochs=2)
    assert curves(run.history) == curves(history)
    assert snapshot(run.model.state_dict()) == snapshot(model.state_dict())
    assert (run.test_loss, run.test_acc) == evaluate(model, test_loader, nn.CrossEntropyLoss())
    assert run.test_size == 30


def test_loaders_and_experiments_do_not_share_state(digits):
    data = copy.deepcopy(digits)
    train_baseline(digits, epochs=1, device="cpu")
    for name in ("train_images", "train_labels", "test_images", "test_labels"):
        np.testing.assert_array_equal(getattr(digits, name), getattr(data, name))


@pytest.mark.parametrize("n", [1, 2, 30, 500, 10_000])
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9765, 1])
def test_the_interval_is_scipys_wilson_interval(share, n):
    k = round(share * n)
    oracle = binomtest(k, n).proportion_ci(0.95, method="wilson")
    low, high = accuracy_interval(k / n, n)
    assert (low, high) == pytest.approx((oracle.low, oracle.high), abs=1e-12)
    assert 0 <= low <= k / n <= high <= 1


def test_at_97_percent_of_ten_thousand_the_interval_is_a_third_of_a_point_to_either_side():
    low, high = accuracy_interval(0.97, 10_000)
    assert (high - low) / 2 == pytest.approx(0.0033, abs=1e-4)
