// What the phone has of its person, its tasks and its line; the views are built on it, one above the other.

import { digits, ZoneClock } from "../shared/clocks.js";
import { lightAt } from "../shared/lights.js";
import { markup, put } from "../shared/markup.js";
import { every, filled, hit, one } from "../shared/page.js";
import { Outbox } from "./outbox.js";

/** @import { Given } from "../shared/page.js" */
/** @import { Markup } from "../shared/markup.js" */
/** @import { GridArea, GridMap, Task, TasksMessage } from "../shared/messages.d.ts" */
/** @import { Entry, Photo } from "./outbox.js" */

/** @typedef {{ lon: number, lat: number, accuracy: number }} Point degrees and metres */
/** @typedef {[x: number, y: number]} Spot metres east and south of the middle of the map */
/** @typedef {[code: string, name: string]} Choice */

/**
 * What the page gives; kept on the phone for the page that opens without a line, which is `alone` then.
 * @typedef {object} PhoneData
 * @property {"field" | "public"} mode
 * @property {string} lang
 * @property {string} zone
 * @property {boolean} demo
 * @property {Record<string, string>} words
 * @property {{ login: string, name: string, role: string, code: string, area: string }} who
 * @property {Choice[]} types
 * @property {string[]} often
 * @property {Choice[]} places
 * @property {Choice[]} standards
 * @property {Record<string, string>} verbs
 * @property {Record<string, string>} clocks
 * @property {Record<string, string>} limits
 * @property {[address: string, words: string][]} links
 * @property {boolean} [alone]
 */

/**
 * What is filled in for a step.
 * @typedef {object} Form
 * @property {string} verb
 * @property {Photo[]} photos
 * @property {string} text
 * @property {string | null} real
 * @property {number} rating
 * @property {string} kind
 * @property {string} limit
 * @property {string | null} back
 * @property {boolean} settled
 * @property {number} result
 * @property {Set<string>} standard
 * @property {Point | null} here
 * @property {boolean} measuring
 */

/** @typedef {GridArea & { box: [number, number, number, number], d: string, flat: Spot[][] }} Grid */
/**
 * The grids around, on a plane.
 * @typedef {object} GridPlan
 * @property {Grid[]} areas
 * @property {(lon: number, lat: number) => Spot} to
 * @property {(spot: Spot) => { lon: number, lat: number }} from
 */
/** @typedef {[title: string, body: Markup, foot: Markup, back?: boolean]} View */

const POLL_MS = 2000, POLL_HIDDEN_MS = 30000, POLL_WAIT_MS = 10000;
const FLASH_MS = 6000, LINE_BACK_MS = 5000;
export const METRES_PER_DEGREE = 111195;
const PHONE = "(pointer: coarse), (max-width: 899px)";
const PLACE_OPTIONS = { enableHighAccuracy: true, timeout: 15000, maximumAge: 10000 };
/** What a step is followed by, for the same person. */
const NEXT = /** @type {Record<string, string>} */ ({ pick_up: "arrive", arrive: "dispose" });

/**
 * The distance of two points, in metres.
 * @param {{ lon: number, lat: number }} a
 * @param {{ lon: number | null, lat: number | null }} b
 */
export function metres(a, b) {
  const east = (a.lon - (b.lon ?? 0)) * Math.cos((a.lat * Math.PI) / 180);
  return Math.hypot(east, a.lat - (b.lat ?? 0)) * METRES_PER_DEGREE;
}

/**
 * Ask the phone where it is.
 * @returns {Promise<Point>}
 */
export const place = () =>
  new Promise((resolve, reject) => {
    if (!navigator.geolocation) {
      reject(new Error("none"));
      return;
    }
    navigator.geolocation.getCurrentPosition(
      ({ coords: { longitude, latitude, accuracy } }) =>
        resolve({ lon: longitude, lat: latitude, accuracy: Math.round(accuracy) }),
      reject,
      PLACE_OPTIONS,
    );
  });

/** @param {string} kind */
export const lamp = (kind) => markup`<i class="lt ${kind}"></i>`;

/** Hold what a phone knows, and keep it fresh. */
export class Phone {
  /**
   * @param {HTMLElement} host
   * @param {PhoneData} data
   */
  constructor(host, data) {
    this.host = host;
    this.data = data;
    this.clock = new ZoneClock(data.zone);
    this.view = data.mode === "public" ? "home" : "tasks";
    this.drawn = "";
    /** @type {Task[] | null} */
    this.tasks = null;
    this.synced = 0;
    this.tag = "";
    this.all = false; // whether every card is shown
    /** @type {Task | null} */
    this.task = null;
    /** @type {Form | null} */
    this.form = null;
    /** @type {Entry | null} */
    this.draft = null;
    /** @type {Point | null} */
    this.here = null;
    this.asking = false;
    this.denied = false;
    /** @type {GridPlan | null} */
    this.map = null; // the outlines of the grids around
    this.readingMap = false;
    /** @type {Map<Blob, string>} */
    this.pictures = new Map(); // blob -> address
    /** @type {{ text: string, kind: string } | null} */
    this.flash = null;
    this.lights = "";
    /** @type {Given<PhoneData> | undefined} */
    this.given = undefined; // the way to the page around; the page that the phone keeps has none
    /** @type {((number: string) => void) | undefined} */
    this.done = undefined; // tells the page around that a report has arrived
    this.polling =
      this.flashing =
      this.saving =
      this.suggesting =
        0;
    this.box = new Outbox(data.who.login, data.lang, () => this.later());
    put(host, markup`<div class="gwf"></div>`);
    this.root = one(host, ".gwf");
    this.onSeen = () => {
      if (document.hidden) this.saveNow();
      else this.poll();
    };
    // What was typed in the last moment before the page goes.
    this.onLeave = () => {
      this.saveNow();
    };
    this.listenHere();
    document.addEventListener("visibilitychange", this.onSeen);
    window.addEventListener("pagehide", this.onLeave);
    window.addEventListener("beforeunload", this.onLeave);
    this.timer = setInterval(() => this.second(), 1000);
    if (data.alone) this.box.line = "poor";
  }

  /** What the views above answer for. */
  render() {}

  renderHead() {}

  /** @returns {Promise<void> | void} */
  readMap() {}

  /** @param {Entry | null} _draft */
  async locate(_draft = null) {}

  async saveNow() {}

  /**
   * @param {string} _what
   * @param {DOMStringMap} _data
   */
  async act(_what, _data) {}

  /** @param {HTMLInputElement} _input */
  async photographed(_input) {}

  /**
   * @param {HTMLInputElement} _at
   * @param {boolean} _chosen
   */
  typed(_at, _chosen = false) {}

  listenHere() {
    /** @param {Event} event */
    const field = (event) => /** @type {HTMLInputElement} */ (event.target);
    this.root.addEventListener("click", (event) => {
      const at = hit(event, "[data-do]");
      if (at && !at.matches("input,select,textarea")) this.act(at.dataset.do ?? "", at.dataset);
    });
    this.root.addEventListener("input", (event) => {
      if (field(event).dataset.in) this.typed(field(event));
    });
    this.root.addEventListener("change", (event) => {
      const at = field(event);
      if (at.type === "file") this.photographed(at);
      else if (at.dataset.in && at.matches("select,input[type=checkbox]")) this.typed(at, true);
    });
  }

  async begin() {
    this.render();
    await this.box.open();
    for (const each of this.box.entries.values()) each.going = false;
    /** @type {{ tasks: Task[], at: number } | null} */
    const known = await this.box.recall("tasks");
    if (known && !this.tasks) {
      this.tasks = known.tasks;
      this.synced = known.at;
    }
    const draft = this.box.list("draft").at(-1);
    if (draft && draft.open) {
      this.draft = draft;
      this.view = "report";
      this.readMap();
    } else if (this.data.alone && this.box.unsent().length) this.view = "outbox";
    if (!this.data.alone) this.settle();
    this.render();
    // Where the phone is, is asked for only by a press, unless it was allowed before.
    navigator.permissions?.query({ name: "geolocation" }).then((allowed) => {
      if (allowed.state === "granted" && this.data.mode === "field") this.locate();
    }).catch(() => {});
    this.poll();
  }

  /** Let this phone open a page of its own while there is no line; a desk has no use for that, and keeps nothing. */
  settle() {
    if (!matchMedia(PHONE).matches || !navigator.serviceWorker) return;
    this.box.settle(this.data);
    const scope = this.data.mode === "public" ? "/public" : "/field";
    navigator.serviceWorker.register("/phone/worker.js", { scope, updateViaCache: "none" }).catch(() => {});
  }

  stop() {
    clearInterval(this.timer);
    clearTimeout(this.polling);
    document.removeEventListener("visibilitychange", this.onSeen);
    window.removeEventListener("pagehide", this.onLeave);
    window.removeEventListener("beforeunload", this.onLeave);
    for (const address of this.pictures.values()) URL.revokeObjectURL(address);
    this.box.stop();
  }

  /** @param {Given<PhoneData>} given */
  update(given) {
    const { data } = given;
    this.given = given;
    const other = data.who.login !== this.data.who.login;
    const spoken = data.lang !== this.data.lang;
    this.data = data;
    if (other) {
      this.box.stop();
      this.box = new Outbox(data.who.login, data.lang, () => this.later());
      this.tasks = null;
      this.draft = null;
      this.begin();
    }
    if (!spoken) return;
    this.box.lang = data.lang;
    this.tag = "";
    this.map = null;
    this.render();
    this.poll();
    if (!other) this.settle();
  }

  /**
   * @param {string} text
   * @param {Record<string, string | number>} values
   */
  t(text, values = {}) {
    return filled(this.data.words[text] ?? text, values);
  }

  /** The outbox has changed: what is being typed stays, everything else is drawn anew. */
  later() {
    if (["report", "task"].includes(this.view)) this.renderHead();
    else this.render();
  }

  // ---- tasks from the server ----

  async poll() {
    clearTimeout(this.polling);
    if (this.data.mode !== "field") {
      if (this.data.alone) this.listen();
      return;
    }
    try {
      const headers = this.tag ? { "If-None-Match": this.tag } : undefined;
      const answer = await this.box.ask("/phone/tasks", { headers }, POLL_WAIT_MS);
      if (answer.ok || answer.status === 304) {
        this.synced = Date.now();
        if (answer.ok) {
          this.tag = answer.headers.get("etag") ?? "";
          /** @type {TasksMessage} */
          const said = await answer.json();
          this.tasks = said.tasks;
          this.box.remember("tasks", { tasks: this.tasks, at: this.synced });
          this.later();
        } else this.renderHead();
      }
    } catch { /* the head says that the line is poor */ }
    clearTimeout(this.polling);
    const wait = document.hidden ? POLL_HIDDEN_MS : this.box.line === "good" ? POLL_MS : POLL_MS * 3;
    this.polling = setTimeout(() => this.poll(), wait);
  }

  /** Ask for the line alone, where nothing else is asked for. */
  async listen() {
    try {
      await this.box.ask("/phone/worker.js", { method: "HEAD" }, POLL_WAIT_MS);
    } catch { /* still none */ }
    if (this.box.line === "poor") this.polling = setTimeout(() => this.listen(), LINE_BACK_MS);
  }

  /** Tasks without those whose step already waits in the outbox, most urgent first. */
  open() {
    const waiting = this.box.list("waiting").filter((entry) => entry.kind === "step");
    const gone = new Set(waiting.filter((entry) => entry.ends).map((entry) => entry.body.incident_id));
    const steps = new Map(
      waiting.filter((entry) => NEXT[entry.body.verb]).map((
        entry,
      ) => [entry.body.incident_id, NEXT[entry.body.verb]]),
    );
    return (this.tasks ?? [])
      .filter((task) => !gone.has(task.id))
      .map((task) => ({ ...task, verb: steps.get(task.id) ?? task.verb }))
      .sort((a, b) => Number(a.due === null) - Number(b.due === null) || (a.due ?? 0) - (b.due ?? 0));
  }

  /** @param {Task} task */
  light(task, now = Date.now()) {
    return task.due === null ? "" : lightAt(now, task.due, task.yellow);
  }

  /** @param {number} due */
  left(due, now = Date.now()) {
    const minutes = Math.floor(Math.abs(due - now) / 60000), h = Math.floor(minutes / 60);
    const text = h >= 48
      ? this.t("{n} d", { n: Math.floor(h / 24) })
      : h >= 4
      ? this.t("{h} h {m} m", { h, m: minutes % 60 })
      : digits(due - now);
    return now > due ? this.t("over {time}", { time: text }) : text;
  }

  /** @param {number} due */
  by(due) {
    return this.clock.when(due, Date.now());
  }

  second() {
    const now = Date.now();
    for (const at of every(this.root, "[data-due]")) {
      const text = this.left(Number(at.dataset.due), now);
      if (at.textContent !== text) at.textContent = text;
    }
    // A light that turns moves its card.
    const lights = this.view === "tasks" ? this.open().map((task) => this.light(task, now)).join() : "";
    if (lights !== this.lights && this.view === "tasks") {
      this.lights = lights;
      this.render();
    }
    for (const at of every(this.root, "[data-next]")) at.textContent = this.again(Number(at.dataset.next));
  }

  /** @param {number} next */
  again(next) {
    const n = Math.ceil((next - Date.now()) / 1000);
    return n > 0 ? this.t("tries again in {n} s", { n }) : this.t("waits for the line");
  }

  /**
   * Say for a while what became of something.
   * @param {string} text
   * @param {"ok" | "bad" | "wait"} kind
   */
  tell(text, kind = "ok") {
    this.flash = { text, kind };
    clearTimeout(this.flashing);
    this.flashing = setTimeout(() => {
      this.flash = null;
      this.renderHead();
    }, FLASH_MS);
    this.renderHead();
  }

  /**
   * Put an entry into the outbox, try it at once, and say what became of it.
   * @param {Entry} entry
   * @param {string} what
   */
  async arrive(entry, what) {
    await this.box.put(entry);
    this.view = this.data.mode === "public" ? "home" : "tasks";
    this.render();
    one(this.root, ".bd").scrollTop = 0;
    await this.box.run();
    if (entry.state === "waiting") await this.box.run();
    if (entry.state === "sent") {
      const number = entry.number ?? "";
      this.tell(this.t("{what}: arrived. Number {number}", { what, number }));
      this.poll();
      if (this.data.mode === "public" && entry.kind === "report") this.done?.(number);
    } else if (entry.state === "refused") {
      this.tell(`${what}: ${entry.said}`, "bad");
      this.view = "outbox";
      this.render();
      this.poll();
    } else this.tell(this.t("{what}: kept on this phone, sent when the line is back.", { what }), "wait");
  }
}
