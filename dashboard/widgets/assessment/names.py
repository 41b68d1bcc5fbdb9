"""Name the subjects of score cards: of a frozen month by the name that each had then."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.data import assessment as data
from dashboard.data import card_scope
from dashboard.data.assessment import Month
from dashboard.frame import Frame
from dashboard.wording import names
from dashboard.wording.catalogue import pick


def names_of(f: Frame, kind: str, month: Month) -> Any:
    """Return the function that names a subject of a kind: of a frozen month by the name that it had then."""
    now, then = _names_now(f, kind), data.names_then(f.city, month)

    def name(subject: str) -> str:
        kept = then.get((kind, subject))
        return now(subject) if kept is None or _same(f, kind, subject, kept) else pick(f.lang, *kept)

    return name


def _same(f: Frame, kind: str, subject: str, kept: tuple[str, str]) -> bool:
    """Tell whether a subject is still called what it was."""
    if kind == "department":
        return _departments().get(subject) == kept
    found = f.directory.teams.get(int(subject)) if kind == "team" else f.directory.areas.get(subject)
    return found is not None and (found.name, found.name_en or "") == kept


def _names_now(f: Frame, kind: str) -> Any:
    if kind in card_scope.AREAS:
        return lambda subject: (
            names.place(f.directory, subject, f.lang) if subject in f.directory.areas else subject
        )
    if kind == "team":
        return lambda subject: (
            names.team(f.directory, int(subject), f.lang) if subject.isdecimal() else subject
        )
    if kind == "department":
        departments = _departments()
        return lambda subject: pick(f.lang, *departments[subject]) if subject in departments else subject
    return lambda subject: names.actor(f.directory, subject, f.lang)


@st.cache_data(ttl=600, show_spinner=False)
def _departments() -> dict[str, tuple[str, str]]:
    from dashboard.data import reads

    return data.department_names(reads())
