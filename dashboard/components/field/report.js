// A report in three taps: a photo, a place, a type; what is written is kept at every letter.

import { markup } from "../shared/markup.js";
import { one } from "../shared/page.js";
import { newId, shrunk } from "./outbox.js";
import { metres, place } from "./phone.js";
import { Mapped } from "./pin.js";

/** @import { Entry, Fault, Photo } from "./outbox.js" */
/** @import { View } from "./phone.js" */

const PHOTOS_MOST = 6, TYPES_FIRST = 5;
const SAVE_AFTER_MS = 300, SUGGEST_AFTER_MS = 500, SUGGEST_WAIT_MS = 5000;
const SURE_M = 100;
const TITLE_LETTERS = 12, SUGGEST_LETTERS = 2;

/** A phone that reports. */
export class Reporting extends Mapped {
  /** @param {Photo} photo */
  picture(photo) {
    if (!photo.blob) return `/photos/${photo.name}/small`;
    const known = this.pictures.get(photo.blob) ?? URL.createObjectURL(photo.blob);
    this.pictures.set(photo.blob, known);
    return known;
  }

  /**
   * @param {Photo[]} photos
   * @param {number} most
   * @param {string} slot
   */
  photoRow(photos, most, slot = "") {
    const shown = photos.map((photo, n) => {
      const told = photo.used ? this.t("used before") : this.clock.hhmm(photo.at),
        remove = this.t("Remove this photo");
      return markup`
        <span>
          <img alt="" src="${this.picture(photo)}">
          <em>${told}</em>
          <button class="x" data-do="unphoto" data-n="${n}" data-slot="${slot}" aria-label="${remove}">×</button>
        </span>`;
    });
    const add = photos.length < most && markup`
      <label class="add">
        ＋<br>${photos.length ? this.t("One more") : this.t("Take a photo")}
        <input type="file" accept="image/*" capture="environment" data-slot="${slot}" hidden>
      </label>`;
    const again = this.t("This photo is on another case already. Take a new one on the spot.");
    const used = photos.some((photo) => photo.used) && markup`<p class="red">■ ${again}</p>`;
    return markup`<div class="phs">${shown}${add || ""}</div>${used || ""}`;
  }

  /**
   * A step's name with its number, or a mark once it is done.
   * @param {string} kind
   * @param {string | number} mark
   * @param {string} name
   * @param {string} note
   */
  stepHead(kind, mark, name, note) {
    return markup`<div class="step"><i class="${kind}">${mark}</i>${name}<span class="m">${note}</span></div>`;
  }

  /**
   * @param {Entry} draft
   * @returns {View}
   */
  viewReport(draft) {
    const n = draft.photos.length, { body } = draft;
    const words = markup`<textarea data-in="text" rows="2" maxlength="500" placeholder="${
      this.t("In a few words, if you like")
    }">${body.text}</textarea>`;
    const later = markup`<button class="lk" data-do="words">${
      this.t("Write first, the photo later")
    }</button>`;
    const most = this.t("{n}, at most {most}", { n, most: PHOTOS_MOST });
    const photo = markup`
      <div>
        ${this.stepHead(n ? "ok" : "", n ? "✓" : 1, this.t("Photo"), most)}
        ${this.photoRow(draft.photos, PHOTOS_MOST)}
        ${n || draft.wordsFirst ? "" : later}
      </div>`;
    const danger = this.t("Somebody is hurt or it burns: call 119 or 120 first.");
    const html = markup`
      ${draft.wordsFirst && words}${photo}
      ${this.placePart(draft)}
      ${this.typePart(draft)}
      ${!draft.wordsFirst && words}
      <p class="m">
        ${this.t("It counts from when you wrote it, also without a line.")} <span class="red">${danger}</span>
      </p>`;
    const foot = markup`
      <button class="B n" data-do="keep">${this.t("Keep for later")}</button>
      <button class="B p" data-do="send">${this.t("Send")}</button>`;
    return [this.t("Report"), html, foot, true];
  }

  /** @param {Entry} draft */
  typePart(draft) {
    const { body } = draft,
      codes = this.data.types.map(([code]) => code),
      names = Object.fromEntries(this.data.types);
    const first = [body.category, draft.hint, ...this.data.often].filter(Boolean);
    const ordered = [...new Set([...first, ...codes])].filter((code) => names[code]);
    const list = draft.every ? codes : ordered.slice(0, TYPES_FIRST);
    const cats = list.map((code) => {
      const on = code === body.category;
      return markup`
        <button class="cat ${on ? "on" : ""}" data-do="type" data-code="${code}" aria-pressed="${String(on)}">
          ${names[code]}
        </button>`;
    });
    const all = this.t("All {n} types", { n: codes.length });
    const why = draft.hint && draft.hintWords?.length
      ? this.t("by your words: {words}", { words: draft.hintWords.join(this.t(", ")) })
      : this.t("what you report most comes first");
    const more = draft.every ? "" : markup`<button class="cat" data-do="types">${all} ›</button>`;
    return markup`
      <div>
        ${this.stepHead(body.category ? "ok" : "", body.category ? "✓" : 2, this.t("What is it?"), why)}
        <div class="cats">${cats}${more}</div>
      </div>`;
  }

  /** @param {Entry} draft */
  where(draft) {
    const { position: point } = draft.body,
      area = this.data.places.find(([code]) => code === draft.body.area);
    const doubt = markup`<span class="yellow">▲ ${this.t("place not confirmed")}</span>`;
    if (point && !(draft.pick && area)) {
      const measured = !draft.pinned,
        unnamed = measured ? this.t("Where this phone is") : this.t("Where the pin stands");
      const sure = measured ? this.t("to about {n} m", { n: point.accuracy }) : this.t("set by hand");
      const told = point.accuracy > SURE_M ? markup`　${doubt}` : "";
      return markup`<b>${this.gridOf(point)?.name ?? unnamed}</b><br><span class="d">${sure}</span>${told}`;
    }
    if (area) return markup`<b>${area[1]}</b><br>${doubt}`;
    if (draft.locating) return markup`${this.t("Looking where you are…")}`;
    const ask = this.map
      ? this.t("Move the map until the pin stands there, or choose the grid.")
      : this.t("Choose the grid below.");
    return markup`<b class="yellow">▲ ${this.t("The phone does not say where it is.")}</b><br>${ask}`;
  }

  /** @param {Entry} draft */
  placePart(draft) {
    const { body, pick } = draft, point = body.position, measured = point && !draft.pinned;
    const sure = measured && point.accuracy <= SURE_M && !pick;
    const said = point || this.data.places.some(([code]) => code === body.area);
    const small = pick ? "" : this.smallMap(draft);
    const again = markup`<button class="B sm n" data-do="locate">${this.t("Look again")}</button>`;
    const choose = markup`<button class="B sm n" data-do="pick">${this.t("Not right: choose")}</button>`;
    const move = markup`<button class="lk" data-do="pick">${this.t("Not right: move the pin")}</button>`;
    const buttons = pick ? again : small ? move : point ? [again, choose] : again;
    const note = measured ? this.t("by itself, ±{n} m", { n: point.accuracy }) : "";
    return markup`
      <div>
        ${this.stepHead(sure ? "ok" : "doubt", said ? "✓" : "!", this.t("Place"), note)}
        <div class="card loc ${small ? "two" : ""}">
          ${small}
          <div>${this.where(draft)}<div class="do">${buttons}</div></div>
        </div>
        ${!point || pick ? this.picking(draft) : ""}
      </div>`;
  }

  /** @param {Entry} draft */
  picking(draft) {
    const { area, address } = draft.body;
    const options = this.data.places.map(([code, name]) =>
      markup`<option value="${code}"${code === area ? markup` selected` : ""}>${name}</option>`
    );
    const street = this.t("Street, house, landmark");
    return markup`
      ${this.bigMap(draft)}
      <select data-in="area" aria-label="${this.t("Grid")}">
        <option value="">${this.t("Choose the grid")}</option>
        ${options}
      </select>
      <input data-in="address" maxlength="200" placeholder="${street}" value="${address}">`;
  }

  async newReport() {
    /** @type {Entry} */
    const draft = {
      id: newId(),
      owner: this.data.who.login,
      kind: "report",
      state: "draft",
      open: true,
      title: "",
      written: Date.now(),
      photos: [],
      body: { text: "", address: "" },
    };
    this.draft = draft;
    this.view = "report";
    this.render();
    this.readMap();
    await this.locate(draft);
  }

  /**
   * @override
   * @param {Entry | null} draft
   */
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
    if (!draft) {
      this.later();
      return;
    }
    draft.locating = false;
    if (this.draft !== draft) return;
    this.save();
    this.render();
  }

  /** @override */
  save() {
    clearTimeout(this.saving);
    const { draft } = this;
    if (draft) this.saving = setTimeout(() => this.saveNow(draft), SAVE_AFTER_MS);
  }

  /** @override */
  async saveNow(draft = this.draft) {
    clearTimeout(this.saving);
    if (!draft || this.draft !== draft) return;
    draft.saved = Date.now();
    draft.title = this.titleOf(draft);
    await this.box.put(draft);
  }

  /** @param {Entry} draft */
  titleOf(draft) {
    const named = this.data.types.find(([code]) => code === draft.body.category);
    return named?.[1] ?? String(draft.body.text ?? "").slice(0, TITLE_LETTERS);
  }

  /**
   * Ask which type the words of a draft speak of.
   * @param {Entry} draft
   */
  suggest(draft) {
    clearTimeout(this.suggesting);
    const text = draft.body.text.trim();
    if (text.length < SUGGEST_LETTERS) return;
    this.suggesting = setTimeout(async () => {
      try {
        const answer = await this.box.ask("/phone/suggest", {
          method: "POST",
          body: JSON.stringify({ text }),
          headers: { "Content-Type": "application/json" },
        }, SUGGEST_WAIT_MS);
        /** @type {{ category: string | null, words: string[] }} */
        const said = await answer.json();
        if (!answer.ok || this.draft !== draft || draft.hint === said.category) return;
        draft.hint = said.category;
        draft.hintWords = said.words;
        this.renderWritten();
      } catch { /* without a line the list stays as it is */ }
    }, SUGGEST_AFTER_MS);
  }

  /** Draw anew, and leave whoever writes where they write. */
  renderWritten() {
    const box = this.root.querySelector("textarea"),
      at = box?.selectionStart ?? 0,
      inner = this.root.getRootNode();
    const within = inner instanceof ShadowRoot && inner.activeElement === box;
    const typing = box && (document.activeElement === box || within);
    this.render();
    if (!typing) return;
    const again = this.root.querySelector("textarea");
    again?.focus({ preventScroll: true });
    again?.setSelectionRange(at, at);
  }

  async sendReport() {
    const { draft } = this;
    if (!draft) return;
    const { body } = draft;
    if (!body.category && !body.text.trim()) {
      this.tell(this.t("Choose what it is, or write a few words."), "bad");
      return;
    }
    if (!body.position && !body.area && !body.address.trim()) {
      this.tell(this.t("Say where: choose the grid or write the address."), "bad");
      return;
    }
    clearTimeout(this.saving);
    /** @type {Record<string, unknown>} */
    const sent = {
      text: body.text.trim(),
      address: body.address.trim(),
      written_at: new Date(draft.written).toISOString(),
    };
    if (body.category) sent.category = body.category;
    if (body.area && (draft.pick || !body.position)) sent.area = body.area;
    else if (body.position) sent.position = body.position;
    const title = this.titleOf(draft);
    Object.assign(draft, { body: sent, state: "waiting", open: false, tries: 0, next: 0, title });
    this.draft = null;
    await this.arrive(draft, this.t("Report"));
  }

  /**
   * @override
   * @param {HTMLInputElement} input
   */
  async photographed(input) {
    const file = input.files?.[0];
    input.value = "";
    if (!file) return;
    /** @type {Photo} */
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
    } catch (thrown) {
      const fault = /** @type {Fault} */ (thrown), status = fault.answer?.status ?? 0;
      if (status === 422 || status === 413) {
        into.photos.splice(into.photos.indexOf(photo), 1);
        this.tell(fault.said?.said ?? this.t("The photo was refused."), "bad");
      }
    }
    if (into === this.draft) this.save();
    if (into === this.draft || into === this.form) this.render();
  }

  /** Take a photo away again. @param {DOMStringMap} data */
  unphoto({ slot, n }) {
    const into = this.view === "report" ? this.draft : this.form;
    if (!into) return;
    const list = slot ? into.photos.filter((photo) => photo.slot === slot) : into.photos;
    into.photos.splice(into.photos.indexOf(list[Number(n)]), 1);
    if (into === this.draft) this.save();
    this.render();
  }

  async keepDraft() {
    clearTimeout(this.saving);
    const { draft } = this;
    if (!draft) return;
    this.draft = null;
    const empty = !draft.photos.length && !draft.body.text.trim() && !draft.body.category;
    if (empty) await this.box.drop(draft.id);
    else await this.box.put(Object.assign(draft, { saved: Date.now(), title: this.titleOf(draft) }));
  }

  /** Open the first field to write into. */
  write() {
    one(this.root, "textarea").focus();
  }

  /**
   * How far the case is from here, in metres; null where either is not known.
   * @param {{ lon: number | null, lat: number | null }} task
   */
  far(task, here = this.here) {
    return here && task.lat !== null ? metres(here, task) : null;
  }
}
