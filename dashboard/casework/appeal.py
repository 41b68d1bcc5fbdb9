"""Ask for what an appeal or a judgement on one needs, and hand it to the Desk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import streamlit as st

from dashboard.data import judged
from dashboard.data.assessment import Card, Line
from dashboard.frame import Frame
from dashboard.widgets import scorecard
from dashboard.wording import amounts, names
from dashboard.wording.catalogue import pick
from dispatch.intake.messages import show_number
from dispatch.rules.incident.appeals import SPANS_LIMIT

REASON_MOST = 500
ASKED = "asked"  # of the session: an appeal or judgement that a dialog asks about


def dialog(f: Frame, card: Card, lines: Sequence[Mapping[str, Line]]) -> None:
    """Ask for what an appeal or a judgement needs, and hand it to the Desk; a refusal stays in the dialog."""
    asked = st.session_state.get(ASKED)
    if not asked:
        return
    kind, case, press = asked
    _ = f._
    appealing = kind == scorecard.APPEAL.rstrip("~")

    @st.dialog(
        _("Appeal") if appealing else _("Judge the appeal"),
        on_dismiss=lambda: st.session_state.pop(ASKED, None),
    )
    def ask() -> None:
        about = judged.asked(f.city, f.who.actor, case)
        if about is None:
            st.warning(_("There is no such incident."))
            return
        type_of = f.directory.types.get(about.category)
        name = about.category if type_of is None else pick(f.lang, type_of.name, type_of.name_en)
        st.markdown(
            f"**{show_number(about.number)}**　{name}　{names.place(f.directory, about.area_code, f.lang)}"
        )
        after = judged.if_granted(card, lines, case)
        if after is not None and card.score is not None:
            words = _("If granted, this card goes from {a} to {b} ({by}).").format(
                a=amounts.score(card.score, _),
                b=amounts.score(after, _),
                by=amounts.signed(after - card.score, 2),
            )
            st.info(words)
            if card.month.frozen:
                st.caption(_("The month is frozen: its score stays, and the change is entered beside it."))
        args: dict[str, Any] = {}
        if appealing:
            st.caption(_("An incident can be appealed once. Two reviewers judge it, neither of them you."))
        else:
            verdict = st.radio(
                _("Grant it?"), [True, False], format_func=lambda yes: _("Yes") if yes else _("No"),
                horizontal=True,
                key=f"granted-{press}",
            )  # fmt: skip
            args["granted"] = bool(verdict)
            if verdict and st.checkbox(_("It was never theirs"), key=f"never-{press}"):
                args["never_theirs"] = True
            if verdict and (spans := _exempt_time(f, about, press)):
                args["spans"] = spans
        args["reason"] = st.text_area(_("Reason"), max_chars=REASON_MOST, key=f"reason-{press}")
        if st.button(_("Send"), type="primary", key=f"send-{press}"):
            verb = "appeal" if appealing else "judge_appeal"
            outcome = judged.submit(f.city, f.who.actor, verb, case, press, args)
            if outcome.refusal is not None:
                st.error(outcome.refusal.words(f.lang))
            else:
                st.session_state.pop(ASKED, None)
                st.rerun()

    ask()


def _exempt_time(f: Frame, about: judged.Asked, press: str) -> list[list[str]]:
    """Ask for the stretches of time that are exempt, on the city's clock; none stands for the whole."""
    _ = f._
    begin: datetime = about.reported_at
    # Kept while the dialog is open: a field whose bounds move forgets what was chosen.
    end: datetime = st.session_state.setdefault(f"till-{press}", datetime.now(UTC))
    whole = st.radio(
        _("What is exempt"), [True, False], index=1 if about.spans else 0, horizontal=True, key=f"whole-{press}",
        format_func=lambda yes: _("The whole time") if yes else _("Stretches of it"),
    )  # fmt: skip
    if about.spans:
        given = _("; ").join(f"{names.moment(since)} – {names.moment(until)}" for since, until in about.spans)
        st.caption(_("The first reviewer gave: {spans}. What both give is exempt.").format(spans=given))
    if whole:
        return []
    st.caption(
        _(
            "On the city's clock, from the report at {at} till now. The month is judged anew in the night."
        ).format(at=names.moment(begin))
    )
    first = about.spans or ((begin, end),)
    rows = st.number_input(_("How many stretches"), 1, SPANS_LIMIT, len(first), key=f"rows-{press}")
    found = []
    for n in range(int(rows)):
        since, until = first[min(n, len(first) - 1)]
        left, right = st.columns(2)
        limits: dict[str, Any] = {
            "min_value": _local(begin), "max_value": _local(end), "step": timedelta(minutes=5)
        }  # fmt: skip
        since = left.datetime_input(_("From"), _local(since), key=f"from-{press}-{n}", **limits)
        until = right.datetime_input(_("Until"), _local(until), key=f"until-{press}-{n}", **limits)
        # The fields know minutes; the report and this moment have seconds.
        since, until = (each.replace(tzinfo=names.zone()) for each in (since, until))
        found.append([max(since, begin).isoformat(), min(until, end).isoformat()])
    return found


def _local(at: datetime) -> datetime:
    """Return an instant as a date and time of the city's clock, to the minute, without a zone."""
    return at.astimezone(names.zone()).replace(second=0, microsecond=0, tzinfo=None)
