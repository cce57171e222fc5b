"""The network of the week and its seeds (Day 31)."""

import pytest
import torch

from nnweek.models import MNISTMLP
from support.training import snapshot


def test_network_has_269_322_parameters_and_ten_logits():
    model = MNISTMLP()
    assert sum(p.numel() for p in model.parameters()) == 269_322
    logits = model(torch.randn(5, 1, 28, 28))
    assert logits.shape == (5, 10)
    assert (logits < 0).any(), "logits of both signs: no ReLU after the last layer"
    assert (logits > 0).any(), "logits of both signs: no log-softmax after the last layer"


@pytest.mark.parametrize("seed", [42, 43])
def test_seed_gives_the_same_weights_as_manual_seed(seed):
    torch.manual_seed(seed)
    expected = snapshot(MNISTMLP().state_dict())
    assert snapshot(MNISTMLP().state_dict()) != expected, "drawn from the global generator"
    assert snapshot(MNISTMLP(seed=seed).state_dict()) == expected


def test_seed_leaves_the_generators_of_torch_unchanged(monkeypatch):
    seeded = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    before = torch.get_rng_state()

    MNISTMLP(4, 2, 2, seed=42)

    assert torch.equal(torch.get_rng_state(), before)
    assert seeded == [], "the generators of the GPUs were seeded and not set back"
