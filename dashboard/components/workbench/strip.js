// A case's clocks in their order: what is done, the one that runs now with its countdown, and what will come.

import { lightAt } from "../shared/lights.js";
import { markup, put } from "../shared/markup.js";
import { every, filled, one } from "../shared/page.js";
import { Part } from "./desk.js";

/** @import { Given } from "../shared/page.js" */
/** @import { PartData } from "./desk.js" */

/**
 * A clock of the strip; the one that runs has its limit, when its light turns, and since when it runs.
 * @typedef {object} Step
 * @property {string} name
 * @property {string} state
 * @property {string} text
 * @property {number} [due]
 * @property {number | null} [near]
 * @property {number} [from]
 */
/** @typedef {PartData & { steps: Step[], held: { who: string, where: string, since?: number | null } }} ClocksData */

/** @extends {Part<ClocksData>} */
export class Clocks extends Part {
  /**
   * @param {HTMLElement} host
   * @param {Given<ClocksData>} given
   */
  constructor(host, given) {
    super(host, given);
    this.draw();
  }

  /** @override */
  heard() {}

  /** @override */
  draw() {
    const { steps, held } = this.data;
    put(
      this.host,
      markup`
        <div class="gwq-held">
          ${held.where}　<b>${held.who} <span data-since="${held.since}"></span></b>
        </div>
        <div class="gwq-steps">${steps.map((step) => this.step(step))}</div>`,
    );
    this.second();
  }

  /** @param {Step} step */
  step({ name, state, text, due, near, from }) {
    const clock = due ? markup` data-due="${due}" data-near="${near}" data-from="${from}"` : "";
    const by = due ? ` · ${this.when(due)}` : "";
    return markup`<div class="${state}"${clock}><span>${name}${by}</span><b>${text}</b></div>`;
  }

  /** @override */
  second() {
    const now = this.desk.now();
    for (const box of every(this.host, "[data-due]")) {
      if (box.classList.contains("paused")) continue;
      const due = Number(box.dataset.due), from = Number(box.dataset.from);
      const light = lightAt(now, due, box.dataset.near ? Number(box.dataset.near) : null);
      box.dataset.light = light;
      put(one(box, "b"), markup`${this.light(light)}${now > due ? "−" : ""}${this.span(due - now)}`);
      box.style.setProperty("--run", `${Math.max(0, Math.min(1, (now - from) / (due - from))) * 100}%`);
    }
    const since = every(this.host, "[data-since]")[0], from = Number(since?.dataset.since);
    if (!since || !from) return;
    since.textContent = filled(this.t("since {at} · {span}"), {
      at: this.when(from),
      span: this.span(now - from),
    });
  }
}
