// A reader's answers as files: a notebook and a .py for `nnweek grade`, and JSON for another browser.
import { areRecords, migrate, VERSION } from "./store.js";

const FORMAT = "nnweek answers";

/** All records as text for another browser. */
export function asJSON(store) {
  const records = Object.fromEntries(store.entries());
  return JSON.stringify({ format: FORMAT, version: VERSION, records }, null, 1);
}

/**
 * Return the records in such a text.
 *
 * Throws an Error whose message tells the reader what the file is instead.
 */
export function fromJSON(text) {
  let found;
  try {
    found = JSON.parse(text);
  } catch {
    throw new Error("This file holds no answers. Choose the .json file that you downloaded here.");
  }
  if (Array.isArray(found?.cells)) {
    throw new Error("This is a notebook. Choose the .json file that you downloaded beside it.");
  }
  if (found?.format !== FORMAT || !Number.isInteger(found.version)) {
    throw new Error("This file holds no answers of this course.");
  }
  if (found.version > VERSION) {
    throw new Error("This file comes from a newer release of the course. Reload this page and try again.");
  }
  const records = areRecords(migrate(found.records, found.version));
  if (!records) throw new Error("This file is damaged: its answers cannot be read.");
  return records;
}

/** The cells of a notebook with all answers: [{kind: "markdown" or "code", text}, …]. */
export function asCells(store, days) {
  const cells = [];
  const markdown = (text) => cells.push({ kind: "markdown", text });
  const code = (text) => cells.push({ kind: "code", text });
  const solved = Object.entries(days).flatMap(([, { solutions }]) => solutions);
  markdown("# My answers");
  for (const [day, { title, imports, exercises, questions, predictions }] of Object.entries(days)) {
    const answers = exercises.map((name) => [name, store.get(`exercises/${name}`)]).filter(([, one]) => one?.code || one?.older);
    const notes = [...written("predictions", predictions, predicted), ...written("questions", questions, chosen)];
    if (!answers.length && !notes.length) continue;
    markdown(`## ${title}`);
    if (answers.length) code(`from nnweek import checks\n${imports}`);
    for (const [name, record] of answers) {
      markdown(`### ${name}`);
      if (record.code) code(withCheck(name, record.code));
      for (const { code: text } of record.older ?? []) {
        if (text) markdown(`Another version of yours:\n\n${fenced(text)}`);
      }
    }
    if (notes.length) markdown(notes.join("\n\n"));

    function written(kind, texts, words) {
      return texts.flatMap((text, i) => {
        const record = store.get(`${kind}/${day}/${i + 1}`);
        return record ? [`${kind === "questions" ? "Question" : "Prediction"} ${i + 1}: ${words(text, record)}`] : [];
      });
    }
  }
  return cells;

  function withCheck(name, text) {
    const needed = solved.filter((other) => other !== name && !passed(other) && uses(text, other));
    const borrowed = needed.map((other) => `from nnweek.checks.solutions import ${other}  # not passed yet\n`);
    const call = text.includes(`checks.${name}(`) ? "" : `\n\n\nchecks.${name}(${name})`;
    return borrowed.join("") + (borrowed.length ? "\n\n" : "") + text.trim() + call;
  }

  function passed(name) {
    const record = store.get(`exercises/${name}`);
    return record?.code && record.verdict === "passed";
  }
}

const uses = (code, name) => new RegExp(`(?<![\\w.])${name}(?!\\w)`).test(code);
const predicted = (text, { answer }) => `${text}\n\n> ${answer.replaceAll("\n", "\n> ")}`;
const chosen = (_, { choice, right }) => `${choice}, ${right ? "right" : "missed"}.`;

// A fence that is longer than any in the text.
function fenced(text) {
  const fence = "`".repeat(Math.max(3, ...[...text.matchAll(/`+/g)].map(([run]) => run.length + 1)));
  return `${fence}python\n${text}\n${fence}`;
}

export function asNotebook(cells) {
  const outputs = { execution_count: null, outputs: [] };
  return JSON.stringify(
    {
      cells: cells.map(({ kind, text }, i) => ({
        id: `answer-${i}`,
        cell_type: kind,
        metadata: {},
        source: text.split(/(?<=\n)/),
        ...(kind === "code" ? outputs : {}),
      })),
      metadata: { kernelspec: { display_name: "Python 3", language: "python", name: "python3" } },
      nbformat: 4,
      nbformat_minor: 5,
    },
    null,
    1,
  );
}

/** Python in jupytext's percent format. */
export function asPython(cells) {
  const comment = (text) => text.replace(/^(?=.)/gm, "# ").replace(/^$/gm, "#");
  return cells
    .map(({ kind, text }) => (kind === "code" ? `# %%\n${text}\n` : `# %% [markdown]\n${comment(text)}\n`))
    .join("\n");
}
