"""Accounts and sessions: who may come in, as which role, over which area, and for how long.

A password is kept as its argon2id hash, a session as the SHA-256 of a random token of 256 bits that only the
browser's cookie holds: nothing in the database opens a door. Who came in, who was refused and who changed an account
or a key is written to the access log, which half a year is kept.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Literal

import psycopg
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from psycopg.rows import class_row

from dispatch.rules.incident.values import Actor

IDLE = timedelta(hours=12)  # a shift and a half: a session not used for this long has ended
ABSOLUTE = timedelta(days=7)  # and so has one that began this long ago
SEEN_EVERY = timedelta(minutes=1)  # a session's last use is written down at most this often
FAILURES_ALLOWED = 5  # wrong passwords in a row; each further one doubles the wait
LOCK = timedelta(minutes=1)
LOCK_MOST = timedelta(hours=1)
PASSWORD_LENGTH = range(10, 129)
TOKEN_LENGTH_MOST = 100
DEMO_PASSWORD = "gridwhistle"
# The Cybersecurity Law, article 21, asks for logs of six months at least.
LOG_KEPT = timedelta(days=184)
ATTEMPTS_KEPT = timedelta(days=1)  # wrong passwords so far apart are not "in a row"
FORGET_ROWS = 10_000


class AccountError(ValueError):
    """An account was not made or changed; says why, naming the field."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks: their account, the name that others are shown, and the actor that the law knows."""

    account_id: int
    login: str
    name: str
    actor: Actor

    @property
    def role(self) -> str:
        """Return the role of the account."""
        return self.actor.role

    @property
    def area(self) -> str:
        """Return the code of the area whose subtree is theirs."""
        return self.actor.area_code


@dataclass(frozen=True, slots=True)
class NotIn:
    """Signing in was refused: `wrong` says nothing of which half was wrong, `locked` says until when (UTC)."""

    why: Literal["wrong", "locked"]
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Row:
    id: int
    login: str
    name: str
    role: str
    area_code: str
    team_id: int | None
    password_hash: str
    seen_at: datetime | None = None


_SELECT = (
    "select a.id, a.login, a.name, a.role, a.area_code, a.team_id, a.password_hash"
    " from account a where a.disabled_at is null and (%(demo)s or not a.demo)"
)


def sign_in(
    connection: psycopg.Connection[Any],
    login: str,
    password: str,
    now: datetime,
    demo: bool = False,
    address: str = "",
) -> tuple[str, Viewer] | NotIn:
    """Check a password and begin a session; return the token for the cookie and who it is, or the refusal.

    Accounts of the demo open only where `demo` is true. A login that does not exist is answered like a wrong
    password, takes as long, and is locked as soon.
    """
    login = login.strip().lower()
    key = digest(f"login:{login}")
    with connection.transaction(), connection.cursor(row_factory=class_row(_Row)) as cursor:
        # Two tries at once for one login: the second waits here and sees what became of the first.
        cursor.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (key,))
        row = cursor.execute(f"{_SELECT} and a.login = %(login)s", {"demo": demo, "login": login}).fetchone()
        owner = None if row is None else row.id
        before = connection.execute(
            "select failures, locked_until from attempt where login_sha256 = %s and last_at > %s",
            (key, now - ATTEMPTS_KEPT),
        ).fetchone()
        failures, until = before or (0, None)
        if until is not None and until > now:
            note(connection, "locked", now, owner, address=address)
            return NotIn("locked", until)
        right = _right(_nobody() if row is None else row.password_hash, password)
        if row is None or not right:
            failures = min(failures + 1, 1_000)
            over = failures - FAILURES_ALLOWED
            until = now + min(LOCK_MOST, LOCK * 2 ** min(over, 10)) if over >= 0 else None
            connection.execute(
                "insert into attempt (login_sha256, failures, locked_until, last_at) values (%s, %s, %s, %s)"
                " on conflict (login_sha256) do update set failures = excluded.failures,"
                " locked_until = excluded.locked_until, last_at = excluded.last_at",
                (key, failures, until, now),
            )
            note(connection, "wrong", now, owner, address=address)
            return NotIn("wrong") if until is None else NotIn("locked", until)
        connection.execute("delete from attempt where login_sha256 = %s", (key,))
        token = _begin(cursor, row.id, now)
        note(connection, "in", now, row.id, address=address)
    return token, _viewer(row)


def sign_in_as(
    connection: psycopg.Connection[Any], subject: str, now: datetime, address: str = ""
) -> tuple[str, Viewer] | NotIn:
    """Begin a session for the account that an identity provider's subject belongs to."""
    with connection.transaction(), connection.cursor(row_factory=class_row(_Row)) as cursor:
        row = cursor.execute(
            f"{_SELECT} and a.subject = %(subject)s", {"demo": False, "subject": subject}
        ).fetchone()
        if row is None:
            note(connection, "wrong", now, address=address, about="identity provider")
            return NotIn("wrong")
        note(connection, "in", now, row.id, address=address, about="identity provider")
        return _begin(cursor, row.id, now), _viewer(row)


def viewer_of(
    connection: psycopg.Connection[Any], token: str, now: datetime, demo: bool = False
) -> Viewer | None:
    """Return who a session's token belongs to, or None where it has ended; note that it was used."""
    if not token or len(token) > TOKEN_LENGTH_MOST:
        return None
    key = digest(token)
    with connection.cursor(row_factory=class_row(_Row)) as cursor:
        row = cursor.execute(
            _SELECT.replace("select ", "select s.seen_at, ", 1).replace(
                "from account a", "from session s join account a on a.id = s.account_id"
            )
            + " and s.sha256 = %(key)s and s.seen_at > %(idle)s and s.created_at > %(absolute)s",
            {"demo": demo, "key": key, "idle": now - IDLE, "absolute": now - ABSOLUTE},
        ).fetchone()
        if row is None:
            return None
        if row.seen_at is not None and row.seen_at < now - SEEN_EVERY:
            cursor.execute("update session set seen_at = %s where sha256 = %s", (now, key))
    return _viewer(row)


def sign_out(connection: psycopg.Connection[Any], token: str) -> None:
    """End one session."""
    connection.execute("delete from session where sha256 = %s", (digest(token),))


def sign_out_everywhere(connection: psycopg.Connection[Any], account_id: int) -> int:
    """End every session of an account; return how many there were."""
    return connection.execute("delete from session where account_id = %s", (account_id,)).rowcount


def forget_ended(connection: psycopg.Connection[Any], now: datetime) -> int:
    """Delete sessions that have ended by themselves, old wrong passwords and the log's old lines; return how many."""
    done = connection.execute(
        "delete from session where seen_at <= %s or created_at <= %s", (now - IDLE, now - ABSOLUTE)
    ).rowcount
    for table, column, kept in (("attempt", "last_at", ATTEMPTS_KEPT), ("access_log", "at", LOG_KEPT)):
        done += connection.execute(
            f"delete from {table} where ctid = any(array(select ctid from {table} where {column} < %s limit %s))",
            (now - kept, FORGET_ROWS),
        ).rowcount
    return done


def change_password(
    connection: psycopg.Connection[Any],
    account_id: int,
    old: str,
    new: str,
    token: str,
    now: datetime,
    address: str = "",
) -> Literal["wrong", "length", "same", "demo", "locked"] | None:
    """Change one's own password and end one's other sessions; return why not, or None where it is done.

    A wrong present password counts like one at the door.
    """
    with connection.transaction():
        row = connection.execute(
            "select login, demo from account where id = %s and disabled_at is null", (account_id,)
        ).fetchone()
        if row is None:
            return "wrong"
        if row[1]:
            return "demo"
    if len(new) not in PASSWORD_LENGTH:
        return "length"
    if new == old:
        return "same"
    answer = sign_in(connection, row[0], old, now, False, address)
    if isinstance(answer, NotIn):
        return answer.why
    secret = hashed(new)
    with connection.transaction():
        connection.execute("update account set password_hash = %s where id = %s", (secret, account_id))
        connection.execute(
            "delete from session where account_id = %s and sha256 <> %s", (account_id, digest(token))
        )
        note(connection, "password", now, account_id, address=address)
    return None


def note(
    connection: psycopg.Connection[Any],
    what: str,
    now: datetime,
    account_id: int | None = None,
    by: str = "",
    address: str = "",
    about: str = "",
) -> None:
    """Write one line to the access log: `what` was done to an account, `by` whose login, from which address."""
    connection.execute(
        'insert into access_log (at, what, account_id, "by", address, about) values (%s, %s, %s, %s, %s, %s)',
        (now, what, account_id, by, address[:64], about[:200]),
    )


def digest(secret: str) -> str:
    """Return the form in which a random secret is remembered: its SHA-256 in hex."""
    return hashlib.sha256(secret.encode()).hexdigest()


def hashed(password: str) -> str:
    """Return the argon2id hash of a password; raise AccountError where it is too short or too long."""
    if len(password) not in PASSWORD_LENGTH:
        raise AccountError(
            f"password: {PASSWORD_LENGTH.start} to {PASSWORD_LENGTH.stop - 1} characters, not {len(password)}"
        )
    return _hasher().hash(password)


def actor_id(role: str, login: str) -> str:
    """Return how the record names a person who acts: `dispatcher:chen`."""
    return f"{role}:{login}"


def demo_town(cursor: psycopg.Cursor[Any]) -> tuple[str, int] | None:
    """Return the town where the demo's accounts work, and its enforcement team; None where there is none."""
    cursor.execute(
        "select t.area_code, t.id from team t join area a on a.code = t.area_code"
        " where t.trade = 'enforcement' and a.level = 3 order by t.area_code limit 1"
    )
    row: tuple[str, int] | None = cursor.fetchone()
    return row


def ensure_demo(connection: psycopg.Connection[Any]) -> int:
    """Give the demo city one account for each role, where it has none; return how many were added.

    They work in one town, so that a matter can be walked through all their hands.
    """
    with connection.transaction(), connection.cursor() as cursor:
        found = demo_town(cursor)
        if found is None:
            return 0
        code, team_id = found
        village = cursor.execute(
            "select code from area where parent = %s order by code limit 1", (code,)
        ).fetchone()
        county = cursor.execute("select parent from area where code = %s", (code,)).fetchone()
        city = cursor.execute("select code from area where level = 1").fetchone()
        assert village is not None
        assert county is not None
        assert city is not None
        password = _hasher().hash(DEMO_PASSWORD)
        people = [
            ("resident", "resident", "演示群众", village[0], None),
            ("worker", "grid_worker", "演示网格员", village[0], None),
            ("head", "grid_head", "演示网格长", village[0], None),
            ("village", "village", "演示村（社区）站", village[0], None),
            ("dispatcher", "dispatcher", "演示派遣员", code, None),
            ("duty", "duty_leader", "演示值班长", code, None),
            ("team", "team", "演示执法队", code, team_id),
            ("county", "county", "演示县指挥中心", county[0], None),
            ("city", "city", "演示市指挥中心", city[0], None),
            ("leader", "leader", "演示领导", city[0], None),
            ("auditor", "auditor", "演示审计", city[0], None),
            ("admin", "admin", "演示管理员", city[0], None),
        ]
        return sum(
            cursor.execute(
                "insert into account (login, role, name, area_code, team_id, password_hash, demo)"
                " values (%s, %s, %s, %s, %s, %s, true) on conflict (login) do nothing",
                (*person, password),
            ).rowcount
            for person in people
        )


def _begin(cursor: psycopg.Cursor[Any], account_id: int, now: datetime) -> str:
    token = secrets.token_urlsafe(32)
    cursor.execute(
        "insert into session (sha256, account_id, created_at, seen_at) values (%s, %s, %s, %s)",
        (digest(token), account_id, now, now),
    )
    return token


def _viewer(row: _Row) -> Viewer:
    actor = Actor(actor_id(row.role, row.login), row.role, row.area_code, row.team_id)
    return Viewer(row.id, row.login, row.name or row.login, actor)


def _right(password_hash: str, password: str) -> bool:
    try:
        return _hasher().verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@cache
def _nobody() -> str:
    """Return a hash that no password opens, for a login that does not exist."""
    return _hasher().hash(secrets.token_urlsafe(16))
