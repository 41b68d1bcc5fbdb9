"""Jobs run one runner at a time and leave a record of each run, and an operator reads and runs them by command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import psycopg
import pytest
import redis

import jobs.__main__ as command
from dispatch.desk.desk import Desk
from jobs import health as records
from jobs.clocks import stale
from jobs.table import JOBS, Job
from jobs.work import Work
from tests import district
from tests.district import opened
from tests.small_law import JOINT, MONDAY

pytestmark = pytest.mark.city("district")

INSTANT = timedelta(microseconds=1)
PATIENCE_S = 180.0  # however busy the machine is


@pytest.fixture
def house(database: str, stream_url: str, stream: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> str:
    """Point the jobs at the test's own servers."""
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("REDIS_URL", stream_url)
    return database


def test_of_two_runners_one_gets_the_lock_and_the_other_takes_it_calmly(
    house: str, stream: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not an error and not a second run; when the first is done the second may."""
    inside, go_on = threading.Event(), threading.Event()

    def wait(given: Work) -> int:
        inside.set()
        assert go_on.wait(PATIENCE_S)
        return 3

    job = Job("wait", 5, 5, "等", "wait", wait)
    monkeypatch.setattr(command, "JOBS", (*JOBS, job))
    one, other = command.Runner(), command.Runner()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(one.run, job, MONDAY)
        try:
            assert inside.wait(PATIENCE_S)
            assert other.run(job, MONDAY) is None
            # Another job has a lock of its own.
            assert other.run(JOBS[0], MONDAY) == 0
        finally:
            go_on.set()
        assert running.result(PATIENCE_S) == 3
    assert other.run(job, MONDAY) == 3


def test_each_run_leaves_a_record_and_a_fault_does_too(
    house: str, stream: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When, how many rows, how long, when next; a job that fails keeps what its last good run did."""
    fail = [False]

    def work(given: Work) -> int:
        if fail[0]:
            raise LookupError("nothing there")
        return 5

    job = Job("brittle", 5, 5, "脆", "brittle", work)
    monkeypatch.setattr(records, "JOBS", (*JOBS, job))
    runner = command.Runner()
    never = runner.health(MONDAY)[-1]
    assert (never.last_success, never.failing, never.late, never.fault) == (None, False, True, None)
    # Once a scheduler has it, its first turn is waited for.
    runner.planned(job, MONDAY + timedelta(minutes=10))
    assert not runner.health(MONDAY)[-1].late
    assert not runner.health(MONDAY + timedelta(minutes=10, seconds=15))[-1].late
    assert runner.health(MONDAY + timedelta(minutes=10, seconds=16))[-1].late
    runner.run(job, MONDAY)
    good = runner.health(MONDAY)[-1]
    assert (good.name, good.rows, good.last_success) == ("brittle", 5, MONDAY)
    assert good.next_run == MONDAY + timedelta(seconds=5)
    runner.planned(job, MONDAY + timedelta(days=1))
    assert runner.health(MONDAY)[-1].next_run == good.next_run, "what has run keeps its own record"
    assert good.took_ms is not None
    assert not good.failing
    assert not good.late
    assert runner.health(MONDAY + timedelta(seconds=16))[-1].late
    fail[0] = True
    runner.scheduled(job)
    bad = runner.health(MONDAY)[-1]
    assert (bad.failing, bad.fault) == (True, "LookupError: nothing there")
    assert (bad.last_success, bad.rows) == (MONDAY, 5)
    assert bad.failed_at is not None
    assert bad.next_run == pytest.approx(bad.failed_at + timedelta(seconds=5), abs=timedelta(seconds=4))
    fail[0] = False
    runner.scheduled(job)
    mended = runner.health(datetime.now(UTC))[-1]
    assert (mended.failing, mended.late) == (False, False)
    assert mended.fault == "LookupError: nothing there"


@pytest.mark.parametrize(
    "fault", [psycopg.OperationalError("host=secret"), TypeError("row 1, 13900139000"), OSError("/home/x")]
)
def test_no_fault_ends_the_scheduler_and_none_is_told_in_others_words(
    house: str, stream: redis.Redis, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """The text of a database, or of a mistake of ours, may hold rows and addresses: its kind is enough."""

    def broken(given: Work) -> int:
        raise fault

    job = Job("broken", 86_400, 60, "坏", "broken", broken, time(2))
    monkeypatch.setattr(records, "JOBS", (*JOBS, job))
    runner = command.Runner()
    runner.scheduled(job)
    last = runner.health(datetime.now(UTC))[-1]
    assert (last.fault, last.failing) == (type(fault).__name__, True)
    # Not only tomorrow.
    assert last.next_run is not None
    assert last.next_run < datetime.now(UTC) + timedelta(hours=1)


@pytest.mark.city("migrated")
def test_jobs_wait_for_a_policy_and_say_so_once(
    database: str, stream_url: str, stream: redis.Redis, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """An empty database is no fault that repeats every two seconds; with the first policy they begin."""
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("REDIS_URL", stream_url)
    monkeypatch.setattr(command, "LOOK_AGAIN_S", 0.02)

    class Looked(threading.Event):
        """Tells when somebody has looked often enough."""

        def __init__(self) -> None:
            super().__init__()
            self.times, self.often = 0, threading.Event()

        def wait(self, timeout: float | None = None) -> bool:
            self.times += 1
            if self.times == 5:
                self.often.set()
            return super().wait(timeout)

    runner, stopping = command.Runner(), Looked()
    with ThreadPoolExecutor(1) as pool, caplog.at_level("WARNING", "jobs"):
        waiting = pool.submit(runner.await_city, stopping)
        try:
            assert stopping.often.wait(PATIENCE_S)
            assert not waiting.done()
            assert [r.getMessage() for r in caplog.records if r.name == "jobs"] == [
                "jobs wait: the database holds no policy in force: load a city first (python -m models demo)"
            ]
            district.build(database)
            waiting.result(PATIENCE_S)
        finally:
            stopping.set()


def test_a_job_is_late_after_three_silent_turns() -> None:
    """And when it never ran."""
    every = timedelta(seconds=10)
    assert stale(None, MONDAY, every)
    assert not stale(MONDAY, MONDAY + 3 * every, every)
    assert stale(MONDAY, MONDAY + 3 * every + INSTANT, every)


def test_every_job_has_a_name_of_its_own_and_words_in_both_languages() -> None:
    """The list is what an operator reads."""
    assert len({job.name for job in JOBS}) == len(JOBS)
    for job in JOBS:
        assert job.every_s > 0 < job.grace_s
        assert job.zh != job.en != ""


def test_the_commands_list_and_run_jobs(house: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By hand, at a given time, and shown afterwards as text and as JSON."""
    assert command.main(["list"]) == 0
    assert capsys.readouterr().out.count("never ran") == len(JOBS)
    with Desk(house) as desk:
        opened(desk, JOINT)
    assert command.main(["run", "clocks", "--as-of", "2026-03-02T09:11:00+08:00"]) == 0
    assert capsys.readouterr().out == "clocks: 1 rows\n"
    assert command.main(["run", "clocks", "--as-of", "2026-03-02T09:11:00+08:00"]) == 0
    assert capsys.readouterr().out == "clocks: 0 rows\n"
    assert command.main(["list", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [record["name"] for record in told] == [job.name for job in JOBS]
    assert told[0]["rows"] == 0
    assert command.main(["list"]) == 0
    assert "0 rows" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "COMMAND"),
        (["fly"], "invalid choice"),
        (["run"], "name"),
        (["run", "nothing"], "invalid choice"),
        (["run", "clocks", "--as-of", "yesterday"], "--as-of"),
        (["run", "clocks", "--as-of", "2026-03-02T09:11:00"], "give an offset"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_usage(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and one line that says what is wrong."""
    with pytest.raises(SystemExit) as end:
        command.main(words)
    assert end.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.city("migrated")
def test_without_servers_or_city_a_sentence_says_so(
    database: str, stream_url: str, stream: redis.Redis, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], tmp_path: Path,
) -> None:  # fmt: skip
    """No traceback, and no address with a password in it."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://somebody:secret@127.0.0.1:1/none")
    monkeypatch.setenv("REDIS_URL", f"unix://{tmp_path}/none")
    for words in (["list"], ["run", "clocks"]):
        assert command.main(words) == 1
        told = capsys.readouterr().err
        assert "do the servers run" in told
        assert "secret" not in told
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("REDIS_URL", stream_url)
    assert command.main(["run", "escalation"]) == 1
    assert "python -m models demo" in capsys.readouterr().err


@pytest.mark.processes
def test_help_needs_no_servers_and_names_every_command() -> None:
    """`python -m jobs --help`, as a newcomer types it."""
    done = subprocess.run(
        [sys.executable, "-m", "jobs", "--help"],
        capture_output=True, text=True, timeout=60, cwd=Path(__file__).parents[2], env=os.environ, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert all(word in done.stdout for word in ("list", "run", "run-all"))
