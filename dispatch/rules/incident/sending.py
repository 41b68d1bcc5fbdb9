"""Give an incident to teams and take it from them: who leads, who helps, who is whistled for, and by when.

Each effect is as `dispatch.rules.incident.effects` describes.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from dispatch.rules.areas import centre_of
from dispatch.rules.incident.facts import PartFacts
from dispatch.rules.incident.values import Around, Assignment, Change, Command, Incident, is_rating
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


def send(
    incident: Incident, change: Change, team_id: int, policy: Policy, around: Around, now: datetime, *,
    dispose: Clock | None = None, role: str = "lead", whistle: bool | None = None, by: str = "",
) -> None:  # fmt: skip
    """Add an assignment for a team: its clocks begin when it is sent, since no unit answers for time before."""
    blown = incident.mode == "whistle" if whistle is None else whistle
    change.assignments.append(
        Assignment(
            around.new_id(),
            team_id,
            role,
            "whistle" if blown else "ordinary",
            "sent",
            now,
            None,
            _part_clocks(incident, policy, now, blown, dispose),
            {"asked_by": by} if by else {},
        )
    )
    if role == "lead":
        change.holder = f"team/{team_id}"
    if (team := around.roster.team(team_id)) is not None:
        team.load += 1


def call_units(
    incident: Incident, change: Change, kind: EventType, policy: Policy, around: Around, now: datetime
) -> None:
    """Send the assisting units of a major matter, and name its commander where none is named yet."""
    here = {part.team_id for part in (*own_life(incident), *change.assignments)}
    for trade in kind.assist:
        team = choose(around.roster, trade, incident.area_code, incident.lon, incident.lat)
        if team is not None and team.id not in here:
            here.add(team.id)
            send(incident, change, team.id, policy, around, now, role="assist", whistle=False)
    if not incident.facts.get("commander"):
        commander = f"duty/{centre_of(incident.area_code)}"
        change.facts["commander"] = change.said["commander"] = commander


def release(i: Incident, change: Change, policy: Policy, around: Around, now: datetime) -> None:
    """Recall whoever still has a part in an incident that ends, by whatever road: no load outlives its incident.

    A whistle that was never reviewed ends unsent with it, lest its clock fire when the incident is reopened.
    """
    moved = {part.id for part in change.assignments}
    for part in i.parts.values():
        if part.id in moved or (part.state not in LIVE and part.state != "review"):
            continue
        own = {kind: clocks.pause(clock, now, policy.calendar) for kind, clock in part.clocks.items()}
        if part.state == "review":
            change.assignments.append(replace(part, state="refused", ended_at=now, clocks=own))
        else:
            change.assignments.append(replace(part, state="recalled", ended_at=now, clocks=own))
            let_go(part, around)


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


def start_clock(change: Change, incident: Incident, kind: str, policy: Policy, now: datetime) -> None:
    """Begin one of the incident's own clocks; what another system runs has none of ours."""
    if incident.facts.get("imported"):
        return
    own = policy.types[incident.category]
    limit = {"dispatch": policy.dispatch[incident.severity], "verify": own.verify}[kind]
    change.clocks[kind] = clocks.start(limit_of(incident, limit), now, policy.calendar)


def holding_centre(incident: Incident) -> str:
    """Return who holds an incident that is with no team: its town's centre, or the one that took it over."""
    return str(incident.facts.get("taken_over_by") or f"centre/{centre_of(incident.area_code)}")


def own_life(i: Incident) -> list[Assignment]:
    """Return the assignments of this life of an incident: reopened, it goes on with none of the former ones."""
    former = i.facts.get("former")
    theirs = former[-1].get("parts", ()) if former else ()
    return [part for part in i.parts.values() if part.id not in theirs]


def let_go(part: Assignment, around: Around) -> None:
    """Count one live assignment less for the team that a change takes it from."""
    if (team := around.roster.team(part.team_id)) is not None:
        team.load -= 1


def _named(team: Team) -> dict[str, Any]:
    return {"team_zh": team.name, "team_en": team.name_en or team.name}


def _team(around: Around, team_id: object) -> Team | Refusal:
    team = around.roster.team(team_id) if type(team_id) is int else None
    return team if team is not None else Refusal("unknown_team", {"team": team_id})


def _dispatch(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    team = _team(around, c.args["team_id"])
    if isinstance(team, Refusal):
        return team
    if c.verb == "reassign":
        part = i.lead
        if part is not None and part.team_id == team.id:
            return Refusal("same_team", _named(team))
    if (held := i.part_of(team.id)) is not None and held.role == "assist":
        return Refusal("has_part", _named(team))
    dispose = None
    # The team that gave it back, or that it was taken from, goes on with what was left when it last had it: by way of
    # another team nobody's time begins anew. Ids are of no help: two desks hand them out of different blocks.
    had = [p for p in own_life(i) if p.role == "lead" and p.state in GIVEN_UP and p.team_id == team.id]
    if had:
        kept = max(had, key=lambda p: p.ended_at or p.sent_at).clocks.get("dispose")
        if kept is not None and kept.left is not None:
            dispose = clocks.resume(kept, now, policy.calendar)
    send(i, change, team.id, policy, around, now, dispose=dispose)
    if c.verb == "reassign" and i.lead is not None:
        let_go(i.lead, around)
    if c.verb == "dispatch" and i.mode == "all_net":
        call_units(i, change, policy.types[i.category], policy, around, now)
    return None


def _add_assist(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    team = _team(around, c.args["team_id"])
    if isinstance(team, Refusal):
        return team
    if i.part_of(team.id) is not None:
        return Refusal("has_part", _named(team))
    if sum(p.role == "assist" and p.state in LIVE for p in i.parts.values()) >= ASSISTS_LIMIT:
        return Refusal("too_many", {"limit": ASSISTS_LIMIT})
    send(i, change, team.id, policy, around, now, role="assist", whistle=False)
    return None


def _recall_assist(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    part = i.part_of(c.args["team_id"])
    if part is None or part.role != "assist":
        team = around.roster.team(c.args["team_id"]) if type(c.args["team_id"]) is int else None
        told = {"team_zh": c.args["team_id"], "team_en": c.args["team_id"]}
        return Refusal("no_part", _named(team) if team else told)
    own = {kind: clocks.pause(clock, now, policy.calendar) for kind, clock in part.clocks.items()}
    change.assignments.append(replace(part, state="recalled", ended_at=now, clocks=own))
    let_go(part, around)
    return None


def _commander(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    if c.args["commander"] == i.facts.get("commander"):
        return Refusal("same_commander", {"commander": c.args["commander"]})
    change.facts["commander"] = c.args["commander"]
    return None


def _whistle(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    if c.args["whistle_kind"] not in WHISTLE_KINDS:
        return Refusal("whistle_kind")
    kind = policy.types[i.category]
    if c.args.get("team_id") is not None:
        named = _team(around, c.args["team_id"])
        if isinstance(named, Refusal):
            return named
        team: Team | None = named
    else:
        team = choose(around.roster, kind.lead, i.area_code, i.lon, i.lat)
    if team is None:
        zh, en, _ = policy.trades[kind.lead]
        return Refusal("no_team", {"trade_zh": zh, "trade_en": en})
    if i.part_of(team.id) is not None or any(
        p.state == "review" and p.team_id == team.id for p in i.parts.values()
    ):
        return Refusal("has_part", _named(team))
    review = clocks.start(limit_of(i, policy.review), now, policy.calendar)
    facts: PartFacts = {"asked_by": c.actor.id, "whistle_kind": c.args["whistle_kind"]}
    change.assignments.append(
        Assignment(
            around.new_id(), team.id, "assist" if i.lead else "lead", "whistle", "review", now, None,
            {"accept": review}, facts,
        )
    )  # fmt: skip
    return None


def _send_whistle(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    part = change.assignments[0]
    # Sent there by another road since the whistle was blown, the team would hold it twice.
    if i.part_of(part.team_id) is not None:
        team = around.roster.team(part.team_id)
        told = {"team_zh": part.team_id, "team_en": part.team_id}
        return Refusal("has_part", _named(team) if team else told)
    own = {"accept": clocks.meet(part.clocks["accept"], now)} if "accept" in part.clocks else {}
    leads = i.lead is None
    change.assignments[0] = replace(
        part,
        role="lead" if leads else "assist",
        sent_at=now,
        clocks=own | _part_clocks(i, policy, now, True, None),
    )
    if leads:
        change.to = "dispatched"
        change.holder = f"team/{part.team_id}"
        for kind in ("accept", "dispatch"):
            if (clock := i.clocks.get(kind)) is not None and clock.awaited:
                change.clocks[kind] = clocks.meet(clock, now)
    else:
        change.to = None
        change.clocks.clear()
    if (team := around.roster.team(part.team_id)) is not None:
        team.load += 1
    return None


def _rate_whistle(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    part = change.assignments[0]
    if not is_rating(c.args["rating"]):
        return Refusal("rating")
    part.facts["rating"] = c.args["rating"]
    return None


def _decline(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    if c.args["return_kind"] not in RETURN_KINDS:
        return Refusal("return_kind")
    part = change.assignments[0]
    let_go(part, around)
    if part.role == "assist":
        return None
    change.holder = holding_centre(i)
    change.facts["returns"] = int(i.facts.get("returns", 0)) + 1
    start_clock(change, i, "dispatch", policy, now)
    return None


def _ask_extension(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    try:
        limit = Limit.parse(str(c.args["limit"]))
        if policy.calendar.seconds(limit) > EXTENSION_LIMIT_S:
            raise ValueError("longer than the longest")
    except ValueError:
        return Refusal("limit", {"days": EXTENSION_LIMIT_S // 86_400})
    refusal = _no_extension(i, change.assignments[0], now)
    if refusal is not None:
        return refusal
    change.facts["extension_asked"] = {
        "assignment": change.assignments[0].id,
        "limit": limit.text,
        "by": c.actor.id,
    }
    return None


def _grant_extension(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    asked = i.facts.get("extension_asked")
    part = i.parts.get(asked["assignment"]) if asked else None
    if asked is None or part is None or part.state not in LIVE:
        return Refusal("not_asked")
    refusal = _no_extension(i, part, now)
    if refusal is not None:
        return refusal
    clock = part.clocks["dispose"]
    more = Limit.parse(asked["limit"])
    assert clock.due is not None
    due = policy.calendar.after(clock.due, policy.calendar.seconds(more), more.working)
    change.assignments.append(replace(part, clocks=part.clocks | {"dispose": replace(clock, due=due)}))
    change.facts |= {"extension_asked": None, "extensions": int(i.facts.get("extensions", 0)) + 1}
    change.said["limit"] = more.text
    return None


def _refuse_extension(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    if i.facts.get("extension_asked") is None:
        return Refusal("not_asked")
    change.facts["extension_asked"] = None
    return None


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
