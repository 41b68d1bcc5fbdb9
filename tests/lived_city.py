"""Ask the city that lived six weeks for one figure, for the cards of May, and for a case that was closed late."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import psycopg

from tests.templates import LIVED_MONTH as MAY
from tests.templates import LIVED_UNTIL as UNTIL

CITY = "445300"
LATER = UNTIL + timedelta(hours=1)

Connection = psycopg.Connection[Any]


def one(connection: Connection, statement: str, *params: object) -> Any:
    """Return the only value that a statement answers."""
    row = connection.execute(statement.encode(), params).fetchone()
    assert row is not None
    return row[0]


def closed_case(connection: Connection) -> tuple[int, datetime, str]:
    """Return (id, end, area) of a closed case of May that a team disposed of late."""
    row = connection.execute(
        "select id, ended_at, area_code from incident where state = 'closed' and disposed_on_time is false"
        " and reported_at between '2026-05-02' and '2026-05-20' and facts ->> 'disposer_team' is not null"
        " order by id limit 1"
    ).fetchone()
    assert row is not None
    key, ended, area = row
    return key, ended, area


def parts_of(connection: Connection, kind: str, card: str = "unit") -> dict[str, dict[str, Any]]:
    """Return subject -> the stored parts of its card for May."""
    return dict(
        connection.execute(
            "select subject, parts from assessment where month = %s and kind = %s and card = %s",
            (MAY, kind, card),
        ).fetchall()
    )
