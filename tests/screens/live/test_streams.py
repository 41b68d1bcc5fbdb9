"""Proves what each client of the live picture gets sent, and when, and to whom the doors of the walls open."""

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
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from dashboard import live
from dashboard.data import CityReads
from dashboard.live import Client, Live
from dispatch.desk import nudges
from models.servers.database import psycopg_dsn
from tests.live_city import CITY, OTHER_COUNTY, People, cell

PATIENCE_S = 120.0


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


@asynccontextmanager
async def running(url: str, redis_url: str | None = None) -> AsyncIterator[Live]:
    one = Live(CityReads(url), redis_url, True)
    with pytest.MonkeyPatch.context() as patch:
        if redis_url is None:
            # Nothing nudges it: what happens would be waited for until it looks.
            patch.setattr("dashboard.live.push.LOOK_EVERY_S", 0.1)
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
