// The phone in the field: what waits, a report in three taps, check-in and result; what is written waits in the outbox.

import { markup, put } from "../shared/markup.js";
import { mounting, one } from "../shared/page.js";
import { Listing } from "./lists.js";

/** @import { Given } from "../shared/page.js" */
/** @import { PhoneData, View } from "./phone.js" */

// Presses that need a report at hand.
const OF_DRAFT = new Set(["keep", "send", "type", "words", "types", "pick", "zoom", "locate"]);
const CALMS = ["go", "back", "open", "main", "report"]; // presses after which nothing is said any more
const FILES = "input[type=file]";

/** The whole phone: which view is seen, and what a press does. */
export class Field extends Listing {
  /** @returns {View} */
  shown() {
    if (this.view === "report" && this.draft) return this.viewReport(this.draft);
    if (this.view === "task" && this.task && this.form) return this.viewTask(this.task, this.form);
    if (this.view === "outbox") return this.viewOutbox();
    if (this.view === "me") return this.viewMe();
    if (this.view === "home") return this.viewHome();
    if (this.view === "follow") return [this.t("Follow a report"), markup``, this.foot("follow")];
    return this.viewTasks();
  }

  /** @override */
  render() {
    const [title, body, foot, back] = this.shown(), { demo, mode, alone } = this.data;
    const same = this.drawn === this.view;
    const scrolled = same ? this.root.querySelector(".bd")?.scrollTop ?? 0 : 0;
    const cameras = same
      ? [.../** @type {NodeListOf<HTMLElement>} */ (this.root.querySelectorAll(FILES))]
      : [];
    this.drawn = this.view;
    this.root.dataset.mode = mode;
    this.root.toggleAttribute("data-alone", Boolean(alone));
    put(
      this.root,
      markup`
        <header class="top">
          ${back && markup`<button class="bk" data-do="back" aria-label="${this.t("Back")}">‹</button>`}
          <h1>${title}</h1>
          ${demo && !back && markup`<span class="demo">${this.t("Demo")}</span>`}
          <span class="net"></span>
        </header>
        <div class="say"></div>
        <main class="bd">${body}</main>
        <footer class="bot">${foot}</footer>`,
    );
    // A camera may be open that was asked for by one of these: its photo must find the way back here.
    for (const each of cameras) {
      this.root.querySelector(`${FILES}[data-slot="${each.dataset.slot ?? ""}"]`)?.replaceWith(each);
    }
    one(this.root, ".bd").scrollTop = scrolled;
    this.root.dataset.view = this.view;
    this.mapped();
    this.renderHead();
    this.second();
  }

  /**
   * @override
   * @param {HTMLInputElement} at
   */
  typed(at, chosen = false) {
    const name = at.dataset.in ?? "";
    if (this.view === "report") {
      const { draft } = this;
      if (!draft) return;
      if (name === "area" && !at.value) delete draft.body.area;
      else draft.body[name] = at.value;
      this.save();
      if (name === "text") this.suggest(draft);
    } else if (this.form) this.fill(this.form, name, at);
    else return;
    if (chosen) this.render();
  }

  home() {
    this.view = this.data.mode === "public" ? "home" : "tasks";
  }

  /**
   * @override
   * @param {string} what
   * @param {DOMStringMap} data
   */
  async act(what, data) {
    if (this.flash && CALMS.includes(what)) this.flash = null;
    if (await this.actTask(what, data)) return;
    // A second press meets the page from before the first one was drawn.
    if (OF_DRAFT.has(what)) {
      if (this.draft) await this.actDraft(what, data);
      return;
    }
    const id = data.id ?? "";
    switch (what) {
      case "go":
        this.view = data.to ?? this.view;
        this.all = false;
        this.render();
        break;
      case "all":
        this.all = true;
        this.render();
        break;
      case "back":
        if (this.draft) {
          this.draft.open = false;
          await this.keepDraft();
        }
        this.task = this.form = null;
        this.home();
        this.render();
        break;
      case "report":
        await this.newReport();
        break;
      case "here":
        this.asking = true;
        this.render();
        await this.locate();
        this.asking = false;
        this.denied = !this.here;
        if (this.view === "tasks") this.render();
        break;
      case "unphoto":
        this.unphoto(data);
        break;
      case "resume":
        this.resume(id);
        break;
      case "drop":
        if (confirm(this.t("Delete this for good?"))) await this.box.drop(id);
        break;
      case "now":
        this.box.line = "good";
        await this.box.run(true);
        break;
      case "open":
      case "main":
        await this.openTask(this.open().find((task) => task.id === Number(id)), what === "main");
        break;
    }
  }

  /**
   * Do what was pressed on a report.
   * @param {string} what
   * @param {DOMStringMap} data
   */
  async actDraft(what, data) {
    const { draft } = this;
    if (!draft) return;
    switch (what) {
      case "keep":
        draft.open = false;
        await this.keepDraft();
        this.view = "outbox";
        this.render();
        break;
      case "send":
        await this.sendReport();
        break;
      case "type":
        draft.body.category = data.code;
        draft.every = false;
        this.save();
        this.render();
        break;
      case "words":
        draft.wordsFirst = true;
        this.save();
        this.render();
        this.write();
        break;
      case "types":
        draft.every = true;
        this.render();
        break;
      case "pick":
        draft.pick = true;
        this.render();
        break;
      case "zoom":
        this.zoomed(Number(data.by));
        break;
      case "locate":
        await this.locate(draft);
        break;
    }
  }

  /**
   * Go on with a report that was kept, or refused.
   * @param {string} id
   */
  resume(id) {
    const entry = this.box.entries.get(id);
    if (!entry) return;
    Object.assign(entry, { state: "draft", open: true });
    entry.body = { text: "", address: "", ...entry.body };
    this.draft = entry;
    this.view = "report";
    this.render();
    this.readMap();
  }
}

/**
 * Begin a phone in an element.
 * @param {HTMLElement} host
 * @param {PhoneData} data
 */
export function begun(host, data) {
  const field = new Field(host, data);
  field.begin();
  return field;
}

export default mounting((host, /** @type {Given<PhoneData>} */ given) => {
  const field = begun(host, given.data);
  field.done = (number) => field.given?.setTriggerValue("sent", number);
  field.given = given;
  return field;
});
