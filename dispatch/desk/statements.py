"""Carry the statements of one transaction: of a large batch one after another, of a small one as few as it takes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

from psycopg.pq import TransactionStatus

from dispatch.desk.columns import Columns, Pen, encode
from models.servers.database import Connection
from models.servers.round_trip import Rows, Statement, Value, round_trip

FORMS_KEPT = 128  # texts of joined statements; which tables a step writes makes a few dozen

_BEGIN: Statement = ("begin isolation level read committed read write", ())
# The few rows are named by their keys: to plan anew for the values of each costs more than to run the plan.
_PLAN_ONCE: Statement = ("set local plan_cache_mode = force_generic_plan", ())
_COMMIT: Statement = ("commit", ())


class Statements:
    """Take statements in their order, `asked` for their answers or only `added`; both ways write the same rows.

    Of a large batch the rows weigh most, and COPY takes them fastest. Of a small one each way to the server weighs
    more than its rows: `together`, what is asked at once goes at once, and what is added goes with the commit, those
    between two calls of `then` as one statement. They see the rows as they were before all of them: `then` parts those
    of which one depends on another.
    """

    def __init__(self, connection: Connection, *, together: bool = False) -> None:
        self.connection = connection
        self._together = together
        self._begun = False
        self._pen = Pen()
        self._sent: list[Statement] = []
        self._texts: list[str] = []
        self._values: list[Value] = []

    def ask(self, *statements: Statement) -> list[Rows]:
        """Run statements, each of which sees what those before it did, and return the rows of each."""
        if self._together:
            return round_trip(self.connection, [*self._beginning(), *statements])[-len(statements) :]
        return [cast(Rows, self.connection.execute(text, values).fetchall()) for text, values in statements]

    def add(self, text: str, *values: Value) -> None:
        """Run a statement that changes rows, now or with those about it."""
        if self._together:
            self._texts.append(text)
            self._values += values
        else:
            self.connection.execute(text, values)

    def insert(self, columns: Columns, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write new rows of a table; none costs nothing."""
        if rows and self._together:
            self.add(columns.insert, encode(columns.rows(rows)).decode())
        elif rows:
            columns.copy(self.connection, rows, self._pen)

    def then(self) -> None:
        """Let what is added from here on see what was added before."""
        if self._texts:
            self._sent.append((_joined(tuple(self._texts)), self._values))
            self._texts, self._values = [], []

    def send(self, *last: Statement) -> None:
        """Send what was added."""
        self.then()
        if self._together:
            sent, self._sent = self._sent, []
            round_trip(self.connection, [*self._beginning(), *sent, *last])

    def commit(self) -> None:
        """Send what was added and commit."""
        if self._together:
            self.send(_COMMIT)
        else:
            self.connection.commit()

    def _beginning(self) -> list[Statement]:
        if self._begun:
            return []
        self._begun = True
        idle = self.connection.pgconn.transaction_status == TransactionStatus.IDLE
        return [_BEGIN, _PLAN_ONCE] if idle else [_PLAN_ONCE]


@lru_cache(FORMS_KEPT)
def _joined(texts: tuple[str, ...]) -> str:
    """Join statements that change rows into one which does them all; the last may not begin with `with`."""
    *before, last = texts
    parts = ", ".join(f"part_{number} as ({text})" for number, text in enumerate(before))
    return f"with {parts} {last}" if parts else last
