"""The figures of the week, as their pages show them: one colour for a name, and to be seen."""

import re
from collections import defaultdict

import pytest
from PIL import Image

from nnweek import _tokens
from nnweek.plots import SERIES, _name_in
from support.contents import DAYS, PAGES, day_page
from support.notebooks import code_cells, every_day, is_hidden
from support.site import SITE, alt_text, article, html_of

PHONE = 358  # pixels of a column on a phone of 390
CLEAR = 0.5  # what is fainter is a ground: a grid, a band, a region


def figures(page):
    return article(page).select("svg.drawn")


def colours(tag):
    """The colours in which a tag and all in it are drawn, without grounds and outlines."""
    for one in [tag, *tag.find_all(True)]:
        style = dict(re.findall(r"([\w-]+): ([^;]+)", one.get("style", "")))
        for kind in ("fill", "stroke"):
            color = style.get(kind, "none")
            alpha = float(style.get(f"{kind}-opacity", 1)) * float(style.get("opacity", 1))
            if color not in ("none", "var(--bg)") and alpha > CLEAR:
                yield color


@every_day
def test_every_figure_is_on_the_page_with_its_alt_text(day):
    shown = article(day_page(day)).select(".cell_output :is(img, svg.drawn)")
    cells = [cell for cell in code_cells(day) if not is_hidden(cell)]
    described = [
        cell.metadata["mystnb"]["image"]["alt"] for cell in cells if "mystnb" in cell.metadata
    ]
    assert [alt_text(figure) for figure in shown] == described
    for figure in shown:
        if figure.name == "img":
            file = ((SITE / day_page(day)).parent / figure["src"]).resolve()
            assert file.read_bytes().startswith(b"\x89PNG"), file


@every_day
def test_no_figure_is_wider_than_the_column_or_too_small_for_a_phone(day):
    """Text has 9.4 pixels on a phone, exponents and what stands in a picture aside."""
    for figure in figures(day_page(day)):
        width = float(figure["width"])
        assert width <= 704, alt_text(figure)
        sizes = [float(size) for size in re.findall(r"font-size: ([\d.]+)px", str(figure))]
        normal = [size for size in sizes if size > 7.5]  # in a formula: an index, an exponent
        pixels = min(normal, default=10) * 96 / 72 * min(1, PHONE / width)
        assert pixels >= 9.4, f"{pixels:.1f} pixels: {alt_text(figure)}"


@every_day
def test_picture_of_pixels_has_twice_the_density(day):
    for image in article(day_page(day)).select(".cell_output img"):
        with Image.open((SITE / day_page(day)).parent / image["src"]) as file:
            if "TensorBoard" in image["alt"]:
                continue
            assert file.width == pytest.approx(2 * int(image["width"]), abs=2), image["alt"]


def test_a_name_has_one_colour_all_week():
    found = defaultdict(lambda: defaultdict(set))
    for page in DAYS:
        for figure in figures(page):
            for series in figure.select("[data-label]"):
                for color in set(colours(series)) - {"var(--muted)"}:
                    found[_name_in(series["data-label"])][color].add(alt_text(figure)[:60])
    assert len(found) >= 15
    assert found.keys() & SERIES.keys() >= {"SGD", "Adam", "training", "validation", "ReLU", "tanh"}
    changing = {name: dict(used) for name, used in found.items() if len(used) > 1}
    assert not changing, "add the name to SERIES, or draw it with style_of"
    for name in found.keys() & SERIES.keys():
        assert found[name].keys() == {f"var(--{_tokens.SERIES[SERIES[name]]})"}, name


def luminance(color):
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", ["LIGHT", "DARK"])
def test_everything_in_a_figure_has_contrast(theme):
    """WCAG 2.2: 3 for marks, on a page and on a quiet ground, and 4.5 for words on a page."""
    tokens = getattr(_tokens, theme)
    faint = defaultdict(set)
    for page in PAGES:
        for figure in figures(page):
            words = {color for text in figure.select("text") for color in colours(text)}
            for color in {*colours(figure)}:
                value = re.sub(r"var\(--([\w-]+)\)", lambda name: tokens[name[1]], color)
                assert re.fullmatch("#[0-9a-f]{6}", value), color
                for ground in ("bg", "surface"):
                    high, low = sorted([luminance(value), luminance(tokens[ground])], reverse=True)
                    contrast = (high + 0.05) / (low + 0.05)
                    if contrast < (4.5 if color in words and ground == "bg" else 3):
                        faint[alt_text(figure)[:60]].add(f"{color} on {ground}: {contrast:.2f}")
    assert not faint


def test_figures_carry_no_light_box_and_no_font_of_their_own():
    for page in DAYS:
        for figure in figures(page):
            assert "font-family" not in str(figure)
            assert not re.search("fill: #f[ef]", str(figure)), alt_text(figure)
    assert "svg.inked" in next(SITE.glob("_static/styles-*.css")).read_text(encoding="utf-8")
    assert html_of(DAYS[3]).select("svg.inked image"), "the digits of Day 32"
