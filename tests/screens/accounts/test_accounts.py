"""Proves what an account is: passwords, locks, sessions, how accounts and keys are kept, and the log of it."""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from dispatch import __main__ as command
from dispatch.accounts import keys, people, sessions
from dispatch.accounts.sessions import ABSOLUTE, FAILURES_ALLOWED, IDLE, LOCK, LOCK_MOST, AccountError, NotIn
from tests.signed_in import NOW, PASSWORD, Connection, entered
from tests.small_city import EAST, TOWN


def logged(connection: Connection, login: str) -> list[str]:
    rows = connection.execute(
        "select what from access_log l join account a on a.id = l.account_id where a.login = %s order by l.id",
        (login,),
    )
    return [row[0] for row in rows]


# --- passwords ----------------------------------------------------------------------------------------------------


def test_a_right_password_begins_a_session_of_that_account(connection: Connection, login: str) -> None:
    who = sessions.viewer_of(connection, entered(connection, login), NOW)
    assert who is not None
    assert (who.login, who.name, who.role, who.area) == (login, "陈", "dispatcher", TOWN)
    assert who.actor.id == f"dispatcher:{login}"


def test_a_login_is_the_same_in_capitals_and_with_spaces_around(connection: Connection, login: str) -> None:
    assert isinstance(sessions.sign_in(connection, f" {login.upper()} ", PASSWORD, NOW), tuple)


def test_neither_password_nor_token_is_kept(connection: Connection, login: str) -> None:
    token = entered(connection, login)
    whole = str(connection.execute("select * from account").fetchall())
    whole += str(connection.execute("select * from session").fetchall())
    whole += str(connection.execute("select * from access_log").fetchall())
    assert PASSWORD not in whole
    assert token not in whole


def test_an_unknown_login_is_answered_worked_for_and_locked_like_a_known_one(
    connection: Connection, login: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    right = sessions._right

    def counted(kept: str, given: str) -> bool:
        checked.append(kept)
        return right(kept, given)

    monkeypatch.setattr(sessions, "_right", counted)
    known = [sessions.sign_in(connection, login, "wrong one", NOW) for _ in range(FAILURES_ALLOWED + 1)]
    work = len(checked)
    unknown = [
        sessions.sign_in(connection, f"x{login}", "wrong one", NOW) for _ in range(FAILURES_ALLOWED + 1)
    ]
    assert known == unknown
    assert len(checked) == 2 * work


def test_a_disabled_account_is_shut_at_once_and_its_sessions_end(connection: Connection, login: str) -> None:
    token = entered(connection, login)
    people.disable(connection, login, NOW)
    assert sessions.viewer_of(connection, token, NOW) is None
    assert sessions.sign_in(connection, login, PASSWORD, NOW) == NotIn("wrong")
    people.enable(connection, login, NOW)
    assert sessions.viewer_of(connection, token, NOW) is None
    entered(connection, login)


def test_accounts_of_the_demo_open_only_where_the_demo_is_on(connection: Connection) -> None:
    sessions.ensure_demo(connection)
    answer = sessions.sign_in(connection, "dispatcher", sessions.DEMO_PASSWORD, NOW, demo=True)
    assert isinstance(answer, tuple)
    assert sessions.viewer_of(connection, answer[0], NOW, demo=False) is None
    assert sessions.sign_in(connection, "dispatcher", sessions.DEMO_PASSWORD, NOW) == NotIn("wrong")


# --- locks --------------------------------------------------------------------------------------------------------


def test_wrong_passwords_lock_for_twice_as_long_each_time_up_to_an_hour(
    connection: Connection, login: str
) -> None:
    at = NOW
    for _ in range(FAILURES_ALLOWED - 1):
        assert sessions.sign_in(connection, login, "wrong one", at) == NotIn("wrong")
    waits = []
    for _ in range(9):
        answer = sessions.sign_in(connection, login, "wrong one", at)
        assert isinstance(answer, NotIn)
        assert answer.until is not None
        waits.append(answer.until - at)
        at = answer.until
    assert waits == [min(LOCK * 2**n, LOCK_MOST) for n in range(9)]
    assert waits[-1] == LOCK_MOST


def test_a_lock_holds_against_the_right_password_and_ends_by_itself(
    connection: Connection, login: str
) -> None:
    for _ in range(FAILURES_ALLOWED):
        answer = sessions.sign_in(connection, login, "wrong one", NOW)
    assert answer == NotIn("locked", NOW + LOCK)
    assert sessions.sign_in(connection, login, PASSWORD, NOW + LOCK - timedelta(seconds=1)) == answer
    entered(connection, login, NOW + LOCK)
    # What was wrong before it was right is forgotten.
    assert sessions.sign_in(connection, login, "wrong one", NOW + LOCK) == NotIn("wrong")


def test_wrong_passwords_of_last_week_are_not_in_a_row(connection: Connection, login: str) -> None:
    for day in range(FAILURES_ALLOWED + 1):
        at = NOW + timedelta(days=2 * day)
        assert sessions.sign_in(connection, login, "wrong one", at) == NotIn("wrong")


# --- sessions -----------------------------------------------------------------------------------------------------


def test_a_session_that_is_not_used_ends(connection: Connection, login: str) -> None:
    token = entered(connection, login)
    assert sessions.viewer_of(connection, token, NOW + IDLE - timedelta(seconds=1)) is not None
    assert sessions.viewer_of(connection, token, NOW + 2 * IDLE - timedelta(seconds=2)) is not None
    assert sessions.viewer_of(connection, token, NOW + 3 * IDLE) is None


def test_a_session_ends_in_the_end_however_much_it_is_used(connection: Connection, login: str) -> None:
    token, at = entered(connection, login), NOW
    while at < NOW + ABSOLUTE:
        assert sessions.viewer_of(connection, token, at) is not None
        at += IDLE / 2
    assert sessions.viewer_of(connection, token, NOW + ABSOLUTE) is None


def test_signing_out_ends_this_session_and_everywhere_ends_all(connection: Connection, login: str) -> None:
    first, second, third = (entered(connection, login) for _ in range(3))
    sessions.sign_out(connection, first)
    assert sessions.viewer_of(connection, first, NOW) is None
    who = sessions.viewer_of(connection, second, NOW)
    assert who is not None
    assert sessions.sign_out_everywhere(connection, who.account_id) == 2
    assert sessions.viewer_of(connection, third, NOW) is None


def test_a_new_role_is_in_force_at_the_next_look(connection: Connection, login: str) -> None:
    token = entered(connection, login)
    people.assign(connection, login, "grid_worker", EAST, NOW)
    who = sessions.viewer_of(connection, token, NOW)
    assert who is not None
    assert (who.role, who.area) == ("grid_worker", EAST)


@pytest.mark.parametrize("token", ["", "nothing", "x" * 100_000, "'; drop table session --"])
def test_no_made_up_token_opens_anything(connection: Connection, token: str) -> None:
    assert sessions.viewer_of(connection, token, NOW) is None


def test_what_has_ended_is_forgotten_and_what_has_not_is_kept(connection: Connection, login: str) -> None:
    old = entered(connection, login, NOW - ABSOLUTE)
    new = entered(connection, login)
    connection.execute("update access_log set at = %s where what = 'added'", (NOW - timedelta(days=185),))
    sessions.sign_in(connection, login, "wrong one", NOW - timedelta(days=3))
    sessions.forget_ended(connection, NOW)
    kept = {row[0] for row in connection.execute("select sha256 from session")}
    assert sessions.digest(old) not in kept
    assert sessions.digest(new) in kept
    assert "added" not in logged(connection, login)
    assert logged(connection, login)[:2] == ["in", "in"]
    assert not connection.execute(
        "select from attempt where last_at < %s", (NOW - timedelta(days=2),)
    ).fetchall()


# --- one's own password -------------------------------------------------------------------------------------------


def test_a_changed_password_ends_the_other_sessions_and_keeps_this_one(
    connection: Connection, login: str
) -> None:
    here, there = entered(connection, login), entered(connection, login)
    who = sessions.viewer_of(connection, here, NOW)
    assert who is not None
    change = sessions.change_password
    assert change(connection, who.account_id, "wrong one", "another password", here, NOW) == "wrong"
    assert change(connection, who.account_id, PASSWORD, "short", here, NOW) == "length"
    assert change(connection, who.account_id, PASSWORD, PASSWORD, here, NOW) == "same"
    assert sessions.viewer_of(connection, there, NOW) is not None
    assert change(connection, who.account_id, PASSWORD, "another password", here, NOW) is None
    assert sessions.viewer_of(connection, here, NOW) is not None
    assert sessions.viewer_of(connection, there, NOW) is None
    assert sessions.sign_in(connection, login, PASSWORD, NOW) == NotIn("wrong")


def test_an_account_of_the_demo_keeps_its_password(connection: Connection) -> None:
    sessions.ensure_demo(connection)
    answer = sessions.sign_in(connection, "team", sessions.DEMO_PASSWORD, NOW, demo=True)
    assert isinstance(answer, tuple)
    token, who = answer
    old, new = sessions.DEMO_PASSWORD, "another password"
    assert sessions.change_password(connection, who.account_id, old, new, token, NOW) == "demo"


# --- keeping accounts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"login": "A B"}, "login"),
        ({"login": "x"}, "login"),
        ({"login": "a:b@c"}, "login"),
        ({"password": "too short"}, "password"),
        ({"password": "x" * 129}, "password"),
        ({"role": "system"}, "role"),
        ({"role": "king"}, "role"),
        ({"area_code": "nowhere"}, "area"),
        ({"area_code": "445302001"}, "area"),
        ({"role": "team"}, "team"),
        ({"role": "team", "team_id": 999_999}, "team"),
        ({"team_id": 1}, "team"),
        ({"name": "名" * 65}, "name"),
    ],
)
def test_an_account_that_makes_no_sense_is_refused_by_the_field(
    connection: Connection, changes: dict[str, Any], named: str
) -> None:
    given = {
        "login": f"n{uuid.uuid4().hex[:8]}",
        "password": PASSWORD,
        "role": "dispatcher",
        "area_code": TOWN,
    }
    with pytest.raises(AccountError, match=f"^{named}: "):
        people.add(connection, **(given | {"now": NOW} | changes))
    assert connection.execute("select from account where login = %s", (given["login"],)).fetchone() is None


def test_a_login_is_taken_once(connection: Connection, login: str) -> None:
    with pytest.raises(AccountError, match="already"):
        people.add(connection, login, PASSWORD, "dispatcher", TOWN, NOW)


def test_the_log_tells_who_came_in_and_what_was_changed(connection: Connection, login: str) -> None:
    entered(connection, login)
    sessions.sign_in(connection, login, "wrong one", NOW)
    people.reset(connection, login, "another password", NOW, by="root")
    people.disable(connection, login, NOW, by="root")
    assert logged(connection, login) == ["added", "in", "wrong", "reset", "disabled"]
    (one,) = [each for each in people.listed(connection, NOW) if each.login == login]
    assert (one.failed, one.sessions, one.disabled_at) == (1, 0, NOW)


# --- the commands -------------------------------------------------------------------------------------------------


@pytest.fixture
def typed(city: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Return what runs a command with a line on its standard input."""
    monkeypatch.setenv("DATABASE_URL", city)
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")

    def run(*arguments: str, line: str = "") -> int:
        monkeypatch.setattr("sys.stdin", io.StringIO(line))
        return command.main(list(arguments))

    return run


def test_accounts_are_kept_by_command(
    typed: Callable[..., int], connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    role = ("--role", "dispatcher", "--area", TOWN)
    assert typed("accounts", "add", "chen", *role, "--name", "陈", line=f"{PASSWORD}\n") == 0
    entered(connection, "chen")
    assert typed("accounts", "password", "chen", line="another password\n") == 0
    assert sessions.sign_in(connection, "chen", PASSWORD, NOW) == NotIn("wrong")
    assert typed("accounts", "role", "chen", "--role", "duty_leader", "--area", TOWN) == 0
    assert typed("accounts", "disable", "chen") == 0
    capsys.readouterr()
    assert typed("accounts", "list") == 0
    assert "chen" in capsys.readouterr().out
    assert typed("accounts", "add", "wang", *role, line="short\n") == 1
    assert "password" in capsys.readouterr().err
    assert typed("accounts", "disable", "nobody") == 1
    assert "nobody" in capsys.readouterr().err


def test_a_key_is_printed_once_and_only_its_digest_is_kept(
    typed: Callable[..., int], connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, opens, kind, table in (
        ("wall-key", TOWN, "wall", "wall_key"),
        ("api-key", "hotline", "api", "api_key"),
    ):
        assert typed(name, "new", opens) == 0
        key = capsys.readouterr().out.strip()
        assert len(key) >= 43
        kept = connection.execute(f"select id, sha256 from {table} order by id desc limit 1").fetchone()
        assert kept is not None
        assert kept[1] == sessions.digest(key)
        assert typed(name, "list") == 0
        shown = capsys.readouterr().out
        assert opens in shown
        assert key not in shown
        assert typed(name, "revoke", str(kept[0])) == 0
        assert typed(name, "revoke", str(kept[0])) == 1
        assert kept[0] in {each.id for each in keys.listed(connection, kind) if each.revoked_at}  # type: ignore[arg-type]
    assert typed("wall-key", "new", "nowhere") == 1
    assert typed("api-key", "new", "a source with spaces") == 1
