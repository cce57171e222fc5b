import test from "node:test";
import assert from "node:assert/strict";
import * as store from "../src/store.js";

test("a subscriber hears what is set, until it leaves", () => {
  const heard = [];
  const leave = store.subscribe((path, value) => heard.push([path, value]));
  store.set("exercises/forward", { tried: 1 });
  leave();
  store.set("exercises/forward", { tried: 2 });
  assert.deepEqual(heard, [["exercises/forward", { tried: 1 }]]);
  assert.deepEqual(store.get("exercises/forward"), { tried: 2 });
});
