"""Name sets of cases, and list the cases of each: what a number of the leaders' picture opens.

A set is a measure of dispatch/rules/measures/cases.py within an area and some days; the counting and the listing read
the same text, so that a list is as long as its number says. Until the roll-up is level with the last
events a list may be a few cases ahead of its number.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

import psycopg

from dispatch.record.policies import Policies
from dispatch.rules.areas import level_of, prefix_of
from dispatch.rules.measures.assessment import Rules
from dispatch.rules.measures.cases import MEASURES, ROWS
from dispatch.rules.time.calendar import Calendar

Connection = psycopg.Connection[Any]

PAGE_ROWS = 50


@dataclass(frozen=True, slots=True)
class CaseSet:
    """Name a set of cases: what is true of them, where, reported on which days, and further bounds.

    `name` is a measure of dispatch/rules/measures/cases.py. `first` and `until` bound the day of
    reporting (until not included); both are None for what is true now, whenever it was reported. `weekday` counts
    from 0 for Monday.
    """

    name: str
    area: str
    first: date | None = None
    until: date | None = None
    theme: str = ""
    weekday: int | None = None
    hour: int | None = None

    @property
    def key(self) -> str:
        """Return it as one word for an address; `parse` reads it back."""
        parts = (self.name, self.area, self.first, self.until, self.theme, self.weekday, self.hour)
        return "~".join("" if part is None else str(part) for part in parts)

    @classmethod
    def parse(cls, key: str) -> CaseSet:
        """Read a key back; raise ValueError saying what is wrong with it."""
        parts = key.split("~")
        if len(parts) != 7 or parts[0] not in _WHERE or not parts[1].isdecimal():
            raise ValueError(f"not a set of cases: {key!r}")
        level_of(parts[1])
        first, until = (date.fromisoformat(p) if p else None for p in parts[2:4])
        weekday, hour = (int(p) if p else None for p in parts[5:7])
        if (first is None) != (until is None) or not all(c.isdecimal() for c in parts[4]):
            raise ValueError(f"not a set of cases: {key!r}")
        return cls(parts[0], parts[1], first, until, parts[4], weekday, hour)


@dataclass(frozen=True, slots=True)
class Counted:
    """Hold a number and the set of cases that it counts."""

    count: int
    cases: CaseSet


@dataclass(frozen=True, slots=True)
class CaseRow:
    """Hold one case of a list."""

    id: int
    number: int
    category: str
    category_en: str
    severity: int
    area_code: str
    area: str
    state: str
    holder: str
    text: str
    reported_at: datetime
    disposed_at: datetime | None
    disposed_on_time: bool | None
    overdue_since: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class CasePage:
    """Hold a page of cases, newest first, and how many there are in all."""

    rows: tuple[CaseRow, ...]
    total: int
    page: int
    pages: int


MISSED = {
    "on_time": "late",
    "close_on_time": "close_late",
    "on_site": "not_on_site",
    "settled": "not_settled",
    "pleased": "displeased",
}
# What a list asks is true of rows, whenever they are looked at.
_WHERE = {name: measure.sql for name, measure in MEASURES.items() if "%(now)s" not in measure.sql}


def cases(connection: Connection, wanted: CaseSet, page: int = 1, page_rows: int = PAGE_ROWS) -> CasePage:
    """Return one page of a set of cases, newest first, counting from 1; a page past the last is empty.

    Raises ValueError for an unknown set or a page below 1.
    """
    if wanted.name not in _WHERE:
        raise ValueError(f"cases: there is no set {wanted.name!r}")
    if page < 1:
        raise ValueError(f"page: expected 1 or more, not {page}")
    with look(connection) as cursor:
        known, now = Policies(cursor), datetime.now(UTC)
        calendar = known.in_force(now).calendar
        rows, where, values = _selected(wanted, calendar, known.rules_on(calendar.local(now).date()))
        counted = cursor.execute(f"select count(*) from {rows} where {where}", values).fetchone()
        assert counted is not None
        total = int(counted[0])
        cursor.execute(
            "select i.id, i.number, c.name, c.name_en, i.severity, i.area_code, n.name, i.state, i.holder, i.text,"
            " i.reported_at, i.disposed_at, i.disposed_on_time, i.overdue_since, i.ended_at"
            f" from {rows} join area n on n.code = i.area_code where {where}"
            " order by i.reported_at desc, i.id desc limit %(rows)s offset %(skip)s",
            values | {"rows": page_rows, "skip": (page - 1) * page_rows},
        )
        found = tuple(CaseRow(*row) for row in cursor.fetchall())
    return CasePage(found, total, page, max(1, -(-total // page_rows)))


def renamed(where: CaseSet, name: str) -> CaseSet:
    """Return another set of cases within the same bounds."""
    return replace(where, name=name)


@contextmanager
def look(connection: Connection) -> Iterator[psycopg.Cursor[Any]]:
    """Lend a cursor inside one consistent look at the database."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("set transaction isolation level repeatable read")
        yield cursor


def _selected(wanted: CaseSet, calendar: Calendar, rules: Rules) -> tuple[str, str, dict[str, Any]]:
    """Return the rows, the condition and its values that select a set of cases."""
    predicate = _WHERE[wanted.name]
    where = [predicate, "i.area_code like %(area)s"]
    values: dict[str, Any] = {
        "area": prefix_of(wanted.area) + "%",
        "pleased": list(rules.satisfied | rules.mostly),
    }
    if wanted.first is not None and wanted.until is not None:
        where.append("i.reported_at >= %(begin)s and i.reported_at < %(end)s")
        values |= {
            "begin": calendar.begins(wanted.first),
            "end": calendar.begins(wanted.until),
        }
    if wanted.theme:
        where.append("c.theme = %(theme)s")
        values["theme"] = wanted.theme
    if wanted.weekday is not None and wanted.hour is not None:
        where.append(
            "extract(isodow from i.reported_at at time zone %(zone)s) = %(weekday)s"
            " and extract(hour from i.reported_at at time zone %(zone)s) = %(hour)s"
        )
        values |= {"zone": calendar.zone, "weekday": wanted.weekday + 1, "hour": wanted.hour}
    # What assignments say together costs a look at each row's: only where the predicate asks.
    rows = ROWS if " p." in predicate or "(p." in predicate else ROWS.partition(" left join")[0]
    return rows, " and ".join(f"({each})" for each in where), values
