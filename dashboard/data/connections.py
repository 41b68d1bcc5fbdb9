"""Lend connections to the database: from one pool, bounded in time, for reading or for writing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from dashboard.data.hang_aware import HangAware
from models.servers.database import Pool

CONNECTIONS = 32  # at once; who comes then waits for one
STATEMENT_TIMEOUT_S = 20
CONNECT_S = 3
WAIT_S = 4.0  # for a connection, longer than one takes to be opened
# After a connection that was not let in others are not even tried: a page that asks three times says so once.
AWAY_S = 1.0


class Connections:
    """Lend connections; safe to share between threads. Raises `psycopg.Error` when the database does."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._pool = Pool(
            database_url,
            CONNECTIONS,
            connect_s=CONNECT_S,
            wait_s=WAIT_S,
            statement_timeout_s=STATEMENT_TIMEOUT_S,
            connection_class=HangAware,
        )
        self._away_until = 0.0

    @property
    def url(self) -> str:
        """Return the address of the database, for whoever needs a connection of their own."""
        return self._url

    def close(self) -> None:
        """Close all idle connections."""
        self._pool.close()

    @contextmanager
    def look(self, repeatable: bool = False) -> Iterator[psycopg.Connection[Any]]:
        """Lend a connection for reading; one that broke is not used again."""
        level = (
            psycopg.IsolationLevel.REPEATABLE_READ if repeatable else psycopg.IsolationLevel.READ_COMMITTED
        )
        with self._lent(True, level) as connection:
            yield connection

    @contextmanager
    def change(self) -> Iterator[psycopg.Connection[Any]]:
        """Lend a connection for writing, committed at the end."""
        with self._lent(False, psycopg.IsolationLevel.READ_COMMITTED) as connection:
            yield connection

    @contextmanager
    def _lent(self, read_only: bool, level: psycopg.IsolationLevel) -> Iterator[psycopg.Connection[Any]]:
        if time.monotonic() < self._away_until:
            raise psycopg.errors.ConnectionTimeout("the database let nobody in a moment ago")
        try:
            with self._pool.lend(read_only, level) as connection:
                yield connection
        except psycopg.errors.ConnectionTimeout:
            self._away_until = time.monotonic() + AWAY_S
            raise
