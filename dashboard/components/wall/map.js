// The map of a wall: fills by Plotly, marks and names as elements above it, so that they look as in the lists.

import { markup, put } from "../shared/markup.js";
import { every, one } from "../shared/page.js";
import { letter, rampOf } from "./telling.js";

/** @import { Markup } from "../shared/markup.js" */
/** @import * as Wire from "../shared/messages.d.ts" */

/** @typedef {[left: number, top: number, right: number, bottom: number]} Rect */
/** @typedef {{ center: { lon: number, lat: number }, zoom: number }} View */
/** @typedef {{ west: number, east: number, south: number, north: number }} Bounds */
/** @typedef {{ features: { id: string, geometry: { coordinates: unknown } }[] }} Shapes as GeoJSON nests them */
/** @typedef {HTMLElement & { on: (event: string, heard: (said: any) => void) => void }} Plotted */

/**
 * What of Plotly is used; it comes without types.
 * @typedef {object} Plotly
 * @property {(box: HTMLElement, data: unknown[], layout: object, config: object) => Promise<void>} newPlot
 * @property {(box: HTMLElement, update: object, traces: number[]) => void} restyle
 * @property {(box: HTMLElement, update: object) => Promise<void>} relayout
 * @property {(box: HTMLElement) => void} purge
 * @property {{ resize: (box: HTMLElement) => void }} Plots
 */

/**
 * What the map needs of its wall.
 * @typedef {object} Around
 * @property {HTMLElement} root
 * @property {Wire.WallTiles} tiles
 * @property {{ plotly: string }} data
 * @property {(text: string) => string} t
 * @property {(extra: Record<string, string>) => string} query
 * @property {(area: string, push: boolean) => void} open
 */

const VIEW_BACK_MS = 120000; // a moved map goes back by itself
const FIT_AFTER_MS = 200;
const NAMES = 12; // of areas without a mark, the worst first
const ALL_NAMES = 60; // so few areas are all named, where there is room
const CITY = 1;
// Where a mark may stand, in its own widths from its place, the nearest first: nine may share one village.
const SPOTS = [...Array(49).keys()]
  .map((n) => [(n % 7) - 3, Math.floor(n / 7) - 3])
  .sort((a, b) => Math.hypot(...a) - Math.hypot(...b));
const NEAR = [[0, 0], [0, 0.7], [0, -0.7]];
const COUNTY = [...NEAR, [0, 1.4], [0, -1.4], [0.6, 0], [-0.6, 0], [0.6, 1], [-0.6, -1]];

// A shape says its name alone: Plotly would write a second box beside it.
// deno-lint-ignore house/tagged-markup -- Plotly's own form, filled in by Plotly
const HOVER = "%{text}<extra></extra>";

const loaded = /** @type {{ Plotly?: Plotly }} */ (globalThis);
/** @type {Promise<Plotly> | null} */
let loading = null;

/**
 * @param {string} url
 * @returns {Promise<Plotly>}
 */
function loadPlotly(url) {
  if (loaded.Plotly) return Promise.resolve(loaded.Plotly);
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    const failed = () => {
      loading = null;
      reject(new Error("plotly"));
    };
    script.src = url;
    script.onload = () => loaded.Plotly ? resolve(loaded.Plotly) : failed();
    script.onerror = failed;
    document.head.append(script);
  });
  return loading;
}

/** @param {number} lat */
const mercator = (lat) => (1 - Math.asinh(Math.tan((lat * Math.PI) / 180)) / Math.PI) / 2;

/**
 * @param {Shapes} shapes
 * @returns {Bounds}
 */
export function boundsOf(shapes) {
  const found = { west: 180, east: -180, south: 90, north: -90 };
  /** @param {unknown} part */
  const walk = (part) => {
    if (!Array.isArray(part)) return;
    const [lon, lat] = part;
    if (typeof lon !== "number") part.forEach(walk);
    else {
      found.west = Math.min(found.west, lon);
      found.east = Math.max(found.east, lon);
      found.south = Math.min(found.south, lat);
      found.north = Math.max(found.north, lat);
    }
  };
  shapes.features.forEach((feature) => walk(feature.geometry.coordinates));
  return found;
}

/** A place that marks and names are set on, each where it touches nothing that stands already. */
class Sheet {
  /**
   * @param {number} wide
   * @param {number} high
   */
  constructor(wide, high) {
    this.wide = wide;
    this.high = high;
    /** @type {Rect[]} */
    this.taken = [];
    /** @type {Markup[]} */
    this.written = [];
  }

  /** @param {Rect} rect */
  free([left, top, right, bottom]) {
    return left >= 0 && top >= 0 && right <= this.wide && bottom <= this.high &&
      !this.taken.some((o) => left < o[2] && right > o[0] && top < o[3] && bottom > o[1]);
  }
}

export class WallMap {
  /** @param {Around} wall */
  constructor(wall) {
    this.wall = wall;
    /** @type {string | null} */
    this.code = null;
    this.serial = 0;
    /** @type {View | null} */
    this.view = null;
    /** @type {Bounds | null} */
    this.bounds = null;
    /** @type {HTMLElement | null} */
    this.plotted = null;
    /** @type {string[]} */
    this.codes = [];
    this.z = "";
    this.moved = 0;
    this.fitting = 0;
    this.pen = document.createElement("canvas").getContext("2d");
  }

  get box() {
    return one(this.wall.root, ".plot");
  }

  /** @param {string} name */
  colour(name) {
    return getComputedStyle(this.wall.root).getPropertyValue(name).trim();
  }

  drop() {
    if (this.plotted) loaded.Plotly?.purge(this.plotted);
    this.plotted = null;
  }

  /** Show nothing any more. */
  clear() {
    this.drop();
    this.code = null;
    put(this.box, "");
  }

  async draw() {
    const head = this.wall.tiles.head;
    if (!head) return;
    if (this.code !== head.code) {
      this.code = head.code;
      await this.begin(head);
    } else if (this.plotted && this.codes.length) {
      const z = this.values(head);
      if (z.join() !== this.z) {
        this.z = z.join();
        loaded.Plotly?.restyle(this.plotted, { z: [z] }, [0]);
      }
    }
    this.marks();
  }

  /** @param {Wire.Head} head */
  values(head) {
    /** @type {Map<string, Wire.Rate>} */
    const rates = new Map(head.shown.map(([code], n) => [code, this.wall.tiles.map?.[n] ?? [0, 0]]));
    return this.codes.map((code) => rampOf(rates.get(code) ?? [0, 0]));
  }

  /**
   * @param {Wire.Head} head
   * @param {number} level
   * @returns {Promise<Shapes>}
   */
  async fetched(head, level) {
    const query = this.wall.query({ level: String(level) });
    const answer = await fetch(`/shapes/${encodeURIComponent(head.code)}.geojson?${query}`);
    if (!answer.ok) throw new Error(`shapes: ${answer.status}`);
    return answer.json();
  }

  /** @param {Wire.Head} head */
  async begin(head) {
    const serial = ++this.serial;
    try {
      const [plotly, shapes, outlines] = await Promise.all([
        loadPlotly(this.wall.data.plotly),
        this.fetched(head, head.map_level),
        head.level === CITY ? this.fetched(head, 2) : null,
      ]);
      if (serial !== this.serial) return;
      this.drop();
      this.codes = shapes.features.map((feature) => feature.id);
      this.bounds = boundsOf(shapes);
      const box = this.box, z = this.values(head);
      this.z = z.join();
      if (!this.codes.length) {
        put(box, markup`<p class="nothing">${this.wall.t("no smaller areas with a position")}</p>`);
        return;
      }
      put(box, "");
      const view = this.view = this.fitted(this.bounds);
      await plotly.newPlot(box, [this.fills(head, shapes, z)], this.layout(head, outlines, view), {
        displayModeBar: false,
        scrollZoom: true,
        doubleClick: "reset",
        responsive: false,
      });
      if (serial !== this.serial) return;
      this.plotted = box;
      this.follow(/** @type {Plotted} */ (box));
      this.marks();
    } catch {
      if (serial !== this.serial) return;
      this.code = null; // tried again with the next change
      put(this.box, markup`<p class="nothing">${this.wall.t("the map cannot be drawn here")}</p>`);
    }
  }

  /**
   * @param {Wire.Head} head
   * @param {Shapes} shapes
   * @param {number[]} z
   */
  fills(head, shapes, z) {
    const ramp = [0, 1, 2, 3, 4].map((n) => this.colour(`--m${n}`));
    const names = new Map(head.shown.map(([code, name]) => [code, name]));
    return {
      type: "choroplethmap",
      geojson: shapes,
      featureidkey: "id",
      locations: this.codes,
      z,
      zmin: -0.5,
      zmax: 4.5,
      colorscale: ramp.flatMap((colour, n) => [[n / 5, colour], [(n + 1) / 5, colour]]),
      showscale: false,
      text: this.codes.map((code) => names.get(code) ?? code),
      hovertemplate: HOVER,
      marker: { opacity: 1, line: { color: this.colour("--m-line"), width: this.px(0.12) } },
    };
  }

  /**
   * @param {Wire.Head} head
   * @param {Shapes | null} outlines
   * @param {View} view
   */
  layout(head, outlines, view) {
    const line = { color: this.colour("--m-county"), line: { width: this.px(0.2) } };
    const background = { "background-color": this.colour("--tile") };
    return {
      map: {
        style: { version: 8, sources: {}, layers: [{ id: "bg", type: "background", paint: background }] },
        center: view.center,
        zoom: view.zoom,
        layers: outlines ? [{ sourcetype: "geojson", source: outlines, type: "line", ...line }] : [],
      },
      uirevision: head.code,
      margin: { l: 0, r: 0, t: 0, b: 0 },
      paper_bgcolor: "rgba(0,0,0,0)",
      autosize: true,
      dragmode: "pan",
      hoverlabel: {
        bgcolor: this.colour("--tile-2"),
        bordercolor: this.colour("--line-2"),
        font: { color: this.colour("--ink"), size: this.px(2), family: "sans-serif" },
      },
    };
  }

  /** @param {Plotted} box */
  follow(box) {
    box.on("plotly_click", (event) => this.wall.open(event.points[0].location, true));
    /** @param {Record<string, any>} change */
    const moved = (change) => {
      if (!this.view) return;
      const center = change["map.center"] ?? this.view.center, zoom = change["map.zoom"] ?? this.view.zoom;
      this.view = { center, zoom };
      this.moved = Date.now();
      this.marks();
    };
    box.on("plotly_relayouting", moved);
    box.on("plotly_relayout", moved);
  }

  /** @param {number} rem */
  px(rem) {
    return rem * parseFloat(getComputedStyle(document.documentElement).fontSize);
  }

  /**
   * @param {Bounds} bounds
   * @returns {View}
   */
  fitted({ west, east, south, north }) {
    const box = this.box, y = mercator;
    const width = box.clientWidth - this.px(1), height = box.clientHeight - this.px(9);
    const zoom = Math.log2(Math.min(width / ((east - west) / 360), height / (y(south) - y(north))) / 512);
    // A little above the middle: the ramp and the notice stand below.
    const middle = (y(south) + y(north)) / 2 + this.px(2.5) / (512 * 2 ** zoom);
    const lat = (Math.atan(Math.sinh(Math.PI * (1 - 2 * middle))) * 180) / Math.PI;
    return { center: { lon: (west + east) / 2, lat }, zoom };
  }

  fit() {
    clearTimeout(this.fitting);
    this.fitting = setTimeout(async () => {
      if (!this.plotted || !this.bounds) return;
      const { center, zoom } = this.view = this.fitted(this.bounds);
      loaded.Plotly?.Plots.resize(this.plotted);
      await loaded.Plotly?.relayout(this.plotted, { "map.center": center, "map.zoom": zoom });
      this.moved = 0;
      this.marks();
    }, FIT_AFTER_MS);
  }

  idle() {
    if (this.moved && Date.now() - this.moved > VIEW_BACK_MS) {
      this.moved = 0;
      this.fit();
    }
  }

  /**
   * @param {View} view
   * @param {number | null} lon
   * @param {number | null} lat
   * @returns {[x: number, y: number]}
   */
  at({ center, zoom }, lon, lat) {
    const box = this.box, size = 512 * 2 ** zoom;
    const x = box.clientWidth / 2 + (((lon ?? 0) - center.lon) / 360) * size;
    return [x, box.clientHeight / 2 + (mercator(lat ?? 0) - mercator(center.lat)) * size];
  }

  /** Place marks and names; a name that would touch something already placed tries other sides, then gives way. */
  marks() {
    const over = one(this.wall.root, ".over"), { head } = this.wall.tiles, view = this.view;
    if (!view || !head || !this.plotted) {
      put(over, "");
      return;
    }
    const box = this.box,
      sheet = new Sheet(box.clientWidth, box.clientHeight),
      b = box.getBoundingClientRect();
    for (const legend of every(this.wall.root, ".tile-map .legend, .tile-map .schem")) {
      const a = legend.getBoundingClientRect();
      sheet.taken.push([a.left - b.left, a.top - b.top, a.right - b.left, a.bottom - b.top]);
    }
    const done = this.keys(sheet, view, head);
    this.names(sheet, view, head, done);
    put(over, markup`${sheet.written}`);
  }

  /**
   * Set the marks of what the lists show, with the names of their areas beside them; return whose names stand.
   * @param {Sheet} sheet
   * @param {View} view
   * @param {Wire.Head} head
   */
  keys(sheet, view, head) {
    const { reds, whistles } = this.wall.tiles, rem = this.px(1), half = 1.5 * rem;
    /** @type {[row: Wire.RedLine | Wire.WhistleLine, text: string | number, kind: string][]} */
    const marks = [];
    for (const [n, row] of (reds?.rows ?? []).entries()) {
      marks.push([row, n + 1, row.light === "red" ? "r" : "y"]);
    }
    for (const [n, row] of (whistles?.rows ?? []).entries()) marks.push([row, letter(n), "w"]);
    /** @param {number} x @param {number} y @returns {Rect} */
    const spot = (x, y) => [x - half, y - half, x + half, y + half];
    /** @type {[row: Wire.RedLine | Wire.WhistleLine, x: number, y: number][]} */
    const placed = [];
    for (const [row, text, kind] of marks) {
      if (row.lon === null || row.lat === null) continue;
      const [x, y] = this.at(view, row.lon, row.lat);
      // What lies outside what the map shows has its mark in the list alone.
      if (x < 0 || y < 0 || x > sheet.wide || y > sheet.high) continue;
      const place = SPOTS.map(([dx, dy]) => [x + dx * 2 * half, y + dy * 2 * half])
        .find(([left, top]) => sheet.free(spot(left, top)));
      if (!place) continue;
      const [left, top] = place;
      sheet.taken.push(spot(left, top));
      const style = `left:${left.toFixed(1)}px;top:${top.toFixed(1)}px`;
      sheet.written.push(markup`<i class="key ${kind}" style="${style}">${text}</i>`);
      placed.push([row, left, top]);
    }
    const done = new Set();
    for (const [row, x, y] of placed) {
      const own = head.shown.find(([code]) => row.area.startsWith(code));
      if (!own || done.has(own[0])) continue;
      done.add(own[0]);
      this.name(sheet, own[1], [x, y], 2, "marked", [[1, 0], [-1, 0], [0, 1], [0, -1]]);
    }
    return done;
  }

  /**
   * Write a name on the first of its spots that is free.
   * @param {Sheet} sheet
   * @param {string} text
   * @param {[x: number, y: number]} place
   * @param {number} size in rem
   * @param {string} kind
   * @param {number[][]} spots in its own widths from its place
   */
  name(sheet, text, [x, y], size, kind, spots) {
    if (!this.pen) return;
    const rem = this.px(1), family = getComputedStyle(this.wall.root).fontFamily, gap = 0.4 * rem;
    this.pen.font = `${kind === "county" ? 700 : 400} ${size * rem}px ${family}`;
    const w = this.pen.measureText(text).width, h = size * rem * 1.2;
    for (const [dx, dy] of spots) {
      const cx = x + dx * (w / 2 + 2 * rem), cy = y + dy * (h / 2 + 1.7 * rem);
      /** @type {Rect} */
      const rect = [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2];
      if (!sheet.free([rect[0] - gap, rect[1], rect[2] + gap, rect[3]])) continue;
      sheet.taken.push(rect);
      const style = `left:${cx.toFixed(1)}px;top:${cy.toFixed(1)}px`;
      sheet.written.push(markup`<b class="name ${kind}" style="${style}">${text}</b>`);
      return;
    }
  }

  /**
   * Write the names of the areas: the worst, of a city its counties, and all where they are few.
   * @param {Sheet} sheet
   * @param {View} view
   * @param {Wire.Head} head
   * @param {Set<string>} done
   */
  names(sheet, view, head, done) {
    const map = this.wall.tiles.map;
    const areas = head.shown.map((area, n) => ({
      area,
      rate: map?.[n] ?? /** @type {Wire.Rate} */ ([0, 0]),
    }));
    const named = areas.filter(({ area: [code, , lon] }) => lon !== null && !done.has(code));
    /** @param {Wire.Rate} rate */
    const share = ([red, open]) => red / (open || 1);
    const worst = named.filter(({ rate }) => rampOf(rate) >= 2)
      .sort((a, b) => share(b.rate) - share(a.rate)).slice(0, NAMES);
    /** @param {Wire.Shown} area */
    const label = ([, name, lon, lat]) => this.name(sheet, name, this.at(view, lon, lat), 1.8, "", NEAR);
    if (head.level > CITY) worst.forEach(({ area }) => label(area));
    for (const [name, lon, lat] of head.outlines) {
      this.name(sheet, name, this.at(view, lon, lat), 2.2, "county", COUNTY);
    }
    if (head.level === CITY) worst.forEach(({ area }) => label(area));
    if (head.level > CITY && named.length <= ALL_NAMES) {
      for (const each of named) if (!worst.includes(each)) label(each.area);
    }
  }
}
