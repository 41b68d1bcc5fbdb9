"""Knows the way to the two servers: their addresses, the form that the driver takes, the one pool of connections."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import IsolationLevel
from psycopg_pool import ConnectionPool

from models.servers import places

DATABASE = SUPERUSER = "gridwhistle"

CONNECT_S = 5
LOCK_TIMEOUT_S = 10
POOL_WORKERS = 2  # threads that open connections beside the callers
IDLE_S = 60.0  # after which one connection that nobody needs is closed

Connection = psycopg.Connection[Any]

# It says of every attempt what its caller is told anyway, and its sentences hold addresses.
logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Servers:
    """Name the two servers: `postgresql+psycopg://…` for SQLAlchemy, `unix://…` or `redis://…` for the stream."""

    database_url: str
    redis_url: str


class ServersError(RuntimeError):
    """A server cannot be started here; the message says why and what to do, in words for whoever started it."""


def addresses(data_dir: Path | None = None) -> Servers:
    """Return where the servers are or will be, from the environment and the data folder; start and write nothing."""
    home = places.home_of(places.data_dir(data_dir))
    database_url = os.environ.get("DATABASE_URL")
    redis_url = os.environ.get("REDIS_URL")
    return Servers(
        _sqlalchemy_url(database_url) if database_url else local_database(home, DATABASE),
        redis_url or local_stream(home),
    )


def psycopg_dsn(database_url: str) -> str:
    """Return the address in the form that psycopg itself takes, without SQLAlchemy's name for the driver."""
    return _sqlalchemy_url(database_url).replace("postgresql+psycopg://", "postgresql://", 1)


def local_database(home: Path, database: str) -> str:
    """Return the address of a database of the server whose data lies under `home`."""
    folder = quote(str(places.socket_dir(home / "postgres")), safe="/")
    return f"postgresql+psycopg://{SUPERUSER}@/{database}?host={folder}"


def local_stream(home: Path) -> str:
    """Return the address of the stream server whose data lies under `home`."""
    return f"unix://{quote(str(places.valkey_socket(home)), safe='/')}?db=0"


def _sqlalchemy_url(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.partition("+")[0] not in ("postgresql", "postgres"):
        raise ServersError(f"DATABASE_URL must begin with postgresql://, not {scheme[:20]!r}")
    return f"postgresql+psycopg://{rest}"


class Line:
    """Keep one connection for one thread: opened at its first use, and anew after an error.

    What was prepared on it before may be gone then, or made for a table that has changed since.
    """

    def __init__(self, database_url: str) -> None:
        self.dsn = psycopg_dsn(database_url)
        self._connection: Connection | None = None

    @contextmanager
    def lend(self) -> Iterator[Connection]:
        """Lend the connection for one transaction: committed at its end; one that saw an error is not used again."""
        connection = self._connection
        is_new = connection is None or connection.closed
        if connection is None or is_new:
            connection = self._connection = psycopg.connect(self.dsn, connect_timeout=CONNECT_S)
        try:
            if is_new:
                _limit(connection)
            yield connection
            connection.commit()
        except BaseException:
            connection.close()
            raise
        finally:
            if connection.closed:
                self.close()

    def close(self) -> None:
        """Close the connection; the next use opens a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Pool:
    """Lend connections that are kept between uses; safe to share between threads.

    At most `most` are open at once; `wait_s` is the longest that a caller waits for one. Every error is a
    `psycopg.Error`: where the database lets nobody in, every caller that waits is told so at once.
    """

    def __init__(
        self,
        database_url: str,
        most: int,
        *,
        connect_s: int = CONNECT_S,
        wait_s: float = CONNECT_S + 1.0,
        statement_timeout_s: int = 0,
        connection_class: type[Connection] = psycopg.Connection,
    ) -> None:
        self.dsn = psycopg_dsn(database_url)
        self._most, self._connect_s, self._wait_s = most, connect_s, wait_s
        self._statement_timeout_s = statement_timeout_s
        self._class = connection_class
        self._pool: _Eager | None = None
        self._opening = threading.Lock()
        self._lent: set[Connection] = set()
        self._ended = False

    @contextmanager
    def lend(
        self, read_only: bool = False, level: IsolationLevel = IsolationLevel.READ_COMMITTED
    ) -> Iterator[Connection]:
        """Lend a connection for one transaction: committed at its end; one that saw an error is not used again."""
        pool = self._opened()
        connection = pool.getconn()
        self._lent.add(connection)
        try:
            # A hanging database could not be asked to roll back: what is closed needs no answer.
            if connection.read_only is not read_only:
                connection.read_only = read_only
            if connection.isolation_level is not level:
                connection.isolation_level = level
            yield connection
            connection.commit()
        except BaseException as fault:
            connection.close()
            if isinstance(fault, psycopg.OperationalError):
                # The server went away: the idle connections are as broken as this one.
                pool.discard_idle()
            raise
        finally:
            self._lent.discard(connection)
            pool.putconn(connection)

    def end(self) -> None:
        """Lend no more, and cancel what the database does on the connections that are lent; it is rolled back.

        Who computes at the moment is told at its next question, so whoever waits for everybody calls this again.
        """
        self._ended = True
        for connection in list(self._lent):
            with contextlib.suppress(psycopg.Error):
                connection.cancel_safe(timeout=CONNECT_S)

    def close(self) -> None:
        """Close all idle connections, and those that are lent when they come back; the next use opens new ones."""
        with self._opening:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def _opened(self) -> _Eager:
        if self._ended:
            raise psycopg.OperationalError("this process is ending")
        with self._opening:
            if self._pool is None:
                self._pool = _Eager(
                    self.dsn,
                    connection_class=self._class,
                    kwargs={"connect_timeout": self._connect_s},
                    configure=self._configure,
                    min_size=0,
                    max_size=self._most,
                    open=True,
                    timeout=self._wait_s,
                    max_idle=IDLE_S,
                    reconnect_timeout=0,
                    reconnect_failed=_serve_again,
                    num_workers=POOL_WORKERS,
                )
            return self._pool

    def _configure(self, connection: Connection) -> None:
        _limit(connection, self._statement_timeout_s)


class _Eager(ConnectionPool[Connection]):
    """Tell who waits for a connection at once that none can be had; as it comes, the pool lets them wait and retries.

    What begins with an underscore is the pool's own: its version is pinned, and a test asks for each part.
    """

    def _connect(self, timeout: float | None = None) -> Connection:
        try:
            return super()._connect(timeout)
        except Exception as fault:
            with self._lock:
                waiting, self._waiting = self._waiting, deque()
            for each in waiting:
                each.fail(fault)
            raise

    def discard_idle(self) -> None:
        """Close the idle connections, and open none in their place until somebody needs one."""
        with self._lock:
            idle = list(self._pool)
            self._pool.clear()
            self._nconns -= len(idle)
        for each in idle:
            self._close_connection(each)


def _serve_again(pool: Any) -> None:
    """Try once more for whoever came to a pool after the others were told that none can be had."""
    with pool._lock:
        if pool._waiting:
            pool._maybe_grow_pool()


def _limit(connection: Connection, statement_timeout_s: int = 0) -> None:
    """Bound how long a lock, and a statement where that is said, may take on a connection."""
    connection.execute(f"set lock_timeout = '{LOCK_TIMEOUT_S}s'")
    if statement_timeout_s:
        connection.execute(f"set statement_timeout = '{statement_timeout_s}s'")
    connection.commit()
