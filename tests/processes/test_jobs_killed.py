"""Kill each job in the middle of its writing: the next run completes it, and what stands is what one run leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from dispatch.demo import history
from dispatch.desk.desk import Desk
from dispatch.figures import rollup
from dispatch.intake import dead_letters
from dispatch.intake.problems import Problem
from dispatch.notices import outbox
from dispatch.rules.incident.chain import Actor, Command
from dispatch.scores import scoring
from jobs.__main__ import Runner
from jobs.clocks import sweep
from jobs.table import JOBS, Job
from models.servers.database import psycopg_dsn
from tests import small_city as town
from tests.halfway import job_begun, killed_halfway
from tests.templates import CityOf

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[2]
PAST = datetime(2026, 6, 12, 4, tzinfo=UTC)  # until when the city lived
NOW = PAST + timedelta(days=18, hours=5)  # when every job runs
DAYS, PER_DAY, SEED = 72, 7, 5
APRIL = date(2026, 4, 1)
PATIENCE_S = 180.0
# What these write is no row: each has a test of its own, the first two below, the others in tests/desk/test_digests.py.
ELSEWHERE = {"backup", "letters", "digests", "old_digests"}
assert {job.name for job in JOBS} >= ELSEWHERE
LETTERS = 3 * dead_letters.PAGE
# What holds a process in the middle of its writing, and lets it go.
GATE = (77, 7)

Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def prepared(city_of: CityOf) -> Iterator[str]:
    """Make a city in which every job finds something to do at `NOW`; yield its address."""
    with city_of("small") as url:
        for _ in history.write(url, PAST, DAYS, PER_DAY, SEED):
            pass
        with psycopg.connect(psycopg_dsn(url), autocommit=True) as connection, Desk(url) as desk:
            assert scoring.freeze(connection, APRIL, PAST) > 0
            assert rollup.follow(connection, 300) > 0
            policy = desk.in_force(datetime.now(UTC))
            desk.ask(lambda cursor: outbox.follow(cursor, policy, PAST))
            _appeal(connection, desk)
            _suspend(connection, desk)
            assert sweep(desk, PAST + timedelta(days=8)) > 0
            _by_hand(connection)
            _count_writes(connection)
        yield url


def _appeal(connection: Connection, desk: Desk) -> None:
    row = connection.execute(
        "select id, area_code, (facts ->> 'disposer_team')::int from incident where state = 'closed'"
        " and disposed_on_time is false and reported_at < '2026-05-01' and facts ->> 'disposer_team' is not null"
        " order by id limit 1"
    ).fetchone()
    assert row is not None
    key, area, team = row
    verdict = {"granted": True, "reason": "属实"}
    outcomes = desk.act(
        [
            Command(
                "appeal", key, Actor(f"team/{team}", "team", area[:9], team), "a", {"reason": "道路中断"}
            ),
            Command("judge_appeal", key, Actor("county/1", "county", town.COUNTY), "j1", verdict),
            Command("judge_appeal", key, Actor("city/1", "city", town.CITY), "j2", verdict),
        ],
        PAST + timedelta(hours=1),
    )
    assert [o.status for o in outcomes] == ["done"] * 3, outcomes


def _suspend(connection: Connection, desk: Desk) -> None:
    keys = connection.execute(
        "select id from incident where ended_at is null and paused_why is null order by due_at desc limit 3"
    ).fetchall()
    until = (PAST + timedelta(days=1)).isoformat()
    county = Actor("county/1", "county", town.COUNTY)
    wishes = [Command("suspend", key, county, "s", {"reason": "台风", "until": until}) for (key,) in keys]
    outcomes = desk.act(wishes, PAST + timedelta(hours=1))
    assert [o.status for o in outcomes].count("done") >= 2, outcomes


def _by_hand(connection: Connection) -> None:
    """Enter what no life of a small city brings: people on shift, old notes, and what somebody got wrong."""
    old = NOW - timedelta(days=800)
    statements: list[tuple[str, tuple[object, ...]]] = [
        (
            "insert into person (id, name, invented) select n, 'P' || n, true from generate_series(1, 4) n",
            (),
        ),
        (
            "insert into duty (id, person_id, role, area_code, since) select n, n,"
            " case when n %% 2 = 0 then 'dispatcher' else 'duty_leader' end, %s, '2026-01-01'"
            " from generate_series(1, 4) n",
            (town.TOWN,),
        ),
        # Of every holder of something open, the shift ended five minutes ago.
        (
            "insert into shift (team_id, person_id, role, begins_at, ends_at)"
            " select split_part(holder, '/', 2)::int, 1 + (row_number() over ()) %% 4, 'dispatcher',"
            " %s - make_interval(mins => row_number() over ()::int), %s"
            " from (select distinct holder from incident where ended_at is null and holder like 'team/%%') h",
            (NOW - timedelta(hours=8), NOW - timedelta(minutes=5)),
        ),
        ("update team set load = load + 3", ()),
        # What another policy called them: the one in force is to be followed.
        ("update category set name_en = name_en || ', once'", ()),
        ("update incident set facts = facts || '{\"imported\": true}' where source = 'sensor'", ()),
        ("update incident set rating = 1 where state = 'closed' and rating is null", ()),
        (
            "insert into notice (key, severity, receiver, at, zh, en) select 'old/' || n, 3, 'x', %s, '旧', 'old'"
            " from generate_series(1, 9) n",
            (old,),
        ),
        (
            "insert into mismatch (what, subject, stored, recomputed, found_at, gone_at)"
            " select 'x', n::text, '', '', %s, %s from generate_series(1, 9) n",
            (old, old),
        ),
        # Taken in and carried by no case.
        (
            "insert into photo (name, bytes, uploaded_at)"
            " select repeat(n::text, 64), 1, %s from generate_series(1, 9) n",
            (old,),
        ),
    ]
    for statement, values in statements:
        connection.execute(statement.encode(), values)


def _count_writes(connection: Connection) -> None:
    """Count every row that is written; before the one whose number is set, wait at the gate."""
    connection.execute("create schema trial")
    connection.execute("create sequence trial.writes")
    connection.execute("create table trial.halt (at bigint not null)")
    connection.execute("insert into trial.halt values (0)")
    connection.execute(
        "create function trial.step() returns trigger language plpgsql as $$ begin"
        " if nextval('trial.writes') = (select at from trial.halt) then"
        f" perform pg_advisory_lock({GATE[0]}, {GATE[1]}); perform pg_advisory_unlock({GATE[0]}, {GATE[1]});"
        " end if; return coalesce(new, old); end $$"
    )
    for (name,) in connection.execute(
        "select table_name::text from information_schema.tables"
        " where table_schema = 'public' and table_type = 'BASE TABLE' and table_name <> 'alembic_version'"
    ).fetchall():
        connection.execute(
            f"create trigger a_step before insert or update or delete on {name}"
            " for each row execute function trial.step()".encode()
        )


@pytest.fixture
def copies(city_of: CityOf, prepared: str) -> Iterator[Callable[[], str]]:
    """Give the test as many copies of the prepared city as it asks for."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(city_of(prepared))


def run(url: str, stream_url: str, job: Job, monkeypatch: pytest.MonkeyPatch) -> int | None:
    """Run a job here; return its rows, or None when another process is at it."""
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("REDIS_URL", stream_url)
    with Runner() as runner:
        return runner.run(job, NOW)


@contextmanager
def in_the_middle(url: str, stream_url: str, job: Job, writes: int) -> Iterator[Connection]:
    """Start a job in a process of its own and hold it at its `writes`-th row; at the end of the block kill it there."""
    with psycopg.connect(psycopg_dsn(url), autocommit=True) as gate:
        gate.execute("update trial.halt set at = %s", (writes,))
        gate.execute("select pg_advisory_lock(%s, %s)", GATE)
        child = job_begun(
            ["run", job.name, "--as-of", NOW.isoformat()],
            {"DATABASE_URL": url, "REDIS_URL": stream_url},
        )
        try:
            _await(lambda: _waits(gate), child.is_alive)
            yield gate
        finally:
            child.kill()
            child.join()
            gate.execute("update trial.halt set at = 0")
            gate.execute("select pg_advisory_unlock(%s, %s)", GATE)
        # Its connections notice that nobody is there any more; what they had not committed is undone.
        _await(lambda: not _others(gate))


def _await(what: Callable[[], bool], while_true: Callable[[], bool] = lambda: True) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert while_true(), "the process ended before it came to the middle"
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _waits(gate: Connection) -> bool:
    row = gate.execute(
        "select exists (select from pg_locks where locktype = 'advisory' and classid = %s and objid = %s"
        " and database = (select oid from pg_database where datname = current_database()) and not granted)",
        GATE,
    ).fetchone()
    return bool(row and row[0])


def _others(gate: Connection) -> bool:
    row = gate.execute(
        "select exists (select from pg_stat_activity where datname = current_database()"
        " and pid <> pg_backend_pid() and backend_type = 'client backend')"
    ).fetchone()
    return bool(row and row[0])


def everything(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return every table's rows, without what says when and in which transaction they were written."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    with psycopg.connect(psycopg_dsn(url)) as connection:
        columns: dict[str, list[str]] = {}
        for table, column in connection.execute(
            "select table_name::text, column_name::text from information_schema.columns"
            " where table_schema = 'public' and is_identity = 'NO'"
            " and coalesce(column_default, '') !~ 'now\\(\\)|pg_current_xact_id'"
            " and (table_name, column_name) not in (('follower', 'position'), ('told', 'tx'), ('told', 'at'),"
            " ('assessment_month', 'horizon'), ('assessment_month', 'hash'))"
        ).fetchall():
            columns.setdefault(table, []).append(f"{column}::text")
        for table, names in columns.items():
            listed = ", ".join(sorted(names))
            found[table] = sorted(
                connection.execute(f"select {listed} from {table}".encode()).fetchall(), key=str
            )
    return found


@pytest.mark.parametrize("job", [job for job in JOBS if job.name not in ELSEWHERE], ids=lambda job: job.name)
def test_killed_in_the_middle_the_next_run_leaves_what_one_run_would_have(
    job: Job,
    copies: Callable[[], str],
    stream_url: str,
    stream: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half of its rows are written when the kernel ends it; a second process meanwhile finds the turn taken."""
    undisturbed, disturbed = copies(), copies()
    before = everything(undisturbed)
    rows = run(undisturbed, stream_url, job, monkeypatch)
    once = everything(undisturbed)
    assert once != before, "prepare something for this job to do"
    with psycopg.connect(psycopg_dsn(undisturbed)) as connection:
        row = connection.execute("select last_value, is_called from trial.writes").fetchone()
    assert row is not None
    assert row[1]
    with in_the_middle(disturbed, stream_url, job, row[0] // 2 + 1):
        assert run(disturbed, stream_url, job, monkeypatch) is None
    assert run(disturbed, stream_url, job, monkeypatch) is not None
    assert rows is not None
    twice = everything(disturbed)
    assert twice.keys() == once.keys()
    assert [table for table in once if twice[table] != once[table]] == []


def test_a_backup_that_is_killed_leaves_no_half_file_and_no_program_behind(
    copies: Callable[[], str],
    stream_url: str,
    stream: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Held at a table that is locked, killed, and run again: one whole file."""
    url, job = copies(), next(job for job in JOBS if job.name == "backup")
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    # As if servers had been here: root keeps the data of a private folder elsewhere.
    (tmp_path / "postgres").mkdir()
    folder = tmp_path / "backups"
    with (
        psycopg.connect(psycopg_dsn(url)) as holder,
        psycopg.connect(psycopg_dsn(url), autocommit=True) as eye,
    ):
        holder.execute("lock table incident in access exclusive mode")
        child = subprocess.Popen(
            [sys.executable, "-m", "jobs", "run", "backup", "--as-of", NOW.isoformat()],
            cwd=ROOT,
            env=os.environ | {"DATABASE_URL": url, "REDIS_URL": stream_url},
            stdout=subprocess.DEVNULL,
        )
        try:
            _await(lambda: _dumps(eye) > 0, lambda: child.poll() is None)
            assert run(url, stream_url, job, monkeypatch) is None
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
        holder.rollback()
        _await(lambda: _dumps(eye) == 0)
    folder.mkdir(exist_ok=True)
    assert list(folder.glob("*.dump")) == []
    (folder / "gridwhistle-20260101T000000Z.part").write_text("half")
    assert run(url, stream_url, job, monkeypatch) is not None
    assert [file.suffix for file in folder.iterdir()] == [".dump"]


def _dumps(eye: Connection) -> int:
    row = eye.execute(
        "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'pg_dump'"
    ).fetchone()
    return int(row[0]) if row is not None else 0


def test_killed_between_letters_the_next_run_masks_the_rest_and_doubles_none(
    copies: Callable[[], str],
    stream_url: str,
    stream: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each letter is in one of the two streams at every moment, and all are masked in the end."""
    url, job = copies(), next(job for job in JOBS if job.name == "letters")
    first = int((NOW - timedelta(days=3)).timestamp() * 1000)
    problem = Problem("", "not_json")
    with stream.pipeline(transaction=False) as steps:
        for number in range(LETTERS):
            written = dead_letters.written(b"call 13900139000", problem, b"1-0", NOW - timedelta(days=3))
            steps.xadd(dead_letters.DEAD_STREAM, written, id=f"{first + number}-0")
        steps.execute()
    killed_halfway(
        "import sys\nfrom dispatch.intake.consumer import dead_letters as letters\nfrom jobs.__main__ import main\n"
        "mask, seen = letters._without_contacts, []\n"
        "def held(fields):\n"
        f"    len(seen) == {LETTERS // 2} and halt()\n    seen.append(1)\n    return mask(fields)\n"
        "letters._without_contacts = held\nsys.exit(main(['run', 'letters', '--as-of', sys.argv[1]]))",
        NOW.isoformat(),
        environment={"DATABASE_URL": url, "REDIS_URL": stream_url},
    )
    moved: Any = stream.xlen(dead_letters.OLD_STREAM)
    assert moved == LETTERS // 2
    assert dead_letters.count(stream) == LETTERS
    assert run(url, stream_url, job, monkeypatch) == LETTERS - moved
    assert [each.id for each in dead_letters.letters(stream, LETTERS + 1)] == [
        f"{first + number}-0" for number in reversed(range(LETTERS))
    ]
    assert {each.raw for each in dead_letters.letters(stream, LETTERS)} == {b"call ***"}
