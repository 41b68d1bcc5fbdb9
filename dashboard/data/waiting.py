"""What waits for whoever signs in, by role: counts of what their pages hold, each with the address that opens it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from dashboard.data import admin, field, public
from dashboard.data.city import CityReads
from dashboard.data.listing import Filter, conditions
from dashboard.data.scope import within
from dispatch.accounts.sessions import Viewer
from dispatch.rules.time.clocks import was_late

_DESKS: Final = frozenset({"dispatcher", "duty_leader", "village", "county", "city"})
_PHONES: Final = frozenset({"grid_worker", "grid_head", "team"})
# What a desk does next with an incident of each state; what a team has in hand waits for the team.
_BY_STATE: Final = ("reported", "accepted", "disposed", "verified")


@dataclass(frozen=True, slots=True)
class Waiting:
    """One line: `what` is its name in the code, `red` that it is late, `page` and `query` where exactly these are."""

    what: str
    count: int
    page: str
    query: tuple[tuple[str, str], ...] = ()
    red: bool = False


def waiting(city: CityReads, who: Viewer, redis_url: str, now: datetime) -> list[Waiting]:
    """Return the lines of a person, red ones first, those that count nothing left out.

    Raises psycopg.Error and redis.RedisError.
    """
    if who.role in _DESKS | {"leader"}:
        found = _of_desk(city, who, now)
    elif who.role in _PHONES:
        found = _of_phone(city, who, now)
    elif who.role == "resident":
        found = _of_resident(city, who, redis_url)
    else:
        found = _of_keeper(city, who, now)
    return sorted((line for line in found if line.count), key=lambda line: not line.red)


def _of_desk(city: CityReads, who: Viewer, now: datetime) -> list[Waiting]:
    """Count by the very conditions of the list that a line opens, so that both say the same number."""
    scope, values = within(who.actor)
    late, of_late = conditions(Filter(light="red"), now)
    counts = ", ".join(f"count(*) filter (where i.state = '{state}')" for state in _BY_STATE)
    with city.look() as connection:
        row = connection.execute(
            f"select count(*) filter (where {' and '.join(late)}), {counts} from incident i"
            f" where i.ended_at is null and {scope}",
            values | of_late,
        ).fetchone()
        whistled = connection.execute(
            "select count(*) from assignment a join incident i on i.id = a.incident_id"
            f" where a.kind = 'whistle' and a.state = 'review' and i.ended_at is null and {scope}",
            values,
        ).fetchone()
    assert row is not None
    assert whistled is not None
    red = Waiting("overdue", row[0], "incidents", (("light", "red"),), red=True)
    if who.role == "leader":
        return [red]
    return [
        red,
        Waiting("to_review", whistled[0], "whistles"),
        *(
            Waiting(state, n, "incidents", (("state", state),))
            for state, n in zip(_BY_STATE, row[1:], strict=True)
        ),
    ]


def _of_phone(city: CityReads, who: Viewer, now: datetime) -> list[Waiting]:
    tasks = field.tasks(city, who.actor, now)
    late = sum(task.clock is not None and task.clock.awaited and was_late(task.clock, now) for task in tasks)
    return [Waiting("late_tasks", late, "field", red=True), Waiting("tasks", len(tasks) - late, "field")]


def _of_resident(city: CityReads, who: Viewer, redis_url: str) -> list[Waiting]:
    own = public.own(city, who, redis_url)
    refused = sum(each.refused is not None for each in own)
    rated = sum("rate" in each.verbs for each in own)
    ended = sum(each.incident is not None and each.incident.ended_at is not None for each in own)
    return [
        Waiting("own_refused", refused, "public", red=True),
        Waiting("to_rate", rated, "public"),
        Waiting("under_way", len(own) - refused - ended, "public"),
    ]


def _of_keeper(city: CityReads, who: Viewer, now: datetime) -> list[Waiting]:
    jobs = admin.jobs(who, now)
    found = [
        Waiting(
            "jobs_failing",
            sum(job.failing or job.late for job in jobs),
            "admin",
            (("tab", "jobs"),),
            red=True,
        )
    ]
    with city.look() as connection:
        row = connection.execute("select count(*) from mismatch where gone_at is null").fetchone()
    assert row is not None
    found.append(Waiting("mismatches", row[0], "admin", (("tab", "verify"),), red=True))
    if who.role == "admin":
        found.append(
            Waiting("letters", len(admin.refused(who, waiting_only=True)[1]), "admin", (("tab", "letters"),))
        )
    return found
