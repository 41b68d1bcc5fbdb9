"""Works a desk of two thousand open cases in a real browser: nothing jumps, fifty go at once, keys are enough."""

from __future__ import annotations

import os
import signal
from typing import Any

import psycopg
import pytest
from playwright.sync_api import expect

from models.servers.database import psycopg_dsn
from tests.browser.test_wall import WAIT_MS
from tests.browser.town import OPEN, Town, cut, enter, opened, question, rested, selected, standing, until

pytestmark = pytest.mark.browser


def test_two_thousand_open_cases_move_nothing_that_a_person_holds(town: Town, page: Any) -> None:
    opened(page, town, "/workbench", ".gwq-row")
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
    opened(page, town, "/workbench", ".gwq-row")
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
    opened(page, town, "/workbench", ".gwq-row")
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


# Something moves on the page, and the longest that a window waits for its focus goes by.
MOVED = """() => new Promise((said) => {
    document.body.append(document.createElement("i"));
    setTimeout(() => said(document.activeElement.getAttribute("role")), 800);
})"""


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
    keys.insert_text(name[0])
    # Enter takes what the menu has found: while it still looks it takes nothing.
    page.locator('[role="option"]', has_text=name[0]).first.wait_for()
    # These letters came without a key, as from a pen or by speech: what moves on the page takes no focus from them.
    assert page.evaluate(MOVED) == "combobox"
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
        page.locator('[role="option"]').first.wait_for()
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
    opened(page, town, "/workbench", ".gwq-row")
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
    opened(page, town, "/workbench", ".gwq-row")
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


def test_escape_leaves_no_filter_behind_in_an_empty_search_field(town: Town, page: Any) -> None:
    opened(page, town, "/workbench", ".gwq-row")
    page.keyboard.press("f")
    page.keyboard.type("no such thing")
    page.wait_for_selector(".gwq-none")
    page.keyboard.press("Escape")
    page.wait_for_selector(".gwq-row")
    expect(page.locator(".gwq-find input")).to_have_value("")
    page.reload()
    page.wait_for_selector(".gwq-row", timeout=WAIT_MS)


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
    opened(page, town, "/workbench", ".gwq-row")
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
    opened(page, town, "/workbench", ".gwq-row")
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
    opened(page, town, "/workbench", ".gwq-row")
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


def test_a_lost_line_says_so_counts_on_and_comes_back(town: Town, asleep: Any) -> None:
    incident_id, page = town.report(1)[0], asleep
    enter(page, town, "dispatcher")
    page.set_viewport_size({"width": 1366, "height": 768})
    page.clock.install()
    opened(page, town, f"/workbench?id={incident_id}", f'.wb-of[data-case="{incident_id}"]')
    page.wait_for_selector(".gwq-line:has-text('实时')")
    before = page.locator(".gwq-steps [data-due] b").first.inner_text()
    os.kill(town.pid, signal.SIGSTOP)
    try:
        # Longer than the server may say nothing; it says nothing in this time nor after it.
        page.clock.fast_forward("00:30")
        page.wait_for_selector(".gwq-line:has-text('已断')", timeout=WAIT_MS)
        expect(page.locator(".gwq-steps [data-due] b").first).not_to_have_text(before)
        said = page.evaluate(
            "() => getComputedStyle(document.querySelector('.st-key-wb-go'), '::before').content"
        )
        assert "恢复之前什么也不发出" in said
    finally:
        os.kill(town.pid, signal.SIGCONT)
    page.wait_for_selector(".gwq-line:has-text('实时')", timeout=WAIT_MS)
    page.wait_for_function(
        "() => getComputedStyle(document.querySelector('.st-key-wb-go'), '::before').content === 'none'"
    )
