"""Keep figures by area and period: those published elsewhere with their source, and those counted every day."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import psycopg

from dispatch.figures import rollup
from dispatch.record import follower
from dispatch.record.follower import STRETCH, Follower
from dispatch.rules.areas import Level
from dispatch.rules.measures.assessment import headline, shown
from dispatch.rules.time.calendar import Calendar
from models.cities.loading import CONFIG

DAYS_BACK = 35  # counted anew each time: reworks and reopenings move what was counted
DAILY = ("reported", "accepted", "disposed", "disposed_on_time", "closed", "closed_on_time", "overdue")
REPLAYED = "replayed"  # the follower of requests that another city's system ran
COUNTED = "roll-up of the events"
COMPUTED = "由通报数字算出 / computed from the published figures"
PUBLISHED_FILE = "published.csv"
# Figures of the published ones that arithmetic gives: metric -> (unit, what it is computed from).
_HEADLINE = {"per_village": "宗", "months_between": "月", "settled": "1"}


def enter(cursor: psycopg.Cursor[Any], folder: Path = CONFIG / "cities") -> int:
    """Enter a city's published figures from its folder, and what follows from them; return the figures entered.

    Published figures are shown as published, whatever ours say. A city without such a file enters none. Raises
    ValueError for a file with a figure that is no number.
    """
    row = cursor.execute("select code from area where level = 1").fetchone()
    if row is None:
        return 0
    code = str(row[0])
    rows = _published(code, folder)
    for each in rows:
        _put(
            cursor,
            each["metric"],
            code,
            each["period"],
            Fraction(each["value"]),
            each["unit"],
            each["source"],
            True,
        )
    entered = len(rows)
    values = {
        (r["metric"], r["period"]): int(r["value"])
        for r in rows
        if r["metric"] in ("disputes", "disputes_settled", "villages")
    }
    for metric, period in values:
        if metric != "disputes" or {("disputes_settled", period), ("villages", period)} - values.keys():
            continue
        found = headline(
            values["disputes_settled", period], values["disputes", period], values["villages", period]
        )
        for name, value in found.items():
            if value is not None:
                _put(cursor, name, code, period, value, _HEADLINE[name], COMPUTED, False)
                entered += 1
    return entered


def count_days(cursor: psycopg.Cursor[Any], calendar: Calendar, now: datetime) -> int:
    """Count the last days of the city and its counties from the roll-up; return the figures written.

    Days are the city's own; the last is the one before the day of `now`.
    """
    row = cursor.execute("select code from area where level = 1").fetchone()
    if row is None:
        return 0
    city, written = str(row[0]), 0
    end = calendar.midnight(now)
    for _ in range(DAYS_BACK):
        begin = calendar.midnight(end - timedelta(hours=12))
        period = f"{calendar.local(begin):%Y-%m-%d}"
        for level in (Level.CITY, Level.COUNTY):
            for code, counts in rollup.sums(cursor, begin, end, level, city).items():
                for name in DAILY:
                    _put(cursor, name, code, period, Fraction(counts[name]), "件", COUNTED, False)
                    written += 1
        end = begin
    return written


@dataclass(frozen=True, slots=True)
class OnTime:
    """Hold a source's on-time figures: `naive` is what one gets by counting cases without a target as on time."""

    on_time: int
    with_target: int
    without_target: int

    @property
    def rate(self) -> Fraction | None:
        """Return the share on time of the cases that had a target, or None for none."""
        return Fraction(self.on_time, self.with_target) if self.with_target else None

    @property
    def naive(self) -> Fraction | None:
        """Return the share that would be shown if no target counted as kept, or None for no case."""
        cases = self.with_target + self.without_target
        return Fraction(self.on_time + self.without_target, cases) if cases else None

    def explained(self, lang: str = "zh") -> str:
        """Return, in `zh` or `en`, both rates and why they differ."""
        zh = lang == "zh"
        if self.rate is None or self.naive is None:
            none = f"{self.without_target:,}"
            return (
                f"{none} 件都没有时限，无从判断是否按期" if zh
                else f"None of the {none} cases has a target: nothing can be said about being on time"
            )  # fmt: skip
        honest, naive = shown(self.rate, lang), shown(self.naive, lang)
        base = f"{self.on_time:,}/{self.with_target:,}"
        if not self.without_target:
            return (
                f"按期率 {honest}（{base}），每件都有时限" if zh
                else f"{honest} on time ({base}); every case has a target"
            )  # fmt: skip
        more = shown(abs(self.naive - self.rate) * 100, lang, 2, percent=False)
        none = f"{self.without_target:,}"
        return (
            f"按期率 {honest}（{base}，只算有时限的件）。另有 {none} 件没有时限；把它们也当作按期会得到 {naive}，"
            f"虚高 {more} 个点" if zh
            else f"{honest} on time ({base}, cases with a target only). {none} more have no target; counting them as"
            f" on time would give {naive}, {more} points too many"
        )  # fmt: skip


def on_time_of(cursor: psycopg.Cursor[Any], source: str, as_of: datetime) -> OnTime:
    """Return how a source's requests did against their own targets, as of an instant.

    An open request counts as on time while its target has not passed, as open data portals have it; one that was
    disposed of has its stored verdict.
    """
    row = cursor.execute(
        "select count(*) filter (where due is not null and coalesce(disposed_on_time, due >= %s)),"
        " count(*) filter (where due is not null), count(*) filter (where due is null)"
        " from (select i.disposed_on_time, coalesce(i.clocks -> 'dispose' ->> 'due', (select a.clocks -> 'dispose'"
        " ->> 'due' from assignment a where a.incident_id = i.id and a.role = 'lead' order by a.id desc limit 1)"
        ")::timestamptz due from incident i where i.source = %s and i.state not in ('rejected', 'void', 'merged')) t",
        (as_of, source),
    ).fetchone()
    assert row is not None
    return OnTime(*row)


def follow_replayed(connection: psycopg.Connection[Any], events_limit: int | None = None) -> int:
    """Count the replayed sources again that the next events are of, in one transaction; return the events.

    0 means that nothing is left to follow. The first time every source is counted. A run that is cut short, or done
    twice, does no harm.
    """
    return follower.follow(connection, FOLLOWER, events_limit)


def _take_replayed(cursor: psycopg.Cursor[Any], begin: int, end: int) -> int:
    row = cursor.execute(
        "select count(*), array_agg(distinct i.source) filter (where i.facts ? 'imported') from event e"
        f" join incident i on i.id = e.incident_id where {STRETCH}",
        {"begin": begin, "end": end},
    ).fetchone()
    assert row is not None
    events, sources = row
    for source in sources or ():
        _count_source(cursor, source)
    return int(events)


def _count_all(cursor: psycopg.Cursor[Any], end: int) -> int:
    (sources,) = _one(cursor, "select array_agg(distinct source) from incident where facts ? 'imported'", ())
    for source in sources or ():
        _count_source(cursor, source)
    return len(sources or ())


FOLLOWER = Follower(REPLAYED, _take_replayed, _count_all)


def judge_replayed(connection: psycopg.Connection[Any], source: str, as_of: datetime) -> None:
    """Judge the open requests of a replayed source as of an instant that it is known to have reached, from now on.

    Requests alone tell of less: that an open one's target had passed is seen by what the source called missed.
    """
    with connection.transaction(), connection.cursor() as cursor:
        follower.hold(cursor, REPLAYED)
        cursor.execute(
            "update replayed set as_of = greatest(as_of, %s) where source = %s returning source",
            (as_of, source),
        )
        if cursor.fetchone() is not None:
            _count_source(cursor, source)


def _count_source(cursor: psycopg.Cursor[Any], source: str) -> None:
    requests, first, last = _one(
        cursor,
        "select count(*), min(reported_at), greatest(max(greatest(reported_at, disposed_at, ended_at)),"
        " (select as_of from replayed r where r.source = %s)) from incident where source = %s and facts ? 'imported'",
        (source, source),
    )
    count = on_time_of(cursor, source, last)
    cursor.execute(
        "insert into replayed (source, requests, first_at, as_of, on_time, with_target, without_target)"
        " values (%s, %s, %s, %s, %s, %s, %s) on conflict (source) do update set requests = excluded.requests,"
        " first_at = excluded.first_at, as_of = excluded.as_of, on_time = excluded.on_time,"
        " with_target = excluded.with_target, without_target = excluded.without_target",
        (source, requests, first, last, count.on_time, count.with_target, count.without_target),
    )


def _one(cursor: psycopg.Cursor[Any], query: str, values: tuple[object, ...]) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = cursor.execute(query.encode(), values).fetchone()
    assert row is not None
    return row


def _published(code: str, folder: Path) -> list[dict[str, str]]:
    for path in sorted(folder.glob(f"*/{PUBLISHED_FILE}")):
        settings = path.with_name("city.toml")
        if settings.exists() and f'"{code}"' in settings.read_text(encoding="utf-8"):
            with path.open(encoding="utf-8-sig", newline="") as file:
                return list(csv.DictReader(file))
    return []


def _put(
    cursor: psycopg.Cursor[Any], metric: str, area: str, period: str, value: Fraction, unit: str, source: str,
    published: bool,
) -> None:  # fmt: skip
    cursor.execute(
        "insert into kpi (metric, area_code, period, value, unit, source, published)"
        " values (%s, %s, %s, %s::numeric / %s, %s, %s, %s) on conflict (metric, area_code, period) do update set"
        " value = excluded.value, unit = excluded.unit, source = excluded.source, published = excluded.published,"
        " entered_at = now() where (kpi.value, kpi.source) is distinct from (excluded.value, excluded.source)",
        (metric, area, period, value.numerator, value.denominator, unit, source, published),
    )
