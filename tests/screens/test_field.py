"""Proves the doors of phones: tasks, photos, reports and steps; what is refused as well as what is allowed."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from PIL import Image
from starlette.testclient import TestClient

from dashboard.access import OWN
from dashboard.components import sentences
from dashboard.data import CityReads, field
from dashboard.screens import field as screen
from dashboard.wording.catalogue import translator
from dispatch.desk.desk import Desk
from dispatch.intake import photos
from dispatch.intake.dead_letters import STREAM
from dispatch.rules.incident.effects import ON_SITE_M
from jobs import retention
from models.servers.database import psycopg_dsn
from tests import phone_city as phones
from tests import small_city as town
from tests.at_work import worked
from tests.templates import CityOf

Phones = Callable[[str | None], TestClient]
HERE = {"lon": town.IN_EAST[0], "lat": town.IN_EAST[1], "accuracy": 8}


@pytest.fixture(scope="module")
def city(city_of: CityOf) -> Iterator[str]:
    """Load the city with phones once."""
    with city_of("phones") as url:
        yield url


@pytest.fixture
def phone(
    city: str, stream_url: str, stream: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Phones]:
    """Lend phones by login."""
    monkeypatch.setenv("CONTACT_KEY", phones.CONTACT_KEY)
    monkeypatch.setenv("PHOTOS_URL", str(tmp_path))
    photos.store.cache_clear()
    field._contact_key.cache_clear()
    with ExitStack() as stack:
        yield lambda login: stack.enter_context(phones.phone(city, stream_url, login))
    photos.store.cache_clear()


def picture() -> bytes:
    out = io.BytesIO()
    Image.effect_noise((64, 48), 80).convert("RGB").save(out, "JPEG")
    return out.getvalue()


def report(**changes: Any) -> dict[str, Any]:
    sent = {
        "id": str(uuid.uuid4()), "written_at": datetime.now(UTC).isoformat(), "category": "0104", "text": "路灯不亮",
        "position": HERE,
    } | changes  # fmt: skip
    return {name: value for name, value in sent.items() if value is not None}


def step(incident_id: int, verb: str, **changes: Any) -> dict[str, Any]:
    return {"id": str(uuid.uuid4()), "incident_id": incident_id, "verb": verb} | changes


def taken(client: TestClient) -> str:
    answer = client.post("/phone/photos", content=picture(), headers={"content-type": "image/jpeg"})
    assert answer.status_code == 201
    return str(answer.json()["name"])


# --- who may come in ---


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/phone/tasks"),
        ("POST", "/phone/photos"),
        ("POST", "/phone/reports"),
        ("POST", "/phone/steps"),
        ("POST", "/phone/suggest"),
        ("GET", "/phone/map"),
        ("GET", f"/photos/{'ab' * 32}"),
    ],
)
def test_nobody_comes_in_without_a_session(phone: Phones, method: str, path: str) -> None:
    answer = phone(None).request(method, path, content=b"{}")
    assert answer.status_code == 401
    assert answer.json()["reason"] == "signed_out"


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_another_site_changes_nothing(phone: Phones, stream: redis.Redis, site: str) -> None:
    client = phone("worker")
    answer = client.post("/phone/reports", json=report(), headers={"sec-fetch-site": site})
    assert answer.status_code == 403
    assert stream.xlen(STREAM) == 0


def test_a_change_without_our_own_header_is_no_change_of_ours(phone: Phones, stream: redis.Redis) -> None:
    client = phone("worker")
    del client.headers[OWN]
    assert client.post("/phone/reports", json=report()).status_code == 403
    assert stream.xlen(STREAM) == 0


@pytest.mark.parametrize("login", ["admin", "leader", "dispatcher"])
def test_only_people_in_the_field_have_tasks_here(phone: Phones, login: str) -> None:
    assert phone(login).get("/phone/tasks").status_code == 403
    assert phone(login).post("/phone/reports", json=report()).status_code == 403


# --- the map under the pin ---


@pytest.mark.parametrize(
    ("login", "status"), [("worker", 200), ("team", 200), ("resident", 200), ("leader", 403)]
)
def test_who_reports_has_the_map_of_their_town_down_to_its_grids(
    phone: Phones, login: str, status: int
) -> None:
    answer = phone(login).get("/phone/map")
    assert answer.status_code == status
    if status == 200:
        areas = {each["code"]: each for each in answer.json()["areas"]}
        # The village without grids of its own stands for itself.
        assert areas.keys() == {town.EAST, town.WEST_CELL}
        assert areas[town.WEST_CELL]["name"] == "西岸社区居民委员会 西岸一组"
        ring = areas[town.EAST]["rings"][0]
        assert {tuple(point) for point in ring} == {
            (113.0, 23.0),
            (113.01, 23.0),
            (113.01, 23.01),
            (113.0, 23.01),
        }


def test_a_map_that_the_phone_has_is_not_sent_again(phone: Phones) -> None:
    client = phone("worker")
    tag = client.get("/phone/map").headers["etag"]
    assert client.get("/phone/map", headers={"if-none-match": tag}).status_code == 304


# --- reports ---


def test_a_report_becomes_an_incident_of_the_field_app_at_its_own_time(
    phone: Phones, city: str, stream: redis.Redis
) -> None:
    written = datetime.now(UTC) - timedelta(hours=3)
    sent = report(written_at=written.isoformat())
    answer = phone("worker").post("/phone/reports", json=sent)
    assert answer.status_code == 202
    (incident_id,) = phones.take_in(city, stream)
    reads = CityReads(city)
    with reads.look() as connection:
        row = connection.execute(
            "select source, source_id, reported_at, located, area_code from incident where id = %s",
            (incident_id,),
        ).fetchone()
    reads.close()
    assert row == ("field_app", sent["id"], written, "point", town.EAST)


def test_the_same_report_sent_again_is_one_report(phone: Phones, city: str, stream: redis.Redis) -> None:
    client, sent = phone("worker"), report()
    first, second = (client.post("/phone/reports", json=sent).json() for _ in range(2))
    assert first["number"] == second["number"]
    assert [first["again"], second["again"]] == [False, True]
    assert len(set(phones.take_in(city, stream))) == 1


def test_a_receipt_of_another_person_is_not_taken(phone: Phones, stream: redis.Redis) -> None:
    sent = report()
    assert phone("worker").post("/phone/reports", json=sent).status_code == 202
    assert phone("stranger").post("/phone/reports", json=sent).status_code == 409
    assert stream.xlen(STREAM) == 1


def test_a_place_from_the_list_is_never_a_point(phone: Phones, city: str, stream: redis.Redis) -> None:
    sent = report(position=None, area=town.WEST_CELL, address="河边")
    assert phone("worker").post("/phone/reports", json=sent).status_code == 202
    (incident_id,) = phones.take_in(city, stream)
    reads = CityReads(city)
    with reads.look() as connection:
        row = connection.execute(
            "select located, area_code from incident where id = %s", (incident_id,)
        ).fetchone()
    reads.close()
    assert row == ("code", town.WEST_CELL)


def test_a_phone_whose_clock_runs_ahead_loses_nothing(phone: Phones) -> None:
    ahead = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    assert phone("worker").post("/phone/reports", json=report(written_at=ahead)).status_code == 202


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"id": "short"}, 422),
        ({"id": "with space in it"}, 422),
        ({"written_at": "yesterday"}, 422),
        ({"text": "长" * 501}, 422),
        ({"category": None, "text": "  "}, 422),
        ({"position": {"lon": 181, "lat": 0}}, 422),
        ({"photos": ["../../etc/passwd"]}, 422),
        ({"photos": ["ab" * 32]}, 422),
        ({"reporter": "somebody else"}, 422),
        ({"severity": 1}, 422),
    ],
)
def test_a_report_that_makes_no_sense_is_refused_in_words(
    phone: Phones, stream: redis.Redis, changes: dict[str, Any], status: int
) -> None:
    answer = phone("worker").post("/phone/reports", json=report(**changes))
    assert answer.status_code == status
    assert answer.json()["zh"]
    assert answer.json()["en"]
    assert stream.xlen(STREAM) == 0


def test_a_body_too_large_is_refused_before_it_is_read(phone: Phones) -> None:
    assert phone("worker").post("/phone/reports", content=b" " * 70_000).status_code == 413


def test_too_many_reports_at_once_wait(phone: Phones, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(field, "REPORTS_ALLOWED", 1)
    client, first = phone("neighbour"), report()
    assert client.post("/phone/reports", json=first).status_code == 202
    refused = client.post("/phone/reports", json=report())
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    # What came before may come again: it is no new report.
    assert client.post("/phone/reports", json=first).status_code == 202


def test_without_the_stream_a_report_stays_with_the_phone(city: str, tmp_path: Path) -> None:
    with phones.phone(city, "redis://127.0.0.1:1/0", "worker") as client:
        assert client.post("/phone/reports", json=report()).status_code == 503


# --- photos ---


def test_a_photo_is_seen_by_whoever_sent_it_and_by_nobody_else(phone: Phones) -> None:
    name = taken(phone("worker"))
    for path in (f"/photos/{name}", f"/photos/{name}/small"):
        answer = phone("worker").get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "image/jpeg"
        assert "private" in answer.headers["cache-control"]
        for other in ("neighbour", "team", "leader", "admin", "resident"):
            assert phone(other).get(path).status_code == 404


def test_a_photo_of_a_case_is_seen_in_its_scope_alone(phone: Phones, city: str, stream: redis.Redis) -> None:
    resident = phone("resident")
    name = taken(resident)
    assert resident.post("/phone/reports", json=report(photos=[name])).status_code == 202
    assert phone("worker").get(f"/photos/{name}").status_code == 404, "the case is not there yet"
    phones.take_in(city, stream)
    assert phone("worker").get(f"/photos/{name}").status_code == 200
    assert phone("leader").get(f"/photos/{name}").status_code == 200
    for other in ("stranger", "neighbour", "team", "admin"):
        assert phone(other).get(f"/photos/{name}").status_code == 404


@pytest.mark.parametrize("name", ["..%2f..%2fetc%2fpasswd", "AB" * 32, "ab" * 31, "ab" * 32])
def test_a_photo_that_is_not_there_answers_as_one_that_is_not_yours(phone: Phones, name: str) -> None:
    assert phone("worker").get(f"/photos/{name}").status_code == 404


def test_a_reused_photo_is_told_at_once(phone: Phones) -> None:
    client, raw = phone("worker"), picture()
    first = client.post("/phone/photos", content=raw).json()
    assert first["used"] is False
    assert client.post("/phone/reports", json=report(photos=[first["name"]])).status_code == 202
    again = client.post("/phone/photos", content=raw).json()
    assert (again["name"], again["used"]) == (first["name"], True)


def test_somebody_elses_photo_cannot_be_attached(phone: Phones, stream: redis.Redis) -> None:
    name = taken(phone("neighbour"))
    answer = phone("worker").post("/phone/reports", json=report(photos=[name]))
    assert (answer.status_code, answer.json()["reason"]) == (422, "not_your_photo")
    assert stream.xlen(STREAM) == 0


def test_what_is_no_photo_is_refused_in_words(phone: Phones) -> None:
    answer = phone("worker").post("/phone/photos", content=b"<html>")
    assert (answer.status_code, answer.json()["reason"]) == (422, "not_a_photo")


def test_photos_of_no_case_are_let_go_of_after_three_days(phone: Phones, city: str) -> None:
    client = phone("worker")
    used, unused = taken(client), taken(client)
    assert client.post("/phone/reports", json=report(photos=[used])).status_code == 202
    now = datetime.now(UTC)
    with Desk(city) as desk:
        worked(retention.forget_photos, desk, now + timedelta(days=2))
        assert client.get(f"/photos/{unused}").status_code == 200
        assert worked(retention.forget_photos, desk, now + timedelta(days=4)) >= 1
    assert client.get(f"/photos/{unused}").status_code == 404
    assert client.get(f"/photos/{used}").status_code == 200
    assert photos.store().get(unused) is None


def test_letting_go_of_photos_that_is_cut_short_leaves_no_file_that_nothing_knows_of(
    phone: Phones, city: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [taken(phone("worker")) for _ in range(3)]
    later = datetime.now(UTC) + timedelta(days=4)
    dropped: list[str] = []
    drop = photos.store().drop

    def cut_short(name: str) -> None:
        if dropped:
            raise OSError("the machine goes down")
        dropped.append(name)
        drop(name)

    with Desk(city) as desk:
        monkeypatch.setattr(photos.store(), "drop", cut_short)
        with pytest.raises(OSError, match="goes down"):
            worked(retention.forget_photos, desk, later)
        monkeypatch.setattr(photos.store(), "drop", drop)
        assert worked(retention.forget_photos, desk, later) >= 3
        assert worked(retention.forget_photos, desk, later) == 0
    assert [photos.store().get(name) for name in names] == [None] * 3


# --- tasks and steps ---


def tasks(client: TestClient) -> dict[int, dict[str, Any]]:
    return {each["id"]: each for each in client.get("/phone/tasks").json()["tasks"]}


def test_a_team_works_its_task_from_pick_up_to_result(
    phone: Phones, city: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(field, "FOLLOW_EVERY_S", 0.0)
    incident_id = phones.sent_to_team(city, "way", "0402")
    client = phone("team")
    name = taken(client)
    for verb, more in (
        ("pick_up", {}),
        ("arrive", {"position": HERE}),
        ("dispose", {"result": "已拆除", "photos": [name], "standard": ["gone"]}),
    ):
        assert tasks(client)[incident_id]["verb"] == verb
        answer = client.post("/phone/steps", json=step(incident_id, verb, **more))
        assert answer.json()["state"] == "done", answer.json()
    assert incident_id not in tasks(client)
    assert phone("worker").get(f"/photos/{name}").status_code == 200
    assert tasks(phone("worker"))[incident_id]["verb"] == "verify"


def test_a_step_sent_twice_is_one_action(phone: Phones, city: str) -> None:
    incident_id = phones.sent_to_team(city, "twice")
    client, one = phone("team"), step(incident_id, "pick_up")
    assert [client.post("/phone/steps", json=one).json()["state"] for _ in range(2)] == ["done", "duplicate"]


def test_far_away_one_checks_in_only_with_a_reason(phone: Phones, city: str) -> None:
    incident_id = phones.sent_to_team(city, "far", "0402")
    client = phone("team")
    client.post("/phone/steps", json=step(incident_id, "pick_up"))
    far = {"lon": HERE["lon"] + 0.01, "lat": HERE["lat"], "accuracy": 5}
    refused = client.post("/phone/steps", json=step(incident_id, "arrive", position=far))
    assert (refused.status_code, refused.json()["reason"]) == (409, "not_near")
    assert str(ON_SITE_M) in refused.json()["zh"]
    allowed = client.post("/phone/steps", json=step(incident_id, "arrive", position=far, reason="路封了"))
    assert allowed.json()["state"] == "done"


def test_a_case_outside_the_scope_answers_as_one_that_does_not_exist(phone: Phones, city: str) -> None:
    incident_id = phones.incident(city, "west", area=town.WEST)
    worker = phone("worker")
    told = [worker.post("/phone/steps", json=step(each, "note", note="x")) for each in (incident_id, 10**12)]
    assert [answer.status_code for answer in told] == [404, 404]
    assert told[0].json() == told[1].json()
    assert incident_id not in tasks(worker)


@pytest.mark.parametrize("verb", ["close", "dispatch", "void", "suspend", "report", "nonsense"])
def test_what_is_no_matter_of_phones_is_refused(phone: Phones, city: str, verb: str) -> None:
    incident_id = phones.incident(city, f"verb-{verb}")
    assert phone("worker").post("/phone/steps", json=step(incident_id, verb)).status_code == 403


def test_a_small_matter_asks_both_photos(phone: Phones, city: str) -> None:
    incident_id = phones.incident(city, "small", "0201")
    client = phone("worker")
    task = tasks(client)[incident_id]
    refused = client.post(
        "/phone/steps", json=step(incident_id, "solve", result="已劝和", photos=[taken(client)])
    )
    assert task["mode"] == "one_grid"
    assert refused.status_code == 409


def test_nothing_new_is_answered_without_a_body(
    phone: Phones, city: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(field, "FOLLOW_EVERY_S", 0.0)
    client = phone("team")
    tag = client.get("/phone/tasks").headers["etag"]
    # A transaction elsewhere may still be ending: what is asked for is that it settles, and stays so.
    assert client.get("/phone/tasks", headers={"if-none-match": tag}).status_code == 304
    phones.sent_to_team(city, "fresh")
    changed = client.get("/phone/tasks", headers={"if-none-match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


def test_overdue_comes_first_and_what_has_no_limit_last(phone: Phones, city: str) -> None:
    phones.sent_to_team(city, "order-1", "0402")
    phones.sent_to_team(city, "order-2", "0104")
    due = [each["due"] for each in phone("team").get("/phone/tasks").json()["tasks"]]
    assert due == sorted(due, key=lambda at: (at is None, at))


def test_types_come_by_what_one_reports(phone: Phones, city: str, stream: redis.Redis) -> None:
    client = phone("stranger")
    for _ in range(2):
        assert client.post("/phone/reports", json=report(category="0402")).status_code == 202
    phones.take_in(city, stream)
    reads = CityReads(city)
    from dashboard.data import viewer_of

    who = viewer_of(reads, "stranger-token")
    assert who is not None
    assert field.often(reads, who)[0] == "0402"
    reads.close()


def test_a_type_that_is_no_longer_or_not_yet_in_force_is_not_offered(city_of: CityOf) -> None:
    with city_of("phones") as url, psycopg.connect(psycopg_dsn(url), autocommit=True) as connection:
        connection.execute("update category set retired = true where code = '0402'")
        reads = CityReads(url)
        offered = dict(screen._types(reads.directory(), "zh"))
        reads.close()
    assert "0402" not in offered
    assert "0401" in offered


def test_a_text_is_told_its_type_and_why(phone: Phones) -> None:
    said = phone("worker").post("/phone/suggest", json={"text": "楼下有人聚众赌博"}).json()
    assert said["category"] == "0104"
    assert said["words"]
    assert phone("worker").post("/phone/suggest", json={"text": "zzz"}).json() == {
        "category": None,
        "words": [],
    }


def test_every_sentence_of_the_phone_has_its_chinese() -> None:
    chinese = translator("zh")
    assert not [each for each in sentences("field") if chinese(each) == each]
    assert json.dumps(screen.verbs("zh"), ensure_ascii=False).count("签到") == 1
