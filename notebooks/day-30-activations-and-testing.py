# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Day 30 – Activations and testing
#
# Yesterday's network used ReLU. Why ReLU, and what changes with another activation? Today you derive the slopes, write
# a backward pass for any number of layers, and compute what happens to a gradient in a deep network before you measure
# it. Then comes the habit that keeps all of this honest: finding bugs by method, and writing tests that a wrong network
# cannot pass.
#
# **You will be able to**
#
# - derive the slopes of ReLU, sigmoid and tanh, and say where each passes a gradient on;
# - write the backward pass of a network with any number of layers;
# - compute how large the initial weights should be, and what six sigmoids leave of a gradient;
# - say when a sigmoid is fine and when it is far too slow, from measurements over several seeds;
# - find a bug by method: symptom, hypothesis, experiment;
# - write tests of a network, and grade them by the bugs that they catch.
#
# **Time** about 220 minutes: activations 30, a first comparison 5, inside a deep network 25, initial weights 45,
# the study 25, animation 5, debugging 35, testing 40, questions and summary 10.
#
# **You need** Day 29, and paper.

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
# - Forward: linear map, …, linear map, …, and then the loss, which is the …
# - Backward: at the scores the gradient is …; from there the … rule leads down, one layer at a time.
# - The gradient check compares `backward` with …, because the two share no …
#
# Fill in the seven gaps before you look.
#
# <details>
# <summary>The gaps</summary>
#
# Forward: linear map, *activation*, linear map, *softmax*, and then the *mean cross-entropy*. Backward: at the scores the
# gradient is $(p - Y)/N$; from there the *chain* rule leads down. The gradient check compares `backward` with *centred
# differences of the loss*, because the two share no *code*.
# </details>

# %% tags=["hide-input"]
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import HTML, Markdown
from matplotlib.colors import to_rgba

from nnweek import checks, results
from nnweek.gradcheck import grad_check, norm_ratio, numerical_gradient
from nnweek.notebook import progress_bar, text_says
from nnweek.plots import COLORS, GREY, INK, STYLE, TILE, plot_curves
from nnweek.scratch import TwoLayerMLP, train_numpy
from nnweek.toy import make_spirals, make_toy_data


def behind_a_click(title, text):
    return Markdown(
        f"<details>\n<summary>{title}</summary>\n\n{text}\n\n</details>"
    )


# %% [markdown]
# Change these numbers and run the rest again. The text describes the run with the numbers as they are here.

# %% tags=["parameters"]
SEED = 42
EPOCHS = 150  # of the first comparison
LR = 0.3

# %%
X_toy, y_toy = make_toy_data(80, seed=SEED)

# %% [markdown]
# ## Three activations
#
# What does an activation have to do? Two things. It must not be a straight line, so that two layers do not collapse into
# one linear map. And its slope must let enough of a gradient through, so that the layer below can learn. Here are three
# activations; you fill in the last column.
#
# | name | value | slope |
# |---|---|---|
# | ReLU | $\max(0, z)$ | |
# | sigmoid | $\sigma(z) = 1 / (1 + e^{-z})$ | |
# | tanh | $\tanh z = (e^z - e^{-z}) / (e^z + e^{-z})$ | |
#
# **Exercise 1.** *(about 3 minutes, easy)* Sketch $\max(0, z)$. How steep is it on either side of 0? Write its
# derivative as a function of the *pre-activation* $z$, the value before the activation, as in `dz1 = da1 * relu_grad(z1)`.


# %%
def relu_grad(z):
    """The derivative of max(0, z), an array like z."""
    ...  # your code


checks.relu_grad(relu_grad)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# A comparison gives an array of truth values; as numbers they are ones and zeros. At exactly $z = 0$ both 0 and 1 are
# accepted.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def relu_grad(z):
#     return (z > 0).astype(z.dtype)
# ```
# </details>
#
# The formula of the sigmoid has a trap: for $z = -1000$ it needs $e^{1000}$, which is more than a float can hold.
#
# **Exercise 2.** *(about 8 minutes, medium)* Write a sigmoid that gives the right answer, without a warning, for any $z$
# from $-1000$ to $1000$.


# %%
def sigmoid(z):
    """1 / (1 + exp(-z)), an array like z."""
    ...  # your code


checks.sigmoid(sigmoid)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# For $z < 0$ multiply numerator and denominator by $e^z$: $\sigma(z) = e^z / (1 + e^z)$. Now no exponential is large.
# </details>
#
# <details>
# <summary>Another hint</summary>
#
# `np.where` computes *both* of its branches for every entry and only then chooses. So make the exponential harmless
# before: $e^{-|z|}$ is never above 1, and both forms of the formula can be written with it.
# </details>
#
# <details>
# <summary>Another hint</summary>
#
# Or write $1 + e^{-z}$ as $e^{\log(1 + e^{-z})}$: NumPy's `logaddexp(0, -z)` computes that logarithm without ever forming
# the large number.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def sigmoid(z):
#     # exp(−|z|) is at most 1, whichever sign z has.
#     small = np.exp(-np.abs(z))
#     return np.where(z >= 0, 1, small) / (1 + small)
# ```
# </details>
#
# **Exercise 3.** *(about 7 minutes, medium)* Derive $\sigma'$ on paper: $\sigma = 1/u$ with $u = 1 + e^{-z}$. Then rewrite
# the result so that it contains only $\sigma$ itself, and code it, again as a function of $z$.


# %%
def sigmoid_grad(z):
    """The derivative of the sigmoid at z, an array like z."""
    ...  # your code


checks.sigmoid_grad(sigmoid_grad)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# $(1/u)' = -u'/u^2$, and $u' = -e^{-z}$. So $\sigma' = e^{-z} / u^2$, which is $\frac{1}{u} \cdot \frac{e^{-z}}{u}$. The first
# factor is $\sigma$. What is the second, if you write $e^{-z}$ as $u - 1$?
# </details>
#
# <details>
# <summary>Another hint</summary>
#
# $(u - 1)/u = 1 - 1/u$. Compute $s = \sigma(z)$ first; the formula contains $s$, not $z$.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def sigmoid_grad(z):
#     s = sigmoid(z)
#     return s * (1 - s)
# ```
# </details>
#
# **Exercise 4.** *(about 5 minutes, medium)* Derive $\tanh'$ in the same way: $\tanh = S/C$ with $S = e^z - e^{-z}$ and
# $C = e^z + e^{-z}$. The forward pass has already stored $a = \tanh z$. Write the slope as a function of this $a$, so
# that the backward pass needs no further exponential.


# %%
def tanh_slope(a):
    """The slope of tanh at the z for which tanh(z) is a, an array like a."""
    ...  # your code


checks.tanh_slope(tanh_slope)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# $S' = C$ and $C' = S$. The quotient rule is $(S/C)' = (S'C - SC')/C^2$.
# </details>
#
# <details>
# <summary>Another hint</summary>
#
# Split the fraction: $C^2/C^2 - S^2/C^2$. What is $S/C$?
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def tanh_slope(a):
#     return 1 - a**2
# ```
# </details>
#
# The package computes all slopes from $z$; the sigmoid's uses $1 - \sigma(z) = \sigma(-z)$. Both forms are common. What
# goes wrong is to mix them: a slope written for $a$ that gets $z$, or the other way round. A gradient check shows it.


# %% tags=["hide-input"]
def relu(z):
    return np.maximum(0, z)


def relu_grad(z):
    return (z > 0).astype(z.dtype)


def sigmoid(z):
    return np.exp(-np.logaddexp(0, -z))


def sigmoid_grad(z):  # sigmoid(z) * sigmoid(-z)
    return np.exp(-np.logaddexp(0, -z)) * np.exp(-np.logaddexp(0, z))


def tanh(z):
    return np.tanh(z)


def tanh_grad(z):
    return 1 - np.tanh(z) ** 2


ACTIVATIONS = {
    "ReLU": (relu, relu_grad),
    "sigmoid": (sigmoid, sigmoid_grad),
    "tanh": (tanh, tanh_grad),
}

extreme = np.array([-1000.0, 0.0, 1000.0])
with np.errstate(over="raise"):  # an overflow would stop us here
    print(sigmoid(extreme))

# %% [markdown]
# *Predict before you run:* which two derivatives are largest just right of $z = 0$? Which one is largest at $z = 4$?

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two panels, one above the other, from minus five to five. Above, the activations: ReLU is flat and then rises without end, the sigmoid rises from zero to one, tanh from minus one to one. Below, their derivatives: ReLU's jumps from zero to one at zero, tanh's is a narrow bell that reaches one, the sigmoid's is a wide bell that reaches a quarter."}}
COLOR = dict(zip(["ReLU", "sigmoid", "tanh"], COLORS, strict=False))
DASH = {"ReLU": "-", "sigmoid": "--", "tanh": "-."}
z = np.linspace(-5, 5, 401)
with plt.rc_context(STYLE):
    figure, axes = plt.subplots(2, 1, figsize=(4.6, 5), sharex=True)
    for name, functions in ACTIVATIONS.items():
        for ax, function in zip(axes, functions, strict=True):
            ax.plot(
                z,
                function(z),
                color=COLOR[name],
                linestyle=DASH[name],
                label=name,
            )
    axes[0].set(title="The activations", ylabel="Value", ylim=(-1.2, 2.2))
    axes[1].set(
        title="Their derivatives",
        xlabel="Pre-activation $z$",
        ylabel="Derivative",
    )
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3)
    plt.show()

# %% [markdown]
# *How to read it:* the height in the lower panel is the factor by which a gradient is multiplied on its way down through
# the activation. Just right of 0 ReLU and tanh are both at 1; at 4 ReLU still is, while the sigmoid has $0.018$ and tanh
# $0.001$. Far from zero the factors of sigmoid and tanh vanish: the unit is *saturated*. ReLU's factor is one or zero: a
# unit learns fully from an example, or not at all. The completed table, to compare with yours:
#
# | name | slope from $z$ | slope from $a$ |
# |---|---|---|
# | ReLU | $1$ if $z > 0$, else $0$ | $1$ if $a > 0$, else $0$ |
# | sigmoid | $\sigma(z)\,\sigma(-z)$ | $a\,(1 - a)$ |
# | tanh | $1 - \tanh^2 z$ | $1 - a^2$ |
#
# ## A first comparison
#
# The same network, the same data, the same learning rate, the same initial weights; only the activation differs.
#
# *Predict before you run:* which loss falls faster?

# %%
HIDDEN, SCALE = 16, 0.1
curves = {}
for activation in ["relu", "sigmoid"]:
    model = TwoLayerMLP(
        2, HIDDEN, 2, activation=activation, weight_scale=SCALE, seed=SEED
    )
    curves[activation] = train_numpy(
        model, X_toy, y_toy, lr=LR, epochs=EPOCHS, verbose=False
    )

# %% tags=["hide-input"] mystnb={"image": {"alt": "Training loss of both networks on shared axes: the ReLU network's loss falls within the first twenty epochs, the sigmoid network's stays higher throughout."}}
plot_curves(
    {"ReLU": curves["relu"], "sigmoid": curves["sigmoid"]},
    "Training loss of two networks",
    "Epoch",
    "Loss",
)

# %% tags=["hide-input"]


def epochs_to_reach(level, losses):
    """The first epoch with a loss below this level, or infinity."""
    below = [epoch for epoch, loss in enumerate(losses, 1) if loss < level]
    return min(below, default=np.inf)


reached = {
    name: epochs_to_reach(0.3, losses) for name, losses in curves.items()
}
after = {
    name: f"after **{epochs}** epochs" if epochs < np.inf else "**never**"
    for name, epochs in reached.items()
}
Markdown(
    f"The loss falls below 0.3 {after['relu']} with ReLU and "
    f"{after['sigmoid']} with sigmoid; it ends at "
    f"{curves['relu'][-1]:.4f} and {curves['sigmoid'][-1]:.4f}."
)

# %% tags=["remove-cell"]
with text_says("ReLU is faster and ends at the lower loss"):
    assert reached["relu"] < reached["sigmoid"]
    assert curves["relu"][20] < 0.15
    assert curves["relu"][-1] < curves["sigmoid"][-1] < 0.3
    results.record(
        "activation_final_loss",
        {activation: losses[-1] for activation, losses in curves.items()},
        dataset="toy",
        day=30,
        settings={
            "seed": SEED,
            "epochs": EPOCHS,
            "lr": LR,
            "hidden": HIDDEN,
            "weight_scale": SCALE,
            "examples": len(X_toy),
        },
    )

# %% [markdown]
# So ReLU wins? On this task, with this learning rate, from this seed. That is *one* comparison, and it cannot say why.
# To see why, we have to look inside, and inside something deeper.
#
# ## Inside a deep network
#
# A network with many layers is yesterday's network, repeated: each layer takes the activations of the layer below, and only
# the last one, which gives the scores, has no activation. Its weights are a list, `Ws = [W1, W2, …]`, and so are its biases.
# You will need yesterday's softmax:


# %%
def softmax(scores):
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


# %% [markdown]
# **Exercise 5.** *(about 20 minutes, hard)* Write the backward pass for any number of layers, with ReLU between them: a
# loop up that keeps every $z$ and every $a$, and a loop down. Yesterday's three lines for a layer are all you need. Draw
# three layers on paper first, and write beside each arrow what goes up and what comes down. A bias gradient may have the
# shape $(H,)$ or $(1, H)$.


# %%
def backward_deep(X, y, Ws, bs):
    """The gradients (dWs, dbs) of the mean cross-entropy, one array per layer."""
    ...  # your code


checks.backward_deep(backward_deep)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# Up: start with `activations = [X]`, and append $z$ and $a$ of each layer. Down: start with $(p - Y)/N$ at the scores. In each
# round, from the $dz$ of a layer you get its `dW` and its `db`, and the $dz$ of the layer below.
# </details>
#
# <details>
# <summary>Another hint</summary>
#
# `for layer in reversed(range(len(Ws)))` counts down to 0. Insert each gradient at the front of its list. The input of layer 0
# is `X`, and below it there is nothing to compute.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def backward_deep(X, y, Ws, bs):
#     zs, activations = [], [X]
#     for W, b in zip(Ws, bs, strict=True):
#         zs.append(activations[-1] @ W + b)
#         activations.append(np.maximum(0, zs[-1]))
#
#     dz = softmax(zs[-1])  # the scores: the last layer has no activation
#     dz[np.arange(len(y)), y] -= 1
#     dz /= len(y)
#
#     dWs, dbs = [], []
#     for layer in reversed(range(len(Ws))):
#         dWs.insert(0, activations[layer].T @ dz)
#         dbs.insert(0, dz.sum(axis=0, keepdims=True))
#         if layer > 0:
#             dz = (dz @ Ws[layer].T) * (zs[layer - 1] > 0)
#     return dWs, dbs
# ```
# </details>
#
# In mathematics, the loop down is this for every layer $l$, with any activation $f$:
#
# $$\begin{aligned}
# dW_l &= a_{l-1}^T\, dz_l \\
# db_l &= \textstyle\sum_n dz_{l,n} \\
# dz_{l-1} &= (dz_l\, W_l^T) \odot f'(z_{l-1})
# \end{aligned}$$
#
# Here $\odot$ multiplies entry by entry. That is all of backpropagation for layers in a row; a thousand layers need no
# further line.
#
# Two questions before you go on. Which lines of your function change if the activation is tanh? And which if the loss is the
# squared error, the mean over the examples of $\sum_c (s_c - t_c)^2$ for the scores $s$ and targets $t$?
#
# <details>
# <summary>What changes, and what does not</summary>
#
# For tanh: `np.tanh` in the loop up, and `1 - activations[layer] ** 2` in place of `zs[layer - 1] > 0` in the loop down. For
# squared error: only the first `dz`, which is $2(s - t)/N$, without a softmax. All other lines stay, and the
# last layer still has no activation.
# </details>

# %% tags=["remove-cell"]
with text_says("for tanh and the squared error only these lines change"):
    rng = np.random.default_rng(0)
    X_, T_ = rng.standard_normal((6, 3)), rng.standard_normal((6, 2))
    Ws_ = [0.7 * rng.standard_normal(s) for s in [(3, 5), (5, 4), (4, 2)]]

    def scores_of(Ws):
        activations = [X_]
        for W in Ws[:-1]:
            activations.append(np.tanh(activations[-1] @ W))
        return activations[-1] @ Ws[-1], activations

    scores_, activations_ = scores_of(Ws_)
    dz_, found = 2 * (scores_ - T_) / len(T_), []
    for layer in reversed(range(3)):
        found.insert(0, activations_[layer].T @ dz_)
        if layer > 0:
            dz_ = (dz_ @ Ws_[layer].T) * (1 - activations_[layer] ** 2)
    for layer in range(3):

        def squared_error(W, layer=layer):
            scores, _ = scores_of([*Ws_[:layer], W, *Ws_[layer + 1 :]])
            return ((scores - T_) ** 2).sum(axis=1).mean()

        assert (
            norm_ratio(
                numerical_gradient(squared_error, Ws_[layer]), found[layer]
            )
            < 1e-8
        )

# %% [markdown]
# The measurements below compare several seeds. The class in the folded cell is your loop with one more axis in front, one
# entry per network, so that NumPy's `@` computes all of them at once. You do not need to read it. Two experiments
# make sure that it is right: with one hidden layer it must agree with `TwoLayerMLP`, and with five layers it must agree with
# finite differences.


# %% tags=["hide-input"]
class DeepMLP:
    """Networks of one shape, one per seed: weights (S, fan_in, fan_out)."""

    def __init__(self, sizes, activation, std, seeds):
        self.activate, self.activation_grad = ACTIVATIONS[activation]
        self.W, self.b = [], []
        for fan_in, fan_out in zip(sizes, sizes[1:], strict=False):
            shape, layer = (fan_in, fan_out), len(self.W)
            draws = [
                np.random.default_rng([seed, layer]).standard_normal(shape)
                for seed in seeds
            ]
            self.W.append(std(fan_in, fan_out) * np.stack(draws))
            self.b.append(np.zeros((len(seeds), 1, fan_out)))

    def forward(self, X):
        """Scores (S, N, C), with every layer's z and a for the way back."""
        zs, activations = [], [X[None]]  # (1, N, D): the same for all
        for W, b in zip(self.W, self.b, strict=True):
            zs.append(activations[-1] @ W + b)
            activations.append(self.activate(zs[-1]))
        return zs[-1], zs, activations

    def gradients(self, X, y):
        """The losses (S,), and for each layer dW and db."""
        scores, zs, activations = self.forward(X)
        scores = scores - scores.max(axis=2, keepdims=True)
        probs = np.exp(scores)
        probs /= probs.sum(axis=2, keepdims=True)
        N = len(y)
        chosen = probs[:, np.arange(N), y]
        losses = -np.log(np.maximum(chosen, 1e-12)).mean(axis=1)

        dz = probs  # the last layer has no activation
        dz[:, np.arange(N), y] -= 1
        dz /= N
        dWs, dbs = [], []
        for layer in reversed(range(len(self.W))):
            dWs.insert(0, np.swapaxes(activations[layer], 1, 2) @ dz)
            dbs.insert(0, dz.sum(axis=1, keepdims=True))
            if layer > 0:
                da = dz @ np.swapaxes(self.W[layer], 1, 2)
                dz = da * self.activation_grad(zs[layer - 1])
        return losses, dWs, dbs

    def step(self, X, y, lr):
        losses, dWs, dbs = self.gradients(X, y)
        for layer, (dW, db) in enumerate(zip(dWs, dbs, strict=True)):
            self.W[layer] -= lr * dW
            self.b[layer] -= lr * db
        return losses


# %% tags=["hide-input"]
X_few, y_few = make_spirals(4)
two_layers = TwoLayerMLP(2, 5, 2, activation="tanh", weight_scale=0.5, seed=0)
deep = DeepMLP([2, 5, 2], "tanh", lambda i, o: 1.0, seeds=[0])
deep.W, deep.b = (
    [two_layers.W1[None].copy(), two_layers.W2[None].copy()],
    [two_layers.b1[None].copy(), two_layers.b2[None].copy()],
)
_, probs, cache = two_layers.loss(X_few, y_few)
dW1, db1, dW2, db2 = two_layers.backward(probs, cache, y_few)
_, dWs, dbs = deep.gradients(X_few, y_few)
agreement = max(
    np.abs(a[0] - b).max()
    for a, b in zip([*dWs, *dbs], [dW1, dW2, db1, db2], strict=True)
)

five_layers = DeepMLP(
    [2, 6, 6, 6, 6, 2], "sigmoid", lambda i, o: 1.5, seeds=[1]
)
_, dWs, _ = five_layers.gradients(X_few, y_few)
W, step = five_layers.W[0], 1e-5
W[0, 1, 2] += step
above = five_layers.gradients(X_few, y_few)[0][0]
W[0, 1, 2] -= 2 * step
below = five_layers.gradients(X_few, y_few)[0][0]
W[0, 1, 2] += step
first_layer = dWs[0][0, 1, 2]
numerical = (above - below) / (2 * step)
deep_error = abs(numerical - first_layer) / (abs(numerical) + abs(first_layer))
Markdown(
    f"Against the checked network: difference {agreement:.0e}. A weight of the "
    "first of five layers, against finite differences: relative error "
    f"**{deep_error:.0e}**."
)

# %% tags=["remove-cell"]
with text_says("both networks have the same gradients"):
    assert agreement < 1e-12
with text_says("the gradient of a deep network agrees with finite differences"):
    assert deep_error < 1e-5

# %% [markdown]
# ## How large should the weights be?
#
# Before training, a network should neither shrink nor enlarge what passes through it. How large do the weights have to be
# for that? Follow the *mean square* through one layer; it says how large the numbers are, whatever their signs.
#
# 1. One product $w x$, with independent $w$ and $x$: the mean of $w^2 x^2$ is the mean of $w^2$ times the mean of $x^2$. If $w$
#    has mean 0, its mean square is its variance.
# 2. One value $z = \sum_i w_i x_i$ has $n_\text{in}$ such terms. Squaring a sum gives squares and mixed terms $w_i x_i w_j x_j$.
#    The weights have mean 0 and are independent, so the mean of each mixed term is 0. What is left is a sum of
#    $n_\text{in}$ equal means.
# 3. A ReLU sets every negative $z$ to 0. Since $z$ is distributed symmetrically around 0, half of the mean square goes.
# 4. The next layer begins again at step 1.
#
# **Exercise 6.** *(about 8 minutes, medium)* A layer has 50 inputs with mean square 1. Its weights have mean 0 and standard
# deviation $0.1$; all biases are 0. Compute on paper: the mean square of $z$; the mean square of $a$, after the ReLU; the mean
# square of $a$ after ten such layers in a row, each with 50 units; and the variance of the weights that would keep the mean square of
# $a$ at 1. You may leave gaps and check what you have.

# %%
variance = {
    "z": ...,  # your numbers
    "a": ...,
    "after ten layers": ...,
    "variance that keeps it": ...,
}

checks.variance(variance)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# Steps 1 and 2 together: the mean of $z^2$ is $n_\text{in} \cdot \text{Var}(w) \cdot$ the mean of $x^2$. What is the variance,
# if the standard deviation is $0.1$?
# </details>
#
# <details>
# <summary>Another hint</summary>
#
# Step 3 removes half of the sum of squares. Each layer multiplies the mean square by the same factor, so ten layers give a tenth
# power. To keep it, the factor must be 1.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def variance():
#     return {
#         "z": 50 * 0.1**2,
#         "a": 50 * 0.1**2 / 2,
#         "after ten layers": (50 * 0.1**2 / 2) ** 10,
#         "variance that keeps it": 2 / 50,
#     }
# ```
# </details>
#
# Is it true? Ten layers of 100 units, for three sizes of the weights; the middle one is your answer's rule.


# %%
def size_after(layers, variance_of_weights, rng):
    """The root mean square of the activations after some layers."""
    a = rng.standard_normal((200, 100))
    for _ in range(layers):
        W = np.sqrt(variance_of_weights) * rng.standard_normal((100, 100))
        a = relu(a @ W)
    return np.sqrt((a**2).mean())


sizes = {
    numerator: size_after(10, numerator / 100, np.random.default_rng(SEED))
    for numerator in (1, 2, 4)
}

# %% tags=["hide-input"]
Markdown(
    "Size after ten layers: "
    + ", ".join(
        f"**{size:.3g}** with variance {numerator}/100"
        for numerator, size in sizes.items()
    )
    + ". Expected were 1/32 (the root of 1/2, ten times), 1 and 32, "
    "up to a common factor that these draws happen to have."
)

# %% tags=["remove-cell"]
with text_says("the middle variance keeps the size"):
    assert 0.3 < sizes[2] < 2
with text_says("half and double the variance change it by a factor of 32 each"):
    assert abs(sizes[4] / sizes[2] - 32) < 1
    assert abs(sizes[2] / sizes[1] - 32) < 1

# %% [markdown]
# The variance that keeps the size of the numbers in a network with ReLU is **He's** rule: your last answer, for any number of
# inputs. A tanh is nearly the identity around 0 and removes nothing, so there a variance of $1/n_\text{in}$ keeps the
# size.
#
# Now the way back. A gradient $da_i = \sum_k w_{ik}\, dz_k$ is a sum over the *outputs* of the layer, so without a ReLU,
# steps 1 and 2 give $1/n_\text{out}$. A layer with different numbers of inputs and outputs cannot have both. **Xavier's**
# rule takes the mean of the two numbers: $1 / \frac{n_\text{in} + n_\text{out}}{2} = 2/(n_\text{in} + n_\text{out})$.
#
# **Exercise 7.** *(about 5 minutes, easy)* Draw the weights of one layer by He's rule, from a normal distribution.


# %%
def init_weights(fan_in, fan_out, rng):
    """He-normal weights (fan_in, fan_out), drawn from the Generator rng."""
    ...  # your code


checks.init_weights(init_weights)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# `rng.standard_normal(shape)` has variance 1. Multiplying by $c$ makes the variance $c^2$.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def init_weights(fan_in, fan_out, rng):
#     return rng.normal(0, np.sqrt(2 / fan_in), size=(fan_in, fan_out))
# ```
# </details>
#
# Now a sigmoid. Take a network with six hidden layers. Its weights neither shrink nor enlarge the gradient, so only the
# slopes of the sigmoids count. The gradient of the last weight matrix passes none of them, that of the first one passes
# all six.
#
# **Exercise 8.** *(about 6 minutes, medium)* Compute a bound: how large is the slope of a sigmoid at most; what do six of
# them leave of a gradient at most; by which factor, at least, is the gradient at the last layer larger than at
# the first; and by which factor would each layer's weights have to enlarge the gradient to make up for one sigmoid?

# %%
bound = {
    "one sigmoid": ...,  # your numbers
    "six sigmoids": ...,
    "last over first": ...,
    "factor to make up for one": ...,
}

checks.bound(bound)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# The slope is $s(1 - s)$ with $s$ between 0 and 1. That is a parabola in $s$; where is its top?
# </details>
#
# <details>
# <summary>Another hint</summary>
#
# The chain rule multiplies the slopes along the way: six factors. *Last over first* is the reciprocal of what is left.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def bound():
#     return {
#         "one sigmoid": 1 / 4,
#         "six sigmoids": (1 / 4) ** 6,
#         "last over first": 4**6,
#         "factor to make up for one": 4,
#     }
# ```
# </details>
#
# Now measure it, before any training, for four pairs of an activation and a rule for its weights.

# %%
INITS = {
    "He": lambda fan_in, fan_out: np.sqrt(2 / fan_in),
    "Xavier": lambda fan_in, fan_out: np.sqrt(2 / (fan_in + fan_out)),
    "too small": lambda fan_in, fan_out: 0.01,
    "too large": lambda fan_in, fan_out: 2.0,
}
SEEDS = range(5)
X_spiral, y_spiral = make_spirals(50, turns=0.75, seed=SEED)
SIX = [2] + [16] * 6 + [2]


def gradient_norms(activation, init):
    """Mean norm of dW over the seeds, for each layer."""
    network = DeepMLP(SIX, activation, INITS[init], SEEDS)
    _, dWs, _ = network.gradients(X_spiral, y_spiral)
    return [np.linalg.norm(dW, axis=(1, 2)).mean() for dW in dWs]


PAIRS = [
    ("ReLU", "He"),
    ("tanh", "Xavier"),
    ("sigmoid", "Xavier"),
    ("sigmoid", "too large"),
]
norms = {pair: gradient_norms(*pair) for pair in PAIRS}

# %% [markdown]
# *Predict before you run:* which of the four curves will be level, and which will fall to the left?

# %% tags=["hide-input"] mystnb={"image": {"alt": "Norm of the gradient in each of seven layers before training, on a logarithmic axis, in two panels. Tanh with Xavier's weights is level, and so is ReLU with He's except for a lower first layer. The sigmoid with Xavier's weights falls by several orders of magnitude from the last layer to the first; with large weights it falls far less."}}
with plt.rc_context(STYLE):
    figure, axes = plt.subplots(
        2, 1, figsize=(4.6, 5.6), sharex=True, sharey=True
    )
    for (activation, init), values in norms.items():
        ax = axes[int(activation == "sigmoid")]
        large_weights = init == "too large"
        ax.semilogy(
            range(1, 8),
            values,
            color=COLOR[activation],
            linestyle=":" if large_weights else DASH[activation],
            marker="s" if large_weights else "o",
            label=f"{activation}, {init}",
        )
    for ax in axes:
        ax.legend(loc="lower right")
        ax.set_ylabel("Norm of dW")
    axes[0].set_title("Gradient norm per layer, before training")
    axes[1].set_xlabel("Layer (1 = first)")
    plt.show()

# %% [markdown]
# *How to read it:* the right end is next to the loss, the left end next to the input. A level curve means that all
# layers can learn at one learning rate. A curve that falls to the left is a *vanishing gradient*: the first layers hardly
# move while the last ones learn. Tanh is level, and so is ReLU except for its first layer. Both sigmoid curves fall to the
# left, with Xavier's weights by far more.

# %% tags=["hide-input"]


def errors_at_z(network, X, y):
    """The norm of dz in each layer, for each network: an array (L, S)."""
    one_by_one = [  # of a single example, the gradient of b is dz itself
        network.gradients(X[n : n + 1], y[n : n + 1])[2] for n in range(len(y))
    ]
    return np.array(
        [
            np.sqrt((np.stack(dz) ** 2).sum(axis=(0, 2, 3)))
            for dz in zip(*one_by_one, strict=True)
        ]
    )


with_sigmoids = DeepMLP(SIX, "sigmoid", INITS["Xavier"], SEEDS)
errors = errors_at_z(with_sigmoids, X_spiral, y_spiral)
shrunk = errors[-1] / errors[0]  # one factor per seed
slopes = [
    sigmoid_grad(z).mean() for z in with_sigmoids.forward(X_spiral)[1][:-1]
]
ratio = {pair: values[-1] / values[0] for pair, values in norms.items()}
behind_a_click(
    "Your bound, and the measurement",
    "The gradient in the last layer over that in the first, for a sigmoid with "
    "Xavier's weights:\n\n"
    "| sigmoid, Xavier | last / first |\n|---|---|\n"
    f"| bound | **{4**6:,}** |\n"
    f"| from mean slopes | **{1 / np.prod(slopes):,.0f}** |\n"
    f"| dz, five seeds | **{min(shrunk):,.0f}** to **{max(shrunk):,.0f}** |\n"
    f"| dW, mean | **{ratio['sigmoid', 'Xavier']:,.0f}** |\n\n"
    f"The mean slopes of the layers run from {min(slopes):.3f} to {max(slopes):.3f}. "
    "For the other three curves, the norm of dW gives "
    + ", ".join(
        f"**{factor:,.1f}** ({', '.join(pair)})"
        for pair, factor in ratio.items()
        if pair != ("sigmoid", "Xavier")
    )
    + ".",
)

# %% tags=["remove-cell"]
with text_says("the slopes are a little below a quarter"):
    assert 0.22 < min(slopes) < max(slopes) < 0.25
with text_says(
    "the slopes alone shrink the gradient by somewhat more than the bound"
):
    assert 4**6 < 1 / np.prod(slopes) < 2 * 4**6
with text_says("single networks lie on both sides of the bound"):
    assert min(shrunk) < 4**6 < max(shrunk)
with text_says("with sigmoids and Xavier's weights the gradient vanishes"):
    assert ratio["sigmoid", "Xavier"] > 500
with text_says("tanh is level, and so is ReLU except for its first layer"):
    relu_norms, tanh_norms = norms["ReLU", "He"], norms["tanh", "Xavier"]
    assert max(tanh_norms) < 2 * min(tanh_norms)
    assert max(relu_norms[1:]) < 2 * min(relu_norms[1:])
    assert relu_norms[0] < min(relu_norms[1:]) / 2
with text_says("both sigmoid curves fall to the left"):
    for pair in PAIRS[2:]:
        assert all(np.diff(norms[pair]) > 0)
with text_says("with large weights a sigmoid's gradient falls far less"):
    assert ratio["sigmoid", "too large"] < ratio["sigmoid", "Xavier"] / 20

# %% [markdown]
# Compare: why are the slopes as measured not exactly at the bound, and why do single networks lie on both sides of it?
#
# <details>
# <summary>Why bound and measurement differ</summary>
#
# The slopes are a little below their largest value, so they shrink the gradient by somewhat more than the bound says. The
# bound also assumes weights that keep the size exactly; random weights do so only on average over many draws, and each of
# these networks is one draw. The last row differs once more, because $dW_l = a_{l-1}^T dz_l$ also contains the input of
# the layer.
# </details>
#
# What do tiny weights do, with a standard deviation of $0.01$ as on Day 29?

# %% tags=["hide-input"]
tiny_norms = gradient_norms("ReLU", "too small")
Markdown(
    "Tiny weights, with six ReLU layers, are worse than any of these: the norm of dW is about "
    f"**{np.median(tiny_norms):.0e}** in every layer, because the activations fade on the "
    "way up and the gradient on the way down."
)

# %% tags=["remove-cell"]
with text_says("tiny weights are worse than any of these, in every layer"):
    assert max(tiny_norms) < min(min(values) for values in norms.values())
    assert max(tiny_norms) < 2 * min(tiny_norms)
with text_says(
    "the activations fade on the way up, the gradient on the way down"
):
    with_tiny = DeepMLP(SIX, "ReLU", INITS["too small"], SEEDS)
    up = [np.sqrt((a**2).mean()) for a in with_tiny.forward(X_spiral)[2][:-1]]
    down = errors_at_z(with_tiny, X_spiral, y_spiral).mean(axis=1)
    assert all(a > 10 * b for a, b in zip(up, up[1:], strict=False))
    assert all(np.diff(down) > 0)

# %% [markdown]
# There are two ways of losing a gradient that can be counted, layer by layer. A sigmoid or tanh unit is *saturated* for an
# example if its derivative is below a tenth of its maximum. A ReLU unit is *dead* if its $z$ is negative for every example;
# it does not learn as long as that lasts.


# %%
def saturated(activation, init):
    network = DeepMLP(SIX, activation, INITS[init], SEEDS)
    _, zs, _ = network.forward(X_spiral)
    _, grad = ACTIVATIONS[activation]
    peak = grad(np.zeros(1))[0]
    return [(grad(z) < 0.1 * peak).mean() for z in zs[:-1]]


def dead(network, X):
    _, zs, _ = network.forward(X)
    return [(z <= 0).all(axis=1).mean() for z in zs[:-1]]


fractions = {
    "tanh, Xavier": saturated("tanh", "Xavier"),
    "tanh, too large": saturated("tanh", "too large"),
    "sigmoid, Xavier": saturated("sigmoid", "Xavier"),
    "sigmoid, too large": saturated("sigmoid", "too large"),
}
dead_at_start = dead(DeepMLP(SIX, "ReLU", INITS["He"], SEEDS), X_spiral)

# %% [markdown]
# *Predict before you run:* the gradient of the sigmoid with Xavier's weights vanishes. What share of its units is
# saturated? *(a number)*

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two heat maps with one column for each of six hidden layers, before training. Above, the share of saturated units: none for tanh and sigmoid with Xavier's weights, most for tanh with large weights, about half for the sigmoid with large weights. Below, the share of dead ReLU units with He's weights, which grows with depth."}}


def heat_map(ax, values, texts, rows, columns, highest):
    """Draw a matrix of numbers, the bluer the larger, with a text in each cell."""
    values = np.asarray(values, dtype=float)
    ax.grid(False)
    ax.set_facecolor(TILE)
    for i, j in np.ndindex(values.shape):
        depth = np.clip(np.nan_to_num(values[i, j] / highest, nan=1), 0, 1)
        shade = to_rgba(COLORS[0], 0.6 * depth)
        ax.add_patch(plt.Rectangle((j - 0.5, i - 0.5), 1, 1, color=shade, lw=0))
        ax.text(j, i, texts[i][j], ha="center", va="center", color=INK)
    ax.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5))
    ax.set(xticks=range(len(columns)), xticklabels=columns)
    ax.set(yticks=range(len(rows)), yticklabels=rows)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def in_percent(shares):
    return [[f"{share:.0%}" for share in row] for row in shares]


layers = range(1, 7)
with plt.rc_context(STYLE):
    figure, axes = plt.subplots(2, 1, figsize=(4.6, 3.9), height_ratios=[4, 1])
    shares = list(fractions.values())
    heat_map(axes[0], shares, in_percent(shares), list(fractions), layers, 1)
    heat_map(
        axes[1],
        [dead_at_start],
        in_percent([dead_at_start]),
        ["ReLU, He"],
        layers,
        1,
    )
    axes[0].set_title("Saturated units")
    axes[1].set(title="Dead units", xlabel="Hidden layer (1 = first)")
    plt.show()

# %% [markdown]
# *How to read it:* each number is the share of units, over all examples and seeds, that are saturated (dead units: over
# all seeds). The sigmoid with Xavier's weights has no saturated unit at all, and yet its first layers receive almost no
# gradient. So saturation is not the reason: even in its middle a sigmoid passes on only a quarter, as you computed. With
# large weights many units are saturated, but the others receive a gradient multiplied by large weights. Counting saturated
# units alone does not tell whether a network will learn.

# %% tags=["remove-cell"]
with text_says("large weights saturate most tanh units, Xavier's hardly any"):
    assert fractions["tanh, too large"][-1] > 0.5
    assert fractions["tanh, Xavier"][-1] < 0.05
with text_says("the sigmoid with Xavier's weights has no saturated unit"):
    assert max(fractions["sigmoid, Xavier"]) < 0.01
with text_says("dead units become more frequent with depth"):
    assert dead_at_start[-1] > dead_at_start[0]

# %% [markdown]
# Why do dead units become more frequent with depth, even with good weights? After a ReLU no value is negative, so all
# examples lie in the same corner of the space, and they become more alike from layer to layer. Measure it: the angle
# between the activations of two examples, on average over all pairs.


# %%
def mean_angle(a):
    """Mean angle in degrees between the rows of each network's a (S, N, H)."""
    unit = a / np.maximum(np.linalg.norm(a, axis=2, keepdims=True), 1e-12)
    cosines = unit @ np.swapaxes(unit, 1, 2)
    return np.degrees(np.arccos(np.clip(cosines, -1, 1))).mean()


_, _, activations = DeepMLP(SIX, "ReLU", INITS["He"], SEEDS).forward(X_spiral)
angles = [mean_angle(a) for a in activations[:-1]]  # the input, then each layer

# %% tags=["hide-input"] mystnb={"image": {"alt": "Mean angle between the activations of two examples in a ReLU network before training: a right angle at the input, and smaller after each of six hidden layers."}}
plot_curves(
    {None: (range(7), angles)},
    "Two examples become more alike",
    "Hidden layer (0 = input)",
    "Mean angle in degrees",
)

# %% [markdown]
# *How to read it:* each point is an average over all pairs of examples and five networks. The smaller the angle, the more
# alike the examples look to the next layer. A unit whose $z$ is negative for one of them then has a negative $z$ for most,
# and a few layers up for all.

# %% tags=["remove-cell"]
with text_says("the angle between two examples shrinks from layer to layer"):
    assert all(a > b for a, b in zip(angles, angles[1:], strict=False))

# %% [markdown]
# ## When is a sigmoid fine?
#
# Now train. Three activations, four kinds of initial weights, three learning rates, five seeds each, with one hidden layer
# and with four; 200 steps. Guessing has a loss of $\log 2 \approx 0.69$.
#
# Five seeds give five losses, and five other seeds would have another mean. How far can such a mean be trusted? A
# **95 % interval** is an interval around the measured mean. It is computed in such a way that, if the experiment were
# repeated with new seeds many times, 95 of 100 such intervals would contain the mean over all possible seeds. Its half
# width is $t \cdot s / \sqrt{5}$, with $s$ the standard deviation of the five losses. For many seeds $t$ would be about 2; with
# five, $s$ is uncertain itself, and $t = 2.776$ (from the table of *Student's t*) makes up for that.

# %%
RATES = [0.03, 0.3, 3.0]
T_95 = 2.776  # 97.5 % point of Student's t with 4 degrees of freedom


def train(sizes, activation, init, lr, steps=200):
    """Five networks after training, and their losses."""
    network = DeepMLP(sizes, activation, INITS[init], SEEDS)
    with np.errstate(all="ignore"):  # some of them explode
        for _ in range(steps):
            losses = network.step(X_spiral, y_spiral, lr)
    return network, losses


def study(hidden):
    """{(activation, init, rate): losses of the five seeds} after training."""
    settings = list(product(ACTIVATIONS, INITS, RATES))
    return {
        setting: train([2, *hidden, 2], *setting)[1]
        for setting in progress_bar(settings, desc="settings")
    }


def half_width(losses):
    return T_95 * losses.std(ddof=1) / np.sqrt(len(losses))


shallow = study([16])

# %% tags=["hide-input"]
ROWS = list(product(ACTIVATIONS, INITS))


def means(final):
    """Mean losses, one row per activation and kind of weights; NaN if one diverged."""
    return [[final[(*row, lr)].mean() for lr in RATES] for row in ROWS]


def written(values):
    return [
        [f"{value:.2f}" if np.isfinite(value) else "diverged" for value in row]
        for row in values
    ]


def with_intervals(final):
    """A table of means and half widths, behind a click."""
    lines = ["| setting | " + " | ".join(f"rate {lr:g}" for lr in RATES) + " |"]
    lines.append("|---" * (len(RATES) + 1) + "|")
    for row in ROWS:
        entries = [
            f"{final[(*row, lr)].mean():.2f} ± {half_width(final[(*row, lr)]):.2f}"
            for lr in RATES
        ]
        lines.append(f"| {', '.join(row)} | " + " | ".join(entries) + " |")
    return behind_a_click("The means with their intervals", "\n".join(lines))


# %% [markdown]
# *Predict before you run:* with **one hidden layer**, which of the three activations can reach a loss below $0.1$?

# %% tags=["hide-input"] mystnb={"image": {"alt": "Heat map of the mean training loss with one hidden layer: twelve rows, one for each activation and kind of initial weights, and three columns for the learning rates. The loss falls from left to right in nearly every row; the lowest losses of all three activations are at the highest rate."}}
with plt.rc_context(STYLE):
    figure, ax = plt.subplots(figsize=(4.6, 5.4))
    values = means(shallow)
    rates = [f"rate {lr:g}" for lr in RATES]
    heat_map(
        ax,
        values,
        written(values),
        [", ".join(row) for row in ROWS],
        rates,
        np.log(2),
    )
    ax.hlines([3.5, 7.5], -0.5, 2.5, color="white", linewidth=4)
    ax.set_title("One hidden layer: training loss")
    plt.show()

# %% [markdown]
# *How to read it:* each number is the mean loss over five seeds. The stronger the blue, the worse; full blue is as bad as
# guessing, or worse.

# %% tags=["hide-input"]
with_intervals(shallow)

# %% tags=["hide-input"]


def best(final, activation, init=None):
    """Lowest mean loss of an activation, over rates (and kinds of weights)."""
    found = [
        losses.mean()
        for (a, i, _), losses in final.items()
        if a == activation and init in (None, i) and np.isfinite(losses).all()
    ]
    return min(found, default=np.inf)  # infinity if all of them diverged


straight, linear = train([2, 2], "ReLU", "Xavier", 3.0)  # no hidden layer
stuck = [
    setting
    for setting, losses in shallow.items()
    if np.abs(losses - linear.mean()).max() < 0.01
]


def answers(network):
    """The class of each example, by the first of the networks."""
    return network.forward(X_spiral)[0][0].argmax(axis=1)


alike = [
    (answers(train([2, 16, 2], *setting)[0]) == answers(straight)).mean()
    for setting in stuck
]
level = f"{linear.mean():.2f}"
only_as_a_mean = [
    setting
    for setting, losses in shallow.items()
    if f"{losses.mean():.2f}" == level and setting not in stuck
]
everywhere = min(alike, default=1) == 1
shown_too = [
    f"{', '.join(row)}, rate {lr:g}, shows {level} only as a mean of "
    "very different seeds"
    for *row, lr in only_as_a_mean
    if np.ptp(shallow[(*row, lr)]) > 0.1
]
Markdown(
    "Lowest mean loss with one hidden layer: "
    + ", ".join(f"**{best(shallow, a):.2f}** with {a}" for a in ACTIVATIONS)
    + f". Now look for {level} in the heat map: **{len(stuck)}** settings ended "
    f"within 0.01 of **{linear.mean():.3f}** with every seed"
    + (f" ({'; '.join(shown_too)})" if shown_too else "")
    + ". That is where a network *without* a hidden layer ends, a linear model that can "
    "make only one straight cut. "
    + (
        "They give the same answer as that model for "
        + ("**all**" if everywhere else f"at least **{min(alike):.0%}** of the")
        + " examples."
        if stuck
        else ""
    )
)

# %% tags=["remove-cell"]
with text_says("with one hidden layer, a sigmoid is fine"):
    assert best(shallow, "sigmoid") < 0.1
with text_says("several networks end at the loss of the linear model"):
    assert 3 <= len(stuck) <= 12
    assert abs(linear.mean() - 0.38) < 0.01
with text_says("these networks make the same straight cut as a linear model"):
    assert all(share > 0.95 for share in alike)

# %% [markdown]
# A network that ends there makes the same straight cut as a linear model; its hidden units have added nothing yet. With
# small weights a tanh or a sigmoid is nearly a straight line, and so is the network.
#
# - **With one hidden layer, a sigmoid is fine.** It passes on less than ReLU, so it needs more: a larger learning rate
#   and larger weights. With both, it learns in 200 steps.
#
# *Predict before you run:* with **four hidden layers**, are there weights with which the sigmoid beats ReLU in 200 steps?
# And what will happen at the highest rate?

# %%
deep_results = study([16] * 4)

# %% tags=["hide-input"] mystnb={"image": {"alt": "Heat map of the mean training loss with four hidden layers, laid out like the one before. Most of it is full blue, as bad as guessing or worse. Pale are ReLU and tanh with weights by rule at the middle rate, and tanh and sigmoid with large weights at the middle rate; the highest rate is full blue in most rows."}}
with plt.rc_context(STYLE):
    figure, ax = plt.subplots(figsize=(4.6, 5.4))
    values = means(deep_results)
    heat_map(
        ax,
        values,
        written(values),
        [", ".join(row) for row in ROWS],
        rates,
        np.log(2),
    )
    ax.hlines([3.5, 7.5], -0.5, 2.5, color="white", linewidth=4)
    ax.set_title("Four hidden layers: training loss")
    plt.show()

# %% [markdown]
# *How to read it:* as before. Find the rows that are full blue from left to right: no rate of these three helps there within
# 200 steps.

# %% tags=["hide-input"]
with_intervals(deep_results)

# %% tags=["hide-input"]
by_rule = {  # with weights by He's or Xavier's rule, the better of the two
    activation: min(best(deep_results, activation, i) for i in ["He", "Xavier"])
    for activation in ACTIVATIONS
}
large = {a: best(deep_results, a, "too large") for a in ACTIVATIONS}
fast, fast_losses = train([2, *[16] * 4, 2], "ReLU", "He", 3.0)
all_dead = dead(fast, X_spiral)[-1]
young = DeepMLP([2, *[16] * 4, 2], "ReLU", INITS["He"], SEEDS)
died, dead_shares = 0, [dead(young, X_spiral)[-1]]  # before each step
while died < 200 and dead_shares[-1] < 1:
    young.step(X_spiral, y_spiral, 3.0)
    dead_shares.append(dead(young, X_spiral)[-1])
    died += 1


def listed(losses):
    return ", ".join(f"{loss:.2f} with {a}" for a, loss in losses.items())


Markdown(
    "Lowest mean loss over the learning rates, in 200 steps:\n\n"
    f"- four hidden layers, weights by rule: {listed(by_rule)};\n"
    f"- four hidden layers, large weights: {listed(large)}.\n\n"
    f"ReLU with He's weights at rate 3 ends at {fast_losses.mean():.3f} with every seed. After "
    f"training, **{all_dead:.0%}** of the units in its last hidden layer are "
    f"dead; the last of them died in step {died}."
)

# %% tags=["remove-cell"]
with text_says("in 200 steps, a deep sigmoid is too slow at the usual weights"):
    assert by_rule["sigmoid"] > 0.3
with text_says("with large weights the sigmoid learns, and ReLU does not"):
    assert best(deep_results, "sigmoid", "too large") < 0.2
    assert best(deep_results, "ReLU", "too large") > 0.4
with text_says("ReLU with He's weights does better than any sigmoid"):
    assert best(deep_results, "ReLU", "He") < 0.05
    assert best(deep_results, "ReLU", "He") < best(deep_results, "sigmoid")
with text_says("tanh learns with all weights except for the tiny ones"):
    assert all(
        best(deep_results, "tanh", i) < 0.2 for i in INITS if i != "too small"
    )
with text_says("in 200 steps, no deep network with tiny weights learns"):
    assert all(
        abs(losses.mean() - np.log(2)) < 0.01
        for (_, init, _), losses in deep_results.items()
        if init == "too small"
    )
with text_says(
    "with He's weights, ReLU at the highest rate ends at exactly log 2, because "
    "in all five networks all units of the last hidden layer are dead"
):
    assert all_dead == 1
    assert died < 100
    assert np.abs(fast_losses - np.log(2)).max() < 1e-9
with text_says("more and more of them died; some came back for a while"):
    assert dead_shares[5] > 2 * dead_shares[0]
    assert min(np.diff(dead_shares)) < 0
with text_says(
    "at the highest rate tanh ends far above guessing, unless its weights are tiny"
):
    tanh_highest = {i: deep_results["tanh", i, 3.0] for i in INITS}
    assert abs(tanh_highest.pop("too small").mean() - np.log(2)) < 0.01
    assert all(losses.mean() > 10 for losses in tanh_highest.values())
with text_says(
    "in most of these networks the answers are wrong for half of the examples"
):
    all_fast = np.concatenate(list(tanh_highest.values()))
    assert (np.abs(all_fast - 13.8) < 0.1).mean() > 0.5
    tanh_fast, _ = train([2, *[16] * 4, 2], "tanh", "He", 3.0)
    assert abs((answers(tanh_fast) == y_spiral).mean() - 0.5) < 0.1

# %% [markdown]
# What do the heat maps say?
#
# - **With four layers, a sigmoid is far too slow at the usual weights.** On its way to the first layer its gradient passes
#   four sigmoids, each of which lets through a quarter at most, and no learning rate in the table makes up for that in 200
#   steps.
# - **With large weights it does learn in 200 steps**, while ReLU with the *same* weights does not. So yes, there are weights
#   with which the sigmoid wins. With He's weights, though, ReLU does better in 200 steps than the sigmoid with any. You
#   computed why: a sigmoid's weights must enlarge a gradient about four times as much as a tanh's to pass on as much.
# - **In 200 steps, tanh learns with all weights except for the tiny ones**, as long as the rate is not too high.
# - **In 200 steps, no deep network with tiny weights learns**, whatever the activation.
# - **At the highest rate tanh ends far above guessing** (unless its weights are tiny). Its answers are confident, and in most
#   of these networks wrong for half of the examples. The floor of $10^{-12}$ in the loss limits what one of them costs to
#   $-\log 10^{-12} \approx 27.6$; half of that is $13.8$.
# - **With He's weights, ReLU at the highest rate ends at exactly log 2.** The first steps were so long that they pushed more
#   and more units of the last hidden layer below 0 for every example (some came back for a while), until in all five networks
#   all were dead. From then on they are 0 and have no gradient, and only the biases of the scores still learn. They give each
#   class its frequency, one half.
#
# Is the sigmoid with He's weights stuck, or only slow? Take the highest rate, and ten times as many steps:

# %%
_, patient = train([2, *[16] * 4, 2], "sigmoid", "He", 3.0, steps=2000)

# %% tags=["hide-input"]
Markdown(
    "With ten times as many steps, He's weights at rate 3 "
    + ("do get there" if patient.mean() < 0.1 else "do not get there")
    + f": mean loss **{patient.mean():.2f}**, after "
    f"{deep_results['sigmoid', 'He', 3.0].mean():.2f} in 200 steps. A vanishing gradient "
    "makes learning slow, not impossible."
)

# %% tags=["remove-cell"]
with text_says("with ten times as many steps, He's weights do get there"):
    assert patient.mean() < 0.1
    assert patient.max() < 0.3

# %% [markdown]
# Open the intervals. A half width as large as the mean says that the seeds disagree: look at the single losses before you
# trust the mean.

# %% tags=["hide-input"]
single = deep_results["sigmoid", "too large", 3.0]
Markdown(
    f"Sigmoid, too large, rate 3: {single.mean():.2f} ± {half_width(single):.2f}. "
    "The five losses are "
    + ", ".join(f"**{loss:.3f}**" for loss in single)
    + "."
)

# %% tags=["remove-cell"]
with text_says(
    "a half width as large as the mean says that the seeds disagree"
):
    assert half_width(single) > single.mean()
    assert max(single) > 100 * min(single)

# %% [markdown]
# So "ReLU is better than sigmoid" is not a law. It is a statement about depth, weights, learning rate and the number of steps
# together, and ReLU's advantage is that the usual choices suit it.
#
# ## Watching it learn
#
# Where does the border between the classes go while a network learns? Press *Play*, or step with the slider. The
# pictures are chosen by the loss, not by the step: close together at the start, far apart at the end.

# %% tags=["hide-input"]
import base64
import io

from PIL import Image as Picture

axis = np.linspace(-1.3, 1.3, 120)
grid = np.stack(np.meshgrid(axis, -axis), axis=-1).reshape(-1, 2)
CLASS_COLORS = np.array(
    [[int(c[k : k + 2], 16) for k in (1, 3, 5)] + [70] for c in COLORS[:2]],
    np.uint8,
)


def filmed(keep):
    """The loss before each of 401 steps, and pictures of the steps to keep."""
    network, losses, pictures = (
        DeepMLP([2, 32, 32, 2], "ReLU", INITS["He"], [1]),
        [],
        [],
    )
    for step in range(401):
        if step in keep:
            answer = network.forward(grid)[0][0].argmax(axis=1)
            pictures.append(CLASS_COLORS[answer.reshape(120, 120)])
        losses.append(network.step(X_spiral, y_spiral, 0.3)[0])
    return np.array(losses), pictures


losses, _ = filmed([])
levels = np.linspace(losses[0], losses[-1], 21)  # equal steps of the loss
keep = np.unique([np.argmax(losses <= level) for level in levels])
_, pictures = filmed(keep)

strip = io.BytesIO()
Picture.fromarray(np.vstack(pictures)).save(strip, "PNG", optimize=True)
address = "data:image/png;base64," + base64.b64encode(strip.getvalue()).decode()
captions = "|".join(f"after step {k}: loss {losses[k]:.3f}" for k in keep)
points = "".join(
    f'<circle cx="{60 + x / 1.3 * 60:.1f}" cy="{60 - y / 1.3 * 60:.1f}" r="1.4" '
    f'fill="{COLORS[0]}" />'
    if label == 0
    else f'<rect x="{60 + x / 1.3 * 60 - 1.3:.1f}" y="{60 - y / 1.3 * 60 - 1.3:.1f}" '
    f'width="2.6" height="2.6" fill="{COLORS[1]}" />'
    for (x, y), label in zip(X_spiral, y_spiral, strict=True)
)
MOVE = "i.dispatchEvent(new Event('input'))"
FIND = (
    "const f = this.closest('figure'), i = f.querySelector('input'),"
    " play = f.querySelector('button'), stop = () => {"
    " clearInterval(i.timer); i.timer = 0; play.textContent = 'Play' };"
)
HTML(f"""
<figure data-captions="{captions}" style="max-width: 26rem; margin: 1rem 0">
<svg viewBox="0 0 120 120" role="img" style="width: 100%; border: 1px solid {GREY}"
 aria-label="Two spirals, and the regions of a ReLU network during training. At first the
 whole square is one class. Then a nearly straight border divides it, which gets corners at more
 and more places until it follows the gap.">
<image href="{address}" width="120" height="{120 * len(pictures)}" y="0" />
{points}
</svg>
<figcaption>
<output aria-live="polite">{captions.split("|")[0]}</output><br>
<input type="range" min="0" max="{len(pictures) - 1}" value="0" style="width: 100%"
 aria-label="Picture during training"
 oninput="const f=this.closest('figure');
 f.querySelector('image').setAttribute('y', -120 * this.value);
 f.querySelector('output').textContent = f.dataset.captions.split('|')[this.value]">
<button type="button" onclick="{FIND} if (i.timer) return stop();
 if (i.value === i.max) i.value = 0;
 {MOVE}; play.textContent = 'Pause';
 i.timer = setInterval(() => {{ i.stepUp(); {MOVE};
 if (i.value === i.max) stop() }}, 400)">Play</button>
<button type="button" onclick="{FIND} stop(); i.stepDown(); {MOVE}">Back</button>
<button type="button" onclick="{FIND} stop(); i.stepUp(); {MOVE}">Forward</button>
</figcaption>
</figure>
""")

# %% tags=["remove-cell"]
with text_says("the border finds its way between the spirals"):
    assert losses[-1] < 0.1
with text_says("close together at the start, far apart at the end"):
    gaps = np.diff(keep)
    assert max(gaps[:5]) < min(gaps[-5:])
with text_says("before training the whole square is one class"):
    assert len(np.unique(pictures[0].reshape(-1, 4), axis=0)) == 1
with text_says("after a few steps there is one nearly straight cut"):
    first = (pictures[3] == CLASS_COLORS[0]).all(axis=2)  # 120 rows
    assert all(np.abs(np.diff(first.astype(int), axis=1)).sum(axis=1) == 1)
    assert first.sum(axis=1).std() < 6
with text_says("the pictures are light"):
    assert len(strip.getvalue()) < 100_000

# %% [markdown]
# *How to read it:* the colour is the network's answer at each place. Before training the whole square is one class. After a
# few steps there is one nearly straight cut, as a linear model would make; then the network finds out, corner by corner, what
# hidden units are for.
#
# ## Debugging is a method
#
# A network with a bug seldom crashes. It learns, only worse, and you do not know how well it should have learnt. So do
# not stare at the code. Go in three steps:
#
# 1. **Symptom**: what exactly do you see, in numbers?
# 2. **Hypothesis**: which mistake would produce just that?
# 3. **Experiment**: a small test that would come out differently if you are wrong.
#
# Here are six bugs of a kind that people really write. The folded cell contains them; leave it closed until the end of
# this section. Below are the symptoms, and only the symptoms.


# %% tags=["hide-input"]
def gradients(model, X, y):
    _, probs, cache = model.loss(X, y)
    return model.backward(probs, cache, y)


class Bug1(TwoLayerMLP):
    def __init__(self, *args, weight_scale=0.01, **kwargs):
        super().__init__(*args, weight_scale=1000 * weight_scale, **kwargs)


class Bug2(TwoLayerMLP):
    def backward(self, probs, cache, y):
        return tuple(
            len(y) * gradient for gradient in super().backward(probs, cache, y)
        )


class Bug3(TwoLayerMLP):
    def backward(self, probs, cache, y):
        _, z1, _, _ = cache
        dW1, _, dW2, db2 = super().backward(probs, cache, y)
        dscores = probs.copy()
        dscores[np.arange(len(y)), y] -= 1
        dz1 = (dscores / len(y)) @ self.W2.T * (z1 > 0)
        return dW1, dz1.sum(axis=1), dW2, db2


class Bug4(TwoLayerMLP):
    def forward(self, X):
        scores, self.stored = super().forward(X)
        return scores, self.stored

    def backward(self, probs, cache, y):
        # The last forward pass, whichever it was.
        return super().backward(probs, self.stored, y)


def bug5(pixels):
    return pixels - np.uint8(128)


def bug6(model, X, y, lr):
    _, probs, (X, z1, a1, _) = model.loss(X, y)
    dscores = probs.copy()
    dscores[np.arange(len(y)), y] -= 1
    dscores /= len(y)
    model.W2 = model.W2 - lr * a1.T @ dscores
    model.b2 = model.b2 - lr * dscores.sum(axis=0)
    dz1 = dscores @ model.W2.T * (z1 > 0)  # this W2 is already the next one
    model.W1 = model.W1 - lr * X.T @ dz1
    model.b1 = model.b1 - lr * dz1.sum(axis=0)


# %% [markdown]
# **Bug 1.** The loss before training.

# %% tags=["hide-input"]
start, _, _ = Bug1(2, 16, 2).loss(X_toy, y_toy)
Markdown(f"**{start:.1f}**, where log 2 is {np.log(2):.2f}.")

# %% [markdown]
# **Bug 2.** The loss after 100 epochs, from 10 and from 100 examples.

# %% tags=["hide-input"]


def final_loss(Model, X, y, lr=0.3, epochs=100):
    model = Model(2, 16, 2, weight_scale=0.1)
    train_numpy(model, X, y, lr=lr, epochs=epochs, verbose=False)
    return model.loss(X, y)[0]


few, many = slice(None, None, 10), slice(None)
symptom = {
    name: [
        final_loss(Model, X_spiral[part], y_spiral[part])
        for part in (few, many)
    ]
    for name, Model in [("right", TwoLayerMLP), ("with the bug", Bug2)]
}
Markdown(
    "| network | 10 examples | 100 examples |\n|---|---|---|\n"
    + "\n".join(
        f"| {name} | {a:.3f} | {b:.3f} |" for name, (a, b) in symptom.items()
    )
)

# %% [markdown]
# **Bug 3.** One epoch, with 16 hidden units and batches of two sizes.

# %% tags=["hide-input"]
for batch in [16, 17]:
    model = Bug3(2, 16, 2, weight_scale=0.1)
    X, y = X_toy[::9][:batch], y_toy[::9][:batch]  # some of each class
    try:
        train_numpy(model, X, y, lr=0.1, epochs=1, verbose=False)
        print(f"batch of {batch}: runs")
    except ValueError as error:
        print(f"batch of {batch}: {error}")

# %% [markdown]
# **Bug 4.** The loss after 100 steps, without and with a look at the loss on other data in the middle of each step, after
# the forward pass.

# %% tags=["hide-input"]


def train_and_watch(Model, watch):
    model = Model(2, 16, 2, weight_scale=0.1)
    X_watch, y_watch = make_toy_data(80, seed=1)
    for _ in range(100):
        _, probs, cache = model.loss(X_toy, y_toy)
        if watch:
            model.loss(X_watch, y_watch)  # a look at other data, nothing more
        steps = model.backward(probs, cache, y_toy)
        for name, gradient in zip(["W1", "b1", "W2", "b2"], steps, strict=True):
            setattr(model, name, getattr(model, name) - 0.3 * gradient)
    return model.loss(X_toy, y_toy)[0]


watched = {
    name: [train_and_watch(Model, watch) for watch in (False, True)]
    for name, Model in [("right", TwoLayerMLP), ("with the bug", Bug4)]
}
Markdown(
    "| network | unwatched | watched |\n|---|---|---|\n"
    + "\n".join(
        f"| {name} | {a:.4f} | {b:.4f} |" for name, (a, b) in watched.items()
    )
)

# %% [markdown]
# **Bug 5.** Pixels from 0 to 255, after 128 was subtracted to centre them.

# %% tags=["hide-input"]
pixels = (
    np.random.default_rng(0).integers(0, 256, size=(100, 64)).astype(np.uint8)
)
centred = bug5(pixels)
Markdown(
    f"They run from **{centred.min()}** to **{centred.max()}**, with mean "
    f"{centred.mean():.0f}."
)

# %% [markdown]
# **Bug 6.** Somebody wrote a training step with formulas of their own. A gradient check of `backward` finds nothing. The loss
# after 100 steps, compared with steps that use `backward`:

# %% tags=["hide-input"]


def careful_step(model, X, y, lr):
    for name, gradient in zip(
        ["W1", "b1", "W2", "b2"], gradients(model, X, y), strict=True
    ):
        setattr(model, name, getattr(model, name) - lr * gradient)


finals = {}
for name, take_step in [
    ("with `backward`", careful_step),
    ("with the bug", bug6),
]:
    model = TwoLayerMLP(2, 16, 2, weight_scale=0.1)
    for _ in range(100):
        take_step(model, X_toy, y_toy, 0.3)
    finals[name] = model.loss(X_toy, y_toy)[0]
Markdown(", ".join(f"**{loss:.4f}** {name}" for name, loss in finals.items()))

# %% tags=["remove-cell"]
with text_says("the loss before training is far too high"):
    assert start > 5 * np.log(2)
with text_says(
    "the network with bug 2 learns from a few examples and fails on many"
):
    assert symptom["with the bug"][1] > 2 * symptom["right"][1]
    assert symptom["with the bug"][0] < symptom["right"][0]
with text_says("watching changes only the network with bug 4"):
    assert watched["right"][0] == watched["right"][1]
    assert watched["with the bug"][0] == watched["right"][0]
    assert watched["with the bug"][1] != watched["with the bug"][0]
with text_says("the centred pixels are not centred"):
    assert centred.min() >= 0
    assert centred.mean() > 100
with text_says("with bug 6 the loss is almost the same"):
    assert abs(finals["with `backward`"] - finals["with the bug"]) < 0.02
    assert finals["with `backward`"] != finals["with the bug"]

# %% [markdown]
# Nine causes; six of them are the bugs.
#
# - `bias summed over the wrong axis`
# - `gradients summed, not averaged`
# - `labels do not belong to their images`
# - `learning rate too high`
# - `parameter updated before it was used`
# - `slope of the activation missing`
# - `state left behind by a call`
# - `type cannot hold the result`
# - `weights too large`
#
# **Exercise 9.** *(about 18 minutes, medium)* Write down a hypothesis for each bug, as a string from the list. Beside it, on
# paper, write the experiment that would prove you wrong: what would you change, and what should happen then? You may fill
# in some and leave the rest.

# %%
hypotheses = {
    "bug 1": ...,  # your hypothesis
    "bug 2": ...,
    "bug 3": ...,
    "bug 4": ...,
    "bug 5": ...,
    "bug 6": ...,
}

checks.hypotheses(hypotheses)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# Ask what the symptom depends on: on nothing, on the number of examples, on a size, on another call? The cause must depend
# on the same.
# </details>
#
# <details>
# <summary>Another hint</summary>
#
# A network that knows nothing has a loss of $\log C$; more than that means confident and wrong answers. A sum grows with the
# number of its terms. A number that cannot be negative has a type that cannot be.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def hypotheses():
#     return {
#         "bug 1": "weights too large",
#         "bug 2": "gradients summed, not averaged",
#         "bug 3": "bias summed over the wrong axis",
#         "bug 4": "state left behind by a call",
#         "bug 5": "type cannot hold the result",
#         "bug 6": "parameter updated before it was used",
#     }
# ```
# </details>
#
# A hypothesis becomes knowledge only with its experiment. Compare yours with these. Each folded cell is the code, and
# its result and the fix are behind one more click.

# %% tags=["hide-input"]
shrunk_model = Bug1(2, 16, 2)
shrunk_model.W1, shrunk_model.W2 = (
    shrunk_model.W1 / 1000,
    shrunk_model.W2 / 1000,
)
fixed, _, _ = shrunk_model.loss(X_toy, y_toy)
behind_a_click(
    "Bug 1: experiment and fix",
    "A loss above log C means confident and wrong answers. So the scores are large, and so are the weights. "
    "*Experiment:* make the weights a thousand times smaller; the loss must come down to "
    f"log 2. It is **{fixed:.4f}**. *The fix:* scale weights by a rule.",
)

# %% tags=["hide-input"]


def growth_when_doubled(Model):
    model = Model(2, 16, 2, weight_scale=0.5)
    once = gradients(model, X_toy, y_toy)
    twice = gradients(
        model, np.vstack([X_toy, X_toy]), np.hstack([y_toy, y_toy])
    )
    return np.linalg.norm(twice[0]) / np.linalg.norm(once[0])


growth = {
    name: growth_when_doubled(Model)
    for name, Model in [("right", TwoLayerMLP), ("with the bug", Bug2)]
}
behind_a_click(
    "Bug 2: experiment and fix",
    "The steps grow with the number of examples, so somewhere a mean is a sum. *Experiment:* a mean does "
    "not change if every example is taken twice, and neither should the gradients. They grow by a "
    "factor of "
    + ", ".join(f"**{factor:.2f}** ({name})" for name, factor in growth.items())
    + ". *The fix:* `dscores /= N`.",
)

# %% tags=["hide-input"]
NAMES = ["W1", "b1", "W2", "b2"]


def norm_ratios(model, X, y):
    """{parameter: norm ratio between its gradient and finite differences}."""
    found = {}
    for name, gradient in zip(NAMES, gradients(model, X, y), strict=True):
        before = getattr(model, name)

        def loss(values, name=name):
            setattr(model, name, values)
            return model.loss(X, y)[0]

        numerical = numerical_gradient(loss, before)
        setattr(model, name, before)
        found[name] = norm_ratio(numerical, np.reshape(gradient, before.shape))
    return found


biased = Bug3(2, 16, 2, weight_scale=0.5)
bias_errors = norm_ratios(biased, X_toy[::10], y_toy[::10])  # 16 examples
behind_a_click(
    "Bug 3: experiment and fix",
    "16 is also the number of hidden units, so an array of one length stands where the other belongs, and "
    "fits by accident. *Experiment:* a gradient check at just this batch size, the one that raises "
    "no error. The norm ratios are "
    + ", ".join(
        f"**{error:.0e}** (`{name}`)" for name, error in bias_errors.items()
    )
    + ": only `b1` is wrong. *The fix:* `dz1.sum(axis=0)`, a sum over the *examples*. And in tests, choose "
    "N, D, H and C all different.",
)

# %% tags=["hide-input"]


def notices_a_look(Model):
    model = Model(2, 16, 2, weight_scale=0.5)
    _, probs, cache = model.loss(X_toy, y_toy)
    expected = model.backward(probs, cache, y_toy)
    model.loss(X_toy[::-1] + 1, y_toy)
    after = model.backward(probs, cache, y_toy)
    return not all(
        np.array_equal(a, b) for a, b in zip(expected, after, strict=True)
    )


looks = {
    name: notices_a_look(Model)
    for name, Model in [("right", TwoLayerMLP), ("with the bug", Bug4)]
}
behind_a_click(
    "Bug 4: experiment and fix",
    "Looking changes something, so `loss` leaves something behind that `backward` uses. *Experiment:* call "
    "`loss` on other data before `backward`; the gradients must not change. Do they? "
    + ", ".join(
        f"**{'yes' if look else 'no'}** ({name})"
        for name, look in looks.items()
    )
    + ". *The fix:* return the cache and pass it on, as `TwoLayerMLP` does.",
)

# %% tags=["hide-input"]
as_float = pixels.astype(float) - 128
behind_a_click(
    "Bug 5: experiment and fix",
    "Nothing is negative, so something cannot *be* negative. *Experiment:* look at the type, and do the "
    f"same in floating point. With `{centred.dtype}`, unsigned bytes, 0 − 128 wraps around to 128; with "
    f"`{as_float.dtype}` the pixels run from **{as_float.min():.0f}** to "
    f"**{as_float.max():.0f}**, mean {as_float.mean():.0f}. *The fix:* convert first, then compute.",
)

# %% tags=["hide-input"]


def step_error(take_step, lr=0.3):
    model = TwoLayerMLP(2, 16, 2, weight_scale=0.5)
    before, expected = model.W1, gradients(model, X_toy, y_toy)[0]
    take_step(model, X_toy, y_toy, lr)
    moved = (before - model.W1) / lr
    return np.linalg.norm(moved - expected) / np.linalg.norm(expected)


step_errors = {
    name: step_error(take_step)
    for name, take_step in [
        ("with `backward`", careful_step),
        ("with the bug", bug6),
    ]
}
behind_a_click(
    "Bug 6: experiment and fix",
    "The gradient check of `backward` is no help, because this loop does not use it. *Experiment:* after one "
    "step, each parameter must have moved by −η times its gradient, where η is the learning rate. "
    "The relative error of the first layer's step is "
    + ", ".join(
        f"**{error:.0e}** {name}" for name, error in step_errors.items()
    )
    + ". *The fix:* compute all gradients, then take all steps.",
)

# %% tags=["remove-cell"]
with text_says("with smaller weights the loss comes down to log 2"):
    assert abs(fixed - np.log(2)) < 0.01
with text_says("only the gradient with bug 2 grows"):
    assert abs(growth["right"] - 1) < 1e-9
    assert abs(growth["with the bug"] - 2) < 1e-9
with text_says("only `b1` is wrong"):
    assert bias_errors["b1"] > 0.01
    assert all(bias_errors[name] < 1e-6 for name in ["W1", "W2", "b2"])
with text_says("only the network with bug 4 notices a look"):
    assert looks == {"right": False, "with the bug": True}
with text_says("in floating point the pixels are centred"):
    assert as_float.min() < 0 < as_float.max()
with text_says("only the step of bug 6 moves the first layer wrongly"):
    assert step_errors["with `backward`"] < 1e-12
    assert step_errors["with the bug"] > 1e-3

# %% [markdown]
# ## Testing is a craft
#
# The experiments above are worth keeping: as tests, run after every change. What should a right network satisfy?
#
# 1. **Shapes**: every gradient like its parameter, for sizes that are all different.
# 2. **Loss at the start**: with small weights, $\log C$.
# 3. **Gradient**: agreement with finite differences, for every activation.
# 4. **Invariances**: the order of the batch, and every example twice, change nothing; a look at other data neither.
# 5. **Overfit a little**: a healthy network can memorise four examples, even with random labels.
#
# Each is a function that stays silent when all is well, and says which property failed when it is not. The fourth is a
# *property test*: it does not try one case but draws many, so that a lucky one cannot save a bug.


# %%
def test_shapes(Model):
    model = Model(3, 7, 4)
    X, y = np.random.default_rng(0).standard_normal((5, 3)), np.arange(5) % 4
    for name, gradient in zip(
        ["W1", "b1", "W2", "b2"], gradients(model, X, y), strict=True
    ):
        wanted = getattr(model, name).shape
        assert gradient.shape == wanted, (
            f"d{name} is {gradient.shape}, not {wanted}"
        )


def test_loss_at_start(Model):
    model = Model(3, 20, 5, weight_scale=1e-3)
    X = np.random.default_rng(0).standard_normal((30, 3))
    loss, _, _ = model.loss(X, np.arange(30) % 5)
    assert abs(loss - np.log(5)) < 0.01, f"initial loss {loss:.3f}, not log 5"


def test_gradient(Model):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((6, 3))
    for activation in ["relu", "sigmoid", "tanh"]:
        model = Model(3, 7, 4, activation=activation, weight_scale=0.5)
        model.b1 = rng.standard_normal((1, 7))
        model.b2 = rng.standard_normal((1, 4))
        max_error, _ = grad_check(model, X, np.arange(6) % 4)
        assert max_error < 1e-6, (
            f"{activation}: off by a relative {max_error:.1e}"
        )


def test_invariances(Model):
    rng = np.random.default_rng(2)
    for _ in range(20):  # a property holds for every draw, not for one
        N, D, H, C = rng.permutation(np.arange(2, 10))[:4]  # all different
        X, y = rng.standard_normal((N, D)), rng.integers(0, C, size=N)
        model, order = Model(D, H, C, weight_scale=0.5), rng.permutation(N)
        expected = gradients(model, X, y)
        shuffled = gradients(model, X[order], y[order])
        doubled = gradients(model, np.vstack([X, X]), np.hstack([y, y]))
        _, probs, cache = model.loss(X, y)
        model.loss(X + 1, y)
        after_a_look = model.backward(probs, cache, y)
        for what, others in [
            ("shuffling the batch", shuffled),
            ("every example twice", doubled),
            ("a look at other data", after_a_look),
        ]:
            same = all(
                np.allclose(a, b) for a, b in zip(expected, others, strict=True)
            )
            assert same, f"{what} changes a gradient"


def test_overfits_four_examples(Model):
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((4, 3)), rng.integers(0, 3, size=4)
    model = Model(3, 32, 3, weight_scale=0.5)
    losses = train_numpy(model, X, y, lr=0.5, epochs=500, verbose=False)
    assert losses[-1] < 0.02, (
        f"four examples are not memorised: loss {losses[-1]:.3f}"
    )


TESTS = [
    test_shapes,
    test_loss_at_start,
    test_gradient,
    test_invariances,
    test_overfits_four_examples,
]
for test in TESTS:
    test(TwoLayerMLP)
print("all tests passed")

# %% [markdown]
# Why these tolerances? $10^{-6}$ for the gradient leaves room for rounding in the finite differences and none for a
# wrong formula. $0.01$ for the first loss allows for the small weights not being zero. A tolerance should have a
# reason; if the only reason is that the test passes with it, it guards nothing. (The Python package
# [hypothesis](https://hypothesis.readthedocs.io/) draws the cases for property tests much more cleverly, and shrinks a
# failing one to the smallest that still fails.)
#
# ## Who tests the tests?
#
# The best test of a test is a bug. Here are four of the planted ones, and one more: averaging the bias gradients over the
# batch, where they should be summed.
#
# *Predict before you run:* which of the five tests will catch each? Write it down, five bugs and five tests, before you
# open the table.


# %%
class AveragesTheBiases(TwoLayerMLP):
    def backward(self, probs, cache, y):
        dW1, db1, dW2, db2 = super().backward(probs, cache, y)
        return dW1, db1 / len(y), dW2, db2 / len(y)


def caught_by(Model):
    caught = []
    for test in TESTS:
        try:
            test(Model)
        except (AssertionError, ValueError):
            caught.append(test.__name__)
    return caught


BUGS = {
    "weights too large": Bug1,
    "gradients summed": Bug2,
    "bias over the wrong axis": Bug3,
    "state left behind": Bug4,
    "biases averaged": AveragesTheBiases,
}
verdicts = {name: caught_by(Bug) for name, Bug in BUGS.items()}

# %% tags=["hide-input"]
lines = ["| bug | shapes | start | gradient | invar. | overfit |"]
lines.append("|---" * (len(TESTS) + 1) + "|")
for number, caught in enumerate(verdicts.values(), start=1):
    marks = ["✓" if test.__name__ in caught else "–" for test in TESTS]
    lines.append(f"| {number} | " + " | ".join(marks) + " |")
behind_a_click(
    "Which test catches which bug",
    "The bugs: "
    + ", ".join(
        f"**{number}** {name}" for number, name in enumerate(verdicts, start=1)
    )
    + ". The tests are in the order above; ✓ means that the test catches the bug.\n\n"
    + "\n".join(lines),
)

# %% tags=["remove-cell"]
with text_says("every bug is caught by at least one test"):
    assert all(verdicts.values())
with text_says("a network with averaged biases memorises four examples"):
    assert "test_overfits_four_examples" not in verdicts["biases averaged"]
with text_says(
    "only the test that looks in between finds the state left behind"
):
    assert verdicts["state left behind"] == ["test_invariances"]
with text_says("the loss at the start shows weights that are too large"):
    assert verdicts["weights too large"][0] == "test_loss_at_start"
with text_says("the bug with too large weights also fails the gradient test"):
    assert "test_gradient" in verdicts["weights too large"]

# %% [markdown]
# <details>
# <summary>What the table shows</summary>
#
# By rows, every bug is caught by at least one test. By columns, no test catches
# everything. The network that averages its biases memorises four examples, so a falling loss says nothing against it. And the
# state left behind passes the gradient check; only a test that *looks in between* finds it. The weights that are too large
# fail the gradient test although the formulas are right: with such weights the probabilities are 0 or 1, where the
# floor in the cross-entropy makes the loss flat and finite differences see no slope. A failed test names a symptom,
# not always the cause.
# </details>
#
# Now yours, in two steps. First the numbers. A test with an unlucky choice of inputs passes for a wrong network, whatever it
# compares.
#
# **Exercise 10.** *(about 6 minutes, medium)* Draw inputs for a test of `backward`: a batch, labels and four
# parameters. Choose them so that no bug can hide. Go through the bugs of today and yesterday, and ask of each which
# inputs would hide it.


# %%
def suite_inputs(rng):
    """Random (X, y, W1, b1, W2, b2), drawn from the Generator rng."""
    ...  # your code


checks.suite_inputs(suite_inputs)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# What hides behind equal sizes? Behind a single example, a single class, a bias of 0, tiny weights? And what hides if no hidden
# unit is ever off?
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def suite_inputs(rng):
#     N, D, H, C = 6, 3, 5, 4  # all different
#     X, y = rng.standard_normal((N, D)), np.arange(N) % C
#     W1, W2 = rng.standard_normal((D, H)), rng.standard_normal((H, C))
#     b1, b2 = rng.standard_normal((1, H)), rng.standard_normal((1, C))
#     return X, y, W1, b1, W2, b2
# ```
# </details>
#
# Then the comparison. Plan it in three lines before you write it:
#
# - What do you compare each gradient with? You have no right implementation.
# - How large may the difference be, and why?
# - A call can do more than return gradients. How would you notice?
#
# **Exercise 11.** *(about 20 minutes, hard)* Write a function that gets an implementation of `backward(X, y, W1, b1, W2, b2)`
# and says whether it is right. It is graded by the planted bugs it misses, and it must not reject a correct one. A bias
# gradient may have the shape $(H,)$ or $(1, H)$. A suite that raises an exception rejects the implementation, too.


# %%
def suite(backward):
    """True if this implementation of backward is right, else False."""
    ...  # your code


checks.test_suite(suite)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# You need no list of bugs. Finite differences of the loss catch nearly all of them at once, if you compare all four
# gradients on the inputs of your `suite_inputs`. The rest give the right gradients, once: what can a call do besides?
# </details>
#
# <details>
# <summary>Another hint</summary>
#
# Put your parameters into a `TwoLayerMLP`; its `loss` is what you differentiate. Write it as a function of one parameter, with
# the others fixed, and use `numerical_gradient`. A bias gradient may come as $(H,)$ or as $(1, H)$; compare after
# `np.ravel`.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def suite(backward):
#     X, y, *params = suite_inputs(np.random.default_rng(0))
#
#     model = TwoLayerMLP(*params[0].shape, params[2].shape[1])
#     model.W1, model.b1, model.W2, model.b2 = params
#
#     def loss():
#         return model.loss(X, y)[0]
#
#     # The first of two calls must not affect the second. And if a call changes an
#     # array, it changes the loss below.
#     backward(X, y, *params)
#     gradients = backward(X, y, *params)
#
#     for p, gradient in zip(params, gradients, strict=True):
#         if np.size(gradient) != p.size:
#             return False
#         # A bias gradient may be (H,) or (1, H).
#         gradient = np.reshape(gradient, p.shape)
#         for index in np.ndindex(p.shape):
#             kept = p[index]
#             p[index] = kept + 1e-5
#             above = loss()
#             p[index] = kept - 1e-5
#             below = loss()
#             p[index] = kept
#             # Absolute is enough here: these gradients are not small.
#             if abs(gradient[index] - (above - below) / 2e-5) > 1e-6:
#                 return False
#     return True
# ```
# </details>
#
# ## Check yourself
#
# **1.** A deep network with sigmoid units learns slowly in its first layers. What is the likeliest reason?
#
# - a) The exponential in the sigmoid overflows for some of the units, and their gradients are lost.
# - b) The softmax at the output saturates, and no gradient gets past it.
# - c) Each sigmoid multiplies the gradient by at most one quarter.
#
# <details>
# <summary>Answer</summary>
#
# **c.** The slopes alone leave less than a thousandth after five layers ($1/4^5$), even if no unit is saturated. Only
# larger weights can make up for that.
# a) An overflow would show as a warning or as NaN, not as slowness.
# b) The gradient at the scores is $p - Y$, which is small only once the answers are right; and then the last layer would be
# slow, too.
# </details>
#
# **2.** The $z$ of a ReLU unit in the first hidden layer is negative for every example of the training set. What happens to
# the unit's incoming weights?
#
# - a) Nothing.
# - b) They shrink until the unit is positive again.
# - c) They grow without bound, because nothing holds them back.
#
# <details>
# <summary>Answer</summary>
#
# **a.** The unit is *dead*: its derivative is zero wherever it is evaluated, so its weights never change.
# b) That would need a gradient that points back, and there is none.
# c) Weights move only by their gradient, and it is zero.
# </details>
#
# **3.** Your gradient check passes, but the network does not learn. What can you rule out?
#
# - a) A learning rate that is too small.
# - b) A wrong formula in `backward`.
# - c) Labels that do not belong to their images.
#
# <details>
# <summary>Answer</summary>
#
# **b.** That is what the check is for.
# a) The gradient is right, but the steps may be too short to notice.
# c) The gradient is right for the loss with these labels. Memorising four examples would still work, so it
# needs a look at the data.
# </details>
#
# **4.** Your test uses a batch of 8 examples and 8 hidden units. What is wrong with that?
#
# - a) The batch is too small for a reliable mean, so the test would fail at random.
# - b) Eight hidden units cannot represent the classes, so the loss stays high.
# - c) Nothing; a test should use simple numbers.
# - d) An array summed over the wrong axis has the right shape.
#
# <details>
# <summary>Answer</summary>
#
# **d.** Equal sizes let a whole family of bugs through.
# a) A gradient can be checked exactly, even on two examples.
# b) The test compares gradients, and no training happens in it.
# c) Simple numbers are fine, as long as they differ.
# </details>
#
# **5.** A ReLU layer has 200 inputs and 50 outputs. Which standard deviation do its weights get from He's rule?
#
# - a) $0.01$
# - b) $0.1$
# - c) $0.07$
# - d) $0.2$
#
# <details>
# <summary>Answer</summary>
#
# **b.** The root of $2/200$.
# a) This is the variance, not its root.
# c) This is the root of $1/200$, without the 2 for the ReLU.
# d) This is the root of $2/50$, with the number of outputs.
# </details>
#
# **6.** A tanh unit has the value $a = 0.6$. By which factor does it multiply a gradient?
#
# - a) $0.64$
# - b) $0.24$
# - c) $0.71$
# - d) $0.4$
#
# <details>
# <summary>Answer</summary>
#
# **a.** $1 - a^2$, with the value that the forward pass has stored.
# b) This is $a(1 - a)$, the slope of a sigmoid.
# c) This is $1 - \tanh^2(a)$: the tanh was applied once too often.
# d) This is $1 - a$; the square is missing.
# </details>
#
# ## Summary
#
# | question | answer |
# |---|---|
# | why an activation at all | without it, layers collapse into one linear map |
# | slopes | ReLU: 0 or 1; sigmoid: $a(1 - a)$, at most a quarter; tanh: $1 - a^2$ |
# | any number of layers | $dW_l = a_{l-1}^T dz_l$; $db_l = \sum dz_l$; $dz_{l-1} = (dz_l W_l^T) \odot f'(z_{l-1})$ |
# | saturated, dead | derivative near zero; derivative zero for every example |
# | how large at the start | He: variance $2/n_\text{in}$ for ReLU; Xavier: $2/(n_\text{in} + n_\text{out})$ |
# | is sigmoid bad | fine when shallow; deep, it needs larger weights or far more steps |
# | debugging | symptom, hypothesis, experiment |
# | what to test | shapes, loss at the start, gradient, invariances, overfit a little |
# | inputs of a test | all sizes different, several classes, no bias 0, weights of about 1 |
# | a test that cannot fail | is not a test: plant a bug and see |
#
# ## Read more
#
# - University of Amsterdam, [activation functions](https://uvadlc-notebooks.readthedocs.io/en/latest/tutorial_notebooks/tutorial3/Activation_Functions.html),
#   with gradients and dead units on a deeper network.
# - Glorot and Bengio (2010), [Understanding the difficulty of training deep feedforward neural networks](https://proceedings.mlr.press/v9/glorot10a.html).
# - He, Zhang, Ren and Sun (2015), [Delving deep into rectifiers](https://arxiv.org/abs/1502.01852), where He's rule comes from.
# - Andrej Karpathy, [A recipe for training neural networks](https://karpathy.github.io/2019/04/25/recipe/).
