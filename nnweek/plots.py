"""Figures that more than one notebook draws (from Day 29 on).

Every figure is transparent and readable on white and on black, and lines differ in more than
their colour.
"""

import contextlib

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.ticker import MaxNLocator, PercentFormatter

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
        y_values: one number per epoch or step; not empty.
        title, xlabel, ylabel: text of the figure.

    Raises:
        ValueError: if `y_values` is empty.
    """
    plot_curves({None: list(y_values)}, title, xlabel, ylabel)


def plot_curves(curves, title, xlabel, ylabel, *, log_y=False):
    """Draw several series on the same axes for comparison. Introduced on Day 30.

    Args:
        curves: {label: y_values}, the first value at x = 1; or {label: (x_values, y_values)}.
            The label None draws a curve without a legend.
        title, xlabel, ylabel: text of the figure.
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
        if len(curves) > 3:  # too many for a legend inside the axes
            figure.legend(loc="outside lower center", ncols=2)
        elif any(label is not None for label in curves):
            ax.legend()


def plot_bands(bands, title, xlabel, ylabel):
    """Draw curves with bands, such as means with their intervals. Introduced on Day 33.

    Args:
        bands: {label: (x, middle, low, high)}, four series of equal length each.
        title, xlabel, ylabel: text of the figure.

    Raises:
        ValueError: if there is no curve, or one is empty or its series differ in length.
    """
    if not bands:
        raise ValueError("bands is empty: there is nothing to draw")
    with _figure() as (_, ax):
        for (label, series), marker in zip(bands.items(), "osD^vP" * len(bands), strict=False):
            x, middle, low, high = _four_series("band", label, series)
            (line,) = ax.plot(x, middle, label=label, marker=marker, markersize=5)
            ax.fill_between(x, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
        ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
        ax.legend()


def plot_panels(panels, title, xlabel, ylabel, *, ylim=None):
    """Draw many runs in small panels, four per row, with shared axes. Introduced on Day 34.

    Args:
        panels: {panel's title: {label: (x_values, y_values)}}; a label has the same colour and
            line style in every panel.
        title, xlabel, ylabel: text of the figure.
        ylim: (low, high), the range of the y-axis; by default all values are visible.

    Raises:
        ValueError: if there is no panel, or a panel has no curve.
    """
    if not panels or not all(panels.values()):
        raise ValueError("panels is empty, or one of them is: there is nothing to draw")
    columns = 4
    rows = -(-len(panels) // columns)
    names = list(dict.fromkeys(label for curves in panels.values() for label in curves))
    styles = ["-", "--", "-.", ":", "-", "--"]
    with _figure(
        rows, columns, figsize=(2.1 * columns, 1.8 * rows + 0.9), sharex=True, sharey=True,
        squeeze=False,
    ) as (figure, axes):  # fmt: skip
        for ax in axes.flat[len(panels) :]:
            ax.axis("off")
        lines = {}
        for ax, (name, curves) in zip(axes.flat, panels.items(), strict=False):
            for label, (x, y) in curves.items():
                k = names.index(label) % len(COLORS)
                (lines[label],) = ax.plot(x, y, color=COLORS[k], linestyle=styles[k], linewidth=1.3)
            ax.set_title(name)
        if ylim is not None:
            axes.flat[0].set_ylim(*ylim)
        figure.suptitle(title, fontsize="medium")
        plt.setp(axes[-1], xlabel=xlabel)
        plt.setp(axes[:, 0], ylabel=ylabel)
        if len(names) > 1:
            figure.legend(
                [lines[name] for name in names], names, loc="outside lower center",
                ncols=min(4, len(names)),
            )  # fmt: skip


def plot_points(X, y, title, *, predict=None):
    """Draw labelled points, and a model's decision regions if given. Introduced on Day 29.

    Args:
        X: (N, 2) points.
        y: (N,) labels, 0 to 5; each class has its own colour and marker.
        title: title of the figure.
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
    """Draw small greyscale images in a grid, dark ink on white. Introduced on Day 31.

    Args:
        images: (N, height, width).
        captions: N strings, one above each image.
        title: title of the figure.
        columns: images per row, at least 1.

    Raises:
        TypeError, ValueError: if there is no image, there are not N captions, or `columns`
            is not an integer of at least 1.
    """
    columns = positive_int("columns", columns)
    if len(images) == 0 or len(images) != len(captions):
        raise ValueError(
            f"there must be at least one image and one caption per image, "
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


def plot_intervals(series, title, xlabel, *, percent=False):
    """Draw measured values with their intervals, one per row. Introduced on Day 32.

    Args:
        series: {label: {row: (value, low, high)}}; all series must have the same rows and are
            drawn below each other in each row. The label None draws a series without a legend.
        title, xlabel: text of the figure.
        percent: the values are fractions, 0 to 1; label the axis in per cent.

    Raises:
        ValueError: if there is no row, the series differ in their rows, or a value is outside
            its interval.
    """
    rows = list(next(iter(series.values()), {}))
    if not rows:
        raise ValueError("series is empty: there is nothing to draw")
    for label, values in series.items():
        if list(values) != rows:
            raise ValueError(f"series {label!r} must have the rows {rows}, got {list(values)}")
        for row, (value, low, high) in values.items():
            if not low <= value <= high:
                raise ValueError(f"{row}: {value} must be in its interval, {low} … {high}")
    height = 1.2 + (0.22 + 0.14 * len(series)) * len(rows)
    with _figure(figsize=(6.4, height)) as (figure, ax):
        for k, (label, values) in enumerate(series.items()):
            middle, low, high = np.array(list(values.values()), dtype=float).T
            shift = 0.3 * (k - (len(series) - 1) / 2)
            ax.errorbar(
                middle, np.arange(len(rows)) + shift, xerr=(middle - low, high - middle),
                label=label, color=COLORS[k % len(COLORS)], marker="oDs^vP"[k % 6],
                markersize=5, linestyle="none", capsize=3,
            )  # fmt: skip
        ax.set_yticks(range(len(rows)), rows)
        ax.set_ylim(len(rows) - 0.5, -0.5)  # the first row on top
        if percent:
            ax.xaxis.set_major_formatter(PercentFormatter(xmax=1))
        ax.grid(visible=False, axis="y")
        ax.set(title=title, xlabel=xlabel)
        if any(label is not None for label in series):
            figure.legend(loc="outside lower center", ncols=len(series))


def plot_confusion(matrix, title):
    """Draw a confusion matrix. Introduced on Day 32.

    The diagonal (correct answers) has numbers but no colour: its large counts would make all
    others look alike.

    Args:
        matrix: (C, C) counts, one row per true class and one column per answer.
        title: title of the figure.

    Raises:
        ValueError: if `matrix` is not square, is empty or contains anything but counts.
    """
    matrix = np.asarray(matrix)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.size == 0:
        raise ValueError(f"matrix must have shape (C, C), got {matrix.shape}")
    if matrix.dtype.kind not in "iu" or matrix.min() < 0:
        raise ValueError("matrix must contain counts, integers of at least 0")
    C = len(matrix)
    mistakes = np.ma.masked_where(np.eye(C, dtype=bool) | (matrix == 0), matrix)
    most = mistakes.max() if mistakes.count() else 1
    with _figure(figsize=(1.4 + 0.44 * C, 1.2 + 0.38 * C)) as (_, ax):
        ax.grid(False)
        ax.imshow(mistakes, cmap="YlOrBr", vmin=0, vmax=most, aspect="auto")
        for true, answer in np.argwhere(matrix > 0):
            count = matrix[true, answer]
            on_dark = count > 0.7 * most
            color = GREY if true == answer else "white" if on_dark else "black"
            ax.text(answer, true, f"{count}", ha="center", va="center", color=color, size="small")
        ax.set(title=title, xlabel="Answer", ylabel="True class", xticks=range(C), yticks=range(C))


def plot_reliability(curves, title):
    """Draw a reliability diagram: accuracy against confidence. Introduced on Day 32.

    Args:
        curves: {label: (confidence, accuracy, low, high)}, four series of equal length: for
            each bin the mean confidence, the accuracy and its interval.
        title: title of the figure.

    Raises:
        ValueError: if there is no curve, or one is empty or its series differ in length.

    Source: Guo and others (2017), *On calibration of modern neural networks*, figure 1.
    """
    if not curves:
        raise ValueError("curves is empty: there is nothing to draw")
    with _figure(figsize=(5.6, 4.6)) as (_, ax):
        ax.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="perfectly calibrated")
        for (label, series), marker in zip(curves.items(), "oDs^vP" * len(curves), strict=False):
            x, y, low, high = _four_series("curve", label, series)
            ax.errorbar(
                x, y, yerr=(y - low, high - y), label=label, marker=marker, markersize=5,
                linewidth=1.5, elinewidth=1, capsize=2,
            )  # fmt: skip
        ax.set(
            title=title, xlabel="Confidence", ylabel="Accuracy",
            xlim=(-0.02, 1.02), ylim=(-0.02, 1.02),
        )  # fmt: skip
        ax.legend()


def _four_series(kind, label, series):
    """Return four series as float arrays, or raise if they are not of equal length or empty."""
    lengths = [len(values) for values in series]
    if len(lengths) != 4 or len(set(lengths)) != 1 or lengths[0] == 0:
        raise ValueError(
            f"the {kind} {label} must be four series of equal length (x, y, low, high), "
            f"not empty; got the lengths {lengths}"
        )
    return (np.asarray(values, dtype=float) for values in series)


@contextlib.contextmanager
def _figure(*args, **options):
    """Create a figure in the course's style; show it when it is drawn, close it on an error."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(*args, **options)
        try:
            yield figure, axes
        except BaseException:
            plt.close(figure)
            raise
        plt.show()
