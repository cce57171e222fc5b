// What the reader did. Part of the interface; it forgets when the page is closed.
const data = {};
const listeners = new Set();

export function get(path) {
  return data[path];
}

export function set(path, value) {
  data[path] = value;
  for (const listener of listeners) listener(path, value);
}

export function subscribe(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
