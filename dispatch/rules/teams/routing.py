"""Choose who goes: teams of the right trade in the nearest area, the least loaded first, with reasons in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import cos, hypot, radians

from dispatch.rules.areas import ancestors
from dispatch.rules.places import KM_PER_DEGREE
from dispatch.rules.policy.weights import Weights

# States in which a team can be given one more incident.
READY = frozenset({"available", "assigned", "on_the_way", "on_scene"})


@dataclass(slots=True)
class Team:
    """A team as the rules see it; `load` is its live assignments, which `Roster.count` alone changes in a batch."""

    id: int
    name: str
    trade: str
    area_code: str
    capacity: int
    load: int
    state: str
    lon: float | None
    lat: float | None
    name_en: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """One team proposed for one incident: `km` from its station, reasons for and shortfalls against, as codes."""

    team: Team
    km: float | None
    reasons: tuple[str, ...]
    shortfalls: tuple[str, ...]


class Roster:
    """Find teams by trade and area; built once a batch from the teams as they are now, and weighed by `weights`."""

    __slots__ = ("_at", "_by_id", "_cache", "weights")

    def __init__(self, teams: Iterable[Team], weights: Weights) -> None:
        self.weights = weights
        self._by_id: dict[int, Team] = {}
        self._at: dict[tuple[str, str], list[Team]] = {}
        self._cache: dict[tuple[str, str], list[Team]] = {}
        for team in teams:
            self._by_id[team.id] = team
            self._at.setdefault((team.trade, team.area_code), []).append(team)

    def team(self, team_id: int) -> Team | None:
        """Return the team with this id, or None."""
        return self._by_id.get(team_id)

    def count(self, loads: Mapping[int, int]) -> None:
        """Count how many live assignments more each team holds, or fewer: what the next choice goes by."""
        for team_id, more in loads.items():
            if (team := self._by_id.get(team_id)) is not None:
                team.load += more

    def nearest(self, trade: str, area_code: str) -> list[Team]:
        """Return the trade's teams in the nearest area upwards that has any; empty when none has."""
        key = (trade, area_code[:12])
        found = self._cache.get(key)
        if found is None:
            found = next((t for a in ancestors(key[1]) if (t := self._at.get((trade, a)))), [])
            self._cache[key] = found
        return found


def choose(
    roster: Roster, trade: str, area_code: str, lon: float | None, lat: float | None,
    more: Mapping[int, int] | None = None,
) -> Team | None:  # fmt: skip
    """Return the team to send from the nearest area that has any: ready, with room, at the least cost in minutes.

    The cost is that of `dispatch.rules.teams.proposals` without what only a roster knows; equals go by the lowest id.
    `more` says what teams will hold beyond what the roster counts.
    """
    teams = roster.nearest(trade, area_code)
    if len(teams) == 1:
        return teams[0] if teams[0].state in READY else None
    ready = [t for t in teams if t.state in READY]
    if not ready:
        return None
    if more:
        ready = [replace(t, load=t.load + more[t.id]) if t.id in more else t for t in ready]
    weights = roster.weights
    return min(ready, key=lambda t: (t.load >= t.capacity, minutes(t, lon, lat, weights), t.id))


def offers(roster: Roster, trade: str, area_code: str, lon: float | None, lat: float | None) -> list[Offer]:
    """Return every team of the trade up the area tree, best first, each with its reasons and shortfalls."""
    ranked = []
    nearest = roster.nearest(trade, area_code)
    for depth, area in enumerate(ancestors(area_code)):
        for team in roster._at.get((trade, area), ()):
            reasons = ["trade"]
            shortfalls: list[str] = []
            (reasons if team in nearest else shortfalls).append("area" if team in nearest else "farther_area")
            (reasons if team.load < team.capacity else shortfalls).append(
                "has_room" if team.load < team.capacity else "full"
            )
            if team.state not in READY:
                shortfalls.append("not_ready")
            km = distance_km(team, lon, lat)
            cost = minutes(team, lon, lat, roster.weights)
            key = (team.state not in READY, depth, team.load >= team.capacity, cost, team.id)
            ranked.append((key, Offer(team, km, tuple(reasons), tuple(shortfalls))))
    ranked.sort(key=lambda pair: pair[0])
    return [offer for _, offer in ranked]


def distance_km(team: Team, lon: float | None, lat: float | None) -> float | None:
    """Return the distance from a team's station to a point, or None when either is unknown."""
    if team.lon is None or team.lat is None or lon is None or lat is None:
        return None
    return hypot((team.lon - lon) * cos(radians(lat)), team.lat - lat) * KM_PER_DEGREE


def minutes(team: Team, lon: float | None, lat: float | None, weights: Weights) -> float:
    """Return what speaks against a team in minutes: what it holds, what it is doing, and the way from its station."""
    fullness = team.load / team.capacity if team.capacity > 0 else float(team.load + 1)
    km = distance_km(team, lon, lat)
    # Nobody is the nearest because nobody knows where they are.
    way = weights.unknown_place if km is None else weights.km * km
    return weights.load * fullness + weights.state[team.state] + way
