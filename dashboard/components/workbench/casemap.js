// The small map: outlines of the areas around, the case, reports like it, and the teams that are offered first.

import { markup, put } from "../shared/markup.js";
import { Part } from "./desk.js";

/** @import { Given } from "../shared/page.js" */
/** @import { PartData } from "./desk.js" */

/**
 * Something on the map. A team has its wordings, each a list of lines, the fullest first.
 * @typedef {object} Mark
 * @property {"case" | "like" | "team"} kind
 * @property {number} lon
 * @property {number} lat
 * @property {string} [title]
 * @property {string} [label]
 * @property {string} [light]
 * @property {string[][]} [wordings]
 */
/** @typedef {[code: string, ring: [lon: number, lat: number][]]} Outline */
/** @typedef {PartData & { id: number, own: string, marks: Mark[], outlines: Outline[] }} MapData */
/** @typedef {[left: number, top: number, right: number, bottom: number]} Rect */

const METRE = 1 / 111195; // in degrees of latitude
const NEAR_M = 6000, LEAST_M = 250, LIKE_M = 60;
const SMALL_SCREEN_PX = 1500, LOW_PX = 150, HIGH_PX = 240, WIDE_PX = 480, NARROW_PX = 320;
const LINE_PX = 17, FONT_PX = 14;
const VILLAGE_DIGITS = 12;
const BARS_M = [50, 100, 200, 500, 1000, 2000], LONGEST_BAR_M = 5000, BAR_PX = 50;

/** @param {number} n */
const round = (n) => n.toFixed(1);

/** How the map lies on the screen, in the units of the screen, so that letters keep their size in a small pane. */
class Sheet {
  /**
   * @param {Mark} here
   * @param {Mark[]} near
   * @param {number} wide
   * @param {number} high
   */
  constructor(here, near, wide, high) {
    this.here = here;
    this.wide = wide;
    this.high = high;
    this.cx = wide / 2;
    this.cy = high / 2;
    this.narrow = Math.cos((here.lat * Math.PI) / 180);
    const reaches = near.map((mark) =>
      Math.max(Math.abs(mark.lon - here.lon) * this.narrow, Math.abs(mark.lat - here.lat) * 1.5)
    );
    this.reach = Math.max(LEAST_M * METRE, ...reaches) * 1.25;
    this.scale = Math.min(wide, high * 1.6) / 2 / this.reach;
    this.low = wide < NARROW_PX ? 32 : 12;
    // Labels keep clear of the pin, of the scale, of the note and of each other.
    /** @type {Rect[]} */
    this.taken = [
      [this.cx - 17, this.cy - 40, this.cx + 17, this.cy + 4],
      [8, high - this.low - 20, 120, high - this.low + 6],
      [wide - 250, high - 24, wide, high],
    ];
  }

  /** @param {number} lon */
  x(lon) {
    return this.cx + (lon - this.here.lon) * this.narrow * this.scale;
  }

  /** @param {number} lat */
  y(lat) {
    return this.cy - (lat - this.here.lat) * this.scale;
  }
}

/** @extends {Part<MapData>} */
export class CaseMap extends Part {
  /**
   * @param {HTMLElement} host
   * @param {Given<MapData>} given
   */
  constructor(host, given) {
    super(host, given);
    this.same = "";
    this.pen = document.createElement("canvas").getContext("2d");
    this.draw();
  }

  /** @override */
  heard() {}

  /** @override */
  draw() {
    const { outlines, marks } = this.data, same = JSON.stringify([this.data.id, marks, outlines.length]);
    if (same === this.same) return;
    this.same = same;
    const here = marks.find((mark) => mark.kind === "case");
    if (!here) {
      const none = this.t("The report has no point: only its area is known.");
      put(this.host, markup`<div class="gwq-map"><p>${none}</p></div>`);
      return;
    }
    const narrow = Math.cos((here.lat * Math.PI) / 180);
    const near = marks.filter((mark) =>
      Math.hypot((mark.lon - here.lon) * narrow, mark.lat - here.lat) < NEAR_M * METRE
    );
    const high = innerWidth <= SMALL_SCREEN_PX ? LOW_PX : HIGH_PX;
    const sheet = new Sheet(here, near, this.host.clientWidth || WIDE_PX, high), { wide, cx, cy } = sheet;
    const likes = near.filter((mark) => mark.kind === "like");
    const note = this.t("Schematic, no basis for boundaries");
    put(
      this.host,
      markup`
        <div class="gwq-map">
          <svg viewBox="0 0 ${wide} ${high}" preserveAspectRatio="xMidYMid slice" role="img"
            aria-label="${this.t("map")}">
            ${this.areas(sheet)}
            ${this.around(sheet, likes)}
            ${this.teams(sheet, marks)}
            ${this.likes(sheet, likes)}
            <path class="case ${here.light}" d="M${cx} ${cy}c-3-9-13-13-13-23a13 13 0 0 1 26 0c0 10-10 14-13 23z"/>
            ${this.bar(sheet)}
          </svg>
          <span>${note}</span>
        </div>`,
    );
  }

  /** @param {Sheet} sheet */
  areas(sheet) {
    const { outlines, own } = this.data;
    return outlines.map(([code, ring]) => {
      const cell = code.length > VILLAGE_DIGITS, kind = code === own ? "own" : cell ? "cell" : "";
      const path = ring.map(([lon, lat]) => `${round(sheet.x(lon))} ${round(sheet.y(lat))}`).join("L");
      return markup`<path class="${kind}" d="M${path}Z"/>`;
    });
  }

  /**
   * How near a report must lie to be most likely of the same matter.
   * @param {Sheet} sheet
   * @param {Mark[]} likes
   */
  around({ cx, cy, scale }, likes) {
    return likes.length
      ? markup`<circle class="near" cx="${cx}" cy="${cy}" r="${round(LIKE_M * METRE * scale)}"/>`
      : "";
  }

  /**
   * @param {Sheet} sheet
   * @param {Mark[]} likes
   */
  likes(sheet, likes) {
    return likes.map(({ lon, lat, title, label }) =>
      markup`
        <circle class="like" cx="${round(sheet.x(lon))}" cy="${round(sheet.y(lat))}" r="6">
          <title>${title} ${label}</title>
        </circle>`
    );
  }

  /**
   * A team far off stands at the edge in its direction: where it comes from is seen, how far is said.
   * @param {Sheet} sheet
   * @param {Mark[]} marks
   */
  teams(sheet, marks) {
    const { wide, high, cx, cy, taken } = sheet;
    const placed = marks.filter((mark) => mark.kind === "team").map((mark) => {
      const dx = sheet.x(mark.lon) - cx, dy = sheet.y(mark.lat) - cy;
      const within = Math.min(
        1,
        (wide / 2 - 16) / Math.abs(dx || 1e-9),
        (high / 2 - 34) / Math.abs(dy || 1e-9),
      );
      const px = cx + dx * within, py = cy + dy * within;
      taken.push([px - 9, py - 9, px + 9, py + 6]);
      return { wordings: mark.wordings ?? [], px, py, far: within < 1 };
    });
    return placed.map(({ wordings, px, py, far }) =>
      markup`
        <path class="way" d="M${cx} ${cy}L${round(px)} ${round(py)}"/>
        <path class="team${far ? " far" : ""}" d="M${round(px)} ${round(py - 9)}l9 15h-18z"/>
        ${this.label(sheet, wordings, px, py)}`
    );
  }

  /**
   * @param {Sheet} sheet
   * @param {string[][]} wordings
   * @param {number} px
   * @param {number} py
   */
  label(sheet, wordings, px, py) {
    const found = this.placed(sheet, wordings, px, py);
    if (!found) return "";
    const { lines, w, h, left, top } = found;
    sheet.taken.push([left, top, left + w, top + h]);
    const spans = lines.map((words, n) =>
      markup`<tspan x="${round(left)}" y="${round(top + FONT_PX + n * LINE_PX)}">${words}</tspan>`
    );
    return markup`<text>${spans}<title>${wordings[0].join(" ")}</title></text>`;
  }

  /**
   * Find a label's place. Labels are never cut: the fullest of its wordings that finds a place inside, outward from its
   * mark first, then on the mark's other side; where none does, the shortest stands where it would like to.
   * @param {Sheet} sheet
   * @param {string[][]} wordings
   * @param {number} px
   * @param {number} py
   */
  placed({ wide, high, cx, cy, taken }, wordings, px, py) {
    let last = null;
    for (const lines of wordings) {
      const w = Math.max(...lines.map((words) => this.long(words))),
        h = LINE_PX * lines.length,
        edge = wide - w - 6;
      const lefts = px >= cx ? [px - 8, px - w + 8] : [px - w + 8, px - 8];
      lefts.push(Math.max(6, Math.min(edge, px - w / 2)));
      const below = [py + 10, py + 30], above = [py - h - 10, py - h - 29];
      const [first, then] = py < cy ? [above, below] : [below, above];
      const tops = [first[0], then[0], first[1], then[1], 2, 20, 38];
      for (const left of lefts) {
        if (left < 6 || left > edge) continue;
        const top = tops.find((each) =>
          each >= 2 && each + h <= high - 3 &&
          taken.every((box) => left > box[2] || left + w < box[0] || each > box[3] || each + h < box[1])
        );
        if (top !== undefined) return { lines, w, h, left, top };
      }
      const left = Math.max(6, Math.min(edge, lefts[0])), top = Math.max(2, Math.min(high - h - 3, tops[0]));
      last = { lines, w, h, left, top };
    }
    return last;
  }

  /**
   * How long words are, in px.
   * @param {string} words
   */
  long(words) {
    if (!this.pen) return words.length * FONT_PX;
    this.pen.font = `${FONT_PX}px ${getComputedStyle(this.host).fontFamily}`;
    return Math.ceil(this.pen.measureText(words).width) + 4;
  }

  /** @param {Sheet} sheet */
  bar({ scale, high, low }) {
    const metres = BARS_M.find((m) => m * METRE * scale > BAR_PX) ?? LONGEST_BAR_M;
    const length = (metres * METRE * scale).toFixed(0),
      name = metres < 1000 ? `${metres} m` : `${metres / 1000} km`;
    return markup`
      <path class="bar" d="M14 ${high - low}h${length}"/>
      <text class="m" x="14" y="${high - low - 5}">${name}</text>`;
  }
}
