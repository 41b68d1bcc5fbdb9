"""Know the stream of messages: its names, what a message looks like on it, how many wait, and who takes them."""

from __future__ import annotations

from typing import Final, cast

import msgspec
import redis

from dispatch.intake.dead_letters import FIELD, STREAM

GROUP: Final = "dispatch"
HEARTBEAT: Final = "gridwhistle:dispatcher:"  # + name: hash of what this dispatcher does
RECEIVED: Final = "gridwhistle:received:"  # + number: what became of a report that is no incident (yet)
REDIS_TIMEOUT_S: Final = 10.0

Entry = tuple[bytes, "dict[bytes, bytes] | None"]


def connect(redis_url: str) -> redis.Redis:
    """Return a client of the stream with bounded waits, answering in bytes."""
    return redis.Redis.from_url(
        redis_url,
        protocol=2,
        socket_timeout=REDIS_TIMEOUT_S,
        socket_connect_timeout=REDIS_TIMEOUT_S,
        decode_responses=False,
    )


def lag(stream: redis.Redis) -> int:
    """Return how many messages wait: not yet read by the group, or read and not acknowledged."""
    try:
        groups = stream.xinfo_groups(STREAM)
    except redis.ResponseError:
        return 0
    for group in groups:
        if group["name"] == GROUP.encode():
            # Null where entries were deleted in between; then what was read says nothing about what was not.
            return int(group["pending"]) + int(group.get("lag") or 0)
    return int(stream.xlen(STREAM))


def settled(stream: redis.Redis, last: bytes) -> bool:
    """Tell whether every message up to the stream id `last` has been read and acknowledged."""
    try:
        groups = stream.xinfo_groups(STREAM)
    except redis.ResponseError:
        return False
    for group in groups:
        if group["name"] == GROUP.encode() and order(group["last-delivered-id"]) >= order(last):
            if not group["pending"]:
                return True
            lowest = stream.xpending(STREAM, GROUP)["min"]
            return lowest is None or order(lowest) > order(last)
    return False


def living(stream: redis.Redis) -> dict[str, dict[str, str]]:
    """Return name -> heartbeat of every dispatcher that has given one within `HEARTBEAT_TTL_S`."""
    found: dict[str, dict[str, str]] = {}
    for key in stream.scan_iter(match=HEARTBEAT + "*", count=1_000):
        fields = cast(dict[bytes, bytes], stream.hgetall(key))
        if fields:
            name = key.decode().removeprefix(HEARTBEAT)
            found[name] = {k.decode(): v.decode() for k, v in fields.items()}
    return found


def raw_of(fields: dict[bytes, bytes] | None) -> bytes:
    """Return the message that the fields of an entry hold, empty where the entry was deleted."""
    if fields is None:
        return b""
    raw = fields.get(FIELD.encode())
    # A sender that spreads its message over stream fields is refused by name, not silently emptied.
    return raw if raw is not None else msgspec.json.encode({k.decode(errors="replace"): "" for k in fields})


def order(key: bytes) -> tuple[int, int]:
    """Return what stream ids are in order by."""
    first, _, second = key.partition(b"-")
    return int(first), int(second)
