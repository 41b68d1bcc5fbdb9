// What each row of a queue says, as markup.

import { joined, markup } from "../shared/markup.js";
import { filled } from "../shared/page.js";
import { STAGES } from "./desk.js";
import { SEVERITIES } from "./groups.js";

/** @import { Markup } from "../shared/markup.js" */
/** @import { QueueRow } from "../shared/messages.d.ts" */
/** @import { BurstItem, GroupItem, Item, Queue, RowItem } from "./queue.js" */

const NARROW_QUEUE_PX = 400; // a queue narrower than this names types in their short wording

/** Tells the rows of one queue. */
export class Rows {
  /** @param {Queue} queue */
  constructor(queue) {
    this.queue = queue;
  }

  /** @param {string} text */
  t(text) {
    return this.queue.t(text);
  }

  /**
   * @param {Item} item
   * @returns {Markup}
   */
  item(item) {
    return "row" in item ? this.row(item) : "burst" in item ? this.burst(item) : this.group(item);
  }

  /** @param {boolean} open */
  arrow(open) {
    return markup`<i class="gwq-ar ${open ? "" : "shut"}"></i>`;
  }

  /** @param {GroupItem} item */
  group({ top, high, group: { name, key, count, within } }) {
    const apart = within ? markup`<i>${filled(this.t("{n} of them in bursts"), { n: within })}</i>` : "";
    return markup`
      <div class="gwq-group" data-fold="${key}" style="top:${top}px;height:${high}px">
        <b>${name} ${count}</b>${apart}<span>${this.arrow(!this.queue.folded.has(key))}</span>
      </div>`;
  }

  /**
   * How long until a limit, or since.
   * @param {number} left
   */
  left(left) {
    return `${left < 0 ? "−" : ""}${this.queue.span(left)}`;
  }

  /**
   * Many cases as one row: the worst of their lights, the nearest of their limits, and what it hides said in words.
   * @param {BurstItem} item
   */
  burst({ top, high, burst, rows, open }) {
    const { queue } = this, name = queue.desk.bursts.get(burst)?.name ?? "";
    const lights = rows.map((row) => queue.lightOf(row));
    const red = lights.filter((each) => each === "red").length;
    const yellow = lights.filter((each) => each === "yellow").length;
    const light = red ? "red" : yellow ? "yellow" : "green";
    const first = rows.find((row) => row.due && !row.paused), due = first?.due ?? null;
    const suspended = rows.every((row) => row.paused) ? this.t("suspended") : "—";
    const time = due === null ? suspended : this.left(due - queue.desk.now());
    const ticked = rows.filter((row) => queue.ticked.has(row.id)).length;
    const more = this.within(rows, red, yellow), on = !open && rows.some((row) => row.id === queue.selected);
    const marks = `${on ? "sel" : ""} ${light === "red" ? "late" : ""}`;
    const tick = ticked === rows.length ? "on" : ticked ? "some" : "";
    return markup`
      <div class="gwq-row burst ${marks}" role="option" aria-selected="${String(on)}" aria-expanded="${
      String(open)
    }"
        data-burst="${burst}" style="top:${top}px;height:${high}px">
        <span class="gwq-tick ${tick}" data-ticks="${burst}"></span>
        ${queue.light(light)}
        <div class="gwq-t">
          <b>${name}</b><span class="gw-tag">${filled(this.t("{n} cases"), { n: rows.length })}</span>
        </div>
        <span class="gwq-c ${first ? `gw-${light}` : ""}">${time}</span>
        <span class="gwq-d" title="${more}">${more}</span>
        <span class="gwq-k gwq-open">${this.arrow(open)} ${open ? this.t("fold") : this.t("open it")}</span>
      </div>`;
  }

  /**
   * What a burst hides: how many are late and near, what they wait for, and since when.
   * @param {QueueRow[]} rows
   * @param {number} red
   * @param {number} yellow
   */
  within(rows, red, yellow) {
    const { queue } = this, stages = queue.stages(), since = rows.map((row) => row.since);
    /** @type {Record<string, number>} */
    const counts = {};
    for (const row of rows) counts[row.stage] = (counts[row.stage] ?? 0) + 1;
    return [
      red && `${this.t("Overdue")} ${red}`,
      yellow && `${this.t("near")} ${yellow}`,
      ...STAGES.filter((stage) => counts[stage]).map((stage) => `${stages[stage]} ${counts[stage]}`),
      `${queue.when(Math.min(...since))}–${queue.when(Math.max(...since))}`,
    ].filter(Boolean).join(" · ");
  }

  /** @param {RowItem} item */
  row({ top, high, row, kid }) {
    const { queue } = this, { desk } = queue, taken = desk.taken.get(row.id), light = queue.lightOf(row);
    const time = row.paused ? this.t("suspended") : row.due ? this.left(row.due - desk.now()) : "—";
    const holder = row.stage === "returned" ? `${this.t("returned by")} ${row.by}` : row.holder || row.at;
    const more = taken
      ? `${queue.clock.hhmm(taken.when)} ${taken.by} ${taken.verb}`
      : [row.place, holder, row.up ? this.t("raised") : ""].filter(Boolean).join(" · ");
    // Where English has no room beside the countdown, the gravity goes a line down: what it is stands whole.
    const short = queue.box.clientWidth < NARROW_QUEUE_PX, down = short && queue.data.lang === "en";
    const chip = markup`<span class="gw-chip s${row.sev}">${this.t(SEVERITIES[row.sev])}</span>`;
    const on = row.id === queue.selected;
    const marks = `${kid ? "kid" : ""} ${taken ? "taken" : ""} ${on ? "sel" : ""} ${
      light === "red" ? "late" : ""
    }`;
    return markup`
      <div class="gwq-row ${marks}" role="option" aria-selected="${String(on)}" data-id="${row.id}"
        style="top:${top}px;height:${high}px">
        <span class="gwq-tick ${queue.ticked.has(row.id) ? "on" : ""}" data-tick="${row.id}"></span>
        ${queue.light(light)}
        <div class="gwq-t"><b title="${row.type}">${short ? row.short : row.type}</b>${!down && chip}</div>
        <span class="gwq-c ${row.paused ? "" : `gw-${light}`}">${time}</span>
        <span class="gwq-d" title="${more}">${down && markup`${chip} `}${more}</span>
        <span class="gwq-k">${row.paused ? row.state : row.clock}</span>
      </div>`;
  }

  /** What stands where no row does: why, and what to do about it. */
  empty() {
    const { queue } = this, { desk } = queue;
    if (desk.all === null) {
      const broken = this.t("The queue cannot be read; it is tried again.");
      return markup`<p class="gwq-none">${desk.broken ? broken : this.t("Reading the queue")}</p>`;
    }
    const words = queue.search.trim(), stage = desk.stage;
    if (words || stage) {
      const names = [stage && queue.stages()[stage], words].filter(Boolean);
      return markup`
        <p class="gwq-none">
          ${this.t("Nothing matches this filter.")}<br>${
        joined(names.map((each) => markup`<b>${each}</b>`), " + ")
      }<br>
          <button type="button" data-clear="1">${this.t("Clear the filter")}</button>
        </p>`;
    }
    const known = [...desk.known.values()];
    const mine = known.filter((row) => row.who === desk.me).sort((a, b) => b.when - a.when)[0];
    const next = known.filter((row) => row.due && !row.paused).sort((a, b) => (a.due ?? 0) - (b.due ?? 0))[0];
    return markup`
      <p class="gwq-none">
        <b>${this.t("Nothing waits for you now.")}</b><br>${desk.all} ${
      this.t("cases are in hand with teams.")
    }
        ${mine && this.last(mine)}
        ${next && this.next(next)}
      </p>`;
  }

  /** @param {QueueRow} row */
  last(row) {
    const at = this.queue.clock.hhmm(row.when);
    return markup`<br>${this.t("Your last step:")} ${at} ${row.verb} · ${row.type}`;
  }

  /** @param {QueueRow} row */
  next(row) {
    const at = this.queue.when(row.due ?? 0);
    return markup`
      <br>${this.t("Next limit:")} ${at} · ${row.type} · ${row.place}<br>
      <button type="button" data-stage-of="in_hand">${this.t("See those in hand")}</button>`;
  }
}
