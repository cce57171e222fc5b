"""`nnweek bench` measures what it says, and writes all of it down."""

import contextlib
import io
import json
import math
import subprocess

import nbformat
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from nnweek.commands import bench
from nnweek.loaders import BatchLoader, make_loaders, pixel_statistics
from nnweek.models import MNISTMLP
from nnweek.training import evaluate, train_one_epoch


def test_usual_data_set_returns_the_same_pixels_as_ours(digits):
    _, _, loader = make_loaders(digits, 32, device="cpu")
    mean, std = pixel_statistics(digits.train_images)
    usual = bench.TorchvisionDigits(digits.test_images, digits.test_labels, mean, std)
    for (image, label), ours, our_label in zip(usual, *loader.dataset.tensors, strict=True):
        assert torch.allclose(image, ours, atol=1e-6)
        assert label == our_label


def test_usual_loop_takes_the_same_steps_as_ours(digits):
    images, labels = make_loaders(digits, 32, device="cpu")[0].dataset.tensors
    one, other = MNISTMLP(seed=0), MNISTMLP(seed=0)
    usual, ours = DataLoader(TensorDataset(images, labels), 32), BatchLoader(images, labels, 32)
    first, second = (torch.optim.SGD(model.parameters(), lr=0.1) for model in (one, other))
    expected = train_one_epoch(other, ours, second, bench.CRITERION)
    assert bench.usual_epoch(one, usual, "cpu", first) == pytest.approx(expected)
    assert all(map(torch.equal, one.parameters(), other.parameters()))
    expected = evaluate(other, ours, bench.CRITERION)
    assert bench.usual_epoch(one, usual, "cpu") == pytest.approx(expected)


@pytest.mark.parametrize("backward", [False, True])
def test_floor_has_as_many_operations_as_a_real_epoch(backward, digits):
    from torch.utils.flop_counter import FlopCounterMode

    loader, _, _ = make_loaders(digits, 32, device="cpu")
    model = MNISTMLP(seed=0)
    with FlopCounterMode(display=False) as floor:
        bench.gemm_floor(model, loader, backward=backward)
    with FlopCounterMode(display=False) as real:
        if backward:
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            train_one_epoch(model, loader, optimizer, bench.CRITERION)
        else:
            evaluate(model, loader, bench.CRITERION)
    assert floor.get_total_flops() == real.get_total_flops() > 0


def test_functions_are_interleaved_after_a_warm_up():
    calls = []
    works = {name: lambda name=name: calls.append(name) for name in "ab"}
    times = bench.interleaved(works, 3)
    assert calls == ["a", "b"] * 4
    assert {name: len(spent) for name, spent in times.items()} == {"a": 3, "b": 3}
    assert bench.ratio({"a": [2, 9, 8], "b": [1, 3, 8]}, "a", "b") == 2, "median within rounds"
    assert bench.medians({"a": [2, 9, 8]}) == {"a": 8}


def test_lenet_has_61706_parameters():
    assert sum(p.numel() for p in bench.lenet().parameters()) == 61_706


def test_quick_benchmark_writes_every_part(monkeypatch, tmp_path, digits, capsys):
    def run_here(command, **_):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(command[-1], {})
        return subprocess.CompletedProcess(command, 0, printed.getvalue())

    monkeypatch.setenv("NNWEEK_DATASET", "stand-in")
    monkeypatch.setattr(bench, "load_mnist", lambda: digits)
    monkeypatch.setattr(bench.subprocess, "run", run_here)
    path = tmp_path / "bench.json"
    assert bench.main(["--quick", "--output", str(path)]) == 0
    text, numbers = path.read_text(encoding="utf-8"), []
    hooks = ("parse_int", "parse_float", "parse_constant")
    results = json.loads(text, **dict.fromkeys(hooks, lambda text: numbers.append(float(text))))
    titles = ["machine", "programs", "many models", "LeNet-5", "startup"]
    assert list(results)[:5] == titles
    assert len(results["startup"]) == 4
    assert all(0 < number < math.inf for number in numbers)
    training = json.loads(text)["programs"]["training"]
    assert training["seconds"].keys() - training["val_acc"].keys() == {"floor"}
    assert training["over_nnweek"]["nnweek"] == 1
    assert torch.get_float32_matmul_precision() == "highest", "it is restored"
    assert f"Written: {path}" in capsys.readouterr().out


def test_failure_of_a_new_process_is_quoted(monkeypatch, tmp_path):
    (tmp_path / "nnweek.py").write_text("raise ImportError('no such thing')")
    monkeypatch.chdir(tmp_path)  # where a new process searches first
    with pytest.raises(RuntimeError, match=r"process failed:[\s\S]*no such thing"):
        bench.startup_times(1)


@pytest.mark.slow
def test_memory_of_a_notebook_is_that_of_its_kernel(tmp_path):
    code = "import numpy as np\nkept = np.ones(40_000_000)"  # 320 MB
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbformat.write(notebook, tmp_path / "day-00-large.ipynb")
    measured = bench.notebooks(tmp_path)["day-00-large"]
    assert 320 < measured["peak_mib"] < 1_000
    assert measured["seconds"] > 0

    notebook.cells[0].source = "1 / 0"
    nbformat.write(notebook, tmp_path / "day-00-broken.ipynb")
    with pytest.raises(RuntimeError, match=r"day-00-broken\.ipynb failed[\s\S]*ZeroDivisionError"):
        bench.notebooks(tmp_path)
