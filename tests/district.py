"""Put the city of `tests.small_law` into a database by COPY: 1 city, 2 counties, 3 towns, villages, cells, teams."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import psycopg
import shapely

from dispatch.desk import store
from dispatch.desk.desk import Desk
from dispatch.rules.incident.chain import Event, Report, replay
from dispatch.rules.incident.links import GENESIS, holds
from models.servers.database import psycopg_dsn
from tests.small_law import (
    CITY,
    COUNTY,
    FAR_TOWN,
    MICRO,
    MONDAY,
    NEXT_TOWN,
    NEXT_VILLAGE,
    OTHER_COUNTY,
    TOWN,
    VILLAGE,
    policy_files,
    report,
    small_policy,
    teams,
)

FAR_VILLAGE, OTHER_VILLAGE = "445321001001", "445302002001"
CELLS = (MICRO, "44530200100200001", "44530200200100001", "44532100100100001")
CELL_AT = tuple((112.0 + n / 100, code) for n, code in enumerate(CELLS))
AREAS = (
    CITY, COUNTY, OTHER_COUNTY, TOWN, NEXT_TOWN, FAR_TOWN, VILLAGE, NEXT_VILLAGE, OTHER_VILLAGE, FAR_VILLAGE, *CELLS,
)  # fmt: skip
LEVELS = {6: 2, 9: 3, 12: 4, 17: 6}


def build(database: str) -> None:
    """Insert areas, one organisation, the teams, the event types and the policy as version 7."""
    policy = small_policy()
    with psycopg.connect(psycopg_dsn(database)) as connection, connection.cursor() as cursor:
        _copy(
            cursor,
            "area (code, level, name, parent, lon, lat)",
            [
                (code, 1 if code == CITY else LEVELS[len(code)], code, _parent(code), 112.0, 22.9)
                for code in AREAS
            ],
        )
        _copy(
            cursor,
            "area_shape (code, wkb, schematic)",
            [(code, shapely.to_wkb(shapely.box(x, 22.9, x + 0.005, 22.905)), True) for x, code in CELL_AT],
        )
        _copy(cursor, "organisation (id, name, kind, area_code)", [(1, "中心", "centre", CITY)])
        _copy(
            cursor,
            "team (id, organisation_id, name, trade, area_code, capacity)",
            [(t.id, 1, t.name, t.trade, t.area_code, t.capacity) for t in teams()],
        )
        _copy(
            cursor,
            "category (code, name, name_en, theme, severity, mode)",
            [(k.code, k.name, k.name_en, k.theme, k.severity, k.mode) for k in policy.types.values()],
        )
        publish(cursor, 7, policy_files())


def publish(cursor: psycopg.Cursor[Any], version: int, files: dict[str, str]) -> None:
    """Insert one version of the policy, in force since 2020."""
    cursor.execute(
        "insert into policy_version (version, valid_from, files, digest) values (%s, '2020-01-01', %s, %s)",
        (version, json.dumps(files), f"digest {version}"),
    )


def rows(database: str, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Return what a query finds."""
    with psycopg.connect(psycopg_dsn(database)) as connection:
        return connection.execute(query.encode(), values).fetchall()


def value(database: str, query: str, *values: object) -> Any:
    """Return the one value that a query finds."""
    [(found,)] = rows(database, query, *values)
    return found


def opened(desk: Desk, category: str, count: int = 1, first: int = 1) -> None:
    """Report some of a kind at Monday nine."""
    reports: list[Report] = [report(category, number=n) for n in range(first, first + count)]
    assert {outcome.status for outcome in desk.report(reports, MONDAY)} == {"done"}


def check_everything(database: str) -> None:
    """Every incident's events give its row, its hashes hold, its segments are exact, and every load is true."""
    with psycopg.connect(psycopg_dsn(database)) as connection, connection.cursor() as cursor:
        ids = [row[0] for row in cursor.execute("select id from incident order by id").fetchall()]
        loaded = store.load(cursor, ids)
        for incident_id in ids:
            events = store.events_of(cursor, incident_id)
            folded = replay(events)
            past, folded.past = folded.past, []
            folded.parts = dict(sorted(folded.parts.items()))
            assert folded == loaded[incident_id].incident, f"incident {incident_id}"
            assert [e.seq for e in events] == list(range(1, len(events) + 1))
            assert broken_links(cursor, incident_id) == []
            kept = cursor.execute(
                "select seq, holder, awaits, paused_why, began_at, ended_at from segment"
                " where incident_id = %s order by seq",
                (incident_id,),
            ).fetchall()
            told = [(s.seq, s.holder, s.awaits, s.paused_why, s.began_at, s.ended_at) for s in past]
            if folded.ended_at is None:
                told.append(
                    (folded.segment, folded.holder, folded.awaits, folded.paused_why, folded.held_since, None)  # type: ignore[arg-type]
                )
            assert kept == told, f"segments of incident {incident_id}"
            if "former" not in folded.facts:
                _sum_exactly(events, kept)
        assert named_otherwise(cursor) == [], "the next limit is not what the clocks say"
        wrong = cursor.execute(
            "select id, load, n from team, lateral (select count(*) n from assignment a where a.team_id = team.id"
            " and a.state in ('sent', 'picked_up', 'on_site')) held where load <> n"
        ).fetchall()
        assert wrong == [], "teams whose load is not what they hold"


def named_otherwise(cursor: psycopg.Cursor[Any]) -> list[tuple[Any, ...]]:
    """Compare each incident's next limit, and the clocks named beside it, with the clocks themselves, in plain SQL."""
    return cursor.execute(
        "with running as (select i.id, c.kind as name, (c.clock ->> 'due')::timestamptz as due"
        " from incident i, jsonb_each(i.clocks) c(kind, clock)"
        " where i.ended_at is null and c.clock ->> 'state' = 'running'"
        " union all select i.id, c.kind || '/' || a.id, (c.clock ->> 'due')::timestamptz"
        " from incident i join assignment a on a.incident_id = i.id, jsonb_each(a.clocks) c(kind, clock)"
        " where i.ended_at is null and c.clock ->> 'state' = 'running'"
        " and a.state in ('review', 'sent', 'picked_up', 'on_site')),"
        " first as (select id, min(due) as due from running group by id),"
        " should as (select f.id, f.due, string_agg(r.name, ' ' order by r.name collate \"C\") as names"
        " from first f join running r on r.id = f.id and r.due = f.due group by f.id, f.due)"
        " select i.id, i.due_at, s.due, i.due_clocks, s.names from incident i left join should s on s.id = i.id"
        " where i.due_at is distinct from s.due or i.due_clocks is distinct from s.names"
    ).fetchall()


def broken_links(cursor: psycopg.Cursor[Any], incident_id: int) -> list[int]:
    """Recompute the hash chain of an incident from its rows; return the events at which it does not hold."""
    head, broken = GENESIS, []
    found = cursor.execute(
        "select seq, at, verb, actor, cause, policy_version, data::text, hash from event"
        " where incident_id = %s order by seq",
        (incident_id,),
    ).fetchall()
    for seq, at, verb, actor, cause, policy, data, kept in found:
        if not holds(bytes(kept), head, incident_id, seq, at, verb, actor, cause, policy, data):
            broken.append(seq)
        head = bytes(kept)
    row = cursor.execute("select head from incident where id = %s", (incident_id,)).fetchone()
    if row is None or bytes(row[0]) != head:
        broken.append(len(found) + 1)
    return broken


def _sum_exactly(events: Sequence[Event], kept: list[tuple[Any, ...]]) -> None:
    last: datetime = kept[-1][5] or events[-1].at
    held = sum(((end or last) - begin for *_, begin, end in kept), timedelta())
    assert held == last - events[0].at
    assert [a[5] for a in kept[:-1]] == [b[4] for b in kept[1:]]


def _parent(code: str) -> str | None:
    if len(code) == 6:
        return None if code == CITY else CITY
    return code[: {9: 6, 12: 9, 17: 12}[len(code)]]


def _copy(cursor: psycopg.Cursor[Any], into: str, lines: Sequence[tuple[Any, ...]]) -> None:
    with cursor.copy(f"copy {into} from stdin".encode()) as copy:
        for line in lines:
            copy.write_row(line)
