"""Note every limit that has passed, and raise what stays silent: gather what is due, let the law decide, apply."""

from __future__ import annotations

from datetime import datetime, timedelta

from dispatch.desk.desk import Desk
from dispatch.rules.incident.chain import SYSTEM, Command
from dispatch.rules.incident.reasons import coded
from dispatch.rules.policy import escalation

SWEEP_LIMIT = 2_000  # incidents in one transaction; what is left over comes with the next
ROUNDS_LIMIT = 10  # transactions in one run


def sweep(desk: Desk, now: datetime) -> int:
    """Note all limits passed by `now`, the longest passed first; return how many were noted."""
    noted = 0
    for _ in range(ROUNDS_LIMIT):
        due = desk.clocks_due(now, SWEEP_LIMIT)
        if not due:
            break
        commands = [
            # Two clocks of one incident may fall due at the same instant: assignment and kind tell them apart.
            Command(
                "breach",
                incident_id,
                SYSTEM,
                f"sweep/{part}/{kind}/{at.timestamp()}",
                {"clock": kind, "assignment_id": part} if part is not None else {"clock": kind},
            )
            for incident_id, part, kind, at in due
        ]
        done = sum(outcome.status == "done" for outcome in desk.act(commands, now))
        noted += done
        if not done:
            break
    return noted


def escalate(desk: Desk, now: datetime) -> int:
    """Raise every incident whose silence has lasted as the ladder says; one step each, whatever time was missed.

    A whistle that nobody has reported in for has a rung of its own; whichever rung comes first raises it.
    """
    ladder = desk.in_force(now).ladder
    whistles = {row[0]: row[1:] for row in desk.unreported(now, SWEEP_LIMIT)}
    limits = {row[0]: row[1:] for row in desk.overdue(now, SWEEP_LIMIT - len(whistles))}
    commands: list[Command] = []
    for incident_id in whistles | limits:
        part, severity, level, unreported = whistles.get(incident_id) or (
            None,
            *limits[incident_id][:2],
            None,
        )
        silent = limits[incident_id][2] if incident_id in limits else None
        rise = escalation.goes_up(severity, level, silent, unreported, ladder)
        if rise is None or rise.at > now:
            continue
        if rise.whistle:
            args = {"reason": coded("not_reported_in"), "silent_at": level, "assignment_id": part}
            key = f"whistle/{part}/{level}/{rise.since.timestamp()}"
        else:
            args = {"reason": coded("silence"), "silent_at": level}
            key = f"ladder/{level}/{rise.since.timestamp()}"
        commands.append(Command("escalate", incident_id, SYSTEM, key, args))
    return sum(outcome.status == "done" for outcome in desk.act(commands, now))


def stale(at: datetime | None, now: datetime, every: timedelta) -> bool:
    """Tell whether a job that should run `every` so often has been silent for three of its turns."""
    return at is None or now - at > 3 * every
