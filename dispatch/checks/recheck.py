"""Compute again from the events what is stored beside them, and list every difference: rows, hours and scores."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from operator import attrgetter
from typing import Any

import psycopg

from dispatch.desk import store
from dispatch.desk.columns import shared
from dispatch.figures import cohorts, rollup
from dispatch.record.histories import EVERYTHING, histories
from dispatch.record.policies import Policies
from dispatch.rules.areas import centre_of
from dispatch.rules.incident.chain import Assignment, Incident, Segment
from dispatch.rules.measures.assessment import shown
from dispatch.scores import scoring
from models.tables import incidents as tables

INCIDENTS = "recheck"  # the follower that remembers the last incident looked at
MONTHS = "recheck months"  # the one that remembers the last of the older months
BATCH = 2_000  # incidents in one transaction
BACK = timedelta(days=400)  # how far hours and days are compared: a year, and what is still judged in it
SLICE = timedelta(days=40)  # of hours held in memory at a time
LATE_LIMIT = (
    20_000  # incidents of events not followed yet; with more a follower stands still, which its job tells
)

# What steps may change of an incident and of its assignments, but for what stands in JSON; and of a segment all.
_FIELDS = tuple(
    n for n in shared(tables.Incident, Incident, "clocks", "facts") if n in store.INCIDENT.changing
)
_PART = shared(tables.Assignment, Assignment, "id", "clocks", "facts")
_SEGMENT = shared(tables.Segment, Segment)
_of_part: Callable[[Assignment], tuple[Any, ...]] = attrgetter(*_PART)
_of_segment: Callable[[Segment], tuple[Any, ...]] = attrgetter(*_SEGMENT)
_READ: dict[str, Callable[[Incident], object]] = {
    "due_at": lambda i: store.alarms(i)[0],
    "due_clocks": lambda i: store.alarms(i)[1],
    "overdue_since": lambda i: store.alarms(i)[2],
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing stored that the events do not bear out: table and column, whose, what stands, what should."""

    what: str
    subject: str
    stored: str
    recomputed: str


def incidents(connection: psycopg.Connection[Any], now: datetime, limit: int) -> int:
    """Check the next `limit` incidents, going on where the last run stopped and around; return how many.

    Differences are kept as mismatches; those that are gone are marked so.
    """
    checked = 0
    while checked < limit:
        with connection.transaction(), connection.cursor() as cursor:
            # One snapshot for rows and events: what is being written meanwhile is in both or in neither.
            cursor.execute("set transaction isolation level repeatable read")
            after = _position(cursor)
            ids, found = _check(cursor, after, min(BATCH, limit - checked))
            _record(cursor, found, [str(i) for i in ids], ("incident.", "segment", "assignment."), now)
            _move(cursor, ids[-1] if ids else 0)
        checked += len(ids)
        if not ids and (after == 0 or checked):
            break
    return checked


def _check(cursor: psycopg.Cursor[Any], after: int, size: int) -> tuple[list[int], list[Difference]]:
    columns = ", ".join(("id", *_FIELDS, *_READ))
    rows = cursor.execute(
        f"select {columns} from incident where id > %s order by id limit %s", (after, size)
    ).fetchall()
    ids = [row[0] for row in rows]
    segments: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for owner, *segment in cursor.execute(
        f"select incident_id, {', '.join(_SEGMENT)} from segment"
        " where incident_id = any(%s) order by incident_id, seq",
        (ids,),
    ):
        segments[owner].append(tuple(segment))
    parts: dict[int, dict[int, tuple[Any, ...]]] = defaultdict(dict)
    for owner, key, *part in cursor.execute(
        f"select incident_id, id, {', '.join(_PART)} from assignment where incident_id = any(%s)",
        (ids,),
    ):
        parts[owner][key] = tuple(part)
    stored = {row[0]: dict(zip((*_FIELDS, *_READ), row[1:], strict=True)) for row in rows}
    found: list[Difference] = []
    for history in histories(cursor, ids, EVERYTHING):
        key = history.events[0].incident_id
        row = stored.pop(key)
        incident = history.fold()
        if incident is None:
            found.append(Difference("incident.events", str(key), "present", "no report among the events"))
            continue
        found += _of_row(incident, row)
        found += _of_parts(incident, parts[key])
        found += _of_segments(incident, segments[key])
    found += [Difference("incident.events", str(key), "present", "no events") for key in stored]
    return ids, found


def _of_row(incident: Incident, row: dict[str, Any]) -> Iterator[Difference]:
    for name in (*_FIELDS, *_READ):
        should = _READ[name](incident) if name in _READ else getattr(incident, name)
        if row[name] != should:
            yield Difference(f"incident.{name}", str(incident.id), str(row[name]), str(should))


def _of_parts(incident: Incident, rows: dict[int, tuple[Any, ...]]) -> Iterator[Difference]:
    should = {p.id: _of_part(p) for p in incident.parts.values()}
    for key in sorted(should.keys() | rows.keys()):
        if rows.get(key) != should.get(key):
            yield Difference(
                f"assignment.{key}", str(incident.id), _told(rows.get(key)), _told(should.get(key))
            )


def _of_segments(incident: Incident, rows: list[tuple[Any, ...]]) -> Iterator[Difference]:
    i = incident
    should: list[tuple[Any, ...]] = [_of_segment(s) for s in i.past]
    if incident.ended_at is None:
        should.append(_of_segment(store.standing(i)))
    if rows != should:
        wrong = next((a for a, b in zip(rows, should, strict=False) if a != b), None)
        right = next((b for a, b in zip(rows, should, strict=False) if a != b), None)
        yield Difference(
            "segment",
            str(incident.id),
            _told(wrong or f"{len(rows)} rows"),
            _told(right or f"{len(should)} rows"),
        )
    elif not incident.facts.get("former"):
        yield from _gaps(incident)


def _gaps(incident: Incident) -> Iterator[Difference]:
    """Check that responsibility has neither gap nor overlap from the first event to the last."""
    past: list[Segment] = incident.past
    for one, following in pairwise(past):
        if one.ended_at != following.began_at:
            yield Difference(
                "segment.gap", str(incident.id), f"{one.seq} ends {one.ended_at}", f"{following.began_at}"
            )


def _told(value: object) -> str:
    return ", ".join(str(v) for v in value) if isinstance(value, tuple) else str(value)


def hours(connection: psycopg.Connection[Any], now: datetime) -> int:
    """Compare a year of the roll-up with sums made straight from the incidents; return the hours compared.

    The sums are another way to the same figures: SQL over rows instead of folds over events. Cells of incidents
    whose events are not followed yet are left for the next run.
    """
    found: list[Difference] = []
    compared = 0
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read")
        with connection.cursor() as cursor:
            late = _late(cursor, rollup.NAME)
            if late is None:
                return 0
            moving = _moving(cursor, late, rollup.position(cursor))
            end = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
            begin = end - BACK
            while begin < end:
                until = min(begin + SLICE, end)
                stored, should = _summed(cursor, begin, until), _straight(cursor, begin, until)
                found += [
                    Difference(
                        f"hourly.{key[2]}",
                        f"{key[0]:%Y-%m-%dT%H}Z {key[1]}",
                        str(stored.get(key, 0)),
                        str(should.get(key, 0)),
                    )
                    for key in sorted(should.keys() | stored.keys())
                    if stored.get(key, 0) != should.get(key, 0) and key[:2] not in moving
                ]
                compared += len({key[0] for key in stored})
                begin = until
    with connection.transaction(), connection.cursor() as cursor:
        _record(cursor, found, None, ("hourly.",), now)
    return compared


def days(connection: psycopg.Connection[Any], now: datetime) -> int:
    """Count a year of days anew and compare them with what is kept of them; return the days compared.

    Days of incidents whose events are not followed yet are left for the next run.
    """
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read")
        with connection.cursor() as cursor:
            late = _late(cursor, cohorts.NAME)
            if late is None:
                return 0
            calendar = Policies(cursor).in_force(now).calendar
            row = cursor.execute(
                "select min(reported_at), array(select distinct (reported_at at time zone %s)::date from incident"
                "  where id = any(%s)) from incident",
                (calendar.zone, late),
            ).fetchone()
            assert row is not None
            if row[0] is None:
                return 0
            last = calendar.local(now).date()
            first = max(calendar.local(row[0]).date(), last - BACK)
            settled = [
                day
                for n in range((last - first).days + 1)
                if (day := first + timedelta(days=n)) not in row[1]
            ]
            found = [
                Difference("daily", f"{day} {area} {theme}", stored, should)
                for day, area, theme, stored, should in cohorts.differing(cursor, settled, calendar)
            ]
    with connection.transaction(), connection.cursor() as cursor:
        _record(cursor, found, None, ("daily",), now)
    return len(settled)


def _late(cursor: psycopg.Cursor[Any], follower: str) -> list[int] | None:
    """Return the incidents of events that a follower has not come to, or None for too many of them."""
    cursor.execute(
        "select distinct incident_id from event where tx >= coalesce((select position from follower"
        " where name = %s), 0)::text::xid8 limit %s",
        (follower, LATE_LIMIT + 1),
    )
    ids = [row[0] for row in cursor.fetchall()]
    return ids if len(ids) <= LATE_LIMIT else None


def _moving(cursor: psycopg.Cursor[Any], ids: list[int], position: int) -> set[tuple[datetime, str]]:
    """Return the cells (hour, area) of incidents that a follower is about to take something off or put on."""
    found = set()
    for history in histories(cursor, ids, EVERYTHING):
        for incident in (history.fold(position), history.fold()):
            if incident is not None:
                area = centre_of(incident.area_code)
                found |= {(rollup.hour_of(at), area) for at, _, _ in rollup.adds(incident, "")}
    return found


# Count -> the instant it is counted under, and which incidents count.
_STRAIGHT = {
    "reported": ("reported_at", "true"),
    "disposed": ("disposed_at", "true"),
    "disposed_on_time": ("disposed_at", "disposed_on_time"),
    "closed": ("ended_at", "state in ('closed', 'archived')"),
    "closed_on_time": ("ended_at", "state in ('closed', 'archived') and closed_on_time"),
}


Sums = dict[tuple[datetime, str, str], int]


def _summed(cursor: psycopg.Cursor[Any], begin: datetime, end: datetime) -> Sums:
    cursor.execute(
        f"select hour, area_code, {', '.join(f'sum({n})' for n in _STRAIGHT)} from hourly"
        " where hour >= %s and hour < %s group by hour, area_code",
        (begin, end),
    )
    return {
        (hour, area, name): count
        for hour, area, *counts in cursor.fetchall()
        for name, count in zip(_STRAIGHT, counts, strict=True)
        if count
    }


def _straight(cursor: psycopg.Cursor[Any], begin: datetime, end: datetime) -> Sums:
    found = {}
    for name, (at, which) in _STRAIGHT.items():
        cursor.execute(
            f"select date_trunc('hour', {at}, 'UTC'), left(area_code, 9), count(*) from incident"
            f" where {at} >= %s and {at} < %s and {which} group by 1, 2",
            (begin, end),
        )
        found.update({(hour, area, name): count for hour, area, count in cursor.fetchall()})
    return found


def _scored(parts: str, digest: str) -> str:
    """Return a card's score to two digits, and the beginning of its hash, which tells equal scores apart."""
    score = json.loads(parts)["score"]
    return f"{shown(Fraction(score) if score else None, 'en', 2, percent=False)} ({digest[:8]})"


def months(connection: psycopg.Connection[Any], now: datetime, which: Iterable[date]) -> int:
    """Compute months again, each by its own rules and instant, and compare every card's bytes; return the cards."""
    compared = 0
    for month in which:
        with connection.transaction(), connection.cursor() as cursor:
            again = scoring.again(connection, month)
            should = {(c.kind, c.subject, c.card): c for c in again.cards}
            found = []
            for kind, subject, card, parts, digest, version in cursor.execute(
                "select a.kind, a.subject, a.card, a.parts::text, a.hash, m.policy_version"
                " from assessment a join assessment_month m using (month) where month = %s",
                (month,),
            ):
                right = should.pop((kind, subject, card), None)
                label = f"{month:%Y-%m} {kind} {subject} {card}"
                if digest != scoring.card_hash(month, kind, subject, card, version, parts):
                    found.append(
                        Difference("assessment.hash", label, digest, "not the hash of what is stored")
                    )
                if right is None or right.parts != parts:
                    found.append(
                        Difference(
                            "assessment.parts",
                            label,
                            _scored(parts, digest),
                            _scored(right.parts, right.hash) if right else "no such card",
                        )
                    )
                compared += 1
            found += [
                Difference("assessment.parts", f"{month:%Y-%m} {' '.join(key)}", "missing", card.hash)
                for key, card in should.items()
            ]
            row = cursor.execute("select hash from assessment_month where month = %s", (month,)).fetchone()
            if row is not None and row[0] != again.hash:
                found.append(Difference("assessment_month.hash", f"{month:%Y-%m}", row[0], again.hash))
            _record(cursor, found, None, ("assessment",), now, f"{month:%Y-%m}%")
    return compared


def due_months(cursor: psycopg.Cursor[Any], limit: int) -> list[date]:
    """Return the months to compute again: those that run, the last frozen one, and older ones in turn, up to `limit`.

    The next call goes on where this one stopped.
    """
    cursor.execute("select month, state from assessment_month order by month desc")
    kept = cursor.fetchall()
    frozen = [month for month, state in kept if state == "frozen"]
    always = [month for month, state in kept if state != "frozen"] + frozen[:1]
    cursor.execute("insert into follower (name, position) values (%s, 0) on conflict do nothing", (MONTHS,))
    row = cursor.execute("select position from follower where name = %s for update", (MONTHS,)).fetchone()
    assert row is not None
    older = frozen[1:]
    before = [month for month in older if month.toordinal() < row[0]]
    turn = (before + [month for month in older if month not in before])[: max(0, limit - len(always))]
    if turn:
        cursor.execute(
            "update follower set position = %s, at = now() where name = %s", (turn[-1].toordinal(), MONTHS)
        )
    return always + turn


def open_mismatches(cursor: psycopg.Cursor[Any], limit: int = 100) -> list[Difference]:
    """Return the differences that stand, the newest first."""
    cursor.execute(
        "select what, subject, stored, recomputed from mismatch where gone_at is null order by id desc limit %s",
        (limit,),
    )
    return [Difference(*row) for row in cursor.fetchall()]


def _record(
    cursor: psycopg.Cursor[Any],
    found: list[Difference],
    subjects: list[str] | None,
    prefixes: tuple[str, ...],
    now: datetime,
    like: str = "%",
) -> None:
    """Keep what was found, and mark as gone what was looked at again and is right now."""
    what, whose = [d.what for d in found], [d.subject for d in found]
    cursor.execute(
        "update mismatch m set gone_at = %s where gone_at is null and what like any(%s) and subject like %s"
        " and (%s::text[] is null or subject = any(%s))"
        " and not exists (select from unnest(%s::text[], %s::text[]) f(what, subject)"
        " where f.what = m.what and f.subject = m.subject)",
        (now, [f"{p}%" for p in prefixes], like, subjects, subjects, what, whose),
    )
    cursor.execute(
        "insert into mismatch (what, subject, stored, recomputed, found_at)"
        " select *, %s::timestamptz from unnest(%s::text[], %s::text[], %s::text[], %s::text[])"
        " on conflict (what, subject) where gone_at is null"
        " do update set stored = excluded.stored, recomputed = excluded.recomputed",
        (now, what, whose, [d.stored for d in found], [d.recomputed for d in found]),
    )


def _position(cursor: psycopg.Cursor[Any]) -> int:
    cursor.execute(
        "insert into follower (name, position) values (%s, 0) on conflict do nothing", (INCIDENTS,)
    )
    row = cursor.execute("select position from follower where name = %s for update", (INCIDENTS,)).fetchone()
    assert row is not None
    return int(row[0])


def _move(cursor: psycopg.Cursor[Any], position: int) -> None:
    cursor.execute("update follower set position = %s, at = now() where name = %s", (position, INCIDENTS))
