"""Prove that spans of days know their bounds, and what they are held against: as many days, and last year's."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from dispatch.rules.time.period import LONGEST, Period, PeriodError

TODAY = date(2026, 11, 26)


def free(first: str, last: str) -> Period:
    """Return the days from one to another."""
    return Period.between(first, last, TODAY)


def test_periods_know_their_neighbours() -> None:
    assert Period.holding("month", date(2026, 1, 31)).before == Period("month", date(2025, 12, 1))
    assert Period("month", date(2026, 2, 1)).until == date(2026, 3, 1)
    assert Period.holding("week", date(2026, 11, 1)) == Period("week", date(2026, 10, 26))
    assert Period("week", date(2026, 10, 26)).year_ago.first == date(2025, 10, 27)
    assert Period("day", date(2024, 2, 29)).year_ago == Period("day", date(2023, 2, 28))
    assert len(Period("month", date(2024, 2, 1)).days) == 29
    with pytest.raises(ValueError, match="not the first day of a month"):
        Period("month", date(2026, 2, 2))


@pytest.mark.parametrize(
    ("day", "first", "until", "before", "text"),
    [
        ("2026-01-01", "2026-01-01", "2026-04-01", "2025-10-01", "2026-Q1"),
        ("2026-06-30", "2026-04-01", "2026-07-01", "2026-01-01", "2026-Q2"),
        ("2026-08-15", "2026-07-01", "2026-10-01", "2026-04-01", "2026-Q3"),
        ("2026-12-31", "2026-10-01", "2027-01-01", "2026-07-01", "2026-Q4"),
    ],
)
def test_a_quarter_is_three_months(day: str, first: str, until: str, before: str, text: str) -> None:
    found = Period.holding("quarter", date.fromisoformat(day))
    assert (f"{found.first}", f"{found.until}", found.text) == (first, until, text)
    assert found.before == Period("quarter", date.fromisoformat(before))
    assert found.year_ago == Period("quarter", found.first.replace(year=found.first.year - 1))


def test_every_quarter_and_month_of_a_century_ends_where_the_next_begins() -> None:
    for kind in ("month", "quarter"):
        each = Period(kind, date(2000, 1, 1))
        while each.first.year < 2100:
            following = Period(each.kind, each.until)
            assert following.before == each
            each = following


@pytest.mark.parametrize(
    ("days", "before", "year_ago"),
    [
        (("2026-10-03", "2026-10-19"), ("2026-09-16", "2026-10-02"), ("2025-10-03", "2025-10-19")),
        (("2026-01-01", "2026-01-01"), ("2025-12-31", "2025-12-31"), ("2025-01-01", "2025-01-01")),
        # As many days, whether or not a 29 February lies in the one or the other.
        (("2024-02-20", "2024-03-05"), ("2024-02-05", "2024-02-19"), ("2023-02-20", "2023-03-06")),
        (("2025-02-20", "2025-03-05"), ("2025-02-06", "2025-02-19"), ("2024-02-20", "2024-03-04")),
        (("2024-02-29", "2024-02-29"), ("2024-02-28", "2024-02-28"), ("2023-02-28", "2023-02-28")),
    ],
)
def test_free_days_are_held_against_as_many(
    days: tuple[str, str], before: tuple[str, str], year_ago: tuple[str, str]
) -> None:
    found = free(*days)
    assert found.compared(TODAY) == (free(*before), free(*year_ago))
    assert {len(each.days) for each in (found, found.before, found.year_ago)} == {len(found.days)}
    assert found.before.until == found.first


def test_a_period_that_is_over_is_held_against_whole_ones() -> None:
    for found in (
        Period("month", date(2026, 10, 1)),
        Period("quarter", date(2026, 7, 1)),
        Period("week", date(2026, 11, 16)),
        Period("day", TODAY),
    ):
        assert found.compared(TODAY) == (found.before, found.year_ago)


def test_a_period_that_runs_is_held_against_as_many_days_as_have_begun() -> None:
    month = Period("month", date(2026, 11, 1))
    assert month.compared(TODAY) == (free("2026-10-01", "2026-10-26"), free("2025-11-01", "2025-11-26"))
    assert month.compared(date(2026, 11, 30)) == (month.before, month.year_ago)
    week = Period("week", date(2026, 11, 23))
    assert week.compared(TODAY) == (free("2026-11-16", "2026-11-19"), free("2025-11-24", "2025-11-27"))
    # A month that is shorter is taken whole, and no day of the next.
    march = Period("month", date(2026, 3, 1))
    assert march.compared(date(2026, 3, 30))[0] == free("2026-02-01", "2026-02-28")


@pytest.mark.parametrize(
    ("first", "last", "why"),
    [
        ("", "", "unreadable"),
        ("2026-10-01", "", "unreadable"),
        ("2026-13-01", "2026-10-02", "unreadable"),
        ("yesterday", "today", "unreadable"),
        ("2026-10-02", "2026-10-01", "reversed"),
        ("2026-11-20", "2026-11-27", "ahead"),
        ("1999-01-01", "1999-02-01", "old"),
        ("2025-11-25", "2026-11-26", "long"),
    ],
)
def test_days_that_make_no_period_are_refused_with_the_reason(first: str, last: str, why: str) -> None:
    with pytest.raises(PeriodError) as fault:
        free(first, last)
    assert fault.value.why == why


def test_the_longest_period_is_allowed() -> None:
    first = TODAY - timedelta(days=LONGEST - 1)
    assert len(free(f"{first}", f"{TODAY}").days) == LONGEST
    assert len(free(f"{TODAY}", f"{TODAY}").days) == 1


def test_a_last_day_goes_with_a_free_period_alone() -> None:
    with pytest.raises(ValueError, match="a last day goes with a free period"):
        Period("month", date(2026, 10, 1), date(2026, 10, 31))
    with pytest.raises(ValueError, match="a last day goes with a free period"):
        Period("free", date(2026, 10, 1))
    with pytest.raises(ValueError, match="expected day, week, month, quarter"):
        Period.holding("free", date(2026, 10, 1))
