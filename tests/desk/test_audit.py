"""The audit finds any edit of what was written, and names its row."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from dispatch.checks import audit
from dispatch.demo import history
from models.servers.database import psycopg_dsn
from tests.templates import CityOf

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
def connection(city_of: CityOf) -> Iterator[psycopg.Connection]:
    """Give the module one database with a few days of lawful history, in a transaction that is never committed."""
    with city_of("demo") as where:
        for _ in history.write(where, datetime(2026, 11, 20, tzinfo=UTC), 2, 60, 5):
            pass
        with psycopg.connect(psycopg_dsn(where)) as opened:
            yield opened
            opened.rollback()


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


# What is not looked at, and why: a transaction's number orders what readers follow and says nothing of the city.
OUTSIDE = {("event", "tx")}
TABLES = ("event", "incident", "assignment", "segment")
KEYS = {
    "event": ("incident_id", "seq"),
    "segment": ("incident_id", "seq"),
    "incident": ("id",),
    "assignment": ("id",),
}
# How one byte, or the least there is of a kind, is changed in a column; `{c}` is its name.
LEAST = {
    "text": "set_byte_of({c})",
    "character varying": "set_byte_of({c})",
    "json": "flip_json({c}::text)::json",
    "jsonb": "flip_json({c}::text)::jsonb",
    "bytea": "set_byte({c}, 5, get_byte({c}, 5) # 1)",
    "bigint": "{c} # 1",
    "integer": "{c} # 1",
    "smallint": "({c} # 1)::smallint",
    "boolean": "not {c}",
    "double precision": "{c} + 1e-12 * {c}",
    "timestamp with time zone": "{c} + interval '1 microsecond'",
}
# From which a column in which nothing stands is filled.
EMPTY = {
    "text": "''",
    "bigint": "4",
    "smallint": "4::smallint",
    "boolean": "false",
    "double precision": "1.5",
    "timestamp with time zone": "now()",
}
# The last letter of a text one further on, the last digit of a JSON text another one, and where nothing stands a byte.
FUNCTIONS = (
    "create function pg_temp.set_byte_of(t text) returns text language sql as"
    " $$ select case when t = '' then 'a' else left(t, -1) || chr(ascii(right(t, 1)) # 1) end $$",
    "create function pg_temp.flip_json(t text) returns text language sql as $$ select"
    " case when t ~ '[0-9]' then regexp_replace(t, '([0-9])([^0-9]*)$', case when t ~ '7[^0-9]*$' then '6' else '7' end"
    " || '\\2') else '{\"a\": 1}' end $$",
)


def _columns(connection: psycopg.Connection) -> list[tuple[str, str, str]]:
    return connection.execute(
        "select table_name, column_name, data_type from information_schema.columns"
        " where table_schema = 'public' and table_name = any(%s) order by 1, ordinal_position",
        (list(TABLES),),
    ).fetchall()


def test_the_least_edit_of_any_column_of_any_row_is_found_and_names_the_row(
    edited: psycopg.Connection,
) -> None:
    """Every column that the catalogue knows of, the empty ones filled where the database lets them be."""
    for statement in (*FUNCTIONS, "set session_replication_role = replica"):
        edited.execute(statement.encode())
    # Past the guards of the database itself: whoever edits here may have taken them away.
    for (name, table) in edited.execute(
        "select conname, conrelid::regclass::text from pg_constraint"
        " where contype = 'c' and conrelid::regclass::text = any(%s)", (list(TABLES),)
    ).fetchall():  # fmt: skip
        edited.execute(f"alter table {table} drop constraint {name}".encode())
    edited.execute("drop index uq_assignment_live_lead")
    tried = set()
    for table, column, kind in _columns(edited):
        if (table, column) in OUTSIDE:
            continue
        keys = ", ".join(KEYS[table])
        filled = f"{column} is not null" + (f" and {column}::text <> '{{}}'" if kind == "jsonb" else "")
        # A row where something stands, and where the history has none such, any.
        found = edited.execute(
            f"select {keys} from {table} order by ({filled}) desc, md5({keys.split(', ')[0]}::text) limit 1".encode()
        ).fetchone()
        assert found is not None
        owner = "id" if table == "incident" else "incident_id"
        (incident,) = edited.execute(
            f"select {owner} from {table} where ({keys}) = ({', '.join(['%s'] * len(found))})".encode(), found
        ).fetchone() or (0,)
        with edited.transaction(force_rollback=True):
            held = f"coalesce({column}, {EMPTY[kind]})" if kind in EMPTY else column
            change = LEAST[kind].replace("{c}", held)
            change = change.replace("set_byte_of", "pg_temp.set_byte_of").replace(
                "flip_json", "pg_temp.flip_json"
            )
            if column in ("id", "incident_id", "seq"):
                change = f"{column} + 1000000" if kind != "smallint" else f"({column} + 1000)::smallint"
            done = edited.execute(
                f"update {table} set {column} = {change} where ({keys}) = ({', '.join(['%s'] * len(found))})"
                f" returning {column}".encode(),
                found,
            )
            assert done.rowcount == 1
            named = {(f.incident_id, f.table, f.key) for f in audit.verify(edited).faults or []}
        row = (incident, table, found[-1])
        if column == "id" and table == "incident":
            # The events lose their incident, and a stranger stands there without any.
            assert {i for i, _, _ in named} == {incident, incident + 1_000_000}, column
        elif table == "event" and column in ("incident_id", "seq"):
            assert incident in {i for i, _, _ in named}, column
        elif (table, column) in (("incident", "seq"), ("incident", "head")):
            assert {i for i, _, _ in named} == {incident}, column
        else:
            assert row in named, f"{table}.{column}: {named}"
            if column not in ("id", "incident_id", "seq"):
                assert {i for i, _, _ in named} == {incident}, f"{table}.{column} named others: {named}"
        tried.add((table, column))
    assert len(tried) > 60


def test_any_single_byte_of_what_an_event_holds_is_missed_by_nobody(edited: psycopg.Connection) -> None:
    """Each byte of one event's data in turn, wherever the database takes the result for JSON at all."""
    incident, seq = _some_event(edited)
    (text,) = edited.execute(
        "select data::text from event where (incident_id, seq) = (%s, %s)", (incident, seq)
    ).fetchone() or ("",)
    tried = 0
    for place, letter in enumerate(text):
        other = chr(ord(letter) ^ 1) if letter.isascii() else "x"
        try:
            json.loads(text[:place] + other + text[place + 1 :])
        except ValueError:
            continue
        with edited.transaction(force_rollback=True):
            edited.execute(
                "update event set data = %s::json where (incident_id, seq) = (%s, %s)",
                (text[:place] + other + text[place + 1 :], incident, seq),
            )
            assert audit.verify(edited, incident).faults == [
                audit.Fault(incident, seq, "the event is not what was written")
            ], f"byte {place} of {text}"
        tried += 1
    assert tried > len(text) / 2


@pytest.mark.parametrize("table", ["assignment", "segment"])
def test_a_removed_or_invented_row_is_named(edited: psycopg.Connection, table: str) -> None:
    keys = ", ".join(KEYS[table])
    owner, *key = (
        edited.execute(f"select incident_id, {keys} from {table} order by 1, 2 limit 1".encode()).fetchone()
        or ()
    )
    edited.execute("set session_replication_role = replica")
    where = f"({keys}) = ({', '.join(['%s'] * len(key))})"
    with edited.transaction(force_rollback=True):
        edited.execute(f"delete from {table} where {where}".encode(), key)
        assert audit.verify(edited).faults == [audit.Fault(owner, key[-1], "the row is missing", table=table)]
    with edited.transaction(force_rollback=True):
        edited.execute(f"create temp table copied as select * from {table} where {where}".encode(), key)
        edited.execute(f"update copied set {KEYS[table][-1]} = 30000".encode())
        if table == "assignment":
            edited.execute(b"update copied set role = 'assist'")
        edited.execute(f"insert into {table} select * from copied".encode())
        assert audit.verify(edited).faults == [
            audit.Fault(owner, 30_000, "no event speaks of the row", table=table)
        ]


def _gone(edited: psycopg.Connection, incident: int) -> None:
    """Take away an incident with everything that is its."""
    edited.execute("set session_replication_role = replica")
    for table, key in (
        ("event", "incident_id"),
        ("assignment", "incident_id"),
        ("segment", "incident_id"),
        ("incident", "id"),
    ):
        edited.execute(f"delete from {table} where {key} = %s".encode(), (incident,))


def test_an_incident_that_is_gone_as_a_whole_is_named_by_its_receipt(edited: psycopg.Connection) -> None:
    """Nothing that is left contradicts itself: only the receipt says that there was one."""
    incident, _ = _some_event(edited)
    _gone(edited, incident)
    missing = [
        audit.Fault(
            incident, incident, "the incident is gone, and its receipt is still there", table="incident"
        )
    ]
    assert audit.verify(edited).faults == missing
    assert audit.verify(edited, rows=False).faults == missing
    assert audit.verify(edited, incident).faults == missing
    edited.execute(b"insert into segment select (jsonb_populate_record(s, jsonb_build_object('incident_id', 0))).*"
                   b" from segment s limit 1")  # fmt: skip
    assert [f.table for f in audit.verify(edited).faults or []] == ["segment", "incident"]


def test_an_incident_without_its_receipt_is_named(edited: psycopg.Connection) -> None:
    """Without it the same report could come in a second time."""
    incident, _ = _some_event(edited)
    edited.execute("delete from receipt where key = (select number from incident where id = %s)", (incident,))
    what = "the incident has no receipt under its number"
    assert audit.verify(edited).faults == [audit.Fault(incident, incident, what, table="receipt")]


def test_a_row_that_no_program_can_read_is_named_and_hides_no_other(edited: psycopg.Connection) -> None:
    incident, _ = _some_event(edited)
    edited.execute("update incident set clocks = '{\"close\": 1}' where id = %s", (incident,))
    edited.execute("update incident set text = text || '!' where id = (select min(id) from incident)")
    faults = audit.verify(edited).faults or []
    assert [(f.table, f.what) for f in faults] == [
        ("incident", "the column text is not what the events make it"),
        ("incident", "the row or an assignment's cannot be read"),
    ]


def test_the_links_alone_can_be_verified_and_then_say_nothing_of_the_rows(edited: psycopg.Connection) -> None:
    edited.execute("update incident set text = text || '!' where id = (select min(id) from incident)")
    assert audit.verify(edited, rows=False).faults == []
    (fault,) = audit.verify(edited).faults or []
    assert (fault.table, fault.what) == ("incident", "the column text is not what the events make it")
    assert fault.words("zh") == "text 一列与事件不符"


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
    assert [(f.incident_id, f.key) for f in faults] == [(incident, row[0])]


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
