"""Follow the log: the one runner of all that is kept beside the events, each follower's place in it, and its lag.

Events are taken by their transactions, all below the oldest that still runs, so that none is missed whatever commits
first. What a follower writes and its new place are one transaction: a run that is cut short counts nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from dispatch.record.histories import horizon

EVENTS_LIMIT = 20_000  # followed in one transaction, except that one writer's transaction is never split
LAG_LIMIT = 100_000  # events counted; who is further behind is that far behind at least

Cursor = psycopg.Cursor[Any]
# The events of a stretch of the log, for the two transactions that bound it.
STRETCH = "tx >= %(begin)s::text::xid8 and tx < %(end)s::text::xid8"


@dataclass(frozen=True, slots=True)
class Follower:
    """One reader of the log: `take(cursor, begin, end)` takes in the events of transactions in [begin, end).

    It returns how many, and may be run again on the same stretch once its transaction is rolled back. `anew(cursor,
    end)` stands in for it the first time, where there is a shorter way to everything below `end`; `from_now` passes
    over what happened before the first time. With `alone`, an SQL expression of an advisory lock, a run does nothing
    while somebody else holds it. An `events_limit` of None takes the whole log in at once.
    """

    name: str
    take: Callable[[Cursor, int, int], int]
    anew: Callable[[Cursor, int], int] | None = None
    from_now: bool = False
    alone: str | None = None
    events_limit: int | None = EVENTS_LIMIT


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a follower is behind: events it has not taken in, and seconds since it was last level with the log.

    Who has nothing to take in is 0 seconds behind, however long ago it looked.
    """

    name: str
    events: int
    seconds: float


def follow(connection: psycopg.Connection[Any], follower: Follower, events_limit: int | None = None) -> int:
    """Let a follower take in its next events, in one transaction; return how many, 0 when nothing is left."""
    with connection.transaction(), connection.cursor() as cursor:
        if follower.alone is not None and not _obtained(cursor, follower.alone):
            return 0
        last = horizon(cursor)
        begin = hold(cursor, follower.name, last if follower.from_now else 0)
        if begin == 0 and follower.anew is not None:
            end, taken = last, follower.anew(cursor, last)
        else:
            end = next_position(cursor, begin, last, events_limit or follower.events_limit)
            taken = follower.take(cursor, begin, end)
        come_to(cursor, follower.name, end, level=end >= last)
        return taken


def hold(cursor: Cursor, name: str, first: int = 0) -> int:
    """Take a follower's turn until the transaction ends; return the transaction below which it has taken all in.

    Before its first time that is `first`.
    """
    cursor.execute(
        "insert into follower (name, position) values (%s, %s) on conflict do nothing", (name, first)
    )
    row = cursor.execute("select position from follower where name = %s for update", (name,)).fetchone()
    assert row is not None
    return int(row[0])


def come_to(cursor: Cursor, name: str, position: int, *, level: bool = True) -> None:
    """Note how far a follower has come, and by `level` that nothing was left for it then."""
    cursor.execute(
        "update follower set position = %s, at = case when %s then now() else at end where name = %s",
        (position, level, name),
    )


def position_of(cursor: Cursor, name: str) -> int:
    """Return the transaction below which a follower has taken all in; 0 before its first time."""
    row = cursor.execute("select position from follower where name = %s", (name,)).fetchone()
    return int(row[0]) if row is not None else 0


def level_at(cursor: Cursor, name: str) -> datetime | None:
    """Return when a follower was last level with the log, or None before its first time."""
    row = cursor.execute("select at from follower where name = %s", (name,)).fetchone()
    return row[0] if row is not None else None


def next_position(cursor: Cursor, begin: int, last: int, limit: int | None) -> int:
    """Return the transaction before which a follower that has come to `begin` stops: `last`, or earlier.

    About `limit` events lie between the two; one writer's transaction is never split.
    """
    row = (
        cursor.execute(
            f"select tx::text::bigint from event where {STRETCH} order by tx offset %(limit)s limit 1",
            {"begin": begin, "end": last, "limit": limit},
        ).fetchone()
        if limit is not None
        else None
    )
    if row is None:
        return max(begin, last)
    first = cursor.execute(
        "select tx::text::bigint from event where tx >= %s::text::xid8 order by tx limit 1", (begin,)
    ).fetchone()
    assert first is not None
    return max(int(row[0]), int(first[0]) + 1)


def lags(cursor: Cursor) -> list[Lag]:
    """Return how far every follower of the log is behind, in the order of their names.

    Rows of the same table that go through incidents or months instead (`recheck`) are left out.
    """
    cursor.execute(
        "select split_part(f.name, '/', 1), n.events,"
        " case when n.events > 0 then greatest(0, extract(epoch from now() - f.at))::float8 else 0 end"
        " from follower f cross join lateral (select count(*) events from (select from event"
        "  where tx >= f.position::text::xid8 limit %s) e) n where f.name not like 'recheck%%' order by 1",
        (LAG_LIMIT,),
    )
    return [Lag(*row) for row in cursor.fetchall()]


def _obtained(cursor: Cursor, lock: str) -> bool:
    row = cursor.execute(f"select pg_try_advisory_xact_lock({lock})".encode()).fetchone()
    return bool(row and row[0])
