"""Tabs of the record: search it, and prove that it is as it was written."""

from __future__ import annotations

import time as clock
from datetime import UTC, datetime, time, timedelta

import streamlit as st

from dashboard.data import admin
from dashboard.frame import Frame
from dashboard.screens.admin.doors import turn
from dashboard.widgets import export
from dashboard.wording import names
from dashboard.wording.names import zone
from dispatch.intake.messages import parse_number, show_number
from dispatch.rules.incident.chain import STEPS


def audit(f: Frame) -> None:
    """Search the record by number, or by actor and step over a span of days."""
    _ = f._
    boxes = st.columns([3, 2, 3, 2, 2])
    linked = st.query_params.get("number", "")[:30]
    text = boxes[0].text_input(_("Number"), linked, key="audit-number", max_chars=30).strip()
    verbs = ["", *STEPS]
    verb = boxes[1].selectbox(
        _("Step"),
        verbs,
        format_func=lambda v: names.verb(v, f.lang) if v else _("Any step"),
        key="audit-verb",
    )
    actor = boxes[2].text_input(
        _("By (as the record has it)"), key="audit-actor", max_chars=80, placeholder="dispatcher:chen"
    ).strip()  # fmt: skip
    today = datetime.now(zone()).date()
    first = boxes[3].date_input(_("From"), today - timedelta(days=1), max_value=today, key="audit-from")
    last = boxes[4].date_input(_("To"), today, max_value=today, key="audit-to")
    number = None
    if text:
        try:
            number = parse_number(text)
        except ValueError:
            st.error(_("This is no number of an incident."))
            return
    since = datetime.combine(first, time(), zone())
    until = datetime.combine(last, time(), zone()) + timedelta(days=1)
    if number is None and until - since > admin.SPAN_MOST:
        st.warning(_("The last {n} days of this span are searched.").format(n=admin.SPAN_MOST.days))
    wanted = (text, verb, actor, first, last)
    if st.session_state.get("audit-filters") != wanted:
        st.session_state["audit-filters"], st.session_state["audit-page"] = wanted, 0
    page = int(st.session_state.get("audit-page", 0))
    lines = admin.search(f.city, f.who, since, until, number, str(verb or ""), actor, page)
    rows = [
        {
            _("Time"): f"{line.at.astimezone(zone()):%Y-%m-%d %H:%M:%S}",
            _("Number"): show_number(line.number),
            _("Event"): line.seq,
            _("Step"): names.verb(line.verb, f.lang),
            _("By"): names.actor(f.directory, line.actor, f.lang),
            _("As the record has it"): line.actor,
            _("Caused by"): line.cause,
            _("Policy"): line.policy_version,
        }
        for line in lines
    ]
    if not rows:
        st.info(_("The record has nothing of this."))
        return
    picked = st.dataframe(
        rows, hide_index=True, height=520 if len(rows) > 13 else "content", on_select="rerun",
        selection_mode="single-row", key=f"audit-{lines[0].incident_id}-{lines[0].seq}-{len(lines)}-{page}",
    )["selection"]["rows"]  # fmt: skip
    turn(f, "audit", page, len(lines) == admin.ROWS)
    with st.container(horizontal=True):
        if picked and picked[0] < len(lines):
            st.link_button(
                _("Open the incident"), f"/incidents?id={lines[picked[0]].incident_id}&lang={f.lang}"
            )
        export.download(_("Save as Excel"), rows, list(rows[0]), _("Audit"), key="audit-excel")


def verification(f: Frame) -> None:
    """Recompute the links of the whole record, or of one incident, and say where it breaks."""
    _ = f._
    st.write(
        _(
            "Each event carries the hash of the one before: recomputing them finds the exact event that was changed."
        )
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(
            _("Number; empty for the whole record"), key="verify-number", max_chars=30, width=320
        )
        go = st.button(_("Verify"), key="verify-go", type="primary")
    if go:
        number = None
        if text.strip():
            try:
                number = parse_number(text)
            except ValueError:
                st.error(_("This is no number of an incident."))
                return
        _verify(f, number)
    if (verdict := st.session_state.get("verified")) is not None:
        events, incidents, took, at, faults = verdict
        st.caption(_("{events} events of {incidents} incidents verified in {s} s, at {at}.").format(
            events=f"{events:,}", incidents=f"{incidents:,}", s=took, at=names.moment(at)
        ))  # fmt: skip
        if not faults:
            st.success(_("Every event is as it was written."))
        else:
            st.error(_("{n} places are not as they were written.").format(n=len(faults)))
            st.dataframe(
                [
                    {
                        _("Incident"): each.incident_id,
                        _("Row"): f"{each.table} {each.key}",
                        _("What"): each.words(f.lang),
                    }
                    for each in faults
                ],
                hide_index=True,
            )


def _verify(f: Frame, number: int | None) -> None:
    _ = f._
    bar = st.progress(0.0, _("Every link is recomputed …"))
    began = clock.monotonic()

    def told_of(share: float) -> None:
        bar.progress(share, _("Every link is recomputed …"))

    verdict = admin.verify(f.city, f.who, number, told_of)
    bar.empty()
    if verdict is None:
        st.warning(_("There is no incident with this number."))
        st.session_state.pop("verified", None)
        return
    faults = list(verdict.faults or ())
    st.session_state["verified"] = (
        verdict.events, verdict.incidents, round(clock.monotonic() - began, 1), datetime.now(UTC), faults,
    )  # fmt: skip
