"""Read the leaders' picture of an area and a period: figures, trend, ranking, funnel, times of stages.

Everything is said of one cohort, what was reported in the period: counts come from the daily roll-up of
dispatch/figures/cohorts.py (`counted_at` says since when it is level with the events), and every number names the set
of cases it counts, which dispatch/figures/case_sets.py lists by the same predicate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from typing import Any

import psycopg

from dispatch.figures import cohorts
from dispatch.figures.case_sets import MISSED, CaseSet, Connection, Counted, look, renamed
from dispatch.record.histories import Policies
from dispatch.rules.areas import Level, prefix_of
from dispatch.rules.measures import cases, fairness
from dispatch.rules.measures.assessment import headline
from dispatch.rules.time.clocks import OF_ASSIGNMENT
from dispatch.rules.time.period import Period
from dispatch.scores.scoring import rules_of
from models.tables.scores import DAILY_COUNTS

Counts = Mapping[str, int]
ByTheme = dict[str, dict[str, int]]

BAND_WEEKS = 12  # what is usual for a weekday is read from so many before the period
USUAL_LEAST = 4  # fewer days of the same weekday say nothing of what is usual
MONTHS_SHOWN = 13
TREND_LEAST = 14  # days
STAGE_INCIDENTS = 20_000  # more than this are not timed one by one: the month's assessment does it at night
RANKED = {Level.CITY: Level.TOWN, Level.COUNTY: Level.TOWN, Level.TOWN: Level.VILLAGE}

FIGURES: dict[str, tuple[str, str]] = {
    "reported": ("上报", "Reported"),
    "on_time": ("按期处置率", "Disposed on time"),
    "close_on_time": ("按期结案率", "Closed on time"),
    "on_site": ("30分钟报到率", "On site in 30 minutes"),
    "settled": ("调解成功率", "Disputes settled"),
    "satisfied": ("满意率", "Residents satisfied"),
}
# Figure -> (its credited cases, its base); a rate without a base in the period has no value.
BASES = {
    "on_time": ("on_time", "due"),
    "close_on_time": ("close_on_time", "close_due"),
    "on_site": ("on_site", "whistle_due"),
    "settled": ("settled", "disputes"),
    "satisfied": ("pleased", "rated"),
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
# How what is computed from published figures comes about.
FORMULAS = {
    "per_village": "disputes / villages",
    "months_between": "12 * villages / disputes",
    "settled": "disputes_settled / disputes",
}
# A rating of 3 is mostly satisfied and earns this much of a case, as in the three rates (12345 practice).
MOSTLY = Fraction(9, 10)


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
        return FIGURES[self.name][0 if lang == "zh" else 1]


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
        return STAGES[self.stage][0 if lang == "zh" else 1]


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
        return CLOCKS[self.stage][0 if lang == "zh" else 1]


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
        return PUBLISHED.get(self.metric, (self.metric, self.metric))[0 if lang == "zh" else 1]

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


# Of one clock: read once, whatever is asked of it.
_CLOCK = "jsonb_to_record({0} -> k.kind) as c(due timestamptz, since timestamptz, ended text, state text)"
_SUMS = ", ".join(f"sum(d.{name})::int" for name in DAILY_COUNTS)


def read(
    connection: Connection,
    area: str,
    period: Period,
    now: datetime,
    ranked: Level | None = None,
    timed: bool = True,
) -> Overview:
    """Return the picture of an area, city to village, for a period; `ranked` is the level to rank, as RANKED has it.

    Timing the stages of thousands of cases takes longer than all the rest: without `timed` the picture has none,
    and `stage_times` reads them alone.

    Read in one consistent look: begin no transaction before. Raises LookupError for an unknown area, ValueError
    for one below the village, for a level that cannot be ranked in it, and for a period that has not begun.
    """
    with look(connection) as cursor:
        return _Reader(cursor, area, period, now, ranked).read(timed)


def stage_times(connection: Connection, area: str, period: Period, now: datetime) -> tuple[StageTime, ...]:
    """Return how long each stage took: from the month's assessment where there is one, else case by case.

    Empty where nothing was timed, or more than `STAGE_INCIDENTS` cases await the night's assessment. Raises as
    `read` does.
    """
    with look(connection) as cursor:
        return _Reader(cursor, area, period, now, None).staged()


class _Reader:
    """Read the parts of one picture, one or two statements each."""

    def __init__(
        self, cursor: psycopg.Cursor[Any], area: str, period: Period, now: datetime, ranked: Level | None
    ) -> None:
        self.cursor, self.period, self.now = cursor, period, now
        self.law = Policies(cursor).newest()
        self.calendar, self.rules = self.law.calendar, rules_of(cursor)
        row = cursor.execute(
            "select code, level, name, name_en from area where code = %s", (area,)
        ).fetchone()
        if row is None:
            raise LookupError(f"area: there is no area {area}")
        if row[1] > Level.VILLAGE:
            raise ValueError(f"area: expected a city, county, town or village, not {area}")
        self.area = AreaName(row[0], Level(row[1]), row[2], row[3] or "")
        today = self.calendar.local(now).date()
        if period.first > today:
            raise ValueError(f"day: the {period.kind} of {period.first} has not begun")
        self.compared = period.compared(today)
        self.ranked = ranked if ranked is not None else RANKED.get(self.area.level)
        if self.ranked is not None and not self.area.level < self.ranked <= Level.VILLAGE:
            raise ValueError(f"ranked: {self.ranked.name.lower()} does not lie inside {area}")
        self.begin = self.calendar.begins(period.first)
        self.end = self.calendar.begins(period.until)
        known = cursor.execute(
            "select day from daily where area_code = %s order by day limit 1", (area[:4] + "00",)
        ).fetchone()
        self.known_since: date | None = known[0] if known is not None else None

    def read(self, timed: bool) -> Overview:
        inside = self._inside()
        periods = self.periods()
        totals = [_total(each.values()) for each in periods]
        whole = totals[0]
        by_day = self._by_day()
        run_up = self._run_up()
        overdue, overdue_places = self._red(inside)
        judged, _ = self.judged()
        trend = self._trend(run_up)
        courses = [by_day.get(day, {}) for day in self.period.days]
        return Overview(
            area=self.area,
            period=self.period,
            compared=self.compared,
            as_of=self.now,
            counted_at=cohorts.counted_at(self.cursor),
            known_since=self.known_since,
            open=self._counted(whole, "open"),
            judged=judged,
            figures=tuple(self._figure(name, totals, courses) for name in FIGURES),
            themes=self._themes(periods),
            trend=trend,
            lowest=self._lowest(trend),
            months=self._months(run_up),
            places=self._places(inside, whole),
            min_count=self.rules.min_count,
            funnel=self._funnel(whole),
            rejected=self._counted(whole, "rejected"),
            merged=self._counted(whole, "merged"),
            stages=self.staged() if timed else (),
            heat=self._heat(),
            overdue_now=overdue,
            overdue_places=overdue_places,
            published=self._published(),
        )

    # ---- what is read ----

    def _inside(self) -> dict[str, AreaName]:
        """Return the areas of the ranked level, in the order of their codes."""
        if self.ranked is None:
            return {}
        rows = self.cursor.execute(
            "select a.code, a.level, a.name, coalesce(a.name_en, ''), p.name, coalesce(p.name_en, ''),"
            " count(*) over (partition by a.name) > 1 from area a join area p on p.code = a.parent"
            " where a.level = %s and a.code like %s order by a.code",
            (int(self.ranked), prefix_of(self.area.code) + "%"),
        ).fetchall()
        found = {}
        for code, level, name, name_en, above, above_en, twice in rows:
            if twice:
                # Two towns of one name are told apart by what they lie in.
                name, name_en = (
                    f"{name}（{above}）",
                    f"{name_en} ({above_en})" if name_en and above_en else name_en,
                )
            found[code] = AreaName(code, Level(level), name, name_en)
        return found

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

    def _by_day(self) -> dict[date, Counts]:
        self.cursor.execute(
            f"select day, {_SUMS} from daily d where area_code = %s and day >= %s and day < %s group by day",
            (self.area.code, self.period.first, self.period.until),
        )
        return {day: dict(zip(DAILY_COUNTS, counts, strict=True)) for day, *counts in self.cursor.fetchall()}

    def _run_up(self) -> dict[date, Counts]:
        """Return day -> reports and disposals of the last year and more, up to the end of the period."""
        first = min(
            _months_back(self.period.first, MONTHS_SHOWN - 1),
            self.period.year_ago.first,
            self.period.until - timedelta(days=TREND_LEAST, weeks=BAND_WEEKS + 1),
            self.period.first - timedelta(weeks=BAND_WEEKS + 1),
        )
        self.cursor.execute(
            "select day, sum(reported)::int, sum(due)::int, sum(on_time)::int from daily"
            " where area_code = %s and day >= %s and day < %s group by day",
            (self.area.code, first, self.period.until),
        )
        names = ("reported", "due", "on_time")
        return {day: dict(zip(names, counts, strict=True)) for day, *counts in self.cursor.fetchall()}

    def _red(self, inside: Mapping[str, AreaName]) -> tuple[Counted, tuple[tuple[AreaName, Counted], ...]]:
        rows = self.cursor.execute(
            "select area_code, count(*) from incident where overdue_since is not null and area_code like %s group by 1",
            (prefix_of(self.area.code) + "%",),
        ).fetchall()
        found: dict[str, int] = defaultdict(int)
        length = max((len(code) for code in inside), default=0)
        for code, count in rows:
            if code[:length] in inside:
                found[code[:length]] += count
        ordered = sorted(found.items(), key=lambda each: (-each[1], each[0]))
        return Counted(sum(count for _, count in rows), CaseSet("red", self.area.code)), tuple(
            (inside[code], Counted(count, CaseSet("red", code))) for code, count in ordered
        )

    def _heat(self) -> tuple[tuple[Counted, ...], ...]:
        # Grouped by quarters of an hour, which no zone's offset splits: turning those few into local time is cheap.
        rows = self.cursor.execute(
            "select date_bin('15 minutes', i.reported_at, 'epoch'), count(*) from incident i"
            " where i.reported_at >= %s and i.reported_at < %s and i.area_code like %s group by 1",
            (self.begin, self.end, prefix_of(self.area.code) + "%"),
        ).fetchall()
        counts: dict[tuple[int, int], int] = defaultdict(int)
        for quarter, count in rows:
            at = self.calendar.local(quarter)
            counts[at.weekday(), at.hour] += count
        bounds = (self.area.code, self.period.first, self.period.until, "")
        return tuple(
            tuple(Counted(counts[w, h], CaseSet("reported", *bounds, w, h)) for h in range(24))
            for w in range(7)
        )

    def judged(self) -> tuple[Judged | None, tuple[StageTime, ...] | None]:
        """Return the month's assessment and its times of stages, or None where there is none."""
        if self.period.kind != "month":
            return None, None
        row = self.cursor.execute(
            "select m.state, m.as_of, m.policy_version, a.hash, a.parts from assessment_month m"
            " join assessment a using (month) where m.month = %s and a.kind = %s and a.subject = %s"
            " and a.card = 'unit'",
            (self.period.first, self.area.level.name.lower(), self.area.code),
        ).fetchone()
        if row is None:
            return None, None
        state, as_of, version, digest, parts = row
        rates = {
            each["indicator"]: (Fraction(each["n"]), int(each["d"]))
            for each in (*parts["parts"], *parts.get("also", ()))
        }
        times = parts.get("times", {})
        stages = tuple(
            StageTime(name, t[0], t[1], t[2], t[4], t[5])
            for name in CLOCKS
            if (t := times.get(name)) is not None
        )
        return Judged(state == "frozen", as_of, version, digest, rates), stages

    def staged(self) -> tuple[StageTime, ...]:
        """Return the times of the stages, the month's or case by case, each beside its limit."""
        whole = _total(self.periods()[0].values())
        _, assessed = self.judged()
        times = assessed if assessed is not None else self.times(whole)
        if not times or whole.get("reported", 0) > STAGE_INCIDENTS:
            return times
        limits = self._limits()
        return tuple(replace(each, **limits.get(each.stage, {})) for each in times)

    def _limits(self) -> dict[str, dict[str, Any]]:
        """Return clock -> P10 and P90 of its limits, and how many of those met or passed were late."""
        rows = self.cursor.execute(
            # Taken out of the clocks before they are sorted: a few bytes each, not whole clocks.
            "with clock as ("
            f" select k.kind, c.* from incident i, unnest(%(own)s::text[]) k(kind), {_CLOCK.format('i.clocks')}"
            "  where i.reported_at >= %(begin)s and i.reported_at < %(end)s and i.area_code like %(area)s"
            "  and i.clocks ? k.kind union all"
            " select k.kind, c.* from incident i join assignment a on a.incident_id = i.id and a.role = 'lead',"
            f"  unnest(%(parts)s::text[]) k(kind), {_CLOCK.format('a.clocks')}"
            "  where i.reported_at >= %(begin)s and i.reported_at < %(end)s and i.area_code like %(area)s"
            "  and a.clocks ? k.kind)"
            " select kind, percentile_disc(array[0.1, 0.9]) within group (order by due - since),"
            " count(*) filter (where ended is not null or state = 'breached'),"
            " count(*) filter (where state = 'breached') from clock group by 1",
            {
                "begin": self.begin,
                "end": self.end,
                "area": prefix_of(self.area.code) + "%",
                # The clock of the whole life runs from the report: held against the last stage it says nothing.
                "own": ["accept", "dispatch", "verify"],
                "parts": list(OF_ASSIGNMENT),
            },
        ).fetchall()
        return {
            kind: {
                # Nothing has a limit where all stand still in a pause.
                "limits": None if limits is None else tuple(each.total_seconds() for each in limits),
                "judged": n,
                "late": late,
            }
            for kind, limits, n, late in rows
        }

    def times(self, whole: Counts) -> tuple[StageTime, ...]:
        """Time each stage case by case from the stretches of responsibility; nothing where that is too much."""
        if whole.get("reported", 0) > STAGE_INCIDENTS:
            return ()
        before, working = self._working_days()
        clock = "extract(epoch from t.{0}::time)::float8"
        sessions = " + ".join(
            f"least(greatest({clock} - {_seconds(a)}, 0), {_seconds(b) - _seconds(a)})"
            for a, b in self.calendar.sessions
        )
        place = "[t.{0}::date - %(first)s::date + 1]"
        position = f"(d.before){place} + (d.working){place} * ({sessions})"
        self.cursor.execute(
            "with taken as (select s.incident_id, s.awaits,"
            " sum(extract(epoch from s.ended_at - s.began_at)::float8) around,"
            f" sum(({position.format('ended')}) - ({position.format('began')})) working"
            " from incident i join segment s on s.incident_id = i.id, lateral (select"
            "  s.began_at at time zone %(zone)s began, s.ended_at at time zone %(zone)s ended) t,"
            "  (select %(before)s::float8[] before, %(working)s::float8[] working) d"
            " where i.reported_at >= %(begin)s and i.reported_at < %(end)s and i.area_code like %(area)s"
            " and s.ended_at is not null and s.awaits is not null and coalesce(s.paused_why, '') = '' group by 1, 2)"
            " select awaits, count(*), percentile_disc(array[0.5, 0.9]) within group (order by around),"
            " percentile_disc(array[0.5, 0.9]) within group (order by working) from taken group by 1",
            {
                "zone": self.calendar.zone,
                "first": self.period.first,
                "before": before,
                "working": working,
                "begin": self.begin,
                "end": self.end,
                "area": prefix_of(self.area.code) + "%",
            },
        )
        found = {stage: (n, around, working) for stage, n, around, working in self.cursor.fetchall()}
        return tuple(
            StageTime(stage, n, *around, *in_working_time)
            for stage in CLOCKS
            if stage in found
            for n, around, in_working_time in (found[stage],)
        )

    def _working_days(self) -> tuple[list[float], list[float]]:
        """Return, from the period's first day to tomorrow, the working seconds before each and 1 for a working day."""
        each = float(sum(_seconds(b) - _seconds(a) for a, b in self.calendar.sessions))
        last = self.calendar.local(self.now).date() + timedelta(days=1)
        before, working = [0.0], []
        for n in range((last - self.period.first).days + 1):
            working.append(float(self.calendar.is_working(self.period.first + timedelta(days=n))))
            before.append(before[-1] + each * working[-1])
        return before, working

    def _published(self) -> tuple[Published, ...]:
        """Return the figures published for the area, as published, and what arithmetic makes of them."""
        rows = self.cursor.execute(
            "select metric, period, value, unit, source, published from kpi where area_code = %s and metric = any(%s)"
            " order by period desc, metric",
            (self.area.code, list(PUBLISHED)),
        ).fetchall()
        values = {(metric, period): Fraction(value) for metric, period, value, *_ in rows}
        found = []
        for metric, period, value, unit, source, published in rows:
            exact = Fraction(value)
            if not published:
                # Kept as a decimal; the exact figure is in those it was computed from.
                exact = _computed(values, period).get(metric) or exact
            found.append(Published(metric, period, exact, unit, source, published, FORMULAS.get(metric, "")))
        order = list(PUBLISHED)
        return tuple(sorted(found, key=lambda p: (p.period, order.index(p.metric))))

    # ---- what is made of it ----

    def _known(self, period: Period) -> bool:
        return self.known_since is not None and period.first >= self.known_since

    def _begun(self, period: Period) -> bool:
        return self.known_since is not None and period.until > self.known_since

    def _set(self, name: str, period: Period | None = None, theme: str = "") -> CaseSet:
        span = period or self.period
        return CaseSet(name, self.area.code, span.first, span.until, theme)

    def _counted(self, counts: Counts, name: str) -> Counted:
        return Counted(counts.get(name, 0), self._set(name))

    def _reading(self, name: str, counts: Counts, where: CaseSet, known: bool = True) -> Reading:
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

    def _figure(
        self, name: str, totals: Sequence[Counts], courses: Sequence[Counts] = (), theme: str = ""
    ) -> Figure:
        periods = (self.period, *self.compared)
        now, before, year_ago = (
            # Half a period is nothing to compare with; the period itself is shown from its first report on.
            self._reading(
                name,
                counts,
                self._set(name, p, theme),
                self._begun(p) if p is self.period else self._known(p),
            )
            for p, counts in zip(periods, totals, strict=True)
        )
        where = self._set(name)
        course = tuple(self._reading(name, counts, where).value for counts in courses)
        return Figure(name, now, before, year_ago, course)

    def _themes(self, periods: Sequence[ByTheme]) -> tuple[ThemeLine, ...]:
        lines = []
        for code, (name, name_en) in sorted(self.law.themes.items()):
            totals = [each.get(code, {}) for each in periods]
            lines.append(
                ThemeLine(
                    code, name, name_en, self._figure("reported", totals, theme=code),
                    self._figure("on_time", totals, theme=code),
                    Counted(totals[0].get("overdue", 0), self._set("overdue", theme=code)),
                )
            )  # fmt: skip
        return tuple(lines)

    def _trend(self, run_up: Mapping[date, Counts]) -> tuple[TrendPoint, ...]:
        shift = self.period.year_ago.first - self.period.first
        # A day or a week alone shows no course: two weeks up to its end do.
        days = max(len(self.period.days), TREND_LEAST)
        begin = self.period.until - timedelta(days=days)
        points = []
        for day in (begin + timedelta(days=n) for n in range(days)):
            one = Period("day", day)
            then = Period("day", day + shift)
            counts = run_up.get(day, {})
            # The same weekdays of the weeks before the days that are shown: those shown are no measure of themselves.
            last = day - timedelta(weeks=(day - begin).days // 7 + 1)
            usual = [
                Fraction(past["on_time"], past["due"])
                for week in range(BAND_WEEKS)
                if (past := run_up.get(last - timedelta(weeks=week))) is not None and past["due"]
            ]
            usual.sort()
            points.append(
                TrendPoint(
                    day,
                    Counted(counts.get("reported", 0), self._set("reported", one)),
                    self._reading("on_time", counts, self._set("on_time", one)),
                    self._reading(
                        "on_time", run_up.get(then.first, {}), self._set("on_time", then), self._known(then)
                    ),
                    (_rank(usual, 10), _rank(usual, 90)) if len(usual) >= USUAL_LEAST else None,
                )
            )
        return tuple(points)

    def _lowest(self, points: Sequence[TrendPoint]) -> Lowest | None:
        """Return the day of the lowest rate, the one with most cases of equal ones; None where nobody was late."""
        late = [
            (each.on_time.value, -each.on_time.missed.count, each)
            for each in points
            if each.on_time.value is not None
            and each.on_time.missed is not None
            and each.on_time.missed.count
        ]
        if not late:
            return None
        point = min(late, key=lambda each: each[:2])[2]
        row = self.cursor.execute(
            "select theme, sum(due - on_time)::int from daily where area_code = %s and day = %s group by theme"
            " order by 2 desc, 1 limit 1",
            (self.area.code, point.day),
        ).fetchone()
        theme, count = row if row is not None else ("", 0)
        return Lowest(
            point,
            sum(each.below for each in points),
            self.law.themes.get(theme, (theme, theme)),
            Counted(count, self._set("late", Period("day", point.day), theme)),
        )

    def _months(self, run_up: Mapping[date, Counts]) -> tuple[MonthPoint, ...]:
        last = Period.holding("month", self.period.until - timedelta(days=1))
        points = []
        for back in range(MONTHS_SHOWN - 1, -1, -1):
            month = Period("month", _months_back(last.first, back))
            if not self._known(month) and month.first != last.first:
                continue
            # The month of a day or a week is shown up to the period's end.
            until = min(month.until, self.period.until)
            total = _total(counts for day, counts in run_up.items() if month.first <= day < until)
            where = CaseSet("reported", self.area.code, month.first, until)
            reported = Counted(total.get("reported", 0), where)
            points.append(MonthPoint(month.first, reported, self._reading("on_time", total, where)))
        return tuple(points)

    def _places(self, inside: Mapping[str, AreaName], whole: Counts) -> tuple[Place, ...]:
        """Rank the areas inside by what their rates would be with more cases; raise for none."""
        if not inside:
            return ()
        self.cursor.execute(
            "select area_code, sum(reported)::int, sum(due)::int, sum(on_time)::int, sum(overdue)::int from daily"
            " where area_code = any(%s) and day >= %s and day < %s group by 1",
            (list(inside), self.period.first, self.period.until),
        )
        names = ("reported", "due", "on_time", "overdue")
        found = {code: dict(zip(names, counts, strict=True)) for code, *counts in self.cursor.fetchall()}
        parts = {code: [(c["on_time"], c["due"], 1)] for code, c in found.items() if c["due"]}
        own = whole["on_time"] / whole["due"] if whole.get("due") else 0.0
        places = []
        ranked = fairness.standings(parts, self.rules.min_count, self.rules.confidence)
        for standing in ranked:
            low, high = standing.low / 100, standing.high / 100
            places.append(
                self._place(
                    inside[standing.subject], found[standing.subject],
                    (standing.shrunk / 100, low, high), standing.rank, high < own, low > own,
                )
            )  # fmt: skip
        for code in inside.keys() - parts.keys():
            places.append(
                self._place(inside[code], found.get(code, {}), (None, None, None), None, False, False)
            )
        # Ranked first, then those with too few cases, then those without any.
        places.sort(key=lambda p: (p.rank is None, p.shrunk is None, p.rank or 0, p.code))
        return tuple(places)

    def _place(
        self, area: AreaName, counts: Counts, estimate: tuple[float | None, float | None, float | None],
        rank: int | None, below: bool, above: bool,
    ) -> Place:  # fmt: skip
        where = CaseSet("reported", area.code, self.period.first, self.period.until)
        return Place(
            area.code, area.name, area.name_en, self._reading("on_time", counts, where),
            Counted(counts.get("reported", 0), where), Counted(counts.get("overdue", 0), renamed(where, "overdue")),
            *estimate, rank, rank is not None and below, rank is not None and above,
        )  # fmt: skip

    def _funnel(self, whole: Counts) -> tuple[Step, ...]:
        steps = []
        for i, stage in enumerate(cases.STAGES):
            reached = whole.get(stage, 0)
            gone = whole.get("rejected", 0) + whole.get("merged", 0) if i == 0 else 0
            following = whole.get(cases.STAGES[i + 1], 0) if i + 1 < len(cases.STAGES) else 0
            standing = reached - following - gone
            steps.append(
                Step(stage, self._counted(whole, stage), Counted(standing, self._set(f"at_{stage}")))
            )
        return tuple(steps)


def _seconds(moment: time) -> int:
    return moment.hour * 3600 + moment.minute * 60 + moment.second


def _months_back(month: date, months: int) -> date:
    index = month.year * 12 + month.month - 1 - months
    return date(index // 12, index % 12 + 1, 1)


def _change(now: Reading, then: Reading) -> Fraction | None:
    a, b = now.value, then.value
    if a is None or b is None:
        return None
    if now.base is not None:
        return a - b
    return (a - b) / b if b else None


def _total(counts: Iterable[Counts]) -> dict[str, int]:
    total: dict[str, int] = defaultdict(int)
    for each in counts:
        for name, count in each.items():
            total[name] += count
    return dict(total)


def _rank(ordered: Sequence[Any], percent: int) -> Any:
    """Return the nearest-rank percentile of values in order: one that was really there."""
    return ordered[max(0, -(-percent * len(ordered) // 100) - 1)]


def _computed(values: Mapping[tuple[str, str], Fraction], period: str) -> dict[str, Fraction | None]:
    known = [values.get((metric, period)) for metric in ("disputes_settled", "disputes", "villages")]
    if None in known:
        return {}
    return headline(*(int(value) for value in known if value is not None))
