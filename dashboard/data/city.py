"""What walls and lists read of the city: its directory, the live picture, incidents and their whole way."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from threading import Lock
from typing import Any

import msgspec
import psycopg
from psycopg.rows import class_row

from dashboard.data import page_ids
from dashboard.data.scope import within
from dashboard.data.submits import Submits, visible
from dispatch.assignment.proposals import Proposals
from dispatch.desk import store
from dispatch.record.histories import horizon
from dispatch.record.policies import Policies, PolicyCache
from dispatch.rules.areas import Level, level_of, prefix_of
from dispatch.rules.incident.chain import Actor, Event, Incident, replay
from dispatch.rules.law import ENDED
from dispatch.rules.measures.cases import INSIDE_LIMIT_SQL, PAST_LIMIT_SQL, SETTLED_SQL
from dispatch.rules.policy.bursts import Bursts
from dispatch.rules.policy.escalation import Ladder
from dispatch.rules.policy.policy import Policy
from dispatch.rules.teams.proposals import Offer
from dispatch.rules.time.calendar import Calendar
from dispatch.rules.time.clocks import Clock, light_of
from models.servers.database import addresses

# More changes than this since the last look are read as a whole new picture instead.
CHANGES_LIMIT = 20_000
PAGE_ROWS = 100
WHISTLED_LIMIT = 5_000
YELLOW_ROWS, YELLOW_LOOKS = 1_000, 20  # rows read at a time for those near their limit, and how often
# The live picture reads the directory anew every minute, beside the pages: none of them waits for it.
DIRECTORY_KEPT_S = 90.0
# How long after its end an incident may still be rated.
RATING_DAYS = 10
RAISING = ("escalate", "supervise")
_LIVE = "('sent', 'picked_up', 'on_site')"


@dataclass(frozen=True, slots=True)
class Area:
    """One area of the city; a place without a position has no `lon` and `lat` (degrees, WGS84)."""

    code: str
    level: int
    name: str
    name_en: str | None
    parent: str | None
    kind: str
    lon: float | None
    lat: float | None


@dataclass(frozen=True, slots=True)
class Team:
    """A team that can be sent, with how many incidents it holds now."""

    id: int
    name: str
    name_en: str
    trade: str
    area_code: str
    capacity: int
    load: int
    state: str


@dataclass(frozen=True, slots=True)
class Type:
    """An event type's names and its area of work (01..10)."""

    code: str
    name: str
    name_en: str
    theme: str


@dataclass(frozen=True, slots=True)
class Directory:
    """Who and what is where: changes rarely, so screens read it once a minute."""

    areas: dict[str, Area]
    teams: dict[int, Team]
    types: dict[str, Type]
    themes: dict[str, tuple[str, str]]
    # Grid workers on the roster today: (area code, kind) -> people.
    workers: dict[tuple[str, str], int]
    schematic: bool
    calendar: Calendar
    # Minutes of a whistle: to its answer, to its report-in, and until it goes up by itself after that.
    whistle_minutes: tuple[int, int, int]
    ladder: Ladder
    # Names of the people who act, by login.
    people: dict[str, str] = field(default_factory=dict)
    trades: dict[str, tuple[str, str]] = field(default_factory=dict)
    bursts: Bursts | None = None

    @property
    def zone(self) -> str:
        """Return the name of the city's own time zone."""
        return self.calendar.zone


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


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list of incidents shows; empty parts do not filter. `light` is red or yellow, as now."""

    area: str = ""
    state: str = ""  # a state's name, or "open" for all that have not ended
    light: str = ""
    theme: str = ""
    text: str = ""  # words of the text or address, or a number


@dataclass(frozen=True, slots=True)
class ListRow:
    """One line of the incident list."""

    id: int
    number: int
    category: str
    severity: int
    area_code: str
    state: str
    holder: str
    awaits: str | None
    text: str
    reported_at: datetime
    due_at: datetime | None
    overdue_since: datetime | None
    ended_at: datetime | None
    awaited: Clock | None

    def light(self, now: datetime, calendar: Calendar) -> str:
        """Return red, yellow or green as of `now`, and nothing for an incident that has ended."""
        if self.ended_at is not None:
            return ""
        return light_of(self.overdue_since, self.due_at, self.awaited, now, calendar)[0]


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """A stretch of responsibility; the open one has no end."""

    seq: int
    holder: str
    awaits: str | None
    paused_why: str | None
    began_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Detail:
    """One incident whole: its fold, its events oldest first, its segments, and teams that could go, best first."""

    incident: Incident
    events: list[Event]
    segments: list[SegmentRow]
    offers: tuple[Offer, ...]


_clock = msgspec.json.Decoder(Clock)
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


class Reads(Submits):
    """Read the city; safe to share between threads. Every method raises `psycopg.Error` when the database does."""

    def __init__(self, database_url: str) -> None:
        super().__init__(database_url)
        self._policies = PolicyCache()
        self._areas: tuple[tuple[int, int], dict[str, Area]] | None = None
        self._directory: tuple[float, Directory] | None = None
        self._reading = Lock()

    # ---- for the live picture ----

    def known(self) -> Directory:
        """Return the directory as it was read at most `DIRECTORY_KEPT_S` ago, by whomever."""
        with self._reading:
            kept = self._directory
            if kept is not None and time.monotonic() - kept[0] < DIRECTORY_KEPT_S:
                return kept[1]
            return self.directory()

    def directory(self) -> Directory:
        """Read areas, teams, types, areas of work and the roster's head counts anew."""
        begun = time.monotonic()
        with self.look() as connection:
            by_code = self._by_code(connection)
            teams = connection.cursor(row_factory=class_row(Team)).execute(
                "select id, name, name_en, trade, area_code, capacity, load, state from team"
            )
            by_id = {team.id: team for team in teams}
            types = connection.cursor(row_factory=class_row(Type)).execute(
                "select code, name, name_en, theme from category"
            )
            by_type = {each.code: each for each in types}
            workers = connection.execute(
                "select area_code, kind, count(distinct person_id) from duty"
                " where kind <> '' and since <= current_date and (until is null or until >= current_date)"
                " group by 1, 2"
            ).fetchall()
            schematic = connection.execute(
                "select exists (select from area_shape where schematic)"
            ).fetchone()
            people = connection.execute(
                "select login, name from account where name <> '' and role <> 'resident'"
            ).fetchall()
            law = self._law(connection)
        heads = {(area, kind): n for area, kind, n in workers}
        outlined = bool(schematic and schematic[0])
        trades = {trade: (name, name_en) for trade, (name, name_en, _) in law.trades.items()}
        found = Directory(
            by_code, by_id, by_type, dict(law.themes), heads, outlined, law.calendar,
            _whistle_minutes(law), law.ladder, dict(people), trades, law.bursts,
        )  # fmt: skip
        self._directory = begun, found
        return found

    def _by_code(self, connection: psycopg.Connection) -> dict[str, Area]:
        """Return code -> area. They are many and hardly ever change: they are read again only where they have."""
        # Whatever is written has its own transaction, and what is deleted is missing in the sum.
        row = connection.execute("select count(*), coalesce(sum(xmin::text::bigint), 0) from area").fetchone()
        assert row is not None
        state = int(row[0]), int(row[1])
        kept = self._areas
        if kept is None or kept[0] != state:
            rows = connection.cursor(row_factory=class_row(Area)).execute(
                "select code, level, name, name_en, parent, kind, lon, lat from area order by code"
            )
            kept = self._areas = state, {area.code: area for area in rows}
        return kept[1]

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
            raised = connection.execute(
                "select e.incident_id, e.seq, e.verb, e.at, (e.data->'facts'->>'level')::int from event e"
                " where e.incident_id = any(%s) and e.verb = any(%s) and e.at >= %s",
                ([row.id for row in rows], list(RAISING), midnight),
            ).fetchall()
            wartime = _in_force(connection)
        return Snapshot(cursor, rows, [Raised(*each) for each in raised], wartime)

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

    def shapes(self, area_code: str, level: int) -> list[tuple[Area, bytes]]:
        """Return the areas of one level inside an area with their outlines as WKB, ordered by code."""
        with self.look() as connection:
            rows = connection.execute(
                "select a.code, a.level, a.name, a.name_en, a.parent, a.kind, a.lon, a.lat, s.wkb"
                " from area a join area_shape s on s.code = a.code"
                " where a.level = %s and a.code like %s order by a.code",
                (level, prefix_of(area_code) + "%"),
            ).fetchall()
        return [(Area(*row[:8]), bytes(row[8])) for row in rows]

    def wall_keys(self) -> dict[str, str]:
        """Return the SHA-256 (hex) of every wall key in force -> the area it opens."""
        with self.look() as connection:
            rows = connection.execute(
                "select sha256, area_code from wall_key where revoked_at is null"
            ).fetchall()
        return dict(rows)

    # ---- for pages ----

    def incidents(
        self, actor: Actor, wanted: Filter, now: datetime, after: tuple[datetime, int] | None = None
    ) -> list[ListRow]:
        """Return up to `PAGE_ROWS` incidents of an actor's scope, newest first.

        With `after` they are those after the row with that (reported_at, id).
        """
        with self.look() as connection:
            if wanted.light != "yellow":
                return self._page(connection, actor, wanted, now, after, PAGE_ROWS)
            calendar = self._law(connection).calendar
            found: list[ListRow] = []
            for _ in range(YELLOW_LOOKS):
                rows = self._page(connection, actor, wanted, now, after, YELLOW_ROWS)
                found += [row for row in rows if row.light(now, calendar) == "yellow"]
                if len(rows) < YELLOW_ROWS or len(found) >= PAGE_ROWS:
                    break
                after = (rows[-1].reported_at, rows[-1].id)
            return found[:PAGE_ROWS]

    def detail(self, actor: Actor, incident_id: int) -> Detail | None:
        """Return one incident whole, or None when there is no such one in an actor's scope."""
        with self.look() as connection, connection.cursor() as cursor:
            if not visible(connection, actor, [incident_id]):
                return None
            events = store.events_of(cursor, incident_id)
            if not events:
                return None
            incident = replay(events)
            segments = segments_of(cursor, incident_id)
        offers: tuple[Offer, ...] = ()
        if incident.ended_at is None:
            with self.desk() as desk:
                decision = Proposals(desk).one(incident_id, datetime.now(UTC))
            offers = decision.offers if decision is not None else ()
        return Detail(incident, events, segments, offers)

    def id_of(self, actor: Actor, number: int) -> int | None:
        """Return the id of the incident with a number, or None where an actor may see none."""
        scope, values = within(actor)
        with self.look() as connection:
            row = connection.execute(
                "select r.incident_id from receipt r join incident i on i.id = r.incident_id and i.number = r.key"
                f" where r.key = %(number)s and {scope}",
                {"number": number} | values,
            ).fetchone()
        return None if row is None else int(row[0])

    def policy(self) -> Policy:
        """Return the policy in force."""
        with self.look() as connection:
            return self._law(connection)

    def _page(
        self,
        connection: psycopg.Connection,
        actor: Actor,
        wanted: Filter,
        now: datetime,
        after: tuple[datetime, int] | None,
        limit: int,
    ) -> list[ListRow]:
        where, values = conditions(wanted, now)
        scope, own = within(actor)
        where.append(scope)
        values |= own
        if after is not None:
            where.append("(i.reported_at, i.id) < (%(at)s, %(id)s)")
            values |= {"at": after[0], "id": after[1]}
        if wanted.light == "red":
            where = [page_ids.red(where)]
        elif wanted.state in page_ids.OPEN_STATES:
            where = [page_ids.of_stage(where, bool(wanted.theme or wanted.text.strip()))]
        rows = connection.execute(
            "select i.id, i.number, i.category, i.severity, i.area_code, i.state, i.holder, i.awaits, i.text,"
            " i.reported_at, i.due_at, i.overdue_since, i.ended_at, coalesce(i.clocks->i.awaits,"
            " (select a.clocks->i.awaits from assignment a where a.incident_id = i.id and a.role = 'lead'"
            f"  and a.state in {_LIVE}))::text"
            " from incident i join category c on c.code = i.category"
            f" where {' and '.join(where) or 'true'} order by i.reported_at desc, i.id desc limit %(rows)s",
            values | {"rows": limit},
        ).fetchall()
        return [_list_row(*row) for row in rows]

    def _live(self, connection: psycopg.Connection, where: str, values: dict[str, Any]) -> list[LiveRow]:
        rows = connection.execute(f"select {_LIVE_COLUMNS} from incident i where {where}", values).fetchall()
        return [_live_row(*row) for row in rows]

    def _law(self, connection: psycopg.Connection) -> Policy:
        return Policies(connection.cursor(), self._policies).in_force(datetime.now(UTC))


def segments_of(cursor: psycopg.Cursor[Any], incident_id: int) -> list[SegmentRow]:
    """Return the stretches of responsibility of an incident, oldest first."""
    return [
        SegmentRow(*row)
        for row in cursor.execute(
            "select seq, holder, awaits, paused_why, began_at, ended_at from segment"
            " where incident_id = %s order by seq",
            (incident_id,),
        )
    ]


@cache
def reads() -> Reads:
    """Return the door to the database that the environment or the data folder names; one for the process."""
    return Reads(addresses().database_url)


def digest(key: str) -> str:
    """Return the form in which a key is remembered: its SHA-256 in hex."""
    return hashlib.sha256(key.encode()).hexdigest()


def _whistle_minutes(law: Policy) -> tuple[int, int, int]:
    """Return the limits of a whistle in minutes: its answer, its report-in, and when it goes up after that."""
    answer, report_in = (law.calendar.seconds(limit) // 60 for limit in (law.answer, law.report_in))
    rung = law.ladder.whistle
    return answer, report_in, report_in + (report_in // 2 if rung is None else rung.after_min)


def _in_force(connection: psycopg.Connection[Any]) -> tuple[InForce, ...]:
    """Return the stretches of wartime in force, the gravest first."""
    rows = connection.execute(
        "select area_code, level, theme from wartime where ended_at is null and since <= now() and until > now()"
        " order by level, area_code"
    )
    return tuple(InForce(*row) for row in rows)


def conditions(wanted: Filter, now: datetime) -> tuple[list[str], dict[str, Any]]:
    """Return what a filter asks of a row `i` of incidents with its type `c`, and the values for it."""
    where: list[str] = []
    values: dict[str, Any] = {}
    if wanted.area and level_of(wanted.area) is not Level.CITY:
        where.append("i.area_code like %(area)s")
        values["area"] = prefix_of(wanted.area) + "%"
    if wanted.state == "open":
        where.append("i.ended_at is null")
    elif wanted.state:
        where.append("i.state = %(state)s")
        values["state"] = wanted.state
        if wanted.state not in ENDED:
            # Open cases are few beside the past, and have an index of their own.
            where.append("i.ended_at is null")
    if wanted.light == "red":
        # What has ended has neither; to ask for that too would only mislead who plans the query.
        where.append(PAST_LIMIT_SQL)
        values["now"] = now
    elif wanted.light == "yellow":
        # How far a clock has run only the calendar knows: the rows are looked through for it.
        where.append(INSIDE_LIMIT_SQL)
        values["now"] = now
    if wanted.theme:
        where.append("c.theme = %(theme)s")
        values["theme"] = wanted.theme
    if text := wanted.text.strip():
        # A number is shown in groups of four, and looked for as it is shown.
        if (digits := text.replace("-", "")).isdecimal():
            # The receipt knows whose a number is: without it all rows would be looked through.
            where.append(
                "i.id = any(array(select r.incident_id from receipt r where r.key = %(number)s union all"
                " select %(number)s)) and (i.number = %(number)s or i.id = %(number)s)"
            )
            values["number"] = min(int(digits), 2**63 - 1)
        else:
            where.append(
                "(i.text ilike %(text)s or i.address ilike %(text)s or c.name ilike %(text)s"
                " or c.name_en ilike %(text)s)"
            )
            escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            values["text"] = f"%{escaped}%"
    return where, values


def _live_row(*row: Any) -> LiveRow:
    build: Any = LiveRow
    made: LiveRow = build(*row[:-2], _clocks.decode(row[-2]), _parts.decode(row[-1] or b"null") or [])
    return made


def _list_row(*row: Any) -> ListRow:
    build: Any = ListRow
    made: ListRow = build(*row[:-1], _clock.decode(row[-1]) if row[-1] else None)
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
