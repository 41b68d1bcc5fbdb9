"""Presses a step for whoever looked at a case: says who was quicker, keeps what was typed, asks for what is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg
import streamlit as st

from dashboard import address
from dashboard.casework import inputs
from dashboard.data import CityReads, Detail, Viewer, reads
from dashboard.frame import Frame
from dashboard.markup import markup, show
from dashboard.session import viewer
from dashboard.wording import names
from dashboard.wording.catalogue import Translate, chosen, translator
from dispatch.desk.desk import Outcome
from dispatch.intake.messages import show_number
from dispatch.rules.incident import reasons
from dispatch.rules.incident.chain import STEPS, Command, Done, Incident, Step
from models.servers.database import addresses

IN_WORDS = frozenset({"suspend", "decline", "appeal", "judge_appeal"})
CONFLICT, REFUSED, FRESH, WRITTEN = "wb-conflict", "wb-refused", "wb-fresh", "wb-written"
OPENED = "wb-opened"  # the dialog that is open: it stays open whatever else the page hears meanwhile


@dataclass(frozen=True, slots=True)
class Conflict:
    """A step that was not taken because somebody else was quicker; it stays until it is answered."""

    incident_id: int
    words: str
    verb: str = ""
    args: Mapping[str, Any] = field(default_factory=dict)


def press(verb: str, incident: Incident, args: Mapping[str, Any], field_key: str = "") -> bool:
    """Take a step on a case as it was seen, as whoever is signed in; return whether it was taken.

    Where somebody changed it meanwhile, nothing is sent and a conflict stands on the page; a refusal stands at the
    button, and so does that the database is away. What was typed under `field_key` is cleared only when the step was
    taken.
    """
    try:
        return _pressed(verb, incident, args, field_key)
    except psycopg.Error:
        lang = chosen(st.query_params.get("lang"))
        words = translator(lang)(
            "The database does not answer: the step may not have been taken. Look before you press again."
        )
        st.session_state[REFUSED] = (incident.id, words)
        return False


def _pressed(verb: str, incident: Incident, args: Mapping[str, Any], field_key: str) -> bool:
    who = viewer()
    if who is None:
        return False
    lang = chosen(st.query_params.get("lang"))
    city = reads()
    st.session_state.pop(REFUSED, None)
    outcome = submit(city, [command(verb, incident, who, args)])[0]
    if outcome.quicker is not None:
        found = conflict_words(outcome.quicker, incident, verb, lang)
        st.session_state[CONFLICT] = Conflict(incident.id, found, verb, dict(args))
        return False
    if outcome.refusal is not None:
        st.session_state[REFUSED] = (incident.id, outcome.refusal.words(lang))
        return False
    done = translator(lang)("{verb}: done").format(verb=names.verb(verb, lang))
    st.toast(done[:1].upper() + done[1:], icon=":material/check:")
    if field_key:
        st.session_state[FRESH] = field_key
        st.session_state[WRITTEN] = [incident.id]
    return True


def command(verb: str, incident: Incident, who: Viewer, args: Mapping[str, Any]) -> Command:
    """Return the command of a press: pressed twice on the same state, it is one."""
    return Command(
        verb, incident.id, who.actor, f"desk-{who.actor.id}-{incident.seq}", dict(args), incident.seq
    )


def submit(city: CityReads, commands: Sequence[Command]) -> list[Outcome]:
    """Hand commands to the Desk and tell the screens."""
    return city.submit(commands, datetime.now(UTC), addresses().redis_url)


def conflict_words(quicker: Done, incident: Incident, verb: str, lang: str) -> str:
    """Return who did what to a case before one's own step."""
    _ = translator(lang)
    who = names.actor(reads().known(), quicker.actor, lang)
    at = f"{quicker.at.astimezone(names.zone()):%H:%M}"
    text = _("{who} already did “{done}” at {at}: {number}.").format(
        who=who, done=names.verb(quicker.verb, lang), at=at, number=show_number(incident.number)
    )
    given = reasons.words(quicker.reason, lang)
    reason = " " + _("Reason given: “{reason}”.").format(reason=given) if given else ""
    mine = " " + _("Your “{verb}” was not sent; what you chose and wrote is kept.").format(
        verb=names.verb(verb, lang)
    )
    return text + reason + mine


def conflict(f: Frame) -> None:
    """Show the conflict, if there is one, with its ways out; it stays until one of them is taken."""
    found = st.session_state.get(CONFLICT)
    if not isinstance(found, Conflict):
        return
    _ = f._
    with st.container(key="wb-conflict", horizontal=True, vertical_alignment="center"):
        show(markup('<span class="gw-light yellow"></span><b>{words}</b>', words=found.words))
        if found.verb:
            st.button(_("See it now"), key="wb-see", shortcut="8", on_click=_see, args=(found,))
            st.button(_("Do mine anyway"), key="wb-mine", shortcut="9", on_click=_insist, args=(found,))
        st.button(_("Understood"), key="wb-understood", type="tertiary", on_click=_answered)


def _answered() -> None:
    st.session_state.pop(CONFLICT, None)


def _see(found: Conflict) -> None:
    address.choose(id=str(found.incident_id))
    _answered()


def _insist(found: Conflict) -> None:
    """Send one's own step on the case as it is now; a dispatch of what is dispatched already is a reassignment."""
    who = viewer()
    if who is None:
        return
    lang = chosen(st.query_params.get("lang"))
    _ = translator(lang)
    city = reads()
    detail = city.detail(who.actor, found.incident_id)
    _answered()
    if detail is None:
        return
    verb, args = found.verb, dict(found.args)
    if verb == "dispatch" and verb_for(detail.incident, verb) != "dispatch":
        verb = "reassign"
    # What is kept as a text beside the event, or judged by it, has to be said in words.
    if "reason" in STEPS[verb].needs and verb not in IN_WORDS and not args.get("reason"):
        args["reason"] = reasons.coded("after_conflict")
    press(verb, detail.incident, args)


def verb_for(incident: Incident, verb: str) -> str:
    """Return the step that sends a team as the case stands: the first dispatch, or a reassignment."""
    return "reassign" if verb == "dispatch" and incident.state in STEPS["reassign"].sources else verb


def refusal(incident: Incident) -> str:
    """Return the sentence of the last refusal on this case, or nothing."""
    found = st.session_state.get(REFUSED)
    return found[1] if found and found[0] == incident.id else ""


def open_dialog(*which: object) -> None:
    """Note which dialog is to be open, as a button's callback."""
    st.session_state[OPENED] = which


def is_open(*which: object) -> bool:
    """Tell whether this dialog is to be open."""
    return st.session_state.get(OPENED) == which


def close_dialog() -> None:
    """Note that no dialog is open any more."""
    st.session_state.pop(OPENED, None)


def ask(f: Frame, step: Step, detail: Detail, reason: str = "") -> None:
    """Ask in a dialog for what a step needs, with the reason filled in, and take it once it is confirmed."""
    _ = f._
    words = names.label(step.verb, f.lang)
    incident = detail.incident

    @st.dialog(f"{words}　{show_number(incident.number)}", on_dismiss=close_dialog)
    def shown() -> None:
        key = f"ask-{step.verb}-{incident.id}-{incident.seq}"
        given = {
            need: inputs.ask(f, step, need, detail, key, reason if need in ("reason", "note") else "")
            for need in (*step.needs, *step.may)
        }
        args = {need: value for need, value in given.items() if value not in (None, "", ())}
        confirm(
            _("Confirm: {verb}").format(verb=words),
            key,
            lambda: press(step.verb, incident, args),
            f,
            incident,
        )

    shown()


def confirm(label: str, key: str, taken: Callable[[], bool], f: Frame, incident: Incident) -> None:
    """Show the button that ends a dialog; a refusal stands below it and keeps what was typed."""
    if st.button(label, key=key, type="primary", shortcut="Enter", width="stretch"):
        if taken() or isinstance(st.session_state.get(CONFLICT), Conflict):
            close_dialog()
            st.rerun()
    if why := refusal(incident):
        show(markup('<span class="wb-refused">{why}</span>', why=why))


def prefilled(verb: str, _: Translate) -> str:
    """Return the reason that a dialog begins with."""
    return {
        "whistle": _("One unit cannot settle this alone; others must come to the spot."),
        "suspend": _("Waits for a condition that the unit cannot bring about."),
        "supervise": _("Near or past its limit without progress."),
        "escalate": _("Beyond what the town can settle."),
        "hand_down": _("To be settled where it lies."),
    }.get(verb, "")
