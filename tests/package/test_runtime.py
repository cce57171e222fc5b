"""Seeds, the device and the data folder."""

import random
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from nnweek.results import results_file
from nnweek.runtime import data_folder, get_device, set_seed


@pytest.mark.parametrize("seed", [0, 42, 2**32 - 1, np.int64(7)])
def test_set_seed_equals_the_code_of_the_notebook(seed):
    def draw():
        return random.random(), np.random.rand(), torch.rand(()).item()

    random.seed(int(seed))
    np.random.seed(seed)
    torch.manual_seed(seed)
    expected = draw()
    assert draw() != expected
    set_seed(seed)
    assert draw() == expected


@pytest.mark.parametrize(("there", "expected"), [(True, "cuda"), (False, "cpu")])
def test_device_is_a_gpu_if_available(there, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert get_device() == torch.device(expected)


@pytest.fixture
def bare_environment(monkeypatch):
    for name in ("NNWEEK_DATA", "NNWEEK_RESULTS", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_data_folder_is_the_user_cache_unless_set(bare_environment, monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: Path("/home/reader"))
    assert data_folder() == Path("/home/reader/.cache/nnweek")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert data_folder() == Path("/cache/nnweek")
    monkeypatch.setenv("NNWEEK_DATA", "/data")
    assert data_folder() == Path("/data")
    assert results_file() == Path("/data/results.jsonl")
    monkeypatch.setenv("NNWEEK_RESULTS", "/results/mine.jsonl")
    assert results_file() == Path("/results/mine.jsonl")


def test_tilde_means_the_home_folder(bare_environment, monkeypatch):
    monkeypatch.setenv("NNWEEK_DATA", "~/week5")
    monkeypatch.setenv("NNWEEK_RESULTS", "~/week5.jsonl")
    assert data_folder() == Path.home() / "week5"
    assert results_file() == Path.home() / "week5.jsonl"


def test_user_without_a_home_gets_a_temporary_folder(bare_environment, monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    assert data_folder() == Path(tempfile.gettempdir()) / "nnweek"
    assert results_file() == data_folder() / "results.jsonl"
