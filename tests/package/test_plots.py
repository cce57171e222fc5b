"""The figures (from Day 29 on) show the given data and are readable on any background."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from numpy.testing import assert_array_equal

from nnweek.plots import (
    COLORS,
    GREY,
    plot_bands,
    plot_confusion,
    plot_curves,
    plot_images,
    plot_intervals,
    plot_panels,
    plot_points,
    plot_reliability,
    plot_series,
)

WORDS = {"title": "Loss", "xlabel": "Epoch", "ylabel": "nats"}
POINTS = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
CLASSES = np.array([0, 1, 1, 0])


def words_of(ax):
    return {"title": ax.get_title(), "xlabel": ax.get_xlabel(), "ylabel": ax.get_ylabel()}


def only_axes(shown):
    """The axes of the only figure, if they are its only ones."""
    (figure,) = shown
    (ax,) = figure.axes
    return ax


def entries(legend):
    return [text.get_text() for text in legend.get_texts()]


@pytest.mark.parametrize(
    "kind", [list, tuple, np.array, np.float32, torch.tensor], ids=lambda kind: kind.__name__
)
@pytest.mark.parametrize("values", [[0.5], [3.0, 2.0, 1.5]], ids=len)
def test_series_is_drawn_from_epoch_1_with_its_labels(values, kind, shown):
    plot_series(kind(values), **WORDS)

    ax = only_axes(shown)
    (line,) = ax.lines
    assert_array_equal(line.get_xdata(), np.arange(len(values)) + 1)
    assert_array_equal(line.get_ydata(), values)
    assert words_of(ax) == WORDS
    assert ax.get_legend() is None


def test_compared_curves_share_axes_and_have_a_legend(shown):
    plot_curves({"SGD": [3, 2], "Adam": ([10, 20, 30], [4, 5, 6])}, **WORDS, log_y=True)

    ax = only_axes(shown)
    first, second = ax.lines
    assert_array_equal(first.get_xydata(), [[1, 3], [2, 2]])
    assert_array_equal(second.get_xydata(), [[10, 4], [20, 5], [30, 6]])
    assert entries(ax.get_legend()) == ["SGD", "Adam"]
    assert words_of(ax) == WORDS
    assert ax.get_yscale() == "log"


def test_six_curves_differ_in_colour_and_line_style(shown):
    plot_curves({str(k): [k, k] for k in range(6)}, **WORDS)
    lines = shown[0].axes[0].lines
    assert len({line.get_color() for line in lines}) == 6
    assert len({line.get_linestyle() for line in lines[:4]}) == 4
    assert {line.get_linestyle() for line in lines[4:]} == {"-", "--"}


def test_series_has_default_labels_and_integer_ticks(shown):
    plot_series([3, 2])
    ax = only_axes(shown)
    ax.figure.canvas.draw()
    assert_array_equal(ax.get_xticks(), np.round(ax.get_xticks()))
    assert list(words_of(ax).values()) == ["Metric over epochs", "Epoch", "Value"]


def test_band_surrounds_its_curve_in_the_same_colour(shown):
    sgd = ([10, 100], [3.0, 2.0], [2.5, 1.5], [3.5, 2.5])
    adam = ([10, 100], [2.0, 1.0], [1.9, 0.9], [2.1, 1.1])
    plot_bands({"SGD": sgd, "Adam": adam}, **WORDS)

    ax = only_axes(shown)
    for line, band, (x, middle, low, high) in zip(
        ax.lines, ax.collections, [sgd, adam], strict=True
    ):
        assert_array_equal(line.get_xydata(), np.column_stack([x, middle]))
        corners = {tuple(corner) for corner in band.get_paths()[0].vertices}
        assert corners >= {*zip(x, low, strict=True), *zip(x, high, strict=True)}
        assert_array_equal(band.get_facecolor()[0, :3], to_rgb(line.get_color()))
    assert len({line.get_marker() for line in ax.lines}) == 2
    assert entries(ax.get_legend()) == ["SGD", "Adam"]
    assert words_of(ax) == WORDS


OURS = {"300": (0.024, 0.021, 0.028), "1000": (0.021, 0.018, 0.025)}
THEIRS = {"300": (0.047, 0.043, 0.052), "1000": (0.045, 0.041, 0.049)}


def bars_of(container):
    """The end points of each interval that an errorbar drew."""
    (bars,) = container.lines[2]
    return np.array(bars.get_segments())


def test_each_value_is_in_its_row_with_its_interval(shown):
    plot_intervals({"ours": OURS, "theirs": THEIRS}, "errors", "Test error")

    ax = only_axes(shown)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["300", "1000"]
    for container, values in zip(ax.containers, [OURS, THEIRS], strict=True):
        middle, low, high = np.array(list(values.values())).T
        points, bars = container.lines[0], bars_of(container)
        assert_array_equal(points.get_xdata(), middle)
        assert_array_equal(np.round(points.get_ydata()), [0, 1])
        np.testing.assert_allclose(bars[:, 0, 0], low)
        np.testing.assert_allclose(bars[:, 1, 0], high)
        assert_array_equal(bars[:, 0, 1], points.get_ydata())
    first, second = (container.lines[0] for container in ax.containers)
    assert first.get_marker() != second.get_marker()
    assert (first.get_ydata() < second.get_ydata()).all(), "one series hides the other"
    assert ax.get_ylim()[0] > ax.get_ylim()[1], "the first row is on top"
    assert entries(ax.figure.legends[0]) == ["ours", "theirs"]
    assert (ax.get_title(), ax.get_xlabel()) == ("errors", "Test error")


@pytest.mark.parametrize("percent", [False, True])
def test_fractions_can_be_shown_in_per_cent(percent, shown):
    plot_intervals({None: OURS}, "errors", "Test error", percent=percent)
    (figure,) = shown
    figure.canvas.draw()
    assert not figure.legends
    labels = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    assert all(label.endswith("%") == percent for label in labels)


def test_confusion_matrix_shows_counts_and_colours_only_mistakes(shown):
    matrix = np.array([[980, 3, 0], [0, 950, 7], [1, 0, 990]])
    plot_confusion(matrix, "confusion")

    ax = only_axes(shown)
    written = {(*text.get_position()[::-1],): int(text.get_text()) for text in ax.texts}
    expected = {(i, j): matrix[i, j] for i in range(3) for j in range(3) if matrix[i, j]}
    assert written == expected, "row: the true class, column: the answer"
    coloured = ax.images[0].get_array()
    assert_array_equal(coloured.mask, np.eye(3, dtype=bool) | (matrix == 0))
    assert ax.images[0].get_clim() == (0, 7)
    assert words_of(ax) == {"title": "confusion", "xlabel": "Answer", "ylabel": "True class"}


def test_perfect_confusion_matrix_can_be_drawn(shown):
    plot_confusion(np.diag([5, 6]), "no mistakes")
    assert [text.get_text() for text in shown[0].axes[0].texts] == ["5", "6"]


def test_reliability_is_drawn_with_the_diagonal(shown):
    bins = ([0.3, 0.7], [0.2, 0.8], [0.1, 0.6], [0.5, 0.9])
    plot_reliability({"before": bins, "after": ([0.9], [0.9], [0.8], [1.0])}, "calibration")

    ax = only_axes(shown)
    assert_array_equal(ax.lines[0].get_xydata(), [[0, 0], [1, 1]])
    before, after = ax.containers
    assert_array_equal(before.lines[0].get_xydata(), np.column_stack(bins[:2]))
    np.testing.assert_allclose(bars_of(before)[:, :, 1], np.column_stack(bins[2:]))
    assert_array_equal(after.lines[0].get_xydata(), [[0.9, 0.9]])
    assert before.lines[0].get_marker() != after.lines[0].get_marker()
    assert entries(ax.get_legend()) == ["perfectly calibrated", "before", "after"]


def test_each_run_has_a_panel_with_shared_axes(shown):
    runs = {
        f"run {k}": {"training": ([0, 1, 2], [3.0, 2.0, k]), "validation": ([0, 2], [3.0, k + 1])}
        for k in range(5)
    }
    plot_panels(runs, "Runs", "Steps", "Loss", ylim=(0, 4))
    (figure,) = shown
    panels, empty = figure.axes[:5], figure.axes[5:]
    assert [ax.get_title() for ax in panels] == list(runs)
    assert [ax.axison for ax in empty] == [False] * 3
    for k, ax in enumerate(panels):
        training, validation = ax.lines
        assert_array_equal(training.get_ydata(), [3, 2, k])
        assert_array_equal(validation.get_xdata(), [0, 2])
        assert training.get_color() != validation.get_color()
        assert training.get_linestyle() != validation.get_linestyle()
        assert ax.get_ylim() == (0, 4)
        assert ax.get_xlim() == panels[0].get_xlim()
    (legend,) = figure.legends
    assert entries(legend) == ["training", "validation"]


@pytest.mark.parametrize("panels", [{}, {"one": {}}])
def test_panel_without_a_curve_is_refused(panels, shown):
    with pytest.raises(ValueError, match="nothing to draw"):
        plot_panels(panels, **WORDS)
    assert not shown


def test_each_class_has_its_points_marker_and_legend_entry(shown):
    plot_points(POINTS, CLASSES, "toy data")

    (ax,) = shown[0].axes
    assert ax.get_title() == "toy data"
    for k, drawn in enumerate(ax.collections):
        assert_array_equal(drawn.get_offsets(), POINTS[k == CLASSES])
    assert entries(ax.get_legend()) == ["class 0", "class 1"]
    first, second = (drawn.get_paths()[0].vertices for drawn in ax.collections)
    assert first.shape != second.shape or (first != second).any(), "the markers are the same"


def test_six_classes_can_be_drawn(shown):
    y = np.arange(12) % 6
    plot_points(np.random.default_rng(0).standard_normal((12, 2)), y, "t")
    drawn = only_axes(shown).collections
    assert [len(part.get_offsets()) for part in drawn] == [2] * 6


def test_decision_regions_cover_all_points(shown):
    calls = []

    def predict(X):
        calls.append(X)
        return (X[:, 0] > 0.5).astype(int)

    plot_points(POINTS, CLASSES, "t", predict=predict)

    (X,) = calls
    assert X.shape[1] == 2
    assert (X.min(axis=0) < POINTS.min(axis=0)).all()
    assert (X.max(axis=0) > POINTS.max(axis=0)).all()
    assert len(shown[0].axes[0].collections) == 3, "two classes in front of the regions"


def test_images_are_drawn_with_their_captions(shown):
    images = np.random.default_rng(0).integers(0, 256, size=(5, 4, 3))
    captions = [f"{k} read as {k + 1}" for k in range(5)]

    plot_images(images, captions, "mistakes", columns=3)

    (figure,) = shown
    assert figure.get_suptitle() == "mistakes"
    assert len(figure.axes) == 6
    for ax, image, caption in zip(figure.axes, images, captions, strict=False):
        assert_array_equal(ax.images[0].get_array(), image)
        assert ax.get_title() == caption
    assert not any(ax.axison for ax in figure.axes)
    assert not figure.axes[5].images


FIGURES = {
    "series": lambda: plot_series([3, 2, 1]),
    "curves": lambda: plot_curves({"a": [1, 2], "b": [2, 1]}, **WORDS),
    "bands": lambda: plot_bands({"a": ([1, 2], [2, 2], [1, 1], [3, 3])}, **WORDS),
    "points": lambda: plot_points(POINTS, CLASSES, "t", predict=lambda X: np.ones(len(X), int)),
    "images": lambda: plot_images(np.eye(3)[None], ["a"], "t"),
    "intervals": lambda: plot_intervals({"ours": OURS, "theirs": THEIRS}, "t", "x"),
    "confusion": lambda: plot_confusion(np.array([[5, 1], [0, 6]]), "t"),
    "reliability": lambda: plot_reliability({"a": ([0.5], [0.5], [0.4], [0.6])}, "t"),
}


@pytest.mark.parametrize("figure", FIGURES)
def test_figures_are_transparent_and_settings_restored(figure, shown):
    """The same image serves the light and the dark mode of the book."""
    settings = plt.rcParams.copy()
    FIGURES[figure]()
    assert plt.rcParams == settings
    (drawn,) = shown
    assert drawn.get_facecolor()[3] == 0
    assert all(ax.get_facecolor()[3] == 0 for ax in drawn.axes)

    file = io.BytesIO()
    drawn.savefig(file, format="png")
    file.seek(0)
    corners = plt.imread(file)[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert_array_equal(corners[:, 3], [0, 0, 0, 0])


@pytest.mark.parametrize("color", [GREY, *COLORS])
def test_colours_have_contrast_on_white_and_black(color):
    """WCAG 2.2 requires a contrast of 3 : 1 for graphics."""
    parts = np.array(to_rgb(color))
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    assert 1.05 / (luminance + 0.05) >= 3, f"{color} on white"
    assert (luminance + 0.05) / 0.05 >= 3, f"{color} on black"


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plot_series([]), "y_values is empty"),
        (lambda: plot_series(np.array([])), "y_values is empty"),
        (lambda: plot_curves({}, **WORDS), "curves is empty"),
        (lambda: plot_curves({"SGD": [1], "Adam": []}, **WORDS), "Adam is empty"),
        (lambda: plot_curves({"Adam": ([], [])}, **WORDS), "Adam is empty"),
        (lambda: plot_curves({"Adam": ([1, 2], [1])}, **WORDS), "same first dimension"),
        (lambda: plot_bands({}, **WORDS), "bands is empty"),
        (lambda: plot_bands({"SGD": ([1], [1], [1, 2], [1])}, **WORDS), "the band SGD must"),
        (lambda: plot_bands({"SGD": ([], [], [], [])}, **WORDS), "the band SGD must"),
        (lambda: plot_points(POINTS[:, :1], CLASSES, "t"), r"X must have shape \(N, 2\)"),
        (lambda: plot_points(POINTS[0], CLASSES, "t"), r"X must have shape \(N, 2\)"),
        (lambda: plot_points(POINTS, CLASSES[:3], "t"), r"y .*got .*\(3,\)"),
        (lambda: plot_points(np.zeros((7, 2)), np.arange(7), "t"), "^y must be in 0 … 5, .* 6"),
        (lambda: plot_intervals({}, "t", "x"), "series is empty"),
        (lambda: plot_intervals({"a": {}}, "t", "x"), "series is empty"),
        (lambda: plot_intervals({"a": OURS, "b": {}}, "t", "x"), "'b' must have the rows"),
        (lambda: plot_intervals({"a": {"r": (3, 1, 2)}}, "t", "x"), "r: 3 must be in its"),
        (lambda: plot_intervals({"a": {"r": (np.nan, 1, 2)}}, "t", "x"), "must be in its"),
        (lambda: plot_confusion(np.zeros((2, 3), int), "t"), r"shape \(C, C\), got \(2, 3\)"),
        (lambda: plot_confusion(np.zeros((0, 0), int), "t"), r"shape \(C, C\)"),
        (lambda: plot_confusion(np.eye(2), "t"), "counts"),
        (lambda: plot_confusion(-np.eye(2, dtype=int), "t"), "counts"),
        (lambda: plot_reliability({}, "t"), "curves is empty"),
        (lambda: plot_reliability({"a": ([], [], [], [])}, "t"), "a must be four series"),
        (lambda: plot_reliability({"a": ([1], [1], [1])}, "t"), "a must be four series"),
        (lambda: plot_images([], [], "t"), "at least one image"),
        (lambda: plot_images(np.eye(3)[None], [], "t"), "1 images and 0 captions"),
        (lambda: plot_images(np.eye(3)[None], ["a"], "t", columns=0), "columns"),
    ],
)
def test_invalid_data_is_refused_and_leaves_no_figure(draw, message, shown):
    """In a notebook, an open figure would appear below the next cell."""
    with pytest.raises(ValueError, match=message):
        draw()
    assert shown == []
    assert plt.get_fignums() == []
