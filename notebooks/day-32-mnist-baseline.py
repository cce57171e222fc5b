# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Day 32 – A baseline on MNIST
#
# A number alone means little. Is 95 % good? Against what, on which images, and would it be 95 % again tomorrow? Today
# you train the network of yesterday for five epochs and learn to say what its accuracy is worth.
#
# **You will be able to**
#
# - say what training, validation and test sets are each for;
# - name the baseline that costs nothing, and measure against it;
# - check a network before you train it: loss at the start, and a batch learnt by heart;
# - read training and validation curves side by side;
# - state a test accuracy with its interval, look at the mistakes behind it, and save the model safely.
#
# **Time** about 60 minutes: data 10, checks 10, training 15, test 10, mistakes 10, saving 5.
#
# **You need** Day 31.

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
# - Autograd computes the gradients that you derived on Day 29.
# - Training is five lines: forget, forward, score, backward, step.
# - `eval()` switches layers, `no_grad()` stops the recording; neither does the other's work.

# %%
from pathlib import Path

import numpy as np
import torch
from IPython.display import Markdown
from torch import nn

from nnweek import results
from nnweek.experiments import accuracy_interval
from nnweek.mnist import load_mnist, make_loaders
from nnweek.models import MNISTMLP
from nnweek.plots import plot_curves, plot_images
from nnweek.runtime import get_device
from nnweek.training import evaluate, train_one_epoch

SEED = 42
device = get_device()
data = load_mnist()

# %% [markdown]
# ## Three sets, three purposes
#
# Why not measure on the images that we train on? Because a network can learn them by heart. So there are three sets:
#
# - **training**: the network learns from these;
# - **validation**: *you* learn from these, such as which learning rate to take or when to stop;
# - **test**: nobody learns from these. They are used once, at the end, to say how good the final choice is.
#
# Whoever picks the best of twenty models on the test set reports the luckiest of twenty, not the best. Here a tenth of
# the training images is kept for validation, chosen at random from a fixed seed.

# %%
train_loader, val_loader, test_loader = make_loaders(
    data, batch_size=128, seed=SEED, device=device
)
rows = "\n".join(
    f"| {name} | {len(loader.dataset):,} | {len(loader)} |"
    for name, loader in [
        ("training", train_loader),
        ("validation", val_loader),
        ("test", test_loader),
    ]
)
Markdown(
    f"**{data.name}**\n\n"
    f"| set | images | batches of 128 |\n|---|---|---|\n{rows}"
)

# %% [markdown]
# ## The baseline that costs nothing
#
# What does a program reach that never looks at the image? It names the digit that is most frequent in the training
# set. Whatever we build has to beat that by far.

# %%
most_frequent = np.bincount(data.train_labels).argmax()
constant_acc = (data.test_labels == most_frequent).mean()
Markdown(
    f"Always saying **{most_frequent}** is right for "
    f"**{constant_acc:.2%}** of the test images."
)

# %% tags=["remove-cell"]
assert 0.05 < constant_acc < 0.15, (
    f"always saying {most_frequent} is right for {constant_acc:.2%}"
)

# %% [markdown]
# ## Two questions before training
#
# A training run costs minutes or days; these two checks cost a second. Is the loss at the start $\log 10$? And can the
# network learn one single batch by heart? If it cannot, something is broken, and no amount of data will mend it.

# %%
criterion = nn.CrossEntropyLoss()
loss_at_start, _ = evaluate(
    MNISTMLP(seed=SEED).to(device), val_loader, criterion
)

one_batch = [next(iter(val_loader))]
trial = MNISTMLP(seed=SEED).to(device)
trial_optimizer = torch.optim.SGD(trial.parameters(), lr=0.1)
for _ in range(100):
    trial_loss, trial_acc = train_one_epoch(
        trial, one_batch, trial_optimizer, criterion
    )

Markdown(
    f"Loss at the start: **{loss_at_start:.3f}** (log 10 = {np.log(10):.3f}). "
    f"After 100 steps on one batch: loss {trial_loss:.3f}, "
    f"accuracy **{trial_acc:.0%}**."
)

# %% tags=["remove-cell"]
assert abs(loss_at_start - np.log(10)) < 0.1, (
    f"loss at the start is {loss_at_start:.3f}"
)
assert trial_acc == 1.0, f"one batch is not learnt by heart: {trial_acc:.3f}"

# %% [markdown]
# ## Five epochs
#
# Now the run. After every epoch we look at the validation set, without learning from it.
#
# *Predict:* which is lower after the first epoch, the training loss or the validation loss?

# %%
EPOCHS = 5
model = MNISTMLP(seed=SEED).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

train_losses, val_losses, val_accs = [], [], []
for epoch in range(1, EPOCHS + 1):
    train_loss, train_acc = train_one_epoch(
        model, train_loader, optimizer, criterion
    )
    val_loss, val_acc = evaluate(model, val_loader, criterion)
    train_losses.append(train_loss)
    val_losses.append(val_loss)
    val_accs.append(val_acc)
    print(
        f"Epoch {epoch}/{EPOCHS} | Train loss {train_loss:.4f} | "
        f"Val loss {val_loss:.4f} | Val acc {val_acc:.4f}"
    )

# %% mystnb={"image": {"alt": "Training and validation loss over five epochs on shared axes; the training loss starts above the validation loss and falls steadily."}}
plot_curves(
    {"training": train_losses, "validation": val_losses},
    "MNIST MLP: loss",
    "Epoch",
    "Loss",
)

# %% [markdown]
# *How to read it:* both curves are mean cross-entropies, so their heights can be compared. One thing is unfair: the
# training loss of an epoch is an average *over* the epoch, taken while the network was still improving, and the
# validation loss is measured at its end. That is why the training curve can begin above the validation curve. Where
# training keeps falling and validation stops, the network has begun to learn its training images by heart.

# %% mystnb={"image": {"alt": "Validation accuracy over five epochs, rising steeply at first and then more slowly."}}
plot_curves(
    {"validation": val_accs},
    "MNIST MLP: validation accuracy",
    "Epoch",
    "Accuracy",
)

# %% [markdown]
# *How to read it:* the height is the share of validation images that are named correctly. Look at how much each further
# epoch still adds.
#
# ## The test set, once
#
# We chose nothing by looking at the test images, so they can now judge. How sure is the number? Had other people
# written the test digits, a few more or fewer would have been wrong. The 95 % *interval* says how far the accuracy
# could plausibly move for that reason alone. (We use Wilson's, which also behaves near 100 %.)

# %%
test_loss, test_acc = evaluate(model, test_loader, criterion)
low, high = accuracy_interval(test_acc, len(test_loader.dataset))
Markdown(
    f"Test loss {test_loss:.4f}, test accuracy **{test_acc:.2%}**, 95 % interval "
    f"{low:.2%} to {high:.2%} on {len(test_loader.dataset):,} images. "
    f"The constant baseline has {constant_acc:.2%}."
)

# %% tags=["remove-cell"]
results.record("baseline_test_accuracy", test_acc, dataset=data.name, day=32)
expected = (0.5, 1.0) if data.is_stand_in else (0.973, 0.982)
assert expected[0] <= test_acc <= expected[1], (
    f"test accuracy {test_acc:.4f} is not in {expected}"
)
assert low > constant_acc

# %% [markdown]
# The interval speaks of other *images*. It does not speak of another *seed*: train again from other weights, and the
# accuracy moves as well. Day 33 returns to that.
#
# ## The mistakes
#
# An accuracy hides what went wrong. Which wrong answers was the network most sure of?

# %% mystnb={"image": {"alt": "The twelve test images on which the network was most confident and wrong, each with its answer and the true label; many are ambiguous or cut off."}}
model.eval()
with torch.no_grad():
    images, labels = test_loader.dataset.tensors
    confidence, answers = model(images).softmax(dim=1).max(dim=1)
wrong = (answers != labels).nonzero().squeeze(1)
worst = wrong[confidence[wrong].argsort(descending=True)][:12].cpu()
plot_images(
    data.test_images[worst],
    [f"{answers[i]}, not {labels[i]}" for i in worst.tolist()],
    "The most confident mistakes on the test set",
)

# %%
Markdown(
    f"**{len(wrong)}** of {len(labels):,} test images are wrong. "
    f"On these twelve, the network gave its wrong answer a probability of "
    f"{confidence[worst[-1]]:.1%} or more."
)

# %% [markdown]
# Some of these would make you hesitate, too. Others are plain, and the network was sure all the same: a high softmax
# probability is not yet a reliable one.
#
# ## Save the model
#
# Save the *state dict*, the parameters by name, and not the model object. An object is stored as a pickle, which can
# run code when it is loaded. `weights_only=True` refuses anything but tensors and plain containers.

# %%
path = Path("mnist_mlp.pth")
torch.save(model.state_dict(), path)

restored = MNISTMLP().to(device)
restored.load_state_dict(
    torch.load(path, map_location=device, weights_only=True)
)
restored_loss, restored_acc = evaluate(restored, test_loader, criterion)
print(
    f"{path}: {path.stat().st_size:,} bytes, "
    f"test accuracy after loading {restored_acc:.4f}"
)

# %% tags=["remove-cell"]
assert restored_acc == test_acc, "the restored model is not the saved one"

# %% [markdown]
# ## Check yourself
#
# **1.** You try ten learning rates, pick the one with the best *test* accuracy, and report that accuracy. What is wrong?
#
# - a) Nothing, the test set was not trained on.
# - b) The reported number is too high on average, because you chose it for being high.
# - c) The learning rate should be chosen on the training loss.
#
# <details>
# <summary>Answer</summary>
#
# **b.** Each of the ten has some luck in it, and you took the luckiest. Choose on the validation set.
# a) You did not train the weights on it, but you *chose* with it, and that is learning, too.
# c) The training loss rewards learning by heart.
# </details>
#
# **2.** The training loss of epoch 1 is higher than the validation loss. Is something broken?
#
# - a) Yes, training must always be lower.
# - b) No: the training loss is averaged over the epoch, the validation loss is measured at its end.
# - c) Yes, the sets were swapped.
#
# <details>
# <summary>Answer</summary>
#
# **b.** Early batches, seen by a nearly untrained network, pull the training average up.
# a) holds only for a network that has stopped improving, if both are measured at the same moment.
# c) Swapped sets would show in their lengths.
# </details>
#
# **3.** Two models have test accuracies whose 95 % intervals overlap. What follows?
#
# - a) They are equally good.
# - b) Nothing is decided by this: compare them on the same images, and over several seeds.
# - c) The one with the higher accuracy is better.
#
# <details>
# <summary>Answer</summary>
#
# **b.** Overlap is neither proof of a difference nor of none. Both models saw the same images, so the images on which
# they *differ* say more than two separate intervals.
# a) "Not shown to differ" is not "shown to be equal".
# c) may be luck.
# </details>
#
# ## Summary
#
# | question | answer |
# |---|---|
# | which set for what | train to learn, validate to choose, test once to report |
# | what must be beaten | always naming the most frequent digit |
# | before training | loss at $\log 10$; one batch learnt by heart |
# | how sure | 95 % interval over images; another seed is another matter |
# | after training | look at the most confident mistakes |
# | saving | `state_dict`, loaded with `weights_only=True` |
#
# `nnweek.training.fit` is the loop of *Five epochs*, with a progress bar, checkpoints and logging.
#
# ## Read more
#
# - LeCun and others (1998), [Gradient-based learning applied to document recognition](http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf), section III, for what such networks reached.
# - Brown, Cai and DasGupta (2001), [Interval estimation for a binomial proportion](https://doi.org/10.1214/ss/1009213286), on why Wilson's interval.
# - PyTorch, [Saving and loading models](https://docs.pytorch.org/tutorials/beginner/saving_loading_models.html).
