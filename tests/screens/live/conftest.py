"""Lends one demo city to all tests of a module, and each a reader of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dashboard.data import CityReads
from tests.templates import CityOf


@pytest.fixture(scope="module")
def city(city_of: CityOf) -> Iterator[str]:
    """Load the demo city once; tests that write use incidents of their own."""
    with city_of("demo") as url:
        yield url


@pytest.fixture
def reads(city: str) -> Iterator[CityReads]:
    reads = CityReads(city)
    yield reads
    reads.close()
