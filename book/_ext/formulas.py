"""Typeset formulas while the book is built: a page needs neither a script nor a font for them.

`book/web/formulas.js` runs MathJax in Node. A page gets every formula twice: an SVG drawing for
the eye and MathML for screen readers. TeX that MathJax does not understand fails the build.
"""

import html
import json
import re
import subprocess

import web
from docutils import nodes
from sphinx.errors import ExtensionError

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
    app.connect("build-finished", formulas.close)
    # One program answers in the order of the formulas; forked writers would mix them.
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
    """MathJax in a program of Node that starts with the first formula."""

    def __init__(self):
        self._mathjax = None
        self._glyphs = {}  # {id: path}

    def _typeset(self, formula, display):
        if self._mathjax is None:
            try:
                web.install()
                command = [web.tool("node"), "formulas.js"]
            except web.Unavailable as reason:
                raise ExtensionError(
                    f"Formulas need MathJax, which is not there: {reason}"
                ) from None
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "encoding": "utf-8"}
            self._mathjax = subprocess.Popen(command, cwd=web.SOURCE, **pipes)
        self._mathjax.stdin.write(json.dumps({"tex": formula, "display": display}) + "\n")
        self._mathjax.stdin.flush()
        answer = json.loads(self._mathjax.stdout.readline())
        if "error" in answer:
            raise ExtensionError(
                f"MathJax cannot read this formula: {answer['error']}\n  {formula}"
            )
        self._glyphs |= {re.search(r'id="([^"]+)"', path)[1]: path for path in answer["glyphs"]}
        return answer["mathml"], answer["svg"]

    def close(self, app=None, exception=None):
        """End the program."""
        if self._mathjax:
            self._mathjax.communicate()
            self._mathjax = None

    def set(self, formula, display=False):
        """Return a TeX formula as HTML: MathML followed by an SVG drawing."""
        mathml, svg = self._typeset(formula, display)
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
            paths = "".join(self._glyphs[name] for name in sorted(used))
            context["body"] += f'<svg class="signs" aria-hidden="true"><defs>{paths}</defs></svg>'
