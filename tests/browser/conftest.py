"""Opens one browser for all tests of this room; what each of them opens in it is its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dispatch.rules.policy import bursts
from models.cities import loading
from models.servers.database import Servers, psycopg_dsn
from tests.answers import Answers
from tests.browser.test_wall import BROWSER, FLAGS, WAIT_MS, remembering
from tests.browser.town import OPEN, Town, enter, people
from tests.small_city import with_second_teams
from tests.templates import CityOf

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Browser:
    """The one browser that is open."""

    _driven: Any

    def new_context(self, **options: Any) -> Any:
        """Open a window of its own in which nothing pulses: without a graphics card each frame is drawn by hand."""
        return self._driven.new_context(reduced_motion="reduce", **options)


_open: list[Browser] = []
_closing = ExitStack()


@pytest.fixture(scope="module")
def chromium() -> Browser:
    """Lend the browser that is open; where there is none, its tests are skipped and say so."""
    if BROWSER is None:
        pytest.skip(
            "no Chromium on this machine: install chromium-headless-shell or chromium to run this test"
        )
    from playwright.sync_api import sync_playwright

    if not _open:
        playwright = _closing.enter_context(sync_playwright())
        driven = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        _closing.callback(driven.close)
        _open.append(Browser(driven))
    return _open[0]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> Iterator[None]:
    """Close the browser after this room's last test: what drives it runs a loop, and no other may run beside it."""
    try:
        yield
    finally:
        if nextitem is None or nextitem.path.parent != HERE:
            _open.clear()
            _closing.close()


@pytest.fixture(scope="module")
def town(servers: Servers, city_of: CityOf) -> Iterator[Town]:
    """Lend a town whose desk is full, with its dashboard running."""
    with city_of("migrated") as url:
        city = with_second_teams()
        # Of two thousand reports in one place only those at one spot are one matter.
        near = city.policy[bursts.FILE].replace("near_km = 3.0", "near_km = 0.01")
        loading.store(url, replace(city, policy={**city.policy, bursts.FILE: near}))
        people(url)
        one = Town(servers, url)
        one.report(OPEN)
        with psycopg.connect(psycopg_dsn(url), autocommit=True) as connection:
            connection.execute("analyze")
        one.start()
        yield one
        one.stop()


@pytest.fixture(scope="module")
def window(chromium: Browser) -> Iterator[Any]:
    """Open one window for a file's tests: what its tabs have once fetched and compiled of the pages, it keeps."""
    context = chromium.new_context(viewport={"width": 1366, "height": 768})
    context.set_default_timeout(WAIT_MS)
    # A window closes with its last tab, and a new one costs the browser a second of work.
    context.new_page()
    yield context
    context.close()


@pytest.fixture
def asleep(chromium: Browser) -> Iterator[Any]:
    """Open a tab in a window of its own, whose clock and line a test may change."""
    window = chromium.new_context()
    window.set_default_timeout(WAIT_MS)
    with remembering(window) as tab:
        yield tab
    window.close()


@pytest.fixture
def page(town: Town, window: Any) -> Iterator[Any]:
    """Open a tab of its own, the dispatcher's, at nothing yet; it remembers what went wrong in it."""
    tab = window.new_page()
    tab.faults, tab.answers = [], Answers(tab)
    tab.on("pageerror", lambda error: tab.faults.append(str(error)))
    enter(tab, town, "dispatcher")
    yield tab
    tab.close()
