// The site without a connection, once a reader has used Python on it.
// Pages come from the network first, so that a new release is never hidden by an old copy. What
// lies in workbench/ has the hash of its content in its name, so it is taken from the cache.
import { open } from "./cache.js";

const HASHED = new URL("workbench/", self.registration.scope).href;

self.addEventListener("install", () => self.skipWaiting());

self.addEventListener("activate", (event) => event.waitUntil(takeOver()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const isOurs = request.method === "GET" && request.url.startsWith(self.registration.scope);
  if (isOurs) event.respondWith(request.url.startsWith(HASHED) ? cacheFirst(request) : networkFirst(request));
});

// Remove the files of earlier releases.
async function takeOver() {
  const cache = await open();
  const current = new Set(FILES.map((name) => new URL(name, self.registration.scope).href));
  for (const { url } of (await cache?.keys()) ?? []) {
    if (url.startsWith(HASHED) && !current.has(url)) await cache.delete(url);
  }
  await self.clients.claim();
}

async function cacheFirst(request) {
  return (await (await open())?.match(request.url)) ?? networkFirst(request);
}

async function networkFirst(request) {
  const cache = await open();
  try {
    const response = await fetch(request);
    if (response.ok && response.type === "basic") cache?.put(request, response.clone()).catch(() => {});
    return response;
  } catch (error) {
    const copy = await cache?.match(request);
    if (copy) return copy;
    throw error;
  }
}
