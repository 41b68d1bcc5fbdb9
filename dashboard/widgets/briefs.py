"""Offers the leaders' picture as files, built from what is on the screen when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from dashboard.frame import Frame
from dispatch.figures.briefing import make
from dispatch.figures.briefing.words import title
from dispatch.figures.overview import Overview

_KINDS = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "pdf": "application/pdf",
}


def buttons(f: Frame, picture: Overview, whole: Callable[[], Overview]) -> None:
    """Show the buttons that save the picture as Excel, and as a briefing of one page in PDF or in Word.

    `whole` returns it with everything that is read later, when a button is pressed.
    """

    def made(form: str, lang: str) -> bytes:
        return make(whole(), form, lang, f.directory.zone)

    labels = {"xlsx": f._("Excel"), "docx": f._("Word"), "pdf": f._("One-page PDF")}
    for form, kind in _KINDS.items():
        st.download_button(
            labels[form],
            partial(made, form, f.lang),
            f"{title(picture, f.lang)}.{form}",
            kind,
            key=f"brief-{form}",
            on_click="ignore",
            type="primary" if form == "pdf" else "secondary",
        )
