"""Messages become incidents exactly once, bad ones become dead letters with their reason, nothing is lost."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import psycopg
import pytest
import redis

from dispatch.__main__ import main
from dispatch.desk.desk import Desk
from dispatch.intake import consumer, dead_letters, message_stream, prepare
from dispatch.intake.consumer import Dispatcher
from dispatch.intake.dead_letters import DEAD_STREAM, FIELD, STREAM
from dispatch.intake.message_stream import GROUP, HEARTBEAT
from dispatch.intake.messages import MESSAGE_LIMIT_BYTES
from dispatch.rules.incident.chain import Actor, Command, Report
from models.servers.database import Servers, psycopg_dsn
from tests import small_city as town

pytestmark = pytest.mark.city("small")

PATIENCE_S = 180.0


@pytest.fixture
def city(database: str) -> Iterator[psycopg.Connection[Any]]:
    """Load the small city; yield a connection."""
    with psycopg.connect(psycopg_dsn(database), autocommit=True) as connection:
        yield connection


@pytest.fixture
def where(database: str, stream_url: str, stream: redis.Redis, city: Any) -> Servers:
    """Return the servers of a test whose city is loaded and whose stream is empty."""
    return Servers(database, stream_url)


@contextmanager
def working(where: Servers, **options: Any) -> Iterator[Dispatcher]:
    """Run a dispatcher for the block."""
    dispatcher = Dispatcher(where, **options)
    thread = threading.Thread(target=dispatcher.run)
    thread.start()
    try:
        yield dispatcher
    finally:
        dispatcher.stop()
        thread.join(PATIENCE_S)
    assert not thread.is_alive()


def put(stream: redis.Redis, *raws: bytes) -> list[bytes]:
    """Put messages on the stream; return their ids."""
    with stream.pipeline(transaction=False) as steps:
        for raw in raws:
            steps.xadd(STREAM, {FIELD: raw})
        return cast(list[bytes], steps.execute())


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; fail when it does not come."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def counted(monkeypatch: pytest.MonkeyPatch, name: str) -> list[None]:
    """Note each time that a dispatcher has done a step of its own; return the list that grows."""
    step, done = getattr(Dispatcher, name), list[None]()

    def noted(self: Dispatcher) -> Any:
        found = step(self)
        done.append(None)
        return found

    monkeypatch.setattr(Dispatcher, name, noted)
    return done


def count(city: psycopg.Connection[Any], table: str = "incident") -> int:
    """Return the number of rows of a table."""
    row = city.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert row is not None
    return int(row[0])


def drained(stream: redis.Redis, last: bytes) -> None:
    """Wait until everything up to `last` is acknowledged."""
    until(lambda: message_stream.settled(stream, last))


def test_messages_become_incidents_each_once(
    where: Servers, city: psycopg.Connection[Any], stream: redis.Redis
) -> None:
    raws = [town.raw(serial) for serial in range(700)]
    ids = put(stream, *raws, *raws[:300])
    with working(where) as dispatcher:
        drained(stream, ids[-1])
    assert count(city) == 700
    assert (dispatcher.tally.done, dispatcher.tally.duplicates) == (700, 300)
    assert stream.xlen(DEAD_STREAM) == 0
    found = city.execute("SELECT area_code, located, lon FROM incident LIMIT 1").fetchone()
    assert found == (town.EAST, "point", town.IN_EAST[0])


MALFORMED: list[tuple[bytes, str, str]] = [
    (b"no json", "", "not_json"),
    (town.raw(1, reported_at=None), "reported_at", "missing"),
    (town.raw(2, category="8888"), "category", "unknown_category"),
    (town.raw(3, lon=town.IN_THE_SEA[0], lat=town.IN_THE_SEA[1]), "lon", "outside_city"),
    (town.raw(4, reported_at="3000-01-01T00:00:00Z"), "reported_at", "in_future"),
    (town.raw(5, text="x" * 5_000_000), "", "too_large"),
    (town.raw(6, lon="east"), "lon", "wrong_type"),
    (town.raw(7, source="a\x07b"), "source", "control_character"),
    (town.raw(8, area="990902", lon=None, lat=None), "area", "unknown_area"),
    (town.raw(9, address="在别处", lon=None, lat=None), "address", "unknown_address"),
    (b'{"v":1,"source":"\xff"}', "", "not_json"),
]


def test_malformed_messages_are_dead_letters_with_their_reason_and_stop_no_others(
    where: Servers, city: psycopg.Connection[Any], stream: redis.Redis
) -> None:
    good = [town.raw(serial) for serial in range(100, 200)]
    mixed = [raw for pair in zip(good, [m[0] for m in MALFORMED], strict=False) for raw in pair] + good[
        len(MALFORMED) :
    ]
    ids = put(stream, *mixed)
    stream.xadd(STREAM, {"other": b"fields"})
    with working(where):
        drained(stream, ids[-1])
        until(lambda: stream.xlen(DEAD_STREAM) == len(MALFORMED) + 1)
    assert count(city) == 100
    kept = {letter.first_seen: letter for letter in dead_letters.letters(stream)}
    for key, raw in zip(ids, mixed, strict=True):
        for bad, field, reason in MALFORMED:
            if raw == bad:
                letter = kept[key.decode()]
                assert (letter.field, letter.reason, letter.size) == (field, reason, len(raw))
                assert letter.zh
                assert letter.en
                assert letter.raw == raw[:MESSAGE_LIMIT_BYTES]
                assert letter.whole == (reason != "too_large")
    assert stream.xpending(STREAM, GROUP)["pending"] == 0


def test_a_letter_is_mended_and_replayed_exactly_once(
    where: Servers, city: psycopg.Connection[Any], stream: redis.Redis,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("DATABASE_URL", where.database_url)
    monkeypatch.setenv("REDIS_URL", where.redis_url)
    put(stream, town.raw(1, category="8888", reporter="13800000000"), b"no json")
    with working(where):
        until(lambda: stream.xlen(DEAD_STREAM) == 2)
        assert main(["dead-letters", "list", "--json"]) == 0
        listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert "13800000000" not in str(listed)
        by_reason = {each["reason"]: each["id"] for each in listed}
        assert main(["dead-letters", "show", by_reason["unknown_category"]]) == 0
        assert "8888" in capsys.readouterr().out
        assert main(["dead-letters", "replay", by_reason["unknown_category"], "--set", "category=0101"]) == 0
        until(lambda: count(city) == 1)
        assert main(["dead-letters", "replay", by_reason["unknown_category"], "--set", "category=0101"]) == 1
        assert main(["dead-letters", "replay", by_reason["not_json"], "--set", "category=0101"]) == 1
        assert main(["dead-letters", "replay", "77-0"]) == 1
        # Unmended it comes back as a new letter; the old one stays marked.
        assert main(["dead-letters", "replay", "--all"]) == 0
        until(lambda: stream.xlen(DEAD_STREAM) == 3)
    assert count(city) == 1
    assert len(list(dead_letters.letters(stream, waiting_only=True))) == 1


def test_a_message_of_a_dead_dispatcher_is_taken_over(
    where: Servers, city: psycopg.Connection[Any], stream: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "DEAD_IDLE_MS", 50)
    ids = put(stream, *[town.raw(serial) for serial in range(20)])
    stream.xgroup_create(STREAM, GROUP, id="0")
    stream.xreadgroup(GROUP, "gone", {STREAM: ">"}, count=10)
    with working(where):
        drained(stream, ids[-1])
        until(lambda: b"gone" not in [each["name"] for each in stream.xinfo_consumers(STREAM, GROUP)])
    assert count(city) == 20


def test_what_a_living_dispatcher_holds_is_left_to_it(
    where: Servers, city: psycopg.Connection[Any], stream: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "DEAD_IDLE_MS", 50)
    put(stream, town.raw(1))
    stream.xgroup_create(STREAM, GROUP, id="0")
    stream.xreadgroup(GROUP, "slow", {STREAM: ">"}, count=10)
    stream.hset(HEARTBEAT + "slow", "at", "now")
    monkeypatch.setattr(consumer, "CLAIM_EVERY_S", 0.05)
    monkeypatch.setattr(consumer, "BLOCK_MS", 50)
    looks = counted(monkeypatch, "_claim")
    with working(where):
        until(lambda: stream.xpending_range(STREAM, GROUP, "-", "+", 1, idle=5 * consumer.DEAD_IDLE_MS) != [])
        seen = len(looks)
        until(lambda: len(looks) >= seen + 3)
    assert count(city) == 0
    assert stream.xpending(STREAM, GROUP)["pending"] == 1


def test_a_message_that_always_fails_is_given_up_with_its_cause_and_alone(
    where: Servers, city: psycopg.Connection[Any], stream: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "CLAIM_IDLE_MS", 20)
    monkeypatch.setattr(consumer, "CLAIM_EVERY_S", 0.05)
    report = Desk.report

    def fragile(self: Desk, reports: list[Report], now: datetime) -> Any:
        if any(each.source_id == "T-13" for each in reports):
            raise ZeroDivisionError("poison")
        return report(self, reports, now)

    monkeypatch.setattr(Desk, "report", fragile)
    put(stream, *[town.raw(serial) for serial in range(40)])
    with working(where):
        until(lambda: stream.xlen(DEAD_STREAM) == 1)
    assert count(city) == 39
    [letter] = dead_letters.letters(stream)
    assert letter.reason == "fault"
    assert "ZeroDivisionError" in letter.en
    assert stream.xpending(STREAM, GROUP)["pending"] == 0


def test_what_the_database_does_not_take_is_found_by_halving(
    where: Servers, city: psycopg.Connection[Any], stream: redis.Redis
) -> None:
    city.execute("ALTER TABLE incident ADD CONSTRAINT no_thirteen CHECK (source_id <> 'T-13')")
    ids = put(stream, *[town.raw(serial) for serial in range(40)])
    with working(where):
        drained(stream, ids[-1])
    assert count(city) == 39
    [letter] = dead_letters.letters(stream)
    assert (letter.reason, "no_thirteen" in letter.en) == ("not_storable", True)


def test_trimming_never_reaches_what_any_group_has_not_acknowledged(
    where: Servers, city: psycopg.Connection[Any], stream: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "TRIM_EVERY_S", 0.05)
    monkeypatch.setattr(consumer, "BLOCK_MS", 50)
    trims = counted(monkeypatch, "_trim")
    ids = put(stream, *[town.raw(serial) for serial in range(1_000)])
    stream.xgroup_create(STREAM, "archive", id="0")
    stream.xreadgroup("archive", "one", {STREAM: ">"}, count=600)
    stream.xack(STREAM, "archive", *ids[:300])
    with working(where):
        drained(stream, ids[-1])
        until(lambda: stream.xlen(STREAM) < 1_000)
        seen = len(trims)
        until(lambda: len(trims) >= seen + 3)
        left = [key for key, _ in cast(list[Any], stream.xrange(STREAM))]
        assert left[0] <= ids[300]
        assert left[-1] == ids[-1]
        stream.xreadgroup("archive", "one", {STREAM: ">"}, count=1_000)
        stream.xack(STREAM, "archive", *ids)
        # Trimming is approximate: whole blocks go, up to a hundred entries may stay.
        until(lambda: stream.xlen(STREAM) <= 200)


def test_a_database_that_is_away_is_waited_for(
    where: Servers, city: psycopg.Connection[Any], stream: redis.Redis, database: str
) -> None:
    name = psycopg.conninfo.conninfo_to_dict(psycopg_dsn(database))["dbname"]
    with psycopg.connect(psycopg_dsn(database), dbname="postgres", autocommit=True) as outside:
        with working(where) as dispatcher:
            # Acknowledged too, not only committed: the connection must not end between the two.
            drained(stream, put(stream, town.raw(1))[-1])
            outside.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false".encode())
            outside.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
            )
            ids = put(stream, *[town.raw(serial) for serial in range(2, 12)])
            until(lambda: dispatcher._state.startswith("waiting"))
            # It may have read the first of them before the others came: read or unread, none is acknowledged.
            assert message_stream.lag(stream) == 10
            outside.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true".encode())
            drained(stream, ids[-1])
    with psycopg.connect(psycopg_dsn(database)) as again:
        assert count(again) == 11
    assert stream.xlen(DEAD_STREAM) == 0


def test_a_lost_group_is_made_again_and_nothing_comes_twice(
    where: Servers, city: psycopg.Connection[Any], stream: redis.Redis
) -> None:
    with working(where):
        put(stream, town.raw(1))
        until(lambda: count(city) == 1)
        stream.xgroup_destroy(STREAM, GROUP)
        ids = put(stream, town.raw(2))
        until(lambda: count(city) == 2)
        drained(stream, ids[-1])
    assert count(city) == 2


def test_a_city_that_changes_is_followed(
    where: Servers, city: psycopg.Connection[Any], stream: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "RELOAD_AT_REFUSAL_S", 0.0)
    with working(where):
        put(stream, town.raw(1))
        until(lambda: count(city) == 1)
        city.execute(
            "INSERT INTO area (code, level, name, parent) VALUES ('990901001009', 4, '新村民委员会', '990901001')"
        )
        put(stream, town.raw(2, area="990901001009", lon=None, lat=None))
        until(lambda: count(city) == 2)


def test_a_mended_report_behind_its_refused_likeness_gets_its_turn(
    where: Servers, city: psycopg.Connection[Any], stream: redis.Redis
) -> None:
    wrong = town.raw(1, category="8888", reported_at="2026-01-01T00:00:00Z")
    ids = put(stream, wrong, wrong, town.raw(1), town.raw(1))
    with working(where) as dispatcher:
        drained(stream, ids[-1])
    assert count(city) == 1
    assert stream.xlen(DEAD_STREAM) == 2
    assert dispatcher.tally.duplicates == 1


def test_text_without_a_type_gets_one(
    where: Servers, city: psycopg.Connection[Any], stream: redis.Redis
) -> None:
    ids = put(stream, town.raw(1, category=None, text="有小偷撬锁"), town.raw(2, category=None, text="嗯"))
    with working(where):
        drained(stream, ids[-1])
    found = city.execute("SELECT source_id, category FROM incident ORDER BY source_id").fetchall()
    assert found == [("T-1", "0101"), ("T-2", "0901")]


def test_the_end_that_a_source_tells_closes_its_incident(
    where: Servers, city: psycopg.Connection[Any], stream: redis.Redis
) -> None:
    began = datetime.now(UTC) - timedelta(days=2)
    ending = {
        "v": 1,
        "kind": "outcome",
        "source": "demo",
        "closed_at": (began + timedelta(days=1)).isoformat(),
    }
    ids = put(
        stream,
        town.raw(
            1, imported=True, reported_at=began.isoformat(), target_at=(began + timedelta(days=1)).isoformat()
        ),
        json.dumps(ending | {"source_id": "T-1"}).encode(),
        json.dumps(ending | {"source_id": "T-1"}).encode(),
        json.dumps(ending | {"source_id": "nobody"}).encode(),
    )
    with working(where) as dispatcher:
        drained(stream, ids[2])
        # The end of an incident that is not there yet waits for it.
        until(lambda: stream.xpending(STREAM, GROUP)["pending"] == 1)
    assert city.execute("SELECT state, disposed_on_time FROM incident").fetchall() == [("closed", True)]
    assert dispatcher.tally.concluded == 1


def test_an_incident_that_was_reopened_is_ended_again_by_its_source(
    where: Servers, city: psycopg.Connection[Any], stream: redis.Redis
) -> None:
    """A new end is no repeat of the former one; the former one, sent again, is."""
    began = datetime.now(UTC) - timedelta(days=2)

    def ending(at: datetime) -> bytes:
        told = {"v": 1, "kind": "outcome", "source": "demo", "source_id": "T-1", "closed_at": at.isoformat()}
        return json.dumps(told).encode()

    target = (began + timedelta(days=1)).isoformat()
    opened = town.raw(1, imported=True, reported_at=began.isoformat(), target_at=target)
    first = ending(began + timedelta(hours=1))
    ids = put(stream, opened, first)
    with working(where) as dispatcher:
        drained(stream, ids[-1])
        [(incident,)] = city.execute("SELECT id FROM incident").fetchall()
        with Desk(where.database_url) as desk:
            again = Command(
                "reopen", incident, Actor("duty/1", "duty_leader", town.TOWN), "r", {"reason": "又来了"}
            )
            assert desk.act([again], datetime.now(UTC))[0].status == "done"
        drained(stream, put(stream, first)[-1])
        assert city.execute("SELECT state FROM incident").fetchall() == [("accepted",)]
        drained(stream, put(stream, ending(datetime.now(UTC)))[-1])
    assert city.execute("SELECT state FROM incident").fetchall() == [("closed",)]
    assert dispatcher.tally.concluded == 2
    assert dispatcher.tally.duplicates == 1


def test_two_dispatchers_share_the_work(
    where: Servers, city: psycopg.Connection[Any], stream: redis.Redis
) -> None:
    ids = put(stream, *[town.raw(serial) for serial in range(1_500)])
    with working(where, batch=50) as one, working(where, batch=50) as two:
        drained(stream, ids[-1])
        until(lambda: len(message_stream.living(stream)) == 2)
    assert count(city) == 1_500
    assert one.tally.done + two.tally.done == 1_500
    assert message_stream.living(stream) == {}
    assert stream.xinfo_consumers(STREAM, GROUP) == []


def test_a_contact_is_kept_neither_in_rows_nor_in_logs(
    where: Servers, city: psycopg.Connection[Any], stream: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    ids = put(stream, town.raw(1, reporter="13800001111"), town.raw(2, reporter="13800001111", lon=0, lat=0))
    with caplog.at_level("DEBUG"), working(where):
        drained(stream, ids[-1])
    for table in ("incident", "event"):
        assert "13800001111" not in str(city.execute(f"SELECT * FROM {table}".encode()).fetchall())
    assert "13800001111" not in caplog.text


def test_ten_thousand_messages_one_in_ten_malformed(
    where: Servers, city: psycopg.Connection[Any], stream: redis.Redis
) -> None:
    bad = [make for make, _, _ in MALFORMED if len(make) < 100_000]
    raws = [bad[n // 10 % len(bad)] if n % 10 == 0 else town.raw(n + 1_000) for n in range(10_000)]
    ids = [key for at in range(0, len(raws), 500) for key in put(stream, *raws[at : at + 500])]
    with working(where):
        drained(stream, ids[-1])
    assert count(city) == 9_000
    assert stream.xlen(DEAD_STREAM) == 1_000
    reasons = Counter(letter.reason for letter in dead_letters.letters(stream, 2_000))
    assert sum(reasons.values()) == 1_000
    assert len(reasons) >= 8
