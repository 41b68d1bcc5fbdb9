"""Say what each verb does beyond its step: which clocks begin, who holds it next, what is kept, what is refused.

Every effect takes (incident, command, change, policy, around, now), adds to the change, and returns a refusal or
None. Where the step moves an assignment, its moved form is the change's first. What teams are given or let go of
stands in `dispatch.rules.incident.sending`, appeals in `dispatch.rules.incident.appeals`; here is the incident's own
way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256

from dispatch.rules.areas import centre_of, contains, level_of
from dispatch.rules.incident import appeals, sending
from dispatch.rules.incident.sending import holding_centre, let_go, limit_of, own_life, send, start_clock
from dispatch.rules.incident.values import (
    Actor,
    Around,
    Change,
    Command,
    Incident,
    instant,
    is_rating,
    reporter_of,
    same_person,
)
from dispatch.rules.law import ENDED, LIVE
from dispatch.rules.places import metres, place_of
from dispatch.rules.policy.policy import MODES, Policy
from dispatch.rules.refusals import Refusal
from dispatch.rules.time import clocks
from dispatch.rules.time.clocks import Clock

Effect = Callable[[Incident, Command, Change, Policy, Around, datetime], Refusal | None]

ON_SITE_M = 300  # how near a check-in must be without a reason
SAMPLE_ONE_IN = 20  # small matters solved in one grid: 5 % are verified
PHOTOS_OF_ONE_GRID = 2  # before and after
SUSPENDED_LIMIT = timedelta(days=90)
REOPEN_WITHIN = timedelta(days=10)
DISSATISFIED = 2  # ratings up to this one
REPEATS_THAT_LIFT = 2  # merged into one: with the third the mode goes one step up
COUNTY_LEVEL = 2
FINISHED = frozenset({"done", "ended"})


def before(last: datetime, policy: Policy) -> Refusal:
    """Refuse a time that lies before what has happened already."""
    return Refusal("before", {"at": f"{policy.calendar.local(last):%H:%M:%S}"})


def _accept(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    start_clock(change, i, "dispatch", policy, now)
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
        if (
            (clock := i.clocks.get(name)) is not None
            and clock.state == "running"
            and not _has_passed(clock, now)
        ):
            change.clocks[name] = clocks.start(limit_of(i, limit), clock.since, policy.calendar)
    if i.place is not None:
        change.fields["place"] = place_of(kind.code, i.lon, i.lat)
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


def _dispose(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    part = change.assignments[0]
    if part.role == "assist":
        let_go(part, around)
        return None
    if i.mode == "all_net" and not i.facts.get("imported"):
        units = {p.team_id for p in own_life(i) if p.state in LIVE | FINISHED}
        if len(units) < 2 or not i.facts.get("commander"):
            return Refusal("major")
    refusal = _small(i, c, change)
    if refusal is not None:
        return refusal
    let_go(part, around)
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
    _settled(i, c, change)
    change.holder = holding_centre(i)
    if change.to == "disposed":
        start_clock(change, i, "verify", policy, now)
    return None


def _solve(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    if i.facts.get("imported"):
        on_time = clocks.on_time(change.clocks.get("dispose"))
    else:
        limit = limit_of(i, policy.types[i.category].dispose)
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
    _settled(i, c, change)
    if change.to == "disposed":
        start_clock(change, i, "verify", policy, now)
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


def _settled(i: Incident, command: Command, change: Change) -> None:
    """Keep whether a dispute was settled, where the one who disposed of it says so; what was said before is over."""
    if "settled" in command.args:
        change.facts["settled"] = bool(command.args["settled"])
    elif i.facts.get("settled"):
        change.facts["settled"] = False


def _same_hand(incident: Incident, actor: Actor) -> bool:
    """Tell whether the actor disposed of it or is of a team that did or helped, whose people may share one id."""
    if same_person(actor.id, incident.facts.get("disposer")):
        return True
    teams = {part.team_id for part in own_life(incident) if part.state in FINISHED}
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
        start_clock(change, i, "dispatch", policy, now)
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


def _rate(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    if not is_rating(c.args["rating"]):
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
        # An exemption is of the life that it was asked for: the next one answers for itself.
        **{name: i.facts.get(name) for name in appeals.EXEMPTS},
    }
    change.facts |= {name: None for name in appeals.EXEMPTS if name in i.facts}
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
    change.holder = holding_centre(i)
    # What its source ended may have left limits of ours running: none of the former life may fire in this one.
    for kind, clock in i.clocks.items():
        if clock.awaited:
            change.clocks[kind] = clocks.meet(clock, i.ended_at or now)
    start_clock(change, i, "dispatch", policy, now)
    if not i.facts.get("imported"):
        change.clocks["close"] = clocks.start(limit_of(i, policy.close[i.severity]), now, policy.calendar)
    return None


def _suspend(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    until = instant(c.args["until"])
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
    return part is not None and part.state in LIVE and clocks.passed(part.clocks.get("arrive"))


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
    closed_at = instant(c.args["closed_at"])
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
            let_go(part, around)
    if i.paused_why is not None:
        change.paused = ""
    return None


EFFECTS: dict[str, Effect] = {
    **sending.EFFECTS,
    **appeals.EFFECTS,
    "accept": _accept,
    "check": _check,
    "void": _void,
    "reject": _void,
    "merge": _merge,
    "absorb": _absorb,
    "recode": _recode,
    "arrive": _arrive,
    "dispose": _dispose,
    "solve": _solve,
    "verify": _verify,
    "rework": _rework,
    "close": _close,
    "rate": _rate,
    "reopen": _reopen,
    "suspend": _suspend,
    "resume": _resume,
    "supervise": _supervise,
    "escalate": _escalate,
    "hand_down": _hand_down,
    "take_over": _take_over,
    "breach": _breach,
    "conclude": _conclude,
}
