"""Draw up duty rosters for invented people: centres in three turns a day, teams for emergencies in two."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import psycopg

DAYS = 14
# Draw up the next days when fewer than this many are left.
DAYS_LEFT = 7
ROUND_THE_CLOCK = (
    "police", "enforcement", "emergency", "fire", "forest_fire", "traffic_police", "water", "power", "gas",
)  # fmt: skip
_CENTRE_TURNS = (time(0), time(8), time(16))
_CENTRE_TURN = timedelta(hours=8)
_TEAM_TURNS = (time(8), time(20))
_TEAM_TURN = timedelta(hours=12)


class Post(NamedTuple):
    """Somebody who can be on duty: for a team, or at the centre of an area where `team_id` is None."""

    person_id: int
    role: str
    area_code: str
    team_id: int | None


class Row(NamedTuple):
    """A row of `shift`."""

    team_id: int | None
    area_code: str | None
    person_id: int
    role: str
    begins_at: datetime
    ends_at: datetime


def rows(posts: Iterable[Post], first: date, days: int, zone: str) -> Iterator[Row]:
    """Yield the turns of `days` days from `first`; who is on depends on the day's date alone, so days join up.

    Each centre has a dispatcher and a duty leader in every turn, each team half of its people.
    """
    groups: dict[tuple[int | None, str, str], list[Post]] = defaultdict(list)
    turns: tuple[time, ...]
    for post in posts:
        # A team's leader and members share its turns; a centre's roles have turns of their own.
        role = "" if post.team_id is not None else post.role
        groups[post.team_id, post.area_code, role].append(post)
    here = ZoneInfo(zone)
    for (team_id, area_code, _), people in sorted(groups.items(), key=lambda pair: str(pair[0])):
        turns, length = (_TEAM_TURNS, _TEAM_TURN) if team_id else (_CENTRE_TURNS, _CENTRE_TURN)
        at_once = max(1, len(people) // 2) if team_id else 1
        for day in range(days):
            today = first + timedelta(days=day)
            for number, turn in enumerate(turns):
                begins = datetime.combine(today, turn, here)
                start = (today.toordinal() * len(turns) + number) * at_once
                # Nobody has two turns in a row where there are people enough.
                for place in range(at_once):
                    post = people[(start + place) % len(people)]
                    centre = None if team_id else area_code
                    yield Row(team_id, centre, post.person_id, post.role, begins, begins + length)


def draw_up(cursor: psycopg.Cursor[Any], first: date, days: int, zone: str) -> int:
    """Draw up rosters of a demo city's invented people from a day on; return how many turns are new.

    Only people of centres, and of teams whose trade answers around the clock, take turns.
    """
    cursor.execute(
        "select d.person_id, d.role, d.area_code, d.team_id from duty d join person p on p.id = d.person_id"
        " left join team t on t.id = d.team_id where p.invented and d.until is null and ("
        " d.team_id is null and d.role in ('dispatcher', 'duty_leader')"
        " or d.role in ('team_leader', 'team_member') and t.trade = any(%s)) order by d.id",
        (list(ROUND_THE_CLOCK),),
    )
    posts = [Post(*row) for row in cursor.fetchall()]
    columns = ", ".join(Row._fields)
    cursor.execute(f"create temporary table drawn on commit drop as select {columns} from shift limit 0")
    with cursor.copy(f"copy drawn ({columns}) from stdin") as copy:
        for row in rows(posts, first, days, zone):
            copy.write_row(row)
    cursor.execute(f"insert into shift ({columns}) select {columns} from drawn on conflict do nothing")
    return cursor.rowcount
