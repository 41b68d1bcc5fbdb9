"""Read the course of a cohort: day by day beside what is usual, its lowest day, and the months before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from fractions import Fraction

from dispatch.figures.case_sets import CaseSet, Counted
from dispatch.figures.overview.cohort import Cohort, Counts, total
from dispatch.figures.overview.values import Lowest, MonthPoint, TrendPoint
from dispatch.rules.time.period import Period

BAND_WEEKS = 12  # what is usual for a weekday is read from so many before the period
USUAL_LEAST = 4  # fewer days of the same weekday say nothing of what is usual
MONTHS_SHOWN = 13
TREND_LEAST = 14  # days


def run_up(cohort: Cohort) -> dict[date, Counts]:
    """Return day -> reports and disposals of the last year and more, up to the end of the period."""
    first = min(
        _months_back(cohort.period.first, MONTHS_SHOWN - 1),
        cohort.period.year_ago.first,
        cohort.period.until - timedelta(days=TREND_LEAST, weeks=BAND_WEEKS + 1),
        cohort.period.first - timedelta(weeks=BAND_WEEKS + 1),
    )
    cohort.cursor.execute(
        "select day, sum(reported)::int, sum(due)::int, sum(on_time)::int from daily"
        " where area_code = %s and day >= %s and day < %s group by day",
        (cohort.area.code, first, cohort.period.until),
    )
    names = ("reported", "due", "on_time")
    return {day: dict(zip(names, counts, strict=True)) for day, *counts in cohort.cursor.fetchall()}


def trend(cohort: Cohort, run_up: Mapping[date, Counts]) -> tuple[TrendPoint, ...]:
    """Return the period day by day, two weeks at least, each beside a year ago and what is usual."""
    shift = cohort.period.year_ago.first - cohort.period.first
    # A day or a week alone shows no course: two weeks up to its end do.
    days = max(len(cohort.period.days), TREND_LEAST)
    begin = cohort.period.until - timedelta(days=days)
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
                Counted(counts.get("reported", 0), cohort.cases("reported", one)),
                cohort.reading("on_time", counts, cohort.cases("on_time", one)),
                cohort.reading(
                    "on_time", run_up.get(then.first, {}), cohort.cases("on_time", then), cohort.known(then)
                ),
                (_rank(usual, 10), _rank(usual, 90)) if len(usual) >= USUAL_LEAST else None,
            )
        )
    return tuple(points)


def lowest(cohort: Cohort, points: Sequence[TrendPoint]) -> Lowest | None:
    """Return the day of the lowest rate, the one with most cases of equal ones; None where nobody was late."""
    late = [
        (each.on_time.value, -each.on_time.missed.count, each)
        for each in points
        if each.on_time.value is not None and each.on_time.missed is not None and each.on_time.missed.count
    ]
    if not late:
        return None
    point = min(late, key=lambda each: each[:2])[2]
    row = cohort.cursor.execute(
        "select theme, sum(due - on_time)::int from daily where area_code = %s and day = %s group by theme"
        " order by 2 desc, 1 limit 1",
        (cohort.area.code, point.day),
    ).fetchone()
    theme, count = row if row is not None else ("", 0)
    return Lowest(
        point,
        sum(each.below for each in points),
        cohort.policy.themes.get(theme, (theme, theme)),
        Counted(count, cohort.cases("late", Period("day", point.day), theme)),
    )


def months(cohort: Cohort, run_up: Mapping[date, Counts]) -> tuple[MonthPoint, ...]:
    """Return the months up to the period's end, as far back as all of their days are known."""
    last = Period.holding("month", cohort.period.until - timedelta(days=1))
    points = []
    for back in range(MONTHS_SHOWN - 1, -1, -1):
        month = Period("month", _months_back(last.first, back))
        if not cohort.known(month) and month.first != last.first:
            continue
        # The month of a day or a week is shown up to the period's end.
        until = min(month.until, cohort.period.until)
        whole = total(counts for day, counts in run_up.items() if month.first <= day < until)
        where = CaseSet("reported", cohort.area.code, month.first, until)
        reported = Counted(whole.get("reported", 0), where)
        points.append(MonthPoint(month.first, reported, cohort.reading("on_time", whole, where)))
    return tuple(points)


def _months_back(month: date, months: int) -> date:
    index = month.year * 12 + month.month - 1 - months
    return date(index // 12, index % 12 + 1, 1)


def _rank(ordered: Sequence[Fraction], percent: int) -> Fraction:
    """Return the nearest-rank percentile of values in order: one that was really there."""
    return ordered[max(0, -(-percent * len(ordered) // 100) - 1)]
