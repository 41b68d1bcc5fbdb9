"""Proves that a stored reason is said in the reader's language, and that older ones are read as they were."""

from __future__ import annotations

import re
from typing import Any

import pytest

from dispatch.rules.incident import reasons
from dispatch.rules.incident.reasons import SENTENCES, coded, words

HAN = re.compile(r"[\u3400-\u9fff]")
VALUES: dict[str, dict[str, Any]] = {
    "no_progress": {"hours": 24},
    "same_matter": {"number": "1234-5678-9012-3456"},
}


@pytest.mark.parametrize("code", SENTENCES)
def test_a_code_is_said_in_one_language_at_a_time(code: str) -> None:
    """Its values stand in both sentences, and the English has nothing Chinese in it."""
    kept = coded(code, **VALUES.get(code, {}))
    zh, en = words(kept, "zh"), words(kept, "en")
    assert HAN.search(zh)
    assert not HAN.search(en)
    for value in VALUES.get(code, {}).values():
        assert str(value) in zh
        assert str(value) in en


@pytest.mark.parametrize(
    ("kept", "zh", "en"),
    [
        ("silence", "无人应答", "nobody answered in time"),
        ("超过24小时无进展 silent for 24 hours",) * 3,
        ("吹哨后未报到 not reported in",) * 3,
        ("地点报错 {hours}",) * 3,
        ("", "", ""),
        (None, "", ""),
        ({"code": "of a newer version", "n": 1}, "of a newer version", "of a newer version"),
    ],
)
def test_what_an_older_event_holds_is_read_as_before(kept: object, zh: str, en: str) -> None:
    """The bare code of silence, a sentence of the machine's and one that somebody wrote, and none at all."""
    assert (words(kept, "zh"), words(kept, "en")) == (zh, en)


def test_a_reason_that_could_not_be_said_is_not_stored() -> None:
    """An unknown code, and a code without its values, are faults of whoever writes."""
    with pytest.raises(KeyError):
        coded("unheard")
    with pytest.raises(KeyError):
        coded("no_progress")
    assert reasons.coded("silence") == {"code": "silence"}
