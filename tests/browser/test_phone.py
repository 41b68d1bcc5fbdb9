"""Works a phone in a real browser: drafts survive, a dead line loses nothing, and what is sent twice is one report."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import redis
from PIL import Image
from playwright.sync_api import expect

from dashboard.access import COOKIE, PHONE_COOKIE
from dispatch.intake.dead_letters import FIELD, STREAM
from models.servers.database import Servers
from tests import phone_city as phones
from tests import small_city as town
from tests.browser.test_wall import Site
from tests.conftest import STREAM_DATABASE
from tests.templates import CityOf

pytestmark = pytest.mark.browser
WAIT_MS = 120_000
HERE = {"longitude": town.IN_EAST[0], "latitude": town.IN_EAST[1], "accuracy": 8}


@pytest.fixture(scope="module")
def site(servers: Servers, city_of: CityOf, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with city_of("phones") as url:
        one = Site(servers, url, servers.redis_url.replace("db=0", f"db={STREAM_DATABASE}"))
        one.environment |= {
            "PHOTOS_URL": str(tmp_path_factory.mktemp("photos")), "CONTACT_KEY": phones.CONTACT_KEY,
        }  # fmt: skip
        one.start(town.CITY)
        yield one
        one.stop()


@pytest.fixture
def hand(chromium: Any, site: Site, stream: redis.Redis) -> Iterator[Any]:
    """Lend the phone of the village's worker: 390 px wide, knowing where it is."""
    context = chromium.new_context(
        viewport={"width": 390, "height": 844}, geolocation=HERE, permissions=["geolocation"]
    )
    context.add_cookies([{"name": COOKIE, "value": "worker-token", "url": site.address}])
    page = context.new_page()
    page.faults = []
    page.on("pageerror", lambda fault: page.faults.append(str(fault)))
    page.goto(f"{site.address}/field?lang=en")
    page.wait_for_selector(".gwf .tk, .gwf .none", timeout=WAIT_MS)
    # The server has answered the phone itself: what it is asked for first waits for what it begins with.
    page.wait_for_selector(".gwf .net >> text=In step", timeout=WAIT_MS)
    yield page
    assert not page.faults
    context.close()


@cache
def scene() -> bytes:
    """Return a photo as large as a phone takes them."""
    out = io.BytesIO()
    Image.effect_noise((2400, 1800), 60).convert("RGB").save(out, "JPEG", quality=60)
    return out.getvalue()


def photo(folder: Path) -> str:
    file = folder / "scene.jpg"
    file.write_bytes(scene())
    return str(file)


def write(page: Any, folder: Path) -> None:
    page.click("[data-do=report]")
    page.wait_for_selector(".gwf .step >> text=Place")
    page.set_input_files("input[type=file]", photo(folder))
    page.wait_for_selector(".gwf .phs img", timeout=WAIT_MS)
    page.fill("textarea[data-in=text]", "The lamp is out")
    page.click(".cat >> nth=0")


def arrived(page: Any) -> None:
    """Wait until a report of this phone has arrived: at once, or by a later attempt where the house was too busy."""
    page.wait_for_function(
        "() => document.querySelector('.flash.ok')"
        " || /today:? *[1-9]/.test(document.querySelector('.gwf :is(.sum, .none)')?.innerText ?? '')",
        timeout=WAIT_MS,
    )


def sent(stream: redis.Redis) -> list[dict[str, Any]]:
    entries: Any = stream.xrange(STREAM)
    return [json.loads(fields[FIELD.encode()]) for _, fields in entries]


def test_a_report_in_three_taps_is_on_the_stream_with_its_place_and_photo(
    hand: Any, stream: redis.Redis, tmp_path: Path
) -> None:
    write(hand, tmp_path)
    hand.click("[data-do=send]")
    arrived(hand)
    (message,) = sent(stream)
    assert message["source"] == "field_app"
    assert (message["lon"], message["lat"]) == town.IN_EAST
    assert message["photos"][0].startswith("photo:")
    width = hand.evaluate("document.documentElement.scrollWidth")
    assert width <= 390, "nothing is wider than the phone"
    hand.wait_for_selector(".gwf :is(.sum, .none) >> text=/today:? *1/", timeout=WAIT_MS)


def test_a_photo_that_is_being_taken_while_the_page_is_drawn_anew_is_not_lost(
    hand: Any, tmp_path: Path
) -> None:
    """The place is found, the grids are read, a type is chosen: all that while the camera is open."""
    hand.click("[data-do=report]")
    hand.wait_for_selector(".gwf .step >> text=Place")
    with hand.expect_file_chooser() as camera:
        hand.click(".gwf label.add")
    hand.click(".cat >> nth=0")
    hand.wait_for_selector(".cat.on")
    camera.value.set_files(photo(tmp_path))
    hand.wait_for_selector(".gwf .phs img", timeout=WAIT_MS)


def test_two_presses_in_one_breath_send_one_report(hand: Any, stream: redis.Redis, tmp_path: Path) -> None:
    write(hand, tmp_path)
    # The fixture's end tells whether the second one met a report that was gone.
    hand.evaluate(
        "() => { const send = document.querySelector('[data-do=send]'); send.click(); send.click(); }"
    )
    arrived(hand)
    assert len(sent(stream)) == 1


def test_one_may_begin_with_words_and_they_then_stand_above_the_photo(hand: Any) -> None:
    hand.click("[data-do=report]")
    hand.click("[data-do=words]")
    expect(hand.locator("textarea[data-in=text]")).to_be_focused()
    hand.keyboard.type("A tree across the road")
    hand.wait_for_selector(".gwf .net >> text=Draft of", timeout=WAIT_MS)
    above = hand.evaluate(
        "document.querySelector('.gwf textarea').getBoundingClientRect().bottom"
        " < document.querySelector('.gwf label.add').getBoundingClientRect().top"
    )
    assert above
    expect(hand.locator("textarea[data-in=text]")).to_have_value("A tree across the road")


def test_a_dead_line_and_a_refresh_lose_nothing_and_what_comes_twice_is_one(
    hand: Any, stream: redis.Redis, tmp_path: Path
) -> None:
    hand.context.set_offline(True)
    write(hand, tmp_path)
    hand.click("[data-do=send]")
    hand.wait_for_selector(".flash.wait", timeout=WAIT_MS)
    hand.click("[data-to=outbox]")
    hand.wait_for_selector(".gwf .ob >> text=Written")
    assert not sent(stream)
    # The page is closed and opened again, and the answer to the first attempt is lost on its way.
    lost = threading.Event()

    def lose(route: Any) -> None:
        if lost.is_set():
            route.continue_()
            return
        route.fetch()
        lost.set()
        route.abort()

    hand.context.route("**/phone/reports*", lose)
    hand.context.set_offline(False)
    hand.reload()
    hand.wait_for_selector(".gwf [data-to=me]", timeout=WAIT_MS)
    hand.click("[data-to=me]")
    hand.wait_for_selector(".gwf .ob .green", timeout=WAIT_MS)
    assert lost.is_set()
    assert len({message["source_id"] for message in sent(stream)}) == 1
    assert len(sent(stream)) == 2, "it came twice, under one id"


def kept_by_the_browser(page: Any) -> list[str]:
    """Return the paths of everything that the browser keeps for this house, past its own short memory."""
    found: list[str] = page.evaluate(
        """async () => {
          const names = await caches.keys();
          const all = await Promise.all(names.map(async (name) => (await (await caches.open(name)).keys())));
          return all.flat().map((each) => new URL(each.url).pathname);
        }"""
    )
    return found


def until(page: Any, condition: str) -> None:
    """Wait until an asynchronous condition holds in the page."""
    held = page.evaluate(
        f"""async () => {{
          const hold = async () => ({condition});
          for (const end = Date.now() + {WAIT_MS}; Date.now() < end; await new Promise((go) => setTimeout(go, 50)))
            if (await hold()) return true;
          return false;
        }}"""
    )
    assert held, condition


def settled(page: Any) -> None:
    """Wait until the phone has what it needs to open its page without a line."""
    until(
        page,
        "(await caches.keys()).length && navigator.serviceWorker.controller"
        f" && document.cookie.includes('{PHONE_COOKIE}=1')",
    )


def test_a_reload_without_a_line_shows_what_was_written_takes_more_and_sends_it_all(
    hand: Any, stream: redis.Redis, tmp_path: Path
) -> None:
    settled(hand)
    hand.context.set_offline(True)
    write(hand, tmp_path)
    hand.click("[data-do=send]")
    hand.wait_for_selector(".flash.wait", timeout=WAIT_MS)
    write(hand, tmp_path)
    hand.click("[data-do=keep]")
    hand.reload()
    hand.wait_for_selector(".gwf .warn >> text=There is no line", timeout=WAIT_MS)
    assert not hand.locator("[data-testid=stAppViewContainer]").count(), "nothing of the other page is kept"
    assert not hand.locator(".gw-nobody").is_visible()
    expect(hand.locator(".gwf .ob >> text=Written")).to_have_count(1)
    expect(hand.locator(".gwf .ob >> text=not finished")).to_have_count(1)
    write(hand, tmp_path)
    hand.fill("textarea[data-in=text]", "Written after the reload")
    hand.click("[data-do=send]")
    hand.wait_for_selector(".flash.wait", timeout=WAIT_MS)
    assert not sent(stream)
    hand.context.set_offline(False)
    hand.wait_for_selector(".gwf .flash >> text=The line is back", timeout=WAIT_MS)
    hand.click("[data-to=outbox]")
    hand.locator(".gwf .ob .green").nth(1).wait_for(timeout=WAIT_MS)
    assert sorted(message["text"] for message in sent(stream)) == [
        "The lamp is out",
        "Written after the reload",
    ]
    assert all(message["photos"] for message in sent(stream))
    hand.click(".flash a")
    hand.wait_for_selector("[data-testid=stAppViewContainer]", timeout=WAIT_MS)


def test_the_browser_keeps_one_page_of_the_phones_own_and_never_an_older_one(hand: Any, site: Site) -> None:
    settled(hand)
    assert kept_by_the_browser(hand) == ["/phone/page"]
    hand.evaluate("caches.open('gridwhistle-phone-older').then((one) => one.add('/phone/page'))")
    # Another version of the worker comes: it takes the place of this one at once, and what that one kept goes.
    hand.evaluate(
        "navigator.serviceWorker.register('/phone/worker.js?again', { scope: '/field' }).then(() => null)"
    )
    until(
        hand,
        "navigator.serviceWorker.controller.scriptURL.endsWith('?again')"
        " && !(await caches.keys()).includes('gridwhistle-phone-older')",
    )
    assert kept_by_the_browser(hand) == ["/phone/page"]
    other = hand.context.new_page()
    other.goto(f"{site.address}/login?lang=en")
    assert not other.evaluate("navigator.serviceWorker.controller"), "no page beside the phone's is touched"
    other.close()


def test_a_desk_that_opens_the_phones_page_keeps_nothing(chromium: Any, site: Site) -> None:
    context = chromium.new_context(viewport={"width": 1366, "height": 768})
    context.add_cookies([{"name": COOKIE, "value": "worker-token", "url": site.address}])
    page = context.new_page()
    page.goto(f"{site.address}/field?lang=en")
    page.wait_for_selector(".gwf [data-to=me]", timeout=WAIT_MS)
    page.wait_for_selector(".gwf .net >> text=In step", timeout=WAIT_MS)
    assert page.evaluate("navigator.serviceWorker.getRegistrations().then((all) => all.length)") == 0
    assert not kept_by_the_browser(page)
    context.close()


def test_after_signing_out_the_phone_shows_nothing_of_anybody_without_a_line(
    hand: Any, tmp_path: Path
) -> None:
    settled(hand)
    write(hand, tmp_path)
    hand.click("[data-do=keep]")
    hand.context.clear_cookies(name=PHONE_COOKIE)  # as the door out does; the session is the other tests' too
    hand.context.set_offline(True)
    hand.reload()
    hand.wait_for_selector(".gw-nobody >> text=Nobody is signed in", timeout=WAIT_MS)
    assert "lamp" not in hand.inner_text("body")


def test_a_draft_stands_where_it_was_after_a_refresh(hand: Any, stream: redis.Redis, tmp_path: Path) -> None:
    write(hand, tmp_path)
    hand.wait_for_selector(".gwf .net >> text=Draft of", timeout=WAIT_MS)
    hand.reload()
    hand.wait_for_selector(".gwf textarea", timeout=WAIT_MS)
    expect(hand.locator("textarea[data-in=text]")).to_have_value("The lamp is out")
    expect(hand.locator(".gwf .phs img")).to_have_count(1)
    assert not sent(stream)


def test_every_target_is_large_enough_for_a_thumb(hand: Any, tmp_path: Path) -> None:
    write(hand, tmp_path)
    small = hand.evaluate(
        "[...document.querySelectorAll('.gwf button, .gwf select, .gwf textarea, .gwf label.add')]"
        ".map((e) => [e.innerText || e.tagName, e.getBoundingClientRect()])"
        ".filter(([_, box]) => box.width && (box.height < 44 || box.width < 44)).map(([text]) => text)"
    )
    assert not small


def test_new_work_is_on_the_phone_within_a_moment(hand: Any, site: Site) -> None:
    incident_id = phones.incident(site.database_url, "browser", "0201")
    hand.wait_for_selector(f"[data-id='{incident_id}']", timeout=WAIT_MS)


def test_where_the_phone_tells_no_place_a_pin_on_the_map_does(
    chromium: Any, site: Site, stream: redis.Redis, tmp_path: Path
) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 844})  # asked for its place it says no
    context.add_cookies([{"name": COOKIE, "value": "worker-token", "url": site.address}])
    page = context.new_page()
    page.goto(f"{site.address}/field?lang=en")
    page.wait_for_selector(".gwf .tk, .gwf .none", timeout=WAIT_MS)
    page.click("[data-do=report]")
    page.wait_for_selector(".gwf [data-map] path", timeout=WAIT_MS)
    page.click(".cat >> nth=0")
    page.click("[data-do=send]")
    page.wait_for_selector(".flash.bad", timeout=WAIT_MS)
    assert not sent(stream), "a pin that nobody has set is no place"
    page.locator("[data-map] svg").hover()  # once it stands still
    seen = page.locator("[data-map] svg").bounding_box()
    middle = seen["x"] + seen["width"] / 2, seen["y"] + seen["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] - 80, middle[1], steps=4)
    page.mouse.up()
    page.wait_for_selector(".gwf .loc >> text=set by hand")
    page.click("[data-do=zoom] >> nth=0")
    page.click("[data-do=send]")
    arrived(page)
    (message,) = sent(stream)
    # The village's middle under the pin went 80 pixels to the left: the pin stands as far to the east of it.
    metres = (message["lon"] - town.IN_EAST[0]) * 111_195 * 0.9205
    assert abs(metres - 80 * 700 / seen["width"]) < 5
    assert abs(message["lat"] - town.IN_EAST[1]) < 0.00005
    assert message["approximate"], "nobody measured it"
    context.close()


def test_tasks_tell_how_many_are_late_how_far_they_are_and_the_way_there(hand: Any, site: Site) -> None:
    incident_id = phones.incident(site.database_url, "far", "0201")
    card = hand.locator(f".gwf .tk:has([data-id='{incident_id}'])")
    card.wait_for(timeout=WAIT_MS)
    expect(card).to_contain_text("m from you")
    way = card.locator("a").get_attribute("href")
    assert way == f"geo:{town.IN_EAST[1]},{town.IN_EAST[0]}?q={town.IN_EAST[1]},{town.IN_EAST[0]}"
    assert "overdue 0" in hand.locator(".gwf .sum").inner_text().replace("\n", " ")


def test_residents_have_one_column_with_their_reports_and_the_search_under_tabs(
    chromium: Any, site: Site, stream: redis.Redis, tmp_path: Path
) -> None:
    context = chromium.new_context(
        viewport={"width": 390, "height": 844}, geolocation=HERE, permissions=["geolocation"]
    )
    context.add_cookies([{"name": COOKIE, "value": "resident-token", "url": site.address}])
    page = context.new_page()
    page.goto(f"{site.address}/public?lang=en")
    page.wait_for_selector(".gwf [data-do=report]", timeout=WAIT_MS)
    mine, search = page.locator(".st-key-public-mine"), page.locator(".st-key-public-follow")
    mine.wait_for(timeout=WAIT_MS)
    assert not search.is_visible()
    assert not page.locator(".stAppHeader").is_visible(), "no bar of another page's making"
    page.click("[data-to=follow]")
    search.wait_for(timeout=WAIT_MS)
    assert not mine.is_visible()
    write(page, tmp_path)
    assert not search.is_visible()
    page.click("[data-do=send]")
    page.wait_for_selector(".flash.ok", timeout=WAIT_MS)
    # What was sent stands in the list below, without a press.
    page.wait_for_selector(".st-key-public-mine [class*='st-key-public-card']", timeout=WAIT_MS)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    # Once the session is over, the reason stands below the bar, not under the account's corner in it.
    context.clear_cookies()
    write(page, tmp_path)
    page.click("[data-do=send]")
    page.wait_for_selector(".gwf [data-do=report]", timeout=WAIT_MS)
    page.wait_for_selector(".gwf .say a[href^='/login']", timeout=WAIT_MS)
    assert page.inner_text(".gwf .net") == ""
    context.close()
