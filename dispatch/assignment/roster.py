"""Know who is on duty: shifts, what teams say of themselves, where they are, and what passes from shift to shift.

A team's own word (available, resting, off duty) stands in its row; that it is assigned, on the way or on scene
follows from the assignments it holds. Neither ever changes an assignment.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dispatch.desk.store import Cursor
from dispatch.rules.areas import contains, prefix_of
from dispatch.rules.incident.values import Actor
from dispatch.rules.law import CENTRE
from dispatch.rules.refusals import Refusal
from dispatch.rules.teams.proposals import Standing
from models.tables.roster import OWN_STATES

SHIFTS_LIMIT = 50_000  # entered at once
HANDOVER_LIMIT = 500  # incidents on one list; a team that holds more has another trouble
HANDOVERS_LIMIT = 5_000  # lists of one run
PLACE_KEPT = timedelta(hours=12)  # what nobody renewed for this long is forgotten
RESTED_AFTER = timedelta(hours=4)  # an older call no longer counts against rest
_LIVE = "('sent', 'picked_up', 'on_site')"


@dataclass(frozen=True, slots=True)
class Turn:
    """One person's turn of duty, for a team or at the centre of an area."""

    person_id: int
    role: str
    begins_at: datetime
    ends_at: datetime
    team_id: int | None = None
    area_code: str | None = None
    name: str = ""


def enter(cursor: Cursor, turns: Sequence[Turn]) -> int:
    """Enter turns of duty; one that begins when another of the same person does is left as it was.

    Return how many are new. Raises ValueError above `SHIFTS_LIMIT` turns and `psycopg.Error` where a turn names
    nobody, lasts more than a day, or is for both a team and a centre.
    """
    if len(turns) > SHIFTS_LIMIT:
        raise ValueError(f"at most {SHIFTS_LIMIT} turns are entered at once, not {len(turns)}")
    cursor.execute(
        "insert into shift (person_id, role, begins_at, ends_at, team_id, area_code)"
        " select * from unnest(%s::int[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::int[], %s::text[])"
        " on conflict (person_id, begins_at) do nothing",
        (
            [t.person_id for t in turns],
            [t.role for t in turns],
            [t.begins_at for t in turns],
            [t.ends_at for t in turns],
            [t.team_id for t in turns],
            [t.area_code for t in turns],
        ),
    )
    return cursor.rowcount


def on_duty(cursor: Cursor, at: datetime, area_code: str = "") -> list[Turn]:
    """Return who is on duty at an instant inside an area (empty: everywhere), centres first, then teams."""
    cursor.execute(
        "select s.person_id, s.role, s.begins_at, s.ends_at, s.team_id, s.area_code, p.name from shift s"
        " join person p on p.id = s.person_id left join team t on t.id = s.team_id"
        " where s.ends_at > %(at)s and s.begins_at <= %(at)s and s.ends_at <= %(at)s + interval '24 hours'"
        " and coalesce(s.area_code, t.area_code) like %(area)s"
        " order by s.team_id is not null, s.area_code, s.team_id, s.role, s.person_id",
        {"at": at, "area": (prefix_of(area_code) if area_code else "") + "%"},
    )
    return [Turn(*row) for row in cursor.fetchall()]


def say_state(
    cursor: Cursor, team_id: int, state: str, actor: Actor, now: datetime, reason: str = ""
) -> Refusal | None:
    """Note what a team says of itself; its assignments stay as they are. Return the refusal, or None when done.

    The team itself may say it, and a centre whose area the team lies in. Raises ValueError for a state that
    follows from assignments and is not anybody's to say.
    """
    if state not in OWN_STATES:
        raise ValueError(f"expected one of {', '.join(OWN_STATES)}, not {state!r}")
    row = cursor.execute(
        "select area_code, state from team where id = %s for no key update", (team_id,)
    ).fetchone()
    if row is None:
        return Refusal("unknown_team", {"team": team_id})
    if actor.team_id != team_id and actor.role != "system":
        if actor.role not in CENTRE:
            return Refusal("not_team")
        if not contains(actor.area_code, row[0]):
            return Refusal("not_area")
    if row[1] != state:
        cursor.execute("update team set state = %s where id = %s", (state, team_id))
        cursor.execute(
            "insert into team_status (team_id, state, at, actor, reason) values (%s, %s, %s, %s, %s)",
            (team_id, state, now, actor.id, reason),
        )
    return None


def states(cursor: Cursor, area_code: str = "", team_ids: Sequence[int] | None = None) -> dict[int, str]:
    """Return the state of every team inside an area: its own word where it rests or is off duty, else its work.

    Where `team_ids` are named, of these alone.
    """
    cursor.execute(
        "select t.id, case when t.state in ('resting', 'off_duty') then t.state else coalesce(("
        " select case max(case a.state when 'on_site' then 3 when 'picked_up' then 2 else 1 end)"
        "  when 3 then 'on_scene' when 2 then 'on_the_way' else 'assigned' end"
        f" from assignment a where a.team_id = t.id and a.state in {_LIVE} having count(*) > 0), 'available') end"
        " from team t where t.area_code like %s and (%s::bigint[] is null or t.id = any(%s::bigint[]))",
        ((prefix_of(area_code) if area_code else "") + "%", named := _named(team_ids), named),
    )
    return dict(cursor.fetchall())


def say_place(cursor: Cursor, team_id: int, lon: float, lat: float, at: datetime) -> bool:
    """Note where a team is (degrees, WGS84), unless a later place is known; return whether it was noted."""
    cursor.execute(
        "insert into team_place as p (team_id, lon, lat, at) values (%s, %s, %s, %s)"
        " on conflict (team_id) do update set lon = excluded.lon, lat = excluded.lat, at = excluded.at"
        " where p.at < excluded.at",
        (team_id, lon, lat, at),
    )
    return cursor.rowcount > 0


def forget_places(cursor: Cursor, now: datetime) -> int:
    """Forget where teams were that are off duty, or of which nothing was heard for long; return how many."""
    cursor.execute(
        "delete from team_place p using team t where t.id = p.team_id and (p.at < %s or t.state = 'off_duty')",
        (now - PLACE_KEPT,),
    )
    return cursor.rowcount


def standings(cursor: Cursor, now: datetime, team_ids: Sequence[int] | None = None) -> dict[int, Standing]:
    """Return what is known of each team beside its row: people on shift, place, rest, work, training.

    Where `team_ids` are named, of these alone.
    """
    chosen = "" if team_ids is None else " and team_id = any(%(teams)s)"
    cursor.execute(
        "with kept as (select team_id, count(*) filter (where begins_at <= %(now)s and ends_at > %(now)s) people"
        "  from shift where team_id is not null and ends_at > %(now)s - interval '24 hours'"
        f"  and ends_at <= %(now)s + interval '48 hours'{chosen} group by 1),"
        " calls as (select team_id, max(ended_at) ended from assignment"
        f"  where ended_at > %(rested)s and ended_at <= %(now)s{chosen} group by 1)"
        " select t.id, k.people, p.lon, p.lat, p.at, c.ended, t.skills from team t"
        " left join kept k on k.team_id = t.id left join team_place p on p.team_id = t.id"
        " left join calls c on c.team_id = t.id"
        f" where true{chosen.replace('team_id', 't.id')}",
        {"now": now, "rested": now - RESTED_AFTER, "teams": _named(team_ids)},
    )
    rows = cursor.fetchall()
    working = states(cursor, team_ids=team_ids)

    def minutes(since: datetime | None) -> float | None:
        return None if since is None else (now - since).total_seconds() / 60

    return {
        team: Standing(people, lon, lat, minutes(at), minutes(ended), working.get(team), frozenset(skills))
        for team, people, lon, lat, at, ended, skills in rows
    }


def _named(team_ids: Sequence[int] | None) -> list[int] | None:
    return None if team_ids is None else list(team_ids)


def open_of(cursor: Cursor, holder: str) -> list[dict[str, Any]]:
    """Return what is open in a holder's hands (`team/<id>`, `centre/<code>`), late ones first, then by due time.

    A team is also shown what it assists in.
    """
    kind, _, number = holder.partition("/")
    assists = (
        f"i.id in (select a.incident_id from assignment a where a.team_id = %(team)s and a.state in {_LIVE})"
        if kind == "team"
        else "false"
    )
    cursor.execute(
        "select i.id, i.number, i.category, i.severity, i.awaits, i.due_at, i.overdue_since, i.holder = %(holder)s"
        f" from incident i where i.ended_at is null and (i.holder = %(holder)s or {assists})"
        " order by i.overdue_since nulls last, i.severity, i.due_at nulls last, i.id limit %(limit)s",
        {"holder": holder, "team": int(number) if kind == "team" else None, "limit": HANDOVER_LIMIT},
    )
    return [
        {
            "id": one, "number": f"{receipt:016d}", "category": category, "severity": severity, "awaits": awaits,
            "due_at": due.isoformat() if due else None,
            "overdue_since": late.isoformat() if late else None, "lead": lead,
        }
        for one, receipt, category, severity, awaits, due, late, lead in cursor.fetchall()
    ]  # fmt: skip


def hand_over(cursor: Cursor, since: datetime, until: datetime) -> int:
    """Write the list of what is open for every team and centre whose shift ended after `since`, up to `until`.

    What was written once stays; nothing is written for hands that hold nothing. Return how many lists are new.
    """
    cursor.execute(
        "select distinct coalesce('team/' || team_id, 'centre/' || area_code), ends_at from shift"
        " where ends_at > %s and ends_at <= %s order by 2, 1 limit %s",
        (since, until, HANDOVERS_LIMIT),
    )
    written = 0
    for holder, at in cursor.fetchall():
        held = open_of(cursor, holder)
        if held:
            cursor.execute(
                "insert into handover (holder, at, open) values (%s, %s, %s) on conflict do nothing",
                (holder, at, json.dumps(held)),
            )
            written += cursor.rowcount
    return written


def take_over(
    cursor: Cursor, holder: str, at: datetime, actor: Actor, now: datetime
) -> list[dict[str, Any]] | None:
    """Sign for a list handed over and return it; None where there is none or somebody has signed."""
    row = cursor.execute(
        "update handover set taken_by = %s, taken_at = %s where holder = %s and at = %s and taken_at is null"
        " returning open",
        (actor.id, now, holder, at),
    ).fetchone()
    return None if row is None else list(row[0])
