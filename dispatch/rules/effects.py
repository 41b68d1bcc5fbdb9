"""Say what each verb does beyond its step: which clocks begin, who holds it next, what is kept, what is refused.

Every effect takes (incident, command, change, policy, around, now), adds to the change, and returns a refusal or
None. Where the step moves an assignment, its moved form is the change's first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from dispatch.rules import clocks
from dispatch.rules.areas import centre_of, contains, level_of
from dispatch.rules.calendar import Limit
from dispatch.rules.clocks import Clock
from dispatch.rules.incident import (
    LIVE,
    Actor,
    Around,
    Assignment,
    Change,
    Command,
    Incident,
    reporter_of,
    same_person,
)
from dispatch.rules.law import ENDED
from dispatch.rules.places import metres, place_of
from dispatch.rules.policy import MODES, EventType, Policy
from dispatch.rules.refusals import Refusal
from dispatch.rules.routing import Team, choose

Effect = Callable[[Incident, Command, Change, Policy, Around, datetime], Refusal | None]

ON_SITE_M = 300  # how near a check-in must be without a reason
SAMPLE_ONE_IN = 20  # small matters solved in one grid: 5 % are verified
PHOTOS_OF_ONE_GRID = 2  # before and after
EXTENSIONS_LIMIT = 2
EXTENSION_LIMIT_S = 90 * 86_400  # one extension, in its own kind of time
SUSPENDED_LIMIT = timedelta(days=90)
REOPEN_WITHIN = timedelta(days=10)
DISSATISFIED = 2  # ratings up to this one
ASSISTS_LIMIT = 8
REVIEWERS = 2
SPANS_LIMIT = 20  # stretches of exempt time in one review
REPEATS_THAT_LIFT = 2  # merged into one: with the third the mode goes one step up
COUNTY_LEVEL = 2
GIVEN_UP = frozenset({"declined", "recalled"})
FINISHED = frozenset({"done", "ended"})
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
    here = {part.team_id for part in (*_own_life(incident), *change.assignments)}
    for trade in kind.assist:
        team = choose(around.roster, trade, incident.area_code, incident.lon, incident.lat)
        if team is not None and team.id not in here:
            here.add(team.id)
            send(incident, change, team.id, policy, around, now, role="assist", whistle=False)
    if not incident.facts.get("commander"):
        commander = f"duty/{centre_of(incident.area_code)}"
        change.facts["commander"] = change.said["commander"] = commander


def before(last: datetime, policy: Policy) -> Refusal:
    """Refuse a time that lies before what has happened already."""
    return Refusal("before", {"at": f"{policy.calendar.local(last):%H:%M:%S}"})


def _limit(incident: Incident, limit: Limit) -> Limit:
    return limit.halved if incident.facts.get("wartime") else limit


def _part_clocks(
    incident: Incident, policy: Policy, now: datetime, whistle: bool, dispose: Clock | None
) -> dict[str, Clock]:
    if incident.facts.get("imported"):
        return {}
    kind = policy.types[incident.category]
    own = {}
    pick_up = policy.answer if whistle else policy.pick_up[incident.severity]
    own["pick_up"] = clocks.start(_limit(incident, pick_up), now, policy.calendar)
    arrive = policy.arrival(kind, whistle)
    if arrive is not None:
        own["arrive"] = clocks.start(_limit(incident, arrive), now, policy.calendar)
    own["dispose"] = dispose or clocks.start(_limit(incident, kind.dispose), now, policy.calendar)
    return own


def _start(change: Change, incident: Incident, kind: str, policy: Policy, now: datetime) -> None:
    if incident.facts.get("imported"):
        return
    own = policy.types[incident.category]
    limit = {"dispatch": policy.dispatch[incident.severity], "verify": own.verify}[kind]
    change.clocks[kind] = clocks.start(_limit(incident, limit), now, policy.calendar)


def _centre(incident: Incident) -> str:
    """Return who holds an incident that is with no team: its town's centre, or the one that took it over."""
    return str(incident.facts.get("taken_over_by") or f"centre/{centre_of(incident.area_code)}")


def _own_life(i: Incident) -> list[Assignment]:
    """Return the assignments of this life of an incident: reopened, it goes on with none of the former ones."""
    former = i.facts.get("former") or [{}]
    return [part for part in i.parts.values() if part.id not in former[-1].get("parts", ())]


def _let_go(part: Assignment, around: Around) -> None:
    """Count one live assignment less for the team that a change takes it from."""
    if (team := around.roster.team(part.team_id)) is not None:
        team.load -= 1


def _named(team: Team) -> dict[str, Any]:
    return {"team_zh": team.name, "team_en": team.name_en or team.name}


def _team(around: Around, team_id: object) -> Team | Refusal:
    team = around.roster.team(team_id) if type(team_id) is int else None
    return team if team is not None else Refusal("unknown_team", {"team": team_id})


def _accept(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    _start(change, i, "dispatch", policy, now)
    return None


def _check(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    change.facts["checked"] = {"real": bool(c.args["real"]), "by": c.actor.id}
    return None


def _void(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    return Refusal("returned_not_closed") if i.facts.get("returns") and c.actor.role == "dispatcher" else None


def _merge(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    other = around.other
    if other is None or other.id == i.id or other.state in ENDED:
        return Refusal("no_other")
    # Both change, so both are the actor's; what lies outside is answered like what does not exist.
    if c.actor.role != "system" and not contains(c.actor.area_code, other.area_code):
        return Refusal("no_other")
    if now < other.last_at:
        return before(other.last_at, policy)
    change.facts["merged_into"] = other.number
    return None


def _absorb(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    had = i.facts.get("absorbed", ())
    # What the merged one had taken in comes with it: the third report of a matter is the third by every road.
    absorbed = [*had, c.args["merged"], *c.args.get("with", ())]
    change.facts["absorbed"] = absorbed
    if len(had) < REPEATS_THAT_LIFT <= len(absorbed) and i.mode != MODES[-1]:
        _handle_as(i, change, MODES[MODES.index(i.mode) + 1])
    return None


def _handle_as(i: Incident, change: Change, mode: str) -> None:
    """Change how an incident is handled; what becomes a major matter is seen by the county at once."""
    change.fields["mode"] = mode
    if mode == MODES[-1] and i.level > COUNTY_LEVEL:
        change.facts["level"] = COUNTY_LEVEL


def _recode(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    kind = policy.types.get(c.args["category"])
    if kind is None:
        return Refusal("unknown_category", {"category": c.args["category"]})
    if (was := i.facts.get("recoded_from")) is not None:
        return Refusal("recoded", {"category": was})
    change.facts["recoded_from"] = i.category
    change.fields |= {"category": kind.code, "severity": kind.severity}
    _handle_as(i, change, kind.mode)
    # What still runs gets the right type's limit, from where it began; what was passed stays passed.
    limits = {
        "accept": kind.accept, "dispatch": policy.dispatch[kind.severity], "close": policy.close[kind.severity],
    }  # fmt: skip
    for name, limit in limits.items():
        if (clock := i.clocks.get(name)) is not None and clock.state == "running":
            change.clocks[name] = clocks.start(_limit(i, limit), clock.since, policy.calendar)
    if i.place is not None:
        change.fields["place"] = place_of(kind.code, i.lon, i.lat)
    return None


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
    had = [p for p in _own_life(i) if p.role == "lead" and p.state in GIVEN_UP and p.team_id == team.id]
    if had:
        kept = max(had, key=lambda p: p.ended_at or p.sent_at).clocks.get("dispose")
        if kept is not None and kept.left is not None:
            dispose = clocks.resume(kept, now, policy.calendar)
    send(i, change, team.id, policy, around, now, dispose=dispose)
    if c.verb == "reassign" and i.lead is not None:
        _let_go(i.lead, around)
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
    _let_go(part, around)
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
    review = clocks.start(_limit(i, policy.review), now, policy.calendar)
    facts = {"asked_by": c.actor.id, "whistle_kind": c.args["whistle_kind"]}
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
    if not _is_rating(c.args["rating"]):
        return Refusal("rating")
    part.facts["rating"] = c.args["rating"]
    return None


def _decline(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    if c.args["return_kind"] not in RETURN_KINDS:
        return Refusal("return_kind")
    part = change.assignments[0]
    _let_go(part, around)
    if part.role == "assist":
        return None
    change.holder = _centre(i)
    change.facts["returns"] = int(i.facts.get("returns", 0)) + 1
    _start(change, i, "dispatch", policy, now)
    return None


def _arrive(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    if i.lon is None or i.lat is None or i.facts.get("imported") or c.args.get("reason"):
        return None
    position = c.args.get("position")
    if not isinstance(position, list | tuple) or len(position) != 2:
        return Refusal("no_position")
    try:
        away = metres((float(position[0]), float(position[1])), (i.lon, i.lat))
    except (TypeError, ValueError):
        return Refusal("no_position")
    if not away <= ON_SITE_M:
        return Refusal("not_near", {"metres": round(away) if away == away else "?", "limit": ON_SITE_M})
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


def _dispose(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    part = change.assignments[0]
    if part.role == "assist":
        _let_go(part, around)
        return None
    if i.mode == "all_net" and not i.facts.get("imported"):
        units = {p.team_id for p in _own_life(i) if p.state in LIVE | FINISHED}
        if len(units) < 2 or not i.facts.get("commander"):
            return Refusal("major")
    refusal = _small(i, c, change)
    if refusal is not None:
        return refusal
    _let_go(part, around)
    # A promise of the source stands beside the incident, a limit of ours beside the assignment.
    clock = part.clocks.get("dispose") or change.clocks.get("dispose")
    change.facts |= {
        "disposed_at": now.isoformat(),
        "disposed_on_time": clocks.on_time(clock),
        "disposer": c.actor.id,
        "disposer_team": part.team_id,
    }
    if i.mode == "one_grid":
        change.facts["solved_in_grid"] = True
    elif i.facts.get("solved_in_grid"):
        change.facts["solved_in_grid"] = False
    _settled(c, change)
    change.holder = _centre(i)
    if change.to == "disposed":
        _start(change, i, "verify", policy, now)
    return None


def _solve(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    if i.facts.get("imported"):
        on_time = clocks.on_time(change.clocks.get("dispose"))
    else:
        limit = _limit(i, policy.types[i.category].dispose)
        on_time = now <= policy.calendar.due(_solve_from(i), limit)
    refusal = _small(i, c, change)
    if refusal is not None:
        return refusal
    change.facts |= {
        "disposed_at": now.isoformat(),
        "disposed_on_time": on_time,
        "disposer": c.actor.id,
        "disposer_team": c.actor.team_id,
        "solved_in_grid": True,
    }
    _settled(c, change)
    if change.to == "disposed":
        _start(change, i, "verify", policy, now)
    return None


def _solve_from(i: Incident) -> datetime:
    """Return from when the limit of solving in the grid counts: the report, or the reopening, and no suspension."""
    begun = i.facts.get("solve_from")
    return datetime.fromisoformat(begun) if begun else i.reported_at


def sampled(number: int) -> bool:
    """Tell whether a small matter is among the 5 % that are verified: fixed by its number, known to nobody before."""
    return int.from_bytes(sha256(f"sample/{number}".encode()).digest()[:8], "big") % SAMPLE_ONE_IN == 0


def _small(i: Incident, c: Command, change: Change) -> Refusal | None:
    """Ask two photos of a matter solved in one grid, and let all but the sampled go on to closing without a check."""
    if i.mode != "one_grid" or i.facts.get("imported"):
        return None
    if len(set(c.args.get("photos") or ())) < PHOTOS_OF_ONE_GRID:
        return Refusal("two_photos")
    # What failed a check or was opened again is looked at by another, drawn or not.
    drawn = sampled(i.number) or bool(i.facts.get("reworks") or i.facts.get("former"))
    change.facts["sampled"] = drawn
    if not drawn:
        change.to = "verified"
    return None


def _settled(command: Command, change: Change) -> None:
    """Keep whether a dispute was settled, where the one who disposed of it says so."""
    if "settled" in command.args:
        change.facts["settled"] = bool(command.args["settled"])


def _same_hand(incident: Incident, actor: Actor) -> bool:
    """Tell whether the actor disposed of it or is of a team that did or helped, whose people may share one id."""
    if same_person(actor.id, incident.facts.get("disposer")):
        return True
    teams = {part.team_id for part in _own_life(incident) if part.state in FINISHED}
    return actor.team_id is not None and actor.team_id in teams | {incident.facts.get("disposer_team")}


def _verify(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    if _same_hand(i, c.actor):
        return Refusal("same_hand")
    change.facts["verifier"] = c.actor.id
    return None


def _rework(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    if _same_hand(i, c.actor):
        return Refusal("same_hand")
    team_id = i.facts.get("disposer_team")
    if team_id is None or not any(p.team_id == team_id and p.role == "lead" for p in i.parts.values()):
        change.to = "accepted"
        _start(change, i, "dispatch", policy, now)
    elif (held := i.part_of(int(team_id))) is not None:
        # It still assists: the same unit takes the lead again with the part it has.
        change.assignments.append(replace(held, role="lead"))
        change.holder = f"team/{team_id}"
    else:
        send(i, change, int(team_id), policy, around, now)
    # What has to be done again is not disposed of; the first verdict stays in the events.
    change.facts |= {"disposed_at": None, "disposed_on_time": None}
    change.facts["reworks"] = int(i.facts.get("reworks", 0)) + 1
    return None


def _close(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    if c.args["standard"] is not True:
        return Refusal("standard")
    if i.facts.get("returns") and c.actor.role == "dispatcher":
        return Refusal("returned_not_closed")
    # A small matter that was not drawn has had nobody's eye but the solver's: another hand closes it.
    if i.facts.get("sampled") is False and _same_hand(i, c.actor):
        return Refusal("same_hand")
    return None


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
            _let_go(part, around)


def _is_rating(value: object) -> bool:
    return type(value) is int and 1 <= value <= 5


def _rate(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    if not _is_rating(c.args["rating"]):
        return Refusal("rating")
    if _same_hand(i, c.actor):
        return Refusal("own_work")
    by_reporter = c.actor.id == reporter_of(i)
    if i.facts.get("rated_by_reporter") and not by_reporter:
        return Refusal("rated")
    change.facts |= {"rating": c.args["rating"], "rated_by_reporter": by_reporter}
    return None


def _reopen(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    if c.actor.role == "resident" and (
        i.rating is None or i.rating > DISSATISFIED or i.ended_at is None or now - i.ended_at > REOPEN_WITHIN
    ):
        return Refusal("reopen")
    life = {
        "disposed_at": i.disposed_at.isoformat() if i.disposed_at else None,
        "disposed_on_time": i.disposed_on_time,
        "closed_at": i.ended_at.isoformat() if i.ended_at else None,
        "closed_on_time": i.closed_on_time,
        "rating": i.rating,
        "parts": sorted(i.parts),
    }
    change.facts |= {
        "former": [*i.facts.get("former", ()), life],
        "disposed_at": None,
        "disposed_on_time": None,
        "rating": None,
        "rated_by_reporter": False,
        "extensions": 0,
        "extension_asked": None,
        "solve_from": now.isoformat(),
    }
    change.holder = _centre(i)
    # What its source ended may have left limits of ours running: none of the former life may fire in this one.
    for kind, clock in i.clocks.items():
        if clock.awaited:
            change.clocks[kind] = clocks.meet(clock, i.ended_at or now)
    _start(change, i, "dispatch", policy, now)
    if not i.facts.get("imported"):
        change.clocks["close"] = clocks.start(_limit(i, policy.close[i.severity]), now, policy.calendar)
    return None


def _appeal(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    if c.actor.role == "team" and all(p.team_id != c.actor.team_id for p in i.parts.values()):
        return Refusal("not_team")
    if i.facts.get("appeal") is not None:
        return Refusal("appealed")
    until = policy.appeal_until(i.ended_at) if i.ended_at is not None else None
    if until is not None and now > until:
        return Refusal("appeal_late", {"until": f"{policy.calendar.local(until):%Y-%m-%d %H:%M}"})
    appeal = {"by": c.actor.id, "reason": c.args["reason"], "reviews": [], "granted": None}
    if policy.appeal_answer is not None:
        appeal["answer_by"] = policy.calendar.due(now, policy.appeal_answer).isoformat()
    change.facts["appeal"] = appeal
    return None


def _judge_appeal(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    appeal = i.facts.get("appeal")
    if appeal is None or appeal["granted"] is not None:
        return Refusal("not_appealed")
    if any(same_person(c.actor.id, by) for by in (appeal["by"], *(each["by"] for each in appeal["reviews"]))):
        return Refusal("own_appeal")
    if c.actor.team_id is not None and any(p.team_id == c.actor.team_id for p in i.parts.values()):
        return Refusal("own_appeal")
    granted = c.args["granted"] is True
    review: dict[str, Any] = {"by": c.actor.id, "granted": granted, "reason": c.args["reason"]}
    if granted and c.args.get("spans"):
        spans = _spans(c.args["spans"], i.reported_at, now)
        if spans is None:
            return Refusal("spans", {"limit": SPANS_LIMIT})
        review["spans"] = spans
    if granted and c.args.get("never_theirs"):
        review["never_theirs"] = True
    reviews = [*appeal["reviews"], review]
    judged: dict[str, Any] = {**appeal, "reviews": reviews}
    if not granted or len(reviews) == REVIEWERS:
        judged["granted"] = granted
    change.facts["appeal"] = judged
    if judged["granted"]:
        change.facts["exempt"] = appeal["reason"]
        if all(each.get("never_theirs") for each in reviews):
            change.facts["never_theirs"] = True
        # What only one of them gives is not exempt; who gives none leaves it to the other.
        given = [review["spans"] for review in reviews if review.get("spans")]
        if given:
            both = given[0] if len(given) == 1 else _shared(given[0], given[1])
            if not both:
                return Refusal("spans_differ")
            change.facts["exempt_spans"] = both
    return None


def _spans(given: object, begin: datetime, end: datetime) -> list[list[str]] | None:
    """Return stretches of time between two instants as pairs of ISO texts in UTC, in order and joined where they meet.

    None for anything that is not a list of up to `SPANS_LIMIT` pairs of aware instants, each later than the last.
    """
    if not isinstance(given, list | tuple) or len(given) > SPANS_LIMIT:
        return None
    found: list[tuple[datetime, datetime]] = []
    for pair in given:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            return None
        since, until = _instant(pair[0]), _instant(pair[1])
        if since is None or until is None or not begin <= since < until <= end:
            return None
        found.append((since.astimezone(UTC), until.astimezone(UTC)))
    joined: list[tuple[datetime, datetime]] = []
    for since, until in sorted(found):
        if joined and since <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], until))
        else:
            joined.append((since, until))
    return [[since.isoformat(), until.isoformat()] for since, until in joined]


def _shared(one: list[list[str]], other: list[list[str]]) -> list[list[str]]:
    """Return what two lists of stretches, as `_spans` gives them, have in common."""
    pairs = (
        (max(map(datetime.fromisoformat, (a[0], b[0]))), min(map(datetime.fromisoformat, (a[1], b[1]))))
        for a in one
        for b in other
    )
    return [[since.isoformat(), until.isoformat()] for since, until in sorted(pairs) if since < until]


def _suspend(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    until = _instant(c.args["until"])
    if until is None or not now < until <= now + SUSPENDED_LIMIT:
        return Refusal("until")
    _all_clocks(i, change, lambda clock: clocks.pause(clock, now, policy.calendar))
    change.paused = str(c.args["reason"])
    change.facts["suspended_until"] = until.isoformat()
    return None


def _resume(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    if i.paused_why is None:
        return Refusal("not_suspended")
    _all_clocks(i, change, lambda clock: clocks.resume(clock, now, policy.calendar))
    change.paused = ""
    change.facts["suspended_until"] = None
    if not i.facts.get("imported"):
        # No clock of a team stands for it yet, and yet the suspension moves its limit as it moves every other. The
        # segment of a suspension begins with it: nothing that is allowed meanwhile turns one.
        working = policy.types[i.category].dispose.working
        ran = policy.calendar.elapsed(_solve_from(i), i.held_since, working)
        change.facts["solve_from"] = policy.calendar.after(now, -ran, working).isoformat()
    return None


def _all_clocks(i: Incident, change: Change, turn: Callable[[Clock], Clock]) -> None:
    for kind, clock in i.clocks.items():
        if (after := turn(clock)) is not clock:
            change.clocks[kind] = after
    for part in i.parts.values():
        if part.state in LIVE or part.state == "review":
            change.assignments.append(
                replace(part, clocks={k: turn(clock) for k, clock in part.clocks.items()})
            )


def _instant(value: object) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    return value if isinstance(value, datetime) and value.tzinfo is not None else None


def _supervise(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    change.facts["supervised_by"] = c.actor.area_code
    return None


def _escalate(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    # What was gathered as silent may have been heard, or raised by another hand, before this is decided.
    if (seen := c.args.get("silent_at")) is not None and (i.level != seen or not _is_silent(i, c)):
        return Refusal("moved_on")
    if i.level <= 1:
        return Refusal("at_top")
    change.facts["level"] = i.level - 1
    return None


def _is_silent(i: Incident, c: Command) -> bool:
    """Tell whether what was due still is: the report-in of the whistle that is named, or else anything."""
    if (named := c.args.get("assignment_id")) is None:
        return clocks.overdue_since(i.running()) is not None
    part = i.parts.get(named)
    return part is not None and part.state in LIVE and _is_late(part.clocks.get("arrive"))


def _is_late(clock: Clock | None) -> bool:
    return clock is not None and clock.state == "breached" and clock.awaited


def _hand_down(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    centre = centre_of(i.area_code)
    lowest = int(level_of(centre))
    if i.level >= lowest:
        return Refusal("at_bottom")
    if c.actor.role != "system" and i.level < level_of(c.actor.area_code):
        return Refusal("held_above")
    # With whoever has it now silence counts anew.
    change.facts |= {"level": i.level + 1, "handed_down_at": now.isoformat()}
    if i.facts.get("taken_over_by"):
        change.facts["taken_over_by"] = None
        if i.holder.startswith("centre/"):
            change.holder = f"centre/{centre}"
    return None


def _take_over(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    own = int(level_of(c.actor.area_code))
    if (by := i.facts.get("taken_over_by")) and level_of(str(by).removeprefix("centre/")) < own:
        return Refusal("held_above")
    holder = f"centre/{c.actor.area_code}"
    # What has gone up to the city stays in its eyes when the county takes it in hand.
    change.facts |= {"taken_over_by": holder, "level": min(i.level, own)}
    if i.holder.startswith("centre/"):
        change.holder = holder
    return None


def _breach(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    """Note the passed limit: of the assignment that is named, else of the incident, else of any assignment."""
    kind = c.args["clock"]
    parts = [p for p in i.parts.values() if p.state in LIVE or p.state == "review"]
    if (named := c.args.get("assignment_id")) is not None:
        parts = [p for p in parts if p.id == named]
    elif _has_passed(i.clocks.get(kind), now):
        change.clocks[kind] = clocks.breach(i.clocks[kind])
        change.said["clock"] = kind
        return None
    for part in parts:
        if _has_passed(part.clocks.get(kind), now):
            late = clocks.breach(part.clocks[kind])
            change.assignments.append(replace(part, clocks=part.clocks | {kind: late}))
            change.said |= {"clock": kind, "team": part.team_id}
            return None
    zh, en = clocks.NAMES.get(kind, (kind, kind))
    return Refusal("no_clock", {"clock_zh": zh, "clock_en": en})


def _has_passed(clock: Clock | None, now: datetime) -> bool:
    return clock is not None and clock.state == "running" and clock.due is not None and now > clock.due


def _conclude(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    closed_at = _instant(c.args["closed_at"])
    if closed_at is None:
        return Refusal("needs", {"verb_zh": "来源办结", "verb_en": "close at the source", "field_zh": "结束时间",
                                 "field_en": "the end time"})  # fmt: skip
    if closed_at < i.reported_at:
        return before(i.reported_at, policy)
    # An end that was heard before the incident was opened again is no end of its new life.
    former = i.facts.get("former")
    if former and former[-1]["closed_at"] and closed_at <= datetime.fromisoformat(former[-1]["closed_at"]):
        return before(datetime.fromisoformat(former[-1]["closed_at"]), policy)
    # Judged by when it ended at the source, which we may have heard later than something we did ourselves.
    for kind in ("dispose", "close"):
        if (clock := i.clocks.get(kind)) is not None:
            change.clocks[kind] = clocks.meet(clock, closed_at)
    if i.disposed_at is None:
        change.facts |= {
            "disposed_at": closed_at.isoformat(),
            "disposed_on_time": clocks.on_time(change.clocks.get("dispose")),
        }
    for part in i.parts.values():
        if part.state in LIVE:
            change.assignments.append(replace(part, state="done", ended_at=now))
            _let_go(part, around)
    if i.paused_why is not None:
        change.paused = ""
    return None


EFFECTS: dict[str, Effect] = {
    "accept": _accept,
    "check": _check,
    "void": _void,
    "reject": _void,
    "merge": _merge,
    "absorb": _absorb,
    "recode": _recode,
    "dispatch": _dispatch,
    "reassign": _dispatch,
    "add_assist": _add_assist,
    "recall_assist": _recall_assist,
    "name_commander": _commander,
    "whistle": _whistle,
    "send_whistle": _send_whistle,
    "rate_whistle": _rate_whistle,
    "decline": _decline,
    "arrive": _arrive,
    "ask_extension": _ask_extension,
    "grant_extension": _grant_extension,
    "refuse_extension": _refuse_extension,
    "dispose": _dispose,
    "solve": _solve,
    "verify": _verify,
    "rework": _rework,
    "close": _close,
    "rate": _rate,
    "reopen": _reopen,
    "appeal": _appeal,
    "judge_appeal": _judge_appeal,
    "suspend": _suspend,
    "resume": _resume,
    "supervise": _supervise,
    "escalate": _escalate,
    "hand_down": _hand_down,
    "take_over": _take_over,
    "breach": _breach,
    "conclude": _conclude,
}
