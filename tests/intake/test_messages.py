"""What comes from outside is read strictly, and each refusal names its field and reason."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dispatch.intake.messages import (
    MESSAGE_LIMIT_BYTES,
    NUMBERS,
    OutcomeMessage,
    ReportMessage,
    number_of,
    parse,
    parse_number,
    show_number,
)
from dispatch.intake.problems import REASONS, Problem

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
GOOD: dict[str, Any] = {
    "v": 1,
    "source": "hotline",
    "source_id": "H-1",
    "category": "0101",
    "text": "路灯不亮\n第二行",
    "lon": 111.5,
    "lat": 22.9,
    "reported_at": "2026-03-01T19:30:00+08:00",
}


def said(**changes: Any) -> ReportMessage | OutcomeMessage | Problem:
    """Parse the good message with changes; None takes a field out."""
    made = {name: value for name, value in (GOOD | changes).items() if value is not None}
    return parse(json.dumps(made).encode(), NOW)


def test_a_good_report_is_read_with_its_times_in_utc() -> None:
    found = said(target_at="2026-03-02T08:00:00+08:00", photos=["https://a.example/1.jpg"], severity=2)
    assert isinstance(found, ReportMessage)
    assert found.reported_at == datetime(2026, 3, 1, 11, 30, tzinfo=UTC)
    assert found.reported_at.tzinfo is UTC
    assert found.target_at == datetime(2026, 3, 2, tzinfo=UTC)
    assert found.text == "路灯不亮\n第二行"


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"v": 2}, "v", "version"),
        ({"v": None}, "v", "missing"),
        ({"v": "1"}, "v", "wrong_type"),
        ({"source": None}, "source", "missing"),
        ({"source": ""}, "source", "blank"),
        ({"source": "  "}, "source", "blank"),
        ({"source": "x" * 41}, "source", "too_long"),
        ({"source": 7}, "source", "wrong_type"),
        ({"source": "a\x00b"}, "source", "control_character"),
        ({"source": "a\x9fb"}, "source", "control_character"),
        ({"source_id": "a\nb"}, "source_id", "control_character"),
        ({"source_id": "x" * 121}, "source_id", "too_long"),
        ({"source_id": " "}, "source_id", "blank"),
        ({"text": "a\x1bb"}, "text", "control_character"),
        ({"text": "x" * 2001}, "text", "too_long"),
        ({"text": " ", "category": None}, "text", "no_subject"),
        ({"lat": None}, "lat", "half_point"),
        ({"lon": None}, "lon", "half_point"),
        ({"lon": None, "lat": None}, "lon", "no_place"),
        ({"lon": 181}, "lon", "out_of_range"),
        ({"lat": -90.5}, "lat", "out_of_range"),
        ({"lon": "111.5"}, "lon", "wrong_type"),
        ({"datum": "bd09"}, "datum", "bad_choice"),
        ({"area": "12"}, "area", "too_short"),
        ({"reported_at": "2026-03-01T19:30:00"}, "reported_at", "bad_time"),
        ({"reported_at": "yesterday"}, "reported_at", "bad_time"),
        ({"reported_at": "3000-01-01T00:00:00Z"}, "reported_at", "in_future"),
        ({"reported_at": "2026-03-01T12:10:01Z"}, "reported_at", "in_future"),
        ({"reported_at": "1999-12-31T23:59:59Z"}, "reported_at", "too_early"),
        ({"reported_at": "0001-01-01T00:00:00+14:00"}, "reported_at", "bad_time"),
        ({"reported_at": 5}, "reported_at", "bad_time"),
        ({"target_at": "2300-01-01T00:00:00Z"}, "target_at", "out_of_range"),
        ({"target_at": "1990-01-01T00:00:00Z"}, "target_at", "too_early"),
        ({"severity": 5}, "severity", "out_of_range"),
        ({"severity": True}, "severity", "wrong_type"),
        ({"photos": ["https://a.example/x"] * 10}, "photos", "too_long"),
        ({"photos": ["javascript:alert(1)"]}, "photos", "bad_url"),
        ({"photos": "https://a.example/x"}, "photos", "wrong_type"),
        ({"photos": [5]}, "photos", "wrong_type"),
        ({"colour": "red"}, "colour", "unknown_field"),
        ({"a b\x07": "red"}, "?", "unknown_field"),
        ({"kind": "wish"}, "kind", "bad_choice"),
    ],
)
def test_each_fault_is_named_with_field_and_reason(changes: dict[str, Any], field: str, reason: str) -> None:
    found = said(**changes)
    assert isinstance(found, Problem)
    assert (found.field, found.reason) == (field, reason)
    assert found.zh
    assert found.en
    assert "{" not in found.zh + found.en


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not_json"),
        (b"hello", "not_json"),
        (b"\xff\xfe\x00", "not_json"),
        (b'{"v":1,"source":"\xff"}', "not_json"),
        (json.dumps(GOOD).replace("111.5", "NaN").encode(), "not_json"),
        (json.dumps(GOOD).replace("111.5", "Infinity").encode(), "not_json"),
        (json.dumps(GOOD).replace("111.5", "1e999").encode(), "out_of_range"),
        (b"[]", "not_object"),
        (b"7", "not_object"),
        (b"[" * 50_000, "not_object"),
        (b'{"v":1,"kind":' + b"[" * 50_000, "not_json"),
        (b"x" * (MESSAGE_LIMIT_BYTES + 1), "too_large"),
    ],
)
def test_what_is_no_message_at_all_is_refused(raw: bytes, reason: str) -> None:
    found = parse(raw, NOW)
    assert isinstance(found, Problem)
    assert found.reason == reason


def test_a_clock_ten_minutes_ahead_is_still_believed() -> None:
    assert isinstance(said(reported_at="2026-03-01T12:10:00Z"), ReportMessage)
    assert isinstance(said(reported_at="2000-01-01T00:00:00Z"), ReportMessage)


def test_an_outcome_is_read_and_refused_like_a_report() -> None:
    ending = {"v": 1, "kind": "outcome", "source": "s", "source_id": "1", "closed_at": "2026-03-01T12:00:00Z"}
    assert isinstance(parse(json.dumps(ending).encode(), NOW), OutcomeMessage)
    for change, field, reason in (
        ({"closed_at": None}, "closed_at", "bad_time"),
        ({"closed_at": "3000-01-01T00:00:00Z"}, "closed_at", "in_future"),
        ({"note": "x" * 2001}, "note", "too_long"),
        ({"lon": 5}, "lon", "unknown_field"),
        ({"source": "a\x07"}, "source", "control_character"),
    ):
        found = parse(json.dumps(ending | change).encode(), NOW)
        assert isinstance(found, Problem)
        assert (found.field, found.reason) == (field, reason)


def test_no_sentence_repeats_what_the_sender_wrote() -> None:
    for name in ("source", "text", "address"):
        found = said(**{name: "13800000000" * 500})
        assert isinstance(found, Problem)
        assert "138" not in found.zh + found.en


@given(st.binary(max_size=300))
def test_bytes_never_raise(raw: bytes) -> None:
    assert parse(raw, NOW) is not None


# The first draw builds Hypothesis's tables of Unicode, which a busy machine takes seconds for.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from([*GOOD, "kind", "photos", "area", "severity", "target_at", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
            ),
            max_leaves=5,
        ),
    )
)
def test_any_object_is_a_message_or_a_problem_of_the_table(changes: dict[str, Any]) -> None:
    found = parse(json.dumps(GOOD | changes).encode(), NOW)
    assert isinstance(found, ReportMessage | OutcomeMessage) or found.reason in REASONS
    if isinstance(found, ReportMessage):
        # What was accepted is accepted again after a journey over the stream.
        assert parse(msgspec.json.encode(found), NOW) == found


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=120))
def test_numbers_have_sixteen_digits_and_read_back(source: str, source_id: str) -> None:
    try:
        number = number_of(source, source_id)
    except UnicodeEncodeError:
        return  # A lone surrogate cannot come out of JSON.
    assert 0 <= number < NUMBERS
    assert number == number_of(source, source_id)
    assert parse_number(show_number(number)) == number
    assert len(show_number(number)) == 19


def test_a_number_is_the_same_for_ever() -> None:
    """Receipts of years ago are keyed by it."""
    assert show_number(number_of("hotline", "H-1")) == "7844-1179-4123-1950"
    assert number_of("ab", "c") != number_of("a", "bc")


@pytest.mark.parametrize("text", ["", "123", "1234-5678-9012-345x", "1" * 17, "１２３４567890123456"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_number(text)


def test_the_clock_of_the_reader_decides() -> None:
    assert isinstance(parse(json.dumps(GOOD).encode(), NOW - timedelta(days=1)), Problem)
