"""Lends one small city to all tests of a module, somebody who signs in, and the town's other people."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
import streamlit as st

from dashboard import data
from dashboard.access import COOKIE
from dashboard.data import CityReads
from dispatch.accounts import sessions
from models.cities import loading
from models.servers.database import Servers, psycopg_dsn
from tests import pages
from tests.beside_the_desk import Town
from tests.small_city import with_second_teams
from tests.templates import CityOf


@pytest.fixture(scope="module")
def city(city_of: CityOf) -> Iterator[str]:
    """Load the small city once, with the demo's people."""
    with city_of("migrated") as url:
        loading.store(url, with_second_teams())
        with psycopg.connect(psycopg_dsn(url)) as connection:
            sessions.ensure_demo(connection)
        yield url


@pytest.fixture
def reads(city: str, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[CityReads]:
    """Point the page at the city."""
    with pages.pointed(monkeypatch, city, servers.redis_url) as lent:
        yield lent


@pytest.fixture
def sign_in(reads: CityReads, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return what signs the page's browser in as one of the demo's accounts."""
    cookies: dict[str, str] = {}
    monkeypatch.setattr(type(st.context), "cookies", property(lambda _: cookies))

    def enter(login: str) -> None:
        answer = data.sign_in(reads, login, sessions.DEMO_PASSWORD)
        assert isinstance(answer, tuple)
        cookies[COOKIE] = answer[0]

    return enter


@pytest.fixture
def town(city: str) -> Town:
    return Town(city)
