"""Checkpoints (Day 32): resumed training equals uninterrupted training, bad files are refused."""

import io
import re
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nnweek import checkpoints
from nnweek.loaders import BatchLoader
from nnweek.models import MNISTMLP
from nnweek.tracking import open_run, read_scalars
from nnweek.training import History, fit
from support.damage import flip_bit, limit_to_files
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


def adam_with_numpy_settings(model):
    """Such as a learning rate from `np.logspace`."""
    lr, beta = np.logspace(-2, -1, 2)[0], np.float64(0.5)
    return torch.optim.Adam(model.parameters(), lr=lr, betas=(beta, 0.9))


@pytest.mark.parametrize("optimizer", [adam, adam_with_numpy_settings])
@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
def test_epochs_in_the_checkpoint_count_towards_the_total(
    optimizer, device, data, tmp_path, monkeypatch
):
    """The GPU is a mock: the file says that every tensor was on it."""
    path = tmp_path / "state.pt"
    with monkeypatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda storage: device)
        run_fit(data, with_dropout, optimizer, epochs=1, checkpoint=path)
    assert device.encode() in path.read_bytes()

    longer = run_fit(data, with_dropout, optimizer, epochs=3, checkpoint=path, seed=99)

    expected = run_fit(data, with_dropout, optimizer, epochs=3)
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
    """Two GPUs, then one, then none: mocks with nothing but a random generator each."""
    path, model, loader = tmp_path / "state.pt", make(plain), batch_loader(data)
    steps = sgd(model)
    history = fit(model, loader, loader, steps, epochs=1)
    states, restored = [torch.arange(n, dtype=torch.uint8) for n in (5, 6)], []
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: states)
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", restored.extend)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    checkpoints.save_checkpoint(path, model, steps, loader, history)
    for count in (2, 1, 0):
        monkeypatch.setattr(torch.cuda, "device_count", lambda count=count: count)
        monkeypatch.setattr(torch.cuda, "is_available", lambda count=count: count > 0)
        checkpoints.load_checkpoint(path, model, steps, loader, History())

    assert [len(state) for state in restored] == [5, 6, 5]
    assert restored[0].tolist() == [0, 1, 2, 3, 4]


class Trap:
    """An object that writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


NO_TORCH_FILE = "a readable checkpoint (BadZipFile)"
WITH_CODE = "a readable checkpoint (UnpicklingError)"
OTHER_VERSION = "expected version 2, found "


REFUSED = {
    "text": (b"these are my notes on Day 32, and no checkpoint", NO_TORCH_FILE),
    "weights alone": (make(plain).state_dict(), OTHER_VERSION + "None"),
    "a complete model": (make(plain), WITH_CODE),
    "a list": ([1, 2, 3], OTHER_VERSION + "None"),
    "another version's": ({"nnweek_checkpoint": 0}, OTHER_VERSION + "0"),
    "hollow": ({"nnweek_checkpoint": 2}, OTHER_VERSION + "an incomplete one"),
    "a trap": (Trap("trapped"), WITH_CODE),
}


@pytest.mark.parametrize(("content", "what"), REFUSED.values(), ids=REFUSED)
def test_foreign_file_is_refused_with_advice(content, what, data, tmp_path, monkeypatch):
    # Somebody may have set this to open a file that runs code; it must not open this one.
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "state.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    model = make(plain)
    before = snapshot(model.state_dict())

    with pytest.raises(ValueError, match=r"state\.pt is not ") as refusal:
        fit(model, batch_loader(data), in_order(data), sgd(model), epochs=2, checkpoint=path)

    assert all(phrase in str(refusal.value) for phrase in (str(path), what, "Delete it"))
    assert snapshot(model.state_dict()) == before
    assert list(tmp_path.iterdir()) == [path], "the file was deleted, or its code ran"


def adamw(model):
    return torch.optim.AdamW(model.parameters(), lr=0.01)


def in_two_groups(model, lr=0.1, others_lr=0.2):
    first, *others = model.parameters()
    return torch.optim.SGD([{"params": [first]}, {"params": others, "lr": others_lr}], lr=lr)


ANOTHER = "belongs to another model, optimizer or loader"
# Adam and AdamW have states of the same form, so a mix-up would train a mixture of both.
OTHER_SETTINGS = {
    "width": ({"network": lambda: MNISTMLP(FEATURES, 9, CLASSES)}, ANOTHER),
    "layers": ({"network": with_dropout}, ANOTHER),
    "groups": ({"now": in_two_groups}, ANOTHER),
    "lr": ({"now": lambda model: sgd(model, lr=0.01)}, "lr=0.1, not with lr=0.01"),
    "momentum": ({"now": momentum}, "momentum=0, not with momentum=0.9"),
    "optimizer": ({"then": adam, "now": adamw}, "optimizer=Adam,.* not with optimizer=AdamW"),
    "lr of the first group": (
        {"then": in_two_groups, "now": lambda model: in_two_groups(model, lr=0.3)},
        "lr=0.1, not with lr=0.3",
    ),
    "lr of the second group": (
        {"then": in_two_groups, "now": lambda model: in_two_groups(model, others_lr=0.3)},
        "lr of parameter group 1=0.2, not with lr of parameter group 1=0.3",
    ),
    "batch_size": ({"batch_size": 4}, "batch_size=8, not with batch_size=4"),
    "shuffle_seed": ({"shuffle_seed": 6}, "shuffle_seed=5, not with shuffle_seed=6"),
    "examples": ({"examples": 19}, "examples=20, not with examples=19"),
}


@pytest.mark.parametrize(("setting", "message"), OTHER_SETTINGS.values(), ids=OTHER_SETTINGS)
@pytest.mark.parametrize("epochs", [1, 2], ids=["finished", "unfinished"])
def test_checkpoint_with_other_settings_is_refused_and_names_them(
    epochs, setting, message, data, tmp_path
):
    """Otherwise the curve of the old learning rate would carry the name of the new one."""
    usual = {"batch_size": BATCH_SIZE, "shuffle_seed": 5, "examples": N}
    given = {"network": plain, "then": sgd, "now": sgd, **usual, **setting}
    path = tmp_path / "state.pt"
    run_fit(data, optimizer=given["then"], epochs=1, checkpoint=path)
    content = path.read_bytes()
    images, labels = (part[: given["examples"]] for part in data)
    loader = BatchLoader(images, labels, given["batch_size"], shuffle_seed=given["shuffle_seed"])
    model = make(given["network"], seed=1)
    optimizer = given["now"](model)
    before = snapshot(model.state_dict()), snapshot(optimizer.state_dict())

    with pytest.raises(ValueError, match=f"(?s){message}.*delete it to"):
        fit(model, loader, in_order(data), optimizer, epochs=epochs, checkpoint=path)

    assert (snapshot(model.state_dict()), snapshot(optimizer.state_dict())) == before
    assert (loader.epoch, path.read_bytes()) == (0, content)


@pytest.mark.parametrize("moment", ["in an epoch", "in the second write", "in the third epoch"])
def test_log_of_resumed_training_has_every_point_once(moment, data, tmp_path):
    run_fit(data, epochs=4, log_dir=tmp_path / "uninterrupted")
    options = {"epochs": 4, "checkpoint": tmp_path / "state.pt", "log_dir": tmp_path / "resumed"}
    with open_run(tmp_path / "resumed") as writer:
        writer.add_scalar("mine", 1, 1)
    batch = {"in an epoch": 7, "in the third epoch": 16}.get(moment)
    writes = [None, KeyboardInterrupt] if batch is None else None
    with mock.patch("os.fsync", side_effect=writes), pytest.raises(KeyboardInterrupt):
        run_fit(data, stop_at=batch, **options)

    run_fit(data, seed=99, **options)

    resumed = read_scalars(tmp_path / "resumed")
    assert resumed.pop("mine") == ([1], [1.0])
    assert resumed == read_scalars(tmp_path / "uninterrupted")


def test_refused_checkpoint_leaves_the_log_intact(data, tmp_path):
    options = {"checkpoint": tmp_path / "state.pt", "log_dir": tmp_path / "log"}
    run_fit(data, **options)
    before = read_scalars(tmp_path / "log")
    with pytest.raises(ValueError, match="delete it to"):
        run_fit(data, optimizer=adam, **options)
    assert read_scalars(tmp_path / "log") == before


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        (
            lambda: limit_to_files(2048),
            OSError,
            r"state\.pt could not be .* epoch 2 \(File too .*Free some disk space.*intact",
        ),
        # Some file systems raise an error without a number.
        (
            lambda: mock.patch("os.fsync", side_effect=OSError("the quota is used up")),
            OSError,
            r"epoch 2 \(the quota is used up\)",
        ),
        (lambda: mock.patch("os.fsync", side_effect=KeyboardInterrupt), KeyboardInterrupt, None),
    ],
    ids=["file too large", "quota", "Ctrl-C"],
)
def test_failed_write_leaves_the_old_checkpoint_intact(fault, error, message, data, tmp_path):
    path = tmp_path / "state.pt"
    run_fit(data, epochs=1, checkpoint=path)
    content = path.read_bytes()

    with fault(), pytest.raises(error, match=message):
        run_fit(data, epochs=3, checkpoint=path)

    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path], "an incomplete file was left behind"
    assert curves(run_fit(data, checkpoint=path)[0]) == curves(run_fit(data)[0])


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
    """Resume from some bytes: either the result is correct, or nothing has changed.

    Returns the error of the refusal, or None.
    """
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
            refusal = error
    if refusal is not None:
        assert re.search(r"state\.pt (is not a|belongs to another) .*elete it", str(refusal), re.S)
        assert (snapshot(model.state_dict()), snapshot(optimizer.state_dict())) == before
        return refusal
    assert result == history
    assert (snapshot(model.state_dict()), snapshot(optimizer.state_dict())) == (weights, steps)
    return None


@given(DAMAGE)
def test_damaged_checkpoint_is_read_correctly_or_refused(written, damage):
    assert_right_or_refused(damage(written[0]), written)


@settings(max_examples=40)
@given(st.data())
def test_flipped_bit_in_a_weight_is_refused(written, data):
    """PyTorch would load it: it does not verify the checksums that it stores."""
    content, _, (_, state, _) = written
    weights = state["1.weight"][2]
    bit = data.draw(st.integers(0, 8 * len(weights) - 1))
    refusal = assert_right_or_refused(flip_bit(content, 8 * content.index(weights) + bit), written)
    assert re.fullmatch(r"\S+/data/\d+ fails its checksum", str(refusal.__cause__))


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
    assert assert_right_or_refused(content.getvalue(), written)
