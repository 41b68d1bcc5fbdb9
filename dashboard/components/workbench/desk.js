// The one line to the server of all parts of a desk, and what every part has of it.

import { span, ZoneClock } from "../shared/clocks.js";
import { markup, put } from "../shared/markup.js";
import { lightOf } from "./groups.js";
import { Worklist } from "./worklist.js";

/** @import { Given } from "../shared/page.js" */
/** @import { DeskMessage, QueueRow } from "../shared/messages.d.ts" */
/** @import { Head } from "./head.js" */
/** @import { Queue } from "./queue.js" */

/**
 * What the page gives to every part.
 * @typedef {object} PartData
 * @property {string} part
 * @property {string} area
 * @property {string} lang
 * @property {string} zone
 * @property {string} me
 * @property {Record<string, string>} words
 */

const SILENT_MS = 20000; // no word from the server for so long: connect anew
const RETRY_FIRST_MS = 1000, RETRY_LONGEST_MS = 30000;
const LEAVE_MS = 2000; // a page may take its parts away and bring them back in one breath
/** What a case waits for, in the order of the filters. */
export const STAGES = [
  "accept",
  "dispatch",
  "returned",
  "pick_up",
  "whistle",
  "approve",
  "check",
  "close",
  "in_hand",
];

/** One line to the server for all parts of a page: every row as known, and the list as the person sees it. */
export class Desk extends Worklist {
  /** @param {PartData} data */
  constructor({ area, lang, me }) {
    super(me);
    this.area = area;
    this.lang = lang;
    /** @type {Set<Part<any>>} */
    this.parts = new Set();
    /** @type {Head | null} */
    this.head = null;
    /** @type {Queue | null} */
    this.queue = null;
    /** @type {string[]} */
    this.order = []; // the ids of the queue as it is drawn
    this.stage = "";
    /** @type {string | null} */
    this.wished = null; // the stage that was chosen here, until the page has it
    this.skew = 0;
    this.at = 0;
    this.heard = Date.now();
    this.broken = 0;
    this.again = 0;
    this.leaving = 0;
    this.retry = RETRY_FIRST_MS;
    /** @type {EventSource | undefined} */
    this.source = undefined;
    this.timer = setInterval(() => this.second(), 1000);
    this.connect();
  }

  now() {
    return Date.now() + this.skew;
  }

  connect() {
    clearTimeout(this.again);
    this.source?.close();
    this.heard = Date.now();
    const source =
      (this.source = new EventSource(`/desk/${encodeURIComponent(this.area)}?lang=${this.lang}`));
    source.onmessage = (event) => {
      if (source === this.source) this.hear(JSON.parse(event.data));
    };
    source.onerror = () => {
      this.broken ||= Date.now();
      if (source === this.source && source.readyState === EventSource.CLOSED) this.later();
      this.tell();
    };
  }

  later() {
    clearTimeout(this.again);
    this.again = setTimeout(() => this.connect(), this.retry);
    this.retry = Math.min(this.retry * 2, RETRY_LONGEST_MS);
  }

  /** @param {DeskMessage} said */
  hear(said) {
    this.heard = Date.now();
    this.broken = 0;
    this.retry = RETRY_FIRST_MS;
    this.skew = said.now - Date.now();
    this.at = said.at;
    if (!said.rows) return;
    this.take(said);
    this.tell();
  }

  /** Let what waited into the list, and say so to every part. */
  letIn() {
    this.settle();
    this.tell();
  }

  tell() {
    for (const part of this.parts) part.heard();
  }

  second() {
    if (Date.now() - this.heard > SILENT_MS) {
      this.broken ||= this.heard;
      this.connect();
    }
    for (const part of this.parts) part.second();
  }

  /** @param {Part<any>} part */
  join(part) {
    this.parts.add(part);
    clearTimeout(this.leaving);
  }

  /** @param {Part<any>} part */
  leave(part) {
    this.parts.delete(part);
    if (this.parts.size) return;
    this.leaving = setTimeout(() => {
      clearInterval(this.timer);
      clearTimeout(this.again);
      this.source?.close();
      desks.delete(`${this.area}|${this.lang}`);
    }, LEAVE_MS);
  }
}

// Every part is a component by itself.
const page = /** @type {{ gridwhistleDesks?: Map<string, Desk> }} */ (globalThis);
const desks = (page.gridwhistleDesks ??= new Map());

/** @param {PartData} data */
function deskOf(data) {
  const key = `${data.area}|${data.lang}`, desk = desks.get(key) ?? new Desk(data);
  desks.set(key, desk);
  return desk;
}

/**
 * Say something to the style sheet of the whole page: the panes belong to the page, not to a part.
 * @param {string} name
 * @param {string} value
 * @param {string} variable
 * @param {string} words
 */
export function signal(name, value, variable = "", words = "") {
  const root = document.documentElement;
  if (value) root.dataset[name] = value;
  else delete root.dataset[name];
  if (variable && words) root.style.setProperty(variable, JSON.stringify(words));
}

/**
 * What every part has: its words, its desk, and the way back to the page.
 * @template {PartData} Data
 */
export class Part {
  /**
   * @param {HTMLElement} host
   * @param {Given<Data>} given
   */
  constructor(host, given) {
    this.host = host;
    this.given = given;
    this.data = given.data;
    this.clock = new ZoneClock(given.data.zone);
    this.desk = deskOf(given.data);
    this.desk.join(this);
  }

  /** @param {Given<Data>} given */
  take(given) {
    this.given = given;
    this.data = given.data;
  }

  /**
   * Tell the page. What is said carries its moment: the same said twice is two wishes, and what is equal is not heard.
   * @param {string} name
   * @param {unknown} value
   */
  say(name, value) {
    this.given.setStateValue(name, { value, at: Date.now() });
  }

  /** @param {string} text */
  t(text) {
    return this.data.words[text] ?? text;
  }

  /** @param {Given<Data>} given */
  update(given) {
    this.take(given);
    this.draw();
  }

  stop() {
    this.desk.leave(this);
    put(this.host, "");
  }

  draw() {}

  heard() {
    this.draw();
  }

  second() {}

  /**
   * The hour, with its day before it where that is not today.
   * @param {number} ms
   */
  when(ms) {
    return this.clock.when(ms, this.desk.now());
  }

  /** @param {number} ms */
  span(ms) {
    return span(ms, { d: this.t("d"), h: this.t("h") });
  }

  /** @param {string} kind */
  light(kind) {
    return markup`<span class="gw-light ${kind}"></span>`;
  }

  /** @returns {Record<string, string>} */
  stages() {
    return {
      accept: this.t("To accept"),
      dispatch: this.t("To dispatch"),
      returned: this.t("Returned"),
      pick_up: this.t("To be picked up"),
      whistle: this.t("Whistles not reported in"),
      approve: this.t("To approve"),
      check: this.t("To check"),
      close: this.t("To close"),
      in_hand: this.t("In hand"),
    };
  }

  /** @param {QueueRow} row */
  lightOf(row) {
    return lightOf(row, this.desk.now());
  }
}
