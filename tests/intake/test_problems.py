"""A refused message keeps a code and its values; it is said when it is read, and older ones are read as before."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
import redis

from dispatch.intake import dead_letters, problems
from dispatch.intake.dead_letters import DEAD_STREAM, OLD_STREAM
from dispatch.intake.problems import REASONS, Problem, problem, read, stored
from dispatch.rules.refusals import SENTENCES

NOW = datetime(2026, 6, 12, 4, tzinfo=UTC)
HAN = re.compile(r"[\u3400-\u9fff]")
OLD = {"reason": "no_place", "field": "lon", "zh": "没有地方", "en": "there is no place"}


def buried(stream: redis.Redis, fields: dict[str, Any]) -> dead_letters.Letter:
    """Write a letter with these fields; return it as it is read."""
    kept = dead_letters.written(b"{}", problem("", "not_json"), b"1-0", NOW) | fields
    key: Any = stream.xadd(DEAD_STREAM, {name: value for name, value in kept.items() if value is not None})
    return dead_letters.letter(stream, key.decode())


@pytest.mark.parametrize("reason", REASONS)
def test_a_problem_that_was_stored_is_read_in_either_language(reason: str) -> None:
    """Code and values come back through JSON, and nothing of them is a sentence."""
    found = Problem("lon", reason, {"limit": 7, "what": "(x)"})
    kept = json.dumps(stored(found), ensure_ascii=False)
    assert not HAN.search(kept)
    again = read(json.loads(kept))
    assert (again, again.zh, again.en) == (found, found.zh, found.en)
    assert HAN.search(again.zh)
    assert not HAN.search(again.en)
    assert "{" not in again.zh + again.en


def test_what_the_law_refuses_is_said_by_the_law() -> None:
    """Its code is looked for among its own sentences; one that both know is the message's."""
    late = Problem("closed_at", "before", {"at": "09:00:00"})
    assert read(stored(late)).en == "The time lies before the last step (09:00:00)"
    assert REASONS.keys() & SENTENCES.keys() == {"unknown_area"}


def test_a_letter_keeps_no_sentence_and_says_one(stream: redis.Redis) -> None:
    """What is on the stream is a code with its values; what is read has both languages."""
    written = dead_letters.written(b"{}", problem("text", "too_long", 2000), b"1-0", NOW)
    assert {"zh", "en"}.isdisjoint(written)
    found = buried(stream, written)
    assert (found.reason, found.field) == ("too_long", "text")
    assert (found.zh, found.en) == ("字段 text 太长,最多 2000", "Field text is too long: at most 2000")


def test_a_letter_of_an_earlier_version_says_what_it_says(stream: redis.Redis) -> None:
    """It has sentences and no values; they stay as they were written, also once its contacts are gone."""
    found = buried(stream, {**OLD, "values": None})
    assert (found.reason, found.field, found.zh, found.en) == ("no_place", "lon", OLD["zh"], OLD["en"])
    stream.delete(DEAD_STREAM, OLD_STREAM)
    early = NOW.timestamp() - 2 * 86_400
    kept = dead_letters.written(b"{}", problem("", "not_json"), b"1-0", NOW) | OLD
    del kept["values"]
    key: Any = stream.xadd(DEAD_STREAM, kept, id=f"{int(early * 1000)}-0")
    assert dead_letters.age(stream, NOW) == 1
    aged = dead_letters.letter(stream, key.decode())
    assert (aged.zh, aged.en) == (OLD["zh"], OLD["en"])


def test_a_reason_that_nobody_knows_is_told_by_its_code_or_as_unknown() -> None:
    """A later version's code is better than nothing; where nothing is kept, that is said."""
    assert read({"field": "a", "reason": "of_a_later_version", "values": {}}).zh == "of_a_later_version"
    assert (read({}).reason, read({}).zh, read({}).en) == ("unknown", "原因未知", "The reason is not known")
    with pytest.raises(KeyError):
        problems.problem("a", "of_a_later_version")
