"""Keep how cases of each type fared with each trade, by the day of sending: what offers say of experience.

The events tell which days changed; such a day is counted again from its rows. So an offer reads a few rows of the
types it is about, however long the past is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from dispatch.record import follower
from dispatch.record.follower import STRETCH, Follower
from dispatch.record.histories import horizon
from dispatch.record.policies import Policies
from dispatch.rules.measures import returns
from dispatch.rules.policy.policy import Policy
from dispatch.rules.policy.weights import Weights
from dispatch.rules.teams.proposals import Experience
from dispatch.rules.time.calendar import Calendar

NAME = "experience"

# A day's leads, each with the type of its case and the trade of its team; `{which}` says which assignments.
_COUNTED = (
    "select i.category, (a.sent_at at time zone %(zone)s)::date as day, t.trade, count(*) as sent,"
    " count(*) filter (where a.state = 'declined' and exists (select from event e"
    "  where e.incident_id = a.incident_id and e.verb = 'decline'"
    "  and (e.data -> 'assignments' -> 0 ->> 'id')::bigint = a.id"
    f"  and {returns.NOT_OURS_SQL})) as returned,"
    " count(*) filter (where a.state in ('done', 'ended')) as settled"
    " from {which} join incident i on i.id = a.incident_id join team t on t.id = a.team_id"
    " where a.role = 'lead' group by 1, 2, 3"
)
_ALL = "assignment a"
_OF_DAYS = (
    "unnest(%(days)s::date[]) d(day) join assignment a on a.sent_at >= d.day::timestamp at time zone %(zone)s"
    " and a.sent_at < (d.day + 1)::timestamp at time zone %(zone)s"
)


def follow(connection: psycopg.Connection[Any], events_limit: int | None = None) -> int:
    """Count the days again whose sendings the next events changed, in one transaction; return the events.

    0 means that nothing is left to follow. The first time, and when the policy's words for "not ours" are others
    than before, everything is counted anew. A run that is cut short, or done twice, does no harm.
    """
    with connection.transaction(), connection.cursor() as cursor:
        policy = Policies(cursor).in_force(datetime.now(UTC))
        return follower.follow(connection, _follower(policy), events_limit)


def _follower(policy: Policy) -> Follower:
    def take(cursor: psycopg.Cursor[Any], begin: int, end: int) -> int:
        row = cursor.execute(
            f"with new as materialized (select incident_id, data from event where {STRETCH})"
            " select (select count(*) from new), array(select distinct (a.sent_at at time zone %(zone)s)::date"
            "  from assignment a where a.role = 'lead' and a.incident_id in (select incident_id from new"
            "   where data -> 'assignments' is not null or data -> 'fields' -> 'category' is not null) order by 1)",
            {"begin": begin, "end": end, "zone": policy.calendar.zone},
        ).fetchone()
        assert row is not None
        events, days = row
        if days:
            values = {
                "days": days,
                "zone": policy.calendar.zone,
                "words": returns.patterns(policy.weights.not_ours),
            }
            cursor.execute(
                f"with counted as materialized ({_COUNTED.replace('{which}', _OF_DAYS)}),"
                " gone as (delete from experience x where x.day = any(%(days)s) and not exists (select from counted n"
                "  where (n.category, n.day, n.trade) = (x.category, x.day, x.trade)))"
                " insert into experience (category, day, trade, sent, returned, settled) select * from counted"
                " on conflict (category, day, trade) do update set sent = excluded.sent,"
                " returned = excluded.returned, settled = excluded.settled"
                " where (experience.sent, experience.returned, experience.settled)"
                " is distinct from (excluded.sent, excluded.returned, excluded.settled)",
                values,
            )
        return int(events)

    def anew(cursor: psycopg.Cursor[Any], end: int) -> int:
        return _anew(cursor, policy.weights, policy.calendar)

    return Follower(_name(policy.weights), take, anew)


def rebuild(connection: psycopg.Connection[Any]) -> int:
    """Count every day anew, in one transaction that keeps followers waiting; return the rows written."""
    with connection.transaction(), connection.cursor() as cursor:
        policy = Policies(cursor).in_force(datetime.now(UTC))
        follower.hold(cursor, _name(policy.weights))
        end = horizon(cursor)
        rows = _anew(cursor, policy.weights, policy.calendar)
        follower.come_to(cursor, _name(policy.weights), end)
        return rows


def known(
    cursor: psycopg.Cursor[Any],
    categories: Collection[str],
    weights: Weights,
    calendar: Calendar,
    now: datetime,
) -> list[Experience]:
    """Return how cases of some types fared with each trade in the policy's last days, the city's own, up to today."""
    today = calendar.local(now).date()
    cursor.execute(
        "select category, trade, sum(sent), sum(returned), sum(settled) from experience"
        " where category = any(%s) and day >= %s and day <= %s group by 1, 2 order by 1, 2",
        (sorted(set(categories)), today - timedelta(days=weights.memory_days), today),
    )
    return [Experience(*row) for row in cursor.fetchall()]


def _anew(cursor: psycopg.Cursor[Any], weights: Weights, calendar: Calendar) -> int:
    cursor.execute("delete from experience")
    cursor.execute(
        "insert into experience (category, day, trade, sent, returned, settled)"
        f" {_COUNTED.replace('{which}', _ALL)}",
        {"zone": calendar.zone, "words": returns.patterns(weights.not_ours)},
    )
    rows = cursor.rowcount
    cursor.execute("delete from follower where name like %s and name <> %s", (f"{NAME}/%", _name(weights)))
    return rows


def _name(weights: Weights) -> str:
    """Return the follower's name, which is another one when the words are: the past must be counted by the same."""
    return f"{NAME}/{hashlib.sha256(chr(0).join(weights.not_ours).encode()).hexdigest()[:12]}"


def _patterns(weights: Weights) -> list[str]:
    return [f"%{_literal(word)}%" for word in weights.not_ours]


def _literal(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
