"""Works a desk of two thousand open cases in a real browser: nothing jumps, fifty go at once, keys are enough."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

import psycopg
import pytest
import redis
from playwright.sync_api import expect

from dispatch.accounts import sessions
from dispatch.desk.desk import Desk
from dispatch.rules.incident.chain import Actor, Command, Report
from dispatch.rules.policy import bursts
from models.cities import loading
from models.servers.database import Servers, psycopg_dsn
from tests.answers import Answers
from tests.browser.test_wall import READY_S, ROOT, WAIT_MS, chromium
from tests.ports import free_port
from tests.screens.test_workbench import with_second_teams
from tests.small_city import EAST, IN_EAST, TOWN
from tests.templates import CityOf

__all__ = ["chromium"]
pytestmark = pytest.mark.browser
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
        self.process = subprocess.Popen([sys.executable, "-m", "dashboard"], cwd=ROOT, env=self.environment)
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline and self.process.poll() is None:
            with suppress(OSError):
                with urllib.request.urlopen(f"{self.address}/login", timeout=10):
                    return
            time.sleep(0.2)
        raise AssertionError("the dashboard did not start")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(120)

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


@pytest.fixture(scope="module")
def town(servers: Servers, city_of: CityOf) -> Iterator[Town]:
    with city_of("migrated") as url:
        city = with_second_teams()
        # Of two thousand reports in one place only those at one spot are one matter.
        policy = city.policy[bursts.FILE].replace("near_km = 3.0", "near_km = 0.01")
        loading.store(url, replace(city, policy={**city.policy, bursts.FILE: policy}))
        with psycopg.connect(psycopg_dsn(url)) as connection:
            sessions.ensure_demo(connection)
        one = Town(servers, url)
        one.report(OPEN)
        one.start()
        yield one
        one.stop()


@pytest.fixture
def page(town: Town, chromium: Any) -> Iterator[Any]:
    """Open a tab at the desk, signed in as the dispatcher; it remembers what went wrong in it."""
    context = chromium.new_context(viewport={"width": 1366, "height": 768})
    context.set_default_timeout(WAIT_MS)
    tab = context.new_page()
    tab.faults, tab.answers = [], Answers(tab)
    tab.on("pageerror", lambda error: tab.faults.append(str(error)))
    sign_in(tab, town, "dispatcher")
    tab.goto(f"{town.address}/workbench")
    tab.wait_for_selector(".gwq-row", timeout=WAIT_MS)
    yield tab
    context.close()


def sign_in(page: Any, town: Town, login: str) -> None:
    """Sign in, and wait until the door has answered."""
    page.context.clear_cookies()
    page.goto(f"{town.address}/login")
    page.fill("#login", login)
    page.fill("#password", sessions.DEMO_PASSWORD)
    page.click("button.go")
    page.wait_for_url(lambda url: "/login" not in url, wait_until="commit", timeout=WAIT_MS)


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
    raise AssertionError(f"not {verb}: {town.rows(ids)}")


def test_two_thousand_open_cases_move_nothing_that_a_person_holds(town: Town, page: Any) -> None:
    expect(page.locator(".gwq-seg .on")).to_contain_text(f"{OPEN}")
    # Only what is seen is drawn.
    assert page.locator(".gwq-row").count() < 60
    page.click('[data-stage="accept"]')
    page.wait_for_url("**stage=accept**")
    page.evaluate("() => { document.querySelector('.gwq-list').scrollTop = 20000; }")
    page.locator(".gwq-row").nth(9).click()
    page.wait_for_url("**id=**")
    rested(page)
    held = selected(page)
    page.wait_for_selector('[class*="st-key-wb-reason-"] input')
    field = page.locator('[class*="st-key-wb-reason-"] input')
    field.fill("半句话")
    top = page.evaluate("() => document.querySelector('.gwq-list').scrollTop")

    town.report(2)
    page.wait_for_selector(".gwq-fresh:not([hidden])")
    page.wait_for_selector(".gwq-fresh b:has-text('2')")
    seen = int(page.locator(".gwq-row:not(.sel)").nth(6).get_attribute("data-id"))
    town.act("accept", [seen])
    page.wait_for_selector(f'.gwq-row.taken[data-id="{seen}"]')
    expect(page.locator(f'.gwq-row.taken[data-id="{seen}"] .gwq-d')).to_contain_text("受理")

    assert selected(page) == held
    assert field.input_value() == "半句话"
    assert abs(page.evaluate("() => document.querySelector('.gwq-list').scrollTop") - top) < 60
    assert page.locator(".gwq-seg .on").get_attribute("data-stage") == "accept"

    page.locator(".gwq-head h1").click()
    rested(page)
    page.keyboard.press("n")
    page.wait_for_selector(".gwq-fresh", state="hidden")
    expect(page.locator(f'.gwq-row[data-id="{seen}"]')).to_have_count(0)
    assert selected(page) == held

    # A refresh forgets nothing either.
    page.reload()
    page.wait_for_selector(".gwq-row.sel", timeout=WAIT_MS)
    assert selected(page) == held
    page.wait_for_function(
        "() => document.querySelector('[class*=\"st-key-wb-reason-\"] input')?.value === '半句话'",
        timeout=WAIT_MS,
    )
    assert page.faults == []


def test_fifty_are_reassigned_by_one_action(town: Town, page: Any) -> None:
    with psycopg.connect(psycopg_dsn(town.url)) as connection:
        teams = [row[0] for row in connection.execute("select id from team order by id").fetchall()]
    ids = town.report(50)
    town.act("accept", ids)
    town.act("dispatch", ids, team_id=teams[0])
    page.reload()
    page.wait_for_selector(".gwq-row", timeout=WAIT_MS)
    page.click('[data-stage="pick_up"]')
    page.wait_for_selector('.gwq-seg .on[data-stage="pick_up"]:has-text("50")')
    page.wait_for_function(
        "(ids) => { const rows = [...document.querySelectorAll('.gwq-row')];"
        " return rows.length > 5 && rows.every((row) => ids.includes(Number(row.dataset.id))); }",
        arg=ids,
    )
    page.locator(".gwq-tick").first.click()
    # Only what is seen is drawn: the last one stands at the end of the list once that has followed.
    page.wait_for_function(
        "() => { const box = document.querySelector('.gwq-list'); box.scrollTop = box.scrollHeight;"
        " const last = [...box.querySelectorAll('.gwq-row')].at(-1).getBoundingClientRect();"
        " return last.bottom <= box.getBoundingClientRect().bottom + 2; }"
    )
    page.locator(".gwq-tick").last.click(modifiers=["Shift"])
    page.locator(".st-key-wb-many-reassign button", has_text="50").click(timeout=WAIT_MS)
    page.locator(".st-key-wb-many-go button").click(timeout=WAIT_MS)
    rows = until(page, town, ids, "reassign")
    assert len({row[3] for row in rows}) == 1
    assert {row[0] for row in rows} == {"dispatched"}


def test_the_keyboard_alone_accepts_dispatches_and_reassigns(town: Town, page: Any) -> None:
    keys = page.keyboard
    incident_id = town.report(1)[0]
    page.reload()
    page.wait_for_selector(".gwq-row", timeout=WAIT_MS)
    with psycopg.connect(psycopg_dsn(town.url)) as connection:
        row = connection.execute("select number from incident where id = %s", (incident_id,)).fetchone()
    assert row is not None
    keys.press("f")
    keys.type(f"{row[0]:016}")
    keys.press("Enter")
    page.wait_for_function("() => document.querySelectorAll('.gwq-row').length === 1")
    keys.press("ArrowDown")
    page.wait_for_selector(".st-key-wb-primary button:has-text('受理')", timeout=WAIT_MS)
    rested(page)
    keys.press("d")
    until(page, town, [incident_id], "accept")
    page.wait_for_selector(".st-key-wb-primary button:has-text('派遣给')", timeout=WAIT_MS)
    rested(page)
    keys.press("d")
    until(page, town, [incident_id], "dispatch")
    # Another team by its number, a reason, and the same key again.
    page.wait_for_selector(".wb-row:has-text('待签收')", timeout=WAIT_MS)
    # The pane of teams follows the head: the numbers are read once it says who holds the case.
    page.wait_for_selector(".st-key-wb-offers .gw-tag:has-text('现在在它手里')", timeout=WAIT_MS)
    rested(page)
    other = page.wait_for_selector('[class*="st-key-wb-choose-"] button', timeout=WAIT_MS).inner_text()
    keys.press(other.strip()[-1])
    page.wait_for_selector(".st-key-wb-primary button:has-text('改派给')", timeout=WAIT_MS)
    rested(page)
    keys.press("e")
    keys.type("更熟悉现场")
    keys.press("Enter")
    page.wait_for_function("() => document.activeElement.tagName !== 'INPUT'")
    rested(page)
    keys.press("d")
    state, _, actor, _ = until(page, town, [incident_id], "reassign")[0]
    assert (state, actor) == ("dispatched", "dispatcher:dispatcher")
    assert page.faults == []


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


def test_keys_alone_refuse_recode_call_in_send_back_and_close(town: Town, page: Any) -> None:
    keys = page.keyboard
    refused, worked, closed = town.report(3)
    with psycopg.connect(psycopg_dsn(town.url)) as connection:
        teams = [row[0] for row in connection.execute("select id from team order by id").fetchall()]
        name = connection.execute("select name from category where code = '0803'").fetchone()
    assert name is not None
    standing(page, town, refused, "受理")
    question(page, "q")
    keys.type("不归城市管")
    keys.press("Enter")
    assert until(page, town, [refused], "reject")[0][0] == "rejected"
    # Another type is chosen by typing it, and what is still empty follows by itself.
    standing(page, town, worked, "受理")
    question(page, "l")
    keys.type(name[0])
    keys.press("Enter")
    page.wait_for_function("() => document.activeElement.tagName === 'TEXTAREA'")
    keys.type("看错了")
    keys.press("Enter")
    until(page, town, [worked], "recode")
    with psycopg.connect(psycopg_dsn(town.url)) as connection:
        row = connection.execute("select category from incident where id = %s", (worked,)).fetchone()
    assert row == ("0803",)
    town.act("accept", [worked, closed])
    town.act("dispatch", [worked, closed], team_id=teams[0])
    standing(page, town, worked, "催办")
    question(page, "a")
    # Its team is proposed where the law proposes one; else it is chosen first.
    if page.evaluate("() => document.activeElement.value === ''"):
        keys.press("ArrowDown")
        keys.press("Enter")
        rested(page)
    keys.press("Enter")
    until(page, town, [worked], "add_assist")
    town.dispose([worked, closed], teams[0])
    standing(page, town, worked, "核查通过")
    question(page, "s")
    keys.type("还有垃圾")
    keys.press("Enter")
    assert until(page, town, [worked], "rework")[0][0] == "dispatched"
    standing(page, town, closed, "核查通过")
    keys.press("d")
    until(page, town, [closed], "verify")
    page.wait_for_selector(".st-key-wb-primary button:has-text('结案')")
    rested(page)
    # Unticked, the law says so; ticked and sent in one breath, it is closed.
    keys.press("d")
    page.wait_for_selector(".wb-refused")
    rested(page)
    keys.press("g")
    keys.press("d")
    assert until(page, town, [closed], "close")[0][0] == "closed"
    assert page.faults == []


def test_enter_sends_a_whistle_with_all_that_is_written_and_shift_enter_begins_a_line(
    town: Town, page: Any
) -> None:
    keys = page.keyboard
    (incident_id,) = town.report(1)
    standing(page, town, incident_id, "受理")
    question(page, "w")
    # Its fields come one after the other: the text is the last, and what is written belongs there.
    page.wait_for_selector('[role="dialog"] textarea:focus')
    keys.press("End")
    keys.press("Shift+Enter")
    keys.type("第二行")
    assert page.locator('[role="dialog"]').count() == 1
    keys.press("Enter")
    until(page, town, [incident_id], "whistle")
    with psycopg.connect(psycopg_dsn(town.url)) as connection:
        row = connection.execute(
            "select data->'said'->>'reason' from event where incident_id = %s and verb = 'whistle'",
            (incident_id,),
        ).fetchone()
    assert row is not None
    assert row[0].splitlines()[1:] == ["第二行"]
    page.wait_for_selector('[role="dialog"]', state="detached")


def test_no_letter_reaches_the_page_behind_a_window(town: Town, page: Any) -> None:
    (incident_id,) = town.report(1)
    standing(page, town, incident_id, "受理")
    question(page, "q")
    page.locator('[role="dialog"] [data-testid="stBaseButton-primary"]').focus()
    page.keyboard.press("d")
    page.keyboard.press("b")
    rested(page)
    assert town.rows([incident_id])[0][1] == "report"
    # And a window without what it needs keeps what was typed and says what is missing.
    page.keyboard.press("Enter")
    page.wait_for_selector('[role="dialog"] .wb-refused')
    assert town.rows([incident_id])[0][1] == "report"


def test_fifty_are_ticked_by_keys(town: Town, page: Any) -> None:
    keys = page.keyboard
    keys.press("Shift+ArrowRight")
    page.wait_for_url("**stage=accept**")
    keys.press("ArrowDown")
    keys.press(" ")
    for _ in range(5):
        keys.press("PageDown")
    keys.press("Shift+ ")
    page.wait_for_selector(".st-key-wb-many-accept button:has-text('51')")
    keys.press("Escape")
    page.wait_for_selector(".st-key-wb-many-accept", state="detached")
    keys.press("Shift+ArrowDown")
    page.wait_for_selector(".st-key-wb-many-accept button:has-text('2')")
    keys.press("Escape")
    page.wait_for_selector(".st-key-wb-many-accept", state="detached")
    assert page.faults == []


def test_the_first_filter_says_that_it_holds_what_is_to_be_done(town: Town, page: Any) -> None:
    first = page.locator(".gwq-seg button").first
    assert first.inner_text().startswith("待办")
    assert "处置中" in str(first.get_attribute("title"))


def test_a_tick_by_hand_leaves_the_keys_to_the_page(town: Town, page: Any) -> None:
    (incident_id,) = town.report(1)
    with psycopg.connect(psycopg_dsn(town.url)) as connection:
        team = connection.execute("select min(id) from team").fetchone()
    assert team is not None
    town.act("accept", [incident_id])
    town.act("dispatch", [incident_id], team_id=team[0])
    town.dispose([incident_id], team[0])
    town.act("verify", [incident_id])
    standing(page, town, incident_id, "结案")
    page.wait_for_selector('[class*="st-key-wb-met-"] label')
    # While another case is fetched the key of the tick is held back like every other.
    other = town.report(1)[0]
    page.evaluate(
        """(id) => {
            window.ticked = 0;
            document.querySelector('[class*="st-key-wb-met-"] input')
                .addEventListener("click", () => { window.ticked += 1; });
            [...window.gridwhistleDesks.values()][0].queue.select(id);
            document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "g", bubbles: true, cancelable: true }));
        }""",
        str(other),
    )
    assert page.evaluate("window.ticked") == 0
    standing(page, town, incident_id, "结案")
    page.locator('[class*="st-key-wb-met-"] label').click()
    rested(page)
    page.keyboard.press("d")
    until(page, town, [incident_id], "close")


def test_on_a_phone_one_line_stands_for_the_filters_of_the_list(town: Town, page: Any) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    opened(page, town, "/incidents?state=reported", ".gw-rows tr[data-open]")
    line = page.locator(".st-key-incidents-fold button")
    line.wait_for()
    expect(line).to_contain_text("待受理")
    rested(page)
    expect(page.locator('[data-testid="stSelectbox"]:visible')).to_have_count(0)
    assert page.locator(".gw-rows tr[data-open]").first.bounding_box()["y"] < 300
    line.click()
    page.wait_for_selector('.st-key-gw-filters-open [data-testid="stSelectbox"]:visible')
    expect(page.locator('.st-key-gw-filters-open [data-testid="stSelectbox"]:visible')).to_have_count(4)
    page.set_viewport_size({"width": 1366, "height": 768})
    opened(page, town, "/incidents", ".gw-rows tr[data-open]")
    expect(line).to_be_hidden()
    expect(page.locator('[class*="st-key-gw-filters-"] [data-testid="stSelectbox"]:visible')).to_have_count(4)


def test_on_a_phone_a_menu_stands_for_the_administrators_tabs(town: Town, page: Any) -> None:
    sign_in(page, town, "admin")
    page.set_viewport_size({"width": 390, "height": 844})
    opened(page, town, "/admin?tab=keys", ".st-key-gw-tabs-narrow input")
    menu = page.locator(".st-key-gw-tabs-narrow input")
    menu.wait_for()
    expect(menu).to_have_value("密钥")
    expect(page.locator(".st-key-gw-tabs-wide button:visible")).to_have_count(0)
    rested(page)
    menu.click()
    page.get_by_role("option", name="定时任务").click()
    page.wait_for_url("**tab=jobs**")
    expect(menu).to_have_value("定时任务")
    page.set_viewport_size({"width": 1366, "height": 768})
    page.locator(".st-key-gw-tabs-wide button", has_text="账号").click()
    page.wait_for_url("**tab=accounts**")
    expect(menu).to_be_hidden()


def test_what_is_dragged_over_the_place_for_files_is_spoken_of_in_the_pages_language(
    town: Town, page: Any
) -> None:
    sign_in(page, town, "admin")
    opened(page, town, "/admin?tab=policy", '[data-testid="stFileUploaderDropzone"]')
    rested(page)
    page.evaluate(
        """() => {
            const zone = document.querySelector('[data-testid="stFileUploaderDropzone"]'), data = new DataTransfer();
            data.items.add(new File(["x"], "a.csv", { type: "text/csv" }));
            for (const name of ["dragenter", "dragover"])
                zone.dispatchEvent(new DragEvent(name, { bubbles: true, cancelable: true, dataTransfer: data }));
        }"""
    )
    said = page.get_by_text("Drag and drop")
    said.wait_for()
    assert said.evaluate("(at) => getComputedStyle(at).fontSize") == "0px"
    assert "松手" in said.evaluate("(at) => getComputedStyle(at, '::after').content")


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_head_of_the_leaders_figures_is_one_line(town: Town, page: Any, lang: str) -> None:
    sign_in(page, town, "leader")
    for width, height in ((1366, 768), (1920, 1080)):
        page.set_viewport_size({"width": width, "height": height})
        opened(page, town, f"/leaders?lang={lang}&kind=month", ".st-key-brief-pdf button")
        page.wait_for_selector(".gw-say")
        rested(page)
        page.wait_for_function(
            "() => document.querySelector('.st-key-gw-head').getBoundingClientRect().height < 60"
        )
        # What it is held against stands beside the sentence.
        expect(page.locator(".gw-say .gw-muted")).to_have_count(1)


def test_escape_leaves_no_filter_behind_in_an_empty_search_field(town: Town, page: Any) -> None:
    page.keyboard.press("f")
    page.keyboard.type("no such thing")
    page.wait_for_selector(".gwq-none")
    page.keyboard.press("Escape")
    page.wait_for_selector(".gwq-row")
    expect(page.locator(".gwq-find input")).to_have_value("")
    page.reload()
    page.wait_for_selector(".gwq-row", timeout=WAIT_MS)


def opened(page: Any, town: Town, path: str, ready: str) -> None:
    page.goto(f"{town.address}{path}")
    page.wait_for_selector(ready, state="attached", timeout=WAIT_MS)


def test_no_key_reaches_the_case_before_while_the_next_one_is_fetched(town: Town, page: Any) -> None:
    first, second = town.report(2)
    opened(page, town, f"/workbench?id={first}", f'.wb-of[data-case="{first}"]')
    page.wait_for_selector(".st-key-wb-primary button:has-text('受理')")
    page.wait_for_selector(f'.gwq-row[data-id="{first}"]')
    # Another case is chosen, and in the same breath the key of the next step is pressed.
    page.evaluate(
        """(id) => {
            const queue = [...window.gridwhistleDesks.values()][0].queue;
            queue.select(id);
            for (const type of ["keydown", "keyup"])
                document.body.dispatchEvent(
                    new KeyboardEvent(type, { key: "d", code: "KeyD", bubbles: true, cancelable: true }));
        }""",
        str(second),
    )
    page.wait_for_selector(f'.wb-of[data-case="{second}"]', state="attached", timeout=WAIT_MS)
    rested(page)
    assert [row[1] for row in town.rows([first, second])] == ["report", "report"]
    # Now the key is for what is seen.
    page.wait_for_selector(".st-key-wb-primary button:has-text('受理')")
    page.keyboard.press("d")
    until(page, town, [second], "accept")
    assert town.rows([first])[0][1] == "report"
    assert page.faults == []


def test_the_later_of_two_quick_choices_stays(town: Town, page: Any) -> None:
    rows = page.locator(".gwq-row")
    rested(page)
    asked = page.answers.sent
    rows.nth(2).click()
    page.answers.more_than(asked)
    rows.nth(5).click()
    held = selected(page)
    page.wait_for_selector(f'.wb-of[data-case="{held}"]', state="attached", timeout=WAIT_MS)
    rested(page)
    assert selected(page) == held
    page.wait_for_url(f"**id={held}**")


def test_a_storm_is_one_row_that_opens_and_is_ticked_whole_by_one_key(town: Town, page: Any) -> None:
    ids = set(map(str, town.report(13, "0803", apart=False)))
    opened(page, town, "/workbench", ".gwq-row.burst")
    row = page.locator(".gwq-row.burst")
    expect(row).to_contain_text("暴雨")
    expect(row).to_contain_text("13 件")
    # None of its cases stands by itself, and the group counts each of them.
    of_list = "() => [...document.querySelectorAll('.gwq-row[data-id]')].map((at) => at.dataset.id)"
    assert ids.isdisjoint(page.evaluate(of_list))
    # The keys reach it: first the row as one, then each of its cases.
    page.evaluate("(id) => [...window.gridwhistleDesks.values()][0].queue.select(id)", min(ids, key=int))
    page.wait_for_selector(".gwq-row.burst.sel")
    page.wait_for_selector(f'.wb-of[data-case="{min(ids, key=int)}"]', state="attached", timeout=WAIT_MS)
    page.keyboard.press(" ")
    page.wait_for_selector(".st-key-wb-many-accept button:has-text('13')", timeout=WAIT_MS)
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.querySelectorAll('.gwq-row.kid').length === 13")
    page.keyboard.press("ArrowDown")
    page.wait_for_function("() => document.querySelectorAll('.gwq-row.kid')[1]?.classList.contains('sel')")
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector(".gwq-row.kid", state="detached")
    expect(row.locator(".gwq-tick.on")).to_have_count(1)
    # In any other order every case stands by itself.
    page.locator(".gwq-find select").select_option("place")
    page.wait_for_url("**sort=place**")
    page.wait_for_selector(".gwq-row.burst", state="detached")
    page.reload()
    page.wait_for_selector(".gwq-row", timeout=WAIT_MS)
    expect(page.locator(".gwq-find select")).to_have_value("place")
    assert page.faults == []


def test_a_choice_that_was_under_way_never_takes_a_filter_out_of_the_address(town: Town, page: Any) -> None:
    page.evaluate(
        """() => {
            window.addresses = [];
            for (const name of ["pushState", "replaceState"]) {
                const plain = history[name].bind(history);
                history[name] = (...given) => { plain(...given); window.addresses.push(location.search); };
            }
        }"""
    )
    # A case is chosen, and just before its wish is sent the order and the stage are too: all leave with one address.
    page.evaluate(
        """() => {
            const [desk] = window.gridwhistleDesks.values(), menu = document.querySelector(".gwq-find select");
            desk.queue.select(desk.queue.rows[3]);
            setTimeout(() => {
                menu.value = "place";
                menu.dispatchEvent(new Event("change"));
                document.querySelector('[data-stage="accept"]').click();
            }, 110);
        }"""
    )
    held = selected(page)
    page.wait_for_selector(f'.wb-of[data-case="{held}"]', state="attached", timeout=WAIT_MS)
    page.wait_for_url(f"**id={held}**")
    rested(page)
    said = page.evaluate("window.addresses")
    for name in ("sort=place", "stage=accept"):
        since = [name in each for each in said]
        assert since[-1], said
        assert all(since[since.index(True) :]), said


def test_an_empty_filter_says_which_and_one_button_clears_it(town: Town, page: Any) -> None:
    page.click('[data-stage="close"]')
    page.wait_for_url("**stage=close**")
    page.keyboard.press("f")
    page.keyboard.type("no such thing")
    page.wait_for_selector(".gwq-none")
    expect(page.locator(".gwq-none")).to_contain_text("待结案")
    expect(page.locator(".gwq-none")).to_contain_text("no such thing")
    page.click(".gwq-none [data-clear]")
    page.wait_for_selector(".gwq-row")
    # The way back in the browser's history leads to what was chosen before.
    rested(page)
    assert "stage" not in page.url
    page.go_back()
    page.wait_for_url("**stage=close**")
    expect(page.locator(".gwq-seg .on")).to_have_attribute("data-stage", "close")


CUT = """(selectors) => [...document.querySelectorAll(selectors)]
    .filter((at) => at.offsetParent && (at.scrollWidth > at.clientWidth + 1
        || (at.scrollHeight > at.clientHeight + 2 && getComputedStyle(at).overflowY !== "visible"))
        && getComputedStyle(at).display !== "inline")
    .map((at) => at.className + ": " + at.textContent)"""


# Labels of the small map that reach over its edge.
OUTSIDE = """() => {
    const map = document.querySelector(".gwq-map").getBoundingClientRect();
    const texts = [...document.querySelectorAll(".gwq-map text")];
    const outside = texts.filter((at) => {
        const box = at.getBoundingClientRect();
        return box.left < map.left || box.right > map.right || box.top < map.top || box.bottom > map.bottom;
    });
    return { texts: texts.length, outside: outside.map((at) => at.textContent) };
}"""


def cut(page: Any, selectors: str) -> list[str]:
    """Return what is cut once nothing is, twice half a second apart; letters and panes take their time to come."""
    deadline, clean = time.monotonic() + WAIT_MS / 1000, 0
    while True:
        found: list[str] = page.evaluate(CUT, selectors)
        clean = 0 if found else clean + 1
        if clean == 2 or time.monotonic() > deadline:
            return found
        page.wait_for_timeout(500)


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("size", [(1366, 768), (1920, 1080)])
def test_nothing_of_a_case_is_cut(town: Town, page: Any, size: tuple[int, int], lang: str) -> None:
    near = town.report(2)
    town.act("accept", near[:1])
    page.set_viewport_size({"width": size[0], "height": size[1]})
    opened(page, town, f"/workbench?lang={lang}&id={near[0]}", f'.wb-of[data-case="{near[0]}"]')
    page.wait_for_selector(".gwq-steps > div")
    rested(page)
    held = ".gwq-steps > div > *, .wb-ledger span, .wb-stretches li, .wb-o b, .wb-why li, .wb-like div:not(.text)"
    assert cut(page, held) == []
    labels = page.evaluate(OUTSIDE)
    assert labels["texts"] > 1
    assert labels["outside"] == []
    # Panes and bars fit the window.
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert page.locator(".wb-tl time").first.inner_text().count(":") == 1


def test_a_lost_line_says_so_counts_on_and_comes_back(town: Town, page: Any) -> None:
    incident_id = town.report(1)[0]
    opened(page, town, f"/workbench?id={incident_id}", f'.wb-of[data-case="{incident_id}"]')
    page.wait_for_selector(".gwq-line:has-text('实时')")
    before = page.locator(".gwq-steps [data-due] b").first.inner_text()
    town.process.send_signal(signal.SIGSTOP)
    try:
        page.wait_for_selector(".gwq-line:has-text('已断')", timeout=WAIT_MS)
        expect(page.locator(".gwq-steps [data-due] b").first).not_to_have_text(before)
        said = page.evaluate(
            "() => getComputedStyle(document.querySelector('.st-key-wb-go'), '::before').content"
        )
        assert "恢复之前什么也不发出" in said
    finally:
        town.process.send_signal(signal.SIGCONT)
    page.wait_for_selector(".gwq-line:has-text('实时')", timeout=WAIT_MS)
    page.wait_for_function(
        "() => getComputedStyle(document.querySelector('.st-key-wb-go'), '::before').content === 'none'"
    )


def test_the_list_opens_its_first_incident_and_shows_lights_by_shape_and_colour(
    town: Town, page: Any
) -> None:
    page.set_viewport_size({"width": 1440, "height": 900})
    opened(page, town, "/incidents", ".gw-rows tr.on")
    expect(page.locator(".gw-head h1")).to_contain_text("事件")
    rested(page)
    first = page.locator(".gw-rows tr.on").get_attribute("data-open")
    assert first == page.locator(".gw-rows tr[data-open]").first.get_attribute("data-open")
    number = page.locator(".gw-rows tr.on td").last.locator("p").inner_text()
    page.get_by_text(f"编号 {number}").wait_for()
    colours = page.evaluate(
        "() => [...document.querySelectorAll('.gw-rows .gw-light')].map((at) => getComputedStyle(at).color)"
    )
    assert colours
    assert "rgb(20, 25, 30)" not in colours  # the ink of letters
    assert cut(page, ".gw-rows td, .gw-rows p") == []
    assert page.evaluate(
        "() => { const box = document.querySelector('.gw-rows'); return box.scrollWidth <= box.clientWidth + 1; }"
    )
    # Another row opens beside the list, its link is in the address bar, and the list keeps its place.
    rested(page)
    page.evaluate("() => { document.querySelector('.gw-rows').scrollTop = 400; }")
    row = page.locator(".gw-rows tr[data-open]").nth(12)
    wish = row.get_attribute("data-open")
    row.click()
    page.wait_for_url(f"**id={wish}**")
    page.wait_for_selector(f'.gw-rows tr.on[data-open="{wish}"]')
    assert page.evaluate("() => document.querySelector('.gw-rows').scrollTop") > 0
    page.reload()
    page.wait_for_selector(f'.gw-rows tr.on[data-open="{wish}"]', timeout=WAIT_MS)
    # A link beyond one's area is answered like one to nothing.
    opened(page, town, "/incidents?id=999999999", ".gw-rows tr[data-open]")
    page.get_by_text("没有这个件").wait_for()
    assert page.faults == []


def test_the_whistle_board_says_whose_it_is(town: Town, page: Any) -> None:
    opened(page, town, "/whistles", ".gwb .sums")
    head = page.locator(".gw-head")
    for words in ("吹哨报到", "派遣员", "演示数据"):
        expect(head).to_contain_text(words)
