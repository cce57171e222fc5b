// The page's side of Python: it starts the worker when it is first needed, and ends one that hangs.
import * as cache from "./cache.js";

export const SECONDS = 5; // for one cell; then the worker is ended, and a new one started

export class Python {
  #worker;
  #ready;
  #isLoading = false; // later, a message without an id is none of ours, but of a learner's code
  #waiting = new Map(); // {id: how to settle}
  #last = Promise.resolve();
  #ids = 0;

  // `facts` is what the build says of the runtime, `root` the address of the site; `state` returns
  // what the reader did before, and `progress` hears how far the loading is.
  constructor({ facts, root, state, progress }) {
    Object.assign(this, { facts, root, state, progress });
  }

  // Start Python, unless it runs; resolves when it can compute.
  start() {
    this.#ready ??= this.#start().catch((error) => {
      this.#end();
      throw error;
    });
    return this.#ready;
  }

  // Run cells, one request after the other; resolves to the result of kernel.py.
  run(request, exercise) {
    const result = this.#last.then(() => this.#run(request, exercise));
    this.#last = result.catch(() => {});
    return result;
  }

  async #start() {
    const worker = new Worker(new URL(this.facts.worker, this.root), { type: "module" });
    this.#worker = worker;
    worker.addEventListener("message", ({ data }) => this.#heard(data ?? {}));
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      this.#fail(new Error(event.message || "its file could not be loaded"));
    });
    keepSite(this.root);
    const book = this.root.href.replace(/\/$/, "");
    this.#isLoading = true;
    await this.#ask({ start: { files: this.facts.files, root: this.root.href, book, ...this.state() } });
    this.#isLoading = false;
  }

  async #run(request, exercise) {
    await this.start();
    let timer;
    let stopped;
    const isLate = new Promise((resolve) => {
      const wait = () => {
        clearTimeout(timer);
        timer = setTimeout(resolve, SECONDS * 1000, true);
      };
      this.onStarted = (result) => {
        this.onStarted = null; // a cell may send the same message, again and again
        stopped = result;
        wait();
      };
      wait(); // earlier code may have closed the worker, so that it does not even start
    });
    const answer = this.#ask({ request, exercise, seconds: SECONDS });
    try {
      const late = await Promise.race([isLate, answer.then(() => false)]);
      if (!late) return await answer;
      answer.catch(() => {});
      this.#end();
      this.start().catch(() => {}); // so that the next check need not wait
      return stopped ?? { text: `It was stopped after ${SECONDS} seconds.\n`, html: "", verdict: null };
    } catch (error) {
      this.#end(); // an error of the interpreter itself: after it, nothing can be relied on
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #ask(message) {
    const id = ++this.#ids;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, ...message });
    });
  }

  #heard({ id, stopped, result, error, ...progress }) {
    if (stopped !== undefined) this.onStarted?.(stopped);
    else if (this.#isLoading && id === undefined) this.progress(progress);
    else {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve(result);
      else waiting?.reject(new Error(error));
    }
  }

  #fail(error) {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }

  #end() {
    this.#worker?.terminate();
    this.#worker = this.#ready = undefined;
    this.#waiting.clear();
  }
}

// Keep the site for a reader without a connection: this page now, every other one once it is read.
async function keepSite(root) {
  try {
    await navigator.serviceWorker.register(new URL("sw.js", root));
    const files = performance.getEntriesByType("resource").map((entry) => entry.name);
    const own = [location.href.split("#")[0], ...files].filter((file) => file.startsWith(root.href));
    const store = await cache.open();
    await Promise.allSettled([...new Set(own)].map((file) => store.add(file)));
  } catch {
    // Not on a secure address, or not permitted: everything works but this.
  }
}
