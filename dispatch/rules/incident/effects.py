"""Say what each verb does beyond its step: which clocks begin, who holds it next, what is kept, what is refused.

Every effect takes one `Transition` and returns the whole change, or a refusal; it alters nothing that it is given.
What teams are given or let go of stands in `dispatch.rules.incident.sending`, appeals in
`dispatch.rules.incident.appeals`; here is the incident's own way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256

from dispatch.rules.areas import centre_of, contains, level_of
from dispatch.rules.incident import appeals, sending
from dispatch.rules.incident.facts import Facts, FormerLife
from dispatch.rules.incident.sending import assigned, holding_centre, limit_of, own_life, started
from dispatch.rules.incident.values import (
    Actor,
    Change,
    Incident,
    Transition,
    instant,
    is_rating,
    reporter_of,
    same_person,
)
from dispatch.rules.law import ENDED, LIVE, STEPS
from dispatch.rules.places import metres, place_of
from dispatch.rules.policy.policy import MODES, Policy
from dispatch.rules.refusals import FIELDS, Refusal
from dispatch.rules.time import clocks
from dispatch.rules.time.clocks import Clock

Effect = Callable[[Transition], Change | Refusal]

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


def _accept(t: Transition) -> Change | Refusal:
    return t.change.plus(clocks=started(t.incident, "dispatch", t.policy, t.now))


def _check(t: Transition) -> Change | Refusal:
    return t.change.plus(facts={"checked": {"real": bool(t.command.args["real"]), "by": t.command.actor.id}})


def _void(t: Transition) -> Change | Refusal:
    returned = t.incident.facts.get("returns") and t.command.actor.role == "dispatcher"
    return Refusal("returned_not_closed") if returned else t.change


def _merge(t: Transition) -> Change | Refusal:
    other, actor = t.context.other, t.command.actor
    if other is None or other.id == t.incident.id or other.state in ENDED:
        return Refusal("no_other")
    # Both change, so both are the actor's; what lies outside is answered like what does not exist.
    if actor.role != "system" and not contains(actor.area_code, other.area_code):
        return Refusal("no_other")
    if t.now < other.last_at:
        return before(other.last_at, t.policy)
    return t.change.plus(facts={"merged_into": other.number})


def _absorb(t: Transition) -> Change | Refusal:
    i, args = t.incident, t.command.args
    had = i.facts.get("absorbed", ())
    # What the merged one had taken in comes with it: the third report of a matter is the third by every road.
    absorbed = [*had, args["merged"], *args.get("with", ())]
    change = t.change.plus(facts={"absorbed": absorbed})
    if len(had) < REPEATS_THAT_LIFT <= len(absorbed) and i.mode != MODES[-1]:
        return _handled_as(i, change, MODES[MODES.index(i.mode) + 1])
    return change


def _handled_as(i: Incident, change: Change, mode: str) -> Change:
    """Change how an incident is handled; what becomes a major matter is seen by the county at once."""
    lifts = mode == MODES[-1] and i.level > COUNTY_LEVEL
    return change.plus(fields={"mode": mode}, facts={"level": COUNTY_LEVEL} if lifts else None)


def _recode(t: Transition) -> Change | Refusal:
    i, policy = t.incident, t.policy
    kind = policy.types.get(t.command.args["category"])
    if kind is None:
        return Refusal("unknown_category", {"category": t.command.args["category"]})
    if (was := i.facts.get("recoded_from")) is not None:
        return Refusal("recoded", {"category": was})
    fields = {"category": kind.code, "severity": kind.severity}
    change = _handled_as(i, t.change.plus(facts={"recoded_from": i.category}, fields=fields), kind.mode)
    # What still runs gets the right type's limit, from where it began; what was passed stays passed.
    limits = {
        "accept": kind.accept, "dispatch": policy.dispatch[kind.severity], "close": policy.close[kind.severity],
    }  # fmt: skip
    restarted = {
        name: clocks.start(limit_of(i, limit), clock.since, policy.calendar)
        for name, limit in limits.items()
        if (clock := i.clocks.get(name)) is not None
        and clock.state == "running"
        and not _has_passed(clock, t.now)
    }
    place = {"place": place_of(kind.code, i.lon, i.lat)} if i.place is not None else {}
    return change.plus(clocks=restarted, fields=place)


def _arrive(t: Transition) -> Change | Refusal:
    i, args = t.incident, t.command.args
    if i.lon is None or i.lat is None or i.facts.get("imported") or args.get("reason"):
        return t.change
    position = args.get("position")
    if not isinstance(position, list | tuple) or len(position) != 2:
        return Refusal("no_position")
    try:
        away = metres((float(position[0]), float(position[1])), (i.lon, i.lat))
    except (TypeError, ValueError):
        return Refusal("no_position")
    if not away <= ON_SITE_M:
        return Refusal("not_near", {"metres": round(away) if away == away else "?", "limit": ON_SITE_M})
    return t.change


def _dispose(t: Transition) -> Change | Refusal:
    i, part = t.incident, t.change.assignments[0]
    if part.role == "assist":
        return t.change
    if i.mode == "all_net" and not i.facts.get("imported"):
        units = {p.team_id for p in own_life(i) if p.state in LIVE | FINISHED}
        if len(units) < 2 or not i.facts.get("commander"):
            return Refusal("major")
    small = _small(t)
    if isinstance(small, Refusal):
        return small
    # A promise of the source stands beside the incident, a limit of ours beside the assignment.
    clock = part.clocks.get("dispose") or t.change.clocks.get("dispose")
    change = small.plus(holder=holding_centre(i), facts=_disposed(t, clocks.on_time(clock), part.team_id))
    if i.mode == "one_grid":
        change = change.plus(facts={"solved_in_grid": True})
    elif i.facts.get("solved_in_grid"):
        change = change.plus(facts={"solved_in_grid": False})
    return _to_be_checked(t, change)


def _solve(t: Transition) -> Change | Refusal:
    i = t.incident
    if i.facts.get("imported"):
        on_time = clocks.on_time(t.change.clocks.get("dispose"))
    else:
        limit = limit_of(i, t.policy.types[i.category].dispose)
        on_time = t.now <= t.policy.calendar.due(_solve_from(i), limit)
    small = _small(t)
    if isinstance(small, Refusal):
        return small
    change = small.plus(facts=_disposed(t, on_time, t.command.actor.team_id))
    return _to_be_checked(t, change.plus(facts={"solved_in_grid": True}))


def _disposed(t: Transition, on_time: bool | None, team_id: int | None) -> Facts:
    """Return who disposed of an incident, when, and whether that was in time."""
    return {
        "disposed_at": t.now.isoformat(),
        "disposed_on_time": on_time,
        "disposer": t.command.actor.id,
        "disposer_team": team_id,
    }


def _to_be_checked(t: Transition, change: Change) -> Change:
    """Keep whether a dispute was settled, where the disposer says so, and begin the clock of whoever checks.

    What was said before is over.
    """
    if "settled" in t.command.args:
        change = change.plus(facts={"settled": bool(t.command.args["settled"])})
    elif t.incident.facts.get("settled"):
        change = change.plus(facts={"settled": False})
    if change.to == "disposed":
        change = change.plus(clocks=started(t.incident, "verify", t.policy, t.now))
    return change


def _solve_from(i: Incident) -> datetime:
    """Return from when the limit of solving in the grid counts: the report, or the reopening, and no suspension."""
    begun = i.facts.get("solve_from")
    return datetime.fromisoformat(begun) if begun else i.reported_at


def sampled(number: int) -> bool:
    """Tell whether a small matter is among the 5 % that are verified: fixed by its number, known to nobody before."""
    return int.from_bytes(sha256(f"sample/{number}".encode()).digest()[:8], "big") % SAMPLE_ONE_IN == 0


def _small(t: Transition) -> Change | Refusal:
    """Ask two photos of a matter solved in one grid, and let all but the sampled go on to closing without a check."""
    i = t.incident
    if i.mode != "one_grid" or i.facts.get("imported"):
        return t.change
    if len(set(t.command.args.get("photos") or ())) < PHOTOS_OF_ONE_GRID:
        return Refusal("two_photos")
    # What failed a check or was opened again is looked at by another, drawn or not.
    drawn = sampled(i.number) or bool(i.facts.get("reworks") or i.facts.get("former"))
    return t.change.plus(to=None if drawn else "verified", facts={"sampled": drawn})


def _same_hand(incident: Incident, actor: Actor) -> bool:
    """Tell whether the actor disposed of it or is of a team that did or helped, whose people may share one id."""
    if same_person(actor.id, incident.facts.get("disposer")):
        return True
    teams = {part.team_id for part in own_life(incident) if part.state in FINISHED}
    return actor.team_id is not None and actor.team_id in teams | {incident.facts.get("disposer_team")}


def _verify(t: Transition) -> Change | Refusal:
    if _same_hand(t.incident, t.command.actor):
        return Refusal("same_hand")
    return t.change.plus(facts={"verifier": t.command.actor.id})


def _rework(t: Transition) -> Change | Refusal:
    i = t.incident
    if _same_hand(i, t.command.actor):
        return Refusal("same_hand")
    team_id = i.facts.get("disposer_team")
    if team_id is None or not any(p.team_id == team_id and p.role == "lead" for p in i.parts.values()):
        change = t.change.plus(to="accepted", clocks=started(i, "dispatch", t.policy, t.now))
    else:
        # Where it still assists, the same unit takes the lead again with the part it has.
        held = i.part_of(team_id)
        again = replace(held, role="lead") if held else assigned(i, team_id, t.policy, t.context, t.now)
        change = t.change.plus(holder=f"team/{team_id}", assignments=(again,))
    # What has to be done again is not disposed of; the first verdict stays in the events.
    reworks = int(i.facts.get("reworks", 0)) + 1
    return change.plus(facts={"disposed_at": None, "disposed_on_time": None, "reworks": reworks})


def _close(t: Transition) -> Change | Refusal:
    i, actor = t.incident, t.command.actor
    if t.command.args["standard"] is not True:
        return Refusal("standard")
    if i.facts.get("returns") and actor.role == "dispatcher":
        return Refusal("returned_not_closed")
    # A small matter that was not drawn has had nobody's eye but the solver's: another hand closes it.
    if i.facts.get("sampled") is False and _same_hand(i, actor):
        return Refusal("same_hand")
    return t.change


def _rate(t: Transition) -> Change | Refusal:
    i, actor, rating = t.incident, t.command.actor, t.command.args["rating"]
    if not is_rating(rating):
        return Refusal("rating")
    if _same_hand(i, actor):
        return Refusal("own_work")
    by_reporter = actor.id == reporter_of(i)
    if i.facts.get("rated_by_reporter") and not by_reporter:
        return Refusal("rated")
    return t.change.plus(facts={"rating": rating, "rated_by_reporter": by_reporter})


def _reopen(t: Transition) -> Change | Refusal:
    i, now = t.incident, t.now
    if t.command.actor.role == "resident" and (
        i.rating is None or i.rating > DISSATISFIED or i.ended_at is None or now - i.ended_at > REOPEN_WITHIN
    ):
        return Refusal("reopen")
    # An exemption is of the life that it was asked for: the next one answers for itself.
    begun: Facts = {}
    for name in appeals.EXEMPTS:
        if name in i.facts:
            begun[name] = None
    begun |= {
        "former": [*i.facts.get("former", ()), _former(i)],
        "disposed_at": None,
        "disposed_on_time": None,
        "rating": None,
        "rated_by_reporter": False,
        "extensions": 0,
        "extension_asked": None,
        "solve_from": now.isoformat(),
    }
    # What its source ended may have left limits of ours running: none of the former life may fire in this one.
    own = {
        kind: clocks.meet(clock, i.ended_at or now) for kind, clock in i.clocks.items() if clock.awaited
    } | started(i, "dispatch", t.policy, now)
    if not i.facts.get("imported"):
        own["close"] = clocks.start(limit_of(i, t.policy.close[i.severity]), now, t.policy.calendar)
    return t.change.plus(holder=holding_centre(i), clocks=own, facts=begun)


def _former(i: Incident) -> FormerLife:
    """Return what is kept of an incident's life that ends with its reopening."""
    return {
        "disposed_at": i.disposed_at.isoformat() if i.disposed_at else None,
        "disposed_on_time": i.disposed_on_time,
        "closed_at": i.ended_at.isoformat() if i.ended_at else None,
        "closed_on_time": i.closed_on_time,
        "rating": i.rating,
        "parts": sorted(i.parts),
        "exempt": i.facts.get("exempt"),
        "never_theirs": i.facts.get("never_theirs"),
        "exempt_spans": i.facts.get("exempt_spans"),
    }


def _suspend(t: Transition) -> Change | Refusal:
    until = instant(t.command.args["until"])
    if until is None or not t.now < until <= t.now + SUSPENDED_LIMIT:
        return Refusal("until")
    return _all_clocks(t, lambda clock: clocks.pause(clock, t.now, t.policy.calendar)).plus(
        paused=str(t.command.args["reason"]), facts={"suspended_until": until.isoformat()}
    )


def _resume(t: Transition) -> Change | Refusal:
    i, calendar = t.incident, t.policy.calendar
    if i.paused_why is None:
        return Refusal("not_suspended")
    change = _all_clocks(t, lambda clock: clocks.resume(clock, t.now, calendar)).plus(
        paused="", facts={"suspended_until": None}
    )
    if i.facts.get("imported"):
        return change
    # No clock of a team stands for it yet, and yet the suspension moves its limit as it moves every other. The
    # segment of a suspension begins with it: nothing that is allowed meanwhile turns one.
    working = t.policy.types[i.category].dispose.working
    ran = calendar.elapsed(_solve_from(i), i.held_since, working)
    return change.plus(facts={"solve_from": calendar.after(t.now, -ran, working).isoformat()})


def _all_clocks(t: Transition, turn: Callable[[Clock], Clock]) -> Change:
    """Turn every clock of an incident and of its assignments in hand or under review."""
    turned = {kind: after for kind, clock in t.incident.clocks.items() if (after := turn(clock)) is not clock}
    parts = tuple(
        replace(part, clocks={k: turn(clock) for k, clock in part.clocks.items()})
        for part in t.incident.parts.values()
        if part.state in LIVE or part.state == "review"
    )
    return t.change.plus(clocks=turned, assignments=parts)


def _supervise(t: Transition) -> Change | Refusal:
    return t.change.plus(facts={"supervised_by": t.command.actor.area_code})


def _escalate(t: Transition) -> Change | Refusal:
    i = t.incident
    # What was gathered as silent may have been heard, or raised by another hand, before this is decided.
    if (seen := t.command.args.get("silent_at")) is not None and (i.level != seen or not _is_silent(t)):
        return Refusal("moved_on")
    if i.level <= 1:
        return Refusal("at_top")
    return t.change.plus(facts={"level": i.level - 1})


def _is_silent(t: Transition) -> bool:
    """Tell whether what was due still is: the report-in of the whistle that is named, or else anything."""
    if (named := t.command.args.get("assignment_id")) is None:
        return clocks.overdue_since(t.incident.running()) is not None
    part = t.incident.parts.get(named)
    return part is not None and part.state in LIVE and clocks.passed(part.clocks.get("arrive"))


def _hand_down(t: Transition) -> Change | Refusal:
    i, actor = t.incident, t.command.actor
    centre = centre_of(i.area_code)
    lowest = int(level_of(centre))
    if i.level >= lowest:
        return Refusal("at_bottom")
    if actor.role != "system" and i.level < level_of(actor.area_code):
        return Refusal("held_above")
    # With whoever has it now silence counts anew.
    change = t.change.plus(facts={"level": i.level + 1, "handed_down_at": t.now.isoformat()})
    if not i.facts.get("taken_over_by"):
        return change
    holder = f"centre/{centre}" if i.holder.startswith("centre/") else None
    return change.plus(facts={"taken_over_by": None}, holder=holder)


def _take_over(t: Transition) -> Change | Refusal:
    i, area = t.incident, t.command.actor.area_code
    own = int(level_of(area))
    if (by := i.facts.get("taken_over_by")) and level_of(by.removeprefix("centre/")) < own:
        return Refusal("held_above")
    holder = f"centre/{area}"
    # What has gone up to the city stays in its eyes when the county takes it in hand.
    return t.change.plus(
        facts={"taken_over_by": holder, "level": min(i.level, own)},
        holder=holder if i.holder.startswith("centre/") else None,
    )


def _breach(t: Transition) -> Change | Refusal:
    """Note the passed limit: of the assignment that is named, else of the incident, else of any assignment."""
    i, kind = t.incident, t.command.args["clock"]
    parts = [p for p in i.parts.values() if p.state in LIVE or p.state == "review"]
    if (named := t.command.args.get("assignment_id")) is not None:
        parts = [p for p in parts if p.id == named]
    elif _has_passed(i.clocks.get(kind), t.now):
        return t.change.plus(clocks={kind: clocks.breach(i.clocks[kind])}, said={"clock": kind})
    for part in parts:
        if _has_passed(part.clocks.get(kind), t.now):
            late = replace(part, clocks=part.clocks | {kind: clocks.breach(part.clocks[kind])})
            return t.change.plus(assignments=(late,), said={"clock": kind, "team": part.team_id})
    return Refusal("no_clock", {"clock": clocks.NAMES.get(kind, (kind, kind))})


def _has_passed(clock: Clock | None, now: datetime) -> bool:
    return clock is not None and clock.state == "running" and clock.due is not None and now > clock.due


def _conclude(t: Transition) -> Change | Refusal:
    i = t.incident
    closed_at = instant(t.command.args["closed_at"])
    if closed_at is None:
        return Refusal("needs", {"verb": STEPS["conclude"].names, "field": FIELDS["closed_at"]})
    if closed_at < i.reported_at:
        return before(i.reported_at, t.policy)
    # An end that was heard before the incident was opened again is no end of its new life.
    former = i.facts.get("former")
    ended = former[-1]["closed_at"] if former else None
    if ended and closed_at <= datetime.fromisoformat(ended):
        return before(datetime.fromisoformat(ended), t.policy)
    # Judged by when it ended at the source, which we may have heard later than something we did ourselves.
    met = {
        kind: clocks.meet(clock, closed_at)
        for kind in ("dispose", "close")
        if (clock := i.clocks.get(kind)) is not None
    }
    done = tuple(replace(p, state="done", ended_at=t.now) for p in i.parts.values() if p.state in LIVE)
    resumed = "" if i.paused_why is not None else None
    change = t.change.plus(clocks=met, assignments=done, paused=resumed)
    if i.disposed_at is not None:
        return change
    on_time = clocks.on_time(change.clocks.get("dispose"))
    return change.plus(facts={"disposed_at": closed_at.isoformat(), "disposed_on_time": on_time})


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
