"""Prove that each measure says the same of an incident's fold and of its rows, in a lived-in city and at its edges."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb
from sqlalchemy import make_url

from dispatch.desk import store
from dispatch.rules.incident.values import Incident
from dispatch.rules.law import ASSIGNMENT_STATES, ENDED, STATES
from dispatch.rules.measures.cases import MEASURES, ROWS, Setting
from models.servers.servers import Servers, psycopg_dsn
from models.tables.scores import DAILY_COUNTS
from tests.conftest import LIVED_UNTIL as UNTIL
from tests.conftest import _administer

PLEASED = [4, 5]
CHANGED = 700  # incidents that are made anew by chance
# Of so many incidents at least a measure and its opposite must hold, or it was not tried.
LEAST = 3


@dataclass
class City:
    """Hold a generated city: its folds, the theme of each, and the rows they were read from."""

    folds: dict[int, Incident]
    themes: dict[int, str]
    connection: psycopg.Connection[Any]


@pytest.fixture(scope="module")
def city(servers: Servers, pictured: str) -> Iterator[City]:
    """Copy the lived-in city and let chance change a part of it, past what the law would let happen."""
    name, lived = f"measured_{uuid.uuid4().hex[:8]}", make_url(pictured)
    _administer(servers, f"CREATE DATABASE {name} TEMPLATE {lived.database} STRATEGY FILE_COPY")
    url = lived.set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(psycopg_dsn(url), autocommit=True) as connection, connection.cursor() as cursor:
        changed_by_chance(connection, Random(59))
        ids = [row[0] for row in connection.execute("select id from incident")]
        folds = {key: held.incident for key, held in store.load(cursor, ids, lock=False).items()}
        themes: dict[int, str] = dict(
            connection.execute(
                "select i.id, c.theme from incident i join category c on c.code = i.category"
            ).fetchall()
        )
        yield City(folds, themes, connection)
    _administer(servers, f"DROP DATABASE {name} WITH (FORCE)")


def changed_by_chance(connection: psycopg.Connection[Any], rnd: Random) -> None:
    """Give a part of the incidents states, ends, verdicts, facts and clocks of any kind."""
    connection.execute("drop index uq_assignment_live_lead")
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
            " category = coalesce(%s, category), due_at = null, due_clocks = null, overdue_since = null"
            " where id = %s",
            (
                state, UNTIL if state in ENDED else None, rnd.choice([None, UNTIL]),
                rnd.choice([None, True, False]), rnd.choice([None, True, False]),
                rnd.choice([None, 1, 2, 3, 4, 5]), rnd.choice([1, 2, 3]),
                Jsonb({kind: any_clock(rnd) for kind in clocks}), ["settled", "solved_in_grid", "reworks"],
                Jsonb(facts), rnd.choice([None, rnd.choice(disputes)]), key,
            ),
        )  # fmt: skip
        for (part,) in connection.execute("select id from assignment where incident_id = %s", (key,)):
            kinds = [kind for kind in ("pick_up", "arrive", "dispose") if rnd.random() < 0.7]
            connection.execute(
                "update assignment set state = %s, kind = %s, clocks = %s where id = %s",
                (
                    rnd.choice(list(ASSIGNMENT_STATES)), rnd.choice(["ordinary", "whistle"]),
                    Jsonb({kind: any_clock(rnd) for kind in kinds}), part,
                ),
            )  # fmt: skip
    # What the Desk writes beside the clocks follows from them.
    with connection.cursor() as cursor:
        for key, held in store.load(cursor, [row[0] for row in rows], lock=False).items():
            connection.execute(
                "update incident set due_at = %s, due_clocks = %s, overdue_since = %s where id = %s",
                (*store.alarms(held.incident), key),
            )


def any_clock(rnd: Random) -> dict[str, Any]:
    """Return a clock in one of the ways in which it can stand, as it is written down."""
    since, due = "2026-06-10T00:00:00Z", rnd.choice(["2026-06-12T03:00:00Z", "2026-06-12T09:00:00Z"])
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


def test_every_count_of_the_days_is_a_measure() -> None:
    assert set(DAILY_COUNTS) <= MEASURES.keys()
