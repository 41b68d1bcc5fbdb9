"""Lends cities that lived six weeks to tests of what is counted in them."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from models.servers.database import psycopg_dsn
from tests.lived_city import Connection
from tests.templates import CityOf


@pytest.fixture
def url(city_of: CityOf, request: pytest.FixtureRequest) -> Iterator[str]:
    """Give the test a lived-in city of its own: nothing counted in it yet, or what its mark `city` names."""
    mark = request.node.get_closest_marker("city")
    with city_of(mark.args[0] if mark else "history") as url:
        yield url


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    """Open a connection as jobs have one: each transaction is begun where it is needed."""
    with psycopg.connect(psycopg_dsn(url), autocommit=True) as open_one:
        yield open_one
