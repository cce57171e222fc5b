import assert from "node:assert/strict";
import test from "node:test";

import { choose, due } from "../src/review.js";
import { openStore } from "../src/store.js";
import { clockAt } from "./support.js";

const DAY = 24 * 60 * 60 * 1000;
const answers = (...rights) => ({ history: rights.map((right, i) => ({ right, at: i * DAY })) });

test("a missed question is due at once, a right one after 1, 3 and 7 days, then never", () => {
  assert.equal(due(answers(false)), 0);
  assert.equal(due(answers(true)), 1 * DAY);
  assert.equal(due(answers(true, true)), (1 + 3) * DAY);
  assert.equal(due(answers(true, true, true)), (2 + 7) * DAY);
  assert.equal(due(answers(true, true, true, true)), Infinity);
});

test("a miss begins the schedule again", () => {
  assert.equal(due(answers(true, true, true, false)), 0);
  assert.equal(due(answers(true, true, false, true)), (3 + 1) * DAY);
});

function answer(store, path, right) {
  const history = [...(store.get(path)?.history ?? []), { right, at: store.now() }];
  store.set(path, { right, history });
}

test("three questions of earlier days are chosen, missed ones first, then the longest due", () => {
  const now = clockAt(100 * DAY);
  const store = openStore({ now });
  answer(store, "questions/day-29/1", true);
  now.time += 1;
  answer(store, "questions/day-29/2", true);
  answer(store, "questions/day-30/1", false);
  answer(store, "questions/day-31/1", false);
  answer(store, "questions/day-30/2", true);
  assert.deepEqual(choose(store, "day-31"), ["questions/day-30/1"]);
  now.time += DAY;
  assert.deepEqual(choose(store, "day-31"), ["questions/day-30/1", "questions/day-29/1", "questions/day-29/2"]);
  assert.deepEqual(choose(store, "day-30"), ["questions/day-29/1", "questions/day-29/2"]);
  assert.deepEqual(choose(store, "day-29"), []);
});

test("over two weeks, a question that is always right comes three times", () => {
  const now = clockAt(0);
  const store = openStore({ now });
  answer(store, "questions/day-29/1", true);
  const asked = [];
  for (let day = 1; day <= 14; day++) {
    now.time = day * DAY;
    for (const path of choose(store, "day-35")) {
      asked.push(day);
      answer(store, path, true);
    }
  }
  assert.deepEqual(asked, [1, 4, 11]);
});

test("numbers of days are compared as numbers", () => {
  const store = openStore();
  answer(store, "questions/day-9/1", false);
  answer(store, "questions/day-100/1", false);
  assert.deepEqual(choose(store, "day-30"), ["questions/day-9/1"]);
});
