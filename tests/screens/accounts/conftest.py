"""Lends one small city to all tests of a module, and each a dispatcher of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from dispatch.accounts import people
from models.servers.database import psycopg_dsn
from tests.signed_in import NOW, PASSWORD, Connection
from tests.small_city import TOWN
from tests.templates import CityOf


@pytest.fixture(scope="module")
def city(city_of: CityOf) -> Iterator[str]:
    """Load a small city once; each test makes accounts of its own in it."""
    with city_of("small") as url:
        yield url


@pytest.fixture
def connection(city: str) -> Iterator[Connection]:
    """Lend a connection to the city."""
    with psycopg.connect(psycopg_dsn(city), autocommit=True) as connection:
        yield connection


@pytest.fixture
def login(connection: Connection) -> str:
    """Make one dispatcher of the town; return the login."""
    name = f"d{uuid.uuid4().hex[:10]}"
    people.add(connection, name, PASSWORD, "dispatcher", TOWN, NOW, "陈")
    return name
