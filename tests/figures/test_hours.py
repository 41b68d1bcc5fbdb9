"""Prove what is counted by hour and day: followed, rebuilt and summed alike, nothing passed over and nothing twice."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from dispatch.desk.desk import Desk
from dispatch.figures import published, rollup
from dispatch.record.policies import Policies
from dispatch.rules.areas import Level
from dispatch.rules.incident.chain import Actor, Command
from models.servers.database import psycopg_dsn
from models.tables.scores import COUNTS
from tests.halfway import killed_halfway
from tests.lived_city import CITY, LATER, Connection, closed_case, one
from tests.templates import LIVED_UNTIL as UNTIL

ALL_TIME = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))


def follow_all(connection: Connection, events_limit: int = 700) -> int:
    """Follow in small bites to the end; return the events taken in."""
    total = 0
    while taken := rollup.follow(connection, events_limit):
        total += taken
    return total


def table(connection: Connection) -> list[tuple[Any, ...]]:
    """Return the whole roll-up in the order of its key."""
    columns = ", ".join(COUNTS)
    return connection.execute(
        f"select hour, area_code, theme, {columns} from hourly order by hour, area_code, theme".encode()
    ).fetchall()


def test_followed_in_bites_and_rebuilt_at_once_the_hours_are_the_same(connection: Connection) -> None:
    taken = follow_all(connection)
    assert taken == one(connection, "select count(*) from event")
    followed = table(connection)
    assert rollup.rebuild(connection) == one(connection, "select count(*) from incident")
    assert table(connection) == followed
    assert sum(row[3] for row in followed) == one(connection, "select count(*) from incident")


@pytest.mark.city("followed")
def test_the_hours_say_what_plain_sql_says_over_the_rows(connection: Connection) -> None:
    with connection.cursor() as cursor:
        total = rollup.sums(cursor, *ALL_TIME, Level.CITY, CITY)[CITY]
    closed = "state in ('closed', 'archived')"
    parts = "from incident where exists (select from assignment a where a.incident_id = incident.id and role = 'lead'"
    by_sql = {
        "reported": "select count(*) from incident",
        "rejected": "select count(*) from incident where state in ('rejected', 'void')",
        "accepted": "select count(*) from incident where state not in"
        " ('reported', 'checking', 'rejected', 'void', 'merged')",
        "dispatched": f"select count(*) {parts})",
        "returned": f"select count(*) {parts} and a.state = 'declined')",
        "disposed": "select count(disposed_at) from incident",
        "disposed_timed": "select count(disposed_on_time) from incident",
        "disposed_on_time": "select count(*) from incident where disposed_on_time",
        "overdue": "select count(*) from assignment where role = 'lead' and state in ('sent', 'picked_up', 'on_site')"
        " and clocks -> 'dispose' ->> 'state' = 'breached'",
        "closed": f"select count(*) from incident where {closed}",
        "closed_timed": f"select count(closed_on_time) from incident where {closed}",
        "closed_on_time": f"select count(*) from incident where {closed} and closed_on_time",
        "reworked": "select count(*) from incident where disposed_at is not null and facts ? 'reworks'",
        "rated": "select count(rating) from incident",
        "rating_sum": "select coalesce(sum(rating), 0) from incident",
        "settled": "select count(*) from incident join category c on c.code = category"
        " where theme = '02' and facts -> 'settled' = 'true'",
        "whistles": "select count(*) from assignment where kind = 'whistle'",
        "in_grid": f"select count(*) from incident where {closed} and facts -> 'solved_in_grid' = 'true'",
    }
    assert {name: total[name] for name in by_sql} == {
        name: one(connection, sql) for name, sql in by_sql.items()
    }
    assert (
        min(total[name] for name in ("returned", "reworked", "rated", "settled", "whistles", "in_grid")) > 0
    )


@pytest.mark.city("followed")
def test_every_level_of_the_city_sums_to_the_same(connection: Connection) -> None:
    with connection.cursor() as cursor:
        levels = [
            rollup.sums(cursor, *ALL_TIME, level, CITY) for level in (Level.CITY, Level.COUNTY, Level.TOWN)
        ]
        assert [len(level) for level in levels] == [1, 5, 63]
        for name in COUNTS:
            assert len({sum(area[name] for area in level.values()) for level in levels}) == 1, name
        for county, of_county in levels[1].items():
            towns = rollup.sums(cursor, *ALL_TIME, Level.TOWN, county)
            assert {n: sum(t[n] for t in towns.values()) for n in COUNTS} == of_county


@pytest.mark.city("followed")
def test_a_reopened_case_is_taken_out_of_the_hour_it_was_closed_in(url: str, connection: Connection) -> None:
    key, ended, area = closed_case(connection)
    hour = ended.replace(minute=0, second=0, microsecond=0)

    def closed_then() -> int:
        return int(
            one(
                connection,
                "select coalesce(sum(closed), 0) from hourly where hour = %s and area_code = %s",
                hour,
                area[:9],
            )
        )

    before = closed_then()
    with Desk(url) as desk:
        centre = Actor("dispatcher/test", "dispatcher", area[:9])
        (outcome,) = desk.act([Command("reopen", key, centre, "r", {"reason": "仍未解决"})], LATER)
    assert outcome.status == "done", outcome
    assert rollup.follow(connection) == 1
    assert closed_then() == before - 1
    followed = table(connection)
    rollup.rebuild(connection)
    assert table(connection) == followed


@pytest.mark.city("followed")
def test_an_event_that_commits_late_is_not_passed_over(url: str, connection: Connection) -> None:
    area = one(connection, "select area_code from incident where ended_at is null order by id limit 1")
    ids = [
        i for (i,) in connection.execute("select id from incident where ended_at is null order by id limit 2")
    ]
    actor = Actor("dispatcher/test", "dispatcher", CITY)
    assert area.startswith("4453")
    with psycopg.connect(psycopg_dsn(url)) as slow, Desk(url) as desk:
        # The slow one takes its number first and commits last.
        slow.execute("update team set load = load where id = (select min(id) from team)")
        desk.act([Command("note", ids[0], actor, "n", {"note": "到场"})], LATER)
        assert rollup.follow(connection) == 0
        slow.execute(
            "insert into event (incident_id, seq, at, verb, actor, cause, policy_version, data, hash)"
            " select id, seq + 1, last_at, 'note', 'x', 'x', policy_version, '{}', '' from incident where id = %s",
            (ids[1],),
        )
        slow.commit()
        assert rollup.follow(connection) == 2
    assert rollup.follow(connection) == 0


def test_killed_in_the_middle_the_next_run_completes_and_counts_nothing_twice(
    url: str, connection: Connection
) -> None:
    killed_halfway(
        "import psycopg, sys\nfrom dispatch.figures.published import rollup\n"
        "write, bites = rollup._write, iter(range(3))\n"
        "def held(*args):\n    write(*args)\n    next(bites, None) == 2 and halt()\n"
        "rollup._write = held\n"
        "with psycopg.connect(sys.argv[1], autocommit=True) as c:\n    while rollup.follow(c, 50): pass",
        psycopg_dsn(url),
    )
    with connection.cursor() as cursor:
        assert rollup.position(cursor) > 0
    rest = follow_all(connection)
    assert 0 < rest < one(connection, "select count(*) from event")
    followed = table(connection)
    rollup.rebuild(connection)
    assert table(connection) == followed


def test_two_that_follow_at_once_count_each_event_once(url: str, connection: Connection) -> None:
    taken: list[int] = []

    def work() -> None:
        with psycopg.connect(psycopg_dsn(url), autocommit=True) as own:
            taken.append(follow_all(own, 300))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == one(connection, "select count(*) from event")
    followed = table(connection)
    rollup.rebuild(connection)
    assert table(connection) == followed


@pytest.mark.city("followed")
def test_every_day_of_every_level_sums_to_the_city(connection: Connection) -> None:
    """The figures of a day, which charts and reports show."""
    with connection.cursor() as cursor:
        policy = Policies(cursor).in_force(UNTIL)
        assert published.count_days(cursor, policy.calendar, UNTIL) > 0
    rows = connection.execute(
        "select metric, period, level, sum(value) from kpi join area on area.code = area_code"
        " where not published group by 1, 2, 3"
    ).fetchall()
    found = {(metric, period, level): total for metric, period, level, total in rows}
    days = {(metric, period) for metric, period, level in found if level == 1 and metric in published.DAILY}
    assert len(days) > 100
    for metric, period in days:
        levels = {found.get((metric, period, level), 0) for level in (1, 2)}
        assert len(levels) == 1, (metric, period)
