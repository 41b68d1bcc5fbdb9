// The whistle board: each whistle a row of clocks and a bar from 0 to 45 minutes; asks every two seconds, ticks by itself.

const ASK_MS = 2000, ASK_HIDDEN_MS = 15000, WAIT_MS = 10000;
const BAR_MIN = 45, ANSWER_MIN = 10, REPORT_MIN = 30, MINUTE = 60000;
const OLD_MS = 15000; // without an answer for so long the board says that it stands still
const ZONE = "Asia/Shanghai";
const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const esc = (text) => String(text ?? "").replace(/[&<>"']/g, (c) => ENTITIES[c]);
const two = (n) => String(n).padStart(2, "0");
const form = new Intl.DateTimeFormat("en-GB", {
  timeZone: ZONE,
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});
const day = new Intl.DateTimeFormat("en-CA", { timeZone: ZONE, month: "2-digit", day: "2-digit" });
const span = (ms) => {
  const s = Math.floor(Math.abs(ms) / 1000), h = Math.floor(s / 3600);
  return h >= 48
    ? `${Math.floor(h / 24)}d`
    : h
    ? `${h}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`
    : `${two(Math.floor(s / 60))}:${two(s % 60)}`;
};

class Board {
  constructor(host, data) {
    this.data = data;
    this.tag = "";
    this.said = null;
    this.heard = 0;
    this.lost = "";
    host.innerHTML = '<div class="gwb"></div>';
    this.root = host.firstElementChild;
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

  update(data) {
    const other = data.area !== this.data.area || data.lang !== this.data.lang ||
      data.only !== this.data.only;
    const asks = data.area !== this.data.area || data.lang !== this.data.lang;
    this.data = data;
    if (asks) {
      this.tag = "";
      this.said = null;
      this.ask();
    }
    if (other) this.draw();
  }

  t(text, values = {}) {
    return (this.data.words[text] ?? text).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
  }

  async ask() {
    clearTimeout(this.waiting);
    const area = this.data.area;
    try {
      const answer = await fetch(`/whistles/rows?area=${encodeURIComponent(area)}&lang=${this.data.lang}`, {
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

  light(row, now) {
    if (row.over) return "";
    if (row.due !== null) {
      return now > row.due ? "red" : row.yellow !== null && now >= row.yellow ? "yellow" : "green";
    }
    return row.light;
  }

  draw() {
    const said = this.said;
    if (!said) {
      this.root.innerHTML = `<div class="sk"></div><div class="sk tall"></div>`;
      return;
    }
    const rates = said.rates.map((rate) => {
      const value = rate.d
        ? (rate.top > 1 ? (rate.n / rate.d).toFixed(2) : `${((rate.n / rate.d) * 100).toFixed(1)}%`)
        : this.t("no data");
      const base = !rate.d
        ? this.t("base 0")
        : rate.top > 1
        ? this.t("{d} rated", { d: rate.d })
        : `${rate.n} / ${rate.d}`;
      return `<div class="rate"><span>${esc(rate.name)}</span><b>${esc(value)}</b><em>${
        esc(base)
      }</em></div>`;
    }).join("");
    const open = said.rows.filter((row) => row.due !== null), now = Date.now();
    const late = open.filter((row) => this.light(row, now) === "red").length;
    const rows = said.rows.filter((row) => this.data.only !== "open" || (!row.over && !row.ended));
    const head = `<div class="sums"><div class="rate"><span>${
      esc(this.t("Waiting for answer or arrival"))
    }</span><b>${open.length}</b><em>${
      late
        ? `<i class="lt red"></i>${esc(this.t("{n} past the limit", { n: late }))}`
        : esc(this.t("none past the limit"))
    }</em></div>${rates}<p class="note">${
      esc(
        this.t("Today, by case, as the assessment counts; {n} are still inside their limit.", {
          n: said.inside,
        }),
      )
    }<br><span class="age"></span></p></div>`;
    const scale = [0, ANSWER_MIN, REPORT_MIN, BAR_MIN].map((m) =>
      `<span style="left:${(m / BAR_MIN) * 100}%">${m}</span>`
    ).join("");
    const table = rows.length
      ? `<div class="scroll"><table><thead><tr><th></th><th>${esc(this.t("Case"))}</th><th>${
        esc(this.t("Team"))
      }</th><th class="bar"><div class="scale">${scale}</div></th><th class="r">${
        esc(this.t("Sent"))
      }</th><th class="r">${esc(this.t("Answered"))}</th><th class="r">${
        esc(this.t("On site"))
      }</th><th class="r">${esc(this.t("Result"))}</th><th class="r">${
        esc(this.t("Rating"))
      }</th></tr></thead><tbody>${rows.map((row) => this.row(row)).join("")}</tbody></table></div>${
        said.more
          ? `<p class="note">${esc(this.t("{n} more are not shown: choose a town.", { n: said.more }))}</p>`
          : ""
      }`
      : `<div class="none"><b>${
        esc(said.rows.length ? this.t("No whistle is open.") : this.t("No whistle today, and none is open."))
      }</b><p>${esc(this.t("A new one appears here by itself within two seconds."))}</p></div>`;
    this.root.innerHTML = head + table;
    this.second();
  }

  row(row) {
    const minutes = (at) => {
      if (at === null) return "";
      const n = Math.max(0, Math.round((at - row.sent) / MINUTE));
      return n < 600 ? this.t("{n} min", { n }) : this.t("{n} h", { n: Math.round(n / 60) });
    };
    const time = (at) =>
      `${day.format(at) === day.format(row.sent) ? "" : `${day.format(at)} `}${form.format(at)}`;
    const cell = (at, late) =>
      `<td class="r ${late ? "red" : ""}">${
        at === null ? "" : `${late ? '<i class="lt red"></i>' : ""}${time(at)}<em>${minutes(at)}</em>`
      }</td>`;
    const today = day.format(row.sent) === day.format(Date.now());
    const lateThere = row.arrived !== null && row.light === "red";
    const mark = (
      at,
    ) => (at === null
      ? ""
      : `<i class="mk" style="left:${Math.min(100, ((at - row.sent) / (BAR_MIN * MINUTE)) * 100)}%"></i>`);
    return `<tr data-row="${row.part}" class="${row.over ? "over" : ""}"><td class="cd"></td>` +
      `<td><a href="${esc(this.data.link)}${row.id}" target="_self"><span class="gw-chip s${row.severity}">${
        esc(this.data.severities[row.severity - 1])
      }</span> ${esc(row.title)}</a><em>${esc(row.place)}　<span>${esc(row.number)}</span></em></td>` +
      `<td>${esc(row.team)}<em>${
        esc([row.kind, row.over || row.review || row.ended ? row.state : ""].filter(Boolean).join(" · "))
      }</em></td>` +
      `<td class="bar"><div class="track"><i class="fill"></i>${mark(row.answer_due)}${
        mark(row.arrive_due)
      }<i class="mk end"></i></div></td>` +
      `<td class="r">${
        row.review ? "" : `${today ? "" : `${day.format(row.sent)} `}${form.format(row.sent)}`
      }</td>${cell(row.answered, row.late_answer && row.answered !== null)}${cell(row.arrived, lateThere)}${
        cell(row.done, false)
      }<td class="r">${
        row.rating === null
          ? (row.ended ? `<em>${esc(this.t("not rated"))}</em>` : "")
          : `<b>${row.rating}</b>`
      }</td></tr>`;
  }

  second() {
    const now = Date.now();
    const age = this.root.querySelector(".age");
    if (age) {
      const old = this.heard && now - this.heard > OLD_MS;
      this.root.classList.toggle("stale", Boolean(old || this.lost));
      age.innerHTML = old || this.lost
        ? `<i class="lt yellow"></i>${esc(this.lost || this.t("The server does not answer"))}${
          this.heard ? esc(this.t(", figures of {time}", { time: form.format(this.heard) })) : ""
        }`
        : `<i class="lt green"></i>${esc(this.t("As of {time}", { time: form.format(now) }))}`;
    }
    for (const row of this.said?.rows ?? []) {
      const at = this.root.querySelector(`[data-row="${row.part}"]`);
      if (!at) continue;
      const light = this.light(row, now), cd = at.querySelector(".cd");
      const text = row.due === null
        ? `${light ? `<i class="lt ${light}"></i>` : ""}<span>${esc(row.state)}</span>`
        : `<i class="lt ${light}"></i><b class="${light}">${
          now > row.due ? esc(this.t("over {time}", { time: span(now - row.due) })) : span(row.due - now)
        }</b><em>${
          esc(row.review ? this.t("review") : row.answered === null ? this.t("answer") : this.t("arrival"))
        }</em>`;
      if (cd.innerHTML !== text) cd.innerHTML = text;
      const until = row.arrived ?? (row.over || row.review || row.done !== null ? row.done ?? row.sent : now);
      const fill = at.querySelector(".fill");
      fill.style.width = `${
        row.over ? 0 : Math.min(100, Math.max(0, ((until - row.sent) / (BAR_MIN * MINUTE)) * 100))
      }%`;
      fill.className = `fill ${light}`;
    }
  }
}

const mounted = new WeakMap();

export default function (component) {
  const host = component.parentElement.querySelector(".gw-host") ?? component.parentElement;
  const known = mounted.get(host);
  if (known) {
    clearTimeout(known.leaving);
    known.board.update(component.data);
  } else mounted.set(host, { board: new Board(host, component.data), leaving: 0 });
  return () => {
    const entry = mounted.get(host);
    // A rerun may unmount and mount in one breath; only a board that stays away is taken down.
    if (entry) {
      entry.leaving = setTimeout(() => {
        mounted.delete(host);
        entry.board.stop();
      }, 300);
    }
  };
}
