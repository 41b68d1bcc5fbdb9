"""Read the notices inside the system, and mark them as read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dispatch.desk.store import Cursor


@dataclass(frozen=True, slots=True)
class Unread:
    """One notice inside the system."""

    id: int
    incident_id: int | None
    severity: int
    receiver: str
    at: datetime
    zh: str
    en: str


def unread(cursor: Cursor, receivers: Sequence[str], limit: int = 100) -> list[Unread]:
    """Return what these receivers (`team/<id>`, `<role>/<area code>`) have not read, gravest and newest first."""
    cursor.execute(
        "select id, incident_id, severity, receiver, at, zh, en from notice where receiver = any(%s)"
        " and read_at is null order by severity, at desc, id desc limit %s",
        (list(receivers), limit),
    )
    return [Unread(*row) for row in cursor.fetchall()]


def mark_read(
    cursor: Cursor, ids: Sequence[int], receivers: Sequence[str], reader: str, now: datetime
) -> int:
    """Mark notices of these receivers as read, unless somebody has; return how many were unread."""
    cursor.execute(
        "update notice set read_at = %s, read_by = %s where id = any(%s) and receiver = any(%s) and read_at is null",
        (now, reader, list(ids), list(receivers)),
    )
    return cursor.rowcount
