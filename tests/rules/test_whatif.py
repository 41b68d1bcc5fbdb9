"""Past incidents are judged by other limits as their clocks really ran."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from dispatch.rules.measures.whatif import Case, judge, lives, would_be_late
from dispatch.rules.policy import policy as policies
from dispatch.rules.policy.policy import Policy
from dispatch.rules.time import clocks
from dispatch.rules.time.calendar import Limit
from dispatch.rules.time.clocks import Clock, was_late
from tests.small_law import CREW, DISPATCHER, FILES, MICRO, MONDAY, POLICE, TOWN, local, small_policy
from tests.small_law import Case as Told

CALENDAR = small_policy().calendar
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
MUCH_LATER = MONDAY + timedelta(days=100)


def other(**changes: tuple[str, str]) -> Policy:
    files = dict(FILES)
    for name, (good, bad) in changes.items():
        file = name.replace("_csv", ".csv").replace("_toml", ".toml")
        assert good in files[file]
        files[file] = files[file].replace(good, bad, 1)
    return policies.parse(8, files)


def ran(limit: str, minutes: float | None) -> Clock:
    clock = clocks.start(Limit.parse(limit), MONDAY, CALENDAR)
    return clock if minutes is None else clocks.meet(clock, MONDAY + minutes * MINUTE)


@pytest.mark.parametrize("limit", ["30m", "2uh", "4wh", "1wd"])
@pytest.mark.parametrize("minutes", [5, 30, 31, 119, 120, 121, 239, 500, 2_000])
def test_under_its_own_limit_the_verdict_is_the_one_it_had(limit: str, minutes: float) -> None:
    clock = ran(limit, minutes)
    assert would_be_late(clock, Limit.parse(limit), CALENDAR, MUCH_LATER) == was_late(clock, MUCH_LATER)


def test_a_type_that_becomes_graver_or_is_handled_otherwise_brings_the_limits_of_that() -> None:
    """Dispatched after ten minutes and picked up after twenty: in time at severity 3, late at 1, and by whistle."""
    told = (("dispatch", ran("30m", 10)), ("pick_up", ran("30m", 20)))
    graver = other(event_types_csv=("police,,3,joint", "police,,1,joint"))
    whistled = other(event_types_csv=("police,,3,joint", "police,,3,whistle"))
    for law_then, as_was in ((graver, {"as_grave": True}), (whistled, {"handled_as": True})):
        for kept in (False, True):
            case = Case("0101", 3, "joint", MICRO, told, **({} if kept else as_was))
            assert judge([case], law_then, MUCH_LATER).total.more == (0 if kept else 1)
    one = Case("0101", 3, "joint", MICRO, told, as_grave=True, handled_as=True)
    assert judge([one], small_policy(), MUCH_LATER).total.more == 0


def test_exactly_at_the_new_limit_is_on_time_too() -> None:
    clock = ran("60m", 30)
    assert not would_be_late(clock, Limit.parse("30m"), CALENDAR, MUCH_LATER)
    assert would_be_late(clock, Limit.parse("29m"), CALENDAR, MUCH_LATER)


def test_the_new_limit_counts_in_its_own_kind_of_time() -> None:
    friday = local("2026-03-06 17:00")
    clock = clocks.meet(clocks.start(Limit.parse("4wh"), friday, CALENDAR), local("2026-03-09 09:00"))
    assert not was_late(clock, MUCH_LATER)
    assert would_be_late(clock, Limit.parse("4uh"), CALENDAR, MUCH_LATER)
    assert not would_be_late(clock, Limit.parse("2wh"), CALENDAR, MUCH_LATER)


def test_pauses_do_not_count_and_extensions_stay() -> None:
    clock = clocks.start(Limit.parse("2uh"), MONDAY, CALENDAR)
    paused = clocks.pause(clock, MONDAY + HOUR, CALENDAR)
    resumed = clocks.resume(paused, MONDAY + 10 * HOUR, CALENDAR)
    ended = clocks.meet(resumed, MONDAY + 10 * HOUR + 30 * MINUTE)
    assert not would_be_late(ended, Limit.parse("90m"), CALENDAR, MUCH_LATER)
    assert would_be_late(ended, Limit.parse("89m"), CALENDAR, MUCH_LATER)
    assert clock.due is not None
    longer = clocks.meet(replace(clock, due=clock.due + HOUR), MONDAY + 150 * MINUTE)
    assert not would_be_late(longer, Limit.parse("90m"), CALENDAR, MUCH_LATER)
    assert would_be_late(longer, Limit.parse("89m"), CALENDAR, MUCH_LATER)


def test_wartime_halves_the_new_limit_as_it_did_the_old() -> None:
    clock = clocks.meet(clocks.start(Limit.parse("60m").halved, MONDAY, CALENDAR), MONDAY + 25 * MINUTE)
    assert not would_be_late(clock, Limit.parse("50m"), CALENDAR, MUCH_LATER)
    assert would_be_late(clock, Limit.parse("40m"), CALENDAR, MUCH_LATER)


def test_what_is_still_awaited_is_late_as_of_now_and_what_is_paused_is_not() -> None:
    clock = ran("60m", None)
    assert not would_be_late(clock, Limit.parse("30m"), CALENDAR, MONDAY + 30 * MINUTE)
    assert would_be_late(clock, Limit.parse("30m"), CALENDAR, MONDAY + 31 * MINUTE)
    paused = clocks.pause(clock, MONDAY + MINUTE, CALENDAR)
    assert not would_be_late(paused, Limit.parse("1m"), CALENDAR, MUCH_LATER)


def test_the_clocks_of_a_life_are_all_there_also_those_before_a_rework() -> None:
    told = Told()
    told.do("accept", DISPATCHER, MONDAY + MINUTE)
    told.do("dispatch", DISPATCHER, MONDAY + 2 * MINUTE, team_id=POLICE)
    told.do("pick_up", CREW, MONDAY + 3 * MINUTE).do(
        "arrive", CREW, MONDAY + 4 * MINUTE, position=[112.0, 22.0]
    )
    told.do("dispose", CREW, MONDAY + 5 * MINUTE, result="好")
    told.do("rework", DISPATCHER, MONDAY + 6 * MINUTE, reason="不好")
    told.do("pick_up", CREW, MONDAY + 7 * MINUTE)
    found = lives((event.change.clocks, event.change.assignments) for event in told.events)
    kinds = sorted(kind for kind, _ in found)
    assert kinds == sorted(
        [
            "accept",
            "close",
            "dispatch",
            "pick_up",
            "arrive",
            "dispose",
            "verify",
            "pick_up",
            "arrive",
            "dispose",
        ]
    )
    assert sum(clock.ended is None for _, clock in found) == 3


def case(kind: str, clock: Clock, category: str = "0101", severity: int = 3) -> Case:
    return Case(category, severity, "joint", MICRO, ((kind, clock),))


def test_cases_are_counted_by_theme_and_town_and_each_once() -> None:
    tighter = other(event_types_csv=("joint,10m,60m,3wd", "joint,5m,60m,2wd"))
    both = Case("0101", 3, "joint", MICRO, (("accept", ran("10m", 7)), ("dispose", ran("3wd", 2_000))))
    was = case("accept", ran("10m", 11))
    fine = case("accept", ran("10m", 4))
    elsewhere = case("accept", ran("30m", 20), "0301", 4)
    verdict = judge([both, was, fine, elsewhere], tighter, MUCH_LATER)
    assert (verdict.total.cases, verdict.total.late, verdict.total.more, verdict.total.fewer) == (4, 1, 1, 0)
    assert (verdict.themes["01"].cases, verdict.themes["01"].more) == (3, 1)
    assert (verdict.themes["03"].cases, verdict.themes["03"].more) == (1, 0)
    assert (verdict.towns[TOWN].cases, verdict.towns[TOWN].more) == (4, 1)
    wider = judge([was], other(event_types_csv=("joint,10m,60m,3wd", "joint,15m,60m,3wd")), MUCH_LATER)
    assert (wider.total.late, wider.total.more, wider.total.fewer) == (1, 0, 1)


def test_what_the_source_promised_stays_as_it_was_judged() -> None:
    promise = clocks.meet(clocks.promised(MONDAY, MONDAY + HOUR), MONDAY + 2 * HOUR)
    verdict = judge([case("dispose", promise)], small_policy(), MUCH_LATER)
    assert (verdict.total.late, verdict.total.more, verdict.total.fewer) == (1, 0, 0)
