"""Incidents: a list that filters from the address bar, one incident whole, and the steps the law allows now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import streamlit as st

from dashboard import told
from dashboard.data import PAGE_ROWS, Detail, Directory, Filter, ListRow, Reads
from dashboard.frame import Frame, framed
from dashboard.steps import ask
from dashboard.told import ZONE
from dashboard.words import Translate, clock_name, limit_words, pick
from dispatch.assigning import recorded
from dispatch.messages import show_number
from dispatch.rules.areas import Level, ancestors, contains, level_of
from dispatch.rules.calendar import Calendar
from dispatch.rules.chain import (
    ASSIGNMENT_STATES,
    STATES,
    Actor,
    Command,
    Incident,
    Step,
    lawful,
)
from dispatch.rules.clocks import Clock, light
from models.servers import addresses

KEPT = ("area", "state", "light", "theme", "text")
# Marks that say a light by its shape; the same three shapes as on the wall.
SHAPES = {"red": "■", "yellow": "▲", "green": "●"}


def page() -> None:
    """Show the list, and beside it the incident that `?id=` names, to whoever may see them."""
    with framed("incidents") as f:
        wanted = _filters(f)
        now = datetime.now(UTC)
        left, right = st.columns([7, 7], gap="medium")
        with left:
            _list(f, wanted, now)
        with right:
            _detail(f, now)


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
    boxes = st.columns([3, 2, 2, 2, 3])
    values = {
        "area": boxes[0].selectbox(_("Area"), places, _index(places, "area"), format_func=place),
        "state": boxes[1].selectbox(
            _("State"), list(states), _index(list(states), "state"), format_func=states.__getitem__
        ),
        "light": boxes[2].selectbox(
            _("Light"), list(lights), _index(list(lights), "light"), format_func=lights.__getitem__
        ),
        "theme": boxes[3].selectbox(
            _("Area of work"), list(themes), _index(list(themes), "theme"), format_func=themes.__getitem__
        ),
        "text": boxes[4].text_input(_("Words or number"), query.get("text", ""), max_chars=60),
    }
    plain = {name: str(value or "") for name, value in values.items()}
    if any(plain[name] != query.get(name, "") for name in KEPT):
        for name in KEPT:
            _keep(name, plain[name])
        _keep("after", "")
    return Filter(**plain)


def _list(f: Frame, wanted: Filter, now: datetime) -> None:
    _ = f._
    rows = f.door.incidents(f.who.actor, wanted, now, _after(st.query_params.get("after", "")))
    if not rows:
        st.info(_("No incident matches these filters."))
        return
    columns = {
        "light": st.column_config.TextColumn("", width=36),
        "type": st.column_config.TextColumn(_("Type"), width=150),
        "place": st.column_config.TextColumn(_("Place"), width=150),
        "state": st.column_config.TextColumn(_("State"), width=80),
        "due": st.column_config.TextColumn(_("Limit"), width=100),
        "reported": st.column_config.TextColumn(_("Reported"), width=100),
        "number": st.column_config.TextColumn(_("Number"), width=150),
    }
    chosen_rows = st.dataframe(
        [_line(row, f.directory, now, f.lang) for row in rows],
        column_config=columns,
        hide_index=True,
        height=620,
        on_select="rerun",
        selection_mode="single-row",
        # A list of other rows is another list: a selection by position must not move to another incident.
        key=f"list-{hash((wanted, rows[0].id, rows[-1].id, len(rows)))}",
    )
    picked = chosen_rows["selection"]["rows"]
    if picked and picked[0] < len(rows):
        _keep("id", str(rows[picked[0]].id))
    back, on, told = st.columns([2, 2, 4])
    if st.query_params.get("after") and back.button(_("Back to the newest")):
        _keep("after", "")
        st.rerun()
    if len(rows) == PAGE_ROWS and on.button(_("Older")):
        _keep("after", f"{rows[-1].reported_at.timestamp():.6f}_{rows[-1].id}")
        st.rerun()
    told.caption(_("{n} shown, as of {at}").format(n=len(rows), at=f"{now.astimezone(ZONE):%H:%M:%S}"))


def _line(row: ListRow, directory: Directory, now: datetime, lang: str) -> dict[str, str]:
    kind = directory.types.get(row.category)
    limit = row.overdue_since or row.due_at
    return {
        "light": SHAPES.get(row.light(now, directory.calendar), ""),
        "type": pick(lang, kind.name, kind.name_en) if kind is not None else row.category,
        "place": told.place(directory, row.area_code, lang),
        "state": STATES[row.state][0 if lang == "zh" else 1],
        "due": told.moment(limit) if limit is not None and row.ended_at is None else "",
        "reported": told.moment(row.reported_at),
        "number": show_number(row.number),
    }


def _detail(f: Frame, now: datetime) -> None:
    lang, _, directory = f.lang, f._, f.directory
    wish = st.query_params.get("id", "")
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
    severity = _(("", "extreme", "urgent", "pressing", "ordinary")[incident.severity])
    st.subheader(f"{name}　{told.place(directory, incident.area_code, lang)}")
    st.markdown(
        f":gray-badge[{STATES[incident.state][0 if lang == 'zh' else 1]}] :gray-badge[{severity}]"
        f" :gray-badge[{_('Number')} {show_number(incident.number)}]"
    )
    st.text(incident.text)
    since, held = told.moment(incident.reported_at), told.holder(directory, incident.holder, lang)
    st.caption(f"{_('Reported')} {since}　{_('With')} {held}")
    _steps(f, detail, now)
    st.markdown(f"**{_('Clocks')}**")
    _table(_clock_rows(directory, incident, now, lang, _), _("No clock has run."))
    st.markdown(f"**{_('Timeline')}**")
    _table(
        [
            {
                _("Time"): told.moment(event.at),
                _("Step"): told.verb(event.verb, lang),
                _("By"): told.actor(directory, event.actor, lang),
                _("Said"): "; ".join(
                    told.said(directory, k, v, lang)
                    for k, v in event.change.said.items()
                    if k in ("reason", "result", "note", "clock", "commander")
                ),
            }
            for event in detail.events
        ],
        "",
    )
    st.markdown(f"**{_('Who held it')}**")
    _table(
        [
            {
                _("Holder"): told.holder(directory, each.holder, lang),
                _("Awaited"): clock_name(each.awaits, lang) if each.awaits else "",
                _("From"): told.moment(each.began_at),
                _("To"): told.moment(each.ended_at) if each.ended_at else _("now"),
                _("Minutes"): str(round(((each.ended_at or now) - each.began_at).total_seconds() / 60)),
            }
            for each in detail.segments
        ],
        "",
    )
    st.markdown(f"**{_('Assignments')}**")
    _table(
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


def _steps(f: Frame, detail: Detail, now: datetime) -> None:
    """Offer the steps that the law allows now to whoever is signed in."""
    incident, lang, _, door = detail.incident, f.lang, f._, f.door
    actor = f.who.actor
    steps = lawful(incident, actor)
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
    shape = SHAPES[light(clock, now, calendar)] if clock.awaited and clock.due is not None else ""
    return {
        "": shape,
        _("Clock"): clock_name(kind, lang),
        _("Limit"): limit_words(clock.limit, lang),
        _("Since"): told.moment(clock.since),
        _("Due"): told.moment(clock.due) if clock.due else "",
        _("State"): words[clock.state] + (f" {told.moment(clock.ended)}" if clock.ended else ""),
        _("Whose"): who,
    }


def _table(rows: list[dict[str, str]], empty: str) -> None:
    if rows:
        st.dataframe(rows, hide_index=True, height="content")
    elif empty:
        st.caption(empty)


def _known(directory: Directory, code: str) -> list[str]:
    return [code] if code in directory.areas else []


def _index(options: list[str], name: str) -> int:
    wish = st.query_params.get(name, "")
    return options.index(wish) if wish in options else 0


def _keep(name: str, value: str) -> None:
    """Write one value into the address bar, or take it out."""
    if value:
        if st.query_params.get(name) != value:
            st.query_params[name] = value
    elif name in st.query_params:
        del st.query_params[name]


def _after(text: str) -> tuple[datetime, int] | None:
    at, found, incident_id = text.partition("_")
    try:
        return (datetime.fromtimestamp(float(at), UTC), int(incident_id)) if found else None
    except (ValueError, OverflowError, OSError):
        return None
