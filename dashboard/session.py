"""Who is looking at a page: read from the session's cookie at every run, so that a refresh keeps the login."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlencode

import streamlit as st

from dashboard.access import COOKIE
from dashboard.data import Viewer, reads, viewer_of
from dashboard.markup import markup, show
from dashboard.wording.catalogue import ROLES, chosen, translator


def viewer() -> Viewer | None:
    """Return who is signed in on this browser, or None; raise psycopg.Error where the database is away."""
    token = st.context.cookies.get(COOKIE, "")
    return viewer_of(reads(), token) if token else None


def required(roles: Collection[str], page: str) -> Viewer:
    """Return who is signed in, one of these roles; anyone else is told why the page `/page` stays shut, and it ends.

    Where no roles are named, anyone who is signed in may.
    """
    lang = chosen(st.query_params.get("lang"))
    _ = translator(lang)
    who = viewer()
    if who is not None and (not roles or who.role in roles):
        return who
    onward = f"/{page}?{urlencode(dict(st.query_params))}"
    query = {"lang": lang, "next": onward}
    if who is None:
        st.info(_("Sign in to open this page."))
        way(_("Sign in"), f"/login?{urlencode(query)}", first=True)
    else:
        names = _(", ").join(_(ROLES[role]) for role in ROLES if role in roles)
        st.warning(
            _("This page is for: {roles}. You are signed in as {role}.").format(
                roles=names, role=_(ROLES[who.role])
            )
        )
        way(_("Sign in as someone else"), f"/login?{urlencode(query | {'as': 'other'})}")
    st.stop()


def way(label: str, address: str, *, first: bool = False) -> None:
    """Show a link that looks like a button and stays in its tab; Streamlit's own would leave an old page behind."""
    show(
        markup(
            '<a class="gw-way{first}" href="{address}">{label}</a>',
            first=" first" if first else "", address=address, label=label,
        )
    )  # fmt: skip
