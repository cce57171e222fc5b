// MathJax without a browser. Its packed parts expect a page and a loader; this script connects
// them by hand. formulas.py evaluates it after those parts.
const { core, input, output, adaptors, handlers, mathjax } = MathJax._;
const adaptor = adaptors.liteAdaptor.liteAdaptor();
handlers.html_ts.RegisterHTMLHandler(adaptor);
const drawing = new output.svg_ts.SVG({
  font: new output.svg.fonts.tex_ts.TeXFont(),
  fontCache: "global", // formulas share the path of a glyph
});
const tex = new input.tex_ts.TeX({
  packages: ["base", "ams"],
  formatError: (input, error) => { throw Error(error.message); },
});
const page = mathjax.mathjax.document("", { InputJax: tex, OutputJax: drawing });
const serializer = new core.MmlTree.SerializedMmlVisitor.SerializedMmlVisitor();

// A formula as an <svg> that refers to its glyphs by id.
function svg(formula, display) {
  return adaptor.innerHTML(page.convert(formula, { display }));
}

// The same formula as MathML.
function mathml(formula, display) {
  const end = core.MathItem.STATE.CONVERT;
  return serializer.visitTree(page.convert(formula, { display, end }));
}

// All glyphs drawn so far: one <path> each, with its id.
function glyphs() {
  return adaptor.childNodes(drawing.fontCache.defs).map((path) => adaptor.outerHTML(path));
}
