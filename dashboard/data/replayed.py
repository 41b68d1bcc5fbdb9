"""What the page of replayed cities reads: how each source did against its own targets, counted twice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from time import monotonic

from dashboard.data.city import Reads
from dashboard.data.scope import within
from dispatch import figures
from dispatch.figures import OnTime
from dispatch.rules.incident import Actor

KEPT_S = 600.0  # a replay is over once it was sent: counting all its requests again would tell the same


@dataclass(frozen=True, slots=True)
class Source:
    """Hold one replayed source: how many requests, from when to when, and its figures as of its last moment."""

    name: str
    requests: int
    first: datetime
    as_of: datetime
    on_time: OnTime


_kept: dict[int, tuple[float, list[Source]]] = {}
_lock = Lock()


def sources(door: Reads, actor: Actor) -> list[Source]:
    """Return every source whose requests another city's system promised and judged, the largest first.

    Whole sources are for those who see the whole city; others get none.
    """
    if within(actor)[0] != "true" and actor.role != "admin":
        return []
    with _lock:
        kept = _kept.get(id(door))
    if kept is not None and monotonic() - kept[0] < KEPT_S:
        return kept[1]
    found = []
    with door.look() as connection:
        rows = connection.execute(
            "select source, count(*), min(reported_at), max(greatest(reported_at, disposed_at, ended_at)) from incident"
            " where facts ? 'imported' group by 1 order by 2 desc"
        ).fetchall()
        for name, requests, first, last in rows:
            found.append(
                Source(name, requests, first, last, figures.on_time_of(connection.cursor(), name, last))
            )
    with _lock:
        # An empty answer is asked again at once: somebody may be replaying just now.
        if found:
            _kept[id(door)] = (monotonic(), found)
    return found


def forget() -> None:
    """Forget what is kept."""
    with _lock:
        _kept.clear()
