"""Who is told, when it may go out, and when it is no longer true."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dispatch.rules.policy import notices as rules
from dispatch.rules.policy.notices import Facts, Notices, bundle, may_go, read, receiver, untrue, wait
from dispatch.rules.policy.tables import PolicyError
from dispatch.rules.time.calendar import Calendar
from models.cities.loading import POLICY_DIR
from tests.small_law import local

TEXT = (POLICY_DIR / rules.FILE).read_text("utf-8")
FACTS = Facts(
    1, 42, "0101", 3, "445302001001", 3, "team/7", "pick_up", 2, None, False, False, "东岸村"
)  # fmt: skip


def shipped() -> Notices:
    faults: list[PolicyError] = []
    read = rules.read(TEXT, faults)
    assert faults == []
    return read


@pytest.mark.parametrize(
    ("to", "level", "holder", "expected"),
    [
        ("team", "", "team/7", "team/7"),
        ("team", "", "centre/445302001", None),
        ("holder", "", "team/7", "team/7"),
        ("holder", "", "centre/445302", "dispatcher/445302"),
        ("duty_leader", "town", "team/7", "duty_leader/445302001"),
        ("county", "county", "team/7", "county/445302"),
        ("city", "city", "team/7", "city/445300"),
    ],
)
def test_the_receiver_is_found_from_where_the_incident_is_and_who_holds_it(
    to: str, level: str, holder: str, expected: str | None
) -> None:
    assert receiver(to, level, replace(FACTS, holder=holder)) == expected


LATE = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("holds", "facts", "true"),
    [
        ("pick_up", FACTS, True),
        ("pick_up", replace(FACTS, awaits="dispose"), False),
        ("pick_up", replace(FACTS, holder="team/8"), False),
        ("open", FACTS, True),
        ("open", replace(FACTS, ended=True), False),
        ("open", replace(FACTS, paused=True), False),
        ("overdue", FACTS, False),
        ("overdue", replace(FACTS, overdue_since=LATE), True),
        ("overdue", replace(FACTS, overdue_since=LATE, paused=True), False),
        ("open", None, False),
        ("always", None, True),
    ],
)
def test_a_message_is_true_only_while_the_incident_stands_so(
    holds: str, facts: Facts | None, true: bool
) -> None:
    assert (untrue(holds, "team/7", facts) is None) == true


@pytest.mark.parametrize(
    ("severity", "at", "goes"),
    [
        (3, "2026-03-02 21:59:59", "2026-03-02 21:59:59"),
        (3, "2026-03-02 22:00", "2026-03-03 07:00"),
        (4, "2026-03-03 06:59", "2026-03-03 07:00"),
        (4, "2026-03-03 07:00", "2026-03-03 07:00"),
        (1, "2026-03-03 03:00", "2026-03-03 03:00"),
        (2, "2026-03-03 03:00", "2026-03-03 03:00"),
    ],
)
def test_small_matters_wait_for_the_morning_and_grave_ones_do_not(severity: int, at: str, goes: str) -> None:
    assert may_go(severity, local(at), shipped(), Calendar()) == local(goes)


def test_quiet_hours_may_lie_within_one_day() -> None:
    noon = replace(
        shipped(), quiet_from=local("2026-01-01 12:00").time(), quiet_until=local("2026-01-01 14:00").time()
    )
    noon = replace(
        noon, quiet_from=noon.quiet_from.replace(hour=12), quiet_until=noon.quiet_until.replace(hour=14)
    )
    assert may_go(4, local("2026-03-02 13:00"), noon, Calendar()) == local("2026-03-02 14:00")
    assert may_go(4, local("2026-03-02 14:30"), noon, Calendar()) == local("2026-03-02 14:30")


def test_waits_double_and_have_an_end() -> None:
    waits = [wait(n) for n in range(1, rules.ATTEMPTS_LIMIT + 1)]
    assert waits[:4] == [timedelta(seconds=s) for s in (10, 20, 40, 80)]
    assert max(waits) == rules.LONGEST_WAIT
    # A channel that is away for an hour loses nothing.
    assert sum(waits[:-1], timedelta()) > timedelta(hours=1)
    assert wait(10**6) == rules.LONGEST_WAIT


def test_a_channel_speaks_chinese_or_what_the_policy_says_and_nothing_else() -> None:
    channel = '[[channel]]\nslug = "sms"\nname = "短信"\nname_en = "text message"\nenv = "SMS"\n'
    for said, lang in (("", "zh"), ('lang = "en"\n', "en")):
        assert read(channel + said, []).channels["sms"].lang == lang
    faults: list[PolicyError] = []
    read(channel + 'lang = "fr"\n', faults)
    assert any("lang" in str(fault) for fault in faults)


def test_a_bundle_names_each_once_and_says_how_many_more() -> None:
    title, body = bundle(["甲", "乙", "甲", "丙"], 2)
    assert (title, body) == ("网格哨：3 条提醒", "甲\n乙\n另有 1 件")
    assert bundle(["a"], 2, "en") == ("Gridwhistle: 1 notice(s)", "a")


@pytest.mark.parametrize(
    ("good", "bad", "key"),
    [
        ('verbs = ["report"]', 'verbs = ["repport"]', "rule[2].verbs"),
        ('to = "team"', 'to = "mayor"', "rule[1].to"),
        ('holds = "pick_up"', 'holds = "picked_up"', "rule[1].holds"),
        ('channels = ["app", "sms"]', 'channels = ["app", "fax"]', "rule[2].channels"),
        ("新派件：{kind_zh}", "新派件：{kind}", "rule[1].zh"),
        ('from = "22:00"', 'from = "at ten"', "quiet.from"),
        ('slug = "sms"', 'slug = "group"', "channel[2].slug"),
        ("per_hour = 20", "per_hour = 0", "throttle.per_hour"),
        ("severities = [1]", "severities = [0]", "rule[2].severities"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_its_key(good: str, bad: str, key: str) -> None:
    assert good in TEXT
    faults: list[PolicyError] = []
    rules.read(TEXT.replace(good, bad, 1), faults)
    assert key in {fault.key for fault in faults}
    assert {fault.file for fault in faults} == {"notices.toml"}
