// What each tile of a wall says, as markup.

import { joined, markup, put } from "../shared/markup.js";
import { filled } from "../shared/page.js";
import { fit } from "./fitting.js";

/** @import { Markup } from "../shared/markup.js" */
/** @import { ZoneClock } from "../shared/clocks.js" */
/** @import * as Wire from "../shared/messages.d.ts" */

/**
 * What a wall knows beside the tile that is told.
 * @typedef {object} Around
 * @property {string} lang
 * @property {ZoneClock} clock
 * @property {Wire.WallTiles} tiles
 * @property {(text: string) => string} t
 * @property {() => number} now
 */

/** @typedef {{ small: HTMLElement | null, title: HTMLElement | null }} Heading of a tile, where a remark can stand */

const LETTERS = "ABCD";
const SLOTS = { reds: 5, whistles: 4, raised: 2 };
const STEPS = [0, 2, 5, 10]; // break points of the ramp, in per cent
const SEVERITIES = ["", "extreme", "urgent", "pressing", "ordinary"];
/** Where each counter of today stands. */
const NOW = {
  OPEN: 0,
  RED: 1,
  REPORTED: 3,
  CLOSED: 4,
  DISPOSED: 5,
  ON_TIME: 6,
  MEDIATED: 7,
  SETTLED: 8,
  RATED: 9,
  PLEASED: 10,
};

/** @param {number} n */
export const num = (n) => Number(n).toLocaleString("en-US");

/**
 * A difference with its sign, ± where there is none.
 * @param {number} n
 * @param {number} places
 */
export function signed(n, places = 0) {
  const digits = Math.abs(n).toFixed(places).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  return (n > 0 ? "+" : n < 0 ? "−" : "±") + digits;
}

/**
 * The step of the ramp, 0 to 4, that a rate of overdue cases among open ones stands on.
 * @param {readonly [red: number, open: number]} rate
 */
export function rampOf([red, open]) {
  return !red || !open ? 0 : 1 + STEPS.slice(1).filter((step) => (red / open) * 100 > step).length;
}

/**
 * How the n-th waiting whistle is called, on the list and on the map.
 * @param {number} n
 */
export const letter = (n) => LETTERS[n];

/**
 * A word of a header that goes first where there is little room.
 * @param {string} word
 */
const whole = (word) => markup`<span class="whole">${word}</span>`;

/** @param {number} n */
const blank = (n) => Array.from({ length: Math.max(0, n) }, () => markup`<li class="blank"></li>`);

/** Tells the tiles of one wall. */
export class Telling {
  /** @param {Around} around */
  constructor(around) {
    this.around = around;
  }

  /** @param {string} text */
  t(text) {
    return this.around.t(text);
  }

  /** @param {string} kind r, y or g */
  light(kind) {
    const name = kind === "r"
      ? this.t("red light, past its limit")
      : kind === "y"
      ? this.t("yellow light, near its limit")
      : this.t("green light, in time");
    return markup`<i class="lt ${kind}" role="img" aria-label="${name}"></i>`;
  }

  /**
   * @param {string} text
   * @param {string} kind
   */
  empty(text, kind = "g") {
    return markup`<li class="empty">${kind && this.light(kind)}${this.t(text)}</li>`;
  }

  /** The whole wall without its figures. */
  frame() {
    /** @param {string} text */
    const t = (text) => this.t(text);
    /**
     * @param {string} name
     * @param {string} title
     * @param {Markup} body
     * @param {Markup | string} small
     */
    const tile = (name, title, body, small = "") =>
      markup`
        <section class="tile tile-${name}" data-tile="${name}">
          <h2>
            <span data-title>${title}</span> <small data-small="${small ? "" : "live"}">${small}</small>
            <span class="beat"></span>
          </h2>
          ${body}
        </section>`;
    const month = markup`<span class="whole">${t("this month")}</span><span class="short">${
      t("month")
    }</span>`;
    const steps = STEPS.slice(1).map((step, n) => markup`<i class="m${n + 1}">≤${step}%</i>`);
    const map = markup`
      <div class="plot"></div>
      <div class="over" aria-hidden="true"></div>
      <div class="legend keys">
        <span><i class="key r">1</i>${t("Red light")}</span>
        <span><i class="key y">5</i>${t("Near its limit")}</span>
        <span><i class="key w">A</i>${t("Whistle waits")}</span>
        <span class="dim">${t("As in the lists")}</span>
      </div>
      <div class="legend scale-ramp">
        <div class="ramp"><i class="m0">0</i>${steps}<i class="m4">&gt;${STEPS.at(-1)}%</i></div>
      </div>
      <span class="tag schem" hidden>${t("Schematic, not for drawing boundaries")}</span>`;
    return markup`
      <main class="gw-wall" data-theme="dark" lang="${this.around.lang}">
        <div class="stage">
          <header>
            <svg class="mark" viewBox="0 0 36 36" aria-hidden="true">
              <g fill="none" stroke="var(--ink-2)" stroke-width="2">
                <path d="M2 2h32v32H2zM2 13h32M2 23h32M13 2v32M23 2v32"/>
              </g>
              <path d="M13 13h10v10H13z" fill="var(--ink)"/>
            </svg>
            <h1>${t("Gridwhistle")}</h1>
            <span class="unit fits"></span>
            <nav class="crumbs"></nav>
            <span class="scale"></span>
            <span class="tag peace" hidden></span>
            <span class="tag demo" hidden>${t("Demo data")}</span>
            <span class="date"></span>
            <span class="clock">--:--:--</span>
          </header>
          <section class="col left">
            ${tile("six", t("Today at a glance"), markup`<ul class="six" data-body></ul>`)}
            ${tile("rank", t("On-time disposal"), markup`<ol class="rank" data-body></ol>`, month)}
            ${tile("duty", t("Forces"), markup`<ul class="duty" data-body></ul>`)}
          </section>
          <section class="col centre">
            ${tile("map", t("Overdue rate"), map)}
            ${tile("parts", "", markup`<ul class="five" data-body></ul>`, t("overdue, open, rate"))}
          </section>
          <section class="col right">
            ${tile("reds", t("Red and near"), markup`<ol class="reds" data-body></ol>`)}
            ${tile("whistles", t("Whistles to report in"), markup`<ol class="wl" data-body></ol>`)}
            ${tile("raised", t("Escalations"), markup`<ol class="esc" data-body></ol>`)}
          </section>
          <section class="tile ten wide" data-tile="ten">
            <div class="hd">
              <h2>${t("Ten areas")}</h2><small>${t("vs last week")}</small><span class="beat"></span>
            </div>
            <ul data-body></ul>
          </section>
          <section class="tile tick wide" data-tile="ticker">
            <h2>${t("Latest")}</h2><ul data-body></ul><span class="beat"></span>
          </section>
        </div>
      </main>`;
  }

  /** @param {Wire.Head} head */
  crumbs(head) {
    const links = head.crumbs.map(([code, name]) => markup`<a tabindex="0" data-go="${code}">${name}</a>`);
    return joined(links, markup`<i>／</i>`);
  }

  /** @param {Wire.Head} head */
  scale(head) {
    return joined(head.cells.map(([n, word]) => markup`<span><b>${num(n)}</b> ${word}</span>`));
  }

  /** @param {Wire.Six} six */
  six({ now, then }) {
    /** @param {string} text */
    const t = (text) => this.t(text), unit = t("cases");
    /** @param {string} value @param {string | null} diff */
    const last = (value, diff) => {
      if (!then) return markup`<div class="d">${t("last week")} —</div>`;
      return markup`<div class="d">${t("last week")} ${value}${
        diff !== null && markup`<b>${diff}</b>`
      }</div>`;
    };
    /** @param {string} label @param {number} at */
    const plain = (label, at) =>
      markup`
        <li>
          <div class="k">${label}</div>
          <div class="v">${num(now[at])}<u>${unit}</u></div>
          ${then ? last(num(then[at]), signed(now[at] - then[at])) : last("", null)}
        </li>`;
    /** @param {string} label @param {number} good @param {number} base */
    const rate = (label, good, base) => {
      const a = now[base] ? (now[good] / now[base]) * 100 : null;
      const b = then?.[base] ? (then[good] / then[base]) * 100 : null;
      const value = a === null ? markup`<div class="v none">${t("no data")}</div>` : markup`
        <div class="v">
          ${a === 100 ? "100" : a.toFixed(1)}<u>%</u><small>${num(now[good])}<i>${num(now[base])}</i></small>
        </div>`;
      const diff = a === null || b === null ? null : signed(a - b, 1);
      return markup`
        <li>
          <div class="k">${label}</div>
          ${value}
          ${last(b === null ? t("no data") : `${b.toFixed(1)}%`, diff)}
        </li>`;
    };
    const red = now[NOW.RED];
    return markup`
      <li>
        <div class="k">${t("Overdue and open")}</div>
        <div class="v ${red ? "red" : ""}">
          ${this.light(red ? "r" : "g")}${num(red)}<u>${unit}</u>
          <small>${t("open")}<i class="bare">${num(now[NOW.OPEN])}</i></small>
        </div>
        ${then ? last(num(then[NOW.RED]), signed(red - then[NOW.RED])) : last("", null)}
      </li>
      ${plain(t("Reported today"), NOW.REPORTED)}
      ${plain(t("Closed today"), NOW.CLOSED)}
      ${rate(t("Disposed on time"), NOW.ON_TIME, NOW.DISPOSED)}
      ${rate(t("Disputes settled today"), NOW.SETTLED, NOW.MEDIATED)}
      ${rate(t("Residents satisfied"), NOW.PLEASED, NOW.RATED)}`;
  }

  /**
   * @param {Wire.Rank} rank
   * @param {Heading} part
   */
  rank(rank, part) {
    if (part.title) part.title.textContent = filled(this.t("{who} on time"), { who: rank.who });
    if (!rank.rows.length) return this.empty("no data yet", "");
    const half = rank.rows.length > 3 ? Math.ceil(rank.rows.length / 2) : 3;
    const cut = rank.all > rank.rows.length, last = cut ? half : rank.rows.length;
    return joined(rank.rows.map(([place, code, name, good, base, cause], n) => {
      const why = cause && n >= last ? fit(cause[0].map((word) => `${word} ${num(cause[1])}`), "") : "";
      return markup`
        <li class="${n === half && cut ? "cut" : ""}" tabindex="0" data-go="${code}">
          <span class="n">${place}</span>
          <span class="nm fits">${fit(this.called(name))}</span>
          <span class="p">${((good / base) * 100).toFixed(1)}%</span>
          <span class="f fits">${num(good)}／${num(base)}</span>
          <span class="c fits">${why}</span>
        </li>`;
    }));
  }

  /** @param {Wire.Duty} duty */
  duty({ teams, workers }) {
    /** @param {string} label @param {number} value @param {number} [of] */
    const one = (label, value, of) =>
      markup`
        <li>
          <div class="k">${this.t(label)}</div>
          <div class="v">${num(value)}${of !== undefined && markup`<i>／${num(of)}</i>`}</div>
        </li>`;
    return joined([
      one("Teams ready", teams[0], teams[1]),
      one("Full-time", workers[0]),
      one("Part-time", workers[1]),
      one("Professional", workers[2]),
    ]);
  }

  /** @param {Wire.Below[]} rows */
  parts(rows) {
    return joined(rows.map(([code, name, red, yellow, open]) => {
      const light = red ? "r" : yellow ? "y" : "g";
      const rate = open ? `${((red / open) * 100).toFixed(red / open < 0.1 && open < 1000 ? 1 : 0)}%` : "";
      return markup`
        <li tabindex="0" data-go="${code}">
          <div class="a">
            <b class="fits">${fit(this.called(name))}</b>
            <span class="o">${this.light(light)} ${num(red || yellow)}</span>
          </div>
          <div class="b fits"><span>${this.t("open")} ${num(open)}</span><span>${rate}</span></div>
        </li>`;
    }));
  }

  /**
   * Return the wordings of a place: town and village, the town alone, in English without its rank.
   * @param {{ place: string[] }} row
   */
  places(row) {
    return this.around.lang === "zh" ? [row.place.join(""), row.place[0]] : this.called(row.place[0]);
  }

  /**
   * Return the wordings of an area's name: without its rank, then in English the word that it is called by.
   * @param {string} name
   */
  called(name) {
    const rank = new RegExp(`(${this.t("Subdistrict|Town|District|County|City")})$`);
    const plain = name.length > 4 ? name.replace(rank, "").trim() : name;
    if (this.around.lang === "zh") return [...new Set([name, plain])];
    // A grid is called by its number: "Small grid 16" is "grid 16", never "Small".
    return [
      ...new Set([
        name,
        plain,
        /\d$/.test(plain) ? plain.split(" ").slice(-2).join(" ") : plain.split(" ")[0],
      ]),
    ];
  }

  /**
   * Return the wordings of a place where there is little room: the town's, or what it is called inside a town.
   * @param {{ place: string[] }} row
   */
  near(row) {
    return this.around.lang === "zh" ? row.place.slice(0, 1) : this.called(row.place[0]).slice(-2);
  }

  /**
   * @param {Wire.Reds} list
   * @param {Heading} part
   */
  reds(list, part) {
    const red = markup`${this.light("r")} ${whole(this.t("overdue"))}${num(list.red)}`;
    const yellow = markup`${this.light("y")} ${whole(this.t("near limit"))}${num(list.yellow)}`;
    this.remark(part, markup`${red}　${yellow}`);
    if (!list.rows.length) return this.empty("nothing overdue, nothing near its limit");
    return markup`${list.rows.map((row, n) => this.red(row, n))}${blank(SLOTS.reds - list.rows.length)}`;
  }

  /**
   * @param {Wire.RedLine} row
   * @param {number} n
   */
  red(row, n) {
    const red = row.light === "red", step = red && row.next;
    const up = row.up === 1 ? this.t("with the city") : this.t("with the county");
    const after = step ? "" : row.up ? up : `${this.t("limit")} ${this.when(row.due)}`;
    const next = step
      ? markup`<div class="y" data-up="${step[0]}" data-level="${step[1]}">${after}</div>`
      : markup`<div class="y">${after}</div>`;
    return markup`
      <li class="${red ? "hot" : ""}" ${this.towards(row)}>
        <span class="key ${red ? "r" : "y"}">${n + 1}</span>
        <div class="w">
          <div class="l1 fits">${this.severity(row.sev)}<b>${fit(row.type)}</b>${
      fit(this.places(row), "")
    }</div>
          <div class="l2 fits">${row.step && markup`<i>${row.step}</i>`}${fit(row.holder)}</div>
        </div>
        <div class="t">
          <div class="x ${red ? "red" : "yel"}" data-due="${row.due}" data-over="${this.t("over")}"
            data-left="${this.t("left")}" data-long="1"></div>
          ${next}
        </div>
      </li>`;
  }

  /** @param {number | null} ms */
  when(ms) {
    if (!ms) return "";
    const { clock } = this.around, day = clock.monthDay(ms), hour = clock.hhmm(ms);
    return clock.sameDay(ms, this.around.now())
      ? hour
      : `${Number(day.slice(0, 2))}-${Number(day.slice(3))} ${hour}`;
  }

  /** @param {number} n */
  severity(n) {
    return markup`<span class="sev s${n}">${this.t(SEVERITIES[n])}</span>`;
  }

  /** @param {{ area: string }} row */
  towards(row) {
    const below = this.around.tiles.head?.shown.find(([code]) => row.area.startsWith(code));
    return below ? markup`tabindex="0" data-go="${below[0]}"` : "";
  }

  /**
   * @param {Heading} part
   * @param {Markup} text
   */
  remark(part, text) {
    if (part.small) put(part.small, text);
  }

  /**
   * @param {Wire.Whistles} list
   * @param {Heading} part
   */
  whistles(list, part) {
    const over = list.over
      ? markup`　${this.light("r")} ${whole(this.t("past limit"))}${num(list.over)}`
      : "";
    this.remark(part, markup`${whole(this.t("in all"))}${num(list.all)}${over}`);
    const room = SLOTS.whistles - list.rows.length;
    const lately = this.lately(list.lately, room - (list.rows.length ? 0 : 1));
    if (!list.rows.length) return markup`<li class="ax"></li>${this.empty("no whistle waits")}${lately}`;
    const { answer, report_in, end } = list.axis;
    /** @param {number} minute */
    const at = (minute) => `${((minute / end) * 100).toFixed(1)}%`;
    return markup`
      <li class="ax">
        <span></span>
        <span></span>
        <div class="axis">
          <i style="left:${at(answer)}">${answer}</i>
          <i style="left:${at(report_in)}">${report_in}</i>
          <i style="left:96%">${end}</i>
        </div>
        <span>${this.t("minutes")}</span>
      </li>
      ${list.rows.map((row, n) => this.whistle(row, n, end))}
      ${lately}`;
  }

  /**
   * @param {Wire.WhistleLine} row
   * @param {number} n
   * @param {number} end of its bar, in minutes
   */
  whistle(row, n, end) {
    const limit = row.answer ?? row.arrive;
    const kind = row.kind.length ? fit(row.kind) : this.t(SEVERITIES[row.sev]);
    return markup`
      <li data-sent="${row.sent}" data-limit="${limit}" data-near="${row.near}" data-end="${end}" ${
      this.towards(row)
    }>
        <span class="key w">${letter(n)}</span>
        <div class="w">
          <div class="l1 fits"><i>${kind}</i><b>${fit(row.type)}</b></div>
          <div class="l2 fits">${fit(this.near(row), "")} → ${fit(row.to)}</div>
        </div>
        <div class="bar"><s></s><em class="ten"></em><em></em></div>
        <div class="t" data-due="${limit}" data-over="${this.t("late by")}" data-left="${
      this.t("left")
    }"></div>
      </li>`;
  }

  /**
   * Say, in the slots that no waiting whistle needs, how the last day's whistles went: the last ones, then the rates.
   * @param {Wire.Lately} lately
   * @param {number} room
   */
  lately(lately, room) {
    if (room < 1) return "";
    const rows = lately.last.slice(0, room - 1);
    /** @param {string} word @param {number} n */
    const part = (word, n) => markup`<span>${word} <b>${num(n)}</b>／${num(lately.sent)}</span>`;
    /** @param {Wire.LateWhistle} row */
    const took = (row) =>
      filled(row.in_time ? this.t("on site in {n} min") : this.t("late, on site in {n} min"), {
        n: num(row.took),
      });
    const sum = lately.sent
      ? [part(this.t("answered"), lately.answered), part(this.t("on site in time"), lately.in_time)]
      : markup`<span>${this.t("no whistle was sent")}</span>`;
    const past = rows.map((row) =>
      markup`
        <li class="past">
          <span class="h">${this.around.clock.hhmm(row.at)}</span>
          <span class="w fits">${fit(this.near(row))} ${fit(row.type)} → ${fit(row.to)}</span>
          <span class="o">${took(row)}</span>
        </li>`
    );
    return markup`
      ${past}
      <li class="past sum"><span>${this.t("last 24 hours")}</span>${sum}</li>
      ${blank(room - 1 - rows.length)}`;
  }

  /**
   * @param {Wire.Raised} list
   * @param {Heading} part
   */
  raised(list, part) {
    const today = `${this.t("today")} ${list.escalated}`,
      supervised = `${this.t("supervised")} ${list.supervised}`;
    if (part.small) part.small.textContent = `${today}　${supervised}`;
    if (!list.rows.length) return this.empty("none today", "");
    const rows = list.rows.map((row) =>
      markup`
        <li ${this.towards(row)}>
          <span class="h">${this.around.clock.hhmm(row.at)}</span>
          <span class="w fits">${row.what}　${fit(this.near(row), "")} ${fit(row.type)}</span>
          <span class="o fits">${fit(row.holder)}</span>
        </li>`
    );
    return markup`${rows}${blank(SLOTS.raised - list.rows.length)}`;
  }

  /** @param {Wire.Theme[]} rows */
  ten(rows) {
    return joined(rows.map(([name, today, then, red, yellow]) => {
      const word = red
        ? `${this.t("overdue")} ${num(red)}`
        : yellow
        ? `${this.t("near limit")} ${num(yellow)}`
        : this.t("none overdue");
      const also = red && yellow ? markup`<span class="also">${this.light("y")}${num(yellow)}</span>` : "";
      return markup`
        <li>
          <div class="k fits">${fit(name)}</div>
          <div class="v fits">${num(today)}<i>${then === null ? "" : signed(today - then)}</i></div>
          <div class="o fits">${this.light(red ? "r" : yellow ? "y" : "g")}${word}${also}</div>
        </li>`;
    }));
  }

  /** @param {Wire.HappenedLine[]} rows */
  ticker(rows) {
    if (!rows.length) return this.empty("nothing has happened today yet", "");
    return joined(rows.map((row) => {
      const second = this.around.clock.hhmmss(row.at), when = this.when(row.at);
      return markup`
        <li class="fits">
          <i>${second.startsWith(when) ? second : when}</i>
          <span>${fit(this.near(row))} ${fit(row.type)}　${row.what}</span>
        </li>`;
    }));
  }
}
