"""Give a city years of the past: weeks that one lawful week is copied into, each event linked as the Desk links it.

A week of the demo city is lived by the law, event by event. Every copy lies whole weeks earlier or later, so that
hours and weekdays stay what they were (holidays do not), with ids, numbers and hashes of its own: the audit finds
nothing to say against it. The days before the present are lived too, not copied.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from itertools import accumulate, islice
from queue import Queue
from typing import Any

import msgspec
import psycopg

from dispatch.demo import history
from dispatch.desk.columns import encode
from dispatch.desk.store import ASSIGNMENT, EVENT, INCIDENT, SEGMENT
from dispatch.intake.messages import number_of
from dispatch.record.policies import Policies
from dispatch.rules.incident.links import GENESIS
from models.servers.database import psycopg_dsn
from models.tables.incidents import ID_BLOCK

PER_DAY = 2_000  # reports
WEEK = 7  # days
RECENT_DAYS = 7  # lived, with today's part of a day: an eight days old city
# The week that is copied began this many days before today: nearly all of it has ended by now.
BEGAN_DAYS_AGO = 42
AHEAD = 2  # copies made while another is written

# A mark in a text stands for what each copy has of its own: ⟦kind and value⟧; the last of a line ends it.
_MARK = re.compile("⟦([^⟧]*)⟧")
_END = "⟦⟧"
_OF_ITS_OWN = re.compile(r"(?P<date>\d{4}-\d\d-\d\d)(?=[T ]\d\d:\d\d)|(?P<digits>\d{12,20})")
_ID = re.compile('"(⟦[^⟧]*⟧)"')
_TABLES = ("incident", "receipt", "event", "assignment", "segment")
_MEMORY = "1GB"  # for building indexes
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)

Swap = dict[str, bytes]  # mark -> what stands for it in a copy
Batch = dict[str, bytes]  # table -> rows as COPY reads them


@dataclass(frozen=True, slots=True)
class _Seed:
    """An incident of the week that is copied, as far as copies have it of their own."""

    id: int
    number: int
    source: str
    source_id: str
    last_at: datetime


class _Lines:
    """Hold lines with marks, each incident's together, and write them with the marks filled in."""

    def __init__(self, of_incidents: list[list[str]]) -> None:
        pieces: list[str] = []
        for lines in of_incidents:
            for line in lines:
                pieces += _MARK.split(line + _END)[:-1]
        self._literals, self._marks = [each.encode() for each in pieces[::2]], pieces[1::2]
        counts = [sum(line.count("⟦") + 1 for line in lines) for lines in of_incidents]
        self._bounds = [0, *accumulate(counts)]

    def filled(self, swap: Swap, incidents: int) -> bytes:
        """Return the lines of the first `incidents`, each with its end."""
        bound = self._bounds[incidents]
        pieces = [b""] * (2 * bound)
        pieces[::2] = self._literals[:bound]
        pieces[1::2] = map(swap.__getitem__, islice(self._marks, bound))
        return b"".join(pieces)


class Week:
    """Hold a lived week's incidents that have ended, and make copies of them that lie weeks away."""

    def __init__(self, cursor: psycopg.Cursor[Any]) -> None:
        cursor.execute(
            "create temporary table seed as select id, number, source, source_id, last_at,"
            # In the order in which they ended: a copy near the present leaves the last ones out.
            " row_number() over (order by last_at, id) place from incident"
            # A short number might be taken for something else.
            " where ended_at is not null and number >= 1000000000000"
        )
        cursor.execute("select id, number, source, source_id, last_at from seed order by place")
        self.seeds = [_Seed(*row) for row in cursor.fetchall()]
        cursor.execute(
            "select min(i.id), max(i.id), coalesce(min(a.id), 0), coalesce(max(a.id), 0)"
            " from incident i left join assignment a on a.incident_id = i.id"
        )
        first, last, first_part, last_part = cursor.fetchall()[0]
        self._first, self._first_part = int(first), int(first_part)
        self.ids, self.part_ids = _blocks(last - first + 1), _blocks(last_part - first_part + 1)
        self._known = {str(s.number): f"n{s.number}" for s in self.seeds}
        self._known |= {f"{s.number:016d}": f"p{s.number}" for s in self.seeds if s.number < 10**15}
        self._known |= {s.source_id: f"s{s.source_id}" for s in self.seeds}
        self._dates: set[str] = set()
        self._lines = {
            table: self._read(cursor, table, columns.names)
            for table, columns in (("incident", INCIDENT), ("assignment", ASSIGNMENT), ("segment", SEGMENT))
        }
        self._lines["receipt"] = _Lines([[f"⟦n{s.number}⟧\t⟦i{s.id}⟧"] for s in self.seeds])
        self._read_events(cursor)
        cursor.execute("select distinct id from assignment")
        self._parts = [int(row[0]) for row in cursor.fetchall()]

    def copy(self, place: int, weeks: int, before: datetime) -> tuple[int, Batch]:
        """Return how many incidents the copy `weeks` later has, and its rows; none ended at or after `before`.

        `place` is that of the copy among all, from 0: its ids lie behind those of the earlier ones.
        """
        shift = timedelta(days=WEEK * weeks)
        count = sum(seed.last_at + shift < before for seed in self.seeds)
        swap = {"": b"\n"} | {d: str(date.fromisoformat(d) + shift).encode() for d in self._dates}
        for seed in self.seeds:
            source_id = f"{date.fromisoformat(seed.source_id[:8]) + shift:%Y%m%d}{seed.source_id[8:]}"
            number = number_of(seed.source, source_id)
            swap[f"s{seed.source_id}"], swap[f"n{seed.number}"] = source_id.encode(), b"%d" % number
            swap[f"p{seed.number}"] = b"%016d" % number
            swap[f"i{seed.id}"] = b"%d" % self._id(seed.id, place)
        first_part = ID_BLOCK + place * self.part_ids - self._first_part
        swap |= {f"a{part}": b"%d" % (part + first_part) for part in self._parts}
        events = self._linked(swap, place, shift, count)  # notes the heads that incidents name
        return count, {
            table: events if table == "event" else self._lines[table].filled(swap, count) for table in _TABLES
        }

    def _id(self, seed: int, place: int) -> int:
        return ID_BLOCK + place * self.ids + seed - self._first

    def _marked(self, text: str) -> str:
        """Put marks where a text names a day, a number or a source's id."""

        def mark(found: re.Match[str]) -> str:
            if day := found["date"]:
                self._dates.add(day)
                return f"⟦{day}⟧"
            known = self._known.get(found["digits"])
            return found["digits"] if known is None else f"⟦{known}⟧"

        return _OF_ITS_OWN.sub(mark, text)

    def _json(self, text: str) -> str:
        """Put marks into JSON, also where it names assignments."""
        if '"id"' in text or '"assignment"' in text or '"parts"' in text:
            text = _ID.sub(r"\1", encode(_with_parts(msgspec.json.decode(text))).decode())
        return self._marked(text)

    def _read(self, cursor: psycopg.Cursor[Any], table: str, names: tuple[str, ...]) -> _Lines:
        """Read the rows of a table as COPY writes them."""
        key = "id" if table == "incident" else "incident_id"
        found: dict[int, list[str]] = {seed.id: [] for seed in self.seeds}
        with cursor.copy(
            f"copy (select {', '.join(f't.{name}' for name in names)} from {table} t"
            f" join seed on seed.id = t.{key} order by place, 1, 2) to stdout".encode()
        ) as copy:
            rows = b"".join(copy).decode().splitlines()
        for row in rows:
            values = dict(zip(names, row.split("\t"), strict=True))
            owner = int(values[key])
            marked = {
                name: _escaped(self._json(_unescaped(value)))
                if name in ("clocks", "facts")
                else self._marked(value)
                for name, value in values.items()
            }
            marked[key] = f"⟦i{owner}⟧"
            if table == "assignment":
                marked["id"] = f"⟦a{values['id']}⟧"
            if table == "incident":
                marked["head"] = rf"\\x⟦h{owner}⟧"
            found[owner].append("\t".join(marked.values()))
        return _Lines(list(found.values()))

    def _read_events(self, cursor: psycopg.Cursor[Any]) -> None:
        """Read what a link is taken over, apart from what is only written."""
        cursor.execute(
            "select incident_id, e.seq, at, verb, actor, cause, policy_version, data::text"
            " from event e join seed on seed.id = e.incident_id order by place, e.seq"
        )
        self._events: list[tuple[int, int, int, bytes, int]] = []
        texts: dict[int, list[str]] = {seed.id: [] for seed in self.seeds}
        for owner, seq, at, verb, actor, cause, policy, data in cursor.fetchall():
            assert f"{actor}{cause}".isascii()
            self._events.append((owner, seq, (at - _EPOCH) // _MICROSECOND, verb.encode(), policy))
            texts[owner].append(
                "\t".join((self._marked(str(at)), self._marked(actor), self._marked(cause), self._json(data)))
            )
        self._texts = _Lines(list(texts.values()))

    def _linked(self, swap: Swap, place: int, shift: timedelta, count: int) -> bytes:
        """Return the events of a copy as COPY reads them, and note in `swap` the last hash of each incident.

        Links are those of `dispatch.rules.incident.links`, written in bytes: there are millions.
        """
        lines, current, key, head = [], 0, 0, GENESIS
        later = shift // _MICROSECOND
        for (owner, seq, at, verb, policy), text in zip(
            self._events, self._texts.filled(swap, count).split(b"\n"), strict=False
        ):
            if owner != current:
                if current:
                    swap[f"h{current}"] = head.hex().encode()
                current, key, head = owner, self._id(owner, place), GENESIS
            if not text:
                break
            moved, actor, cause, data = text.split(b"\t")
            head = sha256(
                b"%bv2\t%d\t%d\t%d\t%d:%b\t%d:%b\t%d:%b\t%d\t%b"
                % (
                    head,
                    key,
                    seq,
                    at + later,
                    len(verb),
                    verb,
                    len(actor),
                    actor,
                    len(cause),
                    cause,
                    policy,
                    data,
                )
            ).digest()
            lines.append(
                b"%d\t%d\t%b\t%b\t%b\t%b\t%d\t%b\t\\\\x%b"
                % (
                    key, seq, moved, verb, actor, cause, policy, data.replace(b"\\", b"\\\\"),
                    head.hex().encode(),
                )
            )  # fmt: skip
        swap[f"h{current}"] = head.hex().encode()
        return b"\n".join((*lines, b""))


def grow(
    database_url: str, count: int, until: datetime | None = None, per_day: int = PER_DAY, seed: int = 7
) -> int:
    """Give a city without incidents at least `count` of the past, and its last days; return how many it has.

    The copies end before the last days begin, so that the city's present is that of one which only has these.
    """
    until = until or datetime.now(UTC)
    with psycopg.connect(psycopg_dsn(database_url), autocommit=True) as connection:
        row = connection.execute("select exists (select from incident)").fetchone()
        assert row == (False,), "the city must be without incidents"
        _live(database_url, until, BEGAN_DAYS_AGO, BEGAN_DAYS_AGO - WEEK + 1, per_day, seed)
        connection.execute("set synchronous_commit = off")
        connection.execute(f"set maintenance_work_mem = '{_MEMORY}'".encode())
        with connection.cursor() as cursor:
            week = Week(cursor)
            midnight = Policies(cursor).in_force(until).calendar.midnight(until)
        _written(connection, week, count, midnight - timedelta(days=RECENT_DAYS))
        recent(database_url, until, per_day, seed)
        connection.execute("vacuum analyze")
        connection.execute("checkpoint")
        row = connection.execute("select count(*) from incident").fetchone()
        assert row is not None
        return int(row[0])


def recent(database_url: str, until: datetime, per_day: int = PER_DAY, seed: int = 7) -> None:
    """Let a city live its last days up to `until`."""
    _live(database_url, until, RECENT_DAYS, 0, per_day, seed)


def _live(database_url: str, until: datetime, days: int, first: int, per_day: int, seed: int) -> None:
    # Without photos, which would go to a store that outlives the benchmark.
    for _ in history.write(database_url, until, days, per_day, seed, first, photographed=0):
        pass


def _written(connection: psycopg.Connection[Any], week: Week, count: int, before: datetime) -> None:
    """Put copies of a week, the oldest first, in the place of whatever is there."""
    copies = -(-count // len(week.seeds)) + 1  # the youngest lack what had not ended
    newest = (BEGAN_DAYS_AGO - WEEK - RECENT_DAYS) // WEEK
    # Indexes are built once at the end instead of row by row.
    indexes = connection.execute(
        "select indexname, indexdef from pg_indexes i where tablename in ('incident', 'event', 'assignment')"
        " and schemaname = 'public' and not exists (select from pg_constraint where conname = i.indexname)"
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f"drop index {name}".encode())
    made = 0
    with connection.transaction(), connection.cursor() as cursor:
        # Of rows that hang together already: foreign keys need not be looked up again.
        cursor.execute("set local session_replication_role = replica")
        cursor.execute("update team set load = 0 where load <> 0")
        cursor.execute(f"truncate {', '.join(_TABLES)} cascade".encode())
        statements = {
            "incident": INCIDENT.names, "event": EVENT.names, "assignment": ASSIGNMENT.names,
            "segment": SEGMENT.names, "receipt": ("key", "incident_id"),
        }  # fmt: skip
        for place, (n, batch) in enumerate(
            _ahead(lambda place: week.copy(place, newest - copies + 1 + place, before), copies)
        ):
            for table, rows in batch.items():
                names = ", ".join(statements[table])
                with cursor.copy(f"copy {table} ({names}) from stdin (freeze)".encode()) as copy:
                    copy.write(rows)
            made += n
            if place % 20 == 19:
                print(f"{made:,} incidents of the past written", flush=True)
        for sequence, used in (("incident_block", week.ids), ("assignment_block", week.part_ids)):
            blocks = 1 + copies * used // ID_BLOCK
            cursor.execute("select setval(%s, %s, false)", (sequence, blocks))
    for _, definition in indexes:
        connection.execute(definition.encode())


def _ahead(make: Callable[[int], tuple[int, Batch]], copies: int) -> Iterator[tuple[int, Batch]]:
    """Yield what `make` returns for 0, 1, 2 …, made in a thread of its own while the database writes."""
    made: Queue[tuple[int, Batch] | BaseException] = Queue(AHEAD)

    def work() -> None:
        try:
            for place in range(copies):
                made.put(make(place))
        except BaseException as error:
            made.put(error)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    for _ in range(copies):
        one = made.get()
        if isinstance(one, BaseException):
            raise one
        yield one
    worker.join()


def _blocks(ids: int) -> int:
    """Round ids up to whole blocks."""
    return -(-ids // ID_BLOCK) * ID_BLOCK


def _with_parts(value: Any, under: str = "") -> Any:
    """Put marks in the place of the ids of assignments, by the names under which events and facts hold them."""
    if isinstance(value, dict):
        return {
            key: f"⟦a{each}⟧"
            if type(each) is int and (key == "assignment" or (key == "id" and under == "assignments"))
            else _with_parts(each, key)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [
            f"⟦a{each}⟧" if under == "parts" and type(each) is int else _with_parts(each, under)
            for each in value
        ]
    return value


def _escaped(text: str) -> str:
    """Write JSON, which holds no control characters, for COPY."""
    return text.replace("\\", "\\\\")


def _unescaped(text: str) -> str:
    """Read JSON as COPY wrote it."""
    return text.replace("\\\\", "\\")
