"""Read the past in bulk: whole histories of incidents from their events, and how far events are complete."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

import msgspec
import psycopg

from dispatch.rules.incident.chain import Change, Event, Incident, evolve

FETCH_ROWS = 5_000  # events held in memory at a time
EVERYTHING = 2**63 - 1  # above every transaction there will be: what the snapshot shows, whoever still runs

_decode = msgspec.json.Decoder(Change).decode
_COLUMNS = "incident_id, seq, at, verb, actor, cause, policy_version, data::text, tx::text::bigint"


@dataclass(slots=True)
class IncidentHistory:
    """Hold one incident's events, oldest first, and the transaction that wrote each."""

    events: list[Event]
    txs: list[int]

    def fold(self, below: int | None = None, until: datetime | None = None) -> Incident | None:
        """Fold what transactions below `below` wrote of the time up to `until`; None where it does not begin there.

        Clocks and assignments are values that are replaced, so folds of one history do not disturb each other; the
        segments of the whole history are in `past`, but for an open one.
        """
        incident = None
        for event, tx in zip(self.events, self.txs, strict=True):
            if (below is not None and tx >= below) or (until is not None and event.at > until):
                continue
            if incident is None:
                if not event.change.opened:
                    return None
                incident = Incident(event.incident_id)
            evolve(incident, event)
        return incident


def horizon(cursor: psycopg.Cursor[Any]) -> int:
    """Return the oldest transaction that may still be running: every event of those below it can be read."""
    row = cursor.execute("select pg_snapshot_xmin(pg_current_snapshot())::text::bigint").fetchone()
    assert row is not None
    return int(row[0])


def histories(cursor: psycopg.Cursor[Any], ids: Iterable[int], below: int) -> Iterator[IncidentHistory]:
    """Yield the histories of some incidents, in the order of their ids, from events of transactions below `below`."""
    cursor.execute(
        f"select {_COLUMNS} from event where incident_id = any(%s) and tx < %s::text::xid8"
        " order by incident_id, seq",
        (list(ids), below),
    )
    yield from _grouped(cursor)


def all_histories(
    connection: psycopg.Connection[Any], below: int, which: str = "true", *params: object
) -> Iterator[IncidentHistory]:
    """Yield the histories of all incidents for which `which` (SQL over `incident i`) holds, streamed by their ids.

    Must run inside a transaction: the rows come through a cursor of the server's.
    """
    with connection.cursor(name="histories") as cursor:
        cursor.itersize = FETCH_ROWS
        cursor.execute(
            f"select {', '.join('e.' + c.strip() for c in _COLUMNS.split(','))} from event e"
            f" where e.tx < %s::text::xid8 and e.incident_id in (select i.id from incident i where {which})"
            " order by e.incident_id, e.seq",
            (below, *params),
        )
        yield from _grouped(cursor)


def _grouped(rows: Iterable[tuple[Any, ...]]) -> Iterator[IncidentHistory]:
    for _, of_one in groupby(rows, key=itemgetter(0)):
        events, txs = [], []
        for row in of_one:
            events.append(Event(*row[:7], _decode(row[7])))  # type: ignore[call-arg]
            txs.append(row[8])
        yield IncidentHistory(events, txs)
