import test from "node:test";
import assert from "node:assert/strict";
import * as store from "../src/store.js";

test("a subscriber hears what is set, until it leaves", () => {
  const heard = [];
  const leave = store.subscribe((path, value) => heard.push([path, value.tried]));
  store.set("exercises/forward", { tried: 1 });
  leave();
  store.set("exercises/forward", { tried: 2 });
  assert.deepEqual(heard, [["exercises/forward", 1]]);
  assert.equal(store.get("exercises/forward").tried, 2);
});
