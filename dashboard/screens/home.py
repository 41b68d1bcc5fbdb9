"""The start page: where to go from here, for whoever looks."""

from __future__ import annotations

from urllib.parse import urlencode

import psycopg
import streamlit as st

from dashboard.data import demo
from dashboard.frame import away, corner, style
from dashboard.pages import PLACES
from dashboard.screens.wall import DEFAULT_AREA
from dashboard.session import viewer, way
from dashboard.words import chosen, translator
from dispatch.rules.areas import Level, at_level

COLUMNS = 3


def page() -> None:
    """Show an entry tile for every page that the viewer may open."""
    lang = chosen(st.query_params.get("lang"))
    _ = translator(lang)
    tail = {} if lang == "zh" else {"lang": lang}
    st.html(f"<style>{style()}</style>")
    try:
        who = viewer()
        corner(lang, who)
    except psycopg.Error:
        who = None
        away(lang)
    st.title(_("Gridwhistle"))
    st.caption(
        _("A city's command and dispatch: incidents in, people sent, clocks kept, the whole city on a wall.")
    )
    role = None if who is None else who.role
    area = DEFAULT_AREA if who is None else (at_level(who.area, Level.VILLAGE) or who.area)
    tiles = [place for path, place in PLACES.items() if path != "home" and place.opens(role)]
    for begin in range(0, len(tiles), COLUMNS):
        for column, place in zip(st.columns(COLUMNS), tiles[begin : begin + COLUMNS], strict=False):
            query = tail | ({"area": area, "embed": "true"} if place.path == "wall" else {})
            with column, st.container(border=True):
                st.subheader(_(place.title))
                st.write(_(place.tells))
                way(_("Open"), f"/{place.path}?{urlencode(query)}")
    if who is None:
        st.caption(_("Sign in to see the pages of your role."))
    if demo():
        st.caption(_("Demo data"))
