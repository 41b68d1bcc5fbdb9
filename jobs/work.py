"""Give a job what it works with: connections of its own, a Desk for what is decided there, and the time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from dispatch.desk.desk import Desk
from dispatch.desk.store import Cursor
from models.servers.database import Line, Pool

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Work:
    """One run of a job: `database` for what is no matter of the Desk's, and `now` in UTC, which may be given."""

    database: Pool | Line
    desk: Desk
    now: datetime

    def ask(self, question: Callable[[Cursor], T]) -> T:
        """Ask a question, or write what is no part of an incident, in one transaction of its own."""
        with self.database.lend() as connection, connection.cursor() as cursor:
            return question(cursor)
