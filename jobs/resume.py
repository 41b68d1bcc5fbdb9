"""Wake what rests: resume suspended incidents when their time is over, remind teams that have gone silent."""

from __future__ import annotations

from datetime import timedelta

from dispatch.desk.store import Cursor
from dispatch.rules.incident.chain import SYSTEM, Command
from dispatch.rules.incident.reasons import coded
from jobs.work import Work

BATCH = 1_000  # incidents in one run; what is left over comes with the next
SILENT_AFTER = timedelta(hours=24)


def resume(work: Work) -> int:
    """Resume every incident whose suspension has ended; return how many."""

    def gather(cursor: Cursor) -> list[tuple[int, str]]:
        return cursor.execute(
            "select id, facts ->> 'suspended_until' from incident where ended_at is null and paused_why is not null"
            " and (facts ->> 'suspended_until')::timestamptz <= %s order by 2 limit %s",
            (work.now, BATCH),
        ).fetchall()

    commands = [
        Command("resume", incident, SYSTEM, f"suspended/{until}", {}) for incident, until in work.ask(gather)
    ]
    return sum(outcome.status == "done" for outcome in work.desk.act(commands, work.now))


def patrol(work: Work) -> int:
    """Remind the teams that have an incident in hand and have not been heard of for a day; return how many.

    What is past a limit is left to the ladder, what is suspended to its date; each is reminded once a day.
    """
    day = f"{work.desk.in_force(work.now).calendar.local(work.now):%Y-%m-%d}"

    def gather(cursor: Cursor) -> list[tuple[int]]:
        return cursor.execute(
            "select id from incident where ended_at is null and state = 'in_hand' and paused_why is null"
            " and overdue_since is null and last_at < %s order by last_at limit %s",
            (work.now - SILENT_AFTER, BATCH),
        ).fetchall()

    reason = {"reason": coded("no_progress", hours=SILENT_AFTER // timedelta(hours=1))}
    commands = [
        Command("remind", incident, SYSTEM, f"patrol/{day}", reason) for (incident,) in work.ask(gather)
    ]
    return sum(outcome.status == "done" for outcome in work.desk.act(commands, work.now))
