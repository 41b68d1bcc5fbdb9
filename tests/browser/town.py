"""A town of two thousand open cases with its dashboard, for browsers, and what a hand does at its desk."""

from __future__ import annotations

import os
import time
import urllib.request
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from typing import Any

import psycopg
import redis

from dashboard.access import COOKIE
from dispatch.accounts import sessions
from dispatch.desk.desk import Desk
from dispatch.rules.incident.chain import Actor, Command, Report
from models.servers.database import Servers, psycopg_dsn
from tests.browser.test_wall import READY_S, WAIT_MS
from tests.forked import dashboard_begun
from tests.ports import free_port
from tests.small_city import EAST, IN_EAST, TOWN

OPEN = 2_000
OTHER = Actor("dispatcher:other", "dispatcher", TOWN)
_serial = count(1)


class Town:
    """A dashboard process over the small city, with two thousand open cases and another dispatcher at work."""

    def __init__(self, servers: Servers, url: str) -> None:
        self.url, self.stream = url, redis.Redis.from_url(servers.redis_url)
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.environment = os.environ | {
            "DATABASE_URL": url, "REDIS_URL": servers.redis_url, "PORT": str(self.port), "HOST": "127.0.0.1",
            "DEMO": "1",
        }  # fmt: skip

    def start(self) -> None:
        self.process = dashboard_begun(self.environment)
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline and self.process.is_alive():
            with suppress(OSError):
                with urllib.request.urlopen(f"{self.address}/login", timeout=10):
                    return
            time.sleep(0.05)
        raise AssertionError("the dashboard did not start")

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def stop(self) -> None:
        self.process.terminate()
        self.process.join(120)

    def report(self, number: int = 1, category: str = "0104", apart: bool = True) -> list[int]:
        """Report something `number` times, some 15 m from one another or all at one spot."""
        now, made = datetime.now(UTC), []
        for _ in range(number):
            n = next(_serial)
            lon, lat = IN_EAST
            if apart:
                lon, lat = lon + n % 50 * 1.5e-4, lat + n // 50 * 1.5e-4
            made.append(Report(n, "test", str(n), category, f"第 {n} 件", "", EAST, lon, lat, "point", now))
        with Desk(self.url, self.stream) as desk:
            return [o.incident_id for o in desk.report(made, now) if o.incident_id is not None]

    def act(self, verb: str, ids: list[int], actor: Actor = OTHER, **args: Any) -> None:
        with Desk(self.url, self.stream) as desk:
            commands = [Command(verb, one, actor, f"t-{next(_serial)}", args) for one in ids]
            for outcome in desk.act(commands, datetime.now(UTC)):
                assert outcome.refusal is None, outcome.refusal.words("en")

    def dispose(self, ids: list[int], team_id: int) -> None:
        """Let the team that they were sent to do all of its part."""
        team = Actor("team:doing", "team", TOWN, team_id)
        self.act("pick_up", ids, team)
        self.act("arrive", ids, team, reason="没有定位")
        self.act("dispose", ids, team, result="办好了", photos=("a", "b"))

    def rows(self, ids: list[int]) -> list[tuple[Any, ...]]:
        with psycopg.connect(psycopg_dsn(self.url)) as connection:
            return connection.execute(
                "select state, last_verb, last_actor, holder from incident where id = any(%s) order by id",
                (ids,),
            ).fetchall()


def people(url: str) -> None:
    """Give the demo's people their accounts, each signed in with the token `<login>-token`."""
    now = datetime.now(UTC)
    with psycopg.connect(psycopg_dsn(url)) as connection:
        sessions.ensure_demo(connection)
        for account_id, login in connection.execute("select id, login from account").fetchall():
            connection.execute(
                "insert into session (sha256, account_id, created_at, seen_at) values (%s, %s, %s, %s)",
                (sessions.digest(f"{login}-token"), account_id, now, now),
            )


def enter(page: Any, town: Town, login: str) -> None:
    """Let a tab be somebody's: how one signs in at the door is tried elsewhere."""
    page.context.clear_cookies()
    page.context.add_cookies([{"name": COOKIE, "value": f"{login}-token", "url": town.address}])


def opened(page: Any, town: Town, path: str, ready: str) -> None:
    page.goto(f"{town.address}{path}")
    page.wait_for_selector(ready, state="attached", timeout=WAIT_MS)


def selected(page: Any) -> str:
    return str(page.locator(".gwq-row.sel").get_attribute("data-id"))


def rested(page: Any) -> None:
    """Wait until a wish that was just made has been sent and its answer is drawn: then keys are heard."""
    page.answers.wait()


def until(page: Any, town: Town, ids: list[int], verb: str) -> list[tuple[Any, ...]]:
    deadline = time.monotonic() + WAIT_MS / 1000
    while time.monotonic() < deadline:
        rows = town.rows(ids)
        if all(row[1] == verb for row in rows):
            return rows
        page.wait_for_timeout(200)
    said = page.locator("[role=dialog], .wb-refused").all_inner_texts()
    raise AssertionError(f"not {verb}: {town.rows(ids)}; the page says {said}")


def standing(page: Any, town: Town, incident_id: int, words: str = "") -> None:
    """Open a case, and wait until its buttons stand and keys are heard."""
    opened(page, town, f"/workbench?id={incident_id}", f'.wb-of[data-case="{incident_id}"]')
    page.wait_for_selector(f".st-key-wb-primary button:has-text('{words}')")
    rested(page)


def question(page: Any, key: str) -> None:
    """Press a key that asks for something, and wait until the window has given the focus to what comes first in it."""
    page.keyboard.press(key)
    page.wait_for_selector('[role="dialog"] [data-testid="stBaseButton-primary"]')
    page.wait_for_function(
        """() => document.activeElement.closest('[role=dialog]') && document.activeElement.matches(
            'input, textarea, [data-testid="stBaseButton-primary"]')"""
    )
    rested(page)


CUT = """(selectors) => [...document.querySelectorAll(selectors)]
    .filter((at) => at.offsetParent && (at.scrollWidth > at.clientWidth + 1
        || (at.scrollHeight > at.clientHeight + 2 && getComputedStyle(at).overflowY !== "visible"))
        && getComputedStyle(at).display !== "inline")
    .map((at) => at.className + ": " + at.textContent)"""


def cut(page: Any, selectors: str) -> list[str]:
    """Return what is cut once nothing is, twice half a second apart; letters and panes take their time to come."""
    deadline, clean = time.monotonic() + WAIT_MS / 1000, 0
    while True:
        found: list[str] = page.evaluate(CUT, selectors)
        clean = 0 if found else clean + 1
        if clean == 2 or time.monotonic() > deadline:
            return found
        page.wait_for_timeout(500)
