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
# are the same for every network: it differentiates, it keeps the parameters, it moves them. You will see that it
# computes your numbers, and then give it a task that is worth the trouble: real handwritten digits.
#
# **You will be able to**
#
# - let `autograd` compute the gradients of Day 29 and confirm that they are equal;
# - define a network as an `nn.Module` and count its parameters;
# - load MNIST, normalise it, and draw it in batches;
# - write a training loop and an evaluation loop, and say what each line is for;
# - train a first network on MNIST for one epoch.
#
# **Time** about 60 minutes: autograd 15, data 10, model 10, loops 15, a first epoch 10.
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
# - An activation bends the line and decides how much gradient passes down through it.
# - A network with a bug often learns anyway, so ask it questions whose answers you know.
# - The loss before training should be $\log C$: $\log 10 \approx 2.30$ for ten digits.

# %%
import numpy as np
import torch
from IPython.display import Markdown
from torch import nn

from nnweek.mnist import load_mnist, make_loaders
from nnweek.plots import plot_images
from nnweek.runtime import get_device, set_seed
from nnweek.scratch import TwoLayerMLP

set_seed(42)
device = get_device()

# %% [markdown]
# ## Autograd does Day 29's homework
#
# A *tensor* is an array that can remember how it was computed. Mark the parameters with `requires_grad`, compute the
# loss, call `backward()`, and each parameter carries its gradient in `.grad`. Is it the gradient that you derived?
# Take the NumPy network's own weights and compare.

# %%
rng = np.random.default_rng(0)
X, y = rng.standard_normal((8, 3)), rng.integers(0, 4, size=8)
by_hand = TwoLayerMLP(3, 5, 4, weight_scale=0.5)
_, probs, cache = by_hand.loss(X, y)
dW1, db1, dW2, db2 = by_hand.backward(probs, cache, y)

W1, b1, W2, b2 = (
    torch.tensor(values, requires_grad=True)
    for values in (by_hand.W1, by_hand.b1, by_hand.W2, by_hand.b2)
)
scores = torch.relu(torch.tensor(X) @ W1 + b1) @ W2 + b2
loss = nn.functional.cross_entropy(scores, torch.tensor(y))
loss.backward()

differences = {
    name: float(np.abs(parameter.grad.numpy() - expected).max())
    for name, parameter, expected in [
        ("W1", W1, dW1),
        ("b1", b1, db1),
        ("W2", W2, dW2),
        ("b2", b2, db2),
    ]
}
Markdown(
    "Largest difference between your gradient and autograd's: "
    + ", ".join(
        f"{name} {difference:.0e}" for name, difference in differences.items()
    )
    + "."
)

# %% tags=["remove-cell"]
assert max(differences.values()) < 1e-10, differences

# %% [markdown]
# The two agree to the last digits of a 64-bit float. So autograd is no magic: it records the forward pass and applies
# the chain rule to it, as you did. Note that `cross_entropy` took the *scores*. It contains the softmax; a softmax of
# your own in front of it would be applied twice.
#
# ## The data: handwritten digits
#
# MNIST holds 28×28 grey images of handwritten digits, 60,000 to train on and 10,000 to test with. Look at data before
# you feed it to anything.

# %%
data = load_mnist()
print(data.name)
print("train", data.train_images.shape, data.train_images.dtype)
print("test ", data.test_images.shape, data.test_images.dtype)

# %% mystnb={"image": {"alt": "The first twelve training images, handwritten digits in dark ink on white, each with its label above it."}}
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
    data, batch_size=128, seed=42, device=device
)
images, labels = next(iter(train_loader))
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
# ## The model
#
# An `nn.Module` keeps parameters and knows its forward pass. Ours flattens the image to 784 numbers and sends it
# through two hidden layers of 256 units. The output is ten scores: no softmax and no ReLU at the end, because the loss
# wants raw scores.


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
# *Predict:* how many parameters does it have? Each linear layer has one weight per pair of input and output, and one
# bias per output.

# %%
model = MNISTMLP().to(device)
by_layer = [
    f"{layer.in_features} · {layer.out_features} + {layer.out_features}"
    for layer in model.net
    if isinstance(layer, nn.Linear)
]
total = sum(parameter.numel() for parameter in model.parameters())
Markdown(f"{' + '.join(by_layer)} = **{total:,}** parameters.")

# %% tags=["remove-cell"]
assert total == 269_322, total

# %% [markdown]
# ## The two loops
#
# Training repeats five lines: forget the old gradients, run forward, score, run backward, step. Forgetting comes first
# because PyTorch *adds* to `.grad`; without `zero_grad` every step would follow all gradients so far.
#
# Two things differ between training and evaluation, and they are often confused. `model.train()` and `model.eval()`
# switch layers that behave differently in the two, such as dropout. `torch.no_grad()` tells autograd not to record,
# which saves time and memory. Neither does the other's work.


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
# ## A first epoch
#
# *Predict:* what are loss and accuracy on the validation images before any training?

# %%
criterion = nn.CrossEntropyLoss()
loss_before, acc_before = evaluate(model, val_loader, criterion)

optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
train_loss, train_acc = train_one_epoch(
    model, train_loader, optimizer, criterion
)
loss_after, acc_after = evaluate(model, val_loader, criterion)

Markdown(
    f"| | validation loss | validation accuracy |\n|---|---|---|\n"
    f"| before training | {loss_before:.3f} (log 10 = {np.log(10):.3f}) "
    f"| {acc_before:.1%} |\n"
    f"| after one epoch | {loss_after:.3f} | {acc_after:.1%} |"
)

# %% tags=["remove-cell"]
assert abs(loss_before - np.log(10)) < 0.1, (
    f"loss before training is {loss_before:.3f}"
)
assert acc_after > (0.25 if data.is_stand_in else 0.92), (
    f"accuracy after one epoch is {acc_after:.3f}"
)

# %% [markdown]
# Before training, the network guesses, and its loss sits at $\log 10$, as it must. One pass over the training images
# changes that. Here are twelve validation images with the network's answers:

# %% mystnb={"image": {"alt": "Twelve validation images, each with the label that the network gives it and, where that is wrong, the true one."}}
images, labels = next(iter(val_loader))
answers = model(images[:12]).argmax(dim=1)
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
# ## Check yourself
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
# a) PyTorch cannot know that you did not mean it.
# c) is what most people expect, and why this bug is so common.
# </details>
#
# **2.** You evaluate with `model.eval()` but without `torch.no_grad()`. What is wrong with the result?
#
# - a) Nothing; it only costs more time and memory.
# - b) The parameters change.
# - c) Dropout stays on.
#
# <details>
# <summary>Answer</summary>
#
# **a.** Without `no_grad`, autograd records a graph that nobody uses.
# b) Parameters change only in `optimizer.step()`.
# c) Dropout is switched by `eval()`, which was called.
# </details>
#
# **3.** You end the network with `nn.Softmax` and train with `nn.CrossEntropyLoss`. What do you see?
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
# ## Summary
#
# | by hand | in PyTorch |
# |---|---|
# | `backward` | `loss.backward()`, gradients in `.grad` |
# | `W1, b1, W2, b2` | `model.parameters()` |
# | softmax and cross-entropy | `nn.CrossEntropyLoss()` on raw scores |
# | `W -= lr * dW` | `optimizer.step()` |
# | start of a step | `optimizer.zero_grad()` |
# | all examples at once | batches from a loader |
#
# From tomorrow on, `MNISTMLP` comes from `nnweek.models`, and both loops from `nnweek.training`.
#
# ## Read more
#
# - PyTorch, [What is torch.nn really?](https://docs.pytorch.org/tutorials/beginner/nn_tutorial.html)
# - PyTorch, [Autograd mechanics](https://docs.pytorch.org/docs/stable/notes/autograd.html), on `no_grad` and `eval`.
# - LeCun, Bottou, Bengio and Haffner (1998), [Gradient-based learning applied to document recognition](http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf), where MNIST comes from.
