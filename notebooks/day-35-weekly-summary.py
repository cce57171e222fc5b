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
# Six days, many numbers. Today you gather them, fill the results snapshot that the week began with, and write the page
# that you would show somebody: what was built, what was measured, what was learnt.
#
# **You will be able to**
#
# - collect results that several notebooks measured, and complete what is missing;
# - state what each result says, and what it does not;
# - write a short report whose numbers cannot be wrong, because nobody typed them;
# - choose what to try next, and say what you expect of it.
#
# **Time** about 30 minutes: gathering 5, snapshot 10, report 10, next ideas 5.
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
# - A run that is logged can be looked at while it goes on, and long after.
# - Training and validation belong on one x-axis: steps taken.
# - Event files are data: read them back and draw what you need.

# %%
from pathlib import Path

import numpy as np
from IPython.display import Markdown

from nnweek import results
from nnweek.experiments import (
    accuracy_interval,
    train_baseline,
    train_model_with_optimizer,
)
from nnweek.gradcheck import grad_check
from nnweek.mnist import load_mnist, make_loaders
from nnweek.runtime import get_device
from nnweek.scratch import TwoLayerMLP, train_numpy
from nnweek.toy import make_toy_data

SEED = 42
device = get_device()
data = load_mnist()

# %% [markdown]
# ## Gather, and complete
#
# Each day has left its results in one file. Below stands, for each of them, how it is measured. What the file does not
# have is measured now, in the same way and from the same seed as on its day.


# %%
def measure_gradient_check():
    X, y = make_toy_data(80)
    return grad_check(
        TwoLayerMLP(2, 5, 2, weight_scale=1e-2), X[::32], y[::32]
    )[0]


def measure_activations():
    X, y = make_toy_data(80)
    return {
        activation: train_numpy(
            TwoLayerMLP(2, 16, 2, activation, weight_scale=0.1, seed=SEED),
            X,
            y,
            lr=0.3,
            epochs=150,
            verbose=False,
        )[-1]
        for activation in ["relu", "sigmoid"]
    }


def measure_baseline():
    return train_baseline(
        data, epochs=5, lr=0.1, seed=SEED, device=device
    ).test_acc


def measure_optimizers():
    train_loader, val_loader, _ = make_loaders(data, seed=SEED, device=device)
    return {
        name: train_model_with_optimizer(
            name,
            5,
            lr,
            train_loader=train_loader,
            val_loader=val_loader,
            seed=SEED,
        )[2][-1]
        for name, lr in [("SGD", 0.1), ("Adam", 0.001)]
    }


MEASUREMENTS = {
    "gradient_check_max_error": (29, "toy", measure_gradient_check),
    "activation_final_loss": (30, "toy", measure_activations),
    "baseline_test_accuracy": (32, data.name, measure_baseline),
    "optimizer_validation_accuracy": (33, data.name, measure_optimizers),
}

week = {}
for name, (day, dataset, measure) in MEASUREMENTS.items():
    found = results.recorded(dataset)
    if name in found:
        week[name] = found[name]["value"]
        print(f"Day {day}: {name} was recorded on {found[name]['time'][:10]}")
    else:
        week[name] = measure()
        results.record(name, week[name], dataset=dataset, day=day)
        print(f"Day {day}: {name} measured now")

# %% [markdown]
# ## Results snapshot
#
# The week began with blanks. Here they are, filled.

# %%
baseline, optimizers = (
    week["baseline_test_accuracy"],
    week["optimizer_validation_accuracy"],
)
activations = week["activation_final_loss"]
exponent = int(np.ceil(np.log10(week["gradient_check_max_error"])))
low, high = accuracy_interval(baseline, len(data.test_labels))
faster = min(activations, key=activations.get)
ahead = max(optimizers, key=optimizers.get)
gap = 100 * abs(optimizers["SGD"] - optimizers["Adam"])

snapshot = f"""\
- **{data.name}, test accuracy of the baseline MLP:** {baseline:.2%}
  (95 % interval {low:.2%} to {high:.2%})
- **SGD and Adam, validation accuracy after 5 epochs:**
  SGD {optimizers["SGD"]:.2%}, Adam {optimizers["Adam"]:.2%}
- **Key learnings:**
  - The backpropagation formulas agree with finite differences: the largest
    relative error is below 1e{exponent}.
  - On the toy data, with the same start and rate, {faster} ends at the lower
    loss: {activations["relu"]:.4f} with relu,
    {activations["sigmoid"]:.4f} with sigmoid.
  - From the same weights and batches, {ahead} is {gap:.2f} points ahead after
    5 epochs; one seed does not tell whether that would last.
  - Logged on one axis of steps, training and validation loss show when
    learning stops carrying over to other images.
"""
Markdown(snapshot)

# %% tags=["remove-cell"]
assert week["gradient_check_max_error"] < 1e-6
assert activations["relu"] < activations["sigmoid"]
assert (
    (0.5 if data.is_stand_in else 0.973)
    <= baseline
    <= (1.0 if data.is_stand_in else 0.982)
)
assert "__" not in snapshot, "a blank was left"

# %% [markdown]
# Read each line again and ask what it does *not* say. The interval speaks of other test images, not of other seeds. The
# comparison of optimizers holds for these two rates. The comparison of activations holds for one small task.
#
# ## Your README
#
# A result that nobody can find is lost. This writes the snapshot to a file that you can commit to your own repository.
# Change the text around it; leave the numbers to the cell.

# %%
report = f"""\
# Week 5 – Neural networks

A two-layer network in NumPy with checked gradients, and a multilayer perceptron
(784-256-256-10) in PyTorch, trained on handwritten digits.

## Results

{snapshot}
## How it was measured

Data: {data.name}, {len(data.train_labels):,} training images of which a tenth is
kept for validation, {len(data.test_labels):,} test images used once. Seed {SEED},
batches of 128, normalised pixels. Learning rate 0.1 for SGD, 0.001 for Adam.
"""
path = Path("my-week-5.md")
path.write_text(report, encoding="utf-8")
print(f"written: {path} ({len(report.splitlines())} lines)")

# %% [markdown]
# ## Next ideas
#
# Four things are worth trying next. Before you try one, write down what you expect: a surprise is only a surprise if
# you had a prediction.
#
# | idea | what it changes | what to expect, and why |
# |---|---|---|
# | BatchNorm, Dropout | normalises hidden values; drops units at random in training | faster or steadier training; less learning by heart |
# | a small convolutional network | looks for the same stroke everywhere | fewer mistakes with fewer parameters: pixels have neighbours |
# | schedules, OneCycle | changes the learning rate during the run | a better end from the same number of steps |
# | data augmentation | shifts and turns the training images | less learning by heart, at the price of slower epochs |
#
# ## Check yourself
#
# **1.** Your friend's network has a test accuracy 0.1 points above yours, on 10,000 images. Is it better?
#
# - a) Yes.
# - b) That is ten images; neither the images nor the seed let you say.
# - c) No, yours is.
#
# <details>
# <summary>Answer</summary>
#
# **b.** At such accuracies the interval is about three tenths of a point to either side, and another seed moves the
# result, too.
# a) and c) claim more than the number holds.
# </details>
#
# **2.** Why does the report say how its numbers were measured?
#
# - a) So that somebody else gets the same numbers.
# - b) Because reports have such a section.
#
# <details>
# <summary>Answer</summary>
#
# **a.** Seed, batch size, rate, split: change one, and the numbers change.
# b) is how such sections come to say nothing.
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
# | 33 | a comparison of optimizers | share everything but what you compare |
# | 34 | a logged run | one honest x-axis |
# | 35 | a report | no number typed by hand |
#
# ## Read more
#
# - Andrej Karpathy, [A recipe for training neural networks](https://karpathy.github.io/2019/04/25/recipe/).
# - Zhang, Lipton, Li and Smola, [Dive into Deep Learning](https://d2l.ai/), for where to go from here.
