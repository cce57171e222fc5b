"""The figures of a page: SVGs in the page, in the colours of its theme, and sharp PNGs.

`nnweek._figures` gives each figure as an SVG or, where that is heavier, as a PNG of twice the
density. `finish` places them: an SVG moves into the page, where the colours of `nnweek.plots`
become the variables of `nnweek._tokens`, so a dark page has figures of its own. An image of the
class `cropped` shows an SVG without its axes, as on the cards of the landing page.
"""

import hashlib
import io
import re

import numpy as np
from PIL import Image

from nnweek import _tokens, plots

FIGURE = re.compile(
    r'<img (?![^>]*\bloading=)[^>]*\bsrc="(?P<folder>(?:\.\./)*_images/)(?P<name>[^"]+\.(?:png|svg))"[^>]*>'
)
SIZE = re.compile(r' style="width: (\d+)px; height: (\d+)px;?"')
OWN = re.compile(r'font-family="sans-serif" stroke-linejoin')  # by nnweek._figures

MUTED = "var(--muted)"
VARIABLES = {
    **{color: f"var(--{name})" for color, name in zip(plots.COLORS, _tokens.SERIES, strict=True)},
    **dict.fromkeys((plots.GREY, "#808080"), MUTED),
    **dict.fromkeys((plots.TITLE, plots.INK, "#000000"), "var(--ink)"),
    **dict.fromkeys((plots.TILE, "#ffffff"), "var(--bg)"),
}
VISIBLE_DIFFERENCE = 2.0  # root mean square over the pixels, of 255


def prepare_figures(folder):
    """Compress the PNGs in a folder; return {name: (width, height) or SVG}."""
    figures = {}
    for path in folder.glob("*.svg"):
        if OWN.search(svg := path.read_text(encoding="utf-8")):
            figures[path.name] = svg
    for path in folder.glob("*.png"):
        with Image.open(path) as image:
            figures[path.name] = image.size
        path.write_bytes(with_palette(path.read_bytes()))
    return figures


def with_palette(png):
    """Return the PNG with at most 256 colours, if it then looks the same and is smaller."""
    image = Image.open(io.BytesIO(png)).convert("RGBA")
    few = image.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    if difference(image, few.convert("RGBA")) > VISIBLE_DIFFERENCE:
        return png
    file = io.BytesIO()
    few.save(file, "PNG", optimize=True)
    return min(png, file.getvalue(), key=len)


def difference(one, other):
    """Return the root mean square difference on white or on black, whichever is larger."""

    def on(image, grey):
        ground = Image.new("RGBA", image.size, (grey, grey, grey, 255))
        ground.alpha_composite(image)
        return np.asarray(ground, dtype=float)[..., :3]

    squares = [(on(one, grey) - on(other, grey)) ** 2 for grey in (0, 255)]
    return max(square.mean() for square in squares) ** 0.5


def place_figures(page, figures):
    """Put every SVG into a page, and give the others their dimensions."""

    def placed(tag):
        figure = figures.get(tag["name"])
        if figure is None:
            return tag[0]
        if isinstance(figure, str):
            return in_page(figure, tag[0])
        width, height = figure
        image = tag[0]
        if size := SIZE.search(image):  # of a PNG of twice the density
            (width, height), image = size.groups(), SIZE.sub("", image)
        attributes = f'loading="lazy" decoding="async" width="{width}" height="{height}"'
        return image.replace("<img ", f"<img {attributes} ", 1)

    return FIGURE.sub(placed, page)


def in_page(svg, image):
    """Return an SVG with the alt text and the classes of an image, in the colours of its page."""
    classes = "drawn " + "".join(re.findall(r'\bclass="([^"]*)"', image))
    if f"fill: {plots.TILE}" in svg:
        classes += " inked"  # its pictures are black, and figures.css turns them on a dark page
        svg = svg.replace(f"fill: {plots.TILE}", "fill: none")
    if "cropped" in classes:
        svg = cropped(svg)
    prefix = "f" + hashlib.sha256(svg.encode()).hexdigest()[:6]
    svg = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{prefix}-", svg)
    svg = re.sub(r"#[0-9a-f]{6}\b", lambda color: VARIABLES.get(color[0], color[0]), svg)
    svg = svg.replace(' font-family="sans-serif"', "").replace(
        ' xmlns="http://www.w3.org/2000/svg"', ""
    )
    alt = re.search(r'\balt="([^"]*)"', image)
    svg = re.sub(r'aria-label="[^"]*"', lambda _: f'aria-label="{alt[1]}"', svg, count=1)
    return svg.replace("<svg", f'<svg class="{classes.strip()}"', 1)


def cropped(svg):
    """Return an SVG of its axes only, which are the area that its lines are clipped to.

    The names at the ends of lines, in the colours of the lines, go too.
    """
    names = "|".join(plots.COLORS)
    svg = re.sub(rf"<text [^>]*text-anchor: start; fill: (?:{names})[^>]*>.*?</text>", "", svg)
    boxes = [
        [float(number) for number in box]
        for box in re.findall(
            r'<clipPath [^>]*><rect x="(\S+)" y="(\S+)" width="(\S+)" height="(\S+)"', svg
        )
    ]
    if not boxes:
        return svg
    left, top = (min(box[k] for box in boxes) for k in (0, 1))
    right, bottom = (max(box[k] + box[k + 2] for box in boxes) for k in (0, 1))
    box = f"{left:.1f} {top:.1f} {right - left:.1f} {bottom - top:.1f}"
    svg = re.sub(r'viewBox="[^"]*" width="[^"]*" height="[^"]*"', f'viewBox="{box}"', svg, count=1)
    return svg.replace("<svg ", '<svg preserveAspectRatio="xMidYMid slice" ', 1)
