"""Build the small city with people who carry phones, and take what they send from the stream without a process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
import redis
from starlette.applications import Starlette
from starlette.testclient import TestClient

from dashboard.access import COOKIE, OWN
from dashboard.data import CityReads
from dashboard.routes.phone import Phone
from dispatch.accounts import sessions
from dispatch.desk.desk import Desk
from dispatch.intake.dead_letters import FIELD, STREAM
from dispatch.intake.messages import number_of
from dispatch.intake.prepare import Preparer
from dispatch.rules.incident.values import Actor, Command, Report
from models.servers.database import psycopg_dsn
from tests import small_city as town

CONTACT_KEY = "a key for the contacts of tests"
PEOPLE = {
    "resident": ("resident", town.EAST),
    "neighbour": ("resident", town.EAST),
    "worker": ("grid_worker", town.EAST),
    "stranger": ("grid_worker", town.WEST),
    "team": ("team", town.TOWN),
    "dispatcher": ("dispatcher", town.TOWN),
    "village": ("village", town.EAST),
    "leader": ("leader", town.CITY),
    "admin": ("admin", town.CITY),
}
DISPATCHER = Actor("dispatcher:dispatcher", "dispatcher", town.TOWN)


def people(url: str) -> None:
    """Give the small city one account of each role, each signed in with the token `<login>-token`."""
    now = datetime.now(UTC)
    with psycopg.connect(psycopg_dsn(url)) as connection:
        for login, (role, area) in PEOPLE.items():
            team_id = enforcement(connection) if role == "team" else None
            row = connection.execute(
                "insert into account (login, role, name, area_code, team_id, password_hash)"
                " values (%s, %s, %s, %s, %s, 'none') returning id",
                (login, role, login.title(), area, team_id),
            ).fetchone()
            assert row is not None
            connection.execute(
                "insert into session (sha256, account_id, created_at, seen_at) values (%s, %s, %s, %s)",
                (sessions.digest(f"{login}-token"), row[0], now, now),
            )


def enforcement(connection: psycopg.Connection[Any]) -> int:
    """Return the id of the town's enforcement team."""
    row = connection.execute(
        "select id from team where trade = 'enforcement' and area_code = %s", (town.TOWN,)
    ).fetchone()
    assert row is not None
    return int(row[0])


@contextmanager
def phone(url: str, redis_url: str, login: str | None) -> Iterator[TestClient]:
    """Lend the phone of one person; nobody's where `login` is None."""
    reads = CityReads(url)
    cookies = {COOKIE: f"{login}-token"} if login else {}
    app = Starlette(routes=Phone(reads, redis_url).routes())
    with TestClient(app, cookies=cookies, headers={OWN: "1"}, raise_server_exceptions=True) as client:
        yield client
    reads.close()


def take_in(url: str, stream: redis.Redis) -> list[int]:
    """Take everything from the stream to the Desk, as a dispatcher would; return the ids of the incidents."""
    entries: Any = stream.xrange(STREAM)
    preparer = Preparer(url, CONTACT_KEY.encode())
    try:
        batch = preparer.prepare(
            [key for key, _ in entries], [fields[FIELD.encode()] for _, fields in entries]
        )
        assert not batch.problems, batch.problems
        with Desk(url) as desk:
            outcomes = desk.report(batch.reports, datetime.now(UTC))
    finally:
        preparer.close()
    stream.delete(STREAM)
    return [outcome.incident_id for outcome in outcomes if outcome.incident_id is not None]


def incident(url: str, serial: str, category: str = "0104", area: str = town.EAST) -> int:
    """Open an incident at the middle of a village; return its id."""
    now = datetime.now(UTC)
    lon, lat = town.IN_EAST if area == town.EAST else town.IN_WEST
    one = Report(number_of("test", serial), "test", serial, category, "x", "", area, lon, lat, "point", now)
    with Desk(url) as desk:
        outcome = desk.report([one], now)[0]
    assert outcome.incident_id is not None
    return outcome.incident_id


def act(url: str, incident_id: int, actor: Actor, verb: str, **args: Any) -> None:
    """Take a step that must be allowed."""
    with Desk(url) as desk:
        one = Command(verb, incident_id, actor, f"{verb}-{datetime.now(UTC).timestamp()}", args)
        outcome = desk.act([one], datetime.now(UTC))[0]
    assert outcome.refusal is None, outcome.refusal.words("en")


def sent_to_team(url: str, serial: str, category: str = "0104") -> int:
    """Open an incident, accept it and send it to the town's enforcement team; return its id."""
    incident_id = incident(url, serial, category)
    with psycopg.connect(psycopg_dsn(url)) as connection:
        team_id = enforcement(connection)
    act(url, incident_id, DISPATCHER, "accept")
    act(url, incident_id, DISPATCHER, "dispatch", team_id=team_id)
    return incident_id
