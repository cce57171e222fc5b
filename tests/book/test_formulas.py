"""Formulas are set by the build: drawn for those who see them, MathML for those who hear them."""

import re
import sys
import types

import pytest
from bs4 import BeautifulSoup
from docutils import nodes
from sphinx.errors import ExtensionError

from support import ROOT

sys.path.insert(0, str(ROOT / "book" / "_ext"))
from nnweek_formulas import Formulas


@pytest.fixture(scope="module")
def formulas():
    return Formulas()


def html(text):
    return BeautifulSoup(text, "html.parser")


def test_what_is_heard_says_the_same_as_what_is_drawn(formulas):
    page = html(formulas.set(r"\frac{a_1}{\sqrt{n}} < \hat{y}"))
    assert page.math["alttext"] == r"\frac{a_1}{\sqrt{n}} < \hat{y}"
    # A sign's name ends with its code: italic 𝑎 is U+1D44E, which MathML writes as an <mi>a</mi>.
    drawn = {chr(int(use["href"].rpartition("-")[2], 16)) for use in page.svg.select("use")}
    assert drawn == {"𝑎", "1", "√", "𝑛", "<", "𝑦", "^"}
    assert [tag.get_text() for tag in page.math.select("mi, mn, mo")] == list("a1n<y^")
    assert page.math.select("mfrac > msub + msqrt")


def test_a_formula_on_a_line_of_its_own_is_set_larger(formulas):
    alone = html(formulas.set(r"\sum_k \frac{1}{k}", display=True))
    within = html(formulas.set(r"\sum_k \frac{1}{k}"))
    assert alone.math["display"] == "block"
    assert not within.math.has_attr("display")
    height = [float(page.svg["height"].removesuffix("ex")) for page in (alone, within)]
    assert height[0] > height[1] * 1.3


def test_the_drawing_has_the_colour_of_the_text_and_no_stroke(formulas):
    (drawing,) = html(formulas.set("x")).select("svg > g")
    assert drawing["fill"] == "currentColor"
    assert "stroke" not in str(drawing)


@pytest.mark.parametrize(
    ("formula", "reason"),
    [
        (r"\nosuchthing x", r"Undefined control sequence \nosuchthing"),
        (r"\frac{1}", r"Missing argument for \frac"),
        (r"{x", "Extra open brace or missing close brace"),
    ],
)
def test_a_formula_that_cannot_be_set_fails_with_its_reason(formulas, formula, reason):
    with pytest.raises(ExtensionError, match=re.escape(reason)) as failure:
        formulas.set(formula)
    assert formula in str(failure.value)


def test_a_formula_after_one_that_failed_is_set_as_before(formulas):
    before = formulas.set("x^2")
    with pytest.raises(ExtensionError):
        formulas.set(r"\left( x")
    assert formulas.set("x^2") == before


def with_signs(formulas, body):
    context = {"body": body}
    formulas.add_the_signs(None, "page", "page.html", context, None)
    return html(context["body"])


def test_a_page_has_each_sign_of_its_formulas_once_and_no_other(formulas):
    formulas.set("q")  # of another page
    page = with_signs(formulas, formulas.set("a + a") + formulas.set("a^2"))
    signs = [path["id"] for path in page.select("svg.signs path[d]")]
    assert sorted(signs) == ["MJX-TEX-I-1D44E", "MJX-TEX-N-2B", "MJX-TEX-N-32"]


def test_a_page_without_formulas_stays_as_it_is(formulas):
    assert str(with_signs(formulas, "<p>text</p>")) == "<p>text</p>"
    context = {}  # such as the search page
    formulas.add_the_signs(None, "search", "search.html", context, None)
    assert context == {}


def test_a_numbered_formula_shows_its_number_with_a_link(formulas):
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
