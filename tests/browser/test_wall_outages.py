"""Stops servers under open walls and pages, really: they say so, grow old in sight, and come back by themselves."""

from __future__ import annotations

from typing import Any, Literal

import psycopg
import pytest
from playwright.sync_api import expect

from dispatch.accounts import sessions
from models.servers.database import psycopg_dsn
from tests.browser.test_wall import REPORTED, WAIT_MS, Site, moves, open_wall, page, reported, site
from tests.conftest import Away

__all__ = ["page", "site"]

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("which", ["stream", "database"])
def test_a_wall_turns_grey_with_its_age_while_a_server_is_stopped_and_recovers(
    site: Site, page: Any, away: Away, which: Literal["stream", "database"]
) -> None:
    """Really stopped, and as long as `--away` says; `make outages` stops each for a minute."""
    open_wall(page, site)
    page.wait_for_function("() => !document.querySelector('.gw-wall .tile.stale')", timeout=WAIT_MS)
    before = reported(page)
    with away(which):
        page.wait_for_selector(".gw-wall .tile-six.stale", timeout=WAIT_MS)
        expect(page.locator(".tile-six .beat")).to_contain_text("停更")
        assert reported(page) == before
        began = page.locator(".tile-six .beat").inner_text()
        page.wait_for_function(
            "(began) => document.querySelector('.tile-six .beat').innerText !== began",
            arg=began,
            timeout=WAIT_MS,
        )
        assert page.locator(".gw-wall .tile-six.stale").count() == 1, "older, and still grey"
    page.wait_for_function("() => !document.querySelector('.gw-wall .tile.stale')", timeout=WAIT_MS)
    moves(site, page)


def test_a_page_says_that_the_database_is_away_and_comes_back(site: Site, page: Any, away: Away) -> None:
    with psycopg.connect(psycopg_dsn(site.database_url)) as connection:
        sessions.ensure_demo(connection)
    page.goto(f"{site.address}/login")
    page.fill("#login", "dispatcher")
    page.fill("#password", sessions.DEMO_PASSWORD)
    page.click("button.go")
    page.wait_for_url(lambda url: "/login" not in url, wait_until="commit", timeout=WAIT_MS)
    for path, ready in (("incidents", ".gw-rows tr[data-open]"), ("workbench", ".gwq-row")):
        page.goto(f"{site.address}/{path}?lang=en")
        page.wait_for_selector(ready, state="attached", timeout=WAIT_MS)
        with away("database"):
            page.goto(f"{site.address}/{path}?lang=en")
            page.get_by_text("The database does not answer").first.wait_for(timeout=WAIT_MS)
        page.goto(f"{site.address}/{path}?lang=en")
        page.wait_for_selector(ready, state="attached", timeout=WAIT_MS)


def test_a_wall_says_that_it_is_old_and_comes_back_by_itself(site: Site, asleep: Any) -> None:
    page = asleep
    page.clock.install()
    open_wall(page, site)
    before = reported(page)
    site.stop()
    try:
        # Longer than a number may stand unrefreshed.
        page.clock.fast_forward("00:30")
        page.wait_for_selector(".gw-wall .tile-six.stale", timeout=WAIT_MS)
        expect(page.locator(".tile-six .beat")).to_contain_text("停更")
        expect(page.locator(".tile-six .beat .lt.n")).to_have_count(1)
        assert reported(page) == before
        site.report()
    finally:
        site.start()
    page.wait_for_function("() => !document.querySelector('.gw-wall .tile-six.stale')", timeout=WAIT_MS)
    page.wait_for_function(
        f"(n) => parseInt({REPORTED}.replace(/,/g, '')) === n",
        arg=before + 1,
        timeout=WAIT_MS,
    )
