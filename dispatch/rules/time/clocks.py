"""Run the clocks that stand beside an incident: start, meet, pause, resume, breach, and read their light."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from typing import Literal

from dispatch.rules.time.calendar import Calendar, Limit

ClockState = Literal["running", "paused", "met", "breached"]
Light = Literal["green", "yellow", "red"]

KINDS = ("accept", "dispatch", "pick_up", "arrive", "dispose", "verify", "close")
# What each waits for, in Chinese and English.
NAMES: dict[str, tuple[str, str]] = {
    "accept": ("受理", "acceptance"),
    "dispatch": ("派遣", "dispatch"),
    "pick_up": ("签收", "pick-up"),
    "arrive": ("到场签到", "check-in on site"),
    "dispose": ("反馈结果", "the result"),
    "verify": ("核查", "the check"),
    "close": ("结案", "closing"),
}
OF_INCIDENT = ("accept", "dispatch", "verify", "close")
OF_ASSIGNMENT = ("pick_up", "arrive", "dispose")
# A promise that the source of an imported incident made: a fixed instant, in no unit of ours.
BY_SOURCE = "source"
NEAR = Fraction(4, 5)  # of a limit: from there its light is yellow
LATE_S = 1e-6  # left of a working limit that was passed when no working time ran since


@dataclass(slots=True, frozen=True)
class Clock:
    """Hold one clock: its limit as text, when it began, when it is due, what is left while paused, when it ended.

    `breached` with no `ended` is past its limit and still awaited; with `ended` it came late. `left` is in seconds
    of the limit's own kind of time. After a pause `since` moves on as `due` does: between them lies the limit, no
    more. All instants are aware datetimes in UTC.
    """

    state: ClockState
    limit: str
    since: datetime
    due: datetime | None
    left: float | None = None
    ended: datetime | None = None

    @property
    def awaited(self) -> bool:
        """Tell whether what the clock waits for has not come."""
        return self.ended is None


def start(limit: Limit, begin: datetime, calendar: Calendar) -> Clock:
    """Start a clock at `begin`."""
    return Clock("running", limit.text, begin, calendar.due(begin, limit))


def promised(begin: datetime, due: datetime) -> Clock:
    """Start a clock whose end the source of the incident has set."""
    return Clock("running", BY_SOURCE, begin, due)


def meet(clock: Clock, at: datetime) -> Clock:
    """End a clock because what it waited for came; exactly at the limit is on time.

    Judged by the limit alone: what another system ended in time is in time, though we had noted a breach meanwhile.
    """
    if clock.ended is not None:
        return clock
    late = at > clock.due if clock.due is not None else clock.left is not None and clock.left < 0
    return Clock("breached" if late else "met", clock.limit, clock.since, clock.due, None, at)


def breach(clock: Clock) -> Clock:
    """Note that a running clock has passed its limit."""
    return replace(clock, state="breached")


def pause(clock: Clock, at: datetime, calendar: Calendar) -> Clock:
    """Stop a clock and keep what is left of it; a clock that waits for nothing stays as it is."""
    if clock.ended is not None or clock.due is None:
        return clock
    left = calendar.elapsed(at, clock.due, _working(clock))
    if left >= 0 and at > clock.due:
        # Late by a night or a break, in which no working time runs, is late all the same: a pause washes nothing.
        left = -LATE_S
    return replace(clock, state="paused", due=None, left=left)


def resume(clock: Clock, at: datetime, calendar: Calendar) -> Clock:
    """Let a paused clock run what was left of it from `at`; one that was late already is as late as it was."""
    if clock.state != "paused" or clock.left is None:
        return clock
    working = _working(clock)
    due = calendar.after(at, clock.left, working)
    since = clock.since
    if clock.limit != BY_SOURCE:
        # After an extension more may be left than the limit was at first.
        used = max(0.0, calendar.seconds(Limit.parse(clock.limit)) - clock.left)
        since = calendar.after(at, -used, working)
    return replace(clock, state="running" if clock.left >= 0 else "breached", since=since, due=due, left=None)


def yellow_from(clock: Clock, calendar: Calendar) -> datetime | None:
    """Return when 80 % of a clock's limit will have run, in the limit's own kind of time; None while it is paused."""
    if clock.due is None:
        return None
    working = _working(clock)
    near = calendar.elapsed(clock.since, clock.due, working) * NEAR.numerator / NEAR.denominator
    return calendar.after(clock.since, near, working)


def light(clock: Clock, now: datetime, calendar: Calendar) -> Light:
    """Return green to 80 % of the limit, yellow to 100 % and exactly at it, red after; paused clocks are green."""
    if clock.ended is not None or clock.due is None:
        return "red" if clock.state == "breached" else "green"
    if was_late(clock, now):
        return "red"
    near = yellow_from(clock, calendar)
    return "yellow" if near is not None and now >= near else "green"


def light_of(
    overdue: datetime | None, due: datetime | None, awaited: Clock | None, now: datetime, calendar: Calendar
) -> tuple[Light, datetime | None]:
    """Return an open incident's light and when it next changes by itself.

    Red: some limit is passed, since `overdue` or the next one, `due`, is over. Yellow: 80 % of the limit of the clock
    that is awaited now has run. Else green.
    """
    if overdue is not None or (due is not None and now > due):
        return "red", None
    near = yellow_from(awaited, calendar) if awaited is not None and awaited.awaited else None
    if near is None:
        return "green", due
    if now >= near:
        return "yellow", due
    return "green", near if due is None else min(due, near)


def passed(clock: Clock | None) -> bool:
    """Tell whether a limit was noted as passed and is still awaited."""
    return clock is not None and clock.state == "breached" and clock.awaited


def passed_sql(row: str, kind: str) -> str:
    """Return the twin of `passed` for a clock of a row of incidents or assignments; null where there is none."""
    clock = f"{row}.clocks -> '{kind}'"
    return f"{clock} ->> 'state' = 'breached' and {clock} ->> 'ended' is null"


def was_late(clock: Clock, now: datetime) -> bool:
    """Tell whether a clock came late, or is late by `now` and still awaited."""
    if clock.ended is not None or clock.state == "breached":
        return clock.state == "breached"
    return clock.due is not None and now > clock.due


def nearest(clocks: Iterable[Clock]) -> datetime | None:
    """Return the earliest limit that still runs unbroken, or None."""
    first = None
    for clock in clocks:
        if clock.state == "running" and clock.due is not None and (first is None or clock.due < first):
            first = clock.due
    return first


def overdue_since(clocks: Iterable[Clock]) -> datetime | None:
    """Return the earliest limit that was passed and is still awaited, or None."""
    first = None
    for clock in clocks:
        if passed(clock) and (first is None or (clock.due or first) < first):
            first = clock.due
    return first


def on_time(clock: Clock | None) -> bool | None:
    """Return the verdict of an ended clock, None where there was no limit or it is still awaited."""
    if clock is None or clock.ended is None:
        return None
    return clock.state == "met"


def _working(clock: Clock) -> bool:
    return clock.limit != BY_SOURCE and Limit.parse(clock.limit).working
