"""Keep the keys without a person behind them: of walls, each for one area, and of sources that report over HTTP."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import psycopg

from dispatch.accounts.sessions import digest, note
from dispatch.rules.areas import level_of

NOTE_LENGTH = 100
_SOURCE = re.compile(r"[a-z0-9][a-z0-9_-]{1,31}")
Kind = Literal["wall", "api"]
# Table, and the columns that say what a key of the kind opens and what it is for.
_OF: dict[str, tuple[str, str]] = {"wall": ("wall_key", "area_code, note"), "api": ("api_key", "source, ''")}


class RefusedKey(ValueError):
    """A key was not made or revoked; says why."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key as it may be shown: what it opens and since when, never the key itself."""

    id: int
    opens: str
    note: str
    created_at: datetime
    revoked_at: datetime | None


def new(
    connection: psycopg.Connection[Any], kind: Kind, opens: str, now: datetime, about: str = "", by: str = ""
) -> str:
    """Make a key that opens the wall of an area, or the HTTP door for a source; return it, for this once.

    Only its SHA-256 is kept. Raises RefusedKey naming what is wrong.
    """
    opens, about = opens.strip(), about.strip()
    if len(about) > NOTE_LENGTH:
        raise RefusedKey(f"note: at most {NOTE_LENGTH} characters")
    key = secrets.token_urlsafe(32)
    with connection.transaction():
        if kind == "wall":
            _area(connection, opens)
            connection.execute(
                "insert into wall_key (area_code, sha256, note, created_at) values (%s, %s, %s, %s)",
                (opens, digest(key), about, now),
            )
        else:
            if _SOURCE.fullmatch(opens) is None:
                raise RefusedKey("source: 2 to 32 of a-z, 0-9, hyphen and underscore")
            connection.execute(
                "insert into api_key (source, sha256, created_at) values (%s, %s, %s)",
                (opens, digest(key), now),
            )
        note(connection, f"{kind}_key", now, by=by, about=opens)
    return key


def revoke(connection: psycopg.Connection[Any], kind: Kind, key_id: int, now: datetime, by: str = "") -> None:
    """Shut a key for good, within seconds everywhere; raise RefusedKey where there is no such key in force."""
    table, _ = _OF[kind]
    with connection.transaction():
        done = connection.execute(
            f"update {table} set revoked_at = %s where id = %s and revoked_at is null", (now, key_id)
        ).rowcount
        if not done:
            raise RefusedKey(f"id: there is no key {key_id} in force")
        note(connection, f"{kind}_key_revoked", now, by=by, about=str(key_id))


def listed(connection: psycopg.Connection[Any], kind: Kind) -> list[Key]:
    """Return every key of a kind, those in force first, the newest first."""
    table, columns = _OF[kind]
    rows = connection.execute(
        f"select id, {columns}, created_at, revoked_at from {table} order by revoked_at is not null, id desc"
    ).fetchall()
    return [Key(*row) for row in rows]


def _area(connection: psycopg.Connection[Any], code: str) -> None:
    try:
        level_of(code)
    except ValueError:
        raise RefusedKey(f"area: {code[:20]} is no code of an area") from None
    if connection.execute("select from area where code = %s", (code,)).fetchone() is None:
        raise RefusedKey(f"area: there is no area {code}")
