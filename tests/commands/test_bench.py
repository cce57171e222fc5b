"""The benchmark measures what it says, and writes all of it down."""

import json

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from nnweek.commands import bench
from nnweek.loaders import BatchLoader, make_loaders, pixel_statistics
from nnweek.models import MNISTMLP
from nnweek.training import evaluate, train_one_epoch


def test_the_usual_code_does_the_same_work_as_ours(digits):
    """Otherwise the two could not be compared: same pixels, same steps, same numbers."""
    train_loader, _, _ = make_loaders(digits, 32, device="cpu")
    mean, std = pixel_statistics(digits.train_images)
    usual = bench.AsTorchvision(digits.test_images, digits.test_labels, mean, std)
    _, _, test_loader = make_loaders(digits, 32, device="cpu")
    for (image, label), ours, our_label in zip(usual, *test_loader.dataset.tensors, strict=True):
        assert torch.allclose(image, ours, atol=1e-6)
        assert label == our_label

    images, labels = train_loader.dataset.tensors
    one, other = MNISTMLP(seed=0), MNISTMLP(seed=0)
    usual = DataLoader(TensorDataset(images, labels), 32)
    ours = BatchLoader(images, labels, 32)
    by_usual = bench.usual_pass(one, usual, "cpu", torch.optim.SGD(one.parameters(), lr=0.1))
    by_ours = train_one_epoch(
        other, ours, torch.optim.SGD(other.parameters(), lr=0.1), bench.CRITERION
    )
    assert by_usual == pytest.approx(by_ours)
    assert all(map(torch.equal, one.parameters(), other.parameters()))
    assert bench.usual_pass(one, usual, "cpu") == pytest.approx(
        evaluate(other, ours, bench.CRITERION)
    )


@pytest.mark.parametrize("backward", [False, True])
def test_the_floor_multiplies_what_a_step_multiplies(digits, backward):
    """Counted by PyTorch itself: as many floating-point operations as the real step has."""
    from torch.utils.flop_counter import FlopCounterMode

    train_loader, _, _ = make_loaders(digits, 32, device="cpu")
    model = MNISTMLP(seed=0)
    with FlopCounterMode(display=False) as floor:
        bench.bare_products(model, train_loader, backward=backward)
    with FlopCounterMode(display=False) as real:
        if backward:
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            train_one_epoch(model, train_loader, optimizer, bench.CRITERION)
        else:
            evaluate(model, train_loader, bench.CRITERION)
    assert floor.get_total_flops() == real.get_total_flops() > 0


def test_turns_alternate_and_the_first_is_not_counted():
    calls = []
    works = {name: lambda name=name: calls.append(name) for name in "ab"}
    times = bench.in_turns(works, 3)
    assert calls == ["a", "b"] * 4
    assert {name: len(spent) for name, spent in times.items()} == {"a": 3, "b": 3}
    assert bench.ratio({"a": [2, 9, 8], "b": [1, 3, 8]}, "a", "b") == 2, "the median within turns"


def test_lenet_has_the_weights_that_it_names():
    assert sum(p.numel() for p in bench.lenet().parameters()) == 61_706


def test_the_benchmark_in_its_short_form_writes_every_part(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("NNWEEK_DATASET", "stand-in")
    path = tmp_path / "bench.json"
    bench.main(["--quick", "--output", str(path)])
    results = json.loads(path.read_text(encoding="utf-8"))
    assert list(results)[:5] == [
        "machine",
        "against the usual code",
        "many at once",
        "convolutions",
        "starting",
    ]

    def numbers(value):
        if isinstance(value, dict):
            return [n for part in value.values() for n in numbers(part)]
        return [value] if isinstance(value, (int, float)) else []

    assert min(numbers(results)) > 0
    assert np.isfinite(numbers(results)).all()
    assert "written: " in capsys.readouterr().out


def test_a_notebook_that_fails_is_named(tmp_path):
    import nbformat

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")])
    nbformat.write(notebook, tmp_path / "day-00-broken.ipynb")
    with pytest.raises(RuntimeError, match=r"day-00-broken\.ipynb failed[\s\S]*ZeroDivisionError"):
        bench.notebooks(tmp_path)


def test_a_notebook_s_memory_is_that_of_its_kernel(tmp_path):
    import nbformat

    code = "import numpy as np\nkept = np.ones(40_000_000)"  # 320 MB
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbformat.write(notebook, tmp_path / "day-00-large.ipynb")
    measured = bench.notebooks(tmp_path)["day-00-large"]
    assert 320 < measured["peak_mib"] < 1_000
    assert measured["seconds"] > 0
