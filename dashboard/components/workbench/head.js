// A desk's head: where, the filters with their counts, what comes in, and whether the line holds; and a case's place.

import { joined, Markup, markup, put } from "../shared/markup.js";
import { every, filled, hit } from "../shared/page.js";
import { Part, signal, STAGES } from "./desk.js";

/** @import { Given } from "../shared/page.js" */
/** @import { PartData } from "./desk.js" */

/** @typedef {PartData & { stage: string, where: string, demo: boolean }} HeadData */
/** @typedef {PartData & { id: string }} PlaceData */

const NEWS_MIN = 10, MINUTE_MS = 60000;
const LOST_AFTER_MS = 3000; // a line that heals sooner was never down

/** @extends {Part<HeadData>} */
export class Head extends Part {
  /**
   * @param {HTMLElement} host
   * @param {Given<HeadData>} given
   */
  constructor(host, given) {
    super(host, given);
    /** @type {Map<string, string>} */
    this.shown = new Map();
    put(
      host,
      markup`
        <div class="gwq-head">
          <h1></h1>
          <span class="gwq-where"></span>
          <span class="gwq-demo"></span>
          <div class="gwq-seg" role="group"></div>
          <span class="gwq-sp"></span>
          <span class="gwq-news"></span>
          <span class="gwq-line"></span>
        </div>`,
    );
    host.querySelector(".gwq-seg")?.addEventListener("click", (event) => {
      const stage = hit(event, "[data-stage]")?.dataset.stage;
      if (stage !== undefined) this.choose(stage);
    });
    this.desk.stage = this.data.stage;
    this.desk.head = this;
    this.draw();
  }

  /**
   * @override
   * @param {Given<HeadData>} given
   */
  update(given) {
    const before = this.data.stage, { desk } = this;
    this.take(given);
    if (this.data.stage === desk.wished) desk.wished = null;
    else if (desk.wished === null && this.data.stage !== before) {
      // The address names another one, as after a step back; an answer to an earlier wish takes nothing back.
      desk.stage = this.data.stage;
      desk.tell();
    }
    this.draw();
  }

  /**
   * Choose the filter beside the one that stands.
   * @param {number} by
   */
  step(by) {
    const all = ["", ...STAGES], at = all.indexOf(this.desk.stage) + by;
    if (at >= 0 && at < all.length) this.choose(all[at]);
  }

  /** @param {string} stage */
  choose(stage) {
    this.desk.stage = this.desk.wished = stage;
    this.data = { ...this.data, stage };
    this.say("stage", stage);
    this.desk.tell();
  }

  /** @override */
  draw() {
    /** @type {Record<string, number>} */
    const counts = {};
    let all = 0, news = 0;
    const now = this.desk.now();
    for (const row of this.desk.known.values()) {
      counts[row.stage] = (counts[row.stage] ?? 0) + 1;
      if (row.stage !== "in_hand" || this.lightOf(row) === "red") all += 1;
      if (now - row.since < NEWS_MIN * MINUTE_MS) news += 1;
    }
    const names = this.stages();
    const filters = [
      this.filter("", this.t("To do"), all, false),
      ...STAGES.map((stage) => this.filter(stage, names[stage], counts[stage] ?? 0, stage === "whistle")),
    ];
    this.show("h1", this.t("Workbench"));
    this.show(".gwq-where", this.data.where);
    this.show(".gwq-demo", this.data.demo ? markup`<span class="gw-tag">${this.t("Demo data")}</span>` : "");
    this.show(".gwq-seg", joined(filters));
    this.show(".gwq-news", markup`${this.t("New in 10 minutes")} <b>${news}</b>`);
    this.second();
  }

  /**
   * @param {string} stage
   * @param {string} name
   * @param {number} n
   * @param {boolean} hot
   */
  filter(stage, name, n, hot) {
    const told = this.t("all that waits for a desk; of what is in hand only what is past its limit");
    const title = stage ? "" : markup` title="${told}"`, on = stage === this.desk.stage;
    const count = this.desk.all === null ? "" : n;
    return markup`
      <button type="button" data-stage="${stage}"${title} class="${on ? "on" : ""}" aria-pressed="${
      String(on)
    }">
        ${name}<b class="${hot && n ? "gw-red" : ""}">${count}</b>
      </button>`;
  }

  /**
   * @param {string} where
   * @param {Markup | string} content
   */
  show(where, content) {
    const box = this.host.querySelector(where),
      text = content instanceof Markup ? content : markup`${content}`;
    if (!box || this.shown.get(where) === text.text) return;
    this.shown.set(where, text.text);
    put(box, text);
  }

  /**
   * The queue itself is the first to know how many are past their limit; without a line nobody knows.
   * @param {boolean} lost
   */
  counted(lost) {
    const root = document.documentElement, rows = [...this.desk.known.values()];
    const n = lost ? 0 : rows.filter((row) => this.lightOf(row) === "red").length;
    root.dataset.gwCounts = "workbench";
    root.toggleAttribute("data-gw-n-workbench", n > 0);
    root.style.setProperty("--gw-n-workbench", JSON.stringify(String(n)));
  }

  /** @override */
  stop() {
    if (this.desk.head === this) this.desk.head = null;
    delete document.documentElement.dataset.gwCounts;
    super.stop();
  }

  /** @override */
  second() {
    const { desk, clock } = this,
      spent = desk.broken ? Date.now() - desk.broken : 0,
      lost = spent > LOST_AFTER_MS;
    this.counted(lost || desk.all === null || desk.all > desk.known.size);
    every(this.host, ".gwq-head")[0]?.classList.toggle("lost", lost);
    const words = this.t("The line is down: nothing is sent until it is back; what you wrote stays.");
    signal("gwLine", lost ? "lost" : "", "--gw-lost", words);
    if (lost) {
      const since = markup`<b class="gw-red">${this.t("Line lost")} ${this.span(spent)}</b>`;
      const at = desk.at ? clock.hhmm(desk.at) : "—";
      this.show(".gwq-line", markup`${since}　${this.t("numbers as of")} ${at}`);
    } else if (desk.all === null) this.show(".gwq-line", this.t("Connecting"));
    else this.show(".gwq-line", markup`${this.light("green")}${this.t("Live")} ${clock.hhmmss(desk.now())}`);
  }
}

/**
 * Where a case stands in the queue as it is filtered, and the way to its neighbours for whoever uses no keys.
 * @extends {Part<PlaceData>}
 */
export class Place extends Part {
  /**
   * @param {HTMLElement} host
   * @param {Given<PlaceData>} given
   */
  constructor(host, given) {
    super(host, given);
    put(
      host,
      markup`
        <div class="gwq-pos">
          <span></span>
          <button type="button" data-by="-1" aria-label="${this.t("the case above")}">↑</button>
          <button type="button" data-by="1" aria-label="${this.t("the case below")}">↓</button>
        </div>`,
    );
    host.addEventListener("click", (event) => {
      const by = hit(event, "[data-by]")?.dataset.by;
      if (by) this.desk.queue?.move(Number(by));
    });
    this.draw();
  }

  /** @override */
  draw() {
    const { order } = this.desk,
      at = order.indexOf(this.data.id),
      place = every(this.host, ".gwq-pos > span")[0];
    if (!place) return;
    place.textContent = at < 0 ? "" : filled(this.t("{n} of {m}"), { n: at + 1, m: order.length });
  }

  /** @override */
  second() {
    this.draw();
  }
}
