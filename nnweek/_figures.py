"""How a figure reaches a notebook: sharp, light, and with a description.

`nnweek.plots` installs this in a notebook's kernel. Every figure becomes a PNG of twice the
density and, unless that is heavier, an SVG; clients and the book prefer the SVG. The SVG has
nothing that the eye does not see: coordinates to a tenth of a point, no ids but those in use. A
series carries its label (`data-label`), so that a test can see that a name keeps its colour.
"""

import base64
import contextlib
import gzip
import io
import re
from html import escape, unescape
from itertools import groupby

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.container import Container

POINTS = 72  # per inch, the unit of an SVG of matplotlib
PIXELS = 96  # per inch, in a browser
MARGIN = 0.03  # inches around what is drawn
LABEL = "label:"  # the id of a series in matplotlib's SVG is this and its label


def install(shell):
    """Let a notebook's kernel show its figures in this way."""
    if formatters := getattr(shell, "display_formatter", None):
        # This one comes before those of `%matplotlib inline`, which would add an SVG or PNG of
        # their own, and mark transparent figures so that dark clients put them in a white box.
        formatters.ipython_display_formatter.for_type(
            plt.Figure, lambda figure: show(figure, alt_text(shell))
        )
    if not plt.get_fignums():
        # Now, not within the `rc_context` of the first figure, whose end would take it back:
        # a notebook shows what a cell has drawn also without `plt.show()`.
        plt.switch_backend(matplotlib.get_backend())


def show(figure, alt=None):
    """Show a figure in a notebook, with an alt text or else a description made from its words."""
    from IPython.display import display

    data, metadata = bundle(figure, alt or description(figure))
    display(data, metadata=metadata, raw=True)


def bundle(figure, alt):
    """Return a figure as Jupyter wants it, {MIME type: data}, and the metadata of each."""
    with laid_out(figure) as box:
        svg = drawn_as_svg(figure, alt, box)
        png, (width, height) = drawn_as_png(figure, box)
    data = {"text/plain": alt, "image/png": base64.b64encode(png).decode()}
    metadata = {"image/png": {"alt": alt, "width": width, "height": height}}
    # A palette halves the PNGs of the book (book/_ext/figures.py), and servers compress an SVG.
    if len(gzip.compress(svg.encode())) <= len(png) / 2:
        data["image/svg+xml"] = svg
        metadata["image/svg+xml"] = {"alt": alt}
    return data, metadata


def alt_text(shell):
    """Return the alt text in the metadata of the running cell, if the client sent them."""
    try:
        return shell.get_parent()["metadata"]["mystnb"]["image"]["alt"]
    except (AttributeError, LookupError, TypeError):
        return None


def description(figure):
    """Describe a figure by the words in it."""
    parts = [figure.get_suptitle()]
    for ax in figure.axes:
        parts += [
            ax.get_title("left") or ax.get_title(),
            " against ".join(filter(None, (ax.get_ylabel(), ax.get_xlabel()))),
        ]
        parts.append(", ".join(ax.get_legend_handles_labels()[1]))
    return ". ".join(dict.fromkeys(filter(None, parts))) or "A figure"


@contextlib.contextmanager
def laid_out(figure):
    """Lay a figure out once, for all that is drawn in the block; yield the box of what is seen."""
    figure.draw_without_rendering()
    engine = figure.get_layout_engine()
    figure.set_layout_engine("none")
    yield figure.get_tightbbox().padded(MARGIN)
    figure.set_layout_engine(engine)


def drawn_as_png(figure, box="tight"):
    """Return a PNG of twice the density, and its size in a browser's pixels."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=2 * PIXELS, bbox_inches=box)
    png = file.getvalue()
    width, height = (int.from_bytes(png[at : at + 4], "big") // 2 for at in (16, 20))
    return png, (width, height)


def drawn_as_svg(figure, alt, box="tight"):
    """Return a figure as a light SVG."""
    for ax in figure.axes:
        for artist, label in zip(*ax.get_legend_handles_labels(), strict=True):
            parts = artist.get_children() if isinstance(artist, Container) else [artist]
            for part in parts:
                part.set_gid(LABEL + label)
    file = io.StringIO()
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "nnweek"}):
        figure.savefig(file, format="svg", metadata={"Date": None}, bbox_inches=box)
    return light(file.getvalue(), alt)


def light(svg, alt):
    """Return matplotlib's SVG without what nobody sees; its text takes the font of its page."""
    _, _, width, height = re.search(r'viewBox="(\S+) (\S+) (\S+) (\S+)"', svg).groups()
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<style.*?</style>", "", svg, flags=re.S)
    svg = svg[svg.index(">", svg.index("<svg")) + 1 :].replace("xlink:href", "href")
    svg = re.sub(r" font-family: [^;\"]*;?| transform=\"rotate\(-?0 [^\"]*\"", "", svg)
    svg = re.sub(r"<g [^>]*>\s*<text>.*?</text>\s*</g>", _flowing, svg, flags=re.S)
    svg = re.sub(r'<path [^>]*style="fill: none"/>', "", svg)
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', svg))
    svg = re.sub(r' id="([^"]*)"', lambda found: _name(found[1], used), svg)
    svg = re.sub(r' (?:d|x|y|width|height)="[^"]*"|translate\([^)]*\)', _rounded, svg)
    svg = re.sub(r"\s*\n\s*", "\n", svg)
    while (shorter := re.sub(r"<g>\s*((?:<(?:path|text|use)[^>]*/>\s*)?)</g>", r"\1", svg)) != svg:
        svg = shorter  # groups of one element or none
    svg = re.sub(r"<defs>\s*</defs>|(?<=>)\n|\n(?=<)", "", svg)
    size = "".join(
        f' {name}="{float(value) * PIXELS / POINTS:.0f}"'
        for name, value in [("width", width), ("height", height)]
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"{size} role="img"'
        f' aria-label="{escape(alt)}" font-family="sans-serif" stroke-linejoin="round">{svg}'
    )


def _name(name, used):
    if name.startswith(LABEL):
        return f' data-label="{name.removeprefix(LABEL)}"'
    return f' id="{name}"' if name in used else ""


def _rounded(found):
    """Round coordinates to a tenth of a point, those of a small marker to a hundredth."""

    def short(number):
        value = float(number[0])
        return f"{value:.{1 if abs(value) >= 10 else 2}f}".rstrip("0").rstrip(".") or "0"

    text = re.sub(r"-?\d+\.\d+", short, found[0])
    return re.sub(r"\s*([MLQCz])\s*", r"\1", text)


def _flowing(found):
    """Let the letters of a formula follow each other, in whatever font, around their middle."""
    tag = re.compile(r'<tspan x="([^"]*)" y="(\S+)" style="([^"]*)">(.*?)</tspan>', re.S)
    letters = sorted(  # matplotlib has a tag for each style, with the places of its letters
        (float(x), letter, float(y), style)
        for places, y, style, word in tag.findall(found[0])
        for x, letter in zip(places.split(), unescape(word), strict=True)
    )
    if not letters:
        return found[0]
    text, above = "", 0
    for (y, style), run in groupby(letters, key=lambda letter: letter[2:]):
        word = escape("".join(letter for _, letter, *_ in run).replace("\xa0", " "))
        text += f'<tspan dy="{y - above:.2f}" style="{style}">{word}</tspan>'
        above = y
    middle = (letters[0][0] + letters[-1][0] + 6) / 2  # a letter is about 6 points wide
    group = found[0][: found[0].index("<text>")]
    return (
        f'{group}<text x="{middle:.1f}" text-anchor="middle" xml:space="preserve">{text}</text></g>'
    )
