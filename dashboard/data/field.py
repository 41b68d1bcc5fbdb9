"""What phones read and leave behind: tasks, photos, whose report is whose, and when any of it has changed."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import psycopg
import redis

from dashboard.data.city import CityReads
from dashboard.data.directory import Directory
from dashboard.data.scope import within
from dispatch.accounts.sessions import Viewer
from dispatch.desk import store
from dispatch.intake import contacts, photos
from dispatch.intake.photos import Photo
from dispatch.rules.areas import Level, ancestors, at_level, prefix_of
from dispatch.rules.incident.chain import lawful
from dispatch.rules.incident.values import Actor, Assignment, Incident
from dispatch.rules.law import LIVE
from dispatch.rules.time.clocks import Clock, yellow_from

TASKS_LIMIT = 300
FOLLOW_EVERY_S = 0.8  # with a phone's two seconds, what changed is on it within three
FOLLOW_LIMIT = 5_000
REPORTS_ALLOWED = 60  # of one account within the span below; who was without a line all day sends on
REPORTS_WITHIN = timedelta(minutes=10)
OFTEN_LIMIT = 500
PLACES_LIMIT = 500
GRID = frozenset({"grid_worker", "grid_head", "village"})
# What a task is done by, the most natural first; the clock that it is done against.
MAIN = ("check", "pick_up", "arrive", "dispose", "solve", "verify", "end_whistle", "rate_whistle")
CLOCK_OF = {
    "check": "accept",
    "pick_up": "pick_up",
    "arrive": "arrive",
    "dispose": "dispose",
    "verify": "verify",
}
# What may be done from a phone beside the main step.
VERBS = frozenset(
    {*MAIN, "decline", "ask_extension", "rework", "whistle", "note", "rate", "reopen", "accept"}
)


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to do: its incident, the step it waits for, what else may be done, and the clock it runs against."""

    incident: Incident
    verb: str
    verbs: tuple[str, ...]
    part: Assignment | None
    clock: Clock | None
    photos: tuple[str, ...]

    @property
    def due(self) -> datetime | None:
        """Return when it is due, or None where nothing runs."""
        return self.clock.due if self.clock is not None and self.clock.awaited else None


@cache
def _contact_key(redis_url: str) -> bytes:
    stream = redis.Redis.from_url(redis_url, socket_timeout=2)
    try:
        return contacts.key_of(stream)
    finally:
        stream.close()


def token_of(contact: str, redis_url: str) -> str:
    """Return the keyed token of a contact; raise redis.RedisError where the key cannot be had."""
    return contacts.token(_contact_key(redis_url), contact)


def as_reporter(who: Viewer, redis_url: str) -> Actor:
    """Return the actor as whom a resident may see and act on their own reports; any other's own actor as it is."""
    if who.role != "resident":
        return who.actor
    return Actor(f"resident@{token_of(contacts.of_account(who.login), redis_url)}", "resident", who.area)


def tasks(city: CityReads, actor: Actor, now: datetime) -> list[Task]:
    """Return what waits for a person, the most urgent first: overdue, then by what is left, then without a limit."""
    with city.look() as connection, connection.cursor() as cursor:
        ids = _waiting(cursor, actor, now)
        held = store.load(cursor, ids)
        numbers = {h.incident.number: key for key, h in held.items()}
        shown: dict[int, list[str]] = {}
        for name, number in cursor.execute(
            "select u.name, u.number from photo_use u join photo p on p.name = u.name where u.number = any(%s)"
            " order by p.uploaded_at, p.name",
            (list(numbers),),
        ):
            shown.setdefault(numbers[number], []).append(name)
    found = [
        task for key, h in held.items() if (task := _task(h.incident, actor, shown.get(key, ()))) is not None
    ]
    found.sort(key=lambda t: (t.due is None, t.due or now, t.incident.severity, t.incident.id))
    return found


def _waiting(cursor: psycopg.Cursor[Any], actor: Actor, now: datetime) -> list[int]:
    if actor.role == "team" and actor.team_id is not None:
        cursor.execute(
            f"select distinct incident_id from assignment where team_id = %s and state in {tuple(LIVE)} limit %s",
            (actor.team_id, TASKS_LIMIT),
        )
    elif actor.role in GRID:
        scope, values = within(actor)
        cursor.execute(
            "(select i.id from incident i where i.ended_at is null and i.paused_why is null"
            f" and {scope} and (i.state in ('checking', 'disposed') or (i.mode = 'one_grid'"
            "  and i.state in ('reported', 'accepted', 'dispatched', 'in_hand')))"
            " order by i.due_at nulls last limit %(rows)s) union"
            # One's own whistle is still to be ended and rated after its incident has ended.
            " (select i.id from incident i join assignment a on a.incident_id = i.id where a.kind = 'whistle'"
            f"  and a.facts->>'asked_by' = %(me)s and {scope}"
            "  and (a.state = 'done' or (a.state = 'ended' and not a.facts ? 'rating'))"
            "  and (i.ended_at is null or i.ended_at >= %(lately)s) limit %(rows)s)",
            values | {"rows": TASKS_LIMIT, "me": actor.id, "lately": now - timedelta(days=10)},
        )
    else:
        return []
    return [row[0] for row in cursor.fetchall()]


def _task(incident: Incident, actor: Actor, photos: Sequence[str]) -> Task | None:
    verbs = tuple(step.verb for step in lawful(incident, actor) if step.verb in VERBS)
    part = incident.part_of(actor.team_id) if actor.role == "team" else incident.lead
    facts = incident.facts
    own = facts.get("disposer") == actor.id or (
        actor.team_id is not None and facts.get("disposer_team") == actor.team_id
    )
    for verb in MAIN:
        if verb not in verbs:
            continue
        if verb == "verify" and own:
            continue
        if verb == "arrive" and part is not None and "arrive" not in part.clocks and "dispose" in verbs:
            continue
        if verb in ("end_whistle", "rate_whistle") and not _is_mine(incident, actor, verb):
            continue
        if verb in ("pick_up", "arrive", "dispose") and actor.role in GRID and incident.mode != "one_grid":
            continue
        clock = (part.clocks if part is not None else {}).get(CLOCK_OF.get(verb, "")) or incident.clocks.get(
            CLOCK_OF.get(verb, "accept")
        )
        if verb == "solve" and (clock is None or not clock.awaited):
            clock = incident.clocks.get("close")
        if verb in ("end_whistle", "rate_whistle"):
            clock = None
        return Task(incident, verb, verbs, part, clock, tuple(photos))
    return None


def _is_mine(incident: Incident, actor: Actor, verb: str) -> bool:
    return any(
        p.kind == "whistle"
        and p.facts.get("asked_by") == actor.id
        and (p.state == "done" if verb == "end_whistle" else p.state == "ended" and "rating" not in p.facts)
        for p in incident.parts.values()
    )


def yellow_at(clock: Clock | None, directory: Directory) -> datetime | None:
    """Return when a clock's light turns yellow, or None while it does not run."""
    return yellow_from(clock, directory.calendar) if clock is not None and clock.awaited else None


def visible(city: CityReads, actor: Actor, incident_id: int) -> int | None:
    """Return the number of an incident in an actor's scope; None for any other, whether it exists or not."""
    scope, values = within(actor)
    with city.look() as connection:
        row = connection.execute(
            f"select i.number from incident i where i.id = %(id)s and {scope}", values | {"id": incident_id}
        ).fetchone()
    return None if row is None else int(row[0])


def often(city: CityReads, who: Viewer) -> list[str]:
    """Return types by how often this person reported them, then by what is open around them now."""
    with city.look() as connection:
        mine = connection.execute(
            "select i.category from (select number from own_report where account_id = %s"
            " order by sent_at desc limit %s) o join receipt r on r.key = o.number"
            " join incident i on i.id = r.incident_id and i.number = r.key group by 1 order by count(*) desc, 1",
            (who.account_id, OFTEN_LIMIT),
        ).fetchall()
        # Which types are common around is no secret: a resident's list is ordered by it too.
        near = connection.execute(
            "select category from incident where ended_at is null and area_code like %s group by 1"
            " order by count(*) desc, 1",
            (prefix_of(at_level(who.area, Level.TOWN) or who.area) + "%",),
        ).fetchall()
    return list(dict.fromkeys(row[0] for row in (*mine, *near)))


def places(directory: Directory, area: str) -> list[tuple[str, str]]:
    """Return (code, name) of the grids below an area, the smallest first, each with the name of what holds it."""
    found = []
    for code, each in directory.areas.items():
        if code.startswith(area) and code != area and each.level >= 4:
            above = directory.areas.get(each.parent or "")
            prefix = f"{above.name} " if above is not None and above.code != area else ""
            found.append((-each.level, code, f"{prefix}{each.name}"))
    return [(code, name) for _, code, name in sorted(found)[:PLACES_LIMIT]]


# ---- photos and own reports ----


def keep_photo(city: CityReads, who: Viewer, photo: Photo, now: datetime) -> bool:
    """Note a photo and who sent it; tell whether some incident carries the same picture already."""
    with city.change() as connection:
        photos.note(connection, photo, now)
        connection.execute(
            "insert into photo_owner (name, account_id) values (%s, %s) on conflict do nothing",
            (photo.name, who.account_id),
        )
        row = connection.execute(
            "select exists (select from photo_use where name = %s)", (photo.name,)
        ).fetchone()
    return bool(row and row[0])


def sees_photo(city: CityReads, who: Viewer, actor: Actor, name: str) -> bool:
    """Tell whether a person sent a photo, or may see an incident that carries it."""
    scope, values = within(actor)
    with city.look() as connection:
        row = connection.execute(
            "select exists (select from photo_owner where name = %(name)s and account_id = %(account)s)"
            " or exists (select from photo_use u join receipt r on r.key = u.number"
            f" join incident i on i.id = r.incident_id and i.number = r.key where u.name = %(name)s and {scope})",
            values | {"name": name, "account": who.account_id},
        ).fetchone()
    return bool(row and row[0])


def not_own(city: CityReads, who: Viewer, names: Sequence[str]) -> list[str]:
    """Return which of some photos this person has not sent."""
    if not names:
        return []
    with city.look() as connection:
        own = {
            row[0]
            for row in connection.execute(
                "select name from photo_owner where account_id = %s and name = any(%s)",
                (who.account_id, list(names)),
            )
        }
    return [name for name in names if name not in own]


def attach(city: CityReads, names: Sequence[str], number: int) -> None:
    """Note that an incident carries photos; again is no harm."""
    if not names:
        return
    with city.change() as connection:
        photos.attach(connection, names, number)


def begin_report(city: CityReads, who: Viewer, number: int, names: Sequence[str], now: datetime) -> str:
    """Note whose report a number is, with its photos: `new`, `again`, `taken` by another account, or `too_fast`."""
    with city.change() as connection:
        known = connection.execute(
            "select account_id from own_report where number = %s", (number,)
        ).fetchone()
        if known is not None and known[0] != who.account_id:
            return "taken"
        if known is None:
            lately = connection.execute(
                "select count(*) from own_report where account_id = %s and sent_at > %s",
                (who.account_id, now - REPORTS_WITHIN),
            ).fetchone()
            if lately is not None and lately[0] >= REPORTS_ALLOWED:
                return "too_fast"
            connection.execute(
                "insert into own_report (number, account_id, sent_at) values (%s, %s, %s) on conflict do nothing",
                (number, who.account_id, now),
            )
        photos.attach(connection, names, number)
    return "new" if known is None else "again"


class Pulse:
    """Say cheaply whether anything has changed for a person: one question a second for all phones of a process."""

    def __init__(self, city: CityReads) -> None:
        self._city = city
        self._lock = threading.Lock()
        self._asked = 0.0
        self._cursor: int | None = None
        self._all = 0
        self._areas: dict[str, int] = {}
        self._teams: dict[int, int] = {}
        self._beat = 0

    def of(self, actor: Actor) -> tuple[int, int]:
        """Return a value that differs whenever something in the actor's area or team may have changed."""
        with self._lock:
            if time.monotonic() - self._asked >= FOLLOW_EVERY_S:
                self._follow()
                self._asked = time.monotonic()
            own = self._teams.get(actor.team_id, 0) if actor.team_id is not None else 0
            if actor.role != "team":
                own = max(own, self._areas.get(actor.area_code, 0))
            return self._all, own

    def _follow(self) -> None:
        with self._city.look() as connection:
            row = connection.execute(
                "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
            ).fetchone()
            assert row is not None
            upto = int(row[0])
            since, self._cursor = self._cursor, upto
            if since == upto:
                return
            self._beat += 1
            if since is None:
                self._all = self._beat
                return
            rows = connection.execute(
                "select distinct i.area_code, a.team_id from event e join incident i on i.id = e.incident_id"
                " left join assignment a on a.incident_id = i.id"
                " where e.tx >= %s::text::xid8 and e.tx < %s::text::xid8 limit %s",
                (since, upto, FOLLOW_LIMIT + 1),
            ).fetchall()
        if len(rows) > FOLLOW_LIMIT:
            self._all = self._beat
            return
        for area, team in rows:
            for each in ancestors(area):
                self._areas[each] = self._beat
            if team is not None:
                self._teams[team] = self._beat
