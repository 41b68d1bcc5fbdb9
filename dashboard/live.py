"""One picture of the city in memory for each web process, and its push: folded once, encoded once, sent to all."""

from __future__ import annotations

import asyncio
import heapq
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import psycopg
import redis.asyncio
from redis.exceptions import RedisError

from dashboard.data import (
    Area,
    Changes,
    Directory,
    LiveRow,
    Part,
    PastRow,
    Raised,
    Reads,
    Snapshot,
)
from dashboard.words import clock_name, pick, translator
from dispatch.rules.areas import Level, ancestors, centre_of, level_of, parent_of
from dispatch.rules.calendar import Calendar
from dispatch.rules.chain import ENDED, STATES, STEPS
from dispatch.rules.clocks import Clock, yellow_from
from dispatch.rules.escalation import next_step

ZONE = ZoneInfo("Asia/Shanghai")
CHANNEL = "gridwhistle:changed"
GATHER_EVERY_S = 0.1  # at most this often, however often the stream nudges
LOOK_EVERY_S = 1.0  # without any nudge
PUSH_EVERY_S = 0.2  # for one area
BEAT_EVERY_S = 5.0
DIRECTORY_EVERY_S = 60.0
RETRY_FIRST_S, RETRY_LONGEST_S = 0.5, 10.0
SAY_AGAIN_S = 60.0
# Older than this a tile of the live picture is stale in the browser, in ms; tiles that are read once a minute: 150 s.
LIVE_PERIOD_MS, MINUTE_PERIOD_MS = 15_000, 150_000
RED_ROWS, WHISTLE_ROWS, RAISED_ROWS, HAPPENINGS, RANK_ROWS = 5, 4, 2, 3, 3
RANK_BASE = 5  # a rate over fewer cases is not ranked
SATISFIED = 4  # of 5
BRIEF = 8  # characters that the name of a type may have on a wall before it is cut at a stop
GRACE = timedelta(minutes=15)  # after the 30 minutes of a whistle, before the county is called
CHANNELS_LIMIT = 5_000
THEMES = tuple(f"{n:02}" for n in range(1, 11))
DISPUTES = "02"
DONE = frozenset({"closed", "archived"})
UNACCEPTED = frozenset({"rejected", "merged"})

log = logging.getLogger(__name__)

# What is counted for each area: positions in one flat list, so that folding is adding.
(
    OPEN, RED, YELLOW, REPORTED, CLOSED, DISPOSED, ON_TIME, MEDIATED, SETTLED, RATED, PLEASED, ESCALATED, SUPERVISED,
    WHISTLES, WHISTLES_OVER,
) = range(15)  # fmt: skip
THEME_REPORTED, THEME_RED, THEME_YELLOW = 15, 25, 35
SIZE = 45

# "第035微网格（学校）" is said as "035 学校".
_PLAIN_CELL = str.maketrans({"第": "", "（": " ", "）": ""})

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class _Kept:
    """An incident in the picture, with what it adds to the counters of its area and all areas above."""

    row: LiveRow
    chain: tuple[str, ...]
    marks: tuple[int, ...]
    light: str
    whistle: Part | None


class Picture:
    """Hold the city as it is now: counters of every area, and what the lists show.

    Folding is idempotent: a row takes the place of whatever its incident added before.
    """

    def __init__(self, directory: Directory, snapshot: Snapshot, now: datetime) -> None:
        self.directory = directory
        self.midnight = midnight(now)
        self.cursor = snapshot.cursor
        self.now = now
        self.counts: dict[str, list[int]] = defaultdict(_zeros)
        self.then: dict[str, list[int]] = defaultdict(_zeros)
        self.dirty: set[str] = set()
        self._kept: dict[int, _Kept] = {}
        self._hot: dict[str, set[int]] = defaultdict(set)
        self._whistles: dict[str, set[int]] = defaultdict(set)
        self._newest: dict[str, list[tuple[datetime, int]]] = defaultdict(list)
        self._raised: dict[tuple[int, int], Raised] = {}
        self._raised_in: dict[str, list[tuple[datetime, int, int]]] = defaultdict(list)
        self._turns: list[tuple[datetime, int]] = []
        self.past_written = False  # what happened before today was written only after it was read
        self.look_back(snapshot.past)
        for row in snapshot.rows:
            self.fold(row)
        for each in snapshot.raised:
            self.raise_(each)
        self.advance(now)

    def look_back(self, past: Sequence[PastRow]) -> None:
        """Begin last week's same day anew, as it is known now; the next `advance` takes it to this hour."""
        self.then = defaultdict(_zeros)
        self._past = sorted(_past_steps(past, self.midnight, self.directory), key=lambda step: step[0])
        self._past_at = 0
        self.past_written = False

    def fold(self, row: LiveRow) -> None:
        """Let a row take the place of what its incident added before."""
        self._drop(row.id)
        marks, light, whistle, turn = self._read(row)
        if not marks and row.ended_at is not None and row.last_at < self.midnight:
            return
        chain = ancestors(row.area_code)
        self._kept[row.id] = _Kept(row, chain, marks, light, whistle)
        for area in chain:
            counts = self.counts[area]
            for mark in marks:
                counts[mark] += 1
            if light != "green":
                self._hot[area].add(row.id)
            if whistle is not None:
                self._whistles[area].add(row.id)
            newest = self._newest[area]
            newest.append((row.last_at, row.id))
            if len(newest) > HAPPENINGS:
                newest.sort(reverse=True)
                del newest[HAPPENINGS:]
        self.dirty.update(chain)
        if turn is not None:
            heapq.heappush(self._turns, (turn, row.id))

    def raise_(self, each: Raised) -> None:
        """Note an escalation or supervision of today; a repeated one changes nothing."""
        key = (each.incident_id, each.seq)
        kept = self._kept.get(each.incident_id)
        if key in self._raised or each.at < self.midnight or kept is None:
            return
        self._raised[key] = each
        mark = ESCALATED if each.verb == "escalate" else SUPERVISED
        for area in kept.chain:
            self.counts[area][mark] += 1
            newest = self._raised_in[area]
            newest.append((each.at, *key))
            newest.sort(reverse=True)
            del newest[RAISED_ROWS:]
        self.dirty.update(kept.chain)

    def advance(self, now: datetime) -> None:
        """Let time pass: clocks cross 80 % and their limits, and last week's day goes on beside today's."""
        self.now = now
        while self._turns and self._turns[0][0] < now:
            _, incident_id = heapq.heappop(self._turns)
            kept = self._kept.get(incident_id)
            if kept is not None:
                self.fold(kept.row)
        at = now - timedelta(days=7)
        while self._past_at < len(self._past) and self._past[self._past_at][0] <= at:
            _, area_code, marks, by = self._past[self._past_at]
            self._past_at += 1
            for area in ancestors(area_code):
                for mark in marks:
                    self.then[area][mark] += by
                self.dirty.add(area)

    def take_dirty(self) -> set[str]:
        """Return the areas that changed since the last call."""
        dirty, self.dirty = self.dirty, set()
        return dirty

    def reds(self, area: str) -> list[tuple[LiveRow, str]]:
        """Return the first rows of the red and yellow list: red, then severity, then time over; yellow by limit."""
        hot = [self._kept[each] for each in self._hot.get(area, ())]
        first = heapq.nsmallest(RED_ROWS, hot, key=lambda kept: _urgency(kept, self.now))
        return [(kept.row, kept.light) for kept in first]

    def whistles(self, area: str) -> list[tuple[LiveRow, Part]]:
        """Return the first rows of whistles not reported in, nearest limit first."""
        found = [
            (kept.row, kept.whistle)
            for each in self._whistles.get(area, ())
            if (kept := self._kept[each]).whistle is not None
        ]
        first = heapq.nsmallest(WHISTLE_ROWS, found, key=lambda pair: _next_limit(pair[1]) or self.now)
        return [(row, part) for row, part in first if part is not None]

    def raised(self, area: str) -> list[tuple[LiveRow, Raised]]:
        """Return the newest escalations and supervisions of today."""
        return [
            (self._kept[incident_id].row, self._raised[incident_id, seq])
            for _, incident_id, seq in self._raised_in.get(area, ())
            if incident_id in self._kept
        ]

    def happenings(self, area: str) -> list[LiveRow]:
        """Return the incidents that something happened to last, newest first."""
        newest = sorted(self._newest.get(area, ()), reverse=True)
        return [self._kept[each].row for _, each in newest if each in self._kept]

    def _drop(self, incident_id: int) -> None:
        kept = self._kept.pop(incident_id, None)
        if kept is None:
            return
        for area in kept.chain:
            counts = self.counts[area]
            for mark in kept.marks:
                counts[mark] -= 1
            if kept.light != "green":
                self._hot[area].discard(incident_id)
            if kept.whistle is not None:
                self._whistles[area].discard(incident_id)
            newest = self._newest[area]
            newest[:] = [each for each in newest if each[1] != incident_id]
        self.dirty.update(kept.chain)

    def _read(self, row: LiveRow) -> tuple[tuple[int, ...], str, Part | None, datetime | None]:
        """Return what a row counts as, its light, its unanswered whistle, and when time changes any of these."""
        kind = self.directory.types.get(row.category)
        theme = int(kind.theme) - 1 if kind is not None else None
        marks = []
        light, whistle, turn = "green", None, None
        if row.ended_at is None:
            marks.append(OPEN)
            light, turn = light_of(row, self.now, self.directory.calendar)
            if light != "green":
                marks.append(RED if light == "red" else YELLOW)
                if theme is not None:
                    marks.append((THEME_RED if light == "red" else THEME_YELLOW) + theme)
            whistle = _unanswered(row)
            if whistle is not None:
                marks.append(WHISTLES)
                limit = _next_limit(whistle)
                if limit is not None and self.now > limit:
                    marks.append(WHISTLES_OVER)
                elif limit is not None:
                    turn = min(turn, limit) if turn is not None else limit
        today = self.midnight
        if row.reported_at >= today:
            marks.append(REPORTED)
            if theme is not None:
                marks.append(THEME_REPORTED + theme)
        if row.disposed_at is not None and row.disposed_at >= today and row.disposed_on_time is not None:
            marks.append(DISPOSED)
            if row.disposed_on_time:
                marks.append(ON_TIME)
        if row.ended_at is not None and row.ended_at >= today:
            marks.extend(_ending(row.state, row.settled, kind is not None and kind.theme == DISPUTES))
        if row.rating is not None and row.last_verb == "rate" and row.last_at >= today:
            marks.append(RATED)
            if row.rating >= SATISFIED:
                marks.append(PLEASED)
        return tuple(marks), light, whistle, turn


def midnight(now: datetime) -> datetime:
    """Return, in UTC, the beginning of the city's day that holds `now`."""
    return now.astimezone(ZONE).replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)


def light_of(row: LiveRow, now: datetime, calendar: Calendar) -> tuple[str, datetime | None]:
    """Return an open incident's light and when it next changes by itself.

    Red: some limit is passed. Yellow: 80 % of the limit of what is awaited now has run. Else green.
    """
    if row.overdue_since is not None or (row.due_at is not None and now > row.due_at):
        return "red", None
    turn = row.due_at
    clock = _awaited(row)
    near = yellow_from(clock, calendar) if clock is not None and clock.awaited else None
    if near is not None:
        if now >= near:
            return "yellow", turn
        turn = near if turn is None else min(turn, near)
    return "green", turn


def _awaited(row: LiveRow) -> Clock | None:
    if row.awaits is None:
        return None
    if row.awaits in row.clocks:
        return row.clocks[row.awaits]
    for part in row.parts:
        if part.role == "lead" and row.awaits in part.clocks:
            return part.clocks[row.awaits]
    return None


def _unanswered(row: LiveRow) -> Part | None:
    """Return the whistle whose unit has not reported in on site, or None."""
    for part in row.parts:
        if part.kind == "whistle" and (arrive := part.clocks.get("arrive")) is not None and arrive.awaited:
            return part
    return None


def _next_limit(part: Part | None) -> datetime | None:
    """Return the limit a whistle runs towards: of the answer, and once it is answered, of reporting in."""
    if part is None:
        return None
    answer, arrive = part.clocks.get("pick_up"), part.clocks.get("arrive")
    if answer is not None and answer.awaited:
        return answer.due
    return arrive.due if arrive is not None else None


def _urgency(kept: _Kept, now: datetime) -> tuple[int, int, datetime, int]:
    row = kept.row
    if kept.light == "red":
        return (0, row.severity, row.overdue_since or row.due_at or now, row.id)
    return (1, 0, _limit_of(row) or now, row.id)


def _limit_of(row: LiveRow) -> datetime | None:
    """Return the limit that a row of the list counts to or from."""
    if row.overdue_since is not None:
        return row.overdue_since
    clock = _awaited(row)
    due = clock.due if clock is not None else None
    if row.due_at is None or due is None:
        return row.due_at or due
    return min(row.due_at, due)


def _ending(state: str, settled: bool, dispute: bool) -> Iterable[int]:
    if state in DONE:
        yield CLOSED
    if dispute and state not in UNACCEPTED:
        yield MEDIATED
        if state in DONE and settled:
            yield SETTLED


def _past_steps(
    rows: Sequence[PastRow], today: datetime, directory: Directory
) -> Iterable[tuple[datetime, str, tuple[int, ...], int]]:
    """Write last week's same day as steps in time: at this instant these counters of this area change by one."""
    begin = today - timedelta(days=7)
    end = begin + timedelta(days=1)

    def inside(at: datetime | None) -> bool:
        return at is not None and begin <= at < end

    for row in rows:
        area = row.area_code
        kind = directory.types.get(row.category)
        for since, until in row.late:
            if since < end and (until is None or until >= begin):
                yield max(since, begin), area, (RED,), 1
                if until is not None:
                    yield until, area, (RED,), -1
        if inside(row.reported_at):
            theme = (THEME_REPORTED + int(kind.theme) - 1,) if kind is not None else ()
            yield row.reported_at, area, (REPORTED, *theme), 1
        if row.disposed_at is not None and inside(row.disposed_at) and row.disposed_on_time is not None:
            yield row.disposed_at, area, (DISPOSED, ON_TIME) if row.disposed_on_time else (DISPOSED,), 1
        if row.ended_at is not None and inside(row.ended_at):
            marks = tuple(_ending(row.state, row.settled, kind is not None and kind.theme == DISPUTES))
            yield row.ended_at, area, marks, 1
        if row.rated_at is not None and inside(row.rated_at) and row.rating is not None:
            yield row.rated_at, area, (RATED, PLEASED) if row.rating >= SATISFIED else (RATED,), 1


def _zeros() -> list[int]:
    return [0] * SIZE


def _ms(at: datetime | None) -> int | None:
    return None if at is None else round(at.timestamp() * 1000)


# ---- From the picture to the tiles of one area's wall ----------------------------------------------------------


@dataclass(slots=True)
class Minute:
    """What is read once a minute: the month's disposals by area and all areas above, who serves, and when."""

    at: datetime
    disposals: dict[str, list[int]] = field(default_factory=dict)
    workers: dict[str, dict[str, int]] = field(default_factory=dict)
    teams: dict[str, list[int]] = field(default_factory=dict)
    cells: dict[str, list[int]] = field(default_factory=dict)
    children: dict[str, list[Area]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        directory: Directory,
        disposals: dict[str, tuple[int, int]],
        at: datetime,
        before: Minute | None = None,
    ) -> Minute:
        """Sum people, teams and disposals up the tree, and areas too unless `before` did that for the same ones."""
        done: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        workers: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        teams: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        cells: dict[str, list[int]] = defaultdict(lambda: [0] * 7)
        children: dict[str, list[Area]] = defaultdict(list)
        for code, (good, base) in disposals.items():
            for area in ancestors(code):
                done[area][0] += good
                done[area][1] += base
        for (code, kind), people in directory.workers.items():
            for area in ancestors(code):
                workers[area][kind] += people
        for team in directory.teams.values():
            for area in ancestors(team.area_code):
                teams[area][0] += team.state == "available" and team.load < team.capacity
                teams[area][1] += 1
        if before is not None:
            return cls(at, dict(done), _plain(workers), dict(teams), before.cells, before.children)
        for each in directory.areas.values():
            above = each.code
            while (up := parent_of(above)) is not None:
                cells[up][each.level] += 1
                above = up
            if each.parent is not None:
                children[each.parent].append(each)
        return cls(at, dict(done), _plain(workers), dict(teams), dict(cells), dict(children))


def _plain(nested: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    return {key: dict(value) for key, value in nested.items()}


def tiles(picture: Picture, minute: Minute, code: str, lang: str, demo: bool) -> dict[str, bytes]:
    """Encode every tile of one area's wall in one language."""
    teller = _Teller(picture, minute, code, lang, demo)
    return {name: _encode(getattr(teller, name)()) for name in TILES}


TILES = ("head", "six", "rank", "duty", "map", "parts", "reds", "whistles", "raised", "ten", "ticker")


class _Teller:
    """Tell one area's tiles in one language."""

    def __init__(self, picture: Picture, minute: Minute, code: str, lang: str, demo: bool) -> None:
        self.picture, self.minute, self.code, self.lang, self.demo = picture, minute, code, lang, demo
        self.area = picture.directory.areas[code]
        self.level = Level(self.area.level)
        self.counts = picture.counts.get(code) or _zeros()
        self.then = picture.then.get(code) or _zeros()
        self.t = translator(lang)

    def name(self, code: str) -> str:
        area = self.picture.directory.areas.get(code)
        return code if area is None else pick(self.lang, area.name, area.name_en)

    def shown(self) -> list[Area]:
        """Return the areas that the map fills: a city's towns, else the level below; micro grids of a village."""
        minute = self.minute
        match self.level:
            case Level.CITY:
                counties = minute.children.get(self.code, ())
                return [town for county in counties for town in minute.children.get(county.code, ())]
            case Level.VILLAGE | Level.SMALL:
                own = [a for a in minute.children.get(self.code, ()) if a.level == Level.MICRO]
                small = [a for a in minute.children.get(self.code, ()) if a.level == Level.SMALL]
                own += [m for s in small for m in minute.children.get(s.code, ())]
                return [a for a in own if a.kind != "outbound"]
        return minute.children.get(self.code, [])

    def head(self) -> dict[str, Any]:
        t, cells = self.t, self.minute.cells.get(self.code) or [0] * 7
        unit = {
            Level.CITY: t("{place} City Brain"),
            Level.COUNTY: t("{place} County Brain"),
            Level.TOWN: t("{place} Town Brain"),
            Level.VILLAGE: t("{place} Village Brain"),
        }.get(self.level, "{place}")
        words = {
            Level.COUNTY: t("counties"), Level.TOWN: t("towns"), Level.VILLAGE: t("villages"),
            Level.SMALL: t("small grids"), Level.MICRO: t("micro grids"),
        }  # fmt: skip
        below = [level for level in words if level > max(self.level, Level.COUNTY) and cells[level]]
        map_level = {Level.CITY: 3, Level.COUNTY: 3, Level.TOWN: 4}.get(self.level, 6)
        return {
            "code": self.code,
            "level": int(self.level),
            "unit": unit.format(place=self.name(self.code)),
            "crumbs": [[each, self.name(each)] for each in reversed(ancestors(self.code)[1:])],
            "cells": [[cells[level], words[level]] for level in below],
            "demo": self.demo,
            "schematic": self.picture.directory.schematic,
            "map_level": map_level,
            "by": words.get(Level(map_level), ""),
            "shown": [[a.code, self.short(a), a.lon, a.lat] for a in self.shown()],
            "outlines": [[self.name(a.code), a.lon, a.lat] for a in self.parts_of()]
            if self.level is Level.CITY
            else [],
            "parts": self.t("Counties and districts")
            if self.level is Level.CITY
            else self.t("Where most is overdue"),
            "periods": {"live": LIVE_PERIOD_MS, "minute": MINUTE_PERIOD_MS},
        }

    def short(self, area: Area) -> str:
        """Return a name as it is said inside this area: without its parent's name, in English without its rank."""
        name = pick(self.lang, area.name, area.name_en)
        if self.lang != "zh":
            return name.rpartition(" ")[0] or name if area.level in (Level.COUNTY, Level.TOWN) else name
        above = self.area.name
        if len(name) > len(above) and name.startswith(above):
            name = name[len(above) :]
        return name.translate(_PLAIN_CELL).replace("微网格", "") if area.level == Level.MICRO else name

    def six(self) -> dict[str, Any]:
        return {"now": self.counts[: PLEASED + 1], "then": self.then[: PLEASED + 1]}

    def rank(self) -> dict[str, Any]:
        if self.level is Level.CITY:
            ranked = self.shown()
        else:
            ranked = [a for a in self.minute.children.get(self.code, ()) if a.kind != "outbound"]
        rows = []
        for area in ranked:
            good, base = self.minute.disposals.get(area.code, (0, 0))
            if base >= RANK_BASE:
                rows.append((-good / base, -base, area, good, base))
        rows.sort(key=lambda row: (row[0], row[1], row[2].code))
        told = [
            [place + 1, area.code, self.short(area), good, base]
            for place, (_, _, area, good, base) in enumerate(rows)
        ]
        cut = told if len(told) <= 2 * RANK_ROWS else [*told[:RANK_ROWS], *told[-RANK_ROWS:]]
        levels = {a.level for a in ranked}
        who = {Level.TOWN: self.t("Towns"), Level.VILLAGE: self.t("Villages")}.get(
            Level(min(levels)) if levels else Level.TOWN, self.t("Grids")
        )
        return {"at": _ms(self.minute.at), "rows": cut, "all": len(told), "who": who}

    def duty(self) -> dict[str, Any]:
        workers = self.minute.workers.get(self.code, {})
        ready, teams = self.minute.teams.get(self.code) or (0, 0)
        kinds = [workers.get(kind, 0) for kind in ("full_time", "part_time", "professional")]
        return {"at": _ms(self.minute.at), "teams": [ready, teams], "workers": kinds}

    def map(self) -> list[list[int]]:
        counts = self.picture.counts
        return [[c[RED], c[OPEN]] if (c := counts.get(a.code)) else [0, 0] for a in self.shown()]

    def parts(self) -> list[list[Any]]:
        counts = self.picture.counts
        return [
            [
                a.code,
                self.short(a),
                *((c[RED], c[YELLOW], c[OPEN]) if (c := counts.get(a.code)) else (0, 0, 0)),
            ]
            for a in self.parts_of()
        ]

    def parts_of(self) -> list[Area]:
        """Return the areas of the tile below the map: a city's counties; else those below with most overdue."""
        if self.level is Level.CITY:
            return self.minute.children.get(self.code, [])
        counts = self.picture.counts
        below = self.shown()

        def worst(area: Area) -> tuple[int, int, int, str]:
            c = counts.get(area.code)
            return (-c[RED], -c[YELLOW], -c[OPEN], area.code) if c else (0, 0, 0, area.code)

        return heapq.nsmallest(5, below, key=worst)

    def reds(self) -> dict[str, Any]:
        rows = [
            self.line(row) | {"light": light, "due": _ms(_limit_of(row)), "next": self.next_up(row)}
            for row, light in self.picture.reds(self.code)
        ]
        return {"red": self.counts[RED], "yellow": self.counts[YELLOW], "rows": rows}

    def next_up(self, row: LiveRow) -> list[int | None] | None:
        """Return when and to which level (2 county, 1 city) an incident goes up next if nothing happens."""
        up = next_step(row.severity, row.level, _limit_of(row))
        return None if up is None else [_ms(up[0]), up[1]]

    def whistles(self) -> dict[str, Any]:
        rows = []
        for row, part in self.picture.whistles(self.code):
            answer, arrive = part.clocks.get("pick_up"), part.clocks.get("arrive")
            rows.append(
                self.line(row)
                | {
                    "sent": _ms(part.sent_at),
                    "answer": _ms(answer.due) if answer is not None and answer.awaited else None,
                    "arrive": _ms(arrive.due) if arrive is not None else None,
                    "to": self.team(part.team_id),
                }
            )
        return {"all": self.counts[WHISTLES], "over": self.counts[WHISTLES_OVER], "rows": rows}

    def raised(self) -> dict[str, Any]:
        rows = []
        for row, each in self.picture.raised(self.code):
            to = {1: self.t("Raised to the city"), 2: self.t("Raised to the county")}.get(each.level or 0)
            what = self.t("Supervised") if each.verb == "supervise" else to or self.t("Raised")
            rows.append(self.line(row) | {"at": _ms(each.at), "what": what})
        return {"escalated": self.counts[ESCALATED], "supervised": self.counts[SUPERVISED], "rows": rows}

    def ten(self) -> list[list[Any]]:
        themes = self.picture.directory.themes
        return [
            [
                themes[theme][0 if self.lang == "zh" else 1] if theme in themes else theme,
                self.counts[THEME_REPORTED + n],
                self.then[THEME_REPORTED + n],
                self.counts[THEME_RED + n],
                self.counts[THEME_YELLOW + n],
            ]
            for n, theme in enumerate(THEMES)
        ]

    def ticker(self) -> list[dict[str, Any]]:
        return [
            self.line(row) | {"at": _ms(row.last_at), "what": self.happened(row)}
            for row in self.picture.happenings(self.code)
        ]

    def line(self, row: LiveRow) -> dict[str, Any]:
        """Return what every list says of an incident: which, what, where, whose step and in whose hands."""
        codes = ancestors(row.area_code)
        place = [c for c in codes if level_of(c) in (Level.TOWN, Level.VILLAGE)]
        if self.level >= Level.TOWN:
            place = [c for c in place if level_of(c) > self.level] or place[:1]
        kind = self.picture.directory.types.get(row.category)
        point = self.picture.directory.areas.get(row.area_code)
        if point is None or point.lon is None:
            point = self.picture.directory.areas.get(codes[0][:12])
        lon, lat = (row.lon, row.lat) if row.lon is not None else (point and point.lon, point and point.lat)
        raised = min(row.level, 3) if row.level < level_of(centre_of(row.area_code)) else 0
        return {
            "id": str(row.id),
            "sev": row.severity,
            "type": _brief(self.lang, kind.name, kind.name_en) if kind is not None else row.category,
            "place": [self.name(c) for c in reversed(place)],
            "step": clock_name(row.awaits, self.lang) if row.awaits else "",
            "holder": self.holder(row.holder),
            "up": raised,
            "area": row.area_code,
            "lon": lon,
            "lat": lat,
        }

    def holder(self, holder: str) -> str:
        kind, _, key = holder.partition("/")
        if kind == "team":
            return self.team(int(key))
        return self.t("{place} command centre").format(place=self.name(key))

    def team(self, team_id: int) -> str:
        team = self.picture.directory.teams.get(team_id)
        return f"{team_id}" if team is None else pick(self.lang, team.name, team.name_en)

    def happened(self, row: LiveRow) -> str:
        step = STEPS.get(row.last_verb)
        state = STATES[row.state][0 if self.lang == "zh" else 1]
        if row.state in ENDED and row.last_verb != "rate":
            return state
        if row.last_verb == "rate":
            pleased = (row.rating or 0) >= SATISFIED
            return self.t("rated: satisfied") if pleased else self.t("rated: not satisfied")
        if row.last_verb == "report" or step is None:
            return self.t("reported, {state}").format(state=state)
        verb = step.zh if self.lang == "zh" else step.en
        return self.t("{verb} done, {state}").format(verb=verb, state=state)


def _brief(lang: str, zh: str, en: str) -> str:
    """Return the short name of an event type: without brackets, and a long one only up to its first stop."""
    name = pick(lang, zh, en)
    for bracket in ("(", "（"):
        name = name.partition(bracket)[0].strip()
    if lang == "zh" and len(name) > BRIEF:
        for stop in ("、", "/"):
            first = name.partition(stop)[0]
            name = first if len(first) > BRIEF // 2 - 1 else name
    return name


# ---- From the tiles to the clients -----------------------------------------------------------------------------


class Client:
    """One open stream. `slot` is the next message, at most one; what does not fit becomes a full picture later."""

    __slots__ = ("behind", "closed", "key", "slot", "wake")

    def __init__(self, key: str | None) -> None:
        self.key = key
        self.slot: bytes | None = None
        self.behind = True  # begins with a full picture
        self.closed = False
        self.wake = asyncio.Event()
        self.wake.set()

    def offer(self, message: bytes, beat: bytes) -> None:
        """Put a message into the slot; where one still waits, the client gets a full picture instead."""
        if self.slot is None or self.slot is beat:
            self.slot = message
        else:
            self.slot, self.behind = None, True
        self.wake.set()

    def close(self) -> None:
        """End the stream at its next turn."""
        self.closed = True
        self.wake.set()


class _Channel:
    """Everybody who looks at one area in one language: its tiles as last sent, and the number of that tick."""

    __slots__ = ("area", "clients", "full", "lang", "pushed", "tick", "tiles", "waits")

    def __init__(self, area: str, lang: str) -> None:
        self.area, self.lang = area, lang
        self.clients: set[Client] = set()
        self.tiles: dict[str, bytes] = {}
        self.full: bytes | None = None
        self.tick = 0
        self.pushed = 0.0
        self.waits = False


class Live:
    """Keep the picture fresh and push it; one for each web process, inside its event loop."""

    def __init__(self, reads: Reads, redis_url: str | None, demo: bool) -> None:
        self._reads, self._redis_url, self._demo = reads, redis_url, demo
        self._picture: Picture | None = None
        self._minute: Minute | None = None
        self._channels: dict[tuple[str, str], _Channel] = {}
        self._nudge = asyncio.Event()
        self._epoch = int(time.time())
        self._beat = b""
        self._as_of = datetime.now(UTC)
        self._ready = asyncio.Event()
        self.pushes = 0
        self.bytes_sent = 0

    @property
    def picture(self) -> Picture | None:
        """Return the picture, or None before the first look."""
        return self._picture

    @property
    def clients(self) -> int:
        """Return how many streams are open."""
        return sum(len(channel.clients) for channel in self._channels.values())

    @property
    def age_s(self) -> float:
        """Return how many seconds ago the picture was last known to be true."""
        return (datetime.now(UTC) - self._as_of).total_seconds()

    def knows(self, area: str) -> bool:
        """Tell whether there is such an area."""
        return self._picture is not None and area in self._picture.directory.areas

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the picture while inside; it starts by itself as soon as the database answers."""
        tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._beats())]
        if self._redis_url:
            tasks.append(asyncio.create_task(self._listen(self._redis_url)))
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ready.wait(), 10)
        try:
            yield
        finally:
            for channel in self._channels.values():
                for client in channel.clients:
                    client.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def stream(self, area: str, lang: str, client: Client) -> AsyncIterator[bytes]:
        """Yield the messages for one client until it is closed: a full picture first, then what changes."""
        channel = self._channels.get((area, lang))
        if channel is None:
            if len(self._channels) >= CHANNELS_LIMIT:
                self._forget_empty()
            channel = self._channels[area, lang] = _Channel(area, lang)
        channel.clients.add(client)
        try:
            yield b"retry: 2000\n\n"
            while not client.closed:
                await client.wake.wait()
                client.wake.clear()
                if client.closed:
                    break
                message, client.slot = client.slot, None
                if client.behind:
                    full = self._full(channel)
                    if full is not None:
                        client.behind = False
                        yield full
                elif message is not None:
                    yield message
        finally:
            channel.clients.discard(client)
            if not channel.clients:
                # Nobody looks: nothing is computed for this area until somebody does.
                self._channels.pop((area, lang), None)

    async def check_keys(self) -> None:
        """Close streams whose key has been revoked."""
        keyed = [c for channel in self._channels.values() for c in channel.clients if c.key is not None]
        if keyed:
            valid = await asyncio.to_thread(self._reads.wall_keys)
            for client in keyed:
                if client.key not in valid:
                    client.close()

    async def _follow(self) -> None:
        """Gather, fold, push; after a fault wait a little longer each time and begin with a whole new picture.

        Meanwhile the old picture stays, and its age tells every browser that it is old.
        """
        pause_s = RETRY_FIRST_S
        said, said_at = "", 0.0
        while True:
            try:
                await self._renew()
                pause_s = RETRY_FIRST_S
                said = ""
                await self._go_on()
                continue
            except Exception as fault:
                # Whatever it is, walls must come back by themselves once it is mended.
                expected = isinstance(fault, (psycopg.Error, OSError, LookupError, ValueError))
                reason = str(fault).partition("\n")[0]
                # The same again and again tells nobody more: once, and then once a minute.
                if reason != said or time.monotonic() - said_at > SAY_AGAIN_S:
                    said, said_at = reason, time.monotonic()
                    log.warning("the live picture stands still: %s", reason, exc_info=not expected)
            await asyncio.sleep(pause_s)
            # Before the first picture the city is only being loaded: looking often costs little and saves seconds.
            pause_s = RETRY_FIRST_S if self._picture is None else min(pause_s * 2, RETRY_LONGEST_S)

    async def _renew(self) -> None:
        """Read everything anew and send it to everybody."""
        now = datetime.now(UTC)

        def gather() -> tuple[Picture, Minute]:
            directory = self._reads.directory()
            picture = Picture(directory, self._reads.snapshot(midnight(now)), now)
            return picture, self._look_around(directory, now, None)

        picture, minute = await asyncio.to_thread(gather)
        self._picture, self._minute = picture, minute
        picture.take_dirty()
        self._as_of = datetime.now(UTC)
        for channel in self._channels.values():
            channel.full = None
            channel.tiles = {}
            for client in channel.clients:
                client.slot, client.behind = None, True
                client.wake.set()
        self._ready.set()

    async def _go_on(self) -> None:
        """Follow the city until its day ends or too much happened at once."""
        picture = self._picture
        assert picture is not None
        next_minute = time.monotonic() + DIRECTORY_EVERY_S
        while True:
            begun = time.monotonic()
            changes = await asyncio.to_thread(self._reads.changes, picture.cursor)
            now = datetime.now(UTC)
            if changes is None or midnight(now) != picture.midnight:
                return
            self._fold(changes)
            picture.advance(now)
            self._as_of = now
            if time.monotonic() >= next_minute:
                await self._every_minute(now)
                next_minute = time.monotonic() + DIRECTORY_EVERY_S
            late = self._push()
            spent = time.monotonic() - begun
            if spent < GATHER_EVERY_S:
                await asyncio.sleep(GATHER_EVERY_S - spent)
            if not late:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._nudge.wait(), LOOK_EVERY_S - GATHER_EVERY_S)
            self._nudge.clear()

    def _fold(self, changes: Changes) -> None:
        picture = self._picture
        assert picture is not None
        for row in changes.rows:
            picture.fold(row)
            # A history, a replay: the day that today is held against may have changed.
            picture.past_written |= row.last_at < picture.midnight
        for each in changes.raised:
            picture.raise_(each)
        picture.cursor = changes.cursor

    async def _every_minute(self, now: datetime) -> None:
        picture = self._picture
        assert picture is not None

        def gather() -> tuple[Directory, Minute, list[PastRow] | None]:
            directory = self._reads.directory(picture.directory.areas)
            past = self._reads.past(picture.midnight) if picture.past_written else None
            return directory, self._look_around(directory, now, self._minute), past

        picture.directory, self._minute, past = await asyncio.to_thread(gather)
        if past is not None:
            picture.look_back(past)
            picture.advance(now)
        picture.dirty.update(channel.area for channel in self._channels.values())
        await self.check_keys()

    def _look_around(self, directory: Directory, now: datetime, before: Minute | None) -> Minute:
        month = midnight(now).astimezone(ZONE).replace(day=1).astimezone(UTC)
        return Minute.of(directory, self._reads.disposals(month), now, before)

    def _push(self) -> bool:
        """Send what changed to every area that is looked at; tell whether some area must wait for its turn."""
        picture = self._picture
        assert picture is not None
        dirty = picture.take_dirty()
        now = time.monotonic()
        late = False
        for channel in self._channels.values():
            if not channel.tiles or not (channel.waits or channel.area in dirty):
                continue
            if now - channel.pushed < PUSH_EVERY_S - 0.01:
                channel.waits = late = True
                continue
            channel.waits = False
            fresh = self._tiles(channel)
            changed = [(name, body) for name, body in fresh.items() if channel.tiles.get(name) != body]
            if not changed:
                continue
            channel.tiles = fresh
            channel.full = None
            channel.tick += 1
            channel.pushed = now
            message = self._message(channel, _joined(changed))
            self.pushes += 1
            self.bytes_sent += len(message) * len(channel.clients)
            for client in channel.clients:
                client.offer(message, self._beat)
        return late

    def _tiles(self, channel: _Channel) -> dict[str, bytes]:
        assert self._picture is not None
        assert self._minute is not None
        return tiles(self._picture, self._minute, channel.area, channel.lang, self._demo)

    def _full(self, channel: _Channel) -> bytes | None:
        if self._picture is None or not self.knows(channel.area):
            return None
        if channel.full is None:
            if not channel.tiles:
                channel.tiles = self._tiles(channel)
            channel.full = _joined(channel.tiles.items())
        return self._message(channel, channel.full, b'"full":true,')

    def _message(self, channel: _Channel, told: bytes, kind: bytes = b"") -> bytes:
        return b'id: %d-%d\ndata: {%s"n":%d,%s,"tiles":{%s}}\n\n' % (
            self._epoch, channel.tick, kind, channel.tick, self._times(), told,
        )  # fmt: skip

    def _times(self) -> bytes:
        return b'"now":%d,"at":%d' % (round(time.time() * 1000), round(self._as_of.timestamp() * 1000))

    async def _beats(self) -> None:
        """Tell every client the data's time, a part of them at each turn so that nobody waits behind all others."""
        turns = round(BEAT_EVERY_S / PUSH_EVERY_S)
        for turn in count():
            await asyncio.sleep(PUSH_EVERY_S)
            self._beat = b"data: {%s}\n\n" % self._times()
            for number, channel in enumerate(list(self._channels.values())):
                # A crowd on one area is split as well.
                for place, client in enumerate(channel.clients):
                    if (number + place + turn) % turns == 0 and client.slot is None and not client.behind:
                        client.slot = self._beat
                        client.wake.set()

    async def _listen(self, url: str) -> None:
        """Hear the stream's nudges; without them the picture looks by itself once a second."""
        pause_s = RETRY_FIRST_S
        while True:
            client = redis.asyncio.Redis.from_url(url)
            try:
                async with client.pubsub() as heard:
                    await heard.subscribe(CHANNEL)
                    async for _ in heard.listen():
                        pause_s = RETRY_FIRST_S
                        self._nudge.set()
            except (RedisError, OSError) as fault:
                log.warning("no nudges from the stream: %s", fault)
            finally:
                with suppress(RedisError, OSError):
                    await client.aclose()
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, RETRY_LONGEST_S)

    def _forget_empty(self) -> None:
        for key in [key for key, channel in self._channels.items() if not channel.clients]:
            del self._channels[key]


def _joined(parts: Iterable[tuple[str, bytes]]) -> bytes:
    return b",".join(b'"%s":%s' % (name.encode(), body) for name, body in parts)
