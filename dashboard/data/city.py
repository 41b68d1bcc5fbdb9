"""The one reader of the city that pages and walls share."""

from __future__ import annotations

import hashlib
from functools import cache

from dashboard.data.listing import ListReads
from dashboard.data.live_rows import LiveReads
from models.servers.database import addresses


class CityReads(LiveReads, ListReads):
    """Read the city; safe to share between threads. Every method raises `psycopg.Error` when the database does."""


@cache
def reads() -> CityReads:
    """Return the reader of the database that the environment or the data folder names; one for the process."""
    return CityReads(addresses().database_url)


def digest(key: str) -> str:
    """Return the form in which a key is remembered: its SHA-256 in hex."""
    return hashlib.sha256(key.encode()).hexdigest()
