"""Routes: which page stands under which address. Run by the ASGI app of `dashboard.web`, from the project's root."""

from __future__ import annotations

import streamlit as st

from dashboard.screens import home, incidents, wall
from dashboard.words import chosen, translator

_ = translator(chosen(st.query_params.get("lang")))
st.set_page_config(page_title=_("Gridwhistle"), layout="wide")
st.navigation(
    [
        st.Page(home.page, title=_("Start"), url_path="home", default=True),
        st.Page(wall.page, title=_("Wall"), url_path="wall"),
        st.Page(incidents.page, title=_("Incidents"), url_path="incidents"),
    ],
    position="top",
).run()
