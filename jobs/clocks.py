"""Note every limit that has passed, and raise what stays silent: gather what is due, let the law decide, apply."""

from __future__ import annotations

from datetime import datetime, timedelta

from dispatch.desk.desk import Desk
from dispatch.rules.incident.chain import SYSTEM, Command
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

    A whistle that nobody has reported in for has a rung of its own and goes first.
    """
    ladder = desk.policy().ladder
    commands: dict[int, Command] = {}
    for incident_id, part, level, since in desk.unreported(now, SWEEP_LIMIT):
        step = escalation.whistle_step(level, since, ladder)
        if step is not None and step[0] <= now:
            args = {"reason": "吹哨后未报到 not reported in", "silent_at": level, "assignment_id": part}
            key = f"whistle/{part}/{level}/{since.timestamp()}"
            commands[incident_id] = Command("escalate", incident_id, SYSTEM, key, args)
    for incident_id, severity, level, since in desk.overdue(now, SWEEP_LIMIT - len(commands)):
        step = escalation.next_step(severity, level, since, ladder)
        if step is not None and step[0] <= now:
            args = {"reason": "silence", "silent_at": level}
            key = f"ladder/{level}/{since.timestamp()}"
            commands.setdefault(incident_id, Command("escalate", incident_id, SYSTEM, key, args))
    return sum(outcome.status == "done" for outcome in desk.act(list(commands.values()), now))


def stale(at: datetime | None, now: datetime, every: timedelta) -> bool:
    """Tell whether a job that should run `every` so often has been silent for three of its turns."""
    return at is None or now - at > 3 * every
