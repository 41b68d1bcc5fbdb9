"""What happened is never rewritten: the database refuses it, and the audit finds every edit behind its back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import psycopg
import pytest

from dispatch.checks import audit
from dispatch.desk.desk import Desk
from dispatch.rules.incident.links import GENESIS
from models.servers.database import psycopg_dsn
from tests import district
from tests.at_the_desk import codes, opened, press
from tests.small_law import CREW, MONDAY, POLICE, SMALL

pytestmark = pytest.mark.city("district")

MINUTE = timedelta(minutes=1)


def test_the_database_refuses_a_second_live_lead(desk: Desk, city: str) -> None:
    """Whoever writes it, and however."""
    [one] = opened(desk, 1, SMALL)
    with (
        psycopg.connect(psycopg_dsn(city)) as connection,
        pytest.raises(psycopg.errors.UniqueViolation, match="uq_assignment_live_lead"),
    ):
        connection.execute(
            "insert into assignment (id, incident_id, team_id, role, kind, state, sent_at, clocks)"
            " select id + 1, incident_id, 2, role, kind, state, sent_at, clocks from assignment"
        )
    assert district.value(city, "select count(*) from assignment where incident_id = %s", one) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "update event set actor = 'somebody else'",
        "delete from event",
        "update event set seq = 9",
        "truncate event cascade",
        "truncate incident cascade",
    ],
)
def test_the_database_refuses_to_rewrite_what_happened(desk: Desk, city: str, statement: str) -> None:
    """Events are added, never changed and never taken away."""
    opened(desk, 1)
    with psycopg.connect(psycopg_dsn(city)) as connection, pytest.raises(psycopg.Error, match="append"):
        connection.execute(statement.encode())
    district.check_everything(city)


@pytest.mark.parametrize(
    ("edit", "broken"),
    [
        ("update event set actor = 'person/11' where seq = 2", [2]),
        ("update event set at = at + interval '1 microsecond' where seq = 3", [3]),
        ("update event set data = (replace(data::text, '处', '外'))::json where seq = 5", [5]),
        ("update event set data = (data::text || ' ')::json where seq = 1", [1]),
        ("update event set cause = cause || '!' where seq = 4", [4]),
        ("update event set hash = set_byte(hash, 31, (get_byte(hash, 31) + 1) % 256) where seq = 3", [3, 4]),
        ("delete from event where seq = 5", [5]),
    ],
)
def test_an_edit_behind_the_databases_back_is_found(
    desk: Desk, city: str, edit: str, broken: list[int]
) -> None:
    """One letter, one microsecond, one byte: the chain no longer holds where it was touched."""
    [one] = opened(desk, 1)
    commands = [
        press("accept", one),
        press("dispatch", one, team_id=POLICE),
        press("pick_up", one, CREW),
        press("dispose", one, CREW, result="已处置"),
    ]
    assert codes(desk.act(commands, MONDAY + MINUTE)) == ["done"] * 4
    district.check_everything(city)
    with psycopg.connect(psycopg_dsn(city)) as connection, connection.cursor() as cursor:
        cursor.execute("set session_replication_role = replica")
        assert cursor.execute(edit.encode()).rowcount == 1
        assert district.broken_links(cursor, one) == broken


def test_a_letter_that_moves_from_one_column_to_the_next_is_found(desk: Desk, city: str) -> None:
    """Also where it takes the tab along that once stood between the columns."""
    [one] = opened(desk, 1)
    desk.act([press("accept", one, id="a\tb")], MONDAY + MINUTE)
    edits = (
        "update event set actor = actor || E'\\ta', cause = 'b' where seq = 2",
        "update event set actor = left(actor, -1), cause = right(actor, 1) || cause where seq = 2",
        "update event set verb = verb || right(actor, 1), actor = left(actor, -1) where seq = 2",
    )
    for edit in edits:
        with psycopg.connect(psycopg_dsn(city)) as connection, connection.cursor() as cursor:
            cursor.execute("set session_replication_role = replica")
            assert cursor.execute(edit.encode()).rowcount == 1
            assert district.broken_links(cursor, one) == [2]
            connection.rollback()
    assert audit_finds(city) == []


def test_events_linked_in_the_first_form_still_hold_and_their_edits_are_found(desk: Desk, city: str) -> None:
    """A city that ran before the form was made unambiguous keeps its record, and goes on in the new form."""
    [one] = opened(desk, 1)
    desk.act([press("accept", one)], MONDAY + MINUTE)
    with psycopg.connect(psycopg_dsn(city)) as connection, connection.cursor() as cursor:
        cursor.execute("set session_replication_role = replica")
        head = GENESIS
        for seq, at, verb, actor, cause, policy, data in cursor.execute(
            "select seq, at, verb, actor, cause, policy_version, data::text from event where incident_id = %s"
            " order by seq",
            (one,),
        ).fetchall():
            micros = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
            text = f"{one}\t{seq}\t{micros}\t{verb}\t{actor}\t{cause}\t{policy}\t{data}"
            head = sha256(head + text.encode()).digest()
            cursor.execute("update event set hash = %s where (incident_id, seq) = (%s, %s)", (head, one, seq))
        cursor.execute("update incident set head = %s where id = %s", (head, one))
        connection.commit()
    desk.act([press("dispatch", one, team_id=POLICE)], MONDAY + 2 * MINUTE)
    assert audit_finds(city) == []
    edits = (
        "update event set actor = 'person/11' where seq = 2",
        "update event set actor = actor || E'\\t' || cause, cause = '' where seq = 2",
    )
    for edit in edits:
        with psycopg.connect(psycopg_dsn(city)) as connection, connection.cursor() as cursor:
            cursor.execute("set session_replication_role = replica")
            assert cursor.execute(edit.encode()).rowcount == 1
            assert district.broken_links(cursor, one) == [2]
            connection.rollback()


def audit_finds(city: str) -> list[Any]:
    """Return what the audit finds wrong in the whole city."""
    with psycopg.connect(psycopg_dsn(city)) as connection:
        return audit.verify(connection).faults or []
