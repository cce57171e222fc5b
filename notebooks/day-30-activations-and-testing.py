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
# Yesterday's network bent its line with ReLU. Why ReLU, and what changes with another bend? Today you swap the
# activation, go deeper, and measure what happens inside. Then comes the habit that keeps all of this honest: finding
# bugs by method, and writing tests that a wrong network cannot pass.
#
# **You will be able to**
#
# - name ReLU, sigmoid and tanh with their derivatives, and say where each passes a gradient on;
# - count saturated and dead units, layer by layer, and say what they explain and what they do not;
# - say when a sigmoid is fine and when it is not, from measurements over several seeds;
# - find a bug by method: symptom, hypothesis, experiment;
# - write tests of a network, and grade them by the bugs that they catch.
#
# **Time** about 150 minutes: activations 25, a first comparison 10, inside a deep network 25, the study 20, animation 5,
# debugging 35, testing 30.
#
# **You need** Day 29.

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
# - Forward: linear map, bend, linear map, softmax, cross-entropy.
# - Backward: $(p - Y)/N$ at the scores, then the chain rule, one layer at a time.
# - A centred difference shares no code with `backward`; if they agree to $10^{-7}$, `backward` belongs to this loss.

# %%
import io
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Image, Markdown

from nnweek import checks, results
from nnweek.gradcheck import grad_check, gradient_report
from nnweek.notebook import progress_bar, text_says
from nnweek.plots import COLORS, STYLE, plot_curves
from nnweek.scratch import TwoLayerMLP, train_numpy
from nnweek.toy import make_spirals, make_toy_data

# %% [markdown]
# Change these numbers and run the rest again. The text describes the run with the numbers as they are here.

# %% tags=["parameters"]
SEED = 42
EPOCHS = 150  # of the first comparison
LR = 0.3

# %%
X_toy, y_toy = make_toy_data(80, seed=SEED)

# %% [markdown]
# ## Three bends
#
# What does an activation have to do? Two things: bend, so that layers do not collapse into one linear map, and let
# enough gradient through, so that the layer below can learn. Here are three, with their derivatives:
#
# | name | value | derivative | passes on |
# |---|---|---|---|
# | ReLU | $\max(0, z)$ | $1$ if $z > 0$, else $0$ | all or nothing |
# | sigmoid | $\sigma(z) = 1 / (1 + e^{-z})$ | $\sigma(z)\,(1 - \sigma(z))$ | at most a quarter |
# | tanh | $\tanh z$ | $1 - \tanh^2 z$ | all at $z = 0$, less elsewhere |
#
# **Exercise 1.** Write ReLU's derivative. It takes the *pre-activation* $z$, as in `dz1 = da1 * relu_grad(z1)`.


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
# The formula of the sigmoid has a trap: for $z = -1000$ it asks for $e^{1000}$, which is more than a float can hold.
#
# **Exercise 2.** Write a sigmoid that gives the right answer, without a warning, for any $z$ from $-1000$ to $1000$.


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
# <summary>A third way</summary>
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
# **Exercise 3.** And its derivative, again as a function of the pre-activation.


# %%
def sigmoid_grad(z):
    """The derivative of the sigmoid at z, an array like z."""
    ...  # your code


checks.sigmoid_grad(sigmoid_grad)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# $\sigma'(z) = \sigma(z)\,(1 - \sigma(z))$. The formula holds $\sigma(z)$, not $z$.
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
# Here are all three with their derivatives, as the package has them. (The derivative of
# the sigmoid uses $1 - \sigma(z) = \sigma(-z)$.) *Predict before you look at the figure:* which derivative is largest just
# right of $z = 0$, and which at $z = 4$?


# %%
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

# %% mystnb={"image": {"alt": "Derivatives of the three activations from minus five to five: ReLU's jumps from zero to one at zero, tanh's is a narrow bell that reaches one, sigmoid's is a wide bell that reaches a quarter."}}
z = np.linspace(-5, 5, 401)
plot_curves(
    {name: (z, derivative(z)) for name, (_, derivative) in ACTIVATIONS.items()},
    "What each activation lets through",
    "Pre-activation $z$",
    "Derivative",
)

# %% [markdown]
# *How to read it:* the height is the factor by which a gradient is multiplied on its way down through the activation.
# Just right of 0 ReLU and tanh are both at 1; at 4 ReLU still is, while the sigmoid has $0.018$ and tanh $0.001$.
# Sigmoid's factor is never above one quarter, and far from zero the factors of sigmoid and tanh vanish: the unit is
# *saturated*. ReLU's factor is one or zero: a unit either learns fully from an example or not at all.
#
# ## A first comparison
#
# The same network, the same data, the same learning rate, the same initial weights; only the bend differs. Which loss
# falls faster?

# %%
HIDDEN, SCALE = 16, 0.1
curves = {}
for activation in ["relu", "sigmoid"]:
    model = TwoLayerMLP(
        2, HIDDEN, 2, activation=activation, weight_scale=SCALE, seed=SEED
    )
    print(activation)
    curves[activation] = train_numpy(model, X_toy, y_toy, lr=LR, epochs=EPOCHS)

# %% mystnb={"image": {"alt": "Training loss of both networks on shared axes: the ReLU network's loss falls within the first twenty epochs, the sigmoid network's stays higher throughout."}}
plot_curves(
    {"ReLU": curves["relu"], "sigmoid": curves["sigmoid"]},
    "Same network, two activations: training loss",
    "Epoch",
    "Loss",
)

# %%


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
# The class below is yesterday's network with any number of layers. To measure several seeds without waiting, it trains
# several networks side by side: every array has one more axis in front, one entry per network, and NumPy's `@`
# multiplies all of them at once. Read it first as if that axis were not there: every line is then one that you know from
# Day 29. The pair `[seed, layer]` gives each layer the same draws for every activation, so that only the bend and the
# scale differ.


# %%
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


# %% [markdown]
# Yesterday's rule applies: no gradient is believed before it is checked. With one hidden layer and one seed it must
# agree with the package's network, which was checked; with more layers, with finite differences.

# %%
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
# How large should the initial weights be? Think of one layer with $n_\text{in}$ inputs. Each output is a sum of that
# many products, so its variance is $n_\text{in}$ times the variance of a product. To keep the size from layer to layer, the
# weights need a variance of about $1/n_\text{in}$. ReLU throws away half of the values, so it needs twice as much:
# $2/n_\text{in}$, which is **He's** initialisation. The way back wants
# $1/n_\text{out}$, by the same argument; **Xavier's** rule divides by the mean of the two numbers:
# $2/(n_\text{in} + n_\text{out})$.
#
# **Exercise 4.** Draw the weights of one layer by He's rule.


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
# Now look inside a network with six hidden layers, before any training, for four kinds of initial weights. *Predict:*
# what happens to the gradient on its way down through six sigmoids?

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


norms = {
    f"{activation}, {init}": gradient_norms(activation, init)
    for activation, init in [
        ("ReLU", "He"),
        ("tanh", "Xavier"),
        ("sigmoid", "Xavier"),
        ("sigmoid", "too large"),
        ("ReLU", "too small"),
    ]
}

# %% mystnb={"image": {"alt": "Norm of the gradient in each of seven layers before training, on a logarithmic axis. ReLU with He and tanh with Xavier are level; sigmoid with Xavier falls by several orders of magnitude from the last layer to the first; sigmoid with large weights falls far less; ReLU with tiny weights lies far below everything."}}
plot_curves(
    norms,
    "Gradient norm per layer, before training",
    "Layer (1 = first)",
    "Norm of dW",
    log_y=True,
)

# %% [markdown]
# *How to read it:* the right end is next to the loss, the left end next to the input. A level curve means that all
# layers can learn at one learning rate. The lowest curve would need an enormous one: with tiny weights hardly any gradient
# reaches any layer. A curve that falls to the left is a *vanishing gradient*: the first layers hardly move while the last
# ones learn.

# %%
ratio = {name: values[-1] / values[0] for name, values in norms.items()}
Markdown(
    "The last layer's gradient is larger than the first layer's by a factor of "
    + ", ".join(f"**{factor:,.1f}** ({name})" for name, factor in ratio.items())
    + "."
)

# %% tags=["remove-cell"]
with text_says("with sigmoids and Xavier's weights the gradient vanishes"):
    assert ratio["sigmoid, Xavier"] > 500
with text_says("with ReLU or tanh, all layers receive similar gradients"):
    assert all(ratio[name] < 20 for name in ["ReLU, He", "tanh, Xavier"])
with text_says("with large weights a sigmoid's gradient falls far less"):
    assert ratio["sigmoid, too large"] < ratio["sigmoid, Xavier"] / 20
with text_says("with tiny weights hardly any gradient reaches any layer"):
    assert max(norms["ReLU, too small"]) < 1e-6

# %% [markdown]
# A gradient can get lost in two ways that one can count, layer by layer. A sigmoid or tanh unit is *saturated* for an
# example if its derivative is below a tenth of its maximum. A ReLU unit is *dead* if it is negative for every example; it
# does not learn as long as that lasts.


# %%
def saturated(activation, init):
    network = DeepMLP(SIX, activation, INITS[init], SEEDS)
    _, zs, _ = network.forward(X_spiral)
    _, grad = ACTIVATIONS[activation]
    peak = grad(np.zeros(1))[0]
    return [(grad(z) < 0.1 * peak).mean() for z in zs[:-1]]


def dead(init, seeds=SEEDS):
    network = DeepMLP(SIX, "ReLU", INITS[init], seeds)
    _, zs, _ = network.forward(X_spiral)
    return [(z <= 0).all(axis=1).mean() for z in zs[:-1]]


fractions = {
    "tanh, Xavier: saturated": saturated("tanh", "Xavier"),
    "tanh, too large: saturated": saturated("tanh", "too large"),
    "sigmoid, Xavier: saturated": saturated("sigmoid", "Xavier"),
    "sigmoid, too large: saturated": saturated("sigmoid", "too large"),
    "ReLU, He: dead": dead("He"),
}

# %% mystnb={"image": {"alt": "Fraction of saturated or dead units in each of six hidden layers before training: none for tanh and sigmoid with Xavier, most for tanh with large weights, about half for sigmoid with large weights, and a fraction of dead ReLU units that grows with depth."}}
plot_curves(
    fractions,
    "Units that pass on little or nothing",
    "Hidden layer (1 = first)",
    "Fraction of units",
)

# %%
Markdown(
    "With large weights, "
    f"**{fractions['tanh, too large: saturated'][-1]:.0%}** of the last hidden "
    "layer's tanh units are saturated; with Xavier's, "
    f"{fractions['tanh, Xavier: saturated'][-1]:.0%}. Of the ReLU units, "
    f"**{fractions['ReLU, He: dead'][0]:.0%}** are dead in the first hidden "
    f"layer and **{fractions['ReLU, He: dead'][-1]:.0%}** in the last."
)

# %% tags=["remove-cell"]
with text_says("large weights saturate most tanh units, Xavier's hardly any"):
    assert fractions["tanh, too large: saturated"][-1] > 0.5
    assert fractions["tanh, Xavier: saturated"][-1] < 0.05
with text_says("the sigmoid with Xavier's weights has no saturated unit"):
    assert max(fractions["sigmoid, Xavier: saturated"]) < 0.01
with text_says("dead units become more frequent with depth"):
    assert fractions["ReLU, He: dead"][-1] > fractions["ReLU, He: dead"][0]

# %% [markdown]
# *How to read it:* the height is the share of units, over all seeds, that are saturated or dead. The sigmoid with
# Xavier's weights has no saturated unit at all, and yet its first layers starve. So saturation is not the reason there:
# even in its middle a sigmoid passes on only a quarter, and these weights do not make up for it. With large weights many
# units are saturated, but the others receive a gradient multiplied by large weights. Counting saturated units alone does
# not tell whether a network will learn.
#
# Why do dead units become more frequent with depth, even with good weights? With zero biases each ReLU layer makes the
# examples more alike: after it no value is negative, so no two examples point in opposite directions, and each further
# layer narrows the angle between them. A unit that is negative for one of them is then negative for most.
#
# ## When is a sigmoid fine?
#
# Now train. Three activations, four kinds of initial weights, three learning rates, five seeds each, with one hidden layer
# and with four. The entry is the training loss after 200 steps: mean over the seeds, and half the width of its 95 %
# interval. Guessing has a loss of $\log 2 \approx 0.69$. The two tables take about 10 s on two cores.
#
# *Predict:* are there weights with which the sigmoid beats ReLU?

# %%
RATES = [0.03, 0.3, 3.0]
T_95 = 2.776  # 97.5 % point of Student's t with 4 degrees of freedom


def study(hidden, steps=200):
    """{(activation, init, rate): losses of the five seeds} after training."""
    final = {}
    settings = list(product(ACTIVATIONS, INITS, RATES))
    for activation, init, lr in progress_bar(settings, desc="settings"):
        network = DeepMLP([2, *hidden, 2], activation, INITS[init], SEEDS)
        with np.errstate(all="ignore"):  # some of them explode
            for _ in range(steps):
                losses = network.step(X_spiral, y_spiral, lr)
        final[activation, init, lr] = losses
    return final


def entry(losses):
    if not np.isfinite(losses).all():
        return "diverged"
    half_width = T_95 * losses.std(ddof=1) / np.sqrt(len(losses))
    return f"{losses.mean():.2f} ± {half_width:.2f}"


def table(final):
    lines = [
        "| activation | weights | "
        + " | ".join(f"rate {lr:g}" for lr in RATES)
        + " |",
        "|---|---|" + "---|" * len(RATES),
    ]
    for activation in ACTIVATIONS:
        for init in INITS:
            entries = [entry(final[activation, init, lr]) for lr in RATES]
            lines.append(
                f"| {activation} | {init} | " + " | ".join(entries) + " |"
            )
    return "\n".join(lines)


shallow = study([16])
Markdown("**One hidden layer**\n\n" + table(shallow))

# %%
deep_results = study([16] * 4)
Markdown("**Four hidden layers**\n\n" + table(deep_results))


# %%
def best(final, activation, init=None):
    """Lowest mean loss of an activation, over rates (and kinds of weights)."""
    means = [
        losses.mean()
        for (a, i, _), losses in final.items()
        if a == activation and init in (None, i) and np.isfinite(losses).all()
    ]
    return min(means, default=np.inf)  # infinity if all of them diverged


by_rule = {  # with weights by He's or Xavier's rule, the better of the two
    activation: min(best(deep_results, activation, i) for i in ["He", "Xavier"])
    for activation in ACTIVATIONS
}
large = {a: best(deep_results, a, "too large") for a in ACTIVATIONS}
flat = {a: best(shallow, a) for a in ACTIVATIONS}


def listed(losses):
    return ", ".join(f"{loss:.2f} with {a}" for a, loss in losses.items())


Markdown(
    "Lowest mean loss over the learning rates:\n\n"
    f"- one hidden layer, any weights: {listed(flat)};\n"
    f"- four hidden layers, weights by rule: {listed(by_rule)};\n"
    f"- four hidden layers, large weights: {listed(large)}."
)

# %% tags=["remove-cell"]
with text_says("with one hidden layer, a sigmoid is fine"):
    assert best(shallow, "sigmoid") < 0.25
with text_says("with four, it is not fine at the usual weights"):
    assert by_rule["sigmoid"] > 0.3
with text_says("with large weights the sigmoid learns, and ReLU does not"):
    assert best(deep_results, "sigmoid", "too large") < 0.2
    assert best(deep_results, "ReLU", "too large") > 0.4
with text_says("ReLU with He's weights does better than any sigmoid"):
    assert best(deep_results, "ReLU", "He") < 0.05
    assert best(deep_results, "ReLU", "He") < best(deep_results, "sigmoid")
with text_says("tanh learns with all weights but the tiny ones"):
    assert all(
        best(deep_results, "tanh", i) < 0.2 for i in INITS if i != "too small"
    )
with text_says("weights that are too small stop every deep network"):
    assert all(
        abs(losses.mean() - np.log(2)) < 0.01
        for (_, init, _), losses in deep_results.items()
        if init == "too small"
    )

# %% [markdown]
# What do the tables say?
#
# - **With one hidden layer, a sigmoid is fine.** It passes on less than ReLU, so it wants more: a larger learning rate
#   and larger weights. With both, it learns.
# - **With four, it is not fine at the usual weights.** On its way to the first layer its gradient passes four sigmoids,
#   each of which lets through a quarter at most, and no learning rate in the table mends that.
# - **With large weights it learns again**, while ReLU with the *same* weights does not. So yes, there are weights with
#   which the sigmoid wins. With He's weights, though, ReLU does better than the sigmoid with any. A sigmoid's slope is at
#   most a quarter, so its weights must be about four times larger than a tanh's to pass on as much.
# - **Tanh learns with all weights but the tiny ones**, as long as the rate is not too high.
# - **Weights that are too small stop every deep network**, whatever the activation.
#
# An interval wider than its mean says that some seeds learnt and some did not.
#
# So "ReLU is better than sigmoid" is not a law. It is a statement about depth, weights and learning rate together, and
# ReLU's advantage is that the usual choices suit it.
#
# ## Learning, seen
#
# Where does the border between the classes go while a network learns? This plays once and then stands still.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Animation, played once: two spirals and the regions of a ReLU network during training. The border starts as a straight cut, then bends at more and more places until it follows the gap between the spirals."}}
from PIL import Image as Picture

film = DeepMLP([2, 32, 32, 2], "ReLU", INITS["He"], seeds=[1])
axis = np.linspace(-1.3, 1.3, 120)
grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
frames, taken = [], 0
steps_shown = np.unique(np.geomspace(1, 400, 24).astype(int))
for until in progress_bar(steps_shown, desc="frames"):
    while taken < until:
        loss = film.step(X_spiral, y_spiral, 0.3)[0]
        taken += 1
    scores, _, _ = film.forward(grid)
    regions = scores[0].argmax(axis=1).reshape(len(axis), len(axis))
    with plt.rc_context(STYLE):
        figure, ax = plt.subplots(figsize=(4.4, 4.2), dpi=80)
        ax.grid(False)
        ax.contourf(
            axis,
            axis,
            regions,
            levels=[-0.5, 0.5, 1.5],
            colors=COLORS[:2],
            alpha=0.25,
        )
        for k, marker in enumerate("os"):
            ax.scatter(
                *X_spiral[y_spiral == k].T, s=16, marker=marker, color=COLORS[k]
            )
        ax.set(
            title=f"after step {taken}: loss {loss:.3f}",
            xlabel="$x_1$",
            ylabel="$x_2$",
        )
        buffer = io.BytesIO()
        figure.savefig(buffer, transparent=True)
        plt.close(figure)
    frames.append(Picture.open(buffer))

animation = io.BytesIO()
frames[0].save(
    animation,
    format="PNG",
    save_all=True,
    append_images=frames[1:],
    duration=[300] * (len(frames) - 1) + [3000],
    loop=1,  # no endless blinking
)
Image(data=animation.getvalue(), format="png")

# %% tags=["remove-cell"]
with text_says("the border finds its way between the spirals"):
    assert loss < 0.1
with text_says("the animation is short"):
    assert len(animation.getvalue()) < 600_000

# %% [markdown]
# *How to read it:* the colour is the network's answer at each place. It begins with one straight cut, as a linear model
# would, and then finds out, bend by bend, what hidden units are for.
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
# Six bugs that people really write, each by its symptom first. In the book the code of each bug is behind a click; in a
# notebook, scroll past it. Look at the symptom, make your own hypothesis, and only then read on.
#
# ### Bug 1: the loss starts far too high


# %% tags=["hide-input"]
class StartsTooLarge(TwoLayerMLP):
    def __init__(self, *args, weight_scale=0.01, **kwargs):
        super().__init__(*args, weight_scale=1000 * weight_scale, **kwargs)


# %%
start, _, _ = StartsTooLarge(2, 16, 2).loss(X_toy, y_toy)
Markdown(
    f"Symptom: the loss before training is **{start:.1f}**; log 2 = "
    f"{np.log(2):.2f}."
)

# %% tags=["remove-cell"]
with text_says("the loss before training is far too high"):
    assert start > 5 * np.log(2)

# %% [markdown]
# *Hypothesis:* not knowing costs $\log C$; more than that is being *confident and wrong*, so the scores are large, so
# the weights are. *Experiment:* shrink the weights, and the loss must come down to $\log C$.

# %%
shrunk = StartsTooLarge(2, 16, 2)
shrunk.W1, shrunk.W2 = shrunk.W1 / 1000, shrunk.W2 / 1000
mended, _, _ = shrunk.loss(X_toy, y_toy)
Markdown(
    f"With weights a thousand times smaller: **{mended:.4f}**. The mend: scale "
    "weights by a rule."
)

# %% tags=["remove-cell"]
with text_says("with smaller weights the loss comes down to log 2"):
    assert abs(mended - np.log(2)) < 0.01

# %% [markdown]
# ### Bug 2: it learns from a few examples and explodes with many


# %% tags=["hide-input"]
class NoBatchAverage(TwoLayerMLP):
    def backward(self, probs, cache, y):
        return tuple(
            len(y) * gradient for gradient in super().backward(probs, cache, y)
        )


# %%
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
    for name, Model in [
        ("right", TwoLayerMLP),
        ("with the bug", NoBatchAverage),
    ]
}
Markdown(
    "Symptom: final loss\n\n| network | 10 examples | 100 examples "
    "|\n|---|---|---|\n"
    + "\n".join(
        f"| {name} | {a:.3f} | {b:.3f} |" for name, (a, b) in symptom.items()
    )
)

# %% tags=["remove-cell"]
with text_says("the network with the bug does worse on many examples"):
    assert symptom["with the bug"][1] > 2 * symptom["right"][1]
with text_says("it learns from a few examples"):
    assert symptom["with the bug"][0] < symptom["right"][0]

# %% [markdown]
# *Hypothesis:* the steps grow with the number of examples, so somewhere a mean is a sum. *Experiment:* a mean does not
# change if every example is taken twice. Neither may the gradients.


# %%
def gradients(model, X, y):
    _, probs, cache = model.loss(X, y)
    return model.backward(probs, cache, y)


def growth_when_doubled(Model):
    model = Model(2, 16, 2, weight_scale=0.5)
    once = gradients(model, X_toy, y_toy)
    twice = gradients(
        model, np.vstack([X_toy, X_toy]), np.hstack([y_toy, y_toy])
    )
    return np.linalg.norm(twice[0]) / np.linalg.norm(once[0])


growth = {
    Model.__name__: growth_when_doubled(Model)
    for Model in (TwoLayerMLP, NoBatchAverage)
}
Markdown(
    "Every example twice: the gradient grows by a factor of "
    + ", ".join(
        f"**{factor:.2f}** (`{name}`)" for name, factor in growth.items()
    )
    + ". The mend: `dscores /= N`."
)

# %% tags=["remove-cell"]
with text_says("only the gradient with the bug grows"):
    assert abs(growth["TwoLayerMLP"] - 1) < 1e-9
    assert abs(growth["NoBatchAverage"] - 2) < 1e-9

# %% [markdown]
# ### Bug 3: it runs with some batch sizes only


# %% tags=["hide-input"]
class BiasOnTheWrongAxis(TwoLayerMLP):
    def backward(self, probs, cache, y):
        _, z1, _, _ = cache
        dW1, _, dW2, db2 = super().backward(probs, cache, y)
        dscores = probs.copy()
        dscores[np.arange(len(y)), y] -= 1
        dz1 = (dscores / len(y)) @ self.W2.T * (z1 > 0)
        return dW1, dz1.sum(axis=1), dW2, db2


# %%
for batch in [16, 17]:
    model = BiasOnTheWrongAxis(2, 16, 2, weight_scale=0.1)
    X, y = X_toy[::9][:batch], y_toy[::9][:batch]  # some of each class
    try:
        train_numpy(model, X, y, lr=0.1, epochs=1, verbose=False)
        print(f"batch of {batch}: runs")
    except ValueError as error:
        print(f"batch of {batch}: {error}")

# %% [markdown]
# *Hypothesis:* 16 is also the number of hidden units, so an array of one length stands where the other belongs, and fits
# by accident. *Experiment:* a gradient check at just this batch size, since there it cannot hide behind a crash. The
# report says where.

# %%
biased = BiasOnTheWrongAxis(2, 16, 2, weight_scale=0.5)
biased.b1 = biased.b1.ravel()  # (H,), so that the wrong shape fits
gradient_report(biased, X_toy[::10], y_toy[::10])

# %% tags=["remove-cell"]
with text_says("only `b1` is wrong"):
    bias_report = gradient_report(biased, X_toy[::10], y_toy[::10])
    assert bias_report.lines[1].norm_ratio > 0.01
    assert all(bias_report.lines[k].norm_ratio < 1e-6 for k in (0, 2, 3))

# %% [markdown]
# Only `b1` is wrong. The mend: `dz1.sum(axis=0)`, a sum over the *examples*. And in tests, never let two sizes be equal:
# choose $N$, $D$, $H$ and $C$ all different.
#
# ### Bug 4: it learns worse when you watch it


# %% tags=["hide-input"]
class KeepsOneCache(TwoLayerMLP):
    """Keeps what the forward pass computed in the model itself."""

    def forward(self, X):
        scores, self.kept = super().forward(X)
        return scores, self.kept

    def backward(self, probs, cache, y):
        return super().backward(
            probs, self.kept, y
        )  # the last forward pass, whichever it was


# %%
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
    for name, Model in [("right", TwoLayerMLP), ("with the bug", KeepsOneCache)]
}
Markdown(
    "Symptom: final loss\n\n| network | unwatched | watched |\n|---|---|---|\n"
    + "\n".join(
        f"| {name} | {a:.4f} | {b:.4f} |" for name, (a, b) in watched.items()
    )
)

# %% tags=["remove-cell"]
with text_says("watching changes only the network with the bug"):
    assert watched["right"][0] == watched["right"][1]
    assert watched["with the bug"][0] == watched["right"][0]
    assert watched["with the bug"][1] != watched["with the bug"][0]

# %% [markdown]
# *Hypothesis:* looking changes something, so `loss` leaves something behind that `backward` uses. *Experiment:* call `loss`
# on other data in between; the gradients must not notice.


# %%
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
    Model.__name__: notices_a_look(Model)
    for Model in (TwoLayerMLP, KeepsOneCache)
}
print(looks)

# %% tags=["remove-cell"]
with text_says("only the network with the bug notices a look"):
    assert looks == {"TwoLayerMLP": False, "KeepsOneCache": True}

# %% [markdown]
# The mend: return the cache and pass it on, as `TwoLayerMLP` does. State that nobody sees is state that nobody tests.
#
# ### Bug 5: centred pixels that are not centred

# %%
pixels = (
    np.random.default_rng(0).integers(0, 256, size=(100, 64)).astype(np.uint8)
)
centred = pixels - np.uint8(128)
Markdown(
    f"Symptom: after subtracting 128, the pixels run from **{centred.min()}** to "
    f"**{centred.max()}** with mean {centred.mean():.0f}."
)

# %% tags=["remove-cell"]
with text_says("the centred pixels are not centred"):
    assert centred.min() >= 0
    assert centred.mean() > 100

# %% [markdown]
# *Hypothesis:* nothing is negative, so something cannot *be* negative: the array still holds unsigned bytes, in which
# $0 - 128$ wraps around to $128$. *Experiment:* look at the type, and do the same in floating point.

# %%
as_float = pixels.astype(float) - 128
Markdown(
    f"`{centred.dtype}` against `{as_float.dtype}`: now from "
    f"{as_float.min():.0f} to "
    f"{as_float.max():.0f}, mean {as_float.mean():.0f}. The mend: convert "
    "first, then compute."
)

# %% tags=["remove-cell"]
with text_says("in floating point the pixels are centred"):
    assert as_float.min() < 0 < as_float.max()

# %% [markdown]
# ### Bug 6: almost nothing


# %% tags=["hide-input"]
def careless_step(model, X, y, lr):
    """Updates W2 before the gradient has passed through it."""
    _, probs, (X, z1, a1, _) = model.loss(X, y)
    dscores = probs.copy()
    dscores[np.arange(len(y)), y] -= 1
    dscores /= len(y)
    model.W2 = model.W2 - lr * a1.T @ dscores
    model.b2 = model.b2 - lr * dscores.sum(axis=0)
    dz1 = dscores @ model.W2.T * (z1 > 0)  # this W2 is already the next one
    model.W1 = model.W1 - lr * X.T @ dz1
    model.b1 = model.b1 - lr * dz1.sum(axis=0)


# %%
def careful_step(model, X, y, lr):
    for name, gradient in zip(
        ["W1", "b1", "W2", "b2"], gradients(model, X, y), strict=True
    ):
        setattr(model, name, getattr(model, name) - lr * gradient)


finals = {}
for take_step in (careful_step, careless_step):
    model = TwoLayerMLP(2, 16, 2, weight_scale=0.1)
    for _ in range(100):
        take_step(model, X_toy, y_toy, 0.3)
    finals[take_step.__name__] = model.loss(X_toy, y_toy)[0]
Markdown(
    "Symptom: none to speak of. Final loss "
    + ", ".join(f"**{loss:.4f}** (`{name}`)" for name, loss in finals.items())
    + "."
)

# %% tags=["remove-cell"]
with text_says("the two steps end at almost the same loss"):
    assert abs(finals["careful_step"] - finals["careless_step"]) < 0.02
    assert finals["careful_step"] != finals["careless_step"]

# %% [markdown]
# A gradient check of `backward` finds nothing, because this step does not use it. *Hypothesis:* the *step* is not what it claims
# to be. *Experiment:* after one step, each parameter must have moved by $-\eta$ times its gradient, and nothing else.


# %%
def step_error(take_step, lr=0.3):
    model = TwoLayerMLP(2, 16, 2, weight_scale=0.5)
    before, expected = model.W1, gradients(model, X_toy, y_toy)[0]
    take_step(model, X_toy, y_toy, lr)
    moved = (before - model.W1) / lr
    return np.linalg.norm(moved - expected) / np.linalg.norm(expected)


step_errors = {f.__name__: step_error(f) for f in (careful_step, careless_step)}
Markdown(
    "The first layer moved wrongly by a relative "
    + ", ".join(
        f"**{error:.0e}** (`{name}`)" for name, error in step_errors.items()
    )
    + ". The mend: compute all gradients, then take all steps."
)

# %% tags=["remove-cell"]
with text_says("only the careless step moves the first layer wrongly"):
    assert step_errors["careful_step"] < 1e-12
    assert step_errors["careless_step"] > 1e-3

# %% [markdown]
# ## Testing is a craft
#
# The experiments above are worth keeping: as tests, run after every change. What should one ask of a network?
#
# 1. **Shapes**: every gradient like its parameter, for sizes that are all different.
# 2. **Loss at the start**: with small weights, $\log C$.
# 3. **Gradient**: agreement with finite differences, for every activation.
# 4. **Invariances**: the order of the batch, and every example twice, change nothing; a look at other data neither.
# 5. **Overfit a little**: a healthy network can learn four examples by heart, even with random labels.
#
# Each is a function that stays silent when all is well, and says which promise broke when it is not. The fourth is a
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
        model.b1 = rng.standard_normal((1, 7))  # a bias of 0 could hide a bug
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
        f"four examples are not learnt: loss {losses[-1]:.3f}"
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
# reason; if the only reason is that the test passes with it, it guards nothing. (The library
# [Hypothesis](https://hypothesis.readthedocs.io/) draws the cases for property tests much more cleverly, and shrinks a
# failing one to the smallest that still fails.)
#
# ## Who tests the tests?
#
# The best test of a test is a bug. Here are the planted ones, and one more: averaging the bias gradients over the batch,
# where they should be summed. *Predict* which of the five tests will catch each.


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


BUGS = [
    StartsTooLarge,
    NoBatchAverage,
    BiasOnTheWrongAxis,
    KeepsOneCache,
    AveragesTheBiases,
]
verdicts = {Bug.__name__: caught_by(Bug) for Bug in BUGS}
lines = [
    "| bug | "
    + " | ".join(test.__name__[5:].replace("_", " ") for test in TESTS)
    + " |"
]
lines.append("|---" * (len(TESTS) + 1) + "|")
for name, caught in verdicts.items():
    marks = ["caught" if test.__name__ in caught else "–" for test in TESTS]
    lines.append(f"| `{name}` | " + " | ".join(marks) + " |")
Markdown("\n".join(lines))

# %% tags=["remove-cell"]
with text_says("every bug is caught by at least one test"):
    assert all(verdicts.values())
with text_says("a network with averaged biases memorises four examples"):
    assert "test_overfits_four_examples" not in verdicts["AveragesTheBiases"]
with text_says("only the test that looks in between finds `KeepsOneCache`"):
    assert verdicts["KeepsOneCache"] == ["test_invariances"]
with text_says("the loss at the start shows weights that are too large"):
    assert verdicts["StartsTooLarge"][0] == "test_loss_at_start"
with text_says("`StartsTooLarge` also fails the gradient test"):
    assert "test_gradient" in verdicts["StartsTooLarge"]

# %% [markdown]
# Read the table by rows and by columns. By rows, every bug is caught by at least one test. By columns, no test catches
# everything. Notice `AveragesTheBiases`: it learns four examples by heart, so a falling loss says nothing against it.
# And `KeepsOneCache` passes the gradient check; only a test that *looks in between* finds it. `StartsTooLarge` fails the
# gradient test although its formulas are right: with such weights the probabilities are 0 or 1, where the floor in the
# cross-entropy makes the loss flat and finite differences see no slope. A failed test names a symptom, not always the
# cause.
#
# **Exercise 5.** Now yours. Write a function that gets an implementation of `backward(X, y, W1, b1, W2, b2)` and says
# whether it is right. It is graded by the bugs that it lets live, and it must not condemn a correct one. A bias
# gradient may have the shape $(H,)$ or $(1, H)$. A suite that raises an exception condemns the implementation, too.


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
# gradients, with sizes that are all different. The rest give the right gradients, once: what can a call do besides?
# </details>
#
# <details>
# <summary>Another hint</summary>
#
# Write the loss as a function of one parameter, with the others fixed, and use `nnweek.gradcheck.numerical_gradient`.
# A bias gradient may come as $(H,)$ or as $(1, H)$; compare after `np.ravel`.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def suite(backward):
#     # All sizes differ, so that no shape fits by accident, and no bias is 0.
#     N, D, H, C = 6, 3, 5, 4
#     rng = np.random.default_rng(0)
#     X, y = rng.standard_normal((N, D)), rng.integers(0, C, size=N)
#     shapes = [(D, H), (1, H), (H, C), (1, C)]
#     params = [rng.standard_normal(shape) for shape in shapes]
#
#     model = TwoLayerMLP(D, H, C)
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
# - a) The sigmoid overflows.
# - b) Each sigmoid multiplies the gradient by at most one quarter, and the usual weights do not make up for it.
# - c) The output layer needs a sigmoid, too.
#
# <details>
# <summary>Answer</summary>
#
# **b.** The slopes alone leave less than a thousandth after five layers ($1/4^5$), even if no unit is saturated. Only
# larger weights can make up for that.
# a) An overflow would show as a warning or as NaN, not as slowness.
# c) The output layer's softmax has nothing to do with the layers below it.
# </details>
#
# **2.** A ReLU unit in the first hidden layer is negative for every example of the training set. What happens to its incoming weights?
#
# - a) They shrink until it is positive again.
# - b) Nothing: its gradient is zero for every example, so they never change.
# - c) They grow without bound.
#
# <details>
# <summary>Answer</summary>
#
# **b.** The unit is *dead*: its derivative is zero wherever it is evaluated.
# a) would need a gradient that points back, and there is none.
# c) Weights move only by their gradient.
# </details>
#
# **3.** Your gradient check passes, but the network does not learn. What can you rule out?
#
# - a) A learning rate that is too small.
# - b) Labels that do not belong to their images.
# - c) A wrong formula in `backward`.
#
# <details>
# <summary>Answer</summary>
#
# **c.** That is what the check is for.
# a) and b) leave the gradient correct for the loss that it was asked about. For b), learning four examples by heart
# would still work, so it needs a look at the data.
# </details>
#
# **4.** Your test uses a batch of 8 examples and 8 hidden units. What is wrong with that?
#
# - a) It is too small to mean anything.
# - b) An array summed over the wrong axis has the right shape.
# - c) Nothing.
#
# <details>
# <summary>Answer</summary>
#
# **b.** Equal sizes let a whole family of bugs through.
# a) A wrong formula is wrong for two examples, too.
# c) would be true if the sizes differed.
# </details>
#
# ## Summary
#
# | question | answer |
# |---|---|
# | why bend at all | without it, layers collapse into one linear map |
# | ReLU, sigmoid, tanh | pass on all or nothing; at most a quarter; at most all |
# | saturated, dead | derivative near zero; derivative zero for every example |
# | how large at the start | He: variance $2/n_\text{in}$ for ReLU |
# | is sigmoid bad | fine when shallow; deep, it needs larger weights |
# | debugging | symptom, hypothesis, experiment |
# | what to test | shapes, loss at the start, gradient, invariances, overfit a little |
# | a test that cannot fail | is not a test: plant a bug and see |
#
# ## Read more
#
# - University of Amsterdam, [activation functions](https://uvadlc-notebooks.readthedocs.io/en/latest/tutorial_notebooks/tutorial3/Activation_Functions.html),
#   with gradients and dead units on a deeper network.
# - Glorot and Bengio (2010), [Understanding the difficulty of training deep feedforward neural networks](https://proceedings.mlr.press/v9/glorot10a.html).
# - He, Zhang, Ren and Sun (2015), [Delving deep into rectifiers](https://arxiv.org/abs/1502.01852), where He's rule comes from.
# - Andrej Karpathy, [A recipe for training neural networks](https://karpathy.github.io/2019/04/25/recipe/).
