"""Check what is kept beside the events against the events, and put it right."""

from __future__ import annotations

from datetime import datetime

from dispatch.desk.desk import Desk


def recount(desk: Desk, now: datetime) -> int:
    """Recount the live assignments of every team; return how many teams were put right."""
    return desk.recount_loads()
