"""Offer residents what they may do with their own report, and do it."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from dashboard.data import Viewer, public, reads
from dashboard.data.public import Progress
from dashboard.wording.catalogue import Translate
from dispatch.rules.incident.effects import DISSATISFIED, REOPEN_WITHIN
from models.servers.database import addresses

TEXT_LIMIT = 500


def offer(each: Progress, who: Viewer, lang: str, _: Translate) -> None:
    """Offer what a resident may do now: rate, have it opened again, add a line."""
    incident = each.incident
    assert incident is not None
    key = f"{incident.id}-{incident.seq}"
    if message := st.session_state.pop(f"refused-{incident.id}", None):
        st.error(message)
    if "rate" in each.verbs and incident.rating is None:
        chosen_rating = st.segmented_control(
            _("How was it settled? 1 poor, 5 very good"), [1, 2, 3, 4, 5], key=f"rating-{key}"
        )
        if st.button(_("Rate"), key=f"rate-{key}", type="primary", disabled=chosen_rating is None):
            _take(who, each, "rate", {"rating": chosen_rating}, lang)
    elif incident.rating is not None:
        st.caption(_("You rated it {n} of 5.").format(n=incident.rating))
        if "reopen" in each.verbs and _may_reopen(each):
            st.markdown(_("Not satisfied? Within ten days it can be opened again."))
            reason = st.text_input(_("What is still wrong?"), max_chars=TEXT_LIMIT, key=f"why-{key}")
            if st.button(_("Open it again"), key=f"reopen-{key}", type="primary"):
                _take(who, each, "reopen", {"reason": reason}, lang)
    if "note" in each.verbs:
        with st.popover(_("Add something")):
            note = st.text_area(_("What should be known besides?"), max_chars=TEXT_LIMIT, key=f"text-{key}")
            if st.button(_("Add"), key=f"note-{key}", type="primary"):
                _take(who, each, "note", {"note": note}, lang)


def _may_reopen(each: Progress) -> bool:
    incident = each.incident
    return (
        incident is not None
        and incident.rating is not None
        and incident.rating <= DISSATISFIED
        and incident.ended_at is not None
        and datetime.now(UTC) - incident.ended_at <= REOPEN_WITHIN
    )


def _take(who: Viewer, each: Progress, verb: str, args: dict[str, object], lang: str) -> None:
    assert each.incident is not None
    now = datetime.now(UTC)
    outcome = public.submit(reads(), who, each.incident, verb, args, now, addresses().redis_url)
    if outcome.refusal is not None:
        st.session_state[f"refused-{each.incident.id}"] = outcome.refusal.words(lang)
    st.rerun()
