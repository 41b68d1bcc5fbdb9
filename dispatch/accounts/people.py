"""Keep accounts: who has one, with which role over which area or team, and what was changed by whom."""

from __future__ import annotations

import argparse
import getpass
import json
import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import class_row

from dispatch.accounts.sessions import ABSOLUTE, IDLE, AccountError, digest, hashed, note, sign_out_everywhere
from dispatch.rules.areas import level_of
from models.servers.database import addresses, psycopg_dsn
from models.tables.accounts import ROLES

# What the role `system` does, no person does.
PEOPLE = tuple(role for role in ROLES if role != "system")
_LOGIN = re.compile(r"[a-z0-9][a-z0-9._-]{1,31}")


@dataclass(frozen=True, slots=True)
class Account:
    """One line of the list of accounts."""

    id: int
    login: str
    name: str
    role: str
    area_code: str
    team_id: int | None
    disabled_at: datetime | None
    demo: bool
    sessions: int
    last_seen_at: datetime | None
    failed: int  # sign-ins refused in the last 24 hours


def add(
    connection: psycopg.Connection[Any],
    login: str,
    password: str,
    role: str,
    area_code: str,
    now: datetime,
    name: str = "",
    team_id: int | None = None,
    subject: str | None = None,
    by: str = "",
) -> int:
    """Make an account and return its id; raise AccountError naming the field that is wrong."""
    login = login.strip().lower()
    if _LOGIN.fullmatch(login) is None:
        raise AccountError(
            "login: 2 to 32 of a-z, 0-9, dot, hyphen and underscore, beginning with a letter or digit"
        )
    if len(name) > 64:
        raise AccountError("name: at most 64 characters")
    team_id = _fitting(connection, role, area_code, team_id)
    secret = hashed(password)
    with connection.transaction():
        row = connection.execute(
            "insert into account (login, name, role, area_code, team_id, password_hash, subject)"
            " values (%s, %s, %s, %s, %s, %s, %s) on conflict do nothing returning id",
            (login, name.strip(), role, area_code, team_id, secret, subject or None),
        ).fetchone()
        if row is None:
            raise AccountError(f"login: there is an account {login} already, or one with this subject")
        note(connection, "added", now, row[0], by, about=f"{role} {area_code}")
    return int(row[0])


def disable(connection: psycopg.Connection[Any], login: str, now: datetime, by: str = "") -> None:
    """Shut an account and end its sessions; raise AccountError where there is no such account in use."""
    with connection.transaction():
        row = connection.execute(
            "update account set disabled_at = %s where login = %s and disabled_at is null returning id",
            (now, login),
        ).fetchone()
        if row is None:
            raise AccountError(f"login: there is no account {login} in use")
        sign_out_everywhere(connection, row[0])
        note(connection, "disabled", now, row[0], by)


def enable(connection: psycopg.Connection[Any], login: str, now: datetime, by: str = "") -> None:
    """Open a shut account again; raise AccountError where there is no such account."""
    with connection.transaction():
        account_id = _known(connection, login)
        connection.execute("update account set disabled_at = null where id = %s", (account_id,))
        note(connection, "enabled", now, account_id, by)


def reset(
    connection: psycopg.Connection[Any], login: str, password: str, now: datetime, by: str = ""
) -> None:
    """Set a password anew, end the account's sessions and unlock it; raise AccountError naming what is wrong."""
    secret = hashed(password)
    with connection.transaction():
        account_id = _known(connection, login)
        connection.execute("update account set password_hash = %s where id = %s", (secret, account_id))
        connection.execute("delete from attempt where login_sha256 = %s", (digest(f"login:{login}"),))
        sign_out_everywhere(connection, account_id)
        note(connection, "reset", now, account_id, by)


def assign(
    connection: psycopg.Connection[Any],
    login: str,
    role: str,
    area_code: str,
    now: datetime,
    team_id: int | None = None,
    by: str = "",
) -> None:
    """Give an account another role, area or team, in force at once; raise AccountError naming what is wrong."""
    with connection.transaction():
        account_id = _known(connection, login)
        team_id = _fitting(connection, role, area_code, team_id)
        connection.execute(
            "update account set role = %s, area_code = %s, team_id = %s where id = %s",
            (role, area_code, team_id, account_id),
        )
        note(connection, "role", now, account_id, by, about=f"{role} {area_code}")


def listed(connection: psycopg.Connection[Any], now: datetime) -> list[Account]:
    """Return every account, by login, with how many sessions it has and what was refused since yesterday."""
    with connection.cursor(row_factory=class_row(Account)) as cursor:
        return cursor.execute(
            "select a.id, a.login, a.name, a.role, a.area_code, a.team_id, a.disabled_at, a.demo,"
            " (select count(*) from session s where s.account_id = a.id and s.seen_at > %(idle)s"
            "  and s.created_at > %(absolute)s) as sessions,"
            " (select max(s.seen_at) from session s where s.account_id = a.id) as last_seen_at,"
            " (select count(*) from access_log l where l.account_id = a.id and l.at > %(day)s"
            "  and l.what in ('wrong', 'locked')) as failed from account a order by a.login",
            {"idle": now - IDLE, "absolute": now - ABSOLUTE, "day": now - timedelta(days=1)},
        ).fetchall()


def _known(connection: psycopg.Connection[Any], login: str) -> int:
    row = connection.execute("select id from account where login = %s for update", (login,)).fetchone()
    if row is None:
        raise AccountError(f"login: there is no account {login}")
    return int(row[0])


def _fitting(
    connection: psycopg.Connection[Any], role: str, area_code: str, team_id: int | None
) -> int | None:
    """Return the team that an account of this role gets; raise AccountError where role, area and team do not fit."""
    if role not in PEOPLE:
        raise AccountError(f"role: one of {', '.join(PEOPLE)}")
    try:
        level_of(area_code)
    except ValueError:
        raise AccountError(f"area: {area_code[:20]} is no code of an area") from None
    if connection.execute("select from area where code = %s", (area_code,)).fetchone() is None:
        raise AccountError(f"area: there is no area {area_code}")
    if role != "team":
        if team_id is not None:
            raise AccountError("team: only an account of the role team belongs to one")
        return None
    if team_id is None:
        raise AccountError("team: an account of the role team needs the team's number")
    if connection.execute("select from team where id = %s", (team_id,)).fetchone() is None:
        raise AccountError(f"team: there is no team {team_id}")
    return team_id


# --- the command --------------------------------------------------------------------------------------------------


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
        each.add_argument("--role", required=True, choices=PEOPLE)
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
                    _show(listed(connection, now), args.json)
                case "add":
                    add(
                        connection, args.login, _typed(), args.role, args.area, now, args.name, args.team, args.subject,
                        by="console",
                    )  # fmt: skip
                case "disable":
                    disable(connection, args.login, now, by="console")
                case "enable":
                    enable(connection, args.login, now, by="console")
                case "password":
                    reset(connection, args.login, _typed(), now, by="console")
                case "role":
                    assign(connection, args.login, args.role, args.area, now, args.team, by="console")
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


def _show(accounts: list[Account], as_json: bool) -> None:
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
