"""Set numbers in tables as a printed table has them: aligned on the right, powers of ten raised."""

import re

from docutils import nodes

# "97.42 %", "0.53 ± 0.07", "1.1e-09", "2 × faster": begins with a digit, a sign or a relation.
NUMBER = re.compile(
    r"[<>≈~+−–-]?\s?[\d.,]*\d[\d.,]*(?:e[+-]?\d+|·10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?(?:\s?(?:±|/|of|to|–|×)\s?[\d.,]+)*(?:\s?[%×°]|\s(?:s|ms|min|MB|MiB|kB|px))?"
)
POWER = re.compile(r"(?<![\w.])(\d(?:\.\d+)?)e([+-])0*(\d+)(?!\w)")
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
EMPTY = ("", "–", "-")


def setup(app):
    app.connect("doctree-resolved", set_numbers)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def set_numbers(app, doctree, docname):
    for table in doctree.findall(nodes.table):
        for text in list(table.findall(nodes.Text)):
            shown = POWER.sub(power, text.replace("✅", "ok"))  # not every font has the mark
            if shown != text and not isinstance(text.parent, nodes.literal):
                text.parent.replace(text, nodes.Text(shown))
        for column in columns(table):
            if is_numeric([cell.astext().strip() for cell in column if not head(cell)]):
                for cell in column:
                    cell["classes"].append("number")


def columns(table):
    """Return the columns of a table without merged cells, each a list of cells."""
    return zip(*(row.children for row in table.findall(nodes.row)), strict=False)


def head(cell):
    return isinstance(cell.parent.parent, nodes.thead)


def is_numeric(texts):
    """Whether every cell of a column holds a number, except for some that hold nothing."""
    filled = [text for text in texts if text not in EMPTY]
    return bool(filled) and all(NUMBER.fullmatch(text) for text in filled)


def power(match):
    sign = "-" if match[2] == "-" else ""
    return f"{match[1]}·10{(sign + match[3]).translate(RAISED)}"
