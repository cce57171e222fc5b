// Bundles the front end into the built site: `node build.js FOLDER RUNTIME`. book/_ext/web.py calls it.
// Names carry a hash of their content, so that a browser never mixes two releases.
import { build } from "esbuild";
import path from "node:path";
import { fileURLToPath } from "node:url";

const [site, runtime] = process.argv.slice(2);
const source = path.join(path.dirname(fileURLToPath(import.meta.url)), "src");

async function bundle(entry, folder, settings) {
  const { metafile } = await build({
    entryPoints: [path.join(source, entry)],
    outdir: site,
    entryNames: `${folder}/[name]-[hash]`,
    chunkNames: "workbench/[name]-[hash]",
    bundle: true,
    format: "esm",
    splitting: true,
    minify: true,
    target: "es2022",
    metafile: true,
    logLevel: "warning",
    legalComments: "none",
    loader: { ".py": "text" },
    ...settings,
  });
  const outputs = Object.entries(metafile.outputs);
  const [main] = outputs.find(([, output]) => output.entryPoint);
  const files = outputs.map(([file]) => path.relative(site, path.resolve(file)).replaceAll("\\", "/"));
  return { main: path.relative(site, path.resolve(main)).replaceAll("\\", "/"), files };
}

const files = [];
const facts = JSON.parse(runtime ?? "null");
if (facts) {
  const worker = await bundle("worker.js", "workbench", {
    splitting: false,
    external: ["node:*", "ws"],
  });
  facts.worker = worker.main;
  files.push(...worker.files);
}
const main = await bundle("main.js", "_static", {
  define: { RUNTIME: JSON.stringify(facts) },
});
files.push(...main.files);
if (facts) {
  const kept = [...files, ...facts.files.map(({ name }) => name)];
  await build({
    entryPoints: [path.join(source, "sw.js")],
    outfile: path.join(site, "sw.js"),
    minify: true,
    define: { FILES: JSON.stringify(kept) },
    logLevel: "warning",
  });
}
console.log(JSON.stringify({ main: main.main, files }));
