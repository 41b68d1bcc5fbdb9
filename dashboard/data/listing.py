"""Read lists of incidents by what is looked for, and one incident whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import psycopg

from dashboard.data.directory import DirectoryReads
from dashboard.data.scope import within
from dashboard.data.submits import visible
from dispatch.assignment.proposals import Proposals
from dispatch.desk import store
from dispatch.rules.areas import Level, level_of, prefix_of
from dispatch.rules.incident.chain import Actor, Event, Incident, replay
from dispatch.rules.law import ENDED, STATES
from dispatch.rules.measures.cases import (
    INSIDE_LIMIT_SQL,
    NOTED_PAST_SQL,
    PAST_LIMIT_SQL,
    UNNOTED_PAST_SQL,
)
from dispatch.rules.teams.proposals import Offer
from dispatch.rules.time.calendar import Calendar
from dispatch.rules.time.clocks import Clock, light_of

PAGE_ROWS = 100
YELLOW_ROWS, YELLOW_LOOKS = 1_000, 20  # rows read at a time for those near their limit, and how often
_LIVE = "('sent', 'picked_up', 'on_site')"
OPEN_STATES = frozenset(STATES) - ENDED


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list of incidents shows; empty parts do not filter. `light` is red or yellow, as now."""

    area: str = ""
    state: str = ""  # a state's name, or "open" for all that have not ended
    light: str = ""
    theme: str = ""
    text: str = ""  # words of the text or address, or a number


@dataclass(frozen=True, slots=True)
class ListRow:
    """One line of the incident list."""

    id: int
    number: int
    category: str
    severity: int
    area_code: str
    state: str
    holder: str
    awaits: str | None
    text: str
    reported_at: datetime
    due_at: datetime | None
    overdue_since: datetime | None
    ended_at: datetime | None
    awaited: Clock | None

    def light(self, now: datetime, calendar: Calendar) -> str:
        """Return red, yellow or green as of `now`, and nothing for an incident that has ended."""
        if self.ended_at is not None:
            return ""
        return light_of(self.overdue_since, self.due_at, self.awaited, now, calendar)[0]


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """A stretch of responsibility; the open one has no end."""

    seq: int
    holder: str
    awaits: str | None
    paused_why: str | None
    began_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Detail:
    """One incident whole: its fold, its events oldest first, its segments, and teams that could go, best first."""

    incident: Incident
    events: list[Event]
    segments: list[SegmentRow]
    offers: tuple[Offer, ...]


_clock = msgspec.json.Decoder(Clock)


class ListReads(DirectoryReads):
    """Read incidents within the scope of who asks. Every method raises `psycopg.Error` when the database does."""

    def incidents(
        self, actor: Actor, wanted: Filter, now: datetime, after: tuple[datetime, int] | None = None
    ) -> list[ListRow]:
        """Return up to `PAGE_ROWS` incidents of an actor's scope, newest first.

        With `after` they are those after the row with that (reported_at, id).
        """
        with self.look() as connection:
            if wanted.light != "yellow":
                return self._page(connection, actor, wanted, now, after, PAGE_ROWS)
            calendar = self._law(connection).calendar
            found: list[ListRow] = []
            for _ in range(YELLOW_LOOKS):
                rows = self._page(connection, actor, wanted, now, after, YELLOW_ROWS)
                found += [row for row in rows if row.light(now, calendar) == "yellow"]
                if len(rows) < YELLOW_ROWS or len(found) >= PAGE_ROWS:
                    break
                after = (rows[-1].reported_at, rows[-1].id)
            return found[:PAGE_ROWS]

    def detail(self, actor: Actor, incident_id: int) -> Detail | None:
        """Return one incident whole, or None when there is no such one in an actor's scope."""
        with self.look() as connection, connection.cursor() as cursor:
            if not visible(connection, actor, [incident_id]):
                return None
            events = store.events_of(cursor, incident_id)
            if not events:
                return None
            incident = replay(events)
            segments = segments_of(cursor, incident_id)
        offers: tuple[Offer, ...] = ()
        if incident.ended_at is None:
            with self.desk() as desk:
                decision = Proposals(desk).one(incident_id, datetime.now(UTC))
            offers = decision.offers if decision is not None else ()
        return Detail(incident, events, segments, offers)

    def id_of(self, actor: Actor, number: int) -> int | None:
        """Return the id of the incident with a number, or None where an actor may see none."""
        scope, values = within(actor)
        with self.look() as connection:
            row = connection.execute(
                "select r.incident_id from receipt r join incident i on i.id = r.incident_id and i.number = r.key"
                f" where r.key = %(number)s and {scope}",
                {"number": number} | values,
            ).fetchone()
        return None if row is None else int(row[0])

    def _page(
        self,
        connection: psycopg.Connection,
        actor: Actor,
        wanted: Filter,
        now: datetime,
        after: tuple[datetime, int] | None,
        limit: int,
    ) -> list[ListRow]:
        where, values = conditions(wanted, now)
        scope, own = within(actor)
        where.append(scope)
        values |= own
        if after is not None:
            where.append("(i.reported_at, i.id) < (%(at)s, %(id)s)")
            values |= {"at": after[0], "id": after[1]}
        if wanted.light == "red":
            where = [_red(where)]
        elif wanted.state in OPEN_STATES:
            where = [_stage(where, wanted)]
        rows = connection.execute(
            "select i.id, i.number, i.category, i.severity, i.area_code, i.state, i.holder, i.awaits, i.text,"
            " i.reported_at, i.due_at, i.overdue_since, i.ended_at, coalesce(i.clocks->i.awaits,"
            " (select a.clocks->i.awaits from assignment a where a.incident_id = i.id and a.role = 'lead'"
            f"  and a.state in {_LIVE}))::text"
            " from incident i join category c on c.code = i.category"
            f" where {' and '.join(where) or 'true'} order by i.reported_at desc, i.id desc limit %(rows)s",
            values | {"rows": limit},
        ).fetchall()
        return [_list_row(*row) for row in rows]


def segments_of(cursor: psycopg.Cursor[Any], incident_id: int) -> list[SegmentRow]:
    """Return the stretches of responsibility of an incident, oldest first."""
    return [
        SegmentRow(*row)
        for row in cursor.execute(
            "select seq, holder, awaits, paused_why, began_at, ended_at from segment"
            " where incident_id = %s order by seq",
            (incident_id,),
        )
    ]


def conditions(wanted: Filter, now: datetime) -> tuple[list[str], dict[str, Any]]:
    """Return what a filter asks of a row `i` of incidents with its type `c`, and the values for it."""
    where: list[str] = []
    values: dict[str, Any] = {}
    if wanted.area and level_of(wanted.area) is not Level.CITY:
        where.append("i.area_code like %(area)s")
        values["area"] = prefix_of(wanted.area) + "%"
    if wanted.state == "open":
        where.append("i.ended_at is null")
    elif wanted.state:
        where.append("i.state = %(state)s")
        values["state"] = wanted.state
        if wanted.state not in ENDED:
            # Open cases are few beside the past, and have an index of their own.
            where.append("i.ended_at is null")
    if wanted.light == "red":
        # What has ended has neither; to ask for that too would only mislead who plans the query.
        where.append(PAST_LIMIT_SQL)
        values["now"] = now
    elif wanted.light == "yellow":
        # How far a clock has run only the calendar knows: the rows are looked through for it.
        where.append(INSIDE_LIMIT_SQL)
        values["now"] = now
    if wanted.theme:
        where.append("c.theme = %(theme)s")
        values["theme"] = wanted.theme
    if text := wanted.text.strip():
        # A number is shown in groups of four, and looked for as it is shown.
        if (digits := text.replace("-", "")).isdecimal():
            # The receipt knows whose a number is: without it all rows would be looked through.
            where.append(
                "i.id = any(array(select r.incident_id from receipt r where r.key = %(number)s union all"
                " select %(number)s)) and (i.number = %(number)s or i.id = %(number)s)"
            )
            values["number"] = min(int(digits), 2**63 - 1)
        else:
            where.append(
                "(i.text ilike %(text)s or i.address ilike %(text)s or c.name ilike %(text)s"
                " or c.name_en ilike %(text)s)"
            )
            escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            values["text"] = f"%{escaped}%"
    return where, values


def _red(where: Sequence[str]) -> str:
    """Return the condition of a page of red rows: its ids are taken from the indexes of what is past its limit.

    All open rows are passed over otherwise, newest first, until enough of them are red.
    """
    rest = " and ".join(f"({each})" for each in where if each != PAST_LIMIT_SQL) or "true"
    of = "select i.reported_at, i.id from incident i join category c on c.code = i.category where"
    order = "order by reported_at desc, id desc limit %(rows)s"
    return (
        f"i.id = any(array(select id from (({of} {NOTED_PAST_SQL} and {rest} {order}) union all"
        # Few, unless the sweep stands still: never looked for in the order of the list.
        f" select * from ({of} {UNNOTED_PAST_SQL} and {rest} offset 0) u) r {order}))"
    )


def _stage(where: Sequence[str], wanted: Filter) -> str:
    """Return the condition of a page of open rows in one state: the index of what is open tells their ids.

    Without it all rows would be passed over, newest first, until enough of them are in that state.
    """
    typed = " join category c on c.code = i.category" if wanted.theme or wanted.text.strip() else ""
    return (
        f"i.id = any(array(select i.id from incident i{typed} where {' and '.join(f'({each})' for each in where)}"
        " order by i.reported_at desc, i.id desc limit %(rows)s))"
    )


def _list_row(*row: Any) -> ListRow:
    build: Any = ListRow
    made: ListRow = build(*row[:-1], _clock.decode(row[-1]) if row[-1] else None)
    return made
