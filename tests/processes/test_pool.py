"""Proves the one pool: connections are kept, a broken one is not used again, and nobody waits where none can be had."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from models.servers.database import LOCK_TIMEOUT_S, Line, Pool
from models.servers.round_trip import round_trip

PATIENCE_S = 60.0


@pytest.fixture
def pool(database: str) -> Iterator[Pool]:
    """Give the test a pool of two."""
    made = Pool(database, 2, wait_s=PATIENCE_S)
    yield made
    made.close()


def backend(pool: Pool) -> int:
    with pool.lend() as connection:
        return connection.info.backend_pid


def test_the_same_connection_serves_one_use_after_another(pool: Pool) -> None:
    assert len({backend(pool) for _ in range(20)}) == 1


def test_a_transaction_is_committed_at_its_end_and_rolled_back_on_an_error(pool: Pool) -> None:
    with pool.lend() as connection:
        connection.execute("create table kept (n int)")
    with pytest.raises(psycopg.errors.DivisionByZero), pool.lend() as connection:
        connection.execute("with new as (insert into kept values (1)) select 1 / 0")
    with pool.lend(read_only=True) as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (0,)
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), pool.lend(read_only=True) as connection:
        connection.execute("insert into kept values (1)")
    with pool.lend() as connection:
        connection.execute("insert into kept values (1)")


def test_locks_and_statements_are_waited_for_within_bounds(database: str) -> None:
    pool = Pool(database, 1, statement_timeout_s=7)
    with pool.lend() as connection:
        assert connection.execute("show lock_timeout").fetchone() == ("10s",)
        assert connection.execute("show statement_timeout").fetchone() == ("7s",)
    pool.close()


def test_who_finds_all_lent_waits_for_the_first_that_comes_back(pool: Pool) -> None:
    held, go_on = threading.Barrier(3), threading.Event()

    def hold() -> int:
        with pool.lend() as connection:
            held.wait(PATIENCE_S)
            assert go_on.wait(PATIENCE_S)
            return connection.info.backend_pid

    with ThreadPoolExecutor(3) as callers:
        holding = [callers.submit(hold) for _ in range(2)]
        held.wait(PATIENCE_S)
        third = callers.submit(backend, pool)
        go_on.set()
        assert third.result(PATIENCE_S) in {each.result(PATIENCE_S) for each in holding}


def test_where_all_were_cut_off_one_use_fails_and_the_next_is_served(pool: Pool, database: str) -> None:
    """What is idle is as broken as what was used: nobody else is given it."""
    both = threading.Barrier(2)

    def meet() -> int:
        with pool.lend() as connection:
            both.wait(PATIENCE_S)
            return connection.info.backend_pid

    with ThreadPoolExecutor(2) as callers:
        pids = [each.result(PATIENCE_S) for each in [callers.submit(meet) for _ in range(2)]]
    line = Line(database)
    with line.lend() as own:
        for pid in pids:
            own.execute("select pg_terminate_backend(%s, 30000)", (pid,))
    line.close()
    with pytest.raises(psycopg.OperationalError), pool.lend() as connection:
        connection.execute("select 1")
    with ThreadPoolExecutor(2) as callers:
        anew = {each.result(PATIENCE_S) for each in [callers.submit(meet) for _ in range(2)]}
    assert not anew & set(pids)


def test_where_nobody_is_let_in_every_caller_is_told_at_once() -> None:
    """Not after its whole wait, and again at the next call; a database that is back serves the next one."""
    pool = Pool("postgresql://nobody@127.0.0.1:1/none", 2, wait_s=PATIENCE_S * 10)
    begun = time.monotonic()

    def call() -> str:
        try:
            backend(pool)
        except psycopg.OperationalError as fault:
            return type(fault).__name__
        return ""

    with ThreadPoolExecutor(8) as callers:
        for _ in range(3):
            assert {each.result(PATIENCE_S) for each in [callers.submit(call) for _ in range(8)]} == {
                "OperationalError"
            }
    assert time.monotonic() - begun < PATIENCE_S
    pool.close()


def test_a_closed_pool_opens_anew(pool: Pool) -> None:
    first = backend(pool)
    pool.close()
    assert backend(pool) != first


def test_a_line_that_saw_an_error_is_opened_anew(database: str) -> None:
    """What was prepared on it may be gone by then, or of a table that has changed: nothing would come of it again."""
    line = Line(database)
    ask = ("select n from changed", ())
    with line.lend() as connection:
        connection.execute("create table changed (n int)")
    for kind in ("bigint", "text"):
        with line.lend() as connection:
            assert round_trip(connection, [("begin", ()), ask, ("commit", ())])[1] == []
        with psycopg.connect(line.dsn, autocommit=True) as other:
            other.execute(f"alter table changed alter column n type {kind}".encode())
        with pytest.raises(psycopg.errors.FeatureNotSupported), line.lend() as connection:
            round_trip(connection, [("begin", ()), ask, ("commit", ())])
    with pytest.raises(psycopg.errors.DivisionByZero), line.lend() as connection:
        connection.execute("select 1 / 0", prepare=True)
    with line.lend() as connection:
        connection.execute("select 1")
        assert round_trip(connection, [ask]) == [[]]
    line.close()


def test_a_line_that_could_not_be_bounded_is_opened_anew(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would begin with the error of before, and wait for locks without an end after it."""
    line = Line(database)
    monkeypatch.setattr(
        "models.servers.database._limit", lambda connection: connection.execute("select 1 / 0")
    )
    with pytest.raises(psycopg.errors.DivisionByZero), line.lend():
        pass
    monkeypatch.undo()
    with line.lend() as connection:
        assert connection.execute("show lock_timeout").fetchone() == (f"{LOCK_TIMEOUT_S}s",)
    line.close()


def test_a_line_that_was_cut_off_is_opened_anew(database: str) -> None:
    line, other = Line(database), Line(database)
    with line.lend() as connection:
        pid = connection.info.backend_pid
    with other.lend() as own:
        own.execute("select pg_terminate_backend(%s, 30000)", (pid,))
    with pytest.raises(psycopg.OperationalError), line.lend() as connection:
        connection.execute("select 1")
    with line.lend() as connection:
        assert connection.info.backend_pid != pid
    line.close()
    other.close()
