"""Proves which limits an incident runs under: to the instant, extended, suspended, reopened, and the source's own."""

from __future__ import annotations

from datetime import datetime

import pytest

from dispatch.rules.incident.chain import SYSTEM
from dispatch.rules.time import clocks
from tests.small_law import (
    COUNTY_DESK,
    CREW,
    DISPATCHER,
    DUTY,
    HEAD,
    JOINT,
    MONDAY,
    POLICE,
    WORKER,
    Case,
    local,
)
from tests.walks import DAY, HOUR, check
from tests.ways import MINUTE, standing


def test_an_end_at_the_source_from_before_reopening_does_not_end_the_new_life() -> None:
    """What the source told of the former life is over; a later end is judged by itself."""
    case = Case(JOINT, imported=True, target_at=MONDAY + 3 * DAY)
    case.do("conclude", SYSTEM, MONDAY + DAY, closed_at=MONDAY + DAY)
    case.do("reopen", DUTY, MONDAY + 2 * DAY, reason="又来了")
    for early in (MONDAY + HOUR, MONDAY + DAY):
        assert case.refused("conclude", SYSTEM, closed_at=early) == "before"
    case.do("conclude", SYSTEM, MONDAY + 4 * DAY, closed_at=MONDAY + 4 * DAY)
    assert case.incident.state == "closed"
    check(case)


def test_what_was_gathered_as_silent_is_not_raised_when_it_was_heard_or_raised_meanwhile() -> None:
    """Between looking and acting a team may pick up, and another hand may have raised it."""
    case = Case(JOINT).do("accept", DISPATCHER)
    case.now = MONDAY + 2 * HOUR
    assert case.refused("escalate", SYSTEM, reason="silence", silent_at=3) == "moved_on"
    case.do("breach", SYSTEM, clock="dispatch")
    assert case.refused("escalate", SYSTEM, reason="silence", silent_at=2) == "moved_on"
    case.do("escalate", SYSTEM, reason="silence", silent_at=3)
    assert case.incident.level == 2
    case.do("hand_down", COUNTY_DESK, MONDAY + 3 * HOUR, reason="镇街自办")
    assert datetime.fromisoformat(case.incident.facts["handed_down_at"]) == case.now
    case.do("dispatch", DISPATCHER, team_id=POLICE)
    assert case.refused("escalate", SYSTEM, reason="silence", silent_at=3) == "moved_on"
    check(case)


def test_an_acknowledged_incident_goes_on_counting() -> None:
    """Picking up ends the pick-up clock and no other: silence after it breaches again."""
    case = standing("in_hand")
    assert case.incident.lead is not None
    due = case.incident.lead.clocks["dispose"].due
    assert due is not None
    assert clocks.nearest(case.incident.running()) is not None
    case.do("breach", SYSTEM, due + MINUTE, clock="dispose")
    assert clocks.overdue_since(case.incident.running()) == due
    assert case.refused("breach", SYSTEM, clock="dispose") == "no_clock"
    case.do("dispose", CREW, result="晚了")
    assert case.incident.disposed_on_time is False
    check(case)


def test_what_comes_exactly_at_the_limit_is_on_time() -> None:
    """And cannot be breached at that instant."""
    case = standing("in_hand")
    assert case.incident.lead is not None
    due = case.incident.lead.clocks["dispose"].due
    assert due is not None
    case.now = due
    assert case.refused("breach", SYSTEM, clock="dispose") == "no_clock"
    case.do("dispose", CREW, result="正好")
    assert case.incident.disposed_on_time is True


def test_a_source_that_ends_its_case_in_time_kept_its_promise_however_late_we_hear() -> None:
    """The promise is judged by the end at the source, though a breach was noted meanwhile."""
    for ended, kept in ((2 * HOUR, True), (2 * HOUR + MINUTE, False)):
        case = Case(JOINT, imported=True, target_at=MONDAY + 2 * HOUR, routed=False)
        assert case.incident.clocks.keys() == {"dispose"}
        case.do("breach", SYSTEM, MONDAY + 3 * HOUR, clock="dispose")
        case.do("conclude", SYSTEM, MONDAY + 4 * HOUR, closed_at=MONDAY + ended)
        assert (case.incident.state, case.incident.disposed_on_time) == ("closed", kept)
        assert case.incident.disposed_at == MONDAY + ended
        check(case)


def test_a_source_cannot_end_what_was_not_yet_reported_nor_with_no_time_at_all() -> None:
    """Both are refused, not written."""
    case = Case(JOINT, imported=True, routed=False)
    assert case.refused("conclude", SYSTEM, closed_at=MONDAY - MINUTE) == "before"
    assert case.refused("conclude", SYSTEM) == "needs"
    assert case.refused("conclude", SYSTEM, closed_at="yesterday") == "needs"
    assert case.refused("conclude", SYSTEM, closed_at=MONDAY.replace(tzinfo=None)) == "needs"


def test_an_end_at_the_source_keeps_the_verdict_of_a_disposal_before_it() -> None:
    """What our team did in time was done in time."""
    case = standing("disposed")
    at = case.incident.disposed_at
    case.do("conclude", SYSTEM, MONDAY + 60 * DAY, closed_at=MONDAY + 60 * DAY)
    assert (case.incident.disposed_at, case.incident.disposed_on_time) == (at, True)
    assert case.incident.closed_on_time is False


def test_our_clocks_do_not_judge_what_another_system_runs() -> None:
    """However old it is and whatever is done with it here."""
    case = Case(JOINT, imported=True, at=local("2010-03-01 09:00"), routed=False)
    case.do("accept", DISPATCHER).do("dispatch", DISPATCHER, team_id=POLICE).do("pick_up", CREW)
    case.do("dispose", CREW, result="已处置").do("verify", HEAD).do("close", DUTY, standard=True)
    assert not case.incident.clocks
    assert not any(part.clocks for part in case.incident.parts.values())
    assert (case.incident.disposed_on_time, case.incident.closed_on_time) == (None, None)
    check(case)


def test_a_promise_of_the_source_is_judged_when_our_own_people_keep_it() -> None:
    """By a team's result and by a grid worker's alike."""
    for late in (False, True):
        for road in ("dispose", "solve"):
            case = Case(JOINT, imported=True, target_at=MONDAY + HOUR, routed=False)
            if road == "dispose":
                case.do("accept", DISPATCHER).do("dispatch", DISPATCHER, team_id=POLICE).do("pick_up", CREW)
            actor = CREW if road == "dispose" else WORKER
            case.do(road, actor, MONDAY + (2 if late else 1) * HOUR, result="已处置")
            assert case.incident.disposed_on_time is not late
            check(case)


def test_no_timer_of_a_former_life_fires_after_reopening() -> None:
    """Concluded while our own clocks still ran, reopened months later: only the new clocks count."""
    case = standing("reported")
    case.do("conclude", SYSTEM, case.now, closed_at=case.now)
    case.do("reopen", DUTY, MONDAY + 100 * DAY, reason="又来了")
    running = [clock for clock in case.incident.running() if clock.awaited]
    assert {clock.since for clock in running} == {case.now}
    assert case.refused("breach", SYSTEM, clock="accept") == "no_clock"
    assert case.incident.facts["former"][0]["closed_on_time"] is True
    check(case)


@pytest.mark.parametrize("limit", ["9999wd", "0m", "soon", "91ud", ""])
def test_an_extension_is_a_limit_of_at_most_ninety_days(limit: str) -> None:
    """What cannot be counted is refused when asked, not found out when granted."""
    code = standing("in_hand").refused("ask_extension", CREW, limit=limit, reason="等")
    assert code == ("limit" if limit else "needs")


def test_an_extension_moves_the_limit_and_no_third_is_granted() -> None:
    """Each adds its own time to the due time that stood."""
    case = standing("in_hand")
    assert case.incident.lead is not None
    due = case.incident.lead.clocks["dispose"].due
    assert due is not None
    for _ in range(2):
        case.do("ask_extension", CREW, limit="2ud", reason="等").do("grant_extension", DUTY)
    assert case.incident.lead is not None
    assert case.incident.lead.clocks["dispose"].due == due + 4 * DAY
    assert case.refused("ask_extension", CREW, limit="2ud", reason="等") == "extended_twice"
    check(case)


def test_a_suspended_incident_counts_nothing_and_raises_no_alarm() -> None:
    """Its clocks stop, its buttons rest, its segment says why; what was left runs on afterwards."""
    case = Case(JOINT, at=local("2026-03-02 08:00")).do("accept", DISPATCHER)
    case.do("dispatch", DISPATCHER, team_id=POLICE).do("pick_up", CREW)
    case.do("suspend", DUTY, local("2026-03-02 10:00"), reason="等法院", until=local("2026-03-20 08:00"))
    case.now = local("2026-03-10 08:00")
    assert clocks.nearest(case.incident.running()) is None
    assert case.refused("dispose", CREW, result="已处置") == "suspended"
    assert case.refused("breach", SYSTEM, clock="dispose") == "suspended"
    assert case.incident.paused_why == "等法院"
    check(case)
    case.do("resume", SYSTEM)
    assert case.incident.lead is not None
    assert case.incident.lead.clocks["dispose"].due == local("2026-03-12 16:00")
    check(case)
