"""Proves that what the machine gives as its reason is stored as a code, beside what older events hold."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

from dispatch.checks import audit, recheck
from dispatch.desk import store
from dispatch.desk.desk import Desk
from dispatch.rules.incident import reasons
from dispatch.rules.incident.chain import SYSTEM, Command
from jobs.resume import patrol
from models.servers.database import psycopg_dsn
from tests import district
from tests.at_work import worked
from tests.small_law import CREW, DISPATCHER, JOINT, MONDAY, POLICE, report

pytestmark = pytest.mark.city("district")

OLD = "超过24小时无进展 silent for 24 hours"  # as events of the first versions hold it


@pytest.fixture
def desk(database: str) -> Iterator[Desk]:
    """Give the test a Desk of the small city."""
    with Desk(database) as one:
        yield one


def test_a_team_that_is_silent_is_reminded_with_a_code_and_its_value(desk: Desk, database: str) -> None:
    """Old and new events stand in one log: each is said in words, the audit and the nightly check find nothing."""
    desk.report([report(JOINT)], MONDAY)
    [(one,)] = district.rows(database, "select id from incident")
    at = MONDAY
    for verb, who, args in (
        ("accept", DISPATCHER, {}), ("dispatch", DISPATCHER, {"team_id": POLICE}), ("pick_up", CREW, {}),
        ("arrive", CREW, {"reason": "没有信号"}), ("remind", SYSTEM, {"reason": OLD}),
    ):  # fmt: skip
        at += timedelta(minutes=1)
        [outcome] = desk.act([Command(verb, one, who, verb, dict(args))], at)
        assert outcome.status == "done", outcome.refusal
    assert worked(patrol, desk, at + timedelta(hours=24, minutes=1)) == 1
    with psycopg.connect(psycopg_dsn(database)) as connection, connection.cursor() as cursor:
        kept = [e.change.said["reason"] for e in store.events_of(cursor, one) if e.verb == "remind"]
        assert kept == [OLD, {"code": "no_progress", "hours": 24}]
        assert [reasons.words(each, "zh") for each in kept] == [OLD, "超过 24 小时无进展"]
        assert [reasons.words(each, "en") for each in kept] == [OLD, "no progress for 24 hours"]
        done = [each.reason for each in store.done_since(cursor, {one: 1})[one] if each.verb == "remind"]
        assert done == kept
        assert audit.verify(connection).faults == []
    with psycopg.connect(psycopg_dsn(database)) as connection:
        assert recheck.incidents(connection, at + timedelta(days=2), 100) == 1
        assert recheck.open_mismatches(connection.cursor()) == []
    district.check_everything(database)
