"""Verify the chain of hashes over all events and the rows that are their fold; name the exact row that differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Any

import msgspec
import psycopg

from dispatch.desk import store
from dispatch.rules.incident.chain import Change, Event, Incident, evolve
from dispatch.rules.incident.links import GENESIS, holds
from dispatch.rules.incident.values import Assignment, Segment

FETCH_ROWS = 5_000  # rows held in memory at a time
FOLDS_HELD = 500  # incidents whose rows are read and compared together
FAULTS_LIMIT = 100  # reported; one edit breaks its own row and every later one of the same incident

# Every column of an incident's row but its id, and its head, which is judged with the events.
_COLUMNS = tuple(name for name in Incident.__slots__ if name not in ("id", "parts", "past", "seq"))
_ALARMS = ("due_at", "due_clocks", "overdue_since")
_PART = tuple(name for name in Assignment.__slots__ if name != "id")
_SEGMENT = tuple(name for name in Segment.__slots__ if name != "seq")
_of_row = attrgetter(*_COLUMNS)
_of_part: Callable[[Assignment], tuple[Any, ...]] = attrgetter(*_PART)
_of_segment: Callable[[Segment], tuple[Any, ...]] = attrgetter(*_SEGMENT)
_change = msgspec.json.Decoder(Change).decode


@dataclass(frozen=True, slots=True)
class Fault:
    """One place where what is stored is not what was written.

    `key` finds the row within its table: an event's or a segment's number in its incident, an assignment's id, and
    of an incident's own row its id again. `what` never tells what is or was stored.
    """

    incident_id: int
    key: int
    what: str
    zh: str = field(default="", compare=False)
    table: str = "event"

    def words(self, lang: str = "zh") -> str:
        """Return what is wrong in `zh` or `en`."""
        return self.zh if lang == "zh" and self.zh else self.what


@dataclass(slots=True)
class Verdict:
    """What a verification found: counts, and the faults in the order of incidents."""

    events: int = 0
    incidents: int = 0
    faults: list[Fault] | None = None


@dataclass(slots=True)
class _Folded:
    """An incident as its events give it, and when it was received, where they tell."""

    incident: Incident
    received_at: datetime | None


def verify(
    connection: psycopg.Connection[Any],
    incident_id: int | None = None,
    progress: Callable[[int], None] | None = None,
    rows: bool = True,
) -> Verdict:
    """Recompute every link of all incidents, or of one, in one snapshot of the database, and with `rows` every fold.

    Found are: an event edited, removed, added or out of order; an incident whose last event is not its head; one that
    is gone as a whole while its receipt stands; and any column of an incident, an assignment or a segment that is not
    what the events make it. After the first fault of
    an incident's events what follows is not judged: it hangs on the broken one. `progress` hears now and then how many
    events have been judged.
    """
    verdict = Verdict(faults=[])
    found: list[Fault] = []
    heads = _heads(connection, incident_id)
    folds: list[_Folded] = []
    current, expected_seq, before, broken = 0, 1, GENESIS, False
    folded: _Folded | None = None

    def leave() -> None:
        nonlocal folds
        if not current:
            return
        verdict.incidents += 1
        fault = None if broken else _of_head(heads.get(current), current, expected_seq, before)
        heads.pop(current, None)
        if fault is not None:
            _add(found, fault)
        elif folded is not None and not broken:
            folds.append(folded)
            if len(folds) >= FOLDS_HELD:
                _compare(connection, folds, found)
                folds = []

    for row in _events(connection, incident_id):
        owner, seq, at, verb, actor, cause, policy, data, stored = row
        if owner != current:
            leave()
            current, expected_seq, before, broken, folded = owner, 1, GENESIS, False, None
        verdict.events += 1
        if progress is not None and verdict.events % FETCH_ROWS == 0:
            progress(verdict.events)
        if broken:
            continue
        fault = None
        if seq != expected_seq:
            fault = Fault(owner, seq, f"event {expected_seq} is missing", f"第 {expected_seq} 条事件不见了")
        elif not holds(stored, before, owner, seq, at, verb, actor, cause, policy, data):
            fault = Fault(owner, seq, "the event is not what was written", "事件与当初写下的不一致")
        elif rows:
            try:
                event = Event(owner, seq, at, verb, actor, cause, policy, _change(data))
                folded = folded or _Folded(Incident(owner), _received(event))
                evolve(folded.incident, event)
            except (msgspec.MsgspecError, LookupError, ValueError, TypeError, AttributeError):
                fault = Fault(owner, seq, "the event leads to no state", "事件推不出任何状态")
        if fault is not None:
            broken = True
            _add(found, fault)
        before, expected_seq = stored, seq + 1
    leave()
    _compare(connection, folds, found)
    for owner in sorted(heads)[:FAULTS_LIMIT]:
        found.append(Fault(owner, owner, "the incident has no events", "这个件没有事件", "incident"))
    _strays(connection, incident_id, _STRAYS if rows else _STRAYS[:1], found)
    verdict.faults = sorted(found, key=lambda each: (each.incident_id, each.table, each.key))
    return verdict


def _add(found: list[Fault], fault: Fault) -> None:
    if len(found) < FAULTS_LIMIT:
        found.append(fault)


def _of_head(head: tuple[int, bytes] | None, owner: int, next_seq: int, last: bytes) -> Fault | None:
    """Judge the number of events and the last hash that an incident's row names."""
    if head is None:
        return Fault(owner, next_seq - 1, "the events have no incident", "事件没有对应的件")
    if head[0] != next_seq - 1:
        return Fault(
            owner,
            head[0],
            f"the incident counts {head[0]} events, there are {next_seq - 1}",
            f"件上记有 {head[0]} 条事件，实有 {next_seq - 1} 条",
        )
    if head[1] != last:
        return Fault(
            owner, head[0], "the incident's head is not its last event", "件上的末条哈希与最后一条事件不符"
        )
    return None


def _received(event: Event) -> datetime | None:
    """Return when a report was received: as it says itself, or the moment it was opened; None where nobody knows."""
    received_at = event.change.said.get("received_at")
    if received_at is not None:
        return datetime.fromisoformat(received_at)
    return None if event.change.facts.get("imported") else event.at


def _compare(connection: psycopg.Connection[Any], folds: list[_Folded], found: list[Fault]) -> None:
    """Compare the rows of incidents, their assignments and segments with their folds."""
    if not folds:
        return
    ids = [one.incident.id for one in folds]
    with connection.cursor() as cursor:
        held = _load(cursor, ids, found)
        cursor.execute(f"select id, {', '.join(_ALARMS)} from incident where id = any(%s)", (ids,))
        alarms = {row[0]: row[1:] for row in cursor.fetchall()}
        segments: dict[int, dict[int, tuple[Any, ...]]] = {}
        cursor.execute(
            f"select incident_id, seq, {', '.join(_SEGMENT)} from segment where incident_id = any(%s)", (ids,)
        )
        for owner, seq, *segment in cursor.fetchall():
            segments.setdefault(owner, {})[seq] = tuple(segment)
    for one in folds:
        key = one.incident.id
        if (row := held.get(key)) is None:
            continue
        should = store.alarms(one.incident)
        stored, expected = (*_of_row(row.incident), *alarms[key]), (*_of_row(one.incident), *should)
        differing = _differing((*_COLUMNS, *_ALARMS), stored, expected)
        if one.received_at is not None and row.received_at != one.received_at:
            differing.append("received_at")
        for name in differing:
            _add(found, _differs(key, key, name, "incident"))
        parts, folded = row.incident.parts, one.incident.parts
        for part in parts.keys() | folded.keys():
            _of_one(
                found, key, part, "assignment", _PART, _values(parts.get(part)), _values(folded.get(part))
            )
        kept, past = segments.get(key, {}), _segments(one.incident)
        for seq in kept.keys() | past.keys():
            _of_one(found, key, seq, "segment", _SEGMENT, kept.get(seq), past.get(seq))


# What is left where a whole incident was taken away, and what was put beside all of them: rows of which no incident
# knows, in the order of incident and key.
_STRAYS = (
    (
        "incident",
        "select distinct r.incident_id, r.incident_id as key from receipt r"
        " where not exists (select from incident i where i.id = r.incident_id)",
        "the incident is gone, and its receipt is still there",
        "这个件不见了，回执还在",
    ),
    (
        "receipt",
        "select r.id as incident_id, r.id from incident r"
        " where not exists (select from receipt t where t.key = r.number and t.incident_id = r.id)",
        "the incident has no receipt under its number",
        "这个件的编号没有回执",
    ),
    (
        "assignment",
        "select r.incident_id, r.id from assignment r"
        " where not exists (select from incident i where i.id = r.incident_id)",
        "the row belongs to no incident",
        "这一行不属于任何件",
    ),
    (
        "segment",
        "select r.incident_id, r.seq from segment r"
        " where not exists (select from incident i where i.id = r.incident_id)",
        "the row belongs to no incident",
        "这一行不属于任何件",
    ),
)


def _strays(
    connection: psycopg.Connection[Any], incident_id: int | None, asked: tuple[tuple[str, str, str, str], ...],
    found: list[Fault],
) -> None:  # fmt: skip
    for table, query, what, zh in asked:
        rows = connection.execute(
            f"select * from ({query}) s where %s::bigint is null or s.incident_id = %s order by 1, 2 limit %s",
            (incident_id, incident_id, FAULTS_LIMIT),
        )
        for owner, key in rows.fetchall():
            _add(found, Fault(owner, key, what, zh, table))


def _load(cursor: store.Cursor, ids: list[int], found: list[Fault]) -> dict[int, store.Held]:
    """Return the rows of incidents; one that holds what no row can hold is a fault of its own, and stops no other's."""
    try:
        return store.load(cursor, ids)
    except (msgspec.MsgspecError, ValueError):
        if len(ids) == 1:
            _add(
                found,
                Fault(
                    ids[0],
                    ids[0],
                    "the row or an assignment's cannot be read",
                    "件或任务的行读不出来",
                    "incident",
                ),
            )
            return {}
        half = len(ids) // 2
        return _load(cursor, ids[:half], found) | _load(cursor, ids[half:], found)


def _of_one(
    found: list[Fault], owner: int, key: int, table: str, names: tuple[str, ...],
    kept: tuple[Any, ...] | None, folded: tuple[Any, ...] | None,
) -> None:  # fmt: skip
    if kept is None:
        _add(found, Fault(owner, key, "the row is missing", "这一行不见了", table))
    elif folded is None:
        _add(found, Fault(owner, key, "no event speaks of the row", "没有事件提到这一行", table))
    else:
        for name in _differing(names, kept, folded):
            _add(found, _differs(owner, key, name, table))


def _differing(names: tuple[str, ...], kept: tuple[Any, ...], folded: tuple[Any, ...]) -> list[str]:
    """Return the names of the values that differ; that none does is seen at one glance, but for what JSON holds."""
    if kept == folded and all(_same(a, b) for a, b in zip(kept, folded, strict=True) if isinstance(a, dict)):
        return []
    return [n for n, a, b in zip(names, kept, folded, strict=True) if not _same(a, b)]


def _differs(owner: int, key: int, name: str, table: str) -> Fault:
    return Fault(
        owner, key, f"the column {name} is not what the events make it", f"{name} 一列与事件不符", table
    )


def _same(one: object, other: object) -> bool:
    """Tell whether two values are equal and of one kind: a truth value is no number, whatever Python says."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _values(part: Assignment | None) -> tuple[Any, ...] | None:
    return None if part is None else _of_part(part)


def _segments(incident: Incident) -> dict[int, tuple[Any, ...]]:
    i = incident
    folded: dict[int, tuple[Any, ...]] = {s.seq: _of_segment(s) for s in i.past}
    if i.ended_at is None:
        folded[i.segment] = _of_segment(store.standing(i))
    return folded


def _heads(connection: psycopg.Connection[Any], incident_id: int | None) -> dict[int, tuple[int, bytes]]:
    where = "" if incident_id is None else " where id = %s"
    rows = connection.execute(
        f"select id, seq, head from incident{where}", None if incident_id is None else (incident_id,)
    )
    return {owner: (seq, bytes(head)) for owner, seq, head in rows}


def _events(
    connection: psycopg.Connection[Any], incident_id: int | None
) -> Iterator[tuple[int, int, datetime, str, str, str, int, str, bytes]]:
    where = "" if incident_id is None else " where incident_id = %s"
    with connection.cursor(name="audit", binary=True) as cursor:
        cursor.itersize = FETCH_ROWS
        cursor.execute(
            "select incident_id, seq, at, verb, actor, cause, policy_version, data::text, hash"
            f" from event{where} order by incident_id, seq",
            None if incident_id is None else (incident_id,),
        )
        yield from cursor
