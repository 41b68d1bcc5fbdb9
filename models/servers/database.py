"""Knows the way to the two servers: their addresses, the form that the driver takes, the one pool of connections."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from models.servers import places

DATABASE = SUPERUSER = "gridwhistle"


@dataclass(frozen=True)
class Servers:
    """Name the two servers: `postgresql+psycopg://…` for SQLAlchemy, `unix://…` or `redis://…` for the stream."""

    database_url: str
    redis_url: str


class ServersError(RuntimeError):
    """A server cannot be started here; the message says why and what to do, in words for whoever started it."""


def addresses(data_dir: Path | None = None) -> Servers:
    """Return where the servers are or will be, from the environment and the data folder; start and write nothing."""
    home = places.home_of(places.data_dir(data_dir))
    database_url = os.environ.get("DATABASE_URL")
    redis_url = os.environ.get("REDIS_URL")
    return Servers(
        _sqlalchemy_url(database_url) if database_url else local_database(home, DATABASE),
        redis_url or local_stream(home),
    )


def psycopg_dsn(database_url: str) -> str:
    """Return the address in the form that psycopg itself takes, without SQLAlchemy's name for the driver."""
    return _sqlalchemy_url(database_url).replace("postgresql+psycopg://", "postgresql://", 1)


def local_database(home: Path, database: str) -> str:
    """Return the address of a database of the server whose data lies under `home`."""
    folder = quote(str(places.socket_dir(home / "postgres")), safe="/")
    return f"postgresql+psycopg://{SUPERUSER}@/{database}?host={folder}"


def local_stream(home: Path) -> str:
    """Return the address of the stream server whose data lies under `home`."""
    return f"unix://{quote(str(places.valkey_socket(home)), safe='/')}?db=0"


def _sqlalchemy_url(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.partition("+")[0] not in ("postgresql", "postgres"):
        raise ServersError(f"DATABASE_URL must begin with postgresql://, not {scheme[:20]!r}")
    return f"postgresql+psycopg://{rest}"
