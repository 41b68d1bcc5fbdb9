"""What the page of replayed cities reads: how each source did against its own targets, counted twice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dashboard.data.city import CityReads
from dashboard.data.scope import within
from dispatch.figures.published import OnTime
from dispatch.rules.incident.values import Actor


@dataclass(frozen=True, slots=True)
class Source:
    """Hold one replayed source: how many requests, from when to when, and its figures as of its last moment."""

    name: str
    requests: int
    first: datetime
    as_of: datetime
    on_time: OnTime


def sources(city: CityReads, actor: Actor) -> list[Source]:
    """Return every source whose requests another city's system promised and judged, the largest first.

    Whole sources are for those who see the whole city; others get none.
    """
    if within(actor)[0] != "true" and actor.role != "admin":
        return []
    with city.look() as connection:
        rows = connection.execute(
            "select source, requests, first_at, as_of, on_time, with_target, without_target from replayed"
            " order by requests desc, source"
        ).fetchall()
    return [
        Source(source, requests, first, as_of, OnTime(*counts))
        for source, requests, first, as_of, *counts in rows
    ]
