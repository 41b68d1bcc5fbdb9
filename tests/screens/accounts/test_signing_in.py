"""Proves who comes in over the page: cookies, forms of other sites, where one is sent on, and how often one tries."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from dashboard.access import COOKIE, PHONE_COOKIE, Throttle
from dashboard.data import CityReads
from dashboard.routes.login import BODY_LIMIT_BYTES, Login
from dispatch.accounts import people, sessions
from dispatch.accounts.sessions import NotIn
from tests.signed_in import NOW, PASSWORD, Connection, entered
from tests.small_city import TOWN


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


def form(browser: TestClient, login: str, password: str = PASSWORD, **more: str) -> Any:
    return browser.post("/login", data={"login": login, "password": password} | more)


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
