"""Lend connections to the database: kept between uses, bounded in time, for reading or for writing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue

import psycopg

from dashboard.data.hang_aware import Patient
from models.servers.database import psycopg_dsn

CONNECTIONS = 8  # kept open between uses; more are opened when needed and closed after
STATEMENT_TIMEOUT_S = 20
CONNECT_S = 3
# After a connection that was not let in others are not even tried: a page that asks three times says so once.
AWAY_S = 1.0


class Door:
    """Lend connections; safe to share between threads. Raises `psycopg.Error` when the database does."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._dsn = psycopg_dsn(database_url)
        self._free: SimpleQueue[psycopg.Connection] = SimpleQueue()
        self._away_until = 0.0

    @property
    def url(self) -> str:
        """Return the address of the database, for whoever needs a connection of their own."""
        return self._url

    def close(self) -> None:
        """Close all idle connections."""
        while True:
            try:
                self._free.get_nowait().close()
            except Empty:
                return

    @contextmanager
    def look(self, repeatable: bool = False) -> Iterator[psycopg.Connection]:
        """Lend a connection for reading; one that broke is not used again."""
        level = (
            psycopg.IsolationLevel.REPEATABLE_READ if repeatable else psycopg.IsolationLevel.READ_COMMITTED
        )
        with self._lent(True, level) as connection:
            yield connection
            connection.rollback()

    @contextmanager
    def change(self) -> Iterator[psycopg.Connection]:
        """Lend a connection for writing what is no matter of the Desk's: sessions, notices read, files kept."""
        with self._lent(False, psycopg.IsolationLevel.READ_COMMITTED) as connection:
            yield connection
            connection.commit()

    @contextmanager
    def _lent(self, read_only: bool, level: psycopg.IsolationLevel) -> Iterator[psycopg.Connection]:
        try:
            connection = self._free.get_nowait()
        except Empty:
            connection = self._connected()
        try:
            connection.read_only, connection.isolation_level = read_only, level
            yield connection
        except BaseException as fault:
            connection.close()
            if isinstance(fault, psycopg.OperationalError):
                # The server went away: the idle connections are as broken as this one.
                self.close()
            if isinstance(fault, psycopg.errors.ConnectionTimeout):
                self._away_until = time.monotonic() + AWAY_S
            raise
        if self._free.qsize() < CONNECTIONS:
            self._free.put(connection)
        else:
            connection.close()

    def _connected(self) -> psycopg.Connection:
        if time.monotonic() < self._away_until:
            raise psycopg.errors.ConnectionTimeout("the database let nobody in a moment ago")
        try:
            return Patient.connect(
                self._dsn, connect_timeout=CONNECT_S, options=f"-c statement_timeout={STATEMENT_TIMEOUT_S}s"
            )
        except psycopg.errors.ConnectionTimeout:
            self._away_until = time.monotonic() + AWAY_S
            raise
