"""Lets a leader supervise what is past its limit now: which cases, why, and in words what the law refuses."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import streamlit as st

from dashboard.casework.act import close_dialog, is_open, open_dialog, prefilled
from dashboard.data.leaders import Red, reds, supervise
from dashboard.frame import Frame
from dashboard.widgets.drawer import close_cases
from dashboard.wording import amounts, names
from dashboard.wording.catalogue import pick
from dispatch.intake.messages import show_number
from dispatch.rules.incident.chain import STEPS

REASON_MOST = 200
LIST_PX = 380  # the reason and the button stay in sight below the list
STEP = STEPS["supervise"]
PRESS = "supervise-press"  # of the session: one opening of the dialog is one press, however often it is sent


def button(f: Frame, area: str) -> None:
    """Show the button that supervises, to whom the law lets, and its dialog where it is open."""
    if f.who.role not in STEP.roles:
        return
    words = pick(f.lang, STEP.zh, STEP.en[:1].upper() + STEP.en[1:])
    st.button(
        words, key="gw-supervise", on_click=_opened, help=f._("Supervise cases that are past a limit now")
    )
    if is_open("supervise"):
        _ask(f, area, words)


def _opened() -> None:
    close_cases()  # two dialogs cannot be open at once
    st.session_state[PRESS] = uuid4().hex
    open_dialog("supervise")


def _ask(f: Frame, area: str, words: str) -> None:
    _ = f._

    @st.dialog(words, width="large", on_dismiss=close_dialog)
    def shown() -> None:
        try:
            found, total = reds(f.city, f.who.actor, area)
        except psycopg.Error:
            st.error(_("The database does not answer. What you see may be old; try again in a moment."))
            return
        if not found:
            st.info(_("Nothing is past a limit now."))
            return
        st.caption(_("Longest past the limit first. Whoever holds the case is told."))
        first = next((each.id for each in found if not each.supervised), 0)
        with st.container(height=LIST_PX, border=False):
            ticked = [
                each
                for each in found
                if st.checkbox(_line(f, each), each.id == first, key=f"supervise-{each.id}")
            ]
        if total > len(found):
            st.caption(_("{n} more stand at the workbench.").format(n=f"{total - len(found):,}"))
        reason = st.text_input(
            _("Reason"), prefilled("supervise", _), max_chars=REASON_MOST, key="supervise-reason"
        )
        label = _("Supervise {n} case") if len(ticked) == 1 else _("Supervise {n} cases")
        if st.button(
            label.format(n=len(ticked)),
            key="supervise-go",
            type="primary",
            width="stretch",
            disabled=not ticked,
        ):
            _send(f, ticked, reason)

    shown()


def _line(f: Frame, red: Red) -> str:
    """Return a case in one line: number, matter, place, who holds it, how long past its limit, supervised or not."""
    _ = f._
    kind = f.directory.types.get(red.category)
    name = red.category if kind is None else pick(f.lang, kind.name, kind.name_en)
    over = amounts.span((datetime.now(UTC) - red.overdue_since).total_seconds(), _)
    parts = [
        show_number(red.number), name, names.place(f.directory, red.area_code, f.lang),
        names.holder(f.directory, red.holder, f.lang), _("{time} past the limit").format(time=over),
    ]  # fmt: skip
    if red.supervised:
        parts.append(_("supervised already"))
    return "　".join(names.plain(part) for part in parts)


def _send(f: Frame, ticked: Sequence[Red], reason: str) -> None:
    """Send one batch; what was refused stands in the dialog in words, and what was typed stays."""
    _ = f._
    try:
        outcomes = supervise(f.city, f.who.actor, ticked, reason, st.session_state[PRESS])
    except psycopg.Error:
        st.error(
            _("The database does not answer: the step may not have been taken. Look before you press again.")
        )
        return
    refused = [
        (red, outcome.refusal.words(f.lang))
        for red, outcome in zip(ticked, outcomes, strict=True)
        if outcome.refusal is not None
    ]
    done = len(outcomes) - len(refused)
    if done:
        st.toast(
            _("{verb}: {n} done").format(verb=names.verb("supervise", f.lang), n=done),
            icon=":material/check:",
        )
    if not refused:
        close_dialog()
        st.rerun()
    for red, why in refused:
        st.error(f"{show_number(red.number)}　{why}")
