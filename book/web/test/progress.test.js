import assert from "node:assert/strict";
import test from "node:test";

import { count, sentence } from "../src/progress.js";
import { openStore } from "../src/store.js";

const DAY_29 = { day: "day-29", exercises: ["softmax", "backward"], questions: 3 };

test("nothing is said before something was tried", () => {
  const store = openStore();
  assert.equal(sentence(count(store, DAY_29)), "");
  store.set("exercises/softmax", { code: "x" }); // typed, not checked
  store.set("questions/day-30/1", { right: true });
  assert.equal(sentence(count(store, DAY_29)), "");
});

test("what is right counts, out of what is on the page", () => {
  const store = openStore();
  store.set("exercises/softmax", { tried: 2, verdict: "passed" });
  store.set("exercises/backward", { tried: 1, verdict: "not-attempted" });
  store.set("questions/day-29/1", { right: true });
  store.set("questions/day-29/2", { right: false });
  store.set("questions/day-29/9", { right: true }); // of an earlier release
  assert.equal(sentence(count(store, DAY_29)), "1 of 2 exercises, 1 of 3 questions");
});

test("an exercise that has passed once stays passed", () => {
  const store = openStore();
  store.set("exercises/softmax", { tried: 3, verdict: "sign", passed_at: 4 });
  assert.equal(sentence(count(store, { ...DAY_29, exercises: ["softmax"] })), "1 of 1 exercise, 0 of 3 questions");
});

test("a prediction is a beginning, and a day without exercises says nothing of them", () => {
  const store = openStore();
  store.set("predictions/day-29/1", { answer: "up" });
  assert.equal(sentence(count(store, { ...DAY_29, exercises: [] })), "0 of 3 questions");
});
