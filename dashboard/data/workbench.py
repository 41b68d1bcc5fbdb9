"""What a dispatcher's workbench reads: a case whole with its likely duplicates, and what many would come to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, TypeVar

import shapely

from dashboard.data.city import CityReads
from dashboard.data.listing import Detail, segments_of
from dashboard.data.scope import within
from dispatch.assignment.proposals import Proposals
from dispatch.desk import store
from dispatch.desk.desk import DUPLICATE_DAYS, Desk
from dispatch.rules.areas import Level, at_level
from dispatch.rules.incident.chain import Actor, Incident, places_around, replay
from dispatch.rules.places import metres
from dispatch.rules.teams.proposals import Decision, Offer, one_at_a_time

NEAR_M = 150  # two reports of one type this near may be one matter
DUPLICATES_SHOWN = 5
OFFERS_AGE_S = 5.0  # how old the offers for a case that has not changed may be
OFFERS_KEPT = 500
DECLINED = ("merged", "void", "rejected")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Like:
    """A report of the same type near the case; `photos` are the first report's."""

    id: int
    number: int
    text: str
    state: str
    source: str
    reported_at: datetime
    ended_at: datetime | None
    metres: float
    photos: tuple[str, ...]
    lon: float
    lat: float


@dataclass(frozen=True, slots=True)
class Case:
    """One case as the workbench shows it; `shortfalls` say why nobody is proposed, where nobody is."""

    detail: Detail
    likes: tuple[Like, ...]
    why_none: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Many cases decided together, beside giving each its best team in turn: minutes of the teams chosen."""

    decisions: tuple[Decision, ...]
    together: tuple[int, float]  # cases placed, their cost in minutes
    in_turn: tuple[int, float]


def case(city: CityReads, actor: Actor, incident_id: int, now: datetime) -> Case | None:
    """Return one case whole, or None where there is no such one in an actor's scope."""
    scope, values = within(actor, "i")
    with city.look() as connection, connection.cursor() as cursor:
        cursor.execute(
            f"select 1 from incident i where i.id = %(id)s and {scope}", values | {"id": incident_id}
        )
        if cursor.fetchone() is None:
            return None
        events = store.events_of(cursor, incident_id)
        incident = replay(events)
        segments = segments_of(cursor, incident_id)
        likes = _likes(cursor, actor, incident, now)
    decision = _proposer(city.url).offers(incident, now) if incident.ended_at is None else None
    offers: tuple[Offer, ...] = decision.offers if decision is not None else ()
    why = decision.shortfalls if decision is not None and decision.chosen is None else ()
    return Case(Detail(incident, events, segments, offers), likes, why)


def several(city: CityReads, actor: Actor, incident_ids: Sequence[int]) -> list[Incident]:
    """Return those of the named incidents that an actor sees, with their assignments, in the order of ids."""
    scope, values = within(actor, "i")
    with city.look() as connection, connection.cursor() as cursor:
        cursor.execute(
            f"select i.id from incident i where i.id = any(%(ids)s) and {scope}",
            values | {"ids": list(incident_ids)},
        )
        seen = [row[0] for row in cursor.fetchall()]
        return [held.incident for held in store.load(cursor, seen).values()]


def plan(city: CityReads, actor: Actor, incident_ids: Sequence[int], now: datetime) -> Plan:
    """Decide together which teams go to the named cases that wait for their dispatch and that an actor sees."""
    mine = [incident.id for incident in several(city, actor, incident_ids)]
    together, in_turn = _proposer(city.url).ask(
        lambda proposals: (proposals.many(mine, now), proposals.many(mine, now, one_at_a_time))
    )
    return Plan(tuple(together), _sum(together), _sum(in_turn))


class _Proposer:
    """Propose teams for all pages of the process on one connection, one at a time; offers are kept for seconds."""

    def __init__(self, url: str) -> None:
        self._desk = Desk(url)
        self._proposals = Proposals(self._desk)
        self._lock = threading.Lock()
        self._kept: dict[tuple[int, int], tuple[float, Decision | None]] = {}

    def ask(self, question: Callable[[Proposals], T]) -> T:
        """Ask the proposals something, when it is one's turn."""
        with self._lock:
            return question(self._proposals)

    def offers(self, incident: Incident, now: datetime) -> Decision | None:
        """Return the ranked offers for a case, at most `OFFERS_AGE_S` old while it does not change."""
        key = (incident.id, incident.seq)
        known = self._kept.get(key)
        if known is not None and time.monotonic() - known[0] < OFFERS_AGE_S:
            return known[1]
        found = self.ask(lambda proposals: proposals.one(incident.id, now))
        if len(self._kept) >= OFFERS_KEPT:
            self._kept.clear()
        self._kept[key] = (time.monotonic(), found)
        return found


@cache
def _proposer(url: str) -> _Proposer:
    return _Proposer(url)


def _likes(cursor: store.Cursor, actor: Actor, incident: Incident, now: datetime) -> tuple[Like, ...]:
    """Read reports of the same type around the same place within thirty days: open ones first, then the nearest."""
    if incident.lon is None or incident.lat is None or incident.located != "point":
        return ()
    scope, values = within(actor, "i")
    cursor.execute(
        "select i.id, i.number, i.text, i.state, i.source, i.reported_at, i.ended_at, i.lon, i.lat,"
        " (select e.data->'said'->'photos' from event e where e.incident_id = i.id and e.seq = 1) from incident i"
        " where i.place = any(%(places)s::bigint[]) and i.reported_at >= %(since)s and i.id <> %(id)s"
        f" and not i.state = any(%(declined)s) and i.lon is not null and {scope}"
        " order by i.ended_at is not null, i.reported_at desc limit 50",
        values
        | {
            "places": list(places_around(incident.category, incident.lon, incident.lat)),
            "since": now - timedelta(days=DUPLICATE_DAYS),
            "id": incident.id,
            "declined": list(DECLINED),
        },
    )
    here = (incident.lon, incident.lat)
    found = [
        Like(
            one,
            number,
            text,
            state,
            source,
            at,
            ended,
            metres(here, (lon, lat)),
            tuple(map(str, photos or ())),
            lon,
            lat,
        )
        for one, number, text, state, source, at, ended, lon, lat, photos in cursor.fetchall()
    ]
    near = [each for each in found if each.metres <= NEAR_M]
    near.sort(key=lambda each: (each.ended_at is not None, each.metres))
    return tuple(near[:DUPLICATES_SHOWN])


def _sum(decisions: Sequence[Decision]) -> tuple[int, float]:
    placed = [each.chosen for each in decisions if each.chosen is not None]
    return len(placed), sum(each.cost_min for each in placed)


@cache
def outlines(city: CityReads, area_code: str) -> tuple[tuple[str, tuple[tuple[float, float], ...]], ...]:
    """Return (code, outline as lon and lat) of the small areas around a place, simplified for a small map."""
    village = at_level(area_code, Level.VILLAGE)
    around = area_code[:9]
    rows = city.shapes(around, Level.VILLAGE)
    if village is not None:
        rows = [*rows, *city.shapes(village, Level.MICRO)]
    found = []
    for area, wkb in rows:
        shape = shapely.from_wkb(wkb)
        parts = getattr(shape, "geoms", [shape])
        for part in parts:
            ring = part.exterior.simplify(0.0002).coords
            found.append((area.code, tuple((round(x, 5), round(y, 5)) for x, y in ring)))
    return tuple(found)
