"""Cards of figures as markup, in which every number that can be opened is a button that answers with its name."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import streamlit as st

from dashboard.components import component


class Markup(str):
    """Text that is markup already; anything else is escaped where it is put into markup."""

    __slots__ = ()


def markup(template: str, **values: Any) -> Markup:
    """Return a template of markup with its fields filled in, each escaped unless it is Markup."""
    return Markup(template.format(**{name: safe(value) for name, value in values.items()}))


def safe(value: Any) -> Markup:
    """Return a value as markup: escaped, unless it is Markup."""
    return value if isinstance(value, Markup) else Markup(escape(str(value)))


def joined(parts: list[Markup] | tuple[Markup, ...], between: str = "") -> Markup:
    """Return pieces of markup one after the other."""
    return Markup(safe(between).join(parts))


def opens(what: str, text: Any, style: str = "u", title: str = "") -> Markup:
    """Return a text that can be pressed; `panel` then answers with `what`."""
    hint = markup(' title="{title}"', title=title) if title else ""
    return markup(
        '<button type="button" class="{style}" data-open="{what}"{hint}>{text}</button>',
        style=style, what=what, text=text, hint=hint if hint else Markup(""),
    )  # fmt: skip


def panel(html: Markup, key: str, opened: Callable[[str], None] | None = None) -> str | None:
    """Show a card; return the name of what was pressed in it in this run, or None.

    `opened` is called with that name before the page runs again, so that the whole page already knows of it.
    """

    def pressed() -> None:
        what = st.session_state[key].open
        if what is not None and opened is not None:
            opened(str(what))

    result = component("panel", host="gw-panel")(key=key, data={"html": str(html)}, on_open_change=pressed)
    return None if result.open is None else str(result.open)
