"""Name a span of the city's own days: a day, week, month or quarter, or any days from one to another.

Beside each stand the span before it, as long, and its counterpart of last year; a span that is not over is held
against as many days of theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

Kind = Literal["day", "week", "month", "quarter", "free"]
Why = Literal["unreadable", "reversed", "long", "ahead", "old"]

KINDS: dict[Kind, tuple[str, str]] = {
    "day": ("日", "day"),
    "week": ("周", "week"),
    "month": ("月", "month"),
    "quarter": ("季", "quarter"),
    "free": ("自选", "free"),
}
FIXED: tuple[Kind, ...] = ("day", "week", "month", "quarter")  # those that their first day names
LONGEST = 366  # days
EARLIEST = date(2000, 1, 2)


class PeriodError(ValueError):
    """Say why two days make no period; `why` is the reason as a word."""

    def __init__(self, why: Why, text: str) -> None:
        super().__init__(text)
        self.why: Why = why


@dataclass(frozen=True, slots=True)
class Period:
    """Name a span of days by its kind and first day; `last` is given for a free one alone."""

    kind: Kind
    first: date
    last: date | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"period: expected {', '.join(KINDS)}, not {self.kind!r}")
        if (self.last is None) is (self.kind == "free"):
            raise ValueError("period: a last day goes with a free period, and with no other")
        if self.last is not None and self.last < self.first:
            raise ValueError(f"period: {self.last} lies before {self.first}")
        if self.first != _first(self.kind, self.first):
            raise ValueError(f"day: {self.first} is not the first day of a {self.kind}")

    @classmethod
    def holding(cls, kind: Kind, day: date) -> Period:
        """Return the period of a fixed kind that holds a day; raise ValueError for another kind."""
        if kind not in FIXED:
            raise ValueError(f"period: expected {', '.join(FIXED)}, not {kind!r}")
        return cls(kind, _first(kind, day))

    @classmethod
    def between(cls, first: str, last: str, today: date) -> Period:
        """Return the days from one to another, both as YYYY-MM-DD and both in it; raise PeriodError saying why not."""
        try:
            begin, end = date.fromisoformat(first), date.fromisoformat(last)
        except ValueError as fault:
            raise PeriodError("unreadable", f"period: not two days: {first!r}, {last!r}") from fault
        if end < begin:
            raise PeriodError("reversed", f"period: {end} lies before {begin}")
        if end > today:
            raise PeriodError("ahead", f"period: {end} has not come")
        if begin < EARLIEST:
            raise PeriodError("old", f"period: {begin} lies before {EARLIEST}")
        if (end - begin).days >= LONGEST:
            raise PeriodError(
                "long", f"period: expected {LONGEST} days at most, not {(end - begin).days + 1}"
            )
        return cls("free", begin, end)

    @property
    def until(self) -> date:
        """Return the first day after it."""
        if self.last is not None:
            return self.last + timedelta(days=1)
        if self.kind in ("month", "quarter"):
            return _first("month", self.first + timedelta(days=31 * (3 if self.kind == "quarter" else 1)))
        return self.first + timedelta(days=7 if self.kind == "week" else 1)

    @property
    def days(self) -> tuple[date, ...]:
        """Return its days."""
        return tuple(self.first + timedelta(days=n) for n in range((self.until - self.first).days))

    @property
    def before(self) -> Period:
        """Return the period before it; of a free one as many days."""
        end = self.first - timedelta(days=1)
        if self.kind == "free":
            return Period("free", self.first - (self.until - self.first), end)
        return Period.holding(self.kind, end)

    @property
    def year_ago(self) -> Period:
        """Return its counterpart of last year: the same month, quarter or dates; of a week the one 52 weeks back."""
        if self.kind == "week":
            return Period("week", self.first - timedelta(weeks=52))
        first, last = _year_before(self.first), None
        if self.last is not None:
            # As many days of last year, whether or not a 29 February lies in either.
            last = first + (self.last - self.first)
        return Period(self.kind, first, last)

    def compared(self, today: date) -> tuple[Period, Period]:
        """Return what it is held against, the period before and last year's: while it runs, as many days of each."""
        whole = (self.before, self.year_ago)
        if self.until <= today + timedelta(days=1):
            return whole
        gone = (today - self.first).days
        before, year_ago = (
            Period("free", each.first, min(each.first + timedelta(days=gone), each.until - timedelta(days=1)))
            for each in whole
        )
        return before, year_ago

    @property
    def text(self) -> str:
        """Return it as 2026-10, 2026-Q4, 2026-10-05, or 2026-10-05/2026-10-11 for a week or free days."""
        if self.kind == "month":
            return f"{self.first:%Y-%m}"
        if self.kind == "quarter":
            return f"{self.first:%Y}-Q{self.quarter}"
        last = self.until - timedelta(days=1)
        return f"{self.first}" if last == self.first else f"{self.first}/{last}"

    @property
    def quarter(self) -> int:
        """Return in which quarter of its year its first day lies, from 1."""
        return (self.first.month + 2) // 3


def _first(kind: Kind, day: date) -> date:
    if kind == "quarter":
        return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
    if kind == "month":
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if kind == "week" else day


def _year_before(day: date) -> date:
    try:
        return day.replace(year=day.year - 1)
    except ValueError:  # 29 February
        return day.replace(year=day.year - 1, day=28)
