"""Set out the case that is open on the workbench: what it is, where, what is like it, and how it came to stand so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import streamlit as st

from dashboard.casework import offers, sheet
from dashboard.casework.offers import take, take_other
from dashboard.data.workbench import Case, Like, outlines
from dashboard.frame import Frame
from dashboard.markup import markup, show
from dashboard.wording import names
from dispatch.intake.messages import show_number
from dispatch.rules.incident import reasons
from dispatch.rules.incident.chain import STEPS, lawful
from dispatch.rules.measures.cases import light_of
from dispatch.rules.teams.proposals import Offer


def case_pane(f: Frame, part: Callable[..., Any], found: Case, now: datetime) -> None:
    """Show a case whole; `part` mounts one live part of the workbench."""
    _, lang, directory = f._, f.lang, f.directory
    detail, incident = found.detail, found.detail.incident
    policy = f.city.policy()
    own_law = (
        policy if policy.version == incident.policy_version else None
    )  # promises are of the law it came under
    part(f, "place", "wb-place", id=str(incident.id))
    show(sheet.head(incident, directory, lang))
    part(
        f, "clocks", "wb-clocks",
        steps=sheet.clocks(incident, directory.calendar, now, lang, own_law),
        held={**sheet.held(incident, directory, lang), "where": sheet.where(incident, directory, lang)},
    )  # fmt: skip
    photos, small_map = st.columns([135, 100], gap="small")
    with photos:
        show(sheet.photos(detail, directory, now, lang))
    with small_map:
        _map(f, part, found, now)
    show(sheet.source(detail, directory, lang))
    left, right = st.columns(2, gap="medium")
    with left:
        _likes(f, found, now)
    with right:
        shown = st.session_state.get(f"wb-all-{incident.id}", False)
        count = len(detail.events)
        show(sheet.titled(_("Timeline"), _("{n} entries, all kept").format(n=count)))
        show(sheet.timeline(detail, directory, now, lang, count if shown else sheet.EVENTS_SHOWN))
        if count > sheet.EVENTS_SHOWN:
            st.toggle(_("Show all"), key=f"wb-all-{incident.id}")
    show(
        sheet.titled(
            _("Who held it"),
            _("each stretch of time stands with its holder; rates and appeals are counted from it"),
            sheet.ledger(detail.segments, directory, now, lang, _follows(f, found)),
        )
    )
    standard = (
        _("the matter is gone from the spot"),
        _("photos before and after from the same side"),
        _("the reporter was told"),
        _("no rubbish, damage or danger is left behind"),
    )
    show(
        sheet.titled(
            _("Closing standard"),
            _("ticked by whoever checks; nobody checks their own work"),
            markup('<p class="wb-standard">{all}</p>', all="　".join(f"□ {each}" for each in standard)),
        )
    )


def _follows(f: Frame, found: Case) -> str:
    """Return who will hold a case once it is sent to the team that is proposed, while it may be."""
    if "dispatch" not in {step.verb for step in lawful(found.detail.incident, f.who.actor)}:
        return ""
    first = next((offer.team.id for offer in found.detail.offers if offer.open), None)
    chosen = st.session_state.get(f"wb-team-{found.detail.incident.id}", first)
    if chosen is None:
        return ""
    return f._("Once sent it is with {team}.").format(team=names.team(f.directory, chosen, f.lang))


def _map(f: Frame, part: Callable[..., Any], found: Case, now: datetime) -> None:
    incident = found.detail.incident
    marks: list[dict[str, Any]] = []
    if incident.lon is not None and incident.lat is not None and incident.located == "point":
        marks.append(
            {"kind": "case", "lon": incident.lon, "lat": incident.lat,
             "light": light_of(incident, now, f.directory.calendar)}
        )  # fmt: skip
        marks += [
            {"kind": "like", "lon": each.lon, "lat": each.lat, "label": f"{round(each.metres)} m",
             "title": show_number(each.number)}
            for each in found.likes
        ]  # fmt: skip
        ready = [each for each in found.detail.offers if each.open]
        for rank, offer in enumerate(ready[: offers.OFFERS_OPEN], 1):
            if offer.team.lon is not None and offer.team.lat is not None:
                marks.append(
                    {"kind": "team", "lon": offer.team.lon, "lat": offer.team.lat,
                     "wordings": _called(f, rank, offer)}
                )  # fmt: skip
    part(
        f, "map", "wb-map", id=incident.id, own=incident.area_code, marks=marks,
        outlines=_outlines(f, incident.area_code) if marks else [],
    )  # fmt: skip


def _called(f: Frame, rank: int, offer: Offer) -> list[list[str]]:
    """Return the wordings of a team on the small map, each as its lines, the fullest first.

    Its name with how far it is, in one line and in two; what it is without where it is from; last its number alone.
    """
    km = f"{offer.km:.1f} km" if offer.km is not None else ""
    name = names.team(f.directory, offer.team.id, f.lang)
    trade = name.removeprefix(names.area(f.directory, offer.team.area_code, f.lang)).strip() or name
    found = [[f"{rank} {words}", km] for words in dict.fromkeys((name, trade)) if km]
    one_line = [[f"{rank} {words} {km}".strip()] for words in dict.fromkeys((name, trade))]
    both = [each for pair in zip(one_line, found, strict=False) for each in pair] or one_line
    return [*both, [f"{rank} {km}".strip()]]


def _outlines(f: Frame, area: str) -> list[Any]:
    return [list(each) for each in outlines(f.city, area[:12])]


def _likes(f: Frame, found: Case, now: datetime) -> None:
    _ = f._
    incident, likes = found.detail.incident, found.likes
    told_many = _("within 30 days, same type, within 150 m") if likes else _("none within 30 days and 150 m")
    show(sheet.titled(f"{_('Likely duplicates')} {len(likes) or ''}", told_many))
    for each in likes:
        text, button = st.columns([3, 1], gap="small", vertical_alignment="center")
        with text:
            show(sheet.like(each, incident, now, f.lang))
        with button:
            _joining(f, found, each)


def _joining(f: Frame, found: Case, each: Like) -> None:
    """Offer to merge one of the two into the other, whichever may still be merged; else to name it in a note."""
    _, incident = f._, found.detail.incident
    may = "merge" in {step.verb for step in lawful(incident, f.who.actor)}
    key = f"wb-merge-{each.id}"
    if each.ended_at is None and each.state in STEPS["merge"].sources and incident.ended_at is None:
        st.button(
            _("Merge into this"), key=key, on_click=take_other, args=(each.id, {"into": incident.id}),
            disabled=f.who.role not in STEPS["merge"].roles,
        )  # fmt: skip
    elif each.ended_at is None and may:
        st.button(
            _("Merge this into it"), key=key, on_click=take, args=("merge", incident, {"into": each.id})
        )
    else:
        note = reasons.coded("same_matter", number=show_number(each.number))
        allowed = "note" in {step.verb for step in lawful(incident, f.who.actor)}
        st.button(
            _("Link"), key=key, on_click=take, args=("note", incident, {"note": note}), disabled=not allowed
        )
