"""Keep accounts: who has one, with which role over which area or team, and what was changed by whom."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import class_row

from dispatch.accounts.sessions import ABSOLUTE, IDLE, AccountError, digest, hashed, note, sign_out_everywhere
from dispatch.rules.areas import level_of
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
