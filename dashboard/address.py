"""Keeps in a page's address what was chosen on it, also where a later choice left before the address had changed.

Every choice is sent with the address of its moment. One that is made while another is still under way brings the
address from before that other, which would be lost; so what was chosen here goes before what the address says, until
one comes to the page anew or goes back in the browser's history.
"""

from __future__ import annotations

import streamlit as st

from dashboard.components.inner import get_script_run_ctx

CHOSEN = (
    "address-chosen"  # of the session: what was chosen on the page that is open, by its name in the address
)
PAGE = "address-page"  # of the session: the page that is open


def choose(**changes: str) -> None:
    """Write a choice into the address, all of it in one step; what is empty goes out of it."""
    st.session_state[CHOSEN] = {**st.session_state.get(CHOSEN, {}), **changes}
    _write()


def keep(page: str) -> None:
    """Write again what an older address took back; whoever came anew or went back begins with what it says."""
    context = get_script_run_ctx()
    back = context is not None and context.is_history_navigation
    if back or st.session_state.get(PAGE) != page:
        st.session_state[PAGE] = page
        st.session_state.pop(CHOSEN, None)
    _write()


def shown(field: str, value: str) -> str:
    """Let the field of this key show what the address says; return that."""
    if st.session_state.get(field) != value:
        st.session_state[field] = value
    return value


def _write() -> None:
    chosen: dict[str, str] = st.session_state.get(CHOSEN, {})
    stands = dict(st.query_params)
    wish = {name: value for name, value in (stands | chosen).items() if value or name not in chosen}
    if wish != stands:
        st.query_params.from_dict(wish)
