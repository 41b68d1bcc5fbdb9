"""Proves what becomes of a team's part: returned, done again, reassigned, called in by whistle, over with its case."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dispatch.rules.incident.chain import SYSTEM, Actor
from dispatch.scores.attribution import not_ours
from tests.small_law import (
    COUNTY,
    CREW,
    DISPATCHER,
    DUTY,
    HEAD,
    JOINT,
    MAJOR,
    MONDAY,
    OTHER_POLICE,
    POLICE,
    TOWN,
    WORKER,
    Case,
    context,
    local,
    teams,
)
from tests.walks import DAY, HOUR, WATER, check, check_words
from tests.ways import MINUTE, standing


def test_a_rework_goes_back_to_the_hand_that_did_it_last() -> None:
    """A team that disposed of it once gets nothing back that a grid worker solved since."""
    case = standing("disposed")
    case.do("rework", HEAD, reason="还有问题").do("decline", CREW, return_kind="not_ours", reason="不归我们")
    case.do("solve", WORKER, result="网格解决").do("rework", DISPATCHER, reason="没解决")
    assert (case.incident.state, case.incident.holder) == ("accepted", f"centre/{TOWN}")
    check(case)


def test_a_team_that_returned_it_goes_on_with_what_was_left_and_another_begins_anew() -> None:
    """Three working days, two hours used, a day away: 22 hours are left; another team gets all 24."""
    case = Case(JOINT, at=local("2026-03-02 08:00")).do("accept", DISPATCHER)
    case.do("dispatch", DISPATCHER, team_id=POLICE)
    case.do("decline", CREW, local("2026-03-02 10:00"), return_kind="not_ours", reason="不是我们的事")
    assert case.incident.awaits == "dispatch"
    assert case.incident.clocks["dispatch"].due == local("2026-03-02 10:30")
    for road in ("dispatch", "reassign"):
        other = Case(JOINT, at=local("2026-03-02 08:00")).do("accept", DISPATCHER)
        other.do("dispatch", DISPATCHER, team_id=POLICE)
        other.do("decline", CREW, local("2026-03-02 10:00"), return_kind="not_ours", reason="不是我们的事")
        other.now = local("2026-03-03 08:00")
        if road == "reassign":
            other.do("dispatch", DISPATCHER, team_id=OTHER_POLICE)
            assert other.incident.lead is not None
            assert other.incident.lead.clocks["dispose"].due == local("2026-03-05 18:00")
        other.do(road, DISPATCHER, team_id=POLICE, reason="还是你们")
        assert other.incident.lead is not None
        clock = other.incident.lead.clocks["dispose"]
        assert (clock.due, clock.state) == (local("2026-03-05 16:00"), "running")
        check(other)


def test_the_remainder_counts_from_the_latest_return_whatever_the_ids() -> None:
    """Two desks number assignments from different blocks: an earlier part may have the higher id."""
    numbers = iter((2_000, 1_000, 1_001))
    own = replace(context(), new_id=lambda: next(numbers))
    case = Case(JOINT, own=own, at=local("2026-03-02 08:00")).do("accept", DISPATCHER)
    for hour in (10, 12):
        case.do("dispatch", DISPATCHER, team_id=POLICE)
        case.do("decline", CREW, local(f"2026-03-02 {hour}:00"), return_kind="not_ours", reason="不归我们")
    case.incident.parts = dict(sorted(case.incident.parts.items()))
    case.do("dispatch", DISPATCHER, local("2026-03-03 08:00"), team_id=POLICE)
    assert case.incident.lead is not None
    # 24 hours less the two and the two that ran before each return.
    assert case.incident.lead.clocks["dispose"].due == local("2026-03-05 14:00") - 2 * HOUR


def test_reassigning_takes_it_from_the_old_team_at_once_and_leaves_its_time_with_it() -> None:
    """Two segments, one of each team, and no trace of it among the old team's live parts."""
    case = standing("in_hand")
    case.do("reassign", DISPATCHER, case.now + HOUR, team_id=OTHER_POLICE, reason="就近")
    assert case.refused("dispose", CREW, result="已处置") == "not_team"
    held = [s.holder for s in case.incident.past if s.holder.startswith("team/")]
    assert set(held) == {f"team/{POLICE}"}
    assert case.incident.holder == f"team/{OTHER_POLICE}"
    assert case.refused("reassign", DISPATCHER, team_id=OTHER_POLICE, reason="再派") == "same_team"
    check(case)


def test_reassigning_never_makes_a_second_lead_of_an_assisting_part() -> None:
    """Whatever part is named, it is the lead that changes hands."""
    case = standing("in_hand")
    case.do("add_assist", DISPATCHER, team_id=WATER)
    assist = next(p for p in case.incident.parts.values() if p.role == "assist")
    case.do("reassign", DISPATCHER, team_id=OTHER_POLICE, reason="换队", assignment_id=assist.id)
    check(case)
    assert case.incident.parts[assist.id].state == "sent"


@pytest.mark.parametrize("team_id", [99, "3", True, 3.0, [3]])
def test_an_unknown_team_is_refused_and_never_a_crash(team_id: object) -> None:
    """Whatever is sent in its place."""
    assert standing("accepted").refused("dispatch", DISPATCHER, team_id=team_id) == "unknown_team"


def test_no_part_outlives_its_incident() -> None:
    """A lead returns it, an assisting team still works on it, and it is voided: nobody keeps it in hand."""
    case = standing("in_hand")
    case.do("add_assist", DISPATCHER, team_id=WATER).do(
        "decline", CREW, return_kind="not_ours", reason="不归我们"
    )
    case.do("void", DUTY, reason="误报")
    check(case)


def test_a_whistle_that_nobody_reviewed_ends_with_its_incident() -> None:
    """Its clock does not fire when the incident is reopened, and nobody can send it any more."""
    case = standing("in_hand")
    case.do("whistle", HEAD, whistle_kind="hard", reason="一家办不了", team_id=WATER)
    case.do("dispose", CREW, result="已处置").do("verify", HEAD).do("close", DUTY, standard=True)
    check(case)
    case.do("reopen", DUTY, MONDAY + 5 * DAY, reason="又来了")
    assert case.refused("breach", SYSTEM, clock="accept") == "no_clock"
    assert case.refused("send_whistle", DISPATCHER) == "not_now"
    check(case)


@pytest.mark.parametrize("road", ["dispatch", "add_assist"])
def test_a_whistle_is_not_sent_to_a_team_that_got_its_part_by_another_road(road: str) -> None:
    """Blown for, then dispatched or asked to assist while it was under review: one part, and the whistle is refused."""
    case = standing("accepted" if road == "dispatch" else "dispatched")
    case.do("whistle", HEAD, whistle_kind="hard", reason="一家办不了", team_id=WATER)
    case.do(road, DISPATCHER, team_id=WATER)
    refusal = case.ask("send_whistle", DISPATCHER)
    assert refusal is not None
    assert refusal.code == "has_part"
    check_words(refusal)
    check(case)
    case.do("refuse_whistle", DISPATCHER, reason="已派")
    check(case)


def test_an_assisting_team_may_finish_after_the_lead_has() -> None:
    """And moves nothing but its own part."""
    case = standing("in_hand")
    case.do("add_assist", DISPATCHER, team_id=WATER)
    water = Actor("person/70", "team", COUNTY, WATER)
    case.do("dispose", CREW, result="已处置")
    verdict = case.incident.disposed_at
    case.now += MINUTE
    case.do("pick_up", water).do("dispose", water, result="配合完毕")
    assert (case.incident.state, case.incident.disposed_at) == ("disposed", verdict)
    check(case)


def test_a_refused_result_leaves_the_teams_load_as_it_was() -> None:
    """A major matter without a second unit is refused, and the team still has it."""
    case = Case(MAJOR, own=context([t for t in teams() if t.trade == "police"]))
    assert case.incident.lead is not None
    crew = Actor("person/71", "team", TOWN, case.incident.lead.team_id)
    case.do("pick_up", crew)
    assert case.refused("dispose", crew, result="好了") == "major"
    held = case.context.roster.team(case.incident.lead.team_id)
    assert held is not None
    assert held.load == 1


def test_a_return_counts_as_not_ours_by_its_tick_and_an_old_one_by_its_words() -> None:
    words = ("非本单位", "not our unit")

    def returned(**said: str) -> bool:
        case = standing("dispatched")
        args: dict[str, Any] = {"return_kind": "other", **said}
        case.do("decline", CREW, **args)
        if "return_kind" not in said:
            # As before it was asked for.
            last = case.events[-1]
            said = {name: value for name, value in last.change.said.items() if name != "return_kind"}
            last.change = replace(last.change, said=said)
        lead = case.events[-1].change.assignments[0].id
        return lead in not_ours(case.events, words)

    assert returned(return_kind="not_ours", reason="该由水利办")
    assert not returned(return_kind="no_means", reason="非本单位能办的量")
    assert returned(reason="Not our unit, sorry")
    assert not returned(reason="人手不够")
