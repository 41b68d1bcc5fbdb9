"""The whistle board, `/whistles?area=`: each whistle as a row of clocks, live, with today's rates and an export."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import streamlit as st

from dashboard.components import component, words
from dashboard.data import Directory, whistles
from dashboard.frame import Frame, framed, headed
from dashboard.live.whistles import place, whistle_kind
from dashboard.pages import PLACES
from dashboard.widgets.export import download
from dashboard.wording.catalogue import pick, translator
from dashboard.wording.names import zone
from dispatch.intake.messages import show_number
from dispatch.rules.areas import Level, contains, level_of
from dispatch.rules.law import ASSIGNMENT_STATES


def page() -> None:
    """Show the whistles of the viewer's area, or of one of its towns."""
    with framed("whistles", tagged=True) as frame:
        _ = frame._
        with st.container(horizontal=True, vertical_alignment="center"):
            headed(frame, "whistles")
            area = _area(frame)
            only = st.segmented_control(
                _("Which"),
                ["all", "open"],
                format_func={"all": _("Today and open"), "open": _("Open only")}.__getitem__,
                default="all",
                key="only",
                bind="query-params",
                label_visibility="collapsed",
            )
            st.space("stretch")
            download(
                _("Export"),
                lambda: _rows(frame, area),
                _columns(frame),
                f"{_('Whistle board')} {datetime.now(zone()):%Y-%m-%d}",
                notes=(_("As of {at}").format(at=f"{datetime.now(zone()):%Y-%m-%d %H:%M}"),),
            )
        page_of_case = "workbench" if _opens("workbench", frame.who.role) else "incidents"
        language = "" if frame.lang == "zh" else "lang=en&"
        component("whistles")(
            key="whistles",
            data={
                "area": area,
                "lang": frame.lang,
                "only": only or "all",
                "zone": zone().key,
                "words": words("whistles", frame.lang),
                "severities": [_("extreme"), _("urgent"), _("pressing"), _("ordinary")],
                "link": f"/{page_of_case}?{language}id=",
            },
        )


def _opens(path: str, role: str) -> bool:
    return path in PLACES and PLACES[path].opens(role)


def _area(frame: Frame) -> str:
    """Ask for a town where the viewer's area has several; the address keeps it."""
    _, who, directory = frame._, frame.who, frame.directory
    if level_of(who.area) >= Level.TOWN:
        return who.area
    towns = [
        code for code, each in sorted(directory.areas.items()) if each.level == 3 and contains(who.area, code)
    ]

    def named(code: str) -> str:
        if code == "":
            return _("All towns")
        each = directory.areas[code]
        return pick(frame.lang, each.name, each.name_en)

    chosen: str = st.selectbox(
        _("Town"),
        ["", *towns],
        format_func=named,
        key="area",
        bind="query-params",
        width=260,
        label_visibility="collapsed",
    )
    return chosen or who.area


def _columns(frame: Frame) -> list[str]:
    _ = frame._
    return [
        _("Number"), _("Type"), _("Place"), _("Team"), _("Kind of whistle"), _("State"), _("Sent"), _("Answered"),
        _("On site"), _("Result reported"), _("Rating"), _("Answered in time"), _("On site in time"),
    ]  # fmt: skip


def _rows(frame: Frame, area: str) -> list[list[Any]]:
    now = datetime.now(UTC)
    board = whistles.board(frame.city, frame.who.actor, area, frame.directory.calendar.midnight(now), now)
    return [_cells(each, frame.directory, frame.lang) for each in board.rows]


def _cells(each: whistles.Whistle, directory: Directory, lang: str) -> list[Any]:
    _ = translator(lang)
    incident, part = each.incident, each.part
    kind, team = directory.types.get(incident.category), directory.teams.get(part.team_id)

    def in_time(name: str) -> str:
        clock = part.clocks.get(name)
        if clock is None or (clock.awaited and clock.state != "breached"):
            return ""
        return _("Yes") if clock.state == "met" else _("No")

    return [
        show_number(incident.number),
        incident.category if kind is None else pick(lang, kind.name, kind.name_en),
        place(incident.area_code, directory, lang),
        str(part.team_id) if team is None else pick(lang, team.name, team.name_en),
        whistle_kind(str(part.facts.get("whistle_kind", "")), _),
        ASSIGNMENT_STATES[part.state][0 if lang == "zh" else 1],
        part.sent_at,
        each.ended("pick_up"),
        each.ended("arrive"),
        each.done_at,
        each.rating,
        in_time("pick_up"),
        in_time("arrive"),
    ]
