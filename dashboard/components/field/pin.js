// The map of a place: which grid a point lies in, and a pin that stands still while the map is drawn under it.

import { markup } from "../shared/markup.js";
import { every } from "../shared/page.js";
import { METRES_PER_DEGREE, Phone } from "./phone.js";

/** @import { GridMap } from "../shared/messages.d.ts" */
/** @import { Entry } from "./outbox.js" */
/** @import { Grid, GridPlan, Point, Spot } from "./phone.js" */

const PIN_SURE_M = 150; // a pin set by hand is not a measured place: the server marks it as not confirmed
const MAP_WIDTH_M = 700, MAP_LEAST_M = 80, MAP_MOST_M = 40000, MAP_STEP = 1.8, MAP_TAP_PX = 6;
const MAP_TALL = 0.72, SMALL_TALL = 0.8; // height by width
const SMALL_WIDTH_M = 260, MAP_WAIT_MS = 15000;
const FIT = markup` preserveAspectRatio="xMidYMid slice"`;

/**
 * Lay the outlines of grids into a plane of metres around their middle.
 * @param {GridMap} found
 * @returns {GridPlan | null}
 */
export function planOf(found) {
  const all = found.areas.flatMap((each) => each.rings.flat());
  if (!all.length) return null;
  /** @param {0 | 1} n */
  const middle = (n) => (Math.min(...all.map((p) => p[n])) + Math.max(...all.map((p) => p[n]))) / 2;
  const lon = middle(0), lat = middle(1), narrow = Math.cos((lat * Math.PI) / 180);
  /** @param {number} x @param {number} y @returns {Spot} */
  const to = (x, y) => [(x - lon) * narrow * METRES_PER_DEGREE, (lat - y) * METRES_PER_DEGREE];
  /** @param {Spot} spot */
  const from = ([x, y]) => ({ lon: lon + x / narrow / METRES_PER_DEGREE, lat: lat - y / METRES_PER_DEGREE });
  const areas = found.areas.map((each) => {
    const flat = each.rings.map((ring) => ring.map(([x, y]) => to(x, y)));
    const xs = flat.flat().map((p) => p[0]), ys = flat.flat().map((p) => p[1]);
    /** @type {Grid["box"]} */
    const box = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
    const line = flat.map((ring) => ring.map(([x, y]) => `${Math.round(x)} ${Math.round(y)}`).join("L"));
    return { ...each, flat, box, d: line.map((each) => `M${each}Z`).join("") };
  });
  return { areas, to, from };
}

/**
 * Return the grid that a spot lies in.
 * @param {Grid[]} areas
 * @param {Spot} spot
 */
export function gridAt(areas, [x, y]) {
  return areas.find(({ box, flat }) => {
    if (x < box[0] || x > box[2] || y < box[1] || y > box[3]) return false;
    let inside = false;
    for (const ring of flat) {
      for (let n = 0, m = ring.length - 1; n < ring.length; m = n++) {
        const [ax, ay] = ring[n], [bx, by] = ring[m];
        if ((ay > y) !== (by > y) && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
      }
    }
    return inside;
  });
}

/**
 * What of the plane is seen, `wide` metres across.
 * @param {Spot} middle
 * @param {number} wide
 * @param {number} tall
 */
const seenBox = ([x, y], wide, tall) =>
  [x - wide / 2, y - (wide * tall) / 2, wide, wide * tall].map((n) => n.toFixed(1)).join(" ");

/** A phone that knows the grids around. */
export class Mapped extends Phone {
  /**
   * Read the outlines of the grids once: from this phone first, then from the server, where a line is.
   * @override
   */
  async readMap() {
    if (this.map || this.readingMap) return;
    this.readingMap = true;
    const key = `map-${this.data.lang}`;
    try {
      /** @type {(GridMap & { tag: string }) | null} */
      const known = await this.box.recall(key);
      if (known) this.useMap(known);
      const headers = known?.tag ? { "If-None-Match": known.tag } : undefined;
      const answer = await this.box.ask("/phone/map", { headers }, MAP_WAIT_MS);
      if (answer.ok) {
        const found = { ...(await answer.json()), tag: answer.headers.get("etag") ?? "" };
        this.useMap(found);
        this.box.remember(key, found);
      }
    } catch { /* without a map the list of grids is there */ }
    this.readingMap = false;
  }

  /** @param {GridMap} found */
  useMap(found) {
    const plan = planOf(found);
    if (!plan) return;
    this.map = plan;
    if (this.view === "report" && !this.typing()) this.render();
  }

  typing() {
    const at = document.activeElement;
    return at !== null && ["TEXTAREA", "INPUT"].includes(at.tagName) && this.root.contains(at);
  }

  /** @param {Point | undefined} point */
  gridOf(point) {
    return point && this.map ? gridAt(this.map.areas, this.map.to(point.lon, point.lat)) : undefined;
  }

  /**
   * Where the map looks: at the point, else at the grid that was chosen, else at one's own area.
   * @param {GridPlan} map
   * @param {Entry} draft
   * @returns {Spot}
   */
  centre(map, draft) {
    const { position, area } = draft.body;
    if (position && !area) return map.to(position.lon, position.lat);
    /** @param {string | undefined} code */
    const within = (code) => code ? map.areas.filter((each) => each.code.startsWith(code)) : [];
    const seen = [within(area), within(this.data.who.code)].find((some) => some.length) ?? map.areas;
    /** @param {0 | 1} low @param {2 | 3} high */
    const middle = (low, high) =>
      (Math.min(...seen.map((each) => each.box[low])) + Math.max(...seen.map((each) => each.box[high]))) / 2;
    return [middle(0, 2), middle(1, 3)];
  }

  /**
   * Draw what lies around a centre, `wide` metres across; only what is seen is drawn.
   * @param {GridPlan} map
   * @param {Spot} middle
   * @param {number} wide
   * @param {number} tall
   */
  outlines(map, [x, y], wide, tall) {
    // Twice what is seen: a drag shows no bare edge.
    const seen = map.areas.filter(({ box }) =>
      box[2] > x - wide && box[0] < x + wide && box[3] > y - wide * tall && box[1] < y + wide * tall
    );
    const marked = gridAt(map.areas, [x, y]);
    return markup`
      ${seen.map((each) => markup`<path class="" d="${each.d}"/>`)}
      ${marked && markup`<path class="on" d="${marked.d}"/>`}`;
  }

  /** @param {Entry} draft */
  smallMap(draft) {
    const { map } = this, { position } = draft.body;
    if (!map || !position) return "";
    const at = this.centre(map, draft), wide = Math.max(SMALL_WIDTH_M, position.accuracy * 4);
    return markup`
      <button class="mp" data-do="pick" aria-label="${this.t("Not right: move the pin")}">
        <svg viewBox="${seenBox(at, wide, SMALL_TALL)}"${FIT}>
          ${this.outlines(map, at, wide, SMALL_TALL)}
          <circle class="sure" cx="${at[0]}" cy="${at[1]}" r="${position.accuracy}"/>
        </svg>
        <i class="pin"></i>
      </button>`;
  }

  /** @param {Entry} draft */
  bigMap(draft) {
    const { map } = this;
    if (!map) return "";
    const at = this.centre(map, draft), wide = draft.wide ?? MAP_WIDTH_M, n = Math.round(wide / 10) * 10;
    const label = this.t("Map: move it until the pin stands where it is");
    return markup`
      <div class="map" data-map>
        <svg tabindex="0" role="application" aria-label="${label}" viewBox="${
      seenBox(at, wide, MAP_TALL)
    }"${FIT}>
          ${this.outlines(map, at, wide, MAP_TALL)}
        </svg>
        <i class="pin"></i>
        <span class="zoom">
          <button data-do="zoom" data-by="${1 / MAP_STEP}" aria-label="${this.t("Closer")}">＋</button>
          <button data-do="zoom" data-by="${MAP_STEP}" aria-label="${this.t("Farther")}">−</button>
        </span>
        <em>${this.t("Schematic, {n} m across; no evidence of boundaries", { n })}</em>
      </div>`;
  }

  /** Let the map be drawn under the pin by a finger, and by the arrow keys. */
  mapped() {
    const at = every(this.root, "[data-map] svg")[0], { draft, map } = this;
    if (!at || !draft || !map || at.dataset.alive) return;
    at.dataset.alive = "1";
    const wide = draft.wide ?? MAP_WIDTH_M, [x, y] = this.centre(map, draft);
    /** @type {Spot | null} */
    let from = null;
    /** @type {Spot} */
    let moved = [0, 0];
    const scale = () => wide / at.getBoundingClientRect().width;
    /** @param {Spot} middle */
    const look = (middle) => at.setAttribute("viewBox", seenBox(middle, wide, MAP_TALL));
    /** @param {Spot} by in px @returns {Spot} */
    const under = (by) => [x - by[0] * scale(), y - by[1] * scale()];
    at.addEventListener("pointerdown", (event) => {
      from = [event.clientX, event.clientY];
      moved = [0, 0];
      at.setPointerCapture?.(event.pointerId);
    });
    at.addEventListener("pointermove", (event) => {
      if (!from) return;
      moved = [event.clientX - from[0], event.clientY - from[1]];
      look(under(moved));
    });
    at.addEventListener("pointercancel", () => {
      from = null;
      look([x, y]);
    });
    at.addEventListener("pointerup", (event) => {
      if (!from) return;
      from = null;
      const seen = at.getBoundingClientRect(), tapped = Math.hypot(...moved) < MAP_TAP_PX;
      // A drag moves the map; a tap brings what was tapped under the pin.
      /** @type {Spot} */
      const by = tapped
        ? [seen.left + seen.width / 2 - event.clientX, seen.top + seen.height / 2 - event.clientY]
        : moved;
      this.pinned(draft, map, under(by));
    });
    at.addEventListener("keydown", (event) => {
      /** @type {Record<string, Spot>} */
      const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
      const step = steps[event.key];
      if (!step) return;
      event.preventDefault();
      this.pinned(draft, map, [x + (step[0] * wide) / 12, y + (step[1] * wide) / 12]);
      every(this.root, "[data-map] svg")[0]?.focus();
    });
  }

  /**
   * @param {Entry} draft
   * @param {GridPlan} map
   * @param {Spot} spot
   */
  pinned(draft, map, spot) {
    const { lon, lat } = map.from(spot);
    draft.pinned = true;
    draft.body.position = { lon: Number(lon.toFixed(6)), lat: Number(lat.toFixed(6)), accuracy: PIN_SURE_M };
    delete draft.body.area;
    this.save();
    this.render();
  }

  /** Keep the draft soon. */
  save() {}

  /** @param {number} by */
  zoomed(by) {
    const { draft } = this;
    if (!draft) return;
    draft.wide = Math.min(MAP_MOST_M, Math.max(MAP_LEAST_M, (draft.wide ?? MAP_WIDTH_M) * by));
    this.render();
  }
}
