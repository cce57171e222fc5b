// Bundles the front end into the built site: `node build.js FOLDER RUNTIME`. book/_ext/web.py calls it.
// Names carry a hash of their content, so that a browser never mixes two releases.
import { build } from "esbuild";
import path from "node:path";
import { fileURLToPath } from "node:url";

const [site, runtime] = process.argv.slice(2);
const source = path.join(path.dirname(fileURLToPath(import.meta.url)), "src");

// Bundle a module of the source into one file; return its path from the site's root.
async function bundle(entry, output, settings = {}) {
  const { metafile } = await build({
    entryPoints: [path.join(source, entry)],
    outdir: site,
    entryNames: output,
    bundle: true,
    format: "esm",
    minify: true,
    target: "es2022",
    metafile: true,
    logLevel: "warning",
    loader: { ".py": "text" },
    ...settings,
  });
  const [file] = Object.keys(metafile.outputs);
  return path.relative(site, path.resolve(file)).replaceAll("\\", "/");
}

const facts = JSON.parse(runtime ?? "null"); // null: without Python and editors
if (facts) {
  facts.worker = await bundle("worker.js", "workbench/[name]-[hash]", { external: ["node:*", "ws"] });
  facts.editor = await bundle("editor.js", "workbench/[name]-[hash]");
  const kept = [facts.worker, facts.editor, ...facts.files.map(({ name }) => name)];
  await bundle("sw.js", "[name]", { define: { FILES: JSON.stringify(kept) } });
}
const main = await bundle("main.js", "_static/[name]-[hash]", {
  define: { RUNTIME: JSON.stringify(facts) },
});
await bundle("search.js", "_static/[name]-[hash]", { format: "iife" }); // runs from the disk, too
console.log(main);
