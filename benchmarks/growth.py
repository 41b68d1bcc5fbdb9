"""Measure what history costs: the same work on an empty database and on one with 2,000,000 incidents of the past.

History is made from a few hundred incidents that really lived: their rows are multiplied inside the database and
moved back in time, so that each has its own id, number, place in time and events. Ratios are big against empty;
`page_ratio` is that of the page that suffers most.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from statistics import median

import psycopg

from benchmarks import clocks
from benchmarks.measure import show
from benchmarks.pipeline import (
    SEED,
    WARM_UP,
    address,
    database,
    measure_real,
    mixed_messages,
    prepare,
)
from dashboard.data import CityReads, Filter
from dispatch.demo import history
from dispatch.desk.desk import Desk
from dispatch.figures import rollup
from dispatch.rules.incident.chain import Actor
from jobs.clocks import SWEEP_LIMIT, sweep
from models.servers.database import Servers, psycopg_dsn
from models.servers.servers import temporary

HISTORY = 2_000_000
WHOLE = Actor("city:measure", "city", "445300")  # sees everything
FULL = 10_000_000
MESSAGES = 20_000
SEEDS = 1_000  # incidents that really lived, on one past day
OPEN = 10_000
ROUNDS = 3
FINDS = 15
PAGE_READS = 9
# One copy of the seeds lies this far before the next: a city of 2,000 incidents a day, whose past goes back years.
STEP_S = 12 * 3_600

# What copy n has of its own in each table, beside its times; the rest is as the seeds have it.
_OWN = {
    "incident": {"id": "id + n * 1000000", "number": "(number + n * 7919) % 10000000000000000"},
    "event": {"incident_id": "incident_id + n * 1000000"},
    "assignment": {"id": "id + n * 1000000", "incident_id": "incident_id + n * 1000000"},
    "segment": {"incident_id": "incident_id + n * 1000000"},
}
_RECEIPTS = (
    "insert into receipt select (number + n * 7919) % 10000000000000000, id + n * 1000000"
    " from lived_incident, generate_series({first}, {last}) n on conflict do nothing"
)
COPIES_AT_ONCE = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmark's options."""
    parser.add_argument(
        "--history", type=int, default=HISTORY, help="incidents of the past (default: %(default)s)"
    )
    parser.add_argument("--full", action="store_true", help=f"with {FULL:,} incidents of the past")
    parser.add_argument("--messages", type=int, default=MESSAGES, help="a run (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Measure alternating runs on both databases and print the ratios; return the exit code."""
    count = FULL if args.full else args.history
    with temporary() as servers:
        template = prepare(servers)
        size = args.messages + WARM_UP
        messages = mixed_messages(address(servers, template), ROUNDS * size)
        big = database(servers, template, "grown")
        made = grow(big, count)
        print(f"{made:,} incidents of the past made", flush=True)
        empty = database(servers, template, "empty")
        pipeline = _pipeline(servers, empty, big, messages, size)
        sweeps, folds = [], []
        for where in (empty, big):
            clocks.fill(where, OPEN)
        with (
            psycopg.connect(psycopg_dsn(empty), autocommit=True) as a,
            psycopg.connect(psycopg_dsn(big), autocommit=True) as b,
            Desk(empty) as small,
            Desk(big) as large,
        ):
            for connection in (a, b):
                connection.execute("vacuum analyze")
            moments = [clocks.due_by(connection, SWEEP_LIMIT) for connection in (a, b)]
            for _ in range(FINDS):
                one = clocks.timed(partial(small.clocks_due, moments[0], SWEEP_LIMIT))
                two = clocks.timed(partial(large.clocks_due, moments[1], SWEEP_LIMIT))
                sweeps.append(two / one)
            _level(a)
            _level(b)
            pages = _pages(empty, big)
            print("pages: " + ", ".join(f"{name} {ratio:.2f}" for name, ratio in pages.items()), flush=True)
            for _ in range(ROUNDS):
                one, two = (_followed(c, d) for c, d in ((a, small), (b, large)))
                folds.append(two / one)
    show(
        "growth: with history against without",
        {
            "history": made,
            "pipeline_ratio": pipeline,
            "page_ratio": max(pages.values()),
            "sweep_ratio": median(sweeps),
            "rollup_ratio": median(folds),
        },
        args.json,
    )
    return 0


def grow(database_url: str, count: int) -> int:
    """Give a database about `count` closed incidents of the past with events, assignments and segments."""
    for _ in history.write(database_url, datetime.now(UTC), 40, SEEDS // 20, SEED):
        pass
    with psycopg.connect(psycopg_dsn(database_url), autocommit=True) as connection:
        connection.execute("set synchronous_commit = off")
        # Copies of what has ended only: nothing of the past is due.
        connection.execute(
            "create table lived_incident as select * from incident where ended_at is not null"
            f" order by reported_at limit {SEEDS}"
        )
        for table in ("event", "assignment", "segment"):
            of_those = f"select t.* from {table} t join lived_incident l on l.id = t.incident_id"
            connection.execute(f"create table lived_{table} as {of_those}".encode())
        row = connection.execute("select count(*) from lived_incident").fetchone()
        assert row is not None
        copies = -(-count // int(row[0]))
        # Indexes are built once at the end instead of row by row.
        indexes = connection.execute(
            "select indexname, indexdef from pg_indexes i where tablename in ('incident', 'event', 'assignment')"
            " and schemaname = 'public' and not exists (select from pg_constraint where conname = i.indexname)"
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f"drop index {name}".encode())
        statements = [_copies(connection, table) for table in _OWN] + [_RECEIPTS]
        for first in range(1, copies + 1, COPIES_AT_ONCE):
            last = min(first + COPIES_AT_ONCE - 1, copies)
            with connection.transaction():
                # Of rows that hang together already: foreign keys need not be looked up again.
                connection.execute("set local session_replication_role = replica")
                for statement in statements:
                    connection.execute(statement.format(first=first, last=last).encode())
        for _, definition in indexes:
            connection.execute(definition.encode())
        connection.execute("vacuum analyze")
        connection.execute("checkpoint")
        row = connection.execute("select count(*) from incident").fetchone()
        assert row is not None
        return int(row[0])


def _copies(connection: psycopg.Connection[tuple[object, ...]], table: str) -> str:
    """Return the statement that copies a table's seeds, `{first}` to `{last}` steps back in time."""
    columns = connection.execute(
        "select column_name::text, data_type::text from information_schema.columns"
        " where table_schema = 'public' and table_name = %s and column_name <> 'tx' order by ordinal_position",
        (table,),
    ).fetchall()
    values = []
    for name, kind in columns:
        moved = f"{name} - make_interval(secs => n * {STEP_S})" if str(kind).startswith("timestamp") else name
        values.append(_OWN[table].get(str(name), str(moved)))
    return (
        f"insert into {table} ({', '.join(str(name) for name, _ in columns)}) select {', '.join(values)}"
        f" from lived_{table}, generate_series({{first}}, {{last}}) n"
    )


def _pipeline(servers: Servers, empty: str, big: str, messages: list[bytes], size: int) -> float:
    """Return the median over alternating pairs of incidents a second with history over without."""
    ratios = []
    for number in range(ROUNDS):
        these = messages[number * size : (number + 1) * size]
        # In turns who goes first: the second of a pair finds a warmer machine.
        order = (empty, big) if number % 2 else (big, empty)
        runs = {where: measure_real(Servers(where, servers.redis_url), these) for where in order}
        small, large = runs[empty], runs[big]
        ratios.append(large.per_s / small.per_s)
        print(f"pair {number + 1}: {large.per_s:,.0f}/s against {small.per_s:,.0f}/s", flush=True)
    return median(ratios)


def _pages(empty: str, big: str) -> dict[str, float]:
    """Return page -> how many times longer its reads take with history, the median of pairs; the same open work."""
    ratios: dict[str, list[float]] = {}
    small, large = CityReads(empty), CityReads(big)
    try:
        # The same report in both.
        found = []
        for where in (empty, big):
            with psycopg.connect(psycopg_dsn(where)) as connection:
                row = connection.execute(
                    "select left(area_code, 9), id from incident where source_id = %s",
                    (f"c{OPEN - 1:08d}",),
                ).fetchone()
                assert row is not None
                found.append(row)
        town, one, other = str(found[0][0]), int(found[0][1]), int(found[1][1])
        policy = small.policy()
        now = datetime.now(UTC)
        midnight = policy.calendar.midnight(now)
        pages: dict[str, Callable[[CityReads, int], object]] = {
            "wall": lambda reads, _: reads.snapshot(midnight),
            "list": lambda reads, _: reads.incidents(WHOLE, Filter(), now),
            "open": lambda reads, _: reads.incidents(WHOLE, Filter(state="open"), now),
            "stage": lambda reads, _: reads.incidents(WHOLE, Filter(state="disposed"), now),
            "town": lambda reads, _: reads.incidents(WHOLE, Filter(area=town), now),
            "red": lambda reads, _: reads.incidents(WHOLE, Filter(light="red"), now),
            "disposals": lambda reads, _: reads.disposals(midnight),
            "detail": lambda reads, key: reads.detail(WHOLE, key),
        }
        for name, page in pages.items():
            page(small, one)
            page(large, other)
            for _ in range(PAGE_READS):
                before = clocks.timed(partial(page, small, one))
                ratios.setdefault(name, []).append(clocks.timed(partial(page, large, other)) / before)
    finally:
        small.close()
        large.close()
    return {name: median(these) for name, these in ratios.items()}


def _level(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Put the roll-up level with the events without counting the past: following what comes now is measured."""
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into follower (name, position) select %s, pg_snapshot_xmin(pg_current_snapshot())::text::bigint",
            (rollup.NAME,),
        )


def _followed(connection: psycopg.Connection[tuple[object, ...]], desk: Desk) -> float:
    """Let limits pass and return how many milliseconds following their events takes, an event."""
    sweep(desk, clocks.due_by(connection, 500))
    taken = 0
    began = time.perf_counter()
    while done := rollup.follow(connection):
        taken += done
    if not taken:
        raise RuntimeError("nothing was followed")
    return (time.perf_counter() - began) * 1000 / taken
