"""Proves that every page explains itself, in both languages: with no case, with one, with 100,000, with no database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import streamlit as st
from sqlalchemy import make_url
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from dashboard import data, web
from dashboard.access import COOKIE
from dashboard.casework import act
from dashboard.components import words
from dashboard.data import PAGE_ROWS, CityReads
from dashboard.data import leaders as leading
from dashboard.live import Minute, Picture, tiles
from dashboard.live.queue import ROWS_LIMIT, DeskLine
from dashboard.live.tiles import TILES
from dashboard.pages import PLACES
from dashboard.routes.queue_stream import DeskStream
from dashboard.screens.admin import TABS
from dashboard.wording.catalogue import LANGUAGES, translator
from dashboard.wording.catalogue import ROLES as ROLE_NAMES
from dispatch.accounts import people
from dispatch.demo import history
from dispatch.desk.desk import Desk
from dispatch.figures import cohorts
from dispatch.rules.incident.chain import Report
from dispatch.scores import scoring
from models.servers.database import Servers, psycopg_dsn
from tests import small_city
from tests.small_city import CITY, COUNTY, EAST, TOWN
from tests.templates import CityOf

PASSWORD = "correct horse"
# How many incidents there are, and at least how many of them are open: more than one desk's queue holds.
CROWD, CROWD_OPEN = 20_000, ROWS_LIMIT + 100
LIVED_DAYS, PER_DAY = 45, 20
# Login -> role and area: one for every role there is.
ROLES = {
    "desk": ("dispatcher", TOWN), "duty": ("duty_leader", TOWN), "worker": ("grid_worker", EAST),
    "head": ("grid_head", EAST), "station": ("village", EAST), "team": ("team", TOWN), "leader": ("leader", CITY),
    "county": ("county", COUNTY), "centre": ("city", CITY), "auditor": ("auditor", CITY), "root": ("admin", CITY),
    "resident": ("resident", EAST),
}  # fmt: skip
# Pages that open for everybody, as a visitor ("") and as those who see something else there.
OPEN = {"home": ("", "desk", "worker", "root"), "public": ("", "desk", "resident"), "wall": ("", "desk")}
# Every page with everybody who may open it, in Chinese, and each page once in English.
OPENINGS = [
    (path, login, lang)
    for path, place in PLACES.items()
    for logins in (
        OPEN.get(path) or tuple(login for login, (role, _) in ROLES.items() if role in place.roles),
    )
    for login, lang in [*((each, "zh") for each in logins), (logins[-1], "en")]
]
AWAY = "The database does not answer. What you see may be old; try again in a moment."
# What a page says where there is nothing to show; the live parts say it by themselves, in the browser.
NOTHING = {
    "incidents": "No incident matches these filters.",
    "leaders": "Nothing was reported in this period. What is under way stands above.",
    "assessment": "No month has been assessed yet: the first appears in the night after the first reports.",
    "replay": "No requests of another city are in this database yet.",
    "wartime": "No wartime has been declared here.",
}


@dataclass(frozen=True, slots=True)
class State:
    """A city's database in one state, and an incident to open in it, if there is one."""

    name: str
    url: str
    incident_id: int | None


@pytest.fixture(scope="module")
def loaded(city_of: CityOf) -> Iterator[str]:
    """Lend the small city and its people, and nothing that happened; yield its address."""
    with city_of("small") as url:
        with psycopg.connect(psycopg_dsn(url), autocommit=True) as connection:
            row = connection.execute(
                "select id from team where trade = 'police' order by id limit 1"
            ).fetchone()
            assert row is not None
            for login, (role, area) in ROLES.items():
                team = int(row[0]) if role == "team" else None
                people.add(connection, login, PASSWORD, role, area, datetime.now(UTC), team_id=team)
        yield url


@pytest.fixture(scope="module", params=["empty", "one", "crowded"])
def state(request: pytest.FixtureRequest, city_of: CityOf, loaded: str) -> Iterator[State]:
    """Bring a copy of the city into each state in turn."""
    kind: str = request.param
    made = {"one": one, "crowded": crowd}
    with city_of(loaded) as url:
        yield State(kind, url, made[kind](url) if kind in made else None)


def one(url: str) -> int | None:
    """Report one incident."""
    now = datetime.now(UTC)
    report = Report(7, "test", "7", "1001", "占道<b>经营</b>", "", EAST, *small_city.IN_EAST, "point", now)
    with Desk(url) as desk:
        return desk.report([report], now)[0].incident_id


def crowd(url: str) -> int | None:
    """Let the city live some weeks, then multiply what happened inside the database, moved back in time."""
    for _ in history.write(url, datetime.now(UTC), LIVED_DAYS, PER_DAY, seed=3):
        pass
    with psycopg.connect(psycopg_dsn(url), autocommit=True) as connection:
        month = (datetime.now(UTC).replace(day=1) - timedelta(days=1)).date().replace(day=1)
        scoring.assess_month(connection, month, datetime.now(UTC))
        connection.execute("set session_replication_role = replica")
        connection.execute("set synchronous_commit = off")
        row = connection.execute(
            "select count(*), max(id), array_agg(id) filter (where ended_at is null) from incident"
        ).fetchone()
        assert row is not None
        waiting: list[int] = row[2]
        copies, many, step = CROWD // int(row[0]), -(-CROWD_OPEN // len(waiting)), int(row[1]) + 1
        own = {
            "incident": {"id": f"id + n * {step}", "number": "mod(number + n * 7919, 10000000000000000)"},
            "event": {"incident_id": f"incident_id + n * {step}"},
            "assignment": {"id": f"id + n * {step}", "incident_id": f"incident_id + n * {step}"},
            "segment": {"incident_id": f"incident_id + n * {step}"},
        }
        for table, changed in own.items():
            columns = connection.execute(
                "select column_name::text, data_type::text from information_schema.columns where table_schema ="
                " 'public' and table_name = %s and column_name <> 'tx' order by ordinal_position",
                (table,),
            ).fetchall()
            values = [
                changed.get(c, f"{c} - make_interval(mins => n * 7)" if kind.startswith("timestamp") else c)
                for c, kind in columns
            ]
            names = ", ".join(c for c, _ in columns)
            connection.execute(
                f"insert into {table} ({names}) select {', '.join(values)} from {table},"
                f" generate_series(1, case when {'id' if table == 'incident' else 'incident_id'} = any(%s)"
                f" then {many} else {copies} end) n".encode(),
                (waiting,),
            )
        # Rough figures are enough for the plans.
        connection.execute("set default_statistics_target = 10")
        connection.execute(f"analyze {', '.join(own)}".encode())
        cohorts.rebuild(connection)
        row = connection.execute(
            "select max(id), count(*) from incident where ended_at is null and area_code like %s",
            (f"{TOWN}%",),
        ).fetchone()
        assert row is not None
        assert row[1] > ROWS_LIMIT
        return int(row[0])


def pointed(patch: pytest.MonkeyPatch, url: str, redis_url: str) -> CityReads:
    """Lend the pages' door to a database, nothing kept of any other."""
    patch.setenv("DATABASE_URL", url)
    patch.setenv("REDIS_URL", redis_url)
    patch.setenv("DEMO", "0")
    data.reads.cache_clear()
    leading.forget()
    return data.reads()


def dead(url: str) -> str:
    """Return the address of a database on a port where nobody listens."""
    return make_url(url).set(host="127.0.0.1", port=9, query={}).render_as_string(hide_password=False)


@pytest.fixture
def reads(state: State, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[CityReads]:
    yield pointed(monkeypatch, state.url, servers.redis_url)
    data.reads().close()
    data.reads.cache_clear()


@pytest.fixture
def cookies(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    kept: dict[str, str] = {}
    monkeypatch.setattr(type(st.context), "cookies", property(lambda _: kept))
    return kept


def opened(path: str, **query: str) -> AppTest:
    screen = PLACES[path].screen
    page = AppTest.from_string(
        f"from dashboard.screens import {screen}\n{screen}.page()", default_timeout=180
    )
    for name, value in query.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception, [each.message for each in page.exception]
    return page


def said(page: AppTest) -> str:
    """Return the words that a page says, without what its live parts add."""
    kinds: list[Any] = [page.info, page.warning, page.error, page.caption, page.markdown, page.title]
    return "\n".join(each.value for kind in kinds for each in kind)


def test_every_page_is_opened_here_by_every_role_that_may() -> None:
    assert {role for role, _ in ROLES.values()} == {*ROLE_NAMES} - {"system"}
    for path, place in PLACES.items():
        opened_by = {ROLES[login][0] for each, login, _ in OPENINGS if each == path and login}
        assert opened_by >= place.roles
        assert opened_by, path


@pytest.mark.parametrize(("path", "login", "lang"), OPENINGS)
def test_every_page_stands_with_nothing_with_one_and_with_a_crowd(
    state: State, reads: CityReads, cookies: dict[str, str], path: str, login: str, lang: str
) -> None:
    if login:
        answer = data.sign_in(reads, login, PASSWORD)
        assert isinstance(answer, tuple)
        cookies[COOKIE] = answer[0]
    page = opened(path, lang=lang)
    words = said(page)
    _ = translator(lang)
    assert not page.error, words
    if state.name == "empty" and path in NOTHING:
        assert _(NOTHING[path]) in words
    if state.name == "crowded" and path == "incidents" and login == "desk":
        (listed,) = [each.proto.json for each in page.get("bidi_component") if each.key == "cases"]
        assert listed.count("<tr data-open=") == PAGE_ROWS
    if state.incident_id is not None and path in ("workbench", "incidents"):
        page = opened(path, lang=lang, id=str(state.incident_id))
        assert not page.error, said(page)


@pytest.mark.parametrize("login", ["root", "auditor"])
def test_every_tab_of_the_administrator_stands_in_each_state(
    state: State, reads: CityReads, cookies: dict[str, str], login: str
) -> None:
    answer = data.sign_in(reads, login, PASSWORD)
    assert isinstance(answer, tuple)
    cookies[COOKIE] = answer[0]
    for name, tab in TABS.items():
        if ROLES[login][0] in tab.roles:
            page = opened("admin", tab=name)
            assert page.segmented_control(key="admin-tab").value == name
            assert page.selectbox(key="admin-menu").value == name
            # Where no scheduler ever ran, the jobs' tab says that they are late.
            assert bool(page.error) is (name == "jobs"), (name, said(page))


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_live_parts_stand_with_nothing_with_one_and_with_a_crowd(
    state: State, reads: CityReads, lang: str
) -> None:
    now = datetime.now(UTC)
    picture = Picture(reads.directory(), reads.snapshot(reads.known().calendar.midnight(now)), now)
    for area in (CITY, COUNTY, TOWN, EAST):
        told = tiles(picture, Minute.of(picture.directory, {}, now), area, lang, demo=False)
        assert told.keys() == set(TILES)
        assert sum(map(len, told.values())) < 200_000  # however many are open, a wall says a wall full
    assert DeskLine(TOWN, lang).renew(picture)


@pytest.mark.parametrize(("path", "login", "lang"), OPENINGS)
def test_every_page_says_that_the_database_is_away(
    loaded: str, servers: Servers, monkeypatch: pytest.MonkeyPatch, cookies: dict[str, str], path: str, login: str,
    lang: str,
) -> None:  # fmt: skip
    if login:
        cookies[COOKIE] = "a" * 43
    reads = pointed(monkeypatch, dead(loaded), servers.redis_url)
    try:
        page = opened(path, lang=lang)
    finally:
        reads.close()
        data.reads.cache_clear()
    # What a visitor opens reads nothing; the wall's live part says itself how old its numbers are.
    assert (translator(lang)(AWAY) in said(page)) is (bool(login) and path != "wall")


def test_a_press_while_the_database_is_away_says_so(
    loaded: str, servers: Servers, monkeypatch: pytest.MonkeyPatch, cookies: dict[str, str]
) -> None:
    incident_id = one(loaded)
    reads = pointed(monkeypatch, loaded, servers.redis_url)
    answer = data.sign_in(reads, "desk", PASSWORD)
    assert isinstance(answer, tuple)
    cookies[COOKIE] = answer[0]
    page = opened("workbench", lang="en", id=str(incident_id))
    reads.close()
    reads = pointed(monkeypatch, dead(loaded), servers.redis_url)
    next(button for button in page.button if button.key == "wb-primary").click()
    page.run()
    reads.close()
    data.reads.cache_clear()
    assert not page.exception, [each.message for each in page.exception]
    assert AWAY in said(page)
    assert "may not have been taken" in page.session_state[act.REFUSED][1]


def test_what_is_said_of_nothing_and_of_no_database_has_its_chinese() -> None:
    chinese = translator("zh")
    for sentence in (AWAY, *NOTHING.values()):
        assert chinese(sentence) != sentence
    assert {"Nothing waits for you now."} <= set(words("workbench", "zh"))


def test_streams_and_shapes_say_that_the_database_is_away(
    loaded: str, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = pointed(monkeypatch, dead(loaded), servers.redis_url)
    line: Any = SimpleNamespace(picture=object(), knows=lambda area: True, clients=0)
    walls = web._Walls(reads, line)
    app = Starlette(
        routes=[
            Route("/live/{area}", walls.stream),
            Route("/shapes/{file}", walls.shapes),
            Route("/desk/{area}", DeskStream(reads, line).stream),
        ]
    )
    with TestClient(app, cookies={COOKIE: "a" * 43}) as client:
        for path in (f"/desk/{TOWN}", f"/live/{TOWN}?key=unknown", f"/shapes/{TOWN}.geojson?key=unknown"):
            answer = client.get(path)
            assert answer.status_code == 503, path
            assert "database" in answer.json()["error"]
        # A key that was known before the database went still opens its wall's shapes as far as they are kept.
        walls._keys = {data.digest("known"): TOWN}
        answer = client.get(f"/shapes/{TOWN}.geojson?key=known")
        assert answer.status_code == 503, "the key opens; the outlines are in the database"
    reads.close()
    data.reads.cache_clear()
