"""Proves the one runner: nothing missed or counted twice, each follower by itself, and how far behind each is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import alembic.command
import psycopg
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from dashboard.routes.api import IntakeApi
from dispatch.desk.desk import Desk
from dispatch.figures import cohorts
from dispatch.record.follower import STRETCH, Cursor, Follower, Lag, follow, lags
from jobs import __main__ as command
from jobs.table import JOBS, Job
from models.migrations import migrate
from models.servers.database import Servers, psycopg_dsn
from tests import district
from tests.small_law import JOINT, MONDAY, report

Connection = psycopg.Connection[Any]


@pytest.fixture
def city(database: str) -> str:
    """Give the test a database with the small city."""
    district.build(database)
    return database


@pytest.fixture
def connection(city: str) -> Iterator[Connection]:
    """Give the test a connection of its own."""
    with psycopg.connect(psycopg_dsn(city), autocommit=True) as one:
        yield one


def write(city: str, first: int, count: int) -> int:
    """Open incidents, each in a transaction of its own; return the events that were written."""
    before = district.value(city, "select count(*) from event")
    with Desk(city) as desk:
        for number in range(first, first + count):
            desk.report([report(JOINT, number=number)], MONDAY + timedelta(minutes=number))
    return int(district.value(city, "select count(*) from event") - before)


def counted(seen: list[tuple[int, int]]) -> Callable[[Cursor, int, int], int]:
    """Return a way to take events in that notes each one's incident and number."""

    def take(cursor: Cursor, begin: int, end: int) -> int:
        cursor.execute(f"select incident_id, seq from event where {STRETCH}", {"begin": begin, "end": end})
        found = cursor.fetchall()
        seen.extend(found)
        return len(found)

    return take


def lag(connection: Connection, name: str) -> Lag | None:
    return next((one for one in lags(connection.cursor()) if one.name == name), None)


def test_each_event_is_taken_in_once_in_stretches_that_split_no_transaction(
    city: str, connection: Connection
) -> None:
    events, seen = write(city, 1, 9), list[tuple[int, int]]()
    one = Follower("counts", counted(seen), events_limit=2)
    taken = []
    while n := follow(connection, one):
        taken.append(n)
    assert sum(taken) == len(seen) == len(set(seen)) == events
    assert len(taken) > 1
    assert max(taken) < events
    assert follow(connection, one) == 0


def test_what_a_cut_off_run_took_in_is_taken_in_again_with_its_writes_undone(
    city: str, connection: Connection
) -> None:
    events = write(city, 1, 3)
    connection.execute("create table tally (n int)")

    def take(cursor: Cursor, begin: int, end: int) -> int:
        cursor.execute(
            f"insert into tally select count(*) from event where {STRETCH} returning n",
            {"begin": begin, "end": end},
        )
        if broken:
            raise RuntimeError("cut off")
        row = cursor.fetchone()
        return int(row[0]) if row is not None else 0

    broken = True
    with pytest.raises(RuntimeError):
        follow(connection, Follower("tally", take))
    broken = False
    assert follow(connection, Follower("tally", take)) == events
    assert connection.execute("select sum(n) from tally").fetchone() == (events,)


def test_the_first_time_may_be_from_now_or_by_a_shorter_way(city: str, connection: Connection) -> None:
    write(city, 1, 3)
    seen: list[tuple[int, int]] = []
    late = Follower("late", counted(seen), from_now=True)
    assert follow(connection, late) == 0
    short = Follower("short", counted(seen), anew=lambda cursor, end: 77)
    assert follow(connection, short) == 77
    events = write(city, 4, 1)
    assert (follow(connection, late), follow(connection, short)) == (events, events)
    assert len(seen) == 2 * events


def test_who_is_held_up_by_a_lock_leaves_the_log_for_the_next_run(city: str, connection: Connection) -> None:
    events = write(city, 1, 2)
    one = Follower("locked", counted([]), alone="4711")
    with psycopg.connect(psycopg_dsn(city)) as other:
        other.execute("select pg_advisory_xact_lock(4711)")
        assert follow(connection, one) == 0
    assert follow(connection, one) == events


def test_the_lag_is_told_in_events_and_in_seconds_since_a_follower_was_level(
    city: str, connection: Connection
) -> None:
    write(city, 1, 2)
    one = Follower("counts/of-a-kind", counted([]), events_limit=1)
    while follow(connection, one):
        pass
    assert lag(connection, "counts") == Lag("counts", 0, 0.0)
    events = write(city, 3, 4)
    connection.execute("update follower set at = now() - interval '90 s' where name = %s", (one.name,))
    behind = lag(connection, "counts")
    assert behind is not None
    assert behind.events == events
    assert behind.seconds >= 90
    # Who has only begun to catch up is not level yet.
    follow(connection, one)
    then = lag(connection, "counts")
    assert then is not None
    assert 0 < then.events < events
    assert then.seconds >= 90
    while follow(connection, one):
        pass
    assert lag(connection, "counts") == Lag("counts", 0, 0.0)


def test_what_goes_through_incidents_instead_of_the_log_has_no_lag(city: str, connection: Connection) -> None:
    connection.execute("insert into follower (name, position) values ('recheck', 1), ('recheck months', 7)")
    assert lags(connection.cursor()) == []


def test_a_poisoned_follower_stops_no_other_and_its_lag_tells(
    city: str, connection: Connection, stream_url: str, stream: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is a job of its own: what one cannot read, the others take in; the metrics say who stands still."""
    monkeypatch.setenv("DATABASE_URL", city)
    monkeypatch.setenv("REDIS_URL", stream_url)
    runner = command.Runner()
    following = [
        job for job in JOBS if job.name in ("rollup", "daily", "experience", "replayed", "corrections")
    ]
    for job in following:
        runner.scheduled(job)
    events = write(city, 1, 3)

    def poisoned(cursor: Cursor, begin: int, end: int) -> int:
        raise ValueError("not to be read")

    monkeypatch.setattr(cohorts, "FOLLOWER", Follower(cohorts.NAME, poisoned))
    again = [Job(job.name, 1, 60, job.zh, job.en, job.run) for job in following]
    for job in again:
        with suppress(ValueError):
            runner.run(job, MONDAY)
    found = {one.name: one.events for one in lags(connection.cursor())}
    assert found == {"appeals": 0, "daily": events, "experience": 0, "hourly": 0, "replayed": 0}
    with TestClient(Starlette(routes=IntakeApi(Servers(city, stream_url)).routes())) as client:
        told = client.get("/healthz").json()["followers"]
        text = client.get("/metrics").text
    assert {name: each["events"] for name, each in told.items()} == found
    assert told["daily"]["seconds"] > 0
    assert f'gridwhistle_follower_lag_events{{follower="daily"}} {float(events)}' in text
    assert 'gridwhistle_follower_lag_events{follower="hourly"} 0.0' in text
    assert 'gridwhistle_follower_lag_seconds{follower="hourly"} 0.0' in text


def test_a_database_without_followers_is_healthy_all_the_same(
    database: str, stream_url: str, stream: Any
) -> None:
    with TestClient(Starlette(routes=IntakeApi(Servers(database, stream_url)).routes())) as client:
        health = client.get("/healthz").json()
    assert health["database"]["ok"]
    assert health["followers"] == {}


def test_what_tells_people_goes_on_in_the_one_table_where_it_stood_before(
    city: str, connection: Connection
) -> None:
    """A database of the version before is not told its past anew; going back, it goes on there too."""
    connection.execute("insert into told (name, tx, at) values ('limits', 0, now())")
    alembic.command.downgrade(migrate.config(city), "0018")
    connection.execute("insert into told (name, tx, at) values ('events', 4711, '2026-06-01T00:00Z')")
    migrate.upgrade(city)
    assert connection.execute("select name from told").fetchall() == [("limits",)]
    row = connection.execute("select position, at from follower where name = 'notices'").fetchone()
    assert row == (4711, datetime(2026, 6, 1, tzinfo=UTC))
    alembic.command.downgrade(migrate.config(city), "0018")
    assert connection.execute("select tx from told where name = 'events'").fetchone() == (4711,)
