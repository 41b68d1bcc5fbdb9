"""Offer a Desk whose connection breaks about a commit, as a machine that dies would break it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from types import TracebackType
from typing import Literal

import psycopg
import redis

from dispatch.desk.desk import Desk, Monotonic, Outcome, Visible
from dispatch.desk.statements import Statements
from dispatch.rules.incident.chain import Command
from models.servers.database import Connection

Fate = Literal["", "before", "after"]


class FragileDesk(Desk):
    """A Desk whose connection breaks before or after the next commit, as `fate` says; `moved` is what it changed."""

    fate: Fate = ""
    moved: frozenset[int] = frozenset()

    def act(
        self, commands: Sequence[Command], now: datetime, visible: Visible | None = None
    ) -> list[Outcome]:
        outcomes = super().act(commands, now, visible)
        self.moved |= {o.incident_id for o in outcomes if o.status == "done" and o.incident_id is not None}
        return outcomes

    def __init__(
        self, database: str, stream: redis.Redis | None = None, monotonic: Monotonic = time.monotonic
    ) -> None:
        super().__init__(database, stream, monotonic=monotonic)
        self._lent, self._lend = self._lend, self._fated

    def _change(self, size: int, work: Callable[[Statements], list[Outcome]]) -> list[Outcome]:
        if self.fate != "before":
            return super()._change(size, work)
        self.fate = ""

        def broken(statements: Statements) -> list[Outcome]:
            work(statements)
            statements.send()
            statements.connection.close()
            raise psycopg.OperationalError("the connection broke")

        return super()._change(size, broken)

    def _fated(self) -> AbstractContextManager[Connection]:
        fate, self.fate = self.fate, ""
        return _Fated(self._lent(), fate) if fate else self._lent()


class _Fated(AbstractContextManager[Connection]):
    """Wrap a transaction, so that whoever commits never hears the answer."""

    def __init__(self, inner: AbstractContextManager[Connection], fate: Fate) -> None:
        self._inner = inner
        self._fate = fate

    def __enter__(self) -> Connection:
        self._connection = self._inner.__enter__()
        return self._connection

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None
    ) -> None:
        if kind is not None or self._fate == "after":
            self._inner.__exit__(kind, fault, at)
        if kind is None:
            self._connection.close()
            raise psycopg.OperationalError("the connection broke")
