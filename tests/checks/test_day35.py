"""The exercise of Day 35: each flaw of a recipe that would spoil its comparison has a name."""

import pytest
import torch
from torch import nn

from nnweek import checks
from nnweek.checks import progress_store, solutions

IDS = [
    "not-fresh",
    "fixed-seed",
    "weights-left-out",
    "other-optimizer",
    "schedule-too-short",
    "softmax-included",
    "not-learning",
    "only-the-rate",
]


def perceptron(*more):
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 256),
        nn.ReLU(),
        nn.Linear(256, 256),
        nn.ReLU(),
        nn.Linear(256, 10),
        *more,
    )


def with_sgd(network, lr=0.1, **settings):
    return network, torch.optim.SGD(network.parameters(), lr=lr, **settings), None


def with_schedule(make):
    """Return a recipe whose schedule `make(optimizer, steps)` returns."""

    def recipe(steps):
        network, optimizer, _ = with_sgd(perceptron())
        return network, optimizer, make(optimizer, steps)

    return recipe


def one_cycle(optimizer, steps):
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=steps)


plateau = torch.optim.lr_scheduler.ReduceLROnPlateau


def with_lbfgs(network):
    return network, torch.optim.LBFGS(network.parameters()), None


def convolutional(steps):
    network = nn.Sequential(nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(), nn.Flatten())
    network.append(nn.Linear(8 * 12 * 12, 10))
    return network, torch.optim.AdamW(network.parameters(), lr=0.003), None


def frozen(steps):
    network = perceptron()
    network[1].requires_grad_(False)
    trained = [p for p in network.parameters() if p.requires_grad]
    return network, torch.optim.SGD(trained, lr=0.1), None


def other_first_weights(steps):
    network = perceptron()
    for layer in network[1::2]:
        nn.init.kaiming_normal_(layer.weight)
    return with_sgd(network)


def lazy(steps):
    network = nn.Sequential(nn.Flatten(), nn.LazyLinear(64), nn.ReLU(), nn.LazyLinear(10))
    return with_sgd(network)


def zeros(steps):
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    for p in network.parameters():
        nn.init.zeros_(p)
    return with_sgd(network, 0.01)


RIGHT = {
    "momentum": lambda steps: with_sgd(perceptron(), 0.03, momentum=0.9),
    "weight decay": lambda steps: with_sgd(perceptron(), weight_decay=1e-4),
    "list": lambda steps: list(with_sgd(perceptron(nn.BatchNorm1d(10)))),
    "dropout": lambda steps: with_sgd(nn.Sequential(perceptron(), nn.Dropout(0.01))),
    "wider": lambda steps: with_sgd(
        nn.Sequential(nn.Flatten(), nn.Linear(784, 400), nn.Tanh(), nn.Linear(400, 10))
    ),
    "one cycle": with_schedule(one_cycle),
    "convolutional": convolutional,
    "frozen": frozen,
    "other first weights": other_first_weights,
    "lazy": lazy,
    "zeros": zeros,
}


@pytest.mark.parametrize("recipe", RIGHT.values(), ids=RIGHT)
def test_any_idea_that_can_be_compared_passes(recipe):
    verdict = checks.EXERCISES["my_idea"](recipe)
    assert verdict, verdict


def test_solution_passes_and_the_stub_gets_it():
    assert checks.EXERCISES["my_idea"](solutions.my_idea)

    def my_idea(steps):
        return ..., ..., None

    assert checks.or_solution(my_idea) == [solutions.my_idea]
    own = RIGHT["momentum"]
    own.__name__ = "my_idea"
    assert checks.or_solution(own) == [own]


shared = perceptron(nn.BatchNorm1d(10))


def fixed_seed(steps):
    torch.manual_seed(42)
    return with_sgd(perceptron(), momentum=0.9)


def without_last_layer(steps):
    network = perceptron()
    return network, torch.optim.Adam(network[:-1].parameters()), None


def of_another_network(steps):
    return perceptron(), torch.optim.Adam(perceptron().parameters()), None


def of_another_optimizer(optimizer, steps):
    (group,) = optimizer.param_groups
    return one_cycle(torch.optim.SGD(group["params"], lr=0.1), steps)


WRONG = [
    ("not-fresh", lambda steps: with_sgd(shared)),
    ("not-fresh", lambda steps, network=shared: with_sgd(network, 0.01)),
    ("fixed-seed", fixed_seed),
    ("weights-left-out", without_last_layer),
    ("weights-left-out", of_another_network),
    ("other-optimizer", with_schedule(of_another_optimizer)),
    ("schedule-too-short", with_schedule(lambda optimizer, steps: one_cycle(optimizer, 3))),
    ("schedule-too-short", with_schedule(lambda optimizer, steps: one_cycle(optimizer, steps - 1))),
    ("softmax-included", lambda steps: with_sgd(perceptron(nn.Softmax(dim=1)))),
    ("not-learning", lambda steps: with_sgd(perceptron(), 1e4, momentum=0.9)),
    ("not-learning", lambda steps: with_sgd(perceptron(), 0.0)),
    ("not-learning", lambda steps: with_sgd(perceptron(), 0.1, maximize=True)),
    ("only-the-rate", lambda steps: with_sgd(perceptron(), 0.05)),
    ("wrong-shape", lambda steps: with_sgd(perceptron(nn.Linear(10, 9)))),
    ("raised", lambda steps: with_sgd(nn.Sequential(nn.Flatten(), nn.Linear(28, 10)))),
    ("raised", lambda: with_sgd(perceptron())),
    ("wrong-type", lambda steps: with_sgd(perceptron())[:2]),
    ("wrong-type", lambda steps: (perceptron, torch.optim.SGD, None)),
    ("wrong-type", lambda steps: (perceptron(), torch.optim.SGD, None)),
    ("wrong-type", lambda steps: (*with_sgd(perceptron())[:2], 0.1)),
    ("wrong-type", lambda steps: perceptron()),
    ("wrong-type", with_schedule(lambda optimizer, steps: optimizer)),
    ("wrong-type", with_schedule(lambda optimizer, steps: plateau(optimizer))),
    ("wrong-type", lambda steps: with_lbfgs(perceptron())),
    ("raised", lambda steps: with_sgd(nn.Sequential(nn.LazyLinear(9), nn.Linear(28, 10)))),
    ("wrong-type", with_sgd(perceptron())),
    ("not-attempted", lambda steps: (..., ..., None)),
    ("not-attempted", lambda steps: None),
    ("not-attempted", lambda steps: (perceptron(), None, None)),
    ("not-attempted", ...),
]


@pytest.mark.parametrize(("mistake", "recipe"), WRONG)
def test_what_would_spoil_the_comparison_is_named(mistake, recipe):
    progress_store.forget("my_idea")
    verdict = checks.EXERCISES["my_idea"](recipe)
    assert verdict.mistake == mistake, verdict


def test_ids_are_those_of_the_contract():
    assert [mistake.id for mistake in checks.EXERCISES["my_idea"].mistakes] == IDS
    assert {mistake for mistake, _ in WRONG} >= set(IDS)


def test_check_leaves_the_random_numbers_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    checks.EXERCISES["my_idea"](fixed_seed)
    assert torch.equal(torch.rand(2), expected)
