// MathJax without a browser. Its packed parts expect a page and a loader; here they are put
// together by hand. Evaluated by nnweek_formulas.py, after those parts.
const { core, input, output, adaptors, handlers, mathjax } = MathJax._;
const adaptor = adaptors.liteAdaptor.liteAdaptor();
handlers.html_ts.RegisterHTMLHandler(adaptor);
const svg = new output.svg_ts.SVG({
  font: new output.svg.fonts.tex_ts.TeXFont(),
  fontCache: "global", // a sign that stands in many formulas is drawn once
});
const tex = new input.tex_ts.TeX({
  packages: ["base", "ams"],
  formatError: (input, error) => { throw Error(error.message); },
});
const page = mathjax.mathjax.document("", { InputJax: tex, OutputJax: svg });
const serializer = new core.MmlTree.SerializedMmlVisitor.SerializedMmlVisitor();

// A formula's drawing, an <svg>, which refers to its signs by their names.
function drawn(formula, display) {
  return adaptor.innerHTML(page.convert(formula, { display }));
}

// The same formula as MathML.
function spoken(formula, display) {
  const end = core.MathItem.STATE.CONVERT;
  return serializer.visitTree(page.convert(formula, { display, end }));
}

// All signs drawn so far: a <path> each, with its name as id.
function signs() {
  return adaptor.childNodes(svg.fontCache.defs).map((path) => adaptor.outerHTML(path));
}
