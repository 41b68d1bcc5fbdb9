"""Lends the city that was judged to all tests of a module, and the assessment page of it to each."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard import data
from dashboard.access import COOKIE
from dashboard.data import CityReads
from dispatch.accounts import sessions
from dispatch.rules.policy.policy import Policy
from models.servers.database import Servers, psycopg_dsn
from tests import pages
from tests.templates import CityOf

TIMEOUT_S = 90


@pytest.fixture(autouse=True)
def _no_limit_to_appeals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let cases that were closed in spring be appealed by the real clock."""
    monkeypatch.setattr(Policy, "appeal_until", lambda policy, closed: None)


@pytest.fixture(scope="module")
def city(city_of: CityOf) -> Iterator[str]:
    """Copy the city that lived six weeks: May frozen, June provisional, with the demo's accounts in it."""
    with city_of("judged") as url:
        with psycopg.connect(psycopg_dsn(url), autocommit=True) as connection:
            sessions.ensure_demo(connection)
        yield url


@pytest.fixture
def reads(city: str, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[CityReads]:
    """Point the pages at the city."""
    with pages.pointed(monkeypatch, city, servers.redis_url) as lent:
        yield lent


@pytest.fixture
def open_page(reads: CityReads, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    """Return what opens a page as one of the demo's accounts."""
    cookies: dict[str, str] = {}
    monkeypatch.setattr(type(st.context), "cookies", property(lambda _: cookies))

    def opened(login: str, name: str = "assessment", **query: str) -> AppTest:
        answer = data.sign_in(reads, login, sessions.DEMO_PASSWORD)
        assert isinstance(answer, tuple)
        cookies[COOKIE] = answer[0]
        test = AppTest.from_string(
            f"from dashboard.screens import {name}\n{name}.page()", default_timeout=TIMEOUT_S
        )
        for key, value in query.items():
            test.query_params[key] = value
        test.run()
        assert not test.exception, [each.message for each in test.exception]
        return test

    return opened
