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
# All week the step has been the same: against the gradient, times a learning rate. Adam does something cleverer, and
# almost everybody uses it. Is it better? Today you find out for this network, and learn how easy it is to compare two
# optimizers unfairly.
#
# **You will be able to**
#
# - write the step of SGD and the step of Adam, and say what each part of Adam's does;
# - make two training runs differ in the optimizer and in nothing else, and *prove* it;
# - read two runs from one figure;
# - say what a comparison of two single runs can show, and what it cannot.
#
# **Time** about 45 minutes: two steps 15, a fair start 10, the runs 10, the verdict 10.
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
# - Before training: loss at $\log 10$, one batch learnt by heart.
# - An accuracy needs an interval; another seed moves it, too.

# %%
import torch
from IPython.display import Markdown
from torch import nn

from nnweek import results
from nnweek.experiments import accuracy_interval
from nnweek.mnist import load_mnist, make_loaders
from nnweek.models import MNISTMLP
from nnweek.plots import plot_curves
from nnweek.runtime import get_device
from nnweek.training import evaluate, train_one_epoch

SEED = 42
device = get_device()
data = load_mnist()

# %% [markdown]
# ## Two ways to take a step
#
# Let $g$ be the gradient of one weight $w$. **SGD** walks against it:
#
# $$w \leftarrow w - \eta\, g$$
#
# Picture a long narrow valley. Across it the slope is steep, along it gentle. A rate that suits the gentle direction
# makes SGD bounce between the walls; a rate that suits the steep one lets it crawl.
#
# **Adam** gives every weight a rate of its own. It keeps a running mean of the gradient, $m$, and of its square, $v$,
# and divides one by the root of the other:
#
# $$m \leftarrow \beta_1 m + (1 - \beta_1)\, g \qquad v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2$$
#
# $$w \leftarrow w - \eta\, \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}$$
#
# The root makes the size of the gradient cancel: a weight whose gradients are always tiny moves about as far as one
# whose gradients are huge. The two denominators with $t$, the number of the step, correct a bias: $m$ and $v$ start at
# zero, and without the correction the first steps would be out of proportion.
#
# *Predict:* how far does Adam move a weight in its very first step, if the gradient is $0.001$? And if it is $1000$?


# %%
def adam_step(w, g, m, v, t, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return w - lr * m_hat / (v_hat**0.5 + eps), m, v


rows = []
for gradient in [0.001, 1.0, 1000.0]:
    by_hand, _, _ = adam_step(w=0.0, g=gradient, m=0.0, v=0.0, t=1)
    w = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    w.grad = torch.tensor([gradient], dtype=torch.float64)
    torch.optim.Adam([w], lr=0.001).step()
    rows.append((gradient, by_hand, w.item()))
Markdown(
    "| gradient | by hand | `torch.optim.Adam` |\n|---|---|---|\n"
    + "\n".join(
        f"| {g:g} | {ours:.9f} | {theirs:.9f} |" for g, ours, theirs in rows
    )
)

# %% tags=["remove-cell"]
assert all(abs(ours - theirs) < 1e-12 for _, ours, theirs in rows)
assert all(abs(ours + 0.001) < 1e-7 for _, ours, _ in rows)

# %% [markdown]
# Adam's first step is the learning rate, whatever the gradient. So its learning rate is a *length*, and SGD's is a
# *factor*: the same number means different things to them, and comparing them at one common rate would be unfair.
#
# ## A fair start
#
# Two runs are to differ in the optimizer alone. What else could differ? The initial weights, the split into training
# and validation images, and the order of the batches. All three must come from a seed that both runs share. Do not
# believe it; look.


# %%
def first_batches(seed, count=3):
    loader, _, _ = make_loaders(data, seed=seed, device=device)
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
assert same_weights
assert same_batches

# %% [markdown]
# Calling `MNISTMLP()` twice without a seed would give two different networks, because each call draws new numbers. Two
# runs that are meant to be identical then start from different places, and nobody can say what the difference at the
# end is due to.
#
# ## The runs
#
# The function below is all there is to a run. It starts a fresh network and fresh loaders from the seed, so that calling
# it again changes nothing but what you ask for.


# %%
def run(optimizer_name, epochs, lr):
    train_loader, val_loader, _ = make_loaders(data, seed=SEED, device=device)
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
# The package has the same function as `train_model_with_optimizer`, which Day 35 uses. Now both optimizers, each at a rate
# that is usual for it.

# %%
EPOCHS = 5
RATES = {"SGD": 0.1, "Adam": 0.001}
runs = {name: run(name, EPOCHS, lr) for name, lr in RATES.items()}

# %% mystnb={"image": {"alt": "Training loss of SGD and Adam over five epochs on shared axes; both fall, Adam's is the lower after the first epoch."}}
plot_curves(
    {name: train_losses for name, (train_losses, _, _) in runs.items()},
    "Training loss, same weights and same batches",
    "Epoch",
    "Loss",
)

# %% mystnb={"image": {"alt": "Validation loss of SGD and Adam over five epochs on shared axes; both fall in the first epochs."}}
plot_curves(
    {name: val_losses for name, (_, val_losses, _) in runs.items()},
    "Validation loss, same weights and same batches",
    "Epoch",
    "Loss",
)

# %% mystnb={"image": {"alt": "Validation accuracy of SGD and Adam over five epochs on shared axes; both rise quickly and end close together."}}
plot_curves(
    {name: val_accs for name, (_, _, val_accs) in runs.items()},
    "Validation accuracy, same weights and same batches",
    "Epoch",
    "Accuracy",
)

# %% [markdown]
# *How to read them:* each figure holds both runs on the same axes, so heights can be compared directly. Look at the
# first epoch for speed, and at the last for where it leads.
#
# ## The verdict
#
# Which is better after five epochs? Put the difference beside its uncertainty.

# %%
final = {name: val_accs[-1] for name, (_, _, val_accs) in runs.items()}

_, val_loader, _ = make_loaders(data, seed=SEED, device=device)
n_val = len(val_loader.dataset)
intervals = {name: accuracy_interval(acc, n_val) for name, acc in final.items()}
overlap = max(low for low, _ in intervals.values()) <= min(
    high for _, high in intervals.values()
)
difference = 100 * (final["Adam"] - final["SGD"])
lines = [
    f"- {name} (rate {RATES[name]:g}): **{final[name]:.2%}**, "
    f"95 % interval {low:.2%} to {high:.2%}"
    for name, (low, high) in intervals.items()
]
verdict = (
    "overlap: from these two runs alone, no winner can be named."
    if overlap
    else "do not overlap."
)
Markdown(
    "\n".join(lines) + f"\n\nAdam minus SGD: **{difference:+.2f} points** on "
    f"{n_val:,} validation images. The two intervals {verdict}"
)

# %% tags=["remove-cell"]
results.record(
    "optimizer_validation_accuracy", final, dataset=data.name, day=33
)
lowest = 0.4 if data.is_stand_in else 0.96
assert all(acc > lowest for acc in final.values()), final
if not data.is_stand_in:
    assert runs["Adam"][0][0] < runs["SGD"][0][0], (
        "Adam's first epoch is no longer the faster one"
    )

# %% [markdown]
# What can two runs show? How fast each gets going from this start, at this rate. What can they not show? That one
# optimizer *is* better. The rates were taken from habit, not tuned with equal effort for both. And with one seed there
# is no telling how much of the difference another start would turn around.
#
# ## Check yourself
#
# **1.** A blog post compares SGD and Adam, both at a learning rate of 0.001, and finds Adam far ahead. What do you think?
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
# ## Summary
#
# | | SGD | Adam |
# |---|---|---|
# | step | $w - \eta\, g$ | $w - \eta\, \hat m / (\sqrt{\hat v} + \epsilon)$ |
# | remembers | nothing | $m$ and $v$ for every weight |
# | learning rate is | a factor | about a length |
# | usual first guess | 0.1 | 0.001 |
#
# A fair comparison shares weights, split and batches; gives each its own tuned rate; and repeats over seeds.
#
# ## Read more
#
# - Kingma and Ba (2015), [Adam: a method for stochastic optimization](https://arxiv.org/abs/1412.6980).
# - Choi and others (2019), [On empirical comparisons of optimizers for deep learning](https://arxiv.org/abs/1910.05446), on how tuning decides who wins.
# - Goh (2017), [Why momentum really works](https://distill.pub/2017/momentum/).
