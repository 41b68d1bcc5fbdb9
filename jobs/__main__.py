"""Answer `python -m jobs list|run NAME|run-all`: the scheduler, and each job by hand."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event

import psycopg
import redis
from apscheduler.schedulers.background import BackgroundScheduler

from dispatch.desk import Desk
from jobs.clocks import stale
from jobs.table import JOBS, Job
from models.servers import addresses, psycopg_dsn

log = logging.getLogger("jobs")
JOB_KEY = "gridwhistle:job:{}"
# One number names the family of our advisory locks, the job's place in the table names the lock.
LOCK_FAMILY = 20_531
STREAM_TIMEOUT_S = 5.0


class Runner:
    """Run jobs one at a time each, across all machines, and leave a record of each run in the stream server."""

    def __init__(self) -> None:
        where = addresses()
        self._database_url = where.database_url
        self._stream = redis.Redis.from_url(
            where.redis_url, socket_timeout=STREAM_TIMEOUT_S, decode_responses=True
        )

    def run(self, job: Job, now: datetime) -> int | None:
        """Run a job; return its rows, or None when another process is at it, which is normal."""
        began = time.monotonic()
        with self._alone(job) as alone:
            if not alone:
                return None
            with Desk(self._database_url, self._stream) as desk:
                rows = job.run(desk, now)
        self._record(
            job, {"at": now.isoformat(), "rows": rows, "ms": round((time.monotonic() - began) * 1000)}
        )
        return rows

    def scheduled(self, job: Job) -> None:
        """Run a job and keep whatever goes wrong from ending the scheduler; it is recorded and tried again in time."""
        try:
            self.run(job, datetime.now(UTC))
        except (psycopg.Error, redis.RedisError, LookupError) as fault:
            log.warning("%s: %s", job.name, type(fault).__name__)
            self._record(job, {"failed_at": datetime.now(UTC).isoformat(), "fault": type(fault).__name__})

    def records(self) -> list[dict[str, str]]:
        """Return the last record of every job, in the order of the table."""
        found = []
        for job in JOBS:
            record = self._stream.hgetall(JOB_KEY.format(job.name))
            kept = {str(key): str(value) for key, value in record.items()}
            found.append({"name": job.name, "every_s": str(job.every_s), "does": job.en, **kept})
        return found

    def _record(self, job: Job, values: dict[str, str | int]) -> None:
        try:
            for name, value in {**values, "every_s": job.every_s}.items():
                self._stream.hset(JOB_KEY.format(job.name), name, str(value))
        except redis.RedisError:
            log.warning("%s: the record of this run could not be kept", job.name)

    @contextmanager
    def _alone(self, job: Job) -> Iterator[bool]:
        """Hold the job's advisory lock for the block; yield whether it was free."""
        number = JOBS.index(job)
        with psycopg.connect(
            psycopg_dsn(self._database_url), autocommit=True, connect_timeout=5
        ) as connection:
            row = connection.execute("select pg_try_advisory_lock(%s, %s)", (LOCK_FAMILY, number)).fetchone()
            # Closing the connection gives the lock back, also when this process is killed.
            yield bool(row and row[0])


def main(arguments: list[str]) -> int:
    """Run the command that `arguments` begin with; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m jobs", description="Do what happens because time passes."
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    listing = commands.add_parser("list", help="show every job with its last run")
    listing.add_argument("--json", action="store_true", help="one JSON list instead of a table")
    one = commands.add_parser("run", help="run one job now")
    one.add_argument("name", choices=[job.name for job in JOBS])
    one.add_argument("--as-of", type=_instant, help="run as if it were this time (ISO 8601 with offset)")
    commands.add_parser("run-all", help="run every job on its schedule until stopped")
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    runner = Runner()
    try:
        match args.command:
            case "list":
                _show(runner.records(), args.json)
            case "run":
                job = next(job for job in JOBS if job.name == args.name)
                rows = runner.run(job, args.as_of or datetime.now(UTC))
                print(f"{job.name}: " + ("another process is at it" if rows is None else f"{rows} rows"))
            case "run-all":
                _run_all(runner)
    except LookupError as fault:
        print(fault, file=sys.stderr)
        return 1
    except (psycopg.Error, redis.RedisError) as fault:
        # Its text may hold rows or addresses: the log of the servers has it, the screen need not.
        print(f"{type(fault).__name__}: do the servers run (make run)?", file=sys.stderr)
        return 1
    return 0


def _run_all(runner: Runner) -> None:
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    scheduler = BackgroundScheduler(timezone=UTC)
    for job in JOBS:
        scheduler.add_job(
            runner.scheduled,
            "interval",
            args=[job],
            seconds=job.every_s,
            id=job.name,
            next_run_time=datetime.now(UTC),
            coalesce=True,
            max_instances=1,
            misfire_grace_time=job.grace_s,
        )
    stopping = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    scheduler.start()
    log.info("%d jobs on their schedule", len(JOBS))
    stopping.wait()
    scheduler.shutdown(wait=True)


def _show(records: list[dict[str, str]], as_json: bool) -> None:
    if as_json:
        print(json.dumps(records, ensure_ascii=False))
        return
    now = datetime.now(UTC)
    for record in records:
        at = datetime.fromisoformat(record["at"]) if "at" in record else None
        late = " LATE" if stale(at, now, timedelta(seconds=int(record["every_s"]))) else ""
        when = (
            f"{(now - at).total_seconds():.0f} s ago, {record['rows']} rows, {record['ms']} ms"
            if at
            else "never ran"
        )
        print(f"{record['name']:<12} every {record['every_s']:>5} s   {when}{late}   {record['does']}")


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise argparse.ArgumentTypeError("give an offset, as in 2026-11-23T08:00+08:00")
    return instant


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
