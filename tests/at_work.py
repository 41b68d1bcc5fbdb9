"""Runs one job by hand, on a connection of its own beside a test's Desk."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from urllib.parse import quote

from dispatch.desk.desk import Desk
from jobs.work import Work
from models.servers.database import Line


def worked(job: Callable[[Work], int], desk: Desk, now: datetime) -> int:
    """Run a job as of `now`; return what it counts."""
    with closing(Line(address_of(desk))) as line:
        return job(Work(line, desk, now))


def address_of(desk: Desk) -> str:
    """Return the address of the database that a Desk works on."""
    info = desk.ask(lambda cursor: cursor.connection.info)
    return f"postgresql://{info.user}@/{info.dbname}?host={quote(info.host, safe='/')}"
