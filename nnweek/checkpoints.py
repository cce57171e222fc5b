"""Checkpoints: a training run saved after an epoch, so that it can be resumed (Day 32)."""

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
    """Write a checkpoint atomically: the file is always complete. Introduced on Day 32.

    The states of PyTorch's random generators are saved, too.

    Args:
        path: the file.
        model: the `nn.Module`.
        optimizer: of the model's parameters.
        loader: the training loader; its `epoch` is saved if it has one.
        history: a dataclass of lists of equal length, one entry per epoch.

    Raises:
        OSError: if the file cannot be written; an earlier checkpoint stays intact.
    """
    has_gpu = torch.cuda.is_available()
    cuda_rng = torch.cuda.get_rng_state_all() if has_gpu else []  # pragma: no mutate (needs a GPU)
    state = {
        "nnweek_checkpoint": CHECKPOINT_VERSION,
        "model": model.state_dict(),
        "optimizer": _to_python(optimizer.state_dict()),
        "settings": _settings(optimizer, loader),
        "history": asdict(history),
        "loader_epoch": getattr(loader, "epoch", None),
        "rng": torch.get_rng_state(),  # dropout draws from it
        "cuda_rng": cuda_rng,
    }
    content = io.BytesIO()  # on a full disk, `torch.save` itself raises an obscure error
    torch.save(state, content)
    try:
        with atomic_write(path) as file:
            file.write(content.getbuffer())
    except OSError as error:
        raise OSError(
            f"The checkpoint {path} could not be written after epoch {len(history)} "
            f"({error.strerror or error}). Free some disk space, or choose a folder that you "
            f"may write to. An earlier checkpoint there is intact; training resumes from it."
        ) from error


def load_checkpoint(path, model, optimizer, loader, history):
    """Restore model, optimizer, loader and history from a checkpoint. Introduced on Day 32.

    If the checkpoint is refused, nothing is changed.

    Args:
        path: the file.
        model, optimizer, loader: as for `save_checkpoint`; restored in place.
        history: a dataclass of lists, which are replaced by the saved ones.

    Raises:
        ValueError: if the file is damaged or not a checkpoint, or belongs to another model,
            optimizer or loader.
    """
    state = _read(path)
    before = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    try:
        curves = {name: list(values) for name, values in dict(state["history"]).items()}
        lengths = {len(values) for values in curves.values()}
        if curves.keys() != asdict(history).keys() or len(lengths) != 1 or lengths == {0}:
            raise ValueError("its history is incomplete")
        saved, given = state["settings"], _settings(optimizer, loader)
        different = [name for name in {**given, **saved} if saved.get(name) != given.get(name)]
        if different:
            then, now = (
                ", ".join(f"{name}={settings.get(name)}" for name in different)
                for settings in (saved, given)
            )
            raise ValueError(f"it was written with {then}, not with {now}")
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["rng"])
        if torch.cuda.is_available():  # perhaps with fewer GPUs than where it was saved
            torch.cuda.set_rng_state_all(state["cuda_rng"][: torch.cuda.device_count()])
    except Exception as error:  # a file that only claims to be a checkpoint may contain anything
        model.load_state_dict(before[0])  # part of it may have been loaded already
        optimizer.load_state_dict(before[1])
        raise ValueError(
            f"{path} belongs to another model, optimizer or loader: {error}. Continue with "
            f"those it was written with, or delete it to train from the start."
        ) from error
    for name, values in curves.items():
        setattr(history, name, values)
    if state["loader_epoch"] is not None:
        loader.epoch = state["loader_epoch"]


def _read(path):
    """Read a checkpoint of this version: a dict that has all `CHECKPOINT_KEYS`."""
    try:
        with open(path, "rb") as file:
            # PyTorch stores a checksum per zip member but does not verify it on loading:
            # a flipped bit would go unnoticed as a changed weight.
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
    return state


def _settings(optimizer, loader):
    """Collect what must not change between saving and resuming, as plain Python values."""
    settings = {"optimizer": type(optimizer).__name__}
    for i, group in enumerate(optimizer.param_groups):
        where = f" of parameter group {i}" if i else ""
        for name, value in group.items():
            if name != "params":
                settings[name + where] = value
    if isinstance(loader, BatchLoader):  # these determine its batches
        settings["batch_size"] = loader.batch_size
        settings["shuffle_seed"] = loader.shuffle_seed
        settings["examples"] = len(loader.dataset)
    return _to_python(settings)


def _to_python(state):
    """Replace NumPy scalars by Python numbers, which `weights_only` can load."""
    if isinstance(state, dict):
        return {key: _to_python(value) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return type(state)(_to_python(value) for value in state)
    return state.item() if isinstance(state, np.generic) else state
