"""The city's identity provider, where one is configured: whoever comes back from it is signed in here as well.

Streamlit keeps the conversation (OpenID Connect, `[auth]` in its secrets.toml); an account belongs to the provider's
subject that was given when it was made (`accounts add --subject`).
"""

from __future__ import annotations

import importlib.util
from functools import cache

import psycopg
import streamlit as st

from dashboard.components import component
from dashboard.components.inner import secrets_singleton
from dashboard.data import NotIn, reads, sign_in_as
from dashboard.wording.catalogue import translator


@cache
def configured() -> bool:
    """Tell whether an identity provider is configured and what speaks to it is installed."""
    return (
        importlib.util.find_spec("authlib") is not None
        and secrets_singleton.load_if_toml_exists()
        and "auth" in secrets_singleton
    )


def came_back() -> bool:
    """Tell whether the provider has named who is on this browser."""
    return configured() and bool(st.user.get("is_logged_in"))


def page() -> None:
    """Send the browser to the provider."""
    if configured() and not came_back():
        st.login()


def enter(lang: str) -> None:
    """Begin a session for whom the provider names, and hand it to the browser; say so where they have no account."""
    _ = translator(lang)
    if "provider-session" not in st.session_state:
        try:
            answer = sign_in_as(reads(), str(st.user.get("sub") or ""), st.context.ip_address or "")
        except psycopg.Error:
            st.error(_("The database does not answer. What you see may be old; try again in a moment."))
            return
        st.session_state["provider-session"] = None if isinstance(answer, NotIn) else answer[0]
    token = st.session_state["provider-session"]
    if token is None:
        st.warning(_("The identity provider knows you, but you have no account here. Ask the administrator."))
        st.button(_("Sign out"), on_click=st.logout)
        return
    # Over the page's own connection and then in a form's body: a session is never in an address.
    component("provider", style=False)(key="provider", data={"token": token})
