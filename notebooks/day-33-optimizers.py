# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Day 33 – Optimizers
#
# All week the step has been the same: against the gradient, times a learning rate. Momentum and Adam do something
# cleverer, and almost everybody uses one of them. Are they better? Today you write them, watch them walk, and then find
# out for this network, in an experiment that is allowed to end with *no difference*.
#
# **You will be able to**
#
# - write one step of SGD, of momentum, of Adam and of AdamW, and say what each part does;
# - say which valleys each of them walks well, and which not;
# - make two training runs differ in the optimizer and in nothing else, and *prove* it;
# - search each optimizer's learning rate with equal effort, and know when the search was too narrow;
# - compare over several seeds, in pairs, and draw the verdict that the interval allows;
# - train many networks at once, and say what that gains;
# - name three learning-rate schedules and draw them.
#
# **Time** about 130 minutes: steps 35, a valley 15, two single runs 10, many at once 15, the search 20, five seeds 15,
# schedules 10, the verdict 10.
#
# **You need** Day 32.

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
# - Train to learn, validate to choose, test once to report.
# - Before training: loss at $\log 10$, one batch memorised.
# - An accuracy needs an interval; another seed moves it, too.

# %% tags=["hide-input"]
import time
import warnings
from itertools import islice

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import Markdown
from torch import nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from torch.optim import lr_scheduler

from nnweek import checks, results
from nnweek.experiments import best_rate, in_parallel, train_together
from nnweek.loaders import BatchLoader, make_loaders
from nnweek.mnist import load_mnist
from nnweek.models import MNISTMLP
from nnweek.notebook import text_says
from nnweek.optimizers import make_optimizer
from nnweek.plots import GREY, STYLE, plot_bands, plot_curves, style_of
from nnweek.runtime import get_device
from nnweek.statistics import (
    accuracy_interval,
    mean_interval,
    paired_difference,
)
from nnweek.training import evaluate, train_one_epoch

# %% [markdown]
# Change these numbers and run the rest again. The text describes the run with the numbers as they are here. Setting
# `SMALL` to `True` takes a tenth of the images, for a quick run whose results are kept apart and not compared with the
# text.

# %% tags=["parameters"]
SEED = 42
BATCH_SIZE = 128
SMALL = False
# Two single runs
EPOCHS = 5
SGD_LR = 0.1
ADAM_LR = 0.001
# The search and the five seeds
SEARCH_EPOCHS = 1
SEARCH_IMAGES = 27_000

# %%
torch.set_num_threads(1)  # the networks are small: Day 32 shows why
device = get_device()
data = load_mnist()
if SMALL:
    data = data.small()
train_loader, val_loader, test_loader = make_loaders(
    data, BATCH_SIZE, seed=SEED, device=device
)

# %% [markdown]
# ## Four ways to take a step
#
# Let $g$ be the gradient of one weight $w$, and $\eta$ the learning rate. **SGD** walks against it:
#
# $$w \leftarrow w - \eta\, g$$
#
# It looks at one gradient and forgets it. Picture a long narrow valley: across it the slope is steep, along it gentle.
# A rate that suits the gentle direction makes SGD bounce between the walls; a rate that suits the steep one lets it
# crawl along the bottom.
#
# What would a ball do? It would roll. Pushes to the left and to the right cancel; pushes along the valley add up.
# **Momentum** keeps a velocity $v$, in which the gradients of the past fade slowly:
#
# $$v \leftarrow \mu\, v + g \qquad w \leftarrow w - \eta\, v$$
#
# **Exercise 1.** *(about 5 minutes, easy)* Write the step of momentum. Textbooks differ in the bookkeeping; the two
# lines above are PyTorch's.


# %%
def momentum_step(w, g, v, lr, mu):
    """One step; returns the new weight and the new velocity (w, v)."""
    ...  # your code


checks.momentum_step(momentum_step)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# Two lines. The velocity comes first, because the weight moves along the *new* velocity.
# </details>
#
# <details>
# <summary>Another hint</summary>
#
# The gradient enters $v$ unscaled: no $\eta$, no $1 - \mu$, no minus sign. The rate and the sign belong to the second
# line.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def momentum_step(w, g, v, lr, mu):
#     new_v = mu * v + g  # the old velocity, slowed down, and the new gradient
#     return w - lr * new_v, new_v
# ```
# </details>
#
# If the gradient were the same $g$ for ever, where would the velocity settle? At $v = \mu v + g$, so at
# $g / (1 - \mu)$. With $\mu = 0.9$ a step along a steady slope becomes ten times as long as SGD's at the same $\eta$.
# Remember that when we look for good rates.
#
# **Adam** gives every weight a rate of its own. It keeps a running mean of the gradient, $m$, and of its square, $v$,
# and divides one by the root of the other:
#
# $$m \leftarrow \beta_1 m + (1 - \beta_1)\, g$$
#
# $$v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2$$
#
# $$w \leftarrow w - \eta\, \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}$$
#
# The root makes the size of the gradient cancel: a weight whose gradients are always tiny moves about as far as one
# whose gradients are huge. The two denominators with $t$, the number of the step, correct a bias: $m$ and $v$ start at
# zero, and without the correction the first steps would be out of proportion.
#
# **Exercise 2.** *(about 10 minutes, medium)* Write the step of Adam. The $m$ and $v$ that you return are the running
# means themselves, not the corrected ones.


# %%
def adam_step(w, g, m, v, t, lr, beta1, beta2, eps):
    """One step, t = 1, 2, …; returns (w, m, v)."""
    ...  # your code


checks.adam_step(adam_step)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# Five lines, in the order of the formulas: $m$, $v$, the corrected $\hat m$ and $\hat v$, the weight.
# </details>
#
# <details>
# <summary>Another hint</summary>
#
# $\epsilon$ stands outside the root. A root is `** 0.5`, which numbers, arrays and tensors all understand.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def adam_step(w, g, m, v, t, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
#     m = beta1 * m + (1 - beta1) * g  # running mean of the gradient
#     v = beta2 * v + (1 - beta2) * g**2  # and of its square
#
#     # Both started at 0, so after t steps they are too small by these factors.
#     m_hat = m / (1 - beta1**t)
#     v_hat = v / (1 - beta2**t)
#
#     return w - lr * m_hat / (v_hat**0.5 + eps), m, v
# ```
# </details>
#
# Here are the steps as the package has them. Nothing in them knows how many weights there are: $w$ may be a number, a
# vector, or a layer.


# %%
def sgd_step(w, g, lr):
    return w - lr * g


def momentum_step(w, g, v, lr, mu=0.9):
    v = mu * v + g
    return w - lr * v, v


def adam_step(w, g, m, v, t, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return w - lr * m_hat / (v_hat**0.5 + eps), m, v


# %% [markdown]
# *Predict before you run:* how far does Adam move a weight in its very first step, if the gradient is $0.001$? And if
# it is $1000$?

# %%
rows = []
for gradient in [0.001, 1.0, 1000.0]:
    by_hand, _, _ = adam_step(w=0.0, g=gradient, m=0.0, v=0.0, t=1)
    rows.append((gradient, sgd_step(0.0, gradient, lr=0.001), by_hand))

# %% tags=["hide-input"]
Markdown(
    "| gradient | SGD moves the weight to | Adam moves it to |\n|---|---|---|\n"
    + "\n".join(f"| {g:g} | {sgd:g} | {adam:.9f} |" for g, sgd, adam in rows)
)

# %% tags=["remove-cell"]
with text_says("Adam's first step is the learning rate, SGD's a factor"):
    assert all(abs(adam + 0.001) < 1e-7 for _, _, adam in rows)
    assert all(abs(sgd + 0.001 * g) < 1e-12 for g, sgd, _ in rows)

# %% [markdown]
# Adam's first step is the learning rate, whatever the gradient. So its learning rate is a *length*, and SGD's is a
# *factor*: the same number means different things to them, and comparing them at one common rate would be unfair.
#
# The fourth step is about **weight decay**: at each step every weight is made a little smaller, so that only weights
# that the data need stay large. In SGD there are two ways to write that, and they are the same: add
# $\lambda w$ to the gradient, or subtract $\eta \lambda w$ from the weight. In Adam they are not. A term added to the
# gradient is divided by $\sqrt{\hat v}$ with it, so a weight with large gradients is hardly decayed at all. **AdamW**
# *decouples* the two: first shrink the weight, then take Adam's step with the gradient of the loss alone.


# %%
def adamw_step(w, g, m, v, t, lr=0.001, weight_decay=0.01):
    return adam_step(w - lr * weight_decay * w, g, m, v, t, lr)


# %% [markdown]
# Four small functions with one duty each. To use them interchangeably, we note how many memories each one keeps for a
# weight ($v$; or $m$ and $v$), and give all of them the same form: weight, gradient, memories, number of the step,
# rate.

# %%
STEPS = {
    "SGD": (0, lambda w, g, t, lr: (sgd_step(w, g, lr),)),
    "Momentum": (1, lambda w, g, v, t, lr: momentum_step(w, g, v, lr)),
    "Adam": (2, adam_step),
    "AdamW": (2, adamw_step),
}

# %% [markdown]
# ### Equal to PyTorch's, over a hundred steps
#
# One right step proves little: in the first one, $m$ and $v$ are zero. So train a small network for a hundred steps on
# real batches, once with our functions and once with `torch.optim`, in double precision. How far apart are the weights
# at the end?


# %%
def weights_after(name, steps=100, lr=0.01, by_hand=True):
    """All weights after some steps, with our step or with torch.optim's."""
    model = MNISTMLP(hidden=16, seed=SEED).double()
    optimizer = make_optimizer(name, model, lr)
    params = list(model.parameters())
    memories, step = STEPS[name]
    kept = [[torch.zeros_like(p)] * memories for p in params]
    for t in range(1, steps + 1):
        images, labels = ten_batches[t % len(ten_batches)]
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        if not by_hand:
            optimizer.step()
            continue
        with torch.no_grad():
            for i, p in enumerate(params):
                w, *kept[i] = step(p, p.grad, *kept[i], t, lr)
                p.copy_(w)
    return torch.cat([p.detach().flatten() for p in params])


train_loader.epoch = 0  # the same batches, also if you run this cell again
ten_batches = [
    (images.cpu().double(), labels.cpu())
    for images, labels in islice(train_loader, 10)
]
gaps, moved = {}, {}
at_start = weights_after("SGD", steps=0)
for name in STEPS:
    ours, theirs = weights_after(name), weights_after(name, by_hand=False)
    gaps[name] = (ours - theirs).abs().max().item()
    moved[name] = (theirs - at_start).abs().max().item()

# %% tags=["hide-input"]
Markdown(
    "| optimizer | largest difference of a weight | largest distance a weight has moved |\n"
    "|---|---|---|\n"
    + "\n".join(f"| {n} | {gaps[n]:.0e} | {moved[n]:.2f} |" for n in STEPS)
)

# %% tags=["remove-cell"]
with text_says("all four agree with PyTorch's to the rounding"):
    assert max(gaps.values()) < 1e-12
    assert min(moved.values()) > 1e-3

# %% [markdown]
# All four agree with PyTorch's to the rounding of double precision. From here on it does not matter whose step we call.
#
# ## A narrow valley
#
# What does each of them do with the valley? Take the simplest one, two hundred times as steep across as along: $f(x, y)
# = \frac{1}{2}(x^2 + 200\, y^2)$. Each optimizer gets 60 steps from the same point, and its own best rate out of 40 on
# a logarithmic grid: the one that comes, and stays, lowest.
#
# *Predict before you run:* which one gets furthest down?

# %%
WALKERS = ["SGD", "Momentum", "Adam"]
STEEP = np.diag([1.0, 200.0])
EIGHTH = np.array([[1.0, -1.0], [1.0, 1.0]]) * np.sqrt(
    0.5
)  # turns by 45 degrees
VALLEYS = {"along the axes": np.eye(2), "turned": EIGHTH}


def walk(name, lr, turn, steps=60):
    """The points visited (steps + 1, 2) and their heights."""
    valley = turn @ STEEP @ turn.T  # the height is wᵀ valley w / 2
    w = turn @ np.array([-9.0, 1.5])
    memories, step = STEPS[name]
    kept, points = [np.zeros(2)] * memories, [w]
    for t in range(1, steps + 1):
        w, *kept = step(w, valley @ w, *kept, t, lr)
        points.append(w)
    points = np.array(points)
    return points, 0.5 * ((points @ valley) * points).sum(axis=1)


def highest_of_last_ten(heights):
    return np.nan_to_num(heights[-10:].max(), nan=np.inf)


walks = {}
with np.errstate(all="ignore"):  # at large rates some of them explode
    for name in WALKERS:
        for valley, turn in VALLEYS.items():
            tried = [
                (lr, *walk(name, lr, turn)) for lr in np.logspace(-3, 1, 41)
            ]
            walks[name, valley] = min(
                tried, key=lambda t: highest_of_last_ten(t[2])
            )

# %% tags=["hide-input"] mystnb={"image": {"alt": "Contours of a valley along the horizontal axis, with three paths towards its lowest point. SGD zigzags between the walls and then creeps along the bottom, far from the end; momentum swings along the valley in wide waves and arrives; Adam sets out diagonally, arrives in one long wave, overshoots and comes back."}}
with plt.rc_context(STYLE):
    figure, axes = plt.subplots(
        3, 1, figsize=(5.2, 6.4), sharex=True, sharey=True
    )
    x, y = np.meshgrid(np.linspace(-10, 4, 200), np.linspace(-2.4, 2.4, 120))
    for ax, name in zip(axes.flat, WALKERS, strict=False):
        ax.contour(
            x,
            y,
            0.5 * (x**2 + 200 * y**2),
            levels=np.geomspace(1, 500, 8),
            colors=GREY,
            linewidths=0.6,
        )
        lr, points, _ = walks[name, "along the axes"]
        style = style_of(name, marker=True) | {"linestyle": "-"}
        ax.plot(*points.T, **style | {"markersize": 3, "linewidth": 1})
        ax.plot(0, 0, "*", color=GREY, markersize=11)
        ax.annotate(
            "start", points[0], xytext=(6, 2), textcoords="offset points"
        )
        ax.set(title=f"{name}, rate {lr:.2g}", ylabel="$y$", ylim=(-2.4, 2.4))
    axes[-1].set_xlabel("$x$")
    plt.show()

# %% [markdown]
# *How to read it:* the grey lines are lines of equal height, the star is the lowest point, each marker is one step.
# Where markers lie dense, the optimizer crawls.
#
# SGD must choose a rate that does not throw it over the steep walls, and so it hops from wall to wall and then creeps.
# In momentum's velocity the hops cancel and the creeping adds up. Adam divides each direction by its own steepness, so
# it sets out as fast along the valley as across it.
#
# Does Adam then see through any valley? It scales the *coordinates*, one by one. Turn the same valley by 45 degrees:
# now every direction mixes both coordinates.
#
# *Predict before you run:* which of the three paths change?

# %% tags=["hide-input"] mystnb={"image": {"alt": "Three panels with the valley turned by forty-five degrees: the paths of SGD and of momentum are the old ones turned, Adam's now bounces between the walls and does not come as far as momentum's."}}
with plt.rc_context(STYLE):
    figure, axes = plt.subplots(
        2, 2, figsize=(5.2, 5.6), sharex=True, sharey=True
    )
    x, y = np.meshgrid(np.linspace(-9, 4, 150), np.linspace(-9, 4, 150))
    along, across = (x + y) * np.sqrt(0.5), (y - x) * np.sqrt(0.5)
    for ax, name in zip(axes.flat, WALKERS, strict=False):
        ax.contour(
            x,
            y,
            0.5 * (along**2 + 200 * across**2),
            levels=np.geomspace(1, 500, 8),
            colors=GREY,
            linewidths=0.6,
        )
        lr, points, _ = walks[name, "turned"]
        style = style_of(name, marker=True) | {"linestyle": "-"}
        ax.plot(*points.T, **style | {"markersize": 3, "linewidth": 1})
        ax.plot(0, 0, "*", color=GREY, markersize=11)
        ax.annotate(
            "start", points[0], xytext=(0, 9),
            textcoords="offset points", ha="center",
        )  # fmt: skip
        ax.set(title=f"{name}, rate {lr:.2g}", aspect="equal")
    axes[1, 1].axis("off")
    plt.setp(axes[1], xlabel="$x$")
    plt.setp(axes[:, 0], ylabel="$y$")
    plt.show()

# %% [markdown]
# *How to read it:* as before, with equal scales on both axes.

# %% tags=["hide-input"]
settled = {
    key: highest_of_last_ten(heights) for key, (*_, heights) in walks.items()
}
start_height = walks["SGD", "turned"][2][0]
Markdown(
    f"Start: a height of {start_height:.0f}. The highest of the last ten "
    "points:\n\n| optimizer | along the axes | turned |\n|---|---|---|\n"
    + "\n".join(
        f"| {name} | {settled[name, 'along the axes']:.2f} "
        f"| {settled[name, 'turned']:.2f} |"
        for name in WALKERS
    )
)

# %% tags=["remove-cell"]
with text_says("SGD and momentum do not notice that the valley was turned"):
    for name in ["SGD", "Momentum"]:
        straight = settled[name, "along the axes"]
        assert np.isclose(straight, settled[name, "turned"])
with text_says("along the axes Adam is the best of the three"):
    low = {name: settled[name, "along the axes"] for name in WALKERS}
    assert low["Adam"] < low["Momentum"] < low["SGD"] / 10
with text_says("in the turned valley Adam is behind momentum"):
    assert settled["Adam", "turned"] > 4 * settled["Adam", "along the axes"]
    assert settled["Adam", "turned"] > 2 * settled["Momentum", "turned"]

# %% [markdown]
# SGD and momentum do not notice that the valley was turned: their step turns with it. Adam does, because "each weight
# its own rate" depends on which weights there are. Along the axes it is the best of the three, turned it is behind
# momentum.
#
# So no picture of a valley says which one wins on a network. A network has a quarter of a million directions, and a
# gradient that is different for every batch. That takes an experiment.
#
# ## A fair start
#
# Two runs are to differ in the optimizer alone. What else could differ? The initial weights, the split into training
# and validation images, and the order of the batches. All three must come from a seed that both runs share. Do not
# believe it; look.


# %%
def first_batches(seed, count=3):
    loader, _, _ = make_loaders(data, BATCH_SIZE, seed=seed, device=device)
    return [
        labels for _, (_, labels) in zip(range(count), loader, strict=False)
    ]


one, other = MNISTMLP(seed=SEED), MNISTMLP(seed=SEED)
same_weights = all(
    torch.equal(a, b)
    for a, b in zip(one.parameters(), other.parameters(), strict=True)
)
same_batches = all(
    torch.equal(a, b)
    for a, b in zip(first_batches(SEED), first_batches(SEED), strict=True)
)
print("same initial weights:", same_weights)
print("same batches in the same order:", same_batches)

# %% tags=["remove-cell"]
with text_says("both runs share their weights and their batches"):
    assert same_weights
    assert same_batches

# %% [markdown]
# Calling `MNISTMLP()` twice without a seed would give two different networks, because each call draws new numbers. Two
# runs that are meant to be identical then start from different places, and it is impossible to say what causes the
# difference at the end.
#
# ## Two single runs
#
# The function below is all there is to a run. It starts a fresh network and fresh loaders from the seed, so that
# calling it again changes nothing but what you ask for. The package has it as `train_model_with_optimizer`.


# %%
def run(optimizer_name, epochs, lr):
    train_loader, val_loader, _ = make_loaders(
        data, BATCH_SIZE, seed=SEED, device=device
    )
    model = MNISTMLP(seed=SEED).to(device)
    make = {"SGD": torch.optim.SGD, "Adam": torch.optim.Adam}[optimizer_name]
    optimizer = make(model.parameters(), lr=lr)
    criterion = nn.CrossEntropyLoss()

    train_losses, val_losses, val_accs = [], [], []
    for _ in range(epochs):
        train_loss, _ = train_one_epoch(
            model, train_loader, optimizer, criterion
        )
        val_loss, val_acc = evaluate(model, val_loader, criterion)
        train_losses.append(train_loss)
        val_losses.append(val_loss)
        val_accs.append(val_acc)
    return train_losses, val_losses, val_accs


# %% [markdown]
# Now both optimizers, each at a rate that is usual for it, and side by side like yesterday's seeds. They take about 10
# seconds on two cores.

# %%
RATES = {"SGD": SGD_LR, "Adam": ADAM_LR}
both = in_parallel(run, RATES, [EPOCHS] * len(RATES), RATES.values())
runs = dict(zip(RATES, both, strict=True))

# %% tags=["hide-input"] mystnb={"image": {"alt": "Validation loss of SGD and Adam over five epochs on shared axes; both fall in the first epochs, and Adam's starts lower."}}
plot_curves(
    {name: val_losses for name, (_, val_losses, _) in runs.items()},
    "Validation loss, same weights and same batches",
    "Epoch",
    "Loss",
)

# %% [markdown]
# *How to read it:* both runs share the axes, so heights can be compared. Look at the first epoch for speed, and at the
# last for where it leads.

# %% tags=["hide-input"]
final = {name: val_accs[-1] for name, (_, _, val_accs) in runs.items()}
n_val = len(val_loader.dataset)
lines = []
for name, acc in final.items():
    low, high = accuracy_interval(acc, n_val)
    lines.append(
        f"- {name} (rate {RATES[name]:g}, {EPOCHS} epoch{'s' * (EPOCHS > 1)}): "
        f"**{acc:.2%}**, 95 % interval {low:.2%} to {high:.2%}"
    )
Markdown(
    "\n".join(lines)
    + "\n\nAdam minus SGD: "
    + f"**{100 * (final['Adam'] - final['SGD']):+.2f} points** on {n_val:,} "
    "validation images."
)

# %% tags=["remove-cell"]
with text_says("both networks read digits"):
    assert min(final.values()) > (0.4 if data.is_stand_in else 0.96)
with text_says("Adam's validation loss starts lower"):
    assert runs["Adam"][1][0] < runs["SGD"][1][0]

# %% [markdown]
# What can two runs show? How fast each gets going from this start, at this rate. What can they not show? That one
# optimizer *is* better, for two reasons. The rates were taken from habit, and the two have not been given the same
# effort. And one seed does not show how much of the difference another start would reverse. Fixing both takes many
# runs: rates times optimizers, seeds times optimizers. So first a way to make many runs quickly.
#
# ## Many networks at once
#
# A step function does not know how many weights there are. So let it have the weights of *seven networks*: stack their
# arrays, with one more axis in front, as Day 30 did in NumPy. The gradient of each network's loss comes from
# `torch.func`, in three words:
#
# - `functional_call(model, params, inputs)` runs a model with parameters that you hand in, instead of its own;
# - `grad_and_value(f)` is a function that returns the gradient of `f`, and `f` itself;
# - `vmap(f)` is a function that does `f` for every entry of the first axis at once.
#
# And the learning rate? One number for each network, in a column: then one line steps seven networks at seven rates, by
# the functions that you have written above.


# %%
def side_by_side(models, loader, name, lr):
    """One pass with K models at once; lr (K,). Weights, losses (steps, K)."""
    stacked, _ = stack_module_state(models)
    params = {key: p.detach() for key, p in stacked.items()}  # each (K, …)
    memories, step = STEPS[name]
    kept = {k: [torch.zeros_like(p)] * memories for k, p in params.items()}

    def loss(params, images, labels):
        logits = functional_call(models[0], params, (images,))
        return nn.functional.cross_entropy(logits, labels)

    # For every entry of the parameters, with the same images and labels.
    backward = vmap(grad_and_value(loss), in_dims=(0, None, None))
    losses = []
    for t, (images, labels) in enumerate(loader, start=1):
        grads, batch_losses = backward(params, images, labels)
        for key, w in params.items():
            column = lr.view(-1, *[1] * (w.ndim - 1))  # (K, 1, …)
            params[key], *kept[key] = step(w, grads[key], *kept[key], t, column)
        losses.append(batch_losses)
    return params, torch.stack(losses)


# %% [markdown]
# Is it the same as one after the other? Train three networks from three seeds at three rates both ways, for a few
# steps, and compare all their weights.

# %%
images, labels = train_loader.dataset.tensors
few = BatchLoader(images[:1280], labels[:1280], BATCH_SIZE)
three = torch.tensor([0.01, 0.03, 0.1], device=device)
models = [MNISTMLP(seed=seed).to(device) for seed in range(3)]
together, losses = side_by_side(models, few, "Momentum", three)

far = 0.0
for k, model in enumerate(models):  # side_by_side has left them as they were
    optimizer = make_optimizer("Momentum", model, three[k].item())
    train_one_epoch(model, few, optimizer, nn.CrossEntropyLoss())
    far = max(
        far,
        *(
            (together[key][k] - p).abs().max().item()
            for key, p in model.named_parameters()
        ),
    )

# %% tags=["hide-input"]
Markdown(
    f"After {len(losses)} steps of three networks at three rates, the largest "
    f"difference of a weight is **{far:.0e}**, in single precision."
)

# %% tags=["remove-cell"]
with text_says("side by side is the same as one after the other"):
    assert far < 1e-4

# %% [markdown]
# What does it gain? That depends on where the time goes. A step of a large network is spent in multiplying; doing seven
# of them together is seven times the multiplying. A step of a small one is spent in *calling*: a hundred little
# operations that each cost more to start than to do, and `vmap` starts each of them once instead of seven times. The
# two ways are timed in turns, so that whatever else the computer is doing disturbs both.
#
# *Predict before you run:* how much quicker are seven networks of 256 units, and seven of 8?

# %%
timed = BatchLoader(images[:1024], labels[:1024], BATCH_SIZE)


def seconds(work):
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def one_by_one(models):
    for model in models:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        train_one_epoch(model, timed, optimizer, nn.CrossEntropyLoss())


speedup = {}
for hidden in (256, 8):
    seven = [MNISTMLP(hidden=hidden, seed=k).to(device) for k in range(7)]
    slow = torch.full((7,), 0.01, device=device)
    ratios = []
    for _ in range(5):
        alone = seconds(lambda m=seven: one_by_one(m))
        ratios.append(
            alone
            / seconds(lambda m=seven, r=slow: side_by_side(m, timed, "SGD", r))
        )
    speedup[hidden] = np.median(ratios[1:])  # the first one warms up


# %% tags=["hide-input"]
def in_words(ratio):
    """Say how the seconds of the two ways compare."""
    if ratio > 1.1:
        return f"**{ratio:.1f} times** quicker than one after the other"
    if ratio < 0.9:
        return f"**{1 / ratio:.1f} times slower** than one after the other"
    return "about as quick as one after the other"


Markdown(
    f"Seven networks at once, on this {device.type.upper()}: with "
    + ", with ".join(f"{h} units {in_words(r)}" for h, r in speedup.items())
    + "."
)

# %% tags=["remove-cell"]
with text_says("many at once take no longer than one after the other"):
    assert min(speedup.values()) > 0.2

# %% [markdown]
# On a CPU, expect little for large networks and more for small ones. A GPU has thousands of arithmetic units that one
# such network cannot keep busy, and there the gain should be larger: run this page on one (in Colab under *Runtime →
# Change runtime type*), and see what the sentence above becomes. On either, the code is short: a grid of learning rates
# is *one call*. The package's `train_together` is the function above, with several passes, validation, a loader for
# each model if wanted, and one `History` per model. On a CPU it also gives each core a share of the networks, as
# yesterday's `in_parallel` did. From here on we use that.
#
# ## A search with equal effort
#
# What does it mean to give each optimizer its best? Three rules:
#
# 1. **Equal budget.** Every run takes the same number of steps on the same batches.
# 2. **Equal search.** Every optimizer gets the same number of rates, on a logarithmic grid: each is about three times
#    the one before. Where the grids lie may differ, because the rates mean different things.
# 3. **Choose by validation.** The test set stays closed until the end.

# %%
# Half of MNIST's images, because forty-five runs are coming. The stand-in has few.
COUNT = min(SEARCH_IMAGES, len(images))
PASSES = SEARCH_EPOCHS * (6 if data.is_stand_in else 1)
part_loader = BatchLoader(
    images[:COUNT], labels[:COUNT], BATCH_SIZE, shuffle_seed=SEED
)
STEPS_EACH = PASSES * len(part_loader)
GRIDS = {  # seven each, from 10**first in half powers of ten
    name: [float(f"{10 ** (first + k / 2):.2g}") for k in range(7)]
    for name, first in {"SGD": -2.5, "Momentum": -3.0, "Adam": -4.5}.items()
}

# %% tags=["hide-input"]
Markdown(
    f"Budget of a run: **{STEPS_EACH} steps** of {BATCH_SIZE} images, "
    f"{PASSES} pass{'es' if PASSES > 1 else ''} over {COUNT:,} training "
    "images.\n\n"
    + "\n".join(
        f"- {name}: " + ", ".join(f"{lr:g}" for lr in grid)
        for name, grid in GRIDS.items()
    )
)

# %% [markdown]
# Twenty-one runs, in three calls, all from the same weights; about 10 seconds on two cores.
#
# *Predict before you run:* what do the curves of accuracy against rate look like, and are the three equally wide?

# %%
sweep, scores = {}, {}
for name, grid in GRIDS.items():
    models = [MNISTMLP(seed=SEED).to(device) for _ in grid]
    sweep[name] = train_together(
        models, part_loader, val_loader, name, grid, epochs=PASSES
    )
    scores[name] = {
        lr: history.val_acc[-1]
        for lr, history in zip(grid, sweep[name], strict=True)
    }

# %% tags=["hide-input"]
Markdown(
    "Validation accuracy, one run each:\n\n| optimizer | "
    + " | ".join(["lowest rate", *["→"] * 5, "highest rate"])
    + " |\n|---"
    + "|---" * 7
    + "|\n"
    + "\n".join(
        f"| {name} | " + " | ".join(f"{a:.1%}" for a in by_rate.values()) + " |"
        for name, by_rate in scores.items()
    )
)

# %% tags=["hide-input"] mystnb={"image": {"alt": "Error on the validation images against the learning rate for SGD, momentum and Adam, both axes logarithmic. Each curve is a bowl: high at rates that are too small, lowest in between, and for SGD and momentum jumping up to the line of guessing. Adam's bowl lies at far smaller rates than SGD's. A ring marks each lowest point."}}
with plt.rc_context(STYLE):
    figure, ax = plt.subplots()
    for name, by_rate in scores.items():
        rates, errors = list(by_rate), [1 - a for a in by_rate.values()]
        (line,) = ax.plot(rates, errors, **style_of(name, marker=True))
        lost = [k for k, error in enumerate(errors) if error > 0.8]
        ax.plot(
            [rates[k] for k in lost],
            [errors[k] for k in lost],
            "X",
            color=line.get_color(),
            markersize=13,
        )
        best = int(np.argmin(errors))
        ax.plot(
            rates[best],
            errors[best],
            "o",
            markersize=16,
            fillstyle="none",
            clip_on=False,
            color=line.get_color(),
        )
        for end in (0, -1):
            ax.plot(
                rates[end],
                errors[end],
                "|",
                markersize=24,
                color=line.get_color(),
            )
    ax.axhline(0.9, color=GREY, linewidth=1)
    ax.text(2.5e-5, 0.92, "guessing", va="bottom")
    ax.set(
        xscale="log",
        yscale="log",
        ylim=(None, 1.3),
        title="How sensitive is each to its learning rate?",
        xlabel="Learning rate",
        ylabel="Validation error",
    )
    figure.legend(loc="outside lower center", ncols=3)
    plt.show()

# %% [markdown]
# *How to read it:* lower is better. A ring marks the best rate of each grid, an upright bar its two ends, a heavy cross
# a run that learnt nothing. The width of a bowl at some height is the freedom that you have in choosing the rate.
#
# If the ring sat on a bar, the search would be void: the best rate might lie beyond it. `best_rate` chooses from a grid
# and warns of that. Here is what it says of Adam if somebody had tried the three smallest rates only.

# %%
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    best_rate(GRIDS["Adam"][:3], list(scores["Adam"].values())[:3])

# %% tags=["hide-input"]
Markdown("\n".join(f"> {warning.message}" for warning in caught))

# %% tags=["remove-cell"]
with text_says("`best_rate` warns of the three smallest rates"):
    assert len(caught) == 1
with text_says("no best rate is at the end of its grid"):
    for by_rate in scores.values():
        place = np.argmax(list(by_rate.values()))
        assert 0 < place < len(by_rate) - 1
with text_says("at the highest rate SGD and momentum learn nothing"):
    for name in ("SGD", "Momentum"):
        at_highest = list(scores[name].values())[-1]
        assert at_highest < 0.2

# %% [markdown]
# **Exercise 3.** *(about 5 minutes, easy)* Which rate do you choose for each? Read it from the figure or the table, or
# write a line that finds it in `scores`: `scores[name][rate]` is the validation accuracy of one run. The check compares
# your choice with the same scores. Two accuracies that differ by less than one standard error count as a tie.

# %%
best_lr = {"SGD": None, "Momentum": None, "Adam": None}  # your choice

checks.lr_sweep(best_lr, scores)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# `print(scores["SGD"])` shows the validation accuracy at each rate. Is the best one inside the grid?
# </details>
#
# <details>
# <summary>A solution</summary>
#
# In one line: `best_lr = best_rates(scores)`, with
#
# ```python
# def best_rates(scores):
#     # scores[name][rate] is the validation accuracy of one run.
#     return {name: max(by_rate, key=by_rate.get) for name, by_rate in scores.items()}
# ```
# </details>

# %%
BEST = {
    name: best_rate(grid, list(scores[name].values()))
    for name, grid in GRIDS.items()
}
near = {  # rates that come within one point of the best
    name: sum(acc > max(by_rate.values()) - 0.01 for acc in by_rate.values())
    for name, by_rate in scores.items()
}

# %% tags=["hide-input"]
Markdown(
    "Chosen: "
    + ", ".join(f"**{lr:g}** for {name}" for name, lr in BEST.items())
    + ". Within one point of the best lie "
    + ", ".join(f"{n} of 7 rates for {name}" for name, n in near.items())
    + f". SGD's best is {BEST['SGD'] / BEST['Momentum']:.2g} times momentum's. "
    "A factor of ten would make their steps along a steady slope equally "
    "long; a grid like this can tell it only to a factor of three."
)

# %% tags=["remove-cell"]
with text_says("Adam's best rate is far smaller than SGD's"):
    assert BEST["Adam"] < BEST["SGD"]
    assert data.is_stand_in or BEST["Adam"] < BEST["Momentum"]
with text_says("SGD's best rate is about ten times momentum's"):
    assert data.is_stand_in or 1 < BEST["SGD"] / BEST["Momentum"] < 35

# %% [markdown]
# Remember $1/(1 - \mu)$: at one and the same rate, momentum takes steps ten times as long along a steady slope. A
# comparison at a common rate compares a long step with a short one, and calls the result "momentum".
#
# ## Five seeds
#
# Now each optimizer at its best rate, five times: seed 0 to seed 4. A seed determines the initial weights and the order
# of the batches, and all three optimizers share it. The seeds are new ones, because the rates were fitted to the old
# one. Fifteen runs, three calls, and about 10 seconds on two cores.

# %%
SEEDS = range(5)
loaders = [
    BatchLoader(images[:COUNT], labels[:COUNT], BATCH_SIZE, shuffle_seed=s)
    for s in SEEDS
]
SIXTH = -(-STEPS_EACH // 6)  # validate six times on the way
trained, histories = {}, {}
for name, lr in BEST.items():
    trained[name] = [MNISTMLP(seed=s).to(device) for s in SEEDS]
    histories[name] = train_together(
        trained[name],
        loaders,
        val_loader,
        name,
        lr,
        epochs=PASSES,
        every=SIXTH,
    )
n_entries = len(histories["SGD"][0])
at_step = [min(SIXTH * (k + 1), STEPS_EACH) for k in range(n_entries)]
val_acc = {
    name: np.array([history.val_acc for history in five])
    for name, five in histories.items()
}  # (5, entries)

# %% tags=["hide-input"] mystnb={"image": {"alt": "Validation accuracy of SGD, momentum and Adam against the number of steps: three curves, each the mean over five seeds with a band around it."}}
plot_bands(
    {
        name: (at_step, *(100 * np.array(mean_interval(acc))))
        for name, acc in val_acc.items()
    },
    "Five seeds each, at each one's best rate",
    "Steps",
    "Validation accuracy in %",
)

# %% [markdown]
# *How to read it:* the line is the mean over the five seeds, the band its 95 % interval by Student's $t$. Where bands
# are far apart, the difference is more than the luck of the seed.
#
# Are steps the right axis? A step of Adam computes more than a step of SGD, and you wait for seconds, not for steps.
# So measure what a step of one network costs with `torch.optim`, in turns again. Training many at once shares its time,
# and cannot show it.

# %%
makers = {name: lambda m, n=name: make_optimizer(n, m, 1e-3) for name in BEST}
makers["Adam, fused"] = lambda m: torch.optim.Adam(m.parameters(), fused=True)
steppers = {}
for name, make in makers.items():
    model = MNISTMLP(seed=SEED).to(device)
    steppers[name] = (model, make(model))
per_step = {name: [] for name in makers}
for _ in range(7):
    for name, (model, optimizer) in steppers.items():
        spent = seconds(
            lambda m=model, o=optimizer: train_one_epoch(
                m, timed, o, nn.CrossEntropyLoss()
            )
        )
        per_step[name].append(spent / len(timed))
ms = {name: 1000 * np.median(spent[1:]) for name, spent in per_step.items()}

# %% tags=["hide-input"]
Markdown(
    "A step on this machine: "
    + ", ".join(f"**{m:.1f} ms** ({name})" for name, m in ms.items())
    + f". That makes Adam's step **{ms['Adam'] / ms['SGD']:.1f} times** as long "
    "as SGD's. `fused=True` does Adam's update in one operation, and "
    f"then it is {ms['Adam, fused'] / ms['SGD']:.1f} times."
)

# %% tags=["hide-input"] mystnb={"image": {"alt": "The same three curves with their bands, now against seconds of training one network: Adam's curve ends further to the right than SGD's, because each of its steps takes longer."}}
plot_bands(
    {
        name: (
            np.array(at_step) * ms[name] / 1000,
            *(100 * np.array(mean_interval(acc))),
        )
        for name, acc in val_acc.items()
    },
    "The same runs, by the time of one network",
    "Seconds",
    "Validation accuracy in %",
)

# %% tags=["remove-cell"]
with text_says("all three end far above guessing"):
    at_the_end = {name: acc[:, -1].mean() for name, acc in val_acc.items()}
    assert min(at_the_end.values()) > (0.6 if data.is_stand_in else 0.9)

# %% [markdown]
# *How to read it:* the heights are those of the figure before; each curve is stretched by what its step costs. At equal
# *time*, compare the curves along an upright line. On another machine the stretch is another one, and the figure by
# steps stays what it is. So say which axis you mean.
#
# ## Schedules
#
# So far the rate has stayed what it was. Must it? Early on, large steps save time; late, they keep the weights dancing
# around the best place. And at the very first steps, before the weights have found any order, a large step can throw
# the run off for good. Three **schedules** answer that, each a *factor* for every step of the budget:
#
# - **warm-up**: rise from almost zero over the first tenth, then stay;
# - **cosine**: fall to zero along half a wave, slow at both ends;
# - **OneCycle**: rise for three tenths of the way, then fall to almost nothing.

# %%
done = (
    np.arange(STEPS_EACH) / STEPS_EACH
)  # the share of the budget that is done


def half_wave(start, end, share):
    """From start to end along half a cosine, as share goes from 0 to 1."""
    return end + (start - end) * (1 + np.cos(np.pi * share)) / 2


def one_cycle(steps, low=1 / 25, lowest=1 / 250_000):
    k, top = np.arange(steps), 0.3 * steps - 1
    rising = half_wave(low, 1, k / top)
    falling = half_wave(1, lowest, (k - top) / (steps - 1 - top))
    return np.where(k <= top, rising, falling)


SCHEDULES = {
    "constant": np.ones(STEPS_EACH),
    "warm-up": np.minimum(1, (np.arange(STEPS_EACH) + 1) / (STEPS_EACH / 10)),
    "cosine": half_wave(1, 0, done),
    "OneCycle": one_cycle(STEPS_EACH),
}

# %% tags=["hide-input"] mystnb={"image": {"alt": "Four schedules against the step: constant stays at one, warm-up rises in a straight line over the first tenth and then stays, cosine falls from one to zero in half a wave, OneCycle rises for three tenths and then falls to zero."}}
steps = np.arange(1, STEPS_EACH + 1)
plot_curves(
    {name: (steps, factors) for name, factors in SCHEDULES.items()},
    "The learning rate over the budget",
    "Step",
    "Factor on the peak rate",
)

# %% [markdown]
# *How to read it:* one is the peak rate; the area below a curve says how much of the walking is done at which part of
# the way.
#
# Are ours PyTorch's? Ask its schedulers for their rates, step by step.


# %%
def torchs(make):
    """The rates that one of PyTorch's schedulers gives, from a peak of 1."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler, rates = make(optimizer), []
    for _ in range(STEPS_EACH):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return np.array(rates)


cosine_gap = np.abs(
    torchs(lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS_EACH))
    - SCHEDULES["cosine"]
).max()
cycle_gap = np.abs(
    torchs(
        lambda o: lr_scheduler.OneCycleLR(
            o, max_lr=1.0, total_steps=STEPS_EACH, cycle_momentum=False
        )
    )
    - SCHEDULES["OneCycle"]
).max()

# %% tags=["hide-input"]
Markdown(
    f"Largest difference: {cosine_gap:.0e} to `CosineAnnealingLR`, "
    f"{cycle_gap:.0e} to `OneCycleLR`."
)

# %% tags=["remove-cell"]
with text_says("our schedules are PyTorch's"):
    assert max(cosine_gap, cycle_gap) < 1e-9

# %% [markdown]
# Which is better? By now you know the trap: each schedule has a best peak of its own. So take momentum, and give each
# schedule three peaks: the best constant rate and the two above it in the grid. Nine rows of rates, one for each
# network, trained in one call on the same budget (about 4 seconds on two cores); the constant rate's runs are in the
# sweep already. One seed, validation only: this is a look, not a verdict.
#
# *Predict before you run:* which of the four tolerates the highest peak?

# %%
middle = GRIDS["Momentum"].index(BEST["Momentum"])
middle = min(middle, len(GRIDS["Momentum"]) - 3)  # where two are above it
PEAKS = GRIDS["Momentum"][middle : middle + 3]
rates = [peak * SCHEDULES[n] for n in list(SCHEDULES)[1:] for peak in PEAKS]
models = [MNISTMLP(seed=SEED).to(device) for _ in rates]
nine = train_together(
    models, part_loader, val_loader, "Momentum", rates, epochs=PASSES
)
errors = 1 - np.array([h.val_acc[-1] for h in nine]).reshape(3, -1)
scheduled = {"constant": np.array([1 - scores["Momentum"][p] for p in PEAKS])}
scheduled |= dict(zip(list(SCHEDULES)[1:], errors, strict=True))

# %% tags=["hide-input"] mystnb={"image": {"alt": "Validation error of four schedules of momentum at three peak rates, both axes logarithmic. At the lowest peak all four are close together; at the middle one cosine and OneCycle lie below the constant rate and warm-up; at the highest one most are near the line of guessing."}}
with plt.rc_context(STYLE):
    figure, ax = plt.subplots()
    for name, row in scheduled.items():
        ax.plot(PEAKS, row, **style_of(name, marker=True))
    ax.axhline(0.9, color=GREY, linewidth=1)
    ax.text(PEAKS[0], 0.92, "guessing", va="bottom")
    ax.set(
        xscale="log",
        yscale="log",
        ylim=(None, 1.3),
        title="Momentum with four schedules, same budget",
        xlabel="Peak learning rate",
        ylabel="Validation error",
    )
    ax.set_xticks(PEAKS, [f"{peak:g}" for peak in PEAKS])
    ax.minorticks_off()
    figure.legend(loc="outside lower center", ncols=2)
    plt.show()

# %% [markdown]
# *How to read it:* lower is better; each point is one run.

# %% tags=["hide-input"]
lowest = {name: row.min() for name, row in scheduled.items()}
winner = min(lowest, key=lowest.get)
gain = lowest["constant"] - lowest[winner]
low, high = accuracy_interval(1 - lowest["constant"], n_val)
luck = (high - low) / 2
Markdown(
    "At its best peak, "
    + ", ".join(f"{name} errs on {e:.1%}" for name, e in lowest.items())
    + (
        f". On {n_val:,} images and from one run each, constant and {winner} "
        "cannot be told apart."
        if gain < luck
        else f". The lowest is **{winner}**, {100 * gain:.1f} points below the "
        f"constant rate, at a peak of {PEAKS[scheduled[winner].argmin()]:g}."
    )
    + f" At the peak of {PEAKS[1]:g}, more than half right are: "
    + (", ".join(n for n, row in scheduled.items() if row[1] < 0.5) or "none")
    + "."
)

# %% tags=["remove-cell"]
with text_says(
    "at the middle peak, a falling schedule beats the constant rate"
):
    assert scheduled["OneCycle"][1] < scheduled["constant"][1]
    assert scheduled["cosine"][1] <= scheduled["constant"][1]
with text_says("OneCycle tolerates the middle peak"):
    assert scheduled["OneCycle"][1] < scheduled["OneCycle"][0] + 0.03

# %% [markdown]
# In these single runs, a schedule that falls did better than the constant rate at the middle peak. One explanation is
# that small late steps let the weights settle. Whether the higher peak also *pays* is another question; the sentence
# above answers it for this budget and this seed.
#
# A schedule is also a bet on the length of the run: cosine and OneCycle must know the last step in advance, and half
# of such a run is not a good short run.
#
# ## The verdict
#
# Fifteen networks are waiting, and today the test set has not been touched. Before opening it we say what will be
# asked: *the difference of the test accuracies, seed by seed, with its 95 % interval; if the interval holds zero, no
# difference has been shown.* After that nothing more is changed.
#
# Why seed by seed? Seeds differ in luck, and both runs of a pair share it. In the difference of a pair that luck
# cancels. The mean of $n$ differences $d$ is uncertain by
#
# $$t_{n-1}\, \frac{s_d}{\sqrt{n}}$$
#
# to either side, with $s_d$ their standard deviation and $t_{n-1}$ from Student's table: for few pairs, more than the
# usual two.

# %%
criterion = nn.CrossEntropyLoss()
test_acc = {
    name: np.array([evaluate(m, test_loader, criterion)[1] for m in five])
    for name, five in trained.items()
}
T_95 = 2.776  # 97.5 % point of Student's t with 4 degrees of freedom, 5 seeds
d = test_acc["Adam"] - test_acc["SGD"]
half_width = T_95 * d.std(ddof=1) / np.sqrt(len(d))
by_hand = 100 * (d.mean() - half_width), 100 * (d.mean() + half_width)
found = paired_difference(test_acc["Adam"], test_acc["SGD"])

# %% tags=["hide-input"]
Markdown(
    "| seed | "
    + " | ".join(test_acc)
    + " | Adam − SGD |\n|---|---|---|---|---|\n"
    + "\n".join(
        f"| {seed} | "
        + " | ".join(f"{test_acc[name][k]:.2%}" for name in test_acc)
        + f" | {100 * d[k]:+.2f} |"
        for k, seed in enumerate(SEEDS)
    )
    + f"\n\nAdam minus SGD, by hand: {100 * d.mean():+.2f} points, interval "
    f"{by_hand[0]:+.2f} to {by_hand[1]:+.2f}; by `paired_difference`: "
    f"{100 * found.low:+.2f} to {100 * found.high:+.2f}."
)

# %%
comparisons = {
    pair: paired_difference(test_acc[pair[0]], test_acc[pair[1]])
    for pair in [("Adam", "SGD"), ("Momentum", "SGD"), ("Adam", "Momentum")]
}


# %% tags=["hide-input"]
def in_words(pair, found):
    said = {
        "first higher": f"{pair[0]} is ahead",
        "second higher": f"{pair[1]} is ahead",
    }.get(found.verdict, "no difference shown")
    return (
        f"| {pair[0]} − {pair[1]} | {100 * found.mean:+.2f} | "
        f"{100 * found.low:+.2f} to {100 * found.high:+.2f} | **{said}** |"
    )


Markdown(
    f"After {STEPS_EACH} steps, on {len(test_loader.dataset):,} test images, "
    f"{len(SEEDS)} pairs each:\n\n"
    "| pair | points | 95 % interval | verdict |\n|---|---|---|---|\n"
    + "\n".join(in_words(pair, found) for pair, found in comparisons.items())
)

# %% tags=["remove-cell"]
with text_says("the interval by hand is that of `paired_difference`"):
    assert np.allclose(by_hand, [100 * found.low, 100 * found.high], atol=1e-2)
with text_says("all networks read digits, and their means are close"):
    means = {name: acc.mean() for name, acc in test_acc.items()}
    assert min(means.values()) > (0.6 if data.is_stand_in else 0.9)
    assert data.is_stand_in or max(means.values()) - min(means.values()) < 0.06
    results.record(
        "optimizer_test_accuracies",
        {
            name: {"lr": BEST[name], "test_accuracies": test_acc[name].tolist()}
            for name in ("SGD", "Adam")
        },
        dataset=data.name,
        day=33,
        settings={
            "seed": SEED,
            "seeds": list(SEEDS),
            "images": SEARCH_IMAGES,
            "epochs": SEARCH_EPOCHS,
            "rates": {name: GRIDS[name] for name in ("SGD", "Adam")},
            "batch_size": BATCH_SIZE,
        },
    )

# %% tags=["hide-input"]
shown = [
    p for p, f in comparisons.items() if f.verdict != "no difference shown"
]
spread = {name: 100 * acc.std(ddof=1) for name, acc in test_acc.items()}
rest = [f for pair, f in comparisons.items() if pair not in shown]
room = max((max(-f.low, f.high) for f in rest), default=0)
Markdown(
    (
        "None of the three differences is larger than the luck of five seeds "
        "explains. That is a result. "
        if not shown
        else f"Of three differences, {len(shown)} cannot be explained by the luck "
        "of five seeds. "
    )
    + "It holds for this network, this budget, this batch size and these "
    "grids."
    + (
        " *No difference shown* is not *no difference*: the intervals leave "
        f"room for up to **{100 * room:.1f} points**."
        if rest
        else ""
    )
    + " Look at the columns, too: from seed to seed the accuracy spreads by "
    + ", ".join(f"{s:.1f} points ({name})" for name, s in spread.items())
    + "."
)

# %% [markdown]
# Three warnings, before you quote such a table.
#
# - **Three questions, three chances to be wrong.** Each interval misses the truth one time in twenty; that at least one
#   of three does is more likely. Ask one question, and say beforehand which.
# - **These intervals are about seeds.** All runs saw the same training images and the same test images. How far other
#   images would move an accuracy is another interval, the one of yesterday.
# - **The budget decides.** An optimizer that is ahead on a short budget need not be on a long one, and a finer search may
#   change the order. Published rankings have turned around with the effort spent on tuning; see *Read more*.
#
# A best rate can also lie next to one that no longer learns. Then one seed with bad luck can cost much. Look at the
# single rows of the table above, not only at their mean.
#
# So what should you use? If you cannot search for the rate, an optimizer that forgives a poor choice. The width of the
# bowls says more about that than the height of their lowest points.
#
# ## Check yourself
#
# **1.** A blog post compares SGD and Adam, both at a learning rate of 0.001, and finds Adam far ahead. What do you
# think?
#
# - a) Adam is better, as everybody knows.
# - b) The comparison is unfair: the same number is a reasonable rate for Adam and a tiny one for SGD.
# - c) The comparison is fair, because both have the same rate.
#
# <details>
# <summary>Answer</summary>
#
# **b.** For Adam the rate is about the length of a step, for SGD a factor on the gradient. Give each its best.
# a) may even be true, but this does not show it.
# c) An equal number is not an equal chance.
# </details>
#
# **2.** Why divide $m$ by $1 - \beta_1^t$?
#
# - a) To keep the step from growing.
# - b) Because $m$ starts at zero and is too small in the first steps.
# - c) To average over the batch.
#
# <details>
# <summary>Answer</summary>
#
# **b.** After one step $m$ is only $(1 - \beta_1)\,g$, a tenth of the gradient. The division restores its size; after
# many steps, $\beta_1^t$ is nearly zero and the division does nothing.
# a) It makes early steps larger.
# c) The batch was averaged in the loss.
# </details>
#
# **3.** You create both models with `MNISTMLP()` after one `set_seed(42)`. Do they start equal?
#
# - a) Yes, the seed was set.
# - b) No: the second model takes the next numbers of the sequence.
# - c) Only on a CPU.
#
# <details>
# <summary>Answer</summary>
#
# **b.** A seed fixes a *sequence* of numbers. Set it again, or pass a seed, before each model.
# a) holds for the first model only.
# c) It is the same on every device.
# </details>
#
# **4.** You try five rates for momentum, and the highest one is the best. What do you report?
#
# - a) That rate, since it was the best.
# - b) Nothing yet: try higher rates until the best one has worse neighbours on both sides.
# - c) The second highest, to be on the safe side.
#
# <details>
# <summary>Answer</summary>
#
# **b.** At the end of a grid the search has shown a direction, not a best rate.
# a) It was the best of what was tried, and nothing beyond it was.
# c) It is worse than the highest on the only evidence there is.
# </details>
#
# **5.** The interval for "Adam minus SGD" runs from a little below zero to well above it. Which sentence may you write?
#
# - a) Adam and SGD are equally good.
# - b) Adam is better, since most of the interval is above zero.
# - c) No difference has been shown; the data allow for a clear lead of Adam's.
#
# <details>
# <summary>Answer</summary>
#
# **c.** Both halves belong to it: zero is possible, and so is a clear difference.
# a) Not shown is not the same as shown to be zero.
# b) The rule was fixed beforehand, and by that rule an interval with zero in it decides nothing.
# </details>
#
# **6.** Why were the differences taken seed by seed, rather than comparing the two means with an interval around each?
#
# - a) Because a pair shares its weights and batches, and what they bring cancels in the difference.
# - b) Because five numbers are too few for a mean.
# - c) Because paired intervals are always narrower.
#
# <details>
# <summary>Answer</summary>
#
# **a.** A seed that is lucky for both runs does not look like a difference between them.
# b) The mean of five differences is a mean of five, too.
# c) If the runs of a pair have nothing in common, pairing gains nothing and costs degrees of freedom.
# </details>
#
# **7.** You add $\lambda w$ to the gradient and call `torch.optim.Adam`. Is that AdamW?
#
# - a) Yes, weight decay is the gradient of a squared norm.
# - b) No: a term added to the gradient is divided by $\sqrt{\hat v}$ with it, and hardly reaches weights with large
#   gradients.
# - c) Yes, if $\lambda$ is small enough.
#
# <details>
# <summary>Answer</summary>
#
# **b.** AdamW takes the decay out of the gradient, so that every weight shrinks by the same share.
# a) In SGD the two are the same; the division is what parts them.
# c) The division works on small numbers just as well.
# </details>
#
# ## Summary
#
# | what | SGD | momentum | Adam |
# |---|---|---|---|
# | step | $w - \eta\, g$ | $w - \eta\, v$ | $w - \eta\, \hat m / (\sqrt{\hat v} + \epsilon)$ |
# | remembers | nothing | $v$ for every weight | $m$ and $v$ for every weight |
# | learning rate is | a factor | a factor on a sum | about a length |
# | in a narrow valley | bounces and creeps | rolls along it | rescales the axes |
# | usual first guess | 0.1 | 0.01 | 0.001 |
#
# | a fair comparison | what |
# |---|---|
# | shares | weights, split, batches, budget |
# | gives each | its own log grid of equal size; no best rate at the end |
# | repeats | over new seeds, in pairs |
# | decides | by an interval that was agreed on before; it may say *no difference shown* |
# | opens the test set | once |
#
# Before you open the next day, choose *Kernel → Shut Down Kernel*: until then this notebook holds on to its memory,
# even if you close its tab.
#
# ## Read more
#
# - University of Amsterdam, [optimization and initialization](https://uvadlc-notebooks.readthedocs.io/en/latest/tutorial_notebooks/tutorial4/Optimization_and_Initialization.html),
#   with optimizers written from scratch and surfaces to walk on.
# - Kingma and Ba (2015), [Adam: a method for stochastic optimization](https://arxiv.org/abs/1412.6980).
# - Loshchilov and Hutter (2019), [Decoupled weight decay regularization](https://arxiv.org/abs/1711.05101), AdamW.
# - Choi and others (2019), [On empirical comparisons of optimizers for deep learning](https://arxiv.org/abs/1910.05446), on how tuning decides who wins.
# - Goh (2017), [Why momentum really works](https://distill.pub/2017/momentum/).
# - Smith and Topin (2018), [Super-convergence](https://arxiv.org/abs/1708.07120), where OneCycle comes from.
# - PyTorch, [model ensembling](https://docs.pytorch.org/tutorials/intermediate/ensembling.html) with `torch.func`.
