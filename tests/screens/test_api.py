"""Every answer of the HTTP door, on real servers."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import redis
from starlette.applications import Starlette
from starlette.testclient import TestClient

from dashboard.routes import api
from dashboard.routes.api import BODY_LIMIT_BYTES, IntakeApi
from dashboard.routes.refused import LIST_LIMIT
from dispatch.intake import consumer
from dispatch.intake.consumer import Dispatcher
from dispatch.intake.dead_letters import FIELD, STREAM
from dispatch.intake.messages import number_of, parse_number, show_number
from models.servers.database import Servers, psycopg_dsn
from tests import small_city as town
from tests.intake.test_intake import until

pytestmark = pytest.mark.city("small")

KEY = {"Authorization": f"Bearer {town.KEY}"}
URL = "/api/v1/incidents"


@pytest.fixture
def where(database: str, stream_url: str, stream: redis.Redis) -> Servers:
    """Load the small city; return the servers."""
    return Servers(database, stream_url)


@pytest.fixture
def client(where: Servers) -> Iterator[TestClient]:
    """Return a client of the door, without a dispatcher."""
    with TestClient(Starlette(routes=IntakeApi(where).routes())) as client:
        yield client


@pytest.fixture
def dispatcher(where: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dispatcher]:
    """Run a dispatcher, which ends as soon as it is told to."""
    monkeypatch.setattr(consumer, "BLOCK_MS", 20)
    dispatcher = Dispatcher(where)
    thread = threading.Thread(target=dispatcher.run)
    thread.start()
    yield dispatcher
    dispatcher.stop()
    thread.join(60)


def test_one_report_is_taken_and_answered_with_its_number(client: TestClient, stream: redis.Redis) -> None:
    sent = town.message(1)
    del sent["source"], sent["v"]
    answer = client.post(URL, json=sent, headers=KEY)
    assert answer.status_code == 202
    expected = show_number(number_of("demo", "T-1"))
    assert answer.json() == {"state": "received", "number": expected, "numbers": [expected]}
    [(_, fields)] = stream.xrange(STREAM)  # type: ignore[misc]
    assert json.loads(fields[FIELD.encode()]) == town.message(1) | {"reported_at": sent["reported_at"]}  # type: ignore[index]


def test_a_list_is_taken_whole_or_not_at_all(client: TestClient, stream: redis.Redis) -> None:
    answer = client.post(URL, json=[town.message(n) for n in range(LIST_LIMIT)], headers=KEY)
    assert answer.status_code == 202
    assert len(set(answer.json()["numbers"])) == LIST_LIMIT
    assert stream.xlen(STREAM) == LIST_LIMIT
    answer = client.post(
        URL, json=[town.message(1), town.message(2, lon="x"), town.message(3, v=9)], headers=KEY
    )
    assert answer.status_code == 400
    said = answer.json()
    assert (said["index"], said["field"], said["reason"]) == (1, "lon", "wrong_type")
    assert said["zh"]
    assert said["en"]
    assert [each["index"] for each in said["problems"]] == [1, 2]
    assert stream.xlen(STREAM) == LIST_LIMIT


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not_json"),
        (b"{", "not_json"),
        (b"[{]", "not_json"),
        (b"7", "not_object"),
        (b"[7]", "not_object"),
        (b"[]", "empty"),
        (json.dumps([{}] * (LIST_LIMIT + 1)).encode(), "too_many"),
        (town.raw(1, source="somebody else"), "source_mismatch"),
        (town.raw(1, kind="outcome"), "bad_choice"),
        (town.raw(1, text="x" * 70_000), "too_large"),
        (town.raw(1, reported_at="3000-01-01T00:00:00Z"), "in_future"),
        (town.raw(1, source_id=None), "missing"),
        (b'{"source_id": "\\ud800"}', "not_json"),
    ],
)
def test_400_names_what_is_wrong_in_both_languages(
    client: TestClient, stream: redis.Redis, body: bytes, reason: str
) -> None:
    answer = client.post(URL, content=body, headers=KEY | {"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["reason"]) == (400, reason)
    assert answer.json()["zh"]
    assert answer.json()["en"]
    assert stream.xlen(STREAM) == 0


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eA=="}])
def test_401_without_a_known_key(client: TestClient, header: dict[str, str]) -> None:
    for answer in (
        client.post(URL, json=town.message(1), headers=header),
        client.get(f"{URL}/1", headers=header),
    ):
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_revoked_key_stops_working(
    client: TestClient, where: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "KEYS_AGE_S", 0.0)
    assert client.post(URL, json=town.message(1), headers=KEY).status_code == 202
    with psycopg.connect(psycopg_dsn(where.database_url)) as connection:
        connection.execute("UPDATE api_key SET revoked_at = now()")
    assert client.post(URL, json=town.message(2), headers=KEY).status_code == 401


def test_413_for_a_body_too_large_also_in_chunks(client: TestClient) -> None:
    headers = KEY | {"Content-Type": "application/json"}
    assert client.post(URL, content=b" " * (BODY_LIMIT_BYTES + 1), headers=headers).status_code == 413
    chunks = (b" " * 65_536 for _ in range(BODY_LIMIT_BYTES // 65_536 + 1))
    assert client.post(URL, content=chunks, headers=headers).status_code == 413


def test_415_for_another_content_type(client: TestClient) -> None:
    answer = client.post(URL, content=town.raw(1), headers=KEY | {"Content-Type": "text/plain"})
    assert answer.status_code == 415


def test_429_says_when_to_come_again(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "BURST", 3.0)
    monkeypatch.setattr(api, "RATE_PER_S", 0.5)
    assert client.post(URL, json=[town.message(n) for n in range(3)], headers=KEY).status_code == 202
    answer = client.post(URL, json=[town.message(n) for n in range(2)], headers=KEY)
    assert answer.status_code == 429
    assert 3 <= int(answer.headers["Retry-After"]) <= 4


def test_503_while_the_stream_is_down_and_health_says_so(where: Servers) -> None:
    nowhere = Servers(where.database_url, "unix:///nonexistent/valkey.sock")
    with TestClient(Starlette(routes=IntakeApi(nowhere).routes())) as client:
        answer = client.post(URL, json=town.message(1), headers=KEY)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        health = client.get("/healthz")
        assert health.status_code == 503
        assert (health.json()["database"]["ok"], health.json()["stream"]["ok"]) == (True, False)
        assert client.get("/metrics").status_code == 200


def test_reports_are_taken_while_the_database_is_down(
    client: TestClient, where: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.post(URL, json=town.message(1), headers=KEY).status_code == 202

    def gone(_: Any) -> Any:
        raise psycopg.OperationalError("gone")

    monkeypatch.setattr(api, "_read_keys", gone)
    monkeypatch.setattr(api, "_read_incident", lambda *_: gone(None))
    monkeypatch.setattr(api, "KEYS_AGE_S", 0.0)
    assert client.post(URL, json=town.message(2), headers=KEY).status_code == 202
    answer = client.get(f"{URL}/{show_number(number_of('demo', 'T-2'))}", headers=KEY)
    assert answer.status_code == 503


def test_an_incident_goes_from_received_to_its_timeline(
    client: TestClient, where: Servers, request: pytest.FixtureRequest
) -> None:
    number = client.post(URL, json=town.message(1, reporter="13800001111"), headers=KEY).json()["number"]
    answer = client.get(f"{URL}/{number}", headers=KEY)
    assert (answer.status_code, answer.json()["state"]) == (202, "received")
    request.getfixturevalue("dispatcher")
    until(lambda: client.get(f"{URL}/{number}", headers=KEY).status_code == 200)
    found = client.get(f"{URL}/{parse_number(number):016d}", headers=KEY).json()
    assert found["number"] == number
    assert found["state_zh"]
    assert found["timeline"][0]["verb"] == "report"
    assert found["area"] == town.EAST
    assert "13800001111" not in json.dumps(found)
    assert "路灯" not in json.dumps(found, ensure_ascii=False)


def test_a_report_refused_after_it_was_received_says_why(client: TestClient, dispatcher: Dispatcher) -> None:
    number = client.post(URL, json=town.message(1, lon=0, lat=0), headers=KEY).json()["number"]
    until(lambda: client.get(f"{URL}/{number}", headers=KEY).status_code == 200)
    assert client.get(f"{URL}/{number}", headers=KEY).json()["reason"] == "outside_city"


def test_404_and_400_for_numbers_that_are_none(client: TestClient) -> None:
    assert client.get(f"{URL}/1234-5678-9012-3456", headers=KEY).status_code == 404
    assert client.get(f"{URL}/abc", headers=KEY).status_code == 400


def test_a_mistyped_address_or_method_is_no_page(client: TestClient) -> None:
    for method, path, status, reason in (
        ("GET", "/api/v1/nosuch", 404, "no_address"),
        ("GET", "/api/v2/incidents", 404, "no_address"),
        ("DELETE", URL, 405, "wrong_method"),
        ("GET", URL, 405, "wrong_method"),
    ):
        answer = client.request(method, path, headers=KEY)
        assert (answer.status_code, answer.json()["reason"]) == (status, reason)
        assert {"zh", "en"} <= answer.json().keys()


def test_the_incident_of_another_source_is_not_shown(
    client: TestClient, where: Servers, dispatcher: Dispatcher
) -> None:
    number = client.post(URL, json=town.message(1), headers=KEY).json()["number"]
    until(lambda: client.get(f"{URL}/{number}", headers=KEY).status_code == 200)
    with psycopg.connect(psycopg_dsn(where.database_url)) as connection:
        digest = hashlib.sha256(b"another").hexdigest()
        connection.execute("INSERT INTO api_key (source, sha256) VALUES ('other', %s)", (digest,))
    with TestClient(Starlette(routes=IntakeApi(where).routes())) as other:
        answer = other.get(f"{URL}/{number}", headers={"Authorization": "Bearer another"})
        assert answer.status_code == 404


def test_health_and_metrics_with_a_dispatcher(
    client: TestClient, stream: redis.Redis, request: pytest.FixtureRequest
) -> None:
    assert client.get("/healthz").status_code == 503
    request.getfixturevalue("dispatcher")
    stream.hset(
        "gridwhistle:job:clocks",
        mapping={
            "at": "2026-01-01T00:00:00+00:00",
            "rows": "3",
            "ms": "250",
            "next_at": "2099-01-01T00:00:00+00:00",
        },
    )
    stream.hset("gridwhistle:job:patrol", mapping={"failed_at": "2026-01-01T00:00:00+00:00", "fault": "X"})
    until(lambda: client.get("/healthz").status_code == 200)
    health = client.get("/healthz").json()
    assert health["stream"]["lag"] == 0
    assert health["jobs"]["clocks"]["age_s"] > 0
    [dispatcher] = health["dispatchers"].values()
    assert dispatcher["age_s"] < 10
    text = client.get("/metrics").text
    assert 'gridwhistle_up{part="database"} 1.0' in text
    assert "gridwhistle_dispatchers 1.0" in text
    assert 'gridwhistle_job_seconds{job="clocks"} 0.25' in text
    assert 'gridwhistle_job_rows{job="clocks"} 3.0' in text
    [following] = [line for line in text.splitlines() if line.startswith("gridwhistle_job_next_seconds{")]
    assert float(following.partition("} ")[2]) > 86_400
    assert 'gridwhistle_job_failing{job="clocks"} 0.0' in text
    assert 'gridwhistle_job_failing{job="patrol"} 1.0' in text


def test_the_description_names_every_answer(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    answers = set(document["paths"]["/api/v1/incidents"]["post"]["responses"])
    assert answers == {"202", "400", "401", "413", "415", "429", "503"}
    assert "source_id" in document["components"]["schemas"]["ReportMessage"]["properties"]
    assert "openapi.json" in client.get("/api").text
