"""The team that goes is of the right trade, from the nearest area that has one, ready, and least burdened."""

from __future__ import annotations

from typing import Any

import pytest

from dispatch.rules.policy.weights import FORMER
from dispatch.rules.teams.routing import READY, Roster, Team, choose, distance_km, offers
from tests.small_law import CITY, COUNTY, FAR_TOWN, MICRO, NEXT_TOWN, TOWN, VILLAGE, teams


def team(number: int, area: str = TOWN, **rest: Any) -> Team:
    """Return a police team with changes."""
    made = Team(number, f"队{number}", "police", area, 4, 0, "available", 112.0, 22.9)
    for name, value in rest.items():
        setattr(made, name, value)
    return made


def chosen(
    *given: Team, area: str = MICRO, lon: float | None = 112.0, lat: float | None = 22.9
) -> int | None:
    """Return the id of the team that is sent."""
    found = choose(Roster(given, FORMER), "police", area, lon, lat)
    return found.id if found else None


@pytest.mark.parametrize(
    ("trade", "area", "told"),
    [
        ("grid", MICRO, 1), ("police", MICRO, 3), ("water", MICRO, 7), ("gas", MICRO, 8), ("police", NEXT_TOWN, 4),
        ("police", FAR_TOWN, 5), ("water", FAR_TOWN, None), ("gas", FAR_TOWN, 8), ("grid", TOWN, None),
        ("police", COUNTY, None), ("gas", CITY, 8), ("nobody", MICRO, None),
    ],
)  # fmt: skip
def test_jurisdiction_is_the_nearest_area_upwards_that_has_such_a_team(
    trade: str, area: str, told: int | None
) -> None:
    """Never sideways into the next town, never downwards."""
    found = choose(Roster(teams(), FORMER), trade, area, None, None)
    assert (found.id if found else None) == told


def test_a_nearer_area_comes_before_a_nearer_station() -> None:
    """The county's team next door does not take what the town's own team can."""
    assert chosen(team(1, COUNTY), team(2, TOWN, lon=113.5)) == 2


def test_the_less_burdened_goes_first_measured_by_what_it_can_hold() -> None:
    """Three of ten is less than two of four."""
    assert chosen(team(1, load=2), team(2, load=3, capacity=10)) == 2
    assert chosen(team(1, load=1), team(2, load=1)) == 1


def test_a_full_team_goes_only_where_all_are_full() -> None:
    """However near it is."""
    assert chosen(team(1, load=4), team(2, load=3, lon=112.3)) == 2
    assert chosen(team(1, load=9), team(2, load=4)) == 2


def test_of_equals_the_nearer_goes_and_one_whose_place_is_unknown_is_not_the_nearest() -> None:
    """Nobody is at hand because nobody knows where they are."""
    assert chosen(team(1, lon=112.2), team(2, lon=112.1)) == 2
    assert chosen(team(1, lon=None, lat=None), team(2, lon=112.001)) == 2
    # Without a point of the incident, places decide nothing.
    assert chosen(team(1, lon=None, lat=None), team(2), lon=None, lat=None) == 1


@pytest.mark.parametrize("state", ["resting", "off_duty"])
def test_who_rests_is_not_sent_and_nobody_farther_instead(state: str) -> None:
    """It stays with the dispatcher, who may decide otherwise."""
    assert state not in READY
    assert chosen(team(1, state=state)) is None
    assert chosen(team(1, state=state), team(2, state=state)) is None
    assert chosen(team(1, state=state), team(2)) == 2
    assert chosen(team(1, state=state), team(2, COUNTY)) is None


def test_a_team_without_capacity_is_a_last_resort_and_no_division_by_zero() -> None:
    """A row that somebody set to nought must not stop the whole intake."""
    assert chosen(team(1, capacity=0), team(2, load=3)) == 2
    assert chosen(team(1, capacity=0)) == 1
    assert [
        o.team.id for o in offers(Roster([team(1, capacity=0), team(2)], FORMER), "police", MICRO, None, None)
    ] == [2, 1]


def test_offers_name_every_team_upwards_with_reasons_and_shortfalls() -> None:
    """The best first, and the first ready one is the one that would be sent."""
    given = [
        team(1, load=4),
        team(2, state="resting"),
        team(3, COUNTY),
        team(4, VILLAGE, trade="grid"),
        team(5, NEXT_TOWN),
        team(6, lon=None, lat=None),
    ]
    found = offers(Roster(given, FORMER), "police", MICRO, 112.0, 22.9)
    assert [o.team.id for o in found] == [6, 1, 3, 2]
    said = {o.team.id: (o.reasons, o.shortfalls) for o in found}
    assert said[6] == (("trade", "area", "has_room"), ())
    assert said[1] == (("trade", "area"), ("full",))
    assert said[3] == (("trade", "has_room"), ("farther_area",))
    assert said[2] == (("trade", "area", "has_room"), ("not_ready",))
    assert found[0].km is None
    assert found[1].km == 0
    assert chosen(*given) == found[0].team.id


def test_distance_is_that_of_a_sphere_and_unknown_where_a_place_is() -> None:
    """A hundredth of a degree of latitude is 1.112 km, of longitude here 1.024 km."""
    assert distance_km(team(1), 112.0, 22.91) == pytest.approx(1.112, abs=0.001)
    assert distance_km(team(1), 112.01, 22.9) == pytest.approx(1.024, abs=0.001)
    assert distance_km(team(1), None, None) is None
    assert distance_km(team(1, lon=None, lat=None), 112.0, 22.9) is None
