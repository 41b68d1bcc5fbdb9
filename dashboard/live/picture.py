"""The city as it is now, in memory: counters of every area and what its lists show, folded from rows."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dashboard.data import Directory, InForce, LiveRow, Part, PastRow, Raised, Snapshot
from dispatch.rules.areas import ancestors, centre_of, prefix_of
from dispatch.rules.measures import cases
from dispatch.rules.policy.escalation import Rise, goes_up, silent_since
from dispatch.rules.time import clocks
from dispatch.rules.time.calendar import Calendar
from dispatch.rules.time.clocks import Clock

RED_ROWS, WHISTLE_ROWS, RAISED_ROWS, HAPPENINGS = 5, 4, 2, 3
SATISFIED = 4  # of 5

# What is counted for each area: positions in one flat list, so that folding is adding.
(
    OPEN, RED, YELLOW, REPORTED, CLOSED, DISPOSED, ON_TIME, MEDIATED, SETTLED, RATED, PLEASED, ESCALATED, SUPERVISED,
    WHISTLES, WHISTLES_OVER,
) = range(15)  # fmt: skip
THEME_REPORTED, THEME_RED, THEME_YELLOW = 15, 25, 35
SIZE = 45


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
        self.midnight = directory.calendar.midnight(now)
        self.cursor = snapshot.cursor
        self.wartime = snapshot.wartime
        self.now = now
        self.counts: dict[str, list[int]] = defaultdict(zeros)
        self.then: dict[str, list[int]] = defaultdict(zeros)
        self.dirty: set[str] = set()
        self._touched: set[int] = set()
        self._kept: dict[int, _Kept] = {}
        self._open: dict[str, set[int]] = defaultdict(set)  # by the town whose centre receives them
        self._hot: dict[str, set[int]] = defaultdict(set)
        self._whistles: dict[str, set[int]] = defaultdict(set)
        self._newest: dict[str, list[tuple[datetime, int]]] = defaultdict(list)
        self._raised: dict[tuple[int, int], Raised] = {}
        self._raised_in: dict[str, list[tuple[datetime, int, int]]] = defaultdict(list)
        self._turns: list[tuple[datetime, int]] = []
        self._past: list[tuple[datetime, str, tuple[int, ...], int]] = []
        self._past_at = 0
        self.past_known = False
        self.past_written = (
            True  # what happened before today was written since it was read, or never was read
        )
        for row in snapshot.rows:
            self.fold(row)
        for each in snapshot.raised:
            self.raise_(each)
        self.advance(now)

    def look_back(self, past: Sequence[PastRow]) -> None:
        """Begin last week's same day anew, as it is known now; the next `advance` takes it to this hour."""
        self.then = defaultdict(zeros)
        self._past = sorted(_past_steps(past, self.midnight, self.directory), key=lambda step: step[0])
        self._past_at = 0
        self.past_known, self.past_written = True, False

    def fold(self, row: LiveRow) -> None:
        """Let a row take the place of what its incident added before."""
        self._drop(row.id)
        self._touched.add(row.id)
        marks, light, whistle, turn = self._read(row)
        if not marks and row.ended_at is not None and row.last_at < self.midnight:
            return
        chain = ancestors(row.area_code)
        self._kept[row.id] = _Kept(row, chain, marks, light, whistle)
        if row.ended_at is None:
            self._open[centre_of(row.area_code)].add(row.id)
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

    def declare(self, wartime: tuple[InForce, ...]) -> None:
        """Take the stretches of wartime as they are in force now; whoever sees their areas hears of it."""
        for each in set(self.wartime) ^ set(wartime):
            inside = prefix_of(each.area_code)
            self.dirty.update(area for area in self.directory.areas if area.startswith(inside))
            self.dirty.update(ancestors(each.area_code))
        self.wartime = wartime

    def wartime_of(self, area: str) -> InForce | None:
        """Return the gravest stretch of wartime that an area lies in or holds, or None in peace."""
        inside = prefix_of(area)
        touching = (
            each
            for each in self.wartime
            if each.area_code.startswith(inside) or area.startswith(prefix_of(each.area_code))
        )
        return min(touching, key=lambda each: (each.level, each.area_code), default=None)

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

    def take_touched(self) -> set[int]:
        """Return the ids of incidents that were folded since the last call."""
        touched, self._touched = self._touched, set()
        return touched

    def row(self, incident_id: int) -> LiveRow | None:
        """Return an incident's row, or None where it is not kept: one that ended before today."""
        kept = self._kept.get(incident_id)
        return None if kept is None else kept.row

    def open_in(self, area: str) -> list[LiveRow]:
        """Return the rows of every open incident inside an area, in no order."""
        inside = prefix_of(area)
        near = [ids for code, ids in self._open.items() if code.startswith(inside) or inside.startswith(code)]
        rows = [self._kept[each].row for ids in near for each in ids]
        return [row for row in rows if row.area_code.startswith(inside)]

    def hot(self, area: str) -> list[LiveRow]:
        """Return every open incident of an area that is red or yellow, in no order."""
        return [self._kept[each].row for each in self._hot.get(area, ())]

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

    def goes_up(self, row: LiveRow) -> Rise | None:
        """Return when and to which level an open incident goes up if nothing happens, by the ladder in force."""
        silent, unreported = (
            None if passed is None else silent_since(passed, row.handed_down_at)
            for passed in (limit_of(row), _unreported_from(row))
        )
        return goes_up(row.severity, row.level, silent, unreported, self.directory.ladder)

    def _drop(self, incident_id: int) -> None:
        kept = self._kept.pop(incident_id, None)
        if kept is None:
            return
        self._open[centre_of(kept.row.area_code)].discard(incident_id)
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
            whistle = unanswered(row)
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
            marks.extend(_ending(row.state, row.settled, kind is not None and kind.theme == cases.DISPUTES))
        if row.rating is not None and row.last_verb == "rate" and row.last_at >= today:
            marks.append(RATED)
            if row.rating >= SATISFIED:
                marks.append(PLEASED)
        return tuple(marks), light, whistle, turn


def light_of(row: LiveRow, now: datetime, calendar: Calendar) -> tuple[str, datetime | None]:
    """Return an open incident's light and when it next changes by itself."""
    return clocks.light_of(row.overdue_since, row.due_at, _awaited(row), now, calendar)


def _awaited(row: LiveRow) -> Clock | None:
    if row.awaits is None:
        return None
    if row.awaits in row.clocks:
        return row.clocks[row.awaits]
    for part in row.parts:
        if part.role == "lead" and part.state != "review" and row.awaits in part.clocks:
            return part.clocks[row.awaits]
    return None


def unanswered(row: LiveRow) -> Part | None:
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
    return (1, 0, limit_of(row) or now, row.id)


def limit_of(row: LiveRow) -> datetime | None:
    """Return the limit that a row of the list counts to or from."""
    if row.overdue_since is not None:
        return row.overdue_since
    clock = _awaited(row)
    due = clock.due if clock is not None else None
    if row.due_at is None or due is None:
        return row.due_at or due
    return min(row.due_at, due)


def _unreported_from(row: LiveRow) -> datetime | None:
    """Return the first report-in of a live whistle that is awaited, passed or still to come, or None."""
    dues = [
        arrive.due
        for part in row.parts
        if part.kind == "whistle" and part.state in ("sent", "picked_up")
        if (arrive := part.clocks.get("arrive")) is not None and arrive.awaited and arrive.due is not None
    ]
    return min(dues, default=None)


def _ending(state: str, settled: bool, dispute: bool) -> Iterable[int]:
    if state not in cases.CLOSED:
        return
    yield CLOSED
    if dispute:
        yield MEDIATED
        if settled:
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
            marks = tuple(_ending(row.state, row.settled, kind is not None and kind.theme == cases.DISPUTES))
            yield row.ended_at, area, marks, 1
        if row.rated_at is not None and inside(row.rated_at) and row.rating is not None:
            yield row.rated_at, area, (RATED, PLEASED) if row.rating >= SATISFIED else (RATED,), 1


def zeros() -> list[int]:
    """Return counters of an area where nothing has happened."""
    return [0] * SIZE
