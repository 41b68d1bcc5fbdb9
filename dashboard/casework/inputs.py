"""Asks for what a step needs: one input for each, the ranked teams with what speaks for and against them."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

import streamlit as st

from dashboard.data import Detail, Directory
from dashboard.frame import Frame
from dashboard.wording import names
from dashboard.wording.catalogue import Translate, limit_words, pick
from dashboard.wording.names import zone
from dispatch.intake.messages import parse_number
from dispatch.rules.areas import ancestors, centre_of
from dispatch.rules.incident.chain import LIVE, Step
from dispatch.rules.teams.proposals import Offer

TEXT_LIMIT = 500


def ask(f: Frame, step: Step, need: str, detail: Detail, key: str, given: str = "") -> Any:
    """Show the input for what a step needs or may be given, and return what is in it; None where it is empty.

    `given` is what a text field begins with.
    """
    lang, _, city = f.lang, f._, f.city
    key = f"{key}-{need}"
    match need:
        case "team_id":
            return _ask_team(detail, f.directory, step, key, lang, _)
        case "standard":
            return st.checkbox(_("The closing standard is met"), key=key)
        case "settled":
            return st.checkbox(_("The dispute was settled"), True, key=key) if _is_dispute(detail) else None
        case "never_theirs":
            return st.checkbox(_("It was never theirs"), key=key) or None
        case "rating":
            return st.select_slider(_("Rating"), [1, 2, 3, 4, 5], 5, key=key)
        case "real" | "granted":
            words = {True: _("Yes"), False: _("No")}
            label = _("Is it as reported?") if need == "real" else _("Grant it?")
            return st.radio(
                label, [True, False], format_func=lambda each: words[each], horizontal=True, key=key
            )
        case "position":
            point = (detail.incident.lon, detail.incident.lat)
            if None in point:
                return None
            here = st.checkbox(_("I am on the spot (demo: its own position)"), True, key=key)
            return list(point) if here else None
        case "photos":
            text = st.text_area(
                _("Photos before and after, one address a line"), max_chars=TEXT_LIMIT, key=key
            )
            return tuple(line.strip() for line in text.splitlines() if line.strip())
        case "whistle_kind":
            kinds = {"hard": _("hard problem"), "joint": _("joint enforcement"), "emergency": _("emergency")}
            return st.selectbox(_("Kind of whistle"), list(kinds), format_func=kinds.__getitem__, key=key)
        case "return_kind":
            returns = {
                "not_ours": _("not our unit's"),
                "no_means": _("no hands or means for it now"),
                "other": _("another reason"),
            }
            return st.radio(
                _("Kind of return"),
                list(returns),
                None,
                format_func=returns.__getitem__,
                horizontal=True,
                key=key,
            )
        case "limit":
            limits = ("4wh", "1wd", "2wd", "5wd", "10wd")
            return st.selectbox(
                _("Extension"), limits, format_func=lambda limit: limit_words(limit, lang), key=key
            )
        case "until":
            day = st.date_input(
                _("Until the morning of"), datetime.now(zone()).date() + timedelta(days=1), key=key
            )
            return datetime.combine(day, time(8), zone()).isoformat() if isinstance(day, date) else None
        case "category":
            types = city.policy().types
            # None stands there by itself: what is sent without looking must not become another matter.
            return st.selectbox(
                _("Type"),
                [code for code in types if code != detail.incident.category],
                None,
                format_func=lambda code: pick(lang, types[code].name, types[code].name_en),
                key=key,
                placeholder=_("Which type is it?"),
            )
        case "into":
            return _ask_incident(f, key)
    labels = {
        "reason": _("Reason"), "result": _("Result"), "note": _("Note"), "commander": _("Commander"),
    }  # fmt: skip
    if need == "commander":
        return st.text_input(labels[need], given, max_chars=TEXT_LIMIT, key=key)
    # As high as what is written in it: a reason is read whole before it is sent.
    return st.text_area(labels.get(need, need), given, height="content", max_chars=TEXT_LIMIT, key=key)


def _ask_team(
    detail: Detail, directory: Directory, step: Step, key: str, lang: str, _: Translate
) -> int | None:
    """Offer the ranked teams, each with what speaks for it and what is missing; a recall offers those that assist."""
    if step.verb == "recall_assist":
        helping = [
            p.team_id for p in detail.incident.parts.values() if p.role == "assist" and p.state in LIVE
        ]
        return st.selectbox(_("Team"), helping, format_func=lambda t: names.team(directory, t, lang), key=key)
    if step.verb in ("whistle", "add_assist"):
        return _ask_other_team(detail, directory, step, key, lang, _)
    offered: dict[int, Offer] = {offer.team.id: offer for offer in detail.offers}
    if not offered:
        st.caption(_("No team of this trade serves here; supervise or escalate."))
        return None

    def why(offer: Offer) -> str:
        reasons = [f"✓ {because.words(lang)}" for because in offer.reasons]
        shortfalls = [f"✕ {because.words(lang)}" for because in offer.shortfalls]
        return " · ".join((*reasons, *shortfalls))

    return st.radio(
        _("Team"),
        list(offered),
        format_func=lambda team_id: names.team(directory, team_id, lang),
        captions=[why(offer) for offer in offered.values()],
        key=key,
    )


def _ask_other_team(
    detail: Detail, directory: Directory, step: Step, key: str, lang: str, _: Translate
) -> int | None:
    """Offer whoever may be called in beside the holder: of any trade, from the case's town or above, ranked first."""
    incident = detail.incident
    taking_part = {p.team_id for p in incident.parts.values() if p.state in LIVE or p.state == "review"}
    above, town = set(ancestors(incident.area_code)), centre_of(incident.area_code)
    ranked = [offer.team.id for offer in detail.offers]
    others = sorted(
        (each for each in directory.teams.values() if each.area_code in above or (each.area_code == town)),
        key=lambda each: (-len(each.area_code), each.load - each.capacity, each.id),
    )
    able = [one for one in dict.fromkeys((*ranked, *(each.id for each in others))) if one not in taking_part]

    def words(team_id: int) -> str:
        found = directory.teams.get(team_id)
        return names.team(directory, team_id, lang) + (f"　{found.load}/{found.capacity}" if found else "")

    # The first of its own trade is what the law would take; of another trade a person says which.
    first = 0 if able and able[0] in ranked else None
    return st.selectbox(
        _("Team"), able, index=first, format_func=words, key=key, placeholder=_("Which team shall come?")
    )


def _ask_incident(f: Frame, key: str) -> int | None:
    _ = f._
    text = st.text_input(_("Number of the incident to merge into"), max_chars=30, key=key)
    if not text.strip():
        return None
    try:
        found = f.city.id_of(f.who.actor, parse_number(text))
    except ValueError:
        found = None
    if found is None:
        st.caption(_("There is no incident with this number."))
    return found


def _is_dispute(detail: Detail) -> bool:
    return detail.incident.category.startswith("02")
