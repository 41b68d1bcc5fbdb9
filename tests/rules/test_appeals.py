"""Two others judge an appeal: what both of them give is exempt, as stretches of time or as a whole."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from dispatch.rules.incident.chain import Actor
from dispatch.rules.time.calendar import Limit
from tests.small_law import CITY_DESK, COUNTY, COUNTY_DESK, CREW, JOINT, POLICE, Case

HOUR = timedelta(hours=1)
THIRD = Actor("county:third", "county", COUNTY)


def closed() -> Case:
    """Return a case of nine hours whose team has appealed."""
    case = Case(JOINT)
    case.do("accept", Actor("d", "dispatcher", COUNTY)).do(
        "dispatch", Actor("d", "dispatcher", COUNTY), team_id=POLICE
    )
    case.now += 8 * HOUR
    case.do("pick_up", CREW).do("dispose", CREW, result="好了").do("verify", COUNTY_DESK)
    case.do("close", COUNTY_DESK, standard=True)
    case.now += HOUR
    case.do("appeal", CREW, reason="道路中断")
    return case


def span(case: Case, begin: float, end: float) -> list[str]:
    """Return a stretch from one hour after the report to another, as a page sends it: on the city's clock."""
    zone = case.policy.calendar
    since = case.incident.reported_at
    return [zone.local(since + begin * HOUR).isoformat(), zone.local(since + end * HOUR).isoformat()]


def judge(case: Case, actor: Actor, **args: Any) -> Case:
    """Grant the appeal as one of the two."""
    return case.do("judge_appeal", actor, granted=True, reason="属实", **args)


def exempt(case: Case) -> list[tuple[float, float]]:
    """Return the exempt stretches in hours after the report."""
    begin = case.incident.reported_at
    return [
        tuple((datetime.fromisoformat(at) - begin) / HOUR for at in pair)  # type: ignore[misc]
        for pair in case.incident.facts["exempt_spans"] or ()
    ]


def test_what_both_reviewers_give_is_exempt() -> None:
    """Stretches that meet are one; what only one of them gives is not exempt; the instants are kept in UTC."""
    case = closed()
    judge(case, COUNTY_DESK, spans=[span(case, 4, 6), span(case, 1, 3), span(case, 2, 3.5)])
    assert "exempt" not in case.incident.facts
    judge(case, CITY_DESK, spans=[span(case, 3, 5)])
    assert case.incident.facts["exempt"] == "道路中断"
    assert exempt(case) == [(3, 3.5), (4, 5)]
    assert all(at.endswith("+00:00") for pair in case.incident.facts["exempt_spans"] or () for at in pair)


def test_who_gives_no_stretch_leaves_it_to_the_other() -> None:
    """And where nobody gives one the whole is exempt, as it was."""
    case = closed()
    judge(case, COUNTY_DESK)
    judge(case, CITY_DESK, spans=[span(case, 1, 2)])
    assert exempt(case) == [(1, 2)]
    case = closed()
    judge(judge(case, COUNTY_DESK), CITY_DESK)
    assert "exempt_spans" not in case.incident.facts
    assert case.incident.facts["exempt"]


def test_stretches_with_nothing_in_common_are_refused_and_change_nothing() -> None:
    """The second reviewer hears of it, and may give another."""
    case = closed()
    judge(case, COUNTY_DESK, spans=[span(case, 1, 2)])
    before = case.incident.seq
    assert (
        case.refused("judge_appeal", CITY_DESK, granted=True, reason="属实", spans=[span(case, 2, 3)])
        == "spans_differ"
    )
    assert case.incident.seq == before
    judge(case, CITY_DESK, spans=[span(case, 1.5, 3)])
    assert exempt(case) == [(1.5, 2)]


@pytest.mark.parametrize(
    "spans",
    [
        "all day",
        [["2026-03-02T10:00:00", "2026-03-02T11:00:00"]],  # of no time zone
        [["2026-03-02T11:00:00+08:00", "2026-03-02T10:00:00+08:00"]],
        [["2026-03-02T10:00:00+08:00", "2026-03-02T10:00:00+08:00"]],
        [["2026-03-02T08:59:59+08:00", "2026-03-02T10:00:00+08:00"]],  # before the report
        [["2026-03-02T10:00:00+08:00", "2027-01-01T00:00:00+08:00"]],  # after now
        [["2026-03-02T10:00:00+08:00"]],
        [None],
        [["2026-03-02T10:00:00+08:00", "2026-03-02T11:00:00+08:00"]] * 21,
    ],
)
def test_what_is_no_stretch_of_the_past_is_refused(spans: object) -> None:
    case = closed()
    assert case.refused("judge_appeal", COUNTY_DESK, granted=True, reason="属实", spans=spans) == "spans"


def test_neither_the_appellant_nor_the_same_reviewer_nor_the_assessed_judges() -> None:
    case = closed()
    assessed = Actor("county:crew", "county", COUNTY, POLICE)
    assert case.refused("judge_appeal", assessed, granted=True, reason="属实") == "own_appeal"
    judge(case, COUNTY_DESK)
    assert case.refused("judge_appeal", COUNTY_DESK, granted=True, reason="属实") == "own_appeal"
    judge(case, THIRD)
    assert case.incident.facts["appeal"]["granted"] is True


def test_that_it_was_never_theirs_takes_both_reviewers_too() -> None:
    case = closed()
    judge(judge(case, COUNTY_DESK), CITY_DESK, never_theirs=True)
    assert "never_theirs" not in case.incident.facts
    case = closed()
    judge(judge(case, COUNTY_DESK, never_theirs=True), CITY_DESK, never_theirs=True)
    assert case.incident.facts["never_theirs"] is True


def limited() -> Case:
    """Return a closed case whose policy lets one appeal for two working days, and reviewers answer in one."""
    case = Case(JOINT)
    case.policy = replace(case.policy, appeal_ask=Limit.parse("2wd"), appeal_answer=Limit.parse("1wd"))
    case.do("accept", Actor("d", "dispatcher", COUNTY)).do(
        "dispatch", Actor("d", "dispatcher", COUNTY), team_id=POLICE
    )
    case.do("pick_up", CREW).do("dispose", CREW, result="好了").do("verify", COUNTY_DESK)
    return case.do("close", COUNTY_DESK, standard=True)


def test_an_appeal_is_lawful_up_to_the_last_instant_and_refused_after_it() -> None:
    case = limited()
    closed = case.incident.ended_at
    assert closed is not None
    until = case.policy.appeal_until(closed)
    assert until == case.policy.calendar.due(closed, Limit.parse("2wd"))
    case.now = until + timedelta(microseconds=1)
    assert case.refused("appeal", CREW, reason="道路中断") == "appeal_late"
    assert case.incident.facts.get("appeal") is None
    case.now = until
    case.do("appeal", CREW, reason="道路中断")
    # Until when its reviewers answer is kept with it: a later policy does not move it.
    assert datetime.fromisoformat(case.incident.facts["appeal"]["answer_by"]) == case.policy.calendar.due(
        until, Limit.parse("1wd")
    )


def test_reviewers_who_answer_late_still_answer() -> None:
    case = limited().do("appeal", CREW, reason="道路中断")
    case.now += timedelta(days=30)
    judge(judge(case, COUNTY_DESK), CITY_DESK)
    assert case.incident.facts["exempt"] == "道路中断"


def test_a_policy_without_such_limits_lets_one_appeal_for_ever() -> None:
    case = Case(JOINT)
    assert case.policy.appeal_until(case.now) is None
