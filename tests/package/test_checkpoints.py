"""Checkpoints (Day 32): resumed training equals uninterrupted training, bad files are refused."""

import contextlib
import io
import itertools
import os
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.tensorboard import SummaryWriter

from nnweek import checkpoints
from nnweek.loaders import BatchLoader
from nnweek.models import MNISTMLP
from nnweek.tracking import open_run, read_histograms, read_scalars
from nnweek.training import History, fit
from support.damage import flip_bit
from support.training import (
    BATCH_SIZE,
    CLASSES,
    FEATURES,
    N,
    adam,
    batch_loader,
    curves,
    in_order,
    make,
    make_data,
    momentum,
    plain,
    run_fit,
    sgd,
    snapshot,
    torch_loader,
    with_dropout,
)

# --- Resuming ------------------------------------------------------------------------------------


# An epoch has three batches of training, then three of validation.
@pytest.mark.parametrize("call", [7, 9, 11, 18], ids=lambda call: f"batch {call}")
@pytest.mark.parametrize("optimizer", [momentum, adam])
@pytest.mark.parametrize("network", [plain, with_dropout])
def test_resumed_training_equals_uninterrupted_bit_for_bit(
    network, optimizer, call, data, tmp_path
):
    path = tmp_path / "new folder" / "state.pt"
    expected = run_fit(data, network, optimizer, epochs=4)

    with pytest.raises(KeyboardInterrupt):
        run_fit(data, network, optimizer, epochs=4, checkpoint=path, stop_at=call)
    # Another day: other initial weights, and other states of the random generators.
    resumed = run_fit(data, network, optimizer, epochs=4, checkpoint=path, seed=99)

    assert curves(resumed[0]) == curves(expected[0])
    assert resumed[1] == expected[1], "the weights differ"
    assert resumed[2] == expected[2], "the optimizer's state differs"
    assert len(resumed[0].seconds) == 4


def test_epochs_in_the_checkpoint_count_towards_the_total(data, tmp_path):
    path = tmp_path / "state.pt"
    run_fit(data, with_dropout, adam, epochs=2, checkpoint=path)
    longer = run_fit(data, with_dropout, adam, epochs=5, checkpoint=path, seed=99)
    expected = run_fit(data, with_dropout, adam, epochs=5)
    assert curves(longer[0]) == curves(expected[0])
    assert longer[1:] == expected[1:]


def test_finished_training_is_read_back_and_not_repeated(data, tmp_path):
    path = tmp_path / "state.pt"
    finished = run_fit(data, checkpoint=path)
    content = path.read_bytes()

    again = run_fit(data, checkpoint=path, seed=99, stop_at=1)

    assert again == finished
    assert path.read_bytes() == content


def test_checkpoint_works_with_the_torch_loader(data, tmp_path):
    path = tmp_path / "state.pt"
    for epochs in (1, 2):
        model = make(plain)
        loader = torch_loader(data)
        history = fit(model, loader, loader, sgd(model), epochs=epochs, checkpoint=path)
    assert len(history) == 2


def test_gpu_generators_are_saved_and_restored(data, tmp_path, monkeypatch):
    """The GPU is a mock with nothing but a random generator."""
    path, model, loader = tmp_path / "state.pt", make(plain), batch_loader(data)
    steps = sgd(model)
    history = fit(model, loader, loader, steps, epochs=1)
    states, restored = [torch.arange(5, dtype=torch.uint8)], []
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: states)
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", restored.extend)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    checkpoints.save_checkpoint(path, model, steps, loader, history)
    checkpoints.load_checkpoint(path, model, steps, loader, History())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    checkpoints.load_checkpoint(path, model, steps, loader, History())

    assert [state.tolist() for state in restored] == [[0, 1, 2, 3, 4]]


def test_gpu_checkpoint_resumes_on_a_cpu(data, tmp_path, monkeypatch):
    """The GPU is a mock: the file says that every tensor was on it."""
    path = tmp_path / "state.pt"
    with monkeypatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
        run_fit(data, with_dropout, adam, epochs=1, checkpoint=path)
    assert b"cuda:0" in path.read_bytes()

    resumed = run_fit(data, with_dropout, adam, epochs=2, checkpoint=path, seed=99)

    expected = run_fit(data, with_dropout, adam, epochs=2)
    assert curves(resumed[0]) == curves(expected[0])
    assert resumed[1:] == expected[1:]


# --- Refused files -------------------------------------------------------------------------------


class Trap:
    """An object that writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


NO_TORCH_FILE = "a readable checkpoint (BadZipFile)"
WITH_CODE = "a readable checkpoint (UnpicklingError)"
OTHER_VERSION = "expected version 2, found "
UNREADABLE = {
    "empty": (lambda good: b"", NO_TORCH_FILE),
    "text": (lambda good: b"these are my notes on Day 32, and no checkpoint", NO_TORCH_FILE),
    "cut short": (lambda good: good[: len(good) // 2], NO_TORCH_FILE),
    "without its end": (lambda good: good[:-30], NO_TORCH_FILE),
}


FOREIGN = {
    "weights alone": (lambda path: make(plain).state_dict(), OTHER_VERSION + "None"),
    "a complete model": (lambda path: make(plain), WITH_CODE),
    "a list": (lambda path: [1, 2, 3], OTHER_VERSION + "None"),
    "another version's": (lambda path: {"nnweek_checkpoint": 0}, OTHER_VERSION + "0"),
    "hollow": (lambda path: {"nnweek_checkpoint": 2}, OTHER_VERSION + "an incomplete one"),
    "a trap": (lambda path: Trap(path.with_name("trapped")), WITH_CODE),
}


@pytest.mark.parametrize("case", [*UNREADABLE, *FOREIGN])
def test_damaged_or_foreign_checkpoint_is_refused_with_advice(case, data, tmp_path, monkeypatch):
    # Somebody may have set this to open a file that runs code; it must not open this one.
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    path = tmp_path / "state.pt"
    run_fit(data, epochs=1, checkpoint=path)
    if case in UNREADABLE:
        damage, what = UNREADABLE[case]
        path.write_bytes(damage(path.read_bytes()))
    else:
        foreign, what = FOREIGN[case]
        torch.save(foreign(path), path)
    files = sorted(tmp_path.iterdir())
    model = make(plain)
    before = snapshot(model.state_dict())

    with pytest.raises(ValueError, match=r"state\.pt is not ") as refusal:
        fit(model, batch_loader(data), in_order(data), sgd(model), epochs=2, checkpoint=path)

    assert all(phrase in str(refusal.value) for phrase in (str(path), what, "Delete it"))
    assert snapshot(model.state_dict()) == before
    assert sorted(tmp_path.iterdir()) == files, "the file was deleted, or its code ran"


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
def test_checkpoint_of_another_model_or_optimizer_is_refused(network, optimizer, data, tmp_path):
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


def test_adam_checkpoint_is_refused_for_adamw(data, tmp_path):
    """Their states have the same form, so a mix-up would train a mixture of both."""
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
    ("setting", "message"),
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
def test_checkpoint_with_other_settings_is_refused_and_names_them(
    epochs, setting, message, data, tmp_path
):
    """Otherwise the curve of the old learning rate would carry the name of the new one."""
    path = tmp_path / "state.pt"
    run_fit(data, epochs=1, checkpoint=path)
    content = path.read_bytes()
    given = {"optimizer": sgd, "batch_size": BATCH_SIZE, "shuffle_seed": 5, "examples": N} | setting
    images, labels = (part[: given["examples"]] for part in data)
    loader = BatchLoader(images, labels, given["batch_size"], shuffle_seed=given["shuffle_seed"])
    model = make(plain)
    optimizer = given["optimizer"](model)
    before = snapshot(model.state_dict()), snapshot(optimizer.state_dict())

    with pytest.raises(ValueError, match=f"{message}.*delete it to"):
        fit(model, loader, in_order(data), optimizer, epochs=epochs, checkpoint=path)

    assert (snapshot(model.state_dict()), snapshot(optimizer.state_dict())) == before
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ((0.3, 0.2), "lr=0.1, not with lr=0.3"),
        ((0.1, 0.3), "lr of parameter group 1=0.2, not with lr of parameter group 1=0.3"),
    ],
    ids=["first", "second"],
)
def test_settings_of_every_parameter_group_must_match(rates, message, data, tmp_path):
    path = tmp_path / "state.pt"
    run_fit(data, optimizer=lambda model: in_two_groups(model, 0.1, 0.2), epochs=1, checkpoint=path)
    with pytest.raises(ValueError, match=message):
        run_fit(data, optimizer=lambda model: in_two_groups(model, *rates), checkpoint=path)


def test_numpy_numbers_in_the_settings_are_restored(data, tmp_path):
    """Such as a learning rate from `np.logspace`."""
    path = tmp_path / "state.pt"

    def steps(model):
        return torch.optim.Adam(model.parameters(), lr=np.logspace(-2, -1, 2)[0], betas=(np.float64(0.5), 0.9))  # fmt: skip

    expected = run_fit(data, optimizer=steps, epochs=2)
    run_fit(data, optimizer=steps, epochs=1, checkpoint=path)
    resumed = run_fit(data, optimizer=steps, epochs=2, checkpoint=path, seed=99)
    assert curves(resumed[0]) == curves(expected[0])
    assert resumed[1] == expected[1]


# --- Interrupted writes --------------------------------------------------------------------------


def stopping_at(k):
    """A replacement for `os.fsync`: the user presses Ctrl-C while the k-th file is written."""
    calls = itertools.count(1)

    def fsync(file):
        if next(calls) == k:
            raise KeyboardInterrupt

    return fsync


def points(log_dir):
    """Each curve's points, sorted: files of the same second may be read in either order."""
    return {tag: sorted(zip(*curve, strict=True)) for tag, curve in read_scalars(log_dir).items()}


# When training resumes, the log may be reopened, still be open, or continue in a second file.
@pytest.mark.parametrize("how", ["reopened", "left open", "in a second file"])
@pytest.mark.parametrize("moment", ["in an epoch", "in the second write", "in the third epoch"])
def test_log_of_resumed_training_has_every_point_once(how, moment, data, tmp_path, monkeypatch):
    with open_run(tmp_path / "uninterrupted") as writer:
        run_fit(data, epochs=4, writer=writer)
    expected = points(tmp_path / "uninterrupted")

    options = {"epochs": 4, "checkpoint": tmp_path / "state.pt"}
    writer = open_run(tmp_path / "resumed")
    writer.add_histogram("mine", np.arange(9), 1)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):  # noqa: PT012
        calls = {"in an epoch": 7, "in the third epoch": 16}.get(moment, 0)
        if moment == "in the second write":
            patch.setattr(os, "fsync", stopping_at(2))
        run_fit(data, writer=writer, stop_at=calls, **options)
    if how != "left open":
        writer.close()
        writer = {"reopened": open_run, "in a second file": SummaryWriter}[how](
            str(tmp_path / "resumed")
        )
    with writer:
        run_fit(data, writer=writer, seed=99, **options)

    assert points(tmp_path / "resumed") == expected
    assert bool(read_histograms(tmp_path / "resumed")) is (how != "reopened")


def limit_to_files(stack):
    """The operating system treats it like a full disk."""
    resource = pytest.importorskip("resource", reason="Windows knows no such limit")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    stack.callback(resource.setrlimit, resource.RLIMIT_FSIZE, before)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, before[1]))


def an_error_without_a_number(stack):
    """An error that a file system in user space may raise."""

    def fsync(file):
        raise OSError("the quota is used up")

    stack.enter_context(pytest.MonkeyPatch.context()).setattr(os, "fsync", fsync)


def control_c(stack):
    stack.enter_context(pytest.MonkeyPatch.context()).setattr(os, "fsync", stopping_at(1))


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        (limit_to_files, OSError, r"state\.pt could not be .* epoch 2 \(File too .*intact"),
        (an_error_without_a_number, OSError, r"epoch 2 \(the quota is used up\)"),
        (control_c, KeyboardInterrupt, None),
    ],
)
def test_failed_write_leaves_the_old_checkpoint_intact(fault, error, message, data, tmp_path):
    path = tmp_path / "state.pt"
    run_fit(data, epochs=1, checkpoint=path)
    content = path.read_bytes()

    with contextlib.ExitStack() as stack:
        fault(stack)
        with pytest.raises(error, match=message):
            run_fit(data, epochs=3, checkpoint=path)

    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path], "an incomplete file was left behind"
    assert curves(run_fit(data, checkpoint=path)[0]) == curves(run_fit(data)[0])


# --- Fuzzing -------------------------------------------------------------------------------------


DAMAGE = st.one_of(
    st.integers(0).map(lambda bit: lambda good: flip_bit(good, bit)),
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
    """A finished training run: the bytes of its checkpoint, its data and its result."""
    data = make_data()
    with tempfile.TemporaryDirectory() as folder:
        result = run_fit(data, with_dropout, adam, epochs=1, checkpoint=Path(folder, "state.pt"))
        return Path(folder, "state.pt").read_bytes(), data, result


def assert_right_or_refused(content, written):
    """Resume from some bytes: the result is correct, or nothing has changed."""
    _, data, (history, weights, steps) = written
    model = make(with_dropout, seed=1)
    optimizer, loader = adam(model), batch_loader(data)
    before = snapshot(model.state_dict()), snapshot(optimizer.state_dict())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "state.pt")
        path.write_bytes(content)
        refusal = None
        try:
            result = fit(model, loader, loader, optimizer, epochs=1, checkpoint=path)
        except ValueError as error:
            refusal = str(error)
    if refusal is not None:
        assert re.search(r"state\.pt (is not a|belongs to another) .*elete it", refusal, re.S)
        assert (snapshot(model.state_dict()), snapshot(optimizer.state_dict())) == before
        return False
    assert result == history
    assert (snapshot(model.state_dict()), snapshot(optimizer.state_dict())) == (weights, steps)
    return True


@settings(max_examples=100)
@given(DAMAGE)
def test_damaged_checkpoint_is_read_correctly_or_refused(written, damage):
    assert_right_or_refused(damage(written[0]), written)


@settings(max_examples=40)
@given(st.data())
def test_flipped_bit_in_a_weight_is_refused(written, data):
    """PyTorch would load it: it does not verify the checksums that it stores."""
    content = written[0]
    weights = next(iter(make(with_dropout).state_dict().values()))
    _, bytes_of_weights = written[2][1]["1.weight"][1], written[2][1]["1.weight"][2]
    assert len(bytes_of_weights) == weights.numel() * 4
    at = content.index(bytes_of_weights)
    bit = data.draw(st.integers(0, 8 * len(bytes_of_weights) - 1))
    assert not assert_right_or_refused(flip_bit(content, 8 * at + bit), written)


def test_refusal_names_the_damaged_part_as_its_cause(written, data, tmp_path):
    content, _, (_, weights, _) = written
    path = tmp_path / "state.pt"
    path.write_bytes(flip_bit(content, 8 * content.index(weights["1.weight"][2])))
    with pytest.raises(ValueError, match="is not a readable checkpoint") as refusal:
        run_fit(data, with_dropout, adam, checkpoint=path)
    assert re.fullmatch(r"\S+/data/\d+ fails its checksum", str(refusal.value.__cause__))


@pytest.mark.parametrize("name", ["train_loss", "seconds", "every curve"])
def test_checkpoint_with_an_incomplete_history_is_refused(name, written, data, tmp_path):
    """Its curves would be drawn against the wrong epochs."""
    path = tmp_path / "state.pt"
    state = torch.load(io.BytesIO(written[0]), weights_only=True)
    for curve in state["history"]:
        if name in (curve, "every curve"):
            state["history"][curve] = []
    torch.save(state, path)
    with pytest.raises(ValueError, match="its history is incomplete"):
        run_fit(data, with_dropout, adam, checkpoint=path)


JUNK = [None, 5, "text", [], {}, {"a": 1}, [[1]], torch.zeros(3), {"0": {"lr": {}}}, float("nan")]


@pytest.mark.parametrize("junk", JUNK, ids=repr)
@pytest.mark.parametrize("key", ["model", "optimizer", "settings", "history", "rng"])
def test_checkpoint_with_junk_in_it_is_refused(key, junk, written):
    state = torch.load(io.BytesIO(written[0]), weights_only=True)
    content = io.BytesIO()
    torch.save(state | {key: junk}, content)
    assert not assert_right_or_refused(content.getvalue(), written)
