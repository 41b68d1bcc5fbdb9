"""Count promised time: four units over working sessions, weekends, official holidays and make-up days.

Emergency hours and days run around the clock; working hours and days run only inside the sessions of a working
day (08:00-12:00 and 14:00-18:00, so one working day is 8 h). The units follow the practice of GB/T 30428.8.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DEFAULT_ZONE = "Asia/Shanghai"  # where no city says its own
HOUR_S = 3600
DAY_S = 24 * HOUR_S
SECOND_US = 1_000_000
FIRST_DAY = date(2015, 1, 1)
LAST_DAY = date(2050, 12, 31)
DUE_MEMORY = 4_096  # answers of `Calendar.due` kept

_UNITS = {
    "m": (60, False),
    "uh": (HOUR_S, False),
    "ud": (DAY_S, False),
    "wh": (HOUR_S, True),
    "wd": (0, True),
}
_LIMIT = re.compile(r"([0-9]{1,4})(m|uh|ud|wh|wd)(/2)?")
HALVED_FLOOR_S = 180  # wartime halves every limit, but to no less than three minutes


@dataclass(frozen=True, slots=True)
class Limit:
    """Hold a promised length of time: `amount` of `unit` (m, uh, ud around the clock; wh, wd in working time)."""

    amount: int
    unit: str
    half: bool = False
    text: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", f"{self.amount}{self.unit}{'/2' if self.half else ''}")

    @classmethod
    def parse(cls, text: str) -> Limit:
        """Read ``30m``, ``2uh``, ``1ud``, ``4wh`` or ``3wd``; raise ValueError saying what was expected."""
        found = _LIMIT.fullmatch(text.strip())
        if found is None or int(found[1]) == 0:
            raise ValueError(f"expected a number above 0 and one of m, uh, ud, wh, wd, not {text!r}")
        return cls(int(found[1]), found[2], found[3] is not None)

    @property
    def halved(self) -> Limit:
        """Return half of the limit, as wartime promises."""
        return Limit(self.amount, self.unit, True)

    @property
    def working(self) -> bool:
        """Tell whether the limit counts working time only."""
        return self.unit in ("wh", "wd")

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Calendar:
    """Map between instants (aware datetimes) and working time of one city.

    `holidays` are weekdays off and `workdays` weekend days on, as officially announced; `sessions` are local
    times of a working day. Outside `FIRST_DAY`..`LAST_DAY` every method raises ValueError.
    """

    zone: str = DEFAULT_ZONE
    sessions: tuple[tuple[time, time], ...] = ((time(8), time(12)), (time(14), time(18)))
    holidays: frozenset[date] = frozenset()
    workdays: frozenset[date] = frozenset()
    _zone: ZoneInfo = field(init=False, repr=False, compare=False)
    _spans: tuple[tuple[int, int], ...] = field(init=False, repr=False, compare=False)
    _before: list[int] = field(init=False, repr=False, compare=False)
    _day_s: int = field(init=False, repr=False, compare=False)
    _due: dict[tuple[datetime, str], datetime] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        spans = tuple((_micros_of(a), _micros_of(b)) for a, b in self.sessions)
        edges = [edge for span in spans for edge in span]
        if not spans or edges != sorted(edges) or any(a == b for a, b in spans):
            raise ValueError(
                "sessions: expected at least one, in order and apart, each ending after it begins"
            )
        # Counted in whole microseconds: fractions of a second would push a limit met at noon past the lunch break.
        day = sum(b - a for a, b in spans)
        before = [0]
        for ordinal in range(FIRST_DAY.toordinal(), LAST_DAY.toordinal() + 1):
            before.append(before[-1] + (day if self.is_working(date.fromordinal(ordinal)) else 0))
        put = object.__setattr__
        put(self, "_zone", ZoneInfo(self.zone))
        put(self, "_spans", spans)
        put(self, "_day_s", day // SECOND_US)
        put(self, "_before", before)
        put(self, "_due", {})

    def is_working(self, day: date) -> bool:
        """Tell whether `day` is a working day."""
        if day.weekday() >= 5:
            return day in self.workdays
        return day not in self.holidays

    def seconds(self, limit: Limit) -> int:
        """Return how many seconds, of its own kind of time, a limit lasts."""
        each, _ = _UNITS[limit.unit]
        whole = limit.amount * (each or self._day_s)
        # What is below the floor in peace is not made longer by wartime.
        return min(whole, max(HALVED_FLOOR_S, whole // 2)) if limit.half else whole

    def local(self, instant: datetime) -> datetime:
        """Return `instant` on the city's own clock."""
        return instant.astimezone(self._zone)

    def midnight(self, instant: datetime) -> datetime:
        """Return, in UTC, the beginning of the city's day that holds `instant`."""
        return self.local(instant).replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)

    def begins(self, day: date) -> datetime:
        """Return, in UTC, the instant at which a day of the city's own begins."""
        return datetime.combine(day, time(), self._zone).astimezone(UTC)

    def worked(self, begin: datetime, end: datetime) -> float:
        """Return the working seconds between two instants, negative when `end` comes first."""
        return (self._position(end) - self._position(begin)) / SECOND_US

    def elapsed(self, begin: datetime, end: datetime, working: bool) -> float:
        """Return the seconds between two instants, of working time or around the clock."""
        return self.worked(begin, end) if working else (end - begin).total_seconds()

    def after(self, begin: datetime, seconds: float, working: bool) -> datetime:
        """Return, in UTC, the first instant at which `seconds` have run since `begin`; negative ones lead back.

        Working time that is used up exactly at the end of a session ends there, not at the next morning.
        """
        if not working:
            return (begin + timedelta(seconds=seconds)).astimezone(UTC)
        target = self._position(begin) + round(seconds * SECOND_US)
        if target < 0:
            raise ValueError(f"working time before {FIRST_DAY} is not known")
        # Of all days whose count reaches the target take the first: a target met at 18:00 stays on that day.
        index = bisect_left(self._before, target) - 1
        if index >= len(self._before) - 1:
            raise ValueError(f"working time after {LAST_DAY} is not known")
        index = max(index, 0)
        rest = target - self._before[index]
        day = date.fromordinal(FIRST_DAY.toordinal() + index)
        for first, last in self._spans:
            if rest <= last - first:
                moment = datetime.combine(day, time(), self._zone) + timedelta(microseconds=first + rest)
                # No time to run leaves the begin, also at night, and not the evening before it.
                return (max(moment, begin) if seconds >= 0 else moment).astimezone(UTC)
            rest -= last - first
        raise AssertionError("a day's sessions are shorter than the day's count")

    def due(self, begin: datetime, limit: Limit) -> datetime:
        """Return, in UTC, the last instant that is still on time for `limit` begun at `begin`."""
        # A batch begins hundreds of equal limits at one instant: remember the last few thousand answers.
        key = (begin, limit.text)
        due = self._due.get(key)
        if due is None:
            if len(self._due) >= DUE_MEMORY:
                self._due.clear()
            due = self._due[key] = self.after(begin, self.seconds(limit), limit.working)
        return due

    def _position(self, instant: datetime) -> int:
        local = instant.astimezone(self._zone)
        index = local.toordinal() - FIRST_DAY.toordinal()
        if not 0 <= index < len(self._before) - 1:
            raise ValueError(f"{local:%Y-%m-%d} lies outside the calendar ({FIRST_DAY} to {LAST_DAY})")
        done = self._before[index]
        if self._before[index + 1] == done:
            return done
        moment = (local.hour * 3600 + local.minute * 60 + local.second) * SECOND_US + local.microsecond
        for first, last in self._spans:
            if moment <= first:
                break
            done += min(moment, last) - first
        return done


def _micros_of(moment: time) -> int:
    return (moment.hour * 3600 + moment.minute * 60 + moment.second) * SECOND_US
