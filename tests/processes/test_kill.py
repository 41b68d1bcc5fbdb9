"""Kill the dispatcher, the database and the stream server in the middle of the work: every message once, none lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest
import redis

from dispatch.intake import message_stream
from dispatch.intake.dead_letters import DEAD_STREAM, FIELD, STREAM
from models.cities import loading
from models.migrations import migrate
from models.servers import servers
from models.servers.database import Servers, addresses, psycopg_dsn
from tests import small_city as town
from tests.conftest import open_folder

pytestmark = pytest.mark.processes

CHUNK = 100
AHEAD = 500  # messages that wait, so that every kill falls into the middle of work
BETWEEN = 400  # incidents, from the start and from one kill to the next
PATIENCE_S = 300.0
ROOT = Path(__file__).resolve().parents[2]

T = TypeVar("T")


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Start servers of our own, which the test may kill, with the small city; yield their data folder."""
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    folder = open_folder("gridwhistle-kill-")
    where = servers.start(folder)
    try:
        migrate.upgrade(where.database_url)
        loading.store(where.database_url, town.build())
        yield folder
    finally:
        servers.stop(folder)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def dispatching(folder: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run a dispatcher in a process of its own; yield a list whose last member is the living one."""
    running: list[subprocess.Popen[bytes]] = [launch(folder)]
    try:
        yield running
    finally:
        running[-1].send_signal(signal.SIGTERM)
        assert running[-1].wait(PATIENCE_S) == 0


def launch(folder: Path) -> subprocess.Popen[bytes]:
    """Start what `python -m dispatch run` does, small batches, so that a kill falls between many.

    A dispatcher that no longer says that it lives is given up soon, or the test would wait for that alone.
    """
    environment = os.environ | {"DATA_DIR": str(folder)}
    program = (
        "import sys; from dispatch.__main__ import main; from dispatch.intake import consumer\n"
        "consumer.HEARTBEAT_EVERY_S, consumer.HEARTBEAT_TTL_S, consumer.DEAD_IDLE_MS = 0.5, 3, 1_000\n"
        "sys.exit(main(['run', '--batch', '50']))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.DEVNULL,
    )


class Source:
    """Send messages as long as it is asked to, always `AHEAD` of the dispatcher.

    A chunk whose answer is lost is sent again, as a careful source does.
    """

    def __init__(self, where: Servers) -> None:
        self.sent = 0
        self._where = where
        self._enough = threading.Event()

    def _send(self) -> None:
        while not self._enough.is_set():
            if patiently(lambda: waiting(self._where)) >= AHEAD:
                self._enough.wait(0.01)
                continue
            raws = [town.raw(serial) for serial in range(self.sent, self.sent + CHUNK)]
            patiently(lambda raws=raws: put(self._where, raws))  # type: ignore[misc]
            self.sent += CHUNK

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Send while inside, more than the dispatcher can have taken at every moment."""
        with ThreadPoolExecutor(1) as own:
            work = own.submit(self._send)
            try:
                yield
            finally:
                self._enough.set()
            work.result()


def put(where: Servers, raws: list[bytes]) -> bool:
    """Put messages on the stream in one step."""
    with redis.Redis.from_url(where.redis_url) as stream, stream.pipeline(transaction=True) as steps:
        for raw in raws:
            steps.xadd(STREAM, {FIELD: raw})
        steps.execute()
    return True


def patiently(step: Callable[[], T]) -> T:
    """Do a step until it answers something but False; servers may be away meanwhile."""
    end = time.monotonic() + PATIENCE_S
    while True:
        with suppress(redis.RedisError, psycopg.Error, OSError):
            if (found := step()) is not False:
                return found
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def count(where: Servers) -> int:
    """Return the number of incidents."""
    with psycopg.connect(psycopg_dsn(where.database_url), connect_timeout=2) as connection:
        row = connection.execute("SELECT count(*) FROM incident").fetchone()
        assert row is not None
        return int(row[0])


def server_pid(where: Servers, which: str) -> int:
    """Return the process id of a server, asked from itself."""
    if which == "stream":
        with redis.Redis.from_url(where.redis_url) as stream:
            return int(stream.info("server")["process_id"])
    with psycopg.connect(psycopg_dsn(where.database_url)) as connection:
        row = connection.execute("SELECT pg_read_file('postmaster.pid')").fetchone()
        assert row is not None
        return int(str(row[0]).split()[0])


def waiting(where: Servers) -> int:
    """Return how many messages are not acknowledged."""
    with redis.Redis.from_url(where.redis_url, protocol=2) as stream:
        return message_stream.lag(stream)


@pytest.mark.parametrize("victim", ["dispatcher", "database", "stream"])
def test_every_message_becomes_one_incident_whoever_is_killed(home: Path, victim: str) -> None:
    where = addresses(home)
    source = Source(where)
    with dispatching(home) as running:
        with source.sending():
            for kills in (1, 2):
                patiently(lambda kills=kills: count(where) >= kills * BETWEEN)  # type: ignore[misc]
                if victim == "dispatcher":
                    running[-1].kill()
                    running[-1].wait()
                    running.append(launch(home))
                else:
                    os.kill(server_pid(where, victim), signal.SIGKILL)
                    servers.start(home)
            patiently(lambda: count(where) >= 3 * BETWEEN)
        patiently(lambda: waiting(where) == 0 and count(where) >= source.sent)
    messages = source.sent
    assert count(where) == messages
    with psycopg.connect(psycopg_dsn(where.database_url)) as connection:
        found = connection.execute(
            "SELECT count(DISTINCT number), count(DISTINCT source_id) FROM incident"
        ).fetchone()
        assert found == (messages, messages)
        unsegmented = (
            "SELECT count(*) FROM incident i WHERE NOT EXISTS (SELECT FROM event WHERE incident_id = i.id)"
        )
        assert connection.execute(unsegmented).fetchone() == (0,)
    with redis.Redis.from_url(where.redis_url) as stream:
        assert stream.xlen(DEAD_STREAM) == 0
