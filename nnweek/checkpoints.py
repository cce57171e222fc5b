"""Checkpoints of a training run (Day 32)."""

import copy
import io
import zipfile
from dataclasses import asdict

import numpy as np
import torch

from nnweek.files import atomic_write
from nnweek.loaders import BatchLoader

CHECKPOINT_VERSION = 2


CHECKPOINT_KEYS = {
    "model", "optimizer", "settings", "history", "loader_epoch", "rng", "cuda_rng",
}  # fmt: skip


def save_checkpoint(path, model, optimizer, loader, history):
    """Write a checkpoint atomically: the file is always complete, the old one or the new one.

    Introduced on Day 32.

    Args:
        path: the file.
        model, optimizer: what is saved, with the states of the random generators.
        loader: the training loader; its `epoch` is saved if it has one.
        history: a dataclass of lists of equal length, one entry per epoch.

    Raises:
        OSError: if the file cannot be written; an earlier checkpoint stays intact.
    """
    state = {
        "nnweek_checkpoint": CHECKPOINT_VERSION,
        "model": model.state_dict(),
        "optimizer": _plain(optimizer.state_dict()),
        "settings": _settings(optimizer, loader),
        "history": asdict(history),
        "loader_epoch": getattr(loader, "epoch", None),
        "rng": torch.get_rng_state(),  # dropout draws from it
        "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
    content = io.BytesIO()  # a full disk would make `torch.save` itself speak in riddles
    torch.save(state, content)
    try:
        with atomic_write(path) as file:
            file.write(content.getbuffer())
    except OSError as error:
        raise OSError(
            f"the checkpoint {path} could not be written after epoch {len(history)} "
            f"({error.strerror or error}). Make room, or name a file in a folder that you may "
            f"write to. An earlier checkpoint there is still whole, and training goes on from it."
        ) from error


def load_checkpoint(path, model, optimizer, loader, make_history):
    """Restore everything to the state in the checkpoint. Introduced on Day 32.

    A checkpoint that is refused changes neither the model nor the optimizer.

    Args:
        path: the file.
        model, optimizer, loader: what is restored, in place.
        make_history: called with the saved curves, by keyword.

    Returns:
        What `make_history` returned.

    Raises:
        ValueError: if the file is damaged or no checkpoint, or belongs to another model,
            optimizer or loader.
    """
    try:
        with open(path, "rb") as file:
            # PyTorch writes a sum over each part of the file, and does not look at it when it
            # reads: a flipped bit would be a changed weight.
            damaged = zipfile.ZipFile(file).testzip()
            if damaged is not None:
                raise ValueError(f"{damaged} fails its checksum")
            file.seek(0)
            # weights_only: a checkpoint from elsewhere must not be able to run code.
            state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(
            f"{path} is not a readable checkpoint ({type(error).__name__}). "
            f"Delete it to train from the start."
        ) from error
    version = state.get("nnweek_checkpoint") if isinstance(state, dict) else None
    if version == CHECKPOINT_VERSION and CHECKPOINT_KEYS - state.keys():
        version = "an incomplete one"
    if version != CHECKPOINT_VERSION:
        raise ValueError(
            f"{path} is not a checkpoint of this version of nnweek: expected version "
            f"{CHECKPOINT_VERSION}, found {version}. Delete it to train from the start."
        )
    before = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    try:
        history = make_history(**state["history"])
        if len(set(map(len, asdict(history).values()))) != 1 or len(history) == 0:
            raise ValueError("its history is not whole")
        written, given = state["settings"], _settings(optimizer, loader)
        names = dict.fromkeys([*given, *written])
        other = [name for name in names if written.get(name) != given.get(name)]
        if other:
            then, now = (
                ", ".join(f"{name}={settings.get(name)}" for name in other)
                for settings in (written, given)
            )
            raise ValueError(f"it was written with {then}, not with {now}")
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["rng"])
        if torch.cuda.is_available() and state["cuda_rng"]:
            torch.cuda.set_rng_state_all(state["cuda_rng"])
    except Exception as error:  # whatever a file with our name for its version may hold
        model.load_state_dict(before[0])  # what fitted has been copied already
        optimizer.load_state_dict(before[1])
        raise ValueError(
            f"{path} belongs to another model, optimizer or loader: {error}. Go on with what it was written with, "
            f"or delete it to train from the start."
        ) from error
    if state["loader_epoch"] is not None:
        loader.epoch = state["loader_epoch"]
    return history


def _settings(optimizer, loader):
    """Name what must be the same when training goes on: plain values, to compare and to keep."""
    settings = {"optimizer": type(optimizer).__name__}
    for i, group in enumerate(optimizer.param_groups):
        where = f" of parameter group {i}" if i else ""
        for name, value in group.items():
            if name != "params":
                settings[name + where] = value
    if isinstance(loader, BatchLoader):  # its batches follow from these
        settings["batch_size"] = loader.batch_size
        settings["shuffle_seed"] = loader.shuffle_seed
        settings["examples"] = len(loader.dataset)
    return _plain(settings)


def _plain(state):
    """Replace NumPy's numbers by Python's: `weights_only` reads no others back."""
    if isinstance(state, dict):
        return {key: _plain(value) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return type(state)(_plain(value) for value in state)
    return state.item() if isinstance(state, np.generic) else state
