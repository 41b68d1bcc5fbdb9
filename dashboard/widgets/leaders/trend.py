"""Draw the charts of the leaders' figures, in which a press on a point opens its cases."""

from __future__ import annotations

import streamlit as st

from dashboard.frame import Frame
from dashboard.markup import Markup, joined
from dashboard.widgets import boards, charts
from dashboard.widgets.drawer import open_cases
from dashboard.wording import amounts
from dispatch.figures.briefing import words as spoken
from dispatch.figures.overview import Overview, TrendPoint


def chart(f: Frame, figure: charts.Figure, name: str) -> None:
    """Show a figure; a press on a point opens its cases. After that it is drawn anew, so that nothing stays chosen."""
    turn = st.session_state.setdefault(f"turn-{name}", 0)
    key = f"chart-{name}-{turn}"

    def selected() -> None:
        points = st.session_state[key]["selection"]["points"]
        cases = points[0].get("customdata") if points else None
        if isinstance(cases, list):
            cases = cases[0] if cases else None
        if cases:
            st.session_state[f"turn-{name}"] = turn + 1
            open_cases(str(cases))

    st.plotly_chart(
        figure,
        key=key,
        theme=None,
        on_select=selected,
        selection_mode="points",
        config={"displayModeBar": False},
    )


def trend_of(f: Frame, picture: Overview) -> charts.Figure:
    """Return the trend of on-time disposal, day by day, as a figure."""
    _ = f._
    days = []
    named = _named(picture)
    for point in picture.trend:
        reading = point.on_time
        counts = f"{reading.credited.count:,} / {reading.base.count:,}" if reading.base is not None else ""
        lines = [f"{point.day:%m-%d} {amounts.rate(reading.value, _)}　{counts}"]
        if point.usual is not None:
            lines.append(
                _("usual {low} to {high}").format(
                    low=amounts.rate(point.usual[0], _), high=amounts.rate(point.usual[1], _)
                )
            )
        if point.year_ago.value is not None:
            lines.append(_("a year ago {rate}").format(rate=amounts.rate(point.year_ago.value, _)))
        missed = reading.missed
        cases = missed.cases if missed is not None and missed.count else point.reported.cases
        label = (
            f"{spoken.day_of(point.day, f.lang)} {amounts.rate(reading.value, _)}" if point in named else ""
        )
        days.append(
            charts.Day(
                point.day, boards.known(reading.value), boards.known(point.year_ago.value),
                None if point.usual is None else (float(point.usual[0]), float(point.usual[1])),
                joined(lines, Markup("<br>")), cases.key, label,
            )
        )  # fmt: skip
    words = {"usual": _("usual"), "year_ago": _("a year ago"), "now": _("this period")}
    return charts.trend(days, words)


def _named(picture: Overview) -> list[TrendPoint]:
    """Return the days of a trend that are named in it: the lowest, and the highest where there is one alone."""
    known = [point for point in picture.trend if point.on_time.value is not None]
    found = [] if picture.lowest is None else [picture.lowest.point]
    best = max((point.on_time.value for point in known if point.on_time.value is not None), default=None)
    highest = [point for point in known if point.on_time.value == best]
    return found + (highest if len(highest) == 1 and highest != found else [])
