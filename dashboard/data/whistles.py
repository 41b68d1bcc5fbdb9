"""What the whistle board shows: the clocks of each whistle of today and of each that is still open."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dashboard.data.city import CityReads
from dashboard.data.scope import covers, within
from dispatch.desk import store
from dispatch.rules.areas import contains, prefix_of
from dispatch.rules.incident.values import Actor, Assignment, Incident
from dispatch.rules.law import LIVE
from dispatch.rules.measures.cases import is_on_site_in_time
from dispatch.rules.measures.cases import whistles as sent_whistles
from dispatch.rules.measures.indicators import Case, Rate, evaluate, indicators, whistle_facts
from dispatch.rules.time.clocks import Clock, was_late

ROWS_LIMIT = 500
OPEN = LIVE | {"review", "done"}  # done: still to be ended by whoever blew it
RATES = ("whistle_answered", "whistle_on_site", "whistle_rating")


@dataclass(frozen=True, slots=True)
class Whistle:
    """One whistle: its incident and its assignment, whose clocks are `accept` (the review), `pick_up` and `arrive`."""

    incident: Incident
    part: Assignment

    def ended(self, kind: str) -> datetime | None:
        """Return when what a clock waited for came, or None."""
        clock = self.part.clocks.get(kind)
        return None if clock is None else clock.ended

    @property
    def next(self) -> Clock | None:
        """Return the clock that it runs against: the review, the answer, then reporting in; None when it is there."""
        if self.part.state == "review":
            return self.part.clocks.get("accept")
        if self.part.state not in LIVE:
            return None
        for kind in ("pick_up", "arrive"):
            clock = self.part.clocks.get(kind)
            if clock is not None and clock.awaited:
                return clock
        return None

    @property
    def done_at(self) -> datetime | None:
        """Return when its team reported the result, or None."""
        return self.ended("dispose") or (self.part.ended_at if self.part.state in ("done", "ended") else None)

    @property
    def rating(self) -> int | None:
        """Return what whoever blew it gave the team, 1 to 5, or None."""
        given = self.part.facts.get("rating")
        return given if type(given) is int else None


@dataclass(frozen=True, slots=True)
class Board:
    """The whistles of an area, the nearest limit first, and today's rates; `more` were left out."""

    rows: tuple[Whistle, ...]
    rates: dict[str, Rate]
    inside: int  # sent today, not there yet and still within the limit
    more: int


def board(city: CityReads, actor: Actor, area: str, midnight: datetime, now: datetime) -> Board:
    """Return the whistles sent since `midnight` or still open in an area of the actor's scope; empty outside it."""
    if not covers(actor, area) and not contains(area, actor.area_code):
        return Board((), rates([]), 0, 0)
    scope, values = within(actor)
    with city.look() as connection, connection.cursor() as cursor:
        # What has a whistle of today is open, or ended today at the earliest.
        cursor.execute(
            "select distinct i.id from incident i join assignment a on a.incident_id = i.id and a.kind = 'whistle'"
            f" where (i.ended_at is null or i.ended_at >= %(midnight)s) and i.area_code like %(area)s and {scope}"
            " and (a.sent_at >= %(midnight)s or (i.ended_at is null and a.state = any(%(open)s)))",
            values | {"midnight": midnight, "area": prefix_of(area) + "%", "open": sorted(OPEN)},
        )
        held = store.load(cursor, [row[0] for row in cursor.fetchall()])
    every = [
        Whistle(each.incident, part)
        for each in held.values()
        for part in each.incident.parts.values()
        if part.kind == "whistle"
    ]
    today = [w for w in every if w.part.sent_at >= midnight]
    shown = [
        w
        for w in every
        if w.part.sent_at >= midnight or (w.part.state in OPEN and w.incident.ended_at is None)
    ]
    shown.sort(key=lambda w: _order(w, now))
    incidents = {w.incident.id for w in today}
    inside = sum(
        w.part.state in LIVE and (clock := w.part.clocks.get("arrive")) is not None and clock.awaited
        and clock.due is not None and not was_late(clock, now)
        for w in today
    )  # fmt: skip
    counted = [each.incident for key, each in held.items() if key in incidents]
    return Board(tuple(shown[:ROWS_LIMIT]), rates(counted), inside, max(0, len(shown) - ROWS_LIMIT))


def rates(incidents: list[Incident]) -> dict[str, Rate]:
    """Return the assessment's own indicators of whistles over incidents: one incident is one case."""
    catalogue = indicators()
    cases = [case for each in incidents if (case := _case(each)) is not None]
    return {name: evaluate(catalogue[name], cases) for name in RATES}


def _case(incident: Incident) -> Case | None:
    # As the assessment reads a case: every whistle of it must have been answered, and reported in, in time.
    facts = whistle_facts(sent_whistles(incident), is_on_site_in_time)
    return Case(incident.id, **facts) if facts else None


def _order(whistle: Whistle, now: datetime) -> tuple[int, float]:
    """Sort by the limit it runs against, then what is on site, then what is over; the latest first among equals."""
    clock = whistle.next
    if clock is not None and clock.due is not None:
        return 0, clock.due.timestamp()
    group = 1 if whistle.part.state in LIVE else 2 if whistle.part.state in OPEN else 3
    return group, -whistle.part.sent_at.timestamp()
