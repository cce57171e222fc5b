"""The tokens: contrast on every ground they are meant for, and no colour anywhere else."""

import re
import xml.etree.ElementTree as ElementTree

import pytest
from PIL import Image

from nnweek._tokens import COLORS, DARK, FIXED, LIGHT, SERIES, css
from support import ROOT, text_of

GROUNDS = {  # {text: the grounds it is on}
    "ink": ("bg", "surface", "soft", "ok-soft", "not-yet-soft"),
    "muted": ("bg", "surface", "soft"),
    "accent": ("bg", "surface", "soft", "ok-soft", "not-yet-soft"),
    "ok": ("bg", "ok-soft"),
    "not-yet": ("bg", "not-yet-soft"),
}
SHEETS = sorted((ROOT / "book" / "_static").glob("*.css"))


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_measured_as_the_guidelines_define_it():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_is_legible_on_its_grounds(theme):
    for text, grounds in GROUNDS.items():
        for ground in grounds:
            assert contrast(theme[text], theme[ground]) >= 4.5, f"{text} on {ground}"
    for series in SERIES:
        assert contrast(theme[series], theme["bg"]) >= 4.5, series
        assert contrast(theme[series], theme["surface"]) >= 3, series


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.name)
def test_style_sheet_holds_no_colour_and_only_variables_that_exist(sheet):
    style = re.sub(r"/\*.*?\*/", "", sheet.read_text(encoding="utf-8"), flags=re.DOTALL)
    found = re.findall(
        r"#[0-9a-f]{3,8}\b(?![^{};]*\{)|\brgba?\((?!0 0 0)|\bhsla?\(", style, re.IGNORECASE
    )
    assert found in ([], ["#bbb"]), "a colour that is no token"
    defined = COLORS.keys() | FIXED.keys() | set(re.findall(r"--([\w-]+):", style))
    used = re.findall(r"var\(--([\w-]+)", style)
    assert not [
        name for name in used if name not in defined and not name.startswith(("pst-", "sd-"))
    ]


def test_css_has_both_themes_and_prints_light():
    both = css()
    assert both.count("--ink:#1c2430;") == 2
    assert both.index("@media print{html[data-theme]{") > both.index('html[data-theme="dark"]{')
    assert css("dark").startswith(":root{--bg:#10151c;")
    assert "--measure:36em;" in css("light")


@pytest.mark.parametrize("name", ["logo.svg", "icon.svg"])
def test_drawing_takes_its_colours_from_the_tokens(name):
    text = text_of(f"book/_static/{name}")
    ElementTree.fromstring(text)
    fills = re.findall(r'<g fill="(#\w+)"', text)
    assert fills
    assert set(fills) <= {LIGHT[series] for series in SERIES}


def test_icon_of_a_phone_is_that_of_the_browser():
    with Image.open(ROOT / "book/_static/icon-180.png") as icon:
        assert icon.size == (180, 180)
        seen = {colour for _, colour in icon.convert("RGB").getcolors(10_000)}
    fills = re.findall(r'<g fill="(#\w+)"', text_of("book/_static/icon.svg"))
    for fill in fills:
        wanted = [int(fill[i : i + 2], 16) for i in (1, 3, 5)]
        assert any(max(abs(a - b) for a, b in zip(wanted, one, strict=True)) < 6 for one in seen)
