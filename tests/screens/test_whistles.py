"""Proves the whistle board: which whistles stand on it, what their clocks say, and rates as the assessment has them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import psycopg
import pytest
import redis
import streamlit as st
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from dashboard import frame
from dashboard.access import COOKIE
from dashboard.components import sentences
from dashboard.data import CityReads, field, whistles
from dashboard.routes.whistles import WhistleBoards
from dashboard.screens import whistles as screen
from dashboard.wording.catalogue import LANGUAGES, translator
from dispatch.desk.desk import Desk
from dispatch.intake.messages import number_of
from dispatch.rules.incident.values import Actor, Command, Report
from models.servers.database import psycopg_dsn
from tests import pages
from tests import phone_city as phones
from tests import small_city as town
from tests.templates import CityOf

LEADER = Actor("leader:leader", "leader", town.CITY)
NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def city(city_of: CityOf) -> Iterator[str]:
    """Give the test a city with phones of its own, with no incident yet."""
    with city_of("phones") as url:
        yield url


@pytest.fixture
def reads(
    city: str, stream_url: str, stream: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> Iterator[CityReads]:
    """Point the board at the city."""
    monkeypatch.setattr(field, "FOLLOW_EVERY_S", 0.0)
    with pages.pointed(monkeypatch, city, stream_url) as lent:
        yield lent


def blow(city: str, serial: str, at: datetime, area: str = town.EAST) -> tuple[int, Actor]:
    """Open a whistle matter at an instant and send it to the town's team; return its id and the team."""
    with psycopg.connect(psycopg_dsn(city)) as connection:
        team_id = phones.enforcement(connection)
    lon, lat = town.IN_EAST if area == town.EAST else town.IN_WEST
    one = Report(number_of("test", serial), "test", serial, "0402", "x", "", area, lon, lat, "point", at)
    with Desk(city) as desk:
        incident_id = desk.report([one], at)[0].incident_id
    assert incident_id is not None
    take(city, incident_id, phones.DISPATCHER, "accept", at)
    take(city, incident_id, phones.DISPATCHER, "dispatch", at, team_id=team_id)
    return incident_id, Actor("team:team", "team", town.TOWN, team_id)


def take(city: str, incident_id: int, actor: Actor, verb: str, at: datetime, **args: Any) -> None:
    with Desk(city) as desk:
        outcome = desk.act([Command(verb, incident_id, actor, f"{verb}-{at.timestamp()}", args)], at)[0]
    assert outcome.refusal is None, outcome.refusal.words("en")


def board(
    reads: CityReads, actor: Actor = LEADER, area: str = town.CITY, now: datetime = NOW
) -> whistles.Board:
    return whistles.board(reads, actor, area, NOW - timedelta(hours=6), now)


def test_a_whistle_runs_against_the_answer_then_the_arrival_then_nothing(reads: CityReads, city: str) -> None:
    sent = NOW - timedelta(minutes=8)
    incident_id, team = blow(city, "way", sent)
    (row,) = board(reads).rows
    assert row.next is not None
    assert row.next.due == sent + timedelta(minutes=10)
    take(city, incident_id, team, "pick_up", sent + timedelta(minutes=2))
    (row,) = board(reads).rows
    assert row.ended("pick_up") == sent + timedelta(minutes=2)
    assert row.next is row.part.clocks["arrive"]
    take(city, incident_id, team, "arrive", sent + timedelta(minutes=6), position=list(town.IN_EAST))
    (row,) = board(reads).rows
    assert row.next is None
    assert row.ended("arrive") == sent + timedelta(minutes=6)


def test_rates_are_the_assessments_own_with_their_base(reads: CityReads, city: str) -> None:
    early, team = blow(city, "early", NOW - timedelta(minutes=50))
    take(city, early, team, "pick_up", NOW - timedelta(minutes=45))
    take(city, early, team, "arrive", NOW - timedelta(minutes=40), position=list(town.IN_EAST))
    late, _ = blow(city, "late", NOW - timedelta(hours=5))
    take(city, late, team, "pick_up", NOW - timedelta(hours=4))
    take(city, late, team, "arrive", NOW - timedelta(minutes=5), position=list(town.IN_EAST))
    blow(city, "silent", NOW - timedelta(minutes=3))
    blow(city, "before", NOW - timedelta(days=2))
    found = board(reads)
    assert {name: (int(rate.n), rate.d) for name, rate in found.rates.items()} == {
        "whistle_answered": (2, 3),
        "whistle_on_site": (1, 3),
        "whistle_rating": (0, 0),
    }
    assert found.rates["whistle_rating"].value is None, "an empty base is no data"
    assert found.inside == 1
    assert len(found.rows) == 4, "one that is still open stands there whenever it was sent"


def test_the_nearest_limit_stands_first(reads: CityReads, city: str) -> None:
    for minutes in (3, 90, 20):
        blow(city, f"order-{minutes}", NOW - timedelta(minutes=minutes))
    due = [row.next.due for row in board(reads).rows if row.next is not None and row.next.due is not None]
    assert due == sorted(due)
    assert len(due) == 3


def test_a_rating_counts_over_those_that_were_rated(reads: CityReads, city: str) -> None:
    incident_id, team = blow(city, "rated", NOW - timedelta(minutes=60))
    take(city, incident_id, team, "pick_up", NOW - timedelta(minutes=58))
    take(city, incident_id, team, "arrive", NOW - timedelta(minutes=50), position=list(town.IN_EAST))
    take(city, incident_id, team, "dispose", NOW - timedelta(minutes=40), result="已拆")
    take(city, incident_id, phones.DISPATCHER, "end_whistle", NOW - timedelta(minutes=30))
    take(city, incident_id, phones.DISPATCHER, "rate_whistle", NOW - timedelta(minutes=29), rating=4)
    blow(city, "unrated", NOW - timedelta(minutes=5))
    found = board(reads)
    assert found.rates["whistle_rating"].value == Fraction(4)
    assert found.rates["whistle_rating"].d == 1
    row = next(each for each in found.rows if each.rating is not None)
    assert row.done_at == NOW - timedelta(minutes=40)


def test_a_board_shows_its_own_area_alone(reads: CityReads, city: str) -> None:
    blow(city, "east", NOW - timedelta(minutes=5))
    blow(city, "west", NOW - timedelta(minutes=5), town.WEST)
    village = Actor("village:village", "village", town.EAST)
    for area in (town.EAST, town.TOWN, town.CITY):
        assert [row.incident.area_code for row in board(reads, village, area).rows] == [town.EAST]
    assert not board(reads, village, town.WEST).rows
    assert board(reads, village, town.WEST).rates["whistle_answered"].d == 0
    assert len(board(reads, LEADER, town.TOWN).rows) == 2
    assert not board(reads, Actor("admin:admin", "admin", town.CITY)).rows


def client(reads: CityReads, login: str | None) -> TestClient:
    cookies = {COOKIE: f"{login}-token"} if login else {}
    return TestClient(Starlette(routes=WhistleBoards(reads).routes()), cookies=cookies)


def test_the_screen_asks_for_rows_and_gets_them_once(reads: CityReads, city: str) -> None:
    incident_id, team = blow(city, "asked", datetime.now(UTC) - timedelta(seconds=20))
    screen_of_leader = client(reads, "leader")
    first = screen_of_leader.get("/whistles/rows?lang=en")
    (row,) = first.json()["rows"]
    assert row["id"] == incident_id
    assert row["answer_due"] - row["sent"] == 600_000
    assert [each["d"] for each in first.json()["rates"]] == [1, 1, 0]
    again = screen_of_leader.get("/whistles/rows?lang=en", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304
    take(city, incident_id, team, "pick_up", datetime.now(UTC))
    changed = screen_of_leader.get("/whistles/rows?lang=en", headers={"if-none-match": first.headers["etag"]})
    assert changed.json()["rows"][0]["answered"] is not None


@pytest.mark.parametrize(
    ("login", "query", "status"),
    [
        (None, "", 401),
        ("resident", "", 403),
        ("team", "", 403),
        ("admin", "", 403),
        ("leader", "?area=x", 422),
    ],
)
def test_who_has_no_board_gets_no_rows(reads: CityReads, login: str | None, query: str, status: int) -> None:
    assert client(reads, login).get(f"/whistles/rows{query}").status_code == status


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("login", ["leader", "dispatcher", "village", "resident"])
def test_the_page_opens_for_its_roles_in_both_languages(
    reads: CityReads, city: str, monkeypatch: pytest.MonkeyPatch, login: str, lang: str
) -> None:
    monkeypatch.setattr(type(st.context), "cookies", property(lambda _: {COOKIE: f"{login}-token"}))
    page = AppTest.from_string("from dashboard.screens import whistles\nwhistles.page()", default_timeout=180)
    page.query_params["lang"] = lang
    page.run()
    assert not page.exception, [each.message for each in page.exception]
    assert bool(page.warning) == (login == "resident")
    assert bool(page.selectbox) == (login == "leader")


def test_the_export_has_a_cell_for_each_column(reads: CityReads, city: str) -> None:
    blow(city, "saved", NOW - timedelta(minutes=15))
    (row,) = board(reads).rows
    for lang in LANGUAGES:
        cells = screen._cells(row, reads.directory(), lang)
        assert len(cells) == len(screen._columns(frame.Frame(lang, translator(lang), None, reads)))  # type: ignore[arg-type]
        assert cells[6] == NOW - timedelta(minutes=15)


def test_every_sentence_of_the_board_has_its_chinese() -> None:
    chinese = translator("zh")
    assert not [each for each in sentences("whistles") if chinese(each) == each]
