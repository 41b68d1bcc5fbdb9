"""Proves who sees what of the whole app over HTTP, as it is run: streams, walls, phones, sources and photos."""

from __future__ import annotations

import io
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from PIL import Image

from dashboard.access import COOKIE
from dashboard.pages import PLACES
from dispatch.accounts import keys, sessions
from dispatch.intake import photos
from models.servers.database import Servers, psycopg_dsn
from tests.ports import free_port
from tests.screens.test_scope import ALL, AREAS, COVERED, MATRIX, City, city, token
from tests.small_city import CITY, EAST, TOWN

__all__ = ["city"]
pytestmark = pytest.mark.processes
ROOT = Path(__file__).parents[2]
# Nothing here is encrypted: to read the authorities of this machine anew for each question takes longer than it.
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@pytest.fixture(scope="module")
def pictures(city: City, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, str]]:
    """Keep one photo for each incident, as the phones' door does; return the folder, and name -> photo."""
    folder = str(tmp_path_factory.mktemp("photos"))
    kept = {}
    with psycopg.connect(psycopg_dsn(city.url), autocommit=True) as connection:
        for n, name in enumerate(city.ids):
            out = io.BytesIO()
            Image.new("RGB", (64, 48), (n * 40, 90, 120)).save(out, "JPEG")
            photo = photos.developed(out.getvalue())
            photos.Store(folder).put(photo)
            connection.execute(
                "insert into photo (name, bytes, uploaded_at) values (%s, %s, now())",
                (photo.name, len(photo.whole)),
            )
            connection.execute(
                "insert into photo_use (name, number) values (%s, %s)", (photo.name, city.numbers[name])
            )
            kept[name] = photo.name
    return folder, kept


@pytest.fixture(scope="module")
def site(city: City, servers: Servers, pictures: tuple[str, dict[str, str]]) -> Iterator[str]:
    """Run the dashboard as it is run, outside the demo; yield its address."""
    port = free_port()
    environment = os.environ | {
        "DATABASE_URL": city.url, "REDIS_URL": servers.redis_url, "PORT": str(port), "HOST": "127.0.0.1", "DEMO": "0",
        "PHOTOS_URL": pictures[0],
    }  # fmt: skip
    process = subprocess.Popen([sys.executable, "-m", "dashboard"], cwd=ROOT, env=environment)
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 180
        while True:
            with suppress(httpx.HTTPError):
                if httpx.get(f"{address}/live/{CITY}", timeout=10, verify=PLAIN).status_code == 403:
                    break
            assert process.poll() is None
            assert time.monotonic() < deadline, "the dashboard did not start"
            time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(120)


def status(address: str, **options: Any) -> int:
    """Return how an address answers, without reading a stream that goes on."""
    with httpx.stream("GET", address, timeout=120, verify=PLAIN, **options) as answer:
        return answer.status_code


def eventually(address: str, answer: int) -> None:
    """Wait until an address answers so; fail when it does not come to that."""
    deadline = time.monotonic() + 180
    while status(address) != answer:
        assert time.monotonic() < deadline, f"never {answer}"
        time.sleep(0.2)


def test_a_desks_stream_is_for_those_whose_area_it_is(city: City, site: str) -> None:
    for area in AREAS:
        assert status(f"{site}/desk/{area}") == 401
    for login in MATRIX:
        cookies = {COOKIE: token(city, login)}
        answers = {area: status(f"{site}/desk/{area}", cookies=cookies) for area in (*AREAS, "999999")}
        # What is not theirs is answered like what is not there.
        expected = {area: 200 if area in COVERED[login] else 404 for area in answers}
        assert answers == expected, login


def test_a_stream_holds_nothing_of_other_towns(city: City, site: str) -> None:
    with httpx.stream(
        "GET", f"{site}/desk/{TOWN}", cookies={COOKIE: token(city, "dispatcher")}, timeout=120, verify=PLAIN
    ) as answer:
        first = ""
        for chunk in answer.iter_text():
            first += chunk
            if "\n\n" in first and str(city.ids["west"]) in first:
                break
    assert f"{city.ids['east']}" in first
    assert str(city.ids["far"]) not in first
    assert "河西" not in first
    assert "远处" not in first


def test_a_wall_opens_by_the_key_of_its_area_until_it_is_revoked(city: City, site: str) -> None:
    with psycopg.connect(psycopg_dsn(city.url), autocommit=True) as connection:
        key = keys.new(connection, "wall", TOWN, datetime.now(UTC))
        held = keys.listed(connection, "wall")[0]
        eventually(f"{site}/live/{TOWN}?key={key}", 200)  # keys are read again after five seconds
        for area in AREAS:
            expected = 200 if area in (TOWN, EAST) else 403
            assert status(f"{site}/live/{area}?key={key}") == expected
            assert status(f"{site}/shapes/{area}.geojson?key={key}") == expected
            assert status(f"{site}/live/{area}") == 403
            assert status(f"{site}/live/{area}?key=demo") == 403
        keys.revoke(connection, "wall", held.id, datetime.now(UTC))
    eventually(f"{site}/live/{TOWN}?key={key}", 403)


def test_a_source_reads_its_own_reports_alone(city: City, site: str) -> None:
    with psycopg.connect(psycopg_dsn(city.url), autocommit=True) as connection:
        own, other = (keys.new(connection, "api", source, datetime.now(UTC)) for source in ("test", "other"))
    address = f"{site}/api/v1/incidents/{city.numbers['east']}"
    assert status(address) == 401
    assert status(address, headers={"Authorization": f"Bearer {other}"}) == 404
    assert status(address, headers={"Authorization": f"Bearer {own}"}) == 200


def test_what_phones_and_boards_fetch_asks_for_the_session(city: City, site: str) -> None:
    for path in ("/phone/tasks", "/whistles/rows", "/photos/" + "0" * 64):
        assert status(f"{site}{path}") in (401, 404), path
    for login, (role, _, seen) in MATRIX.items():
        cookies = {COOKIE: token(city, login)}
        rows = httpx.get(
            f"{site}/whistles/rows", params={"area": CITY}, cookies=cookies, timeout=120, verify=PLAIN
        )
        assert rows.status_code == (200 if PLACES["whistles"].opens(role) else 403), login
        for name in ALL - seen:
            assert str(city.numbers[name])[-8:] not in rows.text.replace("-", "")
        step = {"id": f"{login}-{'0' * 20}", "verb": "note", "incident_id": city.ids["far"], "note": "x"}
        if "far" not in seen:
            answer = httpx.post(
                f"{site}/phone/steps",
                json=step,
                cookies=cookies,
                headers={"x-gridwhistle": "1"},
                timeout=120,
                verify=PLAIN,
            )
            assert answer.status_code in (403, 404, 422), login
            assert "远处" not in answer.text


def test_a_session_that_is_ended_shuts_every_address(city: City, site: str) -> None:
    cookies = {COOKIE: token(city, "dispatcher")}
    assert status(f"{site}/desk/{TOWN}", cookies=cookies) == 200
    with psycopg.connect(psycopg_dsn(city.url)) as connection:
        sessions.sign_out(connection, cookies[COOKIE])
    for path in (f"/desk/{TOWN}", "/whistles/rows", "/phone/tasks"):
        assert status(f"{site}{path}", cookies=cookies) == 401


def test_the_address_of_a_photo_is_for_those_who_see_its_case(
    city: City, site: str, pictures: tuple[str, dict[str, str]]
) -> None:
    for login, (_, _, seen) in MATRIX.items():
        cookies = {COOKIE: token(city, login)}
        for name, photo in pictures[1].items():
            for address in (f"/photos/{photo}", f"/photos/{photo}/small"):
                expected = 200 if name in seen else 404
                assert status(f"{site}{address}", cookies=cookies) == expected, (login, name)
    for photo in pictures[1].values():
        assert status(f"{site}/photos/{photo}") == 401
