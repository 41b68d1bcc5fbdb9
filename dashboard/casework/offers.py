"""Shows who can go to a case and what can be done with it: ranked teams, the next step, the others, what cannot."""

from __future__ import annotations

from math import ceil
from typing import Any

import streamlit as st

from dashboard.casework.act import REFUSED, ask, is_open, open_dialog, prefilled, press, refusal
from dashboard.data import reads
from dashboard.data.workbench import Case, several
from dashboard.frame import Frame
from dashboard.markup import Markup, joined, markup, show
from dashboard.session import viewer
from dashboard.wording import names as naming
from dashboard.wording.catalogue import ROLES, chosen, translator
from dispatch.assignment.proposals import recorded
from dispatch.rules.areas import centre_of, level_of
from dispatch.rules.incident.chain import (
    ASSIGNMENT_STATES,
    LIVE,
    STATES,
    STEPS,
    Command,
    Context,
    Incident,
    Refusal,
    Step,
    decide,
    lawful,
)
from dispatch.rules.policy.policy import Policy
from dispatch.rules.teams.proposals import Offer
from dispatch.rules.teams.reasons import Because
from dispatch.rules.teams.routing import Roster
from dispatch.rules.words import say

OFFERS_OPEN = 3  # offers with their reasons; the others, and those that cannot go, stand below in a line each
OFFERS_BELOW = 6
PLACES_KEYED = 7  # what is chosen by its number; 8 and 9 answer a conflict
# Plain keys; what is not named has none. C and R are Streamlit's own. No two steps that may stand beside each other
# share a key; D is the filled button's, and a key that the queue or the tick of closing has is none of these.
KEYS = {
    "whistle": "W", "merge": "M", "send_check": "V", "reject": "Q", "recode": "L", "rework": "S", "add_assist": "A",
    "recall_assist": "Y", "suspend": "P", "supervise": "U", "escalate": "T", "hand_down": "J", "void": "X",
    "note": "Z", "remind": "B", "refuse_whistle": "O", "refuse_extension": "Q", "end_whistle": "K",
    "rate_whistle": "I", "take_over": "Y",
}  # fmt: skip
MET_KEY = "G"  # ticks that the closing standard is met; the page's own script presses it
BEFORE = ("reported", "checking")  # who could go is shown, but nobody can be sent yet
GONE = ("review", "refused", "declined", "recalled")
# The step that takes a case on from each of its states.
NEXT_STEP = {
    "reported": "accept", "checking": "check", "accepted": "dispatch", "dispatched": "pick_up", "in_hand": "dispose",
    "disposed": "verify", "verified": "close",
}  # fmt: skip
ALWAYS_ASK = frozenset({"reject", "void"})
# The step that a case waits for from a desk, most pressing first; of a case with a team nothing is but to urge it.
PRIMARY = (
    "send_whistle",
    "grant_extension",
    "accept",
    "dispatch",
    "verify",
    "close",
    "resume",
    "end_whistle",
    "remind",
)
TEXT_LIMIT = 200


def acting(f: Frame, found: Case) -> None:
    """Show the ranked teams, the reason, the next lawful step as the one filled button, and the others beside it."""
    _, incident, offers = f._, found.detail.incident, found.detail.offers
    steps = {step.verb: step for step in lawful(incident, f.who.actor) if meant(incident, step.verb)}
    sends = next((verb for verb in ("dispatch", "reassign") if verb in steps), "")
    ready = [offer for offer in offers if offer.open]
    lead = incident.lead.team_id if incident.lead is not None else None
    chosen_team = st.session_state.get(f"wb-team-{incident.id}")
    if chosen_team is None and sends == "dispatch" and ready:
        chosen_team = ready[0].team.id
    with st.container(key="wb-offers"):
        if not sends and incident.lead is None:
            _nobody_goes(f, found, steps)
        if sends or incident.lead is not None or (incident.state in BEFORE and offers):
            _offered(f, found, ready, chosen_team, lead, sends, "escalate" in steps)
        _not_now(f, incident, steps)
    with st.container(key="wb-go"):
        offer = next((each for each in offers if each.team.id == chosen_team), None)
        _beside(f, incident)
        _going(f, found, steps, sends if offer is not None else "", offer, ready)
        # The queue lets a key through only while the buttons are those of the case that is selected.
        show(markup('<span class="wb-of" data-case="{id}"></span>', id=incident.id))


def _nobody_goes(f: Frame, found: Case, steps: dict[str, Step]) -> None:
    """Say what the desk is to do with a case to which nobody is to be sent now, and why nobody is."""
    _, incident = f._, found.detail.incident
    reported = next((e for e in reversed(found.detail.events) if e.verb in ("dispose", "solve")), None)
    match incident.state:
        case "reported":
            title, why = _("Accept or decline it"), _("Nobody is sent before it is accepted.")
        case "checking":
            title = _("Wait for the check on the spot")
            why = _("Nobody is sent before it is known whether the report is true.")
        case "accepted":
            title, why = _("It waits for its dispatch"), _("Who may send a team is said below.")
        case "disposed":
            title = _("Check the result")
            why = _("The work is reported as done: nobody is sent unless the check sends it back.")
        case "verified":
            title = _("Close it")
            why = _("The check was passed: nobody is sent. Tick the standard once all of it is met.")
        case _:
            title, why = _("It has ended"), _("Nobody is sent to what has ended.")
    if incident.paused_why is not None:
        title, why = _("It is suspended"), incident.paused_why
    if incident.ended_at is None and not any(verb in steps for verb in PRIMARY if verb != "remind"):
        roles = STEPS[NEXT_STEP[incident.state]].roles
        names = _(", ").join(_(ROLES[role]) for role in ROLES if role in roles and role != "system")
        why += " " + _("The next step is for {roles}.").format(roles=names)
    result = None
    if reported is not None:
        result = markup(
            '<p class="wb-result"><b>{who}</b> {at}<br>{words}</p>',
            who=naming.actor(f.directory, reported.actor, f.lang), at=naming.moment(reported.at),
            words=reported.change.said.get("result") or "",
        )  # fmt: skip
    to_do(title, why, result)


def to_do(title: str, why: str, more: Markup | None = None) -> None:
    """Show in the place of the teams what a desk is to do instead, and why."""
    show(
        markup(
            '<div class="wb-todo"><p class="wb-h2">{title}</p><p class="wb-m2">{why}</p>{more}</div>',
            title=title, why=why, more=more or "",
        )
    )  # fmt: skip


def _beside(f: Frame, incident: Incident) -> None:
    """Name the units that assist, each with how far it has come, and those that the type names and nobody has sent."""
    _, policy = f._, f.city.policy()
    kind = policy.types.get(incident.category)
    parts = [part for part in incident.parts.values() if part.role == "assist" and part.state not in GONE]
    chips = [
        markup(
            '<span class="gw-tag {tone}">{team} · {state}</span>',
            tone="green" if part.state in ("on_site", "done", "ended") else "",
            team=naming.team(f.directory, part.team_id, f.lang),
            state=say(ASSIGNMENT_STATES[part.state], f.lang),
        )
        for part in parts
    ]
    teams = {f.directory.teams[part.team_id].trade for part in parts if part.team_id in f.directory.teams}
    for trade in kind.assist if kind is not None and incident.ended_at is None else ():
        if trade not in teams and trade in policy.trades:
            chips.append(
                markup('<span class="gw-tag off">＋ {trade}</span>', trade=say(policy.trades[trade], f.lang))
            )
    if chips:
        show(
            markup(
                '<div class="wb-row wb-beside"><span class="wb-m">{assist}</span>{chips}</div>',
                assist=_("Assist"), chips=joined(chips),
            )
        )  # fmt: skip


def _offered(
    f: Frame,
    found: Case,
    ready: list[Offer],
    chosen_team: int | None,
    lead: int | None,
    sends: str,
    raised: bool,
) -> None:
    """Show the ranked teams with what speaks for and against them, and who cannot go and why."""
    _, incident, offers = f._, found.detail.incident, found.detail.offers
    title = _("Who goes") if sends or lead is not None else _("Who could go")
    stale = any(because.code == "near_station" for offer in ready for because in offer.reasons)
    notes = [_("distances from the station")] if stale else []
    if any(_minutes_away(f, offer) for offer in ready):
        speed = round(60 / f.city.policy().weights.km)
        notes.append(_("straight line at {speed} km/h").format(speed=speed))
    show(
        markup(
            '<div class="wb-row"><span class="wb-h2">{title}</span><span class="wb-m">{counts}</span>'
            '<span class="sp"></span><span class="wb-m">{notes}</span></div>',
            title=title, counts=_("{n} can go · {m} cannot").format(n=len(ready), m=len(offers) - len(ready)),
            notes=_("; ").join(notes),
        )
    )  # fmt: skip
    if not ready and incident.lead is None:
        out = (
            _("Ways out: blow the whistle (W), raise it (T), or wait: it stays on top and is tried again.")
            if raised
            else _("Ways out: blow the whistle (W), or wait: it stays on top and is tried again.")
        )
        why = _("; ").join(because.words(f.lang) for because in found.why_none)
        none = _("There is no team to send.")
        show(markup('<div class="wb-none"><b>{none}</b> {why}<br>{out}</div>', none=none, why=why, out=out))
    shown = ready[:OFFERS_OPEN]
    if chosen_team is not None and all(each.team.id != chosen_team for each in shown):
        shown += [each for each in offers if each.team.id == chosen_team]
    # Whoever holds it is among them, however many could do it better.
    shown += [each for each in offers if each.team.id == lead and each not in shown]
    for place, offer in enumerate(shown, 1):
        _offer(f, incident, offer, place, chosen_team == offer.team.id, lead == offer.team.id, bool(sends))
    rest = [each for each in offers if each not in shown]
    if rest:
        lines = joined(
            markup(
                "<p><b>{team}</b>{against}</p>",
                team=naming.team(f.directory, each.team.id, f.lang),
                against=_("; ").join(b.words(f.lang) for b in _own_first(each)) or _("farther"),
            )
            for each in rest[:OFFERS_BELOW]
        )
        more = _("and {n} more").format(n=len(rest) - OFFERS_BELOW) if len(rest) > OFFERS_BELOW else ""
        show(
            markup(
                '<div class="wb-no"><p class="wb-h2">{others} {n}</p>{lines}{more}</div>',
                others=_("Others, and why not"), n=len(rest), lines=lines, more=more,
            )
        )  # fmt: skip
        if sends:
            with st.popover(_("Send one of these all the same"), key="wb-rest", width="stretch"):
                for each in rest:
                    name = naming.team(f.directory, each.team.id, f.lang)
                    st.button(
                        name, key=f"wb-pick-{each.team.id}", on_click=_pick, args=(incident.id, each.team.id),
                        width="stretch",
                    )  # fmt: skip


def _minutes_away(f: Frame, offer: Offer) -> int | None:
    """Return about how many minutes a team's way takes, by the policy's minutes for a km as the crow flies.

    None where the way is not known, or is worth nothing to the policy: then nothing is estimated from it.
    """
    each = f.city.policy().weights.km
    return None if offer.km is None or not each else max(1, ceil(offer.km * each))


def _own_first(offer: Offer) -> list[Because]:
    """Return what speaks against a team: first what is of the team itself, then what is of its whole trade."""
    return sorted(offer.shortfalls, key=lambda because: because.code in ("misdispatch", "other_trade"))


def _offer(
    f: Frame, incident: Incident, offer: Offer, place: int, on: bool, holds: bool, sends: bool
) -> None:
    _ = f._
    name = naming.team(f.directory, offer.team.id, f.lang)
    tag = Markup("")
    if holds:
        tag = markup('<span class="gw-tag">{t}</span>', t=_("holds it now"))
    elif place == 1 and offer.open:
        tag = markup('<span class="gw-tag green">{t}</span>', t=_("proposed"))
    way = markup("{km}", km=f"{offer.km:.1f} km" if offer.km is not None else "")
    if minutes := _minutes_away(f, offer):
        way = markup("<b>{about}</b> · {km}", about=_("about {n} min").format(n=minutes), km=way)
    good = joined(markup("<li>{why}</li>", why=because.words(f.lang)) for because in offer.reasons)
    bad = joined(
        markup(
            '<li class="{kind}" data-mark="{mark}">{why}</li>',
            kind="x" if because.code in ("misdispatch", "other_trade") else "w",
            mark=_("lacks"),
            why=because.words(f.lang),
        )
        for because in offer.shortfalls
    )
    with st.container(key=f"wb-offer-{place}"):
        show(
            markup(
                '<div class="wb-o {on}"><span class="wb-ra"></span><b>{name}</b>{tag}<span class="sp"></span>'
                '<span class="wb-m2">{way}</span></div><ul class="wb-why">{good}{bad}</ul>',
                on="wb-on" if on else "", name=name, tag=tag, way=way, good=good, bad=bad,
            )
        )  # fmt: skip
        if sends and not on and not holds and place <= PLACES_KEYED:
            st.button(
                _("Choose"), key=f"wb-choose-{place}", shortcut=str(place), on_click=_pick,
                args=(incident.id, offer.team.id), type="tertiary",
            )  # fmt: skip


def _going(
    f: Frame, found: Case, steps: dict[str, Step], sends: str, offer: Offer | None, ready: list[Offer]
) -> None:
    """Ask for the reason, and offer the next lawful step as the one filled button, the others beside it."""
    _, incident = f._, found.detail.incident
    key = f"wb-reason-{incident.id}"
    overrides = offer is not None and (not ready or offer.team.id != ready[0].team.id)
    if steps:
        hint = (
            _("Reason (E): needed, both choices are kept")
            if sends and (overrides or sends == "reassign")
            else _("Reason (E): not needed for the first team")
            if sends == "dispatch"
            else _("Reason (E)")
        )
        st.text_input(
            _("Reason"), key=key, max_chars=TEXT_LIMIT, placeholder=hint, label_visibility="collapsed",
            persist_state="page",
        )  # fmt: skip
    reason = str(st.session_state.get(key) or "").strip()
    if why := refusal(incident):
        show(markup('<span class="wb-refused" role="alert">{why}</span>', why=why))
    # What a person waits for the desk to answer comes before sending somebody else.
    answers = "send_whistle" in steps or "grant_extension" in steps
    primary = sends if sends and not answers and (sends == "dispatch" or offer is not None) else ""
    # Where no team can go nobody is there to be reminded: the ways out stand beside, none before the others.
    idle = ("dispatch", "remind") if incident.state == "accepted" else ("dispatch",)
    primary = primary or next((verb for verb in PRIMARY if verb in steps and verb not in idle), "")
    if primary in ("dispatch", "reassign") and offer is not None:
        name = naming.team(f.directory, offer.team.id, f.lang)
        words_of = _("Dispatch to {team}") if primary == "dispatch" else _("Reassign to {team}")
        st.button(
            words_of.format(team=name), key="wb-primary", type="primary", shortcut="D", width="stretch",
            on_click=_send,
            args=(primary, incident, recorded(ready[0] if ready else offer), offer.team.id, overrides, key),
        )  # fmt: skip
    elif primary:
        met_key = f"wb-met-{incident.id}" if primary == "close" else ""
        if met_key:
            st.checkbox(_("The closing standard is met"), key=met_key)
        st.button(
            naming.label(primary, f.lang), key="wb-primary", type="primary", width="stretch",
            # Urging is no next step: whoever presses D twice has sent a team, and urges nobody.
            shortcut=KEYS["remind"] if primary == "remind" else "D", on_click=_go_on, args=(primary, incident, met_key),
        )  # fmt: skip
    _others(f, found, steps, primary, reason)


def _others(f: Frame, found: Case, steps: dict[str, Step], primary: str, reason: str) -> None:
    """Offer every other lawful step as an outlined button; one that needs something asks for it first."""
    incident = found.detail.incident
    order = [*KEYS, *(verb for verb in steps if verb not in KEYS)]
    rest = [steps[verb] for verb in order if verb in steps and verb not in (primary, "dispatch", "reassign")]
    with st.container(key="wb-verbs", horizontal=True):
        for step in rest:
            shortcut, key = KEYS.get(step.verb), f"wb-do-{step.verb}"
            if step.verb == "merge" and found.likes:
                first = next((each for each in found.likes if each.ended_at is None), None)
                if first is not None:
                    # The way round of the button beside the likeness: the case that is looked at stays.
                    joins = first.state in step.sources
                    st.button(
                        naming.label(step.verb, f.lang), key=key, shortcut=shortcut,
                        on_click=take_other if joins else take,
                        args=(first.id, {"into": incident.id}) if joins else ("merge", incident, {"into": first.id}),
                    )  # fmt: skip
                    continue
            if ((step.needs or step.may) and step.verb != "merge") or step.verb in ALWAYS_ASK or step.needs:
                st.button(
                    naming.label(step.verb, f.lang), key=key, shortcut=shortcut, on_click=open_dialog,
                    args=(step.verb, incident.id),
                )  # fmt: skip
                if is_open(step.verb, incident.id):
                    ask(f, step, found.detail, reason or prefilled(step.verb, f._))
            else:
                st.button(
                    naming.label(step.verb, f.lang), key=key, shortcut=shortcut, on_click=take,
                    args=(step.verb, incident, {}),
                )  # fmt: skip


def _not_now(f: Frame, incident: Incident, steps: dict[str, Step]) -> None:
    """Say in words which of the common steps the law does not allow now, and why."""
    _ = f._
    told_why: dict[str, list[str]] = {}
    policy = f.city.policy()
    for verb in ("dispatch", "reassign", "merge", "suspend", "supervise", "close"):
        if verb in steps:
            continue
        step = STEPS[verb]
        if f.who.role not in step.roles:
            names = _(", ").join(_(ROLES[role]) for role in ROLES if role in step.roles and role != "system")
            why = _("for {roles}").format(roles=names)
        else:
            why = _why(f, incident, verb, policy)
        told_why.setdefault(why, []).append(naming.label(step.verb, f.lang))
    if told_why:
        each = _("; ").join(f"{_(', ').join(verbs)} — {why}" for why, verbs in told_why.items())
        show(markup('<div class="wb-m">{not_now} {each}</div>', not_now=_("Not now:"), each=each))


def _why(f: Frame, incident: Incident, verb: str, policy: Policy) -> str:
    _ = f._
    asked = Command(verb, incident.id, f.who.actor, "", {})
    answer = decide(incident, asked, policy, Context(Roster((), policy.weights), lambda: 0), incident.last_at)
    if isinstance(answer, Refusal) and answer.code == "not_now":
        state = say(STATES[incident.state], f.lang)
        return _("it is: {state}").format(state=state)
    return answer.words(f.lang) if isinstance(answer, Refusal) else _("not now")


def meant(incident: Incident, verb: str) -> bool:
    """Tell whether a lawful step has anything to act on: no extension is granted that nobody asked for."""
    match verb:
        case "resume":
            return incident.paused_why is not None
        case "grant_extension" | "refuse_extension":
            return incident.facts.get("extension_asked") is not None
        case "recall_assist":
            return any(part.role == "assist" and part.state in LIVE for part in incident.parts.values())
        case "hand_down":
            return incident.level < int(level_of(centre_of(incident.area_code)))
        case "escalate":
            return incident.level > 1
        case "judge_appeal":
            return incident.facts.get("appeal") is not None
    return True


def _pick(incident_id: int, team_id: int) -> None:
    st.session_state[f"wb-team-{incident_id}"] = team_id


def take(verb: str, incident: Incident, args: dict[str, Any]) -> None:
    """Take a step as a button's callback."""
    press(verb, incident, args)


def _go_on(verb: str, incident: Incident, met_key: str) -> None:
    """Take the next step; what closing asks for is read as it stands now, not as it stood when the page was drawn."""
    press(verb, incident, {"standard": bool(st.session_state.get(met_key))} if met_key else {})


def take_other(other_id: int, args: dict[str, Any]) -> None:
    """Merge another case, as it is now, into the one that is looked at."""
    who = viewer()
    if who is not None and (found := several(reads(), who.actor, [other_id])):
        press("merge", found[0], args)


def _send(
    verb: str, incident: Incident, offer: dict[str, Any], team_id: int, overrides: bool, field_key: str
) -> None:
    """Send the chosen team; another than the first needs a reason, and both are kept."""
    reason = str(st.session_state.get(field_key) or "").strip()
    args: dict[str, Any] = {"team_id": team_id, "offer": offer}
    if reason:
        args["reason"] = reason
    if overrides and verb == "dispatch" and not reason:
        lang = chosen(st.query_params.get("lang"))
        st.session_state[REFUSED] = (
            incident.id,
            translator(lang)("Another team than the first needs a reason: press E and write it."),
        )
        return
    if press(verb, incident, args, field_key):
        st.session_state.pop(f"wb-team-{incident.id}", None)
