"""Proves the workbench's queue: what waits in it, when rows are sent, and that nobody hears beyond their own area."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from dashboard import data
from dashboard.access import COOKIE
from dashboard.data import CityReads
from dashboard.live import Client, Live, Picture
from dashboard.live.picture import WHISTLES_OVER
from dashboard.live.queue import DeskLine, next_clock, stage_of
from dashboard.routes.queue_stream import DeskStream
from dispatch.accounts import sessions
from dispatch.rules.incident.chain import Actor
from models.servers.database import psycopg_dsn
from tests.beside_the_desk import DISPATCHER, DUTY, Town
from tests.small_city import EAST, TOWN, WEST


def picture_of(reads: CityReads) -> Picture:
    now = datetime.now(UTC)
    return Picture(reads.directory(), reads.snapshot(reads.known().calendar.midnight(now)), now)


def rows_of(names: bytes | None) -> dict[int, dict[str, Any]]:
    return {} if names is None else {int(row["id"]): row for row in json.loads(b"{" + names + b"}")["rows"]}


def test_a_whistle_under_review_waits_for_the_desk_with_its_own_clock(town: Town, reads: CityReads) -> None:
    incident_id = town.report()
    worker = Actor("grid_worker:x", "grid_worker", EAST)
    town.act("whistle", incident_id, worker, whistle_kind="hard", reason="难", team_id=town.teams()[0])
    picture = picture_of(reads)
    row = picture.row(incident_id)
    assert row is not None
    assert stage_of(row) == "approve"
    kinds = {part.state for part in row.parts}
    assert kinds == {"review"}
    clock = next_clock(row)
    assert clock is not None
    assert clock[0] in ("review", "accept")


def test_a_suspended_case_has_no_limit_but_keeps_its_place(town: Town, reads: CityReads) -> None:
    incident_id = town.report()
    until = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    town.act("suspend", incident_id, DUTY, reason="等批复", until=until)
    line = DeskLine(TOWN, "zh")
    row = rows_of(line.renew(picture_of(reads)))[incident_id]
    assert row["due"] is None
    assert row["paused"] == "等批复"
    assert row["left"] > 0


def test_rows_are_sent_when_they_change_and_once_more_when_they_end(town: Town, reads: CityReads) -> None:
    east, west = town.report(EAST), town.report(WEST, at=(113.018, 23.008))
    picture = picture_of(reads)
    line = DeskLine(EAST, "zh")
    assert east in rows_of(line.renew(picture))
    assert west not in line.rows
    assert line.changed(picture, [east, west]) is None

    def follow() -> set[int]:
        changes = reads.changes(picture.cursor)
        assert changes is not None
        picture.take_touched()
        for row in changes.rows:
            picture.fold(row)
        picture.cursor = changes.cursor
        return picture.take_touched()

    town.act("accept", east)
    names = rows_of(line.changed(picture, follow()))
    assert names[east]["stage"] == "dispatch"
    assert names[east]["who"] == DISPATCHER.id
    town.act("void", east, reason="重复")
    names = rows_of(line.changed(picture, follow()))
    assert names[east]["stage"] == ""
    assert east not in line.rows


def test_a_burst_is_told_with_the_rows_and_again_when_its_cases_change(town: Town, reads: CityReads) -> None:
    now = datetime.now(UTC)
    picture = Picture(reads.directory(), reads.snapshot(reads.known().calendar.midnight(now)), now)
    policy = picture.directory.bursts
    assert policy is not None
    line = DeskLine(TOWN, "zh")
    before = json.loads(b"{" + line.renew(picture) + b"}")["bursts"]
    assert "暴雨" not in {each["name"] for each in before}

    def follow() -> dict[str, Any]:
        changes = reads.changes(picture.cursor)
        assert changes is not None
        for row in changes.rows:
            picture.fold(row)
        picture.cursor = changes.cursor
        told_rows = line.changed(picture, picture.take_touched())
        assert told_rows is not None
        found: dict[str, Any] = json.loads(b"{" + told_rows + b"}")
        return found

    picture.take_touched()
    storm = town.reports(policy.least, category="0803")
    (burst,) = [each for each in follow()["bursts"] if each not in before]
    assert (burst["name"], burst["ids"]) == ("暴雨", list(map(str, storm)))
    # A step that takes nobody out of it says nothing anew.
    town.act("accept", storm[0])
    assert "bursts" not in follow()
    town.act("void", storm[0], DUTY, reason="误报")
    assert follow()["bursts"] == before


def test_the_queue_is_for_those_signed_in_and_of_their_own_area_alone(reads: CityReads, city: str) -> None:
    async def answers() -> list[int]:
        live = Live(reads, None, demo=True)
        async with live.running():
            app = Starlette(routes=[Route("/desk/{area}", DeskStream(reads, live).stream)])
            found = []
            for login, area in (("", TOWN), ("village", TOWN), ("resident", EAST), ("dispatcher", "445300")):
                client = TestClient(app)
                if login:
                    answer = data.sign_in(reads, login, sessions.DEMO_PASSWORD)
                    assert isinstance(answer, tuple)
                    client.cookies.set(COOKIE, answer[0])
                found.append((await asyncio.to_thread(client.get, f"/desk/{area}")).status_code)
            return found

    assert asyncio.run(answers()) == [401, 404, 404, 404]


def test_the_counts_of_the_bar_are_those_of_the_queue_and_for_those_signed_in(
    town: Town, reads: CityReads, city: str
) -> None:
    late, paused = town.reports(2)
    with psycopg.connect(psycopg_dsn(city), autocommit=True) as connection:
        # As if their limits had been passed; of what is suspended none is.
        connection.execute(
            "update incident set due_at = now() - interval '1 hour', clocks = jsonb_set(clocks, '{accept,due}',"
            " to_jsonb(to_char(now() - interval '1 hour', 'YYYY-MM-DD\"T\"HH24:MI:SSOF') || ':00'))"
            " where id = any(%s)",
            ([late, paused],),
        )
        connection.execute("update incident set paused_why = 'rain' where id = %s", (paused,))
    now = datetime.now(UTC)
    picture = Picture(reads.directory(), reads.snapshot(reads.known().calendar.midnight(now)), now)
    rows = [json.loads(each) for each in _renewed(DeskLine(TOWN, "zh"), picture)]
    expected = [
        row["id"] for row in rows if row["due"] and row["due"] < now.timestamp() * 1000 and not row["paused"]
    ]
    assert str(late) in expected

    async def answers() -> list[Any]:
        live = Live(reads, None, demo=True)
        app = Starlette(routes=[Route("/counts", DeskStream(reads, live).counts)])
        client = TestClient(app)
        found: list[Any] = [client.get("/counts").status_code]
        answer = data.sign_in(reads, "dispatcher", sessions.DEMO_PASSWORD)
        assert isinstance(answer, tuple)
        client.cookies.set(COOKIE, answer[0])
        # Before the first look at the city nothing is known, and nothing is said.
        found.append(client.get("/counts").status_code)
        async with live.running():
            found.append((await asyncio.to_thread(client.get, "/counts")).json())
        return found

    stranger, unknown, known = asyncio.run(answers())
    assert (stranger, unknown) == (401, 503)
    assert known == {"workbench": len(expected), "whistles": picture.counts[TOWN][WHISTLES_OVER]}
    with psycopg.connect(psycopg_dsn(city), autocommit=True) as connection:
        connection.execute("update incident set paused_why = null where id = %s", (paused,))


def _renewed(line: DeskLine, picture: Picture) -> list[bytes]:
    line.renew(picture)
    return list(line.rows.values())


def test_a_desk_hears_the_whole_first_and_then_what_changes(town: Town, reads: CityReads) -> None:
    incident_id = town.report()

    async def heard() -> list[dict[str, Any]]:
        live = Live(reads, None, demo=True)
        names: list[dict[str, Any]] = []
        async with live.running():
            client = Client(None)
            async for message in live.desk(TOWN, "zh", client):
                if b"data: " not in message:
                    continue
                said = json.loads(message.partition(b"data: ")[2])
                if "rows" not in said:
                    continue
                names.append(said)
                if len(names) == 1:
                    await asyncio.to_thread(town.act, "accept", incident_id)
                else:
                    break
        return names

    first, then = asyncio.run(asyncio.wait_for(heard(), 30))
    assert first["full"]
    assert str(incident_id) in {row["id"] for row in first["rows"]}
    assert {row["id"]: row["stage"] for row in then["rows"]}[str(incident_id)] == "dispatch"
