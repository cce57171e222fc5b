"""The exercise of Day 35: an idea of one's own, ready for a fair comparison.

An idea is whatever the learner likes, so nothing is compared with a right answer. The check runs
the recipe for a few steps on made-up images, and looks for what would spoil the comparison.
"""

from nnweek.checks import sandbox
from nnweek.checks.exercise import Mistake, Question

STEPS = 40  # of the trial, as many as the recipe is told


class _Recipe(Question):
    """A `Question` whose answer is a function, so that `or_solution` takes it."""

    def takes_the_probes(self, function):
        return True


def _images():
    """Return noisy versions of ten random patterns, (64, 1, 28, 28), and their labels."""
    import torch

    generator = torch.Generator().manual_seed(35)
    patterns = torch.randn(10, 1, 28, 28, generator=generator)
    labels = torch.arange(64) % 10
    noise = torch.randn(64, 1, 28, 28, generator=generator)
    return patterns[labels] + 0.5 * noise, labels


def _built(my_idea, seed):
    """Call the recipe as the notebook does; return its value and the problem, if any."""
    import torch

    torch.manual_seed(seed)
    outcome = sandbox.call(my_idea, (STEPS,))
    return outcome.value, outcome.problem


def _judge(my_idea):
    """Return None if the recipe can be compared, or (id, finding)."""
    import torch
    from torch import nn

    if not callable(my_idea):
        return "wrong-type", (
            "The check needs the function itself: `checks.my_idea(my_idea)`, without calling it; "
            f"got {type(my_idea).__name__}."
        )
    # First, since what PyTorch imports for an optimizer is not the learner's time.
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    value, problem = _built(my_idea, seed=1)
    if problem:
        return problem.id, problem.text
    parts = value if isinstance(value, tuple | list) else (value,)
    if any(part is None or part is Ellipsis for part in parts[:2]):
        return "not-attempted", "The network or the optimizer is still missing."
    if len(parts) != 3:
        return "wrong-type", (
            "Three things should be returned: the network, the optimizer, and the schedule or None. "
            f"`my_idea({STEPS})` returned {len(parts)}."
        )
    network, optimizer, schedule = parts
    for part, kind, name in (
        (network, nn.Module, "a network, an `nn.Module`"),
        (optimizer, torch.optim.Optimizer, "an optimizer of `torch.optim`"),
    ):
        if not isinstance(part, kind):
            got = "the class itself" if isinstance(part, type) else f"a {type(part).__name__}"
            return "wrong-type", f"There should be {name}, but your function returned {got}."
    for part, kind, lacking in (
        (schedule, torch.optim.lr_scheduler.ReduceLROnPlateau, "a validation loss"),
        (optimizer, torch.optim.LBFGS, "a function that computes the loss again"),
    ):
        if isinstance(part, kind):
            return "wrong-type", (
                f"`{kind.__name__}` needs {lacking} in each step, which the comparison does not "
                "pass: choose one whose `step()` needs nothing."
            )
    if schedule is not None and (
        isinstance(schedule, torch.optim.Optimizer) or not callable(getattr(schedule, "step", None))
    ):
        return "wrong-type", (
            "The third value should be a schedule of `torch.optim.lr_scheduler`, or None, but its "
            f"type is {type(schedule).__name__}."
        )
    if problem := _materialized(network):
        return problem.id, problem.text
    weights = [p for p in network.parameters() if p.requires_grad]
    if not weights:
        return "not-learning", "No weight of the network is trained."

    (again, *_), problem = _built(my_idea, seed=2)
    if problem := problem or _materialized(again):
        return problem.id, problem.text
    kept = {id(p) for p in weights}
    if any(id(p) in kept for p in again.parameters()):
        return "not-fresh", "The second call returned weights of the first one."
    if any(p.numel() > 1 and p.std() > 0 for p in weights) and all(
        p.shape == q.shape and torch.equal(p, q)
        for p, q in zip(network.parameters(), again.parameters(), strict=False)
    ):
        return "fixed-seed", "From two different seeds, the first weights were equal."

    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    left_out = sum(id(p) not in held for p in weights)
    if left_out:
        return "weights-left-out", (
            f"The optimizer does not have {left_out} of the network's {len(weights)} arrays of "
            "weights and biases."
        )
    if getattr(schedule, "optimizer", optimizer) is not optimizer:
        return "other-optimizer", "The schedule belongs to an optimizer that is not returned."
    flaw = _trained(network, optimizer, schedule)
    if not flaw and _is_baseline(again, optimizer, schedule, seed=2):
        return "only-the-rate", "This is the baseline's network with plain SGD and no schedule."
    return flaw


def _materialized(network):
    """Show the network an image if its layers are lazy; return the problem, if any."""
    import torch

    if any(torch.nn.parameter.is_lazy(p) for p in network.parameters()):
        return sandbox.call(lambda images: network(images).shape, (_images()[0],)).problem
    return None


def _trained(network, optimizer, schedule):
    """Train for `STEPS` steps; return as `_judge` does."""
    import torch
    from torch import nn

    device = next(network.parameters()).device
    images, labels = (x.to(device) for x in _images())
    losses, found = [], []

    def steps():
        network.train()
        for _ in range(STEPS):
            logits = network(images)
            if logits.shape != (len(images), 10):
                shape = tuple(logits.shape)
                found.append(
                    ("wrong-shape", f"64 images should give scores (64, 10); they gave {shape}.")
                )
                return
            loss = nn.functional.cross_entropy(logits, labels)
            losses.append((loss.item(), logits.detach()))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if schedule is not None:
                try:
                    schedule.step()
                except ValueError as error:
                    text = f"After {len(losses)} of {STEPS} steps: {' '.join(str(error).split())}"
                    found.append(("schedule-too-short", text))
                    return

    problem = sandbox.call(lambda: steps(), ()).problem
    if problem:
        return problem.id, problem.text
    if found:
        return found[0]
    first, last = losses[0][0], losses[-1][0]
    if _are_probabilities(losses[0][1]):
        return "softmax-included", "Each row of the network's output is positive and adds up to 1."
    if not torch.isfinite(losses[-1][1]).all() or not last < first:
        return "not-learning", (
            f"On made-up images that are easy to tell apart, the loss went from {first:.3f} to "
            f"{last:.3f} in {STEPS} steps."
        )
    return None


def _are_probabilities(output):
    ones = output.new_ones(len(output))
    return bool((output >= 0).all()) and output.sum(dim=1).allclose(ones, atol=1e-4)


def _is_baseline(network, optimizer, schedule, seed):
    """Return whether nothing differs from the tuned baseline except, perhaps, the rate.

    The network is untrained and was created from the seed.
    """
    import torch
    from torch import nn

    leaves = [type(m) for m in network.modules() if not list(m.children())]
    flat, dense, relu = nn.Flatten, nn.Linear, nn.ReLU
    torch.manual_seed(seed)
    usual = nn.Sequential(dense(784, 256), dense(256, 256), dense(256, 10))
    pairs = zip(network.parameters(), usual.parameters(), strict=False)
    (group, *others) = optimizer.param_groups
    plain = not any(group.get(name) for name in ("momentum", "weight_decay", "nesterov"))
    return (
        leaves == [flat, dense, relu, dense, relu, dense]
        and all(p.shape == q.shape and torch.equal(p.cpu(), q) for p, q in pairs)
        and type(optimizer) is torch.optim.SGD
        and plain
        and not others
        and all(p.requires_grad for p in network.parameters())
        and schedule is None
    )


my_idea = _Recipe(
    name="my_idea",
    day=35,
    signature="my_idea(steps)",
    task="returns a new network for images (B, 1, 28, 28), the optimizer of its weights, and a "
    "schedule for so many steps, or None",
    judge=_judge,
    mistakes=(
        Mistake(
            "not-fresh",
            "The network is created once, outside the function or as a default argument. All five "
            "seeds would then go on training the same network.",
            "How often does the line run that creates your network?",
            "Create the network inside the function, so that each call makes a new one.",
        ),
        Mistake(
            "fixed-seed",
            "The first weights do not depend on the seed of the comparison, so five seeds are not "
            "five independent runs.",
            "What does `torch.manual_seed` inside the function do to the seed set outside it?",
            "Leave out the seed in your function; the comparison sets it before each call.",
        ),
        Mistake(
            "weights-left-out",
            "Weights that the optimizer does not have stay as they are: only a part of the network "
            "learns, or none of it.",
            "Whose `parameters()` does the optimizer get, and was a layer added afterwards?",
            "Build the entire network first, then pass `network.parameters()` to the optimizer.",
        ),
        Mistake(
            "other-optimizer",
            "The schedule changes the rate of another optimizer than the one that takes the steps, "
            "so the rate would stay constant.",
            "Which optimizer was the schedule given?",
            "Pass the optimizer that you return to the schedule.",
        ),
        Mistake(
            "schedule-too-short",
            "The schedule ends before the training does. It is stepped after every batch, `steps` "
            "times.",
            "Does the schedule count epochs or steps?",
            "Give the schedule the argument `steps` as its length.",
        ),
        Mistake(
            "softmax-included",
            "The outputs are probabilities. The cross-entropy of PyTorch takes the softmax itself, "
            "so it would be taken twice.",
            "What does `cross_entropy` expect: scores or probabilities?",
            "Remove the softmax at the end of the network.",
        ),
        Mistake(
            "not-learning",
            "The loss did not fall, although the images are easy: this recipe does not learn, or its steps "
            "are far too long.",
            "Do the steps go down at all? And how long are they, compared with the weights?",
            "Try a rate ten times smaller. If that does not help, leave parts of the idea out until the loss "
            "falls.",
        ),
        Mistake(
            "only-the-rate",
            "At most the learning rate differs from the tuned baseline, and that rate was searched "
            "already. There is nothing to compare.",
            "What does your recipe have that the baseline lacks?",
            "Change one thing besides the rate: the network, the optimizer, or the schedule.",
        ),
    ),
    hints=(
        "Begin with the baseline: `perceptron()` and SGD at the searched rate. Then change one thing.",
        "A schedule is optional: `return network, optimizer, None` is complete without one.",
    ),
)

EXERCISES = (my_idea,)
