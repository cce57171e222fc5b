// Files that the browser keeps, for a page and the worker of its Python without a connection.
export const NAME = "nnweek";

// Without permission, or on a page that is not secure, there is no cache: all is fetched again.
export async function open() {
  try {
    return await caches.open(NAME);
  } catch {
    return null;
  }
}

export async function kept(address) {
  return (await open())?.match(address);
}

export async function keep(address, blob) {
  try {
    await (await open())?.put(address, new Response(blob, { headers: { "Content-Type": blob.type } }));
  } catch {
    // The disk is full: it is fetched again next time.
  }
}
