import assert from "node:assert/strict";
import test from "node:test";

import { migrate, openStore } from "../src/store.js";
import { asCells, asJSON, asNotebook, asPython, fromJSON } from "../src/transfer.js";

const WEEK = {
  "day-29": {
    title: "Day 29 – A network",
    imports: "import numpy as np",
    exercises: ["softmax", "backward"],
    solutions: ["softmax", "backward"],
    questions: ["<div>…</div>"],
    predictions: ["Predict before you run: does it rise?"],
  },
  "day-30": { title: "Day 30", imports: "", exercises: [], solutions: [], questions: [], predictions: [] },
};
const CODE = 'def backward(x):\n    return softmax(x)\n\n\nchecks.backward(backward)\n';

function filled() {
  const store = openStore({ now: () => 5 });
  store.set("exercises/backward", { code: CODE, verdict: "passed", tried: 1 });
  store.set("predictions/day-29/1", { answer: "yes,\nlater" });
  store.set("questions/day-29/1", { choice: "b", right: false });
  return store;
}
const sources = (cells, kind) => cells.filter((cell) => cell.kind === kind).map((cell) => cell.text);

test("JSON goes to another browser and back without a change", () => {
  const store = filled();
  const other = openStore();
  assert.equal(other.merge(fromJSON(asJSON(store))).length, 3);
  assert.equal(asJSON(other), asJSON(store));
  assert.deepEqual(other.merge(fromJSON(asJSON(store))), []);
});

test("a wrong file gets a message that says what it is", () => {
  const wrong = {
    "not json": /holds no answers/,
    '{"cells": []}': /is a notebook/,
    '{"a": 1}': /of this course/,
    "[]": /of this course/,
    '{"format": "nnweek answers", "version": 9, "records": {}}': /newer release/,
    '{"format": "nnweek answers", "version": 1, "records": {"x": 1}}': /damaged/,
    '{"format": "nnweek answers", "version": 1, "records": {"x": {"at": 1, "code": 1}}}': /damaged/,
    '{"format": "nnweek answers", "version": 1, "records": {"x": {"at": 1, "older": [null]}}}': /damaged/,
    '{"format": "nnweek answers", "version": 1}': /damaged/,
  };
  for (const [text, message] of Object.entries(wrong)) assert.throws(() => fromJSON(text), { message });
});

test("records of an older version are migrated step by step", () => {
  const steps = { 1: (records) => ({ ...records, two: {} }), 2: (records) => ({ ...records, three: {} }) };
  assert.deepEqual(Object.keys(migrate({ one: {} }, 1, 3, steps)), ["one", "two", "three"]);
});

test("the cells hold imports, the code with its check once, and what was written", () => {
  const cells = asCells(filled(), WEEK);
  const [imports, code] = sources(cells, "code");
  assert.equal(imports, "from nnweek import checks\nimport numpy as np");
  assert.equal(code.match(/checks\.backward\(/g).length, 1);
  const text = sources(cells, "markdown").join("\n");
  assert.match(text, /does it rise\?\n\n> yes,\n> later/);
  assert.match(text, /Question 1: b, missed/);
  assert.doesNotMatch(text, /Day 30/);
});

test("an exercise that is used but has not passed is borrowed, as on the page", () => {
  const store = filled();
  const borrowed = "from nnweek.checks.solutions import softmax";
  const code = () => sources(asCells(store, WEEK), "code").join("\n");
  assert.ok(code().includes(borrowed));
  store.set("exercises/softmax", { code: "def softmax(x): ...", verdict: "not-attempted", tried: 1 });
  assert.ok(code().includes(borrowed));
  assert.ok(code().includes("checks.softmax(softmax)"));
  store.set("exercises/softmax", { code: "def softmax(x): return x", verdict: "passed", tried: 2 });
  assert.ok(!code().includes(borrowed));
});

test("an earlier version of an answer is text, and cannot end its fence", () => {
  const store = filled();
  store.merge({ "exercises/backward": { code: 'x = """```"""', at: 1 } });
  const text = sources(asCells(store, WEEK), "markdown").join("\n");
  assert.ok(text.includes('````python\nx = """```"""\n````'));
});

test("code that was put aside is handed in as text, without a check", () => {
  const store = filled();
  store.set("exercises/backward", { tried: 1 });
  const cells = asCells(store, WEEK);
  assert.ok(sources(cells, "markdown").join("\n").includes(CODE));
  assert.ok(!sources(cells, "code").join("\n").includes("checks.backward"));
});

test("a notebook and a Python file have the same cells", () => {
  const cells = asCells(filled(), WEEK);
  const notebook = JSON.parse(asNotebook(cells));
  assert.equal(notebook.nbformat, 4);
  assert.deepEqual(notebook.cells.map((cell) => cell.source.join("")), cells.map((cell) => cell.text));
  const python = asPython(cells);
  assert.equal(python.match(/^# %%/gm).length, cells.length);
  assert.ok(python.includes(CODE.trim()));
  assert.ok(python.includes("# > yes,\n# > later"));
});
