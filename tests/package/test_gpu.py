"""The package on a GPU. Without one, on a pretended one: see `support/pretend_gpu.py`."""

import copy

import pytest
import torch
from torch import nn

from nnweek.commands import bench
from nnweek.experiments import in_parallel, train_baseline, train_model_with_optimizer
from nnweek.experiments import train_together as together
from nnweek.loaders import make_loaders
from nnweek.models import MNISTMLP
from nnweek.optimizers import STEPS, make_optimizer
from nnweek.runtime import get_device
from nnweek.training import accuracy, evaluate, fit
from support.pretend_gpu import pretended_gpu

pytestmark = pytest.mark.gpu


@pytest.fixture
def gpu():
    """A GPU: a real one, if there is one."""
    if torch.cuda.is_available():
        yield torch.device("cuda")
    else:
        with pretended_gpu() as device:
            yield device


def test_everything_is_on_the_gpu_by_default(gpu, digits):
    assert get_device().type == "cuda"
    for loader in make_loaders(digits):
        assert {t.device.type for batch in loader for t in batch} == {"cuda"}
    run = train_baseline(digits, epochs=1)
    assert {p.device.type for p in run.model.parameters()} == {"cuda"}


def test_training_on_the_gpu_gives_the_losses_of_the_cpu(gpu, digits):
    here, there = (train_baseline(digits, epochs=2, device=d).history for d in ("cpu", gpu))
    assert there.train_loss == pytest.approx(here.train_loss, rel=1e-3)
    assert there.val_loss == pytest.approx(here.val_loss, rel=1e-3)


@pytest.mark.parametrize("name", STEPS)
def test_models_trained_together_on_the_gpu_are_those_trained_alone(name, gpu, digits):
    train_loader, val_loader, _ = make_loaders(digits, 32)
    models = [MNISTMLP(hidden=8, seed=seed).to(gpu) for seed in range(2)]
    loaders = [copy.copy(train_loader) for _ in models]
    stacked = together(models, loaders, val_loader, name, [0.01, 0.002])
    for seed, lr, history in zip(range(2), [0.01, 0.002], stacked, strict=True):
        model = MNISTMLP(hidden=8, seed=seed).to(gpu)
        train_loader.epoch = 0
        alone = fit(model, train_loader, val_loader, make_optimizer(name, model, lr), epochs=1)
        assert history.train_loss == pytest.approx(alone.train_loss, rel=1e-3)
        assert history.val_loss == pytest.approx(alone.val_loss, rel=1e-3)


@pytest.mark.parametrize("name", STEPS)
def test_training_on_the_gpu_resumes_from_a_checkpoint(name, gpu, digits, tmp_path):
    def trained(epochs, path=None):
        train_loader, val_loader, _ = make_loaders(digits, 32)
        model = MNISTMLP(hidden=8, seed=1).to(gpu)
        optimizer = make_optimizer(name, model, 0.01)
        return fit(model, train_loader, val_loader, optimizer, epochs=epochs, checkpoint=path)

    path = tmp_path / "state.pt"
    trained(1, path)
    assert trained(2, path).val_loss == pytest.approx(trained(2).val_loss, rel=1e-3)


def test_runs_in_parallel_use_the_gpu(gpu, digits):
    _, _, loader = make_loaders(digits)
    losses = in_parallel(
        lambda seed: evaluate(MNISTMLP(seed=seed).to(gpu), loader, nn.CrossEntropyLoss())[0],
        range(3),
    )
    assert len(set(losses)) == 3


def test_optimizer_is_chosen_by_name_on_the_gpu(gpu, digits):
    train_loader, val_loader, _ = make_loaders(digits)
    result = train_model_with_optimizer("Adam", 1, train_loader=train_loader, val_loader=val_loader)
    assert [len(curve) for curve in result] == [1, 1, 1]


def test_accuracy_is_a_number_of_the_cpu(gpu):
    logits = torch.tensor([[0.0, 1.0], [1.0, 0.0]], device=gpu)
    assert accuracy(logits, torch.tensor([1, 1], device=gpu)) == 0.5


def test_benchmark_measures_the_gpu(gpu, digits):
    result = bench.compare_programs(digits, rounds=1)
    assert result["clock"] == "seconds"
    assert min(result["training"]["seconds"].values()) > 0
    many = bench.compare_many_models(digits, models=2, rounds=1)
    assert many["one_by_one_over_train_together"] > 0


def test_pretended_gpu_refuses_what_a_gpu_refuses(gpu):
    there = torch.ones(3, device=gpu)
    with pytest.raises(RuntimeError, match="same device"):
        there + torch.ones(3)
    with pytest.raises((RuntimeError, TypeError)):
        there.numpy()
    assert (there.cpu() + torch.ones(3)).device.type == "cpu"
    assert (there + torch.tensor(1.0)).device.type == "cuda", "a number may be on the CPU"
