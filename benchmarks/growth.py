"""Measure what history costs: the same work in a city that is eight days old and in one with 2,000,000 incidents more.

The past is weeks that one lawful week is copied into (`benchmarks.past`); what both cities have in common is the open
work, today and the seven days before, which is all that walls, lists and figures of a day look at. Held against an
empty city, a page would be charged with what it shows. Ratios are big against young, the median of pairs; `blocks` is
what the database touched of its files for a page, and hardly cares who else uses the machine.

Some copies are audited as a city of their own, with `--full` all of them where they are. What 10,000,000 would cost
is not measured but extrapolated: as if what is beyond 1 grew with the past, though a deeper index grows far slower.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from statistics import median
from typing import cast

import psycopg

from benchmarks import clocks, past
from benchmarks.measure import show
from benchmarks.pipeline import (
    WARM_UP,
    address,
    administer,
    database,
    measure_real,
    mixed_messages,
    prepare,
)
from dashboard.data import CityReads, Filter
from dispatch.checks import audit
from dispatch.desk.desk import Desk
from dispatch.figures import rollup
from dispatch.rules.incident.chain import Actor
from jobs.clocks import SWEEP_LIMIT, sweep
from models.servers.database import Servers, psycopg_dsn
from models.servers.servers import temporary

HISTORY = 2_000_000
EXTRAPOLATED = 10_000_000
WHOLE = Actor("city:measure", "city", "445300")  # sees everything
MESSAGES = 20_000
OPEN = 10_000
ROUNDS = 3
FINDS = 15
PAGE_READS = 9
AUDITED, AUDITED_PER_DAY = 5_000, 500  # copies, where not all are

Page = Callable[[CityReads, int], object]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmark's options."""
    parser.add_argument(
        "--history", type=int, default=HISTORY, help="incidents of the past (default: %(default)s)"
    )
    parser.add_argument(
        "--full", action="store_true", help="audit every incident of the past, not only some copies"
    )
    parser.add_argument("--messages", type=int, default=MESSAGES, help="a run (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Measure alternating runs in both cities and print the ratios; return the exit code."""
    with temporary() as servers:
        template = prepare(servers)
        size = args.messages + WARM_UP
        messages = mixed_messages(address(servers, template), ROUNDS * size)
        until = datetime.now(UTC)
        young, big = (database(servers, template, name) for name in ("young", "grown"))
        past.recent(young, until)
        began = time.perf_counter()
        made = past.grow(big, args.history, until)
        print(f"{made:,} incidents made in {time.perf_counter() - began:,.0f} s", flush=True)
        if args.full:
            _audit(big)
        else:
            sample = database(servers, template, "sample")
            past.grow(sample, AUDITED, until, AUDITED_PER_DAY)
            _audit(sample)
            administer(servers, "drop database sample")
        pipeline = _pipeline(servers, young, big, messages, size)
        times, blocks, sweep_ratio, rollup_ratio = _reads(young, big)
    ratios = times | {"pipeline": 1 / pipeline, "sweep": sweep_ratio, "rollup": rollup_ratio}
    _print(ratios, blocks, made)
    show(
        "growth: with history against without",
        {
            "history": made,
            "pipeline_ratio": pipeline,
            "page_ratio": max(times.values()),
            "sweep_ratio": sweep_ratio,
            "rollup_ratio": rollup_ratio,
        },
        args.json,
    )
    return 0


def _audit(database_url: str) -> None:
    """Recompute every link and every fold; raise RuntimeError where one is not what was written."""
    began = time.perf_counter()
    with psycopg.connect(psycopg_dsn(database_url)) as connection:
        verdict = audit.verify(connection)
    if verdict.faults:
        raise RuntimeError(f"the past is not lawful: {verdict.faults[0].words('en')}")
    print(
        f"audit: {verdict.incidents:,} incidents with {verdict.events:,} events, no fault, in"
        f" {time.perf_counter() - began:,.0f} s",
        flush=True,
    )


def _print(ratios: dict[str, float], blocks: dict[str, float], made: int) -> None:
    """Print each line's time with history over without, its blocks, and what 10,000,000 would make of the time."""
    print(f"  {'time, big over young':<22}{'measured':>10}{'blocks':>10}{'at 10,000,000 (extrapolated)':>32}")
    for name, ratio in ratios.items():
        far = 1 + (ratio - 1) * max(1.0, EXTRAPOLATED / made)
        touched = f"{blocks[name]:.2f}" if name in blocks else ""
        print(f"  {name:<22}{ratio:>10.2f}{touched:>10}{max(ratio, far):>32.2f}")


def _reads(young: str, big: str) -> tuple[dict[str, float], dict[str, float], float, float]:
    """Return page -> time ratio, page -> ratio of blocks, and the ratios of the sweep and of the roll-up."""
    sweeps, folds = [], []
    for where in (young, big):
        clocks.fill(where, OPEN)
    with (
        psycopg.connect(psycopg_dsn(young), autocommit=True) as a,
        psycopg.connect(psycopg_dsn(big), autocommit=True) as b,
        Desk(young) as small,
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
        times, blocks = _pages(young, big)
        for _ in range(ROUNDS):
            one, two = (_followed(c, d) for c, d in ((a, small), (b, large)))
            folds.append(two / one)
    return times, blocks, median(sweeps), median(folds)


def _pipeline(servers: Servers, young: str, big: str, messages: list[bytes], size: int) -> float:
    """Return the median over alternating pairs of incidents a second with history over without."""
    ratios = []
    for number in range(ROUNDS):
        these = messages[number * size : (number + 1) * size]
        # In turns who goes first: the second of a pair finds a warmer machine.
        order = (young, big) if number % 2 else (big, young)
        runs = {where: measure_real(Servers(where, servers.redis_url), these) for where in order}
        small, large = runs[young], runs[big]
        ratios.append(large.per_s / small.per_s)
        print(f"pair {number + 1}: {large.per_s:,.0f}/s against {small.per_s:,.0f}/s", flush=True)
    return median(ratios)


def _pages(young: str, big: str) -> tuple[dict[str, float], dict[str, float]]:
    """Return page -> how many times longer its reads take with history, the median of pairs, and the same of blocks."""
    # The same report in both.
    found = []
    for where in (young, big):
        with psycopg.connect(psycopg_dsn(where)) as connection:
            row = connection.execute(
                "select left(area_code, 9), id from incident where source_id = %s",
                (f"c{OPEN - 1:08d}",),
            ).fetchone()
            assert row is not None
            found.append(row)
    town, one, other = str(found[0][0]), int(found[0][1]), int(found[1][1])
    now = datetime.now(UTC)
    small, large = CityReads(young), CityReads(big)
    midnight = small.policy().calendar.midnight(now)
    pages: dict[str, Page] = {
        "wall": lambda reads, _: reads.snapshot(midnight),
        "wall, last week": lambda reads, _: reads.past(midnight),
        "list": lambda reads, _: reads.incidents(WHOLE, Filter(), now),
        "open": lambda reads, _: reads.incidents(WHOLE, Filter(state="open"), now),
        "stage": lambda reads, _: reads.incidents(WHOLE, Filter(state="disposed"), now),
        "town": lambda reads, _: reads.incidents(WHOLE, Filter(area=town), now),
        "red": lambda reads, _: reads.incidents(WHOLE, Filter(light="red"), now),
        "red in a town": lambda reads, _: reads.incidents(WHOLE, Filter(light="red", area=town), now),
        "disposals": lambda reads, _: reads.disposals(midnight),
        "late": lambda reads, _: reads.late(midnight),
        "detail": lambda reads, key: reads.detail(WHOLE, key),
    }
    times: dict[str, float] = {}
    try:
        for name, page in pages.items():
            page(small, one)
            page(large, other)
            pairs = [
                (clocks.timed(partial(page, small, one)), clocks.timed(partial(page, large, other)))
                for _ in range(PAGE_READS)
            ]
            times[name] = median(two / one for one, two in pairs)
            print(
                f"{name}: {median(each[1] for each in pairs):,.1f} ms against"
                f" {median(each[0] for each in pairs):,.1f} ms",
                flush=True,
            )
    finally:
        small.close()
        large.close()
    blocks = {}
    for name, page in pages.items():
        without, touched = _touched(young, page, one), _touched(big, page, other)
        blocks[name] = touched / without
        print(f"{name}: {touched:,} blocks against {without:,}", flush=True)
    return times, blocks


def _touched(database_url: str, page: Page, key: int) -> int:
    """Return how many blocks one more look at a page touches."""

    def looked(times: int) -> int:
        with psycopg.connect(psycopg_dsn(database_url), autocommit=True) as connection:
            others, before = _standing(connection)
            reads = CityReads(database_url)
            try:
                for _ in range(times):
                    page(reads, key)
            finally:
                reads.close()
            # A session's figures are there when it has ended.
            while (now := _standing(connection))[0] > others:
                time.sleep(0.01)
            return now[1] - before

    # The first look of a session also reads the catalogue.
    return max(1, min(looked(2) for _ in range(2)) - min(looked(1) for _ in range(2)))


def _standing(connection: psycopg.Connection[tuple[object, ...]]) -> tuple[int, int]:
    """Return how many sessions a database has, and the blocks that those which ended have touched."""
    row = connection.execute(
        "select (select count(*) from pg_stat_activity where datname = current_database()"
        " and backend_type = 'client backend')::int, (blks_hit + blks_read)::bigint"
        " from pg_stat_database where datname = current_database()"
    ).fetchone()
    assert row is not None
    return cast(tuple[int, int], row)


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
