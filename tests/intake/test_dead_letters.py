"""Dead letters do not last for ever: contacts go after a day, letters after thirty, and never are there too many."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from dispatch.intake import dead_letters
from dispatch.intake.dead_letters import DEAD_STREAM, FIELD, OLD_STREAM, REPLAYED, STREAM
from dispatch.intake.messages import MESSAGE_LIMIT_BYTES
from dispatch.intake.problems import Problem

NOW = datetime(2026, 6, 12, 4, tzinfo=UTC)
PROBLEM = Problem("category", "unknown_category", {"category": "9999"})
MESSAGE: dict[str, Any] = {
    "v": 1, "source": "hotline", "source_id": "13800138000", "category": "9999", "lon": 113.0050000001, "lat": 23.005,
    "reported_at": "2026-06-12T03:59:00+00:00", "reporter": "张三 13900139000",
    "text": "路灯不亮,联系 139 0013 9000 或 zhang.san@mail.example", "address": "文明路 12 号",
}  # fmt: skip
CONTACTS = ("13900139000", "139 0013 9000", "zhang.san", "张三")


def bury(stream: redis.Redis, at: datetime, raw: bytes | None = None) -> str:
    """Write a letter as of an instant; return its id."""
    raw = json.dumps(MESSAGE, ensure_ascii=False).encode() if raw is None else raw
    key = stream.xadd(
        DEAD_STREAM, dead_letters.written(raw, PROBLEM, b"1-0", at), id=f"{int(at.timestamp() * 1000)}-*"
    )
    assert isinstance(key, bytes)
    return key.decode()


def test_after_a_day_a_letter_has_no_contacts_and_is_itself_still(stream: redis.Redis) -> None:
    """Its id, cause and place in the list stay; who wrote, and how to reach them, is gone from the server."""
    old = bury(stream, NOW - timedelta(days=1, seconds=1))
    fresh = bury(stream, NOW - timedelta(hours=23))
    before = dead_letters.letter(stream, old)
    assert dead_letters.age(stream, NOW) == 1
    assert [each.id for each in dead_letters.letters(stream)] == [fresh, old]
    after = dead_letters.letter(stream, old)
    assert (after.reason, after.field, after.sha256, after.at) == (
        before.reason, before.field, before.sha256, before.at,
    )  # fmt: skip
    kept = json.loads(after.raw)
    assert "reporter" not in kept
    assert {name: kept[name] for name in ("source_id", "lon", "address")} == {
        name: MESSAGE[name] for name in ("source_id", "lon", "address")
    }
    assert kept["text"] == "路灯不亮,联系 *** 或 ***"
    assert dead_letters.letter(stream, fresh).raw == json.dumps(MESSAGE, ensure_ascii=False).encode()
    stream.xdel(DEAD_STREAM, fresh)
    entries: Any = stream.xrange(OLD_STREAM)
    everything = b"".join(value for _, fields in entries for value in fields.values())
    assert [contact for contact in CONTACTS if contact.encode() in everything] == []
    assert dead_letters.age(stream, NOW) == 0


def test_a_masked_letter_can_be_mended_and_replayed_once(stream: redis.Redis) -> None:
    """What it lost is who reported it; what was wrong can still be put right."""
    old = bury(stream, NOW - timedelta(days=2))
    dead_letters.age(stream, NOW)
    one = dead_letters.letter(stream, old)
    assert one.whole
    dead_letters.replay(stream, one, dead_letters.mend(one.raw, ["category=0101"]))
    entries: Any = stream.xrange(STREAM)
    [(_, fields)] = entries
    assert json.loads(fields[FIELD.encode()])["category"] == "0101"
    with pytest.raises(dead_letters.LetterError, match="replayed before"):
        dead_letters.replay(stream, one)
    assert list(dead_letters.letters(stream, waiting_only=True)) == []


@pytest.mark.parametrize(
    ("raw", "masked"),
    [
        (b'{"phone": 13900139000, "v": 1}', '{"phone": "***", "v": 1}'),
        (b'{"who": {"tel": "139-0013-9000"}}', '{"who": "{\\"tel\\": \\"***\\"}"}'),
        (b"call +86 139 0013 9000 now", "call *** now"),
        (b'["13900139000"]', '["***"]'),
        (b"\xff\xfe 13900139000", "�� ***"),
        (b"[" * 60_000, "[" * 60_000),
        ('{"text": "3 盏灯, 110 号"}'.encode(), '{"text": "3 盏灯, 110 号"}'),
        (b'{"text": "\\ud800"}', '{"text": "?"}'),
    ],
)
def test_what_is_no_message_of_ours_is_masked_as_well(raw: bytes, masked: str) -> None:
    """Unknown fields, other shapes, broken bytes; short numbers stay."""
    assert dead_letters.without_contacts(raw).decode() == masked


def test_a_letter_that_was_cut_stays_cut(stream: redis.Redis) -> None:
    """Masking must not make a piece of a message look like the whole of it."""
    old = bury(stream, NOW - timedelta(days=2), b"x" * (MESSAGE_LIMIT_BYTES + 5))
    dead_letters.age(stream, NOW)
    one = dead_letters.letter(stream, old)
    assert not one.whole
    with pytest.raises(dead_letters.LetterError, match="too long"):
        dead_letters.replay(stream, one)


def test_after_thirty_days_a_letter_and_its_mark_are_gone(stream: redis.Redis) -> None:
    """On the thirtieth day it is there, after it not; younger marks stay."""
    gone = bury(stream, NOW - dead_letters.KEPT - timedelta(seconds=1))
    kept = bury(stream, NOW - dead_letters.KEPT)
    stream.hset(REPLAYED, mapping={gone: "5-0", kept: "6-0"})
    dead_letters.age(stream, NOW)
    assert [each.id for each in dead_letters.letters(stream)] == [kept]
    assert stream.hkeys(REPLAYED) == [kept.encode()]
    with pytest.raises(dead_letters.LetterError, match="there is no dead letter"):
        dead_letters.letter(stream, gone)


def test_there_are_never_more_letters_than_the_limit(
    stream: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest stay, of the old and of the new."""
    monkeypatch.setattr(dead_letters, "LETTERS_LIMIT", 3)
    old = [bury(stream, NOW - timedelta(days=3, seconds=-n)) for n in range(5)]
    new = [bury(stream, NOW - timedelta(hours=3, seconds=-n)) for n in range(5)]
    dead_letters.age(stream, NOW)
    assert [each.id for each in dead_letters.letters(stream)] == [*new[:1:-1], *old[:1:-1]]
    assert dead_letters.count(stream) == 6
