// One task on the phone: what it is, the step that it waits for, and what else may be done.

import { joined, markup } from "../shared/markup.js";
import { newId } from "./outbox.js";
import { place } from "./phone.js";
import { Reporting } from "./report.js";

/** @import { Markup, Piece } from "../shared/markup.js" */
/** @import { Task } from "../shared/messages.d.ts" */
/** @import { Entry, Photo } from "./outbox.js" */
/** @import { Form, View } from "./phone.js" */

const ENDS = new Set([
  "check",
  "dispose",
  "solve",
  "verify",
  "rework",
  "decline",
  "end_whistle",
  "rate_whistle",
]);
const AT_ONCE = new Set(["pick_up", "end_whistle", "accept"]);
const BESIDE = ["decline", "ask_extension", "whistle", "rework", "note"]; // below the main step
const EXTENSIONS = ["4wh", "1wd", "2wd", "5wd"];
const NUMBERS = new Set(["rating", "result"]);
const PHOTOS_OF_STEP = 3;

/**
 * Return an empty form of a step.
 * @param {string} verb
 * @returns {Form}
 */
const formFor = (verb) => ({
  verb,
  photos: [],
  text: "",
  real: null,
  rating: 0,
  kind: "hard",
  limit: EXTENSIONS[1],
  back: null,
  settled: true,
  result: 0,
  standard: new Set(),
  here: null,
  measuring: false,
});

/** A phone that takes steps. */
export class Stepping extends Reporting {
  /**
   * @param {Task | undefined} task
   * @param {boolean} main whether its main step was pressed
   */
  async openTask(task, main) {
    if (!task) return;
    if (main && AT_ONCE.has(task.verb)) {
      await this.sendStep(task, { incident_id: task.id, verb: task.verb }, []);
      return;
    }
    this.task = task;
    this.form = formFor(task.verb);
    this.view = "task";
    this.render();
    if (task.verb === "arrive") this.measure();
  }

  async measure() {
    const { form } = this;
    if (!form) return;
    form.measuring = true;
    this.render();
    try {
      this.here = form.here = await place();
    } catch {
      form.here = null;
    }
    form.measuring = false;
    if (this.form === form) this.render();
  }

  /** @param {string} verb */
  named(verb) {
    return this.data.verbs[verb] ?? verb;
  }

  /** @param {string} verb @param {string} kind */
  verbButton(verb, kind) {
    return markup`<button class="${kind}" data-do="verb" data-verb="${verb}">${this.named(verb)}</button>`;
  }

  /**
   * @param {Task} task
   * @param {Form} form
   * @returns {View}
   */
  viewTask(task, form) {
    const shown = markup`
      <section class="card tk row">
        <span class="green big">✓</span><b>${
      this.t("Checked in at {time}", { time: this.clock.hhmm(task.arrived ?? 0) })
    }</b>
      </section>`;
    // An extension of what is being done is asked for in the bar below, and once.
    const extends_ = form.verb === "dispose" && task.verbs.includes("ask_extension");
    const beside = BESIDE.filter((verb) =>
      task.verbs.includes(verb) && verb !== form.verb &&
      !(verb === "ask_extension" && form.verb === "dispose")
    );
    const others = form.verb === task.verb ? beside : [task.verb, ...beside];
    const waits = this.box.list("waiting").some((entry) => entry.body.incident_id === task.id);
    const earlier = waits && markup`<p class="m">▲ ${this.t("An earlier step still waits to be sent.")}</p>`;
    const body = markup`
      ${this.about(task)}
      ${task.arrived !== null && shown}
      ${earlier}
      ${this.formOf(task, form)}
      <div class="beside">${others.map((verb) => this.verbButton(verb, "chip"))}</div>`;
    const foot = markup`
      ${extends_ && this.verbButton("ask_extension", "B n")}
      <button class="B p" data-do="do">${this.named(form.verb)}</button>`;
    return [task.title, body, foot, true];
  }

  /** @param {Task} task */
  about(task) {
    const photos = task.photos.map((photo) =>
      markup`
        <a href="/photos/${photo}" target="_blank" rel="noopener">
          <img alt="" loading="lazy" src="/photos/${photo}/small">
        </a>`
    );
    const what = this.data.clocks[task.clock] ?? "";
    const by = task.due !== null &&
      markup`　${this.t("{what} by {time}", { what, time: this.by(task.due) })}`;
    const doubt = !task.sure && markup`　<span class="yellow">▲ ${this.t("place not confirmed")}</span>`;
    return markup`
      <section class="card tk">
        <div class="d">${task.place}</div>
        ${task.text && markup`<div class="q">${task.text}</div>`}
        <div class="m">${task.number}${by}${doubt}</div>
        ${photos.length > 0 && markup`<div class="phs seen">${photos}</div>`}
      </section>`;
  }

  /**
   * @param {Form} form
   * @param {string} label
   */
  textField(form, label, needed = true) {
    const told = needed ? label : label + this.t(" (if you like)");
    return markup`<textarea data-in="text" rows="2" maxlength="500" placeholder="${told}">${form.text}</textarea>`;
  }

  /**
   * @param {string} name
   * @param {[value: string | number, words: string][]} options
   * @param {string | number | null} chosen
   */
  chips(name, options, chosen) {
    const buttons = options.map(([value, words]) => {
      const on = value === chosen;
      return markup`
        <button class="chip ${on ? "on" : ""}" data-do="set" data-name="${name}" data-value="${value}"
          aria-pressed="${String(on)}">
          ${words}
        </button>`;
    });
    return markup`<div class="chips">${buttons}</div>`;
  }

  /** @param {string} words @param {string} note */
  heading(words, note = "") {
    return markup`<div class="step">${words}<span class="m">${note}</span></div>`;
  }

  /** @param {string} name @param {boolean} on @param {string} words */
  checkbox(name, on, words) {
    return markup`
      <label class="ck"><input type="checkbox" data-in="${name}"${on && markup` checked`}>${words}</label>`;
  }

  /**
   * How far the place is from where the phone was measured, in whole metres; null where it is not known.
   * @param {Task} task
   * @param {Form} form
   */
  away(task, form) {
    const far = form.here && this.far(task, form.here);
    return far === null ? null : Math.round(far);
  }

  /**
   * @param {Task} task
   * @param {Form} form
   * @returns {Markup}
   */
  formOf(task, form) {
    const reason = () => this.textField(form, this.t("Reason"));
    /** @type {Record<string, () => Markup>} */
    const forms = {
      arrive: () => this.arriving(task, form),
      dispose: () => this.disposing(task, form),
      solve: () => this.disposing(task, form),
      check: () =>
        joined([
          this.heading(this.t("Is it as reported?")),
          this.chips("real", [["yes", this.t("Yes")], ["no", this.t("No")]], form.real),
          this.textField(form, this.t("What you see")),
        ]),
      verify: () => {
        const told = this.t(
          "Look at the place. Pass it only if it is as it should be; nobody checks their own work.",
        );
        return markup`<p class="m">${told}</p>`;
      },
      rate_whistle: () =>
        joined([
          this.heading(this.t("How did the team do?"), this.t("1 poor, 5 very good")),
          this.chips("rating", [1, 2, 3, 4, 5].map((n) => [n, String(n)]), form.rating),
        ]),
      ask_extension: () =>
        joined([
          this.heading(this.t("How much longer?")),
          this.chips("limit", EXTENSIONS.map((limit) => [limit, this.data.limits[limit]]), form.limit),
          reason(),
        ]),
      whistle: () =>
        joined([
          this.heading(this.t("Kind of whistle")),
          this.chips("kind", this.kinds(), form.kind),
          reason(),
        ]),
      note: () => this.textField(form, this.t("Note")),
      decline: () =>
        joined([
          this.heading(this.t("Kind of return")),
          this.chips("back", this.returns(), form.back),
          reason(),
        ]),
      rework: reason,
    };
    return forms[form.verb]?.() ?? markup``;
  }

  /** @returns {[value: string, words: string][]} */
  kinds() {
    return [
      ["hard", this.t("hard problem")],
      ["joint", this.t("joint enforcement")],
      ["emergency", this.t("emergency")],
    ];
  }

  /** @returns {[value: string, words: string][]} */
  returns() {
    return [
      ["not_ours", this.t("not our unit's")],
      ["no_means", this.t("no hands or means for it now")],
      ["other", this.t("another reason")],
    ];
  }

  /**
   * @param {Task} task
   * @param {Form} form
   */
  arriving(task, form) {
    if (task.lat === null) {
      return markup`<p class="m">${this.t("This case has no exact place: check in where it is.")}</p>`;
    }
    const away = this.away(task, form), asks = !form.measuring && (away === null || away > task.limit_m);
    const why = this.t("Check in all the same? Write why.");
    return markup`
      <section class="card loc">
        <div>${this.measured(task, form, away)}</div>
        <div class="do"><button class="B sm n" data-do="measure">${this.t("Look again")}</button></div>
      </section>
      ${asks && this.textField(form, why)}`;
  }

  /**
   * @param {Task} task
   * @param {Form} form
   * @param {number | null} away
   * @returns {Piece}
   */
  measured(task, form, away) {
    if (form.measuring) return this.t("Looking where you are…");
    if (!form.here || away === null) {
      return markup`<b class="yellow">▲ ${this.t("The phone does not say where it is.")}</b>`;
    }
    const limit = task.limit_m;
    const inside = this.t("{n} m from the place, inside the limit of {limit} m", { n: away, limit });
    const far = this.t("{n} m too far", { n: away - limit });
    const from = this.t("{n} m from the place; the limit is {limit} m", { n: away, limit });
    const told = away <= limit
      ? markup`<b class="green">✓ ${inside}</b>`
      : markup`<b class="red">■ ${far}</b><br>${from}`;
    return markup`
      ${told}
      <div class="m">${this.t("The phone is sure to about {n} m", { n: form.here.accuracy })}</div>`;
  }

  /**
   * @param {Task} task
   * @param {Form} form
   */
  disposing(task, form) {
    const both = task.mode === "one_grid";
    /** @param {string} slot @param {string} words */
    const side = (slot, words) => {
      const photos = form.photos.filter((photo) => photo.slot === slot);
      return markup`<div>${this.heading(words)}${
        this.photoRow(photos, both ? 1 : PHOTOS_OF_STEP, slot)
      }</div>`;
    };
    const standards = this.data.standards.map(([code, words]) =>
      this.checkbox(`standard-${code}`, form.standard.has(code), words)
    );
    return markup`
      <div class="ba">${both && side("before", this.t("Before"))}${side("after", this.t("After"))}</div>
      ${both && markup`<p class="m">${this.t("From the same angle it is easier to check.")}</p>`}
      ${this.heading(this.t("Result"))}
      ${this.chips("result", [[0, this.t("Done")], [1, this.t("Partly done")]], form.result)}
      ${this.textField(form, this.t("What was done"), false)}
      ${task.dispute && this.checkbox("settled", form.settled, this.t("The dispute is settled"))}
      ${this.heading(this.t("Closing standard"), this.t("others check it; you first"))}
      ${standards}`;
  }

  /**
   * Return what the form says as the body of a step, or the sentence that says what is missing.
   * @param {Task} task
   * @param {Form} form
   * @returns {Record<string, unknown> | string}
   */
  bodyOf(task, form) {
    const text = form.text.trim(), { verb } = form, body = { incident_id: task.id, verb };
    /** @param {Record<string, unknown>} more */
    const reasoned = (more) => text ? { ...body, ...more, reason: text } : this.t("Write the reason.");
    /** @type {Record<string, () => Record<string, unknown> | string>} */
    const bodies = {
      arrive: () => this.arrival(task, form),
      dispose: () => this.result(task, form),
      solve: () => this.result(task, form),
      check: () =>
        form.real === null || !text
          ? this.t("Say whether it is so, and what you see.")
          : { ...body, real: form.real === "yes", result: text },
      rate_whistle: () => form.rating ? { ...body, rating: form.rating } : this.t("Choose 1 to 5."),
      ask_extension: () => reasoned({ limit: form.limit }),
      whistle: () => reasoned({ whistle_kind: form.kind }),
      note: () => text ? { ...body, note: text } : this.t("Write the note."),
      decline: () => form.back ? reasoned({ return_kind: form.back }) : this.t("Choose the kind of return."),
      rework: () => reasoned({}),
    };
    return bodies[verb]?.() ?? body;
  }

  /**
   * @param {Task} task
   * @param {Form} form
   * @returns {Record<string, unknown> | string}
   */
  arrival(task, form) {
    if (form.measuring) return this.t("Looking where you are…");
    const away = this.away(task, form), text = form.text.trim();
    /** @type {Record<string, unknown>} */
    const body = { incident_id: task.id, verb: form.verb };
    if (form.here) body.position = form.here;
    if (task.lat === null || (away !== null && away <= task.limit_m)) return body;
    return text ? { ...body, reason: text } : this.t("Check in all the same? Write why.");
  }

  /**
   * @param {Task} task
   * @param {Form} form
   * @returns {Record<string, unknown> | string}
   */
  result(task, form) {
    /** @param {string} slot */
    const has = (slot) => form.photos.some((photo) => photo.slot === slot);
    if (task.mode === "one_grid" && !(has("before") && has("after"))) {
      return this.t("Take both photos, before and after.");
    }
    const text = form.text.trim(), result = form.result === 0 ? this.t("Done") : this.t("Partly done");
    return {
      incident_id: task.id,
      verb: form.verb,
      result: text ? `${result}: ${text}` : result,
      standard: this.data.standards.map(([code]) => code).filter((code) => form.standard.has(code)),
      ...(task.dispute ? { settled: form.settled } : {}),
    };
  }

  /**
   * @param {Task} task
   * @param {Record<string, any>} body
   * @param {Photo[]} photos
   */
  async sendStep(task, body, photos) {
    const title = `${this.named(body.verb)}　${task.title}`;
    /** @type {Entry} */
    const entry = {
      id: newId(),
      owner: this.data.who.login,
      kind: "step",
      state: "waiting",
      written: Date.now(),
      title,
      ends: ENDS.has(body.verb),
      photos,
      body,
    };
    this.task = this.form = null;
    await this.arrive(entry, title);
  }

  /**
   * Take a field of the form.
   * @param {Form} form
   * @param {string} name
   * @param {HTMLInputElement} at
   */
  fill(form, name, at) {
    if (name === "text") form.text = at.value;
    else if (name === "settled") form.settled = at.checked;
    else if (name.startsWith("standard-")) {
      const code = name.slice("standard-".length);
      if (at.checked) form.standard.add(code);
      else form.standard.delete(code);
    }
  }

  /**
   * Do what was pressed on a task; tell whether it was for the task.
   * @param {string} what
   * @param {DOMStringMap} data
   */
  async actTask(what, data) {
    const { task, form } = this;
    if (this.view !== "task" || !task || !form) return false;
    switch (what) {
      case "verb":
        this.form = formFor(data.verb ?? "");
        this.render();
        if (data.verb === "arrive") this.measure();
        return true;
      case "measure":
        this.measure();
        return true;
      case "set": {
        const name = data.name ?? "", value = data.value ?? "";
        Object.assign(form, { [name]: NUMBERS.has(name) ? Number(value) : value });
        this.render();
        return true;
      }
      case "do": {
        const body = this.bodyOf(task, form);
        if (typeof body === "string") this.tell(body, "bad");
        else await this.sendStep(task, body, form.photos);
        return true;
      }
    }
    return false;
  }
}
