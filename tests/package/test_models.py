"""The network of the week and its seeds (Day 31)."""

import torch

from nnweek.models import MNISTMLP
from support.training import (
    snapshot,
)


def test_network_has_269_322_parameters_and_ten_logits():
    model = MNISTMLP()
    assert sum(p.numel() for p in model.parameters()) == 269_322
    logits = model(torch.randn(5, 1, 28, 28))
    assert logits.shape == (5, 10)
    assert (logits < 0).any(), "logits of both signs: no ReLU after the last layer"
    assert (logits > 0).any(), "logits of both signs: no log-softmax after the last layer"


def test_seed_determines_the_weights():
    torch.manual_seed(1)
    first = snapshot(MNISTMLP(seed=42).state_dict())
    torch.manual_seed(2)
    assert snapshot(MNISTMLP(seed=42).state_dict()) == first
    assert snapshot(MNISTMLP(seed=43).state_dict()) != first


def test_seed_gives_the_same_weights_as_manual_seed():
    torch.manual_seed(42)
    assert snapshot(MNISTMLP(seed=42).state_dict()) == snapshot(MNISTMLP().state_dict())


def test_seed_leaves_the_generators_of_torch_unchanged(monkeypatch):
    seeded = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    before = torch.get_rng_state()

    MNISTMLP(4, 2, 2, seed=42)

    assert torch.equal(torch.get_rng_state(), before)
    assert seeded == [], "the generators of the GPUs were seeded and not set back"


def test_network_without_a_seed_draws_from_the_global_generator():
    torch.manual_seed(1)
    first = snapshot(MNISTMLP(4, 2, 2).state_dict())
    assert snapshot(MNISTMLP(4, 2, 2).state_dict()) != first
    torch.manual_seed(1)
    assert snapshot(MNISTMLP(4, 2, 2).state_dict()) == first
