"""Report and press as people of the small city, each wish under an id of its own, and read what a Desk answers."""

from __future__ import annotations

import time
from typing import Any

from dispatch.desk.desk import Desk, Outcome
from dispatch.intake.messages import number_of
from dispatch.rules.incident.chain import Actor, Command, Report
from tests import district
from tests.small_law import DISPATCHER, JOINT, MONDAY, report

PATIENCE_S = 300.0  # however busy the machine is


def fresh(serial: int, category: str = JOINT, **rest: Any) -> Report:
    """Return a report whose number is its own."""
    made = report(category, number=number_of("hotline", str(serial)), **rest)
    made.source_id = str(serial)
    return made


def opened(desk: Desk, count: int, category: str = JOINT, first: int = 1) -> list[int]:
    """Open incidents and return their ids."""
    outcomes = desk.report([fresh(n, category) for n in range(first, first + count)], MONDAY)
    assert {o.status for o in outcomes} == {"done"}
    return [o.incident_id for o in outcomes if o.incident_id is not None]


def press(
    verb: str, incident_id: int, actor: Actor = DISPATCHER, id: str | None = None, **args: Any
) -> Command:
    """Return a command with an id of its own."""
    return Command(verb, incident_id, actor, id or f"{verb}/{actor.id}/{incident_id}", args)


def codes(outcomes: list[Outcome]) -> list[str]:
    """Return what each outcome says, refusals by their code."""
    return [o.refusal.code if o.refusal else o.status for o in outcomes]


def waiting(database: str, backends: int) -> None:
    """Wait until so many backends wait for a lock."""
    deadline = time.monotonic() + PATIENCE_S
    query = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    while district.value(database, query) < backends:
        assert time.monotonic() < deadline, "nobody came to wait"
        time.sleep(0.01)
