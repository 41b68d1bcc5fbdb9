"""The wall of one area: `/wall?area=445300`, one component mounted once and fed by the live picture."""

from __future__ import annotations

import plotly
import streamlit as st

from dashboard.components import component, words
from dashboard.wording.catalogue import chosen
from dashboard.wording.names import zone
from dispatch.rules.areas import level_of

DEFAULT_AREA = "445300"


def page() -> None:
    """Show the wall of `?area=`, in `?lang=`, opened by `?key=` where one is needed."""
    query = st.query_params
    lang = chosen(query.get("lang"))
    area = query.get("area", DEFAULT_AREA)
    try:
        level_of(area)
    except ValueError:
        area = DEFAULT_AREA
    data = {
        "area": area,
        "lang": lang,
        "key": query.get("key", ""),
        "zone": zone().key,
        "words": words("wall", lang),
        "plotly": f"/assets/plotly-{plotly.__version__}.min.js",
    }
    component("wall")(key="wall", data=data)
