"""Show one incident whole, and offer the steps that the law allows now."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import streamlit as st

from dashboard.casework import sheet
from dashboard.casework.inputs import ask
from dashboard.casework.offers import meant
from dashboard.data import CityReads, Detail, Directory
from dashboard.frame import Frame
from dashboard.markup import Markup, joined, markup, show
from dashboard.widgets.case_list import SEVERITIES, light_mark
from dashboard.wording import names
from dashboard.wording.catalogue import Translate, clock_name, limit_words, pick
from dispatch.assignment.proposals import recorded
from dispatch.intake.messages import show_number
from dispatch.rules.incident.chain import (
    ASSIGNMENT_STATES,
    STATES,
    Actor,
    Command,
    Incident,
    Step,
    lawful,
)
from dispatch.rules.time.calendar import Calendar
from dispatch.rules.time.clocks import Clock, light
from dispatch.rules.words import say
from models.servers.database import addresses


def detail_of(f: Frame, now: datetime, wish: str) -> None:
    """Show the incident whose id is wished for, to whoever may see it."""
    lang, _, directory = f.lang, f._, f.directory
    if not (wish.isascii() and wish.isdigit()) or len(wish) > 18:
        st.info(_("Select an incident to see its whole way."))
        return
    detail = f.city.detail(f.who.actor, int(wish))
    if detail is None:
        st.warning(_("There is no such incident."))
        return
    incident = detail.incident
    kind = directory.types.get(incident.category)
    name = pick(lang, kind.name, kind.name_en) if kind is not None else incident.category
    severity = _(SEVERITIES[incident.severity])
    st.subheader(f"{name}　{names.place(directory, incident.area_code, lang)}")
    st.markdown(
        f":gray-badge[{say(STATES[incident.state], lang)}] :gray-badge[{severity}]"
        f" :gray-badge[{_('Number')} {show_number(incident.number)}]"
    )
    st.text(incident.text)
    since, held = names.moment(incident.reported_at), names.holder(directory, incident.holder, lang)
    st.caption(f"{_('Reported')} {since}　{_('With')} {held}")
    _steps(f, detail, now)
    if any(event.change.said.get("photos") for event in detail.events):
        show(sheet.photos(detail, directory, now, lang))
    ran = _table(_clock_rows(directory, incident, now, lang, _), _("No clock has run."))
    show(sheet.titled(_("Clocks"), body=ran))
    timeline = sheet.timeline(detail, directory, now, lang, len(detail.events))
    show(sheet.titled(_("Timeline"), body=timeline))
    ledger = sheet.ledger(detail.segments, directory, now, lang)
    show(
        sheet.titled(_("Who held it"), body=ledger)
        + _table(
            [
                {
                    _("Holder"): names.holder(directory, each.holder, lang),
                    _("Awaited"): clock_name(each.awaits, lang) if each.awaits else "",
                    _("From"): names.moment(each.began_at),
                    _("To"): names.moment(each.ended_at) if each.ended_at else _("now"),
                    _("Minutes"): f"{((each.ended_at or now) - each.began_at).total_seconds() / 60:,.0f}",
                }
                for each in detail.segments
            ],
            "",
            right=(_("Minutes"),),
        )
    )
    show(
        sheet.titled(_("Assignments"))
        + _table(
            [
                {
                    _("Team"): names.team(directory, part.team_id, lang),
                    _("Kind"): _("whistle") if part.kind == "whistle" else _("ordinary assignment"),
                    _("State"): say(ASSIGNMENT_STATES[part.state], lang),
                    _("Sent"): names.moment(part.sent_at),
                    _("Ended"): names.moment(part.ended_at) if part.ended_at else "",
                }
                for part in incident.parts.values()
            ],
            _("Nobody has been sent yet."),
        )
    )


def _steps(f: Frame, detail: Detail, now: datetime) -> None:
    """Offer the steps that the law allows now to whoever is signed in."""
    incident, lang, _, city = detail.incident, f.lang, f._, f.city
    actor = f.who.actor
    steps = [step for step in lawful(incident, actor) if meant(incident, step.verb)]
    if not steps:
        st.caption(_("This role has no step to take now."))
    refusal = st.session_state.pop(f"refused-{incident.id}", None)
    if refusal:
        st.error(refusal)
    with st.container(horizontal=True):
        for n, step in enumerate(steps):
            words = names.label(step.verb, lang)
            key = f"{step.verb}-{incident.id}-{incident.seq}"
            asked = (*step.needs, *step.may)
            if not asked:
                if st.button(words, key=key, type="primary" if n == 0 else "secondary"):
                    _take(city, incident, step, actor, {}, now, lang)
                continue
            with st.popover(words):
                given = {need: ask(f, step, need, detail, key) for need in asked}
                args = {need: value for need, value in given.items() if value not in (None, "", ())}
                if (team := args.get("team_id")) is not None:
                    # What was proposed is kept with what was chosen, followed or not.
                    offer = next((o for o in detail.offers if o.team.id == team), None)
                    args |= {"offer": recorded(offer)} if offer is not None else {}
                if st.button(_("Confirm: {verb}").format(verb=words), key=key, type="primary"):
                    _take(city, incident, step, actor, args, now, lang)


def _take(
    city: CityReads,
    incident: Incident,
    step: Step,
    actor: Actor,
    args: dict[str, Any],
    now: datetime,
    lang: str,
) -> None:
    """Hand one step to the Desk and show its answer; a repeated press has the same id, and so is one action."""
    command = Command(step.verb, incident.id, actor, f"page-{actor.id}-{incident.seq}", args, incident.seq)
    outcome = city.submit([command], now, addresses().redis_url)[0]
    if outcome.refusal is not None:
        st.session_state[f"refused-{incident.id}"] = outcome.refusal.words(lang)
    st.rerun()


def _clock_rows(
    directory: Directory, incident: Incident, now: datetime, lang: str, _: Translate
) -> list[dict[str, str]]:
    rows = [
        _clock_row(kind, "", clock, now, directory.calendar, lang, _)
        for kind, clock in incident.clocks.items()
    ]
    for part in incident.parts.values():
        who = names.team(directory, part.team_id, lang)
        rows += [
            _clock_row(kind, who, clock, now, directory.calendar, lang, _)
            for kind, clock in part.clocks.items()
        ]
    return rows


def _clock_row(
    kind: str, who: str, clock: Clock, now: datetime, calendar: Calendar, lang: str, _: Translate
) -> dict[str, str]:
    words = {
        "running": _("running"),
        "paused": _("paused"),
        "met": _("met in time"),
        "breached": _("past its limit"),
    }
    shape = (
        light_mark(light(clock, now, calendar), _) if clock.awaited and clock.due is not None else Markup("")
    )
    return {
        "": shape,
        _("Clock"): clock_name(kind, lang),
        _("Limit"): limit_words(clock.limit, lang),
        _("Since"): names.moment(clock.since),
        _("Due"): names.moment(clock.due) if clock.due else "",
        _("State"): words[clock.state] + (f" {names.moment(clock.ended)}" if clock.ended else ""),
        _("Whose"): who,
    }


def _table(rows: list[dict[str, str]], empty: str, right: tuple[str, ...] = ()) -> Markup:
    """Return rows as a table in which nothing is cut; `right` are the columns of figures."""
    if not rows:
        return markup('<p class="wb-m">{empty}</p>', empty=empty)
    style = {name: "r" if name in right else "" for name in rows[0]}
    heads = [markup('<th class="{c}">{name}</th>', c=style[name], name=name) for name in rows[0]]
    lines = [
        joined(
            [
                markup('<td class="{c}">{value}</td>', c=style[name], value=value)
                for name, value in row.items()
            ]
        )
        for row in rows
    ]
    return markup(
        '<div class="gw-grid"><table><tr>{heads}</tr>{lines}</table></div>', heads=joined(heads),
        lines=joined([markup("<tr>{line}</tr>", line=line) for line in lines]),
    )  # fmt: skip
