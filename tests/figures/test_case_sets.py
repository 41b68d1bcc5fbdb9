"""Prove that a set of cases has one name, read back from an address, and that nothing else passes for one."""

from __future__ import annotations

from datetime import date

import pytest

from dispatch.figures.case_sets import CaseSet

CITY, TOWN = "445300", "445302001"


def test_a_set_of_cases_is_read_back_from_its_key() -> None:
    for wanted in (
        CaseSet("red", CITY),
        CaseSet("on_time", TOWN, date(2026, 5, 1), date(2026, 6, 1), "04"),
        CaseSet("reported", CITY, date(2026, 5, 1), date(2026, 6, 1), "", 0, 23),
    ):
        assert CaseSet.parse(wanted.key) == wanted


@pytest.mark.parametrize(
    "key",
    [
        "",
        "red",
        "no_such~445300~~~~~",
        "red~44530x~~~~~",
        "red~445300~2026-05-01~~~~",
        "red~445300~yesterday~today~~~",
        "red~445300~~~' or 1=1~~",
        "red~4~~~~~",
    ],
)
def test_a_key_that_names_no_set_is_refused(key: str) -> None:
    with pytest.raises(ValueError):
        CaseSet.parse(key)
