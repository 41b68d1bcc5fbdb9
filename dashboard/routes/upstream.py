"""Ask the database and the stream for the HTTP door, each answer within seconds or a refusal."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import psycopg
import redis.asyncio
from redis.exceptions import RedisError

from dashboard.routes.refused import Refused
from models.servers.servers import Servers, addresses, psycopg_dsn

TIMEOUT_S: Final = 2.0
RETRY_AFTER_S: Final = 5
THREADS: Final = 4  # of the database; each has a connection of its own

T = TypeVar("T")


class Upstream:
    """Reach both servers from one process; opens its connections at the first request."""

    def __init__(self, servers: Servers | None = None) -> None:
        self._servers = servers
        self._stream: redis.asyncio.Redis | None = None
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="door")
        self._own = threading.local()

    def _where(self) -> Servers:
        if self._servers is None:
            self._servers = addresses()
        return self._servers

    def redis(self) -> redis.asyncio.Redis:
        """Return the stream server, opened at the first call."""
        if self._stream is None:
            self._stream = redis.asyncio.Redis.from_url(
                self._where().redis_url,
                protocol=2,
                socket_timeout=TIMEOUT_S,
                socket_connect_timeout=TIMEOUT_S,
                max_connections=64,
            )
        return self._stream

    async def ask(self, question: Callable[[psycopg.Connection[Any]], T]) -> T:
        """Put a question to the database off the event loop; refuse with 503 when it does not answer in time."""

        def asked() -> T:
            connection: psycopg.Connection[Any] | None = getattr(self._own, "connection", None)
            if connection is None or connection.closed:
                connection = psycopg.connect(
                    psycopg_dsn(self._where().database_url),
                    connect_timeout=math.ceil(TIMEOUT_S),
                    autocommit=True,
                    options=f"-c statement_timeout={int(TIMEOUT_S * 1000)}",
                )
                self._own.connection = connection
            try:
                return question(connection)
            except psycopg.Error:
                connection.close()
                raise

        return await soon(asyncio.get_running_loop().run_in_executor(self._threads, asked))


def _unavailable() -> Refused:
    return Refused(503, "unavailable", {"Retry-After": str(RETRY_AFTER_S)})


async def soon(answer: Awaitable[T]) -> T:
    """Await an answer of a server for at most `TIMEOUT_S`; refuse with 503 where it does not come in time."""
    try:
        return await asyncio.wait_for(answer, TIMEOUT_S + 0.5)
    except (TimeoutError, RedisError, OSError, psycopg.Error) as fault:
        raise _unavailable() from fault
