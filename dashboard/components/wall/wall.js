// The wall of one area: mounted once, fed by server-sent events, aged by the browser's own clock.

import { span, ZoneClock } from "../shared/clocks.js";
import { lightAt } from "../shared/lights.js";
import { markup, put } from "../shared/markup.js";
import { every, filled, hit, mounting, one } from "../shared/page.js";
import { settle } from "./fitting.js";
import { WallMap } from "./map.js";
import { Telling } from "./telling.js";

/** @import { Given } from "../shared/page.js" */
/** @import { Markup } from "../shared/markup.js" */
/** @import { Head, WallMessage, WallTiles } from "../shared/messages.d.ts" */

/**
 * What the page gives.
 * @typedef {object} WallData
 * @property {string} area
 * @property {string} lang
 * @property {string} key opens the area, where one is needed
 * @property {string} zone
 * @property {Record<string, string>} words
 * @property {string} plotly
 */

/**
 * A tile on the page, and what its body says.
 * @typedef {object} Box
 * @property {HTMLElement} tile
 * @property {HTMLElement | null} body
 * @property {HTMLElement | null} beat
 * @property {HTMLElement | null} small
 * @property {HTMLElement | null} title
 * @property {string} shown
 * @property {string} [long]
 */

const SILENT_MS = 20000; // no word from the server for so long: connect anew
const RETRY_FIRST_MS = 1000, RETRY_LONGEST_MS = 30000;
const SETTLE_MS = 15000; // how often wordings are chosen anew
const MINUTE_MS = 60000;
const SCREEN =
  "html{font-size:calc(min(100vw / 192, 100vh / 108)) !important}html,body{overflow:hidden !important}";
const MARKS = { red: "r", yellow: "y", green: "g" };

/** @param {Element} root @param {string} selector */
const maybe = (root, selector) => every(root, selector)[0] ?? null;

class Wall {
  /**
   * @param {HTMLElement} host
   * @param {WallData} data
   */
  constructor(host, data) {
    this.host = host;
    this.data = data;
    this.clock = new ZoneClock(data.zone);
    this.area = data.area;
    /** @type {WallTiles} */
    this.tiles = {};
    /** @type {number | null} */
    this.n = null;
    this.at = 0; // data time, ms of the server's clock
    this.skew = 0; // server's clock minus the browser's
    this.heard = Date.now();
    this.settled = 0;
    this.long = "";
    this.retry = RETRY_FIRST_MS;
    this.again = 0;
    /** @type {EventSource | undefined} */
    this.source = undefined;
    this.style = document.createElement("style");
    this.style.textContent = SCREEN;
    document.head.append(this.style);
    this.telling = new Telling(this);
    put(host, this.telling.frame());
    this.root = one(host, ".gw-wall");
    this.map = new WallMap(this);
    /** @type {Map<string, Box>} */
    this.boxes = new Map();
    for (const tile of every(this.root, "[data-tile]")) {
      this.boxes.set(tile.dataset.tile ?? "", {
        tile,
        body: maybe(tile, "[data-body]"),
        beat: maybe(tile, ".beat"),
        small: maybe(tile, "[data-small]"),
        title: maybe(tile, "[data-title]"),
        shown: "",
      });
    }
    /** @param {Event} event */
    this.onClick = (event) => this.clicked(hit(event, "[data-go]"));
    /** @param {KeyboardEvent} event */
    this.onKey = (event) => {
      if (event.key === "Enter") this.clicked(hit(event, "[data-go]"));
    };
    this.onPop = () => this.open(new URLSearchParams(location.search).get("area") || this.data.area, false);
    this.onResize = () => {
      this.settle();
      this.ages();
      this.map.fit();
    };
    this.root.addEventListener("click", this.onClick);
    this.root.addEventListener("keydown", this.onKey);
    window.addEventListener("popstate", this.onPop);
    window.addEventListener("resize", this.onResize);
    this.timer = setInterval(() => this.second(), 1000);
    this.connect();
    this.second();
  }

  get lang() {
    return this.data.lang;
  }

  /** @param {string} text */
  t(text) {
    return this.data.words[text] ?? text;
  }

  /**
   * Take new properties from a rerun of the page without losing the picture.
   * @param {Given<WallData>} given
   */
  update({ data }) {
    const moved = data.area !== this.data.area || data.lang !== this.data.lang || data.key !== this.data.key;
    this.data = data;
    if (moved) this.open(data.area, false, true);
  }

  stop() {
    clearInterval(this.timer);
    clearTimeout(this.again);
    this.source?.close();
    window.removeEventListener("popstate", this.onPop);
    window.removeEventListener("resize", this.onResize);
    this.map.drop();
    this.style.remove();
    put(this.host, "");
  }

  /** @param {Record<string, string>} extra */
  query(extra = {}) {
    const query = new URLSearchParams(extra);
    query.set("lang", this.data.lang);
    if (this.data.key) query.set("key", this.data.key);
    return query.toString();
  }

  connect() {
    clearTimeout(this.again);
    this.source?.close();
    this.n = null;
    this.heard = Date.now();
    const source = (this.source = new EventSource(`/live/${encodeURIComponent(this.area)}?${this.query()}`));
    source.onmessage = (event) => {
      if (source === this.source) this.hear(event.data);
    };
    source.onerror = () => {
      // A broken line heals by itself; a refusal (no key, no city yet) is asked again later, less and less often.
      if (source !== this.source || source.readyState !== EventSource.CLOSED) return;
      this.later();
      this.refused(source.url);
    };
  }

  /**
   * Say why there is no picture: a stream that is refused does not tell; the same address asked plainly does.
   * @param {string} url
   */
  async refused(url) {
    const stop = new AbortController();
    try {
      const { status } = await fetch(url, { signal: stop.signal });
      // Whoever may not see a place keeps nothing of it on the screen.
      if (status === 403 || status === 404) this.clear();
      /** @type {Record<number, string>} */
      const reasons = {
        403: this.t("This wall needs a key that opens its area: add &key= to the address."),
        404: this.t("There is no such area."),
        503: this.t("The city is not loaded yet."),
      };
      if (reasons[status] && this.n === null) one(this.root, ".unit").textContent = reasons[status];
    } catch {
      // It does not answer at all; the age of every tile says so.
    } finally {
      stop.abort();
    }
  }

  /** Forget what was shown. */
  clear() {
    this.tiles = {};
    this.at = 0;
    this.n = null;
    for (const part of this.boxes.values()) {
      part.shown = "";
      if (part.body) put(part.body, "");
      if (part.small?.dataset.small === "live") part.small.textContent = "";
      part.tile.classList.remove("stale");
    }
    one(this.root, ".peace").hidden = true;
    for (const selector of [".crumbs", ".scale", ".over"]) put(one(this.root, selector), "");
    this.map.clear();
    document.title = this.t("Gridwhistle");
    this.ages();
  }

  later() {
    clearTimeout(this.again);
    this.again = setTimeout(() => this.connect(), this.retry * (0.75 + Math.random() / 2));
    this.heard = Date.now() + this.retry;
    this.retry = Math.min(this.retry * 2, RETRY_LONGEST_MS);
  }

  /** @param {string} text */
  hear(text) {
    /** @type {WallMessage} */
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      this.connect();
      return;
    }
    this.heard = Date.now();
    this.retry = RETRY_FIRST_MS;
    this.skew = message.now - this.heard;
    this.at = message.at;
    const { tiles, n } = message;
    if (tiles && n !== undefined) {
      if (!message.full && (this.n === null || n !== this.n + 1)) {
        this.connect();
        return;
      }
      this.n = n;
      if (message.full) this.tiles = {};
      Object.assign(this.tiles, tiles);
      this.draw(tiles);
      if (tiles.reds || tiles.whistles || tiles.map || tiles.head) this.map.draw();
    }
    this.ages();
    this.count();
    if (!this.settled) this.settle();
  }

  /** Choose wordings once the countdowns beside them stand; they grow with the hours, so now and then again. */
  settle() {
    this.settled = Date.now();
    settle(one(this.root, "header"));
    for (const { body } of this.boxes.values()) if (body) settle(body);
  }

  /**
   * @param {string} area
   * @param {boolean} push
   * @param {boolean} keep
   */
  open(area, push, keep = false) {
    if (area === this.area && !keep) return;
    this.area = area;
    if (push) {
      const url = new URL(location.href);
      url.searchParams.set("area", area);
      history.pushState(history.state, "", url);
    }
    this.connect();
  }

  /** @param {HTMLElement | null} element */
  clicked(element) {
    if (element?.dataset.go) this.open(element.dataset.go, true);
  }

  now() {
    return Date.now() + this.skew;
  }

  second() {
    const now = this.now();
    one(this.root, ".clock").textContent = this.clock.hhmmss(now);
    one(this.root, ".date").textContent = this.clock.named(now, this.data.lang);
    if (Date.now() - this.heard > SILENT_MS) this.later();
    this.ages();
    this.count();
    if (Date.now() - this.settled > SETTLE_MS) this.settle();
    this.map.idle();
  }

  /** Say at every tile how old it is; one that is past its period loses its colours. */
  ages() {
    const periods = this.tiles.head?.periods, { rank, duty } = this.tiles;
    /** @type {Record<string, number | undefined>} */
    const own = { rank: rank?.at, duty: duty?.at };
    for (const [name, part] of this.boxes) {
      const at = own[name] ?? this.at;
      if (!part.beat) continue;
      if (!at || !periods) {
        put(part.beat, markup`<i class="lt n"></i> <em>${this.t("waiting for data")}</em>`);
      } else {
        const age = Math.max(0, this.now() - at);
        const stale = age > (own[name] ? periods.minute : periods.live);
        part.tile.classList.toggle("stale", stale);
        put(part.beat, this.age(at, age, stale));
      }
      this.trim(part);
    }
  }

  /**
   * @param {number} at
   * @param {number} age
   * @param {boolean} stale
   */
  age(at, age, stale) {
    const s = Math.floor(age / 1000),
      m = Math.floor(s / 60),
      h = Math.floor(m / 60),
      time = this.clock.hhmmss(at);
    if (!stale) {
      const name = this.t("heartbeat normal");
      const text = s < 60 ? `${s} ${this.t("s")}` : `${m} ${this.t("min")}`;
      return markup`${time} <i class="lt g" role="img" aria-label="${name}"></i> ${text}`;
    }
    const parts = [
      h && `${h} ${this.t("h")}`,
      m && `${m % 60} ${this.t("min")}`,
      !h && `${s % 60} ${this.t("s")}`,
    ];
    return markup`
      <i class="lt n" role="img" aria-label="${this.t("stopped")}"></i> <b>
        <em>${this.t("stopped for")} </em>${parts.filter(Boolean).join(" ")}
      </b> ${time}`;
  }

  /**
   * Let a header that is too long say its remark in short, then its age without the word, then no remark.
   * @param {Box} part
   */
  trim(part) {
    const line = maybe(part.tile, "h2");
    if (!line || !part.small) return;
    // Digits are all alike wide: as long as the lengths stay, so does the choice.
    const long = [line.textContent?.length, part.tile.className, line.clientWidth, part.title?.textContent]
      .join(" ");
    if (part.long === long) return;
    line.className = "";
    for (const step of ["brief", "terse", "bare"]) {
      if (line.scrollWidth <= line.clientWidth) break;
      line.classList.add(step);
    }
    part.long = long;
  }

  /** Let countdowns and bars run. */
  count() {
    const now = this.now(), words = { d: this.t("d"), h: this.t("h") };
    for (const element of every(this.root, "[data-due]")) {
      const due = Number(element.dataset.due), word = now > due ? element.dataset.over : element.dataset.left;
      put(element, markup`<i>${word}</i>${span(now - due, words, Boolean(element.dataset.long))}`);
    }
    for (const element of every(this.root, "[data-up]")) {
      const time = span(Math.max(0, Number(element.dataset.up) - now), words);
      const to = element.dataset.level === "1"
        ? this.t("to the city in {time}")
        : this.t("to the county in {time}");
      element.textContent = filled(to, { time });
    }
    // A countdown that takes more room or less leaves its line another.
    const long = every(this.root, "[data-due], [data-up]").map((each) => each.textContent?.length).join();
    if (long !== this.long) {
      this.long = long;
      this.settled = 0;
    }
    for (const row of every(this.root, "[data-sent]")) {
      const { sent, limit, near, end } = row.dataset;
      const light = limit ? MARKS[lightAt(now, Number(limit), near ? Number(near) : null)] : "g";
      const bar = one(row, "s"), time = one(row, ".t");
      bar.className = light;
      const share = (now - Number(sent)) / MINUTE_MS / Number(end);
      bar.style.width = `${Math.min(100, share * 100).toFixed(1)}%`;
      time.classList.toggle("red", light === "r");
      time.classList.toggle("yel", light === "y");
    }
  }

  /** @param {WallTiles} tiles those that came */
  draw(tiles) {
    const { telling } = this, none = { small: null, title: null };
    /** @param {string} name */
    const box = (name) => this.boxes.get(name) ?? none;
    if (tiles.head) this.head(tiles.head);
    if (tiles.six) this.show("six", telling.six(tiles.six));
    if (tiles.rank) this.show("rank", telling.rank(tiles.rank, box("rank")));
    if (tiles.duty) this.show("duty", telling.duty(tiles.duty));
    if (tiles.parts) this.show("parts", telling.parts(tiles.parts));
    if (tiles.reds) this.show("reds", telling.reds(tiles.reds, box("reds")));
    if (tiles.whistles) this.show("whistles", telling.whistles(tiles.whistles, box("whistles")));
    if (tiles.raised) this.show("raised", telling.raised(tiles.raised, box("raised")));
    if (tiles.ten) this.show("ten", telling.ten(tiles.ten));
    if (tiles.ticker) this.show("ticker", telling.ticker(tiles.ticker));
  }

  /**
   * A tile that looks the same is left alone: nothing flickers, a focused row keeps its focus.
   * @param {string} name
   * @param {Markup} text
   */
  show(name, text) {
    const part = this.boxes.get(name);
    if (!part?.body || part.shown === text.text) return;
    part.shown = text.text;
    put(part.body, text);
    this.settled = 0;
  }

  /** @param {Head} head */
  head(head) {
    /** @param {string} selector */
    const q = (selector) => one(this.root, selector);
    q(".unit").textContent = head.unit;
    put(q(".crumbs"), this.telling.crumbs(head));
    put(q(".scale"), this.telling.scale(head));
    const peace = q(".peace"), war = head.wartime;
    peace.hidden = false;
    peace.dataset.level = war ? String(war.level) : "";
    peace.textContent = war
      ? [this.t("In wartime"), war.what, war.where].filter(Boolean).join(" · ")
      : this.t("Peacetime");
    q(".demo").hidden = !head.demo;
    q(".schem").hidden = !head.schematic;
    const parts = this.boxes.get("parts")?.title, map = this.boxes.get("map")?.small;
    if (parts) parts.textContent = head.parts;
    if (map) map.textContent = filled(this.t("overdue／open, by {level}"), { level: head.by });
    document.title = `${this.t("Gridwhistle")} · ${head.unit}`;
  }
}

export default mounting((host, /** @type {Given<WallData>} */ given) => new Wall(host, given.data));
