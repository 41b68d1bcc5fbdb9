"""The start page: where to go from here."""

from __future__ import annotations

import streamlit as st

from dashboard.screens.wall import DEFAULT_AREA
from dashboard.words import chosen, translator


def page() -> None:
    """Show an entry tile for every part of the system."""
    lang = chosen(st.query_params.get("lang"))
    _ = translator(lang)
    tail = "" if lang == "zh" else f"&lang={lang}"
    st.title(_("Gridwhistle"))
    st.caption(
        _("A city's command and dispatch: incidents in, people sent, clocks kept, the whole city on a wall.")
    )
    left, right = st.columns(2)
    with left, st.container(border=True):
        st.subheader(_("Wall"))
        st.write(
            _(
                "The city live: what is red now, who holds it, where it is. For city, county, town and village."
            )
        )
        st.link_button(_("Open the wall"), f"/wall?area={DEFAULT_AREA}&embed=true{tail}", type="primary")
    with right, st.container(border=True):
        st.subheader(_("Incidents"))
        st.write(_("Find an incident, see its whole way, and take the next lawful step."))
        st.link_button(_("Open the incidents"), f"/incidents?{tail[1:]}")
    other = "en" if lang == "zh" else "zh"
    st.link_button("English" if other == "en" else "中文", f"/?lang={other}", type="tertiary")
