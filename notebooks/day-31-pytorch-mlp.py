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
# - read a graph of autograd: which tensors get a gradient, and which one;
# - check a backward pass that you wrote yourself with `gradcheck`, and say what the check forgives;
# - take one training step, and one step from several batches;
# - turn arrays into tensors, and tensors into batches whose order follows from a seed;
# - define a network as an `nn.Module`, count its parameters, and read its training and evaluation loops;
# - read the six error messages that every beginner meets;
# - tell `train()`, `eval()` and `no_grad()` apart by what they do;
# - recognise a ReLU on the logits by a direct test, and say why its symptom is not overfitting.
#
# **Time** about 205 minutes: tensors and autograd 25, what autograd remembers 20, gradcheck 10, modules to loaders 35,
# the wrong rung 15, data 25, model 10, loops 10, error messages 10, a first epoch 10, train and eval 10,
# ReLU on the logits 20, a GPU 5.
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
import math
import re
import time
import warnings
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown

from nnweek import checks
from nnweek.checks.faulty_ladder import second_ladder
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
# different, so that no transposed array matches by accident, and everything is in 64 bits, so that rounding cannot hide
# a mistake. In the tables of the ladder, Δ is the largest difference from the lowest rung, first of the gradients
# (*grads*), then of the parameters after the step (*params*).

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


def table(ladder, rungs=None):
    """How far each rung is from the lowest of its ladder."""
    lowest = next(iter(ladder.values()))
    lines = ["| rung | loss | Δ grads | Δ params |", "|---|---|---|---|"]
    for rung in rungs or ladder:
        loss, *arrays = ladder[rung]
        apart = [
            max(np.abs(a - b).max() for a, b in zip(mine, first, strict=True))
            for mine, first in zip(arrays, lowest[1:], strict=True)
        ]
        grads, moved = (f"{a:.0e}" if a else "0" for a in apart)
        lines.append(f"| {rung} | {loss:.10f} | {grads} | {moved} |")
    return Markdown("\n".join(lines))


def climb(rung, loss, gradients, parameters):
    """Add a rung to the ladder, and show it."""
    ladder[rung] = (float(loss), in_numpy(gradients), in_numpy(parameters))
    return table(ladder, [rung])


# %%
loss, probs, cache = by_hand.loss(X, y)
gradients = by_hand.backward(probs, cache, y)
stepped = [p - LR * g for p, g in zip(start, gradients, strict=True)]
climb("0 NumPy", loss, gradients, stepped)

# %% [markdown]
# ### Rung 1: tensors
#
# A *tensor* is PyTorch's array. Most of what you know from NumPy carries over, with `dim` for `axis` here and there. Of
# a tensor you need to know three things: its *shape*; its *dtype*, which is the type of its numbers; and its *device*,
# which is where they are, on the CPU or on a GPU. Two tensors that meet in an operation must be on one device, and their
# shapes must match as in NumPy. A sum of two dtypes is converted, as in NumPy, but a matrix product of two dtypes is an
# error. You will read the common error messages below.
#
# *Predict before you run:* what are the dtypes of these four tensors?

# %%
from_floats = torch.tensor([1.0, 2.0])
from_integers = torch.tensor([1, 2])
from_array = torch.from_numpy(np.array([1.0, 2.0]))
for tensor in (from_floats, from_integers, from_array, from_array.float()):
    print(tensor.dtype)

# %% tags=["remove-cell"]
with text_says("PyTorch makes 32-bit floats, and NumPy's arrays keep 64 bits"):
    assert from_floats.dtype == torch.float32
    assert from_integers.dtype == torch.int64
    assert from_array.dtype == torch.float64
with text_says("a sum of two dtypes is converted"):
    assert (from_floats + from_array).dtype == torch.float64

# %% [markdown]
# PyTorch's own floats have 32 bits, and an array from NumPy keeps its 64. Whole numbers have 64 bits, which is what
# labels need. `.float()`, `.double()` and `.long()` convert.
#
# Three calls that you will meet: `t.reshape(2, 3)` arranges the same numbers in another shape, and `t.view(2, 3)`
# does the same but never copies, so it refuses where a copy would be needed. `t.unsqueeze(1)` adds an axis of length 1.
#
# So the first rung is Day 29 line by line, in another library.

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
# Differences around $10^{-16}$ are the last digit of a 64-bit float: the two libraries may add in another order. That
# is what *the same* will mean from here on.
#
# ### Rung 2: autograd
#
# Now the part that took us most of Day 29. Five words first.
#
# - `requires_grad=True` requests a gradient with respect to this tensor. Every operation on it is then recorded, and the
#   result requires a gradient, too.
# - A *leaf* is a tensor that no recorded operation has made. Parameters are leaves; scores and losses are not.
# - `loss.backward()` goes through the record from the loss to the leaves, and puts the gradient of each leaf that
#   requires one into its `.grad`.
# - Inside `with torch.no_grad():` nothing is recorded. A step belongs there, because it is not part of the network.
# - `t.detach()` is a tensor with the same numbers and no record behind it; `t.item()` is the number in a tensor that has
#   only one.
#
# Not one line of the backward pass is left to write.


# %%
def fresh_parameters():
    """The same start again, as tensors whose gradients are wanted."""
    return [torch.tensor(p, requires_grad=True) for p in start]


def loss_of(W1, b1, W2, b2):
    scores = torch.relu(X_t @ W1 + b1) @ W2 + b2
    # log p = s - log of the sum of all exp(s), without overflow
    log_probs = scores - scores.logsumexp(dim=1, keepdim=True)
    return -log_probs[torch.arange(N), y_t].mean()


parameters = fresh_parameters()
loss = loss_of(*parameters)
loss.backward()

gradients = [p.grad for p in parameters]
with torch.no_grad():  # a step is not part of the network
    stepped = [p - LR * p.grad for p in parameters]
climb("2 autograd", loss.item(), gradients, stepped)

# %% [markdown]
# Autograd recorded the forward pass and applied the chain rule to the record, as you did on paper.
#
# It has one habit that surprises everyone.
#
# *Predict before you run:* compute the loss and call `backward()` once more, on the same parameters. What is in `.grad`
# now?
#
# - a) The same as after the first call.
# - b) Twice as much.
# - c) Nothing: the second call is an error.

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
# `nn.functional.cross_entropy` takes the *scores*, which PyTorch calls *logits*. Softmax, logarithm and mean are inside.
# If you put a softmax of your own in front of it, two are applied.


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
# loss holds the first node, `loss.grad_fn`, and every node knows the next ones, so a program can walk through the
# graph. The folded cell does that, and collects what each node has kept.


# %% tags=["hide-input"]
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
# which is not needed. And ReLU keeps its *output* instead of its input, because $a_1 > 0$ exactly where $z_1 > 0$. This
# is your cache, found by the library.
#
# After `backward()` the kept values are released, so a second `backward()` of this loss is an error; compute the
# loss again, as we did above.
#
# Now read a graph yourself. Two things in it are new: `c` has the numbers of `y` and no history, and `d` is computed
# while nothing is recorded.
#
# ```python
# x = torch.tensor(2.0)
# w = torch.tensor(3.0, requires_grad=True)
# b = torch.tensor(1.0, requires_grad=True)
#
# y = w * x + b
# c = y.detach()
# with torch.no_grad():
#     d = w * b
# loss = c * w + y**2
#
# loss.backward()
# ```
#
# **Exercise 1.** *(about 8 minutes, medium)* Predict, on paper and without running it: what is in `w.grad` and in
# `b.grad`; what is in `w.grad` if all lines from `y = …` on run a second time; does `d` require a gradient; which of
# the seven tensors have something in `.grad` after the first pass (their names, in one text, separated by commas); and
# which operation is `y.grad_fn`?

# %%
read_autograd = {
    "w.grad": ...,  # your predictions
    "b.grad": ...,
    "w.grad after a second pass": ...,
    "d.requires_grad": ...,
    "have a .grad": ...,
    "y.grad_fn": ...,
}

checks.read_autograd(read_autograd)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# Put the numbers in from the top: $y = 7$. To autograd, which terms of the loss depend on $w$?
# </details>
#
# <details>
# <summary>Another hint</summary>
#
# For autograd, the loss is $7w + (wx + b)^2$, with 7 as a constant. Differentiate it with respect to $w$ and $b$ and
# put the numbers in.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def read_autograd():
#     return {
#         "w.grad": 35,  # c is the constant 7: 7 + 2 y x
#         "b.grad": 14,  # 2 y
#         "w.grad after a second pass": 70,
#         "d.requires_grad": False,
#         "have a .grad": "w, b",
#         "y.grad_fn": "AddBackward0",
#     }
# ```
# </details>
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
# *Predict before you run:* at $z = (1.5, -0.5)$, about which of the two entries will it complain?
#
# - a) About $1.5$.
# - b) About $-0.5$.
# - c) About both.

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
# Four separate tensors are easy to keep; forty are not. The next rungs take over the book-keeping.
#
# ### Rung 4: a module
#
# An `nn.Module` keeps parameters and knows its forward pass. Every `nn.Parameter` that is an attribute of the module is
# found by `model.parameters()`, however many there are. You write `forward`, but you call the *model*: `model(X_t)`
# runs `forward`, and with it everything that others have attached to the module.


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
#
# - a) $(3, 5)$
# - b) $(5, 3)$
# - c) $(4, 5)$

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
# Forget the transpose here, and PyTorch refuses, because the shapes do not match. That is luck, or rather the reason why
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
    f"**{forgotten:.1f}**; with the transpose, by {transposed:.1g}."
)

# %% tags=["remove-cell"]
with text_says("without the transpose the outputs are wrong, with it right"):
    assert forgotten > 0.5
    assert transposed < 1e-12

# %% [markdown]
# ### Rung 6: the optimizer
#
# The loop over the parameters goes into an *optimizer*: `torch.optim.SGD(model.parameters(), lr=LR)` knows the
# parameters and the learning rate, `zero_grad()` clears the old gradients, and `step()` moves every parameter as on Day
# 29. The loss becomes an object, too: `nn.CrossEntropyLoss()` makes a *criterion* that is called with the scores and
# the labels.
#
# **Exercise 2.** *(about 6 minutes, easy)* Put one training step together. It returns the loss as a plain number; a
# tensor would keep its graph in memory.


# %%
def train_step(model, images, labels, optimizer, criterion):
    """Take one step on one batch; return the loss before it, a float."""
    ...  # your code


checks.train_step(train_step)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# Five things in order: forget the old gradients, run forward, score, run backward, step. Rung 2 says how a tensor
# becomes a number.
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
# The sixth rung is your step, or the solution's if yours does not pass yet. The gradient is read off the parameters: it
# is how far they moved, divided by the learning rate.

# %%
(train_step,) = checks.or_solution(train_step)


def climb_with(rung, step, *inputs):
    """Let `step` take one step, as a rung of the ladder."""
    model = layered()
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)
    loss = step(model, *inputs, optimizer, criterion)
    stepped = in_numpy(our_layout(model.parameters()))
    gradients = [
        (before - after) / LR
        for before, after in zip(in_numpy(start), stepped, strict=True)
    ]
    return climb(rung, loss, gradients, stepped)


criterion = nn.CrossEntropyLoss()
climb_with("6 optimizer", train_step, X_t, y_t)

# %% [markdown]
# ### Rung 7: batches from a loader
#
# Eight examples fit into memory; sixty thousand may not. A *loader* hands them out in batches. Can the numbers still be
# the same? They can, thanks to the habit of `backward()`: gradients *add up* in `.grad`. Our loader makes batches of
# three, so the third one has only two examples.
#
# **Exercise 3.** *(about 10 minutes, medium)* Take *one* step from a list of batches, the same step as from one batch
# with all the examples, but with only one batch in the network at a time. Return the mean loss of all examples, a plain
# number. The criterion returns the mean over the batch that it gets.


# %%
def accumulate(model, batches, optimizer, criterion):
    """Take one step from a list of batches; return the mean loss."""
    ...  # your code


checks.accumulate(accumulate)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# What happens once, and what once per batch? And what would go wrong if each of the three batches counted the same?
# </details>
#
# <details>
# <summary>Another hint</summary>
#
# A mean over all examples is a weighted mean of the batches' means. The weight of a batch is its share of the examples,
# and the weight belongs in front of `backward()`.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def accumulate(model, batches, optimizer, criterion):
#     count = sum(len(labels) for _, labels in batches)
#     optimizer.zero_grad()  # once, before the first batch
#     total = 0.0
#     for images, labels in batches:
#         # A mean over this batch, times its share of all examples.
#         loss = criterion(model(images), labels) * len(labels) / count
#         loss.backward()  # adds to what the batches before have left
#         total += loss.item()
#     optimizer.step()
#     return total
# ```
# </details>

# %%
(accumulate,) = checks.or_solution(accumulate)
loader = DataLoader(TensorDataset(X_t, y_t), batch_size=3, shuffle=True)
climb_with("7 loader", accumulate, list(loader))

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
# Eight rungs, one set of numbers.
#
# ## The wrong rung
#
# A colleague has climbed five of the rungs again, with other examples, in the package's function `second_ladder`. It
# returns {rung: (loss, gradients, parameters)}, as our `ladder` does. One of its rungs has a bug. Here is its table:

# %%
table(second_ladder(examples=8, steps=1, seed=1))

# %% [markdown]
# All five agree to the last digit, and yet one of them will ruin a training run. So agreement on one input proves
# little; Day 30 said the same of tests. `second_ladder` takes three numbers: how many examples, how many steps, and a
# seed for the examples. With several steps, the table shows the last one. Change the numbers in the cell above and run
# it again.
#
# Six causes; one of them is at work.
#
# - `batches weighed equally`
# - `computed in 32 bits`
# - `gradients were not cleared`
# - `optimizer remembers earlier steps`
# - `softmax applied twice`
# - `weights transposed`
#
# **Exercise 4.** *(about 12 minutes, hard)* Find the rung and the cause by measuring, without reading the function.
# Several causes would show in the same rung, so look at *which* columns differ, and by how much.

# %%
wrong_rung = {"rung": ..., "cause": ...}  # your answer

checks.wrong_rung(wrong_rung)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# Change one of the three numbers at a time. Which of them makes a row differ?
# </details>
#
# <details>
# <summary>Another hint</summary>
#
# Is the loss of that rung right? Are its gradients? Subtract the right gradients from the wrong ones, such as
# `second_ladder(…)["0 NumPy"][1]`, and compare the difference with gradients that you know.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def wrong_rung():
#     return {"rung": 6, "cause": "gradients were not cleared"}
# ```
# </details>

# %% tags=["remove-cell"]
with text_says(
    "only the sixth rung is wrong, and only from the second step on"
):
    for settings in ({}, {"examples": 7}, {"seed": 5}):
        assert "e-0" not in table(second_ladder(**settings)).data
    twice = second_ladder(steps=2)
    for rung, (its_loss, its_gradients, _) in twice.items():
        apart = [
            np.abs(a - b).max()
            for a, b in zip(its_gradients, twice["0 NumPy"][1], strict=True)
        ]
        assert abs(its_loss - twice["0 NumPy"][0]) < 1e-12
        assert (max(apart) > 1e-3) == rung.startswith("6")
with text_says("its gradient is too large by that of the step before"):
    for wrong, right, before in zip(
        twice["6 optimizer"][1],
        twice["0 NumPy"][1],
        second_ladder()["0 NumPy"][1],
        strict=True,
    ):
        assert np.allclose(wrong - right, before)

# %% [markdown]
# ## Smaller steps, smaller numbers
#
# From here on we take a step after *every* batch instead of after the last, which gives other numbers, and far more
# steps for the same work. This is *stochastic gradient descent*, and it is how everything below is trained.
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
# the data before you train on it.

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
# These are arrays of whole numbers from 0 to 255. A network takes floats, and its weights have 32 bits; the criterion
# takes labels of 64 bits; and all of them must be on one device. A batch of images has four axes: images, channels
# (grey has one), rows, columns.
#
# **Exercise 5.** *(about 7 minutes, easy)* Turn arrays into tensors: `float32` images of shape $(N, 1, 28, 28)$ with
# values from 0 to 1, and `int64` labels, both on `device`.


# %%
def to_tensors(images, labels, device):
    """uint8 images (N, 28, 28) and labels (N,) as tensors on the device."""
    ...  # your code


checks.to_tensors(to_tensors)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# `torch.tensor(array, dtype=…)` makes a tensor with the numbers of an array.
# </details>
#
# <details>
# <summary>Another hint</summary>
#
# `.to(device)` does not move a tensor: it returns another one. The missing axis has length 1 and comes after the images.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def to_tensors(images, labels, device):
#     x = torch.tensor(images, dtype=torch.float32).unsqueeze(1) / 255
#     y = torch.tensor(labels, dtype=torch.int64)
#     return x.to(device), y.to(device)
# ```
# </details>
#
# Next, the batches. In PyTorch this takes two objects. A `torch.utils.data.Dataset` knows how many examples there are
# (`__len__`) and returns one of them (`__getitem__`, for `dataset[i]`). A `DataLoader` picks examples in some order and
# joins them into batches: `DataLoader(dataset, batch_size, shuffle=True)`. With `shuffle=True` the order is new in each
# *epoch*, which is one pass over all examples. It comes from PyTorch's global random generator, from which first weights
# are drawn as well: a network with one layer more would see its batches in another order. If two networks are to be
# compared, the order must depend on a seed and on nothing else.
#
# **Exercise 6.** *(about 12 minutes, medium)* Write a `Dataset` of your own around two tensors, images and labels, and
# return a `DataLoader` whose order follows from `seed`, whatever else has drawn random numbers. `DataLoader` takes a
# `torch.Generator` as `generator=`.


# %%
def seeded_loader(images, labels, batch_size, seed):
    """Shuffled batches, in an order that follows from the seed."""
    ...  # your code


checks.seeded_loader(seeded_loader)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# The `Dataset` is a class with two short methods, and may be defined inside your function. Which index picks the image,
# and which one the label?
# </details>
#
# <details>
# <summary>Another hint</summary>
#
# `torch.Generator()` makes a generator, and its method `manual_seed(seed)` sets and returns it.
# `torch.manual_seed(seed)`, without the class, seeds the global one.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def seeded_loader(images, labels, batch_size, seed):
#     class Pairs(torch.utils.data.Dataset):
#         def __len__(self):
#             return len(labels)
#
#         def __getitem__(self, i):
#             return images[i], labels[i]
#
#     own = torch.Generator().manual_seed(seed)
#     return DataLoader(Pairs(), batch_size, shuffle=True, generator=own)
# ```
# </details>
#
# From here on we use the package's own loaders. Besides batching, they do two things. They put part of the training set
# aside for *validation*: the network does not learn from these images, and choices are made on them, so that the test
# images remain unused until the end. And the loaders bring the pixels to mean 0 and standard deviation 1 over the
# training set, because a network learns faster from inputs of that size. The data fits into memory, so they pick a
# batch with one look-up instead of one per image.

# %%
to_tensors, seeded_loader = checks.or_solution(to_tensors, seeded_loader)
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
    labels.dtype,
)

# %% [markdown]
# *Predict before you run:* without any training, how many times as long does a batch of your loader take as one of the
# package's? *(a number)*

# %%
some = to_tensors(data.train_images[:6000], data.train_labels[:6000], device)
loaders = {
    "yours": seeded_loader(*some, BATCH_SIZE, SEED),
    "package": BatchLoader(*some, BATCH_SIZE, shuffle_seed=SEED),
}


def seconds_per_batch(loader):
    start = time.perf_counter()
    count = sum(1 for _ in loader)
    return (time.perf_counter() - start) / count


pauses = {
    name: min(seconds_per_batch(loader) for _ in range(3))
    for name, loader in loaders.items()
}

# %% tags=["hide-input"]
times = pauses["yours"] / pauses["package"]
Markdown(
    f"Yours: **{1000 * pauses['yours']:.2f} ms** per batch. The package's: "
    f"**{1000 * pauses['package']:.2f} ms**. That is {times:.0f} times as long."
)

# %% tags=["remove-cell"]
with text_says("one look-up per batch takes less time than one per image"):
    assert pauses["yours"] > 3 * pauses["package"]
with text_says("labels are 64-bit integers, and images 32-bit floats"):
    assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)

# %% [markdown]
# Yours is the usual way, and it still works if the data does not fit into memory. A `Dataset` that reads and decodes a
# file per image takes longer still, and then `num_workers=4` lets four other processes prepare the next batches. Day 32
# measures, in a complete training run, what the usual loader of the tutorials costs, which converts and normalises each
# image.
#
# ## The model
#
# Ours flattens an image to 784 numbers and sends it through two hidden layers of 256 ReLU units. The output is ten
# scores: no softmax and no ReLU at the end, because the loss wants raw scores.
#
# **Exercise 7.** *(about 5 minutes, easy)* Write it: a function that returns a fresh network, 784-256-256-10, from
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
# *Predict before you run:* each linear layer has one weight per pair of input and output, and one bias per output. How
# many parameters does the network have? *(a number)*

# %%
torch.manual_seed(SEED)  # the same weights, even if you run this cell again
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
# ## Two loops
#
# Training repeats the five lines of your `train_step`. An epoch takes one such step for every batch. The two loops below
# are those of the package. Both average over the *images*, not over the batches, since the last batch is smaller than
# the others.


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
# and `no_grad()`. What each of them does is a question for later.
#
# ## Six error messages
#
# Everybody who works with PyTorch meets these six, most of them in the first week. Each of the six lines below has one
# mistake.

# %%
layer, criterion = nn.Linear(784, 10), nn.CrossEntropyLoss()
pixels, digits = torch.rand(6, 784), torch.tensor([3, 1, 4, 1, 5, 9])
with torch.no_grad():
    unrecorded = criterion(layer(pixels), digits)
recorded = criterion(layer(pixels), digits)
recorded.backward()

broken = {
    1: lambda: layer(torch.from_numpy(np.random.rand(6, 784))),
    2: lambda: criterion(layer(pixels), digits.float()),
    3: lambda: layer(pixels.reshape(6, 1, 28, 28)),
    4: lambda: layer(pixels.to("meta")),  # a device that every machine has
    5: lambda: unrecorded.backward(),
    6: lambda: recorded.backward(),
}

# %% [markdown]
# *Predict before you run:* which of the six is about a dtype, which about a shape, which about a device and which about
# the graph?

# %%
messages = {}
for number, line in broken.items():
    try:
        line()
    except RuntimeError as error:
        messages[number] = str(error)
        print(f"{number}. {error}\n")

# %% tags=["remove-cell"]
with text_says("each of the six lines raises an error"):
    assert list(messages) == list(broken)
with text_says("the messages name dtypes, shapes, devices and the graph"):
    assert "Double and Float" in messages[1]
    assert "Long" in messages[2]
    assert "Float" in messages[2]
    assert "168x28 and 784x10" in messages[3]
    assert "cpu" in messages[4]
    assert "meta" in messages[4]
    assert "does not require grad" in messages[5]
    assert "second time" in messages[6]

# %% [markdown]
# For each: which tensor is meant, what is it, and what should it be? Write it down before you open the answer.
#
# <details>
# <summary>Message 1</summary>
#
# `Double` is `float64`, `Float` is `float32`. The first matrix is the images, which came from NumPy with 64 bits; the
# second is the layer's weight. Convert the images with `.float()`. Converting the model with `.double()` would also
# work, at twice the memory.
# </details>
#
# <details>
# <summary>Message 2</summary>
#
# The *target* is the labels, and `Long` is `int64`. A cross-entropy uses a label as an index, and a float is not one.
# Probably the labels were converted together with the images. Use `.long()`, and find out where the floats come from.
# (`Byte` is `uint8`, which this loss takes as well.)
# </details>
#
# <details>
# <summary>Message 3</summary>
#
# `784x10` is the layer, with 784 inputs. `168x28` is what the images look like to it: a layer takes the last axis for
# its inputs, here the 28 columns, and everything else for examples, here $6 \cdot 1 \cdot 28 = 168$ rows of pixels.
# Flatten each image first: `x.flatten(1)` or `nn.Flatten()`.
# </details>
#
# <details>
# <summary>Message 4</summary>
#
# Two devices in one operation. Which tensor stayed behind? Here the images were moved and the layer was not. On a
# machine with a GPU the message says `cuda:0` and `cpu`. (Tensors on `meta` have a shape and no numbers; that is why
# the mistake can be made on any machine.)
# </details>
#
# <details>
# <summary>Message 5</summary>
#
# *Element 0* is the loss. It has no `grad_fn`: nothing was recorded on the way to it, so there is nothing to go back
# through. Look for `no_grad()`, `detach()`, `.item()`, `argmax` or `torch.tensor(…)` between the parameters and the
# loss.
# </details>
#
# <details>
# <summary>Message 6</summary>
#
# The first `backward()` has released what the graph had kept. Usually something from an earlier step is still part of
# the loss, such as a sum of losses that was never turned into a number, or `backward()` is called in a loop that
# computes the loss outside. Compute the loss again; `retain_graph=True` only hides the cause.
# </details>
#
# ## A first epoch
#
# *Predict before you run:* what are loss and accuracy on the validation images before any training?

# %%
torch.manual_seed(SEED)
network = MNISTMLP().to(device)  # from scratch, even if run again
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
    f"| validation | loss | accuracy |\n|---|---|---|\n"
    f"| before training | {loss_before:.3f} | {acc_before:.1%} |\n"
    f"| after one epoch | {loss_after:.3f} | {acc_after:.1%} |\n\n"
    f"(log 10 is {np.log(10):.3f}.) On the way through the epoch, the training images had a mean loss of "
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
# Does it beat the network that you wrote yourself? Day 29's network has one hidden layer, is trained in NumPy, and gets
# the same batches in the same order at the same rate.
#
# *Predict before you run:* which of the two has the higher accuracy after one epoch, and by about how much?

# %%
yours = TwoLayerMLP(28 * 28, 256, 10, weight_scale=np.sqrt(2 / 784), seed=SEED)
train_loader.epoch = 0  # the epoch with the same order once more
for batch_images, batch_labels in train_loader:
    X_batch = batch_images.flatten(1).cpu().numpy()
    y_batch = batch_labels.cpu().numpy()
    _, batch_probs, batch_cache = yours.loss(X_batch, y_batch)
    steps = yours.backward(batch_probs, batch_cache, y_batch)
    for name, gradient in zip(NAMES, steps, strict=True):
        setattr(yours, name, getattr(yours, name) - DIGIT_LR * gradient)

X_val, y_val = (t.cpu().numpy() for t in val_loader.dataset.tensors)
own_scores, _ = yours.forward(X_val.reshape(len(X_val), -1))
acc_own = (own_scores.argmax(axis=1) == y_val).mean()

# %% tags=["hide-input"]
Markdown(
    f"Day 29's network: **{acc_own:.1%}**. Today's: **{acc_after:.1%}**, of "
    f"{len(y_val):,} validation images each."
)

# %% tags=["remove-cell"]
with text_says("the two networks are close to each other"):
    assert abs(acc_own - acc_after) < (0.5 if data.is_stand_in else 0.02)

# %% [markdown]
# They are close. (More than one thing differs: Day 29's weights follow He's rule and begin larger.) PyTorch computes the
# same gradients as you did. What it saves is your work: with three layers, ten or a hundred, the backward pass is still
# one call. Whether the second hidden layer gains anything, one epoch with one seed cannot show: Day 32 asks what a
# difference as small as this one means.
#
# Here are six validation images that the network gets right, and six of its mistakes:

# %%
images, labels = val_loader.dataset.tensors
with torch.no_grad():
    answers = network(images).argmax(dim=1)
right = (answers == labels).nonzero().squeeze(1)[:6]
wrong = (answers != labels).nonzero().squeeze(1)[:6]
shown = torch.cat([right, wrong])

# %% tags=["hide-input"] mystnb={"image": {"alt": "Twelve validation images: above six of them the digit that the network rightly gives, above the other six its wrong answer and the true label."}}
plot_images(
    images[shown, 0].cpu(),
    [
        f"{answer}" if answer == label else f"{answer}, not {label}"
        for answer, label in zip(
            answers[shown].tolist(), labels[shown].tolist(), strict=True
        )
    ],
    "What the network says after one epoch",
)
images, labels = images[:BATCH_SIZE], labels[:BATCH_SIZE]  # one batch

# %% [markdown]
# *How to read it:* a single digit above an image is the network's answer where it is right; where it is wrong, the true
# label follows. Which of the mistakes could you have made, too?
#
# ## train() and eval(), and no_grad()
#
# Three calls, and a famous confusion. One of PyTorch's own tutorials ([on
# TensorBoard](https://docs.pytorch.org/tutorials/beginner/introyt/tensorboardyt_tutorial.html)) calls
# `net.train(False)` before validating and comments, in the version that we read, that gradients need not be tracked. Is
# that what it does? Do not look it up; try it.
#
# We need a network in which something differs between training and evaluation. *Dropout* sets each value to zero with
# some probability, at random, so that no unit can rely on another. *BatchNorm* brings each unit to mean 0 and standard
# deviation 1 over the batch, multiplies and shifts the result by two numbers that it learns, and keeps a running mean
# for evaluation, where an image must not depend on its batch. Both behave differently in the two modes.
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
    "| mode | record | agree | change | graph | kB | ms |",
    "|---|---|---|---|---|---|---|",
]
for (mode, recording), seen in happens.items():
    yes_or_no = [
        "yes" if seen[question] else "no"
        for question in ("repeats", "changes", "records")
    ]
    lines.append(
        f"| `{mode}` | {'on' if recording else '`no_grad()`'} "
        f"| {' | '.join(yes_or_no)} | {seen['bytes'] / 1024:,.0f} "
        f"| {1000 * seen['seconds']:.2f} |"
    )
Markdown("\n".join(lines))

# %% tags=["remove-cell"]
with text_says("the first two columns follow the mode alone"):
    for (mode, _), seen in happens.items():
        assert seen["repeats"] == (mode == "eval()")
        assert seen["changes"] == (mode == "train()")
with text_says("a graph is recorded, and kept, exactly where recording is on"):
    for (_, recording), seen in happens.items():
        assert seen["records"] == recording
        assert (seen["bytes"] > 0) == recording
with text_says("in training mode the graph keeps more"):
    kept_in = {mode: happens[mode, True]["bytes"] for mode, _ in happens}
    assert kept_in["train()"] > 1.1 * kept_in["eval()"]
with text_says("the scores are the same with `no_grad()` and without it"):
    assert torch.allclose(
        happens["eval()", True]["scores"],
        happens["eval()", False]["scores"],
        atol=1e-5,
    )
with text_says("no graph can keep a result of `inference_mode()`"):
    with torch.inference_mode():
        numbers = torch.ones(2)
    weight = torch.ones(2, requires_grad=True)
    (numbers + weight).sum().backward()  # a sum keeps nothing
    try:
        (numbers * weight).sum().backward()
        kept_result = "no error"
    except RuntimeError as error:
        kept_result = str(error)
    assert "Inference tensors cannot be saved" in kept_result

# %% [markdown]
# The columns answer the questions in their order. Read the first two: they follow the *mode* alone. Whether a graph is
# there follows the *recording* alone. So neither switch does the other's work. (*How much* the graph keeps depends on
# the mode, too: in training mode there is a dropout mask to keep, and the statistics of the batch.)
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
# (`torch.inference_mode()` is a stricter `no_grad()`: no graph can keep its results, so a later loss that needs them for
# its gradient is an error.)
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
    for _ in range(math.ceil(STEPS / len(loader))):  # full epochs
        train_one_epoch(model, loader, optimizer, criterion)
    return model


def of_own_class(scores):
    """The score of each image's own class: one number per row."""
    return scores[torch.arange(len(few_labels)), few_labels]


@torch.no_grad()
def report(model):
    scores = model[0](few_images)  # before the last ReLU, where there is one
    logits = model(few_images)
    cut_off = of_own_class(scores) <= 0
    return {
        "never negative": logits.min().item() >= 0,
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
    "| seed | train | val | ReLU: train | val | lost | silent |",
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
below = [
    sum(not run["never negative"] for run in runs) for runs in (plain, cut)
]
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
    f"training images right with ReLU, {plain[worst]['train']:.1%} without.\n\n"
    f"Some logit is below 0 in {below[0]} of the {len(SEEDS)} networks without "
    f"the ReLU, and in **{below[1]}** of those with it."
)

# %% tags=["remove-cell"]
with text_says("without the ReLU, all networks say all digits"):
    assert not any(run["silent"] for run in plain)
with text_says("with it, some seeds lose a digit and some get away unharmed"):
    assert 2 <= len(mute) <= len(hurt) < len(SEEDS)
with text_says("no logit is negative with the ReLU, and some are without it"):
    assert all(run["never negative"] for run in cut)
    assert not any(run["never negative"] for run in plain)
with text_says("a digit that is never predicted is a lost one"):
    for run in cut:
        assert set(run["silent"]) <= set(run["lost"])
with text_says("networks that lose a digit are worse on their training images"):
    drops = [plain[seed]["train"] - cut[seed]["train"] for seed in hurt]
    assert sum(drops) > 0.05 * len(drops)
    assert data.is_stand_in or min(drops) > 0.03
    assert cut[worst]["train"] < plain[worst]["train"] - 0.15

# %% [markdown]
# *Train* and *val* are the accuracies on the training and the validation images, first without the ReLU and then with
# it. A digit is called *lost* here if the ReLU cuts its score off on more than nine tenths of its own images, and
# *silent* if the network never says it. Some seeds get away unharmed, others lose a digit or several, and it depends on
# nothing but the first weights and the order of the images.
#
# The symptom that you may notice first is *a class that is never predicted*: a network that never says "5" is wrong on
# every 5. But not all of the harmed networks show it, and it has other causes, such as a class that is missing from the
# training images. The direct test costs one line and catches all ten, the unharmed ones too: **is any logit below 0?**
# Raw scores of ten classes fall on both sides of 0; behind a ReLU, `logits.min() >= 0` for as many images as you like.
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
    at = low + 0.17 * (1 - low)  # away from the marks at both ends
    ax.text(at, at + 0.02, "both equal", rotation=45)
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
# A well-known course puts the same ReLU at the end of its network for Fashion-MNIST (clothes instead of digits), and its
# page suspects overfitting when the result disappoints. The page prints both numbers:

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
# The first number is a running value, as in our first epoch: part of it was scored by a network that knew less. So the
# real gap is a little wider. But overfitting cannot explain why the accuracy on the *training* images is only three
# quarters. It is a good course, and [a reader found the
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
# What pushes a score below zero in the first place? Two things may: the nine tenths of the images that belong to other
# classes, which all want it lower, and the first weights, which may have put it there before the first step. Watch the
# worst network. For each class: on what share of its own images is its score above zero?
#
# *Predict before you run:* before the first step, is that share near one half for all classes?


# %%
watched = small_network(worst, relu_at_the_end=True)
scores_of = watched[0]  # what goes into the last ReLU
optimizer = torch.optim.SGD(watched.parameters(), lr=DIGIT_LR)
loader = BatchLoader(few_images, few_labels, BATCH_SIZE, shuffle_seed=worst)
alive, at_step, step = [], [], 0


def share_alive():
    """For each class, the share of its images with a score above zero."""
    with torch.no_grad():
        above = of_own_class(scores_of(few_images)) > 0
    return [above[few_labels == c].float().mean().item() for c in range(10)]


for _ in range(math.ceil(STEPS / len(loader))):
    for batch_images, batch_labels in loader:
        if step % 3 == 0:
            alive.append(share_alive())
            at_step.append(step)
        train_step(watched, batch_images, batch_labels, optimizer, criterion)
        step += 1
alive = np.array([*alive, share_alive()])
at_step.append(step)

# %% tags=["hide-input"]
lost = cut[worst]["lost"]
others = [c for c in range(10) if c not in lost]
closest = min(others, key=lambda c: alive[:, c].min())
Markdown(
    "Share of its own images with a score above 0, before the first step: "
    + ", ".join(f"class {c} **{alive[0, c]:.1%}**" for c in lost)
    + f" (the lost ones); the others {min(alive[0, others]):.1%} to "
    f"{max(alive[0, others]):.1%}. Of the others, class {closest} came closest to "
    f"being lost: it fell to {alive[:, closest].min():.1%} and ended at "
    f"{alive[-1, closest]:.1%}."
)

# %% tags=["hide-input"] mystnb={"image": {"alt": "Share of each class's own images whose score is above zero, over the first training steps of one network: thin grey lines of most classes rise to one, one of them after coming close to zero, while the thick coloured lines of the lost classes begin near zero or fall to it, and stay there."}}
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
# class. Most of the lost classes began low, with fewer than a quarter of their images above 0: the first weights did
# that, and the first steps the rest. At exactly 0, no image of the class can lift its score again; only a change in the
# layers below could, by chance. It is Day 30's dead unit, with a class hanging on it. A line *near* 0 can come back, as
# one of the grey ones does: as long as a few images have a score above 0, they send a gradient that lifts it.

# %%
with torch.no_grad():
    own_scores = of_own_class(scores_of(few_images))
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
    "have a negative score for their own class. The smallest loss among them "
    f"is **{cheapest:.4f}**; log 10 is {np.log(10):.4f}. As long as they are stuck, "
    f"the loss cannot fall below {floor:.2f}; it is {each_loss.mean():.2f}. For "
    f"{all_zero:.1%} of the images *all ten* logits are 0."
)

# %% tags=["remove-cell"]
with text_says("an image with a negative score costs at least log 10"):
    assert cheapest >= np.log(10) - 1e-4
    assert each_loss.mean().item() >= floor
with text_says("many training images have a negative score for their class"):
    assert stuck.float().mean().item() > 0.1
with text_says("most of the lost classes began below a quarter"):
    assert data.is_stand_in or sum(alive[0][lost] < 0.25) > len(lost) / 2
with text_says("one of the others came back from near 0"):
    assert data.is_stand_in or 0 < alive[:, closest].min() < 0.05
    assert alive[-1, closest] > 0.5
with text_says("a line at 0 is a lost class, and the others rise to 1"):
    assert all(alive[-1][lost] < 0.2)
    assert sum(alive[-1][others]) > 0.8 * len(others)
with text_says("for some of the images all ten logits are 0"):
    assert all_zero > 0.05

# %% [markdown]
# The loss has a floor, which explains why it stalls. And where all ten logits are 0, the network gives every class one
# tenth, and `argmax` returns the first of the ten: so it says "0" far too often, which can even hide that the class 0
# itself is lost.
#
# The cure is to leave the last ReLU out. The tests for it are `logits.min() >= 0` and, for every other reason why a
# class may be lost, the count of each class's predictions. Both belong in every evaluation.
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
# And if you forget one of the two moves? That was the fourth of the six messages. Look for the tensor that was left
# behind, and remember that `model.to(device)` moves the model itself, while `images.to(device)` returns a new tensor,
# which needs a name.

# %% tags=["remove-cell"]
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
with text_says("dropout and a shuffling loader draw from one generator"):
    orders = []
    for drops in (False, True):
        torch.manual_seed(0)
        numbers = DataLoader(
            TensorDataset(torch.arange(20)), batch_size=5, shuffle=True
        )
        orders.append([])
        for _ in range(2):
            for (batch,) in numbers:
                orders[-1] += batch.tolist()
                if drops:
                    nn.functional.dropout(torch.ones(3))
    assert orders[0][:20] == orders[1][:20]
    assert orders[0] != orders[1]
with text_says("two softmaxes leave a loss of at least 1.46"):
    certain = torch.zeros(1, 10)
    certain[0, 3] = 1
    twice = nn.functional.cross_entropy(certain, torch.tensor([3])).item()
    assert abs(twice + np.log(np.e / (np.e + 9))) < 1e-6
    assert abs(twice - 1.46) < 0.005

# %% [markdown]
# ## Check yourself
#
# Decide on an answer before you open it.
#
# **1.** You forget `optimizer.zero_grad()`. What happens?
#
# - a) An error at the second step: gradients must be cleared before they are computed again.
# - b) Each step follows the sum of all gradients so far.
# - c) Nothing: `backward()` overwrites whatever an earlier call has left in `.grad`.
#
# <details>
# <summary>Answer</summary>
#
# **b.** `backward()` adds to `.grad`, which is useful when one gradient is gathered over several batches.
# a) PyTorch cannot know that you did not mean it: `accumulate` did.
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
# - a) Nothing; it costs time and memory.
# - b) The parameters change a little with each batch that is evaluated.
# - c) Dropout stays on, so two evaluations of the same network differ.
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
# **5.** You call `loss.backward()` twice in a row, on the loss of a network. What happens?
#
# - a) `.grad` holds twice the gradient, as if the loss had been computed twice.
# - b) The second call does nothing, since the gradients are there already.
# - c) An error: what the graph had kept is gone.
#
# <details>
# <summary>Answer</summary>
#
# **c.** The kept values are released during the first call.
# a) happens if you compute the loss again before the second call.
# b) PyTorch does not skip work silently: it says that it cannot do it.
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
# c) The softmax of probabilities is closer to equal shares than they are: of 0.7, 0.2 and 0.1 it makes 0.46, 0.28 and
# 0.25.
# </details>
#
# **7.** A network is right for three quarters of its validation images, and for about as many of its training images.
# It has never answered "8", although a tenth of the images are eights. What do you look at first?
#
# - a) At regularisation, such as dropout: the network overfits.
# - b) At the smallest of its logits.
# - c) At the amount of data: with more images of eights it would learn them.
#
# <details>
# <summary>Answer</summary>
#
# **b.** If no logit is below 0, there is a ReLU on them. A lost class alone is a hint, and has other causes as well;
# this test decides in one line.
# a) Overfitting would show as training images that go much better than validation images.
# c) It cannot learn the images that it has; more of the same kind will not change that.
# </details>
#
# **8.** Two networks should see the same batches in the same order. You call `torch.manual_seed(0)` before each of the
# two trainings, and the loader has `shuffle=True`. One network has dropout. What happens?
#
# - a) The orders differ: both draw from the same generator as dropout does.
# - b) The orders agree, because the seed is the same.
# - c) An error: a loader with `shuffle=True` needs a generator of its own.
#
# <details>
# <summary>Answer</summary>
#
# **a.** Dropout draws numbers between the batches, so the second epoch starts from another state.
# b) holds for the first epoch at most, and only if both networks drew their weights before.
# c) Without one, it takes the global generator.
# </details>
#
# ## Summary
#
# | by hand | in PyTorch |
# |---|---|
# | `backward` | `loss.backward()`, gradients added to `.grad` |
# | `cache` | the graph behind `loss.grad_fn`; `detach()` cuts it |
# | gradient check | `torch.autograd.gradcheck`, in 64 bits |
# | `W1, b1, W2, b2` | `model.parameters()`; `nn.Linear` stores $W^\top$ |
# | softmax and cross-entropy | `nn.CrossEntropyLoss()` on raw scores: no softmax, no ReLU before it |
# | `W -= lr * dW` | `optimizer.step()` |
# | start of a step | `optimizer.zero_grad()` |
# | all examples at once | batches from a `DataLoader` with a `torch.Generator` of its own |
# | arrays | tensors: shape, dtype (`float32`, labels `int64`), device |
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
# - PyTorch, [Autograd mechanics](https://docs.pytorch.org/docs/stable/notes/autograd.html), on what is saved, on
#   `no_grad` and `eval`.
# - PyTorch, [gradcheck](https://docs.pytorch.org/docs/stable/notes/gradcheck.html), how its comparison works.
# - LeCun, Bottou, Bengio and Haffner (1998), [Gradient-based learning applied to document
#   recognition](http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf), where MNIST comes from.
