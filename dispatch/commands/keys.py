"""Keep the keys of walls and of sources: `python -m dispatch wall-key` and `api-key`."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime

import psycopg

from dispatch.accounts import keys
from models.servers.servers import addresses, psycopg_dsn


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `python -m dispatch wall-key` and `api-key` take: which of the two its last word says."""
    kind: keys.Kind = "wall" if parser.prog.endswith("wall-key") else "api"
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
                        keys.new(
                            connection, args.kind, args.opens, now, getattr(args, "note", ""), by="console"
                        )
                    )
                    print("Keep it well: it is shown this once.", file=sys.stderr)
                case "revoke":
                    keys.revoke(connection, args.kind, args.id, now, by="console")
                case "list":
                    _show(keys.listed(connection, args.kind), args.json)
    except keys.RefusedKey as refusal:
        print(refusal, file=sys.stderr)
        return 1
    except psycopg.Error as fault:
        print(
            f"{type(fault).__name__}: does the database run, and is its schema the newest?", file=sys.stderr
        )
        return 1
    return 0


def _show(found: list[keys.Key], as_json: bool) -> None:
    if as_json:
        rows = [
            {"id": k.id, "opens": k.opens, "note": k.note, "since": k.created_at.isoformat()}
            | {"in_force": k.revoked_at is None}
            for k in found
        ]
        print(json.dumps(rows, ensure_ascii=False))
        return
    for k in found:
        state = "in force" if k.revoked_at is None else f"revoked {k.revoked_at:%Y-%m-%d}"
        print(f"{k.id:>5}  {k.opens:<20} since {k.created_at:%Y-%m-%d}  {state:<20} {k.note}")
