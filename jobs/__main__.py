"""Answer `python -m jobs list|run NAME|run-all`: the scheduler, and each job by hand."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from threading import Event, Thread
from typing import Self
from zlib import crc32
from zoneinfo import ZoneInfo

import psycopg
import redis
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from dispatch.commands.arguments import instant
from dispatch.desk.desk import Desk
from dispatch.rules.time.calendar import DEFAULT_ZONE
from dispatch.scores import forecasting
from jobs.health import Health, health, last_success, note_fault, note_planned, note_success
from jobs.table import JOBS, Job
from jobs.work import Work
from models.servers.database import Pool, addresses

log = logging.getLogger("jobs")
# One number names the family of our advisory locks, the job's name the lock.
LOCK_FAMILY = 20_531
STREAM_TIMEOUT_S = 5.0
CONNECTIONS = 32  # at once: each job that runs holds its lock on one and works on another
RETRY_AFTER = timedelta(minutes=15)  # for a job that failed and whose next turn is far
FINISH_S, CUT_AGAIN_S = 2.0, 0.5  # how long a run may go on after the signal, and until it is cut short again
LOOK_AGAIN_S = 2.0  # for a policy, while none is in force
CATCH_UP_AFTER, CATCH_UP_APART = timedelta(minutes=10), timedelta(minutes=1)


class Runner:
    """Run jobs one at a time each, across all machines, and leave a record of each run in the stream server."""

    def __init__(self) -> None:
        where = addresses()
        self._pool = Pool(where.database_url, CONNECTIONS)
        self._stream = redis.Redis.from_url(
            where.redis_url, socket_timeout=STREAM_TIMEOUT_S, decode_responses=True
        )
        self._ending = Event()

    def end(self) -> None:
        """Cut short what runs, and begin nothing more."""
        self._ending.set()
        self._pool.end()

    def __enter__(self) -> Self:
        """Return the runner, whose connections end with the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._pool.close()
        self._stream.close()

    def run(self, job: Job, now: datetime) -> int | None:
        """Run a job; return its rows, or None when another process is at it, which is normal."""
        with self._alone(job) as alone:
            return self._work(job, now) if alone else None

    def scheduled(self, job: Job) -> None:
        """Run a job unless another process has done this turn; keep what goes wrong from ending the scheduler.

        A fault is recorded, and the job is tried again at its next turn, or after `RETRY_AFTER` where that is sooner.
        """
        try:
            with self._alone(job) as alone:
                # Only now: who waited long for the door would take a turn for its own that another has done since.
                now = datetime.now(UTC)
                if alone and not done_already(job, last_success(self._stream, job), now, self.zone):
                    self._work(job, now)
        except Exception as fault:
            if self._ending.is_set():
                # It was cut short by us, and its turn is not done: the next start makes up for it.
                return
            if isinstance(fault, (psycopg.Error, redis.RedisError, LookupError, ValueError, OSError)):
                log.warning(
                    "%s: %s", job.name, fault if isinstance(fault, LookupError) else type(fault).__name__
                )
            else:
                log.exception("%s: a fault of ours", job.name)
            again = datetime.now(UTC) + min(RETRY_AFTER, timedelta(seconds=job.every_s))
            self._record(job, partial(note_fault, self._stream, job, datetime.now(UTC), fault, again))

    def await_city(self, stopping: Event) -> None:
        """Wait until a policy is in force, saying once what is missing; return at once when `stopping` is set."""
        logged = ""
        while not stopping.is_set():
            try:
                with Desk(self._pool.lend) as desk:
                    desk.in_force(datetime.now(UTC))
            except LookupError as fault:
                why = str(fault)
            except psycopg.Error as fault:
                why = f"the database is away: {type(fault).__name__}"
            else:
                return
            if why != logged:
                logged = why
                log.warning("jobs wait: %s", why)
            stopping.wait(LOOK_AGAIN_S)

    def forecast(self, in_full: bool) -> int:
        """Learn the breach forecast and print the verdict on it; return 0 where it may be shown, else 1."""
        with Desk(self._pool.lend) as desk:
            try:
                made = desk.ask(lambda cursor: forecasting.learn(cursor, datetime.now(UTC)))
            except ValueError as fault:
                print(f"forecast: {fault}")
                return 1
        text = forecasting.report(made)
        print(text if in_full else "\n".join(text.splitlines()[:3]))
        return 0 if made.verdict.trusted else 1

    @cached_property
    def zone(self) -> ZoneInfo:
        """Return the city's own time zone, by which daily jobs run; the default city's while none is loaded."""
        try:
            with Desk(self._pool.lend) as desk:
                return ZoneInfo(desk.in_force(datetime.now(UTC)).calendar.zone)
        except (psycopg.Error, LookupError):
            return ZoneInfo(DEFAULT_ZONE)

    def _work(self, job: Job, now: datetime) -> int:
        began = time.monotonic()
        with Desk(self._pool.lend, self._stream) as desk:
            rows = job.run(Work(self._pool, desk, now))
        took_ms = round((time.monotonic() - began) * 1000)
        following = turn(job, now, self.zone)[1]
        self._record(job, partial(note_success, self._stream, job, now, rows, took_ms, following))
        return rows

    def planned(self, job: Job, first: datetime) -> None:
        """Keep when a job that never ran will run."""
        self._record(job, partial(note_planned, self._stream, job, first))

    def health(self, now: datetime) -> list[Health]:
        """Return how every job fares, in the order of the table."""
        return health(self._stream, now)

    def _record(self, job: Job, write: Callable[[], None]) -> None:
        try:
            write()
        except redis.RedisError:
            log.warning("%s: the record of this run could not be kept", job.name)

    @contextmanager
    def _alone(self, job: Job) -> Iterator[bool]:
        """Hold the job's advisory lock for the block; yield whether it was free."""
        # By its name: processes of two versions, whose tables differ, still keep out of each other's way.
        number = crc32(job.name.encode()) & 0x7FFF_FFFF
        with self._pool.lend() as connection:
            row = connection.execute("select pg_try_advisory_lock(%s, %s)", (LOCK_FAMILY, number)).fetchone()
            # The lock is the session's: no transaction stays open meanwhile. When this process is killed, or the
            # connection breaks, the server gives it back.
            connection.commit()
            held = bool(row and row[0])
            yield held
            if held:
                connection.execute("select pg_advisory_unlock(%s, %s)", (LOCK_FAMILY, number))


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
    one.add_argument("--as-of", type=instant, help="run as if it were this time (ISO 8601 with offset)")
    commands.add_parser("run-all", help="run every job on its schedule until stopped")
    forecast = commands.add_parser(
        "forecast", help="learn the breach forecast and judge it on the latest past"
    )
    forecast.add_argument("--report", action="store_true", help="print the reliability table")
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        with Runner() as runner:
            match args.command:
                case "list":
                    _show(runner.health(datetime.now(UTC)), args.json)
                case "run":
                    job = next(job for job in JOBS if job.name == args.name)
                    rows = runner.run(job, args.as_of or datetime.now(UTC))
                    print(f"{job.name}: " + ("another process is at it" if rows is None else f"{rows} rows"))
                case "run-all":
                    _run_all(runner)
                case "forecast":
                    return runner.forecast(args.report)
    except LookupError as fault:
        print(fault, file=sys.stderr)
        return 1
    except (psycopg.Error, redis.RedisError) as fault:
        # Its text may hold rows or addresses: the log of the servers has it, the screen need not.
        print(f"{type(fault).__name__}: do the servers run (make run)?", file=sys.stderr)
        return 1
    return 0


def turn(job: Job, now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return when the turn that `now` lies in began, and when the next begins; both in UTC.

    A job with a time of day has its turns from that time to the same time tomorrow, on the city's clock. The turns of
    others are whole intervals since 1970: every machine that runs it counts the same ones.
    """
    if job.at is None:
        begin = datetime.fromtimestamp(now.timestamp() // job.every_s * job.every_s, UTC)
        return begin, begin + timedelta(seconds=job.every_s)
    local = now.astimezone(zone)
    begin = datetime.combine(local.date(), job.at, zone)
    if begin > local:
        begin = datetime.combine(local.date() - timedelta(days=1), job.at, zone)
    following = datetime.combine(begin.date() + timedelta(days=1), job.at, zone)
    return begin.astimezone(UTC), following.astimezone(UTC)


def done_already(job: Job, last: datetime | None, now: datetime, zone: ZoneInfo) -> bool:
    """Tell whether this turn of a job was done, by whichever process: two schedulers do each run once."""
    if last is None:
        return False
    begin, following = turn(job, now, zone)
    # A record of a run by hand as of a later time does not silence a job that runs often.
    return begin <= last < following if job.at is None else begin <= last


class Turns(BaseTrigger):  # type: ignore[misc]
    """Fire at the beginning of each turn of a job, at the same instants on every machine and after every start."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """Return the beginning of the turn after the one that was fired last, or after `now`."""
        return turn(self._job, previous_fire_time or now, ZoneInfo("UTC"))[1]


def _run_all(runner: Runner) -> None:
    for talkative in ("apscheduler", "fontTools"):
        logging.getLogger(talkative).setLevel(logging.ERROR)
    stopping = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    runner.await_city(stopping)
    if stopping.is_set():
        return
    scheduler = BackgroundScheduler(timezone=UTC)
    began = datetime.now(UTC)
    for place, job in enumerate(JOBS):
        # What was missed while nothing ran is made up for once; what takes a night waits until the city is up, one job
        # after another. What failed is tried again in the same turn; what was done in it is left at that.
        again = IntervalTrigger(seconds=int(RETRY_AFTER.total_seconds()), timezone=UTC)
        if job.at is not None:
            nightly = CronTrigger(hour=job.at.hour, minute=job.at.minute, timezone=runner.zone)
            trigger, first = OrTrigger([nightly, again]), began + CATCH_UP_AFTER + place * CATCH_UP_APART
        else:
            often = job.every_s <= RETRY_AFTER.total_seconds()
            trigger, first = Turns(job) if often else OrTrigger([Turns(job), again]), began
        runner.planned(job, first)
        scheduler.add_job(
            runner.scheduled,
            trigger,
            args=[job],
            id=job.name,
            next_run_time=first,
            coalesce=True,
            max_instances=1,
            misfire_grace_time=job.grace_s,
        )
    scheduler.start()
    log.info("%d jobs on their schedule", len(JOBS))
    stopping.wait()
    # What is nearly done may finish; what takes a night is cut short, long before somebody would kill it.
    waiting = Thread(target=scheduler.shutdown)
    waiting.start()
    waiting.join(FINISH_S)
    while waiting.is_alive():
        runner.end()
        waiting.join(CUT_AGAIN_S)


def _show(found: list[Health], as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(each) for each in found], ensure_ascii=False, default=str))
        return
    now = datetime.now(UTC)
    for each in found:
        when = (
            f"{(now - each.last_success).total_seconds():.0f} s ago, {each.rows} rows, {each.took_ms} ms"
            if each.last_success
            else "never ran"
        )
        state = (" LATE" if each.late else "") + (f" FAILED {each.fault}" if each.failing else "")
        following = f", next {each.next_run:%m-%d %H:%M:%S}Z" if each.next_run else ""
        print(f"{each.name:<12} every {each.every_s:>5} s   {when}{following}{state}   {each.en}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
