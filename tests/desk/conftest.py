"""Gives tests of the Desk a city of their own and a Desk on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dispatch.desk.desk import Desk


@pytest.fixture
def city(database: str) -> str:
    """Give the test a database with the small city."""
    return database


@pytest.fixture
def desk(city: str) -> Iterator[Desk]:
    """Give the test a Desk of that city."""
    with Desk(city) as one:
        yield one
