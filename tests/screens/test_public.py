"""Proves the residents' page: one's own reports and nothing of anybody else, by login, by number and by press."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import redis
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard.access import COOKIE
from dashboard.data import CityReads, Viewer, field, public, viewer_of
from dashboard.data.scope import within
from dashboard.screens import public as screen
from dashboard.wording import names
from dashboard.wording.catalogue import LANGUAGES
from dispatch.desk.desk import Desk
from dispatch.intake import contacts
from dispatch.intake.messages import number_of, show_number
from dispatch.rules.incident.values import Actor, Report
from models.servers.database import psycopg_dsn
from tests import pages
from tests import phone_city as phones
from tests import small_city as town
from tests.templates import CityOf

PHONE = "13900000000"


@pytest.fixture(scope="module")
def city(city_of: CityOf) -> Iterator[str]:
    """Load the city with phones once."""
    with city_of("phones") as url:
        yield url


@pytest.fixture
def reads(
    city: str, stream_url: str, stream: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> Iterator[CityReads]:
    """Point the page at the city."""
    monkeypatch.setenv("CONTACT_KEY", phones.CONTACT_KEY)
    field._contact_key.cache_clear()
    screen._throttle.cache_clear()
    with pages.pointed(monkeypatch, city, stream_url) as lent:
        yield lent


def person(reads: CityReads, login: str) -> Viewer:
    found = viewer_of(reads, f"{login}-token")
    assert found is not None
    return found


def reported(reads: CityReads, city: str, serial: str, contact: str, login: str = "") -> int:
    """Open an incident as the intake does, with a contact or without; return its id."""
    token = contacts.token(phones.CONTACT_KEY.encode(), contact) if contact else ""
    now, number = datetime.now(UTC), number_of("resident_app", serial)
    one = Report(
        number, "resident_app", serial, "0104", "窗外有人打牌", "东岸路 1 号", town.EAST, *town.IN_EAST, "point", now,
        reporter=token,
    )  # fmt: skip
    with Desk(city) as desk:
        outcome = desk.report([one], now)[0]
    assert outcome.incident_id is not None
    if login:
        assert field.begin_report(reads, person(reads, login), number, [], now) == "new"
    return outcome.incident_id


def mine(reads: CityReads, city: str, serial: str, login: str = "resident") -> int:
    return reported(reads, city, serial, contacts.of_account(login), login)


def closed(city: str, incident_id: int) -> None:
    """Walk an incident to its end."""
    with psycopg.connect(psycopg_dsn(city)) as connection:
        team_id = phones.enforcement(connection)
    team = Actor("team:team", "team", town.TOWN, team_id)
    phones.act(city, incident_id, phones.DISPATCHER, "accept")
    phones.act(city, incident_id, phones.DISPATCHER, "dispatch", team_id=team_id)
    phones.act(city, incident_id, team, "pick_up")
    phones.act(city, incident_id, team, "dispose", result="已劝散")
    phones.act(city, incident_id, phones.DISPATCHER, "verify")
    phones.act(city, incident_id, phones.DISPATCHER, "close", standard=True)


# --- what is read ---


def test_residents_see_their_own_reports_and_nobody_elses(
    reads: CityReads, city: str, stream_url: str
) -> None:
    incident_id = mine(reads, city, "own-1")
    (found,) = [
        each for each in public.own(reads, person(reads, "resident"), stream_url)
        if each.incident is not None and each.incident.id == incident_id
    ]  # fmt: skip
    assert [each.verb for each in found.milestones] == ["report"]
    assert not public.own(reads, person(reads, "neighbour"), stream_url)


def test_a_claimed_number_shows_nothing_where_the_token_is_not_ones_own(
    reads: CityReads, city: str, stream_url: str
) -> None:
    incident_id = reported(reads, city, "claimed", contacts.of_account("resident"))
    number = number_of("resident_app", "claimed")
    assert field.begin_report(reads, person(reads, "neighbour"), number, [], datetime.now(UTC)) == "new"
    found = public.own(reads, person(reads, "neighbour"), stream_url)
    assert [each.incident for each in found if each.number == number] == [None]
    assert incident_id not in {each.incident.id for each in found if each.incident}


def test_a_report_on_its_way_in_stands_in_the_list(
    reads: CityReads, stream_url: str, stream: redis.Redis
) -> None:
    number = number_of("resident_app", "under way")
    who = person(reads, "neighbour")
    field.begin_report(reads, who, number, [], datetime.now(UTC))
    (found,) = [each for each in public.own(reads, who, stream_url) if each.number == number]
    assert (found.incident, found.refused) == (None, None)
    stream.set(
        f"gridwhistle:received:{number}", '{"state":"refused","zh":"没有这个地方","en":"no such place"}'
    )
    (found,) = [each for each in public.own(reads, who, stream_url) if each.number == number]
    assert found.refused == ("没有这个地方", "no such place")


@pytest.mark.parametrize("spelled", [PHONE, f" {PHONE} ", "139-0000-0000", "139 0000 0000"])
def test_a_number_opens_with_the_contact_that_was_left(
    reads: CityReads, city: str, stream_url: str, spelled: str
) -> None:
    reported(reads, city, f"hot-{spelled}", PHONE)
    found = public.follow(reads, number_of("resident_app", f"hot-{spelled}"), spelled, stream_url)
    assert found is not None
    assert found.whole


@pytest.mark.parametrize("given", ["", " ", "13900000001", "0000", "account:resident", "resident"])
def test_without_the_contact_a_number_answers_as_an_unknown_one(
    reads: CityReads, city: str, stream_url: str, given: str
) -> None:
    reported(reads, city, f"shut-{given}", PHONE)
    reported(reads, city, f"shut-own-{given}", contacts.of_account("resident"))
    for serial in (f"shut-{given}", f"shut-own-{given}", f"never-{given}"):
        assert public.follow(reads, number_of("resident_app", serial), given, stream_url) is None


def test_where_nobody_left_a_contact_only_the_state_is_told(
    reads: CityReads, city: str, stream_url: str
) -> None:
    incident_id = reported(reads, city, "bare", "")
    phones.act(city, incident_id, phones.DISPATCHER, "reject", reason="张三的私事")
    found = public.follow(reads, number_of("resident_app", "bare"), "", stream_url)
    assert found is not None
    assert not found.whole
    assert not found.photos
    assert [(each.verb, each.text) for each in found.milestones] == [("report", ""), ("reject", "")]


def test_the_scope_of_a_resident_is_their_own_token(reads: CityReads, city: str) -> None:
    incident_id = mine(reads, city, "scoped")
    own = contacts.token(phones.CONTACT_KEY.encode(), contacts.of_account("resident"))
    for key, seen in ((own, True), ("0" * 32, False), (f"{number_of('resident_app', 'scoped'):016d}", False)):
        scope, values = within(Actor(f"resident@{key}", "resident", town.EAST))
        with reads.look() as connection:
            row = connection.execute(
                f"select count(*) from incident i where i.id = %(id)s and {scope}",
                values | {"id": incident_id},
            ).fetchone()
        assert row == (int(seen),)
    assert within(Actor("resident:resident", "resident", town.EAST)) == ("false", {})


# --- what is done ---


def act(reads: CityReads, login: str, incident_id: int, verb: str, redis_url: str, **args: Any) -> str:
    found = door_incident(reads, incident_id)
    outcome = public.submit(reads, person(reads, login), found, verb, args, datetime.now(UTC), redis_url)
    return outcome.status if outcome.refusal is None else outcome.refusal.code


def door_incident(reads: CityReads, incident_id: int) -> Any:
    with reads.look() as connection:
        row = connection.execute("select seq from incident where id = %s", (incident_id,)).fetchone()
    assert row is not None
    return SimpleNamespace(id=incident_id, seq=row[0])


def test_who_is_dissatisfied_has_it_opened_again_and_who_is_not_does_not(
    reads: CityReads, city: str, stream_url: str
) -> None:
    for serial, rating, answer in (("bad", 2, "done"), ("good", 4, "reopen")):
        incident_id = mine(reads, city, serial)
        closed(city, incident_id)
        assert act(reads, "resident", incident_id, "rate", stream_url, rating=rating) == "done"
        assert act(reads, "resident", incident_id, "reopen", stream_url, reason="还在打牌") == answer


def test_nobody_rates_or_adds_to_anothers_report(reads: CityReads, city: str, stream_url: str) -> None:
    incident_id = mine(reads, city, "theirs")
    assert act(reads, "neighbour", incident_id, "note", stream_url, note="我也要说") == "unknown_incident"
    closed(city, incident_id)
    assert act(reads, "neighbour", incident_id, "rate", stream_url, rating=1) == "unknown_incident"


# --- the page ---


@pytest.fixture
def opened(reads: CityReads, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Open the page as somebody, or as nobody."""

    def open_page(login: str | None = None, **query: str) -> AppTest:
        cookies = {COOKIE: f"{login}-token"} if login else {}
        monkeypatch.setattr(type(st.context), "cookies", property(lambda self: cookies))
        page = AppTest.from_string("from dashboard.screens import public\npublic.page()", default_timeout=180)
        for key, value in query.items():
            page.query_params[key] = value
        page.run()
        assert not page.exception, [each.message for each in page.exception]
        return page

    return open_page


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("login", [None, "resident", "worker"])
def test_the_page_opens_for_everybody_in_both_languages(opened: Any, login: str | None, lang: str) -> None:
    opened(login, lang=lang)


def follow(page: AppTest, number: str, contact: str = "") -> AppTest:
    page.text_input[0].set_value(number)
    page.text_input[1].set_value(contact)
    page.button[0].click()
    page.run()
    assert not page.exception
    return page


def test_a_visitor_follows_by_number_and_contact(opened: Any, reads: CityReads, city: str) -> None:
    reported(reads, city, "page", PHONE)
    number = show_number(number_of("resident_app", "page"))
    page = follow(opened(lang="en"), number, PHONE)
    assert any(number in each.value for each in page.caption)
    page = follow(opened(lang="en"), number, "0000")
    assert not any(number in each.value for each in page.caption)
    assert page.info
    assert follow(opened(lang="en"), "12").error


def test_who_guesses_must_wait(opened: Any, reads: CityReads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(st.context), "ip_address", property(lambda _: "192.0.2.1"))
    for _ in range(40):
        screen._throttle().failed("192.0.2.1")
    assert follow(opened(lang="en"), "1234-5678-9012-3456").warning


def test_a_resident_rates_by_press(opened: Any, reads: CityReads, city: str) -> None:
    incident_id = mine(reads, city, "pressed", "neighbour")
    closed(city, incident_id)
    page = opened("neighbour", lang="en")
    key = next(b.key for b in page.button if (b.key or "").startswith(f"rate-{incident_id}-"))
    rating = next(g for g in page.segmented_control if g.key == key.replace("rate-", "rating-"))
    rating.set_value(1)
    page.run()
    next(b for b in page.button if b.key == key).click()
    page.run()
    assert not page.exception
    with reads.look() as connection:
        row = connection.execute("select rating from incident where id = %s", (incident_id,)).fetchone()
    assert row == (1,)
    page = opened("neighbour", lang="en")
    assert any((b.key or "").startswith(f"reopen-{incident_id}-") for b in page.button)


def test_text_of_a_report_is_never_read_as_markup() -> None:
    assert names.plain("[x](javascript:1) :red[y] <b>") == "\\[x\\]\\(javascript\\:1\\) \\:red\\[y\\] \\<b\\>"


def test_old_times_carry_their_year(reads: CityReads) -> None:
    assert len(screen._time(datetime.now(UTC) - timedelta(days=400))) == len("2025-01-01")
