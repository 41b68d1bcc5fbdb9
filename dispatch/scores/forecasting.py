"""Gather what the breach forecast learns from, judge it on the latest part of the past, and report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import Any

import psycopg

from dispatch.record.policies import Policies
from dispatch.rules.measures import forecast
from dispatch.rules.measures.forecast import Done, Model, Verdict
from dispatch.rules.time.calendar import Limit
from dispatch.rules.time.clocks import BY_SOURCE

LOOK_BACK = timedelta(days=365)
UNSEEN = 0.25  # of the past, the latest, is kept from learning and judged by
ROWS_LIMIT = 500_000


@dataclass(frozen=True, slots=True)
class Forecast:
    """Hold a model with the verdict on it; one that is not `verdict.trusted` is shown to nobody."""

    model: Model
    verdict: Verdict


def learn(cursor: psycopg.Cursor[Any], now: datetime) -> Forecast:
    """Learn from the year before `now`, all but its latest quarter, and judge on that quarter.

    Raises ValueError where the past is too short to say anything.
    """
    cases = history(cursor, now)
    cut = round(len(cases) * (1 - UNSEEN))
    model = forecast.fit(cases[:cut])
    return Forecast(model, forecast.judge(model, cases[:cut], cases[cut:]))


def history(cursor: psycopg.Cursor[Any], now: datetime) -> list[Done]:
    """Return the lead assignments of the last year that were disposed of, in the order in which they were sent."""
    policy = Policies(cursor.connection.cursor())
    cursor.execute(
        "select a.team_id, i.category, i.policy_version, a.sent_at, coalesce(a.ended_at, %s), a.state,"
        " d ->> 'limit', (d ->> 'since')::timestamptz, (d ->> 'due')::timestamptz, (d ->> 'ended')::timestamptz"
        " from assignment a join incident i on i.id = a.incident_id, lateral (select a.clocks -> 'dispose' d) c"
        " where a.role = 'lead' and a.sent_at >= %s and a.sent_at < %s and a.state not in ('review', 'refused')"
        " order by a.sent_at, a.id limit %s",
        (now, now - LOOK_BACK, now, ROWS_LIMIT),
    )
    rows = cursor.fetchall()
    queues = _queues((row[0], row[3], row[4]) for row in rows)
    found = []
    for row, queue in zip(rows, queues, strict=True):
        team, kind, version, _, _, state, limit, since, due, ended = row
        if state not in ("done", "ended") or limit is None or due is None or ended is None:
            continue
        calendar = policy.version(version).calendar
        working = limit != BY_SOURCE and Limit.parse(limit).working
        whole = calendar.elapsed(since, due, working)
        if whole > 0:
            found.append(Done(kind, team, queue, max(0.0, calendar.elapsed(since, ended, working)) / whole))
    return found


def _queues(parts: Iterable[tuple[int, datetime, datetime]]) -> list[int]:
    """Return for each (team, sent, ended), in the order of sending, how many others that team held just then."""
    held: dict[int, list[datetime]] = defaultdict(list)
    counts = []
    for team, sent, ended in parts:
        live = held[team]
        while live and live[0] <= sent:
            heappop(live)
        counts.append(len(live))
        heappush(live, ended)
    return counts


def report(made: Forecast) -> str:
    """Return the verdict as a table for people."""
    v = made.verdict
    lines = [
        f"{v.cases:,} unseen cases, asked {v.sayings:,} times at "
        + ", ".join(f"{m:.0%}" for m in forecast.MOMENTS)
        + " of their limits",
        f"Brier score: forecast {v.model:.5f}, rule of 80 % {v.rule:.5f}, the same rule with its past rates"
        f" {v.tuned_rule:.5f}",
        "beats both rules: shown" if v.trusted else "does not beat both rules: shown to nobody",
        "",
        "said between      cases   said on average   came true",
    ]
    lines += [f"{b.low:6.1%} - {b.high:6.1%} {b.n:8,} {b.predicted:17.2%} {b.came:11.2%}" for b in v.bins]
    return "\n".join(lines)
