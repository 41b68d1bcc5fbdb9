"""Choose the area and the period of the leaders' figures, which the address names."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import cast

import streamlit as st

from dashboard import address
from dashboard.data import leaders as data
from dashboard.frame import Frame
from dashboard.widgets import briefs
from dashboard.wording import names
from dispatch.figures.briefing import words as spoken
from dispatch.figures.overview import Overview
from dispatch.rules.areas import Level, prefix_of
from dispatch.rules.time.period import EARLIEST, FIXED, KINDS, LONGEST, Kind, Period, PeriodError
from dispatch.rules.words import say


def area_of(f: Frame) -> str:
    """Return the area of the address; the viewer's own where it names none."""
    own = f.who.area if f.who.role != "auditor" else _city(f)
    area = st.query_params.get("area", own)
    known = area in f.directory.areas and f.directory.areas[area].level <= Level.VILLAGE
    return area if known else own


def period_of(today: date) -> Period | PeriodError:
    """Return the period of the address, or why its free days are none; the last whole month where it names none."""
    query = st.query_params
    if query.get("kind") == "free":
        try:
            return Period.between(query.get("from", ""), query.get("to", ""), today)
        except PeriodError as fault:
            return fault
    kind = cast(Kind, query.get("kind")) if query.get("kind") in FIXED else "month"
    try:
        period = Period.holding(kind, date.fromisoformat(query.get("day", "")))
    except (ValueError, OverflowError):
        period = Period.holding(kind, today).before
    return period if EARLIEST <= period.first <= today else Period.holding(kind, today)


def no_period(f: Frame, fault: PeriodError) -> str:
    """Say in words why two days are no period, and what to choose instead."""
    _ = f._
    return {
        "unreadable": _("The address names no two days: choose a first and a last day above."),
        "reversed": _("The last day lies before the first: choose them the other way round."),
        "ahead": _("The last day has not come: choose days up to today."),
        "old": _("Nothing is kept of days before {first}: choose later ones.").format(first=EARLIEST),
        "long": _("These are more than {n} days: choose fewer, so that last year’s are other days.").format(
            n=LONGEST
        ),
    }[fault.why]


def _city(f: Frame) -> str:
    return next((code for code, area in f.directory.areas.items() if area.level == Level.CITY), f.who.area)


def _choices(f: Frame, area: str) -> list[str]:
    """Return the areas to choose from: the viewer's own and those below, villages only inside one town."""
    top = _city(f) if f.who.role == "auditor" else f.who.area
    below = prefix_of(top)
    found = []
    town, village = int(Level.TOWN), int(Level.VILLAGE)
    for code, each in f.directory.areas.items():
        # Nineteen in twenty lie deeper than anything that is chosen here.
        if each.level > village or not code.startswith(below):
            continue
        if each.level <= town or area[:9] == code[:9] or len(below) >= 9:
            found.append(code)
    return sorted(found, key=lambda c: (c != top, prefix_of(c), c))


def head(f: Frame, area: str, period: Period | None, today: date, picture: Overview | None = None) -> None:
    """Show what is looked at and the choice of another; without a period the days to choose one."""
    _ = f._
    kind: Kind = period.kind if period is not None else "free"

    def moved(key: str) -> None:
        if value := st.session_state.get(key):
            address.choose(area=str(value))

    def other_kind(key: str) -> None:
        value = cast(Kind, st.session_state[key])
        last = min(today, today if period is None else period.until - timedelta(days=1))
        if value == "free":
            turned(
                Period("free", Period.holding("month", last).first if period is None else period.first, last)
            )
        else:
            turned(Period.holding(value, last))

    with st.container(horizontal=True, vertical_alignment="center", key="gw-head"):
        st.markdown("### " + _("Leaders' figures"), width="content")
        choices = _choices(f, area)
        if area not in choices:
            choices.insert(0, area)
        key = f"area-{area}"
        st.selectbox(
            _("Area"), choices, choices.index(area),
            format_func=lambda code: names.place(f.directory, code, f.lang),
            key=key, on_change=moved, args=(key,), label_visibility="collapsed", width=180,
        )  # fmt: skip
        key = f"kind-{kind}"
        st.segmented_control(
            _("Period"), list(KINDS), default=kind,
            format_func=lambda k: say(KINDS[k], f.lang),
            key=key, on_change=other_kind, args=(key,), label_visibility="collapsed", required=True,
        )  # fmt: skip
        if period is None or kind == "free":
            _days(f, period, today)
        else:
            _turning(f, period, today)
        if picture is not None:
            st.space("stretch")
            briefs.buttons(f, picture, lambda: data.timed(f.city, f.who.actor, picture, datetime.now(UTC)))


def turned(to: Period) -> None:
    """Turn the page to another period, which its address then names."""
    if to.kind == "free":
        _choose_days(str(to.first), str(to.until - timedelta(days=1)))
    else:
        address.choose(**{"kind": to.kind, "day": str(to.first), "from": "", "to": ""})


def _choose_days(first: str, last: str) -> None:
    address.choose(**{"kind": "free", "day": "", "from": first, "to": last})


def _turning(f: Frame, period: Period, today: date) -> None:
    """Show the period between the way to the one before and the one after."""
    st.button("‹", key="gw-before", on_click=turned, args=(period.before,), help=f._("The period before"))
    st.markdown(f"**{spoken.name_of(period, f.lang)}**", width="content")
    following = Period.holding(period.kind, period.until)
    st.button(
        "›", key="gw-after", on_click=turned, args=(following,), disabled=following.first > today,
        help=f._("The period after"),
    )  # fmt: skip


def _days(f: Frame, period: Period | None, today: date) -> None:
    """Show the first and the last day of a free period, to be chosen; what is no period stays chosen and is told."""
    first, last = (
        (period.first, period.until - timedelta(days=1))
        if period is not None
        else (_day(st.query_params.get("from", ""), today), _day(st.query_params.get("to", ""), today))
    )

    def chosen() -> None:
        _choose_days(*(str(st.session_state[key]) for key in keys))

    keys = tuple(f"{end}-{first}-{last}" for end in ("from", "to"))
    for key, words, value in zip(keys, (f._("First day"), f._("Last day")), (first, last), strict=True):
        st.date_input(
            words, value, EARLIEST, today, key=key, on_change=chosen, format="YYYY-MM-DD",
            label_visibility="collapsed", width=132,
        )  # fmt: skip


def _day(text: str, today: date) -> date:
    try:
        return min(today, max(EARLIEST, date.fromisoformat(text)))
    except ValueError:
        return today
