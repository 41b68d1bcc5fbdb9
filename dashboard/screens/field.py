"""The phone of people in the field, `/field`: one component with an outbox, served by `dashboard.routes.phone`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import streamlit as st

from dashboard.components import component, words
from dashboard.data import Directory, demo, field, reads
from dashboard.frame import Frame, framed
from dashboard.wording.catalogue import ROLES, clock_name, limit_words, other, pick, translator
from dashboard.wording.names import capital, label, zone
from dispatch.rules.time.clocks import KINDS

LIMITS = ("4wh", "1wd", "2wd", "5wd")
OFTEN_AGE_S = 600


def page() -> None:
    """Show the tasks of whoever is signed in, in `?lang=`."""
    with framed("field") as frame:
        # As whoever looks: another person on the same browser is another component.
        component("field")(key=f"field-{frame.who.login}", data=given(frame, "field"))


def given(frame: Frame, mode: str) -> dict[str, Any]:
    """Return what the component is given: words, types in the order of use, grids to choose from."""
    _, lang, who = frame._, frame.lang, frame.who
    known = frame.directory
    area = known.areas.get(who.area)
    return {
        "mode": mode,
        "lang": lang,
        "demo": demo(),
        "zone": zone().key,
        "words": words("field", lang),
        "who": {
            "login": who.login,
            "name": who.name,
            "role": _(ROLES[who.role]),
            "code": who.area,
            "area": "" if area is None else pick(lang, area.name, area.name_en),
        },
        "types": _types(known, lang),
        "often": _often(who.login, frame),
        "places": _places(who.area),
        "standards": standards(lang),
        "verbs": verbs(lang),
        "clocks": {kind: capital(clock_name(kind, lang)) for kind in KINDS},
        "limits": {limit: limit_words(limit, lang) for limit in LIMITS},
        "links": [
            (f"/assessment?lang={lang}", _("Assessment")),
            (f"/public?lang={lang}", _("For residents")),
            (f"/?lang={lang}", _("Start")),
            (f"?lang={other(lang)[0]}", other(lang)[1]),
        ],
    }


def standards(lang: str) -> list[tuple[str, str]]:
    """Return what a result must meet before a case is closed, as (code, words): kept with the result."""
    _ = translator(lang)
    return [
        ("gone", _("What was reported is gone")),
        ("safe", _("The place around is clean and safe")),
        ("told", _("Whoever it concerns has been told")),
    ]


@cache
def verbs(lang: str) -> dict[str, str]:
    """Return the name of every step that may be taken from a phone."""
    return {verb: label(verb, lang) for verb in sorted(field.VERBS)}


def _types(known: Directory, lang: str) -> list[tuple[str, str]]:
    return [
        (code, pick(lang, each.name, each.name_en))
        for code, each in sorted(known.types.items())
        if not each.retired
    ]


@st.cache_data(ttl=OFTEN_AGE_S, show_spinner=False, max_entries=5_000)
def _often(login: str, _frame: Frame) -> list[str]:
    return field.often(_frame.city, _frame.who)


@st.cache_data(ttl=OFTEN_AGE_S, show_spinner=False, max_entries=2_000)
def _places(area: str) -> Sequence[tuple[str, str]]:
    return field.places(reads().known(), area)
