"""One stylesheet in the place of all that a page names, without the rules that match nothing."""

import sys
import types

import pytest

from support import ROOT

sys.path.insert(0, str(ROOT / "book" / "_ext"))
import nnweek_styles


def kept(folder, style, words, name="a.css"):
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(style, encoding="utf-8")
    return "".join(nnweek_styles.kept(file, folder, set(words.split())).split())


@pytest.mark.parametrize(
    ("rule", "stays"),
    [
        ("p { color: red }", True),
        (".card { color: red }", True),
        (".ghost { color: red }", False),
        (".card .ghost > p { color: red }", False),
        ("p:not(.ghost) { color: red }", True),
        (":is(.ghost, .card) p { color: red }", True),
        ('a[href=".ghost"] { color: red }', True),
        (".sd-card-2 { color: red }", False),
        (":root { --colour: red }", True),
        (r".card\:hover { color: red }", False),
    ],
)
def test_a_rule_stays_if_every_class_it_asks_for_is_a_word_of_the_site(tmp_path, rule, stays):
    assert kept(tmp_path, rule, "card sd-card a") == ("".join(rule.split()) if stays else "")


def test_of_several_selectors_those_that_match_nothing_go(tmp_path):
    style = ".ghost, .card:is(.x, .y), p.ghost, h1 { color: red }"
    assert kept(tmp_path, style, "card") == ".card:is(.x,.y),h1{color:red}"


def test_rules_within_others_are_looked_at_one_by_one(tmp_path):
    style = (
        "@media print { .ghost { top: 0 } .card { top: 1px } } @media screen { .ghost { top: 0 } }"
    )
    assert kept(tmp_path, style, "card") == "@mediaprint{.card{top:1px}}"


def test_what_is_no_rule_for_elements_stays(tmp_path):
    style = "@keyframes ghost { from { top: 0 } }\n@page sheet { size: A4 }"
    assert kept(tmp_path, style, "") == "".join(style.split())


def test_what_a_stylesheet_imports_stands_in_its_place(tmp_path):
    (tmp_path / "basic.css").write_text('@charset "utf-8"; p { top: 0 }', encoding="utf-8")
    style = '@import "../basic.css";\nh1 { top: 1px }'
    assert kept(tmp_path, style, "", name="styles/theme.css") == "p{top:0}h1{top:1px}"


def test_addresses_lead_from_the_new_place_to_the_same_file(tmp_path):
    style = "p { background: url(../a.png), url('b.png'), url(data:c), url(#d), url(https://e/f) }"
    assert kept(tmp_path, style, "", name="styles/theme.css") == (
        'p{background:url("a.png"),url("styles/b.png"),url(data:c),url(#d),url(https://e/f)}'
    )


@pytest.fixture
def site(tmp_path):
    static = tmp_path / "_static"
    static.mkdir()
    (static / "a.css").write_text(".card { top: 0 } .ghost { top: 0 } .shown { top: 2px }")
    (static / "b.css").write_text("p { top: 1px }")
    (static / "a.js").write_text("card.classList.add('shown')")
    page = (
        '<head><link href="{0}_static/a.css?digest=1" rel="stylesheet" />\n'
        '<link rel="stylesheet" type="text/css" href="{0}_static/b.css" /><title>T</title></head>'
        '<p class="card">'
    )
    (tmp_path / "index.html").write_text(page.format(""))
    (tmp_path / "days").mkdir()
    (tmp_path / "days" / "day.html").write_text(page.format("../"))
    (static / "template.html").write_text('<link href="{{ a.css" /><link href="{{ b.css" />')
    return tmp_path


def join(site, exception=None):
    app = types.SimpleNamespace(outdir=site, builder=types.SimpleNamespace(format="html"))
    nnweek_styles.join_the_styles(app, exception)


def test_all_pages_name_the_same_one_stylesheet(site):
    join(site)
    (joined,) = (site / "_static").glob("styles-*.css")
    head = '<head><link rel="stylesheet" href="{}_static/' + joined.name + '">\n<title>T</title>'
    assert (site / "index.html").read_text().startswith(head.format(""))
    assert (site / "days" / "day.html").read_text().startswith(head.format("../"))
    first, *rules = joined.read_text().split("\n", 1)
    assert first == "/* The rules in use of a.css, b.css */"
    assert "".join(rules[0].split()) == ".card{top:0}.shown{top:2px}p{top:1px}"


def test_a_template_and_a_page_of_an_earlier_build_stay_as_they_are(site):
    join(site)
    before = {path: path.read_bytes() for path in site.rglob("*.html")}
    join(site)
    assert {path: path.read_bytes() for path in site.rglob("*.html")} == before


def test_a_build_that_failed_is_left_alone(site):
    join(site, exception=RuntimeError("a cell failed"))
    assert not list((site / "_static").glob("styles-*.css"))
