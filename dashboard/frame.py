"""What every desk and phone page begins with: language, who looks, the house's style and the account's corner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import psycopg
import streamlit as st

from dashboard.components import component, sheet, streamlit_selectors
from dashboard.data import CityReads, Directory, Viewer, demo, reads
from dashboard.markup import Markup, css_text, joined, markup, raw, show
from dashboard.pages import PLACES
from dashboard.session import required
from dashboard.wording import names
from dashboard.wording.catalogue import LANGUAGES, ROLES, Translate, chosen, pick, translator

FONTS = "Source Han Sans SC, Noto Sans CJK SC, Noto Sans SC, PingFang SC, Microsoft YaHei, sans-serif"
FILE_MB = 50  # of one file that is picked on a page
LANGUAGE_COOKIE = "gridwhistle_lang"  # the account's corner writes it; no secret


@dataclass(frozen=True, slots=True)
class Frame:
    """What a page is given: the reader's language and its translator, who looks, and the door to what is known."""

    lang: str
    _: Translate
    who: Viewer
    city: CityReads

    @property
    def directory(self) -> Directory:
        """Return who and what is where, as it was a minute and a half ago at the most."""
        return self.city.known()

    @property
    def where(self) -> str:
        """Return for which area and as whom one looks."""
        area = names.area(self.directory, self.who.area, self.lang)
        return f"{area} · {self._(ROLES[self.who.role])} {self.who.name}"


@contextmanager
def framed(page: str, *, tagged: bool = False) -> Iterator[Frame]:
    """Open the page at `/page` for the roles that the table of pages names; anyone else is told why not.

    Data of the demo are named so below the page, unless it is `tagged`: then its own head says it. Where the database
    is away, the page says so in words instead of a traceback; so it does of any other fault, which goes to the log.
    """
    lang = chosen(st.query_params.get("lang"))
    _ = translator(lang)
    show(raw("style", style()))
    may = PLACES[page].roles
    try:
        who = required(may, page)
        corner(lang, who)
    except psycopg.Error:
        away(lang)
        st.stop()
    try:
        yield Frame(lang, _, who, reads())
    except psycopg.Error:
        away(lang)
    except Exception:
        failed(lang)
        raise
    if demo() and not tagged:
        st.caption(_("Demo data"))


def headed(f: Frame, page: str, *, tells: bool = False) -> None:
    """Show a page's name, for which area and as whom one looks, and that data are of the demo.

    Where there is room for it, `tells` adds what the page is for, in the words of the table of pages.
    """
    place = PLACES[page]
    show(
        markup(
            '<div class="gw-head"><h1>{title}</h1><span class="gw-where">{where}</span>{tag}</div>',
            title=f._(place.title), where=f.where,
            tag=markup('<span class="gw-tag">{t}</span>', t=f._("Demo data")) if demo() else "",
        ),
        width="content",
    )  # fmt: skip
    if tells:
        st.caption(f._(place.tells))


def pick_files(f: Frame, label: str, kinds: list[str], key: str) -> list[Any]:
    """Ask for files of some kinds, at most `FILE_MB` each, in the reader's language: Streamlit's own is English."""
    words = {
        "--gw-files": f._("Choose files"),
        "--gw-files-drop": f._("Let the files go here"),
        "--gw-files-told": f._("{kinds}, at most {n} MB each").format(kinds=" ".join(kinds), n=FILE_MB),
    }
    told_by = ";".join(f"{name}:{css_text(word)}" for name, word in words.items())
    show(raw("style", f"{streamlit_selectors()['st-app']}{{{told_by}}}"))
    return st.file_uploader(label, kinds, accept_multiple_files=True, key=key, max_upload_size=FILE_MB) or []


def away(lang: str) -> None:
    """Say that the database does not answer."""
    _ = translator(lang)
    st.error(_("The database does not answer. What you see may be old; try again in a moment."))


def failed(lang: str) -> None:
    """Say that a page could not be shown; Streamlit's sentence, English and about its cloud, is hidden."""
    _ = translator(lang)
    show(raw("style", f"{streamlit_selectors()['st-exception']}{{display:none}}"))
    st.error(_("This page could not be shown. What went wrong is in the log; the other pages stand."))


@contextmanager
def alone(f: Frame) -> Iterator[None]:
    """Let one part of a page fail to be read by itself: it says so in its place, and the others stand."""
    try:
        yield
    except psycopg.Error:
        st.warning(f._("This part could not be read; the others stand. Try again in a moment."))


def corner(lang: str, who: Viewer | None) -> None:
    """Show top right who is signed in, the switch of languages and the ways out; a visitor gets the way in."""
    _ = translator(lang)
    words = {
        "language": "English" if lang == "zh" else "中文",
        "in": _("Sign in"),
        "out": _("Sign out"),
        "everywhere": _("Sign out everywhere"),
        "password": _("Change the password"),
        "old": _("Present password"),
        "new": _("New password, 10 characters or more"),
        "again": _("New password again"),
        "save": _("Save"),
        "cancel": _("Cancel"),
        "differ": _("The two new passwords differ."),
        "away": _("The server does not answer. Try again in a moment."),
    }
    if demo():
        words["demo"] = _("Demo data")
    data: dict[str, Any] = {"lang": lang, "other": "en" if lang == "zh" else "zh", "words": words}
    if who is not None:
        area = reads().known().areas.get(who.area)
        data |= {
            "name": who.name,
            "role": _(ROLES[who.role]),
            "area": who.area if area is None else pick(lang, area.name, area.name_en),
        }
    component("account", host="gw-account")(key="account", data=data)


def brand(name: str) -> Markup:
    """Return the house's sign with its name, as SVG: a grid whose middle cell has whistled."""
    cells = joined(
        markup(
            '<rect x="{x}" y="{y}" width="4" height="4" fill="{fill}"/>',
            x=5 + 5 * column, y=7 + 5 * row, fill="#ffd93d" if (column, row) == (1, 1) else "#ffffff",
        )
        for row in range(3)
        for column in range(3)
    )  # fmt: skip
    wide = 34 + sum(17 if ord(letter) > 0x2E7F else 9.4 for letter in name)
    return markup(
        '<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="28" viewBox="0 0 {wide} 28">'
        '<rect y="2" width="24" height="24" rx="4" fill="#1b4f8f"/>{cells}'
        '<text x="33" y="20" font-size="17" font-weight="700" fill="#14191e" font-family="{fonts}">{name}</text></svg>',
        wide=f"{wide:.0f}", cells=cells, fonts=FONTS, name=name,
    )  # fmt: skip


def remember_language() -> None:
    """Let a page that was opened without `?lang=` speak the language that was chosen last on this browser."""
    kept = st.context.cookies.get(LANGUAGE_COOKIE, "")
    if kept in LANGUAGES and "lang" not in st.query_params and chosen(None) != kept:
        st.query_params["lang"] = kept


@cache
def style() -> str:
    """Return the style sheet of desk and phone pages."""
    return sheet("desk/desk.css")
