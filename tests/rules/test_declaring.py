"""Wartime needs two persons of the county or city, over an area of theirs, for a time; and halves limits to a floor."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from dispatch.rules.incident.chain import Actor, open_report
from dispatch.rules.refusals import Refusal
from dispatch.rules.wartime import LONGEST, Declaration, Wartime, declare, end, lapse
from tests.small_law import (
    CITY,
    CITY_DESK,
    COUNTY,
    COUNTY_DESK,
    DISPATCHER,
    FAR_TOWN,
    JOINT,
    LEADER,
    MAJOR,
    MICRO,
    MONDAY,
    NEXT_TOWN,
    OTHER_COUNTY,
    TOWN,
    context,
    report,
    small_policy,
)

HOUR = timedelta(hours=1)
WISH = Declaration(TOWN, 3, "flood", "台风将至", "县长", COUNTY_DESK, CITY_DESK, MONDAY + 24 * HOUR)
OTHER_DESK = Actor("person/31", "county", OTHER_COUNTY)


def declared(**changes: object) -> Wartime:
    answer = declare(replace(WISH, **changes), (), MONDAY)  # type: ignore[arg-type]
    assert not isinstance(answer, Refusal), answer.words("en")
    return replace(answer, id=1)


def test_a_declaration_keeps_who_when_why_and_until() -> None:
    assert declared() == Wartime(
        1, TOWN, 3, "flood", "台风将至", "县长", COUNTY_DESK.id, CITY_DESK.id, MONDAY, MONDAY + 24 * HOUR
    )


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"approved_by": COUNTY_DESK}, "one_person"),
        ({"declared_by": DISPATCHER}, "not_role"),
        ({"approved_by": LEADER}, "not_role"),
        ({"declared_by": OTHER_DESK}, "wartime_area"),
        ({"approved_by": OTHER_DESK}, "wartime_area"),
        ({"area_code": FAR_TOWN}, "wartime_area"),
        ({"area_code": CITY}, "wartime_area"),
        ({"level": 0}, "wartime_level"),
        ({"level": 5}, "wartime_level"),
        ({"level": "2"}, "wartime_level"),
        ({"level": True}, "wartime_level"),
        ({"kind": "war"}, "wartime_kind"),
        ({"level": 1, "declared_by": CITY_DESK, "approved_by": COUNTY_DESK}, "wartime_red"),
        ({"reason": " \n"}, "needs"),
        ({"reason": "长" * 501}, "needs"),
        ({"commander": ""}, "needs"),
        ({"until": MONDAY}, "wartime_until"),
        ({"until": MONDAY + LONGEST + timedelta(microseconds=1)}, "wartime_until"),
    ],
)
def test_what_is_wrong_with_a_declaration_is_said_in_both_languages(
    changes: dict[str, object], code: str
) -> None:
    refusal = declare(replace(WISH, **changes), (), MONDAY)  # type: ignore[arg-type]
    assert isinstance(refusal, Refusal)
    assert refusal.code == code
    assert re.search(r"[\u4e00-\u9fff]", refusal.words("zh"))
    assert refusal.words("en").isascii() or code == "wartime_kind"


def test_the_highest_level_is_approved_by_the_city_and_the_longest_time_may_be_asked() -> None:
    assert declared(level=1, until=MONDAY + LONGEST).level == 1


def test_an_area_in_wartime_is_not_declared_again_nor_any_inside_it() -> None:
    held = (declared(area_code=COUNTY),)
    for area in (COUNTY, TOWN, MICRO):
        refusal = declare(replace(WISH, area_code=area), held, MONDAY + HOUR)
        assert isinstance(refusal, Refusal)
        assert refusal.code == "in_wartime"
        assert COUNTY_DESK.id in refusal.words("zh")
    # Beside it and above it is another matter, and so is the same area once its time is over.
    inside = (declared(),)
    for area, at in ((NEXT_TOWN, HOUR), (COUNTY, HOUR), (TOWN, 24 * HOUR)):
        again = declare(replace(WISH, area_code=area, until=MONDAY + 48 * HOUR), inside, MONDAY + at)
        assert isinstance(again, Wartime), area


def test_ending_says_who_when_and_why() -> None:
    ended = end(declared(), COUNTY_DESK, " 台风已过 ", MONDAY + HOUR)
    assert isinstance(ended, Wartime)
    assert (ended.ended_at, ended.ended_by, ended.end_reason) == (MONDAY + HOUR, COUNTY_DESK.id, "台风已过")
    assert not ended.in_force(MONDAY + HOUR)


@pytest.mark.parametrize(
    ("actor", "reason", "hours", "code"),
    [
        (DISPATCHER, "过", 1, "not_role"),
        (OTHER_DESK, "过", 1, "wartime_area"),
        (COUNTY_DESK, "", 1, "needs"),
        (COUNTY_DESK, "过", 24, "not_in_wartime"),
        (COUNTY_DESK, "过", -1, "not_in_wartime"),
    ],
)
def test_whoever_may_not_end_it_is_refused(actor: Actor, reason: str, hours: int, code: str) -> None:
    refusal = end(declared(), actor, reason, MONDAY + hours * HOUR)
    assert isinstance(refusal, Refusal)
    assert refusal.code == code


def test_what_is_not_on_or_has_ended_cannot_be_ended() -> None:
    ended = end(declared(), COUNTY_DESK, "台风已过", MONDAY + HOUR)
    assert isinstance(ended, Wartime)
    for one in (None, ended, lapse(declared())):
        refusal = end(one, COUNTY_DESK, "再来", MONDAY + 2 * HOUR)
        assert isinstance(refusal, Refusal)
        assert refusal.code == "not_in_wartime"


def test_what_is_opened_in_wartime_has_half_of_every_limit_and_no_less_than_three_minutes() -> None:
    place = replace(context(), wartime=(COUNTY,))
    for category, minutes in ((JOINT, 5), (MAJOR, 3)):  # ten and five minutes to accept
        change = open_report(report(category, MICRO), small_policy(), place, MONDAY)
        assert not isinstance(change, Refusal)
        assert change.clocks["accept"].due == MONDAY + timedelta(minutes=minutes)
        assert change.facts["wartime"] is True
    outside = open_report(report(JOINT, "44532100100100001"), small_policy(), place, MONDAY)
    assert not isinstance(outside, Refusal)
    assert outside.clocks["accept"].due == MONDAY + timedelta(minutes=10)
    assert "wartime" not in outside.facts
