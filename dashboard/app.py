"""Routes: every page of the table under its address. Run by the ASGI app of `dashboard.web`, from the project's root.

A page that the viewer may not open is not in the bar, but keeps its address: it says itself who may open it.
"""

from __future__ import annotations

import psycopg
import streamlit as st

from dashboard import address
from dashboard.frame import brand, remember_language
from dashboard.pages import PLACES
from dashboard.routes import provider
from dashboard.session import viewer
from dashboard.wording.catalogue import chosen, translator

remember_language()
lang = chosen(st.query_params.get("lang"))
_ = translator(lang)
st.set_page_config(page_title=_("Gridwhistle"), layout="wide")
st.logo(brand(_("Gridwhistle")), size="large")
try:
    who = viewer()
except psycopg.Error:
    who = None  # the page itself says that the database is away
if who is None and provider.came_back():
    provider.enter(lang)
    st.stop()
role = None if who is None else who.role
here = st.navigation(
    [
        *(
            st.Page(
                place.page,
                title=_(place.title),
                url_path="" if path == "home" else path,
                default=path == "home",
                visibility="visible" if place.opens(role) else "hidden",
            )
            for path, place in PLACES.items()
        ),
        # The start page stands at the root; at its name it is found too.
        st.Page(PLACES["home"].page, title=_("Start"), url_path="home", visibility="hidden"),
        st.Page(provider.page, title=_("Sign in"), url_path="provider", visibility="hidden"),
    ],
    position="top",
)
address.keep(here.url_path)
here.run()
