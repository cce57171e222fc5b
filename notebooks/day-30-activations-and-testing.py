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
# activation, watch what it does to learning, and meet the habit that keeps all of this honest: small tests that a wrong
# network cannot pass.
#
# **You will be able to**
#
# - name ReLU, sigmoid and tanh with their derivatives, and say where each passes a gradient on;
# - compute a sigmoid that never overflows;
# - compare two activations fairly, in one figure;
# - write four tests that every network should pass before you trust its training;
# - recognise three common bugs by their symptom.
#
# **Time** about 60 minutes: activations 15, comparison 15, testing 15, debugging 15.
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
# - A centred difference shares no code with `backward`; if they agree to $10^{-7}$, trust both.

# %%
import numpy as np
from IPython.display import Markdown

from nnweek import results
from nnweek.gradcheck import grad_check
from nnweek.plots import plot_curves
from nnweek.scratch import TwoLayerMLP, train_numpy
from nnweek.toy import make_toy_data

SEED = 42
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
# The formula of the sigmoid has a trap: for $z = -1000$ it asks for $e^{1000}$, which is more than a float can hold.
# Since $1 + e^{-z} = e^{\log(1 + e^{-z})}$, and NumPy's `logaddexp` computes that logarithm without ever forming the
# large number, this version is safe everywhere:


# %%
def relu(z):
    return np.maximum(0, z)


def relu_grad(z):
    return (z > 0).astype(z.dtype)


def sigmoid(z):
    return np.exp(-np.logaddexp(0, -z))


def sigmoid_grad(z):
    return sigmoid(z) * sigmoid(-z)


def tanh(z):
    return np.tanh(z)


def tanh_grad(z):
    return 1 - np.tanh(z) ** 2


extreme = np.array([-1000.0, 0.0, 1000.0])
with np.errstate(over="raise"):  # an overflow would stop us here
    print(sigmoid(extreme))

# %% [markdown]
# *Predict before you look:* which of the three derivatives is largest at $z = 0$, and which at $z = 4$?

# %% mystnb={"image": {"alt": "Derivatives of the three activations from minus five to five: ReLU's jumps from zero to one at zero, tanh's is a narrow bell that reaches one, sigmoid's is a wide bell that reaches a quarter."}}
z = np.linspace(-5, 5, 401)
plot_curves(
    {
        "ReLU": (z, relu_grad(z)),
        "sigmoid": (z, sigmoid_grad(z)),
        "tanh": (z, tanh_grad(z)),
    },
    "What each activation lets through",
    "Pre-activation $z$",
    "Derivative",
)

# %% [markdown]
# *How to read it:* the height is the factor by which a gradient is multiplied on its way down through the activation.
# Sigmoid's factor is never above one quarter, and far from zero the factors of sigmoid and tanh vanish: the unit is
# *saturated*. ReLU's factor is one or zero: a unit either learns fully from an example or not at all.
#
# ## A comparison
#
# The same network, the same data, the same learning rate, the same initial weights; only the bend differs. Which loss
# falls faster?

# %%
curves = {}
for activation in ["relu", "sigmoid"]:
    model = TwoLayerMLP(
        2, 16, 2, activation=activation, weight_scale=0.1, seed=SEED
    )
    print(activation)
    curves[activation] = train_numpy(model, X_toy, y_toy, lr=0.3, epochs=150)

# %% mystnb={"image": {"alt": "Training loss of both networks on shared axes: the ReLU network's loss falls within the first twenty epochs, the sigmoid network's stays higher throughout."}}
plot_curves(
    {"ReLU": curves["relu"], "sigmoid": curves["sigmoid"]},
    "Same network, two activations: training loss on the toy data",
    "Epoch",
    "Loss",
)

# %%
results.record(
    "activation_final_loss",
    {activation: losses[-1] for activation, losses in curves.items()},
    dataset="toy",
    day=30,
)


def epochs_to_reach(level, losses):
    return next(
        epoch for epoch, loss in enumerate(losses, start=1) if loss < level
    )


reached = {
    name: epochs_to_reach(0.3, losses) for name, losses in curves.items()
}
Markdown(
    f"The loss falls below 0.3 after **{reached['relu']}** epochs with ReLU and "
    f"after **{reached['sigmoid']}** with sigmoid; it ends at "
    f"{curves['relu'][-1]:.4f} and {curves['sigmoid'][-1]:.4f}."
)

# %% tags=["remove-cell"]
assert epochs_to_reach(0.3, curves["relu"]) < epochs_to_reach(
    0.3, curves["sigmoid"]
)
assert curves["relu"][-1] < curves["sigmoid"][-1] < 0.3

# %% [markdown]
# On this task, at this learning rate, ReLU is faster, as the factors above suggest. It is *one* comparison, and it holds
# for one learning rate and one seed. A larger rate helps the sigmoid; how much of a verdict may rest on a single run is
# a question that comes back on Day 33.
#
# ## Testing a network
#
# A network with a bug often learns anyway, only worse. So do not wait for the loss curve to look odd; ask questions
# whose answers you know.
#
# 1. **Loss at the start.** With small weights, it must be $\log C$.
# 2. **Gradient.** `backward` must agree with finite differences, for every activation.
# 3. **Order does not matter.** Shuffling the batch must not change the loss or the gradients.
# 4. **Overfit a little.** A healthy network can learn four examples by heart, even with random labels.
#
# Each is a function that stays silent when all is well, and says which promise broke when it is not.


# %%
def test_loss_at_start(Model):
    model = Model(3, 20, 5, weight_scale=1e-3)
    X = np.random.default_rng(0).standard_normal((30, 3))
    loss, _, _ = model.loss(X, np.arange(30) % 5)
    assert abs(loss - np.log(5)) < 0.01, (
        f"initial loss {loss:.3f}, expected log 5 = {np.log(5):.3f}"
    )


def test_gradient(Model):
    X = np.random.default_rng(1).standard_normal((6, 3))
    for activation in ["relu", "sigmoid", "tanh"]:
        model = Model(3, 7, 4, activation=activation, weight_scale=0.5)
        max_error, _ = grad_check(model, X, np.arange(6) % 4)
        assert max_error < 1e-6, (
            f"{activation}: gradient is off by a relative {max_error:.1e}"
        )


def test_order_does_not_matter(Model):
    rng = np.random.default_rng(2)
    X, y = rng.standard_normal((8, 3)), np.arange(8) % 4
    model, order = Model(3, 7, 4, weight_scale=0.5), rng.permutation(8)
    for a, b in zip(
        gradients(model, X, y),
        gradients(model, X[order], y[order]),
        strict=True,
    ):
        assert np.allclose(a, b), "shuffling the batch changes a gradient"


def test_overfits_four_examples(Model):
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((4, 3)), rng.integers(0, 3, size=4)
    losses = train_numpy(
        Model(3, 32, 3, weight_scale=0.5),
        X,
        y,
        lr=0.5,
        epochs=500,
        verbose=False,
    )
    assert losses[-1] < 0.02, (
        f"four examples are not learnt by heart: loss {losses[-1]:.3f}"
    )


def gradients(model, X, y):
    _, probs, cache = model.loss(X, y)
    return model.backward(probs, cache, y)


TESTS = [
    test_loss_at_start,
    test_gradient,
    test_order_does_not_matter,
    test_overfits_four_examples,
]
for test in TESTS:
    test(TwoLayerMLP)
print("all tests passed")

# %% [markdown]
# Why these tolerances? $10^{-6}$ for the gradient leaves room for rounding in the finite differences and none for a
# wrong formula. $0.01$ for the first loss allows for the small weights not being zero. A tolerance should have a
# reason; if the only reason is that the test passes with it, it guards nothing.
#
# ## Do the tests catch bugs?
#
# The best test of a test is a bug. Here are three that people really write. *Predict* for each which of the four tests
# will catch it.


# %%
class NoBatchAverage(TwoLayerMLP):
    """Forgets to divide by N: every gradient is N times too large."""

    def backward(self, probs, cache, y):
        return tuple(
            len(y) * gradient for gradient in super().backward(probs, cache, y)
        )


class AveragesTheBiases(TwoLayerMLP):
    """Takes the mean where the sum belongs: bias gradients N times too small."""

    def backward(self, probs, cache, y):
        dW1, db1, dW2, db2 = super().backward(probs, cache, y)
        return dW1, db1 / len(y), dW2, db2 / len(y)


class StartsTooLarge(TwoLayerMLP):
    """Multiplies the initial weights by a thousand."""

    def __init__(self, *args, weight_scale=0.01, **kwargs):
        super().__init__(*args, weight_scale=1000 * weight_scale, **kwargs)


def caught_by(Model):
    caught = []
    for test in TESTS:
        try:
            test(Model)
        except AssertionError:
            caught.append(test.__name__)
    return caught


verdicts = {
    Model.__name__: caught_by(Model)
    for Model in (NoBatchAverage, AveragesTheBiases, StartsTooLarge)
}
lines = [
    "| test | " + " | ".join(f"`{name}`" for name in verdicts) + " |",
    "|---|---|---|---|",
]
for test in TESTS:
    marks = ["caught" if test.__name__ in v else "–" for v in verdicts.values()]
    lines.append(f"| `{test.__name__}` | " + " | ".join(marks) + " |")
Markdown("\n".join(lines))

# %% tags=["remove-cell"]
assert "test_gradient" in verdicts["NoBatchAverage"]
assert "test_gradient" in verdicts["AveragesTheBiases"]
assert "test_overfits_four_examples" not in verdicts["AveragesTheBiases"]
assert "test_loss_at_start" in verdicts["StartsTooLarge"]

# %% [markdown]
# Read the table by rows and by columns. By columns, every bug is caught by at least one test. By rows, no test catches
# everything. Notice `AveragesTheBiases`: it still learns four examples by heart, so a falling loss says nothing against
# it. Only the gradient check does.
#
# ## Check yourself
#
# **1.** A deep network with sigmoid units learns slowly in its first layers. What is the likeliest reason?
#
# - a) The sigmoid overflows.
# - b) Each layer multiplies the gradient by at most one quarter.
# - c) The output layer needs a sigmoid, too.
#
# <details>
# <summary>Answer</summary>
#
# **b.** After five layers, little more than a thousandth of the gradient is left, even if no unit is saturated.
# a) An overflow would show as a warning or as NaN, not as slowness.
# c) The output layer's softmax has nothing to do with the layers below it.
# </details>
#
# **2.** A ReLU unit is negative for every example of the training set. What happens to its incoming weights?
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
# ## Summary
#
# | question | answer |
# |---|---|
# | why bend at all | without it, layers collapse into one linear map |
# | ReLU, sigmoid, tanh | pass on all or nothing; at most a quarter; at most all |
# | saturated, dead | derivative near zero; derivative zero for every example |
# | safe sigmoid | `np.exp(-np.logaddexp(0, -z))` |
# | four tests | loss at the start, gradient, order, overfit a little |
# | a test that cannot fail | is not a test: plant a bug and see |
#
# ## Read more
#
# - University of Amsterdam, [activation functions](https://uvadlc-notebooks.readthedocs.io/en/latest/tutorial_notebooks/tutorial3/Activation_Functions.html),
#   with gradients and dead units on a deeper network.
# - Glorot and Bengio (2010), [Understanding the difficulty of training deep feedforward neural networks](https://proceedings.mlr.press/v9/glorot10a.html).
# - Andrej Karpathy, [A recipe for training neural networks](https://karpathy.github.io/2019/04/25/recipe/).
