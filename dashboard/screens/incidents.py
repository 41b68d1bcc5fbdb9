"""Incidents: a list that filters from the address bar, one incident whole, and the steps the law allows now."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from dashboard.casework import sheet
from dashboard.casework.detail import detail_of
from dashboard.frame import framed, headed
from dashboard.markup import raw, show
from dashboard.widgets.case_filters import filters
from dashboard.widgets.case_list import export_list, listing


def page() -> None:
    """Show the list, and beside it the incident that `?id=` names, or the first one, to whoever may see them."""
    with framed("incidents", tagged=True) as f:
        show(raw("style", sheet.style()))
        now = datetime.now(UTC)
        with st.container(horizontal=True, vertical_alignment="center"):
            headed(f, "incidents")
            st.space("stretch")
            export = st.empty()
        wanted = filters(f)
        with export:
            export_list(f, wanted, now)
        left, right = st.columns(2, gap="small")
        with left:
            first = listing(f, wanted, now)
        with right, st.container(key="gw-card-case"):
            detail_of(f, now, st.query_params.get("id") or first)
