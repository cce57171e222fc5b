import assert from "node:assert/strict";
import test from "node:test";

import { areRecords, browserStorage, merged, openStore } from "../src/store.js";
import { clockAt, FakeStorage } from "./support.js";

const saved = (storage, version = 1) => JSON.parse(storage[`nnweek:${version}`]);

// Two tabs: each hears what the other writes, as browsers report it.
function twoTabs(storage, now) {
  const tabs = [openStore({ storage, now }), openStore({ storage, now })];
  const tell = () => tabs.forEach((tab) => tab.hear({ key: "nnweek:1", newValue: storage["nnweek:1"] }));
  return [...tabs, tell];
}

test("a record survives the page", () => {
  const storage = new FakeStorage();
  openStore({ storage, now: () => 7 }).set("questions/day-29/3", { choice: "b", right: true });
  const again = openStore({ storage });
  assert.deepEqual(again.get("questions/day-29/3"), { choice: "b", right: true, at: 7 });
  assert.equal(again.lasting, true);
});

test("entries are those below a path", () => {
  const store = openStore();
  for (const path of ["questions/day-29/1", "questions/day-30/1", "questions/day-2/1"]) store.set(path, {});
  assert.deepEqual(store.entries("questions/day-2").map(([path]) => path), ["questions/day-2/1"]);
  assert.equal(store.entries("questions").length, 3);
  assert.equal(store.entries().length, 3);
});

test("without a storage everything works until the page closes", () => {
  const store = openStore();
  store.set("exercises/softmax", { code: "x" });
  assert.equal(store.get("exercises/softmax").code, "x");
  assert.equal(store.lasting, false);
});

test("a full storage is reported, and written again once there is room", () => {
  const storage = new FakeStorage();
  const store = openStore({ storage });
  storage.refuses = true;
  store.set("exercises/softmax", { code: "x" });
  assert.equal(store.lasting, false);
  assert.equal(store.get("exercises/softmax").code, "x");
  storage.refuses = false;
  store.set("exercises/backward", { code: "y" });
  assert.equal(store.lasting, true);
  assert.equal(saved(storage)["exercises/softmax"].code, "x");
});

test("a storage that is switched off is none", () => {
  const switchedOff = Object.defineProperty({}, "localStorage", {
    get() {
      throw new DOMException("denied", "SecurityError");
    },
  });
  assert.equal(browserStorage(switchedOff), null);
  const storage = new FakeStorage();
  assert.equal(browserStorage({ localStorage: storage }), storage);
  assert.deepEqual(Object.keys(storage), []);
});

test("records of an older version are migrated, and the old ones left in place", () => {
  const old = JSON.stringify({ "exercises/softmax": { text: "x", at: 1 } });
  const storage = new FakeStorage({ "nnweek:1": old });
  const rename = (records) =>
    Object.fromEntries(Object.entries(records).map(([path, { text, at }]) => [path, { code: text, at }]));
  const add = (records) => ({ ...records, "exercises/new": { code: "", at: 2 } });
  const store = openStore({ storage, version: 3, migrations: { 1: rename, 2: add } });
  assert.equal(store.get("exercises/softmax").code, "x");
  assert.deepEqual(Object.keys(saved(storage, 3)), ["exercises/softmax", "exercises/new"]);
  assert.equal(storage["nnweek:1"], old);
});

test("records of a newer version stay untouched", () => {
  const contents = { "nnweek:1": "{}", "nnweek:2": '{"something": "else"}' };
  const storage = new FakeStorage(contents);
  const store = openStore({ storage });
  store.set("exercises/softmax", { code: "x" });
  assert.deepEqual({ ...storage }, contents);
  assert.equal(store.lasting, false);
  assert.equal(store.get("exercises/softmax").code, "x");
});

test("a damaged storage is put aside, not deleted", () => {
  for (const damaged of ['{"exercises/softmax": {"code": "prec', "[]", '{"exercises/softmax": 3}']) {
    const storage = new FakeStorage({ "nnweek:1": damaged });
    const store = openStore({ storage, now: () => 5 });
    store.set("exercises/backward", { code: "y" });
    assert.equal(storage["nnweek:damaged:5"], damaged);
    assert.deepEqual(Object.keys(saved(storage)), ["exercises/backward"]);
  }
});

test("two tabs see what the other one writes", () => {
  const [one, other, tell] = twoTabs(new FakeStorage());
  const heard = [];
  other.subscribe((path, record) => heard.push([path, record.choice]));
  one.set("questions/day-29/1", { choice: "a" });
  tell();
  assert.equal(other.get("questions/day-29/1").choice, "a");
  assert.deepEqual(heard, [["questions/day-29/1", "a"]]);
});

test("a tab that missed the event still does not overwrite the other", () => {
  const storage = new FakeStorage();
  const [one, other] = twoTabs(storage);
  one.set("questions/day-29/1", { choice: "a" });
  other.set("questions/day-29/2", { choice: "b" });
  assert.equal(Object.keys(saved(storage)).length, 2);
  assert.equal(other.get("questions/day-29/1").choice, "a");
});

test("a page that was asleep takes over what another one wrote", () => {
  const storage = new FakeStorage();
  const [one, other] = [openStore({ storage }), openStore({ storage })];
  const heard = [];
  one.subscribe((path) => heard.push(path));
  other.set("exercises/backward", { code: "1" });
  one.refresh();
  assert.deepEqual(heard, ["exercises/backward"]);
  assert.equal(one.get("exercises/backward").code, "1");
});

test("code written in two tabs is kept from both", () => {
  const now = clockAt(1);
  const [one, other, tell] = twoTabs(new FakeStorage(), now);
  one.set("exercises/softmax", { code: "mine", tried: 1 });
  tell();
  now.time = 2;
  other.set("exercises/softmax", { code: "other", tried: 1 });
  const { code, older } = other.get("exercises/softmax");
  assert.equal(code, "other");
  assert.deepEqual(older, [{ code: "mine", at: 1 }]);
});

test("typing in one tab keeps no copy of every key", () => {
  const store = openStore({ storage: new FakeStorage() });
  for (const code of ["r", "re", "ret"]) store.set("exercises/softmax", { code });
  assert.equal(store.get("exercises/softmax").older, undefined);
});

test("code is put aside when an exercise starts again, and a record has the time of its last change", () => {
  const now = clockAt(1);
  const store = openStore({ now });
  store.set("exercises/softmax", { code: "mine" });
  now.time = 2;
  store.set("exercises/softmax", { ...store.get("exercises/softmax"), code: undefined });
  assert.equal(store.get("exercises/softmax").at, 2);
  assert.deepEqual(store.get("exercises/softmax").older, [{ code: "mine", at: 1 }]);
});

test("emptying the storage in another tab loses nothing that is open here", () => {
  const storage = new FakeStorage();
  const store = openStore({ storage });
  store.set("exercises/softmax", { code: "x" });
  storage.removeItem("nnweek:1");
  store.hear({ key: "nnweek:1", newValue: null });
  store.set("exercises/backward", { code: "y" });
  assert.equal(Object.keys(saved(storage)).length, 2);
});

test("a merge takes the newer record and keeps what was written in the older one", () => {
  for (const [mine, theirs, winner] of [[1, 2, "theirs"], [2, 1, "mine"]]) {
    const store = openStore({ now: () => mine });
    store.set("exercises/softmax", { code: "mine", tried: 5, passed_at: 1 });
    const changed = store.merge({
      "exercises/softmax": { code: "theirs", at: theirs, tried: 2 },
      "predictions/day-29/1": { answer: "up", at: 9 },
    });
    const record = store.get("exercises/softmax");
    assert.equal(record.code, winner);
    assert.equal(record.older.length, 1);
    assert.notEqual(record.older[0].code, winner);
    assert.equal(record.tried, 5);
    assert.equal(record.passed_at, 1);
    assert.deepEqual(changed, ["exercises/softmax", "predictions/day-29/1"]);
  }
});

test("a merge is the same in both directions, and a second one changes nothing", () => {
  const one = { choice: "a", right: false, at: 1, history: [{ choice: "a", at: 1 }] };
  const other = { choice: "b", right: true, at: 1, history: [{ choice: "b", at: 1 }, { choice: "c", at: 0 }] };
  assert.deepEqual(merged(one, other), merged(other, one));
  assert.deepEqual(merged(one, other).history.map((each) => each.choice)[0], "c");
  const store = openStore();
  store.merge({ "questions/day-29/1": one });
  store.merge({ "questions/day-29/1": other });
  assert.deepEqual(store.merge({ "questions/day-29/1": other }), []);
});

test("records have a time each", () => {
  assert.ok(areRecords({ "exercises/softmax": { code: "", at: 3 } }));
  for (const wrong of [null, [], 3, { a: 1 }, { a: null }, { a: {} }, { a: { at: "now" } }]) {
    assert.equal(areRecords(wrong), null);
  }
});
