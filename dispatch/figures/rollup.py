"""Keep the hourly roll-up in step with the events, and build it anew from them: the same numbers either way.

What an incident adds is a pure function of its fold. Following means: take off what it added before the new
events, put on what it adds with them. So a late event, a reopening or a rework moves what was counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import psycopg

from dispatch.record import follower
from dispatch.record.follower import STRETCH, Follower
from dispatch.record.histories import IncidentHistory, all_histories, histories, horizon
from dispatch.record.policies import Policies
from dispatch.rules.areas import Level, centre_of, prefix_of
from dispatch.rules.incident.chain import Incident
from dispatch.rules.measures import cases
from dispatch.rules.time import clocks
from models.tables.scores import COUNTS

NAME = "hourly"
REBUILD_INCIDENTS = 20_000  # folded between two writes

Key = tuple[datetime, str, str]  # hour (UTC), area code, theme
Adds = dict[Key, list[int]]

_PLACE = {name: i for i, name in enumerate(COUNTS)}
# Where an area of each level begins in a code, for sums: a town's own code is nine digits.
_LENGTHS = {Level.CITY: 4, Level.COUNTY: 6, Level.TOWN: 9}


def adds(incident: Incident, theme: str) -> Iterator[tuple[datetime, str, int]]:
    """Yield (instant, count, amount) of everything one incident adds, as it stands."""
    yield incident.reported_at, "reported", 1
    if incident.state in cases.REFUSED and incident.ended_at is not None:
        yield incident.ended_at, "rejected", 1
    if incident.state not in cases.UNACCEPTED:
        accept = incident.clocks.get("accept")
        at = accept.ended if accept is not None and accept.ended is not None else incident.reported_at
        yield at, "accepted", 1
        if theme == cases.DISPUTES:
            yield at, "disputes", 1
            if cases.is_settled(incident):
                yield at, "settled", 1
    leads = cases.leads(incident)
    sent = min((p.sent_at for p in leads), default=incident.disposed_at)
    if sent is not None:
        yield sent, "dispatched", 1
        if incident.facts.get("extensions"):
            yield sent, "extended", 1
    declined = [p.ended_at for p in leads if p.state == "declined" and p.ended_at is not None]
    if declined:
        yield min(declined), "returned", 1
    yield from _results(incident)
    yield from _whistles(incident)


def _results(incident: Incident) -> Iterator[tuple[datetime, str, int]]:
    disposed, ended = incident.disposed_at, incident.ended_at
    if disposed is not None:
        yield disposed, "disposed", 1
        if incident.disposed_on_time is not None:
            yield disposed, "disposed_timed", 1
            yield disposed, "disposed_on_time", int(incident.disposed_on_time)
        if incident.facts.get("reworks"):
            yield disposed, "reworked", 1
    elif ended is None:
        late = [c.due for c in cases.disposal_clocks(incident) if clocks.passed(c) and c.due is not None]
        if late:
            yield min(late), "overdue", 1
    if ended is not None and incident.state in cases.CLOSED:
        yield ended, "closed", 1
        if incident.closed_on_time is not None:
            yield ended, "closed_timed", 1
            yield ended, "closed_on_time", int(incident.closed_on_time)
        if cases.is_solved_in_grid(incident):
            yield ended, "in_grid", 1
        if incident.rating is not None:
            yield ended, "rated", 1
            yield ended, "rating_sum", incident.rating


def _whistles(incident: Incident) -> Iterator[tuple[datetime, str, int]]:
    for part in cases.whistles(incident):
        yield part.sent_at, "whistles", 1
        answer = part.clocks.get("pick_up")
        if answer is not None and answer.ended is not None:
            yield part.sent_at, "answered", 1
        if cases.is_on_site_in_time(part):
            yield part.sent_at, "on_site", 1


def follow(connection: psycopg.Connection[Any], events_limit: int | None = None) -> int:
    """Take in the next events in one transaction; return how many, 0 when nothing is left to follow."""
    return follower.follow(connection, FOLLOWER, events_limit)


def _take(cursor: psycopg.Cursor[Any], begin: int, end: int) -> int:
    cursor.execute(
        f"select incident_id, count(*) from event where {STRETCH} group by incident_id order by incident_id",
        {"begin": begin, "end": end},
    )
    touched: dict[int, int] = dict(cursor.fetchall())
    found: Adds = defaultdict(lambda: [0] * len(COUNTS))
    policy = _Themes(cursor.connection)
    for history in histories(cursor, touched, end):
        _put(found, history, policy, begin, -1)
        _put(found, history, policy, None, 1)
    _write(cursor, found)
    return sum(touched.values())


FOLLOWER = Follower(NAME, _take)


def rebuild(connection: psycopg.Connection[Any]) -> int:
    """Count everything anew from all events, in one transaction that keeps followers waiting; return the incidents."""
    with connection.transaction(), connection.cursor() as cursor:
        follower.hold(cursor, NAME)
        end = horizon(cursor)
        cursor.execute("delete from hourly")
        policy = _Themes(connection)
        found: Adds = defaultdict(lambda: [0] * len(COUNTS))
        incidents = 0
        for history in all_histories(connection, end):
            _put(found, history, policy, None, 1)
            incidents += 1
            if incidents % REBUILD_INCIDENTS == 0:
                _write(cursor, found)
                found.clear()
        _write(cursor, found)
        follower.come_to(cursor, NAME, end)
        return incidents


def position(cursor: psycopg.Cursor[Any]) -> int:
    """Return the transaction below which every event has been counted; 0 before the first run."""
    return follower.position_of(cursor, NAME)


def sums(
    cursor: psycopg.Cursor[Any], begin: datetime, end: datetime, level: Level, within: str
) -> dict[str, dict[str, int]]:
    """Return area code -> count -> sum over the hours in [begin, end), by areas of a level inside one area.

    Levels are city, county and town. What lies at an area above the level stands under that area's own code, so
    that the sums of every level are the same.
    """
    if level not in _LENGTHS:
        raise ValueError("the roll-up knows city, county and town")
    columns = ", ".join(f"sum({name})" for name in COUNTS)
    cursor.execute(
        f"select area_code, {columns} from hourly where hour >= %s and hour < %s and area_code like %s"
        " group by area_code",
        (begin, end, prefix_of(within) + "%"),
    )
    found: dict[str, dict[str, int]] = {}
    for code, *counts in cursor.fetchall():
        into = found.setdefault(_above(code, level), dict.fromkeys(COUNTS, 0))
        for name, count in zip(COUNTS, counts, strict=True):
            into[name] += count
    return found


def _above(code: str, level: Level) -> str:
    if level is Level.CITY:
        return code[:4] + "00"
    return code[: _LENGTHS[level]]


class _Themes:
    """Tell the theme of a category by the policy that its incident was opened under."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._policies = Policies(connection.cursor())
        self._known: dict[tuple[int, str], str] = {}

    def of(self, incident: Incident) -> str:
        key = (incident.policy_version, incident.category)
        if key not in self._known:
            kind = self._policies.version(key[0]).types.get(key[1])
            self._known[key] = kind.theme if kind is not None else ""
        return self._known[key]


def _put(found: Adds, history: IncidentHistory, policy: _Themes, below: int | None, sign: int) -> None:
    incident = history.fold(below)
    if incident is None:
        return
    area, theme = centre_of(incident.area_code), policy.of(incident)
    for at, name, amount in adds(incident, theme):
        if amount:
            found[hour_of(at), area, theme][_PLACE[name]] += sign * amount


def hour_of(at: datetime) -> datetime:
    """Return the hour, in UTC, that an instant is counted under."""
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _write(cursor: psycopg.Cursor[Any], found: Mapping[Key, list[int]]) -> None:
    """Add to the hours, in the order of their keys, and drop those that came to nothing."""
    rows = sorted((key, counts) for key, counts in found.items() if any(counts))
    if not rows:
        return
    names = ", ".join(COUNTS)
    more = ", ".join(f"{name} = hourly.{name} + excluded.{name}" for name in COUNTS)
    arrays = ", ".join(["%s::timestamptz[]", "%s::text[]", "%s::text[]"] + ["%s::int[]"] * len(COUNTS))
    cursor.execute(
        f"insert into hourly (hour, area_code, theme, {names}) select * from unnest({arrays})"
        f" on conflict (hour, area_code, theme) do update set {more}",
        [[key[i] for key, _ in rows] for i in range(3)]
        + [[counts[i] for _, counts in rows] for i in range(len(COUNTS))],
    )
    less = [key for key, counts in rows if min(counts) < 0]
    if less:
        nothing = " and ".join(f"h.{name} = 0" for name in COUNTS)
        cursor.execute(
            "delete from hourly h using unnest(%s::timestamptz[], %s::text[], %s::text[]) k(hour, area_code, theme)"
            f" where h.hour = k.hour and h.area_code = k.area_code and h.theme = k.theme and {nothing}",
            [[key[i] for key in less] for i in range(3)],
        )
