"""The written-out update steps against PyTorch's optimizers (Day 33)."""

import pytest
import torch
from torch import nn

from nnweek.optimizers import STEPS, adam_step, adamw_step, make_optimizer, momentum_step
from support.training import make, plain


@pytest.mark.parametrize("name", STEPS)
def test_hundred_steps_match_torch_to_1e_12(name):
    generator = torch.Generator().manual_seed(3)
    w = torch.randn(6, dtype=torch.float64, generator=generator)
    theirs = nn.Parameter(w.clone())
    optimizer = make_optimizer(name, nn.ParameterList([theirs]), 0.01)
    n_state, step = STEPS[name]
    state = [torch.zeros_like(w) for _ in range(n_state)]
    for t in range(1, 101):
        g = torch.randn(6, dtype=torch.float64, generator=generator) * 10.0 ** (t % 7 - 3)
        w, *state = step(w, g, *state, t, 0.01)
        theirs.grad = g.clone()
        optimizer.step()
        assert torch.allclose(w, theirs.detach(), rtol=0, atol=1e-12), f"step {t}"


def test_other_settings_match_torch():
    w, g = torch.tensor([1.0, -2.0]).double(), torch.tensor([0.5, 3.0]).double()
    zero = torch.zeros(2).double()
    for ours, theirs in [
        (
            lambda *a: adam_step(*a, lr=0.05, beta1=0.7, beta2=0.9, eps=1e-4),
            lambda p: torch.optim.Adam(p, lr=0.05, betas=(0.7, 0.9), eps=1e-4),
        ),
        (
            lambda *a: adamw_step(*a, lr=0.05, weight_decay=0.3),
            lambda p: torch.optim.AdamW(p, lr=0.05, weight_decay=0.3),
        ),
    ]:
        parameter = nn.Parameter(w.clone())
        optimizer, ours_w, m, v = theirs([parameter]), w, zero, zero
        for t in (1, 2, 3):
            ours_w, m, v = ours(ours_w, g, m, v, t)
            parameter.grad = g.clone()
            optimizer.step()
        assert torch.allclose(ours_w, parameter.detach(), rtol=0, atol=1e-14)
    assert momentum_step(1.0, 2.0, 3.0, 0.1, 0.5) == (1 - 0.1 * 3.5, 3.5)


@pytest.mark.parametrize("name", ["SGD", "sgd", "Adam", "ADAM"])
def test_make_optimizer_ignores_upper_and_lower_case(name):
    model = make(plain)
    optimizer = make_optimizer(name, model, 0.25)
    assert type(optimizer).__name__.upper() == name.upper()
    assert optimizer.param_groups[0]["lr"] == 0.25
    assert [id(p) for p in optimizer.param_groups[0]["params"]] == [
        id(p) for p in model.parameters()
    ]
