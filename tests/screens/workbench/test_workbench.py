"""Proves the workbench: what a press does to one case and to many, who was quicker, and that nobody acts beyond."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.casework import bulk, sheet
from dashboard.components import sentences
from dashboard.data import CityReads
from dashboard.data import workbench as bench
from dashboard.wording import names
from dashboard.wording.catalogue import translator
from dispatch.rules.incident.chain import Actor
from tests.beside_the_desk import DISPATCHER, SYSTEM_EYES, Town, button, checked, open_page, state, states

ELSEWHERE = Actor("dispatcher:far", "dispatcher", "990901002")


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
