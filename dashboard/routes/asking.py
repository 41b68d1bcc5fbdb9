"""Ask the database and the stream from the event loop: off it where they would hold it up, and bounded in time."""

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

from models.servers.database import Servers, addresses, psycopg_dsn

TIMEOUT_S: Final = 2.0
THREADS: Final = 4  # of the database; each has a connection of its own
STREAM_CONNECTIONS: Final = 64

T = TypeVar("T")


class Unavailable(Exception):
    """The database or the stream did not answer in time."""


class Asking:
    """Reach the two servers of one process; opens its connections at the first question."""

    def __init__(self, servers: Servers | None = None) -> None:
        self._servers = servers
        self._stream: redis.asyncio.Redis | None = None
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="door")
        self._own = threading.local()

    def stream(self) -> redis.asyncio.Redis:
        """Return the stream's client."""
        if self._stream is None:
            self._stream = redis.asyncio.Redis.from_url(
                self._where().redis_url,
                protocol=2,
                socket_timeout=TIMEOUT_S,
                socket_connect_timeout=TIMEOUT_S,
                max_connections=STREAM_CONNECTIONS,
            )
        return self._stream

    async def ask(self, question: Callable[[psycopg.Connection[Any]], T]) -> T:
        """Put a question to the database; raise Unavailable when it does not answer in time."""

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

    def _where(self) -> Servers:
        if self._servers is None:
            self._servers = addresses()
        return self._servers


async def soon(answer: Awaitable[T]) -> T:
    """Wait for an answer of either server; raise Unavailable when it does not come in time."""
    try:
        return await asyncio.wait_for(answer, TIMEOUT_S + 0.5)
    except (TimeoutError, RedisError, OSError, psycopg.Error) as fault:
        raise Unavailable from fault
