"""Let what is kept beside a policy follow it on the day that it comes into force."""

from __future__ import annotations

from dispatch.record.publishing import write_types
from jobs.work import Work


def follow(work: Work) -> int:
    """Let types, their names and areas of work be those of the policy in force; return how many differed."""
    policy = work.desk.in_force(work.now)
    return work.ask(lambda cursor: write_types(cursor, policy))
