"""Proves that a refusal carries the step of whoever was quicker, so that nobody asks for it again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from dispatch.desk.desk import Desk, Outcome
from dispatch.rules.incident.chain import SYSTEM, Actor, Command, Done
from tests import district
from tests.small_law import DISPATCHER, DUTY, JOINT, MONDAY, report

MINUTE = timedelta(minutes=1)


@pytest.fixture
def desk(database: str) -> Iterator[Desk]:
    """Give the test a Desk of the small city, where one report waits."""
    district.build(database)
    with Desk(database) as one:
        one.report([report(JOINT)], MONDAY)
        yield one


def press(desk: Desk, verb: str, actor: Actor, seen: int | None, minute: int, **args: object) -> Outcome:
    row = desk.ask(lambda cursor: cursor.execute("select id from incident").fetchone())
    assert row is not None
    command = Command(verb, row[0], actor, f"{verb}/{actor.id}/{minute}", args, seen)
    return desk.act([command], MONDAY + minute * MINUTE)[0]


def seq(desk: Desk) -> int:
    row = desk.ask(lambda cursor: cursor.execute("select seq from incident").fetchone())
    assert row is not None
    return int(row[0])


def test_a_refusal_carries_the_last_step_of_another_person(desk: Desk) -> None:
    seen = seq(desk)
    assert press(desk, "accept", DUTY, seen, 1).status == "done"
    # What only happens beside is not what was quicker.
    assert press(desk, "note", DUTY, None, 2, note="在路上").status == "done"
    late = press(desk, "accept", DISPATCHER, seen, 3)
    assert late.status == "refused"
    assert late.quicker == Done(seen + 1, "accept", DUTY.id, MONDAY + MINUTE)


def test_a_refusal_carries_the_reason_that_was_given(desk: Desk) -> None:
    seen = seq(desk)
    assert press(desk, "reject", DUTY, seen, 1, reason="重复").status == "done"
    late = press(desk, "accept", DISPATCHER, seen, 2)
    assert late.quicker == Done(seen + 1, "reject", DUTY.id, MONDAY + MINUTE, "重复")


def test_where_nobody_was_quicker_a_refusal_carries_nothing(desk: Desk) -> None:
    """Neither one's own earlier step, nor the machine's, nor a note, nor a step that was seen."""
    seen = seq(desk)
    assert press(desk, "note", DUTY, seen, 1, note="在路上").status == "done"
    assert press(desk, "escalate", SYSTEM, None, 2, reason="silence").status in ("done", "refused")
    assert press(desk, "accept", DISPATCHER, seen, 3).status == "done"
    for given in (seen, None, seq(desk)):
        refused = press(desk, "accept", DISPATCHER, given, 4)
        assert (refused.status, refused.quicker) == ("refused", None)
    other = press(desk, "accept", DUTY, seq(desk), 5)
    assert (other.status, other.quicker) == ("refused", None)
