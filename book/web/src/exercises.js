// The exercises of a page. The build says with `data-runs` where the check of each can run; those
// that need NumPy only get an editor here, and Python in a worker, when a reader first asks for it.
import { clean } from "./clean.js";
import { Python } from "./python.js";
import * as store from "./store.js";

const ROOT = new URL("../", import.meta.url); // of the site; this script lies in _static/
const SAVE_AFTER = 300; // milliseconds without a key
const CONTROL = /Mac|iP/.test(globalThis.navigator?.platform) ? "Cmd" : "Ctrl";
const inMB = (bytes) => (bytes / 1e6).toFixed(1);

const element = (tag, attributes = {}, ...content) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...content);
  return made;
};

const python = RUNTIME && new Python({ facts: RUNTIME, root: ROOT, state: given, progress: showProgress });
const exercises = new Map(); // {name: Exercise}
const starting = new Set(); // exercises that wait until Python has started
let loading = ["Starting Python …"]; // how far it is; null once it can compute

// What Python is told of earlier visits.
function given() {
  const hints = {};
  const passed = [];
  for (const name of exercises.keys()) {
    const saved = store.get(`exercises/${name}`) ?? {};
    if (saved.hints) hints[name] = saved.hints;
    if (saved.passed_at) passed.push(name);
  }
  return { hints, passed };
}

function showProgress({ loaded, total, starts }) {
  if (starts) loading = ["Starting Python …"];
  else loading = ["Loading Python, the first time only …", loaded / total, `${inMB(loaded)} of ${inMB(total)} MB`];
  for (const exercise of starting) exercise.progress(...loading);
}

// Start Python; what an exercise shows until then is how far it is, and from then on `words`.
async function startPython(exercise, words) {
  starting.add(exercise);
  exercise.progress(...(loading ?? [words]));
  try {
    await python.start();
    loading = null;
    exercise.progress(words);
  } finally {
    starting.delete(exercise);
  }
}

const sourceOf = (cell) => (cell.querySelector(".cell_input pre")?.textContent ?? "").trimEnd();

class Exercise {
  #view = null;
  #saving = 0;
  #before = null; // the answer that *Start again* has put aside

  constructor(card) {
    this.card = card;
    this.name = card.dataset.exercise;
    this.path = `exercises/${this.name}`;
    this.cell = card.querySelector("div.cell");
    this.input = this.cell.querySelector(".cell_input");
    this.shown = this.input.querySelector("pre");
    this.stub = sourceOf(this.cell);
    const saved = store.get(this.path);
    this.text = saved?.code ?? this.stub;
    this.#build();
    if (!saved?.code) this.#keepAside(saved?.older?.findLast(({ code }) => code)?.code ?? null);
    if (this.answered) {
      this.shown.textContent = `${this.text}\n`;
      this.#showLast(saved.verdict);
    }
    store.subscribe(() => this.#refresh());
    this.#showPassed();
  }

  get answered() {
    return this.text.trim() !== this.stub.trim();
  }

  #build() {
    const label = this.card.querySelector(".task-label");
    const button = (name, text, action) => {
      const made = element("button", { type: "button", class: name }, text);
      made.addEventListener("click", action);
      return made;
    };
    this.write = button("workbench-write", this.answered ? "Change your answer" : "Write your answer", () => this.edit());
    this.again = button("workbench-again", "Start again", () => this.#startAgain());
    this.keys = element("p", { class: "workbench-keys", id: `${this.card.id}-keys`, hidden: "" },
      `${CONTROL}+Enter checks. Escape, then Tab, leaves the editor.`);
    this.bar = element("div", { class: "workbench-bar", role: "group", "aria-labelledby": label.id },
      this.write,
      button("workbench-check", "Check", () => this.check()),
      button("workbench-run", "Run", () => this.run()),
      this.again);
    this.words = element("span");
    this.meter = element("progress", { max: "1", "aria-hidden": "true" });
    this.amount = element("span", { "aria-hidden": "true" }); // it changes too often to be read out
    this.waiting = element("p", { class: "workbench-waiting", role: "status", hidden: "" },
      this.words, this.meter, this.amount);
    this.output = element("div", { class: "workbench-output", "aria-live": "polite" });
    this.mark = element("span", { class: "workbench-passed" });
    label.append(this.mark);
    this.input.after(this.bar, this.keys, this.waiting, this.output);
    this.card.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.defaultPrevented) {
        event.preventDefault();
        this.check();
      }
    });
    this.shown.addEventListener("click", () => String(getSelection()) || this.edit());
    this.card.dataset.live = "";
  }

  // Put the editor in the place of the stub. Python starts meanwhile.
  async edit() {
    let editor;
    try {
      editor = await import(new URL(RUNTIME.editor, ROOT));
    } catch {
      this.#show({ text: "The editor could not be loaded. Are you online? Reload the page to try again.\n" });
      return;
    }
    if (!this.#view) {
      const parent = element("div", { class: "workbench-editor" });
      parent.addEventListener("keydown", (event) => event.stopPropagation()); // "/" is no search here
      this.input.append(parent);
      this.#view = editor.edit({
        parent,
        text: this.text,
        label: `Your answer to ${this.name}`,
        describedBy: this.keys.id,
        changed: (text) => this.#changed(text),
        check: () => this.check(),
      });
      this.replace = (text) => editor.replace(this.#view, text);
      this.keys.hidden = false;
      this.write.remove();
      this.input.classList.add("workbench-edited");
    }
    editor.selectPlaceholder(this.#view);
    await startPython(this, "").catch(() => {}); // *Check* says what is wrong
    this.waiting.hidden = !this.#isBusy;
  }

  get #isBusy() {
    return this.card.hasAttribute("aria-busy");
  }

  #changed(text) {
    this.text = text;
    if (this.#before === null || this.answered) this.#keepAside(null);
    clearTimeout(this.#saving);
    this.#saving = setTimeout(() => this.save(), SAVE_AFTER);
  }

  save(more = {}) {
    clearTimeout(this.#saving);
    this.#saving = 0;
    const saved = store.get(this.path);
    if (!saved && !this.answered && !Object.keys(more).length) return;
    store.set(this.path, { ...saved, code: this.answered ? this.text : undefined, ...more });
  }

  // Save what was typed just now. Nothing else: another tab may have a newer answer.
  saveNow() {
    if (this.#saving) this.save();
  }

  // Something was stored, perhaps in another tab.
  #refresh() {
    this.#showPassed();
    const code = store.get(this.path)?.code ?? this.stub;
    if (this.#saving || code === this.text || this.card.contains(document.activeElement)) return;
    this.#set(code);
  }

  #set(text) {
    if (this.#view) this.replace(text);
    else {
      this.text = text;
      this.shown.textContent = `${text}\n`;
      this.#keepAside(this.#before);
    }
  }

  // What the last visit's check found. The stub's own output is not that of this answer.
  #showLast(verdict) {
    this.#hideOutputs();
    const words = verdict === "passed" ? "passed" : `not yet – ${verdict}`;
    if (verdict) this.output.append(element("p", {}, `Your last check: ${words}.`));
  }

  #hideOutputs() {
    for (const old of this.cell.querySelectorAll(":scope > .cell_output")) old.hidden = true;
  }

  #showPassed() {
    this.mark.textContent = store.get(this.path)?.passed_at ? " · ✓ passed" : "";
  }

  #startAgain() {
    const aside = this.#before;
    if (aside !== null) {
      this.#keepAside(null);
      this.#set(aside);
    } else if (this.answered) {
      this.#keepAside(this.text);
      this.#set(this.stub);
    }
    this.save();
  }

  #keepAside(text) {
    this.#before = text;
    this.again.textContent = text === null ? "Start again" : "Bring my answer back";
    this.again.hidden = text === null && !this.answered;
  }

  run() {
    return this.#compute({});
  }

  async check() {
    const result = await this.#compute({ check: this.card.dataset.check });
    if (!result?.verdict) return;
    const saved = store.get(this.path) ?? {};
    const passed = result.verdict === "passed";
    this.save({
      verdict: result.verdict,
      hints: result.hints,
      tried: (saved.tried ?? 0) + 1,
      ...(passed && { passed_at: saved.passed_at ?? new Date().toISOString() }),
    });
  }

  async #compute(request) {
    if (this.#isBusy) return null;
    this.card.setAttribute("aria-busy", "true");
    try {
      await startPython(this, "Running …");
      const result = await python.run({ ...request, cells: this.#cells() }, this.name);
      this.#show(result);
      return result;
    } catch (error) {
      this.#show({ text: `Python could not run: ${error.message}. Please try again; if that does not help, are you online? Then reload the page.\n` });
      return null;
    } finally {
      this.card.removeAttribute("aria-busy");
      this.waiting.hidden = true;
    }
  }

  // The page's cells up to this one, with the reader's answers.
  #cells() {
    const cells = [...document.querySelectorAll("article div.cell")].filter((cell) => cell.querySelector(".cell_input pre"));
    return cells.slice(0, cells.indexOf(this.cell) + 1).map((cell) => {
      const name = cell.closest(".exercise")?.dataset.exercise;
      const other = exercises.get(name);
      const source = other ? other.text : sourceOf(cell);
      return name ? { source, exercise: name, answered: other?.answered ?? false } : { source };
    });
  }

  progress(words, share = null, amount = "") {
    this.waiting.hidden = false;
    if (this.words.textContent !== words) this.words.textContent = words;
    this.meter.hidden = share === null;
    this.meter.value = share ?? 0;
    this.amount.textContent = amount;
  }

  #show({ text = "", html = "" }) {
    this.#hideOutputs();
    this.output.replaceChildren();
    if (text) this.output.append(element("pre", { tabindex: "0", "aria-label": "Output" }, text.trimEnd()));
    if (html) this.output.append(clean(html));
    if (!text && !html) this.output.append(element("p", {}, "It ran, and there is nothing to show."));
  }
}

if (python) {
  for (const card of document.querySelectorAll('.exercise[data-runs="browser"]')) {
    exercises.set(card.dataset.exercise, new Exercise(card));
  }
  addEventListener("pagehide", () => exercises.forEach((one) => one.saveNow()));
}
