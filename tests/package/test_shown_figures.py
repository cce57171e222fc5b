"""How a figure reaches a notebook: as SVG and PNG, light, sharp and with a description."""

import base64
import io
import re
import types
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from nnweek._figures import alt_text, bundle, description, drawn_as_svg
from nnweek.plots import plot_bands, plot_curves, plot_panels, plot_points

CURVES = {"training": [3, 2, 1], "validation": [1, 2, 3]}


@pytest.fixture
def figure(shown):
    plot_curves(CURVES, "Loss & $x_1$", "Epoch", "Loss in $L$ nats")
    return shown[0]


def test_figure_is_a_sharp_png_and_a_light_svg_with_itsalt_text(figure):
    data, metadata = bundle(figure, "Two <curves>.")
    assert data["text/plain"] == "Two <curves>."
    assert {kind: words["alt"] for kind, words in metadata.items()} == {
        "image/png": "Two <curves>.",
        "image/svg+xml": "Two <curves>.",
    }
    png = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert (png.width // 2, png.height // 2) == (
        metadata["image/png"]["width"], metadata["image/png"]["height"],
    )  # fmt: skip
    svg = ElementTree.fromstring(data["image/svg+xml"])
    assert svg.get("aria-label") == "Two <curves>."
    assert abs(int(svg.get("width")) - png.width / 2) < 2
    assert len(data["image/svg+xml"]) < 8000


def test_heavy_figure_is_a_png_only(shown):
    plt.figure()
    plt.plot(*np.random.default_rng(0).random((2, 30_000)), ".")
    plt.show()
    data, metadata = bundle(shown[0], "noise")
    assert data.keys() == {"text/plain", "image/png"}
    assert metadata.keys() == {"image/png"}


def test_svg_keeps_what_is_seen(figure):
    """The coordinates of the curves, in points, to a tenth."""
    svg = drawn_as_svg(figure, "a")
    ax = figure.axes[0]
    paths = dict(re.findall(r'<g data-label="(\w+)"><path d="M([^"]*)"', svg))
    assert paths.keys() == CURVES.keys()
    for line in ax.lines:
        drawn = np.array([p.split() for p in paths[line.get_label()].split("L")], dtype=float)
        exact = ax.transData.transform(line.get_xydata()) * 72 / figure.dpi
        np.testing.assert_allclose(np.diff(drawn[:, 0]), np.diff(exact[:, 0]), atol=0.11)
        np.testing.assert_allclose(np.diff(drawn[:, 1]), -np.diff(exact[:, 1]), atol=0.11)
    root = ElementTree.fromstring(svg)
    words = ["".join(tag.itertext()) for tag in root.findall(".//{*}text")]
    assert {"Epoch", "Loss & x1", "Loss in L nats", "validation"} <= {*words}


def test_series_carry_their_labels(shown):
    line = ([1, 2], [3, 4])
    plot_bands({"Adam": (*line, [2, 3], [4, 5]), "SGD": (*line, [2, 3], [4, 5])}, "t", "x", "y")
    plot_panels({"a": {"training": line}, "b": {"training": line}}, "t", "x", "y")
    plot_points(np.eye(2), np.array([0, 1]), "t")
    found = [re.findall('data-label="([^"]*)"', drawn_as_svg(drawn, "a")) for drawn in shown]
    assert found == [["Adam", "SGD"], ["training", "training"], ["class 0", "class 1"]]


def testalt_text_comes_from_the_cell_if_the_client_sends_it():
    def shell(parent):
        return types.SimpleNamespace(get_parent=lambda: parent)

    cell = {"mystnb": {"image": {"alt": "Two curves."}}}
    assert alt_text(shell({"metadata": cell})) == "Two curves."
    assert alt_text(shell({"metadata": {"tags": []}})) is None
    assert alt_text(shell({})) is None
    assert alt_text(types.SimpleNamespace()) is None, "a terminal"


def test_otherwise_the_words_of_the_figure_describe_it(figure):
    assert (
        description(figure) == "Loss & $x_1$. Loss in $L$ nats against Epoch. training, validation"
    )
    empty = plt.figure()
    assert description(empty) == "A figure"
    plt.close(empty)


CELLS = """
from nnweek.plots import plot_curves
plot_curves({"SGD": [3, 2], "Adam": [2, 1]}, "Loss", "Epoch", "nats")
---
import matplotlib.pyplot as plt
plt.plot([1, 2])
plt.title("mine");
"""


@pytest.mark.slow
def test_notebook_shows_every_figure_once_and_without_a_white_box():
    """A cell's own figure, too, and without `plt.show()`."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    cells = [nbformat.v4.new_code_cell(text.strip()) for text in CELLS.split("---")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, kernel_name="python3").execute()
    for cell, alt in zip(
        notebook.cells, ["Loss. nats against Epoch. SGD, Adam", "mine"], strict=True
    ):
        (output,) = cell.outputs
        assert output.data.keys() == {"image/png", "image/svg+xml", "text/plain"}
        assert output.metadata["image/png"]["alt"] == alt
        assert "needs_background" not in output.metadata
