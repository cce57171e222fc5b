// Python in a worker: whatever a learner's code does, the page goes on, and can end the worker.
import { loadPyodide } from "pyodide";
import KERNEL from "./kernel.py";
import { keep, kept } from "./cache.js";

const TYPES = { wasm: "application/wasm", js: "text/javascript", json: "application/json" };
const PACKAGES = "/lib/python3.12/site-packages";
const send = self.postMessage.bind(self); // a learner's code may replace it
let answer;

// Return a file's bytes, from the browser's cache or from the site; report each part that arrives.
async function bytes(address, arrived) {
  let response = await kept(address);
  const isNew = !response;
  response ??= await fetch(address);
  if (!response.ok) throw new Error(`${address} is not there (${response.status})`);
  const parts = [];
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    arrived(value.length);
  }
  const blob = new Blob(parts, { type: TYPES[address.split(".").pop()] ?? "application/zip" });
  if (isNew) await keep(address, blob);
  return blob;
}

async function load({ files, root, book, hints, passed }) {
  const total = files.reduce((sum, file) => sum + file.size, 0);
  let loaded = 0;
  const arrived = (length) => {
    loaded += length;
    send({ loaded, total });
  };
  const blobs = {};
  await Promise.all(
    files.map(async ({ name }) => {
      blobs[name.split("/").pop().replace(/-\w+(?=\.\w+$)/, "")] = await bytes(new URL(name, root).href, arrived);
    }),
  );
  send({ starts: true });

  // Pyodide asks for its files by their addresses; they are here already.
  await import(URL.createObjectURL(blobs["pyodide.asm.js"]));
  const fetchFromSite = self.fetch;
  self.fetch = async (address, ...rest) => {
    const blob = blobs[String(address.url ?? address).split("/").pop()];
    return blob ? new Response(blob) : fetchFromSite(address, ...rest);
  };
  const pyodide = await loadPyodide({ indexURL: new URL("workbench/", root).href });
  self.fetch = fetchFromSite;
  for (const name of ["numpy.zip", "nnweek.zip"]) {
    pyodide.unpackArchive(await blobs[name].arrayBuffer(), "zip", { extractDir: PACKAGES });
  }
  pyodide.FS.writeFile(`${PACKAGES}/kernel.py`, KERNEL);
  answer = pyodide.runPython("from kernel import answer; answer");
  ask({ do: "start", book, hints, passed });
}

const ask = (request) => JSON.parse(answer(JSON.stringify(request)));

addEventListener("message", async ({ data }) => {
  const { id, start, request, exercise, seconds } = data;
  try {
    if (start) {
      await load(start);
      send({ id, result: null });
    } else {
      // First what the page shows if it has to end this worker.
      send({ id, stopped: exercise ? ask({ do: "stopped", exercise, seconds }) : null });
      send({ id, result: ask({ do: "run", ...request }) });
    }
  } catch (error) {
    send({ id, error: String(error?.message ?? error) });
  }
});
