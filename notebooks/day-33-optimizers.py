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
# - say in which valleys each of them does well, and in which it does not;
# - make two training runs differ in the optimizer and in nothing else, and *prove* it;
# - search each optimizer's learning rate with equal effort, and say what equal effort leaves out;
# - name three learning-rate schedules, draw them, and compare them over several seeds;
# - compute an interval for paired differences, and draw the verdict that it allows;
# - tell *these two networks differ* from *these two optimizers differ*;
# - run the entire experiment in a script of your own, in plain PyTorch.
#
# **Time** about 165 minutes: steps 45, a valley 15, two single runs 10, many at once 5, the search 20, five seeds 10,
# schedules 15, the verdict 30, a script of your own 15.
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
import math
import time
import warnings
from itertools import islice

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import Markdown
from scipy.special import stdtrit  # comes with scikit-learn
from torch import nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from torch.optim import lr_scheduler

from nnweek import checks, results
from nnweek.experiments import best_rate, in_parallel, train_together
from nnweek.loaders import BatchLoader, make_loaders
from nnweek.mnist import load_mnist
from nnweek.models import MNISTMLP
from nnweek.notebook import text_says
from nnweek.optimizers import STEPS, make_optimizer
from nnweek.plots import GREY, STYLE, plot_bands, plot_curves, style_of
from nnweek.runtime import get_device
from nnweek.statistics import (
    accuracy_interval,
    mean_interval,
    paired_difference,
)
from nnweek.statistics import mcnemar as package_mcnemar
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
EPOCHS = 3
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
# zero, and in the first steps both are too small.
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
# *Predict before you run:* how far does Adam move a weight in its very first step, if the gradient is $0.001$? And if
# it is $1000$?

# %%
(adam_step,) = checks.or_solution(adam_step)  # yours, once it passes
rows = []
for gradient in [0.001, 1.0, 1000.0]:
    w, _, _ = adam_step(0.0, gradient, 0.0, 0.0, 1, 0.001, 0.9, 0.999, 1e-8)
    rows.append((gradient, -0.001 * gradient, w))

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
# And the two corrections? Without that of $m$, the steps would be too short at first; without that of $v$, too long.
# Which of the two wins, and for how long?
#
# *Predict before you run:* without both corrections, how long would Adam's first steps be?
#
# - a) longer than with them
# - b) shorter
# - c) the same, because the two errors cancel

# %%
beta1, beta2 = 0.9, 0.999
longer = {
    t: (1 - beta1**t) / (1 - beta2**t) ** 0.5 for t in (1, 10, 100, 1000, 5000)
}

# %% tags=["hide-input"]
Markdown(
    "| step | "
    + " | ".join(map(str, longer))
    + " |\n|---"
    + "|---" * len(longer)
    + "|\n| without the corrections, times as long | "
    + " | ".join(f"{ratio:.2f}" for ratio in longer.values())
    + " |"
)

# %% tags=["remove-cell"]
with text_says("without the corrections the first steps would be too long"):
    assert min(longer.values()) > 1 - 1e-9
    assert longer[10] > longer[1] > 3
with text_says("the correction of v lasts far longer than that of m"):
    assert 1 - beta1**100 > 0.999
    assert 1 - beta2**100 < 0.1

# %% [markdown]
# Longer, several times. $v$ remembers far longer than $m$, so it also takes far longer to recover from its start at
# zero, and a denominator that is too small makes a step too long. The corrections keep the first steps to the length of
# the learning rate.
#
# The fourth step is about **weight decay**: at each step every weight is made a little smaller, so that only weights
# that the data need stay large. There are two ways to write that: add $\lambda w$ to the gradient, or subtract
# $\eta \lambda w$ from the weight. In plain SGD they are the same. With momentum they are not quite, because what is
# added to the gradient stays in the velocity. In Adam they are two different things: a term added to the gradient is
# divided by $\sqrt{\hat v}$ with it, so a weight with large gradients is hardly decayed at all. **AdamW** *decouples* the
# two: first the weight shrinks, $w \leftarrow w - \eta \lambda\, w$, then it takes Adam's step with the gradient of the
# loss alone.
#
# **Exercise 3.** *(about 5 minutes, easy)* Write the step of AdamW. It may call your `adam_step`.


# %%
def adamw_step(w, g, m, v, t, lr, beta1, beta2, eps, weight_decay):
    """One step, t = 1, 2, …; returns (w, m, v)."""
    ...  # your code


checks.adamw_step(adamw_step)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# Two lines. Which of the two uses `weight_decay`?
# </details>
#
# <details>
# <summary>Another hint</summary>
#
# The gradient that goes into $m$ and $v$ is that of the loss, unchanged. Only the weight that Adam starts from is
# another one.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def adamw_step(w, g, m, v, t, lr, beta1, beta2, eps, weight_decay):
#     w = w - lr * weight_decay * w  # the decay, outside of Adam's quotient
#     return adam_step(w, g, m, v, t, lr, beta1, beta2, eps)
# ```
# </details>
#
# Nothing in these steps knows how many weights there are: $w$ may be a number, a vector, or a layer. The package has
# all four of them in one dictionary. `STEPS[name]` consists of two things: how many numbers the optimizer stores per
# weight, its **state** ($v$; or $m$ and $v$), and the step, called with weight, gradient, state, number of the step and
# rate. Everything else keeps its usual value: $\mu = 0.9$, $\beta_1 = 0.9$, $\beta_2 = 0.999$.


# %% tags=["remove-cell"]
def thirty_steps(name, gradient, decay=0.1, coupled=False, lr=0.01):
    """A weight that starts at 1, after thirty steps with these gradients."""
    size, step = STEPS[name]
    w, state = 1.0, [0.0] * size
    for t in range(1, 31):
        g = gradient(w, t) + coupled * decay * w
        shrunk = w if coupled else w - lr * decay * w
        w, *state = step(shrunk, g, *state, t, lr)
    return w


def slope(w, t):
    return w - 0.5


def large(w, t):
    return 100 * (-1) ** t


with text_says(
    "the two ways of decay are the same in plain SGD, not in momentum"
):
    for name, same in (("SGD", True), ("Momentum", False)):
        one, other = (thirty_steps(name, slope, coupled=c) for c in (0, 1))
        assert (abs(one - other) < 1e-12) == same
with text_says("Adam hardly decays a weight with large gradients if coupled"):
    none = thirty_steps("Adam", large, decay=0)
    decoupled, coupled = (
        none - thirty_steps("Adam", large, coupled=c) for c in (0, 1)
    )
    assert 0.02 < decoupled < 0.04
    assert abs(coupled) < decoupled / 10

# %% [markdown]
# ### Equal to PyTorch's, over fifty steps
#
# One right step proves little: in the first one, $m$ and $v$ are zero. So train a small network for fifty steps on
# real batches, once with our functions and once with `torch.optim`, in double precision. How far apart are the weights
# at the end?


# %%
def weights_after(name, steps=50, lr=0.01, by_hand=True):
    """All weights after some steps, with our step or with torch.optim's."""
    model = MNISTMLP(hidden=16, seed=SEED).double()
    optimizer = make_optimizer(name, model, lr)
    params = list(model.parameters())
    size, step = STEPS[name]
    states = [[torch.zeros_like(p)] * size for p in params]
    for t in range(1, steps + 1):
        images, labels = ten_batches[t % len(ten_batches)]
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        if not by_hand:
            optimizer.step()
            continue
        with torch.no_grad():
            for i, p in enumerate(params):
                w, *states[i] = step(p, p.grad, *states[i], t, lr)
                p.copy_(w)
    return torch.cat([p.detach().flatten() for p in params])


train_loader.epoch = 0  # the first epoch's order, even if you run this again
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
# *Predict before you run:* which one gets down furthest?
#
# - a) SGD
# - b) momentum
# - c) Adam

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
    size, step = STEPS[name]
    state, points = [np.zeros(2)] * size, [w]
    for t in range(1, steps + 1):
        w, *state = step(w, valley @ w, *state, t, lr)
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
#
# - a) none of them: it is the same valley
# - b) only Adam's
# - c) all three

# %% tags=["hide-input"] mystnb={"image": {"alt": "Three panels with the valley turned by forty-five degrees: the paths of SGD and of momentum are the old ones turned, Adam's now bounces between the walls. A fourth panel shows the height against the step: SGD's falls slowly, momentum's falls furthest, and Adam's stays above momentum's."}}
with plt.rc_context(STYLE):
    figure, axes = plt.subplots(2, 2, figsize=(4.6, 5.4))
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
        lr, points, heights = walks[name, "turned"]
        style = style_of(name, marker=True) | {"linestyle": "-"}
        ax.plot(*points.T, **style | {"markersize": 3, "linewidth": 1})
        ax.plot(0, 0, "*", color=GREY, markersize=11)
        ax.annotate(
            "start", points[0], xytext=(0, 9),
            textcoords="offset points", ha="center",
        )  # fmt: skip
        ax.set(
            title=f"{name}\nrate {lr:.2g}", aspect="equal", xlabel="$x$",
            ylabel="$y$", xlim=(-9, 4), ylim=(-9, 4),
        )  # fmt: skip
        axes[1, 1].plot(heights, **style_of(name))
    axes[1, 1].set(
        title="Height\nof all three",
        yscale="log",
        ylim=(0.1, None),
        xlabel="Step",
    )
    axes[1, 1].legend(fontsize=9, handlelength=2)
    plt.show()

# %% [markdown]
# *How to read it:* the paths as before, with equal scales on both axes. The last panel shows how high each of them is
# at each step; lower is better.

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
# Now both optimizers, each at a rate that is usual for it, and side by side like yesterday's seeds. They take about 6
# seconds on two cores.

# %%
RATES = {"SGD": SGD_LR, "Adam": ADAM_LR}
both = in_parallel(run, RATES, [EPOCHS] * len(RATES), RATES.values())
runs = dict(zip(RATES, both, strict=True))

# %% tags=["hide-input"] mystnb={"image": {"alt": "Validation loss of SGD and Adam over three epochs on shared axes; both fall in the first epochs, and Adam's starts lower."}}
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
    assert min(final.values()) > (0.4 if data.is_stand_in else 0.95)
with text_says("Adam's validation loss starts lower"):
    assert runs["Adam"][1][0] < runs["SGD"][1][0]

# %% [markdown]
# What can two runs show? How fast each gets going from this start, at this rate. What can they not show? That one
# optimizer *is* better, for two reasons. The rates were taken from habit, and the two have not been given the same
# effort. And one seed does not show how much of the difference another start would reverse. Fixing both takes many
# runs: rates times optimizers, seeds times optimizers. So first a way to make many runs with little code.
#
# There is one more choice in such a run: whose weights do you keep? Here, those of the last epoch. If the validation
# loss begins to rise, **early stopping** is the alternative: copy the weights at each new lowest validation loss
# (`copy.deepcopy(model.state_dict())`), stop once several epochs have brought no new one, and load the copy
# (`model.load_state_dict`). The epoch is then chosen by validation, as the rate is. So the validation result at that
# epoch is a little too good to report, and both optimizers must follow the same rule. Today every run takes all of its
# steps, because the budget is what we hold fixed.
#
# ## Many networks at once
#
# A step does not know how many weights there are. So let it have the weights of *seven networks*: stack their arrays,
# with one more axis in front, as Day 30 did in NumPy, and give the step a column of seven rates. Then a grid of learning
# rates is *one call*, `train_together` of the package. How it gets seven gradients at once is an aside, folded below;
# today's experiment does not depend on it. Is training side by side the same as training one after the other?

# %% tags=["hide-input"]
# functional_call(model, params, inputs) runs a model with parameters that you
# pass in, in place of its own; grad_and_value(f) is a function that returns the
# gradient of f, and f; vmap(f) applies f to every entry of the first axis.


def side_by_side(models, loader, name, lr):
    """One pass with K models at once; lr (K,). Weights, losses (steps, K)."""
    stacked, _ = stack_module_state(models)
    params = {key: p.detach() for key, p in stacked.items()}  # each (K, …)
    size, step = STEPS[name]
    states = {key: [torch.zeros_like(p)] * size for key, p in params.items()}

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
            params[key], *states[key] = step(
                w, grads[key], *states[key], t, column
            )
        losses.append(batch_losses)
    return params, torch.stack(losses)


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
Markdown(
    f"After {len(losses)} steps of three networks at three rates, the largest "
    f"difference of a weight is **{far:.0e}**, in single precision."
)

# %% tags=["remove-cell"]
with text_says("side by side is the same as one after the other"):
    assert far < 1e-4

# %% tags=["hide-input"]
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
    for _ in range(4):  # alternating: other programs slow down both ways alike
        alone = seconds(lambda m=seven: one_by_one(m))
        ratios.append(
            alone
            / seconds(lambda m=seven, r=slow: side_by_side(m, timed, "SGD", r))
        )
    speedup[hidden] = np.median(ratios[1:])  # the first one warms up


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
    + ". Small networks spend their time in starting operations, which are "
    "then shared; large ones in multiplying, which is not. On a GPU, expect "
    "more: one such network cannot keep it busy."
)

# %% tags=["remove-cell"]
with text_says("many at once take less than five times as long"):
    assert min(speedup.values()) > 0.2

# %% [markdown]
# ## A search with equal effort
#
# What does it mean to give each optimizer its best? Three rules:
#
# 1. **Equal budget.** Every run takes the same number of steps on the same batches.
# 2. **Equal search.** Every optimizer gets the same number of rates, on a logarithmic grid: each is about three times
#    the one before. Where the grids lie may differ, because the rates mean different things.
# 3. **Choose by validation.** The test set stays closed until the end.
#
# *Equal* covers the rate only. Momentum has a $\mu$ as well, Adam two $\beta$ and an $\epsilon$, and none of these is
# searched: each keeps its usual value. An optimizer with more settings might gain more from a wider search.

# %%
# Half of MNIST's images, because many runs are coming. The stand-in has few
# images, so it gets more passes and a smaller network.
COUNT = min(SEARCH_IMAGES, len(images))
PASSES = SEARCH_EPOCHS * (8 if data.is_stand_in else 1)
WIDTH = 64 if data.is_stand_in else 256
part_loader = BatchLoader(
    images[:COUNT], labels[:COUNT], BATCH_SIZE, shuffle_seed=SEED
)
STEPS_EACH = PASSES * len(part_loader)


def network(seed):
    return MNISTMLP(hidden=WIDTH, seed=seed).to(device)


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
    models = [network(SEED) for _ in grid]
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

# %% tags=["hide-input"] mystnb={"image": {"alt": "Error on the validation images against the learning rate for SGD, momentum and Adam, both axes logarithmic. Each curve is a bowl: high at rates that are too small, lowest in between, and for SGD and momentum jumping up to the line of guessing. Adam's bowl lies at far smaller rates than SGD's."}}
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
        for end in (0, -1):
            ax.plot(
                rates[end],
                errors[end],
                "|",
                markersize=24,
                color=line.get_color(),
            )
    for look, meaning in (
        ({"marker": "X", "markersize": 9}, "learnt nothing"),
        ({"marker": "|", "markersize": 14}, "end of the grid"),
    ):
        ax.plot([], [], color=GREY, linestyle="", label=meaning, **look)
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
# *How to read it:* lower is better. The width of a bowl at some height is the freedom that you have in choosing the
# rate.
#
# If a lowest point were at the end of its grid, the search would not be finished: the best rate might lie beyond it.
# `best_rate` chooses from a grid and warns of that. This is its warning for Adam if only the three smallest rates had
# been tried.

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
# **Exercise 4.** *(about 5 minutes, easy)* Which rate do you choose for each? Read it from the figure or the table, or
# write a line that finds it in `scores`: `scores[name][rate]` is the validation accuracy of one run. The check compares
# your choice with the same scores. Two accuracies count as a tie if they differ by less than one **standard error**:
# $\sqrt{p(1-p)/n}$, the typical distance of an accuracy $p$ on $n$ images from the truth.

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
    + f". SGD's best is {BEST['SGD'] / BEST['Momentum']:.2g} times momentum's. "
    "A factor of ten would make their steps along a steady slope equally "
    "long; a grid like this can tell it only to a factor of three.\n\n"
    "Within one point of the best lie "
    + ", ".join(f"{n} of 7 rates for {name}" for name, n in near.items())
    + ". That is one run per rate, and a short budget."
)

# %% tags=["remove-cell"]
with text_says("Adam's best rate is far smaller than SGD's"):
    assert BEST["Adam"] < BEST["SGD"]
    assert data.is_stand_in or BEST["Adam"] < BEST["Momentum"]
with text_says("on 400 images a standard error is almost four times as large"):
    assert 3.8 < math.sqrt(6000 / 400) < 4
with text_says("SGD's best rate is about ten times momentum's"):
    assert data.is_stand_in or 1 < BEST["SGD"] / BEST["Momentum"] < 35

# %% [markdown]
# What if several rates tie? With 6,000 images few do; with 400, a standard error is almost four times as large, and the
# highest score may be luck. Then train two or three seeds per rate and compare their means, as the script at the end
# does, or compare the validation *loss*, which changes even where no answer does. If they still tie, either rate will
# do; the smaller one lies further from the rates that fail.
#
# Remember $1/(1 - \mu)$: at one and the same rate, momentum takes steps ten times as long along a steady slope. A
# comparison at a common rate compares a long step with a short one, and calls the result "momentum".
#
# Is an optimizer with a wider bowl easier to use? The counts above cannot say. A small rate needs many steps, so the left
# side of every bowl depends on the budget. Predict what more passes do to it, then set `SEARCH_EPOCHS = 5` and look.
#
# ## One question, asked beforehand
#
# The rates are chosen, and now the experiment can answer many questions. Each of them is one more chance to be fooled:
# if nothing differs at all, a 95 % interval still excludes zero one time in twenty, and with three of them it happens
# more often. So one question is declared before any of the networks exists:
#
# > **Primary question.** After this budget, each at its own best rate: how many points does Adam gain over SGD on the
# > test set? The answer is the mean difference over five pairs of runs, one pair per seed, with its 95 % interval. If
# > the interval contains zero, no difference has been shown.
#
# Every other comparison of today is *exploratory*: it may suggest the next experiment, and it decides nothing.
#
# ## Five seeds
#
# Now each optimizer at its best rate, five times: seed 0 to seed 4. A seed determines the initial weights and the order
# of the batches, and all three optimizers share it: that makes three runs a group of *pairs*. The seeds are new ones,
# because the rates were fitted to the old one. Fifteen runs, three calls, and about 10 seconds on two cores.

# %%
SEEDS = range(5)
loaders = [
    BatchLoader(images[:COUNT], labels[:COUNT], BATCH_SIZE, shuffle_seed=s)
    for s in SEEDS
]
HALF = -(-STEPS_EACH // 2)  # validate there, and at the end
trained, histories = {}, {}
for name, lr in BEST.items():
    trained[name] = [network(seed) for seed in SEEDS]
    histories[name] = train_together(
        trained[name],
        loaders,
        val_loader,
        name,
        lr,
        epochs=PASSES,
        every=HALF,
    )
val_acc = {
    name: np.array([history.val_acc for history in five])
    for name, five in histories.items()
}  # (5, 2)

# %% tags=["hide-input"] mystnb={"image": {"alt": "Validation accuracy of SGD, momentum and Adam at half of the steps and at the end: three lines, each the mean over five seeds with a band around it; the bands overlap at the end."}}
plot_bands(
    {
        name: ((HALF, STEPS_EACH), *(100 * np.array(mean_interval(acc))))
        for name, acc in val_acc.items()
    },
    "Five seeds each, at each one's best rate",
    "Steps",
    "Validation accuracy in %",
)

# %% [markdown]
# *How to read it:* the line is the mean over the five seeds, the band its 95 % interval by Student's t, which comes
# below. Each network was measured twice, at half of the budget and at its end. Bands that overlap decide nothing: the
# verdict comes from the pairs.
#
# Are steps the right axis? A step of Adam computes more than a step of SGD, and you wait for seconds, not for steps. How
# long does a step of one network take with `torch.optim`?
#
# *Predict before you run:* how many times as long as SGD's is a step of Adam? *(a number)*

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
    + f". Adam's step takes **{ms['Adam'] / ms['SGD']:.1f} times** as long as "
    "SGD's, so in equal *time* SGD may take that many times as many steps. "
    "`fused=True` does Adam's update in one operation, and then it is "
    f"{ms['Adam, fused'] / ms['SGD']:.1f} times. Say which budget you mean."
)

# %% tags=["remove-cell"]
with text_says("all three end far above guessing"):
    at_the_end = {name: acc[:, -1].mean() for name, acc in val_acc.items()}
    assert min(at_the_end.values()) > (0.6 if data.is_stand_in else 0.9)

# %% [markdown]
# ## Schedules
#
# So far the rate has been constant. Must it be? Early on, large steps save time; late, they keep the weights dancing
# around the best place. And in the very first steps, before the weights have found any order, a large step might throw
# the run off for good. Three **schedules** try to answer that, each a *factor* for every step of the budget:
#
# - **warm-up**: rise from almost zero over the first tenth, then stay;
# - **cosine**: fall to zero along half a wave, slow at both ends;
# - **OneCycle**: rise for three tenths of the way, then fall to almost nothing.

# %%
done = np.arange(STEPS_EACH) / STEPS_EACH  # the share of the budget


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

# %% tags=["hide-input"] mystnb={"image": {"alt": "Four schedules against the step: constant, a broad line in the background, stays at one; warm-up rises in a straight line over the first tenth and then stays, cosine falls from one to zero in half a wave, OneCycle rises for three tenths and then falls to zero."}}
LOOKS = {name: style_of(name) for name in SCHEDULES if name != "constant"}
LOOKS["constant"] = {"color": GREY, "linewidth": 5, "alpha": 0.4}
with plt.rc_context(STYLE):
    figure, ax = plt.subplots()
    for name, factors in SCHEDULES.items():
        steps = range(1, STEPS_EACH + 1)
        ax.plot(steps, factors, **LOOKS[name] | {"label": name})
    ax.set(
        title="The learning rate over the budget",
        xlabel="Step",
        ylabel="Factor on the peak rate",
    )
    figure.legend(loc="outside lower center", ncols=2)
    plt.show()

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
# Which is better? By now you know the trap: each schedule has a best peak of its own. So take momentum, and give the
# two schedules that fall two peaks: the best constant rate, and the next one of the grid, at which the constant rate
# failed. Warm-up is there to survive a high rate, so it gets the higher one. Each has the same five seeds as before; the
# constant rate's five runs at the lower peak are there already. The other twenty-five take about 12 seconds on two
# cores. Validation only: this comparison is exploratory.
#
# *Predict before you run:* does a schedule that falls beat the best constant rate? And at the higher peak, which of
# the three keeps all of its five seeds?

# %%
PEAKS = [float(f"{factor * BEST['Momentum']:.2g}") for factor in (1, 10**0.5)]
todo = [
    (peak, name, seed)
    for peak in PEAKS
    for name in ("warm-up", "cosine", "OneCycle")
    for seed in SEEDS
    if (peak, name) != (PEAKS[0], "warm-up")
]
runs_of_schedules = train_together(
    [network(seed) for _, _, seed in todo],
    [loaders[seed] for _, _, seed in todo],
    val_loader,
    "Momentum",
    [peak * SCHEDULES[name] for peak, name, _ in todo],
    epochs=PASSES,
    every=STEPS_EACH,
)
scheduled = {(PEAKS[0], "constant"): val_acc["Momentum"][:, -1]}
for (peak, name, _), history in zip(todo, runs_of_schedules, strict=True):
    scheduled.setdefault((peak, name), []).append(history.val_acc[-1])
# The only run of the constant rate at the higher peak is that of the search.
scheduled[PEAKS[1], "constant"] = [scores["Momentum"].get(PEAKS[1], np.nan)]
scheduled = {key: np.array(acc) for key, acc in scheduled.items()}

# %% tags=["hide-input"] mystnb={"image": {"alt": "Validation error of momentum with four schedules at two peak rates, one dot per seed, on a logarithmic axis. At the lower peak, the dots of cosine and OneCycle lie together below those of the constant rate. At the higher peak, all five of OneCycle stay low, cosine is split between low and the line of guessing, and warm-up is lost."}}
with plt.rc_context(STYLE):
    figure, ax = plt.subplots()
    columns = [
        (peak, name)
        for peak in PEAKS
        for name in SCHEDULES
        if (peak, name) in scheduled
    ]
    for place, (peak, name) in enumerate(columns):
        errors = 1 - scheduled[peak, name]
        x = place + 0.7 * (peak == PEAKS[1])
        color = LOOKS[name]["color"]
        ax.plot(
            x + np.linspace(-0.2, 0.2, len(errors)), errors, "o", color=color
        )
        ax.plot([x - 0.35, x + 0.35], [np.median(errors)] * 2, color=color)
    ax.axhline(0.9, color=GREY, linewidth=1)
    ax.text(-0.4, 0.93, "guessing", va="bottom")
    ax.set(
        yscale="log",
        ylim=(None, 1.4),
        title="Momentum with four schedules, five seeds",
        ylabel="Validation error",
        xlabel=f"Peak rate {PEAKS[0]:g} on the left, {PEAKS[1]:g} on the right",
    )
    ax.set_xticks(
        [k + 0.7 * (peak == PEAKS[1]) for k, (peak, _) in enumerate(columns)],
        [name for _, name in columns],
        rotation=40,
        ha="right",
    )
    plt.show()

# %% [markdown]
# *How to read it:* each dot is one run, the line their median; lower is better. The constant rate has a single run at
# the higher peak.

# %% tags=["hide-input"]
kept = {name: scheduled[PEAKS[1], name] > 0.5 for name in list(SCHEDULES)[1:]}
Markdown(
    f"Validation error at the peak of {PEAKS[0]:g}, five seeds: "
    + ", ".join(
        f"{name} {1 - acc.mean():.1%}"
        for (peak, name), acc in scheduled.items()
        if peak == PEAKS[0]
    )
    + f". At the peak of {PEAKS[1]:g}, more than half right are: "
    + ", ".join(
        f"{alive.sum()} of {len(alive)} runs with {name}"
        for name, alive in kept.items()
    )
    + "."
)

# %% tags=["remove-cell"]
with text_says("at the lower peak, falling schedules beat the constant rate"):
    low = {
        name: acc.mean()
        for (peak, name), acc in scheduled.items()
        if peak == PEAKS[0]
    }
    assert data.is_stand_in or low["cosine"] > low["constant"] + 0.003
    assert data.is_stand_in or low["OneCycle"] > low["constant"] + 0.003
with text_says("at the higher peak OneCycle keeps all five, warm-up does not"):
    assert data.is_stand_in or kept["OneCycle"].all()
    assert data.is_stand_in or not kept["warm-up"].all()

# %% [markdown]
# Two findings. At the best constant rate, the two schedules that fall reach a lower error than the constant rate; one
# explanation is that small late steps let the weights settle. And at the higher peak the rise alone rescues little:
# warm-up ends at the same high rate at which the constant run failed. What holds all five seeds is OneCycle, which rises
# for longer *and* falls; cosine, which begins at the peak, is a matter of luck.
#
# A schedule is also a bet on the length of the run: cosine and OneCycle must know the last step in advance.
#
# ## The verdict
#
# Five pairs give five differences $d$. Their mean is uncertain by
#
# $$t_{n-1}\, \frac{s_d}{\sqrt{n}}$$
#
# to either side, with $s_d$ their standard deviation. The factor $t_{n-1}$ is the 97.5 % quantile of **Student's t**
# with $n - 1$ *degrees of freedom*: the value that only one in forty numbers drawn from this distribution exceeds; as many
# lie below its negative. It is $n - 1$, because the mean comes from the same $n$ numbers. It replaces the 1.96 of
# the normal distribution, because $s_d$ is only estimated, and from few pairs badly. SciPy has it as
# `stdtrit(n - 1, 0.975)`.
#
# *Predict before you run:* how large is it for 2, 5, 10, 30 and 1,000 pairs?

# %%
quantiles = {n: stdtrit(n - 1, 0.975) for n in (2, 5, 10, 30, 1000)}

# %% tags=["hide-input"]
Markdown(
    "| pairs | "
    + " | ".join(f"{n:,}" for n in quantiles)
    + " |\n|---"
    + "|---" * len(quantiles)
    + "|\n| quantile | "
    + " | ".join(f"{t:.2f}" for t in quantiles.values())
    + " |"
)

# %% [markdown]
# **Exercise 5.** *(about 10 minutes, medium)* Write the interval for any number of pairs, from 2 on. It takes two arrays,
# `a` and `b`, with one number per run, and returns the mean of $a - b$ and the two ends of its 95 % interval.


# %%
def paired_interval(a, b):
    """The mean of a - b over pairs, with its 95 % interval: (mean, low, high)."""
    ...  # your code


checks.paired_interval(paired_interval)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# What is left of `a` and `b` once you have their differences? Everything else comes from these.
# </details>
#
# <details>
# <summary>Another hint</summary>
#
# NumPy's `std` divides by $n$ unless it gets `ddof=1`. And which of the numbers in the formula depend on $n$?
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def paired_interval(a, b):
#     from scipy.special import stdtrit  # quantiles of Student's t
#
#     d = np.asarray(a) - np.asarray(b)
#     n = len(d)
#     half_width = stdtrit(n - 1, 0.975) * d.std(ddof=1) / np.sqrt(n)
#     return d.mean(), d.mean() - half_width, d.mean() + half_width
# ```
# </details>
#
# Try it on the schedules first: cosine against the constant rate at its own best, on the validation images.
#
# *Predict before you run:* does the interval contain zero?
#
# - a) yes
# - b) no, cosine is ahead
# - c) no, the constant rate is ahead

# %%
(paired_interval,) = checks.or_solution(paired_interval)
cosine, constant = (
    scheduled[PEAKS[0], "cosine"],
    scheduled[PEAKS[0], "constant"],
)
gain, low, high = paired_interval(cosine, constant)

# %% tags=["hide-input"]
Markdown(
    f"Cosine minus constant at a peak of {PEAKS[0]:g}, {len(SEEDS)} pairs: "
    f"**{100 * gain:+.2f} points**, interval {100 * low:+.2f} to "
    f"{100 * high:+.2f}. "
    + (
        "Zero is outside: **the schedule gains** more than the luck of five "
        "seeds explains, under the assumptions below. It was an exploratory "
        "question, so it deserves an experiment of its own."
        if low > 0
        else "Zero is inside: no difference has been shown."
    )
)

# %% tags=["remove-cell"]
with text_says("the interval is that of `paired_difference`"):
    found = paired_difference(cosine, constant)
    assert np.allclose([gain, low, high], [found.mean, found.low, found.high])
with text_says("the schedule's gain is larger than the luck of five seeds"):
    assert data.is_stand_in or low > 0

# %% [markdown]
# So this is what a difference looks like. Now the primary question, and today's only look at the test set. We keep for
# each network *which* of the images it reads; their share is its accuracy.


# %%
@torch.no_grad()
def hits(model):
    """Which test images a network reads: (N,) booleans."""
    model.eval()
    answers = [model(images).argmax(dim=1) == y for images, y in test_loader]
    return torch.cat(answers).cpu().numpy()


read = {name: [hits(m) for m in five] for name, five in trained.items()}
test_acc = {
    name: np.array([one.mean() for one in five]) for name, five in read.items()
}
primary = paired_interval(test_acc["Adam"], test_acc["SGD"])

# %% tags=["hide-input"]
mean, low, high = (100 * x for x in primary)
Markdown(
    "| seed | "
    + " | ".join(test_acc)
    + " | Adam − SGD |\n|---|---|---|---|---|\n"
    + "\n".join(
        f"| {seed} | "
        + " | ".join(f"{test_acc[name][k]:.2%}" for name in test_acc)
        + f" | {100 * (test_acc['Adam'] - test_acc['SGD'])[k]:+.2f} |"
        for k, seed in enumerate(SEEDS)
    )
    + f"\n\n**Adam minus SGD: {mean:+.2f} points, 95 % interval {low:+.2f} to "
    f"{high:+.2f}.** "
    + (
        "Adam is ahead, for this network, budget, batch size and grid."
        if low > 0
        else "SGD is ahead, for this network, budget, batch size and grid."
        if high < 0
        else "The interval contains zero, so **no difference has been shown**. "
        "That is a result, and it is not *no difference*: the data allow for "
        f"everything from {low:+.1f} to {high:+.1f} points."
    )
)

# %% tags=["remove-cell"]
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

# %% [markdown]
# ### Does pairing help?
#
# Why seed by seed? Both runs of a pair share their weights and their batches. If these make both of them lucky or
# unlucky *together*, the luck cancels in the difference. How far it does depends on the **correlation** $r$ of the two
# columns: 1 if they rise and fall together, 0 if they have nothing to do with each other, −1 if one rises where the other
# falls. With $s_a$ and $s_b$ the standard deviations of the columns,
#
# $$s_d^2 = s_a^2 + s_b^2 - 2\, r\, s_a s_b.$$
#
# Without a correlation nothing cancels, and pairing costs degrees of freedom: $n - 1$ where two separate groups of runs
# have up to $2n - 2$.
#
# *Predict before you run:* how strongly are Adam and SGD correlated over the five seeds? Adam and momentum? Cosine and
# constant?

# %%
exploratory = {
    ("Adam", "SGD"): (test_acc["Adam"], test_acc["SGD"]),
    ("Momentum", "SGD"): (test_acc["Momentum"], test_acc["SGD"]),
    ("Adam", "Momentum"): (test_acc["Adam"], test_acc["Momentum"]),
    ("cosine", "constant"): (cosine, constant),
}
correlation = {
    pair: np.corrcoef(a, b)[0, 1] for pair, (a, b) in exploratory.items()
}


def unpaired_interval(a, b):
    """The same for two separate groups of runs (Welch's interval)."""
    va, vb = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    df = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    half_width = stdtrit(df, 0.975) * np.sqrt(va + vb)
    gap = a.mean() - b.mean()
    return gap, gap - half_width, gap + half_width


# %% tags=["hide-input"]
def as_text(interval):
    return f"{100 * interval[1]:+.2f} to {100 * interval[2]:+.2f}"


def both_intervals(a, b):
    return paired_interval(a, b), unpaired_interval(a, b)


widths = {
    pair: [np.ptp(interval[1:]) for interval in both_intervals(a, b)]
    for pair, (a, b) in exploratory.items()
}
helped = [pair for pair, (paired, not_) in widths.items() if paired < not_]
disagree = [
    " − ".join(pair)
    for pair, (a, b) in exploratory.items()
    if len({low <= 0 <= high for _, low, high in both_intervals(a, b)}) > 1
]
Markdown(
    "| difference | points | correlation | interval, paired | not paired |\n"
    "|---|---|---|---|---|\n"
    + "\n".join(
        f"| {' − '.join(pair)} | {100 * (a.mean() - b.mean()):+.2f} "
        f"| {correlation[pair]:+.2f} | {as_text(paired_interval(a, b))} "
        f"| {as_text(unpaired_interval(a, b))} |"
        for pair, (a, b) in exploratory.items()
    )
    + "\n\nPairing makes the interval narrower for "
    + (", ".join(" − ".join(pair) for pair in helped) or "none of them")
    + ", and wider for "
    + (
        ", ".join(" − ".join(pair) for pair in widths if pair not in helped)
        or "none of them"
    )
    + f". A correlation from {len(SEEDS)} pairs is itself uncertain."
    + (
        "\n\nThe two intervals disagree about zero for "
        + ", ".join(disagree)
        + ". The primary question named pairs before the runs, so the paired "
        "one counts: if you choose between two intervals after seeing both, "
        "you choose the answer."
    )
    * bool(disagree)
)

# %% tags=["remove-cell"]
with text_says("the correlation decides what pairing gains"):
    for pair, (a, b) in exploratory.items():
        sa, sb = a.std(ddof=1), b.std(ddof=1)
        variance = sa**2 + sb**2 - 2 * correlation[pair] * sa * sb
        assert np.isclose(variance, (a - b).var(ddof=1))
with text_says("pairing does not always make the interval narrower"):
    assert data.is_stand_in or len(helped) < len(widths)

# %% tags=["hide-input"] mystnb={"image": {"alt": "Four rows of differences in points with a vertical line at zero: Adam minus SGD, Momentum minus SGD, Adam minus Momentum and cosine minus constant. Each row has five dots, one per seed, their mean and its interval. The interval of cosine minus constant lies to the right of zero; that of Adam minus SGD is the widest."}}
with plt.rc_context(STYLE):
    figure, ax = plt.subplots(figsize=(5.2, 3.4))
    for row, (pair, (a, b)) in enumerate(exploratory.items()):
        mean, low, high = (100 * x for x in paired_interval(a, b))
        ax.plot(100 * (a - b), [row - 0.2] * len(a), "o", color=GREY, alpha=0.6)
        ax.errorbar(
            mean,
            row,
            xerr=[[mean - low], [high - mean]],
            **{"fmt": "D", "linewidth": 2.5}
            | {"color": style_of(pair[0])["color"]},
        )
    ax.axvline(0, color=GREY, linewidth=2.5)
    ax.set_yticks(
        range(len(exploratory)), [" − ".join(pair) for pair in exploratory]
    )
    ax.invert_yaxis()
    ax.grid(axis="x")
    ax.grid(visible=False, axis="y")
    ax.set(title="Differences of pairs, with 95 % intervals", xlabel="Points")
    plt.show()

# %% [markdown]
# *How to read it:* each grey dot is one pair of runs; the diamond is their mean, the bar its interval. A bar that
# crosses the line at zero has shown no difference. The first row is the primary question, on test images; the last row
# is on validation images.
#
# So pairing *can* cancel luck. Whether it does is not known beforehand, and it is never a reason to leave it out: sharing
# the weights and the batches also makes sure that nothing but the optimizer differs.
#
# ### What five seeds can show
#
# The interval assumes that the pairs are independent and that their differences are roughly **normally distributed**,
# in a bell curve. Five numbers cannot confirm that. One unlucky seed can set the width by itself: look at the dots. A test without the
# assumption is the *sign test*, which only counts how often Adam is ahead.
#
# An experiment can also miss a difference that exists. The chance that it shows one of a given size is its **power**;
# four in five is usual. More pairs give more power, because the interval shrinks.
#
# *Predict before you run:* suppose that all five pairs point the same way. If each were a coin, how likely would that be,
# either way? And how many pairs would it take to show, with the usual power, a difference as large as the one that was
# measured?

# %%
smallest = 2 / 2 ** len(SEEDS)  # five heads or five tails


def pairs_needed(spread, difference):
    """Pairs for a power of 80 %, about."""
    n = 2
    while True:  # half the interval, and room for a mean that is too small
        quantiles = stdtrit(n - 1, 0.975) + stdtrit(n - 1, 0.8)
        if quantiles * spread <= difference * math.sqrt(n):
            return n
        n += 1


spreads = {pair: (a - b).std(ddof=1) for pair, (a, b) in exploratory.items()}
measured = abs(primary[0])
sizes = (measured, 0.005, 0.0025)

# %% tags=["hide-input"]
Markdown(
    f"The sign test cannot give less than **{smallest:.4f}** from five pairs: "
    "too much for the usual 0.05, even if all five agree. From six it can.\n\n"
    "Pairs needed to show a true difference of\n\n| difference | spread of the pairs | "
    + " | ".join(f"{100 * size:.2f} points" for size in sizes)
    + " |\n|---|---"
    + "|---" * len(sizes)
    + "|\n"
    + "\n".join(
        f"| {' − '.join(pair)} | {100 * spread:.2f} points | "
        + " | ".join(f"{pairs_needed(spread, size):,}" for size in sizes)
        + " |"
        for pair, spread in spreads.items()
    )
    + "\n\nThe first column of sizes is the primary difference as it was "
    "measured. The numbers hold if the spread is what these five pairs say, and "
    "that is a rough guess."
)

# %% tags=["remove-cell"]
with text_says("five pairs are too few for the sign test, six are enough"):
    assert 2 / 2**6 < 0.05 < smallest
with text_says("half the difference takes about four times as many pairs"):
    for spread in spreads.values():
        many, more = (pairs_needed(spread, spread / k) for k in (5, 10))
        assert 3.5 < more / many < 4.5

# %% [markdown]
# Half the difference takes about four times as many pairs. So decide beforehand which difference would matter to you,
# and whether you can pay for it. Adding seeds *after* a look at the interval, until zero is outside, is not allowed: if
# you look often enough, you will see a difference where there is none.
#
# ### Two networks, or two optimizers?
#
# Suppose you have trained two networks, and want to install one of them. Is *this* one better than *that* one, on images
# like these? Yesterday's **McNemar's test** answers it. Both have read the same test images; most are read by both, or by
# neither, and say nothing. What counts is where the two disagree. If they were equally good, each disagreement would be
# the toss of a fair coin. With $k$ the smaller of the two counts and $n$ their sum, a coin is at least as one-sided, in
# either direction, with the probability
#
# $$p = \min\left(1,\; 2 \sum_{i=0}^{k} \binom{n}{i}\, 2^{-n}\right).$$
#
# **Exercise 6.** *(about 10 minutes, medium)* Write the test, exactly and without an approximation. `hits_a` and `hits_b` are
# Boolean arrays, one entry per image. `math.comb(n, i)` is the binomial coefficient.


# %%
def mcnemar(hits_a, hits_b):
    """Images that only a reads, that only b reads, and p: (only_a, only_b, p)."""
    ...  # your code


checks.mcnemar(mcnemar)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# `a & ~b` is True where `a` is and `b` is not.
# </details>
#
# <details>
# <summary>Another hint</summary>
#
# The accuracies do not occur in the formula, nor does the number of images. What is the largest value that twice the sum
# can have?
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def mcnemar(hits_a, hits_b):
#     only_a = int((hits_a & ~hits_b).sum())
#     only_b = int((hits_b & ~hits_a).sum())
#
#     # If the networks were equally good, each disagreement would be a fair coin.
#     n = only_a + only_b
#     at_most = sum(math.comb(n, k) for k in range(min(only_a, only_b) + 1)) / 2**n
#     return only_a, only_b, min(1, 2 * at_most)  # both sides
# ```
# </details>
#
# *Predict before you run:* for how many of the five seeds does McNemar's test tell Adam's network from SGD's?
# *(a number)*

# %%
(mcnemar,) = checks.or_solution(mcnemar)
duels = [mcnemar(a, b) for a, b in zip(read["Adam"], read["SGD"], strict=True)]

# %% tags=["hide-input"]
told_apart = sum(p < 0.05 for *_, p in duels)
Markdown(
    "| seed | only Adam's is right | only SGD's | p |\n|---|---|---|---|\n"
    + "\n".join(
        f"| {seed} | {only_adam} | {only_sgd} | {p:.1g} |"
        for seed, (only_adam, only_sgd, p) in zip(SEEDS, duels, strict=True)
    )
    + f"\n\nWith p below 0.05: **{told_apart} of {len(SEEDS)} pairs of networks**. "
    "The interval for the *optimizers* runs from "
    f"{100 * primary[1]:+.2f} to {100 * primary[2]:+.2f} points."
)

# %% tags=["remove-cell"]
with text_says("the counts and p are those of the package's `mcnemar`"):
    for (only_a, only_b, p), a, b in zip(
        duels, read["Adam"], read["SGD"], strict=True
    ):
        test = package_mcnemar(a, b)
        assert (only_a, only_b) == (test.only_first, test.only_second)
        assert np.isclose(p, test.p)
with text_says("some networks can be told apart by McNemar's test"):
    assert data.is_stand_in or told_apart > 0

# %% [markdown]
# These are two questions. McNemar's test compares two *networks*, and its luck is the choice of the images: with many
# test images, even a small difference between two networks is plain. The interval over seeds compares two *optimizers*,
# and its luck is that of a training run: would the next pair come out the same way? A test over images cannot answer
# that, however small its $p$. And neither of them covers what all runs shared: the training images, the budget, the
# network.
#
# ### More seeds, or more test images?
#
# Which luck is larger? Take the table of hits of each optimizer, with one row per seed and one column per image, and
# subtract the two. The means of the rows vary with the seeds, the means of the columns with the images. Either way, the
# standard deviation of these means, divided by the root of their number, is a standard error of the mean difference.
#
# *Predict before you run:* which of the two standard errors is larger with all test images, and which with every 25th?
#
# - a) that of the seeds, both times
# - b) that of the images, both times
# - c) that of the seeds with all images, that of the images with few


# %%
def standard_errors(hits_a, hits_b):
    """Of the mean difference: from the seeds, and from the images."""
    gap = np.array(hits_a, dtype=float) - np.array(hits_b, dtype=float)
    return [
        means.std(ddof=1) / math.sqrt(len(means))
        for means in (gap.mean(axis=1), gap.mean(axis=0))
    ]


tables = [np.array(read[name]) for name in ("Adam", "SGD")]
lucks = {
    tables[0][:, ::every].shape[1]: standard_errors(
        *(table[:, ::every] for table in tables)
    )
    for every in (1, 25)
}

# %% tags=["hide-input"]
Markdown(
    "Standard error of *Adam minus SGD*, in points:\n\n"
    "| test images | from the seeds | from the images |\n|---|---|---|\n"
    + "\n".join(
        f"| {n:,} | {100 * seeds:.2f} | {100 * images:.2f} |"
        for n, (seeds, images) in lucks.items()
    )
)

# %% tags=["remove-cell"]
with text_says("with all of MNIST the seeds limit, with few images these too"):
    (seeds_all, images_all), (_, images_few) = lucks.values()
    assert data.is_stand_in or images_all < seeds_all / 2
    assert data.is_stand_in or images_few > 3 * images_all

# %% [markdown]
# With all of MNIST the seeds limit the answer: more test images would hardly sharpen it, more seeds would. With every 25th
# image both errors grow: the images weigh about five times as much, and each seed is measured on fewer of them. More
# seeds reduce the error from the seeds only. So spend your effort on the larger of the two.
#
# Before you quote such a table:
#
# - **The budget decides.** An optimizer that is ahead on a short budget need not be on a long one, and a finer search may
#   change the order. Published rankings have turned around with the effort spent on tuning; see *Read more*.
# - **A best rate can lie next to one that no longer learns.** Then one seed with bad luck can cost much. Look at the
#   single rows, not only at their mean.
#
# So what should you use? Where no difference has been shown, choose by what does differ: Adam's state takes twice as much
# memory as momentum's, its step takes longer, and its usual rate is a good first guess for many networks. And the
# schedule that falls is the clearest lead of the day: it is the primary question of the next experiment.
#
# ## A script of your own
#
# Everything so far used the course's package. Below is the entire experiment without it, as you would write it at home:
# data, training with a schedule, a search with two seeds per rate, new seeds in pairs, an interval. To finish in
# seconds it uses scikit-learn's 1,797 small digits, and compares SGD with momentum and AdamW. Save it as `compare.py`
# and run it with `python compare.py`; it needs PyTorch and scikit-learn only.
#
# *Predict before you run:* does this interval contain zero?
#
# - a) yes
# - b) no, AdamW is ahead
# - c) no, SGD is ahead

# %%
# compare.py: SGD with momentum against AdamW, on small digits
import numpy as np
import torch
from scipy.special import stdtrit
from sklearn.datasets import load_digits
from torch import nn

GRID = {
    "SGD": [0.003, 0.01, 0.03, 0.1, 0.3, 1.0],
    "AdamW": [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1],
}
N_EPOCHS, BATCH = 5, 64
torch.set_num_threads(1)

# Three sets; mean and deviation come from the training set alone.
digits = load_digits()  # 1,797 images of 8 by 8, 0 to 16
order = np.random.default_rng(0).permutation(len(digits.data))
X = torch.tensor(digits.data[order], dtype=torch.float32)  # not NumPy's 64 bits
y = torch.tensor(digits.target[order])
train, val, test = slice(0, 1000), slice(1000, 1400), slice(1400, None)
X = (X - X[train].mean()) / X[train].std()


def fit(name, rate, seed):
    torch.manual_seed(seed)  # the weights, then the order of the batches
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    if name == "SGD":
        optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    else:
        optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    images, labels, criterion = X[train], y[train], nn.CrossEntropyLoss()
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, T_max=N_EPOCHS * -(-len(images) // BATCH)
    )  # T_max counts calls of scheduler.step(): one per batch
    for _ in range(N_EPOCHS):
        for batch in torch.randperm(len(images)).split(BATCH):
            loss = criterion(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
    return model


@torch.no_grad()
def correct(model, part):
    return (model(X[part]).argmax(dim=1) == y[part]).numpy()


best = {}
for name, rates in GRID.items():
    val_means = [
        np.mean([correct(fit(name, rate, seed), val) for seed in (100, 101)])
        for rate in rates
    ]
    place = int(np.argmax(val_means))
    best[name] = rates[place]
    at_the_end = "; widen the grid" if place in (0, len(rates) - 1) else ""
    print(f"{name}: best rate {rates[place]:g}{at_the_end}")

answers = {  # (8, test images), True where right
    name: np.array([correct(fit(name, best[name], k), test) for k in range(8)])
    for name in GRID
}
d = answers["AdamW"].mean(axis=1) - answers["SGD"].mean(axis=1)
half = stdtrit(len(d) - 1, 0.975) * d.std(ddof=1) / np.sqrt(len(d))
print(f"AdamW - SGD on {len(y[test])} test images, {len(d)} pairs of seeds:")
print(
    f"{100 * d.mean():+.2f} points, 95 % interval "
    f"{100 * (d.mean() - half):+.2f} to {100 * (d.mean() + half):+.2f}"
)

# %% [markdown]
# On so few test images, one image is a quarter of a point. And the interval covers the choice of the seeds only.
#
# *Predict before you run:* what would sharpen this answer more?
#
# - a) four times as many seeds
# - b) four times as many test images

# %%
script_errors = standard_errors(answers["AdamW"], answers["SGD"])
print("Standard error in points, from the seeds and from the images:")
print(*(f"{100 * error:.2f}" for error in script_errors))

# %% tags=["remove-cell"]
with text_says("the script's test images are the larger luck"):
    assert script_errors[1] > script_errors[0]

# %% [markdown]
# Here the images limit: the interval is narrower than the answer deserves. Where there are no further images, let every
# seed draw the three sets again. Then the differences vary with the images as well, though not quite as much as with new
# ones, because the sets of different seeds overlap.
#
# **Now on your own.** Port the script to Fashion-MNIST, 70,000 pictures of clothes in ten classes. Which optimizer
# wins there? Write down your primary question and the smallest difference that would matter to you before you run it.
# Take 6,000 training images if you are short of time, and a grid of your own. At the end you should be able to say: the
# mean difference, its interval, the number of pairs, what was searched for each, what the interval does not
# cover, and whether seeds or images limit the answer.
#
# <details>
# <summary>How to get the pictures</summary>
#
# ```python
# from torchvision.datasets import FashionMNIST
#
# try:
#     both = [FashionMNIST("data", train=part, download=True) for part in (True, False)]
#     X = torch.cat([one.data for one in both]).flatten(1).float()  # (70000, 784), 0 to 255
#     y = torch.cat([one.targets for one in both])
# except (OSError, RuntimeError) as error:
#     print("Fashion-MNIST is not available:", error)
#     print("Stay with the digits, and try two hidden layers instead of one.")
# ```
#
# The last 10,000 are the test set: do not shuffle them into the others.
# </details>
#
# ## Check yourself
#
# **1.** A blog post compares SGD and Adam, both at a learning rate of 0.001, and finds Adam far ahead. What do you
# think?
#
# - a) Adam is better, as everybody knows, and the post confirms it with numbers of its own.
# - b) The comparison is fair, because both have the same rate and nothing else was changed.
# - c) The comparison is unfair: that is a usual rate for Adam and a tiny one for SGD.
#
# <details>
# <summary>Answer</summary>
#
# **c.** For Adam the rate is about the length of a step, for SGD a factor on the gradient. Give each its best.
# a) It may even be true, but this does not show it.
# b) An equal number is not an equal chance.
# </details>
#
# **2.** You forget both bias corrections in Adam. What happens in the first steps?
#
# - a) They are too long, because $v$ is further from its true size than $m$.
# - b) They are too short, because $m$ starts at zero and has only a tenth of the gradient.
# - c) Nothing, because both start at zero and so the error cancels in the quotient.
#
# <details>
# <summary>Answer</summary>
#
# **a.** $v$ recovers far more slowly than $m$, and it is below the line. The table above shows how much longer.
# b) That is true of $m$ alone, and would be right if only $v$ were corrected.
# c) The two recover at different speeds, so nothing cancels.
# </details>
#
# **3.** You create both models with `MNISTMLP()` after one `set_seed(42)`. Do they start equal?
#
# - a) Yes, the seed was set.
# - b) No: the second model takes the next numbers of the sequence.
# - c) Only on a CPU, where the order of the operations is fixed.
#
# <details>
# <summary>Answer</summary>
#
# **b.** A seed fixes a *sequence* of numbers. Set it again, or pass a seed, before each model.
# a) It holds for the first model only.
# c) It is the same on every device.
# </details>
#
# **4.** You try five rates for momentum, and the highest one is the best. What do you report?
#
# - a) That rate, since it was the best of those that you tried.
# - b) The second highest, to be on the safe side of the rates that no longer learn.
# - c) Nothing yet: try higher ones.
#
# <details>
# <summary>Answer</summary>
#
# **c.** At the end of a grid the search has shown a direction, not a best rate. Widen the grid until the best one has
# worse neighbours on both sides.
# a) Nothing beyond it was tried, so a better one may lie there.
# b) It is worse than the highest on the only evidence there is.
# </details>
#
# **5.** The interval for "Adam minus SGD" runs from a little below zero to well above it. Which sentence may you write?
#
# - a) Adam and SGD are equally good, because zero is one of the values in the interval.
# - b) No difference has been shown; the data allow for a clear lead of Adam's.
# - c) Adam is better, since most of the interval is above zero.
#
# <details>
# <summary>Answer</summary>
#
# **b.** Both halves belong to it: zero is possible, and so is a clear difference.
# a) Not shown is not the same as shown to be zero.
# c) The rule was fixed beforehand, and by that rule an interval with zero in it decides nothing.
# </details>
#
# **6.** Two runs of each pair share weights and batches. When is the paired interval narrower than the one for separate
# groups?
#
# - a) Always, because what the two runs share cancels in their difference.
# - b) Never for five pairs, because pairing costs degrees of freedom.
# - c) If what they share makes both lucky or unlucky together.
#
# <details>
# <summary>Answer</summary>
#
# **c.** That is a positive correlation, and it must be large enough to make up for the lost degrees of freedom.
# a) Sharing the weights does not mean sharing the luck, as the correlations above show.
# b) With a strong correlation, even five pairs gain far more than they lose.
# </details>
#
# **7.** You add $\lambda w$ to the gradient and call `torch.optim.Adam`. Is that AdamW?
#
# - a) No: what is added to the gradient is divided by $\sqrt{\hat v}$ with it.
# - b) Yes, weight decay is the gradient of a squared norm, so both add the same term.
# - c) Yes, if $\lambda$ is small enough.
#
# <details>
# <summary>Answer</summary>
#
# **a.** So it hardly reaches weights with large gradients. AdamW takes the decay out of the gradient, and every weight
# shrinks by the same fraction.
# b) In plain SGD the two are the same; in Adam the division separates them.
# c) The division works on small numbers just as well.
# </details>
#
# **8.** McNemar's test tells Adam's network from SGD's, with a tiny $p$. What has been shown?
#
# - a) Adam is the better optimizer for networks and data like these.
# - b) One of these two networks reads such images better.
# - c) The next pair of runs will come out the same way, because $p$ is so small.
#
# <details>
# <summary>Answer</summary>
#
# **b.** The test compares two given networks, over the choice of the images.
# a) For that you need several pairs of runs, and an interval over them.
# c) It has seen one run of each, so it knows nothing of how runs vary.
# </details>
#
# **9.** For each optimizer you keep the epoch with the highest validation accuracy, and report that accuracy. What is wrong
# with it?
#
# - a) Nothing, because both optimizers were treated alike and no test image was used.
# - b) The best of many epochs is partly luck, so the number is too good.
# - c) Early stopping makes the comparison unfair, because the runs end after different numbers of steps.
#
# <details>
# <summary>Answer</summary>
#
# **b.** A number that was used for choosing is no longer a fair measurement: report the test accuracy of the chosen epoch.
# a) The comparison may be fair, but the reported numbers are still too high.
# c) That is allowed if the same rule and the same largest budget hold for both.
# </details>
#
# ## Summary
#
# | what | SGD | momentum | Adam |
# |---|---|---|---|
# | step | $w - \eta\, g$ | $w - \eta\, v$ | $w - \eta\, \hat m / (\sqrt{\hat v} + \epsilon)$ |
# | state, per weight | none | $v$ | $m$ and $v$ |
# | learning rate is | a factor | a factor on a sum | about a length |
# | in a narrow valley | bounces and creeps | rolls along it | rescales the axes |
# | usual first guess | 0.1 | 0.01 | 0.001 |
#
# | a fair comparison | what |
# |---|---|
# | asks | one primary question, before the runs |
# | shares | weights, split, batches, budget |
# | gives each | its own log grid of equal size; no best rate at the end |
# | repeats | over new seeds, in pairs |
# | decides | by an interval: mean difference $\pm\, t_{n-1}\, s_d / \sqrt{n}$; it may say *no difference shown* |
# | says | what the interval covers: seeds, or images |
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
# - McNemar (1947), [Note on the sampling error of the difference between correlated proportions](https://doi.org/10.1007/BF02295996).
# - Raschka (2018), [Model evaluation, model selection, and algorithm selection](https://arxiv.org/abs/1811.12808), with McNemar's test and paired intervals.
# - Smith and Topin (2018), [Super-convergence](https://arxiv.org/abs/1708.07120), where OneCycle comes from.
# - PyTorch, [model ensembling](https://docs.pytorch.org/tutorials/intermediate/ensembling.html) with `torch.func`.
