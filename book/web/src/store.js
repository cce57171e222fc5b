// What a reader did: one record per path, such as "exercises/backward", kept in the browser.
//
//   exercises/backward     {code, verdict: "passed" or a mistake's id, passed_at, tried, at}
//   questions/day-29/3     {choice, right, at, history: [{choice, right, at}], of}
//   predictions/day-29/2   {answer, late, at, history: [{answer, at}], of}
//
// `of` is the fingerprint of the text that was answered, which a later release may change.
// Every record has the time `at` of its last change. Where two places changed the same record, the
// newer one wins, and what a person wrote in the other is kept in `older`: nothing written is lost.

export const VERSION = 1;
// {version: function that turns the records of that version into those of the next}
const MIGRATIONS = {};
const PREFIX = "nnweek:";

/**
 * Open the records of this browser.
 *
 * Without a storage, or if it refuses or is full, the records last as long as the page: then
 * `store.lasting` is false. A storage written by a newer release of the site stays untouched.
 */
export function openStore({ storage = null, now = Date.now, version = VERSION, migrations = MIGRATIONS } = {}) {
  const key = `${PREFIX}${version}`;
  const listeners = new Set();
  const fromElsewhere = new Set(); // paths that another tab changed since this one did
  let records = {};
  let raw = null; // the storage's text that `records` reflects
  let writable = storage !== null; // false for good if a newer release has written there
  let lasting = writable; // whether the last attempt succeeded; a full storage may be emptied

  const attempt = (action) => {
    try {
      action();
      lasting = true;
    } catch {
      lasting = false;
    }
  };

  function load() {
    const versions = Object.keys(storage)
      .map((name) => (name.startsWith(PREFIX) ? Number(name.slice(PREFIX.length)) : NaN))
      .filter(Number.isInteger);
    const newest = Math.max(0, ...versions);
    if (newest > version) {
      writable = false;
    } else if (newest > 0) {
      const text = storage.getItem(`${PREFIX}${newest}`);
      const found = parse(text);
      if (!found) {
        storage.setItem(`${PREFIX}damaged:${now()}`, text); // for a person to look at
        return;
      }
      records = migrate(found, newest, version, migrations);
      if (newest === version) raw = text;
      else write();
    }
  }

  function write() {
    const text = JSON.stringify(records);
    storage.setItem(key, text);
    raw = text;
  }

  // Take over what another tab has written since.
  function absorb(text) {
    const found = text !== raw && parse(text);
    if (!found) return;
    raw = text;
    const changed = [];
    for (const [path, record] of Object.entries(found)) {
      if (same(record, records[path])) continue;
      records[path] = records[path] ? merged(records[path], record) : record;
      fromElsewhere.add(path);
      changed.push(path);
    }
    if (changed.length) notify(changed);
  }

  const notify = (paths) =>
    paths.forEach((path) => listeners.forEach((listener) => listener(path, records[path])));

  // Take over what was written while this page slept.
  function refresh() {
    if (writable) attempt(() => absorb(storage.getItem(key)));
  }

  function put(changes) {
    refresh();
    Object.assign(records, changes());
    if (writable) attempt(write);
  }

  if (storage) attempt(load);

  return {
    now,
    get lasting() {
      return writable && lasting;
    },
    get(path) {
      return records[path];
    },
    /** All records of a kind: entries("questions/day-29") -> [["questions/day-29/3", record], …]. */
    entries(prefix = "") {
      return Object.entries(records).filter(([path]) => !prefix || path.startsWith(`${prefix}/`));
    },
    set(path, value) {
      put(() => {
        const before = records[path];
        const record = { ...value, at: now() };
        const older = [...(before?.older ?? [])];
        const dropped = before?.code && !record.code; // the exercise starts again
        if (fromElsewhere.delete(path) || dropped) older.push(...written(before, record));
        if (older.length) record.older = distinct(older);
        return { [path]: record };
      });
      notify([path]);
    },
    /** Merge records from another browser; return the paths that changed. */
    merge(others) {
      let paths;
      put(() => {
        const changes = {};
        for (const [path, other] of Object.entries(others)) {
          const mine = records[path];
          const record = mine ? merged(mine, other, true) : other;
          if (!same(record, mine)) changes[path] = record;
        }
        paths = Object.keys(changes);
        return changes;
      });
      if (paths.length) notify(paths);
      return paths;
    },
    /** Call listener(path, record) after every change, here or in another tab. */
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    refresh,
    /** Call this with the window's `storage` events. */
    hear({ key: changed, newValue }) {
      if (writable && changed === key) absorb(newValue);
    },
  };
}

/** Bring records of an older version to a newer one. */
export function migrate(records, from, to = VERSION, migrations = MIGRATIONS) {
  for (let version = from; version < to; version++) records = migrations[version](records);
  return records;
}

/** Combine two states of a record: the newer one, with the history of both. */
export function merged(one, other, keepBoth = false) {
  const [older, newer] = order(one, other);
  const record = { ...older, ...newer };
  if (one.history || other.history) {
    record.history = distinct([...(one.history ?? []), ...(other.history ?? [])]);
  }
  const texts = [...(one.older ?? []), ...(other.older ?? [])];
  if (keepBoth) texts.push(...written(older, newer));
  if (texts.length) record.older = distinct(texts);
  if (one.tried || other.tried) record.tried = Math.max(one.tried ?? 0, other.tried ?? 0);
  return record;
}

function order(one, other) {
  const difference = one.at - other.at || (JSON.stringify(one) < JSON.stringify(other) ? -1 : 1);
  return difference < 0 ? [one, other] : [other, one];
}

// What a person wrote in a record, unless another one says the same.
function written(record, other) {
  return ["code", "answer"]
    .filter((field) => record?.[field] && record[field] !== other[field])
    .map((field) => ({ [field]: record[field], at: record.at }));
}

function distinct(list) {
  const byText = new Map(list.map((one) => [JSON.stringify(one), one]));
  const sorted = [...byText].sort(([a, one], [b, other]) => one.at - other.at || (a < b ? -1 : 1));
  return sorted.map(([, one]) => one);
}

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

function parse(text) {
  try {
    return areRecords(JSON.parse(text));
  } catch {
    return null;
  }
}

/** Return the records in what somebody read from a file or a storage; null if these are none. */
export function areRecords(found) {
  return isObject(found) && Object.values(found).every(isRecord) ? found : null;
}

const TEXTS = ["code", "verdict", "hints", "answer", "choice"];
const LISTS = ["history", "older"];

const isObject = (one) => one !== null && typeof one === "object" && !Array.isArray(one);
const isRecord = (one) =>
  isObject(one) &&
  Number.isFinite(one.at) &&
  TEXTS.every((field) => one[field] === undefined || typeof one[field] === "string") &&
  LISTS.every((field) => one[field] === undefined || (Array.isArray(one[field]) && one[field].every(isRecord)));

/** The browser's storage, or null where it is switched off. */
export function browserStorage(window) {
  try {
    const storage = window.localStorage;
    storage.setItem("nnweek:?", "");
    storage.removeItem("nnweek:?");
    return storage;
  } catch {
    return null;
  }
}

/** The records of this page. */
export const store = openStore({ storage: browserStorage(globalThis) });
export const { get, set, subscribe } = store;
globalThis.addEventListener?.("storage", store.hear);
globalThis.addEventListener?.("pageshow", ({ persisted }) => persisted && store.refresh());
