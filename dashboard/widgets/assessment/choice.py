"""Choose whose card of which month is shown, which the address names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from dashboard import address
from dashboard.data import assessment as data
from dashboard.data import card_scope
from dashboard.data.assessment import Card, Listed, Month
from dashboard.data.card_scope import Subject
from dashboard.frame import Frame
from dashboard.widgets.assessment.names import names_of
from dashboard.widgets.assessment.proof import proof
from dispatch.scores.scoring import CARDS, KINDS


def month_of(known: Sequence[Month]) -> Month:
    """Return the month of the address, or the newest frozen one: a provisional number is no place to begin."""
    wish = st.query_params.get("month", "")
    found = next((each for each in known if f"{each.month:%Y-%m}" == wish), None)
    return found or next((each for each in known if each.frozen), known[0])


def subject_of(f: Frame, month: Month) -> Subject | None:
    """Return the subject of the address, or the first of the viewer's own that was judged; else the city."""
    kind, found, subject = st.query_params.get("subject", "").partition("/")
    if found and kind in CARDS and subject:
        return kind, subject
    own = card_scope.own_subjects(f.who.actor)
    for each in own:
        if data.card(f.city, f.who.actor, *each, month, CARDS[each[0]][0]) is not None:
            return each
    return own[0] if own else ("city", next((c for c, a in f.directory.areas.items() if a.level == 1), ""))


def head(f: Frame, known: Sequence[Month], month: Month, subject: Subject | None, card: Card | None) -> None:
    """Show whose card of which month is looked at, the choice of another, and the way to its proof."""
    _ = f._

    def moved(key: str, name: str) -> None:
        value = st.session_state.get(key)
        if value:
            address.choose(**{name: str(value), "part": "", "set": "", "page": ""})

    def kind_chosen(key: str) -> None:
        first = data.listed(f.city, f.who.actor, st.session_state[key], month)
        if first:
            address.choose(subject=f"{first[0].kind}/{first[0].subject}", part="", set="", page="", card="")

    with st.container(horizontal=True, vertical_alignment="center", key="gw-head"):
        st.markdown("### " + _("Assessment"), width="content")
        kinds = card_scope.kinds_for(f.who.actor)
        if subject is not None and kinds:
            shown = list(dict.fromkeys([*kinds, subject[0]]))
            key = f"kind-{subject[0]}"
            if len(shown) > 1:
                st.selectbox(
                    _("Kind"), shown, shown.index(subject[0]),
                    format_func=lambda k: KINDS[k][0 if f.lang == "zh" else 1],
                    key=key, on_change=kind_chosen, args=(key,), label_visibility="collapsed", width=130,
                )  # fmt: skip
            _choose(f, subject, month, moved)
        key = f"month-{month.month:%Y-%m}"
        options = [f"{each.month:%Y-%m}" for each in reversed(known[:4])]
        if f"{month.month:%Y-%m}" not in options:
            options.insert(0, f"{month.month:%Y-%m}")
        frozen = {f"{each.month:%Y-%m}": each.frozen for each in known}
        st.segmented_control(
            _("Month"), options, default=f"{month.month:%Y-%m}", key=key, on_change=moved,
            args=(key, "month"), required=True,
            format_func=lambda m: f"{m} {_('frozen') if frozen.get(m) else _('provisional')}",
            label_visibility="collapsed",
        )  # fmt: skip
        if card is not None and len(card.cards) > 1:
            names = {
                "unit": _("Work of a unit"), "whistle": _("Whistles and satisfaction"),
                "dispatcher": _("Dispatcher"),
                "duty_leader": _("Duty leader"), "grid_worker": _("Grid worker"),
            }  # fmt: skip
            key = f"card-{card.name}"
            st.segmented_control(
                _("Card"), card.cards, default=card.name, key=key, on_change=moved, args=(key, "card"),
                required=True,
                format_func=lambda c: names[c], label_visibility="collapsed",
            )  # fmt: skip
        st.space("stretch")
        if card is not None:
            proof(f, card)


def _choose(f: Frame, subject: Subject, month: Month, moved: Any) -> None:
    found = data.listed(f.city, f.who.actor, subject[0], month)
    by_key = {f"{each.kind}/{each.subject}": each for each in found}
    own = f"{subject[0]}/{subject[1]}"
    options = list(by_key) if own in by_key else [own, *by_key]
    names = names_of(f, subject[0], month)

    def name(key: str) -> str:
        each: Listed | None = by_key.get(key)
        # What is not theirs to see is not named either.
        mine = each is not None or subject in card_scope.own_subjects(f.who.actor)
        words = names(key.partition("/")[2]) if mine else key
        return words if each is None or each.score is None else f"{words}　{each.score:.0f}"

    key = f"subject-{own}"
    st.selectbox(
        f._("Subject"), options, options.index(own), format_func=name, key=key, on_change=moved,
        args=(key, "subject"),
        label_visibility="collapsed", width=280,
    )  # fmt: skip
