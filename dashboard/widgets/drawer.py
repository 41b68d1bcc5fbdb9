"""Shows the cases behind a number in a drawer of its own, with its own link and file; they count up to the number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from dashboard import address
from dashboard.data import Directory
from dashboard.widgets.export import download
from dashboard.wording import amounts
from dashboard.wording import names as naming
from dashboard.wording.catalogue import Translate, pick
from dispatch.figures.case_sets import CasePage, CaseRow
from dispatch.intake.messages import show_number
from dispatch.rules.law import STATES
from dispatch.rules.words import say

PARAMETER = "cases"  # of the address: the set that is open


def open_cases(key: str) -> None:
    """Open a set of cases: from now on the page's address names it."""
    address.choose(**{PARAMETER: key})
    st.session_state.pop("cases-page", None)


def close_cases() -> None:
    """Close the drawer, also in the address."""
    address.choose(**{PARAMETER: ""})


def drawer(
    title: str,
    read: Callable[[int], CasePage | None],
    every: Callable[[], Iterable[CaseRow]],
    directory: Directory,
    lang: str,
    _: Translate,
    notes: Sequence[str] = (),
    incidents: str = "/incidents",
) -> None:
    """Show a page of cases in a drawer on the right; `read` gives a page by its number, `every` all for a file."""

    @st.dialog(title, width="large", position="right", on_dismiss=close_cases)
    def shown() -> None:
        page = int(st.session_state.get("cases-page", 1))
        found = read(page)
        if found is None:
            st.warning(_("There is no such list of cases."))
            return
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{amounts.cases(found.total, _)}**", width="content")
            for note in notes:
                st.caption(note, width="content")
            st.space("stretch")
            download(
                _("Excel"),
                lambda: (_line(row, directory, lang, incidents) for row in every()),
                list(_columns(_).values()),
                title,
                key="cases-file",
                notes=notes,
            )
        if not found.total:
            st.info(_("No case stands behind this number."))
            return
        names = _columns(_)
        st.dataframe(
            [dict(zip(names, _line(row, directory, lang, incidents), strict=True)) for row in found.rows],
            column_config={
                "link": st.column_config.LinkColumn(names["link"], display_text=r"#(.*)$", width=170),
                "type": st.column_config.TextColumn(names["type"], width=190),
                "place": st.column_config.TextColumn(names["place"], width=170),
                "state": st.column_config.TextColumn(names["state"], width=80),
                "holder": st.column_config.TextColumn(names["holder"], width=190),
                "reported": st.column_config.TextColumn(names["reported"], width=130),
                "disposed": st.column_config.TextColumn(names["disposed"], width=130),
                "kept": st.column_config.TextColumn(names["kept"], width=90),
            },
            hide_index=True,
            height=min(35 * (len(found.rows) + 1) + 3, 36 * 18),
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            if found.pages > 1:
                if st.button(_("Newer"), key="cases-back", disabled=page <= 1):
                    st.session_state["cases-page"] = page - 1
                    st.rerun(scope="fragment")
                st.caption(_("page {n} of {m}").format(n=page, m=found.pages), width="content")
                if st.button(_("Older"), key="cases-on", disabled=page >= found.pages):
                    st.session_state["cases-page"] = page + 1
                    st.rerun(scope="fragment")
        st.caption(_("The link to this list is in the address bar; whoever opens it sees what they may see."))

    shown()


def _columns(_: Translate) -> dict[str, str]:
    return {
        "link": _("Number"),
        "type": _("Type"),
        "place": _("Place"),
        "state": _("State"),
        "holder": _("With"),
        "reported": _("Reported"),
        "disposed": _("Disposed"),
        "kept": _("In time"),
    }


def _line(row: CaseRow, directory: Directory, lang: str, incidents: str) -> list[Any]:
    late = row.overdue_since is not None and row.ended_at is None
    kept = {True: "✓", False: "✕", None: ""}[row.disposed_on_time]
    return [
        link(row.id, row.number, lang, incidents),
        pick(lang, row.category, row.category_en),
        naming.place(directory, row.area_code, lang),
        say(STATES[row.state], lang),
        naming.holder(directory, row.holder, lang),
        _time(row.reported_at),
        _time(row.disposed_at),
        "■" if late and row.disposed_at is None else kept,
    ]


def link(incident_id: int, number: int, lang: str, incidents: str = "/incidents") -> str:
    """Return the address of an incident's page; it ends in the number, for a column of links to show."""
    return f"{incidents}?{urlencode({'id': incident_id, 'lang': lang})}#{show_number(number)}"


def _time(at: datetime | None) -> str:
    return "" if at is None else f"{at.astimezone(naming.zone()):%Y-%m-%d %H:%M}"
