"""The audit finds any edit of what was written, and names its row."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from sqlalchemy import make_url

from dispatch import audit, history
from models import demo
from models.servers import Servers, psycopg_dsn

EDITS = {
    "the time": "update event set at = at + interval '1 microsecond' where (incident_id, seq) = (%s, %s)",
    "the verb": "update event set verb = 'acceqt' where (incident_id, seq) = (%s, %s)",
    "the actor": "update event set actor = actor || ' ' where (incident_id, seq) = (%s, %s)",
    "the cause": "update event set cause = 'X' || substr(cause, 2) where (incident_id, seq) = (%s, %s)",
    "the policy": "update event set policy_version = policy_version + 1 where (incident_id, seq) = (%s, %s)",
    "white space in the data": "update event set data = (data::text || ' ')::json where (incident_id, seq) = (%s, %s)",
    "the hash": "update event set hash = set_byte(hash, 31, (get_byte(hash, 31) + 1) %% 256)"
    " where (incident_id, seq) = (%s, %s)",
}


@pytest.fixture(scope="module")
def connection(servers: Servers, template: str) -> Iterator[psycopg.Connection]:
    """Give the module one database with a few days of lawful history, in a transaction that is never committed."""
    url = make_url(servers.database_url)
    with psycopg.connect(psycopg_dsn(servers.database_url), autocommit=True) as admin:
        admin.execute(f"create database audited template {template} strategy file_copy".encode())
    where = url.set(database="audited").render_as_string(hide_password=False)
    demo.load_demo(where)
    until = datetime(2026, 11, 20, tzinfo=UTC)
    for _ in history.write(where, until, 2, 60, 5):
        pass
    with psycopg.connect(psycopg_dsn(where)) as opened:
        yield opened
        opened.rollback()
    with psycopg.connect(psycopg_dsn(servers.database_url), autocommit=True) as admin:
        admin.execute(b"drop database audited with (force)")


@pytest.fixture
def edited(connection: psycopg.Connection) -> psycopg.Connection:
    """Let a test edit what may not be edited, and undo it."""
    connection.rollback()
    connection.execute("alter table event disable trigger append_only")
    return connection


def _some_event(connection: psycopg.Connection) -> tuple[int, int]:
    row = connection.execute(
        "select incident_id, 3 from event group by 1 having count(*) >= 5 order by 1 desc limit 1"
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def test_an_untouched_history_verifies(connection: psycopg.Connection) -> None:
    verdict = audit.verify(connection)
    assert verdict.faults == []
    row = connection.execute("select count(*), count(distinct incident_id) from event").fetchone()
    assert row is not None
    assert (verdict.events, verdict.incidents) == tuple(row)
    assert verdict.events > 300


@pytest.mark.parametrize("what", EDITS)
def test_an_edit_is_found_at_its_row(edited: psycopg.Connection, what: str) -> None:
    incident, seq = _some_event(edited)
    assert edited.execute(EDITS[what].encode(), (incident, seq)).rowcount == 1
    faults = audit.verify(edited).faults
    assert faults == [audit.Fault(incident, seq, "the event is not what was written")]
    assert audit.verify(edited, incident).faults == faults


def test_a_removed_event_is_found(edited: psycopg.Connection) -> None:
    incident, seq = _some_event(edited)
    edited.execute("delete from event where (incident_id, seq) = (%s, %s)", (incident, seq))
    assert audit.verify(edited).faults == [audit.Fault(incident, seq + 1, f"event {seq} is missing")]


def test_a_cut_end_is_found(edited: psycopg.Connection) -> None:
    incident, _ = _some_event(edited)
    row = edited.execute("select max(seq) from event where incident_id = %s", (incident,)).fetchone()
    assert row is not None
    edited.execute("delete from event where (incident_id, seq) = (%s, %s)", (incident, row[0]))
    faults = audit.verify(edited).faults or []
    assert [(f.incident_id, f.seq) for f in faults] == [(incident, row[0])]


def test_the_database_refuses_edits_while_its_guard_stands(connection: psycopg.Connection) -> None:
    connection.rollback()
    incident, seq = _some_event(connection)
    for statement in ("update event set verb = verb", "delete from event"):
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"), connection.transaction():
            connection.execute(f"{statement} where (incident_id, seq) = (%s, %s)".encode(), (incident, seq))


def test_time_runs_forward_in_every_incident(connection: psycopg.Connection) -> None:
    rows = connection.execute("select incident_id, at from event order by incident_id, seq").fetchall()
    backwards = [a for a, b in itertools.pairwise(rows) if a[0] == b[0] and b[1] - a[1] < timedelta(0)]
    assert backwards == []
