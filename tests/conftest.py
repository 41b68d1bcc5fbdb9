"""Shares one pair of real servers among all tests, and gives each a database and a stream of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest
import redis
from sqlalchemy import make_url

from models import migrate
from models.servers import Servers, psycopg_dsn, temporary

TEMPLATE = "template_migrated"
# Valkey's last logical database: what a test leaves in it is never mistaken for anybody's data.
STREAM_DATABASE = 15


def _address(servers: Servers, database: str) -> str:
    return make_url(servers.database_url).set(database=database).render_as_string(hide_password=False)


def _administer(servers: Servers, statement: str) -> None:
    with psycopg.connect(psycopg_dsn(_address(servers, "postgres")), autocommit=True) as connection:
        connection.execute(statement.encode())


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Start one temporary pair of servers for the whole run."""
    with temporary() as pair:
        yield pair


@pytest.fixture(scope="session")
def template(servers: Servers) -> str:
    """Migrate one database that every test's own is copied from; return its name."""
    _administer(servers, f"CREATE DATABASE {TEMPLATE}")
    migrate.upgrade(_address(servers, TEMPLATE))
    return TEMPLATE


@pytest.fixture
def database(servers: Servers, template: str) -> Iterator[str]:
    """Give the test a fresh migrated database; yield its address for SQLAlchemy."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    _administer(servers, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    yield _address(servers, name)
    _administer(servers, f"DROP DATABASE {name} WITH (FORCE)")


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
