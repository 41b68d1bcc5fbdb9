"""Proves the live picture: folding, counting, time, and what each client gets sent."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import msgspec
import psycopg
import pytest
import redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from dashboard import live
from dashboard.data import CityReads, LiveRow
from dashboard.live import Client, Live, Minute, Picture, tiles
from dispatch.desk import nudges, wartime
from dispatch.desk.desk import Desk
from dispatch.rules.areas import ancestors, prefix_of
from dispatch.rules.incident.chain import SYSTEM, Actor, Command, Report
from dispatch.rules.refusals import Refusal
from dispatch.rules.time.calendar import Calendar
from dispatch.rules.wartime import Declaration
from models.servers.database import psycopg_dsn
from tests.templates import CityOf

CITY, OTHER_COUNTY = "445300", "445381"
PATIENCE_S = 120.0
_serial = count(1)


@pytest.fixture(scope="module")
def city(city_of: CityOf) -> Iterator[str]:
    """Load the demo city once; tests that write use incidents of their own."""
    with city_of("demo") as url:
        yield url


@pytest.fixture
def reads(city: str) -> Iterator[CityReads]:
    reads = CityReads(city)
    yield reads
    reads.close()


class People:
    """Report and act as the demo's people would."""

    def __init__(self, url: str, stream: redis.Redis | None = None) -> None:
        self.desk = Desk(url, stream)
        self.reads = CityReads(url)

    def report(self, area: str, category: str = "0104", at: datetime | None = None) -> int:
        n = next(_serial)
        at = at or datetime.now(UTC)
        report = Report(n, "test", str(n), category, "a <b>test</b>", "", area, 112.0, 22.9, "point", at)
        outcome = self.desk.report([report], at)[0]
        assert outcome.incident_id is not None, outcome.refusal
        return outcome.incident_id

    def act(self, verb: str, incident_id: int, actor: Actor, at: datetime | None = None, **args: Any) -> None:
        command = Command(verb, incident_id, actor, f"c{next(_serial)}", args)
        outcome = self.desk.act([command], at or datetime.now(UTC))[0]
        assert outcome.status == "done", outcome.refusal and outcome.refusal.words("en")


DISPATCHER = Actor("dispatcher", "dispatcher", CITY)


def cell(reads: CityReads, prefix: str = "445302001") -> str:
    areas = reads.directory().areas
    return next(code for code in sorted(areas) if code.startswith(prefix) and len(code) == 17)


def picture_of(reads: CityReads, now: datetime | None = None) -> Picture:
    now = now or datetime.now(UTC)
    return Picture(reads.directory(), reads.snapshot(reads.known().calendar.midnight(now)), now)


def plain(picture: Picture) -> dict[str, list[int]]:
    return {area: counts for area, counts in picture.counts.items() if any(counts)}


def test_one_directory_is_read_for_all_and_many_areas_only_where_they_changed(
    city: str, reads: CityReads, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = reads.known()
    assert reads.known() is first
    # The live picture reads it anew, beside the pages: they have what it read.
    fresh = reads.directory()
    assert reads.known() is fresh
    assert fresh is not first
    assert fresh.areas is first.areas
    monkeypatch.setattr("dashboard.data.directory.DIRECTORY_KEPT_S", 0.0)
    assert reads.known() is not fresh
    with psycopg.connect(psycopg_dsn(city), autocommit=True) as connection:
        connection.execute("update area set name_en = name_en || ' now' where code = %s", (OTHER_COUNTY,))
        assert reads.known().areas[OTHER_COUNTY].name_en == f"{first.areas[OTHER_COUNTY].name_en} now"
        connection.execute(
            "insert into area (code, level, name, parent) values ('445399', 2, 'New', '445300')"
        )
        assert "445399" in reads.known().areas
        connection.execute("delete from area where code = '445399'")
        assert "445399" not in reads.known().areas
        connection.execute(
            "update area set name_en = %s where code = %s", (first.areas[OTHER_COUNTY].name_en, OTHER_COUNTY)
        )


def test_folding_the_same_row_again_changes_nothing(city: str, reads: CityReads) -> None:
    people = People(city)
    people.report(cell(reads))
    picture = picture_of(reads)
    before = plain(picture)
    rows = reads.snapshot(picture.midnight).rows
    for row in rows * 3:
        picture.fold(row)
    assert plain(picture) == before


def test_counters_equal_what_sql_counts(city: str, reads: CityReads) -> None:
    people = People(city)
    for prefix in ("445302001", "445302002", "445381"):
        one = people.report(cell(reads, prefix))
        people.report(cell(reads, prefix))
        people.act("reject", one, DISPATCHER, reason="test")
    picture = picture_of(reads)
    with psycopg.connect(psycopg_dsn(city)) as connection:
        for area in (CITY, "445302", "445302001", "445381"):
            inside = (prefix_of(area) + "%", picture.midnight)
            row = connection.execute(
                "select count(*) filter (where ended_at is null), count(*) filter (where reported_at >= %s),"
                " count(*) filter (where ended_at is null and (overdue_since is not null or due_at < %s))"
                " from incident where area_code like %s",
                (inside[1], picture.now, inside[0]),
            ).fetchone()
            counts = picture.counts[area]
            assert row == (counts[live.OPEN], counts[live.REPORTED], counts[live.RED])


def test_every_level_is_the_sum_of_the_level_below(city: str, reads: CityReads) -> None:
    people = People(city)
    for prefix in ("445302001", "445303", "445322"):
        people.report(cell(reads, prefix))
    picture = picture_of(reads)
    minute = Minute.of(picture.directory, {}, picture.now)
    for area, counts in picture.counts.items():
        below = minute.children.get(area, [])
        own = [row for row in reads.snapshot(picture.midnight).rows if row.area_code == area]
        if below and not own:
            for mark in (live.OPEN, live.REPORTED, live.RED, live.YELLOW):
                assert counts[mark] == sum(
                    picture.counts[b.code][mark] for b in below if b.code in picture.counts
                )


def test_an_incident_that_moves_leaves_its_old_area(city: str, reads: CityReads) -> None:
    people = People(city)
    incident_id = people.report(cell(reads))
    picture = picture_of(reads)
    row = next(r for r in reads.snapshot(picture.midnight).rows if r.id == incident_id)
    before = picture.counts["445302"][live.OPEN], picture.counts[OTHER_COUNTY][live.OPEN]
    row.area_code = cell(reads, OTHER_COUNTY)
    picture.fold(row)
    after = picture.counts["445302"][live.OPEN], picture.counts[OTHER_COUNTY][live.OPEN]
    assert after == (before[0] - 1, before[1] + 1)


def test_time_alone_turns_a_light_yellow_then_red(city: str, reads: CityReads) -> None:
    people = People(city)
    now = datetime.now(UTC)
    incident_id = people.report(cell(reads), at=now)
    picture = picture_of(reads, now)
    row = next(r for r in reads.snapshot(picture.midnight).rows if r.id == incident_id)
    assert row.due_at is not None
    lights = []
    for share in (0.5, 0.81, 1.0, 1.001):
        picture.advance(now + (row.due_at - now) * share)
        kept = picture._kept[incident_id]
        lights.append(kept.light)
    assert lights == ["green", "yellow", "yellow", "red"]
    assert (
        incident_id in {r.id for r, light in picture.reds(CITY) if light == "red"}
        or len(picture.reds(CITY)) == 5
    )


def test_following_finds_every_change_and_no_gap(city: str, reads: CityReads) -> None:
    people = People(city)
    picture = picture_of(reads)
    at_first = picture.counts[CITY][live.REPORTED]
    # A slow transaction that began first commits last: following by number would lose it.
    with psycopg.connect(psycopg_dsn(city)) as slow:
        slow.execute("select pg_current_xact_id()")
        people.report(cell(reads))
        changes = reads.changes(picture.cursor)
        assert changes is not None
        assert changes.rows == []
        slow.commit()
    changes = reads.changes(changes.cursor)
    assert changes is not None
    for row in changes.rows:
        picture.fold(row)
    assert picture.counts[CITY][live.REPORTED] == at_first + 1


def test_escalations_and_supervisions_of_today_are_listed_once(city: str, reads: CityReads) -> None:
    people = People(city)
    incident_id = people.report(cell(reads))
    people.act("supervise", incident_id, Actor("county", "county", "445302"), reason="late")
    picture = picture_of(reads)
    count_before = picture.counts["445302"][live.SUPERVISED]
    for each in reads.snapshot(picture.midnight).raised * 2:
        picture.raise_(each)
    assert picture.counts["445302"][live.SUPERVISED] == count_before >= 1
    assert incident_id in {row.id for row, _ in picture.raised("445302")}


def test_wartime_stands_on_the_walls_that_it_touches_until_it_ends(city: str, reads: CityReads) -> None:
    picture = picture_of(reads)
    minute = Minute.of(picture.directory, {}, picture.now)
    now = datetime.now(UTC)
    own, above = Actor("county:a", "county", "445302"), Actor("county:b", "county", "445302")
    wish = Declaration(
        "445302", 2, "flood", "heavy rain", "the duty leader", own, above, now + timedelta(hours=4)
    )

    def follow() -> dict[str, Any]:
        picture.take_dirty()
        changes = reads.changes(picture.cursor)
        assert changes is not None
        assert changes.wartime is not None
        picture.declare(changes.wartime)
        picture.cursor = changes.cursor
        areas = (CITY, "445302", "445302001", "445321")
        return {
            area: json.loads(tiles(picture, minute, area, "en", True)["head"])["wartime"] for area in areas
        }

    with Desk(city) as desk:
        declared = wartime.declare(desk, wish, now)
        assert not isinstance(declared, Refusal)
        seen = follow()
        assert {CITY, "445302", "445302001"} <= picture.dirty
        here = {"level": 2, "what": "flood level II, orange", "where": ""}
        assert seen["445302"] == seen["445302001"] == here
        assert seen[CITY] == here | {"where": picture.directory.areas["445302"].name_en}
        assert seen["445321"] is None
        assert picture_of(reads).wartime == picture.wartime
        assert declared.id is not None
        assert not isinstance(
            wartime.end(desk, declared.id, own, "the rain is over", datetime.now(UTC)), Refusal
        )
    assert set(follow().values()) == {None}
    assert CITY in picture.dirty


def test_todays_numbers_begin_with_the_citys_own_day(city: str, reads: CityReads) -> None:
    """At one instant it is today in one city and still yesterday in another."""
    now = datetime(2026, 3, 1, 17, tzinfo=UTC)
    here = reads.directory()
    there = replace(here, calendar=Calendar("America/New_York"))
    begun = [Picture(each, reads.snapshot(now), now).midnight for each in (here, there)]
    assert begun == [datetime(2026, 3, 1, 16, tzinfo=UTC), datetime(2026, 3, 1, 5, tzinfo=UTC)]


def test_last_weeks_day_goes_on_at_the_same_hour(city: str, reads: CityReads) -> None:
    people = People(city)
    now = datetime.now(UTC)
    today = reads.known().calendar.midnight(now)
    begin = today - timedelta(days=7)
    # In a county for which no other test writes a past.
    people.report(cell(reads, "445303"), at=begin + timedelta(hours=1))
    people.report(cell(reads, "445303"), at=begin + timedelta(hours=2))
    picture = Picture(reads.directory(), reads.snapshot(today), today)
    minute = Minute.of(picture.directory, {}, now)
    # Until that day is read there is nothing to hold today against: no number is said, not even none.
    assert json.loads(tiles(picture, minute, CITY, "zh", True)["six"])["then"] is None
    assert {each[2] for each in json.loads(tiles(picture, minute, CITY, "zh", True)["ten"])} == {None}
    picture.look_back(reads.past(picture.midnight))
    assert json.loads(tiles(picture, minute, CITY, "zh", True)["six"])["then"] is not None
    seen = []
    for hours in (0.5, 1.5, 2.5):
        picture.advance(today + timedelta(hours=hours))
        seen.append(picture.then["445303"][live.REPORTED])
    assert [b - seen[0] for b in seen] == [0, 1, 2]


def test_a_history_that_is_written_later_is_held_against_today(city: str, reads: CityReads) -> None:
    async def seen() -> list[int]:
        people = People(city)
        async with running(city) as live_:
            picture = live_.picture
            assert picture is not None
            # In a county for which no other test writes a past, which goes on by the clock.
            cell_ = next(
                code
                for code in sorted(picture.directory.areas)
                if code.startswith("445302") and len(code) == 17
            )
            before = picture.then["445302"][live.REPORTED]
            people.report(cell_, at=picture.now - timedelta(days=7, minutes=5))
            await until(lambda: picture.past_written)
            await live_._every_minute(datetime.now(UTC))
            return [picture.then["445302"][live.REPORTED] - before, picture.past_written]

    now = datetime.now(UTC)
    if now - reads.known().calendar.midnight(now) < timedelta(minutes=10):
        pytest.skip("last week's same day has hardly begun")
    assert asyncio.run(seen()) == [1, False]


def test_tiles_of_every_level_can_be_told_in_both_languages(city: str, reads: CityReads) -> None:
    people = People(city)
    where = cell(reads)
    people.report(where)
    picture = picture_of(reads)
    minute = Minute.of(picture.directory, {}, picture.now)
    for area in ancestors(where):
        for lang in ("zh", "en"):
            told = tiles(picture, minute, area, lang, True)
            assert set(told) == set(live.TILES)
            head = msgspec.json.decode(told["head"])
            assert head["code"] == area
            assert head["unit"]
            if lang == "en" and area == CITY:
                assert head["unit"].isascii(), head["unit"]


# ---- Streams ---------------------------------------------------------------------------------------------------


@asynccontextmanager
async def running(url: str, redis_url: str | None = None) -> AsyncIterator[Live]:
    one = Live(CityReads(url), redis_url, True)
    async with one.running():
        # The first picture stands before the day that it is held against.
        async with asyncio.timeout(PATIENCE_S):
            while one.picture is None or not one.picture.past_known:
                await asyncio.sleep(0.02)
        yield one


async def until(holds: Callable[[], object]) -> None:
    """Wait for what must come, however busy the machine is."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():
            await asyncio.sleep(0.02)


async def hear(messages: AsyncIterator[bytes]) -> dict[str, Any]:
    """Return the next message that is a picture or a part of one."""
    while True:
        text = (await asyncio.wait_for(anext(messages), PATIENCE_S)).decode()
        for line in text.splitlines():
            if line.startswith("data: ") and "tiles" in (found := json.loads(line[6:])):
                return dict(found)


def test_a_client_gets_the_whole_first_then_only_what_changed_by_number(
    city: str, reads: CityReads, stream_url: str, stream: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without the stream's nudge it would not come, and what is told to everybody once a minute stays out of it.
    monkeypatch.setattr("dashboard.live.push.LOOK_EVERY_S", 3_600.0)
    monkeypatch.setattr("dashboard.live.push.DIRECTORY_EVERY_S", 3_600.0)

    async def scene() -> None:
        async with running(city, stream_url) as one:
            await until(lambda: dict(stream.pubsub_numsub(nudges.CHANNEL))[nudges.CHANNEL.encode()])
            people = People(city, stream)
            messages = one.stream(CITY, "zh", Client(None))
            first = await hear(messages)
            assert first["full"]
            assert set(first["tiles"]) == set(live.TILES)
            await asyncio.to_thread(people.report, cell(reads))
            then = await hear(messages)
            assert "full" not in then
            assert then["n"] == first["n"] + 1
            assert "rank" not in then["tiles"]
            assert (
                then["tiles"]["six"]["now"][live.REPORTED] == first["tiles"]["six"]["now"][live.REPORTED] + 1
            )

    asyncio.run(scene())


def test_a_client_that_is_slow_gets_a_fresh_whole_not_a_queue(city: str, reads: CityReads) -> None:
    async def scene() -> None:
        async with running(city) as one:
            people = People(city)
            client = Client(None)
            messages = one.stream(CITY, "zh", client)
            first = await hear(messages)
            begun = first["tiles"]["six"]["now"][live.REPORTED]
            for number in (1, 2, 3):
                pushed = one.pushes
                await asyncio.to_thread(people.report, cell(reads))
                await until(lambda n=number: one.picture.counts[CITY][live.REPORTED] == begun + n)  # type: ignore[misc, union-attr]
                await until(lambda pushed=pushed: one.pushes > pushed)  # type: ignore[misc]
            later = await hear(messages)
            assert later["full"]
            assert later["n"] > first["n"] + 1
            assert (
                later["tiles"]["six"]["now"][live.REPORTED] == first["tiles"]["six"]["now"][live.REPORTED] + 3
            )
            assert client.slot is None

    asyncio.run(scene())


def test_a_county_hears_nothing_of_another_county(
    city: str, reads: CityReads, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is told to everybody once a minute stays out of it.
    monkeypatch.setattr("dashboard.live.push.DIRECTORY_EVERY_S", 3_600.0)

    async def scene() -> None:
        async with running(city) as one:
            people = People(city)
            messages = one.stream(OTHER_COUNTY, "zh", Client(None))
            await hear(messages)
            everywhere = one.stream(CITY, "zh", Client(None))
            await hear(everywhere)
            for _ in range(2):
                await asyncio.to_thread(people.report, cell(reads))
                # The city's own wall has it: what the county is told of it, it is told by now.
                while "six" not in (await hear(everywhere))["tiles"]:
                    pass
            await asyncio.to_thread(people.report, cell(reads, OTHER_COUNTY))
            heard = [await hear(messages)]
            while "six" not in heard[-1]["tiles"]:
                heard.append(await hear(messages))
            assert "full" not in heard[-1], "nothing was offered before, so nothing had to wait"
            assert [each["n"] for each in heard if "six" in each["tiles"]] == [heard[-1]["n"]]

    asyncio.run(scene())


def test_while_the_stream_does_not_answer_the_picture_grows_old_and_then_is_new_again(
    city: str, stream_url: str, stream: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.live.push.STREAM_LOOK_S", 0.2)
    monkeypatch.setattr("dashboard.live.push.STREAM_PATIENCE_S", 0.3)

    async def scene() -> None:
        async with running(city, stream_url) as one:
            server = int((await asyncio.to_thread(stream.info, "server"))["process_id"])
            await until(lambda: one.age_s < 1.5)
            # A report may wait there that nobody can see: what the wall shows may no longer be so.
            os.kill(server, signal.SIGSTOP)
            try:
                await until(lambda: one.age_s > 3)
            finally:
                os.kill(server, signal.SIGCONT)
            await until(lambda: one.age_s < 1.5)

    asyncio.run(scene())


def test_at_midnight_todays_numbers_begin_anew_without_a_reload(
    city: str, reads: CityReads, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = People(city)
    people.report(cell(reads))
    begun = reads.known().calendar.midnight(datetime.now(UTC))
    clock = [begun + timedelta(days=1, seconds=-4)]

    class Late(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return clock[0].astimezone(tz)

    monkeypatch.setattr("dashboard.live.push.datetime", Late)

    async def scene() -> None:
        async with running(city) as one:
            messages = one.stream(CITY, "zh", Client(None))
            evening = await hear(messages)
            assert evening["tiles"]["six"]["now"][live.REPORTED] > 0
            assert one.picture is not None
            assert one.picture.midnight == begun
            clock[0] += timedelta(seconds=8)
            message = await hear(messages)
            while not message.get("full"):
                message = await hear(messages)
            now = message["tiles"]["six"]["now"]
            assert now[live.REPORTED] == now[live.CLOSED] == now[live.DISPOSED] == 0
            assert now[live.OPEN] == evening["tiles"]["six"]["now"][live.OPEN]
            assert [theme[1] for theme in message["tiles"]["ten"]] == [0] * 10

    asyncio.run(scene())


def test_a_wall_says_what_was_late_most_and_how_the_last_whistles_went(city: str, reads: CityReads) -> None:
    people = People(city)
    where = cell(reads, "445302002")
    whistle = people.report(where, "0402", datetime.now(UTC) - timedelta(minutes=30))
    sent = datetime.now(UTC) - timedelta(minutes=20)
    with psycopg.connect(psycopg_dsn(city)) as connection:
        team = connection.execute(
            "select id from team where trade = 'enforcement' and area_code = '445302002'"
        ).fetchone()
    assert team is not None
    people.act("whistle", whistle, DISPATCHER, sent, whistle_kind="joint", reason="x", team_id=team[0])
    people.act("send_whistle", whistle, DISPATCHER, sent)
    picture = picture_of(reads)
    sheet = tiles(picture, Minute.of(picture.directory, {}, picture.now), "445302002", "zh", True)
    (row,) = msgspec.json.decode(sheet["whistles"])["rows"]
    assert row["kind"] == ["执法哨"]
    hands = Actor("team:t", "team", "445302002", team[0])
    people.act("pick_up", whistle, hands, sent + timedelta(minutes=3))
    people.act("arrive", whistle, hands, sent + timedelta(minutes=12), position=[112.0, 22.9])
    picture = picture_of(reads)
    whistled = reads.whistled(picture.now - timedelta(hours=24))
    late = {where: {"04": 3, "09": 1}, "445381001": {"01": 9}}
    minute = Minute.of(picture.directory, {where: (6, 10)}, picture.now, None, late, whistled)
    sheet = tiles(picture, minute, "445302002", "zh", True)
    lately = msgspec.json.decode(sheet["whistles"])["lately"]
    assert (lately["sent"], lately["answered"], lately["in_time"]) == (1, 1, 1)
    assert lately["last"][0]["took"] == 12
    rank = msgspec.json.decode(tiles(picture, minute, CITY, "zh", True)["rank"])
    assert [row[5] for row in rank["rows"] if row[1] == "445302002"] == [[["农村违建"], 3]]


def test_texts_of_people_never_reach_the_wall(city: str, reads: CityReads) -> None:
    people = People(city)
    people.report(cell(reads))
    picture = picture_of(reads)
    minute = Minute.of(picture.directory, {}, picture.now)
    told = b"".join(tiles(picture, minute, CITY, "zh", True).values())
    assert b"<b>" not in told


# ---- The doors -------------------------------------------------------------------------------------------------


@pytest.fixture
def web(city: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], TestClient]]:
    """Return a client of the wall's routes, in the demo or out of it."""
    from dashboard import web as module

    opened: list[TestClient] = []

    def open_(demo: str) -> TestClient:
        monkeypatch.setenv("DEMO", demo)
        one = Live(CityReads(city), None, demo != "0")
        walls = module._Walls(CityReads(city), one)

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            async with one.running():
                yield

        async def opens(request: Request) -> Response:
            refusal, _ = await walls._refused(request, request.path_params["area"])
            return refusal or Response("open")

        routes = [
            Route("/live/{area}", walls.stream),
            Route("/shapes/{file}", walls.shapes),
            Route("/opens/{area}", opens),
        ]
        client = TestClient(Starlette(routes=routes, lifespan=lifespan))
        client.__enter__()
        opened.append(client)
        # Before its first picture it knows no area, and says so.
        deadline = time.monotonic() + PATIENCE_S
        while one.picture is None:
            assert time.monotonic() < deadline, "no first picture"
            time.sleep(0.02)
        return client

    yield open_
    for client in opened:
        client.__exit__(None, None, None)


def test_in_the_demo_walls_open_without_a_key(web: Callable[[str], TestClient]) -> None:
    client = web("1")
    assert client.get(f"/opens/{CITY}").status_code == 200
    assert client.get(f"/opens/{CITY}?key=demo").status_code == 200
    assert client.get(f"/opens/{CITY}?key=wrong").status_code == 403


def test_elsewhere_a_wall_needs_a_key_of_its_own_subtree(city: str, web: Callable[[str], TestClient]) -> None:
    with psycopg.connect(psycopg_dsn(city)) as connection:
        connection.execute(
            "insert into wall_key (area_code, sha256) values ('445302', %s) on conflict do nothing",
            (hashlib.sha256(b"county key").hexdigest(),),
        )
        connection.execute(
            "insert into wall_key (area_code, sha256, revoked_at) values ('445300', %s, now()) on conflict do nothing",
            (hashlib.sha256(b"old key").hexdigest(),),
        )
    client = web("0")
    for key in ("", "wrong", "old key"):
        assert client.get("/opens/445302", params={"key": key}).status_code == 403
    assert client.get("/opens/445302", params={"key": "county key"}).status_code == 200
    assert client.get("/opens/445302001", params={"key": "county key"}).status_code == 200
    for outside in (CITY, OTHER_COUNTY):
        assert client.get(f"/live/{outside}", params={"key": "county key"}).status_code == 403
        assert client.get(f"/shapes/{outside}.geojson", params={"key": "county key"}).status_code == 403


def test_an_unknown_area_is_a_404_and_a_browser_is_sent_to_the_page(web: Callable[[str], TestClient]) -> None:
    client = web("1")
    refused = client.get("/live/999999")
    assert refused.status_code == 404
    assert "999999" in refused.json()["error"]
    sent = client.get("/live/445302?lang=en", headers={"Accept": "text/html"}, follow_redirects=False)
    assert sent.headers["location"] == "/wall?area=445302&embed=true&lang=en"


def test_shapes_come_compressed_rounded_and_once(web: Callable[[str], TestClient]) -> None:
    client = web("1")
    answer = client.get(f"/shapes/{CITY}.geojson?level=3")
    assert answer.headers["content-encoding"] == "gzip"
    features = answer.json()["features"]
    assert len(features) == 63
    x, _ = features[0]["geometry"]["coordinates"][0][0]
    assert round(x, 5) == x
    again = client.get(f"/shapes/{CITY}.geojson?level=3", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    bare = client.get(f"/shapes/{CITY}.geojson", headers={"Accept-Encoding": "identity"})
    assert len(bare.json()["features"]) == 5
    assert gzip.compress(bare.content)


def test_rows_that_time_has_passed_are_not_kept(reads: CityReads) -> None:
    picture = picture_of(reads)
    long_ago = picture.now - timedelta(days=30)
    row = LiveRow(
        1, 1, "0901", 4, "445302001", "closed", 3, "centre/445302001", None, None, None, long_ago, long_ago, True,
        long_ago, None, "close", long_ago, None, None, True,
    )  # fmt: skip
    before = plain(picture)
    picture.fold(row)
    assert plain(picture) == before
    assert 1 not in picture._kept


def test_a_light_is_red_only_after_its_limit(city: str, reads: CityReads) -> None:
    people = People(city)
    now = datetime.now(UTC)
    incident_id = people.report(cell(reads), at=now)
    people.act("breach", incident_id, SYSTEM, now + timedelta(days=60), clock="accept")
    picture = picture_of(reads, now)
    assert picture._kept[incident_id].light == "red"
