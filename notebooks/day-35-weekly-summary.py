# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Day 35 – The week in one page
#
# Six days, many numbers. Today you collect them in one results snapshot, and try the ideas that everybody names when an
# accuracy should rise, and one idea of your own. Which of them is worth its place? Then you write the page that you
# would show to others: what was built, what was measured, what was learnt.
#
# **You will be able to**
#
# - collect results that several notebooks measured, and complete what is missing;
# - say what each result claims, and what it does not;
# - tune a baseline before anything is compared with it;
# - try an idea of your own so that its gain has an interval and its cost has a number;
# - find out what a trained network does on images from elsewhere, and why;
# - write a short report whose results come from the runs, not from your keyboard.
#
# **Time** about 120 minutes: gathering 5, snapshot 10, next ideas 35, your own idea 20, other handwriting 15, report 10,
# quiz 25.
#
# **You need** Days 29 to 34. If you have not run them, or run this in a new place, today's notebook measures what it
# does not find.

# %% tags=["remove-cell"]
# In Colab, fetch the course's package; everywhere else this cell does nothing.
import importlib.util
import subprocess
import sys

if "google.colab" in sys.modules and importlib.util.find_spec("nnweek") is None:
    repository = "https://github.com/nnweek/week5-neural-networks"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", f"git+{repository}"],
        check=True,
    )

# %% [markdown]
# ## Yesterday in three lines
#
# - You can look at a logged run while it is in progress, and long afterwards.
# - Training and validation belong on one x-axis: steps taken.
# - Event files are data: read them back and draw what you need.

# %% tags=["hide-input"]
import functools
import platform
import shutil
import time
from datetime import date

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import Markdown
from scipy.special import stdtrit  # comes with scikit-learn
from sklearn.datasets import load_digits
from torch import nn

from nnweek import checks, results
from nnweek.experiments import (
    best_rate,
    in_parallel,
    train_together,
)
from nnweek.files import write_block
from nnweek.gradcheck import grad_check
from nnweek.loaders import BatchLoader, make_loaders, pixel_statistics
from nnweek.mnist import load_mnist
from nnweek.models import MNISTMLP
from nnweek.notebook import progress_bar, text_says
from nnweek.plots import COLORS, GREY, STYLE, plot_images, style_of
from nnweek.runtime import get_device
from nnweek.scratch import TwoLayerMLP, train_numpy
from nnweek.statistics import accuracy_interval, paired_difference
from nnweek.toy import make_toy_data
from nnweek.training import evaluate, fit, train_one_epoch

# %% [markdown]
# Change these numbers and run the rest again. The text describes the run with the numbers as they are here. Setting
# `SMALL` to `True` takes a tenth of the images, for a quick run whose results are kept apart and not compared with the
# text.

# %% tags=["parameters"]
SEED = 42
SMALL = False
# The ideas
EPOCHS = 3
SGD_LR = 0.1
BATCH_SIZE = 128
IMAGES = 9_000

# %%
torch.set_num_threads(1)  # the networks are small: Day 32 shows why
device = get_device()
data = load_mnist()
if SMALL:
    data = data.small()
criterion = nn.CrossEntropyLoss()
epochs, batch_size = EPOCHS, BATCH_SIZE
if data.is_stand_in:  # few images: this gives about as many steps
    epochs, batch_size = round(1.7 * EPOCHS), BATCH_SIZE // 4
all_images, val_loader, test_loader = make_loaders(
    data, batch_size, seed=SEED, device=device
)

# %% [markdown]
# ## Gather, and complete
#
# The days leave their results in one file, each with the settings that it depends on. The folded functions say how
# those that the snapshot needs are measured. A result that is not in the file, or was recorded with other settings, is
# measured now, in the same way and from the same seeds as on its day. For all of them that takes about half a minute on
# two cores.

# %% tags=["hide-input"]
GRADIENT_CHECK = {
    "seed": SEED,
    "hidden": 5,
    "weight_scale": 1e-2,
    "examples": 5,
}
ACTIVATIONS = {
    "seed": SEED,
    "hidden": 16,
    "weight_scale": 0.1,
    "lr": 0.3,
    "epochs": 150,
    "examples": 160,
}
LINEAR = {"seed": SEED, "epochs": 3, "lr": 0.1, "batch_size": 128}
BASELINE = {
    "seeds": [SEED + k for k in range(5)],
    "epochs": 5,
    "lr": 0.1,
    "batch_size": 128,
}
PAIRS = {
    "seed": SEED,
    "seeds": [0, 1, 2, 3, 4],
    "images": 27_000,
    "epochs": 1,
    "rates": {
        "SGD": [0.0032, 0.01, 0.032, 0.1, 0.32, 1.0, 3.2],
        "Adam": [3.2e-5, 1e-4, 3.2e-4, 0.001, 0.0032, 0.01, 0.032],
    },
    "batch_size": 128,
}
PAIR_IMAGES = min(PAIRS["images"], len(all_images.dataset))
PAIR_EPOCHS = PAIRS["epochs"] * (8 if data.is_stand_in else 1)


def batches(seed, batch_size, count=None):
    """Batches of the first `count` training images, in an order from the seed."""
    part = all_images.dataset[:count]  # in random order since the split
    return BatchLoader(*part, batch_size, shuffle_seed=seed)


def measure_gradient_check(seed, hidden, weight_scale, examples):
    X, y = make_toy_data(80, seed=seed)
    model = TwoLayerMLP(2, hidden, 2, weight_scale=weight_scale, seed=seed)
    step = len(X) // examples
    return grad_check(model, X[::step], y[::step])[0]


def measure_activations(seed, hidden, weight_scale, lr, epochs, examples):
    X, y = make_toy_data(examples // 2, seed=seed)
    final_loss = {}
    for activation in ["relu", "sigmoid"]:
        model = TwoLayerMLP(2, hidden, 2, activation, weight_scale, seed)
        losses = train_numpy(model, X, y, lr, epochs, verbose=False)
        final_loss[activation] = losses[-1]
    return final_loss


def measure_linear(seed, epochs, lr, batch_size):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 10)).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    loader = batches(seed, batch_size)
    for _ in progress_bar(range(epochs), desc="epochs"):
        train_one_epoch(model, loader, optimizer, criterion)
    return evaluate(model, test_loader, criterion)[1]


def measure_baseline(seeds, epochs, lr, batch_size):
    def test_accuracy(seed):
        model = MNISTMLP(seed=seed).to(device)
        optimizer = torch.optim.SGD(model.parameters(), lr=lr)
        loader = batches(seed, batch_size)
        fit(model, loader, val_loader, optimizer, epochs=epochs)
        return evaluate(model, test_loader, criterion)[1]

    return in_parallel(test_accuracy, seeds)


def measure_pairs(seed, seeds, images, epochs, rates, batch_size):
    """Each optimizer at the best of its rates, from several seeds."""
    width = 64 if data.is_stand_in else 256
    found = {}

    def network(seed):
        return MNISTMLP(hidden=width, seed=seed).to(device)

    for name, grid in rates.items():

        def train(models, loaders, lr, name=name):
            return train_together(
                models, loaders, val_loader, name, lr, epochs=PAIR_EPOCHS
            )

        same = [network(seed) for _ in grid]
        searched = train(same, batches(seed, batch_size, PAIR_IMAGES), grid)
        lr = best_rate(grid, [history.val_acc[-1] for history in searched])
        several = [network(own) for own in seeds]
        orders = [batches(own, batch_size, PAIR_IMAGES) for own in seeds]
        train(several, orders, lr)
        found[name] = {
            "lr": lr,
            "test_accuracies": [
                evaluate(model, test_loader, criterion)[1] for model in several
            ],
        }
    return found


# %%
gradient_error = results.recall(
    "gradient_check_max_error",
    lambda: measure_gradient_check(**GRADIENT_CHECK),
    dataset="toy",
    day=29,
    settings=GRADIENT_CHECK,
)

# %% tags=["hide-input"]
activations = results.recall(
    "activation_final_loss",
    lambda: measure_activations(**ACTIVATIONS),
    dataset="toy",
    day=30,
    settings=ACTIVATIONS,
)
linear = results.recall(
    "softmax_regression_test_accuracy",
    lambda: measure_linear(**LINEAR),
    dataset=data.name,
    day=32,
    settings=LINEAR,
)
baselines = results.recall(
    "baseline_test_accuracies",
    lambda: measure_baseline(**BASELINE),
    dataset=data.name,
    day=32,
    settings=BASELINE,
)
pairs = results.recall(
    "optimizer_test_accuracies",
    lambda: measure_pairs(**PAIRS),
    dataset=data.name,
    day=33,
    settings=PAIRS,
)

# %% [markdown]
# ## Results snapshot
#
# Each line comes from a measurement.

# %%
baseline = baselines[0]  # from the seed of this page
exponent = int(np.ceil(np.log10(gradient_error)))
low, high = accuracy_interval(baseline, len(data.test_labels))
faster = min(activations, key=activations.get)
adam_minus_sgd = paired_difference(
    pairs["Adam"]["test_accuracies"], pairs["SGD"]["test_accuracies"]
)


# %% tags=["hide-input"]
def signed(number):
    rounded = round(100 * number, 2) + 0.0  # no "−0.00"
    return f"{rounded:+.2f}".replace("-", "−")


def points(gain):
    """A difference with its interval, in percentage points."""
    return f"{signed(gain.mean)} points ({signed(gain.low)} to {signed(gain.high)})"


verdict = {
    "first higher": "Adam is ahead",
    "second higher": "SGD is ahead",
}.get(adam_minus_sgd.verdict, "no difference shown")
budget_of_pairs = (
    f"{PAIR_EPOCHS} epoch{'s' * (PAIR_EPOCHS > 1)} over {PAIR_IMAGES:,} images"
)
snapshot = f"""\
- **{data.name}, test accuracy of the baseline MLP:** {baseline:.2%}
  (95 % interval {low:.2%} to {high:.2%}; {len(baselines)} seeds:
  {min(baselines):.2%} to {max(baselines):.2%}; softmax regression: {linear:.2%})
- **Adam minus SGD at searched rates, test accuracy, {adam_minus_sgd.n} paired seeds,
  {budget_of_pairs}:**
  {points(adam_minus_sgd)}, {verdict}
- **Key learnings:**
  - The backpropagation formulas agree with finite differences: the largest
    relative error is below 1e{exponent}.
  - On the toy data, with the same start and rate, {faster} ends at the lower
    loss: {activations["relu"]:.4f} with relu,
    {activations["sigmoid"]:.4f} with sigmoid.
  - One seed is not enough to compare networks: between {len(baselines)} seeds, the
    baseline's test accuracy differs by up to
    {100 * (max(baselines) - min(baselines)):.2f} points. Compare pairs of runs that share
    a seed.
  - On a common axis of steps, training and validation loss show when further
    training no longer helps on images that the network has not seen.
"""
Markdown(snapshot)

# %% tags=["remove-cell"]
with text_says("the formulas agree with finite differences"):
    assert gradient_error < 1e-6
with text_says("ReLU ends at the lower loss"):
    assert activations["relu"] < activations["sigmoid"]
with text_says("the baseline reads digits"):
    assert 0.5 <= baseline <= 1
    assert data.is_stand_in or 0.973 <= baseline <= 0.982
with text_says("the baseline is far above softmax regression"):
    assert data.is_stand_in or 0.90 < linear < 0.93 < low
with text_says("the baseline's accuracy differs a little between seeds"):
    assert data.is_stand_in or min(baselines) > 0.97
    assert data.is_stand_in or 4e-4 < max(baselines) - min(baselines) < 0.01
with text_says("Adam and SGD are close at searched rates"):
    assert data.is_stand_in or abs(adam_minus_sgd.mean) < 0.06
assert "__" not in snapshot, "a blank was left"

# %% [markdown]
# Read each line again and ask what it does *not* say. The first interval describes other test images, and the range
# beside it other seeds; neither contains the other. The line on pairs is the verdict of Day 33, and holds for its short
# budget and its two grids of rates. The comparison of activations holds for one small task.
#
# ## Next ideas, tried
#
# If you ask around what to try next, you hear the same ideas again and again. What does each of them gain here, and what
# does it cost? Before you run anything, write down what you expect: a surprise is only a surprise if you had a
# prediction.
#
# | idea | what it changes | what people expect of it |
# |---|---|---|
# | a searched rate | the same SGD, at the best of four learning rates | the cheapest gain of all |
# | batch normalisation | brings each hidden unit's sum to mean 0 and deviation 1 over the batch, then rescales it by learnt amounts | faster, steadier training |
# | dropout | silences hidden units at random while training | less memorising |
# | data augmentation | shifts and turns the training images | less memorising |
# | Adam | gives every weight a rate of its own | fewer steps to the same place |
# | OneCycle | warms the learning rate up, then takes it down to almost nothing | a better end from the same steps |
# | convolutions | look for the same stroke everywhere in the image | fewer mistakes with fewer weights |
#
# The networks first. The perceptron is the week's baseline with room for two of the ideas. The convolutional network is
# a small relative of LeNet: two layers that slide 5×5 windows over the image in steps of two pixels, then two dense
# layers. Simard's network of 2003 had that form, too.


# %%
def perceptron(*, normalise=False, dropout=0.0):
    layers = [nn.Flatten()]
    for inputs in (28 * 28, 256):
        layers.append(nn.Linear(inputs, 256))
        if normalise:
            layers.append(nn.BatchNorm1d(256))
        layers.append(nn.ReLU())
        if dropout:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers, nn.Linear(256, 10))


def convolutional():
    return nn.Sequential(
        nn.Conv2d(1, 16, kernel_size=5, stride=2),  # (B, 16, 12, 12)
        nn.ReLU(),
        nn.Conv2d(16, 32, kernel_size=5, stride=2),  # (B, 32, 4, 4)
        nn.ReLU(),
        nn.Flatten(),  # (B, 512)
        nn.Linear(512, 100),
        nn.ReLU(),
        nn.Linear(100, 10),
    )


# %% [markdown]
# *Predict before you run:* the convolutional network has one more layer with weights than the perceptron. Which of the
# two has more weights, biases included?
#
# - a) the perceptron
# - b) the convolutional network
# - c) about the same

# %%
weights = {
    network.__name__: sum(p.numel() for p in network().parameters())
    for network in (perceptron, convolutional)
}

# %% tags=["hide-input"]
more, fewer = sorted(weights, key=weights.get, reverse=True)
Markdown(
    "; ".join(
        f"{name}: **{count:,}** weights" for name, count in weights.items()
    )
    + f". The {more} has {weights[more] / weights[fewer]:.1f} times as many. A "
    "convolution uses its few weights again at every place of the image."
)

# %% tags=["remove-cell"]
with text_says("the convolutional network has far fewer weights"):
    assert weights["convolutional"] < weights["perceptron"] / 3

# %% [markdown]
# Augmentation makes new training images from old ones. Each image of a batch is turned by up to about eleven degrees
# and moved by up to two pixels, by different amounts in every epoch. `affine_grid` computes for each pixel where to
# look, and `grid_sample` looks there.


# %%
def wiggle(images, generator, angle=0.2, shift=2 / 14):
    """Turn (radians) and shift (halves of the image) each image at random."""

    def draw(most):
        numbers = torch.rand(
            len(images), generator=generator, device=images.device
        )
        return (2 * numbers - 1) * most

    turn, across, down = draw(angle), draw(shift), draw(shift)
    rows = [
        torch.stack([turn.cos(), -turn.sin(), across], dim=1),
        torch.stack([turn.sin(), turn.cos(), down], dim=1),
    ]
    where = nn.functional.affine_grid(
        torch.stack(rows, dim=1), images.shape, align_corners=False
    )
    return nn.functional.grid_sample(
        images, where, padding_mode="border", align_corners=False
    )


def generator_of(seed):
    return torch.Generator(device=device).manual_seed(seed)


# %%
six_times = all_images.dataset.tensors[0][:1].expand(6, -1, -1, -1)
wiggled = wiggle(six_times, generator_of(SEED))

# %% tags=["hide-input"] mystnb={"image": {"alt": "One handwritten digit six times: the first as it is, the others turned and shifted a little, each differently."}}
plot_images(
    torch.cat([six_times[:1], wiggled[1:]])[:, 0].cpu(),
    ["as it is"] + ["wiggled"] * 5,
    "The same digit, five new ways",
)

# %% [markdown]
# *How to read it:* would you still name the digit? Then the label may stay. Turn a 6 by half a circle and it must not.
#
# ### One way to train them all
#
# Every idea becomes a function of the number of steps. It returns three things: a new network, the optimizer of its
# weights, and a schedule for the learning rate, or `None`. All runs get the same budget, which on MNIST is a few epochs
# over a sixth of the training images: then there is time for several seeds, and several pairs say more than one long
# run. The seed decides which training images are taken, in which order, and the first weights. All ideas of a round share
# it, and all rounds share the validation images.


# %%
SGD = torch.optim.SGD
# fused: one call updates all weights; otherwise Adam makes several passes.
ADAM = functools.partial(torch.optim.Adam, fused=True)


def recipe(lr, optimizer=SGD, network=perceptron, one_cycle=False, **options):
    def build(steps):
        model = network(**options).to(device)
        chosen = optimizer(model.parameters(), lr=lr)
        schedule = None
        if one_cycle:
            schedule = torch.optim.lr_scheduler.OneCycleLR(
                chosen, max_lr=lr, total_steps=steps
            )
        return model, chosen, schedule

    return build


def train(built, loader, seed, augment=None, epochs=epochs, show=None):
    network, optimizer, schedule = built
    generator = generator_of(seed)
    network.to(device).train()
    for _ in progress_bar(range(epochs), desc="epochs", show=show):
        for images, labels in loader:
            if augment:
                images = augment(images, generator)
            optimizer.zero_grad()
            criterion(network(images), labels).backward()
            optimizer.step()
            if schedule:
                schedule.step()


# %% [markdown]
# One seed is one round. As on Day 33 its runs go side by side, one per core. A network that draws random numbers, as
# dropout does, has to run alone: it draws from the one generator that all of PyTorch shares, so beside others its draws
# would differ from run to run.

# %%
COUNT = min(IMAGES, len(all_images.dataset))
AUGMENT = {"augmentation": wiggle}


def one_round(builds, seed, alone=("dropout",)):
    """{name: (validation accuracy, accuracy on training images)}"""
    taken = torch.randperm(
        len(all_images.dataset), generator=torch.Generator().manual_seed(seed)
    )[:COUNT]
    part = [tensor[taken] for tensor in all_images.dataset.tensors]
    steps = epochs * len(BatchLoader(*part, batch_size))
    seen = BatchLoader(part[0][:3000], part[1][:3000], batch_size)
    built = {}
    for name, build in builds.items():
        torch.manual_seed(seed)  # decides the first weights
        built[name] = build(steps)

    def run(name):
        loader = BatchLoader(*part, batch_size, shuffle_seed=seed)
        train(built[name], loader, seed, AUGMENT.get(name))
        network = built[name][0]
        return tuple(
            evaluate(network, x, criterion)[1] for x in (val_loader, seen)
        )

    together = [name for name in builds if name not in alone]
    accs = dict(zip(together, in_parallel(run, together), strict=True))
    for name in builds.keys() - accs.keys():
        torch.manual_seed(seed)
        accs[name] = run(name)
    return accs


# %% [markdown]
# ### The cheapest idea: tune what you have
#
# The baseline's rate was a habit. Day 32 used it for five epochs over all images, and nobody asked whether it suits this
# budget. An idea that is compared with a badly tuned baseline wins too easily: what looks like the idea may be the rate.
# So each kind of training gets the same effort first: four rates, two seeds. The seeds are not those of the comparison
# below, since a rate that was chosen on some seeds is flattered by them.
#
# *Predict before you run:* for which of the three does a wrong rate cost most?
#
# - a) SGD
# - b) SGD with batch normalisation
# - c) Adam

# %%
SGD_RATES = [0.032, 0.1, 0.32, 1.0]
if data.is_stand_in:  # small batches tolerate smaller steps only
    SGD_RATES = [0.01, 0.032, 0.1, 0.32]
KINDS = {
    "SGD": (SGD, False, SGD_RATES),
    "batch normalisation": (SGD, True, SGD_RATES),
    "Adam": (ADAM, False, [0.00032, 0.001, 0.0032, 0.01]),
}
SEARCH_SEEDS = (11, 12)
trials = {
    (kind, lr): recipe(lr, optimizer, normalise=normalise)
    for kind, (optimizer, normalise, rates) in KINDS.items()
    for lr in rates
}
searched = [one_round(trials, seed) for seed in SEARCH_SEEDS]

search, RATE = {}, {}
for kind, (*_, rates) in KINDS.items():
    accs = [[accs[kind, lr][0] for lr in rates] for accs in searched]
    search[kind] = np.array(accs)  # (seeds, rates)
    RATE[kind] = best_rate(rates, search[kind].mean(axis=0))

# %% tags=["hide-input"] mystnb={"image": {"alt": "Validation accuracy against the learning rate, for SGD, SGD with batch normalisation and Adam, with a dot for each seed: each has a best rate between worse ones."}}
with plt.rc_context(STYLE):
    figure, ax = plt.subplots()
    looks = {
        "SGD": style_of("SGD", marker=True),
        "batch normalisation": {
            "label": "batch normalisation",
            "color": COLORS[3],
            "linestyle": ":",
            "marker": "^",
        },
        "Adam": style_of("Adam", marker=True),
    }
    for kind, look in looks.items():
        rates = KINDS[kind][-1]
        ax.plot(rates, 100 * search[kind].mean(axis=0), **look)
        for accs in search[kind]:
            ax.plot(rates, 100 * accs, ".", color=look["color"], alpha=0.5)
    best_of_all = max(100 * accs.mean(axis=0).max() for accs in search.values())
    ax.set_ylim(best_of_all - 12, best_of_all + 2)  # runs that fail are below
    ax.set(
        title="The same budget at four rates each",
        xlabel="Learning rate",
        ylabel="Validation accuracy, %",
        xscale="log",
    )
    ax.legend()
    plt.show()

# %% [markdown]
# *How to read it:* a line is the mean of two seeds, its dots are the seeds, and a line that leaves the figure below
# belongs to runs that failed. A flat line is easy to tune. A best rate at the end of its line would ask for a wider grid.

# %% tags=["hide-input"]
lines = []
for kind, (*_, rates) in KINDS.items():
    means = zip(rates, search[kind].mean(axis=0), strict=True)
    parts = [
        f"**{acc:.2%} at {lr:g}**"
        if lr == RATE[kind]
        else f"{acc:.2%} at {lr:g}"
        for lr, acc in means
    ]
    lines.append(f"- {kind}: {', '.join(parts)}")
Markdown(
    "Mean validation accuracy at each rate, the chosen one in bold:\n\n"
    + "\n".join(lines)
)

# %% tags=["remove-cell"]
with text_says("the searched rate of SGD is another than Day 32's"):
    assert data.is_stand_in or RATE["SGD"] > SGD_LR
with text_says("each kind has a best rate between worse ones"):
    for kind, (*_, rates) in KINDS.items():
        assert data.is_stand_in or rates[0] < RATE[kind] < rates[-1]

# %% [markdown]
# ### Seven ideas, five seeds
#
# Each idea is compared with what it changes. Dropout and augmentation are added to the tuned SGD; batch normalisation and
# Adam, at rates of their own, replace it. OneCycle is added to Adam, and convolutions to both. Dropout,
# augmentation, OneCycle and convolutions take the rate of what they are added to, without a search of their own: a gain
# that they show counts, but one that they miss may be a matter of tuning.

# %%
SEEDS = (1, 2, 3, 4, 5)
UNTUNED, TUNED = f"SGD at {SGD_LR:g}", "tuned SGD"
IDEAS = {
    UNTUNED: recipe(SGD_LR),
    TUNED: recipe(RATE["SGD"]),
    "batch normalisation": recipe(RATE["batch normalisation"], normalise=True),
    "dropout": recipe(RATE["SGD"], dropout=0.2),
    "augmentation": recipe(RATE["SGD"]),  # see AUGMENT
    "Adam": recipe(RATE["Adam"], ADAM),
    "OneCycle": recipe(RATE["Adam"], ADAM, one_cycle=True),
    "convolutions": recipe(RATE["Adam"], ADAM, convolutional, one_cycle=True),
}
AGAINST = {
    TUNED: UNTUNED,
    "batch normalisation": TUNED,
    "dropout": TUNED,
    "augmentation": TUNED,
    "Adam": TUNED,
    "OneCycle": "Adam",
    "convolutions": "OneCycle",
}
rounds = [one_round(IDEAS, seed) for seed in SEEDS]
val_accs = {idea: [accs[idea][0] for accs in rounds] for idea in IDEAS}
gains = {
    idea: paired_difference(val_accs[idea], val_accs[other])
    for idea, other in AGAINST.items()
}

# %% [markdown]
# And what does each idea cost? Runs that share a computer cannot show it. So a few steps of each are timed separately
# and in turns, as on Day 32. Each turn compares an idea with the tuned SGD of the same turn: a busy moment slows down
# both. SGD does the same work at either rate, so the first two rows show how far you can trust this clock.

# %%
few = BatchLoader(*all_images.dataset[: 5 * batch_size], batch_size)


def timed_in_turns(builds, turns=7):
    """{name: milliseconds per step in each turn}, without the turn that warms up."""
    ms_a_step = {name: [] for name in builds}
    for _ in progress_bar(range(turns), desc="turns"):
        for name, build in builds.items():
            torch.manual_seed(SEED)
            built = build(len(few))
            start = time.perf_counter()
            train(built, few, SEED, AUGMENT.get(name), epochs=1, show=False)
            if device.type == "cuda":
                torch.cuda.synchronize()  # a GPU may still be at work
            elapsed = time.perf_counter() - start
            ms_a_step[name].append(1000 * elapsed / len(few))
    return {name: np.array(ms[1:]) for name, ms in ms_a_step.items()}


ms_a_step = timed_in_turns(IDEAS)
factors = {idea: ms / ms_a_step[TUNED] for idea, ms in ms_a_step.items()}


# %% tags=["hide-input"]
def cost_of(idea):
    """Seconds per epoch, and the factor against the tuned SGD with its range."""
    ratios = factors[idea]
    cost = np.median(ratios)
    seconds = cost * np.median(ms_a_step[TUNED]) / 1000 * len(all_images)
    spread = (
        "" if idea == TUNED else f" ({ratios.min():.1f} to {ratios.max():.1f})"
    )
    return f"{seconds:.2f}", f"{cost:.1f} ×{spread}"


def row(idea):
    cells = [f"{np.mean(val_accs[idea]):.2%}"]
    if gain := gains.get(idea):
        low, high = signed(gain.low), signed(gain.high)
        cells.append(f"{signed(gain.mean)} ({low} to {high})")
    else:
        cells.append("–")
    return "| " + " | ".join([idea, *cells]) + " |"


Markdown(
    f"{epochs} epochs over {COUNT:,} images, mean validation accuracy over {len(SEEDS)} seeds, 95 % "
    "intervals. The gain of the "
    f"tuned SGD is over {UNTUNED}, that of OneCycle over Adam, that of convolutions over "
    "OneCycle, and all others over the tuned SGD:\n\n"
    "| idea | accuracy | gain, points |\n|---|---|---|\n"
    + "\n".join(row(idea) for idea in IDEAS)
    + f"\n\nSeconds for one epoch over all {len(all_images.dataset):,} training images: the median of the "
    "tuned SGD, times the factor in the last column, which is a median over turns with the lowest "
    "and the highest:\n\n| idea | seconds | cost |\n|---|---|---|\n"
    + "\n".join(
        "| " + " | ".join([idea, *cost_of(idea)]) + " |" for idea in IDEAS
    )
)

# %% [markdown]
# Which ideas gained something on this budget? A table of intervals is hard to compare by eye, so draw it. Seven intervals
# of 95 % are seven chances to be wrong. To be wrong in *any* of them with a chance of at most five in a hundred, each
# must be wider: its chance is divided by seven (Bonferroni's correction).


# %%
def widened(gain, intervals):
    """The half-width of one of several intervals that hold together, 95 %."""
    single, all_of_them = (
        stdtrit(gain.n - 1, 1 - 0.025 / k) for k in (1, intervals)
    )
    return (gain.high - gain.mean) * all_of_them / single


# %% tags=["hide-input"] mystnb={"image": {"alt": "For each idea a point with a thick and a longer thin horizontal interval, and a dot for each seed: how many points of validation accuracy it gained over what it changes, with a vertical line at zero."}}
with plt.rc_context(STYLE):
    figure, ax = plt.subplots(figsize=(5.2, 3.4))
    for place, (idea, gain) in enumerate(reversed(gains.items())):
        half = 100 * widened(gain, len(gains))
        middle = 100 * gain.mean
        ax.plot(
            [middle - half, middle + half],
            [place] * 2,
            "-",
            color=COLORS[3],
            linewidth=0.9,
        )
        ax.plot(
            [100 * gain.low, 100 * gain.high],
            [place] * 2,
            "-",
            color=COLORS[3],
            linewidth=2.6,
        )
        ax.plot(middle, place, "o", color=COLORS[3])
        pairs_of_runs = np.subtract(val_accs[idea], val_accs[AGAINST[idea]])
        ax.plot(
            100 * pairs_of_runs, [place + 0.28] * len(SEEDS), ".", color=GREY
        )
    ax.axvline(0, linestyle="--", color=GREY)
    ax.set_yticks(range(len(gains)), reversed(gains))
    ax.set(
        title=f"What an idea gains in {epochs} epochs",
        xlabel="Gain in validation accuracy, in points",
    )
    plt.show()

# %% [markdown]
# *How to read it:* an interval to the right of the dashed line is a gain that the luck of five seeds does not explain;
# for one that crosses the line, its right end says how large a gain could have been missed. The thick line is the 95 %
# interval of one idea, the thin line holds for all seven at once. The grey dots are the pairs of runs: look at whether
# one seed alone makes an interval wide.


# %% tags=["hide-input"]
def verdict_on(idea):
    """What its interval shows, alone and as one of all."""
    gain = gains[idea]
    effect = "help" if gain.mean > 0 else "hurt"
    if abs(gain.mean) > widened(gain, len(gains)):
        return f"shown to {effect}"
    if gain.verdict != "no difference shown":
        return f"shown to {effect} if this were the only comparison"
    return "no difference shown"


by_verdict = {}
for idea in gains:
    by_verdict.setdefault(verdict_on(idea), []).append(idea)
untuned = paired_difference(val_accs["Adam"], val_accs[UNTUNED])
Markdown(
    f"On this budget of {epochs} epochs over {COUNT:,} images, with {len(gains)} comparisons:\n\n"
    + "\n".join(
        f"- **{verdict}**: {', '.join(ideas)}"
        for verdict, ideas in by_verdict.items()
    )
    + "\n\n"
    + (
        f"Against SGD at the rate of Day 32, Adam would have gained {points(untuned)}; against "
        f"the tuned SGD it gains {points(gains['Adam'])}. The searched rate alone gains "
        f"{points(gains[TUNED])}: that part you can have without Adam. "
        if gains[TUNED].mean > 0
        else "The search has not found a rate that does better than Day 32's. "
    )
    + "On Day 33, with other images, another budget and rates that were searched there, Adam minus "
    f"SGD was {points(adam_minus_sgd)}."
)

# %% [markdown]
# Do the two days agree on Adam? Compare the intervals, not the verdicts. If they lie over each other, both say how large
# the difference is likely to be. That one of them ends just above zero and another just below is no contradiction: it is
# what happens if the truth is near the limit of what five pairs can show.

# %% tags=["remove-cell"]
with text_says("the baseline has learnt to read digits on this budget"):
    worst, top = min(val_accs[UNTUNED]), max(val_accs[TUNED])
    assert (0.6 if data.is_stand_in else 0.86) < worst <= top < 0.99
with text_says("the searched rate is worth a part of what Adam seemed to gain"):
    assert data.is_stand_in or gains[TUNED].mean > 0.005
    assert data.is_stand_in or gains["Adam"].mean < untuned.mean
with text_says("convolutions help on top of Adam and OneCycle"):
    assert data.is_stand_in or gains["convolutions"].low > 0
with text_says("there is little for dropout and augmentation to gain"):
    for idea in ("dropout", "augmentation"):
        assert data.is_stand_in or gains[idea].mean < 0.01

# %% [markdown]
# Dropout and augmentation work against memorising, which takes time; in a few epochs there may be little for them to
# gain. That is a guess, and it can be tested: a network that memorises is far better on its training images than on
# others.
#
# *Predict before you run:* which of the three has the smallest gap between training and validation accuracy?
#
# - a) the tuned SGD
# - b) dropout
# - c) augmentation

# %%
train_acc = {
    idea: np.mean([accs[idea][1] for accs in rounds]) for idea in IDEAS
}
gap = {idea: train_acc[idea] - np.mean(val_accs[idea]) for idea in IDEAS}

# %% tags=["hide-input"]
Markdown(
    "Accuracy on training images and on validation images, and the gap in points:\n\n"
    "| idea | training | validation | gap |\n|---|---|---|---|\n"
    + "\n".join(
        f"| {idea} | {train_acc[idea]:.2%} | {np.mean(val_accs[idea]):.2%} "
        f"| {signed(gap[idea])} |"
        for idea in (TUNED, "dropout", "augmentation")
    )
    + f"\n\nThe gap of the tuned SGD, {signed(gap[TUNED])} points, is about all that less "
    "memorising could win back here. A gap that closes because the training images are learnt less "
    "well wins nothing: look at the column of the validation images, too."
)

# %% [markdown]
# With fifty epochs you would have to ask again, because then the gap is another. A verdict belongs to its budget.

# %% tags=["remove-cell"]
with text_says("augmentation closes the gap"):
    assert data.is_stand_in or gap["augmentation"] < gap[TUNED]
with text_says("the baseline memorises little on this budget"):
    assert data.is_stand_in or gap[TUNED] < 0.05

# %% [markdown]
# ## An idea of your own
#
# **Exercise 1.** *(about 20 minutes, medium)* Which idea would you try next? Write it as a function like those that
# `recipe` makes: `my_idea(steps)` returns a new network, the optimizer of its weights, and a schedule that is stepped
# `steps` times, or `None`. You may use `perceptron`, `RATE` and anything of PyTorch. State your idea in the docstring, and
# write down what you expect before you run the comparison: how many points, at what cost? A few starts, if you have none:
# momentum, weight decay, another schedule, another activation, a wider or a deeper network, a max-pooling layer, other
# first weights.


# %%
def my_idea(steps):
    """Your idea in one line."""
    network = ...  # your code
    optimizer = ...  # your code
    schedule = None
    return network, optimizer, schedule


checks.my_idea(my_idea)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# Begin with the baseline, `perceptron()` and `torch.optim.SGD(network.parameters(), lr=RATE["SGD"])`, and change one
# thing.
# </details>
#
# <details>
# <summary>Another hint</summary>
#
# A schedule gets the optimizer and the number of steps, such as
# `torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)`. A network gets images of shape $(B, 1, 28, 28)$ and
# returns ten raw scores for each.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def my_idea(steps):
#     """The rate falls along half a cosine, from its start to almost nothing."""
#     network = nn.Sequential(
#         nn.Flatten(),
#         nn.Linear(28 * 28, 256),
#         nn.ReLU(),
#         nn.Linear(256, 256),
#         nn.ReLU(),
#         nn.Linear(256, 10),
#     )
#     optimizer = torch.optim.SGD(network.parameters(), lr=0.32)
#     schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
#     return network, optimizer, schedule
# ```
#
# Every other idea is as good, as long as the comparison is fair: the same effort for what it is compared with.
# </details>
#
# It goes through the same comparison as the others: the same five seeds, in pairs with the tuned SGD, and the same
# clock.

# %%
(build,) = checks.or_solution(my_idea)
MINE = "your idea" if build is my_idea else "the solution's idea"
own_rounds = [one_round({MINE: build}, seed, alone=[MINE]) for seed in SEEDS]
IDEAS[MINE], AGAINST[MINE] = build, TUNED
val_accs[MINE] = [accs[MINE][0] for accs in own_rounds]
gains[MINE] = paired_difference(val_accs[MINE], val_accs[TUNED])
ms = timed_in_turns({TUNED: IDEAS[TUNED], MINE: build})
factors[MINE] = ms[MINE] / ms[TUNED]

# %% tags=["hide-input"]
about = (build.__doc__ or "no description").strip().split("\n")[0].rstrip(".")
own_seconds, own_cost = cost_of(MINE)
gain, half = gains[MINE], widened(gains[MINE], len(gains))
Markdown(
    f"**{MINE.capitalize()}** ({about}) reaches {np.mean(val_accs[MINE]):.2%} on the "
    f"validation images. Against the tuned SGD that is {points(gain)}: **{verdict_on(MINE)}**. "
    f"As one of {len(gains)} intervals that hold at once: {signed(gain.mean - half)} to "
    f"{signed(gain.mean + half)}. An epoch takes {own_seconds} seconds, {own_cost} the tuned SGD's.\n\n"
    "Was it what you expected? An idea that you change and run again until it wins has been chosen "
    "on these five seeds: take new `SEEDS` for its last comparison."
)

# %% [markdown]
# ## Once on the test set
#
# Picking the best of so many is choosing, and the test set is not for choosing (Day 32). So far only validation images
# were used. The idea that is ahead on them is trained once more, on all images that are not kept for validation, and is
# scored on the test images.

# %%
best = max(val_accs, key=lambda idea: np.mean(val_accs[idea]))
torch.manual_seed(SEED)
built = IDEAS[best](epochs * len(all_images))
all_images.epoch = 0  # the same batches even if you run this cell again
train(built, all_images, SEED, AUGMENT.get(best))
best_model = built[0]
_, best_test = evaluate(best_model, test_loader, criterion)
best_interval = accuracy_interval(best_test, len(data.test_labels))

# %% tags=["hide-input"]
NAMES = {idea: idea for idea in IDEAS} | {
    "OneCycle": "Adam with OneCycle",
    "convolutions": "convolutions with Adam and OneCycle",
}
low, high = best_interval
Markdown(
    f"Chosen on validation: **{NAMES[best]}**. After {epochs} epochs over "
    f"{len(all_images.dataset):,} images it is right on **{best_test:.2%}** of the {len(data.test_labels):,} "
    f"test images (95 % interval {low:.2%} to {high:.2%}). The baseline of Day 32 "
    f"had {baseline:.2%} after {BASELINE['epochs']} epochs."
)

# %% tags=["remove-cell"]
with text_says("all three changes together are best on validation"):
    assert data.is_stand_in or build is my_idea or best == "convolutions"
with text_says("the best network does well on the test images"):
    assert data.is_stand_in or best_test >= 0.985

# %% [markdown]
# ## Somebody else's handwriting
#
# On the test images the network did well. Does it read digits, then, or only this one data set? scikit-learn comes with
# another set of handwritten digits: other writers, another form, another scanner, and only 8×8 pixels each.
#
# *Predict before you run:* how many out of every hundred will your best network get right, once they are enlarged to
# 28×28? *(a number)*

# %%
digits = load_digits()
others = torch.from_numpy(digits.images / 16).float().unsqueeze(1)  # 0 to 1
other_labels = torch.from_numpy(digits.target)


def enlarged(size):
    return nn.functional.interpolate(others, size=(size, size), mode="bilinear")


def framed():
    """20×20 pixels with an empty frame of 4, as MNIST's images have it."""
    return nn.functional.pad(enlarged(20), (4, 4, 4, 4))


def centred():
    """The same, with the ink's centre of mass in the middle of the image."""
    images, places = framed(), torch.arange(28.0)
    ink = images.sum(dim=(1, 2, 3))
    down = images.sum(dim=(1, 3)) @ places / ink
    across = images.sum(dim=(1, 2)) @ places / ink
    moved = [
        torch.roll(image, (round(13.5 - d), round(13.5 - a)), dims=(1, 2))
        for image, d, a in zip(
            images, down.tolist(), across.tolist(), strict=True
        )
    ]
    return torch.stack(moved)


def sharpened():
    """The same, with the grey edges of the strokes made thinner."""
    return (2 * centred() - 0.5).clamp(0, 1)


STEPS = {
    "enlarged": lambda: enlarged(28),
    "framed": framed,
    "centred": centred,
    "sharpened": sharpened,
}

# %% tags=["hide-input"] mystnb={"image": {"alt": "A handwritten three from MNIST beside one from scikit-learn's digits in four versions: filling the image, in a frame, centred, and with thinner strokes."}}
a_three = int(np.flatnonzero(data.test_labels == 3)[0])
another = int(np.flatnonzero(digits.target == 3)[0])
plot_images(
    [data.test_images[a_three] / 255]
    + [step()[another, 0] for step in STEPS.values()],
    ["MNIST" if not data.is_stand_in else "training", *STEPS],
    "A three that the network knows, and one of theirs, step by step",
)

# %% [markdown]
# *How to read it:* look at the size, the place and the thickness of the strokes. MNIST's digits were fitted into 20×20
# pixels, and placed by their centre of mass. The others fill the image and are soft, because they were enlarged. So
# there are three suspects, and each can be tested: undo one after the other, and measure again.

# %%
mean, std = pixel_statistics(data.train_images)
best_model.eval()


def share_read(images):
    with torch.no_grad():
        logits = best_model(((images - mean) / std).to(device))
    return (logits.argmax(dim=1).cpu() == other_labels).float().mean().item()


read = {step: share_read(make()) for step, make in STEPS.items()}

# %% tags=["hide-input"]
rows = []
for step, share in read.items():
    low, high = accuracy_interval(share, len(other_labels))
    rows.append(f"| {step} | {share:.1%} | {low:.1%} to {high:.1%} |")
if data.is_stand_in:
    explained = (
        "Here the network was trained on most of these very images, framed. So "
        "other writers play no part: where a row is lower than *framed*, the "
        "preparation alone did it."
    )
else:
    first, last = read["enlarged"], read["sharpened"]
    fall = best_test - first
    explained = (
        f"On MNIST's test images the network is right {best_test:.1%} of the "
        f"time, on these at first {first:.1%}. "
    )
    if fall > 0:
        explained += (
            "Framing, centring and thinner strokes, which were chosen by looking "
            f"at these very images, win back {(last - first) / fall:.0%} of the "
            f"fall: {last:.1%}. What is left may be other writers, or eight "
            "pixels across; this does not tell which."
        )
Markdown(
    "| their digits | right | 95 % interval |\n|---|---|---|\n"
    + "\n".join(rows)
    + f"\n\n{explained}"
)

# %% tags=["remove-cell"]
with text_says("each step brings their digits nearer, and a gap is left"):
    shares = list(read.values())
    assert data.is_stand_in or shares == sorted(shares)
    assert data.is_stand_in or shares[-1] - shares[0] > 0.1
    assert data.is_stand_in or shares[-1] < 0.95

# %% [markdown]
# So a test accuracy describes images that were *made like the training images*. It says little about the next scanner.
# Before you blame a network, look at its input; and before you deploy one, measure it on what it will really see.
#
# Note the last row. If you try one preparation after another and keep the best, you have chosen on these images: for that
# row they are a validation set under another name.
#
# ## Your README
#
# A result that cannot be found is lost, and one without its settings cannot be repeated. This writes both to a file that
# you can commit to your own repository. The end of the file has a place for your own words: what you write there, or
# above the first comment line, stays when the cell runs again. Only what is between the two comment lines is replaced.


# %% tags=["hide-input"]
def where_it_ran():
    """The versions, the device and, in a repository, the commit."""
    place = (
        "CPU" if device.type == "cpu" else torch.cuda.get_device_name(device)
    )
    parts = [
        f"Python {platform.python_version()}, PyTorch {torch.__version__}",
        f"{place} ({platform.system()}, {platform.machine()})",
    ]
    if git := shutil.which("git"):
        command = [git, "describe", "--always", "--dirty"]
        found = subprocess.run(command, capture_output=True, text=True)
        parts += [f"commit {found.stdout.strip()}"] if found.stdout else []
    return "; ".join(parts)


def line_on(idea):
    seconds, cost = cost_of(idea)
    return (
        f"- {NAMES[idea]}, against {NAMES[AGAINST[idea]]}:\n"
        f"  {points(gains[idea])},\n"
        f"  {verdict_on(idea)}; {seconds} seconds per epoch, {cost}"
    )


NAMES[MINE] = "my idea" if build is my_idea else "the course's example"
ideas = "\n".join(line_on(idea) for idea in gains)
low, high = best_interval
first, *_, last = (
    f"{share:.1%} (95 % interval {low:.1%} to {high:.1%})"
    for share in read.values()
    for low, high in [accuracy_interval(share, len(other_labels))]
)
elsewhere = f"""\
On {len(other_labels):,} digits of other writers (scikit-learn's), enlarged, it is right on
{first}; framed, centred and sharpened like MNIST's, on
{last}. These three steps were chosen by looking at the
very images."""
if data.is_stand_in:
    elsewhere = "Digits of other writers were not tried."
report = f"""\
# Week 5 – Neural networks

A two-layer network in NumPy with checked gradients; a multilayer perceptron
(784-256-256-10) and a small convolutional network in PyTorch, trained on
handwritten digits.

## Results

{snapshot}
## Ideas tried

Gain in validation accuracy in percentage points over what the idea changes:
{epochs} epochs over {COUNT:,} images, {len(SEEDS)} paired seeds, 95 % intervals. Cost: seconds per
epoch over all training images, and times the tuned SGD's, lowest and highest of
the turns in brackets.

{ideas}

{NAMES[MINE].capitalize()}: {about}.
These are {len(gains)} intervals: "shown" means that an interval excludes zero even if it is
widened so that all of them hold at once with 95 % (Bonferroni).

The best on validation, {NAMES[best]},
trained on {len(all_images.dataset):,} images for {epochs} epochs, is right on {best_test:.2%} of the test
images (95 % interval {low:.2%} to {high:.2%}).
{elsewhere}

## How it was measured

- Data: {data.name}, {len(data.train_labels):,} training images of which a tenth is kept for
  validation, {len(data.test_labels):,} test images; normalised pixels. No choice in this report
  was made on the test images.
- Softmax regression: batches of {LINEAR["batch_size"]}, seed {LINEAR["seed"]}, SGD at {LINEAR["lr"]:g}, {LINEAR["epochs"]} epochs.
- Baseline: batches of {BASELINE["batch_size"]}, seeds {BASELINE["seeds"][0]} to {BASELINE["seeds"][-1]}, SGD at {BASELINE["lr"]:g}, {BASELINE["epochs"]} epochs.
- Adam minus SGD: batches of {PAIRS["batch_size"]}, seeds {PAIRS["seeds"][0]} to {PAIRS["seeds"][-1]}, SGD at {pairs["SGD"]["lr"]:g}, Adam at
  {pairs["Adam"]["lr"]:g}, each chosen from {len(PAIRS["rates"]["SGD"])} rates by validation.
- Ideas: batches of {batch_size}, seeds {SEEDS[0]} to {SEEDS[-1]}; SGD at {RATE["SGD"]:g}, batch normalisation at
  {RATE["batch normalisation"]:g}, Adam at {RATE["Adam"]:g}, which is also the peak of OneCycle; each chosen
  from {len(KINDS["SGD"][-1])} rates on seeds {" and ".join(map(str, SEARCH_SEEDS))}. The best was trained for the test
  images from seed {SEED}.
- Toy data: seed {ACTIVATIONS["seed"]}; {ACTIVATIONS["examples"]} examples, {ACTIVATIONS["hidden"]} hidden units, {ACTIVATIONS["epochs"]} steps at {ACTIVATIONS["lr"]:g}.
- Written on {date.today().isoformat()}; {where_it_ran()}.
"""
print(report)
OWN_WORDS = """
## In my own words

- What surprised me:
- What I would try next:
"""

# %%
path = write_block(
    "my-week-5-small.md" if SMALL else "my-week-5.md",
    report,
    after=OWN_WORDS,
)
print(f"written: {path} ({len(report.splitlines())} lines)")

# %% tags=["remove-cell"]
assert "__" not in report, "a blank was left"
assert data.name in report, "the report does not name its data"
with text_says("the report has a number in each of its places"):
    assert "nan" not in report

# %% [markdown]
# To publish it: make a repository, copy the file there as `README.md`, and commit it together with the notebook that
# wrote it. Then readers can check where a number comes from.
#
# And the exercises? This shows which of them you have passed, here or on another day on this machine.

# %%
checks.progress()

# %% [markdown]
# Formulas, shapes and the questions to ask before, during and after training are on the course's
# [cheat sheet](https://nnweek.github.io/week5-neural-networks/cheat-sheet.html), two printed sides.
#
# ## Check yourself
#
# A quiz about all seven days. Cover the answers; a wrong one means that its day deserves another look.
#
# **1.** (Day 29) Your bias gradient has shape $(N, H)$, the bias $(1, H)$. What is missing?
#
# - a) The transpose.
# - b) The sum over the examples.
# - c) The derivative of the activation.
#
# <details>
# <summary>Answer</summary>
#
# **b.** Every example uses the same bias, so its gradient adds up over all examples.
# a) A transpose would give $(H, N)$, still one entry per example.
# c) The derivative multiplies entry by entry and changes no shape.
# </details>
#
# **2.** (Day 29) The analytic gradient is 32 times the numerical one everywhere. Your batch has 32 rows. What now?
#
# - a) `backward` does not divide by $N$.
# - b) The step of the finite difference is too large for this loss, so the numerical gradient is too small.
# - c) The derivative of the activation is wrong in every hidden unit.
#
# <details>
# <summary>Answer</summary>
#
# **a.** One constant factor in all parameters points at the one place that all gradients pass: the scores.
# b) A step that is too large gives errors that differ from entry to entry.
# c) That would leave the gradients of the second layer right.
# </details>
#
# **3.** (Day 30) A network of ten sigmoid layers hardly learns, and its first layer hardly moves. What do you measure
# first?
#
# - a) The test accuracy.
# - b) The time for an epoch.
# - c) The norm of the gradient per layer.
#
# <details>
# <summary>Answer</summary>
#
# **c.** If it shrinks from layer to layer on its way to the input, you have found a vanishing gradient.
# a) It tells you that something is wrong, which you know.
# b) Slow arithmetic and slow learning are different things.
# </details>
#
# **4.** (Day 30) Your test suite passes for `backward`, and also for a `backward` with an injected bug. What follows?
#
# - a) The suite cannot see this bug: add an input on which it shows.
# - b) The bug does no harm, since everything that you test still comes out right.
# - c) Tests cannot find such bugs.
#
# <details>
# <summary>Answer</summary>
#
# **a.** A test is worth what it can fail for.
# b) It does no harm on the inputs that you tried, which is less.
# c) A finite difference at a random point sees nearly all of them.
# </details>
#
# **5.** (Day 31) The same weights give another loss in PyTorch than in NumPy. What do you check first?
#
# - a) Whether both optimizers have the same learning rate and the same momentum.
# - b) Whether the GPU is broken.
# - c) Whether `nn.Linear` got the transposed weights, and the dtypes agree.
#
# <details>
# <summary>Answer</summary>
#
# **c.** `nn.Linear` stores $W^\top$, and float32 agrees with float64 to about seven digits only.
# a) No step was taken, so no rate was used.
# b) That is the last thing to suspect.
# </details>
#
# **6.** (Day 31) In evaluation you forgot `model.eval()`, and the network has dropout. What do you see?
#
# - a) An accuracy that changes when you measure again.
# - b) An error, because dropout is not defined outside training.
# - c) More memory in use, but the same accuracy.
#
# <details>
# <summary>Answer</summary>
#
# **a.** Units are still silenced at random.
# b) Both modes are legal at any time.
# c) This describes a missing `no_grad()`.
# </details>
#
# **7.** (Day 32) A network says "99 % sure" for many images and is right on nine tenths of those. What is it?
#
# - a) Overfitted: it has seen these images, or images very much like them, in training.
# - b) Well calibrated.
# - c) Overconfident.
#
# <details>
# <summary>Answer</summary>
#
# **c.** Its confidence is higher than its accuracy. A reliability diagram shows that as points below the diagonal, and a
# temperature above one corrects much of it.
# a) It may be, but confidence against accuracy on new images does not show that.
# b) Calibrated would mean that it is right as often as its confidence says.
# </details>
#
# **8.** (Day 32) All images have their pixels shuffled in the same way, and a perceptron and a convolutional network are
# trained from scratch. What happens?
#
# - a) Both fail, because no digit can be recognised any more, not even by you.
# - b) The perceptron learns as well as before, apart from luck; the convolutional network loses.
# - c) Neither notices.
#
# <details>
# <summary>Answer</summary>
#
# **b.** A perceptron has a weight for every pixel and no idea which pixels are neighbours. A convolution lives on
# neighbours.
# a) A perceptron's first layer can be shuffled in the same way and computes the same.
# c) This holds for the perceptron only.
# </details>
#
# **9.** (Day 33) The best learning rate of your sweep is the largest that you tried. What do you do?
#
# - a) Widen the grid.
# - b) Take it: it has the best score of all.
# - c) Take the middle of the grid, which is safer than its end.
#
# <details>
# <summary>Answer</summary>
#
# **a.** A best rate with worse rates on both sides lies inside the grid; one at the end may not.
# b) It is the best of those tried, and one more step to the right might beat it.
# c) There is no reason why the middle of your grid should matter.
# </details>
#
# **10.** (Day 33) Over five paired seeds, Adam minus SGD is +0.1 points, interval −0.1 to +0.3. What do you write?
#
# - a) Adam is better by 0.1 points.
# - b) No difference shown at this budget; it likely lies between −0.1 and +0.3 points.
# - c) They are the same.
#
# <details>
# <summary>Answer</summary>
#
# **b.** The interval says both: what was not shown, and how large it could still be.
# a) This leaves the interval out, and with it the doubt.
# c) This claims more than five seeds can show.
# </details>
#
# **11.** (Day 34) Training and validation loss fall slowly and together, to the last epoch, and are still far above what
# you had before. What is likely?
#
# - a) The network memorises its training images instead of learning from them.
# - b) The labels were shuffled.
# - c) The learning rate is too low.
#
# <details>
# <summary>Answer</summary>
#
# **c.** Both fall together and slowly: small steps in a good direction.
# a) Memorising would pull the two curves apart.
# b) With shuffled labels the validation loss cannot fall far, and soon rises.
# </details>
#
# **12.** (Day 35) A paper shows that its optimizer beats SGD by three points. What do you ask first?
#
# - a) How many parameters the network has.
# - b) How the rate of SGD was chosen.
# - c) Whether the authors have trained on the same kind of GPU for both optimizers.
#
# <details>
# <summary>Answer</summary>
#
# **b.** Against SGD at a rate from habit, a part of Adam's gain was a matter of the rate. Both sides need the same effort.
# a) If both optimizers train the same network, its size does not favour one of them.
# c) The device changes the seconds and the last digits, but hardly three points.
# </details>
#
# **13.** (Day 35) A friend's network has a test accuracy 0.1 points above yours, on 10,000 images. Is it better?
#
# - a) Nobody can say yet: count the images that only one of the two gets right.
# - b) Yes: both were measured on the same test images, so the comparison is fair.
# - c) No, yours is.
#
# <details>
# <summary>Answer</summary>
#
# **a.** Ten images more can be 10 against 0, or 110 against 100. McNemar's $p$ is 0.002 for the first and 0.53 for the
# second, and another seed moves the result, too.
# b) The comparison is fair, but what decides is on how many images the two disagree.
# c) There is no ground for that; the difference points the other way.
# </details>
#
# **14.** (Day 35) Your network reads MNIST very well and a customer's forms badly. What do you try first?
#
# - a) A larger network.
# - b) More epochs on MNIST, until its training accuracy is as high as it can be.
# - c) Look at what reaches the network, and prepare it as the training images were prepared.
#
# <details>
# <summary>Answer</summary>
#
# **c.** It costs little and can be measured step by step, as with the digits above.
# a) A larger network learns the same images.
# b) It would become better at what it is already good at.
# </details>
#
# ## The week
#
# | day | you built | the one thing to keep |
# |---|---|---|
# | 29 | a network with hand-derived gradients | check gradients against finite differences |
# | 30 | activations and tests | a test must be able to fail |
# | 31 | the same in PyTorch | autograd computes what you derived |
# | 32 | a baseline on MNIST | no accuracy without its interval and its baseline |
# | 33 | a comparison of optimizers | share everything except what you compare |
# | 34 | a logged run | one honest x-axis |
# | 35 | a tuned baseline, ideas tried, a report | tune what you compare with; no result is typed by hand |
#
# When you are done, choose *Kernel → Shut Down Kernel*: until then this notebook holds on to its memory, even if you
# close its tab.
#
# ## Read more
#
# - Andrej Karpathy, [A recipe for training neural networks](https://karpathy.github.io/2019/04/25/recipe/).
# - Zhang, Lipton, Li and Smola, [Dive into Deep Learning](https://d2l.ai/), for where to go from here.
# - Simard, Steinkraus and Platt (2003), [Best practices for convolutional neural networks applied to visual document analysis](https://doi.org/10.1109/ICDAR.2003.1227801), for the small convolutional network and for augmentation.
# - Ioffe and Szegedy (2015), [Batch normalization](https://arxiv.org/abs/1502.03167); Srivastava and others (2014), [Dropout](https://jmlr.org/papers/v15/srivastava14a.html); Smith (2018), [A disciplined approach to neural network hyper-parameters](https://arxiv.org/abs/1803.09820), on OneCycle.
