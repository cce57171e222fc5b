"""The figures of the pages: light, sharp, and SVGs in the colours of the page's theme."""

import io
import re

import figures
import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import Image

from nnweek import _tokens, plots
from nnweek._figures import drawn_as_svg
from nnweek.plots import plot_confusion, plot_curves, plot_images

IMAGE = '<img alt="Two &lt;curves&gt; &amp; more." class="wide" src="{}_images/a.svg" />'


def svg_of(draw, shown):
    """The SVG file that MyST-NB writes of a figure."""
    draw()
    return drawn_as_svg(shown[-1], "words")


def curves():
    plot_curves({"training": [3, 2, 1], "validation": [1, 2, 3]}, "Title", "x", "y")


def placed(svg, image=IMAGE):
    """The SVG on a page, parsed."""
    page = figures.place_figures(f"<p>{image.format('../')}</p>", {"a.svg": svg})
    (found,) = BeautifulSoup(page, "html.parser").p.find_all(True, recursive=False)
    return found


def test_svg_moves_into_the_page_with_alt_text_and_classes(shown):
    svg = placed(svg_of(curves, shown))
    assert svg.name == "svg"
    assert (svg["role"], svg["aria-label"]) == ("img", "Two <curves> & more.")
    assert svg["class"] == ["drawn", "wide"]
    assert [tag["data-label"] for tag in svg.select("[data-label]")] == ["training", "validation"]


def test_colours_are_the_variables_of_the_tokens(shown):
    text = str(placed(svg_of(curves, shown)))
    used = set(re.findall(r"var\(--([\w-]+)\)", text))
    assert used == {"s1", "s2", "muted", "ink"}
    assert used <= _tokens.COLORS.keys()
    assert not re.search(r"#[0-9a-f]{6}\b", text), "a colour of its own"
    assert "font-family" not in text, "text has the font of the page"


@pytest.mark.parametrize("draw", [
    lambda: plot_confusion(np.array([[5, 1], [0, 6]]), "t"),
    lambda: plot_images(np.eye(3)[None], ["a"], "t"),
])  # fmt: skip
def test_tile_of_counts_and_digits_stays_in_the_notebook(draw, shown):
    svg = svg_of(draw, shown)
    assert f"fill: {plots.TILE}" in svg
    page = placed(svg)
    assert "inked" in page["class"]
    assert plots.TILE not in str(page)
    assert "var(--bg)" not in str(page)
    assert "var(--ink)" in str(page) or page.select("image")


def test_ids_of_two_figures_do_not_meet(shown):
    one = placed(svg_of(curves, shown))
    other = placed(svg_of(lambda: plot_curves({"a": [1, 2]}, "t", "x", "y"), shown))
    ids = [[tag["id"] for tag in svg.select("[id]")] for svg in (one, other)]
    assert all(ids)
    assert not {*ids[0]} & {*ids[1]}
    for svg, own in zip((one, other), ids, strict=True):
        references = re.findall(r'(?:href="|url\()#([^")]+)', str(svg))
        assert {*references} == {*own}


def test_cropped_figure_shows_its_axes_only(shown):
    whole = placed(svg_of(curves, shown))
    part = placed(svg_of(curves, shown), IMAGE.replace("wide", "cropped"))
    (left, top, width, height), (_, _, full_width, full_height) = (
        [float(number) for number in svg["viewbox"].split()] for svg in (part, whole)
    )
    assert 0 < left < left + width < full_width
    assert 0 < top < top + height < full_height
    assert not part.has_attr("width")


def test_svg_of_another_origin_stays_an_image(tmp_path):
    (tmp_path / "a.svg").write_text('<svg viewBox="0 0 1 1"><path d="M0 0"/></svg>')
    prepared = figures.prepare_figures(tmp_path)
    assert figures.place_figures(IMAGE.format(""), prepared) == IMAGE.format("")


def test_png_of_twice_the_density_is_shown_at_half_its_size(tmp_path):
    Image.new("RGB", (40, 20)).save(tmp_path / "a.png")
    image = '<img alt="A" src="_images/a.png" style="width: 20px; height: 10px;" />'
    page = figures.place_figures(image, figures.prepare_figures(tmp_path))
    assert 'width="20" height="10"' in page
    assert "style" not in page


def test_variables_are_distinct_and_defined():
    assert {*figures.VARIABLES} >= {*plots.COLORS, plots.GREY, plots.TITLE, plots.INK}
    names = {value.removeprefix("var(--").removesuffix(")") for value in figures.VARIABLES.values()}
    assert names <= _tokens.COLORS.keys()
    assert len({figures.VARIABLES[color] for color in plots.COLORS}) == len(plots.COLORS)


def test_figure_loses_half_its_bytes_and_looks_the_same(shown):
    plot_curves({"one": [3, 2, 1], "two": [1, 2, 3]}, "Title", "x", "y")
    file = io.BytesIO()
    shown[0].savefig(file, dpi=100)
    light = figures.with_palette(file.getvalue())
    assert len(light) < len(file.getvalue()) / 2
    before, after = (Image.open(io.BytesIO(b)).convert("RGBA") for b in (file.getvalue(), light))
    assert before.size == after.size
    assert figures.difference(before, after) <= figures.VISIBLE_DIFFERENCE


def test_picture_with_too_many_colours_for_a_palette_stays():
    noise = np.random.default_rng(0).integers(0, 256, size=(64, 64, 3), dtype=np.uint8)
    photo = io.BytesIO()
    Image.fromarray(noise).save(photo, "PNG")
    assert figures.with_palette(photo.getvalue()) == photo.getvalue()


def test_difference_is_measured_on_white_and_on_black():
    clear, black, white = (Image.new("RGBA", (4, 4), c) for c in ("#0000", "#000f", "#ffff"))
    assert figures.difference(clear, clear) == 0
    assert figures.difference(clear, black) == 255
    assert figures.difference(clear, white) == 255
