"""Keep what became of each day's reports: counts by the day of reporting, for every area and theme.

A cohort is what was reported in one day; all that is said of it is a measure of dispatch/rules/measures/cases.py: the
counts here and the lists of the cases behind a number (dispatch/figures/case_sets.py) both ask it by its name, so that
they cannot differ in what they mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg

from dispatch.record.histories import bite, horizon
from dispatch.record.policies import Policies
from dispatch.rules.measures.cases import MEASURES, ROWS
from dispatch.rules.time.calendar import Calendar
from models.tables.scores import DAILY_COUNTS

NAME = "daily"
EVENTS_LIMIT = 20_000  # followed in one transaction, except that one writer's transaction is never split
DAYS_AT_ONCE = 40  # written in one statement


def follow(connection: psycopg.Connection[Any], events_limit: int = EVENTS_LIMIT) -> int:
    """Count the days again whose incidents the next events changed, in one transaction; return the events.

    0 means that nothing is left to follow. Counting again the same day gives the same rows, so a run that is cut
    short, or done twice, does no harm.
    """
    with connection.transaction(), connection.cursor() as cursor:
        calendar = Policies(cursor).in_force(datetime.now(UTC)).calendar
        begin = _locked(cursor)
        end = bite(cursor, begin, events_limit)
        cursor.execute(
            "select e.events, array(select distinct (i.reported_at at time zone %s)::date from incident i"
            "  where i.id = any(e.ids))"
            " from (select count(*) events, array_agg(distinct incident_id) ids from event"
            "  where tx >= %s::text::xid8 and tx < %s::text::xid8) e",
            (calendar.zone, begin, end),
        )
        row = cursor.fetchone()
        assert row is not None
        _count(cursor, sorted(row[1]), calendar)
        cursor.execute("update follower set position = %s, at = now() where name = %s", (end, NAME))
        return int(row[0])


def rebuild(connection: psycopg.Connection[Any]) -> int:
    """Count every day anew from the rows, in one transaction that keeps followers waiting; return the days."""
    with connection.transaction(), connection.cursor() as cursor:
        calendar = Policies(cursor).in_force(datetime.now(UTC)).calendar
        _locked(cursor)
        end = horizon(cursor)
        cursor.execute("delete from daily")
        bounds = cursor.execute("select min(reported_at), max(reported_at) from incident").fetchone()
        assert bounds is not None
        days = []
        if bounds[0] is not None:
            first, last = (calendar.local(at).date() for at in bounds)
            days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        _count(cursor, days, calendar)
        cursor.execute("update follower set position = %s, at = now() where name = %s", (end, NAME))
        return len(days)


def counted_at(cursor: psycopg.Cursor[Any]) -> datetime | None:
    """Return when the days were last brought level with the events, or None before the first time."""
    row = cursor.execute("select at from follower where name = %s", (NAME,)).fetchone()
    return row[0] if row is not None else None


def differing(
    cursor: psycopg.Cursor[Any], days: Sequence[date], calendar: Calendar
) -> Iterator[tuple[date, str, str, str, str]]:
    """Yield (day, area, theme, counts kept, counts anew) where the two differ; only counts that do, as text."""
    names = ", ".join(DAILY_COUNTS)
    for values in _spans(days, calendar):
        # By what is kept for these days, or counted anew for them: a row may be missing on either side.
        cursor.execute(
            f"with {_COUNTED}, kept as (select day, area_code, theme, {names} from daily"
            " where day = any(%(days)s)) select coalesce(k.day, n.day), coalesce(k.area_code, n.area_code),"
            " coalesce(k.theme, n.theme), to_jsonb(k), to_jsonb(n) from kept k full join counted n"
            " on (n.day, n.area_code, n.theme) = (k.day, k.area_code, k.theme)"
            f" where ({_of('k')}) is distinct from ({_of('n')}) order by 1, 2, 3",
            values,
        )
        for day, area, theme, kept, anew in cursor.fetchall():
            old, new = ({name: (row or {}).get(name, 0) for name in DAILY_COUNTS} for row in (kept, anew))
            wrong = [name for name in DAILY_COUNTS if old[name] != new[name]]
            yield (
                day, area, theme, *(", ".join(f"{name} {row[name]}" for name in wrong) for row in (old, new)),
            )  # fmt: skip


def _of(row: str) -> str:
    return ", ".join(f"{row}.{name}" for name in DAILY_COUNTS)


# The counts of some days: one row of the area's own level and one of each level above, by the lengths of codes.
_COUNTED = (
    f"fact as materialized (select d.day, i.area_code, c.theme,"
    f" {', '.join(f'{MEASURES[name].sql} {name}' for name in DAILY_COUNTS)}"
    " from unnest(%(days)s::date[], %(begin)s::timestamptz[], %(end)s::timestamptz[]) d(day, since, until)"
    f" join ({ROWS}) on i.reported_at >= d.since and i.reported_at < d.until),"
    " counted as materialized (select f.day, l.code area_code, f.theme,"
    f" {', '.join(f'count(*) filter (where f.{name}) {name}' for name in DAILY_COUNTS)} from fact f"
    " cross join lateral (select distinct code from (values (left(f.area_code, 4) || '00'),"
    "  (left(f.area_code, 6)), (left(f.area_code, 9)), (left(f.area_code, 12))) v(code)) l"
    " group by 1, 2, 3)"
)


def _spans(days: Sequence[date], calendar: Calendar) -> Iterator[dict[str, list[Any]]]:
    """Yield what `_COUNTED` is asked with, for some days at a time."""
    for i in range(0, len(days), DAYS_AT_ONCE):
        some = list(days[i : i + DAYS_AT_ONCE])
        begin = [calendar.begins(day) for day in some]
        end = [calendar.begins(day + timedelta(days=1)) for day in some]
        yield {"days": some, "begin": begin, "end": end}


def _count(cursor: psycopg.Cursor[Any], days: Sequence[date], calendar: Calendar) -> None:
    """Write the counts of some days, changed rows only, and drop rows that no incident stands behind any more."""
    update = ", ".join(f"{name} = excluded.{name}" for name in DAILY_COUNTS)
    for values in _spans(days, calendar):
        cursor.execute(
            f"with {_COUNTED}, gone as (delete from daily d where d.day = any(%(days)s) and not exists"
            "  (select from counted n where (n.day, n.area_code, n.theme) = (d.day, d.area_code, d.theme)))"
            f" insert into daily (day, area_code, theme, {', '.join(DAILY_COUNTS)}) select * from counted"
            f" on conflict (day, area_code, theme) do update set {update}"
            f" where ({_of('daily')}) is distinct from ({_of('excluded')})",
            values,
        )


def _locked(cursor: psycopg.Cursor[Any]) -> int:
    cursor.execute("insert into follower (name, position) values (%s, 0) on conflict do nothing", (NAME,))
    row = cursor.execute("select position from follower where name = %s for update", (NAME,)).fetchone()
    assert row is not None
    return int(row[0])
