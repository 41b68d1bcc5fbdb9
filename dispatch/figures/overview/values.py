"""Hold what a picture of an area and a period says: figures, lines, points, places, steps, and the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction

from dispatch.figures.case_sets import MISSED, Counted, renamed
from dispatch.rules.areas import Level
from dispatch.rules.time.period import Period
from dispatch.rules.words import say

FIGURES: dict[str, tuple[str, str]] = {
    "reported": ("上报", "Reported"),
    "on_time": ("按期处置率", "Disposed on time"),
    "close_on_time": ("按期结案率", "Closed on time"),
    "on_site": ("30分钟报到率", "On site in 30 minutes"),
    "settled": ("调解成功率", "Disputes settled"),
    "satisfied": ("满意率", "Residents satisfied"),
}
STAGES: dict[str, tuple[str, str]] = {
    "reported": ("上报", "Reported"),
    "accepted": ("受理", "Accepted"),
    "dispatched": ("派遣", "Dispatched"),
    "picked_up": ("签收", "Picked up"),
    "arrived": ("到场", "Arrived"),
    "disposed": ("处置", "Disposed"),
    "verified": ("核查", "Verified"),
    "closed": ("结案", "Closed"),
}
CLOCKS: dict[str, tuple[str, str]] = {
    "accept": ("受理", "Accept"),
    "dispatch": ("派遣", "Dispatch"),
    "pick_up": ("签收", "Pick up"),
    "arrive": ("到场", "Arrive"),
    "dispose": ("处置", "Dispose"),
    "verify": ("核查", "Verify"),
    "close": ("结案", "Close"),
}
PUBLISHED: dict[str, tuple[str, str]] = {
    "criminal_reports_change": ("刑事警情同比", "Criminal reports, year on year"),
    "security_reports_change": ("治安警情同比", "Security reports, year on year"),
    "disputes": ("农村矛盾纠纷", "Rural disputes"),
    "disputes_settled": ("调解成功", "Disputes settled"),
    "villages": ("村居", "Villages and communities"),
    "per_village": ("每村居", "Per village"),
    "months_between": ("多久一宗", "Months apart"),
    "settled": ("调解成功率", "Share settled"),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """Hold one value of a figure: credits over a base of cases, or for a plain count the count over nothing.

    `n` is exact and may be a fraction where cases earn part of a credit; `credited` counts the cases that earn
    any. `value` is None where there is no data: an empty base, or days before the first that is known.
    """

    n: Fraction
    credited: Counted
    base: Counted | None
    known: bool = True

    @property
    def value(self) -> Fraction | None:
        """Return the count, or the rate from 0 to 1, or None for no data."""
        if not self.known:
            return None
        if self.base is None:
            return self.n
        return self.n / self.base.count if self.base.count else None

    @property
    def missed(self) -> Counted | None:
        """Return the cases of the base that earned nothing, or None for a plain count."""
        if self.base is None:
            return None
        name = MISSED.get(self.credited.cases.name)
        if name is None:
            return None
        return Counted(self.base.count - self.credited.count, renamed(self.credited.cases, name))


@dataclass(frozen=True, slots=True)
class Figure:
    """Hold one headline figure now, in the period before, and a year ago, with its course over the period's days."""

    name: str
    now: Reading
    before: Reading
    year_ago: Reading
    course: tuple[Fraction | None, ...]

    @property
    def is_rate(self) -> bool:
        """Tell whether it is a rate; its changes are then differences of rates, to be shown in points."""
        return self.now.base is not None

    @property
    def change(self) -> Fraction | None:
        """Return the change against the period before: relative for a count, a difference for a rate; or None."""
        return _change(self.now, self.before)

    @property
    def change_year(self) -> Fraction | None:
        """Return the change against a year ago, as `change`."""
        return _change(self.now, self.year_ago)

    def name_in(self, lang: str) -> str:
        """Return its name in `zh` or `en`."""
        return say(FIGURES[self.name], lang)


@dataclass(frozen=True, slots=True)
class ThemeLine:
    """Hold one of the ten areas of work: reports, disposal on time, and what is overdue."""

    code: str
    name: str
    name_en: str
    reported: Figure
    on_time: Figure
    overdue: Counted


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """Hold one day: reports and the rate disposed on time, the rate a year ago, and what is usual (P10, P90).

    A short period is shown with the days before it, two weeks in all. `usual` is None where fewer than four of the
    same weekday before the period have a rate.
    """

    day: date
    reported: Counted
    on_time: Reading
    year_ago: Reading
    usual: tuple[Fraction, Fraction] | None

    @property
    def below(self) -> bool:
        """Tell whether the day's rate lies below what is usual."""
        return (
            self.usual is not None and self.on_time.value is not None and self.on_time.value < self.usual[0]
        )


@dataclass(frozen=True, slots=True)
class Lowest:
    """Hold the day of a trend with the lowest rate, how many days lie below what is usual, and the area of work
    in which most of that day's cases were late.
    """

    point: TrendPoint
    below: int
    theme: tuple[str, str]
    late: Counted


@dataclass(frozen=True, slots=True)
class MonthPoint:
    """Hold one month of the run-up: reports and the rate disposed on time."""

    month: date
    reported: Counted
    on_time: Reading


@dataclass(frozen=True, slots=True)
class Place:
    """Hold an area inside the one shown and its place among its like; rates from 0 to 1.

    `shrunk`, `low` and `high` are the estimate and its interval; `rank` is None for one with too few cases:
    listed, not ranked. `below` and `above` say that the whole interval lies on one side of the area's own rate.
    """

    code: str
    name: str
    name_en: str
    on_time: Reading
    reported: Counted
    overdue: Counted
    shrunk: float | None
    low: float | None
    high: float | None
    rank: int | None
    below: bool
    above: bool


@dataclass(frozen=True, slots=True)
class Step:
    """Hold one step of the chain: how many came this far or further, and how many stand here now."""

    stage: str
    reached: Counted
    standing: Counted

    def name_in(self, lang: str) -> str:
        """Return its name in `zh` or `en`."""
        return say(STAGES[self.stage], lang)


@dataclass(frozen=True, slots=True)
class StageTime:
    """Hold how long one clock was awaited over n cases: nearest-rank P50 and P90, in seconds.

    Around the clock and in working time, suspended time left out. `limits` are the P10 and P90 of the limits that
    the cases had, around the clock; None where there are none. Of the clocks that were met or passed, `judged`, so
    many were `late`.
    """

    stage: str
    n: int
    p50: float
    p90: float
    working_p50: float
    working_p90: float
    limits: tuple[float, float] | None = None
    judged: int = 0
    late: int = 0

    @property
    def over(self) -> bool:
        """Tell whether the P90 is past its limit: more than one in ten came after the limit of its own case."""
        return self.late * 10 > self.judged

    def name_in(self, lang: str) -> str:
        """Return its name in `zh` or `en`."""
        return say(CLOCKS[self.stage], lang)


@dataclass(frozen=True, slots=True)
class Published:
    """Hold a figure published elsewhere, or one computed from such; `source` says where it comes from."""

    metric: str
    period: str
    value: Fraction
    unit: str
    source: str
    published: bool
    formula: str

    def name_in(self, lang: str) -> str:
        """Return its name in `zh` or `en`."""
        return say(PUBLISHED.get(self.metric, (self.metric, self.metric)), lang)

    def source_in(self, lang: str) -> str:
        """Return its source in `zh` or `en`, where the source says both: `zh / en`."""
        chinese, both, english = self.source.partition(" / ")
        return english if both and lang != "zh" else chinese


@dataclass(frozen=True, slots=True)
class Judged:
    """Hold the month's assessment: as of when, by which rules, frozen or not, and its rates as (credits, base)."""

    frozen: bool
    as_of: datetime
    rules_version: int
    hash: str
    rates: Mapping[str, tuple[Fraction, int]]


@dataclass(frozen=True, slots=True)
class AreaName:
    """Name an area."""

    code: str
    level: Level
    name: str
    name_en: str


@dataclass(frozen=True, slots=True)
class Overview:
    """Hold the whole picture. Times are UTC, days the city's own; `counted_at` is None where nothing was counted.

    `compared` are the spans of `Figure.before` and `Figure.year_ago`.
    `open` counts cases of the period that can still change it. `heat` has a row a weekday, Monday first, and 24
    hours of the city's time in each. `overdue_now` is the red of this moment, whenever reported, by the areas
    that `places` ranks, the most first.
    """

    area: AreaName
    period: Period
    compared: tuple[Period, Period]
    as_of: datetime
    counted_at: datetime | None
    known_since: date | None
    open: Counted
    judged: Judged | None
    figures: tuple[Figure, ...]
    themes: tuple[ThemeLine, ...]
    trend: tuple[TrendPoint, ...]
    lowest: Lowest | None
    months: tuple[MonthPoint, ...]
    places: tuple[Place, ...]
    min_count: int
    funnel: tuple[Step, ...]
    rejected: Counted
    merged: Counted
    stages: tuple[StageTime, ...]
    heat: tuple[tuple[Counted, ...], ...]
    overdue_now: Counted
    overdue_places: tuple[tuple[AreaName, Counted], ...]
    published: tuple[Published, ...]

    def figure(self, name: str) -> Figure:
        """Return one of the six figures; raise KeyError for another name."""
        for each in self.figures:
            if each.name == name:
                return each
        raise KeyError(name)


def _change(now: Reading, then: Reading) -> Fraction | None:
    a, b = now.value, then.value
    if a is None or b is None:
        return None
    if now.base is not None:
        return a - b
    return (a - b) / b if b else None
