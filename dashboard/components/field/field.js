// The phone in the field: what waits, a report in three taps, check-in and result; what is written waits in the outbox.

const POLL_MS = 2000, POLL_HIDDEN_MS = 30000;
const CARDS = 5, PHOTOS_MOST = 6, TYPES_FIRST = 5, SAVE_AFTER_MS = 300, SUGGEST_AFTER_MS = 500;
const SURE_M = 100, METRES_PER_DEGREE = 111195, ZONE = "Asia/Shanghai";
const PHONE = "(pointer: coarse), (max-width: 899px)", LINE_BACK_MS = 5000;
const OF_DRAFT = new Set(["keep", "send", "type", "words", "types", "pick", "zoom", "locate"]); // presses that need a report at hand
const PLACE_OPTIONS = { enableHighAccuracy: true, timeout: 15000, maximumAge: 10000 };

const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const esc = (text) => String(text ?? "").replace(/[&<>"']/g, (c) => ENTITIES[c]);
const two = (n) => String(n).padStart(2, "0");
const clockForm = new Intl.DateTimeFormat("en-GB", {
  timeZone: ZONE,
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});
const dayForm = new Intl.DateTimeFormat("en-CA", { timeZone: ZONE, month: "2-digit", day: "2-digit" });
const hhmm = (ms) => clockForm.format(ms);
const metres = (a, b) =>
  Math.hypot((a.lon - b.lon) * Math.cos((a.lat * Math.PI) / 180), a.lat - b.lat) * METRES_PER_DEGREE;
// The phone's own maps open: nobody is told where one goes. Apple's know no geo: address.
const route = (
  { lat, lon },
) => (/iPhone|iPad|Macintosh/.test(navigator.userAgent)
  ? `maps:?daddr=${lat},${lon}`
  : `geo:${lat},${lon}?q=${lat},${lon}`);
const place = () =>
  new Promise((resolve, reject) => {
    if (!navigator.geolocation) {
      reject(new Error("none"));
      return;
    }
    navigator.geolocation.getCurrentPosition(
      ({ coords }) =>
        resolve({ lon: coords.longitude, lat: coords.latitude, accuracy: Math.round(coords.accuracy) }),
      reject,
      PLACE_OPTIONS,
    );
  });

class Field {
  constructor(host, data) {
    this.host = host;
    this.data = data;
    this.view = data.mode === "public" ? "home" : "tasks";
    this.tasks = null;
    this.synced = 0;
    this.tag = "";
    this.all = false; // whether every card is shown
    this.task = null;
    this.form = null;
    this.draft = null;
    this.here = null;
    this.map = null; // the outlines of the grids around
    this.pictures = new Map(); // blob -> address
    this.box = new Outbox(data.who.login, data.lang, () => this.later());
    host.innerHTML = '<div class="gwf"></div>';
    this.root = host.firstElementChild;
    this.onClick = (event) => {
      const at = event.target.closest("[data-do]");
      if (at && !at.matches("input,select,textarea")) this.act(at.dataset.do, at.dataset);
    };
    this.onInput = (event) => {
      const at = event.target;
      if (at.dataset.in) this.typed(at);
    };
    this.onChange = (event) => {
      const at = event.target;
      if (at.type === "file") this.photographed(at);
      else if (at.dataset.in && at.matches("select,input[type=checkbox]")) this.typed(at, true);
    };
    this.onSeen = () => {
      if (document.hidden) this.saveNow();
      else this.poll();
    };
    // What was typed in the last moment before the page goes.
    this.onLeave = () => this.saveNow();
    this.root.addEventListener("click", this.onClick);
    this.root.addEventListener("input", this.onInput);
    this.root.addEventListener("change", this.onChange);
    document.addEventListener("visibilitychange", this.onSeen);
    window.addEventListener("pagehide", this.onLeave);
    window.addEventListener("beforeunload", this.onLeave);
    this.timer = setInterval(() => this.second(), 1000);
    if (data.alone) this.box.line = "poor";
    this.render();
    this.begin();
  }

  async begin() {
    await this.box.open();
    for (const each of this.box.entries.values()) each.going = false;
    const known = await this.box.recall("tasks");
    if (known && !this.tasks) {
      this.tasks = known.tasks;
      this.synced = known.at;
    }
    const draft = this.box.list("draft").at(-1);
    if (draft && draft.open) {
      this.draft = draft;
      this.view = "report";
      this.readMap();
    } else if (this.data.alone && this.box.list("waiting", "refused", "draft").length) this.view = "outbox";
    if (!this.data.alone) this.settle();
    this.render();
    // Where the phone is, is asked for only by a press, unless it was allowed before.
    navigator.permissions?.query({ name: "geolocation" }).then((allowed) => {
      if (allowed.state === "granted" && this.data.mode === "field") this.locate();
    }).catch(() => {});
    this.poll();
  }

  /** Let this phone open a page of its own while there is no line; a desk has no use for that, and keeps nothing. */
  settle() {
    if (!matchMedia(PHONE).matches || !navigator.serviceWorker) return;
    this.box.settle(this.data);
    navigator.serviceWorker.register("/phone/worker.js", {
      scope: this.data.mode === "public" ? "/public" : "/field",
      updateViaCache: "none",
    }).catch(() => {});
  }

  stop() {
    clearInterval(this.timer);
    clearTimeout(this.polling);
    document.removeEventListener("visibilitychange", this.onSeen);
    window.removeEventListener("pagehide", this.onLeave);
    window.removeEventListener("beforeunload", this.onLeave);
    for (const address of this.pictures.values()) URL.revokeObjectURL(address);
    this.box.stop();
  }

  update(data) {
    const other = data.who.login !== this.data.who.login;
    const spoken = data.lang !== this.data.lang;
    this.data = data;
    if (other) {
      this.box.stop();
      this.box = new Outbox(data.who.login, data.lang, () => this.later());
      this.tasks = null;
      this.draft = null;
      this.begin();
    }
    if (spoken) {
      this.box.lang = data.lang;
      this.tag = "";
      this.map = null;
      this.render();
      this.poll();
    }
    if (spoken && !other) this.settle();
  }

  t(text, values = {}) {
    return (this.data.words[text] ?? text).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
  }

  /** The outbox has changed: what is being typed stays, everything else is drawn anew. */
  later() {
    if (["report", "task"].includes(this.view)) this.renderHead();
    else this.render();
  }

  // ---- tasks from the server ----

  async poll() {
    clearTimeout(this.polling);
    if (this.data.mode !== "field") {
      if (this.data.alone) this.listen();
      return;
    }
    try {
      const answer = await this.box.ask("/phone/tasks", {
        headers: this.tag ? { "If-None-Match": this.tag } : {},
      }, 10000);
      if (answer.ok || answer.status === 304) {
        this.synced = Date.now();
        if (answer.ok) {
          this.tag = answer.headers.get("etag") ?? "";
          this.tasks = (await answer.json()).tasks;
          this.box.remember("tasks", { tasks: this.tasks, at: this.synced });
          this.later();
        } else this.renderHead();
      }
    } catch { /* the head says that the line is poor */ }
    clearTimeout(this.polling);
    this.polling = setTimeout(
      () => this.poll(),
      document.hidden ? POLL_HIDDEN_MS : this.box.line === "good" ? POLL_MS : POLL_MS * 3,
    );
  }

  /** Ask for the line alone, where nothing else is asked for. */
  async listen() {
    try {
      await this.box.ask("/phone/worker.js", { method: "HEAD" }, 10000);
    } catch { /* still none */ }
    if (this.box.line === "poor") this.polling = setTimeout(() => this.listen(), LINE_BACK_MS);
  }

  /** Tasks without those whose step already waits in the outbox, most urgent first. */
  open() {
    const gone = new Set(
      this.box.list("waiting").filter((e) => e.kind === "step" && e.ends).map((e) => e.body.incident_id),
    );
    const next = { pick_up: "arrive", arrive: "dispose" };
    const steps = new Map(
      this.box.list("waiting").filter((e) => e.kind === "step" && next[e.body.verb]).map((
        e,
      ) => [e.body.incident_id, next[e.body.verb]]),
    );
    const weight = (task) => [task.due === null ? 1 : 0, task.due ?? 0];
    return (this.tasks ?? []).filter((task) => !gone.has(task.id)).map((
      task,
    ) => (steps.has(task.id) ? { ...task, verb: steps.get(task.id) } : task)).sort((a, b) =>
      weight(a)[0] - weight(b)[0] || weight(a)[1] - weight(b)[1]
    );
  }

  light(task, now = Date.now()) {
    return task.due === null
      ? ""
      : now > task.due
      ? "red"
      : task.yellow !== null && now >= task.yellow
      ? "yellow"
      : "green";
  }

  left(due, now = Date.now()) {
    const s = Math.floor(Math.abs(due - now) / 1000), h = Math.floor(s / 3600);
    const text = h >= 48
      ? this.t("{n} d", { n: Math.floor(h / 24) })
      : h >= 4
      ? this.t("{h} h {m} m", { h, m: Math.floor(s / 60) % 60 })
      : h
      ? `${h}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`
      : `${two(Math.floor(s / 60))}:${two(s % 60)}`;
    return now > due ? this.t("over {time}", { time: text }) : text;
  }

  by(due) {
    return dayForm.format(due) === dayForm.format(Date.now())
      ? hhmm(due)
      : `${dayForm.format(due)} ${hhmm(due)}`;
  }

  second() {
    const now = Date.now();
    for (const at of this.root.querySelectorAll("[data-due]")) {
      const text = this.left(Number(at.dataset.due), now);
      if (at.textContent !== text) at.textContent = text;
    }
    // A light that turns moves its card.
    const lights = this.view === "tasks" ? this.open().map((task) => this.light(task, now)).join() : "";
    if (lights !== this.lights && this.view === "tasks") {
      this.lights = lights;
      this.render();
    }
    for (const at of this.root.querySelectorAll("[data-next]")) {
      at.textContent = this.again(Number(at.dataset.next));
    }
  }

  again(next) {
    const s = Math.ceil((next - Date.now()) / 1000);
    return s > 0 ? this.t("tries again in {n} s", { n: s }) : this.t("waits for the line");
  }

  // ---- drawing ----

  render() {
    const views = {
      tasks: () => this.viewTasks(),
      report: () => this.viewReport(),
      task: () => this.viewTask(),
      outbox: () => this.viewOutbox(),
      me: () => this.viewMe(),
      home: () => this.viewHome(),
      follow: () => [this.t("Follow a report"), "", this.foot("follow")],
    };
    const [title, body, foot, back] = views[this.view]();
    const scrolled = this.drawn === this.view ? this.root.querySelector(".bd")?.scrollTop ?? 0 : 0;
    this.drawn = this.view;
    this.root.dataset.mode = this.data.mode;
    this.root.toggleAttribute("data-alone", Boolean(this.data.alone));
    this.root.innerHTML =
      `<header class="top">${
        back ? `<button class="bk" data-do="back" aria-label="${esc(this.t("Back"))}">‹</button>` : ""
      }<h1>${esc(title)}</h1>${
        this.data.demo && !back ? `<span class="demo">${esc(this.t("Demo"))}</span>` : ""
      }<span class="net"></span></header>` +
      `<div class="say"></div><main class="bd">${body}</main><footer class="bot">${foot}</footer>`;
    this.root.querySelector(".bd").scrollTop = scrolled;
    this.root.dataset.view = this.view;
    this.mapped();
    this.renderHead();
    this.second();
  }

  renderHead() {
    const net = this.root.querySelector(".net"), say = this.root.querySelector(".say");
    if (!net) return;
    const line = this.box.line, heard = this.box.heard || this.synced;
    let head;
    if (this.view === "report" && this.draft) {
      head = line === "poor"
        ? `<i class="lt yellow"></i>${esc(this.t("Poor line"))}`
        : this.draft.saved
        ? esc(this.t("Draft of {time} is on this phone", { time: hhmm(this.draft.saved) }))
        : "";
    } else if (this.view === "task" && this.task) {
      head = this.task.due === null
        ? ""
        : `<i class="lt ${this.light(this.task)}"></i><b class="num" data-due="${this.task.due}">${
          esc(this.left(this.task.due))
        }</b>`;
    } else if (line === "signed_out") head = `<i class="lt red"></i>${esc(this.t("Signed out"))}`;
    else if (line === "poor") {
      head = `<i class="lt yellow"></i>${esc(this.t("Poor line"))}${
        heard ? esc(this.t(", last {time}", { time: hhmm(heard) })) : ""
      }`;
    } else if (this.data.mode === "field") {
      head = this.synced
        ? `<i class="lt green"></i>${esc(this.t("In step {time}", { time: hhmm(this.synced) }))}`
        : esc(this.t("Loading…"));
    } else head = "";
    // On a phone the account's corner stands over this side of a resident's bar: what it would hide is said below.
    const covered = this.data.mode === "public" && !this.data.alone &&
      ["home", "follow"].includes(this.view) && innerWidth <= 480;
    net.innerHTML = covered ? "" : head;
    const said = [];
    if (covered && line === "poor") said.push(`<p class="warn">${head}</p>`);
    if (line === "signed_out") {
      said.push(
        `<p class="warn">${
          esc(this.t("You are signed out. What you wrote is still on this phone."))
        } <a href="/login?next=${
          encodeURIComponent(location.pathname + location.search)
        }&lang=${this.data.lang}">${esc(this.t("Sign in"))}</a></p>`,
      );
    }
    if (this.data.alone && line === "poor") {
      said.push(
        `<p class="warn">${
          esc(
            this.t(
              "There is no line. This page comes from the phone itself: write, it is sent when the line is back.",
            ),
          )
        }</p>`,
      );
    }
    if (this.data.alone && line === "good") {
      said.push(
        `<p class="flash">${esc(this.t("The line is back."))} <a href="">${
          esc(this.t("Open the whole page"))
        }</a></p>`,
      );
    }
    if (!this.box.kept) {
      said.push(
        `<p class="warn">${
          esc(
            this.t(
              "This browser keeps nothing: do not close the page before all is sent. Free some space, or leave private browsing.",
            ),
          )
        }</p>`,
      );
    }
    if (this.flash) {
      said.push(`<p class="flash ${this.flash.kind}" role="status">${esc(this.flash.text)}</p>`);
    }
    say.innerHTML = said.join("");
    const waiting = this.root.querySelector("[data-waiting]");
    if (waiting) {
      waiting.textContent = this.t("To send {n}", { n: this.box.list("waiting", "refused", "draft").length });
    }
  }

  tell(text, kind = "ok") {
    this.flash = { text, kind };
    clearTimeout(this.flashing);
    this.flashing = setTimeout(() => {
      this.flash = null;
      this.renderHead();
    }, 6000);
    this.renderHead();
  }

  foot(on) {
    const n = this.box.list("waiting", "refused", "draft").length;
    const tab = (to, name, told) =>
      `<button class="tab ${on === to ? "on" : ""}" data-do="go" data-to="${to}"><b${
        to === "outbox" ? " data-waiting" : ""
      }>${esc(name)}</b>${esc(told)}</button>`;
    const outbox = () => tab("outbox", this.t("To send {n}", { n }), this.t("on this phone"));
    // A resident's own reports and the search by number stand on the page around: the tab says which of them is seen.
    if (this.data.mode === "public") {
      return tab("home", this.t("My reports"), this.t("progress, rating")) +
        `<button class="B p" data-do="report">＋ ${esc(this.t("Report"))}</button>` +
        (n || on === "outbox" || this.data.alone
          ? outbox()
          : tab("follow", this.t("Follow a report"), this.t("by its number")));
    }
    const todo = this.open().length;
    return tab(
      "tasks",
      this.t("To do {n}", { n: todo }),
      on === "tasks" || !this.synced
        ? this.t("by urgency")
        : this.t("as of {time}", { time: hhmm(this.synced) }),
    ) +
      `<button class="B ${on === "outbox" ? "p" : "o"}" data-do="report">＋ ${
        esc(this.t("Report"))
      }</button>` +
      (n || on === "outbox" ? outbox() : tab("me", this.t("Me"), this.data.who.role));
  }

  viewTasks() {
    if (this.tasks === null) {
      return [
        this.t("My tasks"),
        `<div class="sk"></div><div class="sk"></div><div class="sk"></div>`,
        this.foot("tasks"),
      ];
    }
    const open = this.open(), now = Date.now();
    const late = open.filter((task) => this.light(task, now) === "red");
    const soon = open.filter((task) => this.light(task, now) === "yellow").length;
    const shown = this.all ? open : open.filter((task, n) => n < CARDS || this.light(task, now) === "red");
    this.lights = open.map((task) => this.light(task, now)).join();
    const cards = shown.map((task, n) => this.card(task, n === 0, now)).join("");
    const more = open.length > shown.length
      ? `<button class="B sm" data-do="all">${
        esc(this.t("{n} more", { n: open.length - shown.length }))
      }</button>`
      : "";
    const sum = `<div class="sum"><span>${
      esc(this.t("To do"))
    } <b class="num">${open.length}</b></span><span class="${late.length ? "red" : ""}">${
      late.length ? `<i class="lt red"></i>` : ""
    }${esc(this.t("overdue"))} <b class="num ${late.length ? "red" : ""}">${late.length}</b></span>${
      soon
        ? `<span class="yellow"><i class="lt yellow"></i>${
          esc(this.t("due soon"))
        } <b class="num yellow">${soon}</b></span>`
        : ""
    }${
      this.doneToday()
        ? `<span>${esc(this.t("handed in today"))} <b class="num">${this.doneToday()}</b></span>`
        : ""
    }<span class="r">${esc(this.data.who.name)}</span></div>`;
    const done = this.doneToday();
    const empty = `<div class="none"><b>${esc(this.t("Nothing waits for you now."))}</b><p>${
      esc(this.t("New work appears here by itself."))
    }</p><p>${
      esc(
        done
          ? this.t("Handed in from this phone today: {n}", { n: done })
          : this.t("Nothing was handed in from this phone today."),
      )
    }</p></div>${this.sentList()}`;
    const far = !this.here && open.some((task) => task.lat !== null)
      ? `<button class="B sm" data-do="here">${
        esc(
          this.asking
            ? this.t("Looking where you are…")
            : this.denied
            ? this.t("The phone does not say where it is.")
            : this.t("Show how far each is"),
        )
      }</button>`
      : "";
    return [this.t("My tasks"), sum + (open.length ? cards + more + far : empty), this.foot("tasks")];
  }

  card(task, first, now) {
    const light = this.light(task, now), verb = this.data.verbs[task.verb] ?? task.verb;
    const far = this.here && task.lat !== null ? metres(this.here, task) : null;
    const away = far === null
      ? ""
      : far < 1000
      ? this.t(", {n} m from you", { n: Math.round(far) })
      : this.t(", {n} km from you", { n: (far / 1000).toFixed(1) });
    const due = task.due === null
      ? (task.paused ? this.t("suspended") : "")
      : this.t("{what} by {time}", { what: this.data.clocks[task.clock] ?? verb, time: this.by(task.due) });
    const go =
      task.lat !== null && ["pick_up", "arrive", "check", "solve", "dispose", "verify"].includes(task.verb) &&
        !task.arrived
        ? `<a class="B sm n" href="${esc(route(task))}">${esc(this.t("Route"))}</a>`
        : "";
    return `<section class="card tk ${
      light === "red" ? "late" : ""
    }"><button class="t" data-do="open" data-id="${task.id}">${
      light ? `<i class="lt ${light}"></i>` : ""
    }<b>${esc(task.whistle ? this.t("Whistle: {what}", { what: task.title }) : task.title)}</b>${
      task.due === null
        ? ""
        : `<span class="cd num ${light}" data-due="${task.due}">${esc(this.left(task.due, now))}</span>`
    }</button>` +
      `<div class="d">${esc([due, task.place + away].filter(Boolean).join(this.t(". ")))}</div>${
        task.text ? `<div class="d q">${esc(task.text.slice(0, 60))}</div>` : ""
      }` +
      `<div class="do">${go}<button class="B sm ${first ? "p" : "o"}" data-do="main" data-id="${task.id}">${
        esc(verb)
      }</button></div></section>`;
  }

  viewHome() {
    return [
      this.t("For residents"),
      `<div class="none"><b>${esc(this.t("What is wrong, and where?"))}</b><p>${
        esc(
          this.t(
            "A photo, a place and a type are enough. You get a number at once and see here what becomes of it.",
          ),
        )
      }</p><p class="red">${esc(this.t("Somebody is hurt or it burns: call 119 or 120 first."))}</p></div>`,
      this.foot("home"),
    ];
  }

  viewMe() {
    const links = this.data.links.map(([address, words]) =>
      `<a class="B sm" href="${esc(address)}">${esc(words)}</a>`
    ).join("");
    return [
      this.t("Me"),
      `<section class="card ob"><b>${esc(this.data.who.name)}</b><div class="d">${esc(this.data.who.role)}　${
        esc(this.data.who.area)
      }</div></section>${this.sentList()}${links}` +
      `<form method="post" action="/logout"><input type="hidden" name="lang" value="${this.data.lang}"><button class="B sm" style="width:100%">${
        esc(this.t("Sign out"))
      }</button></form>` +
      `<form method="post" action="/logout"><input type="hidden" name="lang" value="${this.data.lang}"><input type="hidden" name="everywhere" value="1"><button class="B sm" style="width:100%">${
        esc(this.t("Sign out everywhere"))
      }</button></form>`,
      this.foot("me"),
    ];
  }

  /** Count what arrived from this phone today. */
  doneToday() {
    return this.box.list("sent").filter((e) => dayForm.format(e.sent_at) === dayForm.format(Date.now()))
      .length;
  }

  sentList() {
    return this.box.list("sent").reverse().slice(0, 5).map((e) =>
      `<section class="card ob flat"><div class="h"><span>${esc(this.t("Delivered"))}　${
        esc(e.title)
      }</span><span class="green">✓ ${esc(e.number)}</span></div></section>`
    ).join("");
  }

  viewOutbox() {
    const kinds = { report: this.t("Report"), step: "" };
    const rows = this.box.list("waiting", "refused", "draft").map((e) => {
      const name = `<b>${esc([kinds[e.kind], e.title].filter(Boolean).join("　"))}</b>`;
      const photos = e.photos?.length ?? 0, up = (e.photos ?? []).filter((p) => p.name).length;
      const what = [
        photos ? this.t("photos {up} of {n}", { up, n: photos }) : "",
        e.body.text || e.body.result || e.body.reason || "",
      ].filter(Boolean).join(this.t(". "));
      if (e.state === "draft") {
        return `<section class="card ob"><div class="h">${name}<span>${
          esc(this.t("not finished"))
        }</span></div><div class="d">${
          esc(what)
        }</div><div class="do"><button class="B sm o" data-do="resume" data-id="${e.id}">${
          esc(this.t("Go on writing"))
        }</button><button class="B sm n" data-do="drop" data-id="${e.id}">${
          esc(this.t("Delete"))
        }</button></div></section>`;
      }
      if (e.state === "refused") {
        return `<section class="card ob late"><div class="h">${name}<span class="red">${
          esc(this.t("refused"))
        }</span></div><div class="d red">${esc(e.said)}</div><div class="do">${
          e.kind === "report"
            ? `<button class="B sm o" data-do="resume" data-id="${e.id}">${
              esc(this.t("Mend and send"))
            }</button>`
            : ""
        }<button class="B sm n" data-do="drop" data-id="${e.id}">${
          esc(this.t("Delete"))
        }</button></div></section>`;
      }
      return `<section class="card ob"><div class="h">${name}<span>${
        e.going
          ? `↑ ${esc(this.t("sending"))}`
          : e.tries
          ? esc(this.t("attempt {n}", { n: e.tries + 1 }))
          : esc(this.t("waits"))
      }</span></div><div class="d">${esc(what)}</div>${
        photos ? `<div class="pg"><i style="width:${Math.round((up / photos) * 100)}%"></i></div>` : ""
      }` +
        `<div class="m">${
          esc(
            this.t("Written {time}, and counted from then. Receipt {id}", {
              time: hhmm(e.written),
              id: e.id.slice(0, 7),
            }),
          )
        }${
          e.next > Date.now() ? ` <span data-next="${e.next}">${esc(this.again(e.next))}</span>` : ""
        }</div><div class="do"><button class="B sm" data-do="now">${
          esc(this.t("Try now"))
        }</button></div></section>`;
    }).join("");
    const calm = `<p class="warn in"><b>${
      esc(this.t("What you wrote and photographed is on this phone; nothing is lost."))
    }</b><br>${
      esc(
        this.t(
          "It is sent by itself when the line is back, and counts once however often it is sent. You may close the page.",
        ),
      )
    }</p>`;
    return [
      this.t("To send"),
      (rows ? calm + rows : `<div class="none"><b>${esc(this.t("Everything has arrived."))}</b></div>`) +
      this.sentList(),
      this.foot("outbox"),
    ];
  }

  // ---- a report ----

  picture(photo) {
    if (!photo.blob) return `/photos/${photo.name}/small`;
    if (!this.pictures.has(photo.blob)) this.pictures.set(photo.blob, URL.createObjectURL(photo.blob));
    return this.pictures.get(photo.blob);
  }

  photoRow(photos, most, slot = "") {
    const shown = photos.map((photo, n) =>
      `<span><img alt="" src="${this.picture(photo)}"><em>${
        photo.used ? esc(this.t("used before")) : hhmm(photo.at)
      }</em><button class="x" data-do="unphoto" data-n="${n}" data-slot="${slot}" aria-label="${
        esc(this.t("Remove this photo"))
      }">×</button></span>`
    ).join("");
    const add = photos.length < most
      ? `<label class="add">＋<br>${
        esc(photos.length ? this.t("One more") : this.t("Take a photo"))
      }<input type="file" accept="image/*" capture="environment" data-slot="${slot}" hidden></label>`
      : "";
    const used = photos.some((photo) => photo.used)
      ? `<p class="red">■ ${
        esc(this.t("This photo is on another case already. Take a new one on the spot."))
      }</p>`
      : "";
    return `<div class="phs">${shown}${add}</div>${used}`;
  }

  viewReport() {
    const draft = this.draft, body = draft.body;
    const names = Object.fromEntries(this.data.types.map((each) => [each[0], each[1]]));
    const hint = draft.hint ? [draft.hint] : [];
    const ordered = [
      ...new Set([
        ...(body.category ? [body.category] : []),
        ...hint,
        ...this.data.often,
        ...this.data.types.map((each) => each[0]),
      ]),
    ].filter((code) => names[code]);
    const list = draft.every ? this.data.types.map((each) => each[0]) : ordered.slice(0, TYPES_FIRST);
    const cats =
      list.map((code) =>
        `<button class="cat ${
          code === body.category ? "on" : ""
        }" data-do="type" data-code="${code}" aria-pressed="${code === body.category}">${
          esc(names[code])
        }</button>`
      ).join("") + (draft.every
        ? ""
        : `<button class="cat" data-do="types">${
          esc(this.t("All {n} types", { n: this.data.types.length }))
        } ›</button>`);
    const why = draft.hint && draft.hintWords?.length
      ? esc(this.t("by your words: {words}", { words: draft.hintWords.join(this.t(", ")) }))
      : esc(this.t("what you report most comes first"));
    const point = body.position, area = this.data.places.find((each) => each[0] === body.area);
    const grid = this.gridOf(point), measured = point && !draft.pinned;
    const doubt = `<span class="yellow">▲ ${esc(this.t("place not confirmed"))}</span>`;
    const where = point && !(draft.pick && area)
      ? `<b>${
        esc(grid?.name ?? (measured ? this.t("Where this phone is") : this.t("Where the pin stands")))
      }</b><br>${
        measured
          ? `<span class="d">${esc(this.t("to about {n} m", { n: point.accuracy }))}</span>`
          : `<span class="d">${esc(this.t("set by hand"))}</span>`
      }${point.accuracy > SURE_M ? `　${doubt}` : ""}`
      : area
      ? `<b>${esc(area[1])}</b><br>${doubt}`
      : draft.locating
      ? esc(this.t("Looking where you are…"))
      : `<b class="yellow">▲ ${esc(this.t("The phone does not say where it is."))}</b><br>${
        esc(
          this.map
            ? this.t("Move the map until the pin stands there, or choose the grid.")
            : this.t("Choose the grid below."),
        )
      }`;
    const sure = measured && point.accuracy <= SURE_M && !draft.pick;
    const said = point || area;
    const pick = !point || draft.pick
      ? `${this.bigMap(draft)}<select data-in="area" aria-label="${esc(this.t("Grid"))}"><option value="">${
        esc(this.t("Choose the grid"))
      }</option>${
        this.data.places.map((each) =>
          `<option value="${each[0]}" ${each[0] === body.area ? "selected" : ""}>${esc(each[1])}</option>`
        ).join("")
      }</select><input data-in="address" maxlength="200" placeholder="${
        esc(this.t("Street, house, landmark"))
      }" value="${esc(body.address)}">`
      : "";
    const small = draft.pick ? "" : this.smallMap(draft);
    const n = draft.photos.length;
    const photo = `<div><div class="step"><i class="${n ? "ok" : ""}">${n ? "✓" : "1"}</i>${
      esc(this.t("Photo"))
    }<span class="m">${esc(this.t("{n}, at most {most}", { n, most: PHOTOS_MOST }))}</span></div>${
      this.photoRow(draft.photos, PHOTOS_MOST)
    }${
      n || draft.wordsFirst
        ? ""
        : `<button class="lk" data-do="words">${esc(this.t("Write first, the photo later"))}</button>`
    }</div>`;
    const words = `<textarea data-in="text" rows="2" maxlength="500" placeholder="${
      esc(this.t("In a few words, if you like"))
    }">${esc(body.text)}</textarea>`;
    const html = (draft.wordsFirst ? words + photo : photo) +
      `<div><div class="step"><i class="${sure ? "ok" : "doubt"}">${said ? "✓" : "!"}</i>${
        esc(this.t("Place"))
      }<span class="m">${
        measured ? esc(this.t("by itself, ±{n} m", { n: point.accuracy })) : ""
      }</span></div><div class="card loc ${small ? "two" : ""}">${small}<div>${where}<div class="do">${
        draft.pick
          ? `<button class="B sm n" data-do="locate">${esc(this.t("Look again"))}</button>`
          : small
          ? `<button class="lk" data-do="pick">${esc(this.t("Not right: move the pin"))}</button>`
          : `<button class="B sm n" data-do="locate">${esc(this.t("Look again"))}</button>${
            point ? `<button class="B sm n" data-do="pick">${esc(this.t("Not right: choose"))}</button>` : ""
          }`
      }</div></div></div>${pick}</div>` +
      `<div><div class="step"><i class="${body.category ? "ok" : ""}">${body.category ? "✓" : "2"}</i>${
        esc(this.t("What is it?"))
      }<span class="m">${why}</span></div><div class="cats">${cats}</div></div>` +
      (draft.wordsFirst ? "" : words) +
      `<p class="m">${
        esc(this.t("It counts from when you wrote it, also without a line."))
      } <span class="red">${esc(this.t("Somebody is hurt or it burns: call 119 or 120 first."))}</span></p>`;
    return [
      this.t("Report"),
      html,
      `<button class="B n" data-do="keep">${
        esc(this.t("Keep for later"))
      }</button><button class="B p" data-do="send">${esc(this.t("Send"))}</button>`,
      true,
    ];
  }

  async newReport() {
    const now = Date.now();
    this.draft = {
      id: newId(),
      owner: this.data.who.login,
      kind: "report",
      state: "draft",
      open: true,
      title: "",
      written: now,
      photos: [],
      body: { text: "", address: "" },
    };
    this.view = "report";
    this.render();
    this.readMap();
    await this.locate(this.draft);
  }

  async locate(draft = null) {
    if (draft) {
      draft.locating = true;
      this.render();
    }
    try {
      const found = await place();
      this.here = found;
      if (draft) {
        draft.body.position = found;
        draft.pick = draft.pinned = false;
        delete draft.body.area;
      }
    } catch {
      // What was set by hand stands.
      if (draft) {
        if (!draft.pinned) delete draft.body.position;
        draft.pick = true;
      }
    }
    if (draft) {
      draft.locating = false;
      if (this.draft === draft) {
        this.save();
        this.render();
      }
    } else this.later();
  }

  save() {
    clearTimeout(this.saving);
    const draft = this.draft;
    if (!draft) return;
    this.saving = setTimeout(() => this.saveNow(draft), SAVE_AFTER_MS);
  }

  async saveNow(draft = this.draft) {
    clearTimeout(this.saving);
    if (!draft || this.draft !== draft) return;
    draft.saved = Date.now();
    draft.title = this.titleOf(draft);
    await this.box.put(draft);
  }

  titleOf(draft) {
    return this.data.types.find((each) => each[0] === draft.body.category)?.[1] ??
      draft.body.text.slice(0, 12) ?? "";
  }

  suggest(draft) {
    clearTimeout(this.suggesting);
    const text = draft.body.text.trim();
    if (text.length < 2) return;
    this.suggesting = setTimeout(async () => {
      try {
        const answer = await this.box.ask("/phone/suggest", {
          method: "POST",
          body: JSON.stringify({ text }),
          headers: { "Content-Type": "application/json" },
        }, 5000);
        const said = await answer.json();
        if (!answer.ok || this.draft !== draft || draft.hint === said.category) return;
        draft.hint = said.category;
        draft.hintWords = said.words;
        const box = this.root.querySelector("textarea"),
          at = box?.selectionStart,
          typing = document.activeElement === box || this.root.getRootNode().activeElement === box;
        this.render();
        if (typing) {
          const again = this.root.querySelector("textarea");
          again?.focus({ preventScroll: true });
          again?.setSelectionRange(at, at);
        }
      } catch { /* without a line the list stays as it is */ }
    }, SUGGEST_AFTER_MS);
  }

  async sendReport() {
    const draft = this.draft, body = draft.body;
    if (!body.category && !body.text.trim()) {
      this.tell(this.t("Choose what it is, or write a few words."), "bad");
      return;
    }
    if (!body.position && !body.area && !body.address.trim()) {
      this.tell(this.t("Say where: choose the grid or write the address."), "bad");
      return;
    }
    clearTimeout(this.saving);
    const sent = {
      text: body.text.trim(),
      address: body.address.trim(),
      written_at: new Date(draft.written).toISOString(),
    };
    if (body.category) sent.category = body.category;
    if (body.position && !draft.pick) sent.position = body.position;
    else if (body.area) sent.area = body.area;
    else if (body.position) sent.position = body.position;
    Object.assign(draft, {
      body: sent,
      state: "waiting",
      open: false,
      tries: 0,
      next: 0,
      title: this.titleOf(draft),
    });
    this.draft = null;
    await this.arrive(draft, this.t("Report"));
  }

  /** Put an entry into the outbox, try it at once, and say what became of it. */
  async arrive(entry, what) {
    await this.box.put(entry);
    this.view = this.data.mode === "public" ? "home" : "tasks";
    this.render();
    this.root.querySelector(".bd").scrollTop = 0;
    await this.box.run();
    if (entry.state === "waiting") await this.box.run();
    if (entry.state === "sent") {
      this.tell(this.t("{what}: arrived. Number {number}", { what, number: entry.number }));
      this.poll();
      if (this.data.mode === "public" && entry.kind === "report") this.done?.(entry.number);
    } else if (entry.state === "refused") {
      this.tell(`${what}: ${entry.said}`, "bad");
      this.view = "outbox";
      this.render();
      this.poll();
    } else this.tell(this.t("{what}: kept on this phone, sent when the line is back.", { what }), "wait");
  }

  // ---- events ----

  async photographed(input) {
    const file = input.files?.[0];
    input.value = "";
    if (!file) return;
    const photo = { blob: await shrunk(file), name: null, used: false, at: Date.now() };
    const into = this.view === "report" ? this.draft : this.form;
    if (!into) return;
    if (input.dataset.slot) photo.slot = input.dataset.slot;
    into.photos.push(photo);
    if (into === this.draft) this.save();
    this.render();
    try {
      // At once where the line allows: a photo that another case carries is told while one still stands there.
      await this.box.upload(photo);
    } catch (fault) {
      const status = fault.answer?.status ?? 0;
      if (status === 422 || status === 413) {
        into.photos.splice(into.photos.indexOf(photo), 1);
        this.tell(fault.said?.said ?? this.t("The photo was refused."), "bad");
      }
    }
    if (into === this.draft) this.save();
    if (into === this.draft || into === this.form) this.render();
  }

  typed(at, chosen = false) {
    const name = at.dataset.in, value = at.type === "checkbox" ? at.checked : at.value;
    if (this.view === "report") {
      if (!this.draft) return;
      if (name === "area") {
        if (value) this.draft.body.area = value;
        else delete this.draft.body.area;
      } else this.draft.body[name] = value;
      this.save();
      if (name === "text") this.suggest(this.draft);
      if (chosen) this.render();
    } else if (this.form) {
      this.form[name] = value;
      if (chosen) this.render();
    }
  }

  async act(what, data) {
    const id = Number(data.id);
    if (this.flash && ["go", "back", "open", "main", "report"].includes(what)) this.flash = null;
    if (this.actTask && await this.actTask(what, data)) return;
    // A second press meets the page from before the first one was drawn.
    if (OF_DRAFT.has(what) && !this.draft) return;
    switch (what) {
      case "go":
        this.view = data.to;
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
        this.view = this.data.mode === "public" ? "home" : "tasks";
        this.render();
        break;
      case "report":
        await this.newReport();
        break;
      case "keep":
        this.draft.open = false;
        await this.keepDraft();
        this.view = "outbox";
        this.render();
        break;
      case "send":
        await this.sendReport();
        break;
      case "type":
        this.draft.body.category = data.code;
        this.draft.every = false;
        this.save();
        this.render();
        break;
      case "words":
        this.draft.wordsFirst = true;
        this.save();
        this.render();
        this.root.querySelector("textarea")?.focus();
        break;
      case "types":
        this.draft.every = true;
        this.render();
        break;
      case "pick":
        this.draft.pick = true;
        this.render();
        break;
      case "zoom":
        this.zoomed(Number(data.by));
        break;
      case "locate":
        await this.locate(this.draft);
        break;
      case "here":
        this.asking = true;
        this.render();
        await this.locate();
        this.asking = false;
        this.denied = !this.here;
        if (this.view === "tasks") this.render();
        break;
      case "unphoto": {
        const into = this.view === "report" ? this.draft : this.form;
        const list = data.slot ? into.photos.filter((p) => p.slot === data.slot) : into.photos;
        into.photos.splice(into.photos.indexOf(list[Number(data.n)]), 1);
        if (into === this.draft) this.save();
        this.render();
        break;
      }
      case "resume": {
        const entry = this.box.entries.get(data.id);
        Object.assign(entry, { state: "draft", open: true });
        entry.body = { text: "", address: "", ...entry.body };
        this.draft = entry;
        this.view = "report";
        this.render();
        this.readMap();
        break;
      }
      case "drop":
        if (confirm(this.t("Delete this for good?"))) await this.box.drop(data.id);
        break;
      case "now":
        this.box.line = "good";
        await this.box.run(true);
        break;
      case "open":
      case "main":
        this.openTask(this.open().find((task) => task.id === id), what === "main");
        break;
    }
  }

  async keepDraft() {
    clearTimeout(this.saving);
    const draft = this.draft;
    this.draft = null;
    const empty = !draft.photos.length && !draft.body.text.trim() && !draft.body.category;
    if (empty) await this.box.drop(draft.id);
    else await this.box.put(Object.assign(draft, { saved: Date.now(), title: this.titleOf(draft) }));
  }
}
