// The wall of one area: mounted once, fed by server-sent events, aged by the browser's own clock.

const BARS_MIN = 45, ANSWER_MIN = 10, REPORT_MIN = 30;
const LETTERS = "ABCD";
const SLOTS = { reds: 5, whistles: 4, raised: 2, ticker: 3, parts: 5, rank: 6 };
const STEPS = [0, 2, 5, 10]; // break points of the ramp, in per cent
const SILENT_MS = 20000; // no word from the server for so long: connect anew
const RETRY_FIRST_MS = 1000, RETRY_LONGEST_MS = 30000;
const SETTLE_MS = 15000; // how often wordings are chosen anew
const VIEW_BACK_MS = 120000; // a moved map goes back by itself
const NARROW = 0.78, NARROWEST = 0.5; // how much narrower a line is set than its type, gladly and at the very most
const NAMES = 12; // of areas without a mark, the worst first
// Where a mark may stand, in its own widths from its place, the nearest first: nine may share one village.
const SPOTS = [...Array(49).keys()].map((n) => [(n % 7) - 3, Math.floor(n / 7) - 3]).sort((a, b) => Math.hypot(...a) - Math.hypot(...b));
const ZONE = "Asia/Shanghai";
const NOW = { OPEN: 0, RED: 1, YELLOW: 2, REPORTED: 3, CLOSED: 4, DISPOSED: 5, ON_TIME: 6, MEDIATED: 7, SETTLED: 8, RATED: 9, PLEASED: 10 };

const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const esc = (text) => String(text ?? "").replace(/[&<>"']/g, (c) => ENTITIES[c]);
const num = (n) => Number(n).toLocaleString("en-US");
const pad = (n) => String(n).padStart(2, "0");

const clockForm = new Intl.DateTimeFormat("en-GB", { timeZone: ZONE, hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const hhmmss = (ms) => clockForm.format(ms);
const hhmm = (ms) => hhmmss(ms).slice(0, 5);

/** A length of time as 04:12 or 1:12:05; from two days on in words, and where there is little room from ten hours. */
function span(ms, words, long) {
  const s = Math.floor(Math.abs(ms) / 1000), h = Math.floor(s / 3600);
  if (h >= 48) return `${Math.floor(h / 24)} ${words.d}${long && h % 24 ? ` ${h % 24} ${words.h}` : ""}`;
  if (h >= 10 && !long) return `${h} ${words.h}`;
  return h ? `${h}:${pad(Math.floor(s / 60) % 60)}:${pad(s % 60)}` : `${pad(Math.floor(s / 60))}:${pad(s % 60)}`;
}

// Wordings of one thing, the fullest first; names are never cut, so the first that fits its place is shown.
const fit = (...wordings) => {
  const texts = [...new Set(wordings.flat().filter((text) => text !== undefined))];
  return `<span class="fit" data-fit="${esc(JSON.stringify(texts))}">${esc(texts[0])}</span>`;
};

/**
 * Let every line of a tile choose the fullest wordings that fit. Where the shortest are too long it is set narrower,
 * then in the smallest type, then with fewer words (an empty wording), and never cut.
 */
function settle(body) {
  // All begin anew together: how much room a line has may hang on its neighbour.
  const lines = [...body.querySelectorAll(".fits")].map((line) => {
    Object.assign(line.style, { transform: "", width: "", maxWidth: "", marginRight: "", flexShrink: "" });
    line.classList.remove("tight");
    const places = [...line.querySelectorAll("[data-fit]")].map((element) => [element, JSON.parse(element.dataset.fit), 0]);
    for (const [element, texts] of places) element.textContent = texts[0];
    return [line, places];
  });
  for (const [line, places] of lines) {
    const over = () => line.scrollWidth > line.clientWidth, part = () => (line.clientWidth - 1) / line.scrollWidth;
    const shorten = (empty) => {
      for (let turn = 0; over() && turn < 12; turn += 1) {
        // The wording that loses least: of those left, the longest one is shortened.
        const next = places.filter(([, texts, n]) => n + 1 < texts.length && (empty || texts[n + 1])).sort((a, b) => b[1][b[2]].length - a[1][a[2]].length)[0];
        if (!next) return;
        next[2] += 1;
        next[0].textContent = next[1][next[2]];
      }
    };
    shorten(false);
    if (over() && part() < NARROW) line.classList.add("tight");
    if (over() && part() < NARROW) shorten(true);
    if (!over()) continue;
    const room = line.clientWidth, wide = room / Math.max(NARROWEST, part());
    Object.assign(line.style, { width: `${wide}px`, maxWidth: "none", marginRight: `${room - wide}px`, flexShrink: "0", transform: `scaleX(${room / wide})` });
  }
  for (const value of body.querySelectorAll(".v")) {
    value.classList.remove("bare");
    value.classList.toggle("bare", value.scrollWidth > value.clientWidth);
  }
}

/** A word of a header that goes first where there is little room. */
const whole = (word) => `<span class="whole">${esc(word)}</span>`;

const signed = (n, digits = 0) => (n > 0 ? "+" : n < 0 ? "−" : "±") + Math.abs(n).toFixed(digits).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
const rampOf = ([red, open]) => (!red || !open ? 0 : 1 + STEPS.slice(1).filter((step) => (red / open) * 100 > step).length);

let plotlyLoading = null;
function loadPlotly(url) {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  plotlyLoading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = url;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => { plotlyLoading = null; reject(new Error("plotly")); };
    document.head.append(script);
  });
  return plotlyLoading;
}

class Wall {
  constructor(host, data) {
    this.host = host;
    this.data = data;
    this.area = data.area;
    this.tiles = {};
    this.n = null;
    this.at = 0; // data time, ms of the server's clock
    this.skew = 0; // server's clock minus the browser's
    this.heard = Date.now();
    this.retry = RETRY_FIRST_MS;
    this.map = new WallMap(this);
    this.style = document.createElement("style");
    this.style.textContent = "html{font-size:calc(min(100vw / 192, 100vh / 108)) !important}html,body{overflow:hidden !important}";
    document.head.append(this.style);
    host.innerHTML = this.frame();
    this.root = host.firstElementChild;
    this.boxes = new Map();
    for (const tile of this.root.querySelectorAll("[data-tile]")) {
      this.boxes.set(tile.dataset.tile, { tile, body: tile.querySelector("[data-body]"), beat: tile.querySelector(".beat"), small: tile.querySelector("[data-small]"), title: tile.querySelector("[data-title]"), shown: "" });
    }
    this.onClick = (event) => this.clicked(event.target.closest?.("[data-go]"));
    this.onKey = (event) => { if (event.key === "Enter") this.clicked(event.target.closest?.("[data-go]")); };
    this.onPop = () => this.open(new URLSearchParams(location.search).get("area") || this.data.area, false);
    this.onResize = () => { this.settle(); this.ages(); this.map.fit(); };
    this.root.addEventListener("click", this.onClick);
    this.root.addEventListener("keydown", this.onKey);
    window.addEventListener("popstate", this.onPop);
    window.addEventListener("resize", this.onResize);
    this.timer = setInterval(() => this.second(), 1000);
    this.connect();
    this.second();
  }

  t(text) { return this.data.words[text] ?? text; }

  /** Take new properties from a rerun of the page without losing the picture. */
  update(data) {
    const moved = data.area !== this.data.area || data.lang !== this.data.lang || data.key !== this.data.key;
    this.data = data;
    if (moved) this.open(data.area, false, true);
  }

  stop() {
    clearInterval(this.timer);
    clearTimeout(this.again);
    this.source?.close();
    window.removeEventListener("popstate", this.onPop);
    window.removeEventListener("resize", this.onResize);
    this.map.drop();
    this.style.remove();
    this.host.innerHTML = "";
  }

  query(extra = {}) {
    const query = new URLSearchParams(extra);
    query.set("lang", this.data.lang);
    if (this.data.key) query.set("key", this.data.key);
    return query.toString();
  }

  connect() {
    clearTimeout(this.again);
    this.source?.close();
    this.n = null;
    this.heard = Date.now();
    const source = (this.source = new EventSource(`/live/${encodeURIComponent(this.area)}?${this.query()}`));
    source.onmessage = (event) => { if (source === this.source) this.hear(event.data); };
    source.onerror = () => {
      // A broken line heals by itself; a refusal (no key, no city yet) is asked again later, less and less often.
      if (source !== this.source || source.readyState !== EventSource.CLOSED) return;
      this.later();
      this.refused(source.url);
    };
  }

  /** Say why there is no picture: a stream that is refused does not tell its reason, the same address asked plainly does. */
  async refused(url) {
    const stop = new AbortController();
    try {
      const { status } = await fetch(url, { signal: stop.signal });
      // Whoever may not see a place keeps nothing of it on the screen.
      if (status === 403 || status === 404) this.clear();
      const reason = { 403: this.t("This wall needs a key that opens its area: add &key= to the address."), 404: this.t("There is no such area."), 503: this.t("The city is not loaded yet.") }[status];
      if (reason && this.n === null) this.root.querySelector(".unit").textContent = reason;
    } catch { /* It does not answer at all; the age of every tile says so. */ } finally { stop.abort(); }
  }

  /** Forget what was shown. */
  clear() {
    this.tiles = {};
    this.at = 0;
    this.n = null;
    for (const part of this.boxes.values()) {
      if (part.body) part.body.innerHTML = part.shown = "";
      if (part.small?.dataset.small === "live") part.small.textContent = "";
      part.tile.classList.remove("stale");
    }
    this.root.querySelector(".peace").hidden = true;
    for (const selector of [".crumbs", ".scale", ".over"]) this.root.querySelector(selector).innerHTML = "";
    this.map.drop();
    this.map.code = null;
    this.map.box.innerHTML = "";
    document.title = this.t("Gridwhistle");
    this.ages();
  }

  later() {
    clearTimeout(this.again);
    this.again = setTimeout(() => this.connect(), this.retry * (0.75 + Math.random() / 2));
    this.heard = Date.now() + this.retry;
    this.retry = Math.min(this.retry * 2, RETRY_LONGEST_MS);
  }

  hear(text) {
    let message;
    try { message = JSON.parse(text); } catch { return this.connect(); }
    this.heard = Date.now();
    this.retry = RETRY_FIRST_MS;
    this.skew = message.now - this.heard;
    this.at = message.at;
    if (message.tiles) {
      if (!message.full && message.n !== this.n + 1) return this.connect();
      this.n = message.n;
      if (message.full) this.tiles = {};
      Object.assign(this.tiles, message.tiles);
      for (const name of Object.keys(message.tiles)) this.draw(name);
      if (message.tiles.reds || message.tiles.whistles || message.tiles.map || message.tiles.head) this.map.draw();
    }
    this.ages();
    this.count();
    if (!this.settled) this.settle();
  }

  /** Choose wordings once the countdowns beside them stand; they grow with the hours, so now and then again. */
  settle() {
    this.settled = Date.now();
    settle(this.root.querySelector("header"));
    for (const { body } of this.boxes.values()) if (body) settle(body);
  }

  open(area, push, keep = false) {
    if (area === this.area && !keep) return;
    this.area = area;
    if (push) {
      const url = new URL(location.href);
      url.searchParams.set("area", area);
      history.pushState(history.state, "", url);
    }
    this.connect();
  }

  clicked(element) { if (element) this.open(element.dataset.go, true); }

  now() { return Date.now() + this.skew; }

  second() {
    const now = this.now();
    const date = this.root.querySelector(".date"), clock = this.root.querySelector(".clock");
    const locale = this.data.lang === "zh" ? "zh-CN" : "en-GB";
    clock.textContent = hhmmss(now);
    date.textContent = new Intl.DateTimeFormat(locale, { timeZone: ZONE, month: this.data.lang === "zh" ? "long" : "short", day: "numeric" }).format(now) + " " + new Intl.DateTimeFormat(locale, { timeZone: ZONE, weekday: "short" }).format(now);
    if (Date.now() - this.heard > SILENT_MS) this.later();
    this.ages();
    this.count();
    if (Date.now() - this.settled > SETTLE_MS) this.settle();
    this.map.idle();
  }

  /** Say at every tile how old it is; one that is past its period loses its colours. */
  ages() {
    const now = this.now(), periods = this.tiles.head?.periods;
    for (const [name, part] of this.boxes) {
      const tile = this.tiles[name], own = Array.isArray(tile) ? undefined : tile?.at, at = own ?? this.at;
      if (!part.beat) continue;
      if (!at || !periods) { part.beat.innerHTML = `<i class="lt n"></i> <em>${esc(this.t("waiting for data"))}</em>`; this.trim(part); continue; }
      const age = Math.max(0, now - at), stale = age > (own ? periods.minute : periods.live);
      part.tile.classList.toggle("stale", stale);
      const s = Math.floor(age / 1000), m = Math.floor(s / 60), h = Math.floor(m / 60);
      const text = stale
        ? `${h ? `${h} ${this.t("h")} ` : ""}${m ? `${m % 60} ${this.t("min")} ` : ""}${h ? "" : `${s % 60} ${this.t("s")}`}`.trim()
        : s < 60 ? `${s} ${this.t("s")}` : `${m} ${this.t("min")}`;
      part.beat.innerHTML = stale
        ? `<i class="lt n" role="img" aria-label="${esc(this.t("stopped"))}"></i> <b><em>${esc(this.t("stopped for"))} </em>${esc(text)}</b> ${hhmmss(at)}`
        : `${hhmmss(at)} <i class="lt g" role="img" aria-label="${esc(this.t("heartbeat normal"))}"></i> ${esc(text)}`;
      this.trim(part);
    }
  }

  /** Let a header that is too long say its remark in short, then its age without the word, then no remark. */
  trim(part) {
    const line = part.tile.querySelector("h2");
    // Digits are all alike wide: as long as the lengths stay, so does the choice.
    const long = `${line.textContent.length} ${part.tile.className} ${line.clientWidth} ${part.title?.textContent}`;
    if (!part.small || part.long === long) return;
    line.className = "";
    for (const step of ["brief", "terse", "bare"]) {
      if (line.scrollWidth <= line.clientWidth) break;
      line.classList.add(step);
    }
    part.long = long;
  }

  /** Let countdowns and bars run. */
  count() {
    const now = this.now(), words = { d: this.t("d"), h: this.t("h") };
    for (const element of this.root.querySelectorAll("[data-due]")) {
      const due = Number(element.dataset.due), over = now > due;
      const word = over ? element.dataset.over : element.dataset.left;
      element.innerHTML = `<i>${esc(word)}</i>${span(now - due, words, element.dataset.long)}`;
    }
    for (const element of this.root.querySelectorAll("[data-up]")) {
      const to = element.dataset.level === "1" ? this.t("to the city in {time}") : this.t("to the county in {time}");
      element.textContent = to.replace("{time}", span(Math.max(0, Number(element.dataset.up) - now), words));
    }
    // A countdown that takes more room or less leaves its line another.
    const long = [...this.root.querySelectorAll("[data-due], [data-up]")].map((element) => element.textContent.length).join();
    if (long !== this.long) { this.long = long; this.settled = 0; }
    for (const row of this.root.querySelectorAll("[data-sent]")) {
      const sent = Number(row.dataset.sent), due = Number(row.dataset.limit), from = Number(row.dataset.from);
      const light = now > due ? "r" : now - from >= (due - from) * 0.8 ? "y" : "g";
      const bar = row.querySelector("s");
      bar.className = light;
      bar.style.width = `${Math.min(100, ((now - sent) / 60000 / BARS_MIN) * 100).toFixed(1)}%`;
      row.querySelector(".t").classList.toggle("red", light === "r");
      row.querySelector(".t").classList.toggle("yel", light === "y");
    }
  }

  frame() {
    const t = (text) => esc(this.t(text));
    const tile = (name, title, body, small = "") =>
      `<section class="tile tile-${name}" data-tile="${name}"><h2><span data-title>${title}</span> <small data-small="${small ? "" : "live"}">${small}</small><span class="beat"></span></h2>${body}</section>`;
    return `<main class="gw-wall" data-theme="dark" lang="${esc(this.data.lang)}"><div class="stage">
<header><svg class="mark" viewBox="0 0 36 36" aria-hidden="true"><g fill="none" stroke="var(--ink-2)" stroke-width="2"><path d="M2 2h32v32H2zM2 13h32M2 23h32M13 2v32M23 2v32"/></g><path d="M13 13h10v10H13z" fill="var(--ink)"/></svg><h1>${t("Gridwhistle")}</h1><span class="unit fits"></span><nav class="crumbs"></nav><span class="scale"></span>
<span class="tag peace" hidden></span><span class="tag demo" hidden>${t("Demo data")}</span><span class="date"></span><span class="clock">--:--:--</span></header>
<section class="col left">${tile("six", t("Today at a glance"), '<ul class="six" data-body></ul>')}${tile("rank", t("On-time disposal"), '<ol class="rank" data-body></ol>', `<span class="whole">${t("this month")}</span><span class="short">${t("month")}</span>`)}${tile("duty", t("Forces"), '<ul class="duty" data-body></ul>', "")}</section>
<section class="col centre">${tile("map", t("Overdue rate"), `<div class="plot"></div><div class="over" aria-hidden="true"></div>
<div class="legend keys"><span><i class="key r">1</i>${t("Red light")}</span><span><i class="key y">5</i>${t("Near its limit")}</span><span><i class="key w">A</i>${t("Whistle waits")}</span><span class="dim">${t("As in the lists")}</span></div>
<div class="legend scale-ramp"><div class="ramp"><i class="m0">0</i>${STEPS.slice(1).map((step, n) => `<i class="m${n + 1}">≤${step}%</i>`).join("")}<i class="m4">&gt;${STEPS.at(-1)}%</i></div></div><span class="tag schem" hidden>${t("Schematic, not for drawing boundaries")}</span>`)}${tile("parts", "", '<ul class="five" data-body></ul>', t("overdue, open, rate"))}</section>
<section class="col right">${tile("reds", t("Red and near"), '<ol class="reds" data-body></ol>')}${tile("whistles", t("Whistles to report in"), '<ol class="wl" data-body></ol>')}${tile("raised", t("Escalations"), '<ol class="esc" data-body></ol>')}</section>
<section class="tile ten wide" data-tile="ten"><div class="hd"><h2>${t("Ten areas")}</h2><small>${t("vs last week")}</small><span class="beat"></span></div><ul data-body></ul></section>
<section class="tile tick wide" data-tile="ticker"><h2>${t("Latest")}</h2><ul data-body></ul><span class="beat"></span></section>
</div></main>`;
  }

  draw(name) {
    const value = this.tiles[name], part = this.boxes.get(name);
    if (name === "head") return this.head(value);
    if (name === "map") return undefined;
    const html = this[name](value, part);
    // A tile that looks the same is left alone: nothing flickers, a focused row keeps its focus.
    if (part.shown !== html) { part.shown = html; part.body.innerHTML = html; this.settled = 0; }
    return undefined;
  }

  head(head) {
    const q = (selector) => this.root.querySelector(selector);
    q(".unit").textContent = head.unit;
    q(".crumbs").innerHTML = head.crumbs.map(([code, name]) => `<a tabindex="0" data-go="${esc(code)}">${esc(name)}</a>`).join("<i>／</i>");
    q(".scale").innerHTML = head.cells.map(([n, word]) => `<span><b>${num(n)}</b> ${esc(word)}</span>`).join("");
    const peace = q(".peace"), war = head.wartime;
    peace.hidden = false;
    peace.dataset.level = war?.level ?? "";
    peace.textContent = war ? [this.t("In wartime"), war.what, war.where].filter(Boolean).join(" · ") : this.t("Peacetime");
    q(".demo").hidden = !head.demo;
    q(".schem").hidden = !head.schematic;
    this.boxes.get("parts").title.textContent = head.parts;
    this.boxes.get("map").small.textContent = this.t("overdue／open, by {level}").replace("{level}", head.by);
    document.title = `${this.t("Gridwhistle")} · ${head.unit}`;
  }

  light(kind) {
    const names = { r: this.t("red light, past its limit"), y: this.t("yellow light, near its limit"), g: this.t("green light, in time") };
    return `<i class="lt ${kind}" role="img" aria-label="${esc(names[kind])}"></i>`;
  }

  empty(text, kind = "g") { return `<li class="empty">${kind ? this.light(kind) : ""}${esc(this.t(text))}</li>`; }

  six({ now, then }) {
    const t = (text) => esc(this.t(text)), unit = t("cases");
    const last = (value, diff) => !then ? `<div class="d">${t("last week")} —</div>` : `<div class="d">${t("last week")} ${value}${diff === null ? "" : `<b>${diff}</b>`}</div>`;
    const before = then ?? [];
    const plain = (label, a, b, extra = "") => `<li><div class="k">${label}</div><div class="v">${num(a)}<u>${unit}</u>${extra}</div>${last(then && num(b), then && signed(a - b))}</li>`;
    const rate = (label, good, base, word = "") => {
      const a = now[base] ? (now[good] / now[base]) * 100 : null, b = before[base] ? (before[good] / before[base]) * 100 : null;
      const value = a === null ? `<div class="v none">${t("no data")}</div>` : `<div class="v">${a === 100 ? "100" : a.toFixed(1)}<u>%</u><small>${num(now[good])}<i>${num(now[base])}</i></small></div>`;
      return `<li><div class="k">${label}</div>${value}${last(b === null ? t("no data") : `${b.toFixed(1)}%`, a === null || b === null ? null : signed(a - b, 1))}</li>`;
    };
    const red = now[NOW.RED];
    return `<li><div class="k">${t("Overdue and open")}</div><div class="v ${red ? "red" : ""}">${red ? this.light("r") : this.light("g")}${num(red)}<u>${unit}</u><small>${t("open")}<i class="bare">${num(now[NOW.OPEN])}</i></small></div>${last(then && num(then[NOW.RED]), then && signed(red - then[NOW.RED]))}</li>`
      + plain(t("Reported today"), now[NOW.REPORTED], before[NOW.REPORTED]) + plain(t("Closed today"), now[NOW.CLOSED], before[NOW.CLOSED])
      + rate(t("Disposed on time"), NOW.ON_TIME, NOW.DISPOSED) + rate(t("Disputes settled today"), NOW.SETTLED, NOW.MEDIATED) + rate(t("Residents satisfied"), NOW.PLEASED, NOW.RATED);
  }

  rank(rank, part) {
    part.title.textContent = this.t("{who} on time").replace("{who}", rank.who);
    if (!rank.rows.length) return this.empty("no data yet", "");
    const half = rank.rows.length > 3 ? Math.ceil(rank.rows.length / 2) : 3;
    const last = rank.all > rank.rows.length ? half : rank.rows.length;
    const why = (cause, n) => (cause && n >= last ? fit(cause[0].map((name) => `${name} ${num(cause[1])}`), "") : "");
    return rank.rows.map(([place, code, name, good, base, cause], n) =>
      `<li class="${n === half && rank.all > rank.rows.length ? "cut" : ""}" tabindex="0" data-go="${esc(code)}"><span class="n">${place}</span><span class="nm fits">${fit(this.called(name))}</span><span class="p">${((good / base) * 100).toFixed(1)}%</span><span class="f fits">${num(good)}／${num(base)}</span><span class="c fits">${why(cause, n)}</span></li>`).join("");
  }

  duty({ teams, workers }) {
    const one = (label, value, of) => `<li><div class="k">${esc(this.t(label))}</div><div class="v">${num(value)}${of === undefined ? "" : `<i>／${num(of)}</i>`}</div></li>`;
    return one("Teams ready", teams[0], teams[1]) + one("Full-time", workers[0]) + one("Part-time", workers[1]) + one("Professional", workers[2]);
  }

  parts(rows) {
    return rows.map(([code, name, red, yellow, open]) => {
      const light = red ? "r" : yellow ? "y" : "g";
      return `<li tabindex="0" data-go="${esc(code)}"><div class="a"><b class="fits">${fit(this.called(name))}</b><span class="o">${this.light(light)} ${num(red || yellow)}</span></div><div class="b fits"><span>${esc(this.t("open"))} ${num(open)}</span><span>${open ? `${((red / open) * 100).toFixed(red / open < 0.1 && open < 1000 ? 1 : 0)}%` : ""}</span></div></li>`;
    }).join("");
  }

  /** Return the wordings of a place: town and village, the town alone, in English without its rank. */
  places(row) {
    return this.data.lang === "zh" ? [row.place.join(""), row.place[0]] : this.called(row.place[0]);
  }

  /** Return the wordings of an area's name: without its rank, then in English the word that it is called by. */
  called(name) {
    const plain = name.length > 4 ? name.replace(new RegExp(`(${this.t("Subdistrict|Town|District|County|City")})$`), "").trim() : name;
    if (this.data.lang === "zh") return [...new Set([name, plain])];
    // A grid is called by its number: "Small grid 16" is "grid 16", never "Small".
    return [...new Set([name, plain, /\d$/.test(plain) ? plain.split(" ").slice(-2).join(" ") : plain.split(" ")[0]])];
  }

  /** Return the wordings of a place where there is little room: the town's, or what it is called inside a town. */
  near(row) {
    return this.data.lang === "zh" ? row.place.slice(0, 1) : this.called(row.place[0]).slice(-2);
  }

  reds(list, part) {
    part.small.innerHTML = `${this.light("r")} ${whole(this.t("overdue"))}${num(list.red)}　${this.light("y")} ${whole(this.t("near limit"))}${num(list.yellow)}`;
    if (!list.rows.length) return this.empty("nothing overdue, nothing near its limit");
    return list.rows.map((row, n) => {
      const red = row.light === "red", after = red && row.next ? "" : row.up ? this.t(row.up === 1 ? "with the city" : "with the county") : `${this.t("limit")} ${this.when(row.due)}`;
      const up = red && row.next ? `data-up="${row.next[0]}" data-level="${row.next[1]}"` : "";
      return `<li class="${red ? "hot" : ""}" ${this.towards(row)}><span class="key ${red ? "r" : "y"}">${n + 1}</span><div class="w"><div class="l1 fits">${this.severity(row.sev)}<b>${fit(row.type)}</b>${fit(this.places(row), "")}</div><div class="l2 fits">${row.step ? `<i>${esc(row.step)}</i>` : ""}${fit(row.holder)}</div></div><div class="t"><div class="x ${red ? "red" : "yel"}" data-due="${row.due}" data-over="${esc(this.t("over"))}" data-left="${esc(this.t("left"))}" data-long="1"></div><div class="y" ${up}>${esc(after)}</div></div></li>`;
    }).join("") + "<li class='blank'></li>".repeat(SLOTS.reds - list.rows.length);
  }

  when(ms) {
    if (!ms) return "";
    const day = (at) => new Intl.DateTimeFormat("en-CA", { timeZone: ZONE }).format(at);
    return day(ms) === day(this.now()) ? hhmm(ms) : `${Number(day(ms).slice(5, 7))}-${Number(day(ms).slice(8))} ${hhmm(ms)}`;
  }

  severity(n) { return `<span class="sev s${n}">${esc(this.t(["", "extreme", "urgent", "pressing", "ordinary"][n]))}</span>`; }

  towards(row) {
    const below = this.tiles.head?.shown.find(([code]) => row.area.startsWith(code));
    return below ? `tabindex="0" data-go="${esc(below[0])}"` : "";
  }

  whistles(list, part) {
    part.small.innerHTML = `${whole(this.t("in all"))}${num(list.all)}${list.over ? `　${this.light("r")} ${whole(this.t("past limit"))}${num(list.over)}` : ""}`;
    const room = SLOTS.whistles - list.rows.length, lately = this.lately(list.lately, room - (list.rows.length ? 0 : 1));
    if (!list.rows.length) return `<li class="ax"></li>${this.empty("no whistle waits")}${lately}`;
    const at = (minute) => `${((minute / BARS_MIN) * 100).toFixed(1)}%`;
    return `<li class="ax"><span></span><span></span><div class="axis"><i style="left:${at(ANSWER_MIN)}">${ANSWER_MIN}</i><i style="left:${at(REPORT_MIN)}">${REPORT_MIN}</i><i style="left:96%">${BARS_MIN}</i></div><span>${esc(this.t("minutes"))}</span></li>`
      + list.rows.map((row, n) => {
        const limit = row.answer ?? row.arrive;
        return `<li data-sent="${row.sent}" data-from="${row.sent}" data-limit="${limit}" ${this.towards(row)}><span class="key w">${LETTERS[n]}</span><div class="w"><div class="l1 fits"><i>${row.kind.length ? fit(row.kind) : esc(this.t(["", "extreme", "urgent", "pressing", "ordinary"][row.sev]))}</i><b>${fit(row.type)}</b></div><div class="l2 fits">${fit(this.near(row), "")} → ${fit(row.to)}</div></div><div class="bar"><s></s><em class="ten"></em><em></em></div><div class="t" data-due="${limit}" data-over="${esc(this.t("late by"))}" data-left="${esc(this.t("left"))}"></div></li>`;
      }).join("") + lately;
  }

  /** Say, in the slots that no waiting whistle needs, how the last day's whistles went: the last ones, then the rates. */
  lately(lately, room) {
    if (room < 1) return "";
    const rows = lately.last.slice(0, room - 1), part = (word, n) => `<span>${esc(word)} <b>${num(n)}</b>／${num(lately.sent)}</span>`;
    const took = (row) => (row.in_time ? this.t("on site in {n} min") : this.t("late, on site in {n} min")).replace("{n}", num(row.took));
    return rows.map((row) => `<li class="past"><span class="h">${hhmm(row.at)}</span><span class="w fits">${fit(this.near(row))} ${fit(row.type)} → ${fit(row.to)}</span><span class="o">${esc(took(row))}</span></li>`).join("")
      + `<li class="past sum"><span>${esc(this.t("last 24 hours"))}</span>${lately.sent ? part(this.t("answered"), lately.answered) + part(this.t("on site in time"), lately.in_time) : `<span>${esc(this.t("no whistle was sent"))}</span>`}</li>`
      + "<li class='blank'></li>".repeat(room - 1 - rows.length);
  }

  raised(list, part) {
    part.small.textContent = `${this.t("today")} ${list.escalated}　${this.t("supervised")} ${list.supervised}`;
    if (!list.rows.length) return this.empty("none today", "");
    return list.rows.map((row) => `<li ${this.towards(row)}><span class="h">${hhmm(row.at)}</span><span class="w fits">${esc(row.what)}　${fit(this.near(row), "")} ${fit(row.type)}</span><span class="o fits">${fit(row.holder)}</span></li>`).join("")
      + "<li class='blank'></li>".repeat(SLOTS.raised - list.rows.length);
  }

  ten(rows) {
    return rows.map(([name, today, then, red, yellow]) => {
      const kind = red ? "r" : yellow ? "y" : "g";
      const word = red ? `${this.t("overdue")} ${num(red)}` : yellow ? `${this.t("near limit")} ${num(yellow)}` : this.t("none overdue");
      return `<li><div class="k fits">${fit(name)}</div><div class="v fits">${num(today)}<i>${then === null ? "" : signed(today - then)}</i></div><div class="o fits">${this.light(kind)}${esc(word)}${red && yellow ? `<span class="also">${this.light("y")}${num(yellow)}</span>` : ""}</div></li>`;
    }).join("");
  }

  ticker(rows) {
    if (!rows.length) return this.empty("nothing has happened today yet", "");
    return rows.map((row) => `<li class="fits"><i>${hhmmss(row.at).startsWith(this.when(row.at)) ? hhmmss(row.at) : this.when(row.at)}</i><span>${fit(this.near(row))} ${fit(row.type)}　${esc(row.what)}</span></li>`).join("");
  }
}

/** The map: fills by Plotly, marks and names as elements above it, so that they look as in the lists. */
class WallMap {
  constructor(wall) {
    this.wall = wall;
    this.code = null;
    this.serial = 0;
    this.view = null;
    this.moved = 0;
    this.pen = document.createElement("canvas").getContext("2d");
  }

  get box() { return this.wall.root.querySelector(".plot"); }

  colour(name) { return getComputedStyle(this.wall.root).getPropertyValue(name).trim(); }

  drop() {
    if (this.plotted) window.Plotly?.purge(this.plotted);
    this.plotted = null;
  }

  async draw() {
    const head = this.wall.tiles.head;
    if (!head) return;
    if (this.code !== head.code) {
      this.code = head.code;
      await this.begin(head);
    } else if (this.plotted && this.codes) {
      const z = this.values();
      if (z.join() !== this.z) {
        this.z = z.join();
        window.Plotly.restyle(this.plotted, { z: [z] }, [0]);
      }
    }
    this.marks();
  }

  values() {
    const rates = new Map(this.wall.tiles.head.shown.map(([code], n) => [code, this.wall.tiles.map?.[n] ?? [0, 0]]));
    return this.codes.map((code) => rampOf(rates.get(code) ?? [0, 0]));
  }

  async fetched(level) {
    const answer = await fetch(`/shapes/${encodeURIComponent(this.code)}.geojson?${this.wall.query({ level })}`);
    if (!answer.ok) throw new Error(`shapes: ${answer.status}`);
    return answer.json();
  }

  async begin(head) {
    const serial = ++this.serial;
    try {
      const [Plotly, shapes, outlines] = await Promise.all([
        loadPlotly(this.wall.data.plotly), this.fetched(head.map_level), head.level === 1 ? this.fetched(2) : null,
      ]);
      if (serial !== this.serial) return;
      this.drop();
      this.codes = shapes.features.map((feature) => feature.id);
      this.names = new Map(head.shown.map(([code, name]) => [code, name]));
      this.bounds = boundsOf(shapes);
      const box = this.box, z = this.values();
      this.z = z.join();
      if (!this.codes.length) {
        box.innerHTML = `<p class="nothing">${esc(this.wall.t("no smaller areas with a position"))}</p>`;
        return;
      }
      box.innerHTML = "";
      const ramp = [0, 1, 2, 3, 4].map((n) => this.colour(`--m${n}`));
      const layers = outlines ? [{ sourcetype: "geojson", source: outlines, type: "line", color: this.colour("--m-county"), line: { width: this.px(0.2) } }] : [];
      this.view = this.fitted();
      await Plotly.newPlot(box, [{
        type: "choroplethmap", geojson: shapes, featureidkey: "id", locations: this.codes, z, zmin: -0.5, zmax: 4.5,
        colorscale: ramp.flatMap((colour, n) => [[n / 5, colour], [(n + 1) / 5, colour]]), showscale: false,
        text: this.codes.map((code) => this.names.get(code) ?? code), hovertemplate: "%{text}<extra></extra>",
        marker: { opacity: 1, line: { color: this.colour("--m-line"), width: this.px(0.12) } },
      }], {
        map: { style: { version: 8, sources: {}, layers: [{ id: "bg", type: "background", paint: { "background-color": this.colour("--tile") } }] }, center: this.view.center, zoom: this.view.zoom, layers },
        uirevision: head.code, margin: { l: 0, r: 0, t: 0, b: 0 }, paper_bgcolor: "rgba(0,0,0,0)", autosize: true, dragmode: "pan",
        hoverlabel: { bgcolor: this.colour("--tile-2"), bordercolor: this.colour("--line-2"), font: { color: this.colour("--ink"), size: this.px(2), family: "sans-serif" } },
      }, { displayModeBar: false, scrollZoom: true, doubleClick: "reset", responsive: false });
      if (serial !== this.serial) return;
      this.plotted = box;
      box.on("plotly_click", (event) => this.wall.open(event.points[0].location, true));
      const follow = (change) => {
        const center = change["map.center"] ?? this.view.center, zoom = change["map.zoom"] ?? this.view.zoom;
        this.view = { center, zoom };
        this.moved = Date.now();
        this.marks();
      };
      box.on("plotly_relayouting", follow);
      box.on("plotly_relayout", follow);
      this.marks();
    } catch (error) {
      if (serial !== this.serial) return;
      this.code = null; // tried again with the next change
      this.box.innerHTML = `<p class="nothing">${esc(this.wall.t("the map cannot be drawn here"))}</p>`;
    }
  }

  px(rem) { return rem * parseFloat(getComputedStyle(document.documentElement).fontSize); }

  fitted() {
    const { west, east, south, north } = this.bounds, box = this.box;
    const width = box.clientWidth - this.px(1), height = box.clientHeight - this.px(9);
    const x = (lon) => lon / 360, y = mercator;
    const zoom = Math.log2(Math.min(width / (x(east) - x(west)), height / (y(south) - y(north))) / 512);
    // A little above the middle: the ramp and the notice stand below.
    const middle = (y(south) + y(north)) / 2 + this.px(2.5) / (512 * 2 ** zoom);
    return { center: { lon: (west + east) / 2, lat: (Math.atan(Math.sinh(Math.PI * (1 - 2 * middle))) * 180) / Math.PI }, zoom };
  }

  async fit() {
    clearTimeout(this.fitting);
    this.fitting = setTimeout(async () => {
      if (!this.plotted || !this.bounds) return;
      this.view = this.fitted();
      window.Plotly.Plots.resize(this.plotted);
      await window.Plotly.relayout(this.plotted, { "map.center": this.view.center, "map.zoom": this.view.zoom });
      this.moved = 0;
      this.marks();
    }, 200);
  }

  idle() { if (this.moved && Date.now() - this.moved > VIEW_BACK_MS) { this.moved = 0; this.fit(); } }

  at(lon, lat) {
    const box = this.box, size = 512 * 2 ** this.view.zoom;
    return [box.clientWidth / 2 + ((lon - this.view.center.lon) / 360) * size, box.clientHeight / 2 + (mercator(lat) - mercator(this.view.center.lat)) * size];
  }

  /** Place marks and names; a name that would touch something already placed tries other sides, then gives way. */
  marks() {
    const over = this.wall.root.querySelector(".over"), { head, reds, whistles, map } = this.wall.tiles;
    if (!this.view || !head || !this.plotted) { over.innerHTML = ""; return; }
    const family = getComputedStyle(this.wall.root).fontFamily;
    const rem = this.px(1), taken = [], html = [], box = this.box, done = new Set();
    const free = (r) => r[0] >= 0 && r[1] >= 0 && r[2] <= box.clientWidth && r[3] <= box.clientHeight && !taken.some((o) => r[0] < o[2] && r[2] > o[0] && r[1] < o[3] && r[3] > o[1]);
    for (const legend of this.wall.root.querySelectorAll(".tile-map .legend, .tile-map .schem")) {
      const a = legend.getBoundingClientRect(), b = box.getBoundingClientRect();
      taken.push([a.left - b.left, a.top - b.top, a.right - b.left, a.bottom - b.top]);
    }
    const marks = [
      ...(reds?.rows ?? []).map((row, n) => [row, n + 1, row.light === "red" ? "r" : "y"]),
      ...(whistles?.rows ?? []).map((row, n) => [row, LETTERS[n], "w"]),
    ].filter(([row]) => row.lon !== null && row.lat !== null);
    const placed = marks.map(([row, text, kind]) => {
      let [x, y] = this.at(row.lon, row.lat);
      // What lies outside what the map shows has its mark in the list alone.
      if (x < 0 || y < 0 || x > box.clientWidth || y > box.clientHeight) return null;
      const half = 1.5 * rem, spot = (x, y) => [x - half, y - half, x + half, y + half];
      const place = SPOTS.map(([dx, dy]) => [x + dx * 2 * half, y + dy * 2 * half]).find((at) => free(spot(...at)));
      if (!place) return null;
      [x, y] = place;
      taken.push(spot(x, y));
      html.push(`<i class="key ${kind}" style="left:${x.toFixed(1)}px;top:${y.toFixed(1)}px">${esc(text)}</i>`);
      return [row, x, y];
    }).filter(Boolean);
    const write = (text, x, y, size, kind, spots) => {
      this.pen.font = `${kind === "county" ? 700 : 400} ${size * rem}px ${family}`;
      const w = this.pen.measureText(text).width, h = size * rem * 1.2;
      for (const [dx, dy] of spots) {
        const cx = x + dx * (w / 2 + 2 * rem), cy = y + dy * (h / 2 + 1.7 * rem);
        const rect = [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], gap = 0.4 * rem;
        if (free([rect[0] - gap, rect[1], rect[2] + gap, rect[3]])) {
          taken.push(rect);
          html.push(`<b class="name ${kind}" style="left:${cx.toFixed(1)}px;top:${cy.toFixed(1)}px">${esc(text)}</b>`);
          return;
        }
      }
    };
    for (const [row, x, y] of placed) {
      const own = head.shown.find(([code]) => row.area.startsWith(code));
      if (!own || done.has(own[0])) continue;
      done.add(own[0]);
      write(own[1], x, y, 2, "marked", [[1, 0], [-1, 0], [0, 1], [0, -1]]);
    }
    const near = [[0, 0], [0, 0.7], [0, -0.7]];
    const named = head.shown.map((each, n) => [each, rampOf(map?.[n] ?? [0, 0])]).filter(([each]) => each[2] !== null && !done.has(each[0]));
    const label = ([, name, lon, lat]) => write(name, ...this.at(lon, lat), 1.8, "", near);
    const rate = new Map(head.shown.map(([code], n) => [code, (map?.[n]?.[0] ?? 0) / (map?.[n]?.[1] || 1)]));
    const worst = named.filter(([, step]) => step >= 2).sort((a, b) => rate.get(b[0][0]) - rate.get(a[0][0])).slice(0, NAMES);
    if (head.level > 1) worst.forEach(([each]) => label(each));
    for (const [name, lon, lat] of head.outlines) write(name, ...this.at(lon, lat), 2.2, "county", [...near, [0, 1.4], [0, -1.4], [0.6, 0], [-0.6, 0], [0.6, 1], [-0.6, -1]]);
    if (head.level === 1) worst.forEach(([each]) => label(each));
    if (head.level > 1 && named.length <= 60) named.filter(([each]) => !worst.some(([w]) => w === each)).forEach(([each]) => label(each));
    over.innerHTML = html.join("");
  }
}

const mercator = (lat) => (1 - Math.asinh(Math.tan((lat * Math.PI) / 180)) / Math.PI) / 2;

function boundsOf(shapes) {
  const found = { west: 180, east: -180, south: 90, north: -90 };
  const walk = (part) => {
    if (typeof part[0] === "number") {
      found.west = Math.min(found.west, part[0]); found.east = Math.max(found.east, part[0]);
      found.south = Math.min(found.south, part[1]); found.north = Math.max(found.north, part[1]);
    } else part.forEach(walk);
  };
  shapes.features.forEach((feature) => walk(feature.geometry.coordinates));
  return found;
}

const mounted = new WeakMap();

export default function (component) {
  const host = component.parentElement.querySelector(".gw-host") ?? component.parentElement;
  const known = mounted.get(host);
  if (known) {
    clearTimeout(known.leaving);
    known.wall.update(component.data);
  } else {
    mounted.set(host, { wall: new Wall(host, component.data), leaving: 0 });
  }
  return () => {
    const entry = mounted.get(host);
    // A rerun may unmount and mount in one breath; only a wall that stays away is taken down.
    if (entry) entry.leaving = setTimeout(() => { mounted.delete(host); entry.wall.stop(); }, 300);
  };
}
