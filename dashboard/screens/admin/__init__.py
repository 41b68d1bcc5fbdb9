"""The administrator's and the auditor's page: `/admin?tab=…`, one file of this folder for each group of tabs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import redis
import streamlit as st

from dashboard import address
from dashboard.frame import Frame, framed, headed
from dashboard.screens.admin import doors, machine, policy, record

WIDE, NARROW = "admin-tab", "admin-menu"  # the fields in which a tab is chosen


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab: its title (translated where shown), who has it, and what shows it."""

    title: str
    roles: tuple[str, ...]
    show: Callable[[Frame], None]


TABS = {
    "accounts": Tab("Accounts", ("admin", "auditor"), doors.accounts),
    "keys": Tab("Keys", ("admin", "auditor"), doors.keys),
    "log": Tab("Who came in", ("admin", "auditor"), doors.log),
    "letters": Tab("Dead letters", ("admin",), machine.letters),
    "jobs": Tab("Jobs", ("admin", "auditor"), machine.jobs),
    "policy": Tab("Policy", ("admin", "auditor"), policy.show),
    "areas": Tab("Areas and people", ("admin", "auditor"), machine.areas),
    "audit": Tab("Audit", ("auditor",), record.audit),
    "verify": Tab("Verification", ("admin", "auditor"), record.verification),
}


def page() -> None:
    """Show the tab that `?tab=` names, of those that the viewer's role has."""
    with framed("admin", tagged=True) as f:
        headed(f, "admin", tells=True)
        mine = {name: tab for name, tab in TABS.items() if f.who.role in tab.roles}
        wish = st.query_params.get("tab", "")
        first = "audit" if f.who.role == "auditor" else "accounts"
        chosen = wish if wish in mine else first
        if wish != chosen:
            address.choose(tab=chosen)
        _choice(f, mine, chosen)
        if f.who.role == "auditor":
            st.caption(f._("The auditor sees everything and changes nothing."))
        try:
            mine[chosen].show(f)
        except redis.RedisError:
            st.error(f._("The stream server does not answer. Try again in a moment."))


def _choice(f: Frame, mine: Mapping[str, Tab], chosen: str) -> None:
    """Offer the tabs: all of them beside each other, or on a phone, where they would fill three lines, as a menu."""
    _ = f._

    def moved(field: str) -> None:
        if value := st.session_state.get(field):
            address.choose(tab=str(value))

    def title(name: str) -> str:
        return _(mine[name].title)

    for field in (WIDE, NARROW):
        address.shown(field, chosen)
    with st.container(key="gw-tabs-wide"):
        st.segmented_control(
            _("Part"), list(mine), required=True, format_func=title, key=WIDE, on_change=moved, args=(WIDE,),
            label_visibility="collapsed",
        )  # fmt: skip
    with st.container(key="gw-tabs-narrow"):
        st.selectbox(
            _("Part"), list(mine), format_func=title, key=NARROW, on_change=moved, args=(NARROW,),
            label_visibility="collapsed",
        )  # fmt: skip
