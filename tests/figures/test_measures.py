"""Prove that each measure says the same of an incident's fold and of its rows, in a lived-in city and at its edges."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb
from sqlalchemy import make_url

from dashboard.data import CityReads, Filter
from dashboard.data.listing import ListRow
from dashboard.live import picture as live
from dispatch.desk import store
from dispatch.rules.incident.values import Actor, Incident
from dispatch.rules.law import ASSIGNMENT_STATES, ENDED, LIVE, STATES
from dispatch.rules.measures import returns
from dispatch.rules.measures.cases import MEASURES, ROWS, Setting, light_of
from models.servers.database import Servers, psycopg_dsn
from models.tables.scores import DAILY_COUNTS
from tests.conftest import _administer
from tests.templates import LIVED_UNTIL as UNTIL

PLEASED = [4, 5]
CITY_DESK = Actor("city", "city", "445300")
CHANGED = 700  # incidents that are made anew by chance
# Of so many incidents at least a measure and its opposite must hold, or it was not tried.
LEAST = 3


@dataclass
class City:
    """Hold a generated city: its folds, the theme of each, and the rows they were read from."""

    folds: dict[int, Incident]
    themes: dict[int, str]
    connection: psycopg.Connection[Any]
    url: str


@pytest.fixture(scope="module")
def city(servers: Servers, pictured: str) -> Iterator[City]:
    """Copy the lived-in city and let chance change a part of it, past what the law would let happen."""
    name, lived = f"measured_{uuid.uuid4().hex[:8]}", make_url(pictured)
    _administer(servers, f"CREATE DATABASE {name} TEMPLATE {lived.database} STRATEGY FILE_COPY")
    url = lived.set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(psycopg_dsn(url), autocommit=True) as connection, connection.cursor() as cursor:
        changed_by_chance(connection, Random(59))
        ids = [row[0] for row in connection.execute("select id from incident")]
        folds = {key: held.incident for key, held in store.load(cursor, ids).items()}
        themes: dict[int, str] = dict(
            connection.execute(
                "select i.id, c.theme from incident i join category c on c.code = i.category"
            ).fetchall()
        )
        yield City(folds, themes, connection, url)
    _administer(servers, f"DROP DATABASE {name} WITH (FORCE)")


def changed_by_chance(connection: psycopg.Connection[Any], rnd: Random) -> None:
    """Give a part of the incidents states, ends, verdicts, facts and clocks of any kind."""
    disputes = [row[0] for row in connection.execute("select code from category where theme = '02'")]
    rows = connection.execute("select id, clocks from incident order by id limit %s", (CHANGED,)).fetchall()
    for key, own in rows:
        state = rnd.choice(list(STATES))
        clocks = {kind: clock for kind, clock in own.items() if rnd.random() < 0.8}
        if rnd.random() < 0.3:
            clocks["dispose"] = any_clock(rnd)
        facts = {
            fact: rnd.choice([True, False, None])
            for fact in ("settled", "solved_in_grid", "reworks")
            if rnd.random() < 0.5
        }
        connection.execute(
            "update incident set state = %s, ended_at = %s, disposed_at = %s, disposed_on_time = %s,"
            " closed_on_time = %s, rating = %s, level = %s, clocks = %s, facts = facts - %s::text[] || %s,"
            " category = coalesce(%s, category), awaits = %s, due_at = null, due_clocks = null, overdue_since = null"
            " where id = %s",
            (
                state, UNTIL if state in ENDED else None, rnd.choice([None, UNTIL]),
                rnd.choice([None, True, False]), rnd.choice([None, True, False]),
                rnd.choice([None, 1, 2, 3, 4, 5]), rnd.choice([1, 2, 3]),
                Jsonb({kind: any_clock(rnd) for kind in clocks}), ["settled", "solved_in_grid", "reworks"],
                Jsonb(facts), rnd.choice([None, rnd.choice(disputes)]),
                rnd.choice([*clocks, "pick_up", "arrive", "dispose"]), key,
            ),
        )  # fmt: skip
        connection.execute("update assignment set state = 'done' where incident_id = %s", (key,))
        led = False
        for part, role in connection.execute(
            "select id, role from assignment where incident_id = %s order by id desc", (key,)
        ).fetchall():
            standing = rnd.choice(list(ASSIGNMENT_STATES))
            if role == "lead" and standing in LIVE:
                # The database lets one lead be live alone.
                standing, led = "declined" if led else standing, True
            kinds = [kind for kind in ("pick_up", "arrive", "dispose") if rnd.random() < 0.7]
            connection.execute(
                "update assignment set state = %s, kind = %s, clocks = %s where id = %s",
                (
                    standing, rnd.choice(["ordinary", "whistle"]),
                    Jsonb({kind: any_clock(rnd) for kind in kinds}), part,
                ),
            )  # fmt: skip
    # What the Desk writes beside the clocks follows from them.
    with connection.cursor() as cursor:
        for key, held in store.load(cursor, [row[0] for row in rows]).items():
            connection.execute(
                "update incident set due_at = %s, due_clocks = %s, overdue_since = %s where id = %s",
                (*store.alarms(held.incident), key),
            )


def any_clock(rnd: Random) -> dict[str, Any]:
    """Return a clock in one of the ways in which it can stand, as it is written down."""
    since, due = "2026-06-10T00:00:00Z", f"2026-06-12T0{rnd.choice([3, 9, 9, 9])}:00:00Z"
    state = rnd.choice(["running", "paused", "met", "breached"])
    ended = due if state == "met" or (state == "breached" and rnd.random() < 0.5) else None
    return {
        "state": state, "limit": "3wd", "since": since, "due": None if state == "paused" else due,
        "left": 3_600.0 if state == "paused" else None, "ended": ended,
    }  # fmt: skip


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_says_the_same_of_folds_and_of_rows(city: City, name: str) -> None:
    measure = MEASURES[name]
    held = {
        key
        for key, incident in city.folds.items()
        if measure.holds(incident, Setting(city.themes[key], PLEASED, UNTIL))
    }
    found = city.connection.execute(
        f"select i.id from {ROWS} where {measure.sql}".encode(), {"pleased": PLEASED, "now": UNTIL}
    )
    assert {row[0] for row in found} == held
    assert len(held) >= LEAST
    assert name == "reported" or len(city.folds) - len(held) >= LEAST


def test_an_incident_has_one_light_on_the_wall_in_the_list_and_on_its_sheet(city: City) -> None:
    reads = CityReads(city.url)
    calendar = reads.directory().calendar
    walls = {row.id: row for row in reads.snapshot(UNTIL).rows if row.ended_at is None}
    assert walls.keys() == {key for key, incident in city.folds.items() if incident.ended_at is None}
    lists: dict[int, ListRow] = {}
    after: tuple[datetime, int] | None = None
    while rows := reads.incidents(CITY_DESK, Filter(state="open"), UNTIL, after):
        lists |= {row.id: row for row in rows}
        after = rows[-1].reported_at, rows[-1].id
    assert lists.keys() == walls.keys()
    sheets = {key: light_of(city.folds[key], UNTIL, calendar) for key in walls}
    assert {key: live.light_of(row, UNTIL, calendar)[0] for key, row in walls.items()} == sheets
    assert {key: row.light(UNTIL, calendar) for key, row in lists.items()} == sheets
    assert min(Counter(sheets.values())[each] for each in ("green", "yellow", "red")) >= LEAST


WORDS = ("非本单位", "Not our unit", "50%_off\\")


@pytest.mark.parametrize(
    ("said", "ours"),
    [
        ({"return_kind": "not_ours", "reason": "人手不足"}, False),
        ({"return_kind": "no_means", "reason": "非本单位职责"}, True),
        ({"return_kind": "other"}, True),
        ({"reason": "此事非本单位职责"}, False),
        ({"reason": "this is NOT OUR UNIT's"}, False),
        ({"reason": "the 50%_OFF\\ sale"}, False),
        ({"reason": "the 50 and off sale"}, True),
        ({"reason": ""}, True),
        ({}, True),
    ],
)
def test_a_return_says_the_same_in_python_and_in_sql(city: City, said: dict[str, str], ours: bool) -> None:
    """What the team ticks is believed; only where it ticks nothing do its words say it, a sign being a sign."""
    row = city.connection.execute(
        f"select {returns.NOT_OURS_SQL} from (select %(data)s::json data) e".encode(),
        {"data": json.dumps({"said": said}), "words": returns.patterns(WORDS)},
    ).fetchone()
    assert row == (not ours,)
    assert returns.is_not_ours(said, WORDS) is not ours


def test_every_count_of_the_days_is_a_measure() -> None:
    assert set(DAILY_COUNTS) <= MEASURES.keys()
