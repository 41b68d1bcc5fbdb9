// What was written on this phone and has not arrived yet: kept in IndexedDB, sent again until it is answered.

/**
 * A photo of a report or a step: the picture until it is sent, then the name that the server gave it.
 * @typedef {object} Photo
 * @property {Blob | null} blob
 * @property {string | null} name
 * @property {boolean} used whether another case carries it
 * @property {number} at
 * @property {string} [slot] before or after
 */

/**
 * What was written: a report or a step, and how far it has come.
 * @typedef {object} Entry
 * @property {string} id
 * @property {string} owner
 * @property {"report" | "step"} kind
 * @property {"draft" | "waiting" | "refused" | "sent"} state
 * @property {string} title
 * @property {number} written
 * @property {Photo[]} photos
 * @property {Record<string, any>} body what is sent
 * @property {boolean} [open] a draft that is being written
 * @property {number} [saved]
 * @property {boolean} [pinned] the place was set by hand
 * @property {boolean} [pick] the place is being chosen
 * @property {boolean} [locating]
 * @property {number} [wide] of the map, in metres
 * @property {boolean} [every] all types are shown
 * @property {boolean} [wordsFirst]
 * @property {string | null} [hint] the type that the words speak of
 * @property {string[]} [hintWords]
 * @property {boolean} [ends] the step takes the case from this person
 * @property {number} [tries]
 * @property {number} [next] not before
 * @property {boolean} [going]
 * @property {number} [sent_at]
 * @property {string} [number]
 * @property {string} [said] why it was refused
 */

/** @typedef {Error & { answer?: Response, said?: { said?: string } }} Fault of a request that was answered with a no */

const BOX = "gridwhistle-phone", BOX_VERSION = 1;
const SHELL = "shell"; // what the page of whoever is signed in was given last
// Set by a page that somebody signed in for; every door in or out takes it back.
export const SIGNED_IN = "gridwhistle_phone";
const FIRST_WAIT_MS = 2000, LONGEST_WAIT_MS = 300000;
const SIGNED_IN_S = 30 * 86400;
const SENT_KEPT_MS = 24 * 3600 * 1000, SENT_KEPT = 200;
const LONGEST_PX = 1600, JPEG_QUALITY = 0.82;
const SMALL_TIMEOUT_MS = 20000, PHOTO_TIMEOUT_MS = 90000;

/** Return a random id, also where the page came by plain http. */
export function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  return [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
}

/**
 * @template Result
 * @param {IDBRequest<Result>} request
 * @returns {Promise<Result>}
 */
const asked = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/**
 * Shrink a picture to 1600 px before it is kept: an old phone is full, and a poor line slow.
 * @param {File} file
 * @returns {Promise<Blob>}
 */
export async function shrunk(file) {
  try {
    const picture = await createImageBitmap(file, { imageOrientation: "from-image" });
    const scale = Math.min(1, LONGEST_PX / Math.max(picture.width, picture.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(picture.width * scale));
    canvas.height = Math.max(1, Math.round(picture.height * scale));
    canvas.getContext("2d")?.drawImage(picture, 0, 0, canvas.width, canvas.height);
    picture.close();
    /** @type {Blob | null} */
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", JPEG_QUALITY));
    return blob ?? file;
  } catch {
    return file; // what this browser cannot open the server will judge
  }
}

/** Keep what was written until it has arrived. */
export class Outbox {
  /**
   * `owner` is the login: what another person wrote on the same phone is neither shown nor sent.
   * @param {string} owner
   * @param {string} lang
   * @param {() => void} changed
   */
  constructor(owner, lang, changed) {
    this.owner = owner;
    this.lang = lang;
    this.changed = changed;
    /** @type {Map<string, Entry>} */
    this.entries = new Map();
    /** @type {IDBDatabase | null} */
    this.base = null;
    this.kept = true; // whether the browser keeps what is written
    /** @type {"good" | "poor" | "signed_out"} */
    this.line = "good";
    this.heard = 0;
    /** @type {Promise<void> | null} */
    this.sending = null;
    this.timer = 0;
    this.stopped = false;
    this.onOnline = () => {
      for (const each of this.entries.values()) each.next = 0;
      this.run();
    };
    window.addEventListener("online", this.onOnline);
  }

  static base() {
    const request = indexedDB.open(BOX, BOX_VERSION);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("entries", { keyPath: "id" });
      request.result.createObjectStore("kept", { keyPath: "key" });
    };
    return asked(request);
  }

  /** Return what the page of whoever is signed in was given last, or null. */
  static async shell() {
    try {
      const base = await Outbox.base();
      const row = await asked(base.transaction("kept").objectStore("kept").get(SHELL));
      base.close();
      return row?.value ?? null;
    } catch {
      return null;
    }
  }

  /**
   * Keep what the page was given, for the page that opens without a line: of one person only, the last.
   * @param {unknown} data
   */
  async settle(data) {
    if (!this.base) return;
    await asked(
      this.base.transaction("kept", "readwrite").objectStore("kept").put({
        key: SHELL,
        value: JSON.parse(JSON.stringify(data)),
      }),
    ).catch(() => {});
    document.cookie = `${SIGNED_IN}=1; path=/; max-age=${SIGNED_IN_S}; samesite=lax${
      location.protocol === "https:" ? "; secure" : ""
    }`;
  }

  async open() {
    try {
      this.base = await Outbox.base();
      navigator.storage?.persist?.().catch(() => {});
      const rows = await asked(this.base.transaction("entries").objectStore("entries").getAll());
      for (const row of rows) if (row.owner === this.owner) this.entries.set(row.id, row);
      await this.tidy();
    } catch {
      this.kept = false;
    }
    this.timer = setInterval(() => this.run(), 1000);
    this.changed();
  }

  stop() {
    this.stopped = true;
    clearInterval(this.timer);
    window.removeEventListener("online", this.onOnline);
    this.base?.close();
  }

  /** @param {...Entry["state"]} states */
  list(...states) {
    return [...this.entries.values()].filter((e) => states.includes(e.state)).sort((a, b) =>
      a.written - b.written
    );
  }

  /** All that has not arrived. */
  unsent() {
    return this.list("waiting", "refused", "draft");
  }

  /** @param {Entry} entry */
  async put(entry) {
    this.entries.set(entry.id, entry);
    if (this.base) {
      try {
        await asked(this.base.transaction("entries", "readwrite").objectStore("entries").put(entry));
        this.kept = true;
      } catch {
        this.kept = false;
      }
    }
    this.changed();
  }

  /** @param {string} id */
  async drop(id) {
    this.entries.delete(id);
    if (this.base) {
      await asked(this.base.transaction("entries", "readwrite").objectStore("entries").delete(id)).catch(
        () => {},
      );
    }
    this.changed();
  }

  /**
   * Keep what was fetched last, to show it while the line is down.
   * @param {string} key
   * @param {unknown} value
   */
  async remember(key, value) {
    if (this.base) {
      await asked(
        this.base.transaction("kept", "readwrite").objectStore("kept").put({
          key: `${this.owner}/${key}`,
          value,
        }),
      ).catch(() => {});
    }
  }

  /**
   * Return what was kept, as it was kept.
   * @param {string} key
   * @returns {Promise<any>}
   */
  async recall(key) {
    if (!this.base) return null;
    const row = await asked(this.base.transaction("kept").objectStore("kept").get(`${this.owner}/${key}`))
      .catch(() => null);
    return row?.value ?? null;
  }

  async tidy() {
    const sent = this.list("sent").reverse();
    for (const [n, each] of sent.entries()) {
      if (n >= SENT_KEPT || Date.now() - (each.sent_at ?? 0) > SENT_KEPT_MS) await this.drop(each.id);
    }
  }

  /**
   * Ask our own server; an answer of any kind says that the line is there.
   * @param {string} path
   * @param {{ method?: string, body?: BodyInit, headers?: Record<string, string> }} options
   * @param {number} wait
   */
  async ask(path, options = {}, wait = SMALL_TIMEOUT_MS) {
    try {
      const answer = await fetch(`${path}${path.includes("?") ? "&" : "?"}lang=${this.lang}`, {
        credentials: "same-origin",
        cache: "no-store",
        signal: AbortSignal.timeout?.(wait),
        ...options,
        headers: { "X-Gridwhistle": "1", ...options.headers },
      });
      this.heard = Date.now();
      this.set(answer.status === 401 ? "signed_out" : answer.status >= 500 ? "poor" : "good");
      return answer;
    } catch (fault) {
      this.set("poor");
      throw fault;
    }
  }

  /** @param {"good" | "poor" | "signed_out"} line */
  set(line) {
    if (line === this.line) return;
    this.line = line;
    this.changed();
  }

  /**
   * Send one photo; it has its name then, and whether another case carries it. Throws while the line is down.
   * @param {Photo} photo
   */
  async upload(photo) {
    const { blob } = photo;
    if (!blob) throw new Error("the picture is gone");
    const answer = await this.ask("/phone/photos", {
      method: "POST",
      body: blob,
      headers: { "Content-Type": blob.type || "application/octet-stream" },
    }, PHOTO_TIMEOUT_MS);
    const said = await answer.json().catch(() => ({}));
    if (!answer.ok) throw Object.assign(new Error("refused"), { answer, said });
    photo.name = said.name;
    photo.used = said.used;
    return photo;
  }

  run(now = false) {
    if (this.stopped || this.line === "signed_out" && !now) return null;
    this.sending ??= this.sendAll(now).finally(() => {
      this.sending = null;
    });
    return this.sending;
  }

  /** @param {boolean} now */
  async sendAll(now) {
    for (const entry of this.list("waiting")) {
      if (this.stopped) return;
      if (!now && (entry.next ?? 0) > Date.now()) continue;
      // Steps on one case arrive in the order in which they were taken.
      if (
        this.list("waiting").some((e) =>
          e.written < entry.written && e.body.incident_id && e.body.incident_id === entry.body.incident_id
        )
      ) continue;
      if (!navigator.onLine) {
        this.set("poor");
        return;
      }
      if (!(await this.send(entry))) return;
    }
  }

  /**
   * Send one entry; tell whether going on with the next makes sense.
   * @param {Entry} entry
   */
  async send(entry) {
    entry.going = true;
    this.changed();
    try {
      for (const photo of entry.photos ?? []) {
        if (!photo.name) {
          await this.upload(photo);
          await this.put(entry);
        }
      }
      /** @type {Record<string, unknown>} */
      const body = { ...entry.body, id: entry.id };
      if (entry.photos?.length) body.photos = entry.photos.map((photo) => photo.name);
      const answer = await this.ask(`/phone/${entry.kind}s`, {
        method: "POST",
        body: JSON.stringify(body),
        headers: { "Content-Type": "application/json" },
      });
      const said = await answer.json().catch(() => ({}));
      if (!answer.ok) throw Object.assign(new Error("refused"), { answer, said });
      Object.assign(entry, {
        state: "sent",
        sent_at: Date.now(),
        number: said.number,
        photos: [],
        going: false,
      });
      await this.put(entry);
      return true;
    } catch (thrown) {
      const fault = /** @type {Fault} */ (thrown);
      entry.going = false;
      const status = fault.answer?.status ?? 0;
      if (status === 401) {
        this.changed();
        return false;
      }
      if (status && status < 500 && status !== 429 && status !== 408) {
        Object.assign(entry, { state: "refused", said: fault.said?.said ?? String(status) });
        await this.put(entry);
        return true;
      }
      entry.tries = (entry.tries ?? 0) + 1;
      const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(entry.tries - 1, 10)) *
        (0.8 + Math.random() * 0.4);
      entry.next = Date.now() + Math.max(wait, 1000 * Number(fault.answer?.headers.get("retry-after") ?? 0));
      await this.put(entry);
      return status === 429;
    }
  }
}
