"""Proves that what a few commands write in one statement is what a crowd of them writes by COPY, row by row."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Any

import psycopg
import pytest

from dispatch.desk import store
from dispatch.desk.desk import Desk, Outcome
from dispatch.desk.statements import Statements
from dispatch.intake.messages import number_of
from dispatch.rules.incident.chain import Command, Report, lawful
from models.servers.database import psycopg_dsn
from tests import district
from tests.small_law import CITY_DESK, DISPATCHER, JOINT, MAJOR, MONDAY, SMALL, WHISTLE, report
from tests.templates import CityOf
from tests.walks import BUTTONS

STEPS = 60
TABLES = {
    "incident": "*",
    "event": "incident_id, seq, at, verb, actor, cause, policy_version, data::text, hash",
    "assignment": "*",
    "segment": "*",
    "receipt": "*",
    "team": "id, load",
}
# What COPY and JSON each would read otherwise, were it not escaped.
AWKWARD = "路灯\t坏了\n\\N \"两盏\" '三' \\. {} \\x41 \u2028🚧 null"


def reported(category: str, serial: int) -> Report:
    """Return a report of its own with an awkward text."""
    made = report(category, number=number_of("hotline", str(serial)), text=f"{AWKWARD}{serial}")
    made.source_id = str(serial)
    return made


def rows(city: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return what every table of incidents holds."""
    return {
        table: district.rows(city, f"select {columns} from {table} order by 1, 2")
        for table, columns in TABLES.items()
    }


def statuses(outcomes: list[Outcome]) -> set[str]:
    """Return what outcomes say."""
    return {o.status for o in outcomes}


def draw(desk: Desk, ids: list[int], rnd: Random, number: int) -> list[Command]:
    """Draw what may be done with some incidents, each by whoever may."""
    held = desk.ask(lambda cursor: store.load(cursor, ids))
    commands = []
    for incident_id in rnd.sample(ids, rnd.randint(1, 3)):
        incident = held[incident_id].incident
        wishes = [
            Command(
                verb,
                incident_id,
                actor,
                f"{verb}/{number}",
                args | ({"into": ids[0]} if "into" in args else {}),
            )
            for verb, (actor, args) in sorted(BUTTONS.items())
            if any(step.verb == verb for step in lawful(incident, actor))
            if verb not in ("merge", "reject", "void") or rnd.random() < 0.1
        ]
        if wishes:
            commands.append(rnd.choice(wishes))
    return commands


def live(desk: Desk, drawn: Callable[[list[int], int], list[Command]]) -> list[Outcome]:
    """Let a few incidents be reported and handled; return what the Desk answered."""
    outcomes: list[Outcome] = []
    for serial, category in enumerate((JOINT, SMALL, MAJOR, WHISTLE, JOINT, SMALL)):
        outcomes += desk.report([reported(category, serial), reported(category, serial)], MONDAY)
    ids = [o.incident_id for o in outcomes if o.status == "done" and o.incident_id is not None]
    for number in range(STEPS):
        now: datetime = MONDAY + number * timedelta(minutes=47)
        if commands := drawn(ids, number):
            outcomes += desk.act([*commands, commands[0]], now)
    return outcomes


@pytest.mark.parametrize("seed", range(3))
def test_a_few_commands_write_the_rows_that_a_crowd_of_them_writes(
    city_of: CityOf, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """To the byte of every event, and with every load; both find the same repeats and refuse the same."""
    rnd = Random(seed)
    pressed: dict[int, list[Command]] = {}

    def drawing(ids: list[int], number: int) -> list[Command]:
        pressed[number] = draw(desk, ids, rnd, number)
        return pressed[number]

    with city_of("district") as one, city_of("district") as other:
        with Desk(one) as desk:
            together = live(desk, drawing)
        monkeypatch.setattr("dispatch.desk.desk.FEW", 0)
        with Desk(other) as desk:
            apart = live(desk, lambda ids, number: pressed[number])
        assert together == apart
        assert statuses(together) >= {"done", "duplicate"}
        assert rows(one) == rows(other)
        district.check_everything(one)
    verbs = {command.verb for commands in pressed.values() for command in commands}
    assert len(verbs) > 12, "few kinds of steps prove little"


@pytest.mark.city("district")
@pytest.mark.parametrize("few", [0, 64])
def test_a_batch_whose_connection_is_killed_leaves_nothing_and_the_desk_recovers(
    database: str, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    """The backend is ended after everything was written and before it was kept."""
    write = store.write

    def killed(statements: Statements, *rest: Any) -> None:
        write(statements, *rest)
        statements.send()
        with psycopg.connect(psycopg_dsn(database), autocommit=True) as other:
            other.execute("select pg_terminate_backend(%s)", (statements.connection.info.backend_pid,))

    with Desk(database) as desk:
        [one] = [o.incident_id or 0 for o in desk.report([reported(SMALL, 1)], MONDAY)]
        noted = Command("note", one, DISPATCHER, "note/1", {"note": "备注"})
        supervised = Command("supervise", one, CITY_DESK, "supervise/1", {"reason": "督办"})
        before = rows(database)
        monkeypatch.setattr("dispatch.desk.desk.FEW", few)
        monkeypatch.setattr(store, "write", killed)
        with pytest.raises(psycopg.Error):
            desk.report([reported(SMALL, n) for n in range(50, 100)], MONDAY)
        with pytest.raises(psycopg.Error):
            desk.act([noted, supervised], MONDAY)
        assert rows(database) == before
        monkeypatch.undo()
        assert statuses(desk.report([reported(SMALL, n) for n in range(50, 100)], MONDAY)) == {"done"}
        assert statuses(desk.act([noted, supervised], MONDAY)) == {"done"}
    district.check_everything(database)
