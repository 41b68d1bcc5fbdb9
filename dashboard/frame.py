"""What every desk and phone page begins with: language, who looks, the house's style and the account's corner."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psycopg
import streamlit as st

from dashboard.data import Directory, Reads, Viewer, demo, reads
from dashboard.session import required
from dashboard.words import Translate, chosen, translator

COMPONENTS = Path(__file__).parent / "components"


@dataclass(frozen=True, slots=True)
class Frame:
    """What a page is given: the reader's language and its translator, who looks, and the door to what is known."""

    lang: str
    _: Translate
    who: Viewer
    door: Reads

    @property
    def directory(self) -> Directory:
        """Return who and what is where, read at most once a minute."""
        return directory()


@contextmanager
def framed(page: str, roles: Collection[str]) -> Iterator[Frame]:
    """Open the page at `/page` for these roles; anyone else is told why not.

    Where the database is away, the page says so in words instead of a traceback.
    """
    lang = chosen(st.query_params.get("lang"))
    _ = translator(lang)
    st.html(f"<style>{style()}</style>")
    try:
        who = required(roles, page)
        yield Frame(lang, _, who, reads())
    except psycopg.Error:
        st.error(_("The database does not answer. What you see may be old; try again in a moment."))
    if demo():
        st.caption(_("Demo data"))


@st.cache_resource(ttl=60, show_spinner=False)
def directory() -> Directory:
    """Return who and what is where, read at most once a minute for all pages of the process."""
    return reads().directory()


@cache
def style() -> str:
    """Return the style sheet of desk and phone pages."""
    return (COMPONENTS / "desk" / "desk.css").read_text(encoding="utf-8")
