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
    """Return the SHA-256 over the hash before and every column of the event; `data` is its JSON text to the byte.

    Each free text is led by its length, so that no letter can move from one column to the next unseen. "v2" tells
    these links from the first ones, which began with a digit and only put tabs between the columns.
    """
    micros = (at - _EPOCH) // _MICROSECOND
    text = (
        f"v2\t{incident_id}\t{seq}\t{micros}\t{len(verb)}:{verb}\t{len(actor)}:{actor}\t{len(cause)}:{cause}"
        f"\t{policy}\t{data}"
    )
    return sha256(before + text.encode()).digest()


def holds(
    stored: bytes,
    before: bytes,
    incident_id: int,
    seq: int,
    at: datetime,
    verb: str,
    actor: str,
    cause: str,
    policy: int,
    data: str,
) -> bool:
    """Tell whether a stored hash is the event's link, in the form of today or in the first one.

    The first form is believed only where no column holds a tab: without one it is as unambiguous.
    """
    if stored == link(before, incident_id, seq, at, verb, actor, cause, policy, data):
        return True
    if "\t" in f"{verb}{actor}{cause}":
        return False
    micros = (at - _EPOCH) // _MICROSECOND
    text = f"{incident_id}\t{seq}\t{micros}\t{verb}\t{actor}\t{cause}\t{policy}\t{data}"
    return stored == sha256(before + text.encode()).digest()
