"""The dispatcher's workbench: what is next, what is it, who goes; one line to the server keeps it live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from dashboard import address
from dashboard.casework import bulk, offers, sheet
from dashboard.casework.act import FRESH, WRITTEN, conflict
from dashboard.casework.case_pane import case_pane
from dashboard.casework.legend import keys
from dashboard.casework.offers import acting
from dashboard.components import component, words
from dashboard.data import demo
from dashboard.data.workbench import case
from dashboard.frame import Frame, framed
from dashboard.markup import raw, show
from dashboard.wording.names import zone

STAGES = ("", "accept", "dispatch", "returned", "pick_up", "whistle", "approve", "check", "close", "in_hand")
SORTS = ("", "severity", "place")  # of the queue: by the next limit, or by something else before it


def page() -> None:
    """Show the workbench of whoever is signed in: the queue of their area, and the case that `?id=` names."""
    with framed("workbench", tagged=True) as f:
        show(raw("style", sheet.style()))
        if (key := st.session_state.pop(FRESH, "")) and key in st.session_state:
            st.session_state[key] = ""
        now = datetime.now(UTC)
        _part(
            f,
            "head",
            "wb-head",
            where=f.where,
            stage=_filter("stage", STAGES),
            demo=demo(),
            on_stage_change=_filtered_in_head,
        )
        conflict(f)
        wish = st.query_params.get("id", "")
        found = case(f.city, f.who.actor, int(wish), now) if _is_id(wish) else None
        with st.container(key="wb"):
            left, middle, right = st.columns([46, 89, 50], gap="small")
            with left, st.container(key="wb-queue"):
                _queue(f, wish if found is not None else "", wish)
            with middle, st.container(key="wb-case"):
                if found is not None:
                    case_pane(f, _part, found, now)
                else:
                    _nothing(f, wish)
            with right, st.container(key="wb-act"):
                if found is not None:
                    acting(f, found)
                else:
                    _nobody(f)
        with st.bottom, st.container(key="wb-bulk", horizontal=True, vertical_alignment="center"):
            bulk.bar(f, st.session_state.get("wb-ticked") or [])
            st.space("stretch")
            keys(f)


# ---- the live parts --------------------------------------------------------------------------------------------


def _part(f: Frame, part: str, key: str, **data: Any) -> Any:
    """Mount one live part; `on_…_change` are its callbacks."""
    calls = {name: data.pop(name) for name in list(data) if name.startswith("on_")}
    given = {
        "part": part, "area": f.who.area, "lang": f.lang, "me": f.who.actor.id, "zone": zone().key,
        "words": words("workbench", f.lang), **data,
    }  # fmt: skip
    return component("workbench", style=False)(key=key, data=given, **calls)


def _queue(f: Frame, selected: str, wish: str) -> None:
    """Show the queue: `wish` is the case that the address asks for, `selected` the same if there is one."""
    _part(
        f, "queue", "wb-rows", selected=selected, wish=wish, sort=_filter("sort", SORTS),
        cleared=st.session_state.get(bulk.CLEARED, 0),
        written=[str(each) for each in st.session_state.pop(WRITTEN, [])],
        on_selected_change=_selected, on_ticked_change=_ticked, on_stage_change=_filtered_in_queue,
        on_draft_change=_drafted, on_sort_change=_sorted,
    )  # fmt: skip


def _said(key: str, name: str) -> Any:
    """Return what a live part said last under a name, or None."""
    found = getattr(st.session_state.get(key), name, None)
    return found.get("value") if isinstance(found, Mapping) else None


def _selected() -> None:
    value = _said("wb-rows", "selected")
    if isinstance(value, str) and _is_id(value):
        address.choose(id=value)


def _ticked() -> None:
    value = _said("wb-rows", "ticked")
    ids = value if isinstance(value, list) else []
    st.session_state["wb-ticked"] = [int(each) for each in ids if _is_id(str(each))][: bulk.LIMIT]


def _is_id(text: str) -> bool:
    """Tell whether a text is an incident's id: a superscript two is a digit too, and no number."""
    return text.isascii() and text.isdigit() and len(text) <= 18


def _filtered_in_head() -> None:
    _filtered(_said("wb-head", "stage"))


def _filtered_in_queue() -> None:
    _filtered(_said("wb-rows", "stage"))


def _filtered(stage: Any) -> None:
    address.choose(stage=stage if stage in STAGES else "")


def _sorted() -> None:
    value = _said("wb-rows", "sort")
    address.choose(sort=value if value in SORTS else "")


def _filter(name: str, known: Sequence[str]) -> str:
    """Return the filter that the address names, if there is such a one."""
    wish = st.query_params.get(name, "")
    return wish if wish in known else ""


def _drafted() -> None:
    """Take back what was being written before a refresh; what is written now goes first."""
    value = _said("wb-rows", "draft")
    if isinstance(value, Mapping) and _is_id(str(value.get("id", ""))):
        key = f"wb-reason-{value['id']}"
        if not st.session_state.get(key):
            st.session_state[key] = str(value.get("text", ""))[: offers.TEXT_LIMIT]


# ---- the case --------------------------------------------------------------------------------------------------


def _nothing(f: Frame, wish: str) -> None:
    _ = f._
    if wish:
        st.warning(_("There is no such incident."))
    else:
        st.info(_("Choose a case on the left: ↑ and ↓, or a click."))


def _nobody(f: Frame) -> None:
    """Say what will stand in the right pane once a case is chosen."""
    offers.to_do(
        f._("Who goes"),
        f._("Choose a case: the teams that can go stand here, best first, with what speaks for each."),
    )
