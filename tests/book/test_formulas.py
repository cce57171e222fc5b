"""The build typesets formulas: an SVG drawing for the eye, MathML for screen readers."""

import re
import types

import formulas as extension
import pytest
from bs4 import BeautifulSoup
from docutils import nodes
from formulas import Formulas
from sphinx.errors import ExtensionError


@pytest.fixture(scope="module")
def formulas():
    formulas = Formulas()
    yield formulas
    formulas.close()


def html(text):
    return BeautifulSoup(text, "html.parser")


def test_mathml_and_drawing_show_the_same_characters(formulas):
    page = html(formulas.set(r"\frac{a_1}{\sqrt{n}} < \hat{y}"))
    assert page.math["alttext"] == r"\frac{a_1}{\sqrt{n}} < \hat{y}"
    # A glyph's id ends with its code point: italic 𝑎 is U+1D44E, in MathML <mi>a</mi>.
    drawn = {chr(int(use["href"].rpartition("-")[2], 16)) for use in page.svg.select("use")}
    assert drawn == {"𝑎", "1", "√", "𝑛", "<", "𝑦", "^"}
    assert [tag.get_text() for tag in page.math.select("mi, mn, mo")] == list("a1n<y^")
    assert page.math.select("mfrac > msub + msqrt")


def test_punctuation_stays_on_the_line_of_its_formula():
    words = [nodes.Text("So "), nodes.math("", "x = 1"), nodes.Text("), as "), nodes.math("", "y")]
    page = nodes.paragraph("", "", *words)
    extension.keep_together(None, page, "page")
    assert page.astext() == "So x = 1), as y"
    assert [one.astext() for one in page.findall(nodes.inline)] == ["x = 1),"]


def test_displayed_formula_is_larger_than_an_inline_one(formulas):
    displayed = html(formulas.set(r"\sum_k \frac{1}{k}", display=True))
    inline = html(formulas.set(r"\sum_k \frac{1}{k}"))
    assert displayed.math["display"] == "block"
    assert not inline.math.has_attr("display")
    height = [float(page.svg["height"].removesuffix("ex")) for page in (displayed, inline)]
    assert height[0] > height[1] * 1.3
    (drawing,) = inline.select("svg > g")
    assert drawing["fill"] == "currentColor", "not the colour of the text"
    assert "stroke" not in str(drawing)


@pytest.mark.parametrize(
    ("formula", "reason"),
    [
        (r"\nosuchthing x", r"Undefined control sequence \nosuchthing"),
        (r"\frac{1}", r"Missing argument for \frac"),
        (r"{x", "Extra open brace or missing close brace"),
        (r"\left( x", r"Extra \left or missing \right"),
    ],
)
def test_formula_with_an_error_fails_with_the_reason(formulas, formula, reason):
    before = formulas.set("x^2")
    with pytest.raises(ExtensionError, match=re.escape(reason)) as failure:
        formulas.set(formula)
    assert formula in str(failure.value)
    assert formulas.set("x^2") == before, "the failure affects the next formula"


def with_glyphs(formulas, body):
    context = {"body": body}
    formulas.add_glyphs(None, "page", "page.html", context, None)
    return html(context["body"])


def test_page_has_each_glyph_of_its_formulas_once(formulas):
    formulas.set("q")  # of another page
    page = with_glyphs(formulas, formulas.set("a + a") + formulas.set("a^2"))
    glyphs = [path["id"] for path in page.select("svg.signs path[d]")]
    assert sorted(glyphs) == ["MJX-TEX-I-1D44E", "MJX-TEX-N-2B", "MJX-TEX-N-32"]


def test_page_without_formulas_stays_unchanged(formulas):
    assert str(with_glyphs(formulas, "<p>text</p>")) == "<p>text</p>"
    context = {}  # such as the search page
    formulas.add_glyphs(None, "search", "search.html", context, None)
    assert context == {}


def test_numbered_formula_shows_its_number_with_a_link(formulas):
    written = []
    writer = types.SimpleNamespace(
        body=written,
        starttag=lambda node, tag, CLASS: f'<{tag} id="{node["ids"][0]}" class="{CLASS}">',
        add_permalink_ref=lambda node, title: written.append(f'<a title="{title}"></a>'),
    )
    node = nodes.math_block("", "x", ids=["equation-loss"], number=3)
    with pytest.raises(nodes.SkipNode):
        formulas.block(writer, node)
    (block,) = html("".join(written)).select("div.math#equation-loss")
    assert block.select_one(".eqno").get_text() == "(3)"
    assert block.select_one(".eqno a")
    assert block.math["display"] == "block"
