"""Offer teams for waiting incidents, each with its cost in minutes and the reasons and shortfalls in words.

The cost of a pair is a plain sum of the prices in `config/policy/assignment.toml` (`dispatch.rules.policy.weights`):
the way, what the team holds, what it is doing, rest, training, the area, and what experience says of the trade. One
incident gets its best offer; a burst is solved together as the assignment problem (H. W. Kuhn, 1955), each team
standing in it once for every incident that it still has room for, each time dearer by its price of load. An
incident may also stay without a team at a price that no pair reaches, so every solution is comparable in total.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from math import cos, hypot, inf, radians
from typing import Any

from dispatch.rules.areas import ancestors
from dispatch.rules.places import KM_PER_DEGREE
from dispatch.rules.policy.weights import Weights
from dispatch.rules.teams.reasons import STATES, Because
from dispatch.rules.teams.routing import READY, Team
from dispatch.rules.words import both

OFFERS_SHOWN = 5  # offers put into words for each incident of a burst
OFFERS_LIMIT = 50  # and at most, for one incident that somebody looks at
WAITING_LIMIT = 1_000  # incidents decided together
# In a list of offers, teams without room stand behind all with room, and those not ready behind both.
BEHIND_MIN = 1e7


@dataclass(frozen=True, slots=True)
class Waiting:
    """An incident that waits for a team; `trade` is the one that takes its type, `lon` and `lat` in degrees."""

    id: int
    category: str
    severity: int
    trade: str
    area_code: str
    lon: float | None = None
    lat: float | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a team beside its row.

    `people` on its roster now (None: no roster is kept), the position it last gave and that position's age in
    minutes, minutes of rest since its last call ended (None: no call lately), and training of its own.
    """

    people: int | None = None
    lon: float | None = None
    lat: float | None = None
    age_min: float | None = None
    rest_min: float | None = None
    state: str | None = None
    skills: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Experience:
    """How cases of a type fared with a trade: sent to it, returned by it as not theirs, settled by it."""

    category: str
    trade: str
    sent: int
    returned: int
    settled: int


@dataclass(frozen=True, slots=True)
class Offer:
    """One team proposed for one incident: its cost in minutes, and why, and what speaks against it.

    `open` tells whether it may be sent without anybody overriding: ready, on its shift, with room.
    """

    team: Team
    cost_min: float
    open: bool
    km: float | None
    reasons: tuple[Because, ...]
    shortfalls: tuple[Because, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """What is proposed for one incident: the team chosen (None: it stays, loudly) and the offers, best first."""

    waiting: Waiting
    chosen: Offer | None
    offers: tuple[Offer, ...]
    shortfalls: tuple[Because, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """An assignment problem in minutes: rows wait, columns are teams.

    `costs[i][j]` is inf where the pair is forbidden; `slots[j][k]` is added for the k-th incident that column j
    takes in this burst; `unplaced[i]` is what row i costs without a team.
    """

    costs: list[list[float]]
    slots: list[list[float]]
    unplaced: list[float]


Solve = Callable[[Problem], list[int | None]]


def one_at_a_time(problem: Problem) -> list[int | None]:
    """Give each row in turn the column that is cheapest then; the plain way, and what a solver must not be above."""
    used = [0] * len(problem.slots)
    answer: list[int | None] = []
    for row, alone in zip(problem.costs, problem.unplaced, strict=True):
        best, least = None, alone
        for j, cost in enumerate(row):
            if cost < inf and used[j] < len(problem.slots[j]):
                price = cost + problem.slots[j][used[j]]
                if price < least:
                    best, least = j, price
        if best is not None:
            used[best] += 1
        answer.append(best)
    return answer


def total(problem: Problem, answer: Sequence[int | None]) -> float:
    """Return the cost of an answer in minutes; ValueError where it uses a forbidden pair or more room than there is."""
    used = [0] * len(problem.slots)
    cost = 0.0
    for i, j in enumerate(answer):
        if j is None:
            cost += problem.unplaced[i]
            continue
        if problem.costs[i][j] == inf or used[j] >= len(problem.slots[j]):
            raise ValueError(f"row {i} may not go to column {j}")
        cost += problem.costs[i][j] + problem.slots[j][used[j]]
        used[j] += 1
    return cost


def decide(
    waiting: Sequence[Waiting],
    teams: Sequence[Team],
    weights: Weights,
    *,
    standings: Mapping[int, Standing] | None = None,
    experience: Sequence[Experience] = (),
    names: Mapping[str, tuple[str, str]] | None = None,
    solve: Solve = one_at_a_time,
    shown: int = OFFERS_SHOWN,
) -> list[Decision]:
    """Return a decision for each waiting incident, in the order given; equal input gives equal output.

    `names` gives trades their Chinese and English names. Raises ValueError above `WAITING_LIMIT` incidents.
    """
    if len(waiting) > WAITING_LIMIT:
        raise ValueError(f"at most {WAITING_LIMIT} incidents are decided together, not {len(waiting)}")
    terrain = _Terrain(teams, weights, standings or {}, experience, names or {})
    by_id: dict[int, Decision] = {}
    for rows in _apart(waiting, terrain):
        problem = terrain.problem(rows)
        for one, column in zip(rows, solve(problem), strict=True):
            by_id[one.id] = terrain.decision(one, column, min(shown, OFFERS_LIMIT))
    return [by_id[one.id] for one in waiting]


def problem_of(waiting: Sequence[Waiting], teams: Sequence[Team], weights: Weights, **known: Any) -> Problem:
    """Return the whole burst as one problem, rows by severity and id, columns by the ids of teams."""
    terrain = _Terrain(teams, weights, known.get("standings") or {}, known.get("experience", ()), {})
    return terrain.problem(sorted(waiting, key=_gravest))


def _gravest(one: Waiting) -> tuple[int, int]:
    return one.severity, one.id


def _apart(waiting: Sequence[Waiting], terrain: _Terrain) -> list[list[Waiting]]:
    """Split a burst into parts that share no trade, each the gravest first: they cannot compete for a team."""
    group: dict[str, str] = {}

    def root(trade: str) -> str:
        while group.setdefault(trade, trade) != trade:
            trade = group[trade]
        return trade

    for one in waiting:
        first, *others = terrain.trades(one)
        for other in others:
            group[root(other)] = root(first)
    parts: dict[str, list[Waiting]] = {}
    for one in sorted(waiting, key=_gravest):
        parts.setdefault(root(one.trade), []).append(one)
    return list(parts.values())


class _Terrain:
    """Hold what a burst of decisions looks at, and price its pairs; every sum that many pairs share is taken once."""

    def __init__(
        self,
        teams: Sequence[Team],
        weights: Weights,
        standings: Mapping[int, Standing],
        experience: Sequence[Experience],
        names: Mapping[str, tuple[str, str]],
    ) -> None:
        self.weights = weights
        self.names = names
        self.teams = sorted(teams, key=lambda team: team.id)
        self.standings = [standings.get(team.id, Standing()) for team in self.teams]
        self.at: dict[tuple[str, str], list[int]] = {}
        for j, team in enumerate(self.teams):
            self.at.setdefault((team.trade, team.area_code), []).append(j)
        self.experience = {(e.category, e.trade): e for e in experience}
        self.settled: dict[str, list[Experience]] = {}
        for one in experience:
            self.settled.setdefault(one.category, []).append(one)
        self.own = [self._own(j) for j in range(len(self.teams))]
        self.ready = [self._is_ready(j) for j in range(len(self.teams))]
        self.free = [
            max(0, team.capacity - team.load) if ready else 0
            for team, ready in zip(self.teams, self.ready, strict=True)
        ]
        self.behind = [
            0.0 if free else BEHIND_MIN if ready else 2 * BEHIND_MIN
            for free, ready in zip(self.free, self.ready, strict=True)
        ]
        self.priced: dict[int, list[tuple[int, float]]] = {}
        self.places = [self._place(j) for j in range(len(self.teams))]
        self.reach: dict[tuple[str, tuple[str, ...], str], list[tuple[int, float]]] = {}

    def trades(self, one: Waiting) -> tuple[str, ...]:
        """Return the trade of the type, and those that experience knows to settle what it returns."""
        least = self.weights.least_cases
        own = self.experience.get((one.category, one.trade))
        if own is None or own.returned < least:
            return (one.trade,)
        others = [e.trade for e in self.settled[one.category] if e.trade != one.trade and e.settled >= least]
        return (one.trade, *sorted(others))

    def problem(self, rows: Sequence[Waiting]) -> Problem:
        """Price every pair of a part; teams without room or not ready are forbidden."""
        costs = []
        room = [free > 0 for free in self.free]
        for one in rows:
            row = [inf] * len(self.teams)
            for j, cost in self._priced(one):
                if room[j]:
                    row[j] = cost
            costs.append(row)
        load = self.weights.load
        slots = [
            [k * load / team.capacity for k in range(min(free, len(rows)))]
            for team, free in zip(self.teams, self.free, strict=True)
        ]
        return Problem(costs, slots, [self.weights.unplaced[one.severity] for one in rows])

    def decision(self, one: Waiting, column: int | None, shown: int) -> Decision:
        """Put what was decided into words."""
        priced = self._priced(one)
        # Those that may be sent come first, the cheapest of them in front; the others say why not.
        best = nsmallest(shown, [(cost + self.behind[j], j) for j, cost in priced])
        offers = [self._offer(one, j, cost - self.behind[j]) for cost, j in best]
        chosen = None
        if column is not None:
            chosen = next((o for o in offers if o.team is self.teams[column]), None)
            if chosen is None:
                chosen = self._offer(one, column, dict(priced)[column])
                offers.append(chosen)
        return Decision(one, chosen, tuple(offers), () if chosen else self._why_none(one, priced))

    def _own(self, j: int) -> float:
        """Return what speaks against a team whatever the incident is, in minutes."""
        team, standing, weights = self.teams[j], self.standings[j], self.weights
        fullness = team.load / team.capacity if team.capacity > 0 else float(team.load + 1)
        return weights.load * fullness + weights.state[standing.state or team.state] + self._tired(standing)

    def _tired(self, standing: Standing) -> float:
        rest, due = standing.rest_min, self.weights.rest_min
        return 0.0 if rest is None or rest >= due else self.weights.tired * (1 - max(0.0, rest) / due)

    def _is_ready(self, j: int) -> bool:
        team, standing = self.teams[j], self.standings[j]
        return team.state in READY and standing.people != 0

    def _place(self, j: int) -> tuple[float, float] | None:
        team, standing = self.teams[j], self.standings[j]
        if self._is_fresh(standing):
            assert standing.lon is not None
            assert standing.lat is not None
            return standing.lon, standing.lat
        if team.lon is None or team.lat is None:
            return None
        return team.lon, team.lat

    def _is_fresh(self, standing: Standing) -> bool:
        known = standing.lon is not None and standing.lat is not None and standing.age_min is not None
        return known and 0 <= (standing.age_min or 0.0) <= self.weights.fresh_min

    def _reach(self, one: Waiting) -> list[tuple[int, float]]:
        """Return (column, minutes) of each team of the trades up the area tree, all but its way priced."""
        trades = self.trades(one)
        key = (one.category, trades, one.area_code[:12])
        found = self.reach.get(key)
        if found is not None:
            return found
        found = []
        for trade in trades:
            price = self._experience(one, trade)
            nearest: int | None = None
            for depth, area in enumerate(ancestors(key[2])):
                for j in self.at.get((trade, area), ()):
                    nearest = depth if nearest is None else nearest
                    farther = self.weights.farther_area * (depth - nearest)
                    lacking = len(self._skills(one, j)[1]) * self.weights.no_skill
                    found.append((j, self.own[j] + price + farther + lacking))
        self.reach[key] = found
        return found

    def _priced(self, one: Waiting) -> list[tuple[int, float]]:
        """Return (column, cost in minutes) of each team that could be named for an incident."""
        known = self.priced.get(one.id)
        if known is None:
            known = self.priced[one.id] = self._price(one)
        return known

    def _price(self, one: Waiting) -> list[tuple[int, float]]:
        unknown, km, places = self.weights.unknown_place, self.weights.km, self.places
        reach = self._reach(one)
        if one.lon is None or one.lat is None:
            return [(j, cost + unknown) for j, cost in reach]
        lon, lat, narrow = one.lon, one.lat, cos(radians(one.lat))
        each = km * KM_PER_DEGREE
        priced = []
        for j, cost in reach:
            place = places[j]
            if place is None:
                priced.append((j, cost + unknown))
            else:
                priced.append((j, cost + each * hypot((place[0] - lon) * narrow, place[1] - lat)))
        return priced

    def _experience(self, one: Waiting, trade: str) -> float:
        """Return what experience costs a trade: the share of returns, held back while there are few cases."""
        known = self.experience.get((one.category, trade))
        price = 0.0 if trade == one.trade else self.weights.other_trade
        if known is not None and known.returned >= self.weights.least_cases:
            price += self.weights.misdispatch * known.returned / (known.sent + self.weights.least_cases)
        return price

    def _skills(self, one: Waiting, j: int) -> tuple[list[Any], list[Any]]:
        """Return the training that the type needs, as (had, lacking)."""
        had: list[Any] = []
        lacking: list[Any] = []
        team, extra = self.teams[j], self.standings[j].skills
        for skill in self.weights.skills:
            if one.category in skill.types:
                (had if team.trade in skill.trades or skill.slug in extra else lacking).append(skill)
        return had, lacking

    def _offer(self, one: Waiting, j: int, cost: float) -> Offer:
        team, standing, weights = self.teams[j], self.standings[j], self.weights
        good: list[Because] = []
        bad: list[Because] = []
        self._say_trade(one, team.trade, good, bad)
        levels = self._levels(one, team)
        if levels:
            bad.append(Because("farther_area", weights.farther_area * levels, {"levels": levels}))
        else:
            good.append(Because("area"))
        if standing.people is None:
            good.append(Because("no_roster"))
        elif standing.people == 0:
            bad.append(Because("off_shift"))
        else:
            good.append(Because("on_shift", 0.0, {"people": standing.people}))
        state = standing.state if standing.state is not None and team.state in READY else team.state
        ready = Because(
            "ready" if team.state in READY else "not_ready", weights.state[state], {"state": STATES[state]}
        )
        (good if team.state in READY else bad).append(ready)
        km = self._km(one, j)
        if km is None:
            bad.append(Because("unknown_place", weights.unknown_place))
        elif self._is_fresh(standing):
            good.append(Because("near", weights.km * km, {"km": km, "age": standing.age_min}))
        else:
            good.append(Because("near_station", weights.km * km, {"km": km}))
        held = {"load": team.load, "capacity": team.capacity}
        fullness = team.load / team.capacity if team.capacity > 0 else float(team.load + 1)
        has_room = team.load < team.capacity
        (good if has_room else bad).append(
            Because("has_room" if has_room else "full", weights.load * fullness, held)
        )
        if standing.rest_min is not None:
            tired = self._tired(standing)
            values = {"rest": standing.rest_min, "due": weights.rest_min}
            (bad if tired else good).append(Because("tired" if tired else "rested", tired, values))
        had, lacking = self._skills(one, j)
        for code, skills, side in (("skilled", had, good), ("no_skill", lacking, bad)):
            if skills:
                named = both("、", ", ", [(s.name, s.name_en) for s in skills])
                price = weights.no_skill * len(skills) if side is bad else 0.0
                side.append(Because(code, price, {"skills": named}))
        return Offer(team, cost, self.ready[j] and has_room, km, tuple(good), tuple(bad))

    def _say_trade(self, one: Waiting, trade: str, good: list[Because], bad: list[Because]) -> None:
        named = self._named(trade)
        known = self.experience.get((one.category, trade))
        if trade == one.trade:
            good.append(Because("trade", 0.0, named))
        else:
            settled = known.settled if known is not None else 0
            bad.append(Because("other_trade", self.weights.other_trade, named | {"settled": settled}))
        if known is not None and known.returned >= self.weights.least_cases:
            price = self.weights.misdispatch * known.returned / (known.sent + self.weights.least_cases)
            counts = {"days": self.weights.memory_days, "sent": known.sent, "returned": known.returned}
            bad.append(Because("misdispatch", price, named | counts))

    def _named(self, trade: str) -> dict[str, Any]:
        return {"trade": self.names.get(trade, (trade, trade))}

    def _levels(self, one: Waiting, team: Team) -> int:
        """Return how many levels a team's area lies above the nearest that has its trade."""
        chain = ancestors(one.area_code[:12])
        nearest = next(d for d, area in enumerate(chain) if (team.trade, area) in self.at)
        return chain.index(team.area_code) - nearest

    def _km(self, one: Waiting, j: int) -> float | None:
        place = self.places[j]
        if place is None or one.lon is None or one.lat is None:
            return None
        return hypot((place[0] - one.lon) * cos(radians(one.lat)), place[1] - one.lat) * KM_PER_DEGREE

    def _why_none(self, one: Waiting, priced: Sequence[tuple[int, float]]) -> tuple[Because, ...]:
        """Say why an incident stays without a team."""
        named = self._named(one.trade)
        mine = [j for j, _ in priced]
        if not mine:
            return (Because("no_team", 0.0, named),)
        ready = [j for j in mine if self.ready[j]]
        if not ready:
            return (Because("none_ready", 0.0, named | {"count": len(mine)}),)
        if all(self.free[j] == 0 for j in ready):
            return (Because("all_full", 0.0, named | {"count": len(ready)}),)
        return (Because("outbid"),)
