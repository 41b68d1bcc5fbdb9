"""Behave like a city: what gets reported, and how the people who answer for it act, from a seed and nothing else.

The same behaviour makes the demo city's year of history on a virtual clock and its life on the real one. Every
draw comes from a `random.Random` that the caller seeds, so a world can be run again to the last event.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from random import Random
from typing import Any

from dispatch.rules.areas import centre_of
from dispatch.rules.incident.values import SYSTEM, Actor, Assignment, Incident
from dispatch.rules.policy.policy import EventType, Policy
from dispatch.rules.teams.routing import Roster, choose
from dispatch.rules.time import clocks
from dispatch.rules.time.calendar import Limit

# Share of reports by theme 01..10; the order of magnitude of published town centres' months.
THEME_WEIGHTS = {
    "01": 5, "02": 9, "03": 3, "04": 4.5, "05": 10, "06": 11, "07": 1.5, "08": 4, "09": 33, "10": 19,
}  # fmt: skip
# Graver is rarer, whatever the theme.
SEVERITY_WEIGHTS = {1: 0.12, 2: 0.45, 3: 1.0, 4: 1.6}
HOUR_WEIGHTS = (
    0.25, 0.18, 0.14, 0.12, 0.14, 0.3, 0.7, 1.3, 1.9, 2.0, 1.8, 1.4, 1.1, 1.0, 1.5, 1.8, 1.7, 1.5, 1.3, 1.25,
    1.1, 0.9, 0.6, 0.4,
)  # fmt: skip
WEEKEND = 0.8  # of a weekday's reports
STORM_MONTHS = (4, 5, 6, 7, 8, 9)
STORM_SHARE = 0.11  # of the days of the flood season
STORM_THEME, STORM_FACTOR, STORM_VOLUME = "08", 14.0, 1.5
# Fire weather: late autumn to spring; floods: the rainy season.
SEASONS = {
    "07": {1: 2.0, 2: 2.2, 3: 2.2, 4: 1.8, 10: 1.5, 11: 2.0, 12: 2.2},
    "08": {5: 1.8, 6: 2.2, 7: 1.8, 8: 1.8},
}

# How long an act takes, as a share of its limit: a log-normal with this median and spread leaves about 1 in 200 late.
MEDIAN_SHARE, SPREAD = 0.3, 0.45
# People differ and stay as they are: most a little fast or slow, one in nine overloaded and late far more often. So
# do towns, which everybody in them shares.
STRAINED_HOLDERS, STRAINED_TOWNS = 0.11, 0.1
STRAIN = (1.5, 2.2)
# Work done in haste is done again, and sent back, more often: by this power of the pace, and at most this much.
HASTE, HASTE_LIMIT = 1.5, 5.0
# The town where the demo's accounts work has so many times its share of reports: a desk that has something to do.
LIVELY = 3.0
SILENT = 0.006  # of the acts: nobody answers until someone above does
REJECTED, RETURNED, REWORKED, UNSETTLED, RATED = 0.02, 0.015, 0.03, 0.012, 0.25
RATINGS = ((5, 0.7), (4, 0.265), (3, 0.02), (2, 0.01), (1, 0.005))
WHISTLE_RATED = 0.9
WHISTLE_RATINGS = ((5, 0.6), (4, 0.3), (3, 0.07), (2, 0.02), (1, 0.01))
STRAINED_RATINGS = ((5, 0.2), (4, 0.35), (3, 0.25), (2, 0.14), (1, 0.06))

_TEXTS = (
    "{place}{name}，请尽快处理",
    "群众反映{place}{name}",
    "巡查发现{place}{name}",
    "{place}附近{name}，影响出行",
    "{name}，位置在{place}，麻烦派人看看",
)


@dataclass(frozen=True, slots=True)
class Spot:
    """A place where things happen: a micro grid with a point inside it, degrees WGS84."""

    code: str
    name: str
    lon: float
    lat: float


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that is about to be reported."""

    at: datetime
    spot: Spot
    kind: EventType
    text: str
    lon: float
    lat: float


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody does next: when, who, which verb, with what."""

    at: datetime
    verb: str
    actor: Actor
    args: dict[str, Any]


class World:
    """Draw happenings for one city: where its people are, what its season brings."""

    def __init__(self, spots: Sequence[Spot], policy: Policy, seed: int, lively: str = "") -> None:
        """Hold a city's places; `lively` is the code of a town where far more is reported than its size says."""
        if not spots:
            raise ValueError("a world needs at least one spot")
        self._spots = spots
        self._policy = policy
        self._seed = seed
        self._kinds = list(policy.types.values())
        # Some towns are livelier than their number of grids says.
        weights = []
        for spot in spots:
            town = centre_of(spot.code)
            weights.append((0.6 + Random(f"{seed}/{town}").random()) * (LIVELY if town == lively else 1.0))
        self._where = list(accumulate(weights))
        self._what: dict[tuple[int, bool], list[float]] = {}

    def stormy(self, day: datetime) -> bool:
        """Tell whether it storms on the local day of an instant; storms last one to three days."""
        local = self._policy.calendar.local(day)
        if local.month not in STORM_MONTHS:
            return False
        for back in range(3):
            draw = Random(f"{self._seed}/storm/{local.toordinal() - back}")
            if draw.random() < STORM_SHARE / 2 and back < draw.choice((1, 2, 2, 3)):
                return True
        return False

    def rate(self, at: datetime, per_day: float) -> float:
        """Return reports an hour around an instant, given the average of a day."""
        local = self._policy.calendar.local(at)
        hour = HOUR_WEIGHTS[local.hour] / sum(HOUR_WEIGHTS) * per_day
        week = WEEKEND if local.weekday() >= 5 else (7 - 2 * WEEKEND) / 5
        return hour * week * (STORM_VOLUME if self.stormy(at) else 1.0)

    def happenings(self, begin: datetime, end: datetime, per_day: float, rnd: Random) -> list[Happening]:
        """Draw what is reported in [begin, end), in the order of time, hour by hour."""
        found: list[Happening] = []
        hour = begin
        while hour < end:
            until = min(hour + timedelta(hours=1), end)
            mean = self.rate(hour, per_day) * (until - hour).total_seconds() / 3600
            for _ in range(_poisson(mean, rnd)):
                found.append(self.happening(hour + (until - hour) * rnd.random(), rnd))
            hour = until
        found.sort(key=lambda h: h.at)
        return found

    def happening(self, at: datetime, rnd: Random) -> Happening:
        """Draw one happening at an instant."""
        month, storm = self._policy.calendar.local(at).month, self.stormy(at)
        if (month, storm) not in self._what:
            self._what[month, storm] = list(accumulate(self._weight(k, month, storm) for k in self._kinds))
        kind = self._kinds[_draw(self._what[month, storm], rnd)]
        spot = self._spots[_draw(self._where, rnd)]
        # A few metres around the cell's point: cells are larger than that.
        lon, lat = spot.lon + rnd.uniform(-2e-5, 2e-5), spot.lat + rnd.uniform(-2e-5, 2e-5)
        text = rnd.choice(_TEXTS).format(place=spot.name, name=kind.name)
        return Happening(at, spot, kind, text, round(lon, 6), round(lat, 6))

    def _weight(self, kind: EventType, month: int, storm: bool) -> float:
        weight = THEME_WEIGHTS.get(kind.theme, 5.0) * SEVERITY_WEIGHTS[kind.severity]
        weight /= sum(SEVERITY_WEIGHTS[k.severity] for k in self._kinds if k.theme == kind.theme)
        weight *= SEASONS.get(kind.theme, {}).get(month, 1.0)
        return weight * (STORM_FACTOR if storm and kind.theme == STORM_THEME else 1.0)


def next_act(incident: Incident, policy: Policy, roster: Roster, seed: int) -> Act | None:
    """Return what is done next with an incident, or None when nothing more is.

    The draw depends on the seed, the incident and its segment of responsibility: asked again, it answers the same,
    and what happens beside it (a limit that passes, a note) does not make anybody think anew.
    """
    act = _lead_act(incident, policy, roster, seed)
    for part in incident.parts.values():
        if part.role == "assist" and part.state in ("sent", "picked_up") and incident.state in _WITH_TEAM:
            also: Act | None = _assist_act(incident, part, policy, seed)
        elif part.kind == "whistle" and part.state in ("done", "ended") and incident.state in _AFTERWARDS:
            also = _whistle_act(incident, part, seed)
        else:
            continue
        if also is not None and (act is None or also.at < act.at):
            act = also
    return act


_WITH_TEAM = frozenset({"dispatched", "in_hand"})
_AFTERWARDS = frozenset({"disposed", "verified", "closed"})


def _lead_act(incident: Incident, policy: Policy, roster: Roster, seed: int) -> Act | None:
    rnd = Random(f"{seed}/{incident.number}/{incident.segment}")
    kind = policy.types[incident.category]
    centre = centre_of(incident.area_code)
    desk = Actor(f"dispatcher/{centre}", "dispatcher", centre)
    lead = Actor(f"duty/{centre}", "duty_leader", centre)
    part = incident.lead
    team = Actor(f"team/{part.team_id}", "team", centre, part.team_id) if part is not None else desk
    worker = Actor(f"worker/{incident.area_code}", "grid_worker", incident.area_code)
    pace = _pace(incident.holder, centre, seed)
    haste = 1.0 if part is None else min(_pace(f"team/{part.team_id}", centre, seed) ** HASTE, HASTE_LIMIT)
    since = incident.held_since

    def within(clock: clocks.Clock | None, fallback: str = "60m") -> datetime:
        return _drawn(clock, fallback, since, pace, policy, rnd)

    match incident.state:
        case "reported" | "checking":
            at = within(incident.clocks.get("accept"))
            if rnd.random() < REJECTED:
                return Act(at, "reject", desk, {"reason": "经核实，反映情况不属实"})
            return Act(at, "accept", desk, {})
        case "accepted":
            trade = policy.trade_for(kind)
            chosen = choose(roster, trade, incident.area_code, incident.lon, incident.lat)
            if chosen is None:
                return None
            return Act(within(incident.clocks.get("dispatch")), "dispatch", desk, {"team_id": chosen.id})
        case "dispatched" if part is not None:
            at = within(part.clocks.get("pick_up"))
            if rnd.random() < RETURNED * haste and not incident.facts.get("returns"):
                return Act(at, "decline", team, {"return_kind": "not_ours", "reason": "不属于本单位职责范围"})
            return Act(at, "pick_up", team, {})
        case "in_hand" if part is not None and part.state == "picked_up" and "arrive" in part.clocks:
            args: dict[str, Any] = {"reason": "现场无信号，人工签到"}
            if incident.lon is not None and incident.lat is not None:
                args = {"position": [incident.lon + rnd.uniform(-1e-3, 1e-3), incident.lat]}
            return Act(within(part.clocks["arrive"]), "arrive", team, args)
        case "in_hand" if part is not None:
            args = {"result": f"{kind.name}已现场处置完毕"}
            if kind.theme == "02":
                args["settled"] = rnd.random() >= UNSETTLED
                args["result"] = "调解成功" if args["settled"] else "双方未达成一致，已告知诉讼途径"
            if incident.mode == "one_grid":
                args["photos"] = [f"demo/{incident.number}/{when}.jpg" for when in ("before", "after")]
            return Act(within(part.clocks.get("dispose"), str(kind.dispose)), "dispose", team, args)
        case "disposed":
            at = within(incident.clocks.get("verify"))
            if rnd.random() < REWORKED * haste and not incident.facts.get("reworks"):
                return Act(at, "rework", worker, {"reason": "现场仍有问题，未达到结案标准"})
            return Act(at, "verify", worker, {})
        case "verified":
            return Act(within(None, "2wh"), "close", lead, {"standard": True})
        case "closed" if incident.rating is None and rnd.random() < RATED:
            at = since + timedelta(hours=rnd.uniform(2, 60))
            rating = rnd.choices([r for r, _ in RATINGS], [w for _, w in RATINGS])[0]
            return Act(max(at, incident.last_at), "rate", SYSTEM, {"rating": rating})
    return None


def _assist_act(incident: Incident, part: Assignment, policy: Policy, seed: int) -> Act:
    """Return what an assisting unit does next: it picks up, and some time later has done its part."""
    rnd = Random(f"{seed}/{incident.number}/{part.team_id}/{part.sent_at.timestamp()}/{part.state}")
    team = Actor(f"team/{part.team_id}", "team", centre_of(incident.area_code), part.team_id)
    pace = _pace(f"team/{part.team_id}", centre_of(incident.area_code), seed)
    if part.state == "sent":
        at = _drawn(part.clocks.get("pick_up"), "60m", part.sent_at, pace, policy, rnd)
        return Act(at, "pick_up", team, {"assignment_id": part.id})
    picked_up = part.clocks["pick_up"].ended or part.sent_at if "pick_up" in part.clocks else part.sent_at
    at = _drawn(part.clocks.get("arrive") or part.clocks.get("dispose"), "4uh", picked_up, pace, policy, rnd)
    return Act(at, "dispose", team, {"assignment_id": part.id, "result": "已协助处置"})


def _whistle_act(incident: Incident, part: Assignment, seed: int) -> Act | None:
    """Return how a whistle ends: hours after the disposal whoever blew it ends it, and mostly rates the team."""
    # By its team and hour, not by its id: ids depend on what else happened in the city.
    rnd = Random(f"{seed}/{incident.number}/{part.team_id}/{part.sent_at.timestamp()}/whistle")
    centre = centre_of(incident.area_code)
    asked_by = part.facts.get("asked_by")
    if asked_by is not None and not asked_by.startswith("dispatcher/"):
        return None  # a visitor's whistle is the visitor's to end
    blower = Actor(asked_by or f"dispatcher/{centre}", "dispatcher", centre)
    over = (part.ended_at or part.sent_at) + timedelta(hours=rnd.uniform(0.3, 8))
    if part.state == "done":
        return Act(over, "end_whistle", blower, {"assignment_id": part.id})
    if "rating" in part.facts or rnd.random() > WHISTLE_RATED:
        return None
    slow = _pace(f"team/{part.team_id}", centre, seed) > STRAIN[0]
    ratings, weights = zip(*(STRAINED_RATINGS if slow else WHISTLE_RATINGS), strict=True)
    rating = rnd.choices(ratings, weights)[0]
    at = over + timedelta(minutes=rnd.uniform(2, 40))
    return Act(at, "rate_whistle", blower, {"assignment_id": part.id, "rating": rating})


def _drawn(
    clock: clocks.Clock | None, fallback: str, since: datetime, pace: float, policy: Policy, rnd: Random
) -> datetime:
    """Draw when an act comes that a clock waits for: a share of its limit, rarely far beyond it."""
    limit = Limit.parse(clock.limit if clock is not None and clock.limit != clocks.BY_SOURCE else fallback)
    share = MEDIAN_SHARE * pace * math.exp(rnd.gauss(0.0, SPREAD))
    if rnd.random() < SILENT:
        share += rnd.uniform(0.8, 2.0)
    seconds = max(5.0, policy.calendar.seconds(limit) * share)
    return policy.calendar.after(since, seconds, limit.working)


@lru_cache(maxsize=8_192)
def _pace(holder: str, town: str, seed: int) -> float:
    """Return how slow a holder is in a town, about 1: some are always late, and stay so."""
    one, all_of_them = Random(f"{seed}/{holder}"), Random(f"{seed}/town/{town}")
    pace = 0.7 + 0.6 * one.random()
    if one.random() < STRAINED_HOLDERS:
        pace *= one.uniform(*STRAIN)
    pace *= 0.85 + 0.3 * all_of_them.random()
    return pace * (all_of_them.uniform(*STRAIN) if all_of_them.random() < STRAINED_TOWNS else 1.0)


def _draw(cumulative: list[float], rnd: Random) -> int:
    return bisect(cumulative, rnd.random() * cumulative[-1], hi=len(cumulative) - 1)


def _poisson(mean: float, rnd: Random) -> int:
    """Draw a Poisson number by counting unit-rate arrivals; means here stay below a few hundred."""
    count, passed = 0, rnd.expovariate(1.0)
    while passed < mean:
        count += 1
        passed += rnd.expovariate(1.0)
    return count
