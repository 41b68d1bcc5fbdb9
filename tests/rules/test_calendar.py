"""Working time is counted as a person would count it with the official calendar in hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.rules.time.calendar import Calendar, Limit
from tests.small_law import SHANGHAI, local, small_policy

CALENDAR = small_policy().calendar

# Begin, limit, the last instant that is on time (local), and why.
TABLE = [
    ("2026-03-02 09:00", "30m", "2026-03-02 09:30", "minutes in the morning of a Monday"),
    ("2026-03-02 11:50", "30m", "2026-03-02 12:20", "minutes do not stop for lunch"),
    ("2026-03-07 23:50", "30m", "2026-03-08 00:20", "minutes over midnight on a weekend"),
    ("2026-03-02 23:00", "2uh", "2026-03-03 01:00", "emergency hours over midnight"),
    ("2026-03-06 23:00", "48uh", "2026-03-08 23:00", "emergency hours over a weekend"),
    ("2026-03-06 15:00", "2ud", "2026-03-08 15:00", "emergency days over a weekend"),
    (
        "2026-02-14 17:00",
        "20uh",
        "2026-02-15 13:00",
        "emergency hours from the make-up Saturday into the holiday",
    ),
    (
        "2026-02-14 17:30",
        "60m",
        "2026-02-14 18:30",
        "minutes do not stop on the evening of a make-up Saturday",
    ),
    ("2026-03-06 17:00", "2wh", "2026-03-09 09:00", "working hours over a weekend"),
    ("2026-02-14 17:00", "2wh", "2026-02-24 09:00", "working hours over the whole Spring Festival"),
    ("2028-02-29 17:00", "2wh", "2028-03-01 09:00", "working hours out of the leap day"),
    ("2028-02-29 23:45", "30m", "2028-03-01 00:15", "minutes over the midnight of the leap day"),
    ("2026-02-16 10:00", "1ud", "2026-02-17 10:00", "an emergency day in the Spring Festival"),
    ("2028-02-28 10:00", "1ud", "2028-02-29 10:00", "an emergency day into the leap day"),
    ("2028-02-29 10:00", "1ud", "2028-03-01 10:00", "an emergency day out of the leap day"),
    ("2026-03-02 08:30", "2wh", "2026-03-02 10:30", "working hours inside a morning"),
    ("2026-03-02 10:00", "2wh", "2026-03-02 12:00", "used up exactly when lunch begins: ends there"),
    ("2026-03-02 11:00", "2wh", "2026-03-02 15:00", "one hour before lunch and one after"),
    ("2026-03-02 13:00", "1wh", "2026-03-02 15:00", "begun at lunch"),
    ("2026-03-02 12:00", "1wh", "2026-03-02 15:00", "begun exactly when lunch begins"),
    ("2026-03-02 07:00", "1wh", "2026-03-02 09:00", "begun before the day begins"),
    ("2026-03-03 00:00", "1wh", "2026-03-03 09:00", "begun at midnight"),
    ("2026-03-02 16:00", "2wh", "2026-03-02 18:00", "used up exactly in the evening: not the next morning"),
    ("2026-03-02 18:00", "1wh", "2026-03-03 09:00", "begun exactly in the evening"),
    ("2026-03-02 17:30", "1wh", "2026-03-03 08:30", "over a night"),
    ("2026-03-06 19:00", "1wh", "2026-03-09 09:00", "begun on a Friday evening"),
    ("2026-03-07 10:00", "1wd", "2026-03-09 18:00", "begun on a Saturday: the whole of Monday"),
    ("2026-03-06 15:00", "1wd", "2026-03-09 15:00", "over a weekend"),
    ("2026-03-02 08:00", "1wd", "2026-03-02 18:00", "a whole working day"),
    ("2026-02-13 16:00", "1wd", "2026-02-14 16:00", "the Saturday before the Spring Festival is worked"),
    ("2026-02-14 16:00", "1wd", "2026-02-24 16:00", "from that Saturday over the whole Spring Festival"),
    ("2026-02-18 12:00", "4wh", "2026-02-24 12:00", "begun on a holiday"),
    ("2026-02-13 09:00", "3wd", "2026-02-25 09:00", "7 h Friday, 8 Saturday, 8 Tuesday, 1 Wednesday"),
    ("2026-02-27 17:00", "1wd", "2026-02-28 17:00", "the make-up Saturday after the Spring Festival"),
    ("2025-12-31 17:00", "1wd", "2026-01-04 17:00", "over New Year to a worked Sunday"),
    ("2026-09-30 17:00", "2wd", "2026-10-09 17:00", "over the week of the National Day"),
    ("2028-02-28 14:00", "2wd", "2028-03-01 12:00", "working days over the leap day"),
]


@pytest.mark.parametrize(("begin", "limit", "due", "why"), TABLE, ids=[row[3] for row in TABLE])
def test_a_limit_ends_when_a_person_with_the_calendar_says_it_does(
    begin: str, limit: str, due: str, why: str
) -> None:
    """Each row was counted by hand."""
    found = CALENDAR.due(local(begin), Limit.parse(limit))
    assert found.astimezone(SHANGHAI).isoformat(" ", "minutes")[:16] == due
    assert found.utcoffset() == timedelta(0)
    assert found.second == found.microsecond == 0
    # The answer is remembered; a second question must get the same one.
    assert CALENDAR.due(local(begin), Limit.parse(limit)) == found


def test_the_table_has_every_unit() -> None:
    """None of the five units is left out of the table above."""
    assert {Limit.parse(row[1]).unit for row in TABLE} == {"m", "uh", "ud", "wh", "wd"}


@pytest.mark.parametrize(
    ("begin", "end", "hours"),
    [
        ("2026-03-02 09:00", "2026-03-02 09:00", 0),
        ("2026-03-02 11:00", "2026-03-02 15:00", 2),
        ("2026-03-06 17:00", "2026-03-09 09:00", 2),
        ("2026-02-14 08:00", "2026-02-24 08:00", 8),
        ("2026-03-09 09:00", "2026-03-06 17:00", -2),
        ("2026-03-07 00:00", "2026-03-08 23:59", 0),
        ("2026-01-01 00:00", "2027-01-01 00:00", 248 * 8),
    ],
)
def test_worked_hours_are_counted_by_the_official_calendar(begin: str, end: str, hours: int) -> None:
    """2026 has 261 weekdays, 19 of them off, and 6 weekend days on."""
    assert CALENDAR.worked(local(begin), local(end)) == hours * 3600
    assert CALENDAR.elapsed(local(begin), local(end), True) == hours * 3600
    assert CALENDAR.elapsed(local(begin), local(end), False) == (local(end) - local(begin)).total_seconds()


def test_a_fraction_of_a_second_does_not_push_a_limit_over_the_lunch_break() -> None:
    """Time that is used up at noon sharp ends at noon, also when its parts have decimals."""
    noon = local("2026-03-02 12:00")
    for micros in range(100_000, 1_000_000, 100_000):
        begin = local("2026-03-02 10:00") + timedelta(microseconds=micros)
        assert CALENDAR.after(begin, 7200 - micros / 1e6, True) == noon


def test_no_time_at_all_leaves_the_instant_where_it_is() -> None:
    """Zero seconds after a night's hour is that hour, not the evening before."""
    for text in ("2026-03-02 22:00", "2026-03-07 11:00", "2026-03-02 09:00", "2026-03-02 13:00"):
        assert CALENDAR.after(local(text), 0, True) == local(text)
        assert CALENDAR.after(local(text).astimezone(SHANGHAI), 0, True).utcoffset() == timedelta(0)


def test_negative_time_leads_back() -> None:
    """One working hour before Monday 08:30 is Friday 17:30."""
    assert CALENDAR.after(local("2026-03-09 08:30"), -3600, True) == local("2026-03-06 17:30")
    assert CALENDAR.after(local("2026-03-09 08:30"), -3600, False) == local("2026-03-09 07:30")


_instants = st.integers(0, 32 * 365 * 86_400 * 10**6).map(
    lambda micros: datetime(2016, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
)
_lengths = st.integers(0, 250 * 8 * 3600 * 10**6).map(lambda micros: micros / 1e6)
_limits = st.builds(Limit, st.integers(1, 500), st.sampled_from(["m", "uh", "ud", "wh", "wd"]))


@settings(max_examples=300, deadline=None)
@given(_instants, _lengths)
def test_what_runs_after_an_instant_is_what_was_worked_since(begin: datetime, length: float) -> None:
    """`after` and `worked` are each other's inverse, and `after` is the first such instant."""
    end = CALENDAR.after(begin, length, True)
    assert end >= begin
    assert CALENDAR.worked(begin, end) == length
    if length > 0:
        assert CALENDAR.worked(begin, end - timedelta(microseconds=1)) < length
    back = CALENDAR.after(end, -length, True)
    assert CALENDAR.worked(back, end) == length
    assert back <= end


@settings(max_examples=300, deadline=None)
@given(_instants, _instants)
def test_counting_back_from_any_instant_leads_to_its_worked_moment(one: datetime, other: datetime) -> None:
    """Between the answer and the instant asked about no work was done."""
    begin, end = sorted((one, other))
    if CALENDAR.worked(begin, end) > 0:
        found = CALENDAR.after(begin, CALENDAR.worked(begin, end), True)
        assert begin < found <= end
        assert CALENDAR.worked(found, end) == 0
    assert CALENDAR.worked(begin, end) == -CALENDAR.worked(end, begin) >= 0


@settings(max_examples=300, deadline=None)
@given(_instants, _instants, _limits, _limits)
def test_later_begins_and_longer_limits_are_never_due_earlier(
    one: datetime, other: datetime, limit: Limit, longer: Limit
) -> None:
    """`due` is monotone in both, and never lies before its begin."""
    first, second = sorted((one, other))
    due = CALENDAR.due(first, limit)
    assert first < due <= CALENDAR.due(second, limit)
    if longer.unit == limit.unit:
        short, long = sorted((limit.amount, longer.amount))
        assert CALENDAR.due(first, Limit(short, limit.unit)) <= CALENDAR.due(first, Limit(long, limit.unit))


@pytest.mark.parametrize("text", ["", "3", "wd", "0m", "-1m", "1.5uh", "3 wd", "3d", "10000m", "３m", "1m1m"])
def test_a_limit_that_is_no_limit_is_refused_with_its_text(text: str) -> None:
    """The sentence says what was expected."""
    with pytest.raises(ValueError, match=r"expected a number above 0 and one of m, uh, ud, wh, wd, not"):
        Limit.parse(text)


@pytest.mark.parametrize("text", ["30m", "2uh", "1ud", "4wh", "3wd"])
def test_a_limit_is_written_as_it_was_read(text: str) -> None:
    """Reading and writing are each other's inverse."""
    assert str(Limit.parse(f" {text} ")) == text
    assert Limit.parse(text).working == (text[-2:] in ("wh", "wd"))


@pytest.mark.parametrize(
    "sessions",
    [
        (),
        ((time(8), time(8)),),
        ((time(12), time(8)),),
        ((time(14), time(18)), (time(8), time(12))),
        ((time(8), time(12)), (time(11), time(18))),
    ],
    ids=["none", "empty", "backwards", "out of order", "overlapping"],
)
def test_sessions_that_make_no_day_are_refused(sessions: tuple[tuple[time, time], ...]) -> None:
    """Overlapping hours would be counted twice."""
    with pytest.raises(ValueError, match="sessions"):
        Calendar(sessions=sessions)


def test_days_outside_the_calendar_are_refused_and_never_guessed() -> None:
    """Neither before 2015 nor after 2050 does it answer."""
    early, late = datetime(2014, 6, 1, tzinfo=UTC), datetime(2051, 6, 1, tzinfo=UTC)
    for instant in (early, late):
        with pytest.raises(ValueError, match="outside the calendar"):
            CALENDAR.worked(instant, instant)
    with pytest.raises(ValueError, match="not known"):
        CALENDAR.due(datetime(2050, 12, 1, tzinfo=UTC), Limit.parse("100wd"))
    with pytest.raises(ValueError, match="not known"):
        CALENDAR.after(datetime(2015, 1, 2, tzinfo=UTC), -100 * 8 * 3600, True)


def test_a_day_is_worked_or_not_as_announced() -> None:
    """A holiday that falls on a weekend changes nothing, a make-up day does."""
    assert CALENDAR.is_working(date(2026, 2, 14))
    assert not CALENDAR.is_working(date(2026, 2, 15))
    assert not CALENDAR.is_working(date(2026, 2, 23))
    assert CALENDAR.is_working(date(2026, 2, 24))
    weekend = Calendar(holidays=frozenset({date(2026, 3, 7)}))
    assert not weekend.is_working(date(2026, 3, 7))


def test_a_day_begins_at_the_citys_own_midnight() -> None:
    """Half past midnight in the city is still the day before in UTC."""
    moment = local("2026-03-02 00:30")
    assert CALENDAR.midnight(moment) == local("2026-03-02 00:00")
    assert CALENDAR.begins(date(2026, 3, 2)) == local("2026-03-02 00:00")
    assert CALENDAR.local(moment).day == 2


@pytest.mark.parametrize(
    ("limit", "seconds"), [("1m", 60), ("2m", 120), ("3m", 180), ("5m", 180), ("6m", 180), ("7m", 210)]
)
def test_wartime_never_makes_a_limit_longer(limit: str, seconds: int) -> None:
    """Half of it, at least three minutes, and never more than in peace."""
    assert CALENDAR.seconds(Limit.parse(limit).halved) == seconds
