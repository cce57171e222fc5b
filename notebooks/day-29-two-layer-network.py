# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Day 29 – A two-layer network from scratch
#
# A neural network is a function with many adjustable numbers. Learning means changing each of them a little, in the
# direction that lowers the error. Today you build all of it in NumPy: the function, the error, the direction for every
# number, and a test of these directions. At the end it reads handwritten digits.
#
# **You will be able to**
#
# - write the forward pass of a two-layer network and give the shape of every array in it;
# - turn scores into probabilities, and probabilities into a loss;
# - derive the gradient of that loss by hand, for one example and for a batch, and write it as code;
# - carry the same three lines over to another loss, another activation and a third layer;
# - check the gradients of any network, and find a bug from the report of the check alone;
# - train the network, and say what the hidden layer adds.
#
# **Time** about 310 minutes: a neuron 5, forward 20, loss 25, by hand 40, backward 65, a first check 20, training 15,
# spirals 10, transfer 45, the craft of checking 50, the surface 5, digits 5, questions 5.
#
# **You need** Python and NumPy basics, matrix products, and the chain rule from school calculus.

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
# ## Where we start
#
# - A *linear* classifier separates two classes with one straight line; a hidden layer makes other borders possible.
# - Learning needs a *loss*, one number that says how wrong the network is, and its *gradient*, which says how the loss
#   changes with each weight.
# - *Backpropagation* is the chain rule, applied layer by layer, from the loss back to the input.

# %%
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown

from nnweek import checks, results
from nnweek.notebook import text_says
from nnweek.plots import COLORS, GREY, STYLE
from nnweek.toy import make_spirals, make_toy_data

# %% [markdown]
# Change these numbers and run the rest again. The text describes the run with these.

# %% tags=["parameters"]
SEED = 42
EPOCHS = 200  # on two clouds of points
LR = 0.5
SPIRAL_EPOCHS = 2000
SPIRAL_LR = 1.0
DIGIT_EPOCHS = 6
DIGIT_LR = 0.1
BATCH_SIZE = 128  # digits per step

# %% [markdown]
# ## One neuron
#
# A single neuron multiplies each input by a weight, adds a bias, and looks at the sign of the sum. Where
# $w_1 x_1 + w_2 x_2 + b$ is zero, it cannot decide; those points form a straight line.
#
# While code is new, the data should be easy, so that every surprise comes from the code. Here are two clouds of points,
# around $(-1, -1)$ and $(1, 1)$. A neuron with both weights $1$ and bias $0$ tells all but one of them apart.

# %%
X_toy, y_toy = make_toy_data(80, seed=SEED)
w, b = np.array([1.0, 1.0]), 0.0


def neuron(points):
    return (points @ w + b > 0).astype(int)


# %% tags=["hide-input"]
def draw_regions(ax, X, y, predict, title):
    """Draw labelled points and, behind them, what a model answers."""
    low, high = X.min(axis=0) - 0.3, X.max(axis=0) + 0.3
    grid = [np.linspace(*ends, 200) for ends in zip(low, high, strict=True)]
    u, v = np.meshgrid(*grid)
    answers = predict(np.column_stack([u.ravel(), v.ravel()]))
    ax.contourf(
        u, v, answers.reshape(u.shape), [-0.5, 0.5, 1.5],
        colors=COLORS, alpha=0.25,
    )  # fmt: skip
    for k, marker in enumerate("os"):
        ax.scatter(
            *X[y == k].T, s=20, marker=marker, color=COLORS[k],
            edgecolor="white", linewidth=0.4, label=f"class {k}",
        )  # fmt: skip
    ax.grid(False)
    ax.set(title=title, xlabel="$x_1$", aspect="equal")


# %% tags=["hide-input"] mystnb={"image": {"alt": "Two clouds of points, class 0 at the lower left and class 1 at the upper right; the plane is coloured by what a single neuron says, with a straight border between the clouds. One point of class 0 lies on the side of class 1."}}
with plt.rc_context(STYLE):
    figure, ax = plt.subplots(figsize=(4.6, 4.4))
    draw_regions(ax, X_toy, y_toy, neuron, "One neuron, one straight line")
    ax.set_ylabel("$x_2$")
    figure.legend(loc="outside lower center", ncols=2)
    plt.show()

# %% [markdown]
# *How to read it:* each mark is one example. Its position shows its two features, its shape and colour its label, and the
# colour behind it the neuron's answer.

# %% tags=["remove-cell"]
with text_says("the neuron tells all but one of the points apart"):
    assert (neuron(X_toy) != y_toy).sum() == 1

# %% [markdown]
# A neuron fails wherever no straight line separates the classes, which is most of the time. So we feed the outputs of some
# neurons into others.
#
# ## The forward pass
#
# A point becomes an answer in three steps: a linear map into $H$ hidden units, an *activation*, and a linear map into
# one *score* per class. (A score is a neuron's sum before it looks at the sign.)
#
# $$\begin{aligned}
# z_1 &= X W_1 + b_1 \\
# a_1 &= \max(0, z_1) \\
# s &= a_1 W_2 + b_2
# \end{aligned}$$
#
# Several examples, a *batch*, go through together as the rows of $X$. The activation $\max(0, z)$ is called **ReLU**.
# Without it, two layers would be one: $(X W_1) W_2 = X (W_1 W_2)$.
#
# Most bugs are shapes that do not match or, worse, match by accident. So keep a *shape ledger*, with $N$ examples, $D$
# features, $H$ hidden units and $C$ classes:
#
# | what | symbol | in the code | shape |
# |---|---|---|---|
# | examples | $X$ | `X` | $(N, D)$ |
# | labels | $y$ | `y` | $(N,)$ |
# | first weights, biases | $W_1, b_1$ | `W1`, `b1` | $(D, H)$, $(1, H)$ |
# | before, after the activation | $z_1, a_1$ | `z1`, `a1` | $(N, H)$ |
# | second weights, biases | $W_2, b_2$ | `W2`, `b2` | $(H, C)$, $(1, C)$ |
# | scores (logits) | $s$ | `scores` | $(N, C)$ |
# | probabilities | $p$ | `probs` | $(N, C)$ |
#
# NumPy adds a bias, one row, to every row. Many people write $(H,)$ instead; the checks accept both.
#
# **Exercise 1.** *(about 8 minutes, easy)* Write the forward pass for a batch.


# %%
def forward(X, W1, b1, W2, b2):
    """Scores (N, C) of a batch X (N, D); b1 is (1, H), b2 is (1, C)."""
    ...  # your code


checks.forward(forward)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# One line for each formula. `@` is the matrix product.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def forward(X, W1, b1, W2, b2):
#     z1 = X @ W1 + b1  # (N, H)
#     a1 = np.maximum(0, z1)  # (N, H)
#     return a1 @ W2 + b2  # (N, C)
# ```
# </details>
#
# ## From scores to a loss
#
# Scores can be any numbers. To say *how wrong* they are, we first turn them into probabilities with the **softmax**:
#
# $$p_{nc} = \frac{e^{s_{nc}}}{\sum_k e^{s_{nk}}}$$
#
# Each row becomes positive and sums to one. Adding the same number to all scores of a row changes nothing: it cancels.
#
# **Exercise 2.** *(about 12 minutes, medium)* Write the softmax. It should also work for scores of $1000$, whose
# exponential is too large for the computer. What could you add to a row of scores?


# %%
def softmax(logits):
    """Turn scores (N, C) into probabilities (N, C)."""
    ...  # your code


checks.softmax(softmax)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# Subtract the row's largest score: then no exponential is above $e^0$. `keepdims=True` keeps a sum or a maximum as a
# column, so that it fits against the rows.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def softmax(logits):
#     shifted = logits - logits.max(axis=1, keepdims=True)
#     exponentials = np.exp(shifted)  # at most exp(0) = 1
#     total = exponentials.sum(axis=1, keepdims=True)
#     return exponentials / total
# ```
# </details>
#
# The **cross-entropy** asks how much probability the true class got. It is the mean of $-\log p_{n, y_n}$ over the batch:
# zero for full confidence in the right class, large for confidence in the wrong one. Here, as in NumPy, $\log$ is the
# natural logarithm.
#
# **Exercise 3.** *(about 10 minutes, medium)* Write the cross-entropy. What should it do if a probability is exactly
# zero? And on paper: what is the loss of a network that gives each of $C$ classes the same probability?


# %%
def cross_entropy(probs, y):
    """Mean negative log-probability of the true classes."""
    ...  # your code


checks.cross_entropy(cross_entropy)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# `probs[np.arange(N), y]` picks from each row the probability of its true class.
# </details>
#
# <details>
# <summary>Another hint</summary>
#
# One infinite logarithm would spoil the batch. Keep the probability above a tiny floor.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def cross_entropy(probs, y):
#     of_true_class = probs[np.arange(len(y)), y]  # (N,)
#     logs = np.log(np.maximum(of_true_class, 1e-12))
#     return -logs.mean()
# ```
#
# A network that knows nothing gives every class $1/C$, so its loss is $\log C$: about $0.69$ for two classes, $2.30$ for
# ten. Expect that number before training.
# </details>
#
# ## One pass by hand
#
# One example, all the way through, with numbers that fit on paper: two features, two hidden units, two classes. The true
# class is the second.
#
# $$\begin{gathered}
# x = (1, 2) \\[1ex]
# W_1 = \begin{pmatrix} 0.5 & -1 \\ 0.25 & 0.25 \end{pmatrix} \qquad b_1 = (1, -0.5) \\[1ex]
# W_2 = \begin{pmatrix} 1 & -1 \\ 2 & 0.5 \end{pmatrix} \qquad b_2 = (0, 1)
# \end{gathered}$$
#
# **Forward.** The first hidden unit gets $1 \cdot 0.5 + 2 \cdot 0.25 + 1 = 2$, the second
# $1 \cdot (-1) + 2 \cdot 0.25 - 0.5 = -1$. So $z_1 = (2, -1)$, and ReLU stops the second: $a_1 = (2, 0)$.
#
# The scores are $2 \cdot 1 + 0 \cdot 2 + 0 = 2$ and $2 \cdot (-1) + 0 \cdot 0.5 + 1 = -1$. So $s = (2, -1)$: the
# network prefers the first class, which is wrong.
#
# The softmax gives the first class $\frac{e^2}{e^2 + e^{-1}} \approx 0.9526$ and the second the rest,
# $p \approx (0.9526, 0.0474)$. The loss is $-\log p_2 \approx 3.0486$.
#
# **Backward.** Each step asks: if this number grew a little, how would the loss change? $\partial L / \partial s_1$ is the
# derivative of $L$ with respect to $s_1$ while all other numbers stay fixed. We write $ds$ (in code `dscores`) for the
# derivatives with respect to all scores together; it is an array, not the differential of school calculus. Likewise
# $da_1$, $dW_1$ and so on. A gradient has the shape of what it belongs to.
#
# Here $p_2 = e^{s_2} / (e^{s_1} + e^{s_2}) = 1 / (1 + e^{s_1 - s_2})$, so $L = -\log p_2 = \log(1 + e^{s_1 - s_2})$. Its
# derivative with respect to $s_1$ is $e^{s_1 - s_2} / (1 + e^{s_1 - s_2}) = p_1$, and with respect to $s_2$ it is
# $-p_1 = p_2 - 1$. So $ds$ is the probabilities minus the *one-hot* label (a one at the true class, zeros elsewhere):
# $ds = p - (0, 1) \approx (0.9526, -0.9526)$. Lower the first score, raise the second.
#
# The second layer multiplied $a_1$ by $W_2$. A weight's gradient is *its input times the gradient of its output*: the
# first row of $dW_2$ is $2 \cdot ds \approx (1.9051, -1.9051)$, the second is $0 \cdot ds = (0, 0)$. A bias has the
# input $1$: $db_2 = ds$.
#
# The first hidden value reaches the loss along two paths, one through each score.
#
# > **The chain rule adds up paths.** If $a$ influences the loss through several numbers $s_c$, then
# >
# > $$\frac{\partial L}{\partial a} = \sum_c \frac{\partial L}{\partial s_c} \cdot \frac{\partial s_c}{\partial a}$$
# >
# > Multiply along each path, and add up the paths. The reason: if $a$ grows a little, every $s_c$ changes in proportion,
# > and small changes of the loss add up.
#
# So the first hidden value gets $0.9526 \cdot 1 + (-0.9526) \cdot (-1) \approx 1.9051$, the second
# $0.9526 \cdot 2 + (-0.9526) \cdot 0.5 \approx 1.4289$: $da_1 \approx (1.9051, 1.4289)$.

# %% tags=["hide-input"]
on_paper = {
    "W1": np.array([[0.5, -1.0], [0.25, 0.25]]),
    "b1": np.array([[1.0, -0.5]]),
    "W2": np.array([[1.0, -1.0], [2.0, 0.5]]),
    "b2": np.array([[0.0, 1.0]]),
}


def loss_from_hidden(a1):
    """Loss of the example on paper, from its hidden values on."""
    s = a1 @ on_paper["W2"] + on_paper["b2"]
    return np.log(np.exp(s).sum()) - s[0, 1]


z1 = np.array([[1.0, 2.0]]) @ on_paper["W1"] + on_paper["b1"]
a1 = np.maximum(0, z1)
scores = a1 @ on_paper["W2"] + on_paper["b2"]
ds = np.exp(scores) / np.exp(scores).sum() - [[0, 1]]
da1 = ds @ on_paper["W2"].T

# %% tags=["hide-input"] mystnb={"image": {"alt": "The small network as a graph, from left to right: two inputs, two hidden values, two scores, the loss. Values stand above each node and gradients below it. Two coloured paths lead from the first hidden value to the loss, one through each score; each carries half of its gradient."}}
with plt.rc_context(STYLE):
    _, ax = plt.subplots(figsize=(4.9, 3.9))
    places = {
        "$x_1$": (0, 2), "$x_2$": (0, 0), "$h_1$": (1.5, 2), "$h_2$": (1.5, 0),
        "$s_1$": (3.1, 2), "$s_2$": (3.1, 0), "$L$": (4.2, 1),
    }  # fmt: skip
    values = [1, 2, *a1[0], *scores[0], loss_from_hidden(a1)]
    gradients = [None, None, *da1[0], *ds[0], 1]
    edges = ["x1 h1", "x1 h2", "x2 h1", "x2 h2", "h2 s1", "h2 s2",
             "h1 s1", "s1 L", "h1 s2", "s2 L"]  # fmt: skip
    for k, edge in enumerate(edges):
        ends = [places[f"${n[0]}_{n[1:]}$" if n[1:] else f"${n}$"]
                for n in edge.split()]  # fmt: skip
        look = {"color": GREY, "linewidth": 0.8, "alpha": 0.5, "linestyle": "-"}
        if k >= 6:
            look = {"color": COLORS[(k - 6) // 2], "linewidth": 3,
                    "linestyle": ["-", "--"][(k - 6) // 2]}  # fmt: skip
        ax.plot(*zip(*ends, strict=True), zorder=0, **look)
    for (name, (u, v)), value, gradient in zip(
        places.items(), values, gradients, strict=True
    ):
        ax.scatter(u, v, s=520, color="white", edgecolor=GREY)
        ax.text(u, v, name, ha="center", va="center", color="black")
        ax.text(
            u,
            v + 0.3,
            f"{value:.4g}".replace("-", "−"),
            ha="center",
            va="bottom",
        )
        if gradient is not None:
            ax.text(
                u - 0.12 * (name == "$h_1$"), v - 0.3,
                f"{gradient:.4f}".replace("1.0000", "1").replace("-", "−"),
                ha="right" if name == "$h_1$" else "center", va="top",
                color=COLORS[3], weight="bold",
            )  # fmt: skip
    shares = ds[0] * on_paper["W2"][0]
    for u, v, weight, share in [
        (1.95, 2, "1", shares[0]),
        (2.62, 1, "−1", shares[1]),
    ]:
        ax.text(u, v + 0.08, f"weight {weight}", va="bottom", fontsize=10)
        ax.text(u, v - 0.08, f"{share:.4f}", va="top", color=COLORS[3],
                fontsize=10)  # fmt: skip
    ax.set(xlim=(-0.4, 4.7), ylim=(-0.75, 2.75))
    ax.set_title("Values above, gradients below")
    ax.axis("off")
    plt.show()

# %% [markdown]
# *How to read it:* values run forward and stand above; gradients run backward and stand below, in bold. $h_1$ and $h_2$
# are the two hidden values of $a_1$. Each coloured path brings back half of the gradient of $h_1$.
#
# *Predict before you run:* the rule is not to be taken on trust. If $h_1$ goes from $2$ to $2.01$, to which value does the
# loss go? *(a number)*

# %%
before = loss_from_hidden(np.array([[2.0, 0.0]]))
after = loss_from_hidden(np.array([[2.01, 0.0]]))
print(
    f"{before:.5f} → {after:.5f}, change / 0.01 = {(after - before) / 0.01:.3f}"
)

# %% tags=["remove-cell"]
with text_says("the numbers of the pass by hand are right"):
    assert np.allclose(z1, [[2, -1]])
    assert np.allclose(scores, [[2, -1]])
    assert abs(before - 3.0486) < 5e-5
    assert np.allclose(ds, [[0.9526, -0.9526]], atol=5e-5)
    assert np.allclose(da1, [[1.9051, 1.4289]], atol=5e-5)
with text_says("the nudge confirms the sum over the two paths"):
    assert abs((after - before) / 0.01 - da1[0, 0]) < 2e-3
    assert np.allclose(shares, da1[0, 0] / 2)

# %% [markdown]
# ReLU lets the gradient through where it let the value through: $dz_1 \approx (1.9051, 0)$. The first layer is like the
# second, with the inputs $1$ and $2$: the rows of $dW_1$ are $1 \cdot dz_1 \approx (1.9051, 0)$ and
# $2 \cdot dz_1 \approx (3.8103, 0)$, and $db_1 = dz_1$.
#
# > **Three gates.** Going backward, an *addition* hands its gradient to both inputs unchanged. A *product* hands each
# > input the gradient times the *other* input. *ReLU* passes the gradient where it passed the value, and stops it
# > elsewhere (at exactly zero, we choose to stop it).
#
# **Exercise 4.** *(about 20 minutes, medium)* Now you, on paper: the same network, with $x = (-2, -1)$, and this time
# the **first** class is true. Fill in the nine rows. Calculate with four digits after the point; give at least two. You
# may check after each row.

# %%
nine_rows = {
    "z1": (..., ...),  # your numbers
    "a1": (..., ...),
    "scores": (..., ...),
    "probs": (..., ...),
    "loss": ...,
    "dscores": (..., ...),
    "da1": (..., ...),
    "dz1": (..., ...),
    "dW1": ((..., ...), (..., ...)),
}

checks.by_hand(nine_rows)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# Follow the worked example line by line. Which unit does the ReLU stop this time? What is the label, as two numbers?
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def nine_rows():
#     return {
#         "z1": (-0.25, 1.25),
#         "a1": (0, 1.25),
#         "scores": (2.5, 1.625),
#         "probs": (0.7058, 0.2942),
#         "loss": 0.3484,
#         "dscores": (-0.2942, 0.2942),
#         "da1": (-0.5885, -0.4413),
#         "dz1": (0, -0.4413),
#         "dW1": ((0, 0.8827), (0, 0.4413)),
#     }
# ```
# </details>
#
# ## The backward pass
#
# **Through softmax and loss.** How does $p_i$ change with the score $s_j$? Write $p_i = e^{s_i} / S$ with
# $S = \sum_k e^{s_k}$, so that $\partial S / \partial s_j = e^{s_j}$. The numerator depends on $s_j$ only if $i = j$, so
# the quotient rule has two cases:
#
# $$\begin{aligned}
# i = j: \quad \frac{\partial p_i}{\partial s_i} &= \frac{e^{s_i} S - e^{s_i} e^{s_i}}{S^2} = p_i (1 - p_i) \\
# i \ne j: \quad \frac{\partial p_i}{\partial s_j} &= \frac{0 \cdot S - e^{s_i} e^{s_j}}{S^2} = -p_i p_j
# \end{aligned}$$
#
# Together they form the *Jacobian* of the softmax, a $C \times C$ matrix. For one example with true class $y$, the loss
# $L = -\log p_y$ depends on $p_y$ alone, with $\partial L / \partial p_y = -1 / p_y$. By the chain rule, with $i = y$,
#
# $$\begin{aligned}
# j = y: \quad \frac{\partial L}{\partial s_y} &= -\frac{1}{p_y} \cdot p_y (1 - p_y) = p_y - 1 \\
# j \ne y: \quad \frac{\partial L}{\partial s_j} &= -\frac{1}{p_y} \cdot (-p_y p_j) = p_j
# \end{aligned}$$
#
# The dangerous $1 / p_y$ cancels; that is why the two steps are computed as one. With $Y$ the one-hot labels, both cases
# are $p - Y$. Row $n$ of the scores occurs in the loss of example $n$ only, and the mean divides by the number of examples:
#
# $$ds = \frac{p - Y}{N}$$
#
# *What the network said, minus what it should have said.*
#
# **Through a layer.** Take any layer $z = \text{in} \cdot W + b$ and suppose that you know $dz$. Written out,
# $z_{nj} = \sum_i \text{in}_{ni} W_{ij} + b_j$. The weight $W_{ij}$ appears in $z_{nj}$ of *every* example, each time
# multiplied by $\text{in}_{ni}$. By the sum over paths, $dW_{ij} = \sum_n \text{in}_{ni}\, dz_{nj}$, which is row $i$ of
# $\text{in}^\top$ times column $j$ of $dz$. So $dW = \text{in}^\top dz.$
#
# **Exercise 5.** *(about 15 minutes, medium)* The first line is worked out above. Find the other two in the same way: in
# which $z$ does the bias $b_j$ appear, and in which does the input $\text{in}_{ni}$?


# %%
def layer_backward(inputs, W, dz):
    """Gradients (dW, db, d_in) of z = inputs @ W + b, from dz."""
    dW = inputs.T @ dz
    db = ...  # your code
    d_in = ...  # your code
    return dW, db, d_in


checks.layer_backward(layer_backward)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# $b_j$ appears in $z_{nj}$ of every example, with the factor $1$. The input $\text{in}_{ni}$ appears
# in every output $j$ of its own example, with the factor $W_{ij}$.
# </details>
#
# <details>
# <summary>Another hint</summary>
#
# Only one order of $dz$ and $W^\top$ has the shape of the inputs.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def layer_backward(inputs, W, dz):
#     dW = inputs.T @ dz
#     db = dz.sum(axis=0, keepdims=True)  # the bias has the input 1
#     d_in = dz @ W.T  # what the layer below receives
#     return dW, db, d_in
# ```
# </details>
#
# **Through the activation.** ReLU passes a positive value unchanged and stops the rest, so its slope is $1$ or $0$. We
# write $\odot$ for the product entry by entry, and $[z_1 > 0]$ for $1$ where that holds, else $0$:
#
# $$dz_1 = da_1 \odot [z_1 > 0]$$
#
# Before you put the steps together, fill in this table on paper. Each gradient has the shape of what it belongs to.
#
# | gradient | shape | computed from | formula |
# |---|---|---|---|
# | `dscores` | $(N, C)$ | `probs`, $Y$, $N$ | |
# | `dW2` | | | |
# | `db2` | | | |
# | `da1` | | | |
# | `dz1` | | | |
# | `dW1` | | | |
# | `db1` | | | |
#
# **Exercise 6.** *(about 30 minutes, hard)* Write the backward pass. Before you run it: name three ways to get it wrong
# that no shape would give away.


# %%
def backward(X, y, W1, b1, W2, b2):
    """Gradients (dW1, db1, dW2, db2) of the mean cross-entropy."""
    ...  # your code


checks.backward(backward)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# Run the forward pass first and keep `z1`, `a1` and the probabilities. Then go through your table from top to bottom. You
# may call `softmax` and `layer_backward`.
# </details>
#
# <details>
# <summary>Another hint</summary>
#
# `dscores[np.arange(N), y] -= 1` subtracts 1 from the true class of every row.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def backward(X, y, W1, b1, W2, b2):
#     N = len(X)
#
#     # Forward again, keeping what the backward pass needs.
#     z1 = X @ W1 + b1  # (N, H)
#     a1 = np.maximum(0, z1)  # (N, H)
#     probs = softmax(a1 @ W2 + b2)  # (N, C)
#
#     # The prediction minus the target, over the batch size.
#     dscores = probs.copy()
#     dscores[np.arange(N), y] -= 1
#     dscores /= N
#
#     dW2 = a1.T @ dscores  # (H, C)
#     db2 = dscores.sum(axis=0, keepdims=True)  # (1, C)
#     da1 = dscores @ W2.T  # (N, H)
#
#     dz1 = da1 * (z1 > 0)  # a unit that was off passes nothing back
#
#     dW1 = X.T @ dz1  # (D, H)
#     db1 = dz1.sum(axis=0, keepdims=True)  # (1, H)
#     return dW1, db1, dW2, db2
# ```
#
# | formula | code | shapes |
# |---|---|---|
# | $ds = (p - Y) / N$ | `dscores = …`, three lines | $(N, C)$ |
# | $dW_2 = a_1^\top ds$ | `a1.T @ dscores` | $(H, N)(N, C) = (H, C)$ |
# | $db_2 = \sum_n ds_n$ | `dscores.sum(axis=0, keepdims=True)` | $(N, C) \to (1, C)$ |
# | $da_1 = ds\, W_2^\top$ | `dscores @ W2.T` | $(N, C)(C, H) = (N, H)$ |
# | $dz_1 = da_1 \odot [z_1 > 0]$ | `da1 * (z1 > 0)` | $(N, H)$ |
# | $dW_1 = X^\top dz_1$ | `X.T @ dz1` | $(D, N)(N, H) = (D, H)$ |
# | $db_1 = \sum_n dz_{1,n}$ | `dz1.sum(axis=0, keepdims=True)` | $(N, H) \to (1, H)$ |
# </details>

# %% tags=["hide-input"]
Markdown(
    "The check of this exercise recognises and explains "
    f"**{len(checks.EXERCISES['backward'].mistakes)}** mistakes. Were your three "
    "among them? These lines print them:\n\n"
    '```python\nfor mistake in checks.EXERCISES["backward"].mistakes:\n'
    '    print("-", mistake.explanation)\n```'
)

# %% [markdown]
# > **A layer backward, in three lines.** Given $dz$ of $z = \text{in} \cdot W + b$:
# >
# > $$\begin{aligned}
# > dW &= \text{in}^\top dz \\
# > db &= \textstyle\sum_n dz_n \\
# > d\text{in} &= dz\, W^\top
# > \end{aligned}$$
# >
# > The last is what the layer below receives. So any depth is these three lines, repeated.

# %% [markdown]
# ## A first check
#
# The code runs, the shapes match, the loss may even fall, and a gradient can still be wrong. So measure the slope without
# any calculus: move one weight up by a small $\varepsilon$, then down, and see how far the loss moved.
#
# $$\frac{\partial L}{\partial w} \approx \frac{L(w + \varepsilon) - L(w - \varepsilon)}{2\varepsilon}$$
#
# This *centred difference* is slow, one weight at a time, but it shares no code with `backward`. If both agree,
# `backward` is almost certainly the derivative of the loss that you wrote, whether or not that is the right loss.
#
# **Exercise 7.** *(about 15 minutes, medium)* Write it for any function of an array of floats, of any shape.


# %%
def numerical_gradient(f, x, eps=1e-5):
    """Centred differences of f at x, an array shaped like x."""
    ...  # your code


checks.numerical_gradient(numerical_gradient)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# `for index in np.ndindex(x.shape)` visits every entry. Change `x[index]`, call `f(x)`, change it the other way, call
# again, and put the old value back.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def numerical_gradient(f, x, eps=1e-5):
#     x = np.array(x, dtype=float)  # a copy, and with room for fractions
#     gradient = np.zeros_like(x)
#     for index in np.ndindex(x.shape):
#         old = x[index]
#         x[index] = old + eps
#         above = f(x)
#         x[index] = old - eps
#         below = f(x)
#         x[index] = old
#         gradient[index] = (above - below) / (2 * eps)
#     return gradient
# ```
# </details>
#
# From here on the page computes with *your* functions (and the reference solutions for what does not pass yet).

# %%
forward, softmax, cross_entropy = checks.or_solution(
    forward, softmax, cross_entropy
)
layer_backward, backward, numerical_gradient = checks.or_solution(
    layer_backward, backward, numerical_gradient
)

# %% [markdown]
# To compare two gradients $a$ and $b$ of a parameter, we take their distance relative to their size, the **norm ratio**
# $\|a - b\| / (\|a\| + \|b\|)$. The tool below works for any network: it needs the loss as a function of the parameters,
# the parameters by name, and their gradients.


# %%
def norm_ratio(a, b):
    return np.linalg.norm(a - b) / (np.linalg.norm(a) + np.linalg.norm(b))


def check_gradients(loss, params, grads):
    """The norm ratio of each parameter of any network."""
    ratios = {}
    for (name, values), grad in zip(params.items(), grads, strict=True):

        def loss_of(changed, name=name):
            return loss({**params, name: changed})

        numerical = numerical_gradient(loss_of, values)
        ratios[name] = norm_ratio(numerical, np.reshape(grad, values.shape))
    return ratios


X_small, y_small = X_toy[::32], y_toy[::32]  # three of class 0, two of class 1


def loss(params):
    return cross_entropy(softmax(forward(X_small, *params.values())), y_small)


rng = np.random.default_rng(SEED)
shapes = {"W1": (2, 5), "b1": (1, 5), "W2": (5, 2), "b2": (1, 2)}
params = {name: 0.5 * rng.standard_normal(s) for name, s in shapes.items()}
ratios = check_gradients(
    loss, params, backward(X_small, y_small, *params.values())
)
for name, ratio in ratios.items():
    print(f"{name}: {ratio:.1e}")

# %% tags=["remove-cell"]
with text_says("the first check finds no mistake"):
    assert max(ratios.values()) < 1e-7

# %% [markdown]
# Stanford's course CS231n reads such numbers on this scale:
#
# | relative error | reading |
# |---|---|
# | above $10^{-2}$ | the gradient is probably wrong |
# | $10^{-2}$ to $10^{-4}$ | uncomfortable |
# | $10^{-4}$ to $10^{-7}$ | fine near a kink, such as ReLU's corner at zero; otherwise too high |
# | below $10^{-7}$ | fine |
#
# A check that cannot fail is worth nothing. So break the gradient on purpose: `dz1 = da1`, without the mask.
#
# *Predict before you run:* which of the four ratios will be large?

# %%
z1 = X_small @ params["W1"] + params["b1"]
dscores = softmax(forward(X_small, *params.values()))
dscores[np.arange(len(y_small)), y_small] -= 1
dscores /= len(y_small)
dW2, db2, da1 = layer_backward(np.maximum(0, z1), params["W2"], dscores)
dW1, db1, _ = layer_backward(X_small, params["W1"], da1)  # no mask
without_mask = check_gradients(loss, params, (dW1, db1, dW2, db2))
for name, ratio in without_mask.items():
    print(f"{name}: {ratio:.1e}")

# %% tags=["remove-cell"]
with text_says("the check finds the forgotten mask, in the first layer only"):
    assert min(without_mask["W1"], without_mask["b1"]) > 0.01
    assert max(without_mask["W2"], without_mask["b2"]) < 1e-7

# %% [markdown]
# ## Train it and watch it learn
#
# Once the gradients are right, learning is one line per parameter: step against the gradient, scaled by the *learning
# rate* $\eta$.
#
# $$W \leftarrow W - \eta\, \frac{\partial L}{\partial W}$$
#
# **Exercise 8.** *(about 5 minutes, easy)* Write one such step for a list of parameters of any shapes. `grads[i]` is the
# gradient of `params[i]`.


# %%
def sgd_step(params, grads, lr):
    """The list of parameters after one step of gradient descent."""
    ...  # your code


checks.sgd_step(sgd_step)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# `zip(params, grads, strict=True)` gives the pairs. Collect the new arrays in a list and return it: assigning to a loop
# variable changes no list.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def sgd_step(params, grads, lr):
#     return [p - lr * g for p, g in zip(params, grads, strict=True)]
# ```
# </details>
#
# From now on a class keeps the parameters. Its lines are those that you have written. The forward pass also returns a
# *cache*, the arrays that the backward pass needs again: backpropagation saves time, and pays in memory.


# %%
class TwoLayerMLP:
    def __init__(
        self,
        input_dim,
        hidden_dim,
        output_dim,
        activation="relu",
        weight_scale=0.01,
        seed=42,
    ):
        rng = np.random.default_rng(seed)
        self.W1 = weight_scale * rng.standard_normal((input_dim, hidden_dim))
        self.b1 = np.zeros((1, hidden_dim))
        self.W2 = weight_scale * rng.standard_normal((hidden_dim, output_dim))
        self.b2 = np.zeros((1, output_dim))
        if activation != "relu":
            raise ValueError("today there is only 'relu'; tomorrow brings more")

    def forward(self, X):
        z1 = X @ self.W1 + self.b1  # (N, H)
        a1 = np.maximum(0, z1)  # (N, H)
        scores = a1 @ self.W2 + self.b2  # (N, C)
        return scores, (X, z1, a1, scores)

    @staticmethod
    def softmax(logits):
        shifted = logits - logits.max(axis=1, keepdims=True)
        exponentials = np.exp(shifted)
        return exponentials / exponentials.sum(axis=1, keepdims=True)

    @staticmethod
    def cross_entropy(probs, y):
        # The floor keeps a confident wrong answer finite.
        return -np.log(np.maximum(probs[np.arange(len(y)), y], 1e-12)).mean()

    def loss(self, X, y):
        scores, cache = self.forward(X)
        probs = self.softmax(scores)
        return self.cross_entropy(probs, y), probs, cache

    def backward(self, probs, cache, y):
        X, z1, a1, _ = cache
        N = len(X)

        dscores = probs.copy()  # (N, C)
        dscores[np.arange(N), y] -= 1.0
        dscores /= N

        dW2 = a1.T @ dscores  # (H, N) @ (N, C) = (H, C)
        db2 = dscores.sum(axis=0, keepdims=True)  # (1, C)
        da1 = dscores @ self.W2.T  # (N, C) @ (C, H) = (N, H)

        dz1 = da1 * (z1 > 0)  # (N, H)

        dW1 = X.T @ dz1  # (D, H)
        db1 = dz1.sum(axis=0, keepdims=True)  # (1, H)
        return dW1, db1, dW2, db2


def train_numpy(model, X, y, lr=1.0, epochs=200):
    losses = []
    for epoch in range(1, epochs + 1):
        L, probs, cache = model.loss(X, y)
        dW1, db1, dW2, db2 = model.backward(probs, cache, y)
        model.W1 -= lr * dW1
        model.b1 -= lr * db1
        model.W2 -= lr * dW2
        model.b2 -= lr * db2
        losses.append(float(L))
        if epoch % max(1, epochs // 4) == 0:
            print(f"Epoch {epoch}/{epochs} | Loss: {L:.4f}")
    return losses


# %% tags=["remove-cell"]
by_class = TwoLayerMLP(2, 2, 2)
vars(by_class).update(on_paper)
_, probs, cache = by_class.loss(np.array([[1.0, 2.0]]), np.array([1]))
on_paper_gradients = by_class.backward(probs, cache, np.array([1]))
with text_says("the class computes the gradients of the pass by hand"):
    expected = (
        [[1.9051, 0], [3.8103, 0]],
        [[1.9051, 0]],
        [[1.9051, -1.9051], [0, 0]],
    )
    for got, hand in zip(on_paper_gradients, expected, strict=False):
        assert np.allclose(got, hand, atol=1e-4)

# %% [markdown]
# *Predict before you run:* where does the curve of the loss start, and does it ever go up?

# %%
model_np = TwoLayerMLP(
    input_dim=2, hidden_dim=8, output_dim=2, weight_scale=1e-1, seed=SEED
)
losses = train_numpy(model_np, X_toy, y_toy, lr=LR, epochs=EPOCHS)

# %% tags=["hide-input"] mystnb={"image": {"alt": "Training loss over 200 epochs on a logarithmic axis: it starts at the dotted line of log 2 and falls in every step, steeply within the first thirty epochs and then more and more slowly."}}
with plt.rc_context(STYLE):
    _, ax = plt.subplots(figsize=(5, 3.4))
    ax.semilogy(range(1, len(losses) + 1), losses)
    ax.axhline(np.log(2), color=GREY, linestyle=":", linewidth=1.5)
    ax.annotate(
        "log 2", (len(losses), 1.05 * np.log(2)), ha="right", va="bottom"
    )
    ticks = [0.02, 0.05, 0.1, 0.2, 0.5, 1]
    ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set(title="Training loss", xlabel="Epoch", ylabel="Loss", ylim=(None, 1))
    plt.show()

# %% [markdown]
# *How to read it:* the height is the mean loss, on a logarithmic axis. It starts near $\log 2$, because small weights give
# scores near zero, so both classes get about the same probability. It never goes up: the learning rate is small enough. It
# falls fast while the network finds the direction between the clouds, then slowly, while it grows more confident.


# %% tags=["hide-input"]
def predict(points):
    scores, _ = model_np.forward(points)
    return scores.argmax(axis=1)


train_accuracy = (predict(X_toy) == y_toy).mean()
Markdown(
    f"After {len(losses)} epochs the loss is **{losses[-1]:.4f}**, and the "
    f"network labels **{train_accuracy:.1%}** of the {len(y_toy)} training "
    "points correctly."
)

# %% tags=["remove-cell"]
with text_says("the loss starts near log 2 and never goes up"):
    assert abs(losses[0] - np.log(2)) < 0.05
    assert all(np.diff(losses) <= 0)
with text_says("the loss falls fast at first"):
    assert losses[:31][-1] < 0.1
with text_says("the network learns to tell the two clouds apart"):
    assert losses[-1] < 0.1
    assert train_accuracy >= 0.97

# %% [markdown]
# ## What the hidden layer adds
#
# Two clouds need no hidden layer; two spirals, wound into each other, do.
#
# *Predict before you run:* guessing is right for half of the points. For how many is a linear model right (our network
# without its middle), and for how many a network with a hidden layer?

# %%
X_spiral, y_spiral = make_spirals(100, seed=SEED)


def train_linear(X, y, lr=1.0, epochs=500):
    W, b = np.zeros((X.shape[1], 2)), np.zeros(2)
    for _ in range(epochs):
        dscores = TwoLayerMLP.softmax(X @ W + b)
        dscores[np.arange(len(y)), y] -= 1.0
        dscores /= len(y)
        W -= lr * X.T @ dscores
        b -= lr * dscores.sum(axis=0)
    return W, b


W_linear, b_linear = train_linear(X_spiral, y_spiral)
network = TwoLayerMLP(2, 64, 2, weight_scale=1.0, seed=SEED)
train_numpy(network, X_spiral, y_spiral, lr=SPIRAL_LR, epochs=SPIRAL_EPOCHS)


def linear_predict(points):
    return (points @ W_linear + b_linear).argmax(axis=1)


def network_predict(points):
    return network.forward(points)[0].argmax(axis=1)


X_new, y_new = make_spirals(100, seed=SEED + 1)  # neither has seen these
spiral_accuracy = {
    "linear": (linear_predict(X_new) == y_new).mean(),
    "network": (network_predict(X_new) == y_new).mean(),
}

# %% tags=["hide-input"] mystnb={"image": {"alt": "The same two spirals twice, with the accuracy on new points as the titles. On the left a linear model cuts the plane with one straight border that runs across both arms; on the right the border of the network winds between the arms."}}
with plt.rc_context(STYLE):
    figure, axes = plt.subplots(1, 2, figsize=(5.2, 3.4))
    for ax, predict_with, name in zip(
        axes, [linear_predict, network_predict], spiral_accuracy, strict=True
    ):
        title = f"{name}: {spiral_accuracy[name]:.0%}"
        draw_regions(ax, X_spiral, y_spiral, predict_with, title)
    axes[0].set_ylabel("$x_2$")
    figure.legend(*ax.get_legend_handles_labels(), ncols=2,
                  loc="outside lower center")  # fmt: skip
    plt.show()

# %% [markdown]
# *How to read it:* the colour is the model's answer; the titles give the accuracy on new points. The linear model can make
# only one straight cut. The network's border bends wherever a hidden unit switches on or off.

# %% tags=["remove-cell"]
with text_says("on spirals, the linear model is hardly better than guessing"):
    assert 0.4 < spiral_accuracy["linear"] < 0.65
with text_says("the network with a hidden layer separates the spirals"):
    assert spiral_accuracy["network"] > 0.97

# %% [markdown]
# ## Another loss, another activation, another layer
#
# On paper first:
#
# - The loss is *squared error*, $L = \frac{1}{2N} \sum_n \sum_c (s_{nc} - t_{nc})^2$, with real targets $T$ of shape $(N, C)$.
#   What is $ds$? What would change without the $\frac12$, or with a mean over the outputs as well?
# - The activation is $\tanh z = \frac{e^z - e^{-z}}{e^z + e^{-z}}$. Use the quotient rule: what is its slope, written with
#   $a_1 = \tanh z_1$ alone?
#
# **Exercise 9.** *(about 20 minutes, medium)* Write the backward pass of a network with tanh in the hidden layer and this
# squared error. The last layer stays linear: a target may be any number.


# %%
def backward_mse(X, T, W1, b1, W2, b2):
    """Gradients (dW1, db1, dW2, db2) with tanh and squared error."""
    ...  # your code


checks.backward_mse(backward_mse)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# Besides the activation, two lines change: the first of the backward pass, and the mask. The quotient rule gives
# $\frac{(e^z + e^{-z})^2 - (e^z - e^{-z})^2}{(e^z + e^{-z})^2}$; divide both terms.
# </details>
#
# <details>
# <summary>Another hint</summary>
#
# The 2 of the square cancels the $\frac12$, and the sum over outputs divides by nothing. The slope of tanh is
# $1 - a_1^2$: take it from $a_1$, which is tanh already.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def backward_mse(X, T, W1, b1, W2, b2):
#     N = len(X)
#     a1 = np.tanh(X @ W1 + b1)
#     scores = a1 @ W2 + b2
#
#     dscores = (scores - T) / N  # the first change
#     dW2, db2, da1 = layer_backward(a1, W2, dscores)
#     dz1 = da1 * (1 - a1**2)  # the second
#     dW1, db1, _ = layer_backward(X, W1, dz1)
#     return dW1, db1, dW2, db2
# ```
#
# Without the $\frac12$, a factor 2 remains; a mean over all entries divides by $N C$. The rest does not change.
# </details>
#
# **Exercise 10.** *(about 20 minutes, medium)* A third layer, with cross-entropy and ReLU again. Draw the chain of
# arrays from $X$ to the loss, write the gradient below each, and then the code.


# %%
def backward3(X, y, W1, b1, W2, b2, W3, b3):
    """Gradients (dW1, db1, dW2, db2, dW3, db3)."""
    ...  # your code


checks.backward3(backward3)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# From the scores back: layer, mask, layer, mask, layer. Each call of `layer_backward` gives what the next mask needs.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def backward3(X, y, W1, b1, W2, b2, W3, b3):
#     N = len(X)
#     z1 = X @ W1 + b1
#     a1 = np.maximum(0, z1)
#     z2 = a1 @ W2 + b2
#     a2 = np.maximum(0, z2)
#
#     dscores = softmax(a2 @ W3 + b3)
#     dscores[np.arange(N), y] -= 1
#     dscores /= N
#
#     dW3, db3, da2 = layer_backward(a2, W3, dscores)
#     dz2 = da2 * (z2 > 0)
#     dW2, db2, da1 = layer_backward(a1, W2, dz2)
#     dz1 = da1 * (z1 > 0)
#     dW1, db1, _ = layer_backward(X, W1, dz1)
#     return dW1, db1, dW2, db2, dW3, db3
# ```
# </details>
#
# Your tool checks it without a change. The package's `gradient_report` does the same. In each parameter it also finds the
# entry with the largest *relative error* $|a - b| / (|a| + |b|)$; the table shows both gradients there.

# %%
from nnweek.gradcheck import draw_parameters, gradient_report

backward_mse, backward3 = checks.or_solution(backward_mse, backward3)
rng = np.random.default_rng(SEED)
X_three, y_three = rng.standard_normal((6, 3)), np.array([0, 2, 1, 3, 1, 0])
shapes3 = {"W1": (3, 5), "b1": (1, 5), "W2": (5, 7), "b2": (1, 7)}
shapes3 |= {"W3": (7, 4), "b3": (1, 4)}
params3 = draw_parameters(shapes3)  # all about 0.5, biases too


def loss3(p):
    a1 = np.maximum(0, X_three @ p["W1"] + p["b1"])
    scores = forward(a1, p["W2"], p["b2"], p["W3"], p["b3"])
    return cross_entropy(softmax(scores), y_three)


gradients3 = backward3(X_three, y_three, *params3.values())
report3 = gradient_report(loss3, params3, gradients3)


# %% tags=["hide-input"]
def report_table(report):
    """The columns of a report that fit on a phone; `report` has more."""
    head = (
        "| parameter | norm ratio | analytic | numerical |\n|---|---|---|---|\n"
    )
    return head + "\n".join(
        f"| {line.name} | {line.norm_ratio:.1e} | {line.analytic:+.4f} "
        f"| {line.numerical:+.4f} |"
        for line in report.lines
    )


Markdown(report_table(report3))

# %% tags=["remove-cell"]
with text_says("the tool checks three layers"):
    assert report3.norm_ratio < 1e-7
    ratios3 = check_gradients(loss3, params3, gradients3)
    assert np.allclose(
        list(ratios3.values()),
        [line.norm_ratio for line in report3.lines],
        atol=1e-9,
    )
T = rng.standard_normal((6, 2))
params_mse = draw_parameters(
    {"W1": (3, 5), "b1": (1, 5), "W2": (5, 2), "b2": (1, 2)}
)


def loss_mse(p):
    scores = np.tanh(X_three @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"]
    return ((scores - T) ** 2).sum() / (2 * len(T))


with text_says("the tool checks tanh with squared error"):
    grads_mse = backward_mse(X_three, T, *params_mse.values())
    assert gradient_report(loss_mse, params_mse, grads_mse).norm_ratio < 1e-7

# %% [markdown]
# ## The craft of checking
#
# ### Why centred, and which step?
#
# A one-sided difference, $(L(w + \varepsilon) - L(w)) / \varepsilon$, costs half as much. What does it lose? Expanding $L$
# around $w$ (Taylor's theorem; or take it on trust) gives an error of about $\frac{\varepsilon}{2} |L''|$, and of about
# $\frac{\varepsilon^2}{6} |L'''|$ for the centred difference. On logarithmic axes, a power $\varepsilon^k$ is a straight line
# of slope $k$.
#
# Why not take the smallest possible step, then? The computer rounds. Each loss carries an error of about $u\,|L|$, where
# $u$ is the precision of the number type ($10^{-16}$ for `float64`, $10^{-7}$ for `float32`), and the division turns it
# into $u\,|L| / \varepsilon$. One error falls with $\varepsilon$, the other rises; the best step lies between.
#
# *Predict before you run:* in which order will the two curves reach their lowest point, as the step shrinks?

# %% tags=["hide-input"]
from nnweek.gradcheck import step_size_sweep


def sweep(dtype, steps):
    """Errors of finite differences for W2, all arithmetic in one dtype."""
    model = TwoLayerMLP(2, 8, 2, weight_scale=0.5)
    X, y = X_toy[::16], y_toy[::16]
    _, probs, cache = model.loss(X, y)
    exact = model.backward(probs, cache, y)[2]  # dW2, in float64
    for name in ["W1", "b1", "W2", "b2"]:
        setattr(model, name, getattr(model, name).astype(dtype))

    def loss_of(W2):
        model.W2 = W2
        return model.loss(X.astype(dtype), y)[0]

    return step_size_sweep(loss_of, model.W2, exact, steps)


steps64 = np.logspace(-12, 0, 37)
errors64 = sweep(np.float64, steps64)

# %% tags=["hide-input"] mystnb={"image": {"alt": "Error of finite differences against the step size, both axes logarithmic. Two V-shaped curves: both rise to the left with slope minus one where rounding dominates; to the right the one-sided curve rises with slope one, the centred one with slope two and reaches a far lower minimum. Dotted lines show the slopes of the theory, a vertical line the usual step."}}
with plt.rc_context(STYLE):
    figure, ax = plt.subplots(figsize=(5.2, 4.2))
    for kind, marker in [("one-sided", "s"), ("centred", "o")]:
        ax.loglog(
            steps64, errors64[kind], marker=marker, markersize=4, label=kind
        )
    right = steps64 >= 1e-3
    for kind, power in [("one-sided", 1), ("centred", 2)]:
        anchor = errors64[kind][-13] * (steps64 / steps64[-13]) ** power
        ax.loglog(
            steps64[right], 3 * anchor[right], ":", color=GREY, linewidth=1.5
        )
    left = steps64 <= 1e-8
    rounding = 4e-16 / steps64
    ax.loglog(steps64[left], rounding[left], ":", color=GREY, linewidth=1.5)
    for text, place in [
        ("slope −1", (2e-10, 2e-5)), ("slope 1", (1e-4, 3e-3)),
        ("slope 2", (4e-2, 3e-8)), ("usual step", (1.8e-5, 1e0)),
    ]:  # fmt: skip
        ax.annotate(text, place)
    ax.axvline(1e-5, color=GREY, linewidth=1)
    ax.annotate(
        "", (1e-12, 3e-13), (1e0, 3e-13), arrowprops={"arrowstyle": "->", "color": GREY}
    )  # fmt: skip
    ax.annotate("the step shrinks", (1e-8, 6e-13), ha="center", va="bottom")
    ax.set(ylim=(1e-13, 1e1), xlabel="Step ε", ylabel="Relative error")
    ax.set_title("How good are finite differences? (float64)")
    figure.legend(loc="outside lower center", ncols=2)
    plt.show()

# %% [markdown]
# *How to read it:* from right to left, first the formula's own error falls, along the theory's dotted lines; then rounding
# takes over, the same for both.
#
# The centred one turns first, at about $\sqrt[3]{u}$, where both errors are equal: $\varepsilon^2 = u / \varepsilon$, leaving
# out constants. The one-sided one turns at about $\sqrt u$, where $\varepsilon = u / \varepsilon$. That is why $10^{-5}$ is the
# usual step.


# %% tags=["hide-input"]
def slope(steps, errors, low, high):
    inside = (steps >= low) & (steps <= high)
    return np.polyfit(np.log(steps[inside]), np.log(errors[inside]), 1)[0]


best = {kind: int(np.argmin(errors)) for kind, errors in errors64.items()}
slopes = {kind: slope(steps64, e, 1e-3, 1e-1) for kind, e in errors64.items()}
rounding_slope = slope(steps64, errors64["centred"], 1e-12, 1e-7)
at_default = errors64["centred"][np.argmin(np.abs(np.log(steps64 / 1e-5)))]
Markdown(
    "\n".join(
        f"- {kind}: slope {slopes[kind]:.2f} on the right, best error "
        f"**{errors64[kind][i]:.0e}** at a step of {steps64[i]:.0e}"
        for kind, i in best.items()
    )
    + f"\n- on the left, where rounding dominates: slope {rounding_slope:.2f}"
)

# %% tags=["remove-cell"]
with text_says("the errors have the slopes of the theory"):
    assert abs(slopes["centred"] - 2) < 0.1
    assert abs(slopes["one-sided"] - 1) < 0.1
    assert abs(rounding_slope + 1) < 0.25
with text_says("centred differences reach a far smaller error, near 1e-5"):
    assert at_default < 1e-9
    assert errors64["centred"].min() < 1e-2 * errors64["one-sided"].min()
with text_says("the centred difference turns first"):
    assert steps64[best["centred"]] > 10 * steps64[best["one-sided"]]

# %% [markdown]
# *Predict before you run:* deep learning mostly computes in `float32`. Does its best step lie to the left or to the right
# of `float64`'s?
#
# - a) to the left
# - b) to the right

# %% tags=["hide-input"]
steps32 = np.logspace(-7, 0, 22)
errors32 = sweep(np.float32, steps32)

# %% tags=["hide-input"] mystnb={"image": {"alt": "Error of centred differences against the step size in float64 and float32, both axes logarithmic. The float32 curve turns up much earlier: its minimum lies far to the right and far above that of float64. Dotted lines show the slopes of the theory, a vertical line the usual step."}}
with plt.rc_context(STYLE):
    figure, ax = plt.subplots(figsize=(5.2, 4.2))
    for name, steps, errors, marker in [
        ("float64", steps64, errors64["centred"], "o"),
        ("float32", steps32, errors32["centred"], "s"),
    ]:
        ax.loglog(steps, errors, marker=marker, markersize=4, label=name)
        left = steps < 0.1 * steps[np.argmin(errors)]
        rounding = 3 * errors[0] * steps[0] / steps
        ax.loglog(steps[left], rounding[left], ":", color=GREY, linewidth=1.5)
    right = steps64 >= 1e-3
    formula = 5 * errors64["centred"][-1] * steps64**2
    ax.loglog(steps64[right], formula[right], ":", color=GREY, linewidth=1.5)
    ax.annotate("slope −1", (3e-11, 2e-5))
    ax.annotate("slope −1", (2e-5, 3e-1))
    ax.annotate("slope 2", (5e-3, 5e-9))
    ax.axvline(1e-5, color=GREY, linewidth=1)
    ax.annotate("usual step", (6e-6, 8e0), ha="right")
    ax.set(ylim=(1e-13, 1e2), xlabel="Step ε", ylabel="Relative error")
    ax.set_title("Centred differences in two precisions")
    figure.legend(loc="outside lower center", ncols=2)
    plt.show()

# %% [markdown]
# *How to read it:* where a curve turns up, rounding takes over: in `float32` much earlier, near $\sqrt[3]{10^{-7}}$. At the
# usual step, a correct gradient gets a bad grade. So check in `float64`, even if you train in `float32`.

# %% tags=["hide-input"]
best32 = int(np.argmin(errors32["centred"]))
usual32 = errors32["centred"][np.argmin(np.abs(np.log(steps32 / 1e-5)))]
Markdown(
    f"In float32 the best step is about **{steps32[best32]:.0e}**, with an error "
    f"of {errors32['centred'][best32]:.0e}. At the usual step of 1e-5 the error is "
    f"**{usual32:.0e}**, though the gradient is right."
)

# %% tags=["remove-cell"]
with text_says("the best step of float32 is far to the right of float64's"):
    assert 1e-3 < steps32[best32] < 1e-1
    assert steps64[best["centred"]] < 1e-4
with text_says("at the usual step, float32 gives a right gradient a bad grade"):
    assert usual32 > 1e-3

# %% [markdown]
# ### What can a check miss?
#
# *Predict before you run:* the gradients in A and B are right, those in C have the wrong *sign*. For each check: does it
# give the right verdict?
#
# - A: the largest *relative* error of a single entry, if the weights are tiny (with $\varepsilon = 10^{-6}$, because
#   with weights this small, $10^{-5}$ would also cross ReLU's corners).
# - B: the same, if one hidden unit sits very close to ReLU's corner.
# - C: `np.allclose(analytic, numerical, atol=0.01)`, an *absolute* tolerance, if the weights are small.

# %%
from nnweek.scratch import TwoLayerMLP as PackagedMLP  # the same, and more

rng = np.random.default_rng(0)
X_wide, y_wide = rng.standard_normal((6, 20)), rng.integers(0, 3, size=6)
tiny = PackagedMLP(20, 30, 3, weight_scale=1e-3)
tiny_report = gradient_report(tiny, X_wide, y_wide, eps=1e-6)
largest = max(tiny_report.lines, key=lambda line: line.max_error)

kinked = PackagedMLP(2, 8, 2, weight_scale=0.5)
unit = 3
z_of_unit = X_small[:1] @ kinked.W1[:, unit]
kinked.b1[0, unit] = 2e-6 - z_of_unit[0]  # now z1 = 2e-6 for this example
errors_at_kink = {
    eps: gradient_report(kinked, X_small[:1], y_small[:1], eps=eps).lines[1]
    for eps in [1e-5, 1e-6]
}


class UphillMLP(PackagedMLP):
    """Walks up instead of down: every gradient negated."""

    def backward(self, probs, cache, y):
        return tuple(-grad for grad in super().backward(probs, cache, y))


uphill = UphillMLP(2, 8, 2, weight_scale=1e-2)
uphill_report = gradient_report(uphill, X_toy[::16], y_toy[::16])
passes = all(
    np.allclose(line.analytic, line.numerical, atol=1e-2)
    for line in uphill_report.lines
)

# %% tags=["hide-input"]
Markdown(
    f"- A: one entry of `{largest.name}` is off by a relative **{largest.max_error:.0e}**, "
    f"where the gradient is {abs(largest.analytic):.0e}; the largest norm ratio is "
    f"{tiny_report.norm_ratio:.0e}.\n"
    f"- B: the largest error in `b1` is **{errors_at_kink[1e-5].max_error:.0e}** with a step of "
    f"1e-5, and {errors_at_kink[1e-6].max_error:.0e} with 1e-6.\n"
    f"- C: passes: **{passes}**; the norm ratio is {uphill_report.norm_ratio:.2f}."
)

# %% tags=["remove-cell"]
with text_says("one entry is far off, while the norm ratio is small"):
    assert largest.max_error > 1e-4
    assert tiny_report.norm_ratio < 1e-6
with text_says("with tiny weights, a step of 1e-5 would also cross corners"):
    too_large = gradient_report(tiny, X_wide, y_wide, eps=1e-5)
    assert too_large.norm_ratio > 1e3 * tiny_report.norm_ratio
    largest_input = np.abs(X_wide).max(axis=1, keepdims=True)
    distances = np.abs(X_wide @ tiny.W1 + tiny.b1) / largest_input
    assert 1e-6 < distances.min() < 1e-5
with text_says("a step across the corner gives a large error at that unit"):
    assert errors_at_kink[1e-5].max_error > 0.1
    assert errors_at_kink[1e-5].where[1] == unit
with text_says("a smaller step does not cross the corner"):
    assert errors_at_kink[1e-6].max_error < 1e-6
with text_says("an absolute tolerance passes gradients of the wrong sign"):
    assert passes
with text_says("the norm ratio sees that the sign is wrong"):
    assert uphill_report.norm_ratio > 0.99

# %% [markdown]
# None of them does. In A, that entry's gradient is almost zero, and rounding alone is a large relative error; the norm
# ratio judges the parameter as a whole, but may overlook a single wrong entry, so read both. In B, the step carries a
# unit across the corner, a **kink**, and the difference mixes two slopes. In C, all gradients are small: only a
# *relative* error can tell right from wrong.
#
# If a check fails at a few entries, make the step smaller. An error that vanishes was a kink, one that grows is rounding,
# one that stays is a bug.
#
# ### Is one check enough?
#
# *Predict before you run:* somebody forgot the slope of tanh. At which size of the weights does the check notice?


# %%
class ForgetsTheSlope(PackagedMLP):
    def backward(self, probs, cache, y):
        X, z1, a1, scores = cache
        at_zero = np.zeros_like(z1)  # where tanh has the slope 1
        return super().backward(probs, (X, at_zero, a1, scores), y)


norm_ratios = {}
for scale in [1e-4, 1e-2, 0.5]:
    for kind in [PackagedMLP, ForgetsTheSlope]:
        model = kind(2, 8, 2, activation="tanh", weight_scale=scale)
        checked = gradient_report(model, X_small, y_small)
        norm_ratios[scale, kind] = checked.norm_ratio

# %% tags=["hide-input"]
Markdown(
    "| weights | right gradient | slope forgotten |\n|---|---|---|\n"
    + "\n".join(
        f"| {scale:g} | {norm_ratios[scale, PackagedMLP]:.1e} "
        f"| {norm_ratios[scale, ForgetsTheSlope]:.1e} |"
        for scale in [1e-4, 1e-2, 0.5]
    )
)

# %% tags=["remove-cell"]
with text_says(
    "with tiny weights, a forgotten slope looks like a right gradient"
):
    assert (
        norm_ratios[1e-4, ForgetsTheSlope] < 2 * norm_ratios[1e-4, PackagedMLP]
    )
with text_says("with weights of 0.5 it is found"):
    assert norm_ratios[0.5, ForgetsTheSlope] > 0.1
    assert norm_ratios[0.5, PackagedMLP] < 1e-7

# %% [markdown]
# With tiny weights every $z_1$ is near zero, where tanh *is* a line of slope 1: the wrong gradient is nearly right. Initial
# weights are small, so a check before training can pass a bug that matters after it. CS231n's cure is *burn-in*: train a
# little, then check again. Ours is simpler:
#
# > **The recipe.** Check with weights of about $0.5$, biases that are not $0$, different sizes everywhere, and all classes
# > among a few examples, in `float64`, with $\varepsilon = 10^{-5}$. Expect norm ratios below $10^{-7}$.
#
# `draw_parameters` draws them, and `gradient_report` warns if yours differ.
#
# Three people have written `backward3` in these lines, top to bottom: `dscores`; `dW3`, `db3`, `da2`; `dz2`; `dW2`, `db2`,
# `da1`; `dz1`; `dW1`, `db1`. Each made one mistake, in one line. You see only their reports, on six examples with
# parameters drawn by the recipe; the gradients are those of the entry with the largest error.

# %% tags=["hide-input"]
from nnweek.checks.day29 import suspects

reports = {
    name: gradient_report(loss3, params3, suspect(X_three, y_three, **params3))
    for name, suspect in suspects().items()
}
Markdown(
    "\n\n".join(
        f"**{name}**\n\n{report_table(report)}"
        for name, report in reports.items()
    )
)

# %% [markdown]
# **Exercise 11.** *(about 20 minutes, hard)* Name the line in which each of the three made the mistake.

# %%
checks.bug_hunt({"A": ..., "B": ..., "C": ...})

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# Begin with the parameters that are right: the arrays that they were computed from are right too. Cross those lines out.
# </details>
#
# <details>
# <summary>Another hint</summary>
#
# Divide analytic by numerical. Is it the same factor everywhere?
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def culprits():
#     # A: one bias only. B: everything by one factor, the batch size.
#     # C: right in the last layer, wrong below; b2 has a gradient where the
#     # true one is 0: no mask.
#     return {"A": "db2", "B": "dscores", "C": "dz2"}
# ```
# </details>
#
# In general, a report points at a place:
#
# | the report | look at |
# |---|---|
# | all parameters wrong by one constant factor | the start: $\frac1N$, a factor 2, the sign |
# | all wrong, by no constant factor | the start: softmax, labels; or the forward pass |
# | wrong from one layer down, right above it | what leads into that layer: the activation's slope (taken at the right array?), $dz\, W^\top$ (from $dz$, or by mistake from $da$?). An entry that should be 0 and is not speaks for the slope; otherwise the report cannot separate these, so read both lines. |
# | a weight wrong, its bias right | the layer's input: $z$ for $a$ |
# | a bias wrong, its weight right | a mean for a sum, or the wrong axis |
# | a few entries wrong | a kink, or rounding: another step |

# %% tags=["remove-cell"]
with text_says("the three reports are what the table says"):
    wrong = {
        name: {line.name for line in report.lines if line.norm_ratio > 1e-3}
        for name, report in reports.items()
    }
    assert wrong["A"] == {"b2"}
    assert wrong["B"] == set(params3)
    assert wrong["C"] == {"W1", "b1", "W2", "b2"}
    factors = [line.analytic / line.numerical for line in reports["B"].lines]
    assert np.allclose(factors, 6, rtol=1e-4)

# %% [markdown]
# ## The surface it walked down
#
# The loss of the spirals' network is a function of 322 numbers. A slice of it can be drawn: the plane spanned by the two
# directions in which the first 150 steps moved most.


# %% tags=["hide-input"]
def flat(model):
    return np.concatenate(
        [np.ravel(p) for p in (model.W1, model.b1, model.W2, model.b2)]
    )


def put(model, values):
    at = 0
    for name in ["W1", "b1", "W2", "b2"]:
        shape = getattr(model, name).shape
        size = int(np.prod(shape))
        setattr(model, name, values[at : at + size].reshape(shape))
        at += size


walker = TwoLayerMLP(2, 64, 2, weight_scale=1.0, seed=SEED)
path = [flat(walker)]
on_path = []  # the loss at each point of the path
for _ in range(150):
    step_loss, probs, cache = walker.loss(X_spiral, y_spiral)
    on_path.append(step_loss)
    gradients = walker.backward(probs, cache, y_spiral)
    gradient = np.concatenate([g.ravel() for g in gradients])
    put(walker, path[-1] - SPIRAL_LR * gradient)
    path.append(flat(walker))
on_path.append(walker.loss(X_spiral, y_spiral)[0])
path = np.array(path)

# The two directions of largest spread of the path, seen from its end.
end = path[-1]
_, spread, directions = np.linalg.svd(path - end, full_matrices=False)
across, up = directions[:2]
along = (path - end) @ directions[:2].T
captured = (spread[:2] ** 2).sum() / (spread**2).sum()

margin = 0.25 * np.ptp(along, axis=0)
u = np.linspace(
    along[:, 0].min() - margin[0], along[:, 0].max() + margin[0], 45
)
v = np.linspace(
    along[:, 1].min() - margin[1], along[:, 1].max() + margin[1], 45
)
heights = np.empty((len(v), len(u)))
for i, vi in enumerate(v):
    for j, uj in enumerate(u):
        put(walker, end + uj * across + vi * up)
        heights[i, j] = walker.loss(X_spiral, y_spiral)[0]
put(walker, end)

# %% tags=["hide-input"] mystnb={"image": {"alt": "The loss as contour lines on a plane through weight space, with the path of training drawn on it: it starts high, drops into a curved valley and then follows the valley floor to the marked end."}}
with plt.rc_context(STYLE):
    _, ax = plt.subplots(figsize=(5.2, 4.6))
    ax.grid(False)
    levels = np.geomspace(heights.min(), np.quantile(heights, 0.97), 12)
    lines = ax.contour(
        u, v, heights, levels=levels, colors=GREY, linewidths=0.8
    )
    ax.clabel(lines, levels[::2], fontsize=10, fmt="%.2g")
    ax.plot(*along.T, color=COLORS[1], linestyle="-")
    for place, marker, name in [(0, "o", "start"), (-1, "*", "end")]:
        ax.plot(
            *along[place], marker=marker, markersize=[7, 13][marker == "*"],
            color=COLORS[1],
        )  # fmt: skip
        ax.annotate(
            name, along[place], xytext=(8, 4), textcoords="offset points"
        )
    ax.set(
        title="A slice of the loss surface",
        xlabel="Direction of largest movement",
        ylabel="Second direction",
    )
    plt.show()

# %% [markdown]
# *How to read it:* the loss is the same all along a grey line. The path runs through all 322 dimensions; the figure shows
# its shadow, so its start lies higher than the lines around it say. Later the path follows the floor of a valley. Day 33
# is about doing this faster.

# %% tags=["hide-input"]
Markdown(
    f"The slice holds **{captured:.0%}** of the path's movement. Over these "
    f"{len(path) - 1} steps the loss goes from {on_path[0]:.2f} to "
    f"{on_path[-1]:.2f}. In the first steps the learning rate is too large and "
    f"the loss even jumps to **{max(on_path):.1f}**, in directions that this "
    "slice does not show."
)

# %% tags=["remove-cell"]
with text_says("the slice shows most of the path, on which the loss falls"):
    assert captured > 0.8
    assert on_path[-1] < on_path[0]
with text_says("in the first steps the loss jumps, but not in the slice"):
    highest = int(np.argmax(on_path))
    assert 0 < highest < 10
    assert on_path[highest] > 2 * on_path[0]
    shadows = []
    for point in along[: highest + 1]:
        put(walker, end + point @ directions[:2])
        shadows.append(walker.loss(X_spiral, y_spiral)[0])
    put(walker, end)
    assert shadows[-1] <= shadows[0]
with text_says("the loss is a function of 322 numbers"):
    assert len(end) == 322

# %% [markdown]
# ## The same network reads digits
#
# MNIST has 60,000 images of handwritten digits, 784 pixels each: too much data to use all of it for each step. So each step
# takes a random batch of 128. The pixels are brought to mean 0 and standard deviation 1, the size of the first weights
# depends on the number of inputs (Day 30 says why), and the arrays are `float32`. PyTorch's tools fetch the files; all the
# computation is ours.

# %%
import time

from threadpoolctl import threadpool_limits

from nnweek.loaders import pixel_statistics
from nnweek.mnist import load_mnist

data = load_mnist()
mean, std = pixel_statistics(data.train_images)


def prepare(images):
    pixels = images.reshape(len(images), -1).astype(np.float32) / 255
    return (pixels - np.float32(mean)) / np.float32(std)


X_train, y_train = prepare(data.train_images), data.train_labels
X_test, y_test = prepare(data.test_images), data.test_labels

reader = TwoLayerMLP(784, 128, 10)
rng = np.random.default_rng(SEED)
# He's initialisation, see Day 30: standard deviation √(2 / inputs).
reader.W1 = rng.normal(0, np.sqrt(2 / 784), (784, 128)).astype(np.float32)
reader.W2 = rng.normal(0, np.sqrt(2 / 128), (128, 10)).astype(np.float32)
reader.b1, reader.b2 = (
    reader.b1.astype(np.float32),
    reader.b2.astype(np.float32),
)


def accuracy(X, y):
    return (reader.forward(X)[0].argmax(axis=1) == y).mean()


lr = np.float32(DIGIT_LR)


def train_one_epoch():
    order = rng.permutation(len(X_train))
    for first in range(0, len(order), BATCH_SIZE):
        batch = order[first : first + BATCH_SIZE]
        _, probs, cache = reader.loss(X_train[batch], y_train[batch])
        dW1, db1, dW2, db2 = reader.backward(probs, cache, y_train[batch])
        reader.W1 -= lr * dW1
        reader.b1 -= lr * db1
        reader.W2 -= lr * dW2
        reader.b2 -= lr * db2


# One thread: for matrices this small, two would wait for each other.
with threadpool_limits(limits=1):
    start = time.perf_counter()
    for epoch in range(1, DIGIT_EPOCHS + 1):
        train_one_epoch()
        digit_accuracy = accuracy(X_test, y_test)
        print(f"Epoch {epoch} | test accuracy {digit_accuracy:.4f}")
    seconds = time.perf_counter() - start

# %% tags=["hide-input"]
Markdown(
    f"{data.name}: the network that you derived by hand reads "
    f"**{digit_accuracy:.2%}** of {len(y_test):,} test digits correctly, after "
    f"{seconds:.0f} seconds of training."
)

# %% tags=["remove-cell"]
with text_says("the network that you derived by hand reads digits"):
    assert digit_accuracy >= (0.6 if data.is_stand_in else 0.97)
    results.record(
        "numpy_test_accuracy",
        float(digit_accuracy),
        dataset=data.name,
        day=29,
        settings={
            "seed": SEED,
            "epochs": DIGIT_EPOCHS,
            "lr": DIGIT_LR,
            "batch_size": BATCH_SIZE,
            "hidden": reader.W1.shape[1],
        },
    )
with text_says("the gradient check finds no mistake in the class either"):
    from nnweek.gradcheck import grad_check

    HIDDEN, SCALE = 5, 1e-2
    checked_model = PackagedMLP(2, HIDDEN, 2, weight_scale=SCALE, seed=SEED)
    max_error, _ = grad_check(checked_model, X_small, y_small)
    assert max_error < 1e-6
    results.record(
        "gradient_check_max_error",
        float(max_error),
        dataset="toy",
        day=29,
        settings={
            "seed": SEED,
            "hidden": HIDDEN,
            "weight_scale": SCALE,
            "examples": len(X_small),
        },
    )

# %% [markdown]
# ## Check yourself
#
# Decide on an answer before you open it.
#
# **1.** Your network has 10 classes, and before training the loss is 8. What is most likely?
#
# - a) The initial weights are too large.
# - b) Nothing: the loss is high because it has not learnt yet.
# - c) The learning rate is too high.
#
# <details>
# <summary>Answer</summary>
#
# **a.** Large random scores make the network *confident and wrong*.
# b) is tempting, but *not knowing* costs only $\log 10 \approx 2.3$.
# c) cannot be: no step has been taken yet.
# </details>
#
# **2.** A hidden value feeds three scores with the weights $2$, $-1$ and $0$, and $ds = (0.5, 0.25, -1)$. What is its
# gradient?
#
# - a) $-0.25$
# - b) $0$
# - c) $1.25$
# - d) $0.75$
#
# <details>
# <summary>Answer</summary>
#
# **d.** The paths add up to $2 \cdot 0.5 - 1 \cdot 0.25 + 0 \cdot (-1)$.
# a) adds up $ds$ without the weights.
# b) follows the last path only, whose weight is zero.
# c) loses the sign of the second weight.
# </details>
#
# **3.** A gradient check in `float32` with a step of $10^{-5}$ reports an error of $10^{-2}$. What do you do first?
#
# - a) Look for the bug.
# - b) Make the step smaller.
# - c) Repeat the check in `float64`.
#
# <details>
# <summary>Answer</summary>
#
# **c.** At that step, rounding alone explains such an error.
# a) comes after you know that there is a bug.
# b) makes it worse: to the left of the best step the error grows as the step shrinks.
# </details>
#
# ## Summary
#
# | step | formula, and its name in the code |
# |---|---|
# | scores | $z_1 = X W_1 + b_1$, $a_1 = \max(0, z_1)$, $s = a_1 W_2 + b_2$: `forward` |
# | probabilities | $p = \operatorname{softmax}(s)$: `softmax` |
# | loss | $L = -\frac1N \sum_n \log p_{n,y_n}$: `cross_entropy` |
# | paths | $\partial L / \partial a = \sum_c \partial L / \partial s_c \cdot \partial s_c / \partial a$ |
# | at the scores | $ds = (p - Y) / N$: `dscores`. Squared error with ½: $(s - T) / N$ |
# | a layer | $dW = \text{in}^\top dz$, $db = \sum_n dz_n$, $d\text{in} = dz\, W^\top$: `layer_backward` |
# | an activation | ReLU: $dz = da \odot [z > 0]$; tanh: $dz = da \odot (1 - a^2)$ |
# | check | weights of about $0.5$, biases not $0$, float64, step $10^{-5}$, norm ratio below $10^{-7}$: `gradient_report` |
# | step | $W \leftarrow W - \eta\, dW$: `sgd_step`, `train_numpy` |
#
# From tomorrow on, `TwoLayerMLP` and `train_numpy` come from `nnweek.scratch`: the same code, with its inputs checked.
#
# ## Read more
#
# - Stanford CS231n, notes on [backpropagation](https://cs231n.github.io/optimization-2/) and on
#   [gradient checks](https://cs231n.github.io/neural-networks-3/#gradcheck).
# - Michael Nielsen, *Neural Networks and Deep Learning*, [chapter 2](http://neuralnetworksanddeeplearning.com/chap2.html).
# - Goodfellow, Bengio and Courville, *Deep Learning*, [section 6.5](https://www.deeplearningbook.org/contents/mlp.html).
# - Li and others (2018), [Visualizing the loss landscape of neural nets](https://arxiv.org/abs/1712.09913).
