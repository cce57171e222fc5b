"""Formulas are set while the book is built: a page needs neither a script nor a font for them.

MathJax sets them, from the packed parts that a Python package brings, in a JavaScript engine
that another one brings. A page gets each formula twice: as a drawing for those who see it and
as MathML for those who hear it. TeX that MathJax does not understand fails the build.
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
# What MathJax writes for its own use.
ITS_OWN = re.compile(
    r' (?:data-[\w-]+|xmlns(?::xlink)?|role|focusable|stroke|stroke-width)="[^"]*"'
)


def setup(app):
    here = Formulas()
    app.add_html_math_renderer(
        "drawn", inline_renderers=(here.inline, None), block_renderers=(here.block, None)
    )
    app.connect("html-page-context", here.add_the_signs)
    # The engine runs in threads of its own, which a writer in a forked process would not have.
    return {"parallel_read_safe": True, "parallel_write_safe": False}


class Formulas:
    """MathJax in its engine, which starts with the first formula."""

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
        """Return a formula of TeX as HTML: MathML that is heard, and a drawing that is seen.

        Raises:
            ExtensionError: if MathJax does not understand the formula.
        """
        try:
            spoken = self._call("spoken", formula, display)
            drawn = self._call("drawn", formula, display)
        except JSEvalException as error:
            reason = str(error).splitlines()[0].rpartition("Error: ")[2]
            raise ExtensionError(f"this formula cannot be set: {reason}\n  {formula}") from error
        spoken = re.sub(r"\n\s*", "", ITS_OWN.sub("", spoken))
        drawn = ITS_OWN.sub("", drawn).replace("xlink:href", "href")
        return spoken.replace(
            "<math", f'<math alttext="{html.escape(formula)}"', 1
        ) + drawn.replace("<svg", '<svg aria-hidden="true"', 1)

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

    def add_the_signs(self, app, pagename, templatename, context, doctree):
        """The drawings of a page refer to their signs, and each sign is on the page once."""
        used = set(re.findall(r'<use href="#([^"]+)"', context.get("body", "")))
        if used:
            signs = {re.search(r'id="([^"]+)"', path)[1]: path for path in self._call("signs")}
            paths = "".join(signs[name] for name in sorted(used))
            context["body"] += f'<svg class="signs" aria-hidden="true"><defs>{paths}</defs></svg>'
