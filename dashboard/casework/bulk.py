"""Takes one step on many cases at once: what is lawful for those ticked, a preview, one action, every answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import streamlit as st

from dashboard.casework.act import (
    CONFLICT,
    Conflict,
    close_dialog,
    command,
    is_open,
    open_dialog,
    prefilled,
    submit,
)
from dashboard.data.directory import Team
from dashboard.data.workbench import Plan, plan, several
from dashboard.frame import Frame
from dashboard.markup import markup, show
from dashboard.wording import names as naming
from dispatch.assignment.proposals import recorded
from dispatch.intake.messages import show_number
from dispatch.rules.areas import ancestors, centre_of
from dispatch.rules.incident.chain import STATES, Incident, lawful
from dispatch.rules.teams.routing import READY
from dispatch.rules.words import say

LIMIT = 500  # cases ticked at once
PREVIEW_ROWS, PREVIEW_PX = 6, 420  # of more rows than these the preview scrolls
SHOWN = 50  # rows of a preview; all of them are sent
# The steps that make sense for many at once, in the order in which they stand; Shift and the letter presses them.
KEYS: Final = {
    "accept": "Shift+A",
    "dispatch": "Shift+D",
    "reassign": "Shift+G",
    "send_whistle": "Shift+W",
    "verify": "Shift+V",
    "remind": "Shift+B",
    "supervise": "Shift+U",
    "escalate": "Shift+T",
    "merge": "Shift+M",
}
CLEARED = "wb-cleared"


def bar(f: Frame, ids: Sequence[int]) -> None:
    """Show how many are ticked and the steps that the law allows for them; nothing where none is ticked."""
    _ = f._
    if not ids:
        return
    incidents = several(f.city, f.who.actor, ids[:LIMIT])
    if not incidents:
        return
    who = f.who.actor
    may = {incident.id: {step.verb for step in lawful(incident, who)} for incident in incidents}
    states = Counter(say(STATES[incident.state], f.lang) for incident in incidents)
    show(
        markup(
            "<b>{ticked}</b> <span class=wb-m2>{states}</span>", ticked=_("{n} ticked").format(n=len(incidents)),
            states=" · ".join(f"{state} {n}" for state, n in states.most_common()),
        ),
        width="content",
    )  # fmt: skip
    first = True
    for verb, key in KEYS.items():
        able = [incident for incident in incidents if verb in may[incident.id]]
        if verb == "merge":
            able = able if len(incidents) > 1 else []
        if not able:
            continue
        # Lawful for all comes as a button in full; for some only, its count says so.
        whole = len(able) == len(incidents)
        words = naming.label(verb, f.lang)
        label = f"{words} {len(able)}" if whole else f"{words} {len(able)}/{len(incidents)}"
        kind: Any = "primary" if first and whole else "secondary"
        first = first and not whole
        st.button(
            label, key=f"wb-many-{verb}", type=kind, shortcut=key, on_click=open_dialog,
            args=("many", verb),
        )  # fmt: skip
        if is_open("many", verb):
            _open(f, verb, able, incidents)
    if st.button(_("Clear"), key="wb-many-clear", type="tertiary"):
        _clear()
        st.rerun()


def _open(f: Frame, verb: str, able: Sequence[Incident], ticked: Sequence[Incident]) -> None:
    match verb:
        case "dispatch":
            _dispatching(f, able)
        case "reassign":
            _reassigning(f, able)
        case "merge":
            _merging(f, able, ticked)
        case "supervise" | "escalate":
            _reasoned(f, verb, able)
        case _:
            _take(f, verb, able, [{} for _each in able])
            st.rerun()


def _dispatching(f: Frame, able: Sequence[Incident]) -> None:
    """Preview which team goes where, all decided together, and the total against each its best team in turn."""
    _ = f._

    @st.dialog(_("Dispatch {n} cases together").format(n=len(able)), width="large", on_dismiss=close_dialog)
    def shown() -> None:
        found = plan(f.city, f.who.actor, [incident.id for incident in able], datetime.now(UTC))
        by_id = {incident.id: incident for incident in able}
        placed = [each for each in found.decisions if each.chosen is not None]
        teams = {each.chosen.team.id for each in placed if each.chosen is not None}
        st.markdown(
            _("Together: {n} cases to {teams} teams, cost {cost} min. One at a time: {n2} cases, {cost2} min.").format(
                n=found.together[0], teams=len(teams), cost=round(found.together[1]),
                n2=found.in_turn[0], cost2=round(found.in_turn[1]),
            )
        )  # fmt: skip
        # A table, not a grid: a grid would cut what speaks against a team.
        with st.container(
            height=PREVIEW_PX if len(found.decisions) > PREVIEW_ROWS else "content", border=False
        ):
            st.table(_lines(f, found, by_id), hide_index=True)
        if placed and st.button(
            _("Dispatch {n}").format(n=len(placed)),
            key="wb-many-go",
            type="primary",
            shortcut="Enter",
            width="stretch",
        ):
            sent = [by_id[each.waiting.id] for each in placed]
            args = [
                {"team_id": each.chosen.team.id, "offer": recorded(each.chosen)}
                for each in placed
                if each.chosen is not None
            ]
            _take(f, "dispatch", sent, args)
            st.rerun()

    shown()


def _lines(f: Frame, found: Plan, by_id: dict[int, Incident]) -> list[dict[str, str]]:
    _ = f._
    rows = []
    for each in found.decisions[:SHOWN]:
        incident = by_id[each.waiting.id]
        chosen = each.chosen
        why = chosen.shortfalls if chosen is not None else each.shortfalls
        rows.append(
            {
                _("Number"): show_number(incident.number),
                _("Matter"): incident.text[:40],
                _("Place"): naming.place(f.directory, incident.area_code, f.lang),
                _("Team"): naming.team(f.directory, chosen.team.id, f.lang)
                if chosen is not None
                else _("nobody"),
                _("Missing or against"): _("; ").join(because.words(f.lang) for because in why),
            }
        )
    return rows


def _reassigning(f: Frame, able: Sequence[Incident]) -> None:
    """Send many to one other team, or each to the best other one, with one reason for all: one action."""
    _ = f._

    @st.dialog(_("Reassign {n} cases").format(n=len(able)), on_dismiss=close_dialog)
    def shown() -> None:
        above = {code for incident in able for code in ancestors(incident.area_code)}
        town = {centre_of(incident.area_code) for incident in able}
        near = [
            team
            for team in f.directory.teams.values()
            if team.area_code in above or centre_of(team.area_code) in town
        ]
        holders = {incident.lead.team_id for incident in able if incident.lead is not None}
        # A team of the trade that holds most of them comes first; of another trade none is proposed by itself.
        trades = Counter(f.directory.teams[one].trade for one in holders if one in f.directory.teams)
        trade = trades.most_common(1)[0][0] if trades else ""

        def fits(team: Team) -> bool:
            return team.trade == trade and team.id not in holders and team.state in READY

        near.sort(key=lambda team: (not fits(team), team.id in holders, team.load - team.capacity, team.id))
        names = {
            team.id: f"{naming.team(f.directory, team.id, f.lang)}　{team.load}/{team.capacity}"
            for team in near
        }
        chosen = st.selectbox(
            _("To which team"), list(names), 0 if near and fits(near[0]) else None,
            format_func=names.__getitem__, key="wb-many-team", placeholder=_("Choose a team"),
        )  # fmt: skip
        reason = st.text_input(_("Reason"), _("Work is shared out anew"), max_chars=200, key="wb-many-reason")
        if st.button(
            _("Reassign {n}").format(n=len(able)), key="wb-many-go", type="primary", shortcut="Enter", width="stretch",
            disabled=chosen is None,
        ):  # fmt: skip
            _take(f, "reassign", able, [{"team_id": chosen, "reason": reason} for _each in able])
            st.rerun()

    shown()


def _merging(f: Frame, able: Sequence[Incident], ticked: Sequence[Incident]) -> None:
    """Merge the ticked cases into one of them: the oldest is proposed."""
    _ = f._

    @st.dialog(_("Merge into one case"), on_dismiss=close_dialog)
    def shown() -> None:
        oldest = sorted(ticked, key=lambda incident: (incident.reported_at, incident.id))
        parent = st.radio(
            _("Which one stays"),
            [incident.id for incident in oldest[:20]],
            format_func=lambda one: next(
                f"{show_number(i.number)}　{naming.plain(i.text[:30])}" for i in oldest if i.id == one
            ),
            key="wb-many-parent",
        )
        rest = [incident for incident in able if incident.id != parent]
        if st.button(
            _("Merge {n} into it").format(n=len(rest)),
            key="wb-many-go",
            type="primary",
            shortcut="Enter",
            width="stretch",
        ):
            _take(f, "merge", rest, [{"into": parent} for _each in rest])
            st.rerun()

    shown()


def _reasoned(f: Frame, verb: str, able: Sequence[Incident]) -> None:
    _ = f._
    words = naming.label(verb, f.lang)

    @st.dialog(f"{words} {len(able)}", on_dismiss=close_dialog)
    def shown() -> None:
        reason = st.text_input(_("Reason"), prefilled(verb, _), max_chars=200, key=f"wb-many-{verb}-reason")
        if st.button(
            _("Confirm: {verb}").format(verb=words),
            key="wb-many-go",
            type="primary",
            shortcut="Enter",
            width="stretch",
        ):
            _take(f, verb, able, [{"reason": reason} for _each in able])
            st.rerun()

    shown()


def _take(f: Frame, verb: str, incidents: Sequence[Incident], args: Sequence[dict[str, Any]]) -> None:
    """Send one batch; what was refused is told on the page, and never stops the others."""
    _ = f._
    commands = [command(verb, one, f.who, given) for one, given in zip(incidents, args, strict=True)]
    outcomes = submit(f.city, commands)
    refused = [
        (one, outcome.refusal.words(f.lang))
        for one, outcome in zip(incidents, outcomes, strict=True)
        if outcome.refusal is not None
    ]
    words = naming.verb(verb, f.lang)
    if refused:
        each = _("; ").join(f"{show_number(one.number)} {why}" for one, why in refused[:5])
        more = _(" and {n} more").format(n=len(refused) - 5) if len(refused) > 5 else ""
        told_so = _("{n} not taken, the other {rest}: {verb} done. {each}").format(
            n=len(refused), rest=len(outcomes) - len(refused), verb=words, each=each + more
        )
        st.session_state[CONFLICT] = Conflict(refused[0][0].id, told_so)
    else:
        done = _("{verb}: {n} done").format(verb=words, n=len(outcomes))
        st.toast(done[:1].upper() + done[1:], icon=":material/check:")
    _clear()


def _clear() -> None:
    close_dialog()
    st.session_state["wb-ticked"] = []
    st.session_state[CLEARED] = st.session_state.get(CLEARED, 0) + 1
