"""Measure the sweep of clocks: finding what is due among 50,000 open incidents, and acting on 5,000 breaches.

Finding is compared with the plainest SQL that names the incidents; acting goes through the Desk as the job does.
"""

from __future__ import annotations

import argparse
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from statistics import median

import psycopg

from benchmarks.measure import show
from benchmarks.pipeline import SEED, address, database, prepare
from dispatch.demo.history import spots
from dispatch.demo.world import World
from dispatch.desk.desk import BATCH_LIMIT, Desk
from dispatch.intake.messages import number_of
from dispatch.rules.incident.chain import Report
from dispatch.rules.policy import policy as policies
from jobs.clocks import SWEEP_LIMIT, sweep
from models.servers.database import psycopg_dsn
from models.servers.servers import temporary

OPEN = 50_000
BREACHES = 5_000
ROUNDS = 3
PAIRS = 15
# How far apart in time the batches are reported, so that their limits fall one after another.
APART = timedelta(minutes=12)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmark's options."""
    parser.add_argument("--open", type=int, default=OPEN, help="open incidents (default: %(default)s)")
    parser.add_argument(
        "--breaches", type=int, default=BREACHES, help="acted on a round (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Measure and print the medians; return the exit code."""
    with temporary() as servers:
        where = database(servers, prepare(servers), "clocks")
        assert where == address(servers, "clocks")
        fill(where, args.open)
        finds: list[float] = []
        raws: list[float] = []
        rates: list[float] = []
        with psycopg.connect(psycopg_dsn(where), autocommit=True) as connection, Desk(where) as desk:
            connection.execute("vacuum analyze incident, assignment")
            for number in range(ROUNDS):
                moment = due_by(connection, args.breaches)
                for _ in range(PAIRS):
                    finds.append(timed(partial(desk.clocks_due, moment, SWEEP_LIMIT)))
                    raws.append(timed(partial(plainly, connection, moment)))
                began = time.perf_counter()
                noted = 0
                while done := sweep(desk, moment):
                    noted += done
                took = time.perf_counter() - began
                if noted < args.breaches:
                    raise RuntimeError(f"expected {args.breaches} breaches, noted {noted}")
                rates.append(noted / took)
                print(f"round {number + 1}: {noted:,} limits noted in {took:.2f} s", flush=True)
    show(
        "clocks: what is due among open incidents",
        {
            "open": args.open,
            "find_ms": median(finds),
            "raw_ms": median(raws),
            "ratio": median(a / b for a, b in zip(finds, raws, strict=True)),
            "act_per_s": median(rates),
        },
        args.json,
    )
    return 0


def fill(database_url: str, count: int) -> None:
    """Report `count` incidents through the Desk, batch after batch, an interval apart in the city's time."""
    with psycopg.connect(psycopg_dsn(database_url)) as connection:
        row = connection.execute("select version, files from policy_version").fetchone()
        assert row is not None
        world = World(spots(connection.cursor()), policies.parse(row[0], row[1]), SEED)
    rnd, now = Random(SEED), datetime.now(UTC) - timedelta(days=2)
    with Desk(database_url) as desk:
        for first in range(0, count, BATCH_LIMIT):
            reports = []
            for serial in range(first, min(first + BATCH_LIMIT, count)):
                h = world.happening(now, rnd)
                source_id = f"c{serial:08d}"
                reports.append(
                    Report(
                        number_of("hotline", source_id), "hotline", source_id, h.kind.code, h.text, h.spot.name,
                        h.spot.code, h.lon, h.lat, "point", now,
                    )
                )  # fmt: skip
            desk.report(reports, now)
            now += APART


def due_by(connection: psycopg.Connection[tuple[object, ...]], count: int) -> datetime:
    """Return the instant by which `count` incidents have passed a limit that is not noted yet."""
    row = connection.execute(
        "select due_at + interval '1 ms' from incident where due_at is not null order by due_at offset %s limit 1",
        (count - 1,),
    ).fetchone()
    assert row is not None
    moment = row[0]
    assert isinstance(moment, datetime)
    return moment


def plainly(connection: psycopg.Connection[tuple[object, ...]], moment: datetime) -> int:
    """Name what is due in the plainest way."""
    return len(
        connection.execute(
            "select id from incident where due_at < %s order by due_at limit %s", (moment, SWEEP_LIMIT)
        ).fetchall()
    )


def timed(work: object) -> float:
    """Return how many milliseconds a call takes."""
    assert callable(work)
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000
