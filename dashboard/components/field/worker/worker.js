// Where there is no line, the phone opens the page that it keeps; nothing else is ever kept or answered from here.

const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));
const PAGE = "/phone/page", OURS = "gridwhistle-phone-", KEPT = OURS + "@VERSION@";
const DOORS = new Set(["/field", "/public"]);
const PATIENCE_MS = 10000; // longer, and somebody in the field believes that nothing comes
const AWAY = new Set([502, 503, 504]); // the line is there, and the house behind it is not

worker.addEventListener("install", (event) =>
  event.waitUntil((async () => {
    const kept = await caches.open(KEPT);
    await kept.add(new Request(PAGE, { cache: "reload" }));
    await worker.skipWaiting(); // a new version waits for no page of the old one to be closed
  })()));

worker.addEventListener("activate", (event) =>
  event.waitUntil((async () => {
    for (const name of await caches.keys()) {
      if (name.startsWith(OURS) && name !== KEPT) await caches.delete(name);
    }
    await worker.clients.claim();
  })()));

worker.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.mode === "navigate" && request.method === "GET" && DOORS.has(new URL(request.url).pathname)) {
    event.respondWith(opened(request));
  }
});

/**
 * Return the page from the server; where it does not come, or not in time, the one that is kept.
 * @param {Request} request
 */
async function opened(request) {
  const coming = fetch(request).then((answer) => (AWAY.has(answer.status) ? null : answer), () => null);
  const answer = await Promise.race([
    coming,
    new Promise((resolve) => setTimeout(resolve, PATIENCE_MS, null)),
  ]);
  return answer ?? (await caches.match(PAGE, { cacheName: KEPT })) ?? (await coming) ?? Response.error();
}
