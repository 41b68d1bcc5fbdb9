"""Link each event to the one before by a hash, so that any later edit shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256

GENESIS = bytes(32)  # what the first event of an incident links to
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def link(
    before: bytes,
    incident_id: int,
    seq: int,
    at: datetime,
    verb: str,
    actor: str,
    cause: str,
    policy: int,
    data: str,
) -> bytes:
    """Return the SHA-256 over the hash before and every column of the event; `data` is its JSON text to the byte."""
    micros = (at - _EPOCH) // _MICROSECOND
    text = f"{incident_id}\t{seq}\t{micros}\t{verb}\t{actor}\t{cause}\t{policy}\t{data}"
    return sha256(before + text.encode()).digest()
