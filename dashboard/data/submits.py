"""Hand steps from pages to a Desk on the pages' own connections: kept Desks, one scope, one nudge to the screens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from threading import Lock
from typing import Any

import psycopg
import redis

from dashboard.data.connections import Connections
from dashboard.data.scope import within
from dispatch.desk.desk import Desk, Outcome, Teams
from dispatch.rules.incident.chain import Actor, Command

STREAM_TIMEOUT_S = 1.0


class Submits(Connections):
    """Lend connections, and Desks that work on them; safe to share between threads."""

    def __init__(self, database_url: str) -> None:
        super().__init__(database_url)
        self._desks: dict[str | None, list[Desk]] = {}
        self._teams = Teams()
        self._streams: dict[str, redis.Redis] = {}
        self._desk_lock = Lock()

    def submit(
        self, commands: Sequence[Command], now: datetime, redis_url: str | None = None
    ) -> list[Outcome]:
        """Hand commands to the Desk and return its answers; screens are told when the stream's address is given.

        One on an incident out of its actor's scope is answered as if there were no such incident.
        """
        with self.desk(redis_url) as desk:
            return desk.act(commands, now, in_scope)

    @contextmanager
    def desk(self, redis_url: str | None = None) -> Iterator[Desk]:
        """Lend a Desk that works on these connections and tells the screens by the stream at an address, if given.

        The one used last is lent first: it knows the policy, the teams and free numbers already.
        """
        with self._desk_lock:
            idle = self._desks.setdefault(redis_url, [])
            desk = idle.pop() if idle else Desk(self.change, self._stream(redis_url), self._teams)
        try:
            yield desk
        finally:
            idle.append(desk)

    def close(self) -> None:
        """Close all idle connections, the stream's too."""
        super().close()
        for stream in self._streams.values():
            stream.close()

    def _stream(self, redis_url: str | None) -> redis.Redis | None:
        if redis_url is None:
            return None
        if redis_url not in self._streams:
            self._streams[redis_url] = redis.Redis.from_url(redis_url, socket_timeout=STREAM_TIMEOUT_S)
        return self._streams[redis_url]


def visible(connection: psycopg.Connection, actor: Actor, ids: Sequence[int]) -> set[int]:
    """Return those of the ids that stand for incidents of an actor's scope."""
    text, values = in_scope(actor, ids)
    return {row[0] for row in connection.execute(text, values)}


def in_scope(actor: Actor, ids: Sequence[int]) -> tuple[str, dict[str, Any]]:
    """Return the statement that names those of the ids which stand for incidents of an actor's scope."""
    scope, values = within(actor)
    return f"select i.id from incident i where i.id = any(%(ids)s) and {scope}", {"ids": list(ids)} | values
