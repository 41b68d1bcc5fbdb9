"""What the leaders' page reads: the picture of an area and a period, what is red now, and the cases behind numbers.

An area that a viewer may not see is answered exactly like one that does not exist: with None.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from threading import Lock

import shapely

from dashboard.data.city import CityReads
from dashboard.data.scope import covers
from dispatch.desk.desk import Outcome
from dispatch.figures import case_sets, overview
from dispatch.figures.case_sets import CasePage, CaseRow, CaseSet, Counted
from dispatch.figures.overview import Overview
from dispatch.record.policies import Policies
from dispatch.rules.areas import contains, prefix_of
from dispatch.rules.incident.values import Actor, Command
from dispatch.rules.measures.cases import MEASURES
from dispatch.rules.time.period import Period
from models.servers.database import addresses

KEPT_S = 20.0  # a picture is read again after so long; opening a list behind a number does not read it anew
KEPT_MOST = 64
EXPORT_ROWS = 5_000  # read at a time
REPEATS_KEPT_S = 300.0
REPEATS = 10  # places shown
REPEATED_LEAST = 3  # reports of one kind from one place in the period
HOLDERS = 3
REDS_MOST = 20  # offered for supervision at once, the longest past their limit
COARSE = 500  # an outline is drawn to this part of the map's width

_kept: dict[tuple[int, str, str, Period], tuple[float, Overview]] = {}
_repeats: dict[tuple[int, str, Period], tuple[float, list[Repeat]]] = {}
_outlines: dict[tuple[int, str, int], Outline] = {}
_lock = Lock()


@dataclass(frozen=True, slots=True)
class Wartime:
    """Hold a declared wartime that covers the area or a part of it; level 1 is the gravest."""

    area_code: str
    level: int


@dataclass(frozen=True, slots=True)
class Present:
    """Hold what is so at this moment, whatever the period: `holders` have the most of what is overdue."""

    at: datetime
    overdue: Counted
    holders: tuple[tuple[str, int], ...]
    whistles_late: Counted
    raised: Counted
    wartime: tuple[Wartime, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """Hold a place from which the same kind of matter was reported several times in the period."""

    place: int
    category: str
    area_code: str
    reports: int
    open: int
    last_at: datetime


def picture(city: CityReads, actor: Actor, area: str, period: Period, now: datetime) -> Overview | None:
    """Return the picture of an area and a period, at most `KEPT_S` old; None where the viewer may not see it.

    Raises LookupError and ValueError as `dispatch.figures.overview.read` does.
    """
    if not covers(actor, area):
        return None
    key = (id(city), area, period.kind, period)
    with _lock:
        found = _kept.get(key)
    if found is not None and time.monotonic() - found[0] < KEPT_S:
        return found[1]
    with city.look() as connection:
        # The times of stages take longer than all the rest: they come after it.
        read = overview.read(connection, area, period, now, timed=False)
    with _lock:
        if len(_kept) >= KEPT_MOST:
            _kept.clear()
        _kept[key] = (time.monotonic(), read)
    return read


def timed(city: CityReads, actor: Actor, found: Overview, now: datetime) -> Overview:
    """Return a picture with the times of its stages; as it is where the viewer may not see the area."""
    area, period = found.area.code, found.period
    if found.stages or not covers(actor, area):
        return found
    with city.look() as connection:
        whole = replace(found, stages=overview.stage_times(connection, area, period, now))
    with _lock:
        key = (id(city), area, period.kind, period)
        if whole.stages and (kept := _kept.get(key)) is not None and kept[1] is found:
            _kept[key] = (kept[0], whole)
    return whole


def present(city: CityReads, actor: Actor, area: str, now: datetime) -> Present | None:
    """Return what is red, late and raised in an area now, and who holds it; None where the viewer may not see it."""
    if not covers(actor, area):
        return None
    like = {"area": prefix_of(area) + "%"}
    with city.look() as connection:
        late, raised = connection.execute(
            f"select count(*) filter (where {MEASURES['whistle_late'].sql}),"
            f" count(*) filter (where {MEASURES['raised'].sql})"
            " from incident i where i.ended_at is null and i.area_code like %(area)s",
            like,
        ).fetchall()[0]
        holders = connection.execute(
            "select holder, count(*) from incident where overdue_since is not null and area_code like %(area)s"
            " group by 1 order by 2 desc, 1",
            like,
        ).fetchall()
        declared = connection.execute(
            "select area_code, level from wartime where ended_at is null and since <= %s and until > %s"
            " order by level, area_code",
            (now, now),
        ).fetchall()
    return Present(
        now,
        Counted(sum(n for _, n in holders), CaseSet("red", area)),
        tuple(holders[:HOLDERS]),
        Counted(late, CaseSet("whistle_late", area)),
        Counted(raised, CaseSet("raised", area)),
        tuple(Wartime(*each) for each in declared if contains(each[0], area) or contains(area, each[0])),
    )


@dataclass(frozen=True, slots=True)
class Red:
    """Hold a case that is past a limit now: who holds it, since when it is red, and whether it is supervised.

    `seq` is its last event, as it was seen.
    """

    id: int
    number: int
    category: str
    area_code: str
    holder: str
    overdue_since: datetime
    seq: int
    supervised: bool


def reds(city: CityReads, actor: Actor, area: str) -> tuple[list[Red], int]:
    """Return what has been past a limit the longest in an area, at most `REDS_MOST`, and how many are red in all.

    Those nobody supervises come first. Nothing where the viewer may not see the area.
    """
    if not covers(actor, area):
        return [], 0
    with city.look() as connection:
        rows = connection.execute(
            "select id, number, category, area_code, holder, overdue_since, seq, facts ? 'supervised_by',"
            " count(*) over () from incident where overdue_since is not null and area_code like %s"
            " order by facts ? 'supervised_by', overdue_since, id limit %s",
            (prefix_of(area) + "%", REDS_MOST),
        ).fetchall()
    return [Red(*row[:8]) for row in rows], rows[0][8] if rows else 0


def supervise(city: CityReads, actor: Actor, found: Sequence[Red], reason: str, press: str) -> list[Outcome]:
    """Hand the supervision of cases, as they were seen, to the Desk; the same `press` again is one action each."""
    commands = [
        Command(
            "supervise", red.id, actor, f"leaders-{actor.id}-{press}-{red.id}", {"reason": reason}, red.seq
        )
        for red in found
    ]
    return city.submit(commands, datetime.now(UTC), addresses().redis_url)


def cases(city: CityReads, actor: Actor, wanted: CaseSet, page: int = 1) -> CasePage | None:
    """Return a page of the cases behind a number; None where the viewer may not see the area."""
    if not covers(actor, wanted.area):
        return None
    with city.look() as connection:
        return case_sets.cases(connection, wanted, page)


def every_case(city: CityReads, actor: Actor, wanted: CaseSet) -> Iterator[CaseRow]:
    """Yield all cases behind a number as they are asked for; none where the viewer may not see the area."""
    if not covers(actor, wanted.area):
        return
    for page in count(1):
        with city.look() as connection:
            found = case_sets.cases(connection, wanted, page, EXPORT_ROWS)
        yield from found.rows
        if page >= found.pages:
            return


def repeats(city: CityReads, actor: Actor, area: str, period: Period) -> list[Repeat]:
    """Return the places that reported the same again and again in a period, the most first."""
    if not covers(actor, area):
        return []
    key = (id(city), area, period)
    with _lock:
        found = _repeats.get(key)
    if found is not None and time.monotonic() - found[0] < REPEATS_KEPT_S:
        return found[1]
    with city.look() as connection:
        calendar = Policies(connection.cursor()).in_force(datetime.now(UTC)).calendar
        # The index alone says which places they are; only of those are rows read.
        rows = connection.execute(
            "with most as materialized (select place, count(*) reports, max(reported_at) last_at from incident"
            "  where place is not null and reported_at >= %(begin)s and reported_at < %(end)s"
            "  and area_code like %(area)s group by place having count(*) >= %(least)s"
            "  order by 2 desc, 3 desc limit %(most)s)"
            " select m.place, i.category, i.area_code, m.reports, i.open, m.last_at from most m,"
            " lateral (select min(category) category, min(area_code) area_code,"
            "  count(*) filter (where ended_at is null) as open from incident"
            "  where place = m.place and reported_at >= %(begin)s and reported_at < %(end)s"
            "  and area_code like %(area)s) i order by m.reports desc, m.last_at desc",
            {
                "begin": calendar.begins(period.first),
                "end": calendar.begins(period.until),
                "area": prefix_of(area) + "%",
                "least": REPEATED_LEAST,
                "most": REPEATS,
            },
        ).fetchall()
    read = [Repeat(*row) for row in rows]
    with _lock:
        if len(_repeats) >= KEPT_MOST:
            _repeats.clear()
        _repeats[key] = (time.monotonic(), read)
    return read


def at_place(city: CityReads, actor: Actor, area: str, period: Period, place: int) -> CasePage | None:
    """Return what was reported from one place in a period, newest first; None where the viewer may not see the area."""
    if not covers(actor, area):
        return None
    with city.look() as connection:
        calendar = Policies(connection.cursor()).in_force(datetime.now(UTC)).calendar
        rows = connection.execute(
            "select i.id, i.number, c.name, c.name_en, i.severity, i.area_code, n.name, i.state, i.holder, i.text,"
            " i.reported_at, i.disposed_at, i.disposed_on_time, i.overdue_since, i.ended_at from incident i"
            " join category c on c.code = i.category join area n on n.code = i.area_code"
            " where i.place = %s and i.reported_at >= %s and i.reported_at < %s and i.area_code like %s"
            " order by i.reported_at desc, i.id desc limit %s",
            (
                place,
                calendar.begins(period.first),
                calendar.begins(period.until),
                prefix_of(area) + "%",
                case_sets.PAGE_ROWS,
            ),
        ).fetchall()
    return CasePage(tuple(CaseRow(*row) for row in rows), len(rows), 1, 1)


def forget() -> None:
    """Forget every picture that is kept."""
    with _lock:
        _kept.clear()
        _repeats.clear()


@dataclass(frozen=True, slots=True)
class Outline:
    """Hold the outlines of the areas inside one, coarse enough for a small map: code -> rings of (lon, lat).

    `bounds` are west, south, east and north, in degrees (WGS84).
    """

    rings: dict[str, list[list[tuple[float, float]]]]
    bounds: tuple[float, float, float, float]


def outline(city: CityReads, actor: Actor, area: str, level: int) -> Outline | None:
    """Return the outlines of one level inside an area; None where the viewer may not see it, or there are none."""
    if not covers(actor, area):
        return None
    key = (id(city), area, level)
    with _lock:
        found = _outlines.get(key)
    if found is None:
        rows = city.shapes(area, level)
        if not rows:
            return None
        shapes = shapely.from_wkb([wkb for _, wkb in rows])
        west, south, east, north = (float(each) for each in shapely.total_bounds(shapes))
        coarse = shapely.simplify(shapes, max(east - west, north - south) / COARSE)
        rings = {
            each.code: [
                [(x, y) for x, y in ring.coords]
                for part in getattr(shape, "geoms", [shape])
                for ring in (part.exterior, *part.interiors)
            ]
            for (each, _), shape in zip(rows, coarse, strict=True)
        }
        found = Outline(rings, (west, south, east, north))
        with _lock:
            if len(_outlines) >= KEPT_MOST:
                _outlines.clear()
            _outlines[key] = found
    return found
