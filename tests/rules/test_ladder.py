"""The ladder says who is called when, stops when the awaited verb comes, and never replays what was missed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.rules.policy import escalation, notices
from dispatch.rules.policy import policy as policies
from dispatch.rules.policy.escalation import (
    FORMER,
    Ladder,
    call_due,
    cutoffs,
    next_step,
    silent_since,
    whistle_call_due,
    whistle_step,
)
from dispatch.rules.policy.tables import PolicyError
from models.cities.loading import POLICY_DIR
from tests.small_law import FILES, MONDAY

WITH = {**FILES, notices.FILE: (POLICY_DIR / notices.FILE).read_text("utf-8")}
TEXT = (POLICY_DIR / escalation.FILE).read_text("utf-8")


def shipped() -> Ladder:
    faults: list[PolicyError] = []
    ladder = escalation.read(TEXT, faults)
    assert faults == []
    return ladder


@pytest.mark.parametrize("ladder", [FORMER, shipped()], ids=["former", "shipped"])
@pytest.mark.parametrize(
    ("severity", "level", "minutes", "goes_to"),
    [
        (1, 3, 10, 2), (1, 2, 60, 1), (2, 3, 30, 2), (2, 2, 240, 1), (3, 3, 120, 2), (4, 3, 480, 2),
        (1, 4, 10, 2),
    ],
)  # fmt: skip
def test_silence_goes_up_when_the_ladder_says(
    ladder: Ladder, severity: int, level: int, minutes: int, goes_to: int
) -> None:
    assert next_step(severity, level, MONDAY, ladder) == (MONDAY + timedelta(minutes=minutes), goes_to)


@pytest.mark.parametrize("ladder", [FORMER, shipped()], ids=["former", "shipped"])
def test_there_is_nothing_above_the_top_and_nothing_without_silence(ladder: Ladder) -> None:
    assert next_step(3, 2, MONDAY, ladder) is None
    assert next_step(4, 2, MONDAY, ladder) is None
    assert next_step(1, 1, MONDAY, ladder) is None
    assert next_step(1, 3, None, ladder) is None


@given(st.integers(1, 4), st.integers(2, 3), st.integers(0, 100_000))
def test_the_database_is_asked_for_exactly_what_goes_up_by_now(
    severity: int, level: int, seconds: int
) -> None:
    ladder = shipped()
    now = MONDAY + timedelta(seconds=seconds)
    step = next_step(severity, level, MONDAY, ladder)
    cutoff = cutoffs(now, ladder)[0 if level > 2 else 1][severity - 1]
    assert (step is not None and step[0] <= now) == (cutoff is not None and cutoff >= MONDAY)


@pytest.mark.parametrize(
    ("minutes", "rung", "turn"),
    [(0, None, None), (1, None, None), (2, 0, 0), (5, 0, 1), (9, 0, 2), (10, 1, 0), (19, 1, 0), (20, 1, 1),
     (59, 1, 3), (60, 2, 0), (90, 2, 1), (150, 2, 3), (100_000, 2, 3)],
)  # fmt: skip
def test_the_highest_rung_is_called_in_its_latest_turn_and_turns_end(
    minutes: int, rung: int | None, turn: int | None
) -> None:
    call = call_due(1, MONDAY, MONDAY + timedelta(minutes=minutes), shipped())
    assert (call and call.rung, call and call.turn) == (rung, turn)


@pytest.mark.parametrize(("level", "goes_to"), [(4, 2), (3, 2), (2, None), (1, None)])
def test_a_whistle_not_reported_in_goes_to_the_county_a_quarter_of_an_hour_later(
    level: int, goes_to: int | None
) -> None:
    expected = None if goes_to is None else (MONDAY + timedelta(minutes=15), goes_to)
    assert whistle_step(level, MONDAY, shipped()) == expected
    # A version from before the rule has none.
    assert whistle_step(level, MONDAY, FORMER) is None


@pytest.mark.parametrize(("minutes", "turn"), [(14, None), (15, 0), (44, 0), (45, 1), (10_000, 1)])
def test_the_county_is_called_for_a_whistle_twice_and_no_more(minutes: int, turn: int | None) -> None:
    call = whistle_call_due(MONDAY, MONDAY + timedelta(minutes=minutes), shipped())
    assert (call and call.turn) == turn
    if call is not None:
        assert (call.step.role, call.step.level) == ("county", 2)


def test_silence_counts_from_the_limit_or_from_the_later_hand_down() -> None:
    hour = timedelta(hours=1)
    assert silent_since(MONDAY, None) == silent_since(MONDAY, MONDAY - hour) == MONDAY
    assert silent_since(MONDAY, MONDAY + hour) == MONDAY + hour


def test_a_version_from_before_the_ladder_keeps_the_one_it_had() -> None:
    assert policies.parse(1, FILES).ladder is FORMER
    assert policies.parse(1, {**WITH, escalation.FILE: TEXT}).ladder == shipped()


@pytest.mark.parametrize(
    ("good", "bad", "key", "why"),
    [
        ('after = "2m"', 'after = "2wd"', "step[1].after", "expected a time around the clock"),
        ('after = "10m"', 'after = "1m"', "step[2].after", "a later step of the same severity comes later"),
        (
            'level = "county"',
            'level = "moon"',
            "step[2].level",
            "expected one of city, county, town, not 'moon'",
        ),
        ('role = "duty_leader"', 'role = "resident"', "step[1].role", "expected one of dispatcher"),
        ("repeats = 2", "repeats = 99", "step[1].repeats", "expected a whole number from 0 to 20, not 99"),
        ("[whistle]", "[whistle]\nbefore = 1", "whistle.before", "is not known here"),
        ("repeats = 2", "repeat = 2", "step[1].repeat", "is not known here"),
        ('after = "10m"', 'after = "2m"', "step[2].after", "a later step of the same severity comes later"),
        ("[whistle]", "[trumpet]", "trumpet", "is not known here"),
        ("[50, 80]", "[80, 50]", "reminders", "the smallest first"),
        ("[50, 80]", "[50, 180]", "reminders", "expected whole numbers from 1 to 99"),
    ],
)
def test_what_is_wrong_is_named_by_file_key_and_reason(good: str, bad: str, key: str, why: str) -> None:
    with pytest.raises(PolicyError) as caught:
        policies.parse(1, {**WITH, escalation.FILE: TEXT.replace(good, bad, 1)})
    assert (caught.value.file, caught.value.key) == ("ladder.toml", key)
    assert why in caught.value.reason


def test_a_channel_that_nobody_describes_is_refused_in_the_ladder() -> None:
    with pytest.raises(
        PolicyError, match=r"severity 1, step 1, channels: notices\.toml has no channel 'pigeon'"
    ):
        policies.parse(1, {**WITH, escalation.FILE: TEXT.replace('"sms"', '"pigeon"', 1)})
