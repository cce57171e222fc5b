/** A storage like the browser's, which can be told to refuse. */
export class FakeStorage {
  constructor(contents = {}) {
    Object.assign(this, contents);
    Object.defineProperty(this, "refuses", { value: false, writable: true });
  }
  getItem(key) {
    return Object.hasOwn(this, key) ? this[key] : null;
  }
  setItem(key, text) {
    if (this.refuses) throw new DOMException("full", "QuotaExceededError");
    this[key] = String(text);
  }
  removeItem(key) {
    delete this[key];
  }
}

/** A clock that a test moves: clock.at += DAY. */
export function clockAt(time) {
  const clock = () => clock.time;
  clock.time = time;
  return clock;
}
