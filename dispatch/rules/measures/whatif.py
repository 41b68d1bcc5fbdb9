"""Judge past incidents by other limits: which would have been late, by each clock as it really ran.

A clock keeps when it began, moved on by its pauses, and when it ended (`dispatch.rules.time.clocks`), so the verdict
under another limit is: did it end after `began + limit`, in the new limit's own kind of time. What an approved
extension added to the old limit is added to the new one; wartime halves the new one as it halved the old.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from dispatch.rules.areas import centre_of
from dispatch.rules.incident.values import Assignment
from dispatch.rules.policy.policy import Policy
from dispatch.rules.time.calendar import Calendar, Limit
from dispatch.rules.time.clocks import BY_SOURCE, Clock, was_late

# A due time is kept to the microsecond; what differs by less than a second is no extension.
TOLERANCE_S = 1.0


@dataclass(frozen=True, slots=True)
class Case:
    """A past incident as far as limits go: its type and place, and every clock it ever had, in its last state.

    `as_grave` and `handled_as` say that its severity and its mode were those of its type then: another policy's type
    may have others, while what a person or a repeat made of it stays.
    """

    category: str
    severity: int
    mode: str
    area_code: str
    clocks: tuple[tuple[str, Clock], ...]
    as_grave: bool = False
    handled_as: bool = False


@dataclass(slots=True)
class Effect:
    """How many cases there are, how many were late, and how many would have become late or on time."""

    cases: int = 0
    late: int = 0
    more: int = 0
    fewer: int = 0


@dataclass(slots=True)
class Verdict:
    """The effect of other limits: in all, by theme, by town (or the level above, where there is no town)."""

    total: Effect = field(default_factory=Effect)
    themes: dict[str, Effect] = field(default_factory=dict)
    towns: dict[str, Effect] = field(default_factory=dict)


def lives(
    steps: Iterable[tuple[Mapping[str, Clock], Iterable[Assignment]]],
) -> list[tuple[str, Clock]]:
    """Return (kind, clock) for every clock that an incident's events, oldest first, started, as each ended up.

    A clock that starts anew after it had ended (a rework, a reopening) is another one.
    """
    present: dict[tuple[int, str], Clock] = {}
    past: list[tuple[str, Clock]] = []
    for own, parts in steps:
        for owner, clocks in ((0, own), *((part.id, part.clocks) for part in parts)):
            for kind, clock in clocks.items():
                before = present.get((owner, kind))
                if before is not None and before.ended is not None and clock.ended is None:
                    past.append((kind, before))
                present[owner, kind] = clock
    return past + [(kind, clock) for (_, kind), clock in present.items()]


def limit_of(kind: str, case: Case, policy: Policy) -> Limit | None:
    """Return the limit that a policy gives a clock of a case; None where it gives none."""
    own = policy.types.get(case.category)
    severity = own.severity if own is not None and case.as_grave else case.severity
    whistle = (own.mode if own is not None and case.handled_as else case.mode) == "whistle"
    match kind:
        case "dispatch":
            return policy.dispatch[severity]
        case "pick_up":
            return policy.answer if whistle else policy.pick_up[severity]
        case "close":
            return policy.close[severity]
        case "accept" | "dispose" | "verify" if own is not None:
            return {"accept": own.accept, "dispose": own.dispose, "verify": own.verify}[kind]
        case "arrive" if own is not None:
            return policy.arrival(own, whistle)
    return None


def would_be_late(clock: Clock, limit: Limit, calendar: Calendar, now: datetime) -> bool:
    """Tell whether a clock would have come late under another limit, or would be late by `now`."""
    if clock.state == "paused":
        return False
    old = Limit.parse(clock.limit)
    extra = 0.0
    if clock.due is not None:
        granted = calendar.elapsed(clock.since, clock.due, old.working) - calendar.seconds(old)
        extra = granted if granted > TOLERANCE_S and old.working == limit.working else 0.0
    new = limit.halved if old.half else limit
    due = calendar.after(clock.since, calendar.seconds(new) + extra, new.working)
    return (clock.ended or now) > due


def judge(cases: Iterable[Case], policy: Policy, now: datetime) -> Verdict:
    """Count what the limits of `policy` would have made of past cases; a case is late when any of its clocks is.

    What another system's promise judges stays as it was judged.
    """
    verdict = Verdict()
    for case in cases:
        before = after = False
        for kind, clock in case.clocks:
            late = was_late(clock, now)
            limit = None if clock.limit == BY_SOURCE else limit_of(kind, case, policy)
            before |= late
            after |= late if limit is None else would_be_late(clock, limit, policy.calendar, now)
        own = policy.types.get(case.category)
        for effect in (
            verdict.total,
            verdict.themes.setdefault(own.theme if own else "", Effect()),
            verdict.towns.setdefault(centre_of(case.area_code), Effect()),
        ):
            effect.cases += 1
            effect.late += before
            effect.more += after and not before
            effect.fewer += before and not after
    return verdict
