"""Prove that what must not grow with the past says what a look at every case says, and reads its indexes alone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from benchmarks import past
from dashboard.data import CityReads, Filter, listing, live_rows
from dashboard.data.listing import ListRow
from dispatch.checks import audit
from dispatch.rules.incident.values import Actor
from models.servers.database import psycopg_dsn
from tests.templates import LIVED_UNTIL, CityOf

CITY = Actor("city", "city", "445300")
# Nothing that was passed is unnoted when the city stops living; a day later much is.
MOMENTS = (LIVED_UNTIL, LIVED_UNTIL + timedelta(days=1))


@pytest.fixture(scope="module")
def lived(city_of: CityOf) -> Iterator[str]:
    """Lend a lived-in city in which whatever has an index is looked for with it, however few rows there are."""
    with city_of("lived") as url:
        with psycopg.connect(psycopg_dsn(url), autocommit=True) as connection:
            connection.execute("vacuum analyze incident")
            for way in ("seqscan", "bitmapscan"):
                connection.execute(
                    "do $$ begin execute format('alter database %I set enable_"
                    f"{way} = off', current_database()); end $$".encode()
                )
        yield url


@pytest.fixture
def reads(lived: str) -> Iterator[CityReads]:
    """Read the lived-in city."""
    with closing(CityReads(lived)) as one:
        yield one


def everything(reads: CityReads, actor: Actor, wanted: Filter, now: datetime) -> list[ListRow]:
    """Return all pages of a list."""
    rows: list[ListRow] = []
    after = None
    while page := reads.incidents(actor, wanted, now, after):
        rows += page
        after = (page[-1].reported_at, page[-1].id)
    return rows


@pytest.mark.parametrize("now", MOMENTS)
@pytest.mark.parametrize("by", ["", "area", "state", "theme", "text", "closed"])
def test_red_cases_are_those_whose_light_is_red_in_the_order_of_their_reports(
    reads: CityReads, monkeypatch: pytest.MonkeyPatch, now: datetime, by: str
) -> None:
    """The list that is taken from two indexes is what one finds who looks at every case, page after page."""
    directory = reads.directory()
    one = everything(reads, CITY, Filter(light="red"), now)[-1]
    wanted = {
        "": Filter(),
        "area": Filter(area=one.area_code[:9]),
        "state": Filter(state=one.state),
        "theme": Filter(theme=directory.types[one.category].theme),
        "text": Filter(state="open", text=one.text[:2]),
        "closed": Filter(state="closed"),
    }[by]
    plain = everything(reads, CITY, wanted, now)
    monkeypatch.setattr(listing, "PAGE_ROWS", 20)
    red = everything(reads, CITY, replace(wanted, light="red"), now)
    assert red == [row for row in plain if row.light(now, directory.calendar) == "red"]
    assert (one.id in {row.id for row in red}) is (by != "closed")


@pytest.mark.parametrize("by", ["", "area", "theme", "text"])
def test_what_stands_in_one_stage_is_what_a_look_at_every_case_finds_there(
    reads: CityReads, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """The list of a stage, which the index of what is open tells, is that of all cases, in their order."""
    now = MOMENTS[0]
    one = everything(reads, CITY, Filter(state="in_hand"), now)[-1]
    wanted = {
        "": Filter(),
        "area": Filter(area=one.area_code[:9]),
        "theme": Filter(theme=reads.directory().types[one.category].theme),
        "text": Filter(text=one.text[:2]),
    }[by]
    plain = everything(reads, CITY, wanted, now)
    monkeypatch.setattr(listing, "PAGE_ROWS", 20)
    for state in sorted(listing.OPEN_STATES):
        found = everything(reads, CITY, replace(wanted, state=state), now)
        assert found == [row for row in plain if row.state == state]
        assert state != "in_hand" or one in found


@pytest.mark.parametrize("days", [0, 1, 8, 30])
def test_a_past_day_is_what_every_case_says_of_it(reads: CityReads, lived: str, days: int) -> None:
    """What was open on a past day, found in two parts, is found by one look at every case too."""
    midnight = LIVED_UNTIL - timedelta(days=days)
    begin = midnight - timedelta(days=7)
    with psycopg.connect(psycopg_dsn(lived)) as connection:
        open_then = "i.reported_at < %(end)s and (i.ended_at is null or i.ended_at >= %(begin)s)"
        every = connection.execute(
            f"{live_rows._PAST_ROW} {open_then}".encode(),
            {"begin": begin, "end": begin + timedelta(days=1)},
        ).fetchall()
    plain = sorted(map(live_rows._past_row, every), key=repr)
    assert sorted(reads.past(midnight), key=repr) == plain
    assert {row.ended_at is None for row in plain} == {True, False}


def test_a_team_sees_its_own_red_cases_alone(reads: CityReads, lived: str) -> None:
    """Whoever sees a part of the city sees the red ones of that part."""
    now = MOMENTS[1]
    calendar = reads.policy().calendar
    with psycopg.connect(psycopg_dsn(lived)) as connection:
        row = connection.execute(
            "select t.id, t.area_code from team t join assignment a on a.team_id = t.id join incident i"
            " on i.id = a.incident_id where i.ended_at is null group by 1 order by count(*) desc, 1 limit 1"
        ).fetchone()
        assert row is not None
    team = Actor(f"team/{row[0]}", "team", row[1], row[0])
    red = everything(reads, team, Filter(light="red"), now)
    assert red == [r for r in everything(reads, team, Filter(), now) if r.light(now, calendar) == "red"]
    assert 0 < len(red) < len(everything(reads, CITY, Filter(light="red"), now))


@pytest.mark.parametrize("days", [0, 1, 7, 40])
def test_disposals_are_what_every_case_says_of_its_own(reads: CityReads, lived: str, days: int) -> None:
    """Counts since an instant, also those that came late by their area of work, are those of the rows."""
    since = LIVED_UNTIL - timedelta(days=days)
    with psycopg.connect(psycopg_dsn(lived)) as connection:
        rows = connection.execute(
            "select area_code, theme, disposed_at, disposed_on_time from incident i"
            " join category c on c.code = i.category"
        ).fetchall()
    ours = [row for row in rows if row[2] is not None and row[2] >= since and row[3] is not None]
    good, base = Counter(r[0] for r in ours if r[3]), Counter(r[0] for r in ours)
    assert reads.disposals(since) == {area: (good[area], n) for area, n in base.items()}
    late = Counter((r[0], r[1]) for r in ours if not r[3])
    found = reads.late(since)
    assert {(area, theme): n for area, themes in found.items() for theme, n in themes.items()} == dict(late)
    assert bool(base) is (days > 0)


def scans(url: str) -> dict[str, tuple[int, int]]:
    """Return index -> (scans, rows fetched from the table), once everybody else has left the city."""
    with psycopg.connect(psycopg_dsn(url), autocommit=True) as connection:
        others = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        while connection.execute(others + " and backend_type = 'client backend'").fetchone() != (0,):
            time.sleep(0.01)
        rows = connection.execute(
            "select indexrelname, idx_scan, idx_tup_fetch from pg_stat_user_indexes where relname = 'incident'"
        ).fetchall()
    return {name: (scanned, fetched) for name, scanned, fetched in rows}


def test_disposals_are_read_from_their_index_alone(lived: str) -> None:
    """Neither the counts of a day nor the late ones visit a single case's row."""
    before = scans(lived)
    with closing(CityReads(lived)) as reads:
        assert reads.disposals(LIVED_UNTIL - timedelta(days=7))
        assert reads.late(LIVED_UNTIL - timedelta(days=40))
    after = scans(lived)
    name = "ix_incident_disposed"
    assert after[name] == (before[name][0] + 2, before[name][1])


def test_red_cases_pass_over_no_other_open_case(lived: str) -> None:
    """A page of red cases begins at the indexes of what is past its limit, never at that of all reports."""
    before = scans(lived)
    with closing(CityReads(lived)) as reads:
        assert reads.incidents(CITY, Filter(light="red"), MOMENTS[1])
    after = scans(lived)
    used = {name for name, scanned in after.items() if scanned != before[name]}
    assert "ix_incident_due" in used
    # Both hold the same few rows; with many the one that has their order is quicker.
    assert used & {"ix_incident_red", "ix_incident_overdue"}
    assert "ix_incident_reported" not in used


def test_a_stage_and_a_past_day_pass_over_nothing_that_has_ended(lived: str) -> None:
    """Neither begins at the index of all reports, nor looks through the table."""
    before = scans(lived)
    with closing(CityReads(lived)) as reads:
        assert reads.past(LIVED_UNTIL)
        assert reads.incidents(CITY, Filter(state="in_hand"), MOMENTS[0])
    after = scans(lived)
    used = {name for name, scanned in after.items() if scanned != before[name]}
    assert {"ix_incident_open", "ix_incident_ended"} <= used
    assert "ix_incident_reported" not in used


def test_the_past_that_benchmarks_copy_stands_the_audit(city_of: CityOf) -> None:
    """Copies of a lived week are as lawful as the week: chained, folded and numbered, and none is in the future."""
    until = datetime(2026, 6, 12, 4, tzinfo=UTC)
    with city_of("demo") as url:
        made = past.grow(url, 150, until, per_day=6)
        with psycopg.connect(psycopg_dsn(url)) as connection:
            verdict = audit.verify(connection)
            row = connection.execute(
                "select count(distinct number), max(last_at), count(*) filter (where ended_at is null)"
                " from incident"
            ).fetchone()
            assert row is not None
            weeks = connection.execute(
                "select count(distinct date_trunc('week', reported_at)) from incident"
            ).fetchone()
    assert verdict.faults == []
    assert verdict.incidents == made == row[0] > 150
    assert row[1] <= until
    assert row[2] > 0
    assert weeks is not None
    assert weeks[0] >= 5
