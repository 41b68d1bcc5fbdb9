"""Read what the live picture holds: what is open, what happened today, and the same day of a week ago."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec
import psycopg

from dashboard.data.directory import DirectoryReads
from dispatch.desk import store
from dispatch.record.histories import horizon
from dispatch.rules.measures.cases import (
    SETTLED_SQL,
)
from dispatch.rules.time.clocks import Clock

# More changes than this since the last look are read as a whole new picture instead.
CHANGES_LIMIT = 20_000
WHISTLED_LIMIT = 5_000
# How long after its end an incident may still be rated.
RATING_DAYS = 10
RAISING = ("escalate", "supervise")


@dataclass(slots=True)
class Part:
    """A live assignment, or a whistle under review, as screens need it."""

    team_id: int
    role: str
    kind: str
    sent_at: datetime
    clocks: dict[str, Clock]
    state: str = "sent"
    blown: str = ""  # the kind of a whistle that somebody blew: hard | joint | emergency


@dataclass(slots=True)
class LiveRow:
    """What the live picture keeps of an incident. `parts` are its live assignments, and whistles under review."""

    id: int
    number: int
    category: str
    severity: int
    area_code: str
    state: str
    level: int
    holder: str
    awaits: str | None
    due_at: datetime | None
    overdue_since: datetime | None
    reported_at: datetime
    disposed_at: datetime | None
    disposed_on_time: bool | None
    ended_at: datetime | None
    rating: int | None
    last_verb: str
    last_at: datetime
    lon: float | None
    lat: float | None
    settled: bool
    address: str = ""
    paused_why: str | None = None
    returns: int = 0
    asks: bool = False  # an extension, which nobody has answered yet
    seq: int = 0
    last_actor: str = ""
    handed_down_at: datetime | None = None
    clocks: dict[str, Clock] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Raised:
    """An escalation or a supervision of an incident, at the instant it happened; `level` is where it went."""

    incident_id: int
    seq: int
    verb: str
    at: datetime
    level: int | None


@dataclass(frozen=True, slots=True)
class Whistled:
    """A whistle of late: whether it was answered, when its unit was on site, and whether that was in time."""

    area_code: str
    category: str
    team_id: int
    sent_at: datetime
    answered: bool
    arrived_at: datetime | None
    in_time: bool


@dataclass(frozen=True, slots=True)
class PastRow:
    """What last week's same day needs of an incident; `late` are the spans in which some limit was passed."""

    category: str
    area_code: str
    reported_at: datetime
    disposed_at: datetime | None
    disposed_on_time: bool | None
    ended_at: datetime | None
    state: str
    settled: bool
    rating: int | None
    rated_at: datetime | None
    late: list[tuple[datetime, datetime | None]]


@dataclass(frozen=True, slots=True)
class InForce:
    """A stretch of wartime in force: over which area, its level (1 red .. 4 blue), and its kind."""

    area_code: str
    level: int
    kind: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One consistent look at the city; `cursor` is where following its events goes on."""

    cursor: int
    rows: list[LiveRow]
    raised: list[Raised]
    wartime: tuple[InForce, ...] = ()


@dataclass(frozen=True, slots=True)
class Changes:
    """The present rows of incidents that changed since the last cursor, and what was raised meanwhile."""

    cursor: int
    rows: list[LiveRow]
    raised: list[Raised]
    wartime: tuple[InForce, ...] | None = None  # None: not looked at, since nothing was written


_clocks = msgspec.json.Decoder(dict[str, Clock])
_parts = msgspec.json.Decoder(list[Part] | None)
_LIVE_COLUMNS = (
    "i.id, i.number, i.category, i.severity, i.area_code, i.state, i.level, i.holder, i.awaits, i.due_at,"
    " i.overdue_since, i.reported_at, i.disposed_at, i.disposed_on_time, i.ended_at, i.rating, i.last_verb,"
    f" i.last_at, i.lon, i.lat, {SETTLED_SQL}, i.address,"
    " i.paused_why, coalesce((i.facts->>'returns')::int, 0),"
    " coalesce(jsonb_typeof(i.facts->'extension_asked') = 'object', false), i.seq, i.last_actor,"
    f" {store.HANDED_DOWN}, i.clocks::text,"
    " (select json_agg(json_build_object('team_id', a.team_id, 'role', a.role, 'kind', a.kind, 'sent_at', a.sent_at,"
    " 'clocks', a.clocks, 'state', a.state, 'blown', coalesce(a.facts->>'whistle_kind', '')))::text"
    "  from assignment a where a.incident_id = i.id and a.state in ('review', 'sent', 'picked_up', 'on_site'))"
)
_PAST_ROW = (
    "select i.category, i.area_code, i.reported_at, i.disposed_at, i.disposed_on_time, i.ended_at, i.state,"
    f" {SETTLED_SQL}, i.rating,"
    " case when i.last_verb = 'rate' then i.last_at end, i.clocks::text,"
    " (select json_agg(json_build_object('clocks', a.clocks, 'ended_at', a.ended_at))::text"
    "  from assignment a where a.incident_id = i.id)"
    " from incident i where"
)
# Two parts, of which each has an index that knows both instants: little of what is open now was reported by then, and
# that is told without a look at the rows.
_PAST = (
    f"{_PAST_ROW} i.id = any(array(select o.id from incident o where o.ended_at is null and o.reported_at < %(end)s))"
    f" and i.ended_at is null union all {_PAST_ROW} i.ended_at >= %(begin)s and i.reported_at < %(end)s"
)


@dataclass(slots=True)
class _PastPart:
    clocks: dict[str, Clock]
    ended_at: datetime | None


_past_parts = msgspec.json.Decoder(list[_PastPart] | None)


class LiveReads(DirectoryReads):
    """Read the live picture, whole or what changed. Every method raises `psycopg.Error` when the database does."""

    def snapshot(self, midnight: datetime) -> Snapshot:
        """Read, in one consistent look, what is open and what happened since `midnight`.

        Of history it looks at no more than what may still be rated: the ends of the last days.
        """
        with self.look(repeatable=True) as connection:
            cursor = horizon(connection.cursor())
            rows = self._live(
                connection,
                "i.ended_at is null or i.ended_at >= %(since)s or i.reported_at >= %(since)s"
                " or (i.ended_at >= %(rated)s and i.rating is not null and i.last_at >= %(since)s)",
                {"since": midnight, "rated": midnight - timedelta(days=RATING_DAYS)},
            )
            # Of all that happened today: to plan for tens of thousands of ids takes longer than to look.
            raised = connection.execute(
                "select e.incident_id, e.seq, e.verb, e.at, (e.data->'facts'->>'level')::int from event e"
                " where e.at >= %s and e.verb = any(%s)",
                (midnight, list(RAISING)),
            ).fetchall()
            wartime = _in_force(connection)
        shown = {row.id for row in rows}
        return Snapshot(cursor, rows, [Raised(*each) for each in raised if each[0] in shown], wartime)

    def past(self, midnight: datetime, days_back: int = 7) -> list[PastRow]:
        """Read the same day back then: a picture stands without it, and is held against it once it is read."""
        begin = midnight - timedelta(days=days_back)
        with self.look() as connection:
            rows = connection.execute(_PAST, {"begin": begin, "end": begin + timedelta(days=1)}).fetchall()
        return [_past_row(row) for row in rows]

    def changes(self, cursor: int) -> Changes | None:
        """Read what changed since `cursor`; None when that is too much to follow: take a snapshot.

        Events are ordered by their transactions: all below the oldest one still running are there to see, so none
        is missed, and one that is seen twice folds to the same.
        """
        with self.look() as connection:
            upto = horizon(connection.cursor())
            if upto == cursor:
                return Changes(cursor, [], [])
            events = connection.execute(
                "select incident_id, seq, verb, at, case when verb = any(%s) then (data->'facts'->>'level')::int end"
                " from event where tx >= %s::text::xid8 and tx < %s::text::xid8 limit %s",
                (list(RAISING), cursor, upto, CHANGES_LIMIT + 1),
            ).fetchall()
            if len(events) > CHANGES_LIMIT:
                return None
            ids = list({event[0] for event in events})
            rows = self._live(connection, "i.id = any(%(ids)s)", {"ids": ids}) if ids else []
            wartime = _in_force(connection)
        return Changes(upto, rows, [Raised(*each) for each in events if each[2] in RAISING], wartime)

    def disposals(self, since: datetime) -> dict[str, tuple[int, int]]:
        """Return area code -> (disposed on time, disposed with a limit) since an instant, where there were any."""
        with self.look() as connection:
            rows = connection.execute(
                "select area_code, count(*) filter (where disposed_on_time), count(*) from incident"
                " where disposed_at >= %s and disposed_on_time is not null group by 1",
                (since,),
            ).fetchall()
        return {area: (good, base) for area, good, base in rows}

    def late(self, since: datetime) -> dict[str, dict[str, int]]:
        """Return area code -> area of work (01..10) -> disposed past their limit since an instant."""
        found: dict[str, dict[str, int]] = {}
        with self.look() as connection:
            rows = connection.execute(
                "select i.area_code, c.theme, count(*) from incident i join category c on c.code = i.category"
                # Said twice, so that the index of those that had a limit is seen to hold them.
                " where i.disposed_at >= %s and i.disposed_on_time is not null and not i.disposed_on_time"
                " group by 1, 2",
                (since,),
            )
            for area, theme, n in rows:
                found.setdefault(area, {})[theme] = n
        return found

    def whistled(self, since: datetime) -> list[Whistled]:
        """Return whistles that were sent since an instant, the latest first, at most `WHISTLED_LIMIT`."""
        with self.look() as connection:
            return [
                Whistled(*row)
                for row in connection.execute(
                    "select i.area_code, i.category, a.team_id, a.sent_at,"
                    " a.clocks->'pick_up'->>'ended' is not null, (a.clocks->'arrive'->>'ended')::timestamptz,"
                    " coalesce(a.clocks->'arrive'->>'state' = 'met', false)"
                    " from assignment a join incident i on i.id = a.incident_id"
                    " where a.kind = 'whistle' and a.state not in ('review', 'refused') and a.sent_at >= %s"
                    " order by a.sent_at desc, a.id limit %s",
                    (since, WHISTLED_LIMIT),
                )
            ]

    def _live(self, connection: psycopg.Connection, where: str, values: dict[str, Any]) -> list[LiveRow]:
        rows = connection.execute(f"select {_LIVE_COLUMNS} from incident i where {where}", values).fetchall()
        return [_live_row(*row) for row in rows]


def _in_force(connection: psycopg.Connection[Any]) -> tuple[InForce, ...]:
    """Return the stretches of wartime in force, the gravest first."""
    rows = connection.execute(
        "select area_code, level, theme from wartime where ended_at is null and since <= now() and until > now()"
        " order by level, area_code"
    )
    return tuple(InForce(*row) for row in rows)


def _live_row(*row: Any) -> LiveRow:
    build: Any = LiveRow
    made: LiveRow = build(*row[:-2], _clocks.decode(row[-2]), _parts.decode(row[-1] or b"null") or [])
    return made


def _past_row(row: Sequence[Any]) -> PastRow:
    own, parts = row[-2:]
    ended: datetime | None = row[5]
    late: list[tuple[datetime, datetime | None]] = []
    for clock in _clocks.decode(own).values():
        _add_late(late, clock, ended)
    for part in _past_parts.decode(parts or b"null") or ():
        for clock in part.clocks.values():
            _add_late(late, clock, part.ended_at or ended)
    build: Any = PastRow
    made: PastRow = build(*row[:-2], _merged(late))
    return made


def _add_late(late: list[tuple[datetime, datetime | None]], clock: Clock, ended: datetime | None) -> None:
    until = clock.ended or ended
    if clock.due is not None and (until is None or until > clock.due):
        late.append((clock.due, until))


def _merged(spans: list[tuple[datetime, datetime | None]]) -> list[tuple[datetime, datetime | None]]:
    """Return the union of spans, in order; a span without an end goes on."""
    merged: list[tuple[datetime, datetime | None]] = []
    for begin, end in sorted(spans, key=lambda span: span[0]):
        if merged and (merged[-1][1] is None or begin <= merged[-1][1]):
            last = merged[-1][1]
            merged[-1] = (merged[-1][0], None if last is None or end is None else max(last, end))
        else:
            merged.append((begin, end))
    return merged
