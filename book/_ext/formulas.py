"""Typeset formulas while the book is built: a page needs neither a script nor a font for them.

MathJax runs here, in a JavaScript engine; one Python package contains each. A page gets every
formula twice: an SVG drawing for the eye and MathML for screen readers. TeX that MathJax does
not understand fails the build.
"""

import html
import re
from importlib import metadata
from pathlib import Path

from docutils import nodes
from py_mini_racer import JSEvalException, MiniRacer
from sphinx.errors import ExtensionError

PARTS = [
    "startup.js", "core.js", "adaptors/liteDOM.js",
    "input/tex.js", "output/svg.js", "output/svg/fonts/tex.js",
]  # fmt: skip
# Attributes that only MathJax itself needs.
INTERNAL = re.compile(
    r' (?:data-[\w-]+|xmlns(?::xlink)?|role|focusable|stroke|stroke-width)="[^"]*"'
)


def setup(app):
    formulas = Formulas()
    app.add_html_math_renderer(
        "drawn", inline_renderers=(formulas.inline, None), block_renderers=(formulas.block, None)
    )
    app.connect("doctree-resolved", keep_together)
    app.connect("html-page-context", formulas.add_glyphs)
    # The engine runs in its own threads, which a forked writer process would not have.
    return {"parallel_read_safe": True, "parallel_write_safe": False}


def keep_together(app, doctree, docname):
    """Keep a formula and the punctuation behind it on one line."""
    for formula in list(doctree.findall(nodes.math)):
        place = formula.parent.index(formula) + 1
        text = formula.parent[place] if place < len(formula.parent) else None
        if isinstance(text, nodes.Text) and (found := re.match(r"[.,;:)?!]+", text)):
            together = nodes.inline("", "", formula.deepcopy(), nodes.Text(found[0]))
            together["classes"].append("unbroken")
            formula.parent[place - 1 : place + 1] = [together, nodes.Text(text[found.end() :])]


class Formulas:
    """MathJax in a JavaScript engine that starts with the first formula."""

    def __init__(self):
        self._engine = None

    def _call(self, function, *arguments):
        if self._engine is None:
            package = metadata.distribution("sphinx-mathjax-offline")
            folder = Path(package.locate_file("sphinx-mathjax-offline/static/mathjax"))
            parts = [folder / part for part in PARTS] + [Path(__file__).with_suffix(".js")]
            self._engine = MiniRacer()
            self._engine.eval("globalThis.MathJax = {startup: {ready() {}}}; null")
            for part in parts:
                self._engine.eval(part.read_text(encoding="utf-8") + "\n;null")
        return self._engine.call(function, *arguments)

    def set(self, formula, display=False):
        """Return a TeX formula as HTML: MathML followed by an SVG drawing."""
        try:
            mathml = self._call("mathml", formula, display)
            svg = self._call("svg", formula, display)
        except JSEvalException as error:
            reason = str(error).splitlines()[0].rpartition("Error: ")[2]
            raise ExtensionError(
                f"MathJax cannot read this formula: {reason}\n  {formula}"
            ) from error
        mathml = re.sub(r"\n\s*", "", INTERNAL.sub("", mathml))
        mathml = mathml.replace("<math", f'<math alttext="{html.escape(formula)}"', 1)
        svg = INTERNAL.sub("", svg).replace("xlink:href", "href")
        return mathml + svg.replace("<svg", '<svg aria-hidden="true"', 1)

    def inline(self, writer, node):
        formula = self.set(node.astext().strip())
        writer.body.append(f'<span class="math">{formula}</span>')
        raise nodes.SkipNode

    def block(self, writer, node):
        writer.body.append(writer.starttag(node, "div", CLASS="math"))
        if node["number"]:
            writer.body.append(f'<span class="eqno">({node["number"]})')
            writer.add_permalink_ref(node, "Link to this equation")
            writer.body.append("</span>")
        writer.body.append(self.set(node.astext().strip(), display=True) + "</div>\n")
        raise nodes.SkipNode

    def add_glyphs(self, app, pagename, templatename, context, doctree):
        """Add each glyph that the drawings of a page refer to, once."""
        used = set(re.findall(r'<use href="#([^"]+)"', context.get("body", "")))
        if used:
            glyphs = {re.search(r'id="([^"]+)"', path)[1]: path for path in self._call("glyphs")}
            paths = "".join(glyphs[name] for name in sorted(used))
            context["body"] += f'<svg class="signs" aria-hidden="true"><defs>{paths}</defs></svg>'
