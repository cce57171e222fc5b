"""The figures that more than one notebook draws (from Day 29 on).

Every figure is transparent, with lines and letters that can be read on white and
on black, and tells lines apart by more than their colour.
"""

import contextlib

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.ticker import MaxNLocator

from nnweek._validate import labels, matrix, positive_int

GREY = "#767676"
COLORS = ("#2f7fd0", "#d95f02", "#1b9e77", "#a463c9", "#b8860b", "#d6336c")
STYLE = {
    "figure.figsize": (6.4, 3.8),
    "figure.facecolor": "none",
    "figure.constrained_layout.use": True,
    "savefig.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": GREY,
    "axes.labelcolor": GREY,
    "axes.titlecolor": GREY,
    "axes.titlesize": "medium",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=COLORS) + cycler(linestyle=["-", "--", "-.", ":", "-", "--"]),
    "grid.color": GREY,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "legend.labelcolor": GREY,
    "lines.linewidth": 2,
    "text.color": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "font.size": 11,
}


def plot_series(y_values, title="Metric over epochs", xlabel="Epoch", ylabel="Value"):
    """Draw one series of values, the first at x = 1. Introduced on Day 29.

    Args:
        y_values: one number for each epoch or step; not empty.
        title, xlabel, ylabel: the figure's words.

    Raises:
        ValueError: if `y_values` is empty.
    """
    plot_curves({None: list(y_values)}, title, xlabel, ylabel)


def plot_curves(curves, title, xlabel, ylabel, *, log_y=False):
    """Draw several series on the same axes, so that they can be compared. Introduced on Day 30.

    Args:
        curves: {label: y_values}, the first value at x = 1; or {label: (x_values, y_values)}.
            The label None draws a curve without a legend.
        title, xlabel, ylabel: the figure's words.
        log_y: draw the y-axis on a logarithmic scale.

    Raises:
        ValueError: if there is no curve, or one is empty.
    """
    if not curves:
        raise ValueError("curves is empty: there is nothing to draw")
    with _figure() as (figure, ax):
        for label, values in curves.items():
            x, y = values if isinstance(values, tuple) else (range(1, len(values) + 1), values)
            if len(y) == 0:
                raise ValueError(f"the curve {label or 'y_values'} is empty: nothing to draw")
            ax.plot(x, y, label=label, marker="o" if len(y) <= 12 else None)
        if log_y:
            ax.set_yscale("log")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
        if len(curves) > 3:  # too many to stand among the lines
            figure.legend(loc="outside lower center", ncols=2)
        elif any(label is not None for label in curves):
            ax.legend()


def plot_points(X, y, title, *, predict=None):
    """Draw labelled points in the plane and, if asked, what a model says around them.

    Introduced on Day 29.

    Args:
        X: (N, 2) points.
        y: (N,) labels, 0 to 5; each class has a colour and a marker of its own.
        title: the figure's title.
        predict: maps (M, 2) points to (M,) labels; its regions are drawn behind the points.

    Raises:
        TypeError, ValueError: if X is not (N, 2), or y not (N,) or not such labels.
    """
    X = matrix("X", X, columns=2)
    y = labels("y", y, rows=len(X), classes=len(COLORS))
    with _figure(figsize=(5.2, 4.2)) as (_, ax):
        ax.grid(False)
        if predict is not None:
            low, high = X.min(axis=0) - 0.5, X.max(axis=0) + 0.5
            across, up = np.meshgrid(
                np.linspace(low[0], high[0], 300), np.linspace(low[1], high[1], 300)
            )
            regions = predict(np.column_stack([across.ravel(), up.ravel()])).reshape(across.shape)
            levels = np.arange(regions.max() + 2) - 0.5
            ax.contourf(across, up, regions, levels=levels, colors=COLORS, alpha=0.25)
        for k, marker in zip(np.unique(y), "osD^vP", strict=False):
            own = X[y == k]
            ax.scatter(
                *own.T, s=22, marker=marker, color=COLORS[k], edgecolor="white", linewidth=0.4,
                label=f"class {k}",
            )  # fmt: skip
        ax.set(title=title, xlabel="$x_1$", ylabel="$x_2$")
        ax.legend()


def plot_images(images, captions, title, *, columns=6):
    """Draw small grey images in a grid, dark ink on white. Introduced on Day 31.

    Args:
        images: (N, height, width).
        captions: N strings, one above each image.
        title: the figure's title.
        columns: images in a row, at least 1.

    Raises:
        TypeError, ValueError: if there is no image, the captions are not as many, or
            `columns` is not a whole number of at least 1.
    """
    columns = positive_int("columns", columns)
    if len(images) == 0 or len(images) != len(captions):
        raise ValueError(
            f"there must be one caption an image and at least one image, "
            f"got {len(images)} images and {len(captions)} captions"
        )
    rows = -(-len(images) // columns)
    size = (1.15 * columns, 1.4 * rows + 0.4)
    with _figure(rows, columns, figsize=size, squeeze=False) as (figure, axes):
        for ax in axes.flat:
            ax.axis("off")
        for ax, image, caption in zip(axes.flat, images, captions, strict=False):
            ax.imshow(image, cmap="gray_r")
            ax.set_title(caption, fontsize="small")
        figure.suptitle(title, fontsize="medium")


@contextlib.contextmanager
def _figure(*args, **options):
    """Make a figure in the house's style; show it when it is drawn, close it if that fails."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(*args, **options)
        try:
            yield figure, axes
        except BaseException:
            plt.close(figure)
            raise
        plt.show()
