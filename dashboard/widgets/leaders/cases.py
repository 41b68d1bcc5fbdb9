"""Open the cases behind a figure that the address names, and list the places that are reported again and again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import streamlit as st

from dashboard.data import leaders as data
from dashboard.frame import Frame
from dashboard.markup import Markup, joined, markup
from dashboard.widgets.drawer import PARAMETER, drawer
from dashboard.widgets.panel import opens
from dashboard.wording import names as naming
from dashboard.wording.catalogue import pick
from dispatch.figures.briefing import words as spoken
from dispatch.figures.case_sets import CasePage, CaseSet
from dispatch.figures.overview import STAGES, Overview
from dispatch.rules.words import say

PLACE = "place"  # a set of cases that is a place's reports
_NOTHING = CasePage((), 0, 1, 1)


def repeats(f: Frame, picture: Overview) -> Markup:
    """Return the places that were reported again and again in the period, as a table."""
    _ = f._
    found = data.repeats(f.city, f.who.actor, picture.area.code, picture.period)
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
                place=naming.place(f.directory, each.area_code, f.lang),
                n=opens(f"{PLACE}~{each.place}", each.reports),
                open=each.open, at=naming.moment(each.last_at),
            )
        )  # fmt: skip
    return markup(
        "{head}<table><tr><th>{a}</th><th>{b}</th><th class='r'>{c}</th><th class='r'>{d}</th>"
        "<th class='r'>{e}</th></tr>{rows}</table>",
        head=head, a=_("Type"), b=_("Place"), c=_("reported"), d=_("still open"), e=_("last"),
        rows=joined(rows),
    )  # fmt: skip


def open_named(f: Frame, picture: Overview) -> None:
    """Open the cases that the address names."""
    key = st.query_params.get(PARAMETER, "")
    if not key:
        return
    _, actor = f._, f.who.actor
    kind, _mark, place = key.partition("~")
    if kind == PLACE and place.lstrip("-").isdigit() and len(place) < 20:
        area, period = picture.area.code, picture.period

        def read(page: int) -> Any:
            return data.at_place(f.city, actor, area, period, int(place))

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
        _set_name(f, wanted), lambda page: data.cases(f.city, actor, wanted, page),
        lambda: data.every_case(f.city, actor, wanted), f.directory, f.lang, _, _bounds(f, wanted, picture),
    )  # fmt: skip


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
        stage = say(STAGES[wanted.name[3:]], f.lang)
        return _("Came to “{stage}” and stand there").format(stage=stage)
    return names.get(wanted.name, wanted.name)


def _bounds(f: Frame, wanted: CaseSet, picture: Overview) -> tuple[str, ...]:
    """Return where and when a set's cases are from, and as of when they are listed."""
    _ = f._
    found = [naming.place(f.directory, wanted.area, f.lang)]
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
        at = f"{picture.counted_at.astimezone(naming.zone()):%H:%M}"
        found.append(_("listed now; the number was counted at {at}").format(at=at))
    return tuple(found)
