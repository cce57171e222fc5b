import assert from "node:assert/strict";
import test from "node:test";
import { excerpt, finder, stem } from "../src/finder.js";

const section = (url, title, text, weight = 1) => ({ url, title, page: "A page", text, code: "", weight });
const SECTIONS = [
  section("#equal", "Loss of 2.3026", "Ten equal probabilities."),
  section("#other", "Numbers", "The loss was 2.3027 before, and 2 or 3026 images were used."),
  section("#flat", "Loss not decreasing", "The weights do not change."),
  section("#slow", "Learning rates", "The loss decreases slowly if the rate is low."),
  section("#reference", "Learning rate too high", "A mistake of an exercise.", 0.5),
  section("#jumps", "Loss jumps: learning rate too high", "Each step is too long.", 2),
];
const find = finder(SECTIONS);
const urls = (query) => find(query).map(({ section: { url } }) => url);

test("A number with its point is one word", () => {
  assert.deepEqual(urls("2.3026"), ["#equal"]);
});

test("A word is found in its other forms", () => {
  assert.equal(urls("loss not decreasing")[0], "#flat");
  assert.ok(urls("decrease").includes("#slow"));
  assert.equal(stem("Layers"), stem("layer"));
});

test("Unimportant words alone find nothing", () => {
  assert.deepEqual(urls("why is it so"), []);
  assert.deepEqual(urls(""), []);
});

test("Weight decides between sections that match alike", () => {
  const [first, ...others] = urls("learning rate too high");
  assert.equal(first, "#jumps");
  assert.ok(others.includes("#reference"));
});

test("One slip in a long word is forgiven", () => {
  assert.equal(urls("decreesing")[0], "#flat");
});

test("Excerpt shows the words that were found", () => {
  const text = `${"filler ".repeat(100)}the loss is NaN here ${"filler ".repeat(100)}`;
  const pieces = excerpt(text, new Set(["loss", "nan"].map(stem)));
  assert.equal(pieces.length, 30);
  assert.deepEqual(pieces.filter(([, isFound]) => isFound).map(([piece]) => piece), ["loss", "NaN"]);
});

test("Excerpt of a text without the words is its beginning", () => {
  assert.deepEqual(excerpt("One two", new Set(["three"])), [["One", false], ["two", false]]);
});
