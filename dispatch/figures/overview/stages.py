"""Read how far a cohort came along the chain, at which hours it was reported, and how long each stage took."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import time, timedelta
from fractions import Fraction
from typing import Any

from dispatch.figures.case_sets import CaseSet, Counted
from dispatch.figures.overview.cohort import Cohort, Counts, total
from dispatch.figures.overview.values import CLOCKS, Judged, StageTime, Step
from dispatch.rules.areas import prefix_of
from dispatch.rules.measures import cases
from dispatch.rules.time.clocks import OF_ASSIGNMENT

STAGE_INCIDENTS = 20_000  # more than this are not timed one by one: the month's assessment does it at night
# Of one clock: read once, whatever is asked of it.
_CLOCK = "jsonb_to_record({0} -> k.kind) as c(due timestamptz, since timestamptz, ended text, state text)"


def funnel(cohort: Cohort, whole: Counts) -> tuple[Step, ...]:
    """Return the steps of the chain: how many came this far or further, and how many stand here now."""
    steps = []
    for i, stage in enumerate(cases.STAGES):
        reached = whole.get(stage, 0)
        gone = whole.get("rejected", 0) + whole.get("merged", 0) if i == 0 else 0
        following = whole.get(cases.STAGES[i + 1], 0) if i + 1 < len(cases.STAGES) else 0
        standing = reached - following - gone
        steps.append(
            Step(stage, cohort.counted(whole, stage), Counted(standing, cohort.cases(f"at_{stage}")))
        )
    return tuple(steps)


def heat(cohort: Cohort) -> tuple[tuple[Counted, ...], ...]:
    """Return the reports by weekday, Monday first, and hour of the city's own time."""
    # Grouped by quarters of an hour, which no zone's offset splits: turning those few into local time is cheap.
    rows = cohort.cursor.execute(
        "select date_bin('15 minutes', i.reported_at, 'epoch'), count(*) from incident i"
        " where i.reported_at >= %s and i.reported_at < %s and i.area_code like %s group by 1",
        (cohort.begin, cohort.end, prefix_of(cohort.area.code) + "%"),
    ).fetchall()
    counts: dict[tuple[int, int], int] = defaultdict(int)
    for quarter, count in rows:
        at = cohort.calendar.local(quarter)
        counts[at.weekday(), at.hour] += count
    bounds = (cohort.area.code, cohort.period.first, cohort.period.until, "")
    return tuple(
        tuple(Counted(counts[w, h], CaseSet("reported", *bounds, w, h)) for h in range(24)) for w in range(7)
    )


def judged(cohort: Cohort) -> tuple[Judged | None, tuple[StageTime, ...] | None]:
    """Return the month's assessment and its times of stages, or None where there is none."""
    if cohort.period.kind != "month":
        return None, None
    row = cohort.cursor.execute(
        "select m.state, m.as_of, m.policy_version, a.hash, a.parts from assessment_month m"
        " join assessment a using (month) where m.month = %s and a.kind = %s and a.subject = %s"
        " and a.card = 'unit'",
        (cohort.period.first, cohort.area.level.name.lower(), cohort.area.code),
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
        StageTime(name, t[0], t[1], t[2], t[4], t[5]) for name in CLOCKS if (t := times.get(name)) is not None
    )
    return Judged(state == "frozen", as_of, version, digest, rates), stages


def staged(cohort: Cohort) -> tuple[StageTime, ...]:
    """Return the times of the stages, the month's or case by case, each beside its limit."""
    whole = total(cohort.periods()[0].values())
    _, assessed = judged(cohort)
    times = assessed if assessed is not None else _times(cohort, whole)
    if not times or whole.get("reported", 0) > STAGE_INCIDENTS:
        return times
    limits = _limits(cohort)
    return tuple(replace(each, **limits.get(each.stage, {})) for each in times)


def _limits(cohort: Cohort) -> dict[str, dict[str, Any]]:
    """Return clock -> P10 and P90 of its limits, and how many of those met or passed were late."""
    rows = cohort.cursor.execute(
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
            "begin": cohort.begin,
            "end": cohort.end,
            "area": prefix_of(cohort.area.code) + "%",
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


def _times(cohort: Cohort, whole: Counts) -> tuple[StageTime, ...]:
    """Time each stage case by case from the stretches of responsibility; nothing where that is too much."""
    if whole.get("reported", 0) > STAGE_INCIDENTS:
        return ()
    before, working = _working_days(cohort)
    clock = "extract(epoch from t.{0}::time)::float8"
    sessions = " + ".join(
        f"least(greatest({clock} - {_seconds(a)}, 0), {_seconds(b) - _seconds(a)})"
        for a, b in cohort.calendar.sessions
    )
    place = "[t.{0}::date - %(first)s::date + 1]"
    position = f"(d.before){place} + (d.working){place} * ({sessions})"
    cohort.cursor.execute(
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
            "zone": cohort.calendar.zone,
            "first": cohort.period.first,
            "before": before,
            "working": working,
            "begin": cohort.begin,
            "end": cohort.end,
            "area": prefix_of(cohort.area.code) + "%",
        },
    )
    found = {stage: (n, around, working) for stage, n, around, working in cohort.cursor.fetchall()}
    return tuple(
        StageTime(stage, n, *around, *in_working_time)
        for stage in CLOCKS
        if stage in found
        for n, around, in_working_time in (found[stage],)
    )


def _working_days(cohort: Cohort) -> tuple[list[float], list[float]]:
    """Return, from the period's first day to tomorrow, the working seconds before each and 1 for a working day."""
    each = float(sum(_seconds(b) - _seconds(a) for a, b in cohort.calendar.sessions))
    last = cohort.calendar.local(cohort.now).date() + timedelta(days=1)
    before, working = [0.0], []
    for n in range((last - cohort.period.first).days + 1):
        working.append(float(cohort.calendar.is_working(cohort.period.first + timedelta(days=n))))
        before.append(before[-1] + each * working[-1])
    return before, working


def _seconds(moment: time) -> int:
    return moment.hour * 3600 + moment.minute * 60 + moment.second
