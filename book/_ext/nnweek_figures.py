"""The figures of the pages: one of each day on the landing page, and all of them light.

A figure is fetched when the reader comes near it, and keeps its place until then. One that
moves stands still, in its last state, where the reader's system asks for no motion.
"""

import io
import re
from pathlib import Path

import numpy as np
from docutils import nodes
from PIL import Image
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective


def setup(app):
    app.connect("doctree-resolved", fill_in_figures)
    app.connect("build-finished", make_figures_light)
    app.add_node(figure_of)
    app.add_directive("figure-of", FigureOf)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


# --- A figure of another page ------------------------------------------------------------------


class figure_of(nodes.General, nodes.Element):
    """The place of a figure that another page will have made."""


class FigureOf(SphinxDirective):
    """A figure of another page; the content says how its alt text begins."""

    required_arguments = 1
    has_content = True

    def run(self):
        self.env.note_reread()  # the other page may have made its figure anew
        return [figure_of(page=self.arguments[0], alt=" ".join(self.content))]


def fill_in_figures(app, doctree, docname):
    for place in list(doctree.findall(figure_of)):
        images = app.env.get_doctree(place["page"]).findall(nodes.image)
        found = [image for image in images if image.get("alt", "").startswith(place["alt"])]
        if found:
            place.replace_self(found[0].deepcopy())
        else:
            text = f"{place['page']} has no figure whose alt text begins with {place['alt']!r}"
            logging.getLogger(__name__).warning(text, location=docname)
            place.parent.remove(place)


# --- Light figures -----------------------------------------------------------------------------

FIGURE = re.compile(r'<img (?![^>]*\bloading=)[^>]*\bsrc="((?:\.\./)*_images/[^"]+\.png)"[^>]*>')
ALIKE = 2.0  # root mean square of the differences, of 255, on white and on black


def make_figures_light(app, exception):
    """Halve the files of the figures, and tell the pages how large each of them is."""
    if exception is not None or app.builder.name != "html":
        return
    site = Path(app.outdir)
    for path in (site / "_images").glob("*.png"):
        with Image.open(path) as image:
            if not getattr(image, "is_animated", False):
                path.write_bytes(with_a_palette(path.read_bytes()))
            elif not still_of(path).exists():
                image.seek(image.n_frames - 1)
                image.save(still_of(path), optimize=True)
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        page.write_text(FIGURE.sub(lambda tag, at=page.parent: placed(tag, at), text), "utf-8")


def still_of(path):
    return path.with_name(f"{path.stem}-still.png")


def with_a_palette(png):
    """Return the PNG with at most 256 colours, if it then looks the same and is smaller."""
    image = Image.open(io.BytesIO(png)).convert("RGBA")
    few = image.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    if difference(image, few.convert("RGBA")) > ALIKE:
        return png
    file = io.BytesIO()
    few.save(file, "PNG", optimize=True)
    return min(png, file.getvalue(), key=len)


def difference(one, other):
    """The larger root mean square of what differs to the eye, on white and on black."""

    def seen(image, paper):
        ground = Image.new("RGBA", image.size, (paper, paper, paper, 255))
        ground.alpha_composite(image)
        return np.asarray(ground, dtype=float)[..., :3]

    squares = [(seen(one, paper) - seen(other, paper)) ** 2 for paper in (0, 255)]
    return max(square.mean() for square in squares) ** 0.5


def placed(tag, folder):
    """Return the tag of a figure with its size, and with its still where it moves."""
    path = folder / tag[1]
    with Image.open(path) as image:
        size = f'width="{image.width}" height="{image.height}"'
    img = tag[0].replace("<img ", f'<img loading="lazy" decoding="async" {size} ', 1)
    if not still_of(path).exists():
        return img
    still = f'<source media="(prefers-reduced-motion: reduce)" srcset="{still_of(Path(tag[1]))}"/>'
    return f"<picture>{still}{img}</picture>"
