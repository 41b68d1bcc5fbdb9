"""Finds ports for the servers that tests start, none of those that the machine gives away by itself."""

from __future__ import annotations

import random
import socket

# Below what Linux and its kin take for connections and for whoever asks for any port: what is free here stays so until
# the server that it is meant for has started, however long that takes.
FIRST, LAST = 20_000, 32_000
_given: set[int] = set()


def free_port() -> int:
    """Return a port of this machine that nobody listens at, and that was not returned before."""
    chance = random.SystemRandom()
    while True:
        port = chance.randint(FIRST, LAST)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
