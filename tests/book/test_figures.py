"""Figures are made lighter, and look as before."""

import io
import re
import sys

import numpy as np
from PIL import Image

from nnweek.plots import plot_curves
from support import ROOT

sys.path.insert(0, str(ROOT / "book" / "_ext"))
import nnweek_figures


def png(image):
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def test_a_figure_loses_half_its_bytes_and_nothing_that_is_seen(shown):
    plot_curves({"one": [3, 2, 1], "two": [1, 2, 3]}, "Title", "x", "y")
    file = io.BytesIO()
    shown[0].savefig(file, dpi=100)
    light = nnweek_figures.with_a_palette(file.getvalue())
    assert len(light) < len(file.getvalue()) / 2
    before, after = (Image.open(io.BytesIO(b)).convert("RGBA") for b in (file.getvalue(), light))
    assert before.size == after.size
    assert nnweek_figures.difference(before, after) <= nnweek_figures.ALIKE


def test_a_picture_with_more_colours_than_a_palette_holds_stays_as_it_is():
    noise = np.random.default_rng(0).integers(0, 256, size=(64, 64, 3), dtype=np.uint8)
    photo = png(Image.fromarray(noise))
    assert nnweek_figures.with_a_palette(photo) == photo


def test_the_difference_is_seen_on_white_and_on_black():
    clear, black, white = (Image.new("RGBA", (4, 4), c) for c in ("#0000", "#000f", "#ffff"))
    assert nnweek_figures.difference(clear, clear) == 0
    assert nnweek_figures.difference(clear, black) == 255
    assert nnweek_figures.difference(clear, white) == 255


def test_a_figure_gets_its_size_once_and_a_moving_one_its_still(tmp_path):
    (tmp_path / "_images").mkdir()
    frames = [Image.new("RGB", (30, 20), colour) for colour in ("red", "green", "blue")]
    frames[0].save(tmp_path / "_images/a.png", save_all=True, append_images=frames[1:])
    (tmp_path / "page.html").write_text('<img alt="A" src="_images/a.png" /> <img src="b.svg" />')

    class App:
        outdir = tmp_path

        class builder:
            name = "html"

    nnweek_figures.make_figures_light(App, None)
    once = (tmp_path / "page.html").read_text()
    assert re.search(r'<picture><source media="\(prefers-reduced-motion: reduce\)"', once)
    assert 'width="30" height="20" alt="A" src="_images/a.png"' in once
    assert once.count("width=") == 1
    with Image.open(tmp_path / "_images/a-still.png") as still:
        assert still.convert("RGB").getpixel((5, 5)) == (0, 0, 255), "the last state"
    with Image.open(tmp_path / "_images/a.png") as moving:
        assert moving.n_frames == 3
    nnweek_figures.make_figures_light(App, None)
    assert (tmp_path / "page.html").read_text() == once
    assert len(list((tmp_path / "_images").iterdir())) == 2
