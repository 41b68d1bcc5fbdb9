// The queue: only the rows that are seen are drawn; selection, ticks and scroll hold to cases, not to positions.

import { joined, markup, put } from "../shared/markup.js";
import { every, filled, hit, one } from "../shared/page.js";
import { caseOfReason, STREAMLIT } from "../shared/streamlit.js";
import { Part, signal } from "./desk.js";
import { DIALOG_MS, dialogOf, Dialogs, typing } from "./dialogs.js";
import { groups, passes } from "./groups.js";
import { Rows } from "./rows.js";

/** @import { Given } from "../shared/page.js" */
/** @import { PartData } from "./desk.js" */
/** @import { Group, Look, Order } from "./groups.js" */
/** @import { QueueRow } from "../shared/messages.d.ts" */

/**
 * What the page gives: the case that stands in its panes, the one that it was asked for, and what has been written.
 * @typedef {PartData & {
 *   selected: string, wish: string, sort: Order, cleared: number, written: string[], limited?: boolean
 * }} QueueData
 */

/** @typedef {{ top: number, high: number }} Spot where something is drawn, in px */
/** @typedef {Spot & { row: QueueRow, kid: boolean }} RowItem */
/** @typedef {Spot & { burst: string, rows: QueueRow[], open: boolean }} BurstItem */
/** @typedef {Spot & { group: Group }} GroupItem */
/** @typedef {RowItem | BurstItem | GroupItem} Item */
/** @typedef {{ ticked?: string[], search?: string, folded?: string[], opened?: string[], top?: number }} Kept */

const ASK_AGAIN_MS = 5000, ASK_TIMES = 10; // a case that was chosen and does not come
const ASK_AFTER_MS = 120, TICKED_AFTER_MS = 250, KEEP_AFTER_MS = 300;
// A case that is fetched: look for it, veil the old one, say what is waited for.
const LOOK_MS = 60, SLOW_MS = 400, TELL_MS = 2000;
// Keys that touch no case.
const STEPPING = ["ArrowDown", "ArrowUp", "PageDown", "PageUp", " ", "Escape", "n", "f", "h"];
const BY_HAND_MS = 1000; // what has the focus so soon after a pointer went down has it from that
const OVERSCAN = 6; // rows drawn above and below what is seen
const TALL_PX = 58, SHORT_PX = 50, GROUP_PX = 28; // a row, one on a small screen, a group's name
const PAGE_ROWS = 10;

/**
 * @template Value
 * @param {string} key
 * @param {Value} fallback
 * @returns {Value}
 */
function remembered(key, fallback) {
  try {
    return JSON.parse(sessionStorage.getItem(key) ?? "null") ?? fallback;
  } catch {
    return fallback;
  }
}

/** @param {string} key @param {unknown} value */
function remember(key, value) {
  try {
    sessionStorage.setItem(key, JSON.stringify(value));
  } catch { /* full or forbidden: only a refresh forgets */ }
}

/** @param {HTMLElement} at */
const later = (at) => setTimeout(() => at.blur(), 0);

/** @param {Item} item */
const casesOf = (item) => "row" in item ? [item.row] : "rows" in item ? item.rows : [];

/** @extends {Part<QueueData>} */
export class Queue extends Part {
  /**
   * @param {HTMLElement} host
   * @param {Given<QueueData>} given
   */
  constructor(host, given) {
    super(host, given);
    const kept = remembered(this.key(), /** @type {Kept} */ ({}));
    this.selected = this.data.selected || "";
    this.pending = ""; // selected here, until the page has it
    this.chosen = 0;
    /** @type {{ at: number, times: number } | null} */
    this.asked = null;
    this.ticked = new Set(kept.ticked ?? []);
    this.lastTick = "";
    this.search = kept.search ?? "";
    this.folded = new Set((kept.folded ?? []).map(String));
    this.desk.opened = new Set(kept.opened ?? []);
    this.sort = this.data.sort ?? "";
    /** @type {Item[]} */
    this.layout = [];
    /** @type {Map<string, number>} */
    this.place = new Map(); // id -> where in the layout
    /** @type {string[]} */
    this.rows = []; // what the arrows stop at, by the id of its first case
    this.tops = 0;
    this.drawn = "";
    this.pointed = 0;
    this.looking =
      this.saying =
      this.ticking =
      this.settling =
        0;
    this.telling = new Rows(this);
    put(host, this.frame());
    this.box = one(host, ".gwq-list");
    this.inner = one(host, ".gwq-all");
    this.input = /** @type {HTMLInputElement} */ (one(host, "input"));
    this.bar = one(host, ".gwq-fresh");
    this.menu = /** @type {HTMLSelectElement} */ (one(host, "select"));
    this.dialogs = new Dialogs();
    this.watch = new ResizeObserver(() => this.paint());
    this.watch.observe(this.box);
    this.listen();
    this.desk.queue = this;
    this.draw();
    this.wish = kept.top ?? 0; // scroll there once there are rows
    this.reveal = this.wish ? "" : this.selected; // or to the case that the address names
    if (this.ticked.size) this.say("ticked", [...this.ticked]);
    this.recall(this.selected);
  }

  frame() {
    const find = this.t("Number, place, type");
    const orders = Object.entries(this.sorts()).map(([name, words]) =>
      markup`<option value="${name}"${name === this.sort && markup` selected`}>${words}</option>`
    );
    return markup`
      <div class="gwq" tabindex="-1">
        <div class="gwq-find">
          <input type="search" maxlength="60" aria-label="${find}" placeholder="${find}">
          <kbd>F</kbd>
          <select aria-label="${this.t("Order")}">${orders}</select>
        </div>
        <button type="button" class="gwq-fresh" hidden></button>
        <div class="gwq-list" role="listbox" aria-multiselectable="true" tabindex="0"><div class="gwq-all"></div></div>
      </div>`;
  }

  listen() {
    const { input, menu, box } = this;
    input.value = this.search;
    input.addEventListener("input", () => this.filter(input.value));
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" && event.key !== "Enter") return;
      // The browser empties a search field on Escape and says nothing: the filter must not stay behind.
      if (event.key === "Escape") {
        event.preventDefault();
        input.value = "";
        this.filter("");
      }
      input.blur();
      event.stopPropagation();
    });
    menu.addEventListener("change", () => {
      this.sort = /** @type {Order} */ (menu.value);
      this.say("sort", this.sort);
      box.scrollTop = 0;
      this.draw();
      menu.blur();
    });
    box.addEventListener("scroll", () => {
      this.paint();
      clearTimeout(this.settling);
      this.settling = setTimeout(() => this.keep(), KEEP_AFTER_MS);
    }, { passive: true });
    box.addEventListener("click", (event) => this.clicked(event));
    this.bar.addEventListener("click", () => this.desk.letIn());
    /** @param {KeyboardEvent} event */
    this.onKey = (event) => this.pressed(event);
    /** @param {KeyboardEvent} event */
    this.onEarly = (event) => this.held(event);
    this.onDown = () => {
      this.dialogs.begun = true;
      this.pointed = Date.now();
    };
    /** @param {Event} event */
    this.onInput = (event) => this.wrote(event);
    // A box that was ticked by hand gives the focus back: the next key is for the page again.
    /** @param {FocusEvent} event */
    this.onTick = ({ target }) => {
      if (!(target instanceof HTMLInputElement) || target.type !== "checkbox") return;
      if (Date.now() - this.pointed < BY_HAND_MS && target.closest(STREAMLIT.ticks)) later(target);
    };
    addEventListener("pointerdown", this.onDown, true);
    addEventListener("keydown", this.onEarly, true);
    document.addEventListener("keydown", this.onKey);
    document.addEventListener("input", this.onInput, true);
    document.addEventListener("focusin", this.onTick);
  }

  key() {
    return `gridwhistle:desk:${this.data.area}`;
  }

  keep() {
    /** @type {Kept} */
    const kept = {
      ticked: [...this.ticked],
      search: this.search,
      folded: [...this.folded],
      opened: [...this.desk.opened],
      top: this.box.scrollTop,
    };
    remember(this.key(), kept);
  }

  /** @param {string} words */
  filter(words) {
    this.search = words;
    this.keep();
    this.draw();
  }

  /** @param {string} id */
  draftKey(id) {
    return `${this.key()}:draft:${id}`;
  }

  /**
   * Tell the page what was written for a case before a refresh.
   * @param {string} id
   */
  recall(id) {
    const draft = id && remembered(this.draftKey(id), "");
    if (draft) this.say("draft", { id, text: draft });
  }

  /**
   * What is typed as a reason is kept in this tab, so that a refresh does not lose it.
   * @param {Event} event
   */
  wrote(event) {
    const field = hit(event, STREAMLIT.reason), id = field && caseOfReason(field);
    if (id && event.target instanceof HTMLInputElement) remember(this.draftKey(id), event.target.value);
  }

  /** @override */
  stop() {
    const { onKey, onEarly, onDown, onInput, onTick } = this;
    if (onKey) document.removeEventListener("keydown", onKey);
    if (onEarly) removeEventListener("keydown", onEarly, true);
    if (onDown) removeEventListener("pointerdown", onDown, true);
    if (onInput) document.removeEventListener("input", onInput, true);
    if (onTick) document.removeEventListener("focusin", onTick);
    clearTimeout(this.looking);
    signal("gwCase", "");
    if (this.desk.queue === this) this.desk.queue = null;
    this.dialogs.stop();
    this.watch.disconnect();
    super.stop();
  }

  /**
   * @override
   * @param {Given<QueueData>} given
   */
  update(given) {
    const before = this.data;
    this.take(given);
    const { selected, wish, sort, cleared } = this.data;
    if (wish === this.pending) this.pending = "";
    // An answer to an earlier wish never takes the selection back from a later one.
    if (!this.pending && selected !== before.selected && selected) this.selected = selected;
    // The page was asked for a case and there is none.
    if (wish && wish === this.selected && !selected) this.selected = "";
    if (sort !== before.sort) this.sort = this.menu.value = sort;
    if (cleared !== before.cleared) {
      this.ticked.clear();
      this.keep();
    }
    for (const id of this.data.written ?? []) remember(this.draftKey(id), "");
    this.draw();
  }

  /** @returns {Look} */
  look() {
    const { search, sort } = this;
    return { now: this.desk.now(), stage: this.desk.stage, search, sort, t: (text) => this.t(text) };
  }

  /** The orders to choose from: by the next limit alone, or by something else first and by the limit within it. */
  sorts() {
    return { "": this.t("Most urgent"), severity: this.t("Gravest"), place: this.t("By place") };
  }

  /** @override */
  draw() {
    const tall = innerHeight < 900 || innerWidth < 1500 ? SHORT_PX : TALL_PX;
    const anchor = this.anchor(), { desk } = this;
    this.layout = [];
    this.place.clear();
    this.rows = [];
    desk.order = [];
    let top = 0;
    /**
     * @param {RowItem | BurstItem} item
     * @param {string[]} ids
     * @param {boolean} stop whether the arrows stop at it
     */
    const set = (item, ids, stop) => {
      for (const id of ids) this.place.set(id, this.layout.length);
      this.layout.push(item);
      if (stop) this.rows.push(ids[0]);
      desk.order.push(...ids);
      top += tall;
    };
    for (const group of groups(desk, this.look())) {
      this.layout.push({ top, high: GROUP_PX, group });
      top += GROUP_PX;
      if (this.folded.has(group.key)) continue;
      for (const item of group.items) {
        if ("row" in item) set({ top, high: tall, row: item.row, kid: false }, [item.row.id], true);
        else {
          const open = desk.opened.has(item.burst), ids = item.rows.map((row) => row.id);
          set({ top, high: tall, ...item, open }, open ? [] : ids, !open);
          if (open) { for (const row of item.rows) set({ top, high: tall, row, kid: true }, [row.id], true); }
        }
      }
    }
    const tail = this.data.limited && (desk.all ?? 0) > desk.known.size ? GROUP_PX : 0;
    this.inner.style.height = `${top + tail}px`;
    this.tops = top;
    this.scrolled(anchor);
    this.fresh();
    this.paintAnew();
  }

  /**
   * Keep what is seen where it is; or show what was seen before a refresh, or what the address names.
   * @param {[id: string, off: number] | null} anchor
   */
  scrolled(anchor) {
    const { box } = this, held = anchor && this.item(anchor[0]);
    if (anchor && held) box.scrollTop = held.top - anchor[1];
    if (this.wish && this.desk.all !== null) {
      box.scrollTop = this.wish;
      this.wish = 0;
    }
    const named = this.reveal && this.item(this.reveal);
    if (named) {
      box.scrollTop = Math.max(0, named.top - box.clientHeight / 2);
      this.reveal = "";
    }
  }

  /** Say what waits above the list: new work, and what others moved on. */
  fresh() {
    const { desk } = this, look = this.look(), gone = desk.taken.size;
    const fresh = [...desk.fresh].filter((id) => {
      const row = desk.known.get(id);
      return row && passes(row, look);
    }).length;
    const words = [
      fresh && filled(this.t("+{n} new"), { n: fresh }),
      gone && filled(this.t("{n} moved on by others"), { n: gone }),
    ].filter(Boolean).join(" · ");
    this.bar.hidden = !words;
    const stays = this.t("your selection and what you write stay");
    const told = markup`<b>${words}</b><span>${stays}</span><i></i><kbd>N</kbd> ${this.t("let in")}`;
    put(this.bar, words ? told : "");
  }

  /** @param {string} id */
  item(id) {
    const at = this.place.get(id);
    return at === undefined ? undefined : this.layout[at];
  }

  /** Tell whether what stands in the panes is not yet the case that is selected: no step may reach the former one. */
  away() {
    if (!this.selected || dialogOf()) return false;
    const there = every(document, ".wb-of")[0];
    return there ? there.dataset.case !== this.selected : Boolean(this.asked);
  }

  watchCase() {
    clearTimeout(this.looking);
    const away = this.away(), spent = Date.now() - this.chosen, n = Math.floor(spent / 1000);
    const words = spent > TELL_MS
      ? filled(this.t("Reading the case and who is on duty; {n} s so far"), { n })
      : this.t("Reading who is on duty");
    signal("gwCase", !away ? "" : spent > SLOW_MS ? "slow" : "waiting", "--gw-wait", words);
    // Nor is anything written into the field of a case that goes away.
    for (const field of every(document, STREAMLIT.reasonField)) {
      if (field instanceof HTMLInputElement) field.readOnly = away;
    }
    if (away) this.looking = setTimeout(() => this.watchCase(), LOOK_MS);
  }

  /**
   * A key that would act on a case is not let through while another case is being fetched.
   * @param {KeyboardEvent} event
   */
  held(event) {
    const dialog = dialogOf();
    if (dialog) {
      this.dialogs.answered(event, dialog);
      return;
    }
    if (!this.away() || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (event.shiftKey || STEPPING.includes(key) || !(key.length === 1 || key === "Enter")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  /**
   * The first row that is seen, and how far from the top: what must not jump when rows come or go.
   * @returns {[id: string, off: number] | null}
   */
  anchor() {
    const top = this.box.scrollTop;
    const first = this.layout.find((item) => casesOf(item).length && item.top + item.high > top);
    return top > 0 && first ? [casesOf(first)[0].id, first.top - top] : null;
  }

  paint() {
    if (!this.layout.length) {
      put(this.inner, this.telling.empty());
      this.drawn = "";
      return;
    }
    const top = this.box.scrollTop, bottom = top + this.box.clientHeight;
    let from = 0, to = this.layout.length;
    while (from < to) {
      const mid = (from + to) >> 1;
      if (this.layout[mid].top + this.layout[mid].high < top) from = mid + 1;
      else to = mid;
    }
    from = Math.max(0, from - OVERSCAN);
    to = from;
    while (to < this.layout.length && this.layout[to].top < bottom) to += 1;
    to = Math.min(this.layout.length, to + OVERSCAN);
    const seen = joined(this.layout.slice(from, to).map((item) => this.telling.item(item)));
    if (seen.text === this.drawn) return;
    put(this.inner, seen);
    this.drawn = seen.text;
  }

  paintAnew() {
    this.drawn = "";
    this.paint();
  }

  /** @override */
  second() {
    // What was chosen while the page was away from its server is asked for again.
    const { asked } = this, missing = this.selected && this.selected !== this.data.selected;
    if (missing && asked && asked.times < ASK_TIMES && Date.now() - asked.at > ASK_AGAIN_MS) this.ask();
    this.draw();
  }

  /** @param {Event} event */
  clicked(event) {
    /** @param {string} name @returns {string | undefined} */
    const of = (name) => hit(event, `[data-${name}]`)?.getAttribute(`data-${name}`) ?? undefined;
    const { desk } = this;
    const wished = of("clear") ? "" : of("stage-of");
    if (wished !== undefined) {
      desk.stage = desk.wished = wished;
      this.say("stage", wished);
      if (!wished) {
        this.search = this.input.value = "";
        this.keep();
      }
      desk.tell();
      return;
    }
    const fold = of("fold");
    if (fold !== undefined) {
      if (!this.folded.delete(fold)) this.folded.add(fold);
      this.keep();
      this.draw();
      return;
    }
    const tick = of("tick"), ticks = of("ticks"), burst = of("burst"), id = of("id");
    if (tick) this.tick(tick, event instanceof MouseEvent && event.shiftKey);
    else if (ticks) {
      const item = this.layout.find((each) => "burst" in each && each.burst === ticks);
      this.tickAll(item ? casesOf(item).map((row) => row.id) : []);
    } else if (burst) this.unfold(burst, !desk.opened.has(burst));
    else if (id) this.select(id);
  }

  /**
   * Let the cases of a burst stand each by itself, or as one again.
   * @param {string} burst
   * @param {boolean} open
   */
  unfold(burst, open) {
    if (open) this.desk.opened.add(burst);
    else this.desk.opened.delete(burst);
    this.keep();
    this.draw();
  }

  /**
   * The cases that a case stands for in the list: all of its burst where that is one row, else itself.
   * @param {string} id
   */
  under(id) {
    const item = this.item(id);
    return item && "burst" in item ? item.rows.map((row) => row.id) : [id];
  }

  /** @param {string} id */
  select(id) {
    this.selected = this.pending = id;
    this.chosen = Date.now();
    this.draw();
    clearTimeout(this.saying);
    this.asked = null;
    this.watchCase();
    this.saying = setTimeout(() => {
      this.ask();
      this.recall(id);
    }, ASK_AFTER_MS);
  }

  ask() {
    this.watchCase();
    this.asked = { at: Date.now(), times: (this.asked?.times ?? 0) + 1 };
    this.say("selected", this.selected);
  }

  /**
   * @param {string} id
   * @param {boolean} whole whether all from the last tick on
   */
  tick(id, whole) {
    const own = this.under(id), from = this.rows.indexOf(this.lastTick), to = this.rows.indexOf(own[0]);
    const between = whole && from >= 0 && to >= 0
      ? this.rows.slice(Math.min(from, to), Math.max(from, to) + 1)
      : [id];
    this.lastTick = own[0];
    this.tickAll(between.flatMap((each) => this.under(each)), !own.every((each) => this.ticked.has(each)));
  }

  /**
   * @param {string[]} ids
   * @param {boolean} on
   */
  tickAll(ids, on = !ids.every((id) => this.ticked.has(id))) {
    for (const each of ids) {
      if (on) this.ticked.add(each);
      else this.ticked.delete(each);
    }
    this.keep();
    this.paintAnew();
    clearTimeout(this.ticking);
    this.ticking = setTimeout(() => this.say("ticked", [...this.ticked]), TICKED_AFTER_MS);
  }

  /** @param {number} by */
  move(by) {
    if (!this.rows.length) return;
    const { box } = this, at = this.rows.indexOf(this.under(this.selected)[0]);
    const next = this.rows[Math.max(0, Math.min(this.rows.length - 1, at < 0 ? 0 : at + by))],
      item = this.item(next);
    if (item) {
      if (item.top < box.scrollTop + GROUP_PX) box.scrollTop = item.top - GROUP_PX;
      const bottom = item.top + item.high;
      if (bottom > box.scrollTop + box.clientHeight) box.scrollTop = bottom - box.clientHeight;
    }
    this.select(next);
  }

  /**
   * Tick the case that is selected and the one beside it, which is selected then.
   * @param {number} by
   */
  sweep(by) {
    if (!this.selected || !this.place.has(this.selected)) {
      this.move(by);
      return;
    }
    const from = this.under(this.selected);
    this.move(by);
    this.lastTick = this.under(this.selected)[0];
    this.tickAll([...from, ...this.under(this.selected)], true);
  }

  /** @param {boolean} whole */
  tickSelected(whole) {
    if (this.selected && this.place.has(this.selected)) this.tick(this.selected, whole);
  }

  /** @param {boolean} open */
  unfoldSelected(open) {
    const burst = this.desk.burstOf.get(this.selected);
    if (burst) this.unfold(burst, open);
  }

  /** Open the list of teams that are farther, and give it the focus. */
  openRest() {
    const rest = every(document, STREAMLIT.rest)[0];
    rest?.scrollIntoView({ block: "nearest" });
    rest?.click();
    setTimeout(() => every(document, `${STREAMLIT.dialog} button`)[0]?.focus(), 2 * DIALOG_MS);
  }

  /** Answer a notice; where there is none, untick all. */
  escape() {
    const told = every(document, STREAMLIT.understood)[0];
    if (told) told.click();
    else if (this.ticked.size) {
      this.ticked.clear();
      this.keep();
      this.paintAnew();
      this.say("ticked", []);
    }
  }

  /**
   * What a key does on the page, where it does anything.
   * @param {string} key
   * @param {boolean} shift
   * @returns {(() => void) | undefined}
   */
  deed(key, shift) {
    const { desk, input } = this;
    /** @type {Record<string, () => void>} */
    const shifted = {
      ArrowDown: () => this.sweep(1),
      ArrowUp: () => this.sweep(-1),
      " ": () => this.tickSelected(true),
      ArrowRight: () => desk.head?.step(1),
      ArrowLeft: () => desk.head?.step(-1),
    };
    if (shift) return shifted[key];
    /** @type {Record<string, () => void>} */
    const plain = {
      ArrowDown: () => this.move(1),
      ArrowUp: () => this.move(-1),
      PageDown: () => this.move(PAGE_ROWS),
      PageUp: () => this.move(-PAGE_ROWS),
      ArrowRight: () => this.unfoldSelected(true),
      ArrowLeft: () => this.unfoldSelected(false),
      " ": () => this.tickSelected(false),
      n: () => desk.letIn(),
      f: () => {
        input.focus();
        input.select();
      },
      e: () => every(document, STREAMLIT.reasonField)[0]?.focus(),
      g: () => every(document, STREAMLIT.metField)[0]?.click(),
      0: () => this.openRest(),
      Escape: () => this.escape(),
    };
    return plain[key];
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    const at = event.target;
    if (!(at instanceof Element)) return;
    if ((event.key === "Enter" || event.key === "Escape") && at.closest(STREAMLIT.reason)) {
      if (at instanceof HTMLElement) later(at);
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || typing(at) || dialogOf()) return;
    const deed = this.deed(event.key.length === 1 ? event.key.toLowerCase() : event.key, event.shiftKey);
    if (!deed) return;
    // A button or box that has the focus is pressed by the space bar: then it is not for the queue.
    if (event.key === " " && at.closest("button, a, summary, input")) return;
    event.preventDefault();
    deed();
  }
}
