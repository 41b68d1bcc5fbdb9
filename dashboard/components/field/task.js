// One task on the phone: what it is, the step that it waits for, and what else may be done.

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

Object.assign(Field.prototype, {
  async openTask(task, main) {
    if (!task) return;
    if (main && AT_ONCE.has(task.verb)) {
      await this.sendStep(task, { incident_id: task.id, verb: task.verb }, []);
      return;
    }
    this.task = task;
    this.begin_(task.verb);
    this.view = "task";
    this.render();
    if (task.verb === "arrive") this.measure();
  },

  begin_(verb) {
    this.form = {
      verb,
      photos: [],
      text: "",
      standard: [],
      real: null,
      rating: 0,
      kind: "hard",
      limit: EXTENSIONS[1],
      back: null,
      settled: true,
      result: 0,
    };
  },

  async measure() {
    const form = this.form;
    form.measuring = true;
    this.render();
    try {
      this.here = await place();
      form.here = this.here;
      form.denied = false;
    } catch {
      form.here = null;
      form.denied = true;
    }
    form.measuring = false;
    if (this.form === form) this.render();
  },

  viewTask() {
    const task = this.task, form = this.form, name = this.data.verbs[form.verb] ?? form.verb;
    const photos = task.photos.map((photo) =>
      `<a href="/photos/${photo}" target="_blank" rel="noopener"><img alt="" loading="lazy" src="/photos/${photo}/small"></a>`
    ).join("");
    const head =
      `<section class="card tk"><div class="d">${esc(task.place)}</div>${
        task.text ? `<div class="q">${esc(task.text)}</div>` : ""
      }<div class="m">${esc(task.number)}${
        task.due === null ? "" : `　${
          esc(
            this.t("{what} by {time}", {
              what: this.data.clocks[task.clock] ?? "",
              time: this.by(task.due),
            }),
          )
        }`
      }${task.sure ? "" : `　<span class="yellow">▲ ${esc(this.t("place not confirmed"))}</span>`}</div>${
        photos ? `<div class="phs seen">${photos}</div>` : ""
      }</section>` +
      (task.arrived
        ? `<section class="card tk row"><span class="green big">✓</span><b>${
          esc(this.t("Checked in at {time}", { time: hhmm(task.arrived) }))
        }</b></section>`
        : "");
    // An extension of what is being done is asked for in the bar below, and once.
    const beside = BESIDE.filter((verb) =>
      task.verbs.includes(verb) && verb !== form.verb &&
      !(verb === "ask_extension" && form.verb === "dispose")
    );
    const more = `<div class="beside">${
      [...(form.verb === task.verb ? [] : [task.verb]), ...beside].map((verb) =>
        `<button class="chip" data-do="verb" data-verb="${verb}">${
          esc(this.data.verbs[verb] ?? verb)
        }</button>`
      ).join("")
    }</div>`;
    const waits = this.box.list("waiting").some((e) => e.body.incident_id === task.id)
      ? `<p class="m">▲ ${esc(this.t("An earlier step still waits to be sent."))}</p>`
      : "";
    const extension = form.verb === "dispose" && task.verbs.includes("ask_extension")
      ? `<button class="B n" data-do="verb" data-verb="ask_extension">${
        esc(this.data.verbs.ask_extension)
      }</button>`
      : "";
    return [
      task.title,
      head + waits + this.formOf(form.verb) + more,
      `${extension}<button class="B p" data-do="do">${esc(name)}</button>`,
      true,
    ];
  },

  text_(label, needed = true) {
    return `<textarea data-in="text" rows="2" maxlength="500" placeholder="${esc(label)}${
      needed ? "" : esc(this.t(" (if you like)"))
    }">${esc(this.form.text)}</textarea>`;
  },

  chips_(name, options, chosen) {
    return `<div class="chips">${
      options.map(([value, words]) =>
        `<button class="chip ${value === chosen ? "on" : ""}" data-do="set" data-name="${name}" data-value="${
          esc(value)
        }" aria-pressed="${value === chosen}">${esc(words)}</button>`
      ).join("")
    }</div>`;
  },

  step_(words, note = "") {
    return `<div class="step">${esc(words)}<span class="m">${esc(note)}</span></div>`;
  },

  away() {
    const task = this.task, here = this.form.here;
    return here && task.lat !== null ? Math.round(metres(here, task)) : null;
  },

  formOf(verb) {
    const form = this.form, task = this.task, away = this.away();
    switch (verb) {
      case "arrive": {
        if (task.lat === null) {
          return `<p class="m">${esc(this.t("This case has no exact place: check in where it is."))}</p>`;
        }
        const card = form.measuring
          ? esc(this.t("Looking where you are…"))
          : form.here
          ? (away <= task.limit_m
            ? `<b class="green">✓ ${
              esc(
                this.t("{n} m from the place, inside the limit of {limit} m", {
                  n: away,
                  limit: task.limit_m,
                }),
              )
            }</b>`
            : `<b class="red">■ ${esc(this.t("{n} m too far", { n: away - task.limit_m }))}</b><br>${
              esc(this.t("{n} m from the place; the limit is {limit} m", { n: away, limit: task.limit_m }))
            }`) +
            `<div class="m">${
              esc(this.t("The phone is sure to about {n} m", { n: form.here.accuracy }))
            }</div>`
          : `<b class="yellow">▲ ${esc(this.t("The phone does not say where it is."))}</b>`;
        const asks = !form.measuring && (away === null || away > task.limit_m);
        return `<section class="card loc"><div>${card}</div><div class="do"><button class="B sm n" data-do="measure">${
          esc(this.t("Look again"))
        }</button></div></section>${asks ? this.text_(this.t("Check in all the same? Write why.")) : ""}`;
      }
      case "dispose":
      case "solve": {
        const two = task.mode === "one_grid";
        const side = (slot, words) =>
          `<div>${this.step_(words)}${
            this.photoRow(form.photos.filter((p) => p.slot === slot), two ? 1 : 3, slot)
          }</div>`;
        const results = [this.t("Done"), this.t("Partly done")];
        return `<div class="ba">${two ? side("before", this.t("Before")) : ""}${
          side("after", this.t("After"))
        }</div>${
          two ? `<p class="m">${esc(this.t("From the same angle it is easier to check."))}</p>` : ""
        }` +
          this.step_(this.t("Result")) +
          this.chips_("result", results.map((words, n) => [n, words]), form.result) +
          this.text_(this.t("What was done"), false) +
          (task.dispute
            ? `<label class="ck"><input type="checkbox" data-in="settled" ${form.settled ? "checked" : ""}>${
              esc(this.t("The dispute is settled"))
            }</label>`
            : "") +
          this.step_(this.t("Closing standard"), this.t("others check it; you first")) +
          this.data.standards.map(([code, words]) =>
            `<label class="ck"><input type="checkbox" data-in="standard-${code}" ${
              form[`standard-${code}`] ? "checked" : ""
            }>${esc(words)}</label>`
          ).join("");
      }
      case "check":
        return this.step_(this.t("Is it as reported?")) +
          this.chips_("real", [["yes", this.t("Yes")], ["no", this.t("No")]], form.real) +
          this.text_(this.t("What you see"));
      case "verify":
        return `<p class="m">${
          esc(
            this.t("Look at the place. Pass it only if it is as it should be; nobody checks their own work."),
          )
        }</p>`;
      case "rate_whistle":
        return this.step_(this.t("How did the team do?"), this.t("1 poor, 5 very good")) +
          this.chips_("rating", [1, 2, 3, 4, 5].map((n) => [n, String(n)]), form.rating);
      case "ask_extension":
        return this.step_(this.t("How much longer?")) +
          this.chips_("limit", EXTENSIONS.map((limit) => [limit, this.data.limits[limit]]), form.limit) +
          this.text_(this.t("Reason"));
      case "whistle":
        return this.step_(this.t("Kind of whistle")) +
          this.chips_("kind", [["hard", this.t("hard problem")], ["joint", this.t("joint enforcement")], [
            "emergency",
            this.t("emergency"),
          ]], form.kind) + this.text_(this.t("Reason"));
      case "note":
        return this.text_(this.t("Note"));
      case "decline":
        return this.step_(this.t("Kind of return")) +
          this.chips_("back", [["not_ours", this.t("not our unit's")], [
            "no_means",
            this.t("no hands or means for it now"),
          ], ["other", this.t("another reason")]], form.back) + this.text_(this.t("Reason"));
      case "rework":
        return this.text_(this.t("Reason"));
    }
    return "";
  },

  /** Return what the form says as the body of a step, or the sentence that says what is missing. */
  bodyOf() {
    const { form, task } = this, text = form.text.trim(), verb = form.verb;
    const body = { incident_id: task.id, verb };
    switch (verb) {
      case "arrive": {
        if (form.measuring) return this.t("Looking where you are…");
        const away = this.away();
        if (form.here) body.position = form.here;
        if (task.lat !== null && (away === null || away > task.limit_m)) {
          if (!text) return this.t("Check in all the same? Write why.");
          body.reason = text;
        }
        return body;
      }
      case "dispose":
      case "solve": {
        if (
          task.mode === "one_grid" &&
          (!form.photos.some((p) => p.slot === "before") || !form.photos.some((p) => p.slot === "after"))
        ) return this.t("Take both photos, before and after.");
        const result = form.result === 0 ? this.t("Done") : this.t("Partly done");
        body.result = text ? `${result}: ${text}` : result;
        body.standard = this.data.standards.map(([code]) => code).filter((code) => form[`standard-${code}`]);
        if (task.dispute) body.settled = form.settled;
        return body;
      }
      case "check":
        if (form.real === null || !text) return this.t("Say whether it is so, and what you see.");
        return { ...body, real: form.real === "yes", result: text };
      case "rate_whistle":
        return form.rating ? { ...body, rating: form.rating } : this.t("Choose 1 to 5.");
      case "ask_extension":
        return text ? { ...body, limit: form.limit, reason: text } : this.t("Write the reason.");
      case "whistle":
        return text ? { ...body, whistle_kind: form.kind, reason: text } : this.t("Write the reason.");
      case "note":
        return text ? { ...body, note: text } : this.t("Write the note.");
      case "decline":
        return !form.back
          ? this.t("Choose the kind of return.")
          : text
          ? { ...body, return_kind: form.back, reason: text }
          : this.t("Write the reason.");
      case "rework":
        return text ? { ...body, reason: text } : this.t("Write the reason.");
    }
    return body;
  },

  async sendStep(task, body, photos) {
    const name = this.data.verbs[body.verb] ?? body.verb;
    const entry = {
      id: newId(),
      owner: this.data.who.login,
      kind: "step",
      state: "waiting",
      written: Date.now(),
      title: `${name}　${task.title}`,
      ends: ENDS.has(body.verb),
      photos,
      body,
    };
    this.task = this.form = null;
    await this.arrive(entry, `${name}　${task.title}`);
  },

  async actTask(what, data) {
    if (this.view !== "task") return false;
    const form = this.form;
    switch (what) {
      case "verb":
        this.begin_(data.verb);
        this.render();
        if (data.verb === "arrive") this.measure();
        return true;
      case "measure":
        this.measure();
        return true;
      case "set": {
        const number = ["rating", "result"].includes(data.name);
        form[data.name] = number ? Number(data.value) : data.value;
        this.render();
        return true;
      }
      case "do": {
        const body = this.bodyOf();
        if (typeof body === "string") {
          this.tell(body, "bad");
          return true;
        }
        await this.sendStep(this.task, body, form.photos);
        return true;
      }
    }
    return false;
  },
});

const mounted = new WeakMap();

export default function (component) {
  const host = component.parentElement.querySelector(".gw-host") ?? component.parentElement;
  const known = mounted.get(host);
  if (known) {
    clearTimeout(known.leaving);
    known.field.update(component.data);
  } else {
    mounted.set(host, { field: new Field(host, component.data), leaving: 0 });
  }
  const { field } = mounted.get(host);
  field.done = (number) => component.setTriggerValue?.("sent", number);
  return () => {
    const entry = mounted.get(host);
    // A rerun may unmount and mount in one breath; only a page that stays away is taken down.
    if (entry) {
      entry.leaving = setTimeout(() => {
        mounted.delete(host);
        entry.field.stop();
      }, 300);
    }
  };
}
