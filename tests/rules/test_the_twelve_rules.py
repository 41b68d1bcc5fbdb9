"""The twelve rules that other systems got wrong, each by its number."""

from __future__ import annotations

from datetime import timedelta

from dispatch.rules import clocks, escalation
from dispatch.rules.incident import SYSTEM, Actor
from dispatch.rules.policy import MODES
from tests.small_law import (
    COUNTY,
    CREW,
    DISPATCHER,
    DUTY,
    HEAD,
    JOINT,
    MAJOR,
    MONDAY,
    OTHER_CREW,
    OTHER_POLICE,
    POLICE,
    RESIDENT,
    SMALL,
    WHISTLE,
    Case,
    local,
)

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
WATER, GAS = 7, 8
WATER_CREW = Actor("person/70", "team", COUNTY, WATER)


def sent(**rest: object) -> Case:
    """Return an ordinary incident that was sent to the police at nine."""
    return Case(JOINT, **rest).do("accept", DISPATCHER).do("dispatch", DISPATCHER, team_id=POLICE)  # type: ignore[arg-type]


def closed() -> Case:
    """Return one that the police settled and the town closed, an hour after it was reported."""
    case = sent().do("pick_up", CREW).do("dispose", CREW, MONDAY + HOUR, result="已处置")
    return case.do("verify", HEAD).do("close", DUTY, standard=True)


def test_rule_01_one_lead_is_alive_and_an_act_on_one_assignment_touches_no_other() -> None:
    case = sent().do("add_assist", DISPATCHER, team_id=WATER).do("add_assist", DISPATCHER, team_id=GAS)
    before = dict(case.incident.parts)
    case.do("pick_up", WATER_CREW, MONDAY + 5 * MINUTE)
    changed = {p.team_id for key, p in case.incident.parts.items() if p != before[key]}
    assert changed == {WATER}
    assert case.incident.state == "dispatched"
    assert [p.team_id for p in case.incident.parts.values() if p.role == "lead"] == [POLICE]


def test_rule_02_reassigning_takes_it_at_once_and_each_keeps_the_time_it_held() -> None:
    case = sent().do("reassign", DISPATCHER, MONDAY + HOUR, team_id=OTHER_POLICE, reason="就近")
    assert case.incident.part_of(POLICE) is None
    assert case.refused("pick_up", CREW) == "not_team"
    case.do("pick_up", OTHER_CREW, MONDAY + 3 * HOUR)
    held = {s.holder: s.ended_at - s.began_at for s in case.incident.past}
    assert (held[f"team/{POLICE}"], held[f"team/{OTHER_POLICE}"]) == (HOUR, 2 * HOUR)


def test_rule_03_a_return_pauses_the_disposal_clock_and_runs_the_dispatch_clock() -> None:
    case = sent().do("pick_up", CREW)
    assert case.refused("decline", CREW) == "needs"
    case.do("decline", CREW, MONDAY + HOUR, reason="不归我们")
    [returned] = case.incident.parts.values()
    assert returned.clocks["dispose"].state == "paused"
    assert case.incident.clocks["dispatch"].since == case.now
    # Three days of eight hours, one of them gone: the same team has the rest, another the whole.
    assert returned.clocks["dispose"].left == 23 * 3_600
    case.do("dispatch", DISPATCHER, local("2026-03-03 08:00"), team_id=POLICE)
    assert case.incident.lead is not None
    assert case.incident.lead.clocks["dispose"].due == local("2026-03-05 17:00")
    case.do("reassign", DISPATCHER, team_id=OTHER_POLICE, reason="就近")
    assert case.incident.lead.clocks["dispose"].due == local("2026-03-05 18:00")


def test_rule_03_a_dispatcher_may_not_close_what_a_department_returned() -> None:
    case = sent().do("decline", CREW, reason="不归我们")
    assert case.refused("void", DISPATCHER, reason="算了") == "returned_not_closed"
    case.do("dispatch", DISPATCHER, team_id=POLICE).do("pick_up", CREW)
    case.do("dispose", CREW, result="已处置").do("verify", HEAD)
    assert case.refused("close", DISPATCHER, standard=True) == "returned_not_closed"
    case.do("close", DUTY, standard=True)


def test_rule_04_two_extensions_at_most_and_none_once_overdue() -> None:
    case = sent().do("pick_up", CREW)
    assert case.incident.lead is not None
    for _ in range(2):
        case.do("ask_extension", CREW, limit="1ud", reason="等").do("grant_extension", DUTY)
    assert case.refused("ask_extension", CREW, limit="1ud", reason="等") == "extended_twice"
    late = sent().do("pick_up", CREW)
    late.now = MONDAY + 30 * DAY
    assert late.refused("ask_extension", CREW, limit="1ud", reason="等") == "extension_late"


def test_rule_04_a_suspension_needs_one_above_and_an_end_and_raises_no_alarm() -> None:
    case = sent()
    until = MONDAY + 9 * DAY
    assert case.refused("suspend", DISPATCHER, reason="等法院", until=until) == "not_role"
    assert case.refused("suspend", DUTY, reason="等法院") == "needs"
    assert case.refused("suspend", DUTY, reason="等法院", until=MONDAY) == "until"
    case.do("suspend", DUTY, reason="等法院", until=until)
    assert clocks.nearest(case.incident.running()) is None
    assert clocks.overdue_since(case.incident.running()) is None


def test_rule_05_acknowledged_and_then_silent_escalates_again() -> None:
    case = sent().do("pick_up", CREW, MONDAY + 5 * MINUTE)
    due = clocks.nearest(case.incident.running())
    assert due == MONDAY + HOUR  # its arrival
    case.now = due + MINUTE
    case.do("breach", SYSTEM, clock="arrive")
    since = clocks.overdue_since(case.incident.running())
    assert since == due
    step = escalation.next_step(case.incident.severity, case.incident.level, since, case.policy.ladder)
    assert step is not None
    assert step[1] == 2


def test_rule_06_a_reopened_case_starts_new_clocks_and_keeps_the_old_verdict() -> None:
    case = closed().do("reopen", DUTY, MONDAY + 30 * DAY, reason="又来了")
    [former] = case.incident.facts["former"]
    assert (former["closed_on_time"], former["disposed_on_time"]) == (True, True)
    assert case.incident.disposed_at is None
    awaited = [clock for clock in case.incident.running() if clock.awaited]
    assert {clock.since for clock in awaited} == {case.now}
    assert len(awaited) == 2  # dispatch and close


def test_rule_07_closing_demands_another_hands_check_and_the_standard_ticked() -> None:
    case = sent().do("pick_up", CREW).do("dispose", CREW, result="已处置")
    assert case.refused("close", DUTY, standard=True) == "not_now"
    own = Actor("person/71", "grid_worker", CREW.area_code, POLICE)
    assert case.refused("verify", own) == "same_hand"
    case.do("verify", HEAD)
    assert case.refused("close", DUTY) == "needs"
    assert case.refused("close", DUTY, standard="yes") == "standard"
    case.do("close", DUTY, standard=True)


def test_rule_07_a_dissatisfied_resident_may_reopen_within_ten_days() -> None:
    for rating, days, refused in ((2, 10, None), (3, 10, "reopen"), (2, 11, "reopen")):
        case = closed().do("rate", RESIDENT, rating=rating)
        assert case.incident.ended_at is not None
        case.now = case.incident.ended_at + days * DAY
        refusal = case.ask("reopen", RESIDENT, reason="没解决")
        assert (refusal.code if refusal else None) == refused


def test_rule_08_a_whistle_is_reviewed_answered_reported_in_on_site_ended_and_rated() -> None:
    case = Case(WHISTLE, lon=112.0, lat=22.9, located="point").do("accept", DISPATCHER)
    assert case.refused("whistle", HEAD, whistle_kind="soft", reason="难") == "whistle_kind"
    case.do("whistle", HEAD, whistle_kind="hard", reason="难", team_id=POLICE)
    [part] = case.incident.parts.values()
    assert part.clocks["accept"].due == MONDAY + 5 * MINUTE
    case.do("send_whistle", DISPATCHER)
    [part] = case.incident.parts.values()
    assert (part.clocks["pick_up"].due, part.clocks["arrive"].due) == (
        MONDAY + 10 * MINUTE,
        MONDAY + 30 * MINUTE,
    )
    case.do("pick_up", CREW)
    assert case.refused("arrive", CREW, position=[112.1, 22.9]) == "not_near"
    case.do("arrive", CREW, position=[112.001, 22.9]).do("dispose", CREW, result="已处置")
    assert case.refused("end_whistle", DUTY) == "not_blower"
    case.do("end_whistle", HEAD).do("rate_whistle", HEAD, rating=5)
    [part] = case.incident.parts.values()
    assert (part.state, part.facts["rating"]) == ("ended", 5)


def test_rule_09_a_small_matter_needs_two_photos_and_a_major_one_two_units_and_a_commander() -> None:
    small = Case(SMALL, routed=False)
    assert small.refused("solve", HEAD, result="好了", photos=["https://x/1"]) == "two_photos"
    major = Case(MAJOR)
    assert major.incident.level == 2  # the county sees it at once
    assert major.incident.facts["commander"]
    assert len(major.incident.parts) >= 2


def test_rule_10_the_third_report_of_one_matter_lifts_its_mode_by_one_step() -> None:
    case = Case(JOINT, routed=False)
    case.do("absorb", SYSTEM, merged=2)
    assert case.incident.mode == "joint"
    case.do("absorb", SYSTEM, merged=3)
    assert case.incident.mode == MODES[MODES.index("joint") + 1]
    assert case.incident.facts["absorbed"] == [2, 3]


def test_rule_12_the_second_hand_reads_who_did_what_and_when() -> None:
    case = Case(JOINT).do("accept", DISPATCHER, MONDAY + MINUTE)
    refusal = case.ask("accept", DUTY)
    assert refusal is not None
    assert f"{DISPATCHER.id} already did accept at 09:01" in refusal.words("en")
