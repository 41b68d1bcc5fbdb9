"""The twelve rules that other systems got wrong, each by its number."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from dispatch.desk.desk import Desk
from dispatch.intake.messages import number_of
from dispatch.rules.incident.chain import lawful
from dispatch.rules.incident.effects import sampled
from dispatch.rules.incident.values import SYSTEM, Actor, Command
from dispatch.rules.policy import escalation
from dispatch.rules.policy.policy import MODES
from dispatch.rules.time import clocks
from tests import district
from tests.small_law import (
    CITY_DESK,
    COUNTY,
    COUNTY_DESK,
    CREW,
    DISPATCHER,
    DUTY,
    GRID_TEAM,
    HEAD,
    JOINT,
    MAJOR,
    MONDAY,
    OTHER_CREW,
    OTHER_POLICE,
    POLICE,
    RESIDENT,
    SMALL,
    VILLAGE,
    WHISTLE,
    WORKER,
    Case,
    local,
    report,
)

pytestmark = pytest.mark.city("district")

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
    assert case.refused("decline", CREW, reason="不归我们") == "needs"
    assert case.refused("decline", CREW, return_kind="not_ours") == "needs"
    assert case.refused("decline", CREW, return_kind="ours", reason="不归我们") == "return_kind"
    case.do("decline", CREW, MONDAY + HOUR, return_kind="not_ours", reason="不归我们")
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
    case = sent().do("decline", CREW, return_kind="not_ours", reason="不归我们")
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
    assert "end_whistle" not in offered(case, DUTY)
    assert "end_whistle" in offered(case, HEAD)
    case.do("end_whistle", HEAD)
    assert "rate_whistle" not in offered(case, DUTY)
    assert "rate_whistle" in offered(case, HEAD)
    case.do("rate_whistle", HEAD, rating=5)
    [part] = case.incident.parts.values()
    assert (part.state, part.facts["rating"]) == ("ended", 5)
    assert case.refused("rate_whistle", HEAD, rating=1) == "once"
    assert not {"end_whistle", "rate_whistle"} & offered(case, HEAD)
    # Of two whistles the one that waits is meant, whichever was blown last.
    case.incident.parts = {0: replace(part, id=0, facts={"asked_by": HEAD.id}), part.id: part}
    case.do("rate_whistle", HEAD, rating=4)
    assert case.incident.parts[0].facts["rating"] == 4


def offered(case: Case, actor: Actor) -> set[str]:
    return {step.verb for step in lawful(case.incident, actor)}


def test_rule_08_a_whistle_not_reported_in_goes_up_to_the_county_by_itself() -> None:
    case = (
        Case(WHISTLE)
        .do("accept", DISPATCHER)
        .do("whistle", HEAD, whistle_kind="hard", reason="难", team_id=POLICE)
    )
    case.do("send_whistle", DISPATCHER).do("pick_up", CREW, MONDAY + 5 * MINUTE)
    [part] = case.incident.parts.values()
    silent = {"reason": "未报到", "silent_at": 3, "assignment_id": part.id}
    case.now = MONDAY + 30 * MINUTE
    assert case.refused("breach", SYSTEM, clock="arrive") == "no_clock"  # exactly at its limit it is on time
    assert case.refused("escalate", SYSTEM, **silent) == "moved_on"
    case.do("breach", SYSTEM, MONDAY + 31 * MINUTE, clock="arrive")
    [part] = case.incident.parts.values()
    assert part.clocks["arrive"].due is not None
    step = escalation.whistle_step(case.incident.level, part.clocks["arrive"].due, case.policy.ladder)
    assert step == (MONDAY + 45 * MINUTE, 2)
    case.do("escalate", SYSTEM, step[0], **silent)
    assert case.incident.level == 2
    assert case.incident.holder == f"team/{POLICE}"  # it is still the team's to come
    # Reported in meanwhile, or raised already, it goes no higher by this rule.
    assert case.refused("escalate", SYSTEM, **silent) == "moved_on"
    case.do("arrive", CREW, reason="路上堵车")
    assert case.refused("escalate", SYSTEM, **(silent | {"silent_at": 2})) == "moved_on"


def solved(number: int) -> Case:
    """Return a small matter that its grid worker solved with two photos."""
    case = Case(SMALL, number=number, routed=False)
    return case.do("solve", WORKER, result="好了", photos=["https://x/1.jpg", "https://x/2.jpg"])


def test_rule_09_a_small_matter_is_solved_in_one_grid_with_two_photos_and_a_line() -> None:
    case = Case(SMALL, routed=False)
    for photos in ([], ["https://x/1.jpg"]):
        assert case.refused("solve", WORKER, result="好了", photos=photos) == "two_photos"
    assert case.refused("solve", WORKER, photos=["https://x/1.jpg", "https://x/2.jpg"]) == "needs"
    assert solved(1).incident.facts["solved_in_grid"] is True


def test_rule_09_one_in_twenty_is_verified_and_the_others_are_closed_by_another_hand() -> None:
    drawn = [n for n in range(1, 20_001) if sampled(n)]
    assert 0.045 < len(drawn) / 20_000 < 0.055
    assert drawn == [n for n in range(1, 20_001) if sampled(n)]  # drawn once, by the number alone
    checked = solved(drawn[0])
    assert checked.incident.state == "disposed"
    assert checked.refused("verify", WORKER) == "same_hand"
    checked.do("verify", HEAD).do("close", DUTY, standard=True)
    free = solved(min({*range(1, 100)} - {*drawn}))
    assert free.incident.state == "verified"
    assert free.refused("close", Actor(WORKER.id, "village", VILLAGE), standard=True) == "same_hand"
    free.do("close", DUTY, standard=True)


def test_rule_09_a_major_matter_has_a_commander_and_two_units_and_the_county_sees_it_at_once() -> None:
    case = Case(MAJOR)
    assert case.incident.level == 2
    assert case.events[-1].change.said["commander"] == case.incident.facts["commander"]
    assert {p.team_id for p in case.incident.parts.values()} == {POLICE, GRID_TEAM}
    assert (
        case.refused("name_commander", DUTY, commander=case.incident.facts["commander"]) == "same_commander"
    )
    case.do("recall_assist", DISPATCHER, team_id=GRID_TEAM, reason="不需要").do("pick_up", CREW)
    assert case.refused("dispose", CREW, result="已处置") == "major"
    case.do("add_assist", DISPATCHER, team_id=WATER).do("dispose", CREW, result="已处置")
    unnamed = Case(MAJOR, routed=False).do("accept", DISPATCHER).do("dispatch", DISPATCHER, team_id=POLICE)
    del unnamed.incident.facts["commander"]
    unnamed.do("pick_up", CREW)
    assert unnamed.refused("dispose", CREW, result="已处置") == "major"
    unnamed.do("name_commander", DUTY, commander="person/11").do("dispose", CREW, result="已处置")


def test_rule_09_what_becomes_a_major_matter_is_seen_by_the_county_at_once_by_whatever_road() -> None:
    recoded = Case(SMALL, routed=False).do("recode", DISPATCHER, category=MAJOR, reason="类别有误")
    lifted = Case(WHISTLE).do("absorb", SYSTEM, merged=2).do("absorb", SYSTEM, merged=3)
    for case in (recoded, lifted):
        assert (case.incident.mode, case.incident.level) == ("all_net", 2)
        # And it takes a commander and a second unit like any other.
        case.do("accept", DISPATCHER).do("dispatch", DISPATCHER, team_id=POLICE)
        assert case.incident.facts["commander"]
        assert len(case.incident.parts) >= 2
    risen = Case(JOINT).do("escalate", DUTY, reason="协调不动").do("escalate", COUNTY_DESK, reason="协调不动")
    assert risen.do("recode", CITY_DESK, category=MAJOR, reason="类别有误").incident.level == 1


def test_a_recoded_incident_gets_the_right_types_limits_from_where_each_began() -> None:
    case = Case(SMALL, routed=False)
    assert case.incident.clocks["accept"].due == MONDAY + 30 * MINUTE
    case.do("recode", DISPATCHER, MONDAY + 2 * MINUTE, category=MAJOR, reason="类别有误")
    own = case.incident.clocks
    assert (own["accept"].limit, own["accept"].due) == ("5m", MONDAY + 5 * MINUTE)
    assert (own["close"].limit, own["close"].due) == ("5wd", local("2026-03-09 09:00"))
    # A clock that has ended or was passed keeps its verdict; too late for the right limit is noted like any other.
    late = Case(SMALL, routed=False)
    late.now = MONDAY + 31 * MINUTE
    late.do("breach", SYSTEM, clock="accept").do("recode", DISPATCHER, category=WHISTLE, reason="类别有误")
    assert late.incident.clocks["accept"].state == "breached"
    found = Case(SMALL, routed=False).do(
        "recode", DISPATCHER, MONDAY + 6 * MINUTE, category=MAJOR, reason="类别有误"
    )
    found.do("breach", SYSTEM, clock="accept")
    war = Case(SMALL, routed=False)
    war.incident.facts["wartime"] = True
    war.do("recode", DISPATCHER, MONDAY + MINUTE, category=MAJOR, reason="类别有误")
    assert war.incident.clocks["accept"].due == MONDAY + 3 * MINUTE  # half of five, but not less than three


def test_rule_10_the_third_report_of_one_matter_lifts_its_mode_by_one_step() -> None:
    case = Case(JOINT, routed=False)
    case.do("absorb", SYSTEM, merged=2)
    assert case.incident.mode == "joint"
    case.do("absorb", SYSTEM, merged=3)
    assert case.incident.mode == MODES[MODES.index("joint") + 1]
    assert case.incident.facts["absorbed"] == [2, 3]


HERE: dict[str, Any] = {"lon": 112.0, "lat": 22.9, "located": "point"}


def reported(desk: Desk, serial: int, at: datetime = MONDAY, category: str = JOINT) -> int:
    """Report one at the same spot as all others; return its id."""
    one = report(category, at=at, number=number_of("hotline", str(serial)), **HERE)
    one.source_id = str(serial)
    [outcome] = desk.report([one], at)
    assert outcome.status == "done"
    assert outcome.incident_id is not None
    return outcome.incident_id


@pytest.fixture
def city(database: str) -> str:
    """Give the test a database with the small city."""
    return database


def test_rule_10_what_was_reported_there_within_thirty_days_is_suspected(city: str) -> None:
    with Desk(city) as desk:
        for serial, days, category in (
            (1, 0, JOINT),
            (2, 29, JOINT),
            (3, 29, WHISTLE),
            (4, 31, JOINT),
            (5, 90, JOINT),
        ):
            reported(desk, serial, MONDAY + days * DAY, category)
    suspects = district.rows(
        city, "select data -> 'said' ->> 'suspects' from event where verb = 'report' order by incident_id"
    )
    assert suspects == [(None,), ("1",), (None,), ("1",), (None,)]


def test_rule_10_merging_keeps_both_numbers_links_both_ways_and_the_third_lifts_the_mode(city: str) -> None:
    with Desk(city) as desk:
        first, *others = (reported(desk, n) for n in (1, 2, 3))
        for n, other in enumerate(others, 1):
            merge = Command("merge", other, DISPATCHER, f"m{n}", {"into": first})
            assert desk.act([merge], MONDAY + n * MINUTE)[0].status == "done"
            assert (
                district.value(city, "select mode from incident where id = %s", first)
                == ("joint", "whistle")[n - 1]
            )
    number = dict(district.rows(city, "select id, number from incident"))
    facts = dict(district.rows(city, "select id, facts from incident"))
    assert [facts[other]["merged_into"] for other in others] == [number[first]] * 2
    assert facts[first]["absorbed"] == [number[other] for other in others]
    assert len(set(number.values())) == 3
    assert dict(district.rows(city, "select id, state from incident")) == {
        first: "reported", others[0]: "merged", others[1]: "merged",
    }  # fmt: skip
    district.check_everything(city)


def test_rule_11_the_same_report_twice_is_one_incident_and_a_button_twice_one_action(city: str) -> None:
    with Desk(city) as desk, Desk(city) as other:
        incident = reported(desk, 1)
        again = report(JOINT, number=number_of("hotline", "1"), **HERE)
        again.source_id, again.text = "1", "又打来一次"
        [repeat] = other.report([again], MONDAY + DAY)
        assert (repeat.status, repeat.incident_id) == ("duplicate", incident)
        press = Command("accept", incident, DISPATCHER, "the button", {})
        told = [one.act([press], MONDAY + n * MINUTE)[0].status for n, one in enumerate((desk, desk, other))]
    assert told == ["done", "duplicate", "duplicate"]
    assert district.value(city, "select count(*) from incident") == 1
    assert district.rows(city, "select verb from event order by seq") == [("report",), ("accept",)]


def test_rule_12_of_two_who_act_at_once_the_second_reads_who_was_first_and_overwrites_nothing(
    city: str,
) -> None:
    start = threading.Barrier(2)
    with Desk(city) as desk:
        incident = reported(desk, 1)

    def press(who: Actor) -> tuple[str, str]:
        with Desk(city) as mine:
            mine.roster()
            start.wait(20)
            [outcome] = mine.act(
                [Command("accept", incident, who, f"press of {who.id}", {})], MONDAY + MINUTE
            )
        return who.id, outcome.refusal.words("en") if outcome.refusal else outcome.status

    with ThreadPoolExecutor(2) as pool:
        answers = dict(pool.map(press, (DISPATCHER, DUTY)))
    [winner] = [who for who, said in answers.items() if said == "done"]
    [said] = [said for said in answers.values() if said != "done"]
    assert f"{winner} already did accept at 09:01" in said
    assert district.rows(city, "select verb, actor from event where seq = 2") == [("accept", winner)]
    assert district.value(city, "select seq from incident") == 2


def test_rule_12_the_second_hand_reads_who_did_what_and_when() -> None:
    case = Case(JOINT).do("accept", DISPATCHER, MONDAY + MINUTE)
    refusal = case.ask("accept", DUTY)
    assert refusal is not None
    assert f"{DISPATCHER.id} already did accept at 09:01" in refusal.words("en")
