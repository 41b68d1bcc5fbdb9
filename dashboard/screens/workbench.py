"""The dispatcher's workbench: what is next, what is it, who goes; one line to the server keeps it live."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard import case_sheet as sheet
from dashboard import many, told
from dashboard.data import demo
from dashboard.data.workbench import Case, Like, case, outlines
from dashboard.frame import Frame, framed
from dashboard.pressing import FRESH, WRITTEN, ask, conflict, prefilled, press, refusal
from dashboard.words import ROLES, chosen, translator
from dispatch.assigning import recorded
from dispatch.messages import show_number
from dispatch.rules.assignment import Offer
from dispatch.rules.chain import STATES, STEPS, Around, Command, Incident, Refusal, Step, decide, lawful
from dispatch.rules.policy import Policy
from dispatch.rules.routing import Roster

FOLDER = Path(__file__).resolve().parents[1] / "components" / "workbench"
STAGES = ("", "accept", "dispatch", "returned", "pick_up", "whistle", "approve", "check", "close", "in_hand")
OFFERS_OPEN = 3  # offers with their reasons; the others, and those that cannot go, stand below in a line each
OFFERS_BELOW = 6
# Plain keys; what is not named has none. C and R are Streamlit's own.
KEYS = {
    "whistle": "W", "merge": "M", "send_check": "V", "suspend": "P", "supervise": "U", "escalate": "T",
    "hand_down": "J", "void": "X", "note": "Z", "remind": "B",
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
_SENTENCE = re.compile(r"""\bt\(\s*"((?:[^"\\]|\\.)*)"\s*\)""")


def page() -> None:
    """Show the workbench of whoever is signed in: the queue of their area, and the case that `?id=` names."""
    with framed("workbench") as f:
        st.html(f"<style>{_style()}</style>")
        if (key := st.session_state.pop(FRESH, "")) and key in st.session_state:
            st.session_state[key] = ""
        now = datetime.now(UTC)
        _part(f, "head", "wb-head", where=_where(f), stage=_stage(), demo=demo(), on_stage_change=_staged)
        conflict(f)
        wish = st.query_params.get("id", "")
        found = case(f.door, f.who.actor, int(wish), now) if wish.isdigit() and len(wish) <= 18 else None
        with st.container(key="wb"):
            left, middle, right = st.columns([46, 89, 50], gap="small")
            with left, st.container(key="wb-queue"):
                _queue(f, wish if found is not None else "")
            with middle, st.container(key="wb-case"):
                if found is not None:
                    _sheet(f, found, now)
                else:
                    _nothing(f, wish)
            with right, st.container(key="wb-act"):
                if found is not None:
                    _acting(f, found, now)
        with st.bottom, st.container(key="wb-bulk", horizontal=True, vertical_alignment="center"):
            many.bar(f, st.session_state.get("wb-ticked") or [])
            st.space("stretch")
            _keys(f)


# ---- the live parts --------------------------------------------------------------------------------------------


def _part(f: Frame, part: str, key: str, **data: Any) -> Any:
    """Mount one live part; `on_…_change` are its callbacks."""
    calls = {name: data.pop(name) for name in list(data) if name.startswith("on_")}
    given = {
        "part": part, "area": f.who.area, "lang": f.lang, "me": f.who.actor.id, "words": words(f.lang), **data,
    }  # fmt: skip
    return _component()(key=key, data=given, **calls)


def _queue(f: Frame, selected: str) -> None:
    _part(
        f, "queue", "wb-rows", selected=selected, cleared=st.session_state.get(many.CLEARED, 0),
        written=[str(each) for each in st.session_state.pop(WRITTEN, [])],
        on_selected_change=_selected, on_ticked_change=_ticked, on_stage_change=_staged, on_draft_change=_drafted,
    )  # fmt: skip


def _selected() -> None:
    value = getattr(st.session_state.get("wb-rows"), "selected", None)
    if isinstance(value, str) and value.isdigit():
        st.query_params["id"] = value


def _ticked() -> None:
    value = getattr(st.session_state.get("wb-rows"), "ticked", None) or []
    st.session_state["wb-ticked"] = [int(each) for each in value if str(each).isdigit()][: many.LIMIT]


def _staged() -> None:
    for key in ("wb-head", "wb-rows"):
        value = getattr(st.session_state.get(key), "stage", None)
        if value is not None and value != st.session_state.get(f"{key}-stage"):
            st.session_state[f"{key}-stage"] = value
            if value in STAGES[1:]:
                st.query_params["stage"] = value
            else:
                st.query_params.pop("stage", None)


def _drafted() -> None:
    """Take back what was being written before a refresh; what is written now goes first."""
    value = getattr(st.session_state.get("wb-rows"), "draft", None)
    if value and str(value.get("id", "")).isdigit():
        key = f"wb-reason-{value['id']}"
        if not st.session_state.get(key):
            st.session_state[key] = str(value.get("text", ""))[:TEXT_LIMIT]


def _stage() -> str:
    wish = st.query_params.get("stage", "")
    return wish if wish in STAGES else ""


def _where(f: Frame) -> str:
    return f"{told.area(f.directory, f.who.area, f.lang)} · {f._(ROLES[f.who.role])} {f.who.name}"


# ---- the case --------------------------------------------------------------------------------------------------


def _nothing(f: Frame, wish: str) -> None:
    _ = f._
    if wish:
        st.warning(_("There is no such incident."))
    else:
        st.info(_("Choose a case on the left: ↑ and ↓, or a click."))


def _sheet(f: Frame, found: Case, now: datetime) -> None:
    _, lang, directory = f._, f.lang, f.directory
    detail, incident = found.detail, found.detail.incident
    st.html(sheet.head(incident, directory, lang))
    _part(
        f, "clocks", "wb-clocks", steps=sheet.clocks(incident, directory.calendar, now, lang),
        held={**sheet.held(incident, directory, lang), "where": sheet.where(incident, directory, lang)},
    )  # fmt: skip
    photos, small_map = st.columns([135, 100], gap="small")
    with photos:
        st.html(sheet.photos(detail, lang))
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
        f"{sheet.ledger(detail.segments, directory, now, lang)}"
    )
    st.html(
        f'<span class="wb-h2">{escape(_("Closing standard"))}</span> <span class="wb-m">'
        f"{escape(_('ticked by whoever checks; nobody checks their own work'))}</span>"
        f'<p class="wb-standard">□ {escape(_("the matter is gone from the spot"))}　□ '
        f"{escape(_('photos before and after from the same side'))}　□ {escape(_('the reporter was told'))}　□ "
        f"{escape(_('no rubbish, damage or danger is left behind'))}</p>"
    )


def _map(f: Frame, found: Case, now: datetime) -> None:
    incident = found.detail.incident
    marks: list[dict[str, Any]] = []
    if incident.lon is not None and incident.lat is not None and incident.located == "point":
        marks.append(
            {"kind": "case", "lon": incident.lon, "lat": incident.lat,
             "light": sheet.light_of(incident, now, f.directory.calendar)}
        )  # fmt: skip
        for offer in [each for each in found.detail.offers if each.open][:OFFERS_OPEN]:
            if offer.team.lon is not None and offer.team.lat is not None:
                km = f" {offer.km:.1f} km" if offer.km is not None else ""
                name = told.team(f.directory, offer.team.id, f.lang)
                marks.append(
                    {"kind": "team", "lon": offer.team.lon, "lat": offer.team.lat, "label": name + km}
                )
    _part(
        f, "map", "wb-map", id=incident.id, own=incident.area_code, marks=marks,
        outlines=_outlines(f, incident.area_code) if marks else [],
    )  # fmt: skip


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
        text, button = st.columns([10, 3], gap="small", vertical_alignment="center")
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
            _("Merge into this"), key=key, on_click=_press_other, args=(each.id, {"into": incident.id}),
            disabled=f.who.role not in STEPS["merge"].roles,
        )  # fmt: skip
    elif each.ended_at is None and may:
        st.button(
            _("Merge this into it"), key=key, on_click=_press, args=("merge", incident, {"into": each.id})
        )
    else:
        note = _("Likely the same matter as {number}").format(number=show_number(each.number))
        allowed = "note" in {step.verb for step in lawful(incident, f.who.actor)}
        st.button(
            _("Link"), key=key, on_click=_press, args=("note", incident, {"note": note}), disabled=not allowed
        )


# ---- who goes, and what to do ----------------------------------------------------------------------------------


def _acting(f: Frame, found: Case, now: datetime) -> None:
    _, incident, offers = f._, found.detail.incident, found.detail.offers
    steps = {step.verb: step for step in lawful(incident, f.who.actor) if meant(incident, step.verb)}
    sends = next((verb for verb in ("dispatch", "reassign") if verb in steps), "")
    ready = [offer for offer in offers if offer.open]
    lead = incident.lead.team_id if incident.lead is not None else None
    chosen_team = st.session_state.get(f"wb-team-{incident.id}")
    if chosen_team is None and sends == "dispatch" and ready:
        chosen_team = ready[0].team.id
    with st.container(key="wb-offers"):
        if incident.ended_at is None:
            _offered(f, found, ready, chosen_team, lead, sends)
    with st.container(key="wb-go"):
        offer = next((each for each in offers if each.team.id == chosen_team), None)
        _going(f, found, steps, sends if offer is not None else "", offer, ready)


def _offered(
    f: Frame, found: Case, ready: list[Offer], chosen_team: int | None, lead: int | None, sends: str
) -> None:
    """Show the ranked teams with what speaks for and against them, and who cannot go and why."""
    _, incident, offers = f._, found.detail.incident, found.detail.offers
    stale = any(because.code == "near_station" for offer in ready for because in offer.reasons)
    st.html(
        f'<div class="wb-row"><span class="wb-h2">{escape(_("Who goes"))}</span><span class="wb-m">'
        f"{escape(_('{n} can go · {m} cannot').format(n=len(ready), m=len(offers) - len(ready)))}</span>"
        f'<span class="sp"></span><span class="wb-m">'
        f"{escape(_('distances from the station') if stale else '')}</span></div>"
    )
    if not ready:
        why = "；".join(because.words(f.lang) for because in found.why_none)
        st.html(
            f'<div class="wb-none"><b>{escape(_("There is no team to send."))}</b> {escape(why)}<br>'
            f"{escape(_('Ways out: blow the whistle (W), raise it (T), or wait: it stays on top and is tried again.'))}"
            "</div>"
        )
    shown = ready[:OFFERS_OPEN]
    if chosen_team is not None and all(each.team.id != chosen_team for each in shown):
        shown += [each for each in offers if each.team.id == chosen_team]
    for place, offer in enumerate(shown, 1):
        _offer(f, incident, offer, place, chosen_team == offer.team.id, lead == offer.team.id, bool(sends))
    rest = [each for each in offers if each not in shown]
    if rest:
        lines = "".join(
            f"<p><b>{escape(told.team(f.directory, each.team.id, f.lang))}</b>"
            f"{escape('；'.join(b.words(f.lang) for b in each.shortfalls) or _('farther'))}</p>"
            for each in rest[:OFFERS_BELOW]
        )
        more = _("and {n} more").format(n=len(rest) - OFFERS_BELOW) if len(rest) > OFFERS_BELOW else ""
        st.html(
            f'<div class="wb-no"><p class="wb-h2">{escape(_("Others, and why not"))} {len(rest)}</p>{lines}{more}</div>'
        )
        if sends:
            with st.popover(_("Send one of these all the same"), width="stretch"):
                for each in rest:
                    name = told.team(f.directory, each.team.id, f.lang)
                    st.button(
                        name, key=f"wb-pick-{each.team.id}", on_click=_pick, args=(incident.id, each.team.id),
                        width="stretch",
                    )  # fmt: skip


def _offer(
    f: Frame, incident: Incident, offer: Offer, place: int, on: bool, holds: bool, sends: bool
) -> None:
    _ = f._
    name = told.team(f.directory, offer.team.id, f.lang)
    tag = f'<span class="gw-tag green">{escape(_("proposed"))}</span>' if place == 1 and offer.open else ""
    if holds:
        tag = f'<span class="gw-tag">{escape(_("holds it now"))}</span>'
    km = f"{offer.km:.1f} km" if offer.km is not None else ""
    good = "".join(f"<li>{escape(because.words(f.lang))}</li>" for because in offer.reasons)
    mark = escape(_("lacks"))
    bad = "".join(
        f'<li class="{"x" if because.code in ("misdispatch", "other_trade") else "w"}" data-mark="{mark}">'
        f"{escape(because.words(f.lang))}</li>"
        for because in offer.shortfalls
    )
    with st.container(key=f"wb-offer-{place}"):
        st.html(
            f'<div class="wb-o {"wb-on" if on else ""}"><span class="wb-ra"></span><b>{escape(name)}</b>{tag}'
            f'<span class="sp"></span><span class="wb-m2">{km}</span></div><ul class="wb-why">{good}{bad}</ul>'
        )
        if sends and not on and place <= 9:
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
        )
        st.text_input(
            _("Reason"), key=key, max_chars=TEXT_LIMIT, placeholder=hint, label_visibility="collapsed",
            persist_state="page",
        )  # fmt: skip
    reason = str(st.session_state.get(key) or "").strip()
    if why := refusal(incident):
        st.html(f'<span class="wb-refused" role="alert">{escape(why)}</span>')
    primary = sends if sends and (sends == "dispatch" or offer is not None) else ""
    primary = primary or next((verb for verb in PRIMARY if verb in steps and verb != "dispatch"), "")
    if primary in ("dispatch", "reassign") and offer is not None:
        name = told.team(f.directory, offer.team.id, f.lang)
        words_of = _("Dispatch to {team}") if primary == "dispatch" else _("Reassign to {team}")
        st.button(
            words_of.format(team=name), key="wb-primary", type="primary", shortcut="D", width="stretch",
            on_click=_send,
            args=(primary, incident, recorded(ready[0] if ready else offer), offer.team.id, overrides, key),
        )  # fmt: skip
    elif primary:
        met = primary != "close" or st.checkbox(_("The closing standard is met"), key=f"wb-met-{incident.id}")
        args = {"standard": met} if primary == "close" else {}
        st.button(
            _verb(steps[primary], f.lang), key="wb-primary", type="primary", shortcut="D", width="stretch",
            on_click=_press, args=(primary, incident, args),
        )  # fmt: skip
    _others(f, found, steps, primary, reason)
    _not_now(f, incident, steps)


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
                    st.button(
                        _verb(step, f.lang), key=key, shortcut=shortcut, on_click=_press,
                        args=("merge", incident, {"into": first.id}),
                    )  # fmt: skip
                    continue
            if ((step.needs or step.may) and step.verb != "merge") or step.verb in ALWAYS_ASK or step.needs:
                if st.button(_verb(step, f.lang), key=key, shortcut=shortcut):
                    ask(f, step, found.detail, reason or prefilled(step.verb, f._))
            else:
                st.button(
                    _verb(step, f.lang), key=key, shortcut=shortcut, on_click=_press,
                    args=(step.verb, incident, {}),
                )  # fmt: skip


def _not_now(f: Frame, incident: Incident, steps: dict[str, Step]) -> None:
    """Say in words which of the common steps the law does not allow now, and why."""
    _ = f._
    told_why: dict[str, list[str]] = {}
    law = f.door.policy()
    for verb in ("dispatch", "reassign", "merge", "suspend", "supervise", "close"):
        if verb in steps:
            continue
        step = STEPS[verb]
        if f.who.role not in step.roles:
            names = _(", ").join(_(ROLES[role]) for role in ROLES if role in step.roles and role != "system")
            why = _("for {roles}").format(roles=names)
        else:
            why = _why(f, incident, verb, law)
        told_why.setdefault(why, []).append(_verb(step, f.lang))
    if told_why:
        each = "；".join(f"{_(', ').join(verbs)} — {why}" for why, verbs in told_why.items())
        st.html(f'<div class="wb-m">{escape(_("Not now:"))} {escape(each)}</div>')


def _why(f: Frame, incident: Incident, verb: str, law: Policy) -> str:
    _ = f._
    asked = Command(verb, incident.id, f.who.actor, "", {})
    answer = decide(incident, asked, law, Around(Roster(()), lambda: 0), incident.last_at)
    if isinstance(answer, Refusal) and answer.code == "not_now":
        state = STATES[incident.state][0 if f.lang == "zh" else 1]
        return _("it is: {state}").format(state=state)
    return answer.words(f.lang) if isinstance(answer, Refusal) else _("not now")


def _verb(step: Step, lang: str) -> str:
    return step.zh if lang == "zh" else step.en[:1].upper() + step.en[1:]


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


def _press(verb: str, incident: Incident, args: dict[str, Any]) -> None:
    press(verb, incident, args)


def _press_other(other_id: int, args: dict[str, Any]) -> None:
    """Merge another case, as it is now, into the one that is looked at."""
    from dashboard.data import reads
    from dashboard.data.workbench import several
    from dashboard.session import viewer

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
        from dashboard.pressing import REFUSED

        lang = chosen(st.query_params.get("lang"))
        st.session_state[REFUSED] = (
            incident.id,
            translator(lang)("Another team than the first needs a reason: press E and write it."),
        )
        return
    if press(verb, incident, args, field_key):
        st.session_state.pop(f"wb-team-{incident.id}", None)


# ---- keys and words --------------------------------------------------------------------------------------------


def _keys(f: Frame) -> None:
    _ = f._
    st.html(
        f'<div class="wb-keys"><span><kbd>↑↓</kbd>{escape(_("case"))}</span><span><kbd>{escape(_("Space"))}</kbd>'
        f"{escape(_('tick'))}</span><span><kbd>1</kbd>–<kbd>3</kbd>{escape(_('team'))}</span><span><kbd>D</kbd>"
        f'{escape(_("go"))}</span><span class="hi"><kbd>E</kbd>{escape(_("reason"))}</span></div>',
        width="content",
    )
    if st.button(_("All keys"), key="wb-help", type="tertiary", shortcut="H"):
        _help(f)


def _help(f: Frame) -> None:
    _ = f._

    @st.dialog(_("All keys"))
    def shown() -> None:
        rows = [
            ("↑ ↓ PageUp PageDown", _("another case")), ("Space", _("tick or untick")), ("N", _("let new work in")),
            ("F", _("search the queue")), ("E", _("write the reason; Enter when it is written")),
            ("1 2 3", _("choose a team")), ("D", _("the filled button: the next step")), ("Esc", _("untick all")),
            *((key, told.verb(verb, f.lang)) for verb, key in KEYS.items()),
            *((key, told.verb(verb, f.lang) + _(" of all ticked")) for verb, key in many.KEYS.items() if key),
        ]  # fmt: skip
        st.table({_("Shortcut"): [key for key, _what in rows], _("Does"): [what for _key, what in rows]})

    shown()


@cache
def words(lang: str) -> dict[str, str]:
    """Return every sentence that the component's script says, translated."""
    return {sentence: translator(lang)(sentence) for sentence in sentences()}


def sentences() -> list[str]:
    """Return the sentences of the component's script, in English."""
    script = (FOLDER / "workbench.js").read_text(encoding="utf-8")
    return sorted(set(_SENTENCE.findall(script)) | set(sheet.SEVERITIES[1:]))


@cache
def _style() -> str:
    return (FOLDER / "workbench.css").read_text(encoding="utf-8")


@cache
def _component() -> Any:
    return st.components.v2.component(
        "gridwhistle_workbench",
        html='<div class="gw-host"></div>',
        js=(FOLDER / "workbench.js").read_text(encoding="utf-8"),
        isolate_styles=False,
    )
