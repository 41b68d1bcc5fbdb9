"""Leaders' figures: what is red now, whether the period got better, where and whom, and where in the chain.

Every number opens its cases; what was published elsewhere never shares a frame with what is computed here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import streamlit as st

from dashboard import address
from dashboard.casework import supervise
from dashboard.casework.act import is_open
from dashboard.components.inner import DeltaGenerator
from dashboard.data import leaders as data
from dashboard.frame import Frame, alone, framed
from dashboard.widgets import boards, charts
from dashboard.widgets.drawer import open_cases
from dashboard.widgets.leaders.cases import open_named, repeats
from dashboard.widgets.leaders.choice import area_of, head, no_period, period_of
from dashboard.widgets.leaders.late_map import late_map
from dashboard.widgets.leaders.present import present, say
from dashboard.widgets.leaders.stages import stages
from dashboard.widgets.leaders.trend import chart, trend_of
from dashboard.widgets.panel import panel, title
from dashboard.wording import amounts, names
from dispatch.figures.overview import Overview
from dispatch.rules.areas import Level, level_of
from dispatch.rules.time.period import PeriodError

TIMES_PX = 236  # of the card of the stages' times, while they are read
ALL = "all"


def page() -> None:
    """Show the figures of `?area=` in the period of `?kind=` and `?day=`, and the cases of `?cases=`."""
    with framed("leaders") as f:
        now = datetime.now(UTC)
        today = now.astimezone(names.zone()).date()
        area = area_of(f)
        period = period_of(today)
        if isinstance(period, PeriodError):
            head(f, area, None, today)
            st.error(no_period(f, period))
            return
        picture = data.picture(f.city, f.who.actor, area, period, now)
        if picture is None:
            st.warning(f._("There is no such area."))
            return
        head(f, area, period, today, picture)
        with st.container(border=True, key="gw-card-now", horizontal=True, vertical_alignment="center"):
            with st.container():
                present(f, area)
            supervise.button(f, area)
        say(f, picture, today)
        if not picture.figure("reported").now.credited.count:
            st.info(f._("Nothing was reported in this period. What is under way stands above."))
        with st.container(border=True, key="gw-card-six"):
            panel(
                boards.six(picture, period.until <= today, f.lang, f._),
                "leaders-six",
                open_cases,
            )
        _first_row(f, picture)
        slot = _second_row(f, picture)
        _second_screen(f, picture)
        _times(f, slot, lambda: data.timed(f.city, f.who.actor, picture, now))
        if not is_open("supervise"):
            open_named(f, picture)


# ---- trend, ranking, headline figures --------------------------------------------------------------------------


def _first_row(f: Frame, picture: Overview) -> None:
    # Below the city nothing is published: its place is better spent.
    quoted = bool(picture.published) or level_of(picture.area.code) is Level.CITY
    trend, ranking, *headline = st.columns([54, 49, 34] if quoted else [66, 71], gap="small")
    with trend.container(border=True, height="stretch", key="gw-card-trend"):
        title(
            f._("On-time disposal, day by day"),
            f._("band: P10 to P90 of the weekday, 12 weeks"),
        )
        chart(f, trend_of(f, picture), "trend")
        panel(boards.lowest(picture, f.lang, f._), "leaders-lowest", open_cases)
    with ranking.container(border=True, height="stretch", key="gw-card-ranking"):
        whole = st.query_params.get(ALL) == "1"
        panel(boards.ranking(picture, whole, f.who.area, f.lang, f._), "leaders-ranking", _pressed)
    if headline:
        with headline[0]:
            panel(boards.headline(picture.published, f.lang, f._), "leaders-headline")


# ---- areas of work, the chain, times ---------------------------------------------------------------------------


def _second_row(f: Frame, picture: Overview) -> DeltaGenerator:
    """Show areas of work and the chain; return the place of the stages' times, which take longest to read."""
    themes, funnel, times = st.columns([58, 40, 39], gap="small")
    with themes.container(border=True, height="stretch", key="gw-card-themes"):
        panel(boards.themes(picture, f.lang, f._), "leaders-themes", open_cases)
    with funnel.container(border=True, height="stretch", key="gw-card-funnel"):
        panel(boards.funnel(picture, f.lang, f._), "leaders-funnel", open_cases)
    with times.container(border=True, height="stretch", key="gw-card-times"):
        slot = st.empty()
        with slot:
            st.skeleton(height=TIMES_PX)
    return slot


def _times(f: Frame, slot: DeltaGenerator, picture: Callable[[], Overview]) -> None:
    """Fill the card of the stages' times, which is read last; `picture` reads it."""
    with slot, alone(f):
        panel(stages(picture().stages, f.lang, f._), "leaders-times")


# ---- second screen ---------------------------------------------------------------------------------------------


def _second_screen(f: Frame, picture: Overview) -> None:
    _ = f._
    left, right = st.columns([58, 79], gap="small")
    with left.container(border=True, height="stretch", key="gw-card-left"):
        title(
            _("Where it is late"),
            _("share of what was due that was not disposed of in time; schematic, no boundary"),
        )
        with alone(f):
            shapes = (
                data.outline(f.city, f.who.actor, picture.area.code, int(level_of(picture.places[0].code)))
                if picture.places
                else None
            )
            panel(late_map(picture, shapes, f.lang, _), "leaders-map", open_cases)
    with right.container(border=True, height="stretch", key="gw-card-right"):
        days = [_("Mon"), _("Tue"), _("Wed"), _("Thu"), _("Fri"), _("Sat"), _("Sun")]
        title(_("When it is reported"), _("reports by weekday and hour of the city's clock"))
        counts = [[cell.count for cell in row] for row in picture.heat]
        keys = [[cell.cases.key for cell in row] for row in picture.heat]
        hover = _("%{y} from %{x} o'clock: %{z} reports")
        chart(f, charts.heat(counts, keys, days, hover, 214), "heat")
        title(_("The last months"), _("on-time disposal; the axis does not begin at 0"))
        rows = [
            (
                f"{p.month:%Y-%m}", boards.known(p.on_time.value),
                f"{p.month:%Y-%m} {amounts.rate(p.on_time.value, _)}　{p.on_time.credited.count:,} / "
                f"{p.on_time.base.count if p.on_time.base else 0:,}",
                p.reported.cases.key,
            )
            for p in picture.months
        ]  # fmt: skip
        chart(f, charts.months(rows, 180), "months")
    with st.container(border=True, key="gw-card-repeats"), alone(f):
        panel(repeats(f, picture), "leaders-repeats", open_cases)


# ---- opening ---------------------------------------------------------------------------------------------------


def _pressed(what: str) -> None:
    """Follow a press in the ranking: another area, all of the ranking, or a set of cases."""
    if what in ("@all", "@ends"):
        address.choose(**{ALL: "1" if what == "@all" else ""})
    elif what.startswith("@area~"):
        address.choose(**{"area": what.removeprefix("@area~"), ALL: ""})
    else:
        open_cases(what)
