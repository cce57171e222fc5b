"""The built site in the folder that `NNWEEK_SITE` names; without it, its tests are skipped."""

import functools
import os
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

if not os.environ.get("NNWEEK_SITE"):
    pytest.skip(
        "NNWEEK_SITE is not set; after `make book`: NNWEEK_SITE=book/_build/html pytest tests",
        allow_module_level=True,
    )

SITE = Path(os.environ["NNWEEK_SITE"]).expanduser().resolve()


def read(name):
    """The text of a file of the site."""
    return (SITE / name).read_text(encoding="utf-8")


def html_of(page):
    """A page of the site, parsed."""
    return parsed(SITE / f"{page}.html")


@functools.cache
def parsed(file):
    """An HTML file, parsed."""
    assert file.is_file(), f"{file} is missing"
    return BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")


def article(page):
    """What a page of the site says, without the navigation around it."""
    return html_of(page).select_one("article")


def alt_text(figure):
    """What a screen reader says of a figure: an image, or an SVG in the page."""
    return figure["alt"] if figure.name == "img" else figure["aria-label"]
