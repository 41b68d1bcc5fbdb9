"""Proves that nothing chosen on a page is lost to a choice that left before the address had changed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

SCRIPT = """
import streamlit as st
from dashboard import address
address.keep(st.session_state.get("here", "one"))
st.button("north", on_click=address.choose, kwargs={"area": "north"})
st.button("late", on_click=address.choose, kwargs={"state": "late"})
st.button("everywhere", on_click=address.choose, kwargs={"area": ""})
st.button("look")
"""


def opened(**query: str) -> AppTest:
    page = AppTest.from_string(SCRIPT, default_timeout=180)
    page.query_params.update(query)
    return page.run()


def pressed(page: AppTest, name: str, sent_with: dict[str, str] | None = None) -> dict[str, str]:
    """Press a button, with the address that the browser had; return the address afterwards."""
    if sent_with is not None:
        page.query_params = dict(sent_with)
    next(each for each in page.button if each.label == name).click().run()
    assert not page.exception
    return dict(page.query_params)


def test_a_choice_that_leaves_with_an_older_address_takes_no_other_back() -> None:
    page, older = opened(lang="en"), {"lang": "en"}
    assert pressed(page, "north") == older | {"area": "north"}
    assert pressed(page, "late", sent_with=older) == older | {"area": "north", "state": "late"}
    assert pressed(page, "look", sent_with=older) == older | {"area": "north", "state": "late"}
    # What was taken out stays out, too.
    assert pressed(page, "everywhere") == older | {"state": "late"}
    assert pressed(page, "look", sent_with=older | {"area": "north"}) == older | {"state": "late"}


def test_whoever_comes_anew_or_goes_back_begins_with_what_the_address_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = opened()
    assert pressed(page, "north") == {"area": "north"}
    page.session_state["here"] = "two"
    assert pressed(page, "look", sent_with={"area": "south"}) == {"area": "south"}
    page.session_state["here"] = "one"
    assert pressed(page, "look", sent_with={}) == {}
    assert pressed(page, "north") == {"area": "north"}
    back = SimpleNamespace(is_history_navigation=True)
    monkeypatch.setattr("dashboard.address.get_script_run_ctx", lambda: back)
    assert pressed(page, "look", sent_with={"area": "south"}) == {"area": "south"}
    monkeypatch.undo()
    assert pressed(page, "late") == {"area": "south", "state": "late"}
