"""The dispatcher's workbench: what is next, what is it, who goes; one line to the server keeps it live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

import streamlit as st

from dashboard import address
from dashboard.casework import bulk, offers, sheet
from dashboard.casework.act import FRESH, WRITTEN, conflict
from dashboard.casework.offers import acting, take, take_other
from dashboard.components import city_zone, component, words
from dashboard.data import demo
from dashboard.data.workbench import Case, Like, case, outlines
from dashboard.frame import Frame, framed
from dashboard.wording import names as told
from dispatch.intake.messages import show_number
from dispatch.rules.incident.chain import STEPS, lawful
from dispatch.rules.measures.cases import light_of
from dispatch.rules.teams.proposals import Offer

STAGES = ("", "accept", "dispatch", "returned", "pick_up", "whistle", "approve", "check", "close", "in_hand")
SORTS = ("", "severity", "place")  # of the queue: by the next limit, or by something else before it


def page() -> None:
    """Show the workbench of whoever is signed in: the queue of their area, and the case that `?id=` names."""
    with framed("workbench", tagged=True) as f:
        st.html(f"<style>{sheet.style()}</style>")
        if (key := st.session_state.pop(FRESH, "")) and key in st.session_state:
            st.session_state[key] = ""
        now = datetime.now(UTC)
        _part(
            f,
            "head",
            "wb-head",
            where=f.where,
            stage=_filter("stage", STAGES),
            demo=demo(),
            on_stage_change=_filtered_in_head,
        )
        conflict(f)
        wish = st.query_params.get("id", "")
        found = case(f.door, f.who.actor, int(wish), now) if _is_id(wish) else None
        with st.container(key="wb"):
            left, middle, right = st.columns([46, 89, 50], gap="small")
            with left, st.container(key="wb-queue"):
                _queue(f, wish if found is not None else "", wish)
            with middle, st.container(key="wb-case"):
                if found is not None:
                    _sheet(f, found, now)
                else:
                    _nothing(f, wish)
            with right, st.container(key="wb-act"):
                if found is not None:
                    acting(f, found)
                else:
                    _nobody(f)
        with st.bottom, st.container(key="wb-bulk", horizontal=True, vertical_alignment="center"):
            bulk.bar(f, st.session_state.get("wb-ticked") or [])
            st.space("stretch")
            _keys(f)


# ---- the live parts --------------------------------------------------------------------------------------------


def _part(f: Frame, part: str, key: str, **data: Any) -> Any:
    """Mount one live part; `on_…_change` are its callbacks."""
    calls = {name: data.pop(name) for name in list(data) if name.startswith("on_")}
    given = {
        "part": part, "area": f.who.area, "lang": f.lang, "me": f.who.actor.id, "zone": city_zone(),
        "words": words("workbench", f.lang), **data,
    }  # fmt: skip
    return component("workbench", style=False)(key=key, data=given, **calls)


def _queue(f: Frame, selected: str, wish: str) -> None:
    """Show the queue: `wish` is the case that the address asks for, `selected` the same if there is one."""
    _part(
        f, "queue", "wb-rows", selected=selected, wish=wish, sort=_filter("sort", SORTS),
        cleared=st.session_state.get(bulk.CLEARED, 0),
        written=[str(each) for each in st.session_state.pop(WRITTEN, [])],
        on_selected_change=_selected, on_ticked_change=_ticked, on_stage_change=_filtered_in_queue,
        on_draft_change=_drafted, on_sort_change=_sorted,
    )  # fmt: skip


def _said(key: str, name: str) -> Any:
    """Return what a live part said last under a name, or None."""
    found = getattr(st.session_state.get(key), name, None)
    return found.get("value") if isinstance(found, Mapping) else None


def _selected() -> None:
    value = _said("wb-rows", "selected")
    if isinstance(value, str) and _is_id(value):
        address.choose(id=value)


def _ticked() -> None:
    value = _said("wb-rows", "ticked")
    ids = value if isinstance(value, list) else []
    st.session_state["wb-ticked"] = [int(each) for each in ids if _is_id(str(each))][: bulk.LIMIT]


def _is_id(text: str) -> bool:
    """Tell whether a text is an incident's id: a superscript two is a digit too, and no number."""
    return text.isascii() and text.isdigit() and len(text) <= 18


def _filtered_in_head() -> None:
    _filtered(_said("wb-head", "stage"))


def _filtered_in_queue() -> None:
    _filtered(_said("wb-rows", "stage"))


def _filtered(stage: Any) -> None:
    address.choose(stage=stage if stage in STAGES else "")


def _sorted() -> None:
    value = _said("wb-rows", "sort")
    address.choose(sort=value if value in SORTS else "")


def _filter(name: str, known: Sequence[str]) -> str:
    """Return the filter that the address names, if there is such a one."""
    wish = st.query_params.get(name, "")
    return wish if wish in known else ""


def _drafted() -> None:
    """Take back what was being written before a refresh; what is written now goes first."""
    value = _said("wb-rows", "draft")
    if isinstance(value, Mapping) and _is_id(str(value.get("id", ""))):
        key = f"wb-reason-{value['id']}"
        if not st.session_state.get(key):
            st.session_state[key] = str(value.get("text", ""))[: offers.TEXT_LIMIT]


# ---- the case --------------------------------------------------------------------------------------------------


def _nothing(f: Frame, wish: str) -> None:
    _ = f._
    if wish:
        st.warning(_("There is no such incident."))
    else:
        st.info(_("Choose a case on the left: ↑ and ↓, or a click."))


def _nobody(f: Frame) -> None:
    """Say what will stand in the right pane once a case is chosen."""
    st.html(
        f'<div class="wb-todo"><p class="wb-h2">{escape(f._("Who goes"))}</p><p class="wb-m2">'
        f"{escape(f._('Choose a case: the teams that can go stand here, best first, with what speaks for each.'))}</p>"
        "</div>"
    )


def _sheet(f: Frame, found: Case, now: datetime) -> None:
    _, lang, directory = f._, f.lang, f.directory
    detail, incident = found.detail, found.detail.incident
    law = f.door.policy()
    own_law = law if law.version == incident.policy_version else None  # promises are of the law it came under
    _part(f, "place", "wb-place", id=str(incident.id))
    st.html(sheet.head(incident, directory, lang))
    _part(
        f, "clocks", "wb-clocks",
        steps=sheet.clocks(incident, directory.calendar, now, lang, own_law),
        held={**sheet.held(incident, directory, lang), "where": sheet.where(incident, directory, lang)},
    )  # fmt: skip
    photos, small_map = st.columns([135, 100], gap="small")
    with photos:
        st.html(sheet.photos(detail, directory, now, lang))
    with small_map:
        _map(f, found, now)
    st.html(sheet.source(detail, directory, lang))
    left, right = st.columns(2, gap="medium")
    with left:
        _likes(f, found, now)
    with right:
        shown = st.session_state.get(f"wb-all-{incident.id}", False)
        count = len(detail.events)
        st.html(
            f'<span class="wb-h2">{escape(_("Timeline"))}</span> <span class="wb-m">'
            f"{escape(_('{n} entries, all kept').format(n=count))}</span>"
        )
        st.html(sheet.timeline(detail, directory, now, lang, count if shown else sheet.EVENTS_SHOWN))
        if count > sheet.EVENTS_SHOWN:
            st.toggle(_("Show all"), key=f"wb-all-{incident.id}")
    st.html(
        f'<span class="wb-h2">{escape(_("Who held it"))}</span> <span class="wb-m">'
        f"{escape(_('each stretch of time stands with its holder; rates and appeals are counted from it'))}</span>"
        f"{sheet.ledger(detail.segments, directory, now, lang, _follows(f, found))}"
    )
    st.html(
        f'<span class="wb-h2">{escape(_("Closing standard"))}</span> <span class="wb-m">'
        f"{escape(_('ticked by whoever checks; nobody checks their own work'))}</span>"
        f'<p class="wb-standard">□ {escape(_("the matter is gone from the spot"))}　□ '
        f"{escape(_('photos before and after from the same side'))}　□ {escape(_('the reporter was told'))}　□ "
        f"{escape(_('no rubbish, damage or danger is left behind'))}</p>"
    )


def _follows(f: Frame, found: Case) -> str:
    """Return who will hold a case once it is sent to the team that is proposed, while it may be."""
    if "dispatch" not in {step.verb for step in lawful(found.detail.incident, f.who.actor)}:
        return ""
    first = next((offer.team.id for offer in found.detail.offers if offer.open), None)
    chosen = st.session_state.get(f"wb-team-{found.detail.incident.id}", first)
    if chosen is None:
        return ""
    return f._("Once sent it is with {team}.").format(team=told.team(f.directory, chosen, f.lang))


def _map(f: Frame, found: Case, now: datetime) -> None:
    incident = found.detail.incident
    marks: list[dict[str, Any]] = []
    if incident.lon is not None and incident.lat is not None and incident.located == "point":
        marks.append(
            {"kind": "case", "lon": incident.lon, "lat": incident.lat,
             "light": light_of(incident, now, f.directory.calendar)}
        )  # fmt: skip
        marks += [
            {"kind": "like", "lon": each.lon, "lat": each.lat, "label": f"{round(each.metres)} m",
             "title": show_number(each.number)}
            for each in found.likes
        ]  # fmt: skip
        ready = [each for each in found.detail.offers if each.open]
        for rank, offer in enumerate(ready[: offers.OFFERS_OPEN], 1):
            if offer.team.lon is not None and offer.team.lat is not None:
                marks.append(
                    {"kind": "team", "lon": offer.team.lon, "lat": offer.team.lat,
                     "wordings": _called(f, rank, offer)}
                )  # fmt: skip
    _part(
        f, "map", "wb-map", id=incident.id, own=incident.area_code, marks=marks,
        outlines=_outlines(f, incident.area_code) if marks else [],
    )  # fmt: skip


def _called(f: Frame, rank: int, offer: Offer) -> list[list[str]]:
    """Return the wordings of a team on the small map, each as its lines, the fullest first.

    Its name with how far it is, in one line and in two; what it is without where it is from; last its number alone.
    """
    km = f"{offer.km:.1f} km" if offer.km is not None else ""
    name = told.team(f.directory, offer.team.id, f.lang)
    trade = name.removeprefix(told.area(f.directory, offer.team.area_code, f.lang)).strip() or name
    found = [[f"{rank} {words}", km] for words in dict.fromkeys((name, trade)) if km]
    one_line = [[f"{rank} {words} {km}".strip()] for words in dict.fromkeys((name, trade))]
    both = [each for pair in zip(one_line, found, strict=False) for each in pair] or one_line
    return [*both, [f"{rank} {km}".strip()]]


def _outlines(f: Frame, area: str) -> list[Any]:
    return [list(each) for each in outlines(f.door, area[:12])]


def _likes(f: Frame, found: Case, now: datetime) -> None:
    _ = f._
    incident, likes = found.detail.incident, found.likes
    told_many = _("within 30 days, same type, within 150 m") if likes else _("none within 30 days and 150 m")
    st.html(
        f'<span class="wb-h2">{escape(_("Likely duplicates"))} {len(likes) or ""}</span>'
        f' <span class="wb-m">{escape(told_many)}</span>'
    )
    for each in likes:
        text, button = st.columns([3, 1], gap="small", vertical_alignment="center")
        with text:
            st.html(sheet.like(each, incident, now, f.lang))
        with button:
            _joining(f, found, each)


def _joining(f: Frame, found: Case, each: Like) -> None:
    """Offer to merge one of the two into the other, whichever may still be merged; else to name it in a note."""
    _, incident = f._, found.detail.incident
    may = "merge" in {step.verb for step in lawful(incident, f.who.actor)}
    key = f"wb-merge-{each.id}"
    if each.ended_at is None and each.state in STEPS["merge"].sources and incident.ended_at is None:
        st.button(
            _("Merge into this"), key=key, on_click=take_other, args=(each.id, {"into": incident.id}),
            disabled=f.who.role not in STEPS["merge"].roles,
        )  # fmt: skip
    elif each.ended_at is None and may:
        st.button(
            _("Merge this into it"), key=key, on_click=take, args=("merge", incident, {"into": each.id})
        )
    else:
        note = _("Likely the same matter as {number}").format(number=show_number(each.number))
        allowed = "note" in {step.verb for step in lawful(incident, f.who.actor)}
        st.button(
            _("Link"), key=key, on_click=take, args=("note", incident, {"note": note}), disabled=not allowed
        )


# ---- keys and words --------------------------------------------------------------------------------------------


def _keys(f: Frame) -> None:
    _ = f._
    st.html(
        f'<div class="wb-keys"><span><kbd>↑↓</kbd>{escape(_("case"))}</span><span><kbd>{escape(_("Space"))}</kbd>'
        f"{escape(_('tick'))}</span><span><kbd>1</kbd>–<kbd>3</kbd>{escape(_('team'))}</span><span><kbd>D</kbd>"
        f'{escape(_("go"))}</span><span class="hi"><kbd>E</kbd>{escape(_("reason"))}</span>'
        f'<span class="few"><kbd>⇧← →</kbd>{escape(_("filter"))}</span></div>',
        width="content",
    )
    if st.button(_("All keys"), key="wb-help", type="tertiary", shortcut="H"):
        _help(f)


def _help(f: Frame) -> None:
    _ = f._

    @st.dialog(_("All keys"), width="large")
    def shown() -> None:
        heads = (_("In the queue"), _("On the open case"), _("On all ticked, and in windows"))
        for column, head, rows in zip(st.columns(3), heads, legend(f), strict=True):
            lines = "".join(f"<dt>{escape(key)}</dt><dd>{escape(what)}</dd>" for key, what in rows)
            column.html(f'<p class="wb-h2">{escape(head)}</p><dl class="wb-legend">{lines}</dl>')

    shown()


def legend(f: Frame) -> tuple[list[tuple[str, str]], ...]:
    """Return every key with what it does: those that move, those of the case that is open, those of all ticked."""
    _ = f._
    moves = [
        ("↑ ↓", _("another case")), ("PgUp PgDn", _("ten cases on")),
        ("→ ←", _("open a burst, or fold it into one row")),
        ("⇧→ ⇧←", _("the filter beside")), ("F", _("search the queue")), ("N", _("let new work in")),
        (_("Space"), _("tick or untick")), ("⇧↑ ⇧↓", _("tick on the way")),
        (_("⇧Space"), _("tick all from the last tick to here")), ("Esc", _("answer a notice; untick all")),
        ("H", _("All keys")),
    ]  # fmt: skip
    verbs: dict[str, list[str]] = {}
    for verb, key in offers.KEYS.items():
        verbs.setdefault(key, []).append(told.verb(verb, f.lang))
    case_keys = [
        ("D", _("the filled button: the next step")), ("1–3", _("choose a team")), ("0", _("teams that are farther")),
        ("E", _("write the reason; Enter when it is written")), (offers.MET_KEY, _("The closing standard is met")),
        *((key, " / ".join(names)) for key, names in verbs.items()),
    ]  # fmt: skip
    many_keys = ((key.replace("Shift+", "⇧"), verb) for verb, key in bulk.KEYS.items())
    ticked = [
        *((key, told.verb(verb, f.lang) + _(" of all ticked")) for key, verb in many_keys),
        ("Enter", _("send what a window asks for")), ("⇧Enter", _("a new line in a long text")),
        ("8", _("See it now")), ("9", _("Do mine anyway")),
    ]  # fmt: skip
    return moves, case_keys, ticked
