"""Proves that every page runs, in both languages, and that one incident can be walked its whole way by buttons."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import psycopg
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard import data
from dashboard.access import COOKIE
from dashboard.components import sentences
from dashboard.data import CityReads, Filter, replayed
from dashboard.data.waiting import waiting
from dashboard.wording.catalogue import LANGUAGES, translator
from dispatch.accounts import sessions
from dispatch.desk.desk import Desk
from dispatch.rules.incident.chain import Actor, Report
from models.servers.database import Servers, psycopg_dsn
from tests import pages
from tests.templates import CityOf

TIMEOUT_S = 60
SignIn = Callable[[str], None]
WHOLE = Actor("city:test", "city", "445300")


@pytest.fixture(scope="module")
def city(city_of: CityOf) -> Iterator[str]:
    """Load the demo city once for all pages."""
    with city_of("demo") as url:
        with psycopg.connect(psycopg_dsn(url)) as connection:
            sessions.ensure_demo(connection)
        yield url


@pytest.fixture
def reads(city: str, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[CityReads]:
    """Point the pages at the city."""
    with pages.pointed(monkeypatch, city, servers.redis_url) as lent:
        yield lent


@pytest.fixture
def signed_in(reads: CityReads, monkeypatch: pytest.MonkeyPatch) -> SignIn:
    """Return what signs the pages' browser in as one of the demo's accounts; empty text signs it out."""
    cookies: dict[str, str] = {}
    monkeypatch.setattr(type(st.context), "cookies", property(lambda _: cookies))

    def sign_in(login: str) -> None:
        cookies.clear()
        if login:
            answer = data.sign_in(reads, login, sessions.DEMO_PASSWORD)
            assert isinstance(answer, tuple)
            cookies[COOKIE] = answer[0]

    return sign_in


def report(city: str, source_id: str, category: str = "0104") -> int:
    """Report something in the village of the demo's worker."""
    now = datetime.now(UTC)
    number = int(source_id)
    with psycopg.connect(psycopg_dsn(city)) as connection:
        row = connection.execute("select area_code from account where login = 'worker'").fetchone()
        assert row is not None
    one = Report(
        number, "test", source_id, category, "有人<b>聚赌</b>", "", row[0], 112.0, 22.9, "point", now
    )
    with Desk(city) as desk:
        outcome = desk.report([one], now)[0]
    assert outcome.incident_id is not None
    return outcome.incident_id


def open_page(name: str, **query: str) -> AppTest:
    test = AppTest.from_string(
        f"from dashboard.screens import {name}\n{name}.page()", default_timeout=TIMEOUT_S
    )
    for key, value in query.items():
        test.query_params[key] = value
    test.run()
    assert not test.exception, [each.message for each in test.exception]
    return test


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("name", ["home", "wall", "incidents"])
def test_every_page_runs_in_both_languages(signed_in: SignIn, name: str, lang: str) -> None:
    for login in ("", "dispatcher"):
        signed_in(login)
        open_page(name, lang=lang)


def test_the_start_page_counts_what_waits_and_opens_exactly_that(
    city: str, reads: CityReads, servers: Servers, signed_in: SignIn
) -> None:
    report(city, "4001")
    signed_in("dispatcher")
    answer = data.sign_in(reads, "dispatcher", sessions.DEMO_PASSWORD)
    assert isinstance(answer, tuple)
    who, now = answer[1], datetime.now(UTC)
    lines = {line.what: line for line in waiting(reads, who, servers.redis_url, now)}
    assert lines["reported"].count >= 1
    for line in (line for line in lines.values() if line.page == "incidents"):
        wanted = Filter(**dict(line.query))
        assert len(reads.incidents(who.actor, wanted, now)) == min(line.count, data.PAGE_ROWS)
    page = open_page("home")
    shown = " ".join(each.proto.body for each in page.get("html"))
    assert "/incidents?state=reported" in shown
    assert f"<b>{lines['reported'].count:,}</b>" in shown


@pytest.mark.parametrize(
    "login",
    [
        "dispatcher",
        "duty",
        "team",
        "worker",
        "head",
        "village",
        "resident",
        "county",
        "leader",
        "auditor",
        "admin",
    ],
)
def test_everybody_is_told_what_waits_or_that_nothing_does(signed_in: SignIn, login: str) -> None:
    signed_in(login)
    page = open_page("home", lang="en")
    shown = " ".join(each.proto.body for each in page.get("html"))
    assert "What waits for you" in shown
    assert ('<a class="gw-wait' in shown) != ("Nothing waits for you now." in shown)


def test_every_sentence_of_the_wall_has_its_chinese() -> None:
    chinese = translator("zh")
    missing = [each for each in sentences("wall") if chinese(each) == each]
    assert not missing


def test_every_choice_of_a_filter_counts_and_the_address_may_come_late(signed_in: SignIn) -> None:
    signed_in("dispatcher")
    page = open_page("incidents", lang="en", after="1_1")
    older = {"lang": "en", "id": "7"}

    def choose(label: str, value: str) -> dict[str, str]:
        next(each for each in page.selectbox if each.label == label).set_value(value).run()
        assert not page.exception
        return dict(page.query_params)

    assert choose("State", "reported") == {"lang": "en", "state": "reported"}
    # Another one in the same field, at once.
    assert choose("State", "accepted") == {"lang": "en", "state": "accepted"}
    page.query_params = dict(older)
    assert choose("Light", "red") == {"lang": "en", "state": "accepted", "light": "red"}
    # What the address says, after a step back in the history too, is what the fields show.
    page = open_page("incidents", lang="en", state="closed", text="lamp")
    assert next(each for each in page.selectbox if each.label == "State").value == "closed"
    assert page.text_input[0].value == "lamp"
    page.query_params["state"] = "open"
    page.run()
    assert next(each for each in page.selectbox if each.label == "State").value == "open"


def test_the_second_persons_password_does_not_stay_on_the_first_ones_screen(signed_in: SignIn) -> None:
    signed_in("county")
    page = open_page("wartime", lang="en")

    def declare(password: str) -> dict[str, str]:
        by_label = {each.label: each for each in page.text_input}
        by_label["Reason"].input("台风将至")
        by_label["Commander"].input("县长")
        by_label["Login of the second person"].input("city")
        by_label["Password of the second person"].input(password)
        [button] = [each for each in page.button if each.label == "Declare wartime"]
        button.click().run()
        assert not page.exception
        return {each.label: str(each.value) for each in page.text_input}

    kept = declare("not the password")
    assert page.error
    assert kept["Password of the second person"] == ""
    assert (kept["Reason"], kept["Login of the second person"]) == ("台风将至", "city")
    assert set(declare(sessions.DEMO_PASSWORD).values()) == {""}
    assert page.success
    # Once more: the refusal names people and places, not their codes.
    declare(sessions.DEMO_PASSWORD)
    assert [each.value for each in page.error] == [
        "Yuncheng District is in wartime already, declared by County centre　演示县指挥中心"
    ]


def test_a_page_that_fails_says_so_in_the_readers_language(
    signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise LookupError("a table is empty")

    signed_in("leader")
    monkeypatch.setattr(replayed, "sources", fails)
    page = AppTest.from_string(
        "from dashboard.screens import replayed\nreplayed.page()", default_timeout=TIMEOUT_S
    )
    page.query_params["lang"] = "zh"
    page.run()
    assert [each.value for each in page.error] == ["这一页没能显示出来。原因已记入日志；其他页面不受影响。"]
    assert page.exception, "and the log has it"


def test_an_address_that_makes_no_sense_is_no_fault(signed_in: SignIn) -> None:
    signed_in("dispatcher")
    open_page("incidents", id="abc", area="nowhere", after="x_y", state="none", theme="99", light="blue")
    open_page("incidents", id="999999999", after="1e999_1")
    open_page("wall", area="<script>", lang="xx")


def test_filters_say_what_they_say(city: str, reads: CityReads) -> None:
    incident_id = report(city, "5001")
    now = datetime.now(UTC)

    def found(**wanted: str) -> bool:
        return incident_id in {row.id for row in reads.incidents(WHOLE, Filter(**wanted), now)}

    assert found()
    assert found(area="445302", state="open", theme="01", text="聚赌")
    assert found(text="5001")
    assert not found(area="445381")
    assert not found(state="closed")
    assert not found(theme="02")
    assert not found(light="red")
    assert not found(light="yellow")
    assert not found(text="100%")


def test_pages_of_the_list_join_without_a_gap(
    city: str, reads: CityReads, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(6001, 6008):
        report(city, str(n))
    now = datetime.now(UTC)
    whole = [row.id for row in reads.incidents(WHOLE, Filter(), now)]
    monkeypatch.setattr(data, "PAGE_ROWS", 3)
    joined: list[int] = []
    after = None
    while rows := reads.incidents(WHOLE, Filter(), now, after):
        joined += [row.id for row in rows]
        after = (rows[-1].reported_at, rows[-1].id)
    assert joined == whole


def press(page: AppTest, verb: str, **typed: object) -> AppTest:
    """Fill in what the verb needs and press its button."""
    button = next(b for b in page.button if (b.key or "").startswith(f"{verb}-"))
    for need, value in typed.items():
        key = f"{button.key}-{need}"
        boxes = [*page.text_input, *page.text_area, *page.checkbox, *page.selectbox, *page.radio]
        box = next(b for b in boxes if b.key == key)
        box.set_value(value)
    button.click()
    page.run()
    assert not page.exception, [each.message for each in page.exception]
    assert not page.error, [each.value for each in page.error]
    return page


def test_one_incident_is_walked_its_whole_way_by_those_whose_turn_it_is(
    city: str, reads: CityReads, signed_in: SignIn
) -> None:
    incident_id = report(city, "7001", "1001")
    with psycopg.connect(psycopg_dsn(city)) as connection:
        row = connection.execute("select team_id from account where login = 'team'").fetchone()
        assert row is not None

    def opened(login: str) -> AppTest:
        signed_in(login)
        return open_page("incidents", id=str(incident_id))

    page = opened("dispatcher")
    press(page, "accept")
    press(page, "dispatch", team_id=row[0])
    page = opened("team")
    press(page, "pick_up")
    press(page, "dispose", result="已劝散")
    page = opened("duty")
    press(page, "verify")
    press(page, "close", standard=True)
    detail = reads.detail(WHOLE, incident_id)
    assert detail is not None
    assert detail.incident.state == "closed"
    by = {event.verb: event.actor for event in detail.events}
    assert by | {"accept": "dispatcher:dispatcher", "dispose": "team:team", "close": "duty_leader:duty"} == by
    assert detail.segments[-1].ended_at is not None


def test_a_refusal_is_shown_in_words(city: str, signed_in: SignIn) -> None:
    incident_id = report(city, "7002")
    signed_in("dispatcher")
    page = open_page("incidents", id=str(incident_id))
    button = next(b for b in page.button if (b.key or "").startswith("reject-"))
    button.click()
    page.run()
    assert any("理由" in each.value for each in page.error)


def test_without_a_login_the_list_stays_shut(city: str, signed_in: SignIn) -> None:
    incident_id = report(city, "7003")
    signed_in("")
    page = open_page("incidents", id=str(incident_id))
    assert not page.dataframe
    assert not page.button
    assert page.info
