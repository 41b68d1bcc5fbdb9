"""Proves what the panes of a case say: its time and limits, its holders, and what to do where nobody is to be sent."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from streamlit.testing.v1 import AppTest

from dashboard import data
from dashboard.casework import sheet
from dashboard.data import CityReads
from dashboard.data import workbench as bench
from dashboard.wording import names
from dashboard.wording.catalogue import limit_words
from dispatch.intake.messages import show_number
from dispatch.rules.incident.chain import Actor
from tests.beside_the_desk import DISPATCHER, SYSTEM_EYES, Town, button, checked, open_page, state
from tests.small_city import TOWN


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
