"""Prove the leaders' picture: every number is the count of its cases, no base is no data, and days add up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

import psycopg
import pytest

from dispatch.figures import case_sets, cohorts, overview
from dispatch.figures.case_sets import Counted
from dispatch.figures.overview import Overview
from dispatch.rules.areas import Level
from dispatch.rules.time.period import Period
from dispatch.scores import scoring
from models.servers.database import psycopg_dsn
from models.tables.scores import DAILY_COUNTS
from tests.templates import LIVED_UNTIL as UNTIL
from tests.templates import CityOf

CITY, COUNTY, TOWN = "445300", "445302", "445302001"
MAY = Period("month", date(2026, 5, 1))

Connection = psycopg.Connection[Any]


@pytest.fixture
def city(pictured: str) -> Iterator[Connection]:
    """Open the lived-in city for a test that only reads."""
    with psycopg.connect(psycopg_dsn(pictured), autocommit=True) as connection:
        connection.read_only = True
        yield connection


@pytest.fixture
def own(city_of: CityOf) -> Iterator[Connection]:
    """Open a copy of the city that the test may change."""
    with city_of("lived") as url, psycopg.connect(psycopg_dsn(url), autocommit=True) as connection:
        yield connection


def numbers(value: object) -> Iterator[Counted]:
    """Yield every number with its cases, wherever in a picture it stands."""
    if isinstance(value, Counted):
        yield value
    elif is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            yield from numbers(getattr(value, each.name))
        missed = getattr(value, "missed", None)
        if isinstance(missed, Counted):
            yield missed
    elif isinstance(value, tuple):
        for each in value:
            yield from numbers(each)


def one(connection: Connection, statement: str, *params: object) -> Any:
    """Return the only value that a statement answers."""
    row = connection.execute(statement.encode(), params).fetchone()
    assert row is not None
    return row[0]


def table(connection: Connection) -> list[tuple[Any, ...]]:
    """Return all daily counts in the order of their key."""
    names = ", ".join(DAILY_COUNTS)
    return connection.execute(
        f"select area_code, day, theme, {names} from daily order by 1, 2, 3".encode()
    ).fetchall()


def picture(connection: Connection, area: str = CITY, period: Period = MAY) -> Overview:
    """Return a picture as of the end of the city's life."""
    return overview.read(connection, area, period, UNTIL)


@pytest.mark.parametrize(
    ("area", "period"),
    [
        (CITY, MAY),
        (CITY, Period("day", date(2026, 6, 10))),
        (COUNTY, Period("week", date(2026, 6, 1))),
        (TOWN, MAY),
    ],
    ids=["city month", "city day", "county week", "town month"],
)
def test_every_number_is_the_count_of_its_cases(city: Connection, area: str, period: Period) -> None:
    found = {each.cases.key: each for each in numbers(picture(city, area, period))}
    names = {each.cases.name for each in found.values()}
    assert {"reported", "on_time", "late", "due", "pleased", "whistle_due", "red", "at_disposed"} <= names
    # Of each kind of number the largest few and a few without a case: all of them would take a minute.
    chosen: list[Counted] = []
    for name in sorted(names):
        alike = sorted(
            (e for e in found.values() if e.cases.name == name), key=lambda e: (-e.count, e.cases.key)
        )
        chosen += alike[:3] + alike[-1:]
    for each in chosen:
        assert case_sets.cases(city, each.cases).total == each.count, each.cases


def test_a_village_has_a_picture_of_its_own(city: Connection) -> None:
    village = one(
        city, "select left(area_code, 12) from incident group by 1 having length(min(area_code)) > 9"
        " order by count(*) desc, 1 limit 1",
    )  # fmt: skip
    seen = picture(city, village)
    assert seen.places == ()
    assert seen.figure("reported").now.credited.count > 0
    for each in {c.cases.key: c for c in numbers((seen.figures, seen.funnel, seen.themes[8:]))}.values():
        assert case_sets.cases(city, each.cases).total == each.count


def test_the_figures_are_what_plain_sql_says(city: Connection) -> None:
    may = "reported_at >= '2026-04-30T16:00Z' and reported_at < '2026-05-31T16:00Z'"
    left = "state not in ('rejected', 'void', 'merged')"
    seen = picture(city)
    assert seen.figure("reported").now.n == one(city, f"select count(*) from incident where {may}") > 300
    on_time = seen.figure("on_time").now
    assert on_time.n == one(
        city, f"select count(*) from incident where {may} and {left} and disposed_on_time"
    )
    late = "disposed_on_time is false or (disposed_at is null and ended_at is null and exists (select from assignment"
    late += " a where a.incident_id = incident.id and a.role = 'lead' and a.state in ('sent', 'picked_up', 'on_site')"
    late += " and a.clocks -> 'dispose' ->> 'state' = 'breached'))"
    assert on_time.missed is not None
    assert on_time.missed.count == one(
        city, f"select count(*) from incident where {may} and {left} and ({late})"
    )
    rated = f"from incident where {may} and state in ('closed', 'archived') and rating"
    satisfied = seen.figure("satisfied").now
    assert satisfied.value == (
        one(city, f"select count(*) {rated} in (4, 5)")
        + Fraction(9, 10) * one(city, f"select count(*) {rated} = 3")
    ) / one(city, f"select count(*) {rated} is not null")
    settled = seen.figure("settled").now
    dispute = "category in (select code from category where theme = '02')"
    assert settled.n == one(
        city,
        f"select count(*) from incident where {may} and {left} and {dispute} and facts -> 'settled' = 'true'",
    )


def test_the_chain_only_narrows_and_loses_nobody(city: Connection) -> None:
    for area in (CITY, COUNTY, TOWN):
        seen = picture(city, area)
        reached = [step.reached.count for step in seen.funnel]
        assert reached == sorted(reached, reverse=True)
        standing = sum(step.standing.count for step in seen.funnel)
        assert standing + seen.rejected.count + seen.merged.count == reached[0] > 0


def test_the_sums_of_the_lower_level_are_the_upper_level(city: Connection) -> None:
    columns = ", ".join(f"sum({name})" for name in DAILY_COUNTS)
    sums = [
        city.execute(
            f"select left(area_code, 4), {columns} from daily d join area a on a.code = d.area_code"
            " where a.level = %s group by 1".encode(),
            (level,),
        ).fetchall()
        for level in (1, 2, 3, 4)
    ]
    assert sums[0] == sums[1] == sums[2] == sums[3] != []
    seen = picture(city)
    assert sum(place.reported.count for place in seen.places) == seen.figure("reported").now.n
    assert sum(line.reported.now.n for line in seen.themes) == seen.figure("reported").now.n
    assert sum(cell.count for row in seen.heat for cell in row) == seen.figure("reported").now.n
    assert sum(point.reported.count for point in seen.trend) == seen.figure("reported").now.n


def test_followed_in_bites_and_rebuilt_at_once_the_days_are_the_same(own: Connection) -> None:
    rebuilt = table(own)
    own.execute("delete from daily")
    own.execute("update follower set position = 0 where name = 'daily'")
    taken = 0
    while events := cohorts.follow(own, 900):
        taken += events
    assert taken == one(own, "select count(*) from event")
    assert table(own) == rebuilt
    assert cohorts.follow(own) == 0


def test_what_becomes_of_a_case_moves_the_day_it_was_reported_on(own: Connection) -> None:
    row = own.execute(
        "select id, (reported_at at time zone 'Asia/Shanghai')::date from incident where state = 'closed'"
        " and disposed_on_time and rating is null order by id limit 1"
    ).fetchone()
    assert row is not None
    incident, day = row
    before = one(own, "select sum(rated_5) from daily where area_code = %s and day = %s", CITY, day)
    # As the desk leaves it: the row changed, and an event that tells of it.
    with own.transaction():
        own.execute("update incident set rating = 5, seq = seq + 1 where id = %s", (incident,))
        own.execute(
            "insert into event select (jsonb_populate_record(e, jsonb_build_object('seq', e.seq + 1,"
            " 'tx', pg_current_xact_id()::text))).* from event e where incident_id = %s order by seq desc limit 1",
            (incident,),
        )
    assert cohorts.follow(own) == 1
    assert (
        one(own, "select sum(rated_5) from daily where area_code = %s and day = %s", CITY, day) == before + 1
    )


def test_days_that_nobody_reported_on_any_more_leave_no_row(own: Connection) -> None:
    own.execute(
        "insert into daily (area_code, day, theme, reported) values (%s, '2026-05-20', '99', 3)", (CITY,)
    )
    cohorts.rebuild(own)
    assert one(own, "select count(*) from daily where theme = '99'") == 0


def test_no_base_is_no_data_and_so_is_what_lies_before_the_first_report(city: Connection) -> None:
    seen = picture(city)
    for figure in seen.figures:
        assert figure.year_ago.value is None
        assert figure.change_year is None
        assert figure.now.value is not None
    old = picture(city, CITY, Period("month", date(2025, 5, 1)))
    assert [figure.now.value for figure in old.figures] == [None] * 6
    quiet = one(
        city, "select code from area where level = 4 and not exists (select from incident where area_code like"
        " area.code || '%%') order by code limit 1",
    )  # fmt: skip
    empty = picture(city, quiet)
    assert empty.figure("reported").now.value == 0
    assert empty.figure("on_time").now.value is None
    assert [point.usual for point in empty.trend] == [None] * 31


@pytest.mark.parametrize(
    ("period", "own", "before"),
    [
        (
            Period("free", date(2026, 5, 24), date(2026, 6, 2)),
            ("2026-05-24", "2026-06-03"),
            ("2026-05-14", "2026-05-24"),
        ),
        # June runs until its 12th: it is held against as many days of May.
        (Period("month", date(2026, 6, 1)), ("2026-06-01", "2026-07-01"), ("2026-05-01", "2026-05-13")),
    ],
    ids=["free", "running month"],
)
def test_a_period_is_held_against_as_many_days_before_it(
    city: Connection, period: Period, own: tuple[str, str], before: tuple[str, str]
) -> None:
    seen = picture(city, COUNTY, period)
    for span, read in ((own, "now"), (before, "before")):
        rows = city.execute(
            "select count(*), count(*) filter (where i.state not in ('rejected', 'void', 'merged')"
            " and i.disposed_on_time) from incident i where i.area_code like %s and"
            " (i.reported_at at time zone 'Asia/Shanghai')::date >= %s::date and"
            " (i.reported_at at time zone 'Asia/Shanghai')::date < %s::date",
            (COUNTY + "%", *span),
        ).fetchone()
        found = [getattr(seen.figure(name), read).credited.count for name in ("reported", "on_time")]
        assert tuple(found) == rows
        assert all(found)
    change = seen.figure("reported").change
    now, then = (getattr(seen.figure("reported"), each).credited for each in ("now", "before"))
    assert change == Fraction(now.count - then.count, then.count)
    assert case_sets.cases(city, then.cases).total == then.count


def test_what_is_usual_is_read_from_the_weeks_before_the_period_alone(city: Connection) -> None:
    seen = picture(city, CITY, Period("week", date(2026, 6, 8)))
    point = next(each for each in seen.trend if each.day == date(2026, 6, 8))
    rates = [
        Fraction(row[0], row[1])
        for row in city.execute(
            "select sum(on_time)::int, sum(due)::int from daily where area_code = %s and day < %s"
            " and extract(isodow from day) = 1 group by day having sum(due) > 0",
            (CITY, point.day - timedelta(days=7)),
        )
    ]
    # Two weeks are shown, so the Monday of the week before is no measure either.
    assert seen.trend[0].day == date(2026, 6, 1)
    assert len(rates) >= overview.USUAL_LEAST
    assert point.usual == (min(rates), max(rates))


def test_changes_of_counts_are_relative_and_of_rates_differences(city: Connection) -> None:
    seen = picture(city, CITY, Period("week", date(2026, 6, 1)))
    for figure in seen.figures:
        now, before = figure.now.value, figure.before.value
        assert now is not None
        assert before is not None
        expected = now - before if figure.is_rate else (now - before) / before
        assert figure.change == expected
    assert {figure.is_rate for figure in seen.figures} == {True, False}


def test_ranked_are_those_with_enough_cases_and_the_rest_are_listed(city: Connection) -> None:
    places = picture(city).places
    ranked = [p for p in places if p.rank is not None]
    listed = [p for p in places if p.rank is None]
    assert [p.rank for p in ranked] == sorted(p.rank or 0 for p in ranked)
    assert ranked
    assert listed
    least = picture(city).min_count
    assert all(p.on_time.base is not None and p.on_time.base.count >= least for p in ranked)
    assert all(p.on_time.base is not None and p.on_time.base.count < least for p in listed)
    assert not any(p.below or p.above for p in listed)
    assert [p.code for p in picture(city, COUNTY).places] != []
    by_county = overview.read(city, CITY, MAY, UNTIL, Level.COUNTY).places
    assert len(by_county) == one(city, "select count(*) from area where level = 2")


def test_times_of_stages_are_those_of_the_assessment(own: Connection) -> None:
    by_rows = {time.stage: time for time in picture(own).stages}
    assert picture(own).judged is None
    scoring.assess_month(own, MAY.first, UNTIL)
    assessed = picture(own)
    assert assessed.judged is not None
    assert not assessed.judged.frozen
    by_month = {time.stage: time for time in assessed.stages}
    assert by_rows.keys() == by_month.keys() >= {"accept", "dispose"}
    for stage, time in by_month.items():
        mine = by_rows[stage]
        assert mine.n == time.n
        for name in ("p50", "p90", "working_p50", "working_p90"):
            assert getattr(mine, name) == pytest.approx(getattr(time, name), abs=0.6), (stage, name)


def test_the_limits_beside_the_times_are_those_of_the_cases_clocks(city: Connection) -> None:
    limits: dict[str, list[float]] = defaultdict(list)
    verdicts: dict[str, list[bool]] = defaultdict(list)
    begin, end = (f"{day} 00:00+08" for day in (MAY.first, MAY.until))
    clocks = city.execute(
        "select clocks - 'close' from incident where reported_at >= %s and reported_at < %s union all"
        " select a.clocks from assignment a join incident i on i.id = a.incident_id where a.role = 'lead'"
        " and i.reported_at >= %s and i.reported_at < %s",
        (begin, end, begin, end),
    ).fetchall()
    for (own,) in clocks:
        for kind, clock in own.items():
            if clock.get("due") is not None:
                since, due = (datetime.fromisoformat(clock[name]) for name in ("since", "due"))
                limits[kind].append((due - since).total_seconds())
            if clock.get("ended") is not None or clock["state"] == "breached":
                verdicts[kind].append(clock["state"] == "breached")
    timed = {each.stage: each for each in picture(city).stages}
    assert timed["close"].limits is None
    for stage in ("accept", "dispatch", "pick_up", "arrive", "dispose", "verify"):
        ordered = sorted(limits[stage])
        ranks = [-(-share * len(ordered) // 10) - 1 for share in (1, 9)]
        assert timed[stage].limits == pytest.approx(tuple(ordered[rank] for rank in ranks))
        assert (timed[stage].judged, timed[stage].late) == (len(verdicts[stage]), sum(verdicts[stage]))
        assert timed[stage].over == (sum(verdicts[stage]) > len(verdicts[stage]) / 10)


def test_a_picture_without_times_leaves_them_to_a_reading_of_their_own(city: Connection) -> None:
    timed = picture(city, COUNTY)
    quick = overview.read(city, COUNTY, MAY, UNTIL, timed=False)
    assert quick.stages == ()
    assert timed.stages == overview.stage_times(city, COUNTY, MAY, UNTIL) != ()
    assert quick.figures == timed.figures


def test_published_figures_stand_beside_what_arithmetic_makes_of_them(city: Connection) -> None:
    found = {each.metric: each for each in picture(city).published}
    assert found["criminal_reports_change"].value == Fraction("-33.66")
    assert found["criminal_reports_change"].published
    assert "非系统计算" in found["criminal_reports_change"].source
    assert found["per_village"].value == Fraction(6255, 965)
    assert found["settled"].value == Fraction(6180, 6255)
    assert found["months_between"].value == Fraction(12 * 965, 6255)
    assert not found["settled"].published
    assert f"{float(found['per_village'].value):.2f}" == "6.48"
    assert f"{float(found['months_between'].value):.2f}" == "1.85"
    assert f"{float(found['settled'].value) * 100:.2f}" == "98.80"


def test_pages_of_cases_follow_each_other_without_gap_or_repeat(city: Connection) -> None:
    wanted = picture(city).figure("on_time").now.credited.cases
    first = case_sets.cases(city, wanted)
    assert first.pages > 1
    every = [row.id for n in range(1, first.pages + 1) for row in case_sets.cases(city, wanted, n).rows]
    assert len(every) == len(set(every)) == first.total
    assert case_sets.cases(city, wanted, first.pages + 1).rows == ()
    assert all(row.disposed_on_time for row in first.rows)


@pytest.mark.parametrize(
    ("area", "period", "ranked", "fault", "says"),
    [
        ("999900", MAY, None, LookupError, "there is no area 999900"),
        ("4453", MAY, None, LookupError, "there is no area"),
        (CITY, Period("month", date(2026, 7, 1)), None, ValueError, "has not begun"),
        (TOWN, MAY, Level.COUNTY, ValueError, "does not lie inside"),
    ],
)
def test_what_cannot_be_shown_is_refused(
    city: Connection, area: str, period: Period, ranked: Level | None, fault: type[Exception], says: str
) -> None:
    with pytest.raises(fault, match=says):
        overview.read(city, area, period, UNTIL, ranked)


def test_an_area_below_the_village_has_no_picture(city: Connection) -> None:
    cell = one(city, "select code from area where level = 6 order by code limit 1")
    with pytest.raises(ValueError, match="expected a city, county, town or village"):
        picture(city, cell)


def test_a_day_is_shown_with_the_days_before_it(city: Connection) -> None:
    seen = picture(city, CITY, Period("day", date(2026, 6, 10)))
    assert [point.day for point in seen.trend] == [
        date(2026, 6, 10) - timedelta(days=n) for n in range(13, -1, -1)
    ]
