"""Prove that each turn of a job is done once, on the city's clock, and that counting jobs do what they say."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time as wait
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import psycopg
import pytest
import redis

import jobs.__main__ as command
from dispatch.desk.desk import Desk
from dispatch.figures import published as figures
from dispatch.rules.incident.chain import SYSTEM, Command
from dispatch.rules.measures.assessment import shown
from jobs import followers, resume, retention
from jobs import health as records
from jobs.table import JOBS, Job
from jobs.work import Work
from models.cities.loading import POLICY_DIR
from models.servers import servers as places
from models.servers.database import psycopg_dsn
from tests.at_work import worked
from tests.small_law import COUNTY_DESK, JOINT, MONDAY, report

pytestmark = pytest.mark.city("district")

CITY_ZONE = ZoneInfo("Asia/Shanghai")
NIGHTLY = Job("nightly", 86_400, 60, "夜", "nightly", lambda given: 1, time(2, 30))
OFTEN = Job("often", 10, 60, "常", "often", lambda given: 1)


@pytest.fixture
def desk(database: str) -> Iterator[Desk]:
    """Give the test a Desk of the small city."""
    rules = (POLICY_DIR / "assessment.toml").read_text(encoding="utf-8")
    with psycopg.connect(psycopg_dsn(database)) as connection:
        connection.execute(
            "update policy_version set files = jsonb_set(files, '{assessment.toml}', to_jsonb(%s::text))",
            (rules,),
        )
    with Desk(database) as one:
        yield one


def test_a_nightly_turn_begins_at_its_time_on_the_citys_clock() -> None:
    before = datetime(2026, 3, 9, 18, 29, 59, tzinfo=UTC)  # 02:29:59 in the city
    at = datetime(2026, 3, 9, 18, 30, tzinfo=UTC)
    assert command.turn(NIGHTLY, before, CITY_ZONE) == (at - timedelta(days=1), at)
    assert command.turn(NIGHTLY, at, CITY_ZONE) == (at, at + timedelta(days=1))


def test_a_missed_night_is_made_up_for_and_a_done_one_is_not_done_again() -> None:
    at = datetime(2026, 3, 9, 18, 30, tzinfo=UTC)
    morning = at + timedelta(hours=6)
    assert not command.done_already(NIGHTLY, None, morning, CITY_ZONE)
    assert not command.done_already(NIGHTLY, at - timedelta(days=3), morning, CITY_ZONE)
    assert not command.done_already(NIGHTLY, at - timedelta(seconds=1), morning, CITY_ZONE)
    assert command.done_already(NIGHTLY, at, morning, CITY_ZONE)
    assert command.done_already(NIGHTLY, morning - timedelta(hours=1), morning, CITY_ZONE)


def test_a_turn_of_an_interval_is_done_once_by_two_schedulers() -> None:
    assert command.turn(OFTEN, MONDAY + timedelta(seconds=9.9), CITY_ZONE) == (
        MONDAY, MONDAY + timedelta(seconds=10),
    )  # fmt: skip
    assert command.done_already(OFTEN, MONDAY, MONDAY + timedelta(seconds=9.9), CITY_ZONE)
    assert not command.done_already(OFTEN, MONDAY, MONDAY + timedelta(seconds=10), CITY_ZONE)
    # A record of a run by hand as of a later time does not silence the job.
    assert not command.done_already(OFTEN, MONDAY + timedelta(days=1), MONDAY, CITY_ZONE)


def test_schedulers_started_at_different_moments_fire_at_the_same_instants() -> None:
    """However far apart they were started, none of them fires in the middle of a turn that another has done."""
    fired: list[list[datetime]] = []
    for began in (MONDAY + timedelta(seconds=1), MONDAY + timedelta(seconds=6.5)):
        trigger, times, last = command.Turns(OFTEN), [], None
        for _ in range(3):
            last = trigger.get_next_fire_time(last, began)
            times.append(last)
        fired.append(times)
    assert fired[0] == fired[1] == [MONDAY + timedelta(seconds=n) for n in (10, 20, 30)]
    # Also after a first run at the start, wherever in a turn that was.
    assert command.Turns(OFTEN).get_next_fire_time(MONDAY + timedelta(seconds=6.5), MONDAY) == fired[0][0]


def test_two_schedulers_at_once_do_a_run_once(
    database: str, stream_url: str, stream: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("REDIS_URL", stream_url)
    runs: list[datetime] = []

    def work(given: Work) -> int:
        runs.append(given.now)
        return 1

    # Half a day away, so that no turn ends meanwhile.
    at = (datetime.now(CITY_ZONE) + timedelta(hours=12)).time().replace(second=0, microsecond=0)
    job = Job("once", 86_400, 60, "一次", "once", work, at)
    monkeypatch.setattr(command, "JOBS", (*JOBS, job))
    runners = [command.Runner(), command.Runner()]
    threads = [threading.Thread(target=runner.scheduled, args=[job]) for runner in runners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for runner in runners:
        runner.scheduled(job)
    assert len(runs) == 1
    monkeypatch.setattr(records, "JOBS", (*JOBS, job))
    following = runners[0].health(datetime.now(UTC))[-1].next_run
    assert following is not None
    assert following.astimezone(CITY_ZONE).time() == at


def test_who_waited_long_for_the_door_takes_no_turn_again_that_is_done_by_then(
    database: str, stream_url: str, stream: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("REDIS_URL", stream_url)
    clock, runs = [MONDAY + timedelta(seconds=9)], list[datetime]()

    class Watched(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return clock[0].astimezone(tz)

    def work(given: Work) -> int:
        runs.append(given.now)
        return 1

    monkeypatch.setattr(command, "datetime", Watched)
    job = replace(OFTEN, run=work)
    slow, quick = command.Runner(), command.Runner()
    door = slow._alone

    @contextmanager
    def late(which: Job) -> Iterator[bool]:
        # Meanwhile another does this turn, and the next.
        for seconds in (9, 11):
            clock[0] = MONDAY + timedelta(seconds=seconds)
            quick.scheduled(which)
        clock[0] = MONDAY + timedelta(seconds=12)
        with door(which) as alone:
            yield alone

    monkeypatch.setattr(slow, "_alone", late)
    slow.scheduled(job)
    assert runs == [MONDAY + timedelta(seconds=seconds) for seconds in (9, 11)]


@pytest.mark.processes
def test_two_processes_out_of_step_do_each_turn_once(
    database: str, stream_url: str, stream: redis.Redis, tmp_path: Path
) -> None:
    """Two real schedulers, started half a turn apart: one run a turn between them, and never two."""
    told = tmp_path / "runs"
    script = (
        "import sys, os, jobs.__main__ as command\n"
        "planned = command.Runner.planned\n"
        "def ready(*args):\n"
        "    print('ready', flush=True)\n"
        "    planned(*args)\n"
        "command.Runner.planned = ready\n"
        "from jobs.table import Job\n"
        "def work(given):\n"
        "    with open(sys.argv[1], 'a') as file: file.write(f'{given.now.timestamp()} {os.getpid()}\\n')\n"
        "    return 1\n"
        "command.JOBS = (Job('twice', 2, 30, '两个', 'twice', work),)\n"
        "sys.exit(command.main(['run-all']))"
    )
    children = []
    try:
        for _ in range(2):
            children.append(
                subprocess.Popen(
                    [sys.executable, "-c", script, str(told)],
                    cwd=Path(__file__).parents[2],
                    env=os.environ | {"DATABASE_URL": database, "REDIS_URL": stream_url},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
            )
            # One that hears no signal yet cannot be asked to end below.
            assert children[-1].stdout is not None
            assert children[-1].stdout.readline() == b"ready\n"
            wait.sleep(1)
        deadline = wait.monotonic() + 180
        while not told.exists() or len(told.read_text().splitlines()) < 4:
            assert wait.monotonic() < deadline
            wait.sleep(0.2)
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.communicate(timeout=120)
    runs = [line.split() for line in told.read_text().splitlines()]
    turns = [int(float(at) // 2) for at, _ in runs]
    assert len(turns) == len(set(turns)) >= 4
    assert all(child.returncode == 0 for child in children)


@pytest.mark.processes
def test_a_run_that_would_take_a_night_is_cut_short_when_the_scheduler_ends(
    database: str, stream_url: str, stream: redis.Redis
) -> None:
    """Nothing of it stays, nothing is held against it, and nobody has to kill the process."""
    script = (
        "import sys, jobs.__main__ as command\n"
        "from jobs.table import Job\n"
        "def work(given):\n"
        '    given.ask(lambda c: c.execute("update team set load = 77 where id = 1"))\n'
        "    def whole_night(c):\n"
        "        c.execute('update team set load = 99 where id = 1')\n"
        "        print('at it', flush=True)\n"
        "        c.execute('select pg_sleep(3600)')\n"
        "    given.ask(whole_night)\n"
        "    return 1\n"
        "command.JOBS = (Job('night', 86_400, 30, '夜', 'night', work),)\n"
        "sys.exit(command.main(['run-all']))"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"DATABASE_URL": database, "REDIS_URL": stream_url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"at it\n"
        child.terminate()
        _, said = child.communicate(timeout=120)
    finally:
        child.kill()
    assert child.returncode == 0, said
    assert b"QueryCanceled" not in said
    with psycopg.connect(psycopg_dsn(database)) as connection:
        assert connection.execute("select load from team where id = 1").fetchone() == (77,)
        left = connection.execute(
            "select count(*) from pg_locks where locktype = 'advisory'"
            " and database = (select oid from pg_database where datname = current_database())"
        ).fetchone()
        assert left == (0,)
    # Its plan alone is on record.
    assert b"failed_at" not in cast(Any, stream.hgetall(records.JOB_KEY.format("night")))


def test_a_suspended_incident_is_resumed_when_its_time_is_over_and_not_before(desk: Desk) -> None:
    (opened,) = desk.report([report(JOINT)], MONDAY)
    assert opened.incident_id is not None
    until = MONDAY + timedelta(days=3)
    (suspended,) = desk.act(
        [
            Command(
                "suspend",
                opened.incident_id,
                COUNTY_DESK,
                "s",
                {"reason": "等待材料", "until": until.isoformat()},
            )
        ],
        MONDAY + timedelta(minutes=1),
    )
    assert suspended.status == "done", suspended
    assert worked(resume.resume, desk, until - timedelta(seconds=1)) == 0
    assert worked(resume.resume, desk, until) == 1
    assert worked(resume.resume, desk, until + timedelta(seconds=1)) == 0
    state = desk.ask(
        lambda c: c.execute(
            "select paused_why, (select count(*) from event e where e.incident_id = i.id and verb = 'resume')"
            " from incident i"
        ).fetchone()
    )
    assert state == (None, 1)


def test_the_roll_up_job_takes_in_what_happened_and_then_rests(desk: Desk) -> None:
    desk.report([report(JOINT, number=n) for n in range(1, 6)], MONDAY)
    assert worked(followers.follow, desk, MONDAY) >= 5
    assert worked(followers.follow, desk, MONDAY) == 0
    total = desk.ask(lambda c: c.execute("select sum(reported) from hourly").fetchone())
    assert total == (5,)


def test_a_whole_night_of_counting_jobs_runs_on_a_young_city(desk: Desk) -> None:
    """Nothing to freeze yet, one month to assess, nothing that differs; days are written from the roll-up."""
    desk.report([report(JOINT, number=n) for n in range(1, 6)], MONDAY)
    later = MONDAY + timedelta(days=2)
    worked(followers.follow, desk, later)
    assert worked(followers.write_days, desk, later) > 0
    assert worked(followers.freeze, desk, later) == 0
    assert worked(followers.assess, desk, later) > 0
    assert worked(followers.correct, desk, later) == 0
    assert worked(followers.check, desk, later) == 0
    assert worked(retention.forget, desk, later) == 0
    reported = desk.ask(
        lambda c: c.execute(
            "select sum(value) from kpi where metric = 'reported' and length(area_code) = 6"
        ).fetchone()
    )
    assert reported is not None
    assert int(reported[0]) in (5, 10)  # the city's, and its county's where the small city has one


def test_a_backup_holds_the_database_and_the_oldest_make_room(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "place", lambda: tmp_path)
    for number in range(retention.BACKUPS_KEPT + 1):
        worked(retention.backup, desk, MONDAY + timedelta(days=number))
    files = sorted((tmp_path / "backups").iterdir())
    assert len(files) == retention.BACKUPS_KEPT
    assert files[0].name.startswith(f"gridwhistle-{MONDAY + timedelta(days=1):%Y%m%d}")
    assert all(file.read_bytes()[:5] == b"PGDMP" for file in files)


def test_without_pg_dump_the_backup_says_so_plainly(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_pg_dump", lambda: None)
    with pytest.raises(LookupError, match="no backup: pg_dump is neither installed nor in"):
        worked(retention.backup, desk, MONDAY)


@pytest.mark.city("migrated")
def test_the_published_figures_of_the_seed_are_kept_as_published(database: str) -> None:
    with psycopg.connect(psycopg_dsn(database)) as connection:
        cursor = connection.cursor()
        assert figures.enter(cursor) == 0
        cursor.execute("insert into area (code, level, name) values ('445300', 1, '云浮市')")
        for _ in range(2):
            assert figures.enter(cursor) == 8
        kept = {
            metric: (f"{value:.2f}", published)
            for metric, value, published in cursor.execute("select metric, value, published from kpi")
        }
    assert kept["criminal_reports_change"] == ("-33.66", True)
    assert kept["security_reports_change"] == ("-25.82", True)
    assert kept["per_village"] == ("6.48", False)
    assert kept["months_between"] == ("1.85", False)
    assert kept["settled"] == ("0.99", False)
    assert len(kept) == 8


def test_requests_without_a_target_are_shown_beside_and_not_as_kept(desk: Desk) -> None:
    """Three of four targets kept or not yet passed, one missed, and two requests that never had one."""
    hour = timedelta(hours=1)
    targets = [MONDAY + hour, MONDAY + 2 * hour, MONDAY + 90 * hour, MONDAY + hour, None, None]
    ends = [MONDAY + hour, MONDAY + hour, None, MONDAY + 2 * hour, MONDAY + hour, None]
    reports = [
        replace(report(JOINT, number=n), source="portal", source_id=str(n), target_at=target, imported=True)
        for n, target in enumerate(targets, 1)
    ]
    outcomes = desk.report(reports, MONDAY)
    closings = [
        Command("conclude", outcome.incident_id or 0, SYSTEM, "c", {"closed_at": end})
        for outcome, end in zip(outcomes, ends, strict=True)
        if end is not None
    ]
    assert {outcome.status for outcome in desk.act(closings, MONDAY + 3 * hour)} == {"done"}
    found = desk.ask(lambda cursor: figures.on_time_of(cursor, "portal", MONDAY + 3 * hour))
    assert (found.on_time, found.with_target, found.without_target) == (3, 4, 2)
    assert (shown(found.rate, digits=1), shown(found.naive, digits=1)) == ("75.0 %", "83.3 %")
    none = desk.ask(lambda cursor: figures.on_time_of(cursor, "nobody", MONDAY))
    assert (shown(none.rate), shown(none.naive)) == ("无数据", "无数据")
