"""Walk the chain of an incident: `decide` answers a command, `evolve` folds what happened, `replay` folds it all.

`decide` answers with what changes, or a refusal. Whatever it needs to know it is given; whatever a replay needs to
know the change carries, so folding an incident's events always gives its row. The steps stand in
`dispatch.rules.law`, what each does beyond them in `dispatch.rules.incident.effects`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from dispatch.rules.areas import centre_of, contains, level_of
from dispatch.rules.incident import effects, sending
from dispatch.rules.incident.facts import Facts
from dispatch.rules.incident.values import (
    SYSTEM,
    Actor,
    Assignment,
    Change,
    Command,
    Context,
    Done,
    Event,
    Incident,
    Report,
    Segment,
    Transition,
    reporter_of,
    same_person,
)
from dispatch.rules.law import (
    ADDS,
    ASSIGNMENT_STATES,
    BESIDE,
    ENDED,
    GRID,
    LIVE,
    MODE_NAMES,
    STATES,
    STEPS,
    TEAM,
    UNASKED,
    Step,
    not_role,
)
from dispatch.rules.places import place_of, places_around
from dispatch.rules.policy.policy import Policy
from dispatch.rules.refusals import FIELDS, Refusal
from dispatch.rules.teams.routing import choose
from dispatch.rules.time import clocks
from dispatch.rules.time.clocks import Clock

__all__ = [
    "ASSIGNMENT_STATES", "ENDED", "LIVE", "STATES", "STEPS", "SYSTEM", "UNASKED", "Actor", "Assignment",
    "Change", "Command", "Context", "Done", "Event", "Incident", "Refusal", "Report", "Segment", "Step",
    "decide", "evolve", "lawful", "open_report", "overtaken", "place_of", "places_around", "replay",
    "reporter_of", "route",
]  # fmt: skip

# What the actor said, kept with the event; everything else in a command's arguments is for the decision alone.
_SAID = (
    "reason", "result", "note", "standard", "photos", "position", "real", "limit", "commander", "granted", "offer",
    "whistle_kind", "settled", "return_kind",
)  # fmt: skip


def decide(
    incident: Incident, command: Command, policy: Policy, context: Context, now: datetime
) -> Change | Refusal:
    """Answer a command on an existing incident with what it changes, or with a refusal."""
    step = STEPS.get(command.verb)
    if step is None or step.verb in UNASKED:
        return Refusal("unknown_verb", {"verb": command.verb})
    part = _part(incident, command.actor, step, command.args)
    refusal = _refused(incident, command, step, part, now, policy)
    if refusal is not None:
        return refusal
    change = _stepped(incident, step, part, policy, now)
    effect = effects.EFFECTS.get(step.verb)
    if effect is not None:
        answer = effect(Transition(incident, command, change, policy, context, now))
        if isinstance(answer, Refusal):
            return answer
        change = answer
    if change.to is not None and change.to in ENDED:
        change = _ended(incident, change, policy, now)
    asked = incident.facts.get("extension_asked")
    if asked and any(p.id == asked["assignment"] and p.state not in LIVE for p in change.assignments):
        # Who asked has it no longer: nobody is to decide on it.
        change = change.plus(facts={"extension_asked": None})
    said = {name: command.args[name] for name in _SAID if name in command.args}
    return change.plus(said=said) if said else change


def _stepped(
    incident: Incident, step: Step, part: Assignment | None, policy: Policy, now: datetime
) -> Change:
    """Return what a step alone changes: the assignment that it moves, the state it leads to, the clocks it ends."""
    moved: tuple[Assignment, ...] = ()
    if part is not None and step.part is not None:
        moved = (_moved(part, step, now, policy),)
    # An assisting unit moves its own part and nothing else: the incident follows its lead.
    if moved and moved[0].role != "lead":
        return Change(assignments=moved)
    met = {
        kind: clocks.meet(clock, now)
        for kind in step.meets
        if (clock := incident.clocks.get(kind)) is not None and clock.awaited
    }
    return Change(step.target, None, met, moved)


def _ended(incident: Incident, change: Change, policy: Policy, now: datetime) -> Change:
    """Return a change that ends an incident, with all that ends with it, by whatever road."""
    # A limit that is still running when the incident ends by another road ends with it, unjudged.
    late = {
        kind: clocks.meet(clock, now)
        for kind, clock in incident.clocks.items()
        if clocks.passed(clock) and kind not in change.clocks
    }
    return sending.release(incident, change.plus(clocks=late), policy, now)


def overtaken(command: Command, since: Iterable[Done], policy: Policy) -> Refusal | None:
    """Refuse a step whose actor has not seen what another person did meanwhile; `since` is what happened, oldest first.

    What only happens beside a step takes nothing from it, and the machine takes nothing from anybody; but the same
    thing is not done twice for two who press at once.
    """
    step = STEPS.get(command.verb)
    if command.seen is None or step is None or command.verb in ADDS:
        return None
    for done in reversed([each for each in since if each.seq > (command.seen or 0)]):
        if done.actor in (command.actor.id, SYSTEM.id):
            continue
        if done.verb == command.verb or (done.verb not in BESIDE and command.verb not in BESIDE):
            last = STEPS.get(done.verb)
            return Refusal(
                "overtaken",
                {
                    "verb_zh": step.zh,
                    "verb_en": step.en,
                    "actor": done.actor,
                    "at": f"{policy.calendar.local(done.at):%H:%M}",
                    "last_zh": last.zh if last else done.verb,
                    "last_en": last.en if last else done.verb,
                },
            )
    return None


def open_report(report: Report, policy: Policy, context: Context, now: datetime) -> Change | Refusal:
    """Answer a report with the change that opens its incident."""
    kind = policy.types.get(report.category)
    if kind is None:
        return Refusal("unknown_category", {"category": report.category})
    centre = centre_of(report.area_code)
    severity = report.severity or kind.severity
    begun: dict[str, Clock] = {}
    facts: Facts = {"reporter": report.reporter} if report.reporter else {}
    if report.imported:
        # Kept where every later decision sees it: our clocks do not judge what another system runs.
        facts["imported"] = True
        if report.target_at is not None:
            begun["dispose"] = clocks.promised(report.reported_at, report.target_at)
    else:
        accept, close = kind.accept, policy.close[severity]
        if context.wartime and any(contains(area, report.area_code) for area in context.wartime):
            facts["wartime"] = True
            accept, close = accept.halved, close.halved
        begun["accept"] = clocks.start(accept, now, policy.calendar)
        begun["close"] = clocks.start(close, now, policy.calendar)
    level = int(level_of(centre))
    opened = {
        "number": report.number,
        "source": report.source,
        "source_id": report.source_id,
        "category": report.category,
        "severity": severity,
        "mode": kind.mode,
        "text": report.text,
        "address": report.address,
        "area_code": report.area_code,
        "lon": report.lon,
        "lat": report.lat,
        "located": report.located,
        "place": place_of(report.category, report.lon, report.lat) if report.located == "point" else None,
        # The county sees a major matter at once.
        "level": min(level, effects.COUNTY_LEVEL) if kind.mode == "all_net" else level,
        "reported_at": report.reported_at.isoformat(),
    }
    said: dict[str, Any] = {"photos": list(report.photos)} if report.photos else {}
    if report.suggested is not None:
        said["suggested"] = list(report.suggested)
    if context.suspects:
        said["suspects"] = context.suspects
    return Change("reported", f"centre/{centre}", begun, facts=facts, said=said, opened=opened)


def route(incident: Incident, policy: Policy, context: Context, now: datetime) -> Change | None:
    """Send a fresh incident straight to its team where the policy says so and a team is ready; else None.

    A major matter takes a commander and its assisting units along.
    """
    kind = policy.types[incident.category]
    if incident.state != "reported" or kind.mode not in policy.straight:
        return None
    team = choose(context.roster, policy.trade_for(kind), incident.area_code, incident.lon, incident.lat)
    if team is None:
        return None
    met = (
        {"accept": clocks.meet(accept, now)} if (accept := incident.clocks.get("accept")) is not None else {}
    )
    part = sending.assigned(incident, team.id, policy, context, now)
    change = Change("dispatched", f"team/{team.id}", met, (part,))
    if incident.mode == "all_net":
        return sending.call_units(incident, change, kind, policy, context, now)
    return change


def evolve(incident: Incident, event: Event) -> Incident:
    """Fold one event into the incident, in place, and return it."""
    change, at = event.change, event.at
    was_ended = incident.ended_at is not None
    if change.opened:
        _open(incident, event)
    if change.clocks:
        incident.clocks.update(change.clocks)
    for part in change.assignments:
        incident.parts[part.id] = part
    if change.fields:
        for name, value in change.fields.items():
            setattr(incident, name, value)
    if change.facts:
        _fold_facts(incident, change.facts)
    if change.to is not None:
        _go_to(incident, change.to, at)
    awaits = _awaited(incident)
    holder = change.holder or incident.holder
    paused = incident.paused_why if change.paused is None else change.paused or None
    if not was_ended or incident.ended_at is None:
        standing = (incident.holder, incident.awaits, incident.paused_why)
        if (holder, awaits, paused) != standing or was_ended or incident.ended_at is not None:
            _turn(incident, holder, awaits, paused, at, was_ended)
    incident.seq = event.seq
    incident.last_verb, incident.last_actor, incident.last_at = event.verb, event.actor, at
    return incident


def replay(events: Iterable[Event]) -> Incident:
    """Fold all events of one incident, oldest first."""
    folded: Incident | None = None
    for event in events:
        folded = evolve(folded or Incident(event.incident_id), event)
    if folded is None:
        raise ValueError("an incident has at least one event")
    return folded


def lawful(incident: Incident, actor: Actor) -> list[Step]:
    """Return the steps that this actor may take now, in the order of the table; what they need is not looked at."""
    found = []
    for step in STEPS.values():
        if step.verb in UNASKED or (incident.paused_why is not None and not step.while_suspended):
            continue
        part = _part(incident, actor, step, {})
        if _fits(incident, step, part) and _not_allowed(incident, actor, step, part) is None:
            found.append(step)
    return found


def _open(incident: Incident, event: Event) -> None:
    for name, value in event.change.opened.items():
        setattr(incident, name, value)
    incident.reported_at = datetime.fromisoformat(event.change.opened["reported_at"])
    incident.policy_version = event.policy_version
    incident.held_since = event.at


def _go_to(incident: Incident, state: str, at: datetime) -> None:
    """Take an incident to a state, and note that it ends there or begins another life."""
    incident.state = state
    if state in ENDED and incident.ended_at is None:
        incident.ended_at = at
        incident.closed_on_time = clocks.on_time(incident.clocks.get("close"))
    elif state not in ENDED and incident.ended_at is not None:
        incident.ended_at = incident.closed_on_time = incident.rating = None


def _fold_facts(incident: Incident, facts: Facts) -> None:
    incident.facts.update(facts)
    if "rating" in facts:
        incident.rating = facts["rating"]
    if "level" in facts:
        incident.level = facts["level"]
    if "disposed_at" in facts:
        disposed_at = facts["disposed_at"]
        incident.disposed_at = datetime.fromisoformat(disposed_at) if disposed_at else None
        incident.disposed_on_time = facts["disposed_on_time"]


def _awaited(incident: Incident) -> str | None:
    match incident.state:
        case "reported" | "checking":
            return "accept"
        case "accepted":
            return "dispatch"
        case "dispatched":
            return "pick_up"
        case "in_hand":
            lead = incident.lead
            waits = lead is not None and lead.state == "picked_up" and "arrive" in lead.clocks
            return "arrive" if waits else "dispose"
        case "disposed":
            return "verify"
        case "verified":
            return "close"
    return None


def _turn(
    incident: Incident, holder: str, awaits: str | None, paused: str | None, at: datetime, was_ended: bool
) -> None:
    """End the open segment, of which there is none after an end, and open the next unless the incident has ended."""
    if incident.holder and not was_ended:
        incident.past.append(
            Segment(
                incident.segment,
                incident.holder,
                incident.awaits,
                incident.paused_why,
                incident.held_since,
                at,
            )
        )
    incident.holder, incident.awaits, incident.paused_why = holder, awaits, paused
    if incident.ended_at is None:
        incident.segment += 1
        incident.held_since = at


def _part(incident: Incident, actor: Actor, step: Step, args: Mapping[str, Any]) -> Assignment | None:
    """Return the assignment that a step is about: the one named, the actor's own, the lead, or the latest whistle."""
    if step.part is None:
        return None
    # Only the lead is reassigned: with another unit's part in its place there would be two leads.
    if (named := args.get("assignment_id")) is not None and step.verb != "reassign":
        part = incident.parts.get(named)
        # Reviewing, ending and rating are steps of a whistle: an ordinary part knows none of them.
        return part if part is None or step.part & LIVE or part.kind == "whistle" else None
    if not step.part & LIVE:
        whistles = [p for p in incident.parts.values() if p.kind == "whistle" and p.state in step.part]
        # What is still to be done, and the actor's to do, comes before what only looks like it.
        theirs = [p for p in whistles if _to_do(p, step) and _is_blowers(p, actor, step)]
        found = theirs or whistles
        return found[-1] if found else None
    if actor.role in TEAM:
        return incident.part_of(actor.team_id) or incident.lead
    return incident.lead


def _refused(
    incident: Incident, command: Command, step: Step, part: Assignment | None, now: datetime, policy: Policy
) -> Refusal | None:
    if incident.state not in step.sources:
        return _not_now(incident, step, policy)
    refusal = _not_allowed(incident, command.actor, step, part)
    if refusal is not None:
        return refusal
    if step.modes and incident.mode not in step.modes:
        return _not_mode(step)
    if incident.paused_why is not None and not step.while_suspended:
        return Refusal("suspended", {"why": incident.paused_why})
    for need in step.needs:
        value = command.args.get(need)
        if value in (None, "", ()) or (isinstance(value, str) and not value.strip()):
            return _needs(step, need)
    if part is not None and not _to_do(part, step):
        return Refusal("once", {"verb_zh": step.zh, "verb_en": step.en})
    if not _fits(incident, step, part):
        return _not_now(incident, step, policy)
    if now < incident.last_at:
        return effects.before(incident.last_at, policy)
    return None


def _needs(step: Step, need: str) -> Refusal:
    zh, en = FIELDS[need]
    return Refusal("needs", {"verb_zh": step.zh, "verb_en": step.en, "field_zh": zh, "field_en": en})


def _not_mode(step: Step) -> Refusal:
    names = [MODE_NAMES[mode] for mode in step.modes]
    words = {"mode_zh": "、".join(zh for zh, _ in names), "mode_en": " or ".join(en for _, en in names)}
    return Refusal("not_mode", {**words, "verb_zh": step.zh, "verb_en": step.en})


def _fits(incident: Incident, step: Step, part: Assignment | None) -> bool:
    """Tell whether the incident, and the assignment that the step moves, stand where the step begins."""
    if incident.state not in step.sources or (step.modes and incident.mode not in step.modes):
        return False
    return step.part is None or (part is not None and part.state in step.part and _to_do(part, step))


def _to_do(part: Assignment, step: Step) -> bool:
    return step.once is None or step.once not in part.facts


def _is_blowers(part: Assignment, actor: Actor, step: Step) -> bool:
    """Tell whether a whistle is this actor's to end and rate; one that nobody in the grid asked for is any centre's."""
    asked_by = part.facts.get("asked_by")
    return not step.initiator_only or asked_by is None or same_person(actor.id, asked_by)


def _is_own_work(part: Assignment, actor: Actor, step: Step) -> bool:
    """Tell whether the actor answered the whistle: nobody rates their own work, nor ends what nobody asked for."""
    mine = step.initiator_only and actor.team_id is not None and actor.team_id == part.team_id
    return mine and (step.once is not None or not part.facts.get("asked_by"))


def _not_allowed(incident: Incident, actor: Actor, step: Step, part: Assignment | None) -> Refusal | None:
    if actor.role not in step.roles:
        return not_role(actor.role, step.zh, step.en)
    if actor.role == "system":
        return None
    if actor.role == "resident":
        # Wherever they live: their own report is theirs, and nothing else is.
        return None if actor.id == reporter_of(incident) else Refusal("not_yours")
    if step.part is not None and step.part & LIVE and actor.role in TEAM | GRID:
        if part is not None and part.team_id == actor.team_id:
            return None
        # What is solved in one grid is in the hands of all its people; what a team holds is the team's.
        if actor.role in TEAM or incident.mode != "one_grid":
            return Refusal("not_team")
    if not contains(actor.area_code, incident.area_code):
        return Refusal("not_area")
    if part is not None and not _is_blowers(part, actor, step):
        return Refusal("not_blower")
    if part is not None and _is_own_work(part, actor, step):
        return Refusal("own_work")
    return None


def _not_now(incident: Incident, step: Step, policy: Policy) -> Refusal:
    last = STEPS.get(incident.last_verb)
    return Refusal(
        "not_now",
        {
            "state_zh": STATES[incident.state][0],
            "state_en": STATES[incident.state][1],
            "verb_zh": step.zh,
            "verb_en": step.en,
            "actor": incident.last_actor,
            "at": f"{policy.calendar.local(incident.last_at):%H:%M}",
            "last_zh": last.zh if last else incident.last_verb,
            "last_en": last.en if last else incident.last_verb,
        },
    )


def _moved(part: Assignment, step: Step, now: datetime, policy: Policy) -> Assignment:
    """Return the assignment after the step, its own clocks met; what leaves the hands of its team stops counting."""
    target = step.part_target or part.state
    ends = part.state in LIVE and target not in LIVE
    own = dict(part.clocks)
    for kind in step.meets:
        if (clock := own.get(kind)) is not None:
            own[kind] = clocks.meet(clock, now)
    if target in ("declined", "recalled", "refused"):
        # Unjudged: what was left is kept, for the same team may get it again.
        own = {kind: clocks.pause(clock, now, policy.calendar) for kind, clock in own.items()}
    ended_at = now if ends or target == "refused" else part.ended_at
    return Assignment(
        part.id, part.team_id, part.role, part.kind, target, part.sent_at, ended_at, own, part.facts
    )
