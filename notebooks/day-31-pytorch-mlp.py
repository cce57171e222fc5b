# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Day 31 – A multilayer perceptron in PyTorch
#
# You have written a network by hand, and you know what each line of it does. Today PyTorch takes over the parts that
# are the same for every network: it differentiates, it keeps the parameters, it takes the steps. It takes them over one
# at a time, and after each the numbers must still be yours. Then the network gets a task that is worth the trouble.
#
# **You will be able to**
#
# - rebuild the network of Day 29 in PyTorch, one part at a time, and prove after each that nothing has changed;
# - say what autograd remembers of a forward pass, and read its graph;
# - check a backward pass that you wrote yourself with `gradcheck`, and say what the check forgives;
# - define a network as an `nn.Module`, count its parameters, and write its training and evaluation loops;
# - tell `train()`, `eval()` and `no_grad()` apart by what they do;
# - recognise a ReLU on the logits by its symptom, and say why that symptom is not overfitting.
#
# **Time** about 125 minutes: tensors and autograd 20, what autograd remembers 10, gradcheck 10, modules to loaders 20,
# data 5, model 10, loops 15, a first epoch 5, train and eval 10, ReLU on the logits 15, a GPU 5.
#
# **You need** Days 29 and 30, and PyTorch.

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
# - An activation makes a network nonlinear and decides how much gradient passes down through it.
# - A network with a bug often learns anyway, so ask it questions whose answers you know.
# - The loss before training should be $\log C$: $\log 10 \approx 2.30$ for ten digits.

# %% tags=["hide-input"]
import re
import time
import warnings
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown

from nnweek import checks
from nnweek.loaders import BatchLoader, make_loaders
from nnweek.mnist import load_mnist
from nnweek.notebook import progress_bar, text_says
from nnweek.plots import COLORS, GREY, STYLE, plot_images
from nnweek.runtime import get_device, set_seed
from nnweek.scratch import TwoLayerMLP

# %% [markdown]
# Change these numbers and run the rest again. The text describes the run with the numbers as they are here. Setting
# `SMALL` to `True` takes a tenth of the images, for a quick run whose results are kept apart and not compared with the
# text.

# %% tags=["parameters"]
SEED = 42
LR = 0.5  # on the ladder
DIGIT_LR = 0.1
BATCH_SIZE = 128
SMALL = False  # the images

# %%
import torch
from torch import nn
from torch.autograd import gradcheck
from torch.utils.data import DataLoader, TensorDataset

set_seed(SEED)
torch.set_num_threads(1)  # the networks are small: Day 32 shows why
device = get_device()

# %% [markdown]
# ## A ladder
#
# When you move a program to another library, how do you know that it still does the same? Not by reading it again. You
# move one part, run both on the same input, and compare all the numbers; then you move the next part. Each state on the
# way is a *rung*. A rung that gives other numbers than the one below is wrong, and you know which change did it.
#
# The lowest rung is Day 29's network, whose gradients were checked against finite differences. It sees eight examples,
# and we keep three things of it: the loss, the four gradients, and the four parameters after one step. All sizes are
# different, so that no transposed array matches by accident, and everything is in 64 bits, so that rounding cannot hide a
# mistake.

# %%
rng = np.random.default_rng(0)
N, D, H, C = 8, 3, 5, 4
X, y = rng.standard_normal((N, D)), rng.integers(0, C, size=N)
NAMES = ["W1", "b1", "W2", "b2"]

by_hand = TwoLayerMLP(D, H, C, weight_scale=0.5, seed=0)
start = [getattr(by_hand, name).copy() for name in NAMES]
ladder = {}


# %% tags=["hide-input"]
def in_numpy(values):
    """Copies as NumPy arrays; a bias becomes a row, as on Day 29."""
    return [
        np.atleast_2d(v.detach().numpy() if torch.is_tensor(v) else v).copy()
        for v in values
    ]


def table(rungs):
    """How far each of these rungs is from the lowest of all."""
    lowest = next(iter(ladder.values()))
    lines = [
        "| rung | loss | gradients differ by | after a step, parameters differ by |",
        "|---|---|---|---|",
    ]
    for rung in rungs:
        loss, *arrays = ladder[rung]
        apart = [
            max(np.abs(a - b).max() for a, b in zip(mine, first, strict=True))
            for mine, first in zip(arrays, lowest[1:], strict=True)
        ]
        lines.append(
            f"| {rung} | {loss:.12f} | {apart[0]:.0e} | {apart[1]:.0e} |"
        )
    return Markdown("\n".join(lines))


def climb(rung, loss, gradients, parameters):
    """Add a rung to the ladder; show it and the one below."""
    ladder[rung] = (loss, in_numpy(gradients), in_numpy(parameters))
    at = list(ladder).index(rung)
    return table(list(ladder)[max(0, at - 1) : at + 1])


# %%
loss, probs, cache = by_hand.loss(X, y)
gradients = by_hand.backward(probs, cache, y)
stepped = [p - LR * g for p, g in zip(start, gradients, strict=True)]
climb("0 NumPy", loss, gradients, stepped)

# %% [markdown]
# ### Rung 1: tensors
#
# A *tensor* is PyTorch's array. Most of what you know from NumPy carries over, with `dim` for `axis` here and there. So
# the first rung is Day 29 line by line, with another library in front of the dots.

# %%
X_t, y_t = torch.from_numpy(X), torch.from_numpy(y)
W1, b1, W2, b2 = (torch.tensor(p) for p in start)

z1 = X_t @ W1 + b1
a1 = z1.clamp(min=0)
scores = a1 @ W2 + b2
probs_t = torch.softmax(scores, dim=1)
loss = -probs_t[torch.arange(N), y_t].log().mean()

dscores = probs_t.clone()
dscores[torch.arange(N), y_t] -= 1
dscores /= N
dW2, db2 = a1.T @ dscores, dscores.sum(dim=0)
dz1 = (dscores @ W2.T) * (z1 > 0)
dW1, db1 = X_t.T @ dz1, dz1.sum(dim=0)

gradients = [dW1, db1, dW2, db2]
stepped = [p - LR * g for p, g in zip([W1, b1, W2, b2], gradients, strict=True)]
climb("1 tensors", loss.item(), gradients, stepped)

# %% [markdown]
# Both columns of differences count from the lowest rung. Differences around $10^{-16}$ are the last digit of a 64-bit
# float: the two libraries may add in another order. That is what *the same* will mean from here on.
#
# ### Rung 2: autograd
#
# Now the part that took us most of Day 29. Mark the parameters with `requires_grad`, compute the loss, and call
# `backward()`. Each parameter then has its gradient in `.grad`. Not one line of the backward pass is left.


# %%
def fresh_parameters():
    """The same start again, as tensors whose gradients are wanted."""
    return [torch.tensor(p, requires_grad=True) for p in start]


def loss_of(W1, b1, W2, b2):
    scores = torch.relu(X_t @ W1 + b1) @ W2 + b2
    log_probs = scores - scores.logsumexp(dim=1, keepdim=True)
    return -log_probs[torch.arange(N), y_t].mean()


parameters = fresh_parameters()
loss = loss_of(*parameters)
loss.backward()

gradients = [p.grad for p in parameters]
with torch.no_grad():  # a step is no part of the network: do not record it
    stepped = [p - LR * p.grad for p in parameters]
climb("2 autograd", loss.item(), gradients, stepped)

# %% [markdown]
# So autograd is no magic: it recorded the forward pass and applied the chain rule to the record, as you did on paper.
#
# It has one habit that surprises everyone.
#
# *Predict before you run:* compute the loss and call `backward()` once more, on the same parameters. What is in `.grad`
# now: the same, twice as much, or an error?

# %%
parameters = fresh_parameters()
loss_of(*parameters).backward()
once = parameters[0].grad.clone()
loss_of(*parameters).backward()  # once more
ratio = (parameters[0].grad / once).mean().item()

# %% tags=["hide-input"]
Markdown(f"After the second call, `.grad` holds **{ratio:.1f}** times as much.")

# %% tags=["remove-cell"]
with text_says("a second `backward()` adds its gradient to `.grad`"):
    assert abs(ratio - 2) < 1e-9

# %% [markdown]
# `backward()` *adds* to `.grad`. If you want a single gradient, clear the old one first; the last rung shows what the
# adding is good for.
#
# ### Rung 3: the loss from the library
#
# `nn.functional.cross_entropy` takes the *scores*. Softmax, logarithm and mean are inside. A softmax of your own in
# front of it would be applied twice.


# %%
def loss_of(W1, b1, W2, b2):
    scores = torch.relu(X_t @ W1 + b1) @ W2 + b2
    return nn.functional.cross_entropy(scores, y_t)


parameters = fresh_parameters()
loss = loss_of(*parameters)
loss.backward()

gradients = [p.grad for p in parameters]
with torch.no_grad():
    stepped = [p - LR * p.grad for p in parameters]
climb("3 cross_entropy", loss.item(), gradients, stepped)

# %% [markdown]
# Is it *always* the same as Day 29's loss? Ask at an extreme: one example, certain and wrong, with a score of 1000 for
# the wrong class and 0 for the right one.

# %%
extreme, truth = np.array([[1000.0, 0.0]]), np.array([1])
ours = TwoLayerMLP.cross_entropy(TwoLayerMLP.softmax(extreme), truth)
theirs = nn.functional.cross_entropy(
    torch.from_numpy(extreme), torch.from_numpy(truth)
).item()

# %% tags=["hide-input"]
Markdown(f"Day 29's loss: **{ours:.1f}**. PyTorch's: **{theirs:.1f}**.")

# %% tags=["remove-cell"]
with text_says("PyTorch's loss is right, and Day 29's stops at its floor"):
    assert abs(theirs - 1000) < 1e-9
    assert 20 < ours < 40

# %% [markdown]
# PyTorch is right. It never forms the probability, which is too small for a float; it computes $\log p$ from the scores
# directly, as $s_y - \log \sum_k e^{s_k}$. Day 29 formed $p$ first and needed a floor under it. Between the extremes
# the two agree, as the table says.
#
# ## What does autograd remember?
#
# To apply the chain rule, autograd must know which operations were done, in which order, and some of the values. It
# keeps them in a *computation graph*: one node for each operation, with an arrow to the nodes that made its inputs. The
# loss holds the first node, `loss.grad_fn`, and every node knows the next ones. So a graph can be walked in a few
# lines:


# %%
def walk(node, depth=0, found=None):
    """{node: its distance from the loss}, for all nodes below this one."""
    found = {} if found is None else found
    found[node] = max(depth, found.get(node, 0))  # the longest way counts
    for below, _ in node.next_functions:
        if below is not None:  # None: an input that needs no gradient
            walk(below, depth + 1, found)
    return found


def kept(node):
    """The tensors that a node has kept for the way back."""
    values = [getattr(node, key) for key in dir(node) if key[:7] == "_saved_"]
    return [v for v in values if torch.is_tensor(v) and v.ndim > 0]


leaves = fresh_parameters()  # where the graph ends
loss = loss_of(*leaves)
nodes = walk(loss.grad_fn)
print(len(nodes), "nodes; the first:", loss.grad_fn.name())

# %% [markdown]
# *Predict before you run:* which of the values of the forward pass does it have to keep? Day 29's `forward` handed four
# arrays to `backward`: $X$, $z_1$, $a_1$ and the scores.

# %% tags=["hide-input"]
of_day_29 = {
    "X": X,
    "z1": cache[1],
    "a1": cache[2],
    "scores": cache[3],
    "log p": np.log(probs),
    "y": y,
    "W1": start[0],
    "W2": start[2],
}


def name_of(tensor):
    """What Day 29 called an array with these values."""
    names = [
        name
        for name, array in of_day_29.items()
        if array.shape == tensor.shape
        and np.allclose(array, tensor.detach().numpy())
    ]
    return names[0] if names else "another array"


remembered = sorted({name_of(v) for node in nodes for v in kept(node)})
dropped = [k for k in ["X", "z1", "a1", "scores"] if k not in remembered]
Markdown(
    "Kept, by Day 29's names: "
    + ", ".join(f"**{name}**" for name in remembered)
    + ". Of Day 29's four, not kept: "
    + ", ".join(f"**{name}**" for name in dropped)
    + "."
)

# %% tags=["remove-cell"]
with text_says("autograd keeps X, a1 and W2, but neither z1 nor W1"):
    assert {"X", "a1", "W2"} <= set(remembered)
    assert not {"z1", "W1"} & set(remembered)
with text_says("the walk ends in the four parameters"):
    assert {p.shape for p in leaves} == {
        node.variable.shape for node in nodes if hasattr(node, "variable")
    }

# %% tags=["hide-input"] mystnb={"image": {"alt": "The computation graph of the two-layer network as a column of boxes from the loss at the top down to the first matrix product, with arrows downwards; the four parameters hang at the right of the boxes that used them, and at the left stands what each box has kept."}}
with plt.rc_context(STYLE):
    figure, ax = plt.subplots(figsize=(5.2, 5.6))
    ax.axis("off")
    places, tensors = {}, dict(zip(NAMES, leaves, strict=True))
    for node, depth in nodes.items():
        variable = getattr(node, "variable", None)
        places[node] = (0 if variable is None else 1, -depth)
        if variable is None:
            label = re.sub(r"Backward\d*$", "", node.name())
            box = {"boxstyle": "square,pad=0.4", "edgecolor": COLORS[3]}
        else:
            label = next(n for n, t in tensors.items() if t is variable)
            box = {"boxstyle": "round,pad=0.4", "edgecolor": COLORS[4]}
        ax.text(
            *places[node],
            label,
            ha="center",
            va="center",
            bbox=box | {"facecolor": "none", "linewidth": 1.5},
        )
        keeps = [name_of(v) for v in kept(node)]
        if keeps:
            ax.text(
                -0.75,
                -depth,
                "keeps " + ", ".join(keeps),
                ha="right",
                va="center",
                style="italic",
            )
    for node in nodes:
        for below, _ in node.next_functions:
            if below is not None:
                ax.annotate(
                    "",
                    xy=places[below],
                    xytext=places[node],
                    arrowprops={
                        "arrowstyle": "-|>",
                        "color": GREY,
                        "shrinkA": 15,
                        "shrinkB": 17,
                    },
                )
    ax.set(
        title="What the loss remembers of the forward pass",
        xlim=(-2.2, 1.6),
        ylim=(-max(nodes.values()) - 0.6, 0.6),
    )
    plt.show()

# %% [markdown]
# *How to read it:* the forward pass ran from the bottom to the top; `backward()` follows the arrows down. A square box
# is an operation (`Mm` is the matrix product), a round one a parameter, in whose `.grad` the walk ends. At the left, in
# italics, is what an operation has kept because its derivative needs it.
#
# Compare with the backward pass that you derived. $dW_2 = a_1^\top ds$ and $da_1 = ds\, W_2^\top$ need $a_1$ and $W_2$:
# the upper product keeps both. $dW_1 = X^\top dz_1$ needs $X$; $W_1$ would be needed only for the gradient of $X$,
# which is not needed. And ReLU keeps its *output* instead of its input, because $a_1 > 0$ just where $z_1 > 0$. This
# is your cache, found by the library.
#
# After `backward()` the kept values are released, so a second `backward()` of the *same* loss is an error; compute the
# loss again, as we did above.
#
# ## When you write the backward pass yourself
#
# Autograd knows the operations of the library. Sometimes you need one that it does not have. Then you write both
# directions, as a `torch.autograd.Function`, and are back on Day 29, with everything that can go wrong there. Here is
# ReLU, and beside it ReLU with a planted error.


# %%
class ReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z):
        ctx.save_for_backward(z)  # what the way back will need
        return z.clamp(min=0)

    @staticmethod
    def backward(ctx, da):
        (z,) = ctx.saved_tensors
        return da * (z > 0)


class ForgetsTheMask(ReLU):
    @staticmethod
    def backward(ctx, da):
        return da


# %% [markdown]
# The forward passes of both are right, so no output tells them apart. `torch.autograd.gradcheck` does what you did: it
# compares with finite differences, entry by entry.
#
# *Predict before you run:* at $z = (1.5, -0.5)$, which entry will it complain about?

# %%
z = torch.tensor([1.5, -0.5], dtype=torch.float64, requires_grad=True)
print("ReLU:", gradcheck(ReLU.apply, (z,)))
try:
    gradcheck(ForgetsTheMask.apply, (z,))
except RuntimeError as error:
    print("ForgetsTheMask:", error)

# %% [markdown]
# The message shows two matrices of derivatives, of each output by each input. Only the second diagonal entry differs:
# for a negative input the slope is 0, and the wrong `backward` says 1.
#
# Yesterday's question is still open: who tests the test? What does `gradcheck` let through, and does it ever reject a
# gradient that is right?
#
# *Predict before you run:* which of the six cases below pass?


# %%
def passes(function, *inputs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of 32 bits; so does the text
        return gradcheck(function, inputs, raise_exception=False)


def tiny(function):
    return lambda z: 1e-6 * function(z)


at_zero = torch.zeros(1, dtype=torch.float64, requires_grad=True)
in_32_bits = z.detach().float().requires_grad_()
cases = [
    ("right", "rung 3, all four parameters", loss_of, fresh_parameters()),
    ("right", "ReLU", ReLU.apply, [z]),
    ("wrong", "ForgetsTheMask", ForgetsTheMask.apply, [z]),
    ("wrong", "a millionth of it", tiny(ForgetsTheMask.apply), [z]),
    ("right", "ReLU, in 32 bits", ReLU.apply, [in_32_bits]),
    ("right", "ReLU, at z = 0", ReLU.apply, [at_zero]),
]
said = [passes(function, *inputs) for _, _, function, inputs in cases]

# %% tags=["hide-input"]
lines = ["| gradient | of | gradcheck |", "|---|---|---|"]
for (truth, what, _, _), passed in zip(cases, said, strict=True):
    lines.append(f"| {truth} | {what} | {'passes' if passed else 'fails'} |")
Markdown("\n".join(lines))

# %% tags=["remove-cell"]
with text_says("the first three verdicts are right and the last three wrong"):
    assert said == [True, True, False, True, False, False]

# %% [markdown]
# The last three verdicts are wrong. The millionth passes because `gradcheck` forgives an
# absolute difference of $10^{-5}$, and here everything is smaller than that: the tolerance that forgives a wrong
# gradient, which you met on Day 29. In 32 bits its step of $10^{-6}$ drowns in rounding. And at $z = 0$ it steps across
# the kink. So: 64 bits, values of ordinary size, away from kinks.
#
# ## From tensors to modules
#
# Four loose tensors are easy to keep; forty are not. The next rungs take over the book-keeping.
#
# ### Rung 4: a module
#
# An `nn.Module` keeps parameters and knows its forward pass. Every `nn.Parameter` that is stored in the module is found
# by `model.parameters()`, however many there are.


# %%
class HandMade(nn.Module):
    def __init__(self):
        super().__init__()
        self.W1, self.b1, self.W2, self.b2 = (
            nn.Parameter(torch.tensor(p)) for p in start
        )

    def forward(self, X):
        return torch.relu(X @ self.W1 + self.b1) @ self.W2 + self.b2


model = HandMade()
loss = nn.functional.cross_entropy(model(X_t), y_t)
loss.backward()

gradients = [p.grad for p in model.parameters()]
with torch.no_grad():
    for p in model.parameters():
        p -= LR * p.grad
climb("4 nn.Module", loss.item(), gradients, model.parameters())

# %% [markdown]
# ### Rung 5: layers
#
# A weight matrix with its bias is so common that it has a class of its own, `nn.Linear`.
#
# *Predict before you run:* what is the shape of its weight, in a layer from three inputs to five units?

# %%
layer = nn.Linear(D, H)
print(
    "Day 29's W1:", start[0].shape, " nn.Linear's weight:", layer.weight.shape
)

# %% tags=["remove-cell"]
with text_says("`nn.Linear` stores one row per unit"):
    assert tuple(layer.weight.shape) == start[0].shape[::-1] == (H, D)

# %% [markdown]
# `nn.Linear` stores $W^\top$, one *row* for each unit, and computes $x\,W^\top + b$ with its own $W$. To give it our
# weights, we transpose them, and to compare its gradients, we transpose back.


# %%
def give_weights(linear, W, b):
    with torch.no_grad():
        linear.weight.copy_(torch.tensor(W).T)
        linear.bias.copy_(torch.tensor(b).squeeze())


def layered():
    """Two layers of the library with the weights of rung 0, in 64 bits."""
    model = nn.Sequential(nn.Linear(D, H), nn.ReLU(), nn.Linear(H, C)).double()
    give_weights(model[0], *start[:2])
    give_weights(model[2], *start[2:])
    return model


def our_layout(tensors):
    """weight, bias, weight, bias, with the weights as on Day 29."""
    return [t.T if t.ndim == 2 else t for t in tensors]


model = layered()
loss = nn.functional.cross_entropy(model(X_t), y_t)
loss.backward()

gradients = our_layout(p.grad for p in model.parameters())
with torch.no_grad():
    for p in model.parameters():
        p -= LR * p.grad
climb("5 nn.Linear", loss.item(), gradients, our_layout(model.parameters()))

# %% [markdown]
# Forget the transpose here, and PyTorch refuses, because the shapes do not fit. That is luck, or rather the reason why
# all our sizes differ. What if a layer has as many outputs as inputs, as in the network that we are about to train?

# %%
rng = np.random.default_rng(1)
square = nn.Linear(H, H).double()
W, b, x = rng.standard_normal((H, H)), np.zeros(H), rng.standard_normal((N, H))
with torch.no_grad():
    square.weight.copy_(torch.tensor(W))  # the transpose forgotten
    square.bias.zero_()
forgotten = np.abs(square(torch.tensor(x)).detach().numpy() - x @ W).max()
give_weights(square, W, b)
transposed = np.abs(square(torch.tensor(x)).detach().numpy() - x @ W).max()

# %% tags=["hide-input"]
Markdown(
    "No error. With the transpose forgotten, the outputs are off by up to "
    f"**{forgotten:.1f}**; with it, by {transposed:.0e}."
)

# %% tags=["remove-cell"]
with text_says("without the transpose the outputs are wrong, with it right"):
    assert forgotten > 0.5
    assert transposed < 1e-12

# %% [markdown]
# ### Rung 6: the optimizer
#
# The loop over the parameters goes into an *optimizer*. It knows the parameters and the learning rate, `zero_grad()`
# clears the old gradients, and `step()` moves every parameter. `torch.optim.SGD` takes the step of Day 29; Day 33 is
# about others.

# %%
model = layered()
criterion = nn.CrossEntropyLoss()  # the same loss, as an object
optimizer = torch.optim.SGD(model.parameters(), lr=LR)

optimizer.zero_grad()
loss = criterion(model(X_t), y_t)
loss.backward()
optimizer.step()

gradients = our_layout(p.grad for p in model.parameters())
climb("6 optimizer", loss.item(), gradients, our_layout(model.parameters()))

# %% [markdown]
# ### Rung 7: batches from a loader
#
# Eight examples fit into memory; sixty thousand may not. A *loader* hands them out in batches. Can the numbers still be
# the same? They can, thanks to the habit of `backward()`: the gradients of two halves, each weighted by its share of
# the examples, *add up* in `.grad` to the gradient of all.

# %%
model = layered()
optimizer = torch.optim.SGD(model.parameters(), lr=LR)
order = torch.Generator().manual_seed(0)
loader = DataLoader(
    TensorDataset(X_t, y_t), batch_size=4, shuffle=True, generator=order
)

optimizer.zero_grad()
total = 0.0
for X_batch, y_batch in loader:
    share = len(y_batch) / N
    loss = share * criterion(model(X_batch), y_batch)
    loss.backward()  # adds to what the batch before left
    total += loss.item()
optimizer.step()

gradients = our_layout(p.grad for p in model.parameters())
climb("7 loader", total, gradients, our_layout(model.parameters()))

# %% tags=["remove-cell"]
with text_says("all eight rungs have the same numbers"):
    lowest_loss, *lowest_arrays = ladder["0 NumPy"]
    assert len(ladder) == 8
    for rung, (its_loss, *arrays) in ladder.items():
        assert abs(its_loss - lowest_loss) < 1e-10, rung
        for mine, lowest in zip(arrays, lowest_arrays, strict=True):
            for name, a, b in zip(NAMES, mine, lowest, strict=True):
                assert a.shape == b.shape, (rung, name)
                assert np.abs(a - b).max() < 1e-10, (rung, name)
                assert np.abs(b).max() > 1e-3, (rung, name)  # not all zero

# %% [markdown]
# The complete ladder once more:

# %% tags=["hide-input"]
table(ladder)

# %% [markdown]
# Eight rungs, one set of numbers. From here on we take a step after *every* batch instead of after the last, which
# gives other numbers, and far more steps for the same work. This is *stochastic gradient descent*, and it is how
# everything below is trained.
#
# One more change is coming: real networks compute in 32 bits, which is faster and takes half the memory. What does that
# cost?

# %%
model = layered().float()
criterion(model(X_t.float()), y_t).backward()
apart = max(
    np.abs(a - b).max()
    for a, b in zip(
        in_numpy(our_layout(p.grad for p in model.parameters())),
        ladder["0 NumPy"][1],
        strict=True,
    )
)
largest = max(np.abs(g).max() for g in ladder["0 NumPy"][1])

# %% tags=["hide-input"]
Markdown(
    f"In 32 bits the gradients differ by up to **{apart:.0e}**; the largest "
    f"gradient is {largest:.2f}."
)

# %% tags=["remove-cell"]
with text_says("in 32 bits the gradients differ by rounding"):
    assert 1e-10 < apart < 1e-5

# %% [markdown]
# That is rounding, and harmless for training. But a mistake of that size could hide behind it, which is why the ladder
# is computed in 64 bits.
#
# ## The data: handwritten digits
#
# Now the task. MNIST holds 28×28 grey images of handwritten digits, 60,000 to train on and 10,000 to test with. Look at
# data before you feed it to anything.

# %%
data = load_mnist()
if SMALL:
    data = data.small()
print(data.name)
print("train", data.train_images.shape, data.train_images.dtype)
print("test ", data.test_images.shape, data.test_images.dtype)

# %% tags=["hide-input"] mystnb={"image": {"alt": "The first twelve training images, handwritten digits in dark ink on white, each with its label above it."}}
plot_images(
    data.train_images[:12],
    [f"label {label}" for label in data.train_labels[:12]],
    "The first twelve training images",
)

# %% [markdown]
# Three things are done to them before training. Part of the training set is put aside for *validation*. Pixels, which
# run from 0 to 255, are brought to mean 0 and standard deviation 1 over the training set, because a network learns
# faster from numbers around one. And the images are handed out in shuffled *batches* of 128, so that a step costs
# little and successive steps see different examples.

# %%
train_loader, val_loader, test_loader = make_loaders(
    data, batch_size=BATCH_SIZE, seed=SEED, device=device
)
images, labels = next(iter(train_loader))

# %% tags=["hide-input"]
print(
    f"{len(train_loader.dataset)} images to train on, "
    f"{len(val_loader.dataset)} to validate, "
    f"{len(test_loader.dataset)} to test"
)
print(
    "a batch of images:",
    tuple(images.shape),
    images.dtype,
    "of labels:",
    tuple(labels.shape),
)

# %% [markdown]
# A batch of images has four axes: images, channels (grey has one), rows, columns. These loaders are the package's own.
# They do what rung 7's `DataLoader` does, but for data that fits into memory, with one look-up per batch; Day 32
# measures what that saves.
#
# ## The model
#
# Ours flattens an image to 784 numbers and sends it through two hidden layers of 256 ReLU units. The output is ten
# scores: no softmax and no ReLU at the end, because the loss wants raw scores.
#
# **Exercise 1.** *(about 5 minutes, easy)* Write it: a function that returns a fresh network, 784-256-256-10, from
# images $(B, 1, 28, 28)$ to scores $(B, 10)$. With `nn.Sequential` or with a class of your own, as you like.


# %%
def mlp():
    """A fresh network from images (B, 1, 28, 28) to scores (B, 10)."""
    ...  # your code


checks.mlp(mlp)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# Three linear layers, a ReLU after the first and after the second, and in front of all of them `nn.Flatten()`, which
# keeps the first axis and makes one of the others.
# </details>
#
# <details>
# <summary>Another hint</summary>
#
# In a class, assign each layer to `self`. Layers in a plain Python list are not found by `parameters()`, so they are
# not trained; `nn.Sequential` and `nn.ModuleList` are lists that are found.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def mlp():
#     return nn.Sequential(
#         nn.Flatten(),  # (B, 1, 28, 28) → (B, 784)
#         nn.Linear(28 * 28, 256),
#         nn.ReLU(),
#         nn.Linear(256, 256),
#         nn.ReLU(),
#         nn.Linear(256, 10),  # raw scores: the loss contains the softmax
#     )
# ```
# </details>
#
# Here it is as the package has it, with sizes that can be changed.


# %%
class MNISTMLP(nn.Module):
    def __init__(self, in_dim=28 * 28, hidden=256, num_classes=10):
        super().__init__()
        self.net = nn.Sequential(
            nn.Flatten(),
            nn.Linear(in_dim, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, num_classes),
        )

    def forward(self, x):
        return self.net(x)


# %% [markdown]
# *Predict before you run:* how many parameters does it have? Each linear layer has one weight per pair of input and
# output, and one bias per output.

# %%
torch.manual_seed(SEED)  # the same weights, also if you run this cell again
network = MNISTMLP().to(device)
total = sum(parameter.numel() for parameter in network.parameters())

# %% tags=["hide-input"]
by_layer = [
    f"{layer.in_features} · {layer.out_features} + {layer.out_features}"
    for layer in network.net
    if isinstance(layer, nn.Linear)
]
Markdown(f"{' + '.join(by_layer)} = **{total:,}** parameters.")

# %% tags=["remove-cell"]
with text_says("the network 784-256-256-10 has 269,322 parameters"):
    assert total == 269_322

# %% [markdown]
# And where do its first weights come from? `nn.Linear` draws them itself, evenly between $-1/\sqrt{n_\text{in}}$ and
# $1/\sqrt{n_\text{in}}$. Such a draw has the variance $1/(3\, n_\text{in})$, a sixth of what He's rule requires. With
# two hidden layers that is good enough; Day 30 showed when it would not be.

# %%
weights = network.net[1].weight.detach().cpu()
bound = 1 / np.sqrt(28 * 28)
share_of_he = weights.var().item() / (2 / (28 * 28))

# %% tags=["hide-input"]
Markdown(
    f"First layer: the largest weight is **{weights.abs().max():.4f}**, the "
    f"bound {bound:.4f}; the variance is **{share_of_he:.3f}** of He's."
)

# %% tags=["remove-cell"]
with text_says("`nn.Linear` draws its weights evenly between the two bounds"):
    assert 0.99 * bound < weights.abs().max() <= bound
with text_says("their variance is a sixth of He's"):
    assert abs(share_of_he - 1 / 6) < 0.005

# %% [markdown]
# ## One step, two loops
#
# Training repeats five lines, and you have met each of them on the ladder: forget the old gradients, run forward,
# score, run backward, step.
#
# **Exercise 2.** *(about 5 minutes, easy)* Write one training step. It returns the loss as a plain number; a tensor
# would keep its graph in memory.


# %%
def train_step(model, images, labels, optimizer, criterion):
    """Take one step on one batch; return the loss before it, a float."""
    ...  # your code


checks.train_step(train_step)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# Rung 6 is one step. Only the way from a tensor to a number is missing there: `loss.item()`.
# </details>
#
# <details>
# <summary>Another hint</summary>
#
# The order matters in three places: `zero_grad` before `backward`, `backward` before `step`, and nothing that clears
# the gradients between those two. The criterion gets the raw scores.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def train_step(model, images, labels, optimizer, criterion):
#     optimizer.zero_grad()  # forget the last batch's gradients
#     logits = model(images)
#     loss = criterion(logits, labels)
#     # Fill every parameter's .grad, then move every parameter.
#     loss.backward()
#     optimizer.step()
#     return loss.item()  # a plain number, so that the graph can go
# ```
# </details>
#
# An *epoch* is one such step for every batch. The two loops below are those of the package. Both average over the
# *images*, not over the batches, since the last batch is smaller than the others.


# %%
def accuracy(pred_logits, targets):
    return (pred_logits.argmax(dim=1) == targets).float().mean().item()


def train_one_epoch(model, loader, optimizer, criterion):
    model.train()
    total_loss, total_correct, total_count = 0.0, 0, 0
    for images, labels in loader:
        optimizer.zero_grad()  # forget the last batch's gradients
        logits = model(images)
        loss = criterion(logits, labels)
        loss.backward()  # fill every parameter's .grad
        optimizer.step()  # move every parameter
        # The batch's mean, weighted by its size: the last batch may be smaller.
        total_loss += loss.item() * len(labels)
        total_correct += (logits.argmax(dim=1) == labels).sum().item()
        total_count += len(labels)
    return total_loss / total_count, total_correct / total_count


@torch.no_grad()
def evaluate(model, loader, criterion):
    model.eval()
    total_loss, total_correct, total_count = 0.0, 0, 0
    for images, labels in loader:
        logits = model(images)
        loss = criterion(logits, labels)
        total_loss += loss.item() * len(labels)
        total_correct += (logits.argmax(dim=1) == labels).sum().item()
        total_count += len(labels)
    return total_loss / total_count, total_correct / total_count


# %% [markdown]
# The second loop is the first without its three lines of learning. Two lines differ besides: `eval()` for `train()`,
# and `no_grad()`. What each of them does is the question of the section after next.
#
# ## A first epoch
#
# *Predict before you run:* what are loss and accuracy on the validation images before any training?

# %%
torch.manual_seed(SEED)
network = MNISTMLP().to(device)  # from scratch, also if run again
train_loader.epoch = 0
criterion = nn.CrossEntropyLoss()
loss_before, acc_before = evaluate(network, val_loader, criterion)

optimizer = torch.optim.SGD(network.parameters(), lr=DIGIT_LR)
train_loss, train_acc = train_one_epoch(
    network, train_loader, optimizer, criterion
)
loss_after, acc_after = evaluate(network, val_loader, criterion)

# %% tags=["hide-input"]
Markdown(
    f"| when | validation loss | validation accuracy |\n|---|---|---|\n"
    f"| before training | {loss_before:.3f} (log 10 = {np.log(10):.3f}) "
    f"| {acc_before:.1%} |\n"
    f"| after one epoch | {loss_after:.3f} | {acc_after:.1%} |\n\n"
    f"On the way through the epoch, the training images had a mean loss of "
    f"{train_loss:.3f}, and {train_acc:.1%} of them were right."
)

# %% tags=["remove-cell"]
with text_says("the loss before training is near log 10"):
    assert abs(loss_before - np.log(10)) < 0.1
with text_says("one pass over the training images changes that"):
    assert acc_after > (0.15 if data.is_stand_in else 0.92)
with text_says("the training loss is worse than the validation loss"):
    assert train_loss > loss_after

# %% [markdown]
# Before training, the network guesses, and its loss sits at $\log 10$, as it must. One pass over the training images
# changes that. Why is the training loss *worse* than the validation loss? Because it is a running value: each batch was
# scored before its step, and the first ones by a network that knew nothing. The validation came after the last step.
#
# Here are twelve validation images with the network's answers:

# %%
images, labels = next(iter(val_loader))
answers = network(images[:12]).argmax(dim=1)

# %% tags=["hide-input"] mystnb={"image": {"alt": "Twelve validation images, each with the label that the network gives it and, where that is wrong, the true one."}}
plot_images(
    images[:12, 0].cpu(),
    [
        f"{answer}" if answer == label else f"{answer}, not {label}"
        for answer, label in zip(
            answers.tolist(), labels.tolist(), strict=False
        )
    ],
    "What the network says after one epoch",
)

# %% [markdown]
# *How to read it:* a single digit above an image is the network's answer where it is right; where it is wrong, the true
# label follows.
#
# ## train() and eval(), and no_grad()
#
# Three calls, and a famous confusion. One of PyTorch's own tutorials
# ([on TensorBoard](https://docs.pytorch.org/tutorials/beginner/introyt/tensorboardyt_tutorial.html)) calls
# `net.train(False)` before validating and comments, in the version that we read, that gradients need not be tracked. Is
# that what it does? Do not look it up; try it.
#
# We need a network in which something differs between training and evaluation. *Dropout* sets each value to zero with
# some probability, at random, so that no unit can rely on another. *BatchNorm* brings each unit to mean 0 and standard
# deviation 1 over the batch, and keeps a running mean for evaluation, where an image must not depend on its batch. Both
# behave differently in the two modes.
#
# Now all four combinations of mode and recording. Of each we ask: Do two passes over the same images give the same
# scores? Did a pass change the network? Was a graph recorded, and how much was kept for it, besides the parameters?
# (The time is the shortest of fifty passes.)
#
# *Predict before you run:* what are the twelve answers?


# %%
def with_modes():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 256),
        nn.BatchNorm1d(256),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(256, 10),
    ).to(device)


# %% tags=["hide-input"]
def bytes_kept(model, images):
    """How much autograd keeps of one pass, besides the parameters."""
    sizes = {p.data_ptr(): 0 for p in model.parameters()}

    def note(tensor):
        size = tensor.numel() * tensor.element_size()
        sizes.setdefault(tensor.data_ptr(), size)  # each memory once
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda kept: kept):
        scores = model(images)  # alive until the hooks are gone
    return scores, sum(sizes.values())


def seconds_for(model, images):
    start = time.perf_counter()
    model(images).sum().item()  # item() waits for a GPU to finish
    return time.perf_counter() - start


# %%
def what_happens(mode, recording):
    model = with_modes()
    model.train(mode == "train()")
    before = model[2].running_mean.clone()
    with torch.set_grad_enabled(recording):
        first, size = bytes_kept(model, images)
        second = model(images)
        seconds = min(seconds_for(model, images) for _ in range(50))
    return {
        "repeats": torch.equal(first, second),
        "changes": not torch.equal(before, model[2].running_mean),
        "records": first.grad_fn is not None,
        "bytes": size,
        "seconds": seconds,
        "scores": first.detach(),
    }


happens = {
    (mode, recording): what_happens(mode, recording)
    for mode in ["train()", "eval()"]
    for recording in [True, False]
}

# %% tags=["hide-input"]
lines = [
    "| mode | recording | passes agree | network changed | graph | kept "
    "| a pass takes |",
    "|---|---|---|---|---|---|---|",
]
for (mode, recording), seen in happens.items():
    answers = ["repeats", "changes", "records"]
    answers = ["yes" if seen[question] else "no" for question in answers]
    lines.append(
        f"| `{mode}` | {'on' if recording else '`no_grad()`'} "
        f"| {' | '.join(answers)} | {seen['bytes'] / 1024:,.0f} kB "
        f"| {1000 * seen['seconds']:.2f} ms |"
    )
Markdown("\n".join(lines))

# %% tags=["remove-cell"]
with text_says("the first two columns follow the mode alone"):
    for (mode, _), seen in happens.items():
        assert seen["repeats"] == (mode == "eval()")
        assert seen["changes"] == (mode == "train()")
with text_says("the next two columns follow the recording alone"):
    for (_, recording), seen in happens.items():
        assert seen["records"] == recording
        assert (seen["bytes"] > 0) == recording
with text_says("the scores are the same with `no_grad()` and without it"):
    assert torch.allclose(
        happens["eval()", True]["scores"],
        happens["eval()", False]["scores"],
        atol=1e-5,
    )

# %% [markdown]
# Read the first two columns of answers: they follow the *mode* alone. Read the next two: they follow the *recording*
# alone. The two switches have nothing to do with each other.
#
# - `train()` and `eval()` set a flag that some layers look at. They change what the network *computes*.
# - `no_grad()` tells autograd not to record. It changes what the network *remembers*, and with it the memory that a pass
#   takes. The scores are the same with it and without it. The last column shows what recording costs in time; for a
#   network this small, that can drown in the noise.
#
# So the tutorial's `train(False)` is the right call with the wrong reason: it was needed for its effect on the layers,
# and the graph was recorded all the same. The opposite mistake is worse. The second line of the table, `no_grad()` in
# training mode, looks careful, and yet every evaluation gives another result *and* moves the running mean: validation
# images change the network.
#
# (`torch.inference_mode()` is a stricter `no_grad()`: what comes out of it can never enter a graph again.)
#
# ## ReLU on the logits
#
# Every hidden layer ends with a ReLU. So why not the last one? It is an easy slip, and it raises no error. PyTorch's
# beginners' tutorial had it [until the summer of 2021](https://github.com/pytorch/tutorials/issues/1526). What does it
# do?
#
# One training run would tell you little. So ten pairs: the same first weights, the same batches in the same order, and
# the only difference is a ReLU behind the scores. A smaller network, 64 units per layer, and a part of the images keep
# it quick.
#
# *Predict before you run:* how does the accuracy of those with ReLU differ, and is it the same for all seeds?

# %%
few_images, few_labels = (t[:6000] for t in train_loader.dataset.tensors)
val_images, val_labels = (t[:3000] for t in val_loader.dataset.tensors)
STEPS, SEEDS = 300 if data.is_stand_in else 94, range(10)


def small_network(seed, relu_at_the_end):
    torch.manual_seed(seed)
    layers = [MNISTMLP(hidden=64)] + [nn.ReLU()] * relu_at_the_end
    return nn.Sequential(*layers).to(device)


def train_small(seed, relu_at_the_end):
    model = small_network(seed, relu_at_the_end)
    optimizer = torch.optim.SGD(model.parameters(), lr=DIGIT_LR)
    loader = BatchLoader(few_images, few_labels, BATCH_SIZE, shuffle_seed=seed)
    for _ in range(-(-STEPS // len(loader))):  # full epochs
        train_one_epoch(model, loader, optimizer, criterion)
    return model


@torch.no_grad()
def report(model):
    scores = model[0](few_images)  # before the last ReLU, where there is one
    logits = model(few_images)
    cut_off = scores.gather(1, few_labels[:, None]).squeeze() <= 0
    return {
        "train": accuracy(logits, few_labels),
        "val": accuracy(model(val_images), val_labels),
        "silent": sorted(set(range(10)) - set(logits.argmax(dim=1).tolist())),
        "cut off": [cut_off[few_labels == c].float().mean() for c in range(10)],
    }


plain, cut = [], []
for seed in progress_bar(SEEDS, desc="pairs"):
    plain.append(report(train_small(seed, False)))
    cut.append(report(train_small(seed, True)))
for run in cut:
    run["lost"] = [c for c in range(10) if run["cut off"][c] > 0.9]

# %% tags=["hide-input"]
lines = [
    "| seed | without: train | validation | with ReLU: train | validation "
    "| lost digits | never said |",
    "|---|---|---|---|---|---|---|",
]
for seed, a, b in zip(SEEDS, plain, cut, strict=True):
    lost, silent = (
        ", ".join(map(str, b[k])) or "–" for k in ("lost", "silent")
    )
    lines.append(
        f"| {seed} | {a['train']:.1%} | {a['val']:.1%} | {b['train']:.1%} "
        f"| {b['val']:.1%} | {lost} | {silent} |"
    )
Markdown("\n".join(lines))

# %% tags=["hide-input"]
hurt = [seed for seed in SEEDS if cut[seed]["lost"]]
mute = [seed for seed in SEEDS if cut[seed]["silent"]]
worst = min(SEEDS, key=lambda seed: cut[seed]["train"])
gap = {
    name: np.mean([run["train"] - run["val"] for run in runs])
    for name, runs in {"without": plain, "with": cut}.items()
}
Markdown(
    f"With ReLU on the logits, **{len(hurt)} of {len(SEEDS)}** networks lose a "
    f"digit, and {len(mute)} never say some digit, not once for "
    f"{len(few_labels):,} training images. Without it, all networks say all "
    f"digits. The worst pair is seed {worst}: {cut[worst]['train']:.1%} of its "
    f"training images right with ReLU, {plain[worst]['train']:.1%} without."
)

# %% tags=["remove-cell"]
with text_says("without the ReLU, all networks say all digits"):
    assert not any(run["silent"] for run in plain)
with text_says("with it, some seeds lose a digit and some get away unharmed"):
    assert 2 <= len(mute) <= len(hurt) < len(SEEDS)
with text_says("a digit that is never predicted is a lost one"):
    for run in cut:
        assert set(run["silent"]) <= set(run["lost"])
with text_says("networks that lose a digit are worse on their training images"):
    drops = [plain[seed]["train"] - cut[seed]["train"] for seed in hurt]
    assert sum(drops) > 0.05 * len(drops)
    assert data.is_stand_in or min(drops) > 0.03
    assert cut[worst]["train"] < plain[worst]["train"] - 0.15

# %% [markdown]
# A digit is called *lost* here if the ReLU cuts its score off on more than nine tenths of its own images. Some seeds
# get away unharmed, others lose a digit or several, and it depends on nothing but the first weights and the order of
# the images. The symptom to look for is **a class that is never predicted**: a network that never says "5" is wrong on
# every 5.
#
# ### Is it overfitting?
#
# Someone sees only that the accuracy stops far below what it should be. *Overfitting* comes to mind: the network has
# memorised its training images and does badly on others. But that is a statement about *two* numbers. Overfitting means
# that training goes well and validation does not. Here are both.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Training accuracy across and validation accuracy upwards for ten networks without a final ReLU, circles close together at the upper right, and ten with it, squares that lie along the dashed diagonal of equal accuracies, several of them far down to the left."}}
with plt.rc_context(STYLE):
    figure, ax = plt.subplots(figsize=(5.2, 5.0))
    low = min(min(r["train"], r["val"]) for r in plain + cut) - 0.03
    ax.plot([low, 1], [low, 1], color=GREY, linestyle="--", linewidth=1)
    ax.text(low + 0.01, low + 0.03, "both equal", rotation=45)
    ax.text(
        0.98,
        low + 0.02,
        "overfitting would be here",
        ha="right",
        style="italic",
    )
    for runs, marker, label, color in [
        (plain, "o", "raw scores", COLORS[3]),
        (cut, "s", "ReLU on the scores", COLORS[4]),
    ]:
        ax.plot(
            [run["train"] for run in runs],
            [run["val"] for run in runs],
            marker,
            color=color,
            label=label,
            fillstyle="none" if marker == "s" else "full",
            markersize=8,
        )
    ax.set(
        title="Ten pairs of networks",
        xlabel="Accuracy on the training images",
        ylabel="Accuracy on the validation images",
        xlim=(low, 1),
        ylim=(low, 1),
        aspect="equal",
    )
    figure.legend(loc="outside lower center", ncols=2)
    plt.show()

# %% [markdown]
# *How to read it:* each mark is a network. On the dashed line it does equally well on images that it learnt from and on
# images that it never saw; overfitting lies below that line, at the right. The ReLU moves networks *along* the line.
# They are bad at their own training images. Nothing was memorised; some of it was not learnt at all.

# %% tags=["hide-input"]
Markdown(
    "Training accuracy minus validation accuracy, mean over the ten: "
    f"**{100 * gap['without']:.1f}** points without the ReLU, "
    f"**{100 * gap['with']:.1f}** with it."
)

# %% tags=["remove-cell"]
with text_says("the networks with the ReLU do not overfit"):
    assert abs(gap["with"]) < (0.06 if data.is_stand_in else 0.04)
    assert gap["with"] < gap["without"] + 0.03

# %% [markdown]
# A well-known course ends a network for pictures of clothes with the same ReLU, and its page suspects overfitting when
# the result disappoints. The page prints both numbers:

# %%
# Bourke, Learn PyTorch for Deep Learning, chapter 3, model 1 (Fashion-MNIST),
# https://www.learnpytorch.io/03_pytorch_computer_vision/, last epoch, in percent.
of_the_course = {"train": 75.94, "test": 75.02}
course_gap = of_the_course["train"] - of_the_course["test"]

# %% tags=["hide-input"]
Markdown(
    f"Accuracy on its training images **{of_the_course['train']} %**, on its "
    f"test images **{of_the_course['test']} %**: {course_gap:.2f} points apart."
)

# %% tags=["remove-cell"]
with text_says("the course's two accuracies are close to each other"):
    assert 0 < course_gap < 1

# %% [markdown]
# Numbers like these rule overfitting out. It is a good course, and [a reader found the
# ReLU](https://github.com/mrdbourke/pytorch-deep-learning/issues/720). So the mistake is that easy to make, and the
# diagnosis matters: what is done against overfitting, such as more data or a smaller network, leaves the ReLU where it
# is.
#
# ### How a class dies
#
# What happens inside? Behind the ReLU, a class whose score is negative has the logit 0, and no logit is below that. Two
# things follow for an image of that class:
#
# - Its probability is $\frac{e^0}{\sum_k e^{s_k}}$ with all $s_k \ge 0$, so at most one tenth. Its loss is *at least
#   $\log 10$*, whatever else the network learns.
# - The one score that should rise sits where ReLU's slope is 0. The image sends no gradient to it. It can only push the
#   other scores down.
#
# And what pushes a score below zero in the first place? The other nine tenths of the images, which all want it lower.
# Once it is negative for all images of its class, none of them can lift it again; only an accident in the layers below
# could. It is Day 30's dead unit, with a class hanging on it. Watch the worst network's first steps. For each class: on
# what share of its own images is its score above zero?

# %%
watched = small_network(worst, relu_at_the_end=True)
scores_of = watched[0]  # what goes into the last ReLU
optimizer = torch.optim.SGD(watched.parameters(), lr=DIGIT_LR)
loader = BatchLoader(few_images, few_labels, BATCH_SIZE, shuffle_seed=worst)
alive, at_step, step = [], [], 0


def share_alive():
    """For each class, the share of its images with a score above zero."""
    with torch.no_grad():
        scores = scores_of(few_images[:1000])
    own = few_labels[:1000]
    return [(scores[own == c, c] > 0).float().mean().item() for c in range(10)]


for _ in range(-(-STEPS // len(loader))):
    for batch_images, batch_labels in loader:
        if step % 3 == 0:
            alive.append(share_alive())
            at_step.append(step)
        optimizer.zero_grad()
        criterion(watched(batch_images), batch_labels).backward()
        optimizer.step()
        step += 1
alive = np.array([*alive, share_alive()])
at_step.append(step)

# %% tags=["hide-input"] mystnb={"image": {"alt": "Share of each class's own images whose score is above zero, over the first training steps of one network: thin grey lines of most classes rise to one, while the thick coloured lines of the lost classes fall to zero within the first steps and stay there."}}
with plt.rc_context(STYLE):
    figure, ax = plt.subplots()
    dashes = cycle(["-", "--", "-.", ":"])
    for c in range(10):
        if c in cut[worst]["lost"]:
            color = COLORS[c % len(COLORS)]
            ax.plot(
                at_step,
                alive[:, c],
                next(dashes),
                color=color,
                label=f"class {c}",
            )
        else:
            ax.plot(at_step, alive[:, c], "-", color=GREY, lw=0.8, zorder=1.5)
    ax.plot([], [], "-", color=GREY, lw=0.8, label="the others")
    ax.set(
        title=f"How classes die, seed {worst}",
        xlabel="Step",
        ylabel="Share with a score above 0",
        ylim=(-0.03, 1.03),
    )
    figure.legend(loc="outside lower center", ncols=3)
    plt.show()

# %% [markdown]
# *How to read it:* a line at 1 is a class whose images all have a score that can still be moved; a line at 0 is a lost
# class.

# %%
with torch.no_grad():
    own_scores = scores_of(few_images).gather(1, few_labels[:, None]).squeeze()
    each_loss = nn.functional.cross_entropy(
        watched(few_images), few_labels, reduction="none"
    )
stuck = own_scores <= 0
cheapest = min(each_loss[stuck].tolist(), default=np.nan)  # NaN: none is stuck
floor = stuck.float().mean().item() * np.log(10)
with torch.no_grad():
    all_zero = (watched(few_images) == 0).all(dim=1).float().mean().item()

# %% tags=["hide-input"]
Markdown(
    f"After {step} steps, **{stuck.float().mean():.1%}** of the training images "
    "have a negative score for their own class. The cheapest of them costs "
    f"**{cheapest:.4f}**; log 10 is {np.log(10):.4f}. As long as they are stuck, "
    f"the loss cannot fall below {floor:.2f}; it is {each_loss.mean():.2f}. For "
    f"{all_zero:.1%} of the images *all ten* logits are 0."
)

# %% tags=["remove-cell"]
with text_says("an image with a negative score costs at least log 10"):
    assert cheapest >= np.log(10) - 1e-4
    assert each_loss.mean().item() >= floor
with text_says("many training images have a negative score for their class"):
    assert stuck.float().mean().item() > 0.1
with text_says("a line at 0 is a lost class, and the others rise to 1"):
    lost = cut[worst]["lost"]
    others = [c for c in range(10) if c not in lost]
    assert all(alive[-1][lost] < 0.2)
    assert sum(alive[-1][others]) > 0.8 * len(others)
with text_says("for some of the images all ten logits are 0"):
    assert all_zero > 0.05

# %% [markdown]
# The loss has a floor, which explains why it stalls. And where all ten logits are 0, the network gives every class one
# tenth, and `argmax` returns the first of the ten: so it says "0" far too often, which can even hide that the class 0
# itself is lost.
#
# The cure is to leave the last ReLU out. The check is to count the predictions of each class, which costs one line and
# belongs in every evaluation.
#
# ## One line to a GPU
#
# How does all this move to a GPU? A tensor lives on a *device*, and everything in one operation must live on the same
# one. `model.to(device)` moves a model, `images.to(device)` gives a copy of the data there, and not another line
# changes: the package's loaders have done the second for you. Here is one pass, there and back, on every device that
# this machine has.
#
# In Colab, you get a GPU under *Runtime → Change runtime type*. It is another machine, so run the notebook again from
# its first cell. The code stays as it is; seconds and last digits will differ, there and on every other machine.


# %%
def gradient_on(device):
    torch.manual_seed(0)  # the weights are drawn on the CPU, so they are equal
    model = MNISTMLP().to(device)  # the line
    loss = criterion(model(images.to(device)), labels.to(device))
    loss.backward()
    flat = torch.cat([p.grad.flatten() for p in model.parameters()])
    return loss.item(), flat.cpu()


loss_cpu, gradient_cpu = gradient_on("cpu")

# %% tags=["hide-input"]
if torch.cuda.is_available():
    loss_gpu, gradient_gpu = gradient_on("cuda")
    off = (gradient_gpu - gradient_cpu).abs().max().item()
    compared = (
        f"{torch.cuda.get_device_name()}: loss {loss_gpu:.6f}, on the CPU "
        f"{loss_cpu:.6f}. The gradients differ by up to {off:.0e}: other "
        "hardware adds up in another order."
    )
else:
    off = 0.0
    compared = (
        f"On the CPU the loss is {loss_cpu:.6f}. This machine has no GPU that "
        "PyTorch can use; on one that has, this cell compares the two."
    )
Markdown(compared)

# %% tags=["remove-cell"]
with text_says("the loss of an untrained network is near log 10"):
    assert abs(loss_cpu - np.log(10)) < 0.1
with text_says("a GPU gives the same gradients up to rounding"):
    assert off < 1e-3

# %% [markdown]
# And if you forget one of the two moves? Every machine has a device called `meta`, whose tensors have a shape and no
# numbers, so the mistake can be made anywhere:

# %%
try:
    MNISTMLP()(images.to("meta"))
except RuntimeError as error:
    mixed_devices = str(error)
    print("RuntimeError:", mixed_devices)

# %% tags=["remove-cell"]
with text_says("a forgotten move raises an error that names devices"):
    assert "device" in mixed_devices

# What the questions below say:
with text_says("`no_grad()` does not switch the mode"):
    by_stand = nn.Linear(784, 256).train()
    with torch.no_grad():
        quiet = by_stand(torch.zeros(1, 784))
    assert (quiet.requires_grad, by_stand.training) == (False, True)
with text_says("the weight of a layer is the transpose of Day 29's"):
    assert by_stand.weight.shape == (256, 784)
with text_says("`backward()` twice on the same loss is an error"):
    loss = by_stand(torch.zeros(1, 784)).square().sum()
    loss.backward()
    try:
        loss.backward()
        second_backward = "no error"
    except RuntimeError as error:
        second_backward = str(error)
    assert "second time" in second_backward
with text_says("two softmaxes leave a loss of at least 1.46"):
    certain = torch.zeros(1, 10)
    certain[0, 3] = 1
    twice = nn.functional.cross_entropy(certain, torch.tensor([3])).item()
    assert abs(twice + np.log(np.e / (np.e + 9))) < 1e-6
    assert abs(twice - 1.46) < 0.005

# %% [markdown]
# A message that names two devices means: look for the tensor that was left behind. Note that `model.to(device)` moves
# the model itself, while `images.to(device)` returns a new tensor, which has to be given a name.
#
# ## Check yourself
#
# Decide on an answer before you open it.
#
# **1.** You forget `optimizer.zero_grad()`. What happens?
#
# - a) An error: gradients must be cleared.
# - b) Each step follows the sum of all gradients so far.
# - c) Nothing: `backward()` overwrites `.grad`.
#
# <details>
# <summary>Answer</summary>
#
# **b.** `backward()` adds to `.grad`, which is useful when one gradient is gathered over several batches.
# a) PyTorch cannot know that you did not mean it: rung 7 did.
# c) is what most people expect, and why this bug is so common.
# </details>
#
# **2.** Which of these does the code print?
#
# ```python
# model.train()
# with torch.no_grad():
#     scores = model(images)
# print(scores.requires_grad, model.training)
# ```
#
# - a) `False False`
# - b) `True True`
# - c) `False True`
#
# <details>
# <summary>Answer</summary>
#
# **c.** Nothing was recorded, and the mode is what it was.
# a) would need `no_grad()` to switch the mode, too, and it does not.
# b) would need it not to work at all: outside of it, this line would print that.
# </details>
#
# **3.** You evaluate with `model.eval()` but without `torch.no_grad()`. What is wrong with the result?
#
# - a) Nothing; it only costs more time and memory.
# - b) The parameters change.
# - c) Dropout stays on.
#
# <details>
# <summary>Answer</summary>
#
# **a.** Without `no_grad`, autograd records a graph that is never used.
# b) Parameters change only in `optimizer.step()`.
# c) Dropout is switched by `eval()`, which was called.
# </details>
#
# **4.** What does `print(nn.Linear(784, 256).weight.shape)` show?
#
# - a) `torch.Size([784, 256])`
# - b) `torch.Size([256, 784])`
# - c) `torch.Size([785, 256])`
#
# <details>
# <summary>Answer</summary>
#
# **b.** One row for each unit: the transpose of Day 29's $W$.
# a) is Day 29's layout, and the reason why a copy needs `.T`.
# c) would count the bias as one more input; it is kept apart, in `.bias`.
# </details>
#
# **5.** You call `loss.backward()` twice in a row, on the same loss. What happens?
#
# - a) An error: what the graph had kept is gone.
# - b) `.grad` holds twice the gradient.
# - c) The second call does nothing.
#
# <details>
# <summary>Answer</summary>
#
# **a.** The kept values are released during the first call.
# b) happens if you compute the loss again before the second call.
# c) PyTorch does not skip work silently: it says that it cannot do it.
# </details>
#
# **6.** You end the network with `nn.Softmax` and train with `nn.CrossEntropyLoss`. What do you see?
#
# - a) The loss cannot fall below a value well above zero.
# - b) The loss is NaN.
# - c) No difference: the softmax of probabilities is the same probabilities.
#
# <details>
# <summary>Answer</summary>
#
# **a.** The loss applies a softmax to your probabilities. The best it can be given is a 1 and nine 0s, and the softmax
# of those is far from certain: $-\log\frac{e}{e + 9} \approx 1.46$.
# b) Both softmaxes are stable.
# c) The softmax changes its input unless that is already a logarithm of probabilities.
# </details>
#
# **7.** A network is right for three quarters of its validation images, and for about as many of its training images.
# It has never answered "8". Where do you look first?
#
# - a) At regularisation: it overfits.
# - b) At the last layer.
# - c) At the amount of data: it needs more.
#
# <details>
# <summary>Answer</summary>
#
# **b.** A class that is never predicted is the symptom of a ReLU on the logits.
# a) Overfitting would show as training images that go much better than validation images.
# c) It cannot learn the images that it has; more of the same kind will not change that.
# </details>
#
# ## Summary
#
# | by hand | in PyTorch |
# |---|---|
# | `backward` | `loss.backward()`, gradients added to `.grad` |
# | `cache` | the graph behind `loss.grad_fn` |
# | gradient check | `torch.autograd.gradcheck`, in 64 bits |
# | `W1, b1, W2, b2` | `model.parameters()`; `nn.Linear` stores $W^\top$ |
# | softmax and cross-entropy | `nn.CrossEntropyLoss()` on raw scores: no softmax, no ReLU before it |
# | `W -= lr * dW` | `optimizer.step()` |
# | start of a step | `optimizer.zero_grad()` |
# | all examples at once | batches from a loader |
# | what layers compute | `train()`, `eval()` |
# | what autograd records | `no_grad()` |
# | another device | `model.to(device)` |
#
# From tomorrow on, `MNISTMLP` comes from `nnweek.models`, and both loops from `nnweek.training`.
#
# Before you open the next day, choose *Kernel → Shut Down Kernel*: until then this notebook holds on to its memory,
# even if you close its tab.
#
# ## Read more
#
# - PyTorch, [What is torch.nn really?](https://docs.pytorch.org/tutorials/beginner/nn_tutorial.html), the same climb
#   without the comparison.
# - PyTorch, [Autograd mechanics](https://docs.pytorch.org/docs/stable/notes/autograd.html), on what is saved, on `no_grad` and `eval`.
# - PyTorch, [gradcheck](https://docs.pytorch.org/docs/stable/notes/gradcheck.html), how its comparison works.
# - LeCun, Bottou, Bengio and Haffner (1998), [Gradient-based learning applied to document recognition](http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf), where MNIST comes from.
