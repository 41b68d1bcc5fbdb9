"""List incidents, a page at a time, and offer all that the filters say as a file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from dashboard import address
from dashboard.data import PAGE_ROWS, Filter, ListRow
from dashboard.frame import Frame
from dashboard.markup import Markup, joined, markup
from dashboard.widgets.export import download
from dashboard.widgets.panel import panel
from dashboard.wording import amounts
from dashboard.wording import names as naming
from dashboard.wording.catalogue import Translate, pick
from dashboard.wording.names import zone
from dispatch.intake.messages import show_number
from dispatch.rules.incident.chain import (
    STATES,
)
from dispatch.rules.words import say

SEVERITIES = ("", "extreme", "urgent", "pressing", "ordinary")


def listing(f: Frame, wanted: Filter, now: datetime) -> str:
    """Show a page of the list; return the id of its first incident, or nothing where it is empty."""
    _ = f._
    rows = f.city.incidents(f.who.actor, wanted, now, _after(st.query_params.get("after", "")))
    if not rows:
        st.info(_("No incident matches these filters."))
        return ""
    opened = st.query_params.get("id") or str(rows[0].id)
    heads = (
        ("", ""), (_("Type"), _("Place")), (_("State"), _("With")), (_("Limit"), ""), (_("Reported"), _("Number")),
    )  # fmt: skip
    table = markup(
        '<div class="gw-rows" data-keep="rows"><table><thead><tr>{heads}</tr></thead>'
        "<tbody>{rows}</tbody></table></div>",
        heads=joined([markup("<th>{a}<br>{b}</th>", a=a, b=b) for a, b in heads]),
        rows=joined([_line(f, row, now, str(row.id) == opened) for row in rows]),
    )
    panel(table, "cases", opened=lambda name: address.choose(id=name))
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.query_params.get("after") and st.button(_("Back to the newest")):
            address.choose(after="", id="")
            st.rerun()
        if len(rows) == PAGE_ROWS and st.button(_("Older")):
            address.choose(after=f"{rows[-1].reported_at.timestamp():.6f}_{rows[-1].id}", id="")
            st.rerun()
        st.caption(
            _("{n} shown, as of {at}").format(n=len(rows), at=f"{now.astimezone(zone()):%H:%M:%S}"),
            width="content",
        )
    return str(rows[0].id)


def _line(f: Frame, row: ListRow, now: datetime, on: bool) -> Markup:
    """Return one row of the list: its light by colour and shape, what and where, with whom, until when, its number."""
    _, lang, directory = f._, f.lang, f.directory
    kind = directory.types.get(row.category)
    light_now, limit = row.light(now, directory.calendar), row.overdue_since or row.due_at
    left = (limit - now).total_seconds() if limit is not None and row.ended_at is None else None
    return markup(
        '<tr data-open="{id}" class="{on}"><td>{light}</td>'
        '<td><button type="button" data-open="{id}"><b>{type}</b></button> <span class="gw-chip s{n}">{severity}</span>'
        '<p class="m2">{place}</p></td><td>{state}<p class="m2">{holder}</p></td>'
        '<td class="nw">{due}<p class="m2 {red}">{left}</p></td>'
        '<td class="nw">{reported}<p class="m2">{number}</p></td></tr>',
        id=row.id, on="on" if on else "", light=light_mark(light_now, _),
        type=pick(lang, kind.name, kind.name_en) if kind is not None else row.category, n=row.severity,
        severity=_(SEVERITIES[row.severity]), place=naming.place(directory, row.area_code, lang),
        state=say(STATES[row.state], lang),
        holder=naming.holder(directory, row.holder, lang) if row.ended_at is None else "",
        due=naming.moment(limit) if left is not None and limit is not None else "",
        red="red" if left is not None and left < 0 else "", left="" if left is None else _left(left, _),
        reported=naming.moment(row.reported_at), number=show_number(row.number),
    )  # fmt: skip


def _left(seconds: float, _: Translate) -> str:
    span = amounts.span(abs(seconds), _)
    return (_("over by {span}") if seconds < 0 else _("{span} left")).format(span=span)


def light_mark(name: str, _: Translate) -> Markup:
    """Return a light as its drawn shape, with its name for whoever hears the page."""
    names = {"red": _("Red light"), "yellow": _("Near its limit"), "green": _("In time")}
    if name not in names:
        return Markup("")
    return markup(
        '<span class="gw-light {name}" role="img" aria-label="{t}" title="{t}"></span>',
        name=name,
        t=names[name],
    )


def export_list(f: Frame, wanted: Filter, now: datetime) -> None:
    """Offer the list as a file: what the filters say, not only the page of it that is shown."""
    _, lang, directory = f._, f.lang, f.directory

    def every() -> Iterator[ListRow]:
        after = None
        while more := f.city.incidents(f.who.actor, wanted, now, after):
            yield from more
            if len(more) < PAGE_ROWS:
                return
            after = (more[-1].reported_at, more[-1].id)

    def rows() -> Iterator[list[Any]]:
        return (
            [
                show_number(row.number),
                pick(lang, kind.name, kind.name_en) if (kind := directory.types.get(row.category)) else row.category,
                naming.place(directory, row.area_code, lang), say(STATES[row.state], lang),
                naming.holder(directory, row.holder, lang) if row.ended_at is None else "", row.reported_at,
                (row.overdue_since or row.due_at) if row.ended_at is None else None,
            ]
            for row in every()
        )  # fmt: skip

    columns = [_("Number"), _("Type"), _("Place"), _("State"), _("With"), _("Reported"), _("Limit")]
    as_of = f"{now.astimezone(zone()):%Y-%m-%d %H:%M}"
    download(
        _("Export"), rows, columns, f"{_('Incidents')} {as_of[:10]}", key="cases-export",
        notes=(_("As of {at}").format(at=as_of),),
    )  # fmt: skip


def _after(text: str) -> tuple[datetime, int] | None:
    at, found, incident_id = text.partition("_")
    try:
        return (datetime.fromtimestamp(float(at), UTC), int(incident_id)) if found else None
    except (ValueError, OverflowError, OSError):
        return None
