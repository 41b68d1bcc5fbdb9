"""A policy that is published for a later day changes nothing before it: every reader is asked, before and after."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from sqlalchemy import make_url

from dashboard.data import CityReads, leaders
from dispatch.assignment import experience
from dispatch.assignment.proposals import Proposals
from dispatch.checks import recheck
from dispatch.desk.desk import Desk
from dispatch.figures import briefing, case_sets, cohorts, overview
from dispatch.figures.case_sets import CaseSet
from dispatch.notices import outbox
from dispatch.notices.sender import Sender
from dispatch.rules.incident.chain import Actor, Report
from dispatch.rules.policy import policy as policies
from dispatch.rules.time.period import Period
from dispatch.scores import scoring
from jobs import notices
from models.cities import loading
from models.servers.database import Servers, psycopg_dsn
from tests.at_work import worked
from tests.conftest import _administer
from tests.templates import LIVED_UNTIL

Connection = psycopg.Connection[Any]
CITY = "445300"
MAY, JUNE = date(2026, 5, 1), date(2026, 6, 1)
A_LATER_DAY, LONG_AGO = date(2049, 1, 1), date(2020, 1, 1)
LEADER = Actor("account/1", "leader", CITY)
CARDS = "select kind, subject, card, score, band, parts::text from assessment order by 1, 2, 3"
_number = count(8_000_000_000_000_001)


def changed_files() -> dict[str, str]:
    """Return a policy that differs wherever a city may decide: zone, limits, ladder, weights, ratings, freezing."""
    files = loading.policy_files()
    for name, before, after in (
        ("limits.toml", 'zone = "Asia/Shanghai"', 'zone = "America/New_York"'),
        ("limits.toml", '3 = "30m"', '3 = "17m"'),
        ("ladder.toml", 'after = "120m"\nlevel = "county"', 'after = "121m"\nlevel = "county"'),
        ("assignment.toml", "km = 2.0", "km = 9.0"),
        ("assessment.toml", "freeze_day = 5", "freeze_day = 9"),
        ("assessment.toml", "min_count = 10", "min_count = 3"),
        ("assessment.toml", "satisfied = [4, 5]", "satisfied = [5]"),
        ("assessment.toml", "mostly = [3]", "mostly = [4]"),
    ):
        assert before in files[name], (name, before)
        files[name] = files[name].replace(before, after)
    assert policies.problems(files) == []
    return files


def publish(connection: Connection, valid_from: date) -> None:
    """Add version 2 from a day on; the command itself takes no day that is over."""
    connection.execute(
        "insert into policy_version (version, valid_from, files, digest) values (2, %s, %s, 'two')",
        (valid_from, json.dumps(changed_files())),
    )


@pytest.fixture
def url(servers: Servers, pictured: str) -> Iterator[str]:
    """Give the test a lived-in city of its own."""
    name, lived = f"policy_{uuid.uuid4().hex[:8]}", make_url(pictured)
    _administer(servers, f"CREATE DATABASE {name} TEMPLATE {lived.database} STRATEGY FILE_COPY")
    yield lived.set(database=name).render_as_string(hide_password=False)
    _administer(servers, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    with psycopg.connect(psycopg_dsn(url), autocommit=True) as open_one:
        yield open_one


def rows(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query.encode()).fetchall()


# --- the readers: each says in a value what it makes of the city as it stands -----------------------------------------


def this_months_scores(connection: Connection, url: str) -> object:
    scoring.assess_month(connection, JUNE, LIVED_UNTIL)
    return rows(connection, CARDS)


def a_frozen_month(connection: Connection, url: str) -> object:
    with connection.transaction(force_rollback=True):
        return scoring.freeze(connection, MAY, LIVED_UNTIL), rows(connection, CARDS)


def the_months_to_freeze(connection: Connection, url: str) -> object:
    eighth = datetime(2026, 6, 8, 4, tzinfo=UTC)
    return scoring.unfrozen(connection.cursor(), eighth, 5)


def an_incident_opened_now(connection: Connection, url: str) -> object:
    number = next(_number)
    [(cell,)] = rows(connection, "select min(code) from area where level = 6")
    report = Report(number, "test", str(number), "0101", "", "", cell, 112.0, 22.9, "point", LIVED_UNTIL)
    with Desk(url) as desk:
        [outcome] = desk.report([report], LIVED_UNTIL)
    query = "select policy_version, clocks -> 'accept' ->> 'due' from incident where id = %s"
    return connection.execute(query, (outcome.incident_id,)).fetchall()


def the_teams_offered(connection: Connection, url: str) -> object:
    [(waiting,)] = rows(connection, "select max(id) from incident where lon is not null")
    with Desk(url) as desk:
        decision = Proposals(desk).one(waiting, LIVED_UNTIL)
    assert decision is not None
    return [(offer.team.id, offer.cost_min) for offer in decision.offers]


def what_goes_up(connection: Connection, url: str) -> object:
    connection.execute(
        "update incident set overdue_since = %s, level = 3 where id = (select min(id) from incident"
        " where ended_at is null and severity = 3)",
        (LIVED_UNTIL - timedelta(minutes=120),),
    )
    with Desk(url) as desk:
        return desk.overdue(LIVED_UNTIL, 500)


def who_is_told(connection: Connection, url: str) -> object:
    told: list[int] = []
    with pytest.MonkeyPatch.context() as patch, Desk(url) as desk:
        patch.setattr(outbox, "follow", lambda cursor, policy, now: 0)
        patch.setattr(outbox, "remind", lambda cursor, policy, now: told.append(policy.version))
        patch.setattr(Sender, "send", lambda self, policy, now, wait_s: told.append(policy.version))
        worked(notices.tell, desk, LIVED_UNTIL)
    return told


def the_pages_policy(connection: Connection, url: str) -> object:
    """The workbench's promises, the wall's ladder and calendar, what the administrator's page calls in force."""
    reads = CityReads(url)
    directory, policy = reads.directory(), reads.policy()
    reads.close()
    return policy.version, directory.calendar, directory.ladder


def the_days_counted(connection: Connection, url: str) -> object:
    cohorts.rebuild(connection)
    return rows(connection, "select md5(string_agg(d::text, ',' order by d::text)) from daily d")


def the_experience_counted(connection: Connection, url: str) -> object:
    experience.rebuild(connection)
    return rows(connection, "select md5(string_agg(e::text, ',' order by e::text)) from experience e")


def the_days_checked(connection: Connection, url: str) -> object:
    recheck.days(connection, LIVED_UNTIL)
    return len(recheck.open_mismatches(connection.cursor(), 1_000))


def the_leaders_figures(connection: Connection, url: str) -> object:
    period = Period.holding("month", date(2026, 6, 11))
    picture = overview.read(connection, CITY, period, LIVED_UNTIL)
    return [(figure.name, figure.now) for figure in picture.figures]


def the_cases_behind_a_figure(connection: Connection, url: str) -> object:
    return case_sets.cases(connection, CaseSet("pleased", CITY, MAY, JUNE)).total


def the_places_that_repeat(connection: Connection, url: str) -> object:
    reads = CityReads(url)
    leaders._repeats.clear()
    [(place, at)] = rows(
        connection,
        "select place, reported_at from incident where place is not null"
        " and extract(hour from reported_at at time zone 'Asia/Shanghai') < 12 order by id limit 1",
    )
    day = at.astimezone(ZoneInfo("Asia/Shanghai")).date()
    found = leaders.at_place(reads, LEADER, CITY, Period.holding("day", day), place)
    reads.close()
    return found


def a_briefing(connection: Connection, url: str) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(briefing, "make", lambda picture, form, lang, zone: zone.encode())
        period = Period.holding("day", date(2026, 6, 10))
        return briefing.brief(connection, CITY, period, "pdf", "zh", LIVED_UNTIL)


READERS: list[Callable[[Connection, str], object]] = [
    this_months_scores, a_frozen_month, the_months_to_freeze, an_incident_opened_now, the_teams_offered,
    what_goes_up, who_is_told, the_pages_policy, the_days_counted, the_experience_counted, the_days_checked,
    the_leaders_figures, the_cases_behind_a_figure, the_places_that_repeat, a_briefing,
]  # fmt: skip


@pytest.mark.parametrize("read", READERS, ids=[each.__name__ for each in READERS])
def test_a_policy_to_come_changes_nothing_before_its_day_and_is_read_from_then_on(
    connection: Connection, url: str, read: Callable[[Connection, str], object]
) -> None:
    before = read(connection, url)
    publish(connection, A_LATER_DAY)
    assert read(connection, url) == before
    connection.execute("update policy_version set valid_from = %s where version = 2", (LONG_AGO,))
    assert read(connection, url) != before


def test_a_month_is_judged_by_the_policy_of_its_last_day(connection: Connection) -> None:
    """Published for the first of June: May is frozen as if there were none, and June is judged by it."""
    with connection.transaction(force_rollback=True):
        cards = scoring.freeze(connection, MAY, LIVED_UNTIL)
        alone = rows(connection, CARDS)
    publish(connection, JUNE)
    assert scoring.freeze(connection, MAY, LIVED_UNTIL) == cards
    assert rows(connection, CARDS) == alone
    scoring.assess_month(connection, JUNE, LIVED_UNTIL)
    versions = dict(rows(connection, "select month, policy_version from assessment_month"))
    assert versions == {MAY: 1, JUNE: 2}
    # And it comes out to the byte, whatever is in force by now.
    [(kept,)] = rows(connection, "select hash from assessment_month where state = 'frozen'")
    assert scoring.again(connection, MAY).hash == kept


def test_who_runs_for_long_changes_over_at_the_citys_midnight(connection: Connection, url: str) -> None:
    """One Desk, opened long before: not a restart makes the difference, and not the server's own date."""
    publish(connection, JUNE)
    midnight = datetime.combine(JUNE, time(), ZoneInfo("America/New_York")).astimezone(UTC)
    instant = timedelta(microseconds=1)
    with Desk(url) as desk:
        found = [desk.in_force(at).version for at in (midnight - instant, midnight, midnight - instant)]
        assert found == [1, 2, 1]
        assert desk.policy(2).version == 2
