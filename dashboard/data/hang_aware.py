"""A connection that is not waited on for ever: a database that hangs, and is not dead, closes no connection itself."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import psycopg

PATIENCE_S = 2.0  # without an answer, until somebody looks whether the database is there at all
PROBE_S = 2  # and how long it may take to let somebody in; libpq takes no less


class HangAware(psycopg.Connection[Any]):
    """A connection whose every wait fails once the database lets nobody in any more.

    A question that takes long is no reason: while others are let in it is waited for, up to the statement's own limit.
    """

    def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
        """Wait for an answer; raise OperationalError where the database hangs."""
        return super().wait(self._watched(gen), *args, **options)

    def _watched(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        until = time.monotonic() + PATIENCE_S
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > until:
                    # Raises where it lets nobody in: this connection is given up with it.
                    psycopg.connect(
                        self.info.dsn, connect_timeout=PROBE_S, password=self.info.password
                    ).close()
                    until = time.monotonic() + PATIENCE_S
                # Without an answer the generator only notes that: what it wants stays.
                following = gen.send(ready)
                wanted = following if ready else wanted
        except StopIteration as end:
            return end.value
