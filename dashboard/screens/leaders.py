"""Leaders' figures: what is red now, whether the period got better, where and whom, and where in the chain.

Every number opens its cases; what was published elsewhere never shares a frame with what is computed here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

import psycopg
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import address
from dashboard.casework import supervise
from dashboard.casework.act import is_open
from dashboard.data import leaders as data
from dashboard.frame import Frame, alone, away, framed
from dashboard.widgets import boards, briefs, charts
from dashboard.widgets.drawer import PARAMETER, drawer, open_cases
from dashboard.widgets.panel import Markup, joined, markup, opens, panel
from dashboard.wording import amounts
from dashboard.wording import names as told
from dashboard.wording.catalogue import pick
from dispatch.figures.briefing import words as spoken
from dispatch.figures.case_sets import CasePage, CaseSet
from dispatch.figures.overview import STAGES, Overview, TrendPoint
from dispatch.rules.areas import Level, level_of, prefix_of
from dispatch.rules.time.period import EARLIEST, FIXED, KINDS, LONGEST, Kind, Period, PeriodError
from dispatch.rules.wartime import LEVELS

NOW_EVERY_S = 10.0
TIMES_PX = 236  # of the card of the stages' times, while they are read
PLACE = "place"  # a set of cases that is a place's reports
ALL = "all"


def page() -> None:
    """Show the figures of `?area=` in the period of `?kind=` and `?day=`, and the cases of `?cases=`."""
    with framed("leaders") as f:
        now = datetime.now(UTC)
        today = now.astimezone(told.zone()).date()
        area = _area(f)
        period = _period(today)
        if isinstance(period, PeriodError):
            _head(f, area, None, today)
            st.error(_no_period(f, period))
            return
        picture = data.picture(f.door, f.who.actor, area, period, now)
        if picture is None:
            st.warning(f._("There is no such area."))
            return
        _head(f, area, period, today, picture)
        with st.container(border=True, key="gw-card-now", horizontal=True, vertical_alignment="center"):
            with st.container():
                _now(f, area)
            supervise.button(f, area)
        _say(f, picture, today)
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
        _times(f, slot, lambda: data.timed(f.door, f.who.actor, picture, now))
        _open(f, picture)


# ---- which area and period -------------------------------------------------------------------------------------


def _area(f: Frame) -> str:
    """Return the area of the address; the viewer's own where it names none."""
    own = f.who.area if f.who.role != "auditor" else _city(f)
    area = st.query_params.get("area", own)
    known = area in f.directory.areas and f.directory.areas[area].level <= Level.VILLAGE
    return area if known else own


def _period(today: date) -> Period | PeriodError:
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


def _no_period(f: Frame, fault: PeriodError) -> str:
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


def _head(f: Frame, area: str, period: Period | None, today: date, picture: Overview | None = None) -> None:
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
            format_func=lambda code: told.place(f.directory, code, f.lang),
            key=key, on_change=moved, args=(key,), label_visibility="collapsed", width=180,
        )  # fmt: skip
        key = f"kind-{kind}"
        st.segmented_control(
            _("Period"), list(KINDS), default=kind,
            format_func=lambda k: KINDS[k][0 if f.lang == "zh" else 1],
            key=key, on_change=other_kind, args=(key,), label_visibility="collapsed", required=True,
        )  # fmt: skip
        if period is None or kind == "free":
            _days(f, period, today)
        else:
            _turning(f, period, today)
        if picture is not None:
            st.space("stretch")
            briefs.buttons(f, picture, lambda: data.timed(f.door, f.who.actor, picture, datetime.now(UTC)))


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


def _against(f: Frame, picture: Overview) -> Markup:
    """Return what the period is compared with, in words; pointed at, it says the days."""
    before, year_ago = picture.compared
    return markup(
        '<span class="gw-muted" title="{days}">{t}</span>',
        t=f._("against {before} and a year ago").format(before=spoken.before_of(picture, f.lang)),
        days=f"{spoken.name_of(before, f.lang)}, {spoken.name_of(year_ago, f.lang)}",
    )


def _standing(f: Frame, picture: Overview, today: date) -> Markup:
    """Return the tags that say how far the period has come: frozen, not over, not counted."""
    _ = f._
    tags = []
    if picture.judged is not None and picture.judged.frozen:
        words = _("Scores frozen {at} · rules {n}").format(
            at=told.moment(picture.judged.as_of), n=picture.judged.rules_version
        )
        tags.append(markup('<span class="gw-tag green">{t}</span>', t=words))
    if picture.period.until > today:
        tags.append(markup('<span class="gw-tag yellow">{t}</span>', t=_("The period is not over")))
    if picture.counted_at is None:
        tags.append(markup('<span class="gw-tag yellow">{t}</span>', t=_("Not counted yet")))
    return joined(tags, " ")


def _moving(f: Frame, picture: Overview) -> Markup:
    """Return the tag that says how many cases can still move the picture; scores freeze, it follows its cases."""
    if not picture.open.count:
        return Markup("")
    _ = f._
    frozen = picture.judged is not None and picture.judged.frozen
    words = (
        _("{n} still open: they move these figures, not the scores")
        if frozen
        else _("Provisional: {n} cases can still change it")
    ).format(n=amounts.count(picture.open.count))
    number = opens(picture.open.cases.key, words)
    return markup('<span class="gw-tag {tone}">{t}</span>', tone="" if frozen else "yellow", t=number)


# ---- what is so now, and the sentence --------------------------------------------------------------------------


@st.fragment(run_every=NOW_EVERY_S)
def _now(f: Frame, area: str) -> None:
    """Show the present, which is live whatever the period; it reads by itself."""
    _ = f._
    try:
        found = data.present(f.door, f.who.actor, area, datetime.now(UTC))
    except psycopg.Error:
        away(f.lang)  # read anew by itself, outside the page's own frame
        return
    if found is None:
        return
    parts = [
        markup(
            '<div><span class="m2">{now} {at}</span></div>',
            now=_("Now"), at=f"{found.at.astimezone(told.zone()):%H:%M:%S}",
        )
    ]  # fmt: skip
    holders = _(", ").join(f"{told.holder(f.directory, key, f.lang)} {n}" for key, n in found.holders)
    red = markup(
        '<b class="{tone}">{n}</b>', tone="red" if found.overdue.count else "", n=found.overdue.count
    )
    parts.append(
        markup(
            '<div class="long"><span class="gw-light {light}"></span>{words} {n}{whose}</div>',
            light="red" if found.overdue.count else "green", words=_("Past a limit"),
            n=opens(found.overdue.cases.key, red),
            whose=markup('<span class="whose" title="{w}">{w}</span>', w=_("with whom: {names}").format(names=holders))
            if holders else "",
        )
    )  # fmt: skip
    for counted, words, light in (
        (found.whistles_late, _("Whistled, not there in 30 minutes"), "red"),
        (found.raised, _("Raised, in hand"), "yellow"),
    ):
        number = markup(
            '<b class="{tone}">{n}</b>',
            tone=light if counted.count and light == "red" else "",
            n=counted.count,
        )
        parts.append(
            markup(
                '<div><span class="gw-light {light}"></span>{words} {n}</div>',
                light=light if counted.count else "green", words=words, n=opens(counted.cases.key, number),
            )
        )  # fmt: skip
    war = _("none")
    if found.wartime:
        first = found.wartime[0]
        war = _("{level}, {place}").format(
            level=pick(f.lang, *LEVELS[first.level]), place=told.area(f.directory, first.area_code, f.lang)
        )
    parts.append(
        markup("<div>{words} <b style='font-size:14px'>{war}</b></div>", words=_("Wartime now"), war=war)
    )
    if panel(markup('<div class="gw-now">{parts}</div>', parts=joined(parts)), "leaders-now", open_cases):
        st.rerun()


def _say(f: Frame, picture: Overview, today: date) -> None:
    """Say in a sentence how the period went, and beside it against what, and how far it has come."""
    clauses = spoken.clauses(picture, f.lang)
    pieces: list[Markup] = []
    for n, clause in enumerate(clauses):
        text = opens(clause.cases.key, clause.text, "") if clause.cases is not None else clause.text
        if n == 0:
            # The figure and how it moved come first, and are read first.
            text = markup("<b>{first}</b>", first=text)
        pieces.append(markup("{joint}{text}", joint=clause.joint(f.lang) if n else "", text=text))
    panel(
        markup(
            '<p class="gw-say">{all}{end} {beside}</p>',
            all=joined(pieces), end="。" if f.lang == "zh" else ".",
            beside=joined([_against(f, picture), _standing(f, picture, today), _moving(f, picture)], " "),
        ),
        "leaders-say",
        open_cases,
    )  # fmt: skip


# ---- trend, ranking, headline figures --------------------------------------------------------------------------


def _first_row(f: Frame, picture: Overview) -> None:
    # Below the city nothing is published: its place is better spent.
    quoted = bool(picture.published) or level_of(picture.area.code) is Level.CITY
    trend, ranking, *headline = st.columns([54, 49, 34] if quoted else [66, 71], gap="small")
    with trend.container(border=True, height="stretch", key="gw-card-trend"):
        _title(
            f._("On-time disposal, day by day"),
            f._("band: P10 to P90 of the weekday, 12 weeks"),
        )
        _chart(f, _trend(f, picture), "trend")
        panel(boards.lowest(picture, f.lang, f._), "leaders-lowest", open_cases)
    with ranking.container(border=True, height="stretch", key="gw-card-ranking"):
        whole = st.query_params.get(ALL) == "1"
        panel(boards.ranking(picture, whole, f.who.area, f.lang, f._), "leaders-ranking", _pressed)
    if headline:
        with headline[0]:
            panel(boards.headline(picture.published, f.lang, f._), "leaders-headline")


def _title(words: str, note: str) -> None:
    st.html(
        markup(
            '<div class="gw-title"><b>{words}</b> <span class="gw-muted">{note}</span></div>',
            words=words,
            note=note,
        )
    )


def _chart(f: Frame, figure: charts.Figure, name: str) -> None:
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


def _trend(f: Frame, picture: Overview) -> charts.Figure:
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
                "<br>".join(lines), cases.key, label,
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
        panel(boards.stages(picture().stages, f.lang, f._), "leaders-times")


# ---- second screen ---------------------------------------------------------------------------------------------


def _second_screen(f: Frame, picture: Overview) -> None:
    _ = f._
    left, right = st.columns([58, 79], gap="small")
    with left.container(border=True, height="stretch", key="gw-card-left"):
        _title(
            _("Where it is late"),
            _("share of what was due that was not disposed of in time; schematic, no boundary"),
        )
        with alone(f):
            shapes = (
                data.outline(f.door, f.who.actor, picture.area.code, int(level_of(picture.places[0].code)))
                if picture.places
                else None
            )
            panel(boards.late_map(picture, shapes, f.lang, _), "leaders-map", open_cases)
    with right.container(border=True, height="stretch", key="gw-card-right"):
        days = [_("Mon"), _("Tue"), _("Wed"), _("Thu"), _("Fri"), _("Sat"), _("Sun")]
        _title(_("When it is reported"), _("reports by weekday and hour of the city's clock"))
        counts = [[cell.count for cell in row] for row in picture.heat]
        keys = [[cell.cases.key for cell in row] for row in picture.heat]
        hover = _("%{y} from %{x} o'clock: %{z} reports")
        _chart(f, charts.heat(counts, keys, days, hover, 214), "heat")
        _title(_("The last months"), _("on-time disposal; the axis does not begin at 0"))
        rows = [
            (
                f"{p.month:%Y-%m}", boards.known(p.on_time.value),
                f"{p.month:%Y-%m} {amounts.rate(p.on_time.value, _)}　{p.on_time.credited.count:,} / "
                f"{p.on_time.base.count if p.on_time.base else 0:,}",
                p.reported.cases.key,
            )
            for p in picture.months
        ]  # fmt: skip
        _chart(f, charts.months(rows, 180), "months")
    with st.container(border=True, key="gw-card-repeats"), alone(f):
        panel(_repeats(f, picture), "leaders-repeats", open_cases)


def _repeats(f: Frame, picture: Overview) -> Markup:
    _ = f._
    found = data.repeats(f.door, f.who.actor, picture.area.code, picture.period)
    head = markup(
        "<h2>{title} <span class='m'>{note}</span></h2>", title=_("Reported again and again"),
        note=_("the same kind from the same place, {n} times or more in the period").format(n=data.REPEATED_LEAST),
    )  # fmt: skip
    if not found:
        return markup("{head}<p class='m'>{t}</p>", head=head, t=_("No place was reported so often."))
    rows = []
    for each in found:
        kind = f.directory.types.get(each.category)
        rows.append(
            markup(
                "<tr><td>{kind}</td><td>{place}</td><td class='r'>{n}</td><td class='r m2'>{open}</td>"
                "<td class='r m2'>{at}</td></tr>",
                kind=each.category if kind is None else pick(f.lang, kind.name, kind.name_en),
                place=told.place(f.directory, each.area_code, f.lang),
                n=opens(f"{PLACE}~{each.place}", each.reports),
                open=each.open, at=told.moment(each.last_at),
            )
        )  # fmt: skip
    return markup(
        "{head}<table><tr><th>{a}</th><th>{b}</th><th class='r'>{c}</th><th class='r'>{d}</th>"
        "<th class='r'>{e}</th></tr>{rows}</table>",
        head=head, a=_("Type"), b=_("Place"), c=_("reported"), d=_("still open"), e=_("last"),
        rows=joined(rows),
    )  # fmt: skip


# ---- opening ---------------------------------------------------------------------------------------------------


def _pressed(what: str) -> None:
    """Follow a press in the ranking: another area, all of the ranking, or a set of cases."""
    if what in ("@all", "@ends"):
        address.choose(**{ALL: "1" if what == "@all" else ""})
    elif what.startswith("@area~"):
        address.choose(**{"area": what.removeprefix("@area~"), ALL: ""})
    else:
        open_cases(what)


def _open(f: Frame, picture: Overview) -> None:
    """Open the cases that the address names."""
    key = st.query_params.get(PARAMETER, "")
    if not key or is_open("supervise"):
        return
    _, actor = f._, f.who.actor
    kind, _mark, place = key.partition("~")
    if kind == PLACE and place.lstrip("-").isdigit() and len(place) < 20:
        area, period = picture.area.code, picture.period

        def read(page: int) -> Any:
            return data.at_place(f.door, actor, area, period, int(place))

        drawer(
            _("Reported again and again"), read, lambda: (read(1) or _NOTHING).rows, f.directory, f.lang, _,
            (spoken.name_of(period, f.lang),),
        )  # fmt: skip
        return
    try:
        wanted = CaseSet.parse(key)
    except ValueError:
        st.warning(_("There is no such list of cases."))
        return
    drawer(
        _set_name(f, wanted), lambda page: data.cases(f.door, actor, wanted, page),
        lambda: data.every_case(f.door, actor, wanted), f.directory, f.lang, _, _bounds(f, wanted, picture),
    )  # fmt: skip


_NOTHING = CasePage((), 0, 1, 1)


def _set_name(f: Frame, wanted: CaseSet) -> str:
    """Return what is true of a set's cases, in words."""
    _ = f._
    names = {
        "reported": _("Reported"), "rejected": _("Not accepted"), "merged": _("Merged"),
        "accepted": _("Accepted"),
        "dispatched": _("Dispatched"), "picked_up": _("Picked up"), "arrived": _("Arrived"),
        "disposed": _("Disposed of"),
        "verified": _("Checked"), "closed": _("Closed"), "due": _("Due for disposal"),
        "on_time": _("Disposed of in time"),
        "overdue": _("Overdue, not disposed of"), "pending": _("Inside the limit"), "open": _("Still open"),
        "close_due": _("Due for closing"), "close_on_time": _("Closed in time"),
        "whistled": _("With a whistle"),
        "whistle_due": _("Whistles due on site"), "on_site": _("On site within 30 minutes"),
        "disputes": _("Disputes"),
        "settled": _("Disputes settled"), "reworked": _("Reworked"), "in_grid": _("Solved in one grid"),
        "rated": _("Rated"),
        "pleased": _("Satisfied or mostly satisfied"), "displeased": _("Not satisfied"),
        "late": _("Not disposed of in time"),
        "close_late": _("Not closed in time"), "not_on_site": _("Not on site within 30 minutes"),
        "not_settled": _("Disputes not settled"), "red": _("Past a limit now"),
        "whistle_late": _("Whistled, not there in 30 minutes"), "raised": _("Raised, in hand"),
    }  # fmt: skip
    if wanted.name.startswith("at_") and wanted.name[3:] in STAGES:
        stage = STAGES[wanted.name[3:]][0 if f.lang == "zh" else 1]
        return _("Came to “{stage}” and stand there").format(stage=stage)
    return names.get(wanted.name, wanted.name)


def _bounds(f: Frame, wanted: CaseSet, picture: Overview) -> tuple[str, ...]:
    """Return where and when a set's cases are from, and as of when they are listed."""
    _ = f._
    found = [told.place(f.directory, wanted.area, f.lang)]
    if wanted.first is not None and wanted.until is not None:
        last = wanted.until - timedelta(days=1)
        found.append(f"{wanted.first}" if last == wanted.first else f"{wanted.first} – {last}")
    else:
        found.append(_("now"))
    if wanted.theme:
        names = f.directory.themes.get(wanted.theme)
        found.append(wanted.theme if names is None else pick(f.lang, *names))
    if wanted.weekday is not None and wanted.hour is not None:
        days = [_("Mon"), _("Tue"), _("Wed"), _("Thu"), _("Fri"), _("Sat"), _("Sun")]
        found.append(f"{days[wanted.weekday % 7]} {wanted.hour:02d}:00")
    if picture.counted_at is not None and wanted.first is not None:
        at = f"{picture.counted_at.astimezone(told.zone()):%H:%M}"
        found.append(_("listed now; the number was counted at {at}").format(at=at))
    return tuple(found)
