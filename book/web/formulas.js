// Typeset formulas by MathJax. Each line of the input is JSON, {tex, display}; each is answered by
// a line, {svg, mathml, glyphs} with the glyphs that no answer before has brought, or {error}.
import { createInterface } from "node:readline";
import MathJax from "mathjax";

const { tex2svg, tex2mml, startup: { adaptor, output } } = await MathJax.init({
  loader: { load: ["input/tex-base", "[tex]/ams", "output/svg"] },
  tex: { packages: ["base", "ams"], formatError: (_, error) => { throw error; } },
  svg: { fontCache: "global" }, // formulas share the path of a glyph
});
let brought = 0;

function typeset({ tex, display }) {
  try {
    const svg = adaptor.innerHTML(tex2svg(tex, { display }));
    const glyphs = adaptor.childNodes(output.fontCache.defs).slice(brought);
    brought += glyphs.length;
    return { svg, mathml: tex2mml(tex, { display }), glyphs: glyphs.map((one) => adaptor.outerHTML(one)) };
  } catch ({ message }) {
    return { error: message };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(typeset(JSON.parse(line))) + "\n");
}
