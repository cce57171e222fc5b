"""What the book's extension does to the theme: its labels, its scripts, its icons."""

import sys

import pytest
from sphinx.errors import ExtensionError

from support import ROOT

sys.path.insert(0, str(ROOT / "book" / "_ext"))
import nnweek_theme

STYLES = (nnweek_theme.ORIGINALS / nnweek_theme.STYLES).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def script():
    file = nnweek_theme.ORIGINALS / nnweek_theme.ICON_SCRIPT
    if not file.is_file():
        pytest.skip("the theme for Python 3.10 is an older one, whose icons are letters of a font")
    return file.read_text(encoding="utf-8")


def test_a_page_that_an_earlier_build_repaired_is_not_repaired_again():
    """Sphinx writes only the pages that changed; the others keep the repairs they have."""
    sidebar = '<div id="pst-primary-sidebar" class="bd-sidebar-primary bd-sidebar">'
    icon = '<i class="theme-switch fa-solid fa-sun fa-lg" data-mode="light" title="Light"></i>'
    script = '<script data-x="" src="a.js"></script><script>let a = 1;</script>'
    once = nnweek_theme.repaired(
        sidebar + icon + script + '<summary aria-label="Toggle hidden content">'
    )
    assert once.count('role="region" aria-label="Site"') == 1
    assert "Light" not in once
    assert "Toggle" not in once
    assert '<script defer data-x="" src="a.js"></script><script>let a = 1;</script>' in once
    assert nnweek_theme.repaired(once) == once


def test_an_icon_in_use_stays_as_it_is_and_the_others_go(script):
    thin = nnweek_theme.with_icons(script, {"arrow-up": "index.html"})
    (kept,) = nnweek_theme.ICON.finditer(thin)
    assert kept["name"] == '"arrow-up"'
    assert kept[0].rstrip(",") in script
    assert len(thin) < len(script) / 10


def test_an_icon_is_known_by_its_other_names_too(script):
    thin = nnweek_theme.with_icons(script, {"adjust": "index.html"})
    assert '"circle-half-stroke":[' in thin


def test_an_icon_that_there_is_not_fails_with_its_name_and_its_page(script):
    used = {"arrow-up": "index.html", "no-such-icon": "setup.html", "lg": "index.html"}
    with pytest.raises(ExtensionError, match=r"no such icon: fa-no-such-icon \(setup\.html\)$"):
        nnweek_theme.with_icons(script, used, nnweek_theme.classes(STYLES))


def test_icons_are_found_in_the_pages_and_in_the_scripts(tmp_path):
    (tmp_path / "_static" / "scripts").mkdir(parents=True)
    own = tmp_path / "_static" / "scripts" / "fontawesome.js"
    own.write_text('"fa-ghost"')
    (tmp_path / "_static" / "theme.js").write_text('button.className = "fa-solid fa-xmark";')
    (tmp_path / "page.html").write_text('<i class="fas fa-file-pdf"></i> the class fa-word')
    assert nnweek_theme.icons_in_use(tmp_path, ignoring=own) == {
        "file-pdf": "page.html",
        "solid": "theme.js",
        "xmark": "theme.js",
    }


def test_the_styles_lose_the_letters_and_nothing_else(script):
    thin = nnweek_theme.LETTER.sub("", STYLES)
    assert ".fa-arrow-up:before{content:" in STYLES
    assert ".fa-arrow-up:before{content:" not in thin
    assert "@font-face" in thin  # for the marks that the styles themselves draw
    assert thin.count("{") == thin.count("}")
