// The map of a place: which grid a point lies in, and a pin that stands still while the map is drawn under it.

const PIN_SURE_M = 150; // a pin set by hand is not a measured place: the server marks it as not confirmed
const MAP_WIDTH_M = 700, MAP_LEAST_M = 80, MAP_MOST_M = 40000, MAP_STEP = 1.8, MAP_TAP_PX = 6;
const MAP_TALL = 0.72, SMALL_TALL = 0.8; // height by width
const SMALL_WIDTH_M = 260;

Object.assign(Field.prototype, {
  /** Read the outlines of the grids once: from this phone first, then from the server, where a line is. */
  async readMap() {
    if (this.map || this.readingMap) return;
    this.readingMap = true;
    const key = `map-${this.data.lang}`;
    try {
      const known = await this.box.recall(key);
      if (known) this.useMap(known);
      const answer = await this.box.ask(
        "/phone/map",
        known?.tag ? { headers: { "If-None-Match": known.tag } } : {},
        15000,
      );
      if (answer.ok) {
        const found = { ...(await answer.json()), tag: answer.headers.get("etag") ?? "" };
        this.useMap(found);
        this.box.remember(key, found);
      }
    } catch { /* without a map the list of grids is there */ }
    this.readingMap = false;
  },

  useMap(found) {
    if (!found.areas?.length) return;
    const all = found.areas.flatMap((each) => each.rings.flat());
    const [lon, lat] = [0, 1].map((n) =>
      (Math.min(...all.map((p) => p[n])) + Math.max(...all.map((p) => p[n]))) / 2
    );
    const flat = Math.cos((lat * Math.PI) / 180);
    const to = ([x, y]) => [(x - lon) * flat * METRES_PER_DEGREE, (lat - y) * METRES_PER_DEGREE];
    const areas = found.areas.map((each) => {
      const rings = each.rings.map((ring) => ring.map(to));
      const xs = rings.flat().map((p) => p[0]), ys = rings.flat().map((p) => p[1]);
      return {
        code: each.code,
        name: each.name,
        rings,
        box: [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)],
        d: rings.map((ring) => `M${ring.map(([x, y]) => `${Math.round(x)} ${Math.round(y)}`).join("L")}Z`)
          .join(""),
      };
    });
    this.map = {
      areas,
      to,
      from: ([x, y]) => ({ lon: lon + x / flat / METRES_PER_DEGREE, lat: lat - y / METRES_PER_DEGREE }),
    };
    if (this.view === "report" && !this.typing()) this.render();
  },

  typing() {
    return ["TEXTAREA", "INPUT"].includes(document.activeElement?.tagName) &&
      this.root.contains(document.activeElement);
  },

  gridAt([x, y]) {
    return this.map?.areas.find(({ box, rings }) =>
      x >= box[0] && x <= box[2] && y >= box[1] && y <= box[3] && rings.reduce((inside, ring) => {
        for (let n = 0, m = ring.length - 1; n < ring.length; m = n++) {
          const [ax, ay] = ring[n], [bx, by] = ring[m];
          if ((ay > y) !== (by > y) && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
        }
        return inside;
      }, false)
    );
  },

  gridOf(point) {
    return point && this.map ? this.gridAt(this.map.to([point.lon, point.lat])) : undefined;
  },

  /** Where the map looks: at the point, else at the grid that was chosen, else at one's own area. */
  centre(draft) {
    if (draft.body.position && !draft.body.area) {
      return this.map.to([draft.body.position.lon, draft.body.position.lat]);
    }
    const within = (code) => code && this.map.areas.filter((each) => each.code.startsWith(code));
    const seen = [within(draft.body.area), within(this.data.who.code)].find((some) => some?.length) ??
      this.map.areas;
    const mid = (low, high) =>
      (Math.min(...seen.map((each) => each.box[low])) + Math.max(...seen.map((each) => each.box[high]))) / 2;
    return [mid(0, 2), mid(1, 3)];
  },

  /** Draw what lies around a centre, `wide` metres across; only what is seen is drawn. */
  outlines([x, y], wide, tall, marked) {
    const half = [wide, wide * tall]; // twice what is seen: a drag shows no bare edge
    const seen = this.map.areas.filter(({ box }) =>
      box[2] > x - half[0] && box[0] < x + half[0] && box[3] > y - half[1] && box[1] < y + half[1]
    );
    const path = (each, kind) => `<path class="${kind}" d="${each.d}"/>`;
    return seen.map((each) => path(each, "")).join("") + (marked ? path(marked, "on") : "");
  },

  box_([x, y], wide, tall) {
    return [x - wide / 2, y - (wide * tall) / 2, wide, wide * tall].map((n) => n.toFixed(1)).join(" ");
  },

  smallMap(draft) {
    if (!this.map || !draft.body.position) return "";
    const at = this.centre(draft), wide = Math.max(SMALL_WIDTH_M, draft.body.position.accuracy * 4);
    return `<button class="mp" data-do="pick" aria-label="${
      esc(this.t("Not right: move the pin"))
    }"><svg viewBox="${this.box_(at, wide, SMALL_TALL)}" preserveAspectRatio="xMidYMid slice">${
      this.outlines(at, wide, SMALL_TALL, this.gridAt(at))
    }<circle class="sure" cx="${at[0]}" cy="${
      at[1]
    }" r="${draft.body.position.accuracy}"/></svg><i class="pin"></i></button>`;
  },

  bigMap(draft) {
    if (!this.map) return "";
    const at = this.centre(draft), wide = draft.wide ?? MAP_WIDTH_M;
    return `<div class="map" data-map><svg tabindex="0" role="application" aria-label="${
      esc(this.t("Map: move it until the pin stands where it is"))
    }" viewBox="${this.box_(at, wide, MAP_TALL)}" preserveAspectRatio="xMidYMid slice">${
      this.outlines(at, wide, MAP_TALL, this.gridAt(at))
    }</svg><i class="pin"></i>` +
      `<span class="zoom"><button data-do="zoom" data-by="${1 / MAP_STEP}" aria-label="${
        esc(this.t("Closer"))
      }">＋</button><button data-do="zoom" data-by="${MAP_STEP}" aria-label="${
        esc(this.t("Farther"))
      }">−</button></span><em>${
        esc(this.t("Schematic, {n} m across; no evidence of boundaries", { n: Math.round(wide / 10) * 10 }))
      }</em></div>`;
  },

  /** Let the map be drawn under the pin by a finger, and by the arrow keys. */
  mapped() {
    const at = this.root.querySelector("[data-map] svg"), draft = this.draft;
    if (!at || !draft || at.dataset.alive) return;
    at.dataset.alive = "1";
    const wide = draft.wide ?? MAP_WIDTH_M, centre = this.centre(draft);
    let from = null, moved = [0, 0];
    const scale = () => wide / at.getBoundingClientRect().width;
    at.addEventListener("pointerdown", (event) => {
      from = [event.clientX, event.clientY];
      moved = [0, 0];
      at.setPointerCapture?.(event.pointerId);
    });
    at.addEventListener("pointermove", (event) => {
      if (!from) return;
      moved = [event.clientX - from[0], event.clientY - from[1]];
      at.setAttribute(
        "viewBox",
        this.box_([centre[0] - moved[0] * scale(), centre[1] - moved[1] * scale()], wide, MAP_TALL),
      );
    });
    at.addEventListener("pointercancel", () => {
      from = null;
      at.setAttribute("viewBox", this.box_(centre, wide, MAP_TALL));
    });
    at.addEventListener("pointerup", (event) => {
      if (!from) return;
      from = null;
      const seen = at.getBoundingClientRect(), tapped = Math.hypot(...moved) < MAP_TAP_PX;
      // A drag moves the map; a tap brings what was tapped under the pin.
      const by = tapped
        ? [seen.left + seen.width / 2 - event.clientX, seen.top + seen.height / 2 - event.clientY]
        : moved;
      this.pinned(draft, [centre[0] - by[0] * scale(), centre[1] - by[1] * scale()]);
    });
    at.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!step) return;
      event.preventDefault();
      this.pinned(draft, [centre[0] + (step[0] * wide) / 12, centre[1] + (step[1] * wide) / 12]);
      this.root.querySelector("[data-map] svg")?.focus();
    });
  },

  pinned(draft, point) {
    const { lon, lat } = this.map.from(point);
    Object.assign(draft, { pinned: true });
    draft.body.position = { lon: Number(lon.toFixed(6)), lat: Number(lat.toFixed(6)), accuracy: PIN_SURE_M };
    delete draft.body.area;
    this.save();
    this.render();
  },

  zoomed(by) {
    const draft = this.draft;
    draft.wide = Math.min(MAP_MOST_M, Math.max(MAP_LEAST_M, (draft.wide ?? MAP_WIDTH_M) * by));
    this.render();
  },
});
