"""Proves bursts: what hangs together in cause, place and time is one, and nothing else is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import cos, hypot, radians
from pathlib import Path
from random import Random
from types import MappingProxyType

import pytest

from dispatch.rules.places import KM_PER_DEGREE
from dispatch.rules.policy import bursts
from dispatch.rules.policy.bursts import Bursts, Cause, Standing, found
from dispatch.rules.policy.tables import PolicyError

NOON = datetime(2026, 6, 16, 4, tzinfo=UTC)
STORM = Cause("storm", "暴雨", "Rainstorm", frozenset({"0803", "0808"}))
LAW = Bursts(4, 30, 2.0, MappingProxyType(dict.fromkeys(STORM.types, STORM)))
KM = 1 / 111.195
TEXT = (Path(__file__).parents[2] / "config" / "policy" / bursts.FILE).read_text("utf-8")


def case(one: int, minute: float, km_north: float = 0.0, category: str = "0803") -> Standing:
    return Standing(one, category, NOON + timedelta(minutes=minute), 112.0, 22.9 + km_north * KM)


def test_reports_of_one_cause_near_each_other_and_soon_after_each_other_are_one_burst() -> None:
    cases = [case(1, 0), case(2, 29, 1.9, "0808"), case(3, 58, 3.8), case(4, 80, 4.0)]
    assert [(each.cause, each.ids) for each in found(cases, LAW)] == [("storm", (1, 2, 3, 4))]


@pytest.mark.parametrize(
    "last",
    [case(4, 31), case(4, 0, 2.1), case(4, 0, category="0104"), Standing(4, "0803", NOON, None, None)],
    ids=["later", "farther", "of another cause", "nowhere"],
)
def test_one_case_too_far_in_time_place_or_kind_leaves_too_few(last: Standing) -> None:
    assert found([case(1, 0), case(2, 0), case(3, 0), last], LAW) == []


def test_types_that_no_cause_names_burst_each_by_itself() -> None:
    cases = [case(n, n, category="0906" if n % 2 else "0502") for n in range(1, 9)]
    assert [(each.cause, each.ids) for each in found(cases, LAW)] == [
        ("0906", (1, 3, 5, 7)),
        ("0502", (2, 4, 6, 8)),
    ]


def test_two_places_of_one_storm_are_two_bursts_and_the_older_stands_first() -> None:
    here, there = [case(n, n) for n in range(10, 14)], [case(n, n - 20, 9) for n in range(20, 24)]
    assert [each.ids for each in found([*here, *there], LAW)] == [(20, 21, 22, 23), (10, 11, 12, 13)]


def test_without_a_policy_there_are_no_bursts() -> None:
    assert found([case(n, 0) for n in range(50)], None) == []


@pytest.mark.parametrize("seed", range(6))
def test_chains_are_those_of_comparing_every_pair_in_whatever_order(seed: int) -> None:
    rnd = Random(seed)
    cases = [
        Standing(
            n, "0803", NOON + timedelta(minutes=rnd.uniform(0, 240)),
            112 + rnd.uniform(0, 0.12), 22.9 + rnd.uniform(0, 0.12),
        )
        for n in range(90)
    ]  # fmt: skip
    groups = [{one.id} for one in cases]
    by_id = {one.id: one for one in cases}
    north = radians(sum(one.lat or 0 for one in cases) / len(cases))

    def near(a: Standing, b: Standing) -> bool:
        east = ((a.lon or 0) - (b.lon or 0)) * cos(north)
        km = hypot(east, (a.lat or 0) - (b.lat or 0)) * KM_PER_DEGREE
        return km <= LAW.near_km and abs(a.reported_at - b.reported_at) <= timedelta(minutes=LAW.within_min)

    joined = True
    while joined:
        joined = False
        for i, one in enumerate(groups):
            for other in groups[i + 1 :]:
                if any(near(by_id[a], by_id[b]) for a in one for b in other):
                    one |= other
                    groups.remove(other)
                    joined = True
                    break
            if joined:
                break
    expected = {frozenset(group) for group in groups if len(group) >= LAW.least}
    assert expected
    rnd.shuffle(cases)
    assert {frozenset(each.ids) for each in found(cases, LAW)} == expected


def test_the_shipped_file_is_read_and_names_the_storm() -> None:
    faults: list[PolicyError] = []
    limits = bursts.read(TEXT, {"0801", "0802", "0803", "0804", "0805", "0808"}, faults)
    assert faults == []
    assert limits.causes["0803"].name_en == "Rainstorm"
    assert limits.least >= 2


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("least = 12", "least = 1", "burst.least"),
        ('within = "45m"', 'within = "3wd"', "burst.within"),
        ("near_km = 3.0", "near_km = -3", "burst.near_km"),
        ('"0803"', '"9999"', "cause[1].types"),
        ('"0803"', '"0801"', "cause[1].types"),
        ("[burst]", "[burst]\nmost = 3", "burst.most"),
    ],
)
def test_a_wrong_figure_is_refused_by_name(old: str, new: str, key: str) -> None:
    faults: list[PolicyError] = []
    bursts.read(TEXT.replace(old, new, 1), {"0801", "0802", "0803", "0804", "0805", "0808"}, faults)
    assert [fault.key for fault in faults] == [key]
