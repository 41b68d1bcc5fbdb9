"""Opens the pages beside the desk in a real browser: on a phone and on a screen nothing is cut or folded wrong."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.test_wall import WAIT_MS
from tests.browser.town import Town, cut, enter, opened, rested

pytestmark = pytest.mark.browser


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
    enter(page, town, "admin")
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
    enter(page, town, "admin")
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
    enter(page, town, "leader")
    opened(page, town, f"/leaders?lang={lang}&kind=month", ".st-key-brief-pdf button")
    page.wait_for_selector(".gw-say")
    for width, height in ((1366, 768), (1920, 1080)):
        page.set_viewport_size({"width": width, "height": height})
        rested(page)
        page.wait_for_function(
            "(width) => innerWidth === width"
            " && document.querySelector('.st-key-gw-head').getBoundingClientRect().height < 60",
            arg=width,
        )
    # What it is held against stands beside the sentence.
    expect(page.locator(".gw-say .gw-muted")).to_have_count(1)


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
