"""Roads around the law that somebody under pressure would try: each leads nowhere."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from dispatch.rules.incident.effects import sampled
from dispatch.rules.incident.values import SYSTEM, Actor, Incident
from dispatch.rules.policy.policy import MODES
from tests.small_law import (
    CITY,
    CITY_DESK,
    COUNTY,
    COUNTY_DESK,
    CREW,
    DISPATCHER,
    DUTY,
    FAR_TOWN,
    GRID_CREW,
    GRID_TEAM,
    HEAD,
    JOINT,
    MAJOR,
    MICRO,
    MONDAY,
    NOBODY,
    OTHER_CREW,
    OTHER_POLICE,
    POLICE,
    RESIDENT,
    SMALL,
    TOWN,
    WORKER,
    Case,
    local,
)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WATER = 7
WATER_CREW = Actor("person/70", "team", COUNTY, WATER)


def in_hand() -> Case:
    """Return a theft that the police picked up on Monday at nine: three working days, 24 hours."""
    case = Case(JOINT).do("accept", DISPATCHER).do("dispatch", DISPATCHER, team_id=POLICE)
    return case.do("pick_up", CREW)


def closed(case: Case, crew: Actor = CREW) -> Case:
    """Let a team dispose of it, another hand check it and the town close it."""
    return case.do("dispose", crew, result="已处置").do("verify", DUTY).do("close", DUTY, standard=True)


def hours_left(case: Case) -> float:
    """Return the working hours that the lead has left to dispose of it."""
    assert case.incident.lead is not None
    due = case.incident.lead.clocks["dispose"].due
    assert due is not None
    return case.policy.calendar.worked(case.now, due) / 3600


def test_nobodys_time_begins_anew_by_way_of_another_team() -> None:
    """Sent to and fro between two teams, or given back between, a team goes on with what it had left."""
    case = in_hand().do("reassign", DISPATCHER, local("2026-03-03 09:00"), team_id=OTHER_POLICE, reason="忙")
    assert hours_left(case) == 24
    case.do("reassign", DISPATCHER, team_id=POLICE, reason="还是你们")
    assert hours_left(case) == 16
    case.do("pick_up", CREW).do("decline", CREW, local("2026-03-03 11:00"), return_kind="other", reason="忙")
    case.do("dispatch", DISPATCHER, team_id=POLICE)
    assert hours_left(case) == 14
    case.do("reassign", DISPATCHER, local("2026-03-04 11:00"), team_id=OTHER_POLICE, reason="忙")
    case.do("reassign", DISPATCHER, team_id=POLICE, reason="还是你们")
    assert hours_left(case) == 6
    case.do("reassign", DISPATCHER, local("2026-03-05 11:00"), team_id=OTHER_POLICE, reason="忙")
    case.do("reassign", DISPATCHER, team_id=POLICE, reason="还是你们")
    assert hours_left(case) == -2
    assert case.incident.lead is not None
    assert case.incident.lead.clocks["dispose"].state == "breached"


def test_a_reopened_case_gives_a_team_of_its_former_life_a_new_clock() -> None:
    """What it gave back then is over."""
    case = in_hand().do("decline", CREW, local("2026-03-03 09:00"), return_kind="other", reason="忙")
    case.do("dispatch", DISPATCHER, team_id=OTHER_POLICE).do("pick_up", OTHER_CREW)
    closed(case, OTHER_CREW).do("reopen", DUTY, case.now + DAY, reason="没解决")
    case.do("dispatch", DISPATCHER, team_id=POLICE)
    assert hours_left(case) == 24


def test_a_reopened_major_matter_calls_its_units_again() -> None:
    """Those of its former life have gone home, and are no second unit."""
    case = closed(Case(MAJOR).do("pick_up", CREW)).do("reopen", DUTY, MONDAY + HOUR, reason="没解决")
    case.do("dispatch", DISPATCHER, team_id=POLICE).do("pick_up", CREW)
    assert [
        (p.team_id, p.role) for p in case.incident.parts.values() if p.state in ("sent", "picked_up")
    ] == [
        (POLICE, "lead"),
        (GRID_TEAM, "assist"),
    ]
    case.do("recall_assist", DISPATCHER, team_id=GRID_TEAM, reason="不需要")
    assert case.refused("dispose", CREW, result="已处置") == "major"


def test_a_unit_whose_whistle_has_been_ended_still_counts_as_one_of_two() -> None:
    """It came and it helped: sent back for rework, the matter is not stuck for want of it."""
    case = Case(MAJOR).do("pick_up", CREW).do("recall_assist", DISPATCHER, team_id=GRID_TEAM, reason="换人")
    case.do("whistle", WORKER, whistle_kind="hard", reason="难", team_id=WATER).do("send_whistle", DISPATCHER)
    case.do("pick_up", WATER_CREW).do("dispose", WATER_CREW, result="已关阀").do(
        "dispose", CREW, result="已处置"
    )
    case.do("end_whistle", WORKER).do("rework", DUTY, reason="还在漏").do("pick_up", CREW)
    case.do("dispose", CREW, result="已处置")


def test_solved_in_the_grid_the_limit_counts_no_suspension_and_begins_anew_when_reopened() -> None:
    """Three working days: from the report, moved on by what was suspended, or from the reopening."""
    # One of 24 hours had run: 23 are left from the 16th at nine.
    last = local("2026-03-18 18:00")
    for at, in_time in ((last, True), (last + timedelta(microseconds=1), False)):
        case = Case(JOINT).do("accept", DISPATCHER, MONDAY + HOUR)
        case.do("suspend", DUTY, reason="等汛期过", until=MONDAY + 20 * DAY)
        case.do("resume", DUTY, MONDAY + 14 * DAY)
        assert case.do("solve", WORKER, at, result="好了").incident.disposed_on_time is in_time
    again = closed(in_hand()).do("reopen", DUTY, MONDAY + 9 * DAY, reason="没解决")
    assert again.do("solve", WORKER, again.now + HOUR, result="好了").incident.disposed_on_time is True


def test_no_team_ends_or_rates_its_own_whistle_and_no_ordinary_part_is_rated_as_one() -> None:
    """The blower rates another's work; who blew for the own team may end it and has no say on how it was."""
    case = Case(JOINT).do("accept", DISPATCHER)
    case.do("whistle", WORKER, whistle_kind="hard", reason="难", team_id=GRID_TEAM).do(
        "send_whistle", DISPATCHER
    )
    case.do("pick_up", GRID_CREW).do("dispose", GRID_CREW, result="已处置").do("end_whistle", WORKER)
    assert case.refused("rate_whistle", WORKER, rating=5) == "own_work"
    plain = in_hand().do("dispose", CREW, result="已处置")
    [part] = plain.incident.parts.values()
    assert plain.refused("end_whistle", HEAD, assignment_id=part.id) == "not_now"


def test_a_dissatisfied_reporters_rating_is_nobody_elses_to_change() -> None:
    """A five over it would take the right to have it opened again."""
    case = closed(in_hand()).do("rate", RESIDENT, rating=1)
    assert case.refused("rate", HEAD, rating=5) == "rated"
    assert case.refused("rate", SYSTEM, rating=5) == "rated"
    assert case.do("rate", RESIDENT, rating=2).incident.rating == 2
    # In its next life whoever calls back is asked anew.
    case.do("reopen", RESIDENT, reason="没解决").do("dispatch", DISPATCHER, team_id=POLICE).do(
        "pick_up", CREW
    )
    assert closed(case).do("rate", HEAD, rating=4).incident.rating == 4


def test_nobody_rates_what_they_solved() -> None:
    """Nor does anybody of their team."""
    case = Case(JOINT).do("solve", WORKER, result="好了").do("verify", DUTY).do("close", DUTY, standard=True)
    assert case.refused("rate", WORKER, rating=5) == "own_work"
    case.do("rate", HEAD, rating=4)


def test_who_helped_to_settle_it_checks_nothing() -> None:
    """An assisting unit is no independent eye."""
    case = Case(MAJOR).do("pick_up", CREW).do("pick_up", GRID_CREW).do("dispose", GRID_CREW, result="已疏散")
    case.do("dispose", CREW, result="已处置")
    assert case.refused("verify", WORKER) == "same_hand"
    case.do("verify", HEAD)


def test_a_new_role_makes_nobody_another_person() -> None:
    """Whoever disposed of it as a grid worker does not check it as the town's dispatcher, nor judge twice."""
    case = Case(JOINT).do("solve", Actor("grid_worker:chen", "grid_worker", MICRO), result="好了")
    assert case.refused("verify", Actor("dispatcher:chen", "dispatcher", TOWN)) == "same_hand"
    case.do("verify", Actor("dispatcher:li", "dispatcher", TOWN)).do("close", DUTY, standard=True)
    assert case.refused("rate", Actor("grid_head:chen", "grid_head", MICRO), rating=5) == "own_work"
    case.do("appeal", Actor("duty_leader:wu", "duty_leader", TOWN), reason="停电")
    judged: dict[str, Any] = {"granted": True, "reason": "属实"}
    assert case.refused("judge_appeal", Actor("county:wu", "county", COUNTY), **judged) == "own_appeal"
    case.do("judge_appeal", Actor("county:he", "county", COUNTY), **judged)
    assert case.refused("judge_appeal", Actor("city:he", "city", CITY), **judged) == "own_appeal"


def test_one_photo_twice_is_no_before_and_after_and_a_reopened_small_matter_is_checked() -> None:
    """Whatever its number says."""
    number = next(n for n in range(1, 100) if not sampled(n))
    case = Case(SMALL, routed=False, number=number)
    assert case.refused("solve", WORKER, result="好了", photos=["一.jpg", "一.jpg"]) == "two_photos"
    case.do("solve", WORKER, result="好了", photos=["前.jpg", "后.jpg"])
    assert case.incident.state == "verified"
    case.do("close", DUTY, standard=True).do("reopen", DUTY, reason="又有了")
    case.do("solve", WORKER, result="好了", photos=["前.jpg", "后.jpg"])
    assert case.incident.state == "disposed"


@pytest.mark.parametrize(("area", "refused"), [(MICRO, None), (f"{FAR_TOWN}001", "no_other")])
def test_nobody_merges_into_what_lies_outside_their_area(area: str, refused: str | None) -> None:
    """The other one changes with it, so it is answered like one that does not exist."""
    case = Case(JOINT)
    case.beside(Incident(102, number=77, state="reported", area_code=area))
    answer = case.ask("merge", DISPATCHER, into=102)
    assert (answer.code if answer else None) == refused


def test_what_had_taken_in_another_brings_it_along_when_it_is_merged() -> None:
    """One into two, two into three: the third report of a matter lifts its mode by this road too."""
    more: dict[str, Any] = {"with": [1]}
    case = Case(JOINT).do("absorb", SYSTEM, merged=2, **more)
    assert case.incident.facts["absorbed"] == [2, 1]
    assert case.incident.mode == MODES[MODES.index("joint") + 1]
    assert case.do("absorb", SYSTEM, merged=4, **more).incident.mode == "whistle"


def test_the_county_takes_nothing_out_of_the_citys_hands() -> None:
    """What the city took over it alone hands down; what has only gone up stays in its eyes."""
    case = Case(JOINT).do("take_over", CITY_DESK, reason="市里来办")
    assert case.refused("hand_down", COUNTY_DESK, reason="给镇里") == "held_above"
    assert case.refused("take_over", COUNTY_DESK, reason="县里来办") == "held_above"
    assert case.do("hand_down", CITY_DESK, reason="县里来办").incident.level == 2
    case = Case(JOINT).do("escalate", DUTY, reason="急").do("escalate", COUNTY_DESK, reason="急")
    case.do("take_over", COUNTY_DESK, reason="县里来办")
    assert (case.incident.level, case.incident.holder) == (1, f"centre/{COUNTY}")


def test_an_extension_that_was_asked_for_goes_with_whoever_asked() -> None:
    """Given back, taken away or done: nobody is shown a wish that nobody has any more."""
    for verb, actor, args in (
        ("decline", CREW, {"return_kind": "other", "reason": "忙"}),
        ("reassign", DISPATCHER, {"reason": "忙", "team_id": OTHER_POLICE}),
        ("dispose", CREW, {"result": "已处置"}),
    ):
        case = in_hand().do("ask_extension", CREW, limit="4wh", reason="等配件")
        assert case.do(verb, actor, **args).incident.facts["extension_asked"] is None


def test_an_exemption_is_of_the_life_that_was_appealed_and_each_life_is_appealed_once() -> None:
    """A storm in one life excuses nothing in the next, whose holder may ask for their own."""
    case = closed(in_hand()).do("appeal", CREW, reason="台风")
    assert case.refused("appeal", CREW, reason="又来") == "appealed"
    granted: dict[str, Any] = {"granted": True, "reason": "属实", "never_theirs": True}
    case.do("judge_appeal", COUNTY_DESK, **granted).do("judge_appeal", CITY_DESK, **granted)
    case.do("reopen", DUTY, case.now + DAY, reason="没解决")
    facts = case.incident.facts
    assert (facts["exempt"], facts["never_theirs"]) == (None, None)
    assert (facts["former"][0]["exempt"], facts["former"][0]["never_theirs"]) == ("台风", True)
    case.do("dispatch", DISPATCHER, team_id=OTHER_POLICE).do("pick_up", OTHER_CREW)
    closed(case, OTHER_CREW).do("appeal", OTHER_CREW, reason="停电")
    # Opened again while it waits: the answer still is about the second life, and the third may ask after it.
    case.do("reopen", DUTY, case.now + DAY, reason="还没解决")
    case.do("dispatch", DISPATCHER, team_id=POLICE).do("pick_up", CREW)
    closed(case)
    assert case.refused("appeal", CREW, reason="我也要") == "appealed"
    case.do("judge_appeal", COUNTY_DESK, granted=True, reason="属实")
    case.do("judge_appeal", CITY_DESK, granted=True, reason="属实")
    assert [life["exempt"] for life in case.incident.facts["former"]] == ["台风", "停电"]
    assert case.incident.facts["exempt"] is None
    case.do("appeal", CREW, reason="我也要")


def test_an_appeal_that_waits_keeps_its_case_out_of_the_archive() -> None:
    """Nothing is judged in the archive: putting it there would be an answer that nobody gave."""
    case = closed(in_hand()).do("appeal", CREW, reason="台风")
    assert case.refused("archive", CITY_DESK) == "appeal_waits"
    case.do("judge_appeal", COUNTY_DESK, granted=False, reason="不属实").do("archive", CITY_DESK)


def test_another_type_is_no_way_out_of_a_limit_that_was_passed_and_not_yet_noted() -> None:
    """The clock stands past its limit whether or not the sweep has come by."""
    case = Case(JOINT)
    due = case.incident.clocks["accept"].due
    assert due is not None
    case.do("recode", DISPATCHER, due + timedelta(seconds=1), category=NOBODY, reason="其实是咨询")
    assert case.incident.clocks["accept"].due == due
    case.do("accept", DISPATCHER)
    assert case.incident.clocks["accept"].state == "breached"


def test_a_dispute_that_was_settled_once_is_not_settled_again_by_silence() -> None:
    """What the first disposal said is over when the second says nothing."""
    case = in_hand().do("dispose", CREW, result="调解成功", settled=True).do("rework", DUTY, reason="又吵了")
    case.do("pick_up", CREW).do("dispose", CREW, result="去过了")
    assert case.incident.facts["settled"] is False
