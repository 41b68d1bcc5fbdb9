"""An area's code alone says its level, its parents and what lies inside it."""

from __future__ import annotations

import pytest

from dispatch.rules.areas import Level, ancestors, at_level, centre_of, contains, level_of, parent_of
from tests.district import AREAS
from tests.small_law import CITY, COUNTY, MICRO, OTHER_COUNTY, TOWN, VILLAGE

SMALL_GRID, IN_SMALL_GRID = f"{VILLAGE}01", f"{VILLAGE}01001"
CHAIN = (IN_SMALL_GRID, SMALL_GRID, VILLAGE, TOWN, COUNTY, CITY)


def test_every_level_is_read_from_the_length_of_the_code() -> None:
    """Six levels, and a city is a county's code that ends in 00."""
    assert [level_of(code) for code in CHAIN] == list(reversed(Level))


@pytest.mark.parametrize(
    "code",
    ["", "4", "44530", "4453020", "4453020010", "44530200100", "x45302", "４４５３０２", "-45302", " 445302"],
)
def test_what_is_no_code_is_refused(code: str) -> None:
    """Also digits of another script, signs and blanks."""
    with pytest.raises(ValueError, match="not an area code"):
        level_of(code)


def test_parents_lead_to_the_city_and_a_micro_grid_may_skip_the_small_grid() -> None:
    """Where digits 13 and 14 are 00 it hangs on the village directly."""
    assert ancestors(IN_SMALL_GRID) == CHAIN
    assert ancestors(MICRO) == (MICRO, VILLAGE, TOWN, COUNTY, CITY)
    assert parent_of(CITY) is None
    assert at_level(MICRO, Level.TOWN) == TOWN
    assert at_level(MICRO, Level.MICRO) == MICRO
    assert at_level(MICRO, Level.SMALL) is None
    assert at_level(TOWN, Level.VILLAGE) is None


def test_an_area_contains_exactly_what_has_it_among_its_ancestors() -> None:
    """For every pair of the small city, itself included."""
    places = (*AREAS, SMALL_GRID, IN_SMALL_GRID)
    for outer in places:
        for inner in places:
            assert contains(outer, inner) == (outer in ancestors(inner)), f"{outer}, {inner}"


def test_no_area_contains_nothing() -> None:
    """An actor without an area must not see the whole city."""
    assert not any(contains("", code) for code in AREAS)


def test_a_report_goes_to_its_town_or_the_nearest_centre_above() -> None:
    """Below the town there is no command centre."""
    assert [centre_of(code) for code in (MICRO, SMALL_GRID, VILLAGE, TOWN)] == [TOWN] * 4
    assert [centre_of(code) for code in (COUNTY, OTHER_COUNTY, CITY)] == [COUNTY, OTHER_COUNTY, CITY]
