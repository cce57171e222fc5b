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
# and a test that tells you whether the directions are right.
#
# **You will be able to**
#
# - write the forward pass of a two-layer network and name the shape of every array in it;
# - turn scores into probabilities and probabilities into a loss;
# - derive the gradient of that loss for every weight and bias, and write it as code;
# - check a gradient against finite differences, and say what the number means;
# - train the network by gradient descent and read its loss curve.
#
# **Time** about 90 minutes: data 5, forward 20, loss 15, backward 25, gradient check 15, training 10.
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
import numpy as np
from IPython.display import Markdown

from nnweek import results
from nnweek.plots import plot_points, plot_series
from nnweek.toy import make_toy_data

# %% [markdown]
# ## Two clouds of points
#
# When code is new, the data should be so easy that every surprise is the code's fault. We draw two clouds of points in
# the plane, one around $(-1, -1)$ and one around $(1, 1)$. The task: given a point, say which cloud it came from.

# %%
X_toy, y_toy = make_toy_data(80)
X_toy.shape, y_toy.shape, np.bincount(y_toy)

# %% mystnb={"image": {"alt": "Two clouds of points: class 0 at the lower left, class 1 at the upper right, touching only slightly."}}
plot_points(X_toy, y_toy, "Toy data: two clouds")

# %% [markdown]
# *How to read it:* each mark is one example, its place is its two features, its shape and colour are its label. A
# straight line from the upper left to the lower right separates the clouds almost perfectly, so a network that cannot
# do this has a bug.
#
# ## The forward pass
#
# How does the network turn a point into an answer? In three steps: a linear map into $H$ hidden units, a bend (the
# *activation*), and a linear map into one *score* per class.
#
# $$z_1 = X W_1 + b_1 \qquad a_1 = \max(0, z_1) \qquad s = a_1 W_2 + b_2$$
#
# All examples of a batch go through at once, one per row. The bend matters: without it, two linear maps in a row are
# one linear map, and the hidden layer would buy nothing.
#
# Most bugs in a network are two arrays that do not fit, or worse, fit by accident. So keep a ledger of shapes, with
# $N$ examples, $D$ features, $H$ hidden units and $C$ classes:
#
# | what | symbol | in the code | shape |
# |---|---|---|---|
# | examples | $X$ | `X` | $(N, D)$ |
# | labels | $y$ | `y` | $(N,)$ |
# | first weights, biases | $W_1, b_1$ | `W1`, `b1` | $(D, H)$, $(1, H)$ |
# | before and after the activation | $z_1, a_1$ | `z1`, `a1` | $(N, H)$ |
# | second weights, biases | $W_2, b_2$ | `W2`, `b2` | $(H, C)$, $(1, C)$ |
# | scores (logits) | $s$ | `scores` | $(N, C)$ |
# | probabilities | $p$ | `probs` | $(N, C)$ |
#
# A gradient always has the shape of the thing it belongs to: `dW1` is $(D, H)$, because it holds one number for each
# number in `W1`.
#
# ## From scores to a loss
#
# Scores can be any numbers. To speak of *how wrong* they are, we first make them probabilities with the **softmax**:
#
# $$p_{nc} = \frac{e^{s_{nc}}}{\sum_k e^{s_{nk}}}$$
#
# Adding the same number to all scores of a row changes nothing, since it cancels. So we subtract the row's largest
# score first: then no exponential can overflow.
#
# The **cross-entropy** asks one thing of the probabilities: how much did you give to the true class? It is the mean of
# $-\log p_{n, y_n}$ over the batch: zero for full confidence in the right class, and large for confidence in the wrong
# one. A network that knows nothing gives each of $C$ classes $1/C$, so its loss is $\log C$. Keep that in mind as the
# number to expect before training: $\log 2 \approx 0.69$ for two classes.
#
# ## The backward pass
#
# Which way should each weight move? We need the derivative of the loss $L$ with respect to every parameter, and get
# them by walking the forward pass backwards.
#
# **Scores.** Take one example with true class $y$. Its loss is $-\log p_y = -s_y + \log \sum_k e^{s_k}$. Differentiate
# with respect to the score $s_c$: the first term gives $-1$ if $c = y$ and $0$ otherwise, the second gives
# $e^{s_c} / \sum_k e^{s_k} = p_c$. With the mean over $N$ examples, and $Y$ the one-hot labels,
#
# $$\frac{\partial L}{\partial s} = \frac{p - Y}{N}$$
#
# This is *what the network said minus what it should have said*. Everything else follows by the chain rule.
#
# **Second layer.** $s = a_1 W_2 + b_2$, so every hidden value $a_1$ multiplies a weight, and the bias is added in every
# row:
#
# $$dW_2 = a_1^\top\, ds \qquad db_2 = \sum_n ds_n \qquad da_1 = ds\, W_2^\top$$
#
# **Activation.** ReLU lets a positive value through unchanged and stops the rest, so its derivative is $1$ or $0$:
#
# $$dz_1 = da_1 \odot [z_1 > 0]$$
#
# **First layer.** The same two formulas as for the second, one layer down:
#
# $$dW_1 = X^\top dz_1 \qquad db_1 = \sum_n dz_{1,n}$$
#
# *Before you read the code:* say for each of the four gradients which two shapes are multiplied, and check that the
# result has the shape of the parameter.


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
# The forward pass returns a *cache*: the arrays that the backward pass needs again. That is the bargain of
# backpropagation. It keeps what it computed, and pays for it with memory.
#
# Is the initial loss what we predicted? With small random weights all scores are near zero, so both classes get about
# one half.

# %%
fresh = TwoLayerMLP(input_dim=2, hidden_dim=5, output_dim=2, weight_scale=1e-2)
initial_loss, _, _ = fresh.loss(X_toy, y_toy)
Markdown(
    f"Loss before training: **{initial_loss:.4f}**; "
    f"expected log 2 = {np.log(2):.4f}."
)

# %% tags=["remove-cell"]
assert abs(initial_loss - np.log(2)) < 0.01, (
    f"loss at initialisation is {initial_loss:.4f}"
)

# %% [markdown]
# ## The gradient check
#
# How do you know that a gradient is right? The code runs, the shapes fit, the loss may even fall, and it can still be
# wrong. So measure the slope without any calculus: move one weight up by a little $\varepsilon$, then down, and see how
# far the loss moved.
#
# $$\frac{\partial L}{\partial w} \approx \frac{L(w + \varepsilon) - L(w - \varepsilon)}{2\varepsilon}$$
#
# This *centred difference* is slow, one weight at a time, but it shares no line with `backward`. If both agree, both
# are right.
#
# What does "agree" mean? A difference of $10^{-4}$ is nothing beside a gradient of $1$ and everything beside one of
# $10^{-4}$. So we look at the **relative error** $|a - b| / (|a| + |b|)$. The scale of Stanford's CS231n: above
# $10^{-2}$ the gradient is probably wrong; below $10^{-7}$ you may be happy.


# %%
def relative_error(a, b):
    return abs(a - b) / max(1e-8, abs(a) + abs(b))


def grad_check(model, X, y, eps=1e-5):
    """Compare entries of each gradient with centred differences."""
    _, probs, cache = model.loss(X, y)
    gradients = dict(
        zip(
            ["W1", "b1", "W2", "b2"],
            model.backward(probs, cache, y),
            strict=True,
        )
    )
    rng = np.random.default_rng(0)
    errors = []
    for name, gradient in gradients.items():
        parameter = getattr(model, name)
        for flat in rng.choice(
            parameter.size, size=min(10, parameter.size), replace=False
        ):
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


# %% [markdown]
# Five examples are enough: a wrong formula is wrong for five as for five thousand.
#
# *Predict:* where on the scale will the largest of the errors lie?

# %%
X_small, y_small = X_toy[:5], y_toy[:5]
max_error, mean_error = grad_check(fresh, X_small, y_small)
results.record(
    "gradient_check_max_error", float(max_error), dataset="toy", day=29
)
Markdown(f"Largest relative error **{max_error:.1e}**, mean {mean_error:.1e}.")

# %% tags=["remove-cell"]
assert max_error < 1e-6, f"the gradient check found {max_error:.1e}"

# %% [markdown]
# That is what right looks like. Does the check also see what is wrong? A check that cannot fail is worth nothing, so
# break the gradient on purpose. Here the ReLU mask is forgotten: `dz1 = da1`.


# %%
class ForgetsTheMask(TwoLayerMLP):
    def backward(self, probs, cache, y):
        X, _, a1, scores = cache
        pretends_all_positive = (X, np.ones_like(a1), a1, scores)
        return super().backward(probs, pretends_all_positive, y)


wrong_error, _ = grad_check(
    ForgetsTheMask(2, 5, 2, weight_scale=1e-2), X_small, y_small
)
Markdown(f"Largest relative error without the mask: **{wrong_error:.2f}**.")

# %% tags=["remove-cell"]
assert wrong_error > 0.1, f"a missing mask must be seen, got {wrong_error:.1e}"

# %% [markdown]
# ## Training
#
# With gradients that hold, learning is one line per parameter: step against the gradient, scaled by the *learning
# rate*.
#
# $$W \leftarrow W - \eta\, \frac{\partial L}{\partial W}$$


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
    input_dim=2, hidden_dim=8, output_dim=2, weight_scale=1e-1
)
losses = train_numpy(model_np, X_toy, y_toy, lr=0.5, epochs=200)

# %% mystnb={"image": {"alt": "Training loss over 200 epochs: it starts near log 2, falls steeply within the first thirty epochs and then levels off just above zero."}}
plot_series(
    losses,
    "Two-layer network in NumPy: training loss on the toy data",
    "Epoch",
    "Loss",
)

# %% [markdown]
# *How to read it:* the height is the mean loss over all points, before each step. It starts at $\log 2$, as it must,
# falls fast while the network finds the direction between the clouds, and then slowly, while it grows more confident.
#
# What has it learnt? Ask it for a label at every place in the plane:


# %% mystnb={"image": {"alt": "The plane coloured by predicted class: the border between the two regions runs from the upper left to the lower right, between the two clouds."}}
def predict(points):
    scores, _ = model_np.forward(points)
    return scores.argmax(axis=1)


plot_points(
    X_toy, y_toy, "What the trained network says, everywhere", predict=predict
)

# %%
train_accuracy = (predict(X_toy) == y_toy).mean()
Markdown(
    f"After {len(losses)} epochs the loss is **{losses[-1]:.4f}**, and the "
    f"network labels "
    f"**{train_accuracy:.1%}** of the {len(y_toy)} training points correctly."
)

# %% tags=["remove-cell"]
assert abs(losses[0] - np.log(2)) < 0.05, f"the first loss is {losses[0]:.4f}"
assert losses[-1] < 0.1, f"the last loss is {losses[-1]:.4f}"
assert train_accuracy >= 0.97, f"the training accuracy is {train_accuracy:.3f}"

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
# | check | centred differences, relative error below $10^{-7}$ | `grad_check` |
# | step | $W \leftarrow W - \eta\, dW$ | `train_numpy` |
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
