"""Filter the list of incidents: the filters live in the address, and fold into one line on a phone."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard import address
from dashboard.data import Directory, Filter
from dashboard.frame import Frame
from dashboard.wording import names as naming
from dispatch.rules.areas import Level, ancestors, contains, level_of
from dispatch.rules.incident.chain import (
    STATES,
)
from dispatch.rules.words import say

KEPT = ("area", "state", "light", "theme", "text")
TEXT_MOST = 60  # letters of the words that are looked for


def filters(f: Frame) -> Filter:
    """Show the filters, which live in the address bar, so that they survive a refresh and can be shared."""
    query, lang, _, directory = st.query_params, f.lang, f._, f.directory
    counties = sorted(c for c, a in directory.areas.items() if a.level in (Level.CITY, Level.COUNTY))
    towns = sorted(c for c, a in directory.areas.items() if a.level == Level.TOWN)
    states = {"": _("Any state"), "open": _("All open")} | {k: say(v, lang) for k, v in STATES.items()}
    lights = {"": _("Any light"), "red": f"■ {_('Red light')}", "yellow": f"▲ {_('Near its limit')}"}
    themes = {"": _("Any area of work")} | {k: say(v, lang) for k, v in directory.themes.items()}

    def place(code: str) -> str:
        if code == "":
            return _("All that is mine to see")
        names = [c for c in reversed(ancestors(code)) if level_of(c) is not Level.CITY or code == c]
        return " ".join(naming.area(directory, c, lang) for c in names)

    mine = [c for c in {*counties[1:], *towns} if f.who.role == "auditor" or contains(f.who.area, c)]
    places = ["", *sorted({*mine, *_known(directory, query.get("area", ""))})]
    folded = _folded(f, places_named=place, names={"state": states, "light": lights, "theme": themes})
    with st.container(key=f"gw-filters-{'shut' if folded else 'open'}"):
        boxes = st.columns([3, 2, 2, 2, 3])

    def chosen(name: str, label: str, options: list[str], words: Callable[[str], str]) -> str:
        wish = query.get(name, "")
        value = address.shown(f"list-{name}", wish if wish in options else "")
        boxes[KEPT.index(name)].selectbox(
            label, options, format_func=words, key=f"list-{name}", on_change=_filtered, args=(name,)
        )
        return value

    area = chosen("area", _("Area"), places, place)
    state = chosen("state", _("State"), list(states), states.__getitem__)
    light = chosen("light", _("Light"), list(lights), lights.__getitem__)
    theme = chosen("theme", _("Area of work"), list(themes), themes.__getitem__)
    text = address.shown("list-text", query.get("text", "")[:TEXT_MOST])
    boxes[4].text_input(
        _("Words or number"), max_chars=TEXT_MOST, key="list-text", on_change=_filtered, args=("text",)
    )
    return Filter(area, state, light, theme, text)


def _filtered(name: str) -> None:
    """Write a chosen filter into the address; another list begins at its own first row."""
    address.choose(**{name: st.session_state.get(f"list-{name}") or "", "after": "", "id": ""})


def _folded(f: Frame, places_named: Callable[[str], str], names: dict[str, dict[str, str]]) -> bool:
    """Show on a phone one line that says what is chosen and opens the filters; tell whether they are folded there."""
    _, query = f._, st.query_params
    open_now = st.session_state.get("incidents-filters", False)
    chosen = [places_named(query["area"])] if query.get("area") in f.directory.areas else []
    chosen += [
        words[query[name]] for name, words in names.items() if query.get(name) in words and query[name]
    ]
    chosen += [f"“{query['text']}”"] if query.get("text") else []
    words = naming.plain(" · ".join(chosen)) if chosen else _("none: all that is mine to see")

    def turned() -> None:
        st.session_state["incidents-filters"] = not open_now

    with st.container(key="gw-fold"):
        st.button(
            f"**{_('Filters')}**　{words}", key="incidents-fold", on_click=turned, width="stretch",
            icon=":material/expand_less:" if open_now else ":material/expand_more:", icon_position="right",
        )  # fmt: skip
    return not open_now


def _known(directory: Directory, code: str) -> list[str]:
    return [code] if code in directory.areas else []
