"""Add, shut, open and reset accounts, and show what the last press of an administrator came to."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.data import admin
from dashboard.data.admin import AccountError
from dashboard.frame import Frame
from dashboard.wording import names as naming
from dashboard.wording.catalogue import ROLES
from dispatch.accounts.sessions import PASSWORD_LENGTH
from dispatch.rules.areas import Level


def account_acts(f: Frame) -> None:
    """Offer the acts on accounts, and show what the last one came to."""
    _ = f._
    with st.container(horizontal=True):
        with st.popover(_("Add an account")):
            _add(f)
        with st.popover(_("Shut, open or reset an account")):
            _change(f)
    answer("account-answer")


def _add(f: Frame) -> None:
    _ = f._
    directory = f.directory
    roles = list(admin.PEOPLE)
    areas = sorted(code for code, area in directory.areas.items() if area.level <= Level.VILLAGE)
    role = st.selectbox(
        _("Role"), roles, roles.index("dispatcher"), format_func=lambda r: _(ROLES[r]), key="add-role"
    )
    area = st.selectbox(
        _("Area"), areas, format_func=lambda c: f"{naming.place(directory, c, f.lang)} {c}", key="add-area"
    )
    team_id = None
    if role == "team" and area is not None:
        teams = sorted(t.id for t in directory.teams.values() if t.area_code.startswith(area.rstrip("0")))
        team_id = st.selectbox(
            _("Team"), teams, format_func=lambda t: naming.team(directory, t, f.lang), key="add-team"
        )
    with st.form("add-account", border=False):
        login = st.text_input(_("Login"), max_chars=32)
        name = st.text_input(_("Name"), max_chars=64)
        password = st.text_input(_("First password"), type="password", max_chars=PASSWORD_LENGTH.stop - 1)
        if st.form_submit_button(_("Add"), type="primary") and area is not None:
            try:
                admin.add(f.city, f.who, login, password, str(role), area, name, team_id)
            except AccountError as refusal:
                tell("account-answer", refusal_of(f, refusal), wrong=True)
            else:
                tell("account-answer", _("Account {login} was added.").format(login=login.strip().lower()))
            st.rerun()


def _change(f: Frame) -> None:
    _ = f._
    rows = {each.login: each for each in admin.listed(f.city, f.who)}
    login = st.selectbox(
        _("Account"), list(rows), format_func=lambda key: f"{key}　{rows[key].name}", key="change-login"
    )
    if login is None:
        return
    shut = rows[login].disabled_at is not None
    words = _("Open it again") if shut else _("Shut it and end its sessions")
    if st.button(words, key="change-state"):
        _try(f, login, "enable" if shut else "disable", "")
    with st.form("reset-account", border=False):
        password = st.text_input(_("New password"), type="password", max_chars=PASSWORD_LENGTH.stop - 1)
        if st.form_submit_button(_("Set the password and end its sessions")):
            _try(f, login, "reset", password)


def _try(f: Frame, login: str, what: Any, password: str) -> None:
    done = {
        "disable": f._("Account {login} is shut."),
        "enable": f._("Account {login} is open."),
        "reset": f._("Account {login} has a new password."),
    }
    try:
        admin.change(f.city, f.who, login, what, password)
    except AccountError as refusal:
        tell("account-answer", refusal_of(f, refusal), wrong=True)
    else:
        tell("account-answer", done[what].format(login=login))
    st.rerun()


def refusal_of(f: Frame, refusal: ValueError) -> str:
    """Return a refusal with the name of its field in the reader's language."""
    _ = f._
    field, found, reason = str(refusal).partition(": ")
    names = {
        "login": _("Login"), "password": _("Password"), "role": _("Role"), "area": _("Area"), "team": _("Team"),
        "name": _("Name"), "source": _("Source, as its reports name it"), "note": _("Note"), "id": _("Key"),
    }  # fmt: skip
    why = {
        "login": _(
            "2 to 32 of a-z, 0-9, dot, hyphen and underscore, beginning with a letter or digit; each login once."
        ),
        "password": _("A password has 10 to 128 characters."),
        "source": _("2 to 32 of a-z, 0-9, hyphen and underscore."),
    }
    if f.lang == "en" or not found:
        return f"{names.get(field, field)}: {reason}" if found else str(refusal)
    return f"{names.get(field, field)}：{why.get(field, reason)}"


def tell(where: str, words: str, wrong: bool = False) -> None:
    """Keep what a press came to, in words, until the next one."""
    st.session_state[where] = (words, wrong)


def answer(where: str) -> None:
    """Show what the last press came to; it stays until the next one."""
    if (message := st.session_state.get(where)) is not None:
        (st.error if message[1] else st.success)(message[0])
