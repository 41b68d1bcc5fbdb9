// A command desk, live: its head, its queue, a case's clocks and its small map. All parts share one line to the server.

const SILENT_MS = 20000; // no word from the server for so long: connect anew
const RETRY_FIRST_MS = 1000, RETRY_LONGEST_MS = 30000;
const ASK_AGAIN_MS = 5000, ASK_TIMES = 10; // a case that was chosen and does not come
const LOOK_MS = 60, SLOW_MS = 400, TELL_MS = 2000; // a case that is fetched: look for it, veil the old one, say what is waited for
const STEPPING = ["ArrowDown", "ArrowUp", "PageDown", "PageUp", " ", "Escape", "n", "f", "h"]; // keys that touch no case
const DIALOG_MS = 150, COMING_MS = 20000; // nothing more has come into a dialog; what comes later takes no focus
const BY_HAND_MS = 1000; // what has the focus so soon after a pointer went down has it from that
const LEAVE_MS = 2000; // a page may take its parts away and bring them back in one breath
const SEND = '[data-testid="stBaseButton-primary"]'; // the button that ends a dialog
const NEWS_MIN = 10, TEN_MIN = 600000, HOUR = 3600000;
const ZONE = "Asia/Shanghai";
const STAGES = [
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
const OVERSCAN = 6; // rows drawn above and below what is seen
const SHORT_PX = 400; // a queue narrower than this names types in their short wording
const FOLD_LEAST = 3; // of a burst that the filter leaves fewer of, each stands by itself

/** Tell whether a key belongs to what has the focus: a box that is ticked takes no letters. */
const typing = (at) =>
  at.isContentEditable || /^(TEXTAREA|SELECT)$/.test(at.tagName) ||
  (at.tagName === "INPUT" && !/^(checkbox|radio|range|button)$/.test(at.type));
/** The fields of a dialog that are written into. */
const written = (dialog) =>
  [...dialog.querySelectorAll("input, textarea")].filter((field) => typing(field) && !field.disabled);
const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const esc = (text) => String(text ?? "").replace(/[&<>"']/g, (c) => ENTITIES[c]);
const pad = (n) => String(n).padStart(2, "0");
const clockForm = new Intl.DateTimeFormat("en-GB", {
  timeZone: ZONE,
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const dayForm = new Intl.DateTimeFormat("en-CA", { timeZone: ZONE });
const hhmmss = (ms) => clockForm.format(ms);
const hhmm = (ms) => hhmmss(ms).slice(0, 5);

/** A length of time: 04:12, 1:12:05, from ten hours on 14 h, from two days on 3 d. */
function span(ms, t) {
  const s = Math.floor(Math.abs(ms) / 1000), h = Math.floor(s / 3600);
  if (h >= 48) return `${Math.floor(h / 24)} ${t("d")}`;
  if (h >= 10) return `${h} ${t("h")}`;
  return h
    ? `${h}:${pad(Math.floor(s / 60) % 60)}:${pad(s % 60)}`
    : `${pad(Math.floor(s / 60))}:${pad(s % 60)}`;
}

const remembered = (key, fallback) => {
  try {
    return JSON.parse(sessionStorage.getItem(key)) ?? fallback;
  } catch {
    return fallback;
  }
};
const remember = (key, value) => {
  try {
    sessionStorage.setItem(key, JSON.stringify(value));
  } catch { /* full or forbidden: only a refresh forgets */ }
};

/** One line to the server for all parts of a page: every row as known, and the list as the person sees it. */
class Desk {
  constructor(area, lang, me) {
    this.area = area;
    this.lang = lang;
    this.me = me;
    this.known = new Map(); // as the server last said
    this.shown = new Map(); // as the list stands: what others do to it waits for the person's N
    this.fresh = new Set(); // new work above the list
    this.taken = new Map(); // rows that somebody else moved on
    this.parts = new Set();
    this.bursts = new Map(); // key -> many cases that are one matter, as the server found them
    this.burstOf = new Map(); // id -> key
    this.opened = new Set(); // bursts whose cases stand each by itself beneath it
    this.all = null;
    this.wished = null; // the stage that was chosen here, until the page has it
    this.skew = 0;
    this.at = 0;
    this.heard = Date.now();
    this.broken = 0;
    this.retry = RETRY_FIRST_MS;
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

  hear(said) {
    this.heard = Date.now();
    this.broken = 0;
    this.retry = RETRY_FIRST_MS;
    this.skew = said.now - Date.now();
    this.at = said.at;
    if (!said.rows) return;
    const first = this.all === null;
    this.all = said.all;
    if (said.bursts) this.gather(said.bursts);
    if (said.full) {
      const there = new Set(said.rows.map((row) => row.id));
      for (const id of this.known.keys()) if (!there.has(id)) this.known.delete(id);
      if (first) {
        for (const row of said.rows) {
          this.known.set(row.id, row);
          this.shown.set(row.id, row);
        }
      } else {
        for (const id of [...this.shown.keys()]) {
          if (!there.has(id) && !this.taken.has(id)) {
            this.taken.set(id, { ...this.shown.get(id), stage: "" });
          }
        }
        for (const id of [...this.fresh]) if (!there.has(id)) this.fresh.delete(id);
      }
    }
    if (!first || !said.full) { for (const row of said.rows) this.fold(row); }
    this.tell();
  }

  fold(row) {
    const own = row.who === this.me || row.who === "system", standing = this.shown.get(row.id);
    if (row.stage) this.known.set(row.id, row);
    else {
      this.known.delete(row.id);
      this.fresh.delete(row.id);
    }
    if (standing) {
      if (row.stage === standing.stage || row.stage === standing.was || own) {
        this.taken.delete(row.id);
        if (row.stage) this.shown.set(row.id, row);
        else this.shown.delete(row.id);
      } else if (row.seq !== standing.seq) this.taken.set(row.id, row);
    } else if (row.stage === "in_hand" || (own && row.who === this.me)) {
      if (row.stage) this.shown.set(row.id, row);
      this.fresh.delete(row.id);
    } else if (row.stage) this.fresh.add(row.id);
  }

  /** Take the bursts as they are now. One is named by its oldest case: where that ended, what was open stays open. */
  gather(bursts) {
    const before = this.bursts;
    this.bursts = new Map(bursts.map((burst) => [burst.key, burst]));
    this.burstOf = new Map(bursts.flatMap((burst) => burst.ids.map((id) => [id, burst.key])));
    for (const key of [...this.opened]) {
      if (this.bursts.has(key) || !before.has(key)) continue;
      this.opened.delete(key);
      const now = before.get(key).ids.map((id) => this.burstOf.get(id)).find(Boolean);
      if (now) this.opened.add(now);
    }
  }

  /** Let what waited into the list, and what others took out of it. */
  settle() {
    for (const id of this.fresh) if (this.known.has(id)) this.shown.set(id, this.known.get(id));
    for (const [id, row] of this.taken) {
      if (row.stage) this.shown.set(id, row);
      else this.shown.delete(id);
    }
    this.fresh.clear();
    this.taken.clear();
    this.tell();
  }

  tell() {
    for (const part of this.parts) part.heard?.();
  }

  second() {
    if (Date.now() - this.heard > SILENT_MS) {
      this.broken ||= this.heard;
      this.connect();
    }
    for (const part of this.parts) part.second?.();
  }

  join(part) {
    this.parts.add(part);
    clearTimeout(this.leaving);
  }

  part(part) {
    this.parts.delete(part);
    if (!this.parts.size) {
      this.leaving = setTimeout(() => {
        clearInterval(this.timer);
        clearTimeout(this.again);
        this.source?.close();
        desks.delete(`${this.area}|${this.lang}`);
      }, LEAVE_MS);
    }
  }
}

const desks = (window.gridwhistleDesks ??= new Map());
function deskOf({ area, lang, me }) {
  const key = `${area}|${lang}`;
  if (!desks.has(key)) desks.set(key, new Desk(area, lang, me));
  return desks.get(key);
}

/** Say something to the style sheet of the whole page: the panes belong to the page, not to a part. */
function signal(name, value, variable = "", words = "") {
  const root = document.documentElement;
  if (value) root.dataset[name] = value;
  else delete root.dataset[name];
  if (variable && words) root.style.setProperty(variable, JSON.stringify(words));
}

/** What every part has: its words, its desk, and the way back to the page. */
class Part {
  constructor(host, component) {
    this.host = host;
    this.take(component);
    this.desk = deskOf(this.data);
    this.desk.join(this);
  }
  /** What is said carries its moment: the same said twice is two wishes, and what is equal would not be heard. */
  take(component) {
    this.data = component.data;
    this.say = (name, value) => component.setStateValue(name, { value, at: Date.now() });
  }
  t(text) {
    return this.data.words[text] ?? text;
  }
  update(component) {
    this.take(component);
    this.draw();
  }
  stop() {
    this.desk.part(this);
    this.host.innerHTML = "";
  }
  heard() {
    this.draw();
  }
  /** The hour, with its day before it where that is not today. */
  when(ms) {
    return dayForm.format(ms) === dayForm.format(this.desk.now())
      ? hhmm(ms)
      : `${dayForm.format(ms).slice(5)} ${hhmm(ms)}`;
  }
  light(kind) {
    return `<span class="gw-light ${kind}"></span>`;
  }
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
  /** red, yellow or green, by the row's own limit; a suspended row is never red. */
  lightOf(row) {
    if (row.paused || !row.due) return "green";
    const now = this.desk.now();
    return now > row.due ? "red" : row.near && now >= row.near ? "yellow" : "green";
  }
}

/** The page's head: where, the filters with their counts, what comes in, and whether the line holds. */
class Head extends Part {
  constructor(host, component) {
    super(host, component);
    host.innerHTML =
      `<div class="gwq-head"><h1></h1><span class="gwq-where"></span><span class="gwq-demo"></span><div class="gwq-seg" role="group"></div><span class="gwq-sp"></span><span class="gwq-news"></span><span class="gwq-line"></span></div>`;
    host.querySelector(".gwq-seg").addEventListener("click", (event) => {
      const stage = event.target.closest("[data-stage]")?.dataset.stage;
      if (stage !== undefined) this.choose(stage);
    });
    this.desk.stage = this.data.stage;
    this.desk.head = this;
    this.draw();
  }

  update(component) {
    const before = this.data.stage;
    this.take(component);
    if (this.data.stage === this.desk.wished) this.desk.wished = null;
    // The address names another one, as after a step back in the browser; an answer to an earlier wish takes nothing back.
    else if (this.desk.wished === null && this.data.stage !== before) {
      this.desk.stage = this.data.stage;
      this.desk.tell();
    }
    this.draw();
  }

  /** Choose the filter beside the one that stands. */
  step(by) {
    const all = ["", ...STAGES], at = all.indexOf(this.desk.stage ?? "") + by;
    if (at >= 0 && at < all.length) this.choose(all[at]);
  }

  choose(stage) {
    this.desk.stage = this.desk.wished = stage;
    this.data = { ...this.data, stage };
    this.say("stage", stage);
    this.desk.tell();
  }

  draw() {
    const counts = {}, late = {};
    let all = 0, news = 0;
    const now = this.desk.now();
    for (const row of this.desk.known.values()) {
      counts[row.stage] = (counts[row.stage] ?? 0) + 1;
      if (this.lightOf(row) === "red") late[row.stage] = (late[row.stage] ?? 0) + 1;
      if (row.stage !== "in_hand" || this.lightOf(row) === "red") all += 1;
      if (now - row.since < NEWS_MIN * 60000) news += 1;
    }
    const names = this.stages();
    const chosen = this.desk.stage ?? "";
    this.put("h1", esc(this.t("Workbench")));
    this.put(".gwq-where", esc(this.data.where));
    this.put(".gwq-demo", this.data.demo ? `<span class="gw-tag">${esc(this.t("Demo data"))}</span>` : "");
    this.put(
      ".gwq-seg",
      [
        ["", this.t("To do"), all, 0],
        ...STAGES.map((stage) => [stage, names[stage], counts[stage] ?? 0, stage === "whistle" ? 1 : 0]),
      ].map(([stage, name, n, hot]) =>
        `<button type="button" data-stage="${stage}"${
          stage
            ? ""
            : ` title="${
              esc(this.t("all that waits for a desk; of what is in hand only what is past its limit"))
            }"`
        } class="${stage === chosen ? "on" : ""}" aria-pressed="${stage === chosen}">${esc(name)}<b class="${
          hot && n ? "gw-red" : ""
        }">${this.desk.all === null ? "" : n}</b></button>`
      ).join(""),
    );
    this.put(".gwq-news", `${esc(this.t("New in 10 minutes"))} <b>${news}</b>`);
    this.second();
  }

  put(where, html) {
    const box = this.host.querySelector(where);
    if (box && box.shown !== html) {
      box.innerHTML = html;
      box.shown = html;
    }
  }

  /** The queue itself is the first to know how many are past their limit; without a line nobody knows. */
  counted(lost) {
    const root = document.documentElement,
      n = lost ? 0 : [...this.desk.known.values()].filter((row) => this.lightOf(row) === "red").length;
    root.dataset.gwCounts = "workbench";
    root.toggleAttribute("data-gw-n-workbench", n > 0);
    root.style.setProperty("--gw-n-workbench", JSON.stringify(String(n)));
  }

  stop() {
    if (this.desk.head === this) this.desk.head = null;
    delete document.documentElement.dataset.gwCounts;
    super.stop();
  }

  second() {
    const { desk } = this, lost = desk.broken ? Date.now() - desk.broken : 0;
    this.counted(lost > 3000 || desk.all === null || desk.all > desk.known.size);
    this.host.firstElementChild?.classList.toggle("lost", lost > 3000);
    signal(
      "gwLine",
      lost > 3000 ? "lost" : "",
      "--gw-lost",
      this.t("The line is down: nothing is sent until it is back; what you wrote stays."),
    );
    if (lost > 3000) {
      this.put(
        ".gwq-line",
        `<b class="gw-red">${esc(this.t("Line lost"))} ${span(lost, (x) => this.t(x))}</b>　${
          esc(this.t("numbers as of"))
        } ${desk.at ? hhmm(desk.at) : "—"}`,
      );
    } else if (desk.all === null) this.put(".gwq-line", esc(this.t("Connecting")));
    else this.put(".gwq-line", `${this.light("green")}${esc(this.t("Live"))} ${hhmmss(desk.now())}`);
  }
}

/** The queue: only the rows that are seen are drawn; selection, ticks and scroll hold to cases, not to positions. */
class Queue extends Part {
  constructor(host, component) {
    super(host, component);
    const kept = remembered(this.key(), {});
    this.selected = this.data.selected || "";
    this.ticked = new Set(kept.ticked ?? []);
    this.search = kept.search ?? "";
    this.folded = new Set((kept.folded ?? []).map(String));
    this.desk.opened = new Set(kept.opened ?? []);
    this.sort = this.data.sort ?? "";
    this.layout = [];
    this.place = new Map();
    host.innerHTML =
      `<div class="gwq" tabindex="-1"><div class="gwq-find"><input type="search" maxlength="60" aria-label="${
        esc(this.t("Number, place, type"))
      }" placeholder="${esc(this.t("Number, place, type"))}"><kbd>F</kbd><select aria-label="${
        esc(this.t("Order"))
      }">${
        Object.entries(this.sorts()).map(([name, words]) =>
          `<option value="${name}"${name === this.sort ? " selected" : ""}>${esc(words)}</option>`
        ).join("")
      }</select></div><button type="button" class="gwq-fresh" hidden></button><div class="gwq-list" role="listbox" aria-multiselectable="true" tabindex="0"><div class="gwq-all"></div></div></div>`;
    this.box = host.querySelector(".gwq-list");
    this.inner = host.querySelector(".gwq-all");
    this.input = host.querySelector("input");
    this.bar = host.querySelector(".gwq-fresh");
    this.input.value = this.search;
    this.input.addEventListener("input", () => {
      this.search = this.input.value;
      this.keep();
      this.draw();
    });
    this.input.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" && event.key !== "Enter") return;
      // The browser empties a search field on Escape and says nothing: the filter must not stay behind.
      if (event.key === "Escape") {
        event.preventDefault();
        this.input.value = this.search = "";
        this.keep();
        this.draw();
      }
      this.input.blur();
      event.stopPropagation();
    });
    this.menu = host.querySelector("select");
    this.menu.addEventListener("change", () => {
      this.sort = this.menu.value;
      this.say("sort", this.sort);
      this.box.scrollTop = 0;
      this.draw();
      this.menu.blur();
    });
    this.box.addEventListener("scroll", () => {
      this.paint();
      clearTimeout(this.settling);
      this.settling = setTimeout(() => this.keep(), 300);
    }, { passive: true });
    this.box.addEventListener("click", (event) => this.clicked(event));
    this.bar.addEventListener("click", () => this.desk.settle());
    this.onKey = (event) => this.pressed(event);
    this.onEarly = (event) => this.held(event);
    this.onDown = () => {
      this.begun = true;
      this.pointed = Date.now();
    };
    addEventListener("pointerdown", this.onDown, true);
    addEventListener("keydown", this.onEarly, true);
    this.onInput = (event) => this.wrote(event);
    document.addEventListener("keydown", this.onKey);
    document.addEventListener("input", this.onInput, true);
    // A box that was ticked by hand gives the focus back: the next key is for the page again.
    this.onTick = ({ target }) => {
      if (
        target.type === "checkbox" && Date.now() - (this.pointed ?? 0) < BY_HAND_MS &&
        target.closest('[class*="st-key-wb-met-"], [class*="st-key-wb-all-"]')
      ) setTimeout(() => target.blur(), 0);
    };
    document.addEventListener("focusin", this.onTick);
    // A dialog that opens is written into at once.
    this.dialogs = new MutationObserver(() => this.met());
    this.dialogs.observe(document.body, { childList: true, subtree: true });
    this.watch = new ResizeObserver(() => this.paint());
    this.watch.observe(this.box);
    this.desk.queue = this;
    this.draw();
    this.wish = kept.top ?? 0; // scroll there once there are rows
    this.reveal = !this.wish && this.selected; // or to the case that the address names
    if (this.ticked.size) this.say("ticked", [...this.ticked]);
    const draft = this.selected && remembered(`${this.key()}:draft:${this.selected}`, "");
    if (draft) this.say("draft", { id: this.selected, text: draft });
  }

  key() {
    return `gridwhistle:desk:${this.data.area}`;
  }
  keep() {
    remember(this.key(), {
      ticked: [...this.ticked],
      search: this.search,
      folded: [...this.folded],
      opened: [...this.desk.opened],
      top: this.box.scrollTop,
    });
  }

  /** What is typed as a reason is kept in this tab, so that a refresh does not lose it. */
  wrote(event) {
    const field = event.target.closest?.('[class*="st-key-wb-reason-"]');
    if (!field) return;
    const id = [...field.classList].map((name) => /^st-key-wb-reason-(\d+)$/.exec(name)?.[1]).find(Boolean);
    if (id) remember(`${this.key()}:draft:${id}`, event.target.value);
  }

  stop() {
    document.removeEventListener("keydown", this.onKey);
    removeEventListener("keydown", this.onEarly, true);
    removeEventListener("pointerdown", this.onDown, true);
    clearTimeout(this.looking);
    signal("gwCase", "");
    if (this.desk.queue === this) this.desk.queue = null;
    document.removeEventListener("input", this.onInput, true);
    document.removeEventListener("focusin", this.onTick);
    this.dialogs.disconnect();
    clearTimeout(this.meeting);
    this.watch.disconnect();
    super.stop();
  }

  update(component) {
    const before = this.data;
    this.take(component);
    if (this.data.wish === this.pending) this.pending = "";
    // An answer to an earlier wish never takes the selection back from a later one.
    if (!this.pending && this.data.selected !== before.selected && this.data.selected) {
      this.selected = this.data.selected;
    }
    // The page was asked for a case and there is none.
    if (this.data.wish && this.data.wish === this.selected && !this.data.selected) this.selected = "";
    if (this.data.sort !== before.sort) this.sort = this.menu.value = this.data.sort;
    if (this.data.cleared !== before.cleared) {
      this.ticked.clear();
      this.keep();
    }
    for (const id of this.data.written ?? []) remember(`${this.key()}:draft:${id}`, "");
    this.draw();
  }

  passes(row) {
    const stage = this.desk.stage ?? "";
    if (stage ? row.stage !== stage : row.stage === "in_hand" && this.lightOf(row) !== "red") return false;
    const words = this.search.trim().toLowerCase();
    if (!words) return true;
    const digits = words.replaceAll("-", "");
    if (/^\d{3,}$/.test(digits)) return row.no.replaceAll("-", "").includes(digits);
    return [row.type, row.place, row.town, row.at, row.holder, row.state].some((part) =>
      part.toLowerCase().includes(words)
    );
  }

  /** The orders to choose from: by the next limit alone, or by something else first and by the limit within it. */
  sorts() {
    return { "": this.t("Most urgent"), severity: this.t("Gravest"), place: this.t("By place") };
  }

  /** When a row's next limit comes; a suspended one keeps the place that it had. */
  limit(row) {
    return row.due ?? (row.left === null ? Infinity : this.desk.now() + Math.max(0, row.left));
  }

  byLimit(rows) {
    return rows.sort((a, b) => this.limit(a) - this.limit(b) || Number(a.id) - Number(b.id));
  }

  /** Which of the groups of the chosen order a row belongs to: a key to fold it by, its place among them, its name. */
  groupOf(row) {
    if (this.sort === "severity") {
      return [`s${row.sev}`, row.sev, this.t(["", "extreme", "urgent", "pressing", "ordinary"][row.sev])];
    }
    if (this.sort === "place") return [`p${row.place}`, 0, row.place];
    const left = this.limit(row) - this.desk.now(),
      n = left < 0 && !row.paused ? 0 : left < TEN_MIN ? 1 : left < HOUR ? 2 : 3;
    return [
      String(n),
      n,
      [this.t("Overdue"), this.t("Within 10 minutes"), this.t("Within an hour"), this.t("Later")][n],
    ];
  }

  /**
   * The groups in their order, each with what stands beneath it: rows, and bursts as one. A burst stands where its
   * first limit does, so nothing overdue is beneath a name that says otherwise; every group counts its own cases.
   */
  groups() {
    const rows = this.byLimit([...this.desk.shown.values()].filter((row) => this.passes(row)));
    const many = new Map();
    if (!this.sort) {
      for (const row of rows) {
        const key = this.desk.burstOf.get(row.id);
        if (key) many.set(key, [...(many.get(key) ?? []), row]);
      }
    }
    const groups = new Map();
    for (const row of rows) {
      const [key, rank, name] = this.groupOf(row),
        found = groups.get(key) ?? { key, rank, name, count: 0, within: 0, items: [] };
      groups.set(key, found);
      found.count += 1;
      const burst = this.desk.burstOf.get(row.id), all = many.get(burst) ?? [];
      if (all.length < FOLD_LEAST) found.items.push({ row });
      else {
        if (!this.desk.opened.has(burst)) found.within += 1;
        // A suspended case has no limit that comes: the first that has one leads.
        if (row === (all.find((each) => !each.paused) ?? all[0])) found.items.push({ burst, rows: all });
      }
    }
    // Rows come by their limit: a place stands where its first case does.
    return [...groups.values()].sort((a, b) => a.rank - b.rank);
  }

  draw() {
    const tall = innerHeight < 900 || innerWidth < 1500 ? 50 : 58, low = 28;
    const anchor = this.anchor();
    this.layout = [];
    this.place.clear();
    this.rows = [];
    this.desk.order = [];
    let top = 0;
    const put = (item, ids, stop) => {
      for (const id of ids) this.place.set(id, this.layout.length);
      this.layout.push({ top, high: tall, ...item });
      if (stop) this.rows.push(ids[0]);
      this.desk.order.push(...ids);
      top += tall;
    };
    for (const group of this.groups()) {
      this.layout.push({ top, high: low, ...group });
      top += low;
      if (this.folded.has(group.key)) continue;
      for (const item of group.items) {
        if (item.row) {
          put(item, [item.row.id], true);
          continue;
        }
        const open = this.desk.opened.has(item.burst), ids = item.rows.map((row) => row.id);
        put({ ...item, open }, open ? [] : ids, !open);
        if (open) { for (const row of item.rows) put({ row, kid: true }, [row.id], true); }
      }
    }
    const tail = this.data.limited && this.desk.all > this.desk.known.size ? 1 : 0;
    this.inner.style.height = `${top + (tail ? low : 0)}px`;
    this.tops = top;
    if (anchor) this.hold(anchor);
    if (this.wish && this.desk.all !== null) {
      this.box.scrollTop = this.wish;
      this.wish = 0;
    }
    if (this.reveal && this.place.has(this.reveal)) {
      this.box.scrollTop = Math.max(
        0,
        this.layout[this.place.get(this.reveal)].top - this.box.clientHeight / 2,
      );
      this.reveal = "";
    }
    const fresh =
        [...this.desk.fresh].filter((id) => this.desk.known.has(id) && this.passes(this.desk.known.get(id)))
          .length,
      gone = this.desk.taken.size;
    const words = [
      fresh ? this.t("+{n} new").replace("{n}", fresh) : "",
      gone ? this.t("{n} moved on by others").replace("{n}", gone) : "",
    ].filter(Boolean).join(" · ");
    this.bar.hidden = !words;
    this.bar.innerHTML = words
      ? `<b>${esc(words)}</b><span>${
        esc(this.t("your selection and what you write stay"))
      }</span><i></i><kbd>N</kbd> ${esc(this.t("let in"))}`
      : "";
    this.drawn = "";
    this.paint();
  }

  /** Tell whether what stands in the panes is not yet the case that is selected: no step may reach the former one. */
  away() {
    if (!this.selected || document.querySelector('[role="dialog"]')) return false;
    const there = document.querySelector(".wb-of");
    return there ? there.dataset.case !== this.selected : Boolean(this.asked);
  }

  look() {
    clearTimeout(this.looking);
    const away = this.away(), spent = Date.now() - (this.chosen ?? 0);
    signal(
      "gwCase",
      !away ? "" : spent > SLOW_MS ? "slow" : "waiting",
      "--gw-wait",
      spent > TELL_MS
        ? this.t("Reading the case and who is on duty; {n} s so far").replace("{n}", Math.floor(spent / 1000))
        : this.t("Reading who is on duty"),
    );
    // Nor is anything written into the field of a case that goes away.
    for (const field of document.querySelectorAll('[class*="st-key-wb-reason-"] input')) {
      field.readOnly = away;
    }
    if (away) this.looking = setTimeout(() => this.look(), LOOK_MS);
  }

  /**
   * Give the focus of a dialog that has just come to its first empty field, else to its text, else to its button. Its
   * fields come one after the other, and its own wish is its way out: until the person begins, it is looked anew.
   */
  met() {
    const dialog = document.querySelector('[role="dialog"]');
    if (dialog !== this.dialog) {
      this.dialog = dialog;
      this.begun = !dialog;
      this.came = Date.now();
    }
    if (this.begun) return;
    clearTimeout(this.meeting);
    this.meeting = setTimeout(() => {
      const send = dialog.querySelector(SEND);
      if (this.begun || !send || Date.now() - this.came > COMING_MS) return;
      const fields = written(dialog);
      const first = fields.find((field) => !field.value) ?? fields.find((field) =>
        field.getAttribute("role") !== "combobox"
      ) ?? send;
      if (first === document.activeElement) return;
      first.focus();
      first.select?.();
    }, DIALOG_MS);
  }

  /**
   * In a dialog Enter sends it, from any field but an open menu; with Shift it begins a new line in a long text. No
   * letter reaches the page behind it.
   */
  answered(event, dialog) {
    const at = event.target, plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    this.begun = true;
    if (event.key !== "Enter") {
      if (plain && event.key.length === 1 && event.key !== " " && !typing(at)) {
        event.stopImmediatePropagation();
      }
      return;
    }
    const send = [...dialog.querySelectorAll(SEND)].at(-1);
    if (send && at.getAttribute("aria-expanded") === "true") {
      // What was chosen from a menu leads on to what is still empty.
      setTimeout(() => {
        if (at.value) (written(dialog).find((field) => !field.value) ?? at).focus();
      }, DIALOG_MS);
      return;
    }
    if (
      !send || !dialog.contains(at) || event.shiftKey || event.isComposing ||
      (at.closest("button, a, summary") && at.closest("button") !== send)
    ) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (event.repeat || send.disabled) return;
    // What was written is told first.
    if (typing(at)) at.blur();
    setTimeout(() => send.click(), 0);
  }

  /** A key that would act on a case is not let through while another case is being fetched. */
  held(event) {
    const at = event.target, dialog = document.querySelector('[role="dialog"]');
    if (dialog) {
      this.answered(event, dialog);
      return;
    }
    if (!this.away() || event.ctrlKey || event.metaKey || event.altKey || typing(at)) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (
      (STEPPING.includes(key) && !event.shiftKey) || key === "Tab" || event.shiftKey ||
      !(key.length === 1 || key === "Enter")
    ) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  /** The first row that is seen, and how far from the top: what must not jump when rows come or go. */
  anchor() {
    const top = this.box.scrollTop;
    const first = this.layout.find((item) => (item.row || item.burst) && item.top + item.high > top);
    return top > 0 && first ? [(first.row ?? first.rows[0]).id, first.top - top] : null;
  }

  hold([id, off]) {
    const at = this.place.get(id);
    if (at !== undefined) this.box.scrollTop = this.layout[at].top - off;
  }

  paint() {
    if (!this.layout.length) {
      this.inner.innerHTML = this.empty();
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
    const html = this.layout.slice(from, to).map((
      item,
    ) => (item.row ? this.row(item) : item.burst ? this.burst(item) : this.group(item))).join("");
    if (html !== this.drawn) {
      this.inner.innerHTML = html;
      this.drawn = html;
    }
  }

  arrow(open) {
    return `<i class="gwq-ar ${open ? "" : "shut"}"></i>`;
  }

  group({ top, high, name, key, count, within }) {
    const apart = within ? `<i>${esc(this.t("{n} of them in bursts").replace("{n}", within))}</i>` : "";
    return `<div class="gwq-group" data-fold="${esc(key)}" style="top:${top}px;height:${high}px"><b>${
      esc(name)
    } ${count}</b>${apart}<span>${this.arrow(!this.folded.has(key))}</span></div>`;
  }

  /** Many cases as one row: the worst of their lights, the nearest of their limits, and what it hides said in words. */
  burst({ top, high, burst, rows, open }) {
    const name = this.desk.bursts.get(burst)?.name ?? "", lights = rows.map((row) => this.lightOf(row));
    const red = lights.filter((each) => each === "red").length,
      yellow = lights.filter((each) => each === "yellow").length;
    const light = red ? "red" : yellow ? "yellow" : "green",
      first = rows.find((row) => row.due && !row.paused),
      ticked = rows.filter((row) => this.ticked.has(row.id)).length;
    const left = first ? first.due - this.desk.now() : 0, since = rows.map((row) => row.since);
    const time = first
      ? `${left < 0 ? "−" : ""}${span(left, (x) => this.t(x))}`
      : rows.every((row) => row.paused)
      ? esc(this.t("suspended"))
      : "—";
    const stages = this.stages(), counts = {};
    for (const row of rows) counts[row.stage] = (counts[row.stage] ?? 0) + 1;
    const more = [
      red ? `${this.t("Overdue")} ${red}` : "",
      yellow ? `${this.t("near")} ${yellow}` : "",
      ...STAGES.filter((stage) => counts[stage]).map((stage) => `${stages[stage]} ${counts[stage]}`),
      `${this.when(Math.min(...since))}–${this.when(Math.max(...since))}`,
    ].filter(Boolean).map(esc).join(" · ");
    const on = !open && rows.some((row) => row.id === this.selected);
    return `<div class="gwq-row burst ${on ? "sel" : ""} ${
      light === "red" ? "late" : ""
    }" role="option" aria-selected="${on}" aria-expanded="${open}" data-burst="${
      esc(burst)
    }" style="top:${top}px;height:${high}px"><span class="gwq-tick ${
      ticked === rows.length ? "on" : ticked ? "some" : ""
    }" data-ticks="${esc(burst)}"></span>${this.light(light)}<div class="gwq-t"><b>${
      esc(name)
    }</b><span class="gw-tag">${
      esc(this.t("{n} cases").replace("{n}", rows.length))
    }</span></div><span class="gwq-c ${
      first ? `gw-${light}` : ""
    }">${time}</span><span class="gwq-d" title="${more}">${more}</span><span class="gwq-k gwq-open">${
      this.arrow(open)
    } ${esc(open ? this.t("fold") : this.t("open it"))}</span></div>`;
  }

  row({ top, high, row, kid }) {
    const taken = this.desk.taken.get(row.id), light = this.lightOf(row), now = this.desk.now();
    const left = row.due ? row.due - now : null;
    const time = row.paused
      ? esc(this.t("suspended"))
      : left === null
      ? "—"
      : `${left < 0 ? "−" : ""}${span(left, (x) => this.t(x))}`;
    const more = taken ? `${hhmm(taken.when)} ${esc(taken.by)} ${esc(taken.verb)}` : [
      row.place,
      row.stage === "returned" ? `${this.t("returned by")} ${row.by}` : row.holder || row.at,
      row.up ? this.t("raised") : "",
    ].filter(Boolean).map(esc).join(" · ");
    // Where English has no room beside the countdown, the gravity goes a line down: what it is stands whole.
    const short = this.box.clientWidth < SHORT_PX,
      chip = `<span class="gw-chip s${row.sev}">${
        esc(this.t(["", "extreme", "urgent", "pressing", "ordinary"][row.sev]))
      }</span>`;
    const down = short && this.data.lang === "en";
    const marks = `${kid ? "kid" : ""} ${taken ? "taken" : ""} ${row.id === this.selected ? "sel" : ""} ${
      light === "red" ? "late" : ""
    }`;
    return `<div class="gwq-row ${marks}" role="option" aria-selected="${
      row.id === this.selected
    }" data-id="${row.id}" style="top:${top}px;height:${high}px"><span class="gwq-tick ${
      this.ticked.has(row.id) ? "on" : ""
    }" data-tick="${row.id}"></span>${this.light(light)}<div class="gwq-t"><b title="${esc(row.type)}">${
      esc(short ? row.short : row.type)
    }</b>${down ? "" : chip}</div><span class="gwq-c ${
      row.paused ? "" : `gw-${light}`
    }">${time}</span><span class="gwq-d" title="${more}">${
      down ? `${chip} ` : ""
    }${more}</span><span class="gwq-k">${esc(row.paused ? row.state : row.clock)}</span></div>`;
  }

  empty() {
    if (this.desk.all === null) {
      return `<p class="gwq-none">${
        esc(
          this.desk.broken
            ? this.t("The queue cannot be read; it is tried again.")
            : this.t("Reading the queue"),
        )
      }</p>`;
    }
    const stage = this.desk.stage ?? "", words = this.search.trim();
    if (words || stage) {
      const filters = [stage ? this.stages()[stage] : "", words].filter(Boolean).map((each) =>
        `<b>${esc(each)}</b>`
      ).join(" + ");
      return `<p class="gwq-none">${
        esc(this.t("Nothing matches this filter."))
      }<br>${filters}<br><button type="button" data-clear="1">${
        esc(this.t("Clear the filter"))
      }</button></p>`;
    }
    const known = [...this.desk.known.values()],
      mine = known.filter((row) => row.who === this.data.me).sort((a, b) => b.when - a.when)[0];
    const next = known.filter((row) => row.due && !row.paused).sort((a, b) => a.due - b.due)[0];
    return `<p class="gwq-none"><b>${esc(this.t("Nothing waits for you now."))}</b><br>${this.desk.all} ${
      esc(this.t("cases are in hand with teams."))
    }` +
      (mine
        ? `<br>${esc(this.t("Your last step:"))} ${hhmm(mine.when)} ${esc(mine.verb)} · ${esc(mine.type)}`
        : "") +
      (next
        ? `<br>${esc(this.t("Next limit:"))} ${this.when(next.due)} · ${esc(next.type)} · ${
          esc(next.place)
        }<br><button type="button" data-stage-of="in_hand">${esc(this.t("See those in hand"))}</button>`
        : "") +
      "</p>";
  }

  second() {
    // What was chosen while the page was away from its server is asked for again.
    if (
      this.selected && this.selected !== this.data.selected && this.asked && this.asked.times < ASK_TIMES &&
      Date.now() - this.asked.at > ASK_AGAIN_MS
    ) this.ask();
    this.draw();
  }

  clicked(event) {
    if (event.target.closest("[data-clear]")) {
      this.search = this.input.value = "";
      this.desk.stage = this.desk.wished = "";
      this.say("stage", "");
      this.keep();
      this.desk.tell();
      return;
    }
    const stage = event.target.closest("[data-stage-of]")?.dataset.stageOf;
    if (stage) {
      this.desk.stage = this.desk.wished = stage;
      this.say("stage", stage);
      this.desk.tell();
      return;
    }
    const fold = event.target.closest("[data-fold]")?.dataset.fold;
    if (fold !== undefined) {
      if (!this.folded.delete(fold)) this.folded.add(fold);
      this.keep();
      this.draw();
      return;
    }
    const tick = event.target.closest("[data-tick]")?.dataset.tick;
    if (tick) {
      this.tick(tick, event.shiftKey);
      return;
    }
    const ticks = event.target.closest("[data-ticks]")?.dataset.ticks;
    if (ticks) {
      this.tickAll(this.layout.find((item) => item.burst === ticks)?.rows.map((row) => row.id) ?? []);
      return;
    }
    const burst = event.target.closest("[data-burst]")?.dataset.burst;
    if (burst) {
      this.unfold(burst, !this.desk.opened.has(burst));
      return;
    }
    const id = event.target.closest("[data-id]")?.dataset.id;
    if (id) this.select(id);
  }

  /** Let the cases of a burst stand each by itself, or as one again. */
  unfold(burst, open) {
    if (open) this.desk.opened.add(burst);
    else this.desk.opened.delete(burst);
    this.keep();
    this.draw();
  }

  /** The cases that a case stands for in the list: all of its burst where that is one row, else itself. */
  under(id) {
    const item = this.layout[this.place.get(id)];
    return item?.burst ? item.rows.map((row) => row.id) : [id];
  }

  select(id) {
    this.selected = this.pending = id;
    this.chosen = Date.now();
    this.draw();
    clearTimeout(this.saying);
    this.asked = null;
    this.look();
    this.saying = setTimeout(() => {
      this.ask();
      const draft = remembered(`${this.key()}:draft:${id}`, "");
      if (draft) this.say("draft", { id, text: draft });
    }, 120);
  }

  ask() {
    this.look();
    this.asked = { at: Date.now(), times: (this.asked?.times ?? 0) + 1 };
    this.say("selected", this.selected);
  }

  tick(id, whole) {
    const from = this.rows.indexOf(this.lastTick), to = this.rows.indexOf(this.under(id)[0]);
    const ids = whole && from >= 0 && to >= 0
      ? this.rows.slice(Math.min(from, to), Math.max(from, to) + 1).flatMap((each) => this.under(each))
      : this.under(id);
    this.lastTick = this.under(id)[0];
    this.tickAll(ids, !this.under(id).every((each) => this.ticked.has(each)));
  }

  tickAll(ids, on = !ids.every((id) => this.ticked.has(id))) {
    for (const each of ids) {
      if (on) this.ticked.add(each);
      else this.ticked.delete(each);
    }
    this.keep();
    this.paintAnew();
    clearTimeout(this.ticking);
    this.ticking = setTimeout(() => this.say("ticked", [...this.ticked]), 250);
  }

  paintAnew() {
    this.drawn = "";
    this.paint();
  }

  move(by) {
    if (!this.rows.length) return;
    const at = this.rows.indexOf(this.under(this.selected)[0]);
    const next = this.rows[Math.max(0, Math.min(this.rows.length - 1, at < 0 ? 0 : at + by))];
    const item = this.layout[this.place.get(next)];
    if (item.top < this.box.scrollTop + 28) this.box.scrollTop = item.top - 28;
    if (item.top + item.high > this.box.scrollTop + this.box.clientHeight) {
      this.box.scrollTop = item.top + item.high - this.box.clientHeight;
    }
    this.select(next);
  }

  /** Tick the case that is selected and the one beside it, which is selected then. */
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

  pressed(event) {
    const at = event.target;
    if (at.closest?.('[class*="st-key-wb-reason-"]') && (event.key === "Enter" || event.key === "Escape")) {
      setTimeout(() => at.blur(), 0);
      return;
    }
    if (
      event.ctrlKey || event.metaKey || event.altKey || typing(at) ||
      document.querySelector('[role="dialog"]')
    ) return;
    const known = event.shiftKey
      ? {
        ArrowDown: () => this.sweep(1),
        ArrowUp: () => this.sweep(-1),
        " ": () => {
          if (this.place.has(this.selected)) this.tick(this.selected, true);
        },
        ArrowRight: () => this.desk.head?.step(1),
        ArrowLeft: () => this.desk.head?.step(-1),
      }[event.key]
      : {
        ArrowDown: () => this.move(1),
        ArrowUp: () => this.move(-1),
        PageDown: () => this.move(10),
        PageUp: () => this.move(-10),
        ArrowRight: () => {
          const burst = this.desk.burstOf.get(this.selected);
          if (burst) this.unfold(burst, true);
        },
        ArrowLeft: () => {
          const burst = this.desk.burstOf.get(this.selected);
          if (burst) this.unfold(burst, false);
        },
        " ": () => {
          if (this.selected && this.place.has(this.selected)) this.tick(this.selected, false);
        },
        n: () => this.desk.settle(),
        f: () => {
          this.input.focus();
          this.input.select();
        },
        e: () => document.querySelector('[class*="st-key-wb-reason-"] input')?.focus(),
        g: () => document.querySelector('[class*="st-key-wb-met-"] input')?.click(),
        0: () => {
          const rest = document.querySelector(".st-key-wb-rest button");
          rest?.scrollIntoView({ block: "nearest" });
          rest?.click();
          setTimeout(() => document.querySelector('[role="dialog"] button')?.focus(), 2 * DIALOG_MS);
        },
        Escape: () => {
          const told = document.querySelector(".st-key-wb-understood button");
          if (told) {
            told.click();
            return;
          }
          if (this.ticked.size) {
            this.ticked.clear();
            this.keep();
            this.paintAnew();
            this.say("ticked", []);
          }
        },
      }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!known) return;
    // A button or box that has the focus is pressed by the space bar: then it is not for the queue.
    if (event.key === " " && at.closest?.("button, a, summary, input")) return;
    event.preventDefault();
    known();
  }
}

/** Where a case stands in the queue as it is filtered, and the way to its neighbours for whoever uses no keys. */
class Place extends Part {
  constructor(host, component) {
    super(host, component);
    host.innerHTML = `<div class="gwq-pos"><span></span><button type="button" data-by="-1" aria-label="${
      esc(this.t("the case above"))
    }">↑</button><button type="button" data-by="1" aria-label="${
      esc(this.t("the case below"))
    }">↓</button></div>`;
    host.addEventListener("click", (event) => {
      const by = event.target.closest("[data-by]")?.dataset.by;
      if (by) this.desk.queue?.move(Number(by));
    });
    this.draw();
  }
  draw() {
    const order = this.desk.order ?? [],
      at = order.indexOf(this.data.id),
      place = this.host.querySelector(".gwq-pos > span");
    if (place) {
      place.textContent = at < 0
        ? ""
        : this.t("{n} of {m}").replace("{n}", at + 1).replace("{m}", order.length);
    }
  }
  second() {
    this.draw();
  }
}

/** A case's clocks in their order: what is done, the one that runs now with its countdown, and what will come. */
class Clocks extends Part {
  constructor(host, component) {
    super(host, component);
    this.draw();
  }
  heard() {}
  draw() {
    const { steps, held } = this.data;
    this.host.innerHTML = `<div class="gwq-held">${esc(held.where)}　<b>${esc(held.who)} <span data-since="${
      held.since ?? ""
    }"></span></b></div><div class="gwq-steps">${
      steps.map((step) =>
        `<div class="${step.state}"${
          step.due ? ` data-due="${step.due}" data-near="${step.near ?? ""}" data-from="${step.from}"` : ""
        }><span>${esc(step.name)}${step.due ? ` · ${esc(this.when(step.due))}` : ""}</span><b>${
          esc(step.text)
        }</b></div>`
      ).join("")
    }</div>`;
    this.second();
  }
  second() {
    const now = this.desk.now();
    for (const box of this.host.querySelectorAll("[data-due]")) {
      const due = Number(box.dataset.due),
        from = Number(box.dataset.from),
        near = Number(box.dataset.near || Infinity);
      if (box.classList.contains("paused")) continue;
      const light = now > due ? "red" : now >= near ? "yellow" : "green";
      box.dataset.light = light;
      box.querySelector("b").innerHTML = `${this.light(light)}${now > due ? "−" : ""}${
        span(due - now, (x) => this.t(x))
      }`;
      box.style.setProperty("--run", `${Math.max(0, Math.min(1, (now - from) / (due - from))) * 100}%`);
    }
    const since = this.host.querySelector("[data-since]"), from = Number(since?.dataset.since);
    if (from) {
      since.textContent = this.t("since {at} · {span}").replace("{at}", this.when(from)).replace(
        "{span}",
        span(now - from, (x) => this.t(x)),
      );
    }
  }
}

/** The small map: outlines of the areas around, the case, reports like it, and the teams that are offered first. */
class CaseMap extends Part {
  constructor(host, component) {
    super(host, component);
    this.draw();
  }
  heard() {}
  draw() {
    const { outlines, marks, own } = this.data, same = JSON.stringify([this.data.id, marks, outlines.length]);
    if (same === this.same) return;
    this.same = same;
    const here = marks.find((mark) => mark.kind === "case");
    if (!here) {
      this.host.innerHTML = `<div class="gwq-map"><p>${
        esc(this.t("The report has no point: only its area is known."))
      }</p></div>`;
      return;
    }
    const narrow = Math.cos((here.lat * Math.PI) / 180), metre = 1 / 111195;
    const near = marks.filter((mark) =>
      Math.hypot((mark.lon - here.lon) * narrow, mark.lat - here.lat) < 6000 * metre
    );
    const reach = Math.max(
      250 * metre,
      ...near.map((mark) =>
        Math.max(Math.abs(mark.lon - here.lon) * narrow, Math.abs(mark.lat - here.lat) * 1.5)
      ),
    ) * 1.25;
    // In the units of the screen, so that letters keep their size in a small pane.
    const wide = this.host.clientWidth || 480,
      high = innerWidth <= 1500 ? 150 : 240,
      scale = Math.min(wide, high * 1.6) / 2 / reach;
    const cx = wide / 2, cy = high / 2, round = (n) => n.toFixed(1);
    const x = (lon) => cx + (lon - here.lon) * narrow * scale, y = (lat) => cy - (lat - here.lat) * scale;
    const areas = outlines.filter(([code, ring]) => code.length > 12 || reach > 400 * metre || ring).map((
      [code, ring],
    ) =>
      `<path class="${code === own ? "own" : code.length > 12 ? "cell" : ""}" d="M${
        ring.map(([lon, lat]) => `${round(x(lon))} ${round(y(lat))}`).join("L")
      }Z"/>`
    ).join("");
    // Labels keep clear of the pin, of the scale, of the note and of each other, and are never cut: the fullest of
    // its wordings that finds a place inside, outward from its mark first, then on the mark's other side.
    const low = wide < 320 ? 32 : 12, line = 17;
    const taken = [[cx - 17, cy - 40, cx + 17, cy + 4], [8, high - low - 20, 120, high - low + 6], [
      wide - 250,
      high - 24,
      wide,
      high,
    ]];
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = `14px ${getComputedStyle(this.host).fontFamily}`;
    const long = (words) => Math.ceil(pen.measureText(words).width) + 4;
    const placed = (wordings, px, py) => {
      let last = null;
      for (const lines of wordings) {
        const w = Math.max(...lines.map(long)), h = line * lines.length, edge = wide - w - 6;
        const lefts = px >= cx ? [px - 8, px - w + 8] : [px - w + 8, px - 8];
        lefts.push(Math.max(6, Math.min(edge, px - w / 2)));
        const below = [py + 10, py + 30],
          above = [py - h - 10, py - h - 29],
          [first, then] = py < cy ? [above, below] : [below, above];
        const tops = [first[0], then[0], first[1], then[1], 2, 20, 38];
        last = {
          lines,
          w,
          left: Math.max(6, Math.min(edge, lefts[0])),
          top: Math.max(2, Math.min(high - h - 3, tops[0])),
          h,
        };
        for (const left of lefts) {
          if (left < 6 || left > edge) continue;
          const top = tops.find((each) =>
            each >= 2 && each + h <= high - 3 &&
            taken.every((box) => left > box[2] || left + w < box[0] || each > box[3] || each + h < box[1])
          );
          if (top !== undefined) return { lines, w, left, top, h };
        }
      }
      return last;
    };
    const text = (wordings, px, py) => {
      const { lines, w, left, top, h } = placed(wordings, px, py);
      taken.push([left, top, left + w, top + h]);
      return `<text>${
        lines.map((words, n) =>
          `<tspan x="${round(left)}" y="${round(top + 14 + n * line)}">${esc(words)}</tspan>`
        ).join("")
      }<title>${esc(wordings[0].join(" "))}</title></text>`;
    };
    const likes = near.filter((mark) => mark.kind === "like");
    const around = likes.length
      ? `<circle class="near" cx="${cx}" cy="${cy}" r="${round(60 * metre * scale)}"/>`
      : "";
    const dots = likes.map((mark) =>
      `<circle class="like" cx="${round(x(mark.lon))}" cy="${round(y(mark.lat))}" r="6"><title>${
        esc(mark.title)
      } ${esc(mark.label)}</title></circle>`
    ).join("");
    const teams = marks.filter((mark) => mark.kind === "team").map((mark) => {
      // A team far off stands at the edge in its direction: where it comes from is seen, how far is said.
      const dx = (mark.lon - here.lon) * narrow * scale, dy = (here.lat - mark.lat) * scale;
      const fit = Math.min(1, (wide / 2 - 16) / Math.abs(dx || 1e-9), (high / 2 - 34) / Math.abs(dy || 1e-9)),
        px = cx + dx * fit,
        py = cy + dy * fit;
      taken.push([px - 9, py - 9, px + 9, py + 6]);
      return { ...mark, px, py, far: fit < 1 };
    }).map(({ wordings, px, py, far }) =>
      `<path class="way" d="M${cx} ${cy}L${round(px)} ${round(py)}"/><path class="team${
        far ? " far" : ""
      }" d="M${round(px)} ${round(py - 9)}l9 15h-18z"/>${text(wordings, px, py)}`
    ).join("");
    const bar = [50, 100, 200, 500, 1000, 2000].find((m) => m * metre * scale > 50) ?? 5000;
    this.host.innerHTML =
      `<div class="gwq-map"><svg viewBox="0 0 ${wide} ${high}" preserveAspectRatio="xMidYMid slice" role="img" aria-label="${
        esc(this.t("map"))
      }">${areas}${around}${teams}${dots}<path class="case ${here.light}" d="M${cx} ${cy}c-3-9-13-13-13-23a13 13 0 0 1 26 0c0 10-10 14-13 23z"/><path class="bar" d="M14 ${
        high - low
      }h${(bar * metre * scale).toFixed(0)}"/><text class="m" x="14" y="${high - low - 5}">${
        bar < 1000 ? `${bar} m` : `${bar / 1000} km`
      }</text></svg><span>${esc(this.t("Schematic, no basis for boundaries"))}</span></div>`;
  }
}

const PARTS = { head: Head, queue: Queue, place: Place, clocks: Clocks, map: CaseMap };
const mounted = new WeakMap();

export default function (component) {
  const host = component.parentElement.querySelector(".gw-host") ?? component.parentElement;
  const known = mounted.get(host);
  if (
    known && known.part.data.part === component.data.part && known.part.desk.area === component.data.area &&
    known.part.desk.lang === component.data.lang
  ) {
    clearTimeout(known.leaving);
    known.part.update(component);
  } else {
    known?.part.stop();
    mounted.set(host, { part: new PARTS[component.data.part](host, component), leaving: 0 });
  }
  return () => {
    const entry = mounted.get(host);
    // A rerun may unmount and mount in one breath; only a part that stays away is taken down.
    if (entry) {
      entry.leaving = setTimeout(() => {
        mounted.delete(host);
        entry.part.stop();
      }, 300);
    }
  };
}
