# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Day 34 – TensorBoard
#
# A training run prints a few numbers and is gone. Was the loss still falling? When did validation turn? TensorBoard
# keeps what a run measured in files, and shows it while the run goes on and long after. Today you log a run, look at
# it, and read it back with your own code.
#
# **You will be able to**
#
# - log scalars and the model's graph with `SummaryWriter`;
# - choose an x-axis on which training and validation can be compared;
# - start TensorBoard on your machine, in Jupyter and in Colab;
# - read event files back and draw them yourself.
#
# **Time** about 40 minutes: logging 15, looking 10, reading back 15.
#
# **You need** Day 32.

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
# - SGD's learning rate is a factor, Adam's about a length.
# - A fair comparison shares weights, split and batches.
# - Two single runs show how fast each gets going, not which is better.

# %%
import torch
from IPython.display import Markdown
from torch import nn

from nnweek import results
from nnweek.mnist import load_mnist, make_loaders
from nnweek.models import MNISTMLP
from nnweek.plots import plot_curves
from nnweek.runtime import get_device
from nnweek.tracking import add_graph, open_run, read_scalars
from nnweek.training import evaluate

SEED = 42
device = get_device()
data = load_mnist()
train_loader, val_loader, _ = make_loaders(
    data, batch_size=128, seed=SEED, device=device
)

# %% [markdown]
# ## What goes on the x-axis?
#
# The training loss is known after every step, the validation loss after every epoch. If one is logged against steps
# and the other against epochs, TensorBoard draws them over the same axis all the same: one curve runs over thousands,
# the other ends at 3, and nothing can be compared.
#
# So there is one axis: *how many steps had been taken*. The validation loss at the end of an epoch belongs to the step
# that ended it.
#
# `open_run` makes the writer. It also clears an earlier run out of the folder, since two runs in one folder would be
# drawn as one zigzag line.

# %%
LOG_DIR = "runs/mnist_mlp"
EPOCHS = 3

model = MNISTMLP(seed=SEED).to(device)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

writer = open_run(LOG_DIR)
global_step = 0
for epoch in range(1, EPOCHS + 1):
    model.train()
    for images, labels in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
        global_step += 1
        writer.add_scalar("Loss/train", loss.item(), global_step)

    val_loss, val_acc = evaluate(model, val_loader, criterion)
    writer.add_scalar(
        "Loss/val", val_loss, global_step
    )  # the same axis: steps taken
    writer.add_scalar("Accuracy/val", val_acc, global_step)
    print(
        f"epoch {epoch}, step {global_step}: "
        f"val loss {val_loss:.4f}, val acc {val_acc:.4f}"
    )

# %% [markdown]
# The graph of the model is logged by running one example through it. TensorBoard's *Graphs* tab then shows the layers
# and the shapes between them. Close the writer when you are done: it keeps the last few numbers in memory until then.

# %%
add_graph(writer, model, images[:1])
writer.close()
print(f"TensorBoard logs written to: {LOG_DIR}")

# %% [markdown]
# ## Look at it
#
# In a terminal, in the folder of this notebook:
#
# ```bash
# tensorboard --logdir runs --port 6006
# ```
#
# and open `http://localhost:6006`. In Jupyter and in Colab, put these two lines into a cell instead:
#
# ```
# %load_ext tensorboard
# %tensorboard --logdir runs
# ```
#
# Look at three things. *Scalars*: does `Loss/train` still fall at the right edge? Move the *smoothing* slider and watch
# the noise of single batches disappear, and the detail with it. *Graphs*: can you find the two hidden layers?
#
# ## Read it back
#
# Event files are data. Reading them yourself lets you draw the figure that you want, and compare runs of last month.

# %%
curves = read_scalars(LOG_DIR)
for tag, (steps, _) in curves.items():
    print(f"{tag:14} {len(steps):5} points, steps {steps[0]} to {steps[-1]}")

# %% tags=["remove-cell"]
assert len(curves["Loss/train"][0]) == EPOCHS * len(train_loader) == global_step
assert curves["Loss/val"][0] == [
    (epoch + 1) * len(train_loader) for epoch in range(EPOCHS)
]  # one axis
assert curves["Loss/train"][0][-1] == curves["Loss/val"][0][-1]

# %% [markdown]
# A single batch's loss is noisy. To compare it with the validation loss, we average it over stretches of a tenth of an
# epoch.

# %% mystnb={"image": {"alt": "Training and validation loss over the number of steps on one shared axis: the training curve has many points and falls fast, the validation curve has one point at the end of each epoch."}}
steps, losses = curves["Loss/train"]
stretch = max(1, len(train_loader) // 10)
averaged = [
    (steps[end - 1], sum(losses[end - stretch : end]) / stretch)
    for end in range(stretch, len(losses) + 1, stretch)
]
plot_curves(
    {
        "training (average of a tenth of an epoch)": tuple(
            zip(*averaged, strict=True)
        ),
        "validation": curves["Loss/val"],
    },
    "Read back from the event files",
    "Steps taken",
    "Loss",
)

# %% [markdown]
# *How to read it:* the same step is at the same place for both curves, so the gap between them at any step is real.
# Where the training curve keeps falling and the validation curve stays, the network learns things about its training
# images that do not help with others.

# %%
_, val_losses = curves["Loss/val"]
_, val_accs = curves["Accuracy/val"]
best = min(range(EPOCHS), key=val_losses.__getitem__)
Markdown(
    f"From the log: {global_step:,} steps, validation accuracy "
    f"**{val_accs[-1]:.2%}** at the end; the validation loss was lowest after "
    f"epoch {best + 1} ({val_losses[best]:.4f})."
)

# %% tags=["remove-cell"]
results.record(
    "tensorboard_run",
    {"steps": global_step, "val_acc": val_accs[-1]},
    dataset=data.name,
    day=34,
)
assert val_accs[-1] > (0.5 if data.is_stand_in else 0.96), (
    f"validation accuracy {val_accs[-1]:.4f}"
)
assert abs(val_accs[-1] - val_acc) < 1e-6, (
    "the log does not hold what was measured"
)

# %% [markdown]
# ## Check yourself
#
# **1.** The validation loss is logged with `epoch`, the training loss with `global_step`. What does TensorBoard show?
#
# - a) It converts epochs to steps.
# - b) A validation curve squeezed into the first few steps.
# - c) An error.
#
# <details>
# <summary>Answer</summary>
#
# **b.** The third argument is just a number, and 3 is drawn at 3.
# a) It cannot know how many steps an epoch has.
# c) Any whole number is accepted.
# </details>
#
# **2.** You run the logging cell twice into the same folder with a plain `SummaryWriter`. What do you see?
#
# - a) The second run replaces the first.
# - b) Two curves with two colours.
# - c) One line that jumps back to the start.
#
# <details>
# <summary>Answer</summary>
#
# **c.** TensorBoard takes a folder for one run and joins its files.
# a) Files are added, never replaced. That is why `open_run` clears the folder.
# b) needs two folders, one per run.
# </details>
#
# **3.** The smoothed training loss falls evenly. Can a single step still have gone wrong?
#
# - a) Yes: smoothing hides single points.
# - b) No, it would show.
#
# <details>
# <summary>Answer</summary>
#
# **a.** Look at the unsmoothed values before you call a run healthy.
# b) A spike of one step is divided among all that are averaged with it.
# </details>
#
# ## Summary
#
# | to do | with |
# |---|---|
# | start a run | `open_run(folder)`, one folder per run |
# | log a number | `writer.add_scalar(tag, value, step)` |
# | log the graph | `add_graph(writer, model, example)` |
# | compare curves | one x-axis: steps taken |
# | look | `tensorboard --logdir runs` |
# | read back | `read_scalars(folder)` |
#
# ## Read more
#
# - PyTorch, [Visualizing models, data, and training with TensorBoard](https://docs.pytorch.org/tutorials/intermediate/tensorboard_tutorial.html).
# - PyTorch, [`torch.utils.tensorboard`](https://docs.pytorch.org/docs/stable/tensorboard.html).
# - TensorBoard, [Get started](https://www.tensorflow.org/tensorboard/get_started).
