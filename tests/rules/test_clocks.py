"""A clock is met, late, paused or breached by its limit and nothing else, and its light says how near it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from dispatch.rules.time import clocks
from dispatch.rules.time.calendar import Limit
from dispatch.rules.time.clocks import Clock
from tests.small_law import CREW, DISPATCHER, DUTY, JOINT, POLICE, Case, local, small_policy

CALENDAR = small_policy().calendar
MICROSECOND = timedelta(microseconds=1)


def started(limit: str, begin: str) -> Clock:
    """Return a running clock."""
    return clocks.start(Limit.parse(limit), local(begin), CALENDAR)


def test_a_started_clock_knows_its_limit_its_begin_and_its_end() -> None:
    """Nothing is noted yet, and there is no verdict."""
    clock = started("2wh", "2026-03-02 11:00")
    assert clock == Clock("running", "2wh", local("2026-03-02 11:00"), local("2026-03-02 15:00"))
    assert clock.awaited
    assert clocks.on_time(clock) is None
    assert clocks.on_time(None) is None


def test_what_comes_exactly_at_the_limit_is_on_time_and_the_next_instant_is_late() -> None:
    """The edge belongs to the one who is judged."""
    clock = started("30m", "2026-03-02 09:00")
    assert clock.due is not None
    met, late = clocks.meet(clock, clock.due), clocks.meet(clock, clock.due + MICROSECOND)
    assert (met.state, met.ended, clocks.on_time(met)) == ("met", clock.due, True)
    assert (late.state, late.ended, clocks.on_time(late)) == ("breached", clock.due + MICROSECOND, False)
    assert not met.awaited
    assert not late.awaited
    # The verdict is given once.
    assert clocks.meet(met, clock.due + timedelta(days=1)) == met


def test_a_breach_stays_awaited_until_the_act_comes_late() -> None:
    """Past the limit it is red and counted since then; the late act ends it."""
    clock = started("30m", "2026-03-02 09:00")
    late = clocks.breach(clock)
    assert late.awaited
    assert clocks.on_time(late) is None
    assert clocks.overdue_since([late]) == clock.due
    assert clocks.nearest([late]) is None
    ended = clocks.meet(late, local("2026-03-02 10:00"))
    assert clocks.on_time(ended) is False
    assert clocks.overdue_since([ended]) is None


def test_a_pause_over_a_holiday_costs_nothing_of_the_limit() -> None:
    """Six of eight hours left before the Spring Festival are six hours after it."""
    clock = started("1wd", "2026-02-14 14:00")
    paused = clocks.pause(clock, local("2026-02-14 16:00"), CALENDAR)
    assert (paused.state, paused.due, paused.left) == ("paused", None, 6 * 3600)
    assert clocks.nearest([paused]) is None
    assert clocks.overdue_since([paused]) is None
    resumed = clocks.resume(paused, local("2026-02-25 09:00"), CALENDAR)
    assert (resumed.state, resumed.due, resumed.left) == ("running", local("2026-02-25 17:00"), None)
    # As if it had begun two working hours before it went on: the light knows nothing of the pause.
    assert resumed.since == local("2026-02-24 17:00")
    assert CALENDAR.worked(resumed.since, local("2026-02-25 17:00")) == 8 * 3600


# A limit begun, paused before the Spring Festival of 2026 (15 to 23 February; 14 and 28 are worked Saturdays), resumed
# after it, due; and due once more time was granted: each row counted by hand.
PAUSES = [
    (
        "30m",
        "2026-02-14 11:50",
        "2026-02-14 12:00",
        "2026-02-24 08:00",
        "2026-02-24 08:20",
        "30m",
        "2026-02-24 08:50",
    ),
    (
        "2uh",
        "2026-02-14 10:00",
        "2026-02-14 11:00",
        "2026-02-24 08:00",
        "2026-02-24 09:00",
        "1uh",
        "2026-02-24 10:00",
    ),
    (
        "1ud",
        "2026-02-13 18:00",
        "2026-02-14 06:00",
        "2026-02-24 06:00",
        "2026-02-24 18:00",
        "1ud",
        "2026-02-25 18:00",
    ),
    (
        "4wh",
        "2026-02-14 16:00",
        "2026-02-14 17:00",
        "2026-02-24 10:00",
        "2026-02-24 15:00",
        "4wh",
        "2026-02-25 09:00",
    ),
    (
        "1wd",
        "2026-02-14 14:00",
        "2026-02-14 16:00",
        "2026-02-25 09:00",
        "2026-02-25 17:00",
        "1wd",
        "2026-02-26 17:00",
    ),
    # Paused in the holiday, when nothing ran: a working limit loses nothing, an emergency one what the night took.
    (
        "4wh",
        "2026-02-14 16:00",
        "2026-02-18 12:00",
        "2026-02-20 09:00",
        "2026-02-24 10:00",
        "2wh",
        "2026-02-24 12:00",
    ),
    (
        "1ud",
        "2026-02-17 12:00",
        "2026-02-18 00:00",
        "2026-02-28 09:00",
        "2026-02-28 21:00",
        "1wh",
        "2026-03-02 09:00",
    ),
    # Paused exactly at the end of the morning, and resumed in the lunch break.
    (
        "2wh",
        "2026-02-14 11:00",
        "2026-02-14 12:00",
        "2026-02-24 13:00",
        "2026-02-24 15:00",
        "1wh",
        "2026-02-24 16:00",
    ),
]


@pytest.mark.parametrize("row", PAUSES, ids=[f"{row[0]} {row[1][5:]}" for row in PAUSES])
def test_a_suspension_over_the_holiday_and_an_extension_after_it_end_when_a_person_says(
    row: tuple[str, ...],
) -> None:
    """All four kinds of time; exactly at the new limit is on time and the next instant is not."""
    limit, begin, paused, resumed, due, more, later = row
    clock = clocks.pause(started(limit, begin), local(paused), CALENDAR)
    assert (clock.state, clock.due) == ("paused", None)
    clock = clocks.resume(clock, local(resumed), CALENDAR)
    assert clock.due == local(due)
    granted = Limit.parse(more)
    extended = replace(clock, due=CALENDAR.after(clock.due, CALENDAR.seconds(granted), granted.working))
    assert extended.due == local(later)
    for one, end in ((clock, local(due)), (extended, local(later))):
        assert clocks.on_time(clocks.meet(one, end)) is True
        assert clocks.on_time(clocks.meet(one, end + MICROSECOND)) is False


def test_the_commands_move_a_limit_as_the_table_says() -> None:
    """Three working days: 7 h on Friday, 2 on the worked Saturday; suspended; 15 h from the 25th; then 4 h more."""
    case = Case(JOINT, at=local("2026-02-13 09:00")).do("accept", DISPATCHER)
    case.do("dispatch", DISPATCHER, team_id=POLICE).do("pick_up", CREW)
    until = local("2026-02-25 09:00")
    case.do("suspend", DUTY, local("2026-02-14 10:00"), reason="等法院", until=until).do(
        "resume", DUTY, until
    )
    assert case.incident.lead is not None
    assert case.incident.lead.clocks["dispose"].due == local("2026-02-26 18:00")
    case.do("ask_extension", CREW, local("2026-02-25 10:00"), limit="4wh", reason="等配件").do(
        "grant_extension", DUTY
    )
    assert case.incident.lead.clocks["dispose"].due == local("2026-02-27 12:00")


def test_a_pause_of_an_emergency_clock_moves_its_end_by_the_pause() -> None:
    """Two hours, one used, three days paused, one left."""
    paused = clocks.pause(started("2uh", "2026-03-06 20:00"), local("2026-03-06 21:00"), CALENDAR)
    resumed = clocks.resume(paused, local("2026-03-09 21:00"), CALENDAR)
    assert resumed.due == local("2026-03-09 22:00")
    assert resumed.since == local("2026-03-09 20:00")


def test_a_clock_paused_and_resumed_many_times_gives_its_whole_limit_and_no_more() -> None:
    """Thirds of a second are not lost or won on the way."""
    clock = started("4wh", "2026-03-02 08:00")
    at = local("2026-03-02 08:00")
    for _ in range(50):
        at += timedelta(seconds=100, microseconds=333_333)
        clock = clocks.pause(clock, at, CALENDAR)
        at += timedelta(seconds=77, microseconds=777_777)
        clock = clocks.resume(clock, at, CALENDAR)
    assert clock.due is not None
    assert CALENDAR.worked(at, clock.due) == 4 * 3600 - 50 * 100.333333
    assert CALENDAR.worked(clock.since, clock.due) == 4 * 3600


def test_only_what_runs_can_be_paused_and_only_what_is_paused_resumed() -> None:
    """Anything else stays the same."""
    clock = started("30m", "2026-03-02 09:00")
    at = local("2026-03-02 09:10")
    met, paused = clocks.meet(clock, at), clocks.pause(clock, at, CALENDAR)
    assert clocks.pause(met, at, CALENDAR) == met
    assert clocks.pause(paused, at, CALENDAR) == paused
    assert clocks.resume(clock, at, CALENDAR) == clock
    assert clocks.resume(met, at, CALENDAR) == met


@pytest.mark.parametrize("limit", ["2wh", "2uh"])
def test_a_clock_paused_after_its_limit_goes_on_as_late_as_it_was(limit: str) -> None:
    """A return does not wash a breach away, in neither kind of time."""
    clock = clocks.breach(started(limit, "2026-03-02 08:00"))
    paused = clocks.pause(clock, local("2026-03-02 11:00"), CALENDAR)
    assert paused.left == -3600
    assert clocks.on_time(clocks.meet(paused, local("2026-03-02 11:30"))) is False
    resumed = clocks.resume(paused, local("2026-03-03 10:00"), CALENDAR)
    assert (resumed.state, resumed.due) == ("breached", local("2026-03-03 09:00"))
    assert clocks.on_time(clocks.meet(resumed, local("2026-03-03 10:00"))) is False


@pytest.mark.parametrize("paused_at", ["2026-03-02 12:30", "2026-03-02 20:00", "2026-03-07 10:00"])
def test_a_pause_at_noon_at_night_or_on_a_saturday_does_not_wash_a_breach_away(paused_at: str) -> None:
    """No working time ran since the limit, and yet it was passed: it stays late and as old as it was."""
    begin = {"2026-03-02 12:30": "2026-03-02 08:00", "2026-03-02 20:00": "2026-03-02 14:00"}
    clock = clocks.breach(started("4wh", begin.get(paused_at, "2026-03-06 14:00")))
    assert clock.due is not None
    paused = clocks.pause(clock, local(paused_at), CALENDAR)
    assert clocks.on_time(clocks.meet(paused, local("2026-03-08 10:00"))) is False
    resumed = clocks.resume(paused, local("2026-03-09 09:00"), CALENDAR)
    assert resumed.state == "breached"
    assert resumed.due is not None
    assert resumed.due < local("2026-03-09 09:00")
    assert clocks.overdue_since([resumed]) == resumed.due
    assert clocks.on_time(clocks.meet(resumed, local("2026-03-09 09:00"))) is False


def test_a_clock_paused_exactly_at_its_limit_is_on_time_only_at_the_instant_it_resumes() -> None:
    """Nothing is left, and nothing was missed."""
    clock = started("2wh", "2026-03-02 08:00")
    paused = clocks.pause(clock, local("2026-03-02 10:00"), CALENDAR)
    assert paused.left == 0
    back = local("2026-03-03 20:00")
    resumed = clocks.resume(paused, back, CALENDAR)
    assert (resumed.state, resumed.due) == ("running", back)
    assert clocks.on_time(clocks.meet(resumed, back)) is True
    assert clocks.on_time(clocks.meet(resumed, back + MICROSECOND)) is False


def test_a_promise_of_the_source_is_judged_by_when_it_ended_there() -> None:
    """A breach noted because the news came late is taken back when the end was in time."""
    promise = clocks.promised(local("2026-03-02 09:00"), local("2026-03-04 09:00"))
    late = clocks.breach(promise)
    assert clocks.on_time(clocks.meet(late, local("2026-03-04 09:00"))) is True
    assert clocks.on_time(clocks.meet(late, local("2026-03-04 09:01"))) is False
    assert promise.limit == clocks.BY_SOURCE


def test_the_nearest_limit_and_the_longest_overdue_are_found_among_many() -> None:
    """Ended and paused clocks do not count."""
    near, far = started("30m", "2026-03-02 09:00"), started("2uh", "2026-03-02 09:00")
    met = clocks.meet(started("1m", "2026-03-02 09:00"), local("2026-03-02 09:00"))
    assert clocks.nearest([far, met, near]) == near.due
    assert clocks.overdue_since([clocks.breach(far), clocks.breach(near), met]) == near.due
    assert clocks.nearest([]) is None
    assert clocks.overdue_since([far]) is None


# Share of the limit in percent of a 10,000-second stretch, and the light it shows.
LIGHTS = [
    (0, "green"), (79.99, "green"), (80, "yellow"), (99.99, "yellow"), (100, "yellow"), (100.01, "red"),
    (500, "red"),
]  # fmt: skip


@pytest.mark.parametrize(("share", "colour"), LIGHTS)
def test_the_light_turns_at_eighty_and_after_a_hundred_per_cent(share: float, colour: str) -> None:
    """Both edges are part of yellow."""
    clock = started("100m", "2026-03-07 09:00")
    at = local("2026-03-07 09:00") + timedelta(seconds=round(60 * share, 3))
    assert clocks.light(clock, at, CALENDAR) == colour
    promise = clocks.promised(clock.since, local("2026-03-07 10:40"))
    assert clocks.light(promise, at, CALENDAR) == colour


@pytest.mark.parametrize(("share", "colour"), LIGHTS)
def test_the_light_of_a_working_limit_counts_working_time(share: float, colour: str) -> None:
    """Over a weekend nothing turns yellow but what was worked."""
    clock = started("1wd", "2026-03-06 17:00")
    at = CALENDAR.after(local("2026-03-06 17:00"), 288 * share, True)
    assert CALENDAR.worked(local("2026-03-06 17:00"), at) == pytest.approx(288 * share)
    assert clocks.light(clock, at, CALENDAR) == colour
    if share == 0:
        assert clocks.light(clock, local("2026-03-09 08:00"), CALENDAR) == "green"
        assert clocks.yellow_from(clock, CALENDAR) == local("2026-03-09 15:24")


def test_a_resumed_clock_is_green_while_most_of_its_own_time_is_left() -> None:
    """A pause of a hundred hours is no part of the way to the limit."""
    paused = clocks.pause(started("10uh", "2026-03-02 08:00"), local("2026-03-02 09:00"), CALENDAR)
    resumed = clocks.resume(paused, local("2026-03-06 13:00"), CALENDAR)
    assert clocks.light(paused, local("2026-03-06 12:00"), CALENDAR) == "green"
    assert clocks.light(resumed, local("2026-03-06 13:00"), CALENDAR) == "green"
    assert clocks.light(resumed, local("2026-03-06 20:00"), CALENDAR) == "yellow"


def test_an_ended_clock_keeps_the_colour_of_its_verdict() -> None:
    """Met is green and late is red, whenever one looks."""
    clock = started("30m", "2026-03-02 09:00")

    def shown(at: datetime) -> str:
        return clocks.light(clocks.meet(clock, at), local("2027-01-04 09:00"), CALENDAR)

    assert shown(local("2026-03-02 09:30")) == "green"
    assert shown(local("2026-03-02 09:31")) == "red"
    assert clocks.light(clocks.breach(clock), local("2026-03-02 09:00"), CALENDAR) == "red"
