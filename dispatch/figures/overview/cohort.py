"""Open one cohort, what was reported in an area and a period: its bounds, its counts, and readings of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from fractions import Fraction
from typing import Any

import psycopg

from dispatch.figures.case_sets import CaseSet, Counted, renamed
from dispatch.figures.overview.values import AreaName, Figure, Reading
from dispatch.record.policies import Policies
from dispatch.rules.areas import Level
from dispatch.rules.time.period import Period
from models.tables.scores import DAILY_COUNTS

Counts = Mapping[str, int]
ByTheme = dict[str, dict[str, int]]

RANKED = {Level.CITY: Level.TOWN, Level.COUNTY: Level.TOWN, Level.TOWN: Level.VILLAGE}
# Figure -> (its credited cases, its base); a rate without a base in the period has no value.
BASES = {
    "on_time": ("on_time", "due"),
    "close_on_time": ("close_on_time", "close_due"),
    "on_site": ("on_site", "whistle_due"),
    "settled": ("settled", "disputes"),
    "satisfied": ("pleased", "rated"),
}
# A rating of 3 is mostly satisfied and earns this much of a case, as in the three rates (12345 practice).
MOSTLY = Fraction(9, 10)

_SUMS = ", ".join(f"sum(d.{name})::int" for name in DAILY_COUNTS)


class Cohort:
    """Hold what is asked: an area, a period and those it is held against, in one look at the database.

    `law` and `rules` say how it is judged, `ranked` which areas inside it are ranked; `begin` and `end` are the
    instants of the period, `known_since` the first day that is known. Raises as `overview.read` does.
    """

    def __init__(
        self, cursor: psycopg.Cursor[Any], area: str, period: Period, now: datetime, ranked: Level | None
    ) -> None:
        self.cursor, self.period, self.now = cursor, period, now
        known = Policies(cursor)
        self.policy = known.in_force(now)
        self.calendar = self.policy.calendar
        today = self.calendar.local(now).date()
        self.rules = known.rules_on(today)
        row = cursor.execute(
            "select code, level, name, name_en from area where code = %s", (area,)
        ).fetchone()
        if row is None:
            raise LookupError(f"area: there is no area {area}")
        if row[1] > Level.VILLAGE:
            raise ValueError(f"area: expected a city, county, town or village, not {area}")
        self.area = AreaName(row[0], Level(row[1]), row[2], row[3] or "")
        if period.first > today:
            raise ValueError(f"day: the {period.kind} of {period.first} has not begun")
        self.compared = period.compared(today)
        self.ranked = ranked if ranked is not None else RANKED.get(self.area.level)
        if self.ranked is not None and not self.area.level < self.ranked <= Level.VILLAGE:
            raise ValueError(f"ranked: {self.ranked.name.lower()} does not lie inside {area}")
        self.begin = self.calendar.begins(period.first)
        self.end = self.calendar.begins(period.until)
        row = cursor.execute(
            "select day from daily where area_code = %s order by day limit 1", (area[:4] + "00",)
        ).fetchone()
        self.known_since: date | None = row[0] if row is not None else None

    def periods(self) -> list[ByTheme]:
        """Return theme -> counts of the period, and of the two that it is held against."""
        spans = [(p.first, p.until) for p in (self.period, *self.compared)]
        self.cursor.execute(
            f"select p.place, d.theme, {_SUMS} from unnest(%s::int[], %s::date[], %s::date[]) p(place, first, until)"
            " join daily d on d.area_code = %s and d.day >= p.first and d.day < p.until group by 1, 2",
            ([0, 1, 2], [a for a, _ in spans], [b for _, b in spans], self.area.code),
        )
        found: list[ByTheme] = [{}, {}, {}]
        for place, theme, *counts in self.cursor.fetchall():
            found[place][theme] = dict(zip(DAILY_COUNTS, counts, strict=True))
        return found

    def by_day(self) -> dict[date, Counts]:
        """Return day -> counts of the period."""
        self.cursor.execute(
            f"select day, {_SUMS} from daily d where area_code = %s and day >= %s and day < %s group by day",
            (self.area.code, self.period.first, self.period.until),
        )
        return {day: dict(zip(DAILY_COUNTS, counts, strict=True)) for day, *counts in self.cursor.fetchall()}

    def known(self, period: Period) -> bool:
        """Tell whether all of a period's days are known."""
        return self.known_since is not None and period.first >= self.known_since

    def begun(self, period: Period) -> bool:
        """Tell whether any of a period's days is known."""
        return self.known_since is not None and period.until > self.known_since

    def cases(self, name: str, period: Period | None = None, theme: str = "") -> CaseSet:
        """Return a set of cases of the area, of this period or another."""
        span = period or self.period
        return CaseSet(name, self.area.code, span.first, span.until, theme)

    def counted(self, counts: Counts, name: str) -> Counted:
        """Return one of the period's counts with the cases that it counts."""
        return Counted(counts.get(name, 0), self.cases(name))

    def reading(self, name: str, counts: Counts, where: CaseSet, known: bool = True) -> Reading:
        """Return a figure's reading over counts; `where` carries the bounds of its sets of cases."""
        if name not in BASES:
            count = counts.get(name, 0)
            return Reading(Fraction(count), Counted(count, renamed(where, name)), None, known)
        good, base = BASES[name]
        if name == "satisfied":
            full = sum(counts.get(f"rated_{n}", 0) for n in self.rules.satisfied)
            part = sum(counts.get(f"rated_{n}", 0) for n in self.rules.mostly - self.rules.satisfied)
            n, credited = full + MOSTLY * part, full + part
            d = sum(counts.get(f"rated_{n}", 0) for n in range(1, 6))
        else:
            credited, d = counts.get(good, 0), counts.get(base, 0)
            n = Fraction(credited)
        return Reading(n, Counted(credited, renamed(where, good)), Counted(d, renamed(where, base)), known)

    def figure(
        self, name: str, totals: Sequence[Counts], courses: Sequence[Counts] = (), theme: str = ""
    ) -> Figure:
        """Return a figure over the counts of the period and of the two beside it; `courses` are those of its days."""
        periods = (self.period, *self.compared)
        now, before, year_ago = (
            # Half a period is nothing to compare with; the period itself is shown from its first report on.
            self.reading(
                name,
                counts,
                self.cases(name, p, theme),
                self.begun(p) if p is self.period else self.known(p),
            )
            for p, counts in zip(periods, totals, strict=True)
        )
        where = self.cases(name)
        course = tuple(self.reading(name, counts, where).value for counts in courses)
        return Figure(name, now, before, year_ago, course)


def total(counts: Iterable[Counts]) -> dict[str, int]:
    """Return the sum of some counts, name by name."""
    found: dict[str, int] = defaultdict(int)
    for each in counts:
        for name, count in each.items():
            found[name] += count
    return dict(found)
