// What the server sends: written by `python -m dashboard.live.declarations --write`, never by hand.

/** One event of a wall's stream: the server's time and the data's, and what changed since the number before. */
export interface WallMessage {
  now: number;
  at: number;
  n?: number;
  full?: boolean;
  tiles?: WallTiles;
}

/** The tiles of a wall that changed, or all of them. */
export interface WallTiles {
  head?: Head;
  six?: Six;
  rank?: Rank;
  duty?: Duty;
  map?: Rate[];
  parts?: Below[];
  reds?: Reds;
  whistles?: Whistles;
  raised?: Raised;
  ten?: Theme[];
  ticker?: HappenedLine[];
}

/** What a wall is of. */
export interface Head {
  code: string;
  level: number;
  unit: string;
  crumbs: Crumb[];
  cells: Cells[];
  demo: boolean;
  wartime: Wartime | null;
  schematic: boolean;
  map_level: number;
  by: string;
  shown: Shown[];
  outlines: Outline[];
  parts: string;
  periods: Periods;
}

/** An area above. */
export type Crumb = [code: string, name: string];

/** How many areas of a level lie inside, and what they are called. */
export type Cells = [count: number, word: string];

/** The gravest wartime of an area: its level (1 red .. 4 blue), what it is, and where unless that is here. */
export interface Wartime {
  level: number;
  what: string;
  where: string;
}

/** An area that the map fills; one without a position has none. */
export type Shown = [code: string, name: string, lon: number | null, lat: number | null];

/** A county's name on a city's map, and where it stands. */
export type Outline = [name: string, lon: number | null, lat: number | null];

/** How old a tile may be before it has no colours any more, in ms: the live ones, and those read once a minute. */
export interface Periods {
  live: number;
  minute: number;
}

/** The counters of today and, once they are known, of the same time last week. */
export interface Six {
  now: number[];
  then: number[] | null;
}

/** The ranking of a month, its first and its last rows. */
export interface Rank {
  at: number;
  rows: Ranked[];
  all: number;
  who: string;
}

/** An area in the ranking: its place, its disposals in time among all, and what the late ones were about. */
export type Ranked = [place: number, code: string, name: string, good: number, base: number, cause: Cause | null];

/** What an area's late disposals of the month were about most, and how many. */
export type Cause = [wordings: string[], count: number];

/** Teams that are ready among all, and people on the roster: full-time, part-time, professional. */
export interface Duty {
  at: number;
  teams: [number, number];
  workers: [number, number, number];
}

/** The overdue cases of an area on the map, among its open ones. */
export type Rate = [red: number, open: number];

/** An area of the tile below the map. */
export type Below = [code: string, name: string, red: number, yellow: number, open: number];

/** What is past its limit and near it. */
export interface Reds {
  red: number;
  yellow: number;
  rows: RedLine[];
}

/** An incident past its limit or near it. */
export interface RedLine {
  id: string;
  sev: number;
  type: string[];
  place: string[];
  step: string;
  holder: string[];
  up: number;
  area: string;
  lon: number | null;
  lat: number | null;
  light: string;
  due: number | null;
  next: NextUp | null;
}

/** When, and to which level (2 county, 1 city), an incident goes up if nothing happens. */
export type NextUp = [at: number, level: number];

/** The whistles that wait. */
export interface Whistles {
  all: number;
  over: number;
  rows: WhistleLine[];
  lately: Lately;
  axis: Axis;
}

/** A whistle that waits: when it was sent, its limits that are awaited, and when its light turns yellow. */
export interface WhistleLine {
  id: string;
  sev: number;
  type: string[];
  place: string[];
  step: string;
  holder: string[];
  up: number;
  area: string;
  lon: number | null;
  lat: number | null;
  sent: number;
  answer: number | null;
  arrive: number | null;
  near: number | null;
  to: string[];
  kind: string[];
}

/** How the whistles of the last day went. */
export interface Lately {
  sent: number;
  answered: number;
  in_time: number;
  last: LateWhistle[];
}

/** A whistle of late whose unit came: when, after how many minutes, and whether in time. */
export interface LateWhistle {
  at: number;
  took: number;
  in_time: boolean;
  type: string[];
  place: string[];
  to: string[];
}

/** The minutes of a whistle's bar: its limits for the answer and for reporting in, and where the bar ends. */
export interface Axis {
  answer: number;
  report_in: number;
  end: number;
}

/** What went up today, or was supervised. */
export interface Raised {
  escalated: number;
  supervised: number;
  rows: HappenedLine[];
}

/** What was done with an incident, and when. */
export interface HappenedLine {
  id: string;
  sev: number;
  type: string[];
  place: string[];
  step: string;
  holder: string[];
  up: number;
  area: string;
  lon: number | null;
  lat: number | null;
  at: number;
  what: string;
}

/** An area of work: reported today and by this time last week, overdue, near its limit. */
export type Theme = [wordings: string[], today: number, then: number | null, red: number, yellow: number];

/** One event of a desk's stream: as of a wall's, with the rows that changed and how many there are in all. */
export interface DeskMessage {
  now: number;
  at: number;
  n?: number;
  full?: boolean;
  all?: number;
  rows?: QueueRow[];
  bursts?: Burst[];
}

/** A case in the queue of a desk; `stage` is empty once it has ended. `near` is when its light turns yellow. */
export interface QueueRow {
  id: string;
  seq: number;
  no: string;
  sev: number;
  type: string;
  short: string;
  place: string;
  town: string;
  at: string;
  stage: string;
  state: string;
  holder: string;
  clock: string;
  due: number | null;
  near: number | null;
  left: number | null;
  paused: string;
  up: boolean;
  verb: string;
  by: string;
  who: string;
  when: number;
  since: number;
}

/** Many cases that are one matter. */
export interface Burst {
  key: string;
  name: string;
  ids: string[];
}

/** The whole whistle board. */
export interface BoardMessage {
  rows: BoardRow[];
  rates: BoardRate[];
  inside: number;
  more: number;
  axis: Axis;
}

/** A whistle of the board. `due` is its limit that comes, `yellow` when its light turns; `light` how it came out. */
export interface BoardRow {
  id: number;
  part: number;
  number: string;
  title: string;
  severity: number;
  place: string;
  team: string;
  kind: string;
  state: string;
  over: boolean;
  review: boolean;
  sent: number;
  answered: number | null;
  arrived: number | null;
  done: number | null;
  ended: boolean;
  rating: number | null;
  answer_due: number | null;
  arrive_due: number | null;
  due: number | null;
  yellow: number | null;
  light: string;
  late_answer: boolean;
}

/** A rate of today: `n` of `d`, or `n` in `d` points where `top` is more than one. */
export interface BoardRate {
  name: string;
  n: number;
  d: number;
  top: number;
}

/** All that waits for whoever is in the field. */
export interface TasksMessage {
  tasks: Task[];
}

/** What waits for whoever is in the field; `yellow` is when its light turns. */
export interface Task {
  id: number;
  number: string;
  title: string;
  category: string;
  severity: number;
  text: string;
  place: string;
  lon: number | null;
  lat: number | null;
  sure: boolean;
  state: string;
  mode: string;
  verb: string;
  verbs: string[];
  clock: string;
  due: number | null;
  yellow: number | null;
  paused: string | null;
  whistle: boolean;
  arrived: number | null;
  dispute: boolean;
  photos: string[];
  limit_m: number;
}

/** The outlines of the grids around. */
export interface GridMap {
  areas: GridArea[];
}

/** A grid on the phone's map: its rings as [longitude, latitude]. */
export interface GridArea {
  code: string;
  name: string;
  rings: [number, number][][];
}
