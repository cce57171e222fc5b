"""The figures (from Day 29 on) show the given data and are readable on any background."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.text import Text
from numpy.testing import assert_array_equal

from nnweek._figures import drawn_as_png, laid_out
from nnweek.plots import (
    COLORS,
    GREY,
    SERIES,
    TILE,
    TITLE,
    plot_bands,
    plot_confusion,
    plot_curves,
    plot_images,
    plot_intervals,
    plot_panels,
    plot_points,
    plot_reliability,
    plot_series,
    style_of,
)

WORDS = {"title": "Loss", "xlabel": "Epoch", "ylabel": "nats"}
POINTS = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
CLASSES = np.array([0, 1, 1, 0])


def words_of(ax):
    return {"title": ax.get_title("left"), "xlabel": ax.get_xlabel(), "ylabel": ax.get_ylabel()}


def only_axes(shown):
    """The axes of the only figure, if they are its only ones."""
    (figure,) = shown
    (ax,) = figure.axes
    return ax


def entries(figure):
    """The labels in the legend below the axes."""
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


def named_at_the_ends(ax):
    """{label: colour} of the names at the lines' ends, from the lowest up."""
    texts = sorted(ax.texts, key=lambda text: text.xy[1])
    return {text.get_text(): text.get_color() for text in texts}


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
    assert not ax.figure.legends


def test_compared_curves_share_axes_and_are_named(shown):
    plot_curves({"SGD": [3, 2], "Adam": ([10, 20, 30], [4, 5, 6])}, **WORDS, log_y=True)

    ax = only_axes(shown)
    first, second = ax.lines
    assert_array_equal(first.get_xydata(), [[1, 3], [2, 2]])
    assert_array_equal(second.get_xydata(), [[10, 4], [20, 5], [30, 6]])
    assert entries(ax.figure) == ["SGD", "Adam"], "their ends are far apart"
    assert words_of(ax) == WORDS
    assert ax.get_yscale() == "log"


def test_curves_that_end_at_the_right_are_named_there(shown):
    plot_curves({"SGD": [3, 2, 1], "Adam": [3, 1, 0.99], "Momentum": [3, 1, 3]}, **WORDS)
    ax = only_axes(shown)
    colours = {line.get_label(): line.get_color() for line in ax.lines}
    assert named_at_the_ends(ax) == colours
    assert list(named_at_the_ends(ax)) == ["Adam", "SGD", "Momentum"]
    assert not ax.figure.legends
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    right = ax.transData.transform((3, 0))[0]
    assert all(box.x0 > right for box in boxes), "a name lies on the data"


@pytest.mark.parametrize(
    "curves",
    [
        {"a name that is much too long": [1, 2], "b": [2, 1]},
        {"ends early": [1, 2], "b": [2, 1, 1]},
        {name: [1, 2] for name in "abcdef"},  # six names do not fit at one place
        {"no end": [1, float("nan")], "b": [2, 1]},
    ],
)
def test_other_curves_have_a_legend_below_the_axes(curves, shown):
    plot_curves(curves, **WORDS)
    ax = only_axes(shown)
    assert not ax.texts
    assert entries(ax.figure) == list(curves)
    ax.figure.canvas.draw()
    assert ax.figure.legends[0].get_window_extent().y1 < ax.get_window_extent().y0


@pytest.mark.parametrize("others", [[], ["Adam"], ["mine", "yours", "SGD"]])
def test_a_name_keeps_its_colour_in_whatever_company(others, shown):
    for label in ("validation", "validation, against steps", "validation (averaged)"):
        plot_curves(dict.fromkeys([*others, label], [1, 2]), **WORDS)
        line = shown[-1].axes[0].lines[-1]
        assert line.get_color() == COLORS[SERIES["validation"]] == style_of(label)["color"]


def test_labels_with_one_name_differ_in_their_dashes(shown):
    labels = ["ReLU, He", "ReLU, too small", "tanh, Xavier", "unknown"]
    plot_curves(dict.fromkeys(labels, [1, 2]), **WORDS)
    one, other, tanh, unknown = shown[0].axes[0].lines
    assert one.get_color() == other.get_color() == COLORS[SERIES["ReLU"]]
    assert one.get_linestyle() != other.get_linestyle()
    assert len({line.get_color() for line in (one, tanh, unknown)}) == 3


def test_style_of_is_what_ax_plot_takes():
    figure, ax = plt.subplots()
    (line,) = ax.plot([1, 2], **style_of("Adam, best rate", marker=True))
    assert (line.get_label(), line.get_color()) == ("Adam, best rate", COLORS[SERIES["Adam"]])
    assert line.get_marker() != style_of("SGD", marker=True)["marker"]
    assert style_of("Adam")["marker"] == ""
    plt.close(figure)
    with pytest.raises(ValueError, match="SERIES has no 'Bdam'; it knows training"):
        style_of("Bdam, best rate")


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
    assert list(named_at_the_ends(ax)) == ["Adam", "SGD"]
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
    assert entries(ax.figure) == ["ours", "theirs"]
    assert (ax.get_title("left"), ax.get_xlabel()) == ("errors", "Test error")


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
    shades = {
        (patch.get_y() + 0.5, patch.get_x() + 0.5): patch.get_facecolor() for patch in ax.patches
    }
    assert shades.keys() == {(0, 1), (1, 2), (2, 0)}, "mistakes have a colour"
    assert len({shade[:3] for shade in shades.values()}) == 1, "one hue"
    assert shades[1, 2][3] > shades[0, 1][3] > shades[2, 0][3], "stronger the more often"
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
    assert entries(ax.figure) == ["perfectly calibrated", "before", "after"]


def test_each_run_has_a_panel_with_shared_axes(shown):
    runs = {
        f"run {k}": {"training": ([0, 1, 2], [3.0, 2.0, k]), "validation": ([0, 2], [3.0, k + 1])}
        for k in range(5)
    }
    plot_panels(runs, "Runs", "Steps", "Loss", ylim=(0, 4))
    (figure,) = shown
    panels, empty = figure.axes[:5], figure.axes[5:]
    assert [ax.get_title("left") for ax in panels] == list(runs)
    assert [ax.axison for ax in empty] == [False]
    assert panels[1].get_position().x0 > panels[0].get_position().x1, "two in a row"
    assert panels[2].get_position().y1 < panels[0].get_position().y0, "the third below the first"
    for k, ax in enumerate(panels):
        training, validation = ax.lines
        assert_array_equal(training.get_ydata(), [3, 2, k])
        assert_array_equal(validation.get_xdata(), [0, 2])
        assert training.get_color() != validation.get_color()
        assert training.get_linestyle() != validation.get_linestyle()
        assert ax.get_ylim() == (0, 4)
        assert ax.get_xlim() == panels[0].get_xlim()
    assert entries(figure) == ["training", "validation"]


@pytest.mark.parametrize("panels", [{}, {"one": {}}])
def test_panel_without_a_curve_is_refused(panels, shown):
    with pytest.raises(ValueError, match="nothing to draw"):
        plot_panels(panels, **WORDS)
    assert not shown


def test_each_class_has_its_points_marker_and_legend_entry(shown):
    plot_points(POINTS, CLASSES, "toy data")

    (ax,) = shown[0].axes
    assert ax.get_title("left") == "toy data"
    for k, drawn in enumerate(ax.collections):
        assert_array_equal(drawn.get_offsets(), POINTS[k == CLASSES])
    assert entries(ax.figure) == ["class 0", "class 1"]
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
        assert not ax.get_xticks().size
        assert not any(spine.get_visible() for spine in ax.spines.values())
        ink = ax.images[0].cmap([0.0, 0.5, 1.0])
        assert ink[:, 3] == pytest.approx([0, 0.5, 1], abs=0.01), "the paper has no colour"
    assert not figure.axes[5].axison
    assert not figure.axes[5].images


@pytest.mark.parametrize(("count", "in_a_row"), [(3, 3), (6, 3), (7, 4), (12, 4)])
def test_images_stand_in_rows_that_a_phone_can_show(count, in_a_row, shown):
    plot_images(np.ones((count, 2, 2)), ["a"] * count, "t")
    tops = [round(ax.get_position().y1, 6) for ax in shown[0].axes[:count]]
    assert tops.count(tops[0]) == in_a_row


LONG = {
    "title": "A title that is so long that it does not fit the width of a figure",
    "xlabel": "Epoch",
    "ylabel": "A label that is longer than its axis is high",
}
FIGURES = {
    "long words": lambda: plot_curves({"a": [1, 2], "b": [2, 1]}, **LONG),
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
    """Only counts and digits stand on a tile, which the book takes away."""
    settings = plt.rcParams.copy()
    FIGURES[figure]()
    assert plt.rcParams == settings
    (drawn,) = shown
    assert drawn.get_facecolor()[3] == 0
    ground = to_rgba(TILE) if figure in ("images", "confusion") else (0, 0, 0, 0)
    assert {ax.get_facecolor() for ax in drawn.axes if ax.axison} == {ground}


@pytest.mark.parametrize("figure", FIGURES)
def test_no_figure_is_wider_than_a_phone_can_show(figure, shown):
    """A column of 358 pixels on a phone of 390; text of 10 points must keep 9.4 pixels there."""
    FIGURES[figure]()
    (drawn,) = shown
    with laid_out(drawn) as box:
        width = drawn_as_png(drawn, box)[1][0]
    sizes = [text.get_fontsize() for text in drawn.findobj(Text) if text.get_text()]
    assert min(sizes) >= 10
    assert min(sizes) * 96 / 72 * min(1, 358 / width) >= 9.4


def luminance(color):
    parts = np.array(to_rgb(color))
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("ground", ["#ffffff", "#111111", "#1e1e1e"])
@pytest.mark.parametrize("color", [GREY, TITLE, *COLORS])
def test_colours_have_contrast_in_light_and_dark_clients(color, ground):
    """WCAG 2.2 requires 3 : 1 for graphics; the grounds are those of JupyterLab and VS Code."""
    brighter, darker = sorted([luminance(color), luminance(ground)], reverse=True)
    assert (brighter + 0.05) / (darker + 0.05) >= (3 if ground != "#1e1e1e" else 2.75)


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
