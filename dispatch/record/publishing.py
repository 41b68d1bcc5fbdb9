"""Publish the city's policy: check its files, compare, try them on the past, and add them as a new version."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from itertools import groupby, islice
from typing import Any

import msgspec
import psycopg

from dispatch.record.policies import Policies
from dispatch.rules.incident.values import Assignment
from dispatch.rules.measures.whatif import Case, lives
from dispatch.rules.policy import policy as policies
from dispatch.rules.policy.policy import Policy
from dispatch.rules.time.clocks import Clock
from models.cities.loading import digest

FETCH_ROWS = 5_000  # events held in memory at a time
DIFF_LINES = 200  # shown of each file
LOCK_TIMEOUT = "10s"
_TYPE = ("code", "name", "name_en", "theme", "severity", "mode")


class PublishError(RuntimeError):
    """The policy was not published; says why."""


class _Step(msgspec.Struct):
    """The part of an event's change that clocks are in."""

    clocks: dict[str, Clock] = {}
    assignments: list[Assignment] = []


_step = msgspec.json.Decoder(_Step)


def in_force(connection: psycopg.Connection[Any]) -> tuple[int, dict[str, str]]:
    """Return the version in force today and its files; PublishError where there is none."""
    with connection.cursor() as cursor:
        try:
            version = Policies(cursor).in_force(datetime.now(UTC)).version
        except LookupError as fault:
            raise PublishError("The database holds no policy: load a city first.") from fault
        row = cursor.execute("select files from policy_version where version = %s", (version,)).fetchone()
    assert row is not None
    return version, row[0]


def publish(
    connection: psycopg.Connection[Any], files: Mapping[str, str], note: str, valid_from: date
) -> int:
    """Publish files that are right as the next version, in one transaction; return its number.

    No version is ever edited, and incidents keep the one they were opened under. Raises PublishError for files that
    are wrong or published already, and for a day that is over or lies before that of the version before.
    """
    faults = policies.problems(files)
    if faults:
        raise PublishError(f"The policy is not right: {faults[0]}")
    if not note.strip():
        raise PublishError("Say why in --note.")
    policy = policies.parse(0, files)
    today = policy.calendar.local(datetime.now(UTC)).date()
    with connection.transaction():
        connection.execute(f"set local lock_timeout = '{LOCK_TIMEOUT}'".encode())
        # Two that publish at once: the second waits here, and then follows the first.
        connection.execute("lock table policy_version in share row exclusive mode")
        key = digest(files)
        same = connection.execute("select version from policy_version where digest = %s", (key,)).fetchone()
        if same is not None:
            raise PublishError(f"These very files are version {same[0]} already.")
        row = connection.execute(
            "select version, valid_from from policy_version order by version desc limit 1"
        ).fetchone()
        if row is None:
            raise PublishError("The database holds no policy: load a city first.")
        last, since = row
        if valid_from < today:
            raise PublishError(f"{valid_from} is over: a policy does not reach back.")
        if valid_from < since:
            raise PublishError(f"Version {last} begins on {since}; a later version cannot begin before it.")
        connection.execute(
            "insert into policy_version (version, valid_from, files, digest, note) values (%s, %s, %s, %s, %s)",
            (last + 1, valid_from, json.dumps(dict(files), ensure_ascii=False), key, note.strip()),
        )
        with connection.cursor() as cursor:
            if valid_from == today:
                write_types(cursor, policy)
            else:
                # Until its day it is no type of this city; from then on a report finds it, however early it comes.
                cursor.executemany(
                    f"insert into category ({', '.join(_TYPE)}, retired) values (%s, %s, %s, %s, %s, %s, true)"
                    " on conflict (code) do nothing",
                    _types(policy),
                )
    return int(last) + 1


def write_types(cursor: psycopg.Cursor[Any], policy: Policy) -> int:
    """Let the table of types say what a policy says, which is to be the one in force; return how many rows differed.

    A type that the policy does not have is kept, for the incidents that are of it, and retired.
    """
    held = cursor.execute(f"select {', '.join(_TYPE)} from category where not retired").fetchall()
    wanted = _types(policy)
    news = [row for row in wanted if row not in set(held)]
    cursor.executemany(
        f"insert into category ({', '.join(_TYPE)}) values (%s, %s, %s, %s, %s, %s) on conflict (code) do update"
        f" set {', '.join(f'{column} = excluded.{column}' for column in _TYPE[1:])}, retired = false",
        news,
    )
    gone = [row[0] for row in held if row[0] not in policy.types]
    cursor.execute("update category set retired = true where code = any(%s)", (gone,))
    return len(news) + len(gone)


def _types(policy: Policy) -> list[tuple[Any, ...]]:
    return [tuple(getattr(each, column) for column in _TYPE) for each in policy.types.values()]


def differences(held: Mapping[str, str], files: Mapping[str, str]) -> Iterator[str]:
    """Yield what leads from the files held to those given, as a unified diff, so many lines of each file."""
    for name in sorted({*held, *files}):
        lines = difflib.unified_diff(
            held.get(name, "").splitlines(), files.get(name, "").splitlines(),
            f"in force/{name}", f"new/{name}", lineterm="", n=0,
        )  # fmt: skip
        shown = list(islice(lines, DIFF_LINES + 1))
        yield from shown[:DIFF_LINES]
        if len(shown) > DIFF_LINES:
            yield f"… {name} differs in more than {DIFF_LINES} lines"


def cases(connection: psycopg.Connection[Any], since: datetime) -> Iterator[Case]:
    """Read every incident reported since an instant as its events tell it, a few thousand events at a time."""
    with (
        connection.transaction(),
        connection.cursor() as other,
        connection.cursor("policy_dry_run") as cursor,
    ):
        laws = Policies(other)
        cursor.itersize = FETCH_ROWS
        cursor.execute(
            "select i.id, i.category, i.severity, i.mode, i.area_code, i.policy_version, i.ended_at is not null,"
            " e.data::text from incident i"
            " join event e on e.incident_id = i.id where i.reported_at >= %s order by i.id, e.seq",
            (since,),
        )
        for (_, category, severity, mode, area, version, ended), rows in groupby(
            cursor, key=lambda row: row[:7]
        ):
            steps = (_step.decode(row[7]) for row in rows)
            clocks = lives((step.clocks, step.assignments) for step in steps)
            if ended:
                # What still ran when the incident ended by another road ended with it, unjudged.
                clocks = [(kind, clock) for kind, clock in clocks if clock.ended is not None]
            then = laws.version(version).types.get(category)
            yield Case(
                category, severity, mode, area, tuple(clocks),
                as_grave=then is not None and then.severity == severity,
                handled_as=then is not None and then.mode == mode,
            )  # fmt: skip
