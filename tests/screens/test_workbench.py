"""Proves the workbench: its queue, what a press does, who was quicker, many at once, and that nobody looks beyond."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import psycopg
import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from dashboard import data, frame
from dashboard.access import COOKIE
from dashboard.casework import bulk, legend, offers, sheet
from dashboard.components import sentences
from dashboard.data import CityReads
from dashboard.data import workbench as bench
from dashboard.live import Client, Live, Picture
from dashboard.live.picture import WHISTLES_OVER
from dashboard.live.queue import DeskLine, next_clock, stage_of
from dashboard.routes.queue_stream import DeskStream
from dashboard.wording import names
from dashboard.wording.catalogue import limit_words, translator
from dispatch.accounts import sessions
from dispatch.desk.desk import Desk
from dispatch.intake.messages import show_number
from dispatch.rules.incident.chain import STATES, STEPS, Actor, Command, Incident, Report
from models.cities import loading
from models.servers.database import Servers, psycopg_dsn
from tests import pages
from tests.small_city import EAST, IN_EAST, TOWN, WEST, build
from tests.templates import CityOf

DISPATCHER = Actor("dispatcher:other", "dispatcher", TOWN)
DUTY = Actor("duty_leader:other", "duty_leader", TOWN)
ELSEWHERE = Actor("dispatcher:far", "dispatcher", "990901002")
_serial = count(1)


def with_second_teams() -> loading.City:
    """Return the small city with two teams of every kind, so that there is a choice."""
    small = build()
    long = "second comprehensive enforcement and patrol squad"
    more = [
        team._replace(id=team.id + 50_000, name=f"{team.name}二队", name_en=f"{team.name_en}, {long}")
        for team in small.teams
    ]
    return replace(small, teams=[*small.teams, *more])


@pytest.fixture(scope="module")
def city(city_of: CityOf) -> Iterator[str]:
    """Load the small city once, with the demo's people."""
    with city_of("migrated") as url:
        loading.store(url, with_second_teams())
        with psycopg.connect(psycopg_dsn(url)) as connection:
            sessions.ensure_demo(connection)
        yield url


@pytest.fixture
def reads(city: str, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[CityReads]:
    """Point the page at the city."""
    with pages.pointed(monkeypatch, city, servers.redis_url) as lent:
        yield lent


@pytest.fixture
def sign_in(reads: CityReads, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return what signs the page's browser in as one of the demo's accounts."""
    cookies: dict[str, str] = {}
    monkeypatch.setattr(type(st.context), "cookies", property(lambda _: cookies))

    def enter(login: str) -> None:
        answer = data.sign_in(reads, login, sessions.DEMO_PASSWORD)
        assert isinstance(answer, tuple)
        cookies[COOKIE] = answer[0]

    return enter


class Town:
    """The town's other people: they report and act through the same Desk."""

    def __init__(self, url: str) -> None:
        self.url = url

    def report(self, area: str = EAST, **changes: Any) -> int:
        return self.reports(1, area, **changes)[0]

    def reports(self, number: int, area: str = EAST, **changes: Any) -> list[int]:
        made = []
        lon, lat = changes.get("at", IN_EAST)
        for _ in range(number):
            n = next(_serial)
            made.append(
                Report(
                    n, "test", str(n), changes.get("category", "0104"), "有人<b>聚赌</b>", "", area, lon, lat, "point",
                    datetime.now(UTC),
                )
            )  # fmt: skip
        with Desk(self.url) as desk:
            outcomes = desk.report(made, datetime.now(UTC))
        return [outcome.incident_id for outcome in outcomes if outcome.incident_id is not None]

    def act(self, verb: str, incident_id: int, actor: Actor = DISPATCHER, **args: Any) -> None:
        self.act_on([incident_id], verb, actor, **args)

    def act_on(self, ids: list[int], verb: str, actor: Actor = DISPATCHER, **args: Any) -> None:
        with Desk(self.url) as desk:
            commands = [Command(verb, one, actor, f"t-{next(_serial)}", args) for one in ids]
            for outcome in desk.act(commands, datetime.now(UTC)):
                assert outcome.refusal is None, outcome.refusal.words("en")

    def teams(self) -> list[int]:
        with psycopg.connect(psycopg_dsn(self.url)) as connection:
            return [row[0] for row in connection.execute("select id from team order by id").fetchall()]


@pytest.fixture
def town(city: str) -> Town:
    return Town(city)


def open_page(**query: str) -> AppTest:
    test = AppTest.from_string(
        "from dashboard.screens import workbench\nworkbench.page()", default_timeout=180
    )
    for key, value in query.items():
        test.query_params[key] = value
    return checked(test.run())


def checked(page: AppTest) -> AppTest:
    assert not page.exception, [each.message for each in page.exception]
    return page


def button(page: AppTest, key: str) -> Any:
    return next(each for each in page.button if each.key == key)


def state(reads: CityReads, incident_id: int) -> Incident:
    return states(reads, [incident_id])[0]


def states(reads: CityReads, ids: list[int]) -> list[Incident]:
    return bench.several(reads, SYSTEM_EYES, ids)


SYSTEM_EYES = Actor("auditor:test", "auditor", "990900")


# ---- the page --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("login", ["dispatcher", "duty", "village", "county", "city"])
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_page_opens_for_every_desk(
    town: Town, sign_in: Callable[[str], None], login: str, lang: str
) -> None:
    sign_in(login)
    open_page(lang=lang)
    open_page(lang=lang, id=str(town.report()), stage="accept")
    open_page(lang=lang, id="999999999999", stage="<script>")


@pytest.mark.parametrize("wish", ["²", "٣", "-1", "9" * 40, "<script>"])
def test_an_address_that_names_no_case_is_answered_in_words(
    town: Town, sign_in: Callable[[str], None], wish: str
) -> None:
    sign_in("dispatcher")
    assert open_page(id=wish).warning


def test_others_are_told_for_whom_it_is(sign_in: Callable[[str], None]) -> None:
    sign_in("resident")
    page = open_page()
    assert page.warning
    assert not page.button


def test_every_sentence_of_the_queue_has_its_chinese() -> None:
    chinese = translator("zh")
    assert not [each for each in sentences("workbench") if chinese(each) == each]


def test_a_case_is_accepted_and_dispatched_by_the_filled_button(
    town: Town, reads: CityReads, sign_in: Callable[[str], None]
) -> None:
    sign_in("dispatcher")
    incident_id = town.report()
    page = open_page(id=str(incident_id))
    checked(button(page, "wb-primary").click().run())
    assert state(reads, incident_id).state == "accepted"
    checked(button(page, "wb-primary").click().run())
    found = state(reads, incident_id)
    assert found.state == "dispatched"
    assert found.last_actor == "dispatcher:dispatcher"


def test_another_team_than_the_first_needs_a_reason_and_both_are_kept(
    town: Town, reads: CityReads, sign_in: Callable[[str], None]
) -> None:
    sign_in("dispatcher")
    incident_id = town.report()
    town.act("accept", incident_id)
    found = bench.case(reads, DISPATCHER, incident_id, datetime.now(UTC))
    assert found is not None
    first, last = found.detail.offers[0].team.id, found.detail.offers[-1].team.id
    assert first != last, "the type needs two teams"
    page = open_page(id=str(incident_id))
    page.session_state[f"wb-team-{incident_id}"] = last
    checked(page.run())
    checked(button(page, "wb-primary").click().run())
    assert state(reads, incident_id).state == "accepted"
    page.text_input[0].set_value("更熟悉现场").run()
    checked(button(page, "wb-primary").click().run())
    detail = reads.detail(SYSTEM_EYES, incident_id)
    assert detail is not None
    assert detail.events[-1].change.said["offer"]["team_id"] == first
    assert detail.events[-1].change.said["reason"] == "更熟悉现场"
    lead = detail.incident.lead
    assert lead is not None
    assert lead.team_id == last


def test_how_long_a_team_takes_is_said_as_an_estimate_by_the_policys_minutes_for_a_km(
    town: Town, reads: CityReads, sign_in: Callable[[str], None]
) -> None:
    incident_id = town.report()
    town.act("accept", incident_id)
    sign_in("dispatcher")
    found = bench.case(reads, DISPATCHER, incident_id, datetime.now(UTC))
    assert found is not None
    km = next(offer.km for offer in found.detail.offers if offer.open)
    assert km is not None
    minutes = max(1, math.ceil(km * reads.policy().weights.km))
    page = open_page(id=str(incident_id), lang="en")
    told_away = [each.proto.body for each in page.get("html") if "wb-ra" in each.proto.body]
    assert f"<b>about {minutes} min</b> · {km:.1f} km" in told_away[0]
    assert any("straight line at 30 km/h" in each.proto.body for each in page.get("html"))


def test_a_whistle_calls_in_a_team_of_another_trade_and_never_the_one_that_holds_it(
    town: Town, reads: CityReads, sign_in: Callable[[str], None]
) -> None:
    sign_in("dispatcher")
    incident_id = town.report()
    town.act("accept", incident_id)
    page = open_page(id=str(incident_id))
    checked(button(page, "wb-primary").click().run())
    lead = state(reads, incident_id).lead
    assert lead is not None
    checked(button(page, "wb-do-whistle").click().run())
    asked = next(each for each in page.selectbox if str(each.key).endswith("-team_id"))
    teams = reads.directory().teams
    held = teams[lead.team_id]
    assert held.name not in {each.split("　")[0] for each in asked.options}
    other = next(
        each
        for each in teams.values()
        if each.trade != held.trade and f"{each.name}　" in "".join(asked.options)
    )
    asked.set_value(other.id)
    checked(page.run())
    confirm = next(each for each in page.button if str(each.key).startswith("ask-whistle-"))
    checked(confirm.click().run())
    assert {part.team_id for part in state(reads, incident_id).parts.values()} == {lead.team_id, other.id}


def test_nobody_is_said_to_be_told_where_no_reporter_left_a_contact(
    town: Town, reads: CityReads, sign_in: Callable[[str], None]
) -> None:
    found = bench.case(reads, DISPATCHER, town.report(), datetime.now(UTC))
    assert found is not None
    assert "told" not in sheet.source(found.detail, reads.directory(), "en")


def test_only_photos_behind_tls_are_shown_from_elsewhere() -> None:
    assert sheet.addresses("http://elsewhere.example/1.jpg") == ("", "")
    assert sheet.addresses("https://elsewhere.example/1.jpg")[0]


def test_what_somebody_wrote_reaches_a_label_as_plain_text() -> None:
    assert names.plain("![a](https://x.y)") == r"\!\[a\]\(https\://x\.y\)"


def test_who_was_quicker_is_named_and_nothing_is_sent(
    town: Town, reads: CityReads, sign_in: Callable[[str], None]
) -> None:
    sign_in("dispatcher")
    incident_id = town.report()
    town.act("accept", incident_id)
    page = open_page(id=str(incident_id))
    town.act("dispatch", incident_id, team_id=town.teams()[0])
    before = state(reads, incident_id).seq
    checked(button(page, "wb-primary").click().run())
    assert state(reads, incident_id).seq == before
    assert {each.key for each in page.button} >= {"wb-see", "wb-mine", "wb-understood"}
    # It stays until it is answered.
    checked(page.run())
    assert "wb-understood" in {each.key for each in page.button}
    checked(button(page, "wb-understood").click().run())
    assert "wb-understood" not in {each.key for each in page.button}


def test_a_note_of_somebody_else_takes_no_step_from_anybody(
    town: Town, reads: CityReads, sign_in: Callable[[str], None]
) -> None:
    sign_in("dispatcher")
    incident_id = town.report()
    page = open_page(id=str(incident_id))
    town.act("note", incident_id, note="在路上")
    checked(button(page, "wb-primary").click().run())
    assert state(reads, incident_id).state == "accepted"


@pytest.mark.parametrize(("press", "lat"), [("wb-merge-{goes}", 23.0081), ("wb-do-merge", 23.0051)])
def test_a_likely_duplicate_is_merged_by_one_press_and_by_key_the_same_way_round(
    town: Town, reads: CityReads, sign_in: Callable[[str], None], press: str, lat: float
) -> None:
    sign_in("dispatcher")
    here, there = (113.0031, lat), (113.0033, lat)
    stays, goes = town.report(at=here), town.report(at=there)
    town.report(at=(113.0095, 23.0011))  # a kilometre off
    found = bench.case(reads, DISPATCHER, stays, datetime.now(UTC))
    assert found is not None
    assert [each.id for each in found.likes] == [goes]
    assert 10 < found.likes[0].metres < 30
    page = open_page(id=str(stays))
    checked(button(page, press.format(goes=goes)).click().run())
    assert state(reads, goes).state == "merged"
    assert state(reads, stays).state == "reported"


# ---- many at once ----------------------------------------------------------------------------------------------


def tick(page: AppTest, ids: list[int]) -> AppTest:
    page.session_state["wb-ticked"] = ids
    return checked(page.run())


def pressed(page: AppTest, verb: str) -> AppTest:
    """Open the dialog of a step for many and confirm it: in a browser these are two presses."""
    button(page, f"wb-many-{verb}").click()
    button(page, "wb-many-go").click()
    return checked(page.run())


def test_fifty_are_reassigned_in_one_action(
    town: Town, reads: CityReads, sign_in: Callable[[str], None]
) -> None:
    sign_in("dispatcher")
    first, second = town.teams()[:2]
    ids = town.reports(50)
    town.act_on(ids, "accept")
    town.act_on(ids, "dispatch", team_id=first)
    page = tick(open_page(), ids)
    checked(button(page, "wb-many-reassign").click().run())
    next(each for each in page.selectbox if each.key == "wb-many-team").set_value(second)
    pressed(page, "reassign")
    assert {lead.team_id for one in states(reads, ids) if (lead := one.lead) is not None} == {second}
    assert page.session_state["wb-ticked"] == []


def test_a_refusal_of_one_never_stops_the_others(
    town: Town, reads: CityReads, sign_in: Callable[[str], None]
) -> None:
    sign_in("dispatcher")
    first, second = town.teams()[:2]
    ids = town.reports(3)
    town.act_on(ids, "accept")
    town.act_on([ids[0], ids[2]], "dispatch", team_id=first)
    town.act("dispatch", ids[1], team_id=second)
    page = tick(open_page(), ids)
    checked(button(page, "wb-many-reassign").click().run())
    next(each for each in page.selectbox if each.key == "wb-many-team").set_value(second)
    pressed(page, "reassign")
    assert [one.last_verb for one in states(reads, ids)] == ["reassign", "dispatch", "reassign"]
    assert "wb-understood" in {each.key for each in page.button}


def test_many_are_dispatched_after_a_preview(
    town: Town, reads: CityReads, sign_in: Callable[[str], None]
) -> None:
    sign_in("dispatcher")
    ids = town.reports(3)
    town.act_on(ids, "accept")
    plan = bench.plan(reads, DISPATCHER, ids, datetime.now(UTC))
    assert {each.waiting.id for each in plan.decisions} == set(ids)
    assert plan.together[0] >= plan.in_turn[0]
    page = tick(open_page(), ids)
    checked(button(page, "wb-many-dispatch").click().run())
    assert {one.state for one in states(reads, ids)} == {"accepted"}
    pressed(page, "dispatch")
    sent = {each.waiting.id for each in plan.decisions if each.chosen is not None}
    assert sent
    assert {one.id for one in states(reads, ids) if one.state == "dispatched"} == sent


def test_ticks_beyond_ones_area_count_for_nothing(town: Town, reads: CityReads) -> None:
    ids = town.reports(2)
    assert [each.id for each in bench.several(reads, DISPATCHER, ids)] == ids
    assert bench.several(reads, ELSEWHERE, ids) == []
    assert bench.case(reads, ELSEWHERE, ids[0], datetime.now(UTC)) is None
    assert bench.plan(reads, ELSEWHERE, ids, datetime.now(UTC)).decisions == ()
    assert bulk.LIMIT >= 50


# ---- the queue -------------------------------------------------------------------------------------------------


def picture_of(reads: CityReads) -> Picture:
    now = datetime.now(UTC)
    return Picture(reads.directory(), reads.snapshot(reads.known().calendar.midnight(now)), now)


def rows_of(names: bytes | None) -> dict[int, dict[str, Any]]:
    return {} if names is None else {int(row["id"]): row for row in json.loads(b"{" + names + b"}")["rows"]}


def test_a_whistle_under_review_waits_for_the_desk_with_its_own_clock(town: Town, reads: CityReads) -> None:
    incident_id = town.report()
    worker = Actor("grid_worker:x", "grid_worker", EAST)
    town.act("whistle", incident_id, worker, whistle_kind="hard", reason="难", team_id=town.teams()[0])
    picture = picture_of(reads)
    row = picture.row(incident_id)
    assert row is not None
    assert stage_of(row) == "approve"
    kinds = {part.state for part in row.parts}
    assert kinds == {"review"}
    clock = next_clock(row)
    assert clock is not None
    assert clock[0] in ("review", "accept")


def test_a_suspended_case_has_no_limit_but_keeps_its_place(town: Town, reads: CityReads) -> None:
    incident_id = town.report()
    until = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    town.act("suspend", incident_id, DUTY, reason="等批复", until=until)
    line = DeskLine(TOWN, "zh")
    row = rows_of(line.renew(picture_of(reads)))[incident_id]
    assert row["due"] is None
    assert row["paused"] == "等批复"
    assert row["left"] > 0


def test_rows_are_sent_when_they_change_and_once_more_when_they_end(town: Town, reads: CityReads) -> None:
    east, west = town.report(EAST), town.report(WEST, at=(113.018, 23.008))
    picture = picture_of(reads)
    line = DeskLine(EAST, "zh")
    assert east in rows_of(line.renew(picture))
    assert west not in line.rows
    assert line.changed(picture, [east, west]) is None

    def follow() -> set[int]:
        changes = reads.changes(picture.cursor)
        assert changes is not None
        picture.take_touched()
        for row in changes.rows:
            picture.fold(row)
        picture.cursor = changes.cursor
        return picture.take_touched()

    town.act("accept", east)
    names = rows_of(line.changed(picture, follow()))
    assert names[east]["stage"] == "dispatch"
    assert names[east]["who"] == DISPATCHER.id
    town.act("void", east, reason="重复")
    names = rows_of(line.changed(picture, follow()))
    assert names[east]["stage"] == ""
    assert east not in line.rows


def test_a_burst_is_told_with_the_rows_and_again_when_its_cases_change(town: Town, reads: CityReads) -> None:
    now = datetime.now(UTC)
    picture = Picture(reads.directory(), reads.snapshot(reads.known().calendar.midnight(now)), now)
    policy = picture.directory.bursts
    assert policy is not None
    line = DeskLine(TOWN, "zh")
    before = json.loads(b"{" + line.renew(picture) + b"}")["bursts"]
    assert "暴雨" not in {each["name"] for each in before}

    def follow() -> dict[str, Any]:
        changes = reads.changes(picture.cursor)
        assert changes is not None
        for row in changes.rows:
            picture.fold(row)
        picture.cursor = changes.cursor
        told_rows = line.changed(picture, picture.take_touched())
        assert told_rows is not None
        found: dict[str, Any] = json.loads(b"{" + told_rows + b"}")
        return found

    picture.take_touched()
    storm = town.reports(policy.least, category="0803")
    (burst,) = [each for each in follow()["bursts"] if each not in before]
    assert (burst["name"], burst["ids"]) == ("暴雨", list(map(str, storm)))
    # A step that takes nobody out of it says nothing anew.
    town.act("accept", storm[0])
    assert "bursts" not in follow()
    town.act("void", storm[0], DUTY, reason="误报")
    assert follow()["bursts"] == before


def test_the_queue_is_for_those_signed_in_and_of_their_own_area_alone(reads: CityReads, city: str) -> None:
    async def answers() -> list[int]:
        live = Live(reads, None, demo=True)
        async with live.running():
            app = Starlette(routes=[Route("/desk/{area}", DeskStream(reads, live).stream)])
            found = []
            for login, area in (("", TOWN), ("village", TOWN), ("resident", EAST), ("dispatcher", "445300")):
                client = TestClient(app)
                if login:
                    answer = data.sign_in(reads, login, sessions.DEMO_PASSWORD)
                    assert isinstance(answer, tuple)
                    client.cookies.set(COOKIE, answer[0])
                found.append((await asyncio.to_thread(client.get, f"/desk/{area}")).status_code)
            return found

    assert asyncio.run(answers()) == [401, 404, 404, 404]


def test_the_counts_of_the_bar_are_those_of_the_queue_and_for_those_signed_in(
    town: Town, reads: CityReads, city: str
) -> None:
    late, paused = town.reports(2)
    with psycopg.connect(psycopg_dsn(city), autocommit=True) as connection:
        # As if their limits had been passed; of what is suspended none is.
        connection.execute(
            "update incident set due_at = now() - interval '1 hour', clocks = jsonb_set(clocks, '{accept,due}',"
            " to_jsonb(to_char(now() - interval '1 hour', 'YYYY-MM-DD\"T\"HH24:MI:SSOF') || ':00'))"
            " where id = any(%s)",
            ([late, paused],),
        )
        connection.execute("update incident set paused_why = 'rain' where id = %s", (paused,))
    now = datetime.now(UTC)
    picture = Picture(reads.directory(), reads.snapshot(reads.known().calendar.midnight(now)), now)
    rows = [json.loads(each) for each in _renewed(DeskLine(TOWN, "zh"), picture)]
    expected = [
        row["id"] for row in rows if row["due"] and row["due"] < now.timestamp() * 1000 and not row["paused"]
    ]
    assert str(late) in expected

    async def answers() -> list[Any]:
        live = Live(reads, None, demo=True)
        app = Starlette(routes=[Route("/counts", DeskStream(reads, live).counts)])
        client = TestClient(app)
        found: list[Any] = [client.get("/counts").status_code]
        answer = data.sign_in(reads, "dispatcher", sessions.DEMO_PASSWORD)
        assert isinstance(answer, tuple)
        client.cookies.set(COOKIE, answer[0])
        # Before the first look at the city nothing is known, and nothing is said.
        found.append(client.get("/counts").status_code)
        async with live.running():
            found.append((await asyncio.to_thread(client.get, "/counts")).json())
        return found

    stranger, unknown, known = asyncio.run(answers())
    assert (stranger, unknown) == (401, 503)
    assert known == {"workbench": len(expected), "whistles": picture.counts[TOWN][WHISTLES_OVER]}
    with psycopg.connect(psycopg_dsn(city), autocommit=True) as connection:
        connection.execute("update incident set paused_why = null where id = %s", (paused,))


def _renewed(line: DeskLine, picture: Picture) -> list[bytes]:
    line.renew(picture)
    return list(line.rows.values())


def test_a_desk_hears_the_whole_first_and_then_what_changes(town: Town, reads: CityReads) -> None:
    incident_id = town.report()

    async def heard() -> list[dict[str, Any]]:
        live = Live(reads, None, demo=True)
        names: list[dict[str, Any]] = []
        async with live.running():
            client = Client(None)
            async for message in live.desk(TOWN, "zh", client):
                if b"data: " not in message:
                    continue
                said = json.loads(message.partition(b"data: ")[2])
                if "rows" not in said:
                    continue
                names.append(said)
                if len(names) == 1:
                    await asyncio.to_thread(town.act, "accept", incident_id)
                else:
                    break
        return names

    first, then = asyncio.run(asyncio.wait_for(heard(), 30))
    assert first["full"]
    assert str(incident_id) in {row["id"] for row in first["rows"]}
    assert {row["id"]: row["stage"] for row in then["rows"]}[str(incident_id)] == "dispatch"


# ---- what the panes say ----------------------------------------------------------------------------------------


def shown(page: AppTest) -> str:
    """Return the words that a page says in markup of its own, without the markup."""
    whole = " ".join(each.proto.body for each in page.get("html"))
    return re.sub(r"<style>.*?</style>|<[^>]+>", " ", whole, flags=re.DOTALL)


def test_a_merged_case_says_into_which_it_went(town: Town, reads: CityReads) -> None:
    first, second = town.report(), town.report()
    town.act("merge", second, into=first)
    merged, stays = reads.detail(SYSTEM_EYES, second), reads.detail(SYSTEM_EYES, first)
    assert merged is not None
    assert stays is not None
    told_now = sheet.timeline(merged, reads.directory(), datetime.now(UTC), "zh")
    assert f"→ {show_number(stays.incident.number)}" in told_now


def test_what_is_not_of_today_stands_with_its_day_and_its_hour(town: Town, reads: CityReads) -> None:
    incident_id = town.report()
    town.act("accept", incident_id)
    detail = reads.detail(SYSTEM_EYES, incident_id)
    assert detail is not None
    directory, at = reads.directory(), detail.incident.reported_at
    hour = f"{at.astimezone(names.zone()):%H:%M}"
    for days, lang in ((0, "zh"), (2, "zh"), (2, "en")):
        now = at + timedelta(days=days)
        told_now = sheet.timeline(detail, directory, now, lang)
        assert re.findall(r">(\d\d:\d\d)</time>", told_now)[-1] == hour
        day = f"{at.astimezone(names.zone()):%m-%d}"
        assert (f'<li class="day">{day}</li>' in told_now) is bool(days)
        done = [
            s for s in sheet.clocks(detail.incident, directory.calendar, now, lang) if s["state"] == "done"
        ]
        assert done[0]["text"] == (f"{day} {hour}" if days else hour)


def test_the_strip_says_the_limits_of_what_is_to_come(town: Town, reads: CityReads) -> None:
    found = state(reads, town.report())
    policy, calendar = reads.policy(), reads.directory().calendar
    now = found.reported_at
    strip = sheet.clocks(found, calendar, now, "zh", policy)
    to_come = {step["name"]: step["text"] for step in strip if step["state"].startswith("next")}
    assert to_come["派遣"] == f"限 {limit_words(policy.dispatch[found.severity].text, 'zh')}"
    assert {"签收", "处置", "核查"} <= to_come.keys()
    found.facts["wartime"] = True
    halved = sheet.clocks(found, calendar, now, "zh", policy)
    assert {step["name"]: step["text"] for step in halved}["派遣"] != to_come["派遣"]
    assert not [s for s in sheet.clocks(found, calendar, now, "zh") if s["text"].startswith("限")]


def test_half_a_limit_is_said_as_its_length() -> None:
    assert limit_words("10m/2", "zh") == "5 分钟"
    assert limit_words("15m/2", "en") == "7.5 minutes"
    assert limit_words("3wd", "en") == "3 working days"
    assert (limit_words("1wd", "en"), limit_words("2wd/2", "en")) == ("1 working day", "1 working day")
    assert limit_words("1wd", "zh") == "1 工作日"


def test_every_holder_is_named_whole_however_short_the_stretch(town: Town, reads: CityReads) -> None:
    directory, now = reads.directory(), datetime.now(UTC)
    teams = sorted(directory.teams)[:3]
    edges = [
        now - timedelta(days=2),
        now - timedelta(days=2, minutes=-3),
        now - timedelta(days=2, minutes=-9),
        now,
    ]
    rows = [
        data.SegmentRow(n, f"team/{team}", "dispose", None, begin, end)
        for n, (team, begin, end) in enumerate(zip(teams, edges, edges[1:], strict=False), 1)
    ]
    bar = sheet.ledger(rows, directory, now, "zh")
    visible = re.sub(r"<[^>]+>", " ", bar)
    for team in teams:
        assert directory.teams[team].name in visible
    assert "…" not in visible


def test_where_nobody_is_to_be_sent_the_pane_says_what_to_do_and_why(
    town: Town, reads: CityReads, sign_in: Callable[[str], None]
) -> None:
    sign_in("dispatcher")
    incident_id = town.report()
    page = open_page(id=str(incident_id))
    assert "先受理或不予受理" in shown(page)
    first = bench.case(reads, DISPATCHER, incident_id, datetime.now(UTC))
    assert first is not None
    # Who could go is seen before it is accepted, but nobody can be chosen yet.
    assert names.team(reads.directory(), first.detail.offers[0].team.id, "zh") in shown(page)
    assert not [each for each in page.button if str(each.key).startswith("wb-choose-")]
    team = town.teams()[0]
    town.act("accept", incident_id)
    town.act("dispatch", incident_id, team_id=team)
    crew = Actor("team:crew", "team", TOWN, team)
    town.act("pick_up", incident_id, crew)
    town.act("dispose", incident_id, crew, result="人已散去")
    words = shown(open_page(id=str(incident_id)))
    assert "核查处置结果" in words
    assert "不再派人" in words
    assert "人已散去" in words


def test_a_role_that_may_not_take_the_next_step_is_told_whose_it_is(
    town: Town, sign_in: Callable[[str], None]
) -> None:
    sign_in("leader")
    words = shown(open_page(id=str(town.report()), lang="en"))
    assert "The next step is for" in words
    assert "Dispatcher" in words


def test_no_two_steps_that_may_stand_beside_each_other_share_a_key() -> None:
    for state in STATES:
        beside = [verb for verb, step in STEPS.items() if state in step.sources and verb in offers.KEYS]
        assert len({offers.KEYS[verb] for verb in beside}) == len(beside), (state, beside)
    # Streamlit's own, those of the queue, of the filled button and of the tick of closing.
    assert not set("CRDEFGHN") & set(offers.KEYS.values())
    assert {"reject", "rework", "recode", "add_assist", "recall_assist"} <= offers.KEYS.keys()
    assert len(set(bulk.KEYS.values())) == len(bulk.KEYS)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_legend_names_every_key(reads: CityReads, lang: str) -> None:
    who = sessions.Viewer(1, "dispatcher", "x", DISPATCHER)
    columns = legend.legend(frame.Frame(lang, translator(lang), who, reads))
    told_keys = {key for column in columns for key, _ in column}
    assert {*offers.KEYS.values(), offers.MET_KEY, "D", "E", "F", "N", "0", "8", "9", "Enter"} <= told_keys
    assert {key.replace("Shift+", "⇧") for key in bulk.KEYS.values()} <= told_keys


def test_another_type_is_chosen_and_never_stands_there_by_itself(
    town: Town, reads: CityReads, sign_in: Callable[[str], None]
) -> None:
    sign_in("dispatcher")
    incident_id = town.report()
    page = open_page(id=str(incident_id))
    checked(button(page, "wb-do-recode").click().run())
    asked = next(each for each in page.selectbox if str(each.key).endswith("-category"))
    assert asked.value is None
    assert state(reads, incident_id).category not in asked.options
