"""Incidents: a list that filters from the address bar, one incident whole, and the steps the law allows now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from html import escape
from typing import Any

import streamlit as st

from dashboard import address
from dashboard.casework import sheet
from dashboard.casework.inputs import ask
from dashboard.casework.offers import meant
from dashboard.data import PAGE_ROWS, Detail, Directory, Filter, ListRow, Reads
from dashboard.frame import Frame, framed, headed
from dashboard.widgets.export import download
from dashboard.widgets.panel import Markup, joined, markup, panel
from dashboard.wording import amounts
from dashboard.wording import names as told
from dashboard.wording.catalogue import Translate, clock_name, limit_words, pick
from dashboard.wording.names import ZONE
from dispatch.assignment.proposals import recorded
from dispatch.intake.messages import show_number
from dispatch.rules.areas import Level, ancestors, contains, level_of
from dispatch.rules.incident.chain import (
    ASSIGNMENT_STATES,
    STATES,
    Actor,
    Command,
    Incident,
    Step,
    lawful,
)
from dispatch.rules.time.calendar import Calendar
from dispatch.rules.time.clocks import Clock, light
from models.servers.database import addresses

KEPT = ("area", "state", "light", "theme", "text")
TEXT_MOST = 60  # letters of the words that are looked for
SEVERITIES = ("", "extreme", "urgent", "pressing", "ordinary")


def page() -> None:
    """Show the list, and beside it the incident that `?id=` names, or the first one, to whoever may see them."""
    with framed("incidents", tagged=True) as f:
        st.html(f"<style>{sheet.style()}</style>")
        now = datetime.now(UTC)
        with st.container(horizontal=True, vertical_alignment="center"):
            headed(f, "incidents")
            st.space("stretch")
            export = st.empty()
        wanted = _filters(f)
        with export:
            _export(f, wanted, now)
        left, right = st.columns(2, gap="small")
        with left:
            first = _list(f, wanted, now)
        with right, st.container(key="gw-card-case"):
            _detail(f, now, st.query_params.get("id") or first)


def _filters(f: Frame) -> Filter:
    """Show the filters, which live in the address bar, so that they survive a refresh and can be shared."""
    query, lang, _, directory = st.query_params, f.lang, f._, f.directory
    counties = sorted(c for c, a in directory.areas.items() if a.level in (Level.CITY, Level.COUNTY))
    towns = sorted(c for c, a in directory.areas.items() if a.level == Level.TOWN)
    states = {"": _("Any state"), "open": _("All open")} | {
        k: v[0 if lang == "zh" else 1] for k, v in STATES.items()
    }
    lights = {"": _("Any light"), "red": f"■ {_('Red light')}", "yellow": f"▲ {_('Near its limit')}"}
    themes = {"": _("Any area of work")} | {
        k: v[0 if lang == "zh" else 1] for k, v in directory.themes.items()
    }

    def place(code: str) -> str:
        if code == "":
            return _("All that is mine to see")
        names = [c for c in reversed(ancestors(code)) if level_of(c) is not Level.CITY or code == c]
        return " ".join(told.area(directory, c, lang) for c in names)

    mine = [c for c in {*counties[1:], *towns} if f.who.role == "auditor" or contains(f.who.area, c)]
    places = ["", *sorted({*mine, *_known(directory, query.get("area", ""))})]
    folded = _folded(f, places_named=place, names={"state": states, "light": lights, "theme": themes})
    with st.container(key=f"gw-filters-{'shut' if folded else 'open'}"):
        boxes = st.columns([3, 2, 2, 2, 3])

    def chosen(name: str, label: str, options: list[str], words: Callable[[str], str]) -> str:
        wish = query.get(name, "")
        value = address.shown(f"list-{name}", wish if wish in options else "")
        boxes[KEPT.index(name)].selectbox(
            label, options, format_func=words, key=f"list-{name}", on_change=_filtered, args=(name,)
        )
        return value

    area = chosen("area", _("Area"), places, place)
    state = chosen("state", _("State"), list(states), states.__getitem__)
    light = chosen("light", _("Light"), list(lights), lights.__getitem__)
    theme = chosen("theme", _("Area of work"), list(themes), themes.__getitem__)
    text = address.shown("list-text", query.get("text", "")[:TEXT_MOST])
    boxes[4].text_input(
        _("Words or number"), max_chars=TEXT_MOST, key="list-text", on_change=_filtered, args=("text",)
    )
    return Filter(area, state, light, theme, text)


def _filtered(name: str) -> None:
    """Write a chosen filter into the address; another list begins at its own first row."""
    address.choose(**{name: st.session_state.get(f"list-{name}") or "", "after": "", "id": ""})


def _folded(f: Frame, places_named: Callable[[str], str], names: dict[str, dict[str, str]]) -> bool:
    """Show on a phone one line that says what is chosen and opens the filters; tell whether they are folded there."""
    _, query = f._, st.query_params
    open_now = st.session_state.get("incidents-filters", False)
    chosen = [places_named(query["area"])] if query.get("area") in f.directory.areas else []
    chosen += [
        words[query[name]] for name, words in names.items() if query.get(name) in words and query[name]
    ]
    chosen += [f"“{query['text']}”"] if query.get("text") else []
    words = told.plain(" · ".join(chosen)) if chosen else _("none: all that is mine to see")

    def turned() -> None:
        st.session_state["incidents-filters"] = not open_now

    with st.container(key="gw-fold"):
        st.button(
            f"**{_('Filters')}**　{words}", key="incidents-fold", on_click=turned, width="stretch",
            icon=":material/expand_less:" if open_now else ":material/expand_more:", icon_position="right",
        )  # fmt: skip
    return not open_now


def _list(f: Frame, wanted: Filter, now: datetime) -> str:
    """Show a page of the list; return the id of its first incident, or nothing where it is empty."""
    _ = f._
    rows = f.door.incidents(f.who.actor, wanted, now, _after(st.query_params.get("after", "")))
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
            _("{n} shown, as of {at}").format(n=len(rows), at=f"{now.astimezone(ZONE):%H:%M:%S}"),
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
        id=row.id, on="on" if on else "", light=_light(light_now, _),
        type=pick(lang, kind.name, kind.name_en) if kind is not None else row.category, n=row.severity,
        severity=_(SEVERITIES[row.severity]), place=told.place(directory, row.area_code, lang),
        state=STATES[row.state][0 if lang == "zh" else 1],
        holder=told.holder(directory, row.holder, lang) if row.ended_at is None else "",
        due=told.moment(limit) if left is not None and limit is not None else "",
        red="red" if left is not None and left < 0 else "", left="" if left is None else _left(left, _),
        reported=told.moment(row.reported_at), number=show_number(row.number),
    )  # fmt: skip


def _left(seconds: float, _: Translate) -> str:
    span = amounts.span(abs(seconds), _)
    return (_("over by {span}") if seconds < 0 else _("{span} left")).format(span=span)


def _light(name: str, _: Translate) -> Markup:
    """Return a light as its drawn shape, with its name for whoever hears the page."""
    names = {"red": _("Red light"), "yellow": _("Near its limit"), "green": _("In time")}
    if name not in names:
        return Markup("")
    return markup(
        '<span class="gw-light {name}" role="img" aria-label="{t}" title="{t}"></span>',
        name=name,
        t=names[name],
    )


def _export(f: Frame, wanted: Filter, now: datetime) -> None:
    """Offer the list as a file: what the filters say, not only the page of it that is shown."""
    _, lang, directory = f._, f.lang, f.directory

    def every() -> Iterator[ListRow]:
        after = None
        while more := f.door.incidents(f.who.actor, wanted, now, after):
            yield from more
            if len(more) < PAGE_ROWS:
                return
            after = (more[-1].reported_at, more[-1].id)

    def rows() -> Iterator[list[Any]]:
        return (
            [
                show_number(row.number),
                pick(lang, kind.name, kind.name_en) if (kind := directory.types.get(row.category)) else row.category,
                told.place(directory, row.area_code, lang), STATES[row.state][0 if lang == "zh" else 1],
                told.holder(directory, row.holder, lang) if row.ended_at is None else "", row.reported_at,
                (row.overdue_since or row.due_at) if row.ended_at is None else None,
            ]
            for row in every()
        )  # fmt: skip

    columns = [_("Number"), _("Type"), _("Place"), _("State"), _("With"), _("Reported"), _("Limit")]
    as_of = f"{now.astimezone(ZONE):%Y-%m-%d %H:%M}"
    download(
        _("Export"), rows, columns, f"{_('Incidents')} {as_of[:10]}", key="cases-export",
        notes=(_("As of {at}").format(at=as_of),),
    )  # fmt: skip


def _detail(f: Frame, now: datetime, wish: str) -> None:
    lang, _, directory = f.lang, f._, f.directory
    if not (wish.isascii() and wish.isdigit()) or len(wish) > 18:
        st.info(_("Select an incident to see its whole way."))
        return
    detail = f.door.detail(f.who.actor, int(wish))
    if detail is None:
        st.warning(_("There is no such incident."))
        return
    incident = detail.incident
    kind = directory.types.get(incident.category)
    name = pick(lang, kind.name, kind.name_en) if kind is not None else incident.category
    severity = _(SEVERITIES[incident.severity])
    st.subheader(f"{name}　{told.place(directory, incident.area_code, lang)}")
    st.markdown(
        f":gray-badge[{STATES[incident.state][0 if lang == 'zh' else 1]}] :gray-badge[{severity}]"
        f" :gray-badge[{_('Number')} {show_number(incident.number)}]"
    )
    st.text(incident.text)
    since, held = told.moment(incident.reported_at), told.holder(directory, incident.holder, lang)
    st.caption(f"{_('Reported')} {since}　{_('With')} {held}")
    _steps(f, detail, now)
    if any(event.change.said.get("photos") for event in detail.events):
        st.html(sheet.photos(detail, directory, now, lang))
    st.html(
        f'<span class="wb-h2">{escape(_("Clocks"))}</span>'
        + _table(_clock_rows(directory, incident, now, lang, _), _("No clock has run."))
    )
    st.html(
        f'<span class="wb-h2">{escape(_("Timeline"))}</span>'
        + sheet.timeline(detail, directory, now, lang, len(detail.events))
    )
    st.html(
        f'<span class="wb-h2">{escape(_("Who held it"))}</span>'
        f"{sheet.ledger(detail.segments, directory, now, lang)}"
        + _table(
            [
                {
                    _("Holder"): told.holder(directory, each.holder, lang),
                    _("Awaited"): clock_name(each.awaits, lang) if each.awaits else "",
                    _("From"): told.moment(each.began_at),
                    _("To"): told.moment(each.ended_at) if each.ended_at else _("now"),
                    _("Minutes"): f"{((each.ended_at or now) - each.began_at).total_seconds() / 60:,.0f}",
                }
                for each in detail.segments
            ],
            "",
            right=(_("Minutes"),),
        )
    )
    st.html(
        f'<span class="wb-h2">{escape(_("Assignments"))}</span>'
        + _table(
            [
                {
                    _("Team"): told.team(directory, part.team_id, lang),
                    _("Kind"): _("whistle") if part.kind == "whistle" else _("ordinary assignment"),
                    _("State"): ASSIGNMENT_STATES[part.state][0 if lang == "zh" else 1],
                    _("Sent"): told.moment(part.sent_at),
                    _("Ended"): told.moment(part.ended_at) if part.ended_at else "",
                }
                for part in incident.parts.values()
            ],
            _("Nobody has been sent yet."),
        )
    )


def _steps(f: Frame, detail: Detail, now: datetime) -> None:
    """Offer the steps that the law allows now to whoever is signed in."""
    incident, lang, _, door = detail.incident, f.lang, f._, f.door
    actor = f.who.actor
    steps = [step for step in lawful(incident, actor) if meant(incident, step.verb)]
    if not steps:
        st.caption(_("This role has no step to take now."))
    refusal = st.session_state.pop(f"refused-{incident.id}", None)
    if refusal:
        st.error(refusal)
    with st.container(horizontal=True):
        for n, step in enumerate(steps):
            words = step.zh if lang == "zh" else step.en[:1].upper() + step.en[1:]
            key = f"{step.verb}-{incident.id}-{incident.seq}"
            asked = (*step.needs, *step.may)
            if not asked:
                if st.button(words, key=key, type="primary" if n == 0 else "secondary"):
                    _take(door, incident, step, actor, {}, now, lang)
                continue
            with st.popover(words):
                given = {need: ask(f, step, need, detail, key) for need in asked}
                args = {need: value for need, value in given.items() if value not in (None, "", ())}
                if (team := args.get("team_id")) is not None:
                    # What was proposed is kept with what was chosen, followed or not.
                    offer = next((o for o in detail.offers if o.team.id == team), None)
                    args |= {"offer": recorded(offer)} if offer is not None else {}
                if st.button(_("Confirm: {verb}").format(verb=words), key=key, type="primary"):
                    _take(door, incident, step, actor, args, now, lang)


def _take(
    door: Reads, incident: Incident, step: Step, actor: Actor, args: dict[str, Any], now: datetime, lang: str
) -> None:
    """Hand one step to the Desk and show its answer; a repeated press has the same id, and so is one action."""
    command = Command(step.verb, incident.id, actor, f"page-{actor.id}-{incident.seq}", args, incident.seq)
    outcome = door.act([command], now, addresses().redis_url)[0]
    if outcome.refusal is not None:
        st.session_state[f"refused-{incident.id}"] = outcome.refusal.words(lang)
    st.rerun()


def _clock_rows(
    directory: Directory, incident: Incident, now: datetime, lang: str, _: Translate
) -> list[dict[str, str]]:
    rows = [
        _clock_row(kind, "", clock, now, directory.calendar, lang, _)
        for kind, clock in incident.clocks.items()
    ]
    for part in incident.parts.values():
        who = told.team(directory, part.team_id, lang)
        rows += [
            _clock_row(kind, who, clock, now, directory.calendar, lang, _)
            for kind, clock in part.clocks.items()
        ]
    return rows


def _clock_row(
    kind: str, who: str, clock: Clock, now: datetime, calendar: Calendar, lang: str, _: Translate
) -> dict[str, str]:
    words = {
        "running": _("running"),
        "paused": _("paused"),
        "met": _("met in time"),
        "breached": _("past its limit"),
    }
    shape = _light(light(clock, now, calendar), _) if clock.awaited and clock.due is not None else Markup("")
    return {
        "": shape,
        _("Clock"): clock_name(kind, lang),
        _("Limit"): limit_words(clock.limit, lang),
        _("Since"): told.moment(clock.since),
        _("Due"): told.moment(clock.due) if clock.due else "",
        _("State"): words[clock.state] + (f" {told.moment(clock.ended)}" if clock.ended else ""),
        _("Whose"): who,
    }


def _table(rows: list[dict[str, str]], empty: str, right: tuple[str, ...] = ()) -> str:
    """Return rows as a table in which nothing is cut; `right` are the columns of figures."""
    if not rows:
        return markup('<p class="wb-m">{empty}</p>', empty=empty)
    style = {name: "r" if name in right else "" for name in rows[0]}
    heads = [markup('<th class="{c}">{name}</th>', c=style[name], name=name) for name in rows[0]]
    lines = [
        joined(
            [
                markup('<td class="{c}">{value}</td>', c=style[name], value=value)
                for name, value in row.items()
            ]
        )
        for row in rows
    ]
    return markup(
        '<div class="gw-grid"><table><tr>{heads}</tr>{lines}</table></div>', heads=joined(heads),
        lines=joined([markup("<tr>{line}</tr>", line=line) for line in lines]),
    )  # fmt: skip


def _known(directory: Directory, code: str) -> list[str]:
    return [code] if code in directory.areas else []


def _after(text: str) -> tuple[datetime, int] | None:
    at, found, incident_id = text.partition("_")
    try:
        return (datetime.fromtimestamp(float(at), UTC), int(incident_id)) if found else None
    except (ValueError, OverflowError, OSError):
        return None
