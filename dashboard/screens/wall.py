"""The wall of one area: `/wall?area=445300`, one component mounted once and fed by the live picture."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import plotly
import streamlit as st

from dashboard.wording.catalogue import chosen, translator
from dispatch.rules.areas import level_of

FOLDER = Path(__file__).resolve().parents[1] / "components" / "wall"
DEFAULT_AREA = "445300"
_SENTENCE = re.compile(r"""\b(?:t|empty)\(\s*"((?:[^"\\]|\\.)*)"|one\("([^"]+)\"""")


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
        "words": words(lang),
        "plotly": f"/assets/plotly-{plotly.__version__}.min.js",
    }
    _component()(key="wall", data=data)


@cache
def words(lang: str) -> dict[str, str]:
    """Return every sentence that the component's script says, translated."""
    return {sentence: translator(lang)(sentence) for sentence in sentences()}


def sentences() -> list[str]:
    """Return the sentences of the component's script, in English."""
    script = (FOLDER / "wall.js").read_text(encoding="utf-8")
    found = {a or b for a, b in _SENTENCE.findall(script)}
    # Chosen by number or condition in the script.
    found |= {"extreme", "urgent", "pressing", "ordinary", "with the city", "with the county"}
    return sorted(found)


@cache
def _component() -> Any:
    return st.components.v2.component(
        "gridwhistle_wall",
        html='<div class="gw-host"></div>',
        css=(FOLDER / "wall.css").read_text(encoding="utf-8"),
        js=(FOLDER / "wall.js").read_text(encoding="utf-8"),
        isolate_styles=False,
    )
