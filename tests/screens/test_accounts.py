"""Proves who is let in and who is not: passwords, locks, sessions, cookies, forms of other sites, and the log of it."""

from __future__ import annotations

import io
import logging
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from dashboard.access import COOKIE, PHONE_COOKIE, Throttle
from dashboard.data import CityReads
from dashboard.routes.login import BODY_LIMIT_BYTES, Login
from dispatch import __main__ as command
from dispatch.accounts import keys, people, sessions
from dispatch.accounts.sessions import ABSOLUTE, FAILURES_ALLOWED, IDLE, LOCK, LOCK_MOST, AccountError, NotIn
from models.servers.database import psycopg_dsn
from tests.small_city import EAST, TOWN
from tests.templates import CityOf

NOW = datetime(2026, 11, 24, 1, tzinfo=UTC)
PASSWORD = "correct horse"
Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def city(city_of: CityOf) -> Iterator[str]:
    """Load a small city once; each test makes accounts of its own in it."""
    with city_of("small") as url:
        yield url


@pytest.fixture
def connection(city: str) -> Iterator[Connection]:
    """Lend a connection to the city."""
    with psycopg.connect(psycopg_dsn(city), autocommit=True) as connection:
        yield connection


@pytest.fixture
def login(connection: Connection) -> str:
    """Make one dispatcher of the town; return the login."""
    name = f"d{uuid.uuid4().hex[:10]}"
    people.add(connection, name, PASSWORD, "dispatcher", TOWN, NOW, "陈")
    return name


@pytest.fixture
def reads(city: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[CityReads]:
    """Lend the door that the pages use, with the demo's doors shut."""
    monkeypatch.setenv("DEMO", "0")
    reads = CityReads(city)
    yield reads
    reads.close()


@pytest.fixture
def browser(reads: CityReads) -> Iterator[TestClient]:
    """Lend a browser on the routes of signing in."""
    with TestClient(Starlette(routes=Login(reads).routes()), follow_redirects=False) as client:
        yield client


def entered(connection: Connection, login: str, at: datetime = NOW) -> str:
    answer = sessions.sign_in(connection, login, PASSWORD, at)
    assert isinstance(answer, tuple)
    return answer[0]


def logged(connection: Connection, login: str) -> list[str]:
    rows = connection.execute(
        "select what from access_log l join account a on a.id = l.account_id where a.login = %s order by l.id",
        (login,),
    )
    return [row[0] for row in rows]


def form(browser: TestClient, login: str, password: str = PASSWORD, **more: str) -> Any:
    return browser.post("/login", data={"login": login, "password": password} | more)


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


# --- the addresses of signing in ----------------------------------------------------------------------------------


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(browser: TestClient, login: str) -> None:
    answer = form(browser, login)
    assert answer.status_code == 303
    flags = answer.headers["set-cookie"].lower()
    assert "httponly" in flags
    assert "samesite=lax" in flags
    assert "secure" not in flags


def test_over_https_the_cookie_is_secure_behind_a_proxy_only_where_it_is_named(
    reads: CityReads, login: str
) -> None:
    app: Any = Starlette(routes=Login(reads).routes())
    told = {"x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.9"}
    given = {"login": login, "password": PASSWORD}
    with TestClient(app, "https://testserver", follow_redirects=False) as browser:
        assert "secure" in browser.post("/login", data=given).headers["set-cookie"].lower()
    with TestClient(app, follow_redirects=False) as browser:
        assert "secure" not in browser.post("/login", data=given, headers=told).headers["set-cookie"].lower()
    proxied: Any = ProxyHeadersMiddleware(app, trusted_hosts="testclient")
    with TestClient(proxied, follow_redirects=False) as browser:
        assert "secure" in browser.post("/login", data=given, headers=told).headers["set-cookie"].lower()


def test_signing_in_anew_ends_the_session_that_the_browser_had(
    browser: TestClient, connection: Connection, login: str
) -> None:
    form(browser, login)
    first = browser.cookies[COOKIE]
    form(browser, login)
    assert browser.cookies[COOKIE] != first
    assert sessions.viewer_of(connection, first, datetime.now(UTC)) is None


@pytest.mark.parametrize(
    "wish",
    ["//evil.example", "/\\evil.example", "https://evil.example", "\\\\evil", "javascript:alert(1)", "/\t/evil.example",
     "/a\r\nSet-Cookie: x=y", "/" + "a" * 3_000, "/login?next=/login", "evil.example"],
)  # fmt: skip
def test_one_is_sent_on_only_to_pages_of_ours(browser: TestClient, login: str, wish: str) -> None:
    assert form(browser, login, next=wish).headers["location"] == "/"
    assert browser.get("/login", params={"next": wish}).headers["location"] == "/"


def test_one_is_sent_on_to_where_one_wanted_to_go(browser: TestClient, login: str) -> None:
    assert (
        form(browser, login, next="/incidents?id=5&lang=en").headers["location"] == "/incidents?id=5&lang=en"
    )


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)
@pytest.mark.parametrize("path", ["/login", "/logout", "/password"])
def test_a_form_of_another_site_is_refused(
    browser: TestClient, connection: Connection, login: str, path: str, headers: dict[str, str]
) -> None:
    form(browser, login)
    token = browser.cookies[COOKIE]
    given = {
        "login": login,
        "password": PASSWORD,
        "old": PASSWORD,
        "new": "another password",
        "everywhere": "1",
    }
    answer = browser.post(path, data=given, headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert sessions.viewer_of(connection, token, datetime.now(UTC)) is not None
    entered(connection, login)


@pytest.mark.parametrize("path", ["/login", "/password"])
def test_a_form_that_is_too_large_is_refused(browser: TestClient, login: str, path: str) -> None:
    answer = browser.post(path, data={"login": login, "password": "x" * BODY_LIMIT_BYTES})
    assert answer.status_code == 413


def test_what_was_typed_comes_back_escaped_and_the_password_never(browser: TestClient) -> None:
    answer = form(browser, '"><script>alert(1)</script>', "secret words")
    assert answer.status_code == 401
    assert "<script>" not in answer.text
    assert "secret words" not in answer.text


def test_signing_out_takes_the_cookie_back(browser: TestClient, connection: Connection, login: str) -> None:
    form(browser, login)
    token = browser.cookies[COOKIE]
    answer = browser.post("/logout")
    assert answer.headers["location"].startswith("/login")
    assert COOKIE not in browser.cookies
    # Written by the phone's page, which would open without a line.
    assert f'{PHONE_COOKIE}=""; expires=' in answer.headers["set-cookie"]
    assert sessions.viewer_of(connection, token, datetime.now(UTC)) is None


def test_signing_out_everywhere_ends_the_other_browser_too(
    browser: TestClient, reads: CityReads, login: str
) -> None:
    with TestClient(Starlette(routes=Login(reads).routes()), follow_redirects=False) as other:
        form(other, login)
        form(browser, login)
        browser.post("/logout", data={"everywhere": "1"})
        assert other.post("/password", data={"old": PASSWORD, "new": "another password"}).status_code == 401


def test_a_password_is_changed_over_the_page(browser: TestClient, connection: Connection, login: str) -> None:
    assert browser.post("/password", data={"old": PASSWORD, "new": "another password"}).status_code == 401
    form(browser, login)
    refused = browser.post("/password?lang=en", data={"old": "wrong one", "new": "another password"})
    assert (refused.status_code, refused.json()["error"]) == (400, "The present password is wrong.")
    assert browser.post("/password", data={"old": PASSWORD, "new": "another password"}).status_code == 204
    assert isinstance(sessions.sign_in(connection, login, "another password", datetime.now(UTC)), tuple)


def test_whom_the_identity_provider_names_comes_in_as_their_account(connection: Connection) -> None:
    subject = uuid.uuid4().hex
    name = f"s{subject[:10]}"
    people.add(connection, name, PASSWORD, "dispatcher", TOWN, NOW, subject=subject)
    answer = sessions.sign_in_as(connection, subject, NOW)
    assert isinstance(answer, tuple)
    assert answer[1].login == name
    assert sessions.sign_in_as(connection, f"not {subject}", NOW) == NotIn("wrong")
    assert sessions.sign_in_as(connection, "", NOW) == NotIn("wrong")
    people.disable(connection, name, NOW)
    assert sessions.sign_in_as(connection, subject, NOW) == NotIn("wrong")


def test_a_session_begun_elsewhere_is_taken_only_from_our_page_and_only_if_it_is_one(
    browser: TestClient, connection: Connection, login: str
) -> None:
    token = entered(connection, login, datetime.now(UTC))
    for given, headers in (
        ({"token": token}, {"sec-fetch-site": "cross-site"}),
        ({"token": "made up"}, {}),
        ({}, {}),
    ):
        answer = browser.post("/login/session", data=given, headers=headers)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers
    answer = browser.post("/login/session", data={"token": token}, headers={"sec-fetch-site": "same-origin"})
    assert answer.headers["location"] == "/"
    assert "httponly" in answer.headers["set-cookie"].lower()
    assert browser.cookies[COOKIE] == token


def test_signing_out_takes_the_identity_providers_cookie_too(browser: TestClient, login: str) -> None:
    form(browser, login)
    browser.cookies.set("_streamlit_user", "x", domain="testserver.local", path="/")
    answer = browser.post(
        "/logout", headers={"cookie": f"{COOKIE}={browser.cookies[COOKIE]}; _streamlit_user=x"}
    )
    assert any("_streamlit_user" in each for each in answer.headers.get_list("set-cookie"))


# --- one address --------------------------------------------------------------------------------------------------


def test_one_address_cannot_try_password_after_password(browser: TestClient, login: str) -> None:
    answers = [form(browser, f"who{n}", "wrong one").status_code for n in range(40)]
    assert answers == [401] * 30 + [429] * 10
    refused = form(browser, login)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) <= 30


def test_an_address_may_try_again_one_by_one_as_time_goes() -> None:
    throttle = Throttle(tries=3, every_s=10.0)
    for _ in range(3):
        assert throttle.wait_s("203.0.113.1", 100.0) == 0
        throttle.failed("203.0.113.1", 100.0)
    assert throttle.wait_s("203.0.113.1", 100.0) == 10
    assert throttle.wait_s("203.0.113.2", 100.0) == 0
    assert throttle.wait_s("203.0.113.1", 110.0) == 0
    throttle.failed("203.0.113.1", 110.0)
    assert throttle.wait_s("203.0.113.1", 110.0) == 10


def test_addresses_of_one_household_count_as_one_and_memory_is_bounded() -> None:
    throttle = Throttle(tries=1, every_s=10.0, kept=100)
    throttle.failed("2001:db8::1", 0.0)
    assert throttle.wait_s("2001:db8::ffff", 0.0) == 10
    assert throttle.wait_s("2001:db8:0:1::1", 0.0) == 0
    for n in range(10_000):
        throttle.failed(f"10.0.{n // 256}.{n % 256}", 0.0)
    assert len(throttle._free_at) == 100


def test_neither_login_nor_password_is_in_the_process_log(
    browser: TestClient, login: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        form(browser, login, "wrong one")
    assert "refused" in caplog.text
    assert login not in caplog.text
    assert "wrong one" not in caplog.text


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
