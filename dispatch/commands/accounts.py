"""Keep accounts from the console: `python -m dispatch accounts`."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from datetime import UTC, datetime

import psycopg

from dispatch.accounts import people
from dispatch.accounts.sessions import AccountError
from models.servers.servers import addresses, psycopg_dsn


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `python -m dispatch accounts` takes."""
    commands = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    adding = commands.add_parser(
        "add", help="make an account; the password is asked for, or read from standard input"
    )
    listing = commands.add_parser("list", help="show every account")
    listing.add_argument("--json", action="store_true", help="one JSON list instead of a table")
    shutting = commands.add_parser("disable", help="shut an account and end its sessions")
    opening = commands.add_parser("enable", help="open a shut account again")
    secret = commands.add_parser(
        "password", help="set a password anew; it is asked for, or read from standard input"
    )
    role = commands.add_parser("role", help="give an account another role, area or team")
    for each in (adding, shutting, opening, secret, role):
        each.add_argument("login")
    for each in (adding, role):
        each.add_argument("--role", required=True, choices=people.PEOPLE)
        each.add_argument("--area", required=True, metavar="CODE", help="the area whose subtree is theirs")
        each.add_argument("--team", type=int, metavar="ID", help="the team, for the role team")
    adding.add_argument("--name", default="", help="as others are shown it")
    adding.add_argument("--subject", help="the identity provider's name for this person (sub)")


def run(args: argparse.Namespace) -> int:
    """Do what was asked; return 0, or 1 with the reason on standard error."""
    now = datetime.now(UTC)
    try:
        with psycopg.connect(psycopg_dsn(addresses().database_url), connect_timeout=5) as connection:
            match args.what:
                case "list":
                    _show(people.listed(connection, now), args.json)
                case "add":
                    people.add(
                        connection, args.login, _typed(), args.role, args.area, now, args.name, args.team, args.subject,
                        by="console",
                    )  # fmt: skip
                case "disable":
                    people.disable(connection, args.login, now, by="console")
                case "enable":
                    people.enable(connection, args.login, now, by="console")
                case "password":
                    people.reset(connection, args.login, _typed(), now, by="console")
                case "role":
                    people.assign(connection, args.login, args.role, args.area, now, args.team, by="console")
    except AccountError as refusal:
        print(refusal, file=sys.stderr)
        return 1
    except psycopg.Error as fault:
        print(
            f"{type(fault).__name__}: does the database run, and is its schema the newest?", file=sys.stderr
        )
        return 1
    return 0


def _typed() -> str:
    """Return a password from the terminal, or the first line of standard input: never from the command line."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("Password: ")
    if first != getpass.getpass("Once more: "):
        raise AccountError("password: the two differ")
    return first


def _show(accounts: list[people.Account], as_json: bool) -> None:
    if as_json:
        keys = ("login", "name", "role", "area_code", "team_id", "demo", "sessions", "failed")
        rows = [
            {key: getattr(each, key) for key in keys} | {"in_use": each.disabled_at is None}
            for each in accounts
        ]
        print(json.dumps(rows, ensure_ascii=False))
        return
    for each in accounts:
        state = "shut" if each.disabled_at is not None else f"{each.sessions} sessions"
        print(f"{each.login:<20} {each.role:<12} {each.area_code:<18} {state:<12} {each.name}")
