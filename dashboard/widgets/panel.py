"""Cards of figures as markup, in which every number that can be opened is a button that answers with its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from dashboard.components import component
from dashboard.markup import Markup, checked, markup, show


def title(words: str, note: str) -> None:
    """Show the name of a card, and beside it how it is to be read."""
    show(
        markup(
            '<div class="gw-title"><b>{words}</b> <span class="gw-muted">{note}</span></div>',
            words=words,
            note=note,
        )
    )


def opens(what: str, text: Any, style: str = "u", title: str = "") -> Markup:
    """Return a text that can be pressed; `panel` then answers with `what`."""
    hint = markup(' title="{title}"', title=title) if title else ""
    return markup(
        '<button type="button" class="{style}" data-open="{what}"{hint}>{text}</button>',
        style=style, what=what, text=text, hint=hint,
    )  # fmt: skip


def panel(html: Markup, key: str, opened: Callable[[str], None] | None = None) -> str | None:
    """Show a card; return the name of what was pressed in it in this run, or None.

    `opened` is called with that name before the page runs again, so that the whole page already knows of it.
    TypeError: a text that nobody has escaped.
    """

    def pressed() -> None:
        what = st.session_state[key].open
        if what is not None and opened is not None:
            opened(str(what))

    result = component("panel", host="gw-panel")(
        key=key, data={"html": checked(html)}, on_open_change=pressed
    )
    return None if result.open is None else str(result.open)
