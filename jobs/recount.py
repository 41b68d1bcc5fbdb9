"""Check what is kept beside the events against the events, and put it right."""

from __future__ import annotations

from jobs.work import Work


def recount(work: Work) -> int:
    """Recount the live assignments of every team; return how many teams were put right."""
    return work.desk.recount_loads()
