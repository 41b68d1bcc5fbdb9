"""Opens the wall in a real browser on a real server: it fills the screen, moves, and keeps what is not for all."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from playwright.sync_api import expect

from dispatch.desk.desk import Desk
from dispatch.rules.incident.chain import Report
from models.servers.database import Servers, psycopg_dsn
from tests.forked import dashboard_begun
from tests.ports import free_port
from tests.templates import CityOf

pytestmark = pytest.mark.browser
# Debian's headless shell draws the same and takes half the work of the whole browser to open a page.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
BROWSER = next((found for name in BROWSERS if (found := shutil.which(name))), None)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    # Tabs of one window share a process, and what it has compiled of the pages: else each compiles them anew.
    "--renderer-process-limit=1",
]
CITY = "445300"
ROOT = Path(__file__).parents[2]
READY_S = 240.0
# However busy the machine is: what is proved is that it comes by itself, not how soon.
WAIT_MS = 120_000
expect.set_options(timeout=WAIT_MS)
# What the wall counts as reported today: the first figure of its tile, whatever stands beside it.
REPORTED = "document.querySelectorAll('.gw-wall .six li')[1].querySelector('.v').innerText"
_serial = count(80_001)


class Site:
    """A dashboard process on a port of its own, which a test may stop and start."""

    def __init__(self, servers: Servers, database_url: str, redis_url: str) -> None:
        self.port = free_port()
        self.environment = os.environ | {
            "DATABASE_URL": database_url, "REDIS_URL": redis_url, "PORT": str(self.port),
            "HOST": "127.0.0.1", "DEMO": "1",
        }  # fmt: skip
        self.database_url = database_url
        self.stream = redis.Redis.from_url(redis_url)
        self.process: BaseProcess | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, city: str = CITY) -> None:
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            if self.process is None or not self.process.is_alive():
                # Also where the port was taken by another in the moment between.
                self.process = dashboard_begun(self.environment)
            with suppress(OSError):
                with urllib.request.urlopen(f"{self.address}/shapes/{city}.geojson", timeout=10):
                    return
            time.sleep(0.05)
        self.stop()
        raise AssertionError("the dashboard did not start")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.join(120)
            assert not self.process.is_alive(), "the dashboard did not stop"
            self.process = None

    def report(self, area: str = "445302001009", category: str = "0104") -> int:
        now, n = datetime.now(UTC), next(_serial)
        with Desk(self.database_url, self.stream) as desk:
            one = Report(n, "test", str(n), category, "x", "", area, 112.03, 22.93, "point", now)
            outcome = desk.report([one], now)[0]
        assert outcome.incident_id is not None
        return outcome.incident_id


@pytest.fixture(scope="module")
def site(servers: Servers, city_of: CityOf) -> Iterator[Site]:
    with city_of("demo") as url:
        one = Site(servers, url, servers.redis_url)
        one.report()
        one.start()
        yield one
        one.stop()


@pytest.fixture
def page(window: Any) -> Iterator[Any]:
    """Open a tab of its own, nobody's; it remembers what went wrong in it."""
    window.clear_cookies()
    with remembering(window) as tab:
        yield tab


@contextmanager
def remembering(window: Any) -> Iterator[Any]:
    """Lend a tab as large as a wall, with a list of what went wrong in it."""
    tab = window.new_page()
    tab.set_viewport_size({"width": 1920, "height": 1080})
    tab.faults = []
    tab.on("pageerror", lambda error: tab.faults.append(str(error)))
    tab.on("console", lambda said: tab.faults.append(said.text) if said.type == "error" else None)
    tab.on("response", lambda r: tab.faults.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    yield tab
    tab.close()


def open_wall(page: Any, site: Site, area: str = CITY, **query: str) -> None:
    tail = "".join(f"&{key}={value}" for key, value in query.items())
    page.goto(f"{site.address}/wall?area={area}&embed=true{tail}")
    page.wait_for_selector(".gw-wall .six li", timeout=WAIT_MS)


def reported(page: Any) -> int:
    return int(
        page.locator(".gw-wall .six li")
        .nth(1)
        .locator(".v")
        .inner_text()
        .split("\n")[0]
        .replace(",", "")
        .rstrip("件")
    )


@pytest.mark.parametrize("size", [(1920, 1080), (1366, 768), (3840, 2160)])
def test_the_wall_fills_the_screen_without_scrolling(site: Site, page: Any, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    open_wall(page, site)
    box = page.evaluate(
        "() => [document.documentElement.scrollWidth, document.documentElement.scrollHeight,"
        " ...Object.values(document.querySelector('.gw-wall .stage').getBoundingClientRect().toJSON()).slice(2, 4)]"
    )
    assert box[0] <= size[0]
    assert box[1] <= size[1]
    assert box[2] == pytest.approx(size[0], abs=size[0] * 0.01)
    page.wait_for_function(
        "() => [...document.querySelectorAll('.gw-wall .tile')].every((e) => e.scrollWidth <= e.clientWidth + 1)",
        timeout=WAIT_MS,
    )
    assert page.faults == []


def test_the_numbers_move_when_something_is_reported(site: Site, page: Any) -> None:
    open_wall(page, site)
    moves(site, page)
    expect(page.locator(".tick")).to_contain_text("新上报")
    assert page.faults == []


def test_the_map_is_drawn_with_its_areas(site: Site, page: Any) -> None:
    open_wall(page, site)
    page.wait_for_selector(".gw-wall .plot canvas", timeout=WAIT_MS)
    page.wait_for_selector(".gw-wall .over .county", timeout=WAIT_MS)
    deadline = time.monotonic() + WAIT_MS / 1000
    # Towns without anything overdue wear the lowest step of the ramp (#1f2830).
    while colours(page).get("31,40,48", 0) <= 50_000:
        assert time.monotonic() < deadline, "the map is not drawn"
    expect(page.locator(".over .county")).to_have_count(5)


def colours(page: Any) -> dict[str, int]:
    """Return how many pixels of the map have which colour."""
    shot = page.locator(".gw-wall .plot").screenshot()
    counted: dict[str, int] = page.evaluate(
        """async (bytes) => {
          const bitmap = await createImageBitmap(new Blob([new Uint8Array(bytes)]));
          const canvas = new OffscreenCanvas(bitmap.width, bitmap.height), pen = canvas.getContext('2d');
          pen.drawImage(bitmap, 0, 0);
          const data = pen.getImageData(0, 0, bitmap.width, bitmap.height).data, counts = {};
          for (let n = 0; n < data.length; n += 4) {
            const key = [data[n], data[n + 1], data[n + 2]].join();
            counts[key] = (counts[key] ?? 0) + 1;
          }
          return counts;
        }""",
        list(shot),
    )
    return counted


def test_a_click_goes_down_and_the_crumb_goes_up(site: Site, page: Any) -> None:
    open_wall(page, site)
    page.locator(".five li").first.click()
    page.wait_for_function(
        "() => document.querySelector('.gw-wall .unit').textContent === '云城区中脑'", timeout=WAIT_MS
    )
    page.wait_for_url("**area=445302**")
    page.locator(".crumbs a").first.click()
    page.wait_for_function(
        "() => document.querySelector('.gw-wall .unit').textContent === '云浮市城市大脑'", timeout=WAIT_MS
    )
    page.go_back()
    page.wait_for_function(
        "() => document.querySelector('.gw-wall .unit').textContent === '云城区中脑'", timeout=WAIT_MS
    )
    assert page.faults == []


def test_in_english_no_chinese_sentence_is_left(site: Site, page: Any) -> None:
    open_wall(page, site, lang="en")
    expect(page.locator(".gw-wall")).to_contain_text("Overdue and open")
    page.wait_for_selector(".gw-wall .over .county", timeout=WAIT_MS)
    words = page.locator(".gw-wall").inner_text()
    assert not [each for each in ("今日", "超时", "在办", "示意图") if each in words]


def moves(site: Site, page: Any) -> None:
    """Report something and wait until the wall counts it."""
    before = reported(page)
    site.report()
    page.wait_for_function(
        f"(n) => parseInt({REPORTED}.replace(/,/g, '')) === n",
        arg=before + 1,
        timeout=WAIT_MS,
    )


def test_a_key_that_is_revoked_leaves_nothing_on_the_wall(site: Site, page: Any) -> None:
    with psycopg.connect(psycopg_dsn(site.database_url), autocommit=True) as connection:
        connection.execute(
            "insert into wall_key (area_code, sha256) values ('445302', %s)",
            (hashlib.sha256(b"county wall").hexdigest(),),
        )
        page.goto(f"{site.address}/live/445302?key=county+wall&lang=xx")
        page.wait_for_selector(".gw-wall .six li", timeout=WAIT_MS)
        # An unknown language is Chinese.
        expect(page.locator(".gw-wall .unit")).to_have_text("云城区中脑")
        connection.execute("update wall_key set revoked_at = now() where area_code = '445302'")
    page.wait_for_function(
        "() => document.querySelector('.gw-wall .unit').textContent.includes('key=')", timeout=WAIT_MS
    )
    expect(page.locator(".gw-wall [data-body] li")).to_have_count(0)
    expect(page.locator(".gw-wall .over > *")).to_have_count(0)
    expect(page.locator(".gw-wall .stage")).not_to_contain_text("云城")


@pytest.mark.parametrize(("query", "words"), [("area=445399", "没有这个"), ("area=445302&key=wrong", "key=")])
def test_a_wall_says_why_there_is_no_picture(site: Site, page: Any, query: str, words: str) -> None:
    page.goto(f"{site.address}/wall?{query}&embed=true")
    page.wait_for_function(
        "(words) => document.querySelector('.gw-wall .unit')?.textContent.includes(words)",
        arg=words,
        timeout=WAIT_MS,
    )
    expect(page.locator(".gw-wall [data-body] li")).to_have_count(0)
