// The lists of the phone: what waits, what is to be sent, who one is; the bar above them and the tabs below.

import { markup, put } from "../shared/markup.js";
import { every } from "../shared/page.js";
import { lamp } from "./phone.js";
import { Stepping } from "./task.js";

/** @import { Piece } from "../shared/markup.js" */
/** @import { Task } from "../shared/messages.d.ts" */
/** @import { Entry } from "./outbox.js" */
/** @import { View } from "./phone.js" */

const CARDS = 5, SENT_SHOWN = 5, TEXT_LETTERS = 60, RECEIPT_LETTERS = 7;
const NARROW_PX = 480;
const MOVES = ["pick_up", "arrive", "check", "solve", "dispose", "verify"]; // steps that are taken on the spot

/**
 * The phone's own maps open: nobody is told where one goes. Apple's know no geo: address.
 * @param {Task} task
 */
function route({ lat, lon }) {
  const apple = /iPhone|iPad|Macintosh/.test(navigator.userAgent);
  return apple ? `maps:?daddr=${lat},${lon}` : `geo:${lat},${lon}?q=${lat},${lon}`;
}

/** A phone that shows its lists. */
export class Listing extends Stepping {
  /** What the bar says on the right: how fresh the tasks are, or what holds them up. @returns {Piece} */
  state() {
    const { line } = this.box, heard = this.box.heard || this.synced, poor = this.t("Poor line");
    if (this.view === "report" && this.draft) {
      if (line === "poor") return markup`${lamp("yellow")}${poor}`;
      if (!this.draft.saved) return "";
      return this.t("Draft of {time} is on this phone", { time: this.clock.hhmm(this.draft.saved) });
    }
    if (this.view === "task" && this.task) {
      const { due } = this.task;
      if (due === null) return "";
      return markup`${lamp(this.light(this.task))}<b class="num" data-due="${due}">${this.left(due)}</b>`;
    }
    if (line === "signed_out") return markup`${lamp("red")}${this.t("Signed out")}`;
    if (line === "poor") {
      const last = heard ? this.t(", last {time}", { time: this.clock.hhmm(heard) }) : "";
      return markup`${lamp("yellow")}${poor}${last}`;
    }
    if (this.data.mode !== "field") return "";
    if (!this.synced) return this.t("Loading…");
    return markup`${lamp("green")}${this.t("In step {time}", { time: this.clock.hhmm(this.synced) })}`;
  }

  /** @override */
  renderHead() {
    const net = every(this.root, ".net")[0], say = every(this.root, ".say")[0];
    if (!net || !say) return;
    const { line } = this.box, { alone, mode } = this.data, state = this.state();
    // On a phone the account's corner stands over this side of a resident's bar: what it would hide is said below.
    const covered = mode === "public" && !alone && ["home", "follow"].includes(this.view) &&
      innerWidth <= NARROW_PX;
    put(net, markup`${!covered && state}`);
    const back = this.t(
      "There is no line. This page comes from the phone itself: write, it is sent when the line is back.",
    );
    const keeps = this.t(
      "This browser keeps nothing: do not close the page before all is sent. Free some space, or leave private browsing.",
    );
    const open = markup`<a href="">${this.t("Open the whole page")}</a>`;
    const { flash } = this;
    put(
      say,
      markup`
        ${covered && line === "poor" && markup`<p class="warn">${state}</p>`}
        ${line === "signed_out" && this.signIn()}
        ${alone && line === "poor" && markup`<p class="warn">${back}</p>`}
        ${alone && line === "good" && markup`<p class="flash">${this.t("The line is back.")} ${open}</p>`}
        ${!this.box.kept && markup`<p class="warn">${keeps}</p>`}
        ${flash && markup`<p class="flash ${flash.kind}" role="status">${flash.text}</p>`}`,
    );
    const waiting = every(this.root, "[data-waiting]")[0];
    if (waiting) waiting.textContent = this.t("To send {n}", { n: this.box.unsent().length });
  }

  signIn() {
    const next = encodeURIComponent(location.pathname + location.search);
    const link = markup`<a href="/login?next=${next}&lang=${this.data.lang}">${this.t("Sign in")}</a>`;
    return markup`
      <p class="warn">${this.t("You are signed out. What you wrote is still on this phone.")} ${link}</p>`;
  }

  /**
   * @param {string} to
   * @param {boolean} on
   * @param {string} name
   * @param {string} told
   */
  tab(to, on, name, told) {
    const waiting = to === "outbox" && markup` data-waiting`;
    return markup`<button class="tab ${
      on ? "on" : ""
    }" data-do="go" data-to="${to}"><b${waiting}>${name}</b>${told}</button>`;
  }

  /** @param {string} on the tab that is seen */
  foot(on) {
    const n = this.box.unsent().length, sending = n > 0 || on === "outbox";
    const outbox = () =>
      this.tab("outbox", on === "outbox", this.t("To send {n}", { n }), this.t("on this phone"));
    /** @param {string} kind */
    const report = (kind) =>
      markup`<button class="B ${kind}" data-do="report">＋ ${this.t("Report")}</button>`;
    // A resident's own reports and the search by number stand on the page around: the tab says which of them is seen.
    if (this.data.mode === "public") {
      const follow = () =>
        this.tab("follow", on === "follow", this.t("Follow a report"), this.t("by its number"));
      return markup`
        ${this.tab("home", on === "home", this.t("My reports"), this.t("progress, rating"))}
        ${report("p")}
        ${sending || this.data.alone ? outbox() : follow()}`;
    }
    const told = on === "tasks" || !this.synced
      ? this.t("by urgency")
      : this.t("as of {time}", { time: this.clock.hhmm(this.synced) });
    const me = () => this.tab("me", on === "me", this.t("Me"), this.data.who.role);
    return markup`
      ${this.tab("tasks", on === "tasks", this.t("To do {n}", { n: this.open().length }), told)}
      ${report(on === "outbox" ? "p" : "o")}
      ${sending ? outbox() : me()}`;
  }

  /** @returns {View} */
  viewTasks() {
    const title = this.t("My tasks"), foot = () => this.foot("tasks");
    if (this.tasks === null) {
      const sk = markup`<div class="sk"></div>`;
      return [title, markup`${[sk, sk, sk]}`, foot()];
    }
    const open = this.open(), now = Date.now();
    this.lights = open.map((task) => this.light(task, now)).join();
    if (!open.length) return [title, markup`${this.sum(open, now)}${this.nothing()}`, foot()];
    const shown = this.all ? open : open.filter((task, n) => n < CARDS || this.light(task, now) === "red");
    const hidden = open.length - shown.length;
    const asks = !this.here && open.some((task) => task.lat !== null);
    const ask = this.asking
      ? this.t("Looking where you are…")
      : this.denied
      ? this.t("The phone does not say where it is.")
      : this.t("Show how far each is");
    const body = markup`
      ${this.sum(open, now)}
      ${shown.map((task, n) => this.card(task, n === 0, now))}
      ${
      hidden > 0 && markup`<button class="B sm" data-do="all">${this.t("{n} more", { n: hidden })}</button>`
    }
      ${asks && markup`<button class="B sm" data-do="here">${ask}</button>`}`;
    return [title, body, foot()];
  }

  /**
   * @param {Task[]} open
   * @param {number} now
   */
  sum(open, now) {
    const lights = open.map((task) => this.light(task, now));
    const late = lights.filter((each) => each === "red").length,
      soon = lights.filter((each) => each === "yellow").length;
    const done = this.doneToday(), red = late ? "red" : "";
    const near = markup`
      <span class="yellow">${lamp("yellow")}${this.t("due soon")} <b class="num yellow">${soon}</b></span>`;
    return markup`
      <div class="sum">
        <span>${this.t("To do")} <b class="num">${open.length}</b></span>
        <span class="${red}">${late > 0 && lamp("red")}${
      this.t("overdue")
    } <b class="num ${red}">${late}</b></span>
        ${soon > 0 && near}
        ${done > 0 && markup`<span>${this.t("handed in today")} <b class="num">${done}</b></span>`}
        <span class="r">${this.data.who.name}</span>
      </div>`;
  }

  nothing() {
    const n = this.doneToday();
    const done = n
      ? this.t("Handed in from this phone today: {n}", { n })
      : this.t("Nothing was handed in from this phone today.");
    return markup`
      <div class="none">
        <b>${this.t("Nothing waits for you now.")}</b>
        <p>${this.t("New work appears here by itself.")}</p>
        <p>${done}</p>
      </div>
      ${this.sentList()}`;
  }

  /**
   * @param {Task} task
   * @param {boolean} first
   * @param {number} now
   */
  card(task, first, now) {
    const light = this.light(task, now), verb = this.named(task.verb), far = this.far(task);
    const away = far === null
      ? ""
      : far < 1000
      ? this.t(", {n} m from you", { n: Math.round(far) })
      : this.t(", {n} km from you", { n: (far / 1000).toFixed(1) });
    const suspended = task.paused ? this.t("suspended") : "", what = this.data.clocks[task.clock] ?? verb;
    const due = task.due === null ? suspended : this.t("{what} by {time}", { what, time: this.by(task.due) });
    const goes = task.lat !== null && MOVES.includes(task.verb) && !task.arrived;
    const title = task.whistle ? this.t("Whistle: {what}", { what: task.title }) : task.title;
    const left = task.due !== null &&
      markup`<span class="cd num ${light}" data-due="${task.due}">${this.left(task.due, now)}</span>`;
    return markup`
      <section class="card tk ${light === "red" ? "late" : ""}">
        <button class="t" data-do="open" data-id="${task.id}">${
      light && lamp(light)
    }<b>${title}</b>${left}</button>
        <div class="d">${[due, task.place + away].filter(Boolean).join(this.t(". "))}</div>
        ${task.text && markup`<div class="d q">${task.text.slice(0, TEXT_LETTERS)}</div>`}
        <div class="do">
          ${goes && markup`<a class="B sm n" href="${route(task)}">${this.t("Route")}</a>`}
          <button class="B sm ${first ? "p" : "o"}" data-do="main" data-id="${task.id}">${verb}</button>
        </div>
      </section>`;
  }

  /** @returns {View} */
  viewHome() {
    const enough = this.t(
      "A photo, a place and a type are enough. You get a number at once and see here what becomes of it.",
    );
    const body = markup`
      <div class="none">
        <b>${this.t("What is wrong, and where?")}</b>
        <p>${enough}</p>
        <p class="red">${this.t("Somebody is hurt or it burns: call 119 or 120 first.")}</p>
      </div>`;
    return [this.t("For residents"), body, this.foot("home")];
  }

  /** @returns {View} */
  viewMe() {
    const { who, links, lang } = this.data;
    /** @param {string} words @param {Piece} more */
    const out = (words, more) =>
      markup`
        <form method="post" action="/logout">
          <input type="hidden" name="lang" value="${lang}">
          ${more}
          <button class="B sm" style="width:100%">${words}</button>
        </form>`;
    const body = markup`
      <section class="card ob"><b>${who.name}</b><div class="d">${who.role}　${who.area}</div></section>
      ${this.sentList()}
      ${links.map(([address, words]) => markup`<a class="B sm" href="${address}">${words}</a>`)}
      ${out(this.t("Sign out"), "")}
      ${out(this.t("Sign out everywhere"), markup`<input type="hidden" name="everywhere" value="1">`)}`;
    return [this.t("Me"), body, this.foot("me")];
  }

  /** Count what arrived from this phone today. */
  doneToday() {
    const now = Date.now();
    return this.box.list("sent").filter((entry) => this.clock.sameDay(entry.sent_at ?? 0, now)).length;
  }

  sentList() {
    return this.box.list("sent").reverse().slice(0, SENT_SHOWN).map((entry) =>
      markup`
        <section class="card ob flat">
          <div class="h"><span>${
        this.t("Delivered")
      }　${entry.title}</span><span class="green">✓ ${entry.number}</span></div>
        </section>`
    );
  }

  /** @returns {View} */
  viewOutbox() {
    const entries = this.box.unsent();
    const calm = markup`
      <p class="warn in">
        <b>${this.t("What you wrote and photographed is on this phone; nothing is lost.")}</b><br>${
      this.t(
        "It is sent by itself when the line is back, and counts once however often it is sent. You may close the page.",
      )
    }
      </p>`;
    const none = markup`<div class="none"><b>${this.t("Everything has arrived.")}</b></div>`;
    const rows = entries.length ? [calm, ...entries.map((entry) => this.entry(entry))] : none;
    return [this.t("To send"), markup`${rows}${this.sentList()}`, this.foot("outbox")];
  }

  /** @param {Entry} entry */
  entry(entry) {
    const kind = entry.kind === "report" ? this.t("Report") : "";
    const name = markup`<b>${[kind, entry.title].filter(Boolean).join("　")}</b>`;
    const n = entry.photos.length, up = entry.photos.filter((photo) => photo.name).length;
    const photos = n ? this.t("photos {up} of {n}", { up, n }) : "";
    const written = entry.body.text || entry.body.result || entry.body.reason || "";
    const what = [photos, written].filter(Boolean).join(this.t(". "));
    const drop = markup`<button class="B sm n" data-do="drop" data-id="${entry.id}">${
      this.t("Delete")
    }</button>`;
    /** @param {string} words */
    const resume = (words) =>
      markup`<button class="B sm o" data-do="resume" data-id="${entry.id}">${words}</button>`;
    if (entry.state === "draft") {
      return markup`
        <section class="card ob">
          <div class="h">${name}<span>${this.t("not finished")}</span></div>
          <div class="d">${what}</div>
          <div class="do">${resume(this.t("Go on writing"))}${drop}</div>
        </section>`;
    }
    if (entry.state === "refused") {
      return markup`
        <section class="card ob late">
          <div class="h">${name}<span class="red">${this.t("refused")}</span></div>
          <div class="d red">${entry.said}</div>
          <div class="do">${entry.kind === "report" && resume(this.t("Mend and send"))}${drop}</div>
        </section>`;
    }
    const state = entry.going
      ? `↑ ${this.t("sending")}`
      : entry.tries
      ? this.t("attempt {n}", { n: entry.tries + 1 })
      : this.t("waits");
    const receipt = this.t("Written {time}, and counted from then. Receipt {id}", {
      time: this.clock.hhmm(entry.written),
      id: entry.id.slice(0, RECEIPT_LETTERS),
    });
    const next = entry.next ?? 0;
    const again = next > Date.now() && markup` <span data-next="${next}">${this.again(next)}</span>`;
    return markup`
      <section class="card ob">
        <div class="h">${name}<span>${state}</span></div>
        <div class="d">${what}</div>
        ${n > 0 && markup`<div class="pg"><i style="width:${Math.round((up / n) * 100)}%"></i></div>`}
        <div class="m">${receipt}${again}</div>
        <div class="do"><button class="B sm" data-do="now">${this.t("Try now")}</button></div>
      </section>`;
  }
}
