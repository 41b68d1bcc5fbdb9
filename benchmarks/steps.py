"""Measure single steps through the pages' door, the way that a button takes, by one caller and by eight at a time.

Beside them the same rows are written by bare SQL on a connection that is kept, by as many callers.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial

import psycopg

from benchmarks.clocks import fill
from benchmarks.measure import Figure, percentile, show
from benchmarks.pipeline import database, prepare
from dashboard.data import CityReads
from dispatch.rules.incident.chain import Actor, Command
from models.servers.database import psycopg_dsn
from models.servers.servers import temporary

STEPS = 2_000  # by each number of callers
CALLERS = (1, 8)
WARM = 40  # taken before the clock runs
BARE_KEYS = 9 * 10**15  # above the receipts that the Desk gives

# One step: the id of an incident, the last event of it that its actor saw, and who that is.
Case = tuple[int, int, Actor]
Take = Callable[[Case], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmark's options."""
    parser.add_argument(
        "--steps", type=int, default=STEPS, help="by each number of callers (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Measure and print steps a second, the middle and the slow ones in ms, and the ratio; return the exit code.

    `cpu_ms` is what one step takes of this process's own time: however busy the machine is, it says the same.
    """
    figures: dict[str, Figure] = {"steps": args.steps}
    with temporary() as servers:
        where = database(servers, prepare(servers), "steps")
        fill(where, (args.steps + WARM) * len(CALLERS))
        cases = sent(where)
        with closing(CityReads(where)) as city:
            for callers in CALLERS:
                mine, cases = cases[: args.steps + WARM], cases[args.steps + WARM :]
                began = time.process_time()
                took, spans = timed(partial(press, city, servers.redis_url), mine, callers)
                cpu_s = time.process_time() - began
                bare, bare_spans = timed_bare(where, mine, callers)
                figures |= {
                    f"per_s_{callers}": len(spans) / took,
                    f"p50_ms_{callers}": percentile(spans, 0.5) * 1000,
                    f"p95_ms_{callers}": percentile(spans, 0.95) * 1000,
                    f"cpu_ms_{callers}": cpu_s / len(mine) * 1000,
                    f"sql_per_s_{callers}": len(bare_spans) / bare,
                    f"sql_p50_ms_{callers}": percentile(bare_spans, 0.5) * 1000,
                    f"ratio_{callers}": bare / took,
                }
    show("steps: single steps through the pages' door", figures, args.json)
    return 0


def press(city: CityReads, redis_url: str, case: Case) -> None:
    """Take one step as a button does: the team that a case was sent to picks it up, as it was seen."""
    incident, seq, actor = case
    command = Command("pick_up", incident, actor, f"desk-{actor.id}-{seq}", {}, seq)
    outcome = city.submit([command], datetime.now(UTC), redis_url)[0]
    if outcome.status != "done":
        raise RuntimeError(f"{incident}: {outcome}")


def timed(take: Take, cases: list[Case], callers: int) -> tuple[float, list[float]]:
    """Share the cases out among callers of one process; return the seconds that all took, and each step's own."""
    for each in cases[:WARM]:
        take(each)
    return _together([take] * callers, cases[WARM:])


def timed_bare(database_url: str, cases: list[Case], callers: int) -> tuple[float, list[float]]:
    """Write the rows of such a step by bare SQL, each caller on a connection of its own."""
    lines = [psycopg.connect(psycopg_dsn(database_url)) for _ in range(callers)]
    try:
        takes = [partial(_write, line) for line in lines]
        for number, each in enumerate(cases[:WARM]):
            takes[number % callers](each)
        return _together(takes, cases[WARM:])
    finally:
        for line in lines:
            line.close()


def _together(takes: Sequence[Take], cases: list[Case]) -> tuple[float, list[float]]:
    spans: list[list[float]] = [[] for _ in takes]
    faults: list[Exception] = []

    def caller(number: int) -> None:
        take, own = takes[number], spans[number]
        try:
            for each in cases[number :: len(takes)]:
                began = time.perf_counter()
                take(each)
                own.append(time.perf_counter() - began)
        except Exception as fault:
            faults.append(fault)

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(len(takes))]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    if faults:
        raise faults[0]
    return took, [span for own in spans for span in own]


def _write(connection: psycopg.Connection[tuple[object, ...]], case: Case) -> None:
    """Lock a case, write a receipt, one event more, its assignment and its row anew: what such a step writes."""
    incident = case[0]
    with connection.transaction():
        connection.execute("select seq from incident where id = %s for update", (incident,))
        connection.execute(
            "insert into receipt (key, incident_id) values (%s, %s)", (BARE_KEYS + incident, incident)
        )
        connection.execute(
            "insert into event (incident_id, seq, at, verb, actor, cause, policy_version, data, hash)"
            " select incident_id, seq + 1, now(), verb, actor, cause, policy_version, data, hash from event"
            " where incident_id = %s order by seq desc limit 1",
            (incident,),
        )
        connection.execute(
            "update assignment set state = 'on_site', clocks = clocks where incident_id = %s", (incident,)
        )
        connection.execute(
            "update incident set seq = seq + 1, last_at = now(), facts = facts, clocks = clocks where id = %s",
            (incident,),
        )


def sent(database_url: str) -> list[Case]:
    """Return the cases that were sent to a team and wait for it, each as the team sees it."""
    with psycopg.connect(psycopg_dsn(database_url)) as connection:
        rows = connection.execute(
            "select i.id, i.seq, t.id, t.area_code from incident i join assignment a on a.incident_id = i.id"
            " join team t on t.id = a.team_id where a.state = 'sent' and a.role = 'lead' order by i.id"
        ).fetchall()
    return [(i, seq, Actor(f"team-{team}", "team", area, team)) for i, seq, team, area in rows]
