"""Read what a decision needs and write what it changed: the Desk's two hands on the database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import psycopg

from dispatch.desk.columns import Columns, encode, shared
from dispatch.desk.statements import Statements
from dispatch.rules.incident.links import GENESIS, link
from dispatch.rules.incident.values import Assignment, Change, Done, Event, Incident, Segment
from dispatch.rules.law import LIVE
from dispatch.rules.measures.cases import unreported_sql
from dispatch.rules.policy import escalation
from dispatch.rules.teams.routing import Team
from dispatch.rules.time import clocks
from dispatch.rules.time.clocks import Clock
from models.servers.round_trip import Rows, Statement, Value, in_order
from models.tables import incidents as tables
from models.tables import load_all
from models.tables.incidents import ID_BLOCK

Cursor = psycopg.Cursor[Any]

# Since when nobody has answered; with whoever it was handed down to, silence counts anew.
HANDED_DOWN = "(i.facts ->> 'handed_down_at')::timestamptz"
SILENT = f"greatest(i.overdue_since, {HANDED_DOWN})"
# The report-in of a live whistle, passed and still awaited.
UNREPORTED = f"greatest((p.clocks -> 'arrive' ->> 'due')::timestamptz, {HANDED_DOWN})"
UNREPORTED_JOIN = f" join assignment p on p.incident_id = i.id and {unreported_sql('p')}"

_clock_map = msgspec.json.Decoder(dict[str, Clock])
_change = msgspec.json.Decoder(Change)
# Read as they stand, whichever version wrote them.
_facts: msgspec.json.Decoder[Any] = msgspec.json.Decoder(dict[str, Any])


class Held:
    """An incident in hand: its state, the hash of its last event, and what of it the database already knows."""

    __slots__ = (
        "due_at", "due_clocks", "head", "incident", "known_parts", "known_segment", "known_seq", "overdue_since",
        "received_at",
    )  # fmt: skip

    def __init__(
        self, incident: Incident, head: bytes = GENESIS, received_at: datetime | None = None
    ) -> None:
        self.incident = incident
        self.head = head
        self.received_at = received_at
        self.known_seq = incident.seq
        self.known_segment = incident.segment
        self.known_parts = frozenset(incident.parts)

    def sound(self) -> None:
        """Set the columns that say when the incident's limits fall, before its row is written."""
        self.due_at, self.due_clocks, self.overdue_since = alarms(self.incident)


# What an incident and an assignment keep as they were first written.
FIXED = (
    "id", "number", "source", "source_id", "text", "address", "lon", "lat", "located", "reported_at", "received_at",
    "policy_version",
)  # fmt: skip
load_all()  # a foreign key has the type of the column that it names, which another module declares
INCIDENT = Columns(tables.Incident, {"incident": Incident, "held": Held}, FIXED)
ASSIGNMENT = Columns(
    tables.Assignment,
    {"incident_id": None, "part": Assignment},
    ("id", "incident_id", "team_id", "kind"),
)
SEGMENT = Columns(tables.Segment, {"incident_id": None, "segment": Segment})
EVENT = Columns(tables.Event, {"event": Event, "data": None, "hash": None})
# What is read into a value as it stands; clocks and facts are decoded from their text.
_LOADED = shared(tables.Incident, Incident, "clocks", "facts")
_PART = shared(tables.Assignment, Assignment, "clocks", "facts")
_EVENT = shared(tables.Event, Event)


class Ids:
    """Hand out ids of one sequence, a block of a thousand at a time."""

    def __init__(self, sequence: str) -> None:
        self._sequence = sequence
        self._free: Iterator[int] = iter(())

    def take(self, cursor: Cursor) -> int:
        """Return the next id; asks the database only when the block is used up."""
        for one in self._free:
            return one
        row = cursor.execute(f"select nextval('{self._sequence}')").fetchone()
        assert row is not None
        self._free = iter(range(row[0] * ID_BLOCK, (row[0] + 1) * ID_BLOCK))
        return next(self._free)


def claim(statements: Statements, keys: Sequence[int], incident_ids: Sequence[int]) -> set[int]:
    """Claim receipts; return the keys that were free and are now ours until the transaction ends."""
    [rows] = statements.ask((_CLAIM, (_array(keys), _array(incident_ids))))
    return {row[0] for row in rows}


# In the order of keys: two desks that are given the same reports wait for each other, never in a circle.
_CLAIM = (
    "insert into receipt (key, incident_id) select * from unnest(%s::bigint[], %s::bigint[]) r(key, incident_id)"
    " order by key on conflict do nothing returning key"
)


def receipts(cursor: Cursor, keys: Sequence[int]) -> dict[int, tuple[int, str | None, str | None]]:
    """Return key -> (incident id, source, source id) of receipts that exist; a command's has no incident of its own."""
    cursor.execute(
        "select r.key, r.incident_id, i.source, i.source_id from receipt r"
        " left join incident i on i.id = r.incident_id and i.number = r.key where r.key = any(%s)",
        (list(keys),),
    )
    return {
        key: (incident_id, source, source_id) for key, incident_id, source, source_id in cursor.fetchall()
    }


def suspects(cursor: Cursor, places: Sequence[int], since: datetime) -> dict[int, int]:
    """Return how many incidents each place (category and cell) has had since a time; those without are left out."""
    cursor.execute(
        "select p, n from unnest(%s::bigint[]) p,"
        " lateral (select count(*) n from incident where place = p and reported_at >= %s) c where n > 0",
        (_array(places), since),
    )
    return dict(cursor.fetchall())


def gather(
    statements: Statements, ids: Iterable[int], keys: Iterable[int], *scopes: Statement
) -> tuple[dict[int, Held], set[int], list[Rows]]:
    """Lock and read incidents as `load` does; return them, which keys have a receipt, and the ids of each scope.

    Where scopes are given, what lies in none of them is neither waited for nor locked.
    """
    wanted = (_array(sorted(set(ids))),)
    # Each by a statement of its own: it sees what another desk changed while this one waited for its lock, and the
    # receipt that whoever pressed first has left.
    incidents, parts, receipts, *answers = statements.ask(
        _locking(wanted, scopes), (_LOAD_PARTS, wanted), (_TAKEN, (_array(keys),)), *scopes
    )
    return _loaded(incidents, parts), {row[0] for row in receipts}, answers


def load(cursor: Cursor, ids: Iterable[int]) -> dict[int, Held]:
    """Read incidents with their assignments, without a lock."""
    wanted = (_array(sorted(set(ids))),)
    incidents = cursor.execute(f"{_LOAD_INCIDENTS} order by id", wanted).fetchall()
    return _loaded(incidents, cursor.execute(_LOAD_PARTS, wanted).fetchall())


_TAKEN = "select key from receipt where key = any(%s::bigint[])"
_LOAD_INCIDENTS = (
    f"select {', '.join(_LOADED)}, clocks::text, facts::text, head, received_at from incident"
    " where id = any(%s::bigint[])"
)
_LOAD_PARTS = (
    f"select {', '.join(_PART)}, clocks::text, facts::text, incident_id from assignment"
    " where incident_id = any(%s::bigint[]) order by id"
)


def _locking(wanted: Sequence[str], scopes: Sequence[Statement]) -> Statement:
    texts: list[str] = []
    values: list[Value] = [*wanted]
    for text, given in map(in_order, scopes):
        texts.append(text)
        values += given
    within = f" and id in ({' union all '.join(texts)})" if texts else ""
    # In the order of ids, so that two desks cannot deadlock.
    return f"{_LOAD_INCIDENTS}{within} order by id for update", values


def _loaded(incidents: Iterable[Sequence[Any]], parts: Iterable[Sequence[Any]]) -> dict[int, Held]:
    found: dict[int, Incident] = {}
    heads: dict[int, tuple[bytes, datetime]] = {}
    for row in incidents:
        *plain, own, facts, head, received = row
        incident = Incident(**dict(zip(_LOADED, plain, strict=True)))
        incident.clocks = _clock_map.decode(own)
        incident.facts = _facts.decode(facts)
        found[incident.id] = incident
        heads[incident.id] = (bytes(head), received)
    for row in parts:
        *plain, own, facts, incident_id = row
        if (of := found.get(incident_id)) is not None:
            of.parts[plain[0]] = Assignment(*plain, _clock_map.decode(own), _facts.decode(facts))  # type: ignore[call-arg]
    return {key: Held(found[key], *heads[key]) for key in found}


def events_of(cursor: Cursor, incident_id: int) -> list[Event]:
    """Read the events of one incident, oldest first."""
    cursor.execute(
        f"select {', '.join(_EVENT)}, data::text from event where incident_id = %s order by seq",
        (incident_id,),
    )
    return [Event(*row[:-1], _change.decode(row[-1])) for row in cursor.fetchall()]  # type: ignore[call-arg]


def done_since(cursor: Cursor, seen: dict[int, int]) -> dict[int, list[Done]]:
    """Return what happened to each incident after an event of it, oldest first; those without news are left out."""
    found: dict[int, list[Done]] = {}
    if seen:
        cursor.execute(
            "select e.incident_id, e.seq, e.verb, e.actor, e.at, e.data #> '{said, reason}' from"
            " unnest(%s::bigint[], %s::int[]) s(id, n) join event e on incident_id = id and e.seq > n order by 1, 2",
            (_array(seen), _array(seen.values())),
        )
        for incident_id, *done in cursor.fetchall():
            found.setdefault(incident_id, []).append(Done(*done))
    return found


def clocks_due(cursor: Cursor, now: datetime, limit: int) -> list[tuple[int, int | None, str, datetime]]:
    """Return (incident id, assignment id or None, clock, due) of running clocks whose limit lies before `now`.

    Oldest first; of each incident those that fell due first, and what fell due after them once these are noted;
    `limit` bounds the limits.
    """
    cursor.execute(
        "select id, due_clocks, due_at from incident where due_at < %s order by due_at limit %s", (now, limit)
    )
    found: list[tuple[int, int | None, str, datetime]] = []
    for incident_id, named, due in cursor.fetchall():
        for name in named.split():
            kind, _, part = name.partition("/")
            found.append((incident_id, int(part) if part else None, kind, due))
    return found[:limit]


def overdue(
    cursor: Cursor, now: datetime, limit: int, ladder: escalation.Ladder
) -> list[tuple[int, int, int, datetime]]:
    """Return (incident id, severity, level, silent since) of open incidents that go up by `now`, gravest first.

    Those whose time has not come stay out: a thousand small matters must not hide a grave one behind them. What was
    handed down is silent since then at the earliest.
    """
    county, city = escalation.cutoffs(now, ladder)
    cursor.execute(
        f"select id, severity, level, {SILENT} from incident i where overdue_since is not null and level > 1"
        f" and {SILENT} <= (case when level > 2 then %s::timestamptz[] else %s::timestamptz[] end)[severity]"
        " order by severity, overdue_since limit %s",
        (county, city, limit),
    )
    return cursor.fetchall()


def unreported(
    cursor: Cursor, now: datetime, limit: int, ladder: escalation.Ladder
) -> list[tuple[int, int, int, int, datetime]]:
    """Return (incident id, assignment id, severity, level, silent since) of whistles not reported in that go up."""
    if ladder.whistle is None:
        return []
    cursor.execute(
        f"select distinct on (i.id) i.id, p.id, i.severity, i.level, {UNREPORTED} from incident i{UNREPORTED_JOIN}"
        f" where i.overdue_since <= %s and i.level > %s and {UNREPORTED} <= %s order by i.id, 5 limit %s",
        (before := now - timedelta(minutes=ladder.whistle.after_min), ladder.whistle.level, before, limit),
    )
    return cursor.fetchall()


def wartime(cursor: Cursor, now: datetime) -> tuple[str, ...]:
    """Return the codes of the areas that are in wartime."""
    cursor.execute(
        "select distinct area_code from wartime where since <= %s and until > %s and ended_at is null",
        (now, now),
    )
    return tuple(row[0] for row in cursor.fetchall())


def recount_loads(cursor: Cursor) -> int:
    """Set each team's load to its live assignments; return how many teams were wrong."""
    # Lock first and count in a second statement: one statement would count what was there before it waited.
    cursor.execute("select from team order by id for no key update")
    cursor.execute(
        "with held as (select t.id, (select count(*) from assignment a where a.team_id = t.id"
        " and a.state in ('sent', 'picked_up', 'on_site')) n from team t)"
        " update team set load = held.n from held where held.id = team.id and team.load <> held.n"
    )
    return cursor.rowcount


def teams(cursor: Cursor) -> list[Team]:
    """Read every team with its load and state."""
    cursor.execute("select id, name, trade, area_code, capacity, load, state, lon, lat, name_en from team")
    return [Team(*row) for row in cursor.fetchall()]


def write(
    statements: Statements,
    held: Sequence[Held],
    events: Sequence[Event],
    loads: dict[int, int],
    receipts: Mapping[int, int] | None = None,
) -> None:
    """Write a batch: receipts of commands, what is new and what changed, team loads as the very last."""
    by_id = {h.incident.id: h for h in held}
    linked = _linked(events, by_id)
    for h in held:
        h.sound()
    new = [h for h in held if h.known_seq == 0]
    old = [h for h in held if h.known_seq > 0]
    if receipts:
        statements.add(_CLAIM, _array(receipts), _array(receipts.values()))
    statements.insert(INCIDENT, [(h.incident, h) for h in new])
    if old:
        _update(statements, old)
    statements.insert(EVENT, linked)
    _write_segments(statements, new, old)
    _write_parts(statements, new, old)
    statements.then()
    _write_loads(statements, loads)


def _linked(events: Sequence[Event], held: dict[int, Held]) -> list[tuple[Event, str, bytes]]:
    """Link each event to the one before; return each with its change as JSON and its link."""
    rows = []
    for e in events:
        owner = held[e.incident_id]
        data = written(e.change)
        owner.head = link(
            owner.head, e.incident_id, e.seq, e.at, e.verb, e.actor, e.cause, e.policy_version, data
        )
        rows.append((e, data, owner.head))
    return rows


def written(change: Change) -> str:
    """Return a change as JSON, empty parts left out."""
    parts: dict[str, Any] = {}
    if change.to is not None:
        parts["to"] = change.to
    if change.holder is not None:
        parts["holder"] = change.holder
    if change.clocks:
        parts["clocks"] = change.clocks
    if change.assignments:
        parts["assignments"] = change.assignments
    if change.facts:
        parts["facts"] = change.facts
    if change.fields:
        parts["fields"] = change.fields
    if change.paused is not None:
        parts["paused"] = change.paused
    if change.said:
        parts["said"] = change.said
    if change.opened:
        parts["opened"] = change.opened
    return encode(parts).decode()


def alarms(incident: Incident) -> tuple[datetime | None, str | None, datetime | None]:
    """Return when the next limit falls, the clocks it is the limit of, and since when one is passed and awaited.

    Clocks are named `kind`, or `kind/assignment id`, in the order of the alphabet with a space between.
    """
    running = incident.running()
    due = clocks.nearest(running)
    if due is None:
        return None, None, clocks.overdue_since(running)
    names = [kind for kind, clock in incident.clocks.items() if clock.due == due and clock.state == "running"]
    for part in incident.parts.values():
        if part.state in LIVE or part.state == "review":
            for kind, clock in part.clocks.items():
                if clock.due == due and clock.state == "running":
                    names.append(f"{kind}/{part.id}")
    names.sort()
    return due, " ".join(names), clocks.overdue_since(running)


def _update(statements: Statements, held: Sequence[Held]) -> None:
    """Write changed incidents in one statement: as JSON they cost a third of what one update each does."""
    rows = [INCIDENT.changed(h.incident, h) | {"id": h.incident.id, "known_seq": h.known_seq} for h in held]
    statements.add(_UPDATE_INCIDENTS, encode(rows).decode(), _array(row["id"] for row in rows))


# The ids are given beside the rows: how many rows a JSON has the planner cannot know, and would read whole tables.
_UPDATE_INCIDENTS = (
    f"update incident i set {INCIDENT.sets('r')} from jsonb_to_recordset(%s::jsonb)"
    f" as r({INCIDENT.typed((*INCIDENT.changing, 'id'))}, known_seq int)"
    " where i.id = any(%s::bigint[]) and i.id = r.id and i.seq = r.known_seq"
)
_UPDATE_ASSIGNMENTS = (
    f"update assignment a set {ASSIGNMENT.sets('r')} from jsonb_to_recordset(%s::jsonb)"
    f" as r({ASSIGNMENT.typed((*ASSIGNMENT.changing, 'id'))})"
    " where a.id = any(%s::bigint[]) and a.id = r.id"
)
_END_SEGMENTS = (
    "update segment s set ended_at = e.at from unnest(%s::timestamptz[], %s::bigint[], %s::smallint[]) e(at, id, seq)"
    " where s.incident_id = e.id and s.seq = e.seq"
)


def _write_parts(statements: Statements, new: Sequence[Held], old: Sequence[Held]) -> None:
    fresh = [
        (h.incident.id, p)
        for h in (*new, *old)
        for p in h.incident.parts.values()
        if p.id not in h.known_parts
    ]
    moved = [(h.incident.id, p) for h in old for p in h.incident.parts.values() if p.id in h.known_parts]
    # What lets go before what takes hold, and both before the new ones: one live lead, by the index.
    before = False
    for live in (False, True):
        rows = [
            ASSIGNMENT.changed(owner, p) | {"id": p.id} for owner, p in moved if (p.state in LIVE) is live
        ]
        if rows:
            if before:
                statements.then()
            statements.add(_UPDATE_ASSIGNMENTS, encode(rows).decode(), _array(row["id"] for row in rows))
            before = True
    if fresh and before:
        statements.then()
    statements.insert(ASSIGNMENT, fresh)


def _write_segments(statements: Statements, new: Sequence[Held], old: Sequence[Held]) -> None:
    rows = []
    ended: list[tuple[datetime, int, int]] = []
    for h in (*new, *old):
        i = h.incident
        for s in i.past:
            if s.seq <= h.known_segment:
                ended.append((s.ended_at, i.id, s.seq))
            else:
                rows.append((i.id, s))
        if i.ended_at is None and i.segment > h.known_segment:
            rows.append((i.id, standing(i)))
    if ended:
        at, ids, seqs = zip(*ended, strict=True)
        statements.add(_END_SEGMENTS, _array(at), _array(ids), _array(seqs))
    statements.insert(SEGMENT, rows)


def standing(i: Incident) -> Segment:
    """Return the segment that stands, which has no end yet; of an incident that has ended there is none."""
    return Segment(i.segment, i.holder, i.awaits, i.paused_why, i.held_since, None)  # type: ignore[arg-type]


def _write_loads(statements: Statements, loads: dict[int, int]) -> None:
    changed = sorted((team, by) for team, by in loads.items() if by)
    if changed:
        # Rows are taken in the order of ids: two desks wait for each other, never in a circle. The key is left out:
        # the other desk's new assignments hold on to it, by their foreign key, until that desk has our rows too.
        statements.add(
            "with due as (select t.id, d.by from team t join unnest(%s::int[], %s::int[]) d(id, by) on d.id = t.id"
            " order by t.id for no key update of t)"
            " update team set load = greatest(0, load + due.by) from due where team.id = due.id",
            _array(team for team, _ in changed),
            _array(by for _, by in changed),
        )


def live_by_team(incident: Incident) -> dict[int, int]:
    """Return how many live assignments of the incident each team holds."""
    counts: dict[int, int] = {}
    for part in incident.parts.values():
        if part.state in LIVE:
            counts[part.team_id] = counts.get(part.team_id, 0) + 1
    return counts


def _array(values: Iterable[int | datetime]) -> str:
    """Write integers or instants as an array literal: many times faster than adapting a list."""
    return "{" + ",".join(map(str, values)) + "}"
