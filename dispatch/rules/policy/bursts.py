"""Find bursts among open cases: many of one cause, near each other in place and time, that a desk shows as one row."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil, cos, floor, hypot, radians
from types import MappingProxyType

from dispatch.rules.places import KM_PER_DEGREE
from dispatch.rules.policy.tables import PolicyError, Table

FILE = "bursts.toml"
CAUSES_LIMIT = 50
LEAST_LIMIT, NEAR_LIMIT_KM = 10_000, 100.0
# Places are put into squares of this part of `near_km`: any two in one square are near, with some to spare.
_SQUARE = 0.7


@dataclass(frozen=True, slots=True)
class Cause:
    """What brings several event types at once: its two names and the types."""

    slug: str
    name: str
    name_en: str
    types: frozenset[str]


@dataclass(frozen=True, slots=True)
class Bursts:
    """Hold what makes a burst: at least `least` cases, each within `within_min` and `near_km` of another."""

    least: int
    within_min: int
    near_km: float
    causes: Mapping[str, Cause] = field(default_factory=lambda: MappingProxyType({}))  # by event type


@dataclass(frozen=True, slots=True)
class Standing:
    """An open case as the law looks at it here: `lon` and `lat` in degrees, None where no place is known."""

    id: int
    category: str
    reported_at: datetime
    lon: float | None
    lat: float | None


@dataclass(frozen=True, slots=True)
class Burst:
    """Cases that are one matter: their cause's slug, or their event type where no cause is named, and ids by age."""

    cause: str
    ids: tuple[int, ...]


def read(text: str, types: Collection[str], faults: list[PolicyError]) -> Bursts:
    """Build Bursts from the text of bursts.toml; what is wrong is added to `faults`."""
    top = Table.parse(FILE, text, faults)
    top.known(("burst", "cause"))
    table = top.table("burst")
    table.known(("least", "within", "near_km"))
    causes: dict[str, Cause] = {}
    for each in top.tables("cause", CAUSES_LIMIT):
        each.known(("slug", "name", "name_en", "types"))
        named = each.texts("types", types)
        cause = Cause(each.text("slug"), each.text("name"), each.text("name_en"), frozenset(named))
        for code in named:
            if code in causes:
                each.fault("types", f"{code!r} has a cause already")
            causes[code] = cause
    return Bursts(
        table.whole("least", 2, LEAST_LIMIT),
        table.minutes("within"),
        table.number("near_km", 0.01, NEAR_LIMIT_KM),
        MappingProxyType(causes),
    )


def found(cases: Iterable[Standing], policy: Bursts | None) -> list[Burst]:
    """Return the bursts among open cases, the one with the oldest case first; in whatever order the cases come.

    Cases hang together where a chain of neighbours leads from one to the other. Without a policy there are none, and
    a case without a place is in none.
    """
    if policy is None:
        return []
    by_cause: dict[str, list[Standing]] = defaultdict(list)
    for case in cases:
        if case.lon is not None and case.lat is not None:
            cause = policy.causes.get(case.category)
            by_cause[case.category if cause is None else cause.slug].append(case)
    bursts = [
        Burst(cause, tuple(case.id for case in chain))
        for cause, alike in by_cause.items()
        if len(alike) >= policy.least
        for chain in _chains(sorted(alike, key=_age), policy)
        if len(chain) >= policy.least
    ]
    age = {case.id: _age(case) for alike in by_cause.values() for case in alike}
    return sorted(bursts, key=lambda burst: age[burst.ids[0]])


def _age(case: Standing) -> tuple[datetime, int]:
    return case.reported_at, case.id


def _chains(cases: Sequence[Standing], policy: Bursts) -> list[list[Standing]]:
    """Return the groups of cases that hang together, each by age as the cases are given."""
    within, side = timedelta(minutes=policy.within_min), _SQUARE * policy.near_km
    north = radians(sum(case.lat or 0.0 for case in cases) / len(cases))
    places = [
        ((case.lon or 0.0) * cos(north) * KM_PER_DEGREE, (case.lat or 0.0) * KM_PER_DEGREE) for case in cases
    ]
    roots = list(range(len(cases)))

    def root(n: int) -> int:
        while roots[n] != n:
            roots[n] = roots[roots[n]]
            n = roots[n]
        return n

    squares: dict[tuple[int, int], list[int]] = defaultdict(list)
    for n, (x, y) in enumerate(places):
        own = squares[floor(x / side), floor(y / side)]
        # Of one square each needs only the one before it.
        if own and cases[n].reported_at - cases[own[-1]].reported_at <= within:
            roots[root(n)] = root(own[-1])
        own.append(n)
    reach = ceil(1 / _SQUARE)
    around = [(dx, dy) for dx in range(reach + 1) for dy in range(-reach, reach + 1) if (dx, dy) > (0, 0)]
    for (column, row), own in squares.items():
        for dx, dy in around:
            other = squares.get((column + dx, row + dy))
            if other is None:
                continue
            times = [cases[m].reported_at for m in other]
            for n in own:
                at = cases[n].reported_at
                for m in other[bisect_left(times, at - within) :]:
                    if cases[m].reported_at - at > within:
                        break
                    if root(n) == root(m):
                        continue
                    if hypot(places[n][0] - places[m][0], places[n][1] - places[m][1]) <= policy.near_km:
                        roots[root(n)] = root(m)
    groups: dict[int, list[Standing]] = defaultdict(list)
    for n, case in enumerate(cases):
        groups[root(n)].append(case)
    return list(groups.values())
