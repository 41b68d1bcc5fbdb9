"""Proves that statements which go together are answered each in its place, or fail together and say why."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from models.servers.database import Pool, psycopg_dsn
from models.servers.round_trip import NAMES_KEPT, round_trip

MANY = 4_000_000  # bytes: more than either side reads ahead
PATIENCE_S = 120.0
ONE = ("select 1", ())


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection[Any]]:
    """Give the test a connection on which nothing has begun."""
    with psycopg.connect(psycopg_dsn(database)) as made:
        yield made


def idle(connection: psycopg.Connection[Any]) -> bool:
    return connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_each_is_answered_in_its_place_and_sees_what_those_before_it_did(
    connection: psycopg.Connection[Any],
) -> None:
    answers = round_trip(
        connection,
        [
            ("create temp table pile (n int, word text)", ()),
            ("insert into pile select n, %s from unnest(%s::int[]) n", ("100 %s", [1, 2, 3])),
            ("select sum(n), min(word) from pile where n <> %(not)s and %(not)s < 10", {"not": 2}),
            ("select count(*), 7 %% 4, %s::text from pile", (None,)),
        ],
    )
    assert answers == [[], [], [(4, "100 %s")], [(3, 3, None)]]
    connection.rollback()


def test_a_transaction_begins_and_ends_where_the_statements_say(connection: psycopg.Connection[Any]) -> None:
    """What the driver runs in between belongs to it."""
    round_trip(connection, [("begin", ()), ("create table pile (n int)", ())])
    assert not idle(connection)
    connection.execute("insert into pile values (1)")
    assert round_trip(connection, [("select n from pile", ()), ("commit", ())])[0] == [(1,)]
    assert idle(connection)
    connection.rollback()
    assert connection.execute("select n from pile").fetchall() == [(1,)]


def test_the_first_fault_ends_all_and_is_raised_as_the_drivers(connection: psycopg.Connection[Any]) -> None:
    """Nothing after it is done, the commit neither; the connection serves again."""
    connection.execute("create table pile (n int primary key)")
    connection.commit()
    insert = ("insert into pile values (%s)", (1,))
    for _ in range(2):
        with pytest.raises(psycopg.errors.UniqueViolation, match="pile_pkey"):
            round_trip(connection, [("begin", ()), insert, insert, ("select 1 / 0", ()), ("commit", ())])
        connection.rollback()
        assert round_trip(connection, [("select count(*) from pile", ())]) == [[(0,)]]


def test_much_in_both_directions_is_never_waited_for_in_a_circle(connection: psycopg.Connection[Any]) -> None:
    """The server answers before it has read all: whoever only wrote would wait for it, and it for them."""
    given = "x" * MANY
    found: list[Any] = []
    caller = threading.Thread(
        target=lambda: found.extend(round_trip(connection, [("select %s::text", (given,))] * 4)), daemon=True
    )
    caller.start()
    caller.join(PATIENCE_S)
    assert found == [[(given,)]] * 4


def test_where_all_that_was_prepared_is_gone_what_begins_begins_anew(
    connection: psycopg.Connection[Any],
) -> None:
    """In the middle of a transaction it is a fault."""
    assert round_trip(connection, [("begin", ()), ONE, ("commit", ())])[1] == [(1,)]
    connection.execute("deallocate all")
    connection.commit()
    assert round_trip(connection, [("begin", ()), ONE])[1] == [(1,)]
    connection.execute("deallocate all")
    with pytest.raises(psycopg.errors.InvalidSqlStatementName):
        round_trip(connection, [ONE])


def test_no_more_are_prepared_than_are_kept(connection: psycopg.Connection[Any]) -> None:
    for number in range(NAMES_KEPT + 5):
        assert round_trip(connection, [(f"select {number}", ())]) == [[(number,)]]
    [[(prepared,)]] = round_trip(connection, [("select count(*) from pg_prepared_statements", ())])
    assert prepared == NAMES_KEPT


def test_a_server_that_hangs_up_is_told_by_its_last_word(connection: psycopg.Connection[Any]) -> None:
    """The connection is not used again."""
    with pytest.raises(psycopg.errors.AdminShutdown):
        round_trip(connection, [ONE, ("select pg_terminate_backend(pg_backend_pid())", ()), ONE])
    assert connection.closed


def test_the_connections_own_way_of_waiting_is_taken(database: str) -> None:
    """It may give up a database that hangs."""

    class Impatient(psycopg.Connection[Any]):
        def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
            if self.info.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
                raise psycopg.OperationalError("it hangs")
            return super().wait(gen, *args, **options)

    pool = Pool(database, 1, connection_class=Impatient)
    with pytest.raises(psycopg.OperationalError, match="it hangs"), pool.lend() as connection:
        round_trip(connection, [ONE])
    assert connection.closed
    pool.close()
