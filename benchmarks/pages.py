"""Measure each page's server time over 1,000,000 incidents of history, beside the time that its SQL takes of it.

A look is the page's script run whole, in Chinese, in a session of its own, for a role that may open it; pictures
that the process keeps for some seconds are forgotten before each. As in the house, the collector is told what
stays, and the directory is read beside the pages, which is timed apart. What walls and queues then draw live comes
over another way: `latency` and `screens` measure it.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any
from unittest.mock import patch

import psycopg
import streamlit as st
from streamlit.testing.v1 import AppTest

from benchmarks import clocks
from benchmarks.measure import percentile
from benchmarks.past import grow
from benchmarks.pipeline import address, prepare
from dashboard import data, pages
from dashboard.access import COOKIE
from dashboard.data import leaders
from dashboard.screens.admin import TABS
from dashboard.web import settle
from dispatch.accounts import sessions
from dispatch.assignment import experience
from dispatch.figures import cohorts
from dispatch.figures import published as figures
from dispatch.scores import scoring
from models.servers.database import Servers, psycopg_dsn
from models.servers.servers import temporary

INCIDENTS = 1_000_000
OPEN = 5_000
ROUNDS = 21
CASES = 50
TIMEOUT_S = 120


@dataclass(frozen=True, slots=True)
class Look:
    """One page as one role opens it; `{case}` and `{number}` in the query stand for another open case each time."""

    name: str
    path: str
    login: str
    query: dict[str, str] = field(default_factory=dict)


LOOKS = (
    Look("home", "home", "dispatcher"),
    Look("workbench", "workbench", "city"),
    Look("workbench, a case", "workbench", "city", {"id": "{case}"}),
    Look("field, a worker", "field", "worker"),
    Look("field, a team", "field", "team"),
    Look("whistles", "whistles", "city"),
    Look("incidents", "incidents", "city"),
    Look("incidents, one", "incidents", "city", {"id": "{case}"}),
    Look("incidents, a number", "incidents", "city", {"text": "{number}"}),
    Look("incidents, a word", "incidents", "city", {"text": "噪音"}),
    Look("leaders, a month", "leaders", "leader"),
    Look("leaders, a day", "leaders", "leader", {"kind": "day"}),
    Look("assessment", "assessment", "leader"),
    Look("assessment, a card", "assessment", "dispatcher"),
    Look("replay", "replay", "leader"),
    Look("public", "public", ""),
    Look("wall", "wall", ""),
    Look("wartime", "wartime", "city"),
    *(Look(f"admin, {tab}", "admin", TABS[tab].roles[-1], {"tab": tab}) for tab in TABS),
)


@dataclass(slots=True)
class Times:
    """What looks at one page took, in milliseconds each, whole and in SQL, and the statements of the last."""

    whole_ms: list[float] = field(default_factory=list)
    sql_ms: list[float] = field(default_factory=list)
    statements: int = 0

    def figures(self) -> dict[str, float | int]:
        """Return p50 and p95 of the whole, p50 of its SQL, and how many statements."""
        return {
            "p50_ms": round(percentile(self.whole_ms, 0.5), 1),
            "p95_ms": round(percentile(self.whole_ms, 0.95), 1),
            "sql_ms": round(percentile(self.sql_ms, 0.5), 1),
            "statements": self.statements,
        }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmark's options."""
    parser.add_argument(
        "--incidents", type=int, default=INCIDENTS, help="incidents of the past (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="looks at a page (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Measure every page and print its times; return the exit code."""
    with temporary() as servers:
        house = Servers(address(servers, prepare(servers)), servers.redis_url)
        made = fill(house.database_url, args.incidents)
        found = measured(house, args.rounds)
    print(f"pages: server time over {made:,} incidents")
    print(f"  {'':<22}{'p50 ms':>10}{'p95 ms':>10}{'SQL ms':>10}{'statements':>12}")
    for name, each in found.items():
        values = "".join(f"{value:>10,.1f}" for value in list(each.values())[:3])
        print(f"  {name:<22}{values}{each['statements']:>12}")
    if args.json:
        worst = max(each["p95_ms"] for each in found.values())
        print(json.dumps({"incidents": made, "worst_p95_ms": worst, "pages": found}))
    return 0


def fill(database_url: str, count: int) -> int:
    """Give the demo city a past of about `count` incidents, open work, accounts and all that is counted."""
    grow(database_url, count)
    clocks.fill(database_url, OPEN)
    now = datetime.now(UTC)
    with psycopg.connect(psycopg_dsn(database_url), autocommit=True) as connection:
        sessions.ensure_demo(connection)
        for table in ("daily", "experience"):
            began = time.perf_counter()
            (cohorts if table == "daily" else experience).rebuild(connection)
            print(f"{table} counted in {time.perf_counter() - began:.1f} s", flush=True)
        # One source as if another city's system had run it.
        connection.execute(
            "update incident set facts = facts || '{\"imported\": true}' where source = 'sensor'"
        )
        figures.follow_replayed(connection)
        figures.enter(connection.cursor())
        this = now.date().replace(day=1)
        began = time.perf_counter()
        scoring.freeze(connection, (this - timedelta(days=1)).replace(day=1), now)
        scoring.assess_month(connection, this, now)
        print(f"months assessed in {time.perf_counter() - began:.1f} s", flush=True)
        connection.execute("vacuum analyze")
        connection.execute("checkpoint")
        row = connection.execute("select count(*) from incident").fetchone()
        assert row is not None
        return int(row[0])


def measured(house: Servers, rounds: int) -> dict[str, dict[str, float | int]]:
    """Look at every page `rounds` times, after one look that is not counted; return name -> figures."""
    os.environ |= {"DATABASE_URL": house.database_url, "REDIS_URL": house.redis_url, "DEMO": "1"}
    cookies: dict[str, str] = {}
    city = data.reads()
    city.directory()  # with all areas, as when a house starts
    directory = Times()
    tokens = {"": ""}
    for login in {look.login for look in LOOKS} - {""}:
        answer = data.sign_in(city, login, sessions.DEMO_PASSWORD)
        assert isinstance(answer, tuple), answer
        tokens[login] = answer[0]
    with city.look() as connection:
        cases = cycle(
            connection.execute(
                "select id::text, lpad(number::text, 16, '0') from incident where ended_at is null"
                " order by id desc limit %s",
                (CASES,),
            ).fetchall()
        )
    found: dict[str, dict[str, float | int]] = {}
    with ExitStack() as stack:
        stack.enter_context(patch.object(type(st.context), "cookies", property(lambda _: cookies)))
        asked = stack.enter_context(_statements())
        settle()
        for look in LOOKS:
            _read_beside(city, asked, directory)
            cookies.clear()
            if look.login:
                cookies[COOKIE] = tokens[look.login]
            times = Times()
            for number in range(rounds + 1):
                leaders.forget()
                case, serial = next(cases)
                query = {key: value.format(case=case, number=serial) for key, value in look.query.items()}
                asked.clear()
                whole = _looked(look.path, query)
                if number:
                    times.whole_ms.append(whole)
                    times.sql_ms.append(sum(asked))
                    times.statements = len(asked)
            found[look.name] = times.figures()
            print(f"{look.name}: {found[look.name]}", flush=True)
    found["the directory, beside"] = directory.figures()
    city.close()
    return found


def _read_beside(city: data.CityReads, asked: list[float], times: Times) -> None:
    """Read the directory as the live picture does once a minute."""
    asked.clear()
    began = time.perf_counter()
    city.directory()
    times.whole_ms.append((time.perf_counter() - began) * 1000)
    times.sql_ms.append(sum(asked))
    times.statements = len(asked)


_took: list[float] = []


def look_at(path: str) -> None:
    """Run the script of the page at `/path` and note how many milliseconds it took; called inside a session."""
    began = time.perf_counter()
    try:
        pages.PLACES[path].page()
    finally:
        _took.append((time.perf_counter() - began) * 1000)


def _looked(path: str, query: dict[str, str]) -> float:
    test = AppTest.from_string(
        f"from benchmarks.pages import look_at\nlook_at({path!r})", default_timeout=TIMEOUT_S
    )
    for key, value in {"lang": "zh", **query}.items():
        test.query_params[key] = value
    _took.clear()
    test.run()
    if test.exception:
        raise RuntimeError(f"/{path}: {test.exception[0].message}")
    # A page that asks for a second run at once is not there before it.
    return sum(_took)


@contextmanager
def _statements() -> Iterator[list[float]]:
    """Note how many milliseconds each statement takes, whichever connection it goes over."""
    asked: list[float] = []
    plain: Callable[..., Any] = psycopg.Cursor.execute

    def timed(cursor: psycopg.Cursor[Any], *args: Any, **options: Any) -> Any:
        began = time.perf_counter()
        try:
            return plain(cursor, *args, **options)
        finally:
            asked.append((time.perf_counter() - began) * 1000)

    with patch.object(psycopg.Cursor, "execute", timed):
        yield asked
