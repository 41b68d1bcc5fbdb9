"""Brings a database to the newest schema, safely from several processes at once and while others are at work."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psycopg.errors
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from models.servers.database import ServersError

SCRIPTS = Path(__file__).parent
# A migration that waits for a lock makes everybody queue behind it: give up soon, try again a little later.
LOCK_ATTEMPTS = 6
LOCK_PAUSE_S = 2.0


def config(database_url: str, told: Callable[[str], object] | None = None) -> Config:
    """Return Alembic's settings for a database; there is no alembic.ini to keep in step."""
    settings = Config()
    settings.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    # An attribute, not an option: options treat the percent signs of an address as their own.
    settings.attributes["database_url"] = database_url
    settings.attributes["told"] = told
    return settings


def upgrade(database_url: str, revision: str = "head", told: Callable[[str], object] | None = None) -> None:
    """Apply all migrations up to `revision`, one process at a time.

    `told` hears of each step that a database with a schema takes, with its seconds; making a new one is no step.

    A lock that stays taken is waited for `LOCK_ATTEMPTS` times; after that SQLAlchemy's error is raised. Each
    migration is one transaction, so a failed one leaves nothing behind. Raises ServersError for a database that
    is newer than this program.
    """
    for attempt in range(1, LOCK_ATTEMPTS + 1):
        try:
            command.upgrade(config(database_url, told), revision)
            return
        except CommandError as error:
            raise ServersError(f"The database cannot be brought to this program's schema: {error}") from error
        except DBAPIError as error:
            if attempt == LOCK_ATTEMPTS or not isinstance(error.orig, psycopg.errors.LockNotAvailable):
                raise
        time.sleep(LOCK_PAUSE_S * attempt)
