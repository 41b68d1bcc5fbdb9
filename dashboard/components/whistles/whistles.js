// The whistle board: each whistle a row of clocks and a bar; asks every two seconds, ticks by itself.

import { digits, ZoneClock } from "../shared/clocks.js";
import { lightAt } from "../shared/lights.js";
import { markup, put } from "../shared/markup.js";
import { filled, mounting, one } from "../shared/page.js";

/** @import { Given } from "../shared/page.js" */
/** @import { Markup } from "../shared/markup.js" */
/** @import { BoardMessage, BoardRate, BoardRow } from "../shared/messages.d.ts" */

/**
 * What the page gives: `only` is `open` where rows that have ended are left out.
 * @typedef {object} BoardData
 * @property {string} area
 * @property {string} lang
 * @property {string} zone
 * @property {string} only
 * @property {Record<string, string>} words
 * @property {string[]} severities
 * @property {string} link to a case, up to its id
 */

const ASK_MS = 2000, ASK_HIDDEN_MS = 15000, WAIT_MS = 10000;
const MINUTE_MS = 60000;
const OLD_MS = 15000; // without an answer for so long the board says that it stands still

/** @param {string} kind */
const lamp = (kind) => markup`<i class="lt ${kind}"></i>`;

class Board {
  /**
   * @param {HTMLElement} host
   * @param {BoardData} data
   */
  constructor(host, data) {
    this.data = data;
    this.clock = new ZoneClock(data.zone);
    this.tag = "";
    /** @type {BoardMessage | null} */
    this.said = null;
    /** @type {Map<number, string>} */
    this.shown = new Map(); // what a row's countdown said last
    this.heard = 0;
    this.lost = "";
    this.stopped = false;
    this.waiting = 0;
    put(host, markup`<div class="gwb"></div>`);
    this.root = one(host, ".gwb");
    this.timer = setInterval(() => this.second(), 1000);
    this.onSeen = () => {
      if (!document.hidden) this.ask();
    };
    document.addEventListener("visibilitychange", this.onSeen);
    this.draw();
    this.ask();
  }

  stop() {
    this.stopped = true;
    clearInterval(this.timer);
    clearTimeout(this.waiting);
    document.removeEventListener("visibilitychange", this.onSeen);
  }

  /** @param {Given<BoardData>} given */
  update({ data }) {
    const asks = data.area !== this.data.area || data.lang !== this.data.lang;
    const other = asks || data.only !== this.data.only;
    this.data = data;
    if (asks) {
      this.tag = "";
      this.said = null;
      this.ask();
    }
    if (other) this.draw();
  }

  /**
   * @param {string} text
   * @param {Record<string, string | number>} values
   */
  t(text, values = {}) {
    return filled(this.data.words[text] ?? text, values);
  }

  async ask() {
    clearTimeout(this.waiting);
    const area = this.data.area;
    try {
      const address = `/whistles/rows?area=${encodeURIComponent(area)}&lang=${this.data.lang}`;
      const answer = await fetch(address, {
        credentials: "same-origin",
        cache: "no-store",
        signal: AbortSignal.timeout?.(WAIT_MS),
        headers: this.tag ? { "If-None-Match": this.tag } : {},
      });
      if (this.stopped || area !== this.data.area) return;
      if (answer.ok || answer.status === 304) {
        this.heard = Date.now();
        this.lost = "";
        if (answer.ok) {
          this.tag = answer.headers.get("etag") ?? "";
          this.said = await answer.json();
          this.draw();
        }
      } else this.lost = answer.status === 401 ? this.t("Signed out") : this.t("The server does not answer");
    } catch {
      this.lost = this.t("The server does not answer");
    }
    if (this.stopped) return;
    this.second();
    this.waiting = setTimeout(() => this.ask(), document.hidden ? ASK_HIDDEN_MS : ASK_MS);
  }

  /**
   * @param {BoardRow} row
   * @param {number} now
   */
  light(row, now) {
    if (row.over) return "";
    return row.due === null ? row.light : lightAt(now, row.due, row.yellow);
  }

  draw() {
    const said = this.said;
    this.shown.clear();
    if (!said) {
      put(this.root, markup`<div class="sk"></div><div class="sk tall"></div>`);
      return;
    }
    const rows = said.rows.filter((row) => this.data.only !== "open" || (!row.over && !row.ended));
    put(this.root, markup`${this.sums(said)}${rows.length ? this.table(said, rows) : this.none(said)}`);
    this.second();
  }

  /** @param {BoardMessage} said */
  sums(said) {
    const open = said.rows.filter((row) => row.due !== null), now = Date.now();
    const late = open.filter((row) => this.light(row, now) === "red").length;
    const told = late
      ? markup`${lamp("red")}${this.t("{n} past the limit", { n: late })}`
      : this.t("none past the limit");
    const inside = this.t("Today, by case, as the assessment counts; {n} are still inside their limit.", {
      n: said.inside,
    });
    return markup`
      <div class="sums">
        <div class="rate">
          <span>${this.t("Waiting for answer or arrival")}</span><b>${open.length}</b><em>${told}</em>
        </div>
        ${said.rates.map((rate) => this.rate(rate))}
        <p class="note">${inside}<br><span class="age"></span></p>
      </div>`;
  }

  /** @param {BoardRate} rate */
  rate(rate) {
    const share = rate.n / rate.d;
    const value = !rate.d
      ? this.t("no data")
      : rate.top > 1
      ? share.toFixed(2)
      : `${(share * 100).toFixed(1)}%`;
    const base = !rate.d
      ? this.t("base 0")
      : rate.top > 1
      ? this.t("{d} rated", { d: rate.d })
      : `${rate.n} / ${rate.d}`;
    return markup`<div class="rate"><span>${rate.name}</span><b>${value}</b><em>${base}</em></div>`;
  }

  /**
   * @param {BoardMessage} said
   * @param {BoardRow[]} rows
   */
  table(said, rows) {
    const { answer, report_in, end } = said.axis;
    const scale = [0, answer, report_in, end].map((m) =>
      markup`<span style="left:${(m / end) * 100}%">${m}</span>`
    );
    const more = said.more
      ? markup`<p class="note">${this.t("{n} more are not shown: choose a town.", { n: said.more })}</p>`
      : "";
    return markup`
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th></th>
              <th>${this.t("Case")}</th>
              <th>${this.t("Team")}</th>
              <th class="bar"><div class="scale">${scale}</div></th>
              <th class="r">${this.t("Sent")}</th>
              <th class="r">${this.t("Answered")}</th>
              <th class="r">${this.t("On site")}</th>
              <th class="r">${this.t("Result")}</th>
              <th class="r">${this.t("Rating")}</th>
            </tr>
          </thead>
          <tbody>${rows.map((row) => this.row(row, end * MINUTE_MS))}</tbody>
        </table>
      </div>
      ${more}`;
  }

  /** @param {BoardMessage} said */
  none(said) {
    const why = said.rows.length
      ? this.t("No whistle is open.")
      : this.t("No whistle today, and none is open.");
    return markup`
      <div class="none"><b>${why}</b><p>${
      this.t("A new one appears here by itself within two seconds.")
    }</p></div>`;
  }

  /**
   * @param {BoardRow} row
   * @param {number} end how long the bar is, in ms
   */
  row(row, end) {
    const clock = this.clock;
    /** @param {number} at */
    const minutes = (at) => {
      const n = Math.max(0, Math.round((at - row.sent) / MINUTE_MS));
      return n < 600 ? this.t("{n} min", { n }) : this.t("{n} h", { n: Math.round(n / 60) });
    };
    /** @param {number | null} at @param {boolean} late */
    const cell = (at, late) => {
      const time = at === null
        ? ""
        : markup`${late && lamp("red")}${clock.when(at, row.sent)}<em>${minutes(at)}</em>`;
      return markup`<td class="r ${late ? "red" : ""}">${time}</td>`;
    };
    /** @param {number | null} at */
    const mark = (at) =>
      at === null
        ? ""
        : markup`<i class="mk" style="left:${Math.min(100, ((at - row.sent) / end) * 100)}%"></i>`;
    const chip = markup`<span class="gw-chip s${row.severity}">${
      this.data.severities[row.severity - 1]
    }</span>`;
    const state = row.over || row.review || row.ended ? row.state : "";
    const rating = row.rating !== null
      ? markup`<b>${row.rating}</b>`
      : row.ended
      ? markup`<em>${this.t("not rated")}</em>`
      : "";
    return markup`
      <tr data-row="${row.part}" class="${row.over ? "over" : ""}">
        <td class="cd"></td>
        <td>
          <a href="${this.data.link}${row.id}" target="_self">${chip} ${row.title}</a>
          <em>${row.place}　<span>${row.number}</span></em>
        </td>
        <td>${row.team}<em>${[row.kind, state].filter(Boolean).join(" · ")}</em></td>
        <td class="bar">
          <div class="track"><i class="fill"></i>${mark(row.answer_due)}${
      mark(row.arrive_due)
    }<i class="mk end"></i></div>
        </td>
        <td class="r">${row.review ? "" : clock.when(row.sent, Date.now())}</td>
        ${cell(row.answered, row.late_answer && row.answered !== null)}
        ${cell(row.arrived, row.arrived !== null && row.light === "red")}
        ${cell(row.done, false)}
        <td class="r">${rating}</td>
      </tr>`;
  }

  /** How old the board is, and whether it stands still. */
  age(now = Date.now()) {
    const old = this.heard !== 0 && now - this.heard > OLD_MS;
    this.root.classList.toggle("stale", old || this.lost !== "");
    if (!old && !this.lost) {
      return markup`${lamp("green")}${this.t("As of {time}", { time: this.clock.hhmm(now) })}`;
    }
    const since = this.heard ? this.t(", figures of {time}", { time: this.clock.hhmm(this.heard) }) : "";
    return markup`${lamp("yellow")}${this.lost || this.t("The server does not answer")}${since}`;
  }

  second() {
    const now = Date.now(), age = this.root.querySelector(".age");
    if (age) put(age, this.age(now));
    if (!this.said) return;
    const end = this.said.axis.end * MINUTE_MS;
    for (const row of this.said.rows) {
      const at = this.root.querySelector(`[data-row="${row.part}"]`);
      if (!at) continue;
      const light = this.light(row, now), text = this.countdown(row, light, now);
      if (this.shown.get(row.part) !== text.text) {
        this.shown.set(row.part, text.text);
        put(one(at, ".cd"), text);
      }
      const until = row.arrived ?? (row.over || row.review || row.done !== null ? row.done ?? row.sent : now);
      const fill = one(at, ".fill");
      fill.style.width = `${row.over ? 0 : Math.min(100, Math.max(0, ((until - row.sent) / end) * 100))}%`;
      fill.className = `fill ${light}`;
    }
  }

  /**
   * @param {BoardRow} row
   * @param {string} light
   * @param {number} now
   * @returns {Markup}
   */
  countdown(row, light, now) {
    if (row.due === null) return markup`${light && lamp(light)}<span>${row.state}</span>`;
    const left = row.due - now, h = Math.floor(Math.abs(left) / 3600000);
    const time = h >= 48 ? `${Math.floor(h / 24)}d` : digits(left);
    const what = row.review ? this.t("review") : row.answered === null ? this.t("answer") : this.t("arrival");
    const told = left < 0 ? this.t("over {time}", { time }) : time;
    return markup`${lamp(light)}<b class="${light}">${told}</b><em>${what}</em>`;
  }
}

export default mounting((host, /** @type {Given<BoardData>} */ given) => new Board(host, given.data));
