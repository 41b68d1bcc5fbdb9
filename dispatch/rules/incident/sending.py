"""Give an incident to teams and take it from them: who leads, who helps, who is whistled for, and by when.

Each effect is as `dispatch.rules.incident.effects` describes.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from dispatch.rules.areas import centre_of
from dispatch.rules.incident.facts import PartFacts
from dispatch.rules.incident.values import Assignment, Change, Context, Incident, Transition, is_rating
from dispatch.rules.law import LIVE
from dispatch.rules.policy.policy import EventType, Policy
from dispatch.rules.refusals import Refusal
from dispatch.rules.teams.routing import Team, choose
from dispatch.rules.time import clocks
from dispatch.rules.time.calendar import Limit
from dispatch.rules.time.clocks import Clock

EXTENSIONS_LIMIT = 2
EXTENSION_LIMIT_S = 90 * 86_400  # one extension, in its own kind of time
ASSISTS_LIMIT = 8
GIVEN_UP = frozenset({"declined", "recalled"})
WHISTLE_KINDS = ("hard", "joint", "emergency")
# Only the first says that the dispatch was wrong.
RETURN_KINDS = ("not_ours", "no_means", "other")


def assigned(
    incident: Incident, team_id: int, policy: Policy, context: Context, now: datetime, *,
    dispose: Clock | None = None, role: str = "lead", whistle: bool | None = None,
) -> Assignment:  # fmt: skip
    """Return a new assignment for a team: its clocks begin when it is sent, since no unit answers for time before."""
    blown = incident.mode == "whistle" if whistle is None else whistle
    return Assignment(
        context.new_id(),
        team_id,
        role,
        "whistle" if blown else "ordinary",
        "sent",
        now,
        None,
        _part_clocks(incident, policy, now, blown, dispose),
    )


def call_units(
    incident: Incident, change: Change, kind: EventType, policy: Policy, context: Context, now: datetime
) -> Change:
    """Send the assisting units of a major matter too, and name its commander where none is named yet."""
    here = {part.team_id for part in (*own_life(incident), *change.assignments)}
    for trade in kind.assist:
        more = load_changes(incident, change)
        team = choose(context.roster, trade, incident.area_code, incident.lon, incident.lat, more)
        if team is not None and team.id not in here:
            here.add(team.id)
            part = assigned(incident, team.id, policy, context, now, role="assist", whistle=False)
            change = change.plus(assignments=(part,))
    if not incident.facts.get("commander"):
        commander = f"duty/{centre_of(incident.area_code)}"
        change = change.plus(facts={"commander": commander}, said={"commander": commander})
    return change


def release(incident: Incident, change: Change, policy: Policy, now: datetime) -> Change:
    """Recall whoever still has a part in an incident that ends, by whatever road: no load outlives its incident.

    A whistle that was never reviewed ends unsent with it, lest its clock fire when the incident is reopened.
    """
    moved = {part.id for part in change.assignments}
    released = []
    for part in incident.parts.values():
        if part.id in moved or (part.state not in LIVE and part.state != "review"):
            continue
        own = {kind: clocks.pause(clock, now, policy.calendar) for kind, clock in part.clocks.items()}
        state = "refused" if part.state == "review" else "recalled"
        released.append(replace(part, state=state, ended_at=now, clocks=own))
    return change.plus(assignments=tuple(released))


def load_changes(incident: Incident, change: Change) -> dict[int, int]:
    """Return how many live assignments more each team will hold, or fewer, once a change is applied."""
    counts: dict[int, int] = {}
    for part in change.assignments:
        before = incident.parts.get(part.id)
        more = (part.state in LIVE) - (before is not None and before.state in LIVE)
        if more:
            counts[part.team_id] = counts.get(part.team_id, 0) + more
    return counts


def limit_of(incident: Incident, limit: Limit) -> Limit:
    """Return a limit as it counts for an incident: half of it in wartime."""
    return limit.halved if incident.facts.get("wartime") else limit


def _part_clocks(
    incident: Incident, policy: Policy, now: datetime, whistle: bool, dispose: Clock | None
) -> dict[str, Clock]:
    if incident.facts.get("imported"):
        return {}
    kind = policy.types[incident.category]
    own = {}
    pick_up = policy.answer if whistle else policy.pick_up[incident.severity]
    own["pick_up"] = clocks.start(limit_of(incident, pick_up), now, policy.calendar)
    arrive = policy.arrival(kind, whistle)
    if arrive is not None:
        own["arrive"] = clocks.start(limit_of(incident, arrive), now, policy.calendar)
    own["dispose"] = dispose or clocks.start(limit_of(incident, kind.dispose), now, policy.calendar)
    return own


def started(incident: Incident, kind: str, policy: Policy, now: datetime) -> dict[str, Clock]:
    """Return one of the incident's own clocks as it begins; what another system runs has none of ours."""
    if incident.facts.get("imported"):
        return {}
    own = policy.types[incident.category]
    limit = {"dispatch": policy.dispatch[incident.severity], "verify": own.verify}[kind]
    return {kind: clocks.start(limit_of(incident, limit), now, policy.calendar)}


def holding_centre(incident: Incident) -> str:
    """Return who holds an incident that is with no team: its town's centre, or the one that took it over."""
    return str(incident.facts.get("taken_over_by") or f"centre/{centre_of(incident.area_code)}")


def own_life(i: Incident) -> list[Assignment]:
    """Return the assignments of this life of an incident: reopened, it goes on with none of the former ones."""
    former = i.facts.get("former")
    theirs = former[-1].get("parts", ()) if former else ()
    return [part for part in i.parts.values() if part.id not in theirs]


def _named(team: Team) -> dict[str, Any]:
    return {"team": (team.name, team.name_en or team.name)}


def _told(context: Context, team_id: object) -> dict[str, Any]:
    """Return a team's names for a refusal, or what stands for a team that nobody knows."""
    team = context.roster.team(team_id) if type(team_id) is int else None
    return _named(team) if team is not None else {"team": team_id}


def _team(context: Context, team_id: object) -> Team | Refusal:
    team = context.roster.team(team_id) if type(team_id) is int else None
    return team if team is not None else Refusal("unknown_team", {"team": team_id})


def _dispatch(t: Transition) -> Change | Refusal:
    i = t.incident
    team = _team(t.context, t.command.args["team_id"])
    if isinstance(team, Refusal):
        return team
    if t.command.verb == "reassign" and i.lead is not None and i.lead.team_id == team.id:
        return Refusal("same_team", _named(team))
    if (held := i.part_of(team.id)) is not None and held.role == "assist":
        return Refusal("has_part", _named(team))
    part = assigned(i, team.id, t.policy, t.context, t.now, dispose=_left_to(t, team))
    change = t.change.plus(holder=f"team/{team.id}", assignments=(part,))
    if t.command.verb == "dispatch" and i.mode == "all_net":
        return call_units(i, change, t.policy.types[i.category], t.policy, t.context, t.now)
    return change


def _left_to(t: Transition, team: Team) -> Clock | None:
    """Return the limit of disposal that a team had left when it last had the incident, running again; else None.

    The team that gave it back, or that it was taken from, goes on with it: by way of another team nobody's time
    begins anew. Ids are of no help: two desks hand them out of different blocks.
    """
    had = [
        p for p in own_life(t.incident) if p.role == "lead" and p.state in GIVEN_UP and p.team_id == team.id
    ]
    kept = max(had, key=lambda p: p.ended_at or p.sent_at).clocks.get("dispose") if had else None
    return (
        clocks.resume(kept, t.now, t.policy.calendar) if kept is not None and kept.left is not None else None
    )


def _add_assist(t: Transition) -> Change | Refusal:
    i = t.incident
    team = _team(t.context, t.command.args["team_id"])
    if isinstance(team, Refusal):
        return team
    if i.part_of(team.id) is not None:
        return Refusal("has_part", _named(team))
    if sum(p.role == "assist" and p.state in LIVE for p in i.parts.values()) >= ASSISTS_LIMIT:
        return Refusal("too_many", {"limit": ASSISTS_LIMIT})
    part = assigned(i, team.id, t.policy, t.context, t.now, role="assist", whistle=False)
    return t.change.plus(assignments=(part,))


def _recall_assist(t: Transition) -> Change | Refusal:
    team_id = t.command.args["team_id"]
    part = t.incident.part_of(team_id)
    if part is None or part.role != "assist":
        return Refusal("no_part", _told(t.context, team_id))
    own = {kind: clocks.pause(clock, t.now, t.policy.calendar) for kind, clock in part.clocks.items()}
    return t.change.plus(assignments=(replace(part, state="recalled", ended_at=t.now, clocks=own),))


def _commander(t: Transition) -> Change | Refusal:
    commander = t.command.args["commander"]
    if commander == t.incident.facts.get("commander"):
        return Refusal("same_commander", {"commander": commander})
    return t.change.plus(facts={"commander": commander})


def _whistle(t: Transition) -> Change | Refusal:
    i, args = t.incident, t.command.args
    if args["whistle_kind"] not in WHISTLE_KINDS:
        return Refusal("whistle_kind")
    kind = t.policy.types[i.category]
    if args.get("team_id") is not None:
        named = _team(t.context, args["team_id"])
        if isinstance(named, Refusal):
            return named
        team: Team | None = named
    else:
        team = choose(t.context.roster, kind.lead, i.area_code, i.lon, i.lat)
    if team is None:
        return Refusal("no_team", {"trade": t.policy.trades[kind.lead][:2]})
    if i.part_of(team.id) is not None or any(
        p.state == "review" and p.team_id == team.id for p in i.parts.values()
    ):
        return Refusal("has_part", _named(team))
    review = clocks.start(limit_of(i, t.policy.review), t.now, t.policy.calendar)
    facts: PartFacts = {"asked_by": t.command.actor.id, "whistle_kind": args["whistle_kind"]}
    part = Assignment(
        t.context.new_id(), team.id, "assist" if i.lead else "lead", "whistle", "review", t.now, None,
        {"accept": review}, facts,
    )  # fmt: skip
    return t.change.plus(assignments=(part,))


def _send_whistle(t: Transition) -> Change | Refusal:
    i, part = t.incident, t.change.assignments[0]
    # Sent there by another road since the whistle was blown, the team would hold it twice.
    if i.part_of(part.team_id) is not None:
        return Refusal("has_part", _told(t.context, part.team_id))
    leads = i.lead is None
    own = {"accept": clocks.meet(part.clocks["accept"], t.now)} if "accept" in part.clocks else {}
    sent = replace(
        part,
        role="lead" if leads else "assist",
        sent_at=t.now,
        clocks=own | _part_clocks(i, t.policy, t.now, True, None),
    )
    if not leads:
        return replace(t.change, to=None, clocks={}, assignments=(sent,))
    met = {
        kind: clocks.meet(clock, t.now)
        for kind in ("accept", "dispatch")
        if (clock := i.clocks.get(kind)) is not None and clock.awaited
    }
    change = replace(t.change, to="dispatched", assignments=(sent,))
    return change.plus(holder=f"team/{part.team_id}", clocks=met)


def _rate_whistle(t: Transition) -> Change | Refusal:
    rating = t.command.args["rating"]
    if not is_rating(rating):
        return Refusal("rating")
    part = t.change.assignments[0]
    return replace(t.change, assignments=(replace(part, facts={**part.facts, "rating": rating}),))


def _decline(t: Transition) -> Change | Refusal:
    i = t.incident
    if t.command.args["return_kind"] not in RETURN_KINDS:
        return Refusal("return_kind")
    if t.change.assignments[0].role == "assist":
        return t.change
    return t.change.plus(
        holder=holding_centre(i),
        facts={"returns": int(i.facts.get("returns", 0)) + 1},
        clocks=started(i, "dispatch", t.policy, t.now),
    )


def _ask_extension(t: Transition) -> Change | Refusal:
    try:
        limit = Limit.parse(str(t.command.args["limit"]))
        if t.policy.calendar.seconds(limit) > EXTENSION_LIMIT_S:
            raise ValueError("longer than the longest")
    except ValueError:
        return Refusal("limit", {"days": EXTENSION_LIMIT_S // 86_400})
    part = t.change.assignments[0]
    refusal = _no_extension(t.incident, part, t.now)
    if refusal is not None:
        return refusal
    return t.change.plus(
        facts={"extension_asked": {"assignment": part.id, "limit": limit.text, "by": t.command.actor.id}}
    )


def _grant_extension(t: Transition) -> Change | Refusal:
    i, calendar = t.incident, t.policy.calendar
    asked = i.facts.get("extension_asked")
    part = i.parts.get(asked["assignment"]) if asked else None
    if asked is None or part is None or part.state not in LIVE:
        return Refusal("not_asked")
    refusal = _no_extension(i, part, t.now)
    if refusal is not None:
        return refusal
    clock = part.clocks["dispose"]
    more = Limit.parse(asked["limit"])
    assert clock.due is not None
    due = calendar.after(clock.due, calendar.seconds(more), more.working)
    return t.change.plus(
        assignments=(replace(part, clocks=part.clocks | {"dispose": replace(clock, due=due)}),),
        facts={"extension_asked": None, "extensions": int(i.facts.get("extensions", 0)) + 1},
        said={"limit": more.text},
    )


def _refuse_extension(t: Transition) -> Change | Refusal:
    if t.incident.facts.get("extension_asked") is None:
        return Refusal("not_asked")
    return t.change.plus(facts={"extension_asked": None})


def _no_extension(i: Incident, part: Assignment, now: datetime) -> Refusal | None:
    if int(i.facts.get("extensions", 0)) >= EXTENSIONS_LIMIT:
        return Refusal("extended_twice")
    clock = part.clocks.get("dispose")
    if clock is None or clock.due is None or clock.state != "running" or now > clock.due:
        return Refusal("extension_late")
    return None


EFFECTS = {
    "dispatch": _dispatch,
    "reassign": _dispatch,
    "add_assist": _add_assist,
    "recall_assist": _recall_assist,
    "name_commander": _commander,
    "whistle": _whistle,
    "send_whistle": _send_whistle,
    "rate_whistle": _rate_whistle,
    "decline": _decline,
    "ask_extension": _ask_extension,
    "grant_extension": _grant_extension,
    "refuse_extension": _refuse_extension,
}
