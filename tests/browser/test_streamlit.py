"""Proves that Streamlit calls the parts of its pages as we do, so that an upgrade that renames one says which."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from dashboard.components import COMPONENTS, streamlit_selectors
from tests.browser.test_wall import READY_S, ROOT, WAIT_MS
from tests.ports import free_port

pytestmark = pytest.mark.browser
# Of Streamlit's own markup; what has a key is named by us.
OURS = re.compile(r"st-key-")
SCRIPT = (COMPONENTS / "shared" / "streamlit.js").read_text(encoding="utf-8")
IN_SCRIPTS = {
    name: selector
    for name, selector in re.findall(r"""^  (\w+): ['"](.+?)['"],""", SCRIPT, re.MULTILINE)
    if not OURS.search(selector)
}
STYLES = [path for path in COMPONENTS.glob("*/*.css") if path.parent.name != "shared"]


def press(name: str) -> Callable[[Page], None]:
    return lambda page: page.get_by_role("button", name=name, exact=True).click()


def write(page: Page) -> None:
    page.get_by_label("Words").fill("words")


# What stands only while something happens, and how it comes to that.
COMES: dict[str, Callable[[Page], None]] = {
    "st-toast": press("Toast"),
    "st-toast-container": press("Toast"),
    "st-status-widget": press("Slow"),
    "st-stale": press("Slow"),
    "st-input-instructions": write,
    "st-exception": press("Fault"),
    "st-primary": press("Dialog"),
    "dialog": press("Dialog"),
    "send": press("Dialog"),
}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Yield the address of the page of parts, in a process of its own that needs no server."""
    port = free_port()
    words = ["--server.port", str(port), "--server.headless", "true", "--browser.gatherUsageStats", "false"]
    script = Path(__file__).parents[1] / "streamlit_parts.py"
    process = subprocess.Popen([sys.executable, "-m", "streamlit", "run", str(script), *words], cwd=ROOT)
    try:
        until = time.monotonic() + READY_S
        while time.monotonic() < until and process.poll() is None:
            with suppress(OSError):
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=10):
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def page(chromium: Any, address: str) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    page.goto(address)
    page.get_by_text("below").wait_for()
    yield page
    context.close()


@pytest.mark.parametrize(("name", "selector"), sorted({**streamlit_selectors(), **IN_SCRIPTS}.items()))
def test_streamlit_calls_this_part_as_we_do(page: Page, address: str, name: str, selector: str) -> None:
    comes = COMES.get(name)
    if comes is not None:
        page.goto(address)
        page.get_by_text("below").wait_for()
        comes(page)
    page.locator(selector).first.wait_for(state="attached", timeout=20_000)


def test_what_is_named_is_used_and_what_is_used_is_named() -> None:
    used = {
        name for path in STYLES for name in re.findall(r":--(st-[a-z-]+)", path.read_text(encoding="utf-8"))
    }
    # Named in a page's own line of style.
    assert used | {"st-exception"} == set(streamlit_selectors())


@pytest.mark.parametrize("path", STYLES, ids=lambda path: path.name)
def test_no_other_sheet_names_streamlits_markup(path: Path) -> None:
    found = re.findall(
        r"data-testid|data-baseweb|data-stale|st-emotion|\.st[A-Z]\w*", path.read_text(encoding="utf-8")
    )
    assert not found


def test_no_script_names_streamlits_markup_but_the_one() -> None:
    found = {
        path.name
        for path in COMPONENTS.rglob("*.js")
        if re.search(
            r"data-testid|data-baseweb|st-key-|st-emotion|\.st[A-Z]\w*", path.read_text(encoding="utf-8")
        )
    }
    assert found == {"streamlit.js"}


def test_no_page_reaches_into_streamlit_but_by_one_module() -> None:
    found = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "dashboard").rglob("*.py")
        if re.search(
            r"^(?:from streamlit[. ]|import streamlit\.)", path.read_text(encoding="utf-8"), re.MULTILINE
        )
    }
    assert found == {"dashboard/components/inner.py"}
