"""Read the leaders' picture of an area and a period: figures, trend, ranking, funnel, times of stages.

Everything is said of one cohort, what was reported in the period: counts come from the daily roll-up of
dispatch/figures/cohorts.py (`counted_at` says since when it is level with the events), and every number names the set
of cases it counts, which dispatch/figures/case_sets.py lists by the same predicate.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from dispatch.figures import cohorts
from dispatch.figures.case_sets import Connection, Counted, look
from dispatch.figures.overview.cohort import RANKED, ByTheme, Cohort, total
from dispatch.figures.overview.published import published
from dispatch.figures.overview.ranking import inside, places, red
from dispatch.figures.overview.stages import STAGE_INCIDENTS, funnel, heat, judged, staged
from dispatch.figures.overview.trend import USUAL_LEAST, lowest, months, run_up, trend
from dispatch.figures.overview.values import (
    CLOCKS,
    FIGURES,
    PUBLISHED,
    STAGES,
    AreaName,
    Figure,
    Judged,
    Lowest,
    MonthPoint,
    Overview,
    Place,
    Published,
    Reading,
    StageTime,
    Step,
    ThemeLine,
    TrendPoint,
)  # fmt: skip
from dispatch.rules.areas import Level
from dispatch.rules.time.period import Period

__all__ = [
    "CLOCKS", "FIGURES", "PUBLISHED", "RANKED", "STAGES", "STAGE_INCIDENTS", "USUAL_LEAST", "AreaName", "Figure",
    "Judged", "Lowest", "MonthPoint", "Overview", "Place", "Published", "Reading", "StageTime", "Step", "ThemeLine",
    "TrendPoint", "read", "stage_times",
]  # fmt: skip


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
        return _read(Cohort(cursor, area, period, now, ranked), timed)


def stage_times(connection: Connection, area: str, period: Period, now: datetime) -> tuple[StageTime, ...]:
    """Return how long each stage took: from the month's assessment where there is one, else case by case.

    Empty where nothing was timed, or more than `STAGE_INCIDENTS` cases await the night's assessment. Raises as
    `read` does.
    """
    with look(connection) as cursor:
        return staged(Cohort(cursor, area, period, now, None))


def _read(cohort: Cohort, timed: bool) -> Overview:
    within = inside(cohort)
    periods = cohort.periods()
    totals = [total(each.values()) for each in periods]
    whole = totals[0]
    by_day = cohort.by_day()
    days = run_up(cohort)
    overdue, overdue_places = red(cohort, within)
    points = trend(cohort, days)
    courses = [by_day.get(day, {}) for day in cohort.period.days]
    return Overview(
        area=cohort.area,
        period=cohort.period,
        compared=cohort.compared,
        as_of=cohort.now,
        counted_at=cohorts.counted_at(cohort.cursor),
        known_since=cohort.known_since,
        open=cohort.counted(whole, "open"),
        judged=judged(cohort)[0],
        figures=tuple(cohort.figure(name, totals, courses) for name in FIGURES),
        themes=_themes(cohort, periods),
        trend=points,
        lowest=lowest(cohort, points),
        months=months(cohort, days),
        places=places(cohort, within, whole),
        min_count=cohort.rules.min_count,
        funnel=funnel(cohort, whole),
        rejected=cohort.counted(whole, "rejected"),
        merged=cohort.counted(whole, "merged"),
        stages=staged(cohort) if timed else (),
        heat=heat(cohort),
        overdue_now=overdue,
        overdue_places=overdue_places,
        published=published(cohort),
    )


def _themes(cohort: Cohort, periods: Sequence[ByTheme]) -> tuple[ThemeLine, ...]:
    lines = []
    for code, (name, name_en) in sorted(cohort.policy.themes.items()):
        totals = [each.get(code, {}) for each in periods]
        lines.append(
            ThemeLine(
                code, name, name_en, cohort.figure("reported", totals, theme=code),
                cohort.figure("on_time", totals, theme=code),
                Counted(totals[0].get("overdue", 0), cohort.cases("overdue", theme=code)),
            )
        )  # fmt: skip
    return tuple(lines)
