"""Numbers in tables: on the right, and powers of ten as in the formulas."""

import pytest
import tables
from docutils import nodes


def table(*rows):
    def cells(texts):
        return nodes.row("", *(nodes.entry("", nodes.paragraph("", text)) for text in texts))

    head, *body = rows
    group = nodes.tgroup("", nodes.thead("", cells(head)), nodes.tbody("", *map(cells, body)))
    return nodes.table("", group)


def test_columns_of_numbers_stand_right():
    one = table(
        ("run", "loss", "share", "note"),
        ("Adam", "0.53 ± 0.07", "97.4 %", "1"),
        ("SGD", "–", "3 %", "x"),
    )
    tables.set_numbers(None, one, "page")
    for row in one.findall(nodes.row):
        assert [cell["classes"] for cell in row] == [[], ["number"], ["number"], []]


@pytest.mark.parametrize(
    "text",
    ["0", "5,923", "−0.3", "0.53 ± 0.07", "97.42 %", "1.1e-09", "≈ 2.3", "3 of 5", "6.5 ms", "2 ×"],
)
def test_number_is_recognised(text):
    assert tables.is_numeric([text])


@pytest.mark.parametrize("text", ["Day 29", "ReLU", "5 epochs of SGD", "e", "a 3"])
def test_words_are_no_numbers(text):
    assert not tables.is_numeric([text, "1"])


def test_column_without_anything_is_not_one_of_numbers():
    assert not tables.is_numeric(["", "–"])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("1.1e-09", "1.1·10⁻⁹"),
        ("✅", "ok"),
        ("about 3e+12 of", "about 3·10¹² of"),
        ("1e-12, 2e-3", "1·10⁻¹², 2·10⁻³"),
        ("x1e-12 and 1e-3x", "x1e-12 and 1e-3x"),
    ],
)
def test_power_of_ten_is_raised_but_not_in_code(text, shown):
    one = table(("x",), (text,))
    code = nodes.literal("", "1e-5")
    next(one.findall(nodes.paragraph)).append(code)
    tables.set_numbers(None, one, "page")
    *_, last = one.findall(nodes.paragraph)
    assert last.astext() == shown
    assert code.astext() == "1e-5"
