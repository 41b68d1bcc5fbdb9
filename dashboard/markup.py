"""The one way to write HTML: what is put into markup is escaped, and only markup reaches a page or an answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Literal, LiteralString

import streamlit as st
from markupsafe import Markup
from starlette.responses import HTMLResponse

__all__ = ("Markup", "checked", "css_text", "html_response", "joined", "markup", "raw", "show")


def markup(template: LiteralString, **values: object) -> Markup:
    """Return a template of HTML with its fields filled in, each escaped unless it is Markup."""
    return Markup(template.format(**{name: _safe(value) for name, value in values.items()}))


def joined(parts: Iterable[str], between: str = "") -> Markup:
    """Return pieces one after the other, `between` among them; what is not Markup is escaped."""
    return Markup(_safe(between).join(_safe(part) for part in parts))


def raw(element: Literal["style", "script"], text: str) -> Markup:
    """Return a style sheet or a script of ours as an element, in which HTML escapes nothing.

    ValueError: the text would end its element, and what follows would be read as HTML.
    """
    if f"</{element}" in text.lower() or "<!--" in text:
        raise ValueError(f"a {element} must not hold what ends it")
    opened = Markup('<script type="module">' if element == "script" else "<style>")
    return opened + Markup(text) + markup("</{element}>", element=element)


def css_text(text: str) -> str:
    """Return a text as a string of CSS, quotes around it."""
    return '"' + "".join(f"\\{ord(c):x} " if c in '"\\<\n' else c for c in text) + '"'


def show(shown: Markup, width: Literal["stretch", "content"] = "stretch") -> None:
    """Show HTML where the page stands. TypeError: a text that nobody has escaped."""
    st.html(checked(shown), width=width)


def html_response(shown: Markup, status: int = 200, headers: Mapping[str, str] | None = None) -> HTMLResponse:
    """Return HTML as the answer to a request. TypeError: a text that nobody has escaped."""
    return HTMLResponse(checked(shown), status, headers)


def checked(shown: Markup) -> str:
    """Return markup as the text that it is. TypeError: a text that nobody has escaped."""
    if not isinstance(shown, Markup):
        raise TypeError("expected Markup: let dashboard.markup.markup() put the HTML together")
    return str(shown)


def _safe(value: object) -> str:
    # Half the time of the type's own way, which makes markup of every value: a list has a thousand of them.
    return value if isinstance(value, Markup) else escape(str(value))
