"""Tabs of who may come in: accounts, keys of walls and sources, and the log of who did."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import streamlit as st

from dashboard.casework.accounts import account_acts, answer, refusal_of, tell
from dashboard.data import admin, demo
from dashboard.data.admin import RefusedKey
from dashboard.frame import Frame
from dashboard.widgets import export
from dashboard.wording import names
from dashboard.wording.catalogue import ROLES
from dispatch.rules.areas import Level

ALL = ""


def accounts(f: Frame) -> None:
    """Show every account; the administrator adds, shuts, opens and resets."""
    _ = f._
    if f.who.role == "admin":
        account_acts(f)
    rows = admin.listed(f.city, f.who)
    if not rows:
        st.info(_("There are no accounts yet."))
        return
    wish = st.text_input(_("Find by login, name or area"), key="account-find", max_chars=64).strip().lower()
    lines: list[dict[str, Any]] = [
        {
            _("Login"): each.login,
            _("Name"): each.name,
            _("Role"): _(ROLES[each.role]),
            _("Area"): names.area(f.directory, each.area_code, f.lang),
            _("Team"): names.team(f.directory, each.team_id, f.lang) if each.team_id is not None else "",
            _("State"): _state(f, each.disabled_at, each.demo),
            _("Sessions"): each.sessions,
            _("Last seen"): names.moment(each.last_seen_at) if each.last_seen_at else "",
            _("Refused in 24 h"): each.failed,
        }
        for each in rows
    ]
    found = [
        line
        for line, each in zip(lines, rows, strict=True)
        if wish in f"{each.login} {each.name} {each.area_code} {line[_('Area')]}".lower()
    ]
    st.dataframe(found, hide_index=True, height=420 if len(found) > 10 else "content")
    st.caption(_("{n} of {all} accounts").format(n=len(found), all=len(rows)))
    if found:
        export.download(_("Save as Excel"), found, list(found[0]), _("Accounts"), key="accounts-excel")


def _state(f: Frame, disabled_at: datetime | None, of_demo: bool) -> str:
    _ = f._
    if disabled_at is not None:
        return _("shut since {at}").format(at=names.moment(disabled_at))
    if of_demo:
        return _("demo") if demo() else _("demo, shut")
    return _("in use")


def keys(f: Frame) -> None:
    """Show the keys of walls and of sources; the administrator makes and revokes them."""
    _ = f._
    answer("key-answer")
    made = st.session_state.get("key-made")
    if made is not None:
        kind, opens, key = made
        where = names.place(f.directory, opens, f.lang) if kind == "wall" else opens
        st.success(_("The new key for {opens}. It is shown this once: copy it now.").format(opens=where))
        st.code(f"/wall?area={opens}&embed=true&key={key}" if kind == "wall" else key, language=None)
        if st.button(_("I have copied it"), key="key-copied"):
            del st.session_state["key-made"]
            st.rerun()
    left, right = st.columns(2, gap="medium")
    with left:
        _keys_of(f, "wall")
    with right:
        _keys_of(f, "api")


def _keys_of(f: Frame, kind: Any) -> None:
    _ = f._
    wall = kind == "wall"
    st.subheader(_("Keys of walls") if wall else _("Keys of sources"))
    rows = admin.held_keys(f.city, f.who, kind)
    if f.who.role == "admin":
        with st.form(f"new-{kind}", border=True):
            if wall:
                areas = sorted(c for c, area in f.directory.areas.items() if area.level <= Level.VILLAGE)
                opens: str | None = st.selectbox(
                    _("Area"), areas, format_func=lambda c: f"{names.place(f.directory, c, f.lang)} {c}"
                )
                note = st.text_input(_("Where the wall hangs"), max_chars=100)
            else:
                opens, note = st.text_input(_("Source, as its reports name it"), max_chars=32), ""
            if st.form_submit_button(_("Make a key")) and opens is not None:
                try:
                    key = admin.new_key(f.city, f.who, kind, opens, note)
                except RefusedKey as refusal:
                    tell("key-answer", refusal_of(f, refusal), wrong=True)
                else:
                    st.session_state["key-made"] = (kind, opens.strip(), key)
                st.rerun()
    if not rows:
        st.info(_("No key was made yet."))
        return
    st.dataframe(
        [
            {
                _("No."): each.id,
                _("Opens"): names.place(f.directory, each.opens, f.lang) if wall else each.opens,
                _("Note"): each.note,
                _("Made"): names.moment(each.created_at),
                _("State"): _("in force")
                if each.revoked_at is None
                else _("revoked {at}").format(at=names.moment(each.revoked_at)),
            }
            for each in rows
        ],
        hide_index=True,
        height=380 if len(rows) > 9 else "content",
    )
    held = {each.id: each for each in rows if each.revoked_at is None}
    if f.who.role != "admin" or not held:
        return
    with st.popover(_("Revoke a key")):
        key_id = st.selectbox(
            _("Key"),
            list(held),
            format_func=lambda n: f"{n}　{held[n].opens}　{held[n].note}",
            key=f"revoke-{kind}",
        )
        st.caption(_("Whatever uses it loses its sight within seconds, for good."))
        if st.button(_("Revoke it"), key=f"revoke-{kind}-now", type="primary") and key_id is not None:
            try:
                admin.revoke_key(f.city, f.who, kind, key_id)
            except RefusedKey as refusal:
                tell("key-answer", refusal_of(f, refusal), wrong=True)
            else:
                tell("key-answer", _("Key {n} is revoked.").format(n=key_id))
                if st.session_state.get("key-made", ("", ""))[:2] == (kind, held[key_id].opens):
                    del st.session_state["key-made"]  # nobody copies a key that opens nothing any more
            st.rerun()


def log(f: Frame) -> None:
    """Show who came in, who was refused and who changed what of accounts, keys and configuration."""
    _ = f._
    day, week = admin.failed(f.city, f.who, datetime.now(UTC))
    one, two, _rest = st.columns([1, 1, 4])
    one.metric(_("Refused sign-ins, 24 hours"), day)
    two.metric(_("Refused sign-ins, 7 days"), week)
    words = {
        ALL: _("All lines"), "failed": _("Refused"), "in": _("signed in"), "wrong": _("wrong password"),
        "locked": _("locked"), "added": _("account added"), "disabled": _("account shut"),
        "enabled": _("account opened"), "reset": _("password reset"), "password": _("password changed"),
        "role": _("role changed"), "wall_key": _("key of a wall made"), "api_key": _("key of a source made"),
        "wall_key_revoked": _("key of a wall revoked"), "api_key_revoked": _("key of a source revoked"),
        "policy": _("policy published"), "replayed": _("dead letter replayed"), "job": _("job run by hand"),
        "wartime": _("wartime declared"), "wartime_ended": _("wartime ended"),
    }  # fmt: skip
    what = st.selectbox(_("What"), list(words), format_func=words.__getitem__, key="log-what")
    page = _page(f, "log", what)
    rows = admin.log(f.city, f.who, page, str(what))
    if not rows:
        st.info(_("Nothing was noted."))
    else:
        lines = [
            {
                _("Time"): names.moment(each.at),
                _("What"): words.get(each.what, each.what),
                _("Account"): each.login or "",
                _("By"): each.by,
                _("Address"): each.address,
                _("About"): each.about,
            }
            for each in rows
        ]
        st.dataframe(lines, hide_index=True, height=460 if len(rows) > 11 else "content")
        export.download(_("Save as Excel"), lines, list(lines[0]), _("Who came in"), key="log-excel")
    turn(f, "log", page, len(rows) == admin.ROWS)
    st.caption(_("Half a year is kept. What was typed as login or password is never kept."))


def _page(f: Frame, name: str, *filters: object) -> int:
    """Return the page that is looked at; other filters begin at the first."""
    if st.session_state.get(f"{name}-filters") != filters:
        st.session_state[f"{name}-filters"] = filters
        st.session_state[f"{name}-page"] = 0
    return int(st.session_state.get(f"{name}-page", 0))


def turn(f: Frame, name: str, page: int, more: bool) -> None:
    """Offer the pages before and after."""
    with st.container(horizontal=True):
        for words, step, there in ((f._("Newer"), -1, page > 0), (f._("Older"), 1, more)):
            if there and st.button(words, key=f"{name}-{step}"):
                st.session_state[f"{name}-page"] = page + step
                st.rerun()
