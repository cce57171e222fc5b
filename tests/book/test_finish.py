"""The finished pages: repaired labels, only the icons and styles in use."""

import types
from contextlib import suppress
from unittest import mock

import finish
import pytest
from PIL import Image
from sphinx.errors import ExtensionError

PAGE = (
    '<head><link href="{0}_static/a.css?digest=1" rel="stylesheet" />\n'
    '<link rel="stylesheet" type="text/css" href="{0}_static/b.css" /><title>T</title></head>'
    '<p class="card"><img alt="A" src="{0}_images/a.png" /><img src="b.svg" /></p>'
)
FILES = {
    "index.html": PAGE.format(""),
    "days/day.html": PAGE.format("../"),
    "_static/a.css": ".card { top: 0 } .ghost { top: 0 } .shown { top: 2px }",
    "_static/b.css": "p { top: 1px }",
    "_static/a.js": "card.classList.add('shown')",
    "_static/template.html": '<link href="{{ a.css" /><link href="{{ b.css" />',
}


@pytest.fixture
def site(tmp_path):
    """A small site as Sphinx writes it, with one moving figure."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "_images").mkdir()
    Image.new("RGB", (30, 20), "blue").save(tmp_path / "_images/a.png")
    return tmp_path


def run(site, exception=None):
    app = types.SimpleNamespace(outdir=site, builder=types.SimpleNamespace(format="html"))
    finish.finish(app, exception)


def contents(site):
    return {path: path.read_bytes() for path in site.rglob("*.*")}


def test_second_run_and_failed_build_change_nothing(site):
    """Sphinx writes only the pages that changed; the others are finished already."""
    before = contents(site)
    run(site, exception=RuntimeError("a cell failed"))
    assert contents(site) == before, "finished after a failure"
    run(site)
    before = contents(site)
    run(site)
    assert contents(site) == before


@pytest.mark.parametrize("method", ["read_text", "write_text"])
def test_each_file_is_read_and_written_once(method, site):
    real = getattr(finish.Path, method)
    with mock.patch.object(finish.Path, method, autospec=True, side_effect=real) as counted:
        run(site)
    names = [call.args[0].name for call in counted.call_args_list]
    assert "day.html" in names
    assert len(names) == len(set(names))


def test_all_pages_link_to_the_same_single_stylesheet(site):
    run(site)
    (joined,) = (site / "_static").glob("styles-*.css")
    head = '<head><link rel="stylesheet" href="{}_static/' + joined.name + '">\n<title>T</title>'
    assert (site / "index.html").read_text().startswith(head.format(""))
    assert (site / "days" / "day.html").read_text().startswith(head.format("../"))
    first, rules = joined.read_text().strip().split("\n")
    assert first == "/* The rules in use of a.css, b.css */"
    assert rules == ".card{top:0}.shown{top:2px}p{top:1px}"
    template = "_static/template.html"
    assert (site / template).read_text() == FILES[template], "a template stays unchanged"


def test_own_styles_follow_those_of_the_theme_in_a_fixed_order():
    names = ["landing", "theme", "week", "tasks", "figures"]
    links = "".join(f'<link rel="stylesheet" href="_static/{name}.css">' for name in names)
    files = {f"_static/{name}.css": "" for name in names} | {"index.html": links}
    with mock.patch.object(finish, "rules_in_use", return_value={}) as joined, suppress(KeyError):
        finish.join_styles(files, None)
    (order,) = joined.call_args.args[1]
    assert order == tuple(
        f"_static/{n}.css" for n in ("theme", "week", "figures", "tasks", "landing")
    )


def test_figure_gets_its_size(site):
    run(site)
    page = (site / "days/day.html").read_text()
    assert 'width="30" height="20" alt="A" src="../_images/a.png"' in page
    assert page.count("width=") == 1, "only figures get a size"


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ('<script data-x="" src="a.js"></script>', '<script defer data-x="" src="a.js"></script>'),
        ("<script>let a = 1;</script>", "<script>let a = 1;</script>"),
        ('<span class="n">x</span><span class="k">if</span>', 'x<span class="k">if</span>'),
    ],
)  # fmt: skip
def test_label_or_script_of_the_theme_is_repaired_once(wrong, right):
    assert finish.repair_labels(wrong) == right
    assert finish.repair_labels(right) == right


@pytest.fixture(scope="module")
def script():
    file = finish.THEME / finish.ICON_SCRIPT.removeprefix("_static/")
    if not file.is_file():
        pytest.skip("The theme for Python 3.10 is an older one with icons in a font only.")
    return file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("used", "name"), [("arrow-up", '"arrow-up"'), ("adjust", '"circle-half-stroke"')]
)
def test_icon_in_use_stays_and_the_others_go(used, name, script):
    thin = finish.with_icons(script, {used: "index.html"})
    (kept,) = finish.ICON.finditer(thin)
    assert kept["name"] == name, "an icon is also known by its other names"
    assert kept[0].rstrip(",") in script
    assert len(thin) < len(script) / 10


def test_missing_icon_is_named_with_its_page(script):
    used = {"arrow-up": "index.html", "no-such-icon": "setup.html", "lg": "index.html"}
    with pytest.raises(ExtensionError, match=r"fa-no-such-icon \(setup\.html\)$"):
        finish.with_icons(script, used, {"lg"})


def test_icons_are_found_in_pages_and_scripts():
    files = {
        finish.ICON_SCRIPT: '"fa-ghost"',
        "_static/theme.js": 'button.className = "fa-solid fa-xmark";',
        "page.html": '<i class="fas fa-file-pdf"></i> the class fa-word',
    }
    assert finish.used_icons(files) == {
        "file-pdf": "page.html",
        "solid": "_static/theme.js",
        "xmark": "_static/theme.js",
    }


RULES = {
    "p{top:0}": True, ".card{top:0}": True, ".ghost{top:0}": False, ".card .ghost>p{top:0}": False,
    "p:not(.ghost){top:0}": True, ".sd-card-2{top:0}": False, ":root{top:0}": True,
    ".card\\:hover{top:0}": False, ":is(a,[b]):focus-visible{top:0}": True, ":is(.ghost) p{top:0}": False,
    "p:is(:hover,:focus){top:0}": True, "p:is(.ghost):hover{top:0}": False,
}  # fmt: skip
STYLES = [
    (".ghost, p.ghost, h1 { top: 0 }", "h1{top:0}"),
    (
        "@media print { .ghost { top: 0 } .card { top: 1px } } @media screen { .ghost { top: 0 } }",
        "@mediaprint{.card{top:1px}}",
    ),
    ("@page { size: A4 }", "@page{size:A4}"),
    (":is(.card, #ghost) p { top: 0 }", ":is(.card,#ghost)p{top:0}"),  # as specific as before
    ('@import "../basic.css";\nh1 { top: 1px }', "p{top:0}h1{top:1px}"),
    # Relative addresses still lead to the same file.
    (
        "p { background: url(../a.png), url('b.png'), url(data:,c), url(#d), url(https://e/f) }",
        'p{background:url("./a.png"),url("./styles/b.png"),url(data:,c),url(#d),url(https://e/f)}',
    ),
]


@pytest.fixture(scope="module")
def used(tmp_path_factory):
    """Return what a site with three classes uses of each of these styles, without spaces."""
    site = tmp_path_factory.mktemp("site")
    (site / "_static/styles").mkdir(parents=True)
    (site / "_static/basic.css").write_text("p { top: 0 }")
    for name in ("a.png", "styles/b.png"):
        Image.new("RGB", (2, 2)).save(site / "_static" / name)
    groups = []
    for number, style in enumerate([*RULES, *(style for style, _ in STYLES)]):
        groups.append((f"_static/styles/{number}.css",))
        (site / groups[-1][0]).write_text(style)
    content = ['<h1><p class="card sd-card a">']
    joined = finish.rules_in_use(site, groups, content)
    return ["".join(joined[group].partition("\n")[2].split()) for group in groups]


def test_rule_stays_if_the_site_has_all_its_classes(used):
    for found, (rule, stays) in zip(used, RULES.items(), strict=False):
        assert bool(found) == stays, f"{rule} became {found!r}"


def test_selectors_conditions_imports_and_addresses_are_followed(used):
    assert used[len(RULES) :] == [kept for _, kept in STYLES]
