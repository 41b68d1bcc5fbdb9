"""Shares one pair of real servers among all tests, and gives each a database and a stream of its own."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime, timedelta
from datetime import time as clock
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import psycopg
import pytest
import redis
from sqlalchemy import make_url

from models.servers import servers as running
from models.servers.database import Servers, psycopg_dsn
from models.servers.servers import temporary
from tests.templates import CityOf, Templates

# However the environment stands: hundreds of processes start here, and each would compile all of this code anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

Away = Callable[[Literal["database", "stream"]], AbstractContextManager[None]]

CITY_ZONE = ZoneInfo("Asia/Shanghai")
# The rooms whose files take longest come first: what is left for the end, where one worker may be alone, is short.
SLOWEST_FIRST = ("browser", "processes", "screens", "figures", "desk", "notices", "intake", "rules")
TESTS = Path(__file__).parent
# A folder that is no disk: to copy a city there takes a sixth of the work. Two workers hold some gigabytes at most.
MEMORY, MEMORY_NEEDED_BYTES = Path("/dev/shm"), 8 * 10**9
# Valkey's last logical database: what a test leaves in it is never mistaken for anybody's data.
STREAM_DATABASE = 15


def _address(servers: Servers, database: str) -> str:
    return make_url(servers.database_url).set(database=database).render_as_string(hide_password=False)


def _administer(servers: Servers, statement: str) -> None:
    with psycopg.connect(psycopg_dsn(_address(servers, "postgres")), autocommit=True) as connection:
        connection.execute(statement.encode())


def _memory() -> Path | None:
    return MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_NEEDED_BYTES else None


def open_folder(prefix: str) -> Path:
    """Make a folder that the account of servers can reach, in memory where there is room for it.

    Not pytest's own, which is private. What a killed server has written is there as it is on a disk.
    """
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=_memory() or "/tmp"))
    folder.chmod(0o755)
    return folder


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Start one temporary pair of servers for the whole run, in memory where there is room for it."""
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            if (memory := _memory()) is not None:
                patch.setattr(tempfile, "tempdir", str(memory))
            pair = stack.enter_context(temporary())
        _never_wait_for_the_disk(pair)
        yield pair


@pytest.fixture(autouse=True)
def _main_stays() -> Iterator[None]:
    """Put back the main module, which a tried page leaves to its own script: a spawned process would run that page."""
    held = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = held


def _never_wait_for_the_disk(servers: Servers) -> None:
    """Let these servers write to memory alone: nothing they hold outlives the run, and every test waits for them.

    What must outlive a killed server is proved on servers of the test's own, which keep their settings.
    """
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        _administer(servers, f"ALTER SYSTEM SET {setting} = off")
    _administer(servers, "ALTER SYSTEM SET max_wal_size = '512MB'")
    _administer(servers, "SELECT pg_reload_conf()")
    with redis.Redis.from_url(servers.redis_url) as stream:
        stream.config_set("appendfsync", "no")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the slowest rooms first; within a room the order stays."""
    rank = {name: n for n, name in enumerate(SLOWEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.relative_to(TESTS).parts[0], len(rank)))


def pytest_collection_finish() -> None:
    """Search seldom for circles that nobody holds, and never in what was imported: it took a seventh of the work."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let no test begin just before the city's day ends: the numbers of today begin anew in the middle of it.

    However busy the machine is: the longest take a minute or two where nothing else runs.
    """
    slow = any(item.get_closest_marker(name) for name in ("browser", "processes"))
    now = datetime.now(CITY_ZONE)
    left = datetime.combine(now.date() + timedelta(days=1), clock(), CITY_ZONE) - now
    if left < timedelta(seconds=600 if slow else 120):
        time.sleep(left.total_seconds() + 1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare `--away SECONDS`: how long a server stays stopped where a test stops one; else until it has shown."""
    parser.addoption("--away", type=float, default=0.0, metavar="SECONDS")


@pytest.fixture(scope="session")
def away(servers: Servers, request: pytest.FixtureRequest) -> Away:
    """Lend what stops one of the two servers for the time of a block, really, and starts it again."""
    least_s: float = request.config.getoption("--away")

    @contextmanager
    def stopped(which: Literal["database", "stream"]) -> Iterator[None]:
        home = Path(servers.redis_url.removeprefix("unix://").partition("?")[0]).parents[1]
        began = time.monotonic()
        try:
            if which == "stream":
                running._end(home / "valkey", running._valkey_pid(home), signal.SIGTERM)
                assert not running.stream_answers(servers.redis_url)
            else:
                running._end(home / "postgres", running._postgres_pid(home), signal.SIGINT)
                assert not running.database_answers(servers.database_url)
            yield
            time.sleep(max(0.0, began + least_s - time.monotonic()))
        finally:
            running._start_in(home, database=True, stream=True)
            _never_wait_for_the_disk(servers)

    return stopped


@pytest.fixture(scope="session")
def city_of(servers: Servers) -> Iterator[CityOf]:
    """Yield what lends a city of one's own: a copy of the template of that name, see `tests.templates`."""
    templates = Templates(servers)
    yield templates.city_of
    templates.close()


@pytest.fixture
def database(city_of: CityOf, request: pytest.FixtureRequest) -> Iterator[str]:
    """Give the test a database of its own: migrated and empty, or what its mark `city` names; yield its address."""
    mark = request.node.get_closest_marker("city")
    with city_of(mark.args[0] if mark else "migrated") as url:
        yield url


@pytest.fixture
def stream_url(servers: Servers) -> str:
    """Return the address of the logical database that `stream` empties, for processes that a test starts."""
    return servers.redis_url.replace("db=0", f"db={STREAM_DATABASE}")


@pytest.fixture
def stream(stream_url: str) -> Iterator[redis.Redis]:
    """Give the test an empty stream database, answering in bytes."""
    client = redis.Redis.from_url(stream_url, decode_responses=False)
    client.flushdb()
    yield client
    client.close()


@pytest.fixture(scope="session")
def pictured(city_of: CityOf) -> Iterator[str]:
    """Lend the demo city that lived six weeks, counted by day and published, to tests that only read."""
    with city_of("lived") as url:
        yield url
