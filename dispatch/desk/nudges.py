"""Tell the screens by the stream that something changed, without waiting to hear that they were told."""

from __future__ import annotations

from contextlib import suppress

import redis

CHANNEL = "gridwhistle:changed"


class Nudges:
    """Publish on one connection of a stream's client, kept until `close`; used by one thread at a time.

    Screens also look by themselves every second: a lost nudge costs that second, never a change.
    """

    def __init__(self, stream: redis.Redis) -> None:
        self._connections = stream.connection_pool
        self._connection: redis.Connection | None = None

    def send(self, changes: int) -> None:
        """Tell how many changes there were; an error is a nudge that is lost."""
        with suppress(redis.RedisError):
            if self._connection is not None:
                try:
                    self._publish(self._connection, changes)
                    return
                except redis.RedisError:
                    # The server was started anew since.
                    self.close()
            self._connection = self._connections.get_connection()
            self._publish(self._connection, changes)

    def close(self) -> None:
        """Give the connection back; the next nudge takes one anew."""
        connection, self._connection = self._connection, None
        if connection is not None:
            # An answer may be on its way still.
            connection.disconnect()  # type: ignore[no-untyped-call]
            self._connections.release(connection)

    @staticmethod
    def _publish(connection: redis.Connection, changes: int) -> None:
        while connection.can_read():
            connection.read_response()  # what came of the nudges before, which nobody waits for
        connection.send_command("PUBLISH", CHANNEL, changes, check_health=False)  # type: ignore[no-untyped-call]
