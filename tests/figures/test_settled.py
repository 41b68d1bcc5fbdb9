"""Prove that 调解成功率 is one number: the wall, the leaders' figures, the hours and the scores count alike."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from dashboard.data import CityReads
from dashboard.live.picture import MEDIATED, SETTLED, Picture
from dispatch.desk.desk import Desk
from dispatch.figures import cohorts, overview, rollup
from dispatch.record.histories import horizon
from dispatch.record.policies import Policies
from dispatch.rules.areas import Level
from dispatch.rules.incident.values import Actor, Command, Report
from dispatch.rules.measures.indicators import evaluate
from dispatch.rules.time.period import Period
from dispatch.scores import attribution, month_cases, scoring
from models.servers.database import Servers, psycopg_dsn
from tests.conftest import _administer

CITY = "445300"
DISPUTE = "0203"
# A day after the city's life has ended: what is reported then is the test's own.
DAY = date(2026, 6, 15)
NOON = datetime(2026, 6, 15, 4, tzinfo=UTC)
DESK = Actor("dispatcher", "dispatcher", CITY)


@pytest.fixture
def city(servers: Servers, pictured: str) -> Iterator[str]:
    """Copy the lived-in city."""
    name, lived = f"settled_{uuid.uuid4().hex[:8]}", make_url(pictured)
    _administer(servers, f"CREATE DATABASE {name} TEMPLATE {lived.database} STRATEGY FILE_COPY")
    yield lived.set(database=name).render_as_string(hide_password=False)
    _administer(servers, f"DROP DATABASE {name} WITH (FORCE)")


def test_a_dispute_counts_as_settled_where_somebody_said_so_and_nowhere_else(city: str) -> None:
    """One is said to be settled, one not to be, of one nobody says anything, one is void: one in three."""
    desk, reads = Desk(city, None), CityReads(city)
    said: list[dict[str, Any]] = [{"settled": True}, {"settled": False}, {}]
    ids = [closed(desk, reads, n, args) for n, args in enumerate(said)]
    refused = report(desk, reads, len(said))
    act(desk, "void", refused, DESK, NOON, reason="误报")
    now = NOON + timedelta(hours=2)

    def wall() -> list[tuple[int, int]]:
        """Return (settled, disputes) of the day, as the wall has it then and as it remembers it a week later."""
        today = Picture(reads.directory(), reads.snapshot(reads.known().calendar.midnight(now)), now)
        then = now + timedelta(days=7)
        later = Picture(reads.directory(), reads.snapshot(reads.known().calendar.midnight(then)), then)
        later.look_back(reads.past(later.midnight))
        later.advance(then)
        return [(counts[SETTLED], counts[MEDIATED]) for counts in (today.counts[CITY], later.then[CITY])]

    with psycopg.connect(psycopg_dsn(city), autocommit=True) as connection:
        while cohorts.follow(connection) or rollup.follow(connection):
            pass
        figure = overview.read(connection, CITY, Period("day", DAY), now).figure("settled").now
        assert figure.base is not None
        figures = (int(figure.n), figure.base.count)
        with connection.transaction(), connection.cursor() as cursor:
            hours = rollup.sums(cursor, NOON - timedelta(hours=6), now, Level.CITY, CITY)[CITY]
            rules, _ = scoring.rules_of(Policies(cursor), DAY, now)
            scope = attribution.Scope(DAY.replace(day=1), rules, now, horizon(cursor))
            judged = month_cases.cases(connection, scope)[0]["city", CITY]
        rate = evaluate(
            rules.catalogue["settlement"], [case for case in judged if case.id in {*ids, refused}]
        )
    assert wall() == [(1, 3), (1, 3)]
    assert figures == (1, 3)
    assert (hours["settled"], hours["disputes"]) == (1, 3)
    assert (rate.value, rate.numerator) == (Fraction(1, 3), (ids[0],))


def report(desk: Desk, reads: CityReads, n: int) -> int:
    """Report a dispute and return its id."""
    area = next(code for code in sorted(reads.known().areas) if len(code) == 17)
    one = Report(n, "test", f"settled-{n}", DISPUTE, "争水", "", area, 112.0, 22.9, "point", NOON)
    outcome = desk.report([one], NOON)[0]
    assert outcome.incident_id is not None, outcome.refusal
    return outcome.incident_id


def closed(desk: Desk, reads: CityReads, n: int, said: dict[str, Any]) -> int:
    """Take a dispute from its report to its end; `said` is what the team says of it beside the result."""
    key = report(desk, reads, n)
    team_id = next(iter(sorted(reads.known().teams)))
    team = Actor(f"team/{team_id}", "team", CITY, team_id)
    minute = timedelta(minutes=1)
    act(desk, "accept", key, DESK, NOON)
    act(desk, "dispatch", key, DESK, NOON + minute, team_id=team_id)
    act(desk, "pick_up", key, team, NOON + 2 * minute)
    act(desk, "dispose", key, team, NOON + 30 * minute, result="调解过了", **said)
    act(desk, "verify", key, DESK, NOON + 40 * minute)
    act(desk, "close", key, DESK, NOON + 50 * minute, standard=True)
    return key


def act(desk: Desk, verb: str, incident_id: int, actor: Actor, at: datetime, **args: Any) -> None:
    """Take one step."""
    outcome = desk.act([Command(verb, incident_id, actor, f"{verb}-{incident_id}", args)], at)[0]
    assert outcome.status == "done", outcome.refusal and outcome.refusal.words("en")
