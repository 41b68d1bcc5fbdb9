"""Proves that nothing on a crowded wall overlaps, is cut or scrolls: three screens, two languages, four levels."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dispatch.desk import wartime
from dispatch.desk.desk import Desk
from dispatch.rules.incident.chain import Actor
from dispatch.rules.refusals import Refusal
from dispatch.rules.wartime import Declaration
from models.servers.database import Servers
from tests import crowded_city
from tests.browser.test_wall import WAIT_MS, Site, page
from tests.templates import CityOf

__all__ = ["page"]

pytestmark = pytest.mark.browser
SIZES = ((1920, 1080), (3840, 2160), (1366, 768))
LEVELS = ("city", "county", "town", "village")
AUDIT = (Path(__file__).parent / "wall_audit.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def crowded(servers: Servers, city_of: CityOf) -> Iterator[tuple[Site, crowded_city.Crowded]]:
    with city_of("demo") as url:
        where = crowded_city.crowd(url)
        site = Site(servers, url, servers.redis_url)
        site.start()
        yield site, where
        site.stop()


def settled(page: Any) -> None:
    """Wait until the lists stand in their letters."""
    page.wait_for_selector(".gw-wall .six li", timeout=WAIT_MS)
    page.wait_for_function("() => document.fonts.status === 'loaded'", timeout=WAIT_MS)


def audited(page: Any) -> dict[str, Any]:
    """Return what is wrong once nothing is, before and after the wall's own second: it chooses wordings anew in it."""
    deadline, clean = time.monotonic() + WAIT_MS / 1000, 0
    while True:
        # Behind the next drawing, and the wordings that it chose.
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        told: dict[str, Any] = page.evaluate(AUDIT)
        clean = 0 if told["found"] else clean + 1
        if clean == 2 or time.monotonic() > deadline:
            return told
        if clean:
            before = page.inner_text(".gw-wall .clock")
            page.wait_for_function(
                "(before) => document.querySelector('.gw-wall .clock').innerText !== before",
                arg=before,
                timeout=WAIT_MS,
            )
        else:
            page.wait_for_timeout(100)


def resized(page: Any, width: int, height: int) -> None:
    """Let the wall stand on a screen of another size, and wait until its map fills its place there."""
    page.set_viewport_size({"width": width, "height": height})
    page.wait_for_function(
        """() => {
            const plot = document.querySelector('.gw-wall .plot'), drawn = plot.querySelector('canvas');
            return !drawn || Math.abs(drawn.clientWidth - plot.clientWidth) <= 1;
        }""",
        timeout=WAIT_MS,
    )


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("level", LEVELS)
def test_on_a_crowded_wall_nothing_touches_is_cut_or_scrolls(
    crowded: tuple[Site, crowded_city.Crowded], page: Any, level: str, lang: str
) -> None:
    site, where = crowded
    page.goto(f"{site.address}/wall?area={where.areas()[level]}&lang={lang}&embed=true")
    settled(page)
    if level == "city":
        page.wait_for_selector(".gw-wall .over .name", timeout=WAIT_MS)
    for width, height in SIZES:
        resized(page, width, height)
        told = audited(page)
        assert told["found"] == [], (width, height)
        assert told["texts"] > 100
        lights = page.locator(".reds li:not(.blank) .key").evaluate_all(
            "(keys) => keys.map((key) => key.className)"
        )
        assert len(lights) == 5
        assert lights == sorted(lights), "red stands before yellow"
        assert page.locator(".wl li .key").count() == 4


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_where_no_whistle_waits_a_wall_says_how_the_last_ones_went(
    crowded: tuple[Site, crowded_city.Crowded], page: Any, lang: str
) -> None:
    site, _ = crowded
    page.goto(f"{site.address}/wall?area={crowded_city.QUIET}&lang={lang}&embed=true")
    settled(page)
    assert audited(page)["found"] == []
    assert page.locator(".wl li.past").count() == 3
    assert page.locator(".wl li.sum b").all_inner_texts() == ["3", "1"]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_an_old_wall_still_fits_when_it_says_for_how_long(
    crowded: tuple[Site, crowded_city.Crowded], asleep: Any, lang: str
) -> None:
    site, where = crowded
    page = asleep
    page.clock.install()
    page.goto(f"{site.address}/wall?area={where.town}&lang={lang}&embed=true")
    settled(page)
    page.context.set_offline(True)
    # The laptop sleeps for most of an hour, and wakes without its line.
    page.clock.fast_forward("52:13")
    page.wait_for_selector(".gw-wall .tile-six.stale", timeout=WAIT_MS)
    assert audited(page)["found"] == []
    page.context.set_offline(False)
    page.wait_for_function("() => !document.querySelector('.gw-wall .tile.stale')", timeout=WAIT_MS)
    assert audited(page)["found"] == []


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_wall_in_wartime_says_so_in_its_head_and_cuts_nothing(
    crowded: tuple[Site, crowded_city.Crowded], page: Any, lang: str
) -> None:
    site, where = crowded
    now = datetime.now(UTC)
    own, above = Actor("county:a", "county", where.county), Actor("city:b", "city", where.city)
    wish = Declaration(where.town, 2, "forest_fire", "dry", "mayor", own, above, now + timedelta(hours=4))
    with Desk(site.database_url) as desk:
        answer = wartime.declare(desk, wish, now)  # the second language finds it declared
    assert not isinstance(answer, Refusal) or answer.code == "in_wartime"
    page.set_viewport_size({"width": 1366, "height": 768})
    for area in (where.village, where.town, where.county):
        page.goto(f"{site.address}/wall?area={area}&lang={lang}&embed=true")
        settled(page)
        page.wait_for_selector(".gw-wall .peace[data-level='2']", timeout=WAIT_MS)
        assert audited(page)["found"] == []
        assert page.inner_text(".gw-wall .peace").startswith("战时" if lang == "zh" else "In wartime")
        # The ticker finds room for all that it was given.
        seen, all_of_them = page.evaluate(
            """() => { const list = document.querySelector('.tick ul'), end = list.getBoundingClientRect().bottom;
            const told = [...list.children];
            return [told.filter((each) => each.getBoundingClientRect().top < end).length, told.length] }"""
        )
        assert seen == all_of_them, area
