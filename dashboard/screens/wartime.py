"""Wartime 平战转换: which areas are in it, who put them there, and the form that two people fill in together."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import streamlit as st

from dashboard.data import NotIn, wartime
from dashboard.frame import Frame, framed, headed
from dashboard.widgets import export
from dashboard.wording import names
from dashboard.wording.catalogue import Translate
from dispatch.rules.areas import Level, contains
from dispatch.rules.law import ABOVE
from dispatch.rules.refusals import Refusal
from dispatch.rules.wartime import KINDS, LEVELS, LONGEST, TEXT_LIMIT_CHARS
from dispatch.rules.words import say

HOURS = (6, 12, 24, 48, 72, 168, LONGEST.days * 24)


def page() -> None:
    """Show what was declared; a county's or the city's centre declares with a second person, and ends."""
    with framed("wartime", tagged=True) as f:
        _ = f._
        headed(f, "wartime", tells=True)
        if (message := st.session_state.get("wartime-answer")) is not None:
            (st.error if message[1] else st.success)(message[0])
        left, right = st.columns([3, 2], gap="medium")
        with left:
            _table(f)
            _meaning(_)
        with right:
            if f.who.role in ABOVE:
                _declare(f)
            else:
                st.info(_("A county's or the city's centre declares and ends wartime."))


def _meaning(_: Translate) -> None:
    """Say what is different while it lasts, and who may bring it about."""
    with st.container(border=True, key="gw-card-meaning"):
        st.markdown(f"**{_('What it means')}**")
        st.markdown(
            "\n".join(
                f"- {each}"
                for each in (
                    _(
                        "What is opened in an area while it is in wartime gets half of every limit,"
                        " never less than 3 minutes."
                    ),
                    _("What was opened before keeps its own limits."),
                    _("Two people declare it together; level I is the city's to approve."),
                    _(
                        "It ends by itself at its time, after {n} days at the latest, or before with a reason."
                    ).format(n=LONGEST.days),
                    _("Everything is on record: who declared, approved, ended, and why."),
                )
            )
        )


def _refused(f: Frame, refusal: Refusal) -> str:
    """Return the law's no with the names of places and people instead of their codes."""
    told_by = {"area": names.area, "actor": names.actor, "by": names.actor}
    values = {
        key: told_by[key](f.directory, str(value), f.lang) if key in told_by else value
        for key, value in refusal.values.items()
    }
    return replace(refusal, values=values).words(f.lang)


def _table(f: Frame) -> None:
    _ = f._
    now = datetime.now(UTC)
    rows = wartime.stretches(f.city, f.who)
    if not rows:
        st.info(_("No wartime has been declared here."))
        return
    lines = [
        {
            _("State"): _("in force") if one.in_force(now) else _("has ended"),
            _("Area"): names.area(f.directory, one.area_code, f.lang),
            _("Level"): say(LEVELS[one.level], f.lang),
            _("What for"): say(KINDS.get(one.kind, (one.kind, one.kind)), f.lang),
            _("Since"): names.moment(one.since),
            _("Until"): names.moment(one.ended_at or one.until),
            _("Commander"): one.commander,
            _("Declared by"): names.actor(f.directory, one.declared_by, f.lang),
            _("Approved by"): names.actor(f.directory, one.approved_by, f.lang),
            _("Reason"): one.reason,
            _("Ended by"): names.actor(f.directory, one.ended_by, f.lang) if one.ended_by else "",
        }
        for one in rows
    ]
    st.dataframe(lines, hide_index=True, height="content" if len(rows) < 12 else 460)
    export.download(_("Save as Excel"), lines, list(lines[0]), _("Wartime"), key="wartime-excel")
    mine = {
        one.id: one
        for one in rows
        if one.in_force(now) and one.id is not None and contains(f.who.area, one.area_code)
    }
    if f.who.role not in ABOVE or not mine:
        return
    with st.form("wartime-end"):
        which = st.selectbox(
            _("End before its time"),
            list(mine),
            format_func=lambda key: (
                f"{names.area(f.directory, mine[key].area_code, f.lang)}　{say(LEVELS[mine[key].level], f.lang)}"
            ),
        )
        reason = st.text_input(_("Reason"), max_chars=TEXT_LIMIT_CHARS)
        if st.form_submit_button(_("End wartime")) and which is not None:
            answer = wartime.end(f.city, f.who, which, reason)
            wrong = isinstance(answer, Refusal)
            words = _refused(f, answer) if isinstance(answer, Refusal) else _("Wartime has ended there.")
            st.session_state["wartime-answer"] = (words, wrong)
            st.rerun()


def _declare(f: Frame) -> None:
    _ = f._
    directory = f.directory
    areas = sorted(
        code
        for code, each in directory.areas.items()
        if each.level <= Level.TOWN and contains(f.who.area, code)
    )
    turn, tries = st.session_state.get("wartime-turn", (0, 0))
    with st.form("wartime-declare"):
        st.markdown(f"**{_('Declare wartime')}**")
        area = st.selectbox(
            _("Area"), areas, format_func=lambda code: f"{names.place(directory, code, f.lang)} {code}",
            key=f"wartime-area-{turn}",
        )  # fmt: skip
        one, two, three = st.columns(3, gap="small")
        level = one.selectbox(_("Level"), list(LEVELS), 2, format_func=lambda n: say(LEVELS[n], f.lang))
        kind = two.selectbox(_("What for"), list(KINDS), format_func=lambda name: say(KINDS[name], f.lang))
        hours = three.selectbox(
            _("For how long"), HOURS, 2, format_func=lambda n: _("{n} hours").format(n=n) if n < 48
            else _("{n} days").format(n=n // 24),
        )  # fmt: skip
        reason = st.text_input(_("Reason"), max_chars=TEXT_LIMIT_CHARS, key=f"wartime-reason-{turn}")
        commander = st.text_input(_("Commander"), max_chars=TEXT_LIMIT_CHARS, key=f"wartime-commander-{turn}")
        st.markdown(_("A second person of the county or city approves here with login and password:"))
        left, right = st.columns(2, gap="small")
        login = left.text_input(_("Login of the second person"), max_chars=64, key=f"wartime-login-{turn}")
        # It is another person's: whatever comes of it, it does not stay on this one's screen.
        password = right.text_input(
            _("Password of the second person"),
            type="password",
            max_chars=128,
            key=f"wartime-password-{tries}",
        )
        if not st.form_submit_button(_("Declare wartime"), type="primary") or area is None:
            return
        until = datetime.now(UTC) + timedelta(hours=int(hours))
        answer = wartime.declare(
            f.city, f.who, area, int(level), str(kind), reason, commander, until, login, password
        )
        if isinstance(answer, NotIn):
            words = _("The second person's login or password is wrong, or locked for a while.")
        elif isinstance(answer, Refusal):
            words = _refused(f, answer)
        else:
            words = _("{area} is in wartime.").format(area=names.area(directory, area, f.lang))
        wrong = isinstance(answer, (NotIn, Refusal))
        st.session_state["wartime-answer"] = (words, wrong)
        # What was written stays where it was refused; once declared, the form begins anew.
        st.session_state["wartime-turn"] = (turn + (not wrong), tries + 1)
        st.rerun()
