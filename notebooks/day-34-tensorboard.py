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
# A training run prints a few numbers and is gone. Was the loss still falling? When did validation turn? Did every layer
# learn? TensorBoard keeps what a run measured in files, and shows it during the run and long after. Today you log a
# run, put nine questions to it, read it back with your own code, and at the end find the bug in runs that somebody
# else has broken.
#
# **You will be able to**
#
# - log scalars so that training and validation can be compared in one chart;
# - start TensorBoard on your machine, in Jupyter and in Colab, and say which tab answers which question;
# - switch off the defaults that hide a bad step;
# - log the model's graph, histograms, images, curves and settings, and read back all but the graph;
# - say from the update-to-weight ratio whether the steps are too long or too short;
# - name the cause of a broken run from its curves.
#
# **Time** about 130 minutes: one axis 10, looking 10, reading back 10, three defaults 15, inside the network 25, what it
# answers 15, settings 5, a map of the images 5, where the time goes 10, diagnosis 25.
#
# **You need** Days 31 and 32.

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
# - A fair comparison gives each optimizer its own best rate, and shares weights, split and batches.
# - Single runs show how fast each gets going; which is better takes several seeds.

# %% tags=["hide-input"]
from itertools import islice, product

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import Markdown
from torch import nn

from nnweek import checks
from nnweek.loaders import make_loaders
from nnweek.mnist import load_mnist
from nnweek.models import MNISTMLP
from nnweek.notebook import progress_bar, text_says
from nnweek.plots import COLORS, STYLE, plot_curves, plot_panels
from nnweek.runtime import get_device
from nnweek.tracking import add_graph, open_run, read_scalars, show_screenshot
from nnweek.training import evaluate, fit

# %% [markdown]
# Change these numbers and run the rest again. The text describes the run with the numbers as they are here. Setting
# `SMALL` to `True` takes a tenth of the images, for a quick run that is not compared with the text.

# %% tags=["parameters"]
SEED = 42
EPOCHS = 3
LR = 1e-3
BATCH_SIZE = 128
SMALL = False

# %%
torch.set_num_threads(1)  # the networks are small: Day 32 shows why
device = get_device()
data = load_mnist()
if SMALL:
    data = data.small()
criterion = nn.CrossEntropyLoss()
train_loader, val_loader, _ = make_loaders(
    data, batch_size=BATCH_SIZE, seed=SEED, device=device
)
epochs = EPOCHS * (5 if data.is_stand_in else 1)  # the stand-in is small
short = max(1, epochs // 3)  # epochs of the shorter runs

# %% [markdown]
# ## One honest x-axis
#
# *The question:* is the network still learning, and does it work on images that it has not seen?
#
# A *scalar* is a number that is logged again and again: a loss, an accuracy, a learning rate. It is logged with a *tag*,
# which is its name, and with a second number that says where on the x-axis it belongs. All that is logged into one
# folder is a *run*.
#
# TensorBoard makes one chart per tag, and draws all runs that have this tag into it, each in its own colour. It never
# draws two tags into one chart. So what you want to compare in one picture needs one tag, and a folder each: `Loss` in
# the folder `train`, and `Loss` in the folder `val`.
#
# The training loss is known after every step, the validation loss after every epoch. What should the second number be?
# The cell below logs the validation loss twice: once with the number of steps taken, and once, in a third folder, with
# the number of the epoch.
#
# `open_run` makes the writer of a folder. If the folder contains an earlier run, `open_run` deletes its files without
# asking, because TensorBoard would draw two runs in one folder as a single zigzag line. To keep a run, give the next
# one another folder. Training takes about 5 seconds on two cores.
#
# *Predict before you run:* where in the chart `Loss` will the third curve be, the one logged with the epoch?
#
# - a) On the second curve, since it has the same values.
# - b) At the left edge.
# - c) Below the training curve, over the entire width.

# %%
LOG_DIR = "runs/mnist_mlp"

model = MNISTMLP(seed=SEED).to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=LR)
train_loader.epoch = 0  # the same batches, also if you run this cell again

train_log = open_run(f"{LOG_DIR}/train")
val_log = open_run(f"{LOG_DIR}/val")
wrong_log = open_run(f"{LOG_DIR}/val, wrong axis")
global_step = 0
for epoch in range(1, epochs + 1):
    model.train()
    for images, labels in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
        global_step += 1
        train_log.add_scalar("Loss", loss.item(), global_step)

    val_loss, val_acc = evaluate(model, val_loader, criterion)
    val_log.add_scalar("Loss", val_loss, global_step)  # steps taken
    val_log.add_scalar("Accuracy", val_acc, global_step)
    wrong_log.add_scalar("Loss", val_loss, epoch)
    print(
        f"epoch {epoch}, step {global_step}: "
        f"val loss {val_loss:.4f}, val acc {val_acc:.4f}"
    )

# %% [markdown]
# *The question:* is this the network that I meant to build? The graph answers it. One example runs through the model,
# and TensorBoard's *Graphs* tab then shows the layers and the shapes of what flows between them. Close the writer when
# you are done: it keeps the last few numbers in memory until then.

# %%
add_graph(train_log, model, images[:1])
for log in (train_log, val_log, wrong_log):
    log.close()
print(f"TensorBoard logs written to: {LOG_DIR}")

# %% [markdown]
# What a writer leaves in its folder are *event files*, and they can be read back. `read_scalars` also reads the runs
# inside a folder, and puts their folder in front of the tag. Here is what the axis does:

# %%
curves = read_scalars(LOG_DIR)
print(*curves, sep="\n")

# %% tags=["hide-input"] mystnb={"image": {"alt": "Three curves over the number of steps: the training loss of single batches, noisy, over the whole width; the validation loss on the same axis, a few points spread over the width; and the validation loss against epochs, squeezed into a short vertical stroke at the left edge."}}
plot_curves(
    {
        "training, against steps": curves["train/Loss"],
        "validation, against steps": curves["val/Loss"],
        "validation, against epochs": curves["val, wrong axis/Loss"],
    },
    "The same validation loss on two axes",
    "What the writer was given as step",
    "Loss",
)

# %% [markdown]
# *How to read it:* the two validation curves hold the same numbers. One of them lies under the training curve, where
# the two can be compared at any step; the other stands at the left edge, where the training has hardly begun, and would
# make you believe that validation was good from the start.
#
# So there is one axis: *how many steps had been taken*. The validation loss at the end of an epoch belongs to the step
# that ended it.

# %% tags=["hide-input"]
wrong_steps, wrong_values = curves["val, wrong axis/Loss"]
Markdown(
    f"The run took **{global_step:,}** steps. On the wrong axis the validation "
    f"curve ends at {wrong_steps[-1]}, after "
    f"**{wrong_steps[-1] / global_step:.1%}** of the width."
)

# %% tags=["remove-cell"]
with text_says("both losses share one axis, the number of steps"):
    assert global_step == epochs * len(train_loader)
    assert len(curves["train/Loss"][0]) == global_step
    assert curves["val/Loss"][0] == [
        (epoch + 1) * len(train_loader) for epoch in range(epochs)
    ]
    assert curves["train/Loss"][0][-1] == curves["val/Loss"][0][-1]
with text_says("the other curve has the same numbers, at the left edge"):
    assert wrong_steps == list(range(1, epochs + 1))
    assert wrong_values == curves["val/Loss"][1]
    assert wrong_steps[-1] / global_step < 0.2

# %% [markdown]
# ## Look at it
#
# In a terminal, in the folder of this notebook:
#
# ```bash
# tensorboard --logdir runs --samples_per_plugin scalars=100000
# ```
#
# and open the address that it prints, usually `http://localhost:6006`. The second option is explained below. TensorBoard
# serves only your own machine, and reads the files again every few seconds, even while a run is in progress.
#
# In Jupyter and in Colab it can appear in the page itself, with two lines:
#
# ```
# %load_ext tensorboard
# %tensorboard --logdir runs --samples_per_plugin scalars=100000
# ```
#
# The cell below does the same. It runs by itself in Colab; elsewhere set `WATCH` to `True`. TensorBoard ends when the
# kernel stops, and its frame stays grey. After a restart run only this cell: it needs no other one. A web page cannot
# start anything, so it is off here.
#
# <details>
# <summary>On another computer, on a hub, in VS Code, on Windows</summary>
#
# We tried the first line; the others follow the documentation and the source code of the tools, and were not tried here.
#
# - *Two people on one machine:* add `--port 0`; TensorBoard takes a free port and prints it.
# - *Over ssh:* connect with `ssh -L 6006:localhost:6006 you@host`, start TensorBoard there, and open
#   `http://localhost:6006` here.
# - *On a JupyterHub:* `jupyter-server-proxy` must be installed in the learners' environment. The cell below then works;
#   before `%tensorboard`, run
#   `os.environ["TENSORBOARD_PROXY_URL"] = os.environ["JUPYTERHUB_SERVICE_PREFIX"] + "proxy/%PORT%/"`.
# - *In VS Code:* if it is connected to another machine, it forwards the port by itself; if not, forward 6006 under
#   *Ports*.
# - *On Windows:* `.venv\Scripts\tensorboard --logdir runs`; the file is called `tensorboard.exe`, and the cell below
#   finds it.
# - *In Colab:* the two lines above, as they are.
# </details>

# %%
import sys

from nnweek.tracking import start_tensorboard

WATCH = "google.colab" in sys.modules

if WATCH:
    start_tensorboard("runs")

# %% [markdown]
# This is what you see first: the real TensorBoard with the run from above, as it opens. Its first tab is *Time Series*;
# *Scalars* is an older page with the same curves. If the window is too narrow for all tabs, an arrow beside them shows
# the rest.

# %% tags=["hide-input"] mystnb={"image": {"alt": "TensorBoard's Time Series page in a browser: on the left a list of three runs, in the middle a chart of the accuracy and below it a chart of the loss with a curve for each run, on the right the settings."}}
show_screenshot("scalars")

# %% [markdown]
# *How to read it:* each chart is one tag, each colour one run; the list on the left switches runs on and off. In the
# chart `Loss`, the validation curve lies on the training curve, and the run with the wrong axis is a stub at the left
# edge. The table below a chart has the values at the dashed line. Later today there will be more than thirty runs: then
# type `mnist_mlp` into *Filter runs*. And if there are more than two groups of charts, all but two are folded; a click on
# the name of a group opens it.

# %% tags=["hide-input"] mystnb={"image": {"alt": "TensorBoard's Graphs page in a browser: boxes for input, the network's layers and the output, joined by arrows."}}
show_screenshot("graphs")

# %% [markdown]
# *How to read it:* data flow upwards along the arrows; a double click on a box opens it.
#
# Three things to try: does the `Loss` of `train` still fall at the right edge? What does *Smoothing*, on the right, do to
# it? And where in the graph are the two hidden layers?
#
# ## Read it back
#
# *The question:* can I draw what I want, and compare with a run of last month?
#
# Event files are data. `read_scalars` gave a dictionary from each tag to its steps and values, and what TensorBoard
# draws can be drawn from it, on a page that needs no server.
#
# The first thing that most people touch in TensorBoard is the smoothing slider. What does it do? It keeps a running
# mean that forgets: each new value counts for a small share, and what came before for the rest. Since the mean starts
# at zero, it is too small at first, and is divided by the weight that it has gathered so far. You know both from
# yesterday: momentum, and Adam's correction of the bias.


# %%
def smooth(values, weight):
    """What TensorBoard's slider shows for one setting of it."""
    mean, smoothed = 0.0, []
    for t, value in enumerate(values, start=1):
        mean = weight * mean + (1 - weight) * value
        smoothed.append(mean / (1 - weight**t))
    return smoothed


# %% tags=["hide-input"] mystnb={"image": {"alt": "The training loss of single batches as a jagged curve, and over it two smoothed versions: the lightly smoothed one follows its course, the strongly smoothed one lies above it for a long time and shows no single jump."}}
steps, losses = curves["train/Loss"]
plot_curves(
    {
        "single batches": (steps, losses),
        "slider at 0.9": (steps, smooth(losses, 0.9)),
        "slider at 0.99": (steps, smooth(losses, 0.99)),
    },
    "What the smoothing slider hides",
    "Steps taken",
    "Training loss",
)

# %% [markdown]
# *How to read it:* smoothing trades noise for delay. The strongly smoothed curve is pleasant, and late: while the loss
# falls it lies too high, since it still remembers the start.

# %% tags=["hide-input"]
half = len(losses) // 2
worst = max(range(half, len(losses)), key=losses.__getitem__)
shown = smooth(losses, 0.99)[worst]
Markdown(
    f"In the second half of the run, the worst single batch had a loss of "
    f"**{losses[worst]:.3f}**. With the slider at 0.99 the curve shows "
    f"**{shown:.3f}** there."
)

# %% tags=["remove-cell"]
with text_says("the running mean of a constant is that constant"):
    assert np.allclose(smooth([2.0] * 5, 0.9), 2.0)
with text_says("strong smoothing hides the worst single batch"):
    assert losses[worst] > (1.0 if data.is_stand_in else 1.5) * shown
with text_says("the strongly smoothed curve is late while the loss falls"):
    early = global_step // 6
    assert smooth(losses, 0.99)[early] > np.mean(losses[early - 5 : early + 5])

# %% [markdown]
# So smoothing also hides a single batch that went wrong. Use the slider to see a trend, and set it to zero before you
# call a run healthy.
#
# For the comparison with validation, the mean over a fixed stretch is the more honest curve: it is late by half a
# stretch and no more.

# %%
stretch = max(1, len(train_loader) // 10)
ends = range(stretch, len(losses) + 1, stretch)
averaged = [sum(losses[end - stretch : end]) / stretch for end in ends]

# %% tags=["hide-input"] mystnb={"image": {"alt": "Training and validation loss over the number of steps on one shared axis: the averaged training curve falls fast and goes on falling, the validation curve has one point at the end of each epoch."}}
plot_curves(
    {
        "training (mean of a tenth of an epoch)": (
            [steps[end - 1] for end in ends],
            averaged,
        ),
        "validation": curves["val/Loss"],
    },
    "Read back from the event files",
    "Steps taken",
    "Loss",
)

# %% [markdown]
# *How to read it:* the same step is at the same place for both curves, so the gap between them at any step is real.
# Where the training curve keeps falling and the validation curve stays, the network learns things about its training
# images that do not help with others.

# %% tags=["hide-input"]
_, val_losses = curves["val/Loss"]
_, val_accs = curves["val/Accuracy"]
best = min(range(epochs), key=val_losses.__getitem__)
gap = val_losses[-1] - averaged[-1]
Markdown(
    f"From the log: {global_step:,} steps, validation accuracy "
    f"**{val_accs[-1]:.2%}** at the end; the validation loss was lowest after "
    f"epoch {best + 1} of {epochs} ({val_losses[best]:.4f}). At the end it is "
    f"{abs(gap):.4f} {'above' if gap > 0 else 'below'} the training loss of the "
    "last stretch."
)

# %% tags=["remove-cell"]
with text_says("the network has learnt to read digits"):
    assert val_accs[-1] > (0.7 if data.is_stand_in else 0.96)
with text_says("the log has what was measured"):
    assert abs(val_accs[-1] - val_acc) < 1e-6

# %% [markdown]
# ## Three defaults that hide a bad step
#
# *The question:* did any single step go wrong?
#
# You will not see it in TensorBoard as it opens:
#
# - *Smoothing* starts at 0.6. A leap of one step becomes lower, and seems to last.
# - *Ignore outliers in chart scaling* is on. The y-axis fits most of the values, and whatever is far above leaves the
#   chart.
# - *Sampling:* if a curve has more than 1,000 points, TensorBoard shows a random 1,000 of them. A bad step may not be
#   there at all. `--samples_per_plugin scalars=100000` keeps up to 100,000.
#
# The first two are in the settings on the right. For the third, let us ask TensorBoard's own reader what it keeps of
# the first run:

# %%
from nnweek.tracking import steps_shown

kept = set(steps_shown(f"{LOG_DIR}/train", "Loss"))
gone = [
    loss for step, loss in zip(steps, losses, strict=True) if step not in kept
]

# %% tags=["hide-input"]
late = [
    loss
    for step, loss in zip(steps[half:], losses[half:], strict=True)
    if step not in kept
]
Markdown(
    f"Logged: **{len(steps):,}** losses. Shown: **{len(kept):,}**. "
    + (
        f"Of the {len(gone)} that are gone, {len(late)} belong to the second half "
        f"of the run; the highest of these is {max(late):.3f}."
        if late
        else "This run is short enough to be shown completely."
    )
)

# %% tags=["remove-cell"]
with text_says("TensorBoard shows 1,000 points per curve"):
    assert len(kept) == min(1000, len(steps))
    assert len(gone) == len(steps) - len(kept)

# %% [markdown]
# So before you call a run healthy: smoothing 0, *Ignore outliers* off, all points. `read_scalars` does not sample,
# smooth or cut off anything; that is the best reason to read a log back.
#
# Now it is your turn. The cell trains a small network for 300 steps and logs it as the run `oak`. In one of the steps
# something happens.

# %%
from nnweek.checks.faulty_runs import log_spoiled_run

log_spoiled_run(data, "runs/oak")

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two charts of TensorBoard, as they open: the batch loss of the run oak with one leap that leaves the chart at the top and comes down over several steps, and the loss of training and validation, both falling smoothly. Beside them the settings: smoothing on, outliers ignored."}}
show_screenshot("losses")

# %% [markdown]
# *How to read it:* the tags are filtered, so that only the losses are shown. `Batch loss` has a point per step. `Loss`
# has one every twenty steps, for up to a thousand of the training images and for the validation images. The faint
# curves are the values without smoothing.
#
# **Exercise 1.** *(about 8 minutes, medium)* Diagnose `oak` in TensorBoard. Start it as above and type `oak` into *Filter
# runs*; if you cannot start it, use the picture. At which step does the batch loss leap? And what is the cause:
# `bad-batch` (the labels of one batch were wrong), `learning-rate-too-high`, `no-shuffle` or `overfitting`?

# %%
reading = {
    "step": ...,  # a number: within ten steps is exact enough
    "cause": ...,  # one of the four causes, as a string
}

checks.read_chart(reading)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# Set *Smoothing* to 0 and switch *Ignore outliers in chart scaling* off. How high is the leap, and how many steps does
# it last? If you point at it, TensorBoard shows the step.
# </details>
#
# <details>
# <summary>Another hint</summary>
#
# The loss of a batch is computed before the step on that batch. If the network had been damaged, the following batches
# and the validation loss would show it.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def reading():
#     return {"step": 263, "cause": "bad-batch"}
# ```
#
# The leap is one point wide, the batches after it are about as good as those before, and the validation loss does not
# react. So
# the network was the same before and after it, and the batch was different: its labels were wrong. Adam takes one step
# in a bad direction, and a few good ones repair it.
# </details>
#
# And this is `oak` without the defaults:

# %% tags=["hide-input"] mystnb={"image": {"alt": "The same two charts with smoothing 0 and outliers included: the leap of the batch loss is a single spike, four times as high as the loss at the start, and the two losses do not react."}}
show_screenshot("all-points")

# %% tags=["hide-input"]
oak = read_scalars("runs/oak")
leap = int(np.argmax(oak["train/Batch loss"][1]))
around = oak["train/Batch loss"][1][leap - 1 : leap + 2]
softened = smooth(oak["train/Batch loss"][1], 0.6)[leap]
Markdown(
    "Read back, the losses before, at and after the leap are "
    + ", ".join(f"**{loss:.2f}**" for loss in around)
    + f". With smoothing at 0.6, its height is {softened:.2f}."
)

# %% tags=["remove-cell"]
with text_says(
    "the leap is one step, far above the start, and not in validation"
):
    assert around[1] > 2.5 * max(oak["train/Batch loss"][1][:leap])
    assert around[1] > 5 * max(around[0], around[2])
    oak_val = dict(zip(*oak["val/Loss"], strict=True))
    assert oak_val[280] < 2 * oak_val[260]
with text_says("smoothing makes the leap lower"):
    assert softened < 0.6 * around[1]

# %% [markdown]
# *How to read it:* compare the height of the leap and the number of steps that it lasts with the picture above. The
# chart has not changed, only its settings.
#
# ## Inside the network
#
# A loss says *that* something is wrong. To see *where*, look at each layer: its weights, its gradients, and the steps
# between.
#
# **Histograms.** *The question:* do gradients reach every layer, and do the weights move? `add_histogram` takes a
# tensor, sorts its values into buckets and logs the counts. One histogram is a picture of a layer at one step; a row of
# them shows how it drifts.
#
# **The update-to-weight ratio.** *The question:* are the steps the right size? A gradient's size says little, since the
# optimizer may scale it by anything. What counts is how far the weights moved, beside how large they were:
#
# $$r = \frac{\lVert W_{\text{after}} - W_{\text{before}} \rVert}{\lVert W_{\text{before}} \rVert}$$
#
# where $\lVert W \rVert$ is the root of the sum of the squares of all entries. Notes and blogs give a rule of thumb:
# *about* $10^{-3}$. Far above, each step throws away what the ones before have learnt; far below, nothing happens.
#
# **Exercise 2.** *(about 5 minutes, easy)* Write the ratio for two NumPy arrays, the weights before and after a step.


# %%
def update_ratio(before, after):
    """How far the weights moved, beside how large they were."""
    ...  # your code


checks.update_ratio(update_ratio)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# `np.linalg.norm` is the root of the sum of squares of an array of any shape. You need it twice.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def update_ratio(before, after):
#     change = np.linalg.norm(after - before)
#     return change / np.linalg.norm(before)
# ```
# </details>
#
# Is the rule of thumb true here? Let us train a third of the epochs with three learning rates, one of them the one from
# above, and log the ratio of each layer about ten times, with the package's `relative_change`, which does the same on
# tensors. The run with that rate also logs histograms of weights and gradients. The three runs take about 4 seconds on
# two cores.
#
# *Predict before you run:* one rate is a hundred times smaller than the first run's, one thirty times larger. By which
# factors will the ratios differ?


# %%
from nnweek.checks.faulty_runs import relative_change

LOOKS = 10


def train_and_look(log_dir, lr, histograms=False):
    model = MNISTMLP(seed=SEED).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    weights = {
        name: parameter
        for name, parameter in model.named_parameters()
        if name.endswith("weight")
    }
    train_loader.epoch = 0  # the same batches for every run
    steps = short * len(train_loader)
    every, step = max(1, steps // LOOKS), 0
    with open_run(log_dir) as writer:
        while step < steps:
            for images, labels in train_loader:
                optimizer.zero_grad()
                loss = criterion(model(images), labels)
                loss.backward()
                looking = step % every == 0
                if looking:
                    before = {
                        name: w.detach().clone() for name, w in weights.items()
                    }
                optimizer.step()
                step += 1
                if not looking:
                    continue
                for name, w in weights.items():
                    ratio = relative_change(before[name], w.detach())
                    writer.add_scalar(f"Update ratio/{name}", ratio, step)
                    writer.add_scalar(f"Weight norm/{name}", w.norm(), step)
                    if histograms:
                        writer.add_histogram(f"Weights/{name}", w, step)
                        writer.add_histogram(f"Gradients/{name}", w.grad, step)
    return evaluate(model, val_loader, criterion)


low, high = LR / 100, 30 * LR
scores = {}
for lr in progress_bar((low, LR, high), desc="rates"):
    scores[lr] = train_and_look(
        f"runs/inside/lr={lr:g}", lr, histograms=lr == LR
    )

# %%
LAYERS = {
    "net.1.weight": "first",
    "net.3.weight": "second",
    "net.5.weight": "third",
}
ratios = {lr: read_scalars(f"runs/inside/lr={lr:g}") for lr in scores}

# %% tags=["hide-input"] mystnb={"image": {"alt": "Update-to-weight ratio of the first layer over steps on a logarithmic axis for three learning rates, one line each, far apart and in the order of the rates; a flat line marks one in a thousand. All three begin high and come down."}}
first = {
    f"learning rate {lr:g}": tags["Update ratio/net.1.weight"]
    for lr, tags in ratios.items()
}
ends_at = max(steps[-1] for steps, _ in first.values())
plot_curves(
    first | {"the rule of thumb": ([1, ends_at], [1e-3, 1e-3])},
    "How long a step is, beside the weights of the first layer",
    "Steps taken",
    "Update-to-weight ratio",
    log_y=True,
)

# %% [markdown]
# *How to read it:* the axis is logarithmic, so equal distances are equal factors.


# %%
def summary(lr, name):
    """First ratio, median ratio, and how much the weights' norm has grown."""
    _, ratio = ratios[lr][f"Update ratio/{name}"]
    _, norm = ratios[lr][f"Weight norm/{name}"]
    return ratio[0], np.median(ratio), norm[-1] / norm[0]


table = {lr: summary(lr, "net.1.weight") for lr in scores}
best_lr = max(scores, key=lambda lr: scores[lr][1])

# %% tags=["hide-input"]
Markdown(
    "The first layer:\n\n| learning rate | ratio, first step | median | norm of "
    "the weights, last by first | validation accuracy |\n|---|---|---|---|---|\n"
    + "\n".join(
        f"| {lr:g} | {start:.0e} | {middle:.0e} | {growth:.1f} "
        f"| {scores[lr][1]:.2%} |"
        for lr, (start, middle, growth) in table.items()
    )
    + f"\n\nThe best of the three is {best_lr:g}."
)

# %% tags=["remove-cell"]
with text_says(
    "the middle rate is the best, several times above the rule of thumb"
):
    assert best_lr == LR
    assert 1e-3 < table[LR][1] < 2e-2
with text_says("the smallest rate takes steps that are too short throughout"):
    assert table[low][0] < 0.02 * table[LR][0]
    assert table[low][1] < 0.1 * table[LR][1]
with text_says("the first step of the largest rate is as long as the weights"):
    assert table[high][0] > 0.5
with text_says(
    "later its ratio is like that of the best run, because the weights have grown"
):
    assert table[high][1] < 5 * table[LR][1]
    # The first look comes after the first step.
    assert table[high][2] > 2 > table[LR][2]
with text_says("looking changes nothing: the same seed gives the same run"):
    now, before = scores[LR][0], read_scalars(LOG_DIR)["val/Loss"][1][short - 1]
    assert np.isclose(now, before, rtol=1e-6 if device.type == "cpu" else 0.1)

# %% [markdown]
# The smallest rate lies far below the others to the end: its steps are too short, and its accuracy shows it. The
# largest rate shows itself only at the very start, where one step is as long as the weights themselves. Later its ratio
# looks like that of the best run. It has corrected itself, in a bad way: the first steps have made the weights large,
# and compared with large weights large steps look small.
#
# So the rule of thumb is only that. The best run lies several times above it, every run starts higher than it goes on,
# and a good ratio in the middle of a run proves nothing. But within a few steps the ratio shows that a learning rate is
# wrong by a factor of a hundred, before you have waited for the loss to say so.
#
# Now the histograms of the middle run, read back. The buckets lie closer together near zero, so we ask each histogram
# for its quantiles: below which value lie so many of the entries?

# %%
from nnweek.tracking import read_histograms

histograms = read_histograms(f"runs/inside/lr={LR:g}")


def quantiles(histogram, shares):
    """Values below which these shares of the entries lie."""
    edges, counts = histogram
    below = np.concatenate([[0], counts.cumsum()]) / counts.sum()
    return np.interp(shares, below, edges)


def spread(tag):
    """(steps, half the width of the middle two thirds) of a tag."""
    steps, found = histograms[tag]
    ends = [quantiles(histogram, [1 / 6, 5 / 6]) for histogram in found]
    return steps, [(high - low) / 2 for low, high in ends]


# %% tags=["hide-input"] mystnb={"image": {"alt": "Spread of the gradients of the three layers over steps on a logarithmic axis: three jagged lines, none of them at zero."}}
plot_curves(
    {
        f"{layer} layer": spread(f"Gradients/{name}")
        for name, layer in LAYERS.items()
    },
    "Do gradients reach every layer?",
    "Steps taken",
    "Spread of the gradients",
    log_y=True,
)

# %% [markdown]
# *How to read it:* the spread is half the width of the middle two thirds of all entries. A layer that lay at zero would
# be a layer that learns nothing.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Share of the first layer's weights by value on a logarithmic axis, at the first and at the last look: at first a block with steep sides, at the end the same block with tails on both sides."}}
steps, found = histograms["Weights/net.1.weight"]
with plt.rc_context(STYLE):
    figure, ax = plt.subplots()
    for k, (when, (edges, counts)) in enumerate(
        [(steps[0], found[0]), (steps[-1], found[-1])]
    ):
        bins = np.linspace(-0.2, 0.2, 41)
        below = np.interp(bins, edges, np.append(0, counts.cumsum()))
        ax.stairs(
            np.diff(below) / counts.sum(),
            bins,
            color=COLORS[3 + k],
            linestyle=["-", "--"][k],
            linewidth=1.8,
            label=f"step {when}",
        )
    ax.set_yscale("log")
    ax.set_ylim(1e-6, 1)
    ax.set(
        title="Weights of the first layer",
        xlabel="Value",
        ylabel="Share of the weights",
    )
    figure.legend(loc="outside lower center", ncols=2)
    plt.show()

# %% [markdown]
# *How to read it:* the block with steep sides is how `nn.Linear` draws its first weights, evenly between two bounds.
# The tails are what was learnt: most weights have hardly moved, and a few have gone far.

# %% tags=["hide-input"]
was, now = (
    np.abs(quantiles(histogram, [0.0, 1.0])).max()
    for histogram in (found[0], found[-1])
)
gradients = {
    layer: spread(f"Gradients/{name}")[1] for name, layer in LAYERS.items()
}
smallest = min(gradients, key=lambda layer: np.median(gradients[layer]))
Markdown(
    f"The largest weight of the first layer was about **{was:.3f}** at the first "
    f"look and **{now:.3f}** at the last. Gradients reach all three layers; they "
    f"are smallest in the {smallest} layer."
)

# %% tags=["remove-cell"]
with text_says("a few weights of the first layer have gone far"):
    assert now > 1.3 * was
with text_says("gradients reach all three layers"):
    assert all(min(values) > 0 for values in gradients.values())

# %% tags=["hide-input"] mystnb={"image": {"alt": "TensorBoard's Histograms page in a browser: one card for the gradients of each layer, in each a row of histograms, one behind the other, from early to late."}}
show_screenshot("histograms")

# %% [markdown]
# *How to read it:* each histogram is one look; time runs from the back to the front, in steps on the right.
#
# One shape in this tab deserves distrust: the spike at zero. The cell below logs two layers. All gradients of layer A
# are exactly zero, so it learns nothing. Those of layer B are small, except for 20 of them, and none is zero.
#
# *Predict before you run:* can you tell A from B in the *Histograms* tab?
#
# - a) Yes: A is a spike, B a broad hill.
# - b) Yes: A is empty, since it has no gradient.
# - c) Only by the numbers on the axis.

# %%
generator = torch.Generator().manual_seed(SEED)
gradients_b = 1e-4 * torch.randn(20_000, generator=generator)
gradients_b[:20] = 0.05 * torch.randn(20, generator=generator)
gradients_a = torch.zeros(20_000)

with open_run("runs/spikes") as log:
    for step in range(5):
        log.add_histogram("Gradients/layer A", gradients_a, step)
        log.add_histogram("Gradients/layer B", gradients_b, step)

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two cards of TensorBoard's Histograms page, layer A and layer B: both show one thin spike at zero, and only the numbers on their axes differ."}}
show_screenshot("spikes")

# %% [markdown]
# *How to read it:* look at the ends of each axis. The tab divides the axis from the smallest to the largest entry into
# buckets of equal width. In layer B, twenty entries stretch the axis, and all others fall into the bucket in the middle.
#
# The file has finer buckets near zero, so reading it back tells the two apart:

# %%
for tag, (_, found) in read_histograms("runs/spikes").items():
    edges, counts = found[-1]
    at_zero = counts[(edges[:-1] <= 0) & (edges[1:] > 0)].sum() / counts.sum()
    print(f"{tag}: {at_zero:.1%} of the entries are in the bucket with zero")

# %% tags=["remove-cell"]
with text_says(
    "one of the two layers learns nothing, and the file shows which"
):
    assert (gradients_b != 0).all()
    assert at_zero < 0.01
    edges, counts = read_histograms("runs/spikes")["Gradients/layer A"][1][-1]
    assert counts[(edges[:-1] <= 0) & (edges[1:] > 0)].sum() == counts.sum()
with text_says("equal buckets put nearly all of layer B into one"):
    counts, _ = np.histogram(gradients_b.numpy(), bins=30)
    assert counts.max() > 0.99 * counts.sum()

# %% [markdown]
# So if you see a spike, read the ends of the axis, read the histogram back, or log the gradient's norm as a scalar.
#
# ## What it answers
#
# **Images.** *The question:* on what does it fail, and do the pictures that go in look as I think? Numbers cannot show
# a picture that is upside down. Log a handful of inputs once at the start of every project, and the worst mistakes at
# the end.
#
# **A confusion figure.** *The question:* which classes does it take for which? `add_figure` logs any Matplotlib figure,
# here scikit-learn's.
#
# **Precision-recall curves.** *The question:* if I act only on its confident answers, how many do I get, and
# how many of them are wrong? For one digit, *recall* is the share of its images that are found, *precision* the share
# of the finds that are right. A threshold on the probability trades one for the other.

# %%
from sklearn.metrics import ConfusionMatrixDisplay, average_precision_score
from torchvision.utils import make_grid

from nnweek.tracking import read_images, read_pr_curves

model.eval()
with torch.no_grad():
    batches = [(images, labels, model(images)) for images, labels in val_loader]
images, labels, logits = (
    torch.cat(part).cpu() for part in zip(*batches, strict=True)
)
probs = logits.softmax(dim=1)
answers_given = probs.argmax(dim=1)

# Its most confident mistakes.
confidence = probs.max(dim=1).values * (answers_given != labels)
worst = confidence.argsort(descending=True)[:16]
worst = worst[: max(1, (confidence > 0).sum())]  # there may be fewer
grid = make_grid(images[worst], nrow=8, normalize=True, pad_value=0.5)

with plt.rc_context({"figure.dpi": 80}):
    confusion = ConfusionMatrixDisplay.from_predictions(
        labels, answers_given, cmap="Blues", colorbar=False
    )

with open_run("runs/answers") as writer:
    writer.add_image("Most confident mistakes", grid, global_step)
    writer.add_figure("Confusion", confusion.figure_, global_step)
    for digit in range(10):
        writer.add_pr_curve(
            f"digit {digit}", labels == digit, probs[:, digit], global_step
        )

# %% [markdown]
# Read back, the image comes out as it went in:

# %% tags=["hide-input"] mystnb={"image": {"alt": "A grid of handwritten digits in white on black, two rows of eight: the validation images that the network got wrong with the most confidence."}}
logged = read_images("runs/answers")
with plt.rc_context(STYLE):
    _, ax = plt.subplots(figsize=(5.2, 1.8))
    ax.imshow(logged["Most confident mistakes"][1][0])
    ax.set_axis_off()
    ax.set_title("Confident, and wrong")
    plt.show()

# %% [markdown]
# *How to read it:* ask of each image whether you would have known.

# %% tags=["hide-input"]
Markdown(
    f"{(answers_given != labels).sum()} of {len(labels):,} validation images are "
    "answered wrongly. Those above, from left to right, were taken for "
    + ", ".join(str(answer.item()) for answer in answers_given[worst])
    + "; their labels are "
    + ", ".join(str(label.item()) for label in labels[worst])
    + "."
)

# %% tags=["hide-input"] mystnb={"image": {"alt": "A confusion matrix of ten by ten classes with a dark diagonal and small counts beside it, as it was logged."}}
with plt.rc_context(STYLE):
    _, ax = plt.subplots(figsize=(5.2, 4.2))
    ax.imshow(logged["Confusion"][1][0])
    ax.set_axis_off()
    plt.show()

# %% [markdown]
# *How to read it:* rows are the true classes and columns the answers; an entry off the diagonal is a mistake, and an
# empty column would be a class that is never predicted.

# %%
pr = read_pr_curves("runs/answers")
curves_of = {tag: found[0] for tag, (_, found) in pr.items()}
average = {
    f"digit {digit}": average_precision_score(labels == digit, probs[:, digit])
    for digit in range(10)
}

# %% tags=["hide-input"] mystnb={"image": {"alt": "Precision over recall for two digits: both curves run along the top and turn down at the right; one of them turns earlier and lower than the other."}}
ordered = sorted(curves_of, key=average.get)
plot_curves(
    {
        f"{tag}, the {kind}": (curves_of[tag][2][:-1], curves_of[tag][1][:-1])
        for tag, kind in [(ordered[-1], "best"), (ordered[0], "worst")]
    },
    "Are confident answers right?",
    "Recall",
    "Precision",
)

# %% [markdown]
# *How to read it:* each point of a curve is one threshold. At the right end everything counts as a find, at the left
# only the most confident answers do. A curve in the upper right corner is a digit for which there is nothing to trade.

# %%
thresholds, precision, recall = curves_of[ordered[0]]
at = {share: int(np.abs(thresholds - share).argmin()) for share in (0.5, 0.95)}

# %% tags=["hide-input"]
Markdown(
    f"For {ordered[0]}, the worst: with every answer above one half, "
    f"**{recall[at[0.5]]:.1%}** are found and **{precision[at[0.5]]:.1%}** of the "
    f"finds are right. If only answers above {0.95:.0%} count, "
    f"**{recall[at[0.95]]:.1%}** are found and **{precision[at[0.95]]:.1%}** are "
    "right."
)

# %% tags=["remove-cell"]
with text_says("these are the answers behind the validation accuracy"):
    right = (answers_given == labels).float().mean()
    assert abs(right.item() - val_acc) < 1e-3
with text_says(
    "a higher threshold finds fewer images, and more of the finds are right"
):
    assert recall[at[0.95]] <= recall[at[0.5]]
    assert precision[at[0.95]] >= precision[at[0.5]] - 0.02
with text_says("even the worst digit is found well"):
    assert 0.7 < average[ordered[0]] <= average[ordered[-1]]

# %% [markdown]
# ## Which settings were that?
#
# *The question:* I have twenty runs; which settings did the good ones have? `add_hparams` logs a run's settings
# together with the numbers that resulted, and the *HParams* tab shows one row for each run, to be sorted and
# filtered. By default it makes a new run with a time for its name; `run_name="."` puts the settings where the run's
# curves are.

# %%
from nnweek.tracking import read_hparams

for lr, hidden in progress_bar(
    list(product((LR / 10, LR), (32, 128))), desc="settings"
):
    run = f"runs/settings/lr={lr:g}, hidden={hidden}"
    net = MNISTMLP(hidden=hidden, seed=SEED).to(device)
    optimizer = torch.optim.Adam(net.parameters(), lr=lr)
    train_loader.epoch = 0
    history = fit(
        net,
        train_loader,
        val_loader,
        optimizer,
        epochs=short,
        log_dir=run,
        progress=False,
    )
    with open_run(run) as writer:
        writer.add_hparams(
            {"lr": lr, "hidden": hidden},
            {"Best/val accuracy": max(history.val_acc)},
            run_name=".",
        )

settings = read_hparams("runs/settings")

# %% tags=["hide-input"]
Markdown(
    "| run | lr | hidden | best validation accuracy |\n|---|---|---|---|\n"
    + "\n".join(
        f"| {run} | {given['lr']:g} | {given['hidden']:.0f} "
        f"| {came['Best/val accuracy']:.2%} |"
        for run, (given, came) in sorted(
            settings.items(), key=lambda item: -item[1][1]["Best/val accuracy"]
        )
    )
)

# %% tags=["remove-cell"]
with text_says("the best of the four settings has the larger learning rate"):
    best_of = {
        (given["lr"], given["hidden"]): came["Best/val accuracy"]
        for given, came in settings.values()
    }
    assert len(settings) == 4
    assert np.isclose(max(best_of, key=best_of.get)[0], LR)

# %% [markdown]
# The table is sorted by its last column, as you would sort it in the tab. Four single runs on one seed are a first
# look; yesterday said what it takes to call one setting better.

# %% tags=["hide-input"] mystnb={"image": {"alt": "TensorBoard's HParams page in a browser: a table with one row per run and columns for hidden units, learning rate and best validation accuracy."}}
show_screenshot("hparams")

# %% [markdown]
# *How to read it:* a row is a run. The fields on the left filter the rows and sort them. Runs without settings, such as
# the curves in `train` and `val`, are not in the table.
#
# ## A map of the images
#
# *The question:* what has the network made of the images, before the last layer decides? After the second hidden layer
# an image is 256 numbers, a point in a space that cannot be drawn. The *Projector* tab turns such points into a cloud
# that can be rotated, with the images themselves as marks.
#
# `writer.add_embedding` logs the points, but fails where TensorFlow is installed, as it is in Colab. `add_projector` of
# the package writes the three small files that the tab reads.

# %%
from nnweek.tracking import add_projector

shown = torch.arange(min(400, len(images)))
with torch.no_grad():
    vectors = model.net[:-1](images[shown].to(device)).cpu()

pixels = images[shown, 0]
pixels = (pixels - pixels.min()) / (pixels.max() - pixels.min())
add_projector("runs/answers", vectors, labels[shown], pixels)

# The two directions in which the points differ most.
centred = (vectors - vectors.mean(dim=0)).numpy()
_, sizes, directions = np.linalg.svd(centred, full_matrices=False)
flat = centred @ directions[:2].T
held = (sizes[:2] ** 2).sum() / (sizes**2).sum()

# %% tags=["hide-input"] mystnb={"image": {"alt": "A cloud of small coloured digits on a plane; equal digits lie together in groups, with some groups overlapping in the middle."}}
with plt.rc_context(STYLE):
    _, ax = plt.subplots(figsize=(5.2, 5))
    for digit in range(10):
        ax.scatter(
            *flat[labels[shown] == digit].T,
            s=60,
            marker=f"${digit}$",
            color=COLORS[digit % len(COLORS)],
            linewidth=0,
        )
    ax.set(
        title="400 validation images, as the last layer sees them",
        xlabel="Direction of largest spread",
        ylabel="Second direction",
    )
    plt.show()

# %% [markdown]
# *How to read it:* every mark is one image, its digit is its label. Distances in the plane are shadows of distances in
# the full space: points that lie far apart here are far apart, but points that lie together need not be.

# %%
near = torch.cdist(vectors, vectors)
near.fill_diagonal_(torch.inf)
neighbour = (labels[shown][near.argmin(dim=1)] == labels[shown]).float().mean()
raw = images[shown].flatten(1)
near = torch.cdist(raw, raw)
near.fill_diagonal_(torch.inf)
raw_neighbour = (
    (labels[shown][near.argmin(dim=1)] == labels[shown]).float().mean()
)

# %% tags=["hide-input"]
Markdown(
    f"The plane holds **{held:.0%}** of the points' spread. In all "
    f"{vectors.shape[1]} dimensions, the nearest neighbour has the same label for "
    f"**{neighbour:.0%}** of the points; among the raw pixels for "
    f"{raw_neighbour:.0%}."
)

# %% tags=["hide-input"] mystnb={"image": {"alt": "TensorBoard's Projector page in a browser: a cloud of points in three dimensions, each drawn as its small digit."}}
show_screenshot("projector")

# %% tags=["remove-cell"]
with text_says("the nearest neighbour mostly has the same label"):
    assert neighbour > (0.8 if data.is_stand_in else 0.93)
    assert neighbour >= raw_neighbour - (0.1 if data.is_stand_in else 0.0)
with text_says("the plane holds only a part of the spread"):
    assert 0.1 < held < 0.9

# %% [markdown]
# *How to read it:* look at groups, rotate, and do not read a story into two points that touch. It is not quite the view
# above: the tab shows three directions, and *Spherize data*, which is on, first moves every point to the same distance
# from the centre. *Color by* is off until you choose `label`.
#
# ## Where the time goes
#
# *The question:* what is the machine doing all this time? The profiler notes every operation and how long it took. It
# writes these *events* into a file, the *trace*, and can add them up.
#
# *Predict before you run:* a training step has three parts. Which of them takes most of the time?
#
# - a) The forward pass.
# - b) The backward pass.
# - c) Adam's step.

# %%
import json
import os

os.environ["KINETO_LOG_LEVEL"] = "6"  # hide the profiler's debug messages
from torch.profiler import ProfilerActivity, profile, record_function

activities = [ProfilerActivity.CPU]
if device.type == "cuda":
    activities.append(ProfilerActivity.CUDA)

net = MNISTMLP(seed=SEED).to(device)
optimizer = torch.optim.Adam(net.parameters(), lr=LR)
warm_up = next(iter(train_loader))
for _ in range(3):  # the first steps set things up: not what we ask about
    criterion(net(warm_up[0]), warm_up[1]).backward()
    optimizer.step()

with profile(activities=activities) as profiler:
    for images_, labels_ in islice(train_loader, 10):
        with record_function("forward"):
            loss = criterion(net(images_), labels_)
        with record_function("backward"):
            optimizer.zero_grad()
            loss.backward()
        with record_function("Adam's step"):
            optimizer.step()

profiler.export_chrome_trace("runs/trace.json")
events = {event.key: event for event in profiler.key_averages()}

# %% tags=["hide-input"] mystnb={"image": {"alt": "One training step as a timeline: in the top row a bar each for forward pass, backward pass and Adam's step, and below each of them the operations that it calls, as shorter bars, and the operations that those call."}}
parts = ("forward", "backward", "Adam's step")
with open("runs/trace.json") as file:
    trace = [
        event
        for event in json.load(file)["traceEvents"]
        if event.get("ph") == "X"
        and event["cat"] in ("user_annotation", "cpu_op")
    ]
begins = [event["ts"] for event in trace if event["name"] == "forward"]
ends_ = [
    event["ts"] + event["dur"] for event in trace if event["name"] == parts[2]
]
took = [end - begin for begin, end in zip(begins, ends_, strict=True)]
quickest = int(np.argmin(took))  # the step that was disturbed the least
one = sorted(
    (
        event
        for event in trace
        if begins[quickest] <= event["ts"] < ends_[quickest]
    ),
    key=lambda event: (event["ts"], -event["dur"]),
)
with plt.rc_context(STYLE):
    figure, ax = plt.subplots(figsize=(5.2, 2.8))
    open_until, bars = (
        [],
        {},
    )  # the ends of the events that contain the current one
    for event in one:
        while open_until and open_until[-1] <= event["ts"]:
            open_until.pop()
        bar = (event["ts"] - begins[quickest]) / 1000, event["dur"] / 1000
        if not open_until:
            colour = COLORS[3 + parts.index(event["name"])]
        bars.setdefault((len(open_until), colour), []).append(bar)
        open_until.append(event["ts"] + event["dur"])
    for (row, colour), row_of_bars in bars.items():
        ax.broken_barh(
            row_of_bars,
            (row - 0.42, 0.84),
            color=colour,
            alpha=0.55 if row else 1,
            linewidth=0,
            label=None if row else parts[COLORS.index(colour) - 3],
        )
    ax.set_ylim(5.6, -0.6)
    ax.set(
        title="The trace of one training step",
        xlabel="Time in ms",
        ylabel="Depth of the call",
        yticks=range(6),
    )
    figure.legend(loc="outside lower center", ncols=3)
    plt.show()

# %% [markdown]
# *How to read it:* this is the shortest of the ten steps, and time runs to the right. The top row has the three parts of
# the step; below each bar are the operations that it calls, and below those the ones that they call. A gap is time that
# no operation accounts for, such as Python's.
#
# This is a picture of `runs/trace.json`. To zoom in on it, open the file in `https://ui.perfetto.dev`: the page reads it
# in your browser, and nothing is uploaded. Older guides write the trace with `tensorboard_trace_handler` and show it in
# a *Profile* tab of TensorBoard; PyTorch has deprecated that plugin and recommends Perfetto.

# %% tags=["hide-input"]
own = sorted(
    (event for event in events.values() if event.key.startswith("aten::")),
    key=lambda event: -event.self_cpu_time_total,
)
total = sum(event.self_cpu_time_total for event in own)
typical = {
    part: np.median([event["dur"] for event in trace if event["name"] == part])
    for part in parts
}
products = sum(
    event.self_cpu_time_total
    for event in own
    if event.key in ("aten::mm", "aten::addmm")
)
Markdown(
    "The five operations with the most time of their own"
    + (
        ""
        if device.type == "cpu"
        else " (on the CPU, which hands the work to the GPU)"
    )
    + ":\n\n| operation | calls | share |\n|---|---|---|\n"
    + "\n".join(
        f"| `{event.key}` | {event.count} | {event.self_cpu_time_total / total:.0%} |"
        for event in own[:5]
    )
    + f"\n\nMatrix products (`mm` and `addmm`) take **{products / total:.0%}** "
    "of the time of all operations. Of the three parts, by the medians of the ten "
    "steps, "
    + ", ".join(
        f"{part} takes {typical[part] / sum(typical.values()):.0%}"
        for part in parts
    )
    + "."
)

# %% tags=["remove-cell"]
with text_says("the profiler has counted three layers in each of ten steps"):
    assert {"forward", "backward", "Adam's step"} <= events.keys()
    assert events["aten::addmm"].count == 30
    assert 0 < products < total

# %% [markdown]
# The table lists the single operations, without those that they call. `aten` is PyTorch's library of operations;
# `addmm` is a layer's matrix product with its bias, `mm` one of the products of the backward pass. Times differ from
# machine to machine and from run to run, and noting an operation takes time, too: a part with many small operations,
# such as Adam's step, is shorter without the profiler. It is for surprises: an unnecessary copy, a step that waits for
# data.
#
# Ten steps make a trace of a few megabytes. In a long training run, `profile(schedule=schedule(wait=100, warmup=3,
# active=5))` skips 100 steps, runs 3 whose times are thrown away, and records 5; call `profiler.step()` after each step.
#
# ## Diagnose this run
#
# A colleague hands you eight runs. All train the same small network, 784-64-64-10 with Adam, for the same number of
# steps, and all were logged with the same tags, in two folders each. One is healthy, and in each of the others one
# thing was broken:
#
# | cause | what was done |
# |---|---|
# | `learning-rate-too-high` | the learning rate is thirty times that of the healthy run |
# | `learning-rate-too-low` | it is a hundredth of it |
# | `labels-shuffled` | images and labels were shuffled apart, so that no label belongs to its image |
# | `relu-on-logits` | a ReLU follows the last layer |
# | `no-shuffle` | the images come in the order of their classes, epoch after epoch |
# | `overfitting` | there are very few training images |
# | `dead-at-start` | the first biases are so low that every hidden unit is off |
# | `healthy` | nothing |
#
# Each cause occurs once. The names of the runs say nothing. Training all eight takes about 3 seconds on two cores.

# %%
from nnweek.checks.faulty_runs import RUNS, log_faulty_runs

log_faulty_runs(data, "runs/diagnose")
runs = {run: read_scalars(f"runs/diagnose/{run}") for run in RUNS}
print(*runs["alder"], sep="\n")

# %% [markdown]
# | tag | what it is |
# |---|---|
# | `Batch loss` in `train` | the loss of each single batch |
# | `Loss`, `Accuracy` in `train` | of up to a thousand of the images that the run learns from |
# | `Loss`, `Accuracy` in `val` | of images that it does not learn from, with the weights of the same moment |
# | `Gradient/layer 1` … in `train` | the norm of the gradient of each weight matrix |
# | `Update ratio/layer 1` … in `train` | the update-to-weight ratio of each |
# | `Dead units` in `val` | the share of hidden units that are zero for every validation image |
# | `Predicted/rarest`, `Predicted/commonest` in `val` | the share of validation images that get the class predicted least, and most, often |
#
# *Predict before you run:* for each cause, which of these curves would show it?

# %% tags=["hide-input"] mystnb={"image": {"alt": "Eight small panels on shared axes, one for each run: the training loss of every single batch and the validation loss over steps. In some panels the two fall together, in some they part, in some they stay where they started, and one swings widely."}}
plot_panels(
    {
        run: {
            "training, single batches": tags["train/Batch loss"],
            "validation": tags["val/Loss"],
        }
        for run, tags in runs.items()
    },
    "Loss of the eight runs",
    "Steps taken",
    "Loss",
    ylim=(-0.1, 5),
)

# %% [markdown]
# *How to read it:* each panel is one run, and all panels of a figure share their axes. This figure is cut off at 5; what
# goes higher leaves the panel.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Eight small panels on shared axes, one for each run, with three curves each over steps: the share of dead units, and the shares of the classes predicted least and most often."}}
plot_panels(
    {
        run: {
            "dead units": tags["val/Dead units"],
            "class predicted least": tags["val/Predicted/rarest"],
            "class predicted most": tags["val/Predicted/commonest"],
        }
        for run, tags in runs.items()
    },
    "Units and answers of the eight runs",
    "Steps taken",
    "Share",
)

# %% [markdown]
# And some numbers: accuracies at the end, and what happens in the first layer.

# %% tags=["hide-input"]
Markdown(
    "| run | training accuracy | validation accuracy | gradient, first step "
    "| update ratio, first step | median ratio |\n"
    "|---|---|---|---|---|---|\n"
    + "\n".join(
        f"| {run} | {tags['train/Accuracy'][1][-1]:.0%} "
        f"| {tags['val/Accuracy'][1][-1]:.0%} "
        f"| {tags['train/Gradient/layer 1'][1][0]:.2g} "
        f"| {tags['train/Update ratio/layer 1'][1][0]:.1e} "
        f"| {np.median(tags['train/Update ratio/layer 1'][1]):.1e} |"
        for run, tags in runs.items()
    )
)

# %% [markdown]
# **Exercise 3.** *(about 20 minutes, hard)* Which run has which cause? Write one of the eight causes for each run, as a
# string. You may fill in some and leave the rest; the check counts what is right and points at a run to look at next.
# To see another tag in all eight, open `runs/diagnose` in TensorBoard, or draw it in a new cell:
#
# ```
# tag = "val/Accuracy"
# plot_panels({run: {tag: tags[tag]} for run, tags in runs.items()}, tag, "Steps taken", tag)
# ```

# %%
answers = {
    "alder": ...,  # your diagnosis
    "birch": ...,
    "cedar": ...,
    "elder": ...,
    "hazel": ...,
    "maple": ...,
    "rowan": ...,
    "willow": ...,
}

checks.diagnose(answers)

# %% [markdown]
# <details>
# <summary>A hint</summary>
#
# Does the training loss fall? If not, look at the first step: is there a gradient, and how long is the step? If it
# does, does the validation loss follow? If both fall and stop too early, is every class still predicted?
# </details>
#
# <details>
# <summary>Another hint</summary>
#
# What each cause does to the curves:
#
# - `dead-at-start`: a unit that is zero for every image has a zero gradient. With all of them off, no weight ever moves,
#   only the last biases can change, and the loss is $\log 10$ from the first step to the last.
# - `learning-rate-too-low`: nothing is wrong but the pace. The gradient is there, the ratio is tiny, and loss and
#   accuracy improve in nearly straight lines, training and validation alike.
# - `learning-rate-too-high`: the first steps are as long as the weights. The loss leaps above where it began, comes down
#   and keeps jumping; on the way many units die, and those never come back.
# - `no-shuffle`: for a stretch of steps every image has the same label, and the network learns to say just that. The
#   batch's loss falls to nothing and leaps when the next class begins; on mixed images it is bad throughout, or good much
#   later than the healthy run.
# - `labels-shuffled`: all that the network can do is memorise each image. The training loss falls, and for new images
#   the network only becomes more confident in wrong answers: the validation loss rises from the start, the accuracy
#   stays at guessing.
# - `overfitting`: at first the same as healthy. Then training is perfect, and the validation loss turns, while the
#   validation accuracy stays well above guessing: what was learnt is true, but too little.
# - `relu-on-logits`: a class whose logit is below zero for every image has a zero gradient, and is never predicted. The
#   other classes are learnt as usual, so training and validation stop together, at the share of those that are left.
# - `healthy`: both losses fall and stay close, every class is predicted, and the ratios lie above the rule of thumb by
#   less than a factor of ten, as in the best of the three rates.
# </details>
#
# <details>
# <summary>A solution</summary>
#
# ```python
# def answers():
#     return {
#         "alder": "no-shuffle",
#         "birch": "learning-rate-too-low",
#         "cedar": "dead-at-start",
#         "elder": "healthy",
#         "hazel": "relu-on-logits",
#         "maple": "overfitting",
#         "rowan": "labels-shuffled",
#         "willow": "learning-rate-too-high",
#     }
# ```
# </details>
#
# All these runs are diagnosed in the same order. First the very beginning: the first loss, the first gradient, the
# first step. Then only the training loss. Then validation beside it. Only then the rest. Four of the seven broken runs
# show themselves in the first twenty steps, if you log them: both wrong rates, the dead units and the missing shuffle.
# The others begin like the healthy one.

# %% tags=["remove-cell"]
from nnweek.checks import solutions

cause = {name: run for run, name in solutions.answers().items()}


def tag(name, of):
    return np.array(runs[cause[of]][name][1])


log_10 = np.log(10)
with text_says(
    "with all units off, no weight moves and the loss stays at log 10"
):
    assert (tag("train/Gradient/layer 1", "dead-at-start") == 0).all()
    assert np.abs(tag("val/Loss", "dead-at-start") - log_10).max() < 0.05
    assert (tag("val/Dead units", "dead-at-start") == 1).all()
with text_says("at too low a rate the ratio is tiny and the loss falls slowly"):
    assert (
        np.median(tag("train/Update ratio/layer 1", "learning-rate-too-low"))
        < 1e-3
    )
    assert 1.7 < tag("val/Loss", "learning-rate-too-low")[-1] < 2.25
with text_says("at too high a rate the loss leaps and many units die"):
    assert tag("train/Update ratio/layer 1", "learning-rate-too-high")[0] > 0.5
    assert (
        tag("train/Batch loss", "learning-rate-too-high")[:20].max()
        > 1.5 * log_10
    )
    dead = tag("val/Dead units", "learning-rate-too-high")
    assert dead[-1] > dead[0] + 0.3
with text_says(
    "without shuffling the loss of a batch leaps, and is bad on mixed images"
):
    assert tag("train/Batch loss", "no-shuffle").std() > 0.5
    assert tag("val/Loss", "no-shuffle")[10:].mean() > 0.9
with text_says("shuffled labels are memorised, and the validation loss rises"):
    assert tag("train/Accuracy", "labels-shuffled")[-1] > 0.4
    assert tag("val/Accuracy", "labels-shuffled")[-5:].mean() < 0.2
    assert tag("val/Loss", "labels-shuffled")[-1] > log_10 + 0.4
with text_says(
    "the overfitted run is perfect in training while its validation loss turns"
):
    assert tag("train/Accuracy", "overfitting")[-1] == 1
    rising = tag("val/Loss", "overfitting")
    assert rising[-1] > rising.min() + 0.02
    assert tag("val/Accuracy", "overfitting")[-1] > 0.4
with text_says("with a ReLU on the logits some class is never predicted"):
    assert (tag("val/Predicted/rarest", "relu-on-logits")[5:] == 0).all()
    assert tag("val/Accuracy", "relu-on-logits")[-1] < 0.9
with text_says("four broken runs show themselves in the first twenty steps"):
    healthy = tag("train/Update ratio/layer 1", "healthy")[0]
    assert (
        tag("train/Update ratio/layer 1", "learning-rate-too-high")[0]
        > 5 * healthy
    )
    assert (
        tag("train/Update ratio/layer 1", "learning-rate-too-low")[0]
        < healthy / 20
    )
    assert tag("train/Gradient/layer 1", "dead-at-start")[0] == 0
    assert tag("train/Batch loss", "no-shuffle")[:20].max() > 1.3 * log_10
with text_says("the other broken runs begin like the healthy one"):
    for name in ("overfitting", "relu-on-logits", "labels-shuffled"):
        ratio = tag("train/Update ratio/layer 1", name)[0] / healthy
        assert 0.5 < ratio < 2
        assert tag("train/Gradient/layer 1", name)[0] > 0
        assert tag("train/Batch loss", name)[:20].max() < 1.1 * log_10
with text_says(
    "the healthy ratios lie above the rule of thumb, below ten times it"
):
    for layer in (1, 2, 3):
        middle = np.median(tag(f"train/Update ratio/layer {layer}", "healthy"))
        assert 1e-3 < middle < 1e-2
with text_says("the healthy run predicts every class"):
    assert (tag("val/Predicted/rarest", "healthy")[10:] > 0).all()
    assert tag("val/Accuracy", "healthy")[-1] > 0.88

# %% [markdown]
# ## What next
#
# - **Name runs so that you find them again**: date, what you changed, and the seed, such as
#   `runs/2026-11-28/lr=0.001, seed=42`. The list on the left filters by a regular expression.
# - **Log the settings that you could forget**: `writer.add_text("settings", str(settings))`, with the commit of your code.
# - **Two optimizers may cost different times per step.** Set *Horizontal Axis* to *Relative* to compare them by the
#   clock. The steps themselves must be integers, and go up.
# - **Sharing**: send the folder. Anyone with TensorBoard can open it; the public site tensorboard.dev no longer exists.
# - **Another tool** is worth it when several people compare hundreds of runs, or run a search on many machines: MLflow
#   (on your own server) or Weights & Biases (hosted). What you log stays the same.
#
# ## Check yourself
#
# **1.** The training loss is logged with the number of steps, the validation loss with the number of the epoch, both
# with the tag `Loss` and in a folder each. What does TensorBoard show?
#
# - a) Two curves of equal width, because it converts epochs to steps.
# - b) Two charts, one for each folder, each with an x-axis of its own.
# - c) One chart in which validation is a stub at the left edge.
#
# <details>
# <summary>Answer</summary>
#
# **c.** One tag is one chart, the second number is just a number, and 3 is drawn at 3.
# a) It cannot know how many steps there are in an epoch.
# b) is what two tags would give. Then each chart would look healthy.
# </details>
#
# **2.** You run the logging cell twice into the same folder with a plain `SummaryWriter`. What do you see?
#
# - a) Two curves with two colours, of which you can switch off the older one.
# - b) One line that jumps back to the start.
# - c) Only the second run, since its files replace those of the first.
#
# <details>
# <summary>Answer</summary>
#
# **b.** TensorBoard takes a folder for one run and joins its files.
# a) needs two folders, one per run.
# c) Files are added, never replaced. That is why `open_run` deletes the old ones.
# </details>
#
# **3.** A run of 20,000 steps is open in TensorBoard, started without options. Smoothing is 0, *Ignore outliers* is off,
# and no leap is to be seen. Can a single step have gone wrong?
#
# - a) Yes.
# - b) No: with these two settings a chart shows every value that was logged.
# - c) Only in the validation loss, which is logged per epoch.
#
# <details>
# <summary>Answer</summary>
#
# **a.** TensorBoard shows a random 1,000 of the 20,000 points, and the bad step is probably not among them.
# b) The settings change how points are drawn, not which points the server keeps.
# c) The validation loss has few points, so all of them are shown.
# </details>
#
# **4.** The update-to-weight ratio of every layer is near $10^{-6}$, and the loss hardly moves. What do you try first?
#
# - a) A larger network, which has more weights that can move.
# - b) More epochs.
# - c) A much larger learning rate.
#
# <details>
# <summary>Answer</summary>
#
# **c.** The steps are about a thousand times shorter than usual, and the learning rate sets their length.
# a) A larger network whose steps are as short would not move either.
# b) would get there in the end, at many times the cost.
# </details>
#
# **5.** Training accuracy is perfect, validation accuracy is that of guessing, from the first epoch to the last.
# Overfitting?
#
# - a) No: look at how labels and images were paired.
# - b) Yes: training is far better than validation, which is what the word means.
# - c) No: the learning rate is too high.
#
# <details>
# <summary>Answer</summary>
#
# **a.** Even a network that overfits badly learns something that carries over. Guessing means that nothing did.
# b) is what the gap suggests, but overfitting leaves the validation accuracy well above guessing.
# c) With a rate that is too high the training images would not be memorised.
# </details>
#
# **6.** In the *Histograms* tab, a layer's gradients are a single spike at zero. What do you conclude?
#
# - a) The layer has finished learning.
# - b) Nothing yet: read the histogram back.
# - c) No gradient reaches the layer, so it cannot learn.
#
# <details>
# <summary>Answer</summary>
#
# **b.** Either the gradients are zero, or a few large ones have stretched the axis, as in layer B.
# a) Gradients become small when a layer has learnt, they do not become zero.
# c) is one of the two cases. In the other the layer learns as usual.
# </details>
#
# ## Summary
#
# | the question | logged with | tab | read back with |
# |---|---|---|---|
# | is it still learning, and beyond its training images? | `add_scalar(tag, value, step)` | Time Series | `read_scalars` |
# | is this the network that I meant? | `add_graph(writer, model, example)` | Graphs | – |
# | does every layer learn? | `add_histogram(tag, tensor, step)` | Histograms | `read_histograms` |
# | are the steps the right size? | `add_scalar` of the update-to-weight ratio | Time Series | `read_scalars` |
# | on what does it fail? | `add_image`, `add_figure` | Images | `read_images` |
# | are confident answers right? | `add_pr_curve(tag, labels, probs, step)` | PR Curves | `read_pr_curves` |
# | which settings were that? | `add_hparams(settings, metrics, run_name=".")` | HParams | `read_hparams` |
# | what has it made of the images? | `add_projector(folder, vectors, labels, images)` | Projector | – |
# | where does the time go? | `torch.profiler.profile` | – | `key_averages()` |
#
# One tag for what you compare, and a folder each, opened with `open_run`; one x-axis, the steps taken; smoothing 0,
# outliers shown and all points before you call a run healthy.
#
# Before you open the next day, choose *Kernel → Shut Down Kernel*: until then this notebook holds on to its memory,
# even if you close its tab. That also stops TensorBoard.
#
# ## Read more
#
# - PyTorch, [Visualizing models, data, and training with TensorBoard](https://docs.pytorch.org/tutorials/intermediate/tensorboard_tutorial.html)
#   and the reference of [`torch.utils.tensorboard`](https://docs.pytorch.org/docs/stable/tensorboard.html).
# - TensorBoard, [Get started](https://www.tensorflow.org/tensorboard/get_started).
# - Stanford CS231n, notes on [babysitting the learning process](https://cs231n.github.io/neural-networks-3/#baby), with the
#   rule of thumb for the update-to-weight ratio.
# - Andrej Karpathy, [A recipe for training neural networks](https://karpathy.github.io/2019/04/25/recipe/).
# - Smilkov and others (2016), [Embedding Projector](https://arxiv.org/abs/1611.05469).
# - PyTorch, [`torch.profiler`](https://docs.pytorch.org/docs/stable/profiler.html).
