"""Figures that more than one notebook draws (from Day 29 on).

Every figure is transparent and readable on white and on black, and lines differ in more than
their colour. A name that SERIES knows has the same colour all week. In a cell that draws its own
figure, `style_of(label)` gives a line the look of its name::

    ax.plot(x, y, **style_of("Adam"))

Colours are those of the tokens for a light page. The book replaces each by a variable, whose
value on a dark page is another (book/_ext/figures.py), and GREY by the colour of quiet text.
"""

import contextlib
import re
import sys
import textwrap
from itertools import chain, cycle

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.ticker import MaxNLocator, PercentFormatter

from nnweek import _figures, _tokens
from nnweek._validate import labels, matrix, positive_int

COLORS = tuple(_tokens.LIGHT[name] for name in _tokens.SERIES)
DASHES = ("-", "--", "-.", ":", "-", "--")
MARKERS = "osD^vP"
GREY = "#767676"  # text and lines that are no series: readable on white and on black
TITLE = "#757575"  # the same for an eye, but the book gives it the colour of its own text
# Counts and digits stand on a white tile, so that dark clients show them too. On the page of the
# book, the tile has no colour and the ink that of its text.
TILE, INK = "#fefefe", "#010101"

# The colour of a name all week, as its place in COLORS. Other names get the places that are free.
SERIES = {
    "training": 0, "validation": 1, "test": 2,
    "SGD": 0, "Momentum": 1, "Adam": 2,
    "ReLU": 0, "sigmoid": 1, "tanh": 2,
    "warm-up": 3, "cosine": 4, "OneCycle": 5,
    "one-sided": 0, "centred": 1, "float64": 0, "float32": 1,
}  # fmt: skip
TITLE_LETTERS = 52  # in one line of a figure's width
WIDTH = 5.2  # inches; 10 points are then at least 9.4 pixels on a phone of 390
STYLE = {
    "figure.figsize": (WIDTH, 3.2),
    "figure.facecolor": "none",
    "figure.constrained_layout.use": True,
    "savefig.facecolor": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": GREY,
    "axes.facecolor": "none",
    "axes.edgecolor": GREY,
    "axes.labelcolor": GREY,
    "axes.labelsize": 10,
    "axes.linewidth": 0.8,
    "axes.titlecolor": TITLE,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=COLORS) + cycler(linestyle=DASHES),
    "grid.color": GREY,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.handlelength": 2.8,
    "legend.labelcolor": GREY,
    "legend.fontsize": 10,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "errorbar.capsize": 2.5,
    "xtick.bottom": False,
    "xtick.color": GREY,
    "ytick.left": False,
    "ytick.color": GREY,
}

if "ipykernel" in sys.modules:
    from IPython import get_ipython

    _figures.install(get_ipython())


def _name_in(label):
    """Return the name in a label, as in "training, against steps" and "ReLU (He)"."""
    return re.split(r"[,:(]", str(label))[0].strip()


def _styles_of(labels):
    """Return {label: its colour, dash and marker}, as `style_of` does, for one figure.

    Labels that SERIES does not know get the colours that the others leave free, in order. Labels
    with the same name, as in "ReLU, He" and "ReLU, too small", differ in their dashes only.
    """
    places = {_name_in(label): SERIES.get(_name_in(label)) for label in labels}
    free = [k for k in range(len(COLORS)) if k not in places.values()]
    following = chain(free, cycle(range(len(COLORS))))
    places = {name: next(following) if k is None else k for name, k in places.items()}
    seen, found = [], {}
    for label in labels:
        place = places[_name_in(label)]
        nth = (place + seen.count(place)) % len(DASHES)
        seen.append(place)
        found[label] = {"color": COLORS[place], "linestyle": DASHES[nth], "marker": MARKERS[nth]}
    return found


def style_of(label, *, marker=False):
    """Return the look of a name as arguments of `ax.plot`, with its label. Introduced on Day 29.

    Args:
        label: what stands in the legend, such as "Adam" or "training, averaged".
        marker: also return the name's marker.

    Raises:
        ValueError: if SERIES does not know the name.
    """
    if _name_in(label) not in SERIES:
        raise ValueError(f"SERIES has no {_name_in(label)!r}; it knows {', '.join(SERIES)}")
    style = {"label": label, **_styles_of([label])[label]}
    return style if marker else style | {"marker": ""}


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
        for (label, values), style in _styled(curves):
            x, y = values if isinstance(values, tuple) else (range(1, len(values) + 1), values)
            if len(y) == 0:
                raise ValueError(f"the curve {label or 'y_values'} is empty: nothing to draw")
            ax.plot(x, y, label=label, **style | ({} if len(y) <= 12 else {"marker": ""}))
        if log_y:
            ax.set_yscale("log")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
        _name_lines(figure, ax)


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
    with _figure() as (figure, ax):
        for (label, series), style in _styled(bands):
            x, middle, low, high = _four_series("band", label, series)
            ax.plot(x, middle, label=label, **style)
            ax.fill_between(x, low, high, color=style["color"], alpha=0.18, linewidth=0)
        ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
        _name_lines(figure, ax)


def plot_panels(panels, title, xlabel, ylabel, *, ylim=None):
    """Draw many runs in small panels, two per row, with shared axes. Introduced on Day 34.

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
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    names = list(dict.fromkeys(label for curves in panels.values() for label in curves))
    styles = _styles_of(names)
    with _figure(
        rows, columns, figsize=(WIDTH, 1.5 * rows + 0.7), sharex=True, sharey=True, squeeze=False
    ) as (figure, axes):
        for ax in axes.flat[len(panels) :]:
            ax.axis("off")
        for ax, (name, curves) in zip(axes.flat, panels.items(), strict=False):
            for label, (x, y) in curves.items():
                ax.plot(x, y, label=label, **styles[label] | {"marker": "", "linewidth": 1.4})
            ax.set_title(name, fontsize=10, fontweight="normal")
        if ylim is not None:
            axes.flat[0].set_ylim(*ylim)
        _title(figure, title)
        plt.setp(axes[-1], xlabel=xlabel)
        plt.setp(axes[:, 0], ylabel=ylabel)
        if len(names) > 1:
            _legend(figure, axes.flat[: len(panels)])


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
    with _figure(figsize=(WIDTH, 4.0)) as (figure, ax):
        ax.grid(False)
        if predict is not None:
            low, high = X.min(axis=0) - 0.5, X.max(axis=0) + 0.5
            across, up = np.meshgrid(
                np.linspace(low[0], high[0], 200), np.linspace(low[1], high[1], 200)
            )
            regions = predict(np.column_stack([across.ravel(), up.ravel()])).reshape(across.shape)
            levels = np.arange(regions.max() + 2) - 0.5
            ax.contourf(across, up, regions, levels=levels, colors=COLORS, alpha=0.18)
        for k, marker in zip(np.unique(y), MARKERS, strict=False):
            ax.scatter(
                *X[y == k].T, s=24, marker=marker, color=COLORS[k], edgecolor=TILE,
                linewidth=0.4, label=f"class {k}",
            )  # fmt: skip
        ax.set(title=title, xlabel="$x_1$", ylabel="$x_2$")
        _legend(figure, [ax])


def plot_images(images, captions, title, *, columns=None):
    """Draw small greyscale images in a grid, dark ink on white. Introduced on Day 31.

    Args:
        images: (N, height, width).
        captions: N strings, one above each image.
        title: title of the figure.
        columns: images per row, at least 1; by default 4, or 3 if there are at most 6.

    Raises:
        TypeError, ValueError: if there is no image, there are not N captions, or `columns`
            is not an integer of at least 1.
    """
    columns = positive_int(
        "columns", (3 if len(images) <= 6 else 4) if columns is None else columns
    )
    if len(images) == 0 or len(images) != len(captions):
        raise ValueError(
            f"there must be at least one image and one caption per image, "
            f"got {len(images)} images and {len(captions)} captions"
        )
    rows = -(-len(images) // columns)
    side = min(1.2, WIDTH / columns - 0.05)
    size = (WIDTH if len(images) >= columns else side * columns, (side + 0.3) * rows + 0.35)
    with _figure(rows, columns, figsize=size, squeeze=False) as (figure, axes):
        for ax in axes.flat[len(images) :]:
            ax.axis("off")
        for ax, image, caption in zip(axes.flat, images, captions, strict=False):
            _on_tile(ax)
            ax.imshow(image, cmap=INKED, interpolation="none")
            ax.set_title(caption, fontsize=10, fontweight="normal", color=GREY, loc="center")
        _title(figure, title)


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
    height = 0.9 + (0.22 + 0.14 * len(series)) * len(rows)
    with _figure(figsize=(WIDTH, height)) as (figure, ax):
        for k, ((label, values), style) in enumerate(_styled(series)):
            middle, low, high = np.array(list(values.values()), dtype=float).T
            shift = 0.3 * (k - (len(series) - 1) / 2)
            ax.errorbar(
                middle, np.arange(len(rows)) + shift, xerr=(middle - low, high - middle),
                label=label, **style | {"linestyle": "none"},
            )  # fmt: skip
        ax.set_yticks(range(len(rows)), rows)
        ax.set_ylim(len(rows) - 0.5, -0.5)  # the first row on top
        ax.xaxis.set_major_locator(MaxNLocator(5))
        if percent:
            ax.xaxis.set_major_formatter(PercentFormatter(xmax=1, symbol="\u00a0%"))
        ax.grid(visible=False, axis="y")
        ax.grid(visible=True, axis="x")
        ax.set(title=title, xlabel=xlabel)
        _legend(figure, [ax])


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
    most = max(1, (matrix * ~np.eye(C, dtype=bool)).max())
    with _figure(figsize=(min(WIDTH, 1.4 + 0.4 * C), 1.1 + 0.32 * C)) as (_, ax):
        _on_tile(ax)
        for true, answer in np.argwhere(matrix > 0):
            count = matrix[true, answer]
            if true != answer:
                shade = to_rgba(COLORS[0], 0.6 * count / most)
                ax.add_patch(plt.Rectangle((answer - 0.5, true - 0.5), 1, 1, color=shade, lw=0))
            color = GREY if true == answer else INK
            ax.text(answer, true, f"{count}", ha="center", va="center", color=color)
        ax.set(
            title=title, xlabel="Answer", ylabel="True class", xticks=range(C), yticks=range(C),
            xlim=(-0.5, C - 0.5), ylim=(C - 0.5, -0.5),
        )  # fmt: skip


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
    with _figure(figsize=(WIDTH, 4.3)) as (figure, ax):
        ax.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="perfectly calibrated")
        for (label, series), style in _styled(curves):
            x, y, low, high = _four_series("curve", label, series)
            ax.errorbar(x, y, yerr=(y - low, high - y), label=label, elinewidth=1, **style)
        ax.set(
            title=title, xlabel="Confidence", ylabel="Accuracy",
            xlim=(-0.02, 1.02), ylim=(-0.02, 1.02),
        )  # fmt: skip
        _legend(figure, [ax])


INKED = LinearSegmentedColormap.from_list("inked", [to_rgba(INK, 0), to_rgba(INK, 1)])


def _on_tile(ax):
    """Prepare axes for what is drawn in INK: a tile, no grid and no frame."""
    ax.set_facecolor(TILE)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.set(xticks=[], yticks=[])


def _styled(series):
    """Return [((label, values), style)] for {label: values}."""
    return list(zip(series.items(), _styles_of(series).values(), strict=True))


def _title(figure, title):
    title = textwrap.fill(title, TITLE_LETTERS)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold", color=TITLE)


def _legend(figure, axes):
    """Write the legend below the axes, where it hides no data."""
    entries = {}
    for ax in axes:
        entries |= {
            label: handle for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
        }
    if entries:
        columns = int(64 / (max(map(len, entries)) + 8))  # as many as fit the width
        columns = max(1, min(len(entries), columns))
        width, height = figure.get_size_inches()  # the axes keep their height
        figure.set_size_inches(width, height + 0.22 * -(-len(entries) // columns))
        figure.legend(entries.values(), entries, loc="outside lower center", ncols=columns)


def _name_lines(figure, ax):
    """Write each line's label at its end, or in a legend below the axes if they do not fit."""
    lines = [line for line in ax.lines if not line.get_label().startswith("_")]
    if not lines:
        return
    figure.draw_without_rendering()  # places the axes
    height = 1.3 * figure.dpi * plt.rcParams["font.size"] / 72
    ends = ax.transData.transform([line.get_xydata()[-1] for line in lines])
    order = ends[:, 1].argsort()
    places = ends[:, 1].copy()
    for lower, upper in zip(order, order[1:], strict=False):
        places[upper] = max(places[upper], places[lower] + height)
    places -= (places - ends[:, 1]).mean()
    at_the_end = np.ptp(ends[:, 0]) < 0.02 * figure.dpi and np.isfinite(ends).all()
    near = at_the_end and np.abs(places - ends[:, 1]).max() < height
    if not near or max(len(line.get_label()) for line in lines) > 14:
        _legend(figure, [ax])
        return
    across, up = ax.transAxes.inverted().transform(np.column_stack([ends[:, 0], places])).T
    for line, height in zip(lines, up, strict=True):
        ax.annotate(
            line.get_label(), (across.max(), height), xycoords="axes fraction", xytext=(6, 0),
            textcoords="offset points", color=line.get_color(), va="center",
        )  # fmt: skip


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
        for ax in figure.axes:  # nothing makes a figure wider or higher than it is
            ax.set_title(textwrap.fill(ax.get_title("left"), TITLE_LETTERS), loc="left")
            ax.set_ylabel(textwrap.fill(ax.get_ylabel(), 34))
        plt.show()
