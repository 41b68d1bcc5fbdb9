"""Define the values that the law speaks about: reports, actors, commands, incidents and what changes them.

Times are aware datetimes in UTC. Nothing here decides; `evolve` in `dispatch.rules.incident.chain` folds changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dispatch.rules.law import LIVE
from dispatch.rules.policy.policy import Policy
from dispatch.rules.teams.routing import Roster
from dispatch.rules.time.clocks import Clock

if TYPE_CHECKING:
    from dispatch.rules.incident.facts import Facts, PartFacts
else:
    # What decodes events reads these types: a fact that only another version knows is kept, not dropped or refused.
    Facts = PartFacts = dict

NEVER = datetime(1, 1, 1, tzinfo=UTC)
_NOTHING: Mapping[str, Any] = {}


@dataclass(slots=True)
class Report:
    """What came in, located and typed. `target_at` is a promise its source made; `number` has sixteen digits.

    `imported` marks a request that another system runs: our clocks do not judge it, the source's promise does.
    `reporter` is the keyed token of a contact, never the contact itself; empty where nobody left one.
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
    # Where the type was only suggested from the text: the words that spoke for it, or none for the fallback.
    suggested: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: an id for the record, a role, the area whose subtree is theirs, and their team when they are one.

    A resident acts on one's own report alone, wherever it lies, and proves it by the id: `resident@<token>`, where
    the token is the keyed one made of the contact that came with the report, or, where none came, the report's number
    in sixteen digits (`reporter_of`). Whoever builds the actor has checked the contact, or the receipt.
    """

    id: str
    role: str
    area_code: str
    team_id: int | None = None


SYSTEM = Actor("system", "system", "")


def same_person(one: str, other: str | None) -> bool:
    """Tell whether two ids of actors are one person's: an account, `role:login`, keeps its login in every role."""
    return other is not None and (one.partition(":")[2] or one) == (other.partition(":")[2] or other)


@dataclass(frozen=True, slots=True)
class Command:
    """One wish: `id` makes a repeated press one action; `args` hold what the verb needs.

    `seen` is the last event that the actor had before their eyes; what another hand did since is not overwritten.
    """

    verb: str
    incident_id: int
    actor: Actor
    id: str
    args: Mapping[str, Any] = field(default_factory=dict)
    seen: int | None = None


def instant(value: object) -> datetime | None:
    """Return the instant that a command gives, as it is or in ISO text; None for anything else, or without a zone."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    return value if isinstance(value, datetime) and value.tzinfo is not None else None


def is_rating(value: object) -> bool:
    """Tell whether what a command gives is a rating, from 1 to 5."""
    return type(value) is int and 1 <= value <= 5


@dataclass(frozen=True, slots=True)
class Done:
    """A step that somebody took, without what it changed; `reason` as its event keeps it, for `reasons.words`."""

    seq: int
    verb: str
    actor: str
    at: datetime
    reason: object = None


@dataclass(slots=True)  # not frozen, which would cost three times as much to make; nobody alters one
class Assignment:
    """One unit's part in the incident; `facts` hold who asked for a whistle, its kind and its rating."""

    id: int
    team_id: int
    role: str
    kind: str
    state: str
    sent_at: datetime
    ended_at: datetime | None
    clocks: dict[str, Clock]
    facts: PartFacts = field(default_factory=PartFacts)


@dataclass(slots=True)
class Segment:
    """A stretch of responsibility that has ended."""

    seq: int
    holder: str
    awaits: str | None
    paused_why: str | None
    began_at: datetime
    ended_at: datetime


@dataclass(slots=True)  # not frozen, which would cost three times as much to make; nobody alters one
class Change:
    """What one event changes; everything a replay needs. Empty parts are left out when it is written down.

    `paused` is the reason of a suspension, or empty text where one ends; None leaves it as it is.
    """

    to: str | None = None
    holder: str | None = None
    clocks: Mapping[str, Clock] = field(default_factory=dict)
    assignments: tuple[Assignment, ...] = ()
    facts: Facts = field(default_factory=Facts)
    fields: Mapping[str, Any] = field(default_factory=dict)
    said: Mapping[str, Any] = field(default_factory=dict)
    opened: Mapping[str, Any] = field(default_factory=dict)
    paused: str | None = None

    def plus(
        self, *, to: str | None = None, holder: str | None = None, clocks: Mapping[str, Clock] = _NOTHING,
        assignments: tuple[Assignment, ...] = (), facts: Facts | None = None, fields: Mapping[str, Any] = _NOTHING,
        said: Mapping[str, Any] = _NOTHING, paused: str | None = None,
    ) -> Change:  # fmt: skip
        """Return a change with more in it; what is given of a name that it has already takes its place."""
        return Change(
            self.to if to is None else to,
            self.holder if holder is None else holder,
            {**self.clocks, **clocks} if clocks else self.clocks,
            (*self.assignments, *assignments) if assignments else self.assignments,
            {**self.facts, **facts} if facts else self.facts,
            {**self.fields, **fields} if fields else self.fields,
            {**self.said, **said} if said else self.said,
            self.opened,
            self.paused if paused is None else paused,
        )


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
    reported_at: datetime = NEVER
    state: str = ""
    level: int = 3
    holder: str = ""
    held_since: datetime = NEVER
    awaits: str | None = None
    paused_why: str | None = None
    segment: int = 0
    clocks: dict[str, Clock] = field(default_factory=dict)
    parts: dict[int, Assignment] = field(default_factory=dict)
    facts: Facts = field(default_factory=Facts)
    disposed_at: datetime | None = None
    disposed_on_time: bool | None = None
    ended_at: datetime | None = None
    closed_on_time: bool | None = None
    rating: int | None = None
    policy_version: int = 0
    seq: int = 0
    last_verb: str = ""
    last_actor: str = ""
    last_at: datetime = NEVER
    past: list[Segment] = field(default_factory=list)

    @property
    def lead(self) -> Assignment | None:
        """Return the live lead assignment, or None."""
        for part in self.parts.values():
            if part.role == "lead" and part.state in LIVE:
                return part
        return None

    def part_of(self, team_id: int | None) -> Assignment | None:
        """Return the live assignment that a team holds, its latest, or None."""
        for part in reversed(self.parts.values()):
            if part.team_id == team_id and part.state in LIVE:
                return part
        return None

    def running(self) -> list[Clock]:
        """Return all clocks that count now: the incident's and those of its assignments in hand or under review."""
        if self.ended_at is not None:
            return []
        found = list(self.clocks.values())
        for part in self.parts.values():
            if part.state in LIVE or part.state == "review":
                found.extend(part.clocks.values())
        return found


def reporter_of(incident: Incident) -> str:
    """Return the id with which a resident acts on an incident: it is the reporter's, see `Actor`."""
    return f"resident@{incident.facts.get('reporter') or f'{incident.number:016d}'}"


@dataclass(frozen=True, slots=True)
class Context:
    """What a decision may look at beside the incident.

    The teams, a source of new assignment ids, how many like it were reported nearby lately, the areas in wartime,
    and the other incident that a merge names.
    """

    roster: Roster
    new_id: Callable[[], int]
    suspects: int = 0
    wartime: tuple[str, ...] = ()
    other: Incident | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """A step about to be taken: what its effect is given. `change` is what the step alone changes.

    Where the step moves an assignment, its moved form is the change's first.
    """

    incident: Incident
    command: Command
    change: Change
    policy: Policy
    context: Context
    now: datetime
