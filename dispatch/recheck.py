"""Compute again from the events what is stored beside them, and list every difference: rows, hours and scores."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import psycopg

from dispatch import rollup, scoring, store
from dispatch.past import EVERYTHING, lives
from dispatch.rules.chain import Incident, Segment

INCIDENTS = "recheck"  # the follower that remembers the last incident looked at
BATCH = 2_000  # incidents in one transaction
HOURS_BACK = timedelta(days=40)

_FIELDS = (
    "state", "category", "severity", "mode", "place", "level", "holder", "held_since", "awaits", "paused_why",
    "segment", "disposed_at", "disposed_on_time", "ended_at", "closed_on_time", "rating", "seq", "last_verb",
    "last_actor", "last_at",
)  # fmt: skip
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
        "select incident_id, seq, holder, awaits, paused_why, began_at, ended_at from segment"
        " where incident_id = any(%s) order by incident_id, seq",
        (ids,),
    ):
        segments[owner].append(tuple(segment))
    parts: dict[int, dict[int, tuple[Any, ...]]] = defaultdict(dict)
    for owner, key, *part in cursor.execute(
        "select incident_id, id, team_id, role, kind, state, sent_at, ended_at from assignment"
        " where incident_id = any(%s)",
        (ids,),
    ):
        parts[owner][key] = tuple(part)
    stored = {row[0]: dict(zip((*_FIELDS, *_READ), row[1:], strict=True)) for row in rows}
    found: list[Difference] = []
    for life in lives(cursor, ids, EVERYTHING):
        key = life.events[0].incident_id
        row = stored.pop(key)
        incident = life.fold()
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
    should = {
        p.id: (p.team_id, p.role, p.kind, p.state, p.sent_at, p.ended_at) for p in incident.parts.values()
    }
    for key in sorted(should.keys() | rows.keys()):
        if rows.get(key) != should.get(key):
            yield Difference(
                f"assignment.{key}", str(incident.id), _told(rows.get(key)), _told(should.get(key))
            )


def _of_segments(incident: Incident, rows: list[tuple[Any, ...]]) -> Iterator[Difference]:
    i = incident
    should: list[tuple[Any, ...]] = [
        (s.seq, s.holder, s.awaits, s.paused_why, s.began_at, s.ended_at) for s in i.past
    ]
    if incident.ended_at is None:
        should.append((i.segment, i.holder, i.awaits, i.paused_why, i.held_since, None))
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
    """Compare the last weeks of the roll-up with sums made straight from the incidents; return the hours compared.

    The sums are another way to the same figures: SQL over rows instead of folds over events. Cells of incidents
    that are being changed meanwhile are left for the next run.
    """
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read")
        with connection.cursor() as cursor:
            position = rollup.position(cursor)
            begin = (now - HOURS_BACK).replace(minute=0, second=0, microsecond=0)
            late = cursor.execute(
                "select 1 from event where tx >= %s::text::xid8 limit 1", (position,)
            ).fetchone()
            if late is not None:
                # Not level with the events: nothing to compare with.
                return 0
            should = _straight(cursor, begin)
            stored = {
                (hour, area, name): count
                for hour, area, *counts in cursor.execute(
                    f"select hour, area_code, {', '.join(f'sum({n})' for n in _STRAIGHT)} from hourly"
                    " where hour >= %s group by hour, area_code",
                    (begin,),
                )
                for name, count in zip(_STRAIGHT, counts, strict=True)
                if count
            }
    found = [
        Difference(
            f"hourly.{key[2]}",
            f"{key[0]:%Y-%m-%dT%H}Z {key[1]}",
            str(stored.get(key, 0)),
            str(should.get(key, 0)),
        )
        for key in sorted(should.keys() | stored.keys())
        if stored.get(key, 0) != should.get(key, 0)
    ]
    with connection.transaction(), connection.cursor() as cursor:
        _record(cursor, found, None, ("hourly.",), now)
    return len({key[0] for key in stored})


# Count -> the instant it is counted under, and which incidents count.
_STRAIGHT = {
    "reported": ("reported_at", "true"),
    "disposed": ("disposed_at", "true"),
    "disposed_on_time": ("disposed_at", "disposed_on_time"),
    "closed": ("ended_at", "state in ('closed', 'archived')"),
    "closed_on_time": ("ended_at", "state in ('closed', 'archived') and closed_on_time"),
}


def _straight(cursor: psycopg.Cursor[Any], begin: datetime) -> dict[tuple[datetime, str, str], int]:
    found = {}
    for name, (at, which) in _STRAIGHT.items():
        cursor.execute(
            f"select date_trunc('hour', {at}, 'UTC'), left(area_code, 9), count(*) from incident"
            f" where {at} >= %s and {which} group by 1, 2",
            (begin,),
        )
        found.update({(hour, area, name): count for hour, area, count in cursor.fetchall()})
    return found


def months(connection: psycopg.Connection[Any], now: datetime, which: Iterable[date]) -> int:
    """Compute frozen months again by their own rules and compare every card's bytes; return the cards compared."""
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
                        Difference("assessment.parts", label, digest, right.hash if right else "no such card")
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
