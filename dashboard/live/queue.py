"""What a command desk's queue shows: every open incident of an area, kept fresh row by row and sent as it changes."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from datetime import datetime

import msgspec

from dashboard.data import Directory, LiveRow
from dashboard.live.messages import Burst, QueueRow
from dashboard.live.picture import Picture, unanswered
from dashboard.wording import names as naming
from dashboard.wording.catalogue import clock_name, pick, shorter, translator
from dispatch.intake.messages import show_number
from dispatch.rules.areas import Level, ancestors, level_of, prefix_of
from dispatch.rules.incident.chain import STATES
from dispatch.rules.policy import bursts
from dispatch.rules.time.clocks import Clock, was_late, yellow_from
from dispatch.rules.words import say

# Of one desk; of more, those whose limits come first. Writing one row takes 0.14 ms.
ROWS_LIMIT = 3_000
# What a row waits for, in the order in which the queue's filters stand. `in_hand` waits for a team, not for the desk.
STAGES = ("accept", "dispatch", "returned", "pick_up", "whistle", "approve", "check", "close", "in_hand")
_BY_STATE = {
    "reported": "accept", "checking": "accept", "accepted": "dispatch", "dispatched": "pick_up", "in_hand": "in_hand",
    "disposed": "check", "verified": "close",
}  # fmt: skip

_encode = msgspec.json.Encoder().encode


def stage_of(row: LiveRow) -> str:
    """Return what an open incident waits for, one of `STAGES`.

    What needs somebody's yes goes first, then a whistle that nobody has reported in for.
    """
    if row.asks or any(part.state == "review" for part in row.parts):
        return "approve"
    if unanswered(row) is not None:
        return "whistle"
    if row.state == "accepted" and row.returns:
        return "returned"
    return _BY_STATE[row.state]


def next_clock(row: LiveRow) -> tuple[str, Clock] | None:
    """Return the clock whose limit comes, or came, first among all that are awaited, and what it waits for.

    A whistle's own clocks are named by themselves: `review`, `answer`, `report_in`. Paused clocks have no limit.
    """
    found = [(kind, clock) for kind, clock in row.clocks.items()]
    for part in row.parts:
        for kind, clock in part.clocks.items():
            name = kind
            if part.state == "review":
                name = "review"
            elif part.kind == "whistle":
                name = {"pick_up": "answer", "arrive": "report_in"}.get(kind, kind)
            found.append((name, clock))
    running = [(clock.due, kind, clock) for kind, clock in found if clock.awaited and clock.due is not None]
    if not running:
        return None
    _, kind, clock = min(running, key=lambda each: (each[0], each[1]))
    return kind, clock


def clock_words(kind: str, lang: str) -> str:
    """Return what a clock of `next_clock` waits for, as a noun."""
    _ = translator(lang)
    own = {"review": _("whistle review"), "answer": _("whistle answer"), "report_in": _("report-in")}
    return own.get(kind) or clock_name(kind, lang)


def told_row(row: LiveRow, directory: Directory, lang: str) -> QueueRow:
    """Return one row of the queue in words; instants in ms since 1970."""
    kind = directory.types.get(row.category)
    codes = [c for c in ancestors(row.area_code) if level_of(c) in (Level.VILLAGE, Level.TOWN)]
    clock = next_clock(row) if row.ended_at is None else None
    name = pick(lang, kind.name, kind.name_en) if kind is not None else row.category
    return QueueRow(
        id=str(row.id),
        seq=row.seq,
        no=show_number(row.number),
        sev=row.severity,
        type=name,
        short=shorter(lang, name),
        place=naming.area(directory, codes[0], lang)
        if codes
        else naming.area(directory, row.area_code, lang),
        town=naming.area(directory, codes[-1], lang) if codes else "",
        at=row.address,
        stage=stage_of(row) if row.ended_at is None else "",
        state=say(STATES[row.state], lang),
        holder=naming.holder(directory, row.holder, lang) if row.holder.startswith("team/") else "",
        clock=clock_words(clock[0], lang) if clock is not None else "",
        due=_ms(clock[1].due) if clock is not None else None,
        near=_ms(yellow_from(clock[1], directory.calendar)) if clock is not None else None,
        left=_left(row),
        paused=row.paused_why or "",
        up=row.level < 3,
        verb=naming.verb(row.last_verb, lang),
        by=naming.actor(directory, row.last_actor, lang),
        who=row.last_actor,
        when=round(row.last_at.timestamp() * 1000),
        since=round(row.reported_at.timestamp() * 1000),
    )


def overdue(picture: Picture, area: str) -> int:
    """Return how many rows of an area's queue stand under "overdue" now: those whose next limit is passed."""
    found = 0
    for row in picture.hot(area):
        clock = next_clock(row) if row.paused_why is None else None
        found += clock is not None and was_late(clock[1], picture.now)
    return found


class DeskLine:
    """The queue of one area in one language, as last sent: row by row, each encoded once for all who look."""

    def __init__(self, area: str, lang: str) -> None:
        self.area, self.lang = area, lang
        self.rows: dict[int, bytes] = {}
        self.all = 0
        self._standing: dict[int, bursts.Standing] = {}
        self._bursts = b"[]"

    def renew(self, picture: Picture) -> bytes:
        """Read the area anew and return the whole queue as the members of a JSON object."""
        rows = picture.open_in(self.area)
        self.all = len(rows)
        if len(rows) > ROWS_LIMIT:
            rows = heapq.nsmallest(ROWS_LIMIT, rows, key=lambda row: _urgency(row, picture.now))
        self.rows = {row.id: _encode(told_row(row, picture.directory, self.lang)) for row in rows}
        self._standing = {row.id: _standing(row, picture.directory) for row in rows}
        self._bursts = self._found(picture.directory)
        return self.whole()

    def changed(self, picture: Picture, ids: Iterable[int]) -> bytes | None:
        """Return what incidents changed since they were last sent, or None where nothing of this area did.

        One that has ended is sent once more, with who ended it, and forgotten.
        """
        inside = prefix_of(self.area)
        fresh: list[bytes] = []
        before = self._standing
        self._standing = dict(before)
        for one in ids:
            row = picture.row(one)
            if row is None or not row.area_code.startswith(inside):
                continue
            if row.ended_at is not None:
                if self.rows.pop(one, None) is not None:
                    self.all -= 1
                    self._standing.pop(one, None)
                    fresh.append(_encode(told_row(row, picture.directory, self.lang)))
                continue
            body = _encode(told_row(row, picture.directory, self.lang))
            known = self.rows.get(one)
            if body == known:
                continue
            if known is None:
                self.all += 1
                if len(self.rows) >= 2 * ROWS_LIMIT:
                    continue
            self.rows[one] = body
            self._standing[one] = _standing(row, picture.directory)
            fresh.append(body)
        if not fresh:
            return None
        told_rows = b'"all":%d,"rows":[%s]' % (self.all, b",".join(fresh))
        if self._standing == before:
            return told_rows
        known, self._bursts = self._bursts, self._found(picture.directory)
        return told_rows if self._bursts == known else told_rows + b',"bursts":' + self._bursts

    def whole(self) -> bytes:
        """Return the queue as last sent."""
        return b'"all":%d,"rows":[%s],"bursts":%s' % (self.all, b",".join(self.rows.values()), self._bursts)

    def _found(self, directory: Directory) -> bytes:
        """Return the bursts among the rows: each with its name in words and the ids of its cases."""
        policy = directory.bursts
        names = {} if policy is None else {cause.slug: cause for cause in policy.causes.values()}
        told_bursts = []
        for each in bursts.found(self._standing.values(), policy):
            named = names.get(each.cause) or directory.types.get(each.cause)
            told_bursts.append(
                Burst(
                    key=f"{each.cause}/{each.ids[0]}",
                    name=each.cause if named is None else pick(self.lang, named.name, named.name_en),
                    ids=list(map(str, each.ids)),
                )
            )
        return _encode(told_bursts)


def _standing(row: LiveRow, directory: Directory) -> bursts.Standing:
    """Return a row as the law of bursts looks at it: where it has no point, it stands where its area does."""
    lon, lat = row.lon, row.lat
    if lon is None or lat is None:
        area = directory.areas.get(row.area_code)
        lon, lat = (None, None) if area is None else (area.lon, area.lat)
    return bursts.Standing(row.id, row.category, row.reported_at, lon, lat)


def _urgency(row: LiveRow, now: datetime) -> tuple[datetime, int]:
    return (row.overdue_since or row.due_at or datetime.max.replace(tzinfo=now.tzinfo), row.id)


def _left(row: LiveRow) -> int | None:
    """Return, in ms, what is left of a suspended incident's shortest clock: its place in the queue stands still."""
    if row.paused_why is None:
        return None
    left = [
        clock.left for each in (row.clocks, *(part.clocks for part in row.parts)) for clock in each.values()
        if clock.awaited and clock.left is not None
    ]  # fmt: skip
    return round(min(left) * 1000) if left else None


def _ms(at: datetime | None) -> int | None:
    return None if at is None else round(at.timestamp() * 1000)
