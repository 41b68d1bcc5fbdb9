"""The chain of an incident as a table: from each state by each verb to the next, who may, and what must be given.

`decide` answers a command with what changes, or a refusal; `evolve` folds a change into the incident. Whatever
`decide` needs to know it is given, whatever a replay needs to know the change carries, so folding an incident's
events always gives its row. Times are aware datetimes in UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dispatch.rules import clocks
from dispatch.rules.areas import centre_of, contains, level_of
from dispatch.rules.clocks import Clock
from dispatch.rules.policy import Policy
from dispatch.rules.refusals import FIELDS, Refusal
from dispatch.rules.routing import Roster, choose

STATES: dict[str, tuple[str, str]] = {
    "reported": ("待受理", "reported"),
    "checking": ("待核实", "field check requested"),
    "accepted": ("待派遣", "accepted"),
    "dispatched": ("待签收", "awaiting pick-up"),
    "in_hand": ("处置中", "in hand"),
    "disposed": ("待核查", "awaiting check"),
    "verified": ("待结案", "awaiting closing"),
    "closed": ("已结案", "closed"),
    "archived": ("已归档", "archived"),
    "rejected": ("不予受理", "rejected"),
    "void": ("作废", "void"),
    "merged": ("已并案", "merged"),
}
ENDED = frozenset({"closed", "archived", "rejected", "void", "merged"})
ASSIGNMENT_STATES: dict[str, tuple[str, str]] = {
    "sent": ("待签收", "sent"),
    "picked_up": ("已签收", "picked up"),
    "on_site": ("已到场", "on site"),
    "done": ("已处置", "done"),
    "declined": ("已退回", "returned"),
    "recalled": ("已撤回", "recalled"),
}
LIVE = frozenset({"sent", "picked_up", "on_site"})

CENTRE = frozenset({"dispatcher", "duty_leader", "county", "city", "system"})
GRID = frozenset({"grid_worker", "grid_head", "village"})
TEAM = frozenset({"team"})
SYSTEM_ONLY = frozenset({"system"})
EVERYONE = CENTRE | GRID | TEAM | {"resident", "leader"}


@dataclass(frozen=True, slots=True)
class Step:
    """One row of the law: `verb` leads from any of `sources` to `target` (None: stays), by `roles`, given `needs`.

    `part` lists the states of the lead assignment that the verb moves, and `part_target` where it moves to.
    `meets` are the clocks that the verb ends.
    """

    verb: str
    zh: str
    en: str
    sources: frozenset[str]
    target: str | None
    roles: frozenset[str]
    needs: tuple[str, ...] = ()
    meets: tuple[str, ...] = ()
    part: frozenset[str] | None = None
    part_target: str | None = None


def _step(
    verb: str, zh: str, en: str, sources: str, target: str | None, roles: frozenset[str], **rest: Any
) -> Step:
    return Step(verb, zh, en, frozenset(sources.split()), target, roles, **rest)


_OPEN = " ".join(state for state in STATES if state not in ENDED)

STEPS: dict[str, Step] = {
    step.verb: step
    for step in (
        _step("report", "上报", "report", "", "reported", EVERYONE),
        _step("accept", "受理", "accept", "reported checking", "accepted", CENTRE | {"village"}, meets=("accept",)),
        _step("reject", "不予受理", "reject", "reported checking", "rejected", CENTRE, needs=("reason",), meets=("accept",)),
        _step("void", "作废", "void", "reported checking accepted", "void", CENTRE, needs=("reason",)),
        _step("route", "自动分派", "route", "reported", "dispatched", SYSTEM_ONLY, meets=("accept",)),
        _step("dispatch", "派遣", "dispatch", "accepted", "dispatched", CENTRE, needs=("team_id",), meets=("dispatch",)),
        _step(
            "reassign", "改派", "reassign", "dispatched in_hand", "dispatched", CENTRE, needs=("team_id", "reason"),
            part=LIVE, part_target="recalled",
        ),
        _step(
            "pick_up", "签收", "pick up", "dispatched", "in_hand", TEAM | GRID | {"system"}, meets=("pick_up",),
            part=frozenset({"sent"}), part_target="picked_up",
        ),
        _step(
            "decline", "退回", "return", "dispatched in_hand", "accepted", TEAM | GRID, needs=("reason",),
            part=LIVE, part_target="declined",
        ),
        _step(
            "arrive", "到场签到", "check in on site", "in_hand", None, TEAM | GRID, meets=("arrive",),
            part=frozenset({"picked_up"}), part_target="on_site",
        ),
        _step(
            "dispose", "反馈结果", "report the result", "in_hand", "disposed", TEAM | GRID, needs=("result",),
            meets=("dispose",), part=frozenset({"picked_up", "on_site"}), part_target="done",
        ),
        _step("solve", "一格解决", "solve in the grid", "reported accepted", "disposed", GRID, needs=("result",),
              meets=("accept", "dispatch")),
        _step("verify", "核查通过", "pass the check", "disposed", "verified", CENTRE | GRID, meets=("verify",)),
        _step("rework", "返工", "send back for rework", "disposed", "dispatched", CENTRE | GRID, needs=("reason",), meets=("verify",)),
        _step("close", "结案", "close", "verified", "closed", CENTRE | {"village"}, needs=("standard",), meets=("close",)),
        _step("rate", "评价", "rate", "closed", None, frozenset({"resident", "system"}) | GRID, needs=("rating",)),
        _step("note", "备注", "note", _OPEN, None, EVERYONE, needs=("note",)),
        _step("supervise", "督办", "supervise", _OPEN, None, frozenset({"county", "city", "leader"}), needs=("reason",)),
        _step("escalate", "提级", "escalate", _OPEN, None, CENTRE, needs=("reason",)),
        _step("breach", "超时", "pass the limit", _OPEN, None, SYSTEM_ONLY, needs=("clock",)),
        _step("conclude", "来源办结", "close at the source", _OPEN, "closed", SYSTEM_ONLY, needs=("closed_at",)),
    )
}  # fmt: skip


@dataclass(slots=True)
class Report:
    """What came in, located and typed. `target_at` is a promise its source made; `number` has sixteen digits.

    `imported` marks a request that another system runs: our clocks do not judge it, the source's promise does.
    `reporter` is a contact in confidence: it is never part of an event.
    """

    number: int
    source: str
    source_id: str
    category: str
    text: str
    address: str
    area_code: str
    lon: float | None
    lat: float | None
    located: str
    reported_at: datetime
    severity: int | None = None
    reporter: str = ""
    photos: tuple[str, ...] = ()
    target_at: datetime | None = None
    imported: bool = False


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: an id for the record, a role, the area whose subtree is theirs, and their team when they are one."""

    id: str
    role: str
    area_code: str
    team_id: int | None = None


SYSTEM = Actor("system", "system", "")


@dataclass(slots=True)
class Command:
    """One wish: `id` makes a repeated press one action; `args` hold what the verb needs."""

    verb: str
    incident_id: int
    actor: Actor
    id: str
    args: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Assignment:
    """One unit's part in the incident."""

    id: int
    team_id: int
    role: str
    kind: str
    state: str
    sent_at: datetime
    ended_at: datetime | None
    clocks: dict[str, Clock]


@dataclass(slots=True)
class Segment:
    """A stretch of responsibility that has ended."""

    seq: int
    holder: str
    awaits: str | None
    paused_why: str | None
    began_at: datetime
    ended_at: datetime


@dataclass(slots=True)
class Change:
    """What one event changes; everything a replay needs. Empty parts are left out when it is written down."""

    to: str | None = None
    holder: str | None = None
    clocks: dict[str, Clock] = field(default_factory=dict)
    assignments: list[Assignment] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    said: dict[str, Any] = field(default_factory=dict)
    opened: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Event:
    """One thing that happened: the `seq`-th of its incident."""

    incident_id: int
    seq: int
    at: datetime
    verb: str
    actor: str
    cause: str
    policy_version: int
    change: Change


@dataclass(slots=True)
class Incident:
    """The fold of an incident's events. `parts` are its assignments by id; `past` the segments ended since loading."""

    id: int
    number: int = 0
    source: str = ""
    source_id: str = ""
    category: str = ""
    severity: int = 4
    mode: str = "joint"
    text: str = ""
    address: str = ""
    area_code: str = ""
    lon: float | None = None
    lat: float | None = None
    located: str = "code"
    place: int | None = None
    reported_at: datetime = datetime.min
    state: str = ""
    level: int = 3
    holder: str = ""
    held_since: datetime = datetime.min
    awaits: str | None = None
    paused_why: str | None = None
    segment: int = 0
    clocks: dict[str, Clock] = field(default_factory=dict)
    parts: dict[int, Assignment] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    disposed_at: datetime | None = None
    disposed_on_time: bool | None = None
    ended_at: datetime | None = None
    closed_on_time: bool | None = None
    rating: int | None = None
    policy_version: int = 0
    seq: int = 0
    last_verb: str = ""
    last_actor: str = ""
    last_at: datetime = datetime.min
    past: list[Segment] = field(default_factory=list)

    @property
    def lead(self) -> Assignment | None:
        """Return the live lead assignment, or None."""
        for part in self.parts.values():
            if part.role == "lead" and part.state in LIVE:
                return part
        return None

    def running(self) -> list[Clock]:
        """Return all clocks that count now: the incident's and those of its live assignments."""
        if self.ended_at is not None:
            return []
        found = list(self.clocks.values())
        for part in self.parts.values():
            if part.state in LIVE:
                found.extend(part.clocks.values())
        return found


@dataclass(slots=True)
class Around:
    """What a decision may look at beside the incident: the teams, and a source of new assignment ids."""

    roster: Roster
    new_id: Callable[[], int]
    suspects: int = 0


def decide(
    incident: Incident, command: Command, policy: Policy, around: Around, now: datetime
) -> Change | Refusal:
    """Answer a command on an existing incident with what it changes, or with a refusal."""
    step = STEPS.get(command.verb)
    if step is None or step.verb == "report":
        return Refusal("unknown_verb", {"verb": command.verb})
    refusal = _refused(incident, command, step, now, policy)
    if refusal is not None:
        return refusal
    change = Change(to=step.target)
    for kind in step.meets:
        if (clock := incident.clocks.get(kind)) is not None and clock.awaited:
            change.clocks[kind] = clocks.meet(clock, now)
    part = incident.lead
    if step.part is not None and part is not None and step.part_target is not None:
        change.assignments.append(_moved(part, step, now))
    effect = _EFFECTS.get(step.verb)
    if effect is not None:
        refusal = effect(incident, command, change, policy, around, now)
        if refusal is not None:
            return refusal
    if change.to is not None and change.to in ENDED:
        # A limit that is still running when the incident ends by another road ends with it, unjudged.
        for kind, clock in incident.clocks.items():
            if clock.awaited and kind not in change.clocks and clock.state == "breached":
                change.clocks[kind] = clocks.meet(clock, now)
    for name in ("reason", "result", "note", "standard", "photos", "position"):
        if name in command.args:
            change.said[name] = command.args[name]
    return change


def open_report(report: Report, policy: Policy, around: Around, now: datetime) -> Change | Refusal:
    """Answer a report with the change that opens its incident."""
    kind = policy.types.get(report.category)
    if kind is None:
        return Refusal("unknown_category", {"category": report.category})
    centre = centre_of(report.area_code)
    begun: dict[str, Clock] = {}
    if report.imported:
        if report.target_at is not None:
            begun["dispose"] = clocks.promised(report.reported_at, report.target_at)
    else:
        severity = report.severity or kind.severity
        begun["accept"] = clocks.start(kind.accept, now, policy.calendar)
        begun["close"] = clocks.start(policy.close[severity], now, policy.calendar)
    opened = {
        "number": report.number,
        "source": report.source,
        "source_id": report.source_id,
        "category": report.category,
        "severity": report.severity or kind.severity,
        "mode": kind.mode,
        "text": report.text,
        "address": report.address,
        "area_code": report.area_code,
        "lon": report.lon,
        "lat": report.lat,
        "located": report.located,
        "place": place_of(report.category, report.lon, report.lat) if report.located == "point" else None,
        "level": int(level_of(centre)),
        "reported_at": report.reported_at.isoformat(),
    }
    said: dict[str, Any] = {"photos": list(report.photos)} if report.photos else {}
    if around.suspects:
        said["suspects"] = around.suspects
    return Change(to="reported", holder=f"centre/{centre}", clocks=begun, opened=opened, said=said)


def route(incident: Incident, policy: Policy, around: Around, now: datetime) -> Change | None:
    """Send a fresh incident straight to its team where the policy says so and a team is ready; else None."""
    kind = policy.types[incident.category]
    if incident.state != "reported" or kind.mode not in policy.straight:
        return None
    team = choose(around.roster, policy.trade_for(kind), incident.area_code, incident.lon, incident.lat)
    if team is None:
        return None
    change = Change(to="dispatched")
    if (accept := incident.clocks.get("accept")) is not None:
        change.clocks["accept"] = clocks.meet(accept, now)
    _send(incident, change, team.id, policy, around, now)
    return change


def evolve(incident: Incident, event: Event) -> Incident:
    """Fold one event into the incident, in place, and return it."""
    change, at = event.change, event.at
    was_ended = incident.ended_at is not None
    if change.opened:
        for name, value in change.opened.items():
            setattr(incident, name, value)
        incident.reported_at = datetime.fromisoformat(change.opened["reported_at"])
        incident.policy_version = event.policy_version
        incident.held_since = at
    if change.clocks:
        incident.clocks.update(change.clocks)
    for part in change.assignments:
        incident.parts[part.id] = part
    if change.facts:
        incident.facts.update(change.facts)
        if "rating" in change.facts:
            incident.rating = change.facts["rating"]
        if "level" in change.facts:
            incident.level = change.facts["level"]
        if "disposed_at" in change.facts:
            incident.disposed_at = datetime.fromisoformat(change.facts["disposed_at"])
            incident.disposed_on_time = change.facts["disposed_on_time"]
    if change.to is not None:
        incident.state = change.to
        if change.to in ENDED and not was_ended:
            incident.ended_at = at
            incident.closed_on_time = clocks.on_time(incident.clocks.get("close"))
    awaits = _awaited(incident)
    holder = change.holder or incident.holder
    if not was_ended and (
        holder != incident.holder or awaits != incident.awaits or incident.ended_at is not None
    ):
        _turn(incident, holder, awaits, at)
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
    """Return the steps that this actor may take now, in the order of the table; what must be given is theirs to give."""
    return [
        s for s in STEPS.values() if incident.state in s.sources and _not_allowed(incident, actor, s) is None
    ]


def place_of(category: str, lon: float | None, lat: float | None) -> int | None:
    """Pack category and the 0.002 degree cell (about 200 m) of a point into one number; None without a point."""
    if lon is None or lat is None:
        return None
    return _packed(category, int((lon + 180) * 500), int((lat + 90) * 500))


def places_around(category: str, lon: float, lat: float) -> tuple[int, int, int, int]:
    """Return the four cells that cover every point within half a cell (about 100 m) of a point."""
    x, y = (lon + 180) * 500, (lat + 90) * 500
    left, low = int(x - 0.5), int(y - 0.5)
    return (
        _packed(category, left, low),
        _packed(category, left + 1, low),
        _packed(category, left, low + 1),
        _packed(category, left + 1, low + 1),
    )


def _packed(category: str, x: int, y: int) -> int:
    return (int(category) << 36) | (x << 18) | y


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


def _turn(incident: Incident, holder: str, awaits: str | None, at: datetime) -> None:
    """End the open segment at `at` and, unless the incident has ended, open the next."""
    if incident.holder:
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
    incident.holder, incident.awaits = holder, awaits
    if incident.ended_at is None:
        incident.segment += 1
        incident.held_since = at


def _refused(
    incident: Incident, command: Command, step: Step, now: datetime, policy: Policy
) -> Refusal | None:
    if incident.state not in step.sources:
        return _not_now(incident, step, policy)
    refusal = _not_allowed(incident, command.actor, step)
    if refusal is not None:
        return refusal
    for need in step.needs:
        if command.args.get(need) in (None, "", ()):
            zh, en = FIELDS[need]
            return Refusal("needs", {"verb_zh": step.zh, "verb_en": step.en, "field_zh": zh, "field_en": en})
    part = incident.lead
    if step.part is not None and (part is None or part.state not in step.part):
        return _not_now(incident, step, policy)
    if now < incident.last_at and step.verb != "conclude":
        return Refusal("before", {"at": f"{policy.calendar.local(incident.last_at):%H:%M:%S}"})
    return None


def _not_allowed(incident: Incident, actor: Actor, step: Step) -> Refusal | None:
    if actor.role not in step.roles:
        return Refusal("not_role", {"role": actor.role, "verb_zh": step.zh, "verb_en": step.en})
    if actor.role == "system":
        return None
    if actor.role == "team" and step.part is not None:
        part = incident.lead
        return None if part is not None and part.team_id == actor.team_id else Refusal("not_team")
    if not contains(actor.area_code, incident.area_code):
        return Refusal("not_area")
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


def _moved(part: Assignment, step: Step, now: datetime) -> Assignment:
    """Return the assignment after the step, its own clocks met; one that leaves the hands of its team ends."""
    target = step.part_target or part.state
    ends = target not in LIVE
    own = dict(part.clocks)
    for kind in step.meets:
        if (clock := own.get(kind)) is not None:
            own[kind] = clocks.meet(clock, now)
    return Assignment(
        part.id, part.team_id, part.role, part.kind, target, part.sent_at, now if ends else None, own
    )


def _send(
    incident: Incident, change: Change, team_id: int, policy: Policy, around: Around, now: datetime,
    *, dispose: Clock | None = None,
) -> None:  # fmt: skip
    """Add a lead assignment for a team: its clocks begin when it is sent, since no unit answers for time before."""
    kind = policy.types[incident.category]
    whistle = incident.mode == "whistle"
    own: dict[str, Clock] = {}
    if "dispose" not in incident.clocks:
        own["pick_up"] = clocks.start(
            policy.answer if whistle else policy.pick_up[incident.severity], now, policy.calendar
        )
        arrive = kind.arrive or (policy.report_in if whistle else None)
        if arrive is not None:
            own["arrive"] = clocks.start(arrive, now, policy.calendar)
        own["dispose"] = dispose or clocks.start(kind.dispose, now, policy.calendar)
    change.assignments.append(
        Assignment(
            around.new_id(), team_id, "lead", "whistle" if whistle else "ordinary", "sent", now, None, own
        )
    )
    change.holder = f"team/{team_id}"
    if (team := around.roster.team(team_id)) is not None:
        team.load += 1


def _start(change: Change, incident: Incident, kind: str, policy: Policy, now: datetime) -> None:
    own = policy.types[incident.category]
    limit = {"dispatch": policy.dispatch[incident.severity], "verify": own.verify}[kind]
    change.clocks[kind] = clocks.start(limit, now, policy.calendar)


Effect = Callable[[Incident, Command, Change, Policy, Around, datetime], Refusal | None]


def _accept(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    _start(change, i, "dispatch", policy, now)
    return None


def _dispatch(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    team_id = c.args["team_id"]
    team = around.roster.team(team_id)
    if team is None:
        return Refusal("unknown_team", {"team": team_id})
    dispose = None
    if c.verb == "reassign":
        part = i.lead
        if part is not None and part.team_id == team_id:
            return Refusal("same_team", {"team": team.name})
    else:
        # The team that returned it and gets it again goes on with what was left of its time.
        for part in i.parts.values():
            held = part.clocks.get("dispose")
            if (
                part.state == "declined"
                and part.team_id == team_id
                and held is not None
                and held.left is not None
            ):
                dispose = clocks.resume(held, now, policy.calendar)
    _send(i, change, team_id, policy, around, now, dispose=dispose)
    if c.verb == "reassign":
        # The leaving team's number of live assignments falls with this very change.
        _recount(i, around)
    return None


def _decline(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    part = change.assignments[0]
    if (held := part.clocks.get("dispose")) is not None:
        part.clocks["dispose"] = clocks.pause(held, now, policy.calendar)
    change.holder = f"centre/{centre_of(i.area_code)}"
    change.facts["returns"] = int(i.facts.get("returns", 0)) + 1
    _start(change, i, "dispatch", policy, now)
    _recount(i, around)
    return None


def _dispose(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    clock = change.assignments[0].clocks.get("dispose")
    change.facts |= {
        "disposed_at": now.isoformat(),
        "disposed_on_time": clocks.on_time(clock),
        "disposer": c.actor.id,
        "disposer_team": change.assignments[0].team_id,
    }
    _settled(c, change)
    change.holder = f"centre/{centre_of(i.area_code)}"
    _start(change, i, "verify", policy, now)
    _recount(i, around)
    return None


def _solve(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    due = policy.calendar.due(i.reported_at, policy.types[i.category].dispose)
    change.facts |= {
        "disposed_at": now.isoformat(),
        "disposed_on_time": now <= due,
        "disposer": c.actor.id,
        "solved_in_grid": True,
    }
    _settled(c, change)
    _start(change, i, "verify", policy, now)
    return None


def _settled(command: Command, change: Change) -> None:
    """Keep whether a dispute was settled, where the one who disposed of it says so."""
    if "settled" in command.args:
        change.facts["settled"] = bool(command.args["settled"])


def _verify(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    if c.actor.id == i.facts.get("disposer"):
        return Refusal("same_hand")
    change.facts["verifier"] = c.actor.id
    return None


def _rework(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    if c.actor.id == i.facts.get("disposer"):
        return Refusal("same_hand")
    team_id = i.facts.get("disposer_team")
    if team_id is None:
        change.to = "accepted"
        _start(change, i, "dispatch", policy, now)
    else:
        _send(i, change, int(team_id), policy, around, now)
    change.facts["reworks"] = int(i.facts.get("reworks", 0)) + 1
    return None


def _close(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    return None if c.args["standard"] is True else Refusal("standard")


def _rate(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    rating = c.args["rating"]
    if not isinstance(rating, int) or not 1 <= rating <= 5:
        return Refusal("rating")
    change.facts["rating"] = rating
    return None


def _supervise(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    change.facts["supervised_by"] = c.actor.area_code
    return None


def _escalate(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    change.facts["level"] = max(1, i.level - 1)
    return None


def _breach(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    kind = c.args["clock"]
    owner = i.lead if kind in clocks.OF_ASSIGNMENT and kind not in i.clocks else None
    clock = owner.clocks.get(kind) if owner is not None else i.clocks.get(kind)
    if clock is None or clock.state != "running" or clock.due is None or now <= clock.due:
        return Refusal("no_clock", {"clock": kind})
    late = clocks.breach(clock)
    if owner is not None:
        own = dict(owner.clocks)
        own[kind] = late
        change.assignments.append(
            Assignment(owner.id, owner.team_id, owner.role, owner.kind, owner.state, owner.sent_at, None, own)
        )
    else:
        change.clocks[kind] = late
    change.said["clock"] = kind
    return None


def _conclude(
    i: Incident, c: Command, change: Change, policy: Policy, around: Around, now: datetime
) -> Refusal | None:
    promise = i.clocks.get("dispose")
    if promise is not None:
        change.clocks["dispose"] = clocks.meet(promise, now)
    change.facts |= {
        "disposed_at": now.isoformat(),
        "disposed_on_time": clocks.on_time(change.clocks.get("dispose")),
    }
    part = i.lead
    if part is not None:
        change.assignments.append(
            Assignment(part.id, part.team_id, part.role, part.kind, "done", part.sent_at, now, part.clocks)
        )
        _recount(i, around)
    return None


def _recount(incident: Incident, around: Around) -> None:
    part = incident.lead
    if part is not None and (team := around.roster.team(part.team_id)) is not None:
        team.load -= 1


_EFFECTS: dict[str, Effect] = {
    "accept": _accept,
    "dispatch": _dispatch,
    "reassign": _dispatch,
    "decline": _decline,
    "dispose": _dispose,
    "solve": _solve,
    "verify": _verify,
    "rework": _rework,
    "close": _close,
    "rate": _rate,
    "supervise": _supervise,
    "escalate": _escalate,
    "breach": _breach,
    "conclude": _conclude,
}
