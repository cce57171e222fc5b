// Join stylesheets: `node styles.js FOLDER` reads {styles, content} as JSON, lists of the names of
// stylesheets in the folder, and texts. For each list it returns one stylesheet, minified, with only
// the rules for names that are words of these texts.
import { readFileSync } from "node:fs";
import { build } from "esbuild";
import { PurgeCSS } from "purgecss";

const [folder] = process.argv.slice(2);
const { styles, content } = JSON.parse(readFileSync(0, "utf8"));
const copied = [".woff2", ".ttf", ".png", ".svg", ".gif"].map((kind) => [kind, "copy"]);

async function join(names) {
  const { outputFiles } = await build({
    stdin: { contents: names.map((name) => `@import "./${name}";`).join("\n"), resolveDir: folder, loader: "css" },
    bundle: true,
    minify: true,
    write: false,
    outdir: folder,
    outbase: folder,
    assetNames: "[dir]/[name]", // what the styles refer to stays where it is
    loader: Object.fromEntries(copied),
    logLevel: "warning",
  });
  return outputFiles.find(({ path }) => path.endsWith(".css")).text;
}

// PurgeCSS drops what names nothing, such as `:is(a, button):focus-visible` and the `:hover` of
// `a:is(:hover, :focus)`; and a shorter `:is()` can be less specific.
const NAMES = ["attribute", "class", "id", "tag"];
class Used extends PurgeCSS {
  shouldKeepSelector(selector, words) {
    const keep = (one) =>
      !one.nodes.some(({ type }) => NAMES.includes(type)) || super.shouldKeepSelector(one, words);
    return selector.parent.value === ":is" ? selector.parent.nodes.some(keep) : keep(selector);
  }
}

const used = await new Used().purge({
  content: content.map((raw) => ({ raw, extension: "html" })),
  css: (await Promise.all(styles.map(join))).map((raw) => ({ raw })),
  defaultExtractor: (text) => text.match(/[\w-]+/g) ?? [],
});
process.stdout.write(JSON.stringify(used.map(({ css }) => css)));
