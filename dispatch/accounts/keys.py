"""Keep the keys without a person behind them: of walls, each for one area, and of sources that report over HTTP."""

from __future__ import annotations

import argparse
import json
import re
import secrets
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import psycopg

from dispatch.accounts.sessions import digest, note
from dispatch.rules.areas import level_of
from models.servers.database import addresses, psycopg_dsn

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


# --- the commands -------------------------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `python -m dispatch wall-key` and `api-key` take: which of the two its last word says."""
    kind: Kind = "wall" if parser.prog.endswith("wall-key") else "api"
    parser.set_defaults(kind=kind)
    commands = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    making = commands.add_parser("new", help="make a key; it is printed once and kept nowhere")
    making.add_argument("opens", metavar="AREA" if kind == "wall" else "SOURCE")
    if kind == "wall":
        making.add_argument("--note", default="", help="where the wall hangs, in a few words")
    listing = commands.add_parser("list", help="show every key: what it opens, never the key")
    listing.add_argument("--json", action="store_true", help="one JSON list instead of a table")
    commands.add_parser("revoke", help="shut a key for good").add_argument("id", type=int)


def run(args: argparse.Namespace) -> int:
    """Do what was asked; return 0, or 1 with the reason on standard error."""
    now = datetime.now(UTC)
    try:
        with psycopg.connect(psycopg_dsn(addresses().database_url), connect_timeout=5) as connection:
            match args.what:
                case "new":
                    print(
                        new(connection, args.kind, args.opens, now, getattr(args, "note", ""), by="console")
                    )
                    print("Keep it well: it is shown this once.", file=sys.stderr)
                case "revoke":
                    revoke(connection, args.kind, args.id, now, by="console")
                case "list":
                    _show(listed(connection, args.kind), args.json)
    except RefusedKey as refusal:
        print(refusal, file=sys.stderr)
        return 1
    except psycopg.Error as fault:
        print(
            f"{type(fault).__name__}: does the database run, and is its schema the newest?", file=sys.stderr
        )
        return 1
    return 0


def _show(keys: list[Key], as_json: bool) -> None:
    if as_json:
        rows = [
            {"id": k.id, "opens": k.opens, "note": k.note, "since": k.created_at.isoformat()}
            | {"in_force": k.revoked_at is None}
            for k in keys
        ]
        print(json.dumps(rows, ensure_ascii=False))
        return
    for k in keys:
        state = "in force" if k.revoked_at is None else f"revoked {k.revoked_at:%Y-%m-%d}"
        print(f"{k.id:>5}  {k.opens:<20} since {k.created_at:%Y-%m-%d}  {state:<20} {k.note}")
