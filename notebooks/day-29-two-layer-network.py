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
# A neural network is a function with many knobs, and learning is turning each knob a little in the direction that
# lowers the error. Today you build the whole machine in NumPy: the function, the error, the direction for every knob,
# and a test that tells you whether the directions are right. At the end it reads handwritten digits.
#
# **You will be able to**
#
# - write the forward pass of a two-layer network and name the shape of every array in it;
# - turn scores into probabilities and probabilities into a loss;
# - derive the gradient of that loss for every weight and bias, by hand and as code;
# - check a gradient against finite differences, and say what the number means and when it misleads;
# - train the network, see what the hidden layer buys, and look at the surface it walked down;
# - read handwritten digits with NumPy alone.
#
# **Time** about 205 minutes: a neuron 10, forward 20, loss 20, by hand 25, backward 35, the craft of checking 45,
# training 20, spirals 10, the surface 10, digits 10.
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
# - A *linear* classifier draws one straight line between two classes; a hidden layer lets the line bend.
# - Learning needs a *loss*, one number that says how wrong the network is, and its *gradient*, which says how the loss
#   changes with each weight.
# - *Backpropagation* is the chain rule, applied once per layer, from the loss back to the input.

# %%
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown

from nnweek import checks, results
from nnweek.notebook import text_says
from nnweek.plots import COLORS, STYLE, plot_points, plot_series
from nnweek.toy import make_spirals, make_toy_data

# %% [markdown]
# Change these numbers and run the rest again. The text describes the run with the numbers as they are here.

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
# What does a single neuron do? It multiplies each input by a weight, adds a bias, and looks at the sign. Where the sum
# $w_1 x_1 + w_2 x_2 + b$ is zero, it cannot decide; those points form a straight line. On one side it says yes, on the
# other no.
#
# When code is new, the data should be so easy that every surprise is the code's fault. So here are two clouds of
# points, one around $(-1, -1)$ and one around $(1, 1)$. A neuron with both weights $1$ and bias $0$ already tells
# them apart.

# %% mystnb={"image": {"alt": "Two clouds of points, class 0 at the lower left and class 1 at the upper right; the plane is coloured by what a single neuron says, with a straight border between the clouds."}}
X_toy, y_toy = make_toy_data(80, seed=SEED)


w, b = np.array([1.0, 1.0]), 0.0


def neuron(points):
    return (points @ w + b > 0).astype(int)


plot_points(X_toy, y_toy, "One neuron draws one straight line", predict=neuron)

# %% [markdown]
# *How to read it:* each mark is one example, its place is its two features, its shape and colour are its label. The
# colour behind is the neuron's answer at that place.
#
# One neuron is enough for two clouds. It is not enough for anything that a straight line cannot part, and most things
# are like that. The way out is to put neurons behind neurons.
#
# ## The forward pass
#
# How does a network turn a point into an answer? In three steps: a linear map into $H$ hidden units, a bend (the
# *activation*), and a linear map into one *score* per class.
#
# $$\begin{aligned}
# z_1 &= X W_1 + b_1 \\
# a_1 &= \max(0, z_1) \\
# s &= a_1 W_2 + b_2
# \end{aligned}$$
#
# All examples of a *batch*, the examples that are computed together, go through at once, one per row. The bend matters: without it, two linear maps in a row are
# one linear map, and the hidden layer would buy nothing. This bend, $\max(0, z)$, is called **ReLU**.
#
# Most bugs in a network are two arrays that do not fit, or worse, fit by accident. So keep a *shape ledger*, with
# $N$ examples, $D$ features, $H$ hidden units and $C$ classes:
#
# | what | symbol | in the code | shape |
# |---|---|---|---|
# | examples | $X$ | `X` | $(N, D)$ |
# | labels | $y$ | `y` | $(N,)$ |
# | first weights, biases | $W_1, b_1$ | `W1`, `b1` | $(D, H)$, $(1, H)$ |
# | before the activation | $z_1$ | `z1` | $(N, H)$ |
# | after it | $a_1$ | `a1` | $(N, H)$ |
# | second weights, biases | $W_2, b_2$ | `W2`, `b2` | $(H, C)$, $(1, C)$ |
# | scores (logits) | $s$ | `scores` | $(N, C)$ |
# | probabilities | $p$ | `probs` | $(N, C)$ |
# | gradient of the loss for the scores | $ds$ | `dscores` | $(N, C)$ |
# | for the hidden values | $da_1, dz_1$ | `da1`, `dz1` | $(N, H)$ |
# | for the parameters | $dW_1, db_1, dW_2, db_2$ | `dW1`, `db1`, `dW2`, `db2` | each like its parameter |
#
# We write $dW$ for $\partial L / \partial W$, the derivative of the loss. A gradient always has the shape of the thing
# it belongs to: `dW1` is $(D, H)$, because it holds one number for each number in `W1`.
#
# A bias is one row, $(1, H)$, and so is its gradient. Many people write it as $(H,)$. NumPy adds both to every row, and
# the checks accept both.
#
# ## From scores to a loss
#
# Scores can be any numbers. To speak of *how wrong* they are, we first make them probabilities with the **softmax**:
#
# $$p_{nc} = \frac{e^{s_{nc}}}{\sum_k e^{s_{nk}}}$$
#
# Each row becomes positive and sums to one. Adding the same number to all scores of a row changes nothing, since it
# cancels. So we may subtract the row's largest score first: then no exponential can overflow.
#
# **Exercise 1.** Write the softmax. The check below runs your function on scores of its own, and says what it sees.


# %%
def softmax(logits):
    """Turn scores (N, C) into probabilities (N, C)."""
    ...  # your code


checks.softmax(softmax)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# Three lines: subtract each row's maximum, take the exponential, divide by each row's sum. `keepdims=True` keeps the
# result of a sum or a maximum as a column, so that it fits against the rows.
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
# The **cross-entropy** asks one thing of the probabilities: how much did you give to the true class? It is the mean of
# $-\log p_{n, y_n}$ over the batch: zero for full confidence in the right class, and large for confidence in the wrong
# one.
#
# A network that knows nothing gives each of $C$ classes $1/C$, so its loss is $\log C$. Keep that in mind as the
# number to expect before training: $\log 2 \approx 0.69$ for two classes, $\log 10 \approx 2.30$ for ten.
#
# **Exercise 2.** Write the cross-entropy. What should it do when a probability is exactly zero?


# %%
def cross_entropy(probs, y):
    """Mean negative log-probability of the true classes."""
    ...  # your code


checks.cross_entropy(cross_entropy)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# `probs[np.arange(N), y]` picks from each row the probability of its true class. The logarithm of zero is minus
# infinity, and one such example would spoil the whole batch; so keep the probability above a tiny floor.
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
# </details>
#
# ## One pass by hand
#
# Before the general case, one example all the way through, with numbers that fit on paper. Two features, two hidden
# units, two classes; the true class is the second.
#
# $$\begin{gathered}
# x = (1, 2) \\[1ex]
# W_1 = \begin{pmatrix} 0.5 & -1 \\ 0.25 & 0.25 \end{pmatrix} \qquad b_1 = (1, -0.5) \\[1ex]
# W_2 = \begin{pmatrix} 1 & -1 \\ 2 & 0.5 \end{pmatrix} \qquad b_2 = (0, 1)
# \end{gathered}$$
#
# $\log$ is the natural logarithm. All numbers are computed exactly and rounded only for printing, so the last digit may
# differ from yours.
#
# **Forward.** The first hidden unit gets $1 \cdot 0.5 + 2 \cdot 0.25 + 1 = 2$, the second
# $1 \cdot (-1) + 2 \cdot 0.25 - 0.5 = -1$. So $z_1 = (2, -1)$.
#
# ReLU keeps the first and stops the second: $a_1 = (2, 0)$.
#
# The scores are $2 \cdot 1 + 0 \cdot 2 + 0 = 2$ and $2 \cdot (-1) + 0 \cdot 0.5 + 1 = -1$. So $s = (2, -1)$: the
# network prefers the first class, which is wrong.
#
# The softmax gives the first class $\frac{e^2}{e^2 + e^{-1}} = \frac{1}{1 + e^{-3}} \approx 0.9526$, and the second
# the rest: $p \approx (0.9526, 0.0474)$. The loss is $-\log p_2 = \log(1 + e^3) \approx 3.0486$.
#
# **Backward.** Each step asks: if this number grew a little, how would the loss change?
#
# For the scores the answer is $p$ minus the one-hot label (all zeros but a one at the true class); the next section
# derives it. The label is $(0, 1)$, so
# $ds \approx (0.9526, -0.9526)$: lower the first score, raise the second.
#
# The second layer multiplied $a_1$ with $W_2$. So each weight's gradient is *its input times the gradient of its
# output*: the first row is $2 \cdot ds \approx (1.9051, -1.9051)$, and the second row is $0 \cdot ds = (0, 0)$, since
# the second hidden unit sent nothing. A bias has the input $1$: $db_2 = ds$.
#
# A hidden value reaches the loss along two paths, one through each score. The chain rule multiplies along a path and
# adds up the paths. The first hidden value gets $0.9526 \cdot 1 + (-0.9526) \cdot (-1) \approx 1.9051$, the second
# $0.9526 \cdot 2 + (-0.9526) \cdot 0.5 \approx 1.4289$. So $da_1 \approx (1.9051, 1.4289)$.
#
# ReLU lets the gradient through where it let the value through, and stops it where it stopped the value:
# $dz_1 \approx (1.9051, 0)$.
#
# The first layer is like the second: its inputs are $1$ and $2$, so the first row of $dW_1$ is
# $1 \cdot dz_1 \approx (1.9051, 0)$ and the second is $2 \cdot dz_1 \approx (3.8103, 0)$; and $db_1 = dz_1$.
#
# That is all of backpropagation. The rest is doing it for many examples at once.
#
# **Exercise 3.** Write the forward pass for a whole batch, from the three formulas above.


# %%
def forward(X, W1, b1, W2, b2):
    """Scores (N, C) of a batch X (N, D); b1 is (1, H), b2 is (1, C)."""
    ...  # your code


checks.forward(forward)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# Three lines, one for each formula. NumPy adds the bias to every row by itself.
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
# ## The backward pass
#
# Now the general case. We need the derivative of the loss $L$ with respect to every parameter, and get them by walking
# the forward pass backwards.
#
# **Through the softmax.** How does probability $p_i$ change when score $s_j$ changes? Write $p_i = e^{s_i} / S$ with
# $S = \sum_k e^{s_k}$, so that $\partial S / \partial s_j = e^{s_j}$. The quotient rule gives
#
# $$\begin{aligned}
# \frac{\partial p_i}{\partial s_j} &= \frac{[i = j]\, e^{s_i}\, S - e^{s_i} e^{s_j}}{S^2} \\
# &= p_i\, ([i = j] - p_j)
# \end{aligned}$$
#
# where $[i = j]$ is $1$ if $i = j$ and $0$ otherwise. All these derivatives together form the *Jacobian* of the
# softmax, a $C \times C$ matrix: $\operatorname{diag}(p) - p\,p^\top$.
#
# **Through the loss.** For one example with true class $y$, $L = -\log p_y$ depends on $p_y$ alone: $\partial L / \partial p_y = -1 / p_y$.
# The chain rule multiplies the two:
#
# $$\begin{aligned}
# \frac{\partial L}{\partial s_j} &= -\frac{1}{p_y} \cdot p_y\, ([y = j] - p_j) \\
# &= p_j - [j = y]
# \end{aligned}$$
#
# The $p_y$ *cancels*. Separately, the two steps are dangerous, because $1 / p_y$ explodes when the network is confidently wrong.
# Together they are harmless, and that is why their gradient is computed in one step. With the mean over
# $N$ examples, and $Y$ the one-hot labels,
#
# $$ds = \frac{p - Y}{N}$$
#
# This is *what the network said minus what it should have said*.
#
# Do not take the Jacobian on trust. Here it is against *finite differences*, for one row of scores: raise one score by a
# tiny step, lower it by the same, and divide the change by the distance. More on this below.

# %%
s = np.array([2.0, -1.0, 0.5])


def softmax_row(s):
    e = np.exp(s - s.max())
    return e / e.sum()


p = softmax_row(s)
jacobian = np.diag(p) - np.outer(p, p)
step = 1e-6
measured = np.column_stack(
    [
        (softmax_row(s + step * unit) - softmax_row(s - step * unit))
        / (2 * step)
        for unit in np.eye(3)
    ]
)
difference = np.abs(jacobian - measured).max()
Markdown(
    f"Largest difference between formula and measurement: **{difference:.0e}**."
)

# %% tags=["remove-cell"]
with text_says("the formula of the Jacobian agrees with finite differences"):
    assert difference < 1e-9

# %% [markdown]
# **Second layer.** Written out, $s_{nc} = \sum_h a_{nh} W_{hc} + b_c$.
#
# The weight $W_{hc}$ appears in the score $c$ of every example, each time multiplied by $a_{nh}$. So
# $dW_{hc} = \sum_n a_{nh}\, ds_{nc}$, which is row $h$ of $a_1^\top$ times column $c$ of $ds$.
#
# The hidden value $a_{nh}$ appears in every score of its own example, multiplied by $W_{hc}$. So
# $da_{nh} = \sum_c ds_{nc} W_{hc}$, which is row $n$ of $ds$ times column $h$ of $W_2^\top$.
#
# The bias $b_c$ is added in every row, so its gradient is the sum over the rows. As matrices:
#
# $$\begin{gathered}
# dW_2 = a_1^\top\, ds \qquad db_2 = \sum_n ds_n \\
# da_1 = ds\, W_2^\top
# \end{gathered}$$
#
# **Activation.** ReLU lets a positive value through unchanged and stops the rest, so its derivative is $1$ or $0$:
#
# $$dz_1 = da_1 \odot [z_1 > 0]$$
#
# **First layer.** The same two formulas as for the second, one layer down:
#
# $$dW_1 = X^\top dz_1 \qquad db_1 = \sum_n dz_{1,n}$$
#
# Each formula is one line of code, and the shapes leave hardly a choice:
#
# | formula | code | shapes |
# |---|---|---|
# | $ds = (p - Y) / N$ | `dscores = probs.copy()`, subtract 1 at the true classes, divide by `N` | $(N, C)$ |
# | $dW_2 = a_1^\top ds$ | `dW2 = a1.T @ dscores` | $(H, N)(N, C) = (H, C)$ |
# | $db_2 = \sum_n ds_n$ | `db2 = dscores.sum(axis=0, keepdims=True)` | $(N, C) \to (1, C)$ |
# | $da_1 = ds\, W_2^\top$ | `da1 = dscores @ W2.T` | $(N, C)(C, H) = (N, H)$ |
# | $dz_1 = da_1 \odot [z_1 > 0]$ | `dz1 = da1 * (z1 > 0)` | $(N, H)$ |
# | $dW_1 = X^\top dz_1$ | `dW1 = X.T @ dz1` | $(D, N)(N, H) = (D, H)$ |
# | $db_1 = \sum_n dz_{1,n}$ | `db1 = dz1.sum(axis=0, keepdims=True)` | $(N, H) \to (1, H)$ |
#
# (`keepdims=True` keeps the summed axis, with length one, so that each gradient has the shape of its bias.)

# %% tags=["hide-input"]
bugs = {mistake.id for mistake in checks.EXERCISES["backward"].mistakes}
Markdown(
    "There are many ways to get these lines wrong. The check of the next "
    f"exercise recognises **{len(bugs - {'wrong'})}** of them by name."
)

# %% [markdown]
# **Exercise 4.** Put the lines together.


# %%
def backward(X, y, W1, b1, W2, b2):
    """Gradients (dW1, db1, dW2, db2) of the mean cross-entropy."""
    ...  # your code


checks.backward(backward)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# Run the forward pass first and keep `z1`, `a1` and the probabilities (this uses your `softmax` from Exercise 1). Then
# follow the table from top to bottom.
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
# </details>
#
# Here is everything in one class. The forward pass returns a *cache*: the arrays that the backward pass needs again.
# That is the bargain of backpropagation. It keeps what it computed, and pays for it with memory.


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

        dscores = probs.copy()  # (N, C): what it said …
        dscores[np.arange(N), y] -= 1.0  # … minus what it should say …
        dscores /= N  # … averaged over the batch

        dW2 = a1.T @ dscores  # (H, N) @ (N, C) = (H, C)
        db2 = dscores.sum(axis=0, keepdims=True)  # (1, C)
        da1 = dscores @ self.W2.T  # (N, C) @ (C, H) = (N, H)

        dz1 = da1 * (z1 > 0)  # (N, H)

        dW1 = X.T @ dz1  # (D, N) @ (N, H) = (D, H)
        db1 = dz1.sum(axis=0, keepdims=True)  # (1, H)
        return dW1, db1, dW2, db2


# %% [markdown]
# Does it agree with the pass that you followed by hand?

# %%
by_hand = TwoLayerMLP(2, 2, 2)
by_hand.W1 = np.array([[0.5, -1.0], [0.25, 0.25]])
by_hand.b1 = np.array([[1.0, -0.5]])
by_hand.W2 = np.array([[1.0, -1.0], [2.0, 0.5]])
by_hand.b2 = np.array([[0.0, 1.0]])
x, label = np.array([[1.0, 2.0]]), np.array([1])

loss, probs, cache = by_hand.loss(x, label)
_, z1, a1, scores = cache
dW1, db1, dW2, db2 = by_hand.backward(probs, cache, label)
computed = {
    "z1": z1,
    "a1": a1,
    "scores": scores,
    "probs": probs,
    "loss": loss,
    "dW2": dW2,
    "db2": db2,
    "dW1": dW1,
    "db1": db1,
}
Markdown(
    "| array | computed |\n|---|---|\n"
    + "\n".join(
        f"| `{name}` | {np.array2string(np.squeeze(values), precision=4)} |"
        for name, values in computed.items()
    ).replace("\n ", " ")
)

# %% tags=["remove-cell"]
on_paper = {
    "z1": [[2, -1]],
    "a1": [[2, 0]],
    "scores": [[2, -1]],
    "probs": [[0.9526, 0.0474]],
    "loss": 3.0486,
    "dW2": [[1.9051, -1.9051], [0, 0]],
    "db2": [[0.9526, -0.9526]],
    "dW1": [[1.9051, 0], [3.8103, 0]],
    "db1": [[1.9051, 0]],
}
with text_says("the class computes the numbers of the pass by hand"):
    for name, values in on_paper.items():
        assert np.allclose(computed[name], values, atol=1e-4)
    da1 = (computed["probs"] - [[0, 1]]) @ by_hand.W2.T
    assert np.allclose(da1, [[1.9051, 1.4289]], atol=1e-4)

# %% [markdown]
# And is the loss of an untrained network what we predicted? With small random weights all scores are near zero, so
# both classes get about one half.

# %%
HIDDEN, SCALE = 5, 1e-2
fresh = TwoLayerMLP(2, HIDDEN, 2, weight_scale=SCALE, seed=SEED)
initial_loss, _, _ = fresh.loss(X_toy, y_toy)
Markdown(
    f"Loss before training: **{initial_loss:.4f}**; "
    f"expected log 2 = {np.log(2):.4f}."
)

# %% tags=["remove-cell"]
with text_says("the loss of an untrained network is near log 2"):
    assert abs(initial_loss - np.log(2)) < 0.01

# %% [markdown]
# ## The gradient check
#
# How do you know that a gradient is right? The code runs, the shapes fit, the loss may even fall, and it can still be
# wrong. So measure the slope without any calculus: move one weight up by a little $\varepsilon$, then down, and see how
# far the loss moved.
#
# $$\frac{\partial L}{\partial w} \approx \frac{L(w + \varepsilon) - L(w - \varepsilon)}{2\varepsilon}$$
#
# This *centred difference* is slow, one weight at a time, but it shares no line with `backward`. If both agree,
# `backward` is almost certainly the derivative of the loss that you wrote. Whether you wrote the right loss, the check
# cannot tell.
#
# **Exercise 5.** Write it for any function of an array.


# %%
def numerical_gradient(f, x, eps=1e-5):
    """Centred differences of f at x, an array like x."""
    ...  # your code


checks.numerical_gradient(numerical_gradient)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# `for index in np.ndindex(x.shape)` visits every entry of an array of any shape. Change `x[index]`, call `f(x)`, change
# it the other way, call again, and put the old value back.
# </details>
#
# <details>
# <summary>Another hint</summary>
#
# What happens to $\varepsilon$ if `x` holds integers?
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
# What does it mean for two gradients to *agree*? A difference of $10^{-4}$ is nothing beside a gradient of $1$ and
# everything beside one of $10^{-4}$. So we look at the **relative error** $|a - b| / (|a| + |b|)$. Stanford's CS231n
# gives a scale for it (their notes divide by the larger of the two; the result differs by a factor of two at most):
#
# | relative error | reading |
# |---|---|
# | above $10^{-2}$ | the gradient is probably wrong |
# | $10^{-2}$ to $10^{-4}$ | uncomfortable |
# | $10^{-4}$ to $10^{-7}$ | fine where there are kinks, such as ReLU's; otherwise too high |
# | below $10^{-7}$ | be happy |
#
# The check below tries ten random entries of each parameter. Five examples are enough, if they come from both classes: a
# wrong formula is wrong for five as for five thousand. (With one class only, a `backward` that ignores the labels would
# pass.)
#
# *Predict:* where on the scale will the largest of the errors lie?


# %%
def relative_error(a, b):
    return abs(a - b) / max(1e-8, abs(a) + abs(b))  # the floor avoids 0/0


def grad_check(model, X, y, eps=1e-5):
    """Compare entries of each gradient with centred differences."""
    _, probs, cache = model.loss(X, y)
    names = ["W1", "b1", "W2", "b2"]
    gradients = dict(zip(names, model.backward(probs, cache, y), strict=True))
    rng = np.random.default_rng(0)
    errors = []
    for name, gradient in gradients.items():
        parameter = getattr(model, name)
        count = min(10, parameter.size)
        for flat in rng.choice(parameter.size, size=count, replace=False):
            index = np.unravel_index(flat, parameter.shape)
            kept = parameter[index]
            parameter[index] = kept + eps
            loss_above, _, _ = model.loss(X, y)
            parameter[index] = kept - eps
            loss_below, _, _ = model.loss(X, y)
            parameter[index] = kept  # leave the model as it was
            numerical = (loss_above - loss_below) / (2 * eps)
            errors.append(relative_error(numerical, gradient[index]))
    return max(errors), np.mean(errors)


X_small, y_small = X_toy[::32], y_toy[::32]  # three of class 0, two of class 1
max_error, mean_error = grad_check(fresh, X_small, y_small)
Markdown(f"Largest relative error **{max_error:.1e}**, mean {mean_error:.1e}.")

# %% tags=["remove-cell"]
with text_says("the gradient check finds no mistake"):
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
# That is what right looks like. Does the check also see what is wrong? A check that cannot fail is worth nothing, so
# break the gradient on purpose. Here the ReLU mask is forgotten: `dz1 = da1`.


# %%
class ForgetsTheMask(TwoLayerMLP):
    def backward(self, probs, cache, y):
        X, _, a1, scores = cache
        pretends_all_positive = (X, np.ones_like(a1), a1, scores)
        return super().backward(probs, pretends_all_positive, y)


forgetful = ForgetsTheMask(2, HIDDEN, 2, weight_scale=SCALE, seed=SEED)
wrong_error, _ = grad_check(forgetful, X_small, y_small)
Markdown(f"Largest relative error without the mask: **{wrong_error:.2f}**.")

# %% tags=["remove-cell"]
with text_says("the check finds the forgotten mask"):
    assert wrong_error > 0.1

# %% [markdown]
# ## The craft of checking
#
# A gradient check is an instrument, and an instrument has to be understood before it is believed. Six questions about
# it.
#
# ### Why centred, and which step?
#
# A one-sided difference, $(L(w + \varepsilon) - L(w)) / \varepsilon$, costs half as much. What does it lose? Taylor's
# theorem says: its error is about $\frac{\varepsilon}{2} |L''|$, and the centred one's about
# $\frac{\varepsilon^2}{6} |L'''|$. So a ten times smaller step makes the one-sided
# difference ten times better and the centred one a hundred times. On logarithmic axes, a power $\varepsilon^k$ is a
# straight line of slope $k$.
#
# Why not take the smallest step there is, then? Because the computer rounds. Each loss carries an error of about
# $u\,|L|$, where $u$ is the precision of the number type, and the division by $\varepsilon$ blows it up to
# $u\,|L| / \varepsilon$. One error falls with $\varepsilon$, the other rises. Between them lies the best step.
#
# *Predict:* in which order will the two curves reach their lowest point, as the step shrinks from the right?

# %%
from nnweek.gradcheck import step_size_sweep
from nnweek.scratch import TwoLayerMLP as PackagedMLP


def sweep(dtype, steps):
    """Errors of finite differences for W2, all arithmetic in one dtype."""
    model = PackagedMLP(2, 8, 2, weight_scale=0.5)
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

# %% tags=["hide-input"] mystnb={"image": {"alt": "Error of finite differences against the step size, both axes logarithmic. Two V-shaped curves: both rise to the left with slope minus one where rounding rules; to the right the one-sided curve rises with slope one, the centred one with slope two and reaches a far lower minimum. Dotted lines show the slopes of the theory."}}
with plt.rc_context(STYLE):
    _, ax = plt.subplots()
    for kind, marker in [("one-sided", "s"), ("centred", "o")]:
        ax.loglog(
            steps64, errors64[kind], marker=marker, markersize=4, label=kind
        )
    right = steps64 >= 1e-3
    for kind, power in [("one-sided", 1), ("centred", 2)]:
        anchor = errors64[kind][-13] * (steps64 / steps64[-13]) ** power
        ax.loglog(
            steps64[right], 3 * anchor[right], ":", color="grey", linewidth=1.5
        )
        ax.annotate(f"slope {power}", (steps64[-7], 6 * anchor[-7]), ha="right")
    left = steps64 <= 1e-8
    rounding = 4e-16 / steps64
    ax.loglog(steps64[left], rounding[left], ":", color="grey", linewidth=1.5)
    ax.annotate("slope −1", (2e-10, 2e-5))
    ax.set(
        title="How good are finite differences? (float64)",
        xlabel="Step ε",
        ylabel="Relative error",
    )
    ax.legend(loc="upper center")
    plt.show()

# %% [markdown]
# *How to read it:* from right to left the step shrinks. First the formula's own error falls, along the dotted lines of
# the theory. Then rounding takes over and the error rises again, the same for both.
#
# The one-sided curve has to go further left, to about $\sqrt u \approx 10^{-8}$, where $\varepsilon = u / \varepsilon$. The
# centred one turns at about $\sqrt[3]{u} \approx 10^{-5}$, where $\varepsilon^2 = u / \varepsilon$. That is why $10^{-5}$ is
# the usual step.


# %%
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
    + f"\n- on the left, where rounding rules: slope {rounding_slope:.2f}"
    + f"\n- centred at the usual step of 1e-5: error {at_default:.0e}"
)

# %% tags=["remove-cell"]
with text_says("the errors have the slopes of the theory"):
    assert abs(slopes["centred"] - 2) < 0.1
    assert abs(slopes["one-sided"] - 1) < 0.1
    assert abs(rounding_slope + 1) < 0.25
with text_says("centred differences reach a far smaller error, near 1e-5"):
    assert at_default < 1e-9
    assert errors64["centred"].min() < 1e-2 * errors64["one-sided"].min()

# %% [markdown]
# ### What if the numbers are float32?
#
# Deep learning mostly computes in `float32`, with about seven digits instead of sixteen. *Predict:* does its best step
# lie to the left or to the right of `float64`'s?

# %%
steps32 = np.logspace(-7, 0, 22)
errors32 = sweep(np.float32, steps32)

# %% tags=["hide-input"] mystnb={"image": {"alt": "Error of centred differences against the step size in float64 and float32, both axes logarithmic. The float32 curve turns up much earlier: its minimum lies far to the right and far above that of float64. Dotted lines show the slopes of the theory."}}
with plt.rc_context(STYLE):
    _, ax = plt.subplots()
    for name, steps, errors, marker in [
        ("float64", steps64, errors64["centred"], "o"),
        ("float32", steps32, errors32["centred"], "s"),
    ]:
        ax.loglog(steps, errors, marker=marker, markersize=4, label=name)
        left = steps < 0.1 * steps[np.argmin(errors)]
        rounding = 3 * errors[0] * steps[0] / steps
        ax.loglog(steps[left], rounding[left], ":", color="grey", linewidth=1.5)
    right = steps64 >= 1e-3
    formula = 5 * errors64["centred"][-1] * steps64**2
    ax.loglog(steps64[right], formula[right], ":", color="grey", linewidth=1.5)
    ax.annotate("slope −1", (1e-10, 2e-5))
    ax.annotate("slope −1", (1e-5, 1e-1))
    ax.annotate("slope 2", (5e-3, 5e-9))
    ax.set(
        title="Centred differences in two precisions",
        xlabel="Step ε",
        ylabel="Relative error",
    )
    ax.legend()
    plt.show()

# %%
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
# *How to read it:* to the right both follow the formula's own error; the dotted lines are the theory's slopes. Rounding
# takes over where a curve turns up, and in `float32`, where $u \approx 10^{-7}$, it does so much earlier: the rule
# $\sqrt[3]{u}$ gives about $5 \cdot 10^{-3}$.
#
# On CS231n's scale, `float32` at the usual step puts a correct gradient among the uncomfortable ones. So check gradients in `float64`, even
# if you train in `float32`.
#
# ### Which number should you look at?
#
# The largest elementwise error looks strict, and it misleads. If the weights are small, so are most gradients, and some
# entries are almost zero. For those, rounding alone is a large *relative* error. The **norm ratio**
# $\|a - b\| / (\|a\| + \|b\|)$ judges a parameter as a whole. `gradient_report` shows both, and where the largest error
# sits. (The step is $10^{-6}$ here: with weights this small some units sit close to their corner, see *What does a kink
# do?* below. And the network is the package's `TwoLayerMLP`, which is the same and also checks its inputs.)

# %%
from nnweek.gradcheck import gradient_report

rng = np.random.default_rng(0)
X_wide, y_wide = rng.standard_normal((6, 20)), rng.integers(0, 3, size=6)
tiny = PackagedMLP(20, 30, 3, weight_scale=1e-3)
report = gradient_report(tiny, X_wide, y_wide, eps=1e-6)
report

# %%
largest = max(report.lines, key=lambda line: line.max_error)
Markdown(
    f"All of this is right, yet one entry of `{largest.name}` is off by a "
    f"relative **{largest.max_error:.0e}**: its gradient is {abs(largest.analytic):.0e}. "
    f"The largest norm ratio is **{report.norm_ratio:.0e}**."
)

# %% tags=["remove-cell"]
with text_says("one entry is far off, while the norm ratio is small"):
    assert largest.max_error > 1e-4
    assert report.norm_ratio < 1e-6

# %% [markdown]
# The norm ratio has a blind side of its own: a single wrong entry that is tiny beside the others hardly moves it. So
# read both. A large norm ratio means that something is wrong. A large elementwise error with a small norm ratio means:
# look at that entry, and if its gradient is far smaller than the rest, it is rounding.
#
# ### Can a check pass a wrong gradient?
#
# Easily, if its tolerance is *absolute*. `np.allclose(a, b, atol=1e-2)` looks reasonable and asks only that the
# gradients differ by less than $0.01$. Here every gradient has the wrong *sign*:


# %%
class UphillMLP(PackagedMLP):
    """Walks up instead of down: every gradient negated."""

    def backward(self, probs, cache, y):
        return tuple(
            -gradient for gradient in super().backward(probs, cache, y)
        )


uphill = UphillMLP(2, 8, 2, weight_scale=1e-2)
X_even, y_even = X_toy[::16], y_toy[::16]  # five of each class
uphill_report = gradient_report(uphill, X_even, y_even)
passes = all(
    np.allclose(line.analytic, line.numerical, atol=1e-2)
    for line in uphill_report.lines
)
Markdown(
    f"`allclose` with an absolute tolerance of 0.01 passes it: **{passes}**. "
    f"Its norm ratio is {uphill_report.norm_ratio:.2f}."
)

# %% tags=["remove-cell"]
with text_says("an absolute tolerance passes gradients of the wrong sign"):
    assert passes
with text_says("the norm ratio sees that the sign is wrong"):
    assert uphill_report.norm_ratio > 0.99

# %% [markdown]
# With small weights the gradients of $W_1$, $b_1$ and $W_2$ are small, and here that of $b_2$ too, since both classes are
# equally frequent. So right and wrong differ by little. Only a *relative* measure knows.
#
# ### What does a kink do?
#
# ReLU has a corner at zero. If $\varepsilon$ carries a hidden unit across it, the loss is compared on both sides of the
# corner, and the difference is a mixture of two slopes. The gradient is right, and the check complains. Let us put a
# unit very close to its corner and check the bias that moves it:

# %%
kinked = PackagedMLP(2, 8, 2, weight_scale=0.5)
unit = 3
z_of_unit = X_small[:1] @ kinked.W1[:, unit]
kinked.b1[0, unit] = 2e-6 - z_of_unit[0]  # now z1 = 2e-6 for this example
errors_at_kink = {
    eps: gradient_report(kinked, X_small[:1], y_small[:1], eps=eps).lines[1]
    for eps in [1e-5, 1e-6]
}
Markdown(
    "\n".join(
        f"- ε = {eps:.0e}: largest error in `b1` **{line.max_error:.0e}**, "
        f"at unit {line.where[1]}"
        for eps, line in errors_at_kink.items()
    )
)

# %% tags=["remove-cell"]
with text_says("a step across the corner gives a large error at that unit"):
    assert errors_at_kink[1e-5].max_error > 0.1
    assert errors_at_kink[1e-5].where[1] == unit
with text_says("a smaller step does not cross the corner"):
    assert errors_at_kink[1e-6].max_error < 1e-6

# %% [markdown]
# So when a check fails at a few entries only, make the step smaller. An error that vanishes was a kink; one that
# grows is rounding; one that stays the same is a bug. Fewer examples also help: there are fewer corners to cross.
#
# ### Is one check enough?
#
# At the start, all weights are small and random, and some mistakes do not show yet. Check again after the network has
# learnt a little; CS231n calls this *burn-in*. We will do so after the training below.
#
# ## Training
#
# With gradients that hold, learning is one line per parameter: step against the gradient, scaled by the *learning
# rate* $\eta$.
#
# $$W \leftarrow W - \eta\, \frac{\partial L}{\partial W}$$
#
# **Exercise 6.** Write one such step for a list of parameters, of any number and any shapes. `grads[i]` is the gradient of
# `params[i]`.


# %%
def sgd_step(params, grads, lr):
    """The list of parameters after one step of gradient descent."""
    ...  # your code


checks.sgd_step(sgd_step)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# Take one parameter and its gradient first. The gradient points uphill; which way do you go, and how far?
# </details>
#
# <details>
# <summary>Another hint</summary>
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
# Training repeats four things: the loss, its gradients, the step, and a note of the loss. Here the step is written out
# for the four arrays of the network, and changes them in place.


# %%
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


# %% [markdown]
# *Predict before you run:* where does the curve start, and does it ever go up?

# %%
model_np = TwoLayerMLP(
    input_dim=2, hidden_dim=8, output_dim=2, weight_scale=1e-1, seed=SEED
)
losses = train_numpy(model_np, X_toy, y_toy, lr=LR, epochs=EPOCHS)

# %% mystnb={"image": {"alt": "Training loss over 200 epochs: it starts near log 2, falls steeply within the first thirty epochs and then levels off just above zero."}}
plot_series(
    losses, "Two-layer network in NumPy: training loss", "Epoch", "Loss"
)

# %% [markdown]
# *How to read it:* the height is the mean loss over all points, before each step. It never goes up: the learning rate is
# small enough for this task. It starts at $\log 2$, as it must,
# falls fast while the network finds the direction between the clouds, and then slowly, while it grows more confident.


# %%
def predict(points):
    scores, _ = model_np.forward(points)
    return scores.argmax(axis=1)


train_accuracy = (predict(X_toy) == y_toy).mean()
trained_error, _ = grad_check(model_np, X_small, y_small)
Markdown(
    f"After {len(losses)} epochs the loss is **{losses[-1]:.4f}**, and the "
    f"network labels **{train_accuracy:.1%}** of the {len(y_toy)} training "
    "points correctly. Checked again after burn-in, the largest relative error "
    f"of its gradients is **{trained_error:.0e}**."
)

# %% tags=["remove-cell"]
with text_says("the loss starts at log 2 and never goes up"):
    assert abs(losses[0] - np.log(2)) < 0.05
    assert all(np.diff(losses) <= 0)
with text_says("the loss falls fast at first"):
    assert losses[:31][-1] < 0.1
with text_says("the network learns to tell the two clouds apart"):
    assert losses[-1] < 0.1
    assert train_accuracy >= 0.97
with text_says("the gradients are also right after training"):
    assert trained_error < 1e-4

# %% [markdown]
# ## What the hidden layer buys
#
# Two clouds need no hidden layer. Here are two spirals, wound into each other. No straight line parts them. How far does
# a linear model get, and how far the same training with a hidden layer?
#
# A linear model is our network without its middle: scores $XW + b$, and the same $(p - Y)/N$.

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
    name: (classify(X_new) == y_new).mean()
    for name, classify in [
        ("linear", linear_predict),
        ("network", network_predict),
    ]
}
Markdown(
    f"On new points, the linear model is right for "
    f"**{spiral_accuracy['linear']:.0%}** (guessing gives one half), the network "
    f"with 64 hidden units for **{spiral_accuracy['network']:.0%}**."
)

# %% tags=["remove-cell"]
with text_says("on spirals, the linear model is hardly better than guessing"):
    assert 0.4 < spiral_accuracy["linear"] < 0.65
with text_says("the network with a hidden layer separates the spirals"):
    assert spiral_accuracy["network"] > 0.97

# %% mystnb={"image": {"alt": "Two interleaved spirals; the linear model cuts the plane with one straight border that runs across both."}}
plot_points(
    X_spiral, y_spiral, "A linear model on spirals", predict=linear_predict
)

# %% mystnb={"image": {"alt": "The same two spirals; the border of the network's regions winds between them and follows both arms."}}
plot_points(
    X_spiral, y_spiral, "With one hidden layer", predict=network_predict
)

# %% [markdown]
# *How to read them:* the colour behind the points is the model's answer at that place. The linear model can only cut;
# the network's border is made of many short straight pieces: it bends wherever a hidden unit switches on or off.
#
# ## The surface it walked down
#
# The loss of this network is a function of 322 numbers, and nobody can picture that. But a slice can be drawn. Take the
# first 150 steps of the same training, the place where they end, and the two directions in which the path moved most; on
# the plane that they span, draw the loss as heights, and lay the path on top.


# %%
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
start_loss, _, _ = walker.loss(X_spiral, y_spiral)
for _ in range(150):
    _, probs, cache = walker.loss(X_spiral, y_spiral)
    gradients = walker.backward(probs, cache, y_spiral)
    gradient = np.concatenate([g.ravel() for g in gradients])
    put(walker, path[-1] - SPIRAL_LR * gradient)
    path.append(flat(walker))
end_loss, _, _ = walker.loss(X_spiral, y_spiral)
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

# %% tags=["hide-input"] mystnb={"image": {"alt": "Contour lines of the loss on a plane through weight space, with the path of training drawn on it: it starts high, drops into a curved valley and then follows the valley floor to the marked end."}}
with plt.rc_context(STYLE):
    _, ax = plt.subplots(figsize=(6.4, 4.4))
    ax.grid(False)
    levels = np.unique(np.quantile(heights, np.linspace(0, 1, 14)))
    lines = ax.contour(
        u, v, heights, levels=levels, cmap="viridis", linewidths=1
    )
    ax.clabel(lines, fontsize="x-small", fmt="%.2f")
    ax.plot(
        *along.T,
        color=COLORS[1],
        linestyle="-",
        marker=".",
        label="path of training",
    )
    ax.plot(
        *along[0], marker="o", color=COLORS[1], linestyle="none", label="start"
    )
    ax.plot(
        *along[-1],
        marker="*",
        markersize=14,
        color=COLORS[1],
        linestyle="none",
        label="end",
    )
    ax.set(
        title="A slice of the loss surface, and the path on it",
        xlabel="Direction of largest movement",
        ylabel="Second direction",
    )
    ax.legend(loc="lower right")
    plt.show()

# %%
Markdown(
    f"The slice holds **{captured:.0%}** of the path's movement. The loss "
    f"falls from {start_loss:.2f} to {end_loss:.2f} over these "
    f"{len(path) - 1} steps."
)

# %% tags=["remove-cell"]
with text_says("the slice shows most of the path, on which the loss falls"):
    assert captured > 0.8
    assert end_loss < start_loss
with text_says("the loss is a function of 322 numbers"):
    assert len(end) == 322

# %% [markdown]
# *How to read it:* each line joins places of equal loss on the slice. The path itself runs through all 322 dimensions;
# drawn here is its shadow. So its start has a higher loss than the lines around its shadow say, and it need not cross
# them at right angles, as steepest descent would if everything happened in this plane. The jumps at the start are steps
# across a steep valley; the long curve is the walk along its floor. Day 33 is about doing this faster.
#
# ## The same network reads digits
#
# Is this a toy? Give it MNIST: 60,000 images of handwritten digits, 784 pixels each. The network is the same, and
# four things around it change. The data are too many to use all of them for each step, so each step takes a random batch
# of 128. The pixels are brought to mean 0 and standard deviation 1. The first weights are drawn larger or smaller
# depending on the number of inputs (Day 30 says why). And the arrays are `float32`, which takes half the memory
# and less time.
#
# Fetching and verifying the files is the one place today where the package uses PyTorch's tools (Day 31 has more on
# them); what comes back are NumPy arrays, and all the computing is ours. The training takes about 5 s on two cores.

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
# He's initialisation, Day 30 says why: standard deviation √(2 / inputs).
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
    for batch in np.split(order, range(BATCH_SIZE, len(order), BATCH_SIZE)):
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

# %%
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

# %% [markdown]
# ## Check yourself
#
# Decide on an answer before you open it.
#
# **1.** Your network has 10 classes, and before training the loss is 8. What is most likely?
#
# - a) Nothing: the loss is high because it has not learnt yet.
# - b) The initial weights are too large.
# - c) The learning rate is too high.
#
# <details>
# <summary>Answer</summary>
#
# **b.** A network that knows nothing should sit near $\log 10 \approx 2.3$. A far larger loss means that it is
# *confident and wrong*, which large random scores make it.
# a) is the tempting one, but *not knowing* costs only $\log C$.
# c) cannot be: no step has been taken yet.
# </details>
#
# **2.** The gradient check reports a relative error of $0.5$ for every entry of `W1` and `b1`, and $10^{-9}$ for `W2`
# and `b2`. Where do you look?
#
# - a) At the softmax.
# - b) At the line `dz1 = da1 * (z1 > 0)` or the line before it.
# - c) At the step $\varepsilon$.
#
# <details>
# <summary>Answer</summary>
#
# **b.** What is right after the activation and wrong before it went wrong in between.
# a) would spoil all four gradients, since they all pass through `dscores`.
# c) would also show in all four.
# </details>
#
# **3.** You leave out `dscores /= N`. What happens?
#
# - a) The network learns nothing.
# - b) Every gradient is $N$ times too large, so the learning rate acts $N$ times as strong.
# - c) Only the biases are wrong.
#
# <details>
# <summary>Answer</summary>
#
# **b.** Everything downstream is proportional to `dscores`.
# a) With a learning rate $N$ times smaller it learns exactly as before, which is why this bug hides so well.
# c) The biases are not special: both weights and biases are computed from `dscores`.
# </details>
#
# **4.** A gradient check in `float32` with a step of $10^{-5}$ reports an error of $10^{-2}$. What do you do first?
#
# - a) Look for the bug.
# - b) Repeat the check in `float64`.
# - c) Make the step smaller.
#
# <details>
# <summary>Answer</summary>
#
# **b.** At that step, rounding alone explains such an error.
# a) comes after you know that there is a bug.
# c) makes it worse: to the left of the best step the error grows as the step shrinks.
# </details>
#
# ## Summary
#
# | step | formula | code |
# |---|---|---|
# | forward | $s = \max(0, X W_1 + b_1)\, W_2 + b_2$ | `forward` |
# | probabilities | $p = \operatorname{softmax}(s)$ | `softmax` |
# | loss | $L = -\frac1N \sum_n \log p_{n,y_n}$ | `cross_entropy` |
# | gradient of the scores | $ds = (p - Y) / N$ | `dscores` |
# | of the second layer | $dW_2 = a_1^\top ds$, $db_2 = \sum_n ds_n$ | `dW2`, `db2` |
# | through the activation | $dz_1 = (ds\, W_2^\top) \odot [z_1 > 0]$ | `dz1` |
# | of the first layer | $dW_1 = X^\top dz_1$, $db_1 = \sum_n dz_{1,n}$ | `dW1`, `db1` |
# | check | centred differences in float64, step $10^{-5}$, norm ratio near $10^{-7}$ or below | `gradient_report` |
# | step | $W \leftarrow W - \eta\, dW$ | `sgd_step`, `train_numpy` |
#
# From tomorrow on, `TwoLayerMLP`, `grad_check` and `train_numpy` come from the package: `nnweek.scratch` and
# `nnweek.gradcheck` hold the same code, with its inputs checked.
#
# ## Read more
#
# - Stanford CS231n, notes on [backpropagation](https://cs231n.github.io/optimization-2/) and on
#   [gradient checks](https://cs231n.github.io/neural-networks-3/#gradcheck).
# - Michael Nielsen, *Neural Networks and Deep Learning*, [chapter 2](http://neuralnetworksanddeeplearning.com/chap2.html).
# - Goodfellow, Bengio and Courville, *Deep Learning*, [section 6.5](https://www.deeplearningbook.org/contents/mlp.html).
# - Li and others (2018), [Visualizing the loss landscape of neural nets](https://arxiv.org/abs/1712.09913).
