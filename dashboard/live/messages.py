"""What goes over the wire to the scripts of the browser, each message a type: encoded here, checked in the script.

`python -m dashboard.live.declarations --write` writes the same types for the scripts. Instants are milliseconds since
1970 (UTC); names and sentences are in the language of the screen; wordings of one thing come the fullest first.
"""

from __future__ import annotations

from typing import Final

from msgspec import UNSET, Struct, UnsetType

# ---- the wall ----


class Wartime(Struct, frozen=True, gc=False):
    """The gravest wartime of an area: its level (1 red .. 4 blue), what it is, and where unless that is here."""

    level: int
    what: str
    where: str


class Crumb(Struct, frozen=True, array_like=True, gc=False):
    """An area above."""

    code: str
    name: str


class Cells(Struct, frozen=True, array_like=True, gc=False):
    """How many areas of a level lie inside, and what they are called."""

    count: int
    word: str


class Shown(Struct, frozen=True, array_like=True, gc=False):
    """An area that the map fills; one without a position has none."""

    code: str
    name: str
    lon: float | None
    lat: float | None


class Outline(Struct, frozen=True, array_like=True, gc=False):
    """A county's name on a city's map, and where it stands."""

    name: str
    lon: float | None
    lat: float | None


class Periods(Struct, frozen=True, gc=False):
    """How old a tile may be before it has no colours any more, in ms: the live ones, and those read once a minute."""

    live: int
    minute: int


class Axis(Struct, frozen=True, gc=False):
    """The minutes of a whistle's bar: its limits for the answer and for reporting in, and where the bar ends."""

    answer: int
    report_in: int
    end: int


class Head(Struct, frozen=True):
    """What a wall is of."""

    code: str
    level: int
    unit: str
    crumbs: list[Crumb]
    cells: list[Cells]
    demo: bool
    wartime: Wartime | None
    schematic: bool
    map_level: int
    by: str
    shown: list[Shown]
    outlines: list[Outline]
    parts: str
    periods: Periods


class Six(Struct, frozen=True):
    """The counters of today and, once they are known, of the same time last week."""

    now: list[int]
    then: list[int] | None


class Cause(Struct, frozen=True, array_like=True):
    """What an area's late disposals of the month were about most, and how many."""

    wordings: list[str]
    count: int


class Ranked(Struct, frozen=True, array_like=True):
    """An area in the ranking: its place, its disposals in time among all, and what the late ones were about."""

    place: int
    code: str
    name: str
    good: int
    base: int
    cause: Cause | None


class Rank(Struct, frozen=True):
    """The ranking of a month, its first and its last rows."""

    at: int
    rows: list[Ranked]
    all: int
    who: str


class Duty(Struct, frozen=True):
    """Teams that are ready among all, and people on the roster: full-time, part-time, professional."""

    at: int
    teams: tuple[int, int]
    workers: tuple[int, int, int]


class Rate(Struct, frozen=True, array_like=True, gc=False):
    """The overdue cases of an area on the map, among its open ones."""

    red: int
    open: int


class Below(Struct, frozen=True, array_like=True, gc=False):
    """An area of the tile below the map."""

    code: str
    name: str
    red: int
    yellow: int
    open: int


class Line(Struct, frozen=True):
    """What every list of a wall says of an incident."""

    id: str
    sev: int
    type: list[str]
    place: list[str]
    step: str
    holder: list[str]
    up: int
    area: str
    lon: float | None
    lat: float | None


class NextUp(Struct, frozen=True, array_like=True, gc=False):
    """When, and to which level (2 county, 1 city), an incident goes up if nothing happens."""

    at: int
    level: int


class RedLine(Line, frozen=True):
    """An incident past its limit or near it."""

    light: str
    due: int | None
    next: NextUp | None


class Reds(Struct, frozen=True):
    """What is past its limit and near it."""

    red: int
    yellow: int
    rows: list[RedLine]


class WhistleLine(Line, frozen=True):
    """A whistle that waits: when it was sent, its limits that are awaited, and when its light turns yellow."""

    sent: int
    answer: int | None
    arrive: int | None
    near: int | None
    to: list[str]
    kind: list[str]


class LateWhistle(Struct, frozen=True):
    """A whistle of late whose unit came: when, after how many minutes, and whether in time."""

    at: int
    took: int
    in_time: bool
    type: list[str]
    place: list[str]
    to: list[str]


class Lately(Struct, frozen=True):
    """How the whistles of the last day went."""

    sent: int
    answered: int
    in_time: int
    last: list[LateWhistle]


class Whistles(Struct, frozen=True):
    """The whistles that wait."""

    all: int
    over: int
    rows: list[WhistleLine]
    lately: Lately
    axis: Axis


class HappenedLine(Line, frozen=True):
    """What was done with an incident, and when."""

    at: int
    what: str


class Raised(Struct, frozen=True):
    """What went up today, or was supervised."""

    escalated: int
    supervised: int
    rows: list[HappenedLine]


class Theme(Struct, frozen=True, array_like=True):
    """An area of work: reported today and by this time last week, overdue, near its limit."""

    wordings: list[str]
    today: int
    then: int | None
    red: int
    yellow: int


class WallTiles(Struct, frozen=True):
    """The tiles of a wall that changed, or all of them."""

    head: Head | UnsetType = UNSET
    six: Six | UnsetType = UNSET
    rank: Rank | UnsetType = UNSET
    duty: Duty | UnsetType = UNSET
    map: list[Rate] | UnsetType = UNSET
    parts: list[Below] | UnsetType = UNSET
    reds: Reds | UnsetType = UNSET
    whistles: Whistles | UnsetType = UNSET
    raised: Raised | UnsetType = UNSET
    ten: list[Theme] | UnsetType = UNSET
    ticker: list[HappenedLine] | UnsetType = UNSET


class WallMessage(Struct, frozen=True):
    """One event of a wall's stream: the server's time and the data's, and what changed since the number before."""

    now: int
    at: int
    n: int | UnsetType = UNSET
    full: bool | UnsetType = UNSET
    tiles: WallTiles | UnsetType = UNSET


# ---- a desk's queue ----


class QueueRow(Struct, frozen=True):
    """A case in the queue of a desk; `stage` is empty once it has ended. `near` is when its light turns yellow."""

    id: str
    seq: int
    no: str
    sev: int
    type: str
    short: str
    place: str
    town: str
    at: str
    stage: str
    state: str
    holder: str
    clock: str
    due: int | None
    near: int | None
    left: int | None
    paused: str
    up: bool
    verb: str
    by: str
    who: str
    when: int
    since: int


class Burst(Struct, frozen=True):
    """Many cases that are one matter."""

    key: str
    name: str
    ids: list[str]


class DeskMessage(Struct, frozen=True):
    """One event of a desk's stream: as of a wall's, with the rows that changed and how many there are in all."""

    now: int
    at: int
    n: int | UnsetType = UNSET
    full: bool | UnsetType = UNSET
    all: int | UnsetType = UNSET
    rows: list[QueueRow] | UnsetType = UNSET
    bursts: list[Burst] | UnsetType = UNSET


# ---- the whistle board ----


class BoardRow(Struct, frozen=True):
    """A whistle of the board. `due` is its limit that comes, `yellow` when its light turns; `light` how it came out."""

    id: int
    part: int
    number: str
    title: str
    severity: int
    place: str
    team: str
    kind: str
    state: str
    over: bool
    review: bool
    sent: int
    answered: int | None
    arrived: int | None
    done: int | None
    ended: bool
    rating: int | None
    answer_due: int | None
    arrive_due: int | None
    due: int | None
    yellow: int | None
    light: str
    late_answer: bool


class BoardRate(Struct, frozen=True):
    """A rate of today: `n` of `d`, or `n` in `d` points where `top` is more than one."""

    name: str
    n: float
    d: int
    top: int


class BoardMessage(Struct, frozen=True):
    """The whole whistle board."""

    rows: list[BoardRow]
    rates: list[BoardRate]
    inside: int
    more: int
    axis: Axis


# ---- the phone ----


class Task(Struct, frozen=True):
    """What waits for whoever is in the field; `yellow` is when its light turns."""

    id: int
    number: str
    title: str
    category: str
    severity: int
    text: str
    place: str
    lon: float | None
    lat: float | None
    sure: bool
    state: str
    mode: str
    verb: str
    verbs: list[str]
    clock: str
    due: int | None
    yellow: int | None
    paused: str | None
    whistle: bool
    arrived: int | None
    dispute: bool
    photos: list[str]
    limit_m: int


class TasksMessage(Struct, frozen=True):
    """All that waits for whoever is in the field."""

    tasks: list[Task]


class GridArea(Struct, frozen=True):
    """A grid on the phone's map: its rings as [longitude, latitude]."""

    code: str
    name: str
    rings: list[list[tuple[float, float]]]


class GridMap(Struct, frozen=True):
    """The outlines of the grids around."""

    areas: list[GridArea]


# All that is declared to the scripts.
MESSAGES: Final = (WallMessage, DeskMessage, BoardMessage, TasksMessage, GridMap)
