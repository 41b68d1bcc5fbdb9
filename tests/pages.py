"""Point the pages at a database of a test's own, and take them off it again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dashboard import data
from dashboard.data import CityReads


@contextmanager
def pointed(
    patch: pytest.MonkeyPatch, database_url: str, redis_url: str, demo: bool = True
) -> Iterator[CityReads]:
    """Lend the pages' door to a city, nothing kept of any other, with the demo's doors open or shut."""
    patch.setenv("DATABASE_URL", database_url)
    patch.setenv("REDIS_URL", redis_url)
    patch.setenv("DEMO", "1" if demo else "0")
    data.reads.cache_clear()
    yield data.reads()
    data.reads().close()
    data.reads.cache_clear()
