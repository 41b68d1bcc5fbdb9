"""Proves whose hand may take a step: nobody judges their own work, and whoever may not is told why in words."""

from __future__ import annotations

import copy

import pytest

from dispatch.rules.incident.chain import Actor, lawful, reporter_of
from dispatch.rules.incident.effects import sampled
from tests.small_law import (
    CITY,
    COUNTY_DESK,
    CREW,
    DISPATCHER,
    DUTY,
    FAR_TOWN,
    GRID_TEAM,
    HEAD,
    JOINT,
    MAJOR,
    POLICE,
    RESIDENT,
    SMALL,
    TOWN,
    VILLAGE,
    VILLAGE_DESK,
    WORKER,
    Case,
)
from tests.walks import DAY, check, check_words
from tests.ways import STRANGER, standing


def test_a_resident_acts_on_no_report_but_their_own() -> None:
    """With a contact its token proves it, without one the receipt; a number never stands in for a contact."""
    for token, own in (("a1b2c3d4e5f60718", "resident@a1b2c3d4e5f60718"), ("", RESIDENT.id)):
        case = Case(JOINT, reporter=token)
        assert reporter_of(case.incident) == own
        for wrong in ("resident@", "resident@0000000000000002", "a1b2c3d4e5f60718", f"resident@{VILLAGE}"):
            stranger = Actor(wrong, "resident", CITY)
            assert case.refused("note", stranger, note="补充") == "not_yours"
            assert lawful(case.incident, stranger) == []
        if token:
            assert case.refused("note", RESIDENT, note="补充") == "not_yours"
        case.do("note", Actor(own, "resident", FAR_TOWN), note="补充")
        assert case.incident.facts.get("reporter", "") == token
    closed = standing("closed")
    for verb, args in (("rate", {"rating": 1}), ("reopen", {"reason": "没解决"})):
        assert closed.refused(verb, STRANGER, **args) == "not_yours"
    check(case)


def test_a_commander_is_named_for_major_matters_before_disposal_and_once() -> None:
    """The record says whom; another may follow, the same one again is refused."""
    assert standing("accepted").refused("name_commander", DUTY, commander="person/11") == "not_mode"
    case = Case(MAJOR)
    first = case.events[-1].change.said["commander"]
    assert first == case.incident.facts["commander"] == f"duty/{TOWN}"
    refusal = case.ask("name_commander", DUTY, commander=first)
    assert refusal is not None
    assert refusal.code == "same_commander"
    check_words(refusal)
    case.do("name_commander", DUTY, commander="person/30")
    assert case.events[-1].change.said["commander"] == case.incident.facts["commander"] == "person/30"
    assert case.refused("name_commander", DUTY, commander="person/30") == "same_commander"
    case.do("pick_up", CREW).do("dispose", CREW, result="已处置")
    assert case.refused("name_commander", DUTY, commander="person/31") == "not_now"
    check(case)


def test_nobody_verifies_or_returns_their_own_disposal() -> None:
    """Neither the one who disposed of it, nor a colleague of the same team, also after a rework."""
    same_person = Actor(CREW.id, "grid_head", TOWN)
    colleague = Actor("person/55", "grid_worker", TOWN, POLICE)
    case = standing("disposed")
    for _ in range(2):
        for actor in (same_person, colleague):
            assert case.refused("verify", actor) == "same_hand"
            assert case.refused("rework", actor, reason="自己返工") == "same_hand"
        case.do("rework", HEAD, reason="还有问题")
        assert case.incident.disposed_at is None, "what must be done again is not disposed of"
        case.do("pick_up", CREW).do("dispose", CREW, result="再次处置")
    assert case.incident.facts["reworks"] == 2
    case.do("verify", HEAD)
    check(case)


def test_whoever_disposed_last_is_the_one_who_may_not_verify() -> None:
    """After a rework by another hand, the first hand is independent again."""
    case = standing("reported")
    case.do("solve", WORKER, result="当场解决")
    colleague = Actor("person/56", "grid_worker", WORKER.area_code, GRID_TEAM)
    assert case.refused("verify", WORKER) == case.refused("verify", colleague) == "same_hand"
    case.do("rework", DISPATCHER, reason="没解决")
    assert case.incident.state == "accepted", "a grid worker's own work goes back to the dispatcher"
    case.do("dispatch", DISPATCHER, team_id=POLICE).do("pick_up", CREW).do("dispose", CREW, result="已处置")
    assert case.incident.facts["solved_in_grid"] is False
    case.do("verify", WORKER)
    check(case)


def test_a_dispatcher_may_not_put_an_end_to_what_a_department_returned() -> None:
    """Neither by voiding it nor by closing; a higher desk may."""
    case = standing("dispatched")
    case.do("decline", CREW, return_kind="not_ours", reason="不归我们")
    assert case.refused("void", DISPATCHER, reason="算了") == "returned_not_closed"
    case.do("void", COUNTY_DESK, reason="重复件")
    check(case)


@pytest.mark.parametrize("rating", [0, 6, 4.5, "5", True, [5]])
def test_a_rating_is_a_whole_number_from_one_to_five(rating: object) -> None:
    """A truth value is no rating."""
    assert standing("closed").refused("rate", RESIDENT, rating=rating) == "rating"


def test_a_rating_after_closing_touches_no_segment() -> None:
    """The last one ended with the case."""
    case = standing("closed")
    past, ended = copy.deepcopy(case.incident.past), case.incident.ended_at
    case.do("rate", RESIDENT, case.now + DAY, rating=2)
    assert (case.incident.past, case.incident.ended_at, case.incident.rating) == (past, ended, 2)
    check(case)


@pytest.mark.parametrize("ticked", [False, "yes", 1])
def test_closing_needs_the_standard_ticked_and_nothing_like_it(ticked: object) -> None:
    """Only true is true."""
    assert standing("verified").refused("close", DUTY, standard=ticked) == "standard"


def test_a_small_matter_that_nobody_checked_is_closed_by_another_hand() -> None:
    """The village that solved it does not close it."""
    photos = ("https://x/1.jpg", "https://x/2.jpg")
    number = next(n for n in range(1, 1000) if not sampled(n))
    case = Case(SMALL, number=number, routed=False)
    assert case.refused("solve", VILLAGE_DESK, result="好了", photos=photos[:1]) == "two_photos"
    case.do("solve", VILLAGE_DESK, result="好了", photos=photos)
    assert case.incident.state == "verified"
    assert case.refused("close", VILLAGE_DESK, standard=True) == "same_hand"
    case.do("close", DISPATCHER, standard=True)
    check(case)


def test_one_small_matter_in_twenty_is_drawn_for_a_check() -> None:
    """By its number alone, so that nobody knows before and everybody can check after."""
    share = sum(sampled(n) for n in range(20_000)) / 20_000
    assert 0.045 < share < 0.055
    number = next(n for n in range(1, 1000) if sampled(n))
    case = Case(SMALL, number=number, routed=False)
    case.do("solve", WORKER, result="好了", photos=("https://x/1.jpg", "https://x/2.jpg"))
    assert case.incident.state == "disposed"


def test_a_position_that_is_no_position_is_refused_with_a_sentence() -> None:
    """Words, too few numbers and far away, where the incident has a point."""
    case = Case(JOINT, lon=112.0, lat=22.9, located="point").do("accept", DISPATCHER)
    case.do("dispatch", DISPATCHER, team_id=POLICE).do("pick_up", CREW)
    for position in (None, "here", ["a", "b"], [112.0], [None, None]):
        assert case.refused("arrive", CREW, position=position) == "no_position"
    for position in ([113.0, 22.9], [float("nan"), 22.9]):
        refusal = case.ask("arrive", CREW, position=position)
        assert refusal is not None
        assert refusal.code == "not_near"
        check_words(refusal)
    case.do("arrive", CREW, position=[112.001, 22.9])
    check(case)
